/* SPDX-License-Identifier: MIT
 *
 * cmd_tunnel.c - sbxctl tunnel: a port here that leads to a port of a sandbox's loopback, as long as this process
 * lives.
 */
#include "host/cmd.h"
#include "host/json.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static int value_port(struct cmd *c, const char *text, uint32_t least, uint32_t *out)
{
    uint32_t number = 0;
    const char *s = text;
    for (; *s >= '0' && *s <= '9' && number <= 65535; s++)
        number = number * 10 + (uint32_t)(*s - '0');
    if (*text == 0 || *s != 0 || number < least || number > 65535)
        return cmd_usage(c, "'%s' is not a port; write a number from %u to 65535", text, least);
    *out = number;
    return 0;
}

static int print_address(struct cmd *c, const sbx_sandbox *box, uint32_t port, uint32_t local_port)
{
    struct json j;
    int code = EXIT_FINE;
    if (cmd_has(c, OPT_JSON)) {
        char address[32];
        (void)snprintf(address, sizeof address, "127.0.0.1:%u", local_port);
        json_init(&j);
        json_flag(&j, j.root, "ok", 1);
        json_text(&j, j.root, "id", sbx_id(box));
        json_number(&j, j.root, "port", port);
        json_text(&j, j.root, "address", address);
        code = json_print(c, &j, EXIT_FINE);
    } else {
        (void)printf("127.0.0.1:%u\n", local_port);
    }
    return cmd_close_output(c, code);
}

/* Until a signal comes, which is how a tunnel is meant to end; or the deadline. */
static int linger(struct cmd *c)
{
    struct pollfd fd = {.fd = c->signal_fd, .events = POLLIN};
    int limit = c->call.deadline_ms == 0 || c->call.deadline_ms > INT32_MAX ? -1 : (int)c->call.deadline_ms;
    while (poll(&fd, 1, limit) < 0)
        if (errno != EINTR)
            return cmd_own(c, NULL, "system", "poll: %s", strerror(errno));
    return EXIT_FINE;
}

int cmd_tunnel(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    struct sbx_error error = SBX_INIT(error);
    sbx_tunnel_handle *tunnel = NULL;
    uint32_t port = 0, local_port = 0;
    int code = value_port(c, c->args[1], 1, &port);
    if (code == 0 && c->arg_count == 3)
        code = value_port(c, c->args[2], 0, &local_port);
    if (code == 0)
        code = signals_open(c);
    if (code == 0)
        code = cmd_open(c, &ctx);
    if (code == 0)
        code = cmd_attach(c, ctx, c->args[0], &box);
    if (code != 0)
        return code;
    if (sbx_tunnel_open(box, port, &local_port, &tunnel, &error) != SBX_OK)
        return cmd_fail_inside(c, box, &error);
    code = print_address(c, box, port, local_port);
    if (code == EXIT_FINE)
        code = linger(c);
    sbx_tunnel_close(tunnel);
    return code;
}
