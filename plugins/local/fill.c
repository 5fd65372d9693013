/* SPDX-License-Identifier: MIT
 *
 * fill.c - see fill.h.
 */
#include "plugins/local/fill.h"

#include "base/cleanup.h"
#include "plugins/local/chore.h"
#include "plugins/local/fds.h"
#include "plugins/local/snapshot.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const int path_flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

void fill_close_trees(struct fill_trees *trees)
{
    create_close(trees->fds, LAYOUT_TREES);
}

/* On the host's file system. */
static sbx_status open_outside(struct sbx_backend *b, const struct record *record, struct sbx_call *call,
                               struct fill_trees *out)
{
    CLEANUP_FD int state_fd = -1;
    sbx_status status = store_open(&b->store, STORE_STATE, 0, call, &state_fd);
    if (status != SBX_OK)
        return status;
    CLEANUP_FD int tree_fd = store_open_entry(state_fd, record->id);
    for (int i = 0; i < LAYOUT_TREES; i++) {
        out->fds[i] = tree_fd < 0 ? -1 : fds_high(openat(tree_fd, layout_tree_names[i], path_flags));
        if (out->fds[i] < 0 && (tree_fd < 0 || i != LAYOUT_WORKDIR || errno != ENOENT))
            return call_fail_errno(call, errno, "sandbox %s: its directory %s", record->id, layout_tree_names[i]);
    }
    return SBX_OK;
}

static int open_in_root(int root_fd, const char *path)
{
    struct open_how how = {.flags = (uint64_t)path_flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return fds_high((int)syscall(SYS_openat2, root_fd, path, &how, sizeof how));
}

/* A disk limit's file system is seen in the sandbox alone: by way of its guest's root. */
static sbx_status open_inside(struct sbx_backend *b, const struct record *record, struct sbx_call *call,
                              struct fill_trees *out)
{
    char path[64], image[CREATE_PATH];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/root", record->pid);
    CLEANUP_FD int root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return call_fail_errno(call, errno, "sandbox %s: its root directory", record->id);
    if (!sandbox_lives(sandbox_state(b, record)))
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", record->id);
    (void)snprintf(image, sizeof image, "%s/%s/" FILL_IMAGE, b->store.path[STORE_STATE], record->id);
    const struct layout_options options = {.image = access(image, F_OK) == 0 ? image : record->image,
                                           .workdir = record->workdir};
    for (int i = 0; i < LAYOUT_TREES; i++) {
        const char *inside = i == LAYOUT_WORKDIR ? record->workdir : layout_tree_targets[i];
        if (i == LAYOUT_WORKDIR && !layout_needs_workdir(&options))
            continue;
        out->fds[i] = open_in_root(root_fd, inside);
        if (out->fds[i] < 0)
            return call_fail_errno(call, errno, "sandbox %s: its directory '%s'", record->id, inside);
    }
    return SBX_OK;
}

sbx_status fill_open_trees(struct sbx_backend *b, const struct record *record, struct sbx_call *call,
                           struct fill_trees *out)
{
    for (int i = 0; i < LAYOUT_TREES; i++)
        out->fds[i] = -1;
    return record->disk_mib == 0 ? open_outside(b, record, call, out) : open_inside(b, record, call, out);
}

/* --- from a snapshot ---------------------------------------------------------------------------------------------- */

sbx_status fill_plan(struct making *m)
{
    struct record *r = &m->record;
    const struct record *from = &m->origin;
    sbx_status status = snapshot_open(m->b, m->args.snapshot, m->call, &m->origin, &m->origin_fd);
    if (status != SBX_OK)
        return status;
    r->image = from->image;
    if (m->args.workdir == NULL)
        r->workdir = from->workdir;
    if (m->args.user == NULL)
        r->user = from->user;
    CLEANUP_FD int workdir = snapshot_open_tree(m->origin_fd, LAYOUT_WORKDIR);
    if (workdir >= 0 && strcmp(r->workdir, from->workdir) != 0)
        return call_fail(m->call, SBX_E_INVALID,
                         "create: snapshot %s has files in its working directory '%s'; leave '%s' out", from->id,
                         from->workdir, r->workdir);
    return SBX_OK;
}

sbx_status fill_from_snapshot(struct making *m, int64_t pid)
{
    const struct record *from = &m->origin;
    struct record to = m->record;
    struct chore_pair pairs[LAYOUT_TREES];
    size_t count = 0;
    CLEANUP(fill_close_trees) struct fill_trees sources = {{-1, -1, -1, -1}};
    CLEANUP(fill_close_trees) struct fill_trees targets = {{-1, -1, -1, -1}};
    if (from->ids.kind != to.ids.kind)
        return call_fail(m->call, SBX_E_UNSUPPORTED,
                         "create: the users of snapshot %s are %s, those of this sandbox would be %s", from->id,
                         ids_name(&from->ids), ids_name(&to.ids));
    sbx_status status =
        sandbox_stamp(m->b, &to, pid) == 0 ? fill_open_trees(m->b, &to, m->call, &targets) : SBX_E_FAILED;
    if (status != SBX_OK)
        return status;
    for (int i = 0; i < LAYOUT_TREES; i++) {
        sources.fds[i] = fds_high(snapshot_open_tree(m->origin_fd, i));
        if (sources.fds[i] >= 0 && targets.fds[i] >= 0)
            pairs[count++] = (struct chore_pair){sources.fds[i], targets.fds[i]};
    }
    struct chore chore = {.step = "create", .ids = &to.ids, .pairs = pairs, .count = count};
    if (to.ids.kind == IDS_MAPPED_ROOT) {
        chore.owner_from = from->ids.uid_first;
        chore.owner_to = to.ids.uid_first;
    }
    return chore_copy(m->b, &chore, NULL, m->call);
}

/* --- from a tar --------------------------------------------------------------------------------------------------- */

sbx_status fill_check_tar(const char *path, struct sbx_call *call)
{
    static const struct {
        const char *bytes;
        const char *cure;
    } packed[] = {{"\x1f\x8b", "gunzip"},
                  {"\xfd"
                   "7zXZ",
                   "unxz"},
                  {"\x28\xb5\x2f\xfd", "unzstd"},
                  {"BZh", "bunzip2"}};
    char head[512];
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (n < 0)
        return call_fail_errno(call, errno, "create: image '%s'", path);
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if ((size_t)n >= strlen(packed[i].bytes) && memcmp(head, packed[i].bytes, strlen(packed[i].bytes)) == 0)
            return call_fail(call, SBX_E_UNSUPPORTED, "create: image '%s' is compressed; %s it first", path,
                             packed[i].cure);
    if (n != (ssize_t)sizeof head || memcmp(head + 257, "ustar", 5) != 0)
        return call_fail(call, SBX_E_INVALID, "create: image '%s' is neither a root directory nor a tar", path);
    return SBX_OK;
}

/* An empty directory of the sandbox's root. */
static sbx_status make_root(struct making *m, int *fd)
{
    const struct ids *ids = &m->record.ids;
    int n = snprintf(m->image_dir, sizeof m->image_dir, "%s/" FILL_IMAGE, m->tree);
    if (n < 0 || (size_t)n >= sizeof m->image_dir)
        return call_fail(m->call, SBX_E_TOO_LARGE, "create: '%s' is too long", m->tree);
    if (mkdir(m->image_dir, 0755) != 0 && errno != EEXIST)
        return call_fail_errno(m->call, errno, "create: '%s'", m->image_dir);
    *fd = fds_high(open(m->image_dir, path_flags));
    if (*fd < 0 || chmod(m->image_dir, 0755) != 0 ||
        (ids->kind == IDS_MAPPED_ROOT && lchown(m->image_dir, ids->uid_first, ids->gid_first) != 0))
        return call_fail_errno(m->call, errno, "create: '%s'", m->image_dir);
    return SBX_OK;
}

sbx_status fill_from_tar(struct making *m, int *map_failed)
{
    CLEANUP_FD int root_fd = -1;
    CLEANUP_FD int tar_fd = fds_high(open(m->record.image, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (tar_fd < 0)
        return call_fail_errno(m->call, errno, "create: image '%s'", m->record.image);
    sbx_status status = make_root(m, &root_fd);
    if (status != SBX_OK)
        return status;
    const struct chore_pair pair = {tar_fd, root_fd};
    const struct chore chore = {.step = "create: image", .ids = &m->record.ids, .pairs = &pair, .count = 1};
    return chore_unpack(m->b, &chore, map_failed, m->call);
}
