/* SPDX-License-Identifier: MIT
 *
 * guest_job.c - jobs through the guest: starting them, what is known of them, their ends.
 */
#include "base/cleanup.h"
#include "plugins/common/guest_command.h"

#include <stdio.h>
#include <sys/random.h>

enum { EXIT_MAX = 255, SIGNAL_MAX = 64, ATTEMPTS = 2 };

/* The connection ended in the middle, and nothing is known of the answer. */
static int was_lost(const struct guest_request *r, sbx_status status)
{
    return status == SBX_E_UNKNOWN && !r->ended;
}

static sbx_status check_id(struct sbx_call *call, const char *what, const char *job)
{
    if (job == NULL || *job == '\0')
        return call_fail(call, SBX_E_INVALID, "%s: no job is named", what);
    return SBX_OK;
}

/* --- reports ------------------------------------------------------------------------------------------------ */

static int info_number(struct sbx_job_info *info, uint32_t tag, uint64_t value)
{
    const uint32_t known = SBX_EXITED | SBX_SIGNALLED | SBX_TIMED_OUT | SBX_MERGED | SBX_OUT_OF_MEMORY |
                           SBX_OUTPUT_INCOMPLETE | SBX_NOT_STARTED | SBX_JOB_RUNNING;
    switch (tag) {
    case F_PID:
        info->pid = (int64_t)value;
        return value <= INT32_MAX;
    case F_RESULT:
        info->flags = (uint32_t)(value & known);
        return 1;
    case F_EXIT_CODE:
        info->exit_code = (int32_t)value;
        return value <= EXIT_MAX;
    case F_TERM_SIGNAL:
        info->term_signal = (int32_t)value;
        return value <= SIGNAL_MAX;
    default:
        return 1;
    }
}

static sbx_status read_info(struct guest_request *r, const unsigned char *fields, size_t len, struct sbx_job_info *info)
{
    struct wire_field_view field;
    int more = 0, ok = 1;
    *info = (struct sbx_job_info){.size = sizeof *info};
    while (ok && (more = wire_next_field(&fields, &len, &field)) == 1) {
        if (field.tag == F_ID && field.len < sizeof info->id && memchr(field.data, '\0', field.len) == NULL) {
            memcpy(info->id, field.data, field.len);
            info->id[field.len] = '\0';
        } else if (field.tag == F_PID || (field.tag >= F_RESULT && field.tag <= F_TERM_SIGNAL)) {
            uint64_t value = wire_number(&field, &ok);
            ok = ok && info_number(info, field.tag, value);
        }
    }
    if (!ok || more != 0 || info->id[0] == '\0')
        return guest_request_nonsense(r, "a reply that cannot be read");
    return SBX_OK;
}

struct asked {
    const char *id; /* the job that was asked for */
    struct sbx_job_info info;
};

static sbx_status info_reply(struct guest_request *r, const unsigned char *fields, size_t len)
{
    struct asked *asked = r->user;
    sbx_status status = read_info(r, fields, len, &asked->info);
    if (status == SBX_OK && strcmp(asked->info.id, asked->id) != 0)
        return guest_request_nonsense(r, "a reply about another job");
    return status;
}

/* A request about one job that may be asked again when its connection was lost. */
static sbx_status ask(struct guest_link *link, struct sbx_call *call, const char *what, enum wire_op op,
                      const char *job, struct sbx_job_info *out)
{
    sbx_status status = check_id(call, what, job);
    int again = status == SBX_OK ? ATTEMPTS : 0;
    while (again-- > 0) {
        struct asked asked = {.id = job};
        CLEANUP_REQUEST struct guest_request r;
        guest_request_begin(&r, link, call, what, op);
        guest_request_text(&r, F_ID, job);
        if (out != NULL)
            r.reply = info_reply;
        r.user = &asked;
        status = guest_request_run(&r);
        if (was_lost(&r, status))
            continue;
        if (status == SBX_OK && out != NULL && !r.answered)
            return call_fail(call, SBX_E_PROTOCOL, "%s: the guest gave no answer", what);
        if (status == SBX_OK && out != NULL)
            sbx_give(out, &asked.info, sizeof asked.info);
        return status;
    }
    return status;
}

sbx_status guest_job_info(struct guest_link *link, struct sbx_call *call, const char *job, struct sbx_job_info *out)
{
    return ask(link, call, "job info", OP_JOB_INFO, job, out);
}

sbx_status guest_job_kill(struct guest_link *link, struct sbx_call *call, const char *job)
{
    return ask(link, call, "job kill", OP_JOB_KILL, job, NULL);
}

/* One that was forgotten with a connection that then was lost is not there at the second attempt. */
sbx_status guest_job_forget(struct guest_link *link, struct sbx_call *call, const char *job)
{
    return ask(link, call, "job forget", OP_JOB_FORGET, job, NULL);
}

static sbx_status list_reply(struct guest_request *r, const unsigned char *fields, size_t len)
{
    const struct sbx_job_sink *out = r->user;
    struct sbx_job_info info;
    sbx_status status = read_info(r, fields, len, &info);
    if (status == SBX_OK && out->item(out->user, &info) != 0)
        return call_fail(r->call, SBX_E_STOPPED, "job list: stopped by the receiver");
    return status;
}

sbx_status guest_job_list(struct guest_link *link, struct sbx_call *call, const struct sbx_job_sink *out)
{
    struct sbx_job_sink sink;
    sbx_view(&sink, sizeof sink, out);
    if (sink.item == NULL || sink.flags != 0)
        return call_fail(call, sink.item == NULL ? SBX_E_INVALID : SBX_E_UNSUPPORTED,
                         "job list: a sink that cannot be used");
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "job list", OP_JOB_LIST);
    r.reply = list_reply;
    r.user = &sink;
    return guest_request_run(&r);
}

/* --- start -------------------------------------------------------------------------------------------------- */

/* A name of our own choice: by it we learn what became of a start whose answer was lost. */
static void make_id(char *id, size_t size)
{
    unsigned char bytes[8] = {0};
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes) {
        int64_t now = clock_now_ns();
        memcpy(bytes, &now, sizeof bytes);
    }
    (void)snprintf(id, size, "job-%016llx", (unsigned long long)wire_get64(bytes));
}

static sbx_status check_start(struct sbx_call *call, const struct sbx_exec_args *args)
{
    if (args->in != NULL || args->out != NULL || args->err != NULL || args->tty != NULL)
        return call_fail(call, SBX_E_INVALID, "job start: a job has neither streams nor a terminal");
    if (args->shell != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "job start: no job in a named shell");
    return SBX_OK;
}

static sbx_status build(struct guest_request *r, const struct sbx_exec_args *args, const char *id)
{
    sbx_status status = guest_command_argv(r, args);
    if (status == SBX_OK)
        status = guest_command_envs(r, &args->envs);
    const char *cwd = args->cwd != NULL ? args->cwd : r->link->workdir;
    if (status == SBX_OK && cwd != NULL)
        status = guest_request_path(r, F_CWD, cwd);
    guest_request_user(r, args->user);
    guest_request_text(r, F_ID, id);
    guest_request_number(r, F_FLAGS,
                         ((args->flags & SBX_EXEC_MERGE_STDERR) != 0 ? EXEC_MERGE : 0u) |
                             ((args->flags & SBX_EXEC_STDIN_OPEN) != 0 ? EXEC_STDIN_OPEN : EXEC_NO_STDIN));
    if (args->timeout_ms != 0)
        guest_request_number(r, F_TIMEOUT_MS, args->timeout_ms);
    if (args->max_output != 0)
        guest_request_number(r, F_LIMIT, args->max_output);
    return status;
}

/* One attempt; *lost: nobody knows whether the job was started. */
static sbx_status try_start(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                            struct asked *asked, int *lost)
{
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "job start", OP_JOB_START);
    r.reply = info_reply;
    r.user = asked;
    *lost = 0;
    sbx_status status = build(&r, args, asked->id);
    if (status != SBX_OK)
        return status;
    status = guest_request_run(&r);
    *lost = was_lost(&r, status);
    if (r.sent && !r.ended && status != SBX_OK)
        call_maybe_applied(call, asked->id);
    if (status == SBX_OK && !r.answered)
        return call_fail(call, SBX_E_PROTOCOL, "job start: the guest gave no answer");
    return status;
}

sbx_status guest_job_start(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                           struct sbx_job_info *out)
{
    struct sbx_exec_args mine;
    char id[32];
    struct asked asked = {.id = id};
    int lost = 0;
    sbx_status status = guest_command_take(call, "job start", args, SBX_EXEC_STDIN_OPEN, &mine);
    if (status == SBX_OK)
        status = check_start(call, &mine);
    if (status != SBX_OK)
        return status;
    make_id(id, sizeof id);
    for (int i = 0; i < ATTEMPTS; i++) {
        status = try_start(link, call, &mine, &asked, &lost);
        if (status == SBX_OK)
            sbx_give(out, &asked.info, sizeof asked.info);
        int made = i > 0 && status == SBX_E_EXISTS; /* by the first attempt, which was taken up late */
        if (!lost && !made)
            return status;
        status = guest_job_info(link, call, id, out);
        if (status != SBX_E_NOT_FOUND)
            break;
    }
    if (status != SBX_OK)
        call_maybe_applied(call, id);
    return status;
}

/* --- end and signals ---------------------------------------------------------------------------------------- */

static sbx_status ended(struct guest_request *r, const char *job, struct sbx_exec_result *result)
{
    if (!guest_command_translate(&r->end, 1, result))
        return call_fail(r->call, SBX_E_UNKNOWN, "job wait: the guest does not say how job '%s' ended", job);
    result->flags |= r->end.result & (uint32_t)SBX_MERGED;
    result->out_bytes = r->end.out_bytes;
    result->err_bytes = r->end.err_bytes;
    return SBX_OK;
}

sbx_status guest_job_wait(struct guest_link *link, struct sbx_call *call, const char *job, struct sbx_exec_result *out)
{
    struct sbx_exec_result result = {.size = sizeof result};
    sbx_status status = check_id(call, "job wait", job);
    int again = status == SBX_OK ? ATTEMPTS : 0;
    while (again-- > 0) {
        CLEANUP_REQUEST struct guest_request r;
        guest_request_begin(&r, link, call, "job wait", OP_JOB_WAIT);
        guest_request_text(&r, F_ID, job);
        status = guest_request_run(&r);
        if (status == SBX_OK)
            status = ended(&r, job, &result);
        if (!was_lost(&r, status))
            break;
    }
    if (status == SBX_OK)
        sbx_give(out, &result, sizeof result);
    return status;
}

sbx_status guest_job_signal(struct guest_link *link, struct sbx_call *call, const char *job, int32_t signo)
{
    sbx_status status = check_id(call, "job signal", job);
    if (status != SBX_OK)
        return status;
    if (signo < 1 || signo > SIGNAL_MAX)
        return call_fail(call, SBX_E_INVALID, "job signal: no signal %d", (int)signo);
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "job signal", OP_JOB_SIGNAL);
    guest_request_text(&r, F_ID, job);
    guest_request_number(&r, F_SIGNAL, (uint64_t)signo);
    return guest_request_run(&r);
}
