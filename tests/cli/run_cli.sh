#!/bin/bash
# SPDX-License-Identifier: MIT
# run_cli.sh BUILD FILE CASE - one case of the tests of sbxctl.
set -u
BUILD=$1
export SBXCTL=$BUILD/bin/sbxctl
HERE=$(cd "$(dirname "$0")" && pwd)
SOURCE=$(cd "$HERE/../.." && pwd)
export SOURCE
export LC_ALL=C
unset SBX_CONFIG
export DOCKER_HOST=unix:///nonexistent/docker.sock # a daemon of this machine is none of ours
T=$(mktemp -d "${TMPDIR:-/tmp}/sbx-cli.XXXXXXXX") || exit 1
export XDG_RUNTIME_DIR=$T/run XDG_STATE_HOME=$T/state XDG_CONFIG_HOME=$T/config HOME=$T/home
mkdir -m 700 "$T/run" "$T/state" "$T/config" "$T/home"
# shellcheck source=lib.sh
. "$HERE/lib.sh"
trap finish EXIT
trap 'exit 143' TERM INT HUP
command -v python3 >/dev/null || skip "python3 reads the JSON"
# shellcheck source=/dev/null
. "$HERE/$2"
"$3"
