/* SPDX-License-Identifier: MIT
 *
 * http.h - requests to one service over a unix socket, TCP or TLS; the only user of libcurl. Connections are kept; any
 * number of threads may ask at once. Every request watches the call's deadline and cancel token; every descriptor is
 * close-on-exec; what a service says is bounded.
 */
#ifndef SBX_COMMON_HTTP_H
#define SBX_COMMON_HTTP_H

#include "base/buf.h"
#include "plugins/common/plugin.h"

struct http;

struct http_options {
    const char *base;      /* "http://host:port" or "https://host:port"; with unix_path the host is only a name */
    const char *unix_path; /* NULL: TCP */
    const char *ca;        /* files in PEM; NULL: the system's own authorities */
    const char *cert;      /* client certificate and its key; NULL: none */
    const char *key;
    uint32_t connect_ms; /* 0: 10 s */
    int no_verify;       /* takes any server certificate */
};
/* Everything is copied; nothing is connected yet. */
sbx_status http_open(const struct http_options *options, struct sbx_call *call, struct http **out);
void http_close(struct http *http);

enum { HTTP_WANTED = 2 }; /* reply headers that one request may ask for */

struct http_request {
    const char *what;   /* how messages begin */
    const char *method; /* "GET" */
    const char *path;   /* from its slash, query included, already escaped */
    const char *body;   /* NULL: none */
    size_t body_len;
    const char *body_type; /* "Name/kind"; NULL: JSON */
    int upload;            /* with it a PUT of a whole file of that descriptor, a tar */
    int body_fd;
    const char *header;              /* one more line, "Name: value"; NULL: none */
    const char *const *headers;      /* further ones; NULL-terminated, or NULL */
    const char *wanted[HTTP_WANTED]; /* reply headers whose values are kept; NULL: none */
    size_t reply_limit;              /* bytes of reply kept in memory; more is SBX_E_TOO_LARGE; 0: 1 MiB */
    /* With it a 2xx reply's bytes go there instead of into memory; not 0: stop, SBX_E_STOPPED. */
    int (*piece)(void *user, const void *data, size_t len);
    void (*head)(void *user, const char *line, size_t len); /* with it: each line of the reply's head */
    void *user;
};
struct http_reply {
    long status;
    struct buf body;
    char header[HTTP_WANTED][256]; /* the wanted ones; "" when one did not come */
};
/* SBX_OK: a whole reply, whatever its status. SBX_E_UNAVAILABLE: nothing was sent. SBX_E_UNKNOWN: it was sent and the
 * reply did not come whole, so it may have been done (for a GET that is SBX_E_UNAVAILABLE too). The caller finishes
 * the reply in any case. */
sbx_status http_run(struct http *http, struct sbx_call *call, const struct http_request *request,
                    struct http_reply *reply);
void http_reply_finish(struct http_reply *reply);
#define CLEANUP_REPLY CLEANUP(http_reply_finish)

/* Up to HTTP_MANY requests under way at once on one thread, for streams that end when they like. Request and reply of a
 * slot are lent until it has ended or was stopped; `piece` and `head` are called inside of http_many_next alone. */
enum { HTTP_MANY = 3 };
struct http_many;
sbx_status http_many_open(struct http *http, struct sbx_call *call, struct http_many **out);
/* Stops what is under way. NULL is ignored. */
void http_many_close(struct http_many *many);
/* The slot must be free. The caller finishes the reply in any case. */
sbx_status http_many_start(struct http_many *many, struct sbx_call *call, size_t slot,
                           const struct http_request *request, struct http_reply *reply);
int http_many_is_busy(const struct http_many *many, size_t slot);
void http_many_stop(struct http_many *many, size_t slot);
/* Goes on until a slot has ended, which is free then (*slot says which, the answer is as http_run's for it), or until
 * until_ns or the call is over: *slot is HTTP_MANY then. */
sbx_status http_many_next(struct http_many *many, struct sbx_call *call, int64_t until_ns, size_t *slot);

/* A connection that the service has turned into a stream of bytes. One thread at a time. */
struct http_tunnel;
/* Sends the request (method, path and body count) over a connection of its own and asks for an upgrade. SBX_OK with a
 * tunnel, or without one and with the reply that came instead. Failures as of http_run. */
sbx_status http_upgrade(struct http *http, struct sbx_call *call, const struct http_request *request,
                        struct http_reply *reply, struct http_tunnel **out);
/* Neither blocks: bytes; 0 (of a read): the end; SBX_AGAIN: poll the descriptor first; -1: it broke. */
int64_t http_tunnel_read(struct http_tunnel *tunnel, void *buf, size_t cap);
int64_t http_tunnel_write(struct http_tunnel *tunnel, const void *data, size_t len);
/* Ends our direction alone. -1 where TLS has no such thing. */
int http_tunnel_end_writes(struct http_tunnel *tunnel);
int http_tunnel_fd(const struct http_tunnel *tunnel);
void http_tunnel_close(struct http_tunnel *tunnel);

/* Appends a text as a part of a path or query: all but letters, digits and "-._~" as %XX. */
void http_put_escaped(struct buf *to, const char *text);
/* Whether HOST[:PORT] of so many bytes is this machine alone, where what is sent needs no TLS to stay private. */
int http_is_loopback(const char *host, size_t len);

#endif /* SBX_COMMON_HTTP_H */
