# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# sbxctl cp: where things go, and what is refused.

cp_puts_a_file_where_cp_would() {
    new_box
    echo one >"$T/f"
    chmod 750 "$T/f"
    try 0 sbx cp "$T/f" "$BOX:/tmp/g"
    no_errors
    output ''
    try 0 in_box sh -c 'cat /tmp/g; stat -c %a /tmp/g'
    output $'one\n750'
    try 0 sbx cp "$T/f" "$BOX:/tmp"
    try 0 sbx cp "$T/f" "$BOX:/tmp/new/deep/"
    try 0 in_box cat /tmp/f /tmp/new/deep/f
    output $'one\none'
    cd "$T" || exit 1
    try 0 sbx cp ./f "$BOX:relative"
    try 0 in_box cat relative
    echo colon >a:b
    try 0 sbx cp ./a:b "$BOX:/tmp/c:d"
    try 0 sbx cp "$BOX:/tmp/c:d" ./e:f
    [ "$(cat e:f)" = colon ] || fail "the colons went wrong"
    try 0 sbx cp --json "$T/f" "$BOX:/tmp/g"
    json_is '"file"' kind
    json_is "\"$BOX\"" id
}

cp_gets_a_file_where_cp_would() {
    new_box
    try 0 in_box sh -c 'mkdir /tmp/d; echo one >/tmp/d/f; chmod 640 /tmp/d/f'
    try 0 sbx cp "$BOX:/tmp/d/f" "$T/g"
    [ "$(cat "$T/g") $(stat -c %a "$T/g")" = 'one 640' ] || fail "not the file and its mode"
    mkdir "$T/dir"
    try 0 sbx cp "$BOX:/tmp/d/f" "$T/dir"
    [ "$(cat "$T/dir/f")" = one ] || fail "not in the directory"
    echo older-and-longer >"$T/old"
    chmod 600 "$T/old"
    try 0 sbx cp "$BOX:/tmp/d/f" "$T/old"
    [ "$(cat "$T/old") $(stat -c %a "$T/old")" = 'one 600' ] || fail "not replaced, or another mode"
    try 0 sbx cp "$BOX:/tmp/d/f" -
    output one
    cd "$T/dir" || exit 1
    try 0 sbx cp "$BOX:/tmp/d/f" .
    try 0 sbx cp "$BOX:/tmp/d/f" /dev/null
    [ -c /dev/null ] || fail "/dev/null was replaced"
    [ "$(find "$T" -name '.sbx-*' | wc -l)" = 0 ] || fail "a temporary file is left"
}

cp_refuses_targets_that_lead_elsewhere() {
    new_box
    echo x >"$T/real"
    ln -s real "$T/link"
    ln -s none "$T/dangling"
    mkdir "$T/dir"
    ln -s ../real "$T/dir/hostname"
    try 0 in_box sh -c 'echo inside >/tmp/hostname; mkdir -p /tmp/t; echo y >/tmp/t/y'
    for target in link dangling dir; do
        try 125 sbx cp "$BOX:/tmp/hostname" "$T/$target"
        errors_with "a symbolic link"
    done
    [ "$(cat "$T/real")" = x ] || fail "the link was followed"
    try 125 sbx cp "$BOX:/tmp/hostname" "$T/none/x"
    errors "sbxctl: cp $T/none/x: No such file or directory"
    try 125 sbx cp "$BOX:/tmp/hostname" "$T/new/"
    errors_with "$T/new/"
    try 125 sbx cp "$BOX:/tmp/t" "$T/real"
    errors "sbxctl: cp $T/real: Not a directory"
    mkfifo "$T/fifo"
    try 125 sbx cp "$T/fifo" "$BOX:/tmp/x"
    errors "sbxctl: cp $T/fifo: neither a file nor a directory; use - for a stream"
    try 125 sbx cp "$T/none" "$BOX:/tmp/x"
    errors "sbxctl: cp $T/none: No such file or directory"
    try 125 sbx cp --json "$T/none" "$BOX:/tmp/x"
    json_is '"file_not_found"' error code
}

cp_names_one_of_the_four_codes() {
    new_box
    try 0 in_box sh -c 'mkdir /tmp/d; mkfifo /tmp/p; echo x >/tmp/f; chmod 0 /tmp/f'
    echo x >"$T/x"
    try 125 sbx cp "$BOX:/none" "$T/y"
    grep -q "^sbxctl: cp $BOX:/none: file_not_found" "$T/err" || fail "not file_not_found"
    try 125 sbx cp "$BOX:/tmp/f" "$T/y"
    grep -q "^sbxctl: cp $BOX:/tmp/f: permission_denied" "$T/err" || fail "not permission_denied"
    try 125 sbx cp "$BOX:/tmp/p" "$T/y"
    grep -q "^sbxctl: cp $BOX:/tmp/p: invalid_path" "$T/err" || fail "not invalid_path"
    local code=0
    sbx cp - "$BOX:/tmp/d" <"$T/x" >"$T/out" 2>"$T/err" || code=$?
    [ "$code" = 125 ] || fail "exit status $code"
    grep -q "^sbxctl: cp $BOX:/tmp/d: is_directory" "$T/err" || fail "not is_directory"
    try 125 sbx cp --json "$BOX:/none" "$T/y"
    json_is '"file_not_found"' error code
    json_is "\"$BOX:/none\"" error subject
    [ ! -e "$T/y" ] || fail "a file was made"
}

cp_moves_trees_both_ways() {
    new_box
    mkdir -p "$T/up/sub"
    echo a >"$T/up/a"
    echo b >"$T/up/sub/b"
    ln -s sub/b "$T/up/l"
    try 0 sbx cp "$T/up" "$BOX:/tmp/fresh"
    try 0 sbx cp "$T/up" "$BOX:/tmp"
    try 0 sbx cp "$T/up/." "$BOX:/tmp/fresh"
    try 0 in_box sh -c 'cd /tmp; cat fresh/a up/sub/b fresh/l; ls fresh'
    output $'a\nb\nb\na\nl\nsub'
    try 0 sbx cp "$BOX:/tmp/fresh" "$T/down"
    diff -r "$T/up" "$T/down" || fail "the trees differ"
    mkdir "$T/into"
    try 0 sbx cp "$BOX:/tmp/fresh" "$T/into"
    diff -r "$T/up" "$T/into/fresh" || fail "not below the directory"
    try 0 sbx cp "$BOX:/tmp/fresh/." "$T/into"
    [ "$(cat "$T/into/sub/b")" = b ] || fail "not the content alone"
    sbx cp "$BOX:/tmp/fresh" - | tar t >"$T/out" || fail "no tar"
    grep -qx './sub/b' "$T/out" || fail "the tar has no ./sub/b"
    tar cf "$T/t.tar" -C "$T/up" .
    sbx cp -r - "$BOX:/tmp/from-tar" <"$T/t.tar" 2>"$T/err" || fail "the tar was refused"
    try 0 in_box cat /tmp/from-tar/sub/b
    output b
}

# resident KIBIBYTES COMMAND...: it works, and its largest resident size is below that (sanitizers need more)
resident() {
    python3 -c '
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("exit status", code, "resident", used, "KiB")
sys.exit(code != 0 or used > int(sys.argv[1]))' "$@" >"$T/out" 2>"$T/err" || fail "$2 $3 $4"
}

cp_streams_large_files_in_little_memory() {
    local most=16384
    ! grep -qsE 'SBX_SANITIZE:STRING=(address|thread)' "$BUILD/CMakeCache.txt" || most=2000000
    new_box
    head -c 52428800 /dev/urandom >"$T/big"
    resident "$most" "$SBXCTL" cp "$T/big" "$BOX:/tmp/big"
    resident "$most" "$SBXCTL" cp "$BOX:/tmp/big" "$T/back"
    cmp "$T/big" "$T/back" || fail "the bytes differ"
}
