/* SPDX-License-Identifier: MIT
 *
 * cmd_run.c - sbxctl run: a sandbox for one command, removed however that ends. The sandbox is bound to this process,
 * so that it is gone even when nobody is left to remove it.
 */
#include "host/cmd.h"
#include "host/json.h"

#include <string.h>

enum { REMOVE_LIMIT_MS = 30000 };

/* The signals that came so far are taken: only a new one gives the removal up. What it leaves behind is told even with
 * -q. `answer` is NULL where nothing is left to print. */
static int take_down(struct cmd *c, sbx_sandbox *box, struct json *answer, int code)
{
    struct sbx_call_options call = c->call;
    struct sbx_error error = SBX_INIT(error);
    signals_take(c);
    call.deadline_ms = REMOVE_LIMIT_MS;
    if (sbx_remove(box, &call, &error) != SBX_OK) {
        if (code == EXIT_FINE)
            return cmd_fail_beside(c, sbx_id(box), &error, answer);
        cmd_note_failure(c, sbx_id(box), "not removed: %s", error.message);
    }
    return answer != NULL ? json_print(c, answer, code) : code;
}

int cmd_run(struct cmd *c)
{
    CLEANUP_PROCESS struct process p = {0};
    struct json answer = {.root = NULL};
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
    p.answer = &answer;
    code = process_run(c, box, &p);
    return take_down(c, box, answer.root != NULL || answer.failed ? &answer : NULL, code);
}
