/* SPDX-License-Identifier: MIT
 *
 * run.c - see run.h: starting a run, ending it, and what its end means.
 */
#include "plugins/runloop/run.h"

enum { KILL_MS = 450, INLINE_BYTES = 100000, GRACE_MS = 10000 };

void run_name(char name[MARK_NAME + 1])
{
    memcpy(name, "sbx-", 4);
    api_token(name + 4);
}

static void put_start(struct buf *body, const char *text, const char *shell, int with_stdin)
{
    buf_init(body, 1 << 20);
    (void)buf_text(body, "{\"command\":");
    json_put_text(body, text);
    if (shell != NULL) {
        (void)buf_text(body, ",\"shell_name\":");
        json_put_text(body, shell);
    }
    (void)buf_text(body, with_stdin ? ",\"attach_stdin\":true}" : "}");
}

sbx_status run_start(struct run *run, const char *text, const char *shell, int with_stdin)
{
    CLEANUP_BUF struct buf body;
    CLEANUP_JSON struct cJSON *view = NULL;
    char verb[] = "execute_async";
    put_start(&body, text, shell, with_stdin);
    if (body.failed != 0)
        return call_fail(run->call, body.failed == EILSEQ ? SBX_E_INVALID : SBX_E_NO_MEMORY, "%s: %s", run->what,
                         body.failed == EILSEQ ? "the name of the shell is no UTF-8 text" : "no memory");
    sbx_status status = devbox_post(run->h, run->call, run->what, verb, body.data, 0, &view);
    if (status != SBX_OK)
        return status;
    const char *id = json_text(view, "execution_id");
    if (id == NULL || !id_is_valid(id)) {
        status = call_fail(run->call, SBX_E_UNKNOWN, "%s: runloop gave no id for what it started", run->what);
        call_maybe_applied(run->call, NULL);
        return status;
    }
    (void)snprintf(run->id, sizeof run->id, "%s", id);
    return SBX_OK;
}

sbx_status run_begin(struct run *run, const struct sbx_exec_args *args, uint32_t limit_ms, int input)
{
    CLEANUP_BUF struct buf text = {0}, loader = {0};
    const struct script script = {
        .args = args, .name = run->name, .workdir = run->h->workdir, .limit_ms = limit_ms, .input = input};
    int is_secret = 0;
    sbx_status status = script_write(&script, run->call, &text, &is_secret);
    if (status != SBX_OK)
        return status;
    const char *start = text.data;
    if (is_secret || text.len > INLINE_BYTES || !text_is_utf8(text.data, text.len)) {
        status = file_upload(run->h, run->call, run->what, run->name, text.data, text.len);
        if (status != SBX_OK)
            return status;
        script_write_loader(run->name, args->shell != NULL, &loader);
        if (loader.failed != 0)
            return call_fail(run->call, SBX_E_NO_MEMORY, "%s: no memory", run->what);
        start = loader.data;
    }
    run->is_merged = (args->flags & SBX_EXEC_MERGE_STDERR) != 0;
    status = run_start(run, start, args->shell, input == SCRIPT_STDIN_OPEN);
    /* Commands that wait for their shell have not begun; there the limit is kept in the devbox alone. */
    if (limit_ms != 0 && args->shell == NULL)
        run->limit_ns = clock_now_ns() + ((int64_t)limit_ms + GRACE_MS) * MS_NS;
    return status;
}

int run_kill(const struct run *run, const struct sbx_call *call)
{
    struct run sweep = {.h = run->h, .what = run->what};
    CLEANUP_BUF struct buf text;
    struct sbx_call inner = {.size = sizeof inner};
    char path[512];
    sbx_status status = SBX_E_FAILED;
    (void)call; /* it is over, as a rule */
    if (run->id[0] != '\0') {
        inner.deadline_ns = clock_now_ns() + KILL_MS * MS_NS;
        run_path(run, "/kill", path, sizeof path);
        const struct api_request request = {.what = run->what,
                                            .path = path,
                                            .body = "{\"kill_process_group\":true}",
                                            .reply_limit = VIEW_LIMIT,
                                            .is_safe = 1};
        status = api_run(&run->h->backend->api, &inner, &request, NULL);
    }
    /* What left its group. Named shells are the service's own to end. */
    script_write_sweep(run->name, &text);
    inner.deadline_ns = clock_now_ns() + KILL_MS * MS_NS;
    sweep.call = &inner;
    if (run->name[0] != '\0' && text.failed == 0 && run_start(&sweep, text.data, NULL, 0) == SBX_OK &&
        run->id[0] == '\0')
        status = SBX_OK;
    return status == SBX_OK ? 0 : -1;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static sbx_status cannot_start(const struct run *run, const char *word, const struct sbx_exec_args *args)
{
    const char *cwd = args->cwd != NULL ? args->cwd : run->h->workdir;
    if (strcmp(word, "cwd") == 0)
        return call_fail(run->call, SBX_E_NOT_FOUND, "%s: no such directory '%s'", run->what, cwd != NULL ? cwd : "");
    if (strcmp(word, "user") == 0)
        return call_fail(run->call, SBX_E_INVALID, "%s: no such user '%s'", run->what,
                         args->user != NULL ? args->user : "");
    if (strcmp(word, "sudo") == 0)
        return call_fail(run->call, SBX_E_PERMISSION, "%s: the devbox's user may not act as '%s'", run->what,
                         args->user != NULL ? args->user : "");
    return call_fail(run->call, SBX_E_PROTOCOL, "%s: the devbox says '%s' of the command's end", run->what, word);
}

/* The service calls it completed, but our wrapper did not get to say how. */
static sbx_status end_without_mark(const struct run *run, const struct ending *ending, const struct sbx_exec_args *args,
                                   struct sbx_exec_result *out)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    int64_t code = ending->exit_status;
    if (run->was_long) {
        out->flags |= SBX_TIMED_OUT;
        out->exit_code = 124;
        return SBX_OK;
    }
    sbx_status asked = devbox_get(run->h->backend, NULL, run->what, run->h->id, &view);
    int32_t state = devbox_state(json_text(view, "status"));
    if (asked == SBX_E_NOT_FOUND || state == SBX_STATE_STOPPED || state == SBX_STATE_FAILED)
        return call_fail(run->call, SBX_E_GONE, "%s: sandbox %s ended", run->what, run->h->id);
    if (asked == SBX_OK && state != SBX_STATE_RUNNING)
        return call_fail(run->call, SBX_E_STATE, "%s: sandbox %s is %s, which ended the command", run->what, run->h->id,
                         json_text(view, "status"));
    if (args->shell != NULL && asked == SBX_OK)
        return call_fail(run->call, SBX_E_STATE, "%s: the shell '%s' ended", run->what, args->shell);
    if (code <= 128 || code > 128 + 64) {
        sbx_status status =
            call_fail(run->call, SBX_E_UNKNOWN, "%s: how the command ended cannot be learned", run->what);
        call_maybe_applied(run->call, run->id);
        return status;
    }
    out->flags |= SBX_SIGNALLED;
    out->exit_code = (int32_t)code;
    out->term_signal = (int32_t)code - 128;
    return SBX_OK;
}

sbx_status run_verdict(const struct run *run, const struct ending *ending, const struct sbx_exec_args *args,
                       struct sbx_exec_result *out)
{
    const char *word = ending->word;
    out->flags |= run->is_merged ? (uint32_t)SBX_MERGED : 0u;
    if (!ending->has_mark)
        return end_without_mark(run, ending, args, out);
    if (strcmp(word, "time") == 0) {
        out->flags |= SBX_TIMED_OUT;
        out->exit_code = 124;
        return SBX_OK;
    }
    char *end = NULL;
    long code = word[0] == 'e' || word[0] == 'n' ? strtol(word + 1, &end, 10) : -1;
    if (end == NULL || end == word + 1 || *end != '\0' || code < 0 || code > 255)
        return cannot_start(run, word, args);
    out->flags |= SBX_EXITED | (word[0] == 'n' ? (uint32_t)SBX_NOT_STARTED : 0u);
    out->exit_code = (int32_t)code;
    return SBX_OK;
}
