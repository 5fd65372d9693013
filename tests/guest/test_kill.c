/* SPDX-License-Identifier: MIT
 *
 * test_kill.c - the end of commands that do not want to end: time limits, cancel, lost connections. Each command
 * carries a marker of its own, and nothing with that marker may be left.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/guest/client.h"

/* A number of seconds to sleep that nothing else on this machine sleeps. */
static const char *marker(void)
{
    static char text[64];
    static unsigned count;
    (void)snprintf(text, sizeof text, "98%07d.%03u", (int)getpid(), ++count);
    return text;
}

static uint32_t begin(struct client *c, const char *line, const char *mark, uint64_t limit_ms, uint64_t flags)
{
    struct message m;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"/bin/sh", "-c", line, "sh", mark, NULL});
    message_number(&m, F_FLAGS, flags);
    if (limit_ms > 0)
        message_number(&m, F_TIMEOUT_MS, limit_ms);
    return client_request(c, &m);
}

static void runs_over(const char *line)
{
    struct client *c = client_open(NULL);
    struct answer a;
    const char *mark = marker();
    int64_t began = now_ms();
    client_wait(c, begin(c, line, mark, 300, EXEC_NO_STDIN), NULL, 0, &a);
    int64_t took = now_ms() - began;
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.result & (SBX_TIMED_OUT | SBX_EXITED | SBX_SIGNALLED), SBX_TIMED_OUT);
    assert_int_equal(a.exit_code, 124);
    assert_string_equal(a.out.data, "before\n");
    assert_true(took >= 300 && took < 3000);
    assert_false(process_exists(mark));
    answer_finish(&a);
    client_shell(c, "echo after", &a);
    assert_string_equal(a.out.data, "after\n");
    answer_finish(&a);
    client_close(c);
}

static void a_limit_kills_background_children(void **state)
{
    (void)state;
    runs_over("echo before; sleep $1 & sleep $1 & wait");
}

static void a_limit_kills_what_left_the_session(void **state)
{
    (void)state;
    runs_over("echo before; setsid sleep $1 & sleep $1");
}

static void a_limit_kills_double_forks(void **state)
{
    (void)state;
    runs_over("echo before; (setsid sh -c '(sleep '$1' &) ; sleep '$1 >/dev/null 2>&1 &) ; sleep $1");
}

static void a_limit_kills_what_ignores_signals(void **state)
{
    (void)state;
    runs_over("trap '' TERM INT HUP; echo before; while :; do sleep $1; done");
}

static void a_limit_kills_what_is_stopped(void **state)
{
    (void)state;
    runs_over("echo before; sleep $1 & kill -STOP $!; kill -STOP $$");
}

static void a_limit_kills_a_chain_that_forks_away(void **state)
{
    (void)state;
    runs_over("echo before; export m=$1; chain='sh -c \"$chain\" $m & exit'; export chain; sh -c \"$chain\" $m & "
              "while :; do sleep 0.02; done");
}

static void a_fast_death_under_a_long_limit_is_no_time_out(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    client_wait(c, begin(c, "kill -TERM $$", "x", 60000, EXEC_NO_STDIN), NULL, 0, &a);
    assert_int_equal(a.result, SBX_SIGNALLED);
    assert_int_equal(a.exit_code, 143);
    answer_finish(&a);
    client_wait(c, begin(c, "exit 124", "x", 60000, EXEC_NO_STDIN), NULL, 0, &a);
    assert_int_equal(a.result, SBX_EXITED);
    assert_int_equal(a.exit_code, 124);
    answer_finish(&a);
    client_close(c);
}

static void cancel_kills_the_tree_and_the_connection_goes_on(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    const char *mark = marker();
    (void)state;
    uint32_t id = begin(c, "setsid sleep $1 & sleep $1", mark, 0, EXEC_NO_STDIN);
    while (!process_exists(mark))
        (void)usleep(1000);
    client_number(c, id, FRAME_CANCEL, 0);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    assert_false(process_exists(mark));
    client_shell(c, "echo after", &a);
    assert_string_equal(a.out.data, "after\n");
    answer_finish(&a);
    client_close(c);
}

static void a_lost_connection_kills_the_tree(void **state)
{
    const char *mark = marker();
    struct client *c = client_open(NULL);
    (void)state;
    (void)begin(c, "setsid sleep $1 & (trap '' TERM; sleep $1) & sleep $1", mark, 0, EXEC_NO_STDIN);
    while (!process_exists(mark))
        (void)usleep(1000);
    client_close(c);
    assert_true(process_gone(mark, 2000));
}

static void a_killed_guest_takes_its_commands_along(void **state)
{
    const char *mark = marker();
    struct client *c = client_open(NULL);
    (void)state;
    (void)begin(c, "setsid sleep $1 & sleep $1", mark, 0, EXEC_NO_STDIN);
    while (!process_exists(mark))
        (void)usleep(1000);
    assert_int_equal(kill(c->pid, SIGTERM), 0);
    client_close(c);
    assert_true(process_gone(mark, 2000));
}

static void a_background_child_does_not_hold_the_end(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    const char *mark = marker();
    int64_t began = now_ms();
    (void)state;
    client_wait(c, begin(c, "sleep $1 & echo out", mark, 0, EXEC_NO_STDIN), NULL, 0, &a);
    assert_true(now_ms() - began < 2000);
    assert_int_equal(a.result, SBX_EXITED | SBX_OUTPUT_INCOMPLETE);
    assert_string_equal(a.out.data, "out\n");
    assert_true(process_exists(mark)); /* it lives on */
    answer_finish(&a);
    began = now_ms();
    client_wait(c, begin(c, "sleep $1 >/dev/null 2>&1 & echo out", mark, 0, EXEC_NO_STDIN), NULL, 0, &a);
    assert_true(now_ms() - began < 190);
    assert_int_equal(a.result, SBX_EXITED);
    answer_finish(&a);
    client_close(c);
    assert_true(process_gone(mark, 2000)); /* with the guest */
}

static void a_background_writer_does_not_hold_the_end(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    const char *mark = marker();
    int64_t began = now_ms();
    (void)state;
    client_wait(c, begin(c, "yes $1 & exit 7", mark, 0, EXEC_NO_STDIN), NULL, 0, &a);
    assert_true(now_ms() - began < 5000);
    assert_int_equal(a.result, SBX_EXITED | SBX_OUTPUT_INCOMPLETE);
    assert_int_equal(a.exit_code, 7);
    answer_finish(&a);
    assert_true(process_gone(mark, 2000)); /* by SIGPIPE */
    client_close(c);
}

/* What a command of the guest's own user can do: kill its keeper. The tree must still go, and nobody say how it ended.
 */
static void a_killed_keeper_makes_the_end_unknown(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    const char *mark = marker();
    (void)state;
    client_wait(c,
                begin(c, "setsid sleep $1 & kill -9 $(cut -d' ' -f4 /proc/$$/stat); sleep $1", mark, 0, EXEC_NO_STDIN),
                NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_UNKNOWN);
    answer_finish(&a);
    assert_true(process_gone(mark, 2000));
    client_shell(c, "echo after", &a);
    assert_string_equal(a.out.data, "after\n");
    answer_finish(&a);
    client_close(c);
}

static void a_stopped_keeper_does_not_save_its_command(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    const char *mark = marker();
    (void)state;
    client_wait(c, begin(c, "kill -STOP $(cut -d' ' -f4 /proc/$$/stat); sleep $1", mark, 200, EXEC_NO_STDIN), NULL, 0,
                &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.result & SBX_TIMED_OUT, SBX_TIMED_OUT);
    answer_finish(&a);
    assert_true(process_gone(mark, 2000));
    client_close(c);
}

static void limits_of_many_commands_do_not_mix(void **state)
{
    struct client *c = client_open(NULL);
    const char *mark = marker();
    uint32_t ids[8];
    (void)state;
    for (int i = 0; i < 8; i++)
        ids[i] = begin(c, i % 2 ? "sleep $1" : "sleep 0.6; echo ok", mark, i % 2 ? 200 : 30000, EXEC_NO_STDIN);
    struct frame f;
    uint64_t results[8] = {0};
    for (int ended = 0; ended < 8;) {
        assert_int_equal(client_next(c, &f), 1);
        if (f.head.type != FRAME_END)
            continue;
        const unsigned char *p = f.payload;
        size_t left = f.head.len;
        struct wire_field_view v;
        int ok = 1;
        while (wire_next_field(&p, &left, &v) == 1)
            if (v.tag == F_RESULT)
                results[f.head.id - ids[0]] = wire_number(&v, &ok);
        ended++;
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(results[i], i % 2 ? SBX_TIMED_OUT : SBX_EXITED);
    assert_false(process_exists(mark));
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_kills_background_children),
        cmocka_unit_test(a_limit_kills_what_left_the_session),
        cmocka_unit_test(a_limit_kills_double_forks),
        cmocka_unit_test(a_limit_kills_what_ignores_signals),
        cmocka_unit_test(a_limit_kills_what_is_stopped),
        cmocka_unit_test(a_limit_kills_a_chain_that_forks_away),
        cmocka_unit_test(a_fast_death_under_a_long_limit_is_no_time_out),
        cmocka_unit_test(cancel_kills_the_tree_and_the_connection_goes_on),
        cmocka_unit_test(a_lost_connection_kills_the_tree),
        cmocka_unit_test(a_killed_guest_takes_its_commands_along),
        cmocka_unit_test(a_background_child_does_not_hold_the_end),
        cmocka_unit_test(a_background_writer_does_not_hold_the_end),
        cmocka_unit_test(a_killed_keeper_makes_the_end_unknown),
        cmocka_unit_test(a_stopped_keeper_does_not_save_its_command),
        cmocka_unit_test(limits_of_many_commands_do_not_mix),
    };
    return RUN_TESTS("guest kill", tests, argc, argv);
}
