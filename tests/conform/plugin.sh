#!/bin/bash
# plugin.sh SBX-CONFORM NAME PLUGIN: the plugin keeps every rule, and offers what offers.txt says that it must.
set -u
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
command -v bwrap >/dev/null || {
    echo "SKIP: bubblewrap is not installed"
    exit 77
}
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state
mkdir -m 700 "$folder/runtime" "$folder/state" "$folder/root"
printf '[provider %s]\nplugin = %s\n' "$2" "$2" >"$folder/sbx.ini"
[ "$2" != template ] || printf 'root = %s\n' "$folder/root" >>"$folder/sbx.ini"
if [ "$2" = docker ]; then
    engine=$(cat "${SBX_TEST_ENGINE:-none}" 2>/dev/null)
    [ -S "$engine/docker.sock" ] || {
        echo "SKIP: ${engine:-no engine was started}"
        exit 77
    }
    printf 'host = unix://%s/docker.sock\nimage = sbx-test/user\n' "$engine" >>"$folder/sbx.ini"
fi
[ "$2" != local ] || printf 'network = none\n' >>"$folder/sbx.ini"
"$1" --config "$folder/sbx.ini" --format json "$3" >"$folder/out"
code=$?
grep -v '"verdict": "passed"' "$folder/out"
[ "$code" -eq 0 ] || exit 1
missing=0
for id in $(sed -n "s/^$2: *//p" "$here/offers.txt"); do
    grep '"offers"' "$folder/out" | grep -qF "\"$id\"" || {
        echo "$2 must offer $id"
        missing=1
    }
done
grep -q "^$2:" "$here/offers.txt" || { echo "offers.txt has no line for $2"; missing=1; }
exit "$missing"
