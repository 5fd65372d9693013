#!/bin/bash
# hosts.sh CASE BUILD-DIRECTORY SOURCE-DIRECTORY HOST-MIN TEMPLATE LOCAL [DOCKER]: one case of the foreign hosts.
set -eu
build=$2
source=$3
host=$4
template=$5
local=$6
docker=${7:-}
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

find_engine() { # into $keys: what the docker plugin needs to reach the tests' own daemon
    local engine
    engine=$(cat "${SBX_TEST_ENGINE:-none}" 2>/dev/null) || true
    [ -S "$engine/docker.sock" ] || {
        echo "SKIP: ${engine:-no engine was started}"
        exit 77
    }
    keys=("host=unix://$engine/docker.sock" image=sbx-test/user)
}

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
cpp_host() { # into $folder/host
    need g++
    g++ -std=c++17 -Wall -Wextra -Werror -I"$source/include" "$here/host.cc" -o "$folder/host" -ldl
}
cpp_host_stops_exceptions() {
    cpp_host
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
docker_works_in_a_c_host() {
    find_engine
    "$host" "$docker" "${keys[@]}"
    "$host" "$docker" "${keys[@]}" guest=never
}
docker_works_in_a_host_whose_every_service_is_null() {
    find_engine
    "$host" --null "$docker" "${keys[@]}"
}
docker_works_beside_itself_and_local_in_one_process() {
    find_engine
    "$host" "$docker" "${keys[@]}" -- "$docker" "${keys[@]}"
    "$host" "$docker" "${keys[@]}" -- "$local"
    "$host" "$local" -- "$docker" "${keys[@]}" guest=never
}
docker_works_in_a_cpp_host() {
    find_engine
    cpp_host
    "$folder/host" "$docker" "${keys[@]}"
}
docker_works_in_a_python_host() {
    find_engine
    need python3
    python3 -B "$here/host.py" run "$source" "$docker" "${keys[@]}"
}
"$1"
