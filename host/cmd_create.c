/* SPDX-License-Identifier: MIT
 *
 * cmd_create.c - sbxctl create: makes a sandbox that outlives us and prints its id alone.
 */
#include "host/cmd.h"
#include "host/json.h"

/* The id could not be handed over: nobody would ever remove the sandbox. */
static int take_back(struct cmd *c, sbx_sandbox *box, int code)
{
    struct sbx_call_options call = {.size = sizeof call, .deadline_ms = 30000};
    struct sbx_error error = SBX_INIT(error);
    return sbx_remove(box, &call, &error) == SBX_OK ? code : cmd_fail(c, sbx_id(box), &error);
}

static int print_id(struct cmd *c, sbx_sandbox *box)
{
    struct json j;
    int code = EXIT_FINE;
    if (cmd_has(c, OPT_JSON)) {
        json_init(&j);
        json_flag(&j, j.root, "ok", 1);
        json_text(&j, j.root, "id", sbx_id(box));
        code = json_print(c, &j, EXIT_FINE);
    } else {
        (void)printf("%s\n", sbx_id(box));
    }
    code = cmd_close_output(c, code);
    return code == EXIT_FINE ? code : take_back(c, box, code);
}

int cmd_create(struct cmd *c)
{
    CLEANUP_MAKE struct make m = {0};
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    int code = make_init(c, &m);
    if (code == 0)
        code = value_envs(c, &m.envs);
    m.create.envs = kv_view(&m.envs);
    m.create.workdir = c->value[OPT_CWD];
    m.create.user = c->value[OPT_USER];
    if (code == 0)
        code = signals_open(c);
    if (code == 0)
        code = cmd_open(c, &ctx);
    if (code == 0)
        code = make_sandbox(c, ctx, &m.create, &box);
    return code == 0 ? print_id(c, box) : code;
}
