/* SPDX-License-Identifier: MIT
 *
 * stream.h - one direction of a request's data between a descriptor and DATA frames, within the credit.
 */
#ifndef SBX_GUEST_STREAM_H
#define SBX_GUEST_STREAM_H

#include "guest/request.h"

/* From the client: what came and was not yet written, at most one window. */
struct stream_in {
    int fd; /* -1: closed; further input is dropped */
    short got;
    unsigned char *data;
    size_t start;
    size_t len;
    int eof;
    int broken; /* closed because nobody reads any more */
    int held;   /* nothing may be written yet */
    int sock;   /* eof shuts this direction of a connection down */
    int tty;    /* eof does not close: stream_in_eof_ready tells the owner to type it */
    unsigned char last;
};
/* To the client. */
struct stream_out {
    int fd; /* -1: at its end */
    short got;
    int error; /* the errno that was its end; 0: end of file */
    unsigned stream;
    uint64_t bytes;
    uint64_t cap; /* read no more than up to that many bytes in all; UINT64_MAX: no such limit */
};

void stream_in_init(struct stream_in *s, int fd);
void stream_in_finish(struct stream_in *s);
void stream_in_feed(struct stream_in *s, struct request *r, const unsigned char *data, size_t len, int eof);
void stream_in_watch(struct stream_in *s, struct watch *w);
void stream_in_pump(struct stream_in *s, struct request *r);

void stream_out_init(struct stream_out *s, int fd, unsigned stream);
void stream_out_finish(struct stream_out *s);
void stream_out_watch(struct stream_out *s, const struct request *r, struct watch *w);
/* Moves what is there. 1: the descriptor has nothing more for now (or is at its end); 0: credit or room is missing. */
int stream_out_pump(struct stream_out *s, struct request *r);

#endif /* SBX_GUEST_STREAM_H */
