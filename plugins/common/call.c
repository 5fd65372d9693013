/* SPDX-License-Identifier: MIT
 *
 * call.c - the call's clock and cancel token: every wait of a plugin goes through here.
 */
#include "plugins/common/plugin.h"

#include <errno.h>
#include <time.h>

enum { ASK_NS = 250 * 1000 * 1000 }; /* how often a host without a cancel descriptor is asked */

int64_t clock_now_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int call_limit(struct sbx_call *call, int64_t ms)
{
    int64_t end_ns = clock_now_ns() + ms * MS_NS;
    if (call->deadline_ns != 0 && call->deadline_ns <= end_ns)
        return 0;
    call->deadline_ns = end_ns;
    return 1;
}

static int has_cancel_fd(const struct sbx_call *call)
{
    return call != NULL && (call->flags & SBX_CALL_HAS_CANCEL_FD) != 0 && call->cancel_fd >= 0;
}

static sbx_status ended(struct sbx_call *call, int token_is_readable)
{
    if (call == NULL)
        return SBX_OK;
    if (token_is_readable || (call->cancelled != NULL && call->cancelled(call->user) != 0))
        return call_fail(call, SBX_E_CANCELLED, "cancelled");
    if (call->deadline_ns != 0 && clock_now_ns() >= call->deadline_ns)
        return call_fail(call, SBX_E_TIMEOUT, "the call's deadline is over");
    return SBX_OK;
}

sbx_status call_check(struct sbx_call *call)
{
    if (!has_cancel_fd(call))
        return ended(call, 0);
    struct pollfd token = {.fd = call->cancel_fd, .events = POLLIN};
    return ended(call, poll(&token, 1, 0) > 0);
}

/* How long the next poll may sleep; NULL is for ever. */
static const struct timespec *patience(const struct sbx_call *call, int64_t until_ns, struct timespec *out)
{
    int64_t end = until_ns;
    if (call != NULL && call->deadline_ns != 0 && (end == 0 || call->deadline_ns < end))
        end = call->deadline_ns;
    int asks = call != NULL && call->cancelled != NULL && !has_cancel_fd(call);
    if (end == 0 && !asks)
        return NULL;
    int64_t wait = ASK_NS;
    if (end != 0) {
        wait = end - clock_now_ns();
        if (wait < 0)
            wait = 0;
        if (asks && wait > ASK_NS)
            wait = ASK_NS;
    }
    *out = (struct timespec){.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
    return out;
}

/* What poll said goes back to the caller's array. */
static void hand_back(struct pollfd *fds, const struct pollfd *all, size_t count, int n)
{
    for (size_t i = 0; i < count; i++)
        fds[i].revents = n > 0 ? all[i].revents : 0;
}

sbx_status call_poll(struct sbx_call *call, struct pollfd *fds, size_t count, int64_t until_ns, int *ready)
{
    struct pollfd all[CALL_POLL_MAX + 1];
    *ready = 0;
    if (count > CALL_POLL_MAX)
        return call_fail(call, SBX_E_INVALID, "too many descriptors to wait for");
    if (count > 0)
        memcpy(all, fds, count * sizeof *fds);
    size_t token = has_cancel_fd(call) ? 1 : 0;
    all[count] = (struct pollfd){.fd = token ? call->cancel_fd : -1, .events = POLLIN};
    for (;;) {
        struct timespec wait;
        int n = ppoll(all, count + token, patience(call, until_ns, &wait), NULL);
        if (n < 0 && errno != EINTR)
            return call_fail_errno(call, errno, "poll");
        sbx_status status = ended(call, n > 0 && all[count].revents != 0);
        if (status != SBX_OK)
            return status;
        if (n > 0 || (until_ns != 0 && clock_now_ns() >= until_ns)) {
            hand_back(fds, all, count, n);
            *ready = n > 0 ? n : 0;
            return SBX_OK;
        }
    }
}
