/* SPDX-License-Identifier: MIT
 *
 * api_job.c - commands that outlive the call.
 */
#include "base/cleanup.h"
#include "host/api.h"
#include "host/error.h"
#include "host/info.h"
#include "host/op.h"

#define JOB_FLAGS (SBX_RUN_MERGE | SBX_RUN_NO_TIMEOUT | SBX_RUN_KEEP_STDIN)

/* --- starting --------------------------------------------------------------------------------------------------- */

static sbx_status check_start(const char *id, const struct sbx_exec_options *o, struct sbx_error *error)
{
    const uint32_t streams = SBX_RUN_IN_FD | SBX_RUN_OUT_FD | SBX_RUN_ERR_FD | SBX_RUN_CAPTURE | SBX_RUN_DISCARD_AFTER;
    if ((o->flags & streams) != 0 || o->input != NULL || o->input_len != 0 || o->in_read != NULL ||
        o->on_output != NULL || o->terminal != NULL)
        return error_set(error, SBX_E_INVALID, "job %s: a job has no streams and no terminal of the caller's", id);
    if ((o->flags & ~(uint32_t)JOB_FLAGS) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "job %s: unknown flags 0x%x", id, o->flags);
    return api_check_command("job", id, o, error);
}

/* The caller's struct may be shorter or longer than ours. */
static void give_job(struct sbx_job *out, const struct sbx_job_info *job)
{
    struct sbx_job own = {.size = sizeof own,
                          .flags = job->flags,
                          .pid = job->pid,
                          .exit_code = job->exit_code,
                          .term_signal = job->term_signal};
    memcpy(own.id, job->id, sizeof own.id);
    sbx_give(out, &own, sizeof own);
}

sbx_status sbx_job_start(sbx_sandbox *box, const struct sbx_exec_options *options, const struct sbx_call_options *call,
                         struct sbx_job *out, struct sbx_error *error)
{
    struct border_call c;
    struct sbx_exec_options o;
    struct sbx_job_info job;
    sbx_status status = api_check_box(box, "job", error);
    if (status == SBX_OK && out == NULL)
        status = error_set(error, SBX_E_INVALID, "job %s: no place for the job's id", box->id);
    if (status == SBX_OK)
        status = api_take(&o, sizeof o, options, "job", error);
    if (status == SBX_OK)
        status = check_start(box->id, &o, error);
    if (status == SBX_OK)
        status = api_begin(&c, box, "job", SBX_EXT_JOB, call, error);
    if (status != SBX_OK)
        return status;
    if (o.shell != NULL)
        status = border_needs(&c, box, SBX_EXT_SHELL);
    if (status == SBX_OK && (o.flags & SBX_RUN_KEEP_STDIN) != 0)
        status = border_needs(&c, box, SBX_EXT_JOB_STDIN);
    const struct sbx_exec_args args = {.size = sizeof args,
                                       .flags = ((o.flags & SBX_RUN_MERGE) != 0 ? SBX_EXEC_MERGE_STDERR : 0u) |
                                                ((o.flags & SBX_RUN_KEEP_STDIN) != 0 ? SBX_EXEC_STDIN_OPEN : 0u) |
                                                (o.timeout_ms == 0 ? SBX_EXEC_NO_TIMEOUT : 0u),
                                       .command = o.command,
                                       .argv = o.argv,
                                       .cwd = o.cwd,
                                       .user = o.user,
                                       .shell = o.shell,
                                       .envs = o.envs,
                                       .max_output = o.max_output,
                                       .timeout_ms = (uint32_t)o.timeout_ms};
    if (status == SBX_OK)
        status = border_job_start(&c, box, &args, &job);
    if (status == SBX_OK)
        give_job(out, &job);
    return border_end(&c, status, error);
}

/* --- one job ---------------------------------------------------------------------------------------------------- */

static sbx_status job_begin(struct border_call *c, struct sbx_sandbox *box, const char *verb, const char *capability,
                            const char *job, const struct sbx_call_options *call, struct sbx_error *error)
{
    sbx_status status = api_check_box(box, verb, error);
    if (status == SBX_OK && !border_id_is_sane(job))
        status = error_set(error, SBX_E_INVALID, "%s %s: a job's id is printable and without spaces", verb, box->id);
    return status == SBX_OK ? api_begin(c, box, verb, capability, call, error) : status;
}

/* Names the job in what the provider answered. */
static sbx_status job_end(struct border_call *c, sbx_status status, const char *job, struct sbx_error *error)
{
    if (status == SBX_E_NOT_FOUND)
        (void)border_fail(c, status, "no such job '%s'", job);
    return border_end(c, status, error);
}

sbx_status sbx_job_info(sbx_sandbox *box, const char *job, const struct sbx_call_options *call, struct sbx_job *out,
                        struct sbx_error *error)
{
    struct border_call c;
    struct sbx_job_info info;
    sbx_status status = job_begin(&c, box, "job", SBX_EXT_JOB, job, call, error);
    if (status != SBX_OK)
        return status;
    status = border_job_info(&c, box, job, &info);
    if (status == SBX_OK)
        give_job(out, &info);
    return job_end(&c, status, job, error);
}

sbx_status sbx_job_kill(sbx_sandbox *box, const char *job, const struct sbx_call_options *call, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = job_begin(&c, box, "kill", SBX_EXT_JOB, job, call, error);
    return status == SBX_OK ? job_end(&c, border_job_kill(&c, box, job), job, error) : status;
}

sbx_status sbx_job_signal(sbx_sandbox *box, const char *job, int32_t signo, const struct sbx_call_options *call,
                          struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = job_begin(&c, box, "signal", SBX_EXT_JOB_SIGNAL, job, call, error);
    if (status != SBX_OK)
        return status;
    status = signo < 1 || signo > 64 ? border_fail(&c, SBX_E_INVALID, "there is no signal %d", signo)
                                     : border_job_signal(&c, box, job, signo);
    return job_end(&c, status, job, error);
}

sbx_status sbx_job_feed(sbx_sandbox *box, const char *job, const void *data, size_t len, uint32_t eof,
                        const struct sbx_call_options *call, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = job_begin(&c, box, "feed", SBX_EXT_JOB_STDIN, job, call, error);
    if (status != SBX_OK)
        return status;
    status = data == NULL && len > 0 ? border_fail(&c, SBX_E_INVALID, "a length of data without data")
                                     : border_job_feed(&c, box, job, data != NULL ? data : "", len, eof != 0);
    return job_end(&c, status, job, error);
}

sbx_status sbx_job_forget(sbx_sandbox *box, const char *job, const struct sbx_call_options *call,
                          struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = job_begin(&c, box, "forget", SBX_EXT_JOB_LIST, job, call, error);
    return status == SBX_OK ? job_end(&c, border_job_forget(&c, box, job), job, error) : status;
}

/* --- listing ---------------------------------------------------------------------------------------------------- */

struct job_node {
    struct job_node *next;
    struct sbx_job_info job;
};
struct job_list {
    struct arena arena;
    struct job_node *first;
    struct job_node **end;
};

static int32_t add_job(void *user, const struct sbx_job_info *job)
{
    struct job_list *list = user;
    struct job_node *node = arena_alloc(&list->arena, sizeof *node);
    if (node == NULL)
        return 1;
    node->job = *job;
    *list->end = node;
    list->end = &node->next;
    return 0;
}

sbx_status sbx_job_list(sbx_sandbox *box, const struct sbx_call_options *call,
                        void (*report)(void *user, const struct sbx_job *job), void *user, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "jobs", SBX_EXT_JOB_LIST, call, error);
    if (status != SBX_OK)
        return status;
    struct job_list list = {.first = NULL};
    arena_init(&list.arena, INFO_LIST_MAX);
    list.end = &list.first;
    const struct sbx_job_sink sink = {.size = sizeof sink, .user = &list, .item = add_job};
    status = border_job_list(&c, box, &sink);
    if (list.arena.failed != 0)
        status = border_fail(&c, SBX_E_NO_MEMORY, "more jobs than there is memory for");
    status = border_end(&c, status, error);
    for (const struct job_node *node = list.first; status == SBX_OK && report != NULL && node != NULL;
         node = node->next) {
        struct sbx_job job = SBX_INIT(job);
        give_job(&job, &node->job);
        report(user, &job);
    }
    arena_finish(&list.arena);
    return status;
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

/* A call about one job that may have a thread of its own. */
struct job_run {
    struct sbx_sandbox *box;
    const char *job;
    const char *verb;
    struct border_call call;
    struct sbx_job_output_options options; /* of an output */
    struct op_callbacks callbacks;
    struct flow_sink sink;
    struct sbx_op *op; /* NULL: on the caller's thread */
};

static sbx_status run_take(struct job_run *run, struct sbx_sandbox *box, const char *verb, const char *job,
                           struct sbx_error *error)
{
    struct border_call probe;
    *run = (struct job_run){.box = box, .job = job, .verb = verb};
    sbx_status status = job_begin(&probe, box, verb, SBX_EXT_JOB, job, NULL, error);
    return status == SBX_OK ? border_end(&probe, SBX_OK, NULL) : status;
}

/* Makes an operation of the run, with `work` on its thread. */
static sbx_status run_launch(const struct job_run *from, op_run *work, const struct sbx_call_options *call,
                             sbx_op **out, struct sbx_error *error)
{
    struct sbx_op *op = op_create(from->box->instance->context);
    struct job_run *run = op != NULL ? arena_alloc(&op->arena, sizeof *run) : NULL;
    if (run == NULL) {
        sbx_op_free(op);
        return error_no_memory(error);
    }
    *run = *from;
    sbx_status status = op_begin(op, &run->call, &run->callbacks, run->verb, run->box->id, call, error);
    if (status == SBX_OK) {
        run->job = arena_text(&op->arena, from->job);
        run->op = op;
        op->work = run;
        op->run = work;
        op->next = run->options.from;
        status = op->arena.failed != 0 ? error_no_memory(error) : op_launch(op, error);
    }
    if (status != SBX_OK) {
        sbx_op_free(op);
        return status;
    }
    *out = op;
    return SBX_OK;
}

static sbx_status wait_perform(struct job_run *run, struct sbx_exec_result *result, struct sbx_error *error)
{
    sbx_status status = border_job_wait(&run->call, run->box, run->job, result);
    return job_end(&run->call, op_verdict(run->op, status), run->job, error);
}

sbx_status sbx_job_wait(sbx_sandbox *box, const char *job, const struct sbx_call_options *call,
                        struct sbx_exec_result *result, struct sbx_error *error)
{
    struct job_run run;
    struct sbx_exec_result own = SBX_INIT(own);
    sbx_status status = run_take(&run, box, "wait", job, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(&run.call, box->instance->context->log, "wait", box->id, call);
    if (status != SBX_OK)
        return border_end(&run.call, status, error);
    status = wait_perform(&run, &own, error);
    sbx_give(result, &own, sizeof own);
    return status;
}

static sbx_status wait_worker(struct sbx_op *op, struct sbx_error *error)
{
    return wait_perform(op->work, &op->result, error);
}

sbx_status sbx_job_wait_start(sbx_sandbox *box, const char *job, const struct sbx_call_options *call, sbx_op **out,
                              struct sbx_error *error)
{
    struct job_run run;
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "wait: no place for the operation");
    *out = NULL;
    sbx_status status = run_take(&run, box, "wait", job, error);
    return status == SBX_OK ? run_launch(&run, wait_worker, call, out, error) : status;
}

/* --- output ----------------------------------------------------------------------------------------------------- */

static sbx_status output_take(struct job_run *run, struct sbx_sandbox *box, const char *job,
                              const struct sbx_job_output_options *options, struct sbx_error *error)
{
    sbx_status status = run_take(run, box, "logs", job, error);
    if (status == SBX_OK)
        status = api_take(&run->options, sizeof run->options, options, "logs", error);
    if (status != SBX_OK)
        return status;
    const struct sbx_job_output_options *o = &run->options;
    if ((o->flags & ~(uint32_t)(SBX_JOB_FOLLOW | SBX_JOB_OUT_FD | SBX_JOB_OLDEST)) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "logs %s: unknown flags 0x%x", box->id, o->flags);
    if (o->stream != 1 && o->stream != 2)
        return error_set(error, SBX_E_INVALID, "logs %s: the stream is 1 or 2, not %u", box->id, o->stream);
    if ((o->flags & SBX_JOB_OUT_FD) != 0 && o->fd < 0)
        return error_set(error, SBX_E_INVALID, "logs %s: the descriptor is %d", box->id, o->fd);
    if ((o->flags & SBX_JOB_OUT_FD) == 0 && o->on_data == NULL)
        return error_set(error, SBX_E_INVALID, "logs %s: nowhere to put the bytes", box->id);
    run->callbacks = (struct op_callbacks){.user = o->user_data, .on_data = o->on_data};
    return SBX_OK;
}

static sbx_status output_perform(struct job_run *run, uint64_t *next, struct sbx_error *error)
{
    const struct sbx_job_output_options *o = &run->options;
    const struct sbx_output_args args = {.size = sizeof args,
                                         .flags = ((o->flags & SBX_JOB_FOLLOW) != 0 ? SBX_OUTPUT_FOLLOW : 0u) |
                                                  ((o->flags & SBX_JOB_OLDEST) != 0 ? SBX_OUTPUT_OLDEST : 0u),
                                         .stream = o->stream,
                                         .from = o->from};
    uint64_t theirs = o->from;
    flow_sink_init(&run->sink, &run->call.call);
    if ((o->flags & SBX_JOB_OUT_FD) != 0)
        flow_sink_to_fd(&run->sink, o->fd);
    if (o->on_data != NULL) {
        run->sink.deliver = run->op != NULL ? op_push : op_deliver;
        run->sink.user = run->op != NULL ? (void *)run->op : (void *)&run->callbacks;
    }
    sbx_status status = border_job_output(&run->call, run->box, run->job, &args, &run->sink.sink, &theirs);
    /* What was given is counted here; only what is no longer kept is the provider's to tell. */
    *next = o->from + run->sink.bytes;
    if ((status == SBX_E_TOO_LARGE || (o->flags & SBX_JOB_OLDEST) != 0) && theirs > *next)
        *next = theirs;
    status = flow_verdict(&run->call, status, &run->sink, NULL);
    return job_end(&run->call, op_verdict(run->op, status), run->job, error);
}

sbx_status sbx_job_output(sbx_sandbox *box, const char *job, const struct sbx_job_output_options *options,
                          const struct sbx_call_options *call, uint64_t *next, struct sbx_error *error)
{
    struct job_run run;
    uint64_t own;
    sbx_status status = output_take(&run, box, job, options, error);
    if (next != NULL)
        *next = run.options.from;
    if (status != SBX_OK)
        return status;
    status = border_begin(&run.call, box->instance->context->log, run.verb, box->id, call);
    if (status != SBX_OK)
        return border_end(&run.call, status, error);
    status = output_perform(&run, &own, error);
    if (next != NULL)
        *next = own;
    return status;
}

static sbx_status output_worker(struct sbx_op *op, struct sbx_error *error)
{
    return output_perform(op->work, &op->next, error);
}

sbx_status sbx_job_output_start(sbx_sandbox *box, const char *job, const struct sbx_job_output_options *options,
                                const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error)
{
    struct job_run run;
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "logs: no place for the operation");
    *out = NULL;
    sbx_status status = output_take(&run, box, job, options, error);
    return status == SBX_OK ? run_launch(&run, output_worker, call, out, error) : status;
}
