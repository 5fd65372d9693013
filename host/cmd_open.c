/* SPDX-License-Identifier: MIT
 *
 * cmd_open.c - opens libsbx as the command line says.
 */
#include "host/cmd.h"

#include <unistd.h>

static void log_to_stderr(void *user, int32_t level, const char *where, const char *message)
{
    static const char *const words[] = {"debug", "info", "warning", "error"};
    (void)user;
    flockfile(stderr);
    (void)fprintf(stderr, "sbxctl: %s: ", words[level < 0 || level > SBX_LOG_ERROR ? SBX_LOG_ERROR : level]);
    if (where != NULL && *where != 0) {
        print_safe(stderr, where);
        (void)fputs(": ", stderr);
    }
    print_safe(stderr, message);
    (void)fputc('\n', stderr);
    funlockfile(stderr);
}

int cmd_open_options(struct cmd *c, struct sbx_open_options *out)
{
    int64_t deadline = 0;
    int code = value_duration(c, OPT_DEADLINE, &deadline);
    if (code != 0)
        return code;
    c->call.deadline_ms = deadline;
    *out = (struct sbx_open_options){.size = sizeof *out, .config_path = c->value[OPT_CONFIG], .log = log_to_stderr};
    if (cmd_has(c, OPT_CONFIG) && *c->value[OPT_CONFIG] == 0)
        return cmd_usage(c, "option '--config' names no file");
    if (cmd_has(c, OPT_VERBOSE) || cmd_has(c, OPT_QUIET)) {
        out->flags = SBX_OPEN_LOG_LEVEL;
        out->log_level = cmd_has(c, OPT_VERBOSE) ? SBX_LOG_DEBUG : SBX_LOG_ERROR;
    } else if (isatty(2) == 1) { /* whoever waits there is to know for what */
        out->flags = SBX_OPEN_LOG_DEFAULT;
        out->log_level = SBX_LOG_INFO;
    }
    return 0;
}

int cmd_open(struct cmd *c, sbx_context **out)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_open_options options;
    int code = cmd_open_options(c, &options);
    if (code != 0)
        return code;
    return sbx_open(&options, out, &error) == SBX_OK ? 0 : cmd_fail(c, NULL, &error);
}

int cmd_attach(struct cmd *c, sbx_context *ctx, const char *id, sbx_sandbox **out)
{
    struct sbx_error error = SBX_INIT(error);
    if (*id == 0)
        return cmd_usage(c, "the id is empty; 'sbxctl ls' lists sandboxes");
    return sbx_attach(ctx, id, &c->call, out, &error) == SBX_OK ? 0 : cmd_fail_sandbox(c, id, &error);
}

int cmd_open_box(struct cmd *c, const char *id, sbx_context **ctx, sbx_sandbox **box)
{
    int code = signals_open(c);
    if (code == 0)
        code = cmd_open(c, ctx);
    return code == 0 ? cmd_attach(c, *ctx, id, box) : code;
}

void cleanup_context(sbx_context **ctx)
{
    if (*ctx != NULL)
        sbx_close(*ctx);
}

void cleanup_sandbox(sbx_sandbox **box)
{
    if (*box != NULL)
        sbx_release(*box);
}
