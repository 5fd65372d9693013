/* SPDX-License-Identifier: MIT
 *
 * snapshot.h - copies of sandboxes' writable directories, kept beside the sandboxes and longer than they or the
 * machine's uptime: a folder each, with a record and a directory `tree`.
 *
 * One that is being made, or removed, has a name that is no id and is locked by who is at it; without that lock it is a
 * leftover. Who reads one holds a shared lock.
 */
#ifndef SBX_LOCAL_SNAPSHOT_H
#define SBX_LOCAL_SNAPSHOT_H

#include "plugins/local/local.h"

/* A snapshot by its id, for as long as *fd is open. SBX_E_NOT_FOUND when there is none. */
sbx_status snapshot_open(struct sbx_backend *b, const char *id, struct sbx_call *call, struct record *record, int *fd);
/* One of its LAYOUT_TREES; -1 with errno: it does not have that one. */
int snapshot_open_tree(int fd, int tree);
/* Removes what dead processes left. */
void snapshot_sweep(struct sbx_backend *b);

#endif /* SBX_LOCAL_SNAPSHOT_H */
