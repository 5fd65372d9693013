/* SPDX-License-Identifier: MIT
 *
 * shell.h - a named shell: one long-lived sh that reads its script from a pipe of ours and is given one command after
 * the other. How each ended comes over a descriptor (9) that the commands do not inherit; their standard input is a
 * descriptor at its end (8).
 */
#ifndef SBX_GUEST_SHELL_H
#define SBX_GUEST_SHELL_H

#include "guest/launch.h"
#include "guest/stream.h"

enum { SHELL_NAME_SIZE = 129 };

struct shell;

/* One command that runs or waits; the state of its request. */
struct shell_call {
    struct shell_call *next;
    struct request *r;
    struct shell *shell; /* NULL: it is no longer waited for */
    char *text;
    size_t len;
    uint64_t limit_ms;
    int merged;
};

struct shell {
    struct shell *next;
    struct guest *g;
    unsigned users; /* the list, and each request that closes it */
    char name[SHELL_NAME_SIZE];
    struct launch l;
    struct spec *spec; /* as it was started */
    short in_got;
    short status_got;
    int status_fd;
    struct stream_out out[2];
    struct shell_call *calls;  /* in their order */
    struct shell_call *active; /* the first of them, while it runs */
    int busy;                  /* it was given a command and is not back yet, whoever still waits for that */
    int back;                  /* it is: `status` */
    int capped;                /* no more output is taken than lay there then */
    int timed_out;
    int closing;
    int over;
    int status;
    char digits[8];
    unsigned digit_count;
    char *script; /* what it is still to be sent */
    size_t script_at;
    size_t script_len;
    int64_t limit_ns;
    int64_t strike_ns; /* when what it runs is struck again; 0: it may run */
    int64_t back_ns;   /* when it is killed itself */
    int64_t lost_ns;   /* when to see why status_fd is at its end */
    pid_t *before;     /* what ran below it already when the command began */
    size_t before_count;
};

/* One that lives. NULL: none of that name. */
struct shell *shell_find(const struct guest *g, const char *name);
/* Starts one; takes the specification over. NULL when the request was ended. */
struct shell *shell_open(struct request *r, const char *name, const struct identity *who, struct launch *l,
                         struct spec *spec);
void shell_leave(struct shell *s);
/* Puts the call at the end of the queue. */
void shell_add(struct shell *s, struct shell_call *call);
/* The call is of no more interest; what it runs is struck. */
void shell_drop(struct shell_call *call);
void shell_kill(struct shell *s);
/* To what the command runs, or to the shell where that is nothing. */
void shell_signal(const struct shell *s, int signo);
void shell_pump(struct shell *s);

void shell_watch_all(struct guest *g, struct watch *w);
void shell_pump_all(struct guest *g);
void shell_close_all(struct guest *g);

#endif /* SBX_GUEST_SHELL_H */
