# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 118-119: terminals, through a pseudo-terminal of the test's own (contract_pty).

terminal_has_size_resize_echo_and_exit_code() {
    pty_case 30 "$SBXCTL" run --provider "$PROVIDER" -it -- sh <<'END' || fail "the dialogue went otherwise"
size 30 100
expect $
send stty size\r
expect 30 100
send tty && echo terminal-$((6*7))\r
expect terminal-42
resize 41 133
sleep 300
send stty size\r
expect 41 133
send printf '%s-%s\\n' ec ho\r
expect ec-ho
send exit 7\r
exit 7
END
}

terminal_is_of_the_callers_kind() {
    new_box
    TERM=vt220 pty_case 30 "$SBXCTL" exec -it "$BOX" -- sh -c 'echo "kind-$TERM."' <<'END' || fail "TERM as it is here"
expect kind-vt220.
exit 0
END
    TERM=vt220 pty_case 30 "$SBXCTL" exec -it -e TERM=ansi "$BOX" -- sh -c 'echo "kind-$TERM."' <<'END' || fail "TERM as it was asked for"
expect kind-ansi.
exit 0
END
    try 0 env -u TERM "$SBXCTL" exec -t "$BOX" -- sh -c 'echo "kind-$TERM."'
    grep -q '^kind-xterm[.]' "$T/out" || fail "TERM where there is none here: $(cat "$T/out")"
    try 0 env TERM=vt220 "$SBXCTL" exec "$BOX" -- sh -c 'echo "kind-$TERM."'
    grep -q '^kind-[.]' "$T/out" || fail "TERM without a terminal: $(cat "$T/out")"
}

caller_terminal_is_raw_during_and_restored_after() {
    new_box
    pty_case 30 "$SBXCTL" exec -it "$BOX" -- sh -c 'echo ready; read x; exit 3' <<'END' || fail "the dialogue went otherwise"
expect ready
mode raw
send \r
exit 3
mode cooked
END
    pty_case 30 "$SBXCTL" exec -it --timeout 0.7 "$BOX" -- sh -c 'echo ready; sleep 20' <<'END' || fail "not restored after a time-out"
expect ready
mode raw
exit 124
mode cooked
END
    pty_case 30 "$SBXCTL" exec -it "$BOX" -- sh -c 'echo ready; sleep 20' <<'END' || fail "not restored after SIGTERM"
expect ready
mode raw
kill TERM
exit any
mode cooked
END
}

echo_is_as_the_sandbox_says() {
    new_box
    pty_case 30 "$SBXCTL" exec -it "$BOX" -- sh -c 'stty -echo; echo ready; read x; echo "${#x} letters"; stty echo; echo again; read y; echo "got <$y>"' <<'END' || fail "the dialogue went otherwise"
expect ready
send hidden-word\r
never hidden-word
expect 11 letters
expect again
send shown-word\r
expect shown-word
expect got <shown-word>
exit 0
END
}

interrupt_reaches_the_foreground_process_and_the_session_goes_on() {
    new_box
    pty_case 40 "$SBXCTL" exec -it "$BOX" -- sh <<'END' || fail "the dialogue went otherwise"
expect $
send sleep 1000\r
sleep 300
send \x03
sleep 200
send echo after-$((40+2))\r
expect after-42
send cat\r
sleep 200
send \x04
send echo eof-$((1+1))\r
expect eof-2
send exit\r
exit any
END
}

suspend_key_works() {
    new_box
    need_in_box bash
    pty_case 40 "$SBXCTL" exec -it --env PS1='> ' "$BOX" -- bash --norc -i <<'END' || fail "the dialogue went otherwise"
expect > 
send sleep 1000\r
sleep 400
send \x1a
expect Stopped
send jobs; echo here-$((2+3))\r
expect here-5
send kill -9 %1; fg 2>/dev/null; echo fin-$((3+3))\r
expect fin-6
send exit 4\r
exit 4
END
}

terminal_that_hangs_up_ends_its_processes() {
    new_marker
    new_box
    pty_case 30 "$SBXCTL" exec -it "$BOX" -- sh <<END || fail "the dialogue went otherwise"
expect \$
send setsid sleep $MARK &\r
send sleep $MARK &\r
sleep 300
hangup
exit any
END
    marker_gone "$MARK" 3
}

python_repl_works() {
    new_box
    need_in_box python3
    pty_case 40 "$SBXCTL" exec -it --env TERM=dumb "$BOX" -- python3 -q <<'END' || fail "the dialogue went otherwise"
expect >>> 
send print(6*7, 'answers')\r
expect 42 answers
send while True: pass\r\r
sleep 500
send \x03
expect KeyboardInterrupt
send print('still ' + 'here')\r
expect still here
send exit(5)\r
exit 5
END
}

pager_works() {
    new_box
    need_in_box less
    pty_case 40 "$SBXCTL" exec -it --env TERM=vt100 "$BOX" -- sh -c 'seq 1000 | less' <<'END' || fail "the dialogue went otherwise"
size 24 80
expect 20
send G
expect 1000
send q
exit 0
END
}

first_prompt_comes_soon() {
    new_box
    START=$(now_ms)
    pty_case 20 "$SBXCTL" exec -it "$BOX" -- sh <<'END' || fail "no prompt"
expect $
send exit\r
exit 0
END
    sanitized || took_between 0 2000
}

large_output_through_a_terminal_is_whole() {
    new_box
    try 0 sbx exec -t "$BOX" -- sh -c 'stty -opost; i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done'
    seq 0 19999 | sed 's/^/line /' | exact
}
