/* SPDX-License-Identifier: MIT
 *
 * layout.h - what a sandbox's file system looks like, as a list of steps: an allow-list, nothing of the host is there
 * unless it is named in it. stage.c takes the steps itself; bwrap.c says them to bubblewrap.
 */
#ifndef SBX_LOCAL_LAYOUT_H
#define SBX_LOCAL_LAYOUT_H

#include "base/buf.h"
#include "plugins/local/ids.h"

#include <stdint.h>

#define LAYOUT_STAGE "/sys" /* covered by a small tmpfs in the starting process's mount namespace */
#define LAYOUT_ROOT  LAYOUT_STAGE "/root"
#define LAYOUT_TREE  LAYOUT_STAGE "/tree" /* a disk limit's file system */
#define LAYOUT_GUEST "/.sbx/guest"

/* The directories of a sandbox's writable tree, below its root on the host, and where they are seen inside. */
enum { LAYOUT_TMP, LAYOUT_HOME, LAYOUT_WORKSPACE, LAYOUT_WORKDIR, LAYOUT_TREES };
extern const char *const layout_tree_names[LAYOUT_TREES];
extern const char *const layout_tree_targets[LAYOUT_WORKDIR];

enum {
    LAYOUT_DIR,     /* mode; may be there already */
    LAYOUT_SYMLINK, /* to source */
    LAYOUT_FILE,    /* mode; data, or a copy of source */
    LAYOUT_BIND,    /* source, writable */
    LAYOUT_BIND_RO, /* source with what is mounted below it */
    LAYOUT_TMPFS,   /* mode, size */
    LAYOUT_DEVICES  /* the harmless devices and a terminal file system of its own */
};
struct layout_op {
    int what;
    uint32_t mode;
    uint64_t size;
    const char *source; /* owned, as the texts below */
    const char *target; /* LAYOUT_ROOT and the path inside */
    const char *data;
};
struct layout {
    struct buf ops; /* of struct layout_op */
};

struct layout_options {
    const struct ids *ids;
    const char *hostname;
    const char *guest; /* the program */
    const char *image; /* a root directory on the host; NULL: the host's own system directories */
    const char *tree;  /* the root of the writable directories, as the program that mounts them sees it */
    const char *workdir;
    char *const *bind_ro; /* further host paths, seen at the same place; NULL-terminated, may be NULL */
    uint32_t network;
    int staged; /* by stage.c */
};

/* Fills `out`, to be given back with layout_finish whatever the answer. */
sbx_status layout_build(const struct layout_options *options, struct sbx_call *call, struct layout *out);
void layout_finish(struct layout *layout);
const struct layout_op *layout_ops(const struct layout *layout, size_t *count);
/* The path inside. */
const char *layout_inside(const struct layout_op *op);

/* Which of LAYOUT_TREES a directory inside lies in (the directory itself counts), or -1. */
int layout_tree_of(const char *inside);
/* Whether what is at this path inside is the sandbox's own, whatever the host has there. */
int layout_is_own(const char *inside);
/* A path of bind_ro that the working directory, being one of its own, would hide; or NULL. */
const char *layout_hidden(const struct layout_options *options);
/* Whether the working directory must be a writable directory of its own, since the layout has none there. */
int layout_needs_workdir(const struct layout_options *options);

#endif /* SBX_LOCAL_LAYOUT_H */
