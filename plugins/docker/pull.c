/* SPDX-License-Identifier: MIT
 *
 * pull.c - has the daemon get an image. Its progress comes as one JSON object a line, and so does its failure, with
 * 200. How far it is goes to the host's log.
 */
#include "plugins/docker/create.h"
#include "plugins/docker/registry.h"

enum { LINE_LIMIT = 64 * 1024, MESSAGE_SIZE = 400, LAYERS_MAX = 128, LAYER_ID_SIZE = 16, TELL_MS = 2000 };

struct layer {
    char id[LAYER_ID_SIZE];
    int is_here;
    int64_t bytes; /* of it that have arrived */
};
struct pulling {
    const struct sbx_host *host;
    const char *image;
    struct buf line;
    int too_long; /* this line: its rest is dropped */
    char failure[MESSAGE_SIZE];
    struct layer layers[LAYERS_MAX]; /* more than a daemon takes; what is beyond is not counted */
    unsigned layer_count;
    int64_t told_ns;
    struct registry_login login;
};

static void tell(const struct pulling *p, const char *message)
{
    if (p->host != NULL && p->host->log != NULL)
        p->host->log(p->host->user, SBX_LOG_INFO, "create", message);
}

static struct layer *find_layer(struct pulling *p, const char *id)
{
    for (unsigned i = 0; i < p->layer_count; i++)
        if (strncmp(p->layers[i].id, id, LAYER_ID_SIZE - 1) == 0)
            return &p->layers[i];
    if (p->layer_count == LAYERS_MAX)
        return NULL;
    struct layer *layer = &p->layers[p->layer_count++];
    (void)snprintf(layer->id, sizeof layer->id, "%s", id);
    return layer;
}

/* What a line says of one layer; other lines name tags and digests. */
static void take_progress(struct pulling *p, const struct cJSON *json)
{
    static const struct {
        const char *status;
        int is_here;
    } known[] = {{"Pulling fs layer", 0},  {"Waiting", 0},    {"Downloading", 0},   {"Verifying Checksum", 1},
                 {"Download complete", 1}, {"Extracting", 1}, {"Pull complete", 1}, {"Already exists", 1}};
    const char *id = json_text(json, "id"), *status = json_text(json, "status");
    for (size_t i = 0; id != NULL && status != NULL && i < sizeof known / sizeof known[0]; i++) {
        struct layer *layer = strcmp(status, known[i].status) == 0 ? find_layer(p, id) : NULL;
        if (layer == NULL)
            continue;
        int64_t bytes = json_integer(json_member(json, "progressDetail"), "current", 0);
        layer->is_here = known[i].is_here;
        if (strcmp(status, "Downloading") == 0 && bytes > layer->bytes)
            layer->bytes = bytes;
    }
}

static void tell_progress(struct pulling *p)
{
    char message[MESSAGE_SIZE];
    unsigned here = 0;
    double bytes = 0;
    int64_t now_ns = clock_now_ns();
    if (p->layer_count == 0 || now_ns - p->told_ns < TELL_MS * MS_NS)
        return;
    p->told_ns = now_ns;
    for (unsigned i = 0; i < p->layer_count; i++) {
        here += p->layers[i].is_here != 0;
        bytes += (double)p->layers[i].bytes;
    }
    (void)snprintf(message, sizeof message, "image '%s': %u of %u layers, %.1f MiB", p->image, here, p->layer_count,
                   bytes / (1 << 20));
    tell(p, message);
}

static void take_line(struct pulling *p)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    if (!p->too_long && p->line.len > 0 && json_parse(NULL, "pull", p->line.data, p->line.len, &json) == SBX_OK) {
        if (json_text(json, "error") != NULL)
            (void)snprintf(p->failure, sizeof p->failure, "%s", json_text(json, "error"));
        take_progress(p, json);
        tell_progress(p);
    }
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

/* What a registry says to who has no credentials, or the wrong ones; some say that there is no such image. */
static int is_denial(const char *reason)
{
    static const char *const words[] = {"denied", "unauthorized", "authentication required", "no basic auth"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(reason, words[i]) != NULL)
            return 1;
    return 0;
}

static sbx_status fail_pull(struct sbx_call *call, sbx_status status, const struct pulling *p, const char *reason)
{
    return call_fail(call, status, "create: image '%s' cannot be pulled: %s%s", p->image, reason,
                     is_denial(reason) ? p->login.note : "");
}

static void find_login(const struct sbx_backend *b, struct pulling *p)
{
    registry_find_login(b->settings.client_folder, p->image, &p->login);
    if (b->settings.is_private || p->login.header.len == 0)
        return;
    registry_finish(&p->login);
    (void)snprintf(p->login.note, sizeof p->login.note,
                   "; credentials are not sent to a daemon on another machine without TLS that is checked");
}

static void tell_begin(struct pulling *p)
{
    char message[MESSAGE_SIZE];
    (void)snprintf(message, sizeof message, "the daemon pulls image '%s'", p->image);
    tell(p, message);
    p->told_ns = clock_now_ns();
}

sbx_status pull_image(struct sbx_backend *b, struct sbx_call *call, const char *image)
{
    struct pulling p = {.host = b->host, .image = image};
    CLEANUP_BUF struct buf path;
    buf_init(&path, 16384);
    put_reference(&path, image);
    if (path.failed != 0)
        return call_fail(call, SBX_E_INVALID, "create: image '%s': the name is too long", image);
    find_login(b, &p);
    tell_begin(&p);
    buf_init(&p.line, LINE_LIMIT);
    const struct engine_request request = {.what = "create",
                                           .method = "POST",
                                           .path = path.data,
                                           .header = p.login.header.len > 0 ? p.login.header.data : NULL,
                                           .piece = take_piece,
                                           .user = &p};
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = engine_run(&b->engine, &inner, &request, NULL);
    if (status == SBX_OK)
        take_line(&p);
    buf_finish(&p.line);
    registry_finish(&p.login);
    if (status == SBX_OK && p.failure[0] != '\0')
        return fail_pull(call, SBX_E_NOT_FOUND, &p, p.failure);
    if (status == SBX_E_FAILED || status == SBX_E_NOT_FOUND || status == SBX_E_AUTH)
        return fail_pull(call, status, &p, error.message);
    if (status == SBX_E_UNKNOWN) /* a pull that goes on without us does no harm */
        return fail_pull(call, SBX_E_UNAVAILABLE, &p, error.message);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}
