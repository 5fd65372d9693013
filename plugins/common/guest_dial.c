/* SPDX-License-Identifier: MIT
 *
 * guest_dial.c - connections to ports of the sandbox's loopback.
 */
#include "base/cleanup.h"
#include "plugins/common/guest_request.h"

enum { PORT_MAX = 65535 };

sbx_status guest_dial(struct guest_link *link, struct sbx_call *call, uint32_t port, const struct sbx_source *in,
                      const struct sbx_sink *out)
{
    if (port == 0 || port > PORT_MAX)
        return call_fail(call, SBX_E_INVALID, "dial: no port %u", port);
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "dial", OP_DIAL);
    guest_request_number(&r, F_PORT, port);
    sbx_status status = guest_request_feed(&r, in);
    if (status == SBX_OK)
        status = guest_request_drain(&r, STREAM_OUT, out);
    if (status != SBX_OK)
        return status;
    r.out[0].tells_end = 1;
    r.can_start = 1;
    status = guest_request_run(&r);
    if (r.ended && r.end.unavailable && r.why == SBX_OK)
        return call_fail(call, SBX_E_UNAVAILABLE, "dial: nothing listens at port %u of the sandbox", port);
    return status;
}
