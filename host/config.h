/* SPDX-License-Identifier: MIT
 *
 * config.h - the INI files, read and checked as a whole before any value is used.
 */
#ifndef SBX_HOST_CONFIG_H
#define SBX_HOST_CONFIG_H

#include "host/fault.h"
#include "host/log.h"
#include "sbx.h"

struct config_pair {
    char *key;
    char *value;
    const char *file; /* owned by the config */
    uint32_t line;
    uint32_t secret;       /* value is to be masked and wiped */
    uint32_t file_private; /* nobody but its owner may read the file */
};
struct config_instance { /* [provider NAME], or an installed plugin when no file names any */
    char *name;
    char *plugin;     /* plugin id: its file is PLUGIN.so in one of the plugin folders */
    const char *file; /* NULL: no file names it */
    uint32_t line;
    struct config_pair *pairs; /* for the plugin: host keys (plugin, x-...) removed, order and repeats kept */
    size_t pair_count;
    char *record; /* files; NULL: none */
    char *replay;
    struct fault_rule *faults;
    size_t fault_count;
};
struct config_route { /* [route NAME]: first match wins */
    char *name;
    const char *file;
    uint32_t line;
    uint32_t use_line; /* of `use` */
    char *image;       /* fnmatch pattern; NULL any */
    char **labels;     /* K=V, all must match; NULL-terminated, may be NULL */
    char **require;    /* capability ids; NULL-terminated, may be NULL */
    char **instances;  /* tried in order when one is unavailable; NULL-terminated, never empty */
};
enum { CONFIG_LOG_UNSET = -1 };
struct config {
    char **files;           /* what was read, in order; NULL-terminated */
    char **plugin_paths;    /* absolute folders, configured ones first, then the installed one; NULL-terminated */
    char *default_instance; /* never NULL; without any instance it is "local" */
    uint32_t lifetime_s;    /* 3600 unless set */
    int32_t log_level;      /* CONFIG_LOG_UNSET unless set */
    uint64_t capture_limit; /* bytes kept per captured stream; 10 MiB unless set */
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
/* Everything that sbx_config_check promises: files, plugins, and each instance's keys and secrets. */
sbx_status config_check(const struct sbx_open_options *options, config_report *report, void *user,
                        struct sbx_error *error);

/* SBX_E_CONFIG: no instance has this name; with the nearest one, or that there is no plugin at all. */
sbx_status config_no_instance(const struct config *config, const char *name, struct sbx_error *error);

struct sbx_plugin;
/* Checks an instance's pairs against the plugin's schema (unknown, repeated, missing, wrong type: file, line, expected
 * and nearest key), reads secrets, and tells them to the log. On success *out is what open() is given. `plugin` is the
 * loader's copy. */
sbx_status config_resolve(const struct config_instance *instance, const struct sbx_plugin *plugin, struct log *log,
                          config_report *report, void *user, struct config_pair **out, size_t *count,
                          struct sbx_error *error);
/* What a plugin refused as "KEY: why" gets the file and the line that the key is in. */
void config_locate(const struct config_pair *pairs, size_t count, struct sbx_error *error);
/* Wipes and frees what config_resolve gave. */
void config_pairs_destroy(struct config_pair *pairs, size_t count);

/* NULL when the value is of the type (SBX_KEY_*), else what was expected, such as "a duration such as 30s or 5m". */
const char *config_value_expected(uint32_t type, const char *value);

struct sbx_config_key;
/* The host's own keys of a section: "sbx", "provider" or "route". */
const struct sbx_config_key *config_host_keys(const char *section, size_t *count);

#endif /* SBX_HOST_CONFIG_H */
