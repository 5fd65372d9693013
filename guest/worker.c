/* SPDX-License-Identifier: MIT */
#include "guest/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/path.h"
#include "guest/stream.h"
#include "guest/tree.h"
#include "guest/user.h"

enum { VERDICT_FD = 3 };

struct worker {
    pid_t pid;
    int verdict_fd;
    short got;
    int ended; /* its verdict came, or never will */
    struct worker_verdict verdict;
    struct stream_in in;
    struct stream_out out;
};

int worker_fail(struct worker_verdict *v, sbx_status status, int os_errno, const char *format, ...)
{
    va_list args;
    if (v->status != SBX_OK)
        return -1;
    v->status = status;
    v->os_errno = os_errno;
    va_start(args, format);
    (void)vsnprintf(v->message, sizeof v->message, format, args);
    va_end(args);
    return -1;
}

/* --- the child ---------------------------------------------------------------------------------------------------- */

struct ends {
    int in[2];
    int out[2];
    int verdict[2];
};

static void work(const struct ends *e, const struct identity *who, const char *path, const char *given, worker_job *job)
    __attribute__((noreturn));
static void work(const struct ends *e, const struct identity *who, const char *path, const char *given, worker_job *job)
{
    struct worker_verdict v;
    memset(&v, 0, sizeof v);
    int verdict = fcntl(e->verdict[1], F_DUPFD_CLOEXEC, 64);
    if ((e->in[0] >= 0 && dup2(e->in[0], 0) < 0) || (e->out[1] >= 0 && dup2(e->out[1], 1) < 0) ||
        dup2(verdict, VERDICT_FD) < 0)
        _exit(1);
    close_from(VERDICT_FD + 1);
    if (user_become(who->uid, who->gid, who->groups, (size_t)who->group_count, who->foreign, who->keep_caps) != 0)
        (void)worker_fail(&v, SBX_E_UNSUPPORTED, errno, "this sandbox cannot act as user '%s'", who->name);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (v.status == SBX_OK)
        job(path, given, e->in[0] >= 0 ? 0 : -1, e->out[1] >= 0 ? 1 : -1, &v);
    (void)!write(VERDICT_FD, &v, sizeof v);
    _exit(0);
}

/* --- the guest's side --------------------------------------------------------------------------------------------- */

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void ends_close(struct ends *e)
{
    for (int i = 0; i < 2; i++) {
        close_one(&e->in[i]);
        close_one(&e->out[i]);
        close_one(&e->verdict[i]);
    }
}

static int ends_open(struct ends *e, int has_in, int has_out)
{
    if (pipe2(e->verdict, O_CLOEXEC) != 0 || fcntl(e->verdict[0], F_SETFL, O_NONBLOCK) != 0)
        return -1;
    if (has_in && (pipe2(e->in, O_CLOEXEC) != 0 || fcntl(e->in[1], F_SETFL, O_NONBLOCK) != 0))
        return -1;
    return has_out && (pipe2(e->out, O_CLOEXEC) != 0 || fcntl(e->out[0], F_SETFL, O_NONBLOCK) != 0) ? -1 : 0;
}

static pid_t *slot_of(struct guest *g, pid_t pid)
{
    for (size_t i = 0; i < GUEST_WORKERS; i++)
        if (g->workers[i] == pid)
            return &g->workers[i];
    return NULL;
}

void worker_start(struct request *r, const struct identity *who, const char *path, worker_job *job, int has_in,
                  int has_out)
{
    struct ends e __attribute__((cleanup(ends_close))) = {{-1, -1}, {-1, -1}, {-1, -1}};
    pid_t *slot = slot_of(r->c->g, 0);
    if (slot == NULL) {
        request_fail(r, SBX_E_BUSY, 0, "'%s': too much file work at once", r->given);
        return;
    }
    struct worker *w = calloc(1, sizeof *w);
    pid_t pid = w == NULL || ends_open(&e, has_in, has_out) != 0 ? -1 : fork();
    if (pid == 0)
        work(&e, who, path, r->given, job);
    if (pid < 0) {
        free(w);
        request_fail(r, status_of(errno), errno, "'%s': no process: %s", r->given, strerror(errno));
        return;
    }
    *slot = pid;
    w->pid = pid;
    w->verdict_fd = steal_fd(&e.verdict[0]);
    stream_in_init(&w->in, steal_fd(&e.in[1]));
    stream_out_init(&w->out, steal_fd(&e.out[0]), STREAM_OUT);
    r->state = w;
}

void worker_feed(struct request *r, const unsigned char *data, size_t len, int eof)
{
    struct worker *w = r->state;
    stream_in_feed(&w->in, r, data, len, eof);
}

void worker_watch(struct request *r, struct watch *watch)
{
    struct worker *w = r->state;
    if (w == NULL)
        return;
    w->got = 0;
    if (!w->ended)
        watch_fd(watch, w->verdict_fd, POLLIN, &w->got);
    stream_in_watch(&w->in, watch);
    stream_out_watch(&w->out, r, watch);
}

static void take_verdict(struct worker *w)
{
    ssize_t n = read(w->verdict_fd, &w->verdict, sizeof w->verdict);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    w->ended = 1;
    if (n == (ssize_t)sizeof w->verdict) {
        w->verdict.message[sizeof w->verdict.message - 1] = '\0';
        return;
    }
    memset(&w->verdict, 0, sizeof w->verdict);
    (void)worker_fail(&w->verdict, SBX_E_FAILED, 0, "the process that worked on it was killed");
}

void worker_pump(struct request *r)
{
    struct worker *w = r->state;
    if (w == NULL)
        return;
    stream_in_pump(&w->in, r);
    if (w->got != 0 && !w->ended)
        take_verdict(w);
    if (w->out.got != 0 || w->ended)
        (void)stream_out_pump(&w->out, r);
    if (!w->ended || (w->verdict.status == SBX_OK && w->out.fd >= 0))
        return;
    const struct worker_verdict *v = &w->verdict;
    if (v->status != SBX_OK) {
        request_fail(r, v->status, v->os_errno, "%s", v->message);
        return;
    }
    request_end_begin(r, SBX_OK);
    if (v->count > 0)
        frame_number(r->c, F_COUNT, v->count);
    if (v->message[0] != '\0')
        frame_bytes(r->c, F_MESSAGE, v->message, strlen(v->message));
    request_end_finish(r);
}

void worker_cancel(struct request *r)
{
    request_fail(r, SBX_E_CANCELLED, 0, "cancelled");
}

void worker_release(struct request *r)
{
    struct worker *w = r->state;
    if (w == NULL)
        return;
    if (slot_of(r->c->g, w->pid) != NULL)
        (void)kill(w->pid, SIGKILL);
    close_one(&w->verdict_fd);
    stream_in_finish(&w->in);
    stream_out_finish(&w->out);
    free(w);
}

void worker_reaped(struct guest *g, pid_t pid)
{
    pid_t *slot = slot_of(g, pid);
    if (slot != NULL)
        *slot = 0;
}

size_t worker_pids(const struct guest *g, pid_t *pids)
{
    size_t count = 0;
    for (size_t i = 0; i < GUEST_WORKERS; i++)
        if (g->workers[i] != 0)
            pids[count++] = g->workers[i];
    return count;
}
