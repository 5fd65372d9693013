/* SPDX-License-Identifier: MIT
 *
 * devbox.c - devboxes as the service shows them: states, reports, lists, waiting, and the end of one.
 */
#include "plugins/runloop/pages.h"

enum { FACTS = 9, PATH_BYTES = 512, POLL_GAP_MS = 300, SHUTDOWN_MS = 60000 };

int id_is_valid(const char *id)
{
    size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return len > 0 && len < ID_SIZE && id[len] == '\0';
}

int32_t devbox_state(const char *status)
{
    static const struct {
        const char *status;
        int32_t state;
    } table[] = {{"queued", SBX_STATE_PENDING},       {"scheduled", SBX_STATE_PENDING},
                 {"provisioning", SBX_STATE_PENDING}, {"initializing", SBX_STATE_PENDING},
                 {"running", SBX_STATE_RUNNING},      {"suspending", SBX_STATE_SUSPENDING},
                 {"suspended", SBX_STATE_SUSPENDED},  {"resuming", SBX_STATE_RESUMING},
                 {"failure", SBX_STATE_FAILED},       {"shutdown", SBX_STATE_STOPPED}};
    for (size_t i = 0; status != NULL && i < sizeof table / sizeof table[0]; i++)
        if (strcmp(status, table[i].status) == 0)
            return table[i].state;
    return SBX_STATE_UNKNOWN;
}

sbx_status devbox_get(struct sbx_backend *b, struct sbx_call *call, const char *what, const char *id,
                      struct cJSON **json)
{
    char path[PATH_BYTES];
    if (!id_is_valid(id))
        return call_fail(call, SBX_E_NOT_FOUND, "%s: no devbox has an id like '%.100s'", what, id);
    (void)snprintf(path, sizeof path, "/v1/devboxes/%s", id);
    sbx_status status = api_run(&b->api, call, &(const struct api_request){.what = what, .path = path}, json);
    if (status == SBX_OK && (json_text(*json, "id") == NULL || strcmp(json_text(*json, "id"), id) != 0))
        return call_fail(call, SBX_E_PROTOCOL, "%s: runloop answers with another devbox than %s", what, id);
    return status;
}

sbx_status devbox_post(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *verb,
                       const char *body, int is_safe, struct cJSON **json)
{
    char path[PATH_BYTES];
    struct sbx_error error;
    struct sbx_call inner;
    (void)snprintf(path, sizeof path, "/v1/devboxes/%s/%s", h->id, verb);
    call_shadow(&inner, &error, call);
    const struct api_request request = {.what = what, .path = path, .body = body, .is_safe = is_safe};
    sbx_status status = api_run(&h->backend->api, &inner, &request, json);
    return status == SBX_OK ? SBX_OK : devbox_excuse(h, call, status, &error);
}

sbx_status devbox_excuse(struct sbx_handle *h, struct sbx_call *call, sbx_status status, const struct sbx_error *error)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    if (status == SBX_E_NOT_FOUND || status == SBX_E_INVALID || status == SBX_E_BUSY) {
        sbx_status asked = devbox_get(h->backend, NULL, "sandbox", h->id, &view);
        int32_t state = asked == SBX_OK ? devbox_state(json_text(view, "status")) : SBX_STATE_RUNNING;
        if (asked == SBX_E_NOT_FOUND || state == SBX_STATE_STOPPED)
            return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
        if (state != SBX_STATE_RUNNING)
            return call_fail(call, SBX_E_STATE, "sandbox %s is %s", h->id, json_text(view, "status"));
    }
    call_pass_error(call, error);
    return status;
}

/* --- reports ----------------------------------------------------------------------------------------------------- */

struct facts {
    struct sbx_kv *items;
    size_t count;
};

static void add(struct facts *facts, const char *key, const char *value)
{
    if (value != NULL)
        facts->items[facts->count++] = (struct sbx_kv){key, value};
}

static void add_facts(struct facts *facts, const struct cJSON *view)
{
    const struct cJSON *metadata = json_member(view, "metadata"), *launch = json_member(view, "launch_parameters");
    for (const struct cJSON *item = json_first(metadata); item != NULL; item = json_next(item))
        if (json_key(item) != NULL && strncmp(json_key(item), META_PREFIX, strlen(META_PREFIX)) != 0)
            add(facts, json_key(item), json_value(item));
    add(facts, "provider.blueprint", json_text(view, "blueprint_id"));
    add(facts, "provider.snapshot", json_text(view, "snapshot_id"));
    add(facts, "provider.shutdown_reason", json_text(view, "shutdown_reason"));
    add(facts, "provider.size", json_text(launch, "resource_size_request"));
    add(facts, "provider.architecture", json_text(launch, "architecture"));
    const char *policy = json_text(launch, "network_policy_id");
    add(facts, "provider.network", policy != NULL ? "policy" : "full");
    add(facts, "provider.network_policy", policy);
}

/* Of a devbox with an idle policy the service shows a lifetime, too, but does not keep it. */
static int64_t expires_ms(const struct cJSON *view)
{
    const struct cJSON *launch = json_member(view, "launch_parameters");
    int64_t made = json_integer(view, "create_time_ms", 0);
    const struct cJSON *policies[] = {json_member(launch, "after_idle"),
                                      json_member(json_member(launch, "lifecycle"), "after_idle")};
    if (json_integer(policies[0], "idle_time_seconds", 0) > 0 || json_integer(policies[1], "idle_time_seconds", 0) > 0)
        return 0;
    int64_t life = json_integer(launch, "keep_alive_time_seconds", 0);
    return made > 0 && life > 0 ? made + life * 1000 : 0;
}

sbx_status devbox_report(const struct cJSON *view, const struct sbx_info_sink *out, struct sbx_call *call)
{
    struct sbx_info_sink sink;
    sbx_view(&sink, sizeof sink, out);
    if (sink.item == NULL)
        return call_fail(call, SBX_E_INVALID, "info: a sink that cannot be used");
    if (json_text(view, "id") == NULL || json_text(view, "status") == NULL)
        return call_fail(call, SBX_E_PROTOCOL, "info: the answer is no devbox");
    CLEANUP_FREE struct sbx_kv *items = calloc(json_count(json_member(view, "metadata")) + FACTS, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "info: no memory");
    struct facts facts = {.items = items};
    add_facts(&facts, view);
    const char *failure = json_text(view, "failure_reason");
    struct sbx_info info = {.size = sizeof info,
                            .state = devbox_state(json_text(view, "status")),
                            .id = json_text(view, "id"),
                            .name = json_text(view, "name"),
                            .provider_state = json_text(view, "status"),
                            .failure = failure != NULL ? failure : json_text(view, "shutdown_reason"),
                            .created_ms = json_integer(view, "create_time_ms", 0),
                            .expires_ms = expires_ms(view),
                            .metadata = {items, facts.count}};
    return sink.item(sink.user, &info) == 0 ? SBX_OK : call_fail(call, SBX_E_STOPPED, "info: stopped by the caller");
}

sbx_status devbox_handle(struct sbx_backend *b, const struct cJSON *view, struct sbx_call *call,
                         struct sbx_handle **out)
{
    const char *id = json_text(view, "id");
    const char *workdir = json_text(json_member(view, "metadata"), META_WORKDIR);
    if (id == NULL || !id_is_valid(id))
        return call_fail(call, SBX_E_PROTOCOL, "sandbox: runloop gave an id that is none");
    struct sbx_handle *h = calloc(1, sizeof *h);
    if (h == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory");
    h->backend = b;
    (void)snprintf(h->id, sizeof h->id, "%s", id);
    h->workdir = workdir == NULL ? NULL : strdup(workdir);
    if (workdir != NULL && h->workdir == NULL) {
        handle_ops.release(h);
        return call_fail(call, SBX_E_NO_MEMORY, "sandbox: no memory");
    }
    *out = h;
    return SBX_OK;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

sbx_status devbox_await(struct sbx_backend *b, struct sbx_call *call, const char *what, const char *id,
                        const char *states, struct cJSON **view)
{
    char path[PATH_BYTES], body[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/v1/devboxes/%s/wait_for_status", id);
    for (;;) {
        int64_t begin_ns = clock_now_ns();
        int ready = 0;
        (void)snprintf(body, sizeof body, "{\"statuses\":[%s],\"timeout_seconds\":%d}", states, HOLD_S);
        const struct api_request request = {
            .what = what, .path = path, .body = body, .is_safe = 1, .is_poll = 1, .limit_ms = HOLD_MS};
        sbx_status status = api_run(&b->api, call, &request, view);
        if (status != SBX_OK)
            return status;
        const char *word = json_text(*view, "status");
        /* A status that was not asked for is no answer either. */
        if (word != NULL && strstr(states, word) != NULL)
            return SBX_OK;
        json_finish(view);
        status = call_poll(call, NULL, 0, begin_ns + POLL_GAP_MS * MS_NS, &ready);
        if (status != SBX_OK)
            return status;
    }
}

/* --- lists ------------------------------------------------------------------------------------------------------- */

struct listing {
    const struct sbx_backend *b;
    const struct sbx_list_args *args;
    const struct sbx_info_sink *out;
    uint32_t reported;
};

/* What was shut down is listed by the service for a while. */
static sbx_status list_one(void *user, struct sbx_call *call, const struct cJSON *view, const char *id)
{
    struct listing *l = user;
    int32_t state = devbox_state(json_text(view, "status"));
    (void)id;
    if (state == SBX_STATE_STOPPED || (l->args->state_mask != 0 && (l->args->state_mask & 1u << state) == 0) ||
        !pages_is_ours(l->b, view, &l->args->metadata))
        return SBX_OK;
    sbx_status status = devbox_report(view, l->out, call);
    return status == SBX_OK && ++l->reported == l->args->limit ? PAGES_ENOUGH : status;
}

sbx_status devbox_list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *given,
                       const struct sbx_info_sink *out)
{
    struct sbx_list_args args;
    struct listing listing = {.b = b, .args = &args, .out = out};
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return call_fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "list: arguments of a newer version");
    const struct pages pages = {.what = "list",
                                .path = "/v1/devboxes",
                                .key = "devboxes",
                                .after = args.after,
                                .item = list_one,
                                .user = &listing};
    return pages_walk(&b->api, call, &pages);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

/* The service's answer shows the devbox shut down, as a rule; else it is waited for. */
static sbx_status await_shutdown(struct sbx_backend *b, struct sbx_call *call, const char *id, const struct cJSON *view)
{
    CLEANUP_JSON struct cJSON *now = NULL;
    int32_t state = devbox_state(json_text(view, "status"));
    struct sbx_error error;
    struct sbx_call inner, limited;
    int own = 0;
    if (state == SBX_STATE_STOPPED || state == SBX_STATE_FAILED)
        return SBX_OK;
    call_shadow(&inner, &error, call);
    api_limit(&limited, &inner, SHUTDOWN_MS, &own);
    sbx_status status = devbox_await(b, &limited, "remove", id, "\"shutdown\",\"failure\"", &now);
    if (status == SBX_OK || status == SBX_E_NOT_FOUND)
        return SBX_OK;
    if (status == SBX_E_TIMEOUT && own)
        return call_fail(call, SBX_E_UNKNOWN, "remove: devbox %s was shut down and has not ended", id);
    call_pass_error(call, &error);
    return status;
}

sbx_status devbox_shutdown(struct sbx_backend *b, struct sbx_call *call, const char *id, int force)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    char path[PATH_BYTES];
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    (void)snprintf(path, sizeof path, "/v1/devboxes/%s/shutdown%s", id, force ? "?force=true" : "");
    const struct api_request request = {
        .what = "remove", .path = path, .body = "{}", .is_safe = 1, .limit_ms = SHUTDOWN_MS};
    sbx_status status = api_run(&b->api, &inner, &request, &view);
    if (status == SBX_OK)
        return await_shutdown(b, call, id, view);
    if (status == SBX_E_NOT_FOUND)
        return SBX_OK;
    if (status == SBX_E_BUSY && error.provider_status == 409)
        return call_fail(call, SBX_E_BUSY,
                         "remove: a snapshot of devbox %s is being made; wait for it, or set force_shutdown", id);
    if (status == SBX_E_INVALID) { /* it may have been shut down before */
        CLEANUP_JSON struct cJSON *now = NULL;
        if (devbox_get(b, NULL, "remove", id, &now) == SBX_OK &&
            devbox_state(json_text(now, "status")) == SBX_STATE_STOPPED)
            return SBX_OK;
    }
    call_pass_error(call, &error);
    return status;
}
