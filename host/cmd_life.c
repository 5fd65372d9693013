/* SPDX-License-Identifier: MIT
 *
 * cmd_life.c - sbxctl suspend, resume and keep-alive.
 */
#include "host/cmd.h"
#include "host/json.h"

static int print_done(struct cmd *c, const sbx_sandbox *box)
{
    struct json j;
    if (!cmd_has(c, OPT_JSON))
        return EXIT_FINE;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    return json_print(c, &j, EXIT_FINE);
}

typedef sbx_status life_call(sbx_sandbox *box, const struct sbx_call_options *call, struct sbx_error *error);

static int perform(struct cmd *c, life_call *call)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    struct sbx_error error = SBX_INIT(error);
    int code = cmd_open_box(c, c->args[0], &ctx, &box);
    if (code != 0)
        return code;
    return call(box, &c->call, &error) == SBX_OK ? print_done(c, box) : cmd_fail_sandbox(c, sbx_id(box), &error);
}

int cmd_suspend(struct cmd *c)
{
    return perform(c, sbx_suspend);
}

int cmd_resume(struct cmd *c)
{
    return perform(c, sbx_resume);
}

int cmd_keep_alive(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    struct sbx_error error = SBX_INIT(error);
    int64_t ms = 0;
    int code = value_duration(c, OPT_FOR, &ms);
    if (code == 0 && cmd_has(c, OPT_FOR) && (ms < 1000 || (ms + 999) / 1000 > (int64_t)UINT32_MAX))
        code = cmd_usage(c, "--for: '%s' is out of range; write a duration of at least 1s", c->value[OPT_FOR]);
    if (code == 0)
        code = cmd_open_box(c, c->args[0], &ctx, &box);
    if (code != 0)
        return code;
    return sbx_keep_alive(box, (uint32_t)((ms + 999) / 1000), &c->call, &error) == SBX_OK
               ? print_done(c, box)
               : cmd_fail_sandbox(c, sbx_id(box), &error);
}
