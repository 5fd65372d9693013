#!/bin/bash
# SPDX-License-Identifier: MIT
# vendor_client.sh PYTHON FOLDER CASE - one case of vendor_client.mjs: the vendor's npm client against the Runloop double.
# The client is installed into FOLDER once. Skipped where there is no npm, or where it cannot fetch the package.
set -u
PACKAGE=@runloop/api-client VERSION=1.32.0
here=$(cd "$(dirname "$0")" && pwd)
python=$1 folder=$2

skip() {
    echo "SKIP: $*"
    exit 77
}

# Parallel tests wait for the one that installs.
install() {
    mkdir -p "$folder" || return 1
    exec 9>"$folder/lock"
    flock 9
    [ ! -f "$folder/installed-$VERSION" ] || return 0
    # What just failed for one test fails for the others too.
    [ -z "$(find "$folder/failed" -mmin -5 2>/dev/null)" ] || return 1
    rm -rf "$folder/node_modules"
    echo '{"private": true}' >"$folder/package.json"
    if (cd "$folder" && timeout 200 npm install --no-save --no-package-lock --no-audit --no-fund --ignore-scripts \
        --fetch-retries=1 "$PACKAGE@$VERSION" >npm.log 2>&1 </dev/null 9>&-); then
        : >"$folder/installed-$VERSION"
    else
        : >"$folder/failed"
        return 1
    fi
}

command -v node >/dev/null && command -v npm >/dev/null || skip "node and npm are not here"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip "node $(node --version) is older than 18"
install || skip "npm cannot fetch $PACKAGE: $(grep -m1 -i 'npm err' "$folder/npm.log")"
exec 9>&-
# A module is found from where it lies, so the script goes to the packages.
copy=$(mktemp "$folder/XXXXXXXX.mjs") || exit 1
trap 'rm -f "$copy"' EXIT
cp "$here/vendor_client.mjs" "$copy" || exit 1
"$python" -B "$here/vendor_client.py" node "$copy" "$3"
