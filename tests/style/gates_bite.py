#!/usr/bin/env python3
"""gates_bite.py SOURCE-DIRECTORY - each style gate refuses what it is there to refuse, and the closing lines of ./check
count a failure, a skip and a run without tests as what they are."""
import os
import subprocess
import sys
import tempfile

HEAD = "/* SPDX-License-Identifier: MIT\n *\n * x.c - for a test.\n */\n"
LONG = "int f(void)\n{\n" + "    g();\n" * 60 + "}\n"
MAZE = "int f(int a)\n{\n" + "    if (a)\n        g();\n" * 15 + "}\n"
# gate: (file, content that it must refuse)
WRONG = {
    "files_are_short": ("host/x.c", HEAD + "int a;\n" * 600),
    "functions_are_short": ("host/x.c", HEAD + LONG),
    "functions_are_simple": ("host/x.c", HEAD + MAZE),
    "no_banned_functions": ("host/x.c", HEAD + "void f(void)\n{\n    str" "cpy(a, b);\n}\n"),
    "no_undone_words": ("host/x.c", HEAD + "/* TO" "DO: the rest */\n"),
    "no_private_places": ("README.md", "see /wo" "rk/there\n"),
    "licence_lines": ("host/x.c", "int a;\n"),
    "includes_follow_the_rules": ("plugins/local/x.c", HEAD + '#include "host/log.h"\n'),
}
FINE = HEAD + '#include "sbx.h"\n\n/* strcpy( is only named here. */\nint f(void)\n{\n    return g("strcpy(");\n}\n'


def gate(root, source, case):
    return subprocess.run([sys.executable, "-B", f"{source}/tests/style/check_style.py", case, root],
                          capture_output=True, check=False).returncode


def write(root, path, text):
    os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
    with open(os.path.join(root, path), "w", encoding="utf-8") as file:
        file.write(text)


def report(source, stages, files):
    """The report's exit code and last line over such results."""
    with tempfile.TemporaryDirectory() as results:
        write(results, "stages", stages)
        for name, cases in files.items():
            write(results, name, f"<testsuite>{cases}</testsuite>")
        done = subprocess.run([sys.executable, "-B", f"{source}/.ci/report.py", results], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout.splitlines()[-1]


def main():
    source, problems = os.path.abspath(sys.argv[1]), []
    for case, (path, text) in WRONG.items():
        with tempfile.TemporaryDirectory() as root:
            write(root, "host/fine.c", FINE)
            if gate(root, source, case) != 0:
                problems.append(f"{case} refuses what is fine")
            write(root, path, text)
            if gate(root, source, case) != 1:
                problems.append(f"{case} lets pass what it should refuse")
    passed = '<testcase name="a" status="run"/>'
    failed = '<testcase name="b" status="fail"><failure/></testcase>'
    skipped = '<testcase name="c" status="notrun"><skipped/><system-out>SKIP: why</system-out></testcase>'
    partly = '<testcase name="d" status="run"><system-out>SKIP: a part</system-out></testcase>'
    wanted = (
        (("build 0\nt 0\n", {"t.xml": passed + skipped + partly}), (0, "3 passed, 0 failed, 2 skipped")),
        (("build 0\nt 8\n", {"t.xml": passed + failed}), (1, "2 passed, 1 failed, 0 skipped")),
        (("t 124\n", {"t.xml": passed}), (1, "1 passed, 1 failed, 0 skipped")),
        (("t 0\n", {"t.xml": ""}), (1, "0 passed, 1 failed, 0 skipped")),
        (("t 0\n", {"t.xml": skipped}), (1, "0 passed, 1 failed, 1 skipped")),
        (("build 1\nt not-run\n", {}), (1, "0 passed, 2 failed, 0 skipped")),
        (("t 137\n", {"t.xml": "<testcase"}), (1, "0 passed, 1 failed, 0 skipped")),
        (("", {}), (1, "0 passed, 0 failed, 0 skipped")),
    )
    for results, want in wanted:
        got = report(source, *results)
        if got != want:
            problems.append(f"the report says {got}, not {want}")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
