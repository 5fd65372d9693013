/* SPDX-License-Identifier: MIT
 *
 * guest_file.c - single files and directories through the guest.
 */
#include "base/cleanup.h"
#include "plugins/common/guest_request.h"

enum { NAME_BYTES = 4096, MODE_BITS = 07777 };

/* --- replies ------------------------------------------------------------------------------------------------ */
struct found {
    struct sbx_file_stat stat;
    const unsigned char *name;
    size_t name_len;
    int has_size;
};

static int found_number(struct found *found, uint32_t tag, uint64_t value)
{
    switch (tag) {
    case F_TYPE:
        found->stat.type = value <= SBX_FILE_OTHER ? (uint32_t)value : SBX_FILE_UNKNOWN;
        return 1;
    case F_MODE:
        found->stat.mode = (uint32_t)(value & MODE_BITS);
        found->stat.known |= SBX_STAT_MODE;
        return 1;
    case F_SIZE:
        found->stat.bytes = value;
        found->stat.known |= SBX_STAT_BYTES;
        return value <= INT64_MAX;
    default:
        found->stat.mtime_ms = (int64_t)value;
        found->stat.known |= SBX_STAT_MTIME;
        return 1;
    }
}

static sbx_status read_found(struct guest_request *r, const unsigned char *fields, size_t len, struct found *found)
{
    struct wire_field_view field;
    int more = 0, ok = 1;
    *found = (struct found){.stat = {.size = sizeof found->stat}};
    while (ok && (more = wire_next_field(&fields, &len, &field)) == 1) {
        if (field.tag == F_NAME) {
            found->name = field.data;
            found->name_len = field.len;
        }
        if (field.tag != F_TYPE && field.tag != F_MODE && field.tag != F_SIZE && field.tag != F_MTIME_MS)
            continue;
        uint64_t value = wire_number(&field, &ok);
        ok = ok && found_number(found, field.tag, value);
    }
    if (!ok || more != 0)
        return guest_request_nonsense(r, "a reply that cannot be read");
    return SBX_OK;
}

/* --- read --------------------------------------------------------------------------------------------------- */
struct reading {
    struct sbx_read_args args;
    int announced;
};

/* The reply announces the file's size; from here on not a byte more than that is taken. */
static sbx_status read_reply(struct guest_request *r, const unsigned char *fields, size_t len)
{
    struct reading *reading = r->user;
    struct found found;
    sbx_status status = read_found(r, fields, len, &found);
    if (status != SBX_OK)
        return status;
    if (reading->announced || r->out[0].total != 0 || (found.stat.known & SBX_STAT_BYTES) == 0 ||
        found.stat.type != SBX_FILE_REGULAR)
        return guest_request_nonsense(r, "no fit announcement of a file");
    uint64_t left = found.stat.bytes > reading->args.offset ? found.stat.bytes - reading->args.offset : 0;
    r->out[0].limit = reading->args.limit != 0 && reading->args.limit < left ? reading->args.limit : left;
    reading->announced = 1;
    return SBX_OK;
}

sbx_status guest_read_file(struct guest_link *link, struct sbx_call *call, const char *path,
                           const struct sbx_read_args *args, const struct sbx_sink *out)
{
    struct reading reading = {.announced = 0};
    sbx_status status = sbx_take(&reading.args, sizeof reading.args, args);
    if (status != SBX_OK || reading.args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "read: unknown arguments");
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "read", OP_READ);
    r.reply = read_reply;
    r.user = &reading;
    status = guest_request_path(&r, F_PATH, path);
    if (status == SBX_OK)
        status = guest_request_drain(&r, STREAM_OUT, out);
    if (status != SBX_OK)
        return status;
    r.out[0].limit = 0;
    if (reading.args.offset != 0)
        guest_request_number(&r, F_OFFSET, reading.args.offset);
    if (reading.args.limit != 0)
        guest_request_number(&r, F_LIMIT, reading.args.limit);
    guest_request_user(&r, NULL);
    status = guest_request_run(&r);
    if (status == SBX_OK && (!reading.announced || r.out[0].total != r.out[0].limit))
        return call_fail(call, SBX_E_PROTOCOL, "read: '%s': the guest sent %llu of %llu bytes", path,
                         (unsigned long long)r.out[0].total, (unsigned long long)r.out[0].limit);
    return status;
}

/* --- write -------------------------------------------------------------------------------------------------- */
static const uint32_t write_bits = SBX_WRITE_PARENTS | SBX_WRITE_APPEND | SBX_WRITE_EXCL;

sbx_status guest_write_take(struct sbx_call *call, const struct sbx_write_args *args, struct sbx_write_args *mine)
{
    sbx_status status = sbx_take(mine, sizeof *mine, args);
    if (status != SBX_OK || (mine->flags & ~(write_bits | SBX_WRITE_HAS_MODE | SBX_WRITE_HAS_LENGTH)) != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "write: unknown arguments");
    if ((mine->flags & SBX_WRITE_HAS_MODE) != 0 && mine->mode > MODE_BITS)
        return call_fail(call, SBX_E_INVALID, "write: no file mode is %o", mine->mode);
    return SBX_OK;
}

sbx_status guest_write_file(struct guest_link *link, struct sbx_call *call, const char *path,
                            const struct sbx_write_args *args, const struct sbx_source *in)
{
    struct sbx_write_args mine;
    sbx_status status = guest_write_take(call, args, &mine);
    if (status != SBX_OK)
        return status;
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "write", OP_WRITE);
    status = guest_request_path(&r, F_PATH, path);
    if (status == SBX_OK)
        status = guest_request_feed(&r, in);
    if (status != SBX_OK)
        return status;
    r.in.eager = 1;
    if ((mine.flags & write_bits) != 0)
        guest_request_number(&r, F_FLAGS, mine.flags & write_bits);
    if ((mine.flags & SBX_WRITE_HAS_MODE) != 0)
        guest_request_number(&r, F_MODE, mine.mode);
    if ((mine.flags & SBX_WRITE_HAS_LENGTH) != 0) {
        guest_request_number(&r, F_LENGTH, mine.length);
        r.in.length = mine.length;
    }
    guest_request_user(&r, NULL);
    status = guest_request_run(&r);
    if (status == SBX_OK && !r.in.eof)
        return call_fail(call, SBX_E_PROTOCOL, "write: '%s': the guest did not take all of it", path);
    return status;
}

/* --- what is there ------------------------------------------------------------------------------------------ */
static sbx_status stat_reply(struct guest_request *r, const unsigned char *fields, size_t len)
{
    struct found *found = r->user;
    if (found->stat.size != 0)
        return guest_request_nonsense(r, "two answers");
    return read_found(r, fields, len, found);
}

sbx_status guest_stat(struct guest_link *link, struct sbx_call *call, const char *path, struct sbx_file_stat *out)
{
    struct found found = {.name = NULL};
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "stat", OP_STAT);
    r.reply = stat_reply;
    r.user = &found;
    sbx_status status = guest_request_path(&r, F_PATH, path);
    if (status != SBX_OK)
        return status;
    guest_request_user(&r, NULL);
    status = guest_request_run(&r);
    if (status != SBX_OK)
        return status;
    if (found.stat.size == 0)
        return call_fail(call, SBX_E_PROTOCOL, "stat: '%s': the guest gave no answer", path);
    sbx_give(out, &found.stat, sizeof found.stat);
    return SBX_OK;
}

static int is_entry_name(const unsigned char *name, size_t len)
{
    if (name == NULL || len == 0 || len >= NAME_BYTES || memchr(name, '/', len) != NULL || memchr(name, 0, len) != NULL)
        return 0;
    return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static sbx_status list_reply(struct guest_request *r, const unsigned char *fields, size_t len)
{
    const struct sbx_entry_sink *sink = r->user;
    char name[NAME_BYTES];
    struct found found;
    sbx_status status = read_found(r, fields, len, &found);
    if (status != SBX_OK)
        return status;
    if (!is_entry_name(found.name, found.name_len))
        return guest_request_nonsense(r, "a name that no entry can have");
    memcpy(name, found.name, found.name_len);
    name[found.name_len] = '\0';
    struct sbx_entry entry = {.size = sizeof entry, .name = name, .stat = &found.stat};
    if (sink->item(sink->user, &entry) != 0)
        return call_fail(r->call, SBX_E_STOPPED, "list: stopped by the receiver");
    return SBX_OK;
}

sbx_status guest_list(struct guest_link *link, struct sbx_call *call, const char *dir, const struct sbx_entry_sink *out)
{
    struct sbx_entry_sink sink;
    sbx_view(&sink, sizeof sink, out);
    if (sink.item == NULL)
        return call_fail(call, SBX_E_INVALID, "list: a sink that cannot be written");
    if (sink.flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "list: unknown flags in the sink");
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "list", OP_LIST);
    r.reply = list_reply;
    r.user = &sink;
    sbx_status status = guest_request_path(&r, F_PATH, dir);
    if (status != SBX_OK)
        return status;
    guest_request_user(&r, NULL);
    return guest_request_run(&r);
}

/* --- changes ------------------------------------------------------------------------------------------------ */
sbx_status guest_mkdir(struct guest_link *link, struct sbx_call *call, const char *dir, uint32_t mode, uint32_t flags)
{
    if ((flags & ~(uint32_t)SBX_FS_PARENTS) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "mkdir: unknown flags");
    if (mode > MODE_BITS)
        return call_fail(call, SBX_E_INVALID, "mkdir: no directory mode is %o", mode);
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "mkdir", OP_MKDIR);
    sbx_status status = guest_request_path(&r, F_PATH, dir);
    if (status != SBX_OK)
        return status;
    guest_request_number(&r, F_MODE, mode != 0 ? mode : 0755);
    if ((flags & SBX_FS_PARENTS) != 0)
        guest_request_number(&r, F_FLAGS, FS_PARENTS);
    guest_request_user(&r, NULL);
    return guest_request_run(&r);
}

sbx_status guest_remove(struct guest_link *link, struct sbx_call *call, const char *path, uint32_t flags)
{
    if ((flags & ~(uint32_t)SBX_FS_RECURSIVE) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "remove: unknown flags");
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "remove", OP_REMOVE);
    sbx_status status = guest_request_path(&r, F_PATH, path);
    if (status != SBX_OK)
        return status;
    if ((flags & SBX_FS_RECURSIVE) != 0)
        guest_request_number(&r, F_FLAGS, FS_RECURSIVE);
    guest_request_user(&r, NULL);
    return guest_request_run(&r);
}

sbx_status guest_rename(struct guest_link *link, struct sbx_call *call, const char *from, const char *to)
{
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "rename", OP_RENAME);
    sbx_status status = guest_request_path(&r, F_PATH, from);
    if (status == SBX_OK)
        status = guest_request_path(&r, F_TO, to);
    if (status != SBX_OK)
        return status;
    guest_request_user(&r, NULL);
    return guest_request_run(&r);
}
