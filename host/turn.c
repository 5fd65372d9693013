/* SPDX-License-Identifier: MIT */
#include "host/turn.h"

#include "host/gate.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void turn_list_init(struct turn_list *list)
{
    (void)pthread_mutex_init(&list->lock, NULL);
    list->first = NULL;
}

void turn_list_finish(struct turn_list *list)
{
    (void)pthread_mutex_destroy(&list->lock);
}

/* The first one of that name; the lock is held. */
static struct turn *first_of(const struct turn_list *list, const char *name)
{
    struct turn *turn = list->first;
    while (turn != NULL && strcmp(turn->name, name) != 0)
        turn = turn->next;
    return turn;
}

sbx_status turn_take(struct turn *turn, struct turn_list *list, const char *name)
{
    *turn = (struct turn){.name = name, .wake_fd = -1};
    (void)pthread_mutex_lock(&list->lock);
    if (first_of(list, name) != NULL)
        turn->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (first_of(list, name) == NULL || turn->wake_fd >= 0) {
        struct turn **last = &list->first;
        while (*last != NULL)
            last = &(*last)->next;
        *last = turn;
        turn->list = list;
    }
    (void)pthread_mutex_unlock(&list->lock);
    return turn->list != NULL ? SBX_OK : SBX_E_FAILED;
}

sbx_status turn_wait(struct turn *turn, const struct sbx_call *call)
{
    sbx_status status = SBX_OK;
    for (;;) {
        (void)pthread_mutex_lock(&turn->list->lock);
        int is_first = first_of(turn->list, turn->name) == turn;
        (void)pthread_mutex_unlock(&turn->list->lock);
        if (is_first || status != SBX_OK)
            return is_first ? SBX_OK : status;
        status = gate_poll(call, turn->wake_fd, POLLIN, 0);
    }
}

void turn_end(struct turn *turn)
{
    struct turn_list *list = turn->list;
    if (list == NULL)
        return;
    (void)pthread_mutex_lock(&list->lock);
    struct turn **at = &list->first;
    while (*at != NULL && *at != turn)
        at = &(*at)->next;
    if (*at != NULL)
        *at = turn->next;
    const struct turn *next = first_of(list, turn->name);
    const uint64_t one = 1;
    if (next != NULL && next->wake_fd >= 0)
        (void)!write(next->wake_fd, &one, sizeof one);
    (void)pthread_mutex_unlock(&list->lock);
    if (turn->wake_fd >= 0)
        (void)close(turn->wake_fd);
    *turn = (struct turn){.wake_fd = -1};
}
