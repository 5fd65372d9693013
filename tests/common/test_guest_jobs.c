/* SPDX-License-Identifier: MIT
 *
 * test_guest_jobs.c - the client and the real sbx-guest together: jobs.
 */
#include "tests/common/runner.h"

#include "tests/common/real_guest.h"
#include "tests/common/run.h"

#include <signal.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static int guest_setup(void **state)
{
    *state = calloc(1, sizeof(struct real_guest));
    if (*state == NULL)
        return -1;
    real_start(*state);
    return 0;
}

static int guest_teardown(void **state)
{
    real_stop(*state);
    free(*state);
    return 0;
}

static struct sbx_job_info started(struct run *run, struct guest_link *link, const char *line, uint32_t flags)
{
    struct sbx_job_info info = {.size = sizeof info};
    run->args.argv = NULL;
    run->args.command = line;
    run->args.out = run->args.err = NULL;
    run->args.flags = flags;
    assert_int_equal(guest_job_start(link, &run->call, &run->args, &info), SBX_OK);
    assert_true(info.id[0] != '\0');
    return info;
}

static sbx_status output(struct run *run, struct guest_link *link, const char *job, uint64_t from, uint32_t flags,
                         uint64_t *next)
{
    struct sbx_output_args args = {.size = sizeof args, .flags = flags, .stream = 1, .from = from};
    kept_finish(&run->out);
    kept_init(&run->out);
    return guest_job_output(link, &run->call, job, &args, &run->out.sink, next);
}

static void a_job_runs_on_without_its_client(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    struct sbx_kv envs[] = {{"SECRET", "s3cr3t"}};
    run.args.envs = (struct sbx_kvs){envs, 1};
    struct sbx_job_info info = started(&run, g->link, "sleep 0.3; printf \"$SECRET\"; exit 9", 0);
    assert_true(info.pid > 0);
    assert_int_equal(info.flags, SBX_JOB_RUNNING);
    struct guest_link_options options = {.connect = real_connect, .user = g};
    struct guest_link *other = guest_open(&options);
    assert_non_null(other);
    for (int i = 0; i < 2; i++) {
        run.result = (struct sbx_exec_result){.size = sizeof run.result};
        assert_int_equal(guest_job_wait(other, &run.call, info.id, &run.result), SBX_OK);
        assert_int_equal(run.result.flags, SBX_EXITED);
        assert_int_equal(run.result.exit_code, 9);
        assert_int_equal(run.result.out_bytes, 6);
    }
    uint64_t next = 0;
    assert_int_equal(output(&run, other, info.id, 2, SBX_OUTPUT_FOLLOW, &next), SBX_OK);
    assert_int_equal(next, 6);
    assert_memory_equal(run.out.data.data, "cr3t", 4);
    guest_close(other);
}

static void a_wait_has_the_calls_deadline(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    struct sbx_job_info info = started(&run, g->link, "sleep 30", 0);
    struct sbx_call brief = run.call;
    brief.deadline_ns = clock_now_ns() + 100 * MS;
    assert_int_equal(guest_job_wait(g->link, &brief, info.id, &run.result), SBX_E_TIMEOUT);
    assert_int_equal(guest_job_info(g->link, &run.call, info.id, &info), SBX_OK);
    assert_int_equal(info.flags, SBX_JOB_RUNNING);
    assert_int_equal(guest_job_kill(g->link, &run.call, info.id), SBX_OK);
    assert_int_equal(guest_job_kill(g->link, &run.call, info.id), SBX_OK);
    assert_int_equal(guest_job_wait(g->link, &run.call, info.id, &run.result), SBX_OK);
    assert_int_equal(run.result.flags, SBX_SIGNALLED);
    assert_int_equal(run.result.exit_code, 137);
}

static void a_job_is_fed_in_pieces(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    struct sbx_job_info info = started(&run, g->link, "cat", SBX_EXEC_STDIN_OPEN);
    assert_int_equal(guest_job_feed(g->link, &run.call, info.id, "ab\0", 3, 0), SBX_OK);
    enum { LARGE = 3 << 20 };
    char *data = calloc(1, LARGE);
    assert_non_null(data);
    assert_int_equal(guest_job_feed(g->link, &run.call, info.id, data, LARGE, 0), SBX_OK);
    assert_int_equal(guest_job_feed(g->link, &run.call, info.id, NULL, 0, 1), SBX_OK);
    assert_int_equal(guest_job_feed(g->link, &run.call, info.id, NULL, 0, 1), SBX_OK);
    assert_int_equal(guest_job_feed(g->link, &run.call, info.id, data, LARGE, 0), SBX_E_STATE);
    uint64_t next = 0;
    assert_int_equal(output(&run, g->link, info.id, 0, SBX_OUTPUT_FOLLOW, &next), SBX_OK);
    assert_int_equal(next, LARGE + 3);
    assert_int_equal(run.out.data.len, LARGE + 3);
    assert_memory_equal(run.out.data.data, "ab\0\0", 4);
    free(data);
    info = started(&run, g->link, "exit 0", 0);
    assert_int_equal(guest_job_feed(g->link, &run.call, info.id, "x", 1, 0), SBX_E_STATE);
}

static int32_t count_job(void *user, const struct sbx_job_info *job)
{
    unsigned *seen = user;
    *seen += (job->flags & SBX_JOB_RUNNING) != 0 ? 100 : 1;
    return 0;
}

static void jobs_are_listed_signalled_and_forgotten(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    unsigned seen = 0;
    struct sbx_job_sink sink = {.size = sizeof sink, .user = &seen, .item = count_job};
    struct sbx_job_info one = started(&run, g->link, "exec sleep 30", 0);
    struct sbx_job_info two = started(&run, g->link, "exit 4", 0);
    assert_int_equal(guest_job_wait(g->link, &run.call, two.id, &run.result), SBX_OK);
    assert_int_equal(guest_job_list(g->link, &run.call, &sink), SBX_OK);
    assert_int_equal(seen, 101);
    assert_int_equal(guest_job_forget(g->link, &run.call, one.id), SBX_E_STATE);
    assert_int_equal(guest_job_forget(g->link, &run.call, two.id), SBX_OK);
    assert_int_equal(guest_job_info(g->link, &run.call, two.id, &two), SBX_E_NOT_FOUND);
    assert_non_null(strstr(run.error.message, two.id));
    assert_int_equal(guest_job_signal(g->link, &run.call, one.id, SIGTERM), SBX_OK);
    assert_int_equal(guest_job_wait(g->link, &run.call, one.id, &run.result), SBX_OK);
    assert_int_equal(run.result.exit_code, 143);
    assert_int_equal(guest_job_signal(g->link, &run.call, one.id, SIGTERM), SBX_E_STATE);
    assert_int_equal(guest_job_signal(g->link, &run.call, one.id, 0), SBX_E_INVALID);
}

static void a_start_that_cannot_be_says_why(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    struct sbx_job_info info = {.size = sizeof info};
    run.args.cwd = "/no/such/dir";
    assert_int_equal(guest_job_start(g->link, &run.call, &run.args, &info), SBX_E_INVALID); /* it has streams */
    run.args.out = run.args.err = NULL;
    assert_int_equal(guest_job_start(g->link, &run.call, &run.args, &info), SBX_E_NOT_FOUND);
    assert_string_equal(run.error.message, "job start: no such directory '/no/such/dir'");
    run.args.cwd = NULL;
    run.args.user = "nobody-of-that-name";
    assert_int_equal(guest_job_start(g->link, &run.call, &run.args, &info), SBX_E_INVALID);
    assert_non_null(strstr(run.error.message, "nobody-of-that-name"));
    uint64_t next = 77;
    assert_int_equal(output(&run, g->link, "none", 5, 0, &next), SBX_E_NOT_FOUND);
    assert_int_equal(next, 5);
}

static void a_dead_sandbox_is_gone_not_an_exit_code(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    struct sbx_job_info info = started(&run, g->link, "sleep 30", 0);
    run.result = (struct sbx_exec_result){.size = sizeof run.result};
    real_kill(g);
    assert_int_equal(guest_job_wait(g->link, &run.call, info.id, &run.result), SBX_E_GONE);
    assert_int_equal(run.result.flags, 0);
    uint64_t next = 0;
    assert_int_equal(output(&run, g->link, info.id, 0, SBX_OUTPUT_FOLLOW, &next), SBX_E_GONE);
    assert_int_equal(guest_job_info(g->link, &run.call, info.id, &info), SBX_E_GONE);
}

static void what_is_no_longer_kept_is_skipped_on_demand(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    run.args.max_output = 65536;
    struct sbx_job_info info = started(&run, g->link, "head -c 300000 /dev/zero; printf end", 0);
    run.result = (struct sbx_exec_result){.size = sizeof run.result};
    assert_int_equal(guest_job_wait(g->link, &run.call, info.id, &run.result), SBX_OK);
    uint64_t next = 0;
    assert_int_equal(output(&run, g->link, info.id, 1, 0, &next), SBX_E_TOO_LARGE);
    assert_int_equal(next, 300003 - 65536);
    assert_int_equal(output(&run, g->link, info.id, 1, SBX_OUTPUT_OLDEST, &next), SBX_OK);
    assert_int_equal(next, 300003);
    assert_int_equal(run.out.data.len, 65536);
    assert_memory_equal(run.out.data.data + 65533, "end", 3);
    assert_int_equal(output(&run, g->link, info.id, 300000, SBX_OUTPUT_OLDEST, &next), SBX_OK);
    assert_int_equal(run.out.data.len, 3);
}

static int32_t enough(void *user, const void *data, size_t len)
{
    *(char *)user = len > 0 ? *(const char *)data : '?';
    return 1;
}

/* Each time it is asked the ring has gone round already; the first bytes come all the same, at the first attempt. */
static void a_job_that_writes_faster_than_anyone_asks_can_be_read(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    run.args.max_output = 4096;
    struct sbx_job_info info = started(&run, g->link, "yes", 0);
    struct sbx_output_args args = {.size = sizeof args, .flags = SBX_OUTPUT_OLDEST | SBX_OUTPUT_FOLLOW, .stream = 1};
    for (int i = 0; i < 20; i++) {
        char first = 0;
        uint64_t next = 0;
        const struct sbx_sink sink = {.size = sizeof sink, .user = &first, .write = enough};
        sbx_status status = guest_job_output(g->link, &run.call, info.id, &args, &sink, &next);
        assert_true(status == SBX_E_STOPPED || status == SBX_E_TOO_LARGE); /* the second when it went round again */
        assert_true(first == 'y' || first == '\n');
        assert_true(next > 0);
    }
}

#define WITH_GUEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WITH_GUEST(a_job_runs_on_without_its_client),
        WITH_GUEST(a_wait_has_the_calls_deadline),
        WITH_GUEST(a_job_is_fed_in_pieces),
        WITH_GUEST(jobs_are_listed_signalled_and_forgotten),
        WITH_GUEST(a_start_that_cannot_be_says_why),
        WITH_GUEST(a_dead_sandbox_is_gone_not_an_exit_code),
        WITH_GUEST(what_is_no_longer_kept_is_skipped_on_demand),
        WITH_GUEST(a_job_that_writes_faster_than_anyone_asks_can_be_read),
    };
    return RUN_TESTS(tests, argc, argv);
}
