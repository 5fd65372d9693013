/* SPDX-License-Identifier: MIT
 *
 * loader_shape.c - what a plugin's descriptor must be like, and its full-size copy. Plugin memory is only read (rule
 * H7).
 */
#include "host/loader.h"

#include "base/cleanup.h"
#include "host/config.h"
#include "host/error.h"

#include <string.h>

enum { KEYS_MAX = 256, EXTENSIONS_MAX = 256, NAME_MAX_BYTES = 64 };

/* A required slot of a table. */
struct slot {
    const char *name;
    size_t offset;
};
#define SLOT(type, field)                                                                                              \
    {                                                                                                                  \
#field, offsetof(struct type, field)                                                                           \
    }
static const struct slot backend_slots[] = {
    SLOT(sbx_backend_ops, open),   SLOT(sbx_backend_ops, close),  SLOT(sbx_backend_ops, get_extension),
    SLOT(sbx_backend_ops, create), SLOT(sbx_backend_ops, attach), SLOT(sbx_backend_ops, list),
};
static const struct slot handle_slots[] = {
    SLOT(sbx_handle_ops, id),        SLOT(sbx_handle_ops, release),    SLOT(sbx_handle_ops, remove),
    SLOT(sbx_handle_ops, support),   SLOT(sbx_handle_ops, info),       SLOT(sbx_handle_ops, exec),
    SLOT(sbx_handle_ops, read_file), SLOT(sbx_handle_ops, write_file),
};
/* Waits that must not lock out kill and remove. */
static const char *const parallel_only[] = {"sbx.job/", "sbx.tty/", "sbx.dial/", "sbx.wait/"};
static const char *const no_extensions[] = {NULL};

/* `copy` is the zero-filled full-size copy of the table. */
static sbx_status table_check(const void *raw, void *copy, uint32_t copy_size, const char *table,
                              const struct slot *slots, size_t slot_count, const char *path, struct sbx_error *error)
{
    if (raw == NULL)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: no %s table (rule H2)", path, table);
    uint32_t size = 0;
    memcpy(&size, raw, sizeof size);
    if (size < 8 || size > SBX_SIZE_MAX)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: %s table says its size is %u (rule H2)", path, table,
                         size);
    sbx_view(copy, copy_size, raw);
    for (size_t i = 0; i < slot_count; i++) {
        void (*slot)(void) = NULL;
        /* A slot that the table's size cuts in two is missing as well. */
        if (slots[i].offset + sizeof slot <= size)
            memcpy(&slot, (const char *)copy + slots[i].offset, sizeof slot);
        if (slot == NULL)
            return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: missing slot %s.%s (rule H2)", path, table,
                             slots[i].name);
    }
    memcpy(copy, &copy_size, sizeof copy_size);
    return SBX_OK;
}

static sbx_status head_check(const struct sbx_plugin *raw, const char *path, struct sbx_error *error)
{
    /* Size and major come first: with another major nothing behind them can be trusted. */
    const uint32_t least = offsetof(struct sbx_plugin, handle) + sizeof raw->handle;
    if (raw->size < 8 || raw->size > SBX_SIZE_MAX)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: its descriptor says its size is %u (rule H2)", path,
                         raw->size);
    if (raw->abi_major != SBX_ABI_MAJOR)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: built for ABI %u, this host has ABI %u (rule H2)", path,
                         raw->abi_major, SBX_ABI_MAJOR);
    if (raw->size < least)
        return error_set(error, SBX_E_UNSUPPORTED,
                         "plugin %s: short descriptor, %u bytes where at least %u are needed (rule H2)", path,
                         raw->size, least);
    if (raw->min_host_minor > SBX_ABI_MINOR)
        return error_set(error, SBX_E_UNSUPPORTED,
                         "plugin %s: needs a host of ABI %u.%u, this one has %u.%u; a newer sbx is needed (rule H2)",
                         path, SBX_ABI_MAJOR, raw->min_host_minor, SBX_ABI_MAJOR, SBX_ABI_MINOR);
    if (raw->threads != SBX_THREADS_SERIAL && raw->threads != SBX_THREADS_PARALLEL)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: unknown thread model %u (rule H6)", path, raw->threads);
    if ((raw->flags & ~(uint32_t)SBX_PLUGIN_NO_UNLOAD) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: unknown flags 0x%x (rule H2)", path, raw->flags);
    return SBX_OK;
}

int loader_id_ok(const char *id)
{
    size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len <= NAME_MAX_BYTES && id[len] == '\0';
}

static sbx_status id_check(const struct sbx_plugin *raw, const char *id, const char *path, struct sbx_error *error)
{
    if (raw->id == NULL)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: has no id (rule H2)", path);
    if (strnlen(raw->id, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES || !loader_id_ok(raw->id))
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: its id '%.64s' is not of [a-z0-9-] (rule H2)", path,
                         raw->id);
    if (strcmp(raw->id, id) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: its id is '%s'; the file must be %s.so (rule H2)", path,
                         raw->id, raw->id);
    return SBX_OK;
}

static sbx_status extensions_check(const struct sbx_plugin *plugin, const char *path, struct sbx_error *error)
{
    size_t count = 0;
    for (; plugin->extensions[count] != NULL; count++) {
        const char *id = plugin->extensions[count];
        size_t len = strnlen(id, SBX_ID_SIZE);
        if (count >= EXTENSIONS_MAX || len == 0 || len >= SBX_ID_SIZE || strchr(id, '/') == NULL)
            return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: bad capability id '%.64s' (rule H2)", path, id);
        for (size_t i = 0; i < sizeof parallel_only / sizeof parallel_only[0]; i++)
            if (plugin->threads == SBX_THREADS_SERIAL && strncmp(id, parallel_only[i], strlen(parallel_only[i])) == 0)
                return error_set(error, SBX_E_UNSUPPORTED,
                                 "plugin %s: offers %s, which needs SBX_THREADS_PARALLEL (rule H6)", path, id);
    }
    return SBX_OK;
}

static int key_name_ok(const char *name)
{
    size_t len = strnlen(name, NAME_MAX_BYTES + 1);
    return len > 0 && len <= NAME_MAX_BYTES && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len &&
           strcmp(name, "plugin") != 0;
}

/* What is wrong with a key by itself, or NULL. */
static const char *key_problem(const struct sbx_config_key *key)
{
    const uint32_t known = SBX_KEY_REQUIRED | SBX_KEY_SECRET | SBX_KEY_REPEAT;
    if (key->type > SBX_KEY_PATH)
        return "has an unknown type";
    if ((key->flags & ~known) != 0)
        return "has unknown flags";
    if (key->help == NULL || key->help[0] == '\0')
        return "has no help";
    if ((key->flags & SBX_KEY_SECRET) != 0 && (key->fallback != NULL || (key->flags & SBX_KEY_REPEAT) != 0))
        return "is secret, so it has no default and is not repeated";
    if ((key->flags & SBX_KEY_REQUIRED) != 0 && key->fallback != NULL)
        return "is required and has a default";
    if (key->fallback != NULL && config_value_expected(key->type, key->fallback) != NULL)
        return "has a default that is not of its type";
    return NULL;
}

/* 1: the names collide, _file and _env of a secret included. */
static int keys_collide(const struct sbx_config_key *secret, const char *name)
{
    size_t len = strlen(secret->name);
    if (strcmp(secret->name, name) == 0)
        return 1;
    return (secret->flags & SBX_KEY_SECRET) != 0 && strncmp(secret->name, name, len) == 0 &&
           (strcmp(name + len, "_file") == 0 || strcmp(name + len, "_env") == 0);
}

static sbx_status keys_check(const struct sbx_config_key *keys, size_t count, const char *path, struct sbx_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].name == NULL || !key_name_ok(keys[i].name))
            return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: configuration key %zu has a bad name (rule H2)",
                             path, i);
        const char *problem = key_problem(&keys[i]);
        if (problem != NULL)
            return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: configuration key '%s' %s (rule H2)", path,
                             keys[i].name, problem);
        for (size_t k = 0; k < i; k++)
            if (keys_collide(&keys[k], keys[i].name) || keys_collide(&keys[i], keys[k].name))
                return error_set(error, SBX_E_UNSUPPORTED,
                                 "plugin %s: configuration keys '%s' and '%s' collide (rule H2)", path, keys[k].name,
                                 keys[i].name);
    }
    return SBX_OK;
}

/* Full-size copies of the keys; the array of pointers to them replaces the plugin's. */
static sbx_status keys_copy(struct loader_plugin *out, const char *path, struct sbx_error *error)
{
    const struct sbx_config_key *const *raw = out->descriptor.config_keys;
    const uint32_t least = offsetof(struct sbx_config_key, help) + sizeof(const char *);
    size_t count = 0;
    while (raw != NULL && raw[count] != NULL) {
        if (count >= KEYS_MAX || raw[count]->size < least || raw[count]->size > SBX_SIZE_MAX)
            return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: configuration key %zu is misshapen (rule H2)", path,
                             count);
        count++;
    }
    CLEANUP_FREE struct sbx_config_key *keys = calloc(count + 1, sizeof *keys);
    CLEANUP_FREE const struct sbx_config_key **list = calloc(count + 1, sizeof *list);
    if (keys == NULL || list == NULL)
        return error_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        sbx_view(&keys[i], sizeof keys[i], raw[i]);
        keys[i].size = sizeof keys[i];
        list[i] = &keys[i];
    }
    sbx_status status = keys_check(keys, count, path, error);
    if (status != SBX_OK)
        return status;
    out->key_count = count;
    out->keys = STEAL(keys);
    out->descriptor.config_keys = STEAL(list);
    return SBX_OK;
}

static void fill_texts(struct sbx_plugin *plugin)
{
    if (plugin->name == NULL)
        plugin->name = plugin->id;
    if (plugin->version == NULL)
        plugin->version = "";
    if (plugin->vendor == NULL)
        plugin->vendor = "";
    if (plugin->summary == NULL)
        plugin->summary = "";
    if (plugin->extensions == NULL)
        plugin->extensions = no_extensions;
}

sbx_status loader_shape_check(const struct sbx_plugin *raw, const char *id, const char *path, struct loader_plugin *out,
                              struct sbx_error *error)
{
    sbx_status status = head_check(raw, path, error);
    if (status == SBX_OK)
        status = id_check(raw, id, path, error);
    if (status == SBX_OK)
        status = table_check(raw->backend, &out->backend, sizeof out->backend, "backend", backend_slots,
                             sizeof backend_slots / sizeof backend_slots[0], path, error);
    if (status == SBX_OK)
        status = table_check(raw->handle, &out->handle, sizeof out->handle, "handle", handle_slots,
                             sizeof handle_slots / sizeof handle_slots[0], path, error);
    if (status != SBX_OK)
        return status;
    sbx_view(&out->descriptor, sizeof out->descriptor, raw);
    out->descriptor.size = sizeof out->descriptor;
    out->descriptor.backend = &out->backend;
    out->descriptor.handle = &out->handle;
    fill_texts(&out->descriptor);
    status = extensions_check(&out->descriptor, path, error);
    if (status != SBX_OK)
        return status;
    return keys_copy(out, path, error);
}
