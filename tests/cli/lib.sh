# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of sbxctl share. run_cli.sh calls one case in a private directory $T with runtime, state and
# configuration folders of its own, and removes the sandboxes that it left.

say() { printf '%s\n' "$*"; }

# fail TEXT: shows what the last command said and ends the case
fail() {
    say "FAIL: $*"
    for stream in out err; do
        [ -s "$T/$stream" ] || continue
        say "--- last $stream:"
        head -c 2000 "$T/$stream"
    done
    exit 1
}

skip() {
    say "SKIP: $*"
    exit 77
}

sbx() { "$SBXCTL" "$@"; }

# try WANT COMMAND...: output goes to $T/out and $T/err; the exit status has to be WANT
try() {
    local want=$1 got=0
    shift
    "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" = "$want" ] || fail "exit status $got instead of $want: ${*:0:300}"
}

output() { [ "$(cat "$T/out")" = "$1" ] || fail "expected '$1'"; }
errors() { [ "$(cat "$T/err")" = "$1" ] || fail "expected on standard error: $1"; }
errors_with() { grep -qF -- "$1" "$T/err" || fail "standard error does not say '$1'"; }
no_errors() { [ ! -s "$T/err" ] || fail "standard error is not empty"; }

# json KEY...: the value at that place of the last answer, as python writes it
json() {
    python3 -I -S -c '
import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2:]:
    value = value[int(key)] if isinstance(value, list) else value[key]
print(json.dumps(value, ensure_ascii=False))' "$T/out" "$@" || fail "no $* in the answer"
}
json_is() {
    local want=$1
    shift
    [ "$(json "$@")" = "$want" ] || fail "$* is $(json "$@"), not $want"
}

# bad MESSAGE ARGUMENT...: refused with exactly that line, with and without --json, and nothing done
bad() {
    local message=$1
    shift
    try 125 sbx "$@"
    errors "sbxctl: $message"
    [ ! -s "$T/out" ] || fail "something was printed"
    try 125 sbx --json "$@"
    errors "sbxctl: $message"
    [ "$(wc -l <"$T/out")" = 1 ] || fail "not one line of JSON"
    python3 -I -S -c '
import json, sys
answer = json.load(open(sys.argv[1]))
error = answer["error"]
sys.exit(answer["ok"] is not False or error["exit_code"] != 125 or error["code"] != "usage" or not error["message"])
' "$T/out" || fail "the object says something else"
}

# new_box [OPTION...]: makes a sandbox and puts its id in BOX
new_box() {
    try 0 sbx create "$@"
    BOX=$(cat "$T/out")
}
# fixture PLUGIN [LINE...]: the fixture provider is the default from now on, with these lines of configuration, and
# d/standing is a sandbox of it
fixture() {
    local plugin=$1
    shift
    [ -e "$BUILD/tests/unit/direct/$plugin.so" ] || skip "no fixture provider"
    mkdir -p "$T/boxes/standing"
    {
        printf '[sbx]\nplugin_path = %s\ndefault = d\n' "$BUILD/tests/unit/direct"
        printf '[provider d]\nplugin = %s\nroot = %s\n' "$plugin" "$T/boxes"
        [ "$#" = 0 ] || printf '%s\n' "$@"
    } >"$T/sbx.ini"
    export SBX_CONFIG=$T/sbx.ini
}
in_box() { sbx exec "$BOX" -- "$@"; }

# The case may have exchanged its configuration, or broken it: what that one does not lead to, an empty one does.
remove_boxes() {
    [ -d "$XDG_RUNTIME_DIR/sbx" ] || return 0
    # shellcheck disable=SC2046 # ids hold no blanks
    timeout 20 "$SBXCTL" rm $(timeout 20 "$SBXCTL" ls -q) none
    : >"$T/no.ini"
    # shellcheck disable=SC2046
    timeout 20 "$SBXCTL" rm --config "$T/no.ini" $(timeout 20 "$SBXCTL" ls -q --config "$T/no.ini") none
}

finish() {
    local code=$?
    trap - EXIT
    remove_boxes >/dev/null 2>&1 </dev/null
    chmod -R u+rwX "$T" 2>/dev/null
    rm -rf "$T"
    exit "$code"
}
