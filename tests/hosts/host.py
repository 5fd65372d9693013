#!/usr/bin/env python3
"""host.py CASE SOURCE-DIRECTORY [PLUGIN.so KEY=VALUE...] - a host in Python, by ctypes and the header's text alone.

layout: the structs as ctypes lays them out are those that a C compiler made. run: a sandbox is made, used and removed.
"""
import ctypes as c
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "abi"))
import check_header
import header

INTS = {"uint32_t": c.c_uint32, "int32_t": c.c_int32, "uint64_t": c.c_uint64, "int64_t": c.c_int64,
        "size_t": c.c_size_t, "sbx_status": c.c_int32}


def ctype(declaration, known, sizes):
    """The ctypes type of a member; every pointer is a void pointer."""
    if "(*" in declaration or "*" in declaration:
        return c.c_void_p
    array = re.fullmatch(r"char \w+\[(\w+)\]", declaration)
    if array:
        return c.c_char * int(sizes.get(array.group(1), array.group(1)))
    word = declaration.replace("const ", "").split()
    return known[word[1]] if word[0] == "struct" else INTS[word[0]]


def structs(root):
    """{name: ctypes.Structure} of every struct in the header."""
    text = header.read(f"{root}/include/sbx_plugin.h")
    sizes = dict(re.findall(r"^#define (SBX_\w+) (\d+)\b", text, flags=re.MULTILINE))
    known = {}
    for name, members in header.declarations(text).items():
        fields = [(one, ctype(declaration, known, sizes)) for one, declaration in members]
        known[name] = type(name, (c.Structure,), {"_fields_": fields})
    return known


def layout(root):
    """Compares with what a C program that includes the header prints."""
    lines = []
    for name, one in structs(root).items():
        lines.append(f"struct {name} {c.sizeof(one)}")
        lines += [f"{name}.{field} at {getattr(one, field).offset} size {getattr(one, field).size}"
                  for field, _ in one._fields_]
    compiled = [line for line in check_header.dump(root, "sbx_plugin").splitlines() if not line.startswith("SBX_")]
    problems = sorted(set(lines) ^ set(compiled))
    if len(lines) < 200:
        problems.append(f"only {len(lines)} lines: the reader of the header is broken")
    return problems


def run(root, path, *pairs):
    """Opens, creates, executes, removes, releases, closes."""
    types = structs(root)

    def made(name, **fields):
        one = types[name](size=c.sizeof(types[name]))
        for key, value in fields.items():
            setattr(one, key, value)
        return one

    def slot(table, name, result, *arguments):
        return c.CFUNCTYPE(result, *arguments)(getattr(table, name))

    pointer = c.c_void_p
    plugin = types["sbx_plugin"].in_dll(c.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL), "sbx_plugin_v1")
    backend = types["sbx_backend_ops"].from_address(plugin.backend)
    handle = types["sbx_handle_ops"].from_address(plugin.handle)
    error = made("sbx_error")
    call = made("sbx_call", error=c.addressof(error))
    texts = [word.encode() for pair in pairs for word in pair.split("=", 1)]
    buffers = [c.create_string_buffer(one) for one in texts]
    config = (types["sbx_kv"] * (len(pairs) or 1))()
    for i in range(len(pairs)):
        config[i].key, config[i].value = c.addressof(buffers[2 * i]), c.addressof(buffers[2 * i + 1])
    instance = c.create_string_buffer(b"python")
    arguments = made("sbx_open_args", instance=c.addressof(instance))
    arguments.config.items, arguments.config.count = c.addressof(config), len(pairs)
    host, b, h, got = made("sbx_host"), pointer(), pointer(), []

    @c.CFUNCTYPE(c.c_int32, pointer, pointer, c.c_size_t)
    def write(_user, data, length):
        got.append(c.string_at(data, length))
        return 0

    def check(status, what):
        if status != 0:
            raise SystemExit(f"{what}: {status}: {error.message.decode()}")

    four = (pointer,) * 4
    check(slot(backend, "open", c.c_int32, *four)(
        c.addressof(host), c.addressof(call), c.addressof(arguments), c.addressof(b)), "open")
    creation = made("sbx_create_args")
    check(slot(backend, "create", c.c_int32, *four)(b, c.addressof(call), c.addressof(creation), c.addressof(h)),
          "create")
    sink = made("sbx_sink", write=c.cast(write, pointer).value)
    command = c.create_string_buffer(b"echo hello; exit 7")
    execution = made("sbx_exec_args", command=c.addressof(command), out=c.addressof(sink))
    result = made("sbx_exec_result")
    check(slot(handle, "exec", c.c_int32, *four)(h, c.addressof(call), c.addressof(execution), c.addressof(result)),
          "exec")
    check(slot(handle, "remove", c.c_int32, pointer, pointer)(h, c.addressof(call)), "remove")
    slot(handle, "release", None, pointer)(h)
    slot(backend, "close", None, pointer)(b)
    if b"".join(got) != b"hello\n" or result.exit_code != 7:
        return [f"exec gave {got} and {result.exit_code}"]
    return []


def main():
    problems = {"layout": layout, "run": run}[sys.argv[1]](os.path.abspath(sys.argv[2]), *sys.argv[3:])
    print("\n".join(problems) or "all well")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
