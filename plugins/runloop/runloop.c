/* SPDX-License-Identifier: MIT
 *
 * runloop.c - the runloop provider: devboxes of the Runloop service. The descriptor and the backend's slots.
 */
#include "plugins/runloop/runloop.h"

static const char *const extensions[] = {SBX_EXT_ARCHIVE,     SBX_EXT_JOB,       SBX_EXT_JOB_STDIN, SBX_EXT_SHELL,
                                         SBX_EXT_SHELL_CLOSE, SBX_EXT_KEEPALIVE, SBX_EXT_SUSPEND,   SBX_EXT_WAIT,
                                         SBX_EXT_SNAPSHOT,    SBX_EXT_SSH,       SBX_EXT_TUNNEL,    NULL};

static void backend_close(struct sbx_backend *b)
{
    if (b == NULL)
        return;
    api_close(&b->api);
    settings_finish(&b->settings);
    free(b->instance);
    free(b);
}

static void wipe(char **key)
{
    if (*key != NULL)
        explicit_bzero(*key, strlen(*key));
    free(*key);
}

/* Nothing is asked of the service: whether the key is good, the first request tells. */
static sbx_status prepare(struct sbx_backend *b, const struct sbx_open_args *args, struct sbx_call *call)
{
    CLEANUP(wipe) char *key = NULL;
    b->instance = strdup(args->instance == NULL ? "" : args->instance);
    if (b->instance == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    sbx_status status = settings_init(&b->settings, args, call, &key);
    return status != SBX_OK ? status : api_open(&b->api, b->settings.base, b->settings.ca, key, call);
}

static sbx_status backend_open(const struct sbx_host *host, struct sbx_call *call, const struct sbx_open_args *given,
                               struct sbx_backend **out)
{
    struct sbx_open_args args;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "open: arguments of a newer version");
    struct sbx_backend *b = calloc(1, sizeof *b);
    if (b == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    b->host = host;
    status = prepare(b, &args, call);
    if (status != SBX_OK) {
        backend_close(b);
        return status;
    }
    *out = b;
    return SBX_OK;
}

static const void *backend_extension(struct sbx_backend *b, const char *id)
{
    (void)b;
    return handle_extension(id);
}

/* What was shut down is still told by the service, but nothing leads back from there. */
static sbx_status backend_attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    if (id == NULL || id[0] == '\0')
        return call_fail(call, SBX_E_INVALID, "attach: an id is needed");
    sbx_status status = devbox_get(b, call, "attach", id, &view);
    if (status != SBX_OK)
        return status;
    if (devbox_state(json_text(view, "status")) == SBX_STATE_STOPPED)
        return call_fail(call, SBX_E_NOT_FOUND, "attach: devbox %s has been shut down", id);
    return devbox_handle(b, view, call, out);
}

static const struct sbx_backend_ops backend_ops = {
    .size = sizeof backend_ops,
    .open = backend_open,
    .close = backend_close,
    .get_extension = backend_extension,
    .create = create_devbox,
    .attach = backend_attach,
    .list = devbox_list,
};

const struct sbx_plugin sbx_plugin_v1 = {
    SBX_PLUGIN_HEAD(SBX_THREADS_PARALLEL),
    .id = "runloop",
    .name = "Runloop",
    .version = SBX_VERSION,
    .vendor = "sbx",
    .summary = "devboxes of the Runloop service",
    .config_keys = settings_keys,
    .extensions = extensions,
    .backend = &backend_ops,
    .handle = &handle_ops,
};
