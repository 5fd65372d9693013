/* SPDX-License-Identifier: MIT */
#include "host/context.h"

#include "base/cleanup.h"
#include "host/error.h"
#include "host/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct instance *context_find(const struct sbx_context *ctx, const char *name, size_t len)
{
    for (size_t i = 0; i < ctx->instance_count; i++) {
        const char *known = ctx->instances[i].name;
        if (strlen(known) == len && memcmp(known, name, len) == 0)
            return &ctx->instances[i];
    }
    return NULL;
}

struct instance *context_default(const struct sbx_context *ctx)
{
    const char *name = ctx->config->default_instance;
    return name != NULL ? context_find(ctx, name, strlen(name)) : NULL;
}

/* 1 for what may stand in an error, a log line or a file name as it is. */
static int is_plain(const char *text, size_t max)
{
    size_t len = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 0x7f || ++len > max)
            return 0;
    }
    return len > 0;
}

sbx_status context_locate(struct sbx_context *ctx, const char *id, struct instance **instance, const char **native,
                          struct sbx_error *error)
{
    if (id == NULL || !is_plain(id, 2 * SBX_ID_SIZE - 2))
        return error_set(error, SBX_E_INVALID, "the id: expected INSTANCE/ID, printable and without spaces");
    const char *slash = strchr(id, '/');
    *native = slash != NULL ? slash + 1 : id;
    if (**native == '\0' || slash == id || strlen(*native) >= SBX_ID_SIZE)
        return error_set(error, SBX_E_INVALID, "the id '%s': expected INSTANCE/ID", id);
    if (slash == NULL) {
        *instance = context_default(ctx);
        if (*instance == NULL)
            return error_set(error, SBX_E_CONFIG, "%s: no default provider; give the id as INSTANCE/ID", id);
        return SBX_OK;
    }
    *instance = context_find(ctx, id, (size_t)(slash - id));
    if (*instance == NULL)
        return error_set(error, SBX_E_CONFIG, "%s: no provider named '%.*s' is configured", id, (int)(slash - id), id);
    return SBX_OK;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static void host_log(void *user, int32_t level, const char *where, const char *message)
{
    struct instance *instance = user;
    if (message == NULL)
        return;
    if (level < SBX_LOG_DEBUG || level > SBX_LOG_ERROR)
        level = SBX_LOG_INFO;
    if (where == NULL || strcmp(where, instance->name) == 0)
        log_line(instance->context->log, level, instance->name, "%s", message);
    else
        log_line(instance->context->log, level, instance->name, "%s: %s", where, message);
}

static const void *host_service(void *user, const char *id)
{
    (void)user;
    (void)id;
    return NULL;
}

/* Copies a capability's table; one that is too short is treated as not offered, and said so. */
static void take_table(struct instance *instance, struct sbx_backend *backend, const char *id, void *table,
                       uint32_t size)
{
    const void *theirs = instance->plugin->backend.get_extension(backend, id);
    uint32_t n = 0;
    memset(table, 0, size);
    if (theirs == NULL)
        return;
    memcpy(&n, theirs, sizeof n);
    if (n < size) {
        log_line(instance->context->log, SBX_LOG_WARN, instance->name, "the table of %s has %u bytes, not %u: ignored",
                 id, n, size);
        return;
    }
    memcpy(table, theirs, size);
    /* Every slot of a table is required; the slots are the pointers behind its head. */
    for (size_t at = 2 * sizeof(uint32_t); at + sizeof(void *) <= size; at += sizeof(void *)) {
        void *slot;
        memcpy(&slot, (char *)table + at, sizeof slot);
        if (slot == NULL) {
            log_line(instance->context->log, SBX_LOG_WARN, instance->name, "the table of %s lacks a slot: ignored", id);
            memset(table, 0, size);
            return;
        }
    }
}

/* Where each capability's table is kept. */
static const struct {
    const char *id;
    size_t offset;
    uint32_t size;
} kept[] = {
#define KEPT(id_, field)                                                                                               \
    {                                                                                                                  \
        id_, offsetof(struct instance_tables, field), sizeof(((struct instance_tables *)NULL)->field)                  \
    }
    KEPT(SBX_EXT_STAT, stat),
    KEPT(SBX_EXT_FS, fs),
    KEPT(SBX_EXT_BATCH, batch),
    KEPT(SBX_EXT_ARCHIVE, archive),
    KEPT(SBX_EXT_WAIT, wait),
    KEPT(SBX_EXT_JOB, job),
    KEPT(SBX_EXT_JOB_SIGNAL, job_signal),
    KEPT(SBX_EXT_JOB_STDIN, job_stdin),
    KEPT(SBX_EXT_JOB_LIST, job_list),
    KEPT(SBX_EXT_SHELL_CLOSE, shell_close),
    KEPT(SBX_EXT_DIAL, dial),
    KEPT(SBX_EXT_KEEPALIVE, keepalive),
    KEPT(SBX_EXT_SUSPEND, suspend),
    KEPT(SBX_EXT_SNAPSHOT, snapshot),
    KEPT(SBX_EXT_SSH, ssh),
    KEPT(SBX_EXT_TUNNEL, tunnel),
#undef KEPT
};

static void take_tables(struct instance *instance, struct sbx_backend *backend)
{
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        take_table(instance, backend, kept[i].id, (char *)&instance->tables + kept[i].offset, kept[i].size);
}

static sbx_status open_backend(struct instance *instance, const struct loader_plugin *plugin,
                               const struct config_pair *pairs, size_t count, struct sbx_call *call,
                               struct sbx_backend **out)
{
    CLEANUP_FREE struct sbx_kv *items = calloc(count + 1, sizeof *items);
    if (items == NULL)
        return error_no_memory(call->error);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct sbx_kv){pairs[i].key, pairs[i].value};
    struct sbx_open_args args = SBX_INIT(args);
    args.instance = instance->name;
    args.config = (struct sbx_kvs){items, count};
    instance->host = (struct sbx_host){.size = sizeof instance->host,
                                       .abi_minor = SBX_ABI_MINOR,
                                       .user = instance,
                                       .name = "libsbx",
                                       .version = sbx_version(),
                                       .log = host_log,
                                       .get_service = host_service};
    struct sbx_backend *backend = NULL;
    sbx_status status = plugin->backend.open(&instance->host, call, &args, &backend);
    if (status != SBX_OK)
        return status < 0 ? status : SBX_E_FAILED;
    if (backend == NULL)
        return error_set(call->error, SBX_E_PROTOCOL, "open answered ok without a backend");
    *out = backend;
    return SBX_OK;
}

/* The provider, or what its recording answers in its place; behind both whatever listens to the calls. */
static sbx_status open_provider(struct instance *instance, struct sbx_call *call)
{
    const struct config_instance *config = instance->config;
    struct sbx_context *ctx = instance->context;
    const struct loader_plugin *plugin = NULL;
    struct sbx_backend *backend = NULL;
    struct config_pair *pairs = NULL;
    size_t count = 0;
    sbx_status status = SBX_OK;
    if (config->replay == NULL) {
        status =
            loader_load((const char *const *)ctx->config->plugin_paths, config->plugin, ctx->log, &plugin, call->error);
        if (status == SBX_OK)
            status = config_resolve(config, &plugin->descriptor, ctx->log, NULL, NULL, &pairs, &count, call->error);
        if (status == SBX_OK)
            status = open_backend(instance, plugin, pairs, count, call, &backend);
        if (status == SBX_E_CONFIG)
            config_locate(pairs, count, call->error);
        config_pairs_destroy(pairs, count);
    }
    if (status == SBX_OK && tap_is_wanted(config)) {
        const struct loader_plugin *inner = plugin;
        struct sbx_backend *theirs = backend;
        status = tap_open(config, ctx->log, inner, theirs, &plugin, &backend, call->error);
        if (status != SBX_OK && theirs != NULL)
            inner->backend.close(theirs);
    }
    if (status != SBX_OK)
        return status;
    instance->plugin = plugin;
    instance->is_serial = plugin->descriptor.threads != SBX_THREADS_PARALLEL;
    instance->backend = backend;
    take_tables(instance, backend);
    return SBX_OK;
}

sbx_status context_open_instance(struct instance *instance, struct sbx_call *call)
{
    if (atomic_load_explicit(&instance->is_open, memory_order_acquire))
        return SBX_OK;
    sbx_status status = SBX_OK;
    (void)pthread_mutex_lock(&instance->lock);
    if (!atomic_load(&instance->is_open)) {
        status = open_provider(instance, call);
        if (status == SBX_OK)
            atomic_store_explicit(&instance->is_open, 1, memory_order_release);
    }
    (void)pthread_mutex_unlock(&instance->lock);
    return status;
}

int32_t context_failure_level(const struct instance *instance, sbx_status status)
{
    int is_usual = status == SBX_E_UNAVAILABLE || status == SBX_E_AUTH;
    return instance->config->file == NULL && is_usual ? SBX_LOG_DEBUG : SBX_LOG_WARN;
}

int context_offers(const struct instance *instance, const char *capability)
{
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        uint32_t size = 0;
        if (strcmp(kept[i].id, capability) != 0)
            continue;
        memcpy(&size, (const char *)&instance->tables + kept[i].offset, sizeof size);
        return size != 0;
    }
    return instance->plugin->backend.get_extension(instance->backend, capability) != NULL;
}

/* --- the context itself ----------------------------------------------------------------------------------------- */

static sbx_status make_instances(struct sbx_context *ctx, struct sbx_error *error)
{
    char text[128];
    ctx->instances = calloc(ctx->config->instance_count + 1, sizeof *ctx->instances);
    if (ctx->instances == NULL)
        return error_no_memory(error);
    for (size_t i = 0; i < ctx->config->instance_count; i++) {
        struct instance *instance = &ctx->instances[i];
        instance->context = ctx;
        instance->config = &ctx->config->instances[i];
        instance->name = instance->config->name;
        if (gate_init(&instance->gate) != 0)
            return error_set(error, SBX_E_QUOTA, "open: no descriptor for provider %s: %s", instance->name,
                             strerror_r(errno, text, sizeof text));
        (void)pthread_mutex_init(&instance->lock, NULL);
        ctx->instance_count++;
    }
    return SBX_OK;
}

sbx_status context_take_options(const struct sbx_open_options *options, const char *verb, struct sbx_open_options *out,
                                struct sbx_error *error)
{
    sbx_status status = sbx_take(out, sizeof *out, options);
    if (status != SBX_OK)
        return error_set(error, status, "%s: options have %s", verb,
                         status == SBX_E_INVALID ? "no size" : "unknown parts");
    if ((out->flags & ~(uint32_t)(SBX_OPEN_NO_FILES | SBX_OPEN_LOG_LEVEL | SBX_OPEN_LOG_DEFAULT)) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "%s: unknown flags 0x%x", verb, out->flags);
    out->size = sizeof *out;
    return SBX_OK;
}

static int32_t log_level(const struct sbx_open_options *options, const struct config *config)
{
    uint32_t wanted =
        config->log_level == CONFIG_LOG_UNSET ? SBX_OPEN_LOG_LEVEL | SBX_OPEN_LOG_DEFAULT : SBX_OPEN_LOG_LEVEL;
    if ((options->flags & wanted) != 0)
        return options->log_level;
    return config->log_level == CONFIG_LOG_UNSET ? SBX_LOG_WARN : config->log_level;
}

sbx_status sbx_open(const struct sbx_open_options *options, sbx_context **out, struct sbx_error *error)
{
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "open: no place for the context");
    *out = NULL;
    struct sbx_open_options taken;
    sbx_status status = context_take_options(options, "open", &taken, error);
    if (status != SBX_OK)
        return status;
    struct sbx_context *ctx = calloc(1, sizeof *ctx);
    if (ctx == NULL)
        return error_no_memory(error);
    status = config_load(&taken, NULL, NULL, &ctx->config, error);
    if (status == SBX_OK) {
        ctx->log = log_create(taken.log, taken.user, log_level(&taken, ctx->config));
        status = ctx->log == NULL ? error_no_memory(error) : make_instances(ctx, error);
    }
    if (status != SBX_OK) {
        sbx_close(ctx);
        return status;
    }
    *out = ctx;
    return SBX_OK;
}

static int is_unused(sbx_context *ctx)
{
    int used = atomic_load(&ctx->ops);
    for (size_t i = 0; i < ctx->instance_count; i++)
        used |= atomic_load(&ctx->instances[i].handles);
    return used == 0;
}

void sbx_close(sbx_context *ctx)
{
    if (ctx == NULL)
        return;
    /* What was not given back still points here: a leak is better than a use after free. */
    if (!is_unused(ctx)) {
        log_line(ctx->log, SBX_LOG_ERROR, "close", "sandboxes or operations of this context were not given back");
        return;
    }
    for (size_t i = 0; i < ctx->instance_count; i++) {
        struct instance *instance = &ctx->instances[i];
        if (atomic_load(&instance->is_open))
            instance->plugin->backend.close(instance->backend);
        gate_finish(&instance->gate);
        (void)pthread_mutex_destroy(&instance->lock);
    }
    free(ctx->instances);
    log_destroy(ctx->log);
    config_destroy(ctx->config);
    free(ctx);
}

static const char *const *texts_of(char *const *list)
{
    static const char *const none[] = {NULL};
    return list != NULL ? (const char *const *)list : none;
}

void sbx_routes(sbx_context *ctx, void (*report)(void *user, const struct sbx_route *route), void *user)
{
    if (ctx == NULL || report == NULL)
        return;
    for (size_t i = 0; i < ctx->config->route_count; i++) {
        const struct config_route *r = &ctx->config->routes[i];
        const struct sbx_route route = {.size = sizeof route,
                                        .line = r->line,
                                        .name = r->name,
                                        .file = r->file,
                                        .image = r->image,
                                        .labels = texts_of(r->labels),
                                        .require = texts_of(r->require),
                                        .use = texts_of(r->instances)};
        report(user, &route);
    }
}

void sbx_config_files(sbx_context *ctx, void (*report)(void *user, const char *path), void *user)
{
    if (ctx == NULL || report == NULL || ctx->config->files == NULL)
        return;
    for (char **file = ctx->config->files; *file != NULL; file++)
        report(user, *file);
}
