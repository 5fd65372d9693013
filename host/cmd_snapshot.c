/* SPDX-License-Identifier: MIT
 *
 * cmd_snapshot.c - sbxctl snapshot: copies of a sandbox's files, from which new sandboxes are made.
 */
#include "host/cmd.h"
#include "host/cmd_columns.h"
#include "host/json.h"

static const char *snapshot_state(int32_t state)
{
    static const char *const names[] = {[SBX_SNAP_UNKNOWN] = "unknown",
                                        [SBX_SNAP_RUNNING] = "running",
                                        [SBX_SNAP_DONE] = "done",
                                        [SBX_SNAP_FAILED] = "failed",
                                        [SBX_SNAP_DELETED] = "deleted"};
    return state < SBX_SNAP_UNKNOWN || state > SBX_SNAP_DELETED ? names[SBX_SNAP_UNKNOWN] : names[state];
}

struct listing {
    struct cmd *c;
    struct table table;
    struct json json;
    struct cJSON *items; /* NULL: one alone, at the root */
};

static void put(struct listing *l, const struct sbx_snapshot_info *s)
{
    struct json *j = &l->json;
    struct cJSON *at = l->items == NULL ? j->root : json_push_object(j, l->items);
    json_text(j, at, "id", s->id);
    json_text(j, at, "name", s->name);
    json_text(j, at, "state", snapshot_state(s->state));
    json_text(j, at, "failure", s->failure);
    json_time(j, at, "created", s->created_ms);
    json_pairs(j, at, "metadata", s->labels);
}

static void row(struct listing *l, const struct sbx_snapshot_info *s)
{
    char created[40];
    time_text(s->created_ms, created, sizeof created);
    table_cell(&l->table, s->id);
    table_cell(&l->table, s->name == NULL ? "-" : s->name);
    table_cell(&l->table, snapshot_state(s->state));
    table_cell(&l->table, created[0] == 0 ? "-" : created);
}

static void report(void *user, const struct sbx_snapshot_info *s)
{
    struct listing *l = user;
    if (cmd_has(l->c, OPT_JSON))
        put(l, s);
    else if (cmd_has(l->c, OPT_QUIET))
        table_cell(&l->table, s->id);
    else
        row(l, s);
}

static void report_id(void *user, const struct sbx_snapshot_info *s)
{
    struct listing *l = user;
    if (cmd_has(l->c, OPT_JSON))
        put(l, s);
    else
        table_cell(&l->table, s->id);
}

/* A table of `columns`, or of the ids alone. */
static void head(struct listing *l, size_t columns)
{
    static const char *const names[] = {"ID", "NAME", "STATE", "CREATED"};
    int alone = columns == 1 || cmd_has(l->c, OPT_QUIET);
    table_init(&l->table, alone ? 1 : columns);
    for (size_t i = 0; i < columns && !alone; i++)
        table_cell(&l->table, names[i]);
    json_init(&l->json);
    json_flag(&l->json, l->json.root, "ok", 1);
}

static int foot(struct listing *l, const char *subject, sbx_status status, const struct sbx_error *error)
{
    int code = EXIT_FINE;
    if (status == SBX_E_GONE)
        code = cmd_fail_sandbox(l->c, subject, error);
    else if (status != SBX_OK)
        code = cmd_fail(l->c, subject, error);
    else if (cmd_has(l->c, OPT_JSON))
        code = json_print(l->c, &l->json, EXIT_FINE);
    else if (table_print(&l->table, stdout) != 0)
        code = cmd_no_memory(l->c);
    json_drop(&l->json);
    table_finish(&l->table);
    return code;
}

static int snapshot_create(struct cmd *c, sbx_context *ctx)
{
    CLEANUP_KV struct kv_list labels = {0};
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    struct sbx_snapshot_options options = SBX_INIT(options);
    struct sbx_error error = SBX_INIT(error);
    struct listing l = {.c = c};
    int code = value_pairs(c, OPT_LABEL, 1, &labels);
    if (code == 0)
        code = cmd_attach(c, ctx, c->args[1], &box);
    if (code != 0)
        return code;
    options.name = c->value[OPT_NAME];
    options.comment = c->value[OPT_COMMENT];
    options.labels = kv_view(&labels);
    head(&l, 1);
    sbx_status status = sbx_snapshot_create(box, &options, &c->call, report_id, &l, &error);
    return foot(&l, sbx_id(box), status, &error);
}

static int snapshot_ls(struct cmd *c, sbx_context *ctx)
{
    CLEANUP_KV struct kv_list labels = {0};
    struct sbx_list_options options = SBX_INIT(options);
    struct sbx_error error = SBX_INIT(error);
    struct listing l = {.c = c};
    int code = value_pairs(c, OPT_LABEL, 1, &labels);
    if (code != 0)
        return code;
    options.provider = c->value[OPT_PROVIDER];
    options.labels = kv_view(&labels);
    head(&l, 4);
    l.items = json_array(&l.json, l.json.root, "snapshots");
    return foot(&l, NULL, sbx_snapshot_list(ctx, &options, &c->call, report, &l, &error), &error);
}

static int snapshot_info(struct cmd *c, sbx_context *ctx)
{
    struct sbx_error error = SBX_INIT(error);
    struct listing l = {.c = c};
    head(&l, 4);
    return foot(&l, c->args[1], sbx_snapshot_query(ctx, c->args[1], &c->call, report, &l, &error), &error);
}

/* Every one is tried; the first failure is the verdict, others are told as well. */
static int snapshot_rm(struct cmd *c, sbx_context *ctx)
{
    struct json j;
    int code = EXIT_FINE;
    for (size_t i = 1; i < c->arg_count; i++) {
        struct sbx_error error = SBX_INIT(error);
        if (sbx_snapshot_remove(ctx, c->args[i], &c->call, &error) != SBX_OK)
            code = cmd_fail_one(c, c->args[i], &error, code);
    }
    if (code != EXIT_FINE || !cmd_has(c, OPT_JSON))
        return code;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    return json_print(c, &j, EXIT_FINE);
}

static int check_texts(struct cmd *c)
{
    if (cmd_has(c, OPT_NAME) && *c->value[OPT_NAME] == 0)
        return cmd_usage(c, "--name: an empty value");
    return 0;
}

#define CREATE_BITS (OPTION_BIT(OPT_NAME) | OPTION_BIT(OPT_LABEL) | OPTION_BIT(OPT_COMMENT))
#define LS_BITS     (OPTION_BIT(OPT_LABEL) | OPTION_BIT(OPT_PROVIDER))
static const struct cmd_action actions[] = {
    {"create", "ID", 2, 2, CREATE_BITS, check_texts, NULL},
    {"ls", "", 1, 1, LS_BITS, NULL, NULL},
    {"info", "SNAPSHOT", 2, 2, 0, NULL, NULL},
    {"rm", "SNAPSHOT...", 2, SIZE_MAX, 0, NULL, NULL},
};
enum { ACTIONS = sizeof actions / sizeof actions[0] };
static int (*const runs[ACTIONS])(struct cmd *c, sbx_context *ctx) = {snapshot_create, snapshot_ls, snapshot_info,
                                                                      snapshot_rm};

int cmd_snapshot(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    const struct cmd_action *a = NULL;
    int code = action_take(c, actions, ACTIONS, GROUP_SNAPSHOT | GROUP_PICK, &a);
    if (code == 0)
        code = signals_open(c);
    if (code == 0)
        code = cmd_open(c, &ctx);
    return code == 0 ? runs[a - actions](c, ctx) : code;
}
