/* SPDX-License-Identifier: MIT
 *
 * http_many.c - several requests under way at once on one thread; see http.h.
 */
#include "plugins/common/http_inside.h"

#include "base/cleanup.h"

/* What a transfer needs as long as it is under way. */
struct slot {
    struct transfer transfer;
    struct curl_slist *headers;
    struct buf url;
    int is_busy;
};

struct http_many {
    struct http *http;
    struct worker *worker;
    struct slot slots[HTTP_MANY];
};

sbx_status http_many_open(struct http *http, struct sbx_call *call, struct http_many **out)
{
    struct http_many *many = calloc(1, sizeof *many);
    if (many != NULL)
        many->worker = http_worker_borrow(http);
    if (many == NULL || many->worker == NULL) {
        free(many);
        return call_fail(call, SBX_E_NO_MEMORY, "http: no memory");
    }
    many->http = http;
    *out = many;
    return SBX_OK;
}

void http_many_close(struct http_many *many)
{
    if (many == NULL)
        return;
    for (size_t i = 0; i < HTTP_MANY; i++)
        http_many_stop(many, i);
    http_worker_give_back(many->http, many->worker);
    free(many);
}

int http_many_is_busy(const struct http_many *many, size_t slot)
{
    return many->slots[slot].is_busy;
}

void http_many_stop(struct http_many *many, size_t slot)
{
    struct slot *s = &many->slots[slot];
    if (s->is_busy) {
        (void)curl_easy_getinfo(s->transfer.easy, CURLINFO_RESPONSE_CODE, &s->transfer.reply->status);
        (void)curl_multi_remove_handle(many->worker->multi, s->transfer.easy);
    }
    s->is_busy = 0;
    http_headers_free(s->headers);
    s->headers = NULL;
    buf_finish(&s->url);
}

/* The first transfer of a worker is there already. */
static CURL *easy_of(struct worker *worker, size_t slot)
{
    if (slot == 0)
        return worker->easy;
    if (worker->more[slot - 1] == NULL)
        worker->more[slot - 1] = curl_easy_init();
    return worker->more[slot - 1];
}

sbx_status http_many_start(struct http_many *many, struct sbx_call *call, size_t slot,
                           const struct http_request *request, struct http_reply *reply)
{
    struct slot *s = &many->slots[slot];
    CURL *easy = easy_of(many->worker, slot);
    memset(reply, 0, sizeof *reply);
    buf_init(&reply->body, request->reply_limit != 0 ? request->reply_limit : REPLY_LIMIT);
    memset(s, 0, sizeof *s);
    s->transfer = (struct transfer){.request = request, .reply = reply, .easy = easy};
    buf_init(&s->url, 1 << 16);
    if (easy == NULL || buf_format(&s->url, "%s%s", many->http->options.base, request->path) != 0) {
        http_many_stop(many, slot);
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", request->what);
    }
    curl_easy_reset(easy);
    http_set_service(many->http, easy);
    if (http_set_request(&s->transfer, s->url.data, &s->headers) != SBX_OK ||
        curl_multi_add_handle(many->worker->multi, easy) != CURLM_OK) {
        http_many_stop(many, slot);
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", request->what);
    }
    s->is_busy = 1;
    return SBX_OK;
}

/* SBX_OK: a transfer is through, *easy with *code, or it is until_ns and *easy is NULL. */
static sbx_status drive(struct http_many *many, struct sbx_call *call, int64_t until_ns, CURL **easy, CURLcode *code)
{
    *easy = NULL;
    for (int running = 1, left = 0;;) {
        if (curl_multi_perform(many->worker->multi, &running) != CURLM_OK)
            return call_fail(call, SBX_E_FAILED, "http: libcurl cannot go on");
        const CURLMsg *message = curl_multi_info_read(many->worker->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            *easy = message->easy_handle;
            *code = message->data.result;
            return SBX_OK;
        }
        if (until_ns != 0 && clock_now_ns() >= until_ns)
            return SBX_OK;
        sbx_status status = http_wait_more(many->worker->multi, call, until_ns);
        if (status != SBX_OK)
            return status;
    }
}

sbx_status http_many_next(struct http_many *many, struct sbx_call *call, int64_t until_ns, size_t *slot)
{
    struct quiet quiet;
    CURL *easy = NULL;
    CURLcode code = CURLE_OK;
    *slot = HTTP_MANY;
    if (many->http->is_tls)
        http_quiet_begin(&quiet);
    sbx_status status = drive(many, call, until_ns, &easy, &code);
    if (many->http->is_tls)
        http_quiet_end(&quiet);
    for (size_t i = 0; status == SBX_OK && easy != NULL && i < HTTP_MANY; i++) {
        struct slot *s = &many->slots[i];
        if (!s->is_busy || s->transfer.easy != easy)
            continue;
        *slot = i;
        status = http_judge(many->http, &s->transfer, code, call);
        http_many_stop(many, i);
        break;
    }
    return status;
}
