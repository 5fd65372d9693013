/* SPDX-License-Identifier: MIT
 *
 * over.c - the local provider, wrong in one way that is chosen by a define, for the rules of what the template has not:
 * calls go on to local.so, but for one whose arguments or answer are changed.
 */
#include "sbx_plugin.h"

#include <dlfcn.h>

extern SBX_EXPORT const struct sbx_plugin sbx_plugin_v1;

static const struct sbx_plugin *inner(void)
{
    void *object = dlopen(LOCAL_PLUGIN, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const struct sbx_plugin *plugin = NULL;
    void *symbol = object != NULL ? dlsym(object, "sbx_plugin_v1") : NULL;
    memcpy(&plugin, &symbol, sizeof plugin);
    return plugin;
}

/* --- what is changed --- */

#if defined(OVER_KEEP_ALIVE)
#define OVER_ID SBX_EXT_KEEPALIVE
static sbx_status changed(struct sbx_handle *h, struct sbx_call *call, uint32_t ttl_s)
{
    (void)h, (void)call, (void)ttl_s;
    return SBX_OK;
}
static const struct sbx_keepalive_ops table = {.size = sizeof table, .keep_alive = changed};
#elif defined(OVER_MKDIR) || defined(OVER_REMOVE)
#define OVER_ID SBX_EXT_FS
static const struct sbx_fs_ops *theirs(void);
static sbx_status list(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_entry_sink *out)
{
    return theirs()->list(h, call, dir, out);
}
static sbx_status make(struct sbx_handle *h, struct sbx_call *call, const char *dir, uint32_t mode, uint32_t flags)
{
#ifdef OVER_MKDIR
    mode = 0;
#endif
    return theirs()->mkdir(h, call, dir, mode, flags);
}
static sbx_status take_away(struct sbx_handle *h, struct sbx_call *call, const char *path, uint32_t flags)
{
#ifdef OVER_REMOVE
    flags |= SBX_FS_RECURSIVE;
#endif
    return theirs()->remove(h, call, path, flags);
}
static sbx_status move(struct sbx_handle *h, struct sbx_call *call, const char *from, const char *to)
{
    return theirs()->rename(h, call, from, to);
}
static const struct sbx_fs_ops table = {
    .size = sizeof table, .list = list, .mkdir = make, .remove = take_away, .rename = move};
static const struct sbx_fs_ops *theirs(void)
{
    return inner()->backend->get_extension(NULL, OVER_ID);
}
#endif

/* --- what goes on --- */

static sbx_status open_inner(const struct sbx_host *host, struct sbx_call *call, const struct sbx_open_args *args,
                             struct sbx_backend **out)
{
    return inner()->backend->open(host, call, args, out);
}

static void close_inner(struct sbx_backend *b)
{
    inner()->backend->close(b);
}

static const void *get_extension(struct sbx_backend *b, const char *id)
{
    return strcmp(id, OVER_ID) == 0 ? &table : inner()->backend->get_extension(b, id);
}

static sbx_status create(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                         struct sbx_handle **out)
{
    return inner()->backend->create(b, call, args, out);
}

static sbx_status attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    return inner()->backend->attach(b, call, id, out);
}

static sbx_status list_all(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                           const struct sbx_info_sink *out)
{
    return inner()->backend->list(b, call, args, out);
}

static const char *handle_id(struct sbx_handle *h)
{
    return inner()->handle->id(h);
}

static void handle_release(struct sbx_handle *h)
{
    inner()->handle->release(h);
}

static sbx_status handle_remove(struct sbx_handle *h, struct sbx_call *call)
{
    return inner()->handle->remove(h, call);
}

static uint32_t handle_support(struct sbx_handle *h, const char *id)
{
    return inner()->handle->support(h, id);
}

static sbx_status handle_info(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out)
{
    return inner()->handle->info(h, call, out);
}

static sbx_status handle_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                              struct sbx_exec_result *out)
{
    return inner()->handle->exec(h, call, args, out);
}

static sbx_status handle_read(struct sbx_handle *h, struct sbx_call *call, const char *path,
                              const struct sbx_read_args *args, const struct sbx_sink *out)
{
    return inner()->handle->read_file(h, call, path, args, out);
}

static sbx_status handle_write(struct sbx_handle *h, struct sbx_call *call, const char *path,
                               const struct sbx_write_args *args, const struct sbx_source *in)
{
    return inner()->handle->write_file(h, call, path, args, in);
}

static const struct sbx_backend_ops over_backend = {.size = sizeof over_backend,
                                                    .open = open_inner,
                                                    .close = close_inner,
                                                    .get_extension = get_extension,
                                                    .create = create,
                                                    .attach = attach,
                                                    .list = list_all};
static const struct sbx_handle_ops over_handle = {.size = sizeof over_handle,
                                                  .id = handle_id,
                                                  .release = handle_release,
                                                  .remove = handle_remove,
                                                  .support = handle_support,
                                                  .info = handle_info,
                                                  .exec = handle_exec,
                                                  .read_file = handle_read,
                                                  .write_file = handle_write};
static const struct sbx_config_key key_network = {
    .size = sizeof key_network, .type = SBX_KEY_STRING, .name = "network", .help = "as of local"};
static const struct sbx_config_key *const keys[] = {&key_network, NULL};
static const char *const extensions[] = {OVER_ID, NULL};
const struct sbx_plugin sbx_plugin_v1 = {SBX_PLUGIN_HEAD(SBX_THREADS_PARALLEL),
                                         .id = VARIANT,
                                         .name = "wrong",
                                         .version = "1",
                                         .vendor = "tests",
                                         .summary = "local, wrong in one way",
                                         .config_keys = keys,
                                         .extensions = extensions,
                                         .backend = &over_backend,
                                         .handle = &over_handle};
