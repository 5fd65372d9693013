/* SPDX-License-Identifier: MIT
 *
 * config.c - checks and getters for the pairs that open gets. The host may have checked already; another host may not.
 */
#include "base/parse.h"
#include "plugins/common/plugin.h"

#include <stdio.h>
#include <stdlib.h>

static const struct sbx_config_key *find_key(const struct sbx_config_key *const *keys, const char *name)
{
    for (; keys != NULL && *keys != NULL; keys++)
        if (strcmp((*keys)->name, name) == 0)
            return *keys;
    return NULL;
}

const char *config_get(const struct sbx_open_args *args, const char *key)
{
    for (size_t i = args->config.count; i > 0; i--)
        if (strcmp(args->config.items[i - 1].key, key) == 0)
            return args->config.items[i - 1].value;
    return NULL;
}

/* What a value should have been; NULL when it is fine. */
static const char *misfit(uint32_t type, const char *value)
{
    int64_t number = 0;
    int truth = 0;
    switch (type) {
    case SBX_KEY_INT:
        return parse_int(value, &number) == 0 ? NULL : "a whole number";
    case SBX_KEY_BOOL:
        return parse_bool(value, &truth) == 0 ? NULL : "yes or no";
    case SBX_KEY_SECONDS:
        return parse_duration_ms(value, &number) == 0 ? NULL : "a duration such as 30s, 500ms or 5m";
    case SBX_KEY_BYTES:
        return parse_bytes(value, &number) == 0 ? NULL : "a size such as 512M or 4G";
    case SBX_KEY_PATH:
        return *value != '\0' ? NULL : "a path";
    default:
        return NULL;
    }
}

static int count_key(const struct sbx_open_args *args, const char *key)
{
    int count = 0;
    for (size_t i = 0; i < args->config.count; i++)
        count += strcmp(args->config.items[i].key, key) == 0;
    return count;
}

static sbx_status check_pair(const struct sbx_open_args *args, const struct sbx_kv *pair,
                             const struct sbx_config_key *const *keys, struct sbx_call *call)
{
    const char *where = args->instance != NULL ? args->instance : "?";
    if (pair->value == NULL)
        return call_fail(call, SBX_E_CONFIG, "[%s]: key '%s' has no value", where, pair->key);
    const struct sbx_config_key *key = find_key(keys, pair->key);
    if (key == NULL)
        return call_fail(call, SBX_E_CONFIG, "[%s]: unknown key '%s'", where, pair->key);
    if ((key->flags & SBX_KEY_REPEAT) == 0 && count_key(args, pair->key) > 1)
        return call_fail(call, SBX_E_CONFIG, "[%s]: key '%s' is given twice", where, pair->key);
    const char *wanted = misfit(key->type, pair->value);
    if (wanted == NULL)
        return SBX_OK;
    if ((key->flags & SBX_KEY_SECRET) != 0)
        return call_fail(call, SBX_E_CONFIG, "[%s]: key '%s' must be %s", where, pair->key, wanted);
    return call_fail(call, SBX_E_CONFIG, "[%s]: key '%s' must be %s, not '%s'", where, pair->key, wanted, pair->value);
}

sbx_status config_check(const struct sbx_open_args *args, const struct sbx_config_key *const *keys,
                        struct sbx_call *call)
{
    for (size_t i = 0; i < args->config.count; i++)
        if (args->config.items[i].key == NULL)
            return call_fail(call, SBX_E_CONFIG, "[%s]: a key without a name",
                             args->instance != NULL ? args->instance : "?");
    for (size_t i = 0; i < args->config.count; i++) {
        sbx_status status = check_pair(args, &args->config.items[i], keys, call);
        if (status != SBX_OK)
            return status;
    }
    for (; keys != NULL && *keys != NULL; keys++)
        if (((*keys)->flags & SBX_KEY_REQUIRED) != 0 && config_get(args, (*keys)->name) == NULL)
            return call_fail(call, SBX_E_CONFIG, "[%s]: key '%s' is missing",
                             args->instance != NULL ? args->instance : "?", (*keys)->name);
    return SBX_OK;
}

int64_t config_get_int(const struct sbx_open_args *args, const char *key, int64_t fallback)
{
    const char *text = config_get(args, key);
    int64_t value = fallback;
    return text != NULL && parse_int(text, &value) == 0 ? value : fallback;
}

int config_get_bool(const struct sbx_open_args *args, const char *key, int fallback)
{
    const char *text = config_get(args, key);
    int value = fallback;
    return text != NULL && parse_bool(text, &value) == 0 ? value : fallback;
}

int64_t config_get_ms(const struct sbx_open_args *args, const char *key, int64_t fallback_ms)
{
    const char *text = config_get(args, key);
    int64_t value = fallback_ms;
    return text != NULL && parse_duration_ms(text, &value) == 0 ? value : fallback_ms;
}

int64_t config_get_bytes(const struct sbx_open_args *args, const char *key, int64_t fallback)
{
    const char *text = config_get(args, key);
    int64_t value = fallback;
    return text != NULL && parse_bytes(text, &value) == 0 ? value : fallback;
}

uint32_t config_get_timeout(const struct sbx_open_args *args, int64_t fallback_ms)
{
    int64_t timeout = config_get_ms(args, "timeout", fallback_ms);
    return (uint32_t)(timeout > UINT32_MAX ? UINT32_MAX : timeout);
}

sbx_status config_take_word(const struct sbx_open_args *args, const char *key, const char *const *words,
                            uint32_t *index, struct sbx_call *call)
{
    const char *value = config_get(args, key);
    for (uint32_t i = 0; value == NULL || words[i] != NULL; i++)
        if (value == NULL || strcmp(value, words[i]) == 0) {
            *index = value == NULL ? 0 : i;
            return SBX_OK;
        }
    return call_fail(call, SBX_E_CONFIG, "%s: '%s' is not one of: %s, %s%s%s", key, value, words[0], words[1],
                     words[2] == NULL ? "" : ", ", words[2] == NULL ? "" : words[2]);
}

sbx_status config_take_number(const struct sbx_open_args *args, const char *key, int64_t fallback, int64_t most,
                              uint32_t *out, struct sbx_call *call)
{
    int64_t value = config_get_int(args, key, fallback);
    if (value < 0 || value > most)
        return call_fail(call, SBX_E_CONFIG, "%s: %lld is not between 0 and %lld", key, (long long)value,
                         (long long)most);
    *out = (uint32_t)value;
    return SBX_OK;
}

sbx_status config_take_paths(const struct sbx_open_args *args, const char *key, size_t most, char ***out,
                             struct sbx_call *call)
{
    size_t count = 0;
    *out = calloc(most + 1, sizeof **out);
    for (size_t i = 0; *out != NULL && i < args->config.count; i++) {
        const char *value = args->config.items[i].value;
        if (strcmp(args->config.items[i].key, key) != 0)
            continue;
        if (count == most)
            return call_fail(call, SBX_E_CONFIG, "%s: more than %zu", key, most);
        if (value[0] != '/' || value[strspn(value, "/")] == '\0')
            return call_fail(call, SBX_E_CONFIG, "%s: '%s' is no absolute path of a directory or file", key, value);
        (*out)[count] = strdup(value);
        if ((*out)[count++] == NULL)
            return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    }
    return *out == NULL ? call_fail(call, SBX_E_NO_MEMORY, "open: no memory") : SBX_OK;
}

void config_free_paths(char **paths)
{
    for (size_t i = 0; paths != NULL && paths[i] != NULL; i++)
        free(paths[i]);
    free(paths);
}
