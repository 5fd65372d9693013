/* SPDX-License-Identifier: MIT
 *
 * test_guest_shells.c - the client and the real sbx-guest together: named shells, connections to the loopback.
 */
#include "tests/common/runner.h"

#include "tests/common/real_guest.h"
#include "tests/common/run.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static int guest_setup(void **state)
{
    *state = calloc(1, sizeof(struct real_guest));
    if (*state == NULL)
        return -1;
    real_start(*state);
    return 0;
}

static int guest_teardown(void **state)
{
    real_stop(*state);
    free(*state);
    return 0;
}

static sbx_status in_shell(struct run *run, struct guest_link *link, const char *line)
{
    kept_finish(&run->out);
    kept_finish(&run->err);
    kept_init(&run->out);
    kept_init(&run->err);
    run->args.out = &run->out.sink;
    run->args.err = &run->err.sink;
    run->args.argv = NULL;
    run->args.command = line;
    run->args.shell = "main";
    run->result = (struct sbx_exec_result){.size = sizeof run->result};
    return run_on(run, link);
}

static const char *text(const struct kept *kept)
{
    return kept->data.data != NULL ? kept->data.data : "";
}

static void a_named_shell_keeps_its_state_over_calls(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    assert_int_equal(in_shell(&run, g->link, "cd /usr; X=1"), SBX_OK);
    assert_int_equal(in_shell(&run, g->link, "pwd; echo $X; echo e >&2; (exit 3)"), SBX_OK);
    assert_string_equal(text(&run.out), "/usr\n1\n");
    assert_string_equal(text(&run.err), "e\n");
    assert_int_equal(run.result.flags, SBX_EXITED);
    assert_int_equal(run.result.exit_code, 3);
    assert_int_equal(run.result.out_bytes, 7);
    static const char *const argv[] = {"printf", "%s|", "a b", "it's", "$X", NULL};
    run.args.command = NULL;
    run.args.argv = argv;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_string_equal(text(&run.out), "/usr\n1\na b|it's|$X|");
}

static void a_shell_that_ended_is_told_with_its_code(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    assert_int_equal(in_shell(&run, g->link, "X=1; echo last; exit 6"), SBX_E_STATE);
    assert_int_equal(run.result.flags, SBX_EXITED);
    assert_int_equal(run.result.exit_code, 6);
    assert_string_equal(text(&run.out), "last\n");
    assert_string_equal(run.error.message, "exec: shell 'main' has ended");
    assert_int_equal(in_shell(&run, g->link, "echo ${X-fresh}"), SBX_OK);
    assert_string_equal(text(&run.out), "fresh\n");
    assert_int_equal(guest_shell_close(g->link, &run.call, "main"), SBX_OK);
    assert_int_equal(guest_shell_close(g->link, &run.call, "main"), SBX_E_NOT_FOUND);
}

static void a_limit_and_a_deadline_leave_the_shell(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    run.args.timeout_ms = 100;
    assert_int_equal(in_shell(&run, g->link, "X=1; sleep 30"), SBX_OK);
    assert_int_equal(run.result.flags, SBX_TIMED_OUT);
    assert_int_equal(run.result.exit_code, 124);
    run.args.timeout_ms = 0;
    int64_t deadline = run.call.deadline_ns;
    run.call.deadline_ns = clock_now_ns() + 100 * MS;
    assert_int_equal(in_shell(&run, g->link, "sleep 30"), SBX_E_TIMEOUT);
    run.call.deadline_ns = deadline;
    assert_int_equal(in_shell(&run, g->link, "echo $X"), SBX_OK);
    assert_string_equal(text(&run.out), "1\n");
}

static void what_a_shell_is_started_with_cannot_change(void **state)
{
    struct real_guest *g = *state;
    struct sbx_kv one = {"A", "1"}, two = {"A", "2"};
    RUN run;
    run_init(&run);
    run.args.envs = (struct sbx_kvs){&one, 1};
    run.args.cwd = "/usr";
    assert_int_equal(in_shell(&run, g->link, "echo $A; pwd"), SBX_OK);
    assert_string_equal(text(&run.out), "1\n/usr\n");
    assert_int_equal(in_shell(&run, g->link, "echo $A"), SBX_OK);
    run.args.envs = (struct sbx_kvs){0};
    run.args.cwd = NULL;
    assert_int_equal(in_shell(&run, g->link, "echo $A"), SBX_OK);
    run.args.envs = (struct sbx_kvs){&two, 1};
    assert_int_equal(in_shell(&run, g->link, "echo $A"), SBX_E_INVALID);
    assert_string_equal(run.error.message, "exec: shell 'main' was started with another environment");
    run.args.envs = (struct sbx_kvs){0};
    run.args.cwd = "/tmp";
    assert_int_equal(in_shell(&run, g->link, "echo $A"), SBX_E_INVALID);
}

/* --- connections -------------------------------------------------------------------------------------------------- */

struct server {
    pthread_t thread;
    int listener;
    uint16_t port;
};

/* Takes what comes to its end and answers with it; its own end comes then. */
static void *serve(void *arg)
{
    const struct server *s = arg;
    char bytes[4096];
    size_t len = 0;
    ssize_t n;
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    while ((n = recv(fd, bytes + len, sizeof bytes - len, 0)) > 0)
        len += (size_t)n;
    (void)!send(fd, bytes, len, MSG_NOSIGNAL);
    (void)close(fd);
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (const struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &size), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static int32_t count_ends(void *user, const void *data, size_t len)
{
    struct kept *kept = user;
    if (len == 0)
        kept->stop_after++; /* here: how often the end was told */
    return len == 0 || buf_append(&kept->data, data, len) == 0 ? 0 : 1;
}

static void a_dialled_port_answers_to_both_ends(void **state)
{
    struct real_guest *g = *state;
    struct server server;
    struct given given;
    struct kept kept;
    RUN run;
    run_init(&run);
    server_start(&server);
    given_init(&given, "question", 8);
    kept_init(&kept);
    struct sbx_sink sink = {.size = sizeof sink, .user = &kept, .write = count_ends};
    assert_int_equal(guest_dial(g->link, &run.call, server.port, &given.source, &sink), SBX_OK);
    assert_string_equal(text(&kept), "question");
    assert_int_equal(kept.stop_after, 1);
    kept_finish(&kept);
    (void)pthread_join(server.thread, NULL);
    (void)close(server.listener);
    assert_int_equal(guest_dial(g->link, &run.call, server.port, NULL, NULL), SBX_E_UNAVAILABLE);
    assert_non_null(strstr(run.error.message, "nothing listens"));
}

#define WITH_GUEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WITH_GUEST(a_named_shell_keeps_its_state_over_calls), WITH_GUEST(a_shell_that_ended_is_told_with_its_code),
        WITH_GUEST(a_limit_and_a_deadline_leave_the_shell),   WITH_GUEST(what_a_shell_is_started_with_cannot_change),
        WITH_GUEST(a_dialled_port_answers_to_both_ends),
    };
    return RUN_TESTS(tests, argc, argv);
}
