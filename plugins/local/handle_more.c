/* SPDX-License-Identifier: MIT
 *
 * handle_more.c - the capabilities of a handle beyond commands and files: jobs, named shells, connections into the
 * sandbox, a longer life. All but the record of the last one is the guest's work.
 */
#include "plugins/local/sandbox.h"

#include "base/cleanup.h"

#include <time.h>

static sbx_status job_start(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                            struct sbx_job_info *out)
{
    return guest_job_start(h->link, call, args, out);
}

static sbx_status job_info(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_job_info *out)
{
    return guest_job_info(h->link, call, job, out);
}

static sbx_status job_wait(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_exec_result *out)
{
    return guest_job_wait(h->link, call, job, out);
}

static sbx_status job_kill(struct sbx_handle *h, struct sbx_call *call, const char *job)
{
    return guest_job_kill(h->link, call, job);
}

static sbx_status job_output(struct sbx_handle *h, struct sbx_call *call, const char *job,
                             const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next)
{
    return guest_job_output(h->link, call, job, args, out, next);
}

static sbx_status job_signal(struct sbx_handle *h, struct sbx_call *call, const char *job, int32_t signo)
{
    return guest_job_signal(h->link, call, job, signo);
}

static sbx_status job_feed(struct sbx_handle *h, struct sbx_call *call, const char *job, const void *data, size_t len,
                           uint32_t eof)
{
    return guest_job_feed(h->link, call, job, data, len, eof);
}

static sbx_status job_list(struct sbx_handle *h, struct sbx_call *call, const struct sbx_job_sink *out)
{
    return guest_job_list(h->link, call, out);
}

static sbx_status job_forget(struct sbx_handle *h, struct sbx_call *call, const char *job)
{
    return guest_job_forget(h->link, call, job);
}

static sbx_status shell_close(struct sbx_handle *h, struct sbx_call *call, const char *shell)
{
    return guest_shell_close(h->link, call, shell);
}

static sbx_status dial(struct sbx_handle *h, struct sbx_call *call, uint32_t port, const struct sbx_source *in,
                       const struct sbx_sink *out)
{
    return guest_dial(h->link, call, port, in, out);
}

/* The guest keeps the time; the record tells it to others. Under the entry's lock, so that two extensions end with the
 * record that belongs to the later one. */
static sbx_status extend(struct sbx_handle *h, int entry_fd, uint32_t ttl_s, struct sbx_call *call)
{
    struct record record = {0};
    struct timespec now;
    sbx_status status = store_lock(entry_fd, h->record.id, call);
    if (status != SBX_OK)
        return status;
    int error = record_read(entry_fd, &record);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its record", h->record.id);
    status = guest_set_lifetime(h->link, call, (uint64_t)ttl_s * 1000);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    record.expires_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + (int64_t)ttl_s * 1000;
    error = status == SBX_OK ? record_write(entry_fd, &record) : 0;
    record_finish(&record);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its record", h->record.id);
    return status;
}

static sbx_status keep_alive(struct sbx_handle *h, struct sbx_call *call, uint32_t ttl_s)
{
    struct guest_info info;
    CLEANUP_FD int runtime_fd = -1;
    if (ttl_s == 0) /* nothing ends it for being idle: that it lives is all there is to say */
        return guest_info(h->link, call, &info);
    sbx_status status = store_open(&h->backend->store, STORE_RUNTIME, 0, call, &runtime_fd);
    CLEANUP_FD int entry_fd = status == SBX_OK ? store_open_entry(runtime_fd, h->record.id) : -1;
    if (status == SBX_E_NOT_FOUND || (status == SBX_OK && entry_fd < 0))
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->record.id);
    return status == SBX_OK ? extend(h, entry_fd, ttl_s, call) : status;
}

static const struct sbx_job_ops job_ops = {.size = sizeof job_ops,
                                           .start = job_start,
                                           .info = job_info,
                                           .wait = job_wait,
                                           .kill = job_kill,
                                           .output = job_output};
static const struct sbx_job_signal_ops signal_ops = {.size = sizeof signal_ops, .signal = job_signal};
static const struct sbx_job_stdin_ops stdin_ops = {.size = sizeof stdin_ops, .feed = job_feed};
static const struct sbx_job_list_ops list_ops = {.size = sizeof list_ops, .list = job_list, .forget = job_forget};
static const struct sbx_shell_close_ops close_ops = {.size = sizeof close_ops, .close = shell_close};
static const struct sbx_dial_ops dial_ops = {.size = sizeof dial_ops, .dial = dial};
static const struct sbx_keepalive_ops keepalive_ops = {.size = sizeof keepalive_ops, .keep_alive = keep_alive};
static const uint32_t no_table = 1; /* named shells come with exec */

const void *handle_more(const char *id)
{
    static const struct {
        const char *id;
        const void *table;
    } extensions[] = {
        {SBX_EXT_JOB, &job_ops},       {SBX_EXT_JOB_SIGNAL, &signal_ops},   {SBX_EXT_JOB_STDIN, &stdin_ops},
        {SBX_EXT_JOB_LIST, &list_ops}, {SBX_EXT_SHELL, &no_table},          {SBX_EXT_SHELL_CLOSE, &close_ops},
        {SBX_EXT_DIAL, &dial_ops},     {SBX_EXT_KEEPALIVE, &keepalive_ops}, {SBX_EXT_SUSPEND, &suspend_ops},
        {SBX_EXT_WAIT, &wait_ops},     {SBX_EXT_SNAPSHOT, &snapshot_ops}};
    for (size_t i = 0; id != NULL && i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcmp(id, extensions[i].id) == 0)
            return extensions[i].table;
    return NULL;
}
