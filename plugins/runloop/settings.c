/* SPDX-License-Identifier: MIT
 *
 * settings.c - the configuration of an instance, and what the service's own environment variables say where it is
 * silent.
 */
#include "plugins/runloop/runloop.h"

enum { TIMEOUT_MS = 1800000, KEY_MAX = 1024 };

const struct sbx_config_key *const settings_keys[] = {
    CONFIG_KEY("api_key", SBX_KEY_STRING, SBX_KEY_SECRET, NULL, "the key of the service; default $RUNLOOP_API_KEY"),
    CONFIG_KEY("base_url", SBX_KEY_STRING, 0, NULL,
               "where the service is; default $RUNLOOP_BASE_URL, else the vendor's"),
    CONFIG_KEY("ca", SBX_KEY_PATH, 0, NULL, "file of certificate authorities to trust instead of the system's"),
    CONFIG_KEY("blueprint", SBX_KEY_STRING, 0, NULL, "blueprint, by id or name, of devboxes made without an image"),
    CONFIG_KEY("size", SBX_KEY_STRING, 0, NULL, "size of devboxes made without limits, such as SMALL"),
    CONFIG_KEY("timeout", SBX_KEY_SECONDS, 0, "30m", "limit of commands that name none; 0: no limit"),
    CONFIG_KEY("force_shutdown", SBX_KEY_BOOL, 0, "no", "removing a devbox does not wait for its snapshots"),
    NULL,
};

static sbx_status no_memory(struct sbx_call *call)
{
    return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
}

static int copy(const struct sbx_open_args *args, const char *key, char **out)
{
    const char *value = config_get(args, key);
    *out = value == NULL || value[0] == '\0' ? NULL : strdup(value);
    return value == NULL || value[0] == '\0' || *out != NULL ? 0 : -1;
}

static const char *setting(const struct sbx_open_args *args, const char *key, const char *variable)
{
    const char *value = config_get(args, key);
    if (value == NULL)
        value = secure_getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static sbx_status take_key(const struct sbx_open_args *args, char **key, struct sbx_call *call)
{
    const char *value = setting(args, "api_key", "RUNLOOP_API_KEY");
    if (value == NULL)
        return call_fail(call, SBX_E_AUTH,
                         "open: runloop needs a key: set RUNLOOP_API_KEY, or api_key_file or api_key_env in the "
                         "configuration");
    size_t len = 0;
    while (value[len] > ' ' && value[len] < 0x7f)
        len++;
    if (value[len] != '\0' || len > KEY_MAX)
        return call_fail(call, SBX_E_CONFIG, "open: the key of runloop has characters that no key has");
    *key = strdup(value);
    return *key == NULL ? no_memory(call) : SBX_OK;
}

/* The key must not travel in the clear. */
static sbx_status take_base(struct settings *s, const struct sbx_open_args *args, struct sbx_call *call)
{
    const char *url = setting(args, "base_url", "RUNLOOP_BASE_URL");
    if (url == NULL)
        url = "https://api.runloop.ai";
    int is_tls = strncasecmp(url, "https://", 8) == 0, is_plain = strncasecmp(url, "http://", 7) == 0;
    const char *host = url + (is_tls ? 8 : is_plain ? 7 : 0);
    size_t len = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]");
    if ((!is_tls && !is_plain) || len == 0 || len > 255 || host[len + (host[len] == '/')] != '\0')
        return call_fail(call, SBX_E_CONFIG, "base_url: '%s' is no https://HOST[:PORT]", url);
    if (!is_tls && !http_is_loopback(host, len))
        return call_fail(call, SBX_E_CONFIG, "base_url: '%s' would send the key in the clear; use https", url);
    if (asprintf(&s->base, "%s://%.*s", is_tls ? "https" : "http", (int)len, host) < 0)
        s->base = NULL;
    return s->base == NULL ? no_memory(call) : SBX_OK;
}

sbx_status settings_init(struct settings *s, const struct sbx_open_args *args, struct sbx_call *call, char **key)
{
    memset(s, 0, sizeof *s);
    sbx_status status = config_check(args, settings_keys, call);
    if (status == SBX_OK)
        status = take_key(args, key, call);
    if (status == SBX_OK)
        status = take_base(s, args, call);
    if (status != SBX_OK)
        return status;
    s->timeout_ms = config_get_timeout(args, TIMEOUT_MS);
    s->force = config_get_bool(args, "force_shutdown", 0);
    if (copy(args, "ca", &s->ca) != 0 || copy(args, "blueprint", &s->blueprint) != 0 ||
        copy(args, "size", &s->size) != 0)
        return no_memory(call);
    return SBX_OK;
}

void settings_finish(struct settings *s)
{
    free(s->base);
    free(s->ca);
    free(s->blueprint);
    free(s->size);
    memset(s, 0, sizeof *s);
}
