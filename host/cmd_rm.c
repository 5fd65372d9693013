/* SPDX-License-Identifier: MIT
 *
 * cmd_rm.c - sbxctl rm: ends sandboxes; one that is not there is no error.
 */
#include "host/cmd.h"
#include "host/json.h"

static int print_removed(struct cmd *c)
{
    struct json j;
    if (!cmd_has(c, OPT_JSON))
        return EXIT_FINE;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    struct cJSON *list = json_array(&j, j.root, "removed");
    for (size_t i = 0; i < c->arg_count; i++)
        json_push_text(&j, list, c->args[i]);
    return json_print(c, &j, EXIT_FINE);
}

/* Every id is tried; the first failure is the verdict, others are told as well. */
int cmd_rm(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    int code = EXIT_FINE;
    for (size_t i = 0; i < c->arg_count; i++)
        if (*c->args[i] == 0)
            return cmd_usage(c, "an id is empty; 'sbxctl ls' lists sandboxes");
    code = cmd_open(c, &ctx);
    if (code != 0)
        return code;
    for (size_t i = 0; i < c->arg_count; i++) {
        struct sbx_error error = SBX_INIT(error);
        if (sbx_remove_id(ctx, c->args[i], &c->call, &error) != SBX_OK)
            code = cmd_fail_one(c, c->args[i], &error, code);
    }
    return code == EXIT_FINE ? print_removed(c) : code;
}
