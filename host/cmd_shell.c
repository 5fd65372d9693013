/* SPDX-License-Identifier: MIT
 *
 * cmd_shell.c - sbxctl shell: commands in a shell of a sandbox that keeps directory, variables and functions from one
 * to the next; one that stands on the command line, or what is typed, line by line.
 */
#include "host/cmd.h"
#include "host/json.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20, LINE_ROOM = 4096 };

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

/* --- on a terminal ------------------------------------------------------------------------------------------------ */

struct session {
    struct cmd *c;
    sbx_sandbox *box;
    struct process *process;
    const char *name;
    struct buf typed; /* and not yet run */
    int last;         /* exit code of the last command */
    int over;
};

/* A signal while nothing runs: the interrupt key drops what was typed, the others end the session. */
static void take_signal(struct session *s)
{
    struct sbx_error error = {.size = sizeof error, .code = SBX_E_CANCELLED, .message = "cancelled"};
    signals_take(s->c);
    s->typed.len = 0;
    (void)fputc('\n', stderr);
    if (s->c->signalled == SIGINT) {
        s->c->signalled = 0;
        s->last = EXIT_SIGNAL + SIGINT;
        return;
    }
    s->last = cmd_fail(s->c, sbx_id(s->box), &error);
    s->over = 1;
}

/* Reads until a whole line is there (1), or not (0): then the session is over, or the line is to be begun anew. */
static int read_line(struct session *s)
{
    while (s->typed.len == 0 || memchr(s->typed.data, '\n', s->typed.len) == NULL) {
        struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = s->c->signal_fd, .events = POLLIN}};
        char *room = buf_space(&s->typed, LINE_ROOM);
        if (room == NULL) {
            s->last = cmd_usage(s->c, "the command is over 1 MiB");
            s->over = 1;
            return 0;
        }
        if (poll(fds, 2, -1) < 0 && errno == EINTR)
            continue;
        if ((fds[1].revents & POLLIN) != 0) {
            take_signal(s);
            return 0;
        }
        ssize_t n = read(0, room, LINE_ROOM);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            (void)fputc('\n', stderr);
            s->over = 1;
            return 0;
        }
        s->typed.len += (size_t)n;
    }
    return 1;
}

static void run_line(struct session *s, const char *line)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_exec_result result = SBX_INIT(result);
    s->process->exec.command = line;
    switch (sbx_exec(s->box, &s->process->exec, &s->c->call, &result, &error)) {
    case SBX_OK:
        s->last = process_conclude(s->c, sbx_id(s->box), NULL, &result);
        return;
    case SBX_E_CANCELLED:
        take_signal(s);
        return;
    case SBX_E_STATE:
        s->over = 1;
        s->last = (result.flags & SBX_EXITED) != 0 ? result.exit_code : cmd_fail_inside(s->c, s->box, &error);
        return;
    default:
        s->last = cmd_fail_inside(s->c, s->box, &error);
        s->over = error.code == SBX_E_GONE;
        return;
    }
}

static int is_blank(const char *line)
{
    return line[strspn(line, " \t\r")] == 0;
}

static int interact(struct cmd *c, sbx_sandbox *box, const char *name, struct process *p)
{
    struct session s = {.c = c, .box = box, .process = p, .name = name};
    buf_init(&s.typed, TEXT_MAX);
    p->exec.flags |= SBX_RUN_OUT_FD | SBX_RUN_ERR_FD;
    p->exec.out_fd = 1;
    p->exec.err_fd = 2;
    while (!s.over) {
        print_safe(stderr, name);
        (void)fputs("$ ", stderr);
        (void)fflush(stderr);
        if (read_line(&s) == 0)
            continue;
        char *end = memchr(s.typed.data, '\n', s.typed.len);
        size_t length = (size_t)(end - s.typed.data);
        *end = 0;
        /* A NUL cannot be typed into a command. */
        if (strlen(s.typed.data) == length && !is_blank(s.typed.data))
            run_line(&s, s.typed.data);
        buf_consume(&s.typed, length + 1);
    }
    buf_finish(&s.typed);
    return s.last;
}

/* A shell without a name is gone with its terminal: nobody could ask for it again. */
static int interact_fresh(struct cmd *c, sbx_sandbox *box, struct process *p)
{
    char name[SBX_ID_SIZE];
    sbx_shell_name(name);
    p->exec.shell = name;
    int code = interact(c, box, "sandbox", p);
    (void)sbx_shell_close(box, name, NULL, NULL);
    return code;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int check_interactive(struct cmd *c)
{
    if (cmd_has(c, OPT_JSON))
        return cmd_usage(c, "--json needs a command");
    if (cmd_has(c, OPT_INTERACTIVE))
        return cmd_usage(c, "--interactive needs a command: here standard input is what to run");
    if (isatty(0) != 1)
        return cmd_usage(c, "no command for the shell; only from a terminal are commands read");
    return 0;
}

static int check(struct cmd *c)
{
    int closes = cmd_has(c, OPT_CLOSE);
    if (c->arg_count > 1 && *c->args[1] == 0)
        return cmd_usage(c, "the shell's name is empty");
    if (closes && c->arg_count > 2)
        return cmd_usage(c, "--close and a command exclude each other; give one");
    if (closes && c->arg_count < 2)
        return cmd_usage(c, "--close wants the name of a shell");
    return closes || c->arg_count > 2 ? 0 : check_interactive(c);
}

static int run_session(struct cmd *c, sbx_sandbox *box, struct process *p)
{
    if (cmd_has(c, OPT_CLOSE))
        return close_shell(c, box);
    if (c->arg_count > 2)
        return process_run(c, box, p);
    return c->arg_count == 2 ? interact(c, box, c->args[1], p) : interact_fresh(c, box, p);
}

int cmd_shell(struct cmd *c)
{
    static const char *const typed[] = {"what is typed", NULL};
    CLEANUP_PROCESS struct process p = {0};
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    CLEANUP_BUF struct buf text;
    buf_init(&text, TEXT_MAX);
    int code = check(c);
    if (code == 0 && !cmd_has(c, OPT_CLOSE))
        code = process_init(c, c->arg_count > 2 ? c->args + 2 : typed, &p);
    if (code == 0)
        code = join(c, 2, &text);
    p.exec.argv = NULL;
    p.exec.command = text.data;
    p.exec.shell = c->arg_count > 1 ? c->args[1] : NULL;
    if (code == 0)
        code = cmd_open_box(c, c->args[0], &ctx, &box);
    return code == 0 ? run_session(c, box, &p) : code;
}
