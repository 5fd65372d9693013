/* SPDX-License-Identifier: MIT
 *
 * engine.h - requests to a Docker daemon, or to what speaks its API.
 */
#ifndef SBX_DOCKER_ENGINE_H
#define SBX_DOCKER_ENGINE_H

#include "plugins/common/http.h"
#include "plugins/common/json.h"

struct engine {
    struct http *http;
    char version[16]; /* of the API, as agreed on */
    int is_podman;    /* what answers is podman's service */
};

/* Connects and agrees on a version of the API; SBX_E_UNAVAILABLE when nobody answers. */
sbx_status engine_open(struct engine *engine, const struct http_options *options, struct sbx_call *call);
void engine_close(struct engine *engine);

struct engine_request {
    const char *what;   /* how messages begin */
    const char *method; /* NULL: GET */
    const char *path;   /* behind the version, escaped */
    const char *body;   /* JSON, or NULL */
    int body_fd;        /* with `upload`: a file that is sent instead, whole */
    int upload;
    const char *header; /* one more line, or NULL */
    size_t reply_limit; /* 0: 1 MiB */
    int (*piece)(void *user, const void *data, size_t len);
    void *user;
};
/* SBX_OK for a 2xx or 304 reply. Anything else is an error with the daemon's own words: NOT_FOUND for 404, STATE for
 * 409, INVALID for 400, AUTH, UNAVAILABLE, FAILED; error.provider_status has the number. `json` (may be NULL) gets the
 * reply, which must be JSON then. */
sbx_status engine_run(struct engine *engine, struct sbx_call *call, const struct engine_request *request,
                      struct cJSON **json);
/* GET with a path made by the format. */
sbx_status engine_get(struct engine *engine, struct sbx_call *call, const char *what, struct cJSON **json,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
/* POST or DELETE without a body, likewise; what comes back is dropped. */
sbx_status engine_do(struct engine *engine, struct sbx_call *call, const char *what, const char *method,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The error that a reply with another status than 2xx stands for. */
sbx_status engine_refused(const char *what, const struct http_reply *reply, struct sbx_call *call);

/* A container's id or name may stand in a path: nothing but letters, digits and "_.-". */
int engine_is_reference(const char *text);

#endif /* SBX_DOCKER_ENGINE_H */
