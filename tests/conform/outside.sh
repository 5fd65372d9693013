#!/bin/bash
# outside.sh BUILD-DIRECTORY SOURCE-DIRECTORY: a stranger with the installed files alone. The commands of
# docs/write-a-provider.md are run in an empty directory, in their order, and its C is that of the template.
set -eu
build=$1
source=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for one in bwrap pkg-config cmake python3; do
    command -v "$one" >/dev/null || {
        echo "SKIP: $one is not installed"
        exit 77
    }
done
cmake --install "$build" --prefix "$folder/prefix" >"$folder/install.log"
libdir=$(dirname "$(find "$folder/prefix" -name libsbx.so | head -n 1)")
export PATH=$folder/prefix/bin:$PATH PKG_CONFIG_PATH=$libdir/pkgconfig CMAKE_PREFIX_PATH=$folder/prefix
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state XDG_CONFIG_HOME=$folder/config
export SBX_DOC=$folder/prefix/share/doc/sbx
unset SBX_CONFIG
mkdir -m 700 "$folder/runtime" "$folder/state" "$folder/config" "$folder/empty"

python3 -B - "$source" "$folder" <<'PY'
import re, sys
source, folder = sys.argv[1:]
page = open(f"{source}/docs/write-a-provider.md", encoding="utf-8").read()
code = "\n".join(open(f"{source}/plugins/template/{name}", encoding="utf-8").read()
                 for name in ("template.h", "template.c", "command.c", "file.c"))
blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
kinds = [kind for kind, _ in blocks]
if kinds.count("c") < 3 or kinds.count("sh") < 3 or set(kinds) - {"c", "sh", "ini"}:
    sys.exit(f"the page has blocks {kinds}")
with open(f"{folder}/steps.sh", "w", encoding="utf-8") as steps:
    steps.write("set -eux\n")
    for kind, text in blocks:
        if kind == "c" and text not in code:
            sys.exit(f"not in the template:\n{text}")
        if kind == "sh":
            steps.write(text)
        if kind == "ini":
            steps.write("sed \"s|/home/you/provider|$PWD|\" >sbx.ini <<'INI'\n" + text + "INI\n")
PY
cd "$folder/empty"
bash "$folder/steps.sh" >"$folder/out" 2>&1 || {
    cat "$folder/out"
    exit 1
}
grep -q '^score card of ' "$folder/out"
grep -qE '^  all +[0-9]+ +0 +' "$folder/out" || {
    cat "$folder/out"
    exit 1
}
[ "$(nm -D --defined-only template.so | awk '{print $3}')" = sbx_plugin_v1 ]
[ "$(nm -D --defined-only build/template.so | awk '{print $3}')" = sbx_plugin_v1 ]
