/* SPDX-License-Identifier: MIT
 *
 * guest_job_io.c - a job's streams through the guest.
 */
#include "base/cleanup.h"
#include "plugins/common/guest_request.h"

enum { ATTEMPTS = 2 };

/* --- output ------------------------------------------------------------------------------------------------- */

struct reading {
    struct sbx_output_args args;
    struct sbx_sink sink;
    uint64_t at; /* behind the last byte that the sink was given */
    int begun;   /* the sink was given some */
};

static int32_t pass_on(void *user, const void *data, size_t len)
{
    struct reading *reading = user;
    reading->at += len;
    reading->begun = 1;
    return reading->sink.write != NULL ? reading->sink.write(reading->sink.user, data, len) : 0;
}

/* The guest skips what is no longer kept, before the first byte. */
static sbx_status skipped(struct guest_request *r, const unsigned char *fields, size_t len)
{
    struct reading *reading = r->user;
    struct wire_field_view field;
    uint64_t offset = 0;
    int more = 0, ok = 1;
    while (ok && (more = wire_next_field(&fields, &len, &field)) == 1)
        if (field.tag == F_OFFSET)
            offset = wire_number(&field, &ok);
    if (!ok || more != 0 || reading->begun || offset <= reading->at || offset > INT64_MAX)
        return guest_request_nonsense(r, "output that begins nowhere");
    reading->at = offset;
    return SBX_OK;
}

static sbx_status check_output(struct sbx_call *call, const char *job, const struct sbx_output_args *args,
                               const struct sbx_sink *out, struct reading *reading)
{
    *reading = (struct reading){.at = 0};
    sbx_status status = sbx_take(&reading->args, sizeof reading->args, args);
    if (status != SBX_OK)
        return call_fail(call, status, "job output: arguments of an unknown shape");
    sbx_view(&reading->sink, sizeof reading->sink, out);
    reading->at = reading->args.from;
    if (job == NULL || *job == '\0')
        return call_fail(call, SBX_E_INVALID, "job output: no job is named");
    if ((reading->args.flags & ~(uint32_t)(SBX_OUTPUT_FOLLOW | SBX_OUTPUT_OLDEST)) != 0 || reading->sink.flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "job output: unknown flags");
    if (reading->args.stream != STREAM_OUT && reading->args.stream != STREAM_ERR)
        return call_fail(call, SBX_E_INVALID, "job output: stream 1 is stdout, 2 is stderr");
    return SBX_OK;
}

/* One attempt, from where the last one came to; *lost: another one may go on. */
static sbx_status read_on(struct guest_link *link, struct sbx_call *call, const char *job, struct reading *reading,
                          int *lost)
{
    const struct sbx_sink sink = {.size = sizeof sink, .user = reading, .write = pass_on};
    CLEANUP_REQUEST struct guest_request r;
    uint32_t flags = (reading->args.flags & SBX_OUTPUT_FOLLOW) != 0 ? JOB_FOLLOW : 0u;
    guest_request_begin(&r, link, call, "job output", OP_JOB_OUTPUT);
    if ((reading->args.flags & SBX_OUTPUT_OLDEST) != 0 && !reading->begun) {
        flags |= JOB_OLDEST;
        r.reply = skipped;
        r.user = reading;
    }
    guest_request_text(&r, F_ID, job);
    guest_request_number(&r, F_STREAM, reading->args.stream);
    guest_request_number(&r, F_OFFSET, reading->at);
    guest_request_number(&r, F_FLAGS, flags);
    sbx_status status = guest_request_drain(&r, STREAM_OUT, &sink);
    if (status != SBX_OK)
        return status;
    status = guest_request_run(&r);
    *lost = status == SBX_E_UNKNOWN && !r.ended;
    if (status == SBX_E_TOO_LARGE && r.end.first_kept > reading->at)
        reading->at = r.end.first_kept;
    return status;
}

sbx_status guest_job_output(struct guest_link *link, struct sbx_call *call, const char *job,
                            const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next)
{
    struct reading reading;
    sbx_status status = check_output(call, job, args, out, &reading);
    if (status == SBX_OK) {
        int lost = 1;
        for (int i = 0; i < ATTEMPTS && lost; i++) {
            lost = 0;
            status = read_on(link, call, job, &reading, &lost);
        }
    }
    if (next != NULL)
        *next = reading.at;
    return status;
}

/* --- input -------------------------------------------------------------------------------------------------- */

struct memory {
    const char *data;
    size_t left;
};

static int64_t give(void *user, void *buf, size_t cap)
{
    struct memory *memory = user;
    size_t n = memory->left < cap ? memory->left : cap;
    if (n > 0)
        memcpy(buf, memory->data, n);
    memory->data += n;
    memory->left -= n;
    return (int64_t)n;
}

sbx_status guest_job_feed(struct guest_link *link, struct sbx_call *call, const char *job, const void *data, size_t len,
                          uint32_t eof)
{
    struct memory memory = {.data = data, .left = len};
    const struct sbx_source source = {.size = sizeof source, .user = &memory, .read = give};
    if (job == NULL || *job == '\0' || (data == NULL && len > 0))
        return call_fail(call, SBX_E_INVALID, "job feed: no job or no data");
    if (len == 0)
        memory.data = "";
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "job feed", OP_JOB_FEED);
    guest_request_text(&r, F_ID, job);
    guest_request_number(&r, F_FLAGS, eof != 0 ? JOB_FEED_END : 0u);
    sbx_status status = guest_request_feed(&r, &source);
    if (status != SBX_OK)
        return status;
    r.in.eager = 1;
    status = guest_request_run(&r);
    if (status == SBX_OK && !r.in.eof)
        return call_fail(call, SBX_E_PROTOCOL, "job feed: the guest did not take all of it");
    return status;
}
