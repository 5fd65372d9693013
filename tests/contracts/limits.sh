# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2013,SC2015,SC2016,SC2034,SC2154
# Contracts 52-63: time limits.

limit_is_in_seconds_and_may_be_a_fraction() {
    new_box
    START=$(now_ms)
    try 124 sbx exec --timeout 0.1 "$BOX" -- sleep 30
    took_between 100 4000
    START=$(now_ms)
    try 124 sbx exec --timeout 300ms "$BOX" -- sleep 30
    took_between 300 4000
    START=$(now_ms)
    try 0 sbx exec --timeout 5s "$BOX" -- sleep 0.3
    took_between 300 4000
}

no_limit_zero_and_negative_limits() {
    new_box
    try 0 sbx exec "$BOX" -- sleep 1.2
    try 0 sbx exec --timeout 0 "$BOX" -- sleep 1.2
    local bad
    for bad in -1 -0.5 abc 1x '' 1e400 nan; do
        try 125 sbx exec --timeout "$bad" "$BOX" -- touch /tmp/ran
        one_error_line
        [ ! -s "$T/out" ] || fail "output with --timeout '$bad'"
    done
    try 1 sh_box 'test -e /tmp/ran'
}

over_time_is_told_apart_from_exit_124() {
    new_box
    try 124 sbx exec --timeout 0.2 "$BOX" -- sleep 30
    one_error_line
    errors_match "^sbxctl: exec $BOX: timed out"
    try 124 sh_box 'exit 124'
    no_errors
    try 124 sh_box 'echo "sbxctl: exec: timed out" >&2; exit 124'
    try 124 sbx exec --json --timeout 0.2 "$BOX" -- sleep 30
    json_has cause '"timed_out"'
    try 124 sbx exec --json "$BOX" -- sh -c 'exit 124'
    json_has cause '"exited"'
}

fast_death_by_signal_under_a_long_limit_is_no_time_out() {
    new_box
    START=$(now_ms)
    try 143 sbx exec --timeout 30 "$BOX" -- sh -c 'kill -TERM $$'
    took_between 0 5000
    no_errors
}

time_out_kills_the_process() {
    new_marker
    new_box
    try 124 sbx exec --timeout 0.5 "$BOX" -- sleep "$MARK"
    marker_gone "$MARK" 2
    box_clean "$MARK"
}

time_out_kills_every_descendant() {
    new_marker
    new_box
    local way
    for way in \
        "sleep $MARK & sleep $MARK" \
        "(setsid sleep $MARK &) ; sleep $MARK" \
        "( ( sleep $MARK & ) & ) ; sleep $MARK" \
        "(setsid sh -c '(setsid sleep $MARK &) &' &); sleep $MARK" \
        "sleep $MARK >/dev/null 2>&1 </dev/null & exec sleep $MARK" \
        "i=0; while [ \$i -lt 40 ]; do sleep $MARK & i=\$((i+1)); done; wait"; do
        try 124 sbx exec --timeout 0.4 "$BOX" -- sh -c "$way"
        marker_gone "$MARK" 2
        box_clean "$MARK"
    done
    try 124 sbx exec --timeout 0.4 "$BOX" -- sh -c "while :; do (setsid sh -c 'sleep $MARK' >/dev/null 2>&1 &); sleep 0.01; done"
    marker_gone "$MARK" 2
    box_clean "$MARK"
}

time_out_kills_a_process_that_ignores_sigterm() {
    new_marker
    new_box
    START=$(now_ms)
    try 124 sbx exec --timeout 0.3 "$BOX" -- sh -c "trap '' TERM INT HUP; (setsid sleep $MARK &); sleep $MARK; sleep $MARK"
    took_between 300 7000
    marker_gone "$MARK" 2
    box_clean "$MARK"
}

output_before_the_time_out_is_given() {
    new_box
    try 124 sbx exec --timeout 0.5 "$BOX" -- sh -c 'echo early; echo early error >&2; sleep 30'
    output early
    errors_with 'early error'
    errors_with 'timed out'
    try 124 sbx exec --timeout 0.5 "$BOX" -- sh -c 'head -c 200000 /dev/zero | tr "\0" x; sleep 30'
    [ "$(wc -c <"$T/out")" = 200000 ] || fail "output was lost"
}

call_returns_within_limit_and_grace() {
    new_box
    START=$(now_ms)
    try 124 sbx exec --timeout 1 "$BOX" -- sh -c 'trap "" TERM; yes >/dev/null & sleep 40 & sleep 40'
    took_between 1000 4000
    START=$(now_ms)
    try 124 sbx exec --timeout 1 "$BOX" -- yes
    took_between 1000 4000
    lib_case call_deadline "$BOX"
}

call_returns_though_the_engine_hangs() {
    new_box
    local pid=
    same_machine && pid=$(guest_of "$BOX")
    [ -n "$pid" ] || skip "no way to freeze this provider's engine"
    kill -STOP "$pid"
    START=$(now_ms)
    local got=0
    sbx exec --timeout 1 "$BOX" -- true >"$T/out" 2>"$T/err" || got=$?
    kill -CONT "$pid"
    [ "$got" = 125 ] || [ "$got" = 124 ] || fail "exit status $got from a frozen sandbox"
    took_between 0 20000
    one_error_line
}

# The host's pid of a local sandbox's first process.
guest_of() { sbx inspect --json "$1" | tr -d ' ",' | sed -n 's/^.*provider.pid:\([0-9]*\).*$/\1/p'; }

command_that_ran_over_time_is_never_run_again() {
    new_box
    try 124 sbx exec --timeout 0.4 "$BOX" -- sh -c 'echo once >>/tmp/runs; sleep 30'
    sleep 1
    try 0 in_box cat /tmp/runs
    output once
}

sandbox_is_usable_after_a_time_out() {
    new_box
    local i
    for i in 1 2 3; do
        try 124 sbx exec --timeout 0.2 "$BOX" -- sh -c 'cat /dev/zero'
        try 0 sh_box "echo round $i"
        output "round $i"
    done
    [ "$(listed "$BOX")" = 1 ] || fail "it is no longer listed"
}

limit_is_kept_though_the_client_dies() {
    new_marker
    new_box
    "$SBXCTL" exec --timeout 2 "$BOX" -- sh -c "(setsid sleep $MARK &) ; sleep $MARK" >/dev/null 2>&1 &
    local client=$!
    ! same_machine || marker_seen "$MARK" 2
    sleep 0.3
    kill -9 "$client"
    wait "$client" 2>/dev/null
    marker_gone "$MARK" 6
    box_clean "$MARK"
    try 0 in_box true
}
