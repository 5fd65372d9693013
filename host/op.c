/* SPDX-License-Identifier: MIT */
#include "host/op.h"

#include "base/cleanup.h"
#include "host/error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define PUSH_PIECE     (64u << 10)
#define PULL_PIECE     (16u << 10)
#define CANCEL_LOOK_NS 50000000 /* how often a worker that waits for room looks at the caller's own cancel token */

struct record {
    int32_t stream;
    uint32_t len;
};

static void signal_fd(int fd)
{
    uint64_t one = 1;
    if (fd >= 0)
        (void)!write(fd, &one, sizeof one);
}

static void drain_fd(int fd)
{
    uint64_t count;
    if (fd >= 0)
        (void)!read(fd, &count, sizeof count);
}

/* --- making ----------------------------------------------------------------------------------------------------- */

struct sbx_op *op_create(struct sbx_context *ctx)
{
    struct sbx_op *op = calloc(1, sizeof *op);
    if (op == NULL)
        return NULL;
    op->ctx = ctx;
    arena_init(&op->arena, 0);
    op->poll_fd = op->event_fd = op->cancel_fd = op->token_fd = op->user_cancel_fd = op->in_fd = op->tty_fd = -1;
    op->error.size = sizeof op->error;
    op->result.size = sizeof op->result;
    buf_init(&op->out, OP_BUFFER + PUSH_PIECE);
    buf_init(&op->spare, OP_BUFFER + PUSH_PIECE);
    buf_init(&op->in, OP_BUFFER + PULL_PIECE);
    (void)pthread_mutex_init(&op->lock, NULL);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&op->room, &attr);
    (void)pthread_condattr_destroy(&attr);
    return op;
}

/* An epoll over both, which is itself readable when either is. 0 or -1 with errno. */
static int join_fds(int first, int second, int *out)
{
    CLEANUP_FD int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -1;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(fd, EPOLL_CTL_ADD, first, &event) != 0 || epoll_ctl(fd, EPOLL_CTL_ADD, second, &event) != 0)
        return -1;
    *out = steal_fd(&fd);
    return 0;
}

static int make_event(int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd < 0 ? -1 : 0;
}

static int make_events(struct sbx_op *op)
{
    if (make_event(&op->event_fd) != 0 || make_event(&op->cancel_fd) != 0)
        return -1;
    if (op->callbacks.in_read != NULL && make_event(&op->in_fd) != 0)
        return -1;
    return op->callbacks.terminal != NULL ? make_event(&op->tty_fd) : 0;
}

static sbx_status prepare(struct sbx_op *op, const struct op_callbacks *callbacks, const struct sbx_call_options *call,
                          struct sbx_error *error)
{
    char text[128];
    op->callbacks = *callbacks;
    op->user_cancel_fd = call != NULL && (call->flags & SBX_CALL_CANCEL_FD) != 0 ? call->cancel_fd : -1;
    const struct sbx_terminal *terminal = callbacks->terminal;
    if (make_events(op) != 0)
        return error_set(error, SBX_E_FAILED, "operation: no descriptor left");
    if (op->user_cancel_fd < 0) {
        op->token_fd = op->cancel_fd;
    } else if (join_fds(op->cancel_fd, op->user_cancel_fd, &op->token_fd) != 0) {
        return error_set(error, SBX_E_INVALID, "operation: the cancel descriptor %d: %s", op->user_cancel_fd,
                         strerror_r(errno, text, sizeof text));
    }
    if (terminal == NULL || terminal->ready_fd < 0 || terminal->next == NULL) {
        op->poll_fd = op->event_fd;
    } else if (join_fds(op->event_fd, terminal->ready_fd, &op->poll_fd) != 0) {
        return error_set(error, SBX_E_INVALID, "operation: the terminal's descriptor %d: %s", terminal->ready_fd,
                         strerror_r(errno, text, sizeof text));
    }
    /* The first dispatch fetches input. */
    if (callbacks->in_read != NULL || terminal != NULL)
        signal_fd(op->event_fd);
    return SBX_OK;
}

sbx_status op_begin(struct sbx_op *op, struct border_call *c, const struct op_callbacks *callbacks, const char *verb,
                    const char *subject, const struct sbx_call_options *call, struct sbx_error *error)
{
    struct sbx_call_options own;
    sbx_status status = border_begin(c, op->ctx->log, verb, subject, call);
    if (status != SBX_OK)
        return border_end(c, status, error);
    sbx_view(&own, sizeof own, call);
    status = prepare(op, callbacks, &own, error);
    if (status != SBX_OK)
        return status;
    c->call.flags |= SBX_CALL_HAS_CANCEL_FD;
    c->call.cancel_fd = op->token_fd;
    c->call.trace_id = arena_text(&op->arena, c->call.trace_id);
    op->call = &c->call;
    return SBX_OK;
}

static void *worker(void *user)
{
    struct sbx_op *op = user;
    sbx_status status = op->run(op, &op->error);
    (void)pthread_mutex_lock(&op->lock);
    op->status = status;
    op->over = 1;
    signal_fd(op->event_fd);
    (void)pthread_mutex_unlock(&op->lock);
    return NULL;
}

/* They take no signal: handlers belong to the program. */
int op_start_thread(pthread_t *thread, void *(*run)(void *), void *user)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t old;
    if (pthread_attr_init(&attr) != 0)
        return ENOMEM;
    (void)pthread_attr_setstacksize(&attr, OP_STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int cause = pthread_create(thread, &attr, run, user);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return cause;
}

sbx_status op_launch(struct sbx_op *op, struct sbx_error *error)
{
    char text[128];
    if (atomic_fetch_add(&op->ctx->ops, 1) >= OP_THREADS_MAX) {
        atomic_fetch_sub(&op->ctx->ops, 1);
        return error_set(error, SBX_E_BUSY, "operation: %d operations are under way already", OP_THREADS_MAX);
    }
    op->has_thread = 1; /* before there is anybody to read it */
    int cause = op_start_thread(&op->thread, worker, op);
    if (cause != 0) {
        op->has_thread = 0;
        atomic_fetch_sub(&op->ctx->ops, 1);
        return error_set(error, SBX_E_BUSY, "operation: no thread: %s", strerror_r(cause, text, sizeof text));
    }
    return SBX_OK;
}

/* --- the worker's side ------------------------------------------------------------------------------------------ */

/* Under the lock: waits until a piece fits. */
static sbx_status wait_for_room(struct sbx_op *op, size_t piece)
{
    while (op->out.len + piece > OP_BUFFER) {
        if (op->stopped)
            return SBX_E_STOPPED;
        if (op->cancelled)
            return SBX_E_CANCELLED;
        int64_t now = gate_now_ns();
        int64_t deadline = op->call != NULL ? op->call->deadline_ns : 0;
        if (deadline != 0 && now >= deadline)
            return SBX_E_TIMEOUT;
        int64_t until = deadline;
        if (op->user_cancel_fd >= 0) {
            struct pollfd fd = {.fd = op->user_cancel_fd, .events = POLLIN};
            if (poll(&fd, 1, 0) > 0)
                return SBX_E_CANCELLED;
            if (until == 0 || until > now + CANCEL_LOOK_NS)
                until = now + CANCEL_LOOK_NS;
        }
        if (until == 0) {
            (void)pthread_cond_wait(&op->room, &op->lock);
            continue;
        }
        struct timespec at = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
        (void)pthread_cond_timedwait(&op->room, &op->lock, &at);
    }
    if (op->stopped)
        return SBX_E_STOPPED;
    return op->cancelled ? SBX_E_CANCELLED : SBX_OK;
}

sbx_status op_push(void *user, int stream, const void *data, size_t len)
{
    struct sbx_op *op = user;
    const char *bytes = data;
    sbx_status status = SBX_OK;
    (void)pthread_mutex_lock(&op->lock);
    while (len > 0 && status == SBX_OK) {
        struct record record = {.stream = stream, .len = (uint32_t)(len < PUSH_PIECE ? len : PUSH_PIECE)};
        status = wait_for_room(op, sizeof record + record.len);
        if (status != SBX_OK)
            break;
        int was_empty = op->out.len == 0;
        size_t before = op->out.len;
        if (buf_append(&op->out, &record, sizeof record) != 0 || buf_append(&op->out, bytes, record.len) != 0) {
            op->out.len = before;
            op->out.failed = 0;
            status = SBX_E_NO_MEMORY;
            break;
        }
        if (was_empty)
            signal_fd(op->event_fd);
        bytes += record.len;
        len -= record.len;
    }
    (void)pthread_mutex_unlock(&op->lock);
    return status;
}

int64_t op_pull(void *user, void *buf, size_t cap)
{
    struct sbx_op *op = user;
    int64_t given = SBX_AGAIN;
    (void)pthread_mutex_lock(&op->lock);
    if (op->in.len > 0) {
        size_t n = op->in.len < cap ? op->in.len : cap;
        memcpy(buf, op->in.data, n);
        buf_consume(&op->in, n);
        given = (int64_t)n;
        if (!op->in_ended && op->in.len < OP_BUFFER / 2)
            signal_fd(op->event_fd);
    } else if (op->in_ended == 1) {
        given = 0;
    } else if (op->in_ended != 0) {
        given = -1;
    } else {
        drain_fd(op->in_fd);
    }
    (void)pthread_mutex_unlock(&op->lock);
    return given;
}

int32_t op_tty_next(void *user, struct sbx_tty_event *out)
{
    struct sbx_op *op = user;
    int32_t have = 0;
    (void)pthread_mutex_lock(&op->lock);
    if (op->event_count > 0) {
        sbx_give(out, &op->events[0], sizeof op->events[0]);
        op->event_count--;
        memmove(&op->events[0], &op->events[1], op->event_count * sizeof op->events[0]);
        have = 1;
    } else {
        drain_fd(op->tty_fd);
    }
    (void)pthread_mutex_unlock(&op->lock);
    return have;
}

sbx_status op_verdict(struct sbx_op *op, sbx_status status)
{
    if (op == NULL || !op->has_thread)
        return status;
    (void)pthread_mutex_lock(&op->lock);
    if (status == SBX_E_CANCELLED || status == SBX_E_STOPPED) {
        if (op->stopped)
            status = SBX_E_STOPPED;
        else if (op->cancelled)
            status = SBX_E_CANCELLED;
    }
    (void)pthread_mutex_unlock(&op->lock);
    return status;
}

/* --- the caller's side ------------------------------------------------------------------------------------------ */

sbx_status op_deliver(void *user, int stream, const void *data, size_t len)
{
    const struct op_callbacks *callbacks = user;
    int32_t answer = 0;
    if (stream == 0 && callbacks->on_data != NULL)
        answer = callbacks->on_data(callbacks->user, data, len);
    else if (stream != 0 && callbacks->on_output != NULL)
        answer = callbacks->on_output(callbacks->user, stream, data, len);
    return answer != 0 ? SBX_E_STOPPED : SBX_OK;
}

size_t op_tty_events(uint32_t rows, uint32_t cols, int32_t signo, struct sbx_tty_event out[2])
{
    size_t count = 0;
    if (rows != 0 && cols != 0)
        out[count++] =
            (struct sbx_tty_event){.size = sizeof out[0], .what = SBX_TTY_RESIZE, .rows = rows, .cols = cols};
    if (signo != 0)
        out[count++] = (struct sbx_tty_event){.size = sizeof out[0], .what = SBX_TTY_SIGNAL, .signo = signo};
    return count;
}

static void add_event(struct sbx_op *op, const struct sbx_tty_event *event)
{
    (void)pthread_mutex_lock(&op->lock);
    /* Of many sizes only the last one counts. */
    if (op->event_count > 0 && event->what == SBX_TTY_RESIZE && op->events[op->event_count - 1].what == SBX_TTY_RESIZE)
        op->event_count--;
    if (op->event_count < OP_EVENTS_MAX)
        op->events[op->event_count++] = *event;
    signal_fd(op->tty_fd);
    (void)pthread_mutex_unlock(&op->lock);
}

static void dispatch_terminal(struct sbx_op *op)
{
    const struct sbx_terminal *terminal = op->callbacks.terminal;
    if (terminal == NULL || terminal->next == NULL)
        return;
    struct pollfd fd = {.fd = terminal->ready_fd, .events = POLLIN};
    if (terminal->ready_fd < 0 || poll(&fd, 1, 0) <= 0)
        return;
    for (int i = 0; i < OP_EVENTS_MAX; i++) {
        uint32_t rows = 0;
        uint32_t cols = 0;
        int32_t signo = 0;
        if (terminal->next(terminal->user, &rows, &cols, &signo) != 1)
            return;
        struct sbx_tty_event events[2];
        size_t count = op_tty_events(rows, cols, signo, events);
        for (size_t k = 0; k < count; k++)
            add_event(op, &events[k]);
    }
}

/* Fills the input buffer from in_read; the lock is not held while that runs. */
static void dispatch_input(struct sbx_op *op)
{
    if (op->callbacks.in_read == NULL)
        return;
    (void)pthread_mutex_lock(&op->lock);
    while (!op->in_ended && !op->over && !op->cancelled && op->in.len < OP_BUFFER) {
        char piece[PULL_PIECE];
        (void)pthread_mutex_unlock(&op->lock);
        int64_t got = op->callbacks.in_read(op->callbacks.user, piece, sizeof piece);
        (void)pthread_mutex_lock(&op->lock);
        if (got == 0)
            op->in_ended = 1;
        else if (got < 0 || got > (int64_t)sizeof piece || buf_append(&op->in, piece, (size_t)got) != 0)
            op->in_ended = 2;
        signal_fd(op->in_fd);
    }
    (void)pthread_mutex_unlock(&op->lock);
}

static void stop(struct sbx_op *op, int *which)
{
    (void)pthread_mutex_lock(&op->lock);
    if (!op->over) {
        *which = 1;
    } else if (which == &op->stopped && !op->stopped && op->status == SBX_OK) {
        /* The last pieces came after the end: the verdict is the one that an earlier piece would have got. */
        op->stopped = 1;
        op->status = error_set(&op->error, SBX_E_STOPPED, "stopped by the caller");
    }
    (void)pthread_cond_broadcast(&op->room);
    (void)pthread_mutex_unlock(&op->lock);
    signal_fd(op->cancel_fd);
}

static void dispatch_output(struct sbx_op *op)
{
    (void)pthread_mutex_lock(&op->lock);
    struct buf taken = op->out;
    op->out = op->spare;
    op->spare = taken;
    (void)pthread_cond_broadcast(&op->room);
    (void)pthread_mutex_unlock(&op->lock);
    int stopped = 0;
    for (size_t at = 0; at < taken.len && !stopped;) {
        struct record record;
        memcpy(&record, taken.data + at, sizeof record);
        at += sizeof record;
        stopped = op_deliver(&op->callbacks, record.stream, taken.data + at, record.len) != SBX_OK;
        at += record.len;
    }
    op->spare.len = 0;
    if (stopped)
        stop(op, &op->stopped);
}

int sbx_op_fd(const sbx_op *op)
{
    return op != NULL ? op->poll_fd : -1;
}

int sbx_op_dispatch(sbx_op *op)
{
    if (op == NULL || !op->has_thread)
        return 1;
    /* A callback may run a loop that finds the descriptor readable: the bytes that it is in come first. */
    if (op->in_dispatch)
        return 0;
    op->in_dispatch = 1;
    drain_fd(op->event_fd);
    dispatch_terminal(op);
    dispatch_input(op);
    dispatch_output(op);
    op->in_dispatch = 0;
    (void)pthread_mutex_lock(&op->lock);
    if (op->stopped)
        op->out.len = 0; /* nobody wants the rest */
    int done = op->over && op->out.len == 0;
    if (op->over || op->out.len > 0)
        signal_fd(op->event_fd); /* stays readable when over */
    (void)pthread_mutex_unlock(&op->lock);
    return done;
}

void sbx_op_cancel(sbx_op *op)
{
    if (op != NULL && op->has_thread)
        stop(op, &op->cancelled);
}

sbx_status sbx_op_finish(sbx_op *op, struct sbx_error *error)
{
    if (op == NULL)
        return error_set(error, SBX_E_INVALID, "operation: none given");
    if (op->in_dispatch)
        return error_set(error, SBX_E_STATE, "operation: it cannot be finished in one of its own callbacks");
    while (sbx_op_dispatch(op) == 0) {
        struct pollfd fd = {.fd = op->poll_fd, .events = POLLIN};
        (void)poll(&fd, 1, -1);
    }
    if (op->status != SBX_OK)
        error_give(error, &op->error);
    return op->status;
}

static int is_over(const sbx_op *op)
{
    if (op == NULL)
        return 0;
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&op->lock;
    (void)pthread_mutex_lock(lock);
    int over = op->over || !op->has_thread;
    (void)pthread_mutex_unlock(lock);
    return over;
}

const struct sbx_exec_result *sbx_op_exec_result(const sbx_op *op)
{
    return is_over(op) ? &op->result : NULL;
}

const void *sbx_op_output(const sbx_op *op, int stream, size_t *len)
{
    if (len != NULL)
        *len = 0;
    if (stream < 0 || stream > 2 || !is_over(op))
        return NULL;
    const struct buf *data = &op->captured[stream].data;
    if (len != NULL)
        *len = data->len;
    return data->data != NULL ? data->data : "";
}

uint64_t sbx_op_next(const sbx_op *op)
{
    return is_over(op) ? op->next : 0;
}

sbx_sandbox *sbx_op_take_sandbox(sbx_op *op)
{
    return is_over(op) ? STEAL(op->box) : NULL;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void sbx_op_free(sbx_op *op)
{
    if (op == NULL)
        return;
    if (op->has_thread) {
        sbx_op_cancel(op);
        (void)pthread_join(op->thread, NULL);
        atomic_fetch_sub(&op->ctx->ops, 1);
    }
    if (op->box != NULL) {
        /* Nobody took it, so nobody knows its id. */
        const struct sbx_call_options limit = {.size = sizeof limit, .deadline_ms = 30000};
        (void)sbx_remove(op->box, &limit, NULL);
        sbx_release(op->box);
    }
    if (op->work_finish != NULL)
        op->work_finish(op->work);
    if (op->poll_fd != op->event_fd)
        close_fd(op->poll_fd);
    if (op->token_fd != op->cancel_fd)
        close_fd(op->token_fd);
    close_fd(op->event_fd);
    close_fd(op->cancel_fd);
    close_fd(op->in_fd);
    close_fd(op->tty_fd);
    for (size_t i = 0; i < sizeof op->captured / sizeof op->captured[0]; i++)
        capture_finish(&op->captured[i]);
    buf_finish(&op->out);
    buf_finish(&op->spare);
    buf_finish(&op->in);
    (void)pthread_cond_destroy(&op->room);
    (void)pthread_mutex_destroy(&op->lock);
    arena_finish(&op->arena);
    free(op);
}
