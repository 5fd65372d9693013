#!/usr/bin/env bash
# hardening.sh CASE BUILD-DIRECTORY - what the build must have put into programs, libraries and plugins.
set -u
build=$2
bad=0

wrong() {
    echo "$*"
    bad=1
}
needs() { # FILE: the libraries it names
    readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}
runs_from() { # FILE: where it looks for libraries; an empty part is the directory that the caller stands in
    readelf -dW "$1" | sed -n 's/.*(R\(UN\)*PATH).*\[\(.*\)\]/:\2/p' | tr ':' '\n' | sed 1d
}
objects() { # programs, libraries and plugins that are linked dynamically
    find "$build/bin/sbxctl" "$build/bin/sbx-conform" "$build"/lib/*.so "$build"/lib/sbx/*.so -maxdepth 0 -type f 2>/dev/null
    find "$build"/lib -maxdepth 1 -name 'libsbx.so.*' -type f 2>/dev/null
}

everything_is_hardened() {
    local file names count=0
    for file in $(objects); do
        count=$((count + 1))
        names=$(readelf -sW --dyn-syms "$file")
        readelf -hW "$file" | grep -q 'Type: *DYN' || wrong "$file is not position independent"
        readelf -lW "$file" | grep -q GNU_RELRO || wrong "$file has no RELRO"
        readelf -dW "$file" | grep -qE 'BIND_NOW|FLAGS.*NOW' || wrong "$file binds lazily, so its RELRO is not full"
        readelf -lW "$file" | grep -q 'GNU_STACK.* RW ' || wrong "$file has an executable stack"
        runs_from "$file" | grep -qv '^\(/\|\$ORIGIN\)' && wrong "$file looks for libraries in the working directory"
        grep -q __stack_chk_fail <<<"$names" || wrong "$file has no stack protector"
        grep -qE '__[a-z]+_chk(@|$)' <<<"$(grep -v __stack_chk <<<"$names")" || wrong "$file is built without FORTIFY"
    done
    [ "$count" -ge 3 ] || wrong "only $count files to look at below $build"
}

start_up_links_no_big_library() {
    local file
    for file in "$build/bin/sbxctl" "$build/lib/libsbx.so" "$build/lib/sbx/local.so"; do
        [ -e "$file" ] || wrong "$file is missing"
        needs "$file" | grep -E 'curl|archive|ssl|xml|icu' && wrong "$file links a library that costs start-up time"
    done
}

plugins_export_one_symbol() {
    local file names count=0
    for file in "$build"/lib/sbx/*; do
        count=$((count + 1))
        names=$(nm -D --defined-only "$file" | awk '{print $3}')
        [ "$names" = sbx_plugin_v1 ] || wrong "$file exports: ${names//$'\n'/ }"
        nm -D --undefined-only "$file" | grep -w 'sbx_[a-z_]*' && wrong "$file wants symbols of a host"
    done
    [ "$count" -ge 1 ] || wrong "no plugin in $build/lib/sbx"
}

plugin_folder_holds_plugins_alone() {
    local file
    for file in "$build"/lib/sbx/* "$build"/lib/sbx/.[!.]*; do
        [ -e "$file" ] || continue
        [[ $(basename "$file") =~ ^[a-z0-9-]+\.so$ ]] || wrong "$file is no plugin"
    done
}

library_exports_its_prefix_alone() {
    local names
    names=$(nm -D --defined-only "$build/lib/libsbx.so" | awk '{print $3}' | sed 's/@.*//' | grep -vE '^(sbx_|SBX_|libsbx)')
    [ -z "$names" ] || wrong "libsbx.so exports: ${names//$'\n'/ }"
    nm -D --defined-only "$build/lib/libsbx.so" | grep -qw sbx_version || wrong "libsbx.so lacks sbx_version"
}

guest_is_small_and_static() {
    local guest=$build/bin/sbx-guest size
    size=$(stat -c %s "$guest") || exit 1
    [ "$size" -le $((200 * 1024)) ] || wrong "$guest has $size bytes, at most 204800"
    readelf -lW "$guest" | grep -q INTERP && wrong "$guest needs a loader"
    [ -z "$(needs "$guest")" ] || wrong "$guest needs: $(needs "$guest")"
    readelf -lW "$guest" | grep -q 'GNU_STACK.*RWE' && wrong "$guest has an executable stack"
}

"$1"
exit "$bad"
