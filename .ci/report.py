#!/usr/bin/env python3
"""report.py RESULTS - the closing lines of ./check.

Reads RESULTS/stages (lines `NAME CODE`) and RESULTS/NAME.xml (JUnit, from ctest or valgrind.py). A stage with an XML
file counts each of its tests, any other stage counts as one. Lines `SKIP: reason` in a test's output count as skipped,
also where the test as a whole passed. Exit code 0: something passed and nothing failed.
"""
import collections
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

UNPRINTABLE = re.compile(r"[^\n\t\x20-\x7e]")
SKIP_LINE = re.compile(r"^\s*SKIP: (.*)$", re.MULTILINE)


def reasons_in(case):
    """The reasons that the test's output gives for what it left out."""
    return SKIP_LINE.findall("\n".join(case.itertext()))


def last_words(case, limit=1500):
    """The end of what a test printed: a log of many tests shows little of one that failed early on."""
    text = "\n".join(part.strip() for part in case.itertext() if part.strip())
    return UNPRINTABLE.sub("?", text[-limit:])


def read_tests(path):
    """(passed names, failed names with their last words, [(name, reason)]) of one JUnit file."""
    passed, failed, skipped = [], [], []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        reasons = reasons_in(case)
        if case.find("failure") is not None or status == "fail":
            failed.append(f"{name}\n{last_words(case)}\n    end of {name}")
        elif case.find("skipped") is not None or status in ("notrun", "disabled"):
            skipped += [(name, reason) for reason in reasons] or [(name, "gave no reason")]
        else:
            passed.append(name)
            skipped += [(name, reason) for reason in reasons]
    return passed, failed, skipped


def read_stage(results, name, code):
    """As read_tests, for a stage of any kind."""
    path = os.path.join(results, name + ".xml")
    if code == "not-run":
        return [], [f"{name} (its build failed, so nothing was run)"], []
    if not os.path.exists(path):
        return ([name], [], []) if code == "0" else ([], [name], [])
    try:
        passed, failed, skipped = read_tests(path)
    except ElementTree.ParseError:
        return [], [f"{name} (its results are cut short)"], []
    if not passed and not failed:
        failed.append(f"{name} (no test ran)")
    elif code != "0" and not failed:
        failed.append(f"{name} (exit code {code})")
    return passed, failed, skipped


def main():
    results = sys.argv[1]
    total = collections.Counter()
    all_failed, all_skipped = [], collections.OrderedDict()
    with open(os.path.join(results, "stages"), encoding="utf-8") as stages:
        rows = [line.split() for line in stages]
    for name, code in rows:
        passed, failed, skipped = read_stage(results, name, code)
        print(f"{name:12} {len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
        total.update(passed=len(passed), failed=len(failed), skipped=len(skipped))
        all_failed += [(name, one) for one in failed]
        for one in skipped:
            all_skipped.setdefault(one, []).append(name)
    for stage, one in all_failed:
        print(f"failed: [{stage}] {one}")
    for (test, reason), where in all_skipped.items():
        print(f"skipped: {test}: {reason} [{', '.join(where)}]")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 0 if total["passed"] > 0 and total["failed"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
