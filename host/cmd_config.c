/* SPDX-License-Identifier: MIT
 *
 * cmd_config.c - sbxctl config: check, files, show.
 */
#include "host/cmd.h"
#include "host/cmd_routes.h"

#include <string.h>

struct showing {
    struct cmd *c;
    struct json json;
    struct cJSON *items;
    unsigned count;
    unsigned reserved0;
};

static void show_begin(struct showing *s, const char *key)
{
    json_init(&s->json);
    json_flag(&s->json, s->json.root, "ok", 1);
    s->items = json_array(&s->json, s->json.root, key);
}

static int show_end(struct showing *s, int code)
{
    if (code == EXIT_FINE && cmd_has(s->c, OPT_JSON))
        return json_print(s->c, &s->json, code);
    json_drop(&s->json);
    return code;
}

/* Whether the text has that word; a longer one that begins or ends like it is another. */
static int has_word(const char *text, const char *word)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t length = strlen(word);
    for (const char *s = strstr(text, word); s != NULL; s = strstr(s + 1, word))
        if ((s == text || strchr(letters, s[-1]) == NULL) && (s[length] == 0 || strchr(letters, s[length]) == NULL))
            return 1;
    return 0;
}

static void report_finding(void *user, const struct sbx_finding *f)
{
    struct showing *s = user;
    char line[16] = "";
    s->count++;
    if (f->line != 0)
        (void)snprintf(line, sizeof line, ":%u", f->line);
    if (cmd_has(s->c, OPT_JSON)) {
        struct cJSON *item = json_push_object(&s->json, s->items);
        json_text(&s->json, item, "file", f->file);
        json_number(&s->json, item, "line", f->line);
        json_text(&s->json, item, "message", f->message);
        json_text(&s->json, item, "nearest", f->nearest);
        return;
    }
    (void)fputs("sbxctl: config: ", stderr);
    if (f->file != NULL) {
        print_safe(stderr, f->file);
        (void)fprintf(stderr, "%s: ", line);
    }
    print_safe(stderr, f->message);
    if (f->nearest != NULL && !has_word(f->message, f->nearest)) {
        (void)fputs("; did you mean '", stderr);
        print_safe(stderr, f->nearest);
        (void)fputs("'?", stderr);
    }
    (void)fputc('\n', stderr);
}

/* Every problem is a line of its own on stderr; with --json they are in the one object. */
static int config_check(struct cmd *c)
{
    struct sbx_open_options options;
    struct sbx_error error = SBX_INIT(error);
    struct showing s = {.c = c};
    int code = cmd_open_options(c, &options);
    if (code != 0)
        return code;
    show_begin(&s, "problems");
    sbx_status verdict = sbx_config_check(&options, report_finding, &s, &error);
    if (verdict == SBX_OK) {
        if (!cmd_has(c, OPT_JSON) && !cmd_has(c, OPT_QUIET))
            (void)puts("no problems");
        return show_end(&s, EXIT_FINE);
    }
    if (s.count == 0) {
        json_drop(&s.json);
        return cmd_fail(c, NULL, &error);
    }
    if (!cmd_has(c, OPT_JSON)) {
        json_drop(&s.json);
        return EXIT_FAILED;
    }
    json_replace_flag(&s.json, s.json.root, "ok", 0);
    struct cJSON *e = json_object(&s.json, s.json.root, "error");
    json_text(&s.json, e, "code", sbx_status_name(verdict));
    json_text(&s.json, e, "message", error.message);
    json_number(&s.json, e, "exit_code", EXIT_FAILED);
    json_text(&s.json, e, "command", c->command->name);
    json_null(&s.json, e, "subject");
    return json_print(c, &s.json, EXIT_FAILED);
}

static void report_file(void *user, const char *path)
{
    struct showing *s = user;
    s->count++;
    if (cmd_has(s->c, OPT_JSON)) {
        json_push_text(&s->json, s->items, path);
        return;
    }
    print_safe(stdout, path);
    (void)fputc('\n', stdout);
}

static int config_files(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    struct showing s = {.c = c};
    int code = cmd_open(c, &ctx);
    if (code != 0)
        return code;
    show_begin(&s, "files");
    sbx_config_files(ctx, report_file, &s);
    if (s.count == 0)
        cmd_note(c, NULL, "no file is read; every installed plugin is an instance of its name");
    return show_end(&s, EXIT_FINE);
}

static void key_json(struct showing *s, struct cJSON *list, const struct sbx_key *key)
{
    struct cJSON *item = json_push_object(&s->json, list);
    json_text(&s->json, item, "name", key->name);
    json_text(&s->json, item, "type", key->type_name);
    json_text(&s->json, item, "default", key->fallback);
    json_text(&s->json, item, "help", key->help);
}

static void report_provider(void *user, const struct sbx_provider *p)
{
    struct showing *s = user;
    if (cmd_has(s->c, OPT_JSON)) {
        struct cJSON *item = json_push_object(&s->json, s->items);
        json_text(&s->json, item, "instance", p->instance);
        json_text(&s->json, item, "plugin", p->plugin);
        json_text(&s->json, item, "path", p->path);
        json_text(&s->json, item, "problem", p->problem);
        struct cJSON *keys = json_array(&s->json, item, "keys");
        for (size_t i = 0; i < p->key_count; i++)
            key_json(s, keys, &p->keys[i]);
        return;
    }
    (void)fputs("\n[provider ", stdout);
    print_safe(stdout, p->instance);
    (void)fputs("]\n# ", stdout);
    print_safe(stdout, p->path == NULL ? (p->problem == NULL ? "" : p->problem) : p->path);
    (void)fputs("\nplugin = ", stdout);
    print_safe(stdout, p->plugin);
    (void)fputc('\n', stdout);
    for (size_t i = 0; i < p->key_count; i++) {
        (void)fputs("# ", stdout);
        print_safe(stdout, p->keys[i].name);
        (void)fprintf(stdout, " (%s", p->keys[i].type_name == NULL ? "text" : p->keys[i].type_name);
        if (p->keys[i].fallback != NULL) {
            (void)fputs(", default ", stdout);
            print_safe(stdout, p->keys[i].fallback);
        }
        (void)fputs("): ", stdout);
        print_safe(stdout, p->keys[i].help == NULL ? "" : p->keys[i].help);
        (void)fputc('\n', stdout);
    }
}

static void report_comment(void *user, const char *path)
{
    struct showing *s = user;
    if (cmd_has(s->c, OPT_JSON))
        return;
    (void)fputs("# read: ", stdout);
    print_safe(stdout, path);
    (void)fputc('\n', stdout);
}

static int config_show(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    struct sbx_error error = SBX_INIT(error);
    struct showing s = {.c = c};
    int code = cmd_open(c, &ctx);
    if (code != 0)
        return code;
    show_begin(&s, "files");
    if (cmd_has(c, OPT_JSON))
        sbx_config_files(ctx, report_file, &s);
    else
        sbx_config_files(ctx, report_comment, &s);
    s.items = json_array(&s.json, s.json.root, "instances");
    if (sbx_providers(ctx, &c->call, report_provider, &s, &error) != SBX_OK)
        return show_end(&s, cmd_fail(c, NULL, &error));
    if (cmd_has(c, OPT_JSON))
        routes_json(&s.json, ctx);
    else
        routes_show(ctx);
    return show_end(&s, EXIT_FINE);
}

int cmd_config(struct cmd *c)
{
    static const struct {
        const char *name;
        int (*run)(struct cmd *c);
    } parts[] = {{"check", config_check}, {"files", config_files}, {"show", config_show}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(parts[i].name, c->args[0]) == 0)
            return parts[i].run(c);
    return cmd_usage(c, "'%s' is none of check, files and show", c->args[0]);
}
