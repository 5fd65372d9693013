/* SPDX-License-Identifier: MIT
 *
 * test_exec.c - commands: results, streams, environment, users, descriptors.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/guest/client.h"

static void expect(struct client *c, const char *line, uint64_t result, int64_t code, const char *out)
{
    struct answer a;
    client_shell(c, line, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.result, result);
    assert_int_equal(a.exit_code, code);
    assert_int_equal(a.out.len, strlen(out));
    assert_memory_equal(a.out.len == 0 ? "" : a.out.data, out, strlen(out));
    assert_int_equal(a.out_bytes, a.out.len);
    assert_true(a.pid > 0);
    answer_finish(&a);
}

static void exit_codes_and_signals_are_told_apart(void **state)
{
    struct client *c = client_open(NULL);
    (void)state;
    for (int code = 0; code < 256; code += 51) {
        char line[32];
        (void)snprintf(line, sizeof line, "exit %d", code);
        expect(c, line, SBX_EXITED, code, "");
    }
    expect(c, "kill -TERM $$", SBX_SIGNALLED, 143, "");
    expect(c, "kill -9 $$", SBX_SIGNALLED, 137, "");
    client_close(c);
}

static void streams_are_kept_apart_byte_for_byte(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    client_shell(c, "printf 'a\\000\\377\\r'; printf 'b\\000' >&2", &a);
    assert_int_equal(a.out.len, 4);
    assert_memory_equal(a.out.data, "a\0\377\r", 4);
    assert_int_equal(a.err.len, 2);
    assert_memory_equal(a.err.data, "b\0", 2);
    answer_finish(&a);
    client_close(c);
}

static void merged_streams_keep_the_order_of_writes(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sh", "-c", "for i in 1 2 3; do echo o$i; echo e$i >&2; done", NULL});
    message_number(&m, F_FLAGS, EXEC_MERGE | EXEC_NO_STDIN);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.result, SBX_EXITED | SBX_MERGED);
    assert_string_equal(a.out.data, "o1\ne1\no2\ne2\no3\ne3\n");
    answer_finish(&a);
    client_close(c);
}

static void arguments_are_passed_as_they_are(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"printf", "[%s]", "", "a  b", "$HOME", "*", "\n", NULL});
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_string_equal(a.out.data, "[][a  b][$HOME][*][\n]");
    answer_finish(&a);
    client_close(c);
}

static void no_stdin_is_end_of_file_at_once(void **state)
{
    struct client *c = client_open(NULL);
    (void)state;
    expect(c, "cat; echo done", SBX_EXITED, 0, "done\n");
    client_close(c);
}

static void environment_is_exact_and_the_usual_ones_are_added(void **state)
{
    struct client *c = client_open((const char *const[]){"--user-name", "tester", "--home", "/tmp", NULL});
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"env", NULL});
    message_text(&m, F_ENV, "A=first");
    message_text(&m, F_ENV, "B=x=y\nz 'q'");
    message_text(&m, F_ENV, "A=second");
    message_text(&m, F_ENV, "SHELL=/bin/false");
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_string_equal(a.out.data, "B=x=y\nz 'q'\nA=second\nSHELL=/bin/false\nHOME=/tmp\nUSER=tester\nLOGNAME=tester\n"
                                    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    answer_finish(&a);
    client_close(c);
}

static void missing_and_unexecutable_programs_are_results(void **state)
{
    struct client *c = client_open(NULL);
    static const struct {
        const char *name;
        int64_t code;
    } cases[] = {{"no-such-program", 127}, {"/no/such", 127}, {"", 127}, {"/etc/passwd", 126}, {"/tmp", 126},
                 {"/etc/passwd/x", 127},   {"./no-such", 127}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message m;
        struct answer a;
        message_init(&m, OP_EXEC);
        message_argv(&m, (const char *const[]){cases[i].name, NULL});
        message_number(&m, F_FLAGS, EXEC_NO_STDIN);
        client_wait(c, client_request(c, &m), NULL, 0, &a);
        assert_int_equal(a.status, SBX_OK);
        assert_int_equal(a.result, SBX_EXITED | SBX_NOT_STARTED);
        assert_int_equal(a.exit_code, cases[i].code);
        assert_int_equal(a.pid, 0);
        answer_finish(&a);
    }
    client_close(c);
}

static void path_of_the_command_decides_where_it_is_looked_for(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sh", "-c", "echo found", NULL});
    message_text(&m, F_ENV, "PATH=/nowhere::/etc/passwd");
    message_text(&m, F_CWD, "/bin");
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_string_equal(a.out.data, "found\n"); /* by the empty part: the working directory */
    answer_finish(&a);
    client_close(c);
}

static void a_missing_directory_is_an_error_that_names_it(void **state)
{
    struct client *c = client_open((const char *const[]){"--workdir", "/usr", NULL});
    static const struct {
        const char *cwd;
        int64_t status;
        const char *text;
    } cases[] = {{"/no/such", SBX_E_NOT_FOUND, "/no/such"},
                 {"/etc/passwd", SBX_E_NOT_FOUND, "/etc/passwd"},
                 {"bin", SBX_OK, "/usr/bin\n"},
                 {"/", SBX_OK, "/\n"},
                 {NULL, SBX_OK, "/usr\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message m;
        struct answer a;
        message_init(&m, OP_EXEC);
        message_argv(&m, (const char *const[]){"sh", "-c", "pwd", NULL});
        if (cases[i].cwd != NULL)
            message_text(&m, F_CWD, cases[i].cwd);
        message_number(&m, F_FLAGS, EXEC_NO_STDIN);
        client_wait(c, client_request(c, &m), NULL, 0, &a);
        assert_int_equal(a.status, cases[i].status);
        if (a.status == SBX_OK)
            assert_string_equal(a.out.data, cases[i].text);
        else
            assert_non_null(strstr(a.message, cases[i].text));
        answer_finish(&a);
    }
    client_close(c);
}

static void users_by_name_and_number(void **state)
{
    static const struct {
        const char *user;
        int64_t status;
        const char *text;
    } cases[] = {{"nobody", SBX_OK, "65534 65534\n"},
                 {"65534", SBX_OK, "65534 65534\n"},
                 {"12345:23", SBX_OK, "12345 23\n"},
                 {"nobody:daemon", SBX_OK, "65534 1\n"},
                 {"root", SBX_OK, "0 0\n"},
                 {"bogus", SBX_E_INVALID, "bogus"},
                 {"nobody:nogrp", SBX_E_INVALID, "nogrp"},
                 {"", SBX_E_INVALID, "user"},
                 {"4294967295", SBX_E_INVALID, "4294967295"}};
    (void)state;
    if (geteuid() != 0) {
        skip_test("acting as other users needs root");
    }
    struct client *c = client_open(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message m;
        struct answer a;
        message_init(&m, OP_EXEC);
        message_argv(&m, (const char *const[]){"sh", "-c", "echo $(id -u) $(id -g)", NULL});
        message_text(&m, F_USER, cases[i].user);
        message_number(&m, F_FLAGS, EXEC_NO_STDIN);
        client_wait(c, client_request(c, &m), NULL, 0, &a);
        assert_int_equal(a.status, cases[i].status);
        if (a.status == SBX_OK)
            assert_string_equal(a.out.data, cases[i].text);
        else
            assert_non_null(strstr(a.message, cases[i].text));
        answer_finish(&a);
    }
    client_close(c);
}

static void a_command_starts_clean(void **state)
{
    struct client *c = client_open(NULL);
    (void)state;
    expect(c, "ls /proc/self/fd | tr '\\n' ' '; umask", SBX_EXITED, 0, "0 1 2 3 0022\n"); /* 3: the listing's own */
    expect(c, "grep -E '^(SigBlk|SigIgn|CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs)' /proc/self/status | cut -f2 | uniq",
           SBX_EXITED, 0, "0000000000000000\n1\n");
    expect(c, "set -- $(cat /proc/$$/stat); test $1 = $5 && test $1 = $6 && test $7 = 0", SBX_EXITED, 0, "");
    client_close(c);
}

static void the_guest_cannot_be_looked_into(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    if (geteuid() != 0) {
        skip_test("acting as another user needs root");
    }
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sh", "-c",
                                           "k=$(cut -d' ' -f4 /proc/$$/stat); ls /proc/$k/fd; "
                                           "cat /proc/$k/environ; g=$(cut -d' ' -f4 /proc/$k/stat); ls /proc/$g/fd",
                                           NULL});
    message_text(&m, F_USER, "nobody");
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.out.len, 0);
    assert_true(a.exit_code != 0);
    answer_finish(&a);
    client_close(c);
}

static void a_megabyte_of_arguments_works_and_too_much_is_refused(void **state)
{
    struct client *c = client_open(NULL);
    char *text = calloc(1, (200 << 10) + 1);
    struct message m;
    struct answer a;
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 64 << 10);
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sh", "-c", "printf %s \"$@\" | wc -c", "sh", NULL});
    for (int i = 0; i < 16; i++)
        message_text(&m, F_ARG, text);
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_string_equal(a.out.data, "1048576\n");
    answer_finish(&a);
    memset(text, 'x', 200 << 10);
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"echo", text, NULL});
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_TOO_LARGE);
    answer_finish(&a);
    expect(c, "echo after", SBX_EXITED, 0, "after\n");
    free(text);
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_and_signals_are_told_apart),
        cmocka_unit_test(streams_are_kept_apart_byte_for_byte),
        cmocka_unit_test(merged_streams_keep_the_order_of_writes),
        cmocka_unit_test(arguments_are_passed_as_they_are),
        cmocka_unit_test(no_stdin_is_end_of_file_at_once),
        cmocka_unit_test(environment_is_exact_and_the_usual_ones_are_added),
        cmocka_unit_test(missing_and_unexecutable_programs_are_results),
        cmocka_unit_test(path_of_the_command_decides_where_it_is_looked_for),
        cmocka_unit_test(a_missing_directory_is_an_error_that_names_it),
        cmocka_unit_test(users_by_name_and_number),
        cmocka_unit_test(a_command_starts_clean),
        cmocka_unit_test(the_guest_cannot_be_looked_into),
        cmocka_unit_test(a_megabyte_of_arguments_works_and_too_much_is_refused),
    };
    return RUN_TESTS("guest exec", tests, argc, argv);
}
