/* SPDX-License-Identifier: MIT
 *
 * chunk.h - what the service's streams carry: server-sent events, each a JSON object with a piece of output.
 */
#ifndef SBX_RUNLOOP_CHUNK_H
#define SBX_RUNLOOP_CHUNK_H

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdint.h>

/* Reads a stream of events as it comes. An event whose blank line is missing at the end does not count. */
struct sse {
    struct buf line;
    struct buf data;
    int has_data;
    int is_error; /* its name is "error" */
    int after_cr;
    /* Not 0: stop. `data` is lent, with a NUL behind it. */
    int (*event)(void *user, int is_error, const char *data, size_t len);
    void *user;
};
void sse_init(struct sse *sse, int (*event)(void *user, int is_error, const char *data, size_t len), void *user);
void sse_finish(struct sse *sse);
/* Forgets what came, for another stream. */
void sse_restart(struct sse *sse);
/* 0; what the callback answered; -1: an event that is too long, or no memory. */
int sse_feed(struct sse *sse, const void *data, size_t len);

/* The data of one event. */
struct chunk {
    struct buf text; /* UTF-8; NUL bytes are as they are */
    int64_t offset;  /* -1: it says nothing */
    int code;        /* of an error event; 0: it says nothing */
};
/* 0, or -1 for what is neither output nor an error. The caller finishes the chunk in any case. */
int chunk_parse(struct chunk *chunk, int is_error, const char *data, size_t len);
void chunk_finish(struct chunk *chunk);

/* JSON's \u0000, which would end a text early, becomes two bytes that are no UTF-8; text_show turns them back into NUL.
 * -1: such bytes are there already, or no memory. */
int text_hide(struct buf *json);
void text_show(struct buf *text);
int text_is_utf8(const char *text, size_t len);

#endif /* SBX_RUNLOOP_CHUNK_H */
