#!/bin/sh
# SPDX-License-Identifier: MIT
# conf_check.sh BUILD SOURCE - sbxctl's own verdict on every file of conf/, plugins' keys included: as they are, and with
# every setting that they only show.
set -eu
build=$1
source=$2
if [ ! -x "$build/bin/sbxctl" ] || [ ! -e "$build/lib/sbx/local.so" ]; then
    echo "SKIP: sbxctl or the local provider is not built"
    exit 77
fi
MY_RUNLOOP_KEY=shown-in-an-example
export MY_RUNLOOP_KEY
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for file in "$source"/conf/*; do
    name=$(basename "$file")
    "$build/bin/sbxctl" --config "$file" config check
    sed 's/^#\([a-z[]\)/\1/' "$file" > "$tmp/$name"
    chmod 644 "$tmp/$name"
    "$build/bin/sbxctl" --config "$tmp/$name" config check
done
