/* SPDX-License-Identifier: MIT */
#include "guest/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/meet.h"

enum { PIECE = 1 << 16, TRIES = 1000 };

/* Bytes on their way from one descriptor to another. */
struct way {
    int from;
    int to;
    size_t at;
    size_t len;
    char data[PIECE];
};

/* The guest may be about to listen. */
static int connect_guest(const char *path)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    struct sockaddr_un name;
    if (meet_name(path, &name) != 0)
        return -1;
    for (int i = 0; i < TRIES; i++) {
        CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -1;
        if (connect(fd, (const struct sockaddr *)&name, sizeof name) == 0)
            return steal_fd(&fd);
        if (errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN)
            return -1;
        (void)nanosleep(&pause, NULL);
    }
    return -1;
}

static int must_wait(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Moves what can be moved now. 1: more may come; 0: the end; -1 with errno. */
static int carry(struct way *way)
{
    if (way->at == way->len) {
        ssize_t n = read(way->from, way->data, sizeof way->data);
        if (n <= 0)
            return n == 0 ? 0 : must_wait() ? 1 : -1;
        way->at = 0;
        way->len = (size_t)n;
    }
    ssize_t n = write(way->to, way->data + way->at, way->len - way->at);
    if (n < 0)
        return must_wait() ? 1 : -1;
    way->at += (size_t)n;
    return 1;
}

static struct pollfd wanted(const struct way *way)
{
    int is_empty = way->at == way->len;
    return (struct pollfd){.fd = is_empty ? way->from : way->to, .events = is_empty ? POLLIN : POLLOUT};
}

static int carry_all(struct way *ways)
{
    for (;;) {
        struct pollfd fds[2] = {wanted(&ways[0]), wanted(&ways[1])};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -1;
        for (int i = 0; i < 2; i++) {
            int more = fds[i].revents != 0 ? carry(&ways[i]) : 1;
            if (more != 1)
                return more;
        }
    }
}

int relay_main(const char *path)
{
    struct way ways[2];
    CLEANUP_FD int fd = -1;
    (void)signal(SIGPIPE, SIG_IGN);
    fd = connect_guest(path);
    if (fd >= 0) {
        for (int i = 0; i < 2; i++) {
            ways[i].from = i == 0 ? 0 : fd;
            ways[i].to = i == 0 ? fd : 1;
            ways[i].at = ways[i].len = 0;
            (void)fcntl(i, F_SETFL, O_NONBLOCK);
        }
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        if (carry_all(ways) == 0)
            return 0;
    }
    (void)fprintf(stderr, "sbx-guest: %s: %s\n", path, strerror(errno));
    return 1;
}
