/* SPDX-License-Identifier: MIT
 *
 * fake_guest.c - a scripted guest for tests; see fake_guest.h.
 */
#include "tests/common/fake_guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
    (void)fprintf(stderr, "fake guest: %s\n", what);
    abort();
}

static int read_all(int fd, unsigned char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, data, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

void fake_bytes(struct fake_conn *c, const void *data, size_t len)
{
    const unsigned char *p = data;
    while (len > 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

int fake_read(struct fake_conn *c, struct wire_head *head, unsigned char *payload)
{
    unsigned char bytes[WIRE_HEADER];
    if (read_all(c->fd, bytes, sizeof bytes) != 0)
        return -1;
    if (wire_get_head(bytes, head) != 0)
        die("the client sent a bad head");
    return read_all(c->fd, payload, head->len);
}

static void remember(struct fake_conn *c, const struct wire_head *head, const unsigned char *payload)
{
    if (c->request.len > 0 && head->id != c->id)
        die("a request of two ids");
    c->id = head->id;
    if (buf_append(&c->request, payload, head->len) != 0)
        die("no memory");
}

int fake_request(struct fake_conn *c)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct wire_head head;
    c->request.len = 0;
    do {
        if (fake_read(c, &head, payload) != 0)
            return -1;
        if (head.type == FRAME_REQUEST)
            remember(c, &head, payload);
        else if (c->request.len > 0)
            die("a frame within a request");
    } while (head.type != FRAME_REQUEST || (head.flags & FLAG_MORE) != 0);
    c->op = (uint32_t)fake_number(c, F_OP);
    return 0;
}

int fake_until(struct fake_conn *c, enum wire_frame type)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct wire_head head;
    do {
        if (fake_read(c, &head, payload) != 0)
            return -1;
    } while (head.type != type);
    return 0;
}

void fake_frame(struct fake_conn *c, enum wire_frame type, uint8_t flags, uint8_t stream, const void *data, size_t len)
{
    unsigned char bytes[WIRE_HEADER];
    struct wire_head head = {
        .len = (uint32_t)len, .type = (uint8_t)type, .flags = flags, .stream = stream, .id = c->id};
    wire_put_head(bytes, head);
    fake_bytes(c, bytes, sizeof bytes);
    fake_bytes(c, data, len);
}

/* The index-th field of a tag in the request; 0 when there is none. */
static int find(const struct fake_conn *c, enum wire_field tag, int index, struct wire_field_view *out)
{
    const unsigned char *p = (const unsigned char *)c->request.data;
    size_t left = c->request.len;
    int more;
    while ((more = wire_next_field(&p, &left, out)) == 1)
        if (out->tag == tag && index-- == 0)
            return 1;
    if (more != 0)
        die("the client sent malformed fields");
    return 0;
}

int fake_has(const struct fake_conn *c, enum wire_field tag)
{
    struct wire_field_view field;
    return find(c, tag, 0, &field);
}

uint64_t fake_number(const struct fake_conn *c, enum wire_field tag)
{
    struct wire_field_view field;
    int ok = 1;
    if (!find(c, tag, 0, &field))
        die("a field is missing");
    uint64_t value = wire_number(&field, &ok);
    if (!ok)
        die("a field is no number");
    return value;
}

void fake_text(const struct fake_conn *c, enum wire_field tag, int index, char *out, size_t cap)
{
    struct wire_field_view field;
    if (find(c, tag, index, &field))
        (void)snprintf(out, cap, "%.*s", (int)field.len, (const char *)field.data);
    else
        (void)snprintf(out, cap, "(none)");
}

void fields_bytes(struct buf *b, enum wire_field tag, const void *data, size_t len)
{
    unsigned char head[8];
    wire_put16(head, tag);
    wire_put16(head + 2, 0);
    wire_put32(head + 4, (uint32_t)len);
    if (buf_append(b, head, sizeof head) != 0 || buf_append(b, data, len) != 0)
        die("no memory");
}

void fields_number(struct buf *b, enum wire_field tag, uint64_t value)
{
    unsigned char bytes[8];
    wire_put64(bytes, value);
    fields_bytes(b, tag, bytes, sizeof bytes);
}

void fake_end(struct fake_conn *c, int64_t status)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_STATUS, (uint64_t)status);
    fake_frame(c, FRAME_END, 0, 0, b.data, b.len);
}

void fake_exited(struct fake_conn *c, uint64_t code)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_STATUS, 0);
    fields_number(&b, F_RESULT, SBX_EXITED);
    fields_number(&b, F_EXIT_CODE, code);
    fake_frame(c, FRAME_END, 0, 0, b.data, b.len);
}

/* Reads the client's HELLO and answers it as a guest of version 1 does. */
static int greet(struct fake_conn *c)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct wire_head head;
    if (fake_read(c, &head, payload) != 0)
        return -1;
    if (head.type != FRAME_HELLO)
        die("the client did not greet first");
    c->request.len = 0;
    c->id = 0;
    remember(c, &head, payload);
    if (fake_number(c, F_VERSION) != WIRE_VERSION)
        die("the client speaks another version");
    struct wire_field_view nonce;
    if (!find(c, F_NONCE, 0, &nonce) || nonce.len != 16)
        die("the client sent no nonce");
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_VERSION, WIRE_VERSION);
    fields_bytes(&b, F_NONCE, nonce.data, nonce.len);
    fields_number(&b, F_PID, 1);
    fake_frame(c, FRAME_HELLO, 0, 0, b.data, b.len);
    c->request.len = 0;
    return 0;
}

static void *play(void *conn)
{
    struct fake_conn *c = conn;
    buf_init(&c->request, WIRE_MAX_REQUEST + WIRE_MAX_PAYLOAD);
    if (c->fake->no_greeting || greet(c) == 0)
        c->fake->script(c, c->fake->user);
    (void)shutdown(c->fd, SHUT_RDWR);
    (void)close(c->fd);
    buf_finish(&c->request);
    return NULL;
}

static sbx_status fake_connect(void *user, struct sbx_call *call, int *fd)
{
    struct fake_guest *fake = user;
    int fds[2];
    (void)pthread_mutex_lock(&fake->lock);
    int number = fake->made < (fake->max != 0 ? fake->max : FAKE_MAX) ? fake->made++ : -1;
    (void)pthread_mutex_unlock(&fake->lock);
    if (number < 0)
        return call_fail(call, SBX_E_GONE, "fake: nobody listens");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        die("socketpair");
    if (fake->narrow && setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int)) != 0)
        die("setsockopt");
    struct fake_conn *c = &fake->conns[number];
    *c = (struct fake_conn){.fake = fake, .fd = fds[1], .number = number};
    if (pthread_create(&c->thread, NULL, play, c) != 0)
        die("pthread_create");
    *fd = fds[0];
    return SBX_OK;
}

uint32_t fake_share(void)
{
    const char *share = getenv("SBX_TEST_SHARE");
    return share != NULL ? (uint32_t)strtoul(share, NULL, 10) : 0;
}

void fake_start(struct fake_guest *fake, void (*script)(struct fake_conn *c, void *user), void *user,
                const struct guest_link_options *options)
{
    struct guest_link_options own = {.max_idle = 0};
    if (options != NULL)
        own = *options;
    memset(fake, 0, sizeof *fake);
    fake->script = script;
    fake->user = user;
    (void)pthread_mutex_init(&fake->lock, NULL);
    if (own.share == 0)
        own.share = fake_share();
    own.connect = fake_connect;
    own.user = fake;
    fake->link = guest_open(&own);
    if (fake->link == NULL)
        die("no memory");
}

void fake_stop(struct fake_guest *fake)
{
    guest_close(fake->link);
    for (int i = 0; i < fake->made; i++)
        (void)pthread_join(fake->conns[i].thread, NULL);
    (void)pthread_mutex_destroy(&fake->lock);
}

static int32_t kept_write(void *user, const void *data, size_t len)
{
    struct kept *k = user;
    if (buf_append(&k->data, data, len) != 0)
        die("a sink got more than it can hold");
    return ++k->writes == k->stop_after;
}

void kept_init(struct kept *k)
{
    *k = (struct kept){.sink = {.size = sizeof k->sink, .user = k, .write = kept_write}};
    buf_init(&k->data, 128u << 20);
}

void kept_finish(struct kept *k)
{
    buf_finish(&k->data);
}

static int64_t given_read(void *user, void *buf, size_t cap)
{
    struct given *g = user;
    size_t n = g->len < cap ? g->len : cap;
    if (g->piece != 0 && n > g->piece)
        n = g->piece;
    if (n == 0)
        return g->stop ? -1 : 0;
    memcpy(buf, g->data, n);
    g->data += n;
    g->len -= n;
    return (int64_t)n;
}

void given_init(struct given *g, const void *data, size_t len)
{
    *g = (struct given){.source = {.size = sizeof g->source, .user = g, .read = given_read}, .data = data, .len = len};
}
