/* SPDX-License-Identifier: MIT
 *
 * guest_exec.c - running a command through the guest.
 */
#include "plugins/common/guest_command.h"

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
    sbx_status status = guest_command_argv(r, args);
    if (status == SBX_OK)
        status = guest_command_envs(r, &args->envs);
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

sbx_status guest_exec(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                      uint32_t default_timeout_ms, struct sbx_exec_result *out)
{
    struct sbx_exec_result result = {.size = sizeof result};
    struct sbx_exec_args mine;
    sbx_status status = guest_command_take(call, "exec", args, 0, &mine);
    if (status == SBX_OK && mine.shell != NULL)
        return guest_shell_exec(link, call, args, default_timeout_ms, out);
    if (status == SBX_OK) {
        uint32_t limit_ms = mine.timeout_ms;
        if (limit_ms == 0 && (mine.flags & SBX_EXEC_NO_TIMEOUT) == 0)
            limit_ms = default_timeout_ms;
        struct guest_request r;
        guest_request_begin(&r, link, call, "exec", OP_EXEC);
        status = build(&r, &mine, limit_ms);
        if (status == SBX_OK)
            status = guest_command_finish(&r, guest_request_run(&r), mine.max_output, &result);
        guest_request_finish(&r);
    }
    sbx_give(out, &result, sizeof result);
    return status;
}
