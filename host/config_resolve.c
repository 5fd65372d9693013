/* SPDX-License-Identifier: MIT
 *
 * config_resolve.c - an instance's pairs against the schema that its plugin declares.
 */
#include "host/config_parts.h"

#include "base/cleanup.h"
#include "host/error.h"

#include <string.h>

/* How a pair's key meets a key of the schema. */
struct match {
    const struct sbx_config_key *key;
    size_t index;
    const char *how; /* "", or "_file" or "_env" of a secret */
};

static int matches(const struct sbx_config_key *key, const char *name, const char **how)
{
    static const char *const forms[] = {"", "_file", "_env"};
    size_t count = (key->flags & SBX_KEY_SECRET) != 0 ? 3 : 1, len = strlen(key->name);
    if (strncmp(key->name, name, len) != 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(name + len, forms[i]) == 0) {
            *how = forms[i];
            return 1;
        }
    return 0;
}

/* 1, or 0 and *nearest offered every known name. */
static int find(const struct sbx_plugin *plugin, const char *name, struct match *match, struct nearest *nearest)
{
    nearest_init(nearest, name);
    for (size_t i = 0; plugin->config_keys[i] != NULL; i++) {
        const struct sbx_config_key *key = plugin->config_keys[i];
        *match = (struct match){.key = key, .index = i};
        if (matches(key, name, &match->how))
            return 1;
        nearest_offer(nearest, key->name);
        if ((key->flags & SBX_KEY_SECRET) == 0)
            continue;
        char form[80];
        (void)snprintf(form, sizeof form, "%s_file", key->name);
        nearest_offer(nearest, form);
        (void)snprintf(form, sizeof form, "%s_env", key->name);
        nearest_offer(nearest, form);
    }
    nearest_offer(nearest, "plugin");
    return 0;
}

/* The value that open() is to see, or NULL with a finding. */
static char *value_of(const struct config_pair *pair, const struct match *match, struct findings *findings)
{
    if ((match->key->flags & SBX_KEY_SECRET) != 0)
        return config_secret_read(pair, match->how, findings);
    const char *expected = config_value_expected(match->key->type, pair->value);
    if (expected != NULL) {
        finding_add(findings, pair->file, pair->line, NULL, "%s is '%s'; expected %s", pair->key, pair->value,
                    expected);
        return NULL;
    }
    char *made = strdup(pair->value);
    if (made == NULL)
        findings->no_memory = 1;
    return made;
}

static void take(const struct config_pair *pair, const struct match *match, struct findings *findings,
                 struct config_pair *out, size_t *count)
{
    char *value = value_of(pair, match, findings);
    char *key = value == NULL ? NULL : strdup(match->key->name);
    if (key == NULL) {
        findings->no_memory |= value != NULL;
        config_secret_free(value);
        return;
    }
    out[(*count)++] = (struct config_pair){.key = key,
                                           .value = value,
                                           .file = pair->file,
                                           .line = pair->line,
                                           .secret = (match->key->flags & SBX_KEY_SECRET) != 0,
                                           .file_private = pair->file_private};
}

static void check_required(const struct config_instance *instance, const struct sbx_plugin *plugin,
                           const uint32_t *seen, struct findings *findings)
{
    for (size_t i = 0; plugin->config_keys[i] != NULL; i++) {
        const struct sbx_config_key *key = plugin->config_keys[i];
        if ((key->flags & SBX_KEY_REQUIRED) == 0 || seen[i] != 0)
            continue;
        finding_add(findings, instance->file, instance->line, NULL, "[provider %s] lacks %s%s: %s", instance->name,
                    key->name, (key->flags & SBX_KEY_SECRET) != 0 ? "_file or _env" : "", key->help);
    }
}

static size_t key_count(const struct sbx_plugin *plugin)
{
    size_t count = 0;
    while (plugin->config_keys[count] != NULL)
        count++;
    return count;
}

void config_resolve_into(const struct config_instance *instance, const struct sbx_plugin *plugin,
                         struct findings *findings, struct config_pair **out, size_t *count)
{
    *count = 0;
    *out = calloc(instance->pair_count + 1, sizeof **out);
    /* For each key of the schema the ordinal of its first pair, from 1. */
    CLEANUP_FREE uint32_t *seen = calloc(key_count(plugin) + 1, sizeof *seen);
    if (*out == NULL || seen == NULL) {
        findings->no_memory = 1;
        return;
    }
    for (size_t i = 0; i < instance->pair_count; i++) {
        const struct config_pair *pair = &instance->pairs[i];
        struct match match;
        struct nearest nearest;
        if (!find(plugin, pair->key, &match, &nearest)) {
            finding_add(findings, pair->file, pair->line, nearest_best(&nearest),
                        "unknown key '%s' in [provider %s] (plugin %s)", pair->key, instance->name, plugin->id);
            continue;
        }
        uint32_t *first = &seen[match.index];
        if (*first != 0 && (match.key->flags & SBX_KEY_REPEAT) == 0) {
            const struct config_pair *other = &instance->pairs[*first - 1];
            finding_add(findings, pair->file, pair->line, NULL,
                        strcmp(other->key, pair->key) == 0 ? "key '%s' again; '%s' is at line %u already"
                                                           : "'%s' besides '%s' at line %u; expected one of them",
                        pair->key, other->key, other->line);
            continue;
        }
        if (*first == 0)
            *first = (uint32_t)i + 1;
        take(pair, &match, findings, *out, count);
    }
    check_required(instance, plugin, seen, findings);
}

void config_locate(const struct config_pair *pairs, size_t count, struct sbx_error *error)
{
    size_t len = error == NULL ? 0 : strcspn(error->message, ":");
    const struct config_pair *best = NULL;
    for (size_t i = 0; len > 0 && i < count; i++) {
        if (pairs[i].file == NULL || strlen(pairs[i].key) != len || memcmp(pairs[i].key, error->message, len) != 0)
            continue;
        if (best == NULL || strstr(error->message + len, pairs[i].value) != NULL) /* of several the one it cites */
            best = &pairs[i];
    }
    if (best != NULL)
        (void)error_wrap(error, error->code, "%s:%u", best->file, best->line);
}

void config_pairs_destroy(struct config_pair *pairs, size_t count)
{
    for (size_t i = 0; pairs != NULL && i < count; i++) {
        free(pairs[i].key);
        config_secret_free(pairs[i].value);
    }
    free(pairs);
}

sbx_status config_resolve(const struct config_instance *instance, const struct sbx_plugin *plugin, struct log *log,
                          config_report *report, void *user, struct config_pair **out, size_t *count,
                          struct sbx_error *error)
{
    struct findings findings = {.report = report, .user = user, .error = error};
    struct config_pair *pairs = NULL;
    size_t made = 0;
    config_resolve_into(instance, plugin, &findings, &pairs, &made);
    for (size_t i = 0; i < made; i++)
        if (pairs[i].secret && log_add_secret(log, pairs[i].value) != 0)
            findings.no_memory = 1;
    sbx_status status = finding_verdict(&findings);
    if (status != SBX_OK) {
        config_pairs_destroy(pairs, made);
        return status;
    }
    *out = pairs;
    *count = made;
    return SBX_OK;
}
