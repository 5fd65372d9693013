/* SPDX-License-Identifier: MIT
 *
 * test_share.c - many calls on one connection: each gets its own, none waits for another, and what happens to one, or
 * to the connection, is told right to each.
 */
#include "tests/common/runner.h"

#include "tests/common/callers.h"

/* Answers every request with its first argument. */
static void name_script(struct fake_conn *c, void *user)
{
    char name[64];
    (void)user;
    while (fake_request(c) == 0) {
        fake_text(c, F_ARG, 0, name, sizeof name);
        answer_as(c, c->id, name, 0);
    }
}

/* Reads `count` requests, then answers them: the last first. */
static void reverse_script(struct fake_conn *c, void *user)
{
    uint32_t ids[CALLS];
    char names[CALLS][64];
    int count = *(int *)user;
    for (int i = 0; i < count; i++) {
        if (fake_request(c) != 0)
            return;
        ids[i] = c->id;
        fake_text(c, F_ARG, 0, names[i], sizeof names[i]);
    }
    for (int i = count; i-- > 0;)
        answer_as(c, ids[i], names[i], (uint64_t)i);
    (void)fake_until(c, FRAME_HELLO);
}

/* As many as share it, and it tells of each; answers when it is told to. */
static void three_script(struct fake_conn *c, void *user)
{
    struct stage *stage = user;
    uint32_t ids[3];
    for (int i = 0; i < 3; i++) {
        if (fake_request(c) != 0)
            return;
        ids[i] = c->id;
        tell(stage->out);
    }
    hear(stage->in);
    for (int i = 0; i < 3; i++)
        answer_as(c, ids[i], "", 0);
    (void)fake_until(c, FRAME_HELLO);
}

/* --- each gets its own -------------------------------------------------------------------------------------- */
static void each_call_gets_its_own_answer(void **state)
{
    (void)state;
    static struct caller callers[CALLS];
    int count = CALLS;
    struct fake_guest fake;
    fake_start(&fake, reverse_script, &count, &shared);
    for (int i = 0; i < CALLS; i++) {
        caller_init(&callers[i], fake.link, i);
        caller_start(&callers[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, SBX_OK);
        assert_string_equal(callers[i].run.out.data.data, callers[i].name);
        run_finish(&callers[i].run);
    }
    assert_int_equal(fake.made, 1);
    fake_stop(&fake);
}

static void thousands_of_calls_share_one_connection(void **state)
{
    (void)state;
    static struct caller callers[CALLS];
    struct fake_guest fake;
    fake_start(&fake, name_script, NULL, &shared);
    for (int i = 0; i < CALLS; i++) {
        caller_init(&callers[i], fake.link, i);
        callers[i].times = 200;
        caller_start(&callers[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, SBX_OK);
        assert_int_equal(callers[i].run.out.data.len, 200 * strlen(callers[i].name));
        run_finish(&callers[i].run);
    }
    assert_int_equal(fake.made, 1);
    fake_stop(&fake);
}

static void calls_beyond_the_share_make_another_connection(void **state)
{
    (void)state;
    static struct caller callers[6];
    struct stage stage;
    stage_open(&stage);
    struct fake_guest fake;
    fake_start(&fake, three_script, &stage, &(struct guest_link_options){.share = 3});
    for (int i = 0; i < 6; i++) {
        caller_init(&callers[i], fake.link, i);
        caller_start(&callers[i]);
    }
    for (int i = 0; i < 6; i++)
        hear(stage.out);
    tell(stage.in);
    tell(stage.in);
    for (int i = 0; i < 6; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, SBX_OK);
        run_finish(&callers[i].run);
    }
    assert_int_equal(fake.made, 2);
    fake_stop(&fake);
    stage_close(&stage);
}

/* --- making it ---------------------------------------------------------------------------------------------- */
/* A guest that takes its time to greet. */
static void late_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct wire_head head;
    if (fake_read(c, &head, payload) != 0)
        return;
    (void)usleep(300 * 1000);
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_VERSION, WIRE_VERSION);
    fields_bytes(&b, F_NONCE, payload + 24, 16);
    c->id = 0;
    fake_frame(c, FRAME_HELLO, 0, 0, b.data, b.len);
    c->request.len = 0;
    name_script(c, user);
}

static void one_call_makes_the_connection_for_all(void **state)
{
    (void)state;
    static struct caller callers[CALLS];
    struct fake_guest fake;
    fake_start(&fake, late_script, NULL, &shared);
    fake.no_greeting = 1;
    for (int i = 0; i < CALLS; i++) {
        caller_init(&callers[i], fake.link, i);
        caller_start(&callers[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, SBX_OK);
        run_finish(&callers[i].run);
    }
    assert_int_equal(fake.made, 1);
    fake_stop(&fake);
}

/* The first one's deadline is over before the guest greets; that is no reason for the others to fail. */
static void who_waits_for_a_connection_has_a_deadline_of_its_own(void **state)
{
    (void)state;
    static struct caller callers[3];
    struct fake_guest fake;
    fake_start(&fake, late_script, NULL, &shared);
    fake.no_greeting = 1;
    for (int i = 0; i < 3; i++) {
        caller_init(&callers[i], fake.link, i);
        if (i != 2)
            callers[i].run.call.deadline_ns = clock_now_ns() + (100 + 50 * i) * MS;
        caller_start(&callers[i]);
        (void)usleep(20 * 1000);
    }
    for (int i = 0; i < 3; i++)
        caller_join(&callers[i]);
    assert_int_equal(callers[0].status, SBX_E_TIMEOUT);
    assert_int_equal(callers[1].status, SBX_E_TIMEOUT);
    assert_true(callers[1].took_ns < 600 * MS);
    assert_int_equal(callers[2].status, SBX_OK);
    for (int i = 0; i < 3; i++)
        run_finish(&callers[i].run);
    fake_stop(&fake);
}

struct nobody {
    int asked;
};

static sbx_status slow_nobody(void *user, struct sbx_call *call, int *fd)
{
    struct nobody *nobody = user;
    (void)fd;
    nobody->asked++; /* one at a time */
    (void)usleep(200 * 1000);
    return call_fail(call, SBX_E_GONE, "nobody is there");
}

static void a_connection_that_cannot_be_made_is_asked_for_once(void **state)
{
    (void)state;
    static struct caller callers[CALLS];
    struct nobody nobody = {.asked = 0};
    struct guest_link_options options = {.connect = slow_nobody, .user = &nobody, .share = SHARE};
    struct guest_link *link = guest_open(&options);
    assert_non_null(link);
    for (int i = 0; i < CALLS; i++) {
        caller_init(&callers[i], link, i);
        caller_start(&callers[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, SBX_E_GONE);
        assert_string_equal(callers[i].run.error.message, "nobody is there");
        assert_int_equal(callers[i].run.error.flags, 0);
        run_finish(&callers[i].run);
    }
    assert_true(nobody.asked <= 3); /* those that came late ask again */
    guest_close(link);
}

/* --- none waits for another --------------------------------------------------------------------------------- */
static void fifty_quick_calls(struct guest_link *link)
{
    struct caller quick;
    caller_init(&quick, link, 1);
    quick.times = 50;
    (void)call_it(&quick);
    assert_int_equal(quick.status, SBX_OK);
    assert_int_equal(quick.run.out.data.len, 200);
    assert_true(quick.took_ns < 2000 * MS);
    run_finish(&quick.run);
}

/* The first request gets as much as it has credit for and no end before the test says so; all others are answered. */
static void flood_one_script(struct fake_conn *c, void *user)
{
    static const char block[WIRE_WINDOW / 4];
    struct stage *stage = user;
    if (fake_request(c) != 0)
        return;
    uint32_t first = c->id;
    tell(stage->out);
    for (int i = 0; i < 4; i++)
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, block, sizeof block);
    for (int i = 0; i < 50 && fake_request(c) == 0; i++)
        answer_as(c, c->id, "fine", 0);
    hear(stage->in);
    c->id = first;
    fake_exited(c, 7);
    (void)fake_until(c, FRAME_HELLO);
}

struct blocked {
    struct sbx_sink sink;
    int gate[2];
    size_t len;
    int passed;
};

static int32_t blocked_write(void *user, const void *data, size_t len)
{
    struct blocked *b = user;
    (void)data;
    b->len += len;
    if (!b->passed)
        hear(b->gate);
    b->passed = 1;
    return 0;
}

static void a_receiver_that_blocks_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    struct blocked blocked = {.sink = {.size = sizeof blocked.sink, .user = &blocked, .write = blocked_write}};
    assert_int_equal(pipe2(blocked.gate, O_CLOEXEC), 0);
    struct fake_guest fake;
    fake_start(&fake, flood_one_script, &stage, &shared);
    struct caller slow;
    caller_init(&slow, fake.link, 0);
    slow.run.args.out = &blocked.sink;
    caller_start(&slow);
    hear(stage.out);
    fifty_quick_calls(fake.link);
    tell(blocked.gate);
    tell(stage.in);
    caller_join(&slow);
    assert_int_equal(slow.status, SBX_OK);
    assert_int_equal(slow.run.result.exit_code, 7);
    assert_int_equal(blocked.len, WIRE_WINDOW);
    assert_int_equal(fake.made, 1);
    fake_stop(&fake);
    run_finish(&slow.run);
    (void)close(blocked.gate[0]);
    (void)close(blocked.gate[1]);
    stage_close(&stage);
}

/* A source without a descriptor is read in a blocking way by who may be the reader at that moment. */
struct stuck {
    struct sbx_source source;
    int gate[2];
};

static int64_t stuck_read(void *user, void *buf, size_t cap)
{
    struct stuck *s = user;
    (void)buf;
    (void)cap;
    hear(s->gate);
    return 0;
}

static void pass_first_script(struct fake_conn *c, void *user)
{
    struct stage *stage = user;
    if (fake_request(c) != 0)
        return;
    uint32_t first = c->id;
    tell(stage->out);
    for (int i = 0; i < 50 && fake_request(c) == 0; i++)
        answer_as(c, c->id, "fine", 0);
    if (fake_until(c, FRAME_DATA) != 0)
        return;
    c->id = first;
    fake_exited(c, 3);
    (void)fake_until(c, FRAME_HELLO);
}

static void a_source_that_blocks_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    struct stuck stuck = {.source = {.size = sizeof stuck.source, .user = &stuck, .read = stuck_read}};
    assert_int_equal(pipe2(stuck.gate, O_CLOEXEC), 0);
    struct fake_guest fake;
    fake_start(&fake, pass_first_script, &stage, &shared);
    struct caller slow;
    caller_init(&slow, fake.link, 0);
    slow.run.args.in = &stuck.source;
    caller_start(&slow);
    hear(stage.out);
    fifty_quick_calls(fake.link);
    tell(stuck.gate);
    caller_join(&slow);
    assert_int_equal(slow.status, SBX_OK);
    assert_int_equal(slow.run.result.exit_code, 3);
    fake_stop(&fake);
    run_finish(&slow.run);
    (void)close(stuck.gate[0]);
    (void)close(stuck.gate[1]);
    stage_close(&stage);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_gets_its_own_answer),
        cmocka_unit_test(thousands_of_calls_share_one_connection),
        cmocka_unit_test(calls_beyond_the_share_make_another_connection),
        cmocka_unit_test(one_call_makes_the_connection_for_all),
        cmocka_unit_test(who_waits_for_a_connection_has_a_deadline_of_its_own),
        cmocka_unit_test(a_connection_that_cannot_be_made_is_asked_for_once),
        cmocka_unit_test(a_receiver_that_blocks_keeps_nobody_waiting),
        cmocka_unit_test(a_source_that_blocks_keeps_nobody_waiting),
    };
    return RUN_TESTS(tests, argc, argv);
}
