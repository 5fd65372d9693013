# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 18-51: running a command.

argv_is_passed_as_it_is() {
    new_box
    try 0 in_box printf '[%s]\n' 'a  b' '' '$HOME' '*' "it's" 'x;y|z' $'new\nline' '-n' '\t' 'é'
    exact <<'END'
[a  b]
[]
[$HOME]
[*]
[it's]
[x;y|z]
[new
line]
[-n]
[\t]
[é]
END
    try 0 in_box printf '%s' ''
    [ ! -s "$T/out" ] || fail "an empty argument became something"
}

options_after_the_command_belong_to_the_command() {
    new_box
    try 0 sbx exec "$BOX" printf '%s %s %s\n' --json -t --timeout=1
    output '--json -t --timeout=1'
    try 0 sbx exec "$BOX" -- printf '%s %s\n' -- --help
    output '-- --help'
}

shell_line_is_one_argument() {
    new_box
    try 0 sh_box "$(printf '%s\n' 'cat <<"X"' 'here $doc `not run`' X 'echo a | tr a b; (echo sub); echo "$(echo inner)" `echo tick`' "echo 'q\"q'")"
    exact <<'END'
here $doc `not run`
b
sub
inner tick
q"q
END
}

exit_codes_0_to_255_pass_through() {
    new_box
    local code
    for code in 0 1 2 3 42 63 64 99 100 123 124 125 126 127 128 129 130 137 139 143 200 254 255; do
        try "$code" sh_box "exit $code"
        no_errors
    done
    lib_case every_exit_code "$BOX"
}

death_by_signal_n_is_128_plus_n() {
    new_box
    local pair
    for pair in TERM:143 KILL:137 INT:130 HUP:129 SEGV:139 USR1:138; do
        try "${pair#*:}" sh_box "kill -${pair%:*} \$\$"
    done
    try 143 sbx exec --json "$BOX" -- sh -c 'kill -TERM $$'
    json_has exit_code 143
}

unknown_program_is_127_and_named() {
    new_box
    try 127 in_box no-such-program-xyz --opt
    errors_with no-such-program-xyz
    try 127 in_box /no/such/path/prog
    errors_with /no/such/path/prog
    try 0 in_box true
}

file_that_cannot_be_executed_is_126_and_told_apart() {
    new_box
    try 126 in_box /etc/passwd
    errors_with /etc/passwd
    errors_match '[Pp]ermission denied|permission_denied'
    try 126 in_box /tmp
    try 126 sbx exec --json "$BOX" -- /etc/passwd
    cp "$T/out" "$T/real"
    try 126 sbx exec --json "$BOX" -- sh -c 'echo "sbxctl: exec: /etc/passwd: permission denied" >&2; exit 126'
    tr -d ' \n' <"$T/real" | grep -q '"not_started":true' || fail "the answer does not say not_started"
    tr -d ' \n' <"$T/out" | grep -q '"not_started":true' && fail "a command's own words were believed"
    return 0
}

stdout_and_stderr_are_kept_apart() {
    new_box
    try 0 sh_box 'i=0; while [ $i -lt 300 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done'
    seq 0 299 | sed 's/^/out /' | exact out
    seq 0 299 | sed 's/^/err /' | exact err
}

merged_output_keeps_the_order_of_writing() { lib_case merged_order; }

output_bytes_survive_nul_and_high_bytes() {
    new_box
    try 0 sh_box 'printf "a\000b\377\376\r\n\r\033[0m no newline"; printf "\000\200\r" >&2'
    printf 'a\000b\377\376\r\n\r\033[0m no newline' | exact out
    printf '\000\200\r' | exact err
    head -c 300000 /dev/urandom >"$T/noise"
    sbx exec -i "$BOX" -- cat <"$T/noise" >"$T/out" 2>"$T/err"
    exact out <"$T/noise"
}

non_ascii_output_arrives_as_the_same_bytes_in_any_locale() {
    new_box
    local locale
    for locale in C C.UTF-8 xx_YY; do
        LC_ALL=$locale try 0 sbx exec --env LC_ALL="$locale" "$BOX" -- printf '%s\n' 'Zażółć ∑ 漢字 🙂'
        output 'Zażółć ∑ 漢字 🙂'
        LC_ALL=$locale try 0 sh_box 'echo "é ∑" >&2'
        printf 'é ∑\n' | exact err
    done
}

undecodable_output_never_fails_the_call() {
    new_box
    try 0 sbx exec --json "$BOX" -- printf '\377\376\300\000x'
    grep -q '//7AAHg=' "$T/out" || fail "the bytes are not there in base64"
    lib_case undecodable "$BOX"
}

empty_output_is_empty() {
    new_box
    try 0 in_box true
    [ ! -s "$T/out" ] && [ ! -s "$T/err" ] || fail "something was printed"
}

output_of_500_kib_arrives_whole() {
    new_box
    try 0 sh_box 'head -c 512000 /dev/zero | tr "\0" x'
    head -c 512000 /dev/zero | tr '\0' x | exact out
    lib_case capture_500k "$BOX"
}

five_outputs_of_500_kib_at_once_arrive_whole() {
    new_box
    local i pids=()
    for i in 1 2 3 4 5; do
        sh_box "head -c 512000 /dev/zero | tr '\0' $i" >"$T/o$i" 2>"$T/e$i" &
        pids+=($!)
    done
    for i in 0 1 2 3 4; do
        wait "${pids[$i]}" || fail "client $i failed"
    done
    for i in 1 2 3 4 5; do
        head -c 512000 /dev/zero | tr '\0' "$i" | cmp - "$T/o$i" || fail "output $i differs"
    done
}

captured_output_has_a_limit_for_each_stream() { lib_case capture_limits; }
truncation_says_which_end_was_dropped() { lib_case capture_ends; }

one_mib_of_arguments_works() {
    new_box
    local piece i args=()
    piece=$(head -c 65535 /dev/zero | tr '\0' a)
    for i in $(seq 16); do args+=("$piece$((i % 10))"); done
    try 0 in_box sh -c 'n=0; for a; do n=$((n + ${#a})); done; echo $# $n' sh "${args[@]}"
    output '16 1048576'
}

one_argument_of_100_kib_works() {
    new_box
    local payload
    payload=$(head -c 75000 /dev/urandom | base64 -w0)
    try 0 sh_box "printf %s $payload | base64 -d | wc -c"
    [ "$(tr -d ' \n' <"$T/out")" = 75000 ] || fail "not 75000 bytes"
}

empty_shell_lines_and_comments_succeed() {
    new_box
    local line
    for line in '' $'\n' '# a comment' $'\n\n  # x\n'; do
        try 0 sh_box "$line"
        [ ! -s "$T/out" ] && [ ! -s "$T/err" ] || fail "something was printed"
    done
}

stdin_is_at_its_end_when_none_is_given() {
    new_box
    START=$(now_ms)
    try 0 sh_box 'cat; echo ended'
    output ended
    pty_case 10 "$SBXCTL" exec "$BOX" -- sh -c 'cat; echo finished' <<'END' || fail "a command reads the terminal without -i"
expect finished
exit 0
END
    took_between 0 8000
    lib_case no_input "$BOX"
}

stdin_bytes_arrive_verbatim() {
    new_box
    printf 'a\000\377\376\r\n$HOME `x` "q" \\n\004\003end' >"$T/in"
    sbx exec -i "$BOX" -- cat <"$T/in" >"$T/out" 2>"$T/err" || fail "exec failed"
    exact out <"$T/in"
    # shellcheck disable=SC2002 # a pipe is meant
    cat "$T/in" | sbx exec "$BOX" -- cat >"$T/out" 2>"$T/err" || fail "exec failed"
    exact out <"$T/in"
}

stdin_of_50_mib_arrives_whole() {
    new_box
    head -c 52428800 /dev/urandom >"$T/big"
    sbx exec -i "$BOX" -- sha256sum <"$T/big" >"$T/out" 2>"$T/err" || fail "exec failed"
    [ "$(cut -c1-64 "$T/out")" = "$(sha256sum <"$T/big" | cut -c1-64)" ] || fail "the bytes differ"
}

empty_stdin_given_is_an_end_of_file() {
    new_box
    printf '' | sbx exec -i "$BOX" -- sh -c 'wc -c' >"$T/out" 2>"$T/err" || fail "exec failed"
    [ "$(tr -d ' \n' <"$T/out")" = 0 ] || fail "not 0 bytes"
    lib_case empty_input "$BOX"
}

command_that_ends_before_reading_stdin_is_no_failure() {
    new_box
    START=$(now_ms)
    head -c 5000000 /dev/zero | sbx exec -i "$BOX" -- sh -c 'exit 5' >"$T/out" 2>"$T/err"
    [ "${PIPESTATUS[1]}" = 5 ] || fail "exit status is not 5"
    no_errors
    head -c 5000000 /dev/zero | sbx exec -i "$BOX" -- head -c 3 >"$T/out" 2>"$T/err"
    [ "${PIPESTATUS[1]}" = 0 ] || fail "exit status is not 0"
    (sleep 3; echo late) | sbx exec -i "$BOX" -- true || fail "exit status is not 0"
    took_between 0 6000
}

exec_returns_while_a_redirected_background_child_lives() {
    new_marker
    new_box
    START=$(now_ms)
    try 0 sh_box "sleep $MARK >/dev/null 2>&1 </dev/null & echo started"
    took_between 0 2500
    output started
    no_errors
}

background_child_that_holds_stdout_does_not_hold_exec() {
    new_marker
    new_box
    START=$(now_ms)
    try 0 sh_box "sleep $MARK & echo started"
    took_between 0 2500
    output started
    try 0 sbx exec --json "$BOX" -- sh -c "sleep $MARK & echo started"
    tr -d ' \n' <"$T/out" | grep -q incomplete || fail "the answer does not say that output may be missing"
}

environment_of_an_exec_overrides_creates_for_that_exec_only() {
    new_box --env A=create
    try 0 sbx exec --env 'A=x y="z"=$q' --env $'B=two\nlines' --env C= "$BOX" -- sh -c 'printf "%s|%s|%s\n" "$A" "$B" "${C-unset}"'
    exact <<'END'
x y="z"=$q|two
lines|
END
    try 0 sh_box 'printf "%s|%s\n" "$A" "${B-unset}"'
    output 'create|unset'
    printf 'F1=from file\n# comment\nF2=a=b\n' >"$T/env"
    chmod 600 "$T/env"
    try 0 sbx exec --env-file "$T/env" "$BOX" -- sh -c 'printf "%s|%s\n" "$F1" "$F2"'
    output 'from file|a=b'
    FROM_HERE=named try 0 sbx exec --env FROM_HERE "$BOX" -- sh -c 'echo "$FROM_HERE"'
    output named
}

home_and_path_are_set_in_every_exec() {
    new_box
    try 0 in_box sh -c 'test -d "$HOME" && test -w "$HOME" && cd && command -v ls && test -n "$PATH" && echo fine >"$HOME/x" && cat ~/x'
    try 0 in_box env
    grep -q '^HOME=/.' "$T/out" || fail "no HOME"
    grep -q '^PATH=.*/bin' "$T/out" || fail "no PATH"
}

default_directory_is_the_base_of_relative_file_paths() {
    new_box
    echo content >"$T/file"
    try 0 sbx cp "$T/file" "$BOX:relative.txt"
    try 0 in_box cat relative.txt
    output content
    try 0 sh_box 'cat "$(pwd)/relative.txt" && echo made >made.txt'
    try 0 sbx cp "$BOX:made.txt" "$T/back"
    [ "$(cat "$T/back")" = made ] || fail "another file came back"
}

cwd_absolute_and_relative_work() {
    new_box
    try 0 sh_box 'mkdir -p sub/dir "/tmp/a b"'
    try 0 sbx exec --cwd '/tmp/a b' "$BOX" -- pwd
    output '/tmp/a b'
    try 0 in_box pwd
    local base
    base=$(cat "$T/out")
    try 0 sbx exec -w sub/dir "$BOX" -- pwd
    output "$base/sub/dir"
}

missing_cwd_is_an_error_that_names_it() {
    new_box
    try 125 sbx exec --cwd /no/such/dir "$BOX" -- sh -c 'touch /tmp/ran'
    one_error_line
    errors_with /no/such/dir
    try 1 sh_box 'test -e /tmp/ran'
    try 125 sbx exec --cwd /etc/passwd "$BOX" -- true
    errors_with /etc/passwd
}

user_by_name_or_number_for_one_exec() {
    new_box
    need_users
    try 0 in_box id -u
    local own
    own=$(cat "$T/out")
    try 0 sbx exec --user root "$BOX" -- id -u
    output 0
    try 0 sbx exec -u nobody "$BOX" -- id -un
    output nobody
    try 0 sbx exec --user 4321 "$BOX" -- id -u
    output 4321
    try 0 in_box id -u
    output "$own"
}

unknown_user_is_a_failed_result_that_names_it() {
    new_box
    need_users
    local got=0
    sbx exec --user no-such-user-q "$BOX" -- touch /tmp/ran >"$T/out" 2>"$T/err" || got=$?
    [ "$got" != 0 ] || fail "it succeeded"
    errors_with no-such-user-q
    try 1 sh_box 'test -e /tmp/ran'
}

many_execs_in_a_row_are_cheap() {
    new_box
    try 0 in_box true
    START=$(now_ms)
    local i
    for i in $(seq 100); do
        sbx exec "$BOX" -- true || fail "exec $i failed"
    done
    say "100 execs, each a process of its own: $(($(now_ms) - START)) ms"
    sanitized || took_between 0 6000
}
