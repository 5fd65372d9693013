/* SPDX-License-Identifier: MIT
 *
 * config_case.h - writes a configuration into a private folder, checks it, and keeps what was found.
 */
#ifndef SBX_TESTS_CONFIG_CASE_H
#define SBX_TESTS_CONFIG_CASE_H

#include "host/config_parts.h"
#include "host/loader.h"

#include "unit.h"

struct found {
    struct {
        char file[256];
        uint32_t line;
        char message[600];
        char nearest[96];
    } items[120];
    size_t count;
};
struct config_case {
    char folder[64];
    char path[128];
    struct found found;
    struct sbx_error error;
};

static inline void config_case_note(void *user, const struct sbx_finding *finding)
{
    struct found *found = user;
    assert_int_equal(finding->size, sizeof *finding);
    assert_true(found->count < 120);
    size_t i = found->count++;
    (void)snprintf(found->items[i].file, sizeof found->items[i].file, "%s", finding->file ? finding->file : "");
    (void)snprintf(found->items[i].message, sizeof found->items[i].message, "%s", finding->message);
    (void)snprintf(found->items[i].nearest, sizeof found->items[i].nearest, "%s",
                   finding->nearest ? finding->nearest : "");
    found->items[i].line = finding->line;
}

static inline void config_case_init(struct config_case *c)
{
    memset(c, 0, sizeof *c);
    c->error.size = sizeof c->error;
    unit_make_folder(c->folder);
    (void)snprintf(c->path, sizeof c->path, "%s/test.ini", c->folder);
}

static inline void config_case_finish(struct config_case *c)
{
    unit_remove_folder(c->folder);
}

/* Writes bytes as the file, whose %P and %D become the folder of shapes and the private one. */
static inline void config_case_write(struct config_case *c, const char *text, size_t len, mode_t mode)
{
    size_t room = len * 8 + 4096, out = 0;
    char *data = malloc(room);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        const char *with = NULL;
        if (text[i] == '%' && i + 1 < len)
            with = text[i + 1] == 'P' ? SHAPE_DIR : text[i + 1] == 'D' ? c->folder : NULL;
        if (with == NULL) {
            data[out++] = text[i];
            continue;
        }
        memcpy(data + out, with, strlen(with));
        out += strlen(with);
        i++;
    }
    unit_write(c->path, data, out, mode);
    free(data);
}

static inline sbx_status config_case_check(struct config_case *c)
{
    struct sbx_open_options options = {.size = sizeof options, .config_path = c->path};
    memset(&c->found, 0, sizeof c->found);
    return config_check(&options, config_case_note, &c->found, &c->error);
}

static inline sbx_status config_case_load(struct config_case *c, struct config **config)
{
    struct sbx_open_options options = {.size = sizeof options, .config_path = c->path};
    memset(&c->found, 0, sizeof c->found);
    *config = NULL;
    return config_load(&options, config_case_note, &c->found, config, &c->error);
}

static inline void config_case_dump(const struct config_case *c)
{
    for (size_t i = 0; i < c->found.count; i++)
        printf("  found %s:%u: %s (%s)\n", c->found.items[i].file, c->found.items[i].line, c->found.items[i].message,
               c->found.items[i].nearest);
    printf("  error %s\n", c->error.message);
}

#endif /* SBX_TESTS_CONFIG_CASE_H */
