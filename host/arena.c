/* SPDX-License-Identifier: MIT */
#include "host/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    size_t reserved0; /* keeps data aligned */
    unsigned char data[];
};

#define BLOCK 4096u
#define ALIGN 16u

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.limit = limit};
}

void arena_wipe(struct arena *a)
{
    for (struct arena_block *b = a->blocks; b != NULL; b = b->next)
        explicit_bzero(b->data, b->used);
    arena_finish(a);
}

void arena_finish(struct arena *a)
{
    int saved = errno;
    struct arena_block *b = a->blocks;
    while (b != NULL) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
    *a = (struct arena){.limit = a->limit};
    errno = saved;
}

static void *fail(struct arena *a, int cause)
{
    if (a->failed == 0)
        a->failed = cause;
    return NULL;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (a->failed != 0 || size > SIZE_MAX / 2)
        return fail(a, ENOMEM);
    size_t need = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (need == 0)
        need = ALIGN;
    if (a->limit != 0 && (need > a->limit || a->total > a->limit - need))
        return fail(a, EFBIG);
    struct arena_block *b = a->blocks;
    if (b == NULL || b->cap - b->used < need) {
        size_t cap = need > BLOCK ? need : BLOCK;
        b = calloc(1, sizeof *b + cap);
        if (b == NULL)
            return fail(a, ENOMEM);
        b->cap = cap;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *given = b->data + b->used;
    b->used += need;
    a->total += need;
    return given;
}

const char *arena_text(struct arena *a, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t len = strlen(text);
    char *copy = arena_alloc(a, len + 1);
    if (copy != NULL)
        memcpy(copy, text, len + 1);
    return copy;
}

const char *const *arena_texts(struct arena *a, const char *const *texts)
{
    if (texts == NULL)
        return NULL;
    size_t count = 0;
    while (texts[count] != NULL)
        count++;
    const char **copy = arena_alloc(a, (count + 1) * sizeof *copy);
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_text(a, texts[i]);
    return copy;
}

struct sbx_kvs arena_kvs(struct arena *a, const struct sbx_kvs *kvs)
{
    if (kvs->count == 0 || kvs->items == NULL)
        return (struct sbx_kvs){NULL, 0};
    if (kvs->count > SIZE_MAX / sizeof(struct sbx_kv)) {
        (void)fail(a, ENOMEM);
        return (struct sbx_kvs){NULL, 0};
    }
    struct sbx_kv *items = arena_alloc(a, kvs->count * sizeof *items);
    if (items == NULL)
        return (struct sbx_kvs){NULL, 0};
    for (size_t i = 0; i < kvs->count; i++) {
        items[i].key = arena_text(a, kvs->items[i].key);
        items[i].value = arena_text(a, kvs->items[i].value);
    }
    return (struct sbx_kvs){items, kvs->count};
}
