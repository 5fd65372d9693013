/* SPDX-License-Identifier: MIT
 *
 * api_file.c - files by commands of the image's own shell, so that they are read and written with the rights of the
 * sandbox's user; the daemon's archives would be root's. A file is written under another name first, and renamed once
 * we know that all of it is there.
 */
#include "plugins/docker/api.h"

#include <inttypes.h>
#include <sys/random.h>

enum { NUMBER = 24, SCRIPT_MS = 10000 };

/* What the scripts exit with. */
static sbx_status verdict(struct sbx_call *call, const char *what, const char *path, int code)
{
    static const struct {
        int code;
        sbx_status status;
        const char *text;
    } table[] = {{20, SBX_E_NOT_FOUND, "no such file or directory"},
                 {21, SBX_E_IS_DIR, "is a directory"},
                 {22, SBX_E_BAD_PATH, "is no regular file"},
                 {23, SBX_E_PERMISSION, "permission denied"},
                 {24, SBX_E_EXISTS, "exists already"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code)
            return call_fail(call, table[i].status, "%s: '%s': %s", what, path, table[i].text);
    return call_fail(call, SBX_E_FAILED, "%s: '%s': the image's tools gave up with code %d", what, path, code);
}

/* $p: the path, absolute. */
#define FIX                                                                                                            \
    "p=$1; case $p in '~' | '~/'*) p=$HOME${p#'~'} ;; /*) ;; *) p=$2/$p ;; esac\n"                                     \
    "d=${p%/*}; d=${d:-/}\n"                                                                                           \
    "hidden() { [ -d \"$d\" ] && [ ! -x \"$d\" ]; }\n"

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* The size and a newline, then the bytes; a file of /proc has none: what it gives is all. */
static const char read_script[] = FIX "if [ ! -e \"$p\" ]; then hidden && exit 23; exit 20; fi\n"
                                      "[ ! -d \"$p\" ] || exit 21; [ -f \"$p\" ] || exit 22; [ -r \"$p\" ] || exit 23\n"
                                      "n=$(stat -L -c %s \"$p\") || exit 30; echo \"$n\"\n"
                                      "[ \"$n\" != 0 ] || exec cat \"$p\"\n"
                                      "[ \"$3\" -lt \"$n\" ] || exit 0\n"
                                      "m=$((n - $3)); [ \"$4\" = 0 ] || [ \"$m\" -le \"$4\" ] || m=$4\n"
                                      "if [ \"$3\" = 0 ]; then exec head -c \"$m\" \"$p\"; fi\n"
                                      "tail -c +$(($3 + 1)) \"$p\" | head -c \"$m\"\n";

struct reading {
    struct sbx_sink out;
    char line[NUMBER]; /* the size */
    size_t len;
    int has_line;
    uint64_t skip; /* of a file without a size */
    uint64_t limit;
    uint64_t got;
};

static int32_t take_bytes(struct reading *r, const char *data, size_t len)
{
    uint64_t left = r->limit == 0 ? UINT64_MAX : r->limit - r->got;
    size_t skipped = r->skip < len ? (size_t)r->skip : len;
    r->skip -= skipped;
    data += skipped;
    len -= skipped;
    len = len < left ? len : (size_t)left;
    r->got += len;
    return len == 0 || r->out.write == NULL ? 0 : r->out.write(r->out.user, data, len);
}

static int32_t take_output(void *user, const void *data, size_t len)
{
    struct reading *r = user;
    const char *at = data;
    for (; !r->has_line && len > 0; at++, len--) {
        r->has_line = *at == '\n';
        if (r->len + 1 >= sizeof r->line)
            return -1;
        r->line[r->len++] = r->has_line ? '\0' : *at;
        if (r->has_line && strcmp(r->line, "0") != 0)
            r->skip = 0; /* the script did it */
    }
    return len == 0 ? 0 : take_bytes(r, at, len);
}

sbx_status api_read_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                         const struct sbx_read_args *given, const struct sbx_sink *out)
{
    struct sbx_read_args args;
    struct reading r = {.len = 0};
    char offset[NUMBER], limit[NUMBER];
    int code = 0;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "read: arguments of a newer version");
    sbx_view(&r.out, sizeof r.out, out);
    r.skip = args.offset;
    r.limit = args.limit;
    (void)snprintf(offset, sizeof offset, "%" PRIu64, args.offset);
    (void)snprintf(limit, sizeof limit, "%" PRIu64, args.limit);
    const struct sbx_sink sink = {.size = sizeof sink, .user = &r, .write = take_output};
    const struct api_script script = {
        .what = "read", .text = read_script, .argv = {path, h->workdir, offset, limit}, .out = &sink};
    status = api_run_script(h, call, &script, &code);
    if (status != SBX_OK)
        return status;
    if (code != 0)
        return verdict(call, "read", path, code);
    uint64_t size = strtoull(r.line, NULL, 10);
    uint64_t rest = size > args.offset ? size - args.offset : 0;
    uint64_t wanted = args.limit != 0 && args.limit < rest ? args.limit : rest;
    if (!r.has_line || (size != 0 && r.got != wanted))
        return call_fail(call, SBX_E_FAILED, "read: '%s': %" PRIu64 " bytes came instead of %" PRIu64, path, r.got,
                         wanted);
    return SBX_OK;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* $p becomes where links lead to; the new content lies beside it as $t. */
#define PLACE                                                                                                          \
    FIX "i=0; while [ -L \"$p\" ] && [ $i -lt 40 ]; do l=$(readlink \"$p\") || exit 30\n"                              \
        "case $l in /*) p=$l ;; *) p=${p%/*}/$l ;; esac; i=$((i + 1)); done\n"                                         \
        "d=${p%/*}; d=${d:-/}; t=$d/$3; case $p in */) exit 21 ;; esac\n"

static const char put_script[] = PLACE
    "[ ! -d \"$p\" ] || exit 21\n"
    "case $4 in *p*) [ -d \"$d\" ] || mkdir -p \"$d\" || exit 23 ;; esac\n"
    "[ -d \"$d\" ] || exit 20; hidden && exit 23\n"
    "if [ -e \"$p\" ]; then case $4 in *x*) exit 24 ;; esac; [ -f \"$p\" ] || exit 22; [ -w \"$p\" ] || exit 23; fi\n"
    "[ -w \"$d\" ] || exit 23\n"
    "cat >\"$t\" && stat -c %s \"$t\"\n";

static const char commit_script[] =
    PLACE "m=$5; [ -n \"$m\" ] || { [ -e \"$p\" ] && m=$(stat -c %a \"$p\"); } || m=644\n"
          "case $4 in\n"
          "*a*) if [ -e \"$p\" ]; then cat \"$t\" >>\"$p\" && rm -f \"$t\"; exit; fi ;;\n"
          "*x*) chmod \"$m\" \"$t\" && { ln \"$t\" \"$p\" || exit 24; } && rm -f \"$t\"; exit ;;\n"
          "esac\n"
          "chmod \"$m\" \"$t\" && mv -f \"$t\" \"$p\"\n";

static const char drop_script[] = PLACE "rm -f \"$t\"\n";

struct writing {
    struct sbx_source in;
    uint64_t sent;
    int ended;
    char line[NUMBER];
    size_t len;
};

static int64_t give_input(void *user, void *buf, size_t cap)
{
    struct writing *w = user;
    int64_t n = w->in.read(w->in.user, buf, cap);
    if (n > 0)
        w->sent += (uint64_t)n;
    w->ended |= n == 0;
    return n;
}

static int32_t take_size(void *user, const void *data, size_t len)
{
    struct writing *w = user;
    if (w->len + len >= sizeof w->line)
        return -1;
    memcpy(w->line + w->len, data, len);
    w->len += len;
    return 0;
}

/* Whether everything that the source had is there, and as much as was promised. */
static sbx_status check_length(const struct writing *w, const struct sbx_write_args *args, struct sbx_call *call,
                               const char *path)
{
    if (!w->ended || strtoull(w->line, NULL, 10) != w->sent)
        return call_fail(call, SBX_E_FAILED, "write: '%s': %.20s of %" PRIu64 " bytes arrived", path, w->line, w->sent);
    if ((args->flags & SBX_WRITE_HAS_LENGTH) != 0 && w->sent != args->length)
        return call_fail(call, SBX_E_INVALID, "write: '%s': the source gave %" PRIu64 " bytes instead of %" PRIu64,
                         path, w->sent, args->length);
    return SBX_OK;
}

static sbx_status send_and_commit(struct sbx_handle *h, struct sbx_call *call, const char *path,
                                  const struct sbx_write_args *args, struct writing *w, struct api_script *script)
{
    int code = 0;
    const struct sbx_source in = {
        .size = sizeof in, .flags = w->in.flags, .user = w, .read = give_input, .ready_fd = w->in.ready_fd};
    const struct sbx_sink out = {.size = sizeof out, .user = w, .write = take_size};
    script->text = put_script;
    script->in = &in;
    script->out = &out;
    sbx_status status = api_run_script(h, call, script, &code);
    if (status == SBX_OK && code != 0)
        status = verdict(call, "write", path, code);
    if (status == SBX_OK)
        status = check_length(w, args, call, path);
    if (status != SBX_OK)
        return status;
    script->text = commit_script;
    script->in = NULL;
    script->out = NULL;
    status = api_run_script(h, call, script, &code);
    return status == SBX_OK && code != 0 ? verdict(call, "write", path, code) : status;
}

sbx_status api_write_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                          const struct sbx_write_args *given, const struct sbx_source *in)
{
    struct sbx_write_args args;
    struct writing w = {.len = 0};
    uint64_t number = 0;
    char temporary[40], how[4] = "", mode[16] = "";
    sbx_status status = guest_write_take(call, given, &args);
    if (status != SBX_OK)
        return status;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return call_fail_errno(call, errno, "write: no random number");
    sbx_view(&w.in, sizeof w.in, in);
    (void)snprintf(temporary, sizeof temporary, ".sbx-tmp-%016" PRIx64, number);
    (void)snprintf(how, sizeof how, "%s%s%s", (args.flags & SBX_WRITE_PARENTS) != 0 ? "p" : "",
                   (args.flags & SBX_WRITE_APPEND) != 0 ? "a" : "", (args.flags & SBX_WRITE_EXCL) != 0 ? "x" : "");
    if ((args.flags & SBX_WRITE_HAS_MODE) != 0)
        (void)snprintf(mode, sizeof mode, "%o", args.mode);
    struct api_script script = {.what = "write", .argv = {path, h->workdir, temporary, how, mode}};
    status = send_and_commit(h, call, path, &args, &w, &script);
    if (status == SBX_OK)
        return SBX_OK;
    int code = 0;
    struct sbx_call later = {.size = sizeof later, .deadline_ns = clock_now_ns() + SCRIPT_MS * MS_NS};
    script.text = drop_script;
    script.in = NULL;
    script.out = NULL;
    script.is_killer = 1;
    (void)api_run_script(h, &later, &script, &code);
    return status;
}
