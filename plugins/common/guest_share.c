/* SPDX-License-Identifier: MIT
 *
 * guest_share.c - requests that share a connection: who reads, who is told, what is kept for whom.
 */
#include "plugins/common/guest_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    CONTROL_LIMIT = 2 * WIRE_WINDOW, /* replies use the credit of OUT; this is that with their heads */
    LEFT_BUDGET = 2 * WIRE_WINDOW + WIRE_MAX_PAYLOAD,
    IDLE_READS = 16 /* of what came while nobody used a connection */
};

/* --- slots ---------------------------------------------------------------------------------------------------- */
static void inbox_init(struct guest_inbox *inbox)
{
    *inbox = (struct guest_inbox){.credit = 0};
    buf_init(&inbox->control, CONTROL_LIMIT);
    buf_init(&inbox->data[0], WIRE_WINDOW);
    buf_init(&inbox->data[1], WIRE_WINDOW);
    buf_init(&inbox->end, WIRE_HEADER + WIRE_MAX_PAYLOAD);
}

static void inbox_finish(struct guest_inbox *inbox)
{
    buf_finish(&inbox->control);
    buf_finish(&inbox->data[0]);
    buf_finish(&inbox->data[1]);
    buf_finish(&inbox->end);
}

static int inbox_is_empty(const struct guest_inbox *inbox)
{
    return inbox->control.len + inbox->data[0].len + inbox->data[1].len + inbox->end.len == 0 && inbox->credit == 0 &&
           !inbox->eof[0] && !inbox->eof[1];
}

void guest_slot_init(struct guest_slot *slot, uint32_t id)
{
    *slot = (struct guest_slot){.id = id, .wake_fd = -1};
    inbox_init(&slot->in);
    inbox_init(&slot->got);
}

void guest_slot_finish(struct guest_slot *slot)
{
    inbox_finish(&slot->in);
    inbox_finish(&slot->got);
    if (slot->wake_fd >= 0)
        (void)close(slot->wake_fd);
    slot->wake_fd = -1;
}

int guest_wake_open(int *fd)
{
    if (*fd < 0)
        *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd < 0 ? -1 : 0;
}

void guest_wake(int fd)
{
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);
}

static void wake(struct guest_slot *slot)
{
    if (!slot->waiting || slot->woken)
        return;
    slot->woken = 1;
    guest_wake(slot->wake_fd);
}

static void wake_all(struct guest_conn *conn)
{
    for (struct guest_slot *slot = conn->slots; slot != NULL; slot = slot->next)
        wake(slot);
}

static struct guest_slot *find_slot(const struct guest_conn *conn, uint32_t id)
{
    struct guest_slot *slot = conn->slots;
    while (slot != NULL && slot->id != id)
        slot = slot->next;
    return slot;
}

static struct guest_left *find_left(struct guest_conn *conn, uint32_t id)
{
    for (uint32_t i = 0; i < conn->left_count; i++)
        if (conn->left[i].id == id)
            return &conn->left[i];
    return NULL;
}

/* --- what comes ----------------------------------------------------------------------------------------------- */
/* Frames of nobody who waits. NULL, or what is wrong. */
static const char *drop(struct guest_conn *conn, const struct wire_head *head)
{
    struct guest_left *left = find_left(conn, head->id);
    if (left == NULL) /* credit for what was sent before an END may be late */
        return head->type == FRAME_CREDIT ? NULL : "a frame of no request";
    if (head->type == FRAME_END) {
        *left = conn->left[--conn->left_count];
        return NULL;
    }
    if (head->type != FRAME_DATA && head->type != FRAME_REPLY && head->type != FRAME_STARTED &&
        head->type != FRAME_CREDIT)
        return "a frame that only a client sends";
    if (head->len > left->budget)
        return "more data than it has credit";
    left->budget -= head->len;
    return NULL;
}

static void keep_frame(struct buf *to, const struct wire_head *head, const unsigned char *payload)
{
    unsigned char bytes[WIRE_HEADER];
    wire_put_head(bytes, *head);
    (void)buf_append(to, bytes, sizeof bytes);
    (void)buf_append(to, payload, head->len);
}

static const char *keep_data(struct guest_slot *slot, const struct wire_head *head, const unsigned char *payload)
{
    int i = head->stream == STREAM_ERR;
    if (slot->eof[i])
        return "data after the end of a stream";
    (void)buf_append(&slot->in.data[i], payload, head->len);
    slot->eof[i] = slot->in.eof[i] = (head->flags & FLAG_EOF) != 0;
    return slot->in.data[i].failed == EFBIG ? "more data than it has credit" : NULL;
}

/* 1: credit as it should be. What is wrong with any other is for its owner to say. */
static int keep_credit(struct guest_slot *slot, const struct wire_head *head, const unsigned char *payload)
{
    uint32_t more = head->type == FRAME_CREDIT && head->len == 4 ? wire_get32(payload) : 0;
    if (more == 0 || head->flags != 0 || head->stream != STREAM_IN || more > INT32_MAX - slot->in.credit)
        return 0;
    slot->in.credit += more;
    return 1;
}

static int is_short_of_memory(const struct guest_inbox *in)
{
    return (in->control.failed | in->data[0].failed | in->data[1].failed | in->end.failed) != 0;
}

/* Gives a frame to the request that it is for. NULL, or what is wrong with it. */
static const char *keep(struct guest_conn *conn, const struct wire_head *head, const unsigned char *payload)
{
    struct guest_slot *slot = find_slot(conn, head->id);
    const char *lie = NULL;
    if (slot == NULL)
        return drop(conn, head);
    if (slot->ended)
        return "a frame behind the end of its request";
    slot->ended = head->type == FRAME_END;
    if (slot->starved) /* its owner gives it up */
        return NULL;
    if (head->type == FRAME_DATA && head->stream != STREAM_IN && (head->flags & FLAG_MORE) == 0) {
        lie = keep_data(slot, head, payload);
    } else if (head->type == FRAME_END) {
        keep_frame(&slot->in.end, head, payload);
    } else if (!keep_credit(slot, head, payload)) {
        keep_frame(&slot->in.control, head, payload);
        lie = slot->in.control.failed == EFBIG ? "more replies than it has credit" : NULL;
    }
    slot->starved = lie == NULL && is_short_of_memory(&slot->in);
    wake(slot);
    return lie;
}

/* Hands out every frame that has come. */
static void hand_out(struct guest_conn *conn)
{
    struct wire_head head;
    const unsigned char *payload = NULL;
    while (!conn->ended) {
        int got = guest_conn_frame(conn, &head, &payload);
        if (got == 0)
            return;
        conn->lie = got > 0 ? keep(conn, &head, payload) : "no frame but nonsense";
        conn->ended |= conn->lie != NULL;
    }
}

static enum guest_input receive(struct guest_conn *conn)
{
    enum guest_input input = guest_conn_fill(conn);
    if (conn->share > 1)
        hand_out(conn);
    if (input == GUEST_INPUT_END)
        conn->ended = 1;
    if (conn->ended)
        wake_all(conn);
    return input;
}

/* --- what goes ------------------------------------------------------------------------------------------------ */
/* Sends what goes first; the line is free when it is empty afterwards. */
static void push_line(struct guest_conn *conn)
{
    conn->choked = 0;
    if (conn->line.len == 0 || conn->deaf)
        return;
    ssize_t n = guest_conn_write(conn, conn->line.data, conn->line.len);
    if (n >= 0)
        buf_consume(&conn->line, (size_t)n);
    conn->deaf = n < 0;
    conn->choked = n >= 0 && conn->line.len > 0;
}

/* Where the frame ends that byte `n` is in; `n` where one begins there. */
static size_t frame_end(const unsigned char *frames, size_t n)
{
    size_t at = 0;
    while (at < n)
        at += WIRE_HEADER + (size_t)wire_get32(frames + at);
    return at;
}

static ssize_t send_frames(struct guest_conn *conn, const unsigned char *frames, size_t len)
{
    if (conn->deaf)
        return -1;
    if (conn->choked || len == 0)
        return 0;
    ssize_t n = guest_conn_write(conn, frames, len);
    if (n < 0) {
        conn->deaf = 1;
        return -1;
    }
    if ((size_t)n == len)
        return n;
    /* Nobody else's bytes may come between those of one frame. */
    size_t whole = frame_end(frames, (size_t)n);
    conn->choked = 1;
    if (buf_append(&conn->line, frames + n, whole - (size_t)n) != 0) {
        conn->deaf = 1;
        return -1;
    }
    return (ssize_t)whole;
}

ssize_t guest_conn_send(struct guest_conn *conn, struct guest_slot *slot, const void *frames, size_t len)
{
    (void)pthread_mutex_lock(&conn->lock);
    ssize_t n = send_frames(conn, frames, len);
    slot->wants_line = n >= 0 && conn->choked;
    (void)pthread_mutex_unlock(&conn->lock);
    return n;
}

/* --- who reads ------------------------------------------------------------------------------------------------ */
static void pass_on(struct guest_conn *conn, const struct guest_slot *from)
{
    if (conn->reader != from)
        return;
    struct guest_slot *slot = conn->slots;
    while (slot != NULL && (!slot->waiting || slot == from))
        slot = slot->next;
    conn->reader = slot;
    if (slot != NULL)
        wake(slot);
}

int guest_conn_watch(struct guest_conn *conn, struct guest_slot *slot, struct pollfd *fd)
{
    int now = 0;
    (void)pthread_mutex_lock(&conn->lock);
    if (conn->reader == NULL)
        conn->reader = slot;
    if (conn->reader == slot) {
        *fd = (struct pollfd){.fd = conn->io.fd, .events = POLLIN};
        if (conn->choked)
            fd->events |= POLLOUT;
        now = !conn->drained;
    } else if (guest_wake_open(&slot->wake_fd) == 0) {
        *fd = (struct pollfd){.fd = slot->wake_fd, .events = POLLIN};
        slot->waiting = 1;
    } else {
        now = -1;
    }
    if (now == 0)
        now = !inbox_is_empty(&slot->in) || slot->starved || conn->ended || (slot->wants_line && !conn->choked);
    (void)pthread_mutex_unlock(&conn->lock);
    return now;
}

enum guest_input guest_conn_attend(struct guest_conn *conn, struct guest_slot *slot, short revents)
{
    uint64_t count;
    enum guest_input input = GUEST_INPUT_SOME;
    (void)pthread_mutex_lock(&conn->lock);
    slot->waiting = 0;
    if (slot->woken)
        (void)!read(slot->wake_fd, &count, sizeof count);
    int was_woken = slot->woken;
    slot->woken = 0;
    /* Who was made the reader while it slept has polled something else. */
    if (conn->reader == slot && !was_woken && !conn->ended) {
        if ((revents & POLLOUT) != 0)
            push_line(conn);
        if ((revents & POLLOUT) != 0 && !conn->choked)
            for (struct guest_slot *other = conn->slots; other != NULL; other = other->next)
                if (other->wants_line)
                    wake(other);
        if ((revents & ~POLLOUT) != 0 || !conn->drained)
            (void)receive(conn);
    }
    if (conn->ended)
        input = GUEST_INPUT_END;
    if (!inbox_is_empty(&slot->in))
        pass_on(conn, slot);
    (void)pthread_mutex_unlock(&conn->lock);
    return input;
}

void guest_conn_yield(struct guest_conn *conn, const struct guest_slot *slot)
{
    (void)pthread_mutex_lock(&conn->lock);
    pass_on(conn, slot);
    (void)pthread_mutex_unlock(&conn->lock);
}

/* --- taking --------------------------------------------------------------------------------------------------- */
static int take_data(struct guest_slot *slot, int i, struct wire_head *head, const unsigned char **payload)
{
    struct buf *data = &slot->got.data[i];
    if (data->len == 0 && !slot->got.eof[i])
        return 0;
    *head = (struct wire_head){.len = (uint32_t)data->len, .type = FRAME_DATA, .id = slot->id};
    head->stream = i == 0 ? STREAM_OUT : STREAM_ERR;
    head->flags = slot->got.eof[i] ? FLAG_EOF : 0;
    *payload = (const unsigned char *)data->data;
    data->len = 0; /* the bytes stay where they are until the next swap */
    slot->got.eof[i] = 0;
    return 1;
}

/* A frame that was kept as it came, at `at`; how long it is. */
static size_t read_kept(const struct buf *kept, size_t at, struct wire_head *head, const unsigned char **payload)
{
    const unsigned char *frame = (const unsigned char *)kept->data + at;
    (void)wire_get_head(frame, head); /* it was good when it came */
    *payload = frame + WIRE_HEADER;
    return WIRE_HEADER + (size_t)head->len;
}

/* The next frame of what was taken: END is the last. */
static int take(struct guest_slot *slot, struct wire_head *head, const unsigned char **payload)
{
    struct guest_inbox *got = &slot->got;
    if (slot->taken < got->control.len) {
        slot->taken += read_kept(&got->control, slot->taken, head, payload);
        return 1;
    }
    if (take_data(slot, 0, head, payload) || take_data(slot, 1, head, payload))
        return 1;
    if (got->credit != 0) {
        *head = (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = STREAM_IN, .id = slot->id};
        wire_put32(slot->credit, got->credit);
        *payload = slot->credit;
        got->credit = 0;
        return 1;
    }
    if (got->end.len == 0)
        return 0;
    (void)read_kept(&got->end, 0, head, payload);
    got->end.len = 0;
    return 1;
}

/* What came since is to be taken next. */
static void swap(struct guest_slot *slot)
{
    struct guest_inbox empty = slot->got;
    slot->taken = empty.control.len = 0;
    slot->got = slot->in;
    slot->in = empty;
}

int guest_conn_next(struct guest_conn *conn, struct guest_slot *slot, struct wire_head *head,
                    const unsigned char **payload, const char **lie)
{
    if (conn->share == 1) {
        int got = guest_conn_frame(conn, head, payload);
        *lie = got < 0 ? "no frame but nonsense" : NULL;
        return got;
    }
    if (take(slot, head, payload))
        return 1;
    (void)pthread_mutex_lock(&conn->lock);
    int empty = inbox_is_empty(&slot->in), starved = slot->starved;
    *lie = empty ? conn->lie : NULL;
    if (!empty && !starved)
        swap(slot);
    (void)pthread_mutex_unlock(&conn->lock);
    return starved || *lie != NULL ? -1 : take(slot, head, payload);
}

/* --- coming and going ----------------------------------------------------------------------------------------- */
/* A connection that nobody used may have ended meanwhile. */
static void look_after(struct guest_conn *conn)
{
    if (conn->slot_count > 0 || !conn->served || (conn->share == 1 && !conn->hides))
        return;
    enum guest_input input = GUEST_INPUT_SOME;
    for (int i = 0; i < IDLE_READS && input == GUEST_INPUT_SOME && !conn->ended; i++)
        input = receive(conn);
    conn->ended |= conn->share == 1 && conn->start != conn->end;
}

int guest_conn_join(struct guest_conn *conn, struct guest_slot *slot)
{
    (void)pthread_mutex_lock(&conn->lock);
    look_after(conn);
    int joined = !conn->ended && !conn->deaf && conn->slot_count + conn->left_count < conn->share &&
                 find_slot(conn, slot->id) == NULL && find_left(conn, slot->id) == NULL;
    if (joined) {
        slot->reused = conn->served;
        slot->next = conn->slots;
        conn->slots = slot;
        conn->slot_count++;
        conn->served = 1;
    }
    (void)pthread_mutex_unlock(&conn->lock);
    return joined ? 0 : -1;
}

/* Its frames are dropped from now on, and what it runs is killed. */
static void abandon(struct guest_conn *conn, const struct guest_slot *slot)
{
    unsigned char cancel[WIRE_HEADER];
    conn->left[conn->left_count++] = (struct guest_left){.id = slot->id, .budget = LEFT_BUDGET};
    wire_put_head(cancel, (struct wire_head){.type = FRAME_CANCEL, .id = slot->id});
    ssize_t n = send_frames(conn, cancel, sizeof cancel);
    if (n == 0 && buf_append(&conn->line, cancel, sizeof cancel) != 0)
        conn->deaf = 1;
}

void guest_conn_leave(struct guest_conn *conn, struct guest_slot *slot, enum guest_leave how)
{
    (void)pthread_mutex_lock(&conn->lock);
    struct guest_slot **at = &conn->slots;
    while (*at != NULL && *at != slot)
        at = &(*at)->next;
    if (*at != NULL) {
        *at = slot->next;
        conn->slot_count--;
    }
    pass_on(conn, slot);
    if (how == GUEST_LEAVE_BROKEN || (how == GUEST_LEAVE_EARLY && conn->share == 1)) {
        conn->ended = 1;
        wake_all(conn);
    } else if (how == GUEST_LEAVE_EARLY && !slot->ended && !conn->ended) {
        abandon(conn, slot);
    }
    (void)pthread_mutex_unlock(&conn->lock);
}
