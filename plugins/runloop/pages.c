/* SPDX-License-Identifier: MIT
 *
 * pages.c - see pages.h.
 */
#include "plugins/runloop/pages.h"

enum { PAGE = 100, PAGES_MAX = 1000, PAGE_BYTES = 64 << 20, PATH_BYTES = 512 };

/* The items of one page; `after` is then the last one's id. */
static sbx_status walk_page(struct sbx_call *call, const struct pages *pages, const struct cJSON *list,
                            char after[ID_SIZE])
{
    for (const struct cJSON *view = json_first(list); view != NULL; view = json_next(view)) {
        const char *id = json_text(view, "id");
        if (id == NULL || !id_is_valid(id))
            return call_fail(call, SBX_E_PROTOCOL, "%s: runloop lists something without an id", pages->what);
        (void)snprintf(after, ID_SIZE, "%s", id);
        sbx_status status = pages->item(pages->user, call, view, id);
        if (status != SBX_OK)
            return status;
    }
    return SBX_OK;
}

sbx_status pages_walk(struct api *api, struct sbx_call *call, const struct pages *pages)
{
    char after[ID_SIZE] = "", path[PATH_BYTES];
    if (pages->after != NULL && !id_is_valid(pages->after))
        return call_fail(call, SBX_E_INVALID, "%s: '%.100s' is no id", pages->what, pages->after);
    if (pages->after != NULL)
        (void)snprintf(after, sizeof after, "%s", pages->after);
    for (int i = 0; i < PAGES_MAX; i++) {
        CLEANUP_JSON struct cJSON *page = NULL;
        (void)snprintf(path, sizeof path, "%s?limit=%d%s%s", pages->path, PAGE,
                       after[0] != '\0' ? "&starting_after=" : "", after);
        const struct api_request request = {.what = pages->what, .path = path, .reply_limit = PAGE_BYTES};
        sbx_status status = api_run(api, call, &request, &page);
        if (status != SBX_OK)
            return status;
        const struct cJSON *list = json_member(page, pages->key);
        if (!json_is_array(list))
            return call_fail(call, SBX_E_PROTOCOL, "%s: the answer is no list", pages->what);
        status = walk_page(call, pages, list, after);
        if (status != SBX_OK)
            return status == PAGES_ENOUGH ? SBX_OK : status;
        if (!json_is_true(page, "has_more") || json_first(list) == NULL)
            return SBX_OK;
    }
    return call_fail(call, SBX_E_PROTOCOL, "%s: a list of more than %d pages", pages->what, PAGES_MAX);
}

int pages_is_ours(const struct sbx_backend *b, const struct cJSON *view, const struct sbx_kvs *labels)
{
    const struct cJSON *metadata = json_member(view, "metadata");
    const char *instance = json_text(metadata, META_INSTANCE);
    if (instance == NULL || strcmp(instance, b->instance) != 0)
        return 0;
    for (size_t i = 0; i < labels->count; i++) {
        const char *value = json_text(metadata, labels->items[i].key);
        if (value == NULL || strcmp(value, labels->items[i].value) != 0)
            return 0;
    }
    return 1;
}
