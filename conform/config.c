/* SPDX-License-Identifier: MIT
 *
 * config.c - one `[provider NAME]` section of an INI file, by inih, and the secrets that it names.
 */
#include "conform/conform.h"

#include <ctype.h>
#include <ini.h>
#include <string.h>

enum { SECRET_MAX = 65536, PAIRS_MAX = 1024 };

static int add_pair(struct config *config, const char *name, const char *value)
{
    struct sbx_kv *items =
        config->count < PAIRS_MAX ? reallocarray(config->items, config->count + 1, sizeof *items) : NULL;
    char *key = strdup(name);
    char *text = strdup(value);
    if (items != NULL)
        config->items = items;
    if (items == NULL || key == NULL || text == NULL) {
        free(key);
        free(text);
        config->no_memory = 1;
        return -1;
    }
    items[config->count++] = (struct sbx_kv){key, text};
    return 0;
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct config *config = user;
    if (strcmp(section, config->wanted) != 0)
        return 1;
    config->found = 1;
    if (name == NULL || strncmp(name, "x-", 2) == 0 || strcmp(name, "record") == 0 || strcmp(name, "replay") == 0 ||
        strcmp(name, "fault") == 0)
        return 1;
    if (strcmp(name, "plugin") == 0) {
        free(config->plugin);
        config->plugin = strdup(value);
        return 1;
    }
    return add_pair(config, name, value) == 0;
}

int config_read(const char *file, const char *section, struct config *out)
{
    char wanted[64];
    memset(out, 0, sizeof *out);
    (void)snprintf(wanted, sizeof wanted, "provider %s", section);
    out->wanted = wanted;
    int line = ini_parse(file, take_pair, out);
    out->wanted = NULL;
    if (line < 0)
        (void)fprintf(stderr, "sbx-conform: cannot read '%s'\n", file);
    else if (line > 0)
        (void)fprintf(stderr, "sbx-conform: %s:%d: not understood\n", file, line);
    else if (out->no_memory)
        (void)fprintf(stderr, "sbx-conform: no memory\n");
    else if (!out->found)
        (void)fprintf(stderr, "sbx-conform: %s has no keys in a section [%s]\n", file, wanted);
    else
        return 0;
    config_finish(out);
    return -1;
}

void config_finish(struct config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        free((void *)(uintptr_t)config->items[i].key);
        free((void *)(uintptr_t)config->items[i].value);
    }
    free(config->items);
    free(config->plugin);
    memset(config, 0, sizeof *config);
}

static int read_secret(const char *path, char *text, size_t size)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    size_t len = file != NULL ? fread(text, 1, size - 1, file) : 0;
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    text[len] = '\0';
    return len > 0 ? 0 : -1;
}

/* One pair that names a secret's place becomes the secret. */
static int resolve_pair(struct sbx_kv *pair, const char *key)
{
    size_t len = strlen(key);
    char text[SECRET_MAX];
    if (strncmp(pair->key, key, len) != 0)
        return 0;
    if (strcmp(pair->key + len, "_env") == 0 && getenv(pair->value) != NULL)
        (void)snprintf(text, sizeof text, "%s", getenv(pair->value));
    else if (strcmp(pair->key + len, "_file") != 0 || read_secret(pair->value, text, sizeof text) != 0)
        return pair->key[len] == '\0' ? 0 : -1;
    char *name = strdup(key);
    char *value = strdup(text);
    explicit_bzero(text, sizeof text);
    if (name == NULL || value == NULL) {
        free(name);
        free(value);
        return -1;
    }
    free((void *)(uintptr_t)pair->key);
    free((void *)(uintptr_t)pair->value);
    *pair = (struct sbx_kv){name, value};
    return 0;
}

int config_resolve(struct config *config, const char *secrets)
{
    for (const char *at = secrets; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1) {
        char key[128];
        (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(at, "\n"), at);
        for (size_t k = 0; k < config->count; k++)
            if (resolve_pair(&config->items[k], key) != 0) {
                (void)fprintf(stderr, "sbx-conform: the secret of '%s' cannot be read\n", config->items[k].key);
                return -1;
            }
    }
    return 0;
}
