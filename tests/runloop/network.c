/* SPDX-License-Identifier: MIT
 *
 * network.c - a host that knows nothing but the ABI, for what libsbx does not hand on: network PLUGIN ID prints what
 * the plugin says of SSH keys and tunnels of the sandbox ID.
 */
#include "sbx_plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static struct sbx_error error = {.size = sizeof error};
static char tunnel_id[SBX_ID_SIZE];

static int32_t on_key(void *user, const struct sbx_ssh_key *key)
{
    (void)user;
    (void)printf("key %s %s %d\n%s\n", key->host, key->user, strncmp(key->private_key_pem, "-----BEGIN ", 11) == 0,
                 key->proxy_command);
    return 0;
}

static int32_t on_tunnel(void *user, const struct sbx_tunnel *tunnel)
{
    (void)user;
    (void)snprintf(tunnel_id, sizeof tunnel_id, "%s", tunnel->id);
    (void)printf("tunnel %u %s %s\n", tunnel->port, tunnel->url, tunnel->token != NULL ? tunnel->token : "-");
    return 0;
}

static void say(const char *what, sbx_status status)
{
    (void)printf("%s %d%s%s\n", what, status, status == SBX_OK ? "" : " ", status == SBX_OK ? "" : error.message);
}

static void use(struct sbx_backend *b, const struct sbx_plugin *plugin, struct sbx_handle *h, struct sbx_call *call)
{
    const struct sbx_ssh_ops *ssh = plugin->backend->get_extension(b, SBX_EXT_SSH);
    const struct sbx_tunnel_ops *tunnel = plugin->backend->get_extension(b, SBX_EXT_TUNNEL);
    const struct sbx_ssh_sink keys = {.size = sizeof keys, .item = on_key};
    const struct sbx_tunnel_sink tunnels = {.size = sizeof tunnels, .item = on_tunnel};
    struct sbx_tunnel_args args = {.size = sizeof args, .port = 8080, .auth = SBX_TUNNEL_TOKEN};
    say("key", ssh->create_key(h, call, &keys));
    say("list", tunnel->list(h, call, &tunnels));
    say("create", tunnel->create(h, call, &args, &tunnels));
    args.port = 9090;
    say("create", tunnel->create(h, call, &args, &tunnels));
    args.auth = SBX_TUNNEL_OPEN;
    say("create", tunnel->create(h, call, &args, &tunnels));
    say("list", tunnel->list(h, call, &tunnels));
    say("remove", tunnel->remove(h, call, "another"));
    say("list", tunnel->list(h, call, &tunnels));
    say("remove", tunnel->remove(h, call, tunnel_id));
    say("remove", tunnel->remove(h, call, tunnel_id));
    say("list", tunnel->list(h, call, &tunnels));
}

int main(int argc, char **argv)
{
    const struct sbx_host host = {.size = sizeof host, .abi_minor = SBX_ABI_MINOR, .name = "network"};
    const struct sbx_open_args args = {.size = sizeof args, .instance = "runloop"};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    struct sbx_backend *b = NULL;
    struct sbx_handle *h = NULL;
    void *object = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    const struct sbx_plugin *plugin = object == NULL ? NULL : dlsym(object, "sbx_plugin_v1");
    if (plugin == NULL)
        return 2;
    say("open", plugin->backend->open(&host, &call, &args, &b));
    if (b == NULL)
        return 1;
    say("attach", plugin->backend->attach(b, &call, argv[2], &h));
    if (h != NULL)
        use(b, plugin, h, &call);
    plugin->handle->release(h);
    plugin->backend->close(b);
    return 0;
}
