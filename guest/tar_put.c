/* SPDX-License-Identifier: MIT
 *
 * tar_put.c - OP_TAR_PUT: a tar unpacked below one directory. The archive is not trusted: nothing is followed out of
 * that directory, nothing but files, directories, symlinks and hard links to files below it is made, and an archive
 * without its end is refused.
 */
#include "guest/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/tar_read.h"
#include "guest/user.h"

enum { DEFERRED_MAX = 65536 };

/* A directory whose mode would keep us out: it gets it at the end. */
struct deferred {
    struct deferred *next;
    mode_t mode;
    char name[];
};

struct unpack {
    struct tar_reader in;
    struct worker_verdict *v;
    int root;
    struct deferred *deferred;
    unsigned deferred_count;
    const char *leaf; /* last component of the name at hand, in `text` */
    char text[PATH_MAX];
};

static int refuse(struct unpack *u, const char *name, const char *why)
{
    return worker_fail(u->v, SBX_E_BAD_PATH, 0, "tar: '%.250s': %s", name, why);
}

static int fail(struct unpack *u, const char *name, int error)
{
    return worker_fail(u->v, status_of(error), error, "tar: '%.250s': %s", name, path_reason(error));
}

/* Relative, without "..", at most PATH_MAX; u->text becomes the same without "." and empty components. */
static int clean(struct unpack *u, const char *name)
{
    size_t len = 0;
    if (name[0] == '/')
        return refuse(u, name, "an absolute name");
    for (const char *p = name; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return refuse(u, name, "a name with '..'");
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (len + n + 2 > sizeof u->text)
                return refuse(u, name, "too long a name");
            if (len > 0)
                u->text[len++] = '/';
            memcpy(u->text + len, p, n);
            len += n;
        }
        p += n + (p[n] == '/');
    }
    u->text[len] = '\0';
    return 0;
}

/* The directory of the cleaned name, component by component and never through a link, made where it is missing. Sets
 * u->leaf. -1 with the verdict set. */
static int open_parent(struct unpack *u, int make)
{
    CLEANUP_FD int at = fcntl(u->root, F_DUPFD_CLOEXEC, 3);
    char *p = u->text;
    int depth = 0;
    if (at < 0)
        return fail(u, u->text, errno);
    for (char *slash; (slash = strchr(p, '/')) != NULL; p = slash + 1) {
        *slash = '\0';
        int next = openat(at, p, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && errno == ENOENT && make && mkdirat(at, p, 0755) == 0)
            next = openat(at, p, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int error = errno;
        *slash = '/';
        if (next < 0)
            return error == ENOTDIR ? refuse(u, u->text, "it lies below something that is no directory")
                                    : fail(u, u->text, error);
        (void)close(at);
        at = next;
        if (++depth > TAR_DEPTH_MAX)
            return refuse(u, u->text, "too many directories deep");
    }
    u->leaf = p;
    return steal_fd(&at);
}

/* Makes way for an entry that is no directory. */
static int make_way(struct unpack *u, int at)
{
    struct stat st;
    if (fstatat(at, u->leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : fail(u, u->text, errno);
    if (S_ISDIR(st.st_mode))
        return worker_fail(u->v, SBX_E_IS_DIR, EISDIR, "tar: '%.250s': a directory is in its place", u->text);
    return unlinkat(at, u->leaf, 0) == 0 ? 0 : fail(u, u->text, errno);
}

static int defer(struct unpack *u, mode_t mode)
{
    size_t len = strlen(u->text) + 1;
    struct deferred *d = u->deferred_count >= DEFERRED_MAX ? NULL : malloc(sizeof *d + len);
    if (d == NULL)
        return fail(u, u->text, ENOMEM);
    d->mode = mode;
    memcpy(d->name, u->text, len);
    d->next = u->deferred;
    u->deferred = d;
    u->deferred_count++;
    return 0;
}

static int put_directory(struct unpack *u, int at, const struct tar_entry *e)
{
    struct stat st;
    mode_t mode = e->mode & 01777u;
    if (mkdirat(at, u->leaf, mode | 0700) == 0)
        return (mode & 0700) == 0700 ? 0 : defer(u, mode);
    if (errno != EEXIST)
        return fail(u, u->text, errno);
    if (fstatat(at, u->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return worker_fail(u->v, SBX_E_NOT_DIR, ENOTDIR, "tar: '%.250s': not a directory, and in its place", u->text);
}

static int put_file(struct unpack *u, int at, const struct tar_entry *e)
{
    if (make_way(u, at) != 0)
        return -1;
    CLEANUP_FD int fd = openat(at, u->leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(u, u->text, errno);
    int copied = tar_read_body(&u->in, e->size, fd);
    if (copied != 0) {
        int error = errno;
        (void)unlinkat(at, u->leaf, 0);
        return copied < 0
                   ? fail(u, u->text, error)
                   : worker_fail(u->v, SBX_E_PROTOCOL, 0, "tar: '%.250s': the archive ends inside of it", u->text);
    }
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = (time_t)e->mtime}};
    if (fchmod(fd, e->mode & 0777u) != 0)
        return fail(u, u->text, errno);
    (void)futimens(fd, times);
    return 0;
}

static int put_hard_link(struct unpack *u, int at, const struct tar_entry *e)
{
    struct stat st;
    char name[PATH_MAX];
    memcpy(name, u->text, strlen(u->text) + 1);
    const char *leaf = strrchr(name, '/') == NULL ? name : strrchr(name, '/') + 1;
    if (clean(u, e->link) != 0)
        return -1;
    CLEANUP_FD int from = open_parent(u, 0);
    if (from < 0)
        return -1;
    if (fstatat(from, u->leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(u, e->link, errno);
    if (!S_ISREG(st.st_mode))
        return refuse(u, e->link, "a hard link to something that is no file");
    struct stat old;
    if (fstatat(at, leaf, &old, AT_SYMLINK_NOFOLLOW) == 0) {
        if (old.st_dev == st.st_dev && old.st_ino == st.st_ino)
            return 0;
        if (unlinkat(at, leaf, 0) != 0)
            return fail(u, name, errno);
    }
    return linkat(from, u->leaf, at, leaf, 0) == 0 ? 0 : fail(u, name, errno);
}

static int put_entry(struct unpack *u, const struct tar_entry *e)
{
    if (clean(u, e->name) != 0)
        return -1;
    if (u->text[0] == '\0')
        return e->type == '5' ? 0 : refuse(u, e->name, "no name of its own");
    if (strchr("01257", e->type) == NULL)
        return refuse(u, e->name, "neither file, directory nor link");
    CLEANUP_FD int at = open_parent(u, 1);
    if (at < 0)
        return -1;
    switch (e->type) {
    case '5':
        return put_directory(u, at, e);
    case '2':
        if (e->link[0] == '\0')
            return refuse(u, e->name, "a link to nothing");
        if (make_way(u, at) != 0)
            return -1;
        return symlinkat(e->link, at, u->leaf) == 0 ? 0 : fail(u, u->text, errno);
    case '1':
        return put_hard_link(u, at, e);
    default:
        return put_file(u, at, e);
    }
}

/* Inner directories first: the list is in reverse order. */
static void finish_directories(struct unpack *u)
{
    while (u->deferred != NULL) {
        struct deferred *d = u->deferred;
        u->deferred = d->next;
        memcpy(u->text, d->name, strlen(d->name) + 1);
        CLEANUP_FD int at = u->v->status == SBX_OK ? open_parent(u, 0) : -1;
        CLEANUP_FD int fd = at < 0 ? -1 : openat(at, u->leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && fchmod(fd, d->mode) != 0)
            (void)fail(u, d->name, errno);
        free(d);
    }
}

static int open_root(struct unpack *u, const char *path, const char *given)
{
    struct stat st;
    if (mkdir(path, 0755) != 0 && errno != EEXIST && (path_make_parents(path) != 0 || mkdir(path, 0755) != 0) &&
        errno != EEXIST)
        return fail(u, given, errno);
    u->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (u->root >= 0)
        return 0;
    if (errno == ENOTDIR && stat(path, &st) == 0)
        return worker_fail(u->v, SBX_E_NOT_DIR, ENOTDIR, "tar: '%.250s': not a directory", given);
    return fail(u, given, errno);
}

void tar_put(const char *path, const char *given, int in, int out, struct worker_verdict *v)
{
    (void)out;
    CLEANUP_FREE struct unpack *u = calloc(1, sizeof *u);
    CLEANUP_FREE struct tar_entry *e = calloc(1, sizeof *e);
    if (u == NULL || e == NULL) {
        (void)worker_fail(v, SBX_E_NO_MEMORY, ENOMEM, "tar: no memory");
        return;
    }
    u->v = v;
    u->root = -1;
    tar_reader_init(&u->in, in, v);
    if (open_root(u, path, given) != 0)
        return;
    int more;
    while ((more = tar_read_entry(&u->in, e)) == 1)
        if (put_entry(u, e) != 0)
            break;
    finish_directories(u);
    if (more == 0 && v->status == SBX_OK)
        (void)tar_read_end(&u->in);
    (void)close(u->root);
}

static void tar_put_start(struct request *r, const struct fields *f)
{
    struct identity who;
    char path[PATH_MAX];
    if (path_begin(r, f, "tar", &who, path) != 0)
        return;
    (void)path_strip(path);
    worker_start(r, &who, path, tar_put, 1, 0);
}

const struct request_kind op_tar_put = {
    .op = OP_TAR_PUT,
    .takes = FIELD(F_PATH) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .input = 1,
    .start = tar_put_start,
    .feed = worker_feed,
    .watch = worker_watch,
    .pump = worker_pump,
    .cancel = worker_cancel,
    .release = worker_release,
};
