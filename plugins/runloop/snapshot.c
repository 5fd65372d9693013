/* SPDX-License-Identifier: MIT
 *
 * snapshot.c - snapshots of a devbox's disk: started, asked for, listed and deleted.
 */
#include "plugins/runloop/pages.h"
#include "plugins/runloop/tables.h"

enum { BODY_LIMIT = 1 << 20, COMMENT_MAX = 1000 };

static int32_t state_of(const char *word)
{
    static const struct {
        const char *word;
        int32_t state;
    } table[] = {{"in_progress", SBX_SNAPSHOT_RUNNING},
                 {"complete", SBX_SNAPSHOT_DONE},
                 {"error", SBX_SNAPSHOT_FAILED},
                 {"deleted", SBX_SNAPSHOT_DELETED}};
    for (size_t i = 0; word != NULL && i < sizeof table / sizeof table[0]; i++)
        if (strcmp(word, table[i].word) == 0)
            return table[i].state;
    return SBX_SNAPSHOT_UNKNOWN;
}

/* `view` may be NULL: then the id is all that is known. */
static sbx_status report(const struct cJSON *view, const char *id, int32_t state, const char *failure,
                         const struct sbx_snapshot_sink *out, struct sbx_call *call)
{
    struct sbx_snapshot_sink sink;
    const struct cJSON *metadata = json_member(view, "metadata");
    sbx_view(&sink, sizeof sink, out);
    if (sink.item == NULL)
        return call_fail(call, SBX_E_INVALID, "snapshot: a sink that cannot be used");
    CLEANUP_FREE struct sbx_kv *items = calloc(json_count(metadata) + 1, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "snapshot: no memory");
    struct sbx_snapshot snapshot = {.size = sizeof snapshot,
                                    .state = state,
                                    .id = id,
                                    .name = json_text(view, "name"),
                                    .failure = failure,
                                    .created_ms = json_integer(view, "create_time_ms", 0)};
    for (const struct cJSON *item = json_first(metadata); item != NULL; item = json_next(item))
        if (json_key(item) != NULL && json_value(item) != NULL &&
            strncmp(json_key(item), META_PREFIX, strlen(META_PREFIX)) != 0)
            items[snapshot.metadata.count++] = (struct sbx_kv){json_key(item), json_value(item)};
    snapshot.metadata.items = items;
    return sink.item(sink.user, &snapshot) == 0 ? SBX_OK
                                                : call_fail(call, SBX_E_STOPPED, "snapshot: stopped by the caller");
}

static sbx_status begin(struct sbx_handle *h, struct sbx_call *call, const struct sbx_snapshot_args *given,
                        const struct sbx_snapshot_sink *out)
{
    CLEANUP_BUF struct buf body;
    CLEANUP_JSON struct cJSON *view = NULL;
    struct sbx_snapshot_args args;
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "snapshot: arguments of a newer version");
    if (args.comment != NULL && strlen(args.comment) > COMMENT_MAX)
        return call_fail(call, SBX_E_INVALID, "snapshot: a comment has at most %d bytes", COMMENT_MAX);
    buf_init(&body, BODY_LIMIT);
    (void)buf_text(&body, "{\"metadata\":{\"" META_INSTANCE "\":");
    json_put_text(&body, h->backend->instance);
    for (size_t i = 0; i < args.metadata.count; i++) {
        (void)buf_text(&body, ",");
        json_put_text(&body, args.metadata.items[i].key);
        (void)buf_text(&body, ":");
        json_put_text(&body, args.metadata.items[i].value);
    }
    (void)buf_text(&body, "}");
    const char *const texts[][2] = {{",\"name\":", args.name}, {",\"commit_message\":", args.comment}};
    for (size_t i = 0; i < 2; i++)
        if (texts[i][1] != NULL) {
            (void)buf_text(&body, texts[i][0]);
            json_put_text(&body, texts[i][1]);
        }
    (void)buf_text(&body, "}");
    if (body.failed != 0)
        return call_fail(call, body.failed == EILSEQ ? SBX_E_INVALID : SBX_E_TOO_LARGE,
                         "snapshot: its name or labels are too long, or no UTF-8 text");
    status = devbox_post(h, call, "snapshot", "snapshot_disk_async", body.data, 0, &view);
    if (status != SBX_OK)
        return status;
    const char *id = json_text(view, "id");
    if (id == NULL || !id_is_valid(id))
        return call_fail(call, SBX_E_PROTOCOL, "snapshot: runloop gave no id for what it makes");
    return report(view, id, SBX_SNAPSHOT_RUNNING, NULL, out, call);
}

static sbx_status snapshot_path(const char *id, const char *verb, char *path, size_t size, struct sbx_call *call)
{
    if (id == NULL || !id_is_valid(id))
        return call_fail(call, SBX_E_NOT_FOUND, "snapshot: none has an id like '%.100s'", id == NULL ? "" : id);
    (void)snprintf(path, size, "/v1/devboxes/disk_snapshots/%s/%s", id, verb);
    return SBX_OK;
}

static sbx_status query(struct sbx_backend *b, struct sbx_call *call, const char *id,
                        const struct sbx_snapshot_sink *out)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    char path[256];
    sbx_status status = snapshot_path(id, "status", path, sizeof path, call);
    if (status == SBX_OK)
        status = api_run(&b->api, call, &(const struct api_request){.what = "snapshot", .path = path}, &json);
    if (status != SBX_OK)
        return status;
    int32_t state = state_of(json_text(json, "status"));
    if (state == SBX_SNAPSHOT_DELETED)
        return call_fail(call, SBX_E_NOT_FOUND, "snapshot: %s has been deleted", id);
    return report(json_member(json, "snapshot"), id, state, json_text(json, "error_message"), out, call);
}

struct listing {
    const struct sbx_backend *b;
    const struct sbx_list_args *args;
    const struct sbx_snapshot_sink *out;
    uint32_t reported;
};

static sbx_status list_one(void *user, struct sbx_call *call, const struct cJSON *view, const char *id)
{
    struct listing *l = user;
    if (!pages_is_ours(l->b, view, &l->args->metadata))
        return SBX_OK;
    sbx_status status = report(view, id, SBX_SNAPSHOT_DONE, NULL, l->out, call);
    return status == SBX_OK && ++l->reported == l->args->limit ? PAGES_ENOUGH : status;
}

static sbx_status list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *given,
                       const struct sbx_snapshot_sink *out)
{
    struct sbx_list_args args;
    struct listing listing = {.b = b, .args = &args, .out = out};
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "snapshot: arguments of a newer version");
    const struct pages pages = {.what = "snapshot",
                                .path = "/v1/devboxes/disk_snapshots",
                                .key = "snapshots",
                                .after = args.after,
                                .item = list_one,
                                .user = &listing};
    return pages_walk(&b->api, call, &pages);
}

static sbx_status drop(struct sbx_backend *b, struct sbx_call *call, const char *id)
{
    char path[256];
    struct sbx_error error;
    struct sbx_call inner;
    if (id == NULL || !id_is_valid(id))
        return SBX_OK; /* there is none of such a name */
    sbx_status status = snapshot_path(id, "delete", path, sizeof path, call);
    if (status != SBX_OK)
        return status;
    call_shadow(&inner, &error, call);
    const struct api_request request = {.what = "snapshot", .path = path, .body = "{}", .is_safe = 1};
    status = api_run(&b->api, &inner, &request, NULL);
    if (status == SBX_OK || status == SBX_E_NOT_FOUND)
        return SBX_OK;
    /* A conflict is also the answer of one that was deleted before. */
    CLEANUP_JSON struct cJSON *json = NULL;
    if (status == SBX_E_BUSY && snapshot_path(id, "status", path, sizeof path, NULL) == SBX_OK &&
        api_run(&b->api, NULL, &(const struct api_request){.what = "snapshot", .path = path}, &json) == SBX_OK &&
        state_of(json_text(json, "status")) == SBX_SNAPSHOT_DELETED)
        return SBX_OK;
    call_pass_error(call, &error);
    return status;
}

const struct sbx_snapshot_ops snapshot_ops = {
    .size = sizeof snapshot_ops, .begin = begin, .query = query, .list = list, .remove = drop};
