# What the scripts of this folder share: folders of their own, and sbxctl, wrapped where the caller says so in SBX_WRAP.
# shellcheck shell=bash disable=SC2034
build=$1
top=$2
folder=$(mktemp -d)
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state XDG_CONFIG_HOME=$folder/config
# Others may pass through, as they may through /run and /var/lib: a sandbox's root user is none of ours.
chmod 711 "$folder"
mkdir -m 711 "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME" "$XDG_CONFIG_HOME"
unset SBX_CONFIG
export DOCKER_HOST=unix:///nonexistent/docker.sock # a daemon of this machine is none of ours

sbxctl() {
    # valgrind does not know the system calls (open_tree, pidfd_open) that make and end a sandbox.
    case ${1-} in
    create | run | rm) "$build/bin/sbxctl" "$@"; return ;;
    esac
    # shellcheck disable=SC2086 # the words of SBX_WRAP are words
    ${SBX_WRAP-} "$build/bin/sbxctl" "$@"
}
cleanup() {
    local id
    for id in $("$build/bin/sbxctl" ls -q 2>/dev/null); do
        "$build/bin/sbxctl" rm "$id" >/dev/null 2>&1
    done
    rm -rf "$folder"
}
trap cleanup EXIT
failed=0
expect() { # WHAT WANTED GOT
    [ "$2" = "$3" ] && return 0
    printf '%s: wanted %q, got %q\n' "$1" "$2" "$3"
    failed=1
}
need_sandboxes() {
    command -v bwrap >/dev/null && bwrap --unshare-all --ro-bind / / true 2>/dev/null && return 0
    echo "SKIP: bwrap cannot make a sandbox here"
    exit 77
}
