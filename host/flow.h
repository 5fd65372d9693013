/* SPDX-License-Identifier: MIT
 *
 * flow.h - the streams between a caller and a plugin: where bytes come from (memory, a descriptor, a callback) and
 * where they go (kept, a descriptor, a callback), and why one of them ended the call. The plugin only says
 * SBX_E_STOPPED; the reason is kept here.
 */
#ifndef SBX_HOST_FLOW_H
#define SBX_HOST_FLOW_H

#include "base/buf.h"
#include "host/border.h"

/* Bytes kept of a stream: the first `max`, or with `keep_tail` the last. */
struct capture {
    struct buf data;
    size_t max;
    size_t start; /* with keep_tail: where the oldest byte is, once data is full */
    int keep_tail;
    int dropped; /* something was not kept */
    int failed;  /* no memory */
};
void capture_init(struct capture *c, size_t max, int keep_tail);
void capture_finish(struct capture *c);
void capture_add(struct capture *c, const void *data, size_t len);
/* Puts the bytes in order; after it data.data is what was kept, data.len long. */
void capture_settle(struct capture *c);

struct flow_sink {
    struct sbx_sink sink;        /* what the plugin is given */
    const struct sbx_call *call; /* watched while a write waits */
    uint64_t bytes;              /* taken so far */
    uint64_t max;                /* more ends the call with SBX_E_TOO_LARGE; 0: none */
    struct capture *capture;     /* may be NULL */
    int fd;                      /* -1: none */
    int fd_kind;
    int stream;
    sbx_status (*deliver)(void *user, int stream, const void *data, size_t len); /* or why to stop; may be NULL */
    void *user;
    sbx_status stop; /* why it stopped: SBX_E_STOPPED, SBX_E_TIMEOUT, SBX_E_CANCELLED, SBX_E_FAILED, ... */
    int os_errno;
    struct meter *meter; /* may be NULL */
};
/* A sink that goes nowhere; set what it shall do. Both structs stay where they are while the call runs. */
void flow_sink_init(struct flow_sink *s, const struct sbx_call *call);
/* Adds a descriptor: everything is written, whether it blocks or not, and no signal is raised. */
void flow_sink_to_fd(struct flow_sink *s, int fd);
/* Takes bytes as the plugin's write does; for sinks in front of this one. */
int32_t flow_sink_write(void *flow_sink, const void *data, size_t len);

struct flow_source {
    struct sbx_source source;
    const unsigned char *data; /* memory, when fd is -1 and read is NULL */
    size_t left;
    int fd;
    int64_t (*read)(void *user, void *buf, size_t cap); /* may be NULL */
    void *user;
    sbx_status stop;
    int os_errno;
    struct meter *meter; /* may be NULL */
};
void flow_source_of_memory(struct flow_source *s, const void *data, size_t len);
/* Reads only what is there, so the descriptor's own mode is never changed. */
void flow_source_of_fd(struct flow_source *s, int fd);
void flow_source_of_callback(struct flow_source *s, int64_t (*read)(void *user, void *buf, size_t cap), void *user);

/* "100 MiB", or "1234 bytes". */
void flow_size_text(uint64_t bytes, char *text, size_t size);
/* The verdict of a call that had these streams: a stop is replaced by its reason. */
sbx_status flow_verdict(struct border_call *c, sbx_status status, const struct flow_sink *sink,
                        const struct flow_source *source);

#endif /* SBX_HOST_FLOW_H */
