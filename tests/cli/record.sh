# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sessions that are kept in a file and played back without a provider, and calls that a rule spoils.

# provider NAME LINE...: a configuration with one provider of the fixture plugin, or of local
provider() {
    local plugin=$1
    shift
    [ "$plugin" = local ] || [ -e "$BUILD/tests/unit/direct/direct.so" ] || skip "no fixture provider"
    mkdir -p "$T/boxes"
    {
        [ "$plugin" = local ] || printf '[sbx]\nplugin_path = %s\n' "$BUILD/tests/unit/direct"
        printf '[provider p]\nplugin = %s\n' "$plugin"
        [ "$plugin" = local ] || printf 'root = %s\n' "$T/boxes"
        printf '%s\n' "$@"
    } >"$T/sbx.ini"
    chmod 600 "$T/sbx.ini"
    export SBX_CONFIG=$T/sbx.ini
}
# replay: no plugin, no folder of one: only the file
replay() {
    printf '%s\n' '[provider p]' 'plugin = not-installed' "replay = $T/session" >"$T/sbx.ini"
    export SBX_CONFIG=$T/sbx.ini
}

a_run_in_local_is_the_same_when_it_is_replayed() {
    provider local "record = $T/session"
    try 7 sbx run -e A=b -- sh -c 'head -c 3000 /dev/urandom; echo "$A" >&2; exit 7'
    cp "$T/out" "$T/out1"
    cp "$T/err" "$T/err1"
    replay
    try 7 sbx run -e A=other -- sh -c 'head -c 3000 /dev/urandom; echo "$A" >&2; exit 7'
    cmp "$T/out" "$T/out1" || fail "stdout differs"
    cmp "$T/err" "$T/err1" || fail "stderr differs"
    [ "$(stat -c %a "$T/session")" = 600 ] || fail "the recording has mode $(stat -c %a "$T/session")"
    try 0 sbx config check
    try 0 sbx providers
}

a_call_that_was_not_recorded_is_named() {
    provider direct "record = $T/session"
    try 0 sbx run -- true
    replay
    try 125 sbx run -- false
    errors_with "has no answer to 'exec "
    errors_with "arg=false"
}

what_cannot_be_replayed_is_refused_by_name() {
    local id
    provider local "record = $T/session"
    id=$(sbx create) || fail "create"
    try 125 sbx tunnel "$id" 8080
    errors_with sbx.dial/1
    try 0 sbx inspect --json "$id"
    json_is '"none"' sandboxes 0 capabilities sbx.tty/1
    json_is "\"sbxctl shell $id\"" sandboxes 0 connect
    try 0 sbx rm "$id"
    replay
    id=$(sbx create) || fail "create from the recording"
    try 125 sbx tunnel "$id" 8080
    errors_with sbx.dial/1
}

secrets_of_the_section_are_masked_in_a_recording() {
    provider direct "record = $T/session" "token = hunter2-hunter2"
    try 0 sbx run -- echo 'before hunter2-hunter2 behind'
    output 'before hunter2-hunter2 behind'
    ! grep -q hunter2 "$T/session" || fail "the secret is in the recording"
    grep -q '^out 1 before%20\**%20behind%0A$' "$T/session" || fail "$(cat "$T/session")"
}

a_recording_is_refused_that_others_can_read_or_that_is_none() {
    provider direct "record = $T/session"
    printf '' >"$T/session"
    chmod 644 "$T/session"
    try 125 sbx create
    errors_with "is not its user's alone"
    printf 'my notes\n' >"$T/session"
    chmod 600 "$T/session"
    try 125 sbx create
    errors_with "holds no session with the plugin direct"
    ln -sf "$T/elsewhere" "$T/session"
    try 125 sbx create
    [ ! -e "$T/elsewhere" ] || fail "a link was followed"
}

a_recording_that_makes_no_sense_is_refused_by_its_line() {
    local text line
    replay
    try 125 sbx create
    errors_with "'$T/session': No such file"
    while IFS='|' read -r line text; do
        printf "$text" >"$T/session"
        try 125 sbx create
        errors_with "$line"
    done <<'ROWS'
session:1: expected 'sbx-record 1'|sbx-record 2\n
session:1: the file ends within a line|sbx-record 1
ends too early|sbx-record 1\ncall create -\n
session:2: a line that belongs|sbx-record 1\nnonsense\n
is no recording|sbx-record 1\n\000\n
makes no sense|sbx-record 1\ncall create - timeout=3600\nend 0\n
makes no sense|sbx-record 1\ncall create - timeout=3600\nbox %%4\nend 0 0 0 0 0 %% %% %%\n
makes no sense|sbx-record 1\ncall create - timeout=3600\nend 7 0 0 0 0 %% %% %%\n
makes no sense|sbx-record 1\ncall create - timeout=3600\nresult 1 0 0 0 0\nend 0 0 0 0 0 %% %% %%\n
without a usable id|sbx-record 1\ncall create - timeout=3600\nend 0 0 0 0 0 %% %% %%\n
ROWS
    printf '%s\n' '[provider p]' 'plugin = x' "replay = $T/session" "record = $T/session" >"$T/sbx.ini"
    try 125 sbx config check
    grep -q "sbx.ini:4: record and replay in \[provider p\]" "$T/out" "$T/err" || fail "both are accepted"
}

a_full_recording_says_so_and_the_session_goes_on() {
    provider direct "record = $T/session"
    try 0 sbx run -- true
    truncate -s 64M "$T/session"
    try 0 sbx run -- echo on
    output on
    errors_with "is full"
}

faults_come_by_count_and_code() {
    local id
    provider local 'fault = exec nth=1 error=unavailable' 'fault = info error=auth'
    id=$(sbx create) || fail "create"
    try 125 sbx exec "$id" -- true
    errors_with "failed by the rule of a fault"
    try 125 sbx inspect "$id"
    provider local 'fault = exec nth=2 error=unavailable' 'fault = keep-alive error=quota'
    try 0 sbx exec "$id" -- true
    try 125 sbx keep-alive "$id"
    errors "sbxctl: keep-alive $id: failed by the rule of a fault"
}

a_snapshot_that_stays_does_not_keep_the_others() {
    local id one two
    provider local 'fault = snapshot-remove nth=1 error=busy'
    id=$(sbx create) && one=$(sbx snapshot create "$id") && two=$(sbx snapshot create "$id") || fail "snapshots"
    try 125 sbx snapshot rm "$one" "$two"
    errors_with "sbxctl: snapshot $one: "
    try 0 sbx snapshot ls -q
    output "$one"
    provider local
    try 0 sbx snapshot rm "$one" "$two"
    try 0 sbx snapshot ls -q
    output ''
}

a_cut_call_is_never_a_success() {
    local id
    provider local 'fault = exec cut=5' 'fault = read cut=3' 'fault = write cut=4'
    id=$(sbx create) || fail "create"
    try 125 sbx exec "$id" -- sh -c 'echo 1234567890'
    output 12345
    errors_with "cut off by the rule of a fault"
    provider local 'fault = write cut=4'
    try 0 sbx exec "$id" -- sh -c 'echo old >f'
    echo something new >"$T/new"
    try 125 sbx cp "$T/new" "$id:f"
    provider local 'fault = read cut=3'
    try 0 sbx exec "$id" -- cat f
    output old
    try 125 sbx cp "$id:f" "$T/got"
    [ ! -e "$T/got" ] || fail "a part of the file is there"
}

what_is_left_behind_is_told_in_one_answer() {
    local a b
    provider local 'fault = remove error=failed'
    try 125 sbx run --json -- echo finished
    [ "$(wc -l <"$T/out")" = 1 ] || fail "not one answer"
    json_is false ok
    json_is '"finished\n"' stdout
    json_is '"failed"' error code
    json_is "$(json id)" error subject
    try 3 sbx run --json -q -- sh -c 'exit 3'
    [ "$(wc -l <"$T/out")" = 1 ] || fail "not one answer"
    json_is true ok
    json_is 3 exit_code
    errors_with "not removed: "
    a=$(sbx create) && b=$(sbx create) || fail "create"
    try 125 sbx rm -q "$a" "$b"
    errors_with "sbxctl: rm $a: "
    errors_with "sbxctl: rm $b: "
    try 125 sbx gc --all -q --json
    [ "$(wc -l <"$T/out")" = 1 ] || fail "not one answer"
    json_is false ok
    json_is '"failed"' error code
    [ "$(json sandboxes 1 problem)" != null ] || fail "not every sandbox is named"
    try 125 sbx gc --all -q
    [ "$(grep -c 'not removed: ' "$T/err")" = 2 ] || fail "not every sandbox is named"
    provider local
    try 0 sbx gc --all
}

a_delay_heeds_the_deadline() {
    local id started
    provider local 'fault = exec delay=1h'
    id=$(sbx create) || fail "create"
    started=$SECONDS
    try 124 sbx exec --deadline 300ms "$id" -- true
    [ $((SECONDS - started)) -lt 60 ] || fail "it was waited for"
    errors_with "timed out"
    provider local 'fault = exec delay=300ms' 'fault = * delay=300ms'
    started=$(date +%s%N)
    try 0 sbx exec "$id" -- true
    [ $(($(date +%s%N) - started)) -ge 600000000 ] || fail "the delays do not add up"
}

a_lost_answer_is_an_unknown_outcome() {
    provider local 'fault = create when=after error=unknown'
    try 125 sbx create
    errors_with "its answer was lost by the rule of a fault"
    provider local
    try 0 sbx ls --json
    [ "$(json sandboxes 0 id)" != "" ] || fail "the sandbox was not made"
}

bad_rules_are_told_with_their_line() {
    local expected rule
    while IFS='|' read -r rule expected; do
        provider direct "fault = $rule"
        try 125 sbx config check
        grep -qF "$expected" "$T/out" "$T/err" || fail "$rule: $(cat "$T/out" "$T/err")"
        grep -qF "sbx.ini:6:" "$T/out" "$T/err" || fail "$rule: no line"
    done <<'ROWS'
exce error=busy|expected an operation such as exec
exec|expected one of delay=, error= and cut=
exec error=bsuy|expected a code
exec nth=0 error=busy|expected a number from 1
exec chance=101 error=busy|expected 1 to 100
exec delay=2h|expected a duration of at most an hour
exec cut=x|expected a number of bytes
exec cut=1 when=never|expected before or after
exec cut=1 when=after|expected error= with when=after
exec cut=1 colour=red|expected nth=
exec cut|expected words of the form KEY=VALUE
ROWS
}
