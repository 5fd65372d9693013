/* SPDX-License-Identifier: MIT
 *
 * job_ops.c - OP_JOB_START, OP_JOB_INFO, OP_JOB_LIST, OP_JOB_WAIT, OP_JOB_KILL, OP_JOB_SIGNAL and OP_JOB_FORGET.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/job.h"
#include "guest/ops.h"
#include "guest/path.h"

enum { KEPT_DEFAULT = 8 << 20, KEPT_MAX = 64 << 20, KILL_MS = 3000 };
static const int64_t MS = 1000000;

/* --- by id -------------------------------------------------------------------------------------------------------- */

struct job *job_of_request(struct request *r, const struct fields *f)
{
    char id[JOB_ID_SIZE] = "";
    struct job *j = fields_text(f, F_ID, id, sizeof id) == 0 ? job_find(r->c->g, id) : NULL;
    if (j == NULL)
        request_fail(r, SBX_E_NOT_FOUND, 0, "no such job '%.*s'",
                     (int)(f->text[F_ID].len < 200 ? f->text[F_ID].len : 200),
                     f->text[F_ID].len == 0 ? "" : (const char *)f->text[F_ID].data);
    return j;
}

static void reply(struct request *r, const struct job *j)
{
    request_reply_begin(r);
    frame_job(r->c, j);
    request_reply_finish(r);
}

static void info_start(struct request *r, const struct fields *f)
{
    const struct job *j = job_of_request(r, f);
    if (j == NULL)
        return;
    reply(r, j);
    request_end(r);
}

static void list_start(struct request *r, const struct fields *f)
{
    (void)f;
    for (const struct job *j = r->c->g->jobs; j != NULL; j = j->next)
        reply(r, j);
    request_end(r);
}

static void signal_start(struct request *r, const struct fields *f)
{
    const struct job *j = job_of_request(r, f);
    uint64_t signo = f->number[F_SIGNAL];
    if (j == NULL)
        return;
    if (signo < 1 || signo > 64) {
        request_fail(r, SBX_E_INVALID, 0, "no signal %" PRIu64, signo);
        return;
    }
    if (j->over || command_is_over(j->l.command)) {
        request_fail(r, SBX_E_STATE, 0, "job '%s' has ended", j->id);
        return;
    }
    command_signal(j->l.command, (int)signo);
    request_end(r);
}

static void forget_start(struct request *r, const struct fields *f)
{
    struct job *j = job_of_request(r, f);
    if (j == NULL)
        return;
    if (!j->over) {
        request_fail(r, SBX_E_STATE, 0, "job '%s' runs", j->id);
        return;
    }
    job_forget(j);
    request_end(r);
}

/* --- start -------------------------------------------------------------------------------------------------------- */

/* The wanted name, or one that no job of this guest has had; -1 when the request was ended. */
static int choose_id(struct request *r, const struct fields *f, char *id)
{
    struct guest *g = r->c->g;
    if (f->text[F_ID].len == 0) {
        do
            (void)snprintf(id, JOB_ID_SIZE, "job-%" PRIu64, ++g->last_job);
        while (job_find(g, id) != NULL);
        return 0;
    }
    int bad = fields_text(f, F_ID, id, JOB_ID_SIZE) != 0;
    for (const char *p = id; !bad && *p != '\0'; p++)
        bad = *p <= ' ' || *p > '~';
    if (bad) {
        request_fail(r, SBX_E_INVALID, 0, "a job's id has at most %d printable characters", JOB_ID_SIZE - 1);
        return -1;
    }
    if (job_find(g, id) == NULL)
        return 0;
    request_fail(r, SBX_E_EXISTS, 0, "job '%s' exists already", id);
    return -1;
}

static void set_limits(struct job *j, const struct fields *f)
{
    uint64_t limit = f->number[F_TIMEOUT_MS];
    size_t kept = f->number[F_LIMIT] == 0 ? KEPT_DEFAULT : (size_t)f->number[F_LIMIT];
    j->out[0].ring.limit = j->out[1].ring.limit = kept;
    j->merged = (f->number[F_FLAGS] & EXEC_MERGE) != 0;
    if (limit > 0)
        j->limit_ns = clock_now_ns() + (int64_t)(limit > UINT64_C(1) << 40 ? UINT64_C(1) << 40 : limit) * MS;
}

static int launch(struct request *r, struct job *j, const struct fields *f)
{
    struct identity who;
    LAUNCH_ENDS(ends);
    CLEANUP_FREE struct spec *spec = launch_prepare(r, &j->l, f, NULL, &who);
    uint64_t flags = f->number[F_FLAGS] & EXEC_MERGE;
    if (spec == NULL)
        return -1;
    spec->stay = 1;
    flags |= (f->number[F_FLAGS] & EXEC_STDIN_OPEN) != 0 ? 0 : EXEC_NO_STDIN;
    if (launch_pipes(r->c->g, &j->l, &who, flags, &ends) != 0) {
        request_fail(r, status_of(errno), errno, "no pipe: %s", strerror(errno));
        return -1;
    }
    return launch_start(r, &j->l, spec, &ends);
}

static void start_start(struct request *r, const struct fields *f)
{
    char id[JOB_ID_SIZE];
    if (f->number[F_LIMIT] > KEPT_MAX) {
        request_fail(r, SBX_E_INVALID, 0, "at most %d bytes of each stream can be kept", (int)KEPT_MAX);
        return;
    }
    if (r->c->g->job_count >= GUEST_MAX_JOBS) {
        request_fail(r, SBX_E_QUOTA, 0, "there are %d jobs, those that ended included: forget some",
                     (int)GUEST_MAX_JOBS);
        return;
    }
    if (choose_id(r, f, id) != 0)
        return;
    struct job *j = job_new(r->c->g, id);
    if (j == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory");
        return;
    }
    r->state = j;
    set_limits(j, f);
    if (launch(r, j, f) != 0)
        job_forget(j);
}

/* A program that cannot be executed is a job that ended at once, any other refusal is none. */
static void start_pump(struct request *r)
{
    struct job *j = r->state;
    if (j->l.command->state == COMMAND_STARTING)
        return;
    if (j->l.command->state == COMMAND_REFUSED) {
        launch_verdict(&j->l, 0, 0, &j->end);
        if (j->end.status != SBX_OK) {
            request_fail(r, j->end.status, j->end.os_errno, "%s", j->end.message);
            j->over = 1; /* for those who wait for it */
            job_forget(j);
            return;
        }
    }
    reply(r, j);
    request_end(r);
}

static void release(struct request *r)
{
    if (r->state != NULL)
        job_leave(r->state);
}

/* --- wait and kill --------------------------------------------------------------------------------------------------
 */

static void hold(struct request *r, const struct fields *f)
{
    struct job *j = job_of_request(r, f);
    if (j == NULL)
        return;
    job_use(j);
    r->state = j;
}

static void wait_pump(struct request *r)
{
    const struct job *j = r->state;
    if (!j->over)
        return;
    if (j->end.status != SBX_OK) {
        request_fail(r, j->end.status, j->end.os_errno, "%s", j->end.message);
        return;
    }
    request_end_begin(r, SBX_OK);
    frame_verdict(r->c, &j->end, ring_end(&j->out[0].ring), ring_end(&j->out[1].ring));
    request_end_finish(r);
}

struct killing {
    struct job *job;
    int64_t until_ns;
};

static void kill_start(struct request *r, const struct fields *f)
{
    struct job *j = job_of_request(r, f);
    struct killing *k = j == NULL ? NULL : calloc(1, sizeof *k);
    if (k == NULL) {
        if (j != NULL)
            request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory");
        return;
    }
    *k = (struct killing){.job = j, .until_ns = clock_now_ns() + KILL_MS * MS};
    job_use(j);
    r->state = k;
    command_kill(j->l.command);
    (void)command_kill_rest(j->l.command);
}

static void kill_watch(struct request *r, struct watch *w)
{
    const struct killing *k = r->state;
    watch_until(w, k->until_ns);
}

/* Its end is told when nothing of the tree is left: the keeper goes last. */
static void kill_pump(struct request *r)
{
    const struct killing *k = r->state;
    const struct command *c = k->job->l.command;
    if (command_is_over(c) && (c->keeper.pid <= 0 || c->state == COMMAND_LOST))
        request_end(r);
    else if (clock_now_ns() >= k->until_ns)
        request_fail(r, SBX_E_FAILED, 0, "job '%s' does not end", k->job->id);
}

static void kill_release(struct request *r)
{
    struct killing *k = r->state;
    if (k != NULL)
        job_leave(k->job);
    free(k);
}

const struct request_kind op_job_start = {
    .op = OP_JOB_START,
    .takes = FIELD(F_ARG) | FIELD(F_ENV) | FIELD(F_CWD) | FIELD(F_USER) | FIELD(F_TIMEOUT_MS) | FIELD(F_FLAGS) |
             FIELD(F_ID) | FIELD(F_LIMIT),
    .requires = FIELD(F_ARG),
    .flags = EXEC_MERGE | EXEC_NO_STDIN | EXEC_STDIN_OPEN,
    .start = start_start,
    .pump = start_pump,
    .release = release,
};
const struct request_kind op_job_info = {
    .op = OP_JOB_INFO, .takes = FIELD(F_ID), .requires = FIELD(F_ID), .start = info_start};
const struct request_kind op_job_list = {.op = OP_JOB_LIST, .start = list_start};
const struct request_kind op_job_wait = {.op = OP_JOB_WAIT,
                                         .takes = FIELD(F_ID),
                                         .requires = FIELD(F_ID),
                                         .start = hold,
                                         .pump = wait_pump,
                                         .release = release};
const struct request_kind op_job_kill = {
    .op = OP_JOB_KILL,
    .takes = FIELD(F_ID),
    .requires = FIELD(F_ID),
    .start = kill_start,
    .watch = kill_watch,
    .pump = kill_pump,
    .release = kill_release,
};
const struct request_kind op_job_signal = {
    .op = OP_JOB_SIGNAL,
    .takes = FIELD(F_ID) | FIELD(F_SIGNAL),
    .requires = FIELD(F_ID) | FIELD(F_SIGNAL),
    .start = signal_start,
};
const struct request_kind op_job_forget = {
    .op = OP_JOB_FORGET, .takes = FIELD(F_ID), .requires = FIELD(F_ID), .start = forget_start};
