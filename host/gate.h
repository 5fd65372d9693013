/* SPDX-License-Identifier: MIT
 *
 * gate.h - one call at a time for a plugin that is not parallel. Waiting ends at the call's deadline or cancel token,
 * which a mutex could not do; an open gate costs one atomic exchange.
 */
#ifndef SBX_HOST_GATE_H
#define SBX_HOST_GATE_H

#include "sbx_plugin.h"

#include <stdatomic.h>

struct gate {
    atomic_int busy;
    atomic_int waiters;
    int wake_fd;
};

/* 0, or -1 with errno. */
int gate_init(struct gate *gate);
void gate_finish(struct gate *gate);
/* SBX_OK, SBX_E_TIMEOUT or SBX_E_CANCELLED; call may be NULL. */
sbx_status gate_enter(struct gate *gate, const struct sbx_call *call);
void gate_leave(struct gate *gate);

/* Waits until fd has `events`, or the deadline or the cancel token of call (may be NULL) comes; fd -1 waits for these
 * alone. until_ns is one more limit, 0 none: SBX_E_BUSY when it came first. */
sbx_status gate_poll(const struct sbx_call *call, int fd, short events, int64_t until_ns);
/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t gate_now_ns(void);

#endif /* SBX_HOST_GATE_H */
