#!/bin/bash
# cross.sh CASE BUILD-DIRECTORY SOURCE-DIRECTORY TEMPLATE LOCAL: headers of other versions against the current plugins and
# hosts (rules C1 to C5, C8 and C16).
set -eu
build=$2
source=$3
template=$4
local=$5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state XDG_CONFIG_HOME=$folder/config
unset SBX_CONFIG
mkdir -m 700 "$folder/runtime" "$folder/state" "$folder/config" "$folder/root" "$folder/plugin"
for one in bwrap python3; do
    command -v "$one" >/dev/null || {
        echo "SKIP: $one is not installed"
        exit 77
    }
done
flags=(-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Werror)

host_with() { # INCLUDE-DIRECTORY FLAG...: runs that host over the current plugins
    local include=$1
    shift
    cc "${flags[@]}" "$@" -I"$include" "$source/tests/hosts/host_min.c" -o "$folder/host" -ldl
    "$folder/host" "$template" "root=$folder/root"
    "$folder/host" "$local" network=none
    "$folder/host" --null "$local"
}
plugin_with() { # INCLUDE-DIRECTORY SOURCES: the template built so, under the current hosts
    cc "${flags[@]}" -shared -fPIC -fvisibility=hidden -I"$1" "$2"/{template,command,file}.c -o "$folder/plugin/template.so"
    printf '[sbx]\nplugin_path = %s\ndefault = template\n[provider template]\nplugin = template\nroot = %s\n' \
        "$folder/plugin" "$folder/root" >"$folder/sbx.ini"
    [ "$("$build/bin/sbxctl" --config "$folder/sbx.ini" run -- echo across)" = across ]
    "$build/bin/sbx-conform" --config "$folder/sbx.ini" --filter loading --filter opening --filter process \
        --filter life --filter '41?' --filter '55?' "$folder/plugin/template.so"
}
future_header() {
    mkdir "$folder/future"
    python3 -B "$source/tests/abi/gate.py" future "$source" "$folder/future/sbx_plugin.h"
}

future_host_runs_the_plugins_of_today() {
    future_header
    host_with "$folder/future" -DHOST_FUTURE
}
plugin_of_the_future_runs_today() {
    future_header
    cp -r "$source/plugins/template" "$folder/sources"
    # Its reports tell something new.
    sed -i 's/\.expires_ms = s->h.expires_ms,/&\n.future_field = 7,/' "$folder/sources/template.c"
    grep -q future_field "$folder/sources/template.c"
    plugin_with "$folder/future" "$folder/sources"
}
kept_headers_work_both_ways() {
    local header
    for header in "$source"/tests/abi/frozen/*/sbx_plugin.h; do
        host_with "$(dirname "$header")"
        plugin_with "$(dirname "$header")" "$source/plugins/template"
    done
}
"$1"
