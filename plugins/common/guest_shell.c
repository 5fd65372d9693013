/* SPDX-License-Identifier: MIT
 *
 * guest_shell.c - named shells through the guest.
 */
#include "base/cleanup.h"
#include "plugins/common/guest_command.h"

enum { TEXT_MAX = 1 << 20, NAME_MAX_BYTES = 128 };

/* 'argument', with each ' in it as '\''. */
static void quote(struct buf *text, const char *arg)
{
    (void)buf_text(text, "'");
    for (;;) {
        size_t n = strcspn(arg, "'");
        (void)buf_append(text, arg, n);
        if (arg[n] == '\0')
            break;
        (void)buf_text(text, "'\\''");
        arg += n + 1;
    }
    (void)buf_text(text, "'");
}

static sbx_status put_text(struct guest_request *r, const struct sbx_exec_args *args)
{
    CLEANUP_BUF struct buf text;
    buf_init(&text, TEXT_MAX);
    if (args->command != NULL)
        (void)buf_text(&text, args->command);
    for (size_t i = 0; args->argv != NULL && args->argv[i] != NULL; i++) {
        if (i > 0)
            (void)buf_text(&text, " ");
        quote(&text, args->argv[i]);
    }
    if (text.failed == EFBIG)
        return call_fail(r->call, SBX_E_TOO_LARGE, "exec: a command of a named shell has at most %d bytes", TEXT_MAX);
    if (text.failed != 0)
        return call_fail(r->call, SBX_E_NO_MEMORY, "exec: no memory for the command");
    guest_request_bytes(r, F_ARG, text.len > 0 ? text.data : "", text.len);
    return SBX_OK;
}

static sbx_status check(struct sbx_call *call, const struct sbx_exec_args *args)
{
    size_t len = args->shell == NULL ? 0 : strlen(args->shell);
    if (len == 0 || len > NAME_MAX_BYTES)
        return call_fail(call, SBX_E_INVALID, "exec: the name of a shell has 1 to %d bytes", NAME_MAX_BYTES);
    if (args->in != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "exec: a command of a named shell has no stdin");
    if (args->tty != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "exec: a named shell has no terminal");
    return SBX_OK;
}

static sbx_status build(struct guest_request *r, const struct sbx_exec_args *args, uint32_t limit_ms)
{
    int merged = (args->flags & SBX_EXEC_MERGE_STDERR) != 0;
    uint64_t flags = (merged ? EXEC_MERGE : 0u) | (args->cwd != NULL ? SHELL_SAME_CWD : 0u) |
                     (args->user != NULL ? SHELL_SAME_USER : 0u) | (args->envs.count > 0 ? SHELL_SAME_ENV : 0u);
    guest_request_text(r, F_NAME, args->shell);
    sbx_status status = put_text(r, args);
    if (status == SBX_OK)
        status = guest_command_envs(r, &args->envs);
    const char *cwd = args->cwd != NULL ? args->cwd : r->link->workdir;
    if (status == SBX_OK && cwd != NULL)
        status = guest_request_path(r, F_CWD, cwd);
    if (status == SBX_OK)
        status = guest_request_drain(r, STREAM_OUT, args->out);
    if (status == SBX_OK && !merged)
        status = guest_request_drain(r, STREAM_ERR, args->err);
    guest_request_user(r, args->user);
    guest_request_number(r, F_FLAGS, flags);
    r->out[0].max = r->out[1].max = args->max_output;
    if (limit_ms != 0) {
        guest_request_number(r, F_TIMEOUT_MS, limit_ms);
        r->patience_ns = ((int64_t)limit_ms + GUEST_GRACE_MS) * MS_NS;
        r->patience_from_start = 1; /* those before it in the shell have limits of their own */
    }
    r->can_start = 1;
    return status;
}

sbx_status guest_shell_exec(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                            uint32_t default_timeout_ms, struct sbx_exec_result *out)
{
    struct sbx_exec_result result = {.size = sizeof result};
    struct sbx_exec_args mine;
    sbx_status status = guest_command_take(call, "exec", args, 0, &mine);
    if (status == SBX_OK)
        status = check(call, &mine);
    if (status == SBX_OK) {
        uint32_t limit_ms = mine.timeout_ms;
        if (limit_ms == 0 && (mine.flags & SBX_EXEC_NO_TIMEOUT) == 0)
            limit_ms = default_timeout_ms;
        CLEANUP_REQUEST struct guest_request r;
        guest_request_begin(&r, link, call, "exec", OP_SHELL_EXEC);
        status = build(&r, &mine, limit_ms);
        if (status == SBX_OK)
            status = guest_command_finish(&r, guest_request_run(&r), mine.max_output, &result);
        /* How the shell itself ended, where that is why. */
        struct sbx_exec_result ended = result;
        if (status == SBX_E_STATE && r.ended && guest_command_translate(&r.end, 0, &ended))
            result = ended;
    }
    sbx_give(out, &result, sizeof result);
    return status;
}

sbx_status guest_shell_close(struct guest_link *link, struct sbx_call *call, const char *shell)
{
    if (shell == NULL || *shell == '\0')
        return call_fail(call, SBX_E_INVALID, "shell close: no shell is named");
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "shell close", OP_SHELL_CLOSE);
    guest_request_text(&r, F_NAME, shell);
    return guest_request_run(&r);
}
