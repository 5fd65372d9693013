/* SPDX-License-Identifier: MIT
 *
 * cmd_run.c - sbxctl run: a sandbox for one command, removed however that ends. The sandbox is bound to this process,
 * so that it is gone even when nobody is left to remove it.
 */
#include "host/cmd.h"

#include <string.h>

enum { REMOVE_LIMIT_MS = 30000 };

/* The signals that came so far are taken: only a new one gives the removal up. */
static int take_down(struct cmd *c, sbx_sandbox *box, int code)
{
    struct sbx_call_options call = c->call;
    struct sbx_error error = SBX_INIT(error);
    signals_take(c);
    call.deadline_ms = REMOVE_LIMIT_MS;
    if (sbx_remove(box, &call, &error) == SBX_OK)
        return code;
    if (code == EXIT_FINE)
        return cmd_fail(c, sbx_id(box), &error);
    cmd_note(c, sbx_id(box), "not removed: %s", error.message);
    return code;
}

int cmd_run(struct cmd *c)
{
    CLEANUP_PROCESS struct process p = {0};
    CLEANUP_MAKE struct make m = {0};
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    int code = make_init(c, &m);
    m.create.flags |= SBX_CREATE_WITH_CALLER;
    if (code == 0)
        code = process_init(c, c->args, &p);
    if (code == 0)
        code = signals_open(c);
    if (code == 0)
        code = cmd_open(c, &ctx);
    if (code == 0)
        code = make_sandbox(c, ctx, &m.create, &box);
    if (code != 0)
        return code;
    code = process_run(c, box, &p);
    return take_down(c, box, code);
}
