/* SPDX-License-Identifier: MIT
 *
 * guest_life.c - asking the guest about itself, its lifetime, its sleep, its end.
 */
#include "base/cleanup.h"
#include "plugins/common/guest_request.h"

static sbx_status info_reply(struct guest_request *r, const unsigned char *fields, size_t len)
{
    struct guest_info *info = r->user;
    struct wire_field_view field;
    int more = 0, ok = 1;
    while (ok && (more = wire_next_field(&fields, &len, &field)) == 1) {
        if (field.tag == F_DEADLINE_MS)
            info->deadline_ms = wire_number(&field, &ok);
        else if (field.tag == F_COUNT)
            info->processes = wire_number(&field, &ok);
        else if (field.tag == F_OOM)
            info->oom_kills = wire_number(&field, &ok);
    }
    if (!ok || more != 0 || info->deadline_ms > INT64_MAX)
        return guest_request_nonsense(r, "a reply that cannot be read");
    return SBX_OK;
}

sbx_status guest_info(struct guest_link *link, struct sbx_call *call, struct guest_info *out)
{
    struct guest_info info = {.deadline_ms = 0};
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "info", OP_INFO);
    r.reply = info_reply;
    r.user = &info;
    sbx_status status = guest_request_run(&r);
    if (status != SBX_OK)
        return status;
    if (!r.answered)
        return call_fail(call, SBX_E_PROTOCOL, "info: the guest gave no answer");
    *out = info;
    return SBX_OK;
}

sbx_status guest_shutdown(struct guest_link *link, struct sbx_call *call)
{
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, &inner, "shutdown", OP_SHUTDOWN);
    sbx_status status = guest_request_run(&r);
    if (status == SBX_OK || status == SBX_E_GONE)
        return SBX_OK;
    call_pass_error(call, &error);
    return status;
}

sbx_status guest_set_lifetime(struct guest_link *link, struct sbx_call *call, uint64_t ms)
{
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "lifetime", OP_LIFETIME);
    guest_request_number(&r, F_DEADLINE_MS, ms);
    return guest_request_run(&r);
}

static sbx_status simple(struct guest_link *link, struct sbx_call *call, const char *what, enum wire_op op)
{
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, what, op);
    return guest_request_run(&r);
}

sbx_status guest_suspend(struct guest_link *link, struct sbx_call *call)
{
    return simple(link, call, "suspend", OP_SUSPEND);
}

sbx_status guest_resume(struct guest_link *link, struct sbx_call *call)
{
    return simple(link, call, "resume", OP_RESUME);
}

struct held {
    sbx_status (*work)(void *user, struct sbx_call *call);
    void *user;
    struct sbx_call *call;
    int done;
    sbx_status status;
};

/* The work is done in here, and then the request is of no further use. */
static sbx_status held_reply(struct guest_request *r, const unsigned char *fields, size_t len)
{
    struct held *held = r->user;
    (void)fields;
    (void)len;
    held->done = 1;
    held->status = held->work(held->user, held->call);
    return SBX_E_STOPPED;
}

sbx_status guest_hold(struct guest_link *link, struct sbx_call *call, const char *what,
                      sbx_status (*work)(void *user, struct sbx_call *call), void *user)
{
    struct sbx_error error;
    struct sbx_call inner;
    struct held held = {.work = work, .user = user, .call = call};
    call_shadow(&inner, &error, call);
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, &inner, what, OP_SUSPEND);
    guest_request_number(&r, F_FLAGS, SUSPEND_HOLD);
    r.reply = held_reply;
    r.user = &held;
    sbx_status status = guest_request_run(&r);
    if (!held.done) {
        if (status == SBX_OK)
            return call_fail(call, SBX_E_PROTOCOL, "%s: the guest gave no answer", what);
        call_pass_error(call, &error);
        return status;
    }
    if (!r.ended && guest_link_lost(link, &inner, what) == SBX_E_GONE) { /* whatever the work made of that */
        call_pass_error(call, &error);
        return SBX_E_GONE;
    }
    if (held.status != SBX_OK || r.ended)
        return held.status;
    return call_fail(call, SBX_E_FAILED, "%s: the guest was lost meanwhile", what);
}
