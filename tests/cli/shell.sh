# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# Shells that stay, and the life of a sandbox.

a_shell_stays_from_one_call_to_the_next() {
    new_box
    try 0 sbx shell "$BOX" work -- cd /tmp ';' A=7
    try 0 sbx shell "$BOX" work 'echo "$PWD $A"; echo wrong >&2'
    output "/tmp 7"
    errors wrong
    try 3 sbx shell "$BOX" work '(exit 3)'
    try 0 sbx shell "$BOX" other 'echo "$A"'
    output ""
    try 0 sbx shell --json "$BOX" work 'printf "$A"'
    json_is '"7"' stdout
    json_is 0 exit_code
    try 124 sbx shell --timeout 0.3 "$BOX" work 'sleep 300'
    errors_with "sbxctl: shell $BOX: timed out"
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output 7
    # Input that the shell does not take is never dropped in silence.
    echo ours >"$T/ours"
    try 125 sh -c '"$0" shell "$1" work cat <"$2"' "$SBXCTL" "$BOX" "$T/ours"
    errors_with "sbxctl: shell $BOX: a command of a named shell has no stdin"
    errors_with "if the command is to have none: </dev/null"
    try 125 sbx shell -i "$BOX" work cat
    [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
    try 125 sbx shell "$BOX" work 'exit 4'
    [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
    ! grep -q "not running" "$T/err" || fail "the sandbox does run"
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output ""
    try 0 sbx shell --close "$BOX" work
    no_errors
    try 125 sbx shell --close "$BOX" work
    errors_with work
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output ""
}

shell_pty() { "$BUILD/tests/contracts/contract_pty" 60 "$SBXCTL" shell "$@" 2>"$T/err" || fail "the dialogue went otherwise"; }

a_shell_on_a_terminal_runs_what_is_typed_and_stays() {
    new_box
    shell_pty "$BOX" work <<'END'
expect work$
send cd /tmp; A=7\r
expect work$
send echo "$PWD $A"\r
expect /tmp 7
expect work$
send   \r
expect work$
send (exit 3)\r
expect work$
send \x04
exit 3
END
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output 7
    shell_pty "$BOX" work <<'END'
expect work$
send echo "still $A"; exit 5\r
expect still 7
exit 5
END
    try 0 sbx shell "$BOX" work 'echo "<$A>"'
    output '<>'
}

the_interrupt_key_ends_the_command_and_not_the_shell() {
    new_box
    shell_pty "$BOX" work <<'END'
expect work$
send A=kept\r
expect work$
send echo be""gin; sleep 300\r
expect begin
send \x03
expect work$
send echo "$A" and not typed\x03
expect work$
send echo "it is $A"\r
expect it is kept
expect work$
kill TERM
expect interrupted by SIGTERM
exit 143
END
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output kept
}

a_shell_without_a_name_is_gone_with_its_terminal() {
    new_box
    shell_pty "$BOX" <<'END'
expect sandbox$
send echo $$ >/tmp/pid; echo done\r
expect done
expect sandbox$
send \x04
exit 0
END
    try 1 in_box sh -c 'kill -0 "$(cat /tmp/pid)" 2>/dev/null'
    shell_pty "$BOX" --timeout 0.3 <<'END'
expect sandbox$
send sleep 100\r
expect timed out
expect sandbox$
send \x04
exit 124
END
    shell_pty local/000000000000 <<'END'
expect no such sandbox
exit 125
END
}

keep_alive_moves_the_end_of_a_sandbox() {
    local before
    new_box --lifetime 10m
    try 0 sbx inspect --json "$BOX"
    before=$(json sandboxes 0 expires_ms)
    try 0 sbx keep-alive --for 1h "$BOX"
    no_errors
    try 0 sbx inspect --json "$BOX"
    [ "$(json sandboxes 0 expires_ms)" -gt "$((before + 1800000))" ] || fail "the end did not move"
    try 0 sbx keep-alive --json "$BOX"
    json_is "\"$BOX\"" id
    try 125 sbx keep-alive local/000000000000
    errors "sbxctl: keep-alive local/000000000000: no such sandbox"
}

suspend_and_resume_say_what_they_did() {
    new_box
    try 0 sbx inspect --json "$BOX"
    if [ "$(json sandboxes 0 capabilities sbx.suspend/1)" = '"none"' ]; then
        try 125 sbx suspend --json "$BOX"
        json_is '"unsupported"' error code
        try 125 sbx resume "$BOX"
        [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
        try 0 in_box true
        return
    fi
    try 0 sbx suspend "$BOX"
    try 0 sbx wait --state suspended "$BOX"
    output suspended
    try 0 sbx resume "$BOX"
    try 0 in_box true
}

a_tunnel_lives_with_its_process() {
    local pid address
    new_box
    in_box sh -c 'command -v python3' >/dev/null 2>&1 </dev/null || skip "no python3 in the sandbox to listen with"
    try 0 sbx job start "$BOX" python3 -c '
import socket
s = socket.socket(); s.bind(("127.0.0.1", 4711)); s.listen()
while True:
    c = s.accept()[0]; c.sendall(b"got " + c.recv(100)); c.close()'
    "$SBXCTL" tunnel "$BOX" 4711 >"$T/address" 2>"$T/err" &
    pid=$!
    for _ in {1..100}; do
        [ -s "$T/address" ] && break
        sleep 0.05
    done
    address=$(cat "$T/address")
    for _ in {1..50}; do
        try 0 python3 -c '
import socket, sys
c = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); c.sendall(b"hello")
try: print(c.recv(100).decode())
except ConnectionResetError: print()' "${address#127.0.0.1:}"
        [ -n "$(cat "$T/out")" ] && break
        sleep 0.1
    done
    output "got hello"
    kill -TERM "$pid"
    wait "$pid" || fail "a signal is the tunnel's proper end"
    try 1 python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' \
        "${address#127.0.0.1:}"
    try 125 sbx tunnel create "$BOX" 80
    errors "sbxctl: tunnel $BOX: the provider does not offer sbx.tunnel/1"
    try 125 sbx ssh --key "$T/key" "$BOX" true
    errors "sbxctl: ssh $BOX: the provider does not offer sbx.ssh/1"
    [ ! -e "$T/key" ] || fail "a key file without a key"
    try 125 sbx tunnel local/000000000000 80
    errors "sbxctl: tunnel local/000000000000: no such sandbox"
}

gc_removes_what_it_names() {
    new_box
    try 0 sbx gc
    output ""
    try 0 sbx gc --all --dry-run --json
    json_is true dry_run
    json_is "\"$BOX\"" sandboxes 0 id
    try 0 in_box true
    try 0 sbx gc --all -q
    output "$BOX"
    try 125 in_box true
}
