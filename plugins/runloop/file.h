/* SPDX-License-Identifier: MIT
 *
 * file.h - what files and archives share.
 */
#ifndef SBX_RUNLOOP_FILE_H
#define SBX_RUNLOOP_FILE_H

#include "plugins/runloop/run.h"

/* What an exit code of our scripts says of a path. */
sbx_status file_code(struct sbx_call *call, const char *what, const char *path, int code);
/* As run_script, and an exit code is an error. */
sbx_status file_script(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *path,
                       const char *const *argv, struct buf *text);
/* All bytes of a file in the home directory. */
sbx_status file_fetch_home(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *name,
                           const struct sbx_sink *out);

/* Removes a file of ours from the home directory, within a second (two where nobody answers), also when the caller's
 * time is over. */
void file_drop(struct sbx_handle *h, const char *what, const char *name);

#endif /* SBX_RUNLOOP_FILE_H */
