/* SPDX-License-Identifier: MIT
 *
 * http_inside.h - what http.c, http_many.c and http_tunnel.c share.
 */
#ifndef SBX_COMMON_HTTP_INSIDE_H
#define SBX_COMMON_HTTP_INSIDE_H

#include "plugins/common/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>

enum { REPLY_LIMIT = 1 << 20, HEADERS_MAX = 64 * 1024 };

/* Transfers and the connections that they leave behind; used by one thread at a time. */
struct worker {
    struct worker *next;
    CURLM *multi;
    CURL *easy;
    CURL *more[HTTP_MANY - 1]; /* made when they were needed */
};

struct http {
    struct http_options options;
    char *texts[5]; /* what options point to */
    int is_tls;
    pthread_mutex_t lock; /* guards the three below */
    pid_t owner;          /* the process whose connections the idle ones hold */
    struct worker *idle;
    uint32_t idle_count;
};

/* One request under way. */
struct transfer {
    const struct http_request *request;
    struct http_reply *reply;
    CURL *easy;
    size_t header_bytes;
    off_t sent;    /* of the file */
    int attempts;  /* to send the request; more than one: the connection died under the first */
    int head_came; /* whole: libcurl takes a head that is cut for one without a body */
    int too_large;
    int stopped;
    char why[CURL_ERROR_SIZE];
};

struct worker *http_worker_make(void); /* NULL: no memory */
void http_worker_destroy(struct worker *worker);
/* One that is idle, or a new one; NULL: no memory. */
struct worker *http_worker_borrow(struct http *http);
void http_worker_give_back(struct http *http, struct worker *worker);
/* The lines may hold credentials: they are overwritten first. */
void http_headers_free(struct curl_slist *headers);
/* The request itself; `url` and the headers, which the caller frees, must live as long as the transfer. */
sbx_status http_set_request(struct transfer *t, const char *url, struct curl_slist **headers);
/* Waits for libcurl's descriptors and the cancel token, but no longer than until until_ns (0: no such limit) and than
 * the call may. */
sbx_status http_wait_more(CURLM *multi, struct sbx_call *call, int64_t until_ns);
/* How to reach the service. */
void http_set_service(const struct http *http, CURL *easy);
/* SBX_OK: libcurl is through, and says how in *code. The caller takes the transfer out of the worker's multi. */
sbx_status http_drive(const struct http *http, struct worker *worker, struct sbx_call *call, CURLcode *code);
/* What a transfer that did not end well means for who asked. */
sbx_status http_judge(const struct http *http, const struct transfer *t, CURLcode code, struct sbx_call *call);
/* The value of the one header that is wanted, if this line is it. */
void http_keep_header(const char *line, size_t len, const char *wanted, char *value, size_t size);

/* OpenSSL writes without MSG_NOSIGNAL: in between, a signal that a write of ours raises is taken away again. */
struct quiet {
    sigset_t before;
    int was_pending;
};
void http_quiet_begin(struct quiet *quiet);
void http_quiet_end(const struct quiet *quiet);

#endif /* SBX_COMMON_HTTP_INSIDE_H */
