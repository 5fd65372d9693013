#!/usr/bin/env python3
"""tidy.py BUILD JOBS [LEFT-OUT] - runs clang-tidy over the sources that BUILD compiled, but for those below LEFT-OUT.

A source that several targets compile is read once, as the first of them compiles it: clang-tidy 14 reads it again for
each command, and has forgotten by then what va_start does.
"""
import concurrent.futures
import json
import os
import subprocess
import sys


def first_commands(build):
    """{path: its first compile command}, without what was generated into the build tree."""
    firsts = {}
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as commands:
        for one in json.load(commands):
            path = os.path.join(one["directory"], one["file"])
            if not path.startswith(build + os.sep):
                firsts.setdefault(path, one)
    return firsts


def main():
    build, jobs = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    firsts = first_commands(build)
    left_out = sys.argv[3] if len(sys.argv) > 3 else ""
    files = sorted(path for path in firsts if not left_out or not path.startswith(left_out))
    database = os.path.join(build, "tidy")
    os.makedirs(database, exist_ok=True)
    with open(os.path.join(database, "compile_commands.json"), "w", encoding="utf-8") as commands:
        json.dump(list(firsts.values()), commands)

    def tidy(path):
        command = ["clang-tidy", "--quiet", "-p", database, path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return path, done.returncode, done.stdout

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for path, code, text in pool.map(tidy, files):
            if code != 0 or "warning:" in text:
                bad += 1
                print(f"{path}: exit code {code}\n{text}")
    print(f"{len(files)} files, {bad} with findings")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
