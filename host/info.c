/* SPDX-License-Identifier: MIT */
#include "host/info.h"

#include <string.h>

void info_list_init(struct info_list *list, const char *instance)
{
    *list = (struct info_list){.instance = instance};
    arena_init(&list->arena, INFO_LIST_MAX);
    list->end = &list->first;
}

void info_list_finish(struct info_list *list)
{
    arena_finish(&list->arena);
}

const char *info_full_id(struct arena *a, const char *instance, const char *native)
{
    size_t head = strlen(instance);
    size_t tail = strlen(native);
    char *id = arena_alloc(a, head + tail + 2);
    if (id == NULL)
        return NULL;
    memcpy(id, instance, head);
    id[head] = '/';
    memcpy(id + head + 1, native, tail + 1);
    return id;
}

static int has_label(const struct sbx_kvs *metadata, const struct sbx_kv *wanted)
{
    for (size_t i = 0; i < metadata->count; i++) {
        const struct sbx_kv *have = &metadata->items[i];
        if (have->key != NULL && have->value != NULL && strcmp(have->key, wanted->key) == 0)
            return strcmp(have->value, wanted->value) == 0;
    }
    return 0;
}

int info_has_labels(const struct sbx_kvs *metadata, const struct sbx_kvs *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (!has_label(metadata, &wanted->items[i]))
            return 0;
    return 1;
}

static int is_wanted(const struct info_list *list, const struct sbx_info *info)
{
    if (list->state_mask != 0 && (list->state_mask & (1u << info->state)) == 0)
        return 0;
    return list->labels == NULL || info_has_labels(&info->metadata, list->labels);
}

static int32_t add(void *user, const struct sbx_info *theirs)
{
    struct info_list *list = user;
    struct sbx_info info;
    if (list->arena.failed != 0 || (list->limit != 0 && list->count >= list->limit))
        return 1;
    sbx_view(&info, sizeof info, theirs);
    if (info.id == NULL)
        return 0;
    if (info.metadata.items == NULL)
        info.metadata.count = 0;
    if (info.state < SBX_STATE_UNKNOWN || info.state > SBX_STATE_FAILED)
        info.state = SBX_STATE_UNKNOWN;
    if (!is_wanted(list, &info))
        return 0;
    struct arena *a = &list->arena;
    struct info_node *node = arena_alloc(a, sizeof *node);
    if (node == NULL)
        return 1;
    node->info = (struct sbx_info){.size = sizeof node->info,
                                   .state = info.state,
                                   .id = info_full_id(a, list->instance, info.id),
                                   .name = arena_text(a, info.name),
                                   .provider_state = arena_text(a, info.provider_state),
                                   .failure = arena_text(a, info.failure),
                                   .created_ms = info.created_ms,
                                   .expires_ms = info.expires_ms,
                                   .metadata = arena_kvs(a, &info.metadata)};
    if (a->failed != 0)
        return 1;
    *list->end = node;
    list->end = &node->next;
    list->count++;
    return 0;
}

struct sbx_info_sink info_list_sink(struct info_list *list)
{
    return (struct sbx_info_sink){.size = sizeof(struct sbx_info_sink), .user = list, .item = add};
}
