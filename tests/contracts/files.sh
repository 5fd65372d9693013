# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 78-104: files.

# file_error CODE PATH COMMAND...: the command fails with one line that has the code by name, and the path
file_error() {
    local code=$1 path=$2
    shift 2
    try 125 "$@"
    one_error_line
    errors_with "$code"
    errors_with "$path"
}

put_makes_missing_parents() {
    new_box
    echo deep >"$T/f"
    try 0 sbx cp "$T/f" "$BOX:/tmp/a/b/c/d.txt"
    try 0 in_box cat /tmp/a/b/c/d.txt
    output deep
}

put_overwrites_the_whole_file() {
    new_box
    head -c 100000 /dev/zero >"$T/long"
    echo short >"$T/short"
    try 0 sbx cp "$T/long" "$BOX:/tmp/f"
    try 0 sbx cp "$T/short" "$BOX:/tmp/f"
    try 0 in_box cat /tmp/f
    output short
    # A reader sees the old file or the new one, never a mix.
    head -c 3000000 /dev/zero | tr '\0' a >"$T/a"
    head -c 2000000 /dev/zero | tr '\0' b >"$T/b"
    sbx cp "$T/a" "$BOX:/tmp/f"
    sh_box 'i=0; while [ $i -lt 60 ]; do cat /tmp/f >/tmp/copy; test "$(tr -d a </tmp/copy | wc -c)" = 0 -o "$(tr -d b </tmp/copy | wc -c)" = 0 || echo mixed; i=$((i+1)); done' >"$T/mixed" &
    local reader=$! i
    for i in 1 2 3 4 5 6; do
        try 0 sbx cp "$T/b" "$BOX:/tmp/f"
        try 0 sbx cp "$T/a" "$BOX:/tmp/f"
    done
    wait "$reader"
    [ ! -s "$T/mixed" ] || fail "a mix of old and new was seen"
}

files_of_zero_bytes_go_both_ways() {
    new_box
    : >"$T/empty"
    try 0 sbx cp "$T/empty" "$BOX:/tmp/e"
    try 0 sh_box 'test -f /tmp/e && test ! -s /tmp/e'
    try 0 sbx cp "$BOX:/tmp/e" "$T/back"
    [ -f "$T/back" ] && [ ! -s "$T/back" ] || fail "what came back is not an empty file"
}

all_byte_values_survive_put_and_get() {
    new_box
    perl -e 'print pack("C*", 0 .. 255) x 3' >"$T/bytes"
    try 0 sbx cp "$T/bytes" "$BOX:/tmp/bytes"
    try 0 sbx cp "$BOX:/tmp/bytes" "$T/back"
    cmp "$T/bytes" "$T/back" || fail "the bytes differ"
    sbx cp - "$BOX:/tmp/piped" <"$T/bytes" || fail "cp from standard input failed"
    sbx cp "$BOX:/tmp/piped" - >"$T/back" || fail "cp to standard output failed"
    cmp "$T/bytes" "$T/back" || fail "the bytes differ through -"
}

# both_ways BYTES
both_ways() {
    head -c "$1" /dev/urandom >"$T/big"
    try 0 sbx cp "$T/big" "$BOX:big"
    try 0 in_box sha256sum big
    [ "$(cut -c1-64 "$T/out")" = "$(sha256sum <"$T/big" | cut -c1-64)" ] || fail "the bytes differ inside"
    try 0 sbx cp "$BOX:big" "$T/back"
    cmp "$T/big" "$T/back" || fail "the bytes differ"
}

ten_mib_go_up_and_down() {
    new_box
    both_ways 10485760
}

fifty_mib_go_up_and_down() {
    new_box
    both_ways 52428800
}

get_has_a_size_limit_that_is_checked_first() { lib_case read_limits; }

get_of_a_missing_file_is_file_not_found() {
    new_box
    file_error file_not_found /tmp/not-there.txt sbx cp "$BOX:/tmp/not-there.txt" "$T/back"
    [ ! -e "$T/back" ] || fail "a file was made"
    file_error file_not_found /no/such/dir/x sbx cp "$BOX:/no/such/dir/x" "$T/back"
}

path_through_a_file_or_nonsense_is_file_not_found() {
    new_box
    try 0 sh_box 'echo x >/tmp/plain'
    file_error file_not_found /tmp/plain/x sbx cp "$BOX:/tmp/plain/x" "$T/back"
    local odd='https:/en.wikipedia.org/wiki/Bart%C5%82omiej_Kasprzykowski'
    file_error file_not_found "$odd" sbx cp "$BOX:$odd" "$T/back"
    lib_case nonsense_paths "$BOX"
}

get_of_a_directory_is_is_directory() {
    new_box
    try 0 sh_box 'mkdir -p /tmp/dir/sub; ln -s dir /tmp/link'
    lib_case directories "$BOX"
}

put_onto_a_directory_is_is_directory() {
    new_box
    try 0 sh_box 'mkdir -p /tmp/dir; echo kept >/tmp/dir/kept'
    lib_case put_on_directory "$BOX"
    try 0 in_box ls -A /tmp/dir
    output kept
}

get_of_an_unreadable_file_is_permission_denied() {
    new_box
    try 0 sh_box 'echo secret >/tmp/locked; chmod 000 /tmp/locked; mkdir /tmp/shut; echo s >/tmp/shut/f; chmod 000 /tmp/shut'
    file_error permission_denied /tmp/locked sbx cp "$BOX:/tmp/locked" "$T/back"
    file_error permission_denied /tmp/shut/f sbx cp "$BOX:/tmp/shut/f" "$T/back"
    [ ! -e "$T/back" ] || fail "a file was made"
    mapped_users || return 0
    try 0 sbx exec --user root "$BOX" -- sh -c 'echo r >/tmp/roots; chmod 600 /tmp/roots'
    file_error permission_denied /tmp/roots sbx cp "$BOX:/tmp/roots" "$T/back"
}

put_without_write_permission_is_permission_denied() {
    new_box
    echo new >"$T/new"
    try 0 sh_box 'echo old >/tmp/locked; chmod 400 /tmp/locked; mkdir /tmp/shut; chmod 555 /tmp/shut'
    file_error permission_denied /tmp/locked sbx cp "$T/new" "$BOX:/tmp/locked"
    try 0 in_box cat /tmp/locked
    output old
    file_error permission_denied /tmp/shut/f sbx cp "$T/new" "$BOX:/tmp/shut/f"
    file_error permission_denied /etc/passwd sbx cp "$T/new" "$BOX:/etc/passwd"
    try 0 sh_box 'ls -A /tmp/shut'
    [ ! -s "$T/out" ] || fail "something is in the read-only directory"
    mapped_users || return 0
    try 0 sbx exec --user root "$BOX" -- sh -c 'echo root >/tmp/roots; chmod 644 /tmp/roots'
    file_error permission_denied /tmp/roots sbx cp "$T/new" "$BOX:/tmp/roots"
    try 0 in_box cat /tmp/roots
    output root
}

file_put_belongs_to_the_sandboxs_user() {
    new_box
    echo mine >"$T/f"
    chmod 640 "$T/f"
    try 0 sbx cp "$T/f" "$BOX:/tmp/own/f"
    try 0 sh_box 'test -O /tmp/own/f && test -O /tmp/own && chmod 700 /tmp/own/f && echo more >>/tmp/own/f && sed -i s/mine/ours/ /tmp/own/f && cat /tmp/own/f && rm -r /tmp/own'
    exact <<'END'
ours
more
END
}

relative_and_home_paths_work() {
    new_box
    echo r >"$T/r"
    try 0 sbx cp "$T/r" "$BOX:rel/r.txt"
    try 0 sh_box 'cat "$(pwd)/rel/r.txt"'
    output r
    try 0 sbx cp "$T/r" "$BOX:~/h.txt"
    try 0 sh_box 'cat "$HOME/h.txt"'
    output r
    try 0 sbx cp "$BOX:~/h.txt" "$T/back"
    cmp "$T/r" "$T/back" || fail "another file came back"
}

odd_names_work() {
    new_box
    local name n=0
    for name in 'a b' "q'u\"o" $'new\nline' '[x]' '-rf' 'c:d' 'g*?' 'zażółć-漢' '$HOME' '`x`' '\back' '#h' ' lead' 'tail ' '%41' '~t' 'a;b&c|d' $'tab\t'; do
        n=$((n + 1))
        echo "content $n" >"$T/f"
        try 0 sbx cp "$T/f" "$BOX:/tmp/odd/$name"
        try 0 in_box cat "/tmp/odd/$name"
        output "content $n"
        rm -f "$T/back"
        try 0 sbx cp "$BOX:/tmp/odd/$name" "$T/back"
        cmp "$T/f" "$T/back" || fail "name '$name' brings another file"
    done
    try 0 sh_box 'ls -A /tmp/odd | wc -l'
    rm -rf "$T/tree"
    try 0 sbx cp "$BOX:/tmp/odd" "$T/tree"
    [ "$(find "$T/tree" -type f -printf x | wc -c)" = "$n" ] || fail "the tree has not $n files"
    [ "$(cat "$T/tree/"$'new\nline')" = "content 3" ] || fail "a name changed in the tree"
}

runs_of_slashes_and_a_trailing_slash_are_tolerated() {
    new_box
    echo s >"$T/f"
    try 0 sbx cp "$T/f" "$BOX://tmp///sl//f"
    try 0 in_box cat /tmp/sl/f
    output s
    rm -rf "$T/d"
    try 0 sbx cp "$BOX:/tmp//sl/" "$T/d"
    [ "$(cat "$T/d/f")" = s ] || fail "the tree is not there"
    lib_case slashes "$BOX"
}

several_files_in_one_call_answer_one_by_one() { lib_case batch; }
only_the_four_codes_name_file_errors() { lib_case four_codes; }

get_of_a_fifo_socket_or_device_is_an_error_at_once() {
    new_box
    try 0 sh_box 'mkfifo /tmp/fifo; ln -s fifo /tmp/to-fifo'
    START=$(now_ms)
    file_error invalid_path /tmp/fifo timeout 20 "$SBXCTL" cp "$BOX:/tmp/fifo" "$T/back"
    file_error invalid_path /tmp/to-fifo timeout 20 "$SBXCTL" cp "$BOX:/tmp/to-fifo" "$T/back"
    file_error invalid_path /dev/zero timeout 20 "$SBXCTL" cp "$BOX:/dev/zero" "$T/back"
    file_error invalid_path /dev/null timeout 20 "$SBXCTL" cp "$BOX:/dev/null" "$T/back"
    if sh_box 'command -v perl' >/dev/null; then
        try 0 in_box perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("/tmp/sock")) or die'
        file_error invalid_path /tmp/sock timeout 20 "$SBXCTL" cp "$BOX:/tmp/sock" "$T/back"
    fi
    took_between 0 10000
    [ ! -e "$T/back" ] || fail "a file was made"
}

symlink_is_followed_inside_and_never_on_the_host() {
    new_box
    echo 'host secret' >"$T/host-secret"
    chmod 644 "$T/host-secret"
    try 0 sh_box 'mkdir -p /tmp/in; echo inside >/tmp/in/f; ln -s in/f /tmp/rel; ln -s /tmp/in/f /tmp/abs; ln -s "$1" /tmp/out' sh "$T/host-secret"
    rm -f "$T/back"
    try 0 sbx cp "$BOX:/tmp/rel" "$T/back"
    [ "$(cat "$T/back")" = inside ] || fail "the relative link gives something else"
    rm -f "$T/back"
    try 0 sbx cp "$BOX:/tmp/abs" "$T/back"
    [ "$(cat "$T/back")" = inside ] || fail "the absolute link gives something else"
    rm -f "$T/back"
    file_error file_not_found /tmp/out sbx cp "$BOX:/tmp/out" "$T/back"
    # a put through a link lands inside too
    echo new >"$T/new"
    sbx cp "$T/new" "$BOX:/tmp/out" >/dev/null 2>&1
    [ "$(cat "$T/host-secret")" = 'host secret' ] || fail "the host's file was written"
    try 0 sbx cp "$T/new" "$BOX:/tmp/abs"
    try 0 in_box cat /tmp/in/f
    output new
}

get_writes_nothing_but_the_named_target() {
    new_box
    mkdir -p "$T/host/canary" "$T/host/dest"
    echo canary >"$T/host/canary/c"
    find "$T/host" -printf '%p %y %s %l\n' | sort >"$T/before"
    try 0 sh_box 'mkdir -p /tmp/t/d; cd /tmp/t; echo f >d/f; ln -s ../../../../etc up; ln -s "$1" abs; ln -s . self; ln -s d/f fine' sh "$T/host/canary"
    sbx cp "$BOX:/tmp/t" "$T/host/dest/t" >"$T/out" 2>"$T/err"
    find "$T/host" -path "$T/host/dest/t" -prune -o -printf '%p %y %s %l\n' | sort | cmp - "$T/before" || fail "the host changed outside the target"
    if [ -e "$T/host/dest/t" ]; then
        [ ! -L "$T/host/dest/t/abs" ] && [ ! -L "$T/host/dest/t/up" ] || fail "a link that leaves the target was made"
    fi
    # a link that lies at the target's place on the host is replaced or refused, not followed with a tree
    rm -rf "$T/host/dest/t"
    mkdir "$T/host/dest/t"
    ln -s "$T/host/canary" "$T/host/dest/t/d"
    try 0 sh_box 'rm /tmp/t/up /tmp/t/abs'
    sbx cp "$BOX:/tmp/t/." "$T/host/dest/t" >"$T/out" 2>"$T/err"
    [ "$(ls -A "$T/host/canary")" = c ] || fail "a tree was written through a link"
    [ "$(cat "$T/host/canary/c")" = canary ] || fail "the canary changed"
}

get_of_a_tree_stands_a_game_of_symlinks() {
    new_box
    mkdir -p "$T/host/canary"
    echo canary >"$T/host/canary/c"
    try 0 sh_box 'mkdir -p /tmp/g/d; echo x >/tmp/g/d/f'
    "$SBXCTL" exec "$BOX" -- sh -c 'cd /tmp/g; while :; do mv d e; ln -s "$1" d; rm d; mkfifo d; rm d; mv e d; done' sh "$T/host/canary" >/dev/null 2>&1 &
    local player=$! i
    for i in $(seq 15); do
        timeout 20 "$SBXCTL" cp "$BOX:/tmp/g" "$T/host/got$i" >"$T/out" 2>"$T/err"
        [ $? != 124 ] || fail "cp hangs"
        [ ! -p "$T/host/got$i/d" ] && [ ! -L "$T/host/got$i/d" ] || fail "a fifo or a leaving link was made"
    done
    kill "$player"
    [ "$(ls -A "$T/host/canary")" = c ] && [ "$(cat "$T/host/canary/c")" = canary ] || fail "the canary changed"
}

file_moves_need_no_program_in_the_image() {
    local image=sbx-test/empty
    [ "$PROVIDER" = local ] || [ -n "${SBX_TEST_ENGINE:-}" ] || skip "needs an image made on the spot"
    if [ "$PROVIDER" = local ]; then
        image=$T/empty-image
        mkdir -m 755 "$image"
    fi
    try 0 sbx create --provider "$PROVIDER" --image "$image"
    BOX=$(cat "$T/out")
    head -c 100000 /dev/urandom >"$T/f"
    try 0 sbx cp "$T/f" "$BOX:/tmp/a/f"
    try 0 sbx cp "$BOX:/tmp/a/f" "$T/back"
    cmp "$T/f" "$T/back" || fail "the bytes differ"
    rm -rf "$T/tree"
    try 0 sbx cp "$BOX:/tmp/a" "$T/tree"
    cmp "$T/f" "$T/tree/f" || fail "the tree differs"
    try 0 sbx cp "$T/tree" "$BOX:/tmp/b"
    file_error file_not_found /tmp/none sbx cp "$BOX:/tmp/none" "$T/x"
    lib_case stat_in_empty_image "$BOX"
}

exists_is_true_for_files_and_directories_and_never_raises() { lib_case exists; }

line_ends_are_never_changed() {
    new_box
    printf '\357\273\277one\r\ntwo\nthree\rfour' >"$T/f"
    try 0 sbx cp "$T/f" "$BOX:/tmp/f"
    try 0 in_box cat /tmp/f
    exact <"$T/f"
    try 0 sbx cp "$BOX:/tmp/f" "$T/back"
    cmp "$T/f" "$T/back" || fail "the bytes differ"
}

type_size_and_time_can_be_asked_without_reading() { lib_case stat; }

trees_go_both_ways() {
    new_box
    mkdir -p "$T/up/sub/deep" "$T/up/empty"
    echo one >"$T/up/one"
    echo two >"$T/up/sub/deep/two"
    printf '#!/bin/sh\necho runs\n' >"$T/up/sub/script"
    chmod 755 "$T/up/sub/script"
    ln -s sub/deep/two "$T/up/link"
    echo hidden >"$T/up/.hidden"
    try 0 sbx cp "$T/up" "$BOX:/tmp/new"
    try 0 sh_box 'cd /tmp/new && cat one link .hidden && test -d empty && test -L link && sub/script'
    exact <<'END'
one
two
hidden
runs
END
    try 0 sbx cp "$BOX:/tmp/new" "$T/down"
    diff -r "$T/up" "$T/down" || fail "the trees differ"
    [ -L "$T/down/link" ] && [ -x "$T/down/sub/script" ] || fail "a link or a mode was lost"
}

directory_down_overwrites_files() {
    new_box
    try 0 sh_box 'mkdir -p /tmp/d/s; echo new >/tmp/d/f; echo new >/tmp/d/s/g'
    mkdir -p "$T/dest/s"
    echo old-and-longer >"$T/dest/f"
    echo kept >"$T/dest/other"
    lib_case tree_down "$BOX" /tmp/d "$T/dest"
    [ "$(cat "$T/dest/f" "$T/dest/s/g" "$T/dest/other")" = "$(printf 'new\nnew\nkept')" ] || fail "the directory is not as expected"
}
