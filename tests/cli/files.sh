# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# sbxctl files: what it prints, and what it answers when it cannot.

# write PATH: standard input becomes a file of the sandbox
write() { sbx files write "$BOX" "$1" >"$T/out" 2>"$T/err" || fail "$1 was not written"; }

files_prints_bytes_and_lines() {
    new_box
    printf 'one\r\ntwo\nthree\000\377\nlast' >"$T/bytes"
    write /tmp/a/deep/f <"$T/bytes"
    [ ! -s "$T/out" ] || fail "write printed something"
    try 0 sbx files cat "$BOX" /tmp/a/deep/f
    cmp "$T/bytes" "$T/out" || fail "not the bytes"
    try 0 sbx files cat "$BOX" /tmp/a/deep/f --offset 1 --limit 2
    sed -n 2,3p "$T/bytes" | cmp - "$T/out" || fail "not lines 2 and 3"
    try 0 sbx files cat --offset 3 "$BOX" /tmp/a/deep/f
    output last
    try 0 sbx files cat --limit 0 "$BOX" /tmp/a/deep/f
    [ ! -s "$T/out" ] || fail "a line of none"
    try 125 sbx files cat --offset 4 "$BOX" /tmp/a/deep/f
    errors "sbxctl: files $BOX:/tmp/a/deep/f: the offset 4 is behind the end, it has 4 lines"
    seq 3000 >"$T/lines"
    write lines <"$T/lines"
    try 0 sbx files cat --json "$BOX" lines
    json_is 3000 total_lines
    json_is 1 start_line
    json_is 2000 end_line
    json_is 2000 next_offset
    json_is false binary
    try 0 sbx files cat --json --offset 2000 --limit 5000 "$BOX" lines
    json_is null next_offset
    python3 -c 'import json, sys; sys.stdout.write(json.load(open(sys.argv[1]))["content"])' "$T/out" >"$T/content"
    tail -n 1000 "$T/lines" | cmp - "$T/content" || fail "not the last thousand"
    : | sbx files write "$BOX" lines || fail "no empty file"
    try 0 sbx files cat "$BOX" lines
    [ ! -s "$T/out" ] || fail "the file is not empty"
    head -c 3000000 /dev/zero | tr '\0' '\n' >"$T/many"
    write many <"$T/many"
    sbx files cat --offset 1 "$BOX" many 2>"$T/err" | head -c 1 >"$T/out"
    [ "${PIPESTATUS[0]}" = 141 ] || fail "a reader that went away: ${PIPESTATUS[0]}"
    no_errors
}

files_lists_and_finds() {
    new_box
    try 0 in_box sh -c 'mkdir -p t/sub t/.hidden; echo needle >t/a.c; echo "a needle" >t/sub/b.h; echo x >t/.hidden/c.c
        echo "no Needle" >t/c.txt; ln -s sub t/link'
    try 0 sbx files ls -q "$BOX" /workspace/t
    output $'/workspace/t/.hidden\n/workspace/t/a.c\n/workspace/t/c.txt\n/workspace/t/link\n/workspace/t/sub'
    try 0 sbx files ls "$BOX" /workspace/t
    grep -qE '^dir +[0-9]+ +2[0-9-]+T[0-9:]+Z +/workspace/t/sub$' "$T/out" || fail "no line of sub"
    grep -qE '^file +7 .* /workspace/t/a.c$' "$T/out" || fail "no line of a.c"
    grep -qE '^link .* /workspace/t/link$' "$T/out" || fail "no line of link"
    try 0 sbx files ls --json "$BOX" /workspace/t
    json_is '"/workspace/t/a.c"' entries 1 path
    json_is 7 entries 1 bytes
    json_is false entries 3 is_dir
    json_is '"symlink"' entries 3 type
    json_is true entries 4 is_dir
    json_is '"directory"' entries 4 type
    json_is '"file"' entries 1 type
    try 0 sbx files grep "$BOX" needle /workspace/t
    output $'/workspace/t/a.c:1:needle\n/workspace/t/sub/b.h:1:a needle'
    try 0 sbx files grep "$BOX" needle /workspace/t --include '*.h' --json
    json_is '"a needle"' matches 0 text
    json_is 1 matches 0 line
    json_is false truncated
    try 0 sbx files grep --max-count 1 "$BOX" needle /workspace/t
    errors "sbxctl: files $BOX: there is more than what is shown"
    try 0 sbx files grep "$BOX" 'not there' /workspace/t
    output ''
    no_errors
    try 0 sbx files glob "$BOX" '*.{c,h}' /workspace/t
    output $'/workspace/t/a.c\n/workspace/t/sub/b.h'
    try 0 sbx files glob --json "$BOX" 'sub/*' /workspace/t
    json_is '"/workspace/t/sub/b.h"' entries 0 path
    try 0 sbx files glob "$BOX" 'none*' /workspace/t
    output ''
}

files_edits_what_it_was_told_to() {
    new_box
    printf 'a = 1;\r\nb = 1;\r\n' | write f
    try 125 sbx files edit "$BOX" f --old '= 1' --new '= 2' --json
    json_is '"several_occurrences"' error provider_code
    try 0 sbx files edit "$BOX" f --old '= 1' --new '= 2' --all
    output 2
    printf 'a = 2;\nb = 2;\n' >"$T/old"
    printf '' | sbx files edit --json "$BOX" f --old-file "$T/old" --new-file - >"$T/out" || fail "not edited"
    json_is 1 occurrences
    try 0 sbx files cat "$BOX" f
    [ ! -s "$T/out" ] || fail "the file is not empty"
    printf 'a\r\nb\r\n' | write f
    try 0 sbx files edit "$BOX" f --old $'a\nb' --new $'b\na\nc'
    try 0 sbx files cat "$BOX" f
    printf 'b\r\na\r\nc\r\n' | cmp - "$T/out" || fail "the line ends changed"
}

files_need_no_guest_where_there_is_a_shell() {
    fixture direct-bare
    BOX=d/standing
    printf 'one\ntwo $x\nneedle\n' | write a/f.txt
    try 0 sbx files cat "$BOX" a/f.txt --offset 1 --limit 1
    output 'two $x'
    try 0 sbx files edit "$BOX" a/f.txt --old 'two $x' --new "it's a needle"
    output 1
    try 0 sbx files grep "$BOX" needle a
    output $'a/f.txt:2:it\'s a needle\na/f.txt:3:needle'
    try 0 sbx files glob "$BOX" '*.txt' a
    output a/f.txt
    try 0 sbx files ls -q "$BOX" a
    output a/f.txt
    try 125 sbx files cat "$BOX" none
    grep -q "^sbxctl: files $BOX:none: file_not_found" "$T/err" || fail "not file_not_found"
    [ "$(cat "$T/boxes/standing/a/f.txt")" = $'one\nit\'s a needle\nneedle' ] || fail "not what was written"
}

files_names_what_went_wrong() {
    new_box
    try 0 in_box sh -c 'mkdir d; echo x >locked; chmod 0 locked; echo x >f'
    for action in cat "edit --old x --new y"; do
        # shellcheck disable=SC2086 # an action and its options
        try 125 sbx files $action "$BOX" none
        grep -q "^sbxctl: files $BOX:none: file_not_found" "$T/err" || fail "$action: not file_not_found"
        # shellcheck disable=SC2086
        try 125 sbx files $action "$BOX" d
        grep -q "^sbxctl: files $BOX:d: is_directory" "$T/err" || fail "$action: not is_directory"
        # shellcheck disable=SC2086
        try 125 sbx files $action "$BOX" locked
        grep -q "^sbxctl: files $BOX:locked: permission_denied" "$T/err" || fail "$action: not permission_denied"
    done
    try 125 sbx files ls "$BOX" none
    errors_with file_not_found
    try 125 sbx files ls --json "$BOX" f
    json_is "\"$BOX:f\"" error subject
    json_is '"not_a_directory"' error code
    try 125 sbx files write "$BOX" d
    errors_with is_directory
    try 125 sbx files glob "$BOX" '../*'
    try 125 sbx files edit "$BOX" f --old-file "$T/none" --new x
    errors "sbxctl: files $T/none: No such file or directory"
    try 125 sbx files ls local/000000000000
    errors "sbxctl: files local/000000000000: no such sandbox"
}

files_show_no_steering_bytes_to_a_terminal() {
    local ESC=$'\033'
    new_box
    try 0 in_box sh -c 'printf "needle \033[31mred\n" >f; : >"$(printf "odd\033name")"'
    "$BUILD/tests/contracts/contract_pty" 30 "$SBXCTL" files grep "$BOX" needle . 2>"$T/err" <<END || fail "grep"
expect needle ?[31mred
never $ESC
exit 0
END
    "$BUILD/tests/contracts/contract_pty" 30 "$SBXCTL" files glob "$BOX" 'odd*' . 2>"$T/err" <<END || fail "glob"
expect odd?name
never $ESC
exit 0
END
    # A control character of two bytes is one wherever the line is cut in pieces.
    try 0 in_box sh -c 'for n in 250 251 252 253 254 255 256; do printf "edge%0${n}d\302\233end\n" 0; done >g'
    "$BUILD/tests/contracts/contract_pty" 30 "$SBXCTL" files grep "$BOX" edge g 2>"$T/err" <<END || fail "a C1 control"
expect 0?end
never $(printf '\233')
exit 0
END
    try 0 sbx files grep "$BOX" needle .
    grep -q $'\033' "$T/out" || fail "the bytes were changed in a pipe"
}
