#!/usr/bin/env python3
"""Checks the source tree: layers, link lists, banned calls, shape, format, headers compiled alone.

Usage: tidy.py ROOT {layers|links|banned|shape|format|headers BUILD_DIR}
"""

import concurrent.futures
import itertools
import json
import os
import shutil
import subprocess
import sys

import banned_calls
import layers
import links
import shape
import source_files


def check_format(root, files):
    """clang-format, in the version whose output the tree has."""
    tool = shutil.which("clang-format-19")
    if tool is None:
        return ["clang-format-19 is missing: deploy/install-deps --tests"]
    paths = [file.path for file in files if file.is_code]
    result = subprocess.run([tool, "--dry-run", "-Werror", *paths], cwd=root, capture_output=True,
                            text=True, check=False)
    return [line for line in result.stderr.splitlines() if "error:" in line]


def headers_to_compile(files, compiled):
    """The headers that no compiled file includes first: the build has proved the others."""
    proved = set()
    for file in files:
        if file.path in compiled:
            proved.update(header for _, header in itertools.islice(file.includes(), 1))
    return [file.path for file in files if file.path.endswith(".h") and file.path not in proved]


def check_headers(root, files, build):
    """Compiles each header alone, as every user of it must be able to."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as handle:
        compiled = {os.path.relpath(command["file"], root) for command in json.load(handle)}
    compiler = os.environ.get("CXX", "g++")
    flags = ["-std=c++20", "-fsyntax-only", "-O0", "-Wall", "-Wextra", "-Werror", "-I", root,
             "-isystem", os.path.join(build, "generated")]

    def compile_alone(path):
        command = [compiler, *flags, "-include", path, "-x", "c++", os.devnull]
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        return path, result.returncode, result.stderr

    failures = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, code, text in pool.map(compile_alone, headers_to_compile(files, compiled)):
            if code != 0:
                failures.append(f"{path}: does not compile alone:\n{text}")
    return failures


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    root, what = os.path.abspath(arguments[0]), arguments[1]
    files = source_files.all_files(root)
    checks = {
        "layers": lambda: layers.check(files),
        "links": lambda: links.check(files),
        "banned": lambda: itertools.chain(
            banned_calls.check(files),
            banned_calls.unused_exemptions([file.path for file in files])),
        "shape": lambda: shape.check(files),
        "format": lambda: check_format(root, files),
        "headers": lambda: check_headers(root, files, os.path.abspath(arguments[2])),
    }
    failures = list(checks[what]())
    for failure in failures:
        print(failure)
    print(f"{what}: {len(failures)} findings in {len(files)} files")
    if not any(file.is_code for file in files):
        print("no source files found")
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
