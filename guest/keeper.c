/* SPDX-License-Identifier: MIT */
#include "guest/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/tree.h"
#include "guest/user.h"

enum { KEEPER_SOCK = 3 };

static void report(int32_t kind, int32_t a, int32_t b)
{
    struct keeper_report r = {.kind = kind, .a = a, .b = b};
    while (send(KEEPER_SOCK, &r, sizeof r, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

/* The vectors of a specification: one allocation that the caller frees. */
static char **vectors(const struct spec *s, const char **cwd, char ***envp)
{
    size_t slots = (size_t)s->arg_count + s->env_count + 2;
    char **argv = calloc(slots, sizeof *argv);
    char *text = (char *)(uintptr_t)(s + 1);
    if (argv == NULL)
        return NULL;
    *cwd = text;
    for (size_t i = 0; i < slots; i++) {
        if (i == s->arg_count || i == slots - 1)
            continue;
        text += strlen(text) + 1;
        argv[i] = text;
    }
    *envp = argv + s->arg_count + 1;
    return argv;
}

struct failure {
    int stage;
    int error;
};

/* Standard input, output and error, and what is named beyond them: first all out of the way of the fixed places. */
static int place(const struct spec *s, const int *fds)
{
    int high[SPEC_FDS_MAX];
    for (uint32_t i = SPEC_FDS; i < s->fd_count; i++)
        if ((high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 16)) < 0)
            return -1;
    if (dup2(fds[0], 0) < 0 || dup2(fds[1], 1) < 0 || dup2(fds[2], 2) < 0)
        return -1;
    for (uint32_t i = SPEC_FDS; i < s->fd_count; i++)
        if (dup2(high[i], SPEC_FIRST_MORE + (int)i - SPEC_FDS) < 0)
            return -1;
    return s->tty ? ioctl(0, TIOCSCTTY, 0) : 0;
}

/* The child of the vfork. It shares the keeper's memory: only *why is written. */
static void child(const struct spec *s, const int *fds, const char *cwd, char *const *argv, char *const *envp,
                  volatile struct failure *why)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)setsid();
    why->stage = STAGE_FORK;
    if (place(s, fds) != 0) {
        why->error = errno;
        return;
    }
    why->stage = STAGE_USER;
    if (user_become(s->uid, s->gid, s->groups, s->group_count, (int)s->foreign, (int)s->keep_caps) != 0) {
        why->error = errno;
        return;
    }
    why->stage = STAGE_DIRECTORY;
    if (chdir(cwd) != 0) {
        why->error = errno;
        return;
    }
    why->stage = STAGE_EXEC;
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    spawn_exec(argv, envp);
    why->error = errno;
}

/* 0 with *pid, or the errno with *stage. */
static int spawn(const struct spec *s, const int *fds, pid_t *pid, int *stage)
{
    const char *cwd;
    char **envp;
    char **argv = vectors(s, &cwd, &envp);
    volatile struct failure why = {.stage = STAGE_FORK};
    if (argv == NULL) {
        *stage = STAGE_FORK;
        return ENOMEM;
    }
    pid_t p = vfork();
    if (p == 0) {
        child(s, fds, cwd, argv, envp, &why);
        _exit(127);
    }
    if (p < 0)
        why.error = errno;
    free(argv);
    *stage = why.stage;
    if (why.error == 0) {
        *pid = p;
        return 0;
    }
    if (p > 0)
        while (waitpid(p, NULL, 0) < 0 && errno == EINTR)
            continue;
    return why.error;
}

static void kill_tree(pid_t pid) __attribute__((noreturn));
static void kill_tree(pid_t pid)
{
    struct tree t = {.main = pid, .main_status = SIGKILL}; /* unless it says itself how it ended */
    int left = tree_kill(&t, GUEST_KILL_MS);
    report(KEEPER_KILLED, t.main_status, left != 0);
    _exit(0);
}

static int is_told_to_kill(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1;
}

/* Until the command's first process has ended. Returns when the keeper is free for another command. */
static void keep(pid_t pid, int stay)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    for (int main_status = 0, ended = 0, told = 0;;) {
        int status;
        pid_t p = waitpid(-1, &status, WNOHANG);
        if (p == pid && !told) {
            ended = 1;
            main_status = status;
        }
        if (p > 0 && !is_told_to_kill()) /* orphans may end faster than they are reaped */
            continue;
        if (told && p < 0)
            _exit(0);
        if (ended && !told) {
            report(KEEPER_ENDED, main_status, p < 0);
            if (p < 0)
                return;
            if (!stay)
                _exit(0);
            told = 1;
        }
        int signo = sigwaitinfo(&set, NULL);
        if (signo == SIGTERM)
            kill_tree(told ? 0 : pid);
    }
}

static void command(const struct spec *s, const int *fds)
{
    pid_t pid = 0;
    int stage = 0;
    int error = spawn(s, fds, &pid, &stage);
    for (uint32_t i = 0; i < s->fd_count; i++)
        (void)close(fds[i]);
    if (error != 0) {
        report(KEEPER_REFUSED, error, stage);
        return;
    }
    report(KEEPER_STARTED, pid, 0);
    keep(pid, (int)s->stay);
}

/* One message: the specification (or nothing, when it was inherited) with its descriptors. -1 at the end. */
static ssize_t receive(void *buf, size_t size, int *fds, uint32_t *fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * SPEC_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;
    do
        n = recvmsg(KEEPER_SOCK, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
    if (c == NULL || c->cmsg_type != SCM_RIGHTS || c->cmsg_len > CMSG_LEN(sizeof(int) * SPEC_FDS_MAX))
        return -1;
    size_t len = c->cmsg_len - CMSG_LEN(0);
    *fd_count = (uint32_t)(len / sizeof(int));
    memcpy(fds, CMSG_DATA(c), len);
    return n;
}

/* A launcher's favours, such as being spared when memory runs out, are not for commands. */
static void drop_favours(void)
{
    char first = '0';
    if (getpriority(PRIO_PROCESS, 0) < 0)
        (void)setpriority(PRIO_PROCESS, 0, 0);
    CLEANUP_FD int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (fd >= 0 && read(fd, &first, 1) == 1 && first == '-')
        (void)!pwrite(fd, "0", 1, 0);
}

void keeper_main(int sock, pid_t guest, const struct spec *inherited)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (sock != KEEPER_SOCK && dup3(sock, KEEPER_SOCK, O_CLOEXEC) < 0)
        _exit(1);
    close_from(KEEPER_SOCK + 1);
    (void)umask(022);
    drop_favours();
    struct spec *own = malloc(KEEPER_INLINE);
    if (own == NULL || getppid() != guest)
        _exit(1);
    for (;;) {
        int fds[SPEC_FDS_MAX];
        uint32_t fd_count = 0;
        ssize_t n = receive(own, KEEPER_INLINE, fds, &fd_count);
        if (n < 0)
            _exit(0);
        if (n < (ssize_t)sizeof *own && inherited == NULL)
            _exit(1);
        const struct spec *s = n < (ssize_t)sizeof *own ? inherited : own;
        if (fd_count < SPEC_FDS || s->fd_count != fd_count)
            _exit(1);
        command(s, fds);
    }
}
