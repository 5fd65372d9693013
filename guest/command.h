/* SPDX-License-Identifier: MIT
 *
 * command.h - a running command, apart from the request that asked for it: it lives below its keeper until its end is
 * known, also when nobody waits for it any more.
 */
#ifndef SBX_GUEST_COMMAND_H
#define SBX_GUEST_COMMAND_H

#include "guest/guest.h"
#include "guest/keeper.h"

enum command_state {
    COMMAND_STARTING,
    COMMAND_RUNNING,
    COMMAND_REFUSED, /* error and stage say why */
    COMMAND_ENDED,   /* status is waitpid's */
    COMMAND_KILLED,  /* on our demand, with its whole tree */
    COMMAND_LOST     /* its keeper is gone: what became of it is not known */
};
struct command {
    struct command *next;
    struct guest *g;
    struct keeper keeper;
    short got;
    int owned; /* somebody will still call command_release */
    int killing;
    int losing; /* its keeper is beyond help, and not reaped yet */
    int64_t kill_until_ns;
    uint64_t since; /* the tick its keeper took it at */
    enum command_state state;
    pid_t pid;
    int status;
    int error;
    int stage;
};

/* Hands the specification and its descriptors (which stay the caller's) to a keeper. NULL with errno. */
struct command *command_start(struct guest *g, const struct spec *spec, const int *fds);
static inline int command_is_over(const struct command *c)
{
    return c->state >= COMMAND_REFUSED;
}
/* Kills its whole tree; its end is reported as always. */
void command_kill(struct command *c);
/* Of one that is over: what it left below a keeper that stayed. 0: nothing is there (any more). */
int command_kill_rest(struct command *c);
/* The keepers that are at it, at most `cap`; how many. */
size_t command_killers(const struct guest *g, struct tree_process *out, size_t cap);
/* To its process group. */
void command_signal(const struct command *c, int signo);
/* The owner is done with it; what still runs is killed. */
void command_release(struct command *c);

void command_watch_all(struct guest *g, struct watch *w);
void command_pump_all(struct guest *g);
/* Frees those that are over and not owned. */
void command_sweep(struct guest *g);
/* Reaps every child that has ended. */
void command_reap(struct guest *g);
/* Has an idle keeper ready, so that the first command need not wait for its fork. */
void command_prepare(struct guest *g);

#endif /* SBX_GUEST_COMMAND_H */
