"""What the tests of this folder know about a C header of ours: its structs, function pointers, constants, comments.

The headers are written in one plain style (clang-format keeps it), so a small line-based reader is enough; anything it
does not understand is an error, never skipped.
"""
import re

STRUCT = re.compile(r"^struct (\w+) \{(?:\s*/\*.*)?$")
MEMBER = re.compile(r"^(?:const )?(?:struct )?\w+(?: \*?const)*[ *]+(?:const \*)*(?:const )?\*?(\w+)(?:\[[\w]+\])?$")
SLOT = re.compile(r"\(\*(\w+)\)\(")
CODE = re.compile(r"\b(SBX_[A-Z0-9_]+)\b")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def vocabulary(text):
    """The part that both headers share, from its own first line to its last."""
    start = text.index("#ifndef SBX_VOCABULARY_1")
    end = text.index("#endif /* SBX_VOCABULARY_1 */")
    return text[start:end]


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def structs(text):
    """{name: [member names in order]} of every struct with a body."""
    return {name: [one for one, _ in members] for name, members in declarations(text).items()}


def declarations(text):
    """{name: [(member, its declaration) in order]} of every struct with a body."""
    found, current, pending = {}, None, ""
    for line in without_comments(text).splitlines():
        start = STRUCT.match(line.rstrip())
        if start:
            current, pending = start.group(1), ""
            found[current] = []
        elif line.startswith("};") or line.startswith("}"):
            current = None
        elif current is not None and line.strip():
            pending += " " + line.strip()
            if pending.endswith(";"):
                declaration = " ".join(pending[1:-1].split())
                found[current].append((member(declaration), declaration))
                pending = ""
    return found


def member(declaration):
    """The name that a member's declaration declares."""
    slot = SLOT.search(declaration)
    if slot:
        return slot.group(1)
    plain = MEMBER.match(declaration)
    if not plain:
        raise ValueError(f"a member in an unknown shape: {declaration}")
    return plain.group(1)


def slots(text):
    """[(struct, slot, comment)]: every function pointer with the comment right above it or behind it."""
    found, current, comment, lines = [], None, "", text.splitlines()
    i = 0
    while i < len(lines):
        line = lines[i].strip()
        start = STRUCT.match(lines[i].rstrip())
        if start:
            current, comment = start.group(1), ""
        elif lines[i].startswith("}"):
            current = None
        elif current is not None and line.startswith("/*"):
            comment = line
            while not line.endswith("*/"):
                i += 1
                line = lines[i].strip()
                comment += " " + line
        elif current is not None and SLOT.search(line):
            while not without_comments(line).rstrip().endswith(";"):
                i += 1
                line += " " + lines[i].strip()
            behind = re.search(r"/\*.*\*/", line)
            found.append((current, SLOT.search(line).group(1), behind.group(0) if behind else comment))
            comment = ""
        elif line:
            comment = ""
        i += 1
    return found


def constants(text):
    """Every name that an enum of ours declares."""
    names = []
    for body in re.findall(r"\benum \{(.*?)\}", without_comments(text), flags=re.DOTALL):
        names += [re.split(r"\s*=", one.strip())[0] for one in body.split(",") if one.strip()]
    return names


def macros(text):
    return re.findall(r"^#define (SBX_\w+)", text, flags=re.MULTILINE)
