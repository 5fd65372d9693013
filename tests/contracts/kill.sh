# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# What a kill -9 of the client may leave: nothing. contract_reap adopts every orphan, so that none can hide.

# kill_rounds COUNT: kills `run` at random moments of its life
kill_rounds() {
    new_marker
    try 0 run_box -- true
    try 0 sbx ls -q
    find "$T/run" "$T/state" | sort >"$T/before"
    "$TOOLS/contract_reap" --rounds "$1" --spread-ms 40 --grace-ms 2000 -- \
        "$SBXCTL" run --provider "$PROVIDER" -- sh -c "(setsid sleep $MARK &); trap '' TERM; sleep $MARK" || fail "processes survived their host"
    marker_gone "$MARK" 2
    for _ in {1..20}; do # what is being removed may still be shown, though not for long
        try 0 sbx ls -q
        [ -s "$T/out" ] || break
        sleep 0.1
    done
    [ ! -s "$T/out" ] || fail "ls still shows $(cat "$T/out")"
    find "$T/run" "$T/state" | sort >"$T/after"
    diff "$T/before" "$T/after" || fail "something was left after the next ls"
    [ "$(grep -c "$T" /proc/self/mountinfo)" = 0 ] || fail "a mount was left"
}

no_process_survives_kill_9_of_run() { kill_rounds 50; }
no_process_survives_1000_kills_of_run() { kill_rounds 1000; }

kill_9_of_exec_ends_its_command_only() {
    new_marker
    new_box
    local i client
    sh_box "sleep 3; echo other lives" >"$T/other" &
    local other=$!
    for i in 1 2 3 4 5; do
        "$SBXCTL" exec "$BOX" -- sh -c "(setsid sleep $MARK &); sleep $MARK" >/dev/null 2>&1 &
        client=$!
        sleep "0.0$((i * 2))"
        kill -9 "$client"
        wait "$client" 2>/dev/null
    done
    marker_gone "$MARK" 3
    wait "$other" || fail "another exec was ended too"
    [ "$(cat "$T/other")" = 'other lives' ] || fail "another exec lost its output"
    try 0 in_box true
}

kill_9_of_create_leaves_nothing_half_made() {
    local i
    for i in $(seq 25); do
        "$SBXCTL" create --provider "$PROVIDER" --lifetime 30 >"$T/id$i" 2>/dev/null &
        sleep "0.0$(printf %02d $((i * 2 % 40)))"
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
    done
    sleep 0.5
    # what ls shows works; what it does not show has left no files
    local id shown
    shown=$(sbx ls -q)
    for id in $shown; do
        try 0 sbx exec "$id" -- true
        try 0 sbx rm "$id"
    done
    for i in $(seq 25); do
        id=$(cat "$T/id$i")
        [ -z "$id" ] || grep -qxF -- "$id" <<<"$shown" || fail "an id was printed but is not listed"
    done
    try 0 sbx ls -q
    [ ! -s "$T/out" ] || fail "ls still shows $(cat "$T/out")"
    find "$T/run" "$T/state" -type f >"$T/out"
    [ ! -s "$T/out" ] || fail "files were left"
    local pid
    for pid in /proc/[0-9]*; do
        grep -qs "${T#/tmp}/state/" "$pid/mountinfo" && fail "process ${pid#/proc/} was left"
    done
    return 0
}
