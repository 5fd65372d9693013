/* SPDX-License-Identifier: MIT
 *
 * loop.c - the guest's one loop, and how it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/command.h"
#include "guest/conn.h"
#include "guest/job.h"
#include "guest/request.h"
#include "guest/shell.h"
#include "guest/sleep.h"
#include "guest/tree.h"

enum {
    ACCEPT_PAUSE_NS = 50000000,
    SIGNALS = 16 /* in one turn: root's processes in the sandbox may send them without end */
};

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_boot_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

void watch_fd(struct watch *w, int fd, short events, short *got)
{
    *got = 0;
    if (w->count == w->cap) {
        size_t cap = w->cap == 0 ? 64 : w->cap * 2;
        struct pollfd *fds = realloc(w->fds, cap * sizeof *fds);
        if (fds != NULL)
            w->fds = fds;
        short **gots = fds == NULL ? NULL : realloc(w->got, cap * sizeof(short *));
        if (gots == NULL) {
            w->failed = 1;
            return;
        }
        w->got = gots;
        w->cap = cap;
    }
    w->fds[w->count] = (struct pollfd){.fd = fd, .events = events};
    w->got[w->count++] = got;
}

void watch_until(struct watch *w, int64_t ns)
{
    if (w->until_ns == 0 || ns < w->until_ns)
        w->until_ns = ns;
}

/* Waits, and tells everybody what they got. The first idle moment is for preparing: a greeting that is there already is
 * answered before that. */
static void wait_for(struct guest *g, struct watch *w)
{
    int timeout = w->failed ? 10 : -1;
    int64_t left = INT64_MAX;
    if (w->until_ns != 0)
        left = w->until_ns - clock_now_ns();
    if (g->deadline_ns != 0) {
        int64_t life = g->deadline_ns - clock_boot_ns();
        left = life < left ? life : left;
    }
    if (left != INT64_MAX && timeout < 0) {
        int64_t ms = left <= 0 ? 0 : (left + 999999) / 1000000;
        timeout = ms > 3600000 ? 3600000 : (int)ms;
    }
    int ready = g->prepared ? 0 : poll(w->fds, w->count, 0);
    if (ready == 0) {
        if (!g->prepared)
            command_prepare(g);
        g->prepared = 1;
        ready = poll(w->fds, w->count, timeout);
    }
    for (size_t i = 0; ready > 0 && i < w->count; i++)
        *w->got[i] = w->fds[i].revents;
}

/* Who is outside of our pid namespace; or who was put into it from there, as no process of the sandbox was: what is
 * left by its parent becomes a child of ours, or of a keeper. The sandbox's root may replace the program that is put
 * in, where that lies in a volume; it has its own sandbox to gain. */
static int is_served(const struct guest *g, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (g->any_peer)
        return 1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return 0;
    return peer.pid == 0 || (g->put_in && peer.uid == 0 && tree_parent(peer.pid) == 0);
}

static void accept_one(struct guest *g)
{
    CLEANUP_FD int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            g->accept_after_ns = clock_now_ns() + ACCEPT_PAUSE_NS;
        return;
    }
    if (is_served(g, fd) && conn_open(g, fd, fd) != NULL)
        (void)steal_fd(&fd);
}

/* Not while there are too many connections, nor for a while after descriptors ran out. */
static void watch_listener(struct guest *g, struct watch *w, short *got)
{
    if (g->listen_fd < 0 || g->conn_count >= GUEST_MAX_CONNECTIONS)
        return;
    if (g->accept_after_ns > clock_now_ns()) {
        watch_until(w, g->accept_after_ns);
        return;
    }
    watch_fd(w, g->listen_fd, POLLIN, got);
}

/* SIGTERM counts only from outside of our namespace (pid 0), or where we are no init. */
static void on_signals(struct guest *g)
{
    struct signalfd_siginfo info;
    for (int i = 0; i < SIGNALS && read(g->signal_fd, &info, sizeof info) == (ssize_t)sizeof info; i++)
        if (info.ssi_signo == SIGTERM && (info.ssi_pid == 0 || !g->is_init))
            g->ending = 1;
    command_reap(g);
}

/* Requests go on and what they say goes out, as long as that makes room for more. 1: it would still go on. */
static int pump(struct conn *c)
{
    for (int i = 0; i < 8; i++) {
        request_pump_all(c);
        int full = conn_room(c) == 0;
        conn_flush(c);
        if (!full || conn_room(c) == 0)
            return 0;
    }
    return 1;
}

static void turn(struct guest *g, struct watch *w)
{
    short got_signal = 0, got_listen = 0, got_lifeline = 0;
    w->count = 0;
    w->until_ns = 0;
    w->failed = 0;
    watch_fd(w, g->signal_fd, POLLIN, &got_signal);
    watch_listener(g, w, &got_listen);
    if (g->lifeline_fd >= 0)
        watch_fd(w, g->lifeline_fd, POLLIN, &got_lifeline);
    command_watch_all(g, w);
    job_watch_all(g, w);
    shell_watch_all(g, w);
    sleep_watch(g, w);
    for (struct conn *c = g->conns; c != NULL; c = c->next) {
        conn_watch(c, w);
        request_watch_all(c, w);
    }
    if (w->again)
        watch_until(w, clock_now_ns());
    w->again = 0;
    wait_for(g, w);
    char byte;
    if (got_lifeline != 0 && read(g->lifeline_fd, &byte, 1) == 0)
        g->ending = 1;
    if (g->deadline_ns != 0 && clock_boot_ns() >= g->deadline_ns)
        g->ending = 1;
    if (got_signal != 0)
        on_signals(g);
    command_pump_all(g);
    job_pump_all(g);
    shell_pump_all(g);
    sleep_pump(g);
    for (struct conn *c = g->conns; c != NULL; c = c->next) {
        if ((c->in_got & (POLLIN | POLLHUP | POLLERR)) != 0)
            conn_read(c);
        w->again |= pump(c);
        request_sweep(c);
    }
    if (got_listen != 0)
        accept_one(g);
}

static void sweep(struct guest *g)
{
    struct conn *next;
    for (struct conn *c = g->conns; c != NULL; c = next) {
        next = c->next;
        if (c->broken)
            conn_close(c);
    }
    command_sweep(g);
    if (g->stdio && g->conns == NULL)
        g->ending = 1;
}

/* An init's end is everything's end; any other guest has to see to it. */
static void finish(struct guest *g, struct watch *w)
{
    while (g->conns != NULL) {
        struct pollfd p = {.fd = g->conns->out_fd, .events = POLLOUT};
        if (g->conns->out_end > g->conns->out_start && poll(&p, 1, 100) > 0)
            conn_flush(g->conns);
        conn_close(g->conns);
    }
    job_close_all(g);
    shell_close_all(g);
    if (!g->is_init) {
        struct tree all = {0};
        (void)tree_kill(&all, GUEST_KILL_MS);
    }
    while (g->commands != NULL) {
        g->commands->state = COMMAND_LOST;
        command_sweep(g);
    }
    free(g->sleep.stopped);
    free(w->fds);
    free(w->got);
}

static int open_signals(struct guest *g)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return g->signal_fd < 0 ? -1 : 0;
}

int loop_run(struct guest *g)
{
    struct watch w = {0};
    if (open_signals(g) != 0)
        return -1;
    if (g->stdio && conn_open(g, 3, 4) == NULL)
        return -1;
    if (g->ready_fd >= 0) {
        (void)!write(g->ready_fd, "r", 1);
        (void)close(g->ready_fd);
    }
    while (!g->ending) {
        turn(g, &w);
        sweep(g);
    }
    finish(g, &w);
    return 0;
}
