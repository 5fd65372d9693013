/* SPDX-License-Identifier: MIT
 *
 * copy.c - see copy.h. The way up goes by "..", which has to be the directory that was come from: so any depth takes
 * two descriptors. A file of many names is found again by a link in a folder of our own in the new tree.
 */
#include "guest/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/path.h"
#include "guest/user.h"

#define CLONE_FILE _IOW(0x94, 9, int) /* FICLONE */
#define LINKS      GUEST_TEMP_PREFIX "links"

enum { DEPTH_MAX = 4096, RANGE = 65536, NOBODY = 65534, CHUNK = 128 << 10, NAMES_MAX = 4096, VALUE_MAX = 65536 };

struct entry { /* as the kernel writes it */
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

struct level {
    struct stat st; /* of the directory that is copied */
    dev_t to_dev;   /* and which its copy is */
    ino_t to_ino;
    int64_t offset; /* behind the entry at which it was left */
};

struct copy {
    struct worker_verdict *v;
    const struct copy_owners *owners;
    int links; /* -1: not made yet */
    int top;
    struct level *levels;
    size_t depth;
    size_t cap;
    int from; /* the directory at hand, and its copy */
    int to;
    char value[VALUE_MAX];
    char data[CHUNK];
};

static int failed(struct copy *c, const char *name)
{
    return worker_fail(c->v, status_of(errno), errno, "copy: '%.200s': %s", name, path_reason(errno));
}

static int changed(struct copy *c, const char *name)
{
    return worker_fail(c->v, SBX_E_FAILED, 0, "copy: '%.200s': it was changed meanwhile", name);
}

static uint32_t new_owner(const struct copy *c, uint32_t id)
{
    if (c->owners->to == 0)
        return id;
    return id - c->owners->from < RANGE ? id - c->owners->from + c->owners->to : c->owners->to + NOBODY;
}

/* --- one entry ---------------------------------------------------------------------------------------------------- */

static void copy_attributes(struct copy *c, int in, int out)
{
    char names[NAMES_MAX];
    ssize_t len = flistxattr(in, names, sizeof names);
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
        if (strncmp(names + at, "user.", 5) != 0)
            continue;
        ssize_t n = fgetxattr(in, names + at, c->value, sizeof c->value);
        if (n >= 0) /* a file system that keeps none is as good as another */
            (void)fsetxattr(out, names + at, c->value, (size_t)n, 0);
    }
}

/* Owner, attributes, mode and times, in this order: a new owner takes away bits of the mode. */
static int finish(struct copy *c, int in, int out, const struct stat *st, const char *name)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchown(out, new_owner(c, st->st_uid), new_owner(c, st->st_gid)) != 0)
        return failed(c, name);
    copy_attributes(c, in, out);
    if (fchmod(out, st->st_mode & 07777u) != 0 || futimens(out, times) != 0)
        return failed(c, name);
    return 0;
}

/* From `at` up to `end`; 1: the file has become shorter. -1 with errno. */
static int copy_range(struct copy *c, int in, int out, off_t at, off_t end)
{
    off_t to = at;
    while (at < end) {
        ssize_t n = copy_file_range(in, &at, out, &to, (size_t)(end - at), 0);
        if (n == 0)
            return 1;
        if (n < 0)
            break;
    }
    while (at < end) {
        size_t most = (uint64_t)(end - at) < sizeof c->data ? (size_t)(end - at) : sizeof c->data;
        ssize_t n = pread(in, c->data, most, at);
        if (n == 0)
            return 1;
        if (n > 0)
            n = pwrite(out, c->data, (size_t)n, at);
        if (n < 0)
            return -1;
        at += n;
    }
    return 0;
}

/* Shares the blocks where the file system can; else what is no hole is copied. */
static int copy_data(struct copy *c, int in, int out, off_t size)
{
    if (ioctl(out, CLONE_FILE, in) == 0)
        return ftruncate(out, size);
    for (off_t at = 0; at < size;) {
        off_t data = lseek(in, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        if (data < 0)
            data = at;
        off_t hole = lseek(in, data, SEEK_HOLE);
        if (hole < 0 || hole > size)
            hole = size;
        int cut = copy_range(c, in, out, data, hole);
        if (cut != 0)
            return cut;
        at = hole;
    }
    return ftruncate(out, size);
}

static void link_key(const struct stat *st, char key[40])
{
    (void)snprintf(key, 40, "%llx-%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
}

/* 1: the file has been copied under another name, and is that one now. */
static int link_again(const struct copy *c, const struct stat *st, const char *name)
{
    char key[40];
    link_key(st, key);
    return st->st_nlink > 1 && c->links >= 0 && linkat(c->links, key, c->to, name, 0) == 0;
}

/* Where a link is not to be had, the next name is a copy of its own. */
static void remember(struct copy *c, const struct stat *st, const char *name)
{
    char key[40];
    link_key(st, key);
    if (st->st_nlink <= 1)
        return;
    if (c->links < 0 && mkdirat(c->top, LINKS, 0700) == 0)
        c->links = openat(c->top, LINKS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->links >= 0)
        (void)!linkat(c->to, name, c->links, key, 0);
}

static int copy_file(struct copy *c, const char *name, const struct stat *seen)
{
    struct stat st;
    if (link_again(c, seen, name))
        return 0;
    CLEANUP_FD int in = openat(c->from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0 && errno == ENOENT)
        return 0;
    if (in < 0 || fstat(in, &st) != 0)
        return failed(c, name);
    if (!S_ISREG(st.st_mode) || st.st_ino != seen->st_ino)
        return changed(c, name);
    CLEANUP_FD int out = openat(c->to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int cut = out < 0 ? -1 : copy_data(c, in, out, st.st_size);
    if (cut < 0)
        return failed(c, name);
    if (cut > 0)
        return changed(c, name);
    if (finish(c, in, out, &st, name) != 0)
        return -1;
    remember(c, &st, name);
    return 0;
}

/* A symlink or a fifo: owner and times, which nothing that it names gets to feel. */
static int finish_name(struct copy *c, const char *name, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchownat(c->to, name, new_owner(c, st->st_uid), new_owner(c, st->st_gid), AT_SYMLINK_NOFOLLOW) != 0 ||
        utimensat(c->to, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        return failed(c, name);
    return 0;
}

static int copy_symlink(struct copy *c, const char *name, const struct stat *st)
{
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(c->from, name, target, sizeof target);
    if (n < 0 || n == (ssize_t)sizeof target)
        return errno == ENOENT ? 0 : changed(c, name);
    target[n] = '\0';
    return symlinkat(target, c->to, name) != 0 ? failed(c, name) : finish_name(c, name, st);
}

static int copy_fifo(struct copy *c, const char *name, const struct stat *st)
{
    if (mkfifoat(c->to, name, 0600) != 0 || fchmodat(c->to, name, st->st_mode & 0777u, 0) != 0)
        return failed(c, name);
    return finish_name(c, name, st);
}

/* --- directories -------------------------------------------------------------------------------------------------- */

static int open_dir(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

/* The two directories become those at hand. Takes them over. */
static int enter(struct copy *c, int from, int to, const char *name)
{
    struct stat st;
    if (c->from >= 0)
        (void)close(c->from);
    if (c->to >= 0)
        (void)close(c->to);
    c->from = from;
    c->to = to;
    if (c->depth == DEPTH_MAX)
        return worker_fail(c->v, SBX_E_UNSUPPORTED, 0, "copy: '%.200s': more than %d directories deep", name,
                           DEPTH_MAX);
    if (c->depth == c->cap) {
        size_t cap = c->cap == 0 ? 32 : c->cap * 2;
        struct level *levels = realloc(c->levels, cap * sizeof *levels);
        if (levels == NULL)
            return failed(c, name);
        c->levels = levels;
        c->cap = cap;
    }
    struct level *l = &c->levels[c->depth++];
    *l = (struct level){.offset = 0};
    if (fstat(from, &l->st) != 0 || fstat(to, &st) != 0)
        return failed(c, name);
    l->to_dev = st.st_dev;
    l->to_ino = st.st_ino;
    return 0;
}

static int go_down(struct copy *c, const char *name, const struct stat *seen)
{
    struct stat st;
    CLEANUP_FD int from = open_dir(c->from, name);
    if (from < 0 && errno == ENOENT)
        return 0;
    if (from < 0 || fstat(from, &st) != 0 || (mkdirat(c->to, name, 0700) != 0 && errno != EEXIST))
        return failed(c, name);
    if (st.st_ino != seen->st_ino)
        return changed(c, name);
    CLEANUP_FD int to = open_dir(c->to, name);
    if (to < 0)
        return failed(c, name);
    return enter(c, steal_fd(&from), steal_fd(&to), name);
}

static int is_dir_of(int fd, dev_t dev, ino_t ino)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* Finishes the directory at hand and goes back to the one that it is in. */
static int go_up(struct copy *c)
{
    const struct level *done = &c->levels[--c->depth];
    if (finish(c, c->from, c->to, &done->st, "..") != 0)
        return -1;
    if (c->depth == 0)
        return 0;
    const struct level *l = &c->levels[c->depth - 1];
    int from = open_dir(c->from, ".."), to = open_dir(c->to, "..");
    (void)close(c->from);
    (void)close(c->to);
    c->from = from;
    c->to = to;
    if (!is_dir_of(from, l->st.st_dev, l->st.st_ino) || !is_dir_of(to, l->to_dev, l->to_ino))
        return changed(c, "..");
    return lseek(from, l->offset, SEEK_SET) < 0 ? failed(c, "..") : 0;
}

/* 1: it is a directory, which is at hand now. */
static int copy_entry(struct copy *c, const char *name)
{
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strncmp(name, GUEST_TEMP_PREFIX, sizeof GUEST_TEMP_PREFIX - 1) == 0)
        return 0;
    if (fstatat(c->from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : failed(c, name);
    size_t depth = c->depth;
    if (S_ISDIR(st.st_mode))
        return go_down(c, name, &st) != 0 ? -1 : c->depth > depth;
    if (S_ISREG(st.st_mode))
        return copy_file(c, name, &st);
    if (S_ISLNK(st.st_mode))
        return copy_symlink(c, name, &st);
    if (S_ISFIFO(st.st_mode))
        return copy_fifo(c, name, &st);
    c->v->count++;
    return 0;
}

/* Entries of the directory at hand up to the next directory in it; 1: that is at hand now, 0: there is none. */
static int copy_some(struct copy *c)
{
    _Alignas(struct entry) char block[16384];
    long got = 0;
    while ((got = syscall(SYS_getdents64, c->from, block, sizeof block)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(const void *)(block + at);
            at += entry->length;
            c->levels[c->depth - 1].offset = entry->offset;
            int down = copy_entry(c, entry->name);
            if (down != 0)
                return down;
        }
    }
    return got < 0 ? failed(c, ".") : 0;
}

static void drop_links(const struct copy *c)
{
    int fd = c->links < 0 ? -1 : dup(c->links);
    CLEANUP_DIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    if (dir == NULL)
        return;
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            (void)unlinkat(c->links, entry->d_name, 0);
    (void)unlinkat(c->top, LINKS, AT_REMOVEDIR);
}

static int copy_all(struct copy *c, int from, int to)
{
    CLEANUP_FD int first = open_dir(from, ".");
    CLEANUP_FD int second = open_dir(to, ".");
    if (first < 0 || second < 0)
        return failed(c, ".");
    if (enter(c, steal_fd(&first), steal_fd(&second), ".") != 0)
        return -1;
    while (c->depth > 0) {
        int down = copy_some(c);
        if (down < 0)
            return -1;
        if (down == 0 && c->depth == 1)
            drop_links(c); /* before the top directory gets its time */
        if (down == 0 && go_up(c) != 0)
            return -1;
    }
    return 0;
}

int copy_tree(int from, int to, const struct copy_owners *owners, struct worker_verdict *v)
{
    CLEANUP_FREE struct copy *c = calloc(1, sizeof *c);
    if (c == NULL)
        return worker_fail(v, SBX_E_NO_MEMORY, ENOMEM, "copy: no memory");
    c->v = v;
    c->owners = owners;
    c->links = c->from = c->to = -1;
    c->top = to;
    int answer = copy_all(c, from, to);
    const int fds[] = {c->links, c->from, c->to};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    free(c->levels);
    return answer;
}
