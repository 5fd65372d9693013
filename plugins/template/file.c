/* SPDX-License-Identifier: MIT
 *
 * file.c - files, by commands in the sandbox: so they are read and written as its user, and its symlinks lead nowhere
 * else.
 */
#include "template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Codes of the scripts below. */
static const struct {
    int code;
    sbx_status status;
    const char *text;
} outcomes[] = {
    {41, SBX_E_NOT_FOUND, "no such file or directory"},
    {42, SBX_E_IS_DIR, "is a directory"},
    {43, SBX_E_BAD_PATH, "is neither file nor directory"},
    {44, SBX_E_PERMISSION, "permission denied"},
    {45, SBX_E_EXISTS, "is there already"},
    {46, SBX_E_QUOTA, "no space, or it cannot be replaced"},
};

/* $1 path, $2 first byte counted from 1, $3 bytes or empty */
static const char read_script[] = "[ -d \"$1\" ] && exit 42; [ -e \"$1\" ] || exit 41; [ -f \"$1\" ] || exit 43;\n"
                                  "[ -r \"$1\" ] || exit 44\n"
                                  "[ -n \"$3\" ] || exec tail -c +\"$2\" -- \"$1\"\n"
                                  "tail -c +\"$2\" -- \"$1\" | head -c \"$3\"; exit 0";
/* $1 path, $2 flags such as pae, $3 mode or empty, $4 name of the file that becomes it; stdin: the content */
static const char write_script[] =
    "case $1 in */) exit 42 ;; esac\n"
    "p=$1; while [ -L \"$p\" ]; do l=$(readlink -- \"$p\" && echo .) && l=${l%??}\n"
    " case $l in /*) p=$l ;; *) p=$(dirname -- \"$p\")/$l ;; esac; done\n"
    "d=${p%/*}; [ \"$d\" = \"$p\" ] && d=.; [ -n \"$d\" ] || d=/\n"
    "case $2 in *p*) mkdir -p -- \"$d\" 2>/dev/null ;; esac\n"
    "[ -d \"$d\" ] || exit 41; [ -d \"$p\" ] && exit 42; [ ! -e \"$p\" ] || [ -f \"$p\" ] || exit 43\n"
    "case $2 in *x*) [ ! -e \"$p\" ] || exit 45 ;; esac\n"
    "[ -w \"$d\" ] || exit 44; [ ! -e \"$p\" ] || [ -w \"$p\" ] || exit 44; umask 022\n"
    "t=$d/$4; m=$3; if [ -e \"$p\" ]; then [ -n \"$m\" ] || m=$(stat -c %a -- \"$p\"); fi\n"
    "case $2 in *a*) [ ! -e \"$p\" ] || cat <\"$p\" >\"$t\" || exit 46 ;; esac\n"
    "printf '%s' \"$t\" >\"/tmp/$4\"; cat >>\"$t\" || exit 46; [ -z \"$m\" ] || chmod \"$m\" -- \"$t\" || exit 46\n"
    "mv -fT -- \"$t\" \"$p\" || exit 46; rm -f \"/tmp/$4\"";
/* $1 as $4 above: drops what a write that failed has left */
static const char drop_script[] = "[ ! -e \"/tmp/$1\" ] || rm -f -- \"$(cat \"/tmp/$1\")\" \"/tmp/$1\"";

static sbx_status run_script(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *path,
                             const char *const *argv, const struct sbx_source *in, const struct sbx_sink *out)
{
    struct sbx_exec_args args = {.size = sizeof args, .argv = argv, .in = in, .out = out};
    struct sbx_exec_result result = {.size = sizeof result};
    sbx_status status = check(call);
    if (status == SBX_OK)
        status = command_run(h, call, &args, &result);
    if (status != SBX_OK || result.exit_code == 0)
        return status;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
        if (outcomes[i].code == result.exit_code)
            return fail(call, outcomes[i].status, "%s: '%.300s': %s", what, path, outcomes[i].text);
    return fail(call, SBX_E_FAILED, "%s: '%.300s': code %d", what, path, result.exit_code);
}

/* A path that begins with a dash, or holds anything else, is one argument and no option. */
static const char *as_argument(const char *path, char text[PATH_MAX])
{
    (void)snprintf(text, PATH_MAX, "./%s", path);
    return path[0] == '/' ? path : text;
}

sbx_status file_read(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_read_args *given,
                     const struct sbx_sink *out)
{
    struct sbx_read_args args;
    char text[PATH_MAX], from[32], limit[32] = "";
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "read: arguments of a newer version");
    if (path[0] == '\0' || strlen(path) >= PATH_MAX - 2)
        return fail(call, SBX_E_BAD_PATH, "read: a path of 1 to %d bytes is needed", PATH_MAX - 3);
    (void)snprintf(from, sizeof from, "%llu", (unsigned long long)args.offset + 1);
    if (args.limit != 0)
        (void)snprintf(limit, sizeof limit, "%llu", (unsigned long long)args.limit);
    const char *const argv[] = {"sh", "-c", read_script, "sh", as_argument(path, text), from, limit, NULL};
    return run_script(h, call, "read", path, argv, NULL, out);
}

/* Counts what the host gives: another length than promised stops the write before the old file is replaced. */
struct counted {
    const struct sbx_source *in;
    const struct sbx_write_args *how;
    uint64_t bytes;
    int wrong;
};

static int64_t read_counted(void *user, void *buf, size_t cap)
{
    struct counted *c = user;
    int64_t n = c->in != NULL ? c->in->read(c->in->user, buf, cap) : 0;
    c->bytes += n > 0 ? (uint64_t)n : 0;
    c->wrong = (c->how->flags & SBX_WRITE_HAS_LENGTH) != 0 &&
               (c->bytes > c->how->length || (n == 0 && c->bytes != c->how->length));
    return c->wrong ? -1 : n;
}

static sbx_status check_write(struct sbx_call *call, const char *path, const struct sbx_write_args *args)
{
    const uint32_t known =
        SBX_WRITE_PARENTS | SBX_WRITE_APPEND | SBX_WRITE_EXCL | SBX_WRITE_HAS_MODE | SBX_WRITE_HAS_LENGTH;
    if ((args->flags & ~known) != 0)
        return fail(call, SBX_E_UNSUPPORTED, "write: flags 0x%x are not known", args->flags);
    if (path[0] == '\0' || strlen(path) >= PATH_MAX - 2)
        return fail(call, SBX_E_BAD_PATH, "write: a path of 1 to %d bytes is needed", PATH_MAX - 3);
    return SBX_OK;
}

sbx_status file_write(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_write_args *given,
                      const struct sbx_source *in)
{
    struct sbx_write_args args;
    char text[PATH_MAX], flags[4], mode[16] = "", name[64];
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK)
        return fail(call, status, "write: arguments of a newer version");
    status = check_write(call, path, &args);
    if (status != SBX_OK)
        return status;
    (void)snprintf(flags, sizeof flags, "%s%s%s", (args.flags & SBX_WRITE_PARENTS) != 0 ? "p" : "",
                   (args.flags & SBX_WRITE_APPEND) != 0 ? "a" : "", (args.flags & SBX_WRITE_EXCL) != 0 ? "x" : "");
    if ((args.flags & SBX_WRITE_HAS_MODE) != 0)
        (void)snprintf(mode, sizeof mode, "%o", args.mode & 07777u);
    (void)snprintf(name, sizeof name, ".write-%llx-%llx", (unsigned long long)now_ns(1),
                   (unsigned long long)(uintptr_t)&args);
    struct counted counted = {.in = in, .how = &args};
    struct sbx_source source = {.size = sizeof source, .user = &counted, .read = read_counted, .ready_fd = -1};
    if (in != NULL && (in->flags & SBX_SOURCE_HAS_FD) != 0) {
        source.flags = SBX_SOURCE_HAS_FD;
        source.ready_fd = in->ready_fd;
    }
    const char *const argv[] = {"sh", "-c", write_script, "sh", as_argument(path, text), flags, mode, name, NULL};
    status = run_script(h, call, "write", path, argv, &source, NULL);
    if (counted.wrong)
        status = fail(call, SBX_E_INVALID, "write: '%.300s': other than the %llu bytes promised", path,
                      (unsigned long long)args.length);
    if (status != SBX_OK && status != SBX_E_GONE) {
        const char *const drop[] = {"sh", "-c", drop_script, "sh", name, NULL};
        struct sbx_call own = {.size = sizeof own, .deadline_ns = now_ns(1) + 2000000000};
        (void)run_script(h, &own, "write", path, drop, NULL, NULL);
    }
    return status;
}
