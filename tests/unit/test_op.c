/* SPDX-License-Identifier: MIT
 *
 * test_op.c - operations: callbacks inside dispatch on the caller's thread, bounded buffers, cancelling, many at once.
 */
#include "direct.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct seen {
    pthread_t thread;
    int inside_dispatch;
    int wrong_thread;
    size_t bytes[3];
    unsigned long sum;
    size_t stop_after;
    size_t fed;
    size_t feed_total;
};

static int32_t on_output(void *user, int stream, const void *data, size_t len)
{
    struct seen *s = user;
    s->wrong_thread |= !pthread_equal(s->thread, pthread_self()) || !s->inside_dispatch;
    s->bytes[stream] += len;
    for (size_t i = 0; i < len; i++)
        s->sum += ((const unsigned char *)data)[i];
    return s->stop_after != 0 && s->bytes[1] >= s->stop_after;
}

static int64_t in_read(void *user, void *buf, size_t cap)
{
    struct seen *s = user;
    s->wrong_thread |= !pthread_equal(s->thread, pthread_self()) || !s->inside_dispatch;
    size_t n = s->feed_total - s->fed < cap ? s->feed_total - s->fed : cap;
    memset(buf, 'x', n);
    s->fed += n;
    return (int64_t)n;
}

/* Dispatches until it is over, from a loop as a program would have it. */
static void loop(sbx_op *op, struct seen *s)
{
    for (int over = 0; !over;) {
        struct pollfd fd = {.fd = sbx_op_fd(op), .events = POLLIN};
        assert_true(poll(&fd, 1, 20000) > 0);
        s->inside_dispatch = 1;
        over = sbx_op_dispatch(op);
        s->inside_dispatch = 0;
    }
}

static sbx_op *start(struct place *p, const struct sbx_exec_options *options, const struct sbx_call_options *call)
{
    sbx_op *op = NULL;
    if (sbx_exec_start(p->box, options, call, &op, &p->error) != SBX_OK)
        fail_msg("start: %s", p->error.message);
    return op;
}

static void callbacks_run_inside_dispatch_on_the_callers_thread(void **state)
{
    (void)state;
    struct place p;
    struct seen s = {.thread = pthread_self(), .feed_total = 3u << 20};
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options,
                                             .command = "cat; echo err >&2",
                                             .user_data = &s,
                                             .on_output = on_output,
                                             .in_read = in_read};
    sbx_op *op = start(&p, &options, NULL);
    loop(op, &s);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    assert_int_equal(s.wrong_thread, 0);
    assert_int_equal(s.bytes[1], 3u << 20);
    assert_int_equal(s.bytes[2], 4);
    assert_int_equal(sbx_op_exec_result(op)->exit_code, 0);
    assert_int_equal(sbx_op_exec_result(op)->out_bytes, 3u << 20);
    sbx_op_free(op);
    place_close(&p);
}

static void options_may_go_away_after_the_start(void **state)
{
    (void)state;
    struct place p;
    char command[64] = "echo $A $0; exit 3";
    char key[8] = "A";
    char value[16] = "kept";
    struct sbx_kv kv = {key, value};
    place_open(&p, "direct", NULL);
    struct sbx_exec_options options = {
        .size = sizeof options, .flags = SBX_RUN_CAPTURE, .command = command, .envs = {&kv, 1}};
    sbx_op *op = start(&p, &options, NULL);
    memset(command, '#', sizeof command - 1);
    memset(key, '#', sizeof key - 1);
    memset(value, '#', sizeof value - 1);
    memset(&options, 0xee, sizeof options);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_exec_result(op)->exit_code, 3);
    sbx_op_free(op);
    place_close(&p);
}

static void nothing_is_known_before_the_end(void **state)
{
    (void)state;
    struct place p;
    size_t len = 7;
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {
        .size = sizeof options, .flags = SBX_RUN_CAPTURE, .command = "sleep 0.3; echo hi"};
    sbx_op *op = start(&p, &options, NULL);
    assert_null(sbx_op_exec_result(op));
    assert_null(sbx_op_output(op, 1, &len));
    assert_int_equal(len, 0);
    assert_int_equal(sbx_op_finish(op, NULL), SBX_OK);
    assert_memory_equal(sbx_op_output(op, 1, &len), "hi\n", 3);
    assert_int_equal(len, 3);
    assert_null(sbx_op_output(op, 3, &len));
    assert_int_equal(sbx_op_dispatch(op), 1);
    struct pollfd fd = {.fd = sbx_op_fd(op), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 1);
    sbx_op_free(op);
    place_close(&p);
}

static void undispatched_output_is_bounded_and_stops_nothing_else(void **state)
{
    (void)state;
    struct place p;
    struct seen s = {.thread = pthread_self()};
    struct rusage before;
    struct rusage after;
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {
        .size = sizeof options, .command = "head -c 67108864 /dev/zero", .user_data = &s, .on_output = on_output};
    (void)getrusage(RUSAGE_SELF, &before);
    sbx_op *op = start(&p, &options, NULL);
    const struct timespec moment = {.tv_nsec = 300000000};
    (void)nanosleep(&moment, NULL);
    const struct sbx_exec_options other = {.size = sizeof other, .command = "true"};
    assert_int_equal(sbx_exec(p.box, &other, NULL, NULL, &p.error), SBX_OK);
    loop(op, &s);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    (void)getrusage(RUSAGE_SELF, &after);
    assert_int_equal(s.bytes[1], 67108864);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(after.ru_maxrss - before.ru_maxrss < 32 * 1024);
#endif
    sbx_op_free(op);
    place_close(&p);
}

static void cancel_ends_an_operation_at_once(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "sleep 30"};
    sbx_op *op = start(&p, &options, NULL);
    double begin = now_s();
    sbx_op_cancel(op);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_CANCELLED);
    assert_true(now_s() - begin < 2);
    sbx_op_free(op);
    place_close(&p);
}

static void cancel_ends_one_that_waits_for_room(void **state)
{
    (void)state;
    struct place p;
    struct seen s = {.thread = pthread_self(), .inside_dispatch = 1};
    const struct timespec moment = {.tv_nsec = 200000000};
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {
        .size = sizeof options, .command = "yes", .user_data = &s, .on_output = on_output};
    sbx_op *op = start(&p, &options, NULL);
    (void)nanosleep(&moment, NULL);
    sbx_op_cancel(op);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_CANCELLED);
    sbx_op_free(op);
    int token = eventfd(0, EFD_CLOEXEC);
    const struct sbx_call_options call = {.size = sizeof call, .flags = SBX_CALL_CANCEL_FD, .cancel_fd = token};
    op = start(&p, &options, &call);
    (void)nanosleep(&moment, NULL);
    assert_int_equal(eventfd_write(token, 1), 0);
    (void)nanosleep(&moment, NULL);
    double begin = now_s();
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_CANCELLED);
    assert_true(now_s() - begin < 2);
    sbx_op_free(op);
    const struct sbx_call_options brief = {.size = sizeof brief, .deadline_ms = 100};
    op = start(&p, &options, &brief);
    (void)nanosleep(&moment, NULL);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_TIMEOUT);
    sbx_op_free(op);
    close(token);
    place_close(&p);
}

static void free_ends_what_is_under_way(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "sleep 30"};
    double begin = now_s();
    sbx_op_free(start(&p, &options, NULL));
    assert_true(now_s() - begin < 2);
    sbx_op_free(NULL);
    sbx_op_cancel(NULL);
    assert_int_equal(sbx_op_fd(NULL), -1);
    place_close(&p);
}

static void callback_that_says_stop_ends_it(void **state)
{
    (void)state;
    struct place p;
    struct seen s = {.thread = pthread_self(), .stop_after = 1};
    place_open(&p, "direct", NULL);
    /* silent after its first piece: the stop must not wait for the next one */
    const struct sbx_exec_options options = {
        .size = sizeof options, .command = "echo one; sleep 30", .user_data = &s, .on_output = on_output};
    sbx_op *op = start(&p, &options, NULL);
    double begin = now_s();
    loop(op, &s);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_STOPPED);
    assert_true(now_s() - begin < 5);
    sbx_op_free(op);
    const struct sbx_exec_options last = {
        .size = sizeof last, .command = "echo one", .user_data = &s, .on_output = on_output};
    const struct timespec moment = {.tv_nsec = 200000000};
    s.bytes[1] = 0;
    op = start(&p, &last, NULL);
    (void)nanosleep(&moment, NULL); /* over, and its piece still here */
    loop(op, &s);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_STOPPED);
    sbx_op_free(op);
    place_close(&p);
}

static void create_operation_gives_the_sandbox_once(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_create_start(p.ctx, NULL, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    sbx_sandbox *box = sbx_op_take_sandbox(op);
    assert_string_equal(sbx_id(box), "d/box2");
    assert_null(sbx_op_take_sandbox(op));
    sbx_op_free(op);
    sbx_release(box);
    place_close(&p);
}

static void count(void *user, const struct sbx_info *info)
{
    (void)info;
    ++*(int *)user;
}

static void create_operation_that_nobody_took_leaves_nothing(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    int left = 0;
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_create_start(p.ctx, NULL, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    sbx_op_free(op);
    assert_int_equal(sbx_create_start(p.ctx, NULL, NULL, &op, &p.error), SBX_OK);
    sbx_op_cancel(op);
    sbx_status status = sbx_op_finish(op, &p.error);
    assert_true(status == SBX_OK || status == SBX_E_CANCELLED);
    sbx_op_free(op);
    assert_int_equal(sbx_list(p.ctx, NULL, NULL, count, &left, &p.error), SBX_OK);
    assert_int_equal(left, 1);
    place_close(&p);
}

static void cancelled_create_ends_at_once(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    place_open(&p, "direct", "create-slow");
    assert_int_equal(sbx_create_start(p.ctx, NULL, NULL, &op, &p.error), SBX_OK);
    double begin = now_s();
    sbx_op_cancel(op);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_CANCELLED);
    assert_true(now_s() - begin < 2);
    sbx_op_free(op);
    place_close(&p);
}

/* --- terminals -------------------------------------------------------------------------------------------------- */

struct terminal {
    int fd;
    int step;
};

static int32_t next_change(void *user, uint32_t *rows, uint32_t *cols, int32_t *signo)
{
    struct terminal *t = user;
    eventfd_t drained;
    if (t->step == 3) {
        (void)eventfd_read(t->fd, &drained);
        return 0;
    }
    t->step++;
    *rows = t->step == 1 ? 50 : 0;
    *cols = t->step == 1 ? 132 : 0;
    *signo = t->step == 2 ? 2 : t->step == 3 ? 15 : 0;
    if (t->step == 1)
        *signo = 28; /* a size and a signal in one change */
    return 1;
}

static void terminal_changes_reach_the_provider(void **state)
{
    (void)state;
    for (int threaded = 0; threaded < 2; threaded++) {
        struct place p;
        struct terminal t = {.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
        sbx_op *op = NULL;
        size_t len = 0;
        struct sbx_terminal terminal = {
            .size = sizeof terminal, .rows = 24, .cols = 80, .user = &t, .next = next_change, .ready_fd = t.fd};
        place_open(&p, "direct", NULL);
        const struct sbx_exec_options options = {
            .size = sizeof options, .flags = SBX_RUN_CAPTURE, .command = "x", .terminal = &terminal};
        if (threaded) {
            op = start(&p, &options, NULL);
            assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
        } else {
            assert_int_equal(sbx_exec_capture(p.box, &options, NULL, &op, &p.error), SBX_OK);
        }
        const char *said = sbx_op_output(op, 1, &len);
        static const char expected[] = "size 50x132\nsignal 28\nsignal 2\nsignal 15\n";
        assert_int_equal(len, sizeof expected - 1);
        assert_memory_equal(said, expected, len);
        sbx_op_free(op);
        close(t.fd);
        place_close(&p);
    }
}

static void terminals_are_refused_where_there_are_none(void **state)
{
    (void)state;
    struct place p;
    const struct sbx_terminal terminal = {.size = sizeof terminal, .rows = 24, .cols = 80, .ready_fd = -1};
    const struct sbx_exec_options options = {.size = sizeof options, .command = "x", .terminal = &terminal};
    const struct sbx_exec_options shell = {.size = sizeof shell, .command = "x", .shell = "one"};
    place_open(&p, "direct-bare", NULL);
    assert_int_equal(sbx_exec(p.box, &options, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    unit_assert_contains(p.error.message, "terminals");
    assert_int_equal(sbx_exec(p.box, &shell, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    place_close(&p);
}

/* --- many ------------------------------------------------------------------------------------------------------- */

static void hundreds_run_at_once(void **state)
{
    (void)state;
    enum { MANY = 200 };
    struct place p;
    sbx_op *ops[MANY];
    const struct sbx_exec_options options = {
        .size = sizeof options, .flags = SBX_RUN_CAPTURE, .command = "echo hi; sleep 0.2"};
    place_open(&p, "direct", NULL);
    for (size_t i = 0; i < MANY; i++)
        ops[i] = start(&p, &options, NULL);
    for (size_t i = 0; i < MANY; i++) {
        size_t len = 0;
        assert_int_equal(sbx_op_finish(ops[i], &p.error), SBX_OK);
        assert_memory_equal(sbx_op_output(ops[i], 1, &len), "hi\n", 3);
        assert_int_equal(len, 3);
        sbx_op_free(ops[i]);
    }
    place_close(&p);
}

struct crowd {
    struct place *place;
    unsigned seed;
    atomic_int *wrong;
};

static sbx_status one_call(struct place *p, unsigned kind, struct sbx_error *error)
{
    struct seen s = {.thread = pthread_self(), .inside_dispatch = 1, .feed_total = 100000};
    sbx_op *op = NULL;
    struct sbx_file_stat st = SBX_INIT(st);
    const struct sbx_exec_options options = {
        .size = sizeof options, .command = "cat | wc -c", .user_data = &s, .on_output = on_output, .in_read = in_read};
    const struct sbx_transfer_options write = {
        .size = sizeof write, .flags = SBX_WRITE_PARENTS, .data = "some text", .data_len = 9};
    sbx_status status;
    switch (kind) {
    case 0:
        return sbx_exec(p->box, &options, NULL, NULL, error);
    case 1:
        return sbx_write_file(p->box, "shared/file", &write, NULL, error);
    case 2:
        status = sbx_stat(p->box, "shared", NULL, &st, error);
        return status == SBX_E_NOT_FOUND ? SBX_OK : status;
    case 3:
        return sbx_list(p->ctx, NULL, NULL, NULL, NULL, error);
    default:
        status = sbx_exec_start(p->box, &options, NULL, &op, error);
        if (status != SBX_OK)
            return status;
        if (kind == 4)
            sbx_op_cancel(op);
        status = sbx_op_finish(op, error);
        sbx_op_free(op);
        return status == SBX_E_CANCELLED ? SBX_OK : status;
    }
}

static void *mixed_calls(void *user)
{
    struct crowd *c = user;
    for (int i = 0; i < 12; i++) {
        struct sbx_error error = SBX_INIT(error);
        if (one_call(c->place, (unsigned)rand_r(&c->seed) % 6, &error) != SBX_OK) {
            (void)fprintf(stderr, "%s\n", error.message);
            atomic_fetch_add(c->wrong, 1);
        }
    }
    return NULL;
}

static void many_threads_mix_calls_and_cancel(void **state)
{
    (void)state;
    static const char *const plugins[] = {"direct", "direct-serial"};
    enum { THREADS = 64 };
    for (size_t k = 0; k < 2; k++) {
        struct place p;
        struct crowd crowd[THREADS];
        pthread_t threads[THREADS];
        atomic_int wrong = 0;
        place_open(&p, plugins[k], NULL);
        for (size_t i = 0; i < THREADS; i++) {
            crowd[i] = (struct crowd){.place = &p, .seed = (unsigned)(i + 1), .wrong = &wrong};
            assert_int_equal(pthread_create(&threads[i], NULL, mixed_calls, &crowd[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong, 0);
        place_close(&p);
    }
}

static const struct CMUnitTest tests[] = {
    UNIT(callbacks_run_inside_dispatch_on_the_callers_thread),
    UNIT(options_may_go_away_after_the_start),
    UNIT(nothing_is_known_before_the_end),
    UNIT(undispatched_output_is_bounded_and_stops_nothing_else),
    UNIT(cancel_ends_an_operation_at_once),
    UNIT(cancel_ends_one_that_waits_for_room),
    UNIT(free_ends_what_is_under_way),
    UNIT(callback_that_says_stop_ends_it),
    UNIT(create_operation_gives_the_sandbox_once),
    UNIT(create_operation_that_nobody_took_leaves_nothing),
    UNIT(cancelled_create_ends_at_once),
    UNIT(terminal_changes_reach_the_provider),
    UNIT(terminals_are_refused_where_there_are_none),
    UNIT(hundreds_run_at_once),
    UNIT(many_threads_mix_calls_and_cancel),
};
UNIT_MAIN(tests)
