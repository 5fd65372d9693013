# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# sbxctl with -t: what tests/contracts does not look at. contract_pty holds the dialogue.

ESC=$(printf '\033')
pty() { "$BUILD/tests/contracts/contract_pty" 30 "$@" 2>"$T/err" || fail "the dialogue went otherwise"; }

a_terminal_without_one_here_is_80_by_24() {
    new_box
    try 0 sbx exec -t "$BOX" -- sh -c 'stty size; test -t 0 && test -t 1 && echo yes'
    tr -d '\r' <"$T/out" >"$T/plain"
    [ "$(cat "$T/plain")" = $'24 80\nyes' ] || fail "not 24 80"
}

a_terminal_here_is_no_input_without_being_asked() {
    new_box
    pty "$SBXCTL" exec "$BOX" -- sh -c 'echo ready; cat; test -t 0 || echo closed' <<'END'
expect ready
expect closed
exit 0
mode cooked
END
    pty "$SBXCTL" exec -i "$BOX" -- sh -c 'read x; echo "got <$x>"' <<'END'
send word\r
expect got <word>
exit 0
END
}

the_terminal_is_put_back_when_nothing_ran() {
    new_box
    pty "$SBXCTL" exec -it "$BOX" -- no-such-program <<'END'
expect no such program
exit 127
mode cooked
END
    pty "$SBXCTL" exec -it -w /no/such "$BOX" -- sh <<'END'
expect /no/such
exit 125
mode cooked
END
    pty "$SBXCTL" exec -it local/000000000000 -- sh <<'END'
expect no such sandbox
exit 125
mode cooked
END
}

# As a program with a slow source or target would: 3 s for what travels.
slow_copy() { pty sh -c "$1"; }

a_long_copy_is_shown_on_a_terminal_alone() {
    new_box
    local slow='for i in 1 2 3 4 5 6 7 8 9 10; do head -c 100000 /dev/zero; sleep 0.25; done'
    slow_copy "($slow) | $SBXCTL cp - $BOX:/tmp/f; echo copied" <<END
expect copying ...
expect KiB/s
expect ${ESC}[K
expect copied
exit 0
END
    try 0 in_box sh -c 'wc -c </tmp/f'
    output 1000000
    # The pipe has a reader before anybody writes, and from then on.
    slow_copy "mkfifo $T/p; exec 9<>$T/p; (sleep 1.5; head -c 1000000 <&9 >$T/got) & $SBXCTL cp $BOX:/tmp/f $T/p; wait; echo copied" <<'END'
expect copying ...
expect of 976.6 KiB,
expect copied
exit 0
END
    [ "$(wc -c <"$T/got")" = 1000000 ] || fail "not the file"
    # Nothing of it with -q, with --json, or where standard error is no terminal.
    slow_copy "($slow) | $SBXCTL cp -q - $BOX:/tmp/f; echo copied" <<'END'
never copying
expect copied
exit 0
END
    slow_copy "($slow) | $SBXCTL cp --json - $BOX:/tmp/f; echo copied" <<'END'
never copying
expect copied
exit 0
END
    sh -c "($slow)" | sbx cp - "$BOX:/tmp/f" >"$T/out" 2>"$T/err" || fail "not copied"
    no_errors
    [ ! -s "$T/out" ] || fail "something was printed"
}

a_long_copy_of_a_tree_is_shown() {
    fixture direct "tar_file = $T/slow.tar"
    mkdir "$T/boxes/standing/any" "$T/src"
    head -c 1000000 /dev/zero >"$T/src/f"
    mkfifo "$T/slow.tar"
    tar c -C "$T/src" . | split -b 102400 - "$T/part."
    slow_copy "(for p in $T/part.*; do cat \$p; sleep 0.2; done) >$T/slow.tar & \
        $SBXCTL cp d/standing:any $T/dest; echo copied" <<END
expect copying ...
expect KiB/s
expect ${ESC}[K
expect copied
exit 0
END
    cmp "$T/src/f" "$T/dest/f" || fail "not the tree"
}

what_a_provider_tells_is_shown_on_a_terminal_alone() {
    fixture direct
    pty "$SBXCTL" exec d/standing -- echo done-here <<'END'
expect info: d: open: opened
expect done-here
exit 0
END
    pty "$SBXCTL" exec -q d/standing -- echo done-here <<'END'
never info
expect done-here
exit 0
END
    try 0 sbx exec d/standing -- echo done-here
    no_errors
    for words in 'config check' 'config files' 'providers -q' 'ls -q'; do
        # shellcheck disable=SC2086
        pty "$SBXCTL" $words <<'END'
never unknown
exit 0
END
    done
    sed -i 's/^\[sbx\]$/&\nlog_level = error/' "$SBX_CONFIG"
    pty "$SBXCTL" exec d/standing -- echo done-here <<'END'
never info
expect done-here
exit 0
END
}
