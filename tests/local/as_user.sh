#!/bin/sh
# Runs a test program as an ordinary user: `single` has no subordinate ids, `mapped` has some, `refused` has some but
# may not use them (no program gains rights by being setuid).
#   as_user.sh single|mapped|refused PROGRAM
set -u
kind=$1 program=$2
[ "$(id -u)" = 0 ] || { echo "SKIP: only root can become another user"; exit 77; }
command -v setpriv >/dev/null || { echo "SKIP: no setpriv (package util-linux)"; exit 77; }
home=$(mktemp -d /tmp/sbx-user-XXXXXX)
user=
finish() {
    rm -rf "$home"
    [ -z "$user" ] || userdel "$user" 2>/dev/null
}
trap finish EXIT
if [ "$kind" != single ]; then
    command -v newuidmap >/dev/null || { echo "SKIP: no newuidmap (package uidmap)"; exit 77; }
    user=sbxtest$$
    useradd --no-create-home --home-dir "$home" "$user" 2>/dev/null || { echo "SKIP: no user can be added"; exit 77; }
    grep -q "^$user:" /etc/subuid /etc/subgid || { echo "SKIP: a new user gets no subordinate ids"; exit 77; }
    uid=$(id -u "$user") gid=$(id -g "$user")
else
    uid=$((40000 + $$ % 20000)) gid=$uid
fi
chown "$uid:$gid" "$home"
# The program and what it loads must be in the user's reach.
setpriv --reuid="$uid" --regid="$gid" --clear-groups test -x "$program" ||
    { echo "SKIP: '$program' is out of an ordinary user's reach"; exit 77; }
users=$kind rights=
[ "$kind" != refused ] || users=single rights=--no-new-privs
# shellcheck disable=SC2086 # $rights is one option or none
setpriv --reuid="$uid" --regid="$gid" --clear-groups $rights \
    env -i HOME="$home" PATH="$PATH" SBX_TEST_USERS="$users" "$program"
