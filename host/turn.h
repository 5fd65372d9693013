/* SPDX-License-Identifier: MIT
 *
 * turn.h - commands of one named shell in the order in which they were asked for, though each may have a thread of its
 * own that would reach the provider in any order.
 */
#ifndef SBX_HOST_TURN_H
#define SBX_HOST_TURN_H

#include "sbx_plugin.h"

#include <pthread.h>

struct turn {
    struct turn *next;
    struct turn_list *list; /* NULL: it has not joined */
    const char *name;
    int wake_fd; /* readable: look again; -1: it was first at once */
};
struct turn_list {
    pthread_mutex_t lock;
    struct turn *first;
};

void turn_list_init(struct turn_list *list);
void turn_list_finish(struct turn_list *list);
/* Joins behind all of that name, which lives until turn_end. SBX_E_FAILED: no descriptor left. */
sbx_status turn_take(struct turn *turn, struct turn_list *list, const char *name);
/* Until everything before it has ended: SBX_OK, SBX_E_TIMEOUT or SBX_E_CANCELLED. */
sbx_status turn_wait(struct turn *turn, const struct sbx_call *call);
/* Leaves, whether its time came or not, and lets the next one go. */
void turn_end(struct turn *turn);

#endif /* SBX_HOST_TURN_H */
