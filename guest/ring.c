/* SPDX-License-Identifier: MIT */
#include "guest/ring.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 4096 };

/* More room, if that may be had: doubled until `want` fits. */
static void grow(struct ring *r, size_t want)
{
    size_t cap = r->cap == 0 ? SMALLEST : r->cap;
    while (cap < want && cap < r->limit)
        cap *= 2;
    if (cap > r->limit)
        cap = r->limit;
    if (cap <= r->cap || cap - r->cap > r->budget_limit - *r->budget)
        return;
    unsigned char *data = malloc(cap);
    if (data == NULL)
        return;
    (void)ring_copy(r, r->first, data, r->len);
    free(r->data);
    *r->budget += cap - r->cap;
    r->data = data;
    r->cap = cap;
    r->start = 0;
}

void ring_append(struct ring *r, const void *data, size_t len)
{
    const unsigned char *p = data;
    if (len == 0)
        return;
    if (r->len + len > r->cap)
        grow(r, r->len + len);
    if (len > r->cap) { /* of these, too, only the last stay */
        size_t skip = len - r->cap;
        r->first += r->len + skip;
        r->start = r->len = 0;
        p += skip;
        len = r->cap;
    }
    if (r->len + len > r->cap) {
        size_t drop = r->len + len - r->cap;
        r->start = (r->start + drop) % r->cap;
        r->len -= drop;
        r->first += drop;
    }
    if (len == 0)
        return;
    size_t at = (r->start + r->len) % r->cap;
    size_t straight = len < r->cap - at ? len : r->cap - at;
    memcpy(r->data + at, p, straight);
    memcpy(r->data, p + straight, len - straight);
    r->len += len;
}

size_t ring_copy(const struct ring *r, uint64_t offset, void *to, size_t len)
{
    uint64_t left = ring_end(r) - offset;
    if (len > left)
        len = (size_t)left;
    if (len == 0 || r->cap == 0)
        return 0;
    size_t at = (r->start + (size_t)(offset - r->first)) % r->cap;
    size_t straight = len < r->cap - at ? len : r->cap - at;
    memcpy(to, r->data + at, straight);
    memcpy((unsigned char *)to + straight, r->data, len - straight);
    return len;
}

void ring_finish(struct ring *r)
{
    *r->budget -= r->cap;
    free(r->data);
    r->data = NULL;
    r->cap = r->len = r->start = 0;
}
