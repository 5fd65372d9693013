/* SPDX-License-Identifier: MIT
 *
 * api.c - see api.h.
 */
#include "plugins/runloop/api.h"

#include "plugins/runloop/chunk.h"

#include <sys/random.h>

enum { ATTEMPTS = 6, ATTEMPT_MS = 30000, PAUSE_FIRST_MS = 1000, PAUSE_MAX_MS = 60000 };

/* What a reply's head says about sending the request again. */
struct advice {
    int retry; /* 1, 0; -1: it says nothing */
    int64_t after_ms;
    int has_given; /* of the body to the caller */
    int (*piece)(void *user, const void *data, size_t len);
    void *user;
};

sbx_status api_open(struct api *api, const char *base, const char *ca, const char *key, struct sbx_call *call)
{
    const struct http_options options = {.base = base, .ca = ca};
    if (asprintf(&api->auth, "Authorization: Bearer %s", key) < 0) {
        api->auth = NULL;
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    }
    return http_open(&options, call, &api->http);
}

void api_close(struct api *api)
{
    http_close(api->http);
    if (api->auth != NULL)
        explicit_bzero(api->auth, strlen(api->auth));
    free(api->auth);
    memset(api, 0, sizeof *api);
}

void api_token(char token[33])
{
    unsigned char bytes[16] = {0};
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes) {
        int64_t now = clock_now_ns();
        memcpy(bytes, &now, sizeof now);
        now = (int64_t)(uintptr_t)token;
        memcpy(bytes + sizeof now, &now, sizeof now);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
}

void api_headers(const struct api *api, const char *accept, char storage[API_LINE], const char *lines[API_HEADERS])
{
    char token[33];
    api_token(token);
    (void)snprintf(storage, API_LINE, "x-request-id: sbx-%s", token);
    lines[0] = api->auth;
    lines[1] = accept != NULL ? accept : "Accept: application/json";
    lines[2] = storage;
    lines[3] = NULL;
}

void api_limit(struct sbx_call *inner, const struct sbx_call *call, uint32_t ms, int *own)
{
    sbx_view(inner, sizeof *inner, call);
    inner->size = sizeof *inner;
    *own = call_limit(inner, ms);
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static sbx_status code_of(long status, int is_safe)
{
    static const struct {
        long status;
        sbx_status code;
    } table[] = {{400, SBX_E_INVALID}, {401, SBX_E_AUTH},       {403, SBX_E_AUTH},      {404, SBX_E_NOT_FOUND},
                 {409, SBX_E_BUSY},    {410, SBX_E_GONE},       {413, SBX_E_TOO_LARGE}, {422, SBX_E_INVALID},
                 {429, SBX_E_BUSY},    {501, SBX_E_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].code;
    if (status == 408 || status >= 500)
        return is_safe ? SBX_E_UNAVAILABLE : SBX_E_UNKNOWN;
    return SBX_E_FAILED;
}

/* The service's own words, without the key should it repeat that. */
static void words_of(const struct api *api, const struct http_reply *reply, char *text, size_t size)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    const char *key = api->auth != NULL ? strrchr(api->auth, ' ') : NULL, *message = NULL;
    if (reply->body.len > 0 && json_parse(NULL, "", reply->body.data, reply->body.len, &json) == SBX_OK) {
        message = json_text(json, "message");
        if (message == NULL)
            message = json_text(json, "error");
    }
    (void)snprintf(text, size, "%s", message != NULL ? message : "no reason given");
    if (key != NULL && key[1] != '\0' && strstr(text, key + 1) != NULL)
        (void)snprintf(text, size, "words that hold the key are not shown");
    for (size_t len = strlen(text); len > 0 && strchr("\n. ", text[len - 1]) != NULL; len--)
        text[len - 1] = '\0';
}

sbx_status api_verdict(const struct api *api, const char *what, int is_safe, const struct http_reply *reply,
                       struct sbx_call *call)
{
    char text[300];
    if (reply->status >= 200 && reply->status < 300)
        return SBX_OK;
    words_of(api, reply, text, sizeof text);
    sbx_status code = code_of(reply->status, is_safe);
    (void)call_fail(call, code, "%s: runloop says: %s (HTTP %ld)", what, text, reply->status);
    if (code == SBX_E_UNKNOWN)
        call_maybe_applied(call, NULL);
    call_provider_status(call, (int)reply->status);
    return code;
}

/* --- sending again ----------------------------------------------------------------------------------------------- */

static int header_is(const char *line, size_t len, const char *name, char *value, size_t size)
{
    size_t at = strlen(name);
    if (len <= at || strncasecmp(line, name, at) != 0)
        return 0;
    while (at < len && line[at] == ' ')
        at++;
    size_t n = strcspn(line + at, "\r\n") < len - at ? strcspn(line + at, "\r\n") : len - at;
    (void)snprintf(value, size, "%.*s", (int)(n < size ? n : size - 1), line + at);
    return 1;
}

static void take_head(void *user, const char *line, size_t len)
{
    struct advice *advice = user;
    char copy[128], value[64];
    (void)snprintf(copy, sizeof copy, "%.*s", (int)(len < sizeof copy ? len : sizeof copy - 1), line);
    len = strlen(copy);
    if (header_is(copy, len, "x-should-retry:", value, sizeof value))
        advice->retry = strcasecmp(value, "true") == 0 ? 1 : strcasecmp(value, "false") == 0 ? 0 : -1;
    else if (header_is(copy, len, "retry-after-ms:", value, sizeof value))
        advice->after_ms = strtoll(value, NULL, 10);
    else if (header_is(copy, len, "retry-after:", value, sizeof value) && advice->after_ms == 0)
        advice->after_ms = (int64_t)(strtod(value, NULL) * 1000);
}

static int take_piece(void *user, const void *data, size_t len)
{
    struct advice *advice = user;
    advice->has_given = 1;
    return advice->piece(advice->user, data, len);
}

/* Whether what came back allows one more attempt. `lost`: there is no answer. */
static int may_repeat(const struct api_request *request, const struct advice *advice, sbx_status status, long http)
{
    int is_safe = request->body == NULL || request->is_safe;
    if (advice->has_given)
        return 0;
    if (status == SBX_E_UNAVAILABLE && http == 0)
        return 1; /* nothing was sent, or nothing is changed by it */
    if (http == 0)
        return is_safe && status == SBX_E_UNKNOWN;
    if (advice->retry >= 0)
        return advice->retry;
    return http == 429 || (is_safe && (http == 408 || http >= 500) && http != 501);
}

static int64_t pause_ms(const struct advice *advice, int attempt)
{
    uint32_t random = 0;
    if (advice->after_ms > 0 && advice->after_ms <= PAUSE_MAX_MS)
        return advice->after_ms;
    (void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
    int64_t ms = (int64_t)PAUSE_FIRST_MS << attempt;
    return ms - ms / 4 * (random % 1000) / 1000;
}

/* The end of an attempt's own time is no end of the call's; but what was sent may have been done. */
static sbx_status judge_timeout(struct sbx_call *call, const char *what, int own, int is_safe)
{
    sbx_status status = SBX_E_TIMEOUT;
    if (own)
        status = call_fail(call, is_safe ? SBX_E_UNAVAILABLE : SBX_E_UNKNOWN, "%s: runloop does not answer", what);
    else
        (void)call_fail(call, status, "%s: the call's deadline is over%s", what,
                        is_safe ? "" : ", and it may have been done");
    if (!is_safe)
        call_maybe_applied(call, NULL);
    return status;
}

static sbx_status read_answer(struct sbx_call *call, const char *what, struct http_reply *reply, struct cJSON **json)
{
    if (json == NULL || reply->body.len == 0)
        return SBX_OK;
    if (text_hide(&reply->body) != 0)
        return call_fail(call, SBX_E_PROTOCOL, "%s: the answer is no text", what);
    return json_parse(call, what, reply->body.data, reply->body.len, json);
}

static size_t body_length(const struct api_request *r)
{
    return r->body == NULL ? 0 : r->body_len != 0 ? r->body_len : strlen(r->body);
}

/* One attempt. *http is 0 where no answer came. */
static sbx_status attempt(struct api *api, struct sbx_call *call, const struct api_request *r, const char *const *lines,
                          struct advice *advice, struct cJSON **json, long *http)
{
    CLEANUP_REPLY struct http_reply reply = {0};
    struct sbx_call inner;
    int own = 0, is_safe = r->body == NULL || r->is_safe;
    const struct http_request request = {
        .what = r->what,
        .method = r->body != NULL ? "POST" : "GET",
        .path = r->path,
        .body = r->body,
        .body_len = body_length(r),
        .body_type = r->type,
        .headers = lines,
        .reply_limit = r->reply_limit,
        .piece = r->piece != NULL ? take_piece : NULL,
        .head = take_head,
        .user = advice,
    };
    api_limit(&inner, call, r->limit_ms != 0 ? r->limit_ms : ATTEMPT_MS, &own);
    *advice = (struct advice){.retry = -1, .piece = r->piece, .user = r->user};
    *http = 0;
    sbx_status status = http_run(api->http, &inner, &request, &reply);
    if (status == SBX_E_TIMEOUT)
        status = judge_timeout(call, r->what, own, is_safe);
    if (status != SBX_OK)
        return status;
    *http = reply.status;
    if (r->is_poll && reply.status == 408)
        return SBX_OK;
    status = api_verdict(api, r->what, is_safe, &reply, call);
    return status == SBX_OK ? read_answer(call, r->what, &reply, json) : status;
}

sbx_status api_run(struct api *api, struct sbx_call *call, const struct api_request *request, struct cJSON **json)
{
    char storage[API_LINE];
    const char *lines[API_HEADERS];
    struct sbx_error error;
    struct sbx_call inner;
    sbx_status status = SBX_OK;
    call_shadow(&inner, &error, call);
    api_headers(api, request->accept, storage, lines);
    if (request->body == NULL)
        lines[2] = NULL;
    for (int i = 0; i < ATTEMPTS; i++) {
        struct advice advice;
        long http = 0;
        int ready = 0;
        status = attempt(api, &inner, request, lines, &advice, json, &http);
        if (status == SBX_OK || !may_repeat(request, &advice, status, http))
            break;
        int64_t until_ns = clock_now_ns() + pause_ms(&advice, i) * MS_NS;
        if (i + 1 == ATTEMPTS || (inner.deadline_ns != 0 && until_ns >= inner.deadline_ns))
            break;
        struct sbx_error kept = error;
        sbx_status paused = call_poll(&inner, NULL, 0, until_ns, &ready);
        if (paused != SBX_OK && status == SBX_E_UNKNOWN)
            error = kept;
        else if (paused != SBX_OK)
            status = paused;
        if (paused != SBX_OK)
            break;
    }
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}
