/* SPDX-License-Identifier: MIT
 *
 * fill.h - the writable directories of a sandbox as they are reached from outside, and what a new sandbox begins with:
 * a snapshot's files, or the content of a tar as its image.
 */
#ifndef SBX_LOCAL_FILL_H
#define SBX_LOCAL_FILL_H

#include "plugins/local/create.h"

#define FILL_IMAGE "root" /* an unpacked image, beside the writable directories */

struct fill_trees {
    int fds[LAYOUT_TREES]; /* paths alone; -1: none */
};

/* Opens those of a sandbox whose guest is `record->pid`. */
sbx_status fill_open_trees(struct sbx_backend *b, const struct record *record, struct sbx_call *call,
                           struct fill_trees *out);
void fill_close_trees(struct fill_trees *trees);

/* create's snapshot (m->origin): before anything is made, and into the running sandbox that nobody knows of yet. */
sbx_status fill_plan(struct making *m);
sbx_status fill_from_snapshot(struct making *m, int64_t pid);
/* create's image, when it is a tar: sets m->image_dir. */
sbx_status fill_from_tar(struct making *m, int *map_failed);
/* SBX_OK for what looks like an uncompressed tar. */
sbx_status fill_check_tar(const char *path, struct sbx_call *call);

#endif /* SBX_LOCAL_FILL_H */
