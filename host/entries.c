/* SPDX-License-Identifier: MIT */
#include "host/entries.h"

#include "host/emulate.h"

#include <string.h>

static int32_t add_entry(void *user, const struct sbx_entry *theirs)
{
    struct entry_list *list = user;
    struct sbx_entry entry;
    sbx_view(&entry, sizeof entry, theirs);
    if (entry.name == NULL || entry.name[0] == '\0' || strchr(entry.name, '/') != NULL ||
        strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
        return 0;
    struct entry_node *node = arena_alloc(&list->arena, sizeof *node);
    if (node == NULL)
        return 1;
    node->name = arena_text(&list->arena, entry.name);
    sbx_view(&node->stat, sizeof node->stat, entry.stat);
    node->stat.size = sizeof node->stat;
    if (node->stat.type > SBX_FILE_OTHER)
        node->stat.type = SBX_FILE_UNKNOWN;
    if (list->arena.failed != 0)
        return 1;
    *list->end = node;
    list->end = &node->next;
    list->count++;
    return 0;
}

sbx_status entries_read(struct border_call *c, struct sbx_sandbox *box, const char *dir, struct entry_list *list)
{
    *list = (struct entry_list){.first = NULL};
    arena_init(&list->arena, INFO_LIST_MAX);
    list->end = &list->first;
    const struct sbx_entry_sink sink = {.size = sizeof sink, .user = list, .item = add_entry};
    sbx_status status = border_support(box, SBX_EXT_FS) != SBX_SUPPORT_NONE ? border_fs_list(c, box, dir, &sink)
                                                                            : emulate_list(c, box, dir, &sink);
    if (list->arena.failed != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "'%s': too many entries for the memory there is", dir);
    return status;
}

void entries_finish(struct entry_list *list)
{
    arena_finish(&list->arena);
}

sbx_status entries_stat(struct border_call *c, struct sbx_sandbox *box, const char *path, struct sbx_file_stat *out)
{
    return border_support(box, SBX_EXT_STAT) != SBX_SUPPORT_NONE ? border_stat(c, box, path, out)
                                                                 : emulate_stat(c, box, path, out);
}
