"""The source files of the tree, and their text without comments and literals."""

import os
import re
import subprocess

FOLDERS = ("raft", "storage", "server", "client", "proto", "tests", "deploy", ".ci")
CODE = (".h", ".cc", ".c")


class SourceFile:
    """A file by its path from the root, read once."""

    def __init__(self, root, path, text=None):
        self.path = path
        if text is None:
            with open(os.path.join(root, path), encoding="utf-8", errors="replace") as handle:
                text = handle.read()
        self.text = text

    @property
    def is_code(self):
        return self.path.endswith(CODE)

    @property
    def in_tests(self):
        return self.path.startswith("tests/")

    def includes(self):
        """Yields (line number, header) for each #include."""
        for number, line in enumerate(self.text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if match:
                yield number, match.group(1)

    def code_lines(self):
        """Yields (line number, text) with comments and literals blanked out."""
        return enumerate(blank_comments_and_literals(self.text).splitlines(), 1)


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL,
)


def blank_comments_and_literals(text):
    """Replaces comments and the insides of literals by spaces; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if "#include" in text[text.rfind("\n", 0, match.start()) + 1:match.start()]:
            return token
        return re.sub(r"[^\n]", " ", token)
    return _TOKEN.sub(blank, text)


def all_files(root):
    """The tracked files of the tree, or all files of its folders outside a checkout."""
    listing = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True,
                             check=False)
    if listing.returncode == 0:
        paths = [path for path in listing.stdout.decode().split("\0") if path]
    else:
        paths = []
        for folder in FOLDERS:
            for directory, _, names in os.walk(os.path.join(root, folder)):
                paths += [os.path.relpath(os.path.join(directory, name), root) for name in names]
    paths = [path for path in sorted(paths) if os.path.isfile(os.path.join(root, path))]
    return [SourceFile(root, path) for path in paths]
