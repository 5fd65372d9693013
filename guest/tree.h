/* SPDX-License-Identifier: MIT
 *
 * tree.h - the processes below one process, whatever they did to leave it: the root is a child subreaper (or pid 1), so
 * every descendant stays below it in /proc.
 */
#ifndef SBX_GUEST_TREE_H
#define SBX_GUEST_TREE_H

#include <stdint.h>
#include <sys/types.h>

/* Kills every descendant of the calling process and reaps until none is left or `limit_ms` is over. `spare` are direct
 * children that are let live, with what is below them; with `since` not 0 only direct children that began at or after
 * that tick are killed. `main` (0: none) is a child whose wait status is wanted. Answers 0 when nothing was left. */
struct tree {
    const pid_t *spare;
    size_t spare_count;
    uint64_t since;
    pid_t main;
    int main_status;
    int main_reaped;
};
int tree_kill(struct tree *t, int limit_ms);
/* The signals of that alone, without waiting or reaping. */
void tree_strike(const struct tree *t);

/* When a process began, in clock ticks since boot; 0: unknown. */
uint64_t tree_start_tick(pid_t pid);
/* Processes that /proc shows. */
uint64_t tree_count(void);

/* Closes every descriptor from `first` on. */
void close_from(int first);

#endif /* SBX_GUEST_TREE_H */
