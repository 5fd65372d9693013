/* SPDX-License-Identifier: MIT
 *
 * cmd_tunnel.c - sbxctl tunnel: a port here that leads to a port of a sandbox's loopback, as long as this process
 * lives; or addresses that the provider keeps.
 */
#include "host/cmd.h"
#include "host/cmd_columns.h"
#include "host/json.h"

#include "sbx_access.h"

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

static int serve(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    struct sbx_error error = SBX_INIT(error);
    sbx_tunnel_handle *tunnel = NULL;
    uint32_t port = 0, local_port = 0;
    int code = cmd_has(c, OPT_PUBLIC) ? cmd_usage(c, "option '--public' has meaning for 'create' alone") : 0;
    if (code == 0)
        code = value_port(c, c->args[1], 1, &port);
    if (code == 0 && c->arg_count == 3)
        code = value_port(c, c->args[2], 0, &local_port);
    if (code == 0)
        code = cmd_open_box(c, c->args[0], &ctx, &box);
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

/* --- addresses that the provider keeps ---------------------------------------------------------------------------- */

struct listing {
    struct cmd *c;
    struct table table;
    struct json json;
    struct cJSON *items; /* NULL: one alone, at the root */
};

static void put(struct listing *l, const struct sbx_endpoint *e)
{
    struct json *j = &l->json;
    struct cJSON *at = l->items == NULL ? j->root : json_push_object(j, l->items);
    json_text(j, at, "tunnel", e->id);
    if (e->port != 0)
        json_number(j, at, "port", e->port);
    else
        json_null(j, at, "port");
    json_text(j, at, "url", e->url);
    json_text(j, at, "token", e->token);
}

static void report_one(void *user, const struct sbx_endpoint *e)
{
    struct listing *l = user;
    if (cmd_has(l->c, OPT_JSON)) {
        put(l, e);
        return;
    }
    (void)printf("%s\n", e->url != NULL ? e->url : e->id);
    if (e->token != NULL)
        (void)printf("%s\n", e->token);
}

static void report_row(void *user, const struct sbx_endpoint *e)
{
    struct listing *l = user;
    char port[16];
    (void)snprintf(port, sizeof port, "%u", e->port);
    if (cmd_has(l->c, OPT_JSON)) {
        put(l, e);
        return;
    }
    table_cell(&l->table, e->id);
    if (cmd_has(l->c, OPT_QUIET))
        return;
    table_cell(&l->table, e->port == 0 ? "any" : port);
    table_cell(&l->table, e->url == NULL ? "-" : e->url);
}

/* Before the sandbox is looked for. */
static int check_create(struct cmd *c)
{
    uint32_t port = 0;
    return value_port(c, c->args[2], 1, &port);
}

static int tunnel_create(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    struct listing l = {.c = c};
    uint32_t port = 0;
    int code = value_port(c, c->args[2], 1, &port); /* which check_create found to be one */
    json_init(&l.json);
    json_flag(&l.json, l.json.root, "ok", 1);
    json_text(&l.json, l.json.root, "id", sbx_id(box));
    if (code == 0 && sbx_endpoint_create(box, port, cmd_has(c, OPT_PUBLIC) ? SBX_ENDPOINT_OPEN : SBX_ENDPOINT_TOKEN,
                                         &c->call, report_one, &l, &error) != SBX_OK)
        code = cmd_fail_inside(c, box, &error);
    if (code == 0 && cmd_has(c, OPT_JSON))
        code = json_print(c, &l.json, EXIT_FINE);
    json_drop(&l.json);
    return code;
}

static int tunnel_ls(struct cmd *c, sbx_sandbox *box)
{
    static const char *const names[] = {"TUNNEL", "PORT", "URL"};
    struct sbx_error error = SBX_INIT(error);
    struct listing l = {.c = c};
    int quiet = cmd_has(c, OPT_QUIET), code = EXIT_FINE;
    table_init(&l.table, quiet ? 1 : 3);
    for (size_t i = 0; i < 3 && !quiet; i++)
        table_cell(&l.table, names[i]);
    json_init(&l.json);
    json_flag(&l.json, l.json.root, "ok", 1);
    json_text(&l.json, l.json.root, "id", sbx_id(box));
    l.items = json_array(&l.json, l.json.root, "tunnels");
    if (sbx_endpoint_list(box, &c->call, report_row, &l, &error) != SBX_OK)
        code = cmd_fail_inside(c, box, &error);
    else if (cmd_has(c, OPT_JSON))
        code = json_print(c, &l.json, EXIT_FINE);
    else if (table_print(&l.table, stdout) != 0)
        code = cmd_no_memory(c);
    json_drop(&l.json);
    table_finish(&l.table);
    return code;
}

/* Those that are to end. */
struct ending {
    const char *only; /* NULL: all */
    char (*ids)[SBX_ID_SIZE];
    size_t count;
    int any;  /* one of them serves any port */
    int more; /* than there is room for */
};

enum { ENDING_MAX = 64 };

static void note_ending(void *user, const struct sbx_endpoint *e)
{
    struct ending *ending = user;
    if (ending->only != NULL && strcmp(ending->only, e->id) != 0)
        return;
    ending->more |= ending->count == ENDING_MAX;
    if (ending->more)
        return;
    (void)snprintf(ending->ids[ending->count++], SBX_ID_SIZE, "%s", e->id);
    ending->any |= e->port == 0;
}

static int tunnel_rm(struct cmd *c, sbx_sandbox *box)
{
    char ids[ENDING_MAX][SBX_ID_SIZE];
    struct ending ending = {.only = c->arg_count == 3 ? c->args[2] : NULL, .ids = ids};
    struct sbx_error error = SBX_INIT(error);
    struct json j;
    sbx_status status = sbx_endpoint_list(box, &c->call, note_ending, &ending, &error);
    if (ending.more)
        return cmd_own(c, sbx_id(box), "too_many", "more than %d tunnels; end them by their names", ENDING_MAX);
    if (status == SBX_OK && ending.only != NULL && ending.count == 0)
        return cmd_own(c, sbx_id(box), "no_tunnel", "no such tunnel '%s'", ending.only);
    for (size_t i = 0; status == SBX_OK && i < ending.count; i++)
        status = sbx_endpoint_remove(box, ids[i], &c->call, &error);
    if (status != SBX_OK)
        return cmd_fail_inside(c, box, &error);
    if (ending.any)
        cmd_note(c, sbx_id(box), "the tunnel has ended for all of its ports");
    if (!cmd_has(c, OPT_JSON))
        return EXIT_FINE;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    struct cJSON *items = json_array(&j, j.root, "tunnels");
    for (size_t i = 0; i < ending.count; i++)
        json_push_text(&j, items, ids[i]);
    json_flag(&j, j.root, "all_ports", ending.any);
    return json_print(c, &j, EXIT_FINE);
}

static const struct cmd_action actions[] = {
    {"create", "ID PORT", 3, 3, OPTION_BIT(OPT_PUBLIC), check_create, tunnel_create},
    {"ls", "ID", 2, 2, 0, NULL, tunnel_ls},
    {"rm", "ID [TUNNEL]", 2, 3, 0, NULL, tunnel_rm},
};
enum { ACTIONS = sizeof actions / sizeof actions[0] };

/* The first word is an action, or else the id of a sandbox. */
int cmd_tunnel(struct cmd *c)
{
    for (size_t i = 0; i < ACTIONS; i++)
        if (strcmp(actions[i].name, c->args[0]) == 0)
            return action_run(c, actions, ACTIONS, GROUP_TUNNEL);
    return serve(c);
}
