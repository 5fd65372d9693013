#!/usr/bin/env python3
"""tidy.py BUILD JOBS - runs clang-tidy over every source that BUILD compiled, and prints what it finds."""
import concurrent.futures
import json
import os
import subprocess
import sys


def main():
    build, jobs = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as commands:
        files = sorted({os.path.join(one["directory"], one["file"]) for one in json.load(commands)})
    files = [one for one in files if not one.startswith(build + os.sep)]

    def tidy(path):
        done = subprocess.run(["clang-tidy", "--quiet", "-p", build, path], capture_output=True, text=True, check=False)
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
