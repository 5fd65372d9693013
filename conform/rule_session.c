/* SPDX-License-Identifier: MIT
 *
 * rule_session.c - named shells, terminals, connections into the sandbox.
 */
#include "conform/conform.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static int in_shell(struct run *run, const char *shell, const char *text, struct caught *out)
{
    struct call c = {.run = run, .deadline_ms = 20000};
    struct exec e = {.args = {.size = sizeof e.args, .command = text, .shell = shell}, .out = out};
    caught_init(out);
    call_want(&c, call_exec(&c, run->h, &e), SBX_OK);
    return e.result.exit_code;
}

static void shell_says(struct run *run, const char *shell, const char *text, const char *wanted)
{
    struct caught out;
    int code = in_shell(run, shell, text, &out);
    EXPECT(run,
           code == 0 && out.data.len == strlen(wanted) &&
               memcmp(out.data.len > 0 ? out.data.data : "", wanted, out.data.len) == 0,
           "in the shell '%s' `%s` gave %d and '%.100s'", shell, text, code, out.data.len > 0 ? out.data.data : "");
    buf_finish(&out.data);
}

static void shells(struct run *run)
{
    struct caught out;
    shell_says(run, "one", "cd /; x='a b'; f() { echo \"f $x\"; }", "");
    shell_says(run, "one", "pwd; f", "/\nf a b\n");
    shell_says(run, "two", "echo \"[$x]\"", "[]\n");
    EXPECT(run, in_shell(run, "one", "(exit 5)", &out) == 5, "a shell's command does not give its code");
    shell_says(run, "one", "printf ' no newline'", " no newline");
}

static sbx_status close_shell(struct run *run, struct call *c, const char *name)
{
    struct sbx_shell_close_ops ops;
    extension_take(run, SBX_EXT_SHELL_CLOSE, &ops, sizeof ops);
    *c = (struct call){.run = run, .deadline_ms = 20000};
    call_begin(c, "close of a shell");
    return call_end(c, ops.close(run->h, c->lent, lend_text(c, name)));
}

static void shells_close(struct run *run)
{
    struct call c;
    call_want(&c, close_shell(run, &c, "never-opened"), SBX_E_NOT_FOUND);
    shell_says(run, "one", "x=1", "");
    call_want(&c, close_shell(run, &c, "one"), SBX_OK);
    call_want(&c, close_shell(run, &c, "one"), SBX_E_NOT_FOUND);
    shell_says(run, "one", "echo \"[$x]\"", "[]\n");
}

static int32_t no_event(void *user, struct sbx_tty_event *out)
{
    (void)out;
    (void)callback_enter(user);
    callback_leave(user);
    return 0;
}

static void terminals(struct run *run)
{
    struct caught out;
    struct call c = {.run = run, .deadline_ms = 20000};
    struct exec e = {.args = {.size = sizeof e.args, .command = "test -t 0 && test -t 1 && stty size; exit 6"},
                     .out = &out};
    caught_init(&out);
    call_begin(&c, "exec with a terminal");
    struct sbx_exec_args *args = lend_exec(&c, &e);
    struct sbx_tty tty = {.size = sizeof tty,
                          .rows = 33,
                          .cols = 77,
                          .user = lend_guard(&c, run),
                          .next = no_event,
                          .ready_fd = c.quiet_fd};
    args->tty = lend_copy(&c, &tty, sizeof tty);
    void *result = lend_out(&c, sizeof e.result);
    sbx_status status = run->handle_ops.exec(run->h, c.lent, args, result);
    lend_taken(&c, &e.result, result, sizeof e.result);
    call_want(&c, call_end(&c, status), SBX_OK);
    EXPECT(run, e.result.exit_code == 6, "a command on a terminal gave %d", e.result.exit_code);
    EXPECT(run, out.data.len > 0 && strstr(out.data.data, "33 77") != NULL, "the terminal's size is '%.40s'",
           out.data.len > 0 ? out.data.data : "");
    buf_finish(&out.data);
}

static sbx_status dial(struct run *run, struct call *c, uint32_t port, struct feed *from, struct caught *into)
{
    struct sbx_dial_ops ops;
    extension_take(run, SBX_EXT_DIAL, &ops, sizeof ops);
    c->run = run;
    caught_init(into);
    call_begin(c, "dial");
    const struct sbx_source *source = lend_source(c, from);
    return call_end(c, ops.dial(run->h, c->lent, port, source, lend_sink(c, into)));
}

static void nobody_listens(struct run *run)
{
    struct feed from = {0};
    struct caught into;
    struct call c = {.deadline_ms = 20000};
    call_want(&c, dial(run, &c, 9, &from, &into), SBX_E_UNAVAILABLE);
}

static const struct rule table[] = {
    {701, NEEDS_BOX, "sbx.shell", "shell_keeps_its_state",
     "a named shell keeps directory, variables and functions; another is another", shells, SBX_EXT_SHELL},
    {702, NEEDS_BOX, "sbx.shell.close", "shell_is_closed",
     "a closed shell is fresh when used again; closing none is SBX_E_NOT_FOUND", shells_close, SBX_EXT_SHELL_CLOSE},
    {703, NEEDS_BOX, "sbx.tty", "terminal_has_its_size", "a command with a terminal has one, of the size asked for",
     terminals, SBX_EXT_TTY},
    {704, NEEDS_BOX, "sbx.dial", "dial_to_nobody_is_unavailable", "a port where nobody listens is SBX_E_UNAVAILABLE",
     nobody_listens, SBX_EXT_DIAL},
};
RULE_GROUP(rules_session, "sessions", table);
