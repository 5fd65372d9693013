/* SPDX-License-Identifier: MIT
 *
 * guest_request.c - building a request and serving it to its end. One thread, one loop: what is to be sent is composed
 * only when the last of it is gone, so that memory stays bounded whatever the guest does or fails to read.
 */
#include "plugins/common/guest_request.h"

#include "base/cleanup.h"

#include <errno.h>

enum {
    TX_LIMIT = WIRE_MAX_REQUEST + 4 * WIRE_MAX_PAYLOAD,
    TX_ENOUGH = WIRE_MAX_PAYLOAD, /* nothing more is composed behind so many bytes */
    GRACE_MS = 900,               /* for the END after a CANCEL */
    MAX_SIGNAL = 64
};

/* --- building ----------------------------------------------------------------------------------------------- */
static void append_frame(struct guest_request *r, enum wire_frame type, uint8_t stream, const void *data, uint32_t len)
{
    unsigned char head[WIRE_HEADER];
    wire_put_head(head, (struct wire_head){.len = len, .type = (uint8_t)type, .stream = stream, .id = r->id});
    (void)buf_append(&r->tx, head, sizeof head);
    if (len > 0)
        (void)buf_append(&r->tx, data, len);
}

static void open_frame(struct guest_request *r)
{
    r->head = r->tx.len;
    append_frame(r, FRAME_REQUEST, 0, NULL, 0);
}

static void close_frame(struct guest_request *r, uint8_t flags)
{
    if (r->tx.failed != 0)
        return;
    struct wire_head head = {.type = FRAME_REQUEST, .flags = flags, .id = r->id};
    head.len = (uint32_t)(r->tx.len - r->head - WIRE_HEADER);
    wire_put_head((unsigned char *)r->tx.data + r->head, head);
}

static void put(struct guest_request *r, const void *data, size_t len)
{
    const unsigned char *p = data;
    if (len > WIRE_MAX_REQUEST - r->payload && r->tx.failed == 0)
        r->tx.failed = EFBIG;
    while (len > 0 && r->tx.failed == 0) {
        size_t room = WIRE_MAX_PAYLOAD - (r->tx.len - r->head - WIRE_HEADER);
        if (room == 0) {
            close_frame(r, FLAG_MORE);
            open_frame(r);
            continue;
        }
        size_t n = len < room ? len : room;
        (void)buf_append(&r->tx, p, n);
        r->payload += n;
        p += n;
        len -= n;
    }
}

void guest_request_begin(struct guest_request *r, struct guest_link *link, struct sbx_call *call, const char *what,
                         enum wire_op op)
{
    *r = (struct guest_request){.link = link, .call = call, .what = what, .id = guest_link_next_id(link)};
    guest_slot_init(&r->slot, r->id);
    r->out[0].credit = r->out[1].credit = WIRE_WINDOW;
    buf_init(&r->tx, TX_LIMIT);
    open_frame(r);
    guest_request_number(r, F_OP, op);
}

void guest_request_finish(struct guest_request *r)
{
    buf_finish(&r->tx);
    guest_slot_finish(&r->slot);
}

void guest_request_bytes(struct guest_request *r, enum wire_field tag, const void *data, size_t len)
{
    unsigned char head[8];
    wire_put16(head, tag);
    wire_put16(head + 2, 0);
    wire_put32(head + 4, (uint32_t)len);
    if (len > WIRE_MAX_REQUEST && r->tx.failed == 0)
        r->tx.failed = EFBIG;
    put(r, head, sizeof head);
    put(r, data, len);
}

void guest_request_number(struct guest_request *r, enum wire_field tag, uint64_t value)
{
    unsigned char bytes[8];
    wire_put64(bytes, value);
    guest_request_bytes(r, tag, bytes, sizeof bytes);
}

void guest_request_text(struct guest_request *r, enum wire_field tag, const char *text)
{
    guest_request_bytes(r, tag, text, strlen(text));
}

sbx_status guest_request_path(struct guest_request *r, enum wire_field tag, const char *path)
{
    if (path == NULL || *path == '\0')
        return call_fail(r->call, SBX_E_INVALID, "%s: the path is empty", r->what);
    int at_home = path[0] == '~' && (path[1] == '/' || path[1] == '\0'); /* the guest knows where that is */
    if (*path == '/' || at_home || r->link->workdir == NULL) {
        guest_request_text(r, tag, path);
        return SBX_OK;
    }
    CLEANUP_BUF struct buf full;
    buf_init(&full, WIRE_MAX_REQUEST);
    (void)buf_text(&full, r->link->workdir);
    (void)buf_text(&full, "/");
    (void)buf_text(&full, path);
    if (full.failed == ENOMEM)
        return call_fail(r->call, SBX_E_NO_MEMORY, "%s: no memory for a path", r->what);
    if (full.failed != 0)
        return call_fail(r->call, SBX_E_TOO_LARGE, "%s: a path over %u bytes", r->what, WIRE_MAX_REQUEST);
    guest_request_bytes(r, tag, full.data, full.len);
    return SBX_OK;
}

void guest_request_user(struct guest_request *r, const char *user)
{
    const char *chosen = user != NULL ? user : r->link->default_user;
    if (chosen != NULL)
        guest_request_text(r, F_USER, chosen);
}

sbx_status guest_request_feed(struct guest_request *r, const struct sbx_source *in)
{
    sbx_view(&r->in.source, sizeof r->in.source, in);
    if ((r->in.source.flags & ~(uint32_t)SBX_SOURCE_HAS_FD) != 0)
        return call_fail(r->call, SBX_E_UNSUPPORTED, "%s: unknown flags in the source", r->what);
    if (in != NULL && (r->in.source.read == NULL || (r->in.source.flags != 0 && r->in.source.ready_fd < 0)))
        return call_fail(r->call, SBX_E_INVALID, "%s: a source that cannot be read", r->what);
    r->in.wanted = 1;
    r->in.credit = WIRE_WINDOW;
    r->in.length = UINT64_MAX;
    return SBX_OK;
}

sbx_status guest_request_drain(struct guest_request *r, int stream, const struct sbx_sink *out)
{
    struct guest_flow *flow = &r->out[stream == STREAM_ERR];
    sbx_view(&flow->sink, sizeof flow->sink, out);
    if (flow->sink.flags != 0)
        return call_fail(r->call, SBX_E_UNSUPPORTED, "%s: unknown flags in the sink", r->what);
    if (out != NULL && flow->sink.write == NULL)
        return call_fail(r->call, SBX_E_INVALID, "%s: a sink that cannot be written", r->what);
    flow->wanted = 1;
    flow->limit = UINT64_MAX;
    return SBX_OK;
}

/* --- ending early ------------------------------------------------------------------------------------------- */
void guest_request_cancel(struct guest_request *r, sbx_status why)
{
    if (r->why != SBX_OK)
        return;
    r->why = why;
    r->until_ns = clock_now_ns() + GRACE_MS * MS_NS;
}

sbx_status guest_request_nonsense(struct guest_request *r, const char *detail)
{
    r->broken = 1;
    if (r->why == SBX_OK) {
        r->why = call_fail(r->call, SBX_E_PROTOCOL, "%s: the guest sent %s", r->what, detail);
        call_maybe_applied(r->call, NULL);
    }
    return SBX_E_PROTOCOL;
}

/* Waiting is over: the grace, or the patience with a guest that does not keep the command's limit. */
static void give_up(struct guest_request *r)
{
    r->over = 1;
    if (r->why != SBX_OK)
        return;
    r->why = call_fail(r->call, SBX_E_UNKNOWN, "%s: the guest did not end the command at its time limit", r->what);
    call_maybe_applied(r->call, NULL);
}

int64_t guest_request_enter(const struct guest_request *r)
{
    return r->patience_ns != 0 ? clock_now_ns() : 0;
}

void guest_request_leave(struct guest_request *r, int64_t entered_ns)
{
    if (r->patience_ns != 0 && r->until_ns != 0 && r->why == SBX_OK)
        r->until_ns += clock_now_ns() - entered_ns;
}

/* --- sending ------------------------------------------------------------------------------------------------ */
static int can_compose(const struct guest_request *r)
{
    return !r->dead && !r->slot.wants_line && r->tx_off == 0 && r->tx.len < TX_ENOUGH;
}

static int can_feed(const struct guest_request *r)
{
    return r->in.wanted && !r->in.eof && r->in.credit > 0 && r->why == SBX_OK && can_compose(r);
}

static int feed_has_fd(const struct guest_request *r)
{
    return (r->in.source.flags & SBX_SOURCE_HAS_FD) != 0;
}

/* Reads the source once and makes it a frame. */
static void pull_feed(struct guest_request *r)
{
    size_t cap = r->in.credit < WIRE_MAX_PAYLOAD ? r->in.credit : WIRE_MAX_PAYLOAD;
    char *space = buf_space(&r->tx, WIRE_HEADER + cap);
    if (space == NULL) {
        guest_request_cancel(r, call_fail(r->call, SBX_E_NO_MEMORY, "%s: no memory for input", r->what));
        return;
    }
    int64_t n = 0, entered_ns = guest_request_enter(r);
    if (r->in.source.read != NULL)
        n = r->in.source.read(r->in.source.user, space + WIRE_HEADER, cap);
    guest_request_leave(r, entered_ns);
    if (n == SBX_AGAIN && feed_has_fd(r))
        return;
    if (n < 0 || (uint64_t)n > cap) {
        guest_request_cancel(r, call_fail(r->call, SBX_E_STOPPED, "%s: stopped by the input's source", r->what));
        return;
    }
    if ((uint64_t)n > r->in.length - r->in.sent ||
        (n == 0 && r->in.length != UINT64_MAX && r->in.sent != r->in.length)) {
        guest_request_cancel(r, call_fail(r->call, SBX_E_INVALID,
                                          "%s: the source does not give the %llu bytes it announced", r->what,
                                          (unsigned long long)r->in.length));
        return;
    }
    struct wire_head head = {.len = (uint32_t)n, .type = FRAME_DATA, .stream = STREAM_IN, .id = r->id};
    if (n == 0)
        head.flags = FLAG_EOF;
    wire_put_head((unsigned char *)space, head);
    r->tx.len += WIRE_HEADER + (size_t)n;
    r->in.eof = n == 0;
    r->in.credit -= (uint32_t)n;
    r->in.sent += (uint64_t)n;
}

static void give_credit(struct guest_request *r, int i)
{
    struct guest_flow *flow = &r->out[i];
    if (flow->owed < WIRE_WINDOW / 2 || flow->eof)
        return;
    unsigned char bytes[4];
    wire_put32(bytes, flow->owed);
    append_frame(r, FRAME_CREDIT, i == 0 ? STREAM_OUT : STREAM_ERR, bytes, sizeof bytes);
    flow->credit += flow->owed;
    flow->owed = 0;
}

/* Puts what is due behind each other, so that one send carries it. */
static void compose(struct guest_request *r)
{
    if (!can_compose(r))
        return;
    while (r->in.eager && !feed_has_fd(r) && can_feed(r))
        pull_feed(r);
    if (r->why != SBX_OK && !r->cancel_sent) {
        r->cancel_sent = 1;
        append_frame(r, FRAME_CANCEL, 0, NULL, 0);
    }
    give_credit(r, 0);
    give_credit(r, 1);
    if (r->tx.failed != 0) {
        guest_request_cancel(r, call_fail(r->call, SBX_E_NO_MEMORY, "%s: no memory to send", r->what));
        r->over = 1;
    }
    /* What the guest has not heard of needs no END. */
    r->over |= r->why != SBX_OK && !r->sent;
}

static void flush(struct guest_request *r, struct guest_conn *conn)
{
    if (r->dead)
        return;
    ssize_t n = guest_conn_send(conn, &r->slot, r->tx.data + r->tx_off, r->tx.len - r->tx_off);
    if (n < 0) {
        r->stale = r->slot.reused && !r->sent;
        r->dead = 1;
        return;
    }
    r->sent |= n > 0;
    r->tx_off += (size_t)n;
    if (r->tx_off == r->tx.len)
        r->tx.len = r->tx_off = 0;
}

/* Sends what is due. What had to wait for the line is composed once it is free: nothing else would wake us for it. */
static void transmit(struct guest_request *r, struct guest_conn *conn)
{
    int held = !can_compose(r);
    compose(r);
    flush(r, conn);
    if (held && can_compose(r)) {
        compose(r);
        flush(r, conn);
    }
}

/* --- the terminal's events ---------------------------------------------------------------------------------- */
static void send_event(struct guest_request *r, const struct sbx_tty_event *event)
{
    unsigned char bytes[4];
    if (event->what == SBX_TTY_RESIZE && event->rows <= 0xffff && event->cols <= 0xffff) {
        wire_put16(bytes, event->rows);
        wire_put16(bytes + 2, event->cols);
        append_frame(r, FRAME_RESIZE, 0, bytes, sizeof bytes);
    } else if (event->what == SBX_TTY_SIGNAL && event->signo > 0 && event->signo <= MAX_SIGNAL) {
        wire_put32(bytes, (uint32_t)event->signo);
        append_frame(r, FRAME_SIGNAL, 0, bytes, sizeof bytes);
    } else {
        guest_request_cancel(r, call_fail(r->call, SBX_E_INVALID, "%s: a terminal event that cannot be", r->what));
    }
}

static void pull_events(struct guest_request *r, short revents)
{
    struct sbx_tty_event event = {.size = sizeof event};
    int count = 0;
    while (r->why == SBX_OK && can_compose(r) && r->tty.next(r->tty.user, &event) != 0) {
        send_event(r, &event);
        event = (struct sbx_tty_event){.size = sizeof event};
        count++;
    }
    /* A descriptor that only hangs up has no more to tell; it would wake us for ever. */
    if (count == 0 && (revents & POLLIN) == 0)
        r->tty.next = NULL;
}

/* --- the loop ----------------------------------------------------------------------------------------------- */
struct waiting {
    struct pollfd fds[3];
    size_t count;
    size_t feed; /* places in fds; 0: not waited for */
    size_t tty;
    int at_once;  /* the connection has something already */
    int blocking; /* the source has no descriptor: it is read when the guest has nothing to say */
};

static void prepare(struct guest_request *r, struct guest_conn *conn, struct waiting *w)
{
    *w = (struct waiting){.count = 1};
    w->at_once = guest_conn_watch(conn, &r->slot, &w->fds[0]);
    if (w->at_once < 0) {
        guest_request_cancel(r, call_fail_errno(r->call, errno, "%s: nothing to wait with", r->what));
        r->over = 1;
    }
    if (can_feed(r)) {
        w->blocking = !feed_has_fd(r);
        if (!w->blocking) {
            w->feed = w->count++;
            w->fds[w->feed] = (struct pollfd){.fd = r->in.source.ready_fd, .events = POLLIN};
        }
    }
    if (r->tty.next != NULL && r->why == SBX_OK && can_compose(r)) {
        w->tty = w->count++;
        w->fds[w->tty] = (struct pollfd){.fd = r->tty.ready_fd, .events = POLLIN};
    }
}

static sbx_status say_why(struct guest_request *r, sbx_status status)
{
    if (status == SBX_E_CANCELLED)
        (void)call_fail(r->call, status, "%s: cancelled", r->what);
    if (status == SBX_E_TIMEOUT)
        (void)call_fail(r->call, status, "%s: the call's deadline is over", r->what);
    if (r->sent && (r->in.wanted || r->can_start))
        call_maybe_applied(r->call, NULL);
    return status;
}

/* The guest first; then what the caller has for it, which may take long. */
static void attend(struct guest_request *r, struct guest_conn *conn, const struct waiting *w, int ready)
{
    int tty = w->tty != 0 && w->fds[w->tty].revents != 0;
    int feed = w->blocking ? ready == 0 && !w->at_once : w->feed != 0 && w->fds[w->feed].revents != 0;
    if (tty || feed)
        guest_conn_yield(conn, &r->slot);
    if (tty)
        pull_events(r, w->fds[w->tty].revents);
    if (feed)
        pull_feed(r);
}

/* Waits for one thing to happen and takes what came. */
static void step(struct guest_request *r, struct guest_conn *conn)
{
    struct waiting w;
    int ready = 0;
    prepare(r, conn, &w);
    sbx_status status = call_poll(r->why == SBX_OK ? r->call : NULL, w.fds, w.count,
                                  w.blocking || w.at_once != 0 ? 1 : r->until_ns, &ready);
    if (guest_conn_attend(conn, &r->slot, status == SBX_OK ? w.fds[0].revents : 0) == GUEST_INPUT_END)
        r->lost = 1;
    if (status != SBX_OK) {
        guest_request_cancel(r, say_why(r, status));
        return;
    }
    int late = r->until_ns != 0 && clock_now_ns() >= r->until_ns;
    if (ready == 0 && !w.at_once && (!w.blocking || late))
        give_up(r);
    else
        attend(r, conn, &w, ready);
}

/* What is wrong with what came. */
static void refuse(struct guest_request *r, const char *lie)
{
    if (lie != NULL) {
        (void)guest_request_nonsense(r, lie);
        return;
    }
    r->over = 1;
    guest_request_cancel(r, say_why(r, call_fail(r->call, SBX_E_NO_MEMORY, "%s: no memory for what came", r->what)));
}

/* Frames that came together with the end of the connection still count. */
static void take_frames(struct guest_request *r, struct guest_conn *conn)
{
    struct wire_head head;
    const unsigned char *payload = NULL;
    const char *lie = NULL;
    while (!r->ended && !r->broken && !r->over) {
        int got = guest_conn_next(conn, &r->slot, &head, &payload, &lie);
        if (got == 0)
            return;
        if (got > 0)
            guest_frame_take(r, &head, payload);
        else
            refuse(r, lie);
    }
}

static void converse(struct guest_request *r, struct guest_conn *conn)
{
    if (r->patience_ns != 0 && !r->patience_from_start)
        r->until_ns = clock_now_ns() + r->patience_ns;
    while (!r->ended && !r->broken && !r->lost && !r->over) {
        transmit(r, conn);
        if (r->stale || r->over)
            return;
        step(r, conn);
        take_frames(r, conn);
    }
    r->stale = r->lost && !r->sent && r->slot.reused && r->why == SBX_OK;
}

static enum guest_leave leave_as(const struct guest_request *r)
{
    if (r->broken || r->dead || r->lost)
        return GUEST_LEAVE_BROKEN;
    return r->ended || !r->sent ? GUEST_LEAVE_ENDED : GUEST_LEAVE_EARLY;
}

/* What END said, as an error of the call's. */
static sbx_status judge(struct guest_request *r)
{
    const struct guest_end *end = &r->end;
    if (end->status == SBX_OK)
        return SBX_OK;
    size_t what = strlen(r->what);
    if (strncmp(end->message, r->what, what) == 0 && end->message[what] == ':')
        (void)call_fail(r->call, end->status, "%s", end->message);
    else if (end->message[0] != '\0')
        (void)call_fail(r->call, end->status, "%s: %s", r->what, end->message);
    else
        (void)call_fail(r->call, end->status, "%s: the guest answered with code %d", r->what, (int)end->status);
    call_os_errno(r->call, end->os_errno);
    return end->status;
}

sbx_status guest_request_run(struct guest_request *r)
{
    close_frame(r, 0);
    if (r->tx.failed == EFBIG)
        return call_fail(r->call, SBX_E_TOO_LARGE, "%s: the request is over the limit of %u bytes", r->what,
                         WIRE_MAX_REQUEST);
    if (r->tx.failed != 0)
        return call_fail(r->call, SBX_E_NO_MEMORY, "%s: no memory for the request", r->what);
    /* A call that is over before it began leaves no trace in the sandbox. */
    sbx_status over = call_check(r->call);
    if (over != SBX_OK)
        return say_why(r, over);
    for (;;) {
        struct guest_conn *conn = NULL;
        sbx_status status = guest_link_borrow(r->link, r->call, &r->slot, &conn);
        if (status != SBX_OK)
            return status;
        converse(r, conn);
        guest_link_give_back(r->link, conn, &r->slot, leave_as(r));
        if (!r->stale)
            break;
        r->stale = r->dead = r->lost = 0;
    }
    if (r->why != SBX_OK)
        return r->why;
    return r->ended ? judge(r) : guest_link_lost(r->link, r->call, r->what);
}
