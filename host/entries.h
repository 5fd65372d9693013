/* SPDX-License-Identifier: MIT
 *
 * entries.h - a directory's entries, copied while the provider lends them; natively or through a shell.
 */
#ifndef SBX_HOST_ENTRIES_H
#define SBX_HOST_ENTRIES_H

#include "host/arena.h"
#include "host/border.h"

struct entry_node {
    struct entry_node *next;
    const char *name;
    struct sbx_file_stat stat;
};
struct entry_list {
    struct arena arena;
    struct entry_node *first;
    struct entry_node **end;
    size_t count;
};
/* Reads the directory into *list, which it makes; entries_finish on failure too. */
sbx_status entries_read(struct border_call *c, struct sbx_sandbox *box, const char *dir, struct entry_list *list);
void entries_finish(struct entry_list *list);
/* What stat answers for a path. */
sbx_status entries_stat(struct border_call *c, struct sbx_sandbox *box, const char *path, struct sbx_file_stat *out);

#endif /* SBX_HOST_ENTRIES_H */
