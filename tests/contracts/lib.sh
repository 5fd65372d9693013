# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2034
# What every case of the behaviour suite uses. A case is a bash function named as its ctest entry; run_case.sh calls it
# in a private directory $T, with runtime, state and configuration directories of its own, and cleans up behind it.
#
# Environment: SBX_TEST_BUILD (the build tree or a copy of it), SBX_TEST_PROVIDER (an instance, default local),
# SBX_TEST_IMAGE (image to use, default the provider's own).

PROVIDER=${SBX_TEST_PROVIDER:-local}
SBX_TEST_TLS=${SBX_TEST_TLS:-}
SBXCTL=$SBX_TEST_BUILD/bin/sbxctl
TOOLS=$SBX_TEST_BUILD/tests/contracts
FIRST_ERROR=

say() { printf '%s\n' "$*"; }

# fail TEXT: shows what the last command said and ends the case
fail() {
    FIRST_ERROR="FAIL: $*"
    say "$FIRST_ERROR"
    for stream in out err; do
        [ -s "$T/$stream" ] || continue
        say "--- last $stream:"
        head -c 2000 "$T/$stream"
        say
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
    "$@" >"$T/out" 2>"$T/err" || got=$?
    [ "$got" = "$want" ] || fail "exit status $got instead of $want: ${*:0:400}"
}

# new_box [OPTION...]: makes a sandbox and puts its id in BOX
new_box() {
    try 0 sbx create --provider "$PROVIDER" ${SBX_TEST_IMAGE:+--image "$SBX_TEST_IMAGE"} "$@"
    BOX=$(cat "$T/out")
    [ -n "$BOX" ] || fail "create printed nothing"
}

# offers CAPABILITY: the suite's provider does, by itself or by emulation
offers() {
    sbx providers --json | sed 's/{"instance":/\n&/g' | grep -F "{\"instance\":\"$PROVIDER\"" |
        grep -qE "\"$1\":\"(native|emulated)\""
}

# run_box ARGUMENT...: sbxctl run with the suite's provider
run_box() { sbx run --provider "$PROVIDER" ${SBX_TEST_IMAGE:+--image "$SBX_TEST_IMAGE"} "$@"; }

in_box() { sbx exec "$BOX" -- "$@"; }
sh_box() { sbx exec "$BOX" -- sh -c "$@"; }

# output TEXT: the last command printed exactly TEXT and a newline
output() {
    printf '%s\n' "$1" >"$T/want"
    cmp -s "$T/want" "$T/out" || fail "expected '$1'"
}
# exact: the last output is byte for byte what standard input says
exact() {
    cat >"$T/want"
    cmp "$T/want" "$T/${1:-out}" || fail "the ${1:-out} stream differs from what was written"
}
errors_with() { grep -qF -- "$1" "$T/err" || fail "standard error does not say '$1'"; }
errors_match() { grep -qE -- "$1" "$T/err" || fail "standard error does not match '$1'"; }
one_error_line() { [ "$(wc -l <"$T/err")" = 1 ] || fail "standard error has $(wc -l <"$T/err") lines, not one"; }
no_errors() { [ ! -s "$T/err" ] || fail "standard error is not empty"; }
# json_has KEY VALUE: the last output has "KEY": VALUE, VALUE as JSON writes it
json_has() { tr -d ' \t\n' <"$T/out" | grep -qF -- "\"$1\":$2" || fail "no \"$1\": $2 in the answer"; }

now_ms() { date +%s%3N; }
# took_between LOW HIGH: milliseconds since START; HIGH is for a machine with time to spare: it grows with the processes
# that wait for a processor, and far away each sbxctl costs a command of the daemon's more
took_between() {
    local took=$(($(now_ms) - START)) load high
    load=$(cut -d. -f1 /proc/loadavg)
    high=$(($2 * (1 + load / (2 * $(nproc))) + (${#SBX_TEST_TLS} > 0 ? 5000 : 0)))
    [ "$took" -ge "$1" ] && [ "$took" -le "$high" ] || fail "took $took ms, expected $1 to $high"
}

# A number that only this test's processes carry as argument; seen by sleep as many years.
new_marker() { MARK=1$(od -An -N4 -tu4 /dev/urandom | tr -d ' ' | sed 's/.*/000000000&/; s/.*\(.\{9\}\)$/\1/'); }
# Whether the sandbox's processes are this machine's.
same_machine() { [ "$PROVIDER" = local ] || [ -n "${SBX_TEST_ENGINE:-}${SBX_TEST_DOUBLE:-}" ]; }
host_marked() { grep -lsa "^[s]leep.$1" /proc/[0-9]*/cmdline; }
# marker_gone MARK SECONDS: soon no process on the host carries it
marker_gone() {
    local end=$(($(now_ms) + $2 * 1000))
    while [ -n "$(host_marked "$1")" ]; do
        [ "$(now_ms)" -lt "$end" ] || fail "a process still lives: $(host_marked "$1" | tr '\n' ' ')"
        sleep 0.05
    done
}
# marker_seen MARK COUNT: within 5 s so many processes carry it (where the sandbox's processes are this machine's)
marker_seen() {
    local i
    for i in $(seq 100); do
        [ "$(host_marked "$1" | wc -l)" -ge "$2" ] && return
        sleep 0.05
    done
    fail "saw $(host_marked "$1" | wc -l) of $2 marked processes after $i looks"
}
# box_clean MARK: a look from inside finds none
box_clean() {
    try 1 sh_box "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <\$f; echo; done 2>/dev/null | grep '^[s]leep $1'"
}

listed() { sbx ls -q | grep -cxF -- "$1"; }
# unlisted ID SECONDS: soon no list has it; its init ends a moment after everything that it held
unlisted() {
    local end=$(($(now_ms) + $2 * 1000))
    while [ "$(listed "$1")" != 0 ]; do
        [ "$(now_ms)" -lt "$end" ] || fail "it is still listed"
        sleep 0.05
    done
}

# traits of the provider that cases need to know
# shellcheck disable=SC2016
mapped_users() { sh_box 'test "$(wc -l </proc/self/uid_map)" -ge 1 && awk "{n += \$3} END {exit n < 60000}" /proc/self/uid_map'; }
need_users() { mapped_users || skip "one user id only: no subordinate ids for this caller"; }
need_in_box() { sh_box "command -v $1 >/dev/null" || skip "the sandbox has no $1"; }
sanitized() { grep -qsE 'SBX_SANITIZE:STRING=(address|thread)' "$SBX_TEST_BUILD/CMakeCache.txt"; }

lib_case() { "$TOOLS/contract_lib" "$@"; }
pty_case() { "$TOOLS/contract_pty" "$@"; }

# The case may have exchanged its configuration, or broken it: what that one does not lead to, an empty one does.
remove_boxes() {
    # shellcheck disable=SC2046 # ids hold no blanks
    timeout 20 "$SBXCTL" rm $(timeout 20 "$SBXCTL" ls -q)
    [ -d "$T/run/sbx" ] || return 0
    : >"$T/no.ini"
    # shellcheck disable=SC2046
    timeout 20 "$SBXCTL" rm --config "$T/no.ini" $(timeout 20 "$SBXCTL" ls -q --config "$T/no.ini")
}

finish() {
    local code=$?
    trap - EXIT
    remove_boxes >/dev/null 2>&1 </dev/null
    if [ -n "${DOUBLE:-}" ]; then
        exec 9>&-
        for _ in $(seq 200); do kill -0 "$DOUBLE" 2>/dev/null && sleep 0.05 || break; done
    fi
    cd /
    chmod -R u+rwx "$T" 2>/dev/null
    rm -rf "$T"
    exit "$code"
}

# The daemon that tests/engines started, for a provider that needs one.
use_engine() {
    local folder
    if [ -z "${SBX_TEST_ENGINE:-}" ]; then
        [ "$PROVIDER" = docker ] || export DOCKER_HOST=unix:///nonexistent/docker.sock # this machine's is none of ours
        return 0
    fi
    folder=$(cat "$SBX_TEST_ENGINE" 2>/dev/null)
    [ -S "$folder/docker.sock" ] || skip "no Docker daemon for tests: ${folder#none: }"
    export DOCKER_HOST=unix://$folder/docker.sock SANDBOX_IMAGE=$SBX_TEST_IMAGE
    [ -n "$SBX_TEST_TLS" ] || return 0
    [ -s "$folder/tls/address" ] || skip "openssl is not installed, so the daemon has no certificates"
    DOCKER_HOST=tcp://$(cat "$folder/tls/address")
    export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$folder/tls
}

# A double of the Runloop service for this test alone; it ends when its stdin does.
use_double() {
    [ "$PROVIDER" = runloop ] || return 0
    mkfifo "$T/hold"
    TMPDIR=$T python3 -B "$SBX_TEST_DOUBLE" --key ak_contracts --lifetime 400 --set provisioning_seconds=0 \
        --set initializing_seconds=0 <"$T/hold" >"$T/double" 2>"$T/double.err" &
    DOUBLE=$!
    disown # so that a test may wait for all that it started itself
    exec 9>"$T/hold"
    for _ in $(seq 300); do [ -s "$T/double" ] && break || sleep 0.05; done
    RUNLOOP_BASE_URL=$(cat "$T/double")
    [ -n "$RUNLOOP_BASE_URL" ] || fail "the double did not start: $(cat "$T/double.err")"
    export RUNLOOP_BASE_URL RUNLOOP_API_KEY=ak_contracts
}

start_case() {
    use_engine
    T=$(mktemp -d /tmp/sbxc-XXXXXXXX) || exit 1
    chmod 711 "$T"
    trap finish EXIT
    trap 'exit 143' TERM INT HUP
    mkdir -m 700 "$T/run" "$T/config"
    mkdir -m 711 "$T/state" "$T/work"
    export XDG_RUNTIME_DIR=$T/run XDG_STATE_HOME=$T/state XDG_CONFIG_HOME=$T/config T
    unset SBX_CONFIG
    if [ -n "${SBX_TEST_GUEST:-}" ]; then
        mkdir -m 700 "$T/config/sbx"
        printf '[provider %s]\nplugin = docker\nguest = %s\n' "$PROVIDER" "$SBX_TEST_GUEST" >"$T/config/sbx/sbx.ini"
        chmod 600 "$T/config/sbx/sbx.ini"
    fi
    cd "$T/work" || exit 1
    exec </dev/null
    use_double
}
