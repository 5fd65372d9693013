/* SPDX-License-Identifier: MIT
 *
 * api.h - requests to the Runloop service: the key, the retry policy, what its answers mean.
 */
#ifndef SBX_RUNLOOP_API_H
#define SBX_RUNLOOP_API_H

#include "plugins/common/http.h"
#include "plugins/common/json.h"

enum { API_HEADERS = 4, API_LINE = 80 };

struct api {
    struct http *http;
    char *auth; /* the header with the key; wiped at the end */
};

/* `base` as http_options has it. */
sbx_status api_open(struct api *api, const char *base, const char *ca, const char *key, struct sbx_call *call);
void api_close(struct api *api);

struct api_request {
    const char *what;                                       /* how messages begin */
    const char *path;                                       /* from /v1 on, escaped */
    const char *body;                                       /* of a POST; NULL: a GET */
    size_t body_len;                                        /* 0: a text */
    const char *type;                                       /* of the body; NULL: JSON */
    const char *accept;                                     /* NULL: JSON */
    int is_safe;                                            /* a POST that may be carried out twice; a GET always may */
    int is_poll;                                            /* 408 is an answer */
    uint32_t limit_ms;                                      /* of one attempt; 0: 30 s */
    size_t reply_limit;                                     /* 0: 1 MiB */
    int (*piece)(void *user, const void *data, size_t len); /* once it was called, nothing is sent again */
    void *user;
};
/* Sends it as often as the service's rules and the call's deadline allow: what may have been carried out is sent again
 * only when that does no harm. SBX_OK: a 2xx answer (`json`, unless NULL, gets it), or 408 to a poll (*json is NULL
 * then). Else SBX_E_INVALID (400, 422), AUTH (401, 403), NOT_FOUND, BUSY (409, 429), UNAVAILABLE (nothing was done),
 * UNKNOWN (it may have been), with error.provider_status and the service's own words. */
sbx_status api_run(struct api *api, struct sbx_call *call, const struct api_request *request, struct cJSON **json);

/* What one answer means; SBX_OK for 2xx. */
sbx_status api_verdict(const struct api *api, const char *what, int is_safe, const struct http_reply *reply,
                       struct sbx_call *call);
/* Lines for http_request.headers: `storage` keeps the one that is made up anew; all lent. */
void api_headers(const struct api *api, const char *accept, char storage[API_LINE], const char *lines[API_HEADERS]);
/* 128 random bits in hex. */
void api_token(char token[33]);

/* The deadline of a part of a call's work: at most `ms` from now. *own is its, not the caller's. */
void api_limit(struct sbx_call *inner, const struct sbx_call *call, uint32_t ms, int *own);

#endif /* SBX_RUNLOOP_API_H */
