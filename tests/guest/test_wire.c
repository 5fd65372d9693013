/* SPDX-License-Identifier: MIT
 *
 * test_wire.c - what a broken or hostile peer can send: every cut, flipped heads, garbage, wrong order, floods. The
 * guest must go on, or end the connection, with bounded memory; it is asked afterwards by the exit code of its process
 * (0 also means: no sanitizer complained).
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/guest/client.h"

static void frame_into(struct buf *b, struct wire_head h, const void *payload)
{
    unsigned char head[WIRE_HEADER];
    wire_put_head(head, h);
    (void)buf_append(b, head, sizeof head);
    assert_int_equal(buf_append(b, payload, h.len), 0);
}

static void request_into(struct buf *b, uint32_t id, struct message *m, size_t split)
{
    if (split > 0)
        frame_into(b, (struct wire_head){.len = (uint32_t)split, .type = FRAME_REQUEST, .flags = FLAG_MORE, .id = id},
                   m->fields.data);
    frame_into(b, (struct wire_head){.len = (uint32_t)(m->fields.len - split), .type = FRAME_REQUEST, .id = id},
               m->fields.data + split);
    buf_finish(&m->fields);
}

static void hello_into(struct buf *b)
{
    struct message m;
    buf_init(&m.fields, 4096);
    message_number(&m, F_VERSION, WIRE_VERSION);
    message_bytes(&m, F_NONCE, "0123456789abcdef", 16);
    frame_into(b, (struct wire_head){.len = (uint32_t)m.fields.len, .type = FRAME_HELLO}, m.fields.data);
    buf_finish(&m.fields);
}

/* A conversation with something of everything. */
static void conversation(struct buf *b)
{
    struct message m;
    const char *path = "file"; /* below the working directory, so that a damaged name changes nothing elsewhere */
    unsigned char four[4];
    hello_into(b);
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"cat", NULL});
    message_text(&m, F_ENV, "A=b");
    request_into(b, 1, &m, 7);
    frame_into(b, (struct wire_head){.len = 3, .type = FRAME_DATA, .id = 1}, "abc");
    wire_put32(four, 4096);
    frame_into(b, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = STREAM_OUT, .id = 1}, four);
    frame_into(b, (struct wire_head){.len = 0, .type = FRAME_DATA, .flags = FLAG_EOF, .id = 1}, NULL);
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sleep", "60", NULL});
    message_number(&m, F_FLAGS, EXEC_TTY);
    request_into(b, 2, &m, 0);
    wire_put32(four, 50u << 16 | 20u);
    frame_into(b, (struct wire_head){.len = 4, .type = FRAME_RESIZE, .id = 2}, four);
    wire_put32(four, 10);
    frame_into(b, (struct wire_head){.len = 4, .type = FRAME_SIGNAL, .id = 2}, four);
    frame_into(b, (struct wire_head){.type = FRAME_CANCEL, .id = 2}, NULL);
    message_init(&m, OP_WRITE);
    message_text(&m, F_PATH, path);
    request_into(b, 3, &m, 0);
    frame_into(b, (struct wire_head){.len = 5, .type = FRAME_DATA, .flags = FLAG_EOF, .id = 3}, "bytes");
    message_init(&m, OP_TAR_PUT);
    message_text(&m, F_PATH, path);
    request_into(b, 4, &m, 20);
    frame_into(b, (struct wire_head){.len = 5, .type = FRAME_DATA, .flags = FLAG_EOF, .id = 4}, "nonsense");
    static const uint64_t ops[] = {OP_READ, OP_STAT, OP_LIST, OP_TAR_GET, OP_MKDIR, OP_REMOVE};
    for (uint32_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        message_init(&m, ops[i]);
        message_text(&m, F_PATH, path);
        request_into(b, 10 + i, &m, 0);
    }
    message_init(&m, OP_INFO);
    request_into(b, 20, &m, 0);
}

/* What outlives its connection. */
static void lasting_conversation(struct buf *b)
{
    struct message m;
    hello_into(b);
    message_init(&m, OP_JOB_START);
    message_argv(&m, (const char *const[]){"cat", NULL});
    message_text(&m, F_ID, "j");
    message_number(&m, F_FLAGS, EXEC_STDIN_OPEN);
    request_into(b, 1, &m, 9);
    message_init(&m, OP_JOB_FEED);
    message_text(&m, F_ID, "j");
    message_number(&m, F_FLAGS, JOB_FEED_END);
    request_into(b, 2, &m, 0);
    frame_into(b, (struct wire_head){.len = 3, .type = FRAME_DATA, .id = 2}, "abc");
    frame_into(b, (struct wire_head){.len = 0, .type = FRAME_DATA, .flags = FLAG_EOF, .id = 2}, NULL);
    message_init(&m, OP_JOB_OUTPUT);
    message_text(&m, F_ID, "j");
    message_number(&m, F_STREAM, STREAM_OUT);
    message_number(&m, F_OFFSET, 0);
    message_number(&m, F_FLAGS, JOB_FOLLOW);
    request_into(b, 3, &m, 0);
    message_init(&m, OP_JOB_SIGNAL);
    message_text(&m, F_ID, "j");
    message_number(&m, F_SIGNAL, 10);
    request_into(b, 4, &m, 0);
    static const uint64_t ops[] = {OP_JOB_INFO, OP_JOB_WAIT, OP_JOB_KILL, OP_JOB_FORGET};
    for (uint32_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        message_init(&m, ops[i]);
        message_text(&m, F_ID, "j");
        request_into(b, 10 + i, &m, 0);
    }
    message_init(&m, OP_JOB_LIST);
    request_into(b, 20, &m, 0);
    message_init(&m, OP_SHELL_EXEC);
    message_text(&m, F_NAME, "s");
    message_text(&m, F_ARG, "X=1; echo $X");
    message_number(&m, F_TIMEOUT_MS, 50);
    request_into(b, 21, &m, 30);
    frame_into(b, (struct wire_head){.len = 4, .type = FRAME_SIGNAL, .id = 21}, "\12\0\0");
    message_init(&m, OP_SHELL_CLOSE);
    message_text(&m, F_NAME, "s");
    request_into(b, 22, &m, 0);
    message_init(&m, OP_SHELL_LIST);
    request_into(b, 23, &m, 0);
    message_init(&m, OP_DIAL);
    message_number(&m, F_PORT, 9);
    request_into(b, 24, &m, 0);
    frame_into(b, (struct wire_head){.len = 3, .type = FRAME_DATA, .flags = FLAG_EOF, .id = 24}, "abc");
}

static void (*const CONVERSATIONS[])(struct buf *b) = {conversation, lasting_conversation};

/* One guest hears it all, and is still well at the end. */
static void open_victim(struct server *s)
{
    server_open(s, (const char *const[]){"--any-peer", "--workdir", scratch(), NULL});
}

static void close_victim(struct server *s)
{
    struct client *c = server_connect(s);
    struct answer a;
    client_greet(c);
    client_shell(c, "echo well", &a);
    assert_string_equal(a.out.data, "well\n");
    answer_finish(&a);
    client_close(c);
    server_close(s);
}

/* Reads whatever comes until the end of the connection. */
static void drain(struct client *c)
{
    char bytes[65536];
    (void)shutdown(c->fd, SHUT_WR);
    while (recv(c->fd, bytes, sizeof bytes, 0) > 0)
        continue;
}

static void say(const struct server *s, const void *data, size_t len)
{
    struct client *c = server_connect(s);
    client_write(c, data, len);
    drain(c);
    client_close(c);
}

static void cut(const struct server *victim, void (*what)(struct buf *b))
{
    struct buf b;
    buf_init(&b, 1 << 20);
    what(&b);
    for (size_t len = 0; len <= b.len; len++)
        say(victim, b.data, len);
    buf_finish(&b);
}

static void every_cut_of_a_conversation_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CONVERSATIONS / sizeof *CONVERSATIONS; i++) {
        struct server victim;
        open_victim(&victim);
        cut(&victim, CONVERSATIONS[i]);
        close_victim(&victim);
    }
}

static void flip_heads(const struct server *victim, void (*what)(struct buf *b))
{
    struct buf b;
    buf_init(&b, 1 << 20);
    what(&b);
    for (size_t at = 0; at + WIRE_HEADER <= b.len;) {
        size_t len = wire_get32((unsigned char *)b.data + at);
        for (size_t bit = 0; bit < WIRE_HEADER * 8; bit += 3) {
            char mask = (char)(1u << (bit % 8));
            b.data[at + bit / 8] = (char)(b.data[at + bit / 8] ^ mask);
            say(victim, b.data, b.len);
            b.data[at + bit / 8] = (char)(b.data[at + bit / 8] ^ mask);
        }
        at += WIRE_HEADER + len;
    }
    buf_finish(&b);
}

static void every_flip_in_a_head_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CONVERSATIONS / sizeof *CONVERSATIONS; i++) {
        struct server victim;
        open_victim(&victim);
        flip_heads(&victim, CONVERSATIONS[i]);
        close_victim(&victim);
    }
}

static void flip_fields(const struct server *victim, void (*what)(struct buf *b))
{
    struct buf b;
    uint32_t x = 99;
    buf_init(&b, 1 << 20);
    what(&b);
    for (int i = 0; i < 400; i++) {
        x = x * 1664525u + 1013904223u;
        size_t at = x % b.len;
        char mask = (char)(1u << (x >> 29));
        b.data[at] = (char)(b.data[at] ^ mask);
        say(victim, b.data, b.len);
        b.data[at] = (char)(b.data[at] ^ mask);
    }
    buf_finish(&b);
}

static void flips_in_fields_are_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CONVERSATIONS / sizeof *CONVERSATIONS; i++) {
        struct server victim;
        open_victim(&victim);
        flip_fields(&victim, CONVERSATIONS[i]);
        close_victim(&victim);
    }
}

static void garbage_ends_the_connection(void **state)
{
    unsigned char bytes[4096];
    uint32_t x = 31337;
    struct server victim;
    (void)state;
    open_victim(&victim);
    for (int i = 0; i < 100; i++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        for (size_t k = 0; k < sizeof bytes; k++) {
            x = x * 1664525u + 1013904223u;
            bytes[k] = (unsigned char)(x >> 24);
        }
        if (i % 2)
            hello_into(&b);
        (void)buf_append(&b, bytes, sizeof bytes);
        say(&victim, b.data, b.len);
        buf_finish(&b);
    }
    close_victim(&victim);
}

/* The connection must be ended by the guest, without our closing it. */
static void expect_end(struct client *c)
{
    struct frame f;
    while (client_next(c, &f))
        continue;
    client_close(c);
}

static void frames_out_of_order_end_the_connection(void **state)
{
    static const struct wire_head heads[] = {
        {.type = FRAME_STARTED, .id = 1},
        {.type = FRAME_REPLY, .id = 1},
        {.type = FRAME_END, .id = 1},
        {.type = FRAME_CANCEL, .flags = FLAG_EOF, .id = 1},
        {.type = FRAME_DATA, .flags = FLAG_MORE, .id = 1},
        {.type = FRAME_HELLO},
        {.len = 65537, .type = FRAME_REQUEST, .id = 1},
        {.type = FRAME_REQUEST, .id = 0},
        {.type = FRAME_REQUEST, .stream = 3, .id = 1},
        {.type = 0, .id = 1},
        {.type = 11, .id = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        unsigned char bytes[WIRE_HEADER];
        struct client *c = client_open(NULL);
        wire_put_head(bytes, heads[i]);
        client_write(c, bytes, sizeof bytes);
        expect_end(c);
    }
    struct client *c = client_open_raw(NULL);
    client_send(c, (struct wire_head){.type = FRAME_CANCEL, .id = 1}, NULL); /* before HELLO */
    expect_end(c);
}

static uint32_t begin_cat(struct client *c)
{
    struct message m;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sleep", "60", NULL});
    return client_request(c, &m);
}

static void breaking_a_running_request_ends_the_connection(void **state)
{
    static unsigned char data[WIRE_MAX_PAYLOAD];
    (void)state;
    struct client *c = client_open(NULL); /* more than the credit */
    uint32_t id = begin_cat(c);
    for (int i = 0; i < 40; i++)
        client_data(c, id, data, sizeof data, 0);
    expect_end(c);
    c = client_open(NULL); /* after the end of file */
    id = begin_cat(c);
    client_data(c, id, data, 1, 1);
    client_data(c, id, data, 1, 0);
    expect_end(c);
    c = client_open(NULL); /* an id that is in use */
    id = begin_cat(c);
    client_send(c, (struct wire_head){.type = FRAME_REQUEST, .id = id}, NULL);
    expect_end(c);
    c = client_open(NULL); /* a stream that is not the client's */
    id = begin_cat(c);
    client_send(c, (struct wire_head){.len = 1, .type = FRAME_DATA, .stream = STREAM_OUT, .id = id}, data);
    expect_end(c);
    c = client_open(NULL); /* data into a request that is not complete */
    client_send(c, (struct wire_head){.len = 1, .type = FRAME_REQUEST, .flags = FLAG_MORE, .id = 5}, data);
    client_data(c, 5, data, 1, 0);
    expect_end(c);
    c = client_open(NULL); /* a signal of the wrong length */
    id = begin_cat(c);
    client_send(c, (struct wire_head){.len = 3, .type = FRAME_SIGNAL, .id = id}, data);
    expect_end(c);
}

static void frames_for_unknown_requests_are_ignored(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    client_data(c, 77, "x", 1, 1);
    client_number(c, 77, FRAME_CANCEL, 0);
    client_number(c, 77, FRAME_SIGNAL, 9);
    client_number(c, 77, FRAME_RESIZE, 9);
    client_shell(c, "echo fine", &a);
    assert_string_equal(a.out.data, "fine\n");
    answer_finish(&a);
    client_close(c);
}

static int64_t send_fields(struct client *c, struct message *m)
{
    struct answer a;
    client_wait(c, client_request(c, m), NULL, 0, &a);
    int64_t status = a.status;
    assert_true(a.message[0] != '\0');
    answer_finish(&a);
    return status;
}

static void unreadable_requests_are_answered_and_the_connection_goes_on(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    buf_init(&m.fields, 4096); /* empty */
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    buf_init(&m.fields, 4096); /* OP is not first */
    message_text(&m, F_PATH, "/");
    message_number(&m, F_OP, OP_STAT);
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    buf_init(&m.fields, 4096); /* OP is no number */
    message_text(&m, F_OP, "stat");
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    message_init(&m, 9999);
    assert_int_equal(send_fields(c, &m), SBX_E_UNSUPPORTED);
    message_init(&m, 63);
    assert_int_equal(send_fields(c, &m), SBX_E_UNSUPPORTED);
    message_init(&m, OP_STAT); /* PATH is missing */
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    message_init(&m, OP_STAT); /* a field that is not for it, one unknown, one twice, an unknown flag */
    message_text(&m, F_PATH, "/");
    message_number(&m, F_TIMEOUT_MS, 1);
    assert_int_equal(send_fields(c, &m), SBX_E_UNSUPPORTED);
    message_init(&m, OP_STAT);
    message_text(&m, F_PATH, "/");
    message_text(&m, 60000, "?");
    assert_int_equal(send_fields(c, &m), SBX_E_UNSUPPORTED);
    message_init(&m, OP_STAT);
    message_text(&m, F_PATH, "/");
    message_text(&m, F_PATH, "/");
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    message_init(&m, OP_STAT);
    message_text(&m, F_PATH, "/");
    message_number(&m, F_FLAGS, UINT64_C(1) << 40);
    assert_int_equal(send_fields(c, &m), SBX_E_UNSUPPORTED);
    message_init(&m, OP_STAT); /* cut inside of a field */
    message_text(&m, F_PATH, "/");
    m.fields.len--;
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    message_init(&m, OP_EXEC); /* a NUL in an argument */
    message_bytes(&m, F_ARG, "a\0b", 3);
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    message_init(&m, OP_EXEC);
    message_text(&m, F_ARG, "true");
    message_text(&m, F_ENV, "=nameless");
    assert_int_equal(send_fields(c, &m), SBX_E_INVALID);
    client_shell(c, "echo fine", &a);
    assert_string_equal(a.out.data, "fine\n");
    answer_finish(&a);
    client_close(c);
}

static void a_request_that_is_too_long_is_answered_once(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    char *text = calloc(1, (5u << 20) + 1);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 5u << 20);
    message_init(&m, OP_STAT);
    message_text(&m, F_PATH, text);
    assert_int_equal(send_fields(c, &m), SBX_E_TOO_LARGE);
    free(text);
    client_shell(c, "echo fine", &a);
    assert_string_equal(a.out.data, "fine\n");
    answer_finish(&a);
    client_close(c);
}

static void the_sixty_fifth_request_is_busy(void **state)
{
    struct client *c = client_open(NULL);
    struct frame f;
    int busy = 0;
    (void)state;
    for (int i = 0; i < 70; i++)
        (void)begin_cat(c);
    while (busy < 6 && client_next(c, &f)) {
        if (f.head.type != FRAME_END)
            continue;
        struct wire_field_view v = {0};
        const unsigned char *p = f.payload;
        size_t left = f.head.len;
        int ok = 1;
        assert_int_equal(wire_next_field(&p, &left, &v), 1);
        assert_int_equal((int64_t)wire_number(&v, &ok), SBX_E_BUSY);
        busy++;
    }
    assert_int_equal(busy, 6);
    client_close(c);
}

/* Short requests in one breath do not count as being in flight. */
static void a_thousand_requests_in_a_row_are_all_answered(void **state)
{
    struct client *c = client_open(NULL);
    struct buf b;
    struct frame f;
    (void)state;
    buf_init(&b, 1 << 20);
    for (uint32_t i = 1; i <= 1000; i++) {
        struct message m;
        message_init(&m, OP_STAT);
        message_text(&m, F_PATH, "/etc");
        request_into(&b, i, &m, 0);
    }
    client_write(c, b.data, b.len);
    for (uint32_t i = 1; i <= 2000; i++) {
        assert_int_equal(client_next(c, &f), 1);
        assert_int_equal(f.head.type, i % 2 ? FRAME_REPLY : FRAME_END);
        assert_int_equal(f.head.id, (i + 1) / 2);
    }
    buf_finish(&b);
    client_close(c);
}

static long resident_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    return kib;
}

/* The client asks and asks and never reads an answer. */
static void a_peer_that_does_not_read_costs_bounded_memory(void **state)
{
    struct client *c = client_open(NULL);
    struct buf b;
    (void)state;
    buf_init(&b, 1 << 20);
    for (uint32_t i = 1; i <= 2000; i++) {
        struct message m;
        message_init(&m, i % 2 ? OP_LIST : 9999);
        if (i % 2)
            message_text(&m, F_PATH, "/usr/bin");
        request_into(&b, i, &m, 0);
    }
    size_t sent = 0;
    for (int64_t until = now_ms() + 2000; now_ms() < until;) {
        ssize_t n = send(c->fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        if (n < 0)
            (void)usleep(10000);
    }
    assert_true(sent > 0);
    assert_true(resident_kib(c->pid) < (getenv("SBX_TEST_GUEST") != NULL ? 16 << 10 : 256 << 10));
    buf_finish(&b);
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_cut_of_a_conversation_is_survived),
        UNIT_TEST(every_flip_in_a_head_is_survived),
        UNIT_TEST(flips_in_fields_are_survived),
        UNIT_TEST(garbage_ends_the_connection),
        UNIT_TEST(frames_out_of_order_end_the_connection),
        UNIT_TEST(breaking_a_running_request_ends_the_connection),
        UNIT_TEST(frames_for_unknown_requests_are_ignored),
        UNIT_TEST(unreadable_requests_are_answered_and_the_connection_goes_on),
        UNIT_TEST(a_request_that_is_too_long_is_answered_once),
        UNIT_TEST(the_sixty_fifth_request_is_busy),
        UNIT_TEST(a_thousand_requests_in_a_row_are_all_answered),
        UNIT_TEST(a_peer_that_does_not_read_costs_bounded_memory),
    };
    return RUN_TESTS("guest wire", tests, argc, argv);
}
