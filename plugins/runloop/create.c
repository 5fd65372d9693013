/* SPDX-License-Identifier: MIT
 *
 * create.c - makes a devbox. A token in its metadata is chosen before anything is sent, so that a lost reply is found
 * again by listing; what was made and does not come up is shut down.
 */
#include "plugins/runloop/pages.h"
#include "plugins/runloop/wish.h"

enum { TOKEN_SIZE = 256, LOOKS = 3, LOOK_GAP_MS = 1000, LOOK_SOON_MS = 100, ABORT_MS = 900 };

struct making {
    struct sbx_backend *b;
    struct sbx_call *call;
    struct sbx_create_args args;
    char token[TOKEN_SIZE];
    char id[ID_SIZE];
};

struct twins {
    struct making *m;
    const char *keep; /* every other one is shut down; NULL: none is */
    char *found;      /* the first */
    int count;
};

static sbx_status look_at(void *user, struct sbx_call *call, const struct cJSON *view, const char *id)
{
    struct twins *t = user;
    const char *token = json_text(json_member(view, "metadata"), META_TOKEN);
    int32_t state = devbox_state(json_text(view, "status"));
    (void)call;
    if (token == NULL || strcmp(token, t->m->token) != 0 || state == SBX_STATE_STOPPED || state == SBX_STATE_FAILED)
        return SBX_OK;
    if (t->keep != NULL && strcmp(t->keep, id) != 0)
        (void)devbox_shutdown(t->m->b, NULL, id, 1);
    if (t->count++ == 0)
        (void)snprintf(t->found, ID_SIZE, "%s", id);
    return SBX_OK;
}

/* A look through the devboxes for those with our token that live. */
static sbx_status find_twins(struct making *m, struct sbx_call *call, const char *keep, char *found, int *count)
{
    struct twins twins = {.m = m, .keep = keep, .found = found};
    const struct pages pages = {
        .what = "create", .path = "/v1/devboxes", .key = "devboxes", .item = look_at, .user = &twins};
    sbx_status status = pages_walk(&m->b->api, call, &pages);
    *count = twins.count;
    return status;
}

static sbx_status post(struct making *m, struct sbx_call *call, const char *body)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    const struct api_request request = {.what = "create", .path = "/v1/devboxes", .body = body};
    sbx_status status = api_run(&m->b->api, call, &request, &view);
    if (status != SBX_OK)
        return status;
    const char *id = json_text(view, "id");
    if (id == NULL || !id_is_valid(id)) {
        status = call_fail(call, SBX_E_UNKNOWN, "create: runloop gave no id for what it made");
        call_maybe_applied(call, m->token);
        return status;
    }
    (void)snprintf(m->id, sizeof m->id, "%s", id);
    return SBX_OK;
}

/* The reply was lost: looks for what may have been made. SBX_OK with an empty id: there is nothing. */
static sbx_status find_lost(struct making *m, struct sbx_call *call)
{
    for (int i = 0, count = 0, ready = 0; i < LOOKS && m->id[0] == '\0'; i++) {
        sbx_status status = call_poll(call, NULL, 0, clock_now_ns() + LOOK_GAP_MS * MS_NS / (i == 0 ? 4 : 1), &ready);
        if (status == SBX_OK)
            status = find_twins(m, call, NULL, m->id, &count);
        if (status != SBX_OK)
            return status;
    }
    return SBX_OK;
}

static sbx_status give_up(struct making *m, const struct sbx_error *error)
{
    call_pass_error(m->call, error);
    call_maybe_applied(m->call, m->token);
    return SBX_E_UNKNOWN;
}

/* The devbox is there, if only just. */
static sbx_status make(struct making *m, const char *body)
{
    struct sbx_error error, later;
    struct sbx_call inner, other;
    char first[ID_SIZE];
    int count = 0;
    call_shadow(&inner, &error, m->call);
    call_shadow(&other, &later, m->call);
    sbx_status status = post(m, &inner, body);
    if (status == SBX_E_UNKNOWN) {
        if (find_lost(m, &other) != SBX_OK)
            return give_up(m, &error);
        if (m->id[0] == '\0') {
            status = post(m, &inner, body);
            if (status == SBX_E_UNKNOWN)
                return give_up(m, &error);
        }
        if (m->id[0] != '\0') /* the first one may yet have come to be */
            status = find_twins(m, &other, m->id, first, &count) == SBX_OK ? SBX_OK : give_up(m, &later);
    }
    if (status == SBX_E_BUSY && error.provider_status == 429)
        status = error.code = SBX_E_QUOTA;
    if (status != SBX_OK)
        call_pass_error(m->call, &error);
    return status;
}

static sbx_status await_running(struct making *m, struct sbx_handle **out)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    sbx_status status =
        devbox_await(m->b, m->call, "create", m->id, "\"running\",\"failure\",\"shutdown\",\"suspended\"", &view);
    if (status != SBX_OK)
        return status;
    const char *word = json_text(view, "status"), *why = json_text(view, "failure_reason");
    if (devbox_state(word) == SBX_STATE_RUNNING)
        return devbox_handle(m->b, view, m->call, out);
    if (why == NULL)
        why = json_text(view, "shutdown_reason");
    return call_fail(m->call, SBX_E_FAILED, "create: devbox %s did not come up: %s%s%s", m->id, word,
                     why != NULL ? ": " : "", why != NULL ? why : "");
}

/* Ends what was made, or may have been made while nobody waited for the answer any more. */
static void undo(struct making *m, sbx_status status)
{
    struct sbx_call call = {.size = sizeof call, .deadline_ns = clock_now_ns() + ABORT_MS * MS_NS};
    int may_exist = status == SBX_E_TIMEOUT || status == SBX_E_CANCELLED || status == SBX_E_UNKNOWN;
    for (int i = 0, count = 0, ready = 0; i < LOOKS && may_exist && m->id[0] == '\0'; i++)
        if (call_poll(&call, NULL, 0, clock_now_ns() + LOOK_SOON_MS * MS_NS, &ready) != SBX_OK ||
            find_twins(m, &call, NULL, m->id, &count) != SBX_OK)
            break;
    if (m->id[0] != '\0' && devbox_shutdown(m->b, &call, m->id, 1) != SBX_OK)
        call_maybe_applied(m->call, m->id);
    else if (m->id[0] == '\0' && may_exist)
        call_maybe_applied(m->call, m->token);
}

sbx_status create_devbox(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                         struct sbx_handle **out)
{
    struct making m = {.b = b, .call = call};
    CLEANUP_BUF struct buf body = {0};
    int count = 0;
    sbx_status status = sbx_take(&m.args, sizeof m.args, args);
    if (status != SBX_OK)
        return call_fail(call, status, "create: arguments of a newer version");
    status = call_check(call);
    if (status != SBX_OK)
        return status;
    if (m.args.client_token != NULL && (m.args.client_token[0] == '\0' || strlen(m.args.client_token) >= TOKEN_SIZE))
        return call_fail(call, SBX_E_INVALID, "create: a token has 1 to %d bytes", TOKEN_SIZE - 1);
    if (m.args.client_token != NULL)
        (void)snprintf(m.token, sizeof m.token, "%s", m.args.client_token);
    else
        api_token(m.token);
    status = wish_body(b, &m.args, m.token, call, &body);
    if (status == SBX_OK && m.args.client_token != NULL)
        status = find_twins(&m, call, NULL, m.id, &count);
    if (status != SBX_OK)
        return status;
    if (count > 0)
        return await_running(&m, out);
    status = make(&m, body.data);
    if (status == SBX_OK)
        status = await_running(&m, out);
    if (status != SBX_OK)
        undo(&m, status);
    return status;
}
