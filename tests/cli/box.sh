# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# sbxctl with real sandboxes of the local provider.

exec_finds_no_sandbox_and_says_so_in_fixed_words() {
    try 125 sbx exec local/000000000000 -- true
    errors "sbxctl: exec local/000000000000: no such sandbox"
    try 125 sbx exec --json local/000000000000 -- true
    json_is '"no_such_sandbox"' error code
    json_is 125 error exit_code
    json_is '"local/000000000000"' error subject
    try 125 sbx inspect local/000000000000
    errors "sbxctl: inspect local/000000000000: no such sandbox"
    try 125 sbx cp local/000000000000:/x "$T/x"
    errors "sbxctl: cp local/000000000000: no such sandbox"
    for id in local/../x local/ / 'local/a b' $'local/a\nb' "local/$(printf 'x%.0s' {1..300})"; do
        try 125 sbx exec "$id" -- true
        [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line for '$id'"
    done
    try 125 sbx exec nowhere/x -- true
    errors_with nowhere
}

exec_answers_one_object_with_json() {
    new_box
    try 3 sbx exec --json "$BOX" -- sh -c 'echo out; printf "a\000b\377" >&2; exit 3'
    no_errors
    [ "$(wc -l <"$T/out")" = 1 ] || fail "not one line"
    json_is true ok
    json_is 3 exit_code
    json_is '"exited"' cause
    json_is null signal
    json_is '"out\n"' stdout
    json_is '"b3V0Cg=="' stdout_base64
    json_is null stderr
    json_is '"YQBi/w=="' stderr_base64
    json_is 4 stdout_bytes
    json_is false flags stdout_truncated
    try 143 sbx exec --json "$BOX" -- sh -c 'kill -TERM $$'
    json_is '"signalled"' cause
    json_is 15 signal
    try 124 sbx exec --json --timeout 0.3 "$BOX" -- sh -c 'echo before; sleep 30'
    errors "sbxctl: exec $BOX: timed out"
    json_is '"timed_out"' cause
    json_is '"before\n"' stdout
    try 127 sbx exec --json "$BOX" -- no-such-program
    json_is '"not_found"' cause
    errors "sbxctl: exec $BOX: no such program 'no-such-program'"
    try 0 sbx exec --json --max-output 10 "$BOX" -- sh -c 'echo 0123456789abcdef'
    json_is '"0123456789"' stdout
    json_is 17 stdout_bytes
    json_is true flags stdout_truncated
}

exec_says_why_a_program_did_not_start() {
    new_box
    try 127 in_box no-such-program
    errors "sbxctl: exec $BOX: no such program 'no-such-program'"
    try 126 in_box /etc
    errors "sbxctl: exec $BOX: cannot execute '/etc': permission denied, or not a program"
    try 127 in_box sh -c 'exit 127'
    no_errors
    try 124 in_box sh -c 'exit 124'
    no_errors
    try 125 sbx exec --cwd /no/such/place "$BOX" -- true
    errors_with /no/such/place
}

options_stand_before_or_after_the_id() {
    new_box
    try 0 sbx exec -e A=1 "$BOX" -e B=2 -w /tmp -- sh -c 'echo "$A$B$PWD"'
    output 12/tmp
    try 0 sbx exec "$BOX" printf "%s," -e --json -- x
    output "-e,--json,--,x,"
    try 0 sbx --quiet exec "$BOX" --env=A=x --env 'B=y z' sh -c 'echo "$A,$B"'
    output 'x,y z'
    try 0 sbx exec -eA=7 -w/ "$BOX" sh -c 'echo "$A$PWD"'
    output 7/
    export SBX_TEST_HERE='from here'
    try 0 sbx exec -e SBX_TEST_HERE "$BOX" sh -c 'echo "$SBX_TEST_HERE"'
    output 'from here'
    printf '\357\273\277A=1\r\n# no\n\nB= "q" \nSBX_TEST_HERE\n' >"$T/env"
    try 0 sbx exec --env-file "$T/env" -e A=2 "$BOX" sh -c 'echo "$A,$B,$SBX_TEST_HERE"'
    output '2, "q" ,from here'
}

stdin_is_closed_unless_it_was_asked_for_or_is_a_pipe_or_file() {
    new_box
    try 0 in_box cat
    output ''
    echo piped | sbx exec "$BOX" cat >"$T/out" || fail "exit"
    output piped
    echo filed >"$T/in"
    sbx exec "$BOX" cat <"$T/in" >"$T/out" || fail "exit"
    output filed
    sbx exec "$BOX" cat <&- >"$T/out" || fail "exit with a closed input"
    output ''
}

run_removes_its_sandbox_however_it_ends() {
    local before
    before=$(sbx ls -q | wc -l)
    try 7 sbx run -- sh -c 'exit 7'
    try 127 sbx run no-such-program
    try 124 sbx run --timeout 0.2 -- sleep 30
    errors_with "timed out"
    for signal in INT TERM HUP QUIT; do
        env --default-signal="INT,TERM,HUP,QUIT" "$SBXCTL" run -- sleep 30 >"$T/out" 2>"$T/err" </dev/null &
        local pid=$! code=0
        for _ in $(seq 100); do
            [ "$(sbx ls -q --state running | wc -l)" -gt "$before" ] && break
            sleep 0.05
        done
        sleep 0.2
        kill "-$signal" "$pid"
        wait "$pid" || code=$?
        [ "$code" = $((128 + $(kill -l "$signal"))) ] || fail "exit status $code after $signal"
        errors_with "interrupted by SIG$signal"
    done
    [ "$(sbx ls -q | wc -l)" = "$before" ] || fail "a sandbox is left"
    try 125 sbx run --image "$T/none" -- true
    [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
    [ "$(sbx ls -q | wc -l)" = "$before" ] || fail "a sandbox is left"
}

run_answers_one_object_with_json() {
    try 4 sbx run --json -- sh -c 'echo hi; exit 4'
    json_is 4 exit_code
    json_is '"hi\n"' stdout
    try 125 sbx run --json --image "$T/none" -- true
    json_is false ok
    json_is 125 error exit_code
}

ls_shows_filters_and_counts() {
    local one two
    new_box --name first -l team=a -l stage=x
    one=$BOX
    new_box --name second --label team=b
    two=$BOX
    try 0 sbx ls
    grep -qE "^$one +first +running " "$T/out" || fail "first is not shown"
    head -1 "$T/out" | grep -qE '^ID +NAME +STATE +IMAGE +CREATED +EXPIRES$' || fail "no head"
    try 0 sbx ls -q
    [ "$(sort "$T/out")" = "$(printf '%s\n%s\n' "$one" "$two" | sort)" ] || fail "not the two ids"
    try 0 sbx ls -q --label team=a
    output "$one"
    try 0 sbx ls -q --label team=a --label stage=y
    output ''
    try 0 sbx ls -q --state suspended
    output ''
    try 0 sbx ls --json --label team=b
    json_is "\"$two\"" sandboxes 0 id
    json_is '"second"' sandboxes 0 name
    json_is '"running"' sandboxes 0 state
    json_is '"b"' sandboxes 0 metadata team
    [ "$(json sandboxes 0 expires_ms)" -gt "$(date +%s)000" ] || fail "expired already"
    try 125 sbx ls --provider nowhere
    errors_with nowhere
    try 0 sbx rm "$one" "$two" "$one"
    no_errors
    try 0 sbx ls -q
    output ''
    # No daemon is there for the other provider that is installed, which is no news.
    try 0 sbx ls
    no_errors
    try 0 sbx snapshot ls
    no_errors
}

inspect_shows_everything() {
    : >"$T/no.ini"
    new_box --name shown -l a=b
    try 0 sbx inspect "$BOX"
    for line in "id +$BOX" "name +shown" "state +running" "label a +b" "sbx.stat/1 +(native|emulated)"; do
        grep -qE "^$line" "$T/out" || fail "no line $line"
    done
    ! grep -q '^ *$' "$T/out" || fail "an empty line for one sandbox"
    try 0 sbx inspect "$BOX" "$BOX"
    [ "$(grep -c '^ *$' "$T/out")" = 1 ] || fail "not one empty line between two sandboxes"
    try 0 sbx inspect --json "$BOX" "$BOX"
    json_is "\"$BOX\"" sandboxes 1 id
    json_is '"b"' sandboxes 0 metadata a
    json_is "\"sbxctl exec -it $BOX -- sh\"" sandboxes 0 connect
    sbx providers --json --config "$T/no.ini" >"$T/providers" || fail "providers"
    python3 - "$T/out" "$T/providers" <<'END' || fail "inspect leaves capabilities out"
import json, sys
box, providers = (json.load(open(name)) for name in sys.argv[1:])
local, = (p for p in providers["providers"] if p["instance"] == "local")
sys.exit(box["sandboxes"][0]["capabilities"] != local["capabilities"])
END
    try 125 sbx inspect --json "$BOX" local/000000000000
    json_is '"no_such_sandbox"' error code
}

rm_is_silent_for_what_is_not_there() {
    try 0 sbx rm local/000000000000 -f
    no_errors
    output ''
    try 0 sbx rm --json local/000000000000
    json_is '["local/000000000000"]' removed
    try 125 sbx rm nowhere/x
    errors_with nowhere
}

create_takes_back_what_it_cannot_tell() {
    [ -c /dev/full ] || skip "no /dev/full"
    local code=0
    sbx create >/dev/full 2>"$T/err" || code=$?
    [ "$code" = 125 ] || fail "exit status $code"
    errors "sbxctl: create: standard output: No space left on device"
    try 0 sbx ls -q
    output ''
}

create_gives_its_options_to_every_command() {
    new_box -e A=1 -w /tmp
    try 0 in_box sh -c 'echo $A $PWD'
    output '1 /tmp'
    try 0 sbx exec -e A=2 "$BOX" sh -c 'echo $A'
    output 2
    try 0 in_box sh -c 'echo $A'
    output 1
}

providers_and_config_show_what_there_is() {
    try 0 sbx providers
    grep -qE '^local +local +[0-9.]+ +default +ok' "$T/out" || fail "local is not shown"
    grep -qE '^sbx.tty/1 +native' "$T/out" || fail "no capability"
    try 0 sbx providers --json
    json_is '"local"' providers 1 instance
    json_is true providers 1 default
    json_is null providers 1 problem
    json_is '"native"' providers 1 capabilities sbx.stat/1
    try 0 sbx config check
    output 'no problems'
    try 0 sbx config files
    output ''
    try 0 sbx config show
    grep -qF '[provider local]' "$T/out" || fail "local is not shown"
    printf '[sbx]\ndefault = mine\n[provider mine]\nplugin = local\n' >"$T/my.ini"
    try 0 sbx --config "$T/my.ini" config files
    output "$T/my.ini"
    try 0 sbx config files --config "$T/my.ini" --json
    json_is "[\"$T/my.ini\"]" files
    try 0 sbx config show --config "$T/my.ini" --json
    json_is '"mine"' instances 0 instance
    printf '[sbx]\nfrob = 1\n[provider mine]\nplugin = local\nbwarp = /x\n' >"$T/my.ini"
    try 125 sbx --config "$T/my.ini" config check
    errors_with "$T/my.ini:2: "
    errors_with "$T/my.ini:5: "
    errors_with bwrap
    try 125 sbx --config "$T/my.ini" config check --json
    json_is 2 problems 0 line
    json_is 5 problems 1 line
    json_is 125 error exit_code
    json_is '"config"' error command
    json_is null error subject
    try 125 sbx --config "$T/my.ini" ls
    [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
    printf '[provider mine]\nplugin = local\nimages = /x\n' >"$T/my.ini"
    try 125 sbx --config "$T/my.ini" config check
    errors_with "unknown key 'images' in [provider mine] (plugin local); did you mean 'image'?"
    try 125 sbx --config "$T/none.ini" ls
    errors_with "$T/none.ini"
}

doctor_proves_that_a_sandbox_works() {
    try 0 sbx doctor
    grep -qE '^ok +sandbox +made, used and removed' "$T/out" || fail "no proof"
    no_errors
    try 0 sbx doctor --json
    json_is true ok
    try 0 sbx ls -q
    output ''
    printf '[provider local]\nplugin = local\nbwrap = /no/such/bwrap\n' >"$T/my.ini"
    try 125 sbx --config "$T/my.ini" doctor
    grep -q '^problem' "$T/out" || fail "no problem is shown"
    grep -qF /no/such/bwrap "$T/out" || fail "the program is not named"
    try 125 sbx --config "$T/my.ini" doctor --json
    json_is false ok
    json_is '"not_usable"' error code
    json_is '"doctor"' error command
    json_is null error subject
    printf '[sbx]\nfrob = 1\n' >"$T/my.ini"
    try 125 sbx --config "$T/my.ini" doctor
    grep -qF "$T/my.ini:2" "$T/out" || fail "the line is not named"
}

what_is_configured_for_all_holds() {
    printf '[sbx]\nlifetime = 90s\ncapture_limit = 5\n[provider local]\nplugin = local\n' >"$T/my.ini"
    new_box --config "$T/my.ini"
    try 0 sbx inspect --json "$BOX"
    [ $((($(json sandboxes 0 expires_ms) - $(json sandboxes 0 created_ms) + 500) / 1000)) = 90 ] || fail "not 90 seconds"
    try 0 sbx exec --config "$T/my.ini" --json "$BOX" echo 123456789
    json_is '"12345"' stdout
    json_is 10 stdout_bytes
    json_is true flags stdout_truncated
    try 0 sbx exec --config "$T/my.ini" --json --max-output 7 "$BOX" echo 123456789
    json_is '"1234567"' stdout
    try 0 sbx exec --config "$T/my.ini" "$BOX" echo 123456789
    output 123456789
    new_box --config "$T/my.ini" --lifetime 1h
    try 0 sbx inspect --json "$BOX"
    [ $((($(json sandboxes 0 expires_ms) - $(json sandboxes 0 created_ms) + 500) / 1000)) = 3600 ] || fail "not an hour"
}

an_output_that_somebody_still_holds_is_noted() {
    new_box
    try 0 sbx exec "$BOX" sh -c 'sleep 300 & echo x'
    output x
    errors "sbxctl: exec $BOX: output may be incomplete: a process that the command left behind still held it"
    try 0 sbx exec -q "$BOX" sh -c 'sleep 300 & echo x'
    no_errors
    try 0 sbx exec -q --json "$BOX" sh -c 'sleep 300 & echo x'
    json_is true flags output_incomplete
    try 0 sbx exec "$BOX" sh -c 'sleep 300 >/dev/null 2>&1 & echo x'
    no_errors
}

verbose_tells_each_call_and_quiet_none() {
    new_box
    try 0 sbx --verbose exec "$BOX" -- true
    errors_with "sbxctl: debug: exec: "
    errors_with "$BOX: ok"
    try 125 sbx -q exec "$BOX-not" -- true
    [ "$(wc -l <"$T/err")" = 1 ] || fail "more than the error"
    printf '[sbx]\nlog_level = debug\n' >"$T/sbx.ini"
    try 0 sbx --config "$T/sbx.ini" exec "$BOX" -- true
    errors_with "$BOX: ok"
    try 0 sbx --quiet --config "$T/sbx.ini" exec "$BOX" -- true
    no_errors
    try 0 sbx exec "$BOX" -- true
    no_errors
}

a_reader_that_goes_away_ends_exec_quietly() {
    new_box
    sbx exec "$BOX" -- sh -c 'yes' 2>"$T/err" | head -c 10 >"$T/out"
    local codes=("${PIPESTATUS[@]}")
    [ "${codes[0]}" = 141 ] || fail "exit status ${codes[0]}"
    no_errors
}

a_deadline_ends_a_call() {
    new_box
    try 124 sbx exec --deadline 0.3 "$BOX" -- sleep 30
    errors "sbxctl: exec $BOX: timed out"
    try 124 sbx exec --json --deadline 300ms "$BOX" -- sleep 30
    json_is 124 error exit_code
    try 0 in_box true
}

execs_in_a_row_all_answer() {
    local i
    new_box
    for i in $(seq 200); do
        [ "$(sbx exec "$BOX" printf '%s' "$i" 2>"$T/err")" = "$i" ] || fail "exec number $i"
    done
}

a_lack_of_descriptors_is_told_as_such() {
    local limit told=0
    for limit in $(seq 5 40); do
        (ulimit -n "$limit" && exec "$SBXCTL" run -- true) >"$T/out" 2>"$T/err" </dev/null && continue
        grep -q '^sbxctl: ' "$T/err" || continue # it did not come to speak
        told=$((told + 1))
        errors_with 'Too many open files'
        grep -qE 'out of memory|user namespaces|Bad file' "$T/err" && fail "$limit descriptors: another reason is told"
    done
    [ "$told" -gt 10 ] || fail "only $told runs had too few"
    try 0 sbx ls -q
    output ''
}
