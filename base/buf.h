/* SPDX-License-Identifier: MIT
 *
 * buf.h - a growing byte buffer that is born with its limit. After any failed append the buffer is `failed` and stays
 * as it was; so a run of appends is checked once, at its end.
 */
#ifndef SBX_BASE_BUF_H
#define SBX_BASE_BUF_H

#include <stddef.h>

struct buf {
    char *data; /* NUL-terminated once anything was appended; may be NULL */
    size_t len; /* without that NUL */
    size_t cap;
    size_t limit;
    int failed; /* ENOMEM or EFBIG of the first failure; 0 */
};

/* Storage you have: nothing is allocated before the first append. */
void buf_init(struct buf *b, size_t limit);
/* Frees the data; the buffer may be used again with the same limit. */
void buf_finish(struct buf *b);
/* 0, or -1 with b->failed set. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_text(struct buf *b, const char *text);
int buf_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for `len` more bytes behind the data, to be written there and then counted by the caller (b->len += n, n <=
 * len); NULL when the buffer failed. */
char *buf_space(struct buf *b, size_t len);
/* Drops the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);
/* The data, never NULL; the caller frees it and the buffer is empty. NULL when the buffer failed. */
char *buf_steal(struct buf *b);

#define CLEANUP_BUF CLEANUP(buf_finish)

#endif /* SBX_BASE_BUF_H */
