/* SPDX-License-Identifier: MIT
 *
 * rule_job.c - commands that outlive their call.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

enum { WRITTEN = 300003, KEPT = 4096 };

struct job {
    struct run *run;
    struct sbx_job_ops ops;
    char id[SBX_ID_SIZE];
};

static sbx_status try_start(struct job *j, struct call *c, const struct sbx_exec_args *wanted)
{
    struct sbx_job_info info;
    struct run *run = j->run;
    struct exec e = {.args = *wanted};
    e.args.size = sizeof e.args;
    extension_take(run, SBX_EXT_JOB, &j->ops, sizeof j->ops);
    *c = (struct call){.run = run, .deadline_ms = 20000};
    call_begin(c, "start");
    const struct sbx_exec_args *args = lend_exec(c, &e);
    void *out = lend_out(c, sizeof info);
    sbx_status status = j->ops.start(run->h, c->lent, args, out);
    lend_taken(c, &info, out, sizeof info);
    status = call_end(c, status);
    EXPECT(run, status != SBX_OK || (memchr(info.id, 0, sizeof info.id) != NULL && info.id[0] != '\0'),
           "a job has no proper id");
    memcpy(j->id, info.id, sizeof j->id);
    return status;
}

static void start_with(struct job *j, const char *command, uint32_t flags, uint32_t timeout_ms)
{
    struct call c;
    const struct sbx_exec_args args = {.command = command, .flags = flags, .timeout_ms = timeout_ms};
    call_want(&c, try_start(j, &c, &args), SBX_OK);
}

static struct job start(struct run *run, const char *command)
{
    struct job j = {.run = run};
    start_with(&j, command, 0, 0);
    return j;
}

static sbx_status ask(struct job *j, struct call *c, struct sbx_job_info *info)
{
    *c = (struct call){.run = j->run, .deadline_ms = 20000};
    call_begin(c, "info of a job");
    const char *id = lend_text(c, j->id);
    void *out = lend_out(c, sizeof *info);
    sbx_status status = j->ops.info(j->run->h, c->lent, id, out);
    lend_taken(c, info, out, sizeof *info);
    return call_end(c, status);
}

static sbx_status wait_for(struct job *j, struct call *c, struct sbx_exec_result *result)
{
    c->run = j->run;
    c->deadline_ms = c->deadline_ms != 0 ? c->deadline_ms : 20000;
    call_begin(c, "wait");
    const char *id = lend_text(c, j->id);
    void *out = lend_out(c, sizeof *result);
    sbx_status status = j->ops.wait(j->run->h, c->lent, id, out);
    lend_taken(c, result, out, sizeof *result);
    return call_end(c, status);
}

static int code_of(struct job *j)
{
    struct call c = {0};
    struct sbx_exec_result result;
    call_want(&c, wait_for(j, &c, &result), SBX_OK);
    return result.exit_code;
}

static sbx_status kill_it(struct job *j, struct call *c)
{
    *c = (struct call){.run = j->run, .deadline_ms = 20000};
    call_begin(c, "kill");
    return call_end(c, j->ops.kill(j->run->h, c->lent, lend_text(c, j->id)));
}

static sbx_status output(struct job *j, struct call *c, struct sbx_output_args args, struct caught *into,
                         uint64_t *next)
{
    args.size = sizeof args;
    c->run = j->run;
    c->deadline_ms = c->deadline_ms != 0 ? c->deadline_ms : 20000;
    caught_init(into);
    call_begin(c, "output");
    uint64_t *lent = lend_space(c, sizeof *lent);
    const char *id = lend_text(c, j->id);
    sbx_status status =
        j->ops.output(j->run->h, c->lent, id, lend_args(c, &args, sizeof args), lend_sink(c, into), lent);
    *next = *lent;
    return call_end(c, status);
}

static void own_code(struct run *run)
{
    struct job j = start(run, "sleep 0.3; exit 7");
    struct sbx_job_info info;
    struct call c;
    call_want(&c, ask(&j, &c, &info), SBX_OK);
    EXPECT(run, (info.flags & (SBX_JOB_RUNNING | SBX_EXITED)) != 0, "info of a job has the flags 0x%x", info.flags);
    EXPECT(run, code_of(&j) == 7 && code_of(&j) == 7, "wait does not give the job's code each time");
    call_want(&c, ask(&j, &c, &info), SBX_OK);
    EXPECT(run, (info.flags & SBX_JOB_RUNNING) == 0 && info.exit_code == 7, "info after the end: flags 0x%x, code %d",
           info.flags, info.exit_code);
}

static void starts_at_once(struct run *run)
{
    int64_t started = clock_ms();
    struct job j = start(run, "sleep 30");
    struct sbx_exec_result result;
    EXPECT(run, clock_ms() - started < 10000, "start waited for the job");
    struct call c = {.deadline_ms = 500};
    call_want(&c, wait_for(&j, &c, &result), SBX_E_TIMEOUT);
    step_in_time(&c, 500);
    struct call cancelled = {.deadline_ms = 60000, .cancel_ms = 400};
    call_want(&cancelled, wait_for(&j, &cancelled, &result), SBX_E_CANCELLED);
    step_in_time(&cancelled, 400);
    struct sbx_job_info info;
    struct call again;
    call_want(&again, ask(&j, &again, &info), SBX_OK);
    EXPECT(run, (info.flags & SBX_JOB_RUNNING) != 0, "the job ended with a wait that was given up");
}

static void killed(struct run *run)
{
    struct job j = start(run, "sleep 31 & sleep 32");
    struct call c;
    call_want(&c, kill_it(&j, &c), SBX_OK);
    int code = code_of(&j);
    EXPECT(run, code != 0, "a killed job has the code 0");
    call_want(&c, kill_it(&j, &c), SBX_OK);
    struct job ended = start(run, "exit 0");
    (void)code_of(&ended);
    call_want(&c, kill_it(&ended, &c), SBX_OK);
}

static void offsets(struct run *run)
{
    struct job j = start(run, "printf 0123456789; printf err >&2");
    struct caught got;
    uint64_t next = 0;
    (void)code_of(&j);
    struct call whole = {0};
    call_want(&whole, output(&j, &whole, (struct sbx_output_args){.stream = 1}, &got, &next), SBX_OK);
    EXPECT(run, got.data.len == 10 && next == 10, "stdout has %zu bytes and next is %llu", got.data.len,
           (unsigned long long)next);
    struct call part = {0};
    call_want(&part, output(&j, &part, (struct sbx_output_args){.stream = 1, .from = 4}, &got, &next), SBX_OK);
    EXPECT(run, got.data.len == 6 && memcmp(got.data.data, "456789", 6) == 0 && next == 10,
           "from offset 4 came '%.20s'", got.data.len > 0 ? got.data.data : "");
    struct call oldest = {0};
    const struct sbx_output_args kept = {.stream = 1, .from = 4, .flags = SBX_OUTPUT_OLDEST};
    call_want(&oldest, output(&j, &oldest, kept, &got, &next), SBX_OK);
    EXPECT(run, got.data.len == 6 && next == 10, "with SBX_OUTPUT_OLDEST, though all is kept, came %zu bytes",
           got.data.len);
    struct call end = {0};
    call_want(&end, output(&j, &end, (struct sbx_output_args){.stream = 1, .from = 10}, &got, &next), SBX_OK);
    EXPECT(run, got.data.len == 0 && next == 10, "behind the end came %zu bytes", got.data.len);
    struct call err = {0};
    call_want(&err, output(&j, &err, (struct sbx_output_args){.stream = 2}, &got, &next), SBX_OK);
    EXPECT(run, got.data.len == 3 && memcmp(got.data.data, "err", 3) == 0, "stderr has %zu bytes", got.data.len);
}

/* A job that wrote WRITTEN bytes, of which the provider is asked to keep few; one that keeps all may refuse that. */
static struct job long_job(struct run *run)
{
    struct job j = {.run = run};
    struct call c;
    struct sbx_exec_args args = {.command = "head -c 300000 /dev/zero | tr '\\0' x; printf end", .max_output = KEPT};
    sbx_status status = try_start(&j, &c, &args);
    args.max_output = 0;
    if (status == SBX_E_UNSUPPORTED)
        status = try_start(&j, &c, &args);
    call_want(&c, status, SBX_OK);
    int code = code_of(&j);
    EXPECT(run, code == 0, "a job that writes %d bytes gave %d", (int)WRITTEN, code);
    return j;
}

static void oldest(struct run *run)
{
    struct job j = long_job(run);
    struct caught got;
    uint64_t next = 0;
    struct call strict = {0};
    struct call lenient = {0};
    const struct sbx_output_args kept = {.stream = 1, .flags = SBX_OUTPUT_OLDEST};
    sbx_status status = output(&j, &strict, (struct sbx_output_args){.stream = 1}, &got, &next);
    int is_whole = status == SBX_OK;
    if (!is_whole)
        call_want(&strict, status, SBX_E_TOO_LARGE);
    EXPECT(run, !is_whole || (got.bytes == WRITTEN && next == WRITTEN),
           "of %d bytes, asked for from 0, came %llu, and nothing is said of the others", (int)WRITTEN,
           (unsigned long long)got.bytes);
    buf_finish(&got.data);
    call_want(&lenient, output(&j, &lenient, kept, &got, &next), SBX_OK);
    EXPECT(run, next == WRITTEN, "behind the oldest bytes next is %llu, not %d", (unsigned long long)next,
           (int)WRITTEN);
    EXPECT(run, is_whole ? got.bytes == WRITTEN : got.bytes < WRITTEN, "SBX_OUTPUT_OLDEST gives %llu bytes of %d, %s",
           (unsigned long long)got.bytes, (int)WRITTEN, is_whole ? "all of which are kept" : "not all of them kept");
    EXPECT(run, got.data.len >= 3 && memcmp(got.data.data + got.data.len - 3, "end", 3) == 0,
           "with SBX_OUTPUT_OLDEST the last bytes are missing");
    buf_finish(&got.data);
}

static void follow(struct run *run)
{
    struct job j = start(run, "for i in 1 2 3 4; do echo line $i; sleep 0.1; done");
    struct caught got;
    uint64_t next = 0;
    struct call c = {0};
    const struct sbx_output_args args = {.stream = 1, .flags = SBX_OUTPUT_FOLLOW};
    call_want(&c, output(&j, &c, args, &got, &next), SBX_OK);
    EXPECT(run, got.data.len == 28 && next == 28, "a followed job gave %zu bytes and next is %llu", got.data.len,
           (unsigned long long)next);
    struct job silent = start(run, "sleep 33");
    struct call late = {.deadline_ms = 500};
    call_want(&late, output(&silent, &late, args, &got, &next), SBX_E_TIMEOUT);
    step_in_time(&late, 500);
}

static void unknown_job(struct run *run)
{
    struct job j = {.run = run, .id = "no-such-job"};
    struct sbx_job_info info;
    struct sbx_exec_result result;
    struct caught got;
    uint64_t next = 0;
    struct call c = {0};
    extension_take(run, SBX_EXT_JOB, &j.ops, sizeof j.ops);
    call_want(&c, ask(&j, &c, &info), SBX_E_NOT_FOUND);
    call_want(&c, wait_for(&j, &c, &result), SBX_E_NOT_FOUND);
    call_want(&c, kill_it(&j, &c), SBX_E_NOT_FOUND);
    call_want(&c, output(&j, &c, (struct sbx_output_args){.stream = 1}, &got, &next), SBX_E_NOT_FOUND);
}

static void start_refuses(struct run *run)
{
    struct sbx_job_ops ops;
    struct caught out;
    extension_take(run, SBX_EXT_JOB, &ops, sizeof ops);
    caught_init(&out);
    struct exec rows[] = {{.args = {.command = "true"}, .out = &out}, {.args = {.command = "true", .flags = 1u << 30}}};
    for (size_t i = 0; i < 2; i++) {
        struct sbx_job_info info;
        struct call c = {.run = run, .deadline_ms = 20000};
        rows[i].args.size = sizeof rows[i].args;
        call_begin(&c, "start");
        const struct sbx_exec_args *args = lend_exec(&c, &rows[i]);
        void *lent = lend_out(&c, sizeof info);
        sbx_status status = ops.start(run->h, c.lent, args, lent);
        lend_taken(&c, &info, lent, sizeof info);
        call_want(&c, call_end(&c, status), i == 0 ? SBX_E_INVALID : SBX_E_UNSUPPORTED);
    }
}

static void job_limit(struct run *run)
{
    struct job j = {.run = run};
    struct sbx_exec_result result;
    struct call c = {0};
    start_with(&j, "sleep 34", 0, 500);
    call_want(&c, wait_for(&j, &c, &result), SBX_OK);
    EXPECT(run, (result.flags & SBX_TIMED_OUT) != 0 && result.exit_code == 124,
           "a job over its limit: flags 0x%x, code %d", result.flags, result.exit_code);
}

static void survives(struct run *run)
{
    struct job j = start(run, "sleep 1; exit 9");
    char box[SBX_ID_SIZE];
    struct call c = {.run = run, .deadline_ms = 20000};
    (void)snprintf(box, sizeof box, "%s", run->handle_ops.id(run->h));
    run->handle_ops.release(run->h);
    call_close(run, run->b);
    run->b = step_open(run, step_host(run));
    call_want(&c, call_attach(&c, run->b, box, &run->h), SBX_OK);
    extension_take(run, SBX_EXT_JOB, &j.ops, sizeof j.ops);
    EXPECT(run, code_of(&j) == 9, "a job did not outlive the backend that started it");
}

static void signalled(struct run *run)
{
    struct sbx_job_signal_ops ops;
    extension_take(run, SBX_EXT_JOB_SIGNAL, &ops, sizeof ops);
    struct job j = start(run, "trap 'exit 42' USR1; while :; do sleep 0.1; done");
    sleep_ms(500);
    struct call c = {.run = run, .deadline_ms = 20000};
    call_begin(&c, "signal");
    call_want(&c, call_end(&c, ops.signal(run->h, c.lent, lend_text(&c, j.id), 10)), SBX_OK);
    EXPECT(run, code_of(&j) == 42, "a signal did not reach the job");
    call_begin(&c, "signal");
    call_want(&c, call_end(&c, ops.signal(run->h, c.lent, lend_text(&c, j.id), 10)), SBX_E_STATE);
}

static sbx_status feed_it(struct job *j, const struct sbx_job_stdin_ops *ops, const char *data, uint32_t eof)
{
    struct call c = {.run = j->run, .deadline_ms = 20000};
    size_t len = strlen(data);
    call_begin(&c, "feed");
    const char *id = lend_text(&c, j->id);
    return call_end(&c, ops->feed(j->run->h, c.lent, id, lend_copy(&c, data, len + 1), len, eof));
}

static void fed(struct run *run)
{
    struct sbx_job_stdin_ops ops;
    struct job j = {.run = run};
    struct caught got;
    uint64_t next = 0;
    extension_take(run, SBX_EXT_JOB_STDIN, &ops, sizeof ops);
    start_with(&j, "cat", SBX_EXEC_STDIN_OPEN, 0);
    sbx_status first = feed_it(&j, &ops, "one ", 0);
    EXPECT(run, first == SBX_OK, "feed answered %s", status_name(first));
    sbx_status second = feed_it(&j, &ops, "two", 1);
    EXPECT(run, second == SBX_OK, "feed of the end answered %s", status_name(second));
    EXPECT(run, code_of(&j) == 0, "cat failed");
    struct call c = {0};
    call_want(&c, output(&j, &c, (struct sbx_output_args){.stream = 1}, &got, &next), SBX_OK);
    EXPECT(run, got.data.len == 7 && memcmp(got.data.data, "one two", 7) == 0, "what was fed came back as '%.20s'",
           got.data.len > 0 ? got.data.data : "");
    sbx_status status = feed_it(&j, &ops, "late", 0);
    EXPECT(run, status == SBX_E_STATE, "feed after the end answered %s", status_name(status));
}

static int32_t count_job(void *user, const struct sbx_job_info *job)
{
    struct report *into = callback_enter(user);
    (void)snprintf(into->id, sizeof into->id, "%s", job->id);
    into->count++;
    callback_leave(user);
    return 0;
}

static unsigned list_jobs(struct run *run, const struct sbx_job_list_ops *ops)
{
    struct report seen = {0};
    struct call c = {.run = run, .deadline_ms = 20000};
    call_begin(&c, "list of jobs");
    struct sbx_job_sink sink = {.size = sizeof sink, .user = lend_guard(&c, &seen), .item = count_job};
    call_want(&c, call_end(&c, ops->list(run->h, c.lent, lend_copy(&c, &sink, sizeof sink))), SBX_OK);
    return seen.count;
}

static void listed(struct run *run)
{
    struct sbx_job_list_ops ops;
    extension_take(run, SBX_EXT_JOB_LIST, &ops, sizeof ops);
    struct job one = start(run, "exit 0");
    struct job two = start(run, "sleep 35");
    (void)code_of(&one);
    unsigned count = list_jobs(run, &ops);
    EXPECT(run, count == 2, "of two jobs %u are listed", count);
    struct call c = {.run = run, .deadline_ms = 20000};
    call_begin(&c, "forget");
    call_want(&c, call_end(&c, ops.forget(run->h, c.lent, lend_text(&c, two.id))), SBX_E_STATE);
    call_begin(&c, "forget");
    call_want(&c, call_end(&c, ops.forget(run->h, c.lent, lend_text(&c, one.id))), SBX_OK);
    call_begin(&c, "forget");
    call_want(&c, call_end(&c, ops.forget(run->h, c.lent, lend_text(&c, one.id))), SBX_E_NOT_FOUND);
    count = list_jobs(run, &ops);
    EXPECT(run, count == 1, "after one was forgotten %u jobs are listed", count);
}

static const struct rule table[] = {
    {601, NEEDS_BOX, "sbx.job", "job_has_its_own_code",
     "wait gives the job's own code, any number of times; info agrees", own_code, SBX_EXT_JOB},
    {602, NEEDS_BOX, "sbx.job C15", "job_runs_on_when_a_wait_ends",
     "start returns at once; a wait that is given up ends in time and leaves the job", starts_at_once, SBX_EXT_JOB},
    {603, NEEDS_BOX, "sbx.job", "kill_ends_a_job", "kill ends the tree; it is SBX_OK also twice and after the end",
     killed, SBX_EXT_JOB},
    {604, NEEDS_BOX, "sbx.job", "output_has_offsets",
     "output gives each stream's bytes from an offset, and the next one", offsets, SBX_EXT_JOB},
    {605, NEEDS_BOX, "sbx.job C15", "output_follows", "SBX_OUTPUT_FOLLOW goes on to the stream's end, or the deadline",
     follow, SBX_EXT_JOB},
    {606, NEEDS_BOX, "sbx.job", "unknown_job_is_not_found", "info, wait, kill and output of no job are SBX_E_NOT_FOUND",
     unknown_job, SBX_EXT_JOB},
    {607, NEEDS_BOX, "sbx.job P10", "start_refuses_streams",
     "a stream is SBX_E_INVALID, an unknown flag SBX_E_UNSUPPORTED", start_refuses, SBX_EXT_JOB},
    {608, NEEDS_BOX, "sbx.job", "limit_of_a_job_is_kept", "timeout_ms counts from the job's start", job_limit,
     SBX_EXT_JOB},
    {609, NEEDS_BOX, "sbx.job", "job_outlives_its_backend", "a job outlives the backend that started it", survives,
     SBX_EXT_JOB},
    {610, NEEDS_BOX, "sbx.job.signal", "signal_reaches_a_job", "a signal reaches the job; SBX_E_STATE after its end",
     signalled, SBX_EXT_JOB_SIGNAL},
    {611, NEEDS_BOX, "sbx.job.stdin", "job_is_fed", "a job is fed in pieces and told the end; SBX_E_STATE afterwards",
     fed, SBX_EXT_JOB_STDIN},
    {612, NEEDS_BOX, "sbx.job.list", "jobs_are_listed", "each job is listed once; forget drops an ended one only",
     listed, SBX_EXT_JOB_LIST},
    {613, NEEDS_BOX, "sbx.job", "output_begins_with_the_oldest_kept",
     "bytes no longer kept are SBX_E_TOO_LARGE, or passed over with SBX_OUTPUT_OLDEST", oldest, SBX_EXT_JOB},
};
RULE_GROUP(rules_job, "jobs", table);
