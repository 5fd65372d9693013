/* SPDX-License-Identifier: MIT
 *
 * border_more.c - the slots of jobs, shells, connections, suspending, snapshots and the provider's own ways in.
 */
#include "host/border_slot.h"

#include <string.h>

sbx_status border_needs(struct border_call *c, const struct sbx_sandbox *box, const char *capability)
{
    if (border_support(box, capability) != SBX_SUPPORT_NONE)
        return SBX_OK;
    return border_fail(c, SBX_E_UNSUPPORTED, "the provider does not offer %s", capability);
}

/* --- jobs ------------------------------------------------------------------------------------------------------- */

/* Makes what was told of a job consistent, or says why it cannot be. */
static sbx_status check_job(struct border_call *c, struct sbx_job_info *job)
{
    struct sbx_exec_result end = {.flags = job->flags, .exit_code = job->exit_code, .term_signal = job->term_signal};
    job->size = sizeof *job;
    if (memchr(job->id, '\0', sizeof job->id) == NULL || !border_id_is_sane(job->id))
        return border_fail(c, SBX_E_PROTOCOL, "the provider gave a job without a usable id");
    if ((job->flags & SBX_JOB_RUNNING) != 0) {
        job->flags = SBX_JOB_RUNNING;
        job->exit_code = 0;
        job->term_signal = 0;
        return SBX_OK;
    }
    sbx_status status = border_check_result(c, &end);
    job->exit_code = end.exit_code;
    return status;
}

/* A new job runs, or ended at once; a provider that says neither means that it runs. */
sbx_status border_job_start(struct border_call *c, struct sbx_sandbox *box, const struct sbx_exec_args *args,
                            struct sbx_job_info *out)
{
    struct instance *instance = box->instance;
    *out = (struct sbx_job_info){.size = sizeof *out};
    sbx_status status = border_enter(c, instance);
    if (status != SBX_OK)
        return status;
    status = border_leave(instance, instance->tables.job.start(box->handle, &c->call, args, out));
    if (status != SBX_OK)
        return status;
    if ((out->flags & (SBX_EXITED | SBX_SIGNALLED | SBX_TIMED_OUT)) == 0)
        out->flags = SBX_JOB_RUNNING;
    return check_job(c, out);
}

sbx_status border_job_info(struct border_call *c, struct sbx_sandbox *box, const char *job, struct sbx_job_info *out)
{
    struct instance *instance = box->instance;
    *out = (struct sbx_job_info){.size = sizeof *out};
    sbx_status status = border_enter(c, instance);
    if (status != SBX_OK)
        return status;
    status = border_leave(instance, instance->tables.job.info(box->handle, &c->call, job, out));
    return status == SBX_OK ? check_job(c, out) : status;
}

sbx_status border_job_wait(struct border_call *c, struct sbx_sandbox *box, const char *job, struct sbx_exec_result *out)
{
    struct instance *instance = box->instance;
    *out = (struct sbx_exec_result){.size = sizeof *out};
    sbx_status status = border_enter(c, instance);
    if (status != SBX_OK)
        return status;
    status = border_leave(instance, instance->tables.job.wait(box->handle, &c->call, job, out));
    out->size = sizeof *out;
    return status == SBX_OK ? border_check_result(c, out) : status;
}

sbx_status border_job_kill(struct border_call *c, struct sbx_sandbox *box, const char *job)
{
    BORDER_SLOT(box->instance, box->instance->tables.job.kill(box->handle, &c->call, job));
}

sbx_status border_job_output(struct border_call *c, struct sbx_sandbox *box, const char *job,
                             const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next)
{
    BORDER_SLOT(box->instance, box->instance->tables.job.output(box->handle, &c->call, job, args, out, next));
}

sbx_status border_job_signal(struct border_call *c, struct sbx_sandbox *box, const char *job, int32_t signo)
{
    BORDER_SLOT(box->instance, box->instance->tables.job_signal.signal(box->handle, &c->call, job, signo));
}

sbx_status border_job_feed(struct border_call *c, struct sbx_sandbox *box, const char *job, const void *data,
                           size_t len, uint32_t eof)
{
    BORDER_SLOT(box->instance, box->instance->tables.job_stdin.feed(box->handle, &c->call, job, data, len, eof));
}

struct checked_jobs {
    struct border_call *c;
    const struct sbx_job_sink *out;
    sbx_status status;
};

static int32_t check_listed(void *user, const struct sbx_job_info *theirs)
{
    struct checked_jobs *jobs = user;
    struct sbx_job_info job;
    sbx_view(&job, sizeof job, theirs);
    jobs->status = check_job(jobs->c, &job);
    return jobs->status != SBX_OK ? 1 : jobs->out->item(jobs->out->user, &job);
}

sbx_status border_job_list(struct border_call *c, struct sbx_sandbox *box, const struct sbx_job_sink *out)
{
    struct instance *instance = box->instance;
    struct checked_jobs jobs = {.c = c, .out = out};
    const struct sbx_job_sink sink = {.size = sizeof sink, .user = &jobs, .item = check_listed};
    sbx_status status = border_enter(c, instance);
    if (status != SBX_OK)
        return status;
    status = border_leave(instance, instance->tables.job_list.list(box->handle, &c->call, &sink));
    if (jobs.status != SBX_OK)
        return border_fail(c, SBX_E_PROTOCOL, "the provider listed a job that cannot be");
    return status;
}

sbx_status border_job_forget(struct border_call *c, struct sbx_sandbox *box, const char *job)
{
    BORDER_SLOT(box->instance, box->instance->tables.job_list.forget(box->handle, &c->call, job));
}

/* --- shells, connections ---------------------------------------------------------------------------------------- */

sbx_status border_shell_close(struct border_call *c, struct sbx_sandbox *box, const char *shell)
{
    BORDER_SLOT(box->instance, box->instance->tables.shell_close.close(box->handle, &c->call, shell));
}

sbx_status border_dial(struct border_call *c, struct sbx_sandbox *box, uint32_t port, const struct sbx_source *in,
                       const struct sbx_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->tables.dial.dial(box->handle, &c->call, port, in, out));
}

/* --- life ------------------------------------------------------------------------------------------------------- */

sbx_status border_keep_alive(struct border_call *c, struct sbx_sandbox *box, uint32_t ttl_s)
{
    BORDER_SLOT(box->instance, box->instance->tables.keepalive.keep_alive(box->handle, &c->call, ttl_s));
}

sbx_status border_suspend(struct border_call *c, struct sbx_sandbox *box)
{
    BORDER_SLOT(box->instance, box->instance->tables.suspend.suspend(box->handle, &c->call));
}

sbx_status border_resume(struct border_call *c, struct sbx_sandbox *box)
{
    BORDER_SLOT(box->instance, box->instance->tables.suspend.resume(box->handle, &c->call));
}

sbx_status border_snapshot_begin(struct border_call *c, struct sbx_sandbox *box, const struct sbx_snapshot_args *args,
                                 const struct sbx_snapshot_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->tables.snapshot.begin(box->handle, &c->call, args, out));
}

sbx_status border_snapshot_query(struct border_call *c, struct instance *instance, const char *id,
                                 const struct sbx_snapshot_sink *out)
{
    BORDER_SLOT(instance, instance->tables.snapshot.query(instance->backend, &c->call, id, out));
}

sbx_status border_snapshot_list(struct border_call *c, struct instance *instance, const struct sbx_list_args *args,
                                const struct sbx_snapshot_sink *out)
{
    BORDER_SLOT(instance, instance->tables.snapshot.list(instance->backend, &c->call, args, out));
}

sbx_status border_snapshot_remove(struct border_call *c, struct instance *instance, const char *id)
{
    BORDER_SLOT(instance, instance->tables.snapshot.remove(instance->backend, &c->call, id));
}

sbx_status border_ssh_create_key(struct border_call *c, struct sbx_sandbox *box, const struct sbx_ssh_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->tables.ssh.create_key(box->handle, &c->call, out));
}

sbx_status border_tunnel_create(struct border_call *c, struct sbx_sandbox *box, const struct sbx_tunnel_args *args,
                                const struct sbx_tunnel_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->tables.tunnel.create(box->handle, &c->call, args, out));
}

sbx_status border_tunnel_list(struct border_call *c, struct sbx_sandbox *box, const struct sbx_tunnel_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->tables.tunnel.list(box->handle, &c->call, out));
}

sbx_status border_tunnel_remove(struct border_call *c, struct sbx_sandbox *box, const char *id)
{
    BORDER_SLOT(box->instance, box->instance->tables.tunnel.remove(box->handle, &c->call, id));
}
