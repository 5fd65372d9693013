/* SPDX-License-Identifier: MIT
 *
 * create.c - makes a container with the guest as its init. Name and labels are chosen before anything is sent, so that
 * a lost reply is found again; the entry is made first and locked, so that what a dead creator left is found too.
 */
#include "plugins/docker/create.h"

#include "plugins/common/guest_socket.h"
#include "plugins/docker/api.h"
#include "plugins/docker/inject.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { START_MS = 60000, LOOK_MS = 500, ABORT_MS = 10000, LATE_MS = 800, TWIN_POLL_MS = 20, IMAGE_LIMIT = 8 << 20 };
enum { END_LOOKS = 50, END_LOOK_MS = 40 };

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(steal_fd(fd));
}

static void making_finish(struct making *m)
{
    close_one(&m->entry_fd);
    close_one(&m->listen_fd);
    close_one(&m->meet_fd);
    close_one(&m->lifeline[0]);
    close_one(&m->lifeline[1]);
    json_finish(&m->image_json);
}

/* --- the image --------------------------------------------------------------------------------------------------- */

static sbx_status inspect_image(struct making *m)
{
    char path[1100];
    (void)snprintf(path, sizeof path, "/images/%s/json", m->image); /* plan_check has looked at its letters */
    const struct engine_request request = {.what = "create", .path = path, .reply_limit = IMAGE_LIMIT};
    return engine_run(&m->b->engine, m->call, &request, &m->image_json);
}

/* What the image says of its user and variables; pulls it where that is allowed. */
static sbx_status get_image(struct making *m)
{
    struct sbx_error error;
    struct sbx_call inner, *call = m->call;
    uint32_t pull = m->args.snapshot != NULL ? PULL_NEVER : m->b->settings.pull;
    call_shadow(&inner, &error, call);
    m->call = &inner;
    sbx_status status = pull == PULL_ALWAYS ? pull_image(m->b, &inner, m->image) : SBX_OK;
    if (status == SBX_OK)
        status = inspect_image(m);
    if (status == SBX_E_NOT_FOUND && pull == PULL_MISSING) {
        status = pull_image(m->b, &inner, m->image);
        if (status == SBX_OK)
            status = inspect_image(m);
    }
    m->call = call;
    if (m->args.snapshot != NULL &&
        (status == SBX_E_NOT_FOUND || (status == SBX_OK && !snapshot_is_one(m->b, m->image_json))))
        return call_fail(call, SBX_E_NOT_FOUND, "create: no such snapshot: %s", m->args.snapshot);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

/* Where create says nothing, user and directory are those of the snapshot's sandbox, or the image's user. */
static sbx_status take_defaults(struct making *m)
{
    const struct cJSON *config = json_member(m->image_json, "Config");
    const struct cJSON *labels = m->args.snapshot != NULL ? json_member(config, "Labels") : NULL;
    const char *user = json_text(labels, LABEL_USER), *workdir = json_text(labels, LABEL_WORKDIR);
    if (user == NULL || user[0] == '\0')
        user = json_text(config, "User");
    m->user = m->args.user != NULL ? m->args.user : user;
    if (m->args.workdir == NULL && workdir != NULL && workdir[0] != '\0')
        m->workdir = workdir;
    return plan_check_workdir(m);
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static sbx_status make_entry(struct making *m)
{
    sbx_status status = entry_make(&m->b->entries, m->call, m->key, &m->entry_fd);
    if (status != SBX_OK)
        return status;
    if (m->name[0] == '\0')
        (void)snprintf(m->name, sizeof m->name, "sbx-%s", m->key);
    if (m->api || m->relay)
        return SBX_OK;
    CLEANUP_FD int box_fd = openat(m->entry_fd, "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    m->listen_fd = box_fd < 0 ? -1 : guest_socket_listen(box_fd, "sock");
    m->meet_fd = m->listen_fd < 0 ? -1 : guest_socket_listen(box_fd, "meet");
    /* The guest may be another user here, where the daemon maps users. */
    if (m->meet_fd < 0 || fchmodat(box_fd, "meet", 0666, 0) != 0)
        return call_fail_errno(m->call, errno, "create: the sandbox's socket");
    if ((m->args.flags & SBX_CREATE_BOUND) != 0 && pipe2(m->lifeline, O_CLOEXEC) != 0)
        return call_fail_errno(m->call, errno, "create: the sandbox's lifeline");
    return SBX_OK;
}

static int write_api(struct making *m)
{
    CLEANUP_BUF struct buf text;
    buf_init(&text, ENTRY_FILE_LIMIT);
    (void)buf_append(&text, m->workdir, strlen(m->workdir) + 1);
    (void)buf_text(&text, m->user != NULL ? m->user : "");
    return text.failed != 0 ? text.failed : folder_write(m->entry_fd, "api", text.data, text.len);
}

/* What later processes need to know. */
static sbx_status write_entry(struct making *m)
{
    char number[32] = "";
    CLEANUP_BUF struct buf envs;
    sbx_status status = plan_envs(m, &envs);
    if (status != SBX_OK)
        return status;
    if (m->args.timeout_s != 0)
        (void)snprintf(number, sizeof number, "%" PRId64, clock_wall_ms() + (int64_t)m->args.timeout_s * 1000);
    int error = folder_write(m->entry_fd, "env", envs.data, envs.len);
    if (error == 0)
        error = folder_write(m->entry_fd, "id", m->id, strlen(m->id));
    if (error == 0 && m->api)
        error = write_api(m);
    if (error == 0 && m->relay)
        error = folder_write(m->entry_fd, "relay", "", 0);
    if (error == 0 && number[0] != '\0')
        error = folder_write(m->entry_fd, "expires", number, strlen(number));
    return error == 0 ? SBX_OK : call_fail_errno(m->call, error, "create: '%s/%s'", m->b->entries.path, m->key);
}

/* 1, and its id is known: the daemon has a container of our name that is this very one. */
static int is_there(struct making *m, struct sbx_call *call)
{
    CLEANUP(container_finish) struct container c = {0};
    if (container_inspect(m->b, call, "create", m->name, &c) != SBX_OK || c.key == NULL || strcmp(c.key, m->key) != 0)
        return 0;
    (void)snprintf(m->id, sizeof m->id, "%s", c.id);
    return 1;
}

/* No usable reply came: whether the container is there, its name tells. */
static sbx_status find_lost(struct making *m)
{
    struct sbx_error error;
    struct sbx_call call;
    call_shadow(&call, &error, m->call);
    (void)call_limit(&call, ABORT_MS);
    if (is_there(m, &call))
        return SBX_OK;
    sbx_status status = call_fail(m->call, SBX_E_UNKNOWN, "create: the daemon may have made '%s'", m->name);
    call_maybe_applied(m->call, m->name);
    return status;
}

static sbx_status post_create(struct making *m, struct sbx_call *call)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    CLEANUP_BUF struct buf body, path;
    const char *id = NULL;
    buf_init(&path, 1024);
    (void)buf_text(&path, "/containers/create?name=");
    http_put_escaped(&path, m->name);
    sbx_status status = plan_body(m, &body);
    if (status != SBX_OK || path.failed != 0)
        return status != SBX_OK ? status : call_fail(call, SBX_E_NO_MEMORY, "create: no memory");
    const struct engine_request request = {.what = "create", .method = "POST", .path = path.data, .body = body.data};
    status = engine_run(&m->b->engine, call, &request, &json);
    if (status == SBX_OK)
        status = json_need_text(call, "create", json, "Id", &id);
    if (status == SBX_OK && (!engine_is_reference(id) || strlen(id) >= sizeof m->id))
        status = call_fail(call, SBX_E_PROTOCOL, "create: the daemon gave an id that is none");
    if (status == SBX_E_PROTOCOL)
        call_maybe_applied(call, NULL);
    if (status == SBX_OK)
        (void)snprintf(m->id, sizeof m->id, "%s", id);
    return status;
}

/* Whether the daemon sees no file of this machine, or not where we see it. */
static int is_elsewhere(sbx_status status, const struct sbx_error *error)
{
    return (status == SBX_E_INVALID || status == SBX_E_FAILED) &&
           (strstr(error->message, "bind source path does not exist") != NULL ||
            strstr(error->message, ": no such file or directory") != NULL);
}

/* SBX_E_EXISTS: the name is taken; where there is a token the error is not filled. */
static sbx_status make_container(struct making *m)
{
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, m->call);
    sbx_status status = post_create(m, &inner);
    if (!m->api && !m->relay && is_elsewhere(status, &error)) {
        m->relay = 1;
        close_one(&m->lifeline[0]);
        close_one(&m->lifeline[1]);
        call_shadow(&inner, &error, m->call);
        status = post_create(m, &inner);
    }
    if (status == SBX_E_STATE && m->args.client_token != NULL)
        return SBX_E_EXISTS; /* perhaps it is this token's own: attach_twin finds out, and fills the error */
    if (status == SBX_E_STATE)
        return call_fail(m->call, SBX_E_EXISTS, "create: the name '%s' is taken", m->name);
    if (status == SBX_OK)
        return SBX_OK;
    m->is_lost = (error.flags & SBX_ERR_MAYBE_APPLIED) != 0;
    if (m->is_lost && status != SBX_E_TIMEOUT && status != SBX_E_CANCELLED)
        return find_lost(m);
    call_pass_error(m->call, &error);
    return status;
}

/* --- the meeting ------------------------------------------------------------------------------------------------- */

/* Whether it still runs; the error says why not. */
static sbx_status check_running(struct making *m)
{
    CLEANUP(container_finish) struct container c = {0};
    sbx_status status = container_inspect(m->b, m->call, "create", m->id, &c);
    if (status == SBX_OK && container_state(m->b, &c) == SBX_STATE_RUNNING)
        return SBX_OK;
    if (status != SBX_OK && status != SBX_E_NOT_FOUND)
        return status;
    return call_fail(m->call, SBX_E_FAILED, "create: the guest ended at once in image '%s'%s%s", m->image,
                     m->user != NULL && m->user[0] != '\0' ? "; does it know user " : "",
                     m->user != NULL ? m->user : "");
}

/* Waits until fd can be read, as long as the container lives. */
static sbx_status wait_for(struct making *m, int fd)
{
    int64_t end_ns = clock_now_ns() + START_MS * MS_NS;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready = 0;
        sbx_status status = call_poll(m->call, &wait, 1, clock_now_ns() + LOOK_MS * MS_NS, &ready);
        if (status != SBX_OK || ready > 0)
            return status;
        status = check_running(m);
        if (status != SBX_OK)
            return status;
        if (clock_now_ns() > end_ns)
            return call_fail(m->call, SBX_E_UNAVAILABLE,
                             "create: the guest cannot reach '%s' of this machine; is the daemon on another one?",
                             m->b->entries.path);
    }
}

static int hand_over(int to, int listen_fd, int lifeline)
{
    const int fds[2] = {listen_fd, lifeline};
    size_t size = (lifeline >= 0 ? 2 : 1) * sizeof(int);
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof fds)];
    } control = {.space = {0}};
    char byte = 's';
    struct iovec text = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(size)};
    control.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(size)};
    memcpy(CMSG_DATA(&control.head), fds, size);
    return sendmsg(to, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static sbx_status meet_guest(struct making *m)
{
    char byte = '\0';
    sbx_status status = wait_for(m, m->meet_fd);
    if (status != SBX_OK)
        return status;
    CLEANUP_FD int fd = accept4(m->meet_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || hand_over(fd, m->listen_fd, m->lifeline[0]) != 0)
        return call_fail_errno(m->call, errno, "create: the guest's socket");
    close_one(&m->listen_fd);
    close_one(&m->lifeline[0]);
    status = wait_for(m, fd);
    if (status == SBX_OK && recv(fd, &byte, 1, MSG_DONTWAIT) != 1)
        status = call_fail(m->call, SBX_E_FAILED, "create: the guest ended while it started");
    close_one(&m->meet_fd);
    CLEANUP_FD int box_fd = openat(m->entry_fd, "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (box_fd >= 0)
        (void)unlinkat(box_fd, "meet", 0);
    return status;
}

/* --- where nothing can be bound into the container, and without a guest ------------------------------------------- */

/* Ends the tunnel but not its connection, which only `*line` holds then: TLS would say farewell on it otherwise. */
static int keep_connection(struct http_tunnel *tunnel, int *line)
{
    CLEANUP_FD int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    *line = nothing < 0 ? -1 : fcntl(http_tunnel_fd(tunnel), F_DUPFD_CLOEXEC, 0);
    if (*line >= 0 && dup3(nothing, http_tunnel_fd(tunnel), O_CLOEXEC) < 0)
        close_one(line);
    http_tunnel_close(tunnel);
    return *line >= 0 ? 0 : -1;
}

/* The connection to the input of what keeps the container alive: with it, it ends. */
static sbx_status attach_input(struct making *m)
{
    struct http_tunnel *tunnel = NULL;
    CLEANUP_REPLY struct http_reply reply = {0};
    char path[160];
    (void)snprintf(path, sizeof path, "/%s/containers/%s/attach?stream=1&stdin=1", m->b->engine.version, m->id);
    const struct http_request request = {.what = "create", .method = "POST", .path = path};
    sbx_status status = http_upgrade(m->b->engine.http, m->call, &request, &reply, &tunnel);
    if (status == SBX_OK && tunnel == NULL)
        status = engine_refused("create", &reply, m->call);
    if (status != SBX_OK)
        return status;
    return keep_connection(tunnel, &m->lifeline[1]) == 0
               ? SBX_OK
               : call_fail_errno(m->call, errno, "create: the sandbox's lifeline");
}

static sbx_status start(struct making *m)
{
    sbx_status status = SBX_OK;
    if (m->relay && m->b->settings.read_only && !inject_has_volume(m->b))
        return call_fail(m->call, SBX_E_UNSUPPORTED,
                         "create: podman's service on another machine cannot make read-only sandboxes");
    if (m->relay)
        status = inject_program(m->b, m->id, m->call);
    if (status == SBX_OK && (m->api || m->relay) && (m->args.flags & SBX_CREATE_BOUND) != 0)
        status = attach_input(m);
    if (status == SBX_OK)
        status = engine_do(&m->b->engine, m->call, "create", "POST", "/containers/%s/start", m->id);
    return status == SBX_OK && !m->api && !m->relay ? meet_guest(m) : status;
}

/* The first answer of a guest. One behind a relay that ended at once has left no other word. */
static sbx_status greet(struct making *m, struct sbx_handle *h)
{
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, m->call);
    sbx_status status = guest_hello(h->link, &inner);
    for (int i = 0; m->relay && status != SBX_OK && i < END_LOOKS; i++) {
        int ready = 0;
        sbx_status running = check_running(m);
        if (running == SBX_OK)
            running = call_poll(m->call, NULL, 0, clock_now_ns() + END_LOOK_MS * MS_NS, &ready);
        if (running != SBX_OK)
            return running;
    }
    if (status != SBX_OK)
        call_pass_error(m->call, &error);
    return status;
}

/* Waits for the working directory, which the container's first process makes. */
static sbx_status make_workdir(struct making *m, struct sbx_handle *h)
{
    int code = 0;
    const struct api_script script = {
        .what = "create",
        .text = "i=0; until [ -d \"$1\" ]; do i=$((i + 1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done",
        .argv = {m->workdir}};
    sbx_status status = api_run_script(h, m->call, &script, &code);
    if (status == SBX_OK && code != 0)
        return call_fail(m->call, SBX_E_FAILED, "create: '%s' cannot be made in image '%s'", m->workdir, m->image);
    return status;
}

/* --- the same token again ------------------------------------------------------------------------------------------
 */

/* Who began with this container is dead, if it is not started yet: its entry is locked by us. SBX_E_BUSY: it is. */
static sbx_status drop_left_over(struct making *m, const struct container *c)
{
    CLEANUP(container_finish) struct container now = {0};
    sbx_status status = container_inspect(m->b, m->call, "create", c->id, &now);
    if (status == SBX_OK && container_state(m->b, &now) != SBX_STATE_PENDING)
        return SBX_E_BUSY;
    if (status == SBX_OK)
        status = handle_destroy(m->b, c->id, c->key, m->call);
    if (status != SBX_OK && status != SBX_E_NOT_FOUND)
        return status;
    return call_fail(m->call, SBX_E_UNAVAILABLE, "create: removed what an earlier attempt at '%s' left; ask again",
                     m->name);
}

static int is_for_our_token(const struct making *m, const struct container *c)
{
    const char *token = container_label(c, LABEL_TOKEN), *scope = container_label(c, LABEL_SCOPE);
    return m->args.client_token != NULL && token != NULL && strcmp(token, m->args.client_token) == 0 && scope != NULL &&
           strcmp(scope, m->b->entries.scope) == 0 && c->key != NULL;
}

/* SBX_E_BUSY: its maker is at it still. */
static sbx_status try_twin(struct making *m, const struct container *c, struct sbx_handle **out)
{
    int state = container_state(m->b, c);
    CLEANUP_FD int entry_fd = is_for_our_token(m, c) ? entry_open(&m->b->entries, c->key) : -1;
    if (!is_for_our_token(m, c) || (entry_fd < 0 && state != SBX_STATE_PENDING))
        return call_fail(m->call, SBX_E_EXISTS, "create: the name '%s' is taken", m->name);
    if (state == SBX_STATE_PENDING)
        return entry_fd < 0 || entry_try_lock(entry_fd) ? drop_left_over(m, c) : SBX_E_BUSY;
    if (state != SBX_STATE_RUNNING)
        return call_fail(m->call, SBX_E_STATE, "create: the sandbox made for this token is %s", c->state);
    if (flock(entry_fd, LOCK_SH | LOCK_NB) != 0)
        return SBX_E_BUSY;
    return handle_make(m->b, c->id, c->key, container_has_memory_limit(c), m->call, out);
}

/* The container of that name, if it was made for our token: once whoever makes it is done. */
static sbx_status attach_twin(struct making *m, struct sbx_handle **out)
{
    for (;;) {
        CLEANUP(container_finish) struct container c = {0};
        int ready = 0;
        sbx_status status = container_inspect(m->b, m->call, "create", m->name, &c);
        if (status == SBX_OK)
            status = try_twin(m, &c, out);
        if (status != SBX_E_BUSY)
            return status;
        status = call_poll(m->call, NULL, 0, clock_now_ns() + TWIN_POLL_MS * MS_NS, &ready);
        if (status != SBX_OK)
            return status;
    }
}

/* --- together ---------------------------------------------------------------------------------------------------- */

/* Undoes what was made. The first error stays the one that is told. A call whose time is over gets little more. */
static void undo(struct making *m, sbx_status why)
{
    int is_over = why == SBX_E_TIMEOUT || why == SBX_E_CANCELLED;
    struct sbx_call call = {.size = sizeof call,
                            .deadline_ns = clock_now_ns() + (is_over ? LATE_MS : ABORT_MS) * MS_NS};
    close_one(&m->lifeline[1]);
    if (m->is_lost && m->id[0] == '\0' && !is_there(m, &call))
        call_maybe_applied(m->call, m->name);
    if (m->id[0] != '\0' && handle_destroy(m->b, m->id, m->key, &call) != SBX_OK)
        call_maybe_applied(m->call, m->id);
    if (m->entry_fd >= 0)
        entry_remove(&m->b->entries, m->key);
}

static sbx_status make(struct making *m, struct sbx_handle **out)
{
    struct sbx_handle *h = NULL;
    sbx_status status = make_container(m);
    if (status == SBX_OK)
        status = write_entry(m);
    if (status == SBX_OK)
        status = start(m);
    if (status == SBX_OK)
        status = handle_make(m->b, m->id, m->key, m->args.memory_mib != 0, m->call, &h);
    if (status == SBX_OK && h->link == NULL && !h->api)
        status = call_fail(m->call, SBX_E_GONE, "create: '%s/%s' was taken away meanwhile", m->b->entries.path, m->key);
    if (status == SBX_OK)
        status = h->api ? make_workdir(m, h) : greet(m, h);
    if (status == SBX_OK && m->lifeline[1] >= 0)
        status = lifelines_keep(&m->b->lifelines, m->id, &m->lifeline[1], m->call);
    if (status == SBX_OK)
        *out = h;
    else
        handle_ops.release(h);
    return status;
}

sbx_status create_container(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                            struct sbx_handle **out)
{
    CLEANUP(making_finish)
    struct making m = {.b = b, .call = call, .entry_fd = -1, .listen_fd = -1, .meet_fd = -1, .lifeline = {-1, -1}};
    m.api = b->settings.guest_use == GUEST_NEVER;
    m.relay = !m.api && b->settings.socket == NULL;
    sbx_status status = sbx_take(&m.args, sizeof m.args, args);
    if (status != SBX_OK)
        return call_fail(call, status, "create: arguments of a newer version");
    status = call_check(call);
    if (status == SBX_OK)
        status = plan_check(&m);
    if (status == SBX_OK)
        status = get_image(&m);
    if (status == SBX_OK)
        status = take_defaults(&m);
    if (status == SBX_OK)
        status = make_entry(&m);
    if (status == SBX_OK)
        status = make(&m, out);
    if (status == SBX_OK)
        return SBX_OK;
    undo(&m, status);
    if (status == SBX_E_EXISTS && m.args.client_token != NULL)
        status = attach_twin(&m, out);
    return status;
}
