/* SPDX-License-Identifier: MIT
 *
 * tree.h - putting an unpacked tree where it belongs on this machine: made aside in a directory that nobody else may
 * enter, checked against what is there, then moved. No link is ever followed below the target.
 */
#ifndef SBX_HOST_TREE_H
#define SBX_HOST_TREE_H

#include "sbx.h"

/* Fills *error with the code that an errno stands for: "WHAT: no such file or directory". */
sbx_status tree_error(struct sbx_error *error, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct tree_staging {
    int parent;     /* where it is made: the target itself, or what will hold it */
    int root;       /* to be filled; -1: none */
    int merges;     /* the target is there already */
    char name[32];  /* of the staging directory in parent */
    char *own_name; /* of the target in parent; NULL when it merges */
};
/* Makes the staging directory for host_dir, which is missing (its parent is there) or a directory. */
sbx_status tree_stage(struct tree_staging *staging, const char *host_dir, struct sbx_error *error);
/* Moves everything into place. Files replace files; what would have to replace something of another kind is found out
 * before anything is moved. */
sbx_status tree_commit(struct tree_staging *staging, struct sbx_error *error);
/* Removes what is left of the staging directory. */
void tree_finish(struct tree_staging *staging);

#endif /* SBX_HOST_TREE_H */
