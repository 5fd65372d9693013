/* SPDX-License-Identifier: MIT
 *
 * cmd_job.c - sbxctl job: commands that belong to the sandbox and not to the call that started them.
 */
#include "host/cmd.h"
#include "host/cmd_columns.h"
#include "host/json.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FEED_CHUNK = 65536 };

static void see_state(void *user, const struct sbx_info *info)
{
    int32_t *state = user;
    *state = info->state;
}

int cmd_fail_inside(struct cmd *c, sbx_sandbox *box, const struct sbx_error *error)
{
    struct sbx_error other = SBX_INIT(other);
    int32_t state = SBX_STATE_UNKNOWN;
    if (error->code == SBX_E_STOPPED)
        return EXIT_SIGNAL + SIGPIPE;
    if (error->code != SBX_E_STATE || sbx_inspect(box, &c->call, see_state, &state, &other) != SBX_OK ||
        state != SBX_STATE_RUNNING)
        return cmd_fail(c, sbx_id(box), error);
    return cmd_fail_plainly(c, sbx_id(box), error);
}

static void put_job(struct json *j, struct cJSON *at, const struct sbx_job *job)
{
    int runs = (job->flags & SBX_JOB_RUNS) != 0;
    json_text(j, at, "job", job->id);
    json_flag(j, at, "running", runs);
    if (job->pid > 0)
        json_number(j, at, "pid", (double)job->pid);
    else
        json_null(j, at, "pid");
    if (runs)
        json_null(j, at, "exit_code");
    else
        json_number(j, at, "exit_code", job->exit_code);
    json_text(j, at, "cause", runs ? NULL : process_cause(job->flags, job->exit_code));
    if (!runs && (job->flags & SBX_SIGNALLED) != 0)
        json_number(j, at, "signal", job->term_signal);
    else
        json_null(j, at, "signal");
}

/* {"ok":true,"id":...}, for what has nothing more to tell. */
static int print_done(struct cmd *c, const sbx_sandbox *box, const char *job)
{
    struct json j;
    if (!cmd_has(c, OPT_JSON))
        return EXIT_FINE;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    json_text(&j, j.root, "job", job);
    return json_print(c, &j, EXIT_FINE);
}

static int start_options(struct cmd *c, struct process *p)
{
    int code = process_init(c, c->args + 2, p);
    p->exec.flags = cmd_has(c, OPT_KEEP_STDIN) ? SBX_RUN_KEEP_STDIN : 0;
    if (code == 0)
        code = value_size(c, OPT_KEEP, &p->exec.max_output);
    if (code == 0 && cmd_has(c, OPT_KEEP) && p->exec.max_output == 0)
        code = cmd_usage(c, "--keep: '%s' keeps nothing; write such as 1M", c->value[OPT_KEEP]);
    return code;
}

static int job_start(struct cmd *c, sbx_sandbox *box)
{
    CLEANUP_PROCESS struct process p = {0};
    struct sbx_error error = SBX_INIT(error);
    struct sbx_job job = SBX_INIT(job);
    struct json j;
    int code = start_options(c, &p);
    if (code != 0)
        return code;
    if (sbx_job_start(box, &p.exec, &c->call, &job, &error) != SBX_OK)
        return cmd_fail_inside(c, box, &error);
    if (!cmd_has(c, OPT_JSON)) {
        (void)printf("%s\n", job.id);
        return EXIT_FINE;
    }
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    put_job(&j, j.root, &job);
    return json_print(c, &j, EXIT_FINE);
}

struct listing {
    struct cmd *c;
    struct table table;
    struct json json;
    struct cJSON *items;
};

static void job_row(struct table *t, const struct sbx_job *job)
{
    int runs = (job->flags & SBX_JOB_RUNS) != 0;
    char number[24];
    table_cell(t, job->id);
    table_cell(t, runs ? "running" : process_cause(job->flags, job->exit_code));
    (void)snprintf(number, sizeof number, "%d", job->exit_code);
    table_cell(t, runs ? "-" : number);
    (void)snprintf(number, sizeof number, "%lld", (long long)job->pid);
    table_cell(t, job->pid > 0 ? number : "-");
}

static void report(void *user, const struct sbx_job *job)
{
    struct listing *l = user;
    if (cmd_has(l->c, OPT_JSON))
        put_job(&l->json, json_push_object(&l->json, l->items), job);
    else if (cmd_has(l->c, OPT_QUIET))
        table_cell(&l->table, job->id);
    else
        job_row(&l->table, job);
}

static void head(struct listing *l)
{
    static const char *const names[] = {"JOB", "STATE", "EXIT", "PID"};
    table_init(&l->table, cmd_has(l->c, OPT_QUIET) ? 1 : 4);
    for (size_t i = 0; i < l->table.columns && !cmd_has(l->c, OPT_QUIET); i++)
        table_cell(&l->table, names[i]);
    json_init(&l->json);
    json_flag(&l->json, l->json.root, "ok", 1);
}

static int foot(struct listing *l, sbx_sandbox *box, sbx_status status, const struct sbx_error *error)
{
    int code = EXIT_FINE;
    if (status != SBX_OK)
        code = cmd_fail_inside(l->c, box, error);
    else if (cmd_has(l->c, OPT_JSON))
        code = json_print(l->c, &l->json, EXIT_FINE);
    else if (table_print(&l->table, stdout) != 0)
        code = cmd_no_memory(l->c);
    json_drop(&l->json);
    table_finish(&l->table);
    return code;
}

static int job_ls(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    struct listing l = {.c = c};
    head(&l);
    json_text(&l.json, l.json.root, "id", sbx_id(box));
    l.items = json_array(&l.json, l.json.root, "jobs");
    return foot(&l, box, sbx_job_list(box, &c->call, report, &l, &error), &error);
}

static int job_info(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_job job = SBX_INIT(job);
    struct listing l = {.c = c};
    head(&l);
    json_text(&l.json, l.json.root, "id", sbx_id(box));
    sbx_status status = sbx_job_info(box, c->args[2], &c->call, &job, &error);
    if (status == SBX_OK && cmd_has(c, OPT_JSON))
        put_job(&l.json, l.json.root, &job);
    else if (status == SBX_OK)
        report(&l, &job);
    return foot(&l, box, status, &error);
}

static int print_wait(struct cmd *c, const sbx_sandbox *box, const char *job, const struct sbx_exec_result *r)
{
    struct json j;
    int code = process_conclude(c, sbx_id(box), NULL, r);
    if (!cmd_has(c, OPT_JSON))
        return code;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    json_text(&j, j.root, "job", job);
    json_number(&j, j.root, "exit_code", r->exit_code);
    json_text(&j, j.root, "cause", process_cause(r->flags, r->exit_code));
    if ((r->flags & SBX_SIGNALLED) != 0)
        json_number(&j, j.root, "signal", r->term_signal);
    else
        json_null(&j, j.root, "signal");
    json_number(&j, j.root, "stdout_bytes", (double)r->out_bytes);
    json_number(&j, j.root, "stderr_bytes", (double)r->err_bytes);
    return json_print(c, &j, code);
}

int job_wait(struct cmd *c, sbx_sandbox *box, const char *job)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_exec_result result = SBX_INIT(result);
    if (sbx_job_wait(box, job, &c->call, &result, &error) != SBX_OK)
        return cmd_fail_inside(c, box, &error);
    return print_wait(c, box, job, &result);
}

static int job_wait_action(struct cmd *c, sbx_sandbox *box)
{
    return job_wait(c, box, c->args[2]);
}

static int job_logs_action(struct cmd *c, sbx_sandbox *box)
{
    return job_logs(c, box, c->args[2]);
}

static int job_kill(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_status status = sbx_job_kill(box, c->args[2], &c->call, &error);
    return status == SBX_OK ? print_done(c, box, c->args[2]) : cmd_fail_inside(c, box, &error);
}

static int job_forget(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_status status = sbx_job_forget(box, c->args[2], &c->call, &error);
    return status == SBX_OK ? print_done(c, box, c->args[2]) : cmd_fail_inside(c, box, &error);
}

/* TERM, SIGTERM or 15; 0: no such signal. */
static int32_t signal_of(const char *text)
{
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    char *end;
    long number = strtol(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == 0)
        return number >= 1 && number <= 64 ? (int32_t)number : 0;
    for (int32_t i = 1; i <= 64; i++) {
        const char *known = sigabbrev_np(i);
        if (known != NULL && strcmp(known, name) == 0)
            return i;
    }
    return 0;
}

static int job_signal(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_status status = sbx_job_signal(box, c->args[2], signal_of(c->args[3]), &c->call, &error);
    return status == SBX_OK ? print_done(c, box, c->args[2]) : cmd_fail_inside(c, box, &error);
}

/* What stands on standard input; 0 at its end, -1 with *code told. */
static ssize_t read_input(struct cmd *c, sbx_sandbox *box, void *chunk, int *code)
{
    struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = c->signal_fd, .events = POLLIN}};
    ssize_t n = -1;
    do
        errno = 0;
    while (poll(fds, 2, -1) < 0 && errno == EINTR);
    if ((fds[1].revents & POLLIN) != 0) {
        struct sbx_error error = {.size = sizeof error, .code = SBX_E_CANCELLED, .message = "cancelled"};
        *code = cmd_fail(c, sbx_id(box), &error);
        return -1;
    }
    n = read(0, chunk, FEED_CHUNK);
    if (n < 0)
        *code = cmd_own(c, sbx_id(box), "input", "standard input: %s", strerror(errno));
    return n;
}

static int job_feed(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_job job = SBX_INIT(job);
    char chunk[FEED_CHUNK];
    int code = EXIT_FINE, is_told = 0;
    ssize_t n;
    do {
        uint32_t eof;
        n = read_input(c, box, chunk, &code);
        if (n < 0)
            return code;
        eof = n == 0 && cmd_has(c, OPT_EOF);
        if ((n > 0 || eof) && sbx_job_feed(box, c->args[2], chunk, (size_t)n, eof, &c->call, &error) != SBX_OK)
            return cmd_fail_inside(c, box, &error);
        is_told |= n > 0 || eof;
    } while (n > 0);
    /* Nothing at all was fed, which is done only where there is such a job. */
    if (!is_told && sbx_job_info(box, c->args[2], &c->call, &job, &error) != SBX_OK)
        return cmd_fail_inside(c, box, &error);
    return print_done(c, box, c->args[2]);
}

static int check_start(struct cmd *c)
{
    CLEANUP_PROCESS struct process p = {0};
    return start_options(c, &p);
}

static int check_signal(struct cmd *c)
{
    if (signal_of(c->args[3]) == 0)
        return cmd_usage(c, "'%s' is not a signal; write such as TERM or 15", c->args[3]);
    return 0;
}

#define PROCESS_BITS                                                                                                   \
    (OPTION_BIT(OPT_ENV) | OPTION_BIT(OPT_ENV_FILE) | OPTION_BIT(OPT_CWD) | OPTION_BIT(OPT_USER) |                     \
     OPTION_BIT(OPT_TIMEOUT))
#define START_BITS (PROCESS_BITS | OPTION_BIT(OPT_KEEP) | OPTION_BIT(OPT_KEEP_STDIN))
#define LOGS_BITS  (OPTION_BIT(OPT_FOLLOW) | OPTION_BIT(OPT_FROM) | OPTION_BIT(OPT_STREAM))
static const struct cmd_action actions[] = {
    {"start", "ID [--] COMMAND [ARG...]", 3, SIZE_MAX, START_BITS, check_start, job_start},
    {"ls", "ID", 2, 2, 0, NULL, job_ls},
    {"info", "ID JOB", 3, 3, 0, NULL, job_info},
    {"wait", "ID JOB", 3, 3, 0, NULL, job_wait_action},
    {"logs", "ID JOB", 3, 3, LOGS_BITS, job_logs_check, job_logs_action},
    {"kill", "ID JOB", 3, 3, 0, NULL, job_kill},
    {"signal", "ID JOB SIGNAL", 4, 4, 0, check_signal, job_signal},
    {"feed", "ID JOB", 3, 3, OPTION_BIT(OPT_EOF), NULL, job_feed},
    {"forget", "ID JOB", 3, 3, 0, NULL, job_forget},
};

int cmd_job(struct cmd *c)
{
    return action_run(c, actions, sizeof actions / sizeof actions[0], GROUP_PROCESS | GROUP_JOB | GROUP_LOGS);
}
