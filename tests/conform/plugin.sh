#!/bin/bash
# plugin.sh SBX-CONFORM NAME PLUGIN [FILTER...]: the plugin keeps every rule, or every one that fits, offers what offers.txt
# says that it must, and is excused from no other rule than it says.
set -u
here=$(cd "$(dirname "$0")" && pwd)
conform=$1
name=$2
plugin=$3
shift 3
filters=()
for one in "$@"; do
    filters+=(--filter "$one")
done
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
command -v bwrap >/dev/null || {
    echo "SKIP: bubblewrap is not installed"
    exit 77
}
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state
mkdir -m 700 "$folder/runtime" "$folder/state" "$folder/root"
keys=()
case $name in
local) keys=("network = none") ;;
template) keys=("root = $folder/root") ;;
docker*)
    engine=$(cat "${SBX_TEST_ENGINE:-none}" 2>/dev/null)
    [ -S "$engine/docker.sock" ] || {
        echo "SKIP: ${engine:-no engine was started}"
        exit 77
    }
    keys=("host = unix://$engine/docker.sock" "image = sbx-test/user")
    [ "$name" != docker-api ] || keys+=("guest = never")
    ;;
runloop)
    command -v python3 >/dev/null || {
        echo "SKIP: python3 is not installed"
        exit 77
    }
    # The double ends when its stdin does, which is when this script ends, however it ends.
    exec {hold}> >(exec python3 -B "$here/../servers/runloop" --key ak_test --lifetime 600 >"$folder/address")
    for _ in $(seq 300); do
        grep -q . "$folder/address" && break
        sleep 0.1
    done
    export SBX_TEST_CONFORM_KEY=ak_test
    keys=("base_url = $(head -n 1 "$folder/address")" "api_key_env = SBX_TEST_CONFORM_KEY")
    ;;
esac
id=${name%-api}
printf '%s\n' "[provider $id]" "plugin = $id" "${keys[@]}" >"$folder/sbx.ini"

"$conform" --config "$folder/sbx.ini" --format json "${filters[@]}" "$plugin" >"$folder/out"
code=$?
[ -z "${hold:-}" ] || exec {hold}>&-
grep -v '"verdict": "passed"' "$folder/out"
[ "$code" -eq 0 ] || exit 1
bad=0
grep -q "^$name:" "$here/offers.txt" || { echo "offers.txt has no line for $name"; bad=1; }
for id in $(sed -n "s/^$name: *//p" "$here/offers.txt"); do
    grep '"offers"' "$folder/out" | grep -qF "\"$id\"" || {
        echo "$name must offer $id"
        bad=1
    }
done
while read -r number; do
    grep -qE "^$name is excused from( .*)? $number( |$)" "$here/offers.txt" || {
        echo "$name is not excused from rule $number"
        bad=1
    }
done < <(grep '"verdict": "skipped"' "$folder/out" | grep -v -e '/[0-9]* is not offered' -e '"not under a sanitizer: ' |
    sed 's/.*"number": \([0-9]*\).*/\1/')
exit "$bad"
