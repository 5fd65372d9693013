/* SPDX-License-Identifier: MIT
 *
 * tar_read.h - an untrusted tar, entry by entry: heads checked, long names and pax records resolved.
 */
#ifndef SBX_GUEST_TAR_READ_H
#define SBX_GUEST_TAR_READ_H

#include <limits.h>

#include "guest/tar.h"

struct tar_reader {
    int fd;
    struct worker_verdict *v;
    size_t at;
    size_t len;
    unsigned char data[64 << 10];
    char extra[TAR_PAX_MAX + 1];
};
struct tar_entry {
    char type; /* '0' file, '1' hard link, '2' symlink, '5' directory, or one that nobody here knows */
    mode_t mode;
    uint64_t size; /* of the body; 0 for all but files */
    int64_t mtime;
    char name[PATH_MAX];
    char link[PATH_MAX];
};

void tar_reader_init(struct tar_reader *t, int fd, struct worker_verdict *v);
/* 1: an entry, whose body the caller reads next; 0: the end-of-archive blocks; -1: the verdict says why not. */
int tar_read_entry(struct tar_reader *t, struct tar_entry *e);
/* Copies a body with its padding; 0, -1 with errno (writing), 1: the archive ends before. */
int tar_read_body(struct tar_reader *t, uint64_t size, int to);
/* After the end only zeros may follow. */
int tar_read_end(struct tar_reader *t);

#endif /* SBX_GUEST_TAR_READ_H */
