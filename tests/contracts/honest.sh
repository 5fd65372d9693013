# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 128-138: providers, isolation, honesty.

what_a_provider_cannot_do_is_declared_and_refused_before_start() {
    try 0 sbx providers
    grep -q "$PROVIDER" "$T/out" || fail "providers does not show $PROVIDER"
    try 0 sbx providers --json
    grep -qE '"(none|emulated|native)"' "$T/out" || fail "no levels of support"
    lib_case refused_before_start
    [ "$PROVIDER" = local ] || return 0
    new_box
    if ! mapped_users; then
        try 125 sbx exec --user root "$BOX" -- true
        one_error_line
    fi
    try 0 sbx rm "$BOX"
    local got
    for way in '--memory 64M' '--cpus 0.5' '--disk 32M'; do
        got=0
        # shellcheck disable=SC2086 # an option and its value
        sbx create --provider local $way >"$T/out" 2>"$T/err" || got=$?
        if [ "$got" = 0 ]; then
            try 0 sbx rm "$(cat "$T/out")"
        else
            [ "$got" = 125 ] || fail "create $way exits $got"
            one_error_line
        fi
    done
    try 125 sbx create --provider local --network sideways
    errors_with sideways
    [ -z "$(sbx ls -q)" ] || fail "something was created"
}

network_is_off_and_loopback_works() {
    new_box --network none
    try 0 sh_box 'cat /proc/net/dev'
    [ "$(tail -n +3 "$T/out" | grep -vc '^ *lo:')" = 0 ] || fail "there is another interface than lo"
    need_in_box perl
    try 0 in_box perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die "listen: $!";
        if (!fork) { my $c = $s->accept; print $c "hello\n"; exit 0 }
        my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport) or die "connect: $!";
        print scalar <$c>;
        die "the outside answers\n" if IO::Socket::INET->new(PeerAddr => "192.0.2.1", PeerPort => 80, Timeout => 2);'
    output hello
}

network_none_is_the_default() {
    new_box
    try 0 sh_box 'tail -n +3 /proc/net/dev | grep -v "^ *lo:"; true'
    [ ! -s "$T/out" ] || fail "there is another interface than lo"
}

out_of_memory_is_its_own_reason() {
    local got=0
    sbx create --provider "$PROVIDER" --memory 64M >"$T/out" 2>"$T/err" || got=$?
    if [ "$got" = 125 ]; then
        errors_with memory
        skip "no memory limits for this caller: $(head -c 200 "$T/err")"
    fi
    [ "$got" = 0 ] || fail "create exits $got"
    BOX=$(cat "$T/out")
    try 137 sbx exec --timeout 30 "$BOX" -- sh -c 'exec tail /dev/zero'
    errors_with 'out of memory'
    try 137 sbx exec --timeout 30 --json "$BOX" -- sh -c 'exec tail /dev/zero'
    tr -d ' \n' <"$T/out" | grep -q '"out_of_memory":true' || fail "the answer does not say out_of_memory"
    try 137 sh_box 'kill -KILL $$'
    no_errors
    try 0 sh_box 'echo alive'
    output alive
}

cpu_limit_is_kept() {
    local got=0
    sbx create --provider "$PROVIDER" --cpus 0.2 >"$T/out" 2>"$T/err" || got=$?
    if [ "$got" = 125 ]; then
        errors_with cpu
        skip "no processor limits for this caller: $(head -c 200 "$T/err")"
    fi
    [ "$got" = 0 ] || fail "create exits $got"
    BOX=$(cat "$T/out")
    need_in_box perl
    try 0 in_box perl -e 'my $end = time + 3; 1 while time < $end; my ($u, $s) = times; print int(100 * ($u + $s)), "\n"'
    [ "$(cat "$T/out")" -lt 120 ] || fail "it got $(cat "$T/out") hundredths of a second of processor time in 2 to 3 s"
}

disk_limit_is_kept() {
    local got=0
    sbx create --provider "$PROVIDER" --disk 16M >"$T/out" 2>"$T/err" || got=$?
    [ "$got" = 125 ] && skip "no disk limits for this caller: $(head -c 200 "$T/err")"
    [ "$got" = 0 ] || fail "create exits $got"
    BOX=$(cat "$T/out")
    try 1 sh_box 'head -c 40000000 /dev/zero >fill 2>/dev/null || exit 1'
    try 0 sh_box 'rm -f fill; echo fits >small'
}

process_limit_stops_a_fork_storm() {
    new_box
    new_marker
    need_in_box perl
    START=$(now_ms)
    try 124 sbx exec --timeout 2 "$BOX" -- perl -e '
        for (;;) {
            my $pid = fork;
            exec "sleep", $ARGV[0] if defined $pid && $pid == 0;
            select undef, undef, undef, 0.01 unless defined $pid;
        }' "$MARK"
    took_between 0 20000
    marker_gone "$MARK" 3
    try 0 in_box true
}

values_are_never_interpreted_by_a_host_shell() {
    local evil="\$(touch $T/pwned)\`touch $T/pwned\`;touch $T/pwned;'\"|touch $T/pwned #"
    new_box --label "evil=$evil" --env "EVIL=$evil"
    try 0 sh_box 'printf "%s\n" "$EVIL"'
    output "$evil"
    try 0 in_box printf '%s\n' "$evil"
    output "$evil"
    echo x >"$T/f"
    sbx cp "$T/f" "$BOX:/tmp/$evil" >"$T/out" 2>&1
    try 125 sbx exec "$PROVIDER/$evil" -- true
    try 125 sbx create --provider "$evil"
    sbx create --provider "$PROVIDER" --name "$evil" >"$T/out" 2>&1
    sbx exec --user "$evil" --cwd "/$evil" "$BOX" -- true >"$T/out" 2>&1
    sbx rm "$PROVIDER/$evil" >"$T/out" 2>&1
    [ ! -e "$T/pwned" ] || fail "a value was run by a shell"
    try 0 sbx inspect --json "$BOX"
    [ ! -e "$T/pwned" ] || fail "a value was run by a shell"
}

nothing_of_the_hosts_environment_leaks_in() {
    local CANARY=canary$RANDOM$RANDOM
    export HOST_SECRET=$CANARY-env
    new_box
    try 0 in_box env
    grep -q canary "$T/out" && fail "the host's environment is in a command's"
    sh_box 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; grep -rs canary /etc /run /tmp /workspace "$HOME" 2>/dev/null' >"$T/all"
    grep -qa "$CANARY" "$T/all" && fail "the host's environment is in /proc or in a file"
    try 0 sbx exec --env HOST_SECRET "$BOX" -- sh -c 'echo $HOST_SECRET'
    output "$CANARY-env"
    try 0 run_box -- env
    grep -q canary "$T/out" && fail "run passes the host's environment"
    return 0
}

secrets_never_show_in_arguments_or_other_environments() {
    local canary=canary$RANDOM$RANDOM$RANDOM pid
    new_marker
    CREATE_SECRET=$canary-c new_box --env CREATE_SECRET
    EXEC_SECRET=$canary-e "$SBXCTL" exec --env EXEC_SECRET "$BOX" -- sleep "$MARK" >/dev/null 2>&1 &
    local client=$!
    ! same_machine || marker_seen "$MARK" 1
    sleep 0.2
    for pid in /proc/[0-9]*; do
        tr '\0' '\n' <"$pid/cmdline" 2>/dev/null | grep -qa "$canary" && fail "in the arguments of ${pid#/proc/}"
        [ "${pid#/proc/}" != "$client" ] || continue
        grep -qsa "^sleep.$MARK" "$pid/cmdline" && continue
        grep -qsa "$canary" "$pid/environ" && fail "in the environment of ${pid#/proc/}: $(tr '\0' ' ' <"$pid/cmdline")"
    done
    sh_box "cat /proc/1/environ /proc/[0-9]*/cmdline 2>/dev/null; true" >"$T/inside"
    grep -qa "$canary" "$T/inside" && fail "seen from inside"
    grep -rlsZ "$canary" "$T/run" "$T/state" | while IFS= read -r -d '' file; do
        [ "$(($(stat -c %#a "$file") & 077))" = 0 ] || fail "others may read $file"
    done || exit 1
    kill "$client"
    wait "$client" 2>/dev/null
    try 0 sbx inspect --json "$BOX"
    grep -qa "$canary" "$T/out" && fail "inspect tells it"
    return 0
}

no_isolation_means_no_sandbox() {
    [ "$PROVIDER" = local ] || skip "concerns the local provider"
    mkdir -p "$T/config/sbx"
    printf '[provider local]\nplugin = local\nbwrap = %s/no/bwrap\n' "$T" >"$T/config/sbx/sbx.ini"
    chmod 600 "$T/config/sbx/sbx.ini"
    try 125 sbx run --provider local -- touch "$T/work/ran"
    one_error_line
    errors_with "$T/no/bwrap"
    [ ! -e "$T/work/ran" ] || fail "the command ran on the host"
    rm "$T/config/sbx/sbx.ini"
    try 0 run_box -- sh -c "touch '$T/work/ran' 2>/dev/null; true"
    [ ! -e "$T/work/ran" ] || fail "a command wrote on the host"
    new_box
    try 0 sbx inspect --json "$BOX"
    grep -q 'provider\.' "$T/out" || fail "inspect does not say which limits are active"
}

diagnostics_of_a_dead_sandbox_stay_out_of_the_output() {
    new_marker
    new_box
    sh_box "echo from the command; sleep $MARK" >"$T/o" 2>"$T/e" &
    local client=$!
    ! same_machine || marker_seen "$MARK" 1
    sleep 0.2
    sbx rm "$BOX" >/dev/null 2>&1
    wait "$client"
    cp "$T/o" "$T/out"
    cp "$T/e" "$T/err"
    output 'from the command'
    one_error_line
}

errors_are_known_by_code_never_by_words() {
    new_box
    local words
    for words in 'sbxctl: exec: no such sandbox' 'timed out' 'permission_denied' 'out of memory' 'sandbox unavailable'; do
        try 1 sbx exec --json "$BOX" -- sh -c "echo '$words'; echo '$words' >&2; exit 1"
        json_has cause '"exited"'
        json_has exit_code 1
    done
    try 125 sbx exec --json "$BOX" -- sh -c 'echo "sbxctl: exec: no such sandbox" >&2; exit 125'
    json_has cause '"exited"'
    try 137 sbx exec --json "$BOX" -- sh -c 'exit 137'
    json_has cause '"exited"'
    try 125 sbx exec --json "$PROVIDER/00000000000000000000" -- true
    json_has code '"no_such_sandbox"'
    lib_case codes "$BOX"
}

what_is_missing_is_found_at_once_and_named() {
    [ "$PROVIDER" = local ] || skip "concerns the local provider"
    mkdir -p "$T/config/sbx"
    printf '[provider local]\nplugin = local\nguest = %s/no/guest\n' "$T" >"$T/config/sbx/sbx.ini"
    chmod 600 "$T/config/sbx/sbx.ini"
    try 125 sbx create
    one_error_line
    errors_with "$T/no/guest"
    sbx doctor >"$T/out" 2>"$T/err" && fail "doctor is content"
    cat "$T/err" >>"$T/out"
    grep -qF "$T/no/guest" "$T/out" || fail "doctor does not name it"
}

error_says_which_provider_sandbox_and_step() {
    new_box
    try 125 sbx exec --cwd /nowhere "$BOX" -- true
    errors_match "^sbxctl: exec $BOX: .*'?/nowhere'?"
    try 125 sbx cp "$BOX:/nowhere" "$T/x"
    errors_match "^sbxctl: cp $BOX:/nowhere: file_not_found"
    try 125 sbx inspect "$PROVIDER/1234abcd"
    errors_match "^sbxctl: inspect $PROVIDER/1234abcd: no such sandbox"
    try 125 sbx create --provider "$PROVIDER" --image "$T/none"
    errors_match "^sbxctl: create.*$PROVIDER.*$T/none"
    try 125 sbx create --provider no-such-instance
    errors_with no-such-instance
}

connection_command_can_be_asked() {
    new_box
    try 0 sbx inspect --json "$BOX"
    # With a terminal where there are any, else in a shell that stays, else by lines of its input.
    local way="exec -it"
    ! grep -qE '"sbx.tty/1": *"none"' "$T/out" || way=shell
    [ "$way" != shell ] || ! grep -qE '"sbx.shell/1": *"none"' "$T/out" || way="exec -i"
    tr -d '\n' <"$T/out" | grep -qE "\"connect\": *\"[^\"]*$way $BOX" || fail "no log-in line in the answer"
    try 0 sbx rm "$BOX"
    try 125 sbx inspect "$BOX"
    errors_with 'no such sandbox'
}
