/* SPDX-License-Identifier: MIT
 *
 * tap_more.c - the tables of the capabilities; see tap.c.
 */
#include "host/tap.h"

#include <string.h>

/* --- files ------------------------------------------------------------------------------------------------------ */

static sbx_status stat_stat(struct sbx_handle *h, struct sbx_call *call, const char *path, struct sbx_file_stat *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "stat");
    tap_word(&op, "path", path);
    op.stat = out;
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_STAT, sbx_stat_ops)->stat(h->inner, call, path, out));
}

static int32_t entry_item(void *user, const struct sbx_entry *theirs)
{
    struct tap_op *op = user;
    struct sbx_entry entry;
    struct sbx_file_stat stat;
    struct buf *line = tap_line(op, "entry");
    sbx_view(&entry, sizeof entry, theirs);
    sbx_view(&stat, sizeof stat, entry.stat);
    if (line != NULL) {
        tape_put_text(line, entry.name);
        tape_put_stat(line, &stat);
    }
    return op->entries->item(op->entries->user, theirs);
}

static sbx_status fs_list(struct sbx_handle *h, struct sbx_call *call, const char *dir,
                          const struct sbx_entry_sink *out)
{
    struct tap_op op;
    const struct sbx_entry_sink sink = {.size = sizeof sink, .user = &op, .item = entry_item};
    tap_begin(&op, h->b, h, call, "fs-list");
    tap_word(&op, "path", dir);
    op.entries = out;
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_FS, sbx_fs_ops)->list(h->inner, call, dir, &sink));
}

static sbx_status fs_mkdir(struct sbx_handle *h, struct sbx_call *call, const char *dir, uint32_t mode, uint32_t flags)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "mkdir");
    tap_word(&op, "path", dir);
    tap_count(&op, "mode", mode);
    tap_count(&op, "flags", flags);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_FS, sbx_fs_ops)->mkdir(h->inner, call, dir, mode, flags));
}

static sbx_status fs_remove(struct sbx_handle *h, struct sbx_call *call, const char *path, uint32_t flags)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "fs-remove");
    tap_word(&op, "path", path);
    tap_count(&op, "flags", flags);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_FS, sbx_fs_ops)->remove(h->inner, call, path, flags));
}

static sbx_status fs_rename(struct sbx_handle *h, struct sbx_call *call, const char *from, const char *to)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "rename");
    tap_word(&op, "from", from);
    tap_word(&op, "to", to);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_FS, sbx_fs_ops)->rename(h->inner, call, from, to));
}

static sbx_status archive_put(struct sbx_handle *h, struct sbx_call *call, const char *dir,
                              const struct sbx_source *tar)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "put-tar");
    tap_word(&op, "path", dir);
    const struct sbx_source *source = tap_source(&op, tar);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_ARCHIVE, sbx_archive_ops)->put_tar(h->inner, call, dir, source));
}

static sbx_status archive_get(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_sink *tar)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "get-tar");
    tap_word(&op, "path", dir);
    const struct sbx_sink *sink = tap_sink(&op, 1, tar);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_ARCHIVE, sbx_archive_ops)->get_tar(h->inner, call, dir, sink));
}

/* --- jobs and shells -------------------------------------------------------------------------------------------- */

static void begin_job(struct tap_op *op, struct sbx_handle *h, struct sbx_call *call, const char *operation,
                      const char *job)
{
    tap_begin(op, h->b, h, call, operation);
    tap_word(op, "job", job);
}

static sbx_status job_start(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                            struct sbx_job_info *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "job-start");
    tap_put_exec(&op, args);
    op.job = out;
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB, sbx_job_ops)->start(h->inner, call, args, out));
}

static sbx_status job_info(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_job_info *out)
{
    struct tap_op op;
    begin_job(&op, h, call, "job-info", job);
    op.job = out;
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB, sbx_job_ops)->info(h->inner, call, job, out));
}

static sbx_status job_wait(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_exec_result *out)
{
    struct tap_op op;
    begin_job(&op, h, call, "job-wait", job);
    op.result = out;
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB, sbx_job_ops)->wait(h->inner, call, job, out));
}

static sbx_status job_kill(struct sbx_handle *h, struct sbx_call *call, const char *job)
{
    struct tap_op op;
    begin_job(&op, h, call, "job-kill", job);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB, sbx_job_ops)->kill(h->inner, call, job));
}

static sbx_status job_output(struct sbx_handle *h, struct sbx_call *call, const char *job,
                             const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next)
{
    struct tap_op op;
    uint64_t ours = args->from;
    begin_job(&op, h, call, "job-output", job);
    tap_count(&op, "flags", args->flags);
    tap_count(&op, "stream", args->stream);
    tap_count(&op, "from", args->from);
    const struct sbx_sink *sink = tap_sink(&op, 1, out);
    op.next = next != NULL ? next : &ours;
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB, sbx_job_ops)->output(h->inner, call, job, args, sink, op.next));
}

static sbx_status job_signal(struct sbx_handle *h, struct sbx_call *call, const char *job, int32_t signo)
{
    struct tap_op op;
    begin_job(&op, h, call, "job-signal", job);
    tap_count(&op, "signal", (uint64_t)signo);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB_SIGNAL, sbx_job_signal_ops)->signal(h->inner, call, job, signo));
}

static sbx_status job_feed(struct sbx_handle *h, struct sbx_call *call, const char *job, const void *data, size_t len,
                           uint32_t eof)
{
    struct tap_op op;
    begin_job(&op, h, call, "job-feed", job);
    tap_count(&op, "bytes", len);
    tap_count(&op, "eof", eof);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB_STDIN, sbx_job_stdin_ops)->feed(h->inner, call, job, data, len, eof));
}

static int32_t job_item(void *user, const struct sbx_job_info *theirs)
{
    struct tap_op *op = user;
    struct sbx_job_info job;
    struct buf *line = tap_line(op, "listed");
    sbx_view(&job, sizeof job, theirs);
    if (line != NULL)
        tape_put_job(line, &job);
    return op->jobs->item(op->jobs->user, theirs);
}

static sbx_status job_list(struct sbx_handle *h, struct sbx_call *call, const struct sbx_job_sink *out)
{
    struct tap_op op;
    const struct sbx_job_sink sink = {.size = sizeof sink, .user = &op, .item = job_item};
    tap_begin(&op, h->b, h, call, "job-list");
    op.jobs = out;
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB_LIST, sbx_job_list_ops)->list(h->inner, call, &sink));
}

static sbx_status job_forget(struct sbx_handle *h, struct sbx_call *call, const char *job)
{
    struct tap_op op;
    begin_job(&op, h, call, "job-forget", job);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_JOB_LIST, sbx_job_list_ops)->forget(h->inner, call, job));
}

static sbx_status shell_close(struct sbx_handle *h, struct sbx_call *call, const char *shell)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "shell-close");
    tap_word(&op, "shell", shell);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_SHELL_CLOSE, sbx_shell_close_ops)->close(h->inner, call, shell));
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static sbx_status keep_alive(struct sbx_handle *h, struct sbx_call *call, uint32_t ttl_s)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "keep-alive");
    tap_count(&op, "ttl", ttl_s);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_KEEPALIVE, sbx_keepalive_ops)->keep_alive(h->inner, call, ttl_s));
}

static sbx_status suspend(struct sbx_handle *h, struct sbx_call *call)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "suspend");
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_SUSPEND, sbx_suspend_ops)->suspend(h->inner, call));
}

static sbx_status resume(struct sbx_handle *h, struct sbx_call *call)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "resume");
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_SUSPEND, sbx_suspend_ops)->resume(h->inner, call));
}

static sbx_status wait_state(struct sbx_handle *h, struct sbx_call *call, uint32_t state_mask,
                             const struct sbx_info_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "wait");
    tap_count(&op, "states", state_mask);
    const struct sbx_info_sink sink = tap_infos(&op, out);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_WAIT, sbx_wait_ops)->wait_state(h->inner, call, state_mask, &sink));
}

/* --- snapshots -------------------------------------------------------------------------------------------------- */

static int32_t snapshot_item(void *user, const struct sbx_snapshot *theirs)
{
    struct tap_op *op = user;
    struct sbx_snapshot snapshot;
    struct buf *line = tap_line(op, "snapshot");
    sbx_view(&snapshot, sizeof snapshot, theirs);
    if (line != NULL)
        tape_put_snapshot(line, &snapshot);
    return op->snapshots->item(op->snapshots->user, theirs);
}

static struct sbx_snapshot_sink snapshots(struct tap_op *op, const struct sbx_snapshot_sink *out)
{
    op->snapshots = out;
    return (struct sbx_snapshot_sink){.size = sizeof(struct sbx_snapshot_sink), .user = op, .item = snapshot_item};
}

static sbx_status snapshot_begin(struct sbx_handle *h, struct sbx_call *call, const struct sbx_snapshot_args *args,
                                 const struct sbx_snapshot_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "snapshot");
    tap_count(&op, "flags", args->flags);
    tap_word(&op, "name", args->name);
    tap_word(&op, "comment", args->comment);
    tape_put_labels(&op.line, &args->metadata);
    const struct sbx_snapshot_sink sink = snapshots(&op, out);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_SNAPSHOT, sbx_snapshot_ops)->begin(h->inner, call, args, &sink));
}

static sbx_status snapshot_query(struct sbx_backend *b, struct sbx_call *call, const char *id,
                                 const struct sbx_snapshot_sink *out)
{
    struct tap_op op;
    tap_begin(&op, b, NULL, call, "snapshot-query");
    tap_word(&op, "id", id);
    const struct sbx_snapshot_sink sink = snapshots(&op, out);
    TAP_CALL(&op, TAP_INNER(b, SBX_EXT_SNAPSHOT, sbx_snapshot_ops)->query(b->inner, call, id, &sink));
}

static sbx_status snapshot_list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                                const struct sbx_snapshot_sink *out)
{
    struct tap_op op;
    tap_begin(&op, b, NULL, call, "snapshot-list");
    tap_count(&op, "limit", args->limit);
    tap_word(&op, "after", args->after);
    tape_put_labels(&op.line, &args->metadata);
    const struct sbx_snapshot_sink sink = snapshots(&op, out);
    TAP_CALL(&op, TAP_INNER(b, SBX_EXT_SNAPSHOT, sbx_snapshot_ops)->list(b->inner, call, args, &sink));
}

static sbx_status snapshot_remove(struct sbx_backend *b, struct sbx_call *call, const char *id)
{
    struct tap_op op;
    tap_begin(&op, b, NULL, call, "snapshot-remove");
    tap_word(&op, "id", id);
    TAP_CALL(&op, TAP_INNER(b, SBX_EXT_SNAPSHOT, sbx_snapshot_ops)->remove(b->inner, call, id));
}

/* --- what is never recorded: these are there for faults alone ------------------------------------------------------
 */

static sbx_status dial(struct sbx_handle *h, struct sbx_call *call, uint32_t port, const struct sbx_source *in,
                       const struct sbx_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "dial");
    const struct sbx_source *source = tap_source(&op, in);
    const struct sbx_sink *sink = tap_sink(&op, 1, out);
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_DIAL, sbx_dial_ops)->dial(h->inner, call, port, source, sink));
}

static sbx_status ssh_key(struct sbx_handle *h, struct sbx_call *call, const struct sbx_ssh_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "ssh-key");
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_SSH, sbx_ssh_ops)->create_key(h->inner, call, out));
}

static sbx_status tunnel_create(struct sbx_handle *h, struct sbx_call *call, const struct sbx_tunnel_args *args,
                                const struct sbx_tunnel_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "tunnel");
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_TUNNEL, sbx_tunnel_ops)->create(h->inner, call, args, out));
}

static sbx_status tunnel_list(struct sbx_handle *h, struct sbx_call *call, const struct sbx_tunnel_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "tunnel-list");
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_TUNNEL, sbx_tunnel_ops)->list(h->inner, call, out));
}

static sbx_status tunnel_remove(struct sbx_handle *h, struct sbx_call *call, const char *id)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "tunnel-remove");
    TAP_CALL(&op, TAP_INNER(h->b, SBX_EXT_TUNNEL, sbx_tunnel_ops)->remove(h->inner, call, id));
}

/* --- the tables ------------------------------------------------------------------------------------------------- */

static const struct sbx_stat_ops stat_ops = {.size = sizeof stat_ops, .stat = stat_stat};
static const struct sbx_fs_ops fs_ops = {
    .size = sizeof fs_ops, .list = fs_list, .mkdir = fs_mkdir, .remove = fs_remove, .rename = fs_rename};
static const struct sbx_archive_ops archive_ops = {
    .size = sizeof archive_ops, .put_tar = archive_put, .get_tar = archive_get};
static const struct sbx_job_ops job_ops = {.size = sizeof job_ops,
                                           .start = job_start,
                                           .info = job_info,
                                           .wait = job_wait,
                                           .kill = job_kill,
                                           .output = job_output};
static const struct sbx_job_signal_ops job_signal_ops = {.size = sizeof job_signal_ops, .signal = job_signal};
static const struct sbx_job_stdin_ops job_stdin_ops = {.size = sizeof job_stdin_ops, .feed = job_feed};
static const struct sbx_job_list_ops job_list_ops = {
    .size = sizeof job_list_ops, .list = job_list, .forget = job_forget};
static const struct sbx_shell_close_ops shell_close_ops = {.size = sizeof shell_close_ops, .close = shell_close};
static const struct sbx_keepalive_ops keepalive_ops = {.size = sizeof keepalive_ops, .keep_alive = keep_alive};
static const struct sbx_suspend_ops suspend_ops = {.size = sizeof suspend_ops, .suspend = suspend, .resume = resume};
static const struct sbx_wait_ops wait_ops = {.size = sizeof wait_ops, .wait_state = wait_state};
static const struct sbx_snapshot_ops snapshot_ops = {.size = sizeof snapshot_ops,
                                                     .begin = snapshot_begin,
                                                     .query = snapshot_query,
                                                     .list = snapshot_list,
                                                     .remove = snapshot_remove};
static const struct sbx_dial_ops dial_ops = {.size = sizeof dial_ops, .dial = dial};
static const struct sbx_ssh_ops ssh_ops = {.size = sizeof ssh_ops, .create_key = ssh_key};
static const struct sbx_tunnel_ops tunnel_ops = {
    .size = sizeof tunnel_ops, .create = tunnel_create, .list = tunnel_list, .remove = tunnel_remove};
static const uint32_t no_table = 0; /* of capabilities that are a field of others' arguments */

const void *tap_table(const char *id)
{
    static const struct {
        const char *id;
        const void *table;
    } tables[] = {{SBX_EXT_STAT, &stat_ops},
                  {SBX_EXT_FS, &fs_ops},
                  {SBX_EXT_ARCHIVE, &archive_ops},
                  {SBX_EXT_JOB, &job_ops},
                  {SBX_EXT_JOB_SIGNAL, &job_signal_ops},
                  {SBX_EXT_JOB_STDIN, &job_stdin_ops},
                  {SBX_EXT_JOB_LIST, &job_list_ops},
                  {SBX_EXT_SHELL, &no_table},
                  {SBX_EXT_SHELL_CLOSE, &shell_close_ops},
                  {SBX_EXT_KEEPALIVE, &keepalive_ops},
                  {SBX_EXT_SUSPEND, &suspend_ops},
                  {SBX_EXT_WAIT, &wait_ops},
                  {SBX_EXT_SNAPSHOT, &snapshot_ops},
                  {SBX_EXT_TTY, &no_table},
                  {SBX_EXT_DIAL, &dial_ops},
                  {SBX_EXT_SSH, &ssh_ops},
                  {SBX_EXT_TUNNEL, &tunnel_ops}};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (strcmp(tables[i].id, id) == 0)
            return tables[i].table;
    return NULL;
}
