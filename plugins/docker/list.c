/* SPDX-License-Identifier: MIT
 *
 * list.c - all containers of this instance, and what creators that died have left of theirs.
 */
#include "plugins/docker/container.h"

enum { LIST_LIMIT = 256 << 20, LEFT_OVER_MS = 2000 };

static void put_filter(struct buf *filters, const char *key, const char *value)
{
    CLEANUP_BUF struct buf one;
    buf_init(&one, 1 << 16);
    (void)buf_format(&one, "%s=%s", key, value);
    if (one.failed != 0 && filters->failed == 0)
        filters->failed = one.failed;
    if (one.failed == 0)
        json_put_text(filters, one.data);
}

/* The daemon's own filter: what is ours, by the caller's labels. */
static sbx_status list_path(struct sbx_backend *b, const struct sbx_kvs *labels, struct sbx_call *call,
                            struct buf *path)
{
    CLEANUP_BUF struct buf filters;
    buf_init(&filters, 1 << 16);
    (void)buf_text(&filters, "{\"label\":[");
    put_filter(&filters, LABEL_INSTANCE, b->instance);
    (void)buf_text(&filters, ",");
    put_filter(&filters, LABEL_SCOPE, b->entries.scope);
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->items[i].key == NULL || labels->items[i].value == NULL)
            return call_fail(call, SBX_E_INVALID, "list: a label without name or value");
        (void)buf_text(&filters, ",");
        put_filter(&filters, labels->items[i].key, labels->items[i].value);
    }
    (void)buf_text(&filters, "]}");
    (void)buf_text(path, "/containers/json?all=1&filters=");
    if (filters.failed == 0)
        http_put_escaped(path, filters.data);
    if (filters.failed == EILSEQ)
        return call_fail(call, SBX_E_INVALID, "list: a label is no UTF-8 text");
    if (filters.failed != 0 || path->failed != 0)
        return call_fail(call, SBX_E_TOO_LARGE, "list: too many labels to ask for");
    return SBX_OK;
}

static sbx_status fetch(struct sbx_backend *b, const struct sbx_kvs *labels, struct sbx_call *call, struct cJSON **json)
{
    CLEANUP_BUF struct buf path;
    buf_init(&path, 1 << 15);
    sbx_status status = list_path(b, labels, call, &path);
    const struct engine_request request = {.what = "list", .path = path.data, .reply_limit = LIST_LIMIT};
    if (status == SBX_OK)
        status = engine_run(&b->engine, call, &request, json);
    if (status == SBX_OK && !json_is_array(*json))
        status = call_fail(call, SBX_E_PROTOCOL, "list: the daemon's answer is no list");
    return status;
}

/* --- leftovers --------------------------------------------------------------------------------------------------- */

/* 1 when no container of that id is known any more. */
static int is_gone(struct sbx_backend *b, int entry_fd, struct sbx_call *call)
{
    struct container c;
    CLEANUP_BUF struct buf id;
    buf_init(&id, ENTRY_FILE_LIMIT);
    if (folder_read(entry_fd, "id", &id) != 0 || id.len == 0)
        return 1;
    /* That it is gone is no failure of the listing. */
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = container_inspect(b, &inner, "list", id.data, &c);
    container_finish(&c);
    return status == SBX_E_NOT_FOUND;
}

static int is_listed(const struct cJSON *list, const char *key)
{
    struct container c;
    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item))
        if (container_of_item(item, NULL, &c) == SBX_OK && c.key != NULL && strcmp(c.key, key) == 0)
            return 1;
    return 0;
}

/* Entries that nobody holds and that no container belongs to. */
static void sweep_entries(struct sbx_backend *b, const struct cJSON *list, struct sbx_call *call)
{
    CLEANUP_FD int folder_fd = -1;
    if (entries_open(&b->entries, 0, NULL, &folder_fd) != SBX_OK)
        return;
    CLEANUP_DIR DIR *dir = fdopendir(folder_fd);
    if (dir == NULL)
        return;
    (void)steal_fd(&folder_fd);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (!entry_is_key(entry->d_name) || is_listed(list, entry->d_name))
            continue;
        CLEANUP_FD int entry_fd = entry_open(&b->entries, entry->d_name);
        if (entry_fd >= 0 && entry_try_lock(entry_fd) && is_gone(b, entry_fd, call))
            entry_remove(&b->entries, entry->d_name);
    }
}

/* Its guest is dead, whatever the daemon still says. */
static int is_dead(const struct sbx_backend *b, const struct container *c)
{
    return container_state(b, c) != SBX_STATE_PENDING && handle_is_dead(b, c->key);
}

/* With its entry locked, so that nobody is at it: whether it was never started, its guest is dead, or the daemon knows
 * it no more. What was listed may be long ago. */
static int is_left_over(struct sbx_backend *b, const struct container *c, struct sbx_call *call)
{
    CLEANUP(container_finish) struct container now = {0};
    sbx_status status = container_inspect(b, call, "list", c->id, &now);
    if (status != SBX_OK)
        return status == SBX_E_NOT_FOUND;
    return container_state(b, &now) == SBX_STATE_PENDING || is_dead(b, &now);
}

/* Whether the container is not to be shown: it was left and is removed now, with its entry, or its guest is dead and
 * the daemon is about to remove it, which may take its time. The first that does not go is the last that is tried. */
static int is_over(struct sbx_backend *b, const struct container *c, struct sbx_call *call, int *gave_up)
{
    if (c->key == NULL)
        return 0;
    int dead = is_dead(b, c);
    if (!dead && container_state(b, c) != SBX_STATE_PENDING)
        return 0;
    CLEANUP_FD int entry_fd = entry_open(&b->entries, c->key);
    if (entry_fd >= 0 && !entry_try_lock(entry_fd))
        return dead;
    if (*gave_up)
        return dead;
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    (void)call_limit(&inner, LEFT_OVER_MS);
    if (!is_left_over(b, c, &inner))
        return dead;
    *gave_up = handle_destroy(b, c->id, c->key, &inner) != SBX_OK;
    return dead || !*gave_up;
}

/* --- the list ---------------------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const struct container *)a)->id, ((const struct container *)b)->id);
}

static sbx_status collect(struct sbx_backend *b, const struct cJSON *list, struct sbx_call *call,
                          struct container **out, size_t *count)
{
    struct container *items = calloc(json_count(list) + 1, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "list: no memory");
    int gave_up = 0;
    *out = items;
    *count = 0;
    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item)) {
        sbx_status status = container_of_item(item, call, &items[*count]);
        if (status != SBX_OK)
            return status;
        if (!is_over(b, &items[*count], call, &gave_up))
            ++*count;
    }
    qsort(items, *count, sizeof *items, compare_ids);
    return SBX_OK;
}

sbx_status list_containers(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *given,
                           const struct sbx_info_sink *out)
{
    struct sbx_list_args args;
    CLEANUP_JSON struct cJSON *json = NULL;
    CLEANUP_FREE struct container *items = NULL;
    size_t count = 0;
    uint32_t reported = 0;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "list: arguments of a newer version");
    status = fetch(b, &args.metadata, call, &json);
    if (status == SBX_OK)
        status = collect(b, json, call, &items, &count);
    if (status == SBX_OK)
        sweep_entries(b, json, call);
    for (size_t i = 0; status == SBX_OK && i < count; i++) {
        if ((args.after != NULL && strcmp(items[i].id, args.after) <= 0) ||
            (args.state_mask != 0 && (args.state_mask & 1u << container_state(b, &items[i])) == 0))
            continue;
        status = container_report(b, &items[i], out, call);
        if (status == SBX_OK && ++reported == args.limit)
            break;
    }
    return status;
}
