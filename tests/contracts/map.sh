#!/bin/bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2013
# map.sh BUILD-DIRECTORY PROVIDER: every contract that has to hold now is pointed to, every test named in README.md is a
# function of its file and an entry of ctest, and no case is without a row.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bad=0
complain() {
    echo "$*"
    bad=1
}

rows=$(grep -E '^\| [0-9 -]+ \| [a-z0-9_]+ \| [a-z]+\.sh \|' "$here/README.md")
[ "$(grep -c '^| ' "$here/README.md")" = "$(($(wc -l <<<"$rows") + 1))" ] || complain "README.md: a row that is not understood"
required=$(seq 142)
numbers=$(cut -d'|' -f2 <<<"$rows")
for number in $required; do
    grep -qw -- "$number" <<<"$numbers" || complain "no test for contract $number"
done

entries=$(ctest --test-dir "$1" -N | sed -n 's/^ *Test *#[0-9]*: //p')
tests=$(cut -d'|' -f3 <<<"$rows" | tr -d ' ')
[ -z "$(sort <<<"$tests" | uniq -d)" ] || complain "named twice: $(sort <<<"$tests" | uniq -d)"
while IFS='|' read -r _ _ test file _; do
    test=${test// /}
    file=${file// /}
    grep -q "^$test()" "$here/$file" || complain "$file has no case $test"
    grep -qxF "$2.$test" <<<"$entries" || complain "ctest has no entry $2.$test"
done <<<"$rows"
for file in life state snapshot command limits jobs files tools shells tty parallel honest cli kill; do
    for name in $(sed -n 's/^\([a-z0-9_]*\)() .*/\1/p' "$here/$file.sh"); do
        case $name in
        # helpers of their files
        both_ways | file_error | file_fails | files | guest_of | in_shell | kill_rounds | logged | need_sleep | need_snapshots | new_snapshot | box_of_snapshot | need_local | hostile_tar) ;;
        pid_of | put | start | state_is) ;;
        *) grep -qxF "$name" <<<"$tests" || complain "$file.sh: case $name has no row in README.md" ;;
        esac
    done
done
while read -r test; do
    grep -qxF "$test" <<<"$tests" || complain "without_guest.txt, not_over_tcp.txt: '$test' is no test"
done < <(grep -hv '^#' "$here/without_guest.txt" "$here/not_over_tcp.txt")
while read -r test; do
    grep -qxF "$test" <<<"$tests" || grep -q "^$test()" "$here/../docker/cases.sh" || complain "not_on_podman.txt: '$test' is no test"
done < <(grep -v '^#' "$here/not_on_podman.txt")
[ "$bad" = 0 ] && echo "$(wc -l <<<"$rows") tests, all contracts pointed to"
exit "$bad"
