/* SPDX-License-Identifier: MIT
 *
 * test_hostile.c - answers of a guest that lies: cut, oversized, flipped, reordered, beyond its credit. The client must
 * come back in time, with bounded memory, and never call it a success when the end is missing.
 */
#include "tests/common/runner.h"

#include "tests/common/run.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#define MS INT64_C(1000000)

/* A good answer to an exec as one string of bytes, and where its frames begin. */
struct answer {
    struct buf bytes;
    size_t starts[8];
    size_t frames;
    size_t send;    /* so many bytes of it are sent; then the connection ends */
    size_t flip_at; /* this byte is sent changed by xor with... */
    unsigned char flip;
    const size_t *order; /* frames in this order, or NULL */
    size_t order_count;
};

static void add_frame(struct answer *a, enum wire_frame type, uint8_t stream, const void *data, size_t len)
{
    unsigned char head[WIRE_HEADER];
    wire_put_head(head, (struct wire_head){.len = (uint32_t)len, .type = (uint8_t)type, .stream = stream, .id = 1});
    a->starts[a->frames++] = a->bytes.len;
    assert_int_equal(buf_append(&a->bytes, head, sizeof head), 0);
    assert_int_equal(buf_append(&a->bytes, data, len), 0);
    a->starts[a->frames] = a->bytes.len;
}

static void answer_init(struct answer *a)
{
    *a = (struct answer){.flip = 0};
    buf_init(&a->bytes, 100000);
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_PID, 17);
    add_frame(a, FRAME_STARTED, 0, b.data, b.len);
    add_frame(a, FRAME_DATA, STREAM_OUT, "some output", 11);
    add_frame(a, FRAME_DATA, STREAM_ERR, "some errors", 11);
    b.len = 0;
    fields_number(&b, F_STATUS, 0);
    fields_number(&b, F_RESULT, SBX_EXITED);
    fields_number(&b, F_EXIT_CODE, 3);
    fields_number(&b, F_OUT_BYTES, 11);
    fields_number(&b, F_ERR_BYTES, 11);
    add_frame(a, FRAME_END, 0, b.data, b.len);
    a->send = a->bytes.len;
}

static void answer_script(struct fake_conn *c, void *user)
{
    const struct answer *a = user;
    if (fake_request(c) != 0 || c->id != 1)
        return;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 100000);
    if (a->order == NULL)
        (void)buf_append(&b, a->bytes.data, a->send);
    for (size_t i = 0; i < a->order_count; i++)
        (void)buf_append(&b, a->bytes.data + a->starts[a->order[i]],
                         a->starts[a->order[i] + 1] - a->starts[a->order[i]]);
    if (a->flip != 0)
        b.data[a->flip_at] = (char)((unsigned char)b.data[a->flip_at] ^ a->flip);
    fake_bytes(c, b.data, b.len);
}

/* The sandbox is gone after the first connection, so that a cut answer is judged at once. */
static sbx_status answer_exec(struct run *run, struct answer *a)
{
    struct fake_guest fake;
    fake_start(&fake, answer_script, a, NULL);
    fake.max = 1;
    int64_t start = clock_now_ns();
    sbx_status status = run_on(run, fake.link);
    assert_true(clock_now_ns() - start < 3000 * MS);
    fake_stop(&fake);
    return status;
}

static void a_good_answer_is_taken(void **state)
{
    (void)state;
    struct answer a;
    answer_init(&a);
    RUN run;
    run_init(&run);
    assert_int_equal(answer_exec(&run, &a), SBX_OK);
    assert_int_equal(run.result.exit_code, 3);
    buf_finish(&a.bytes);
}

static void an_answer_cut_anywhere_is_never_a_success(void **state)
{
    (void)state;
    struct answer a;
    answer_init(&a);
    for (a.send = 0; a.send < a.bytes.len; a.send++) {
        RUN run;
        run_init(&run);
        assert_int_equal(answer_exec(&run, &a), SBX_E_GONE);
        assert_int_equal(run.result.flags, 0);
        assert_true(run.out.data.len <= 11 && run.err.data.len <= 11);
    }
    buf_finish(&a.bytes);
}

static int is_prefix(const struct buf *b, const char *text)
{
    return b->len <= strlen(text) && memcmp(b->data != NULL ? b->data : "", text, b->len) == 0;
}

static void a_flipped_byte_anywhere_does_no_harm(void **state)
{
    (void)state;
    static const unsigned char flips[] = {0x01, 0x80, 0xff, 0x10};
    struct answer a;
    answer_init(&a);
    for (a.flip_at = 0; a.flip_at < a.bytes.len; a.flip_at++)
        for (size_t i = 0; i < sizeof flips; i++) {
            a.flip = flips[i];
            RUN run;
            run_init(&run);
            sbx_status status = answer_exec(&run, &a);
            assert_true(status <= SBX_OK && status >= SBX_E_UNKNOWN);
            assert_true(run.out.data.len + run.err.data.len <= a.bytes.len);
            assert_true(run.result.exit_code >= 0 && run.result.exit_code <= 255);
            if (status == SBX_OK)
                assert_true((run.result.flags & (SBX_EXITED | SBX_SIGNALLED | SBX_TIMED_OUT)) != 0);
            else
                assert_int_equal(run.error.code, status);
            assert_null(strpbrk(run.error.message, "\n\r\033"));
        }
    buf_finish(&a.bytes);
}

/* Every row of four frames out of the four: an answer has an END and at most one STARTED before it. */
static void frames_in_another_order_are_refused(void **state)
{
    (void)state;
    struct answer a;
    answer_init(&a);
    size_t order[4];
    int good = 0;
    for (int code = 0; code < 256; code++) {
        for (int i = 0; i < 4; i++)
            order[i] = (size_t)(code >> (2 * i) & 3);
        a.order = order;
        a.order_count = 4;
        RUN run;
        run_init(&run);
        sbx_status status = answer_exec(&run, &a);
        if (status == SBX_OK) {
            good++;
            int ended = 0, started = 0;
            for (int i = 0; i < 4 && !ended; i++) {
                ended = order[i] == 3;
                started += order[i] == 0;
            }
            assert_true(ended);
            assert_true(started <= 1);
            assert_true(is_prefix(&run.out.data, "some outputsome outputsome outputsome output"));
            assert_true(is_prefix(&run.err.data, "some errorssome errorssome errorssome errors"));
        }
    }
    assert_true(good > 2);
    buf_finish(&a.bytes);
}

/* --- single lies -------------------------------------------------------------------------------------------- */
enum lie {
    LIE_HUGE_LENGTH,
    LIE_UNKNOWN_TYPE,
    LIE_REQUEST,
    LIE_HELLO,
    LIE_OTHER_ID,
    LIE_OTHER_END,
    LIE_ZERO_ID,
    LIE_STREAM_IN,
    LIE_STREAM_9,
    LIE_UNKNOWN_FLAG,
    LIE_MORE_DATA,
    LIE_AFTER_EOF,
    LIE_OVER_CREDIT,
    LIE_TWO_STARTS,
    LIE_REPLY,
    LIE_NO_STATUS,
    LIE_SHORT_NUMBER,
    LIE_GOOD_CODE,
    LIE_FIELD_BEYOND,
    LIE_BIG_CREDIT,
    LIE_ODD_CREDIT,
    LIE_CREDIT_FOR_OUTPUT,
    LIE_COUNT
};

static void lie_head(struct fake_conn *c, struct wire_head head)
{
    unsigned char bytes[WIRE_HEADER];
    wire_put_head(bytes, head);
    fake_bytes(c, bytes, sizeof bytes);
}

static void lie_frames(struct fake_conn *c, enum lie lie)
{
    static const unsigned char block[WIRE_MAX_PAYLOAD];
    unsigned char bytes[8] = {0};
    uint32_t id = c->id;
    wire_put32(bytes, UINT32_MAX);
    switch (lie) {
    case LIE_OTHER_ID:
    case LIE_OTHER_END:
        c->id = id + 1;
        fake_frame(c, lie == LIE_OTHER_ID ? FRAME_DATA : FRAME_END, 0, STREAM_OUT, "x", 1);
        c->id = id;
        break;
    case LIE_AFTER_EOF:
        fake_frame(c, FRAME_DATA, FLAG_EOF, STREAM_OUT, "x", 1);
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "x", 1);
        break;
    case LIE_OVER_CREDIT:
        /* The client is stuck with input that is not read here, so it cannot have given new credit. */
        (void)usleep(200 * 1000);
        for (int i = 0; i < 4; i++)
            fake_frame(c, FRAME_DATA, 0, STREAM_OUT, block, sizeof block);
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, block, sizeof block);
        break;
    case LIE_TWO_STARTS:
        fake_frame(c, FRAME_STARTED, 0, 0, NULL, 0);
        fake_frame(c, FRAME_STARTED, 0, 0, NULL, 0);
        break;
    case LIE_BIG_CREDIT:
        fake_frame(c, FRAME_CREDIT, 0, STREAM_IN, bytes, 4);
        break;
    case LIE_ODD_CREDIT:
        fake_frame(c, FRAME_CREDIT, 0, STREAM_IN, bytes, 3);
        break;
    case LIE_CREDIT_FOR_OUTPUT:
        wire_put32(bytes, 5);
        fake_frame(c, FRAME_CREDIT, 0, STREAM_OUT, bytes, 4);
        break;
    default:
        break;
    }
}

static void lie_end(struct fake_conn *c, enum lie lie)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    if (lie == LIE_NO_STATUS)
        fields_number(&b, F_RESULT, SBX_EXITED);
    else if (lie == LIE_SHORT_NUMBER)
        fields_bytes(&b, F_STATUS, "\0\0\0\0", 4);
    else if (lie == LIE_GOOD_CODE)
        fields_number(&b, F_STATUS, 5);
    else if (lie == LIE_FIELD_BEYOND) {
        fields_number(&b, F_STATUS, 0);
        (void)buf_append(&b, "\x21\0\0\0\x08\0\0\0\1\0\0", 11);
    } else {
        return;
    }
    fake_frame(c, FRAME_END, 0, 0, b.data, b.len);
}

static void lie_script(struct fake_conn *c, void *user)
{
    enum lie lie = *(enum lie *)user;
    if (fake_request(c) != 0)
        return;
    struct wire_head head = {.type = FRAME_DATA, .stream = STREAM_OUT, .id = c->id};
    switch (lie) {
    case LIE_HUGE_LENGTH:
        head.len = WIRE_MAX_PAYLOAD + 1;
        lie_head(c, head);
        break;
    case LIE_UNKNOWN_TYPE:
        head.type = FRAME_END + 1;
        lie_head(c, head);
        break;
    case LIE_REQUEST:
    case LIE_HELLO:
    case LIE_REPLY:
        head.type = lie == LIE_REQUEST ? FRAME_REQUEST : lie == LIE_HELLO ? FRAME_HELLO : FRAME_REPLY;
        head.id = lie == LIE_HELLO ? 0 : c->id;
        lie_head(c, head);
        break;
    case LIE_ZERO_ID:
        head.id = 0;
        lie_head(c, head);
        break;
    case LIE_STREAM_IN:
    case LIE_STREAM_9:
        head.stream = lie == LIE_STREAM_IN ? STREAM_IN : 9;
        lie_head(c, head);
        break;
    case LIE_UNKNOWN_FLAG:
    case LIE_MORE_DATA:
        head.flags = lie == LIE_UNKNOWN_FLAG ? 4 : FLAG_MORE;
        lie_head(c, head);
        break;
    default:
        lie_frames(c, lie);
        lie_end(c, lie);
    }
    /* The truth comes too late. */
    fake_exited(c, 0);
    if (lie == LIE_OVER_CREDIT)
        (void)usleep(300 * 1000);
    (void)fake_until(c, FRAME_HELLO);
}

static void every_single_lie_is_a_broken_protocol(void **state)
{
    (void)state;
    static const char zeros[1 << 20];
    for (int i = 0; i < LIE_COUNT; i++) {
        enum lie lie = (enum lie)i;
        RUN run;
        run_init(&run);
        struct given given;
        given_init(&given, zeros, sizeof zeros);
        if (lie == LIE_OVER_CREDIT)
            run.args.in = &given.source;
        struct fake_guest fake;
        fake_start(&fake, lie_script, &lie, NULL);
        fake.narrow = 1;
        sbx_status status = run_on(&run, fake.link);
        fake_stop(&fake);
        if (status != SBX_E_PROTOCOL)
            fail_msg("lie %d: status %d, message %s, %d bytes came", i, status, run.error.message,
                     (int)run.result.out_bytes);
        assert_int_equal(run.error.flags, SBX_ERR_MAYBE_APPLIED);
        assert_int_equal(run.result.flags & (SBX_EXITED | SBX_SIGNALLED | SBX_TIMED_OUT), 0);
        assert_true(run.out.data.len <= WIRE_WINDOW);
    }
}

/* --- greetings ---------------------------------------------------------------------------------------------- */
enum greeting { GREET_NOT, GREET_CLOSE, GREET_VERSION, GREET_NONCE, GREET_MORE, GREET_FRAME, GREET_NOISE, GREET_BARE };

static void greeting_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    enum greeting greeting = *(enum greeting *)user;
    struct wire_head head;
    if (fake_read(c, &head, payload) != 0 || greeting == GREET_CLOSE)
        return;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    if (greeting != GREET_BARE)
        fields_number(&b, F_VERSION, greeting == GREET_VERSION ? 2 : 1);
    fields_bytes(&b, F_NONCE, greeting == GREET_NONCE ? payload : payload + 24, 16);
    c->id = greeting == GREET_FRAME;
    if (greeting == GREET_NOISE)
        fake_bytes(c, "SSH-2.0-OpenSSH_9.2\r\n", 21);
    else if (greeting != GREET_NOT)
        fake_frame(c, greeting == GREET_FRAME ? FRAME_END : FRAME_HELLO, 0, 0, b.data, b.len);
    if (greeting == GREET_MORE)
        fake_bytes(c, "x", 1);
    (void)fake_until(c, FRAME_CANCEL);
}

static void greetings_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum greeting greeting;
        sbx_status status;
    } cases[] = {
        {GREET_NOT, SBX_E_TIMEOUT},    {GREET_CLOSE, SBX_E_UNAVAILABLE}, {GREET_VERSION, SBX_E_UNSUPPORTED},
        {GREET_NONCE, SBX_E_PROTOCOL}, {GREET_FRAME, SBX_E_PROTOCOL},    {GREET_NOISE, SBX_E_PROTOCOL},
        {GREET_BARE, SBX_E_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum greeting greeting = cases[i].greeting;
        struct fake_guest fake;
        fake_start(&fake, greeting_script, &greeting, NULL);
        fake.no_greeting = 1;
        RUN run;
        run_init(&run);
        int64_t start = clock_now_ns();
        if (greeting == GREET_NOT)
            run.call.deadline_ns = start + 200 * MS;
        assert_int_equal(run_on(&run, fake.link), cases[i].status);
        assert_int_equal(run.error.code, cases[i].status);
        assert_true(clock_now_ns() - start < 1500 * MS);
        fake_stop(&fake);
    }
}

/* --- what stays behind -------------------------------------------------------------------------------------- */
/* Answers every request, and the first also with bytes that nobody asked for. */
static void extra_script(struct fake_conn *c, void *user)
{
    (void)user;
    while (fake_request(c) == 0) {
        CLEANUP_BUF struct buf b;
        buf_init(&b, 4096);
        fields_number(&b, F_STATUS, 0);
        fields_number(&b, F_RESULT, SBX_EXITED);
        unsigned char both[200];
        wire_put_head(both, (struct wire_head){.len = (uint32_t)b.len, .type = FRAME_END, .id = c->id});
        memcpy(both + WIRE_HEADER, b.data, b.len);
        size_t len = WIRE_HEADER + b.len;
        memcpy(both + len, both, len);
        wire_put32(both + len + 8, c->id + 1);
        fake_bytes(c, both, 2 * len);
    }
}

static void a_connection_with_leftovers_is_not_used_again(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, extra_script, NULL, NULL);
    RUN run;
    run_init(&run);
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_int_equal(fake.made, 2);
    fake_stop(&fake);
}

/* --- a guest that reads late -------------------------------------------------------------------------------- */
/* Does not read while it sends as much as it may; then reads, and wants more credit before it gives any. */
static void late_script(struct fake_conn *c, void *user)
{
    static const char block[WIRE_MAX_PAYLOAD];
    int unread = 1;
    (void)user;
    if (fake_request(c) != 0)
        return;
    struct pollfd stuck = {.fd = c->fd, .events = POLLIN};
    (void)poll(&stuck, 1, 10000); /* the first of the input is here: the rest of it is stuck */
    for (size_t i = 0; i < WIRE_WINDOW / sizeof block; i++)
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, block, sizeof block);
    while (ioctl(c->fd, SIOCOUTQ, &unread) == 0 && unread > 0)
        (void)poll(NULL, 0, 1);
    if (fake_until(c, FRAME_CREDIT) == 0)
        fake_exited(c, 0);
    (void)fake_until(c, FRAME_HELLO);
}

static void credit_is_given_as_soon_as_the_line_is_free(void **state)
{
    (void)state;
    static const char zeros[1 << 20];
    struct fake_guest fake;
    struct given given;
    given_init(&given, zeros, sizeof zeros);
    RUN run;
    run_init(&run);
    run.args.in = &given.source;
    fake_start(&fake, late_script, NULL, NULL);
    fake.narrow = 1;
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_int_equal(run.out.data.len, WIRE_WINDOW);
    fake_stop(&fake);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_is_taken),
        cmocka_unit_test(an_answer_cut_anywhere_is_never_a_success),
        cmocka_unit_test(a_flipped_byte_anywhere_does_no_harm),
        cmocka_unit_test(frames_in_another_order_are_refused),
        cmocka_unit_test(every_single_lie_is_a_broken_protocol),
        cmocka_unit_test(greetings_that_are_none_are_refused),
        cmocka_unit_test(a_connection_with_leftovers_is_not_used_again),
        cmocka_unit_test(credit_is_given_as_soon_as_the_line_is_free),
    };
    return RUN_TESTS(tests, argc, argv);
}
