/* SPDX-License-Identifier: MIT
 *
 * cmd_ls.c - sbxctl ls: what there is, over all instances.
 */
#include "host/cmd.h"
#include "host/cmd_columns.h"
#include "host/json.h"

#include <string.h>
#include <time.h>

struct listing {
    struct cmd *c;
    struct table table;
    struct json json;
    struct cJSON *items;
};

static const char *find(struct sbx_kvs pairs, const char *key)
{
    for (size_t i = 0; i < pairs.count; i++)
        if (strcmp(pairs.items[i].key, key) == 0)
            return pairs.items[i].value;
    return NULL;
}

/* "5m ago", "in 55m"; "-" when unknown. */
static void age(int64_t ms, char *out, size_t size)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    int64_t seconds = (int64_t)time(NULL) - ms / 1000;
    int64_t far = seconds < 0 ? -seconds : seconds;
    size_t i = 0;
    if (ms == 0) {
        (void)snprintf(out, size, "-");
        return;
    }
    while (i < 3 && far < 2 * units[i].seconds)
        i++;
    (void)snprintf(out, size, "%s%lld%c%s", seconds < 0 ? "in " : "", (long long)(far / units[i].seconds),
                   units[i].unit, seconds < 0 ? "" : " ago");
}

static void list_row(struct listing *l, const struct sbx_info *info)
{
    char created[40], expires[40];
    age(info->created_ms, created, sizeof created);
    age(info->expires_ms, expires, sizeof expires);
    table_cell(&l->table, info->id);
    table_cell(&l->table, info->name == NULL ? "-" : info->name);
    table_cell(&l->table, state_name(info->state));
    table_cell(&l->table,
               find(info->metadata, "provider.image") == NULL ? "-" : find(info->metadata, "provider.image"));
    table_cell(&l->table, created);
    table_cell(&l->table, expires);
}

static void report(void *user, const struct sbx_info *info)
{
    struct listing *l = user;
    if (cmd_has(l->c, OPT_JSON)) {
        struct cJSON *item = json_push_object(&l->json, l->items);
        json_text(&l->json, item, "id", info->id);
        json_text(&l->json, item, "name", info->name);
        json_text(&l->json, item, "state", state_name(info->state));
        json_time(&l->json, item, "created", info->created_ms);
        json_time(&l->json, item, "expires", info->expires_ms);
        json_pairs(&l->json, item, "metadata", info->metadata);
    } else if (cmd_has(l->c, OPT_QUIET)) {
        table_cell(&l->table, info->id);
    } else {
        list_row(l, info);
    }
}

static int states(struct cmd *c, uint32_t *mask)
{
    for (size_t i = 0; i < c->repeated_count; i++) {
        int number = c->repeated[i].id == OPT_STATE ? state_number(c->repeated[i].value) : 0;
        if (number < 0)
            return cmd_usage(c,
                             "--state: no such state '%s'; write running, suspended, stopped, failed, pending, "
                             "suspending, resuming or unknown",
                             c->repeated[i].value);
        if (c->repeated[i].id == OPT_STATE)
            *mask |= 1u << number;
    }
    return 0;
}

/* The answer goes out only when the whole list was had. */
static int print(struct listing *l, sbx_status code, const struct sbx_error *error)
{
    if (code != SBX_OK)
        return cmd_fail(l->c, NULL, error);
    if (cmd_has(l->c, OPT_JSON))
        return EXIT_FINE;
    return table_print(&l->table, stdout) == 0 ? EXIT_FINE : cmd_no_memory(l->c);
}

static int list(struct listing *l, const struct sbx_list_options *options)
{
    static const char *const head[] = {"ID", "NAME", "STATE", "IMAGE", "CREATED", "EXPIRES"};
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    struct sbx_error error = SBX_INIT(error);
    int code = cmd_open(l->c, &ctx);
    if (code != 0)
        return code;
    for (size_t i = 0; i < l->table.columns && !cmd_has(l->c, OPT_QUIET); i++)
        table_cell(&l->table, head[i]);
    return print(l, sbx_list(ctx, options, &l->c->call, report, l, &error), &error);
}

int cmd_ls(struct cmd *c)
{
    CLEANUP_KV struct kv_list labels = {0};
    struct sbx_list_options options = SBX_INIT(options);
    struct listing l = {.c = c};
    int code = value_pairs(c, OPT_LABEL, 1, &labels);
    if (code == 0)
        code = states(c, &options.state_mask);
    if (code != 0)
        return code;
    options.provider = c->value[OPT_PROVIDER];
    options.labels = kv_view(&labels);
    table_init(&l.table, cmd_has(c, OPT_QUIET) ? 1 : 6);
    json_init(&l.json);
    json_flag(&l.json, l.json.root, "ok", 1);
    l.items = json_array(&l.json, l.json.root, "sandboxes");
    code = list(&l, &options);
    if (code == EXIT_FINE && cmd_has(c, OPT_JSON))
        code = json_print(c, &l.json, code);
    json_drop(&l.json);
    table_finish(&l.table);
    return code;
}
