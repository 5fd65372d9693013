/* SPDX-License-Identifier: MIT */
#include "guest/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

/* --- in ----------------------------------------------------------------------------------------------------------- */

void stream_in_init(struct stream_in *s, int fd)
{
    *s = (struct stream_in){.fd = fd, .last = '\n'};
}

static void in_close(struct stream_in *s, struct request *r)
{
    if (s->fd >= 0 && s->sock)
        (void)shutdown(s->fd, SHUT_WR);
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    if (s->len > 0)
        request_consumed(r, s->len);
    s->len = 0;
}

static void in_break(struct stream_in *s, struct request *r)
{
    s->broken = 1;
    in_close(s, r);
}

void stream_in_finish(struct stream_in *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    free(s->data);
    *s = (struct stream_in){.fd = -1};
}

/* Writes what the descriptor takes; how much that was. Closes it when nobody reads any more. */
static size_t in_write(struct stream_in *s, struct request *r, const unsigned char *data, size_t len)
{
    size_t done = 0;
    while (s->fd >= 0 && done < len) {
        ssize_t n = write(s->fd, data + done, len - done);
        if (n > 0) {
            done += (size_t)n;
            s->last = data[done - 1];
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else {
            in_break(s, r);
        }
    }
    return s->fd < 0 ? len : done;
}

/* A terminal has no end of input: its end-of-file character is typed, twice where a line is unfinished. */
static void in_type_eof(struct stream_in *s)
{
    struct termios t;
    if (tcgetattr(s->fd, &t) != 0)
        return;
    unsigned char c[2] = {t.c_cc[VEOF], t.c_cc[VEOF]};
    size_t len = (t.c_lflag & ICANON) != 0 && s->last != '\n' && s->last != '\r' ? 2 : 1;
    (void)!write(s->fd, c, len);
}

static void in_end(struct stream_in *s, struct request *r)
{
    if (!s->eof || s->len > 0 || s->fd < 0 || s->held)
        return;
    s->eof = 0;
    if (s->tty)
        in_type_eof(s);
    else
        in_close(s, r);
}

void stream_in_feed(struct stream_in *s, struct request *r, const unsigned char *data, size_t len, int eof)
{
    s->eof = eof;
    if (s->len == 0 && len > 0 && !s->held) {
        size_t done = in_write(s, r, data, len);
        request_consumed(r, done);
        data += done;
        len -= done;
    }
    if (len > 0 && (s->fd >= 0 || s->held)) {
        if (s->data == NULL && (s->data = malloc(WIRE_WINDOW)) == NULL) {
            r->c->broken = 1;
            return;
        }
        if (s->start + s->len + len > WIRE_WINDOW) {
            memmove(s->data, s->data + s->start, s->len);
            s->start = 0;
        }
        memcpy(s->data + s->start + s->len, data, len); /* the credit keeps it within the window */
        s->len += len;
    }
    in_end(s, r);
}

void stream_in_watch(struct stream_in *s, struct watch *w)
{
    s->got = 0;
    if (s->fd >= 0 && (!s->tty || s->len > 0))
        watch_fd(w, s->fd, s->len > 0 ? POLLOUT : 0, &s->got);
}

void stream_in_pump(struct stream_in *s, struct request *r)
{
    if (s->fd < 0 || s->got == 0)
        return;
    if (s->len > 0) {
        size_t all = s->len;
        size_t done = in_write(s, r, s->data + s->start, all);
        if (s->fd < 0)
            return;
        s->start += done;
        s->len -= done;
        if (s->len == 0)
            s->start = 0;
        request_consumed(r, done);
        in_end(s, r);
    } else if ((s->got & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        in_break(s, r);
    }
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

void stream_out_init(struct stream_out *s, int fd, unsigned stream)
{
    *s = (struct stream_out){.fd = fd, .stream = stream, .cap = UINT64_MAX};
}

void stream_out_finish(struct stream_out *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

static size_t out_want(const struct stream_out *s, const struct request *r)
{
    uint64_t want = WIRE_MAX_PAYLOAD;
    if (want > r->out_credit[s->stream])
        want = r->out_credit[s->stream];
    if (want > conn_room(r->c))
        want = conn_room(r->c);
    return (size_t)(want > s->cap - s->bytes ? s->cap - s->bytes : want);
}

void stream_out_watch(struct stream_out *s, const struct request *r, struct watch *w)
{
    s->got = 0;
    if (s->fd >= 0 && out_want(s, r) > 0)
        watch_fd(w, s->fd, POLLIN, &s->got);
}

int stream_out_pump(struct stream_out *s, struct request *r)
{
    while (s->fd >= 0) {
        size_t want = out_want(s, r);
        if (want == 0)
            return s->bytes == s->cap;
        unsigned char *to = frame_data_begin(r->c, r->id, s->stream, want);
        if (to == NULL)
            return 0;
        ssize_t n = read(s->fd, to, want);
        frame_data_finish(r->c, n > 0 ? (size_t)n : 0);
        if (n > 0) {
            s->bytes += (uint64_t)n;
            r->out_credit[s->stream] -= (uint64_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 1;
        s->error = n < 0 ? errno : 0;
        stream_out_finish(s); /* its end; for a terminal that is EIO */
    }
    return 1;
}
