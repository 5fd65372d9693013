/* SPDX-License-Identifier: MIT
 *
 * api_file.c - files of a sandbox: reading and writing, on the caller's thread or as an operation, and what can be
 * asked and done by name.
 */
#include "host/api_transfer.h"
#include "host/emulate.h"
#include "host/entries.h"
#include "host/error.h"

#include <string.h>

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* A file over the limit is refused before anything is sent. Where nothing can be asked, the sink's own limit holds. */
static sbx_status check_size(struct transfer *t)
{
    const struct sbx_transfer_options *o = &t->options;
    struct sbx_file_stat stat;
    char limit[48];
    if (t->sink.max == 0 || (o->limit != 0 && o->limit <= t->sink.max))
        return SBX_OK;
    sbx_status status = entries_stat(&t->call, t->box, t->path, &stat);
    if (status == SBX_E_UNSUPPORTED || status == SBX_E_FAILED)
        return SBX_OK;
    if (status != SBX_OK || stat.type != SBX_FILE_REGULAR || (stat.known & SBX_STAT_BYTES) == 0)
        return status;
    uint64_t wanted = stat.bytes > o->offset ? stat.bytes - o->offset : 0;
    if (wanted <= t->sink.max)
        return SBX_OK;
    flow_size_text(t->sink.max, limit, sizeof limit);
    return border_fail(&t->call, SBX_E_TOO_LARGE, "'%s' has %llu bytes, over the limit of %s", t->path,
                       (unsigned long long)wanted, limit);
}

sbx_status transfer_read(struct transfer *t)
{
    const struct sbx_read_args args = {.size = sizeof args, .offset = t->options.offset, .limit = t->options.limit};
    transfer_set_sink(t);
    t->sink.meter = &t->call.meter;
    sbx_status status = check_size(t);
    if (status != SBX_OK)
        return status;
    status = border_read(&t->call, t->box, t->path, &args, &t->sink.sink);
    status = flow_verdict(&t->call, status, &t->sink, NULL);
    if (status == SBX_OK && args.limit != 0 && t->sink.bytes > args.limit)
        return border_fail(&t->call, SBX_E_PROTOCOL, "'%s': the provider sent more than was asked for", t->path);
    return op_verdict(t->op, status);
}

sbx_status sbx_read_file(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                         const struct sbx_call_options *call, struct sbx_error *error)
{
    return transfer_inline(&(struct transfer_kind){.verb = "read", .run = transfer_read, .flags = TRANSFER_OUT}, box,
                           path, options, call, error);
}

sbx_status sbx_read_file_start(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                               const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error)
{
    return transfer_start(
        &(struct transfer_kind){.verb = "read", .run = transfer_read, .flags = TRANSFER_OUT | TRANSFER_CAPTURE}, box,
        path, options, call, out, error);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

void transfer_write_args(const struct transfer *t, struct sbx_write_args *out)
{
    const struct sbx_transfer_options *o = &t->options;
    *out = (struct sbx_write_args){.size = sizeof *out, .mode = o->mode};
    out->flags = o->flags & (SBX_WRITE_PARENTS | SBX_WRITE_APPEND | SBX_WRITE_EXCL);
    if (o->mode != 0)
        out->flags |= SBX_WRITE_HAS_MODE;
    if (t->source.fd < 0 && t->source.read == NULL) {
        out->flags |= SBX_WRITE_HAS_LENGTH;
        out->length = o->data_len;
    }
}

sbx_status transfer_write(struct transfer *t)
{
    struct sbx_write_args args;
    transfer_set_source(t);
    t->source.meter = &t->call.meter;
    transfer_write_args(t, &args);
    sbx_status status = border_write(&t->call, t->box, t->path, &args, &t->source.source);
    status = flow_verdict(&t->call, status, NULL, &t->source);
    return op_verdict(t->op, status);
}

static const struct transfer_kind write_kind = {
    .verb = "write",
    .run = transfer_write,
    .flags = SBX_WRITE_PARENTS | SBX_WRITE_APPEND | SBX_WRITE_EXCL,
};

sbx_status sbx_write_file(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                          const struct sbx_call_options *call, struct sbx_error *error)
{
    return transfer_inline(&write_kind, box, path, options, call, error);
}

sbx_status sbx_write_file_start(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                                const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error)
{
    return transfer_start(&write_kind, box, path, options, call, out, error);
}

/* --- by name ---------------------------------------------------------------------------------------------------- */

static sbx_status name_begin(struct border_call *c, struct sbx_sandbox *box, const char *verb, const char *path,
                             const struct sbx_call_options *call, struct sbx_error *error)
{
    sbx_status status = api_check_path(box, verb, path, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(c, box->instance->context->log, verb, box->id, call);
    return status == SBX_OK ? SBX_OK : border_end(c, status, error);
}

sbx_status sbx_stat(sbx_sandbox *box, const char *path, const struct sbx_call_options *call, struct sbx_file_stat *out,
                    struct sbx_error *error)
{
    struct border_call c;
    struct sbx_file_stat own;
    sbx_status status = name_begin(&c, box, "stat", path, call, error);
    if (status != SBX_OK)
        return status;
    status = entries_stat(&c, box, path, &own);
    if (status == SBX_OK)
        sbx_give(out, &own, sizeof own);
    return border_end(&c, status, error);
}

sbx_status sbx_exists(sbx_sandbox *box, const char *path, const struct sbx_call_options *call, int *exists,
                      struct sbx_error *error)
{
    struct border_call c;
    struct sbx_file_stat own;
    if (exists == NULL)
        return error_set(error, SBX_E_INVALID, "exists: no place for the answer");
    if (box != NULL && path != NULL && path[0] == '\0') {
        *exists = 0;
        return SBX_OK;
    }
    sbx_status status = name_begin(&c, box, "exists", path, call, error);
    if (status != SBX_OK)
        return status;
    status = entries_stat(&c, box, path, &own);
    if (status == SBX_OK || status == SBX_E_NOT_FOUND) {
        *exists = status == SBX_OK;
        status = SBX_OK;
    }
    return border_end(&c, status, error);
}

/* --- directories ------------------------------------------------------------------------------------------------ */

sbx_status sbx_list_dir(sbx_sandbox *box, const char *dir, const struct sbx_call_options *call,
                        void (*report)(void *user, const char *name, const struct sbx_file_stat *stat), void *user,
                        struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = name_begin(&c, box, "list", dir, call, error);
    if (status != SBX_OK)
        return status;
    struct entry_list list;
    status = entries_read(&c, box, dir, &list);
    status = border_end(&c, status, error);
    if (status == SBX_OK && report != NULL)
        for (const struct entry_node *node = list.first; node != NULL; node = node->next)
            report(user, node->name, &node->stat);
    entries_finish(&list);
    return status;
}

sbx_status sbx_make_dir(sbx_sandbox *box, const char *dir, uint32_t mode, uint32_t flags,
                        const struct sbx_call_options *call, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = name_begin(&c, box, "mkdir", dir, call, error);
    if (status != SBX_OK)
        return status;
    uint32_t theirs = (flags & SBX_DIR_PARENTS) != 0 ? SBX_FS_PARENTS : 0;
    if ((flags & ~(uint32_t)SBX_DIR_PARENTS) != 0)
        status = border_fail(&c, SBX_E_UNSUPPORTED, "unknown flags 0x%x", flags);
    else if ((mode & ~07777u) != 0)
        status = border_fail(&c, SBX_E_INVALID, "'%s': the mode 0%o has more than permission bits", dir, mode);
    else if (border_support(box, SBX_EXT_FS) != SBX_SUPPORT_NONE)
        status = border_fs_mkdir(&c, box, dir, mode, theirs);
    else
        status = emulate_mkdir(&c, box, dir, mode, theirs);
    return border_end(&c, status, error);
}

sbx_status sbx_delete(sbx_sandbox *box, const char *path, uint32_t flags, const struct sbx_call_options *call,
                      struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = name_begin(&c, box, "delete", path, call, error);
    if (status != SBX_OK)
        return status;
    uint32_t theirs = (flags & SBX_DIR_RECURSIVE) != 0 ? SBX_FS_RECURSIVE : 0;
    if ((flags & ~(uint32_t)SBX_DIR_RECURSIVE) != 0)
        status = border_fail(&c, SBX_E_UNSUPPORTED, "unknown flags 0x%x", flags);
    else if (border_support(box, SBX_EXT_FS) != SBX_SUPPORT_NONE)
        status = border_fs_remove(&c, box, path, theirs);
    else
        status = emulate_remove(&c, box, path, theirs);
    return border_end(&c, status, error);
}

sbx_status sbx_rename(sbx_sandbox *box, const char *from, const char *to, const struct sbx_call_options *call,
                      struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_check_path(box, "rename", to, error);
    if (status == SBX_OK)
        status = name_begin(&c, box, "rename", from, call, error);
    if (status != SBX_OK)
        return status;
    status = border_support(box, SBX_EXT_FS) != SBX_SUPPORT_NONE ? border_fs_rename(&c, box, from, to)
                                                                 : emulate_rename(&c, box, from, to);
    return border_end(&c, status, error);
}
