/* SPDX-License-Identifier: MIT
 *
 * pages.h - the service's lists, page by page.
 */
#ifndef SBX_RUNLOOP_PAGES_H
#define SBX_RUNLOOP_PAGES_H

#include "plugins/runloop/runloop.h"

/* What an item's callback answers beside SBX_OK and errors: no more are wanted. */
#define PAGES_ENOUGH ((sbx_status)1)

struct pages {
    const char *what;  /* how messages begin */
    const char *path;  /* of the list */
    const char *key;   /* of the array in the answer */
    const char *after; /* the id behind which it begins; NULL: all */
    sbx_status (*item)(void *user, struct sbx_call *call, const struct cJSON *view, const char *id);
    void *user;
};
/* Gives each item once, in the service's order. */
sbx_status pages_walk(struct api *api, struct sbx_call *call, const struct pages *pages);

/* Whether what a view shows was made by this instance and has these labels. */
int pages_is_ours(const struct sbx_backend *b, const struct cJSON *view, const struct sbx_kvs *labels);

#endif /* SBX_RUNLOOP_PAGES_H */
