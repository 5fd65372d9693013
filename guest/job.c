/* SPDX-License-Identifier: MIT */
#include "guest/job.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOB_READ = 16 << 10, JOB_READS = 16 }; /* per stream and turn of the loop */
static const int64_t MS = 1000000;

struct job *job_find(const struct guest *g, const char *id)
{
    for (struct job *j = g->jobs; j != NULL; j = j->next)
        if (strcmp(j->id, id) == 0)
            return j;
    return NULL;
}

struct job *job_new(struct guest *g, const char *id)
{
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        return NULL;
    *j = (struct job){.g = g, .users = 2, .listed = 1};
    (void)snprintf(j->id, sizeof j->id, "%s", id);
    launch_init(&j->l);
    for (int i = 0; i < 2; i++)
        j->out[i].ring = (struct ring){.budget = &g->kept_bytes, .budget_limit = GUEST_KEPT_BYTES};
    struct job **at = &g->jobs; /* in the order of their starts */
    while (*at != NULL)
        at = &(*at)->next;
    *at = j;
    g->job_count++;
    return j;
}

void job_use(struct job *j)
{
    j->users++;
}

void job_leave(struct job *j)
{
    if (--j->users > 0)
        return;
    launch_finish(&j->l);
    for (int i = 0; i < 2; i++)
        ring_finish(&j->out[i].ring);
    free(j);
}

void job_forget(struct job *j)
{
    if (!j->listed)
        return;
    j->listed = 0;
    for (struct job **at = &j->g->jobs; *at != NULL; at = &(*at)->next) {
        if (*at == j) {
            *at = j->next;
            break;
        }
    }
    j->g->job_count--;
    job_leave(j);
}

int job_stream_ended(const struct job *j, int stream)
{
    return j->over || j->l.out[stream] < 0;
}

void frame_job(struct conn *c, const struct job *j)
{
    struct verdict v = j->end;
    if (!j->over)
        v.result = JOB_RUNS;
    v.message[0] = '\0';
    frame_bytes(c, F_ID, j->id, strlen(j->id));
    frame_number(c, F_PID, j->l.command == NULL || j->l.command->pid <= 0 ? 0 : (uint64_t)j->l.command->pid);
    frame_verdict(c, &v, ring_end(&j->out[0].ring), ring_end(&j->out[1].ring));
}

/* --- the loop's part ---------------------------------------------------------------------------------------------- */

/* Takes what is there, whoever may read it later; no more than a fair share at once. 1: more may be there. */
static int read_stream(struct job *j, int i)
{
    unsigned char bytes[JOB_READ];
    for (int turn = 0; turn < JOB_READS && j->l.out[i] >= 0; turn++) {
        ssize_t n = read(j->l.out[i], bytes, sizeof bytes);
        if (n > 0) {
            ring_append(&j->out[i].ring, bytes, (size_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        (void)close(j->l.out[i]);
        j->l.out[i] = -1;
    }
    return j->l.out[i] >= 0;
}

static void conclude(struct job *j)
{
    int more = 0, open = 0;
    for (int i = 0; i < 2; i++) {
        more |= read_stream(j, i);
        open |= j->l.out[i] >= 0;
    }
    if (j->drain_ns == 0)
        j->drain_ns = clock_now_ns() + GUEST_DRAIN_MS * MS;
    if (open && clock_now_ns() < j->drain_ns)
        return;
    launch_verdict(&j->l, j->timed_out, 0, &j->end);
    j->end.result |= j->merged ? (uint64_t)SBX_MERGED : 0;
    for (int i = 0; i < 2; i++)
        if (j->l.out[i] >= 0 && (more || launch_is_held(j->l.out[i])))
            j->end.result |= SBX_OUTPUT_INCOMPLETE;
    if (j->l.in >= 0)
        (void)close(j->l.in);
    j->l.in = -1;
    j->over = 1;
}

static void pump(struct job *j)
{
    if (j->l.command == NULL)
        return;
    for (int i = 0; i < 2; i++)
        if (j->out[i].got != 0)
            (void)read_stream(j, i);
    if (!j->over && command_is_over(j->l.command))
        conclude(j);
    if (!j->over && j->limit_ns != 0 && !j->timed_out && clock_now_ns() >= j->limit_ns) {
        j->timed_out = 1;
        command_kill(j->l.command);
    }
}

void job_watch_all(struct guest *g, struct watch *w)
{
    for (struct job *j = g->jobs; j != NULL; j = j->next) {
        for (int i = 0; i < 2; i++) {
            j->out[i].got = 0;
            if (j->l.out[i] >= 0)
                watch_fd(w, j->l.out[i], POLLIN, &j->out[i].got);
        }
        if (j->over || j->l.command == NULL)
            continue;
        if (j->drain_ns != 0)
            watch_until(w, j->drain_ns);
        else if (j->limit_ns != 0 && !j->timed_out && !command_is_over(j->l.command))
            watch_until(w, j->limit_ns);
    }
}

void job_pump_all(struct guest *g)
{
    for (struct job *j = g->jobs; j != NULL; j = j->next)
        pump(j);
}

void job_close_all(struct guest *g)
{
    while (g->jobs != NULL)
        job_forget(g->jobs);
}
