/* SPDX-License-Identifier: MIT
 *
 * guest_slots.c - the tables of what the guest does for every provider alike.
 */
#include "plugins/common/guest_slots.h"

sbx_status guest_slot_read_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                                const struct sbx_read_args *args, const struct sbx_sink *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_read_file(link, call, path, args, out);
}

sbx_status guest_slot_write_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                                 const struct sbx_write_args *args, const struct sbx_source *in)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_write_file(link, call, path, args, in);
}

static sbx_status slot_stat(struct sbx_handle *h, struct sbx_call *call, const char *path, struct sbx_file_stat *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_stat(link, call, path, out);
}

static sbx_status slot_list(struct sbx_handle *h, struct sbx_call *call, const char *dir,
                            const struct sbx_entry_sink *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_list(link, call, dir, out);
}

static sbx_status slot_mkdir(struct sbx_handle *h, struct sbx_call *call, const char *dir, uint32_t mode,
                             uint32_t flags)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_mkdir(link, call, dir, mode, flags);
}

static sbx_status slot_unlink(struct sbx_handle *h, struct sbx_call *call, const char *path, uint32_t flags)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_remove(link, call, path, flags);
}

static sbx_status slot_rename(struct sbx_handle *h, struct sbx_call *call, const char *from, const char *to)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_rename(link, call, from, to);
}

static sbx_status slot_put(struct sbx_handle *h, struct sbx_call *call, const struct sbx_put_item *const *items,
                           size_t count, const struct sbx_batch_report *report)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_put_files(link, call, items, count, report);
}

static sbx_status slot_get(struct sbx_handle *h, struct sbx_call *call, const struct sbx_get_item *const *items,
                           size_t count, const struct sbx_batch_report *report)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_get_files(link, call, items, count, report);
}

static sbx_status slot_put_tar(struct sbx_handle *h, struct sbx_call *call, const char *dir,
                               const struct sbx_source *tar)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_put_tar(link, call, dir, tar);
}

static sbx_status slot_get_tar(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_sink *tar)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_get_tar(link, call, dir, tar);
}

static sbx_status slot_job_start(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                                 struct sbx_job_info *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_start(link, call, args, out);
}

static sbx_status slot_job_info(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_job_info *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_info(link, call, job, out);
}

static sbx_status slot_job_wait(struct sbx_handle *h, struct sbx_call *call, const char *job,
                                struct sbx_exec_result *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_wait(link, call, job, out);
}

static sbx_status slot_job_kill(struct sbx_handle *h, struct sbx_call *call, const char *job)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_kill(link, call, job);
}

static sbx_status slot_job_output(struct sbx_handle *h, struct sbx_call *call, const char *job,
                                  const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_output(link, call, job, args, out, next);
}

static sbx_status slot_job_signal(struct sbx_handle *h, struct sbx_call *call, const char *job, int32_t signo)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_signal(link, call, job, signo);
}

static sbx_status slot_job_feed(struct sbx_handle *h, struct sbx_call *call, const char *job, const void *data,
                                size_t len, uint32_t eof)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_feed(link, call, job, data, len, eof);
}

static sbx_status slot_job_list(struct sbx_handle *h, struct sbx_call *call, const struct sbx_job_sink *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_list(link, call, out);
}

static sbx_status slot_job_forget(struct sbx_handle *h, struct sbx_call *call, const char *job)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_job_forget(link, call, job);
}

static sbx_status slot_shell_close(struct sbx_handle *h, struct sbx_call *call, const char *shell)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_shell_close(link, call, shell);
}

static sbx_status slot_dial(struct sbx_handle *h, struct sbx_call *call, uint32_t port, const struct sbx_source *in,
                            const struct sbx_sink *out)
{
    struct guest_link *link = NULL;
    sbx_status status = guest_slot_enter(h, call, &link);
    return status != SBX_OK ? status : guest_dial(link, call, port, in, out);
}

static const struct sbx_stat_ops stat_ops = {.size = sizeof stat_ops, .stat = slot_stat};
static const struct sbx_fs_ops fs_ops = {
    .size = sizeof fs_ops, .list = slot_list, .mkdir = slot_mkdir, .remove = slot_unlink, .rename = slot_rename};
static const struct sbx_batch_ops batch_ops = {.size = sizeof batch_ops, .put = slot_put, .get = slot_get};
static const struct sbx_archive_ops archive_ops = {
    .size = sizeof archive_ops, .put_tar = slot_put_tar, .get_tar = slot_get_tar};
static const struct sbx_job_ops job_ops = {.size = sizeof job_ops,
                                           .start = slot_job_start,
                                           .info = slot_job_info,
                                           .wait = slot_job_wait,
                                           .kill = slot_job_kill,
                                           .output = slot_job_output};
static const struct sbx_job_signal_ops signal_ops = {.size = sizeof signal_ops, .signal = slot_job_signal};
static const struct sbx_job_stdin_ops stdin_ops = {.size = sizeof stdin_ops, .feed = slot_job_feed};
static const struct sbx_job_list_ops list_ops = {
    .size = sizeof list_ops, .list = slot_job_list, .forget = slot_job_forget};
static const struct sbx_shell_close_ops close_ops = {.size = sizeof close_ops, .close = slot_shell_close};
static const struct sbx_dial_ops dial_ops = {.size = sizeof dial_ops, .dial = slot_dial};
static const uint32_t no_table = 1; /* terminals and named shells come with exec */

const void *guest_slot_extension(const char *id)
{
    static const struct {
        const char *id;
        const void *table;
    } extensions[] = {{SBX_EXT_STAT, &stat_ops},         {SBX_EXT_FS, &fs_ops},
                      {SBX_EXT_BATCH, &batch_ops},       {SBX_EXT_ARCHIVE, &archive_ops},
                      {SBX_EXT_TTY, &no_table},          {SBX_EXT_JOB, &job_ops},
                      {SBX_EXT_JOB_SIGNAL, &signal_ops}, {SBX_EXT_JOB_STDIN, &stdin_ops},
                      {SBX_EXT_JOB_LIST, &list_ops},     {SBX_EXT_SHELL, &no_table},
                      {SBX_EXT_SHELL_CLOSE, &close_ops}, {SBX_EXT_DIAL, &dial_ops}};
    for (size_t i = 0; id != NULL && i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcmp(id, extensions[i].id) == 0)
            return extensions[i].table;
    return NULL;
}
