#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs one case: run_case.sh [--as plain|subids] FILE CASE. With --as it is run once more as an ordinary test user.
set -u
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = --as ]; then
    kind=$2
    shift 2
    [ "$(id -u)" = 0 ] || { echo "SKIP: only root can make test users"; exit 77; }
    stage=$(cat "$SBX_TEST_BUILD/tests/contracts/stage" 2>/dev/null)
    user=$(cat "$stage/$kind" 2>/dev/null)
    [ -n "$user" ] || { echo "SKIP: no test user of kind $kind: $(cat "$stage/why-not-$kind" 2>/dev/null)"; exit 77; }
    cd /
    exec runuser -u "$user" -- env -i PATH="$PATH" HOME="$stage/home-$kind" LD_LIBRARY_PATH="$stage/lib" \
        SBX_TEST_BUILD="$stage" SBX_TEST_PROVIDER="${SBX_TEST_PROVIDER:-local}" \
        SBX_TEST_IMAGE="${SBX_TEST_IMAGE:-}" bash "$stage/cases/run_case.sh" "$@"
fi

# shellcheck source=/dev/null
. "$here/lib.sh"
# shellcheck source=/dev/null
. "$here/$1"
declare -F "$2" >/dev/null || { echo "no case '$2' in $1"; exit 1; }
start_case
"$2"
