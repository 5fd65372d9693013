/* SPDX-License-Identifier: MIT
 *
 * http_tunnel.c - a connection that becomes a stream of bytes: libcurl connects, the request's few lines are ours.
 */
#include "plugins/common/http_inside.h"

#include "base/cleanup.h"
#include "base/parse.h"

#include <sys/socket.h>

struct http_tunnel {
    const struct http *http;
    struct worker *worker;
    curl_socket_t fd;
    struct buf early; /* what came with the head */
};

void http_tunnel_close(struct http_tunnel *tunnel)
{
    if (tunnel == NULL)
        return;
    http_worker_destroy(tunnel->worker);
    buf_finish(&tunnel->early);
    free(tunnel);
}

int http_tunnel_fd(const struct http_tunnel *tunnel)
{
    return tunnel->fd;
}

static int64_t receive(struct http_tunnel *tunnel, void *buf, size_t cap)
{
    size_t n = 0;
    CURLcode code = curl_easy_recv(tunnel->worker->easy, buf, cap, &n);
    return code == CURLE_OK ? (int64_t)n : code == CURLE_AGAIN ? SBX_AGAIN : -1;
}

int64_t http_tunnel_read(struct http_tunnel *tunnel, void *buf, size_t cap)
{
    if (tunnel->early.len == 0)
        return receive(tunnel, buf, cap);
    size_t n = tunnel->early.len < cap ? tunnel->early.len : cap;
    memcpy(buf, tunnel->early.data, n);
    buf_consume(&tunnel->early, n);
    return (int64_t)n;
}

int64_t http_tunnel_write(struct http_tunnel *tunnel, const void *data, size_t len)
{
    size_t n = 0;
    struct quiet quiet;
    if (tunnel->http->is_tls)
        http_quiet_begin(&quiet);
    CURLcode code = curl_easy_send(tunnel->worker->easy, data, len, &n);
    if (tunnel->http->is_tls)
        http_quiet_end(&quiet);
    return code == CURLE_OK ? (int64_t)n : code == CURLE_AGAIN ? SBX_AGAIN : -1;
}

int http_tunnel_end_writes(struct http_tunnel *tunnel)
{
    return tunnel->http->is_tls ? -1 : shutdown(tunnel->fd, SHUT_WR);
}

static sbx_status cut_off(struct http_tunnel *tunnel, struct sbx_call *call, const char *what)
{
    const struct http_options *o = &tunnel->http->options;
    sbx_status status = call_fail(call, SBX_E_UNKNOWN, "%s: asked of '%s', but no whole answer came", what,
                                  o->unix_path != NULL ? o->unix_path : o->base);
    call_maybe_applied(call, NULL);
    return status;
}

static sbx_status wait_tunnel(struct http_tunnel *tunnel, struct sbx_call *call, short events)
{
    struct pollfd wait = {.fd = tunnel->fd, .events = events};
    int ready = 0;
    return call_poll(call, &wait, 1, 0, &ready);
}

static sbx_status send_request(struct http_tunnel *tunnel, struct sbx_call *call, const struct http_request *request)
{
    CLEANUP_BUF struct buf text;
    buf_init(&text, 1 << 24);
    (void)buf_format(&text,
                     "%s %s HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
                     request->method, request->path, request->body_len);
    (void)buf_append(&text, request->body != NULL ? request->body : "", request->body_len);
    if (text.failed != 0)
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", request->what);
    for (size_t at = 0; at < text.len;) {
        int64_t n = http_tunnel_write(tunnel, text.data + at, text.len - at);
        sbx_status status = n == SBX_AGAIN ? wait_tunnel(tunnel, call, POLLOUT) : SBX_OK;
        if (status != SBX_OK)
            return status;
        if (n == -1)
            return cut_off(tunnel, call, request->what);
        at += n > 0 ? (size_t)n : 0;
    }
    return SBX_OK;
}

/* The length of a whole head among what came; 0: not yet. */
static size_t head_length(const struct http_tunnel *tunnel)
{
    const char *end = tunnel->early.len == 0 ? NULL : memmem(tunnel->early.data, tunnel->early.len, "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - tunnel->early.data) + 4;
}

/* Until `len` bytes are there, or with 0 a whole head. */
static sbx_status gather(struct http_tunnel *tunnel, struct sbx_call *call, const char *what, size_t len)
{
    while (len == 0 ? head_length(tunnel) == 0 : tunnel->early.len < len) {
        char *space = tunnel->early.len > HEADERS_MAX ? NULL : buf_space(&tunnel->early, 4096);
        if (space == NULL)
            return call_fail(call, SBX_E_PROTOCOL, "%s: the service's answer is too long", what);
        int64_t n = receive(tunnel, space, 4096);
        sbx_status status = n == SBX_AGAIN ? wait_tunnel(tunnel, call, POLLIN) : SBX_OK;
        if (status != SBX_OK)
            return status;
        if (n == 0 || n == -1)
            return cut_off(tunnel, call, what);
        tunnel->early.len += n > 0 ? (size_t)n : 0;
    }
    return SBX_OK;
}

/* 101 (or 200, as some say) leaves the stream alone in the tunnel; anything else is a reply with its body. */
static sbx_status take_answer(struct http_tunnel *tunnel, struct sbx_call *call, const char *what,
                              struct http_reply *reply)
{
    char length[32] = "";
    sbx_status status = gather(tunnel, call, what, 0);
    if (status != SBX_OK)
        return status;
    size_t head = head_length(tunnel);
    tunnel->early.data[head - 1] = '\0';
    if (sscanf(tunnel->early.data, "HTTP/1.%*1d %3ld", &reply->status) != 1)
        return call_fail(call, SBX_E_PROTOCOL, "%s: what answers does not speak HTTP", what);
    for (char *line = strstr(tunnel->early.data, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
        http_keep_header(line + 2, strcspn(line + 2, "\r"), "Content-Length", length, sizeof length);
    buf_consume(&tunnel->early, head);
    if (reply->status == 101 || (reply->status == 200 && length[0] == '\0'))
        return SBX_OK;
    int64_t len = 0;
    if (parse_int(length, &len) == 0 && len > 0 && len < HEADERS_MAX)
        status = gather(tunnel, call, what, (size_t)len);
    if (status == SBX_OK && buf_append(&reply->body, tunnel->early.data, tunnel->early.len) != 0)
        status = call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", what);
    return status;
}

static sbx_status connect_tunnel(struct http_tunnel *tunnel, struct sbx_call *call, const struct http_request *request,
                                 struct http_reply *reply)
{
    struct transfer t = {.request = request, .reply = reply, .easy = tunnel->worker->easy, .head_came = 1};
    CURLcode code = CURLE_OK;
    http_set_service(tunnel->http, t.easy);
    (void)curl_easy_setopt(t.easy, CURLOPT_ERRORBUFFER, t.why);
    (void)curl_easy_setopt(t.easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(t.easy, CURLOPT_URL, tunnel->http->options.base);
    sbx_status status = http_drive(tunnel->http, tunnel->worker, call, &code);
    if (status == SBX_OK)
        status = http_judge(tunnel->http, &t, code, call);
    (void)curl_easy_setopt(t.easy, CURLOPT_ERRORBUFFER, NULL);
    if (status == SBX_OK && curl_easy_getinfo(t.easy, CURLINFO_ACTIVESOCKET, &tunnel->fd) != CURLE_OK)
        status = call_fail(call, SBX_E_FAILED, "%s: libcurl has no connection", request->what);
    return status;
}

sbx_status http_upgrade(struct http *http, struct sbx_call *call, const struct http_request *request,
                        struct http_reply *reply, struct http_tunnel **out)
{
    memset(reply, 0, sizeof *reply);
    buf_init(&reply->body, REPLY_LIMIT);
    *out = NULL;
    sbx_status status = call_check(call);
    if (status != SBX_OK)
        return status;
    struct http_tunnel *tunnel = calloc(1, sizeof *tunnel);
    if (tunnel != NULL)
        tunnel->worker = http_worker_make();
    if (tunnel == NULL || tunnel->worker == NULL) {
        free(tunnel);
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", request->what);
    }
    tunnel->http = http;
    buf_init(&tunnel->early, 2 * HEADERS_MAX);
    status = connect_tunnel(tunnel, call, request, reply);
    if (status == SBX_OK)
        status = send_request(tunnel, call, request);
    if (status == SBX_OK)
        status = take_answer(tunnel, call, request->what, reply);
    if (status == SBX_OK && (reply->status == 101 || (reply->status == 200 && reply->body.len == 0)))
        *out = tunnel;
    else
        http_tunnel_close(tunnel);
    return status;
}
