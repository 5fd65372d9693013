/* SPDX-License-Identifier: MIT
 *
 * suspend.c - suspending and resuming, which is the guest's work, and waiting for a state, which stands in the name of
 * the guest's process.
 */
#include "plugins/local/sandbox.h"

#include "base/cleanup.h"

#include <sys/syscall.h>

enum { LOOK_MS = 20 };

static sbx_status do_suspend(struct sbx_handle *h, struct sbx_call *call)
{
    return guest_suspend(h->link, call);
}

static sbx_status do_resume(struct sbx_handle *h, struct sbx_call *call)
{
    return guest_resume(h->link, call);
}

static sbx_status wait_state(struct sbx_handle *h, struct sbx_call *call, uint32_t state_mask,
                             const struct sbx_info_sink *out)
{
    CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)h->record.pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    if (state_mask == 0)
        return call_fail(call, SBX_E_INVALID, "wait: no state to wait for");
    for (;;) {
        int ready = 0, state = sandbox_state(h->backend, &h->record);
        if (!sandbox_lives(state))
            return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->record.id);
        if ((state_mask & 1u << handle_state(state)) != 0)
            return handle_info(h, call, out);
        sbx_status status = call_poll(call, &end, pidfd < 0 ? 0 : 1, clock_now_ns() + LOOK_MS * MS_NS, &ready);
        if (status != SBX_OK)
            return status;
    }
}

const struct sbx_suspend_ops suspend_ops = {.size = sizeof suspend_ops, .suspend = do_suspend, .resume = do_resume};
const struct sbx_wait_ops wait_ops = {.size = sizeof wait_ops, .wait_state = wait_state};
