# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 1-15: the life of a sandbox.

create_gives_ids_that_are_unique() {
    local i
    for i in 1 2 3 4; do
        new_box
        say "$BOX" >>"$T/ids"
    done
    [ "$(sort -u "$T/ids" | grep -c "^$PROVIDER/.")" = 4 ] || fail "ids are not four different ones: $(cat "$T/ids")"
}

create_returns_when_the_first_exec_works() {
    local i
    for i in 1 2 3 4 5; do
        new_box
        try "$((40 + i))" sh_box "exit $((40 + i))"
    done
}

create_that_fails_leaves_nothing() {
    find "$T/run" "$T/state" | sort >"$T/before"
    try 125 sbx create --provider "$PROVIDER" --image "$T/no/such/image"
    one_error_line
    errors_with "$T/no/such/image"
    [ ! -s "$T/out" ] || fail "an id was printed"
    try 125 sbx create --provider "$PROVIDER" --label sbx.managed=0
    [ -z "$(sbx ls -q)" ] || fail "ls shows $(sbx ls -q)"
    find "$T/run" "$T/state" -type f | sort >"$T/after"
    [ ! -s "$T/after" ] || fail "left behind: $(cat "$T/after")"
}

create_takes_image_environment_labels_lifetime_and_directory() {
    new_box --env 'A=from create' --env B=2 --label team=red --lifetime 600 --cwd /tmp
    try 0 sh_box 'echo "$A,$B,$(pwd)"'
    output 'from create,2,/tmp'
    try 0 sbx exec --env B=3 "$BOX" -- sh -c 'echo "$A,$B"'
    output 'from create,3'
    try 0 sbx inspect --json "$BOX"
    json_has team '"red"'
    [ "$PROVIDER" = local ] || return 0
    mkdir -p "$T/image/bin"
    chmod -R 755 "$T/image"
    cp "$SBX_TEST_BUILD/bin/sbx-guest" "$T/image/bin/static-program"
    try 0 sbx create --provider local --image "$T/image"
    BOX=$(cat "$T/out")
    try 0 in_box /bin/static-program version
    try 127 in_box /bin/sh -c true
}

environment_of_create_is_seen_by_every_exec() {
    new_box --env 'V=a b=c "d"'
    try 0 sh_box 'printf "%s\n" "$V"'
    output 'a b=c "d"'
    try 0 env -i PATH="$PATH" ${DOCKER_CERT_PATH+DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$DOCKER_CERT_PATH"} XDG_RUNTIME_DIR="$T/run" XDG_STATE_HOME="$T/state" ${LD_LIBRARY_PATH+LD_LIBRARY_PATH="$LD_LIBRARY_PATH"} \
        ${DOCKER_HOST+DOCKER_HOST="$DOCKER_HOST"} \
        ${RUNLOOP_API_KEY+RUNLOOP_API_KEY="$RUNLOOP_API_KEY" RUNLOOP_BASE_URL="$RUNLOOP_BASE_URL"} "$SBXCTL" exec "$BOX" -- sh -c 'printf "%s\n" "$V"'
    output 'a b=c "d"'
}

labels_of_create_can_be_read_back() {
    new_box --label 'purpose=nightly run' --label run=17
    local other=$BOX
    new_box --label run=18
    try 0 sbx inspect --json "$other"
    tr -d '\n' <"$T/out" | grep -qE '"purpose": *"nightly run"' || fail "label with a blank is not there"
    json_has run '"17"'
    try 0 sbx ls -q --label run=18
    output "$BOX"
    try 0 sbx ls -q --label run=17
    output "$other"
    try 0 sbx ls -q --label run=1
    [ ! -s "$T/out" ] || fail "a label matches in part"
}

lifetime_ends_the_sandbox_by_itself() {
    new_marker
    START=$(now_ms)
    new_box --lifetime 2
    sh_box "sleep $MARK" >/dev/null 2>&1 &
    ! same_machine || marker_seen "$MARK" 1
    wait $!
    took_between 1500 8000
    marker_gone "$MARK" 2
    unlisted "$BOX" 2
    try 125 in_box true
    errors_with 'no such sandbox'
}

remove_ends_every_process() {
    new_marker
    new_box
    sh_box "(setsid sleep $MARK >/dev/null 2>&1 &); trap '' TERM; sleep $MARK & sleep $MARK" >/dev/null 2>&1 &
    local client=$!
    ! same_machine || marker_seen "$MARK" 2
    try 0 sbx rm "$BOX"
    marker_gone "$MARK" 2
    wait "$client"
    [ "$(listed "$BOX")" = 0 ] || fail "it is still listed"
}

remove_of_a_removed_or_unknown_sandbox_is_silent() {
    new_box
    try 0 sbx rm "$BOX"
    try 0 sbx rm "$BOX"
    no_errors
    try 0 sbx rm "$PROVIDER/00000000000000000000000000000000"
    no_errors
    try 0 sbx rm --json "$BOX"
    no_errors
}

list_shows_what_was_created_and_not_what_was_removed() {
    try 0 sbx ls -q
    [ ! -s "$T/out" ] || fail "not empty at first: $(cat "$T/out")"
    new_box
    local first=$BOX
    new_box
    try 0 sbx ls -q
    [ "$(sort "$T/out")" = "$(printf '%s\n' "$first" "$BOX" | sort)" ] || fail "list shows $(cat "$T/out")"
    try 0 sbx rm "$first"
    try 0 sbx ls -q
    output "$BOX"
}

list_pages_with_a_cursor() { lib_case list_pages; }

attach_by_id_makes_no_new_sandbox() {
    new_box
    try 0 in_box true
    try 0 sbx inspect "$BOX"
    try 125 sbx exec "$PROVIDER/0123456789abcdef" -- true
    errors_with 'no such sandbox'
    try 125 sbx exec "$PROVIDER/../../etc" -- true
    try 125 sbx inspect "$PROVIDER/0123456789abcdef"
    errors_with 'no such sandbox'
    try 0 sbx ls -q
    output "$BOX"
    lib_case attach_unknown "$BOX"
}

sandbox_outlives_the_client_that_made_it() {
    local pid
    sbx create --provider "$PROVIDER" ${SBX_TEST_IMAGE:+--image "$SBX_TEST_IMAGE"} >"$T/id" &
    pid=$!
    wait "$pid" || fail "create failed"
    kill -9 "$pid" 2>/dev/null
    BOX=$(cat "$T/id")
    try 0 setsid "$SBXCTL" exec "$BOX" -- sh -c 'echo kept >/tmp/note'
    sleep 0.3
    try 0 setsid "$SBXCTL" exec "$BOX" -- cat /tmp/note
    output kept
}

exec_after_remove_says_no_such_sandbox() {
    new_box
    try 0 sbx rm "$BOX"
    try 125 in_box sh -c 'exit 125'
    [ ! -s "$T/out" ] || fail "output of a command that cannot have run"
    printf 'sbxctl: exec %s: no such sandbox\n' "$BOX" | exact err
    try 125 sbx exec --json "$BOX" -- true
    json_has code '"no_such_sandbox"'
    lib_case exec_after_remove
}

death_under_a_running_command_is_told() {
    new_marker
    new_box
    sh_box "echo before; sleep $MARK" >"$T/out2" 2>"$T/err2" &
    local client=$!
    ! same_machine || marker_seen "$MARK" 1
    sleep 0.2
    sbx rm "$BOX"
    wait "$client"
    [ $? = 125 ] || fail "exec ended otherwise than with 125"
    cp "$T/err2" "$T/err"
    cp "$T/out2" "$T/out"
    output before
    one_error_line
    errors_match "^sbxctl: exec $BOX: "
}

state_can_be_asked() { lib_case state_can_be_asked; }
same_token_gives_the_same_sandbox() { lib_case same_token_same_sandbox; }

interrupted_create_and_run_leave_nothing() {
    local i signal
    for i in $(seq 12); do
        for signal in INT TERM; do
            env --default-signal=INT,TERM "$SBXCTL" run --provider "$PROVIDER" -- sh -c 'sleep 20' >/dev/null 2>&1 &
            sleep "0.0$((i * 7 % 50 + 10))"
            kill "-$signal" $! 2>/dev/null
            wait $! 2>/dev/null
        done
    done
    if [ "$PROVIDER" != local ]; then # a daemon may be at work on what it was asked for
        for i in $(seq 100); do
            [ -n "$(sbx ls -q)" ] || break
            sleep 0.1
        done
    fi
    [ -z "$(sbx ls -q)" ] || fail "left after interrupts: $(sbx ls -q)"
    find "$T/run" "$T/state" -type f >"$T/out"
    [ ! -s "$T/out" ] || fail "files were left"
}

run_removes_its_sandbox_whatever_happens() {
    try 3 run_box -- sh -c 'exit 3'
    [ -z "$(sbx ls -q)" ] || fail "left after a failing command"
    try 124 run_box --timeout 0.2 -- sleep 50
    [ -z "$(sbx ls -q)" ] || fail "left after a time-out"
    try 127 run_box -- no-such-program-here
    [ -z "$(sbx ls -q)" ] || fail "left after a missing program"
    run_box -- yes 2>/dev/null | head -c 10 >/dev/null
    [ -z "$(sbx ls -q)" ] || fail "left after a closed pipe"
}
