/* SPDX-License-Identifier: MIT
 *
 * bwrap.h - what a sandbox looks like from inside, as bubblewrap's arguments with the descriptors they name.
 */
#ifndef SBX_LOCAL_BWRAP_H
#define SBX_LOCAL_BWRAP_H

#include "base/buf.h"
#include "plugins/local/launch.h"

enum { BWRAP_FDS = 64, BWRAP_MOUNTS = 60 };
#define BWRAP_GUEST "/.sbx/guest"
#define BWRAP_TREE  LAUNCH_STAGE "/tree"

/* The directories of a sandbox's writable tree, below its root on the host, and where they are seen inside. */
enum { BWRAP_TMP, BWRAP_HOME, BWRAP_WORKSPACE, BWRAP_WORKDIR, BWRAP_TREES };
extern const char *const bwrap_tree_names[BWRAP_TREES];

struct bwrap_layout {
    const struct ids *ids;
    const char *hostname; /* NULL: sandbox */
    const char *image;    /* a root directory on the host; NULL: the host's own system directories */
    const char *tree;     /* the writable directories, as the program that mounts them sees it */
    const char *workdir;
    char *const *bind_ro; /* further host paths, seen at the same place; NULL-terminated, may be NULL */
    uint32_t network;
    int stage; /* sources are bound below LAUNCH_STAGE first, since the mapped ids might not reach them */
    int guest_fd;
    int seccomp_fd;
    int info_fd;
};

struct bwrap {
    struct buf args; /* NUL-separated, as --args takes them */
    int args_fd;
    int fds[BWRAP_FDS]; /* owned; the program must inherit them */
    size_t fd_count;
    struct launch_mount mounts[BWRAP_MOUNTS]; /* owned texts */
    size_t mount_count;
};

/* Fills `out`; give it back with bwrap_finish whatever the answer. Takes the layout's descriptors over. */
sbx_status bwrap_build(const struct bwrap_layout *layout, struct sbx_call *call, struct bwrap *out);
void bwrap_finish(struct bwrap *bwrap);

/* Which of BWRAP_TREES a directory inside lies in (the directory itself counts), or -1. */
int bwrap_tree_of(const char *inside);
/* Whether the working directory must be a writable directory of its own, since the layout has none there. */
int bwrap_needs_workdir(const struct bwrap_layout *layout);
/* A close-on-exec descriptor above 2 with these bytes, to be read from the start; -1 and errno. */
int bwrap_memory(const char *name, const void *data, size_t len);
/* The same descriptor, or its copy above 2 (the first is then closed). -1 stays -1. */
int bwrap_high_fd(int fd);

#endif /* SBX_LOCAL_BWRAP_H */
