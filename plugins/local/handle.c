/* SPDX-License-Identifier: MIT
 *
 * handle.c - one sandbox, as its handle has it: nearly everything is a request to the guest.
 */
#include "plugins/local/sandbox.h"

#include "base/cleanup.h"
#include "plugins/local/cgroup.h"

#include <inttypes.h>
#include <stdio.h>

enum { FACTS = 12, FACT_SIZE = 64 };

static sbx_status connect_handle(void *user, struct sbx_call *call, int *fd)
{
    struct sbx_handle *h = user;
    return sandbox_connect(h->backend, h->record.id, call, fd);
}

static const char *handle_id(struct sbx_handle *h)
{
    return h->record.id;
}

static void handle_release(struct sbx_handle *h)
{
    if (h == NULL)
        return;
    guest_close(h->link);
    record_finish(&h->record);
    free(h);
}

sbx_status handle_make(struct sbx_backend *b, struct record *record, int entry_fd, struct sbx_call *call,
                       struct sbx_handle **out)
{
    CLEANUP_FREE char *data = NULL;
    struct sbx_kvs envs = {0};
    int error = record_read_envs(entry_fd, &data, &envs);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its environment", record->id);
    struct sbx_handle *h = calloc(1, sizeof *h);
    if (h != NULL) {
        h->backend = b;
        h->record = *record;
        memset(record, 0, sizeof *record);
        struct guest_link_options options = {.connect = connect_handle,
                                             .user = h,
                                             .default_user = h->record.user,
                                             .workdir = h->record.workdir,
                                             .envs = &envs};
        h->link = guest_open(&options);
    }
    free((void *)(uintptr_t)envs.items);
    if (h == NULL || h->link == NULL) {
        handle_release(h);
        return call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory");
    }
    *out = h;
    return SBX_OK;
}

static sbx_status handle_remove(struct sbx_handle *h, struct sbx_call *call)
{
    return sandbox_destroy(h->backend, h->record.id, call);
}

/* --- reports ----------------------------------------------------------------------------------------------------- */

struct facts {
    struct sbx_kv *items;
    size_t count;
    size_t used;
    char text[FACTS][FACT_SIZE];
};

static void add(struct facts *facts, const char *key, const char *value)
{
    facts->items[facts->count++] = (struct sbx_kv){key, value};
}

static void add_number(struct facts *facts, const char *key, const char *format, uint64_t number)
    __attribute__((format(printf, 3, 0)));
static void add_number(struct facts *facts, const char *key, const char *format, uint64_t number)
{
    if (number == 0 || facts->used == FACTS)
        return;
    char *text = facts->text[facts->used++];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, FACT_SIZE, format, number);
#pragma GCC diagnostic pop
    add(facts, key, text);
}

/* Which limits hold, and by what, stands here: one that is not named is not there. */
static void add_facts(struct facts *facts, const struct record *record)
{
    add(facts, "provider.users", ids_name(&record->ids));
    add(facts, "provider.network", record->network == SBX_NET_FULL ? "full" : "none");
    if (record->image != NULL)
        add(facts, "provider.image", record->image);
    if (record->bound != 0)
        add(facts, "provider.bound", "yes");
    add_number(facts, "provider.pid", "%" PRIu64, (uint64_t)record->pid);
    add_number(facts, "provider.limit.memory", "%" PRIu64 " MiB (cgroup)", record->memory_mib);
    add_number(facts, "provider.limit.cpu", "%" PRIu64 " millicpus (cgroup)", record->cpu_millis);
    add_number(facts, "provider.limit.disk", "%" PRIu64 " MiB (tmpfs)", record->disk_mib);
    add_number(facts, "provider.limit.processes", "%" PRIu64 " (rlimit)", record->processes);
}

int32_t handle_state(int state)
{
    return state == SANDBOX_SUSPENDED ? SBX_STATE_SUSPENDED : SBX_STATE_RUNNING;
}

sbx_status handle_report(const struct record *record, int state, const struct sbx_info_sink *out, struct sbx_call *call)
{
    struct sbx_info_sink sink;
    struct facts facts = {0};
    sbx_view(&sink, sizeof sink, out);
    CLEANUP_FREE struct sbx_kv *items = calloc(record->metadata.count + FACTS, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "info: no memory");
    facts.items = items;
    for (size_t i = 0; i < record->metadata.count; i++)
        add(&facts, record->metadata.items[i].key, record->metadata.items[i].value);
    add_facts(&facts, record);
    struct sbx_info info = {.size = sizeof info,
                            .state = handle_state(state),
                            .id = record->id,
                            .name = record->name,
                            .provider_state = state == SANDBOX_SUSPENDED ? "suspended" : "running",
                            .created_ms = record->created_ms,
                            .expires_ms = record->expires_ms,
                            .metadata = {items, facts.count}};
    if (sink.item(sink.user, &info) != 0)
        return call_fail(call, SBX_E_STOPPED, "info: stopped by the caller");
    return SBX_OK;
}

/* Read again: its life may have been extended since, by anybody. */
sbx_status handle_info(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out)
{
    struct record record = {0};
    CLEANUP_FD int entry_fd = -1;
    sbx_status status = sandbox_find(h->backend, h->record.id, call, &record, &entry_fd);
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->record.id);
    if (status == SBX_OK)
        status = handle_report(&record, sandbox_state(h->backend, &record), out, call);
    record_finish(&record);
    return status;
}

/* --- requests to the guest --------------------------------------------------------------------------------------- */

static uint64_t oom_kills(const struct sbx_handle *h)
{
    return h->record.memory_mib == 0 ? 0 : cgroup_oom_kills(h->record.cgroups, h->record.cgroup_count);
}

static sbx_status handle_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                              struct sbx_exec_result *out)
{
    uint64_t before = oom_kills(h);
    sbx_status status = guest_exec(h->link, call, args, h->backend->config.timeout_ms, out);
    if (status == SBX_OK && out != NULL && oom_kills(h) > before) {
        struct sbx_exec_result result;
        sbx_view(&result, sizeof result, out);
        if (result.exit_code != 0)
            result.flags |= SBX_OUT_OF_MEMORY;
        sbx_give(out, &result, sizeof result);
    }
    return status;
}

sbx_status guest_slot_enter(struct sbx_handle *h, struct sbx_call *call, struct guest_link **link)
{
    (void)call;
    *link = h->link;
    return SBX_OK;
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

const void *handle_extension(const char *id)
{
    const void *table = guest_slot_extension(id);
    return table != NULL ? table : handle_more(id);
}

static uint32_t handle_support(struct sbx_handle *h, const char *id)
{
    (void)h;
    return handle_extension(id) != NULL ? SBX_SUPPORT_NATIVE : SBX_SUPPORT_NONE;
}

const struct sbx_handle_ops handle_ops = {
    .size = sizeof handle_ops,
    .id = handle_id,
    .release = handle_release,
    .remove = handle_remove,
    .support = handle_support,
    .info = handle_info,
    .exec = handle_exec,
    .read_file = guest_slot_read_file,
    .write_file = guest_slot_write_file,
};
