/* SPDX-License-Identifier: MIT
 *
 * stream.c - see stream.h.
 */
#include "plugins/docker/stream.h"

enum {
    INSPECT_LIMIT = 32 << 20,
    EMPTY_MAX = 4096 /* frames in a row without a payload: no daemon does that, and reading has to end */
};

static sbx_status make(struct stream *stream, struct sbx_call *call, const char *container, const char *body)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    const char *id = NULL;
    char path[160];
    (void)snprintf(path, sizeof path, "/containers/%s/exec", container);
    const struct engine_request request = {.what = "exec", .method = "POST", .path = path, .body = body};
    sbx_status status = engine_run(stream->engine, call, &request, &json);
    if (status == SBX_OK)
        status = json_need_text(call, "exec", json, "Id", &id);
    if (status == SBX_OK && (!engine_is_reference(id) || strlen(id) >= sizeof stream->id))
        status = call_fail(call, SBX_E_PROTOCOL, "exec: the daemon gave an id that is none");
    if (status == SBX_OK)
        (void)snprintf(stream->id, sizeof stream->id, "%s", id);
    return status;
}

static sbx_status start(struct stream *stream, struct sbx_call *call)
{
    CLEANUP_REPLY struct http_reply reply = {0};
    char path[160];
    const char *body = stream->raw ? "{\"Detach\":false,\"Tty\":true}" : "{\"Detach\":false,\"Tty\":false}";
    (void)snprintf(path, sizeof path, "/%s/exec/%s/start", stream->engine->version, stream->id);
    const struct http_request request = {
        .what = "exec", .method = "POST", .path = path, .body = body, .body_len = strlen(body)};
    sbx_status status = http_upgrade(stream->engine->http, call, &request, &reply, &stream->tunnel);
    if (status == SBX_OK && stream->tunnel == NULL)
        status = engine_refused("exec", &reply, call);
    return status;
}

sbx_status stream_open(struct stream *stream, struct engine *engine, struct sbx_call *call, const char *container,
                       const char *body, int raw)
{
    *stream = (struct stream){.engine = engine, .raw = raw};
    sbx_status status = make(stream, call, container, body);
    if (status == SBX_E_UNKNOWN) /* what was not started does nothing */
        status = SBX_E_UNAVAILABLE;
    return status == SBX_OK ? start(stream, call) : status;
}

void stream_close(struct stream *stream)
{
    http_tunnel_close(stream->tunnel);
    stream->tunnel = NULL;
}

/* 1: a payload is next; else what read said. */
static int64_t read_head(struct stream *stream)
{
    for (int empty = 0; stream->left == 0; empty++) {
        int64_t n = http_tunnel_read(stream->tunnel, stream->head + stream->have, STREAM_HEAD - stream->have);
        if (n <= 0)
            return n == 0 && stream->have > 0 ? -1 : n;
        stream->have += (size_t)n;
        if (stream->have < STREAM_HEAD)
            continue;
        const unsigned char *h = stream->head;
        if (empty > EMPTY_MAX || h[0] > 2 || h[1] != 0 || h[2] != 0 || h[3] != 0)
            return -1;
        stream->left = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
        stream->have = 0;
    }
    return 1;
}

int64_t stream_read(struct stream *stream, int *which, void *buf, size_t cap)
{
    *which = 1;
    if (stream->raw)
        return http_tunnel_read(stream->tunnel, buf, cap);
    int64_t n = read_head(stream);
    if (n <= 0)
        return n;
    *which = stream->head[0] == 2 ? 2 : 1;
    n = http_tunnel_read(stream->tunnel, buf, cap < stream->left ? cap : stream->left);
    if (n > 0)
        stream->left -= (size_t)n;
    return n == 0 ? -1 : n;
}

sbx_status stream_inspect(const struct stream *stream, struct sbx_call *call, struct stream_state *out)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    char path[96];
    (void)snprintf(path, sizeof path, "/exec/%s/json", stream->id);
    const struct engine_request request = {.what = "exec", .path = path, .reply_limit = INSPECT_LIMIT};
    sbx_status status = engine_run(stream->engine, call, &request, &json); /* it repeats the whole command */
    out->running = json_is_true(json, "Running");
    out->pid = json_integer(json, "Pid", 0);
    out->exit_code = json_integer(json, "ExitCode", -1);
    int is_clear =
        json_member(json, "Running") != NULL && (out->running || (out->exit_code >= 0 && out->exit_code < 256));
    if (status == SBX_OK && !is_clear)
        return call_fail(call, SBX_E_UNKNOWN, "exec: the daemon does not say how the command ended");
    return status;
}
