/* SPDX-License-Identifier: MIT
 *
 * test_http.c - requests to a service that answers well, badly, slowly, half or not at all.
 */
#include "plugins/common/http.h"
#include "tests/common/runner.h"
#include "tests/common/service.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAIN "HTTP/1.1 200 OK\r\nApi-Version: 1.41 \r\nContent-Length: 5\r\n\r\nhello"

struct asking {
    struct http *http;
    struct sbx_error error;
    struct sbx_call call;
    struct http_reply reply;
};

static void asking_open(struct asking *a, const char *path)
{
    const struct http_options options = {.base = "http://service", .unix_path = path};
    memset(a, 0, sizeof *a);
    a->error.size = sizeof a->error;
    a->call = (struct sbx_call){.size = sizeof a->call, .error = &a->error};
    assert_int_equal(http_open(&options, &a->call, &a->http), SBX_OK);
}

static sbx_status ask(struct asking *a, const char *method)
{
    const struct http_request request = {.what = "ask",
                                         .method = method,
                                         .path = "/thing",
                                         .wanted = {"Api-Version"},
                                         .body = strcmp(method, "POST") == 0 ? "{}" : NULL,
                                         .body_len = 2,
                                         .reply_limit = 1000};
    http_reply_finish(&a->reply);
    a->error.code = SBX_OK;
    return http_run(a->http, &a->call, &request, &a->reply);
}

static void asking_close(struct asking *a)
{
    http_reply_finish(&a->reply);
    http_close(a->http);
}

static void a_reply_comes_whole_with_its_status_and_header(void **state)
{
    struct service s;
    struct asking a;
    (void)state;
    service_open(&s, PLAIN, strlen(PLAIN), 1);
    asking_open(&a, s.path);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&a, i == 1 ? "POST" : "GET"), SBX_OK);
        assert_int_equal(a.reply.status, 200);
        assert_string_equal(a.reply.body.data, "hello");
        assert_string_equal(a.reply.header[0], "1.41");
        assert_string_equal(a.reply.header[1], "");
    }
    assert_memory_equal(s.last, "GET /thing HTTP/1.1\r\n", 21);
    assert_null(strstr(s.last, "Expect"));
    asking_close(&a);
    service_close(&s);
}

static void a_reply_cut_anywhere_is_never_taken_for_whole(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < strlen(PLAIN); cut++) {
        struct service s;
        struct asking a;
        service_open(&s, PLAIN, cut, 0);
        asking_open(&a, s.path);
        assert_int_equal(ask(&a, "GET"), SBX_E_UNAVAILABLE);
        assert_int_equal(ask(&a, "POST"), SBX_E_UNKNOWN);
        assert_int_equal(a.error.flags & SBX_ERR_MAYBE_APPLIED, SBX_ERR_MAYBE_APPLIED);
        asking_close(&a);
        service_close(&s);
    }
}

static void an_error_reply_leaves_the_connection_usable(void **state)
{
    static const char conflict[] = "HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nbusy";
    struct service s;
    struct asking a;
    (void)state;
    service_open(&s, conflict, strlen(conflict), 1);
    asking_open(&a, s.path);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(&a, "POST"), SBX_OK);
        assert_int_equal(a.reply.status, 409);
        assert_string_equal(a.reply.body.data, "busy");
    }
    asking_close(&a);
    service_close(&s);
}

static void a_reply_over_its_limit_is_refused(void **state)
{
    char reply[3000];
    struct service s;
    struct asking a;
    (void)state;
    int head = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    memset(reply + head, 'x', sizeof reply - (size_t)head);
    service_open(&s, reply, sizeof reply, 0);
    asking_open(&a, s.path);
    assert_int_equal(ask(&a, "GET"), SBX_E_TOO_LARGE);
    asking_close(&a);
    service_close(&s);
}

static void a_service_that_is_not_there_is_named(void **state)
{
    struct asking a;
    (void)state;
    asking_open(&a, "/nonexistent/service");
    assert_int_equal(ask(&a, "POST"), SBX_E_UNAVAILABLE);
    assert_string_equal(a.error.message, "ask: cannot reach '/nonexistent/service': No such file or directory");
    assert_int_equal(a.error.os_errno, ENOENT);
    assert_int_equal(a.error.flags & SBX_ERR_MAYBE_APPLIED, 0);
    asking_close(&a);
}

static void deadline_and_cancel_end_a_request(void **state)
{
    struct service s;
    struct asking a;
    int cancel[2];
    (void)state;
    service_open(&s, NULL, 0, 0);
    asking_open(&a, s.path);
    int64_t start = clock_now_ns();
    a.call.deadline_ns = start + 300 * 1000000;
    assert_int_equal(ask(&a, "GET"), SBX_E_TIMEOUT);
    assert_in_range(clock_now_ns() - start, 290 * 1000000, 1300 * 1000000);
    a.call.deadline_ns = 0;
    assert_int_equal(pipe2(cancel, O_CLOEXEC), 0);
    assert_int_equal(write(cancel[1], "x", 1), 1);
    a.call.cancel_fd = cancel[0];
    a.call.flags = SBX_CALL_HAS_CANCEL_FD;
    start = clock_now_ns();
    assert_int_equal(ask(&a, "GET"), SBX_E_CANCELLED);
    assert_true(clock_now_ns() - start < 1000000000);
    (void)close(cancel[0]);
    (void)close(cancel[1]);
    asking_close(&a);
    service_close(&s);
}

static void connections_are_close_on_exec(void **state)
{
    struct service s;
    struct asking a;
    int seen = 0;
    (void)state;
    service_open(&s, PLAIN, strlen(PLAIN), 1);
    asking_open(&a, s.path);
    assert_int_equal(ask(&a, "GET"), SBX_OK);
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_un peer = {.sun_family = AF_UNSPEC};
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0 || strcmp(peer.sun_path, s.path) != 0)
            continue;
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        seen++;
    }
    assert_int_equal(seen, 1);
    asking_close(&a);
    service_close(&s);
}

/* The service serves one connection at a time, which is the parent's: on one of its own the child waits. */
static void a_forked_process_asks_on_a_connection_of_its_own(void **state)
{
    struct service s;
    struct asking a;
    int status = -1;
    (void)state;
    service_open(&s, PLAIN, strlen(PLAIN), 1);
    asking_open(&a, s.path);
    assert_int_equal(ask(&a, "GET"), SBX_OK);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        a.call.deadline_ns = clock_now_ns() + 300 * MS_NS;
        const char *answer = ask(&a, "GET") == SBX_E_TIMEOUT ? "/bin/true" : "/bin/false";
        (void)execl(answer, answer, (char *)NULL); /* an exit would have a leak checker look at its parent's memory */
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(ask(&a, "GET"), SBX_OK);
    asking_close(&a);
    service_close(&s);
}

static void parts_of_a_path_are_escaped(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text, 100);
    http_put_escaped(&text, "a-Z_0.~ /?&%\xc3\xa9");
    assert_string_equal(text.data, "a-Z_0.~%20%2F%3F%26%25%C3%A9");
    buf_finish(&text);
}

static sbx_status upgrade(struct asking *a, struct http_tunnel **tunnel)
{
    const struct http_request request = {
        .what = "ask", .method = "POST", .path = "/stream", .body = "{}", .body_len = 2};
    http_reply_finish(&a->reply);
    return http_upgrade(a->http, &a->call, &request, &a->reply, tunnel);
}

static int64_t read_wait(struct http_tunnel *tunnel, char *buf, size_t cap)
{
    for (;;) {
        struct pollfd wait = {.fd = http_tunnel_fd(tunnel), .events = POLLIN};
        int64_t n = http_tunnel_read(tunnel, buf, cap);
        if (n != SBX_AGAIN)
            return n;
        assert_int_equal(poll(&wait, 1, 10000), 1);
    }
}

static void an_upgraded_connection_is_a_stream_of_what_comes_behind_the_head(void **state)
{
    static const char text[] = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nhello\r\n\r\nHTTP";
    struct service s;
    struct asking a;
    struct http_tunnel *tunnel = NULL;
    char got[64];
    size_t len = 0;
    (void)state;
    service_open(&s, text, strlen(text), 0);
    asking_open(&a, s.path);
    assert_int_equal(upgrade(&a, &tunnel), SBX_OK);
    assert_non_null(tunnel);
    assert_int_equal(fcntl(http_tunnel_fd(tunnel), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    for (int64_t n; (n = read_wait(tunnel, got + len, 3)) != 0; len += (size_t)n)
        assert_true(n > 0);
    assert_int_equal(len, 13);
    assert_memory_equal(got, "hello\r\n\r\nHTTP", 13);
    assert_non_null(strstr(s.last, "Upgrade: tcp\r\n"));
    http_tunnel_close(tunnel);
    asking_close(&a);
    service_close(&s);
}

static void a_refused_upgrade_is_a_reply_and_a_cut_one_is_unknown(void **state)
{
    static const char text[] = "HTTP/1.1 409 Conflict\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
    (void)state;
    for (size_t len = 0; len <= strlen(text); len++) {
        struct service s;
        struct asking a;
        struct http_tunnel *tunnel = NULL;
        service_open(&s, text, len, len == strlen(text));
        asking_open(&a, s.path);
        sbx_status status = upgrade(&a, &tunnel);
        assert_null(tunnel);
        assert_int_equal(status, len == strlen(text) ? SBX_OK : SBX_E_UNKNOWN);
        if (status == SBX_OK) {
            assert_int_equal(a.reply.status, 409);
            assert_int_equal(a.reply.body.len, 7);
        }
        asking_close(&a);
        service_close(&s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_comes_whole_with_its_status_and_header),
        cmocka_unit_test(a_reply_cut_anywhere_is_never_taken_for_whole),
        cmocka_unit_test(an_error_reply_leaves_the_connection_usable),
        cmocka_unit_test(a_reply_over_its_limit_is_refused),
        cmocka_unit_test(a_service_that_is_not_there_is_named),
        cmocka_unit_test(deadline_and_cancel_end_a_request),
        cmocka_unit_test(connections_are_close_on_exec),
        cmocka_unit_test(an_upgraded_connection_is_a_stream_of_what_comes_behind_the_head),
        cmocka_unit_test(a_refused_upgrade_is_a_reply_and_a_cut_one_is_unknown),
        cmocka_unit_test(a_forked_process_asks_on_a_connection_of_its_own),
        cmocka_unit_test(parts_of_a_path_are_escaped),
    };
    return RUN_TESTS(tests, argc, argv);
}
