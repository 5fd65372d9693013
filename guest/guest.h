/* SPDX-License-Identifier: MIT
 *
 * guest.h - the one state of sbx-guest and the limits that bound it. The guest is one thread around one poll(2): every
 * descriptor is non-blocking, and what may take long runs in a child (a command below its keeper, or a worker).
 */
#ifndef SBX_GUEST_GUEST_H
#define SBX_GUEST_GUEST_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx_plugin.h"

enum {
    GUEST_MAX_CONNECTIONS = 1100, /* more than libsbx has operations at once */
    GUEST_MAX_GROUPS = 64,
    GUEST_IDLE_KEEPERS = 4,
    GUEST_DRAIN_MS = 200, /* how long output may be held by what a command left behind */
    GUEST_KILL_MS = 2000, /* a keeper's limit for a tree that will not die */
    GUEST_WORKERS = 64,   /* at once */
    GUEST_MAX_JOBS = 256,
    GUEST_MAX_SHELLS = 64,
    GUEST_SHELL_TEXT = 1 << 20,   /* one command */
    GUEST_SHELL_TEXTS = 32 << 20, /* all that wait */
    GUEST_STOP_MS = 3000,         /* for everything to come to rest */
    GUEST_LOOK_MS = 250,          /* how often a sleeping sandbox is looked at */
    GUEST_SHELL_BACK_MS = 1000,   /* for a shell to come back once what it ran was killed */
    GUEST_KEPT_BYTES = 128 << 20, /* output of all jobs together */
    GUEST_MESSAGE_MAX = 400
};
#define GUEST_TEMP_PREFIX ".sbx-tmp-"

struct conn;
struct command;
struct job;
struct shell;

/* Who a command or a file operation acts as. */
struct identity {
    uid_t uid;
    gid_t gid;
    int foreign;   /* not the guest's own user and group: a switch is needed */
    int keep_caps; /* root, in a sandbox where root keeps its capabilities */
    int group_count;
    gid_t groups[GUEST_MAX_GROUPS];
    char name[64];
    char home[1024];
    char shell[256];
};

struct tree_process;

/* Why nothing but the guest runs: suspended until resumed, and held by requests. See suspend.c. */
struct sleep {
    int suspended;
    unsigned holds;
    struct tree_process *stopped; /* were so before, and stay so */
    size_t stopped_count;
    int64_t look_ns; /* when to see again to it that nothing runs */
    char name[16];   /* the guest's own, while it has the other one */
};

struct keeper {
    pid_t pid; /* -1 once reaped */
    int sock;
    int killing; /* it was told to kill what is below it */
};

struct guest {
    /* from the command line */
    int listen_fd;
    int stdio;
    int ready_fd;
    int lifeline_fd;
    int any_peer;
    int put_in;    /* peers that were put into the sandbox from outside are served, too */
    int keep_caps; /* root's commands keep what capabilities the container has */
    const char *workdir;

    struct identity user; /* the default */
    int is_init;          /* pid 1: the kernel ends everything with it */
    int null_fd;          /* /dev/null, or -1 */
    int signal_fd;
    int64_t deadline_ns; /* clock_boot_ns; 0: none */
    int ending;          /* the loop is left once it is 1 */

    int64_t accept_after_ns;
    struct conn *conns;
    unsigned conn_count;
    struct command *commands;
    struct job *jobs;
    unsigned job_count;
    uint64_t last_job; /* for names */
    size_t kept_bytes; /* allocated for the output of jobs */
    struct shell *shells;
    unsigned shell_count;
    size_t shell_text; /* bytes of commands that wait for their turn */
    struct keeper idle[GUEST_IDLE_KEEPERS];
    unsigned idle_count;
    int prepared;                 /* the first idle keeper was made */
    pid_t workers[GUEST_WORKERS]; /* 0: free */
    struct sleep sleep;
};

/* One turn of the loop: descriptors to wait for and the nearest point in time. */
struct watch {
    struct pollfd *fds;
    short **got;
    size_t count;
    size_t cap;
    int64_t until_ns; /* clock_now_ns; 0: none */
    int failed;
    int again; /* somebody could go on at once */
};
/* Asks for events (0: only errors) on fd; *got is cleared, and set after the wait. It must stay in place until then. */
void watch_fd(struct watch *w, int fd, short events, short *got);
void watch_until(struct watch *w, int64_t ns);

int64_t clock_now_ns(void);
int64_t clock_boot_ns(void);

/* Serves until the guest shall end. 0, or -1 when it could not start. */
int loop_run(struct guest *g);

#endif /* SBX_GUEST_GUEST_H */
