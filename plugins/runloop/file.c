/* SPDX-License-Identifier: MIT
 *
 * file.c - files, as bytes: the service's downloads and uploads. What a path is, and why it cannot be read or written,
 * is learned by scripts, since the service tells failures apart by words alone. New content goes to the home directory
 * first and is moved to its place as a whole.
 */
#include "plugins/runloop/file.h"

enum { SOURCE_LIMIT = 1 << 30, PIECE = 1 << 16, TRANSFER_MS = 600000, DROP_MS = 900 };

#define FIX                                                                                                            \
    "case $1 in '~') p=$HOME ;; '~/'*) p=$HOME/${1#??} ;; /*) p=$1 ;; *) p=./$1 ;; esac\n"                             \
    "while :; do case $p in ?*/) p=${p%/} ;; *) break ;; esac; done\n"                                                 \
    "gone() { g=$1; while :; do case $g in */*) g=${g%/*} ;; *) g=. ;; esac; [ -n \"$g\" ] || g=/\n"                   \
    "if [ -d \"$g\" ]; then [ -x \"$g\" ] && return 91; return 95; fi\n"                                               \
    "if [ -e \"$g\" ]; then return 91; fi; done; }\n"

sbx_status file_code(struct sbx_call *call, const char *what, const char *path, int code)
{
    static const struct {
        int code;
        sbx_status status;
        const char *words;
    } table[] = {{90, SBX_E_FAILED, "it cannot be read"},
                 {91, SBX_E_NOT_FOUND, "no such file or directory"},
                 {92, SBX_E_EXISTS, "it exists already"},
                 {93, SBX_E_IS_DIR, "it is a directory"},
                 {94, SBX_E_NOT_DIR, "it is not a directory"},
                 {95, SBX_E_PERMISSION, "permission denied"},
                 {97, SBX_E_BAD_PATH, "this path cannot be used here"},
                 {98, SBX_E_UNSUPPORTED, "there is no tar in the devbox"},
                 {99, SBX_E_PROTOCOL, "not all of the data arrived"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code) {
            (void)call_fail(call, table[i].status, "%s: '%s': %s", what, path, table[i].words);
            if (code == 90)
                call_os_errno(call, EIO); /* of this file, not of the devbox */
            return table[i].status;
        }
    return call_fail(call, SBX_E_FAILED, "%s: '%s': the devbox cannot do it (%d)", what, path, code);
}

/* --- up ---------------------------------------------------------------------------------------------------------- */

sbx_status file_drain_source(struct sbx_call *call, const char *what, const struct sbx_source *in, struct buf *data)
{
    struct sbx_source source;
    sbx_view(&source, sizeof source, in);
    buf_init(data, SOURCE_LIMIT);
    for (;;) {
        char *to = buf_space(data, PIECE);
        if (to == NULL)
            return call_fail(call, data->failed == EFBIG ? SBX_E_TOO_LARGE : SBX_E_NO_MEMORY, "%s: %s", what,
                             data->failed == EFBIG ? "more than 1 GiB is to be sent" : "no memory");
        int64_t n = source.read(source.user, to, PIECE);
        if (n > 0 && n <= PIECE)
            data->len += (size_t)n;
        else if (n == 0)
            return SBX_OK;
        else if (n != SBX_AGAIN || (source.flags & SBX_SOURCE_HAS_FD) == 0)
            return call_fail(call, SBX_E_STOPPED, "%s: stopped by the caller", what);
        struct pollfd wait = {.fd = source.ready_fd, .events = POLLIN};
        int ready = 0;
        sbx_status status = n == SBX_AGAIN ? call_poll(call, &wait, 1, 0, &ready) : call_check(call);
        if (status != SBX_OK)
            return status;
    }
}

sbx_status file_upload(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *name,
                       const char *data, size_t len)
{
    CLEANUP_BUF struct buf body;
    char path[256], type[128];
    struct sbx_error error;
    struct sbx_call inner;
    buf_init(&body, (size_t)SOURCE_LIMIT + 4096);
    (void)snprintf(path, sizeof path, "/v1/devboxes/%s/upload_file", h->id);
    (void)snprintf(type, sizeof type, "multipart/form-data; boundary=%s", name);
    (void)buf_format(&body,
                     "--%s\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n.%s\r\n--%s\r\nContent-Disposition: "
                     "form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                     name, name, name, name);
    (void)buf_append(&body, data, len);
    (void)buf_format(&body, "\r\n--%s--\r\n", name);
    if (body.failed != 0)
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", what);
    const struct api_request request = {.what = what,
                                        .path = path,
                                        .body = body.data,
                                        .body_len = body.len,
                                        .type = type,
                                        .is_safe = 1, /* the name is ours alone */
                                        .limit_ms = TRANSFER_MS};
    call_shadow(&inner, &error, call);
    sbx_status status = api_run(&h->backend->api, &inner, &request, NULL);
    return status == SBX_OK ? SBX_OK : devbox_excuse(h, call, status, &error);
}

sbx_status file_script(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *path,
                       const char *const *argv, struct buf *text)
{
    int code = 0;
    if (path == NULL || path[0] == '\0')
        return call_fail(call, SBX_E_INVALID, "%s: a path is needed", what);
    sbx_status status = run_script(h, call, what, argv, text, &code);
    return status != SBX_OK || code == 0 ? status : file_code(call, what, path, code);
}

void file_drop(struct sbx_handle *h, const char *what, const char *name)
{
    struct sbx_call late = {.size = sizeof late, .deadline_ns = clock_now_ns() + DROP_MS * MS_NS};
    const char *const argv[] = {"sh", "-c", "rm -f ~/\"$1\"", "sbx", name, NULL};
    CLEANUP_BUF struct buf answer = {0};
    int code = 0;
    (void)run_script(h, &late, what, argv, &answer, &code);
}

sbx_status file_write(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_write_args *given,
                      const struct sbx_source *in)
{
    static const char text[] = FIX
        "f=$HOME/.$2; e() { rm -f \"$f\" \"$t\"; exit \"$1\"; }; t=$f\n"
        "[ \"$(wc -c <\"$f\")\" -eq \"$3\" ] || e 99\n"
        "if [ -L \"$p\" ]; then p=$(readlink -f -- \"$p\"); [ -n \"$p\" ] || e 91; fi\n"
        "[ ! -d \"$p\" ] || e 93\n"
        "if [ -e \"$p\" ]; then [ -z \"$6\" ] || e 92; [ -f \"$p\" ] || e 97; [ -w \"$p\" ] || e 95; fi\n"
        "d=${p%/*}; [ -n \"$d\" ] || d=/\n"
        "if [ ! -d \"$d\" ]; then gone \"$p\"; s=$?\n"
        "[ -n \"$4\" ] && [ $s = 91 ] && [ ! -e \"$d\" ] || e $s\n"
        "mkdir -p -- \"$d\" 2>/dev/null || { gone \"$p\"; s=$?; [ -d \"$d\" ] || [ $s != 91 ] || s=95; e $s; }; fi\n"
        "[ -w \"$d\" ] && [ -x \"$d\" ] || e 95\n"
        "t=$d/.$2.new\n"
        "if [ -n \"$5\" ] && [ -e \"$p\" ]; then cat -- \"$p\" \"$f\"; else cat \"$f\"; fi >\"$t\" || e 96\n"
        "m=$7; [ -n \"$m\" ] || m=$(stat -c %a -- \"$p\" 2>/dev/null) || m=644\n"
        "chmod \"$m\" \"$t\" && mv -f -- \"$t\" \"$p\" || e 96\n"
        "rm -f \"$f\"\n";
    const uint32_t known =
        SBX_WRITE_PARENTS | SBX_WRITE_APPEND | SBX_WRITE_EXCL | SBX_WRITE_HAS_MODE | SBX_WRITE_HAS_LENGTH;
    CLEANUP_BUF struct buf data = {0}, answer = {0};
    struct sbx_write_args args;
    char name[MARK_NAME + 1], size[24], mode[16] = "";
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || (args.flags & ~known) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "write: arguments of a newer version");
    if (path == NULL || path[0] == '\0' || in == NULL)
        return call_fail(call, SBX_E_INVALID, "write: a path and a source are needed");
    status = file_drain_source(call, "write", in, &data);
    if (status != SBX_OK)
        return status;
    if ((args.flags & SBX_WRITE_HAS_LENGTH) != 0 && args.length != data.len)
        return call_fail(call, SBX_E_INVALID, "write: '%s': the source gave %zu bytes instead of %llu", path, data.len,
                         (unsigned long long)args.length);
    run_name(name);
    (void)snprintf(size, sizeof size, "%zu", data.len);
    if ((args.flags & SBX_WRITE_HAS_MODE) != 0)
        (void)snprintf(mode, sizeof mode, "%o", args.mode & 07777u);
    status = file_upload(h, call, "write", name, data.len > 0 ? data.data : "", data.len);
    if (status != SBX_OK)
        return status;
    const char *const argv[] = {"sh",
                                "-c",
                                text,
                                "sbx",
                                path,
                                name,
                                size,
                                (args.flags & SBX_WRITE_PARENTS) != 0 ? "1" : "",
                                (args.flags & SBX_WRITE_APPEND) != 0 ? "1" : "",
                                (args.flags & SBX_WRITE_EXCL) != 0 ? "1" : "",
                                mode,
                                NULL};
    return file_script(h, call, "write", path, argv, &answer);
}

/* --- down -------------------------------------------------------------------------------------------------------- */

struct fetch {
    struct sbx_sink sink;
    uint64_t skip;  /* bytes before the first that is wanted */
    uint64_t limit; /* bytes that are wanted; UINT64_MAX: all */
    uint64_t seen;
    int is_enough;
    int is_stopped;
};

static int take(void *user, const void *data, size_t len)
{
    struct fetch *f = user;
    uint64_t before = f->seen;
    const char *bytes = data;
    f->seen += len;
    if (f->seen <= f->skip)
        return 0;
    size_t at = before < f->skip ? (size_t)(f->skip - before) : 0;
    uint64_t n = len - at;
    if (n > f->limit)
        n = f->limit;
    if (n > 0)
        f->is_stopped = f->sink.write(f->sink.user, bytes + at, (size_t)n) != 0;
    f->limit -= f->limit == UINT64_MAX ? 0 : n;
    f->is_enough = f->limit == 0;
    return f->is_stopped || f->is_enough;
}

static sbx_status download(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *place,
                           struct fetch *f)
{
    CLEANUP_BUF struct buf body;
    char path[256];
    buf_init(&body, 1 << 16);
    (void)snprintf(path, sizeof path, "/v1/devboxes/%s/download_file", h->id);
    (void)buf_text(&body, "{\"path\":");
    json_put_text(&body, place);
    (void)buf_text(&body, "}");
    if (body.failed != 0)
        return call_fail(call, body.failed == EILSEQ ? SBX_E_INVALID : SBX_E_BAD_PATH,
                         "%s: '%s' is too long, or no text", what, place);
    const struct api_request request = {.what = what,
                                        .path = path,
                                        .body = body.data,
                                        .accept = "Accept: application/octet-stream",
                                        .is_safe = 1,
                                        .limit_ms = TRANSFER_MS,
                                        .piece = take,
                                        .user = f};
    sbx_status status = api_run(&h->backend->api, call, &request, NULL);
    if (f->is_stopped)
        return call_fail(call, SBX_E_STOPPED, "%s: stopped by the caller", what);
    return f->is_enough ? SBX_OK : status;
}

/* By a link in the home directory, for names that are no text and services that take no such path. */
static sbx_status download_by_link(struct sbx_handle *h, struct sbx_call *call, const char *path, struct fetch *f)
{
    static const char make[] = FIX "ln -s -- \"$(readlink -f -- \"$p\")\" ~/.\"$2\"";
    CLEANUP_BUF struct buf answer = {0};
    char name[MARK_NAME + 2] = ".";
    run_name(name + 1);
    const char *const argv[] = {"sh", "-c", make, "sbx", path, name + 1, NULL};
    sbx_status status = file_script(h, call, "read", path, argv, &answer);
    if (status != SBX_OK)
        return status;
    status = download(h, call, "read", name, f);
    file_drop(h, "read", name);
    return status;
}

sbx_status file_fetch_home(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *name,
                           const struct sbx_sink *out)
{
    struct fetch f = {.limit = UINT64_MAX};
    sbx_view(&f.sink, sizeof f.sink, out);
    return download(h, call, what, name, &f);
}

static sbx_status fetch(struct sbx_handle *h, struct sbx_call *call, const char *path, struct fetch *f)
{
    CLEANUP_BUF struct buf place;
    struct sbx_error error;
    struct sbx_call inner;
    buf_init(&place, 1 << 16);
    if (h->workdir != NULL && path[0] != '/' && strcmp(path, "~") != 0 && strncmp(path, "~/", 2) != 0)
        (void)buf_format(&place, "%s/", h->workdir);
    (void)buf_text(&place, path);
    while (place.failed == 0 && place.len > 1 && place.data[place.len - 1] == '/')
        place.data[--place.len] = '\0';
    if (place.failed != 0)
        return call_fail(call, SBX_E_BAD_PATH, "read: '%.100s...' is too long", path);
    call_shadow(&inner, &error, call);
    sbx_status status = download(h, &inner, "read", place.data, f);
    if (f->seen == 0 && (status == SBX_E_INVALID || status == SBX_E_NOT_FOUND))
        return download_by_link(h, call, path, f);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

sbx_status file_read(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_read_args *given,
                     const struct sbx_sink *out)
{
    static const char text[] = FIX "[ -e \"$p\" ] || { gone \"$p\"; exit $?; }\n"
                                   "[ ! -d \"$p\" ] || exit 93\n[ -f \"$p\" ] || exit 97\n[ -r \"$p\" ] || exit 95\n"
                                   "wc -c <\"$p\" || exit 90\n";
    CLEANUP_BUF struct buf answer = {0};
    struct sbx_read_args args = {.size = sizeof args};
    struct fetch f = {.limit = UINT64_MAX};
    sbx_status status = given == NULL ? SBX_OK : sbx_take(&args, sizeof args, given);
    sbx_view(&f.sink, sizeof f.sink, out);
    if (status != SBX_OK || args.flags != 0 || f.sink.flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "read: arguments of a newer version");
    if (f.sink.write == NULL)
        return call_fail(call, SBX_E_INVALID, "read: a sink that cannot be written");
    f.skip = args.offset;
    f.limit = args.limit != 0 ? args.limit : UINT64_MAX;
    const char *const argv[] = {"sh", "-c", text, "sbx", path, NULL};
    status = file_script(h, call, "read", path, argv, &answer);
    if (status != SBX_OK)
        return status;
    char *end = NULL;
    unsigned long long size = answer.len > 0 ? strtoull(answer.data, &end, 10) : 0;
    if (end == NULL || end == answer.data)
        return call_fail(call, SBX_E_PROTOCOL, "read: '%s': the devbox does not say how long it is", path);
    if (args.offset >= size)
        return SBX_OK;
    status = fetch(h, call, path, &f);
    if (status == SBX_OK && !f.is_enough && f.seen < size)
        return call_fail(call, SBX_E_FAILED, "read: '%s' shrank while it was read", path);
    return status;
}
