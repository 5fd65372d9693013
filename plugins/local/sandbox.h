/* SPDX-License-Identifier: MIT
 *
 * sandbox.h - the life of a sandbox after its birth: whether it is alive, its end, and what a dead one left.
 */
#ifndef SBX_LOCAL_SANDBOX_H
#define SBX_LOCAL_SANDBOX_H

#include "plugins/local/local.h"

enum {
    SANDBOX_DEAD,
    SANDBOX_STARTING, /* or left so by a process that died */
    SANDBOX_RUNNING,
    SANDBOX_SUSPENDED,
    SANDBOX_FOREIGN /* of another pid namespace: cannot be judged from here, so it is left alone */
};

/* SANDBOX_*; never blocks. */
int sandbox_state(const struct sbx_backend *b, const struct record *record);
static inline int sandbox_lives(int state)
{
    return state == SANDBOX_RUNNING || state == SANDBOX_SUSPENDED;
}
/* Fills boot id (lent by the backend), pid namespace, and (pid not 0) the process's start time. 0, or an errno: ESRCH
 * when it is gone. */
int sandbox_stamp(const struct sbx_backend *b, struct record *record, int64_t pid);

/* A living sandbox by id, or by name: its record and its directory. SBX_E_NOT_FOUND when there is none; what a dead one
 * left is removed. */
sbx_status sandbox_find(struct sbx_backend *b, const char *id_or_name, struct sbx_call *call, struct record *record,
                        int *entry_fd);
/* Opens one entry and reads its record. SBX_E_NOT_FOUND: no such entry, or without a record. */
sbx_status sandbox_load(int runtime_fd, const char *id, struct sbx_call *call, struct record *record, int *entry_fd);

/* Ends every process and removes every file of a sandbox; SBX_OK also when it is gone. */
sbx_status sandbox_destroy(struct sbx_backend *b, const char *id, struct sbx_call *call);
/* As above, for who holds the lock of `entry_fd` and knows the record. */
sbx_status sandbox_end(struct sbx_backend *b, int runtime_fd, int entry_fd, const struct record *record,
                       struct sbx_call *call);
/* Removes parent/name, a tree of files of those users; SBX_OK when it is not there. */
sbx_status sandbox_remove_tree(int parent_fd, const char *name, const struct ids *ids, struct sbx_call *call);
/* Removes an entry that nobody holds and in which nothing lives. */
void sandbox_clean(struct sbx_backend *b, int runtime_fd, const char *id);
/* Removes what dead sandboxes left; looks at no more than `most` entries (0: all), beginning at a random one. */
void sandbox_sweep(struct sbx_backend *b, size_t most);

/* The guest's socket. listen: gives a new one its name; -1 and errno. connect: a connected, close-on-exec, non-blocking
 * descriptor. */
int sandbox_listen(int fd, int entry_fd);
sbx_status sandbox_connect(struct sbx_backend *b, const char *id, struct sbx_call *call, int *fd);

#endif /* SBX_LOCAL_SANDBOX_H */
