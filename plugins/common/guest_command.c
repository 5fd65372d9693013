/* SPDX-License-Identifier: MIT
 *
 * guest_command.c - what exec, jobs and named shells have in common: a command's fields and its end.
 */
#include "plugins/common/guest_command.h"

enum { ARG_MAX_BYTES = 131071 }; /* the kernel's limit for one argument or environment string, without its NUL */

sbx_status guest_command_take(struct sbx_call *call, const char *what, const struct sbx_exec_args *args, uint32_t flags,
                              struct sbx_exec_args *mine)
{
    sbx_status status = sbx_take(mine, sizeof *mine, args);
    if (status != SBX_OK)
        return call_fail(call, status, "%s: arguments of an unknown shape", what);
    if ((mine->flags & ~(uint32_t)(SBX_EXEC_MERGE_STDERR | SBX_EXEC_NO_TIMEOUT | SBX_EXEC_STDIN_OPEN)) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "%s: unknown flags", what);
    if ((mine->flags & SBX_EXEC_STDIN_OPEN & ~flags) != 0)
        return call_fail(call, SBX_E_INVALID, "%s: an open stdin is for jobs", what);
    if ((mine->command == NULL) == (mine->argv == NULL))
        return call_fail(call, SBX_E_INVALID, "%s: either a command or an argv is needed", what);
    if (mine->argv != NULL && mine->argv[0] == NULL)
        return call_fail(call, SBX_E_INVALID, "%s: the argv is empty", what);
    if ((mine->flags & SBX_EXEC_NO_TIMEOUT) != 0 && mine->timeout_ms != 0)
        return call_fail(call, SBX_E_INVALID, "%s: a time limit and none at once", what);
    return SBX_OK;
}

static sbx_status put_arg(struct guest_request *r, size_t index, const char *arg)
{
    size_t len = strlen(arg);
    if (len > ARG_MAX_BYTES)
        return call_fail(r->call, SBX_E_TOO_LARGE, "%s: argument %zu has %zu bytes, the limit for one is %d", r->what,
                         index, len, ARG_MAX_BYTES);
    guest_request_bytes(r, F_ARG, arg, len);
    return SBX_OK;
}

sbx_status guest_command_argv(struct guest_request *r, const struct sbx_exec_args *args)
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
        return call_fail(r->call, SBX_E_INVALID, "%s: no environment variable can be called '%s'", r->what,
                         pair->key != NULL ? pair->key : "");
    size_t key = strlen(pair->key), value = strlen(pair->value);
    if (key + 1 + value > ARG_MAX_BYTES)
        return call_fail(r->call, SBX_E_TOO_LARGE, "%s: environment variable '%s' has %zu bytes, the limit is %d",
                         r->what, pair->key, key + 1 + value, ARG_MAX_BYTES);
    struct buf text;
    buf_init(&text, ARG_MAX_BYTES);
    (void)buf_append(&text, pair->key, key);
    (void)buf_append(&text, "=", 1);
    (void)buf_append(&text, pair->value, value);
    int failed = text.failed;
    if (!failed)
        guest_request_bytes(r, F_ENV, text.data, text.len);
    buf_finish(&text);
    return failed ? call_fail(r->call, SBX_E_NO_MEMORY, "%s: no memory for the environment", r->what) : SBX_OK;
}

sbx_status guest_command_envs(struct guest_request *r, const struct sbx_kvs *envs)
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

int guest_command_translate(const struct guest_end *end, int limited, struct sbx_exec_result *result)
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

sbx_status guest_command_finish(struct guest_request *r, sbx_status status, uint64_t max_output,
                                struct sbx_exec_result *result)
{
    count(r, max_output, result);
    if (!r->ended || r->end.status != SBX_OK)
        return status;
    struct sbx_exec_result before = *result;
    if (guest_command_translate(&r->end, r->patience_ns != 0, result))
        return status;
    *result = before;
    if (status != SBX_OK)
        return status;
    status = call_fail(r->call, SBX_E_UNKNOWN, "%s: the guest does not say how the command ended", r->what);
    call_maybe_applied(r->call, NULL);
    return status;
}
