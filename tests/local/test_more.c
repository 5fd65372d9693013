/* SPDX-License-Identifier: MIT
 *
 * test_more.c - jobs, named shells, connections and a longer life, through the local plugin.
 */
#include "tests/local/lab.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CALL_MS = 30000 };

struct box {
    struct lab lab;
    struct sbx_handle *h;
};

static int setup(void **state)
{
    struct box *box = calloc(1, sizeof *box);
    const struct sbx_create_args args = {.size = sizeof args, .timeout_s = 300};
    *state = box;
    if (box == NULL || lab_open(&box->lab, NULL, NULL, 0) != SBX_OK)
        return 1;
    return lab_create(&box->lab, &args, &box->h) != SBX_OK;
}

static int teardown(void **state)
{
    struct box *box = *state;
    (void)lab_remove(&box->lab, box->h);
    lab_close(&box->lab);
    free(box);
    return 0;
}

static const void *table(struct box *box, const char *id)
{
    const void *found = box->lab.plugin->backend->get_extension(box->lab.backend, id);
    assert_non_null(found);
    assert_int_equal(box->lab.plugin->handle->support(box->h, id), SBX_SUPPORT_NATIVE);
    return found;
}

static void expect_ok(const struct box *box, sbx_status status)
{
    if (status != SBX_OK)
        fail_msg("%d: %s", status, box->lab.error.message);
}

static int32_t collect(void *user, const void *data, size_t len)
{
    return buf_append(user, data, len);
}

static void start(struct box *box, const char *line, uint32_t flags, struct sbx_job_info *job)
{
    const struct sbx_job_ops *jobs = table(box, SBX_EXT_JOB);
    const struct sbx_exec_args args = {.size = sizeof args, .command = line, .flags = flags};
    *job = (struct sbx_job_info){.size = sizeof *job};
    expect_ok(box, jobs->start(box->h, lab_call(&box->lab, CALL_MS), &args, job));
    assert_true(job->pid > 1);
    assert_int_not_equal(job->id[0], '\0');
}

static void job_outlives_the_handle_and_tells_its_end_and_output(void **state)
{
    struct box *box = *state;
    const struct sbx_job_ops *jobs = table(box, SBX_EXT_JOB);
    struct sbx_job_info job;
    struct sbx_exec_result result = {.size = sizeof result};
    CLEANUP_BUF struct buf text;
    uint64_t next = 0;
    buf_init(&text, 4096);
    start(box, "printf 'one\\0two'; sleep 0.2; echo bad >&2; exit 7", 0, &job);
    char id[64];
    (void)snprintf(id, sizeof id, "%s", box->lab.plugin->handle->id(box->h));
    box->lab.plugin->handle->release(box->h);
    box->h = NULL;
    expect_ok(box, box->lab.plugin->backend->attach(box->lab.backend, lab_call(&box->lab, CALL_MS), id, &box->h));
    for (int again = 0; again < 2; again++) {
        expect_ok(box, jobs->wait(box->h, lab_call(&box->lab, CALL_MS), job.id, &result));
        assert_int_equal(result.flags & SBX_EXITED, SBX_EXITED);
        assert_int_equal(result.exit_code, 7);
    }
    const struct sbx_output_args args = {.size = sizeof args, .stream = 1, .from = 4};
    const struct sbx_sink sink = {.size = sizeof sink, .user = &text, .write = collect};
    expect_ok(box, jobs->output(box->h, lab_call(&box->lab, CALL_MS), job.id, &args, &sink, &next));
    assert_int_equal(next, 7);
    assert_string_equal(text.data, "two");
}

static void job_is_fed_killed_and_forgotten(void **state)
{
    struct box *box = *state;
    const struct sbx_job_ops *jobs = table(box, SBX_EXT_JOB);
    const struct sbx_job_stdin_ops *in = table(box, SBX_EXT_JOB_STDIN);
    const struct sbx_job_list_ops *list = table(box, SBX_EXT_JOB_LIST);
    struct sbx_job_info job;
    struct sbx_exec_result result = {.size = sizeof result};
    start(box, "read -r a; read -r b; test \"$a$b\" = onetwo && exit 3", SBX_EXEC_STDIN_OPEN, &job);
    assert_int_equal(list->forget(box->h, lab_call(&box->lab, CALL_MS), job.id), SBX_E_STATE);
    expect_ok(box, in->feed(box->h, lab_call(&box->lab, CALL_MS), job.id, "one\n", 4, 0));
    expect_ok(box, in->feed(box->h, lab_call(&box->lab, CALL_MS), job.id, "two\n", 4, 1));
    expect_ok(box, jobs->wait(box->h, lab_call(&box->lab, CALL_MS), job.id, &result));
    assert_int_equal(result.exit_code, 3);
    expect_ok(box, list->forget(box->h, lab_call(&box->lab, CALL_MS), job.id));
    assert_int_equal(jobs->wait(box->h, lab_call(&box->lab, CALL_MS), job.id, &result), SBX_E_NOT_FOUND);
    start(box, "setsid sleep 1000 & sleep 1000", 0, &job);
    assert_int_equal(jobs->wait(box->h, lab_call(&box->lab, 50), job.id, &result), SBX_E_TIMEOUT);
    expect_ok(box, jobs->kill(box->h, lab_call(&box->lab, CALL_MS), job.id));
    expect_ok(box, jobs->wait(box->h, lab_call(&box->lab, CALL_MS), job.id, &result));
    expect_ok(box, jobs->kill(box->h, lab_call(&box->lab, CALL_MS), job.id));
    assert_int_equal(result.flags & SBX_SIGNALLED, SBX_SIGNALLED);
}

static void named_shell_keeps_its_state_until_it_is_closed(void **state)
{
    struct box *box = *state;
    const struct sbx_shell_close_ops *shells = table(box, SBX_EXT_SHELL_CLOSE);
    struct lab_result result;
    struct sbx_exec_args args = {.size = sizeof args, .shell = "work", .command = "cd /tmp; x='a b'"};
    (void)table(box, SBX_EXT_SHELL);
    expect_ok(box, lab_exec(&box->lab, box->h, &args, &result));
    lab_result_finish(&result);
    args.command = "printf '%s:%s' \"$PWD\" \"$x\"; false";
    expect_ok(box, lab_exec(&box->lab, box->h, &args, &result));
    assert_string_equal(result.out.data, "/tmp:a b");
    assert_int_equal(result.result.exit_code, 1);
    lab_result_finish(&result);
    expect_ok(box, shells->close(box->h, lab_call(&box->lab, CALL_MS), "work"));
    assert_int_equal(shells->close(box->h, lab_call(&box->lab, CALL_MS), "work"), SBX_E_NOT_FOUND);
}

static int32_t note_expiry(void *user, const struct sbx_info *info)
{
    *(int64_t *)user = info->expires_ms;
    return 0;
}

static int64_t expiry(struct box *box)
{
    int64_t at = 0;
    const struct sbx_info_sink sink = {.size = sizeof sink, .user = &at, .item = note_expiry};
    expect_ok(box, box->lab.plugin->handle->info(box->h, lab_call(&box->lab, CALL_MS), &sink));
    return at;
}

static void life_is_extended_and_told(void **state)
{
    struct box *box = *state;
    const struct sbx_keepalive_ops *life = table(box, SBX_EXT_KEEPALIVE);
    int64_t before = expiry(box);
    expect_ok(box, life->keep_alive(box->h, lab_call(&box->lab, CALL_MS), 0));
    assert_int_equal(expiry(box), before);
    expect_ok(box, life->keep_alive(box->h, lab_call(&box->lab, CALL_MS), 3600));
    assert_in_range(expiry(box) - before, 3200000, 3400000);
    expect_ok(box, life->keep_alive(box->h, lab_call(&box->lab, CALL_MS), 1));
    for (int i = 0; i < 50 && lab_count(&box->lab) != 0; i++)
        (void)usleep(100000);
    assert_int_equal(lab_count(&box->lab), 0);
}

static void connection_to_nobody_is_refused(void **state)
{
    struct box *box = *state;
    const struct sbx_dial_ops *dials = table(box, SBX_EXT_DIAL);
    CLEANUP_BUF struct buf text;
    buf_init(&text, 4096);
    const struct sbx_sink sink = {.size = sizeof sink, .user = &text, .write = collect};
    assert_int_equal(dials->dial(box->h, lab_call(&box->lab, CALL_MS), 9, NULL, &sink), SBX_E_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(job_outlives_the_handle_and_tells_its_end_and_output, setup, teardown),
        cmocka_unit_test_setup_teardown(job_is_fed_killed_and_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(named_shell_keeps_its_state_until_it_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(life_is_extended_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_to_nobody_is_refused, setup, teardown),
    };
    return lab_works() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
