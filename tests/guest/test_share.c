/* SPDX-License-Identifier: MIT
 *
 * test_share.c - many requests at once on one stream: each gets what is its own, and none starves.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/guest/client.h"

enum { KINDS = 4, EACH = 15, MANY = KINDS * EACH };

struct asked {
    struct answer a;
    uint32_t id;
    int ended;
};

static void give_back(struct client *c, const struct frame *f)
{
    unsigned char more[4];
    wire_put32(more, f->head.len);
    client_send(c, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = f->head.stream, .id = f->head.id},
                more);
}

/* Takes frames until all have ended. */
static void collect(struct client *c, struct asked *asked, size_t count)
{
    struct frame f;
    for (size_t left = count; left > 0;) {
        if (!client_next(c, &f))
            fail_msg("the connection ended before the answers");
        size_t i = 0;
        while (i < count && asked[i].id != f.head.id)
            i++;
        if (i == count)
            fail_msg("a frame of no request");
        assert_int_equal(asked[i].ended, 0);
        if (f.head.type == FRAME_DATA) {
            assert_int_equal(
                buf_append(f.head.stream == STREAM_OUT ? &asked[i].a.out : &asked[i].a.err, f.payload, f.head.len), 0);
            give_back(c, &f);
        } else if (f.head.type != FRAME_CREDIT) {
            take_fields(&f, &asked[i].a);
        }
        asked[i].ended = f.head.type == FRAME_END;
        left -= f.head.type == FRAME_END;
    }
}

static void ask(struct client *c, struct asked *asked, int i)
{
    char line[200];
    (void)snprintf(line, sizeof line, "echo out-%d; echo err-%d >&2; head -c %d /dev/zero; exit %d", i, i, i * 3000, i);
    buf_init(&asked->a.out, 1 << 20);
    buf_init(&asked->a.err, 1 << 20);
    switch (i % KINDS) {
    case 0:
        asked->id = client_begin(c, line, EXEC_NO_STDIN);
        break;
    case 1: {
        asked->id = client_begin(c, "cat; cat >&2 <<e\ne", 0);
        client_data(c, asked->id, line, strlen(line), 1);
        break;
    }
    case 2:
        asked->id = client_begin(c, "stty -onlcr; echo on a terminal", EXEC_TTY);
        break;
    default: {
        struct message m;
        message_init(&m, OP_STAT);
        message_text(&m, F_PATH, i % 8 == 3 ? "/" : "/no/such/file");
        asked->id = client_request(c, &m);
    }
    }
}

static void check(const struct asked *asked, int i)
{
    char text[200];
    switch (i % KINDS) {
    case 0:
        (void)snprintf(text, sizeof text, "out-%d\n", i);
        assert_int_equal(asked->a.exit_code, i);
        assert_int_equal(asked->a.out.len, strlen(text) + (size_t)i * 3000);
        assert_memory_equal(asked->a.out.data, text, strlen(text));
        (void)snprintf(text, sizeof text, "err-%d\n", i);
        assert_string_equal(asked->a.err.data, text);
        break;
    case 1:
        (void)snprintf(text, sizeof text, "echo out-%d;", i);
        assert_memory_equal(asked->a.out.data, text, strlen(text));
        break;
    case 2:
        assert_non_null(strstr(asked->a.out.data, "on a terminal\n"));
        break;
    default:
        assert_int_equal(asked->a.status, i % 8 == 3 ? SBX_OK : SBX_E_NOT_FOUND);
    }
}

static void sixty_requests_of_all_kinds_run_at_once_on_one_stream(void **state)
{
    static struct asked asked[MANY];
    struct client *c = client_open(NULL);
    (void)state;
    memset(asked, 0, sizeof asked);
    for (int i = 0; i < MANY; i++)
        ask(c, &asked[i], i);
    collect(c, asked, MANY);
    for (int i = 0; i < MANY; i++) {
        check(&asked[i], i);
        answer_finish(&asked[i].a);
    }
    client_close(c);
}

/* Whatever the order in which they came: what floods the stream leaves room for the others. */
static void floods_do_not_starve_a_quiet_command(void **state)
{
    struct client *c = client_open(NULL);
    struct frame f;
    (void)state;
    uint32_t floods[6], quiet = 0;
    for (int i = 0; i < 6; i++)
        floods[i] = client_begin(c, "exec cat /dev/zero", EXEC_NO_STDIN);
    int64_t start = 0;
    size_t flooded = 0;
    int ended = 0;
    while (!ended) {
        assert_int_equal(client_next(c, &f), 1);
        if (f.head.type == FRAME_DATA)
            give_back(c, &f);
        (void)usleep(4000); /* the line is what is scarce */
        flooded += f.head.len;
        if (quiet == 0 && flooded > 4 * WIRE_WINDOW) {
            quiet = client_begin(c, "for i in 1 2 3 4 5; do sleep 0.1; echo tick; done", EXEC_NO_STDIN);
            start = now_ms();
        }
        ended = f.head.id == quiet && f.head.type == FRAME_END;
    }
    assert_true(now_ms() - start < 15000);
    for (int i = 0; i < 6; i++)
        client_send(c, (struct wire_head){.type = FRAME_CANCEL, .id = floods[i]}, NULL);
    client_close(c);
}

/* Each cancelled alone: the others do not notice. */
static void cancelling_one_request_leaves_the_others_alone(void **state)
{
    struct client *c = client_open(NULL);
    struct asked asked[3] = {{.id = 0}};
    (void)state;
    for (int i = 0; i < 3; i++) {
        buf_init(&asked[i].a.out, 1000);
        buf_init(&asked[i].a.err, 1000);
        asked[i].id = client_begin(c, i == 1 ? "sleep 30" : "sleep 0.3; echo done", EXEC_NO_STDIN);
    }
    client_send(c, (struct wire_head){.type = FRAME_CANCEL, .id = asked[1].id}, NULL);
    int64_t start = now_ms();
    collect(c, asked, 3);
    assert_true(now_ms() - start < 5000);
    assert_int_equal(asked[1].a.status, SBX_E_CANCELLED);
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(asked[i].a.status, SBX_OK);
        assert_string_equal(asked[i].a.out.data, "done\n");
    }
    for (int i = 0; i < 3; i++)
        answer_finish(&asked[i].a);
    client_close(c);
}

static void a_long_list_waits_for_credit(void **state)
{
    struct client *c = client_open(NULL);
    char path[600];
    struct message m;
    struct frame f;
    size_t bytes = 0, entries = 0;
    int ended = 0;
    (void)state;
    for (int i = 0; i < 2500; i++) {
        (void)snprintf(path, sizeof path, "%s/%0200d", scratch(), i);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    message_init(&m, OP_LIST);
    message_text(&m, F_PATH, scratch());
    uint32_t id = client_request(c, &m);
    while (client_next_within(c, &f, bytes > WIRE_WINDOW - 8192 ? 400 : 20000)) {
        assert_int_equal(f.head.type, FRAME_REPLY);
        bytes += f.head.len;
        entries++;
    }
    assert_true(bytes <= WIRE_WINDOW);
    assert_true(bytes > WIRE_WINDOW - 8192);
    while (!ended) {
        unsigned char more[4];
        wire_put32(more, 1000000);
        client_send(c, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = STREAM_OUT, .id = id}, more);
        while (!ended && client_next_within(c, &f, 400)) {
            entries += f.head.type == FRAME_REPLY;
            ended = f.head.type == FRAME_END;
        }
    }
    assert_int_equal(entries, 2500);
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(sixty_requests_of_all_kinds_run_at_once_on_one_stream),
        UNIT_TEST(floods_do_not_starve_a_quiet_command),
        UNIT_TEST(cancelling_one_request_leaves_the_others_alone),
        UNIT_TEST(a_long_list_waits_for_credit),
    };
    return RUN_TESTS("guest_share", tests, argc, argv);
}
