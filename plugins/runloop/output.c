/* SPDX-License-Identifier: MIT
 *
 * output.c - see output.h.
 */
#include "plugins/runloop/output.h"

#include <inttypes.h>

enum { CONVENTION_UNKNOWN, CONVENTION_START, CONVENTION_END, GAPS_MAX = 3 };

/* --- the mark ---------------------------------------------------------------------------------------------------- */

/* 1: it is a mark as a whole; 0: it may become one; -1: it is none. */
static int judge(const struct mark *mark, const char *text, size_t len)
{
    static const char prefix[] = "\036sbx-";
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        int fits = 0;
        if (i < sizeof prefix - 1)
            fits = c == prefix[i];
        else if (i <= MARK_NAME)
            fits = mark->name[0] != '\0' ? c == mark->name[i - 1] : strchr("0123456789abcdef", c) != NULL && c != '\0';
        else if (i == MARK_NAME + 1)
            fits = c == ' ';
        else if (c == MARK_END)
            return 1;
        else
            fits = ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) && i < MARK_NAME + MARK_WORD;
        if (!fits)
            return -1;
    }
    return 0;
}

static void keep_word(struct mark *mark, const char *text, size_t len)
{
    (void)snprintf(mark->word, sizeof mark->word, "%.*s", (int)(len - MARK_NAME - 3), text + MARK_NAME + 2);
}

const char *mark_find(struct mark *mark, const char *text, size_t *len)
{
    for (size_t at = 0; at < *len; at++) {
        if (text[at] != MARK_BEGIN)
            continue;
        for (size_t n = MARK_NAME + 3; n <= sizeof mark->held && at + n <= *len; n++)
            if (judge(mark, text + at, n) == 1) {
                keep_word(mark, text + at, n);
                *len = at;
                return mark->word;
            }
    }
    return NULL;
}

static int hand_on(struct output *o, const char *data, size_t len)
{
    if (len == 0)
        return 0;
    o->delivered += len;
    o->is_stopped = o->take(o->user, data, len) != 0;
    return o->is_stopped;
}

int output_flush(struct output *o)
{
    size_t len = o->mark.held_len;
    o->mark.held_len = 0;
    return o->mark.word[0] != '\0' ? 0 : hand_on(o, o->mark.held, len);
}

/* One byte more of what may be a mark. */
static int hold(struct output *o, char c)
{
    struct mark *mark = &o->mark;
    mark->held[mark->held_len++] = c;
    int verdict = judge(mark, mark->held, mark->held_len);
    if (verdict == 1)
        keep_word(mark, mark->held, mark->held_len);
    if (verdict >= 0 && mark->held_len < sizeof mark->held)
        return 0;
    /* It is none; but its last byte may begin one. */
    int again = c == MARK_BEGIN && mark->held_len > 1;
    size_t len = mark->held_len - (size_t)again;
    mark->held_len = 0;
    if (hand_on(o, mark->held, len) != 0)
        return 1;
    return again ? hold(o, c) : 0;
}

static int take_text(struct output *o, const char *data, size_t len)
{
    for (size_t at = 0; at < len && o->mark.word[0] == '\0';) {
        if (o->mark.held_len > 0 || data[at] == MARK_BEGIN) {
            if (hold(o, data[at++]) != 0)
                return 1;
            continue;
        }
        const char *begin = memchr(data + at, MARK_BEGIN, len - at);
        size_t n = begin == NULL ? len - at : (size_t)(begin - (data + at));
        if (hand_on(o, data + at, n) != 0)
            return 1;
        at += n;
    }
    return 0;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

/* Where a chunk begins, by the service's own count where that can be understood. */
static uint64_t place_of(struct output *o, const struct chunk *chunk)
{
    uint64_t len = chunk->text.len, offset = (uint64_t)chunk->offset;
    if (chunk->offset < 0 || len == 0)
        return o->have;
    if (o->convention == CONVENTION_UNKNOWN && offset == o->have)
        o->convention = CONVENTION_START;
    else if (o->convention == CONVENTION_UNKNOWN && offset == o->have + len)
        o->convention = CONVENTION_END;
    uint64_t place = o->convention == CONVENTION_END ? offset - len : offset;
    if (o->convention != CONVENTION_UNKNOWN && place <= offset && (place == o->have || !o->has_foreign))
        return place;
    o->is_inexact = 1;
    return o->have;
}

static int on_event(void *user, int is_error, const char *data, size_t len)
{
    struct output *o = user;
    CLEANUP(chunk_finish) struct chunk chunk;
    if (chunk_parse(&chunk, is_error, data, len) != 0) {
        o->is_nonsense = 1;
        return 1;
    }
    if (is_error) {
        o->needs_again = 1;
        o->code = chunk.code;
        return 1;
    }
    uint64_t place = place_of(o, &chunk);
    if (place > o->have && o->gaps++ < GAPS_MAX) {
        o->needs_again = 1; /* asked for again from where we are */
        return 1;
    }
    if (place > o->have) {
        o->is_inexact = 1;
        o->have = place;
    }
    uint64_t known = o->have - place;
    if (known >= chunk.text.len)
        return 0;
    o->have += chunk.text.len - known;
    o->has_foreign |= memmem(chunk.text.data, chunk.text.len, "\xef\xbf\xbd", 3) != NULL;
    o->has_news = 1;
    return take_text(o, chunk.text.data + known, chunk.text.len - (size_t)known);
}

static int on_piece(void *user, const void *data, size_t len)
{
    struct output *o = user;
    o->heard_ns = clock_now_ns();
    int status = sse_feed(&o->sse, data, len);
    if (status < 0)
        o->is_nonsense = 1;
    return status;
}

void output_init(struct output *o, struct api *api, const char *path, const char *name, uint64_t from)
{
    memset(o, 0, sizeof *o);
    o->api = api;
    o->path = path;
    o->have = o->delivered = from;
    (void)snprintf(o->mark.name, sizeof o->mark.name, "%s", name);
    sse_init(&o->sse, on_event, o);
}

void output_finish(struct output *o)
{
    sse_finish(&o->sse);
    http_reply_finish(&o->reply);
}

sbx_status output_connect(struct output *o, struct http_many *many, size_t slot, const char *what,
                          struct sbx_call *call)
{
    http_reply_finish(&o->reply);
    sse_restart(&o->sse);
    o->has_news = o->needs_again = o->code = o->is_nonsense = 0;
    o->heard_ns = clock_now_ns();
    (void)snprintf(o->url, sizeof o->url, "%s%" PRIu64, o->path, o->have);
    api_headers(o->api, "Accept: text/event-stream", o->storage, o->headers);
    o->headers[2] = NULL;
    o->request = (struct http_request){
        .what = what, .method = "GET", .path = o->url, .headers = o->headers, .piece = on_piece, .user = o};
    return http_many_start(many, call, slot, &o->request, &o->reply);
}
