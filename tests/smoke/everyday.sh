#!/usr/bin/env bash
# everyday.sh BUILD-DIRECTORY SOURCE-DIRECTORY - the commands of a normal day, one after the other, in one sandbox.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_sandboxes

sbxctl version >/dev/null || expect "version ends with" 0 $?
sbxctl help >/dev/null || expect "help ends with" 0 $?
sbxctl providers >"$folder/providers" || expect "providers ends with" 0 $?
expect "providers names local" 1 "$(grep -c '^local' "$folder/providers")"
sbxctl config check >/dev/null || expect "config check ends with" 0 $?

id=$(sbxctl create --label purpose=everyday) || expect "create ends with" 0 $?
expect "exec's output" "out" "$(sbxctl exec "$id" -- sh -c 'echo out; echo err >&2' 2>"$folder/err")"
expect "exec's other output" "err" "$(cat "$folder/err")"
sbxctl exec "$id" -- sh -c 'exit 7'
expect "exec's exit code" 7 $?
expect "exec's input" "typed" "$(echo typed | sbxctl exec -i "$id" -- cat)"
expect "a terminal" "yes" "$(sbxctl exec -t "$id" -- sh -c 'test -t 1 && echo yes' | tr -d '\r')"
sbxctl exec --timeout 0.2 "$id" -- sleep 30 2>/dev/null
expect "a command over its time" 124 $?
sbxctl exec "$id" -- /no/such/program 2>/dev/null
expect "a program that is not there" 127 $?

printf 'a\0b\377' >"$folder/file"
sbxctl cp "$folder/file" "$id:copied" || expect "cp in ends with" 0 $?
sbxctl cp "$id:copied" "$folder/back" || expect "cp out ends with" 0 $?
cmp "$folder/file" "$folder/back" || failed=1
sbxctl cp "$id:/no/such/file" "$folder/none" 2>"$folder/err"
expect "cp of nothing says why" 1 "$(grep -c file_not_found "$folder/err")"

expect "ls finds it by its label" "$id" "$(sbxctl ls -q --label purpose=everyday)"
sbxctl inspect "$id" >"$folder/inspect" || expect "inspect ends with" 0 $?
expect "inspect names it" yes "$(grep -q "${id##*/}" "$folder/inspect" && echo yes)"
sbxctl rm "$id" >/dev/null || expect "rm ends with" 0 $?
expect "ls after rm" "" "$(sbxctl ls -q)"
sbxctl exec "$id" -- true 2>"$folder/err"
expect "exec in what is gone" 125 $?
expect "its words" 1 "$(grep -c 'no such sandbox' "$folder/err")"
expect "run's output" "hi" "$(sbxctl run -- echo hi)"
exit "$failed"
