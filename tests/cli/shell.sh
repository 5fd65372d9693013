# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# Shells that stay, and the life of a sandbox.

a_shell_stays_from_one_call_to_the_next() {
    new_box
    try 0 sbx shell "$BOX" work -- cd /tmp ';' A=7
    try 0 sbx shell "$BOX" work 'echo "$PWD $A"; echo wrong >&2'
    output "/tmp 7"
    errors wrong
    try 3 sbx shell "$BOX" work '(exit 3)'
    try 0 sbx shell "$BOX" other 'echo "$A"'
    output ""
    try 0 sbx shell --json "$BOX" work 'printf "$A"'
    json_is '"7"' stdout
    json_is 0 exit_code
    try 124 sbx shell --timeout 0.3 "$BOX" work 'sleep 300'
    errors_with "sbxctl: shell $BOX: timed out"
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output 7
    try 125 sbx shell "$BOX" work 'exit 4'
    [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
    ! grep -q "not running" "$T/err" || fail "the sandbox does run"
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output ""
    try 0 sbx shell --close "$BOX" work
    no_errors
    try 125 sbx shell --close "$BOX" work
    errors_with work
    try 0 sbx shell "$BOX" work 'echo "$A"'
    output ""
}

keep_alive_moves_the_end_of_a_sandbox() {
    local before
    new_box --lifetime 10m
    try 0 sbx inspect --json "$BOX"
    before=$(json sandboxes 0 expires_ms)
    try 0 sbx keep-alive --for 1h "$BOX"
    no_errors
    try 0 sbx inspect --json "$BOX"
    [ "$(json sandboxes 0 expires_ms)" -gt "$((before + 1800000))" ] || fail "the end did not move"
    try 0 sbx keep-alive --json "$BOX"
    json_is "\"$BOX\"" id
    try 125 sbx keep-alive local/000000000000
    errors "sbxctl: keep-alive local/000000000000: no such sandbox"
}

suspend_and_resume_say_what_they_did() {
    new_box
    try 0 sbx inspect --json "$BOX"
    if [ "$(json sandboxes 0 capabilities sbx.suspend/1)" = '"none"' ]; then
        try 125 sbx suspend --json "$BOX"
        json_is '"unsupported"' error code
        try 125 sbx resume "$BOX"
        [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
        try 0 in_box true
        return
    fi
    try 0 sbx suspend "$BOX"
    try 0 sbx wait --state suspended "$BOX"
    output suspended
    try 0 sbx resume "$BOX"
    try 0 in_box true
}
