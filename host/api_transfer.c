/* SPDX-License-Identifier: MIT */
#include "host/api_transfer.h"

#include "host/error.h"

/* --- checks ----------------------------------------------------------------------------------------------------- */

static sbx_status check_out(const struct transfer *t, struct sbx_error *error)
{
    const struct sbx_transfer_options *o = &t->options;
    const char *verb = t->kind->verb;
    const char *id = t->box->id;
    int captures = (o->flags & SBX_TRANSFER_CAPTURE) != 0;
    if (o->data != NULL || o->data_len != 0 || o->in_read != NULL)
        return error_set(error, SBX_E_INVALID, "%s %s: data to write was given", verb, id);
    if (o->mode != 0)
        return error_set(error, SBX_E_INVALID, "%s %s: a mode is for writing a file", verb, id);
    if ((o->offset != 0 || o->limit != 0) && (t->kind->flags & TRANSFER_TAR) != 0)
        return error_set(error, SBX_E_INVALID, "%s %s: a tar has no offset and no limit", verb, id);
    if (captures && (t->kind->flags & TRANSFER_CAPTURE) == 0)
        return error_set(error, SBX_E_INVALID, "%s %s: keeping the bytes needs an operation", verb, id);
    if (!captures && (o->flags & SBX_TRANSFER_FD) == 0 && o->on_data == NULL)
        return error_set(error, SBX_E_INVALID, "%s %s: nowhere to put the bytes", verb, id);
    return SBX_OK;
}

static sbx_status check_in(const struct transfer *t, struct sbx_error *error)
{
    const struct sbx_transfer_options *o = &t->options;
    const char *verb = t->kind->verb;
    const char *id = t->box->id;
    int inputs = (o->data != NULL) + ((o->flags & SBX_TRANSFER_FD) != 0) + (o->in_read != NULL);
    if (inputs > 1)
        return error_set(error, SBX_E_INVALID, "%s %s: more than one input", verb, id);
    if (o->data == NULL && o->data_len > 0)
        return error_set(error, SBX_E_INVALID, "%s %s: a length of data without data", verb, id);
    if (o->on_data != NULL || o->offset != 0 || o->limit != 0 || o->max_size != 0)
        return error_set(error, SBX_E_INVALID, "%s %s: options of a read were given", verb, id);
    if (o->mode != 0 && (t->kind->flags & TRANSFER_TAR) != 0)
        return error_set(error, SBX_E_INVALID, "%s %s: a mode is for writing a file", verb, id);
    if ((o->mode & ~07777u) != 0)
        return error_set(error, SBX_E_INVALID, "%s %s: the mode 0%o has more than permission bits", verb, id, o->mode);
    return SBX_OK;
}

sbx_status transfer_take(struct transfer *t, const struct transfer_kind *kind, struct sbx_sandbox *box,
                         const char *path, const struct sbx_transfer_options *options, struct sbx_error *error)
{
    sbx_status status = api_check_path(box, kind->verb, path, error);
    if (status != SBX_OK)
        return status;
    t->box = box;
    t->path = path;
    t->kind = kind;
    t->op = NULL;
    status = api_take(&t->options, sizeof t->options, options, kind->verb, error);
    if (status != SBX_OK)
        return status;
    const struct sbx_transfer_options *o = &t->options;
    uint32_t known = SBX_TRANSFER_FD | (kind->flags & 0xff);
    if ((kind->flags & TRANSFER_OUT) != 0)
        known |= SBX_TRANSFER_CAPTURE;
    if ((o->flags & ~known) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "%s %s: unknown flags 0x%x", kind->verb, box->id, o->flags & ~known);
    if ((o->flags & SBX_TRANSFER_FD) != 0 && o->fd < 0)
        return error_set(error, SBX_E_INVALID, "%s %s: the descriptor is %d", kind->verb, box->id, o->fd);
    t->callbacks = (struct op_callbacks){.user = o->user_data, .in_read = o->in_read, .on_data = o->on_data};
    return (kind->flags & TRANSFER_OUT) != 0 ? check_out(t, error) : check_in(t, error);
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

void transfer_set_sink(struct transfer *t)
{
    const struct sbx_transfer_options *o = &t->options;
    flow_sink_init(&t->sink, &t->call.call);
    t->sink.max = o->max_size;
    if ((o->flags & SBX_TRANSFER_FD) != 0)
        flow_sink_to_fd(&t->sink, o->fd);
    if (t->op != NULL && (o->flags & SBX_TRANSFER_CAPTURE) != 0) {
        if (t->sink.max == 0)
            t->sink.max = TRANSFER_CAPTURE_LIMIT;
        t->sink.capture = &t->op->captured[0];
        capture_init(t->sink.capture, t->sink.max < SIZE_MAX / 4 ? (size_t)t->sink.max : SIZE_MAX / 4, 0);
    }
    if (o->on_data == NULL)
        return;
    t->sink.deliver = t->op != NULL ? op_push : op_deliver;
    t->sink.user = t->op != NULL ? (void *)t->op : (void *)&t->callbacks;
}

void transfer_set_source(struct transfer *t)
{
    const struct sbx_transfer_options *o = &t->options;
    if ((o->flags & SBX_TRANSFER_FD) != 0) {
        flow_source_of_fd(&t->source, o->fd);
    } else if (o->in_read != NULL && t->op != NULL) {
        flow_source_of_callback(&t->source, op_pull, t->op);
        t->source.source.flags = SBX_SOURCE_HAS_FD;
        t->source.source.ready_fd = t->op->in_fd;
    } else if (o->in_read != NULL) {
        flow_source_of_callback(&t->source, o->in_read, o->user_data);
    } else {
        flow_source_of_memory(&t->source, o->data, o->data_len);
    }
}

/* --- running ---------------------------------------------------------------------------------------------------- */

sbx_status transfer_inline(const struct transfer_kind *kind, struct sbx_sandbox *box, const char *path,
                           const struct sbx_transfer_options *options, const struct sbx_call_options *call,
                           struct sbx_error *error)
{
    struct transfer t;
    sbx_status status = transfer_take(&t, kind, box, path, options, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(&t.call, box->instance->context->log, kind->verb, box->id, call);
    if (status == SBX_OK)
        status = kind->run(&t);
    return border_end(&t.call, status, error);
}

static sbx_status transfer_worker(struct sbx_op *op, struct sbx_error *error)
{
    struct transfer *t = op->work;
    sbx_status status = t->kind->run(t);
    return border_end(&t->call, status, error);
}

struct started {
    struct transfer transfer;
    struct transfer_kind kind;
};

sbx_status transfer_start(const struct transfer_kind *kind, struct sbx_sandbox *box, const char *path,
                          const struct sbx_transfer_options *options, const struct sbx_call_options *call,
                          struct sbx_op **out, struct sbx_error *error)
{
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "%s: no place for the operation", kind->verb);
    *out = NULL;
    sbx_status status = api_check_box(box, kind->verb, error);
    if (status != SBX_OK)
        return status;
    struct sbx_op *op = op_create(box->instance->context);
    struct started *s = op != NULL ? arena_alloc(&op->arena, sizeof *s) : NULL;
    if (s == NULL) {
        sbx_op_free(op);
        return error_no_memory(error);
    }
    struct transfer *t = &s->transfer;
    s->kind = *kind;
    status = transfer_take(t, &s->kind, box, path, options, error);
    if (status == SBX_OK)
        status = op_begin(op, &t->call, &t->callbacks, kind->verb, box->id, call, error);
    if (status == SBX_OK) {
        t->path = arena_text(&op->arena, path);
        t->op = op;
        op->work = t;
        op->run = transfer_worker;
        status = op->arena.failed != 0 ? error_no_memory(error) : op_launch(op, error);
    }
    if (status != SBX_OK) {
        sbx_op_free(op);
        return status;
    }
    *out = op;
    return SBX_OK;
}
