#!/usr/bin/env python3
"""gate.py CASE SOURCE-DIRECTORY [MORE] - what keeps the frozen ABI: rules C6, C7 and C17 of docs/rules.md.

frozen: the kept headers are as they were. keeps: assertions made from each of them hold for the current header, by gcc
and clang. bites: edited headers are refused or accepted as they must be. future FILE: writes a header of a later minor.
library BUILD: no name of libsbx went away.
library_types BUILD: its functions and structs are those of libsbx.abi, but for functions that are new.
library_types_bites BUILD: edits of libsbx.abi that must be found.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

import check_header
import header

# What an edit of the current header must lead to: a word of the refusal, or None where it is allowed.
MUTANTS = (
    ("a field in the middle", "    uint64_t max_output;", "    uint64_t early;\n    uint64_t max_output;",
     "sbx_exec_args.max_output"),
    ("a wider field", "    uint32_t timeout_ms; /*", "    uint64_t timeout_ms; /*", "sbx_exec_args.timeout_ms"),
    ("a field of another type", "    int32_t exit_code;\n    int32_t term_signal;\n    uint64_t out_bytes",
     "    uint32_t exit_code;\n    int32_t term_signal;\n    uint64_t out_bytes", "sbx_exec_result.exit_code"),
    ("swapped slots", "(*suspend)(struct sbx_handle *h, struct sbx_call *call)",
     "(*resume_first)(struct sbx_handle *h, struct sbx_call *call)", "suspend"),
    ("a slot that is gone", "    void (*release)(struct sbx_handle *h);", "", "release"),
    ("a wider parameter of a slot", "struct sbx_call *call, uint32_t port, const struct sbx_source",
     "struct sbx_call *call, uint64_t port, const struct sbx_source", "sbx_dial_ops.dial"),
    ("a const that is gone", "    const char *(*id)(struct sbx_handle *h);", "    char *(*id)(struct sbx_handle *h);",
     "sbx_handle_ops.id"),
    ("another number of a code", "SBX_E_GONE = -16", "SBX_E_GONE = -26", "SBX_E_GONE"),
    ("another number of a flag", "SBX_EXEC_NO_TIMEOUT = 1u << 1", "SBX_EXEC_NO_TIMEOUT = 1u << 5",
     "SBX_EXEC_NO_TIMEOUT"),
    ("an enum's member before others", "    SBX_STATE_UNKNOWN,\n", "    SBX_STATE_NEW,\n    SBX_STATE_UNKNOWN,\n",
     "SBX_STATE_"),
    ("another id of a capability", '"sbx.job/1"', '"sbx.job/2"', "SBX_EXT_JOB"),
    ("a pair that grows", "    const char *value;\n};", "    const char *value;\n    uint64_t more;\n};", "sbx_kv"),
    ("a shorter text", "char message[512];", "char message[256];", "sbx_error.message"),
    ("a renamed field", "    const char *cwd;", "    const char *directory;", "cwd"),
    ("a field at the end", "    const struct sbx_tty *tty; /* NULL: no terminal */\n",
     "    const struct sbx_tty *tty; /* NULL: no terminal */\n    uint64_t later;\n", None),
    ("a slot at the end", "                             const struct sbx_write_args *args, const struct sbx_source *in);\n};",
     "                             const struct sbx_write_args *args, const struct sbx_source *in);\n"
     "    sbx_status (*later)(struct sbx_handle *h);\n};", None),
    ("a new code", "SBX_E_UNKNOWN = -23", "SBX_E_UNKNOWN = -23, SBX_E_LATER = -24", None),
    ("another comment", "/* NULL: no terminal */", "/* NULL: there is no terminal */", None),
)


def type_of(declaration):
    """A member's declaration without its name."""
    slot = re.match(r"(.*\(\*)(\w+)(\)\(.*)$", declaration)
    if slot:
        return slot.group(1) + slot.group(3)
    name = header.member(declaration)
    return re.sub(rf"\b{name}(\[\w+\])?$", lambda m: m.group(1) or "", declaration)


def assertions(text, values):
    """A C source that compiles against a header that keeps what this one promises."""
    lines = ['#include "sbx_plugin.h"',
             "#define KEPT(condition, what) _Static_assert(condition, \"C6: \" what)",
             "#define SAME(a, b) __builtin_types_compatible_p(a, b)"]
    for name, members in header.declarations(text).items():
        size = values[f"struct {name}"]
        exact = members[0][0] != "size"
        lines.append(f"KEPT(sizeof(struct {name}) {'==' if exact else '>='} {size}, "
                     f"\"struct {name} {'has another size' if exact else 'shrank'}\");")
        for member, declaration in members:
            offset, width = values[f"{name}.{member}"]
            where = f"((struct {name} *)0)->{member}"
            lines.append(f"KEPT(offsetof(struct {name}, {member}) == {offset}, \"{name}.{member} moved\");")
            lines.append(f"KEPT(sizeof({where}) == {width}, \"{name}.{member} has another size\");")
            lines.append(f"KEPT(SAME(__typeof__({where}), __typeof__({type_of(declaration)})), "
                         f"\"{name}.{member} has another type\");")
    lines += [f"KEPT((long long){one} == {values[one]}LL, \"{one} has another number\");" for one in header.constants(text)]
    lines += [f"KEPT(__builtin_strcmp({name}, {value}) == 0, \"{name} is another id\");"
              for name, value in re.findall(r'#define (SBX_EXT_\w+)\s+(?:\\\s+)?("[^"]*")', text)]
    lines.append('KEPT(SAME(sbx_status, int32_t), "sbx_status has another type");')
    return "\n".join(lines) + "\n"


def values_of(folder):
    """What a compiler says of the frozen header below `folder`: sizes, offsets, numbers."""
    values = {}
    for line in check_header.dump(folder, "sbx_plugin").splitlines():
        words = line.split()
        if words[0] == "struct":
            values[f"struct {words[1]}"] = int(words[2])
        elif words[1] == "at":
            values[words[0]] = (int(words[2]), int(words[4]))
        else:
            values[words[0]] = int(words[1])
    return values


def frozen_headers(root):
    found = sorted(glob.glob(f"{root}/tests/abi/frozen/*/sbx_plugin.h"))
    if not found:
        raise SystemExit("no frozen header was found")
    return found


def sources(root):
    """{version: the assertions of its frozen header}"""
    made = {}
    for path in frozen_headers(root):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/include")
            shutil.copy(path, f"{folder}/include/sbx_plugin.h")
            made[os.path.basename(os.path.dirname(path))] = assertions(header.read(path), values_of(folder))
    return made


def compile_against(text, asserted, compiler):
    """None, or what the compiler says when the assertions meet this header."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("sbx_plugin.h", text), ("gate.c", asserted)):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(content)
        done = subprocess.run([compiler, "-std=gnu11", "-fsyntax-only", f"{folder}/gate.c"], capture_output=True,
                              text=True, check=False)
    return None if done.returncode == 0 else done.stderr.replace(folder + "/", "")


def frozen(root):
    problems, kept = [], header.read(f"{root}/tests/abi/frozen/SHA256SUMS").splitlines()
    for line in kept:
        told, path = line.split()
        with open(f"{root}/tests/abi/frozen/{path}", "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != told:
                problems.append(f"C7: the frozen header {path} was changed; what is new belongs into include/")
    if len(kept) != len(frozen_headers(root)):
        problems.append("C7: a frozen header is not in SHA256SUMS, or is gone")
    return problems


def compilers():
    found = [one for one in ("gcc", "clang") if shutil.which(one)]
    return found or ["cc"]


def keeps(root):
    problems, current = [], header.read(f"{root}/include/sbx_plugin.h")
    for version, asserted in sources(root).items():
        if asserted.count("KEPT(") < 600:
            problems.append(f"only {asserted.count('KEPT(')} assertions: the reader of the header is broken")
        for compiler in compilers():
            said = compile_against(current, asserted, compiler)
            if said:
                problems.append(f"C6: the header breaks what {version} promises, by {compiler}:\n{said}")
    return problems


def bites(root):
    problems, current = [], header.read(f"{root}/include/sbx_plugin.h")
    asserted = sources(root)["1.0"]
    for name, old, new, word in MUTANTS:
        if current.count(old) < 1:
            problems.append(f"{name}: the header no longer has what is to be edited")
            continue
        for compiler in compilers():
            said = compile_against(current.replace(old, new, 1), asserted, compiler)
            if word is None and said:
                problems.append(f"{name} is refused by {compiler}: {said}")
            elif word is not None and (not said or word not in said):
                problems.append(f"{name} is not refused for '{word}' by {compiler}: {said}")
    return problems


def future(root, out):
    """A header of the next minor: each struct with a size has one member more at its end."""
    lines, name, sized = [], None, False
    for line in header.read(f"{root}/include/sbx_plugin.h").splitlines():
        start = header.STRUCT.match(line.rstrip())
        if start:
            name, sized = start.group(1), False
        elif name and line.strip().startswith("uint32_t size;"):
            sized = True
        elif name and line.startswith("};"):
            if sized:
                lines.append("    sbx_status (*future_slot)(struct sbx_handle *h); /* [call] */" if name.endswith("_ops")
                             else "    uint64_t future_field;")
            name = None
        lines.append(line.replace("#define SBX_ABI_MINOR 0u", "#define SBX_ABI_MINOR 1u"))
    text = "\n".join(lines) + "\n"
    with open(out, "w", encoding="utf-8") as file:
        file.write(text)
    problems = [] if text.count("future_") > 40 else ["the future header has hardly anything new"]
    for version, asserted in sources(root).items():
        problems += [f"C6: the future header breaks what {version} promises: {said}" for one in compilers()
                     if (said := compile_against(text, asserted, one))]
    return problems


def library(root, build):
    names = subprocess.run(["nm", "-D", "--defined-only", f"{build}/lib/libsbx.so"], check=True, capture_output=True,
                           text=True).stdout
    there = {line.split()[-1].split("@")[0] for line in names.splitlines()}
    return [f"C17: libsbx no longer exports {one}" for one in
            header.read(f"{root}/tests/abi/libsbx.names").split() if one not in there]


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def need_abigail(lib):
    for tool in ("abidw", "abidiff"):
        if shutil.which(tool) is None:
            skip(f"{tool} is not installed (package abigail-tools)")
    if os.uname().machine != "x86_64":
        skip("libsbx.abi is that of x86_64")
    sections = subprocess.run(["readelf", "-SW", lib], check=True, capture_output=True, text=True).stdout
    if ".debug_info" not in sections:
        skip("libsbx was built without debug information")


def differences(baseline, lib):
    """What abidiff says, or nothing. The baseline knows public structs alone; that others are known now is harmless."""
    done = subprocess.run(["abidiff", "--no-added-syms", baseline, lib], check=False, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() or "abidiff fails" if done.returncode != 0 else ""


def library_types(root, build):
    lib, baseline = f"{build}/lib/libsbx.so", f"{root}/tests/abi/libsbx.abi"
    need_abigail(lib)
    if os.environ.get("SBX_WRITE_LIBSBX_ABI"):
        subprocess.run(["abidw", "--headers-dir", f"{root}/include", "--no-corpus-path", "--no-show-locs",
                        "--no-comp-dir-path", "--drop-undefined-syms", "--drop-private-types", "--type-id-style",
                        "hash", "--out-file", baseline, lib], check=True)
        text = header.read(baseline).replace(f"path='{root}/", "path='")
        with open(baseline, "w", encoding="utf-8") as file:
            file.write(text)
    found = differences(baseline, lib)
    return [f"C17: libsbx is not what programs were linked with. Where a struct only grew at its end, "
            f"SBX_WRITE_LIBSBX_ABI=1 renews tests/abi/libsbx.abi.\n{found}"] if found else []


def library_types_bites(root, build):
    lib = f"{build}/lib/libsbx.so"
    need_abigail(lib)
    text = header.read(f"{root}/tests/abi/libsbx.abi")
    result = re.search(r"<class-decl name='sbx_exec_result'.*?</class-decl>", text, re.DOTALL).group(0)
    wide = re.search("name='out_bytes' type-id='([0-9a-f]+)'", result).group(1)
    field = result[result.index("'exit_code'"):].split("\n")[0]
    edits = {
        "a function that is gone": (text.replace("sbx_tunnel_close", "sbx_tunnel_shut"), "sbx_tunnel_shut"),
        "a parameter that is gone": (re.sub(r" *<parameter [^\n]* name='tunnel'/>\n", "", text), "sbx_tunnel_close"),
        "a field of another type": (text.replace(result, result.replace(field, re.sub("type-id='[0-9a-f]+'",
                                    f"type-id='{wide}'", field))), "exit_code"),
        "another order of fields": (text.replace(result, result.replace("'64'", "'0'").replace("'0'", "'64'", 1)),
                                    "sbx_exec_result"),
    }
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (edited, word) in edits.items():
            if edited == text:
                problems.append(f"C17: {name}: the edit changes nothing")
                continue
            with open(f"{folder}/edited.abi", "w", encoding="utf-8") as file:
                file.write(edited)
            if word not in differences(f"{folder}/edited.abi", lib):
                problems.append(f"C17: {name}: not found")
    return problems


def main():
    cases = {one.__name__: one for one in (frozen, keeps, bites, future, library, library_types, library_types_bites)}
    problems = cases[sys.argv[1]](os.path.abspath(sys.argv[2]), *sys.argv[3:])
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
