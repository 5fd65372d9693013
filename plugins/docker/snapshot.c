/* SPDX-License-Identifier: MIT
 *
 * snapshot.c - snapshots are images that the daemon commits: what the container's image said of user, entrypoint,
 * command and labels is put back, so that neither the guest nor anything of this sandbox's own is in them but its
 * files.
 */
#include "plugins/docker/container.h"

#include <inttypes.h>
#include <sys/random.h>

#define REPOSITORY "sbx-snapshot"
enum { BODY_LIMIT = 8 << 20, LIST_LIMIT = 256 << 20, IMAGE_LIMIT = 8 << 20 };

/* --- reports ----------------------------------------------------------------------------------------------------- */

static const char *hex_of(const char *id)
{
    return id != NULL && strncmp(id, "sha256:", 7) == 0 ? id + 7 : id;
}

/* `labels` are the image's. The metadata is one of them, as JSON. */
static sbx_status report(const char *id, int64_t created_ms, const struct cJSON *labels,
                         const struct sbx_snapshot_sink *out, struct sbx_call *call)
{
    struct sbx_snapshot_sink sink;
    CLEANUP_JSON struct cJSON *metadata = NULL;
    const char *text = json_text(labels, LABEL_METADATA), *name = json_text(labels, LABEL_NAME);
    size_t count = 0;
    if (text != NULL && json_parse(call, "snapshot", text, strlen(text), &metadata) != SBX_OK)
        return SBX_E_PROTOCOL;
    CLEANUP_FREE struct sbx_kv *items = calloc(json_count(metadata) + 1, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "snapshot: no memory");
    for (const struct cJSON *item = json_first(metadata); item != NULL; item = json_next(item))
        if (json_key(item) != NULL && json_value(item) != NULL)
            items[count++] = (struct sbx_kv){json_key(item), json_value(item)};
    const struct sbx_snapshot snapshot = {.size = sizeof snapshot,
                                          .state = SBX_SNAPSHOT_DONE,
                                          .id = hex_of(id),
                                          .name = name != NULL && name[0] != '\0' ? name : NULL,
                                          .created_ms = created_ms,
                                          .metadata = {items, count}};
    sbx_view(&sink, sizeof sink, out);
    if (sink.item(sink.user, &snapshot) != 0)
        return call_fail(call, SBX_E_STOPPED, "snapshot: stopped by the caller");
    return SBX_OK;
}

static int is_ours(const struct sbx_backend *b, const struct cJSON *labels)
{
    const char *mark = json_text(labels, LABEL_SNAPSHOT), *instance = json_text(labels, LABEL_INSTANCE);
    const char *scope = json_text(labels, LABEL_SCOPE);
    return mark != NULL && strcmp(mark, "1") == 0 && instance != NULL && strcmp(instance, b->instance) == 0 &&
           scope != NULL && strcmp(scope, b->entries.scope) == 0;
}

int snapshot_is_one(const struct sbx_backend *b, const struct cJSON *image)
{
    return is_ours(b, json_member(json_member(image, "Config"), "Labels")) &&
           json_first(json_member(image, "RepoTags")) != NULL;
}

static sbx_status no_snapshot(const char *id, struct sbx_call *call)
{
    return call_fail(call, SBX_E_NOT_FOUND, "no such snapshot: %s", id == NULL ? "" : id);
}

/* An image that is a snapshot of ours and still named as one. */
static sbx_status inspect(struct sbx_backend *b, struct sbx_call *call, const char *id, struct cJSON **json)
{
    char path[320];
    if (id == NULL || !engine_is_reference(id))
        return no_snapshot(id, call);
    (void)snprintf(path, sizeof path, "/images/%s/json", id);
    const struct engine_request request = {.what = "snapshot", .path = path, .reply_limit = IMAGE_LIMIT};
    sbx_status status = engine_run(&b->engine, call, &request, json);
    if (status == SBX_E_NOT_FOUND || (status == SBX_OK && !snapshot_is_one(b, *json)))
        return no_snapshot(id, call);
    return status;
}

static sbx_status report_image(const struct cJSON *json, const struct sbx_snapshot_sink *out, struct sbx_call *call)
{
    const char *id = NULL;
    sbx_status status = json_need_text(call, "snapshot", json, "Id", &id);
    return status != SBX_OK ? status
                            : report(id, container_time(json_text(json, "Created")),
                                     json_member(json_member(json, "Config"), "Labels"), out, call);
}

/* --- making one -------------------------------------------------------------------------------------------------- */

static void put_label(struct buf *body, const char *key, const char *value)
{
    (void)buf_text(body, ",");
    json_put_text(body, key);
    (void)buf_text(body, ":");
    json_put_text(body, value);
}

static void put_metadata(struct buf *body, const struct sbx_kvs *metadata)
{
    CLEANUP_BUF struct buf json;
    buf_init(&json, BODY_LIMIT / 2);
    (void)buf_text(&json, "{");
    for (size_t i = 0; i < metadata->count; i++) {
        (void)buf_text(&json, i == 0 ? "" : ",");
        json_put_text(&json, metadata->items[i].key != NULL ? metadata->items[i].key : "");
        (void)buf_text(&json, ":");
        json_put_text(&json, metadata->items[i].value != NULL ? metadata->items[i].value : "");
    }
    (void)buf_text(&json, "}");
    if (json.failed != 0 && body->failed == 0)
        body->failed = json.failed;
    if (json.failed == 0)
        put_label(body, LABEL_METADATA, json.data);
}

/* The daemon adds every label of the container that is not named here, so those that are not its image's are emptied.
 */
static void put_labels(struct sbx_backend *b, const struct sbx_snapshot_args *args, const struct cJSON *image,
                       const struct cJSON *container, struct buf *body)
{
    (void)buf_format(body, ",\"Labels\":{\"%s\":\"1\"", LABEL_SNAPSHOT);
    put_label(body, LABEL_INSTANCE, b->instance);
    put_label(body, LABEL_SCOPE, b->entries.scope);
    put_label(body, LABEL_KEY, "");
    put_label(body, LABEL_TOKEN, "");
    put_label(body, LABEL_NAME, args->name != NULL ? args->name : "");
    static const char *const kept[] = {LABEL_WORKDIR, LABEL_USER};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        const char *value = json_text(container, kept[i]);
        put_label(body, kept[i], value != NULL ? value : "");
    }
    put_metadata(body, &args->metadata);
    for (const struct cJSON *label = json_first(container); label != NULL; label = json_next(label)) {
        const char *value = json_text(image, json_key(label));
        if (strncmp(json_key(label), LABEL_PREFIX, strlen(LABEL_PREFIX)) != 0)
            put_label(body, json_key(label), value != NULL ? value : "");
    }
    (void)buf_text(body, "}");
}

static void put_words(struct buf *body, const char *name, const struct cJSON *words)
{
    const char *before = "";
    (void)buf_format(body, ",\"%s\":[", name);
    for (const struct cJSON *word = json_first(words); word != NULL; word = json_next(word), before = ",") {
        (void)buf_text(body, before);
        json_put_text(body, json_value(word) != NULL ? json_value(word) : "");
    }
    (void)buf_text(body, "]");
}

/* What the image that the container was made of says, in place of what create put there for the guest. */
static sbx_status make_body(struct sbx_backend *b, struct sbx_call *call, const char *container,
                            const struct sbx_snapshot_args *args, struct buf *body)
{
    CLEANUP(container_finish) struct container c = {0};
    CLEANUP_JSON struct cJSON *json = NULL;
    sbx_status status = container_inspect(b, call, "snapshot", container, &c);
    const char *image_id = hex_of(json_text(c.json, "Image"));
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", container);
    if (status == SBX_OK && (image_id == NULL || !engine_is_reference(image_id)))
        status = call_fail(call, SBX_E_PROTOCOL, "snapshot: the daemon does not name the container's image");
    if (status == SBX_OK)
        status = engine_get(&b->engine, call, "snapshot", &json, "/images/%s/json", image_id);
    if (status != SBX_OK)
        return status;
    const struct cJSON *config = json_member(json, "Config");
    const char *user = json_text(config, "User"), *workdir = json_text(config, "WorkingDir");
    (void)buf_text(body, "{\"User\":");
    json_put_text(body, user != NULL && user[0] != '\0' ? user : "0:0");
    (void)buf_text(body, ",\"WorkingDir\":");
    json_put_text(body, workdir != NULL && workdir[0] != '\0' ? workdir : "/");
    put_words(body, "Entrypoint", json_member(config, "Entrypoint"));
    put_words(body, "Cmd", json_member(config, "Cmd"));
    put_labels(b, args, json_member(config, "Labels"), c.labels, body);
    (void)buf_text(body, "}");
    if (body->failed == EILSEQ)
        return call_fail(call, SBX_E_INVALID, "snapshot: a name or label is no UTF-8 text");
    return body->failed == 0 ? SBX_OK : call_fail(call, SBX_E_TOO_LARGE, "snapshot: the labels are too long");
}

static sbx_status commit(struct sbx_backend *b, struct sbx_call *call, const char *container,
                         const struct sbx_snapshot_args *args, struct cJSON **json)
{
    uint64_t number[2] = {0, 0};
    CLEANUP_BUF struct buf body, path;
    buf_init(&body, BODY_LIMIT);
    buf_init(&path, 1 << 14);
    if (getrandom(number, sizeof number, 0) != (ssize_t)sizeof number)
        return call_fail_errno(call, errno, "snapshot: no random number");
    sbx_status status = make_body(b, call, container, args, &body);
    if (status != SBX_OK)
        return status;
    (void)buf_format(&path, "/commit?container=%s&repo=%s&tag=%016" PRIx64 "%016" PRIx64 "&comment=", container,
                     REPOSITORY, number[0], number[1]);
    http_put_escaped(&path, args->comment != NULL ? args->comment : "");
    if (path.failed != 0)
        return call_fail(call, SBX_E_TOO_LARGE, "snapshot: the comment is too long");
    const struct engine_request request = {.what = "snapshot", .method = "POST", .path = path.data, .body = body.data};
    return engine_run(&b->engine, call, &request, json);
}

/* A commit is refused with 404 or 409 for the one reason that the container is removed, or is being so: it may well be
 * shown as running then. One that is removed while it is read fails in many words. */
static int is_going(struct sbx_backend *b, struct sbx_call *call, const char *container, sbx_status refused)
{
    struct sbx_error error;
    struct sbx_call inner;
    CLEANUP(container_finish) struct container c = {0};
    if (refused == SBX_E_NOT_FOUND || refused == SBX_E_STATE)
        return 1;
    call_shadow(&inner, &error, call);
    sbx_status status = refused == SBX_E_FAILED ? container_inspect(b, &inner, "snapshot", container, &c) : SBX_OK;
    if (status != SBX_OK)
        return status == SBX_E_NOT_FOUND;
    return c.state != NULL && (strcmp(c.state, "removing") == 0 || strcmp(c.state, "dead") == 0);
}

static sbx_status commit_or_gone(struct sbx_handle *h, struct sbx_call *call, const struct sbx_snapshot_args *args,
                                 struct cJSON **json)
{
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = commit(h->backend, &inner, h->id, args, json);
    if (status == SBX_OK)
        return SBX_OK;
    if (is_going(h->backend, call, h->id, status))
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    call_pass_error(call, &error);
    return status;
}

static sbx_status begin(struct sbx_handle *h, struct sbx_call *call, const struct sbx_snapshot_args *given,
                        const struct sbx_snapshot_sink *out)
{
    struct sbx_snapshot_args args;
    CLEANUP_JSON struct cJSON *json = NULL;
    CLEANUP_JSON struct cJSON *image = NULL;
    const char *id = NULL;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "snapshot: arguments of a newer version");
    status = commit_or_gone(h, call, &args, &json);
    if (status == SBX_OK)
        status = json_need_text(call, "snapshot", json, "Id", &id);
    if (status == SBX_OK)
        status = inspect(h->backend, call, hex_of(id), &image);
    return status == SBX_OK ? report_image(image, out, call) : status;
}

/* --- afterwards -------------------------------------------------------------------------------------------------- */

static sbx_status query(struct sbx_backend *b, struct sbx_call *call, const char *id,
                        const struct sbx_snapshot_sink *out)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    sbx_status status = inspect(b, call, id, &json);
    return status == SBX_OK ? report_image(json, out, call) : status;
}

static sbx_status fetch(struct sbx_backend *b, struct sbx_call *call, struct cJSON **json)
{
    CLEANUP_BUF struct buf filters, path;
    buf_init(&filters, 1 << 16);
    buf_init(&path, 1 << 15);
    (void)buf_format(&filters, "%s=%s", LABEL_SCOPE, b->entries.scope);
    CLEANUP_BUF struct buf text;
    buf_init(&text, 1 << 16);
    (void)buf_format(&text, "{\"label\":[\"%s=1\",", LABEL_SNAPSHOT);
    if (filters.failed == 0)
        json_put_text(&text, filters.data);
    (void)buf_text(&text, "]}");
    (void)buf_text(&path, "/images/json?filters=");
    if (text.failed == 0)
        http_put_escaped(&path, text.data);
    if (filters.failed != 0 || text.failed != 0 || path.failed != 0)
        return call_fail(call, SBX_E_NO_MEMORY, "list: no memory");
    const struct engine_request request = {.what = "list", .path = path.data, .reply_limit = LIST_LIMIT};
    return engine_run(&b->engine, call, &request, json);
}

static int compare_items(const void *a, const void *b)
{
    const char *one = json_text(*(const struct cJSON *const *)a, "Id");
    const char *other = json_text(*(const struct cJSON *const *)b, "Id");
    return strcmp(one, other);
}

/* Named ones of this instance that have what is asked for. */
static int fits(struct sbx_backend *b, const struct cJSON *item, const struct sbx_list_args *args)
{
    const struct cJSON *labels = json_member(item, "Labels");
    const char *text = json_text(labels, LABEL_METADATA);
    CLEANUP_JSON struct cJSON *metadata = NULL;
    if (json_text(item, "Id") == NULL || !is_ours(b, labels) || json_first(json_member(item, "RepoTags")) == NULL)
        return 0;
    if (args->metadata.count > 0 && (text == NULL || json_parse(NULL, "list", text, strlen(text), &metadata) != SBX_OK))
        return 0;
    for (size_t i = 0; i < args->metadata.count; i++) {
        const char *value = json_text(metadata, args->metadata.items[i].key);
        if (value == NULL || strcmp(value, args->metadata.items[i].value) != 0)
            return 0;
    }
    return 1;
}

/* The fitting ones of a list, sorted; the caller frees. */
static const struct cJSON **choose(struct sbx_backend *b, const struct cJSON *json, const struct sbx_list_args *args,
                                   size_t *count)
{
    const struct cJSON **items = calloc(json_count(json) + 1, sizeof *items);
    *count = 0;
    for (const struct cJSON *item = json_first(json); items != NULL && item != NULL; item = json_next(item))
        if (fits(b, item, args))
            items[(*count)++] = item;
    if (*count > 1)
        qsort(items, *count, sizeof *items, compare_items);
    return items;
}

static sbx_status list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *given,
                       const struct sbx_snapshot_sink *out)
{
    struct sbx_list_args args;
    CLEANUP_JSON struct cJSON *json = NULL;
    uint32_t reported = 0;
    size_t count = 0;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "list: arguments of a newer version");
    status = fetch(b, call, &json);
    CLEANUP_FREE const struct cJSON **items = status == SBX_OK ? choose(b, json, &args, &count) : NULL;
    if (status == SBX_OK && items == NULL)
        status = call_fail(call, SBX_E_NO_MEMORY, "list: no memory");
    for (size_t i = 0; status == SBX_OK && i < count; i++) {
        const char *id = json_text(items[i], "Id");
        int64_t created = json_integer(items[i], "Created", 0);
        if (args.after != NULL && strcmp(hex_of(id), args.after) <= 0)
            continue;
        status = report(id, created > 0 ? created * 1000 : 0, json_member(items[i], "Labels"), out, call);
        if (status == SBX_OK && ++reported == args.limit)
            break;
    }
    return status;
}

/* By its names: files that a sandbox made from it still needs stay with that one. */
static sbx_status remove_snapshot(struct sbx_backend *b, struct sbx_call *call, const char *id)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = inspect(b, &inner, id, &json);
    const struct cJSON *name = json_first(json_member(json, "RepoTags"));
    for (; status == SBX_OK && name != NULL; name = json_next(name)) {
        CLEANUP_BUF struct buf path;
        buf_init(&path, 4096);
        (void)buf_text(&path, "/images/");
        http_put_escaped(&path, json_value(name) != NULL ? json_value(name) : "");
        (void)buf_text(&path, "?force=1"); /* also while a sandbox made from it runs */
        const struct engine_request request = {
            .what = "remove", .method = "DELETE", .path = path.failed == 0 ? path.data : "/"};
        status = engine_run(&b->engine, &inner, &request, NULL);
    }
    if (status == SBX_OK || status == SBX_E_NOT_FOUND)
        return SBX_OK;
    call_pass_error(call, &error);
    return status;
}

static const struct sbx_snapshot_ops snapshot_ops = {
    .size = sizeof snapshot_ops, .begin = begin, .query = query, .list = list, .remove = remove_snapshot};

const void *snapshot_extension(const char *id)
{
    return id != NULL && strcmp(id, SBX_EXT_SNAPSHOT) == 0 ? &snapshot_ops : NULL;
}
