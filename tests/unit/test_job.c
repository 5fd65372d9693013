/* SPDX-License-Identifier: MIT
 *
 * test_job.c - jobs through sbx.h: start, wait, output from an offset, stdin, kill, and answers that cannot be.
 */
#include "direct.h"

#include <poll.h>

static struct sbx_job start(struct place *p, const char *command, uint32_t flags)
{
    struct sbx_job job = SBX_INIT(job);
    const struct sbx_exec_options options = {.size = sizeof options, .flags = flags, .command = command};
    if (sbx_job_start(p->box, &options, NULL, &job, &p->error) != SBX_OK)
        fail_msg("job: %s", p->error.message);
    assert_true((job.flags & SBX_JOB_RUNS) != 0 && job.pid > 0 && job.id[0] != '\0');
    return job;
}

static int32_t append(void *user, const void *data, size_t len)
{
    char *text = user;
    size_t have = strlen(text);
    assert_true(have + len < 256);
    memcpy(text + have, data, len);
    text[have + len] = '\0';
    return 0;
}

static uint64_t output(struct place *p, const char *job, uint64_t from, uint32_t flags, char text[256])
{
    uint64_t next = 0;
    const struct sbx_job_output_options options = {
        .size = sizeof options, .flags = flags, .stream = 1, .from = from, .user_data = text, .on_data = append};
    text[0] = '\0';
    if (sbx_job_output(p->box, job, &options, NULL, &next, &p->error) != SBX_OK)
        fail_msg("output: %s", p->error.message);
    return next;
}

static void job_wait_gives_its_own_exit_code_any_number_of_times(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    struct sbx_job job = start(&p, "sleep 0.1; exit 7", 0);
    const struct sbx_call_options soon = {.size = sizeof soon, .deadline_ms = 20};
    struct sbx_exec_result result = SBX_INIT(result);
    assert_int_equal(sbx_job_wait(p.box, job.id, &soon, &result, &p.error), SBX_E_TIMEOUT);
    for (int i = 0; i < 3; i++) {
        result.exit_code = 99;
        assert_int_equal(sbx_job_wait(p.box, job.id, NULL, &result, &p.error), SBX_OK);
        assert_int_equal(result.exit_code, 7);
    }
    assert_int_equal(sbx_job_info(p.box, job.id, NULL, &job, &p.error), SBX_OK);
    assert_true((job.flags & SBX_EXITED) != 0 && job.exit_code == 7);
    assert_int_equal(sbx_job_wait(p.box, "job99", NULL, &result, &p.error), SBX_E_NOT_FOUND);
    assert_non_null(strstr(p.error.message, "no such job 'job99'"));
    place_close(&p);
}

static void job_wait_can_be_an_operation_that_is_cancelled(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    place_open(&p, "direct", NULL);
    struct sbx_job job = start(&p, "sleep 30", 0);
    assert_int_equal(sbx_job_wait_start(p.box, job.id, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_dispatch(op), 0);
    sbx_op_cancel(op);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_CANCELLED);
    sbx_op_free(op);
    assert_int_equal(sbx_job_wait_start(p.box, job.id, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_job_kill(p.box, job.id, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_exec_result(op)->exit_code, 137);
    sbx_op_free(op);
    assert_int_equal(sbx_job_kill(p.box, job.id, NULL, &p.error), SBX_OK);
    place_close(&p);
}

static void job_output_is_read_from_an_offset_and_followed(void **state)
{
    (void)state;
    struct place p;
    char text[256] = "";
    sbx_op *op = NULL;
    place_open(&p, "direct", NULL);
    struct sbx_job job = start(&p, "printf abcdef; sleep 0.2; printf ghi", 0);
    assert_int_equal(output(&p, job.id, 0, SBX_JOB_FOLLOW, text), 9);
    assert_string_equal(text, "abcdefghi");
    assert_int_equal(output(&p, job.id, 4, 0, text), 9);
    assert_string_equal(text, "efghi");
    assert_int_equal(output(&p, job.id, 9, 0, text), 9);
    assert_string_equal(text, "");
    const struct sbx_job_output_options options = {
        .size = sizeof options, .flags = SBX_JOB_FOLLOW, .stream = 1, .from = 2, .user_data = text, .on_data = append};
    assert_int_equal(sbx_job_output_start(p.box, job.id, &options, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_next(op), 9);
    assert_string_equal(text, "cdefghi");
    sbx_op_free(op);
    place_close(&p);
    place_open(&p, "direct", "job-ring");
    place_create(&p);
    uint64_t next = 0;
    job = start(&p, "printf 0123456789abc", 0);
    assert_int_equal(sbx_job_output(p.box, job.id, &options, NULL, &next, &p.error), SBX_E_TOO_LARGE);
    assert_int_equal(next, 10);
    struct sbx_job_output_options oldest = options;
    oldest.flags |= SBX_JOB_OLDEST;
    memset(text, 0, sizeof text);
    assert_int_equal(sbx_job_output(p.box, job.id, &oldest, NULL, &next, &p.error), SBX_OK);
    assert_int_equal(next, 13);
    assert_string_equal(text, "abc");
    place_close(&p);
}

static void job_stdin_is_fed_in_pieces_and_closed_once(void **state)
{
    (void)state;
    struct place p;
    char text[256];
    struct sbx_exec_result result = SBX_INIT(result);
    place_open(&p, "direct", NULL);
    struct sbx_job job = start(&p, "cat", SBX_RUN_KEEP_STDIN);
    assert_int_equal(sbx_job_feed(p.box, job.id, "one ", 4, 0, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_job_feed(p.box, job.id, "two", 3, 1, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_job_feed(p.box, job.id, NULL, 0, 1, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_job_feed(p.box, job.id, "x", 1, 0, NULL, &p.error), SBX_E_STATE);
    assert_int_equal(sbx_job_wait(p.box, job.id, NULL, &result, &p.error), SBX_OK);
    (void)output(&p, job.id, 0, 0, text);
    assert_string_equal(text, "one two");
    assert_int_equal(sbx_job_feed(p.box, job.id, NULL, 3, 0, NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static void count_job(void *user, const struct sbx_job *job)
{
    int *count = user;
    assert_true(job->size == sizeof *job && strncmp(job->id, "job", 3) == 0);
    ++*count;
}

static void jobs_are_listed_signalled_and_forgotten(void **state)
{
    (void)state;
    struct place p;
    int count = 0;
    struct sbx_exec_result result = SBX_INIT(result);
    place_open(&p, "direct", NULL);
    struct sbx_job one = start(&p, "sleep 30", 0);
    struct sbx_job two = start(&p, "exit 0", 0);
    assert_int_equal(sbx_job_list(p.box, NULL, count_job, &count, &p.error), SBX_OK);
    assert_int_equal(count, 2);
    assert_int_equal(sbx_job_forget(p.box, one.id, NULL, &p.error), SBX_E_STATE);
    assert_int_equal(sbx_job_signal(p.box, one.id, 0, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_job_signal(p.box, one.id, 15, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_job_wait(p.box, one.id, NULL, &result, &p.error), SBX_OK);
    assert_true((result.flags & SBX_SIGNALLED) != 0 && result.exit_code == 143);
    assert_int_equal(sbx_job_wait(p.box, two.id, NULL, &result, &p.error), SBX_OK);
    assert_int_equal(sbx_job_forget(p.box, one.id, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_job_info(p.box, one.id, NULL, &one, &p.error), SBX_E_NOT_FOUND);
    place_close(&p);
}

static void job_options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct place p;
    struct sbx_job job = SBX_INIT(job);
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options bad[] = {
        {.size = sizeof bad[0]},
        {.size = sizeof bad[0], .command = "x", .input = "x", .input_len = 1},
        {.size = sizeof bad[0], .command = "x", .flags = SBX_RUN_OUT_FD},
        {.size = sizeof bad[0], .command = "x", .timeout_ms = -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sbx_job_start(p.box, &bad[i], NULL, &job, &p.error), SBX_E_INVALID);
    const struct sbx_exec_options good = {.size = sizeof good, .command = "true"};
    assert_int_equal(sbx_job_start(p.box, &good, NULL, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_job_info(p.box, "two words", NULL, &job, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static void jobs_are_unsupported_where_there_are_none(void **state)
{
    (void)state;
    struct place p;
    struct sbx_job job = SBX_INIT(job);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "true"};
    place_open(&p, "direct-bare", NULL);
    assert_int_equal(sbx_job_start(p.box, &options, NULL, &job, &p.error), SBX_E_UNSUPPORTED);
    assert_non_null(strstr(p.error.message, "sbx.job/1"));
    assert_int_equal(sbx_suspend(p.box, NULL, &p.error), SBX_E_UNSUPPORTED);
    assert_int_equal(sbx_keep_alive(p.box, 5, NULL, &p.error), SBX_E_UNSUPPORTED);
    assert_int_equal(sbx_shell_close(p.box, "x", NULL, &p.error), SBX_E_UNSUPPORTED);
    assert_int_equal(sbx_snapshot_create(p.box, NULL, NULL, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    place_close(&p);
}

static void job_answers_that_cannot_be_are_no_success(void **state)
{
    (void)state;
    struct place p;
    struct sbx_job job = SBX_INIT(job);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "true"};
    place_open(&p, "direct", "bad-job");
    place_create(&p);
    assert_int_equal(sbx_job_start(p.box, &options, NULL, &job, &p.error), SBX_E_PROTOCOL);
    place_close(&p);
    place_open(&p, "direct", "job-no-end");
    place_create(&p);
    job = start(&p, "true", 0);
    assert_int_equal(sbx_job_info(p.box, job.id, NULL, &job, &p.error), SBX_E_UNKNOWN);
    place_close(&p);
}

static void shell_names_are_fresh_and_closing_an_unknown_one_is_not_found(void **state)
{
    (void)state;
    struct place p;
    char one[SBX_ID_SIZE];
    char two[SBX_ID_SIZE];
    sbx_shell_name(one);
    sbx_shell_name(two);
    assert_int_equal(strlen(one), 24);
    assert_string_not_equal(one, two);
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_shell_close(p.box, "known", NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_shell_close(p.box, one, NULL, &p.error), SBX_E_NOT_FOUND);
    assert_int_equal(sbx_shell_close(p.box, "", NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(job_wait_gives_its_own_exit_code_any_number_of_times),
    UNIT(job_wait_can_be_an_operation_that_is_cancelled),
    UNIT(job_output_is_read_from_an_offset_and_followed),
    UNIT(job_stdin_is_fed_in_pieces_and_closed_once),
    UNIT(jobs_are_listed_signalled_and_forgotten),
    UNIT(job_options_that_make_no_sense_are_refused),
    UNIT(jobs_are_unsupported_where_there_are_none),
    UNIT(job_answers_that_cannot_be_are_no_success),
    UNIT(shell_names_are_fresh_and_closing_an_unknown_one_is_not_found),
};
UNIT_MAIN(tests)
