/* SPDX-License-Identifier: MIT */
#include "host/tree.h"

#include "base/cleanup.h"
#include "host/error.h"
#include "host/identity.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 200 /* deeper than any tree that is unpacked here */

sbx_status tree_error(struct sbx_error *error, int os_errno, const char *format, ...)
{
    static const struct {
        int os_errno;
        sbx_status code;
    } table[] = {{ENOENT, SBX_E_NOT_FOUND},       {EACCES, SBX_E_PERMISSION}, {EPERM, SBX_E_PERMISSION},
                 {ENOTDIR, SBX_E_NOT_DIR},        {EISDIR, SBX_E_IS_DIR},     {EEXIST, SBX_E_EXISTS},
                 {ENOSPC, SBX_E_QUOTA},           {EDQUOT, SBX_E_QUOTA},      {ENOMEM, SBX_E_NO_MEMORY},
                 {ENAMETOOLONG, SBX_E_TOO_LARGE}, {ELOOP, SBX_E_BAD_PATH}};
    char what[400];
    char text[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    sbx_status code = SBX_E_FAILED;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].os_errno == os_errno)
            code = table[i].code;
    (void)error_set(error, code, "%s: %s", what, strerror_r(os_errno, text, sizeof text));
    if (error != NULL && error->size >= sizeof *error)
        error->os_errno = os_errno;
    return code;
}

/* --- staging ---------------------------------------------------------------------------------------------------- */

static sbx_status make_staging(struct tree_staging *staging, const char *host_dir, struct sbx_error *error)
{
    char token[IDENTITY_TOKEN_SIZE];
    if (identity_token(token) != 0)
        return error_set(error, SBX_E_FAILED, "no random bytes for a name");
    (void)snprintf(staging->name, sizeof staging->name, ".sbx-part-%.16s", token + 4);
    if (mkdirat(staging->parent, staging->name, 0700) != 0)
        return tree_error(error, errno, "'%s' on this machine", host_dir);
    staging->root = openat(staging->parent, staging->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (staging->root < 0)
        return tree_error(error, errno, "'%s' on this machine", host_dir);
    return SBX_OK;
}

/* Opens what will hold host_dir, and keeps its last part. */
static sbx_status open_holder(struct tree_staging *staging, const char *host_dir, struct sbx_error *error)
{
    CLEANUP_FREE char *path = strdup(host_dir);
    if (path == NULL)
        return error_no_memory(error);
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    char *slash = strrchr(path, '/');
    const char *last = slash != NULL ? slash + 1 : path;
    if (last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return error_set(error, SBX_E_BAD_PATH, "'%s' on this machine cannot be made", host_dir);
    staging->own_name = strdup(last);
    if (staging->own_name == NULL)
        return error_no_memory(error);
    if (slash != NULL)
        slash[slash == path] = '\0';
    staging->parent = open(slash != NULL ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return staging->parent >= 0 ? SBX_OK : tree_error(error, errno, "'%s' on this machine", slash != NULL ? path : ".");
}

sbx_status tree_stage(struct tree_staging *staging, const char *host_dir, struct sbx_error *error)
{
    *staging = (struct tree_staging){.parent = -1, .root = -1};
    if (host_dir == NULL || host_dir[0] == '\0')
        return error_set(error, SBX_E_INVALID, "no directory of this machine given");
    staging->parent = open(host_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (staging->parent >= 0)
        staging->merges = 1;
    else if (errno != ENOENT)
        return tree_error(error, errno, "'%s' on this machine", host_dir);
    sbx_status status = staging->merges ? SBX_OK : open_holder(staging, host_dir, error);
    return status == SBX_OK ? make_staging(staging, host_dir, error) : status;
}

/* --- walking two trees ------------------------------------------------------------------------------------------ */

static int open_dir_at(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The next entry but . and ..; NULL at the end. */
static const struct dirent *next_entry(DIR *dir)
{
    for (;;) {
        const struct dirent *entry = readdir(dir);
        if (entry == NULL || (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0))
            return entry;
    }
}

/* A stream over a second descriptor of the same directory, from its beginning. */
static DIR *list_dir(int fd)
{
    CLEANUP_FD int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    if (dir != NULL)
        (void)steal_fd(&own);
    return dir;
}

static sbx_status refuse_kind(struct sbx_error *error, const char *name, const struct stat *there)
{
    if (S_ISDIR(there->st_mode))
        return error_set(error, SBX_E_IS_DIR, "'%s' on this machine is a directory, and a file would replace it", name);
    return error_set(error, SBX_E_EXISTS, "'%s' on this machine is no directory, and one would replace it", name);
}

/* Goes through `from` and `to` together: first only looking (move 0), then moving. */
static sbx_status merge(int from, int to, int move, int depth, struct sbx_error *error)
{
    CLEANUP_DIR DIR *dir = list_dir(from);
    const struct dirent *entry;
    if (dir == NULL)
        return tree_error(error, errno, "the unpacked tree");
    if (depth == 0)
        return error_set(error, SBX_E_TOO_LARGE, "the tree is too deep");
    while ((entry = next_entry(dir)) != NULL) {
        const char *name = entry->d_name;
        struct stat ours;
        struct stat theirs;
        if (fstatat(from, name, &ours, AT_SYMLINK_NOFOLLOW) != 0)
            return tree_error(error, errno, "'%s'", name);
        int is_there = fstatat(to, name, &theirs, AT_SYMLINK_NOFOLLOW) == 0;
        if (is_there && S_ISDIR(ours.st_mode) != S_ISDIR(theirs.st_mode))
            return refuse_kind(error, name, &theirs);
        if (is_there && S_ISDIR(ours.st_mode)) {
            CLEANUP_FD int below = open_dir_at(from, name);
            CLEANUP_FD int target = open_dir_at(to, name);
            if (below < 0 || target < 0)
                return tree_error(error, errno, "'%s' on this machine", name);
            sbx_status status = merge(below, target, move, depth - 1, error);
            if (status != SBX_OK)
                return status;
        } else if (move && renameat(from, name, to, name) != 0) {
            return tree_error(error, errno, "'%s' on this machine", name);
        }
    }
    return SBX_OK;
}

sbx_status tree_commit(struct tree_staging *staging, struct sbx_error *error)
{
    if (staging->merges) {
        sbx_status status = merge(staging->root, staging->parent, 0, DEPTH_MAX, error);
        return status == SBX_OK ? merge(staging->root, staging->parent, 1, DEPTH_MAX, error) : status;
    }
    if (fchmod(staging->root, 0755) != 0 ||
        renameat2(staging->parent, staging->name, staging->parent, staging->own_name, RENAME_NOREPLACE) != 0)
        return tree_error(error, errno, "'%s' on this machine", staging->own_name);
    staging->name[0] = '\0';
    return SBX_OK;
}

/* Removes a directory and all that is in it; links are removed, not followed. */
static void remove_all(int parent, const char *name, int depth)
{
    CLEANUP_FD int fd = depth > 0 ? open_dir_at(parent, name) : -1;
    CLEANUP_DIR DIR *dir = fd >= 0 ? list_dir(fd) : NULL;
    const struct dirent *entry;
    while (dir != NULL && (entry = next_entry(dir)) != NULL)
        if (unlinkat(fd, entry->d_name, 0) != 0 && (errno == EISDIR || errno == EPERM))
            remove_all(fd, entry->d_name, depth - 1);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void tree_finish(struct tree_staging *staging)
{
    if (staging->root >= 0)
        (void)close(staging->root);
    if (staging->parent >= 0 && staging->name[0] != '\0')
        remove_all(staging->parent, staging->name, DEPTH_MAX);
    if (staging->parent >= 0)
        (void)close(staging->parent);
    free(staging->own_name);
    *staging = (struct tree_staging){.parent = -1, .root = -1};
}
