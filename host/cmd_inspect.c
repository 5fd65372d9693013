/* SPDX-License-Identifier: MIT
 *
 * cmd_inspect.c - sbxctl inspect: everything known of some sandboxes. Nothing is printed unless all are there.
 */
#include "host/cmd.h"
#include "host/cmd_columns.h"
#include "host/json.h"

#include <string.h>

struct inspection {
    struct cmd *c;
    struct table table;
    struct json json;
    struct cJSON *items;
    sbx_sandbox *box;
};

static const char *const capabilities[] = {
    "sbx.stat/1",      "sbx.fs/1",       "sbx.batch/1", "sbx.archive/1",  "sbx.job/1",         "sbx.job.signal/1",
    "sbx.job.stdin/1", "sbx.job.list/1", "sbx.tty/1",   "sbx.shell/1",    "sbx.shell.close/1", "sbx.dial/1",
    "sbx.keepalive/1", "sbx.suspend/1",  "sbx.wait/1",  "sbx.snapshot/1", "sbx.ssh/1",         "sbx.tunnel/1"};
static const char *const supports[] = {"none", "emulated", "native"};
enum { CAPABILITY_COUNT = sizeof capabilities / sizeof capabilities[0] };

static const char *support_of(const struct inspection *s, size_t i)
{
    uint32_t support = sbx_support(s->box, capabilities[i]);
    return supports[support > SBX_SUPPORT_NATIVE ? SBX_SUPPORT_NONE : support];
}

static void row(struct table *t, const char *key, const char *value)
{
    if (value == NULL || *value == 0)
        return;
    table_cell(t, key);
    table_cell(t, value);
}

/* The command that opens a shell in the sandbox; empty when it does not run. */
static void connect_line(const struct inspection *s, const struct sbx_info *info, char *out, size_t size)
{
    out[0] = 0;
    if (info->state != SBX_STATE_RUNNING)
        return;
    if (sbx_support(s->box, "sbx.tty/1") != SBX_SUPPORT_NONE)
        (void)snprintf(out, size, "sbxctl exec -it %s -- sh", info->id);
    else if (sbx_support(s->box, "sbx.shell/1") != SBX_SUPPORT_NONE)
        (void)snprintf(out, size, "sbxctl shell %s", info->id);
    else
        (void)snprintf(out, size, "sbxctl exec -i %s -- sh", info->id);
}

static void report_rows(struct inspection *s, const struct sbx_info *info)
{
    char text[40], connect[SBX_ID_SIZE + 64];
    row(&s->table, "id", info->id);
    row(&s->table, "name", info->name);
    row(&s->table, "state", state_name(info->state));
    row(&s->table, "provider state", info->provider_state);
    row(&s->table, "failure", info->failure);
    time_text(info->created_ms, text, sizeof text);
    row(&s->table, "created", text);
    time_text(info->expires_ms, text, sizeof text);
    row(&s->table, "expires", text);
    connect_line(s, info, connect, sizeof connect);
    row(&s->table, "connect", connect);
    for (size_t i = 0; i < info->metadata.count; i++) {
        char key[SBX_ID_SIZE + 8];
        int ours = strncmp(info->metadata.items[i].key, "provider.", 9) == 0;
        (void)snprintf(key, sizeof key, "%s%.200s", ours ? "" : "label ", info->metadata.items[i].key);
        table_cell(&s->table, key);
        table_cell(&s->table, info->metadata.items[i].value);
    }
    for (size_t i = 0; i < CAPABILITY_COUNT; i++)
        row(&s->table, capabilities[i], support_of(s, i));
}

static void report(void *user, const struct sbx_info *info)
{
    struct inspection *s = user;
    if (!cmd_has(s->c, OPT_JSON)) {
        if (s->table.count > 0) { /* an empty row between two */
            table_cell(&s->table, "");
            table_cell(&s->table, "");
        }
        report_rows(s, info);
        return;
    }
    char connect[SBX_ID_SIZE + 64];
    connect_line(s, info, connect, sizeof connect);
    struct cJSON *item = json_push_object(&s->json, s->items);
    json_text(&s->json, item, "id", info->id);
    json_text(&s->json, item, "name", info->name);
    json_text(&s->json, item, "state", state_name(info->state));
    json_text(&s->json, item, "provider_state", info->provider_state);
    json_text(&s->json, item, "failure", info->failure);
    json_time(&s->json, item, "created", info->created_ms);
    json_time(&s->json, item, "expires", info->expires_ms);
    json_text(&s->json, item, "connect", connect[0] == 0 ? NULL : connect);
    json_pairs(&s->json, item, "metadata", info->metadata);
    struct cJSON *list = json_object(&s->json, item, "capabilities");
    for (size_t i = 0; i < CAPABILITY_COUNT; i++)
        json_text(&s->json, list, capabilities[i], support_of(s, i));
}

static int inspect(struct inspection *s, sbx_context *ctx, const char *id)
{
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    struct sbx_error error = SBX_INIT(error);
    int code = cmd_attach(s->c, ctx, id, &box);
    if (code != 0)
        return code;
    s->box = box;
    return sbx_inspect(box, &s->c->call, report, s, &error) == SBX_OK ? 0 : cmd_fail_sandbox(s->c, id, &error);
}

static int inspect_all(struct inspection *s)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    int code = cmd_open(s->c, &ctx);
    for (size_t i = 0; code == 0 && i < s->c->arg_count; i++)
        code = inspect(s, ctx, s->c->args[i]);
    return code;
}

int cmd_inspect(struct cmd *c)
{
    struct inspection s = {.c = c};
    int code;
    table_init(&s.table, 2);
    json_init(&s.json);
    json_flag(&s.json, s.json.root, "ok", 1);
    s.items = json_array(&s.json, s.json.root, "sandboxes");
    code = inspect_all(&s);
    if (code == 0 && cmd_has(c, OPT_JSON))
        code = json_print(c, &s.json, EXIT_FINE);
    else if (code == 0 && table_print(&s.table, stdout) != 0)
        code = cmd_no_memory(c);
    json_drop(&s.json);
    table_finish(&s.table);
    return code;
}
