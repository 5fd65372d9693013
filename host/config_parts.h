/* SPDX-License-Identifier: MIT
 *
 * config_parts.h - how the files config*.c share the work; nobody else includes it.
 */
#ifndef SBX_HOST_CONFIG_PARTS_H
#define SBX_HOST_CONFIG_PARTS_H

#include "host/finding.h"
#include "sbx_plugin.h"

/* --- config_file.c: one file into sections and pairs ------------------------------------------------------------ */
/* Told in the order of the lines. A NULL section is one that was found bad: what follows it is to be skipped. */
struct config_sink {
    void *user;
    void (*begin)(void *user, int is_private); /* the file is there and will be read */
    void (*section)(void *user, const char *name, uint32_t line);
    void (*pair)(void *user, const char *key, const char *value, uint32_t line);
};
/* 1: read; 0: there is no such file (not a finding); everything else is a finding. */
int config_file_read(const char *path, struct findings *findings, const struct config_sink *sink);

/* --- config_build.c: sections and pairs into struct config ------------------------------------------------------ */
struct config_place {
    const char *file;
    uint32_t line;
};
enum { CONFIG_SBX_KEYS = 5, CONFIG_ROUTE_KEYS = 4 };
struct config_builder {
    struct config *config;
    struct findings *findings;
    const char *file; /* being read; owned by the config */
    uint32_t file_private;
    uint32_t ignore_paths; /* a set-uid program and a file that its caller chose: plugin_path is not heeded */
    uint32_t kind;         /* of the section being read */
    uint32_t sbx_line;     /* of [sbx] in this file; 0: none yet */
    uint32_t plugin_line;  /* of `plugin` in this section */
    struct config_place seen_sbx[CONFIG_SBX_KEYS];
    struct config_place seen_route[CONFIG_ROUTE_KEYS];
};
/* Makes the builder ready for a file; `file` is owned by the config. */
void config_build_file(struct config_builder *builder, const char *file);
void config_build_begin(void *user, int is_private);
void config_build_section(void *user, const char *name, uint32_t line);
void config_build_pair(void *user, const char *key, const char *value, uint32_t line);
/* After the last file: installed plugins when no file names a provider, the default, and what names something else. */
void config_build_finish(struct config_builder *builder);
/* Appends a copy to a NULL-terminated list; no memory is noted in the findings. */
void config_build_append(struct findings *findings, char ***list, const char *text);

/* --- config_resolve.c, config_secret.c -------------------------------------------------------------------------- */
void config_resolve_into(const struct config_instance *instance, const struct sbx_plugin *plugin,
                         struct findings *findings, struct config_pair **out, size_t *count);
/* The secret that a pair KEY, KEY_file or KEY_env leads to; the caller wipes and frees it. NULL: a finding was added.
 * `how` is "", "_file" or "_env". */
char *config_secret_read(const struct config_pair *pair, const char *how, struct findings *findings);
/* Wipes and frees; NULL is ignored. */
void config_secret_free(char *secret);

/* --- config.c --------------------------------------------------------------------------------------------------- */
/* config_load with another folder in the place of /etc/sbx. */
sbx_status config_load_from(const char *etc, const struct sbx_open_options *options, config_report *report, void *user,
                            struct config **out, struct sbx_error *error);

#endif /* SBX_HOST_CONFIG_PARTS_H */
