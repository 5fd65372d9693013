/* SPDX-License-Identifier: MIT
 *
 * api_life.c - a sandbox's beginning, end, and what can be asked about it.
 */
#include "base/cleanup.h"
#include "host/api.h"
#include "host/emulate.h"
#include "host/error.h"
#include "host/identity.h"
#include "host/op.h"
#include "host/route.h"

#include <stdlib.h>
#include <string.h>

/* --- create ----------------------------------------------------------------------------------------------------- */

struct create_run {
    struct sbx_context *ctx;
    struct sbx_create_options options;
    struct border_call call;
};

static sbx_status check_create(const struct sbx_create_options *o, struct sbx_error *error)
{
    int origins = (o->image != NULL) + (o->blueprint != NULL) + (o->snapshot != NULL);
    if (origins > 1)
        return error_set(error, SBX_E_INVALID, "create: at most one of image, blueprint and snapshot");
    if ((o->flags & ~(uint32_t)SBX_CREATE_WITH_CALLER) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "create: unknown flags 0x%x", o->flags);
    if (o->network > SBX_NET_ALLOW_LIST)
        return error_set(error, SBX_E_INVALID, "create: unknown network mode %u", o->network);
    if ((o->network_allow != NULL) != (o->network == SBX_NET_ALLOW_LIST))
        return error_set(error, SBX_E_INVALID, "create: an allow list goes with the network mode of that name, only");
    sbx_status status = api_check_kvs(&o->envs, "create: environment", error);
    if (status == SBX_OK)
        status = api_check_kvs(&o->labels, "create: labels", error);
    if (status == SBX_OK)
        status = api_check_kvs(&o->provider_options, "create: provider options", error);
    for (size_t i = 0; status == SBX_OK && i < o->envs.count; i++)
        if (strchr(o->envs.items[i].key, '=') != NULL)
            return error_set(error, SBX_E_INVALID, "create: environment: the name '%s' has a '='",
                             o->envs.items[i].key);
    for (size_t i = 0; status == SBX_OK && i < o->labels.count; i++)
        if (strncmp(o->labels.items[i].key, "sbx.", 4) == 0)
            return error_set(error, SBX_E_INVALID, "create: label '%s': names that begin with 'sbx.' are reserved",
                             o->labels.items[i].key);
    return status;
}

static sbx_status check_required(struct border_call *c, const struct instance *instance,
                                 const struct sbx_create_options *o)
{
    for (const char *const *id = o->require; id != NULL && *id != NULL; id++)
        if (!context_offers(instance, *id) && !emulate_can(*id))
            return border_fail(c, SBX_E_UNSUPPORTED, "the provider does not offer %s", *id);
    return SBX_OK;
}

static void fill_args(struct sbx_create_args *args, const struct sbx_create_options *o, const struct config *config)
{
    *args = (struct sbx_create_args){.size = sizeof *args,
                                     .flags = (o->flags & SBX_CREATE_WITH_CALLER) != 0 ? SBX_CREATE_BOUND : 0,
                                     .image = o->image,
                                     .blueprint = o->blueprint,
                                     .snapshot = o->snapshot,
                                     .name = o->name,
                                     .client_token = o->client_token,
                                     .workdir = o->workdir,
                                     .user = o->user,
                                     .envs = o->envs,
                                     .provider = o->provider_options,
                                     .timeout_s = o->lifetime_s != 0 ? o->lifetime_s : config->lifetime_s,
                                     .idle_timeout_s = o->idle_timeout_s,
                                     .cpu_millis = o->cpu_millis,
                                     .memory_mib = o->memory_mib,
                                     .disk_mib = o->disk_mib,
                                     .network = o->network,
                                     .network_allow = o->network_allow};
}

/* The provider's own id becomes one that attach takes wherever it was made; a token stays what it is. */
static void name_fully(struct sbx_error *error, const char *instance, const char *token)
{
    char full[sizeof error->resource_id];
    if (error->resource_id[0] == '\0' || strcmp(error->resource_id, token) == 0)
        return;
    if (snprintf(full, sizeof full, "%s/%s", instance, error->resource_id) < (int)sizeof full)
        memcpy(error->resource_id, full, sizeof full);
}

static sbx_status create_by(struct create_run *run, struct instance *instance, const struct sbx_create_args *args,
                            struct sbx_sandbox **out)
{
    struct border_call *c = &run->call;
    c->subject = instance->name;
    sbx_status status = border_open(c, instance);
    if (status == SBX_OK)
        status = check_required(c, instance, &run->options);
    if (status == SBX_OK)
        status = border_create(c, instance, args, out);
    if (status != SBX_OK && c->error.resource_id[0] == '\0' &&
        (status == SBX_E_UNKNOWN || (c->error.flags & SBX_ERR_MAYBE_APPLIED) != 0))
        (void)snprintf(c->error.resource_id, sizeof c->error.resource_id, "%s", args->client_token);
    if (status != SBX_OK)
        name_fully(&c->error, instance->name, args->client_token);
    return status;
}

/* Tries the candidates in order: the next one only when nothing can have been made by the one before. */
static sbx_status create_anywhere(struct create_run *run, const struct sbx_create_args *args, struct sbx_sandbox **out)
{
    struct route_choice choice;
    sbx_status status = route_choose(run->ctx->config, &run->options, &choice, &run->call.error);
    if (status != SBX_OK)
        return status;
    for (size_t i = 0; route_name(&choice, i) != NULL; i++) {
        const char *name = route_name(&choice, i);
        struct instance *instance = context_find(run->ctx, name, strlen(name));
        if (instance == NULL)
            return config_no_instance(run->ctx->config, name, &run->call.error);
        status = create_by(run, instance, args, out);
        if (status != SBX_E_UNAVAILABLE || (run->call.error.flags & SBX_ERR_MAYBE_APPLIED) != 0)
            return status;
        if (route_name(&choice, i + 1) != NULL)
            log_line(run->ctx->log, SBX_LOG_WARN, "create", "%s: %s; trying %s", name, run->call.error.message,
                     route_name(&choice, i + 1));
    }
    return status;
}

static sbx_status create_perform(struct create_run *run, struct sbx_sandbox **out, struct sbx_error *error)
{
    char token[IDENTITY_TOKEN_SIZE];
    char owner[IDENTITY_OWNER_SIZE];
    const struct sbx_create_options *o = &run->options;
    struct sbx_create_args args;
    fill_args(&args, o, run->ctx->config);
    if (args.client_token == NULL) {
        if (identity_token(token) != 0)
            return error_set(error, SBX_E_FAILED, "create: no random bytes for a token");
        args.client_token = token;
    }
    if (o->labels.count > SIZE_MAX / sizeof(struct sbx_kv) - 3)
        return error_no_memory(error);
    CLEANUP_FREE struct sbx_kv *metadata = calloc(o->labels.count + 3, sizeof *metadata);
    if (metadata == NULL)
        return error_no_memory(error);
    size_t count = o->labels.count;
    if (count > 0)
        memcpy(metadata, o->labels.items, count * sizeof *metadata);
    metadata[count++] = (struct sbx_kv){"sbx.managed", "1"};
    metadata[count++] = (struct sbx_kv){"sbx.token", args.client_token};
    if ((o->flags & SBX_CREATE_WITH_CALLER) != 0) {
        identity_owner(owner);
        metadata[count++] = (struct sbx_kv){"sbx.owner", owner};
    }
    args.metadata = (struct sbx_kvs){metadata, count};
    sbx_status status = create_anywhere(run, &args, out);
    return border_end(&run->call, status, error);
}

/* A snapshot lives at one provider: INSTANCE/ID names that, and the plugin is given its own id. */
static sbx_status place_snapshot(struct sbx_context *ctx, struct sbx_create_options *o, struct sbx_error *error)
{
    const char *slash = o->snapshot != NULL ? strchr(o->snapshot, '/') : NULL;
    struct instance *instance = slash != NULL ? context_find(ctx, o->snapshot, (size_t)(slash - o->snapshot)) : NULL;
    if (instance == NULL || slash[1] == '\0')
        return SBX_OK;
    if (o->provider != NULL && strcmp(o->provider, instance->name) != 0)
        return error_set(error, SBX_E_INVALID, "create: the snapshot '%s' is not of the provider '%s'", o->snapshot,
                         o->provider);
    o->provider = instance->name;
    o->snapshot = slash + 1;
    return SBX_OK;
}

static sbx_status create_prepare(struct create_run *run, struct sbx_context *ctx,
                                 const struct sbx_create_options *options, struct sbx_error *error)
{
    if (ctx == NULL)
        return error_set(error, SBX_E_INVALID, "create: no context given");
    run->ctx = ctx;
    sbx_status status = api_take(&run->options, sizeof run->options, options, "create", error);
    if (status == SBX_OK)
        status = check_create(&run->options, error);
    return status == SBX_OK ? place_snapshot(ctx, &run->options, error) : status;
}

sbx_status sbx_create(sbx_context *ctx, const struct sbx_create_options *options, const struct sbx_call_options *call,
                      sbx_sandbox **out, struct sbx_error *error)
{
    struct create_run run;
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "create: no place for the sandbox");
    *out = NULL;
    sbx_status status = create_prepare(&run, ctx, options, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(&run.call, ctx->log, "create", NULL, call);
    if (status != SBX_OK)
        return border_end(&run.call, status, error);
    return create_perform(&run, out, error);
}

static void copy_create(struct arena *a, struct sbx_create_options *o)
{
    const char **texts[] = {&o->provider, &o->image,        &o->blueprint, &o->snapshot,
                            &o->name,     &o->client_token, &o->workdir,   &o->user};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = arena_text(a, *texts[i]);
    o->envs = arena_kvs(a, &o->envs);
    o->labels = arena_kvs(a, &o->labels);
    o->provider_options = arena_kvs(a, &o->provider_options);
    o->network_allow = arena_texts(a, o->network_allow);
    o->require = arena_texts(a, o->require);
}

static sbx_status create_worker(struct sbx_op *op, struct sbx_error *error)
{
    struct create_run *run = op->work;
    sbx_status status = create_perform(run, &op->box, error);
    (void)pthread_mutex_lock(&op->lock);
    int cancelled = op->cancelled;
    (void)pthread_mutex_unlock(&op->lock);
    if (status != SBX_OK || !cancelled)
        return status;
    /* It came too late for who asked: nothing may be left. */
    struct sbx_sandbox *box = STEAL(op->box);
    const struct sbx_call_options limit = {.size = sizeof limit, .deadline_ms = 30000};
    status = sbx_remove(box, &limit, error);
    if (status == SBX_OK)
        status = error_set(error, SBX_E_CANCELLED, "create %s: cancelled", run->call.subject);
    sbx_release(box);
    return status;
}

sbx_status sbx_create_start(sbx_context *ctx, const struct sbx_create_options *options,
                            const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error)
{
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "create: no place for the operation");
    *out = NULL;
    struct sbx_op *op = ctx != NULL ? op_create(ctx) : NULL;
    struct create_run *run = op != NULL ? arena_alloc(&op->arena, sizeof *run) : NULL;
    if (run == NULL) {
        sbx_op_free(op);
        return ctx == NULL ? error_set(error, SBX_E_INVALID, "create: no context given") : error_no_memory(error);
    }
    const struct op_callbacks none = {0};
    op->work = run;
    op->run = create_worker;
    sbx_status status = create_prepare(run, ctx, options, error);
    if (status == SBX_OK)
        status = op_begin(op, &run->call, &none, "create", NULL, call, error);
    if (status == SBX_OK) {
        copy_create(&op->arena, &run->options);
        status = op->arena.failed != 0 ? error_no_memory(error) : op_launch(op, error);
    }
    if (status != SBX_OK) {
        sbx_op_free(op);
        return status;
    }
    *out = op;
    return SBX_OK;
}

/* --- handles ---------------------------------------------------------------------------------------------------- */

static sbx_status attach(struct border_call *c, sbx_context *ctx, const char *id, const struct sbx_call_options *call,
                         const char *verb, struct sbx_sandbox **out, struct sbx_error *error)
{
    struct instance *instance = NULL;
    const char *native = NULL;
    if (ctx == NULL)
        return error_set(error, SBX_E_INVALID, "%s: no context given", verb);
    sbx_status status = context_locate(ctx, id, &instance, &native, error);
    if (status != SBX_OK)
        return error_wrap(error, status, "%s", verb);
    char subject[2 * SBX_ID_SIZE];
    (void)snprintf(subject, sizeof subject, "%s/%s", instance->name, native);
    status = border_begin(c, ctx->log, verb, subject, call);
    if (status == SBX_OK)
        status = border_open(c, instance);
    if (status == SBX_OK) {
        status = border_attach(c, instance, native, out);
        if (status == SBX_E_GONE)
            status = SBX_E_NOT_FOUND;
        if (status == SBX_E_NOT_FOUND)
            (void)border_fail(c, status, "no such sandbox");
    }
    status = border_end(c, status, error);
    c->subject = NULL;
    return status;
}

sbx_status sbx_attach(sbx_context *ctx, const char *id, const struct sbx_call_options *call, sbx_sandbox **out,
                      struct sbx_error *error)
{
    struct border_call c;
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "attach: no place for the sandbox");
    *out = NULL;
    return attach(&c, ctx, id, call, "attach", out, error);
}

const char *sbx_id(const sbx_sandbox *box)
{
    return box != NULL ? box->id : NULL;
}

void sbx_release(sbx_sandbox *box)
{
    border_release(box);
}

sbx_status sbx_remove(sbx_sandbox *box, const struct sbx_call_options *call, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_check_box(box, "remove", error);
    if (status != SBX_OK)
        return status;
    status = border_begin(&c, box->instance->context->log, "remove", box->id, call);
    if (status == SBX_OK)
        status = border_remove(&c, box);
    if (status == SBX_E_GONE || status == SBX_E_NOT_FOUND)
        status = SBX_OK;
    return border_end(&c, status, error);
}

sbx_status sbx_remove_id(sbx_context *ctx, const char *id, const struct sbx_call_options *call, struct sbx_error *error)
{
    struct border_call c;
    struct api_span span;
    struct sbx_sandbox *box = NULL;
    struct sbx_error first = SBX_INIT(first);
    sbx_status status = api_span_begin(&span, call, "remove", error);
    if (status != SBX_OK)
        return status;
    status = attach(&c, ctx, id, api_span_next(&span), "remove", &box, &first);
    if (status == SBX_E_NOT_FOUND)
        return SBX_OK;
    if (status != SBX_OK) {
        error_give(error, &first);
        return status;
    }
    status = sbx_remove(box, api_span_next(&span), error);
    sbx_release(box);
    return status;
}

uint32_t sbx_support(const sbx_sandbox *box, const char *capability)
{
    if (box == NULL || capability == NULL)
        return SBX_SUPPORT_NONE;
    uint32_t theirs = border_support(box, capability);
    if (theirs != SBX_SUPPORT_NONE)
        return theirs;
    return emulate_can(capability) ? SBX_SUPPORT_EMULATED : SBX_SUPPORT_NONE;
}

/* --- what can be asked ------------------------------------------------------------------------------------------ */

typedef void info_report(void *user, const struct sbx_info *info);

static void report_all(const struct info_list *list, info_report *report, void *user)
{
    for (const struct info_node *node = list->first; report != NULL && node != NULL; node = node->next)
        report(user, &node->info);
}

/* A sink that stopped for want of memory must not look like the caller's wish. */
static sbx_status list_verdict(struct border_call *c, const struct info_list *list, sbx_status status)
{
    if (list->arena.failed != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "the answer needs more memory than there is");
    if (status == SBX_E_STOPPED && list->limit != 0 && list->count >= list->limit)
        return SBX_OK;
    return status;
}

sbx_status sbx_inspect(sbx_sandbox *box, const struct sbx_call_options *call, info_report *report, void *user,
                       struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_check_box(box, "inspect", error);
    if (status != SBX_OK)
        return status;
    status = border_begin(&c, box->instance->context->log, "inspect", box->id, call);
    CLEANUP(info_list_finish) struct info_list list;
    info_list_init(&list, box->instance->name);
    struct sbx_info_sink sink = info_list_sink(&list);
    if (status == SBX_OK)
        status = list_verdict(&c, &list, border_info(&c, box, &sink));
    if (status == SBX_OK && list.count != 1)
        status = border_fail(&c, SBX_E_PROTOCOL, "the provider reported %zu sandboxes instead of this one", list.count);
    status = border_end(&c, status, error);
    if (status == SBX_OK)
        report_all(&list, report, user);
    return status;
}

sbx_status sbx_wait(sbx_sandbox *box, uint32_t state_mask, const struct sbx_call_options *call, info_report *report,
                    void *user, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_check_box(box, "wait", error);
    if (status != SBX_OK)
        return status;
    if ((state_mask & ((2u << SBX_STATE_FAILED) - 1)) == 0)
        return error_set(error, SBX_E_INVALID, "wait %s: no state to wait for", box->id);
    status = border_begin(&c, box->instance->context->log, "wait", box->id, call);
    CLEANUP(info_list_finish) struct info_list list;
    info_list_init(&list, box->instance->name);
    struct sbx_info_sink sink = info_list_sink(&list);
    if (status == SBX_OK && border_support(box, SBX_EXT_WAIT) != SBX_SUPPORT_NONE)
        status = list_verdict(&c, &list, border_wait_state(&c, box, state_mask, &sink));
    else if (status == SBX_OK)
        status = list_verdict(&c, &list, emulate_wait(&c, box, state_mask, &list));
    status = border_end(&c, status, error);
    if (status == SBX_OK)
        report_all(&list, report, user);
    return status;
}

/* One instance's part of a list. */
static sbx_status list_instance(struct instance *instance, const struct sbx_list_options *o,
                                const struct sbx_call_options *call, struct info_list *list, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = border_begin(&c, instance->context->log, "list", instance->name, call);
    struct sbx_list_args args = {.size = sizeof args,
                                 .state_mask = o->state_mask,
                                 .limit = o->limit != 0 ? o->limit - (uint32_t)list->count : 0,
                                 .metadata = o->labels,
                                 .after = o->after};
    list->instance = instance->name;
    struct sbx_info_sink sink = info_list_sink(list);
    if (status == SBX_OK)
        status = border_open(&c, instance);
    if (status == SBX_OK)
        status = list_verdict(&c, list, border_list(&c, instance, &args, &sink));
    return border_end(&c, status, error);
}

/* Everybody's; one that cannot be reached is said in the log, and is an error only when none could. */
static sbx_status list_all(sbx_context *ctx, const struct sbx_list_options *o, const struct sbx_call_options *call,
                           struct info_list *list, struct sbx_error *error)
{
    struct sbx_error first = SBX_INIT(first);
    struct api_span span;
    size_t reached = 0;
    sbx_status status = api_span_begin(&span, call, "list", error);
    if (status != SBX_OK)
        return status;
    for (size_t i = 0; i < ctx->instance_count; i++) {
        struct sbx_error one = SBX_INIT(one);
        if (o->limit != 0 && list->count >= o->limit)
            return SBX_OK;
        status = list_instance(&ctx->instances[i], o, api_span_next(&span), list, &one);
        if (status == SBX_OK) {
            reached++;
            continue;
        }
        if (status == SBX_E_CANCELLED || status == SBX_E_NO_MEMORY || status == SBX_E_INVALID) {
            error_give(error, &one);
            return status;
        }
        log_line(ctx->log, context_failure_level(&ctx->instances[i], status), "list", "%s", one.message);
        if (first.code == SBX_OK)
            first = one;
    }
    if (reached > 0 || ctx->instance_count == 0)
        return SBX_OK;
    error_give(error, &first);
    return first.code;
}

sbx_status sbx_list(sbx_context *ctx, const struct sbx_list_options *options, const struct sbx_call_options *call,
                    info_report *report, void *user, struct sbx_error *error)
{
    struct sbx_list_options o;
    if (ctx == NULL)
        return error_set(error, SBX_E_INVALID, "list: no context given");
    sbx_status status = api_take(&o, sizeof o, options, "list", error);
    if (status == SBX_OK)
        status = api_check_kvs(&o.labels, "list: labels", error);
    if (status != SBX_OK)
        return status;
    if (o.flags != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "list: unknown flags 0x%x", o.flags);
    if (o.after != NULL && o.provider == NULL)
        return error_set(error, SBX_E_INVALID, "list: 'after' needs a provider");
    CLEANUP(info_list_finish) struct info_list list;
    info_list_init(&list, "");
    list.limit = o.limit;
    list.state_mask = o.state_mask;
    list.labels = &o.labels;
    if (o.provider != NULL) {
        struct instance *instance = context_find(ctx, o.provider, strlen(o.provider));
        if (instance == NULL)
            return error_set(error, SBX_E_CONFIG, "list: no provider named '%s' is configured", o.provider);
        status = list_instance(instance, &o, call, &list, error);
    } else {
        status = list_all(ctx, &o, call, &list, error);
    }
    if (status == SBX_OK)
        report_all(&list, report, user);
    return status;
}
