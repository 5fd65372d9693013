/* SPDX-License-Identifier: MIT
 *
 * cmd_routes.c - the routes as JSON, as sections of a file, and as a table.
 */
#include "host/cmd_routes.h"

#include "base/buf.h"
#include "base/cleanup.h"

enum { CONDITION_LIMIT = 1 << 20 };

/* --- JSON ------------------------------------------------------------------------------------------------------- */
struct document {
    struct json *json;
    struct cJSON *items;
};

static void texts_json(struct json *j, struct cJSON *at, const char *key, const char *const *texts)
{
    struct cJSON *list = json_array(j, at, key);
    for (; *texts != NULL; texts++)
        json_push_text(j, list, *texts);
}

static void route_json(void *user, const struct sbx_route *route)
{
    const struct document *d = user;
    struct cJSON *item = json_push_object(d->json, d->items);
    json_text(d->json, item, "name", route->name);
    json_text(d->json, item, "file", route->file);
    json_number(d->json, item, "line", route->line);
    json_text(d->json, item, "image", route->image);
    texts_json(d->json, item, "labels", route->labels);
    texts_json(d->json, item, "require", route->require);
    texts_json(d->json, item, "use", route->use);
}

void routes_json(struct json *j, sbx_context *ctx)
{
    struct document d = {.json = j, .items = json_array(j, j->root, "routes")};
    sbx_routes(ctx, route_json, &d);
}

/* --- as in a file ----------------------------------------------------------------------------------------------- */
static void line_show(const char *key, const char *value)
{
    (void)printf("%s = ", key);
    print_safe(stdout, value);
    (void)fputc('\n', stdout);
}

static void words_show(const char *key, const char *const *words)
{
    if (*words == NULL)
        return;
    (void)printf("%s =", key);
    for (; *words != NULL; words++) {
        (void)fputc(' ', stdout);
        print_safe(stdout, *words);
    }
    (void)fputc('\n', stdout);
}

static void route_show(void *user, const struct sbx_route *route)
{
    (void)user;
    (void)fputs("\n[route ", stdout);
    print_safe(stdout, route->name);
    (void)fputs("]\n# ", stdout);
    print_safe(stdout, route->file);
    (void)printf(":%u\n", route->line);
    if (route->image != NULL)
        line_show("image", route->image);
    for (const char *const *label = route->labels; *label != NULL; label++)
        line_show("label", *label);
    words_show("require", route->require);
    words_show("use", route->use);
}

void routes_show(sbx_context *ctx)
{
    sbx_routes(ctx, route_show, NULL);
}

/* --- as a table ------------------------------------------------------------------------------------------------- */
static void add(struct buf *text, const char *key, const char *value)
{
    if (text->len > 0)
        (void)buf_text(text, ", ");
    (void)buf_text(text, key);
    (void)buf_text(text, value);
}

static void cell_of(struct table *table, struct buf *text)
{
    table->failed |= text->failed != 0;
    table_cell(table, text->len > 0 ? text->data : "always");
    text->len = 0;
}

static void route_row(void *user, const struct sbx_route *route)
{
    static const char *const head[ROUTES_COLUMNS] = {"ROUTE", "WHEN", "USE"};
    struct table *table = user;
    CLEANUP_BUF struct buf text;
    buf_init(&text, CONDITION_LIMIT);
    for (size_t i = 0; table->count < ROUTES_COLUMNS && i < ROUTES_COLUMNS; i++)
        table_cell(table, head[i]);
    table_cell(table, route->name);
    if (route->image != NULL)
        add(&text, "image ", route->image);
    for (const char *const *label = route->labels; *label != NULL; label++)
        add(&text, "label ", *label);
    for (const char *const *id = route->require; *id != NULL; id++)
        add(&text, "require ", *id);
    cell_of(table, &text);
    for (const char *const *name = route->use; *name != NULL; name++)
        add(&text, "", *name);
    cell_of(table, &text);
}

void routes_rows(struct table *table, sbx_context *ctx)
{
    sbx_routes(ctx, route_row, table);
}
