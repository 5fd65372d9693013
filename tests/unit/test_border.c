/* SPDX-License-Identifier: MIT
 *
 * test_border.c - what libsbx believes of a plugin's answers, and what it does not.
 */
#include "direct.h"

#include <pthread.h>
#include <time.h>

static sbx_status run(struct place *p, const char *command, struct sbx_exec_result *result)
{
    const struct sbx_exec_options options = {.size = sizeof options, .command = command};
    memset(result, 0, sizeof *result);
    result->size = sizeof *result;
    return sbx_exec(p->box, &options, NULL, result, &p->error);
}

/* The verdict of an exec by a provider whose answer is wrong in this way. */
static void exec_is(const char *bad, sbx_status expected, const char *part)
{
    struct place p;
    struct sbx_exec_result result;
    place_open(&p, "direct", bad);
    place_create(&p);
    sbx_status status = run(&p, "true", &result);
    if (status != expected)
        fail_msg("%s: status %d, expected %d: %s", bad, status, expected, p.error.message);
    if (status != SBX_OK) {
        assert_int_equal(p.error.code, expected);
        unit_assert_contains(p.error.message, "exec d/box1: ");
        unit_assert_contains(p.error.message, part);
    }
    place_close(&p);
}

static void ok_without_an_end_is_unknown(void **state)
{
    (void)state;
    exec_is("exec-no-end", SBX_E_UNKNOWN, "without saying how");
}

static void exit_codes_out_of_range_are_unknown(void **state)
{
    (void)state;
    exec_is("exec-code-300", SBX_E_UNKNOWN, "exit code 300");
    exec_is("exec-code-minus", SBX_E_UNKNOWN, "exit code -1");
    exec_is("exec-signal-99", SBX_E_UNKNOWN, "signal 99");
}

static void unknown_codes_are_failures(void **state)
{
    (void)state;
    exec_is("unknown-code", SBX_E_FAILED, "no reason");
    exec_is("positive-code", SBX_E_FAILED, "no reason");
}

static void unknown_outcome_names_the_sandbox(void **state)
{
    (void)state;
    struct place p;
    struct sbx_exec_result result;
    place_open(&p, "direct", "exec-no-end");
    place_create(&p);
    assert_int_equal(run(&p, "true", &result), SBX_E_UNKNOWN);
    assert_string_equal(p.error.resource_id, "d/box1");
    place_close(&p);
}

static void signal_sets_the_exit_code(void **state)
{
    (void)state;
    struct place p;
    struct sbx_exec_result result;
    place_open(&p, "direct", "exec-wrong-sum");
    place_create(&p);
    assert_int_equal(run(&p, "true", &result), SBX_OK);
    assert_int_equal(result.exit_code, 137);
    place_close(&p);
}

static void ok_without_a_sandbox_is_a_protocol_error(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "create-null");
    assert_int_equal(sbx_create(p.ctx, NULL, NULL, &p.box, &p.error), SBX_E_PROTOCOL);
    assert_null(p.box);
    unit_assert_contains(p.error.message, "create d: ");
    place_close(&p);
    place_open(&p, "direct", "attach-null");
    assert_int_equal(sbx_attach(p.ctx, "d/box1", NULL, &p.box, &p.error), SBX_E_PROTOCOL);
    place_close(&p);
    place_open(&p, "direct", "open-null");
    assert_int_equal(sbx_create(p.ctx, NULL, NULL, &p.box, &p.error), SBX_E_PROTOCOL);
    place_close(&p);
}

static void unusable_id_leaves_nothing_behind(void **state)
{
    (void)state;
    struct place p;
    char folder[96];
    place_open(&p, "direct", "bad-id");
    assert_int_equal(sbx_create(p.ctx, NULL, NULL, &p.box, &p.error), SBX_E_PROTOCOL);
    (void)snprintf(folder, sizeof folder, "%s/box1", p.top);
    assert_int_equal(access(folder, F_OK), -1);
    place_close(&p);
}

static void messages_become_one_clean_line(void **state)
{
    (void)state;
    struct place p;
    struct sbx_exec_result result;
    place_open(&p, "direct", "message");
    place_create(&p);
    assert_int_equal(run(&p, "true", &result), SBX_E_FAILED);
    assert_string_equal(p.error.message, "exec d/box1: two lines ?[31m and ? bytes");
    assert_int_equal(p.error.provider_status, 418);
    place_close(&p);
}

static void output_that_was_lost_is_flagged(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    const struct sbx_exec_options options = {.size = sizeof options, .command = "x"};
    place_open(&p, "direct", "lost-output");
    place_create(&p);
    assert_int_equal(sbx_exec_capture(p.box, &options, NULL, &op, &p.error), SBX_OK);
    assert_true((sbx_op_exec_result(op)->flags & SBX_OUTPUT_INCOMPLETE) != 0);
    sbx_op_free(op);
    place_close(&p);
}

static int32_t stop_at_once(void *user, int stream, const void *data, size_t len)
{
    (void)stream, (void)data, (void)len;
    ++*(int *)user;
    return 1;
}

static void nothing_is_delivered_after_a_stop(void **state)
{
    (void)state;
    struct place p;
    int calls = 0;
    const struct sbx_exec_options options = {
        .size = sizeof options, .command = "x", .on_output = stop_at_once, .user_data = &calls};
    place_open(&p, "direct", "goes-on");
    place_create(&p);
    assert_int_equal(sbx_exec(p.box, &options, NULL, NULL, &p.error), SBX_E_STOPPED);
    assert_int_equal(calls, 1);
    place_close(&p);
}

static void small_error_structs_are_not_overrun(void **state)
{
    (void)state;
    struct place p;
    struct {
        struct sbx_error error;
    } small;
    struct sbx_exec_result result = SBX_INIT(result);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "x"};
    place_open(&p, "direct", "message");
    place_create(&p);
    memset(&small, 0x5a, sizeof small);
    small.error.size = 16;
    assert_int_equal(sbx_exec(p.box, &options, NULL, &result, &small.error), SBX_E_FAILED);
    assert_int_equal(small.error.size, 16);
    assert_int_equal(small.error.code, SBX_E_FAILED);
    for (size_t i = 16; i < sizeof small; i++)
        assert_int_equal(((unsigned char *)&small)[i], 0x5a);
    place_close(&p);
}

/* --- options ---------------------------------------------------------------------------------------------------- */

static void bad_call_options_are_refused(void **state)
{
    (void)state;
    struct place p;
    const struct sbx_exec_options options = {.size = sizeof options, .command = "true"};
    struct {
        struct sbx_call_options call;
        uint64_t more;
    } longer = {.call = {.size = sizeof longer}, .more = 1};
    const struct sbx_call_options wrong[] = {{.size = sizeof wrong[0], .deadline_ms = -1},
                                             {.size = sizeof wrong[0], .flags = 0x80},
                                             {.size = sizeof wrong[0], .flags = SBX_CALL_CANCEL_FD, .cancel_fd = -1},
                                             {.size = 0}};
    place_open(&p, "direct", NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_true(sbx_exec(p.box, &options, &wrong[i], NULL, &p.error) < 0);
    assert_int_equal(sbx_exec(p.box, &options, &longer.call, NULL, &p.error), SBX_E_UNSUPPORTED);
    longer.more = 0;
    assert_int_equal(sbx_exec(p.box, &options, &longer.call, NULL, &p.error), SBX_OK);
    place_close(&p);
}

static double seconds_since(const struct timespec *from)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

static void deadline_ends_a_call(void **state)
{
    (void)state;
    struct place p;
    struct timespec start;
    const struct sbx_exec_options options = {.size = sizeof options, .command = "sleep 20"};
    const struct sbx_call_options call = {.size = sizeof call, .deadline_ms = 200};
    place_open(&p, "direct", NULL);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    assert_int_equal(sbx_exec(p.box, &options, &call, NULL, &p.error), SBX_E_TIMEOUT);
    assert_true(seconds_since(&start) < 3);
    unit_assert_contains(p.error.message, "timed out");
    place_close(&p);
}

static void cancel_descriptor_ends_a_call(void **state)
{
    (void)state;
    struct place p;
    int ends[2];
    const struct sbx_exec_options options = {.size = sizeof options, .command = "sleep 20"};
    place_open(&p, "direct", NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    const struct sbx_call_options call = {.size = sizeof call, .flags = SBX_CALL_CANCEL_FD, .cancel_fd = ends[0]};
    assert_int_equal(sbx_exec(p.box, &options, &call, NULL, &p.error), SBX_E_CANCELLED);
    char still;
    assert_int_equal(read(ends[0], &still, 1), 1);
    close(ends[0]);
    close(ends[1]);
    place_close(&p);
}

/* --- serial providers ------------------------------------------------------------------------------------------- */

static void *run_some(void *user)
{
    struct place *p = user;
    const struct sbx_exec_options options = {.size = sizeof options, .command = "true"};
    for (int i = 0; i < 20; i++) {
        struct sbx_error error = SBX_INIT(error);
        if (sbx_exec(p->box, &options, NULL, NULL, &error) != SBX_OK)
            return user;
    }
    return NULL;
}

static void serial_provider_gets_one_call_at_a_time(void **state)
{
    (void)state;
    struct place p;
    pthread_t threads[8];
    place_open(&p, "direct-serial", NULL);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_some, &p), 0);
    for (size_t i = 0; i < 8; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    place_close(&p);
}

static void *sleep_long(void *user)
{
    struct place *p = user;
    const struct sbx_exec_options options = {.size = sizeof options, .command = "sleep 1"};
    (void)sbx_exec(p->box, &options, NULL, NULL, NULL);
    return NULL;
}

static void waiting_for_a_serial_provider_ends_at_the_deadline(void **state)
{
    (void)state;
    struct place p;
    pthread_t thread;
    int ends[2];
    const struct timespec moment = {.tv_nsec = 200000000};
    const struct sbx_exec_options options = {.size = sizeof options, .command = "true"};
    place_open(&p, "direct-serial", NULL);
    assert_int_equal(pthread_create(&thread, NULL, sleep_long, &p), 0);
    (void)nanosleep(&moment, NULL);
    const struct sbx_call_options call = {.size = sizeof call, .deadline_ms = 100};
    assert_int_equal(sbx_exec(p.box, &options, &call, NULL, &p.error), SBX_E_TIMEOUT);
    unit_assert_contains(p.error.message, "another call");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    const struct sbx_call_options cancel = {.size = sizeof cancel, .flags = SBX_CALL_CANCEL_FD, .cancel_fd = ends[0]};
    assert_int_equal(sbx_exec(p.box, &options, &cancel, NULL, &p.error), SBX_E_CANCELLED);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(sbx_exec(p.box, &options, NULL, NULL, &p.error), SBX_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    place_close(&p);
}

static void context_with_open_handles_is_not_torn_down(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    sbx_close(p.ctx); /* wrong: the sandbox is still held */
    unit_assert_contains(p.log, "not given back");
    assert_string_equal(sbx_id(p.box), "d/box1");
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(ok_without_an_end_is_unknown),
    UNIT(exit_codes_out_of_range_are_unknown),
    UNIT(unknown_codes_are_failures),
    UNIT(unknown_outcome_names_the_sandbox),
    UNIT(signal_sets_the_exit_code),
    UNIT(ok_without_a_sandbox_is_a_protocol_error),
    UNIT(unusable_id_leaves_nothing_behind),
    UNIT(messages_become_one_clean_line),
    UNIT(output_that_was_lost_is_flagged),
    UNIT(nothing_is_delivered_after_a_stop),
    UNIT(small_error_structs_are_not_overrun),
    UNIT(bad_call_options_are_refused),
    UNIT(deadline_ends_a_call),
    UNIT(cancel_descriptor_ends_a_call),
    UNIT(serial_provider_gets_one_call_at_a_time),
    UNIT(waiting_for_a_serial_provider_ends_at_the_deadline),
    UNIT(context_with_open_handles_is_not_torn_down),
};
UNIT_MAIN(tests)
