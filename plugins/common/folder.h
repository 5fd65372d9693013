/* SPDX-License-Identifier: MIT
 *
 * folder.h - the folders in which providers keep what belongs to their sandboxes: the caller's alone.
 */
#ifndef SBX_COMMON_FOLDER_H
#define SBX_COMMON_FOLDER_H

#include "plugins/common/plugin.h"

/* $XDG_RUNTIME_DIR and $XDG_STATE_HOME, or what the user has instead. The caller frees; NULL: no memory. */
char *folder_runtime_base(void);
char *folder_state_base(void);
/* 1 for what may be one component of a path: no dot in front, no slash, not too long. */
int folder_is_plain_name(const char *name);

struct folder {
    const char *base;
    const char *const *steps; /* below it, one component each */
    size_t count;
    const char *path; /* the whole, for messages */
};
/* Opens it, after `make` makes it. SBX_E_NOT_FOUND without `make` when there is none yet; SBX_E_CONFIG when somebody
 * else could have made or could change it. */
sbx_status folder_open(const struct folder *folder, int make, struct sbx_call *call, int *fd);

#endif /* SBX_COMMON_FOLDER_H */
