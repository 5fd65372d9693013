/* SPDX-License-Identifier: MIT
 *
 * worker.h - file work that may take long, in a child of the guest that has become the request's user for good. Its
 * standard input and output are the request's streams; its verdict comes over a pipe of its own.
 */
#ifndef SBX_GUEST_WORKER_H
#define SBX_GUEST_WORKER_H

#include "guest/request.h"

struct worker_verdict {
    int32_t status;
    int32_t os_errno;
    uint64_t count;
    char message[GUEST_MESSAGE_MAX];
};
/* Sets the verdict once; answers -1. os_errno 0: none. */
int worker_fail(struct worker_verdict *v, sbx_status status, int os_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Runs in the child, on `path`, which messages call `given`: reads in, writes out (both blocking; -1 where the
 * operation has none), fills the verdict. */
typedef void worker_job(const char *path, const char *given, int in, int out, struct worker_verdict *v);

void worker_start(struct request *r, const struct identity *who, const char *path, worker_job *job, int has_in,
                  int has_out);
void worker_feed(struct request *r, const unsigned char *data, size_t len, int eof);
void worker_watch(struct request *r, struct watch *w);
void worker_pump(struct request *r);
void worker_cancel(struct request *r);
void worker_release(struct request *r);

void worker_reaped(struct guest *g, pid_t pid);
/* Those that live, at most GUEST_WORKERS; how many. */
size_t worker_pids(const struct guest *g, pid_t *pids);

#endif /* SBX_GUEST_WORKER_H */
