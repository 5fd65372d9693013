/* SPDX-License-Identifier: MIT */
#include "host/gate.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int gate_init(struct gate *gate)
{
    atomic_init(&gate->busy, 0);
    atomic_init(&gate->waiters, 0);
    gate->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return gate->wake_fd < 0 ? -1 : 0;
}

void gate_finish(struct gate *gate)
{
    if (gate->wake_fd >= 0)
        (void)close(gate->wake_fd);
    gate->wake_fd = -1;
}

int64_t gate_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Milliseconds for poll until the earlier of two times (0: none), rounded up; -1 for ever. */
static int poll_timeout(int64_t deadline_ns, int64_t until_ns, int64_t now)
{
    int64_t end = deadline_ns;
    if (until_ns != 0 && (end == 0 || until_ns < end))
        end = until_ns;
    if (end == 0)
        return -1;
    if (end <= now)
        return 0;
    int64_t ms = (end - now + 999999) / 1000000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static int is_past(int64_t time_ns, int64_t now)
{
    return time_ns != 0 && now >= time_ns;
}

sbx_status gate_poll(const struct sbx_call *call, int fd, short events, int64_t until_ns)
{
    int64_t deadline = call != NULL ? call->deadline_ns : 0;
    int cancel_fd = call != NULL && (call->flags & SBX_CALL_HAS_CANCEL_FD) != 0 ? call->cancel_fd : -1;
    for (;;) {
        int64_t now = gate_now_ns();
        struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = cancel_fd, .events = POLLIN}};
        int ready = poll(fds, 2, poll_timeout(deadline, until_ns, now));
        if (ready < 0 && errno != EINTR)
            return SBX_E_FAILED;
        if (ready > 0)
            return fds[1].revents != 0 ? SBX_E_CANCELLED : SBX_OK;
        now = gate_now_ns();
        if (is_past(deadline, now))
            return SBX_E_TIMEOUT;
        if (is_past(until_ns, now))
            return SBX_E_BUSY;
    }
}

static int try_enter(struct gate *gate)
{
    int free_now = 0;
    return atomic_compare_exchange_strong(&gate->busy, &free_now, 1);
}

sbx_status gate_enter(struct gate *gate, const struct sbx_call *call)
{
    if (try_enter(gate))
        return SBX_OK;
    sbx_status status = SBX_OK;
    atomic_fetch_add(&gate->waiters, 1);
    while (!try_enter(gate)) {
        /* Who gives up has drained nothing, and who drained tries again: no wake-up is lost. */
        status = gate_poll(call, gate->wake_fd, POLLIN, 0);
        if (status != SBX_OK)
            break;
        uint64_t drained;
        (void)!read(gate->wake_fd, &drained, sizeof drained);
    }
    atomic_fetch_sub(&gate->waiters, 1);
    return status;
}

void gate_leave(struct gate *gate)
{
    atomic_store(&gate->busy, 0);
    if (atomic_load(&gate->waiters) > 0) {
        uint64_t one = 1;
        (void)!write(gate->wake_fd, &one, sizeof one);
    }
}
