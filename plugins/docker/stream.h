/* SPDX-License-Identifier: MIT
 *
 * stream.h - a command that the daemon runs in a container, and the one connection that carries its streams.
 */
#ifndef SBX_DOCKER_STREAM_H
#define SBX_DOCKER_STREAM_H

#include "plugins/docker/engine.h"

enum { STREAM_HEAD = 8 };

struct stream {
    struct engine *engine;
    struct http_tunnel *tunnel;
    char id[72]; /* the daemon's, of this run */
    int raw;     /* a terminal: no frames */
    unsigned char head[STREAM_HEAD];
    size_t have; /* bytes of the head */
    size_t left; /* of the frame's payload */
};

/* Creates and starts what `body` (the JSON of the request) says in the container; it is started at most once. STATE:
 * the container does not run. SBX_E_UNKNOWN: it may have been started. */
sbx_status stream_open(struct stream *stream, struct engine *engine, struct sbx_call *call, const char *container,
                       const char *body, int raw);
void stream_close(struct stream *stream);
/* Bytes of one stream, *which of them (1 out, 2 err); 0: the end; SBX_AGAIN: poll http_tunnel_fd first; -1: it broke,
 * or a frame is none. */
int64_t stream_read(struct stream *stream, int *which, void *buf, size_t cap);

struct stream_state {
    int running;
    int64_t pid; /* the daemon's; 0: nothing was ever executed */
    int64_t exit_code;
};
sbx_status stream_inspect(const struct stream *stream, struct sbx_call *call, struct stream_state *out);

#endif /* SBX_DOCKER_STREAM_H */
