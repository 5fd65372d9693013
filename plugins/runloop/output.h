/* SPDX-License-Identifier: MIT
 *
 * output.h - one output of a run, followed over as many connections as it takes, each byte once; and the mark that our
 * wrapper puts behind it, which alone proves that it is whole.
 */
#ifndef SBX_RUNLOOP_OUTPUT_H
#define SBX_RUNLOOP_OUTPUT_H

#include "plugins/runloop/api.h"
#include "plugins/runloop/chunk.h"

/* A mark is MARK_BEGIN "sbx-" TOKEN " " WORD MARK_END. */
#define MARK_BEGIN '\036'
#define MARK_END   '\037'
enum { MARK_NAME = 36, MARK_WORD = 16 };

/* Finds the mark in pieces of a text. */
struct mark {
    char name[MARK_NAME + 1]; /* "sbx-" and the token; "": any token */
    char held[64];            /* what may be the beginning of one */
    size_t held_len;
    char word[MARK_WORD]; /* once it was found */
};

struct output {
    const char *path; /* of its stream, up to and with "offset="; lent */
    struct api *api;
    struct mark mark;
    struct sse sse;
    int (*take)(void *user, const void *data, size_t len); /* the text, in order; not 0: stop */
    void *user;
    uint64_t have;      /* bytes of text that came; the offset to go on from */
    uint64_t delivered; /* of them handed on: up to the mark, or what may be one */
    int convention;     /* what an event's offset means, once that is known */
    int gaps;
    int has_foreign; /* replaced bytes are in the text: the service may count them otherwise */
    int is_inexact;  /* the service's offsets do not fit the text: it cannot be told whether all is there */
    int has_news;    /* something came on this connection */
    int needs_again; /* the connection ended by an error event, or was cut by us to go on from `have` */
    int code;        /* of that event */
    int is_stopped;  /* `take` said so */
    int is_nonsense; /* what came is no stream of output */
    int64_t heard_ns;
    /* What one connection needs. */
    struct http_request request;
    struct http_reply reply;
    char url[512];
    char storage[API_LINE];
    const char *headers[API_HEADERS];
};

/* `name` of the mark: "sbx-" and a token, or "" for any. */
void output_init(struct output *o, struct api *api, const char *path, const char *name, uint64_t from);
void output_finish(struct output *o);
sbx_status output_connect(struct output *o, struct http_many *many, size_t slot, const char *what,
                          struct sbx_call *call);
/* What was held back and is no mark. Answers as `take` does. */
int output_flush(struct output *o);

/* For texts that are there as a whole: the mark's word, or NULL; *len is the text's length without it. */
const char *mark_find(struct mark *mark, const char *text, size_t *len);

#endif /* SBX_RUNLOOP_OUTPUT_H */
