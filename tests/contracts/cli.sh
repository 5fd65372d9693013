# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 139-142: what the command line adds.

exec_streams_are_unbuffered_in_both_directions_at_once() {
    new_box
    coproc SESSION { sbx exec -i "$BOX" -- sh -c 'while read -r l; do echo "got $l"; echo "err $l" >&2; done; exit 9' 2>"$T/err"; }
    local pid=$SESSION_PID line n
    for n in 1 2 3; do
        echo "line $n" >&"${SESSION[1]}"
        read -r -t 10 -u "${SESSION[0]}" line || fail "no answer while stdin is open"
        [ "$line" = "got line $n" ] || fail "another answer: $line"
    done
    grep -q 'err line 3' "$T/err" || sleep 0.3
    grep -q 'err line 3' "$T/err" || fail "stderr is held back"
    eval "exec ${SESSION[1]}>&-"
    wait "$pid"
    [ $? = 9 ] || fail "exit status is not 9"
    # more than any pipe holds, both ways at once
    head -c 8000000 /dev/urandom >"$T/in"
    timeout 60 "$SBXCTL" exec -i "$BOX" -- tee /dev/stderr <"$T/in" >"$T/out" 2>"$T/err2" || fail "exec failed"
    cmp "$T/in" "$T/out" && cmp "$T/in" "$T/err2" || fail "the bytes differ"
}

exec_needs_no_terminal() {
    new_box
    try 0 setsid "$SBXCTL" exec "$BOX" -- echo hi
    output hi
    setsid "$SBXCTL" exec "$BOX" -- cat <&- >"$T/out" 2>"$T/err" || fail "exec fails with a closed stdin"
    setsid "$SBXCTL" exec -t "$BOX" -- stty size >"$T/out" 2>"$T/err" || fail "-t without a terminal fails"
    [ "$(tr -d '\r' <"$T/out")" = '24 80' ] || fail "not 24 rows of 80 columns"
}

own_failures_have_stable_codes_and_one_line() {
    new_box
    try 124 sbx exec --timeout 0.1 "$BOX" -- sleep 9
    printf 'sbxctl: exec %s: timed out\n' "$BOX" >"$T/want"
    grep -qE "^sbxctl: exec $BOX: timed out" "$T/err" || fail "no fixed line"
    one_error_line
    try 125 sbx exec "$PROVIDER/ffff0000" -- true
    printf 'sbxctl: exec %s: no such sandbox\n' "$PROVIDER/ffff0000" | exact err
    try 125 sbx exec --json "$PROVIDER/ffff0000" -- true
    json_has ok false
    json_has exit_code 125
    try 125 sbx exec --no-such-option "$BOX" -- true
    one_error_line
    errors_with --no-such-option
    try 125 sbx no-such-command
    one_error_line
}

json_error_paths_are_one_object_too() {
    local command
    new_box
    for command in "exec $PROVIDER/dead -- true" "inspect $PROVIDER/dead" "cp $BOX:/none $T/x" "create --provider nope" \
        "exec --timeout -1 $BOX -- true" "rm nope/x"; do
        # shellcheck disable=SC2086 # words are meant
        try 125 sbx ${command%% *} --json ${command#* }
        json_has ok false
        tr -d ' \n' <"$T/out" | grep -q '"error":{.*"code":"[a-z_]*"' || fail "no code in the answer of $command"
    done
}

cp_reports_one_of_the_four_codes() {
    new_box
    sh_box 'mkdir /tmp/d; echo x >/tmp/f; chmod 000 /tmp/f; mkfifo /tmp/p'
    echo x >"$T/x"
    local pair
    for pair in none:file_not_found f:permission_denied p:invalid_path; do
        try 125 sbx cp "$BOX:/tmp/${pair%:*}" "$T/y"
        one_error_line
        errors_match "^sbxctl: cp $BOX:/tmp/${pair%:*}: ${pair#*:}"
    done
    try 125 sbx cp - "$BOX:/tmp/d" <"$T/x"
    errors_with is_directory
    try 125 sbx cp "$T/none-here" "$BOX:/tmp/z"
    one_error_line
    errors_with "$T/none-here"
}

create_prints_the_id_alone() {
    try 0 sbx create --provider "$PROVIDER" ${SBX_TEST_IMAGE:+--image "$SBX_TEST_IMAGE"}
    [ "$(wc -l <"$T/out")" = 1 ] || fail "not one line"
    grep -qE "^$PROVIDER/[A-Za-z0-9._-]+$" "$T/out" || fail "not an id: $(cat "$T/out")"
    no_errors
}

host_interrupt_kills_the_command_in_the_sandbox() {
    local signal
    new_box
    for signal in INT TERM HUP; do
        new_marker
        env --default-signal=INT,TERM,HUP "$SBXCTL" exec "$BOX" -- sh -c "trap '' INT TERM HUP; (setsid sleep $MARK &); sleep $MARK" >"$T/out" 2>"$T/err" &
        local client=$!
        ! same_machine || marker_seen "$MARK" 2
        kill "-$signal" "$client"
        marker_gone "$MARK" 6
        wait "$client"
    done
    try 0 in_box true
}
