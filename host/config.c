/* SPDX-License-Identifier: MIT
 *
 * config.c - which files are read, and struct config as a whole.
 */
#include "host/config_parts.h"

#include "base/cleanup.h"
#include "host/error.h"
#include "host/loader.h"
#include "host/record.h"

#include <string.h>
#include <sys/auxv.h>

enum { DEFAULT_LIFETIME_S = 3600, DEFAULT_CAPTURE_LIMIT = 10 << 20, FILES_MAX = 256 };

static void list_destroy(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

void config_destroy(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->instance_count; i++) {
        free(config->instances[i].name);
        free(config->instances[i].plugin);
        free(config->instances[i].record);
        free(config->instances[i].replay);
        free(config->instances[i].faults);
        config_pairs_destroy(config->instances[i].pairs, config->instances[i].pair_count);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        free(config->routes[i].name);
        free(config->routes[i].image);
        list_destroy(config->routes[i].labels);
        list_destroy(config->routes[i].require);
        list_destroy(config->routes[i].instances);
    }
    free(config->instances);
    free(config->routes);
    free(config->default_instance);
    list_destroy(config->plugin_paths);
    list_destroy(config->files);
    free(config);
}

static void config_cleanup(struct config **config)
{
    config_destroy(*config);
}

/* --- the search ------------------------------------------------------------------------------------------------- */

/* 1: the file was there. */
static int read_file(struct config_builder *builder, const char *path)
{
    /* The list holds the names that findings and pairs point to, so it comes first. */
    config_build_append(builder->findings, &builder->config->files, path);
    if (builder->findings->no_memory)
        return 1;
    size_t last = 0;
    while (builder->config->files[last + 1] != NULL)
        last++;
    config_build_file(builder, builder->config->files[last]);
    const struct config_sink sink = {
        .user = builder, .begin = config_build_begin, .section = config_build_section, .pair = config_build_pair};
    int found = config_file_read(builder->file, builder->findings, &sink);
    if (found)
        return 1;
    free(builder->config->files[last]);
    builder->config->files[last] = NULL;
    return 0;
}

static int is_fragment(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".ini") == 0;
}

/* Not alphasort: its order depends on the locale. */
static int fragment_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_system(struct config_builder *builder, const char *etc)
{
    CLEANUP_FREE char *main_file = NULL;
    CLEANUP_FREE char *folder = NULL;
    if (asprintf(&main_file, "%s/sbx.ini", etc) < 0 || asprintf(&folder, "%s/conf.d", etc) < 0) {
        builder->findings->no_memory = 1;
        return;
    }
    (void)read_file(builder, main_file);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_fragment, fragment_order);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR)
        finding_add(builder->findings, folder, 0, NULL, "cannot be read: %s", strerrordesc_np(errno));
    for (int i = 0; i < count; i++) {
        CLEANUP_FREE char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) {
            path = NULL;
            builder->findings->no_memory = 1;
        } else if (i == FILES_MAX) {
            finding_add(builder->findings, folder, 0, NULL, "more than 256 files");
        } else if (i < FILES_MAX) {
            (void)read_file(builder, path);
        }
        free(entries[i]);
    }
    free(entries);
}

/* $XDG_CONFIG_HOME/sbx/sbx.ini or ~/.config/sbx/sbx.ini; NULL: neither can be told. */
static char *user_file(struct findings *findings)
{
    /* A relative $XDG_CONFIG_HOME is to be ignored, says its specification; besides it would follow the working
     * directory. */
    const char *xdg = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
    const char *folder = xdg != NULL && xdg[0] == '/' ? xdg : home != NULL && home[0] == '/' ? home : NULL;
    char *path = NULL;
    if (folder == NULL)
        return NULL;
    if (asprintf(&path, folder == xdg ? "%s/sbx/sbx.ini" : "%s/.config/sbx/sbx.ini", folder) >= 0)
        return path;
    findings->no_memory = 1;
    return NULL;
}

/* The first of these that is there, and it alone: the given path, $SBX_CONFIG, the user's file, the system's. */
static void search(struct config_builder *builder, const char *etc, const char *given)
{
    const char *named = given != NULL ? given : secure_getenv("SBX_CONFIG");
    builder->ignore_paths = getauxval(AT_SECURE) != 0;
    if (named != NULL && named[0] != '\0') {
        if (!read_file(builder, named))
            finding_add(builder->findings, named, 0, NULL, "no such file%s",
                        given != NULL ? "" : " (named by $SBX_CONFIG)");
        return;
    }
    if (given != NULL) {
        finding_add(builder->findings, NULL, 0, NULL, "the configuration file's path is empty");
        return;
    }
    CLEANUP_FREE char *path = user_file(builder->findings);
    if (path != NULL && read_file(builder, path))
        return;
    builder->ignore_paths = 0;
    read_system(builder, etc);
}

/* --- loading ---------------------------------------------------------------------------------------------------- */

static void add_installed_folder(struct config_builder *builder)
{
    CLEANUP_FREE char *folder = loader_installed_folder();
    if (folder == NULL)
        builder->findings->no_memory = 1;
    else
        config_build_append(builder->findings, &builder->config->plugin_paths, folder);
}

/* The whole of what could be read, problems or not; NULL: no memory. */
static struct config *load_into(const char *etc, const struct sbx_open_options *options, struct findings *findings)
{
    struct config *config = calloc(1, sizeof *config);
    if (config != NULL)
        config->files = calloc(1, sizeof *config->files);
    if (config == NULL || config->files == NULL) {
        findings->no_memory = 1;
        config_destroy(config);
        return NULL;
    }
    config->lifetime_s = DEFAULT_LIFETIME_S;
    config->log_level = CONFIG_LOG_UNSET;
    config->capture_limit = DEFAULT_CAPTURE_LIMIT;
    struct config_builder builder = {.config = config, .findings = findings};
    if (options == NULL || (options->flags & SBX_OPEN_NO_FILES) == 0)
        search(&builder, etc, options == NULL ? NULL : options->config_path);
    add_installed_folder(&builder);
    if (!findings->no_memory)
        config_build_finish(&builder);
    return config;
}

sbx_status config_load_from(const char *etc, const struct sbx_open_options *options, config_report *report, void *user,
                            struct config **out, struct sbx_error *error)
{
    struct findings findings = {.report = report, .user = user, .error = error};
    CLEANUP(config_cleanup) struct config *config = load_into(etc, options, &findings);
    sbx_status status = finding_verdict(&findings);
    if (status == SBX_OK)
        *out = STEAL(config);
    return status;
}

sbx_status config_load(const struct sbx_open_options *options, config_report *report, void *user, struct config **out,
                       struct sbx_error *error)
{
    return config_load_from("/etc/sbx", options, report, user, out, error);
}

sbx_status config_no_instance(const struct config *config, const char *name, struct sbx_error *error)
{
    size_t last = 0;
    while (config->plugin_paths[last] != NULL && config->plugin_paths[last + 1] != NULL)
        last++;
    if (config->instance_count == 0)
        return error_set(
            error, SBX_E_CONFIG,
            "no provider '%s': there is no plugin in %s; install one, or name its folder with plugin_path in sbx.ini",
            name, config->plugin_paths[last]);
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (size_t i = 0; i < config->instance_count; i++)
        nearest_offer(&nearest, config->instances[i].name);
    const char *best = nearest_best(&nearest);
    return error_set(error, SBX_E_CONFIG, "no provider '%s' is configured%s%s%s", name,
                     best == NULL ? "" : "; did you mean '", best == NULL ? "" : best, best == NULL ? "" : "'?");
}

static void check_instance(const struct config *config, const struct config_instance *instance,
                           struct findings *findings)
{
    struct sbx_error error = {.size = sizeof error};
    const struct loader_plugin *plugin = NULL;
    struct replay *replay = NULL;
    if (instance->replay != NULL) { /* nobody is asked, so nothing else has to be right */
        if (replay_open(instance->replay, &replay, &error) != SBX_OK)
            finding_add(findings, instance->file, instance->line, NULL, "[provider %s]: %s", instance->name,
                        error.message);
        replay_close(replay);
        return;
    }
    sbx_status status = loader_load((const char *const *)config->plugin_paths, instance->plugin, NULL, &plugin, &error);
    if (status != SBX_OK) {
        finding_add(findings, instance->file, instance->line, NULL, "[provider %s]: %s", instance->name, error.message);
        return;
    }
    struct config_pair *pairs = NULL;
    size_t count = 0;
    config_resolve_into(instance, &plugin->descriptor, findings, &pairs, &count);
    config_pairs_destroy(pairs, count);
}

sbx_status config_check(const struct sbx_open_options *options, config_report *report, void *user,
                        struct sbx_error *error)
{
    struct findings findings = {.report = report, .user = user, .error = error};
    CLEANUP(config_cleanup) struct config *config = load_into("/etc/sbx", options, &findings);
    for (size_t i = 0; config != NULL && i < config->instance_count && !findings.no_memory; i++)
        if (config->instances[i].plugin != NULL)
            check_instance(config, &config->instances[i], &findings);
    return finding_verdict(&findings);
}
