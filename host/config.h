/* SPDX-License-Identifier: MIT
 *
 * config.h - the INI files, read and checked as a whole before any value is used. The only user of inih.
 */
#ifndef SBX_HOST_CONFIG_H
#define SBX_HOST_CONFIG_H

#include "host/log.h"
#include "sbx.h"

struct config_pair {
    char *key;
    char *value;
    const char *file; /* owned by the config */
    uint32_t line;
    uint32_t secret; /* value is to be masked and wiped */
};
struct config_instance { /* [provider NAME], or an installed plugin when no file names any */
    char *name;
    char *plugin; /* plugin id: its file is PLUGIN.so in one of the plugin folders */
    const char *file;
    uint32_t line;
    struct config_pair *pairs; /* for the plugin: host keys (plugin, x-...) removed, order and repeats kept */
    size_t pair_count;
};
struct config_route { /* [route NAME]: first match wins */
    char *name;
    const char *file;
    uint32_t line;
    char *image;      /* fnmatch pattern; NULL any */
    char **labels;    /* K=V, all must match; NULL-terminated, may be NULL */
    char **require;   /* capability ids; NULL-terminated, may be NULL */
    char **instances; /* tried in order when one is unavailable; NULL-terminated, never empty */
};
struct config {
    char **files;        /* what was read, in order; NULL-terminated */
    char **plugin_paths; /* absolute folders, configured ones first, then the installed one; NULL-terminated */
    char *default_instance;
    uint32_t lifetime_s; /* 3600 unless set */
    int32_t log_level;   /* SBX_LOG_WARN unless set */
    struct config_instance *instances;
    size_t instance_count;
    struct config_route *routes;
    size_t route_count;
};

/* A finding's sink; NULL: only the first one is kept, in *error. */
typedef void config_report(void *user, const struct sbx_finding *finding);

/* Loads by options->config_path or the search path. Secrets given as NAME_file / NAME_env are resolved later, by
 * config_resolve, since only the plugin's schema says which keys are secrets. */
sbx_status config_load(const struct sbx_open_options *options, config_report *report, void *user, struct config **out,
                       struct sbx_error *error);
void config_destroy(struct config *config);

struct sbx_plugin;
/* Checks an instance's pairs against the plugin's schema (unknown, repeated, missing, wrong type: file, line, expected
 * and nearest key), reads secrets, and tells them to the log. On success *out is what open() is given. */
sbx_status config_resolve(const struct config_instance *instance, const struct sbx_plugin *plugin, struct log *log,
                          config_report *report, void *user, struct config_pair **out, size_t *count,
                          struct sbx_error *error);
/* Wipes and frees what config_resolve gave. */
void config_pairs_destroy(struct config_pair *pairs, size_t count);

/* `30s`, `500ms`, `5m`, `1h`, `2d`, or a number of seconds, into milliseconds; `512M`, `4G`, or a number, into bytes. 0
 * or -1. */
int config_duration_ms(const char *text, int64_t *ms);
int config_bytes(const char *text, uint64_t *bytes);

#endif /* SBX_HOST_CONFIG_H */
