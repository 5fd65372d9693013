/* SPDX-License-Identifier: MIT
 *
 * tree.c - see tree.h. Directories found on the way are renamed up into the top directory, which makes any depth flat;
 * so the top is read again until it is empty.
 */
#include "plugins/local/tree.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct entry { /* as the kernel writes it */
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

struct pass {
    int top_fd;
    unsigned long serial; /* for names in the top directory that nothing has yet */
    unsigned long moved;
    unsigned long removed;
    int error;
};

static void note(struct pass *pass, int error)
{
    if (pass->error == 0)
        pass->error = error;
}

static int open_dir(int parent_fd, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = openat(parent_fd, name, flags);
    if (fd < 0 && errno == EACCES && fchmodat(parent_fd, name, 0700, 0) == 0)
        fd = openat(parent_fd, name, flags);
    return fd;
}

/* Moves parent/name to a new name in the top directory. */
static void lift(struct pass *pass, int parent_fd, const char *name)
{
    char fresh[48];
    for (int tries = 0; tries < 64; tries++) {
        (void)snprintf(fresh, sizeof fresh, ".sbx-%lx", pass->serial++);
        if (syscall(SYS_renameat2, parent_fd, name, pass->top_fd, fresh, 1u /* RENAME_NOREPLACE */) == 0) {
            pass->moved++;
            return;
        }
        if (errno == EACCES && fchmodat(parent_fd, name, 0700, 0) == 0)
            continue; /* a directory that its owner may not write: its ".." changes */
        if (errno != EEXIST)
            break;
    }
    note(pass, errno);
}

static void drop(struct pass *pass, int parent_fd, const char *name);

/* Unlinks what is no directory in dir_fd and hands directories to `found`. */
static void each(struct pass *pass, int dir_fd, void (*found)(struct pass *pass, int parent_fd, const char *name))
{
    _Alignas(struct entry) char block[16384];
    long got = 0;
    while ((got = syscall(SYS_getdents64, dir_fd, block, sizeof block)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(const void *)(block + at);
            at += entry->length;
            if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
                continue;
            if (unlinkat(dir_fd, entry->name, 0) == 0)
                pass->removed++;
            else if (errno == EISDIR || entry->type == DT_DIR)
                found(pass, dir_fd, entry->name);
            else if (errno != ENOENT)
                note(pass, errno);
        }
    }
    if (got < 0)
        note(pass, errno);
}

/* Empties a directory of the top one, lifting what it holds, and removes it. */
static void drop(struct pass *pass, int parent_fd, const char *name)
{
    if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0) {
        pass->removed++;
        return;
    }
    CLEANUP_FD int fd = open_dir(parent_fd, name);
    if (fd < 0) {
        note(pass, errno);
        return;
    }
    (void)fchmod(fd, 0700); /* its owner may have taken the right to write from itself */
    each(pass, fd, lift);
    if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
        pass->removed++;
    else if (errno != ENOTEMPTY) /* lifting while reading may skip some: the next pass sees them */
        note(pass, errno);
}

int tree_empty(int dir_fd)
{
    struct pass pass = {.top_fd = dir_fd};
    (void)fchmod(dir_fd, 0700);
    do {
        pass.moved = pass.removed = 0;
        pass.error = 0;
        if (lseek(dir_fd, 0, SEEK_SET) < 0)
            return errno;
        each(&pass, dir_fd, drop);
    } while (pass.moved + pass.removed > 0);
    return pass.error;
}

int tree_remove(int parent_fd, const char *name)
{
    CLEANUP_FD int fd = open_dir(parent_fd, name);
    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    int error = tree_empty(fd);
    if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return error != 0 ? error : errno;
}
