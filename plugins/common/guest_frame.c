/* SPDX-License-Identifier: MIT
 *
 * guest_frame.c - what a frame from the guest means for the request in flight. Nothing is believed: order, sizes,
 * credit and every number are checked, and whatever breaks the protocol gives up the connection.
 */
#include "base/text.h"
#include "plugins/common/guest_request.h"

enum { MAX_SIGNAL = 64 };
static const uint32_t result_bits = SBX_EXITED | SBX_SIGNALLED | SBX_TIMED_OUT | SBX_OUT_OF_MEMORY |
                                    SBX_OUTPUT_INCOMPLETE | SBX_NOT_STARTED | SBX_MERGED;

static void deliver(struct guest_request *r, struct guest_flow *flow, const unsigned char *data, size_t len)
{
    size_t give = len;
    if (flow->max != 0 && flow->max - flow->delivered < give)
        give = (size_t)(flow->max - flow->delivered);
    flow->delivered += give;
    if (give == 0 || flow->sink.write == NULL || r->why != SBX_OK)
        return;
    int64_t entered_ns = guest_request_enter(r);
    int32_t stop = flow->sink.write(flow->sink.user, data, give);
    guest_request_leave(r, entered_ns);
    if (stop != 0)
        guest_request_cancel(r, call_fail(r->call, SBX_E_STOPPED, "%s: stopped by the receiver", r->what));
}

static void take_data(struct guest_request *r, const struct wire_head *head, const unsigned char *payload)
{
    struct guest_flow *flow = head->stream == STREAM_OUT ? &r->out[0] : &r->out[1];
    if (head->stream == STREAM_IN || !flow->wanted || (head->flags & FLAG_MORE) != 0) {
        (void)guest_request_nonsense(r, "data for a stream that it does not have");
        return;
    }
    if (flow->eof || head->len > flow->credit) {
        (void)guest_request_nonsense(r, flow->eof ? "data after the end of a stream" : "more data than it has credit");
        return;
    }
    if (head->len > flow->limit - flow->total) {
        (void)guest_request_nonsense(r, "more data than it announced");
        return;
    }
    r->answered = 1;
    flow->credit -= head->len;
    flow->owed += head->len;
    flow->total += head->len;
    flow->eof = (head->flags & FLAG_EOF) != 0;
    deliver(r, flow, payload, head->len);
    if (flow->eof && flow->tells_end && flow->sink.write != NULL && r->why == SBX_OK &&
        flow->sink.write(flow->sink.user, "", 0) != 0)
        guest_request_cancel(r, call_fail(r->call, SBX_E_STOPPED, "%s: stopped by the receiver", r->what));
}

static void take_credit(struct guest_request *r, const struct wire_head *head, const unsigned char *payload)
{
    uint32_t more = head->len == 4 ? wire_get32(payload) : 0;
    if (more == 0 || head->flags != 0 || head->stream != STREAM_IN || more > INT32_MAX - r->in.credit)
        (void)guest_request_nonsense(r, "credit that cannot be");
    else
        r->in.credit += more;
}

static void take_started(struct guest_request *r, const struct wire_head *head)
{
    /* Output may overtake it: the command's pipe and its keeper's report are two channels. */
    if (!r->can_start || r->started || head->flags != 0)
        (void)guest_request_nonsense(r, "a start that cannot be");
    r->started = 1;
    if (r->patience_from_start && r->why == SBX_OK)
        r->until_ns = clock_now_ns() + r->patience_ns;
}

static void take_reply(struct guest_request *r, const struct wire_head *head, const unsigned char *payload)
{
    struct guest_flow *flow = &r->out[0];
    r->answered = 1;
    if (r->reply == NULL || head->flags != 0) {
        (void)guest_request_nonsense(r, "a reply that nobody asked for");
        return;
    }
    if (head->len > flow->credit) {
        (void)guest_request_nonsense(r, "more replies than it has credit");
        return;
    }
    flow->credit -= head->len;
    flow->owed += head->len;
    if (r->why != SBX_OK)
        return;
    int64_t entered_ns = guest_request_enter(r);
    sbx_status status = r->reply(r, payload, head->len);
    guest_request_leave(r, entered_ns);
    if (status != SBX_OK)
        guest_request_cancel(r, status);
}

/* What a sandbox may say of itself. The rest (no such sandbox, credentials, deadlines) is not for it to say. */
static sbx_status guest_status(int64_t code)
{
    static const sbx_status known[] = {
        SBX_OK,       SBX_E_UNSUPPORTED, SBX_E_INVALID,  SBX_E_PERMISSION, SBX_E_NOT_FOUND, SBX_E_EXISTS,
        SBX_E_IS_DIR, SBX_E_NOT_DIR,     SBX_E_BAD_PATH, SBX_E_TOO_LARGE,  SBX_E_QUOTA,     SBX_E_BUSY,
        SBX_E_STATE,  SBX_E_NO_MEMORY,   SBX_E_UNKNOWN,  SBX_E_PROTOCOL,
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == code)
            return known[i];
    return SBX_E_FAILED;
}

/* Takes one number of an END; 0 when it is out of range. */
static int end_number(struct guest_end *end, uint32_t tag, uint64_t value)
{
    switch (tag) {
    case F_STATUS:
        end->status = guest_status((int64_t)value);
        end->unavailable = (int64_t)value == SBX_E_UNAVAILABLE;
        return (int64_t)value <= 0;
    case F_ERRNO:
        end->os_errno = value <= 4095 ? (int32_t)value : 0;
        return 1;
    case F_OFFSET:
        end->first_kept = value;
        return value <= INT64_MAX;
    case F_RESULT:
        end->result = (uint32_t)(value & result_bits);
        return 1;
    case F_EXIT_CODE:
        end->exit_code = value <= 255 ? (int32_t)value : 255;
        return 1;
    case F_TERM_SIGNAL:
        end->term_signal = value <= MAX_SIGNAL ? (int32_t)value : 0;
        return value <= MAX_SIGNAL;
    case F_OUT_BYTES:
        end->has_bytes = 1;
        end->out_bytes = value;
        return value <= INT64_MAX;
    case F_ERR_BYTES:
        end->err_bytes = value;
        return value <= INT64_MAX;
    case F_OOM:
        end->result |= value != 0 ? (uint32_t)SBX_OUT_OF_MEMORY : 0;
        return 1;
    default:
        return 1;
    }
}

static int is_end_number(uint32_t tag)
{
    return tag == F_STATUS || tag == F_ERRNO || tag == F_OFFSET || (tag >= F_RESULT && tag <= F_OOM);
}

static void take_end(struct guest_request *r, const struct wire_head *head, const unsigned char *payload)
{
    struct wire_field_view field;
    size_t left = head->len;
    int more = 0, ok = head->flags == 0, has_status = 0;
    while (ok && (more = wire_next_field(&payload, &left, &field)) == 1) {
        if (field.tag == F_MESSAGE)
            (void)text_line(r->end.message, sizeof r->end.message, field.data, field.len);
        if (!is_end_number(field.tag))
            continue;
        uint64_t value = wire_number(&field, &ok);
        ok = ok && end_number(&r->end, field.tag, value);
        has_status |= field.tag == F_STATUS;
    }
    if (!ok || more != 0 || !has_status)
        (void)guest_request_nonsense(r, "an end that cannot be read");
    else
        r->ended = 1;
}

void guest_frame_take(struct guest_request *r, const struct wire_head *head, const unsigned char *payload)
{
    if (!r->sent) {
        (void)guest_request_nonsense(r, "an answer before the question");
        return;
    }
    if (head->id != r->id) {
        /* Credit for what we sent before an END may be late; anything else would be lost output of somebody. */
        if (head->type != FRAME_CREDIT)
            (void)guest_request_nonsense(r, "a frame of no request");
        return;
    }
    switch (head->type) {
    case FRAME_DATA:
        take_data(r, head, payload);
        break;
    case FRAME_CREDIT:
        take_credit(r, head, payload);
        break;
    case FRAME_STARTED:
        take_started(r, head);
        break;
    case FRAME_REPLY:
        take_reply(r, head, payload);
        break;
    case FRAME_END:
        take_end(r, head, payload);
        break;
    default:
        (void)guest_request_nonsense(r, "a frame that only a client sends");
    }
}
