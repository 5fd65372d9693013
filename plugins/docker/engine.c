/* SPDX-License-Identifier: MIT
 *
 * engine.c - see engine.h.
 */
#include "plugins/docker/engine.h"

#include <stdarg.h>

enum { PATH_LIMIT = 1 << 15 };
/* The versions of the API whose requests and replies this plugin knows. */
static const int oldest[2] = {1, 41}, newest[2] = {1, 52};

static int compare(const int *a, const int *b)
{
    return a[0] != b[0] ? a[0] - b[0] : a[1] - b[1];
}

static int parse_version(const char *text, int *version)
{
    char rest = '\0';
    int count = sscanf(text, "%4d.%4d%c", &version[0], &version[1], &rest);
    return count == 2 && version[0] > 0 && version[1] >= 0 ? 0 : -1;
}

/* The newest version that both know. */
static sbx_status agree(struct engine *engine, const char *theirs, struct sbx_call *call)
{
    int version[2] = {0, 0};
    if (parse_version(theirs, version) != 0)
        return call_fail(call, SBX_E_PROTOCOL,
                         "open: what answers is no Docker daemon: it names no version of the API");
    if (compare(version, oldest) < 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "open: the daemon speaks API version %d.%d; %d.%d or newer is needed",
                         version[0], version[1], oldest[0], oldest[1]);
    const int *agreed = compare(version, newest) < 0 ? version : newest;
    (void)snprintf(engine->version, sizeof engine->version, "v%d.%d", agreed[0], agreed[1]);
    return SBX_OK;
}

sbx_status engine_open(struct engine *engine, const struct http_options *options, struct sbx_call *call)
{
    const struct http_request ping = {.what = "open",
                                      .method = "GET",
                                      .path = "/_ping",
                                      .wanted = {"Api-Version", "Libpod-Api-Version"},
                                      .reply_limit = 1 << 16};
    CLEANUP_REPLY struct http_reply reply = {0};
    sbx_status status = http_open(options, call, &engine->http);
    if (status == SBX_OK)
        status = http_run(engine->http, call, &ping, &reply);
    if (status != SBX_OK)
        return status;
    if (reply.status == 401 || reply.status == 403)
        return call_fail(call, SBX_E_AUTH, "open: the daemon refuses us (HTTP %ld)", reply.status);
    if (reply.status >= 500)
        return call_fail(call, SBX_E_UNAVAILABLE, "open: the daemon is not ready (HTTP %ld)", reply.status);
    engine->is_podman = reply.header[1][0] != '\0'; /* whose service names itself; who is silent is a Docker daemon */
    return agree(engine, reply.header[0], call);
}

void engine_close(struct engine *engine)
{
    http_close(engine->http);
    engine->http = NULL;
}

/* --- failures ---------------------------------------------------------------------------------------------------- */

static sbx_status code_of(long status, const char *message)
{
    static const struct {
        long status;
        sbx_status code;
    } table[] = {{400, SBX_E_INVALID},     {401, SBX_E_AUTH},        {403, SBX_E_AUTH},       {404, SBX_E_NOT_FOUND},
                 {405, SBX_E_UNSUPPORTED}, {409, SBX_E_STATE},       {429, SBX_E_BUSY},       {501, SBX_E_UNSUPPORTED},
                 {502, SBX_E_UNAVAILABLE}, {503, SBX_E_UNAVAILABLE}, {504, SBX_E_UNAVAILABLE}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].code;
    if (strstr(message, "no space left") != NULL)
        return SBX_E_QUOTA;
    int is_conflict = /* podman's, with HTTP 500 */
        strstr(message, "container state improper") != NULL || strstr(message, "name is already in use") != NULL;
    return is_conflict ? SBX_E_STATE : SBX_E_FAILED;
}

sbx_status engine_refused(const char *what, const struct http_reply *reply, struct sbx_call *call)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    const char *message = NULL;
    char text[400];
    if (reply->body.len > 0 && json_parse(NULL, what, reply->body.data, reply->body.len, &json) == SBX_OK)
        message = json_text(json, "message");
    (void)snprintf(text, sizeof text, "%s", message != NULL ? message : "no reason given");
    for (size_t len = strlen(text); len > 0 && (text[len - 1] == '\n' || text[len - 1] == '.'); len--)
        text[len - 1] = '\0';
    sbx_status status =
        call_fail(call, code_of(reply->status, text), "%s: the daemon says: %s (HTTP %ld)", what, text, reply->status);
    call_provider_status(call, (int)reply->status);
    return status;
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

sbx_status engine_run(struct engine *engine, struct sbx_call *call, const struct engine_request *request,
                      struct cJSON **json)
{
    CLEANUP_REPLY struct http_reply reply = {0};
    CLEANUP_BUF struct buf path;
    buf_init(&path, PATH_LIMIT);
    if (buf_format(&path, "/%s%s", engine->version, request->path) != 0)
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", request->what);
    const struct http_request http = {.what = request->what,
                                      .method = request->method != NULL ? request->method : "GET",
                                      .path = path.data,
                                      .body = request->body,
                                      .body_len = request->body != NULL ? strlen(request->body) : 0,
                                      .header = request->header,
                                      .reply_limit = request->reply_limit,
                                      .upload = request->upload,
                                      .body_fd = request->body_fd,
                                      .piece = request->piece,
                                      .user = request->user};
    sbx_status status = http_run(engine->http, call, &http, &reply);
    if (status != SBX_OK)
        return status;
    if ((reply.status < 200 || reply.status > 299) && reply.status != 304)
        return engine_refused(request->what, &reply, call);
    return json == NULL ? SBX_OK : json_parse(call, request->what, reply.body.data, reply.body.len, json);
}

static char *make_path(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static char *make_path(const char *format, va_list args)
{
    char *path = NULL;
    return vasprintf(&path, format, args) < 0 ? NULL : path;
}

sbx_status engine_get(struct engine *engine, struct sbx_call *call, const char *what, struct cJSON **json,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    CLEANUP_FREE char *path = make_path(format, args);
    va_end(args);
    if (path == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", what);
    return engine_run(engine, call, &(const struct engine_request){.what = what, .path = path}, json);
}

sbx_status engine_do(struct engine *engine, struct sbx_call *call, const char *what, const char *method,
                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    CLEANUP_FREE char *path = make_path(format, args);
    va_end(args);
    if (path == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", what);
    return engine_run(engine, call, &(const struct engine_request){.what = what, .method = method, .path = path}, NULL);
}

int engine_is_reference(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return len > 0 && len < 256 && text[len] == '\0' && text[0] != '.' && text[0] != '-';
}
