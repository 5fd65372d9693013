/* SPDX-License-Identifier: MIT
 *
 * inject.c - see inject.h.
 */
#include "plugins/docker/inject.h"

#include "plugins/docker/stream.h"
#include "plugins/docker/tarball.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>

enum {
    PIECE = 1 << 16,
    PROGRAM_LIMIT = 64 << 20,
    BODY_LIMIT = 1 << 20,
    SHARE = 32,
    NAME_SIZE = 48,
    PAUSE_MS = 30000,
    LOOK_MS = 50,
    NOISE_MAX = 1 << 20
};
#define DIRECTORY_DEFAULT "/workspace"

/* --- the program ------------------------------------------------------------------------------------------------- */

static int copy(int from, int to, uint64_t *size, uint64_t *hash)
{
    char piece[PIECE];
    ssize_t n;
    *hash = 14695981039346656037u;
    for (*size = 0; (n = read(from, piece, sizeof piece)) > 0; *size += (uint64_t)n) {
        for (ssize_t i = 0; i < n; i++)
            *hash = (*hash ^ (unsigned char)piece[i]) * 1099511628211u;
        int error = *size > PROGRAM_LIMIT ? EFBIG : folder_write_all(to, piece, (size_t)n);
        if (error != 0)
            return error;
    }
    return n < 0 ? errno : 0;
}

/* An archive of the program in memory: under that name, or, where it is empty, under one that its content makes, so
 * that another version is another file. 0 or an errno. */
static int pack(const char *program, char name[NAME_SIZE], int *out)
{
    static const char zeros[3 * TARBALL_BLOCK];
    unsigned char head[TARBALL_BLOCK] = {0};
    uint64_t hash, size;
    CLEANUP_FD int from = open(program, O_RDONLY | O_CLOEXEC);
    CLEANUP_FD int to = from < 0 ? -1 : memfd_create("sbx-guest", MFD_CLOEXEC);
    if (to < 0)
        return errno;
    int error = folder_write_all(to, head, sizeof head);
    if (error == 0)
        error = copy(from, to, &size, &hash);
    if (error == 0)
        error = folder_write_all(to, zeros, tarball_tail(size));
    if (error != 0)
        return error;
    if (name[0] == '\0')
        (void)snprintf(name, NAME_SIZE, "./.sbx-guest-%016" PRIx64, hash);
    tarball_head(head, name, 0555, 0, 0, size);
    if (pwrite(to, head, sizeof head, 0) != (ssize_t)sizeof head)
        return EIO;
    *out = steal_fd(&to);
    return 0;
}

/* SBX_E_NOT_FOUND: nothing of that path. */
static sbx_status look(const struct sbx_handle *h, struct sbx_call *call, const char *path)
{
    CLEANUP_BUF struct buf url;
    buf_init(&url, 1 << 15);
    (void)buf_format(&url, "/containers/%s/archive?path=", h->id);
    http_put_escaped(&url, path);
    const struct engine_request request = {.what = "attach", .method = "HEAD", .path = url.data};
    return url.failed != 0 ? call_fail(call, SBX_E_INVALID, "attach: the path is too long")
                           : engine_run(&h->backend->engine, call, &request, NULL);
}

static sbx_status put_program(struct sbx_handle *h, struct sbx_call *call, char name[NAME_SIZE])
{
    const char *program = h->backend->settings.guest;
    CLEANUP_FD int archive = -1;
    struct sbx_error error;
    struct sbx_call inner;
    char path[160];
    name[0] = '\0';
    int os_errno = pack(program, name, &archive);
    if (os_errno != 0)
        return call_fail_errno(call, os_errno, "attach: the guest '%s'", program);
    call_shadow(&inner, &error, call);
    sbx_status status = look(h, &inner, name + 1);
    if (status == SBX_OK)
        return SBX_OK;
    (void)snprintf(path, sizeof path, "/containers/%s/archive?path=%%2F&noOverwriteDirNonDir=1", h->id);
    const struct engine_request request = {
        .what = "attach", .method = "PUT", .path = path, .upload = 1, .body_fd = archive};
    if (status == SBX_E_NOT_FOUND)
        status = engine_run(&h->backend->engine, &inner, &request, NULL);
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

int inject_has_volume(const struct sbx_backend *b)
{
    return !b->engine.is_podman;
}

sbx_status inject_program(struct sbx_backend *b, const char *id, struct sbx_call *call)
{
    const char *program = b->settings.guest;
    CLEANUP_FD int archive = -1;
    int in_volume = inject_has_volume(b);
    char path[160], name[NAME_SIZE] = "." INJECT_PROGRAM;
    if (in_volume)
        (void)snprintf(name, sizeof name, "./guest");
    int error = pack(program, name, &archive);
    if (error != 0)
        return call_fail_errno(call, error, "create: the guest '%s'", program);
    (void)snprintf(path, sizeof path, "/containers/%s/archive?path=%s", id, in_volume ? INJECT_VOLUME : "%2F");
    const struct engine_request request = {
        .what = "create", .method = "PUT", .path = path, .upload = 1, .body_fd = archive};
    return engine_run(&b->engine, call, &request, NULL);
}

/* /workspace if it is there, else what the image says. Asked when the guest is needed: a daemon that cannot say it must
 * not keep the container from being removed. */
static sbx_status find_directory(const struct sbx_handle *h, struct sbx_call *call, const char **out)
{
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = look(h, &inner, DIRECTORY_DEFAULT);
    *out = status == SBX_OK ? DIRECTORY_DEFAULT : h->workdir;
    if (status == SBX_OK || status == SBX_E_NOT_FOUND)
        return SBX_OK;
    call_pass_error(call, &error);
    return status;
}

/* --- one connection ---------------------------------------------------------------------------------------------- */

/* What the guest says on its standard error is dropped; who says so much there is no guest. */
static int64_t guest_read(void *user, void *buf, size_t cap)
{
    for (int64_t dropped = 0; dropped < NOISE_MAX;) {
        int which = 0;
        int64_t n = stream_read(user, &which, buf, cap);
        if (n <= 0 || which == 1)
            return n;
        dropped += n;
    }
    return -1;
}

static int64_t guest_write(void *user, const void *data, size_t len)
{
    const struct stream *stream = user;
    return http_tunnel_write(stream->tunnel, data, len);
}

static void guest_end(void *user)
{
    stream_close(user);
    free(user);
}

static void put_words(struct buf *body, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        (void)buf_text(body, i == 0 ? "" : ",");
        json_put_text(body, words[i]);
    }
}

/* Runs a program that speaks the guest's protocol on its standard streams, as the container's root. */
static sbx_status run_guest(struct sbx_handle *h, struct sbx_call *call, const char *const *words,
                            struct guest_stream *out)
{
    CLEANUP_BUF struct buf body;
    buf_init(&body, BODY_LIMIT);
    (void)buf_text(&body,
                   "{\"AttachStdin\":true,\"AttachStdout\":true,\"AttachStderr\":true,\"User\":\"0:0\",\"Cmd\":[");
    put_words(&body, words);
    (void)buf_text(&body, "]}");
    struct stream *stream = body.failed == 0 ? calloc(1, sizeof *stream) : NULL;
    if (stream == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "attach: no memory");
    sbx_status status = stream_open(stream, &h->backend->engine, call, h->id, body.data, 0);
    if (status != SBX_OK) {
        free(stream);
        return status;
    }
    *out = (struct guest_stream){.fd = http_tunnel_fd(stream->tunnel),
                                 .user = stream,
                                 .read = guest_read,
                                 .write = guest_write,
                                 .close = guest_end};
    return SBX_OK;
}

static sbx_status gone(const struct sbx_handle *h, struct sbx_call *call)
{
    return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
}

static sbx_status open_guest(void *user, struct sbx_call *call, struct guest_stream *out)
{
    struct sbx_handle *h = user;
    char name[NAME_SIZE];
    const char *directory = NULL;
    sbx_status status = find_directory(h, call, &directory);
    if (status == SBX_OK)
        status = put_program(h, call, name);
    if (status != SBX_OK)
        return status;
    const char *const words[] = {
        name + 1, "serve", "--stdio", "--keep-caps", "--workdir", directory, h->user[0] != '\0' ? "--user" : NULL,
        h->user,  NULL};
    status = run_guest(h, call, words, out);
    return status == SBX_E_NOT_FOUND ? gone(h, call) : status;
}

/* What becomes of a container of ours that takes no commands: GONE, or STATE while the daemon has paused it, as it does
 * for a snapshot. */
static sbx_status why_not(const struct sbx_handle *h, struct sbx_call *call)
{
    struct sbx_error error;
    struct sbx_call inner;
    CLEANUP(container_finish) struct container c = {0};
    call_shadow(&inner, &error, call);
    sbx_status status = container_inspect(h->backend, &inner, "attach", h->id, &c);
    if (status != SBX_OK)
        return status == SBX_E_NOT_FOUND ? SBX_E_GONE : status;
    if (strcmp(c.state, "paused") == 0)
        return SBX_E_STATE;
    int state = container_state(h->backend, &c);
    return state == SBX_STATE_STOPPED || state == SBX_STATE_FAILED ? SBX_E_GONE : SBX_OK;
}

static sbx_status open_relay(void *user, struct sbx_call *call, struct guest_stream *out)
{
    static const char *const words[] = {INJECT_PROGRAM, "relay", INJECT_SOCKET, NULL};
    struct sbx_handle *h = user;
    struct sbx_error error;
    struct sbx_call inner;
    int64_t end_ns = clock_now_ns() + PAUSE_MS * MS_NS;
    for (;;) {
        int ready = 0;
        call_shadow(&inner, &error, call);
        sbx_status status = run_guest(h, &inner, words, out);
        sbx_status why = status == SBX_E_STATE || status == SBX_E_FAILED ? why_not(h, call) : SBX_OK;
        if (status == SBX_E_NOT_FOUND || why == SBX_E_GONE)
            return gone(h, call);
        int is_paused = status == SBX_E_STATE && (why == SBX_E_STATE || why == SBX_OK); /* it may be over by now */
        if (is_paused && clock_now_ns() < end_ns) {
            status = call_poll(call, NULL, 0, clock_now_ns() + LOOK_MS * MS_NS, &ready);
            if (status != SBX_OK)
                return status;
            continue;
        }
        if (status != SBX_OK)
            call_pass_error(call, &error);
        return status;
    }
}

sbx_status inject_relay(struct sbx_handle *h, const struct sbx_kvs *envs, struct sbx_call *call)
{
    const struct guest_link_options options = {.open = open_relay, .user = h, .share = SHARE, .envs = envs};
    h->link = guest_open(&options);
    return h->link != NULL ? SBX_OK : call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory");
}

/* --- the handle -------------------------------------------------------------------------------------------------- */

/* The variables of the container, as its definition has them; the texts are the caller's to free. */
static sbx_status take_envs(const struct cJSON *list, struct sbx_kvs *envs, struct sbx_call *call)
{
    struct sbx_kv *items = calloc(json_count(list) + 1, sizeof *items);
    envs->items = items;
    for (const struct cJSON *item = json_first(list); items != NULL && item != NULL; item = json_next(item)) {
        const char *text = json_value(item), *sign = text == NULL ? NULL : strchr(text, '=');
        if (sign == NULL || sign == text)
            continue;
        char *key = strndup(text, (size_t)(sign - text));
        if (key == NULL)
            return call_fail(call, SBX_E_NO_MEMORY, "attach: no memory");
        items[envs->count++] = (struct sbx_kv){key, sign + 1};
    }
    return items != NULL ? SBX_OK : call_fail(call, SBX_E_NO_MEMORY, "attach: no memory");
}

static void finish_envs(struct sbx_kvs *envs)
{
    for (size_t i = 0; i < envs->count; i++)
        free((void *)(uintptr_t)envs->items[i].key);
    free((void *)(uintptr_t)envs->items);
}

/* Where the daemon cannot say what is there, the first command will tell of it. */
static sbx_status use_api(struct sbx_handle *h, struct sbx_call *call)
{
    struct sbx_error error;
    struct sbx_call inner;
    const char *directory = NULL;
    call_shadow(&inner, &error, call);
    h->api = 1;
    if (find_directory(h, &inner, &directory) != SBX_OK || directory == h->workdir)
        return SBX_OK;
    free(h->workdir);
    h->workdir = strdup(directory);
    return h->workdir != NULL ? SBX_OK : call_fail(call, SBX_E_NO_MEMORY, "attach: no memory");
}

sbx_status inject_open(struct sbx_handle *h, const struct container *c, struct sbx_call *call)
{
    const struct cJSON *config = json_member(c->json, "Config");
    const char *user = json_text(config, "User"), *directory = json_text(config, "WorkingDir");
    struct sbx_kvs envs = {0};
    h->user = strdup(user != NULL ? user : "");
    h->workdir = strdup(directory != NULL && directory[0] == '/' ? directory : "/");
    if (h->user == NULL || h->workdir == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "attach: no memory");
    uint32_t use = h->backend->settings.guest_use;
    if (use == GUEST_NEVER || (use == GUEST_AUTO && json_is_true(c->host, "ReadonlyRootfs")))
        return use_api(h, call);
    sbx_status status = take_envs(json_member(config, "Env"), &envs, call);
    const struct guest_link_options options = {.open = open_guest, .user = h, .share = SHARE, .envs = &envs};
    if (status == SBX_OK)
        h->link = guest_open(&options);
    finish_envs(&envs);
    h->injected = h->link != NULL;
    return status == SBX_OK && h->link == NULL ? call_fail(call, SBX_E_NO_MEMORY, "attach: no memory") : status;
}
