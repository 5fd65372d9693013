/* SPDX-License-Identifier: MIT
 *
 * chunk.c - see chunk.h.
 */
#include "plugins/runloop/chunk.h"

#include "plugins/common/json.h"

enum { LINE_MAX_BYTES = 8 << 20 };

/* --- events ------------------------------------------------------------------------------------------------------ */

void sse_init(struct sse *sse, int (*event)(void *user, int is_error, const char *data, size_t len), void *user)
{
    memset(sse, 0, sizeof *sse);
    buf_init(&sse->line, LINE_MAX_BYTES);
    buf_init(&sse->data, LINE_MAX_BYTES);
    sse->event = event;
    sse->user = user;
}

void sse_finish(struct sse *sse)
{
    buf_finish(&sse->line);
    buf_finish(&sse->data);
}

void sse_restart(struct sse *sse)
{
    sse_finish(sse);
    sse_init(sse, sse->event, sse->user);
}

static int dispatch(struct sse *sse)
{
    int status = 0;
    if (sse->data.failed != 0)
        return -1;
    if (sse->has_data)
        status = sse->event(sse->user, sse->is_error, sse->data.len > 0 ? sse->data.data : "", sse->data.len);
    buf_consume(&sse->data, sse->data.len);
    sse->has_data = sse->is_error = 0;
    return status;
}

static int take_line(struct sse *sse)
{
    const char *line = sse->line.data;
    size_t len = sse->line.len;
    if (len == 0)
        return dispatch(sse);
    const char *colon = memchr(line, ':', len);
    size_t name = colon == NULL ? len : (size_t)(colon - line), at = colon == NULL ? len : name + 1;
    if (at < len && line[at] == ' ')
        at++;
    if (name == 4 && memcmp(line, "data", 4) == 0) {
        if (sse->has_data)
            (void)buf_text(&sse->data, "\n");
        (void)buf_append(&sse->data, line + at, len - at);
        sse->has_data = 1;
    } else if (name == 5 && memcmp(line, "event", 5) == 0) {
        sse->is_error = len - at == 5 && memcmp(line + at, "error", 5) == 0;
    }
    return sse->data.failed != 0 ? -1 : 0;
}

int sse_feed(struct sse *sse, const void *data, size_t len)
{
    const char *p = data, *end = p + len;
    while (p < end) {
        if (sse->after_cr && *p == '\n') {
            sse->after_cr = 0;
            p++;
            continue;
        }
        sse->after_cr = 0;
        size_t n = 0;
        while (p + n < end && p[n] != '\n' && p[n] != '\r')
            n++;
        if (n > 0 && buf_append(&sse->line, p, n) != 0)
            return -1;
        p += n;
        if (p == end)
            return 0;
        sse->after_cr = *p++ == '\r';
        int status = take_line(sse);
        buf_consume(&sse->line, sse->line.len);
        if (status != 0)
            return status;
    }
    return 0;
}

/* --- texts ------------------------------------------------------------------------------------------------------- */

int text_hide(struct buf *json)
{
    size_t to = 0;
    if (json->len > 0 && memchr(json->data, 0xc0, json->len) != NULL)
        return -1;
    for (size_t at = 0; at < json->len;) {
        if (json->data[at] == '\\' && json->len - at >= 6 && memcmp(json->data + at, "\\u0000", 6) == 0) {
            memcpy(json->data + to, "\xc0\x80", 2);
            to += 2;
            at += 6;
            continue;
        }
        size_t n = json->data[at] == '\\' && json->len - at >= 2 ? 2 : 1;
        memmove(json->data + to, json->data + at, n);
        to += n;
        at += n;
    }
    json->len = to;
    if (json->data != NULL)
        json->data[to] = '\0';
    return 0;
}

void text_show(struct buf *text)
{
    size_t to = 0;
    for (size_t at = 0; at < text->len; at++) {
        int is_nul = (unsigned char)text->data[at] == 0xc0;
        text->data[to++] = is_nul ? '\0' : text->data[at];
        at += (size_t)is_nul;
    }
    text->len = to;
}

/* The length of the character at p, of at most `left` bytes; 0 when there is none. */
static size_t character(const unsigned char *p, size_t left)
{
    static const struct { /* first byte, then the range of the second */
        unsigned char from, to, low, high, len;
    } kinds[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (*p < kinds[i].from || *p > kinds[i].to)
            continue;
        if (left < kinds[i].len || (kinds[i].len > 1 && (p[1] < kinds[i].low || p[1] > kinds[i].high)))
            return 0;
        for (size_t k = 2; k < kinds[i].len; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return kinds[i].len;
    }
    return 0;
}

int text_is_utf8(const char *text, size_t len)
{
    for (size_t at = 0, n; at < len; at += n) {
        n = character((const unsigned char *)text + at, len - at);
        if (n == 0)
            return 0;
    }
    return 1;
}

/* --- chunks ------------------------------------------------------------------------------------------------------ */

void chunk_finish(struct chunk *chunk)
{
    buf_finish(&chunk->text);
}

static int code_of(const struct cJSON *json)
{
    int64_t code = json_integer(json, "code", 0);
    const char *text = json_text(json, "code");
    if (text != NULL)
        code = strtol(text, NULL, 10);
    return code > 0 && code < 1000 ? (int)code : 0;
}

int chunk_parse(struct chunk *chunk, int is_error, const char *data, size_t len)
{
    CLEANUP_BUF struct buf copy;
    CLEANUP_JSON struct cJSON *json = NULL;
    memset(chunk, 0, sizeof *chunk);
    buf_init(&chunk->text, LINE_MAX_BYTES);
    buf_init(&copy, LINE_MAX_BYTES);
    chunk->offset = -1;
    if (buf_append(&copy, data, len) != 0 || !text_is_utf8(copy.data, copy.len) || text_hide(&copy) != 0 ||
        json_parse(NULL, "", copy.data, copy.len, &json) != SBX_OK) {
        return is_error ? 0 : -1; /* an error that says nothing is one all the same */
    }
    if (is_error) {
        chunk->code = code_of(json);
        return 0;
    }
    const char *text = json_text(json, "output");
    if (text == NULL || buf_text(&chunk->text, text) != 0)
        return -1;
    text_show(&chunk->text);
    chunk->offset = json_integer(json, "offset", -1);
    return chunk->offset < -1 ? -1 : 0;
}
