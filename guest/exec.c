/* SPDX-License-Identifier: MIT
 *
 * exec.c - OP_EXEC: a command whose streams are the request's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/launch.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/stream.h"
#include "guest/tty.h"

static const int64_t MS = 1000000;

struct exec {
    struct launch l;
    struct stream_in in;
    struct stream_out out[2];
    int tty; /* a descriptor of the master of its own, or -1 */
    int merged;
    int announced;
    int timed_out;
    int cancelled;
    int capped; /* no more is read than lay there when that wait ended */
    int incomplete;
    int64_t limit_ns;
    int64_t drain_ns; /* when the wait for held output ends; 0: the command is not over yet */
};

/* --- start ------------------------------------------------------------------------------------------------------ */

static int make_pipes(const struct guest *g, struct exec *e, const struct identity *who, uint64_t flags,
                      struct launch_ends *ends)
{
    if (launch_pipes(g, &e->l, who, flags, ends) != 0)
        return -1;
    stream_in_init(&e->in, steal_fd(&e->l.in));
    stream_out_init(&e->out[0], steal_fd(&e->l.out[0]), STREAM_OUT);
    stream_out_init(&e->out[1], steal_fd(&e->l.out[1]), STREAM_ERR);
    return 0;
}

static int make_tty(struct exec *e, const struct identity *who, const struct fields *f, struct launch_ends *ends)
{
    int master, slave;
    if (tty_open(who, (uint32_t)f->number[F_ROWS], (uint32_t)f->number[F_COLS], &master, &slave) != 0)
        return -1;
    ends->fd[0] = ends->fd[1] = ends->fd[2] = slave;
    stream_out_init(&e->out[0], master, STREAM_OUT);
    stream_in_init(&e->in, fcntl(master, F_DUPFD_CLOEXEC, 3));
    e->in.tty = 1;
    e->tty = fcntl(master, F_DUPFD_CLOEXEC, 3);
    return e->in.fd < 0 || e->tty < 0 ? -1 : 0;
}

static void exec_release(struct request *r)
{
    struct exec *e = r->state;
    if (e == NULL)
        return;
    launch_finish(&e->l);
    stream_in_finish(&e->in);
    stream_out_finish(&e->out[0]);
    stream_out_finish(&e->out[1]);
    if (e->tty >= 0)
        (void)close(e->tty);
    free(e);
}

static struct exec *exec_new(struct request *r, const struct fields *f)
{
    struct exec *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    r->state = e;
    launch_init(&e->l);
    e->tty = e->in.fd = e->out[0].fd = e->out[1].fd = -1;
    e->merged = (f->number[F_FLAGS] & (EXEC_MERGE | EXEC_TTY)) != 0;
    uint64_t limit = f->number[F_TIMEOUT_MS];
    if (limit > 0)
        e->limit_ns = clock_now_ns() + (int64_t)(limit > UINT64_C(1) << 40 ? UINT64_C(1) << 40 : limit) * MS;
    return e;
}

static void exec_start(struct request *r, const struct fields *f)
{
    struct identity who;
    LAUNCH_ENDS(ends);
    struct exec *e = exec_new(r, f);
    if (e == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory");
        return;
    }
    CLEANUP_FREE struct spec *spec = launch_prepare(r, &e->l, f, NULL, &who);
    if (spec == NULL)
        return;
    spec->tty = (f->number[F_FLAGS] & EXEC_TTY) != 0;
    if (spec->tty && make_tty(e, &who, f, &ends) != 0) {
        request_fail(r, SBX_E_UNSUPPORTED, errno, "no terminal in this sandbox: %s", strerror(errno));
        return;
    }
    if (!spec->tty && make_pipes(r->c->g, e, &who, f->number[F_FLAGS], &ends) != 0) {
        request_fail(r, status_of(errno), errno, "no pipe: %s", strerror(errno));
        return;
    }
    (void)launch_start(r, &e->l, spec, &ends);
}

/* --- end -------------------------------------------------------------------------------------------------------- */

static void end(struct request *r)
{
    const struct exec *e = r->state;
    struct verdict v;
    launch_verdict(&e->l, e->timed_out, e->cancelled, &v);
    if (v.status != SBX_OK) {
        request_fail(r, v.status, v.os_errno, "%s", v.message);
        return;
    }
    v.result |= e->merged ? (uint64_t)SBX_MERGED : 0;
    v.result |= e->incomplete ? (uint64_t)SBX_OUTPUT_INCOMPLETE : 0;
    request_end_begin(r, SBX_OK);
    frame_verdict(r->c, &v, e->out[0].bytes, e->out[1].bytes);
    request_end_finish(r);
}

/* --- in between ------------------------------------------------------------------------------------------------- */

static void exec_feed(struct request *r, const unsigned char *data, size_t len, int eof)
{
    struct exec *e = r->state;
    stream_in_feed(&e->in, r, data, len, eof);
}

static void exec_watch(struct request *r, struct watch *w)
{
    struct exec *e = r->state;
    stream_in_watch(&e->in, w);
    for (int i = 0; i < 2 && e->l.command->state != COMMAND_STARTING; i++) /* nothing goes before STARTED */
        stream_out_watch(&e->out[i], r, w);
    if (e->drain_ns != 0 && !e->capped)
        watch_until(w, e->drain_ns);
    else if (e->limit_ns != 0 && !e->timed_out && !command_is_over(e->l.command))
        watch_until(w, e->limit_ns);
}

/* What a descendant still holds is read for a short while, then up to what lies in the pipe. 1: all is read. */
static int drain(struct request *r)
{
    struct exec *e = r->state;
    for (int i = 0; i < 2; i++)
        (void)stream_out_pump(&e->out[i], r);
    if (e->drain_ns == 0)
        e->drain_ns = clock_now_ns() + GUEST_DRAIN_MS * MS;
    if (e->out[0].fd < 0 && e->out[1].fd < 0)
        return 1;
    if (!e->capped && clock_now_ns() < e->drain_ns)
        return 0;
    for (int i = 0; i < 2; i++) {
        struct stream_out *s = &e->out[i];
        int there = 0;
        if (s->fd >= 0 && !e->capped) {
            (void)ioctl(s->fd, FIONREAD, &there);
            s->cap = s->bytes + (uint64_t)there;
            (void)stream_out_pump(s, r);
        }
    }
    e->capped = 1;
    for (int i = 0; i < 2; i++)
        if (e->out[i].fd >= 0 && e->out[i].bytes < e->out[i].cap)
            return 0;
    for (int i = 0; i < 2; i++)
        e->incomplete |= e->out[i].fd >= 0 && launch_is_held(e->out[i].fd);
    return 1;
}

static void exec_pump(struct request *r)
{
    struct exec *e = r->state;
    if (e->l.command->pid > 0 && !e->announced) {
        e->announced = 1;
        frame_begin(r->c, FRAME_STARTED, r->id);
        frame_number(r->c, F_PID, (uint64_t)e->l.command->pid);
        frame_finish(r->c);
    }
    stream_in_pump(&e->in, r);
    /* The first bytes may be here before the news of the start, which has to go first. */
    int may_tell = e->announced || command_is_over(e->l.command);
    for (int i = 0; i < 2; i++)
        if (e->out[i].got != 0 && may_tell)
            (void)stream_out_pump(&e->out[i], r);
    if (command_is_over(e->l.command)) {
        if (e->cancelled || drain(r))
            end(r);
        return;
    }
    if (e->limit_ns != 0 && !e->timed_out && clock_now_ns() >= e->limit_ns) {
        e->timed_out = 1;
        command_kill(e->l.command);
    }
}

static void exec_cancel(struct request *r)
{
    struct exec *e = r->state;
    e->cancelled = 1;
    command_kill(e->l.command);
    if (command_is_over(e->l.command)) {
        e->incomplete |= e->out[0].fd >= 0 || e->out[1].fd >= 0;
        end(r);
    }
}

static void exec_event(struct request *r, const struct wire_head *h, const unsigned char *payload)
{
    const struct exec *e = r->state;
    if (h->type == FRAME_RESIZE) {
        if (e->tty >= 0)
            tty_resize(e->tty, wire_get16(payload), wire_get16(payload + 2));
        return;
    }
    uint32_t signo = wire_get32(payload);
    if (signo < 1 || signo > 64)
        return;
    if (e->tty >= 0)
        tty_signal(e->tty, (int)signo);
    else
        command_signal(e->l.command, (int)signo);
}

const struct request_kind op_exec = {
    .op = OP_EXEC,
    .takes = FIELD(F_ARG) | FIELD(F_ENV) | FIELD(F_CWD) | FIELD(F_USER) | FIELD(F_TIMEOUT_MS) | FIELD(F_FLAGS) |
             FIELD(F_ROWS) | FIELD(F_COLS),
    .requires = FIELD(F_ARG),
    .flags = EXEC_MERGE | EXEC_TTY | EXEC_NO_STDIN,
    .input = 1,
    .start = exec_start,
    .feed = exec_feed,
    .watch = exec_watch,
    .pump = exec_pump,
    .cancel = exec_cancel,
    .event = exec_event,
    .release = exec_release,
};
