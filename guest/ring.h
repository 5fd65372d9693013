/* SPDX-License-Identifier: MIT
 *
 * ring.h - the last bytes of a stream: it grows up to its limit, then the oldest go. Bytes are named by their offset in
 * the whole stream.
 */
#ifndef SBX_GUEST_RING_H
#define SBX_GUEST_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
    unsigned char *data;
    size_t cap;
    size_t limit;
    size_t start; /* where the oldest byte is in data */
    size_t len;
    uint64_t first; /* its offset */
    size_t *budget; /* what all rings have allocated together, at most `budget_limit` */
    size_t budget_limit;
};

static inline uint64_t ring_end(const struct ring *r)
{
    return r->first + r->len;
}
/* Never fails: what there is no memory for is as if it had been passed already. */
void ring_append(struct ring *r, const void *data, size_t len);
/* Copies up to `len` bytes from `offset` (first <= offset <= end); how many. */
size_t ring_copy(const struct ring *r, uint64_t offset, void *to, size_t len);
void ring_finish(struct ring *r);

#endif /* SBX_GUEST_RING_H */
