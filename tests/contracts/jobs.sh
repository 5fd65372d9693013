# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 64-77: background jobs.

# start ARGUMENT...: starts a job in the sandbox; its name is in JOB
start() {
    try 0 sbx job start "$BOX" "$@"
    JOB=$(cat "$T/out")
    [ -n "$JOB" ] || fail "start printed no name"
}
# logged TEXT: within 10 s the job's standard output is that
logged() {
    local i
    for i in $(seq 200); do
        [ "$(sbx logs "$BOX" "$JOB" 2>/dev/null)" = "$1" ] && return
        sleep 0.05
    done
    fail "the job printed '$(sbx logs "$BOX" "$JOB")', not '$1'"
}
pid_of() { sbx job info --json "$BOX" "$1" | sed -n 's/.*"pid":\([0-9]*\).*/\1/p'; }

job_starts_at_once_with_a_pid_of_the_sandbox() {
    new_box
    START=$(now_ms)
    start sleep 300
    took_between 0 2000
    local pid
    pid=$(pid_of "$JOB")
    [ "$pid" -gt 1 ] || fail "the pid is '$pid'"
    try 0 sh_box "tr '\\0' ' ' </proc/$pid/cmdline"
    [ "$(cat "$T/out")" = "sleep 300 " ] || fail "pid $pid is another process"
    try 0 sbx job info --json "$BOX" "$JOB"
    json_has running true
    json_has exit_code null
}

wait_blocks_has_a_limit_and_can_probe() {
    new_box
    start sh -c 'sleep 4; exit 7'
    START=$(now_ms)
    try 124 sbx wait --deadline 0.3 "$BOX" "$JOB"
    took_between 250 3500
    errors_with "timed out"
    try 0 sbx job info --json "$BOX" "$JOB"
    json_has running true
    try 7 sbx wait "$BOX" "$JOB"
    took_between 1000 20000
    try 0 sbx job info --json "$BOX" "$JOB"
    json_has running false
    json_has exit_code 7
    START=$(now_ms)
    try 7 sbx wait "$BOX" "$JOB"
    took_between 0 1000
}

wait_after_the_end_gives_the_same_code_any_number_of_times() {
    new_box
    start sh -c 'exit 41'
    local i
    for i in 1 2 3 4 5; do
        try 41 sbx wait "$BOX" "$JOB"
    done
    lib_case job_wait_many "$BOX" "$JOB" 41
}

job_has_its_own_exit_code_and_a_lost_job_is_an_error() {
    new_box
    local code
    for code in 0 1 124 125 255; do
        start sh -c "exit $code"
        try "$code" sbx wait "$BOX" "$JOB"
        no_errors
    done
    start sh -c 'kill -TERM $$'
    try 143 sbx wait "$BOX" "$JOB"
    try 143 sbx job wait --json "$BOX" "$JOB"
    json_has cause '"signalled"'
    try 125 sbx wait "$BOX" never-started
    errors_with never-started
    try 125 sbx wait --json "$BOX" never-started
    json_has code '"file_not_found"'
    start sleep 300
    sbx wait "$BOX" "$JOB" >"$T/out2" 2>"$T/err2" &
    local client=$!
    sleep 0.3
    try 0 sbx rm "$BOX"
    wait "$client"
    [ $? = 125 ] || fail "waiting for a job whose sandbox went away is no error"
    [ -s "$T/err2" ] || fail "and nothing was said"
    try 125 sbx wait "$BOX" "$JOB"
    errors_with "no such sandbox"
}

kill_ends_a_job_with_its_children() {
    new_marker
    new_box
    start sh -c "trap '' TERM; setsid sleep $MARK & sleep $MARK & sleep $MARK"
    ! same_machine || marker_seen "$MARK" 3
    START=$(now_ms)
    try 0 sbx job kill "$BOX" "$JOB"
    try 137 sbx wait "$BOX" "$JOB"
    took_between 0 5000
    box_clean "$MARK"
    [ "$PROVIDER" != local ] || marker_gone "$MARK" 5
}

kill_early_late_or_twice_is_silent() {
    new_box
    local i
    for i in 1 2 3 4 5 6; do
        start sleep 300
        try 0 sbx job kill "$BOX" "$JOB"
        no_errors
        try 0 sbx job kill "$BOX" "$JOB"
        try 137 sbx wait "$BOX" "$JOB"
    done
    start true
    try 0 sbx wait "$BOX" "$JOB"
    try 0 sbx job kill "$BOX" "$JOB"
    no_errors
    try 0 sbx wait "$BOX" "$JOB"
    try 0 sbx job kill "$BOX" "$JOB"
}

job_has_no_limit_of_its_own_but_the_sandboxs_lifetime() {
    [ "$PROVIDER" = local ] || skip "needs a provider whose default limit can be set"
    printf '[provider local]\nplugin = local\ntimeout = 1\n' >"$T/sbx.ini"
    export SBX_CONFIG=$T/sbx.ini
    new_marker
    new_box --lifetime 8
    try 124 sbx exec "$BOX" -- sleep 30
    start sleep "$MARK"
    sleep 1.5
    try 0 sbx job info --json "$BOX" "$JOB"
    json_has running true
    marker_seen "$MARK" 1
    marker_gone "$MARK" 20
    try 125 sbx wait "$BOX" "$JOB"
}

jobs_survive_clients_and_other_commands_and_end_with_the_sandbox() {
    new_marker
    new_box
    start sleep "$MARK"
    local first=$JOB
    # A client that dies while it starts and waits takes nothing with it.
    (sbx wait "$BOX" "$first" >/dev/null 2>&1 & echo $! >"$T/pid"; wait) &
    local i
    for i in $(seq 100); do [ -s "$T/pid" ] && break; sleep 0.02; done
    sleep 0.2
    kill -9 "$(cat "$T/pid")"
    try 124 sbx exec --timeout 0.3 "$BOX" -- sleep 30
    try 0 in_box true
    try 0 sbx job info --json "$BOX" "$first"
    json_has running true
    try 0 sbx rm "$BOX"
    [ "$PROVIDER" != local ] || marker_gone "$MARK" 5
}

jobs_and_commands_run_at_the_same_time() {
    new_box
    try 0 sh_box 'mkfifo /tmp/a /tmp/b /tmp/c'
    # Each waits for the other two, so that one after the other would never end.
    start sh -c 'echo one >/tmp/a; read x </tmp/b; echo "$x"'
    local one=$JOB
    start sh -c 'read x </tmp/a; read y </tmp/c; echo "$x $y" >/tmp/b'
    try 0 sbx exec --timeout 20 "$BOX" -- sh -c 'echo two >/tmp/c'
    try 0 sbx wait --deadline 20 "$BOX" "$one"
    JOB=$one
    logged "one two"
}

secrets_of_a_job_stay_out_of_arguments_and_logs() {
    new_box
    export SBX_TEST_SECRET=hush$RANDOM$RANDOM$RANDOM
    try 0 sbx job start --verbose -e SBX_TEST_SECRET "$BOX" -- sh -c 'echo "${#SBX_TEST_SECRET}"; sleep 300'
    JOB=$(cat "$T/out")
    ! grep -q "$SBX_TEST_SECRET" "$T/err" || fail "the log tells the secret"
    logged "${#SBX_TEST_SECRET}"
    printf '%s\n' "$SBX_TEST_SECRET" >"$T/pattern"
    ! cat /proc/[0-9]*/cmdline 2>/dev/null | grep -qaFf "$T/pattern" || fail "an argument tells the secret"
    try 1 sh_box 'cat /proc/[0-9]*/cmdline 2>/dev/null | grep -a hush[0-9]'
    try 0 sbx job info --json --verbose "$BOX" "$JOB"
    ! grep -q "$SBX_TEST_SECRET" "$T/out" "$T/err" || fail "info tells the secret"
    try 0 in_box env
    ! grep -q "$SBX_TEST_SECRET" "$T/out" || fail "another command has the secret"
}

output_of_a_running_job_is_read_from_an_offset_without_loss_or_repetition() { lib_case job_output_in_pieces; }

stdin_of_a_job_is_kept_open_fed_in_pieces_and_closed() { lib_case job_stdin; }

server_in_a_job_answers_on_loopback_with_networking_off() {
    new_box --network none
    need_in_box perl
    start perl -MIO::Socket::INET -e '
        $| = 1;
        my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => 8765, ReuseAddr => 1) or die $!;
        print "ready\n";
        while (my $c = $s->accept) { my $l = <$c>; print $c "HTTP/1.0 200 OK\r\n\r\nhealthy\n"; close $c }'
    logged ready
    if sh_box 'command -v curl >/dev/null'; then
        try 0 in_box curl -s http://127.0.0.1:8765/healthz
    else
        try 0 in_box perl -MIO::Socket::INET -e '
            my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => 8765) or die $!;
            print $c "GET /healthz HTTP/1.0\r\n\r\n"; my @l = <$c>; print $l[-1]'
    fi
    output healthy
}

short_failure_of_the_engine_while_waiting_is_stood_and_a_lasting_one_told() {
    [ "$PROVIDER" = local ] || skip "no way to stop this provider's engine"
    new_box
    local guest client
    guest=$(sbx inspect --json "$BOX" | tr -d ' ",' | sed -n 's/^.*provider.pid:\([0-9]*\).*$/\1/p')
    [ -n "$guest" ] || fail "no pid of the guest"
    start sh -c 'sleep 1; exit 9'
    sbx wait "$BOX" "$JOB" >"$T/out2" 2>"$T/err2" &
    client=$!
    sleep 0.2
    kill -STOP "$guest"
    sleep 2
    kill -CONT "$guest"
    wait "$client"
    [ $? = 9 ] || fail "a pause of the engine changed the answer: $(cat "$T/err2")"
    start sleep 300
    sbx wait "$BOX" "$JOB" >"$T/out2" 2>"$T/err2" &
    client=$!
    sleep 0.2
    START=$(now_ms)
    kill -KILL "$guest"
    wait "$client"
    [ $? = 125 ] || fail "a dead engine is no error"
    took_between 0 15000
    [ "$(wc -l <"$T/err2")" = 1 ] || fail "not one line"
}
