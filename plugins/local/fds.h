/* SPDX-License-Identifier: MIT
 *
 * fds.h - descriptors that a started program will inherit by number: all close-on-exec, all above 2, since a host may
 * have closed its standard ones.
 */
#ifndef SBX_LOCAL_FDS_H
#define SBX_LOCAL_FDS_H

#include <stddef.h>

/* The same descriptor, or its copy above 2 (the first is then closed). -1 stays -1. */
int fds_high(int fd);
/* 0, or -1 and errno; what was opened is then in `fds`, -1 else. */
int fds_pipe(int fds[2]);
/* Memory with these bytes, to be read from the start; -1 and errno. */
int fds_memory(const char *name, const void *data, size_t len);

#endif /* SBX_LOCAL_FDS_H */
