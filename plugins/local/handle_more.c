/* SPDX-License-Identifier: MIT
 *
 * handle_more.c - the capabilities of a handle that are more than the guest's work: a longer life, suspension.
 */
#include "plugins/local/sandbox.h"

#include "base/cleanup.h"

/* The guest keeps the time; the record tells it to others. Under the entry's lock, so that two extensions end with the
 * record that belongs to the later one. */
static sbx_status extend(struct sbx_handle *h, int entry_fd, uint32_t ttl_s, struct sbx_call *call)
{
    struct record record = {0};
    sbx_status status = store_lock(entry_fd, h->record.id, call);
    if (status != SBX_OK)
        return status;
    int error = record_read(entry_fd, &record);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its record", h->record.id);
    status = guest_set_lifetime(h->link, call, (uint64_t)ttl_s * 1000);
    record.expires_ms = clock_wall_ms() + (int64_t)ttl_s * 1000;
    error = status == SBX_OK ? record_write(entry_fd, &record) : 0;
    record_finish(&record);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its record", h->record.id);
    return status;
}

static sbx_status keep_alive(struct sbx_handle *h, struct sbx_call *call, uint32_t ttl_s)
{
    struct guest_info info;
    CLEANUP_FD int runtime_fd = -1;
    if (ttl_s == 0) /* nothing ends it for being idle: that it lives is all there is to say */
        return guest_info(h->link, call, &info);
    sbx_status status = store_open(&h->backend->store, STORE_RUNTIME, 0, call, &runtime_fd);
    CLEANUP_FD int entry_fd = status == SBX_OK ? store_open_entry(runtime_fd, h->record.id) : -1;
    if (status == SBX_E_NOT_FOUND || (status == SBX_OK && entry_fd < 0))
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->record.id);
    return status == SBX_OK ? extend(h, entry_fd, ttl_s, call) : status;
}

static const struct sbx_keepalive_ops keepalive_ops = {.size = sizeof keepalive_ops, .keep_alive = keep_alive};

const void *handle_more(const char *id)
{
    static const struct {
        const char *id;
        const void *table;
    } extensions[] = {{SBX_EXT_KEEPALIVE, &keepalive_ops},
                      {SBX_EXT_SUSPEND, &suspend_ops},
                      {SBX_EXT_WAIT, &wait_ops},
                      {SBX_EXT_SNAPSHOT, &snapshot_ops}};
    for (size_t i = 0; id != NULL && i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcmp(id, extensions[i].id) == 0)
            return extensions[i].table;
    return NULL;
}
