/* SPDX-License-Identifier: MIT
 *
 * cmd_providers.c - sbxctl providers: the configured instances, what each can do, and the routes to them.
 */
#include "host/cmd.h"
#include "host/cmd_routes.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* One instance's column: "CAPABILITY=SUPPORT" texts. */
struct column {
    char *instance;
    char **capabilities;
    unsigned char *support;
    size_t count;
};
struct overview {
    struct cmd *c;
    struct table table;
    struct table routes;
    struct json json;
    struct cJSON *items;
    struct column *columns;
    size_t count;
    int failed;
};

static const char *const supports[] = {"none", "emulated", "native"};

static const char *support_name(uint32_t support)
{
    return supports[support > SBX_SUPPORT_NATIVE ? SBX_SUPPORT_NONE : support];
}

static void column_finish(struct column *column)
{
    for (size_t i = 0; i < column->count; i++)
        free(column->capabilities[i]);
    free(column->capabilities);
    free(column->support);
    free(column->instance);
}

static int column_init(struct column *column, const struct sbx_provider *p)
{
    *column = (struct column){.instance = strdup(p->instance),
                              .capabilities = calloc(p->capability_count + 1, sizeof *column->capabilities),
                              .support = calloc(p->capability_count + 1, 1)};
    if (column->instance == NULL || column->capabilities == NULL || column->support == NULL)
        return -1;
    for (size_t i = 0; i < p->capability_count; i++) {
        column->capabilities[i] = strdup(p->capabilities[i].id);
        if (column->capabilities[i] == NULL)
            return -1;
        column->support[i] = (unsigned char)(p->capabilities[i].support & 3u);
        column->count++;
    }
    return 0;
}

static void report_text(struct overview *o, const struct sbx_provider *p)
{
    struct column *more = realloc(o->columns, (o->count + 1) * sizeof *more);
    table_cell(&o->table, p->instance);
    table_cell(&o->table, p->plugin);
    table_cell(&o->table, p->version == NULL ? "-" : p->version);
    table_cell(&o->table, p->is_default ? "default" : "");
    table_cell(&o->table, p->problem == NULL ? "ok" : p->problem);
    if (more == NULL) {
        o->failed = 1;
        return;
    }
    o->columns = more;
    if (p->problem == NULL && column_init(&more[o->count++], p) != 0)
        o->failed = 1;
}

static void report(void *user, const struct sbx_provider *p)
{
    struct overview *o = user;
    if (!cmd_has(o->c, OPT_JSON)) {
        report_text(o, p);
        return;
    }
    struct cJSON *item = json_push_object(&o->json, o->items);
    json_text(&o->json, item, "instance", p->instance);
    json_text(&o->json, item, "plugin", p->plugin);
    json_text(&o->json, item, "path", p->path);
    json_text(&o->json, item, "version", p->version);
    json_text(&o->json, item, "summary", p->summary);
    json_flag(&o->json, item, "default", p->is_default != 0);
    json_text(&o->json, item, "problem", p->problem);
    struct cJSON *list = json_object(&o->json, item, "capabilities");
    for (size_t i = 0; i < p->capability_count; i++)
        json_text(&o->json, list, p->capabilities[i].id, support_name(p->capabilities[i].support));
}

static const char *look_up(const struct column *column, const char *capability)
{
    for (size_t i = 0; i < column->count; i++)
        if (strcmp(column->capabilities[i], capability) == 0)
            return support_name(column->support[i]);
    return "none";
}

static int is_first(const struct overview *o, size_t column, const char *capability)
{
    for (size_t i = 0; i < column; i++)
        for (size_t k = 0; k < o->columns[i].count; k++)
            if (strcmp(o->columns[i].capabilities[k], capability) == 0)
                return 0;
    return 1;
}

/* Capabilities down, usable instances across. */
static int print_matrix(const struct overview *o)
{
    CLEANUP_TABLE struct table t = {0};
    table_init(&t, o->count + 1);
    table_cell(&t, "CAPABILITY");
    for (size_t i = 0; i < o->count; i++)
        table_cell(&t, o->columns[i].instance);
    for (size_t i = 0; i < o->count; i++) {
        for (size_t k = 0; k < o->columns[i].count; k++) {
            const char *capability = o->columns[i].capabilities[k];
            if (!is_first(o, i, capability))
                continue;
            table_cell(&t, capability);
            for (size_t n = 0; n < o->count; n++)
                table_cell(&t, look_up(&o->columns[n], capability));
        }
    }
    (void)fputc('\n', stdout);
    return table_print(&t, stdout);
}

static int print_all(const struct overview *o)
{
    if (table_print(&o->table, stdout) != 0 || print_matrix(o) != 0)
        return -1;
    if (o->routes.count > 0)
        (void)fputc('\n', stdout);
    return table_print(&o->routes, stdout);
}

static int look(struct overview *o)
{
    static const char *const head[] = {"INSTANCE", "PLUGIN", "VERSION", "", "STATUS"};
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    struct sbx_error error = SBX_INIT(error);
    int code = cmd_open(o->c, &ctx);
    if (code != 0)
        return code;
    for (size_t i = 0; i < o->table.columns; i++)
        table_cell(&o->table, head[i]);
    routes_rows(&o->routes, ctx);
    routes_json(&o->json, ctx);
    return sbx_providers(ctx, &o->c->call, report, o, &error) == SBX_OK ? 0 : cmd_fail(o->c, NULL, &error);
}

int cmd_providers(struct cmd *c)
{
    struct overview o = {.c = c};
    int code;
    table_init(&o.table, 5);
    table_init(&o.routes, ROUTES_COLUMNS);
    json_init(&o.json);
    json_flag(&o.json, o.json.root, "ok", 1);
    o.items = json_array(&o.json, o.json.root, "providers");
    code = look(&o);
    if (code == 0 && cmd_has(c, OPT_JSON))
        code = json_print(c, &o.json, EXIT_FINE);
    else if (code == 0 && (o.failed || print_all(&o) != 0))
        code = cmd_no_memory(c);
    for (size_t i = 0; i < o.count; i++)
        column_finish(&o.columns[i]);
    free(o.columns);
    json_drop(&o.json);
    table_finish(&o.table);
    table_finish(&o.routes);
    return code;
}
