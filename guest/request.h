/* SPDX-License-Identifier: MIT
 *
 * request.h - one request: its fields are collected, checked against what its operation takes, and given to that
 * operation, which ends it with request_end or request_fail exactly once.
 */
#ifndef SBX_GUEST_REQUEST_H
#define SBX_GUEST_REQUEST_H

#include "guest/conn.h"

/* The fields of a request. Texts are lent for the start of the operation and hold no NUL. */
struct fields {
    const unsigned char *payload;
    size_t payload_len;
    uint64_t present; /* bit 1 << tag */
    uint64_t number[64];
    struct wire_field_view text[64];
    size_t arg_count;
    size_t env_count;
};

struct request;

struct request_kind {
    enum wire_op op;
    uint64_t takes;    /* bit 1 << tag: fields it knows */
    uint64_t requires; /* of those, the ones it cannot do without */
    uint64_t flags;    /* bits of F_FLAGS it knows */
    int input;         /* takes DATA on STREAM_IN */
    int asleep;        /* works while everything sleeps */
    void (*start)(struct request *r, const struct fields *f);
    void (*feed)(struct request *r, const unsigned char *data, size_t len, int eof);
    void (*watch)(struct request *r, struct watch *w);
    void (*pump)(struct request *r); /* after each wait: whatever can go on */
    void (*cancel)(struct request *r);
    void (*event)(struct request *r, const struct wire_head *h, const unsigned char *payload); /* SIGNAL, RESIZE */
    void (*release)(struct request *r);                                                        /* of r->state */
};

struct request {
    struct conn *c;
    struct request *next;
    uint32_t id;
    int running; /* start was called */
    int refused; /* only waited out: its MORE frames are still coming */
    int done;    /* END was sent */
    sbx_status refusal;
    const struct request_kind *kind;
    unsigned char *joined;
    size_t joined_len;
    uint32_t in_left; /* credit that the client still has */
    uint32_t in_owed; /* consumed and not yet given back */
    int in_eof;
    uint64_t out_credit[3]; /* by stream */
    char given[304];        /* F_PATH as it came, for messages */
    void *state;            /* the operation's own */
};

uint64_t request_features(void);
/* Whether a REQUEST frame has to wait until nothing holds the sandbox still any more. */
int request_must_wait(const struct conn *c, const struct wire_head *h, const unsigned char *payload);
/* A REQUEST frame, or any other but HELLO; -1: the connection must end. */
int request_collect(struct conn *c, const struct wire_head *h, const unsigned char *payload);
int request_frame(struct conn *c, const struct wire_head *h, const unsigned char *payload);
void request_watch_all(struct conn *c, struct watch *w);
void request_pump_all(struct conn *c);
/* Frees those that are done. */
void request_sweep(struct conn *c);
void request_close_all(struct conn *c);

/* END with SBX_OK alone. */
void request_end(struct request *r);
/* END with more fields: begin, frame_number and frame_bytes on r->c, finish. */
void request_end_begin(struct request *r, sbx_status status);
void request_end_finish(struct request *r);
void request_fail(struct request *r, sbx_status status, int os_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A REPLY: begin, frame_number and frame_bytes on r->c, finish. It uses credit of STREAM_OUT. Who sends many asks for
 * room before each; the few of other operations never use the window up. */
int request_reply_room(const struct request *r);
void request_reply_begin(struct request *r);
void request_reply_finish(struct request *r);
/* Input that is dealt with: credit for it goes back in due course. */
void request_consumed(struct request *r, size_t len);

static inline int fields_have(const struct fields *f, enum wire_field tag)
{
    return (f->present >> tag & 1u) != 0;
}
/* Copies a text with its NUL; 0, or -1 when it does not fit. An absent one is empty. */
int fields_text(const struct fields *f, enum wire_field tag, char *buf, size_t size);

/* Answers SBX_OK, or why not, with one line in message (GUEST_MESSAGE_MAX bytes). */
sbx_status fields_parse(struct fields *f, const unsigned char *payload, size_t len, char *message);
/* After fields_parse: what this operation takes and needs. */
sbx_status fields_check(const struct fields *f, const struct request_kind *kind, char *message);

#endif /* SBX_GUEST_REQUEST_H */
