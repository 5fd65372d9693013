/* SPDX-License-Identifier: MIT
 *
 * conn.h - one connection: frames in, frames out, both bounded. A peer that breaks the frame rules, or memory that runs
 * out, marks the connection broken; the loop then closes it, which ends all of its requests.
 */
#ifndef SBX_GUEST_CONN_H
#define SBX_GUEST_CONN_H

#include "guest/guest.h"
#include "guest/wire.h"

enum {
    CONN_IN_SIZE = 2 * (WIRE_HEADER + WIRE_MAX_PAYLOAD),
    CONN_OUT_SOFT = 256 << 10,  /* streams wait above this */
    CONN_OUT_PAUSE = 1 << 20,   /* nothing is read from the peer above this */
    CONN_OUT_LIMIT = 8 << 20,   /* never reached: one filled input buffer cannot ask for that much */
    CONN_JOINED_LIMIT = 8 << 20 /* unfinished requests of one connection, together */
};

struct request;

struct conn {
    struct guest *g;
    struct conn *next;
    int in_fd;
    int out_fd; /* the same but for --stdio */
    short in_got;
    short out_got;
    int greeted;
    int broken;
    int waits; /* its next request, until nothing holds the sandbox still */
    unsigned char *in;
    size_t in_len;
    unsigned char *out;
    size_t out_start;
    size_t out_end;
    size_t out_cap;
    size_t frame; /* where the frame being built begins */
    struct request *requests;
    unsigned request_count; /* those that run or are collected */
    unsigned refused_count; /* those that are only waited out */
    size_t joined;          /* bytes of requests being collected */
};

/* NULL: no memory; the descriptors are then still the caller's. */
struct conn *conn_open(struct guest *g, int in_fd, int out_fd);
void conn_close(struct conn *c);
void conn_watch(struct conn *c, struct watch *w);
/* Reads once and handles every whole frame. */
void conn_read(struct conn *c);
/* Handles what was read and had to wait. */
void conn_take(struct conn *c);
/* Writes what it can. */
void conn_flush(struct conn *c);

/* Bytes that a stream may still queue. */
size_t conn_room(const struct conn *c);
/* A frame of fields: begin, add, finish. Failures mark the connection broken. */
void frame_begin(struct conn *c, enum wire_frame type, uint32_t id);
void frame_number(struct conn *c, enum wire_field tag, uint64_t value);
void frame_bytes(struct conn *c, enum wire_field tag, const void *data, size_t len);
void frame_finish(struct conn *c);
/* A DATA frame filled in place: where to put up to `room` bytes (NULL: broken), then how many were put; 0 drops it. */
unsigned char *frame_data_begin(struct conn *c, uint32_t id, unsigned stream, size_t room);
void frame_data_finish(struct conn *c, size_t len);
/* A DATA frame without bytes that ends the stream. */
void frame_end_of_stream(struct conn *c, uint32_t id, unsigned stream);
void frame_credit(struct conn *c, uint32_t id, unsigned stream, uint32_t more);

#endif /* SBX_GUEST_CONN_H */
