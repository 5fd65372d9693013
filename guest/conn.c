/* SPDX-License-Identifier: MIT */
#include "guest/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/request.h"

struct conn *conn_open(struct guest *g, int in_fd, int out_fd)
{
    struct conn *c = calloc(1, sizeof *c);
    unsigned char *in = malloc(CONN_IN_SIZE);
    if (c == NULL || in == NULL) {
        free(c);
        free(in);
        return NULL;
    }
    *c = (struct conn){.g = g, .in_fd = in_fd, .out_fd = out_fd, .in = in};
    c->next = g->conns;
    g->conns = c;
    g->conn_count++;
    return c;
}

void conn_close(struct conn *c)
{
    for (struct conn **at = &c->g->conns; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            c->g->conn_count--;
            break;
        }
    }
    request_close_all(c);
    (void)close(c->in_fd);
    if (c->out_fd != c->in_fd)
        (void)close(c->out_fd);
    free(c->in);
    free(c->out);
    free(c);
}

size_t conn_room(const struct conn *c)
{
    size_t used = c->out_end - c->out_start;
    return c->broken || used >= CONN_OUT_SOFT ? 0 : CONN_OUT_SOFT - used;
}

void conn_watch(struct conn *c, struct watch *w)
{
    short in = c->out_end - c->out_start < CONN_OUT_PAUSE && !c->waits ? POLLIN : 0;
    short out = c->out_end > c->out_start ? POLLOUT : 0;
    c->out_got = 0;
    if (c->in_fd == c->out_fd) {
        watch_fd(w, c->in_fd, (short)(in | out), &c->in_got);
        return;
    }
    watch_fd(w, c->in_fd, in, &c->in_got);
    watch_fd(w, c->out_fd, out, &c->out_got);
}

/* --- out ------------------------------------------------------------------------------------------------------ */

/* Room for `more` bytes at the end; 0, or -1 with the connection broken. */
static int out_reserve(struct conn *c, size_t more)
{
    if (c->broken)
        return -1;
    if (c->out_start == c->out_end)
        c->out_start = c->out_end = 0;
    if (more <= c->out_cap - c->out_end)
        return 0;
    size_t used = c->out_end - c->out_start;
    if (c->out_start > 0) {
        memmove(c->out, c->out + c->out_start, used);
        c->frame -= c->out_start < c->frame ? c->out_start : c->frame;
        c->out_start = 0;
        c->out_end = used;
    }
    if (more <= c->out_cap - used)
        return 0;
    size_t cap = c->out_cap == 0 ? 4096 : c->out_cap;
    while (cap < used + more)
        cap *= 2;
    unsigned char *out = cap > CONN_OUT_LIMIT ? NULL : realloc(c->out, cap);
    if (out == NULL) {
        c->broken = 1;
        return -1;
    }
    c->out = out;
    c->out_cap = cap;
    return 0;
}

static void out_put(struct conn *c, const void *data, size_t len)
{
    if (out_reserve(c, len) != 0)
        return;
    if (len > 0)
        memcpy(c->out + c->out_end, data, len);
    c->out_end += len;
}

static void head_begin(struct conn *c, struct wire_head head)
{
    unsigned char bytes[WIRE_HEADER];
    wire_put_head(bytes, head);
    if (out_reserve(c, WIRE_HEADER) != 0)
        return;
    c->frame = c->out_end;
    out_put(c, bytes, sizeof bytes);
}

void frame_begin(struct conn *c, enum wire_frame type, uint32_t id)
{
    head_begin(c, (struct wire_head){.type = (uint8_t)type, .id = id});
}

void frame_bytes(struct conn *c, enum wire_field tag, const void *data, size_t len)
{
    unsigned char head[8];
    wire_put16(head, tag);
    wire_put16(head + 2, 0);
    wire_put32(head + 4, (uint32_t)len);
    out_put(c, head, sizeof head);
    out_put(c, data, len);
}

void frame_number(struct conn *c, enum wire_field tag, uint64_t value)
{
    unsigned char bytes[8];
    wire_put64(bytes, value);
    frame_bytes(c, tag, bytes, sizeof bytes);
}

void frame_finish(struct conn *c)
{
    if (!c->broken)
        wire_put32(c->out + c->frame, (uint32_t)(c->out_end - c->frame - WIRE_HEADER));
}

unsigned char *frame_data_begin(struct conn *c, uint32_t id, unsigned stream, size_t room)
{
    head_begin(c, (struct wire_head){.type = FRAME_DATA, .stream = (uint8_t)stream, .id = id});
    return out_reserve(c, room) == 0 ? c->out + c->out_end : NULL;
}

void frame_data_finish(struct conn *c, size_t len)
{
    if (c->broken)
        return;
    c->out_end = len == 0 ? c->frame : c->out_end + len;
    if (len > 0)
        frame_finish(c);
}

void frame_end_of_stream(struct conn *c, uint32_t id, unsigned stream)
{
    head_begin(c, (struct wire_head){.type = FRAME_DATA, .flags = FLAG_EOF, .stream = (uint8_t)stream, .id = id});
    frame_finish(c);
}

void frame_credit(struct conn *c, uint32_t id, unsigned stream, uint32_t more)
{
    unsigned char bytes[4];
    wire_put32(bytes, more);
    head_begin(c, (struct wire_head){.type = FRAME_CREDIT, .stream = (uint8_t)stream, .id = id});
    out_put(c, bytes, sizeof bytes);
    frame_finish(c);
}

void conn_flush(struct conn *c)
{
    while (!c->broken && c->out_end > c->out_start) {
        ssize_t n = write(c->out_fd, c->out + c->out_start, c->out_end - c->out_start);
        if (n > 0) {
            c->out_start += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            c->broken = 1;
        return;
    }
}

/* --- in ------------------------------------------------------------------------------------------------------- */

/* The client's HELLO, and our answer; -1 for anything else. */
static int greet(struct conn *c, const unsigned char *payload, size_t len)
{
    struct wire_field_view f, nonce = {0};
    int more, ok = 1, version = 0;
    if (c->greeted)
        return -1;
    while ((more = wire_next_field(&payload, &len, &f)) == 1) {
        if (f.tag == F_VERSION)
            version = wire_number(&f, &ok) != 0;
        if (f.tag == F_NONCE)
            nonce = f;
    }
    if (more != 0 || !ok || !version || nonce.len != 16)
        return -1;
    c->greeted = 1;
    frame_begin(c, FRAME_HELLO, 0);
    frame_number(c, F_VERSION, WIRE_VERSION);
    frame_bytes(c, F_NONCE, nonce.data, nonce.len);
    frame_number(c, F_PID, (uint64_t)getpid());
    frame_number(c, F_FEATURES, request_features());
    frame_finish(c);
    return 0;
}

/* -1: a frame that no honest peer sends. */
static int handle(struct conn *c, const struct wire_head *h, const unsigned char *payload)
{
    if (((h->flags & FLAG_MORE) != 0 && h->type != FRAME_REQUEST) ||
        ((h->flags & FLAG_EOF) != 0 && h->type != FRAME_DATA))
        return -1;
    if (h->type == FRAME_HELLO)
        return greet(c, payload, h->len);
    if (!c->greeted)
        return -1;
    if (h->type == FRAME_REQUEST)
        return request_collect(c, h, payload);
    return request_frame(c, h, payload);
}

void conn_take(struct conn *c)
{
    size_t at = 0;
    c->waits = 0;
    while (!c->broken && c->in_len - at >= WIRE_HEADER) {
        struct wire_head h;
        if (wire_get_head(c->in + at, &h) != 0) {
            c->broken = 1;
            return;
        }
        if (c->in_len - at - WIRE_HEADER < h.len)
            break;
        c->waits = request_must_wait(c, &h, c->in + at + WIRE_HEADER);
        if (c->waits)
            break;
        if (handle(c, &h, c->in + at + WIRE_HEADER) != 0)
            c->broken = 1;
        at += WIRE_HEADER + h.len;
    }
    c->in_len -= at;
    if (c->in_len > 0 && at > 0)
        memmove(c->in, c->in + at, c->in_len);
}

void conn_read(struct conn *c)
{
    ssize_t n = read(c->in_fd, c->in + c->in_len, CONN_IN_SIZE - c->in_len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        c->broken = 1;
        return;
    }
    c->in_len += (size_t)n;
    conn_take(c);
}
