/* SPDX-License-Identifier: MIT
 *
 * bwrap.h - bubblewrap's arguments, with the descriptors that they name.
 */
#ifndef SBX_LOCAL_BWRAP_H
#define SBX_LOCAL_BWRAP_H

#include "plugins/local/layout.h"

enum { BWRAP_FDS = 64 };

struct bwrap_options {
    const struct ids *ids;
    const char *hostname;
    uint32_t network;
    const struct layout *layout;
    int staged; /* LAYOUT_ROOT is made already */
    int seccomp_fd;
    int info_fd;
};

struct bwrap {
    struct buf args; /* NUL-separated, as --args takes them */
    int args_fd;
    int fds[BWRAP_FDS]; /* owned; the program must inherit them */
    size_t fd_count;
};

/* Fills `out`; give it back with bwrap_finish whatever the answer. Takes the options' descriptors over. */
sbx_status bwrap_build(const struct bwrap_options *options, struct sbx_call *call, struct bwrap *out);
void bwrap_finish(struct bwrap *bwrap);

#endif /* SBX_LOCAL_BWRAP_H */
