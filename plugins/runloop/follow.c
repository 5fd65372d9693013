/* SPDX-License-Identifier: MIT
 *
 * follow.c - a run's outputs, followed to their end. A stream that ends is no proof that the output did: only the mark
 * is, or a stream that was opened after the service called the run completed and had nothing more to say. Requests are
 * paced, so that whatever the service answers there are never more than four a second.
 */
#include "plugins/runloop/run.h"

enum { PACE_MS = 260, PACE_MAX_MS = 4000, FAILURES_MAX = 7, GRACE_MS = 400, LOOK_MS = 1000, STATUS_SLOT = 2 };
enum { QUIET_MS = 5000, STALE_MS = 45000, LAST_MS = 2000, HOLD_RUN_S = 25 };

struct watch {
    struct follow *f;
    struct http_many *many;
    struct sbx_call call; /* the caller's, with an error of its own */
    struct sbx_error error;
    int64_t pace_ns;      /* no request before that */
    int64_t grace_ns;     /* all marks came: how long the streams may take to end */
    int64_t completed_ns; /* when that was learned */
    int64_t opened_ns[2];
    int is_done[2];
    int failures;
    int status_wanted;
    struct http_request request;
    struct http_reply reply;
    char path[512];
    char body[80];
    char storage[API_LINE];
    const char *headers[API_HEADERS];
};

void run_path(const struct run *run, const char *verb, char *path, size_t size)
{
    (void)snprintf(path, size, "/v1/devboxes/%s/executions/%s%s", run->h->id, run->id, verb);
}

void follow_init(struct follow *f, struct run *run, int which, uint64_t from, const char *name,
                 int (*take[2])(void *user, const void *data, size_t len), void *const user[2])
{
    static const char *const verbs[] = {"/stream_stdout_updates?offset=", "/stream_stderr_updates?offset="};
    memset(f, 0, sizeof *f);
    f->run = run;
    f->ending.exit_status = -1;
    for (int i = 0; i < 2; i++) {
        if ((which & 1 << i) == 0)
            continue;
        struct output *o = &f->out[f->count];
        run_path(run, verbs[i], f->paths[f->count], sizeof f->paths[f->count]);
        output_init(o, &run->h->backend->api, f->paths[f->count], name, from);
        o->take = take[f->count];
        o->user = user[f->count];
        f->count++;
    }
}

void follow_finish(struct follow *f)
{
    for (size_t i = 0; i < f->count; i++)
        output_finish(&f->out[i]);
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static sbx_status ask_status(struct watch *w)
{
    const struct run *run = w->f->run;
    run_path(run, "/wait_for_status?last_n=1", w->path, sizeof w->path);
    (void)snprintf(w->body, sizeof w->body, "{\"statuses\":[\"completed\"],\"timeout_seconds\":%d}", HOLD_RUN_S);
    api_headers(&run->h->backend->api, NULL, w->storage, w->headers);
    http_reply_finish(&w->reply);
    w->request = (struct http_request){.what = run->what,
                                       .method = "POST",
                                       .path = w->path,
                                       .body = w->body,
                                       .body_len = strlen(w->body),
                                       .reply_limit = VIEW_LIMIT,
                                       .headers = w->headers};
    return http_many_start(w->many, &w->call, STATUS_SLOT, &w->request, &w->reply);
}

/* How long to wait for the next request; longer after failures. */
static int64_t pace(const struct watch *w)
{
    int64_t ms = (int64_t)PACE_MS << w->failures;
    return (ms < PACE_MAX_MS ? ms : PACE_MAX_MS) * MS_NS;
}

static int wants_status(const struct watch *w)
{
    return w->status_wanted && w->completed_ns == 0 && !http_many_is_busy(w->many, STATUS_SLOT);
}

/* Starts what is due, one at a time but for the first. *due: something waits for its turn. */
static sbx_status start_due(struct watch *w, int64_t now, int *due)
{
    struct follow *f = w->f;
    sbx_status status = SBX_OK;
    *due = wants_status(w) && now < w->pace_ns;
    if (wants_status(w) && !*due) {
        w->pace_ns = now + pace(w);
        status = ask_status(w);
    }
    for (size_t i = 0; i < f->count && status == SBX_OK; i++) {
        if (w->is_done[i] || http_many_is_busy(w->many, i))
            continue;
        if (w->opened_ns[i] != 0 && now < w->pace_ns) {
            *due = 1;
            continue;
        }
        w->opened_ns[i] = now;
        w->pace_ns = now + pace(w);
        status = output_connect(&f->out[i], w->many, i, f->run->what, &w->call);
    }
    return status;
}

/* --- what came of them ------------------------------------------------------------------------------------------- */

/* One more failure in a row; SBX_OK as long as it is worth while to go on. */
static sbx_status count_failure(struct watch *w, sbx_status status)
{
    w->status_wanted = 1;
    return ++w->failures < FAILURES_MAX ? SBX_OK : status;
}

static sbx_status judge_reply(struct watch *w, const struct http_reply *reply, sbx_status status)
{
    const struct run *run = w->f->run;
    if (status == SBX_OK)
        status = api_verdict(&run->h->backend->api, run->what, 1, reply, &w->call);
    if (status == SBX_OK || (w->reply.status == 408 && reply == &w->reply))
        return SBX_OK;
    if (status == SBX_E_UNAVAILABLE || status == SBX_E_BUSY || status == SBX_E_UNKNOWN)
        return count_failure(w, status);
    return status;
}

static sbx_status end_of_output(struct watch *w, size_t i, sbx_status status)
{
    struct output *o = &w->f->out[i];
    if (o->is_stopped)
        return call_fail(&w->call, SBX_E_STOPPED, "%s: stopped by the caller", w->f->run->what);
    w->is_done[i] = o->mark.word[0] != '\0';
    if (w->is_done[i])
        return SBX_OK;
    if (o->has_news)
        w->failures = 0;
    w->status_wanted |= !o->needs_again || o->code != 408;
    if (o->is_nonsense)
        return count_failure(
            w, call_fail(&w->call, SBX_E_PROTOCOL, "%s: runloop's stream is none of output", w->f->run->what));
    if (o->needs_again) {
        if (o->code == 408 || o->code == 0)
            return SBX_OK;
        return count_failure(w, call_fail(&w->call, SBX_E_UNAVAILABLE, "%s: runloop broke the output off (code %d)",
                                          w->f->run->what, o->code));
    }
    int failed = status != SBX_OK || o->reply.status < 200 || o->reply.status > 299;
    if (failed)
        return judge_reply(w, &o->reply, status);
    w->is_done[i] = w->completed_ns != 0 && w->opened_ns[i] > w->completed_ns && !o->has_news;
    return SBX_OK;
}

static sbx_status end_of_status(struct watch *w, sbx_status status)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    if (status != SBX_OK || w->reply.status < 200 || w->reply.status > 299)
        return judge_reply(w, &w->reply, status);
    if (text_hide(&w->reply.body) == 0)
        (void)json_parse(NULL, "", w->reply.body.data, w->reply.body.len, &json);
    const char *word = json_text(json, "status");
    if (word == NULL)
        return count_failure(w, call_fail(&w->call, SBX_E_PROTOCOL, "%s: the answer is no run", w->f->run->what));
    if (strcmp(word, "completed") != 0)
        return SBX_OK;
    w->completed_ns = clock_now_ns();
    w->f->ending.is_completed = 1;
    w->f->ending.exit_status = json_integer(json, "exit_status", -1);
    return SBX_OK;
}

/* Connections that have been silent for longer than they should. */
static void drop_silent(struct watch *w, int64_t now)
{
    for (size_t i = 0; i < w->f->count; i++) {
        struct output *o = &w->f->out[i];
        if (!http_many_is_busy(w->many, i))
            continue;
        int64_t silent = now - o->heard_ns;
        if (silent > QUIET_MS * MS_NS)
            w->status_wanted = 1;
        if (silent > STALE_MS * MS_NS ||
            (w->completed_ns != 0 && silent > LAST_MS * MS_NS && now - w->completed_ns > LAST_MS * MS_NS))
            http_many_stop(w->many, i);
    }
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static int all_done(const struct watch *w)
{
    for (size_t i = 0; i < w->f->count; i++)
        if (!w->is_done[i])
            return 0;
    return 1;
}

/* Whether every output that is not done has its mark: nothing of them is missing then. */
static int all_marked(const struct watch *w)
{
    for (size_t i = 0; i < w->f->count; i++)
        if (!w->is_done[i] && w->f->out[i].mark.word[0] == '\0')
            return 0;
    return 1;
}

/* The command has ended, its streams have not: does something hold them? */
static void look_who_holds(struct watch *w)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    struct sbx_call inner;
    char path[512];
    int own = 0;
    api_limit(&inner, &w->call, LOOK_MS, &own);
    inner.error = NULL;
    run_path(w->f->run, "?last_n=1", path, sizeof path);
    const struct api_request request = {.what = "", .path = path, .reply_limit = VIEW_LIMIT};
    (void)api_run(&w->f->run->h->backend->api, &inner, &request, &json);
    const char *word = json_text(json, "status");
    w->f->is_held = word == NULL || strcmp(word, "completed") != 0;
}

static void end_late(struct watch *w, int64_t now)
{
    struct run *run = w->f->run;
    if (run->limit_ns == 0 || now < run->limit_ns)
        return;
    run->limit_ns = 0;
    run->was_long = 1;
    (void)run_kill(run, &w->call);
    w->status_wanted = 1;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static sbx_status step(struct watch *w, int64_t until_ns)
{
    int64_t now = clock_now_ns(), next = now + LOOK_MS * MS_NS;
    size_t slot = HTTP_MANY;
    int due = 0;
    end_late(w, now);
    drop_silent(w, now);
    sbx_status status = start_due(w, now, &due);
    if (status != SBX_OK)
        return status;
    next = sooner(sooner(next, until_ns), sooner(w->grace_ns, w->f->run->limit_ns));
    if (due)
        next = sooner(next, w->pace_ns);
    status = http_many_next(w->many, &w->call, next, &slot);
    if (slot == HTTP_MANY)
        return status;
    return slot == STATUS_SLOT ? end_of_status(w, status) : end_of_output(w, slot, status);
}

static sbx_status watch_run(struct watch *w, int64_t until_ns)
{
    while (!all_done(w)) {
        sbx_status status = step(w, until_ns);
        if (status != SBX_OK)
            return status;
        int64_t now = clock_now_ns();
        if (all_marked(w) && w->grace_ns == 0)
            w->grace_ns = now + GRACE_MS * MS_NS;
        if (w->grace_ns != 0 && now >= w->grace_ns && !all_done(w)) {
            look_who_holds(w);
            return SBX_OK;
        }
        if (until_ns != 0 && now >= until_ns)
            return SBX_OK;
    }
    return SBX_OK;
}

sbx_status follow_run(struct follow *f, int64_t until_ns)
{
    struct watch w = {.f = f};
    struct sbx_call *call = f->run->call;
    call_shadow(&w.call, &w.error, call);
    sbx_status status = http_many_open(f->run->h->backend->api.http, call, &w.many);
    if (status != SBX_OK)
        return status;
    status = watch_run(&w, until_ns);
    http_many_close(w.many);
    http_reply_finish(&w.reply);
    for (size_t i = 0; i < f->count && status == SBX_OK; i++) {
        if (!f->is_brief && output_flush(&f->out[i]) != 0)
            status = call_fail(&w.call, SBX_E_STOPPED, "%s: stopped by the caller", f->run->what);
        if (f->out[i].mark.word[0] != '\0') {
            f->ending.has_mark = 1;
            memcpy(f->ending.word, f->out[i].mark.word, sizeof f->ending.word);
        }
    }
    if (status == SBX_E_NOT_FOUND || status == SBX_E_INVALID)
        return devbox_excuse(f->run->h, call, status, &w.error);
    if (status != SBX_OK)
        call_pass_error(call, &w.error);
    return status;
}
