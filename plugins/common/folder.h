/* SPDX-License-Identifier: MIT
 *
 * folder.h - the folders in which providers keep what belongs to their sandboxes: the caller's alone.
 */
#ifndef SBX_COMMON_FOLDER_H
#define SBX_COMMON_FOLDER_H

#include "base/buf.h"
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

/* All of data. 0 or an errno. */
int folder_write_all(int fd, const void *data, size_t len);
/* Replaces a small file as a whole, for the caller alone to read. 0 or an errno; the old one is there still then. */
int folder_write(int dir_fd, const char *name, const void *data, size_t len);
/* Appends a small file's bytes. 0 or an errno: EBADMSG for what is no file of the caller's alone, EFBIG over `to`'s
 * limit. */
int folder_read(int dir_fd, const char *name, struct buf *to);

#endif /* SBX_COMMON_FOLDER_H */
