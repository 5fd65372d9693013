/* SPDX-License-Identifier: MIT
 *
 * guest_exec.c - running a command through the guest.
 */
#include "plugins/common/guest_request.h"

enum {
    ARG_MAX_BYTES = 131071, /* the kernel's limit for one argument or environment string, without its NUL */
    GUEST_GRACE_MS = 5000   /* for the guest to end a command at its limit and say so */
};
#define MS_NS INT64_C(1000000)

static sbx_status check_args(struct sbx_call *call, const struct sbx_exec_args *args)
{
    if ((args->flags & ~(uint32_t)(SBX_EXEC_MERGE_STDERR | SBX_EXEC_NO_TIMEOUT | SBX_EXEC_STDIN_OPEN)) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "exec: unknown flags");
    if ((args->flags & SBX_EXEC_STDIN_OPEN) != 0)
        return call_fail(call, SBX_E_INVALID, "exec: an open stdin is for jobs");
    if ((args->command == NULL) == (args->argv == NULL))
        return call_fail(call, SBX_E_INVALID, "exec: either a command or an argv is needed");
    if (args->argv != NULL && args->argv[0] == NULL)
        return call_fail(call, SBX_E_INVALID, "exec: the argv is empty");
    if (args->shell != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "exec: no named shells here");
    if ((args->flags & SBX_EXEC_NO_TIMEOUT) != 0 && args->timeout_ms != 0)
        return call_fail(call, SBX_E_INVALID, "exec: a time limit and none at once");
    return SBX_OK;
}

static sbx_status put_arg(struct guest_request *r, size_t index, const char *arg)
{
    size_t len = strlen(arg);
    if (len > ARG_MAX_BYTES)
        return call_fail(r->call, SBX_E_TOO_LARGE, "exec: argument %zu has %zu bytes, the limit for one is %d", index,
                         len, ARG_MAX_BYTES);
    guest_request_bytes(r, F_ARG, arg, len);
    return SBX_OK;
}

static sbx_status put_argv(struct guest_request *r, const struct sbx_exec_args *args)
{
    const char *const line[] = {"/bin/sh", "-c", args->command, NULL};
    const char *const *argv = args->argv != NULL ? args->argv : line;
    for (size_t i = 0; argv[i] != NULL; i++) {
        sbx_status status = put_arg(r, i, argv[i]);
        if (status != SBX_OK)
            return status;
    }
    return SBX_OK;
}

static sbx_status put_env(struct guest_request *r, const struct sbx_kv *pair)
{
    if (pair->key == NULL || *pair->key == '\0' || strchr(pair->key, '=') != NULL || pair->value == NULL)
        return call_fail(r->call, SBX_E_INVALID, "exec: no environment variable can be called '%s'",
                         pair->key != NULL ? pair->key : "");
    size_t key = strlen(pair->key), value = strlen(pair->value);
    if (key + 1 + value > ARG_MAX_BYTES)
        return call_fail(r->call, SBX_E_TOO_LARGE, "exec: environment variable '%s' has %zu bytes, the limit is %d",
                         pair->key, key + 1 + value, ARG_MAX_BYTES);
    struct buf text;
    buf_init(&text, ARG_MAX_BYTES);
    (void)buf_append(&text, pair->key, key);
    (void)buf_append(&text, "=", 1);
    (void)buf_append(&text, pair->value, value);
    int failed = text.failed;
    if (!failed)
        guest_request_bytes(r, F_ENV, text.data, text.len);
    buf_finish(&text);
    return failed ? call_fail(r->call, SBX_E_NO_MEMORY, "exec: no memory for the environment") : SBX_OK;
}

/* create's variables first: of two the guest takes the later. */
static sbx_status put_envs(struct guest_request *r, const struct sbx_kvs *envs)
{
    for (size_t i = 0; i < r->link->env_count; i++)
        guest_request_text(r, F_ENV, r->link->envs[i]);
    for (size_t i = 0; i < envs->count; i++) {
        sbx_status status = put_env(r, &envs->items[i]);
        if (status != SBX_OK)
            return status;
    }
    return SBX_OK;
}

static sbx_status put_tty(struct guest_request *r, const struct sbx_tty *tty)
{
    sbx_view(&r->tty, sizeof r->tty, tty);
    if (tty == NULL)
        return SBX_OK;
    if (r->tty.flags != 0)
        return call_fail(r->call, SBX_E_UNSUPPORTED, "exec: unknown flags in the terminal");
    if (r->tty.rows > 0xffff || r->tty.cols > 0xffff)
        return call_fail(r->call, SBX_E_INVALID, "exec: no terminal of %u x %u", r->tty.rows, r->tty.cols);
    guest_request_number(r, F_ROWS, r->tty.rows);
    guest_request_number(r, F_COLS, r->tty.cols);
    return SBX_OK;
}

static sbx_status put_streams(struct guest_request *r, const struct sbx_exec_args *args)
{
    int tty = args->tty != NULL, merged = tty || (args->flags & SBX_EXEC_MERGE_STDERR) != 0;
    int feeds = args->in != NULL || tty;
    uint64_t flags = (tty ? EXEC_TTY : 0u) | (merged ? EXEC_MERGE : 0u) | (feeds ? 0u : EXEC_NO_STDIN);
    guest_request_number(r, F_FLAGS, flags);
    sbx_status status = put_tty(r, args->tty);
    if (status == SBX_OK && feeds)
        status = guest_request_feed(r, args->in);
    if (status == SBX_OK)
        status = guest_request_drain(r, STREAM_OUT, args->out);
    if (status == SBX_OK && !merged)
        status = guest_request_drain(r, STREAM_ERR, args->err);
    r->out[0].max = r->out[1].max = args->max_output;
    return status;
}

static sbx_status build(struct guest_request *r, const struct sbx_exec_args *args, uint32_t limit_ms)
{
    sbx_status status = put_argv(r, args);
    if (status == SBX_OK)
        status = put_envs(r, &args->envs);
    const char *cwd = args->cwd != NULL ? args->cwd : r->link->workdir;
    if (status == SBX_OK && cwd != NULL)
        status = guest_request_path(r, F_CWD, cwd);
    if (status == SBX_OK)
        status = put_streams(r, args);
    guest_request_user(r, args->user);
    if (limit_ms != 0) {
        guest_request_number(r, F_TIMEOUT_MS, limit_ms);
        r->patience_ns = ((int64_t)limit_ms + GUEST_GRACE_MS) * MS_NS;
    }
    r->can_start = 1;
    return status;
}

/* The bytes that came, and whether that is all: the guest may have counted some that it could not hand over. */
static void count(const struct guest_request *r, uint64_t max_output, struct sbx_exec_result *result)
{
    const struct guest_flow *out = &r->out[0], *err = &r->out[1];
    result->out_bytes = out->total;
    result->err_bytes = err->total;
    if (max_output != 0 && out->total > max_output)
        result->flags |= SBX_STDOUT_TRUNCATED;
    if (max_output != 0 && err->total > max_output)
        result->flags |= SBX_STDERR_TRUNCATED;
    if (out->wanted && !err->wanted)
        result->flags |= SBX_MERGED;
    if (!r->ended || !r->end.has_bytes)
        return;
    if (r->end.out_bytes > out->total || r->end.err_bytes > err->total)
        result->flags |= SBX_OUTPUT_INCOMPLETE;
    if (r->end.out_bytes > out->total)
        result->out_bytes = r->end.out_bytes;
    if (r->end.err_bytes > err->total)
        result->err_bytes = r->end.err_bytes;
}

/* How the command ended, in the ABI's words. 0 when the guest's make no sense. */
static int translate(const struct guest_end *end, int limited, struct sbx_exec_result *result)
{
    result->flags |= end->result & (uint32_t)(SBX_OUT_OF_MEMORY | SBX_OUTPUT_INCOMPLETE);
    if ((end->result & SBX_TIMED_OUT) != 0) {
        result->flags |= SBX_TIMED_OUT;
        result->exit_code = 124;
        return limited;
    }
    if ((end->result & SBX_SIGNALLED) != 0) {
        result->flags |= SBX_SIGNALLED;
        result->term_signal = end->term_signal;
        result->exit_code = 128 + end->term_signal;
        return end->term_signal > 0 && (end->result & SBX_EXITED) == 0;
    }
    if ((end->result & SBX_EXITED) == 0)
        return 0;
    result->flags |= SBX_EXITED;
    result->exit_code = end->exit_code;
    if ((end->result & SBX_NOT_STARTED) == 0)
        return 1;
    result->flags |= SBX_NOT_STARTED;
    return end->exit_code == 126 || end->exit_code == 127;
}

static sbx_status finish(struct guest_request *r, sbx_status status, uint64_t max_output,
                         struct sbx_exec_result *result)
{
    count(r, max_output, result);
    if (!r->ended || r->end.status != SBX_OK)
        return status;
    struct sbx_exec_result before = *result;
    if (translate(&r->end, r->patience_ns != 0, result))
        return status;
    *result = before;
    if (status != SBX_OK)
        return status;
    status = call_fail(r->call, SBX_E_UNKNOWN, "exec: the guest does not say how the command ended");
    call_maybe_applied(r->call, NULL);
    return status;
}

static sbx_status take_args(struct sbx_call *call, const struct sbx_exec_args *args, struct sbx_exec_args *mine)
{
    sbx_status status = sbx_take(mine, sizeof *mine, args);
    if (status != SBX_OK)
        return call_fail(call, status, "exec: arguments of an unknown shape");
    return check_args(call, mine);
}

sbx_status guest_exec(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                      uint32_t default_timeout_ms, struct sbx_exec_result *out)
{
    struct sbx_exec_result result = {.size = sizeof result};
    struct sbx_exec_args mine;
    sbx_status status = take_args(call, args, &mine);
    if (status == SBX_OK) {
        uint32_t limit_ms = mine.timeout_ms;
        if (limit_ms == 0 && (mine.flags & SBX_EXEC_NO_TIMEOUT) == 0)
            limit_ms = default_timeout_ms;
        struct guest_request r;
        guest_request_begin(&r, link, call, "exec", OP_EXEC);
        status = build(&r, &mine, limit_ms);
        if (status == SBX_OK)
            status = finish(&r, guest_request_run(&r), mine.max_output, &result);
        guest_request_finish(&r);
    }
    sbx_give(out, &result, sizeof result);
    return status;
}
