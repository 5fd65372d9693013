/* SPDX-License-Identifier: MIT
 *
 * Library cases about jobs and named shells.
 */
#include "tests/contracts/contract_lib.h"

static struct sbx_job start_job(struct fixture *f, const char *line, uint32_t flags)
{
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_job job = SBX_INIT(job);
    options.command = line;
    options.flags = flags;
    OK(f, sbx_job_start(f->box, &options, NULL, &job, &f->error));
    CHECK(job.id[0] != '\0' && job.pid > 0, "no id or no pid");
    return job;
}

static int32_t wait_job(struct fixture *f, const char *job, int64_t deadline_ms)
{
    struct sbx_call_options call = {.size = sizeof call, .deadline_ms = deadline_ms};
    struct sbx_exec_result result = SBX_INIT(result);
    OK(f, sbx_job_wait(f->box, job, &call, &result, &f->error));
    return result.exit_code;
}

/* Words: JOB CODE */
static void job_wait_many(struct fixture *f)
{
    CHECK(f->argc == 2, "usage: job_wait_many ID JOB CODE");
    long code = strtol(f->argv[1], NULL, 10);
    sbx_op *ops[4] = {NULL};
    for (size_t i = 0; i < 4; i++)
        OK(f, sbx_job_wait_start(f->box, f->argv[0], NULL, &ops[i], &f->error));
    for (size_t i = 0; i < 4; i++) {
        OK(f, sbx_op_finish(ops[i], &f->error));
        CHECK(sbx_op_exec_result(ops[i])->exit_code == code, "exit code %d", sbx_op_exec_result(ops[i])->exit_code);
        sbx_op_free(ops[i]);
    }
    for (int i = 0; i < 20; i++)
        CHECK(wait_job(f, f->argv[0], 5000) == code, "another code in round %d", i);
}

struct grown {
    char *data;
    size_t len;
};

static int32_t grow(void *user, const void *data, size_t len)
{
    struct grown *g = user;
    char *more = realloc(g->data, g->len + len + 1);
    CHECK(more != NULL, "no memory");
    g->data = more;
    memcpy(g->data + g->len, data, len);
    g->len += len;
    g->data[g->len] = '\0';
    return 0;
}

/* Everything of one stream, asked for again and again from where the last answer ended; stops early on purpose. */
static void read_on(struct fixture *f, const char *job, uint32_t stream, uint64_t *from, struct grown *g)
{
    const struct sbx_job_output_options options = {
        .size = sizeof options, .stream = stream, .from = *from, .on_data = grow, .user_data = g};
    uint64_t next = UINT64_MAX;
    OK(f, sbx_job_output(f->box, job, &options, NULL, &next, &f->error));
    CHECK(next == g->len, "the next offset is %llu after %zu bytes", (unsigned long long)next, g->len);
    *from = next;
}

/* e0 to e399, a line each. */
static void check_errors(const struct grown *err)
{
    size_t at = 0;
    for (int i = 0; i < 400; i++) {
        char line[16];
        size_t len = (size_t)snprintf(line, sizeof line, "e%d\n", i);
        CHECK(at + len <= err->len && memcmp(err->data + at, line, len) == 0, "standard error lost line %d", i);
        at += len;
    }
    CHECK(at == err->len, "%zu bytes more on standard error", err->len - at);
}

static void job_output_in_pieces(struct fixture *f)
{
    struct grown out = {NULL, 0}, err = {NULL, 0}, followed = {NULL, 0};
    uint64_t out_from = 0, err_from = 0, next = 0;
    size_t len = 0, rounds = 0;
    struct sbx_job info = SBX_INIT(info);
    struct sbx_job job = start_job(f,
                                   "i=0; while [ $i -lt 400 ]; do echo \"line $i of the output\"; echo \"e$i\" >&2; "
                                   "i=$((i+1)); [ $((i % 20)) != 0 ] || sleep 0.05; done; printf '\\000\\377end'",
                                   0);
    do {
        OK(f, sbx_job_info(f->box, job.id, NULL, &info, &f->error));
        read_on(f, job.id, 1, &out_from, &out);
        read_on(f, job.id, 2, &err_from, &err);
        rounds++;
        pause_ms(10);
    } while ((info.flags & SBX_JOB_RUNS) != 0);
    CHECK(rounds > 3, "it was not read while it ran: %zu rounds", rounds);
    shell(f, "i=0; while [ $i -lt 400 ]; do echo \"line $i of the output\"; i=$((i+1)); done >/tmp/want; "
             "printf '\\000\\377end' >>/tmp/want");
    sbx_op *op = capture(f, "cat /tmp/want", 0, 0);
    const char *want = sbx_op_output(op, 1, &len);
    CHECK(len == out.len && memcmp(want, out.data, len) == 0, "%zu bytes instead of %zu, or others", out.len, len);
    const struct sbx_job_output_options follow = {.size = sizeof follow,
                                                  .flags = SBX_JOB_FOLLOW,
                                                  .stream = 1,
                                                  .from = 1000,
                                                  .on_data = grow,
                                                  .user_data = &followed};
    OK(f, sbx_job_output(f->box, job.id, &follow, NULL, &next, &f->error));
    CHECK(followed.len == len - 1000 && memcmp(want + 1000, followed.data, followed.len) == 0, "from 1000 otherwise");
    check_errors(&err);
    sbx_op_free(op);
    free(out.data);
    free(err.data);
    free(followed.data);
}

static void job_stdin(struct fixture *f)
{
    uint64_t next = 0;
    struct grown out = {NULL, 0};
    struct sbx_job job = start_job(f, "cat; echo over", SBX_RUN_KEEP_STDIN);
    for (int i = 0; i < 5; i++) {
        OK(f, sbx_job_feed(f->box, job.id, "a\0b\377", 4, 0, NULL, &f->error));
        pause_ms(20);
    }
    OK(f, sbx_job_feed(f->box, job.id, "last", 4, 1, NULL, &f->error));
    OK(f, sbx_job_feed(f->box, job.id, NULL, 0, 1, NULL, &f->error));
    CHECK(wait_job(f, job.id, 10000) == 0, "cat failed");
    const struct sbx_job_output_options all = {.size = sizeof all, .stream = 1, .on_data = grow, .user_data = &out};
    OK(f, sbx_job_output(f->box, job.id, &all, NULL, &next, &f->error));
    CHECK(out.len == 29 && memcmp(out.data + 16, "a\0b\377lastover\n", 13) == 0, "%zu bytes", out.len);
    WANT(f, sbx_job_feed(f->box, job.id, "x", 1, 0, NULL, &f->error), SBX_E_STATE);
    OK(f, sbx_job_feed(f->box, job.id, NULL, 0, 1, NULL, &f->error));
    free(out.data);
    /* Without one: it is at its end at once, and to write is an error. */
    job = start_job(f, "cat; sleep 30", 0);
    WANT(f, sbx_job_feed(f->box, job.id, "x", 1, 0, NULL, &f->error), SBX_E_STATE);
    OK(f, sbx_job_kill(f->box, job.id, NULL, &f->error));
    /* More than any buffer on the way, to a reader that takes its time. */
    static char large[300000];
    memset(large, 'x', sizeof large);
    job = start_job(f, "sleep 0.3; wc -c", SBX_RUN_KEEP_STDIN);
    OK(f, sbx_job_feed(f->box, job.id, large, sizeof large, 1, NULL, &f->error));
    CHECK(wait_job(f, job.id, 10000) == 0, "wc failed");
    out = (struct grown){NULL, 0};
    OK(f, sbx_job_output(f->box, job.id, &all, NULL, &next, &f->error));
    CHECK(out.len >= 7 && strtol(out.data, NULL, 10) == (long)sizeof large, "wc read '%.*s'", (int)out.len, out.data);
    free(out.data);
}

enum { COMMANDS = 12 };

static void shell_order(struct fixture *f)
{
    sbx_op *ops[COMMANDS];
    char line[COMMANDS][96];
    size_t len = 0;
    for (int i = 0; i < COMMANDS; i++) {
        struct sbx_exec_options options = SBX_INIT(options);
        snprintf(line[i], sizeof line[i],
                 "test ! -e /tmp/busy && : >/tmp/busy && N=${N}%x && sleep 0.02 && rm /tmp/busy", i);
        options.command = line[i];
        options.shell = "queue";
        options.flags = SBX_RUN_CAPTURE;
        OK(f, sbx_exec_start(f->box, &options, NULL, &ops[i], &f->error));
        pause_ms(5); /* each is asked for after the one before it */
    }
    for (int i = COMMANDS - 1; i >= 0; i--) {
        OK(f, sbx_op_finish(ops[i], &f->error));
        CHECK(sbx_op_exec_result(ops[i])->exit_code == 0, "command %d", i);
        sbx_op_free(ops[i]);
    }
    struct sbx_exec_options options = SBX_INIT(options);
    sbx_op *op = NULL;
    options.command = "printf %s \"$N\"";
    options.shell = "queue";
    OK(f, sbx_exec_capture(f->box, &options, NULL, &op, &f->error));
    const char *text = sbx_op_output(op, 1, &len);
    CHECK(len == COMMANDS && memcmp(text, "0123456789ab", len) == 0, "they ran as '%.*s'", (int)len, text);
    sbx_op_free(op);
}

static sbx_op *ask_shell(struct fixture *f, const char *line, int64_t deadline_ms)
{
    struct sbx_call_options call = {.size = sizeof call, .deadline_ms = deadline_ms};
    struct sbx_exec_options options = SBX_INIT(options);
    sbx_op *op = NULL;
    options.command = line;
    options.shell = "queue";
    options.flags = SBX_RUN_CAPTURE;
    OK(f, sbx_exec_start(f->box, &options, &call, &op, &f->error));
    return op;
}

/* Who gives up while it waits for its turn has run nothing, and holds up nobody. */
static void shell_queue_is_left(struct fixture *f)
{
    size_t len = 0;
    sbx_op *first = ask_shell(f, "sleep 4", 0);
    sbx_op *cancelled = ask_shell(f, "N=bad", 0);
    sbx_op *late = ask_shell(f, "N=bad", 200);
    sbx_op *last = ask_shell(f, "printf \"<$N>\"", 0);
    int64_t begin = clock_ms();
    sbx_op_cancel(cancelled);
    WANT(f, sbx_op_finish(cancelled, &f->error), SBX_E_CANCELLED);
    WANT(f, sbx_op_finish(late, &f->error), SBX_E_TIMEOUT);
    CHECK(clock_ms() - begin < 3000, "they waited for the first command");
    OK(f, sbx_op_finish(last, &f->error));
    OK(f, sbx_op_finish(first, &f->error));
    const char *text = sbx_op_output(last, 1, &len);
    CHECK(len == 2 && memcmp(text, "<>", 2) == 0, "a command that was given up ran: %.*s", (int)len, text);
    sbx_op_free(first);
    sbx_op_free(cancelled);
    sbx_op_free(late);
    sbx_op_free(last);
}

static void shell_names(struct fixture *f)
{
    char first[SBX_ID_SIZE], second[SBX_ID_SIZE];
    sbx_shell_name(first);
    sbx_shell_name(second);
    CHECK(strlen(first) == 24 && strcmp(first, second) != 0, "'%s' and '%s'", first, second);
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    options.command = "A=1";
    options.shell = first;
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    options.command = "test -z \"$A\"";
    options.shell = second;
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 0, "a fresh name gave an old shell");
    options.shell = first;
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 1, "the same name gave another shell");
    OK(f, sbx_shell_close(f->box, first, NULL, &f->error));
    WANT(f, sbx_shell_close(f->box, first, NULL, &f->error), SBX_E_NOT_FOUND);
    OK(f, sbx_shell_close(f->box, second, NULL, &f->error));
}

const struct lib_case lib_job_cases[] = {{"job_wait_many", job_wait_many},
                                         {"job_output_in_pieces", job_output_in_pieces},
                                         {"job_stdin", job_stdin},
                                         {"shell_order", shell_order},
                                         {"shell_queue_is_left", shell_queue_is_left},
                                         {"shell_names", shell_names},
                                         {NULL, NULL}};
