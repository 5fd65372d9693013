/* SPDX-License-Identifier: MIT
 *
 * config_build.c - sections and pairs into struct config, by the tables of the host's own keys.
 */
#include "host/config_parts.h"

#include "base/cleanup.h"
#include "base/parse.h"
#include "host/loader.h"

#include <string.h>

enum { KIND_NONE, KIND_SKIP, KIND_SBX, KIND_PROVIDER, KIND_ROUTE };
enum { INSTANCES_MAX = 256, ROUTES_MAX = 256, PAIRS_MAX = 1024, LIST_MAX = 64 };

/* Each takes a value that is of the key's type. */
typedef void setter(struct config_builder *builder, const char *value, uint32_t line);
static setter set_capture_limit, set_default, set_lifetime, set_log_level, set_plugin_path;
static setter set_image, set_label, set_require, set_use;

#define KEY(name_, type_, flags_, fallback_, help_)                                                                    \
    {                                                                                                                  \
        .size = sizeof(struct sbx_config_key), .type = (type_), .flags = (flags_), .name = (name_),                    \
        .fallback = (fallback_), .help = (help_)                                                                       \
    }
static const struct sbx_config_key sbx_keys[CONFIG_SBX_KEYS] = {
    KEY("capture_limit", SBX_KEY_BYTES, 0, "10M", "bytes kept of each captured output stream; the rest is counted"),
    KEY("default", SBX_KEY_STRING, 0, "local", "instance that is used when neither the call nor a route names one"),
    KEY("lifetime", SBX_KEY_SECONDS, 0, "1h", "how long a sandbox lives unless its creator says otherwise"),
    KEY("log_level", SBX_KEY_STRING, 0, "warn", "least level that is logged: debug, info, warn or error"),
    KEY("plugin_path", SBX_KEY_PATH, SBX_KEY_REPEAT, NULL, "folder with plugins, searched before the installed one"),
};
static setter *const sbx_setters[CONFIG_SBX_KEYS] = {set_capture_limit, set_default, set_lifetime, set_log_level,
                                                     set_plugin_path};
static const struct sbx_config_key route_keys[CONFIG_ROUTE_KEYS] = {
    KEY("image", SBX_KEY_STRING, 0, NULL, "pattern that the image must match, such as debian:*"),
    KEY("label", SBX_KEY_STRING, SBX_KEY_REPEAT, NULL, "KEY=VALUE that must be among the sandbox's labels"),
    KEY("require", SBX_KEY_STRING, SBX_KEY_REPEAT, NULL, "capabilities that must have been asked for"),
    KEY("use", SBX_KEY_STRING, SBX_KEY_REQUIRED, NULL, "instances, tried in this order when one is unavailable"),
};
static setter *const route_setters[CONFIG_ROUTE_KEYS] = {set_image, set_label, set_require, set_use};
static const struct sbx_config_key provider_keys[] = {
    KEY("fault", SBX_KEY_STRING, SBX_KEY_REPEAT, NULL,
        "which calls are late, fail or are cut off, such as exec nth=2 error=unavailable"),
    KEY("plugin", SBX_KEY_STRING, SBX_KEY_REQUIRED, NULL, "id of the plugin that serves this instance"),
    KEY("record", SBX_KEY_PATH, 0, NULL, "file that keeps every call and its answer"),
    KEY("replay", SBX_KEY_PATH, 0, NULL, "such a file, which answers in the place of the provider"),
};

const struct sbx_config_key *config_host_keys(const char *section, size_t *count)
{
    static const struct {
        const char *section;
        const struct sbx_config_key *keys;
        size_t count;
    } all[] = {{"sbx", sbx_keys, CONFIG_SBX_KEYS},
               {"provider", provider_keys, sizeof provider_keys / sizeof provider_keys[0]},
               {"route", route_keys, CONFIG_ROUTE_KEYS}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].section, section) == 0) {
            *count = all[i].count;
            return all[i].keys;
        }
    *count = 0;
    return NULL;
}

/* --- helpers ---------------------------------------------------------------------------------------------------- */

static char *copy(struct findings *findings, const char *text)
{
    char *made = strdup(text);
    if (made == NULL)
        findings->no_memory = 1;
    return made;
}

static void replace(struct findings *findings, char **at, const char *text)
{
    free(*at);
    *at = copy(findings, text);
}

void config_build_append(struct findings *findings, char ***list, const char *text)
{
    size_t count = 0;
    while (*list != NULL && (*list)[count] != NULL)
        count++;
    char *made = copy(findings, text);
    char **grown = made == NULL ? NULL : reallocarray(*list, count + 2, sizeof *grown);
    if (grown == NULL) {
        free(made);
        findings->no_memory = 1;
        return;
    }
    grown[count] = made;
    grown[count + 1] = NULL;
    *list = grown;
}

static size_t length_of(char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

static int name_ok(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return name[0] != '\0' && strchr(first, name[0]) != NULL && name[strspn(name, all)] == '\0';
}

static void problem(struct config_builder *builder, uint32_t line, const char *text)
{
    finding_add(builder->findings, builder->file, line, NULL, "%s", text);
}

/* --- [sbx] ------------------------------------------------------------------------------------------------------ */

static void set_capture_limit(struct config_builder *builder, const char *value, uint32_t line)
{
    int64_t bytes = 0;
    if (parse_bytes(value, &bytes) != 0 || bytes <= 0)
        problem(builder, line, "capture_limit is 0; expected at least one byte");
    else
        builder->config->capture_limit = (uint64_t)bytes;
}

static void set_default(struct config_builder *builder, const char *value, uint32_t line)
{
    (void)line;
    replace(builder->findings, &builder->config->default_instance, value);
}

static void set_lifetime(struct config_builder *builder, const char *value, uint32_t line)
{
    int64_t ms = 0;
    if (parse_duration_ms(value, &ms) != 0 || ms < 1000 || ms / 1000 > UINT32_MAX || ms % 1000 != 0)
        problem(builder, line, "lifetime out of range; expected whole seconds, at least 1s");
    else
        builder->config->lifetime_s = (uint32_t)(ms / 1000);
}

static void set_log_level(struct config_builder *builder, const char *value, uint32_t line)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    struct nearest nearest;
    nearest_init(&nearest, value);
    for (int32_t i = 0; i < 4; i++) {
        nearest_offer(&nearest, words[i]);
        if (strcmp(words[i], value) != 0)
            continue;
        builder->config->log_level = SBX_LOG_DEBUG + i;
        return;
    }
    finding_add(builder->findings, builder->file, line, nearest_best(&nearest),
                "log_level is '%s'; expected debug, info, warn or error", value);
}

static void set_plugin_path(struct config_builder *builder, const char *value, uint32_t line)
{
    if (builder->ignore_paths)
        return;
    if (length_of(builder->config->plugin_paths) >= LIST_MAX)
        problem(builder, line, "more than 64 lines of plugin_path");
    else
        config_build_append(builder->findings, &builder->config->plugin_paths, value);
}

/* --- [route NAME] ----------------------------------------------------------------------------------------------- */

static struct config_route *route_of(struct config_builder *builder)
{
    return &builder->config->routes[builder->config->route_count - 1];
}

static void set_image(struct config_builder *builder, const char *value, uint32_t line)
{
    (void)line;
    replace(builder->findings, &route_of(builder)->image, value);
}

static void set_label(struct config_builder *builder, const char *value, uint32_t line)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value)
        finding_add(builder->findings, builder->file, line, NULL, "label is '%s'; expected KEY=VALUE", value);
    else if (length_of(route_of(builder)->labels) >= LIST_MAX)
        problem(builder, line, "more than 64 lines of label in a route");
    else
        config_build_append(builder->findings, &route_of(builder)->labels, value);
}

/* Words between commas and blanks, each given to `take`. */
static void each_word(struct config_builder *builder, const char *value, uint32_t line, setter *take)
{
    static const char gaps[] = ", \t";
    for (const char *at = value + strspn(value, gaps); *at != '\0'; at += strspn(at, gaps)) {
        size_t len = strcspn(at, gaps);
        CLEANUP_FREE char *word = strndup(at, len);
        if (word == NULL) {
            builder->findings->no_memory = 1;
            return;
        }
        take(builder, word, line);
        at += len;
    }
}

static void take_capability(struct config_builder *builder, const char *word, uint32_t line)
{
    static const char *const known[] = {
        SBX_EXT_STAT,      SBX_EXT_FS,          SBX_EXT_BATCH, SBX_EXT_ARCHIVE,  SBX_EXT_JOB,  SBX_EXT_JOB_SIGNAL,
        SBX_EXT_JOB_STDIN, SBX_EXT_JOB_LIST,    SBX_EXT_TTY,   SBX_EXT_SHELL,    SBX_EXT_DIAL, SBX_EXT_KEEPALIVE,
        SBX_EXT_SUSPEND,   SBX_EXT_SHELL_CLOSE, SBX_EXT_WAIT,  SBX_EXT_SNAPSHOT, SBX_EXT_SSH,  SBX_EXT_TUNNEL,
    };
    struct nearest nearest;
    nearest_init(&nearest, word);
    int found = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        nearest_offer(&nearest, known[i]);
        found |= strcmp(known[i], word) == 0;
    }
    /* Other prefixes are third parties' own. */
    const char *slash = strchr(word, '/');
    if (!found && (slash == NULL || slash[1] == '\0' || strchr(word, '.') == NULL || strncmp(word, "sbx.", 4) == 0))
        finding_add(builder->findings, builder->file, line, nearest_best(&nearest),
                    "require names '%s'; expected a capability such as sbx.tty/1", word);
    else if (length_of(route_of(builder)->require) >= LIST_MAX)
        problem(builder, line, "more than 64 capabilities in a route");
    else
        config_build_append(builder->findings, &route_of(builder)->require, word);
}

static void set_require(struct config_builder *builder, const char *value, uint32_t line)
{
    each_word(builder, value, line, take_capability);
}

static void take_instance(struct config_builder *builder, const char *word, uint32_t line)
{
    struct config_route *route = route_of(builder);
    size_t count = length_of(route->instances);
    for (size_t i = 0; i < count; i++)
        if (strcmp(route->instances[i], word) == 0) {
            finding_add(builder->findings, builder->file, line, NULL, "use names '%s' twice", word);
            return;
        }
    if (count >= LIST_MAX)
        problem(builder, line, "more than 64 instances in a route");
    else
        config_build_append(builder->findings, &route->instances, word);
}

static void set_use(struct config_builder *builder, const char *value, uint32_t line)
{
    route_of(builder)->use_line = line;
    each_word(builder, value, line, take_instance);
}

/* --- sections --------------------------------------------------------------------------------------------------- */

static void begin_sbx(struct config_builder *builder, uint32_t line)
{
    if (builder->sbx_line != 0) {
        finding_add(builder->findings, builder->file, line, NULL, "section [sbx] again; the first is at line %u",
                    builder->sbx_line);
        return;
    }
    builder->sbx_line = line;
    builder->kind = KIND_SBX;
}

static void begin_provider(struct config_builder *builder, const char *name, uint32_t line)
{
    struct config *config = builder->config;
    for (size_t i = 0; i < config->instance_count; i++)
        if (strcmp(config->instances[i].name, name) == 0) {
            finding_add(builder->findings, builder->file, line, NULL,
                        "section [provider %s] again; the first is at %s:%u", name, config->instances[i].file,
                        config->instances[i].line);
            return;
        }
    if (config->instance_count >= INSTANCES_MAX) {
        problem(builder, line, "more than 256 providers");
        return;
    }
    struct config_instance *grown = reallocarray(config->instances, config->instance_count + 1, sizeof *grown);
    char *kept = copy(builder->findings, name);
    if (grown != NULL)
        config->instances = grown;
    if (grown == NULL || kept == NULL) {
        builder->findings->no_memory = 1;
        free(kept);
        return;
    }
    grown[config->instance_count++] = (struct config_instance){.name = kept, .file = builder->file, .line = line};
    builder->plugin_line = 0;
    builder->kind = KIND_PROVIDER;
}

static void begin_route(struct config_builder *builder, const char *name, uint32_t line)
{
    struct config *config = builder->config;
    for (size_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].name, name) == 0) {
            finding_add(builder->findings, builder->file, line, NULL, "section [route %s] again; the first is at %s:%u",
                        name, config->routes[i].file, config->routes[i].line);
            return;
        }
    if (config->route_count >= ROUTES_MAX) {
        problem(builder, line, "more than 256 routes");
        return;
    }
    struct config_route *grown = reallocarray(config->routes, config->route_count + 1, sizeof *grown);
    char *kept = copy(builder->findings, name);
    if (grown != NULL)
        config->routes = grown;
    if (grown == NULL || kept == NULL) {
        builder->findings->no_memory = 1;
        free(kept);
        return;
    }
    grown[config->route_count++] = (struct config_route){.name = kept, .file = builder->file, .line = line};
    memset(builder->seen_route, 0, sizeof builder->seen_route);
    builder->kind = KIND_ROUTE;
}

static void unknown_section(struct config_builder *builder, const char *name, uint32_t line)
{
    static const char *const known[] = {"sbx", "provider", "route"};
    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(name, " \t"), name);
    struct nearest nearest;
    nearest_init(&nearest, word);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        nearest_offer(&nearest, known[i]);
    const char *best = nearest_best(&nearest);
    finding_add(builder->findings, builder->file, line, best,
                "unknown section [%s]; expected [sbx], [provider NAME] or [route NAME]", name);
}

void config_build_section(void *user, const char *name, uint32_t line)
{
    struct config_builder *builder = user;
    builder->kind = KIND_SKIP;
    if (name == NULL)
        return;
    size_t word = strcspn(name, " ");
    int is_provider = word == 8 && memcmp(name, "provider", word) == 0;
    int is_route = word == 5 && memcmp(name, "route", word) == 0;
    const char *rest = name + word + strspn(name + word, " ");
    if (strcmp(name, "sbx") == 0)
        begin_sbx(builder, line);
    else if (strncmp(name, "x-", 2) == 0)
        return;
    else if (!is_provider && !is_route)
        unknown_section(builder, name, line);
    else if (!name_ok(rest))
        finding_add(builder->findings, builder->file, line, NULL,
                    "section [%s] has %s name; expected letters, digits, '.', '_' and '-', such as [%s main]", name,
                    rest[0] == '\0' ? "no" : "a bad", is_provider ? "provider" : "route");
    else if (is_provider)
        begin_provider(builder, rest, line);
    else
        begin_route(builder, rest, line);
}

/* --- pairs ------------------------------------------------------------------------------------------------------ */

static void host_pair(struct config_builder *builder, const struct sbx_config_key *keys, setter *const *setters,
                      size_t count, struct config_place *seen, const char *key, const char *value, uint32_t line)
{
    struct findings *findings = builder->findings;
    struct nearest nearest;
    nearest_init(&nearest, key);
    for (size_t i = 0; i < count; i++) {
        nearest_offer(&nearest, keys[i].name);
        if (strcmp(keys[i].name, key) != 0)
            continue;
        const char *expected = config_value_expected(keys[i].type, value);
        if (seen[i].line != 0 && (keys[i].flags & SBX_KEY_REPEAT) == 0)
            finding_add(findings, builder->file, line, NULL, "key '%s' again; the first is at %s:%u", key, seen[i].file,
                        seen[i].line);
        else if (expected != NULL)
            finding_add(findings, builder->file, line, NULL, "%s is '%s'; expected %s", key, value, expected);
        else
            setters[i](builder, value, line);
        if (seen[i].line == 0)
            seen[i] = (struct config_place){builder->file, line};
        return;
    }
    finding_add(findings, builder->file, line, nearest_best(&nearest), "unknown key '%s' in [%s]", key,
                builder->kind == KIND_SBX ? "sbx" : "route");
}

static void plugin_key(struct config_builder *builder, struct config_instance *instance, const char *value,
                       uint32_t line)
{
    if (builder->plugin_line != 0)
        finding_add(builder->findings, builder->file, line, NULL, "key 'plugin' again; the first is at line %u",
                    builder->plugin_line);
    else if (!loader_id_ok(value))
        finding_add(builder->findings, builder->file, line, NULL,
                    "plugin is '%s'; expected a plugin's id, of a-z, 0-9 and '-', as its file is called without .so",
                    value);
    else
        instance->plugin = copy(builder->findings, value);
    if (builder->plugin_line == 0)
        builder->plugin_line = line;
}

static void file_key(struct config_builder *builder, char **at, const char *key, const char *value, uint32_t line)
{
    const char *expected = config_value_expected(SBX_KEY_PATH, value);
    if (*at != NULL)
        finding_add(builder->findings, builder->file, line, NULL, "key '%s' again; expected it once", key);
    else if (expected != NULL)
        finding_add(builder->findings, builder->file, line, NULL, "%s is '%s'; expected %s", key, value, expected);
    else
        *at = copy(builder->findings, value);
}

static void fault_key(struct config_builder *builder, struct config_instance *instance, const char *value,
                      uint32_t line)
{
    struct fault_rule rule;
    const char *expected = fault_parse(value, &rule);
    if (instance->fault_count >= FAULT_RULES_MAX)
        expected = "at most 64 rules";
    if (expected != NULL) {
        finding_add(builder->findings, builder->file, line, NULL, "fault is '%s'; expected %s", value, expected);
        return;
    }
    struct fault_rule *grown = reallocarray(instance->faults, instance->fault_count + 1, sizeof *grown);
    if (grown == NULL) {
        builder->findings->no_memory = 1;
        return;
    }
    instance->faults = grown;
    grown[instance->fault_count++] = rule;
}

/* 1: the key is the host's. */
static int host_key(struct config_builder *builder, struct config_instance *instance, const char *key,
                    const char *value, uint32_t line)
{
    if (strcmp(key, "plugin") == 0)
        plugin_key(builder, instance, value, line);
    else if (strcmp(key, "record") == 0)
        file_key(builder, &instance->record, key, value, line);
    else if (strcmp(key, "replay") == 0)
        file_key(builder, &instance->replay, key, value, line);
    else if (strcmp(key, "fault") == 0)
        fault_key(builder, instance, value, line);
    else
        return 0;
    if (instance->record != NULL && instance->replay != NULL)
        finding_add(builder->findings, builder->file, line, NULL,
                    "record and replay in [provider %s]; expected one of them", instance->name);
    return 1;
}

static void provider_pair(struct config_builder *builder, const char *key, const char *value, uint32_t line)
{
    struct config_instance *instance = &builder->config->instances[builder->config->instance_count - 1];
    if (host_key(builder, instance, key, value, line))
        return;
    if (instance->pair_count >= PAIRS_MAX) {
        if (instance->pair_count == PAIRS_MAX)
            problem(builder, line, "more than 1024 keys in a section");
        return;
    }
    struct config_pair *grown = reallocarray(instance->pairs, instance->pair_count + 1, sizeof *grown);
    char *kept_key = copy(builder->findings, key), *kept_value = copy(builder->findings, value);
    if (grown != NULL)
        instance->pairs = grown;
    if (grown == NULL || kept_key == NULL || kept_value == NULL) {
        builder->findings->no_memory = 1;
        free(kept_key);
        config_secret_free(kept_value);
        return;
    }
    grown[instance->pair_count++] = (struct config_pair){.key = kept_key,
                                                         .value = kept_value,
                                                         .file = builder->file,
                                                         .line = line,
                                                         .file_private = builder->file_private};
}

void config_build_pair(void *user, const char *key, const char *value, uint32_t line)
{
    struct config_builder *builder = user;
    if (builder->kind == KIND_SKIP || strncmp(key, "x-", 2) == 0)
        return;
    if (builder->kind == KIND_SBX)
        host_pair(builder, sbx_keys, sbx_setters, CONFIG_SBX_KEYS, builder->seen_sbx, key, value, line);
    else if (builder->kind == KIND_ROUTE)
        host_pair(builder, route_keys, route_setters, CONFIG_ROUTE_KEYS, builder->seen_route, key, value, line);
    else if (builder->kind == KIND_PROVIDER)
        provider_pair(builder, key, value, line);
    else
        finding_add(builder->findings, builder->file, line, NULL,
                    "key '%s' before any section; expected [sbx], [provider NAME] or [route NAME] first", key);
}

void config_build_file(struct config_builder *builder, const char *file)
{
    builder->file = file;
    builder->file_private = 0;
    builder->kind = KIND_NONE;
    builder->sbx_line = 0;
}

void config_build_begin(void *user, int is_private)
{
    struct config_builder *builder = user;
    builder->file_private = (uint32_t)is_private;
}

/* --- after the last file ---------------------------------------------------------------------------------------- */

static void add_installed(void *user, const char *id, const char *path)
{
    struct config_builder *builder = user;
    (void)path;
    builder->file = NULL;
    begin_provider(builder, id, 0);
    struct config *config = builder->config;
    if (!builder->findings->no_memory && config->instance_count > 0 && builder->kind == KIND_PROVIDER)
        replace(builder->findings, &config->instances[config->instance_count - 1].plugin, id);
    builder->kind = KIND_NONE;
}

static int is_instance(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->instance_count; i++)
        if (strcmp(config->instances[i].name, name) == 0)
            return 1;
    return 0;
}

static void check_instance(struct config_builder *builder, const struct config_place *place, const char *key,
                           const char *name)
{
    const struct config *config = builder->config;
    if (is_instance(config, name))
        return;
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (size_t i = 0; i < config->instance_count; i++)
        nearest_offer(&nearest, config->instances[i].name);
    finding_add(builder->findings, place->file, place->line, nearest_best(&nearest),
                "%s names '%s', which is no provider; expected the name of a [provider NAME]", key, name);
}

/* Without a word about it: local, else the only one there is. */
static void choose_default(struct config_builder *builder)
{
    struct config *config = builder->config;
    const struct config_place *place = &builder->seen_sbx[1];
    if (config->default_instance != NULL) {
        check_instance(builder, place, "default", config->default_instance);
        return;
    }
    if (place->line != 0)
        return;
    const char *only = config->instance_count == 1 ? config->instances[0].name : "local";
    if (config->instance_count > 1 && !is_instance(config, "local"))
        finding_add(builder->findings, config->instances[0].file, 0, NULL,
                    "several providers and none is called local; expected default = NAME in [sbx]");
    replace(builder->findings, &config->default_instance, only);
}

void config_build_finish(struct config_builder *builder)
{
    struct config *config = builder->config;
    struct findings *findings = builder->findings;
    for (size_t i = 0; i < config->instance_count; i++)
        if (config->instances[i].plugin == NULL && !findings->no_memory)
            finding_add(findings, config->instances[i].file, config->instances[i].line, NULL,
                        "[provider %s] has no usable plugin; expected plugin = ID", config->instances[i].name);
    if (config->instance_count == 0 && config->plugin_paths != NULL)
        loader_scan((const char *const *)config->plugin_paths, add_installed, builder);
    choose_default(builder);
    for (size_t i = 0; i < config->route_count; i++) {
        struct config_route *route = &config->routes[i];
        const struct config_place place = {route->file, route->use_line};
        if (route->instances == NULL && !findings->no_memory)
            finding_add(findings, route->file, route->line, NULL,
                        "[route %s] has no usable 'use'; expected use = the providers to try", route->name);
        for (size_t k = 0; route->instances != NULL && route->instances[k] != NULL; k++)
            check_instance(builder, &place, "use", route->instances[k]);
    }
}
