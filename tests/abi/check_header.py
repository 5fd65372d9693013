#!/usr/bin/env python3
"""check_header.py CASE SOURCE-DIRECTORY - what must hold for the text of the public headers."""
import os
import re
import subprocess
import sys
import tempfile

import header

TAGS = ("[any]", "[call]", "[last]", "[inside]")


def same_vocabulary(root):
    """sbx.h and sbx_plugin.h share their vocabulary word for word."""
    one = header.vocabulary(header.read(f"{root}/include/sbx.h"))
    other = header.vocabulary(header.read(f"{root}/include/sbx_plugin.h"))
    if one != other:
        return ["the vocabulary differs between sbx.h and sbx_plugin.h"]
    return []


def every_slot_documented(root):
    """Each function pointer has a contract, and a tag that says which thread and state may call it."""
    problems = []
    found = header.slots(header.read(f"{root}/include/sbx_plugin.h"))
    if len(found) < 50:
        problems.append(f"only {len(found)} slots were found: the reader of the header is broken")
    for struct, slot, comment in found:
        if not any(tag in comment for tag in TAGS):
            problems.append(f"{struct}.{slot} has no thread tag")
        words = re.sub(r"\[\w+\]|/\*|\*/", "", comment).split()
        if struct.endswith("_ops") and len(words) < 5:
            problems.append(f"{struct}.{slot} has no contract")
    return problems


def man_page_complete(root):
    """sbx_plugin(3) names every struct, every slot and every code of the header."""
    text = header.read(f"{root}/include/sbx_plugin.h")
    page = header.read(f"{root}/docs/man/sbx_plugin.3").replace("\\-", "-")
    wanted = [(f"struct {name}", name) for name in header.structs(text)]
    wanted += [(f"slot {slot} of {struct}", slot) for struct, slot, _ in header.slots(text)]
    wanted += [(f"code {name}", name) for name in header.constants(text) + header.macros(text)
               if not name.startswith("SBX_VOCABULARY") and name != "SBX_PLUGIN_H"]
    return [f"sbx_plugin.3 lacks {what}" for what, word in wanted if not re.search(rf"(?<!\w){word}(?!\w)", page)]


def layout(root):
    """Offsets and sizes of every struct, and every constant's value, are those that were written down."""
    path = f"{root}/tests/abi/layout.x86_64"
    got = dump(root, "sbx_plugin")
    if os.environ.get("SBX_WRITE_LAYOUT"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(got)
    want = header.read(path)
    problems = [f"was: {line}" for line in sorted(set(want.splitlines()) - set(got.splitlines()))]
    problems += [f"is:  {line}" for line in sorted(set(got.splitlines()) - set(want.splitlines()))]
    if problems:
        problems.append("an intended addition: SBX_WRITE_LAYOUT=1 tests/abi/check_header.py layout .")
    return problems


def dump(root, name):
    """What a program that includes the header prints about it."""
    text = header.read(f"{root}/include/{name}.h")
    lines = [f'#include "{root}/include/{name}.h"', "#include <stdio.h>", "int main(void)", "{"]
    for struct, members in header.structs(text).items():
        lines.append(f'printf("struct {struct} %zu\\n", sizeof(struct {struct}));')
        for one in members:
            lines.append(f'printf("{struct}.{one} at %zu size %zu\\n", offsetof(struct {struct}, {one}), '
                         f"sizeof(((struct {struct} *)0)->{one}));")
    for one in header.constants(text):
        lines.append(f'printf("{one} %lld\\n", (long long){one});')
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/dump.c", "w", encoding="utf-8") as unit:
            unit.write("\n".join(lines + ["return 0;", "}", ""]))
        subprocess.run(["cc", "-std=c11", "-o", f"{folder}/dump", f"{folder}/dump.c"], check=True)
        return subprocess.run([f"{folder}/dump"], check=True, capture_output=True, text=True).stdout


CASES = {one.__name__: one for one in (same_vocabulary, every_slot_documented, man_page_complete, layout)}


def main():
    if sys.argv[1] == "layout" and os.uname().machine != "x86_64":
        print("SKIP: the layout is written down for x86_64 only")
        return 77
    problems = CASES[sys.argv[1]](os.path.abspath(sys.argv[2]))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
