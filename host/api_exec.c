/* SPDX-License-Identifier: MIT
 *
 * api_exec.c - running commands: on the caller's thread, or as an operation.
 */
#include "base/cleanup.h"
#include "host/api.h"
#include "host/error.h"
#include "host/op.h"

#include <string.h>

#define CAPTURE_MOST (SIZE_MAX / 4)
#define RUN_FLAGS                                                                                                      \
    (SBX_RUN_MERGE | SBX_RUN_NO_TIMEOUT | SBX_RUN_IN_FD | SBX_RUN_OUT_FD | SBX_RUN_ERR_FD | SBX_RUN_CAPTURE |          \
     SBX_RUN_DISCARD_AFTER)

/* Everything that one command needs; lives as long as the plugin's call. */
struct exec_run {
    struct sbx_sandbox *box;
    struct sbx_exec_options options;
    struct sbx_terminal terminal; /* the caller's, full size; size 0: none */
    struct border_call call;
    struct op_callbacks callbacks;
    struct flow_sink sinks[2]; /* stdout, stderr */
    struct flow_source source;
    struct sbx_tty tty;
    struct sbx_tty_event pending; /* without a thread: the second event of one change */
    struct sbx_exec_args args;
    struct turn turn;  /* of a named shell's command */
    struct sbx_op *op; /* where captured bytes go, and with a thread the callbacks' bytes; may be NULL */
};

/* --- checks ----------------------------------------------------------------------------------------------------- */

static sbx_status check_streams(const char *id, const struct sbx_exec_options *o, struct sbx_error *error)
{
    int inputs = (o->input != NULL) + ((o->flags & SBX_RUN_IN_FD) != 0) + (o->in_read != NULL);
    if (inputs > 1)
        return error_set(error, SBX_E_INVALID, "exec %s: more than one input", id);
    if (o->input == NULL && o->input_len > 0)
        return error_set(error, SBX_E_INVALID, "exec %s: a length of input without input", id);
    if (((o->flags & SBX_RUN_IN_FD) != 0 && o->in_fd < 0) || ((o->flags & SBX_RUN_OUT_FD) != 0 && o->out_fd < 0) ||
        ((o->flags & SBX_RUN_ERR_FD) != 0 && o->err_fd < 0))
        return error_set(error, SBX_E_INVALID, "exec %s: a negative descriptor", id);
    if ((o->flags & (SBX_RUN_DISCARD_AFTER | SBX_RUN_CAPTURE)) == SBX_RUN_DISCARD_AFTER)
        return error_set(error, SBX_E_INVALID, "exec %s: keeping the tail goes with capture", id);
    return SBX_OK;
}

static sbx_status check_exec(const char *id, const struct sbx_exec_options *o, struct sbx_error *error)
{
    if ((o->flags & ~(uint32_t)RUN_FLAGS) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "exec %s: unknown flags 0x%x", id, o->flags);
    sbx_status status = api_check_command("exec", id, o, error);
    return status == SBX_OK ? check_streams(id, o, error) : status;
}

/* What this sandbox cannot do is refused before anything runs. */
static sbx_status check_support(const struct sbx_sandbox *box, const struct sbx_exec_options *o,
                                struct sbx_error *error)
{
    if (o->terminal != NULL && border_support(box, SBX_EXT_TTY) == SBX_SUPPORT_NONE)
        return error_set(error, SBX_E_UNSUPPORTED, "exec %s: terminals are not supported here", box->id);
    if (o->shell != NULL && border_support(box, SBX_EXT_SHELL) == SBX_SUPPORT_NONE)
        return error_set(error, SBX_E_UNSUPPORTED, "exec %s: named shells are not supported here", box->id);
    return SBX_OK;
}

static sbx_status exec_take(struct exec_run *run, struct sbx_sandbox *box, const struct sbx_exec_options *options,
                            struct sbx_error *error)
{
    sbx_status status = api_check_box(box, "exec", error);
    if (status != SBX_OK)
        return status;
    run->box = box;
    run->op = NULL;
    run->turn = (struct turn){.wake_fd = -1};
    run->terminal.size = 0;
    run->pending.what = 0;
    status = api_take(&run->options, sizeof run->options, options, "exec", error);
    if (status == SBX_OK && run->options.terminal != NULL) {
        status = api_take(&run->terminal, sizeof run->terminal, run->options.terminal, "exec: terminal", error);
        run->options.terminal = &run->terminal;
        if (status == SBX_OK && run->terminal.flags != 0)
            status = error_set(error, SBX_E_UNSUPPORTED, "exec %s: terminal: unknown flags 0x%x", box->id,
                               run->terminal.flags);
    }
    if (status == SBX_OK)
        status = check_exec(box->id, &run->options, error);
    if (status == SBX_OK)
        status = check_support(box, &run->options, error);
    run->callbacks = (struct op_callbacks){.user = run->options.user_data,
                                           .in_read = run->options.in_read,
                                           .on_output = run->options.on_output,
                                           .terminal = run->options.terminal};
    return status;
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

/* Without a thread: asks the caller's terminal. One change may be two events; the second one waits. */
static int32_t tty_next(void *user, struct sbx_tty_event *out)
{
    struct exec_run *run = user;
    if (run->pending.what != 0) {
        sbx_give(out, &run->pending, sizeof run->pending);
        run->pending.what = 0;
        return 1;
    }
    uint32_t rows = 0;
    uint32_t cols = 0;
    int32_t signo = 0;
    struct sbx_tty_event events[2];
    while (run->terminal.next != NULL && run->terminal.next(run->terminal.user, &rows, &cols, &signo) == 1) {
        size_t count = op_tty_events(rows, cols, signo, events);
        if (count == 0)
            continue;
        if (count == 2)
            run->pending = events[1];
        sbx_give(out, &events[0], sizeof events[0]);
        return 1;
    }
    return 0;
}

static void set_terminal(struct exec_run *run)
{
    int threaded = run->op != NULL && run->op->event_fd >= 0;
    run->tty = (struct sbx_tty){.size = sizeof run->tty,
                                .rows = run->terminal.rows,
                                .cols = run->terminal.cols,
                                .user = threaded ? (void *)run->op : (void *)run,
                                .next = threaded ? op_tty_next : tty_next,
                                .ready_fd = threaded ? run->op->tty_fd : run->terminal.ready_fd};
    run->args.tty = &run->tty;
    /* Nobody wants an interactive session to end by itself. */
    if (run->options.timeout_ms == 0)
        run->args.flags |= SBX_EXEC_NO_TIMEOUT;
}

static void set_source(struct exec_run *run)
{
    const struct sbx_exec_options *o = &run->options;
    int threaded = run->op != NULL && run->op->event_fd >= 0;
    if ((o->flags & SBX_RUN_IN_FD) != 0) {
        flow_source_of_fd(&run->source, o->in_fd);
    } else if (o->in_read != NULL && threaded) {
        flow_source_of_callback(&run->source, op_pull, run->op);
        run->source.source.flags = SBX_SOURCE_HAS_FD;
        run->source.source.ready_fd = run->op->in_fd;
    } else if (o->in_read != NULL) {
        flow_source_of_callback(&run->source, o->in_read, o->user_data);
    } else {
        flow_source_of_memory(&run->source, o->input, o->input_len);
        if (o->input == NULL)
            return; /* end of file at once */
    }
    run->args.in = &run->source.source;
}

/* Sets up stream 1 or 2; without anybody who wants it, the plugin drains and counts. */
static void set_sink(struct exec_run *run, int stream, int fd)
{
    const struct sbx_exec_options *o = &run->options;
    struct flow_sink *sink = &run->sinks[stream - 1];
    flow_sink_init(sink, &run->call.call);
    sink->stream = stream;
    if (fd >= 0)
        flow_sink_to_fd(sink, fd);
    if (run->op != NULL && (o->flags & SBX_RUN_CAPTURE) != 0) {
        sink->capture = &run->op->captured[stream];
        uint64_t max = o->max_output != 0 ? o->max_output : run->op->ctx->config->capture_limit;
        capture_init(sink->capture, max < CAPTURE_MOST ? (size_t)max : CAPTURE_MOST,
                     (o->flags & SBX_RUN_DISCARD_AFTER) != 0);
    }
    if (o->on_output != NULL) {
        int threaded = run->op != NULL && run->op->event_fd >= 0;
        sink->deliver = threaded ? op_push : op_deliver;
        sink->user = threaded ? (void *)run->op : (void *)&run->callbacks;
    }
    if (sink->fd < 0 && sink->capture == NULL && sink->deliver == NULL)
        return;
    if (stream == 1)
        run->args.out = &sink->sink;
    else
        run->args.err = &sink->sink;
}

static void exec_fill(struct exec_run *run)
{
    const struct sbx_exec_options *o = &run->options;
    run->args = (struct sbx_exec_args){.size = sizeof run->args,
                                       .flags = ((o->flags & SBX_RUN_MERGE) != 0 ? SBX_EXEC_MERGE_STDERR : 0u) |
                                                ((o->flags & SBX_RUN_NO_TIMEOUT) != 0 ? SBX_EXEC_NO_TIMEOUT : 0u),
                                       .command = o->command,
                                       .argv = o->argv,
                                       .cwd = o->cwd,
                                       .user = o->user,
                                       .shell = o->shell,
                                       .envs = o->envs,
                                       .timeout_ms = (uint32_t)o->timeout_ms};
    set_source(run);
    set_sink(run, 1, (o->flags & SBX_RUN_OUT_FD) != 0 ? o->out_fd : -1);
    set_sink(run, 2, (o->flags & SBX_RUN_ERR_FD) != 0 ? o->err_fd : -1);
    if (o->terminal != NULL)
        set_terminal(run);
    /* When the head of what is captured is all that anybody wants, the rest need not travel. */
    int only_head = run->op != NULL && (o->flags & SBX_RUN_CAPTURE) != 0 && (o->flags & SBX_RUN_DISCARD_AFTER) == 0 &&
                    o->on_output == NULL && (o->flags & (SBX_RUN_OUT_FD | SBX_RUN_ERR_FD)) == 0;
    if (only_head)
        run->args.max_output = run->op->captured[1].max;
}

/* --- running ---------------------------------------------------------------------------------------------------- */

/* Output is never lost without a flag: what was counted, delivered and kept must agree. */
static void settle_stream(struct exec_run *run, struct sbx_exec_result *result, int stream)
{
    struct flow_sink *sink = &run->sinks[stream - 1];
    uint64_t *counted = stream == 1 ? &result->out_bytes : &result->err_bytes;
    uint32_t truncated = stream == 1 ? SBX_STDOUT_TRUNCATED : SBX_STDERR_TRUNCATED;
    const struct sbx_sink *given = stream == 1 ? run->args.out : run->args.err;
    if (given == NULL)
        return;
    if (sink->capture != NULL) {
        capture_settle(sink->capture);
        if (sink->capture->dropped)
            result->flags |= truncated | (sink->capture->keep_tail ? (uint32_t)SBX_TAIL_KEPT : 0u);
    }
    if (*counted > sink->bytes && run->args.max_output != 0 && sink->bytes >= run->args.max_output)
        result->flags |= truncated;
    else if (*counted > sink->bytes && (result->flags & truncated) == 0)
        result->flags |= SBX_OUTPUT_INCOMPLETE;
    if (*counted < sink->bytes)
        *counted = sink->bytes;
}

/* On the thread that asks, so that the order is that of the asking. The call has begun; the shell's name stays. */
static sbx_status exec_queue(struct exec_run *run)
{
    if (run->options.shell == NULL || turn_take(&run->turn, &run->box->shells, run->options.shell) == SBX_OK)
        return SBX_OK;
    return border_fail(&run->call, SBX_E_FAILED, "no descriptor left");
}

/* Where a shell has one, its turn first. */
static sbx_status exec_slot(struct exec_run *run, struct sbx_exec_result *result)
{
    sbx_status status = run->turn.list != NULL ? turn_wait(&run->turn, &run->call.call) : SBX_OK;
    if (status != SBX_OK)
        (void)border_fail(&run->call, status, "%s", ""); /* the code has a text of its own */
    else
        status = border_exec(&run->call, run->box, &run->args, result);
    turn_end(&run->turn);
    return status;
}

static sbx_status exec_perform(struct exec_run *run, struct sbx_exec_result *result, struct sbx_error *error)
{
    exec_fill(run);
    sbx_status status = exec_slot(run, result);
    settle_stream(run, result, 1);
    settle_stream(run, result, 2);
    if (run->args.in != NULL)
        status = flow_verdict(&run->call, status, NULL, &run->source);
    status = flow_verdict(&run->call, status, &run->sinks[1], NULL);
    status = flow_verdict(&run->call, status, &run->sinks[0], NULL);
    status = op_verdict(run->op, status);
    return border_end(&run->call, status, error);
}

sbx_status sbx_exec(sbx_sandbox *box, const struct sbx_exec_options *options, const struct sbx_call_options *call,
                    struct sbx_exec_result *result, struct sbx_error *error)
{
    struct exec_run run;
    struct sbx_exec_result own = SBX_INIT(own);
    sbx_status status = exec_take(&run, box, options, error);
    if (status != SBX_OK)
        return status;
    if ((run.options.flags & SBX_RUN_CAPTURE) != 0)
        return error_set(error, SBX_E_INVALID, "exec %s: captured output needs sbx_exec_capture or an operation",
                         box->id);
    status = border_begin(&run.call, box->instance->context->log, "exec", box->id, call);
    if (status == SBX_OK)
        status = exec_queue(&run);
    if (status != SBX_OK)
        return border_end(&run.call, status, error);
    status = exec_perform(&run, &own, error);
    sbx_give(result, &own, sizeof own);
    return status;
}

static sbx_status exec_inline(struct sbx_op *op, struct sbx_sandbox *box, const struct sbx_exec_options *options,
                              const struct sbx_call_options *call)
{
    struct exec_run run;
    sbx_status status = exec_take(&run, box, options, &op->error);
    if (status != SBX_OK)
        return status;
    run.op = op;
    run.options.flags |= SBX_RUN_CAPTURE;
    status = border_begin(&run.call, box->instance->context->log, "exec", box->id, call);
    if (status == SBX_OK)
        status = exec_queue(&run);
    if (status != SBX_OK)
        return border_end(&run.call, status, &op->error);
    return exec_perform(&run, &op->result, &op->error);
}

sbx_status sbx_exec_capture(sbx_sandbox *box, const struct sbx_exec_options *options,
                            const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error)
{
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "exec: no place for the operation");
    *out = NULL;
    sbx_status status = api_check_box(box, "exec", error);
    if (status != SBX_OK)
        return status;
    struct sbx_op *op = op_create(box->instance->context);
    if (op == NULL)
        return error_no_memory(error);
    op->status = exec_inline(op, box, options, call);
    if (op->status != SBX_OK)
        error_give(error, &op->error);
    *out = op;
    return op->status;
}

static sbx_status exec_worker(struct sbx_op *op, struct sbx_error *error)
{
    return exec_perform(op->work, &op->result, error);
}

static sbx_status exec_launch(struct sbx_op *op, struct exec_run *run, struct sbx_error *error)
{
    sbx_status status = exec_queue(run);
    if (status != SBX_OK)
        return border_end(&run->call, status, error);
    status = op_launch(op, error);
    if (status != SBX_OK)
        turn_end(&run->turn);
    return status;
}

sbx_status sbx_exec_start(sbx_sandbox *box, const struct sbx_exec_options *options, const struct sbx_call_options *call,
                          sbx_op **out, struct sbx_error *error)
{
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "exec: no place for the operation");
    *out = NULL;
    sbx_status status = api_check_box(box, "exec", error);
    if (status != SBX_OK)
        return status;
    struct sbx_op *op = op_create(box->instance->context);
    struct exec_run *run = op != NULL ? arena_alloc(&op->arena, sizeof *run) : NULL;
    if (run == NULL) {
        sbx_op_free(op);
        return error_no_memory(error);
    }
    status = exec_take(run, box, options, error);
    if (status == SBX_OK)
        status = op_begin(op, &run->call, &run->callbacks, "exec", box->id, call, error);
    if (status == SBX_OK) {
        api_copy_command(&op->arena, &run->options);
        run->op = op;
        op->work = run;
        op->run = exec_worker;
        status = op->arena.failed != 0 ? error_no_memory(error) : exec_launch(op, run, error);
    }
    if (status != SBX_OK) {
        sbx_op_free(op);
        return status;
    }
    *out = op;
    return SBX_OK;
}
