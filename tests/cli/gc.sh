# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# sbxctl gc on local sandboxes: what is proven to be over goes, whatever only looks like it stays. The record of a
# sandbox is rewritten to what another process, host or boot would have left there.

# record ID KEY VALUE: one field of the sandbox's record; "" takes it away
record() {
    python3 - "$XDG_RUNTIME_DIR/sbx/local/local/${1#*/}/record" "$2" "$3" <<'END' || fail "no record of $1"
import os, sys
path, key, value = sys.argv[1:]
parts = [p for p in open(path, "rb").read().split(b"\0")[:-1] if not p.startswith(key.encode() + b"=")]
if value:
    parts.append((key + "=" + value).encode())
with open(path + ".x", "wb") as f:
    f.write(b"\0".join(parts) + b"\0")
os.chmod(path + ".x", 0o600)
os.rename(path + ".x", path)
END
}

started() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20; }
place() { printf '%s:%s:%s' "$(tr -d '\n' </etc/machine-id)" "$(tr -d '\n' </proc/sys/kernel/random/boot_id)" "$(readlink /proc/self/ns/pid | tr -dc 0-9)"; }
need_machine_id() { [ -s /etc/machine-id ] || skip "this machine has no machine id, so no owner is ever proven dead"; }

# boxed NAME OWNER [OPTION...]: a sandbox whose record names that owner ("": nobody); its id is in ID[NAME]
declare -A ID
boxed() {
    new_box "${@:3}"
    ID[$1]=$BOX
    [ -z "$2" ] || record "$BOX" label.sbx.owner "$2"
}
is_there() { sbx ls -q | grep -qxF "${ID[$1]}"; }

gc_on_local_removes_what_is_proven_dead_and_spares_every_decoy() {
    local here dead name
    need_machine_id
    here=$(place)
    sleep 0 &
    dead=$!
    wait "$dead"
    boxed dead "$here:$dead:5"
    boxed reused "$here:$$:7"
    boxed nobodys ""
    boxed ours "$here:$$:$(started $$)"
    boxed otherhost "0123456789abcdef0123456789abcdef:${here#*:}:$dead:5"
    boxed otherboot "${here%%:*}:00000000-0000-0000-0000-000000000000:${here##*:}:$dead:5"
    boxed otherspace "${here%:*}:4242:$dead:5"
    boxed unknown "?:?:?:$dead:5"
    boxed nonsense "dead"
    boxed nopid "$here:x:5"
    boxed zero "$here:0:5"
    # Only the label of that very name counts; no name, and no label that looks like it.
    boxed named "" --name "sbx-owner-is-dead"
    boxed labelled "" --label "owner=$here:$dead:5" --label sbx-owner="$here:$dead:5"
    boxed foreign "$here:$dead:5"
    record "${ID[foreign]}" label.sbx.managed ""
    boxed unmanaged "$here:$dead:5"
    record "${ID[unmanaged]}" label.sbx.managed 0
    try 0 sbx gc --dry-run
    grep -qxF "${ID[dead]}  its owner is dead" "$T/out" || fail "the dead one is not named"
    [ "$(wc -l <"$T/out")" = 2 ] || fail "not two would be removed"
    for name in "${!ID[@]}"; do
        is_there "$name" || fail "the dry run removed $name"
    done
    try 0 sbx gc --json
    json_is '"its owner is dead"' sandboxes 0 reason
    [ "$(json sandboxes | grep -o '"id"' | wc -l)" = 2 ] || fail "not two were removed"
    for name in "${!ID[@]}"; do
        case $name in
        dead | reused) ! is_there "$name" || fail "$name is still there" ;;
        *)
            is_there "$name" || fail "$name was removed"
            try 0 sbx exec "${ID[$name]}" true
            ;;
        esac
    done
    try 0 sbx gc
    output ''
    try 0 sbx gc --all -q
    [ "$(wc -l <"$T/out")" = "$((${#ID[@]} - 4))" ] || fail "not all of ours were removed"
    for name in "${!ID[@]}"; do
        case $name in
        foreign | unmanaged) is_there "$name" || fail "--all removed what is not ours: $name" ;;
        *) ! is_there "$name" || fail "$name is still there" ;;
        esac
    done
}

gc_on_local_removes_what_expired() {
    boxed young "" --lifetime 1h
    boxed old "" --lifetime 1h
    # As after a guest that does not end by itself.
    record "${ID[old]}" expires_ms 1000
    try 0 sbx gc
    ! is_there old || fail "the expired one is still there"
    is_there young || fail "the other one was removed"
    [ ! -e "$XDG_RUNTIME_DIR/sbx/local/local/${ID[old]#*/}" ] || fail "its folder is left"
    try 0 sbx exec "${ID[young]}" true
}

gc_in_another_pid_namespace_proves_nothing() {
    need_machine_id
    [ "$(id -u)" = 0 ] || skip "only root makes a pid namespace without a user namespace"
    unshare --pid --fork --mount-proc true 2>/dev/null || skip "no pid namespaces here"
    boxed bound "$(place):$$:$(started $$)"
    boxed dead "$(place):999999:5"
    try 0 unshare --pid --fork --mount-proc "$SBXCTL" gc
    [ ! -s "$T/out" ] || fail "something was removed from another pid namespace"
    is_there bound || fail "the bound one was removed"
    is_there dead || fail "the dead one was removed from where its pid says nothing"
    try 0 sbx gc -q
    output "${ID[dead]}"
}

# What sandboxes have left: records, and trees in the folder of this boot.
left() {
    find "$XDG_RUNTIME_DIR/sbx/local/local" -mindepth 1 -maxdepth 1
    find "$XDG_STATE_HOME/sbx/local/local" -mindepth 2 -maxdepth 2
}

gc_keeps_what_a_running_program_owns_and_finds_nothing_after_its_death() {
    local i owner
    "$SBXCTL" run -- sh -c 'echo ready; sleep 300' >"$T/ready" 2>/dev/null &
    owner=$!
    for i in $(seq 100); do
        [ -s "$T/ready" ] && break
        sleep 0.05
    done
    [ "$(sbx ls -q | wc -l)" = 1 ] || fail "it does not run"
    try 0 sbx gc
    output ''
    [ "$(sbx ls -q | wc -l)" = 1 ] || fail "gc removed what is in use"
    kill -9 "$owner"
    wait "$owner" 2>/dev/null
    for i in $(seq 100); do
        try 0 sbx gc
        [ -z "$(left)" ] && break
        sleep 0.05
    done
    [ -z "$(sbx ls -q)" ] || fail "it is still listed"
    [ -z "$(left)" ] || fail "left: $(left)"
}
