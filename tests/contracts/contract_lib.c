/* SPDX-License-Identifier: MIT
 *
 * contract_lib: behaviour that only a program linked with libsbx can see.
 *
 *   contract_lib CASE [ID [WORD...]]     ID: the sandbox to use; without it the case gets one of its own
 */
#include "tests/contracts/contract_lib.h"
#include <time.h>

void want_status(const struct fixture *f, sbx_status got, sbx_status want, const char *what)
{
    if (got == want)
        return;
    fprintf(stderr, "%s: %s instead of %s (%s)\n", what, sbx_status_name(got), sbx_status_name(want),
            got == SBX_OK ? "" : f->error.message);
    exit(1);
}

int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void pause_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

sbx_sandbox *make_box(struct fixture *f)
{
    struct sbx_create_options options = SBX_INIT(options);
    sbx_sandbox *box = NULL;
    const char *image = getenv("SBX_TEST_IMAGE");
    options.provider = f->provider;
    options.image = image != NULL && *image != '\0' ? image : NULL;
    OK(f, sbx_create(f->ctx, &options, NULL, &box, &f->error));
    CHECK(box != NULL && sbx_id(box) != NULL && *sbx_id(box) != '\0', "no sandbox");
    return box;
}

sbx_op *capture(struct fixture *f, const char *line, uint32_t flags, uint64_t max_output)
{
    struct sbx_exec_options options = SBX_INIT(options);
    sbx_op *op = NULL;
    options.command = line;
    options.flags = flags | SBX_RUN_CAPTURE;
    options.max_output = max_output;
    OK(f, sbx_exec_capture(f->box, &options, NULL, &op, &f->error));
    CHECK(op != NULL && sbx_op_exec_result(op) != NULL, "no result");
    return op;
}

void shell(struct fixture *f, const char *line)
{
    sbx_op *op = capture(f, line, 0, 0);
    size_t len = 0;
    const char *err = sbx_op_output(op, 2, &len);
    CHECK(sbx_op_exec_result(op)->exit_code == 0, "'%s' exits %d: %.*s", line, sbx_op_exec_result(op)->exit_code,
          (int)len, err == NULL ? "" : err);
    sbx_op_free(op);
}

void put_text(struct fixture *f, const char *path, const char *text)
{
    struct sbx_transfer_options how = SBX_INIT(how);
    how.flags = SBX_WRITE_PARENTS;
    how.data = text;
    how.data_len = strlen(text);
    OK(f, sbx_write_file(f->box, path, &how, NULL, &f->error));
}

static const struct lib_case *find_case(const char *name)
{
    const struct lib_case *const tables[] = {lib_exec_cases, lib_file_cases,     lib_job_cases,
                                             lib_life_cases, lib_parallel_cases, lib_tool_cases};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct lib_case *c = tables[i]; c->name != NULL; c++)
            if (strcmp(c->name, name) == 0)
                return c;
    return NULL;
}

static void log_line(void *user, int32_t level, const char *where, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "log: %s: %s\n", where == NULL ? "" : where, message);
}

int main(int argc, char **argv)
{
    struct fixture f = {.error = SBX_INIT(f.error)};
    struct sbx_open_options open = SBX_INIT(open);
    const struct lib_case *c = argc < 2 ? NULL : find_case(argv[1]);
    if (c == NULL) {
        fprintf(stderr, "usage: contract_lib CASE [ID [WORD...]]\n");
        return 2;
    }
    f.provider = getenv("SBX_TEST_PROVIDER");
    f.provider = f.provider == NULL || *f.provider == '\0' ? "local" : f.provider;
    f.argc = argc > 3 ? argc - 3 : 0;
    f.argv = argv + (argc > 3 ? 3 : argc);
    open.log = log_line;
    open.flags |= SBX_OPEN_LOG_LEVEL;
    open.log_level = SBX_LOG_WARN;
    OK(&f, sbx_open(&open, &f.ctx, &f.error));
    if (argc > 2)
        OK(&f, sbx_attach(f.ctx, argv[2], NULL, &f.box, &f.error));
    else
        f.box = make_box(&f);
    c->run(&f);
    if (argc <= 2 && f.box != NULL)
        OK(&f, sbx_remove(f.box, NULL, &f.error));
    sbx_release(f.box);
    sbx_close(f.ctx);
    return 0;
}
