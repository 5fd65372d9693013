/* SPDX-License-Identifier: MIT
 *
 * tar_get.c - OP_TAR_GET: the content of a directory. Everything in it is delivered, or the request fails; only
 * sockets, fifos and devices are left out, which the answer counts and names.
 */
#include "guest/tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/user.h"

struct output {
    int fd;
    size_t len;
    struct worker_verdict *v;
    char name[PATH_MAX]; /* of the entry at hand, from "./" */
    char link[PATH_MAX];
    unsigned char data[64 << 10];
};

static int fail(struct output *o, int error)
{
    return worker_fail(o->v, status_of(error), error, "tar: '%.250s': %s", o->name, path_reason(error));
}

/* What went away since its directory was read is no part of the tree any more. */
static int fail_unless_gone(struct output *o, int error)
{
    return error == ENOENT ? 0 : fail(o, error);
}

static int flush(struct output *o)
{
    for (size_t at = 0; at < o->len;) {
        ssize_t n = write(o->fd, o->data + at, o->len - at);
        if (n < 0 && errno != EINTR)
            return fail(o, errno);
        at += n < 0 ? 0 : (size_t)n;
    }
    o->len = 0;
    return 0;
}

static int put(struct output *o, const void *data, size_t len)
{
    const unsigned char *p = data;
    while (len > 0) {
        size_t n = sizeof o->data - o->len;
        if (n > len)
            n = len;
        memcpy(o->data + o->len, p, n);
        o->len += n;
        p += n;
        len -= n;
        if (o->len == sizeof o->data && flush(o) != 0)
            return -1;
    }
    return 0;
}

static int put_zeros(struct output *o, size_t len)
{
    static const unsigned char ZEROS[2 * TAR_BLOCK];
    return put(o, ZEROS, len);
}

/* Octal digits and a NUL; what does not fit is cut to all sevens (a pax record then holds the truth). */
static void number(char *field, size_t size, uint64_t value)
{
    uint64_t max = (UINT64_C(1) << (3 * (size - 1))) - 1;
    if (value > max)
        value = max;
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7u));
}

static void text(char *field, size_t size, const char *value)
{
    size_t len = strlen(value);
    memcpy(field, value, len < size ? len : size);
}

static int put_head(struct output *o, const char *name, const char *link, char type, const struct stat *st,
                    uint64_t size)
{
    struct tar_head h;
    memset(&h, 0, sizeof h);
    text(h.name, sizeof h.name, name);
    text(h.link, sizeof h.link, link);
    number(h.mode, sizeof h.mode, st->st_mode & 07777u);
    number(h.uid, sizeof h.uid, st->st_uid);
    number(h.gid, sizeof h.gid, st->st_gid);
    number(h.size, sizeof h.size, size);
    number(h.mtime, sizeof h.mtime, st->st_mtim.tv_sec < 0 ? 0 : (uint64_t)st->st_mtim.tv_sec);
    h.type = type;
    memcpy(h.magic, "ustar", 6);
    memcpy(h.version, "00", 2);
    number(h.checksum, sizeof h.checksum - 1, tar_sum(&h));
    h.checksum[7] = ' ';
    return put(o, &h, sizeof h);
}

/* "LENGTH key=value\n", where LENGTH counts itself. Answers the length, 0 when it does not fit. */
static size_t pax_record(char *at, size_t room, const char *key, const char *value)
{
    size_t body = strlen(key) + strlen(value) + 3, len = body + 1;
    char digits[24];
    for (;;) {
        size_t n = (size_t)snprintf(digits, sizeof digits, "%zu", len);
        if (body + n == len)
            break;
        len = body + n;
    }
    return len < room && snprintf(at, room, "%s %s=%s\n", digits, key, value) > 0 ? len : 0;
}

/* What the old fields cannot hold goes before the entry. */
static int put_pax(struct output *o, const char *name, const char *link, const struct stat *st, uint64_t size)
{
    char records[3 * PATH_MAX], value[32];
    size_t len = 0;
    if (strlen(name) > sizeof((struct tar_head *)0)->name)
        len += pax_record(records + len, sizeof records - len, "path", name);
    if (strlen(link) > sizeof((struct tar_head *)0)->link)
        len += pax_record(records + len, sizeof records - len, "linkpath", link);
    const struct {
        const char *key;
        uint64_t value;
        uint64_t max;
    } numbers[] = {{"size", size, 077777777777}, {"uid", st->st_uid, 07777777}, {"gid", st->st_gid, 07777777}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].value <= numbers[i].max)
            continue;
        (void)snprintf(value, sizeof value, "%llu", (unsigned long long)numbers[i].value);
        len += pax_record(records + len, sizeof records - len, numbers[i].key, value);
    }
    if (len == 0)
        return 0;
    const struct stat plain = {.st_mode = 0644, .st_mtim = st->st_mtim};
    if (put_head(o, "./PaxHeader", "", 'x', &plain, len) != 0 || put(o, records, len) != 0)
        return -1;
    return put_zeros(o, tar_padding(len));
}

static int put_entry(struct output *o, const char *link, char type, const struct stat *st, uint64_t size)
{
    return put_pax(o, o->name, link, st, size) == 0 ? put_head(o, o->name, link, type, st, size) : -1;
}

static int put_file(struct output *o, int at, const char *name)
{
    struct stat st;
    unsigned char bytes[16384];
    CLEANUP_FD int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_unless_gone(o, errno);
    if (!S_ISREG(st.st_mode))
        return worker_fail(o->v, SBX_E_FAILED, 0, "tar: '%.250s': it was replaced while it was read", o->name);
    uint64_t left = (uint64_t)st.st_size;
    if (put_entry(o, "", '0', &st, left) != 0)
        return -1;
    size_t padding = tar_padding(left);
    while (left > 0) {
        ssize_t n = read(fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(o, errno);
        if (n == 0)
            return worker_fail(o->v, SBX_E_FAILED, 0, "tar: '%.250s': it became shorter while it was read", o->name);
        if (put(o, bytes, (size_t)n) != 0)
            return -1;
        left -= (uint64_t)n;
    }
    return put_zeros(o, padding);
}

static int put_symlink(struct output *o, int at, const char *name, const struct stat *st)
{
    ssize_t n = readlinkat(at, name, o->link, sizeof o->link - 1);
    if (n < 0)
        return fail_unless_gone(o, errno);
    o->link[n] = '\0';
    return put_entry(o, o->link, '2', st, 0);
}

static void skip(struct output *o)
{
    if (o->v->count++ == 0)
        (void)snprintf(o->v->message, sizeof o->v->message, "tar: left out, neither file nor directory: '%.250s'",
                       o->name);
}

static int put_directory(struct output *o, int fd, size_t len, int depth);

/* o->name holds the whole name, `len` bytes. */
static int put_any(struct output *o, int at, const char *name, size_t len, int depth)
{
    struct stat st;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_unless_gone(o, errno);
    if (S_ISREG(st.st_mode))
        return put_file(o, at, name);
    if (S_ISLNK(st.st_mode))
        return put_symlink(o, at, name, &st);
    if (!S_ISDIR(st.st_mode)) {
        skip(o);
        return 0;
    }
    if (depth >= TAR_DEPTH_MAX || len + 2 > sizeof o->name)
        return worker_fail(o->v, SBX_E_UNSUPPORTED, 0, "tar: '%.250s': too many directories deep", o->name);
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_unless_gone(o, errno);
    o->name[len] = '/';
    o->name[len + 1] = '\0';
    return put_directory(o, fd, len + 1, depth + 1);
}

/* o->name is the directory's own, `len` bytes with a slash at the end; fd is closed. */
static int put_directory(struct output *o, int fd, size_t len, int depth)
{
    struct stat st;
    CLEANUP_DIR DIR *dir = fdopendir(fd);
    if (dir == NULL || fstat(fd, &st) != 0)
        return fail(o, errno);
    if (put_entry(o, "", '5', &st, 0) != 0)
        return -1;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? 0 : fail(o, errno);
        size_t more = strlen(entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (len + more >= sizeof o->name)
            return fail(o, ENAMETOOLONG);
        memcpy(o->name + len, entry->d_name, more + 1);
        if (put_any(o, fd, entry->d_name, len + more, depth) != 0)
            return -1;
        o->name[len] = '\0';
    }
}

void tar_get(const char *path, const char *given, int in, int out, struct worker_verdict *v)
{
    struct stat st;
    (void)in;
    CLEANUP_FREE struct output *o = calloc(1, sizeof *o);
    if (o == NULL) {
        (void)worker_fail(v, SBX_E_NO_MEMORY, ENOMEM, "tar: no memory");
        return;
    }
    *o = (struct output){.fd = out, .v = v, .name = "./"};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR && stat(path, &st) == 0)
        (void)worker_fail(v, SBX_E_NOT_DIR, ENOTDIR, "tar: '%.250s': not a directory", given);
    else if (fd < 0)
        (void)worker_fail(v, status_of(errno), errno, "tar: '%.250s': %s", given, path_reason(errno));
    else if (put_directory(o, fd, 2, 0) == 0 && put_zeros(o, 2 * TAR_BLOCK) == 0)
        (void)flush(o);
}

static void tar_get_start(struct request *r, const struct fields *f)
{
    struct identity who;
    char path[PATH_MAX];
    if (path_begin(r, f, "tar", &who, path) == 0)
        worker_start(r, &who, path, tar_get, 0, 1);
}

const struct request_kind op_tar_get = {
    .op = OP_TAR_GET,
    .takes = FIELD(F_PATH) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .start = tar_get_start,
    .watch = worker_watch,
    .pump = worker_pump,
    .cancel = worker_cancel,
    .release = worker_release,
};
