/* SPDX-License-Identifier: MIT
 *
 * many_runs.c - many commands at once in each of many sandboxes, from one process: many_runs COUNT ID... The answer of
 * each must be its own.
 */
#include "sbx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 1000 };

static int failed(const char *what, const struct sbx_error *error)
{
    (void)fprintf(stderr, "many_runs: %s: %s\n", what, error->message);
    return 1;
}

static int finish_run(sbx_op *op, int number)
{
    struct sbx_error error = SBX_INIT(error);
    char wanted[64];
    size_t len = 0;
    sbx_status status = sbx_op_finish(op, &error);
    if (status != SBX_OK)
        return failed("a run", &error);
    (void)snprintf(wanted, sizeof wanted, "run %d\n", number);
    const char *out = sbx_op_output(op, 1, &len);
    if (len != strlen(wanted) || memcmp(out, wanted, len) != 0 || sbx_op_exec_result(op)->exit_code != number % 100) {
        (void)fprintf(stderr, "many_runs: run %d answers '%.*s', %d\n", number, (int)len, out,
                      sbx_op_exec_result(op)->exit_code);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static sbx_op *ops[RUNS_MAX];
    static sbx_sandbox *boxes[RUNS_MAX];
    struct sbx_error error = SBX_INIT(error);
    sbx_context *ctx = NULL;
    int each = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0, count = argc - 2, bad = 0;
    if (each <= 0 || each * count > RUNS_MAX)
        return 2;
    if (sbx_open(NULL, &ctx, &error) != SBX_OK)
        return failed("open", &error);
    for (int i = 0; i < count; i++)
        if (sbx_attach(ctx, argv[i + 2], NULL, &boxes[i], &error) != SBX_OK)
            return failed(argv[i + 2], &error);
    for (int n = 0; n < each * count; n++) {
        struct sbx_exec_options options = SBX_INIT(options);
        char command[128];
        (void)snprintf(command, sizeof command, "sleep 0.%d; echo run %d; exit %d", n % 10, n, n % 100);
        options.command = command;
        options.flags = SBX_RUN_CAPTURE;
        if (sbx_exec_start(boxes[n % count], &options, NULL, &ops[n], &error) != SBX_OK)
            return failed("start", &error);
    }
    for (int n = 0; n < each * count; n++)
        bad |= finish_run(ops[n], n);
    for (int n = 0; n < each * count; n++)
        sbx_op_free(ops[n]);
    for (int i = 0; i < count; i++)
        sbx_release(boxes[i]);
    sbx_close(ctx);
    return bad;
}
