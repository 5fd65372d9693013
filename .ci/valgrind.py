#!/usr/bin/env python3
"""valgrind.py BUILD JUNIT JOBS - runs the tests of BUILD that carry the label valgrind_core under valgrind.

A test program is run by valgrind itself, once where all its tests are to be run; a script gets SBX_WRAP, the words to put
before each program of ours. Any invalid access, use of undefined data, or lost block fails the test.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite", "--child-silent-after-fork=yes", "--max-stackframe=4000000"]
LIMIT_S = 600
CMOCKA_LINE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\w+)$", re.MULTILINE)


def properties_of(test):
    return {one["name"]: one["value"] for one in test.get("properties", [])}


def all_tests(build):
    """Every test as ctest describes it."""
    text = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"],
                          check=True, capture_output=True, text=True).stdout
    return [test for test in json.loads(text)["tests"] if test.get("command")]


def is_core(test):
    return "valgrind_core" in properties_of(test).get("LABELS", [])


def is_ours(path, build):
    """A program that this build made, and not a script or its interpreter."""
    with open(path, "rb") as program:
        return path.startswith(build + os.sep) and program.read(4) == b"\x7fELF"


def program_of(test):
    """What two tests have in common that one run of a program may show both of."""
    properties = properties_of(test)
    return test["command"][0], properties.get("WORKING_DIRECTORY"), tuple(properties.get("ENVIRONMENT", []))


def group(tests, build):
    """[(command, tests)]: a program with nothing but tests of the core is run once, since most of a run is valgrind's
    own start."""
    apart = {program_of(test) for test in tests if not is_core(test)}
    groups = {}
    for test in filter(is_core, tests):
        program = program_of(test)
        is_whole = is_ours(program[0], build) and len(test["command"]) == 2 and program not in apart
        groups.setdefault(program if is_whole else test["name"], []).append(test)
    return [(of[0]["command"][:1] if isinstance(key, tuple) else of[0]["command"], of) for key, of in groups.items()]


def run(command, test, build):
    """(exit code, output, seconds) of the command, in the surroundings of the test."""
    started = time.monotonic()
    properties = properties_of(test)
    environment = dict(os.environ)
    environment.update(one.split("=", 1) for one in properties.get("ENVIRONMENT", []))
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
        return code, output.read()[-1048576:].decode("utf-8", "replace"), time.monotonic() - started


def verdicts(command, tests, code, output):
    """[(name, verdict)]: run, fail or notrun; what a program as a whole did wrong is a failure of its own name."""
    if len(command) > 1:
        return [(test["name"], "run" if code == 0 else "notrun" if code == 77 else "fail") for test in tests]
    words = {"OK": "run", "SKIPPED": "notrun"}
    said = {name: words.get(word, "fail") for word, name in CMOCKA_LINE.findall(output)}
    found = [(test["name"], said.pop(test["command"][1], "fail")) for test in tests]
    found += [(f"{name} (which ctest does not know)", "fail") for name in said]
    if code not in (0, 77) and all(verdict != "fail" for _, verdict in found):
        found.append((os.path.basename(command[0]), "fail"))
    return found


def add_case(suite, name, verdict, seconds, output):
    case = ElementTree.SubElement(suite, "testcase", name=name, status=verdict, time=f"{seconds:.2f}")
    if verdict != "run":
        ElementTree.SubElement(case, "skipped" if verdict == "notrun" else "failure")
        text = "".join(c if c >= " " or c in "\n\t" else "?" for c in output[-65536:])
        ElementTree.SubElement(case, "system-out").text = text


def main():
    build, junit, jobs = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    groups = group(all_tests(build), build)
    suite = ElementTree.Element("testsuite", name="valgrind")
    failed = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda one: run(one[0], one[1][0], build), groups)
        for (command, tests), (code, output, seconds) in zip(groups, results):
            found = verdicts(command, tests, code, output)
            for name, verdict in found:
                add_case(suite, name, verdict, seconds / len(found), output)
            bad = [name for name, verdict in found if verdict == "fail"]
            if bad:
                print(f"{', '.join(bad)}: exit code {code}\n{output}")
            failed += bad
    ElementTree.ElementTree(suite).write(junit, encoding="utf-8")
    if not groups:
        print("no test carries the label valgrind_core")
    return 1 if failed or not groups else 0


if __name__ == "__main__":
    sys.exit(main())
