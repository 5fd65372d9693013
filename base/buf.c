/* SPDX-License-Identifier: MIT
 *
 * buf.c - a growing byte buffer with a limit; see buf.h.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit < SIZE_MAX / 4 ? limit : SIZE_MAX / 4};
}

void buf_finish(struct buf *b)
{
    int saved = errno;
    free(b->data);
    *b = (struct buf){.limit = b->limit};
    errno = saved;
}

/* Room for `more` bytes and a NUL. */
static int buf_reserve(struct buf *b, size_t more)
{
    if (b->failed != 0)
        return -1;
    if (more > b->limit || b->len > b->limit - more) {
        b->failed = EFBIG;
        return -1;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return 0;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap += cap / 2;
    if (cap > b->limit + 1)
        cap = b->limit + 1;
    char *data = realloc(b->data, cap);
    if (data == NULL) {
        b->failed = ENOMEM;
        return -1;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    if (buf_reserve(b, len) != 0)
        return -1;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_text(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

int buf_format(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int result = -1;
    if (need >= 0 && buf_reserve(b, (size_t)need) == 0) {
        (void)vsnprintf(b->data + b->len, (size_t)need + 1, format, again);
        b->len += (size_t)need;
        result = 0;
    }
    va_end(again);
    return result;
}

char *buf_space(struct buf *b, size_t len)
{
    return buf_reserve(b, len) == 0 ? b->data + b->len : NULL;
}

void buf_consume(struct buf *b, size_t len)
{
    if (len > b->len)
        len = b->len;
    if (len == 0)
        return;
    memmove(b->data, b->data + len, b->len - len + 1);
    b->len -= len;
}

char *buf_steal(struct buf *b)
{
    if (b->failed != 0 || buf_reserve(b, 0) != 0)
        return NULL;
    b->data[b->len] = '\0';
    char *data = b->data;
    *b = (struct buf){.limit = b->limit};
    return data;
}
