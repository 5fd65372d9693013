/* SPDX-License-Identifier: MIT */
#include "guest/command.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/tree.h"
#include "guest/worker.h"

enum { KEEPER_GRACE_MS = 1000 }; /* beyond the keeper's own limit for a kill */

/* --- keepers ---------------------------------------------------------------------------------------------------- */

static int keeper_fork(struct keeper *k, const struct spec *inherited)
{
    int pair[2];
    pid_t guest = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        keeper_main(pair[1], guest, inherited);
    (void)close(pair[1]);
    if (pid < 0) {
        (void)close(pair[0]);
        return -1;
    }
    *k = (struct keeper){.pid = pid, .sock = pair[0]};
    return 0;
}

static void keeper_close(struct keeper *k)
{
    if (k->sock >= 0)
        (void)close(k->sock);
    k->sock = -1;
}

static int keeper_send(const struct keeper *k, const void *data, size_t len, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * SPEC_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * fd_count)};
    memset(&control, 0, sizeof control);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    return sendmsg(k->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

/* A keeper that has taken the command. Idle ones that died meanwhile are passed over. */
static int keeper_take(struct guest *g, struct keeper *k, const struct spec *spec, const int *fds)
{
    int large = spec->size > KEEPER_INLINE;
    while (!large && g->idle_count > 0) {
        *k = g->idle[--g->idle_count];
        if (keeper_send(k, spec, spec->size, fds, spec->fd_count) == 0)
            return 0;
        keeper_close(k);
    }
    if (keeper_fork(k, large ? spec : NULL) != 0)
        return -1;
    if (keeper_send(k, spec, large ? 1 : spec->size, fds, spec->fd_count) == 0)
        return 0;
    keeper_close(k);
    return -1;
}

static void keeper_return(struct guest *g, struct keeper *k)
{
    if (g->idle_count < GUEST_IDLE_KEEPERS) {
        g->idle[g->idle_count++] = *k;
        k->sock = -1;
    }
    keeper_close(k);
}

/* Who killed one keeper may have killed those that wait, too, and one that is dying still takes a command. */
static void keeper_dismiss_idle(struct guest *g)
{
    while (g->idle_count > 0) {
        struct keeper *k = &g->idle[--g->idle_count];
        if (k->pid > 0)
            (void)kill(k->pid, SIGKILL);
        keeper_close(k);
    }
}

void command_prepare(struct guest *g)
{
    struct keeper k;
    if (g->idle_count == 0 && keeper_fork(&k, NULL) == 0)
        keeper_return(g, &k);
}

/* --- commands --------------------------------------------------------------------------------------------------- */

struct command *command_start(struct guest *g, const struct spec *spec, const int *fds)
{
    struct command *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    /* Taken before anything runs: a process of the command never looks older than the command. */
    uint64_t since = (uint64_t)clock_boot_ns() / (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
    *c = (struct command){.g = g, .owned = 1, .state = COMMAND_STARTING, .since = since};
    if (keeper_take(g, &c->keeper, spec, fds) != 0) {
        free(c);
        return NULL;
    }
    c->next = g->commands;
    g->commands = c;
    return c;
}

/* Everything that was adopted by us since this command began: its keeper cannot do it any more. */
static void sweep_orphans(const struct command *lost)
{
    struct guest *g = lost->g;
    size_t count = g->idle_count, at = 0;
    for (const struct command *c = g->commands; c != NULL; c = c->next)
        count++;
    pid_t *spare = calloc(count + GUEST_WORKERS, sizeof *spare);
    if (spare == NULL)
        return;
    for (unsigned i = 0; i < g->idle_count; i++)
        spare[at++] = g->idle[i].pid;
    for (const struct command *c = g->commands; c != NULL; c = c->next)
        if (c != lost)
            spare[at++] = c->keeper.pid;
    at += worker_pids(g, spare + at);
    struct tree t = {.spare = spare, .spare_count = at, .since = lost->since};
    tree_strike(&t);
    free(spare);
}

/* It may be asleep with everything else. */
static void wake_to_kill(struct keeper *k)
{
    if (k->pid <= 0)
        return;
    k->killing = 1;
    (void)kill(k->pid, SIGTERM);
    (void)kill(k->pid, SIGCONT);
}

size_t command_killers(const struct guest *g, struct tree_process *out, size_t cap)
{
    size_t count = 0;
    for (const struct command *c = g->commands; c != NULL && count < cap; c = c->next)
        if (c->keeper.killing && c->keeper.pid > 0)
            out[count++] = (struct tree_process){.pid = c->keeper.pid};
    return count;
}

void command_kill(struct command *c)
{
    if (command_is_over(c) || c->killing || c->losing)
        return;
    c->killing = 1;
    c->kill_until_ns = clock_now_ns() + (int64_t)(GUEST_KILL_MS + KEEPER_GRACE_MS) * 1000000;
    wake_to_kill(&c->keeper);
}

int command_kill_rest(struct command *c)
{
    if (!command_is_over(c) || c->keeper.pid <= 0)
        return 0;
    wake_to_kill(&c->keeper);
    return 1;
}

void command_signal(const struct command *c, int signo)
{
    if (c->state == COMMAND_RUNNING && !c->killing)
        (void)kill(-c->pid, signo);
}

void command_release(struct command *c)
{
    c->owned = 0;
    command_kill(c);
}

/* The keeper is gone, or does not do its work. What it leaves comes to us only once it is reaped: see lost. */
static void lose(struct command *c)
{
    if (c->keeper.pid > 0)
        (void)kill(c->keeper.pid, SIGKILL);
    keeper_close(&c->keeper);
    keeper_dismiss_idle(c->g);
    c->losing = 1;
    c->kill_until_ns = clock_now_ns() + (int64_t)KEEPER_GRACE_MS * 1000000;
}

static void lost(struct command *c)
{
    sweep_orphans(c);
    c->state = COMMAND_LOST;
}

static void on_report(struct command *c, const struct keeper_report *r)
{
    switch (r->kind) {
    case KEEPER_STARTED:
        c->state = COMMAND_RUNNING;
        c->pid = r->a;
        return;
    case KEEPER_REFUSED:
        c->state = COMMAND_REFUSED;
        c->error = r->a;
        c->stage = r->b;
        break;
    case KEEPER_KILLED:
        c->state = COMMAND_KILLED;
        c->status = r->a;
        if (r->b)
            sweep_orphans(c);
        break;
    default:
        c->state = COMMAND_ENDED;
        c->status = r->a;
        break;
    }
    /* One that was told to kill may still have that signal pending. */
    if (!c->killing && (r->kind == KEEPER_REFUSED || (r->kind == KEEPER_ENDED && r->b))) {
        keeper_return(c->g, &c->keeper);
        c->keeper.pid = -1; /* it is no longer this command's */
    }
    keeper_close(&c->keeper);
}

static void hear(struct command *c)
{
    while (c->got != 0 && !c->losing && !command_is_over(c)) {
        struct keeper_report r;
        ssize_t n = recv(c->keeper.sock, &r, sizeof r, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n == (ssize_t)sizeof r)
            on_report(c, &r);
        else
            lose(c);
    }
}

static void pump(struct command *c)
{
    hear(c);
    if (command_is_over(c))
        return;
    int late = c->kill_until_ns != 0 && clock_now_ns() >= c->kill_until_ns;
    if (c->losing && (late || c->keeper.pid < 0))
        lost(c);
    else if (!c->losing && late)
        lose(c);
}

void command_watch_all(struct guest *g, struct watch *w)
{
    for (struct command *c = g->commands; c != NULL; c = c->next) {
        c->got = 0;
        if (command_is_over(c))
            continue;
        if (!c->losing)
            watch_fd(w, c->keeper.sock, POLLIN, &c->got);
        if (c->kill_until_ns != 0)
            watch_until(w, c->kill_until_ns);
    }
}

void command_pump_all(struct guest *g)
{
    for (struct command *c = g->commands; c != NULL; c = c->next)
        pump(c);
}

void command_sweep(struct guest *g)
{
    struct command **at = &g->commands;
    while (*at != NULL) {
        struct command *c = *at;
        if (c->owned || !command_is_over(c)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free(c);
    }
}

static void forget(struct guest *g, pid_t pid)
{
    for (struct command *c = g->commands; c != NULL; c = c->next)
        if (c->keeper.pid == pid)
            c->keeper.pid = -1;
    for (unsigned i = 0; i < g->idle_count; i++)
        if (g->idle[i].pid == pid)
            g->idle[i].pid = -1;
}

void command_reap(struct guest *g)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return;
        forget(g, pid);
        worker_reaped(g, pid);
    }
}
