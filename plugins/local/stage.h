/* SPDX-License-Identifier: MIT
 *
 * stage.h - takes a layout's steps in the starting process: in its own user and mount namespace, below LAYOUT_STAGE.
 * Bubblewrap does the same from its arguments, but reads the kernel's whole list of mounts at each, which is most of
 * what starting it costs; and it can't reach directories that are closed to the sandbox's ids.
 *
 * Everything here runs in a forked child and makes only system calls.
 */
#ifndef SBX_LOCAL_STAGE_H
#define SBX_LOCAL_STAGE_H

#include "plugins/local/layout.h"

/* Opens the steps' sources with the rights of the user that is left soon; fds has room for each step. 0 or an errno. */
int stage_open(const struct layout *layout, int *fds);
/* Covers LAYOUT_STAGE; mounts the file system of a disk limit (0: none). 0 or an errno. */
int stage_cover(uint64_t disk_mib);
/* Makes LAYOUT_ROOT by the layout, read-only at its top. 0 or an errno; *target is then the step's. */
int stage_build(const struct layout *layout, const int *fds, const char **target);

#endif /* SBX_LOCAL_STAGE_H */
