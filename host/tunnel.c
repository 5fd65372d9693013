/* SPDX-License-Identifier: MIT
 *
 * tunnel.c - connections into the sandbox: one on the caller's descriptors, or a listener of this machine's loopback
 * that carries each connection on a thread of its own.
 */
#include "base/cleanup.h"
#include "host/api.h"
#include "host/error.h"
#include "host/op.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define CARRIED_MAX 64
#define PORT_MAX    65535
#define BACKLOG     128
#define PAUSE_MS    100 /* before accepting again when there was no descriptor or memory */

/* --- one connection --------------------------------------------------------------------------------------------- */

/* A sink whose end is told by a write of no bytes: the caller's peer learns it by a half close. */
struct dial_sink {
    struct sbx_sink sink;
    struct flow_sink flow;
    int fd;
};

static int32_t dial_write(void *user, const void *data, size_t len)
{
    struct dial_sink *s = user;
    if (len > 0)
        return flow_sink_write(&s->flow, data, len);
    (void)shutdown(s->fd, SHUT_WR); /* what is no socket has no half to close */
    return 0;
}

static sbx_status carry(struct border_call *c, struct sbx_sandbox *box, uint32_t port, int in_fd, int out_fd)
{
    struct flow_source source;
    struct dial_sink out = {.sink = {.size = sizeof out.sink, .user = &out, .write = dial_write}, .fd = out_fd};
    flow_source_of_fd(&source, in_fd);
    flow_sink_init(&out.flow, &c->call);
    flow_sink_to_fd(&out.flow, out_fd);
    sbx_status status = border_dial(c, box, port, &source.source, &out.sink);
    return flow_verdict(c, status, &out.flow, &source);
}

static sbx_status check_dial(struct border_call *c, struct sbx_sandbox *box, uint32_t port)
{
    if (port == 0 || port > PORT_MAX)
        return border_fail(c, SBX_E_INVALID, "there is no port %u", port);
    return border_needs(c, box, SBX_EXT_DIAL);
}

sbx_status sbx_dial(sbx_sandbox *box, uint32_t port, int32_t in_fd, int32_t out_fd, const struct sbx_call_options *call,
                    struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "dial", SBX_EXT_DIAL, call, error);
    if (status != SBX_OK)
        return status;
    status =
        in_fd < 0 || out_fd < 0 ? border_fail(&c, SBX_E_INVALID, "a negative descriptor") : check_dial(&c, box, port);
    if (status == SBX_OK)
        status = carry(&c, box, port, in_fd, out_fd);
    return border_end(&c, status, error);
}

/* --- a listener --------------------------------------------------------------------------------------------------- */

struct carried {
    struct sbx_tunnel_handle *tunnel;
    pthread_t thread;
    int fd;
    int used;        /* the listener's thread alone looks at it */
    atomic_int over; /* its thread can be joined without waiting */
};

struct sbx_tunnel_handle {
    struct sbx_sandbox *box;
    uint32_t port;
    int listen_fd;
    int stop_fd; /* readable: everything ends */
    int over_fd; /* readable: some connection is over */
    pthread_t thread;
    struct carried carried[CARRIED_MAX];
};

static void *carried_run(void *user)
{
    struct carried *one = user;
    struct sbx_tunnel_handle *t = one->tunnel;
    struct sbx_error error = SBX_INIT(error);
    const struct sbx_call_options call = {.size = sizeof call, .flags = SBX_CALL_CANCEL_FD, .cancel_fd = t->stop_fd};
    sbx_status status = sbx_dial(t->box, t->port, one->fd, one->fd, &call, &error);
    if (status != SBX_OK && status != SBX_E_CANCELLED && status != SBX_E_STOPPED)
        log_line(t->box->instance->context->log, SBX_LOG_INFO, "tunnel", "%s", error.message);
    /* Now, not when it is joined: the peer waits for it. */
    (void)close(one->fd);
    uint64_t count = 1;
    atomic_store(&one->over, 1);
    (void)!write(t->over_fd, &count, sizeof count);
    return NULL;
}

/* Joins what is over; with `all` waits for the rest too. A free place, or NULL. */
static struct carried *reap(struct sbx_tunnel_handle *t, int all)
{
    struct carried *room = NULL;
    uint64_t count;
    (void)!read(t->over_fd, &count, sizeof count);
    for (size_t i = 0; i < CARRIED_MAX; i++) {
        struct carried *one = &t->carried[i];
        if (one->used && (all || atomic_load(&one->over))) {
            (void)pthread_join(one->thread, NULL);
            one->used = 0;
        }
        if (!one->used)
            room = one;
    }
    return room;
}

/* 0, or -1 when there was no descriptor, thread or memory for it. */
static int take_one(struct sbx_tunnel_handle *t, struct carried *room)
{
    int fd = accept4(t->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? -1 : 0;
    room->tunnel = t;
    room->fd = fd;
    atomic_store(&room->over, 0);
    if (op_start_thread(&room->thread, carried_run, room) != 0) {
        (void)close(fd);
        return -1;
    }
    room->used = 1;
    return 0;
}

static void *listen_run(void *user)
{
    struct sbx_tunnel_handle *t = user;
    struct carried *room = &t->carried[0];
    for (;;) {
        struct pollfd fds[] = {{.fd = t->stop_fd, .events = POLLIN},
                               {.fd = t->over_fd, .events = POLLIN},
                               {.fd = room != NULL ? t->listen_fd : -1, .events = POLLIN}};
        (void)poll(fds, 3, -1);
        if (fds[0].revents != 0)
            break;
        if (room != NULL && fds[2].revents != 0 && take_one(t, room) != 0)
            (void)poll(fds, 1, PAUSE_MS);
        room = reap(t, 0);
    }
    (void)reap(t, 1);
    return NULL;
}

static int listen_at(uint32_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t len = sizeof at;
    const int yes = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return -1;
    *port = ntohs(at.sin_port);
    return steal_fd(&fd);
}

static void destroy(struct sbx_tunnel_handle *t)
{
    const int fds[] = {t->listen_fd, t->stop_fd, t->over_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    free(t);
}

static sbx_status start(struct border_call *c, struct sbx_tunnel_handle *t, uint32_t *local_port)
{
    char text[128];
    uint32_t port = *local_port;
    t->listen_fd = listen_at(&port);
    if (t->listen_fd < 0)
        return border_fail(c, errno == EADDRINUSE ? SBX_E_BUSY : SBX_E_FAILED, "127.0.0.1:%u: %s", port,
                           strerror_r(errno, text, sizeof text));
    t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->stop_fd < 0 || t->over_fd < 0)
        return border_fail(c, SBX_E_FAILED, "no descriptor left");
    int cause = op_start_thread(&t->thread, listen_run, t);
    if (cause != 0)
        return border_fail(c, SBX_E_BUSY, "no thread: %s", strerror_r(cause, text, sizeof text));
    *local_port = port;
    return SBX_OK;
}

sbx_status sbx_tunnel_open(sbx_sandbox *box, uint32_t port, uint32_t *local_port, sbx_tunnel_handle **out,
                           struct sbx_error *error)
{
    struct border_call c;
    if (out == NULL || local_port == NULL)
        return error_set(error, SBX_E_INVALID, "tunnel: no place for the tunnel or its port");
    *out = NULL;
    sbx_status status = api_begin(&c, box, "tunnel", SBX_EXT_DIAL, NULL, error);
    if (status != SBX_OK)
        return status;
    status = *local_port > PORT_MAX ? border_fail(&c, SBX_E_INVALID, "there is no port %u", *local_port)
                                    : check_dial(&c, box, port);
    if (status != SBX_OK)
        return border_end(&c, status, error);
    struct sbx_tunnel_handle *t = calloc(1, sizeof *t);
    if (t == NULL)
        return border_end(&c, border_fail(&c, SBX_E_NO_MEMORY, "%s", ""), error);
    t->box = box;
    t->port = port;
    t->listen_fd = t->stop_fd = t->over_fd = -1;
    status = start(&c, t, local_port);
    if (status == SBX_OK)
        *out = t;
    else
        destroy(t);
    return border_end(&c, status, error);
}

void sbx_tunnel_close(sbx_tunnel_handle *tunnel)
{
    uint64_t one = 1;
    if (tunnel == NULL)
        return;
    (void)!write(tunnel->stop_fd, &one, sizeof one);
    (void)pthread_join(tunnel->thread, NULL);
    destroy(tunnel);
}
