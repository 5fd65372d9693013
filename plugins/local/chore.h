/* SPDX-License-Identifier: MIT
 *
 * chore.h - work on a sandbox's trees from outside, done by sbx-guest as a program of its own: with the rights of the
 * sandbox's users and no more than that, where the caller may have them.
 */
#ifndef SBX_LOCAL_CHORE_H
#define SBX_LOCAL_CHORE_H

#include "plugins/local/local.h"

enum { CHORE_PAIRS = 4 };

struct chore_pair {
    int from; /* above 2; O_PATH will do for a directory */
    int to;
};
struct chore {
    const char *step; /* for messages: "create" */
    const struct ids *ids;
    const struct chore_pair *pairs;
    size_t count;
    uint32_t
        owner_from;    /* where ids of root's ranges change: the first of the old range, and of the new one; 0: they */
    uint32_t owner_to; /* stay */
};

/* Content and attributes of directories into existing ones. *left_out counts what is neither file, directory, symlink
 * nor fifo; may be NULL. */
sbx_status chore_copy(struct sbx_backend *b, const struct chore *chore, uint64_t *left_out, struct sbx_call *call);
/* The tar `from` of the one pair into the directory `to`, all of it owned by the sandbox's root. *map_failed is as of
 * launch_start. */
sbx_status chore_unpack(struct sbx_backend *b, const struct chore *chore, int *map_failed, struct sbx_call *call);

#endif /* SBX_LOCAL_CHORE_H */
