# Debian packages and how to get them; sourced by quickstart and check.
# shellcheck shell=bash

# What a build needs, and what running a local sandbox needs.
build_packages=(gcc libc6-dev make cmake pkg-config musl-tools libinih-dev libcjson-dev libarchive-dev libcurl4-openssl-dev bubblewrap uidmap)
# What the tests need beside that.
test_packages=(libcmocka-dev clang clang-format clang-tidy libclang-rt-dev valgrind python3 mandoc shellcheck binutils g++
    hyperfine procps git openssl openssh-client docker.io busybox-static podman
    abigail-tools)
# Node with npm comes from elsewhere on some machines, where Debian's packages would be in its way.
command -v npm >/dev/null || test_packages+=(nodejs npm)

# missing_packages NAME...: prints those that are not installed, one a line.
missing_packages() {
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s\n' "$name"
    done
}

# install_packages NAME...: installs what is missing, as root or through sudo. Says in one line what is missing where it can't.
install_packages() {
    local missing as_root=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "this is not a Debian system: packages are not checked; needed are the equivalents of: $*"
        return 0
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            as_root=(sudo)
        else
            echo "missing packages: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "installing: ${missing[*]}"
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
    # Fresh lists first where there are none; again when an old list names what the mirror no longer has.
    if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
        "${apt[@]}" update || return 1
    fi
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null 2>&1 && return 0
    "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null && return 0
    echo "could not install: ${missing[*]}; the lines above say why" >&2
    return 1
}
