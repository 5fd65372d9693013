/* SPDX-License-Identifier: MIT
 *
 * loader.h - finds, checks and opens plugins; the only user of dlfcn. Loaded objects are shared by every context of the
 * process and never unloaded (rule H10).
 */
#ifndef SBX_HOST_LOADER_H
#define SBX_HOST_LOADER_H

#include "host/log.h"
#include "sbx_plugin.h"

/* A plugin after the border check: every struct is a full-size zero-filled copy, so nobody asks about sizes again.
 * No text of the descriptor is NULL, and its arrays (config_keys included) are the copies. */
struct loader_plugin {
    const char *path;
    struct sbx_plugin descriptor;
    struct sbx_backend_ops backend;
    struct sbx_handle_ops handle;
    const struct sbx_config_key *keys; /* full-size copies */
    size_t key_count;
};

/* Loads ID.so from the first of the folders (absolute, NULL-terminated) that has it. The result lives as long as the
 * process. Refusals are SBX_E_CONFIG (owner, mode, path, swapped file) or SBX_E_UNSUPPORTED (version, shape), each
 * named. */
sbx_status loader_load(const char *const *folders, const char *id, struct log *log, const struct loader_plugin **out,
                       struct sbx_error *error);
/* Calls report for every ID.so in the folders, first folder first, by name within one, each id once; nothing is loaded.
 */
void loader_scan(const char *const *folders, void (*report)(void *user, const char *id, const char *path), void *user);
/* The folder that belongs to this installation (beside libsbx, else the compiled-in one); the caller frees. NULL: no
 * memory. */
char *loader_installed_folder(void);
/* A part of libsbx that is loaded when it is first needed, such as libsbx-archive.so: `file` stands in the folder that
 * holds the installed plugin folder. *out is `symbol` of it. The same checks as for a plugin. */
sbx_status loader_module(const char *file, const char *symbol, void **out, struct sbx_error *error);
/* 1 for [a-z0-9-]+ of at most 64 bytes: what may be a plugin's id. */
int loader_id_ok(const char *id);

/* The lock over what a process has once: the loaded objects, and inih's exported variables. */
void loader_lock(void);
void loader_unlock(void);

/* --- loader_path.c: who may have written a file ----------------------------------------------------------------- */
/* Opens FOLDER/FILE after checking the owner and mode of it and of every folder above it (rule H1). Answers the
 * descriptor and in *path its real absolute path, which the caller frees; *fd is -1 with SBX_OK when there is no such
 * file. `library_owner` is accepted besides root and the effective user. */
sbx_status loader_path_open(const char *folder, const char *file, uint32_t library_owner, int *fd, char **path,
                            struct sbx_error *error);

/* --- loader_shape.c: what a descriptor must be like ------------------------------------------------------------- */
/* Checks a raw descriptor (rule H2) and fills *out but for `path`. What it allocates is given to *out for good. */
sbx_status loader_shape_check(const struct sbx_plugin *raw, const char *id, const char *path, struct loader_plugin *out,
                              struct sbx_error *error);

#endif /* SBX_HOST_LOADER_H */
