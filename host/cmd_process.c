/* SPDX-License-Identifier: MIT
 *
 * cmd_process.c - one command in a sandbox, for exec and run: streams as they are, or captured into one JSON object.
 */
#include "host/cmd.h"
#include "host/json.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Standard input is the command's when that was asked for, or when it is something that ends by itself. */
static int wants_stdin(const struct cmd *c)
{
    struct stat st;
    if (cmd_has(c, OPT_INTERACTIVE))
        return 1;
    return fstat(0, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode));
}

static int process_limits(struct cmd *c, struct process *p)
{
    int code = value_duration(c, OPT_TIMEOUT, &p->exec.timeout_ms);
    if (code == 0)
        code = value_size(c, OPT_MAX_OUTPUT, &p->exec.max_output);
    if (code != 0)
        return code;
    if (p->exec.timeout_ms > (int64_t)UINT32_MAX)
        return cmd_usage(c, "--timeout: '%s' is more than 49d; give 0 for no limit", c->value[OPT_TIMEOUT]);
    if (cmd_has(c, OPT_MAX_OUTPUT) && !cmd_has(c, OPT_JSON))
        return cmd_usage(c, "--max-output needs --json: without it nothing is kept");
    if (cmd_has(c, OPT_MAX_OUTPUT) && p->exec.max_output == 0)
        return cmd_usage(c, "--max-output: '%s' keeps nothing; write such as 1M", c->value[OPT_MAX_OUTPUT]);
    if (p->exec.timeout_ms == 0 && (cmd_has(c, OPT_TIMEOUT) || cmd_has(c, OPT_TTY)))
        p->exec.flags |= SBX_RUN_NO_TIMEOUT;
    return 0;
}

int process_init(struct cmd *c, const char *const *argv, struct process *p)
{
    int code;
    *p = (struct process){.exec = SBX_INIT(p->exec)};
    p->exec.argv = argv;
    p->exec.cwd = c->value[OPT_CWD];
    p->exec.user = c->value[OPT_USER];
    if (argv[0][0] == 0)
        return cmd_usage(c, "the command's name is empty");
    if (cmd_has(c, OPT_CWD) && *c->value[OPT_CWD] == 0)
        return cmd_usage(c, "--cwd: an empty value");
    if (cmd_has(c, OPT_USER) && *c->value[OPT_USER] == 0)
        return cmd_usage(c, "--user: an empty value");
    if (cmd_has(c, OPT_TTY) && cmd_has(c, OPT_JSON))
        return cmd_usage(c, "--tty and --json exclude each other; give one");
    code = process_limits(c, p);
    if (code == 0 && cmd_has(c, OPT_TTY))
        code = value_term(c, &p->envs);
    if (code == 0)
        code = value_envs(c, &p->envs);
    p->exec.envs = kv_view(&p->envs);
    if (wants_stdin(c)) {
        p->exec.flags |= SBX_RUN_IN_FD;
        p->exec.in_fd = 0;
    }
    return code;
}

void process_finish(struct process *p)
{
    kv_finish(&p->envs);
}

const char *process_cause(uint32_t flags, int32_t exit_code)
{
    if ((flags & SBX_TIMED_OUT) != 0)
        return "timed_out";
    if ((flags & SBX_OUT_OF_MEMORY) != 0)
        return "out_of_memory";
    if ((flags & SBX_NOT_STARTED) != 0)
        return exit_code == EXIT_NOT_FOUND ? "not_found" : "not_executable";
    return (flags & SBX_SIGNALLED) != 0 ? "signalled" : "exited";
}

#define CANNOT_EXECUTE "cannot execute '%s': permission denied, or not a program"

int process_conclude(struct cmd *c, const char *id, const char *program, const struct sbx_exec_result *r)
{
    const struct cmd loud = {.command = c->command};
    if ((r->flags & SBX_TIMED_OUT) != 0) {
        cmd_note(&loud, id, "timed out");
        return EXIT_TIMED_OUT;
    }
    if ((r->flags & SBX_NOT_STARTED) != 0 && program == NULL)
        cmd_note(&loud, id, r->exit_code == EXIT_NOT_FOUND ? "no such program" : "cannot execute the program");
    else if ((r->flags & SBX_NOT_STARTED) != 0)
        cmd_note(&loud, id, r->exit_code == EXIT_NOT_FOUND ? "no such program '%s'" : CANNOT_EXECUTE, program);
    if ((r->flags & SBX_OUT_OF_MEMORY) != 0)
        cmd_note(&loud, id, "out of memory");
    if ((r->flags & SBX_OUTPUT_INCOMPLETE) != 0)
        cmd_note(c, id, "output may be incomplete: a process that the command left behind still held it");
    if ((r->flags & SBX_TEXT_ONLY) != 0)
        cmd_note(c, id, "output is text only: this provider does not carry bytes exactly");
    return r->exit_code;
}

static void put_flags(struct json *j, const struct sbx_exec_result *r)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{SBX_STDOUT_TRUNCATED, "stdout_truncated"},
                 {SBX_STDERR_TRUNCATED, "stderr_truncated"},
                 {SBX_TAIL_KEPT, "tail_kept"},
                 {SBX_MERGED, "merged"},
                 {SBX_OUT_OF_MEMORY, "out_of_memory"},
                 {SBX_OUTPUT_INCOMPLETE, "output_incomplete"},
                 {SBX_TEXT_ONLY, "text_only"},
                 {SBX_NOT_STARTED, "not_started"}};
    struct cJSON *flags = json_object(j, j->root, "flags");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_flag(j, flags, names[i].name, (r->flags & names[i].bit) != 0);
}

/* A shell has no one program. */
static const char *program_of(const struct process *p)
{
    return p->exec.argv == NULL ? NULL : p->exec.argv[0];
}

static int print_result(struct cmd *c, const char *id, struct process *p, const sbx_op *op,
                        const struct sbx_exec_result *r)
{
    struct json j;
    size_t out_len = 0, err_len = 0;
    const void *out = sbx_op_output(op, 1, &out_len);
    const void *err = sbx_op_output(op, 2, &err_len);
    int code = process_conclude(c, id, program_of(p), r);
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", id);
    json_number(&j, j.root, "exit_code", r->exit_code);
    json_text(&j, j.root, "cause", process_cause(r->flags, r->exit_code));
    if ((r->flags & SBX_SIGNALLED) != 0)
        json_number(&j, j.root, "signal", r->term_signal);
    else
        json_null(&j, j.root, "signal");
    json_bytes(&j, j.root, "stdout", out, out == NULL ? 0 : out_len);
    json_bytes(&j, j.root, "stderr", err, err == NULL ? 0 : err_len);
    json_number(&j, j.root, "stdout_bytes", (double)r->out_bytes);
    json_number(&j, j.root, "stderr_bytes", (double)r->err_bytes);
    put_flags(&j, r);
    if (p->answer == NULL)
        return json_print(c, &j, code);
    *p->answer = j;
    return code;
}

/* The reader of our output went away: that is how pipes end, and no failure to tell. */
static int fail(struct cmd *c, sbx_sandbox *box, const struct process *p, const struct sbx_error *error)
{
    if (p->exec.shell != NULL) {
        int code = cmd_fail_inside(c, box, error);
        if (error->code == SBX_E_UNSUPPORTED && (p->exec.flags & SBX_RUN_IN_FD) != 0 && !cmd_has(c, OPT_INTERACTIVE))
            cmd_note(c, sbx_id(box),
                     "standard input is a pipe or a file here; if the command is to have none: </dev/null");
        return code;
    }
    return error->code == SBX_E_STOPPED ? EXIT_SIGNAL + 13 : cmd_fail(c, sbx_id(box), error);
}

static int run_captured(struct cmd *c, sbx_sandbox *box, struct process *p)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_op *op = NULL;
    p->exec.flags |= SBX_RUN_CAPTURE;
    sbx_status code = sbx_exec_capture(box, &p->exec, &c->call, &op, &error);
    const struct sbx_exec_result *r = op == NULL ? NULL : sbx_op_exec_result(op);
    int answer = code == SBX_OK && r != NULL ? print_result(c, sbx_id(box), p, op, r) : fail(c, box, p, &error);
    sbx_op_free(op);
    return answer;
}

int process_run(struct cmd *c, sbx_sandbox *box, struct process *p)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_exec_result result = SBX_INIT(result);
    struct tty *tty = NULL;
    sbx_status code;
    if (cmd_has(c, OPT_JSON))
        return run_captured(c, box, p);
    if (cmd_has(c, OPT_TTY)) {
        tty = tty_open((p->exec.flags & SBX_RUN_IN_FD) != 0);
        if (tty == NULL)
            return cmd_no_memory(c);
        p->exec.terminal = tty_terminal(tty);
    }
    p->exec.flags |= SBX_RUN_OUT_FD | SBX_RUN_ERR_FD;
    p->exec.out_fd = 1;
    p->exec.err_fd = 2;
    code = sbx_exec(box, &p->exec, &c->call, &result, &error);
    p->exec.terminal = NULL;
    tty_close(tty);
    return code == SBX_OK ? process_conclude(c, sbx_id(box), program_of(p), &result) : fail(c, box, p, &error);
}
