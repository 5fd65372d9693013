/* SPDX-License-Identifier: MIT
 *
 * guest_borrow.c - which connection a request gets, what becomes of it afterwards, and what to say when one is lost.
 */
#include "plugins/common/guest_link.h"

#include "base/cleanup.h"

enum {
    GREET_MS = 10000, /* a guest that says nothing for so long is unavailable */
    SETTLE_MS = 900
};

/* --- waiting for somebody else's connection ------------------------------------------------------------------- */
/* What became of the attempt, for all who waited. What ended it for its own caller alone says nothing to them. */
static void tell_waiters(struct guest_link *link, sbx_status status, const struct sbx_error *error)
{
    int own = status == SBX_E_CANCELLED || status == SBX_E_TIMEOUT || status == SBX_E_NO_MEMORY;
    link->opening = 0;
    while (link->waiters != NULL) {
        struct guest_waiter *waiter = link->waiters;
        link->waiters = waiter->next;
        waiter->status = own ? SBX_OK : status;
        waiter->error = *error;
        waiter->done = 1;
        guest_wake(waiter->wake_fd);
    }
}

static void stop_waiting(struct guest_link *link, const struct guest_waiter *waiter)
{
    for (struct guest_waiter **at = &link->waiters; *at != NULL; at = &(*at)->next)
        if (*at == waiter) {
            *at = waiter->next;
            return;
        }
}

/* The link is locked, and unlocked when this returns. SBX_OK: look again. */
static sbx_status wait_for_other(struct guest_link *link, struct sbx_call *call, int64_t until_ns, int wake_fd)
{
    uint64_t count;
    struct guest_waiter waiter = {.next = link->waiters, .wake_fd = wake_fd};
    link->waiters = &waiter;
    (void)pthread_mutex_unlock(&link->lock);
    struct pollfd fd = {.fd = wake_fd, .events = POLLIN};
    int ready = 0;
    sbx_status status = call_poll(call, &fd, 1, until_ns, &ready);
    (void)pthread_mutex_lock(&link->lock);
    stop_waiting(link, &waiter);
    (void)pthread_mutex_unlock(&link->lock);
    (void)!read(wake_fd, &count, sizeof count);
    if (status != SBX_OK)
        return status;
    if (!waiter.done)
        return call_fail(call, SBX_E_UNAVAILABLE, "guest: no connection in time");
    if (waiter.status != SBX_OK)
        call_pass_error(call, &waiter.error);
    return waiter.status;
}

/* --- borrowing ------------------------------------------------------------------------------------------------ */
/* The first kept connection that has room. One that turns out to be of no use is closed once nobody has it. */
static struct guest_conn *join_kept(struct guest_link *link, struct guest_slot *slot)
{
    struct guest_conn **at = &link->idle;
    while (*at != NULL) {
        struct guest_conn *conn = *at;
        int was_idle = conn->slot_count == 0;
        if (guest_conn_join(conn, slot) == 0) {
            link->idle_count -= was_idle ? 1 : 0;
            if (link->share == 1)
                *at = conn->next;
            return conn;
        }
        if (!was_idle) {
            at = &conn->next;
            continue;
        }
        link->idle_count--;
        *at = conn->next;
        guest_conn_close(conn);
    }
    return NULL;
}

/* The link is locked, and unlocked when this returns. */
static sbx_status join_new(struct guest_link *link, struct sbx_call *call, const struct guest_patience *patience,
                           struct guest_slot *slot, struct guest_conn **out)
{
    struct sbx_error error;
    struct sbx_call inner;
    struct guest_conn *conn = NULL;
    call_shadow(&inner, &error, call);
    link->opening = 1;
    (void)pthread_mutex_unlock(&link->lock);
    sbx_status status = guest_link_connect(link, &inner, patience, &conn);
    (void)pthread_mutex_lock(&link->lock);
    if (status == SBX_OK) {
        (void)guest_conn_join(conn, slot); /* nothing speaks against it: it is new */
        conn->next = link->share > 1 ? link->idle : NULL;
        if (link->share > 1)
            link->idle = conn;
        *out = conn;
    }
    tell_waiters(link, status, &error);
    (void)pthread_mutex_unlock(&link->lock);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

static sbx_status borrow(struct guest_link *link, struct sbx_call *call, const struct guest_patience *patience,
                         struct guest_slot *slot, struct guest_conn **out)
{
    for (;;) {
        (void)pthread_mutex_lock(&link->lock);
        guest_link_claim(link);
        *out = join_kept(link, slot);
        if (*out != NULL) {
            (void)pthread_mutex_unlock(&link->lock);
            return SBX_OK;
        }
        if (link->share == 1 || !link->opening)
            return join_new(link, call, patience, slot, out);
        if (slot->wake_fd < 0) {
            (void)pthread_mutex_unlock(&link->lock);
            if (guest_wake_open(&slot->wake_fd) != 0)
                return call_fail_errno(call, errno, "guest: nothing to wait with");
            continue;
        }
        sbx_status status = wait_for_other(link, call, patience->until_ns, slot->wake_fd);
        if (status != SBX_OK)
            return status;
    }
}

sbx_status guest_link_borrow(struct guest_link *link, struct sbx_call *call, struct guest_slot *slot,
                             struct guest_conn **out)
{
    static const struct guest_patience patience = {.greet_ns = GREET_MS * MS_NS};
    return borrow(link, call, &patience, slot, out);
}

/* --- giving back ---------------------------------------------------------------------------------------------- */
/* Whether the next one may use it: nothing is left of those before. */
static int is_clean(const struct guest_conn *conn)
{
    return !conn->ended && !conn->deaf && conn->left_count == 0 && conn->line.len == 0 && conn->start == conn->end;
}

static void unlink_conn(struct guest_link *link, const struct guest_conn *conn)
{
    struct guest_conn **at = &link->idle;
    while (*at != NULL && *at != conn)
        at = &(*at)->next;
    if (*at != NULL)
        *at = conn->next;
}

void guest_link_give_back(struct guest_link *link, struct guest_conn *conn, struct guest_slot *slot,
                          enum guest_leave how)
{
    (void)pthread_mutex_lock(&link->lock);
    guest_conn_leave(conn, slot, how);
    int unused = conn->slot_count == 0;
    int kept = unused && link->idle_count < link->max_idle && is_clean(conn);
    if (kept)
        link->idle_count++;
    if (kept && link->share == 1) {
        conn->next = link->idle;
        link->idle = conn;
    }
    if (unused && !kept && link->share > 1)
        unlink_conn(link, conn);
    (void)pthread_mutex_unlock(&link->lock);
    if (unused && !kept)
        guest_conn_close(conn);
}

/* --- asking whether it is there --------------------------------------------------------------------------------- */
/* Another call's connection is answer enough. */
static sbx_status visit(struct guest_link *link, struct sbx_call *call, const struct guest_patience *patience)
{
    struct guest_conn *conn = NULL;
    struct guest_slot slot;
    sbx_status status;
    guest_slot_init(&slot, guest_link_next_id(link));
    if (link->share > 1) {
        status = borrow(link, call, patience, &slot, &conn);
    } else {
        status = guest_link_connect(link, call, patience, &conn);
        if (status == SBX_OK)
            (void)guest_conn_join(conn, &slot);
    }
    if (status == SBX_OK)
        guest_link_give_back(link, conn, &slot, GUEST_LEAVE_ENDED);
    guest_slot_finish(&slot);
    return status;
}

sbx_status guest_link_lost(struct guest_link *link, struct sbx_call *call, const char *what)
{
    int64_t end_ns = clock_now_ns() + SETTLE_MS * MS_NS;
    struct sbx_call probe = {.size = sizeof probe, .deadline_ns = end_ns};
    sbx_status status = visit(link, &probe, &(struct guest_patience){.until_ns = end_ns});
    if (status == SBX_E_GONE)
        return call_fail(call, SBX_E_GONE, "%s: the sandbox is gone", what);
    status = call_fail(call, SBX_E_UNKNOWN, "%s: the guest's connection ended before its answer", what);
    call_maybe_applied(call, NULL);
    return status;
}

sbx_status guest_hello(struct guest_link *link, struct sbx_call *call)
{
    return visit(link, call, &(struct guest_patience){.until_ns = 0});
}
