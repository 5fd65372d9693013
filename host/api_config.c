/* SPDX-License-Identifier: MIT
 *
 * api_config.c - what is configured: checking it, and what each provider is and can do.
 */
#include "base/cleanup.h"
#include "host/api.h"
#include "host/arena.h"
#include "host/emulate.h"
#include "host/error.h"

#include <string.h>

sbx_status sbx_config_check(const struct sbx_open_options *options, config_report *report, void *user,
                            struct sbx_error *error)
{
    struct sbx_open_options o;
    sbx_status status = context_take_options(options, "config", &o, error);
    return status == SBX_OK ? config_check(&o, report, user, error) : status;
}

/* --- providers -------------------------------------------------------------------------------------------------- */

static const char *const known_capabilities[] = {
    SBX_EXT_STAT,      SBX_EXT_FS,       SBX_EXT_BATCH, SBX_EXT_ARCHIVE,  SBX_EXT_JOB,         SBX_EXT_JOB_SIGNAL,
    SBX_EXT_JOB_STDIN, SBX_EXT_JOB_LIST, SBX_EXT_TTY,   SBX_EXT_SHELL,    SBX_EXT_SHELL_CLOSE, SBX_EXT_DIAL,
    SBX_EXT_KEEPALIVE, SBX_EXT_SUSPEND,  SBX_EXT_WAIT,  SBX_EXT_SNAPSHOT, SBX_EXT_SSH,         SBX_EXT_TUNNEL};
#define KNOWN_COUNT (sizeof known_capabilities / sizeof known_capabilities[0])

static int is_known(const char *id)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (strcmp(known_capabilities[i], id) == 0)
            return 1;
    return 0;
}

static const char *type_name(uint32_t type)
{
    static const char *const names[] = {"text", "number", "yes/no", "duration", "size", "path"};
    return type < sizeof names / sizeof names[0] ? names[type] : "text";
}

static void fill_keys(struct arena *a, const struct loader_plugin *plugin, struct sbx_provider *out)
{
    struct sbx_key *keys = arena_alloc(a, (plugin->key_count + 1) * sizeof *keys);
    if (keys == NULL)
        return;
    for (size_t i = 0; i < plugin->key_count; i++) {
        const struct sbx_config_key *k = &plugin->keys[i];
        keys[i] = (struct sbx_key){.size = sizeof keys[i],
                                   .type = k->type,
                                   .flags = k->flags,
                                   .name = k->name,
                                   .fallback = k->fallback,
                                   .help = k->help,
                                   .type_name = type_name(k->type)};
    }
    out->keys = keys;
    out->key_count = plugin->key_count;
}

static void fill_capabilities(struct arena *a, const struct instance *instance, struct sbx_provider *out)
{
    const char *const *theirs = instance->plugin->descriptor.extensions;
    size_t extra = 0;
    while (theirs != NULL && theirs[extra] != NULL)
        extra++;
    struct sbx_capability *list = arena_alloc(a, (KNOWN_COUNT + extra + 1) * sizeof *list);
    if (list == NULL)
        return;
    size_t count = 0;
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        const char *id = known_capabilities[i];
        uint32_t support = emulate_can(id) ? SBX_SUPPORT_EMULATED : SBX_SUPPORT_NONE;
        list[count++] = (struct sbx_capability){
            .id = id, .support = context_offers(instance, id) ? (uint32_t)SBX_SUPPORT_NATIVE : support};
    }
    for (size_t i = 0; i < extra; i++)
        if (!is_known(theirs[i]) && context_offers(instance, theirs[i]))
            list[count++] = (struct sbx_capability){.id = theirs[i], .support = SBX_SUPPORT_NATIVE};
    out->capabilities = list;
    out->capability_count = count;
}

/* Opens it for the sake of the answer; a failure is the answer. */
static void fill_provider(struct border_call *c, struct arena *a, struct instance *instance, struct sbx_provider *out)
{
    const struct config *config = instance->context->config;
    struct sbx_error error = SBX_INIT(error);
    const struct loader_plugin *plugin = NULL;
    *out = (struct sbx_provider){.size = sizeof *out,
                                 .instance = instance->name,
                                 .plugin = instance->config->plugin,
                                 .is_default = context_default(instance->context) == instance};
    sbx_status status = SBX_OK;
    if (instance->config->replay != NULL) {
        out->path = instance->config->replay;
        out->version = "replay";
        out->summary = "a recorded session";
    } else {
        status = loader_load((const char *const *)config->plugin_paths, instance->config->plugin,
                             instance->context->log, &plugin, &error);
    }
    if (status != SBX_OK) {
        out->problem = arena_text(a, error.message);
        return;
    }
    if (plugin != NULL) {
        out->path = plugin->path;
        out->version = plugin->descriptor.version;
        out->summary = plugin->descriptor.summary;
        fill_keys(a, plugin, out);
    }
    c->subject = instance->name;
    status = border_open(c, instance);
    if (status == SBX_OK) {
        fill_capabilities(a, instance, out);
        return;
    }
    (void)border_end(c, status, &error);
    out->problem = arena_text(a, error.message);
}

sbx_status sbx_providers(sbx_context *ctx, const struct sbx_call_options *call,
                         void (*report)(void *user, const struct sbx_provider *provider), void *user,
                         struct sbx_error *error)
{
    if (ctx == NULL)
        return error_set(error, SBX_E_INVALID, "providers: no context given");
    struct api_span span;
    sbx_status status = api_span_begin(&span, call, "providers", error);
    if (status != SBX_OK)
        return status;
    for (size_t i = 0; i < ctx->instance_count; i++) {
        struct border_call c;
        struct sbx_provider provider;
        status = border_begin(&c, ctx->log, "open", NULL, api_span_next(&span));
        if (status != SBX_OK)
            return border_end(&c, status, error);
        CLEANUP_ARENA struct arena arena;
        arena_init(&arena, 0);
        fill_provider(&c, &arena, &ctx->instances[i], &provider);
        if (arena.failed != 0)
            return error_no_memory(error);
        if (report != NULL)
            report(user, &provider);
    }
    return SBX_OK;
}
