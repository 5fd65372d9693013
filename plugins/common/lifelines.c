/* SPDX-License-Identifier: MIT
 *
 * lifelines.c - see lifelines.h.
 */
#include "plugins/common/lifelines.h"

#include "base/cleanup.h"
#include "plugins/common/plugin.h"

#include <stdio.h>

int lifelines_init(struct lifelines *lines)
{
    lines->first = NULL;
    return pthread_mutex_init(&lines->lock, NULL) == 0 ? 0 : -1;
}

/* Off the list, closed and freed. */
static void drop_at(struct lifeline **at)
{
    struct lifeline *line = *at;
    *at = line->next;
    (void)close(line->fd);
    free(line);
}

void lifelines_finish(struct lifelines *lines)
{
    while (lines->first != NULL)
        drop_at(&lines->first);
    (void)pthread_mutex_destroy(&lines->lock);
}

sbx_status lifelines_keep(struct lifelines *lines, const char *id, int *fd, struct sbx_call *call)
{
    struct lifeline *line = calloc(1, sizeof *line);
    if (line == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "create: no memory");
    (void)snprintf(line->id, sizeof line->id, "%s", id);
    line->fd = steal_fd(fd);
    (void)pthread_mutex_lock(&lines->lock);
    line->next = lines->first;
    lines->first = line;
    (void)pthread_mutex_unlock(&lines->lock);
    return SBX_OK;
}

void lifelines_drop(struct lifelines *lines, const char *id)
{
    (void)pthread_mutex_lock(&lines->lock);
    for (struct lifeline **at = &lines->first; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->id, id) == 0) {
            drop_at(at);
            break;
        }
    (void)pthread_mutex_unlock(&lines->lock);
}
