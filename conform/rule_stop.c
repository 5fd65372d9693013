/* SPDX-License-Identifier: MIT
 *
 * rule_stop.c - the three clocks, the cancel token, sinks and sources that stop, calls at the same time.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

enum { THREADS = 4, LONG_MS = 60000, QUIET_MS = 10000, ENDING_MS = 15000 };

/* How many processes of the sandbox carry this number as an argument. */
static int marked(struct run *run, const char *mark)
{
    struct caught out;
    char text[300];
    /* The pattern is cut in two, so that the line that looks does not find itself. */
    (void)snprintf(
        text, sizeof text,
        "n=0; for f in /proc/[0-9]*/cmdline; do if tr '\\000' ' ' <$f 2>/dev/null | grep -q 'sleep %c[%c]%s'; "
        "then n=$((n+1)); fi; done; echo $n",
        mark[0], mark[1], mark + 2);
    int code = step_shell(run, run->h, text, &out);
    int count = code == 0 && out.data.len > 0 ? (int)strtol(out.data.data, NULL, 10) : -1;
    buf_finish(&out.data);
    return count;
}

static void mark_make(struct run *run, char mark[16])
{
    (void)snprintf(mark, 16, "%u", 100000 + (unsigned)(run_random(run) % 800000));
}

static void marked_gone(struct run *run, const char *mark, const char *when)
{
    int64_t end = clock_ms() + 5000;
    int count = marked(run, mark);
    while (count > 0 && clock_ms() < end) {
        sleep_ms(100);
        count = marked(run, mark);
    }
    EXPECT(run, count == 0, "%s %d of the command's processes live on", when, count);
}

static void alive(struct run *run)
{
    EXPECT(run, step_shell(run, run->h, "exit 3", NULL) == 3, "the sandbox is not usable afterwards");
}

static void limit_kills(struct run *run)
{
    char mark[16];
    char text[128];
    struct caught out;
    mark_make(run, mark);
    (void)snprintf(text, sizeof text, "trap '' TERM; echo before; sleep %s & sleep %s; echo after", mark, mark);
    struct call c = {.run = run, .deadline_ms = LONG_MS};
    struct exec e = {.args = {.size = sizeof e.args, .command = text, .timeout_ms = 700}, .out = &out};
    caught_init(&out);
    call_want(&c, call_exec(&c, run->h, &e), SBX_OK);
    EXPECT(run, (e.result.flags & SBX_TIMED_OUT) != 0, "a command over its limit is not said to be: flags 0x%x",
           e.result.flags);
    EXPECT(run, e.result.exit_code == 124, "a command over its limit gives %d", e.result.exit_code);
    EXPECT(run, c.elapsed_ms < 700 + 10000, "exec came back %lld ms after the limit", (long long)c.elapsed_ms - 700);
    EXPECT(run, out.data.len == 7 && memcmp(out.data.data, "before\n", 7) == 0, "output before the limit is lost");
    buf_finish(&out.data);
    marked_gone(run, mark, "after the limit");
    alive(run);
}

static void fraction(struct run *run)
{
    struct call c = {.run = run, .deadline_ms = LONG_MS};
    struct exec e = {.args = {.size = sizeof e.args, .command = "exit 124", .timeout_ms = 30000}};
    call_want(&c, call_exec(&c, run->h, &e), SBX_OK);
    EXPECT(run, (e.result.flags & SBX_TIMED_OUT) == 0 && e.result.exit_code == 124,
           "a command that exits 124 is taken for one over its limit");
}

static void given_up(struct run *run, struct call *c, sbx_status wanted, int64_t due_ms)
{
    char mark[16];
    char text[128];
    mark_make(run, mark);
    (void)snprintf(text, sizeof text, "sleep %s & sleep %s", mark, mark);
    struct exec e = {.args = {.size = sizeof e.args, .command = text}};
    call_want(c, call_exec(c, run->h, &e), wanted);
    EXPECT(run, c->elapsed_ms >= due_ms - 20, "exec gave up %lld ms early", (long long)(due_ms - c->elapsed_ms));
    step_in_time(c, due_ms);
    marked_gone(run, mark, "after the call was given up");
    alive(run);
}

static void deadline(struct run *run)
{
    struct call c = {.run = run, .deadline_ms = 700};
    given_up(run, &c, SBX_E_TIMEOUT, 700);
}

static void cancel_by_descriptor(struct run *run)
{
    struct call c = {.run = run, .cancel_ms = 700};
    given_up(run, &c, SBX_E_CANCELLED, 700);
}

static void cancel_by_asking(struct run *run)
{
    struct call c = {.run = run, .cancel_ms = 700, .cancel_by_asking = 1};
    given_up(run, &c, SBX_E_CANCELLED, 700);
}

static void already_over(struct run *run)
{
    struct report seen = {0};
    struct call late = {.run = run, .deadline_ms = -1};
    struct exec e = {.args = {.size = sizeof e.args, .command = "echo ran > ran"}};
    call_want(&late, call_exec(&late, run->h, &e), SBX_E_TIMEOUT);
    step_in_time(&late, 0);
    struct call cancelled = {.run = run, .cancel_ms = -1};
    call_want(&cancelled, call_exec(&cancelled, run->h, &e), SBX_E_CANCELLED);
    step_in_time(&cancelled, 0);
    step_says(run, run->h, "test -e ran && echo ran || echo not", "not");
    (void)seen;
}

static void sink_stops(struct run *run)
{
    struct caught out;
    struct call c = {.run = run, .deadline_ms = LONG_MS};
    struct exec e = {.args = {.size = sizeof e.args, .command = "while :; do echo more; done"}, .out = &out};
    caught_init(&out);
    out.stop_at = 1;
    call_want(&c, call_exec(&c, run->h, &e), SBX_E_STOPPED);
    EXPECT(run, out.pieces == 1, "the sink was called again after it had asked to stop");
    step_in_time(&c, 3000);
    buf_finish(&out.data);
    alive(run);
}

static void source_stops(struct run *run)
{
    struct feed from = {.data = "abc", .len = 3, .fails = 1};
    struct call c = {.run = run, .deadline_ms = LONG_MS};
    struct exec e = {.args = {.size = sizeof e.args, .command = "cat; sleep 20"}, .in = &from};
    call_want(&c, call_exec(&c, run->h, &e), SBX_E_STOPPED);
    step_in_time(&c, 3000);
    alive(run);
}

static sbx_status with_input(struct call *c, struct feed *from, struct exec *e, struct caught *out)
{
    *e = (struct exec){.args = {.size = sizeof e->args, .command = "echo begun; sleep 0.3; exit 8"}};
    e->in = from;
    e->out = out;
    caught_init(out);
    return call_exec(c, c->run->h, e);
}

static void ran(const struct run *run, const struct exec *e, const struct caught *out)
{
    EXPECT(run, e->result.exit_code == 8, "wrong exit code %d", e->result.exit_code);
    EXPECT(run, out->data.len == 6 && memcmp(out->data.data, "begun\n", 6) == 0,
           "of the command's 6 bytes %zu came, or others", out->data.len);
}

/* A provider that cannot feed a running command may take all of its input first: then nothing begins, until the call
 * is over. It is told from one that hangs by a source that ends. */
static void quiet_source(struct run *run)
{
    struct feed from = {.data = "", .never_ready = 1};
    struct feed ending = {.data = "", .late_ms = 1000};
    struct caught out;
    struct exec e;
    struct call c = {.run = run, .deadline_ms = QUIET_MS};
    sbx_status status = with_input(&c, &from, &e, &out);
    int took_none = status == SBX_E_TIMEOUT && out.bytes == 0;
    EXPECT(run, from.reads <= 2, "a source that was not ready was read %u times", from.reads);
    if (took_none) {
        struct call again = {.run = run, .deadline_ms = ENDING_MS};
        buf_finish(&out.data);
        status = with_input(&again, &ending, &e, &out);
        EXPECT(run, status == SBX_OK, "a command whose input ended after %d ms answered %s", (int)ending.late_ms,
               status_name(status));
    }
    call_want(&c, status, SBX_OK);
    ran(run, &e, &out);
    buf_finish(&out.data);
    if (took_none)
        run_skip(run, "the provider takes all input before the command begins");
}

static void early_output(struct run *run)
{
    struct caught out;
    struct call c = {.run = run, .deadline_ms = LONG_MS};
    struct exec e = {.args = {.size = sizeof e.args, .command = "echo now; sleep 2"}, .out = &out};
    caught_init(&out);
    int64_t started = clock_ms();
    call_want(&c, call_exec(&c, run->h, &e), SBX_OK);
    EXPECT(run, out.pieces > 0 && out.first_ms - started < c.elapsed_ms - 1000,
           "output came only when the command had ended");
    buf_finish(&out.data);
}

struct worker {
    struct run *run;
    pthread_t thread;
    int number;
};

static void *work(void *user)
{
    const struct worker *w = user;
    for (int i = 0; i < 3; i++) {
        char text[64];
        char wanted[16];
        (void)snprintf(text, sizeof text, "sleep 0.2; echo w%d.%d", w->number, i);
        (void)snprintf(wanted, sizeof wanted, "w%d.%d", w->number, i);
        step_says(w->run, w->run->h, text, wanted);
    }
    return NULL;
}

static void parallel(struct run *run)
{
    struct worker workers[THREADS];
    if (run->plugin.threads != SBX_THREADS_PARALLEL)
        run_skip(run, "it takes one call at a time");
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.run = run, .number = i};
        EXPECT(run, pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "the checker has no thread");
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(workers[i].thread, NULL);
}

struct waiter {
    struct run *run;
    sbx_status status;
    struct call call;
};

static void *wait_long(void *user)
{
    struct waiter *w = user;
    struct exec e = {.args = {.size = sizeof e.args, .command = "sleep 40"}};
    w->call = (struct call){.run = w->run, .deadline_ms = LONG_MS};
    w->status = call_exec(&w->call, w->run->h, &e);
    return NULL;
}

static void remove_ends_exec(struct run *run)
{
    struct waiter w = {.run = run};
    pthread_t thread;
    if (run->plugin.threads != SBX_THREADS_PARALLEL)
        run_skip(run, "it takes one call at a time");
    EXPECT(run, pthread_create(&thread, NULL, wait_long, &w) == 0, "the checker has no thread");
    sleep_ms(700);
    struct call c = {.run = run, .deadline_ms = 30000};
    int64_t started = clock_ms();
    call_want(&c, call_remove(&c, run->h), SBX_OK);
    (void)pthread_join(thread, NULL);
    EXPECT(run, clock_ms() - started < 20000, "a command outlived its sandbox by %lld ms",
           (long long)(clock_ms() - started));
    EXPECT(run, w.status == SBX_E_GONE || w.status == SBX_E_UNKNOWN, "the command of a removed sandbox answered %s",
           status_name(w.status));
    run->handle_ops.release(run->h);
    run->h = NULL;
}

static const struct rule table[] = {
    {451, NEEDS_BOX, "exec C15", "limit_kills_the_tree",
     "timeout_ms kills the whole tree: SBX_OK, SBX_TIMED_OUT, 124, with the output until then", limit_kills, NULL},
    {452, NEEDS_BOX, "exec", "exit_124_is_no_time_out", "a command that exits 124 by itself is no time-out", fraction,
     NULL},
    {453, NEEDS_BOX, "C15", "deadline_is_kept",
     "the deadline ends exec within a second with SBX_E_TIMEOUT and kills the command", deadline, NULL},
    {454, NEEDS_BOX, "C15", "cancel_descriptor_is_watched",
     "a readable cancel_fd ends exec within a second with SBX_E_CANCELLED", cancel_by_descriptor, NULL},
    {455, NEEDS_BOX, "C15", "cancelled_is_asked", "`cancelled` is asked, and its yes ends exec within a second",
     cancel_by_asking, NULL},
    {456, NEEDS_BOX, "C15", "call_that_is_over_does_nothing", "a call whose deadline is past or token set runs nothing",
     already_over, NULL},
    {457, NEEDS_BOX, "exec", "sink_stops_exec", "a sink that asks to stop ends exec with SBX_E_STOPPED", sink_stops,
     NULL},
    {458, NEEDS_BOX, "exec", "source_stops_exec", "a source that asks to stop ends exec with SBX_E_STOPPED",
     source_stops, NULL},
    {459, NEEDS_BOX, "exec", "quiet_source_is_left_alone",
     "a source that is not ready is polled, not read, and holds up at most the command's beginning", quiet_source,
     NULL},
    {460, NEEDS_BOX, "exec", "output_comes_as_it_is_written", "output is delivered while the command runs",
     early_output, NULL},
    {461, NEEDS_BOX, "H6 exec", "calls_at_the_same_time_are_apart", "a parallel plugin runs several commands at once",
     parallel, NULL},
    {462, NEEDS_BOX, "remove", "remove_ends_a_running_command", "remove ends a command that runs, and its exec says so",
     remove_ends_exec, NULL},
};
RULE_GROUP(rules_stop, "limits", table);
