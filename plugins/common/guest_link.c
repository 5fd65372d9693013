/* SPDX-License-Identifier: MIT
 *
 * guest_link.c - the link to one guest: making it, and making and greeting connections.
 */
#include "plugins/common/guest_link.h"

#include "base/cleanup.h"

#include <sys/random.h>

enum { FIELD = 8, MAX_IDLE = 4, SETTLE_MS = 900 };

static char *join_env(const struct sbx_kv *pair)
{
    if (pair->key == NULL || pair->value == NULL)
        return NULL;
    size_t key = strlen(pair->key), value = strlen(pair->value);
    char *text = malloc(key + value + 2);
    if (text == NULL)
        return NULL;
    memcpy(text, pair->key, key);
    text[key] = '=';
    memcpy(text + key + 1, pair->value, value + 1);
    return text;
}

static int copy_text(char **out, const char *text)
{
    if (text == NULL)
        return 0;
    *out = strdup(text);
    return *out != NULL ? 0 : -1;
}

static int copy_options(struct guest_link *link, const struct guest_link_options *options)
{
    if (copy_text(&link->default_user, options->default_user) != 0 || copy_text(&link->workdir, options->workdir) != 0)
        return -1;
    size_t count = options->envs != NULL ? options->envs->count : 0;
    if (count == 0)
        return 0;
    link->envs = calloc(count, sizeof *link->envs);
    if (link->envs == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        link->envs[i] = join_env(&options->envs->items[i]);
        if (link->envs[i] == NULL)
            return -1;
        link->env_count++;
    }
    return 0;
}

struct guest_link *guest_open(const struct guest_link_options *options)
{
    struct guest_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->connect = options->connect;
    link->open = options->open;
    link->why_silent = options->why_silent;
    link->user = options->user;
    link->owner = getpid();
    link->share = options->share == 0 ? 1 : options->share;
    if (link->share > GUEST_SHARE_MAX)
        link->share = GUEST_SHARE_MAX;
    link->max_idle = options->max_idle != 0 ? options->max_idle : MAX_IDLE;
    if (pthread_mutex_init(&link->lock, NULL) != 0) {
        free(link);
        return NULL;
    }
    if (copy_options(link, options) != 0) {
        guest_close(link);
        return NULL;
    }
    return link;
}

void guest_link_claim(struct guest_link *link)
{
    pid_t self = getpid();
    if (link->owner == self)
        return;
    link->owner = self;
    while (link->idle != NULL) {
        struct guest_conn *conn = link->idle;
        link->idle = conn->next;
        guest_conn_abandon(conn);
    }
    guest_conn_abandon(link->greeted);
    link->greeted = NULL;
    link->idle_count = 0;
    link->opening = 0; /* whoever did, and whoever waited for it, are threads of the parent */
    link->waiters = NULL;
}

void guest_close(struct guest_link *link)
{
    if (link == NULL)
        return;
    guest_link_claim(link);
    while (link->idle != NULL) {
        struct guest_conn *conn = link->idle;
        link->idle = conn->next;
        guest_conn_close(conn);
    }
    if (link->greeted != NULL)
        guest_conn_close(link->greeted);
    (void)pthread_mutex_destroy(&link->lock);
    for (size_t i = 0; i < link->env_count; i++)
        free(link->envs[i]);
    free(link->envs);
    free(link->default_user);
    free(link->workdir);
    free(link);
}

uint32_t guest_link_next_id(struct guest_link *link)
{
    for (;;) {
        uint32_t id = atomic_fetch_add_explicit(&link->last_id, 1, memory_order_relaxed) + 1;
        if (id != 0)
            return id;
    }
}

static unsigned char *put_field(unsigned char *p, uint32_t tag, uint32_t len)
{
    wire_put16(p, tag);
    wire_put16(p + 2, 0);
    wire_put32(p + 4, len);
    return p + FIELD;
}

/* 0 when `payload` greets us back as version 1 with our nonce; the other version's number, or -1 for nonsense. */
static int64_t judge_hello(const unsigned char *payload, size_t len, const unsigned char *nonce)
{
    struct wire_field_view field;
    int more = 0, ok = 1, echoed = 0;
    uint64_t version = 0;
    while ((more = wire_next_field(&payload, &len, &field)) == 1) {
        if (field.tag == F_VERSION)
            version = wire_number(&field, &ok);
        else if (field.tag == F_NONCE)
            echoed = field.len == GUEST_NONCE && memcmp(field.data, nonce, GUEST_NONCE) == 0;
    }
    if (more != 0 || !ok || version == 0 || version > INT32_MAX)
        return -1;
    if (version != WIRE_VERSION)
        return (int64_t)version;
    return echoed ? 0 : -1;
}

/* One attempt to get a greeted connection. */
struct attempt {
    int64_t until_ns; /* the greeting must be there by then; 0: by the call's deadline */
    int closed;       /* the guest took the connection and ended it without a word */
    int silent;       /* ... and said nothing in time */
};

static sbx_status fail_closed(struct attempt *attempt, struct sbx_call *call)
{
    attempt->closed = 1;
    return call_fail(call, SBX_E_UNAVAILABLE, "guest: closed the connection instead of greeting");
}

/* Waits for one whole frame. */
static sbx_status wait_frame(struct guest_conn *conn, struct sbx_call *call, struct attempt *attempt,
                             struct wire_head *head, const unsigned char **payload)
{
    for (;;) {
        int got = guest_conn_frame(conn, head, payload);
        if (got > 0)
            return SBX_OK;
        if (got < 0)
            return call_fail(call, SBX_E_PROTOCOL, "guest: no greeting but nonsense");
        struct pollfd fd = {.fd = conn->io.fd, .events = POLLIN};
        int ready = 1;
        sbx_status status = SBX_OK;
        if (conn->drained)
            status = call_poll(call, &fd, 1, attempt->until_ns, &ready);
        if (status != SBX_OK)
            return status;
        attempt->silent = ready == 0;
        if (attempt->silent)
            return call_fail(call, SBX_E_UNAVAILABLE, "guest: no greeting in time");
        if (guest_conn_fill(conn) == GUEST_INPUT_END)
            return fail_closed(attempt, call);
    }
}

static sbx_status send_hello(struct guest_conn *conn, struct sbx_call *call, struct attempt *attempt)
{
    unsigned char hello[WIRE_HEADER + 2 * FIELD + 8 + GUEST_NONCE];
    if (getrandom(conn->nonce, sizeof conn->nonce, GRND_NONBLOCK) != (ssize_t)sizeof conn->nonce)
        memset(conn->nonce, 0x5a, sizeof conn->nonce); /* it only tells our answer from a stale one */
    wire_put_head(hello, (struct wire_head){.len = sizeof hello - WIRE_HEADER, .type = FRAME_HELLO});
    unsigned char *p = put_field(hello + WIRE_HEADER, F_VERSION, 8);
    wire_put64(p, WIRE_VERSION);
    p = put_field(p + 8, F_NONCE, GUEST_NONCE);
    memcpy(p, conn->nonce, GUEST_NONCE);
    ssize_t sent = guest_conn_write(conn, hello, sizeof hello);
    if (sent < 0)
        return fail_closed(attempt, call);
    if (sent != (ssize_t)sizeof hello)
        return call_fail(call, SBX_E_UNAVAILABLE, "guest: takes no greeting");
    return SBX_OK;
}

static sbx_status await_hello(struct guest_conn *conn, struct sbx_call *call, struct attempt *attempt)
{
    struct wire_head head;
    const unsigned char *payload = NULL;
    sbx_status status = wait_frame(conn, call, attempt, &head, &payload);
    if (status != SBX_OK)
        return status;
    if (head.type != FRAME_HELLO || head.flags != 0)
        return call_fail(call, SBX_E_PROTOCOL, "guest: no greeting but a frame of type %u", (unsigned)head.type);
    int64_t verdict = judge_hello(payload, head.len, conn->nonce);
    if (verdict > 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "guest: speaks protocol version %lld, not %u", (long long)verdict,
                         WIRE_VERSION);
    if (verdict < 0 || conn->start != conn->end)
        return call_fail(call, SBX_E_PROTOCOL, "guest: a greeting that is not an answer to ours");
    return SBX_OK;
}

static sbx_status open_stream(struct guest_link *link, struct sbx_call *call, struct guest_stream *stream)
{
    *stream = (struct guest_stream){.fd = -1};
    if (link->open != NULL)
        return link->open(link->user, call, stream);
    return link->connect(link->user, call, &stream->fd);
}

/* A connection over which the greeting is on its way. */
static sbx_status greet(struct guest_link *link, struct sbx_call *call, struct attempt *attempt,
                        struct guest_conn **out)
{
    struct guest_stream stream;
    sbx_status status = open_stream(link, call, &stream);
    if (status != SBX_OK)
        return status;
    struct guest_conn *conn = guest_conn_open(&stream, link->share);
    if (conn == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "guest: no memory for a connection");
    status = send_hello(conn, call, attempt);
    if (status != SBX_OK) {
        guest_conn_close(conn);
        return status;
    }
    *out = conn;
    return SBX_OK;
}

static struct guest_conn *take_greeted(struct guest_link *link)
{
    (void)pthread_mutex_lock(&link->lock);
    struct guest_conn *conn = link->greeted;
    link->greeted = NULL;
    (void)pthread_mutex_unlock(&link->lock);
    return conn;
}

static sbx_status connect_once(struct guest_link *link, struct sbx_call *call, const struct guest_patience *patience,
                               struct attempt *attempt, struct guest_conn **out)
{
    struct guest_conn *conn = take_greeted(link);
    sbx_status status = conn != NULL ? SBX_OK : greet(link, call, attempt, &conn);
    if (status != SBX_OK)
        return status;
    attempt->until_ns = patience->greet_ns > 0 ? clock_now_ns() + patience->greet_ns : patience->until_ns;
    status = await_hello(conn, call, attempt);
    if (status != SBX_OK) {
        guest_conn_close(conn);
        sbx_status why = attempt->silent && link->why_silent != NULL ? link->why_silent(link->user, call) : SBX_OK;
        return why != SBX_OK ? why : status;
    }
    *out = conn;
    return SBX_OK;
}

/* While a guest dies its socket may still take connections that it never serves; soon connecting says what is true. */
sbx_status guest_link_connect(struct guest_link *link, struct sbx_call *call, const struct guest_patience *patience,
                              struct guest_conn **out)
{
    int64_t settled_ns = clock_now_ns() + SETTLE_MS * MS_NS;
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    for (;;) {
        struct attempt attempt = {.closed = 0};
        int ready = 0;
        sbx_status status = connect_once(link, &inner, patience, &attempt, out);
        if (status == SBX_OK)
            return SBX_OK;
        if (attempt.closed && clock_now_ns() < settled_ns)
            status = call_poll(&inner, NULL, 0, clock_now_ns() + 20 * MS_NS, &ready);
        if (status != SBX_OK) {
            call_pass_error(call, &error);
            return status;
        }
    }
}

sbx_status guest_greet(struct guest_link *link, struct sbx_call *call)
{
    struct attempt attempt = {.until_ns = 0};
    return greet(link, call, &attempt, &link->greeted);
}
