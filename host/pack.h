/* SPDX-License-Identifier: MIT
 *
 * pack.h - a directory of this machine as a POSIX tar stream, made while it is read: memory does not grow with it.
 * Links are sent as links, what is neither file, directory nor link is refused, and a file that changes its size under
 * the reader ends the stream with an error.
 */
#ifndef SBX_HOST_PACK_H
#define SBX_HOST_PACK_H

#include "base/buf.h"
#include "sbx.h"

#include <dirent.h>

#define PACK_DEPTH_MAX 128

struct pack_level {
    DIR *dir;
    size_t path_len; /* of the directory's name in `path`, with its slash */
};
struct pack {
    struct pack_level levels[PACK_DEPTH_MAX];
    size_t depth;
    struct buf path; /* "./a/b" */
    struct buf out;  /* made and not yet given */
    int file;        /* being sent; -1: none */
    uint64_t left;   /* of it */
    uint64_t size;
    int ended;
    struct sbx_error error; /* why it stopped */
};

/* Opens the directory; a link to one is followed. */
sbx_status pack_init(struct pack *p, const char *host_dir, struct sbx_error *error);
void pack_finish(struct pack *p);
/* As a source's read: bytes, 0 at the end, -1 with p->error set. */
int64_t pack_read(void *pack, void *buf, size_t cap);

#endif /* SBX_HOST_PACK_H */
