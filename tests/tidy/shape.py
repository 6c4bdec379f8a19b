"""The shape of files: length, width, and what stands where."""

import re

LINES_MAX = 520          # Past about 500 lines a file has two subjects.
COLUMNS_MAX = 100
ROOT = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "client", "deploy", "proto",
        "raft", "server", "storage", "tests"}
NAME = re.compile(r"[a-z0-9_]+\.(h|cc|c|py|proto|cmake)")


def check(files):
    """Yields a line for each file that is out of shape."""
    paths = {file.path for file in files}
    for file in files:
        first = file.path.split("/")[0]
        if first not in ROOT and not first.startswith("."):
            yield f"{file.path}: {first} does not belong at the root"
        name = file.path.split("/")[-1]
        if not name.endswith((".h", ".cc", ".c", ".py", ".proto")):
            continue
        if not NAME.fullmatch(name):
            yield f"{file.path}: file names are snake_case"
        lines = file.text.splitlines()
        if len(lines) > LINES_MAX:
            yield f"{file.path}: {len(lines)} lines; past {LINES_MAX} it has two subjects"
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and not line.lstrip().startswith("#include"):
                yield f"{file.path}:{number}: {len(line)} columns of at most {COLUMNS_MAX}"
            if line.rstrip() != line:
                yield f"{file.path}:{number}: space at the end of the line"
            if "\t" in line:
                yield f"{file.path}:{number}: a tab"
        if file.text and not file.text.endswith("\n"):
            yield f"{file.path}: no newline at the end"
        if file.path.endswith(".h"):
            yield from _header(file)
        if file.path.endswith(".cc"):
            yield from _own_header_first(file, paths)


def _header(file):
    if "#pragma once" not in file.text:
        yield f"{file.path}: no #pragma once"
    if not file.text.startswith("//"):
        yield f"{file.path}: a header begins with what it is for"


def _own_header_first(file, paths):
    own = file.path[: -len(".cc")] + ".h"
    includes = [header for _, header in file.includes()]
    if own in paths and own in includes and includes[0] != own:
        yield f"{file.path}: its own header comes first"
    for number, header in file.includes():
        if header.startswith("."):
            yield f"{file.path}:{number}: includes are written from the root"
