/* SPDX-License-Identifier: MIT
 *
 * network.c - SSH keys and tunnels. The service has one tunnel for a devbox, and with it an address for each port.
 */
#include "plugins/runloop/tables.h"

enum { SSH_PORT = 443, TEXT_SIZE = 600 };

/* --- SSH --------------------------------------------------------------------------------------------------------- */

static int is_host(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    return len > 0 && len < 256 && text[len] == '\0' && text[0] != '-';
}

static sbx_status create_key(struct sbx_handle *h, struct sbx_call *call, const struct sbx_ssh_sink *out)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    char proxy[TEXT_SIZE];
    struct sbx_ssh_sink sink;
    sbx_view(&sink, sizeof sink, out);
    if (sink.item == NULL)
        return call_fail(call, SBX_E_INVALID, "ssh: a sink that cannot be used");
    sbx_status status = devbox_post(h, call, "ssh", "create_ssh_key", "{}", 1, &json);
    if (status != SBX_OK)
        return status;
    const char *url = json_text(json, "url"), *user = json_text(json, "ssh_user");
    const char *pem = json_text(json, "ssh_private_key");
    if (url == NULL || !is_host(url) || user == NULL || !id_is_valid(user) || user[0] == '-' || pem == NULL) {
        json_wipe_text(pem);
        return call_fail(call, SBX_E_PROTOCOL, "ssh: the answer is no key");
    }
    (void)snprintf(proxy, sizeof proxy,
                   "openssl s_client -quiet -verify_quiet -servername %s -connect ssh.runloop.ai:%d", url, SSH_PORT);
    const struct sbx_ssh_key key = {
        .size = sizeof key, .port = 22, .host = url, .user = user, .private_key_pem = pem, .proxy_command = proxy};
    int stop = sink.item(sink.user, &key);
    json_wipe_text(pem);
    return stop == 0 ? SBX_OK : call_fail(call, SBX_E_STOPPED, "ssh: stopped by the caller");
}

const struct sbx_ssh_ops ssh_ops = {.size = sizeof ssh_ops, .create_key = create_key};

/* --- tunnels ----------------------------------------------------------------------------------------------------- */

/* "https://PORT-KEY.tunnel.runloop.ai" for https://api.runloop.ai. Port 0: the address of none. */
static sbx_status report(struct sbx_handle *h, struct sbx_call *call, const struct cJSON *tunnel, uint32_t port,
                         const struct sbx_tunnel_sink *out)
{
    struct sbx_tunnel_sink sink;
    char url[TEXT_SIZE], id[ID_SIZE + 16];
    const char *base = h->backend->settings.base, *key = json_text(tunnel, "tunnel_key");
    const char *host = strstr(base, "://") + 3;
    sbx_view(&sink, sizeof sink, out);
    if (sink.item == NULL)
        return call_fail(call, SBX_E_INVALID, "tunnel: a sink that cannot be used");
    if (key == NULL || !id_is_valid(key))
        return call_fail(call, SBX_E_PROTOCOL, "tunnel: the answer is no tunnel");
    if (strncmp(host, "api.", 4) == 0)
        host += 4;
    (void)snprintf(id, sizeof id, "%s", key);
    if (port != 0)
        (void)snprintf(url, sizeof url, "%.*s%u-%s.tunnel.%s", (int)(strstr(base, "://") + 3 - base), base, port, key,
                       host);
    else
        (void)snprintf(url, sizeof url, "%.*sPORT-%s.tunnel.%s", (int)(strstr(base, "://") + 3 - base), base, key,
                       host);
    const struct sbx_tunnel item = {
        .size = sizeof item, .port = port, .id = id, .url = url, .token = json_text(tunnel, "auth_token")};
    int stop = sink.item(sink.user, &item);
    json_wipe_text(item.token);
    return stop == 0 ? SBX_OK : call_fail(call, SBX_E_STOPPED, "tunnel: stopped by the caller");
}

static const char *mode_of(uint32_t auth)
{
    return auth == SBX_TUNNEL_TOKEN ? "authenticated" : "open";
}

static sbx_status tunnel_create(struct sbx_handle *h, struct sbx_call *call, const struct sbx_tunnel_args *given,
                                const struct sbx_tunnel_sink *out)
{
    CLEANUP_JSON struct cJSON *view = NULL, *made = NULL;
    struct sbx_tunnel_args args;
    char body[80];
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0 || args.auth > SBX_TUNNEL_TOKEN)
        return call_fail(call, SBX_E_UNSUPPORTED, "tunnel: arguments of a newer version");
    if (args.port == 0 || args.port > 65535)
        return call_fail(call, SBX_E_INVALID, "tunnel: no port %u", args.port);
    status = devbox_get(h->backend, call, "tunnel", h->id, &view);
    if (status != SBX_OK)
        return status;
    const struct cJSON *tunnel = json_member(view, "tunnel");
    const char *mode = json_text(tunnel, "auth_mode");
    int is_told = args.auth != SBX_TUNNEL_TOKEN || json_text(tunnel, "auth_token") != NULL;
    if (mode != NULL && strcmp(mode, mode_of(args.auth)) == 0 && is_told)
        return report(h, call, tunnel, args.port, out);
    if (mode != NULL)
        return call_fail(call, SBX_E_STATE,
                         "tunnel: devbox %s has one, for all of its ports, that is %s%s; remove it first", h->id, mode,
                         is_told ? "" : " and whose token is not told");
    (void)snprintf(body, sizeof body, "{\"auth_mode\":\"%s\"}", mode_of(args.auth));
    status = devbox_post(h, call, "tunnel", "enable_tunnel", body, 0, &made);
    return status == SBX_OK ? report(h, call, made, args.port, out) : status;
}

static sbx_status tunnel_list(struct sbx_handle *h, struct sbx_call *call, const struct sbx_tunnel_sink *out)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    sbx_status status = devbox_get(h->backend, call, "tunnel", h->id, &view);
    const struct cJSON *tunnel = json_member(view, "tunnel");
    if (status != SBX_OK || json_text(tunnel, "tunnel_key") == NULL)
        return status;
    return report(h, call, tunnel, 0, out);
}

/* It ends for all ports. */
static sbx_status tunnel_remove(struct sbx_handle *h, struct sbx_call *call, const char *id)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    sbx_status status = devbox_get(h->backend, call, "tunnel", h->id, &view);
    const char *key = json_text(json_member(view, "tunnel"), "tunnel_key");
    if (status != SBX_OK || key == NULL || id == NULL || strcmp(key, id) != 0)
        return status;
    return devbox_post(h, call, "tunnel", "remove_tunnel", "{}", 1, NULL);
}

const struct sbx_tunnel_ops tunnel_ops = {
    .size = sizeof tunnel_ops, .create = tunnel_create, .list = tunnel_list, .remove = tunnel_remove};
