/* SPDX-License-Identifier: MIT
 *
 * info.h - what plugins report, copied while it is lent and handed to the caller after the plugin's call is over: so
 * the caller's callback may use the library freely.
 */
#ifndef SBX_HOST_INFO_H
#define SBX_HOST_INFO_H

#include "host/arena.h"
#include "sbx_plugin.h"

#define INFO_LIST_MAX (256u << 20) /* bytes of reports kept of one call */

struct info_node {
    struct info_node *next;
    struct sbx_info info;
};
struct info_list {
    struct arena arena;
    struct info_node *first;
    struct info_node **end;
    size_t count;
    size_t limit;         /* stop after so many; 0: none */
    const char *instance; /* put before ids */
    uint32_t state_mask;  /* others are left out; 0: all */
    const struct sbx_kvs *labels;
};

void info_list_init(struct info_list *list, const char *instance);
void info_list_finish(struct info_list *list);
/* A sink that adds to the list. */
struct sbx_info_sink info_list_sink(struct info_list *list);

/* 1 when all that are wanted are there, with these values. */
int info_has_labels(const struct sbx_kvs *metadata, const struct sbx_kvs *wanted);
/* INSTANCE/NATIVE, or NULL. */
const char *info_full_id(struct arena *a, const char *instance, const char *native);

#endif /* SBX_HOST_INFO_H */
