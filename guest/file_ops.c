/* SPDX-License-Identifier: MIT
 *
 * file_ops.c - OP_STAT, OP_MKDIR, OP_REMOVE and OP_RENAME.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/ops.h"
#include "guest/path.h"
#include "guest/remove.h"
#include "guest/user.h"
#include "guest/worker.h"

/* A scope for acting as the user; the request is ended when that is refused. */
static int entered(struct request *r, const struct user_scope *as, const char *what, const struct identity *who)
{
    if (as->who != NULL)
        return 1;
    request_fail(r, SBX_E_UNSUPPORTED, 0, "%s: this sandbox cannot act as user '%s'", what, who->name);
    return 0;
}

static void stat_start(struct request *r, const struct fields *f)
{
    struct identity who;
    char path[PATH_MAX];
    struct stat st;
    if (path_begin(r, f, "stat", &who, path) != 0)
        return;
    (void)path_strip(path);
    USER_SCOPE(as, &who);
    if (!entered(r, &as, "stat", &who))
        return;
    int flags = (f->number[F_FLAGS] & FS_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
    if (fstatat(AT_FDCWD, path, &st, flags) != 0) {
        path_fail(r, errno, "stat");
        return;
    }
    request_reply_begin(r);
    frame_stat(r->c, &st, (uint64_t)st.st_size);
    request_reply_finish(r);
    request_end(r);
}

static int is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void mkdir_start(struct request *r, const struct fields *f)
{
    struct identity who;
    char path[PATH_MAX];
    if (path_begin(r, f, "mkdir", &who, path) != 0)
        return;
    (void)path_strip(path);
    USER_SCOPE(as, &who);
    if (!entered(r, &as, "mkdir", &who))
        return;
    int parents = (f->number[F_FLAGS] & FS_PARENTS) != 0;
    mode_t mode = f->number[F_MODE] == 0 ? 0755 : (mode_t)(f->number[F_MODE] & 07777);
    int made = mkdir(path, mode);
    if (made != 0 && errno == ENOENT && parents && path_make_parents(path) == 0)
        made = mkdir(path, mode);
    if (made == 0 || (parents && is_directory(path)))
        request_end(r);
    else if (errno == ENOTDIR)
        request_fail(r, SBX_E_NOT_DIR, ENOTDIR, "mkdir: '%.300s': a file is in the way", r->given);
    else
        path_fail(r, errno, "mkdir");
}

/* The last component, of a path without slashes at its end. */
static int ends_in_dots(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash == NULL ? path : slash + 1;
    return strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || last[0] == '\0';
}

static void remove_start(struct request *r, const struct fields *f)
{
    struct identity who;
    char path[PATH_MAX];
    struct stat st;
    if (path_begin(r, f, "remove", &who, path) != 0)
        return;
    (void)path_strip(path);
    if (ends_in_dots(path)) {
        request_fail(r, SBX_E_BAD_PATH, 0, "remove: '%s' has no name of its own", r->given);
        return;
    }
    USER_SCOPE(as, &who);
    if (!entered(r, &as, "remove", &who))
        return;
    if (lstat(path, &st) != 0 || (!S_ISDIR(st.st_mode) && unlink(path) != 0)) {
        path_fail(r, errno, "remove");
        return;
    }
    if (!S_ISDIR(st.st_mode) || rmdir(path) == 0) {
        request_end(r);
        return;
    }
    if (errno != ENOTEMPTY && errno != EEXIST)
        path_fail(r, errno, "remove");
    else if ((f->number[F_FLAGS] & FS_RECURSIVE) == 0)
        request_fail(r, SBX_E_IS_DIR, errno, "remove: '%s': directory not empty", r->given);
    else
        worker_start(r, &who, path, remove_tree, 0, 0);
}

static void rename_fail(struct request *r, int error, const char *from, const char *to)
{
    struct stat old, new;
    if (lstat(from, &old) != 0)
        path_fail(r, error, "rename");
    else if (lstat(to, &new) == 0 && S_ISDIR(new.st_mode) && !S_ISDIR(old.st_mode))
        request_fail(r, SBX_E_IS_DIR, EISDIR, "rename: '%.300s': is a directory", to);
    else if (error == ENOTDIR && lstat(to, &new) == 0)
        request_fail(r, SBX_E_NOT_DIR, ENOTDIR, "rename: '%.300s': not a directory", to);
    else
        request_fail(r, status_of(error), error, "rename: '%.300s': %s", to, path_reason(error));
}

static void rename_start(struct request *r, const struct fields *f)
{
    struct identity who;
    char from[PATH_MAX], to[PATH_MAX];
    if (path_begin(r, f, "rename", &who, from) != 0)
        return;
    if (path_of(r->c->g, &who, f, F_TO, to) != SBX_OK) {
        request_fail(r, SBX_E_BAD_PATH, 0, "rename: the new path is empty or too long");
        return;
    }
    (void)path_strip(from);
    (void)path_strip(to);
    USER_SCOPE(as, &who);
    if (!entered(r, &as, "rename", &who))
        return;
    if (rename(from, to) == 0)
        request_end(r);
    else
        rename_fail(r, errno, from, to);
}

const struct request_kind op_stat = {
    .op = OP_STAT,
    .takes = FIELD(F_PATH) | FIELD(F_FLAGS) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .flags = FS_NOFOLLOW,
    .start = stat_start,
};
const struct request_kind op_mkdir = {
    .op = OP_MKDIR,
    .takes = FIELD(F_PATH) | FIELD(F_MODE) | FIELD(F_FLAGS) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .flags = FS_PARENTS,
    .start = mkdir_start,
};
const struct request_kind op_remove = {
    .op = OP_REMOVE,
    .takes = FIELD(F_PATH) | FIELD(F_FLAGS) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .flags = FS_RECURSIVE,
    .start = remove_start,
    .watch = worker_watch,
    .pump = worker_pump,
    .cancel = worker_cancel,
    .release = worker_release,
};
const struct request_kind op_rename = {
    .op = OP_RENAME,
    .takes = FIELD(F_PATH) | FIELD(F_TO) | FIELD(F_USER),
    .requires = FIELD(F_PATH) | FIELD(F_TO),
    .start = rename_start,
};
