/* SPDX-License-Identifier: MIT
 *
 * file_read.c - OP_READ: the bytes of a regular file, as many as it had when it was opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/user.h"

enum {
    MADE_UP_MAX = 1 << 20, /* of a file whose size its file system does not tell */
    PROC_MAGIC = 0x9fa0,
    SYSFS_MAGIC = 0x62656572,
    CGROUP2_MAGIC = 0x63677270
};

struct reading {
    int fd;
    unsigned char *text; /* of a file of /proc and the like: all of it, read at once; else NULL */
    uint64_t at;
    uint64_t left;
    char path[PATH_MAX];
};

static int is_made_up(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return 0;
    unsigned long type = (unsigned long)fs.f_type;
    return type == PROC_MAGIC || type == SYSFS_MAGIC || type == CGROUP2_MAGIC;
}

/* -1 when the request was ended. */
static int slurp(struct request *r, struct reading *f, uint64_t *size)
{
    size_t len = 0;
    f->text = malloc(MADE_UP_MAX);
    if (f->text == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "read: no memory");
        return -1;
    }
    while (len < MADE_UP_MAX) {
        ssize_t n = read(f->fd, f->text + len, MADE_UP_MAX - len);
        if (n < 0) {
            path_fail(r, errno, "read");
            return -1;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len == MADE_UP_MAX) {
        request_fail(r, SBX_E_TOO_LARGE, 0, "read: '%s': longer than %d bytes", r->given, (int)MADE_UP_MAX);
        return -1;
    }
    *size = len;
    return 0;
}

/* Looks before it opens: a fifo or a device is never opened. -1 when the request was ended. */
static int open_regular(struct request *r, struct reading *f, struct stat *st)
{
    if (stat(f->path, st) != 0) {
        path_fail(r, errno, "read");
        return -1;
    }
    if (S_ISREG(st->st_mode)) {
        f->fd = open(f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (f->fd < 0 || fstat(f->fd, st) != 0) {
            path_fail(r, errno, "read");
            return -1;
        }
    }
    if (S_ISREG(st->st_mode))
        return 0;
    if (S_ISDIR(st->st_mode))
        request_fail(r, SBX_E_IS_DIR, EISDIR, "read: '%s': is a directory", r->given);
    else
        request_fail(r, SBX_E_BAD_PATH, EINVAL, "read: '%s': neither file nor directory", r->given);
    return -1;
}

static int settle_range(struct request *r, struct reading *f, const struct fields *fields, uint64_t size)
{
    uint64_t limit = fields->number[F_LIMIT], max = fields->number[F_MAX_SIZE];
    f->at = fields->number[F_OFFSET] < size ? fields->number[F_OFFSET] : size;
    f->left = size - f->at;
    if (limit > 0 && limit < f->left)
        f->left = limit;
    if (max == 0 || f->left <= max)
        return 0;
    request_fail(r, SBX_E_TOO_LARGE, EFBIG, "read: '%s': %llu bytes, the limit is %llu", r->given,
                 (unsigned long long)f->left, (unsigned long long)max);
    return -1;
}

static ssize_t fetch(const struct reading *f, unsigned char *to, size_t len)
{
    if (f->text == NULL)
        return pread(f->fd, to, len, (off_t)f->at);
    memcpy(to, f->text + f->at, len);
    return (ssize_t)len;
}

static void read_pump(struct request *r)
{
    struct reading *f = r->state;
    while (f != NULL && !r->done) {
        uint64_t want = f->left;
        if (want == 0) {
            request_end(r);
            return;
        }
        if (want > WIRE_MAX_PAYLOAD)
            want = WIRE_MAX_PAYLOAD;
        if (want > conn_room(r->c))
            want = conn_room(r->c);
        if (want > r->out_credit[STREAM_OUT])
            want = r->out_credit[STREAM_OUT];
        unsigned char *to = want == 0 ? NULL : frame_data_begin(r->c, r->id, STREAM_OUT, (size_t)want);
        if (to == NULL)
            return;
        ssize_t n = fetch(f, to, (size_t)want);
        int error = errno;
        frame_data_finish(r->c, n > 0 ? (size_t)n : 0);
        if (n < 0) {
            path_fail(r, error, "read");
        } else if (n == 0) {
            request_fail(r, SBX_E_FAILED, 0, "read: '%s': it became shorter while it was read", r->given);
        } else {
            f->at += (uint64_t)n;
            f->left -= (uint64_t)n;
            r->out_credit[STREAM_OUT] -= (uint64_t)n;
        }
    }
}

static void read_start(struct request *r, const struct fields *fields)
{
    struct identity who;
    struct stat st;
    struct reading *f = calloc(1, sizeof *f);
    if (f == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "read: no memory");
        return;
    }
    f->fd = -1;
    r->state = f;
    if (path_begin(r, fields, "read", &who, f->path) != 0)
        return;
    (void)path_strip(f->path);
    {
        USER_SCOPE(as, &who);
        if (as.who == NULL) {
            request_fail(r, SBX_E_UNSUPPORTED, 0, "read: this sandbox cannot act as user '%s'", who.name);
            return;
        }
        if (open_regular(r, f, &st) != 0)
            return;
    }
    uint64_t size = (uint64_t)st.st_size;
    if (is_made_up(f->fd) && slurp(r, f, &size) != 0)
        return;
    if (settle_range(r, f, fields, size) != 0)
        return;
    request_reply_begin(r);
    frame_stat(r->c, &st, size);
    request_reply_finish(r);
    read_pump(r);
}

static void read_release(struct request *r)
{
    struct reading *f = r->state;
    if (f == NULL)
        return;
    if (f->fd >= 0)
        (void)close(f->fd);
    free(f->text);
    free(f);
}

const struct request_kind op_read = {
    .op = OP_READ,
    .takes = FIELD(F_PATH) | FIELD(F_OFFSET) | FIELD(F_LIMIT) | FIELD(F_MAX_SIZE) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .start = read_start,
    .pump = read_pump,
    .release = read_release,
};
