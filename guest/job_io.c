/* SPDX-License-Identifier: MIT
 *
 * job_io.c - OP_JOB_OUTPUT and OP_JOB_FEED: a job's streams.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/job.h"
#include "guest/ops.h"
#include "guest/stream.h"

/* --- output ------------------------------------------------------------------------------------------------------- */

struct output {
    struct job *job;
    int stream; /* 0, 1 */
    int follow;
    int oldest; /* nothing was sent yet: what is no longer kept may be skipped */
    uint64_t at;
    uint64_t end; /* without follow: where the stream was when it was asked */
};

static void passed(struct request *r, const struct output *o)
{
    const struct ring *ring = &o->job->out[o->stream].ring;
    static const char message[] = "those bytes of the job's output are no longer kept";
    request_end_begin(r, SBX_E_TOO_LARGE);
    frame_number(r->c, F_OFFSET, ring->first);
    frame_number(r->c, F_NEXT, o->at);
    frame_bytes(r->c, F_MESSAGE, message, sizeof message - 1);
    request_end_finish(r);
}

static void output_start(struct request *r, const struct fields *f)
{
    uint64_t stream = f->number[F_STREAM], offset = f->number[F_OFFSET];
    struct job *j = job_of_request(r, f);
    if (j == NULL)
        return;
    if (stream != STREAM_OUT && stream != STREAM_ERR) {
        request_fail(r, SBX_E_INVALID, 0, "no output stream %" PRIu64, stream);
        return;
    }
    const struct ring *ring = &j->out[stream - 1].ring;
    if (offset > ring_end(ring)) {
        request_fail(r, SBX_E_INVALID, 0, "offset %" PRIu64 " is not reached: there are %" PRIu64 " bytes", offset,
                     ring_end(ring));
        return;
    }
    struct output *o = calloc(1, sizeof *o);
    if (o == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory");
        return;
    }
    *o = (struct output){.job = j, .stream = (int)stream - 1, .at = offset, .end = ring_end(ring)};
    o->follow = (f->number[F_FLAGS] & JOB_FOLLOW) != 0;
    o->oldest = (f->number[F_FLAGS] & JOB_OLDEST) != 0;
    job_use(j);
    r->state = o;
}

static size_t want(const struct request *r, const struct output *o, const struct ring *ring)
{
    uint64_t end = o->follow ? ring_end(ring) : o->end;
    uint64_t n = end - o->at;
    if (n > WIRE_MAX_PAYLOAD)
        n = WIRE_MAX_PAYLOAD;
    if (n > r->out_credit[STREAM_OUT])
        n = r->out_credit[STREAM_OUT];
    return (size_t)(n > conn_room(r->c) ? conn_room(r->c) : n);
}

/* In the same step as the first bytes, so that a job which writes faster than anyone asks can be read at all. */
static void skip_to_oldest(struct request *r, struct output *o)
{
    const struct ring *ring = &o->job->out[o->stream].ring;
    if (o->at >= ring->first)
        return;
    o->at = ring->first;
    if (o->end < o->at)
        o->end = o->at;
    request_reply_begin(r);
    frame_number(r->c, F_OFFSET, o->at);
    request_reply_finish(r);
}

static void output_pump(struct request *r)
{
    struct output *o = r->state;
    const struct ring *ring = &o->job->out[o->stream].ring;
    if (o->oldest && !request_reply_room(r))
        return;
    if (o->oldest)
        skip_to_oldest(r, o);
    while (o->follow || o->at < o->end) {
        if (o->at < ring->first) {
            passed(r, o);
            return;
        }
        size_t n = want(r, o, ring);
        unsigned char *to = n == 0 ? NULL : frame_data_begin(r->c, r->id, STREAM_OUT, n);
        if (to == NULL)
            break;
        frame_data_finish(r->c, ring_copy(ring, o->at, to, n));
        o->at += n;
        o->oldest = 0;
        r->out_credit[STREAM_OUT] -= n;
    }
    int all = o->follow ? o->at == ring_end(ring) && job_stream_ended(o->job, o->stream) : o->at == o->end;
    if (!all)
        return;
    request_end_begin(r, SBX_OK);
    frame_number(r->c, F_NEXT, o->at);
    request_end_finish(r);
}

static void output_cancel(struct request *r)
{
    const struct output *o = r->state;
    request_end_begin(r, SBX_E_CANCELLED);
    frame_number(r->c, F_NEXT, o->at);
    request_end_finish(r);
}

static void output_release(struct request *r)
{
    struct output *o = r->state;
    if (o != NULL)
        job_leave(o->job);
    free(o);
}

/* --- feed --------------------------------------------------------------------------------------------------------- */

struct feed {
    struct job *job;
    struct stream_in in; /* over a descriptor of its own */
    int open;            /* there was something to write to */
    int close;
    int empty; /* nothing came so far */
};

static void feed_start(struct request *r, const struct fields *f)
{
    struct job *j = job_of_request(r, f);
    struct feed *feed = j == NULL ? NULL : calloc(1, sizeof *feed);
    if (feed == NULL) {
        if (j != NULL)
            request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory");
        return;
    }
    *feed = (struct feed){.job = j, .empty = 1, .close = (f->number[F_FLAGS] & JOB_FEED_END) != 0};
    feed->open = j->l.in >= 0;
    stream_in_init(&feed->in, feed->open ? fcntl(j->l.in, F_DUPFD_CLOEXEC, 3) : -1);
    job_use(j);
    r->state = feed;
    if (feed->open && feed->in.fd < 0)
        request_fail(r, SBX_E_QUOTA, errno, "no descriptor: %s", strerror(errno));
}

static void feed_refuse(struct request *r)
{
    const struct feed *feed = r->state;
    const struct job *j = feed->job;
    const char *why = j->over || command_is_over(j->l.command) ? "has ended"
                      : j->fed_to_end                          ? "had the end of its input"
                                                               : "takes no input";
    request_fail(r, SBX_E_STATE, 0, "job '%s' %s", j->id, why);
}

/* Nothing more can be written, or all is: 1 when the request was ended. */
static int feed_judge(struct request *r)
{
    struct feed *feed = r->state;
    struct job *j = feed->job;
    if (feed->in.fd >= 0)
        return 0;
    int second_end = feed->close && j->fed_to_end && feed->empty;
    if (feed->in.broken || (!feed->open && !second_end && (!feed->empty || r->in_eof))) {
        feed_refuse(r);
        return 1;
    }
    if (!r->in_eof)
        return 0;
    if (feed->close && j->l.in >= 0) {
        (void)close(j->l.in);
        j->l.in = -1;
        j->fed_to_end = 1;
    }
    request_end(r);
    return 1;
}

static void feed_feed(struct request *r, const unsigned char *data, size_t len, int eof)
{
    struct feed *feed = r->state;
    feed->empty &= len == 0;
    stream_in_feed(&feed->in, r, data, len, eof);
    (void)feed_judge(r);
}

static void feed_watch(struct request *r, struct watch *w)
{
    struct feed *feed = r->state;
    stream_in_watch(&feed->in, w);
}

static void feed_pump(struct request *r)
{
    struct feed *feed = r->state;
    stream_in_pump(&feed->in, r);
    if (!feed_judge(r) && feed->in.fd >= 0 && feed->job->over) /* nobody reads any more */
        feed_refuse(r);
}

static void feed_cancel(struct request *r)
{
    request_fail(r, SBX_E_CANCELLED, 0, "cancelled");
}

static void feed_release(struct request *r)
{
    struct feed *feed = r->state;
    if (feed == NULL)
        return;
    stream_in_finish(&feed->in);
    job_leave(feed->job);
    free(feed);
}

const struct request_kind op_job_output = {
    .op = OP_JOB_OUTPUT,
    .takes = FIELD(F_ID) | FIELD(F_STREAM) | FIELD(F_OFFSET) | FIELD(F_FLAGS),
    .requires = FIELD(F_ID) | FIELD(F_STREAM),
    .flags = JOB_FOLLOW | JOB_OLDEST,
    .start = output_start,
    .pump = output_pump,
    .cancel = output_cancel,
    .release = output_release,
};
const struct request_kind op_job_feed = {
    .op = OP_JOB_FEED,
    .takes = FIELD(F_ID) | FIELD(F_FLAGS),
    .requires = FIELD(F_ID),
    .flags = JOB_FEED_END,
    .input = 1,
    .start = feed_start,
    .feed = feed_feed,
    .watch = feed_watch,
    .pump = feed_pump,
    .cancel = feed_cancel,
    .release = feed_release,
};
