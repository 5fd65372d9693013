/* SPDX-License-Identifier: MIT */
#include "guest/meet.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { MEET_FDS = 2 };

static int take_fds(int fd, int *fds)
{
    char byte;
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(MEET_FDS * sizeof(int))];
    } control;
    struct iovec text = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;
    do {
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
        errno = EPROTO;
        return -1;
    }
    size_t len = head->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(head), len < MEET_FDS * sizeof *fds ? len : MEET_FDS * sizeof *fds);
    return 0;
}

int meet_name(const char *path, struct sockaddr_un *name)
{
    size_t len = strlen(path);
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len >= sizeof name->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name->sun_path, path, len + 1);
    return 0;
}

int meet_listen(struct guest *g, const char *path)
{
    struct sockaddr_un name;
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || meet_name(path, &name) != 0)
        return -1;
    mode_t before = umask(0177);
    int bound = bind(fd, (const struct sockaddr *)&name, sizeof name);
    (void)umask(before);
    if (bound != 0 || listen(fd, GUEST_MAX_CONNECTIONS) != 0)
        return -1;
    g->listen_fd = steal_fd(&fd);
    return 0;
}

int meet_take(struct guest *g, const char *path)
{
    struct sockaddr_un name;
    int fds[MEET_FDS] = {-1, -1};
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || meet_name(path, &name) != 0 || connect(fd, (const struct sockaddr *)&name, sizeof name) != 0 ||
        take_fds(fd, fds) != 0)
        return -1;
    g->listen_fd = fds[0];
    g->lifeline_fd = fds[1];
    g->ready_fd = steal_fd(&fd);
    return 0;
}

int meet_workdir(const struct guest *g)
{
    char path[PATH_MAX];
    size_t len = strlen(g->workdir);
    memcpy(path, g->workdir, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/')
            continue;
        path[i] = '\0';
        (void)mkdir(path, 0755);
        path[i] = '/';
    }
    if (mkdir(path, 0755) != 0)
        return errno == EEXIST ? 0 : -1;
    return lchown(path, g->user.uid, g->user.gid);
}
