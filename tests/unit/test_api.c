/* SPDX-License-Identifier: MIT
 *
 * test_api.c - commands through libsbx, on the caller's thread.
 */
#include "direct.h"

#include <errno.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* --- capture ---------------------------------------------------------------------------------------------------- */

struct kept {
    sbx_op *op;
    const char *out;
    const char *err;
    size_t out_len;
    size_t err_len;
    const struct sbx_exec_result *result;
};

static struct kept capture(struct place *p, const struct sbx_exec_options *options)
{
    struct kept k = {.op = NULL};
    if (sbx_exec_capture(p->box, options, NULL, &k.op, &p->error) != SBX_OK)
        fail_msg("exec: %s", p->error.message);
    k.out = sbx_op_output(k.op, 1, &k.out_len);
    k.err = sbx_op_output(k.op, 2, &k.err_len);
    k.result = sbx_op_exec_result(k.op);
    return k;
}

static void capture_keeps_streams_apart_byte_for_byte(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options,
                                             .command = "printf 'a\\000\\377\\r'; printf 'e\\n' >&2; exit 9"};
    struct kept k = capture(&p, &options);
    assert_int_equal(k.out_len, 4);
    assert_memory_equal(k.out, "a\0\xff\r", 4);
    assert_int_equal(k.err_len, 2);
    assert_memory_equal(k.err, "e\n", 2);
    assert_int_equal(k.result->exit_code, 9);
    assert_int_equal(k.result->flags, SBX_EXITED);
    sbx_op_free(k.op);
    place_close(&p);
}

static void capture_over_its_limit_keeps_the_head_and_counts(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {
        .size = sizeof options, .command = "seq 1 100000; echo small >&2", .max_output = 10};
    struct kept k = capture(&p, &options);
    assert_int_equal(k.out_len, 10);
    assert_memory_equal(k.out, "1\n2\n3\n4\n5\n", 10);
    assert_int_equal(k.result->flags, SBX_EXITED | SBX_STDOUT_TRUNCATED);
    assert_int_equal(k.result->out_bytes, 588895);
    assert_int_equal(k.err_len, 6);
    assert_int_equal(k.result->exit_code, 0);
    sbx_op_free(k.op);
    place_close(&p);
}

static void capture_can_keep_the_tail(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    for (uint64_t max = 1; max < 40; max++) {
        char expected[64];
        const struct sbx_exec_options options = {.size = sizeof options,
                                                 .flags = SBX_RUN_CAPTURE | SBX_RUN_DISCARD_AFTER,
                                                 .command = "for i in 1 2 3 4 5 6 7; do printf 0123456789; done",
                                                 .max_output = max};
        struct kept k = capture(&p, &options);
        (void)snprintf(expected, sizeof expected, "01234567890123456789012345678901234567890123456789");
        assert_int_equal(k.out_len, max);
        assert_memory_equal(k.out, expected + 50 - max, max);
        assert_int_equal(k.result->flags, SBX_EXITED | SBX_STDOUT_TRUNCATED | SBX_TAIL_KEPT);
        assert_int_equal(k.result->out_bytes, 70);
        sbx_op_free(k.op);
    }
    place_close(&p);
}

static void capture_of_exactly_the_limit_is_whole(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "printf 12345", .max_output = 5};
    struct kept k = capture(&p, &options);
    assert_int_equal(k.out_len, 5);
    assert_int_equal(k.result->flags, SBX_EXITED);
    sbx_op_free(k.op);
    place_close(&p);
}

static void capture_sets_the_operation_on_failure_too(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    struct sbx_error again = SBX_INIT(again);
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "echo before; sleep 20"};
    const struct sbx_call_options call = {.size = sizeof call, .deadline_ms = 300};
    size_t len = 0;
    assert_int_equal(sbx_exec_capture(p.box, &options, &call, &op, &p.error), SBX_E_TIMEOUT);
    assert_memory_equal(sbx_op_output(op, 1, &len), "before\n", 7);
    assert_int_equal(sbx_op_finish(op, &again), SBX_E_TIMEOUT);
    assert_string_equal(again.message, p.error.message);
    sbx_op_free(op);
    place_close(&p);
}

/* --- results ---------------------------------------------------------------------------------------------------- */

static void command_over_its_own_limit_is_a_result(void **state)
{
    (void)state;
    struct place p;
    struct sbx_exec_result result = SBX_INIT(result);
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "sleep 20", .timeout_ms = 100};
    assert_int_equal(sbx_exec(p.box, &options, NULL, &result, &p.error), SBX_OK);
    assert_int_equal(result.exit_code, 124);
    assert_true((result.flags & SBX_TIMED_OUT) != 0);
    place_close(&p);
}

static void death_by_signal_and_missing_programs_are_results(void **state)
{
    (void)state;
    struct place p;
    struct sbx_exec_result result = SBX_INIT(result);
    static const char *const missing[] = {"/no/such/program", NULL};
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options killed = {.size = sizeof killed, .command = "kill -TERM $$"};
    assert_int_equal(sbx_exec(p.box, &killed, NULL, &result, &p.error), SBX_OK);
    assert_int_equal(result.exit_code, 143);
    assert_int_equal(result.flags, SBX_SIGNALLED);
    const struct sbx_exec_options absent = {.size = sizeof absent, .argv = missing};
    assert_int_equal(sbx_exec(p.box, &absent, NULL, &result, &p.error), SBX_OK);
    assert_int_equal(result.exit_code, 127);
    assert_true((result.flags & SBX_NOT_STARTED) != 0);
    place_close(&p);
}

static void bad_exec_options_are_refused(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    static const char *const some[] = {"true", NULL};
    static const struct sbx_kv odd = {"A=B", "x"};
    const struct {
        struct sbx_exec_options options;
        sbx_status code;
    } table[] = {{{.command = NULL}, SBX_E_INVALID},
                 {{.command = "x", .argv = some}, SBX_E_INVALID},
                 {{.argv = none}, SBX_E_INVALID},
                 {{.command = "x", .timeout_ms = -1}, SBX_E_INVALID},
                 {{.command = "x", .timeout_ms = (int64_t)1 << 40}, SBX_E_INVALID},
                 {{.command = "x", .timeout_ms = 5, .flags = SBX_RUN_NO_TIMEOUT}, SBX_E_INVALID},
                 {{.command = "x", .flags = 1u << 30}, SBX_E_UNSUPPORTED},
                 {{.command = "x", .flags = SBX_RUN_CAPTURE}, SBX_E_INVALID},
                 {{.command = "x", .flags = SBX_RUN_DISCARD_AFTER}, SBX_E_INVALID},
                 {{.command = "x", .flags = SBX_RUN_OUT_FD, .out_fd = -1}, SBX_E_INVALID},
                 {{.command = "x", .flags = SBX_RUN_IN_FD, .input = "x", .input_len = 1}, SBX_E_INVALID},
                 {{.command = "x", .input_len = 1}, SBX_E_INVALID},
                 {{.command = "x", .user = ""}, SBX_E_INVALID},
                 {{.command = "x", .envs = {&odd, 1}}, SBX_E_INVALID}};
    struct place p;
    place_open(&p, "direct", NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sbx_exec_options options = table[i].options;
        options.size = sizeof options;
        p.error.message[0] = '\0';
        if (sbx_exec(p.box, &options, NULL, NULL, &p.error) != table[i].code)
            fail_msg("case %zu: %s", i, p.error.message);
        unit_assert_contains(p.error.message, "exec");
    }
    assert_int_equal(sbx_exec(p.box, NULL, NULL, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_exec(NULL, NULL, NULL, NULL, NULL), SBX_E_INVALID);
    place_close(&p);
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

static void input_of_every_kind_arrives(void **state)
{
    (void)state;
    struct place p;
    char path[96];
    int ends[2];
    place_open(&p, "direct", NULL);
    struct sbx_exec_options options = {.size = sizeof options, .command = "cat", .input = "in\0put", .input_len = 6};
    struct kept k = capture(&p, &options);
    assert_int_equal(k.out_len, 6);
    assert_memory_equal(k.out, "in\0put", 6);
    sbx_op_free(k.op);
    options = (struct sbx_exec_options){.size = sizeof options, .command = "cat"};
    k = capture(&p, &options);
    assert_int_equal(k.out_len, 0);
    sbx_op_free(k.op);
    (void)snprintf(path, sizeof path, "%s/input", p.top);
    unit_write(path, "from a file", 11, 0600);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    options = (struct sbx_exec_options){.size = sizeof options, .flags = SBX_RUN_IN_FD, .command = "cat", .in_fd = fd};
    k = capture(&p, &options);
    assert_int_equal(k.out_len, 11);
    sbx_op_free(k.op);
    close(fd);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "through a pipe", 14), 14);
    close(ends[1]);
    options.in_fd = ends[0];
    k = capture(&p, &options);
    assert_int_equal(k.out_len, 14);
    assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    sbx_op_free(k.op);
    close(ends[0]);
    place_close(&p);
}

static void command_that_ignores_its_input_does_not_hang(void **state)
{
    (void)state;
    struct place p;
    int ends[2];
    place_open(&p, "direct", NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const struct sbx_exec_options options = {
        .size = sizeof options, .flags = SBX_RUN_IN_FD, .command = "exit 4", .in_fd = ends[0]};
    struct kept k = capture(&p, &options);
    assert_int_equal(k.result->exit_code, 4);
    sbx_op_free(k.op);
    close(ends[0]);
    close(ends[1]);
    place_close(&p);
}

static void *read_slowly(void *user)
{
    const int *ends = user;
    char data[65536];
    size_t total = 0;
    for (ssize_t got; (got = read(ends[0], data, sizeof data)) > 0;) {
        total += (size_t)got;
        (void)poll(NULL, 0, 1);
    }
    return (void *)(uintptr_t)total;
}

static void output_to_descriptors_is_whole_whatever_their_mode(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct place p;
        int ends[2];
        pthread_t reader;
        void *total = NULL;
        struct sbx_exec_result result = SBX_INIT(result);
        place_open(&p, "direct", NULL);
        if (kind < 2)
            assert_int_equal(pipe2(ends, O_CLOEXEC | (kind == 1 ? O_NONBLOCK : 0)), 0);
        else
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (kind == 3 ? SOCK_NONBLOCK : 0), 0, ends),
                             0);
        (void)fcntl(ends[0], F_SETFL, 0);
        assert_int_equal(pthread_create(&reader, NULL, read_slowly, ends), 0);
        const struct sbx_exec_options options = {
            .size = sizeof options, .flags = SBX_RUN_OUT_FD, .command = "head -c 3000000 /dev/zero", .out_fd = ends[1]};
        assert_int_equal(sbx_exec(p.box, &options, NULL, &result, &p.error), SBX_OK);
        close(ends[1]);
        assert_int_equal(pthread_join(reader, &total), 0);
        assert_int_equal((uintptr_t)total, 3000000);
        close(ends[0]);
        place_close(&p);
    }
}

static void closed_output_ends_the_call_without_a_signal(void **state)
{
    (void)state;
    struct place p;
    int ends[2];
    place_open(&p, "direct", NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    (void)signal(SIGPIPE, SIG_DFL);
    const struct sbx_exec_options options = {
        .size = sizeof options, .flags = SBX_RUN_OUT_FD, .command = "yes", .out_fd = ends[1]};
    assert_int_equal(sbx_exec(p.box, &options, NULL, NULL, &p.error), SBX_E_STOPPED);
    assert_int_equal(p.error.os_errno, EPIPE);
    unit_assert_contains(p.error.message, "output: Broken pipe");
    sigset_t pending;
    (void)sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    close(ends[1]);
    place_close(&p);
}

static void deadline_ends_a_write_that_nobody_reads(void **state)
{
    (void)state;
    struct place p;
    int ends[2];
    place_open(&p, "direct", NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const struct sbx_exec_options options = {
        .size = sizeof options, .flags = SBX_RUN_OUT_FD, .command = "yes", .out_fd = ends[1]};
    const struct sbx_call_options call = {.size = sizeof call, .deadline_ms = 200};
    assert_int_equal(sbx_exec(p.box, &options, &call, NULL, &p.error), SBX_E_TIMEOUT);
    close(ends[0]);
    close(ends[1]);
    place_close(&p);
}

static int32_t add_order(void *user, int stream, const void *data, size_t len)
{
    char *text = user;
    size_t have = strlen(text);
    (void)stream;
    (void)snprintf(text + have, 200 - have, "%.*s", (int)len, (const char *)data);
    return 0;
}

static void merged_output_keeps_its_order(void **state)
{
    (void)state;
    struct place p;
    char text[200] = "";
    struct sbx_exec_result result = SBX_INIT(result);
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options,
                                             .flags = SBX_RUN_MERGE,
                                             .command = "echo 1; echo 2 >&2; echo 3; echo 4 >&2",
                                             .user_data = text,
                                             .on_output = add_order};
    assert_int_equal(sbx_exec(p.box, &options, NULL, &result, &p.error), SBX_OK);
    assert_string_equal(text, "1\n2\n3\n4\n");
    assert_true((result.flags & SBX_MERGED) != 0);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(capture_keeps_streams_apart_byte_for_byte),
    UNIT(capture_over_its_limit_keeps_the_head_and_counts),
    UNIT(capture_can_keep_the_tail),
    UNIT(capture_of_exactly_the_limit_is_whole),
    UNIT(capture_sets_the_operation_on_failure_too),
    UNIT(command_over_its_own_limit_is_a_result),
    UNIT(death_by_signal_and_missing_programs_are_results),
    UNIT(bad_exec_options_are_refused),
    UNIT(input_of_every_kind_arrives),
    UNIT(command_that_ignores_its_input_does_not_hang),
    UNIT(output_to_descriptors_is_whole_whatever_their_mode),
    UNIT(closed_output_ends_the_call_without_a_signal),
    UNIT(deadline_ends_a_write_that_nobody_reads),
    UNIT(merged_output_keeps_its_order),
};
UNIT_MAIN(tests)
