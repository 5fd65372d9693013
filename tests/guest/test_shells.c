/* SPDX-License-Identifier: MIT
 *
 * test_shells.c - named shells: what they keep, one command after the other, what ends them and what does not.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/guest/client.h"

static const char *marker(void)
{
    static char text[64];
    static unsigned count;
    (void)snprintf(text, sizeof text, "96%07d.%03u", (int)getpid(), ++count);
    return text;
}

/* /bin/sh, and what root's own shell is, which may be another. */
static const char *const *const GUESTS[] = {
    (const char *const[]){"--user-name", "tester", "--home", "/tmp", NULL},
    (const char *const[]){NULL},
};

static uint32_t ask(struct client *c, const char *name, const char *text, uint64_t limit_ms)
{
    struct message m;
    message_init(&m, OP_SHELL_EXEC);
    message_text(&m, F_NAME, name);
    message_text(&m, F_ARG, text);
    if (limit_ms > 0)
        message_number(&m, F_TIMEOUT_MS, limit_ms);
    return client_request(c, &m);
}

static void run(struct client *c, const char *name, const char *text, uint64_t limit_ms, struct answer *a)
{
    client_wait(c, ask(c, name, text, limit_ms), NULL, 0, a);
}

static void expect(struct client *c, const char *name, const char *text, int64_t code, const char *out)
{
    struct answer a;
    run(c, name, text, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.result, SBX_EXITED);
    assert_int_equal(a.exit_code, code);
    assert_int_equal(a.out.len, strlen(out));
    assert_memory_equal(a.out.len == 0 ? "" : a.out.data, out, strlen(out));
    assert_int_equal(a.out_bytes, a.out.len);
    assert_true(a.pid > 0);
    answer_finish(&a);
}

static int64_t tell_close(struct client *c, const char *name)
{
    struct message m;
    struct answer a;
    message_init(&m, OP_SHELL_CLOSE);
    message_text(&m, F_NAME, name);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    answer_finish(&a);
    return a.status;
}

static void a_shell_keeps_directory_variables_and_functions(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        expect(c, "a", "cd /usr; X='1 2'; f() { echo \"f $X\"; }; export Y=3", 0, "");
        expect(c, "a", "pwd; f; sh -c 'echo $Y'", 0, "/usr\nf 1 2\n3\n");
        expect(c, "b", "echo ${X-none}", 0, "none\n");
        expect(c, "a", "false", 1, "");
        expect(c, "a", "(exit 200)", 200, "");
        expect(c, "a", "sh -c 'kill -TERM $$'", 143, "");
        client_close(c);
    }
}

static void the_text_and_its_output_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        struct answer a;
        expect(c, "a", "cat <<'E'\n  it's $X `x`\n\nE", 0, "  it's $X `x`\n\n");
        expect(c, "a", "printf '\\n  x  \\n\\n'", 0, "\n  x  \n\n");
        expect(c, "a", "printf 'no newline'", 0, "no newline");
        expect(c, "a", "", 0, "");
        expect(c, "a", "# a comment", 0, "");
        expect(c, "a", "\n\n", 0, "");
        expect(c, "a", "cat; echo \"'\\''\"", 0, "'\\''\n"); /* no input, at once */
        expect(c, "a", "alias echo=false; echo() { :; }; printf() { :; }", 0, "");
        expect(c, "a", "unset -f echo printf; unalias echo; printf back", 0, "back");
        run(c, "a", "echo out; echo err >&2; exec 3>&1; echo three >&3", 0, &a);
        assert_string_equal(a.out.data, "out\nthree\n");
        assert_string_equal(a.err.data, "err\n");
        answer_finish(&a);
        client_close(c);
    }
}

static void commands_inherit_nothing_of_ours(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        expect(c, "a", "sh -c 'for i in 3 4 5 6 7 8 9 10 11 12 13 14; do [ ! -e /proc/$$/fd/$i ] || echo $i; done'", 0,
               "");
        client_close(c);
    }
}

static void a_syntax_error_is_a_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        static const char *const lines[] = {"(", "echo 'open", "if true; then", "echo $(", "}", "cat <<E"};
        expect(c, "a", "X=kept", 0, "");
        for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
            struct answer a;
            run(c, "a", lines[k], 0, &a);
            assert_int_equal(a.status, SBX_OK);
            assert_int_equal(a.result, SBX_EXITED);
            answer_finish(&a);
        }
        expect(c, "a", "echo $X", 0, "kept\n");
        client_close(c);
    }
}

static void a_megabyte_of_text_and_of_output_passes(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    struct answer a;
    char *text = malloc((1 << 20) + 1);
    (void)state;
    assert_non_null(text);
    memset(text, '\'', 1 << 20);
    memcpy(text, "printf %s \"", 11);
    memcpy(text + (1 << 20) - 1, "\"", 2);
    run(c, "a", text, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.out.len, (1 << 20) - 12);
    answer_finish(&a);
    run(c, "a", "head -c 5000000 /dev/zero", 0, &a);
    assert_int_equal(a.out.len, 5000000);
    answer_finish(&a);
    char *more = realloc(text, (1 << 20) + 2);
    assert_non_null(more);
    memset(more, ' ', (1 << 20) + 1);
    more[(1 << 20) + 1] = '\0';
    run(c, "a", more, 0, &a);
    assert_int_equal(a.status, SBX_E_TOO_LARGE);
    answer_finish(&a);
    free(more);
    client_close(c);
}

static void commands_of_a_shell_run_in_the_order_they_were_asked(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    char text[64];
    struct answer a;
    (void)state;
    (void)ask(c, "a", "sleep 0.2; L=0", 0);
    for (int i = 1; i < 8; i++) {
        (void)snprintf(text, sizeof text, "L=${L}%d; [ %d != 4 ] || sleep 0.1", i, i);
        (void)ask(c, "a", text, 0);
    }
    client_wait(c, ask(c, "a", "echo $L", 0), NULL, 0, &a);
    assert_string_equal(a.out.data, "01234567\n");
    answer_finish(&a);
    client_close(c);
}

static void a_time_limit_ends_the_command_and_not_the_shell(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        char kept[64], text[200];
        (void)snprintf(kept, sizeof kept, "%s", marker());
        const char *mark = marker();
        struct answer a;
        int64_t began = now_ms();
        (void)snprintf(text, sizeof text, "X=kept; sleep %s 2>/dev/null >&2 &", kept);
        expect(c, "a", text, 0, "");
        (void)snprintf(text, sizeof text, "echo before; setsid sleep %s & sleep %s", mark, mark);
        run(c, "a", text, 200, &a);
        assert_int_equal(a.status, SBX_OK);
        assert_int_equal(a.result, SBX_TIMED_OUT);
        assert_int_equal(a.exit_code, 124);
        assert_string_equal(a.out.data, "before\n");
        answer_finish(&a);
        assert_true(now_ms() - began < 10000);
        assert_true(process_gone(mark, 1000));
        assert_true(process_exists(kept)); /* it was there before */
        expect(c, "a", "echo $X", 0, "kept\n");
        assert_int_equal(tell_close(c, "a"), SBX_OK);
        assert_false(process_exists(kept));
        client_close(c);
    }
}

static void a_shell_that_does_not_come_back_is_lost(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    struct answer a;
    int64_t began = now_ms();
    (void)state;
    expect(c, "a", "X=kept", 0, "");
    uint32_t id = ask(c, "a", "while :; do :; done", 200);
    uint32_t waiting = ask(c, "a", "echo never", 0);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.result, SBX_TIMED_OUT);
    assert_non_null(strstr(a.message, "did not come back"));
    answer_finish(&a);
    client_wait(c, waiting, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_STATE);
    answer_finish(&a);
    assert_true(now_ms() - began < 10000);
    expect(c, "a", "echo ${X-fresh}", 0, "fresh\n");
    client_close(c);
}

static void the_end_of_a_shell_is_told_and_the_next_use_is_fresh(void **state)
{
    static const struct {
        const char *text;
        uint64_t result;
        int64_t code;
    } cases[] = {{"X=1; echo last; exit 7", SBX_EXITED, 7},
                 {"echo last; exec sh -c 'exit 9'", SBX_EXITED, 9},
                 {"echo last; kill -9 $$", SBX_SIGNALLED, 137},
                 {"echo last; exec /no/such/program", SBX_EXITED, 127},
                 {"echo last; set -e; false; echo no", SBX_EXITED, 1}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            struct answer a;
            run(c, "a", cases[k].text, 0, &a);
            assert_int_equal(a.status, SBX_E_STATE);
            assert_int_equal(a.result, cases[k].result);
            assert_int_equal(a.exit_code, cases[k].code);
            assert_string_equal(a.out.data, "last\n");
            answer_finish(&a);
            expect(c, "a", "echo ${X-fresh}", 0, "fresh\n");
        }
        client_close(c);
    }
}

static void cancel_gives_the_shell_back(void **state)
{
    struct client *c = client_open(GUESTS[1]);
    const char *mark = marker();
    char text[200];
    struct answer a;
    (void)state;
    (void)snprintf(text, sizeof text, "X=kept; sleep %s", mark);
    uint32_t id = ask(c, "a", text, 0);
    uint32_t waiting = ask(c, "a", "echo skipped", 0);
    uint32_t last = ask(c, "a", "echo $X", 0);
    while (!process_exists(mark))
        (void)usleep(1000);
    client_number(c, waiting, FRAME_CANCEL, 0);
    client_wait(c, waiting, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    client_number(c, id, FRAME_CANCEL, 0);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    client_wait(c, last, NULL, 0, &a);
    assert_string_equal(a.out.data, "kept\n");
    answer_finish(&a);
    assert_true(process_gone(mark, 1000));
    client_close(c);
}

static void an_interrupt_ends_the_command_and_the_shell_answers_the_next(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        const char *mark = marker();
        char text[200];
        struct answer a;
        (void)snprintf(text, sizeof text, "X=kept; sleep %s", mark);
        uint32_t id = ask(c, "a", text, 0);
        while (!process_exists(mark))
            (void)usleep(1000);
        client_number(c, id, FRAME_SIGNAL, SIGINT);
        client_wait(c, id, NULL, 0, &a);
        assert_int_equal(a.status, SBX_OK);
        assert_int_equal(a.exit_code, 130);
        answer_finish(&a);
        expect(c, "a", "echo $X", 0, "kept\n");
        client_close(c);
    }
}

static void what_runs_on_between_commands_does_not_mix_in(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    char flag[300], text[500];
    (void)state;
    (void)snprintf(flag, sizeof flag, "%s/flag", scratch());
    (void)snprintf(text, sizeof text, "(sleep 0.1; yes | head -c 1000000; echo done >&2; echo; : >%s) & P=$!", flag);
    expect(c, "a", text, 0, "");
    for (int64_t until = now_ms() + 10000; access(flag, F_OK) != 0; (void)usleep(5000))
        assert_true(now_ms() < until);
    expect(c, "a", "wait $P; echo ended", 0, "ended\n");
    expect(c, "a", "exec >/dev/null", 0, "");
    (void)usleep(50000);
    expect(c, "a", "echo nowhere", 0, "");
    client_close(c);
}

static void closing_kills_the_shell_and_its_tree(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    const char *mark = marker();
    char text[200];
    struct message m;
    struct answer a;
    (void)state;
    (void)snprintf(text, sizeof text, "setsid sleep %s & sleep %s", mark, mark);
    uint32_t id = ask(c, "a", text, 0);
    while (!process_exists(mark))
        (void)usleep(1000);
    assert_int_equal(tell_close(c, "none"), SBX_E_NOT_FOUND);
    assert_int_equal(tell_close(c, "a"), SBX_OK);
    assert_false(process_exists(mark));
    (void)id;
    expect(c, "b", "true", 0, "");
    assert_int_equal(tell_close(c, "a"), SBX_E_NOT_FOUND);
    message_init(&m, OP_SHELL_LIST);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.replies, 1);
    assert_string_equal(a.name, "b");
    answer_finish(&a);
    client_close(c);
}

static void the_guest_holds_no_more_than_64_shells(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    char name[16];
    struct answer a;
    (void)state;
    for (int i = 0; i < 64; i++) {
        (void)snprintf(name, sizeof name, "s%d", i);
        expect(c, name, "true", 0, "");
    }
    client_wait(c, ask(c, "more", "true", 0), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_QUOTA);
    answer_finish(&a);
    expect(c, "s0", "true", 0, "");
    assert_int_equal(tell_close(c, "s9"), SBX_OK);
    expect(c, "more", "true", 0, "");
    client_close(c);
}

static void a_shell_is_started_once_with_what_the_first_request_says(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    struct message m;
    struct answer a;
    (void)state;
    for (int i = 0; i < 4; i++) {
        message_init(&m, OP_SHELL_EXEC);
        message_text(&m, F_NAME, "a");
        message_text(&m, F_ARG, "pwd; echo $A; cd /");
        message_text(&m, F_ENV, i == 2 ? "A=2" : "A=1");
        message_text(&m, F_CWD, i == 3 ? "/tmp" : "/usr");
        message_number(&m, F_FLAGS, i == 0 ? 0 : SHELL_SAME_ENV | SHELL_SAME_CWD | SHELL_SAME_USER);
        client_wait(c, client_request(c, &m), NULL, 0, &a);
        assert_int_equal(a.status, i < 2 ? SBX_OK : SBX_E_INVALID);
        if (i < 2)
            assert_string_equal(a.out.data, i == 0 ? "/usr\n1\n" : "/\n1\n");
        answer_finish(&a);
    }
    message_init(&m, OP_SHELL_EXEC);
    message_text(&m, F_NAME, "b");
    message_text(&m, F_ARG, "true");
    message_text(&m, F_CWD, "/no/such/dir");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_NOT_FOUND);
    answer_finish(&a);
    client_close(c);
}

static void merged_output_keeps_its_order(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_SHELL_EXEC);
    message_text(&m, F_NAME, "a");
    message_text(&m, F_ARG, "for i in 1 2 3; do echo o$i; echo e$i >&2; done");
    message_number(&m, F_FLAGS, EXEC_MERGE);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_string_equal(a.out.data, "o1\ne1\no2\ne2\no3\ne3\n");
    assert_int_equal(a.result, SBX_EXITED | SBX_MERGED);
    answer_finish(&a);
    client_close(c);
}

static void a_lost_connection_ends_the_command(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    const char *mark = marker();
    char text[200];
    (void)state;
    (void)snprintf(text, sizeof text, "setsid sleep %s & sleep %s", mark, mark);
    (void)ask(c, "a", text, 0);
    while (!process_exists(mark))
        (void)usleep(1000);
    client_close(c);
    assert_true(process_gone(mark, 2000));
}

/* Clock ticks that a process has used so far. */
static unsigned long used_ticks(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    (void)fclose(f);
    const char *rest = strrchr(text, ')');
    assert_non_null(rest);
    assert_int_equal(sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
    return user + system;
}

/* Nothing holds the pipe by which the shell would answer. */
static void a_program_in_the_shells_place_costs_the_guest_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        struct answer a;
        unsigned long before = used_ticks(c->pid);
        run(c, "a", "exec sleep 1", 0, &a);
        assert_int_equal(a.status, SBX_E_STATE);
        assert_int_equal(a.result, SBX_EXITED);
        answer_finish(&a);
        assert_true(used_ticks(c->pid) - before < (unsigned long)sysconf(_SC_CLK_TCK) / 3);
        client_close(c);
    }
}

/* It closed its own end, and could never say how a command ended. */
static void a_shell_that_cannot_answer_is_replaced(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_open(GUESTS[i]);
        struct answer a;
        run(c, "a", "X=kept; trap 'exec 9>&-' USR1", 0, &a);
        answer_finish(&a);
        int64_t until = now_ms() + 15000;
        assert_int_equal(kill((pid_t)a.pid, SIGUSR1), 0);
        do /* now or later, as the shell takes its signals */
            run(c, "a", "echo $X", 0, &a), answer_finish(&a);
        while (a.status == SBX_OK && now_ms() < until);
        assert_int_equal(a.status, SBX_E_STATE);
        expect(c, "a", "echo ${X-fresh}", 0, "fresh\n");
        client_close(c);
    }
}

/* Whoever is the shell's user can write there, too, and without end. */
static void a_flood_where_the_shell_answers_stops_nobody_else(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    struct answer a;
    (void)state;
    expect(c, "a", "(while [ ! -e /proc/$$/fd/9 ]; do :; done; exec yes >/proc/$$/fd/9) >/dev/null 2>&1 &", 0, "");
    for (int i = 0; i < 20; i++) {
        (void)usleep(20000);
        client_shell(c, "echo here", &a);
        assert_string_equal(a.out.data, "here\n");
        answer_finish(&a);
    }
    assert_int_equal(tell_close(c, "a"), SBX_OK);
    client_close(c);
}

/* Its output waits for a client that takes none; whoever closes it does not. */
static void closing_does_not_wait_for_who_takes_no_output(void **state)
{
    struct client *c = client_open(GUESTS[0]);
    struct answer a;
    struct message m;
    struct frame f;
    (void)state;
    uint32_t slow = ask(c, "a", "head -c 1000000 /dev/zero", 0);
    for (uint64_t got = 0; got < WIRE_WINDOW;) {
        assert_int_equal(client_next(c, &f), 1);
        got += f.head.type == FRAME_DATA ? f.head.len : 0;
    }
    message_init(&m, OP_SHELL_CLOSE);
    message_text(&m, F_NAME, "a");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    expect(c, "a", "echo another", 0, "another\n");
    unsigned char more[4];
    wire_put32(more, 4 * WIRE_WINDOW);
    client_send(c, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = STREAM_OUT, .id = slow}, more);
    client_wait(c, slow, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_STATE);
    assert_true(a.out.len > 0);
    answer_finish(&a);
    client_close(c);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        UNIT_TEST(a_shell_keeps_directory_variables_and_functions),
        UNIT_TEST(the_text_and_its_output_are_exact),
        UNIT_TEST(commands_inherit_nothing_of_ours),
        UNIT_TEST(a_syntax_error_is_a_result),
        UNIT_TEST(a_megabyte_of_text_and_of_output_passes),
        UNIT_TEST(commands_of_a_shell_run_in_the_order_they_were_asked),
        UNIT_TEST(a_time_limit_ends_the_command_and_not_the_shell),
        UNIT_TEST(a_shell_that_does_not_come_back_is_lost),
        UNIT_TEST(the_end_of_a_shell_is_told_and_the_next_use_is_fresh),
        UNIT_TEST(cancel_gives_the_shell_back),
        UNIT_TEST(an_interrupt_ends_the_command_and_the_shell_answers_the_next),
        UNIT_TEST(what_runs_on_between_commands_does_not_mix_in),
        UNIT_TEST(closing_kills_the_shell_and_its_tree),
        UNIT_TEST(the_guest_holds_no_more_than_64_shells),
        UNIT_TEST(a_shell_is_started_once_with_what_the_first_request_says),
        UNIT_TEST(merged_output_keeps_its_order),
        UNIT_TEST(a_lost_connection_ends_the_command),
        UNIT_TEST(a_program_in_the_shells_place_costs_the_guest_nothing),
        UNIT_TEST(a_shell_that_cannot_answer_is_replaced),
        UNIT_TEST(a_flood_where_the_shell_answers_stops_nobody_else),
        UNIT_TEST(closing_does_not_wait_for_who_takes_no_output),
    };
    return RUN_TESTS("shells", tests, argc, argv);
}
