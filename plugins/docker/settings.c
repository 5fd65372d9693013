/* SPDX-License-Identifier: MIT
 *
 * settings.c - the configuration of an instance, and what Docker's own environment variables say where it is silent.
 */
#include "plugins/docker/docker.h"

enum { BIND_MAX = 32, PROCESSES_DEFAULT = 4096, TIMEOUT_MS = 300000 };

const struct sbx_config_key *const settings_keys[] = {
    CONFIG_KEY("host", SBX_KEY_STRING, 0, NULL, "the daemon: unix:///path or tcp://host:port; default $DOCKER_HOST"),
    CONFIG_KEY("cert_path", SBX_KEY_PATH, 0, NULL,
               "folder with ca.pem, cert.pem and key.pem; default $DOCKER_CERT_PATH"),
    CONFIG_KEY("tls_verify", SBX_KEY_BOOL, 0, "yes", "check the daemon's certificate; no is for tests alone"),
    CONFIG_KEY("image", SBX_KEY_STRING, 0, NULL, "image of sandboxes made without one; default $SANDBOX_IMAGE"),
    CONFIG_KEY("pull", SBX_KEY_STRING, 0, "missing", "when the daemon pulls an image: missing, never or always"),
    CONFIG_KEY("docker_config", SBX_KEY_PATH, 0, NULL,
               "folder with the Docker client's config.json, for registries; default $DOCKER_CONFIG, ~/.docker"),
    CONFIG_KEY("guest", SBX_KEY_STRING, 0, "auto", "auto, always or never; or the path of the sbx-guest program"),
    CONFIG_KEY("network", SBX_KEY_STRING, 0, "none", "none (loopback only) or full"),
    CONFIG_KEY("network_name", SBX_KEY_STRING, 0, "bridge", "the daemon's network for sandboxes with a network"),
    CONFIG_KEY("workdir", SBX_KEY_STRING, 0, "/workspace",
               "working directory of sandboxes that name none; made if missing"),
    CONFIG_KEY("timeout", SBX_KEY_SECONDS, 0, "5m", "limit of commands that name none; 0: no limit"),
    CONFIG_KEY("max_processes", SBX_KEY_INT, 0, "4096", "processes and threads of one sandbox; 0: no limit"),
    CONFIG_KEY("read_only", SBX_KEY_BOOL, 0, "no", "sandboxes cannot write to their image's files"),
    CONFIG_KEY("bind_ro", SBX_KEY_STRING, SBX_KEY_REPEAT, NULL,
               "a path of the daemon's machine to show under its own name, read-only"),
    CONFIG_KEY("runtime", SBX_KEY_STRING, 0, NULL, "OCI runtime, such as runc or crun; default the daemon's"),
    CONFIG_KEY("runtime_dir", SBX_KEY_PATH, 0, NULL,
               "folder for the guests' sockets; default $XDG_RUNTIME_DIR, root /run"),
    NULL,
};

static sbx_status no_memory(struct sbx_call *call)
{
    return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
}

/* *out is a copy of the key's value, or of `fallback`, or NULL. */
static int copy(const struct sbx_open_args *args, const char *key, const char *fallback, char **out)
{
    const char *value = config_get(args, key);
    if (value == NULL || value[0] == '\0')
        value = fallback;
    *out = value == NULL ? NULL : strdup(value);
    return value == NULL || *out != NULL ? 0 : -1;
}

static const char *environment(const char *name)
{
    const char *value = secure_getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* --- the daemon -------------------------------------------------------------------------------------------------- */

static int starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static char *file_below(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* NULL also without memory. */
static char *client_folder(void)
{
    const char *home = environment("HOME");
    return home == NULL ? NULL : file_below(home, ".docker");
}

/* Each of the three must be there: a connection with less would fail in ways that say little. */
static sbx_status take_certificates(struct settings *s, const char *folder, struct sbx_call *call)
{
    s->ca = file_below(folder, "ca.pem");
    s->cert = file_below(folder, "cert.pem");
    s->key = file_below(folder, "key.pem");
    const char *const all[] = {s->ca, s->cert, s->key};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] == NULL)
            return no_memory(call);
        if (access(all[i], R_OK) != 0)
            return call_fail(call, SBX_E_AUTH, "open: no readable certificate or key '%s'", all[i]);
    }
    return SBX_OK;
}

static sbx_status take_tls(struct settings *s, const struct sbx_open_args *args, int *is_tls, struct sbx_call *call)
{
    CLEANUP_FREE char *at_home = NULL;
    const char *folder = config_get(args, "cert_path");
    if (folder == NULL)
        folder = environment("DOCKER_CERT_PATH");
    *is_tls = folder != NULL || environment("DOCKER_TLS_VERIFY") != NULL;
    if (!*is_tls)
        return SBX_OK;
    if (folder == NULL) {
        at_home = client_folder();
        folder = at_home;
    }
    s->no_verify = !config_get_bool(args, "tls_verify", 1);
    return folder == NULL ? SBX_OK : take_certificates(s, folder, call);
}

static sbx_status take_tcp(struct settings *s, const char *rest, int is_tls, struct sbx_call *call)
{
    size_t len = strcspn(rest, "/");
    if (len == 0 || len > 255 || rest[len + (rest[len] == '/')] != '\0' ||
        strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") != len)
        return call_fail(call, SBX_E_CONFIG, "host: '%s' is no HOST:PORT", rest);
    const char *colon = strrchr(rest, ':');
    int has_port = colon != NULL && strchr(colon, ']') == NULL;
    if (asprintf(&s->base, "%s://%.*s%s", is_tls ? "https" : "http", (int)len, rest,
                 has_port ? ""
                 : is_tls ? ":2376"
                          : ":2375") < 0) {
        s->base = NULL;
        return no_memory(call);
    }
    return SBX_OK;
}

static sbx_status take_host(struct settings *s, const struct sbx_open_args *args, struct sbx_call *call)
{
    int is_tls = 0;
    const char *host = config_get(args, "host");
    if (host == NULL)
        host = environment("DOCKER_HOST");
    if (host == NULL)
        host = "unix:///var/run/docker.sock";
    if (starts(host, "unix://")) {
        if (host[7] != '/' || strlen(host + 7) > 107)
            return call_fail(call, SBX_E_CONFIG, "host: '%s' needs an absolute path of at most 107 bytes", host);
        s->socket = strdup(host + 7);
        s->base = strdup("http://docker");
        return s->socket == NULL || s->base == NULL ? no_memory(call) : SBX_OK;
    }
    sbx_status status = take_tls(s, args, &is_tls, call);
    if (status != SBX_OK)
        return status;
    if (starts(host, "tcp://"))
        return take_tcp(s, host + 6, is_tls, call);
    if (starts(host, "https://"))
        return take_tcp(s, host + 8, 1, call);
    if (starts(host, "http://") && !is_tls)
        return take_tcp(s, host + 7, 0, call);
    return call_fail(call, SBX_E_CONFIG, "host: '%s' is neither unix:///path nor tcp://host:port", host);
}

/* Without a folder images are pulled as by anybody. */
static void take_client(struct settings *s, const struct sbx_open_args *args)
{
    const char *folder = config_get(args, "docker_config");
    if (folder == NULL)
        folder = environment("DOCKER_CONFIG");
    s->client_folder = folder != NULL ? strdup(folder) : client_folder();
    s->is_private = s->socket != NULL || (starts(s->base, "https://") && !s->no_verify) ||
                    http_is_loopback(s->base + sizeof "http://" - 1, strlen(s->base) - (sizeof "http://" - 1));
}

/* --- everything -------------------------------------------------------------------------------------------------- */

static sbx_status take_numbers(struct settings *s, const struct sbx_open_args *args, struct sbx_call *call)
{
    static const char *const networks[] = {"none", "full", NULL};
    static const char *const uses[] = {"auto", "always", "never", NULL};
    static const char *const pulls[] = {"missing", "never", "always", NULL};
    uint32_t network = 0;
    sbx_status status = config_take_word(args, "network", networks, &network, call);
    s->network = network == 0 ? SBX_NET_NONE : SBX_NET_FULL;
    if (status == SBX_OK)
        status = config_take_word(args, "pull", pulls, &s->pull, call);
    const char *guest = config_get(args, "guest");
    if (status == SBX_OK && (guest == NULL || guest[0] != '/'))
        status = config_take_word(args, "guest", uses, &s->guest_use, call);
    if (status == SBX_OK)
        status = config_take_number(args, "max_processes", PROCESSES_DEFAULT, INT32_MAX, &s->processes, call);
    if (status == SBX_OK)
        status = config_take_paths(args, "bind_ro", BIND_MAX, &s->bind_ro, call);
    s->timeout_ms = config_get_timeout(args, TIMEOUT_MS);
    s->read_only = config_get_bool(args, "read_only", 0);
    return status;
}

sbx_status settings_init(struct settings *s, const struct sbx_open_args *args, const struct sbx_host *host,
                         struct sbx_call *call)
{
    memset(s, 0, sizeof *s);
    sbx_status status = config_check(args, settings_keys, call);
    if (status == SBX_OK)
        status = take_numbers(s, args, call);
    if (status == SBX_OK)
        status = take_host(s, args, call);
    if (status != SBX_OK)
        return status;
    take_client(s, args);
    const char *guest = config_get(args, "guest");
    s->guest = guest_find(guest != NULL && guest[0] == '/' ? guest : NULL);
    if (copy(args, "image", environment("SANDBOX_IMAGE"), &s->image) != 0 ||
        copy(args, "workdir", "/workspace", &s->workdir) != 0 ||
        copy(args, "network_name", "bridge", &s->network_name) != 0 || copy(args, "runtime", NULL, &s->runtime) != 0 ||
        copy(args, "runtime_dir", NULL, &s->runtime_dir) != 0 || s->guest == NULL)
        return no_memory(call);
    if (s->no_verify && host != NULL && host->log != NULL)
        host->log(host->user, SBX_LOG_WARN, "open", "tls_verify = no: the daemon's certificate is not checked");
    return SBX_OK;
}

void settings_finish(struct settings *s)
{
    char *const texts[] = {s->socket, s->base,    s->ca,           s->cert,        s->key,     s->image,
                           s->guest,  s->workdir, s->network_name, s->runtime_dir, s->runtime, s->client_folder};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    config_free_paths(s->bind_ro);
    memset(s, 0, sizeof *s);
}
