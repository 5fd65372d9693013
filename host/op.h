/* SPDX-License-Identifier: MIT
 *
 * op.h - the operation object: a plugin's call on a thread of its own, with bounded buffers to the caller's thread,
 * where callbacks run inside dispatch. The same object keeps the results of a call that ran on the caller's thread.
 *
 * Three threads may touch it: the worker (op_push, op_pull, op_tty_*), the caller (dispatch, finish, free) and anybody
 * (cancel). What they share is under `lock`.
 */
#ifndef SBX_HOST_OP_H
#define SBX_HOST_OP_H

#include "host/arena.h"
#include "host/flow.h"

#define OP_BUFFER      (256u << 10) /* bytes on their way to the callbacks, and as much from them */
#define OP_THREADS_MAX 1024
#define OP_STACK       (256u << 10)
#define OP_EVENTS_MAX  64 /* terminal changes that the plugin has not asked for yet */

/* The caller's callbacks; each may be NULL. */
struct op_callbacks {
    void *user;
    int64_t (*in_read)(void *user, void *buf, size_t cap);
    int32_t (*on_output)(void *user, int stream, const void *data, size_t len);
    int32_t (*on_data)(void *user, const void *data, size_t len);
    const struct sbx_terminal *terminal; /* lives as long as the operation */
};

typedef sbx_status op_run(struct sbx_op *op, struct sbx_error *error);

struct sbx_op {
    struct sbx_context *ctx;
    struct arena arena; /* copies of the caller's options, and `work` */
    op_run *run;
    void *work;                  /* of run */
    const struct sbx_call *call; /* of work: what a waiting push watches */
    void (*work_finish)(void *work);

    /* results: the worker's until `over` */
    sbx_status status;
    struct sbx_error error;
    struct sbx_exec_result result;
    struct capture captured[3]; /* 0: a file, 1: stdout, 2: stderr */
    struct sbx_sandbox *box;
    uint64_t next; /* of a job's output */

    struct op_callbacks callbacks;
    int has_thread;
    int in_dispatch; /* the caller's thread alone looks at it */
    int joined;
    pthread_t thread;
    int poll_fd;   /* what the caller waits on: event_fd, or an epoll of it and the terminal's */
    int event_fd;  /* readable: dispatch is due */
    int cancel_fd; /* readable: cancelled */
    int token_fd;  /* what the plugin watches: cancel_fd, or an epoll of it and the caller's own */
    int user_cancel_fd;
    int in_fd;  /* readable: op_pull has something */
    int tty_fd; /* readable: op_tty_next has something */

    pthread_mutex_t lock;
    pthread_cond_t room;
    struct buf out;   /* records on their way to the caller: int32 stream, uint32 length, bytes */
    struct buf spare; /* dispatch's own, changed for `out` when that is taken */
    struct buf in;
    int in_ended; /* in_read said end (1) or stop (2) */
    struct sbx_tty_event events[OP_EVENTS_MAX];
    size_t event_count;
    int over;
    int cancelled; /* by sbx_op_cancel */
    int stopped;   /* by a callback */
};

/* An operation without a thread: results only. NULL: no memory. */
struct sbx_op *op_create(struct sbx_context *ctx);
/* Makes what the operation's thread needs (callbacks are copied) and begins the border call that the thread will make:
 * its deadline runs from now, and its cancel token is the operation's together with the caller's. `subject` lives as
 * long as the operation. */
sbx_status op_begin(struct sbx_op *op, struct border_call *c, const struct op_callbacks *callbacks, const char *verb,
                    const char *subject, const struct sbx_call_options *call, struct sbx_error *error);
/* Starts the thread, which calls op->run. On failure the operation is still the caller's to free. */
sbx_status op_launch(struct sbx_op *op, struct sbx_error *error);
/* A thread of the library's own. 0 or an errno. */
int op_start_thread(pthread_t *thread, void *(*run)(void *), void *user);

/* [worker] Hands bytes to the caller's callback, waiting for room. A flow_sink's deliver, with the operation as user.
 */
sbx_status op_push(void *op, int stream, const void *data, size_t len);
/* [worker] Bytes from in_read, 0 at the end, SBX_AGAIN when none are there yet, negative to stop. */
int64_t op_pull(void *op, void *buf, size_t cap);
/* [worker] 1: an event, 0: none. */
int32_t op_tty_next(void *op, struct sbx_tty_event *out);
/* Without a thread: the callback at once. A flow_sink's deliver, with the op_callbacks as user. */
sbx_status op_deliver(void *callbacks, int stream, const void *data, size_t len);
/* The events of one change that a terminal's `next` told: 0 to 2 of them. */
size_t op_tty_events(uint32_t rows, uint32_t cols, int32_t signo, struct sbx_tty_event out[2]);
/* The code that an operation's end has, given the plugin's. */
sbx_status op_verdict(struct sbx_op *op, sbx_status status);

#endif /* SBX_HOST_OP_H */
