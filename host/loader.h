/* SPDX-License-Identifier: MIT
 *
 * loader.h - finds, checks and opens plugins; the only user of dlfcn. Loaded objects are shared by every context of the
 * process and never unloaded (rule H10).
 */
#ifndef SBX_HOST_LOADER_H
#define SBX_HOST_LOADER_H

#include "host/log.h"
#include "sbx_plugin.h"

/* A plugin after the border check: every struct is a full-size zero-filled copy, so nobody asks about sizes again. */
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
/* Calls report for every ID.so in the folders, first folder first, each id once; nothing is loaded. */
void loader_scan(const char *const *folders, void (*report)(void *user, const char *id, const char *path), void *user);
/* The folder that belongs to this installation (beside libsbx, else the compiled-in one); the caller frees. NULL: no
 * memory. */
char *loader_installed_folder(void);

#endif /* SBX_HOST_LOADER_H */
