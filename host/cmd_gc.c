/* SPDX-License-Identifier: MIT
 *
 * cmd_gc.c - sbxctl gc: removes the sandboxes that nobody is left to remove.
 */
#include "host/cmd.h"
#include "host/json.h"

struct sweep {
    struct cmd *c;
    struct json json;
    struct cJSON *items;
};

static void report(void *user, const char *id, const char *reason, const char *problem)
{
    struct sweep *s = user;
    if (cmd_has(s->c, OPT_JSON)) {
        struct cJSON *item = json_push_object(&s->json, s->items);
        json_text(&s->json, item, "id", id);
        json_text(&s->json, item, "reason", reason);
        json_text(&s->json, item, "problem", problem);
        return;
    }
    if (problem != NULL) {
        cmd_note_failure(s->c, id, "not removed: %s", problem);
        return;
    }
    print_safe(stdout, id);
    if (!cmd_has(s->c, OPT_QUIET)) {
        (void)fputs("  ", stdout);
        print_safe(stdout, reason == NULL ? "" : reason);
    }
    (void)fputc('\n', stdout);
}

int cmd_gc(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    struct sbx_error error = SBX_INIT(error);
    struct sweep s = {.c = c};
    const struct sbx_gc_options options = {.size = sizeof options,
                                           .flags = (cmd_has(c, OPT_ALL) ? SBX_GC_ALL : 0u) |
                                                    (cmd_has(c, OPT_DRY_RUN) ? SBX_GC_DRY_RUN : 0u),
                                           .provider = c->value[OPT_PROVIDER]};
    int code = signals_open(c);
    if (code == 0)
        code = cmd_open(c, &ctx);
    if (code != 0)
        return code;
    json_init(&s.json);
    json_flag(&s.json, s.json.root, "ok", 1);
    json_flag(&s.json, s.json.root, "dry_run", cmd_has(c, OPT_DRY_RUN));
    s.items = json_array(&s.json, s.json.root, "sandboxes");
    if (sbx_gc(ctx, &options, &c->call, report, &s, &error) != SBX_OK)
        code = cmd_fail_beside(c, NULL, &error, &s.json);
    else if (cmd_has(c, OPT_JSON))
        code = json_print(c, &s.json, EXIT_FINE);
    json_drop(&s.json);
    return code;
}
