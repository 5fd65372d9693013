/* SPDX-License-Identifier: MIT
 *
 * test_exec.c - guest_exec against a guest that does as it should: what is asked, what comes back.
 */
#include "tests/common/runner.h"

#include "tests/common/run.h"

static const char *const argv_true[] = {"true", NULL};

/* --- what comes back ---------------------------------------------------------------------------------------- */
static void bytes_script(struct fake_conn *c, void *user)
{
    (void)user;
    if (fake_request(c) != 0)
        return;
    fake_frame(c, FRAME_STARTED, 0, 0, NULL, 0);
    fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "a\0b\xff\r\n", 6);
    fake_frame(c, FRAME_DATA, 0, STREAM_ERR, "\x80\0", 2);
    fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "end", 3);
    fake_frame(c, FRAME_DATA, FLAG_EOF, STREAM_OUT, NULL, 0);
    fake_frame(c, FRAME_DATA, FLAG_EOF, STREAM_ERR, NULL, 0);
    fake_exited(c, 7);
}

static void exec_keeps_nul_and_high_bytes_and_streams_apart(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    assert_int_equal(run_once(&run, bytes_script, NULL), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED);
    assert_int_equal(run.result.exit_code, 7);
    assert_int_equal(run.out.data.len, 9);
    assert_memory_equal(run.out.data.data, "a\0b\xff\r\nend", 9);
    assert_int_equal(run.err.data.len, 2);
    assert_memory_equal(run.err.data.data, "\x80\0", 2);
    assert_int_equal(run.result.out_bytes, 9);
    assert_int_equal(run.result.err_bytes, 2);
    assert_int_equal(run.error.code, 0);
}

static void exec_without_sinks_counts(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    run.args.out = run.args.err = NULL;
    assert_int_equal(run_once(&run, bytes_script, NULL), SBX_OK);
    assert_int_equal(run.result.out_bytes, 9);
    assert_int_equal(run.result.err_bytes, 2);
}

static void exec_over_max_output_is_counted_and_flagged(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    run.args.max_output = 7;
    assert_int_equal(run_once(&run, bytes_script, NULL), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED | SBX_STDOUT_TRUNCATED);
    assert_int_equal(run.result.exit_code, 7);
    assert_int_equal(run.out.data.len, 7);
    assert_int_equal(run.result.out_bytes, 9);
}

static void exec_of_exactly_max_output_is_not_flagged(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    run.args.max_output = 9;
    assert_int_equal(run_once(&run, bytes_script, NULL), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED);
    assert_int_equal(run.out.data.len, 9);
}

/* An END of a command, field by field. */
struct ending {
    uint64_t result;
    uint64_t exit_code;
    uint64_t term_signal;
    uint64_t out_bytes;
};

static void ending_script(struct fake_conn *c, void *user)
{
    const struct ending *ending = user;
    if (fake_request(c) != 0)
        return;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_STATUS, 0);
    fields_number(&b, F_RESULT, ending->result);
    fields_number(&b, F_EXIT_CODE, ending->exit_code);
    fields_number(&b, F_TERM_SIGNAL, ending->term_signal);
    fields_number(&b, F_OUT_BYTES, ending->out_bytes);
    fields_number(&b, F_ERR_BYTES, 0);
    fields_bytes(&b, (enum wire_field)999, "future", 6);
    fake_frame(c, FRAME_END, 0, 0, b.data, b.len);
}

static void exec_results_are_checked_and_put_in_order(void **state)
{
    (void)state;
    static const struct {
        struct ending ending;
        uint32_t timeout_ms;
        sbx_status status;
        uint32_t flags;
        int32_t exit_code;
        int32_t term_signal;
    } cases[] = {
        {{SBX_EXITED, 0, 0, 0}, 0, SBX_OK, SBX_EXITED, 0, 0},
        {{SBX_EXITED, 255, 0, 0}, 0, SBX_OK, SBX_EXITED, 255, 0},
        {{SBX_EXITED, 256, 0, 0}, 0, SBX_OK, SBX_EXITED, 255, 0},
        {{SBX_EXITED, UINT64_MAX, 0, 0}, 0, SBX_OK, SBX_EXITED, 255, 0},
        {{SBX_EXITED, 124, 0, 0}, 60000, SBX_OK, SBX_EXITED, 124, 0},
        {{SBX_SIGNALLED, 0, 15, 0}, 60000, SBX_OK, SBX_SIGNALLED, 143, 15},
        {{SBX_SIGNALLED, 5, 9, 0}, 0, SBX_OK, SBX_SIGNALLED, 137, 9},
        {{SBX_TIMED_OUT, 0, 9, 0}, 60000, SBX_OK, SBX_TIMED_OUT, 124, 0},
        {{SBX_TIMED_OUT | SBX_SIGNALLED, 0, 9, 0}, 60000, SBX_OK, SBX_TIMED_OUT, 124, 0},
        {{SBX_EXITED | SBX_NOT_STARTED, 127, 0, 0}, 0, SBX_OK, SBX_EXITED | SBX_NOT_STARTED, 127, 0},
        {{SBX_EXITED | SBX_NOT_STARTED, 126, 0, 0}, 0, SBX_OK, SBX_EXITED | SBX_NOT_STARTED, 126, 0},
        {{SBX_EXITED | SBX_OUTPUT_INCOMPLETE, 0, 0, 0}, 0, SBX_OK, SBX_EXITED | SBX_OUTPUT_INCOMPLETE, 0, 0},
        {{SBX_EXITED, 0, 0, 5}, 0, SBX_OK, SBX_EXITED | SBX_OUTPUT_INCOMPLETE, 0, 0},
        {{SBX_EXITED | 0xfffff000u | SBX_TAIL_KEPT | SBX_TEXT_ONLY | SBX_MERGED | SBX_STDOUT_TRUNCATED, 3, 0, 0},
         0,
         SBX_OK,
         SBX_EXITED,
         3,
         0},
        {{0, 0, 0, 0}, 0, SBX_E_UNKNOWN, 0, 0, 0},
        {{SBX_TIMED_OUT, 0, 9, 0}, 0, SBX_E_UNKNOWN, 0, 0, 0},
        {{SBX_SIGNALLED, 0, 0, 0}, 0, SBX_E_UNKNOWN, 0, 0, 0},
        {{SBX_SIGNALLED | SBX_EXITED, 0, 9, 0}, 0, SBX_E_UNKNOWN, 0, 0, 0},
        {{SBX_EXITED | SBX_NOT_STARTED, 0, 0, 0}, 0, SBX_E_UNKNOWN, 0, 0, 0},
        {{SBX_SIGNALLED, 0, 65, 0}, 0, SBX_E_PROTOCOL, 0, 0, 0},
        {{SBX_EXITED, 0, 0, UINT64_MAX}, 0, SBX_E_PROTOCOL, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        RUN run;
        run_init(&run);
        run.args.timeout_ms = cases[i].timeout_ms;
        struct ending ending = cases[i].ending;
        assert_int_equal(run_once(&run, ending_script, &ending), cases[i].status);
        assert_int_equal(run.result.flags, cases[i].flags);
        assert_int_equal(run.result.exit_code, cases[i].exit_code);
        assert_int_equal(run.result.term_signal, cases[i].term_signal);
        assert_int_equal(run.error.code, cases[i].status);
    }
}

/* --- failures that the guest reports ------------------------------------------------------------------------ */
struct refusal {
    int64_t status;
    const char *message;
};

static void refusal_script(struct fake_conn *c, void *user)
{
    const struct refusal *refusal = user;
    if (fake_request(c) != 0)
        return;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 100000);
    fields_number(&b, F_STATUS, (uint64_t)refusal->status);
    fields_number(&b, F_ERRNO, 2);
    fields_bytes(&b, F_MESSAGE, refusal->message, strlen(refusal->message));
    fake_frame(c, FRAME_END, 0, 0, b.data, b.len);
}

static void exec_failures_are_named_and_cleaned(void **state)
{
    (void)state;
    static const struct {
        struct refusal refusal;
        sbx_status status;
        const char *message;
    } cases[] = {
        {{SBX_E_NOT_FOUND, "exec: no such directory '/x'"}, SBX_E_NOT_FOUND, "exec: no such directory '/x'"},
        {{SBX_E_NOT_FOUND, "no such directory '/x'"}, SBX_E_NOT_FOUND, "exec: no such directory '/x'"},
        {{SBX_E_INVALID, "a\nb\x1b]0;title\x07"}, SBX_E_INVALID, "exec: a?b?]0;title?"},
        {{SBX_E_PERMISSION, ""}, SBX_E_PERMISSION, "exec: the guest answered with code -6"},
        {{SBX_E_GONE, "believe me"}, SBX_E_FAILED, "exec: believe me"},
        {{SBX_E_AUTH, "believe me"}, SBX_E_FAILED, "exec: believe me"},
        {{SBX_E_TIMEOUT, "believe me"}, SBX_E_FAILED, "exec: believe me"},
        {{SBX_E_CANCELLED, "believe me"}, SBX_E_FAILED, "exec: believe me"},
        {{-100000, "future"}, SBX_E_FAILED, "exec: future"},
        {{INT64_MIN, "future"}, SBX_E_FAILED, "exec: future"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        RUN run;
        run_init(&run);
        struct refusal refusal = cases[i].refusal;
        assert_int_equal(run_once(&run, refusal_script, &refusal), cases[i].status);
        assert_string_equal(run.error.message, cases[i].message);
        assert_int_equal(run.error.code, cases[i].status);
        assert_int_equal(run.error.os_errno, 2);
        assert_int_equal(run.result.flags, 0);
    }
}

/* --- what is asked ------------------------------------------------------------------------------------------ */
struct asked {
    char args[4][64];
    char envs[4][64];
    char cwd[64];
    char user[64];
    uint64_t flags;
    int has_limit;
    uint64_t limit_ms;
};

static void asked_script(struct fake_conn *c, void *user)
{
    struct asked *asked = user;
    while (fake_request(c) == 0) {
        for (int i = 0; i < 4; i++) {
            fake_text(c, F_ARG, i, asked->args[i], sizeof asked->args[i]);
            fake_text(c, F_ENV, i, asked->envs[i], sizeof asked->envs[i]);
        }
        fake_text(c, F_CWD, 0, asked->cwd, sizeof asked->cwd);
        fake_text(c, F_USER, 0, asked->user, sizeof asked->user);
        asked->flags = fake_number(c, F_FLAGS);
        asked->has_limit = fake_has(c, F_TIMEOUT_MS);
        asked->limit_ms = asked->has_limit ? fake_number(c, F_TIMEOUT_MS) : 0;
        fake_exited(c, 0);
    }
}

static void exec_asks_for_argv_env_cwd_user_and_limit(void **state)
{
    (void)state;
    static const char *const argv[] = {"prog", "", "a b", NULL};
    struct sbx_kv made[] = {{"A", "1"}, {"B", "made"}}, own[] = {{"B", "own=2\n"}};
    struct sbx_kvs envs = {made, 2};
    struct guest_link_options options = {.default_user = "sandbox", .workdir = "/workspace", .envs = &envs};
    struct asked asked;
    struct fake_guest fake;
    fake_start(&fake, asked_script, &asked, &options);
    RUN run;
    run_init(&run);
    run.args.argv = argv;
    run.args.envs = (struct sbx_kvs){own, 1};
    run.args.cwd = "sub/dir";
    run.args.timeout_ms = 1500;
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_string_equal(asked.args[0], "prog");
    assert_string_equal(asked.args[1], "");
    assert_string_equal(asked.args[2], "a b");
    assert_string_equal(asked.args[3], "(none)");
    assert_string_equal(asked.envs[0], "A=1");
    assert_string_equal(asked.envs[1], "B=made");
    assert_string_equal(asked.envs[2], "B=own=2\n");
    assert_string_equal(asked.cwd, "/workspace/sub/dir");
    assert_string_equal(asked.user, "sandbox");
    assert_int_equal(asked.limit_ms, 1500);
    assert_int_equal(asked.flags, EXEC_NO_STDIN);
    run.args.cwd = "/abs";
    run.args.user = "root";
    run.args.flags = SBX_EXEC_MERGE_STDERR;
    run.args.timeout_ms = 0;
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_string_equal(asked.cwd, "/abs");
    assert_string_equal(asked.user, "root");
    assert_int_equal(asked.flags, EXEC_NO_STDIN | EXEC_MERGE);
    assert_int_equal(asked.has_limit, 0);
    assert_int_equal(run.result.flags, SBX_EXITED | SBX_MERGED);
    run.args.cwd = NULL;
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_string_equal(asked.cwd, "/workspace");
    fake_stop(&fake);
}

static void exec_of_a_line_is_one_argument_of_sh(void **state)
{
    (void)state;
    struct asked asked;
    RUN run;
    run_init(&run);
    run.args.argv = NULL;
    run.args.command = "echo \"$(true)\" | `cat`";
    assert_int_equal(run_once(&run, asked_script, &asked), SBX_OK);
    assert_string_equal(asked.args[0], "/bin/sh");
    assert_string_equal(asked.args[1], "-c");
    assert_string_equal(asked.args[2], "echo \"$(true)\" | `cat`");
    assert_string_equal(asked.args[3], "(none)");
    assert_string_equal(asked.cwd, "(none)");
    assert_string_equal(asked.user, "(none)");
}

static void exec_takes_the_default_limit_unless_told_not_to(void **state)
{
    (void)state;
    struct asked asked;
    struct fake_guest fake;
    fake_start(&fake, asked_script, &asked, NULL);
    RUN run;
    run_init(&run);
    assert_int_equal(guest_exec(fake.link, &run.call, &run.args, 9000, &run.result), SBX_OK);
    assert_int_equal(asked.limit_ms, 9000);
    run.args.flags = SBX_EXEC_NO_TIMEOUT;
    assert_int_equal(guest_exec(fake.link, &run.call, &run.args, 9000, &run.result), SBX_OK);
    assert_int_equal(asked.has_limit, 0);
    fake_stop(&fake);
}

static void never_script(struct fake_conn *c, void *user)
{
    (void)user;
    if (fake_request(c) == 0)
        fail_msg("a request that should not have been sent");
}

static int64_t never_read(void *user, void *buf, size_t cap)
{
    (void)user;
    (void)buf;
    (void)cap;
    return -1;
}

static void exec_refuses_what_cannot_be_asked(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    static const struct sbx_tty big_tty = {.size = sizeof big_tty, .rows = 70000, .cols = 80};
    static const struct sbx_kv equals = {"A=B", "x"}, nameless = {"", "x"}, valueless = {"A", NULL};
    static const struct sbx_source deaf = {.size = sizeof deaf};
    static const struct sbx_source blind = {
        .size = sizeof blind, .flags = SBX_SOURCE_HAS_FD, .read = never_read, .ready_fd = -1};
    const struct {
        struct sbx_exec_args args;
        sbx_status status;
    } cases[] = {
        {{.argv = NULL}, SBX_E_INVALID},
        {{.argv = argv_true, .command = "x"}, SBX_E_INVALID},
        {{.argv = none}, SBX_E_INVALID},
        {{.argv = argv_true, .flags = 1u << 30}, SBX_E_UNSUPPORTED},
        {{.argv = argv_true, .flags = SBX_EXEC_STDIN_OPEN}, SBX_E_INVALID},
        {{.argv = argv_true, .flags = SBX_EXEC_NO_TIMEOUT, .timeout_ms = 5}, SBX_E_INVALID},
        {{.argv = argv_true, .shell = ""}, SBX_E_INVALID},
        {{.argv = argv_true, .shell = "main", .in = &deaf}, SBX_E_UNSUPPORTED},
        {{.argv = argv_true, .tty = &big_tty}, SBX_E_INVALID},
        {{.argv = argv_true, .cwd = ""}, SBX_E_INVALID},
        {{.argv = argv_true, .envs = {&equals, 1}}, SBX_E_INVALID},
        {{.argv = argv_true, .envs = {&nameless, 1}}, SBX_E_INVALID},
        {{.argv = argv_true, .envs = {&valueless, 1}}, SBX_E_INVALID},
        {{.argv = argv_true, .in = &deaf}, SBX_E_INVALID},
        {{.argv = argv_true, .in = &blind}, SBX_E_INVALID},
    };
    struct fake_guest fake;
    fake_start(&fake, never_script, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        RUN run;
        run_init(&run);
        run.args = cases[i].args;
        run.args.size = sizeof run.args;
        run.result.flags = 99;
        assert_int_equal(run_on(&run, fake.link), cases[i].status);
        assert_int_equal(run.error.code, cases[i].status);
        assert_int_equal(run.result.flags, 0);
        assert_true(strncmp(run.error.message, "exec: ", 6) == 0);
    }
    assert_int_equal(fake.made, 0);
    fake_stop(&fake);
}

static void exec_refuses_an_argument_over_128_kib_by_name(void **state)
{
    (void)state;
    CLEANUP_FREE char *big = malloc(131073);
    assert_non_null(big);
    memset(big, 'x', 131072);
    big[131072] = '\0';
    const char *const argv[] = {"prog", big, NULL};
    struct sbx_kv env = {"BIG", big};
    struct fake_guest fake;
    fake_start(&fake, never_script, NULL, NULL);
    RUN run;
    run_init(&run);
    run.args.argv = argv;
    assert_int_equal(run_on(&run, fake.link), SBX_E_TOO_LARGE);
    assert_string_equal(run.error.message, "exec: argument 1 has 131072 bytes, the limit for one is 131071");
    run.args.argv = argv_true;
    run.args.envs = (struct sbx_kvs){&env, 1};
    assert_int_equal(run_on(&run, fake.link), SBX_E_TOO_LARGE);
    assert_non_null(strstr(run.error.message, "'BIG'"));
    assert_int_equal(fake.made, 0);
    fake_stop(&fake);
}

struct many {
    size_t count;
    size_t bytes;
};

static void many_script(struct fake_conn *c, void *user)
{
    struct many *many = user;
    if (fake_request(c) != 0)
        return;
    const unsigned char *p = (const unsigned char *)c->request.data;
    size_t left = c->request.len;
    struct wire_field_view field;
    while (wire_next_field(&p, &left, &field) == 1)
        if (field.tag == F_ARG) {
            many->count++;
            for (size_t i = 0; i < field.len; i++)
                many->bytes += field.data[i] == 'a' + (many->count - 1) % 26;
        }
    fake_exited(c, 0);
}

static void exec_of_arguments(size_t count, size_t len, sbx_status status)
{
    CLEANUP_FREE const char **argv = calloc(count + 1, sizeof *argv);
    CLEANUP_FREE char *text = malloc(count * (len + 1));
    assert_non_null(argv);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        memset(text + i * (len + 1), 'a' + (int)(i % 26), len);
        text[i * (len + 1) + len] = '\0';
        argv[i] = text + i * (len + 1);
    }
    struct many many = {0, 0};
    RUN run;
    run_init(&run);
    run.args.argv = argv;
    assert_int_equal(run_once(&run, many_script, &many), status);
    if (status != SBX_OK)
        return;
    assert_int_equal(many.count, count);
    assert_int_equal(many.bytes, count * len);
}

static void exec_carries_a_megabyte_of_arguments(void **state)
{
    (void)state;
    exec_of_arguments(16, 65536, SBX_OK);
    exec_of_arguments(1, 131071, SBX_OK);
    exec_of_arguments(20000, 50, SBX_OK);
}

/* The script never sees it: the fake would wait for a request, and ends with the link. */
static void exec_refuses_a_request_over_four_megabytes(void **state)
{
    (void)state;
    exec_of_arguments(40, 131000, SBX_E_TOO_LARGE);
}

/* --- connections -------------------------------------------------------------------------------------------- */
static void serve_script(struct fake_conn *c, void *user)
{
    (void)user;
    while (fake_request(c) == 0)
        fake_exited(c, 0);
}

static void exec_again_uses_the_same_connection(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, serve_script, NULL, NULL);
    RUN run;
    run_init(&run);
    for (int i = 0; i < 50; i++)
        assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_int_equal(fake.made, 1);
    fake_stop(&fake);
}

static void serve_one_script(struct fake_conn *c, void *user)
{
    (void)user;
    if (fake_request(c) == 0)
        fake_exited(c, 0);
}

static void a_connection_closed_while_idle_is_replaced(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, serve_one_script, NULL, NULL);
    RUN run;
    run_init(&run);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(run_on(&run, fake.link), SBX_OK);
        assert_int_equal(pthread_join(fake.conns[i].thread, NULL), 0);
    }
    assert_int_equal(fake.made, 5);
    fake.made = 0;
    fake_stop(&fake);
}

static void shy_script(struct fake_conn *c, void *user)
{
    (void)user;
    struct wire_head head;
    unsigned char payload[200];
    if (c->number == 0 || fake_read(c, &head, payload) != 0)
        return;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_VERSION, WIRE_VERSION);
    fields_bytes(&b, F_NONCE, payload + 24, 16);
    fake_frame(c, FRAME_HELLO, 0, 0, b.data, b.len);
    if (fake_request(c) == 0)
        fake_exited(c, 0);
}

static void success_after_a_second_try_leaves_the_error_alone(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, shy_script, NULL, NULL);
    fake.no_greeting = 1;
    RUN run;
    run_init(&run);
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_int_equal(run.error.code, 0);
    assert_string_equal(run.error.message, "");
    fake_stop(&fake);
}

static void hello_waits_for_the_greeting_and_keeps_the_connection(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, serve_script, NULL, NULL);
    RUN run;
    run_init(&run);
    assert_int_equal(guest_hello(fake.link, &run.call), SBX_OK);
    assert_int_equal(run_on(&run, fake.link), SBX_OK);
    assert_int_equal(fake.made, 1);
    fake_stop(&fake);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(exec_keeps_nul_and_high_bytes_and_streams_apart),
        cmocka_unit_test(exec_without_sinks_counts),
        cmocka_unit_test(exec_over_max_output_is_counted_and_flagged),
        cmocka_unit_test(exec_of_exactly_max_output_is_not_flagged),
        cmocka_unit_test(exec_results_are_checked_and_put_in_order),
        cmocka_unit_test(exec_failures_are_named_and_cleaned),
        cmocka_unit_test(exec_asks_for_argv_env_cwd_user_and_limit),
        cmocka_unit_test(exec_of_a_line_is_one_argument_of_sh),
        cmocka_unit_test(exec_takes_the_default_limit_unless_told_not_to),
        cmocka_unit_test(exec_refuses_what_cannot_be_asked),
        cmocka_unit_test(exec_refuses_an_argument_over_128_kib_by_name),
        cmocka_unit_test(exec_carries_a_megabyte_of_arguments),
        cmocka_unit_test(exec_refuses_a_request_over_four_megabytes),
        cmocka_unit_test(exec_again_uses_the_same_connection),
        cmocka_unit_test(a_connection_closed_while_idle_is_replaced),
        cmocka_unit_test(success_after_a_second_try_leaves_the_error_alone),
        cmocka_unit_test(hello_waits_for_the_greeting_and_keeps_the_connection),
    };
    return RUN_TESTS(tests, argc, argv);
}
