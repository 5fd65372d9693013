/* SPDX-License-Identifier: MIT
 *
 * create.h - a sandbox in the making, as create's parts share it: plan.c checks what is asked, place.c gives it an id,
 * a record and directories, fill.c gives it files to begin with, start.c brings its guest up, create.c puts them
 * together and undoes what failed.
 */
#ifndef SBX_LOCAL_CREATE_H
#define SBX_LOCAL_CREATE_H

#include "plugins/local/bwrap.h"
#include "plugins/local/cgroup.h"
#include "plugins/local/launch.h"
#include "plugins/local/sandbox.h"

enum { CREATE_PATH = 4096, CREATE_DIRS = 40 };

struct making {
    struct sbx_backend *b;
    struct sbx_call *call;
    struct sbx_create_args args;
    char id[RECORD_ID_LENGTH + 1];
    char tree[CREATE_PATH]; /* on the host */
    int runtime_fd;
    int entry_fd; /* locked */
    int listen_fd;
    int ready[2];
    int err[2];
    int lifeline[2];
    int info[2]; /* bubblewrap tells the guest's pid */
    char info_text[256];
    int staged; /* the file system is made by us, not by bubblewrap */
    int launched;
    struct record record;        /* texts are lent */
    struct record origin;        /* of the snapshot that it is made from */
    int origin_fd;               /* locked */
    int unpacks;                 /* the image is a tar */
    char image_dir[CREATE_PATH]; /* where that is unpacked; else empty */
    struct cgroup cgroup;
    struct layout layout;
    struct bwrap bwrap;
    struct sbx_handle *handle; /* made while the guest starts */
    int recorded;              /* with its pid */
};

/* Directories to make, in order; the paths are owned. */
struct dir_list {
    struct launch_dir dirs[CREATE_DIRS];
    size_t count;
    int failed;
};

/* Fills the record from the arguments, refusing what cannot be, before anything is made. */
sbx_status plan_record(struct making *m);

/* An id with its locked entry, ids, limits, record and environment; after this a sweep can clean up. When the token has
 * its sandbox already nothing is made and twin_id is that one's id. */
sbx_status place_reserve(struct making *m, char twin_id[RECORD_ID_LENGTH + 1]);
/* Writes the record again, with the guest's pid; 0: it starts. 0 or an errno. */
int place_record(struct making *m, int64_t pid);
/* Where the writable trees will be; made by place_state. */
sbx_status place_tree(struct making *m);
sbx_status place_state(struct making *m);
/* tmp, home, workspace, and what the working directory still needs, below `root`. */
void place_list_dirs(const struct making *m, const char *root, int needs_workdir, struct dir_list *list);
/* Makes them on the host; a disk limit's are made in its own file system instead. */
sbx_status place_dirs(struct making *m, const struct dir_list *list);
void dir_list_finish(struct dir_list *list);

/* Brings the guest up: SBX_OK once it serves and its pid is recorded. */
sbx_status start_guest(struct making *m);
/* The guest's pid on the host, 0 while bubblewrap has not told it. */
int64_t start_guest_pid(struct making *m);

/* Closes and forgets. */
void create_close(int *fds, size_t count);

#endif /* SBX_LOCAL_CREATE_H */
