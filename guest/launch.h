/* SPDX-License-Identifier: MIT
 *
 * launch.h - starting a command for a request: its user, directory, pipes, and what its end comes to.
 */
#ifndef SBX_GUEST_LAUNCH_H
#define SBX_GUEST_LAUNCH_H

#include <limits.h>

#include "guest/command.h"
#include "guest/request.h"

struct launch {
    struct command *command;
    int in;     /* our ends of its pipes, non-blocking; -1: none */
    int out[2]; /* standard output and error */
    char user[64];
    char name[128]; /* of the program, for messages */
    char cwd[PATH_MAX];
};

/* The command's ends. Two of them may be one descriptor. */
struct launch_ends {
    int fd[SPEC_FDS_MAX];
};
#define LAUNCH_ENDS(name) struct launch_ends name __attribute__((cleanup(launch_ends_close))) = {{-1, -1, -1, -1, -1}}
void launch_ends_close(const struct launch_ends *e);

/* How a command ended: a result, or (status not SBX_OK) why there is none. */
struct verdict {
    sbx_status status;
    int os_errno;
    uint64_t result; /* SBX_EXITED ... */
    int code;
    int signo;
    char message[GUEST_MESSAGE_MAX]; /* may be empty */
};

void launch_init(struct launch *l);
/* Closes our ends and lets the command go. */
void launch_finish(struct launch *l);

/* The user, the directory and the specification of `argv` (NULL: the request's own), which the caller frees; NULL when
 * the request was ended. */
struct spec *launch_prepare(struct request *r, struct launch *l, const struct fields *f, const char *const *argv,
                            struct identity *who);
/* A pipe whose `ours` end does not block. It belongs to the command's user, who may open it again by way of
 * /dev/stderr. -1 with errno. */
int launch_pipe(const struct identity *who, int *ours, int *theirs, int we_write);
/* Pipes as EXEC_MERGE and EXEC_NO_STDIN in flags want them. -1 with errno. */
int launch_pipes(const struct guest *g, struct launch *l, const struct identity *who, uint64_t flags,
                 struct launch_ends *ends);
/* 0, or -1 when the request was ended. */
int launch_start(struct request *r, struct launch *l, const struct spec *spec, const struct launch_ends *ends);
/* Of a command that is over. */
void launch_verdict(const struct launch *l, int timed_out, int cancelled, struct verdict *v);
/* The fields of a result, into the frame being built. */
void frame_verdict(struct conn *c, const struct verdict *v, uint64_t out_bytes, uint64_t err_bytes);
/* Nothing is left in the pipe, and yet somebody could still write. */
int launch_is_held(int fd);

#endif /* SBX_GUEST_LAUNCH_H */
