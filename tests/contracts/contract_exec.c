/* SPDX-License-Identifier: MIT
 *
 * Library cases about running a command: order of merged output, capture limits, exit codes, the three clocks.
 */
#include "tests/contracts/contract_lib.h"

static void merged_order(struct fixture *f)
{
    sbx_op *op = capture(f, "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done", SBX_RUN_MERGE, 0);
    const struct sbx_exec_result *result = sbx_op_exec_result(op);
    size_t len = 0, err_len = 0, at = 0;
    const char *out = sbx_op_output(op, 1, &len);
    sbx_op_output(op, 2, &err_len);
    CHECK(result->flags & SBX_MERGED, "flags %x", result->flags);
    CHECK(err_len == 0, "%zu bytes on the error stream", err_len);
    for (int i = 0; i < 500; i++) {
        char want[32];
        size_t n = (size_t)snprintf(want, sizeof want, "o%d\ne%d\n", i, i);
        CHECK(at + n <= len && memcmp(out + at, want, n) == 0, "out of order at line %d", i);
        at += n;
    }
    CHECK(at == len, "%zu bytes more", len - at);
    sbx_op_free(op);
}

static void every_exit_code(struct fixture *f)
{
    for (int code = 0; code < 256; code++) {
        char line[32];
        snprintf(line, sizeof line, "exit %d", code);
        sbx_op *op = capture(f, line, 0, 0);
        const struct sbx_exec_result *result = sbx_op_exec_result(op);
        CHECK(result->exit_code == code && (result->flags & SBX_EXITED), "%d came as %d, flags %x", code,
              result->exit_code, result->flags);
        CHECK(!(result->flags & (SBX_SIGNALLED | SBX_TIMED_OUT | SBX_NOT_STARTED)), "flags %x", result->flags);
        sbx_op_free(op);
    }
}

static void undecodable(struct fixture *f)
{
    static const char want[] = "\377\376\0\300\200\355\240\200\n\0";
    sbx_op *op = capture(f, "printf '\\377\\376\\000\\300\\200\\355\\240\\200\\n\\000'", 0, 0);
    size_t len = 0;
    const void *out = sbx_op_output(op, 1, &len);
    CHECK(len == 10 && memcmp(out, want, 10) == 0, "%zu bytes", len);
    CHECK(!(sbx_op_exec_result(op)->flags & SBX_TEXT_ONLY), "text only");
    sbx_op_free(op);
}

static void capture_500k(struct fixture *f)
{
    sbx_op *op = capture(f, "head -c 512000 /dev/zero", 0, 0);
    size_t len = 0;
    sbx_op_output(op, 1, &len);
    CHECK(len == 512000 && sbx_op_exec_result(op)->out_bytes == 512000, "%zu bytes", len);
    CHECK(!(sbx_op_exec_result(op)->flags & (SBX_STDOUT_TRUNCATED | SBX_STDERR_TRUNCATED | SBX_OUTPUT_INCOMPLETE)),
          "flags %x", sbx_op_exec_result(op)->flags);
    sbx_op_free(op);
}

static void capture_limits(struct fixture *f)
{
    const size_t ten = 10u << 20;
    size_t len = 0, err_len = 0;
    sbx_op *op = capture(f, "head -c 11000000 /dev/zero; echo small >&2; exit 7", 0, 0);
    const struct sbx_exec_result *result = sbx_op_exec_result(op);
    sbx_op_output(op, 1, &len);
    sbx_op_output(op, 2, &err_len);
    CHECK(len == ten && err_len == 6, "%zu and %zu bytes", len, err_len);
    CHECK(result->exit_code == 7, "exit code %d", result->exit_code);
    CHECK(result->out_bytes == 11000000, "%llu bytes counted", (unsigned long long)result->out_bytes);
    CHECK((result->flags & SBX_STDOUT_TRUNCATED) && !(result->flags & SBX_STDERR_TRUNCATED), "flags %x", result->flags);
    sbx_op_free(op);
    op = capture(f, "head -c 5000 /dev/zero; head -c 1001 /dev/zero >&2", 0, 1000);
    sbx_op_output(op, 1, &len);
    sbx_op_output(op, 2, &err_len);
    CHECK(len == 1000 && err_len == 1000, "%zu and %zu bytes", len, err_len);
    CHECK((sbx_op_exec_result(op)->flags & (SBX_STDOUT_TRUNCATED | SBX_STDERR_TRUNCATED)) ==
              (SBX_STDOUT_TRUNCATED | SBX_STDERR_TRUNCATED),
          "flags %x", sbx_op_exec_result(op)->flags);
    sbx_op_free(op);
    op = capture(f, "head -c 1000 /dev/zero", 0, 1000);
    CHECK(!(sbx_op_exec_result(op)->flags & SBX_STDOUT_TRUNCATED), "flagged though it fits exactly");
    sbx_op_free(op);
}

static void capture_ends(struct fixture *f)
{
    size_t len = 0;
    const char *line = "printf head; head -c 3000 /dev/zero | tr '\\0' m; printf tail";
    sbx_op *op = capture(f, line, 0, 100);
    const char *out = sbx_op_output(op, 1, &len);
    CHECK(len == 100 && memcmp(out, "headmmm", 7) == 0, "the beginning was not kept");
    CHECK(!(sbx_op_exec_result(op)->flags & SBX_TAIL_KEPT), "says that the tail was kept");
    sbx_op_free(op);
    op = capture(f, line, SBX_RUN_DISCARD_AFTER, 100);
    out = sbx_op_output(op, 1, &len);
    CHECK(len == 100 && memcmp(out + 93, "mmmtail", 7) == 0, "the end was not kept");
    CHECK((sbx_op_exec_result(op)->flags & (SBX_TAIL_KEPT | SBX_STDOUT_TRUNCATED)) ==
              (SBX_TAIL_KEPT | SBX_STDOUT_TRUNCATED),
          "flags %x", sbx_op_exec_result(op)->flags);
    CHECK(sbx_op_exec_result(op)->out_bytes == 3008, "%llu bytes counted",
          (unsigned long long)sbx_op_exec_result(op)->out_bytes);
    sbx_op_free(op);
}

static void no_input(struct fixture *f)
{
    int64_t begin = clock_ms();
    sbx_op *op = capture(f, "wc -c", 0, 0);
    size_t len = 0;
    const char *out = sbx_op_output(op, 1, &len);
    CHECK(len >= 1 && memchr(out, '0', len) != NULL, "stdin was not empty");
    CHECK(clock_ms() - begin < 5000, "it hung");
    sbx_op_free(op);
}

static void empty_input(struct fixture *f)
{
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    struct sbx_call_options call = SBX_INIT(call);
    options.command = "cat >/tmp/stdin; exit $?";
    options.input = "";
    options.input_len = 0;
    call.deadline_ms = 10000;
    OK(f, sbx_exec(f->box, &options, &call, &result, &f->error));
    CHECK(result.exit_code == 0, "exit code %d", result.exit_code);
    options.command = "exec cmp - /tmp/want";
    put_text(f, "/tmp/want", "in\n");
    options.input = "in\n";
    options.input_len = 3;
    OK(f, sbx_exec(f->box, &options, &call, &result, &f->error));
    CHECK(result.exit_code == 0, "exit code %d", result.exit_code);
}

/* The call's deadline is a verdict of its own; the command's limit is a result. */
static void call_deadline(struct fixture *f)
{
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    struct sbx_call_options call = SBX_INIT(call);
    int64_t begin = clock_ms();
    options.command = "sleep 30";
    call.deadline_ms = 400;
    WANT(f, sbx_exec(f->box, &options, &call, &result, &f->error), SBX_E_TIMEOUT);
    CHECK(clock_ms() - begin >= 390 && clock_ms() - begin < 4000, "took %d ms", (int)(clock_ms() - begin));
    begin = clock_ms();
    options.timeout_ms = 400;
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(clock_ms() - begin >= 390 && clock_ms() - begin < 4000, "took %d ms", (int)(clock_ms() - begin));
    CHECK(result.exit_code == 124 && (result.flags & SBX_TIMED_OUT), "exit code %d, flags %x", result.exit_code,
          result.flags);
    options.command = "exit 124";
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 124 && !(result.flags & SBX_TIMED_OUT) && (result.flags & SBX_EXITED),
          "a command's own 124 is taken for a time-out: flags %x", result.flags);
    options.timeout_ms = -5;
    WANT(f, sbx_exec(f->box, &options, NULL, &result, &f->error), SBX_E_INVALID);
}

static void codes(struct fixture *f)
{
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    const char *none[] = {"/no/such/program", NULL}, *denied[] = {"/etc/passwd", NULL};
    options.argv = none;
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 127 && (result.flags & SBX_NOT_STARTED), "%d, %x", result.exit_code, result.flags);
    options.argv = denied;
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 126 && (result.flags & SBX_NOT_STARTED), "%d, %x", result.exit_code, result.flags);
    options.argv = NULL;
    options.command = "echo '/etc/passwd: permission denied' >&2; exit 126";
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 126 && !(result.flags & SBX_NOT_STARTED), "%d, %x", result.exit_code, result.flags);
    options.command = "kill -9 $$";
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 137 && result.term_signal == 9 && (result.flags & SBX_SIGNALLED), "%d, signal %d, %x",
          result.exit_code, result.term_signal, result.flags);
    CHECK(!(result.flags & SBX_OUT_OF_MEMORY), "a plain SIGKILL is no shortage of memory");
    options.command = "true";
    options.cwd = "/no/such/directory";
    WANT(f, sbx_exec(f->box, &options, NULL, &result, &f->error), SBX_E_NOT_FOUND);
    CHECK(strstr(f->error.message, "/no/such/directory") != NULL, "'%s' does not name it", f->error.message);
}

const struct lib_case lib_exec_cases[] = {{"merged_order", merged_order},
                                          {"every_exit_code", every_exit_code},
                                          {"undecodable", undecodable},
                                          {"capture_500k", capture_500k},
                                          {"capture_limits", capture_limits},
                                          {"capture_ends", capture_ends},
                                          {"no_input", no_input},
                                          {"empty_input", empty_input},
                                          {"call_deadline", call_deadline},
                                          {"codes", codes},
                                          {NULL, NULL}};
