/* SPDX-License-Identifier: MIT
 *
 * plan.c - what a create asks for, and how the daemon is told.
 */
#include "plugins/docker/create.h"
#include "plugins/docker/inject.h"

#include <inttypes.h>

#define GUEST_PATH INJECT_PROGRAM
#define BOX_PATH   "/.sbx/run"
enum { BODY_LIMIT = 8 << 20 };

static sbx_status check_unsupported(const struct sbx_create_args *args, struct sbx_call *call)
{
    if ((args->flags & ~(uint32_t)SBX_CREATE_BOUND) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: unknown flag bits 0x%x", args->flags);
    if (args->blueprint != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: docker has no blueprints");
    if (args->image != NULL && args->snapshot != NULL)
        return call_fail(call, SBX_E_INVALID, "create: either an image or a snapshot, not both");
    if (args->idle_timeout_s != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: docker has no idle time-out; use a lifetime");
    if (args->disk_mib != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: docker cannot limit a sandbox's disk");
    if (args->provider.count != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: docker has no option '%s'", args->provider.items[0].key);
    if (args->network == SBX_NET_ALLOW_LIST || args->network_allow != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED,
                         "create: docker cannot keep a list of allowed hosts; use network none or full");
    if (args->network > SBX_NET_ALLOW_LIST)
        return call_fail(call, SBX_E_INVALID, "create: unknown network mode %u", args->network);
    return SBX_OK;
}

sbx_status plan_check_workdir(const struct making *m)
{
    const char *workdir = m->workdir;
    size_t len = strlen(workdir);
    int is_proc = strncmp(workdir, "/proc", 5) == 0 && (workdir[5] == '\0' || workdir[5] == '/');
    if (workdir[0] != '/' || len >= 1024 || strstr(workdir, "/../") != NULL ||
        (len > 2 && strcmp(workdir + len - 3, "/..") == 0) || is_proc)
        return call_fail(m->call, SBX_E_INVALID,
                         "create: working directory '%s' must be an absolute path without dots, outside of /proc",
                         workdir);
    return SBX_OK;
}

/* Two hashes of the token, so that the same token is the same name wherever it is asked for. */
static void name_of_token(const char *token, char *name)
{
    uint64_t hash[2] = {14695981039346656037u, 1099511628211u * 31};
    for (const char *p = token; *p != '\0'; p++)
        for (int i = 0; i < 2; i++)
            hash[i] = (hash[i] ^ ((unsigned char)*p + (unsigned)i)) * 1099511628211u;
    (void)snprintf(name, NAME_SIZE, "sbx-t-%016" PRIx64 "%016" PRIx64, hash[0], hash[1]);
}

static sbx_status choose_name(struct making *m)
{
    const char *name = m->args.name;
    if (name == NULL && m->args.client_token != NULL)
        name_of_token(m->args.client_token, m->name);
    if (name == NULL)
        return SBX_OK; /* else by the entry's key, once there is one */
    if (strlen(name) < 2 || strlen(name) >= NAME_SIZE || !engine_is_reference(name) || name[0] == '_')
        return call_fail(m->call, SBX_E_INVALID,
                         "create: name '%s': docker takes at least two of letters, digits and _.-, the first a letter "
                         "or digit",
                         name);
    (void)snprintf(m->name, sizeof m->name, "%s", name);
    return SBX_OK;
}

/* A reference as it may stand in a path of the API. */
static sbx_status check_image(const char *image, struct sbx_call *call)
{
    if (image == NULL || image[0] == '\0')
        return call_fail(call, SBX_E_INVALID,
                         "create: docker needs an image: name one, set the key `image` or SANDBOX_IMAGE");
    size_t len = strspn(image, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@");
    if (image[len] != '\0' || len > 1024 || strchr("._-/:@", image[0]) != NULL ||
        strchr("/:@", image[len - 1]) != NULL || strstr(image, "//") != NULL || strstr(image, "..") != NULL)
        return call_fail(call, SBX_E_INVALID, "create: image '%s' is no reference such as debian:12 or an id", image);
    return SBX_OK;
}

static sbx_status check_guest(const struct making *m)
{
    const struct settings *s = &m->b->settings;
    if (!m->api && access(s->guest, R_OK) != 0)
        return call_fail(m->call, SBX_E_UNAVAILABLE, "create: the guest is missing: '%s'; set the key `guest`",
                         s->guest);
    return SBX_OK;
}

sbx_status plan_check(struct making *m)
{
    const struct settings *s = &m->b->settings;
    m->image = m->args.snapshot != NULL ? m->args.snapshot : m->args.image != NULL ? m->args.image : s->image;
    m->workdir = m->args.workdir != NULL ? m->args.workdir : s->workdir;
    m->network = m->args.network == SBX_NET_DEFAULT ? s->network : m->args.network;
    sbx_status status = check_unsupported(&m->args, m->call);
    if (status == SBX_OK)
        status = call_check_pairs(m->call, "create", &m->args.envs, "a variable", LABEL_PREFIX);
    if (status == SBX_OK)
        status = call_check_pairs(m->call, "create", &m->args.metadata, "a label", LABEL_PREFIX);
    if (status == SBX_OK)
        status = plan_check_workdir(m);
    if (status == SBX_OK)
        status = choose_name(m);
    if (status != SBX_OK)
        return status;
    status = check_image(m->image, m->call);
    return status == SBX_OK ? check_guest(m) : status;
}

/* --- the request ------------------------------------------------------------------------------------------------- */

static void put_pair(struct buf *body, const char *before, const char *key, const char *value)
{
    (void)buf_text(body, before);
    json_put_text(body, key);
    (void)buf_text(body, ":");
    json_put_text(body, value);
}

static void put_argument(struct buf *body, const char *name, const char *value)
{
    (void)buf_text(body, ",");
    json_put_text(body, name);
    if (value == NULL)
        return;
    (void)buf_text(body, ",");
    json_put_text(body, value);
}

#define MAKE_WORKDIR "[ -d \"$2\" ] || { mkdir -p \"$2\" && { [ -z \"$3\" ] || chown \"$3\" \"$2\"; }; }\n"

/* The container ends when the one connection to its input does. */
static void put_lifeline(struct buf *body)
{
    (void)buf_text(body, ",\"OpenStdin\":true,\"StdinOnce\":true,\"AttachStdin\":true");
}

/* Nothing but the end of its lifetime ($1 seconds), and of its input where it is bound to who made it. */
static void put_idle_command(const struct making *m, struct buf *body)
{
    static const char forever[] = MAKE_WORKDIR "while :; do sleep 3600 & wait $!; done";
    static const char limited[] = MAKE_WORKDIR "sleep \"$1\" & wait $!";
    static const char bound[] = MAKE_WORKDIR
        "exec 3<&0; trap exit TERM; [ -z \"$1\" ] || { sleep \"$1\"; kill 1; } & cat <&3 >/dev/null & wait $!";
    int is_bound = (m->args.flags & SBX_CREATE_BOUND) != 0;
    char seconds[16] = "";
    if (m->args.timeout_s != 0)
        (void)snprintf(seconds, sizeof seconds, "%u", m->args.timeout_s);
    if (is_bound)
        put_lifeline(body);
    (void)buf_text(body, ",\"Entrypoint\":[\"/bin/sh\",\"-c\"");
    put_argument(body, is_bound ? bound : seconds[0] != '\0' ? limited : forever, "sh");
    put_argument(body, seconds, m->workdir);
    put_argument(body, m->user != NULL ? m->user : "", NULL);
    (void)buf_text(body, "]");
}

static void put_command(const struct making *m, struct buf *body)
{
    char ms[32];
    int has_line = m->relay && (m->args.flags & SBX_CREATE_BOUND) != 0;
    if (has_line)
        put_lifeline(body);
    (void)buf_text(body, ",\"Entrypoint\":[\"" GUEST_PATH "\",\"serve\"");
    put_argument(body, m->relay ? "--listen" : "--meet", m->relay ? INJECT_SOCKET : BOX_PATH "/meet");
    if (has_line)
        put_argument(body, "--lifeline-fd", "0");
    put_argument(body, "--workdir", m->workdir);
    put_argument(body, "--keep-caps", NULL);
    if (!m->b->settings.read_only)
        put_argument(body, "--make-workdir", NULL);
    if (m->user != NULL && m->user[0] != '\0')
        put_argument(body, "--user", m->user);
    if (m->args.timeout_s != 0) {
        (void)snprintf(ms, sizeof ms, "%" PRIu64, (uint64_t)m->args.timeout_s * 1000);
        put_argument(body, "--lifetime-ms", ms);
    }
    (void)buf_text(body, "]");
}

static void put_labels(const struct making *m, struct buf *body)
{
    (void)buf_text(body, ",\"Labels\":{");
    put_pair(body, "", LABEL_KEY, m->key);
    put_pair(body, ",", LABEL_INSTANCE, m->b->instance);
    put_pair(body, ",", LABEL_SCOPE, m->b->entries.scope);
    put_pair(body, ",", LABEL_TOKEN, m->args.client_token != NULL ? m->args.client_token : "");
    put_pair(body, ",", LABEL_WORKDIR, m->workdir);
    put_pair(body, ",", LABEL_USER, m->user != NULL ? m->user : "");
    for (size_t i = 0; i < m->args.metadata.count; i++)
        put_pair(body, ",", m->args.metadata.items[i].key, m->args.metadata.items[i].value);
    (void)buf_text(body, "}");
}

static void put_mount(struct buf *body, const char *before, const char *source, const char *target)
{
    (void)buf_format(body, "%s{\"Type\":\"bind\",\"ReadOnly\":true", before);
    put_pair(body, ",", "Source", source);
    put_pair(body, ",", "Target", target);
    (void)buf_text(body, "}");
}

static void put_mounts(const struct making *m, struct buf *body)
{
    const struct settings *s = &m->b->settings;
    const char *before = "";
    CLEANUP_BUF struct buf box;
    buf_init(&box, 8192);
    (void)buf_format(&box, "%s/%s/box", m->b->entries.path, m->key);
    (void)buf_text(body, ",\"Mounts\":[");
    for (size_t i = 0; s->bind_ro[i] != NULL; i++, before = ",")
        put_mount(body, before, s->bind_ro[i], s->bind_ro[i]);
    if (m->relay && inject_has_volume(m->b))
        (void)buf_format(body, "%s{\"Type\":\"volume\",\"Target\":\"" INJECT_VOLUME "\"}", before);
    if (!m->api && !m->relay) {
        put_mount(body, before, s->guest, GUEST_PATH);
        put_mount(body, ",", box.failed == 0 ? box.data : "", BOX_PATH);
    }
    (void)buf_text(body, "]");
}

static void put_host(const struct making *m, struct buf *body)
{
    const struct settings *s = &m->b->settings;
    (void)buf_text(body, ",\"HostConfig\":{\"AutoRemove\":true,\"LogConfig\":{\"Type\":\"none\"}");
    put_pair(body, ",", "NetworkMode", m->network == SBX_NET_FULL ? s->network_name : "none");
    if (m->args.memory_mib != 0)
        (void)buf_format(body, ",\"Memory\":%" PRIu64 ",\"MemorySwap\":%" PRIu64, (uint64_t)m->args.memory_mib << 20,
                         (uint64_t)m->args.memory_mib << 20);
    if (m->args.cpu_millis != 0)
        (void)buf_format(body, ",\"NanoCpus\":%" PRIu64, (uint64_t)m->args.cpu_millis * 1000000);
    if (s->processes != 0)
        (void)buf_format(body, ",\"PidsLimit\":%u", s->processes);
    if (s->runtime != NULL)
        put_pair(body, ",", "Runtime", s->runtime);
    if (s->read_only)
        (void)buf_text(body, ",\"ReadonlyRootfs\":true,\"Tmpfs\":{\"/tmp\":\"mode=1777\"}");
    put_mounts(m, body);
    (void)buf_text(body, "}");
}

sbx_status plan_body(struct making *m, struct buf *body)
{
    buf_init(body, BODY_LIMIT);
    put_pair(body, "{", "Image", m->image);
    put_pair(body, ",", "User", "0:0"); /* the guest's own; commands act as --user */
    put_pair(body, ",", "WorkingDir", m->b->settings.read_only ? m->workdir : "/");
    (void)buf_text(body, ",\"Healthcheck\":{\"Test\":[\"NONE\"]}");
    if (m->network != SBX_NET_FULL)
        (void)buf_text(body, ",\"NetworkDisabled\":true");
    if (m->api)
        put_idle_command(m, body);
    else
        put_command(m, body);
    put_labels(m, body);
    put_host(m, body);
    (void)buf_text(body, "}");
    if (body->failed == EILSEQ)
        return call_fail(m->call, SBX_E_INVALID, "create: a name, label, user or path is no UTF-8 text");
    if (body->failed == EFBIG)
        return call_fail(m->call, SBX_E_TOO_LARGE, "create: the labels take more than %d MiB", BODY_LIMIT >> 20);
    return body->failed == 0 ? SBX_OK : call_fail(m->call, SBX_E_NO_MEMORY, "create: no memory");
}

sbx_status plan_envs(struct making *m, struct buf *envs)
{
    const struct cJSON *config = json_member(m->image_json, "Config");
    buf_init(envs, BODY_LIMIT);
    const struct cJSON *list = json_member(config, "Env");
    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item))
        if (json_value(item) != NULL && strchr(json_value(item), '=') != NULL)
            (void)buf_append(envs, json_value(item), strlen(json_value(item)) + 1);
    for (size_t i = 0; i < m->args.envs.count; i++) {
        (void)buf_format(envs, "%s=%s", m->args.envs.items[i].key, m->args.envs.items[i].value);
        (void)buf_append(envs, "", 1);
    }
    if (envs->failed == EFBIG)
        return call_fail(m->call, SBX_E_TOO_LARGE, "create: the variables take more than %d MiB", BODY_LIMIT >> 20);
    return envs->failed == 0 ? SBX_OK : call_fail(m->call, SBX_E_NO_MEMORY, "create: no memory");
}
