/* SPDX-License-Identifier: MIT
 *
 * tar.h - the POSIX tar format, as far as both directions need it.
 */
#ifndef SBX_GUEST_TAR_H
#define SBX_GUEST_TAR_H

#include "guest/worker.h"

enum { TAR_BLOCK = 512, TAR_DEPTH_MAX = 256, TAR_PAX_MAX = 64 << 10 };

struct tar_head {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char uname[32];
    char gname[32];
    char dev_major[8];
    char dev_minor[8];
    char prefix[155];
    char rest[12];
};
_Static_assert(sizeof(struct tar_head) == TAR_BLOCK, "a tar head is one block");

/* The sum of a head's bytes with its checksum field taken as spaces. */
static inline uint32_t tar_sum(const struct tar_head *h)
{
    const unsigned char *p = (const unsigned char *)h;
    uint32_t sum = 8 * ' ';
    for (size_t i = 0; i < sizeof *h; i++)
        if (i < offsetof(struct tar_head, checksum) || i >= offsetof(struct tar_head, type))
            sum += p[i];
    return sum;
}

/* What is missing of a body to whole blocks. */
static inline size_t tar_padding(uint64_t size)
{
    return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

worker_job tar_get;
worker_job tar_put;

#endif /* SBX_GUEST_TAR_H */
