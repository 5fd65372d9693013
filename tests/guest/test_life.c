/* SPDX-License-Identifier: MIT
 *
 * test_life.c - the guest's own life: how it starts, who may connect, what ends it, what it leaves.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/guest/client.h"

static const char *guest_path(void)
{
    const char *guest = getenv("SBX_TEST_GUEST");
    return guest == NULL ? GUEST_NATIVE : guest;
}

/* Runs the guest with argv to the NULL; its exit code and what it wrote to standard error. */
static int run(const char *const *argv, char *said, size_t size)
{
    int p[2], status;
    size_t len = 0;
    ssize_t n;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(p[1], 1);
        (void)dup2(p[1], 2);
        (void)execv(guest_path(), (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(p[1]);
    while (len + 1 < size && (n = read(p[0], said + len, size - 1 - len)) > 0)
        len += (size_t)n;
    said[len] = '\0';
    (void)close(p[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static void bad_arguments_are_named_in_one_line(void **state)
{
    static const char *const cases[][8] = {
        {"sbx-guest", NULL},
        {"sbx-guest", "nonsense", NULL},
        {"sbx-guest", "serve", NULL},
        {"sbx-guest", "serve", "--stdio", "--listen-fd", "0", NULL},
        {"sbx-guest", "serve", "--listen-fd", NULL},
        {"sbx-guest", "serve", "--listen-fd", "99", NULL},
        {"sbx-guest", "serve", "--stdio", "--lifetime-ms", "-1", NULL},
        {"sbx-guest", "serve", "--stdio", "--lifetime-ms", "99999999999999999999", NULL},
        {"sbx-guest", "serve", "--stdio", "--lifetime-ms", NULL},
        {"sbx-guest", "serve", "--stdio", "--home", NULL},
        {"sbx-guest", "serve", "--listen", NULL},
        {"sbx-guest", "serve", "--stdio", "--user", "me", NULL},
        {"sbx-guest", "serve", "--stdio", "--user", "1:x", NULL},
        {"sbx-guest", "serve", "--stdio", "--user", ":1", NULL},
        {"sbx-guest", "serve", "--stdio", "--meet", "/nonexistent", NULL},
        {"sbx-guest", "serve", "--stdio", "--workdir", "relative", NULL},
        {"sbx-guest", "serve", "--stdio", "--what", NULL},
    };
    char said[512];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(run(cases[i], said, sizeof said), 2);
        assert_memory_equal(said, "sbx-guest: ", 11);
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
    }
}

static void the_version_is_told(void **state)
{
    char said[128];
    (void)state;
    assert_int_equal(run((const char *const[]){"sbx-guest", "version", NULL}, said, sizeof said), 0);
    assert_string_equal(said, "sbx-guest " SBX_VERSION "\n");
}

static void a_peer_of_the_same_pid_namespace_is_closed(void **state)
{
    struct server s;
    struct frame f;
    (void)state;
    server_open(&s, NULL); /* without --any-peer */
    struct client *c = server_connect(&s);
    assert_int_equal(client_next(c, &f), 0);
    client_close(c);
    server_close(&s);
}

static void connections_are_independent(void **state)
{
    struct server s;
    struct client *c[5];
    struct answer a;
    (void)state;
    server_open(&s, (const char *const[]){"--any-peer", NULL});
    for (int i = 0; i < 5; i++) {
        c[i] = server_connect(&s);
        client_greet(c[i]);
    }
    for (int i = 0; i < 5; i++) {
        if (i % 2)
            client_write(c[i], "garbage of more than twelve bytes", 33);
        else
            client_shell(c[i], "echo ok", &a);
        if (i % 2 == 0) {
            assert_string_equal(a.out.data, "ok\n");
            answer_finish(&a);
        }
    }
    for (int i = 0; i < 5; i++)
        client_close(c[i]);
    server_close(&s);
}

/* A guest, one command of it that would sleep for long, and the marker of that. */
static struct client *with_sleeper(struct server *s, const char *const *args, const char *mark)
{
    struct message m;
    if (s->pid == 0)
        server_open(s, args);
    struct client *c = server_connect(s);
    client_greet(c);
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sh", "-c", "setsid sleep $1 & sleep $1", "sh", mark, NULL});
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    (void)client_request(c, &m);
    for (int64_t until = now_ms() + 5000; !process_exists(mark) && now_ms() < until;)
        (void)usleep(1000);
    return c;
}

static const char *marker(void)
{
    static char texts[4][64];
    static unsigned count;
    char *text = texts[count++ % 4];
    (void)snprintf(text, sizeof texts[0], "97%07d.%03u", (int)getpid(), count);
    return text;
}

static void expect_gone(struct server *s, struct client *c, const char *mark)
{
    int status = -1;
    struct frame f;
    while (client_next(c, &f))
        continue;
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_int_equal(status, 0);
    assert_true(process_gone(mark, 2000));
    client_close(c);
    if (s->lifeline >= 0)
        (void)close(s->lifeline);
    buf_finish(&s->name);
}

static void the_end_of_the_lifeline_ends_everything(void **state)
{
    struct server s = {0};
    const char *mark = marker();
    (void)state;
    struct client *c = with_sleeper(&s, (const char *const[]){"--any-peer", NULL}, mark);
    assert_true(process_exists(mark));
    (void)close(s.lifeline);
    s.lifeline = -1;
    expect_gone(&s, c, mark);
}

static void the_lifetime_ends_everything(void **state)
{
    struct server s = {0};
    const char *mark = marker();
    int64_t began = now_ms();
    (void)state;
    struct client *c = with_sleeper(&s, (const char *const[]){"--any-peer", "--lifetime-ms", "1500", NULL}, mark);
    expect_gone(&s, c, mark);
    assert_true(now_ms() - began >= 1500 && now_ms() - began < 6000);
}

static void shutdown_answers_and_ends_everything(void **state)
{
    struct server s = {0};
    struct message m;
    struct answer a;
    const char *mark = marker();
    (void)state;
    struct client *c = with_sleeper(&s, (const char *const[]){"--any-peer", NULL}, mark);
    message_init(&m, OP_SHUTDOWN);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    expect_gone(&s, c, mark);
}

static void a_lifetime_can_be_set_and_lifted(void **state)
{
    struct server s;
    struct answer a;
    static const uint64_t values[] = {300, 60000, 0};
    (void)state;
    server_open(&s, (const char *const[]){"--any-peer", "--lifetime-ms", "1000", NULL});
    struct client *c = server_connect(&s);
    client_greet(c);
    for (size_t i = 0; i < 3; i++) {
        struct message m;
        message_init(&m, OP_LIFETIME);
        message_number(&m, F_DEADLINE_MS, values[i]);
        client_wait(c, client_request(c, &m), NULL, 0, &a);
        assert_int_equal(a.status, SBX_OK);
        answer_finish(&a);
    }
    (void)usleep(1200000);
    client_shell(c, "echo alive", &a);
    assert_string_equal(a.out.data, "alive\n");
    answer_finish(&a);
    struct message m;
    message_init(&m, OP_INFO);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.pid, s.pid);
    assert_true(a.count > 1);
    answer_finish(&a);
    client_close(c);
    server_close(&s);
}

static void priorities_of_the_launcher_do_not_reach_a_command(void **state)
{
    struct answer a;
    (void)state;
    CLEANUP_FD int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (setpriority(PRIO_PROCESS, 0, -5) != 0)
        skip_test("a better priority needs root");
    (void)!write(fd, "-500", 4); /* refused in many containers: then it is 0 anyway */
    struct client *c = client_open(NULL);
    client_shell(c, "nice; cat /proc/self/oom_score_adj", &a);
    assert_string_equal(a.out.data, "0\n0\n");
    answer_finish(&a);
    client_close(c);
}

static void nothing_inherited_reaches_a_command(void **state)
{
    struct answer a;
    (void)state;
    int leak = open("/etc/passwd", O_RDONLY); /* NOLINT: inheritable on purpose */
    assert_true(leak > 2);
    (void)signal(SIGINT, SIG_IGN);
    assert_int_equal(setenv("LEAKED", "yes", 1), 0);
    struct client *c = client_open(NULL);
    (void)signal(SIGINT, SIG_DFL);
    (void)close(leak);
    client_shell(c, "ls -l /proc/self/fd | grep passwd; echo $LEAKED; grep SigIgn /proc/self/status", &a);
    assert_string_equal(a.out.data, "\nSigIgn:\t0000000000000000\n");
    answer_finish(&a);
    client_close(c);
}

/* The guest as any provider runs it: init of a pid namespace. The test's own process becomes the parent of it. */
static void as_init_it_reaps_and_takes_everything_along(void **state)
{
    struct server s = {0};
    struct answer a;
    const char *mark = marker();
    (void)state;
    if (server_open_init(&s, NULL) != 0)
        skip_test("a pid namespace needs root");
    struct client *c = with_sleeper(&s, NULL, mark); /* peers from outside need no --any-peer */
    client_shell(c, "(sleep 0.1 &) ; (true &) ; echo started", &a);
    assert_string_equal(a.out.data, "started\n");
    answer_finish(&a);
    client_shell(c, "sleep 0.3; ps ax | grep -c '[d]efunct'", &a);
    assert_string_equal(a.out.data, "0\n");
    answer_finish(&a);
    struct message m;
    message_init(&m, OP_EXEC);
    message_argv(&m,
                 (const char *const[]){"sh", "-c", "kill -9 1; kill -STOP 1; kill -TERM 1; setsid sleep $1 & sleep $1",
                                       "sh", marker(), NULL});
    message_number(&m, F_TIMEOUT_MS, 200);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.result, SBX_TIMED_OUT);
    answer_finish(&a);
    assert_true(process_exists(mark)); /* the other command goes on */
    assert_int_equal(kill(s.pid, SIGTERM), 0);
    expect_gone(&s, c, mark);
}

static void an_ordinary_user_serves_itself_alone(void **state)
{
    struct answer a;
    struct message m;
    (void)state;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        skip_test("cannot become an ordinary user");
    if (access(guest_path(), X_OK) != 0)
        skip_test("an ordinary user cannot reach the build tree");
    struct client *c = client_open(NULL);
    client_shell(c, "id -u; grep CapEff /proc/self/status", &a);
    assert_non_null(strstr(a.out.data, "CapEff:\t0000000000000000"));
    answer_finish(&a);
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"id", NULL});
    message_text(&m, F_USER, "root");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_UNSUPPORTED);
    assert_non_null(strstr(a.message, "root"));
    answer_finish(&a);
    message_init(&m, OP_READ);
    message_text(&m, F_PATH, "/etc/shadow");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_PERMISSION);
    answer_finish(&a);
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_arguments_are_named_in_one_line),
        cmocka_unit_test(the_version_is_told),
        cmocka_unit_test(a_peer_of_the_same_pid_namespace_is_closed),
        cmocka_unit_test(connections_are_independent),
        cmocka_unit_test(the_end_of_the_lifeline_ends_everything),
        cmocka_unit_test(the_lifetime_ends_everything),
        cmocka_unit_test(shutdown_answers_and_ends_everything),
        cmocka_unit_test(a_lifetime_can_be_set_and_lifted),
        cmocka_unit_test(nothing_inherited_reaches_a_command),
        cmocka_unit_test(priorities_of_the_launcher_do_not_reach_a_command),
        cmocka_unit_test(as_init_it_reaps_and_takes_everything_along),
        cmocka_unit_test(an_ordinary_user_serves_itself_alone),
    };
    return RUN_TESTS("guest life", tests, argc, argv);
}
