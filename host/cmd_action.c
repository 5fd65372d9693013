/* SPDX-License-Identifier: MIT
 *
 * cmd_action.c - commands whose first word is an action: job, files and the like. Each has a table of them.
 */
#include "host/cmd.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <string.h>

enum { NAMES_MAX = 256 };

/* "'x' is none of a, b and c". */
static int unknown_action(struct cmd *c, const struct cmd_action *actions, size_t count)
{
    CLEANUP_BUF struct buf names;
    buf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < count; i++)
        (void)buf_format(&names, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " and ", actions[i].name);
    return cmd_usage(c, "'%s' is none of %s", c->args[0], names.data != NULL ? names.data : "its actions");
}

static int check_options(struct cmd *c, const struct cmd_action *a, uint32_t groups)
{
    const struct cmd_option *option;
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++)
        if ((option->groups & groups) != 0 && cmd_has(c, (enum cmd_id)option->id) &&
            (a->options & OPTION_BIT(option->id)) == 0)
            return cmd_usage(c, "option '--%s' has no meaning for '%s'", option->name, a->name);
    return 0;
}

static int check_action(struct cmd *c, const struct cmd_action *a, uint32_t groups)
{
    if (c->arg_count < a->least)
        return cmd_usage(c, "missing argument; usage: sbxctl %s [OPTION...] %s %s", c->command->name, a->name,
                         a->arguments);
    if (c->arg_count > a->most)
        return cmd_usage(c, "too many arguments, beginning with '%s'; usage: sbxctl %s [OPTION...] %s %s",
                         c->args[a->most], c->command->name, a->name, a->arguments);
    int code = check_options(c, a, groups);
    return code == 0 && a->check != NULL ? a->check(c) : code;
}

int action_take(struct cmd *c, const struct cmd_action *actions, size_t count, uint32_t groups,
                const struct cmd_action **out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(actions[i].name, c->args[0]) != 0)
            continue;
        *out = &actions[i];
        return check_action(c, *out, groups);
    }
    return unknown_action(c, actions, count);
}

int action_run(struct cmd *c, const struct cmd_action *actions, size_t count, uint32_t groups)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    const struct cmd_action *a = NULL;
    int code = action_take(c, actions, count, groups, &a);
    if (code == 0)
        code = cmd_open_box(c, c->args[1], &ctx, &box);
    return code == 0 ? a->run(c, box) : code;
}
