/* SPDX-License-Identifier: MIT
 *
 * store.h - the two folders in which sandboxes are kept, one directory per sandbox in each, named by its id; and the
 * one of the snapshots, likewise.
 *
 * Runtime (gone after a boot): record, env, the guest's socket. State: the writable trees. Both are the caller's alone.
 * Whoever makes or removes a sandbox holds a lock on its runtime directory meanwhile; the kernel drops the lock of a
 * process that dies, so a directory without lock and without living guest is a leftover. The runtime directory is made
 * first and removed last.
 */
#ifndef SBX_LOCAL_STORE_H
#define SBX_LOCAL_STORE_H

#include "plugins/common/plugin.h"
#include "plugins/local/record.h"

enum { STORE_RUNTIME, STORE_STATE, STORE_SNAPSHOTS, STORE_FOLDERS };

struct store {
    char *base[STORE_FOLDERS]; /* such as /run; /var/lib */
    char *path[STORE_FOLDERS]; /* base/sbx/local/INSTANCE, for state with /TAG, for snapshots with /snapshots */
    char *instance;
    char boot[64];      /* this boot's id */
    uint64_t pid_space; /* inode of this process's pid namespace */
    char tag[32];       /* of this boot and runtime folder: trees of another one are not ours to judge, or are dead */
};

struct store_ids { /* sorted */
    char (*items)[RECORD_ID_LENGTH + 1];
    size_t count;
};

/* `runtime` and `state` replace the default bases; NULL: $XDG_RUNTIME_DIR and $XDG_STATE_HOME, or what the user has
 * instead. Touches nothing. */
sbx_status store_init(struct store *store, const char *instance, const char *runtime, const char *state,
                      struct sbx_call *call);
void store_finish(struct store *store);

/* Opens a folder, after `make` makes it. SBX_E_NOT_FOUND without `make` when there is none yet; SBX_E_CONFIG when
 * somebody else could have made or could change it. */
sbx_status store_open(const struct store *store, int which, int make, struct sbx_call *call, int *fd);
/* Whether a name is the tag of another boot, so that nothing below it can be alive. */
int store_is_old_tag(const struct store *store, const char *name);
/* The ids in a folder. */
sbx_status store_list(int folder_fd, struct sbx_call *call, struct store_ids *out);
void store_ids_finish(struct store_ids *ids);

/* Opens the directory of one sandbox. -1 and errno. */
int store_open_entry(int folder_fd, const char *id);
/* Locks an entry. 1: held until the descriptor is closed; 0: somebody else holds it, or it is no longer there. */
int store_try_lock(int entry_fd);
/* As store_try_lock, but waits for who holds it. SBX_E_NOT_FOUND when the entry went away meanwhile. */
sbx_status store_lock(int entry_fd, const char *id, struct sbx_call *call);

#endif /* SBX_LOCAL_STORE_H */
