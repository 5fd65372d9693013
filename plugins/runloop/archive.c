/* SPDX-License-Identifier: MIT
 *
 * archive.c - directories as tar archives: made and unpacked by the devbox's own tar, moved as files, since output
 * carries text alone.
 */
#include "plugins/runloop/file.h"
#include "plugins/runloop/tables.h"

enum { BLOCK = 512 };

#define FIX                                                                                                            \
    "case $1 in '~') p=$HOME ;; '~/'*) p=$HOME/${1#??} ;; /*) p=$1 ;; *) p=./$1 ;; esac\n"                             \
    "command -v tar >/dev/null 2>&1 || exit 98\n"

/* Whether it ends as a tar does; a cut one would leave half a tree behind. */
static int is_whole(const struct buf *tar)
{
    if (tar->len < 2 * BLOCK || tar->len % BLOCK != 0)
        return 0;
    for (size_t i = tar->len - 2 * BLOCK; i < tar->len; i++)
        if (tar->data[i] != '\0')
            return 0;
    return 1;
}

static sbx_status put_tar(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_source *tar)
{
    static const char text[] = FIX "f=$HOME/.$2; e() { rm -f \"$f\"; exit \"$1\"; }\n"
                                   "[ \"$(wc -c <\"$f\")\" -eq \"$3\" ] || e 99\n"
                                   "tar -tf \"$f\" >/dev/null 2>&1 || e 99\n"
                                   "! tar -tf \"$f\" 2>/dev/null | grep -q -e '^/' -e '^\\.\\./' -e '/\\.\\./' -e "
                                   "'/\\.\\.$' -e '^\\.\\.$' || e 97\n"
                                   "if [ ! -e \"$p\" ]; then mkdir -p -- \"$p\" 2>/dev/null || e 95; fi\n"
                                   "[ -d \"$p\" ] || e 94\n"
                                   "[ -w \"$p\" ] && cd -- \"$p\" || e 95\n"
                                   "tar -xof \"$f\" || e 96\n"
                                   "rm -f \"$f\"\n";
    CLEANUP_BUF struct buf data = {0}, answer = {0};
    char name[MARK_NAME + 1], size[24];
    if (dir == NULL || dir[0] == '\0' || tar == NULL)
        return call_fail(call, SBX_E_INVALID, "put: a directory and a source are needed");
    sbx_status status = file_drain_source(call, "put", tar, &data);
    if (status == SBX_OK && !is_whole(&data))
        status = call_fail(call, SBX_E_PROTOCOL, "put: the tar has no end");
    if (status != SBX_OK)
        return status;
    run_name(name);
    (void)snprintf(size, sizeof size, "%zu", data.len);
    status = file_upload(h, call, "put", name, data.data, data.len);
    const char *const argv[] = {"sh", "-c", text, "sbx", dir, name, size, NULL};
    return status == SBX_OK ? file_script(h, call, "put", dir, argv, &answer) : status;
}

static sbx_status get_tar(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_sink *tar)
{
    static const char make[] = FIX "[ -e \"$p\" ] || exit 91\n[ -d \"$p\" ] || exit 94\n"
                                   "[ -r \"$p\" ] && cd -- \"$p\" || exit 95\n"
                                   "tar -cf ~/.\"$2\" --exclude=./.\"$2\" . || { rm -f ~/.\"$2\"; exit 96; }\n";
    CLEANUP_BUF struct buf answer = {0};
    char name[MARK_NAME + 2] = ".";
    run_name(name + 1);
    const char *const argv[] = {"sh", "-c", make, "sbx", dir, name + 1, NULL};
    sbx_status status = file_script(h, call, "get", dir, argv, &answer);
    if (status != SBX_OK)
        return status;
    status = file_fetch_home(h, call, "get", name, tar);
    file_drop(h, "get", name);
    return status;
}

const struct sbx_archive_ops archive_ops = {.size = sizeof archive_ops, .put_tar = put_tar, .get_tar = get_tar};
