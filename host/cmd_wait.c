/* SPDX-License-Identifier: MIT
 *
 * cmd_wait.c - sbxctl wait: for the end of a job, or until a sandbox is in a state.
 */
#include "host/cmd.h"
#include "host/json.h"

static int wanted(struct cmd *c, uint32_t *mask)
{
    for (size_t i = 0; i < c->repeated_count; i++) {
        int number = state_number(c->repeated[i].value);
        if (number < 0)
            return cmd_usage(c, "--state: no such state '%s'; write running, suspended, stopped or failed",
                             c->repeated[i].value);
        *mask |= 1u << number;
    }
    if (c->arg_count == 1 && *mask == 0)
        return cmd_usage(c, "nothing to wait for; name a job, or a state with --state");
    if (c->arg_count == 2 && *mask != 0)
        return cmd_usage(c, "a job and --state exclude each other; give one");
    return 0;
}

static void see(void *user, const struct sbx_info *info)
{
    int32_t *state = user;
    *state = info->state;
}

static int wait_state(struct cmd *c, sbx_sandbox *box, uint32_t mask)
{
    struct sbx_error error = SBX_INIT(error);
    int32_t state = SBX_STATE_UNKNOWN;
    struct json j;
    if (sbx_wait(box, mask, &c->call, see, &state, &error) != SBX_OK)
        return cmd_fail_sandbox(c, sbx_id(box), &error);
    if (!cmd_has(c, OPT_JSON)) {
        (void)printf("%s\n", state_name(state));
        return EXIT_FINE;
    }
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    json_text(&j, j.root, "state", state_name(state));
    return json_print(c, &j, EXIT_FINE);
}

int cmd_wait(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    uint32_t mask = 0;
    int code = wanted(c, &mask);
    if (code == 0)
        code = cmd_open_box(c, c->args[0], &ctx, &box);
    if (code != 0)
        return code;
    return c->arg_count == 2 ? job_wait(c, box, c->args[1]) : wait_state(c, box, mask);
}
