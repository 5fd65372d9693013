/* SPDX-License-Identifier: MIT
 *
 * test_share_end.c - how calls on a shared connection end early: cancelled, given up, the connection lost, or a guest
 * that lies to one of them.
 */
#include "tests/common/runner.h"

#include "tests/common/callers.h"

#include <sys/eventfd.h>

enum { BOTH = 2 };

/* --- cancelling --------------------------------------------------------------------------------------------- */
/* Two requests come. CANCEL of one is not confirmed; its data goes on for a while; the other is answered, and then a
 * third one on the same connection. */
struct cancelled {
    struct stage stage;
    int which;  /* 0: the first, who reads; 1: the second */
    int blocks; /* of data for it after its CANCEL */
    int ended;  /* another frame for it behind its END */
};

static void unconfirmed_script(struct fake_conn *c, void *user)
{
    static const char block[WIRE_MAX_PAYLOAD];
    struct cancelled *s = user;
    uint32_t ids[BOTH];
    for (int i = 0; i < BOTH; i++) {
        if (fake_request(c) != 0)
            return;
        ids[i] = c->id;
        tell(s->stage.out);
    }
    if (fake_until(c, FRAME_CANCEL) != 0 || fake_request(c) != 0)
        return;
    uint32_t third = c->id;
    c->id = ids[s->which];
    for (int i = 0; i < s->blocks; i++)
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, block, sizeof block);
    answer_as(c, ids[1 - s->which], "the other", 0);
    c->id = ids[s->which];
    fake_end(c, SBX_E_CANCELLED);
    if (s->ended)
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "x", 1);
    answer_as(c, third, "the third", 0);
    (void)fake_until(c, FRAME_HELLO);
}

/* What becomes of the other call, and of a third one. */
static void cancel_one(struct cancelled *s, sbx_status *other, sbx_status *third)
{
    struct fake_guest fake;
    struct caller callers[BOTH];
    uint64_t one = 1;
    int token = eventfd(0, EFD_CLOEXEC);
    stage_open(&s->stage);
    fake_start(&fake, unconfirmed_script, s, &shared);
    fake.max = 1;
    for (int i = 0; i < BOTH; i++) {
        caller_init(&callers[i], fake.link, i);
        if (i == s->which) {
            callers[i].run.call.flags = SBX_CALL_HAS_CANCEL_FD;
            callers[i].run.call.cancel_fd = token;
        }
        caller_start(&callers[i]);
        hear(s->stage.out);
    }
    int64_t start = clock_now_ns();
    assert_int_equal(write(token, &one, sizeof one), sizeof one);
    caller_join(&callers[s->which]);
    assert_int_equal(callers[s->which].status, SBX_E_CANCELLED);
    assert_int_equal(callers[s->which].run.error.flags, SBX_ERR_MAYBE_APPLIED);
    assert_true(clock_now_ns() - start < 1000 * MS);
    /* A third one keeps the connection in use when the second leaves. */
    struct caller next;
    caller_init(&next, fake.link, BOTH);
    caller_start(&next);
    caller_join(&callers[1 - s->which]);
    caller_join(&next);
    *other = callers[1 - s->which].status;
    *third = next.status;
    fake_stop(&fake);
    (void)close(token);
    for (int i = 0; i < BOTH; i++)
        run_finish(&callers[i].run);
    run_finish(&next.run);
    stage_close(&s->stage);
}

static void what_still_comes_for_a_cancelled_call_is_dropped(void **state)
{
    (void)state;
    for (int which = 0; which < BOTH; which++) {
        struct cancelled s = {.which = which, .blocks = 4};
        sbx_status other, third;
        cancel_one(&s, &other, &third);
        assert_int_equal(other, SBX_OK);
        assert_int_equal(third, SBX_OK);
    }
}

static void a_cancelled_call_has_no_more_credit_than_it_had(void **state)
{
    (void)state;
    for (int which = 0; which < BOTH; which++) {
        struct cancelled s = {.which = which, .blocks = 16};
        sbx_status other, third;
        cancel_one(&s, &other, &third);
        assert_int_equal(other, SBX_E_PROTOCOL);
        assert_true(third == SBX_E_PROTOCOL || third == SBX_E_GONE);
    }
}

static void nothing_may_follow_the_end_of_a_cancelled_call(void **state)
{
    (void)state;
    struct cancelled s = {.which = 1, .blocks = 1, .ended = 1};
    sbx_status other, third;
    cancel_one(&s, &other, &third);
    assert_int_equal(other, SBX_OK);
    assert_int_equal(third, SBX_E_PROTOCOL);
}

/* CANCEL of the only call is not confirmed: closing the connection is what kills then. */
static void unkind_script(struct fake_conn *c, void *user)
{
    struct stage *stage = user;
    if (c->number > 0) {
        if (fake_request(c) == 0)
            fake_exited(c, 0);
        return;
    }
    if (fake_until(c, FRAME_CANCEL) == 0)
        (void)fake_until(c, FRAME_HELLO); /* none comes: it is closed */
    tell(stage->out);
}

static void the_last_call_to_leave_unconfirmed_closes_the_connection(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    struct fake_guest fake;
    fake_start(&fake, unkind_script, &stage, &shared);
    RUN run;
    run_init(&run);
    run.call.deadline_ns = clock_now_ns() + 1000 * MS; /* long enough to be on its way on any machine */
    assert_int_equal(run_on(&run, fake.link), SBX_E_TIMEOUT);
    hear(stage.out);
    run.call.deadline_ns = clock_now_ns() + 5000 * MS;
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_int_equal(fake.made, 2);
    fake_stop(&fake);
    stage_close(&stage);
}

/* --- a full line -------------------------------------------------------------------------------------------- */
/* Reads nothing from its first request on, until it is told. */
static void deaf_script(struct fake_conn *c, void *user)
{
    struct stage *stage = user;
    if (fake_request(c) != 0)
        return;
    tell(stage->out);
    hear(stage->in);
    while (fake_until(c, FRAME_CANCEL) == 0)
        fake_end(c, SBX_E_CANCELLED);
}

/* One call has filled the line with its input; the others cannot send a byte. All have their deadlines. */
static void a_full_line_holds_nobody_beyond_its_deadline(void **state)
{
    (void)state;
    size_t len = (size_t)3 << 20;
    CLEANUP_FREE char *data = calloc(1, len);
    struct stage stage;
    stage_open(&stage);
    struct given given;
    given_init(&given, data, len);
    struct fake_guest fake;
    fake_start(&fake, deaf_script, &stage, &shared);
    fake.narrow = 1;
    struct caller callers[4];
    for (int i = 0; i < 4; i++) {
        caller_init(&callers[i], fake.link, i);
        callers[i].run.call.deadline_ns = clock_now_ns() + 300 * MS;
        if (i == 0)
            callers[i].run.args.in = &given.source;
        caller_start(&callers[i]);
        if (i == 0)
            hear(stage.out);
        (void)usleep(20 * 1000);
    }
    for (int i = 0; i < 4; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, SBX_E_TIMEOUT);
        assert_true(callers[i].took_ns < 1300 * MS);
        /* Those that could not send left no trace. */
        assert_int_equal(callers[i].run.error.flags, i == 0 ? SBX_ERR_MAYBE_APPLIED : 0);
        run_finish(&callers[i].run);
    }
    tell(stage.in);
    fake_stop(&fake);
    stage_close(&stage);
}

/* --- the end of the connection ------------------------------------------------------------------------------ */
/* Ends after so many requests; later connections answer. */
static void mortal_script(struct fake_conn *c, void *user)
{
    int count = *(int *)user;
    while ((c->number > 0 || count-- > 0) && fake_request(c) == 0)
        if (c->number > 0)
            fake_exited(c, 0);
}

static void lose_all(int max, sbx_status expected, uint32_t flags)
{
    static struct caller callers[CALLS];
    int count = CALLS;
    struct fake_guest fake;
    fake_start(&fake, mortal_script, &count, &shared);
    fake.max = max;
    for (int i = 0; i < CALLS; i++) {
        caller_init(&callers[i], fake.link, i);
        caller_start(&callers[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, expected);
        assert_int_equal(callers[i].run.error.flags, flags);
        assert_true(callers[i].took_ns < 2000 * MS);
        run_finish(&callers[i].run);
    }
    if (max == 0) {
        RUN run;
        run_init(&run);
        assert_int_equal(run_on(&run, fake.link), SBX_OK);
        assert_int_equal(fake.made, 2); /* one, to see what is true, was made for all of them */
    }
    fake_stop(&fake);
}

static void a_lost_connection_is_unknown_to_all_its_calls(void **state)
{
    (void)state;
    lose_all(0, SBX_E_UNKNOWN, SBX_ERR_MAYBE_APPLIED);
}

static void a_lost_sandbox_is_gone_for_all_its_calls(void **state)
{
    (void)state;
    lose_all(1, SBX_E_GONE, 0);
}

/* An idle connection that ended is not even tried. */
static void once_script(struct fake_conn *c, void *user)
{
    (void)user;
    if (fake_request(c) == 0)
        fake_exited(c, 0);
}

static void a_connection_that_ended_while_idle_is_made_anew(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, once_script, NULL, &shared);
    for (int i = 0; i < 5; i++) {
        RUN run;
        run_init(&run);
        assert_int_equal(run_on(&run, fake.link), SBX_OK);
        (void)usleep(20 * 1000);
    }
    assert_int_equal(fake.made, 5);
    fake_stop(&fake);
}

/* --- lies --------------------------------------------------------------------------------------------------- */
enum lie { LIE_NO_REQUEST, LIE_OVER_CREDIT, LIE_AFTER_EOF, LIE_TWO_ENDS, LIE_REPLIES, LIE_NONSENSE, LIE_COUNT };

struct liar {
    enum lie lie;
    struct stage stage;
};

static void tell_lie(struct fake_conn *c, enum lie lie)
{
    static const char block[WIRE_MAX_PAYLOAD];
    switch (lie) {
    case LIE_NO_REQUEST:
        c->id += 1000;
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "x", 1);
        break;
    case LIE_OVER_CREDIT:
        for (int i = 0; i < 5; i++)
            fake_frame(c, FRAME_DATA, 0, STREAM_OUT, block, sizeof block);
        break;
    case LIE_AFTER_EOF:
        fake_frame(c, FRAME_DATA, FLAG_EOF, STREAM_OUT, "x", 1);
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "x", 1);
        break;
    case LIE_TWO_ENDS:
        fake_exited(c, 0);
        fake_exited(c, 0);
        break;
    case LIE_REPLIES:
        for (int i = 0; i < 10; i++)
            fake_frame(c, FRAME_REPLY, 0, 0, block, sizeof block);
        break;
    default:
        fake_bytes(c, "what a mess this is", 19);
    }
}

/* Two requests: the first one's caller is blocked in its sink, so that what is told of it stays; the second waits. */
static void liar_script(struct fake_conn *c, void *user)
{
    struct liar *liar = user;
    uint32_t ids[BOTH] = {0};
    for (int i = 0; i < BOTH; i++) {
        if (fake_request(c) != 0)
            return;
        ids[i] = c->id;
        if (i == 0)
            fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "x", 1);
        tell(liar->stage.out);
    }
    c->id = ids[0];
    tell_lie(c, liar->lie);
    c->id = ids[1];
    fake_exited(c, 0); /* the truth comes too late */
    (void)fake_until(c, FRAME_HELLO);
}

static int32_t wait_write(void *user, const void *data, size_t len)
{
    const struct liar *liar = user;
    (void)data;
    if (len == 1)
        hear(liar->stage.in);
    return 0;
}

static void a_lie_to_one_call_ends_the_connection_of_all(void **state)
{
    (void)state;
    for (int i = 0; i < LIE_COUNT; i++) {
        struct liar liar = {.lie = (enum lie)i};
        struct sbx_sink sink = {.size = sizeof sink, .user = &liar, .write = wait_write};
        struct fake_guest fake;
        struct caller callers[BOTH];
        stage_open(&liar.stage);
        fake_start(&fake, liar_script, &liar, &shared);
        fake.max = 1;
        for (int k = 0; k < BOTH; k++) {
            caller_init(&callers[k], fake.link, k);
            if (k == 0)
                callers[k].run.args.out = &sink;
            caller_start(&callers[k]);
            hear(liar.stage.out);
        }
        caller_join(&callers[1]);
        if (callers[1].status != SBX_E_PROTOCOL)
            fail_msg("lie %d: status %d, message %s", i, callers[1].status, callers[1].run.error.message);
        tell(liar.stage.in);
        tell(liar.stage.in); /* it is told in two pieces */
        caller_join(&callers[0]);
        /* A call whose END had come has its answer. */
        if (callers[0].status != (i == LIE_TWO_ENDS ? SBX_OK : SBX_E_PROTOCOL))
            fail_msg("lie %d: status %d, message %s", i, callers[0].status, callers[0].run.error.message);
        fake_stop(&fake);
        run_finish(&callers[0].run);
        run_finish(&callers[1].run);
        stage_close(&liar.stage);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_still_comes_for_a_cancelled_call_is_dropped),
        cmocka_unit_test(a_cancelled_call_has_no_more_credit_than_it_had),
        cmocka_unit_test(nothing_may_follow_the_end_of_a_cancelled_call),
        cmocka_unit_test(the_last_call_to_leave_unconfirmed_closes_the_connection),
        cmocka_unit_test(a_full_line_holds_nobody_beyond_its_deadline),
        cmocka_unit_test(a_lost_connection_is_unknown_to_all_its_calls),
        cmocka_unit_test(a_lost_sandbox_is_gone_for_all_its_calls),
        cmocka_unit_test(a_connection_that_ended_while_idle_is_made_anew),
        cmocka_unit_test(a_lie_to_one_call_ends_the_connection_of_all),
    };
    return RUN_TESTS(tests, argc, argv);
}
