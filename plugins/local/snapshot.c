/* SPDX-License-Identifier: MIT
 *
 * snapshot.c - making, asking, listing and removing snapshots. A sandbox stands still while it is copied; that it did
 * so to the end is what makes a copy a snapshot.
 */
#include "plugins/local/snapshot.h"

#include "base/cleanup.h"
#include "plugins/local/chore.h"
#include "plugins/local/fds.h"
#include "plugins/local/fill.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { TRIES = 16, NAME_SIZE = RECORD_ID_LENGTH + 8, LOCK_POLL_MS = 5, FACTS = 4 };
#define MAKING  ".new"
#define DROPPED ".old"

static const int open_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

static sbx_status fail_missing(const char *id, struct sbx_call *call)
{
    return call_fail(call, SBX_E_NOT_FOUND, "no such snapshot: '%s'", id == NULL ? "" : id);
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

static int is_listed(int folder_fd, const char *id, int fd)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && fstatat(folder_fd, id, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* Waits for who removes it or, to remove it, for who reads it. */
static sbx_status lock(int folder_fd, const char *id, int fd, int kind, struct sbx_call *call)
{
    while (flock(fd, kind | LOCK_NB) != 0) {
        int ready = 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return call_fail_errno(call, errno, "snapshot %s: lock", id);
        sbx_status status = call_poll(call, NULL, 0, clock_now_ns() + LOCK_POLL_MS * INT64_C(1000000), &ready);
        if (status != SBX_OK)
            return status;
    }
    return is_listed(folder_fd, id, fd) ? SBX_OK : fail_missing(id, call);
}

static sbx_status load(int folder_fd, const char *id, struct sbx_call *call, struct record *record, int *out)
{
    CLEANUP_FD int fd = fds_high(openat(folder_fd, id, open_flags));
    if (fd < 0)
        return errno == ENOENT ? fail_missing(id, call) : call_fail_errno(call, errno, "snapshot %s", id);
    int error = record_read(fd, record);
    if (error == EBADMSG)
        return call_fail(call, SBX_E_FAILED, "snapshot %s: its record is damaged, or of a newer version", id);
    if (error != 0)
        return error == ENOENT ? fail_missing(id, call) : call_fail_errno(call, error, "snapshot %s: its record", id);
    if (out != NULL)
        *out = steal_fd(&fd);
    return SBX_OK;
}

static sbx_status open_folder(struct sbx_backend *b, const char *id, struct sbx_call *call, int *folder_fd)
{
    if (id == NULL || !record_is_id(id))
        return fail_missing(id, call);
    sbx_status status = store_open(&b->store, STORE_SNAPSHOTS, 0, call, folder_fd);
    return status == SBX_E_NOT_FOUND ? fail_missing(id, call) : status;
}

sbx_status snapshot_open(struct sbx_backend *b, const char *id, struct sbx_call *call, struct record *record, int *fd)
{
    CLEANUP_FD int folder_fd = -1;
    sbx_status status = open_folder(b, id, call, &folder_fd);
    if (status == SBX_OK)
        status = load(folder_fd, id, call, record, fd);
    return status == SBX_OK ? lock(folder_fd, id, *fd, LOCK_SH, call) : status;
}

int snapshot_open_tree(int fd, int tree)
{
    CLEANUP_FD int trees = openat(fd, "tree", open_flags);
    return trees < 0 ? -1 : openat(trees, layout_tree_names[tree], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

static sbx_status report(const struct record *record, const struct sbx_snapshot_sink *out, struct sbx_call *call)
{
    struct sbx_snapshot_sink sink;
    size_t count = record->metadata.count;
    const struct sbx_kv facts[FACTS] = {{"provider.sandbox", record->sandbox},
                                        {"provider.comment", record->comment},
                                        {"provider.image", record->image},
                                        {"provider.workdir", record->workdir}};
    sbx_view(&sink, sizeof sink, out);
    CLEANUP_FREE struct sbx_kv *items = calloc(count + FACTS, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "snapshot: no memory");
    for (size_t i = 0; i < count; i++)
        items[i] = record->metadata.items[i];
    for (size_t i = 0; i < FACTS; i++)
        if (facts[i].value != NULL)
            items[count++] = facts[i];
    const struct sbx_snapshot snapshot = {.size = sizeof snapshot,
                                          .state = SBX_SNAPSHOT_DONE,
                                          .id = record->id,
                                          .name = record->name,
                                          .created_ms = record->created_ms,
                                          .metadata = {items, count}};
    if (sink.item(sink.user, &snapshot) != 0)
        return call_fail(call, SBX_E_STOPPED, "snapshot: stopped by the caller");
    return SBX_OK;
}

/* --- making ------------------------------------------------------------------------------------------------------- */

struct taking {
    struct sbx_handle *h;
    struct record record; /* texts are lent */
    int folder_fd;
    int fd; /* locked */
    struct fill_trees to;
    char id[RECORD_ID_LENGTH + 1];
    char name[NAME_SIZE]; /* until it is done */
};

static sbx_status check(const struct sbx_snapshot_args *args, struct sbx_call *call)
{
    if (args->flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "snapshot: unknown flag bits 0x%x", args->flags);
    if (args->name != NULL && (args->name[0] == '\0' || strlen(args->name) >= SBX_ID_SIZE))
        return call_fail(call, SBX_E_INVALID, "snapshot: a name has 1 to %d bytes", SBX_ID_SIZE - 1);
    return call_check_pairs(call, "snapshot", &args->metadata, "a label", NULL);
}

/* A locked directory, which a sweep may take from us before it is locked. */
static sbx_status make_place(struct taking *t, struct sbx_call *call)
{
    uint64_t number = 0;
    for (int tries = 0; tries < TRIES; tries++) {
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
            return call_fail_errno(call, errno, "snapshot: random numbers");
        (void)snprintf(t->id, sizeof t->id, "%016llx", (unsigned long long)number);
        (void)snprintf(t->name, sizeof t->name, "%s" MAKING, t->id);
        if (mkdirat(t->folder_fd, t->name, 0700) != 0 && errno != EEXIST)
            return call_fail_errno(call, errno, "snapshot: a directory for it");
        t->fd = fds_high(openat(t->folder_fd, t->name, open_flags));
        if (t->fd >= 0 && flock(t->fd, LOCK_EX | LOCK_NB) == 0 && is_listed(t->folder_fd, t->name, t->fd))
            return SBX_OK;
        create_close(&t->fd, 1);
    }
    return call_fail(call, SBX_E_BUSY, "snapshot: no free id");
}

static sbx_status make_record(struct taking *t, const struct sbx_snapshot_args *args, struct sbx_call *call)
{
    const struct record *of = &t->h->record;
    t->record = (struct record){.id = t->id,
                                .name = args->name,
                                .comment = args->comment,
                                .sandbox = of->id,
                                .image = of->image,
                                .workdir = of->workdir,
                                .user = of->user,
                                .ids = of->ids,
                                .created_ms = clock_wall_ms(),
                                .metadata = args->metadata};
    int error = record_write(t->fd, &t->record);
    return error == 0 ? SBX_OK : call_fail_errno(call, error, "snapshot: its record");
}

/* The sandbox stands still. */
static sbx_status copy(void *user, struct sbx_call *call)
{
    struct taking *t = user;
    struct sbx_handle *h = t->h;
    struct chore_pair pairs[LAYOUT_TREES];
    CLEANUP(fill_close_trees) struct fill_trees from = {{-1, -1, -1, -1}};
    size_t count = 0;
    sbx_status status = fill_open_trees(h->backend, &h->record, call, &from);
    if (status != SBX_OK)
        return status;
    if (mkdirat(t->fd, "tree", 0700) != 0)
        return call_fail_errno(call, errno, "snapshot: a directory for it");
    CLEANUP_FD int trees = openat(t->fd, "tree", open_flags);
    for (int i = 0; i < LAYOUT_TREES; i++) {
        if (from.fds[i] < 0)
            continue;
        (void)mkdirat(trees, layout_tree_names[i], 0700);
        t->to.fds[i] = fds_high(openat(trees, layout_tree_names[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (t->to.fds[i] < 0)
            return call_fail_errno(call, errno, "snapshot: a directory for it");
        pairs[count++] = (struct chore_pair){from.fds[i], t->to.fds[i]};
    }
    const struct chore chore = {.step = "snapshot", .ids = &h->record.ids, .pairs = pairs, .count = count};
    return chore_copy(h->backend, &chore, NULL, call);
}

static sbx_status take(struct taking *t, const struct sbx_snapshot_args *args, struct sbx_call *call)
{
    sbx_status status = make_place(t, call);
    if (status == SBX_OK)
        status = make_record(t, args, call);
    if (status == SBX_OK)
        status = guest_hold(t->h->link, call, "snapshot", copy, t);
    if (status == SBX_OK && renameat(t->folder_fd, t->name, t->folder_fd, t->id) != 0)
        status = call_fail_errno(call, errno, "snapshot: naming it");
    if (status != SBX_OK && t->fd >= 0)
        (void)sandbox_remove_tree(t->folder_fd, t->name, &t->h->record.ids, NULL);
    return status;
}

static sbx_status begin(struct sbx_handle *h, struct sbx_call *call, const struct sbx_snapshot_args *given,
                        const struct sbx_snapshot_sink *out)
{
    struct sbx_snapshot_args args;
    struct taking t = {.h = h, .folder_fd = -1, .fd = -1, .to = {{-1, -1, -1, -1}}};
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK)
        return call_fail(call, status, "snapshot: arguments of a newer version");
    status = check(&args, call);
    if (status == SBX_OK)
        status = store_open(&h->backend->store, STORE_SNAPSHOTS, 1, call, &t.folder_fd);
    if (status == SBX_OK)
        status = take(&t, &args, call);
    fill_close_trees(&t.to);
    create_close(&t.fd, 1);
    create_close(&t.folder_fd, 1);
    return status == SBX_OK ? report(&t.record, out, call) : status;
}

/* --- asking and removing ------------------------------------------------------------------------------------------ */

static sbx_status query(struct sbx_backend *b, struct sbx_call *call, const char *id,
                        const struct sbx_snapshot_sink *out)
{
    CLEANUP_FD int folder_fd = -1;
    CLEANUP(record_finish) struct record record = {0};
    sbx_status status = open_folder(b, id, call, &folder_fd);
    if (status == SBX_OK)
        status = load(folder_fd, id, call, &record, NULL);
    return status == SBX_OK ? report(&record, out, call) : status;
}

static sbx_status list_folder(int folder_fd, const struct sbx_list_args *args, const struct sbx_snapshot_sink *out,
                              struct sbx_call *call)
{
    CLEANUP(store_ids_finish) struct store_ids ids;
    uint32_t reported = 0;
    sbx_status status = store_list(folder_fd, call, &ids);
    for (size_t i = 0; status == SBX_OK && i < ids.count; i++) {
        CLEANUP(record_finish) struct record record = {0};
        if ((args->after != NULL && strcmp(ids.items[i], args->after) <= 0) ||
            load(folder_fd, ids.items[i], NULL, &record, NULL) != SBX_OK ||
            !record_has_labels(&record, &args->metadata))
            continue;
        status = report(&record, out, call);
        if (status == SBX_OK && ++reported == args->limit)
            break;
        if (status == SBX_OK)
            status = call_check(call);
    }
    return status;
}

static sbx_status list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *given,
                       const struct sbx_snapshot_sink *out)
{
    struct sbx_list_args args;
    CLEANUP_FD int folder_fd = -1;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0 || args.state_mask != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "snapshot: arguments of a newer version");
    snapshot_sweep(b);
    status = store_open(&b->store, STORE_SNAPSHOTS, 0, call, &folder_fd);
    if (status == SBX_E_NOT_FOUND)
        return SBX_OK;
    return status != SBX_OK ? status : list_folder(folder_fd, &args, out, call);
}

static sbx_status drop(int folder_fd, const char *id, struct sbx_call *call)
{
    char name[NAME_SIZE];
    CLEANUP_FD int fd = -1;
    CLEANUP(record_finish) struct record record = {0};
    sbx_status status = load(folder_fd, id, call, &record, &fd);
    if (status == SBX_OK)
        status = lock(folder_fd, id, fd, LOCK_EX, call);
    if (status != SBX_OK)
        return status;
    (void)snprintf(name, sizeof name, "%s" DROPPED, id);
    if (renameat(folder_fd, id, folder_fd, name) != 0)
        return call_fail_errno(call, errno, "snapshot %s: removing it", id);
    return sandbox_remove_tree(folder_fd, name, &record.ids, call);
}

static sbx_status remove_one(struct sbx_backend *b, struct sbx_call *call, const char *id)
{
    struct sbx_error error;
    struct sbx_call inner;
    CLEANUP_FD int folder_fd = -1;
    call_shadow(&inner, &error, call);
    sbx_status status = open_folder(b, id, &inner, &folder_fd);
    if (status == SBX_OK)
        status = drop(folder_fd, id, &inner);
    if (status == SBX_E_NOT_FOUND)
        return SBX_OK;
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

/* --- leftovers ---------------------------------------------------------------------------------------------------- */

static int is_leftover(const char *name)
{
    return strlen(name) == RECORD_ID_LENGTH + 4 && strspn(name, "0123456789abcdef") == RECORD_ID_LENGTH &&
           (strcmp(name + RECORD_ID_LENGTH, MAKING) == 0 || strcmp(name + RECORD_ID_LENGTH, DROPPED) == 0);
}

static void sweep_one(struct sbx_backend *b, int folder_fd, const char *name)
{
    struct ids ids;
    CLEANUP_FD int fd = openat(folder_fd, name, open_flags);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_listed(folder_fd, name, fd))
        return;
    if (ids_choose(&b->config.ids, 0, NULL, &ids) == SBX_OK)
        (void)sandbox_remove_tree(folder_fd, name, &ids, NULL);
}

void snapshot_sweep(struct sbx_backend *b)
{
    CLEANUP_FD int folder_fd = -1;
    if (store_open(&b->store, STORE_SNAPSHOTS, 0, NULL, &folder_fd) != SBX_OK)
        return;
    CLEANUP_FD int list_fd = openat(folder_fd, ".", open_flags);
    CLEANUP_DIR DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
    if (dir == NULL)
        return;
    (void)steal_fd(&list_fd);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (is_leftover(entry->d_name))
            sweep_one(b, folder_fd, entry->d_name);
}

const struct sbx_snapshot_ops snapshot_ops = {
    .size = sizeof snapshot_ops, .begin = begin, .query = query, .list = list, .remove = remove_one};
