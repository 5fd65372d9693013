/* SPDX-License-Identifier: MIT
 *
 * sleep.c - OP_SUSPEND and OP_RESUME. Everything is stopped by signals, pass after pass until nothing runs any more,
 * and looked at again from time to time, since a timer or a descriptor may send SIGCONT to who asked for it before.
 */
#include "guest/sleep.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "guest/command.h"
#include "guest/ops.h"
#include "guest/tree.h"

enum { KILLERS = 128, DEEP_PASSES = 20, CLEAN_PASSES = 2 };
static const int64_t MS = 1000000;

static int is_asleep(const struct guest *g)
{
    return g->sleep.suspended || g->sleep.holds > 0;
}

static void wake(struct guest *g)
{
    const struct tree everything = {.root = 0};
    tree_continue(&everything, g->sleep.stopped, g->sleep.stopped_count);
    free(g->sleep.stopped);
    g->sleep.stopped = NULL;
    g->sleep.stopped_count = 0;
}

/* One pass; keepers that are killing go on with that. */
static int stop(const struct guest *g, struct tree_rest *rest)
{
    const struct tree everything = {.root = 0};
    struct tree_process killers[KILLERS];
    size_t count = command_killers(g, killers, KILLERS);
    return tree_stop(&everything, killers, count, rest);
}

/* 0 once nothing runs; else everything goes on as before. A process that waits in the kernel, as a parent does for its
 * vforked child, counts as stopped after a while: it runs no code of its own before it is. */
static int fall_asleep(struct guest *g)
{
    const struct tree everything = {.root = 0};
    const struct timespec pause = {.tv_nsec = MS};
    int64_t until = clock_now_ns() + GUEST_STOP_MS * MS;
    if (is_asleep(g))
        return 0;
    g->sleep.stopped_count = tree_stopped(&everything, &g->sleep.stopped);
    for (int pass = 0, clean = 0; clock_now_ns() < until; pass++) {
        struct tree_rest rest;
        if (stop(g, &rest) != 0)
            break;
        clean = rest.running == 0 && (rest.deep == 0 || pass >= DEEP_PASSES) ? clean + 1 : 0;
        if (clean == CLEAN_PASSES) {
            g->sleep.look_ns = clock_now_ns() + GUEST_LOOK_MS * MS;
            return 0;
        }
        if (clean == 0)
            (void)nanosleep(&pause, NULL);
    }
    wake(g);
    return -1;
}

void sleep_watch(const struct guest *g, struct watch *w)
{
    if (is_asleep(g))
        watch_until(w, g->sleep.look_ns);
    for (const struct conn *c = g->conns; c != NULL; c = c->next)
        if (c->waits && (g->sleep.holds == 0 || g->sleep.suspended))
            watch_until(w, clock_now_ns());
}

void sleep_pump(struct guest *g)
{
    struct tree_rest rest;
    if (is_asleep(g) && clock_now_ns() >= g->sleep.look_ns) {
        (void)stop(g, &rest);
        g->sleep.look_ns = clock_now_ns() + GUEST_LOOK_MS * MS;
    }
    for (struct conn *c = g->conns; c != NULL; c = c->next)
        if (c->waits && !c->broken && (g->sleep.holds == 0 || g->sleep.suspended))
            conn_take(c);
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static void tell_name(struct guest *g, int suspended)
{
    if (suspended && !g->sleep.suspended)
        (void)prctl(PR_GET_NAME, g->sleep.name);
    if (suspended != g->sleep.suspended)
        (void)prctl(PR_SET_NAME, suspended ? WIRE_ASLEEP_NAME : g->sleep.name);
}

static void suspend_start(struct request *r, const struct fields *f)
{
    struct guest *g = r->c->g;
    if (fall_asleep(g) != 0) {
        request_fail(r, SBX_E_BUSY, 0, "suspend: a process does not stop");
        return;
    }
    if ((f->number[F_FLAGS] & SUSPEND_HOLD) == 0) {
        tell_name(g, 1);
        g->sleep.suspended = 1;
        request_end(r);
        return;
    }
    g->sleep.holds++;
    r->state = &g->sleep;
    frame_begin(r->c, FRAME_REPLY, r->id);
    frame_finish(r->c);
}

static void suspend_release(struct request *r)
{
    struct guest *g = r->c->g;
    if (r->state == NULL)
        return;
    r->state = NULL;
    g->sleep.holds--;
    if (!is_asleep(g) && !g->ending)
        wake(g);
}

static void suspend_cancel(struct request *r)
{
    suspend_release(r);
    request_fail(r, SBX_E_CANCELLED, 0, "suspend: cancelled");
}

static void resume_start(struct request *r, const struct fields *f)
{
    struct guest *g = r->c->g;
    (void)f;
    tell_name(g, 0);
    if (g->sleep.suspended) {
        g->sleep.suspended = 0;
        if (!is_asleep(g))
            wake(g);
    }
    request_end(r);
}

const struct request_kind op_suspend = {
    .op = OP_SUSPEND,
    .takes = FIELD(F_FLAGS),
    .flags = SUSPEND_HOLD,
    .asleep = 1,
    .start = suspend_start,
    .cancel = suspend_cancel,
    .release = suspend_release,
};
const struct request_kind op_resume = {.op = OP_RESUME, .asleep = 1, .start = resume_start};
