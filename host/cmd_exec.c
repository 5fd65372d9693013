/* SPDX-License-Identifier: MIT
 *
 * cmd_exec.c - sbxctl exec: one command in a sandbox that is there.
 */
#include "host/cmd.h"

int cmd_exec(struct cmd *c)
{
    CLEANUP_PROCESS struct process p = {0};
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    int code = process_init(c, c->args + 1, &p);
    if (code == 0)
        code = cmd_open_box(c, c->args[0], &ctx, &box);
    return code == 0 ? process_run(c, box, &p) : code;
}
