/* SPDX-License-Identifier: MIT
 *
 * file_write.c - OP_WRITE: a file that changes as a whole or not at all. The bytes are gathered under a temporary name
 * beside the target and renamed over it; where a rename would change what the user may not change (the owner, or the
 * directory), and for appending, they are gathered elsewhere and copied into the file at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/user.h"

enum { PROC_SUPER = 0x9fa0, LINKS_MAX = 40, MODE_NEW = 0644 };

struct writing {
    int dir;  /* of the target */
    int temp; /* where the bytes are gathered */
    int in_place;
    int append;
    int exclusive;
    int has_mode;
    int has_length;
    int existed;
    mode_t mode;
    uint64_t length;
    uint64_t got;
    struct stat old;
    struct identity who;
    char temp_name[32]; /* empty: it has no name */
    char name[NAME_MAX + 1];
};

static int refuse(struct request *r, sbx_status status, int error, const char *why)
{
    request_fail(r, status, error, "write: '%s': %s", r->given, why);
    return -1;
}

static int fail(struct request *r, int error)
{
    path_fail(r, error, "write");
    return -1;
}

/* --- the target -----------------------------------------------------------------------------------------------------
 */

/* Follows links of the last component by hand, so that the temporary file lands beside the true target. */
static int follow(char *path)
{
    char link[PATH_MAX];
    for (int i = 0; i < LINKS_MAX; i++) {
        ssize_t n = readlink(path, link, sizeof link - 1);
        if (n < 0)
            return 0; /* no link, or nothing there: what follows will tell */
        link[n] = '\0';
        const char *slash = strrchr(path, '/');
        size_t base = link[0] == '/' || slash == NULL ? 0 : (size_t)(slash - path) + 1;
        if (base + (size_t)n >= PATH_MAX)
            break;
        memcpy(path + base, link, (size_t)n + 1);
        (void)path_strip(path);
    }
    errno = ELOOP;
    return -1;
}

/* Splits path and opens the directory, made if that was asked for. -1 when the request was ended. */
static int open_parent(struct request *r, struct writing *w, char *path, int parents)
{
    char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return refuse(r, SBX_E_IS_DIR, EISDIR, "is a directory");
    if (strlen(name) > NAME_MAX)
        return fail(r, ENAMETOOLONG);
    memcpy(w->name, name, strlen(name) + 1);
    if (slash != NULL)
        slash[1] = '\0';
    w->dir = open(slash == NULL ? "." : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->dir < 0 && errno == ENOENT && parents && slash != NULL) {
        if (path_make_parents(path) != 0)
            return fail(r, errno);
        w->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    return w->dir < 0 ? fail(r, errno) : 0;
}

/* Looks at what is there and whether this user may write to it. -1 when the request was ended. */
static int look(struct request *r, struct writing *w)
{
    struct statfs fs;
    if (fstatfs(w->dir, &fs) == 0 && fs.f_type == PROC_SUPER)
        return refuse(r, SBX_E_PERMISSION, EPERM, "no place for files");
    w->existed = fstatat(w->dir, w->name, &w->old, AT_SYMLINK_NOFOLLOW) == 0;
    if (!w->existed)
        return errno == ENOENT ? 0 : fail(r, errno);
    if (w->exclusive)
        return fail(r, EEXIST);
    if (S_ISDIR(w->old.st_mode))
        return refuse(r, SBX_E_IS_DIR, EISDIR, "is a directory");
    if (!S_ISREG(w->old.st_mode))
        return refuse(r, SBX_E_BAD_PATH, EINVAL, "neither file nor directory");
    CLEANUP_FD int fd = openat(w->dir, w->name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 || errno == ETXTBSY ? 0 : fail(r, errno);
}

/* --- the gathering --------------------------------------------------------------------------------------------------
 */

static void drop_temp(struct writing *w)
{
    if (w->temp >= 0)
        (void)close(w->temp);
    w->temp = -1;
    if (w->temp_name[0] != '\0')
        (void)unlinkat(w->dir, w->temp_name, 0);
    w->temp_name[0] = '\0';
}

/* Beside the target, with the old one's owner. -1 with errno. */
static int open_beside(struct writing *w)
{
    for (int i = 0; i < 16; i++) {
        uint32_t salt = 0;
        if (getrandom(&salt, sizeof salt, GRND_NONBLOCK) != (ssize_t)sizeof salt)
            salt = (uint32_t)clock_now_ns();
        (void)snprintf(w->temp_name, sizeof w->temp_name, GUEST_TEMP_PREFIX "%08x", salt);
        w->temp = openat(w->dir, w->temp_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (w->temp >= 0 || errno != EEXIST)
            break;
    }
    if (w->temp < 0) {
        w->temp_name[0] = '\0';
        return -1;
    }
    struct stat st;
    if (!w->existed || (fstat(w->temp, &st) == 0 && st.st_uid == w->old.st_uid && st.st_gid == w->old.st_gid))
        return 0;
    if (fchown(w->temp, w->old.st_uid, w->old.st_gid) == 0)
        return 0;
    drop_temp(w);
    errno = EPERM;
    return -1;
}

/* Without a name, wherever there is room. */
static int open_elsewhere(struct writing *w)
{
    w->in_place = 1;
    w->temp = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (w->temp < 0)
        w->temp = (int)syscall(SYS_memfd_create, "sbx-write", 1u /* MFD_CLOEXEC */);
    return w->temp < 0 ? -1 : 0;
}

static int open_temp(struct request *r, struct writing *w)
{
    if (w->append)
        return open_elsewhere(w) == 0 ? 0 : fail(r, errno);
    if (open_beside(w) == 0)
        return 0;
    if (w->existed && (errno == EACCES || errno == EPERM || errno == EROFS) && open_elsewhere(w) == 0)
        return 0;
    return fail(r, errno);
}

static void write_start(struct request *r, const struct fields *f)
{
    char path[PATH_MAX];
    struct writing *w = calloc(1, sizeof *w);
    if (w == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "write: no memory");
        return;
    }
    r->state = w;
    w->dir = w->temp = -1;
    if (path_begin(r, f, "write", &w->who, path) != 0)
        return;
    uint64_t flags = f->number[F_FLAGS];
    w->exclusive = (flags & SBX_WRITE_EXCL) != 0;
    w->append = (flags & SBX_WRITE_APPEND) != 0 && !w->exclusive;
    w->has_mode = fields_have(f, F_MODE);
    w->mode = (mode_t)(f->number[F_MODE] & 07777);
    w->has_length = fields_have(f, F_LENGTH);
    w->length = f->number[F_LENGTH];
    USER_SCOPE(as, &w->who);
    if (as.who == NULL)
        (void)refuse(r, SBX_E_UNSUPPORTED, 0, "this sandbox cannot act as that user");
    else if (path_strip(path))
        (void)refuse(r, SBX_E_IS_DIR, EISDIR, "is a directory");
    else if (!w->exclusive && follow(path) != 0)
        (void)fail(r, errno);
    else if (open_parent(r, w, path, (flags & SBX_WRITE_PARENTS) != 0) == 0 && look(r, w) == 0)
        (void)open_temp(r, w);
}

/* --- the end --------------------------------------------------------------------------------------------------------
 */

static int copy_bytes(int from, int to)
{
    unsigned char bytes[16384];
    if (lseek(from, 0, SEEK_SET) != 0)
        return -1;
    for (;;) {
        ssize_t n = read(from, bytes, sizeof bytes);
        if (n <= 0)
            return (int)n;
        for (ssize_t at = 0; at < n;) {
            ssize_t m = write(to, bytes + at, (size_t)(n - at));
            if (m < 0 && errno != EINTR)
                return -1;
            at += m < 0 ? 0 : m;
        }
    }
}

/* What was gathered goes into the file itself. -1 with errno. */
static int commit_in_place(const struct writing *w)
{
    struct stat st;
    int flags = O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
    if (w->append)
        flags |= O_APPEND | O_CREAT;
    CLEANUP_FD int fd = openat(w->dir, w->name, flags, w->has_mode ? w->mode : (mode_t)MODE_NEW);
    if (fd < 0 || fstat(fd, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    if (w->has_mode && (st.st_mode & 07777u) != w->mode && fchmod(fd, w->mode) != 0)
        return -1;
    if (copy_bytes(w->temp, fd) == 0)
        return w->append ? 0 : ftruncate(fd, (off_t)w->got);
    int saved = errno;
    if (w->append)
        (void)!ftruncate(fd, st.st_size);
    errno = saved;
    return -1;
}

static int commit_rename(struct writing *w)
{
    mode_t mode = w->has_mode ? w->mode : w->existed ? (w->old.st_mode & 07777u) : (mode_t)MODE_NEW;
    if (fchmod(w->temp, mode) != 0)
        return -1;
    int done = w->exclusive ? (int)syscall(SYS_renameat2, w->dir, w->temp_name, w->dir, w->name, 1u /* NOREPLACE */)
                            : renameat(w->dir, w->temp_name, w->dir, w->name);
    if (done != 0 && w->exclusive && (errno == EINVAL || errno == ENOSYS)) {
        done = linkat(w->dir, w->temp_name, w->dir, w->name, 0);
        if (done == 0)
            (void)unlinkat(w->dir, w->temp_name, 0);
    }
    if (done == 0)
        w->temp_name[0] = '\0';
    else if (w->existed && (errno == EACCES || errno == EPERM || errno == EBUSY))
        return commit_in_place(w); /* a sticky directory, or a file that is a mount of its own */
    return done;
}

static void commit(struct request *r)
{
    struct writing *w = r->state;
    if (w->has_length && w->got != w->length) {
        request_fail(r, SBX_E_INVALID, 0, "write: '%s': %llu bytes came where %llu were announced", r->given,
                     (unsigned long long)w->got, (unsigned long long)w->length);
        return;
    }
    USER_SCOPE(as, &w->who);
    if ((w->in_place ? commit_in_place(w) : commit_rename(w)) != 0)
        (void)fail(r, errno);
    else
        request_end(r);
}

static void write_feed(struct request *r, const unsigned char *data, size_t len, int eof)
{
    struct writing *w = r->state;
    w->got += len;
    if (w->has_length && w->got > w->length) {
        (void)refuse(r, SBX_E_INVALID, 0, "more bytes came than were announced");
        return;
    }
    for (size_t at = 0; at < len;) {
        ssize_t n = write(w->temp, data + at, len - at);
        if (n < 0 && errno != EINTR) {
            (void)fail(r, errno);
            return;
        }
        at += n < 0 ? 0 : (size_t)n;
    }
    request_consumed(r, len);
    if (eof)
        commit(r);
}

static void write_release(struct request *r)
{
    struct writing *w = r->state;
    if (w == NULL)
        return;
    if (w->temp_name[0] != '\0') {
        USER_SCOPE(as, &w->who);
        drop_temp(w);
    }
    drop_temp(w);
    if (w->dir >= 0)
        (void)close(w->dir);
    free(w);
}

const struct request_kind op_write = {
    .op = OP_WRITE,
    .takes = FIELD(F_PATH) | FIELD(F_MODE) | FIELD(F_FLAGS) | FIELD(F_LENGTH) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .flags = SBX_WRITE_PARENTS | SBX_WRITE_APPEND | SBX_WRITE_EXCL | SBX_WRITE_HAS_MODE | SBX_WRITE_HAS_LENGTH,
    .input = 1,
    .start = write_start,
    .feed = write_feed,
    .release = write_release,
};
