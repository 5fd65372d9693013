/* SPDX-License-Identifier: MIT
 *
 * tarball.h - the archive in which the daemon takes a file of ours.
 */
#ifndef SBX_DOCKER_TARBALL_H
#define SBX_DOCKER_TARBALL_H

#include "plugins/common/plugin.h"

enum { TARBALL_BLOCK = 512 };

/* Writes the head of a file of at most 8 GiB: mode and owner; `name` has at most 99 bytes and begins with "./". */
void tarball_head(unsigned char block[TARBALL_BLOCK], const char *name, uint32_t mode, uint32_t uid, uint32_t gid,
                  uint64_t size);
/* What pads a file of that size, and ends the archive: so many zero bytes. */
size_t tarball_tail(uint64_t size);

#endif /* SBX_DOCKER_TARBALL_H */
