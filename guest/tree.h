/* SPDX-License-Identifier: MIT
 *
 * tree.h - the processes below one process, whatever they did to leave it: the root is a child subreaper (or pid 1), so
 * every descendant stays below it in /proc.
 */
#ifndef SBX_GUEST_TREE_H
#define SBX_GUEST_TREE_H

#include <stdint.h>
#include <sys/types.h>

/* Which processes are meant: every descendant of `root` (0: of the calling process) but those in `spare`, with what is
 * below them, and `except` (0: none), though not what is below that. With `since` not 0 only those children of the root
 * count that began at or after that tick. `main` (0: none) is a child whose wait status is wanted. */
struct tree {
    pid_t root;
    pid_t except;
    const pid_t *spare;
    size_t spare_count;
    uint64_t since;
    pid_t main;
    int main_status;
    int main_reaped;
};
/* Kills them (root is 0) and reaps until none is left or `limit_ms` is over. Answers 0 when nothing was left. */
int tree_kill(struct tree *t, int limit_ms);
/* The signals of that alone, without waiting or reaping. */
void tree_strike(const struct tree *t);
/* One signal to each; how many there were. */
size_t tree_signal(const struct tree *t, int signo);

struct tree_process {
    pid_t pid;
    uint64_t tick; /* when it began; 0: whenever */
};
struct tree_rest { /* what was not yet at rest when it was looked at */
    size_t running;
    size_t deep; /* in the kernel alone: it stops on its way out */
};
/* One pass of SIGSTOP to each that is not at rest, but those in `but`. -1 when /proc cannot be read. */
int tree_stop(const struct tree *t, const struct tree_process *but, size_t but_count, struct tree_rest *rest);
/* Those that are stopped; the caller frees *out, which may be NULL. How many. */
size_t tree_stopped(const struct tree *t, struct tree_process **out);
/* SIGCONT to each but those in `but`. */
void tree_continue(const struct tree *t, const struct tree_process *but, size_t but_count);

/* Those that are there now; the caller frees *pids, which is NULL when there are none. How many. */
size_t tree_list(const struct tree *t, pid_t **pids);

/* Whether it has a child other than `but` (0: any); 1 also where the kernel does not tell. Cheap. */
int tree_has_child(pid_t pid, pid_t but);

/* When a process began, in clock ticks since boot; 0: unknown. */
uint64_t tree_start_tick(pid_t pid);
/* Its parent; 0: outside of our pid namespace; -1: unknown. */
pid_t tree_parent(pid_t pid);
/* Processes that /proc shows. */
uint64_t tree_count(void);

/* Closes every descriptor from `first` on. */
void close_from(int first);

#endif /* SBX_GUEST_TREE_H */
