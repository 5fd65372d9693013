/* SPDX-License-Identifier: MIT */
#include "host/flow.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* --- capture ---------------------------------------------------------------------------------------------------- */

void capture_init(struct capture *c, size_t max, int keep_tail)
{
    *c = (struct capture){.max = max, .keep_tail = keep_tail};
    buf_init(&c->data, max);
}

void capture_finish(struct capture *c)
{
    buf_finish(&c->data);
}

/* The last bytes stay: data is full and becomes a ring. */
static void ring_add(struct capture *c, const unsigned char *bytes, size_t len)
{
    if (len > c->max) {
        bytes += len - c->max;
        len = c->max;
    }
    size_t first = c->max - c->start < len ? c->max - c->start : len;
    memcpy(c->data.data + c->start, bytes, first);
    memcpy(c->data.data, bytes + first, len - first);
    c->start = (c->start + len) % c->max;
}

void capture_add(struct capture *c, const void *data, size_t len)
{
    if (c->failed)
        return;
    size_t room = c->max - c->data.len;
    size_t head = len < room ? len : room;
    if (head > 0 && buf_append(&c->data, data, head) != 0) {
        c->failed = 1;
        return;
    }
    if (head == len)
        return;
    c->dropped = 1;
    if (c->keep_tail && c->max > 0)
        ring_add(c, (const unsigned char *)data + head, len - head);
}

static void reverse(char *data, size_t from, size_t to)
{
    while (from + 1 < to) {
        char swapped = data[from];
        data[from++] = data[--to];
        data[to] = swapped;
    }
}

void capture_settle(struct capture *c)
{
    if (c->start == 0)
        return;
    reverse(c->data.data, 0, c->start);
    reverse(c->data.data, c->start, c->data.len);
    reverse(c->data.data, 0, c->data.len);
    c->start = 0;
}

/* --- meters ----------------------------------------------------------------------------------------------------- */

static void count(struct meter *meter, uint64_t bytes)
{
    if (meter == NULL || meter->on_progress == NULL || bytes == 0)
        return;
    meter->bytes += bytes;
    meter->on_progress(meter->user, meter->bytes);
}

/* --- sinks ------------------------------------------------------------------------------------------------------ */

enum { FD_FILE, FD_SOCKET, FD_PIPE, FD_OTHER };

void flow_sink_init(struct flow_sink *s, const struct sbx_call *call)
{
    *s = (struct flow_sink){
        .sink = {.size = sizeof s->sink, .user = s, .write = flow_sink_write}, .call = call, .fd = -1};
}

void flow_sink_to_fd(struct flow_sink *s, int fd)
{
    struct stat st;
    s->fd = fd;
    s->fd_kind = FD_OTHER;
    if (fstat(fd, &st) != 0)
        return;
    if (S_ISREG(st.st_mode))
        s->fd_kind = FD_FILE;
    else if (S_ISSOCK(st.st_mode))
        s->fd_kind = FD_SOCKET;
    else if (S_ISFIFO(st.st_mode))
        s->fd_kind = FD_PIPE;
}

static int32_t sink_stop(struct flow_sink *s, sbx_status why, int os_errno)
{
    s->stop = why;
    s->os_errno = os_errno;
    return 1;
}

/* write(2) without SIGPIPE reaching the program: the signal is held back on this thread and taken away again. */
static ssize_t write_quietly(int fd, const void *data, size_t len, int nowait)
{
    sigset_t pipe_set;
    sigset_t old;
    sigset_t pending;
    (void)sigemptyset(&pipe_set);
    (void)sigaddset(&pipe_set, SIGPIPE);
    (void)sigpending(&pending);
    int was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    ssize_t written = nowait ? pwritev2(fd, &part, 1, -1, RWF_NOWAIT) : write(fd, data, len);
    int cause = errno;
    if (written < 0 && cause == EPIPE && !was_pending) {
        const struct timespec now = {0, 0};
        while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR)
            continue;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = cause;
    return written;
}

/* One attempt that never waits long: bytes written, or -1 with EAGAIN when there is no room. */
static ssize_t write_some(struct flow_sink *s, const void *data, size_t len)
{
    if (s->fd_kind == FD_FILE)
        return write(s->fd, data, len);
    if (s->fd_kind == FD_SOCKET)
        return send(s->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (s->fd_kind == FD_PIPE) {
        ssize_t written = write_quietly(s->fd, data, len, 1);
        if (written >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS && errno != ESPIPE))
            return written;
        s->fd_kind = FD_OTHER; /* this kernel cannot: small pieces after poll instead */
    }
    sbx_status status = gate_poll(s->call, s->fd, POLLOUT, 0);
    if (status != SBX_OK) {
        s->stop = status;
        errno = ETIMEDOUT;
        return -1;
    }
    return write_quietly(s->fd, data, len < PIPE_BUF ? len : PIPE_BUF, 0);
}

static int32_t write_fd(struct flow_sink *s, const unsigned char *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write_some(s, data, len);
        if (written >= 0) {
            data += written;
            len -= (size_t)written;
            continue;
        }
        if (s->stop != SBX_OK)
            return 1;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return sink_stop(s, errno == EPIPE ? SBX_E_STOPPED : SBX_E_FAILED, errno);
        sbx_status status = gate_poll(s->call, s->fd, POLLOUT, 0);
        if (status != SBX_OK)
            return sink_stop(s, status, 0);
    }
    return 0;
}

int32_t flow_sink_write(void *flow_sink, const void *data, size_t len)
{
    struct flow_sink *s = flow_sink;
    /* A plugin that goes on after a stop reaches nobody. */
    if (s->stop != SBX_OK)
        return 1;
    if (data == NULL && len > 0)
        return sink_stop(s, SBX_E_PROTOCOL, 0);
    if (len == 0)
        return 0;
    if (s->max != 0 && len > s->max - s->bytes)
        return sink_stop(s, SBX_E_TOO_LARGE, 0);
    s->bytes += len;
    if (s->capture != NULL) {
        capture_add(s->capture, data, len);
        if (s->capture->failed)
            return sink_stop(s, SBX_E_NO_MEMORY, 0);
    }
    if (s->fd >= 0 && write_fd(s, data, len) != 0)
        return 1;
    sbx_status status = s->deliver != NULL ? s->deliver(s->user, s->stream, data, len) : SBX_OK;
    if (status != SBX_OK)
        return sink_stop(s, status, 0);
    count(s->meter, len);
    return 0;
}

/* --- sources ---------------------------------------------------------------------------------------------------- */

static int64_t source_stop(struct flow_source *s, sbx_status why, int os_errno)
{
    s->stop = why;
    s->os_errno = os_errno;
    return -1;
}

static int64_t read_fd(struct flow_source *s, void *buf, size_t cap)
{
    for (;;) {
        if ((s->source.flags & SBX_SOURCE_HAS_FD) != 0) {
            struct pollfd fd = {.fd = s->fd, .events = POLLIN};
            int ready = poll(&fd, 1, 0);
            if (ready == 0)
                return SBX_AGAIN;
            if (ready > 0 && (fd.revents & POLLNVAL) != 0)
                return source_stop(s, SBX_E_FAILED, EBADF);
        }
        ssize_t got = read(s->fd, buf, cap);
        if (got >= 0)
            return got;
        if ((errno == EAGAIN || errno == EWOULDBLOCK) && (s->source.flags & SBX_SOURCE_HAS_FD) != 0)
            return SBX_AGAIN;
        if (errno != EINTR)
            return source_stop(s, SBX_E_FAILED, errno);
    }
}

static int64_t source_take(struct flow_source *s, void *buf, size_t cap)
{
    if (s->stop != SBX_OK)
        return -1;
    if (cap > (size_t)INT64_MAX / 2 || buf == NULL)
        return source_stop(s, SBX_E_PROTOCOL, 0);
    if (s->read != NULL) {
        int64_t got = s->read(s->user, buf, cap);
        if (got == SBX_AGAIN && (s->source.flags & SBX_SOURCE_HAS_FD) != 0)
            return got;
        if (got < 0 || (uint64_t)got > cap)
            return s->stop != SBX_OK ? -1 : source_stop(s, SBX_E_STOPPED, 0);
        return got;
    }
    if (s->fd >= 0)
        return read_fd(s, buf, cap);
    size_t given = cap < s->left ? cap : s->left;
    if (given > 0)
        memcpy(buf, s->data, given);
    s->data += given;
    s->left -= given;
    return (int64_t)given;
}

static int64_t source_read(void *user, void *buf, size_t cap)
{
    struct flow_source *s = user;
    int64_t got = source_take(s, buf, cap);
    count(s->meter, got > 0 ? (uint64_t)got : 0);
    return got;
}

static void source_init(struct flow_source *s)
{
    *s = (struct flow_source){.source = {.size = sizeof s->source, .user = s, .read = source_read, .ready_fd = -1},
                              .fd = -1};
}

void flow_source_of_memory(struct flow_source *s, const void *data, size_t len)
{
    static const unsigned char nothing[1] = {0};
    source_init(s);
    s->data = data != NULL ? data : nothing;
    s->left = data != NULL ? len : 0;
}

void flow_source_of_fd(struct flow_source *s, int fd)
{
    struct stat st;
    source_init(s);
    s->fd = fd;
    /* A regular file never makes anybody wait, and epoll would refuse it. */
    if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode)))
        return;
    s->source.flags = SBX_SOURCE_HAS_FD;
    s->source.ready_fd = fd;
}

void flow_source_of_callback(struct flow_source *s, int64_t (*read)(void *user, void *buf, size_t cap), void *user)
{
    source_init(s);
    s->read = read;
    s->user = user;
}

/* --- verdicts --------------------------------------------------------------------------------------------------- */

void flow_size_text(uint64_t bytes, char *text, size_t size)
{
    const uint64_t mib = 1u << 20;
    if (bytes >= mib && bytes % mib == 0)
        (void)snprintf(text, size, "%llu MiB", (unsigned long long)(bytes / mib));
    else
        (void)snprintf(text, size, "%llu bytes", (unsigned long long)bytes);
}

static sbx_status explain(struct border_call *c, sbx_status why, int os_errno, const char *what)
{
    char reason[128];
    if (os_errno != 0)
        (void)border_fail(c, why, "the caller's %s: %s", what, strerror_r(os_errno, reason, sizeof reason));
    else if (why == SBX_E_PROTOCOL)
        (void)border_fail(c, why, "the provider used the %s stream wrongly", what);
    else
        (void)border_fail(c, why, "%s", ""); /* the code has a text of its own */
    c->error.os_errno = os_errno;
    return why;
}

sbx_status flow_verdict(struct border_call *c, sbx_status status, const struct flow_sink *sink,
                        const struct flow_source *source)
{
    /* A command that ended in spite of a stopped stream has ended; what it said is cut off, though. */
    if (sink != NULL && sink->stop == SBX_E_TOO_LARGE) {
        char limit[48];
        flow_size_text(sink->max, limit, sizeof limit);
        return border_fail(c, SBX_E_TOO_LARGE, "larger than the limit of %s", limit);
    }
    if (sink != NULL && sink->stop != SBX_OK)
        return explain(c, sink->stop, sink->os_errno, "output");
    if (source != NULL && source->stop != SBX_OK)
        return explain(c, source->stop, source->os_errno, "input");
    return status;
}
