/* SPDX-License-Identifier: MIT
 *
 * test_dial.c - connections to ports of the loopback: both ways, each end on its own, refusals.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/guest/client.h"

/* A listener of this test, and the port it was given. */
static int listen_on(int family, uint16_t *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t size = family == AF_INET ? sizeof at.v4 : sizeof at.v6;
    int one = 1;
    memset(&at, 0, sizeof at);
    if (family == AF_INET) {
        at.v4.sin_family = AF_INET;
        at.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        at.v6.sin6_family = AF_INET6;
        at.v6.sin6_addr = in6addr_loopback;
    }
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, &at.any, size) != 0 || listen(fd, 4) != 0 || getsockname(fd, &at.any, &size) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    return fd;
}

static uint32_t ask(struct client *c, uint64_t port)
{
    struct message m;
    message_init(&m, OP_DIAL);
    message_number(&m, F_PORT, port);
    return client_request(c, &m);
}

/* Sends back what comes, to its end, and then a farewell. */
static void *echo_server(void *arg)
{
    int listener = *(int *)arg;
    char bytes[65536];
    ssize_t n;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        for (ssize_t done = 0, sent; done < n; done += sent)
            if ((sent = send(fd, bytes + done, (size_t)(n - done), MSG_NOSIGNAL)) < 0)
                break;
    (void)!send(fd, "bye", 3, MSG_NOSIGNAL);
    (void)close(fd);
    return NULL;
}

static void echo_over(int family)
{
    struct client *c = client_open(NULL);
    uint16_t port = 0;
    int listener = listen_on(family, &port);
    size_t len = 5 << 20;
    char *data = malloc(len);
    pthread_t thread;
    struct answer a;
    if (listener < 0)
        skip_test("this machine has no loopback of that family");
    assert_non_null(data);
    memset(data, 'e', len);
    assert_int_equal(pthread_create(&thread, NULL, echo_server, &listener), 0);
    client_wait(c, ask(c, port), data, len, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.out.len, len + 3);
    assert_memory_equal(a.out.data, data, len);
    assert_memory_equal(a.out.data + len, "bye", 3);
    answer_finish(&a);
    (void)pthread_join(thread, NULL);
    (void)close(listener);
    free(data);
    client_close(c);
}

static void megabytes_go_both_ways_and_half_a_connection_can_end(void **state)
{
    (void)state;
    echo_over(AF_INET);
}

static void a_port_of_ipv6_alone_is_found(void **state)
{
    (void)state;
    echo_over(AF_INET6);
}

static void nobody_there_is_unavailable(void **state)
{
    struct client *c = client_open(NULL);
    uint16_t port = 0;
    struct answer a;
    int listener = listen_on(AF_INET, &port);
    (void)state;
    (void)close(listener);
    client_wait(c, ask(c, port), "x", 1, &a);
    assert_int_equal(a.status, SBX_E_UNAVAILABLE);
    answer_finish(&a);
    client_wait(c, ask(c, 0), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_INVALID);
    answer_finish(&a);
    client_wait(c, ask(c, 65536), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_INVALID);
    answer_finish(&a);
    client_close(c);
}

static void the_servers_end_is_told_before_ours(void **state)
{
    struct client *c = client_open(NULL);
    uint16_t port = 0;
    struct frame f;
    struct answer a;
    char byte;
    int listener = listen_on(AF_INET, &port);
    (void)state;
    uint32_t id = ask(c, port);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(client_next(c, &f), 1);
    assert_int_equal(f.head.type, FRAME_STARTED);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(client_next(c, &f), 1);
    assert_int_equal(f.head.type, FRAME_DATA);
    assert_int_equal(f.head.flags, FLAG_EOF);
    assert_int_equal(client_next_within(c, &f, 100), 0); /* it goes on, the other way */
    client_data(c, id, "z", 1, 1);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    assert_int_equal(recv(fd, &byte, 1, MSG_WAITALL), 1);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    (void)close(fd);
    (void)close(listener);
    client_close(c);
}

static void cancel_closes_the_connection(void **state)
{
    struct client *c = client_open(NULL);
    uint16_t port = 0;
    struct answer a;
    char byte;
    int listener = listen_on(AF_INET, &port);
    (void)state;
    uint32_t id = ask(c, port);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    client_number(c, id, FRAME_CANCEL, 0);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    (void)close(fd);
    (void)close(listener);
    client_close(c);
}

/* A network of this process's own, with one port for those who ask for none in particular. */
static int own_network(uint16_t port)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    char range[32];
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return -1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
    (void)close(fd);
    fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
    int len = snprintf(range, sizeof range, "%u %u", (unsigned)port, (unsigned)port);
    int set = fd >= 0 && write(fd, range, (size_t)len) == len;
    (void)close(fd);
    return up && set ? 0 : -1;
}

/* The last test: it leaves the network. */
static void a_connection_does_not_meet_itself(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(40000)};
    struct answer a;
    (void)state;
    if (own_network(40000) != 0)
        skip_test("no network of our own can be had here");
    struct client *c = client_open(NULL);
    for (int i = 0; i < 3; i++) {
        client_wait(c, ask(c, 40000), "x", 1, &a);
        assert_int_equal(a.status, SBX_E_UNAVAILABLE);
        answer_finish(&a);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0); /* the port is free */
    (void)close(fd);
    client_close(c);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        UNIT_TEST(megabytes_go_both_ways_and_half_a_connection_can_end),
        UNIT_TEST(a_port_of_ipv6_alone_is_found),
        UNIT_TEST(nobody_there_is_unavailable),
        UNIT_TEST(the_servers_end_is_told_before_ours),
        UNIT_TEST(cancel_closes_the_connection),
        UNIT_TEST(a_connection_does_not_meet_itself),
    };
    return RUN_TESTS("dial", tests, argc, argv);
}
