/* SPDX-License-Identifier: MIT */
#include "guest/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/ops.h"

enum { REPLY_MAX = 4096 }; /* of a list's one item: far more than a name and a handful of numbers */

static const struct request_kind *const KINDS[] = {
    &op_exec,     &op_read,      &op_write,      &op_stat,       &op_list,        &op_mkdir,      &op_remove,
    &op_rename,   &op_tar_get,   &op_tar_put,    &op_info,       &op_shutdown,    &op_lifetime,   &op_suspend,
    &op_resume,   &op_job_start, &op_job_info,   &op_job_wait,   &op_job_kill,    &op_job_signal, &op_job_output,
    &op_job_feed, &op_job_list,  &op_job_forget, &op_shell_exec, &op_shell_close, &op_shell_list, &op_dial,
};

uint64_t request_features(void)
{
    uint64_t features = 0;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        features |= UINT64_C(1) << KINDS[i]->op;
    return features;
}

/* --- ending ----------------------------------------------------------------------------------------------------- */

void request_end_begin(struct request *r, sbx_status status)
{
    frame_begin(r->c, FRAME_END, r->id);
    frame_number(r->c, F_STATUS, (uint64_t)(int64_t)status);
}

void request_end_finish(struct request *r)
{
    frame_finish(r->c);
    r->done = 1;
}

void request_end(struct request *r)
{
    request_end_begin(r, SBX_OK);
    request_end_finish(r);
}

/* One printable line: what a file name could smuggle in becomes '?'. */
static size_t message_clean(char *message)
{
    size_t len = strlen(message);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
            message[i] = '?';
    return len;
}

void request_fail(struct request *r, sbx_status status, int os_errno, const char *format, ...)
{
    char message[GUEST_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    request_end_begin(r, status);
    if (os_errno != 0)
        frame_number(r->c, F_ERRNO, (uint64_t)os_errno);
    frame_bytes(r->c, F_MESSAGE, message, message_clean(message));
    request_end_finish(r);
}

int request_reply_room(const struct request *r)
{
    return conn_room(r->c) > 0 && r->out_credit[STREAM_OUT] >= REPLY_MAX;
}

void request_reply_begin(struct request *r)
{
    frame_begin(r->c, FRAME_REPLY, r->id);
}

void request_reply_finish(struct request *r)
{
    size_t len = r->c->out_end - r->c->frame - WIRE_HEADER;
    frame_finish(r->c);
    if (!r->c->broken)
        r->out_credit[STREAM_OUT] -= len;
}

void request_consumed(struct request *r, size_t len)
{
    r->in_owed += (uint32_t)len;
    if (r->done || r->in_eof || r->in_owed < WIRE_WINDOW / 4)
        return;
    frame_credit(r->c, r->id, STREAM_IN, r->in_owed);
    r->in_left += r->in_owed;
    r->in_owed = 0;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static struct request *find(const struct conn *c, uint32_t id)
{
    for (struct request *r = c->requests; r != NULL; r = r->next)
        if (r->id == id && !r->done)
            return r;
    return NULL;
}

static void joined_free(struct request *r)
{
    r->c->joined -= r->joined_len;
    free(r->joined);
    r->joined = NULL;
    r->joined_len = 0;
}

static void request_free(struct request *r)
{
    if (r->running && r->kind->release != NULL)
        r->kind->release(r);
    joined_free(r);
    if (r->refused)
        r->c->refused_count--;
    else
        r->c->request_count--;
    free(r);
}

void request_sweep(struct conn *c)
{
    struct request **at = &c->requests;
    while (*at != NULL) {
        struct request *r = *at;
        if (!r->done) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        request_free(r);
    }
}

void request_close_all(struct conn *c)
{
    while (c->requests != NULL) {
        struct request *r = c->requests;
        c->requests = r->next;
        request_free(r);
    }
}

/* From now on its frames are only waited out; their end is answered with `status`. */
static void refuse(struct request *r, sbx_status status)
{
    joined_free(r);
    r->refused = 1;
    r->refusal = status;
    r->c->request_count--;
    r->c->refused_count++;
}

static struct request *request_new(struct conn *c, uint32_t id)
{
    if (c->request_count >= WIRE_MAX_REQUESTS)
        request_sweep(c);
    if (c->refused_count > WIRE_MAX_REQUESTS)
        return NULL;
    struct request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    *r = (struct request){.c = c, .id = id, .in_left = WIRE_WINDOW};
    r->out_credit[STREAM_OUT] = r->out_credit[STREAM_ERR] = WIRE_WINDOW;
    r->next = c->requests;
    c->requests = r;
    if (++c->request_count > WIRE_MAX_REQUESTS)
        refuse(r, SBX_E_BUSY);
    return r;
}

static const struct request_kind *kind_of(uint64_t op)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (KINDS[i]->op == op)
            return KINDS[i];
    return NULL;
}

int request_must_wait(const struct conn *c, const struct wire_head *h, const unsigned char *payload)
{
    struct wire_field_view f;
    const unsigned char *at = payload;
    size_t left = h->len;
    int ok = 1;
    if (c->g->sleep.holds == 0 || c->g->sleep.suspended || h->type != FRAME_REQUEST || find(c, h->id) != NULL ||
        wire_next_field(&at, &left, &f) != 1 || f.tag != F_OP)
        return 0;
    const struct request_kind *kind = kind_of(wire_number(&f, &ok));
    return kind != NULL && !kind->asleep;
}

static void start(struct request *r, const unsigned char *payload, size_t len)
{
    char message[GUEST_MESSAGE_MAX];
    struct fields f;
    sbx_status status = fields_parse(&f, payload, len, message);
    if (status != SBX_OK) {
        request_fail(r, status, 0, "%s", message);
        return;
    }
    r->kind = kind_of(f.number[F_OP]);
    if (r->kind == NULL) {
        request_fail(r, SBX_E_UNSUPPORTED, 0, "request: unknown operation %llu", (unsigned long long)f.number[F_OP]);
        return;
    }
    status = fields_check(&f, r->kind, message);
    if (status != SBX_OK) {
        request_fail(r, status, 0, "%s", message);
        return;
    }
    if (r->c->g->sleep.suspended && !r->kind->asleep) {
        request_fail(r, SBX_E_STATE, 0, "the sandbox is suspended");
        return;
    }
    r->running = 1;
    r->kind->start(r, &f);
}

static void join(struct request *r, const struct wire_head *h, const unsigned char *payload)
{
    size_t len = r->joined_len + h->len;
    if (len > WIRE_MAX_REQUEST) {
        refuse(r, SBX_E_TOO_LARGE);
        return;
    }
    unsigned char *joined = r->c->joined + h->len > CONN_JOINED_LIMIT ? NULL : realloc(r->joined, len + 1);
    if (joined == NULL) {
        refuse(r, SBX_E_BUSY);
        return;
    }
    if (h->len > 0)
        memcpy(joined + r->joined_len, payload, h->len);
    r->joined = joined;
    r->joined_len = len;
    r->c->joined += h->len;
}

int request_collect(struct conn *c, const struct wire_head *h, const unsigned char *payload)
{
    int more = (h->flags & FLAG_MORE) != 0;
    struct request *r = find(c, h->id);
    if (r != NULL && r->running)
        return -1;
    if (r == NULL)
        r = request_new(c, h->id);
    if (r == NULL)
        return -1;
    if (!r->refused && (more || r->joined != NULL))
        join(r, h, payload);
    if (more)
        return 0;
    if (r->refused && r->refusal == SBX_E_TOO_LARGE)
        request_fail(r, r->refusal, 0, "request: longer than %u bytes", WIRE_MAX_REQUEST);
    else if (r->refused)
        request_fail(r, r->refusal, 0, "request: too many at once on one connection (%u)", WIRE_MAX_REQUESTS);
    else if (r->joined != NULL)
        start(r, r->joined, r->joined_len);
    else
        start(r, payload, h->len);
    joined_free(r);
    return 0;
}

/* --- frames of a running request -------------------------------------------------------------------------------- */

static int on_data(struct request *r, const struct wire_head *h, const unsigned char *payload)
{
    if (h->stream != STREAM_IN || r->in_eof || h->len > r->in_left)
        return -1;
    r->in_left -= h->len;
    if ((h->flags & FLAG_EOF) != 0)
        r->in_eof = 1;
    if (r->kind->input)
        r->kind->feed(r, payload, h->len, r->in_eof);
    return 0;
}

static int on_credit(struct request *r, const struct wire_head *h, const unsigned char *payload)
{
    if (h->stream == STREAM_IN || h->len != 4)
        return -1;
    r->out_credit[h->stream] += wire_get32(payload);
    return 0;
}

int request_frame(struct conn *c, const struct wire_head *h, const unsigned char *payload)
{
    struct request *r = find(c, h->id);
    if (h->type != FRAME_DATA && h->type != FRAME_CREDIT && h->type != FRAME_SIGNAL && h->type != FRAME_RESIZE &&
        h->type != FRAME_CANCEL)
        return -1;
    if (r == NULL)
        return 0;
    if (!r->running && h->type != FRAME_CANCEL)
        return -1;
    switch (h->type) {
    case FRAME_DATA:
        return on_data(r, h, payload);
    case FRAME_CREDIT:
        return on_credit(r, h, payload);
    case FRAME_CANCEL:
        if (r->running && r->kind->cancel != NULL)
            r->kind->cancel(r);
        else
            request_fail(r, SBX_E_CANCELLED, 0, "request: cancelled");
        return 0;
    default:
        if (h->len != 4)
            return -1;
        if (r->kind->event != NULL)
            r->kind->event(r, h, payload);
        return 0;
    }
}

void request_watch_all(struct conn *c, struct watch *w)
{
    for (struct request *r = c->requests; r != NULL; r = r->next)
        if (r->running && !r->done && r->kind->watch != NULL)
            r->kind->watch(r, w);
}

void request_pump_all(struct conn *c)
{
    for (struct request *r = c->requests; r != NULL; r = r->next)
        if (r->running && !r->done && r->kind->pump != NULL)
            r->kind->pump(r);
}
