#!/bin/bash
# hosts.sh CASE BUILD-DIRECTORY SOURCE-DIRECTORY HOST-MIN TEMPLATE LOCAL: one case of the foreign hosts.
set -eu
build=$2
source=$3
host=$4
template=$5
local=$6
here=$source/tests/hosts
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state XDG_CONFIG_HOME=$folder/config
unset SBX_CONFIG
mkdir -m 700 "$folder/runtime" "$folder/state" "$folder/config" "$folder/root" "$folder/other"
need() { # PROGRAM...
    local one
    for one in "$@"; do
        command -v "$one" >/dev/null || {
            echo "SKIP: $one is not installed"
            exit 77
        }
    done
}
need bwrap

cpp_plugin() { # into $folder/cpp.so: a plugin in C++, with a copy of its own of the template's parts
    local one
    need g++
    for one in template command file; do
        cc -std=c11 -fPIC -fvisibility=hidden -Dsbx_plugin_v1=template_plugin -I"$source/include" \
            -c "$source/plugins/template/$one.c" -o "$folder/$one.o"
    done
    g++ -std=c++17 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -shared -I"$source/include" "$here/plugin.cc" \
        "$folder"/{template,command,file}.o -Wl,--version-script="$source/cmake/plugin.map" -Wl,-z,defs -o "$folder/cpp.so"
}

c_host_works_with_every_plugin() {
    "$host" "$template" "root=$folder/root"
    "$host" "$local" network=none
}
host_whose_every_service_is_null_works() {
    "$host" --null "$template" "root=$folder/root"
    "$host" --null "$local"
}
two_backends_in_one_process_work() {
    "$host" "$template" "root=$folder/root" -- "$template" "root=$folder/other"
    "$host" "$local" -- "$local"
    "$host" "$template" "root=$folder/root" -- "$local"
}
two_plugins_with_copies_of_one_library_coexist() {
    cpp_plugin
    "$host" "$template" "root=$folder/root" -- "$folder/cpp.so" "root=$folder/other"
    "$host" "$folder/cpp.so" "root=$folder/root" -- "$template" "root=$folder/other"
}
cpp_host_stops_exceptions() {
    need g++
    g++ -std=c++17 -Wall -Wextra -Werror -I"$source/include" "$here/host.cc" -o "$folder/host" -ldl
    "$folder/host" "$template" "root=$folder/root"
    "$folder/host" "$local" network=none
}
cpp_plugin_works_in_sbxctl_and_keeps_the_rules() {
    cpp_plugin
    printf '[sbx]\nplugin_path = %s\ndefault = cpp\n[provider cpp]\nplugin = cpp\nroot = %s\n' "$folder" "$folder/root" \
        >"$folder/sbx.ini"
    [ "$("$build/bin/sbxctl" --config "$folder/sbx.ini" run -- echo from cpp)" = "from cpp" ]
    "$build/bin/sbx-conform" --config "$folder/sbx.ini" --filter loading --filter opening --filter process \
        --filter life --filter commands "$folder/cpp.so"
}
python_host_works_by_ctypes() {
    need python3
    python3 -B "$here/host.py" run "$source" "$template" "root=$folder/root"
    python3 -B "$here/host.py" run "$source" "$local" network=none
}
"$1"
