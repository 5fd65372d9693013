/* SPDX-License-Identifier: MIT
 *
 * lifelines.h - the sandboxes that end with this process: it holds the write ends of their guests' lifelines. Parallel.
 */
#ifndef SBX_COMMON_LIFELINES_H
#define SBX_COMMON_LIFELINES_H

#include "sbx_plugin.h"

#include <pthread.h>

struct lifeline {
    struct lifeline *next;
    int fd;
    char id[SBX_ID_SIZE];
};

struct lifelines {
    pthread_mutex_t lock; /* guards first */
    struct lifeline *first;
};

/* 0, or -1. */
int lifelines_init(struct lifelines *lines);
/* Closes what is still kept: those sandboxes' guests end. No other call may run or follow. */
void lifelines_finish(struct lifelines *lines);
/* Keeps a sandbox's line; *fd is taken over on success, and -1 then. */
sbx_status lifelines_keep(struct lifelines *lines, const char *id, int *fd, struct sbx_call *call);
/* Closes a sandbox's line; nothing where none is kept. */
void lifelines_drop(struct lifelines *lines, const char *id);

#endif /* SBX_COMMON_LIFELINES_H */
