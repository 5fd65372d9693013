# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 105-110: the file tools. `files` is sbxctl's form of them; the library cases see every field.

files() { sbx files "$@"; }
put() { sbx files write "$BOX" "$1" || fail "$1 was not written"; }
# file_fails CODE COMMAND...: the command fails with one line, and its JSON has the code
file_fails() {
    local code=$1
    shift
    try 125 "$@"
    one_error_line
    try 125 "$@" --json
    json_has code "\"$code\""
}

ls_lists_immediate_entries_with_full_path_and_kind() {
    new_box
    try 0 sh_box 'mkdir -p /tmp/d/sub/below /tmp/d/empty /tmp/d/shut; : >/tmp/d/.hidden; : >"/tmp/d/a b"
        : >/tmp/d/zażółć; ln -s sub /tmp/d/link; ln -s nowhere /tmp/d/dangling; chmod 0 /tmp/d/shut'
    try 0 files ls -q "$BOX" /tmp/d/
    LC_ALL=C sort -c "$T/out" || fail "not sorted"
    exact <<'END'
/tmp/d/.hidden
/tmp/d/a b
/tmp/d/dangling
/tmp/d/empty
/tmp/d/link
/tmp/d/shut
/tmp/d/sub
/tmp/d/zażółć
END
    lib_case tool_ls "$BOX"
    file_fails file_not_found files ls "$BOX" /tmp/none
    file_fails not_a_directory files ls "$BOX" /tmp/d/.hidden
    file_fails permission_denied files ls "$BOX" /tmp/d/shut
    try 0 sh_box 'mkdir /tmp/many; cd /tmp/many; i=0; while [ $i -lt 50 ]; do : >f$i; i=$((i+1)); done'
    try 0 files ls -q "$BOX" /tmp/many
    [ "$(wc -l <"$T/out")" = 50 ] || fail "$(wc -l <"$T/out") of 50 entries"
    # A path is a path, whatever it looks like.
    file_fails file_not_found files ls "$BOX" '/tmp/$(touch /tmp/evil); touch /tmp/evil'
    try 1 sh_box 'test -e /tmp/evil'
}

delete_is_recursive_and_knows_what_is_there() { lib_case tool_delete; }

read_gives_lines_with_offset_limit_total_and_the_next_offset() { lib_case tool_read; }

read_pages_are_capped_and_never_cut_a_character() { lib_case tool_read_pages; }

edit_replaces_exactly_and_tells_its_failures_apart() {
    new_box
    printf 'x = 1\ny = "$HOME `id` \\n"\nx = 1\n' | put /tmp/e
    try 125 files edit "$BOX" /tmp/e --old 'x = 1' --new 'x = 2'
    errors_with "2 times"
    try 125 files edit --json "$BOX" /tmp/e --old 'x = 1' --new 'x = 2'
    json_has provider_code '"several_occurrences"'
    try 125 files edit --json "$BOX" /tmp/e --old 'x = 3' --new 'x = 2'
    json_has provider_code '"string_not_found"'
    try 125 files edit --json "$BOX" /tmp/e --old 'y' --new 'y'
    json_has provider_code '"same_text"'
    try 0 in_box cat /tmp/e
    printf 'x = 1\ny = "$HOME `id` \\n"\nx = 1\n' | exact
    try 0 files edit "$BOX" /tmp/e --old 'x = 1' --new 'x = 2' --all
    output 2
    try 0 files edit "$BOX" /tmp/e --old '"$HOME `id` \n"' --new "'\$(id)'"
    output 1
    try 0 in_box cat /tmp/e
    printf "x = 2\ny = '\$(id)'\nx = 2\n" | exact
    printf 'a\r\nb\r\nc\r\n' | put /tmp/crlf
    try 0 files edit "$BOX" /tmp/crlf --old $'a\nb\n' --new $'1\n2\n2b\n'
    try 0 in_box cat /tmp/crlf
    printf '1\r\n2\r\n2b\r\nc\r\n' | exact
    file_fails file_not_found files edit "$BOX" /tmp/none --old a --new b
    file_fails is_directory files edit "$BOX" /tmp --old a --new b
    printf '\377\376\000' | put /tmp/binary
    try 125 files edit --json "$BOX" /tmp/binary --old a --new b
    json_has provider_code '"not_text"'
    try 0 sh_box 'echo a >/tmp/locked; chmod 000 /tmp/locked; echo a >/tmp/fixed; chmod 444 /tmp/fixed'
    file_fails permission_denied files edit "$BOX" /tmp/locked --old a --new b
    file_fails permission_denied files edit "$BOX" /tmp/fixed --old a --new b
    try 0 in_box cat /tmp/fixed
    output a
    # Larger than any one argument: 300 KiB each.
    head -c 300000 /dev/zero | tr '\0' o >"$T/old"
    head -c 310000 /dev/zero | tr '\0' n >"$T/new"
    { echo begin; cat "$T/old"; echo; echo end; } | put /tmp/large
    try 0 files edit "$BOX" /tmp/large --old-file "$T/old" --new-file "$T/new"
    { echo begin; cat "$T/new"; echo; echo end; } >"$T/want2"
    try 0 files cat "$BOX" /tmp/large
    cmp "$T/want2" "$T/out" || fail "the large edit is not exact"
}

grep_is_literal_and_counts_lines_from_one() {
    new_box
    try 0 sh_box 'mkdir -p /tmp/g/sub/.deep /tmp/g/empty /tmp/g/shut; cd /tmp/g
        printf "str | int\nno\nstr | int\n\nstr | int" >a.py; printf "STR | INT\na.c\nabc\n" >sub/b.txt
        printf "zażółć\n" >sub/.deep/c.py; ln -s / out; chmod 0 shut'
    try 0 files grep "$BOX" 'str | int' /tmp/g
    exact <<'END'
/tmp/g/a.py:1:str | int
/tmp/g/a.py:3:str | int
/tmp/g/a.py:5:str | int
END
    try 0 files grep "$BOX" 'a.c' /tmp/g
    output /tmp/g/sub/b.txt:2:a.c
    try 0 files grep "$BOX" 'żół' /tmp/g
    output '/tmp/g/sub/.deep/c.py:1:zażółć'
    try 0 files grep "$BOX" '|' /tmp/g --include '*.txt'
    output '/tmp/g/sub/b.txt:1:STR | INT'
    try 0 files grep "$BOX" 'a' /tmp/g --include 'sub/*.{txt,md}'
    exact <<'END'
/tmp/g/sub/b.txt:2:a.c
/tmp/g/sub/b.txt:3:abc
END
    try 0 files grep "$BOX" 'nothing of the kind' /tmp/g
    [ ! -s "$T/out" ] && [ ! -s "$T/err" ] || fail "nothing found is not an empty answer"
    try 0 files grep "$BOX" x /tmp/g/empty
    try 0 files grep --json --max-count 3 "$BOX" 'str | int' /tmp/g
    json_has truncated false
    try 0 files grep --json --max-count 2 "$BOX" 'str | int' /tmp/g
    json_has truncated true
    [ "$(grep -o '"line":' "$T/out" | wc -l)" = 2 ] || fail "not two lines"
    try 0 files grep "$BOX" -- '-rf' /tmp/g
    try 0 files grep "$BOX" '$(touch /tmp/evil)`touch /tmp/evil`' /tmp/g
    try 1 sh_box 'test -e /tmp/evil'
    file_fails file_not_found files grep "$BOX" x /tmp/none
}

# Nor do paths that are too long for any call.
what_cannot_be_read_takes_nothing_from_a_search() {
    new_box
    try 0 files grep "$BOX" "no such text anywhere" /proc/self
    try 0 sh_box 'mkdir /tmp/deep; cd /tmp/deep; echo needle >near; n=$(printf %0200d 0); i=0
        while [ $i -lt 25 ] && mkdir "$n" && cd -P "./$n"; do i=$((i + 1)); done 2>/dev/null; : >"$n" || true'
    try 0 files grep --json "$BOX" needle /tmp/deep
    json_has line 1
    json_has truncated true
    try 0 files glob --json "$BOX" '*' /tmp/deep
    json_has truncated true
    try 0 files glob --json "$BOX" 'near' /tmp
}

glob_matches_below_its_root_alone_and_is_bounded() {
    new_box
    try 0 sh_box 'mkdir -p /tmp/r/a/b/c /tmp/r/.git /tmp/other; cd /tmp/r; : >top.py; : >a/one.py; : >a/b/two.py
        : >a/b/c/three.pyc; : >.git/config.py; : >a/.dot.py; : >"a/b/sp ace.txt"; : >/tmp/other/x.py; ln -s /tmp/other link
        ln -s /tmp/other/x.py a/file-link.py'
    try 0 files glob "$BOX" '*.py' /tmp/r
    exact <<'END'
/tmp/r/a/b/two.py
/tmp/r/a/one.py
/tmp/r/top.py
END
    try 0 files glob "$BOX" '/*.py' /tmp/r
    output /tmp/r/top.py
    try 0 files glob "$BOX" 'a/**/*.{py,txt}' /tmp/r
    exact <<'END'
/tmp/r/a/b/sp ace.txt
/tmp/r/a/b/two.py
/tmp/r/a/one.py
END
    try 0 files glob "$BOX" 't?[nopw].p[!x]' /tmp/r
    exact <<'END'
/tmp/r/a/b/two.py
/tmp/r/top.py
END
    try 0 files glob "$BOX" '.dot*' /tmp/r
    output /tmp/r/a/.dot.py
    try 0 files glob "$BOX" '.git/*' /tmp/r
    output /tmp/r/.git/config.py
    try 0 files glob "$BOX" 'nothing*' /tmp/r
    [ ! -s "$T/out" ] && [ ! -s "$T/err" ] || fail "nothing found is not an empty answer"
    local pattern
    for pattern in '../other/*' 'a/../../other/*' '/../*'; do
        try 125 files glob "$BOX" "$pattern" /tmp/r
        one_error_line
    done
    try 0 files glob "$BOX" 'link/*' /tmp/r
    [ ! -s "$T/out" ] || fail "a link led out of the root"
    try 0 sh_box 'mkdir /tmp/n; cd /tmp/n; seq 10050 | xargs touch'
    START=$(now_ms)
    try 0 files glob --json "$BOX" '*' /tmp/n
    took_between 0 15000
    json_has truncated true
    [ "$(grep -o '"is_dir":' "$T/out" | wc -l)" = 10000 ] || fail "not 10000 paths"
    try 0 files glob --json "$BOX" '{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}' /tmp/r
    json_has truncated true
}

file_tools_need_no_program_in_the_image() {
    [ "$PROVIDER" = local ] || skip "needs an image made on the spot"
    mkdir -m 755 "$T/empty-image"
    try 0 sbx create --provider local --image "$T/empty-image"
    BOX=$(cat "$T/out")
    try 127 in_box sh -c true
    printf 'one\ntwo\nneedle 3\n' | put /tmp/a/b/f.txt
    try 0 files ls -q "$BOX" /tmp/a/b
    output /tmp/a/b/f.txt
    try 0 files cat "$BOX" /tmp/a/b/f.txt --offset 1 --limit 1
    output two
    try 0 files edit "$BOX" /tmp/a/b/f.txt --old two --new 'two needles'
    try 0 files grep "$BOX" needle /tmp --include '*.txt'
    exact <<'END'
/tmp/a/b/f.txt:2:two needles
/tmp/a/b/f.txt:3:needle 3
END
    try 0 files glob "$BOX" '*.txt' /tmp
    output /tmp/a/b/f.txt
    file_fails file_not_found files cat "$BOX" /tmp/none
    lib_case tool_delete "$BOX" bare
    lib_case tool_read "$BOX"
}
