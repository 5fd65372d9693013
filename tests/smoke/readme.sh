#!/usr/bin/env bash
# readme.sh BUILD-DIRECTORY SOURCE-DIRECTORY program|commands - what README.md shows does work.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_sandboxes

block() { # LANGUAGE NUMBER: the n-th block of that language
    awk -v fence="\`\`\`$1" -v number="$2" '
        $0 == fence { seen++; inside = 1; next }
        /^```/ { inside = 0 }
        inside && seen == number' "$top/README.md"
}

program() {
    block c 1 >"$folder/program.c"
    cc -std=c11 -Wall -Wextra -Werror -I "$top/include" "$folder/program.c" -o "$folder/program" \
        -L "$build/lib" -lsbx -Wl,-rpath,"$build/lib" || exit 1
    expect "the program's output" "hello from a sandbox" "$("$folder/program")"
}

commands() {
    mkdir -p "$folder/here/build"
    ln -s "$build/bin" "$folder/here/build/bin"
    # A shell of one's own is not for a script.
    block sh 2 | grep -v -- '-it' >"$folder/commands"
    grep -q 'sbxctl run' "$folder/commands" || { echo "no commands in README.md"; exit 1; }
    (cd "$folder/here" && bash -eu "$folder/commands" >"$folder/output") || failed=1
    expect "the first example's output" hi "$(sed -n 2p "$folder/output")"
    expect "the file that was copied" hello "$(cat "$folder/here/greeting")"
}

"$3"
exit "$failed"
