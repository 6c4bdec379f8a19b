"""Link lists against includes: a library links what its files include, and nothing else of ours;
and none depends on itself."""

import os
import re

PROTO = "gavel_proto"  # Its headers are generated.


class Library:
    """One gavel_library() of a CMakeLists.txt."""

    def __init__(self, folder, words):
        self.folder = folder
        self.name = words[0]
        self.where = f"{folder}CMakeLists.txt: {self.name}"
        lists = {"SOURCES": [], "DEPS": [], "PRIVATE_DEPS": []}
        for word in words[1:]:
            if word in lists:
                into = lists[word]
            else:
                into.append(word)
        self.stems = {os.path.splitext(folder + source)[0] for source in lists["SOURCES"]}
        self.public = {name for name in lists["DEPS"] if name.startswith("gavel_")}
        self.private = {name for name in lists["PRIVATE_DEPS"] if name.startswith("gavel_")}


def libraries(files):
    """The libraries of the tree outside tests, and the stems of what programs compile."""
    found = []
    programs = set()
    for file in files:
        folder, name = os.path.split(file.path)
        if name != "CMakeLists.txt" or file.in_tests or not folder:
            continue
        text = re.sub(r"#[^\n]*", "", file.text)
        for words in re.findall(r"\bgavel_library\(([^)]*)\)", text):
            found.append(Library(folder + "/", words.split()))
        for words in re.findall(r"\badd_executable\(([^)]*)\)", text):
            programs |= {os.path.splitext(f"{folder}/{word}")[0] for word in words.split()[1:]}
    return found, programs


class Owners:
    """Whose a file is: of what compiles its stem, else of the first library of its folder."""

    def __init__(self, all_libraries, programs):
        self._by_stem = dict.fromkeys(programs)
        self._by_stem |= {stem: library for library in all_libraries for stem in library.stems}
        self._by_folder = {}
        for library in all_libraries:
            self._by_folder.setdefault(library.folder, library)

    def of(self, path):
        """The library of `path`; None for programs, and headers of folders without a library."""
        stem, kind = os.path.splitext(path)
        if stem in self._by_stem or kind != ".h":
            return self._by_stem.get(stem)
        return self._by_folder.get(os.path.dirname(path) + "/")


def reachable(name, links):
    """All that `name` links, also through others."""
    found = set()
    todo = [name]
    while todo:
        new = links.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def check(files):
    """Yields a line for each include without a link, link without an include, and circle."""
    all_libraries, programs = libraries(files)
    owners = Owners(all_libraries, programs)
    used = {library.name: set() for library in all_libraries}
    for file in files:
        library = owners.of(file.path) if file.is_code else None
        if library is None:
            continue
        for number, header in file.includes():
            if header.startswith("proto/"):
                name = PROTO
            else:
                owner = owners.of(header)
                name = owner.name if owner else library.name
            if name == library.name:
                continue
            used[library.name].add(name)
            linked = library.public
            if not file.path.endswith(".h"):
                linked = linked | library.private
            if name not in linked:
                kind = "DEPS" if file.path.endswith(".h") else "DEPS or PRIVATE_DEPS"
                yield f"{file.path}:{number}: {name} is not in the {kind} of {library.name}"
    links = {library.name: library.public | library.private for library in all_libraries}
    for library in all_libraries:
        if library.name in reachable(library.name, links):
            yield f"{library.where}: depends on itself"
        for name in sorted(links[library.name] - used[library.name]):
            yield f"{library.where}: nothing of it includes a header of {name}"
