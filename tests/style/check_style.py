#!/usr/bin/env python3
"""check_style.py CASE SOURCE-DIRECTORY [BUILD-DIRECTORY] - one rule of the house style over the whole tree."""
import os
import re
import subprocess
import sys

import source

FILE_LINES, FUNCTION_LINES, COMPLEXITY = 600, 60, 15
# docs/decisions/abi-header-length.md says why.
LONG_FILES = {"include/sbx_plugin.h", "tests/abi/frozen/1.0/sbx_plugin.h"}
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|strtok_r|atoi|atol|atoll|atof|alloca|gets|tmpnam|mktemp|"
                    r"xmalloc|xstrdup|g_malloc)\s*\(")
SHELL = re.compile(r"\b(system|popen)\s*\(")  # a test may call a shell
# Words that promise work not done, and places of one developer's machine. Written in parts, so as not to find themselves.
UNDONE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|not implemen" r"ted|stu" r"b)\b")
PLACES = re.compile(r"(?<![\w.-])/(wo" r"rk|fa" r"rm|ho" r"me/[a-z]+/(?:src|git))/|issue [0-9]+")
PLACES_ALLOWED = re.compile(r"/home/sandbox")
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)
CLI = re.compile(r"^host/(main|cmd[a-z_0-9]*|cli[a-z_0-9]*|json|pty|terminal)\.[ch]$")
FOREIGN = {  # a library's header: the only files that may include it
    "dlfcn.h": r"host/loader\.c|host/archive_loader\.c|conform/.*|tests/.*",
    "ini.h": r"host/config[a-z_]*\.c|conform/config\.c",
    "cjson/cJSON.h": r"host/json\.c|plugins/common/json\.c",
    "curl/curl.h": r"plugins/common/http_inside\.h",
    "archive.h": r"host/tar[a-z_]*\.c|plugins/common/archive\.c",
    "archive_entry.h": r"host/tar[a-z_]*\.c|plugins/common/archive\.c",
}


def c_files(root):
    return source.tracked(root, "*.c", "*.h")


def top_ten(rows, what):
    print(f"the ten largest by {what}:")
    for value, where in sorted(rows, reverse=True)[:10]:
        print(f"  {value:5} {where}")


def files_are_short(root):
    rows = [(source.read(root, path).count("\n"), path)
            for path in source.tracked(root, "*.c", "*.h", "*.py", "*.sh", "quickstart", "check")]
    top_ten(rows, "lines")
    return [f"{path}: {lines} lines, at most {FILE_LINES}" for lines, path in rows
            if lines > FILE_LINES and path not in LONG_FILES]


def all_functions(root):
    found = [one for path in c_files(root) for one in source.functions(path, source.read(root, path))]
    if not found:
        raise SystemExit("no function was found: the reader of the sources is broken")
    return found


def functions_are_short(root):
    found = all_functions(root)
    top_ten([(one.length, f"{one.path}:{one.line} {one.name}") for one in found], "length")
    return [f"{one.path}:{one.line}: {one.name} has {one.length} lines, at most {FUNCTION_LINES}" for one in found
            if one.length > FUNCTION_LINES]


def functions_are_simple(root):
    found = all_functions(root)
    top_ten([(one.complexity, f"{one.path}:{one.line} {one.name}") for one in found], "complexity")
    return [f"{one.path}:{one.line}: {one.name} has complexity {one.complexity}, at most {COMPLEXITY}" for one in found
            if one.complexity > COMPLEXITY]


def matches(root, paths, pattern, code_only):
    for path in paths:
        text = source.read(root, path)
        if code_only:
            text = source.code_of(text)
        for number, line in enumerate(text.splitlines(), 1):
            found = pattern.search(line)
            if found:
                yield path, number, found.group(0).strip(), line


def no_banned_functions(root):
    ours = [path for path in c_files(root) if not path.startswith("tests/")]
    found = list(matches(root, c_files(root), BANNED, True)) + list(matches(root, ours, SHELL, True))
    return [f"{path}:{line}: {what.rstrip('( ')} is banned" for path, line, what, _ in found]


def no_undone_words(root):
    return [f"{path}:{line}: '{what}'" for path, line, what, _ in
            matches(root, source.tracked(root), UNDONE, False)]


def no_private_places(root):
    return [f"{path}:{line}: '{what}'" for path, line, what, text in
            matches(root, source.tracked(root), PLACES, False) if not PLACES_ALLOWED.search(text)]


def licence_lines(root):
    """Each file names its licence, and says what it is for: itself, or in the header of its own name."""
    problems = []
    for path in c_files(root):
        text = source.read(root, path)
        own_header = os.path.join(root, path[:-2] + ".h")
        if not text.startswith("/* SPDX-License-Identifier: MIT"):
            problems.append(f"{path}: its first line lacks SPDX-License-Identifier: MIT")
        elif not text.startswith("/* SPDX-License-Identifier: MIT\n *\n * ") and (
                path.endswith(".h") or not os.path.exists(own_header)):
            problems.append(f"{path}: it does not begin by saying what it is for")
    return problems


def allowed(path, name):
    """None when the file may include it, else the rule that it breaks."""
    for library, where in FOREIGN.items():
        if name == library and not re.fullmatch(where, path):
            return f"only {where} may include <{library}>"
    ours = name.startswith(("host/", "plugins/", "guest/", "base/", "conform/", "sbx"))
    if path == "include/sbx_plugin.h":
        return None if name in ("stddef.h", "stdint.h", "string.h") else "it stands alone"
    if path == "include/sbx.h":
        return None if name in ("stddef.h", "stdint.h") else "it stands alone"
    if not ours:
        return None
    if path.startswith("host/") and CLI.match(path):
        good = name in ("sbx.h", "sbx_access.h", "sbx_tools.h") or name.startswith("base/") or bool(CLI.match(name))
        return None if good else "the command line tool uses sbx.h, its own headers and base/"
    rules = (
        ("host/", ("sbx.h", "sbx_access.h", "sbx_tools.h", "sbx_plugin.h", "host/", "base/")),
        ("base/", ("base/",)),
        ("guest/", ("guest/", "base/cleanup.h", "sbx_plugin.h", "sbx.h")),
        ("plugins/template/", ("sbx_plugin.h", "template.h")),
        ("plugins/common/", ("sbx_plugin.h", "plugins/common/", "guest/wire.h", "base/")),
        ("conform/", ("sbx_plugin.h", "conform/", "base/")),
        ("tests/hosts/", ("sbx_plugin.h",)),
    )
    for folder, names in rules:
        if path.startswith(folder):
            return None if name.startswith(names) else f"{folder} may include {', '.join(names)}"
    own = re.match(r"plugins/[^/]+/", path)
    if own:
        names = ("sbx_plugin.h", "plugins/common/", "guest/wire.h", "base/", own.group(0))
        return None if name.startswith(names) else f"a plugin may include {', '.join(names)}"
    return None


def includes_follow_the_rules(root):
    problems = []
    for path in c_files(root):
        for name in INCLUDE.findall(source.read(root, path)):
            broken = allowed(path, name)
            if broken:
                problems.append(f"{path}: includes {name}: {broken}")
    return problems


# objdump's sections for data that can be written; .data.rel.ro is constant after start.
WRITABLE = re.compile(r"^\S+ (.{7}) (\.(?:data(?!\.rel\.ro)|bss|tdata|tbss)\S*|\*COM\*)\s+[0-9a-f]+ (.+)$")
MAY_HOLD_STATE = re.compile(r"^(host/loader|host/log)\.c|^guest/")


def no_writable_globals(root, build):
    """What the compiler put into writable sections, over every object file of the libraries, tools and plugins."""
    problems, objects, guest = [], 0, []
    for folder, _, files in os.walk(build):
        for one in files:
            path = os.path.relpath(os.path.join(folder, one), build)
            if not one.endswith(".o") or not path.startswith(("base/", "host/", "plugins/", "guest/", "conform/")):
                continue
            objects += 1
            origin = re.sub(r"CMakeFiles/[^/]+\.dir/", "", path)[:-2]
            text = subprocess.run(["objdump", "-t", os.path.join(build, path)], check=True, capture_output=True,
                                  text=True).stdout
            names = [m.group(3) for m in map(WRITABLE.match, text.splitlines()) if m and "O" in m.group(1)]
            if origin.startswith("guest/"):
                guest += [f"{origin}: {name}" for name in names]
            elif not MAY_HOLD_STATE.match(origin):
                problems += [f"{origin}: {name} can be written and has file scope" for name in names]
    if objects == 0:
        problems.append(f"no object file below {build}")
    if len(set(guest)) > 1:
        problems.append(f"the guest may hold one state struct, not {len(set(guest))}: {', '.join(sorted(set(guest)))}")
    return problems


CASES = {one.__name__: one for one in (
    files_are_short, functions_are_short, functions_are_simple, no_banned_functions, no_undone_words,
    no_private_places, licence_lines, includes_follow_the_rules, no_writable_globals)}


def main():
    problems = CASES[sys.argv[1]](*(os.path.abspath(one) for one in sys.argv[2:]))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
