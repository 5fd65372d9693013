/* SPDX-License-Identifier: MIT */
#include "guest/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/path.h"

enum { DEPTH_MAX = 256 };

static int failed(struct worker_verdict *v, const char *name)
{
    return worker_fail(v, status_of(errno), errno, "remove: '%.200s': %s", name, path_reason(errno));
}

/* A directory by its own name, opened so that a symlink put in its place meanwhile leads nowhere. */
static int open_directory(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 || errno != EACCES || fchmodat(at, name, 0700, 0) != 0)
        return fd;
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int empty(int at, const char *name, int depth, struct worker_verdict *v)
{
    int fd = open_directory(at, name);
    CLEANUP_DIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return failed(v, name);
    if (depth > DEPTH_MAX)
        return worker_fail(v, SBX_E_UNSUPPORTED, 0, "remove: '%.200s': more than %d directories deep", name, DEPTH_MAX);
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        const char *child = entry->d_name;
        if (strcmp(child, ".") == 0 || strcmp(child, "..") == 0)
            continue;
        if (unlinkat(fd, child, 0) == 0 || errno == ENOENT)
            continue;
        struct stat st;
        int saved = errno;
        if (fstatat(fd, child, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode)) {
            errno = saved;
            return failed(v, child);
        }
        if (unlinkat(fd, child, AT_REMOVEDIR) == 0)
            continue;
        if (empty(fd, child, depth + 1, v) != 0)
            return -1;
        if (unlinkat(fd, child, AT_REMOVEDIR) != 0)
            return failed(v, child);
    }
    return errno == 0 ? 0 : failed(v, name);
}

void remove_tree(const char *path, const char *given, int in, int out, struct worker_verdict *v)
{
    (void)in;
    (void)out;
    if (empty(AT_FDCWD, path, 0, v) == 0 && rmdir(path) != 0)
        (void)failed(v, given);
}
