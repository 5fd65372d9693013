/* SPDX-License-Identifier: MIT
 *
 * loader_path.c - who may have written a shared object: owner and mode of the file and of every folder above it.
 */
#include "host/loader.h"

#include "base/cleanup.h"
#include "host/error.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static int owner_ok(uid_t owner, uint32_t library_owner)
{
    return owner == 0 || owner == geteuid() || owner == (uid_t)library_owner;
}

/* `last`: the folder that holds the file itself. A sticky one will do as a parent, since nobody can rename what others
 * own there, but in the last one a stranger could still add files. */
static sbx_status folder_check(const char *path, const struct stat *st, uint32_t library_owner, int last,
                               struct sbx_error *error)
{
    if (!S_ISDIR(st->st_mode))
        return error_set(error, SBX_E_CONFIG, "plugin folder %s: not a directory (rule H1)", path);
    if (!owner_ok(st->st_uid, library_owner))
        return error_set(error, SBX_E_CONFIG,
                         "plugin folder %s: owned by uid %u; expected root, yourself or the owner of libsbx (rule H1)",
                         path, (unsigned)st->st_uid);
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return SBX_OK;
    if (!last && st->st_uid == 0 && (st->st_mode & S_ISVTX) != 0)
        return SBX_OK;
    return error_set(error, SBX_E_CONFIG, "plugin folder %s: %s may write to it; mend it with chmod go-w (rule H1)",
                     path, (st->st_mode & S_IWOTH) != 0 ? "everybody" : "its group");
}

/* Every folder on the way, `path` itself the last one. Symlinks on the way must belong to somebody trusted; what they
 * lead to is checked again under its real name. */
static sbx_status parents_check(const char *path, uint32_t library_owner, struct sbx_error *error)
{
    char prefix[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof prefix)
        return error_set(error, SBX_E_CONFIG, "plugin folder: path longer than %d bytes", PATH_MAX);
    for (size_t i = 0; i <= len; i++) {
        if (i > 0 && path[i] != '/' && path[i] != '\0')
            continue;
        size_t take = i == 0 ? 1 : i;
        memcpy(prefix, path, take);
        prefix[take] = '\0';
        struct stat st;
        if (lstat(prefix, &st) != 0)
            return error_set_errno(error, SBX_E_CONFIG, errno, "plugin folder %s", prefix);
        if (S_ISLNK(st.st_mode)) {
            if (!owner_ok(st.st_uid, library_owner))
                return error_set(error, SBX_E_CONFIG, "plugin folder %s: a symlink owned by uid %u (rule H1)", prefix,
                                 (unsigned)st.st_uid);
            continue;
        }
        sbx_status status = folder_check(prefix, &st, library_owner, i == len, error);
        if (status != SBX_OK)
            return status;
    }
    return SBX_OK;
}

/* Absolute, and no `..` in it. */
static sbx_status name_check(const char *folder, struct sbx_error *error)
{
    if (folder[0] != '/')
        return error_set(error, SBX_E_CONFIG, "plugin folder '%s': not an absolute path (rule H1)", folder);
    for (const char *at = folder; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return error_set(error, SBX_E_CONFIG, "plugin folder '%s': has '..' in it (rule H1)", folder);
    return SBX_OK;
}

static sbx_status file_check(const char *path, const struct stat *st, uint32_t library_owner, struct sbx_error *error)
{
    if (!S_ISREG(st->st_mode))
        return error_set(error, SBX_E_CONFIG, "plugin %s: not a regular file (rule H1)", path);
    if (!owner_ok(st->st_uid, library_owner))
        return error_set(error, SBX_E_CONFIG,
                         "plugin %s: owned by uid %u; expected root, yourself or the owner of libsbx (rule H1)", path,
                         (unsigned)st->st_uid);
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return error_set(error, SBX_E_CONFIG, "plugin %s: %s may write to it; mend it with chmod go-w (rule H1)", path,
                         (st->st_mode & S_IWOTH) != 0 ? "everybody" : "its group");
    return SBX_OK;
}

/* The real path of FOLDER/FILE, which must lie straight in the real folder. */
static sbx_status resolve(const char *folder, const char *file, char **real_folder, char **real_file,
                          struct sbx_error *error)
{
    *real_folder = realpath(folder, NULL);
    if (*real_folder == NULL)
        return error_set_errno(error, SBX_E_CONFIG, errno, "plugin folder %s", folder);
    CLEANUP_FREE char *joined = NULL;
    if (asprintf(&joined, "%s/%s", *real_folder, file) < 0) {
        joined = NULL;
        return error_no_memory(error);
    }
    *real_file = realpath(joined, NULL);
    if (*real_file == NULL)
        return error_set_errno(error, SBX_E_CONFIG, errno, "plugin %s", joined);
    size_t len = strlen(*real_folder);
    const char *base = *real_file + len + 1;
    if (strncmp(*real_file, *real_folder, len) != 0 || (*real_file)[len] != '/' || strchr(base, '/') != NULL)
        return error_set(error, SBX_E_CONFIG, "plugin %s: a symlink that leaves its folder, to %s (rule H1)", joined,
                         *real_file);
    return SBX_OK;
}

static int exists(const char *folder, const char *file)
{
    CLEANUP_FREE char *joined = NULL;
    if (asprintf(&joined, "%s/%s", folder, file) < 0) {
        joined = NULL;
        return 1; /* let the next step say that there is no memory */
    }
    struct stat st;
    return lstat(joined, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

sbx_status loader_path_open(const char *folder, const char *file, uint32_t library_owner, int *fd, char **path,
                            struct sbx_error *error)
{
    *fd = -1;
    *path = NULL;
    sbx_status status = name_check(folder, error);
    if (status != SBX_OK || !exists(folder, file))
        return status;
    CLEANUP_FREE char *real_folder = NULL;
    CLEANUP_FREE char *real_file = NULL;
    status = parents_check(folder, library_owner, error);
    if (status == SBX_OK)
        status = resolve(folder, file, &real_folder, &real_file, error);
    if (status == SBX_OK)
        status = parents_check(real_folder, library_owner, error);
    if (status != SBX_OK)
        return status;
    CLEANUP_FD int opened = open(real_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (opened < 0)
        return error_set_errno(error, SBX_E_CONFIG, errno, "plugin %s", real_file);
    struct stat st;
    if (fstat(opened, &st) != 0)
        return error_set_errno(error, SBX_E_CONFIG, errno, "plugin %s", real_file);
    status = file_check(real_file, &st, library_owner, error);
    if (status != SBX_OK)
        return status;
    *path = STEAL(real_file);
    *fd = steal_fd(&opened);
    return SBX_OK;
}
