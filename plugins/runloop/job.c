/* SPDX-License-Identifier: MIT
 *
 * job.c - jobs: asynchronous executions of the service. A job's id is the execution's, and behind a dot the token of
 * our wrapper, so that any later process can tell its end and find what it started.
 */
#include "plugins/runloop/tables.h"

enum { HOLD_JOB_S = 25, HOLD_JOB_MS = 40000, GAP_MS = 300, QUIET_MS = 400, COUNT_MS = 5000, FEED_BYTES = 1 << 16 };

static sbx_status open_job(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *job,
                           struct run *run)
{
    *run = (struct run){.h = h, .call = call, .what = what};
    if (job == NULL || job[0] == '\0')
        return call_fail(call, SBX_E_INVALID, "%s: no job is named", what);
    const char *dot = strchr(job, '.');
    size_t len = dot == NULL ? strlen(job) : (size_t)(dot - job);
    if (len < sizeof run->id)
        (void)snprintf(run->id, sizeof run->id, "%.*s", (int)len, job);
    if (dot != NULL && strlen(dot + 1) == 32 && strspn(dot + 1, "0123456789abcdef") == 32)
        (void)snprintf(run->name, sizeof run->name, "sbx-%s", dot + 1);
    if (len >= sizeof run->id || !id_is_valid(run->id) || (dot != NULL && run->name[0] == '\0'))
        return call_fail(call, SBX_E_NOT_FOUND, "%s: no such job '%.100s'", what, job);
    return SBX_OK;
}

/* A failed request about a job: is it the job, or the devbox? */
static sbx_status excuse(const struct run *run, sbx_status status, const struct sbx_error *error, const char *job)
{
    struct sbx_error other;
    struct sbx_call inner;
    if (status != SBX_E_NOT_FOUND) {
        call_pass_error(run->call, error);
        return status;
    }
    call_shadow(&inner, &other, run->call);
    if (devbox_excuse(run->h, &inner, status, error) != SBX_E_GONE)
        return call_fail(run->call, SBX_E_NOT_FOUND, "%s: no such job '%s'", run->what, job);
    call_pass_error(run->call, &other);
    return SBX_E_GONE;
}

static sbx_status get_view(const struct run *run, const char *job, struct cJSON **view)
{
    char path[512];
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, run->call);
    run_path(run, "?last_n=1", path, sizeof path);
    const struct api_request request = {.what = run->what, .path = path, .reply_limit = VIEW_LIMIT};
    sbx_status status = api_run(&run->h->backend->api, &inner, &request, view);
    if (status == SBX_OK && json_text(*view, "status") == NULL)
        return call_fail(run->call, SBX_E_PROTOCOL, "%s: the answer is no job", run->what);
    return status == SBX_OK ? SBX_OK : excuse(run, status, &error, job);
}

/* The end as the view has it: our mark is the last thing on both outputs. */
static void read_ending(const struct run *run, const struct cJSON *view, struct ending *ending)
{
    static const char *const outputs[] = {"stderr", "stdout"};
    *ending = (struct ending){.is_completed = 1, .exit_status = json_integer(view, "exit_status", -1)};
    for (size_t i = 0; i < 2 && !ending->has_mark; i++) {
        const char *text = json_text(view, outputs[i]);
        struct mark mark = {.word = ""};
        size_t len = text == NULL ? 0 : strlen(text);
        (void)snprintf(mark.name, sizeof mark.name, "%s", run->name);
        if (text == NULL || mark_find(&mark, text, &len) == NULL)
            continue;
        ending->has_mark = 1;
        memcpy(ending->word, mark.word, sizeof ending->word);
    }
}

/* Like an exec's, but what never began is an end with a code too. */
static sbx_status job_verdict(const struct run *run, const struct ending *ending, struct sbx_exec_result *result)
{
    static const struct sbx_exec_args none = {.size = sizeof none};
    if (!ending->has_mark && ending->exit_status >= 0 && ending->exit_status <= 128) {
        result->flags |= SBX_EXITED; /* a run that was not started here */
        result->exit_code = (int32_t)ending->exit_status;
        return SBX_OK;
    }
    return run_verdict(run, ending, &none, result);
}

static sbx_status fill_info(const struct run *run, const char *job, const struct cJSON *view, struct sbx_job_info *info)
{
    *info = (struct sbx_job_info){.size = sizeof *info, .flags = SBX_JOB_RUNNING};
    (void)snprintf(info->id, sizeof info->id, "%s", job);
    if (strcmp(json_text(view, "status"), "completed") != 0)
        return SBX_OK;
    struct ending ending;
    struct sbx_exec_result result = {.size = sizeof result};
    read_ending(run, view, &ending);
    sbx_status status = job_verdict(run, &ending, &result);
    info->flags = result.flags;
    info->exit_code = result.exit_code;
    info->term_signal = result.term_signal;
    return status;
}

/* --- start ------------------------------------------------------------------------------------------------------- */

static sbx_status check_start(struct sbx_call *call, const struct sbx_exec_args *args)
{
    const uint32_t known = SBX_EXEC_MERGE_STDERR | SBX_EXEC_NO_TIMEOUT | SBX_EXEC_STDIN_OPEN;
    if ((args->flags & ~known) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "job start: unknown flags");
    if (args->in != NULL || args->out != NULL || args->err != NULL || args->tty != NULL)
        return call_fail(call, SBX_E_INVALID, "job start: a job has neither streams nor a terminal");
    if ((args->command == NULL) == (args->argv == NULL) || (args->argv != NULL && args->argv[0] == NULL))
        return call_fail(call, SBX_E_INVALID, "job start: one of command and argv is needed");
    if (args->max_output != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "job start: runloop keeps all of a job's output");
    if (args->shell != NULL && (args->flags & SBX_EXEC_STDIN_OPEN) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "job start: a command of a named shell has no stdin");
    return SBX_OK;
}

static sbx_status job_start(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *given,
                            struct sbx_job_info *out)
{
    struct sbx_exec_args args;
    struct run run = {.h = h, .call = call, .what = "job start"};
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK)
        return call_fail(call, status, "job start: arguments of a newer version");
    status = check_start(call, &args);
    if (status != SBX_OK)
        return status;
    run_name(run.name);
    status = run_begin(&run, &args, args.timeout_ms,
                       (args.flags & SBX_EXEC_STDIN_OPEN) != 0 ? SCRIPT_STDIN_OPEN : SCRIPT_STDIN_NONE);
    if (status != SBX_OK) {
        if (status == SBX_E_UNKNOWN || status == SBX_E_TIMEOUT || status == SBX_E_CANCELLED)
            (void)run_kill(&run, call); /* nobody will ever know its id */
        return status;
    }
    struct sbx_job_info info = {.size = sizeof info, .flags = SBX_JOB_RUNNING};
    (void)snprintf(info.id, sizeof info.id, "%s.%.32s", run.id, run.name + 4);
    sbx_give(out, &info, sizeof info);
    return SBX_OK;
}

/* --- how it stands ----------------------------------------------------------------------------------------------- */

static sbx_status job_info(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_job_info *out)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    struct sbx_job_info info;
    struct run run;
    sbx_status status = open_job(h, call, "job info", job, &run);
    if (status == SBX_OK)
        status = get_view(&run, job, &view);
    if (status == SBX_OK)
        status = fill_info(&run, job, view, &info);
    if (status == SBX_OK)
        sbx_give(out, &info, sizeof info);
    return status;
}

static sbx_status await_end(struct run *run, const char *job, struct cJSON **view)
{
    char path[512], body[80];
    run_path(run, "/wait_for_status?last_n=1", path, sizeof path);
    (void)snprintf(body, sizeof body, "{\"statuses\":[\"completed\"],\"timeout_seconds\":%d}", HOLD_JOB_S);
    const struct api_request request = {.what = run->what,
                                        .path = path,
                                        .body = body,
                                        .reply_limit = VIEW_LIMIT,
                                        .is_safe = 1,
                                        .is_poll = 1,
                                        .limit_ms = HOLD_JOB_MS};
    for (;;) {
        int64_t begin_ns = clock_now_ns();
        struct sbx_error error;
        struct sbx_call inner;
        int ready = 0;
        call_shadow(&inner, &error, run->call);
        sbx_status status = api_run(&run->h->backend->api, &inner, &request, view);
        if (status != SBX_OK)
            return excuse(run, status, &error, job);
        const char *word = json_text(*view, "status");
        if (word != NULL && strcmp(word, "completed") == 0)
            return SBX_OK;
        json_finish(view);
        status = call_poll(run->call, NULL, 0, begin_ns + GAP_MS * MS_NS, &ready);
        if (status != SBX_OK)
            return status;
    }
}

static int drop(void *user, const void *data, size_t len)
{
    (void)data;
    *(uint64_t *)user += len;
    return 0;
}

/* How much the command wrote stands in no view: it is read once more. What cannot be read is not counted. */
static void count_output(const struct run *run, struct sbx_exec_result *result)
{
    int (*takes[2])(void *, const void *, size_t) = {drop, drop};
    void *const users[2] = {&result->out_bytes, &result->err_bytes};
    struct run other = *run;
    struct sbx_call inner;
    struct follow f;
    int own = 0;
    api_limit(&inner, run->call, COUNT_MS, &own);
    inner.error = NULL;
    other.call = &inner;
    follow_init(&f, &other, 3, 0, run->name, takes, users);
    (void)follow_run(&f, 0);
    follow_finish(&f);
}

static sbx_status job_wait(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_exec_result *out)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    struct sbx_exec_result result = {.size = sizeof result};
    struct ending ending;
    struct run run;
    sbx_status status = open_job(h, call, "job wait", job, &run);
    if (status == SBX_OK)
        status = await_end(&run, job, &view);
    if (status != SBX_OK)
        return status;
    read_ending(&run, view, &ending);
    status = job_verdict(&run, &ending, &result);
    if (status == SBX_OK)
        count_output(&run, &result);
    if (status == SBX_OK)
        sbx_give(out, &result, sizeof result);
    return status;
}

static sbx_status job_kill(struct sbx_handle *h, struct sbx_call *call, const char *job)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    struct run run;
    sbx_status status = open_job(h, call, "job kill", job, &run);
    if (status == SBX_OK)
        status = get_view(&run, job, &view);
    if (status != SBX_OK || strcmp(json_text(view, "status"), "completed") == 0)
        return status;
    if (run_kill(&run, call) != 0)
        return call_fail(call, SBX_E_UNKNOWN, "job kill: runloop did not take the kill of '%s'", job);
    return SBX_OK;
}

/* --- output ------------------------------------------------------------------------------------------------------ */

static int give(void *user, const void *data, size_t len)
{
    const struct sbx_sink *sink = user;
    return sink->write == NULL ? 0 : sink->write(sink->user, data, len);
}

static sbx_status job_output(struct sbx_handle *h, struct sbx_call *call, const char *job,
                             const struct sbx_output_args *given, const struct sbx_sink *out, uint64_t *next)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    struct sbx_output_args args;
    struct sbx_sink sink;
    struct run run;
    struct follow f;
    int (*takes[2])(void *, const void *, size_t) = {give, give};
    void *const users[2] = {&sink, &sink};
    sbx_view(&sink, sizeof sink, out);
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || (args.flags & ~(uint32_t)(SBX_OUTPUT_FOLLOW | SBX_OUTPUT_OLDEST)) != 0 || sink.flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "job output: arguments of a newer version");
    if (args.stream < 1 || args.stream > 2)
        return call_fail(call, SBX_E_INVALID, "job output: no stream %u", args.stream);
    if (next != NULL)
        *next = args.from;
    status = open_job(h, call, "job output", job, &run);
    if (status == SBX_OK)
        status = get_view(&run, job, &view);
    if (status != SBX_OK)
        return status;
    int is_running = strcmp(json_text(view, "status"), "completed") != 0;
    follow_init(&f, &run, (int)args.stream, args.from, run.name, takes, users);
    /* A stream of what runs does not end: what is there comes at once. */
    int64_t until_ns = is_running && (args.flags & SBX_OUTPUT_FOLLOW) == 0 ? clock_now_ns() + QUIET_MS * MS_NS : 0;
    f.is_brief = until_ns != 0;
    status = follow_run(&f, until_ns);
    if (next != NULL)
        *next = f.out[0].delivered;
    follow_finish(&f);
    return status;
}

/* --- stdin ------------------------------------------------------------------------------------------------------- */

static sbx_status send_once(struct run *run, const char *job, const char *body, int *taken)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    char path[512];
    struct sbx_error error;
    struct sbx_call inner;
    run_path(run, "/send_std_in", path, sizeof path);
    call_shadow(&inner, &error, run->call);
    const struct api_request request = {.what = run->what, .path = path, .body = body};
    sbx_status status = api_run(&run->h->backend->api, &inner, &request, &json);
    *taken = status == SBX_OK && json_is_true(json, "success");
    return status == SBX_OK ? SBX_OK : excuse(run, status, &error, job);
}

/* Until the service does not call the job queued any more. *is_running: nor completed. */
static sbx_status await_begin(const struct run *run, const char *job, int *is_running)
{
    for (;;) {
        CLEANUP_JSON struct cJSON *view = NULL;
        int ready = 0;
        sbx_status status = get_view(run, job, &view);
        const char *word = status == SBX_OK ? json_text(view, "status") : "";
        *is_running = status == SBX_OK && strcmp(word, "completed") != 0;
        if (strcmp(word, "queued") != 0)
            return status;
        status = call_poll(run->call, NULL, 0, clock_now_ns() + GAP_MS * MS_NS, &ready);
        if (status != SBX_OK)
            return status;
    }
}

/* What has not begun takes nothing either: once the job has, it is sent again. */
static sbx_status send_body(struct run *run, const char *job, const char *body)
{
    int taken = 0, is_running = 0;
    sbx_status status = send_once(run, job, body, &taken);
    if (status == SBX_OK && !taken)
        status = await_begin(run, job, &is_running);
    if (status == SBX_OK && !taken && is_running)
        status = send_once(run, job, body, &taken);
    if (status == SBX_OK && !taken)
        return call_fail(run->call, SBX_E_STATE, "job feed: job '%s' takes no more input", job);
    return status;
}

/* The service carries text alone. A piece ends where a character does. */
static sbx_status job_feed(struct sbx_handle *h, struct sbx_call *call, const char *job, const void *data, size_t len,
                           uint32_t eof)
{
    const char *bytes = data;
    struct run run;
    sbx_status status = open_job(h, call, "job feed", job, &run);
    if (status == SBX_OK && len > 0 && (memchr(bytes, '\0', len) != NULL || !text_is_utf8(bytes, len)))
        return call_fail(call, SBX_E_INVALID, "job feed: runloop carries input as UTF-8 text without NUL");
    while (status == SBX_OK && len > 0) {
        CLEANUP_BUF struct buf body, part;
        size_t n = len < FEED_BYTES ? len : FEED_BYTES;
        while (n < len && (bytes[n] & 0xc0) == 0x80)
            n--;
        buf_init(&part, FEED_BYTES);
        buf_init(&body, (size_t)FEED_BYTES * 8);
        (void)buf_append(&part, bytes, n);
        (void)buf_text(&body, "{\"text\":");
        json_put_text(&body, part.failed == 0 ? part.data : "");
        (void)buf_text(&body, "}");
        if (body.failed != 0 || part.failed != 0)
            return call_fail(call, SBX_E_NO_MEMORY, "job feed: no memory");
        status = send_body(&run, job, body.data);
        bytes += n;
        len -= n;
    }
    return status == SBX_OK && eof != 0 ? send_body(&run, job, "{\"signal\":\"EOF\"}") : status;
}

const struct sbx_job_ops job_ops = {.size = sizeof job_ops,
                                    .start = job_start,
                                    .info = job_info,
                                    .wait = job_wait,
                                    .kill = job_kill,
                                    .output = job_output};
const struct sbx_job_stdin_ops job_stdin_ops = {.size = sizeof job_stdin_ops, .feed = job_feed};
