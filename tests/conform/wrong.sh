#!/bin/bash
# wrong.sh SBX-CONFORM PLUGIN RULE WORDS [KEY]: the plugin, with a folder as its root or with that line of configuration,
# fails that rule in these words, and sbx-conform says so by its code.
set -u
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
command -v bwrap >/dev/null || {
    echo "SKIP: bubblewrap is not installed"
    exit 77
}
mkdir -m 700 "$folder/root"
name=$(basename "$2" .so)
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state
mkdir -m 700 "$folder/runtime" "$folder/state"
printf '[provider %s]\n%s\n' "$name" "${5:-root = $folder/root}" >"$folder/sbx.ini"
[ "$name" != logs-secret ] || printf 'token = s3cret-xyzzy\n' >>"$folder/sbx.ini"
limit=20
[ "$name" != hangs ] || limit=2
[ "$name" != quiet-source ] || limit=50
"$1" --config "$folder/sbx.ini" --format tap --limit "$limit" --filter "$3" --seed 1 "$2" >"$folder/out" 2>&1
code=$?
cat "$folder/out"
[ "$code" -eq 1 ] || { echo "the exit code is $code, not 1"; exit 1; }
grep -q "^not ok 1 - $3 " "$folder/out" || { echo "rule $3 did not fail"; exit 1; }
grep "^# " "$folder/out" | grep -qF -- "$4" || { echo "the verdict does not say '$4'"; exit 1; }
