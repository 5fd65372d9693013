/* SPDX-License-Identifier: MIT
 *
 * guest_batch.c - many files in one call. Items go one after the other over one idle connection; each is reported
 * exactly once, in input order, also when the sandbox is lost half way.
 */
#include "plugins/common/guest_client.h"

/* One batch: how many items there are and how the i-th is done. */
struct batch {
    struct guest_link *link;
    sbx_status (*item)(const struct batch *batch, struct sbx_call *call, size_t index);
    const struct sbx_put_item *const *puts;
    const struct sbx_get_item *const *gets;
    size_t count;
};

static sbx_status put_one(const struct batch *batch, struct sbx_call *call, size_t index)
{
    struct sbx_put_item item;
    sbx_status status = sbx_take(&item, sizeof item, batch->puts[index]);
    if (status != SBX_OK)
        return call_fail(call, status, "write: an item of an unknown shape");
    if (item.in == NULL)
        return call_fail(call, SBX_E_INVALID, "write: an item without a source");
    return guest_write_file(batch->link, call, item.path, item.how, item.in);
}

static sbx_status get_one(const struct batch *batch, struct sbx_call *call, size_t index)
{
    struct sbx_get_item item;
    sbx_status status = sbx_take(&item, sizeof item, batch->gets[index]);
    if (status != SBX_OK)
        return call_fail(call, status, "read: an item of an unknown shape");
    return guest_read_file(batch->link, call, item.path, NULL, item.out);
}

/* Whether the failure of one item is the failure of all that follow. */
static int ends_batch(sbx_status status)
{
    switch (status) {
    case SBX_E_GONE:
    case SBX_E_UNAVAILABLE:
    case SBX_E_TIMEOUT:
    case SBX_E_CANCELLED:
    case SBX_E_NO_MEMORY:
    case SBX_E_PROTOCOL:
    case SBX_E_UNKNOWN:
        return 1;
    default:
        return 0;
    }
}

static sbx_status run(const struct batch *batch, struct sbx_call *call, const struct sbx_batch_report *report)
{
    struct sbx_batch_report to;
    sbx_view(&to, sizeof to, report);
    if (to.item == NULL || to.flags != 0)
        return call_fail(call, to.flags != 0 ? SBX_E_UNSUPPORTED : SBX_E_INVALID,
                         "batch: a report that cannot be used");
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status fatal = SBX_OK;
    for (size_t i = 0; i < batch->count; i++) {
        sbx_status status = fatal;
        if (fatal == SBX_OK) {
            status = batch->item(batch, &inner, i);
            fatal = ends_batch(status) ? status : SBX_OK;
        }
        to.item(to.user, i, status, status != SBX_OK ? error.message : NULL);
    }
    if (fatal != SBX_OK)
        call_pass_error(call, &error);
    return fatal;
}

sbx_status guest_put_files(struct guest_link *link, struct sbx_call *call, const struct sbx_put_item *const *items,
                           size_t count, const struct sbx_batch_report *report)
{
    struct batch batch = {.link = link, .item = put_one, .puts = items, .count = count};
    return run(&batch, call, report);
}

sbx_status guest_get_files(struct guest_link *link, struct sbx_call *call, const struct sbx_get_item *const *items,
                           size_t count, const struct sbx_batch_report *report)
{
    struct batch batch = {.link = link, .item = get_one, .gets = items, .count = count};
    return run(&batch, call, report);
}
