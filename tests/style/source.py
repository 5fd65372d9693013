"""Reading C sources for the style tests: code without comments and texts, and functions with their measures.

clang-format keeps every function's braces in the first column, which makes a function easy to find.
"""
import collections
import os
import re
import subprocess

Function = collections.namedtuple("Function", "path line name length complexity")
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
BRANCH = re.compile(r"\b(?:if|for|while|switch)\b|&&|\|\||\?")
NAME = re.compile(r"(\w+)\s*\(")


def tracked(root, *patterns):
    """Paths, relative to root, of our own files: those in git, or every file outside of build trees."""
    done = subprocess.run(["git", "-C", root, "-c", f"safe.directory={root}", "ls-files", "--cached", "--others",
                           "--exclude-standard", "--", *patterns], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        names = done.stdout.splitlines()
    else:
        names = [os.path.relpath(os.path.join(folder, one), root)
                 for folder, folders, files in os.walk(root) for one in files
                 if not os.path.relpath(folder, root).startswith(("build", ".git/"))]
        names = [one for one in names if not patterns or any(one.endswith(p.lstrip("*")) for p in patterns)]
    return sorted(one for one in names if os.path.isfile(os.path.join(root, one)))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def blank(match):
    """Spaces of the same shape, so that lines keep their numbers."""
    text = match.group(0)
    if text.startswith(('"', "'")):
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    """The text without comments and without what stands in quotes."""
    return TOKEN.sub(blank, text)


def functions(path, text):
    """Every function's definition, with its length in lines and its cyclomatic complexity (a switch counts once)."""
    lines = code_of(text).splitlines()
    found, head, i = [], 0, 0
    while i < len(lines):
        line = lines[i]
        if line == "{":
            end = i
            while end < len(lines) and lines[end].rstrip() != "}":
                end += 1
            signature = " ".join(lines[head:i])
            name = NAME.search(signature)
            body = "\n".join(lines[i:end])
            found.append(Function(path, head + 1, name.group(1) if name else "?", end - head + 1,
                                  1 + len(BRANCH.findall(body))))
            i = end
        if not lines[i].strip() or lines[i].startswith("#") or lines[i].rstrip().endswith((";", "}", "\\")):
            head = i + 1
        i += 1
    return found
