/* SPDX-License-Identifier: MIT
 *
 * gc.c - sweeping: what expired, and what was bound to a process that is proven dead. By label, never by name; whatever
 * cannot be proven is kept.
 */
#include "host/api.h"
#include "host/error.h"
#include "host/identity.h"

#include <string.h>
#include <time.h>

struct sweep {
    struct sbx_context *ctx;
    struct sbx_gc_options options;
    struct api_span span;
    void (*report)(void *user, const char *id, const char *reason, const char *problem);
    void *user;
    struct sbx_error first; /* the first thing that went wrong */
    struct sbx_error unreached;
    size_t reached; /* instances */
};

static int64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *label(const struct sbx_info *info, const char *key)
{
    for (size_t i = 0; i < info->metadata.count; i++) {
        const struct sbx_kv *kv = &info->metadata.items[i];
        if (kv->key != NULL && kv->value != NULL && strcmp(kv->key, key) == 0)
            return kv->value;
    }
    return NULL;
}

/* Why this one is to go, or NULL. */
static const char *reason_for(const struct sweep *s, const struct sbx_info *info)
{
    const char *managed = label(info, "sbx.managed");
    const char *owner = label(info, "sbx.owner");
    if (managed == NULL || strcmp(managed, "1") != 0)
        return NULL;
    if ((s->options.flags & SBX_GC_ALL) != 0)
        return "made by libsbx";
    if (info->expires_ms > 0 && info->expires_ms <= wall_ms())
        return "expired";
    if (owner != NULL && identity_owner_state(owner) == IDENTITY_DEAD)
        return "its owner is dead";
    return NULL;
}

struct again {
    const struct sweep *sweep;
    const char *reason;
};

static void look_again(void *user, const struct sbx_info *info)
{
    struct again *again = user;
    again->reason = reason_for(again->sweep, info);
}

/* Asks once more just before the end: its life may have been made longer since the list was written. */
static sbx_status remove_one(struct sweep *s, const char *id, const char **reason, struct sbx_error *error)
{
    struct sbx_sandbox *box = NULL;
    struct again again = {.sweep = s};
    sbx_status status = sbx_attach(s->ctx, id, api_span_next(&s->span), &box, error);
    if (status == SBX_E_NOT_FOUND)
        return SBX_OK; /* somebody else was faster, or nothing but its record was left */
    if (status != SBX_OK)
        return status;
    status = sbx_inspect(box, api_span_next(&s->span), look_again, &again, error);
    if (status == SBX_OK)
        *reason = again.reason;
    if (status == SBX_E_GONE || (status == SBX_OK && again.reason != NULL))
        status = sbx_remove(box, api_span_next(&s->span), error);
    sbx_release(box);
    return status;
}

static void keep_first(struct sweep *s, const struct sbx_error *error)
{
    if (s->first.code == SBX_OK)
        s->first = *error;
}

static void sweep_one(void *user, const struct sbx_info *info)
{
    struct sweep *s = user;
    struct sbx_error error = SBX_INIT(error);
    const char *reason = reason_for(s, info);
    if (reason == NULL || s->first.code == SBX_E_CANCELLED || s->first.code == SBX_E_TIMEOUT)
        return;
    const char *now = reason;
    sbx_status status = SBX_OK;
    if ((s->options.flags & SBX_GC_DRY_RUN) == 0)
        status = remove_one(s, info->id, &now, &error);
    if (now == NULL)
        return;
    if (status != SBX_OK)
        keep_first(s, &error);
    if (s->report != NULL)
        s->report(s->user, info->id, reason, status != SBX_OK ? error.message : NULL);
}

static void sweep_instance(struct sweep *s, const char *instance)
{
    static const struct sbx_kv ours = {"sbx.managed", "1"};
    const struct sbx_list_options list = {.size = sizeof list, .provider = instance, .labels = {&ours, 1}};
    struct sbx_error error = SBX_INIT(error);
    sbx_status status = sbx_list(s->ctx, &list, api_span_next(&s->span), sweep_one, s, &error);
    if (status == SBX_OK) {
        s->reached++;
        return;
    }
    const struct instance *found = context_find(s->ctx, instance, strlen(instance));
    log_line(s->ctx->log, context_failure_level(found, status), "gc", "%s", error.message);
    if (s->unreached.code == SBX_OK || status == SBX_E_CANCELLED || status == SBX_E_TIMEOUT)
        s->unreached = error;
}

/* An instance that cannot be reached matters when none could, and when the caller's patience was the reason. */
static sbx_status verdict(struct sweep *s, struct sbx_error *error)
{
    const struct sbx_error *why = &s->first;
    sbx_status code = s->unreached.code;
    if (code != SBX_OK && (s->reached == 0 || code == SBX_E_CANCELLED || code == SBX_E_TIMEOUT))
        why = &s->unreached;
    if (why->code != SBX_OK)
        error_give(error, why);
    return why->code;
}

sbx_status sbx_gc(sbx_context *ctx, const struct sbx_gc_options *options, const struct sbx_call_options *call,
                  void (*report)(void *user, const char *id, const char *reason, const char *problem), void *user,
                  struct sbx_error *error)
{
    struct sweep s = {.ctx = ctx, .options = SBX_INIT(s.options), .report = report};
    s.user = user;
    s.first.size = sizeof s.first;
    if (ctx == NULL)
        return error_set(error, SBX_E_INVALID, "gc: no context given");
    sbx_status status = options != NULL ? api_take(&s.options, sizeof s.options, options, "gc", error) : SBX_OK;
    if (status == SBX_OK)
        status = api_span_begin(&s.span, call, "gc", error);
    if (status != SBX_OK)
        return status;
    if ((s.options.flags & ~(uint32_t)(SBX_GC_ALL | SBX_GC_DRY_RUN)) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "gc: unknown flags 0x%x", s.options.flags);
    const char *only = s.options.provider;
    if (only != NULL && context_find(ctx, only, strlen(only)) == NULL)
        return error_set(error, SBX_E_CONFIG, "gc: no provider named '%s' is configured", only);
    if (s.options.provider != NULL)
        sweep_instance(&s, s.options.provider);
    for (size_t i = 0; s.options.provider == NULL && i < ctx->instance_count; i++)
        sweep_instance(&s, ctx->instances[i].name);
    return verdict(&s, error);
}
