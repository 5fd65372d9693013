/* SPDX-License-Identifier: MIT
 *
 * handle.c - one container, as its handle has it: commands and files are the guest's, its life is the daemon's.
 */
#include "plugins/docker/api.h"
#include "plugins/docker/inject.h"

#include "plugins/common/guest_socket.h"

#include <fcntl.h>
#include <inttypes.h>

enum { ENV_LIMIT = 16 << 20, ASK_MS = 2000, LOOK_MS = 100, REMOVE_POLL_MS = 10, REMOVE_MS = 30000, WAKE_MS = 2000 };

/* --- making ------------------------------------------------------------------------------------------------------ */

static sbx_status connect_guest(void *user, struct sbx_call *call, int *fd)
{
    struct sbx_handle *h = user;
    CLEANUP_FD int entry_fd = entry_open(&h->backend->entries, h->key);
    CLEANUP_FD int box_fd = entry_fd < 0 ? -1 : openat(entry_fd, "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (box_fd < 0)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    return guest_socket_connect(box_fd, "sock", h->id, call, fd);
}

/* "KEY=VALUE" and a NUL each, cut in place. */
static sbx_status split_envs(struct buf *text, struct sbx_kvs *envs, struct sbx_call *call)
{
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++)
        count += text->data[i] == '\0';
    struct sbx_kv *items = calloc(count + 1, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory");
    envs->items = items;
    for (char *at = text->data; envs->count < count; at += strlen(at) + 1) {
        char *sign = strchr(at, '=');
        if (sign == NULL) {
            count--;
            continue;
        }
        *sign = '\0';
        items[envs->count++] = (struct sbx_kv){at, sign + 1};
        at = sign + 1;
    }
    return SBX_OK;
}

/* The entry must be this very container's: a label alone may come from an image. */
static int open_own_entry(const struct sbx_backend *b, const char *id, const char *key)
{
    CLEANUP_BUF struct buf text;
    CLEANUP_FD int entry_fd = key[0] == '\0' ? -1 : entry_open(&b->entries, key);
    buf_init(&text, ENTRY_FILE_LIMIT);
    if (entry_fd < 0 || folder_read(entry_fd, "id", &text) != 0 || text.len != strlen(id) ||
        memcmp(text.data, id, text.len) != 0)
        return -1;
    return steal_fd(&entry_fd);
}

/* Whether the daemon has paused the container: for a snapshot, or because somebody else asked it to. */
static int is_frozen(struct sbx_handle *h, struct sbx_call *call)
{
    CLEANUP(container_finish) struct container c = {0};
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    return container_inspect(h->backend, &inner, "attach", h->id, &c) == SBX_OK && strcmp(c.state, "paused") == 0;
}

static sbx_status why_silent(void *user, struct sbx_call *call)
{
    struct sbx_handle *h = user;
    return is_frozen(h, call)
               ? call_fail(call, SBX_E_STATE,
                           "sandbox %s is paused by the daemon; resume it, unless a snapshot is being made", h->id)
               : SBX_OK;
}

static sbx_status open_link(struct sbx_handle *h, int entry_fd, struct sbx_call *call)
{
    struct sbx_kvs envs = {0};
    CLEANUP_BUF struct buf text;
    buf_init(&text, ENV_LIMIT);
    int error = folder_read(entry_fd, "env", &text);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its variables", h->id);
    sbx_status status = split_envs(&text, &envs, call);
    const struct guest_link_options options = {
        .connect = connect_guest, .why_silent = why_silent, .user = h, .envs = &envs};
    if (status == SBX_OK && entry_has(entry_fd, "relay"))
        status = inject_relay(h, &envs, call);
    else if (status == SBX_OK)
        h->link = guest_open(&options);
    free((void *)(uintptr_t)envs.items);
    return status == SBX_OK && h->link == NULL ? call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory") : status;
}

/* What the creator wrote down for containers without a guest. */
static sbx_status open_api(struct sbx_handle *h, int entry_fd, struct sbx_call *call)
{
    CLEANUP_BUF struct buf text, env;
    buf_init(&text, ENTRY_FILE_LIMIT);
    buf_init(&env, ENV_LIMIT);
    int error = folder_read(entry_fd, "api", &text);
    if (error == 0 && buf_append(&text, "\0", 2) != 0)
        error = text.failed;
    if (error == 0)
        error = folder_read(entry_fd, "env", &env);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its entry", h->id);
    h->api = 1;
    h->workdir = strdup(text.data);
    h->user = strdup(text.data + strlen(text.data) + 1);
    h->env_len = env.len;
    h->env = buf_append(&env, "", 1) == 0 ? buf_steal(&env) : NULL;
    return h->workdir != NULL && h->user != NULL && h->env != NULL
               ? SBX_OK
               : call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory");
}

static void handle_release(struct sbx_handle *h)
{
    if (h == NULL)
        return;
    guest_close(h->link);
    free(h->user);
    free(h->workdir);
    free(h->env);
    free(h);
}

int handle_is_dead(const struct sbx_backend *b, const char *key)
{
    CLEANUP_FD int entry_fd = entry_open(&b->entries, key);
    if (entry_fd >= 0 && (entry_has(entry_fd, "api") || entry_has(entry_fd, "relay")))
        return 0;
    CLEANUP_FD int box_fd = entry_fd < 0 ? -1 : openat(entry_fd, "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_FD int fd = -1;
    struct sbx_call now = {.size = sizeof now, .deadline_ns = clock_now_ns() + LOOK_MS * MS_NS};
    return box_fd >= 0 && guest_socket_connect(box_fd, "sock", "", &now, &fd) == SBX_E_GONE;
}

sbx_status handle_make(struct sbx_backend *b, const char *id, const char *key, int has_memory_limit,
                       struct sbx_call *call, struct sbx_handle **out)
{
    CLEANUP_FD int entry_fd = open_own_entry(b, id, key);
    struct sbx_handle *h = calloc(1, sizeof *h);
    if (h == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory");
    h->backend = b;
    h->has_memory_limit = has_memory_limit;
    (void)snprintf(h->id, sizeof h->id, "%s", id);
    if (entry_fd >= 0)
        (void)snprintf(h->key, sizeof h->key, "%s", key);
    sbx_status status = SBX_OK;
    if (entry_fd >= 0)
        status = entry_has(entry_fd, "api") ? open_api(h, entry_fd, call) : open_link(h, entry_fd, call);
    if (status != SBX_OK) {
        handle_release(h);
        return status;
    }
    *out = h;
    return SBX_OK;
}

static const char *handle_id(struct sbx_handle *h)
{
    return h->id;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

/* One forced removal, no stop before it. STATE: somebody, the daemon itself perhaps, removes it already. */
sbx_status handle_destroy(struct sbx_backend *b, const char *id, const char *key, struct sbx_call *call)
{
    int64_t end_ns = clock_now_ns() + REMOVE_MS * MS_NS;
    struct sbx_error error;
    struct sbx_call inner;
    int ready = 0;
    call_shadow(&inner, &error, call);
    sbx_status status = engine_do(&b->engine, &inner, "remove", "DELETE", "/containers/%s?force=1&v=1", id);
    while (status == SBX_E_STATE && clock_now_ns() < end_ns) {
        struct container c;
        status = call_poll(&inner, NULL, 0, clock_now_ns() + REMOVE_POLL_MS * MS_NS, &ready);
        if (status != SBX_OK)
            break;
        status = container_inspect(b, &inner, "remove", id, &c);
        container_finish(&c);
        if (status == SBX_OK)
            status = call_fail(&inner, SBX_E_STATE, "remove: sandbox %s is being removed and does not go", id);
    }
    if (status != SBX_OK && status != SBX_E_NOT_FOUND) {
        call_pass_error(call, &error);
        return status;
    }
    lifelines_drop(&b->lifelines, id);
    if (key[0] != '\0')
        entry_remove(&b->entries, key);
    return SBX_OK;
}

static sbx_status handle_remove(struct sbx_handle *h, struct sbx_call *call)
{
    return handle_destroy(h->backend, h->id, h->key, call);
}

/* --- what can be asked ------------------------------------------------------------------------------------------- */

static sbx_status handle_info(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out)
{
    CLEANUP(container_finish) struct container c = {0};
    sbx_status status = container_inspect(h->backend, call, "info", h->id, &c);
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    return status != SBX_OK ? status : container_report(h->backend, &c, out, call);
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

sbx_status guest_slot_enter(struct sbx_handle *h, struct sbx_call *call, struct guest_link **link)
{
    if (h->api)
        return call_fail(call, SBX_E_UNSUPPORTED, "sandbox %s has no guest, which this needs", h->id);
    if (h->link == NULL)
        return call_fail(call, SBX_E_STATE, "sandbox %s was not made here and is not running", h->id);
    *link = h->link;
    return SBX_OK;
}

static uint64_t oom_kills(struct sbx_handle *h)
{
    struct guest_info info = {.oom_kills = 0};
    struct sbx_call call = {.size = sizeof call, .deadline_ns = clock_now_ns() + ASK_MS * MS_NS};
    return h->has_memory_limit && guest_info(h->link, &call, &info) == SBX_OK ? info.oom_kills : 0;
}

static sbx_status handle_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                              struct sbx_exec_result *out)
{
    struct guest_link *link = NULL;
    if (h->api)
        return api_exec(h, call, args, out);
    sbx_status status = guest_slot_enter(h, call, &link);
    if (status != SBX_OK)
        return status;
    uint64_t before = oom_kills(h);
    status = guest_exec(link, call, args, h->backend->settings.timeout_ms, out);
    if (status == SBX_OK && out != NULL && oom_kills(h) > before) {
        struct sbx_exec_result result;
        sbx_view(&result, sizeof result, out);
        if (result.exit_code != 0)
            result.flags |= SBX_OUT_OF_MEMORY;
        sbx_give(out, &result, sizeof result);
    }
    return status;
}

static sbx_status handle_read(struct sbx_handle *h, struct sbx_call *call, const char *path,
                              const struct sbx_read_args *args, const struct sbx_sink *out)
{
    return h->api ? api_read_file(h, call, path, args, out) : guest_slot_read_file(h, call, path, args, out);
}

static sbx_status handle_write(struct sbx_handle *h, struct sbx_call *call, const char *path,
                               const struct sbx_write_args *args, const struct sbx_source *in)
{
    return h->api ? api_write_file(h, call, path, args, in) : guest_slot_write_file(h, call, path, args, in);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static sbx_status keep_alive(struct sbx_handle *h, struct sbx_call *call, uint32_t ttl_s)
{
    struct guest_info info;
    struct guest_link *link = NULL;
    char number[32];
    sbx_status status = guest_slot_enter(h, call, &link);
    if (status != SBX_OK || ttl_s == 0) /* nothing ends it for being idle: that it lives is all there is to say */
        return status != SBX_OK ? status : guest_info(link, call, &info);
    status = guest_set_lifetime(link, call, (uint64_t)ttl_s * 1000);
    CLEANUP_FD int entry_fd = status == SBX_OK ? entry_open(&h->backend->entries, h->key) : -1;
    (void)snprintf(number, sizeof number, "%" PRId64, clock_wall_ms() + (int64_t)ttl_s * 1000);
    if (status != SBX_OK)
        return status;
    int error = entry_fd < 0 ? ENOENT : folder_write(entry_fd, "expires", number, strlen(number));
    return error == 0 ? SBX_OK : call_fail_errno(call, error, "sandbox %s: its lifetime", h->id);
}

/* By the daemon, where no guest of ours serves the container. */
static sbx_status pause_container(struct sbx_handle *h, struct sbx_call *call, const char *verb, int wanted)
{
    struct sbx_error error;
    struct sbx_call inner;
    CLEANUP(container_finish) struct container c = {0};
    call_shadow(&inner, &error, call);
    sbx_status status = engine_do(&h->backend->engine, &inner, verb, "POST", "/containers/%s/%s", h->id, verb);
    if ((status == SBX_E_STATE || status == SBX_E_FAILED) && /* it is so already, or it does not run */
        container_inspect(h->backend, NULL, verb, h->id, &c) == SBX_OK && container_state(h->backend, &c) == wanted)
        return SBX_OK;
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

/* The guest does it, so that time limits and the lifetime go on; the mark is for those who ask the daemon. */
static sbx_status suspend(struct sbx_handle *h, struct sbx_call *call)
{
    if (h->link == NULL || h->injected)
        return pause_container(h, call, "pause", SBX_STATE_SUSPENDED);
    CLEANUP_FD int entry_fd = entry_open(&h->backend->entries, h->key);
    if (entry_fd < 0)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    int error = folder_write(entry_fd, "suspended", "", 0);
    if (error != 0)
        return call_fail_errno(call, error, "suspend: sandbox %s", h->id);
    sbx_status status = guest_suspend(h->link, call);
    if (status != SBX_OK)
        (void)entry_drop(entry_fd, "suspended");
    return status;
}

/* A guest that does not answer for so long may be paused itself; a snapshot's short pause is over by then. */
static sbx_status wake_guest(struct sbx_handle *h, struct sbx_call *call)
{
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    (void)call_limit(&inner, WAKE_MS);
    sbx_status status = guest_resume(h->link, &inner);
    if (status == SBX_E_UNAVAILABLE || status == SBX_E_TIMEOUT) {
        status = is_frozen(h, call) ? pause_container(h, call, "unpause", SBX_STATE_RUNNING) : SBX_OK;
        return status == SBX_OK ? guest_resume(h->link, call) : status;
    }
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

static sbx_status resume(struct sbx_handle *h, struct sbx_call *call)
{
    if (h->link == NULL || h->injected)
        return pause_container(h, call, "unpause", SBX_STATE_RUNNING);
    sbx_status status = wake_guest(h, call);
    CLEANUP_FD int entry_fd = status == SBX_OK ? entry_open(&h->backend->entries, h->key) : -1;
    if (entry_fd >= 0)
        (void)entry_drop(entry_fd, "suspended");
    return status;
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

static const struct sbx_keepalive_ops keepalive_ops = {.size = sizeof keepalive_ops, .keep_alive = keep_alive};
static const struct sbx_suspend_ops suspend_ops = {.size = sizeof suspend_ops, .suspend = suspend, .resume = resume};

const void *handle_extension(const char *id)
{
    if (id != NULL && strcmp(id, SBX_EXT_KEEPALIVE) == 0)
        return &keepalive_ops;
    if (id != NULL && strcmp(id, SBX_EXT_SUSPEND) == 0)
        return &suspend_ops;
    const void *table = snapshot_extension(id);
    return table != NULL ? table : guest_slot_extension(id);
}

/* What an injected guest holds would end with the handle. */
static int needs_init(const char *id)
{
    static const char *const all[] = {SBX_EXT_JOB,   SBX_EXT_JOB_SIGNAL,  SBX_EXT_JOB_STDIN, SBX_EXT_JOB_LIST,
                                      SBX_EXT_SHELL, SBX_EXT_SHELL_CLOSE, SBX_EXT_KEEPALIVE};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(id, all[i]) == 0)
            return 1;
    return 0;
}

static uint32_t handle_support(struct sbx_handle *h, const char *id)
{
    if (handle_extension(id) == NULL || !docker_has(h->backend, id))
        return SBX_SUPPORT_NONE;
    int offered = h->link != NULL || strcmp(id, SBX_EXT_SUSPEND) == 0 || strcmp(id, SBX_EXT_SNAPSHOT) == 0;
    return offered && !(h->injected && needs_init(id)) ? SBX_SUPPORT_NATIVE : SBX_SUPPORT_NONE;
}

const struct sbx_handle_ops handle_ops = {
    .size = sizeof handle_ops,
    .id = handle_id,
    .release = handle_release,
    .remove = handle_remove,
    .support = handle_support,
    .info = handle_info,
    .exec = handle_exec,
    .read_file = handle_read,
    .write_file = handle_write,
};
