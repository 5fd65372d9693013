/* SPDX-License-Identifier: MIT
 *
 * copy.h - copies a directory tree that hostile code filled, and may still be changing: nothing is followed, memory and
 * descriptors are bounded, whatever is found.
 */
#ifndef SBX_GUEST_COPY_H
#define SBX_GUEST_COPY_H

#include "guest/worker.h"

struct copy_owners { /* ids from..from+65535 become to..; with `to` 0 they stay as they are */
    uint32_t from;
    uint32_t to;
};

/* Content, owner, mode, times and user attributes of directory `from` into the existing directory `to`. Files,
 * directories, symlinks and fifos; hard links within the tree and holes stay. Sockets and devices are left out and
 * counted in v->count, and so is what a guest has half written. 0, or -1 with the verdict set. */
int copy_tree(int from, int to, const struct copy_owners *owners, struct worker_verdict *v);

#endif /* SBX_GUEST_COPY_H */
