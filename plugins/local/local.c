/* SPDX-License-Identifier: MIT
 *
 * local.c - the local provider: sandboxes on this machine, made by bubblewrap, with sbx-guest as their init. The
 * descriptor, the configuration and the backend's slots.
 */
#include "plugins/local/layout.h"
#include "plugins/local/sandbox.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <sys/stat.h>

enum { BASE_DEFAULT = 1879048192, RANGES_DEFAULT = 4096, PROCESSES_DEFAULT = 4096, BIND_MAX = 32 };

static const struct sbx_config_key *const config_keys[] = {
    CONFIG_KEY("bwrap", SBX_KEY_PATH, 0, NULL, "the bubblewrap program; found in the usual folders by default"),
    CONFIG_KEY("guest", SBX_KEY_PATH, 0, NULL, "the sbx-guest program; the installation's own by default"),
    CONFIG_KEY("image", SBX_KEY_PATH, 0, NULL,
               "root directory of sandboxes made without an image; default: the system's own"),
    CONFIG_KEY("bind_ro", SBX_KEY_PATH, SBX_KEY_REPEAT, NULL, "a further path of the host to show, read-only"),
    CONFIG_KEY("network", SBX_KEY_STRING, 0, "none", "none (loopback only) or full (the host's own network)"),
    CONFIG_KEY("timeout", SBX_KEY_SECONDS, 0, "0", "limit of commands that name none; 0: no limit"),
    CONFIG_KEY("max_sandboxes", SBX_KEY_INT, 0, "0", "how many may live at once; 0: any number"),
    CONFIG_KEY("max_processes", SBX_KEY_INT, 0, "4096", "processes and threads of one sandbox; 0: no limit"),
    CONFIG_KEY("users", SBX_KEY_STRING, 0, "auto",
               "auto, mapped (65536 users of its own) or single (the caller alone)"),
    CONFIG_KEY("uid_base", SBX_KEY_INT, 0, "1879048192", "root only: first host id of the ranges given to sandboxes"),
    CONFIG_KEY("uid_ranges", SBX_KEY_INT, 0, "4096", "root only: how many ranges of 65536 ids there are"),
    CONFIG_KEY("runtime_dir", SBX_KEY_PATH, 0, NULL,
               "folder for records and sockets; default $XDG_RUNTIME_DIR, root /run"),
    CONFIG_KEY("state_dir", SBX_KEY_PATH, 0, NULL, "folder for writable trees; default $XDG_STATE_HOME, root /var/lib"),
    NULL,
};

static const char *const extensions[] = {SBX_EXT_STAT,
                                         SBX_EXT_FS,
                                         SBX_EXT_BATCH,
                                         SBX_EXT_ARCHIVE,
                                         SBX_EXT_TTY,
                                         SBX_EXT_JOB,
                                         SBX_EXT_JOB_SIGNAL,
                                         SBX_EXT_JOB_STDIN,
                                         SBX_EXT_JOB_LIST,
                                         SBX_EXT_SHELL,
                                         SBX_EXT_SHELL_CLOSE,
                                         SBX_EXT_DIAL,
                                         SBX_EXT_KEEPALIVE,
                                         SBX_EXT_SUSPEND,
                                         SBX_EXT_WAIT,
                                         SBX_EXT_SNAPSHOT,
                                         NULL};

/* --- configuration ----------------------------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

static char *find_bwrap(const char *configured)
{
    static const char *const places[] = {"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"};
    for (size_t i = 0; configured == NULL && i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return strdup(places[i]);
    return strdup(configured != NULL ? configured : places[0]);
}

static void config_finish(struct local_config *config)
{
    free(config->bwrap);
    free(config->guest);
    free(config->image);
    config_free_paths(config->bind_ro);
    memset(config, 0, sizeof *config);
}

static sbx_status take_binds(const struct sbx_open_args *args, struct local_config *config, struct sbx_call *call)
{
    struct stat st;
    sbx_status status = config_take_paths(args, "bind_ro", BIND_MAX, &config->bind_ro, call);
    for (size_t i = 0; status == SBX_OK && config->bind_ro[i] != NULL; i++) {
        const char *path = config->bind_ro[i];
        if (stat(path, &st) != 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
            return call_fail(call, SBX_E_CONFIG, "bind_ro: '%s' is no absolute path of a directory or file", path);
        if (layout_is_own(path))
            return call_fail(call, SBX_E_CONFIG,
                             "bind_ro: '%s' would not be seen: a sandbox has a directory of its own there", path);
    }
    return status;
}

/* Ranges that begin above the users of the machine, root first of all, and of which the last is there as well. */
static sbx_status take_ranges(const struct sbx_open_args *args, struct ids_options *ids, struct sbx_call *call)
{
    sbx_status status = config_take_number(args, "uid_base", BASE_DEFAULT, UINT32_MAX, &ids->base, call);
    if (status == SBX_OK)
        status = config_take_number(args, "uid_ranges", RANGES_DEFAULT, UINT16_MAX, &ids->ranges, call);
    if (status != SBX_OK)
        return status;
    if (ids->base < IDS_COUNT)
        return call_fail(call, SBX_E_CONFIG, "uid_base: %u is below %u, where the machine's own users are", ids->base,
                         (unsigned)IDS_COUNT);
    if (ids->ranges == 0)
        return call_fail(call, SBX_E_CONFIG, "uid_ranges: 0 is not between 1 and %u", UINT16_MAX);
    if (ids->base + (uint64_t)ids->ranges * IDS_COUNT > IDS_END)
        return call_fail(call, SBX_E_CONFIG, "uid_ranges: %u ranges from uid_base %u on go beyond the last user id",
                         ids->ranges, ids->base);
    return SBX_OK;
}

static sbx_status take_numbers(const struct sbx_open_args *args, struct local_config *config, struct sbx_call *call)
{
    static const char *const networks[] = {"none", "full", NULL};
    static const char *const users[] = {"auto", "mapped", "single", NULL};
    uint32_t network = 0;
    sbx_status status = config_take_word(args, "network", networks, &network, call);
    config->network = network == 0 ? SBX_NET_NONE : SBX_NET_FULL;
    if (status == SBX_OK)
        status = config_take_word(args, "users", users, &config->ids.want, call);
    if (status == SBX_OK)
        status = config_take_number(args, "max_sandboxes", 0, INT32_MAX, &config->max_sandboxes, call);
    if (status == SBX_OK)
        status = config_take_number(args, "max_processes", PROCESSES_DEFAULT, INT32_MAX, &config->processes, call);
    if (status == SBX_OK)
        status = take_ranges(args, &config->ids, call);
    config->timeout_ms = config_get_timeout(args, 0);
    if (status == SBX_OK && config->ids.want == IDS_WANT_SINGLE && geteuid() == 0)
        status = call_fail(call, SBX_E_CONFIG, "users: single would give a sandbox root's own id; use mapped");
    return status;
}

static sbx_status take_config(const struct sbx_open_args *args, struct local_config *config, struct sbx_call *call)
{
    sbx_status status = config_check(args, config_keys, call);
    if (status == SBX_OK)
        status = take_numbers(args, config, call);
    if (status == SBX_OK)
        status = take_binds(args, config, call);
    if (status != SBX_OK)
        return status;
    config->bwrap = find_bwrap(config_get(args, "bwrap"));
    config->guest = guest_find(config_get(args, "guest"));
    config->image = copy_text(config_get(args, "image"));
    if (config->bwrap == NULL || config->guest == NULL || (config->image == NULL && config_get(args, "image") != NULL))
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    return SBX_OK;
}

/* What is missing is said here, and at no cost but two look-ups. */
static sbx_status check_programs(const struct local_config *config, struct sbx_call *call)
{
    if (access(config->bwrap, X_OK) != 0)
        return call_fail(call, SBX_E_CONFIG,
                         "local: bubblewrap is missing: no program '%s'; install it (apt install bubblewrap) or set "
                         "the key `bwrap`",
                         config->bwrap);
    if (access(config->guest, R_OK) != 0)
        return call_fail(call, SBX_E_CONFIG,
                         "local: the guest is missing: no program '%s'; build it or set the key "
                         "`guest`",
                         config->guest);
    return SBX_OK;
}

/* --- the backend's slots ------------------------------------------------------------------------------------------ */

static void backend_close(struct sbx_backend *b)
{
    if (b == NULL)
        return;
    while (b->lifelines.first != NULL) {
        char id[SBX_ID_SIZE];
        (void)snprintf(id, sizeof id, "%s", b->lifelines.first->id);
        (void)sandbox_destroy(b, id, NULL);
        lifelines_drop(&b->lifelines, id); /* the lifeline ends it where destroying could not */
    }
    lifelines_finish(&b->lifelines);
    config_finish(&b->config);
    store_finish(&b->store);
    free(b);
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
    status = take_config(&args, &b->config, call);
    if (status == SBX_OK)
        status = check_programs(&b->config, call);
    if (status == SBX_OK)
        status = store_init(&b->store, args.instance, config_get(&args, "runtime_dir"), config_get(&args, "state_dir"),
                            call);
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

static sbx_status backend_attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    CLEANUP_FD int entry_fd = -1;
    CLEANUP(record_finish) struct record record = {0};
    if (id == NULL || id[0] == '\0')
        return call_fail(call, SBX_E_INVALID, "attach: an id or a name is needed");
    sbx_status status = sandbox_find(b, id, call, &record, &entry_fd);
    return status != SBX_OK ? status : handle_make(b, &record, entry_fd, call, out);
}

static int is_wanted(int state, uint32_t mask)
{
    return sandbox_lives(state) && (mask == 0 || (mask & 1u << handle_state(state)) != 0);
}

static sbx_status list_entries(struct sbx_backend *b, int runtime_fd, const struct sbx_list_args *args,
                               const struct sbx_info_sink *out, struct sbx_call *call)
{
    CLEANUP(store_ids_finish) struct store_ids ids;
    uint32_t reported = 0;
    sbx_status status = store_list(runtime_fd, call, &ids);
    for (size_t i = 0; status == SBX_OK && i < ids.count; i++) {
        CLEANUP(record_finish) struct record record = {0};
        CLEANUP_FD int entry_fd = -1;
        if (args->after != NULL && strcmp(ids.items[i], args->after) <= 0)
            continue;
        if (sandbox_load(runtime_fd, ids.items[i], NULL, &record, &entry_fd) != SBX_OK)
            continue;
        int state = sandbox_state(b, &record);
        if (!is_wanted(state, args->state_mask) || !record_has_labels(&record, &args->metadata))
            continue;
        status = handle_report(&record, state, out, call);
        if (status == SBX_OK && ++reported == args->limit)
            break;
        if (status == SBX_OK)
            status = call_check(call);
    }
    return status;
}

static sbx_status backend_list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *given,
                               const struct sbx_info_sink *out)
{
    struct sbx_list_args args;
    CLEANUP_FD int runtime_fd = -1;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "list: arguments of a newer version");
    sandbox_sweep(b, 0);
    status = store_open(&b->store, STORE_RUNTIME, 0, call, &runtime_fd);
    if (status == SBX_E_NOT_FOUND)
        return SBX_OK;
    return status != SBX_OK ? status : list_entries(b, runtime_fd, &args, out, call);
}

static const struct sbx_backend_ops backend_ops = {
    .size = sizeof backend_ops,
    .open = backend_open,
    .close = backend_close,
    .get_extension = backend_extension,
    .create = create_sandbox,
    .attach = backend_attach,
    .list = backend_list,
};

const struct sbx_plugin sbx_plugin_v1 = {
    SBX_PLUGIN_HEAD(SBX_THREADS_PARALLEL),
    .id = "local",
    .name = "Local",
    .version = SBX_VERSION,
    .vendor = "sbx",
    .summary = "sandboxes on this machine, by bubblewrap",
    .config_keys = config_keys,
    .extensions = extensions,
    .backend = &backend_ops,
    .handle = &handle_ops,
};
