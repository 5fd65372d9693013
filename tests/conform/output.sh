#!/bin/bash
# output.sh SBX-CONFORM PLUGIN SOURCE-DIRECTORY: what is printed, and that man page and --list agree.
set -u
bad=0
complain() {
    echo "$*"
    bad=1
}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
conform=$1
plugin=$2
page=$3/docs/man/sbx-conform.1
"$conform" --list >"$folder/list" || complain "--list fails"
[ "$(sort -n "$folder/list" | cut -d' ' -f1 | uniq -d)" = "" ] || complain "a number is there twice"
sed -n 's/^\.It Cm \([0-9]*\) \(.*\)$/\1 \2/p' "$page" >"$folder/page"
sed 's/^\([0-9]*\) \([a-z0-9_]*\) .*/\1 \2/' "$folder/list" | diff - "$folder/page" >"$folder/diff" || {
    complain "sbx-conform(1) and --list differ:"
    cat "$folder/diff"
}
for option in config section filter format card seed repeat limit list version; do
    "$conform" --help | grep -q -- "--$option" || complain "--help lacks --$option"
    grep -q "Fl Fl $option" "$page" || complain "sbx-conform(1) lacks --$option"
done

"$conform" --filter 10? --seed 3 --repeat 2 "$plugin" >"$folder/text" || complain "the template fails"
grep -q '^18 passed, 0 failed, 0 not offered' "$folder/text" || complain "text: $(tail -n 1 "$folder/text")"
"$conform" --filter loading --format tap "$plugin" >"$folder/tap" || complain "tap fails"
[ "$(sed -n 2p "$folder/tap")" = 1..10 ] || complain "tap: plan $(sed -n 2p "$folder/tap")"
[ "$(grep -c '^ok [0-9]* - ' "$folder/tap")" = 10 ] || complain "tap has not ten lines"
"$conform" --filter 601 --filter 101 --format json --seed 5 "$plugin" >"$folder/json" || complain "json fails"
if command -v python3 >/dev/null; then
    python3 - "$folder/json" <<'PY' || complain "json is not what it should be"
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    told = json.load(file)
assert told["seed"] == 5 and (told["passed"], told["failed"], told["skipped"]) == (1, 0, 1), told
assert [one["verdict"] for one in told["tests"]] == ["passed", "skipped"] and told["offers"] == [], told
PY
fi
"$conform" --filter loading --card "$plugin" >"$folder/card" || complain "the card fails"
grep -q 'loading  *10  *0  *0' "$folder/card" || complain "card: $(cat "$folder/card")"

fails() { # CODE WORDS ARGUMENT...
    local code=$1 words=$2
    shift 2
    "$conform" "$@" >"$folder/said" 2>&1
    [ "$?" -eq "$code" ] || complain "$* does not end with $code"
    grep -qF -- "$words" "$folder/said" || complain "$* says: $(cat "$folder/said")"
}
fails 2 "usage:" --no-such-option "$plugin"
fails 2 "usage:"
fails 2 "no rule matches" --filter none "$plugin"
fails 2 "No such file" "$folder/none.so"
fails 2 "is no number" --seed x "$plugin"
fails 2 "cannot read" --config "$folder/none.ini" "$plugin"
printf '[provider other]\nroot = /\n' >"$folder/sbx.ini"
fails 2 "has no keys in a section" --config "$folder/sbx.ini" "$plugin"
printf 'no object' >"$folder/text.so"
fails 1 "it does not load" --filter 101 "$folder/text.so"
exit "$bad"
