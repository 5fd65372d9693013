/* SPDX-License-Identifier: MIT
 *
 * wrong_stream.h - the part of wrong.c that is about what goes in and comes out: a source that is not ready,
 * a job's output that is no longer kept.
 */
#ifndef WRONG_STREAM_H
#define WRONG_STREAM_H

#if defined(WRONG_QUIET_SOURCE)
/* Waits for its input before it begins, and never asks again. */
static sbx_status wrong_exec(EXEC_HEAD)
{
    char byte;
    sbx_status status = SBX_OK;
    if (args->in != NULL && args->in->read(args->in->user, &byte, 1) == SBX_AGAIN)
        while ((status = check(call)) == SBX_OK)
            (void)usleep(20000);
    return status == SBX_OK ? command_exec(h, call, args, out) : status;
}
#define WRONG_EXEC wrong_exec

#elif defined(WRONG_OLDEST)
/* One job, over when start returns, of whose stdout the last bytes are kept. WRONG_OLDEST is what it takes the flags of
 * output for, whatever they are. */
enum { JOB_KEPT = 64 };
static struct {
    struct sbx_exec_result result;
    char tail[JOB_KEPT];
    uint64_t first, end; /* offsets of what is kept */
} job = {.result = {.size = sizeof job.result}};

static int32_t keep(void *user, const void *data, size_t len)
{
    (void)user;
    for (size_t i = 0; i < len; i++)
        job.tail[job.end++ % JOB_KEPT] = ((const char *)data)[i];
    job.first = job.end > JOB_KEPT ? job.end - JOB_KEPT : 0;
    return 0;
}

static sbx_status wrong_job_info(struct sbx_handle *h, struct sbx_call *call, const char *id, struct sbx_job_info *out)
{
    struct sbx_job_info info = {.size = sizeof info, .flags = job.result.flags, .id = "job"};
    (void)h;
    if (strcmp(id, info.id) != 0)
        return fail(call, SBX_E_NOT_FOUND, "job: no job '%.100s'", id);
    info.exit_code = job.result.exit_code;
    sbx_give(out, &info, sizeof info);
    return SBX_OK;
}

static sbx_status wrong_job_start(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                                  struct sbx_job_info *out)
{
    struct sbx_sink sink = {.size = sizeof sink, .write = keep};
    struct sbx_exec_args own = *args;
    own.out = &sink;
    own.max_output = 0;
    sbx_status status = command_exec(h, call, &own, &job.result);
    return status == SBX_OK ? wrong_job_info(h, call, "job", out) : status;
}

static sbx_status wrong_job_wait(struct sbx_handle *h, struct sbx_call *call, const char *id,
                                 struct sbx_exec_result *out)
{
    (void)h, (void)call, (void)id;
    sbx_give(out, &job.result, sizeof job.result);
    return SBX_OK;
}

static sbx_status wrong_job_kill(struct sbx_handle *h, struct sbx_call *call, const char *id)
{
    (void)h, (void)call, (void)id;
    return SBX_OK;
}

static sbx_status wrong_job_output(struct sbx_handle *h, struct sbx_call *call, const char *id,
                                   const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next)
{
    (void)h, (void)id;
    *next = args->from;
    if (args->from < job.first && (WRONG_OLDEST & SBX_OUTPUT_OLDEST) == 0)
        return fail(call, SBX_E_TOO_LARGE, "job output: no longer kept");
    *next = args->from < job.first ? job.first : args->from;
    for (; *next < job.end; ++*next)
        if (out->write(out->user, &job.tail[*next % JOB_KEPT], 1) != 0)
            return fail(call, SBX_E_STOPPED, "job output: the sink asked to stop");
    return SBX_OK;
}

static const struct sbx_job_ops job_ops = {.size = sizeof job_ops,
                                           .start = wrong_job_start,
                                           .info = wrong_job_info,
                                           .wait = wrong_job_wait,
                                           .kill = wrong_job_kill,
                                           .output = wrong_job_output};
static const char *const wrong_list[] = {SBX_EXT_JOB, NULL};
static const void *wrong_extension(struct sbx_backend *b, const char *id)
{
    (void)b;
    return strcmp(id, SBX_EXT_JOB) == 0 ? &job_ops : NULL;
}
static uint32_t wrong_support(struct sbx_handle *h, const char *id)
{
    (void)h;
    return strcmp(id, SBX_EXT_JOB) == 0 ? SBX_SUPPORT_NATIVE : SBX_SUPPORT_NONE;
}
#define WRONG_EXTENSIONS   wrong_list
#define WRONG_EXTENSION    wrong_extension
#define WRONG_SUPPORT_SLOT wrong_support
#endif

#endif /* WRONG_STREAM_H */
