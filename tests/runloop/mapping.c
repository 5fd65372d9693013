/* SPDX-License-Identifier: MIT
 *
 * mapping.c - see mapping.h. The linker puts __wrap_api_run in the place of the function that asks the service.
 */
#include "tests/runloop/mapping.h"

#include "plugins/runloop/output.h"
#include "plugins/runloop/pages.h"
#include "plugins/runloop/tables.h"

/* The reply that the next request gets; further ones get none. */
static struct {
    const void *reply;
    size_t len;
} waiting;

sbx_status __wrap_api_run(struct api *api, struct sbx_call *call, const struct api_request *request,
                          struct cJSON **json);

sbx_status __wrap_api_run(struct api *api, struct sbx_call *call, const struct api_request *request,
                          struct cJSON **json)
{
    CLEANUP_BUF struct buf copy;
    (void)api;
    buf_init(&copy, waiting.len + 1);
    if (waiting.reply == NULL || json == NULL)
        return call_fail(call, SBX_E_UNAVAILABLE, "%s: there is one reply alone", request->what);
    (void)buf_append(&copy, waiting.reply, waiting.len);
    waiting.reply = NULL;
    if (copy.len == 0)
        return SBX_OK;
    if (text_hide(&copy) != 0)
        return call_fail(call, SBX_E_PROTOCOL, "%s: the answer is no text", request->what);
    return json_parse(call, request->what, copy.data, copy.len, json);
}

static const char *text(const char *may_be_null)
{
    return may_be_null == NULL ? "-" : may_be_null;
}

static void say_pairs(struct buf *said, const struct sbx_kvs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++)
        (void)buf_format(said, " %s=%s", pairs->items[i].key, text(pairs->items[i].value));
    (void)buf_text(said, "\n");
}

static int32_t say_info(void *user, const struct sbx_info *info)
{
    (void)buf_format(user, "devbox %s %s state %d (%s) failure %s made %lld ends %lld", info->id, text(info->name),
                     info->state, text(info->provider_state), text(info->failure), (long long)info->created_ms,
                     (long long)info->expires_ms);
    say_pairs(user, &info->metadata);
    return 0;
}

static int32_t say_snapshot(void *user, const struct sbx_snapshot *s)
{
    (void)buf_format(user, "snapshot %s %s state %d failure %s made %lld", s->id, text(s->name), s->state,
                     text(s->failure), (long long)s->created_ms);
    say_pairs(user, &s->metadata);
    return 0;
}

static int32_t say_key(void *user, const struct sbx_ssh_key *key)
{
    (void)buf_format(user, "key %s@%s:%u %.27s by %s\n", key->user, key->host, key->port, key->private_key_pem,
                     text(key->proxy_command));
    return 0;
}

static int32_t say_tunnel(void *user, const struct sbx_tunnel *t)
{
    (void)buf_format(user, "tunnel %s port %u %s %s\n", t->id, t->port, text(t->url), text(t->token));
    return 0;
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

static int say_event(void *user, int is_error, const char *data, size_t len)
{
    struct chunk chunk;
    if (chunk_parse(&chunk, is_error, data, len) != 0)
        (void)buf_text(user, "nonsense\n");
    else if (is_error)
        (void)buf_format(user, "error %d\n", chunk.code);
    else
        (void)buf_format(user, "at %lld %zu bytes: %s\n", (long long)chunk.offset, chunk.text.len,
                         text(chunk.text.data));
    chunk_finish(&chunk);
    return 0;
}

static void say_stream(const char *reply, size_t len, size_t piece, struct buf *said)
{
    struct sse sse;
    sse_init(&sse, say_event, said);
    for (size_t at = 0; at < len; at += piece)
        if (sse_feed(&sse, reply + at, len - at < piece ? len - at : piece) != 0)
            break;
    sse_finish(&sse);
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static sbx_status ask(enum mapping_kind kind, struct sbx_handle *h, struct sbx_call *call, struct buf *said)
{
    const struct sbx_info_sink infos = {.size = sizeof infos, .user = said, .item = say_info};
    const struct sbx_snapshot_sink snapshots = {.size = sizeof snapshots, .user = said, .item = say_snapshot};
    const struct sbx_ssh_sink keys = {.size = sizeof keys, .user = said, .item = say_key};
    const struct sbx_tunnel_sink tunnels = {.size = sizeof tunnels, .user = said, .item = say_tunnel};
    const struct sbx_list_args all = {.size = sizeof all};
    struct sbx_job_info job = {.size = sizeof job};
    sbx_status status = SBX_OK;
    switch (kind) {
    case MAPPING_DEVBOXES:
        return devbox_list(h->backend, call, &all, &infos);
    case MAPPING_EXECUTION:
        status = job_ops.info(h, call, "exe_1", &job);
        if (status == SBX_OK)
            (void)buf_format(said, "job flags %x exit %d signal %d\n", job.flags, job.exit_code, job.term_signal);
        return status;
    case MAPPING_SNAPSHOT:
        return snapshot_ops.query(h->backend, call, h->id, &snapshots);
    case MAPPING_SNAPSHOTS:
        return snapshot_ops.list(h->backend, call, &all, &snapshots);
    case MAPPING_KEY:
        return ssh_ops.create_key(h, call, &keys);
    case MAPPING_TUNNEL:
        return tunnel_ops.list(h, call, &tunnels);
    default:
        return handle_ops.info(h, call, &infos);
    }
}

/* The id that a reply has, so that it is taken for an answer. */
static void take_id(struct sbx_handle *h, const void *reply, size_t len)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    (void)snprintf(h->id, sizeof h->id, "dbx_1");
    if (json_parse(NULL, "", reply, len, &json) == SBX_OK && json_text(json, "id") != NULL &&
        id_is_valid(json_text(json, "id")))
        (void)snprintf(h->id, sizeof h->id, "%s", json_text(json, "id"));
}

void mapping_say(enum mapping_kind kind, const char *id, const void *reply, size_t len, size_t piece, struct buf *said)
{
    char instance[] = "runloop", base[] = "https://api.runloop.ai";
    struct sbx_backend backend = {.instance = instance, .settings = {.base = base}};
    struct sbx_handle h = {.backend = &backend};
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    if (kind == MAPPING_STREAM) {
        say_stream(reply, len, piece, said);
        return;
    }
    if (id == NULL)
        take_id(&h, reply, len);
    else
        (void)snprintf(h.id, sizeof h.id, "%s", id);
    waiting.reply = reply;
    waiting.len = len;
    sbx_status status = ask(kind, &h, &call, said);
    if (status != SBX_OK)
        (void)buf_format(said, "failure %d: %s\n", status, error.message);
}
