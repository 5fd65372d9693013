/* SPDX-License-Identifier: MIT
 *
 * arena.h - memory that is given back all at once: copies of texts that must outlive the call they were lent for. After
 * a failed allocation the arena is `failed` and gives NULL from then on, so a run of copies is checked once, at its
 * end.
 */
#ifndef SBX_HOST_ARENA_H
#define SBX_HOST_ARENA_H

#include "sbx.h"

struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t total;
    size_t limit; /* bytes in all; 0: none */
    int failed;   /* ENOMEM or EFBIG */
};

void arena_init(struct arena *a, size_t limit);
void arena_finish(struct arena *a);
/* As arena_finish; what it held is overwritten first. */
void arena_wipe(struct arena *a);
/* Zeroed and aligned for any type; NULL when the arena failed. */
void *arena_alloc(struct arena *a, size_t size);
/* Copies; NULL for NULL. */
const char *arena_text(struct arena *a, const char *text);
const char *const *arena_texts(struct arena *a, const char *const *texts);
struct sbx_kvs arena_kvs(struct arena *a, const struct sbx_kvs *kvs);

#define CLEANUP_ARENA CLEANUP(arena_finish)

#endif /* SBX_HOST_ARENA_H */
