/* SPDX-License-Identifier: MIT
 *
 * create.c - the birth of a sandbox: everything is checked first, then made in an order in which a death of this
 * process at any point leaves nothing that the next sweep does not find.
 */
#include "plugins/local/create.h"

#include "base/cleanup.h"

#include <sys/file.h>

enum { ABORT_MS = 700 };

void create_close(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            (void)close(steal_fd(&fds[i]));
}

static void making_finish(struct making *m)
{
    int singles[] = {m->runtime_fd, m->entry_fd, m->listen_fd, m->origin_fd};
    create_close(singles, sizeof singles / sizeof singles[0]);
    create_close(m->ready, 2);
    create_close(m->err, 2);
    create_close(m->info, 2);
    create_close(m->lifeline, 2);
    handle_ops.release(m->handle);
    cgroup_finish(&m->cgroup);
    layout_finish(&m->layout);
    bwrap_finish(&m->bwrap);
    record_finish(&m->origin);
}

/* Undoes what was made. The first error stays the one that is told. */
static void undo(struct making *m)
{
    struct sbx_call call = {.size = sizeof call, .deadline_ns = clock_now_ns() + ABORT_MS * INT64_C(1000000)};
    if (m->entry_fd < 0)
        return;
    create_close(m->lifeline, 2);
    create_close(&m->listen_fd, 1);
    for (size_t i = 0; m->record.pid == 0 && i < m->cgroup.count; i++)
        cgroup_remove(m->cgroup.dirs[i], m->id);
    if (m->launched && m->record.pid == 0)
        (void)sandbox_stamp(m->b, &m->record, start_guest_pid(m));
    if (m->record.boot == NULL)
        (void)sandbox_stamp(m->b, &m->record, 0);
    if (sandbox_end(m->b, m->runtime_fd, m->entry_fd, &m->record, &call) != SBX_OK)
        call_maybe_applied(m->call, m->id);
}

static sbx_status finish(struct making *m, struct sbx_handle **out)
{
    sbx_status status = guest_hello(m->handle->link, m->call);
    if (status == SBX_OK && m->record.bound != 0)
        status = lifelines_keep(&m->b->lifelines, m->id, &m->lifeline[1], m->call);
    if (status == SBX_OK) {
        *out = m->handle;
        m->handle = NULL;
    }
    return status;
}

/* The same token again: its sandbox, once whoever makes it is done. */
static sbx_status attach_twin(struct making *m, const char *id, struct sbx_handle **out)
{
    struct record record = {0};
    CLEANUP_FD int fd = store_open_entry(m->runtime_fd, id);
    sbx_status status = fd < 0 ? SBX_E_NOT_FOUND : store_lock(fd, id, m->call);
    if (fd >= 0)
        (void)flock(fd, LOCK_UN);
    CLEANUP_FD int entry_fd = -1;
    if (status == SBX_OK)
        status = sandbox_find(m->b, id, m->call, &record, &entry_fd);
    if (status != SBX_OK)
        return status;
    status = handle_make(m->b, &record, entry_fd, m->call, out);
    record_finish(&record);
    return status;
}

sbx_status create_sandbox(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                          struct sbx_handle **out)
{
    CLEANUP(making_finish)
    struct making m = {.b = b,
                       .call = call,
                       .runtime_fd = -1,
                       .entry_fd = -1,
                       .listen_fd = -1,
                       .ready = {-1, -1},
                       .err = {-1, -1},
                       .lifeline = {-1, -1},
                       .info = {-1, -1},
                       .origin_fd = -1};
    m.bwrap.args_fd = -1;
    char twin[RECORD_ID_LENGTH + 1] = "";
    sbx_status status = sbx_take(&m.args, sizeof m.args, args);
    if (status != SBX_OK)
        return call_fail(call, status, "create: arguments of a newer version");
    status = call_check(call);
    if (status == SBX_OK)
        status = plan_record(&m);
    if (status != SBX_OK)
        return status;
    status = place_reserve(&m, twin);
    if (status == SBX_OK && twin[0] != '\0') {
        status = attach_twin(&m, twin, out);
        if (status != SBX_E_NOT_FOUND)
            return status;
        status = place_reserve(&m, twin); /* the other creator failed */
    }
    if (status == SBX_OK)
        status = start_guest(&m);
    if (status == SBX_OK)
        status = finish(&m, out);
    if (status != SBX_OK)
        undo(&m);
    return status;
}
