/* SPDX-License-Identifier: MIT
 *
 * cmd_shell.c - sbxctl shell: a command in a shell of a sandbox that keeps directory, variables and functions from one
 * call to the next.
 */
#include "host/cmd.h"
#include "host/json.h"

#include "base/buf.h"

#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

/* The words as one text for the shell, with a blank between two. */
static int join(struct cmd *c, size_t first, struct buf *text)
{
    for (size_t i = first; i < c->arg_count; i++) {
        (void)buf_text(text, i == first ? "" : " ");
        (void)buf_text(text, c->args[i]);
    }
    return text->failed == 0 ? 0 : cmd_usage(c, "the command is over 1 MiB");
}

static int close_shell(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    struct json j;
    if (sbx_shell_close(box, c->args[1], &c->call, &error) != SBX_OK)
        return cmd_fail_inside(c, box, &error);
    if (!cmd_has(c, OPT_JSON))
        return EXIT_FINE;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    json_text(&j, j.root, "shell", c->args[1]);
    return json_print(c, &j, EXIT_FINE);
}

static int check(struct cmd *c)
{
    int closes = cmd_has(c, OPT_CLOSE);
    if (*c->args[1] == 0)
        return cmd_usage(c, "the shell's name is empty");
    if (closes && c->arg_count > 2)
        return cmd_usage(c, "--close and a command exclude each other; give one");
    if (!closes && c->arg_count < 3)
        return cmd_usage(c, "no command for the shell; for a terminal write 'sbxctl exec -it %s -- sh'", c->args[0]);
    return 0;
}

int cmd_shell(struct cmd *c)
{
    CLEANUP_PROCESS struct process p = {0};
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    __attribute__((cleanup(buf_finish))) struct buf text;
    buf_init(&text, TEXT_MAX);
    int code = check(c);
    if (code == 0 && !cmd_has(c, OPT_CLOSE))
        code = process_init(c, c->args + 2, &p);
    if (code == 0)
        code = join(c, 2, &text);
    p.exec.argv = NULL;
    p.exec.command = text.data;
    p.exec.shell = c->args[1];
    if (code == 0)
        code = signals_open(c);
    if (code == 0)
        code = cmd_open(c, &ctx);
    if (code == 0)
        code = cmd_attach(c, ctx, c->args[0], &box);
    if (code != 0)
        return code;
    return cmd_has(c, OPT_CLOSE) ? close_shell(c, box) : process_run(c, box, &p);
}
