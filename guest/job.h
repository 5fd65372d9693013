/* SPDX-License-Identifier: MIT
 *
 * job.h - a command that belongs to the sandbox and not to a request: its output is kept in rings, its end is told to
 * whoever asks, until it is forgotten.
 */
#ifndef SBX_GUEST_JOB_H
#define SBX_GUEST_JOB_H

#include "guest/launch.h"
#include "guest/ring.h"

enum { JOB_ID_SIZE = 65 };

struct job {
    struct job *next;
    struct guest *g;
    unsigned users; /* the list, and each request at it */
    int listed;
    char id[JOB_ID_SIZE];
    struct launch l; /* l.in is its stdin while that is kept open */
    struct {
        short got;
        struct ring ring;
    } out[2];
    int merged;
    int fed_to_end; /* stdin was closed by demand */
    int timed_out;
    int incomplete;
    int64_t limit_ns;
    int64_t drain_ns; /* when the wait for held output ends; 0: the command is not over yet */
    int over;         /* `end` is known and what the command wrote has been read */
    struct verdict end;
};

/* The job that F_ID names, or NULL when the request was ended. */
struct job *job_of_request(struct request *r, const struct fields *f);
/* NULL: no such job. */
struct job *job_find(const struct guest *g, const char *id);
/* A new one, in the list, with the caller as a user. NULL: no memory. */
struct job *job_new(struct guest *g, const char *id);
void job_use(struct job *j);
/* The last user's end is the job's. */
void job_leave(struct job *j);
/* Takes it off the list; users keep it. */
void job_forget(struct job *j);

/* No more than what is there will come on this stream (0, 1), as far as the job is concerned. */
int job_stream_ended(const struct job *j, int stream);
/* F_ID, F_PID, F_RESULT, F_EXIT_CODE, F_TERM_SIGNAL, F_OUT_BYTES and F_ERR_BYTES, into the frame being built. */
void frame_job(struct conn *c, const struct job *j);

void job_watch_all(struct guest *g, struct watch *w);
void job_pump_all(struct guest *g);
void job_close_all(struct guest *g);

#endif /* SBX_GUEST_JOB_H */
