#!/usr/bin/env python3
"""valgrind.py BUILD JUNIT JOBS - runs the tests of BUILD that carry the label valgrind_core under valgrind.

A test program is run by valgrind itself; a script gets SBX_WRAP, the words to put before each program of ours. Any
invalid access, use of undefined data, or lost block fails the test.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite", "--child-silent-after-fork=yes", "--max-stackframe=4000000"]
LIMIT_S = 300


def core_tests(build):
    """The labelled tests as ctest describes them."""
    text = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-L", "^valgrind_core$"],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text)["tests"]


def properties_of(test):
    return {one["name"]: one["value"] for one in test.get("properties", [])}


def is_ours(path, build):
    """A program that this build made, and not a script or its interpreter."""
    with open(path, "rb") as program:
        return path.startswith(build + os.sep) and program.read(4) == b"\x7fELF"


def run(test, build):
    """(name, exit code, output, seconds) of one test."""
    started = time.monotonic()
    properties = properties_of(test)
    environment = dict(os.environ)
    environment.update(one.split("=", 1) for one in properties.get("ENVIRONMENT", []))
    command = test["command"]
    if is_ours(command[0], build):
        command = VALGRIND + command
    else:
        environment["SBX_WRAP"] = " ".join(VALGRIND)
    folder = properties.get("WORKING_DIRECTORY", build)
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False).returncode
        except subprocess.TimeoutExpired:
            code = 124
        output.seek(0)
        text = output.read()[-65536:].decode("utf-8", "replace")
        return test["name"], code, text, time.monotonic() - started


def main():
    build, junit, jobs = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    tests = core_tests(build)
    suite = ElementTree.Element("testsuite", name="valgrind")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, code, output, seconds in pool.map(lambda test: run(test, build), tests):
            case = ElementTree.SubElement(suite, "testcase", name=name, time=f"{seconds:.2f}",
                                         status="run" if code == 0 else "fail")
            if code == 77:
                case.set("status", "notrun")
                ElementTree.SubElement(case, "skipped")
            elif code != 0:
                failed += 1
                ElementTree.SubElement(case, "failure")
                print(f"{name}: exit code {code}\n{output}")
            text = "".join(c if c >= " " or c in "\n\t" else "?" for c in output)
            ElementTree.SubElement(case, "system-out").text = text
    ElementTree.ElementTree(suite).write(junit, encoding="utf-8")
    if not tests:
        print("no test carries the label valgrind_core")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
