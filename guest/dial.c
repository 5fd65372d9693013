/* SPDX-License-Identifier: MIT
 *
 * dial.c - OP_DIAL: a connection to a port of the sandbox's loopback.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/stream.h"

enum { CONNECT_MS = 10000 };
static const int64_t MS = 1000000;

struct dial {
    uint16_t port;
    int family; /* being tried */
    int fd;     /* until it is connected */
    short got;
    int64_t until_ns;
    int connected;
    int told; /* the client knows that the other side has ended its direction */
    struct stream_in in;
    struct stream_out out;
};

/* Begins a connection; -1 with errno when it failed at once. */
static int try(struct dial *d, int family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    socklen_t size = family == AF_INET ? sizeof to.v4 : sizeof to.v6;
    memset(&to, 0, sizeof to);
    if (family == AF_INET) {
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = htons(d->port);
        to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_port = htons(d->port);
        to.v6.sin6_addr = in6addr_loopback;
    }
    d->family = family;
    CLEANUP_FD int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || (connect(fd, &to.any, size) != 0 && errno != EINPROGRESS))
        return -1;
    d->fd = steal_fd(&fd);
    return 0;
}

static void refuse(struct request *r, int error)
{
    const struct dial *d = r->state;
    request_fail(r, SBX_E_UNAVAILABLE, error, "nothing listens at port %u: %s", (unsigned)d->port, strerror(error));
}

/* This attempt failed with `error`: the next one, or the end of the request. */
static void next(struct request *r, int error)
{
    struct dial *d = r->state;
    if (d->fd >= 0)
        (void)close(d->fd);
    d->fd = -1;
    if (d->family != AF_INET || try(d, AF_INET6) != 0)
        refuse(r, error);
}

static void dial_start(struct request *r, const struct fields *f)
{
    uint64_t port = f->number[F_PORT];
    if (port < 1 || port > UINT16_MAX) {
        request_fail(r, SBX_E_INVALID, 0, "no port %" PRIu64, port);
        return;
    }
    struct dial *d = calloc(1, sizeof *d);
    if (d == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory");
        return;
    }
    *d = (struct dial){.port = (uint16_t)port, .fd = -1, .until_ns = clock_now_ns() + CONNECT_MS * MS};
    stream_in_init(&d->in, -1);
    d->in.held = 1;
    stream_out_init(&d->out, -1, STREAM_OUT);
    r->state = d;
    if (try(d, AF_INET) != 0)
        next(r, errno);
}

static void connected(struct request *r)
{
    struct dial *d = r->state;
    int copy = fcntl(d->fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        request_fail(r, status_of(errno), errno, "no descriptor: %s", strerror(errno));
        return;
    }
    d->connected = 1;
    stream_out_init(&d->out, steal_fd(&d->fd), STREAM_OUT);
    d->in.fd = copy;
    d->in.sock = 1;
    d->in.held = 0;
    d->in.got = POLLOUT;
    stream_in_pump(&d->in, r); /* what came meanwhile */
    stream_in_feed(&d->in, r, NULL, 0, d->in.eof);
    frame_begin(r->c, FRAME_STARTED, r->id);
    frame_finish(r->c);
}

/* A port that nobody listens at may be the very one that the kernel chose for our end: that end then meets itself, and
 * keeps the port from whoever is about to listen there. It is let go of without a trace. */
static int met_itself(int fd)
{
    struct sockaddr_in6 ours, theirs; /* the port is at the same place for both families */
    socklen_t ours_size = sizeof ours, theirs_size = sizeof theirs;
    if (getsockname(fd, (struct sockaddr *)&ours, &ours_size) != 0 ||
        getpeername(fd, (struct sockaddr *)&theirs, &theirs_size) != 0 || ours.sin6_port != theirs.sin6_port)
        return 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(const struct linger){.l_onoff = 1}, sizeof(struct linger));
    return 1;
}

/* Whether the connection is there by now. */
static void look(struct request *r)
{
    struct dial *d = r->state;
    int error = 0;
    socklen_t size = sizeof error;
    struct pollfd p = {.fd = d->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) == 0) {
        if (clock_now_ns() >= d->until_ns)
            refuse(r, ETIMEDOUT);
        return;
    }
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error == 0 && met_itself(d->fd))
        error = ECONNREFUSED;
    if (error != 0)
        next(r, error);
    else
        connected(r);
}

static void dial_feed(struct request *r, const unsigned char *data, size_t len, int eof)
{
    struct dial *d = r->state;
    stream_in_feed(&d->in, r, data, len, eof);
}

static void dial_watch(struct request *r, struct watch *w)
{
    struct dial *d = r->state;
    d->got = 0;
    if (d->fd >= 0) {
        watch_fd(w, d->fd, POLLOUT, &d->got);
        watch_until(w, d->until_ns);
        return;
    }
    /* A connection whose peer went away says so again and again: only what can go on is asked for. */
    d->in.got = 0;
    if (d->in.fd >= 0 && d->in.len > 0)
        watch_fd(w, d->in.fd, POLLOUT, &d->in.got);
    stream_out_watch(&d->out, r, w);
}

static void tell_end(struct request *r)
{
    struct dial *d = r->state;
    d->told = 1;
    frame_end_of_stream(r->c, r->id, STREAM_OUT);
}

static void dial_pump(struct request *r)
{
    struct dial *d = r->state;
    if (d->fd >= 0) {
        look(r);
        if (r->done || d->fd >= 0)
            return;
    }
    stream_in_pump(&d->in, r);
    (void)stream_out_pump(&d->out, r);
    if (d->out.fd < 0 && d->out.error != 0) {
        request_fail(r, SBX_E_FAILED, d->out.error, "the connection to port %u broke: %s", (unsigned)d->port,
                     strerror(d->out.error));
        return;
    }
    if (d->out.fd < 0 && !d->told)
        tell_end(r);
    if (d->out.fd < 0 && d->in.fd < 0)
        request_end(r);
}

static void dial_release(struct request *r)
{
    struct dial *d = r->state;
    if (d == NULL)
        return;
    if (d->fd >= 0)
        (void)close(d->fd);
    stream_in_finish(&d->in);
    stream_out_finish(&d->out);
    free(d);
}

const struct request_kind op_dial = {
    .op = OP_DIAL,
    .takes = FIELD(F_PORT),
    .requires = FIELD(F_PORT),
    .input = 1,
    .start = dial_start,
    .feed = dial_feed,
    .watch = dial_watch,
    .pump = dial_pump,
    .release = dial_release,
};
