/* SPDX-License-Identifier: MIT
 *
 * launch.h - starts a program, or runs a function, in a user namespace with a sandbox's ids. The program's process is
 * nobody's child here: it outlives the host process, gives it no SIGCHLD and no zombie, and nothing process-wide of the
 * host is touched. Everything is prepared before the one fork; the child makes only async-signal-safe calls.
 */
#ifndef SBX_LOCAL_LAUNCH_H
#define SBX_LOCAL_LAUNCH_H

#include "plugins/common/plugin.h"
#include "plugins/local/layout.h"

struct launch_dir {
    const char *path;
    uint32_t mode;
};
struct launch_plan {
    const char *step; /* for messages: "create" */
    const struct ids *ids;
    int own_users; /* make the user namespace here; else the program does */
    int nested;    /* user namespaces that the program still makes itself; further ones are refused by the kernel */

    const struct layout *layout;   /* made at LAYOUT_ROOT; NULL: the program does it; needs own_users */
    int *layout_fds;               /* room for one per step */
    uint64_t disk_mib;             /* a file system of that size at LAYOUT_TREE; needs own_users */
    const struct launch_dir *dirs; /* made, or given, to IDS_SANDBOX before the layout */
    size_t dir_count;
    int make_dirs;

    int (*run)(void *user); /* instead of a program: its answer is the exit code; waited for */
    /* In the host, beside the child's start, before the program runs or the layout's sources are opened; may be NULL.
     */
    sbx_status (*prepare)(void *user, struct sbx_call *call);
    void *user; /* of both */

    int program_fd; /* executed with argv and an empty environment */
    char *const *argv;
    int args_fd; /* with a layout: the number under which the program reads `args`, once the layout is made */
    const char *args;
    size_t args_len;     /* at most PIPE_BUF: they arrive whole, or not at all */
    const int *keep_fds; /* inherited under their own numbers, which are above 2 */
    size_t keep_count;
    int err_fd;            /* the program's stderr; in and out are /dev/null */
    uint32_t processes;    /* RLIMIT_NPROC; 0: as it is */
    const int *cgroup_fds; /* cgroup.procs files that the program is put into */
    size_t cgroup_count;
};

/* Program: SBX_OK once it was executed. Function: SBX_OK once it answered 0. SBX_E_UNAVAILABLE with cause and cure when
 * the machine refuses user namespaces; *map_failed is then set when newuidmap or newgidmap was what refused. */
sbx_status launch_start(const struct launch_plan *plan, struct sbx_call *call, int *map_failed);

#endif /* SBX_LOCAL_LAUNCH_H */
