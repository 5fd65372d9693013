/* SPDX-License-Identifier: MIT
 *
 * api_batch.c - several files in one call: one report for each, in the order asked, whatever the provider's own order.
 */
#include "base/cleanup.h"
#include "host/api_transfer.h"
#include "host/arena.h"
#include "host/error.h"

#include <stdlib.h>
#include <string.h>

typedef void batch_report(void *user, size_t index, sbx_status code, const char *message);

struct item_result {
    sbx_status code;
    int reported;
    const char *message;
};

struct batch {
    struct sbx_sandbox *box;
    const struct sbx_call_options *options;
    struct transfer *transfers;
    struct item_result *results;
    size_t count;
    struct arena arena; /* messages */
    struct border_call call;
};

static void batch_finish(struct batch *b)
{
    free(b->transfers);
    free(b->results);
    arena_finish(&b->arena);
}

static void set_result(struct batch *b, size_t index, sbx_status code, const char *message)
{
    struct item_result *r = &b->results[index];
    r->reported = 1;
    r->code = code > SBX_OK || code < SBX_E_UNKNOWN ? SBX_E_FAILED : code;
    r->message = r->code != SBX_OK ? arena_text(&b->arena, message) : NULL;
}

static sbx_status batch_take(struct batch *b, const struct transfer_kind *kind,
                             const struct sbx_file_item *const *items, size_t count, struct sbx_error *error)
{
    b->transfers = calloc(count + 1, sizeof *b->transfers);
    b->results = calloc(count + 1, sizeof *b->results);
    if (b->transfers == NULL || b->results == NULL)
        return error_no_memory(error);
    b->count = count;
    for (size_t i = 0; i < count; i++) {
        struct sbx_file_item item;
        struct sbx_error one = SBX_INIT(one);
        sbx_status status = api_take(&item, sizeof item, items[i], kind->verb, error);
        if (status != SBX_OK)
            return error_wrap(error, status, "item %zu", i);
        status = transfer_take(&b->transfers[i], kind, b->box, item.path, item.how, &one);
        /* A bad path is that item's own failure; anything else is a mistake in the call. */
        if (status == SBX_E_NOT_FOUND) {
            set_result(b, i, status, one.message);
        } else if (status != SBX_OK) {
            error_give(error, &one);
            return error_wrap(error, status, "item %zu", i);
        }
    }
    return SBX_OK;
}

/* One after the other, for providers without batches. A cancelled or timed-out item ends the whole. */
static sbx_status run_loop(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct transfer *t = &b->transfers[i];
        struct sbx_error error = SBX_INIT(error);
        if (b->results[i].reported)
            continue;
        t->call = b->call;
        t->call.call.error = &t->call.error;
        sbx_status status = t->kind->run(t);
        status = border_end(&t->call, status, &error);
        if (status == SBX_E_TIMEOUT || status == SBX_E_CANCELLED || status == SBX_E_GONE) {
            b->call.error = t->call.error;
            return status;
        }
        set_result(b, i, status, error.message);
    }
    return SBX_OK;
}

/* --- at the provider -------------------------------------------------------------------------------------------- */

struct native {
    struct batch *batch;
    const size_t *indices; /* of what was sent */
    size_t count;
};

static void take_report(void *user, size_t index, sbx_status code, const char *message)
{
    const struct native *n = user;
    if (index >= n->count || n->batch->results[n->indices[index]].reported)
        return;
    set_result(n->batch, n->indices[index], code, message);
}

static void *items_alloc(size_t count, size_t size)
{
    return calloc(count + 1, size);
}

static sbx_status put_native(struct batch *b, const struct native *n, const struct sbx_batch_report *report)
{
    CLEANUP_FREE struct sbx_put_item *items = items_alloc(n->count, sizeof *items);
    CLEANUP_FREE struct sbx_write_args *args = items_alloc(n->count, sizeof *args);
    CLEANUP_FREE const struct sbx_put_item **pointers = items_alloc(n->count, sizeof *pointers);
    if (items == NULL || args == NULL || pointers == NULL)
        return border_fail(&b->call, SBX_E_NO_MEMORY, "%s", "");
    for (size_t i = 0; i < n->count; i++) {
        struct transfer *t = &b->transfers[n->indices[i]];
        t->call = b->call;
        transfer_set_source(t);
        transfer_write_args(t, &args[i]);
        items[i] =
            (struct sbx_put_item){.size = sizeof items[i], .path = t->path, .how = &args[i], .in = &t->source.source};
        pointers[i] = &items[i];
    }
    return border_batch_put(&b->call, b->box, pointers, n->count, report);
}

static sbx_status get_native(struct batch *b, const struct native *n, const struct sbx_batch_report *report)
{
    CLEANUP_FREE struct sbx_get_item *items = items_alloc(n->count, sizeof *items);
    CLEANUP_FREE const struct sbx_get_item **pointers = items_alloc(n->count, sizeof *pointers);
    if (items == NULL || pointers == NULL)
        return border_fail(&b->call, SBX_E_NO_MEMORY, "%s", "");
    for (size_t i = 0; i < n->count; i++) {
        struct transfer *t = &b->transfers[n->indices[i]];
        t->call = b->call;
        transfer_set_sink(t);
        items[i] = (struct sbx_get_item){.size = sizeof items[i], .path = t->path, .out = &t->sink.sink};
        pointers[i] = &items[i];
    }
    return border_batch_get(&b->call, b->box, pointers, n->count, report);
}

/* What the streams know better than the provider; and whatever it said becomes a clean line that names the sandbox. */
static void explain_items(struct batch *b, const struct native *n, int is_out)
{
    for (size_t i = 0; i < n->count; i++) {
        struct transfer *t = &b->transfers[n->indices[i]];
        struct item_result *r = &b->results[n->indices[i]];
        struct sbx_error error = SBX_INIT(error);
        sbx_status code = r->code;
        t->call.call.error = &t->call.error;
        if (code != SBX_OK)
            (void)border_fail(&t->call, code, "%s", r->message != NULL ? r->message : "");
        code = is_out ? flow_verdict(&t->call, code, &t->sink, NULL) : flow_verdict(&t->call, code, NULL, &t->source);
        if (code == SBX_OK)
            continue;
        (void)border_end(&t->call, code, &error);
        set_result(b, n->indices[i], code, error.message);
    }
}

static sbx_status run_native(struct batch *b, int is_out)
{
    CLEANUP_FREE size_t *indices = calloc(b->count + 1, sizeof *indices);
    if (indices == NULL)
        return border_fail(&b->call, SBX_E_NO_MEMORY, "%s", "");
    struct native n = {.batch = b, .indices = indices};
    for (size_t i = 0; i < b->count; i++)
        if (!b->results[i].reported)
            indices[n.count++] = i;
    const struct sbx_batch_report report = {.size = sizeof report, .user = &n, .item = take_report};
    sbx_status status = is_out ? get_native(b, &n, &report) : put_native(b, &n, &report);
    if (status != SBX_OK)
        return status;
    for (size_t i = 0; i < n.count; i++)
        if (!b->results[indices[i]].reported)
            return border_fail(&b->call, SBX_E_PROTOCOL, "the provider did not say what became of '%s'",
                               b->transfers[indices[i]].path);
    explain_items(b, &n, is_out);
    return SBX_OK;
}

/* The provider's batch gives no sizes before it sends, and takes no offsets: then the loop does it. */
static int needs_loop(const struct batch *b, int is_out)
{
    if (border_support(b->box, SBX_EXT_BATCH) == SBX_SUPPORT_NONE)
        return 1;
    for (size_t i = 0; is_out && i < b->count; i++) {
        const struct sbx_transfer_options *o = &b->transfers[i].options;
        if (o->offset != 0 || o->limit != 0 || o->max_size != 0)
            return 1;
    }
    return 0;
}

static sbx_status run_batch(const struct transfer_kind *kind, struct sbx_sandbox *box,
                            const struct sbx_file_item *const *items, size_t count, const struct sbx_call_options *call,
                            batch_report *report, void *user, struct sbx_error *error)
{
    int is_out = (kind->flags & TRANSFER_OUT) != 0;
    CLEANUP(batch_finish) struct batch b = {.box = box, .options = call};
    arena_init(&b.arena, 0);
    sbx_status status = api_check_box(box, kind->verb, error);
    if (status == SBX_OK && items == NULL && count > 0)
        status = error_set(error, SBX_E_INVALID, "%s %s: a count without items", kind->verb, box->id);
    if (status == SBX_OK)
        status = batch_take(&b, kind, items, count, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(&b.call, box->instance->context->log, kind->verb, box->id, call);
    b.call.meter.on_progress = NULL; /* of many files at once no one number says anything */
    if (status == SBX_OK && count > 0)
        status = needs_loop(&b, is_out) ? run_loop(&b) : run_native(&b, is_out);
    status = border_end(&b.call, status, error);
    if (status != SBX_OK || report == NULL)
        return status;
    for (size_t i = 0; i < count; i++) {
        const struct item_result *r = &b.results[i];
        report(user, i, r->code, r->message != NULL ? r->message : sbx_status_name(r->code));
    }
    return SBX_OK;
}

sbx_status sbx_read_files(sbx_sandbox *box, const struct sbx_file_item *const *items, size_t count,
                          const struct sbx_call_options *call, batch_report *report, void *user,
                          struct sbx_error *error)
{
    const struct transfer_kind kind = {.verb = "read", .run = transfer_read, .flags = TRANSFER_OUT};
    return run_batch(&kind, box, items, count, call, report, user, error);
}

sbx_status sbx_write_files(sbx_sandbox *box, const struct sbx_file_item *const *items, size_t count,
                           const struct sbx_call_options *call, batch_report *report, void *user,
                           struct sbx_error *error)
{
    const struct transfer_kind kind = {
        .verb = "write", .run = transfer_write, .flags = SBX_WRITE_PARENTS | SBX_WRITE_APPEND | SBX_WRITE_EXCL};
    return run_batch(&kind, box, items, count, call, report, user, error);
}
