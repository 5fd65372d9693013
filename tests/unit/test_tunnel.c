/* SPDX-License-Identifier: MIT
 *
 * test_tunnel.c - connections into a sandbox, alone and through a local listener.
 */
#include "direct.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

/* A server that answers each connection's whole input, after its end, with the same. */
struct echo {
    int fd;
    uint32_t port;
    pthread_t thread;
};

static void *echo_one(void *user)
{
    char data[4096];
    size_t len = 0;
    ssize_t got;
    int fd = (int)(intptr_t)user;
    while (len < sizeof data && (got = read(fd, data + len, sizeof data - len)) > 0)
        len += (size_t)got;
    (void)!write(fd, data, len);
    (void)close(fd);
    return NULL;
}

static void *echo_run(void *user)
{
    const struct echo *e = user;
    for (;;) {
        pthread_t thread;
        int fd = accept(e->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        assert_int_equal(pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)fd), 0);
        (void)pthread_detach(thread);
    }
}

static int at_port(uint32_t port, int listens, uint32_t *bound)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (!listens) {
        assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
        return fd;
    }
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 100), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *bound = ntohs(at.sin_port);
    return fd;
}

static void echo_start(struct echo *e)
{
    e->fd = at_port(0, 1, &e->port);
    assert_int_equal(pthread_create(&e->thread, NULL, echo_run, e), 0);
}

static void echo_stop(struct echo *e)
{
    (void)shutdown(e->fd, SHUT_RDWR);
    (void)pthread_join(e->thread, NULL);
    (void)close(e->fd);
}

/* Sends, half-closes, and must get the same back, then the end. */
static void ask(int fd, const char *text)
{
    char back[256];
    size_t len = 0;
    ssize_t got;
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    while ((got = read(fd, back + len, sizeof back - len)) > 0)
        len += (size_t)got;
    assert_int_equal(got, 0);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(back, text, len);
    (void)close(fd);
}

static void *ask_thread(void *fd)
{
    ask(*(int *)fd, "over a pair");
    return NULL;
}

static void dial_carries_both_directions_with_half_closes(void **state)
{
    (void)state;
    struct place p;
    struct echo e;
    int pair[2];
    pthread_t thread;
    place_open(&p, "direct", NULL);
    echo_start(&e);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(pthread_create(&thread, NULL, ask_thread, &pair[1]), 0);
    assert_int_equal(sbx_dial(p.box, e.port, pair[0], pair[0], NULL, &p.error), SBX_OK);
    (void)pthread_join(thread, NULL);
    echo_stop(&e);
    assert_int_equal(sbx_dial(p.box, e.port, pair[0], pair[0], NULL, &p.error), SBX_E_UNAVAILABLE);
    assert_int_equal(sbx_dial(p.box, 0, pair[0], pair[0], NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_dial(p.box, 70000, pair[0], pair[0], NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_dial(p.box, 80, -1, pair[0], NULL, &p.error), SBX_E_INVALID);
    (void)close(pair[0]);
    place_close(&p);
}

static void tunnel_serves_one_after_another_and_many_at_once(void **state)
{
    (void)state;
    struct place p;
    struct echo e;
    uint32_t port = 0;
    int fds[100];
    sbx_tunnel_handle *tunnel = NULL;
    place_open(&p, "direct", NULL);
    echo_start(&e);
    assert_int_equal(sbx_tunnel_open(p.box, e.port, &port, &tunnel, &p.error), SBX_OK);
    assert_true(port > 0);
    for (int i = 0; i < 5; i++)
        ask(at_port(port, 0, NULL), "hello");
    /* More than are served at once: the rest waits for its turn. */
    for (size_t i = 0; i < 100; i++)
        fds[i] = at_port(port, 0, NULL);
    for (size_t i = 0; i < 100; i++)
        ask(fds[i], "hello again");
    uint32_t same = port;
    sbx_tunnel_handle *second = NULL;
    assert_int_equal(sbx_tunnel_open(p.box, e.port, &same, &second, &p.error), SBX_E_BUSY);
    assert_null(second);
    sbx_tunnel_close(tunnel);
    sbx_tunnel_close(NULL);
    echo_stop(&e);
    place_close(&p);
}

static void tunnel_close_ends_what_it_carries(void **state)
{
    (void)state;
    struct place p;
    struct echo e;
    uint32_t port = 0;
    char byte;
    sbx_tunnel_handle *tunnel = NULL;
    place_open(&p, "direct", NULL);
    echo_start(&e);
    assert_int_equal(sbx_tunnel_open(p.box, e.port, &port, &tunnel, &p.error), SBX_OK);
    int fd = at_port(port, 0, NULL);
    assert_int_equal(write(fd, "x", 1), 1);
    sbx_tunnel_close(tunnel);
    assert_true(read(fd, &byte, 1) <= 0);
    (void)close(fd);
    echo_stop(&e);
    place_close(&p);
}

static void tunnels_are_unsupported_where_there_is_no_dial(void **state)
{
    (void)state;
    struct place p;
    uint32_t port = 0;
    sbx_tunnel_handle *tunnel = NULL;
    place_open(&p, "direct-bare", NULL);
    assert_int_equal(sbx_tunnel_open(p.box, 80, &port, &tunnel, &p.error), SBX_E_UNSUPPORTED);
    assert_int_equal(sbx_tunnel_open(p.box, 80, NULL, &tunnel, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(dial_carries_both_directions_with_half_closes),
    UNIT(tunnel_serves_one_after_another_and_many_at_once),
    UNIT(tunnel_close_ends_what_it_carries),
    UNIT(tunnels_are_unsupported_where_there_is_no_dial),
};
UNIT_MAIN(tests)
