/* SPDX-License-Identifier: MIT */
#include "tests/common/service.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MUST(condition) ((condition) ? (void)0 : abort())

/* 1: fd can be read; 0: the test is over. */
static int wait_for(struct service *s, int fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
    MUST(poll(fds, 2, -1) > 0);
    return fds[1].revents == 0;
}

/* Whether a request is there with the body that its head announces. */
static int is_whole(const char *text, size_t len)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
    size_t body = length != NULL && length < end ? (size_t)strtoul(length + 17, NULL, 10) : 0;
    return end != NULL && len >= (size_t)(end + 4 - text) + body;
}

/* Reads one request, which is short. */
static int take_request(struct service *s, int fd)
{
    char text[4096] = "";
    size_t len = 0;
    while (!is_whole(text, len)) {
        if (!wait_for(s, fd))
            return 0;
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0)
            return 0;
        len += (size_t)n;
        text[len] = '\0';
    }
    s->requests++;
    (void)snprintf(s->last, sizeof s->last, "%.500s", text);
    return 1;
}

static void serve(struct service *s, int fd)
{
    while (take_request(s, fd)) {
        if (s->reply == NULL) {
            char byte;
            (void)(wait_for(s, fd) && recv(fd, &byte, 1, 0));
            return;
        }
        (void)send(fd, s->reply, s->reply_len, MSG_NOSIGNAL);
        if (!s->keep)
            return;
    }
}

static void *run(void *user)
{
    struct service *s = user;
    while (wait_for(s, s->listen_fd)) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        serve(s, fd);
        (void)close(fd);
    }
    return NULL;
}

void service_open(struct service *s, const char *reply, size_t reply_len, int keep)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memset(s, 0, sizeof *s);
    s->reply = reply;
    s->reply_len = reply_len;
    s->keep = keep;
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/sbx-service-XXXXXX");
    MUST(mkdtemp(s->dir) != NULL);
    (void)snprintf(s->path, sizeof s->path, "%s/sock", s->dir);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", s->path);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(s->listen_fd, (const struct sockaddr *)&name, sizeof name) == 0 && listen(s->listen_fd, 16) == 0);
    MUST(pipe2(s->stop, O_CLOEXEC) == 0);
    MUST(pthread_create(&s->thread, NULL, run, s) == 0);
}

void service_close(struct service *s)
{
    (void)close(s->stop[1]);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->stop[0]);
    (void)close(s->listen_fd);
    (void)unlink(s->path);
    (void)rmdir(s->dir);
}
