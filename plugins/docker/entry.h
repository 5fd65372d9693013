/* SPDX-License-Identifier: MIT
 *
 * entry.h - what this machine keeps of a container: a directory named by a random key, which a label of the container
 * names. In it lie the guest's socket (in `box`, which the container sees read-only), the container's id, the variables
 * of its commands, when it ends, and whether it is suspended. Whoever makes or removes a container holds the lock of
 * its entry meanwhile; so an entry without lock and without container is a leftover.
 */
#ifndef SBX_DOCKER_ENTRY_H
#define SBX_DOCKER_ENTRY_H

#include "base/buf.h"
#include "plugins/common/folder.h"

enum {
    CONTAINER_ID_SIZE = 72,
    ENTRY_KEY_LENGTH = 16,
    ENTRY_KEY_SIZE = ENTRY_KEY_LENGTH + 1,
    ENTRY_FILE_LIMIT = 1 << 16
};

struct entries {
    char *base;     /* such as /run */
    char *instance; /* lent */
    char *path;     /* base/sbx/docker/INSTANCE */
    char *scope;    /* that path on this machine: labels our containers, so that nobody else's are listed or swept */
};
sbx_status entries_init(struct entries *entries, const char *runtime_dir, char *instance, struct sbx_call *call);
void entries_finish(struct entries *entries);
/* The folder of all; SBX_E_NOT_FOUND without `make` when there is none yet. */
sbx_status entries_open(const struct entries *entries, int make, struct sbx_call *call, int *fd);

int entry_is_key(const char *text);
/* A new one with a key of its own, locked, with an empty box. */
sbx_status entry_make(const struct entries *entries, struct sbx_call *call, char key[ENTRY_KEY_SIZE], int *fd);
/* -1 and errno. */
int entry_open(const struct entries *entries, const char *key);
/* 1: held until the descriptor is closed; 0: somebody else holds it, or it is no longer there. */
int entry_try_lock(int entry_fd);
void entry_remove(const struct entries *entries, const char *key);

/* Its small files are written and read by folder_write and folder_read; ENTRY_FILE_LIMIT is room for one. Whether there
 * is one: */
int entry_has(int entry_fd, const char *name);
int entry_drop(int entry_fd, const char *name);
/* The number in a file of that name; 0: none. */
int64_t entry_number(int entry_fd, const char *name);

#endif /* SBX_DOCKER_ENTRY_H */
