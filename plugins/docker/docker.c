/* SPDX-License-Identifier: MIT
 *
 * docker.c - the docker provider: containers with sbx-guest as their init. The descriptor and the backend's slots.
 */
#include "plugins/docker/container.h"
#include "plugins/docker/inject.h"

static const char *const extensions[] = {SBX_EXT_STAT,      SBX_EXT_FS,      SBX_EXT_BATCH,       SBX_EXT_ARCHIVE,
                                         SBX_EXT_TTY,       SBX_EXT_JOB,     SBX_EXT_JOB_SIGNAL,  SBX_EXT_JOB_STDIN,
                                         SBX_EXT_JOB_LIST,  SBX_EXT_SHELL,   SBX_EXT_SHELL_CLOSE, SBX_EXT_DIAL,
                                         SBX_EXT_KEEPALIVE, SBX_EXT_SUSPEND, SBX_EXT_SNAPSHOT,    NULL};

/* Podman's service drops the labels that a commit is asked for, by which a snapshot is known again. */
int docker_has(const struct sbx_backend *b, const char *id)
{
    return id == NULL || strcmp(id, SBX_EXT_SNAPSHOT) != 0 || !b->engine.is_podman;
}

static void backend_close(struct sbx_backend *b)
{
    if (b == NULL)
        return;
    lifelines_finish(&b->lifelines); /* their guests end, and with them the containers, which the daemon then removes */
    engine_close(&b->engine);
    entries_finish(&b->entries);
    settings_finish(&b->settings);
    free(b->instance);
    free(b);
}

static sbx_status connect_backend(struct sbx_backend *b, const struct sbx_open_args *args, struct sbx_call *call)
{
    b->instance = strdup(args->instance == NULL ? "" : args->instance);
    if (b->instance == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    sbx_status status = settings_init(&b->settings, args, b->host, call);
    if (status == SBX_OK)
        status = entries_init(&b->entries, b->settings.runtime_dir, b->instance, call);
    if (status != SBX_OK)
        return status;
    const struct settings *s = &b->settings;
    const struct http_options options = {.base = s->base,
                                         .unix_path = s->socket,
                                         .ca = s->ca,
                                         .cert = s->cert,
                                         .key = s->key,
                                         .no_verify = s->no_verify};
    return engine_open(&b->engine, &options, call);
}

static sbx_status backend_open(const struct sbx_host *host, struct sbx_call *call, const struct sbx_open_args *given,
                               struct sbx_backend **out)
{
    struct sbx_open_args args;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "open: arguments of a newer version");
    struct sbx_backend *b = calloc(1, sizeof *b);
    if (b == NULL || lifelines_init(&b->lifelines) != 0) {
        free(b);
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    }
    b->host = host;
    status = connect_backend(b, &args, call);
    if (status != SBX_OK) {
        backend_close(b);
        return status;
    }
    *out = b;
    return SBX_OK;
}

static const void *backend_extension(struct sbx_backend *b, const char *id)
{
    if (!docker_has(b, id))
        return NULL;
    int with_api = id != NULL && (strcmp(id, SBX_EXT_SUSPEND) == 0 || strcmp(id, SBX_EXT_SNAPSHOT) == 0);
    return b->settings.guest_use != GUEST_NEVER || with_api ? handle_extension(id) : NULL;
}

static sbx_status backend_attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    CLEANUP(container_finish) struct container c = {0};
    if (id == NULL || id[0] == '\0')
        return call_fail(call, SBX_E_INVALID, "attach: an id or a name is needed");
    sbx_status status = container_inspect(b, call, "attach", id, &c);
    struct sbx_handle *h = NULL;
    if (status == SBX_OK)
        status = handle_make(b, c.id, c.key == NULL ? "" : c.key, container_has_memory_limit(&c), call, &h);
    if (status == SBX_OK && h->link == NULL && !h->api && container_state(b, &c) == SBX_STATE_RUNNING)
        status = inject_open(h, &c, call);
    if (status == SBX_OK)
        *out = h;
    else
        handle_ops.release(h);
    return status;
}

static const struct sbx_backend_ops backend_ops = {
    .size = sizeof backend_ops,
    .open = backend_open,
    .close = backend_close,
    .get_extension = backend_extension,
    .create = create_container,
    .attach = backend_attach,
    .list = list_containers,
};

const struct sbx_plugin sbx_plugin_v1 = {
    SBX_PLUGIN_HEAD(SBX_THREADS_PARALLEL),
    .id = "docker",
    .name = "Docker",
    .version = SBX_VERSION,
    .vendor = "sbx",
    .summary = "containers of a Docker daemon, or of what speaks its API",
    .config_keys = settings_keys,
    .extensions = extensions,
    .backend = &backend_ops,
    .handle = &handle_ops,
};
