/* SPDX-License-Identifier: MIT
 *
 * exec.c - the slot exec, and scripts of ours.
 */
#include "plugins/runloop/run.h"

enum { ANSWER_LIMIT = 1 << 20, SHELL_NAME_MAX = 128 };

/* Where an output goes. */
struct feed {
    struct sbx_sink sink;
    uint64_t max; /* 0: all */
    uint64_t given;
    uint64_t seen;
};

static int take(void *user, const void *data, size_t len)
{
    struct feed *feed = user;
    size_t n = len;
    feed->seen += len;
    if (feed->max != 0 && feed->max - feed->given < n)
        n = (size_t)(feed->max - feed->given);
    feed->given += n;
    return n > 0 && feed->sink.write != NULL ? feed->sink.write(feed->sink.user, data, n) : 0;
}

static sbx_status check(struct sbx_call *call, const struct sbx_exec_args *args)
{
    if ((args->flags & ~(uint32_t)(SBX_EXEC_MERGE_STDERR | SBX_EXEC_NO_TIMEOUT)) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "exec: unknown flags");
    if ((args->command == NULL) == (args->argv == NULL) || (args->argv != NULL && args->argv[0] == NULL))
        return call_fail(call, SBX_E_INVALID, "exec: one of command and argv is needed");
    if (args->tty != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "exec: runloop gives no terminal");
    if (args->shell == NULL)
        return SBX_OK;
    if (args->shell[0] == '\0' || strlen(args->shell) > SHELL_NAME_MAX)
        return call_fail(call, SBX_E_INVALID, "exec: the name of a shell has 1 to %d bytes", SHELL_NAME_MAX);
    return SBX_OK;
}

/* All of it goes ahead as a file: what the service has for stdin is text, and said to end commands. */
static sbx_status bring_input(struct run *run, const struct sbx_source *in, int *input)
{
    CLEANUP_BUF struct buf data = {0};
    char name[MARK_NAME + 8];
    *input = SCRIPT_STDIN_NONE;
    if (in == NULL)
        return SBX_OK;
    sbx_status status = file_drain_source(run->call, run->what, in, &data);
    if (status != SBX_OK || data.len == 0)
        return status;
    *input = SCRIPT_STDIN_FILE;
    (void)snprintf(name, sizeof name, "%s.in", run->name);
    return file_upload(run->h, run->call, run->what, name, data.data, data.len);
}

static void count(const struct follow *f, const struct feed *feeds, struct sbx_exec_result *out)
{
    static const uint32_t truncated[] = {SBX_STDOUT_TRUNCATED, SBX_STDERR_TRUNCATED};
    out->out_bytes = feeds[0].seen;
    out->err_bytes = feeds[1].seen;
    for (size_t i = 0; i < f->count && i < 2; i++) {
        if (feeds[i].given < feeds[i].seen)
            out->flags |= truncated[i];
        if (f->out[i].has_foreign)
            out->flags |= SBX_TEXT_ONLY;
        if (f->out[i].is_inexact || f->is_held)
            out->flags |= SBX_OUTPUT_INCOMPLETE;
    }
}

/* The error that is there, as one that leaves the outcome open. */
static sbx_status as_unknown(const struct run *run)
{
    struct sbx_error error;
    if (run->call == NULL || run->call->error == NULL)
        return SBX_E_UNKNOWN;
    sbx_view(&error, sizeof error, run->call->error);
    error.code = SBX_E_UNKNOWN;
    sbx_give(run->call->error, &error, sizeof error);
    call_maybe_applied(run->call, run->id);
    return SBX_E_UNKNOWN;
}

/* Follows a run that was started. What does not come to its end is ended here. */
static sbx_status finish(struct run *run, const struct sbx_exec_args *args, struct sbx_exec_result *out)
{
    struct feed feeds[2] = {{.max = args->max_output}, {.max = args->max_output}};
    int (*takes[2])(void *, const void *, size_t) = {take, take};
    void *const users[2] = {&feeds[0], &feeds[1]};
    struct follow f;
    sbx_view(&feeds[0].sink, sizeof feeds[0].sink, args->out);
    sbx_view(&feeds[1].sink, sizeof feeds[1].sink, args->err);
    follow_init(&f, run, run->is_merged ? 1 : 3, 0, run->name, takes, users);
    sbx_status status = follow_run(&f, 0);
    count(&f, feeds, out);
    if (status == SBX_OK) {
        status = run_verdict(run, &f.ending, args, out);
    } else {
        int is_over = status == SBX_E_GONE || status == SBX_E_STATE;
        if (!is_over && run_kill(run, run->call) != 0)
            call_maybe_applied(run->call, run->id);
        if (status == SBX_E_UNAVAILABLE || status == SBX_E_BUSY || status == SBX_E_PROTOCOL ||
            status == SBX_E_NOT_FOUND)
            status = as_unknown(run);
    }
    follow_finish(&f);
    return status;
}

sbx_status run_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                    struct sbx_exec_result *out)
{
    struct sbx_exec_result result = {.size = sizeof result};
    struct sbx_exec_args mine;
    struct run run = {.h = h, .call = call, .what = "exec"};
    int input = SCRIPT_STDIN_NONE;
    sbx_status status = sbx_take(&mine, sizeof mine, args);
    if (status != SBX_OK)
        return call_fail(call, status, "exec: arguments of a newer version");
    status = check(call, &mine);
    if (status == SBX_OK)
        status = call_check(call);
    if (status == SBX_OK) {
        uint32_t limit_ms = mine.timeout_ms;
        if (limit_ms == 0 && (mine.flags & SBX_EXEC_NO_TIMEOUT) == 0)
            limit_ms = h->backend->settings.timeout_ms;
        run_name(run.name);
        status = bring_input(&run, mine.in, &input);
        if (status == SBX_OK)
            status = run_begin(&run, &mine, limit_ms, input);
        if (status == SBX_OK)
            status = finish(&run, &mine, &result);
        else if (status == SBX_E_UNKNOWN || status == SBX_E_TIMEOUT || status == SBX_E_CANCELLED)
            (void)run_kill(&run, call); /* it may have been started */
    }
    sbx_give(out, &result, sizeof result);
    return status;
}

/* --- scripts of ours --------------------------------------------------------------------------------------------- */

static int32_t keep(void *user, const void *data, size_t len)
{
    return buf_append(user, data, len);
}

sbx_status run_script(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *const *argv,
                      struct buf *text, int *code)
{
    struct run run = {.h = h, .call = call, .what = what};
    struct sbx_exec_result result = {.size = sizeof result};
    const struct sbx_sink sink = {.size = sizeof sink, .user = text, .write = keep};
    const struct sbx_exec_args args = {.size = sizeof args, .flags = SBX_EXEC_MERGE_STDERR, .argv = argv, .out = &sink};
    buf_init(text, ANSWER_LIMIT);
    run_name(run.name);
    sbx_status status = run_begin(&run, &args, h->backend->settings.timeout_ms, SCRIPT_STDIN_NONE);
    if (status == SBX_OK)
        status = finish(&run, &args, &result);
    if (status == SBX_OK && (result.flags & SBX_EXITED) == 0)
        status = call_fail(call, SBX_E_FAILED, "%s: the helping command did not end by itself", what);
    *code = result.exit_code;
    return status;
}
