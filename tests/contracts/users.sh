#!/bin/bash
# SPDX-License-Identifier: MIT
# users.sh setup|cleanup: test users (without and with subordinate ids) and a copy of the build that they may read.
# Does nothing for an ordinary user.
set -u
here=$(cd "$(dirname "$0")" && pwd)
mark=$SBX_TEST_BUILD/tests/contracts/stage
[ "$(id -u)" = 0 ] || exit 0

cleanup() {
    local stage kind user
    stage=$(cat "$mark" 2>/dev/null) || return 0
    for kind in plain subids; do
        user=$(cat "$stage/$kind" 2>/dev/null) || continue
        flock /run/lock/sbx-test-users userdel "$user" 2>/dev/null
    done
    rm -rf "$stage" "$mark"
}

# make_user KIND OPTION...
make_user() {
    local kind=$1 user
    shift
    user=sbxt-$(basename "$stage" | tail -c 7)-${kind:0:1}
    if flock /run/lock/sbx-test-users useradd --no-create-home --home-dir "$stage/home-$kind" --shell /bin/sh \
        "$@" "$user" >"$stage/why-not-$kind" 2>&1; then
        install -d -m 755 -o "$user" "$stage/home-$kind"
        echo "$user" >"$stage/$kind"
    fi
}

setup() {
    cleanup
    stage=/tmp/sbxt-$(od -An -N3 -tx1 /dev/urandom | tr -d ' ')
    mkdir "$stage" || exit 1
    chmod 755 "$stage"
    echo "$stage" >"$mark"
    mkdir -p "$stage/bin" "$stage/lib" "$stage/tests/contracts" "$stage/cases"
    cp -a "$SBX_TEST_BUILD/bin/." "$stage/bin/"
    cp -a "$SBX_TEST_BUILD"/lib/libsbx*.so* "$stage/lib/"
    cp -a "$SBX_TEST_BUILD/lib/sbx" "$stage/lib/"
    cp -a "$SBX_TEST_BUILD"/tests/contracts/contract_* "$stage/tests/contracts/"
    grep -s SBX_SANITIZE "$SBX_TEST_BUILD/CMakeCache.txt" >"$stage/CMakeCache.txt"
    cp "$here"/*.sh "$here/README.md" "$stage/cases/"
    chown -R root:root "$stage"
    chmod -R u=rwX,go=rX "$stage"
    make_user plain --system
    if command -v newuidmap >/dev/null; then
        make_user subids
        user=$(cat "$stage/subids" 2>/dev/null)
        if [ -n "$user" ] && ! grep -q "^$user:" /etc/subuid; then
            flock /run/lock/sbx-test-users userdel "$user"
            rm "$stage/subids"
            echo "useradd gave it no subordinate ids" >"$stage/why-not-subids"
        fi
    else
        echo "newuidmap is not installed (package uidmap)" >"$stage/why-not-subids"
    fi
    return 0
}

"$1"
