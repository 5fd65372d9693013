/* SPDX-License-Identifier: MIT
 *
 * api_snapshot.c - snapshots of sandboxes: begun, asked about until they are done, listed and removed.
 */
#include "base/cleanup.h"
#include "host/api.h"
#include "host/error.h"
#include "host/info.h"

#define PAUSE_FIRST_MS   100
#define PAUSE_LONGEST_MS 5000

/* --- reports, kept while the provider is inside ------------------------------------------------------------------- */

struct snapshot_node {
    struct snapshot_node *next;
    struct sbx_snapshot_info info;
};
struct snapshot_list {
    struct arena arena;
    struct snapshot_node *first;
    struct snapshot_node **end;
    size_t count;
    const struct sbx_list_options *filter; /* NULL: all */
    const char *instance;
};

static void list_init(struct snapshot_list *list, const char *instance)
{
    *list = (struct snapshot_list){.instance = instance};
    arena_init(&list->arena, INFO_LIST_MAX);
    list->end = &list->first;
}

static void list_finish(struct snapshot_list *list)
{
    arena_finish(&list->arena);
}

static int is_full(const struct snapshot_list *list)
{
    return list->filter != NULL && list->filter->limit != 0 && list->count >= list->filter->limit;
}

static int32_t add(void *user, const struct sbx_snapshot *theirs)
{
    struct snapshot_list *list = user;
    struct sbx_snapshot s;
    if (list->arena.failed != 0 || is_full(list))
        return 1;
    sbx_view(&s, sizeof s, theirs);
    if (!border_id_is_sane(s.id))
        return 0;
    if (s.metadata.items == NULL)
        s.metadata.count = 0;
    if (list->filter != NULL && !info_has_labels(&s.metadata, &list->filter->labels))
        return 0;
    struct arena *a = &list->arena;
    struct snapshot_node *node = arena_alloc(a, sizeof *node);
    if (node == NULL)
        return 1;
    node->info = (struct sbx_snapshot_info){
        .size = sizeof node->info,
        .state = s.state < SBX_SNAP_UNKNOWN || s.state > SBX_SNAP_DELETED ? SBX_SNAP_UNKNOWN : s.state,
        .id = info_full_id(a, list->instance, s.id),
        .name = arena_text(a, s.name),
        .failure = arena_text(a, s.failure),
        .created_ms = s.created_ms,
        .labels = arena_kvs(a, &s.metadata)};
    if (a->failed != 0)
        return 1;
    *list->end = node;
    list->end = &node->next;
    list->count++;
    return 0;
}

static struct sbx_snapshot_sink list_sink(struct snapshot_list *list)
{
    return (struct sbx_snapshot_sink){.size = sizeof(struct sbx_snapshot_sink), .user = list, .item = add};
}

static void report_all(const struct snapshot_list *list, sbx_snapshot_report *report, void *user)
{
    for (const struct snapshot_node *node = list->first; report != NULL && node != NULL; node = node->next)
        report(user, &node->info);
}

static sbx_status list_verdict(struct border_call *c, const struct snapshot_list *list, sbx_status status)
{
    if (list->arena.failed != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "the answer needs more memory than there is");
    return status == SBX_E_STOPPED && is_full(list) ? SBX_OK : status;
}

/* Exactly one was to be reported. */
static sbx_status one_verdict(struct border_call *c, const struct snapshot_list *list, sbx_status status)
{
    status = list_verdict(c, list, status);
    if (status == SBX_OK && list->count != 1)
        return border_fail(c, SBX_E_PROTOCOL, "the provider reported %zu snapshots instead of one", list->count);
    return status;
}

/* --- making ----------------------------------------------------------------------------------------------------- */

/* Asks with growing pauses until the one in `list` is no longer running. */
static sbx_status wait_done(struct border_call *c, struct sbx_sandbox *box, struct snapshot_list *list)
{
    int64_t pause_ms = PAUSE_FIRST_MS;
    char native[SBX_ID_SIZE];
    (void)snprintf(native, sizeof native, "%s", list->first->info.id + strlen(list->instance) + 1);
    while (list->first->info.state == SBX_SNAP_RUNNING || list->first->info.state == SBX_SNAP_UNKNOWN) {
        sbx_status status = gate_poll(&c->call, -1, 0, gate_now_ns() + pause_ms * 1000000);
        if (status != SBX_E_BUSY) {
            (void)border_fail(c, status, "%s", "");
            (void)snprintf(c->error.resource_id, sizeof c->error.resource_id, "%s", list->first->info.id);
            return status;
        }
        pause_ms = pause_ms * 3 / 2 < PAUSE_LONGEST_MS ? pause_ms * 3 / 2 : PAUSE_LONGEST_MS;
        const char *instance = list->instance;
        list_finish(list);
        list_init(list, instance);
        struct sbx_snapshot_sink sink = list_sink(list);
        status = one_verdict(c, list, border_snapshot_query(c, box->instance, native, &sink));
        if (status != SBX_OK)
            return status;
    }
    const struct sbx_snapshot_info *info = &list->first->info;
    if (info->state == SBX_SNAP_DONE)
        return SBX_OK;
    return border_fail(c, SBX_E_FAILED, "the snapshot %s%s%s",
                       info->state == SBX_SNAP_FAILED ? "failed" : "was deleted", info->failure != NULL ? ": " : "",
                       info->failure != NULL ? info->failure : "");
}

static sbx_status make(struct sbx_sandbox *box, const struct sbx_snapshot_options *options,
                       const struct sbx_call_options *call, int waits, sbx_snapshot_report *report, void *user,
                       struct sbx_error *error)
{
    struct border_call c;
    struct sbx_snapshot_options o = SBX_INIT(o);
    sbx_status status = options != NULL ? api_take(&o, sizeof o, options, "snapshot", error) : SBX_OK;
    if (status == SBX_OK)
        status = api_check_kvs(&o.labels, "snapshot: labels", error);
    if (status == SBX_OK && o.flags != 0)
        status = error_set(error, SBX_E_UNSUPPORTED, "snapshot: unknown flags 0x%x", o.flags);
    if (status == SBX_OK)
        status = api_begin(&c, box, "snapshot", SBX_EXT_SNAPSHOT, call, error);
    if (status != SBX_OK)
        return status;
    const struct sbx_snapshot_args args = {
        .size = sizeof args, .name = o.name, .comment = o.comment, .metadata = o.labels};
    CLEANUP(list_finish) struct snapshot_list list;
    list_init(&list, box->instance->name);
    struct sbx_snapshot_sink sink = list_sink(&list);
    status = one_verdict(&c, &list, border_snapshot_begin(&c, box, &args, &sink));
    if (status == SBX_OK && waits)
        status = wait_done(&c, box, &list);
    status = border_end(&c, status, error);
    if (status == SBX_OK)
        report_all(&list, report, user);
    return status;
}

sbx_status sbx_snapshot_begin(sbx_sandbox *box, const struct sbx_snapshot_options *options,
                              const struct sbx_call_options *call, sbx_snapshot_report *report, void *user,
                              struct sbx_error *error)
{
    return make(box, options, call, 0, report, user, error);
}

sbx_status sbx_snapshot_create(sbx_sandbox *box, const struct sbx_snapshot_options *options,
                               const struct sbx_call_options *call, sbx_snapshot_report *report, void *user,
                               struct sbx_error *error)
{
    return make(box, options, call, 1, report, user, error);
}

/* --- asking and removing ------------------------------------------------------------------------------------------ */

/* Begins a call about a snapshot of that id; on failure it is ended too. */
static sbx_status id_begin(struct border_call *c, sbx_context *ctx, const char *id, const struct sbx_call_options *call,
                           struct instance **instance, const char **native, struct sbx_error *error)
{
    if (ctx == NULL)
        return error_set(error, SBX_E_INVALID, "snapshot: no context given");
    sbx_status status = context_locate(ctx, id, instance, native, error);
    if (status != SBX_OK)
        return error_wrap(error, status, "snapshot");
    status = border_begin(c, ctx->log, "snapshot", id, call);
    if (status == SBX_OK)
        status = border_open(c, *instance);
    if (status == SBX_OK && !context_offers(*instance, SBX_EXT_SNAPSHOT))
        status = border_fail(c, SBX_E_UNSUPPORTED, "the provider does not offer %s", SBX_EXT_SNAPSHOT);
    return status == SBX_OK ? SBX_OK : border_end(c, status, error);
}

sbx_status sbx_snapshot_query(sbx_context *ctx, const char *id, const struct sbx_call_options *call,
                              sbx_snapshot_report *report, void *user, struct sbx_error *error)
{
    struct border_call c;
    struct instance *instance;
    const char *native;
    sbx_status status = id_begin(&c, ctx, id, call, &instance, &native, error);
    if (status != SBX_OK)
        return status;
    CLEANUP(list_finish) struct snapshot_list list;
    list_init(&list, instance->name);
    struct sbx_snapshot_sink sink = list_sink(&list);
    status = border_snapshot_query(&c, instance, native, &sink);
    if (status == SBX_E_NOT_FOUND)
        (void)border_fail(&c, status, "no such snapshot");
    status = border_end(&c, one_verdict(&c, &list, status), error);
    if (status == SBX_OK)
        report_all(&list, report, user);
    return status;
}

sbx_status sbx_snapshot_remove(sbx_context *ctx, const char *id, const struct sbx_call_options *call,
                               struct sbx_error *error)
{
    struct border_call c;
    struct instance *instance;
    const char *native;
    sbx_status status = id_begin(&c, ctx, id, call, &instance, &native, error);
    if (status != SBX_OK)
        return status;
    status = border_snapshot_remove(&c, instance, native);
    return border_end(&c, status == SBX_E_NOT_FOUND ? SBX_OK : status, error);
}

/* --- listing ---------------------------------------------------------------------------------------------------- */

/* One instance's part. SBX_E_UNSUPPORTED where it has no snapshots. */
static sbx_status list_instance(struct instance *instance, const struct sbx_list_options *o,
                                const struct sbx_call_options *call, struct snapshot_list *list,
                                struct sbx_error *error)
{
    struct border_call c;
    struct sbx_list_args args = {.size = sizeof args,
                                 .limit = o->limit != 0 ? o->limit - (uint32_t)list->count : 0,
                                 .metadata = o->labels,
                                 .after = o->after};
    sbx_status status = border_begin(&c, instance->context->log, "snapshot", instance->name, call);
    list->instance = instance->name;
    struct sbx_snapshot_sink sink = list_sink(list);
    if (status == SBX_OK)
        status = border_open(&c, instance);
    if (status == SBX_OK && !context_offers(instance, SBX_EXT_SNAPSHOT))
        status = border_fail(&c, SBX_E_UNSUPPORTED, "the provider does not offer %s", SBX_EXT_SNAPSHOT);
    if (status == SBX_OK)
        status = list_verdict(&c, list, border_snapshot_list(&c, instance, &args, &sink));
    return border_end(&c, status, error);
}

/* Everybody's; one that cannot be reached is said in the log, and is an error only when none could. */
static sbx_status list_all(sbx_context *ctx, const struct sbx_list_options *o, const struct sbx_call_options *call,
                           struct snapshot_list *list, struct sbx_error *error)
{
    struct sbx_error first = SBX_INIT(first);
    struct api_span span;
    size_t reached = 0;
    sbx_status status = api_span_begin(&span, call, "snapshot", error);
    if (status != SBX_OK)
        return status;
    for (size_t i = 0; i < ctx->instance_count && !is_full(list); i++) {
        struct sbx_error one = SBX_INIT(one);
        status = list_instance(&ctx->instances[i], o, api_span_next(&span), list, &one);
        if (status == SBX_OK || status == SBX_E_UNSUPPORTED) {
            reached++;
            continue;
        }
        if (first.code == SBX_OK)
            first = one;
        if (status == SBX_E_CANCELLED || status == SBX_E_NO_MEMORY || status == SBX_E_INVALID) {
            reached = 0;
            break;
        }
        log_line(ctx->log, context_failure_level(&ctx->instances[i], status), "snapshot", "%s", one.message);
    }
    if (first.code == SBX_OK || reached > 0)
        return SBX_OK;
    error_give(error, &first);
    return first.code;
}

sbx_status sbx_snapshot_list(sbx_context *ctx, const struct sbx_list_options *options,
                             const struct sbx_call_options *call, sbx_snapshot_report *report, void *user,
                             struct sbx_error *error)
{
    struct sbx_list_options o = SBX_INIT(o);
    if (ctx == NULL)
        return error_set(error, SBX_E_INVALID, "snapshot: no context given");
    sbx_status status = options != NULL ? api_take(&o, sizeof o, options, "snapshot", error) : SBX_OK;
    if (status == SBX_OK)
        status = api_check_kvs(&o.labels, "snapshot: labels", error);
    if (status != SBX_OK)
        return status;
    if (o.flags != 0 || o.state_mask != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "snapshot: no flags and no states are known for a list");
    if (o.after != NULL && o.provider == NULL)
        return error_set(error, SBX_E_INVALID, "snapshot: 'after' needs a provider");
    CLEANUP(list_finish) struct snapshot_list list;
    list_init(&list, "");
    list.filter = &o;
    if (o.provider != NULL) {
        struct instance *instance = context_find(ctx, o.provider, strlen(o.provider));
        if (instance == NULL)
            return error_set(error, SBX_E_CONFIG, "snapshot: no provider named '%s' is configured", o.provider);
        status = list_instance(instance, &o, call, &list, error);
    } else {
        status = list_all(ctx, &o, call, &list, error);
    }
    if (status == SBX_OK)
        report_all(&list, report, user);
    return status;
}
