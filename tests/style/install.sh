#!/usr/bin/env bash
# install.sh BUILD-DIRECTORY SOURCE-DIRECTORY - installs into a folder of its own, moves that, and uses what is there:
# the tool, the library through CMake and pkg-config, and a plugin that is built against the installed files.
set -eu
build=$1
source=$2
folder=$(mktemp -d)
cleanup() {
    local code=$?
    rm -rf "$folder"
    exit "$code"
}
trap cleanup EXIT
export XDG_RUNTIME_DIR=$folder/runtime XDG_STATE_HOME=$folder/state XDG_CONFIG_HOME=$folder/config
unset SBX_CONFIG
mkdir -m 700 "$folder/runtime" "$folder/state" "$folder/config"

step() { echo "-- $*"; }

step install
cmake --install "$build" --prefix "$folder/first" >"$folder/install.log"
mv "$folder/first" "$folder/prefix"
prefix=$folder/prefix
for file in bin/sbxctl libexec/sbx/sbx-guest include/sbx.h include/sbx_plugin.h share/man/man1/sbxctl.1 \
    share/doc/sbx/LICENSE share/doc/sbx/examples/sbx.ini.example; do
    [ -e "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done

step "the installed tool"
[ "$("$prefix/bin/sbxctl" version | head -n 1 | tr -dc '0-9.')" != "" ]
"$prefix/bin/sbxctl" providers >"$folder/providers"
grep -q local "$folder/providers"
if command -v bwrap >/dev/null; then
    [ "$("$prefix/bin/sbxctl" run -- echo installed)" = installed ]
fi

step "a program, through find_package"
libdir=$(dirname "$(find "$prefix" -name 'libsbx.so' | head -n 1)")
mkdir "$folder/program"
cat >"$folder/program/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(sbx 0.1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE sbx::sbx)
add_executable(headers headers.c)
target_link_libraries(headers PRIVATE sbx::headers)
sbx_add_plugin(elsewhere plugin.c)
CMAKE
cat >"$folder/program/program.c" <<'C'
#include <sbx.h>
#include <stdio.h>
int main(void)
{
    return puts(sbx_version()) < 0;
}
C
cat >"$folder/program/headers.c" <<'C'
#include <sbx_plugin.h>
int main(void)
{
    return SBX_OK;
}
C
# The least that a loader accepts: every required slot is there and answers that it can do nothing.
cat >"$folder/program/plugin.c" <<'C'
#include <sbx_plugin.h>
static sbx_status no_open(const struct sbx_host *host, struct sbx_call *call, const struct sbx_open_args *args,
                          struct sbx_backend **out)
{
    (void)host, (void)call, (void)args, (void)out;
    return SBX_E_UNAVAILABLE;
}
static void no_close(struct sbx_backend *b) { (void)b; }
static const void *no_extension(struct sbx_backend *b, const char *id) { (void)b, (void)id; return NULL; }
static sbx_status no_create(struct sbx_backend *b, struct sbx_call *c, const struct sbx_create_args *a,
                            struct sbx_handle **o) { (void)b, (void)c, (void)a, (void)o; return SBX_E_UNSUPPORTED; }
static sbx_status no_attach(struct sbx_backend *b, struct sbx_call *c, const char *i, struct sbx_handle **o)
{ (void)b, (void)c, (void)i, (void)o; return SBX_E_NOT_FOUND; }
static sbx_status no_list(struct sbx_backend *b, struct sbx_call *c, const struct sbx_list_args *a,
                          const struct sbx_info_sink *o) { (void)b, (void)c, (void)a, (void)o; return SBX_OK; }
static const char *no_id(struct sbx_handle *h) { (void)h; return ""; }
static void no_release(struct sbx_handle *h) { (void)h; }
static sbx_status no_remove(struct sbx_handle *h, struct sbx_call *c) { (void)h, (void)c; return SBX_OK; }
static uint32_t no_support(struct sbx_handle *h, const char *i) { (void)h, (void)i; return SBX_SUPPORT_NONE; }
static sbx_status no_info(struct sbx_handle *h, struct sbx_call *c, const struct sbx_info_sink *o)
{ (void)h, (void)c, (void)o; return SBX_E_GONE; }
static sbx_status no_exec(struct sbx_handle *h, struct sbx_call *c, const struct sbx_exec_args *a,
                          struct sbx_exec_result *o) { (void)h, (void)c, (void)a, (void)o; return SBX_E_GONE; }
static sbx_status no_read(struct sbx_handle *h, struct sbx_call *c, const char *p, const struct sbx_read_args *a,
                          const struct sbx_sink *o) { (void)h, (void)c, (void)p, (void)a, (void)o; return SBX_E_GONE; }
static sbx_status no_write(struct sbx_handle *h, struct sbx_call *c, const char *p, const struct sbx_write_args *a,
                           const struct sbx_source *i) { (void)h, (void)c, (void)p, (void)a, (void)i; return SBX_E_GONE; }
static const struct sbx_backend_ops backend = { .size = sizeof backend, .open = no_open, .close = no_close,
    .get_extension = no_extension, .create = no_create, .attach = no_attach, .list = no_list };
static const struct sbx_handle_ops handle = { .size = sizeof handle, .id = no_id, .release = no_release,
    .remove = no_remove, .support = no_support, .info = no_info, .exec = no_exec, .read_file = no_read,
    .write_file = no_write };
static const struct sbx_config_key *const keys[] = { NULL };
static const char *const extensions[] = { NULL };
const struct sbx_plugin sbx_plugin_v1 = { SBX_PLUGIN_HEAD(SBX_THREADS_PARALLEL), .id = "elsewhere", .name = "Elsewhere",
    .version = "1.0", .vendor = "a test", .summary = "built outside of the tree", .config_keys = keys,
    .extensions = extensions, .backend = &backend, .handle = &handle };
C
cmake -S "$folder/program" -B "$folder/program/build" -DCMAKE_PREFIX_PATH="$prefix" >"$folder/cmake.log"
cmake --build "$folder/program/build" >>"$folder/cmake.log" || { cat "$folder/cmake.log"; exit 1; }
version=$("$folder/program/build/program")
[ "$version" != "" ]
"$folder/program/build/headers"

step "a program, through pkg-config"
if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_PATH=$libdir/pkgconfig
    [ "$(pkg-config --modversion sbx)" = "$version" ]
    # shellcheck disable=SC2046
    cc "$folder/program/program.c" -o "$folder/by-pkg-config" $(pkg-config --cflags --libs sbx)
    [ "$(LD_LIBRARY_PATH=$libdir "$folder/by-pkg-config")" = "$version" ]
fi

step "a plugin that was built outside of the tree"
plugin=$(find "$folder/program/build" -name elsewhere.so)
[ "$(nm -D --defined-only "$plugin" | awk '{print $3}')" = sbx_plugin_v1 ]
cp "$plugin" "$libdir/sbx/elsewhere.so"
"$prefix/bin/sbxctl" providers >"$folder/providers" || true
grep -q elsewhere "$folder/providers" || { cat "$folder/providers"; exit 1; }

step "nothing of the source or build tree is named in what was installed"
if grep -rIl -e "$source" -e "$build" "$prefix/lib" "$prefix/share" "$prefix/include" 2>/dev/null; then
    exit 1
fi
