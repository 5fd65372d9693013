# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 13, 14, 16, 17, 127: states of a sandbox, sleep, sweeping, how many there may be.

# state_is STATE
state_is() {
    try 0 sbx inspect --json "$BOX"
    json_has state "\"$1\""
    try 0 sbx ls -q --state "$1"
    grep -qxF "$BOX" "$T/out" || fail "ls --state $1 does not show it"
}

need_sleep() { offers sbx.suspend/1 || skip "the provider cannot suspend"; }

suspend_keeps_files_and_processes() {
    need_sleep
    new_box
    try 0 sh_box 'echo kept >note; (while :; do echo x >>grows; sleep 0.01; done) >/dev/null 2>&1 &'
    try 0 sbx suspend "$BOX"
    no_errors
    state_is suspended
    try 0 sbx suspend "$BOX"
    sleep 0.3
    try 0 sbx resume "$BOX"
    state_is running
    try 0 sbx resume "$BOX"
    try 0 sh_box 'cat note; a=$(wc -c <grows); sleep 0.3; b=$(wc -c <grows); [ "$b" -gt "$a" ] && echo grew'
    printf 'kept\ngrew\n' | exact
    try 0 sbx suspend "$BOX"
    try 0 sbx resume "$BOX"
    try 0 in_box cat note
}

suspended_processes_do_nothing() {
    need_sleep
    new_box
    try 0 sh_box 'for i in 1 2 3; do (while :; do (/bin/date +%s%N >>ticks) & wait; done) >/dev/null 2>&1 & done'
    sleep 0.3
    try 0 sbx suspend "$BOX"
    local from to
    from=$(date +%s%N)
    sleep 0.5
    to=$(date +%s%N)
    try 0 sbx resume "$BOX"
    sleep 0.2
    try 0 sh_box "awk -v a=$from -v b=$to '\$1 > a && \$1 < b {n++} END {print n + 0, (NR > 0)}' ticks; grep -vc '^[0-9]*$' ticks || true"
    printf '0 1\n0\n' | exact
}

suspended_sandbox_says_not_running_at_once() {
    need_sleep
    new_box
    echo data >file
    try 0 sbx suspend "$BOX"
    START=$(now_ms)
    try 125 in_box true
    errors_match "^sbxctl: exec $BOX: not running"
    one_error_line
    try 125 sbx cp file "$BOX:/tmp/file"
    errors_with 'not running'
    try 125 sbx cp "$BOX:/etc/passwd" -
    errors_with 'not running'
    try 125 sbx job start "$BOX" true
    errors_with 'not running'
    try 125 sbx shell "$BOX" s true
    errors_with 'not running'
    try 125 sbx exec --json "$BOX" -- true
    json_has code '"wrong_state"'
    took_between 0 2000
}

suspended_sandbox_is_removed_at_once() {
    need_sleep
    new_marker
    new_box
    sh_box "sleep $MARK & sleep $MARK" >/dev/null 2>&1 &
    ! same_machine || marker_seen "$MARK" 2
    try 0 sbx suspend "$BOX"
    START=$(now_ms)
    try 0 sbx rm "$BOX"
    took_between 0 2000
    marker_gone "$MARK" 2
    [ "$(listed "$BOX")" = 0 ] || fail "it is still listed"
}

lifetime_goes_on_while_suspended() {
    need_sleep
    new_marker
    START=$(now_ms)
    new_box --lifetime 2
    sh_box "sleep $MARK" >/dev/null 2>&1 &
    ! same_machine || marker_seen "$MARK" 1
    try 0 sbx suspend "$BOX"
    wait $!
    took_between 1500 8000
    marker_gone "$MARK" 2
    unlisted "$BOX" 2
}

limit_of_a_command_goes_on_while_suspended() {
    need_sleep
    new_marker
    new_box
    sbx exec --timeout 1 "$BOX" -- sh -c "echo before; sleep $MARK & sleep $MARK" >"$T/out2" 2>"$T/err2" &
    local client=$!
    ! same_machine || marker_seen "$MARK" 2
    try 0 sbx suspend "$BOX"
    wait "$client"
    [ $? = 124 ] || fail "exec ended otherwise than with 124: $(cat "$T/err2")"
    marker_gone "$MARK" 2
    try 0 sbx resume "$BOX"
    try 0 in_box true
}

waiting_for_a_state_has_its_own_limit() {
    new_box
    try 0 sbx wait --state running "$BOX"
    output running
    START=$(now_ms)
    try 124 sbx wait --state suspended --deadline 0.5 "$BOX"
    took_between 400 3000
    need_sleep
    (sleep 0.3 && sbx suspend "$BOX") &
    try 0 sbx wait --state suspended --deadline 10 "$BOX"
    output suspended
    wait
    try 0 sbx rm "$BOX"
    try 125 sbx wait --state running "$BOX"
    errors_with 'no such sandbox'
}

failure_between_create_and_use_removes_the_sandbox() {
    try 125 run_box --cwd /no/such/directory -- true
    one_error_line
    errors_with /no/such/directory
    [ -z "$(sbx ls -q)" ] || fail "left behind: $(sbx ls -q)"
}

failing_removal_does_not_hide_the_first_error() {
    [ "$(id -u)" != 0 ] || skip "root may remove whatever a folder's mode is"
    [ "$PROVIDER" = local ] || skip "made to fail by the modes of local's folders"
    mkfifo go
    run_box --deadline 20 -- sh -c 'echo ready; sleep 1; exit 7' >"$T/out2" 2>"$T/err2" &
    local client=$! i
    for i in $(seq 100); do
        grep -q ready "$T/out2" && break
        sleep 0.05
    done
    chmod 500 "$T/run/sbx/local/local"
    wait "$client"
    local code=$?
    chmod 700 "$T/run/sbx/local/local"
    cp "$T/err2" "$T/err"
    [ "$code" = 7 ] || fail "exit status $code instead of the command's 7"
    errors_with 'not removed'
    try 0 sbx ls -q
    [ ! -s "$T/out" ] || fail "a dead sandbox is listed"
}

gc_removes_all_of_ours_and_nothing_else() {
    local first second
    new_box
    first=$BOX
    new_box --label keep=1
    second=$BOX
    if [ "$PROVIDER" = local ]; then
        mkdir -p "$T/run/sbx/local/local/decoy" "$T/run/sbx/local/other/0123456789abcdef" "$T/run/else" \
            "$T/state/sbx/local/other"
        echo mine | tee "$T/run/sbx/local/local/decoy/file" "$T/run/sbx/local/other/0123456789abcdef/record" \
            "$T/run/else/file" >"$T/state/sbx/local/other/file"
    fi
    try 0 sbx gc
    [ "$(listed "$first")$(listed "$second")" = 11 ] || fail "gc removed what lives"
    try 0 sbx gc --all --dry-run
    [ "$(listed "$first")$(listed "$second")" = 11 ] || fail "a dry run removed something"
    try 0 sbx rm "$first"
    [ "$(listed "$first")$(listed "$second")" = 01 ] || fail "rm of one is not rm of one"
    try 0 sbx gc --all
    [ -z "$(sbx ls -q)" ] || fail "gc --all left $(sbx ls -q)"
    [ "$PROVIDER" = local ] || return 0
    [ "$(find "$T/run" "$T/state" -type f | wc -l)" = 4 ] || fail "decoys: $(find "$T/run" "$T/state" -type f)"
}

number_of_sandboxes_can_be_limited() {
    [ "$PROVIDER" = local ] || skip "the key of local"
    printf '[provider local]\nplugin = local\nmax_sandboxes = 2\n' >"$T/sbx.ini"
    chmod 600 "$T/sbx.ini"
    export SBX_CONFIG=$T/sbx.ini
    new_box
    new_box
    try 125 sbx create
    one_error_line
    errors_with max_sandboxes
    try 125 sbx run -- true
    try 0 sbx rm "$BOX"
    new_box
}

time_out_in_a_shell_does_not_end_it() {
    new_box
    try 0 sbx shell "$BOX" s -- 'cd /tmp; V=kept'
    START=$(now_ms)
    try 124 sbx shell --timeout 0.5 "$BOX" s -- 'sleep 50'
    took_between 400 4000
    try 0 sbx shell "$BOX" s -- 'echo $V; pwd'
    printf 'kept\n/tmp\n' | exact
}

first_answer_of_a_shell_comes_soon() {
    new_box
    START=$(now_ms)
    try 0 sbx shell "$BOX" fresh -- 'echo here'
    took_between 0 1000
    output here
}
