/* SPDX-License-Identifier: MIT
 *
 * pull.c - has the daemon get an image. Its progress comes as one JSON object a line, and so does its failure, with
 * 200.
 */
#include "plugins/docker/create.h"

enum { LINE_LIMIT = 64 * 1024, MESSAGE_SIZE = 400 };

struct pulling {
    struct buf line;
    int too_long; /* this line: its rest is dropped */
    char failure[MESSAGE_SIZE];
};

static void take_line(struct pulling *p)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    if (!p->too_long && p->line.len > 0 && json_parse(NULL, "pull", p->line.data, p->line.len, &json) == SBX_OK &&
        json_text(json, "error") != NULL)
        (void)snprintf(p->failure, sizeof p->failure, "%s", json_text(json, "error"));
    buf_consume(&p->line, p->line.len);
    p->too_long = 0;
}

static int take_piece(void *user, const void *data, size_t len)
{
    struct pulling *p = user;
    const char *at = data, *end = at + len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t part = (size_t)((newline == NULL ? end : newline) - at);
        if (p->line.len + part > LINE_LIMIT)
            p->too_long = 1;
        else if (buf_append(&p->line, at, part) != 0)
            return -1;
        if (newline != NULL)
            take_line(p);
        at += part + (newline != NULL);
    }
    return 0;
}

/* "name", "name:tag" or "name@digest" as the request wants it. */
static void put_reference(struct buf *path, const char *image)
{
    const char *slash = strrchr(image, '/'), *colon = strrchr(image, ':');
    int has_tag = strchr(image, '@') == NULL && colon != NULL && (slash == NULL || colon > slash);
    CLEANUP_BUF struct buf name;
    buf_init(&name, 4096);
    (void)buf_append(&name, image, has_tag ? (size_t)(colon - image) : strlen(image));
    (void)buf_text(path, "/images/create?fromImage=");
    http_put_escaped(path, name.failed == 0 && name.len > 0 ? name.data : "");
    if (strchr(image, '@') != NULL)
        return;
    (void)buf_text(path, "&tag=");
    http_put_escaped(path, has_tag ? colon + 1 : "latest");
}

/* What a registry says to who has no credentials; some say that there is no such image. */
static const char *hint(const char *reason)
{
    static const char *const words[] = {"denied", "unauthorized", "authentication required", "no basic auth"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(reason, words[i]) != NULL)
            return "; it is pulled without credentials: where some are needed, `docker pull` it first";
    return "";
}

sbx_status pull_image(struct sbx_backend *b, struct sbx_call *call, const char *image)
{
    struct pulling p = {.too_long = 0};
    CLEANUP_BUF struct buf path;
    buf_init(&path, 16384);
    put_reference(&path, image);
    if (path.failed != 0)
        return call_fail(call, SBX_E_INVALID, "create: image '%s': the name is too long", image);
    if (b->host != NULL && b->host->log != NULL)
        b->host->log(b->host->user, SBX_LOG_INFO, "create", "the image is not there; the daemon pulls it");
    buf_init(&p.line, LINE_LIMIT);
    const struct engine_request request = {
        .what = "create", .method = "POST", .path = path.data, .piece = take_piece, .user = &p};
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = engine_run(&b->engine, &inner, &request, NULL);
    if (status == SBX_OK)
        take_line(&p);
    buf_finish(&p.line);
    if (status == SBX_OK && p.failure[0] != '\0')
        return call_fail(call, SBX_E_NOT_FOUND, "create: image '%s' cannot be pulled: %s%s", image, p.failure,
                         hint(p.failure));
    if (status == SBX_E_FAILED || status == SBX_E_NOT_FOUND)
        return call_fail(call, status, "create: image '%s' cannot be pulled: %s%s", image, error.message,
                         hint(error.message));
    if (status == SBX_E_UNKNOWN) /* a pull that goes on without us does no harm */
        return call_fail(call, SBX_E_UNAVAILABLE, "create: image '%s' cannot be pulled: %s", image, error.message);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}
