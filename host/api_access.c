/* SPDX-License-Identifier: MIT
 *
 * api_access.c - SSH keys and endpoints that a provider makes: kept while the provider is inside, reported, wiped.
 */
#include "base/cleanup.h"
#include "host/api.h"
#include "host/error.h"
#include "sbx_access.h"

#include <stdio.h>
#include <string.h>

enum { PORT_MAX = 65535, KEPT_MAX = 1 << 20, TEXT_MAX = 65536, TAKE_BACK_MS = 10000 };

/* --- what a provider may say -------------------------------------------------------------------------------------- */

/* One line that a program may be given as a word: no controls, no blanks, no option. */
static int is_word(const char *text)
{
    size_t len = text != NULL ? strnlen(text, TEXT_MAX) : 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
            return 0;
    return len > 0 && len < TEXT_MAX && text[0] != '-';
}

static int is_host(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:";
    return is_word(text) && text[strspn(text, letters)] == '\0';
}

static int is_line(const char *text)
{
    size_t len = strnlen(text, TEXT_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return 0;
    return len > 0 && len < TEXT_MAX;
}

static int is_key(const char *text)
{
    return text != NULL && strncmp(text, "-----BEGIN ", 11) == 0 && strnlen(text, TEXT_MAX) < TEXT_MAX;
}

/* --- SSH ---------------------------------------------------------------------------------------------------------- */

struct kept_login {
    struct arena arena;
    struct sbx_ssh_login login;
    int count;
    int is_bad;
};

static void login_finish(struct kept_login *kept)
{
    arena_wipe(&kept->arena);
}

static int32_t keep_login(void *user, const struct sbx_ssh_key *theirs)
{
    struct kept_login *kept = user;
    struct arena *a = &kept->arena;
    struct sbx_ssh_key key;
    sbx_view(&key, sizeof key, theirs);
    if (kept->count++ > 0)
        return 1;
    kept->is_bad = !is_host(key.host) || !is_word(key.user) || !is_key(key.private_key_pem) || key.port > PORT_MAX ||
                   (key.proxy_command != NULL && !is_line(key.proxy_command));
    if (kept->is_bad)
        return 1;
    kept->login = (struct sbx_ssh_login){.size = sizeof kept->login,
                                         .port = key.port != 0 ? key.port : 22,
                                         .host = arena_text(a, key.host),
                                         .user = arena_text(a, key.user),
                                         .private_key = arena_text(a, key.private_key_pem),
                                         .proxy_command = arena_text(a, key.proxy_command)};
    return a->failed != 0;
}

static sbx_status login_verdict(struct border_call *c, const struct kept_login *kept, sbx_status status)
{
    if (kept->arena.failed != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "the answer needs more memory than there is");
    if (kept->is_bad || kept->count > 1 || (status == SBX_OK && kept->count != 1))
        return border_fail(c, SBX_E_PROTOCOL, "the provider's answer is no key");
    return status;
}

sbx_status sbx_ssh_key_create(sbx_sandbox *box, const struct sbx_call_options *call, sbx_ssh_report *report, void *user,
                              struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "ssh", SBX_EXT_SSH, call, error);
    if (status != SBX_OK)
        return status;
    CLEANUP(login_finish) struct kept_login kept = {.count = 0};
    arena_init(&kept.arena, KEPT_MAX);
    const struct sbx_ssh_sink sink = {.size = sizeof sink, .user = &kept, .item = keep_login};
    status = border_end(&c, login_verdict(&c, &kept, border_ssh_create_key(&c, box, &sink)), error);
    if (status == SBX_OK && report != NULL)
        report(user, &kept.login);
    return status;
}

/* --- endpoints ---------------------------------------------------------------------------------------------------- */

struct endpoint_node {
    struct endpoint_node *next;
    struct sbx_endpoint endpoint;
};
struct kept_endpoints {
    struct arena arena;
    struct endpoint_node *first;
    struct endpoint_node **end;
    size_t count;
    int is_bad;
};

static void endpoints_init(struct kept_endpoints *kept)
{
    *kept = (struct kept_endpoints){.count = 0};
    arena_init(&kept->arena, KEPT_MAX);
    kept->end = &kept->first;
}

static void endpoints_finish(struct kept_endpoints *kept)
{
    arena_wipe(&kept->arena);
}

static int32_t keep_endpoint(void *user, const struct sbx_tunnel *theirs)
{
    struct kept_endpoints *kept = user;
    struct arena *a = &kept->arena;
    struct sbx_tunnel t;
    sbx_view(&t, sizeof t, theirs);
    kept->is_bad |= t.id == NULL || !border_id_is_sane(t.id) || t.port > PORT_MAX ||
                    (t.url != NULL && !is_word(t.url)) || (t.token != NULL && !is_word(t.token));
    struct endpoint_node *node = kept->is_bad ? NULL : arena_alloc(a, sizeof *node);
    if (node == NULL)
        return 1;
    node->endpoint = (struct sbx_endpoint){.size = sizeof node->endpoint,
                                           .port = t.port,
                                           .id = arena_text(a, t.id),
                                           .url = arena_text(a, t.url),
                                           .token = arena_text(a, t.token)};
    *kept->end = node;
    kept->end = &node->next;
    kept->count++;
    return a->failed != 0;
}

/* `wanted`: so many were to be reported; 0: any number. */
static sbx_status endpoints_verdict(struct border_call *c, const struct kept_endpoints *kept, sbx_status status,
                                    size_t wanted)
{
    if (kept->arena.failed != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "the answer needs more memory than there is");
    if (kept->is_bad)
        return border_fail(c, SBX_E_PROTOCOL, "the provider's answer is no endpoint");
    if (status == SBX_OK && wanted != 0 && kept->count != wanted)
        return border_fail(c, SBX_E_PROTOCOL, "the provider reported %zu endpoints instead of one", kept->count);
    return status;
}

/* Whoever asked for a lock on one port must not get an open door, nor another one. */
static sbx_status check_made(struct border_call *c, const struct sbx_endpoint *made, uint32_t port, uint32_t kind)
{
    if (made->port != port)
        return border_fail(c, SBX_E_PROTOCOL, "the provider's endpoint '%s' is for port %u", made->id, made->port);
    if (kind == SBX_ENDPOINT_TOKEN && made->token == NULL)
        return border_fail(c, SBX_E_PROTOCOL, "the provider's endpoint '%s' has no token", made->id);
    return SBX_OK;
}

/* Ends what the provider made and nobody will use, in a call of its own: the caller's may be over. The error of `c` is
 * set, and tells of one that stays. */
static void take_back(struct border_call *c, struct sbx_sandbox *box, const struct kept_endpoints *kept)
{
    const struct sbx_call_options limit = {.size = sizeof limit, .deadline_ms = TAKE_BACK_MS};
    for (const struct endpoint_node *node = kept->first; node != NULL; node = node->next) {
        struct border_call last;
        sbx_status status = border_begin(&last, c->log, c->verb, c->subject, &limit);
        if (status == SBX_OK)
            status = border_tunnel_remove(&last, box, node->endpoint.id);
        size_t len = strlen(c->error.message);
        if (status != SBX_OK && status != SBX_E_NOT_FOUND)
            (void)snprintf(c->error.message + len, sizeof c->error.message - len, "; '%s' is still open",
                           node->endpoint.id);
    }
}

static void report_all(const struct kept_endpoints *kept, sbx_endpoint_report *report, void *user)
{
    for (const struct endpoint_node *node = kept->first; report != NULL && node != NULL; node = node->next)
        report(user, &node->endpoint);
}

sbx_status sbx_endpoint_create(sbx_sandbox *box, uint32_t port, uint32_t kind, const struct sbx_call_options *call,
                               sbx_endpoint_report *report, void *user, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "tunnel", SBX_EXT_TUNNEL, call, error);
    if (status != SBX_OK)
        return status;
    if (port == 0 || port > PORT_MAX)
        return border_end(&c, border_fail(&c, SBX_E_INVALID, "there is no port %u", port), error);
    if (kind > SBX_ENDPOINT_TOKEN)
        return border_end(&c, border_fail(&c, SBX_E_INVALID, "there is no kind %u of endpoint", kind), error);
    const struct sbx_tunnel_args args = {
        .size = sizeof args, .port = port, .auth = kind == SBX_ENDPOINT_TOKEN ? SBX_TUNNEL_TOKEN : SBX_TUNNEL_OPEN};
    CLEANUP(endpoints_finish) struct kept_endpoints kept;
    endpoints_init(&kept);
    const struct sbx_tunnel_sink sink = {.size = sizeof sink, .user = &kept, .item = keep_endpoint};
    const sbx_status theirs = border_tunnel_create(&c, box, &args, &sink);
    status = endpoints_verdict(&c, &kept, theirs, 1);
    if (status == SBX_OK)
        status = check_made(&c, &kept.first->endpoint, port, kind);
    if (theirs == SBX_OK && status != SBX_OK)
        take_back(&c, box, &kept);
    status = border_end(&c, status, error);
    if (status == SBX_OK)
        report_all(&kept, report, user);
    return status;
}

sbx_status sbx_endpoint_list(sbx_sandbox *box, const struct sbx_call_options *call, sbx_endpoint_report *report,
                             void *user, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "tunnel", SBX_EXT_TUNNEL, call, error);
    if (status != SBX_OK)
        return status;
    CLEANUP(endpoints_finish) struct kept_endpoints kept;
    endpoints_init(&kept);
    const struct sbx_tunnel_sink sink = {.size = sizeof sink, .user = &kept, .item = keep_endpoint};
    status = border_end(&c, endpoints_verdict(&c, &kept, border_tunnel_list(&c, box, &sink), 0), error);
    if (status == SBX_OK)
        report_all(&kept, report, user);
    return status;
}

sbx_status sbx_endpoint_remove(sbx_sandbox *box, const char *id, const struct sbx_call_options *call,
                               struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "tunnel", SBX_EXT_TUNNEL, call, error);
    if (status != SBX_OK)
        return status;
    if (id == NULL || !border_id_is_sane(id))
        return border_end(&c, border_fail(&c, SBX_E_INVALID, "the endpoint's id is none"), error);
    status = border_tunnel_remove(&c, box, id);
    return border_end(&c, status == SBX_E_NOT_FOUND ? SBX_OK : status, error);
}
