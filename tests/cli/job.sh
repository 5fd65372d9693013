# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# Jobs of sandboxes of the local provider.

job_box() {
    new_box
    try 0 sbx inspect --json "$BOX"
    [ "$(json sandboxes 0 capabilities sbx.job/1)" != '"none"' ] || skip "this provider has no jobs"
}
# start ARG...: its name is in JOB
start() {
    try 0 sbx job start "$@"
    JOB=$(cat "$T/out")
    [ -n "$JOB" ] || fail "no name of a job"
}

a_job_outlives_the_call_that_started_it() {
    job_box
    try 0 sbx job ls "$BOX"
    output "JOB  STATE  EXIT  PID"
    start "$BOX" -e A=7 -w /tmp -- sh -c 'echo "$A$PWD"; echo err >&2; sleep 300'
    try 0 sbx job info --json "$BOX" "$JOB"
    json_is true running
    json_is null exit_code
    json_is null cause
    json_is "\"$JOB\"" job
    [ "$(json pid)" -gt 0 ] || fail "no pid"
    try 0 sbx job ls -q "$BOX"
    output "$JOB"
    try 0 sbx job ls --json "$BOX"
    json_is true jobs 0 running
    try 124 sbx job wait --deadline 0.2 "$BOX" "$JOB"
    errors "sbxctl: job $BOX: timed out"
    try 0 sbx job kill "$BOX" "$JOB"
    try 137 sbx wait "$BOX" "$JOB"
    try 0 sbx logs "$BOX" "$JOB"
    output 7/tmp
    errors err
    try 0 sbx job kill "$BOX" "$JOB"
}

a_job_has_an_end_that_is_told_many_times() {
    job_box
    start "$BOX" sh -c 'printf "a\000\377"; exit 3'
    try 3 sbx wait "$BOX" "$JOB"
    no_errors
    try 3 sbx job wait --json "$BOX" "$JOB"
    json_is true ok
    json_is 3 exit_code
    json_is '"exited"' cause
    json_is 3 stdout_bytes
    try 0 sbx logs --json "$BOX" "$JOB"
    json_is '"YQD/"' stdout_base64
    json_is 3 stdout_next
    json_is '""' stderr
    start --timeout 0.2 "$BOX" sleep 300
    try 124 sbx wait "$BOX" "$JOB"
    errors "sbxctl: wait $BOX: timed out"
    start "$BOX" no-such-program
    try 127 sbx wait "$BOX" "$JOB"
    errors "sbxctl: wait $BOX: no such program"
    try 125 sbx wait "$BOX" nothing
    errors "sbxctl: wait $BOX: no such job 'nothing'"
    try 125 sbx logs --json "$BOX" nothing
    json_is '"file_not_found"' error code
}

a_job_is_fed_signalled_killed_and_forgotten() {
    job_box
    start --keep-stdin "$BOX" cat
    printf 'one\n' | sbx job feed "$BOX" "$JOB" || fail "not fed"
    head -c 300000 /dev/zero | sbx job feed --eof "$BOX" "$JOB" || fail "not fed more"
    try 0 sbx wait "$BOX" "$JOB"
    try 0 sbx logs "$BOX" "$JOB"
    [ "$(wc -c <"$T/out")" = 300004 ] || fail "not what was fed"
    echo late >"$T/late"
    sbx job feed "$BOX" "$JOB" <"$T/late" 2>"$T/err" && fail "an ended job was fed"
    [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
    ! grep -q 'not running' "$T/err" || fail "the sandbox does run"
    start "$BOX" sh -c 'trap "echo got; exit 5" USR1; echo ready; while :; do sleep 0.05; done'
    try 125 sbx job forget "$BOX" "$JOB"
    errors "sbxctl: job $BOX: job forget: job '$JOB' runs"
    try 125 sbx job forget --json "$BOX" "$JOB"
    json_is '"wrong_state"' error code
    json_is "\"$BOX\"" error subject
    json_is false error retryable
    for _ in {1..100}; do
        [ "$(sbx logs "$BOX" "$JOB")" = ready ] && break
        sleep 0.05
    done
    try 0 sbx job signal "$BOX" "$JOB" SIGUSR1
    try 5 sbx wait "$BOX" "$JOB"
    try 0 sbx job forget --json "$BOX" "$JOB"
    json_is "\"$JOB\"" job
    try 125 sbx job info "$BOX" "$JOB"
    errors_with "no such job '$JOB'"
    try 125 sbx job feed "$BOX" "$JOB" # of nothing
    errors_with "no such job '$JOB'"
}

logs_begin_anywhere_and_follow_to_the_end() {
    job_box
    start "$BOX" sh -c 'echo first; echo wrong >&2; sleep 0.5; echo last'
    try 0 sbx logs --follow "$BOX" "$JOB"
    output $'first\nlast'
    errors wrong
    try 0 sbx job logs "$BOX" "$JOB" --stream stdout --from 6
    output last
    try 0 sbx logs "$BOX" "$JOB" --stream stderr
    output wrong
    no_errors
    try 125 sbx logs "$BOX" "$JOB" --stream stdout --from 1000
    start --keep 64K "$BOX" sh -c 'head -c 3000000 /dev/zero; printf end'
    try 0 sbx wait "$BOX" "$JOB"
    try 125 sbx logs "$BOX" "$JOB" --stream stdout --from 1
    try 0 sbx logs "$BOX" "$JOB"
    errors_with "no longer kept"
    [ "$(tail -c 3 "$T/out")" = end ] || fail "the end is not there"
    start "$BOX" sh -c 'yes'
    sbx logs --follow "$BOX" "$JOB" 2>"$T/err" | head -n 1 >"$T/out"
    [ "${PIPESTATUS[0]}" = 141 ] || fail "a reader that went away"
    output y
    [ "$(wc -l <"$T/err")" -le 2 ] || fail "what was lost was told again and again"
    start "$BOX" sleep 300
    timeout -s INT 1 "$SBXCTL" logs --follow "$BOX" "$JOB" >"$T/out" 2>"$T/err"
    errors "sbxctl: logs $BOX: interrupted by SIGINT"
}

# exact STREAM...: for each stream of the last answer, numbered lines from 1 on, `next` lies behind the bytes given and
# `from` before them; the note in $T/err names that offset
exact() {
    python3 -c '
import json, re, sys
answer, notes = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
def place(number):
    return sum((min(number, 10 ** n) - 10 ** (n - 1)) * (n + 1) for n in range(1, 12) if 10 ** (n - 1) < number)
for stream in sys.argv[3:]:
    text, begin, end = (answer[stream + key] for key in ("", "_from", "_next"))
    print(stream, begin, end, len(text), notes)
    assert end - begin == len(text), "bytes that are not there"
    assert begin > 0, "nothing was dropped"
    head, _, rest = text.partition("\n")
    lines = rest.split("\n")[:-1]
    assert lines == [str(int(lines[0]) + n) for n in range(len(lines))], "a gap inside"
    assert begin + len(head) + 1 == place(int(lines[0])), "another offset"
    told = re.findall(stream + ": bytes before ([0-9]+) are no longer kept", notes)
    assert told == [str(begin)], told' "$T/out" "$T/err" "$@" >"$T/exact" 2>&1 || {
        cat "$T/exact"
        fail "offsets and bytes do not agree"
    }
}

logs_name_the_offset_of_what_they_give() {
    job_box
    start --keep 64K "$BOX" sh -c 'seq 1 300000; seq 1 200000 >&2'
    try 0 sbx wait "$BOX" "$JOB"
    try 0 sbx logs --json "$BOX" "$JOB"
    exact stdout stderr
    first=$(json stdout_from)
    next=$(json stdout_next)
    try 0 sbx logs --stream stdout "$BOX" "$JOB"
    errors "sbxctl: logs $BOX: stdout: bytes before $first are no longer kept"
    [ "$(wc -c <"$T/out")" = $((next - first)) ] || fail "not so many bytes"
    # Goes on while it is read: the oldest byte moves between two calls.
    start --keep 64K "$BOX" seq 1 99999999999
    for _ in {1..200}; do
        sbx logs --stream stdout --from 0 "$BOX" "$JOB" >/dev/null 2>&1 || break
        sleep 0.05
    done
    for _ in 1 2 3; do
        try 0 sbx logs --json --deadline 60 "$BOX" "$JOB"
        exact stdout
    done
}

wait_sees_the_state_of_a_sandbox() {
    new_box
    try 0 sbx wait --state running --state suspended "$BOX"
    output running
    try 0 sbx wait --json --state running "$BOX"
    json_is '"running"' state
    try 125 sbx wait --state running local/000000000000
    errors "sbxctl: wait local/000000000000: no such sandbox"
}
