/* SPDX-License-Identifier: MIT
 *
 * test_sleep.c - a sandbox in which nothing runs for a while: suspended and resumed, or held still by a request.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/client.h"

static const char *marker(void)
{
    static char text[64];
    static unsigned count;
    (void)snprintf(text, sizeof text, "96%07d.%03u", (int)getpid(), ++count);
    return text;
}

static int64_t ask(struct client *c, uint64_t op)
{
    struct message m;
    struct answer a;
    message_init(&m, op);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    int64_t status = a.status;
    answer_finish(&a);
    return status;
}

/* A shell line with the scratch directory as $1 and a marker as $2, whose end nobody waits for yet. */
static uint32_t begin(struct client *c, const char *line, const char *mark, uint64_t limit_ms)
{
    struct message m;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"/bin/sh", "-c", line, "sh", scratch(), mark, NULL});
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    if (limit_ms > 0)
        message_number(&m, F_TIMEOUT_MS, limit_ms);
    return client_request(c, &m);
}

static off_t size_of(const char *name)
{
    char path[512];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", scratch(), name);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* The file grows, or (within a while) it does not. */
static int grows(const char *name, int ms)
{
    off_t before = size_of(name);
    for (int64_t until = now_ms() + ms; now_ms() < until;) {
        if (size_of(name) > before)
            return 1;
        (void)usleep(2000);
    }
    return 0;
}

static struct client *pair_open(struct server *s, struct client **second)
{
    server_open(s, (const char *const[]){"--any-peer", NULL});
    struct client *first = server_connect(s);
    *second = server_connect(s);
    client_greet(first);
    client_greet(*second);
    return first;
}

static void pair_close(struct server *s, struct client *first, struct client *second)
{
    client_close(first);
    client_close(second);
    server_close(s);
}

static void suspended_processes_do_nothing_until_they_are_resumed(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    (void)state;
    (void)begin(c, "(setsid sh -c 'while :; do echo x >>'$1'/a; done' &); while :; do echo x >>$1/b; done", "1", 0);
    assert_true(grows("a", 5000) && grows("b", 5000));
    for (int round = 0; round < 3; round++) {
        assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
        assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
        assert_false(grows("a", 150) || grows("b", 150));
        assert_int_equal(ask(other, OP_RESUME), SBX_OK);
        assert_int_equal(ask(other, OP_RESUME), SBX_OK);
        assert_true(grows("a", 5000) && grows("b", 5000));
    }
    pair_close(&s, c, other);
}

static void a_fork_storm_comes_to_rest(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    (void)state;
    (void)begin(c,
                "storm() { while :; do (echo x >>$1/a; setsid true) & [ $(($(date +%s%N) % 7)) = 0 ] && wait; done; }; "
                "for i in 1 2 3; do storm $1 & done; wait",
                "1", 0);
    assert_true(grows("a", 5000));
    for (int round = 0; round < 5; round++) {
        assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
        assert_false(grows("a", 200));
        assert_int_equal(ask(other, OP_RESUME), SBX_OK);
        assert_true(grows("a", 5000));
    }
    pair_close(&s, c, other);
}

static void who_was_stopped_before_stays_so(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    (void)state;
    (void)begin(c,
                "sh -c 'while :; do echo x >>'$1'/a; done' & kill -STOP $!; "
                "until grep -q '^State:.T' /proc/$!/status; do :; done; "
                "while :; do echo x >>$1/b; done",
                "1", 0);
    assert_true(grows("b", 5000));
    assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
    assert_int_equal(ask(other, OP_RESUME), SBX_OK);
    assert_true(grows("b", 5000));
    assert_false(grows("a", 200));
    pair_close(&s, c, other);
}

static void asleep_it_answers_about_itself_and_refuses_the_rest_at_once(void **state)
{
    static const uint64_t refused[] = {OP_JOB_LIST, OP_SHELL_LIST};
    struct client *c = client_open(NULL);
    struct answer a;
    struct message m;
    (void)state;
    assert_int_equal(ask(c, OP_SUSPEND), SBX_OK);
    int64_t began = now_ms();
    client_shell(c, "echo no", &a);
    assert_int_equal(a.status, SBX_E_STATE);
    assert_int_equal(a.out.len, 0);
    assert_non_null(strstr(a.message, "suspended"));
    answer_finish(&a);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(ask(c, refused[i]), SBX_E_STATE);
    message_init(&m, OP_STAT);
    message_text(&m, F_PATH, "/");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_STATE);
    answer_finish(&a);
    assert_true(now_ms() - began < 500);
    assert_int_equal(ask(c, OP_INFO), SBX_OK);
    message_init(&m, OP_LIFETIME);
    message_number(&m, F_DEADLINE_MS, 600000);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    assert_int_equal(ask(c, OP_RESUME), SBX_OK);
    client_shell(c, "echo yes", &a);
    assert_string_equal(a.out.data, "yes\n");
    answer_finish(&a);
    client_close(c);
}

static void limits_of_commands_go_on_while_they_sleep(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    struct answer a;
    const char *mark = marker();
    (void)state;
    struct frame f;
    uint32_t id = begin(c, "(setsid sleep $2 &); echo before; sleep $2", mark, 700);
    do
        assert_int_equal(client_next(c, &f), 1);
    while (f.head.type != FRAME_DATA);
    assert_int_equal(f.head.len, 7); /* "before": it runs; what it started, too */
    assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.result & SBX_TIMED_OUT, SBX_TIMED_OUT);
    answer_finish(&a);
    assert_true(process_gone(mark, 1000));
    assert_int_equal(ask(other, OP_RESUME), SBX_OK);
    pair_close(&s, c, other);
}

static void a_lost_client_s_command_ends_also_asleep(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    const char *mark = marker();
    (void)state;
    (void)begin(c, "sleep $2", mark, 0);
    while (!process_exists(mark))
        (void)usleep(1000);
    assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
    client_close(c);
    assert_true(process_gone(mark, 3000));
    client_close(other);
    server_close(&s);
}

static void the_lifetime_ends_it_asleep(void **state)
{
    struct server s;
    struct frame f;
    const char *mark = marker();
    (void)state;
    server_open(&s, (const char *const[]){"--any-peer", "--lifetime-ms", "1000", NULL});
    struct client *c = server_connect(&s);
    client_greet(c);
    (void)begin(c, "sleep $2", mark, 0);
    while (!process_exists(mark))
        (void)usleep(1000);
    struct client *other = server_connect(&s);
    client_greet(other);
    assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
    assert_int_equal(client_next_within(other, &f, 5000), 0);
    assert_true(process_gone(mark, 2000));
    pair_close(&s, c, other);
}

static uint32_t hold(struct client *c)
{
    struct message m;
    struct frame f;
    message_init(&m, OP_SUSPEND);
    message_number(&m, F_FLAGS, SUSPEND_HOLD);
    uint32_t id = client_request(c, &m);
    assert_int_equal(client_next(c, &f), 1);
    assert_int_equal(f.head.type, FRAME_REPLY);
    return id;
}

static void a_hold_lasts_as_long_as_its_request_and_others_wait(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    struct client *third = server_connect(&s);
    struct answer a;
    struct frame f;
    (void)state;
    client_greet(third);
    (void)begin(c, "while :; do echo x >>$1/a; done", "1", 0);
    assert_true(grows("a", 5000));
    uint32_t id = hold(other);
    assert_false(grows("a", 100));
    uint32_t waiting = begin(third, "echo late", "1", 0);
    assert_int_equal(client_next_within(third, &f, 150), 0);
    client_send(other, (struct wire_head){.type = FRAME_CANCEL, .id = id}, NULL);
    client_wait(other, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    client_wait(third, waiting, NULL, 0, &a);
    assert_string_equal(a.out.data, "late\n");
    answer_finish(&a);
    assert_true(grows("a", 5000));
    client_close(third);
    pair_close(&s, c, other);
}

static void a_hold_ends_with_its_client(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    (void)state;
    (void)begin(c, "while :; do echo x >>$1/a; done", "1", 0);
    assert_true(grows("a", 5000));
    (void)hold(other);
    struct client *third = server_connect(&s);
    client_greet(third);
    uint32_t id = hold(third);
    client_close(other);
    assert_false(grows("a", 150)); /* the second hold lasts */
    assert_int_equal(ask(third, OP_RESUME), SBX_OK);
    assert_false(grows("a", 150));
    (void)id;
    client_close(third);
    assert_true(grows("a", 5000));
    client_close(c);
    server_close(&s);
}

static void a_suspension_outlasts_a_hold(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    (void)state;
    (void)begin(c, "while :; do echo x >>$1/a; done", "1", 0);
    assert_true(grows("a", 5000));
    (void)hold(other);
    struct client *third = server_connect(&s);
    client_greet(third);
    assert_int_equal(ask(third, OP_SUSPEND), SBX_OK);
    client_close(other);
    assert_false(grows("a", 150));
    assert_int_equal(ask(third, OP_RESUME), SBX_OK);
    assert_true(grows("a", 5000));
    client_close(third);
    client_close(c);
    server_close(&s);
}

static void who_wakes_itself_by_a_timer_is_put_to_sleep_again(void **state)
{
    struct server s;
    struct client *other, *c = pair_open(&s, &other);
    char self[512];
    struct message m;
    (void)state;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n] = '\0';
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){self, "--waker", scratch(), NULL});
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    (void)client_request(c, &m);
    assert_true(grows("a", 5000));
    assert_int_equal(ask(other, OP_SUSPEND), SBX_OK);
    (void)usleep(1500000); /* its timer, and a look of the guest's */
    assert_false(grows("a", 300));
    pair_close(&s, c, other);
}

static void a_limit_kills_what_has_lost_its_first_thread(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    char self[512];
    struct message m;
    const char *mark = marker();
    (void)state;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n] = '\0';
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sh", "-c", "setsid $1 --leaderless $2 $3 & wait", "sh", self, scratch(),
                                           mark, NULL});
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    message_number(&m, F_TIMEOUT_MS, 600);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.result & SBX_TIMED_OUT, SBX_TIMED_OUT);
    answer_finish(&a);
    assert_true(size_of("a") > 0);
    assert_false(grows("a", 300));
    client_close(c);
}

/* --- what the tests run in the guest ------------------------------------------------------------------------------ */

static void *write_on(void *user)
{
    int fd = open(user, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    while (write(fd, "x", 1) == 1)
        (void)usleep(1000);
    return NULL;
}

static void wake_myself(const char *path)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
    const struct itimerspec when = {.it_value = {.tv_sec = 1}};
    (void)timer_create(CLOCK_MONOTONIC, &event, &timer);
    (void)timer_settime(timer, 0, &when, NULL);
    (void)write_on((void *)(uintptr_t)path);
}

static void act(const char *what, const char *dir)
{
    char path[512];
    pthread_t thread;
    (void)snprintf(path, sizeof path, "%s/a", dir);
    if (strcmp(what, "--waker") == 0)
        wake_myself(path);
    if (pthread_create(&thread, NULL, write_on, strdup(path)) == 0)
        pthread_exit(NULL);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        UNIT_TEST(suspended_processes_do_nothing_until_they_are_resumed),
        UNIT_TEST(a_fork_storm_comes_to_rest),
        UNIT_TEST(who_was_stopped_before_stays_so),
        UNIT_TEST(asleep_it_answers_about_itself_and_refuses_the_rest_at_once),
        UNIT_TEST(limits_of_commands_go_on_while_they_sleep),
        UNIT_TEST(a_lost_client_s_command_ends_also_asleep),
        UNIT_TEST(the_lifetime_ends_it_asleep),
        UNIT_TEST(a_hold_lasts_as_long_as_its_request_and_others_wait),
        UNIT_TEST(a_hold_ends_with_its_client),
        UNIT_TEST(a_suspension_outlasts_a_hold),
        UNIT_TEST(who_wakes_itself_by_a_timer_is_put_to_sleep_again),
        UNIT_TEST(a_limit_kills_what_has_lost_its_first_thread),
    };
    if (argc > 2 && strncmp(argv[1], "--", 2) == 0) {
        act(argv[1], argv[2]);
        return 1;
    }
    return RUN_TESTS("sleep", tests, argc, argv);
}
