/* SPDX-License-Identifier: MIT
 *
 * wish.c - see wish.h.
 */
#include "plugins/runloop/wish.h"

#include "base/parse.h"
#include "plugins/runloop/quote.h"

enum { BODY_LIMIT = 8 << 20, LIFE_MAX_S = 172800, GIB = 1024 };

/* --- small parts ------------------------------------------------------------------------------------------------- */

static void put_name(struct buf *body, const char *before, const char *name)
{
    (void)buf_text(body, before);
    json_put_text(body, name);
    (void)buf_text(body, ":");
}

static void put_text(struct buf *body, const char *name, const char *value)
{
    put_name(body, ",", name);
    json_put_text(body, value);
}

static void put_pairs(struct buf *body, const char *name, const struct sbx_kvs *pairs)
{
    put_name(body, ",", name);
    for (size_t i = 0; i < pairs->count; i++) {
        put_name(body, i == 0 ? "{" : ",", pairs->items[i].key);
        json_put_text(body, pairs->items[i].value);
    }
    (void)buf_text(body, pairs->count == 0 ? "{}" : "}");
}

static const char *option(const struct sbx_create_args *args, const char *key)
{
    for (size_t i = args->provider.count; i > 0; i--)
        if (strcmp(args->provider.items[i - 1].key, key) == 0)
            return args->provider.items[i - 1].value;
    return NULL;
}

/* --- what is refused --------------------------------------------------------------------------------------------- */

static sbx_status check_options(const struct sbx_create_args *args, struct sbx_call *call)
{
    static const char *const known[] = {"runloop.size",    "runloop.architecture",   "runloop.entrypoint",
                                        "runloop.on_idle", "runloop.network_policy", "runloop.launch_command",
                                        "runloop.tunnel",  "runloop.mounts"};
    for (size_t i = 0; i < args->provider.count; i++) {
        const char *key = args->provider.items[i].key;
        int fits = strncmp(key, "runloop.secret.", 15) == 0 && key[15] != '\0';
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
            fits |= strcmp(key, known[k]) == 0;
        if (!fits)
            return call_fail(call, SBX_E_UNSUPPORTED, "create: runloop has no option '%s'", key);
    }
    return SBX_OK;
}

static sbx_status check_words(const struct sbx_create_args *args, struct sbx_call *call)
{
    static const struct {
        const char *key;
        const char *words[3];
    } table[] = {{"runloop.on_idle", {"shutdown", "suspend", NULL}},
                 {"runloop.tunnel", {"open", "authenticated", NULL}},
                 {"runloop.architecture", {"x86_64", "arm64", NULL}}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *value = option(args, table[i].key);
        if (value != NULL && strcmp(value, table[i].words[0]) != 0 && strcmp(value, table[i].words[1]) != 0)
            return call_fail(call, SBX_E_INVALID, "create: %s: '%s' is not one of: %s, %s", table[i].key, value,
                             table[i].words[0], table[i].words[1]);
    }
    if (option(args, "runloop.on_idle") != NULL && args->idle_timeout_s == 0)
        return call_fail(call, SBX_E_INVALID,
                         "create: runloop.on_idle says what an idle time-out does, and there is none");
    return SBX_OK;
}

static sbx_status check(const struct sbx_create_args *args, struct sbx_call *call)
{
    if ((args->flags & ~(uint32_t)SBX_CREATE_BOUND) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: unknown flag bits 0x%x", args->flags);
    if ((args->image != NULL) + (args->blueprint != NULL) + (args->snapshot != NULL) > 1)
        return call_fail(call, SBX_E_INVALID, "create: more than one of image, blueprint and snapshot");
    if (args->network == SBX_NET_ALLOW_LIST || args->network_allow != NULL ||
        (args->network == SBX_NET_NONE && option(args, "runloop.network_policy") == NULL))
        return call_fail(call, SBX_E_UNSUPPORTED,
                         "create: devboxes have the network; less of it is a policy of the service: use "
                         "runloop.network_policy");
    if (args->network > SBX_NET_ALLOW_LIST)
        return call_fail(call, SBX_E_INVALID, "create: unknown network mode %u", args->network);
    if (args->timeout_s > LIFE_MAX_S || args->idle_timeout_s > LIFE_MAX_S)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: a devbox lives 48 hours at most");
    if (args->workdir != NULL && args->workdir[0] != '/')
        return call_fail(call, SBX_E_INVALID, "create: working directory '%s' must be an absolute path", args->workdir);
    sbx_status status = call_check_pairs(call, "create", &args->envs, "a variable", META_PREFIX);
    if (status == SBX_OK)
        status = call_check_pairs(call, "create", &args->metadata, "a label", META_PREFIX);
    if (status == SBX_OK)
        status = check_options(args, call);
    return status == SBX_OK ? check_words(args, call) : status;
}

/* --- size -------------------------------------------------------------------------------------------------------- */

/* The service takes 1 or an even number. */
static uint32_t up_to_even(uint32_t number)
{
    return number <= 1 ? 1 : number + number % 2;
}

struct size {
    uint32_t cpus; /* thousandths */
    uint32_t memory;
    uint32_t disk; /* GiB, as memory */
};

/* What the service does not give of this; NULL: it does. */
static const char *misfit(const struct sbx_create_args *args)
{
    uint32_t memory = args->memory_mib / GIB, disk = args->disk_mib / GIB, cpus = args->cpu_millis;
    if (args->memory_mib % GIB != 0 || memory > 64 || (memory != 0 && up_to_even(memory) != memory))
        return "1, or an even number up to 64, GiB of memory";
    if (args->disk_mib % GIB != 0 || disk > 64 || disk % 2 != 0)
        return "an even number of GiB, 2 to 64, as disk";
    if (cpus == 0 || cpus == 500)
        return NULL;
    return cpus > 16000 || cpus % 1000 != 0 || up_to_even(cpus / 1000) * 1000 != cpus
               ? "0.5, 1, or an even number up to 16, of cores"
               : NULL;
}

/* What was not named goes by what was. */
static void complete(struct size *size)
{
    if (size->cpus == 0 && size->memory != 0 && size->memory < 4)
        size->cpus = size->memory == 1 ? 500 : 1000;
    else if (size->cpus == 0)
        size->cpus = up_to_even(size->memory / 4) * 1000;
    if (size->memory == 0)
        size->memory = up_to_even(size->cpus / 500);
    if (size->disk == 0)
        size->disk = 16;
}

/* Exactly what was asked for, or a refusal: a limit that is not kept is none. */
static sbx_status put_size(const struct sbx_backend *b, const struct sbx_create_args *args, struct sbx_call *call,
                           struct buf *body)
{
    const char *name = option(args, "runloop.size"), *trouble = misfit(args);
    struct size size = {args->cpu_millis, args->memory_mib / GIB, args->disk_mib / GIB};
    int has_limits = args->cpu_millis != 0 || args->memory_mib != 0 || args->disk_mib != 0;
    if (!has_limits && name == NULL)
        name = b->settings.size;
    if (!has_limits && name != NULL)
        put_text(body, "resource_size_request", name);
    if (!has_limits)
        return SBX_OK;
    if (name != NULL)
        return call_fail(call, SBX_E_INVALID, "create: runloop.size and limits contradict one another");
    complete(&size);
    if (trouble == NULL && (size.memory * 1000 < size.cpus * 2 || size.memory * 1000 > size.cpus * 8))
        trouble = "2 to 8 GiB of memory for each core";
    if (trouble != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: runloop gives %s", trouble);
    put_text(body, "resource_size_request", "CUSTOM_SIZE");
    (void)buf_format(body, ",\"custom_cpu_cores\":%u.%u,\"custom_gb_memory\":%u,\"custom_disk_size\":%u",
                     size.cpus / 1000, size.cpus % 1000 / 100, size.memory, size.disk);
    return SBX_OK;
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */

static void put_launch_commands(const struct sbx_create_args *args, struct buf *body)
{
    const char *before = ",\"launch_commands\":[";
    for (size_t i = 0; i < args->provider.count; i++)
        if (strcmp(args->provider.items[i].key, "runloop.launch_command") == 0) {
            (void)buf_text(body, before);
            json_put_text(body, args->provider.items[i].value);
            before = ",";
        }
    if (args->workdir != NULL) {
        CLEANUP_BUF struct buf text;
        buf_init(&text, BODY_LIMIT);
        (void)buf_text(&text, "mkdir -p -- ");
        quote_put(&text, args->workdir);
        (void)buf_text(body, before);
        json_put_text(body, text.failed == 0 ? text.data : "");
        before = ",";
    }
    if (before[1] == '\0')
        (void)buf_text(body, "]");
}

/* root, or NAME:UID. */
static sbx_status put_user(const char *user, struct sbx_call *call, struct buf *body)
{
    const char *colon = strchr(user, ':');
    int64_t uid = 0;
    if (strcmp(user, "root") != 0 && (colon == NULL || colon == user || parse_int(colon + 1, &uid) != 0 || uid < 0))
        return call_fail(call, SBX_E_UNSUPPORTED, "create: user '%s': runloop makes root, or a user given as NAME:UID",
                         user);
    CLEANUP_FREE char *name = strndup(user, colon == NULL ? strlen(user) : (size_t)(colon - user));
    if (name == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "create: no memory");
    (void)buf_text(body, ",\"user_parameters\":{\"username\":");
    json_put_text(body, name);
    (void)buf_format(body, ",\"uid\":%lld}", (long long)uid);
    return SBX_OK;
}

static sbx_status put_launch(const struct sbx_backend *b, const struct sbx_create_args *args, struct sbx_call *call,
                             struct buf *body)
{
    static const char *const texts[][2] = {{"runloop.architecture", "architecture"},
                                           {"runloop.network_policy", "network_policy_id"}};
    const char *on_idle = option(args, "runloop.on_idle");
    (void)buf_text(body, ",\"launch_parameters\":{\"required_services\":[]");
    sbx_status status = put_size(b, args, call, body);
    if (status == SBX_OK && args->user != NULL)
        status = put_user(args->user, call, body);
    /* The service takes a lifetime or an idle policy, not both. */
    if (args->idle_timeout_s != 0)
        (void)buf_format(body, ",\"lifecycle\":{\"after_idle\":{\"idle_time_seconds\":%u,\"on_idle\":\"%s\"}}",
                         args->idle_timeout_s, on_idle != NULL ? on_idle : "shutdown");
    else if (args->timeout_s != 0)
        (void)buf_format(body, ",\"keep_alive_time_seconds\":%u", args->timeout_s);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (option(args, texts[i][0]) != NULL)
            put_text(body, texts[i][1], option(args, texts[i][0]));
    put_launch_commands(args, body);
    (void)buf_text(body, "}");
    return status;
}

static void put_image(const struct sbx_backend *b, const struct sbx_create_args *args, struct buf *body)
{
    const char *image = args->blueprint != NULL ? args->blueprint : args->image;
    if (args->snapshot != NULL) {
        put_text(body, "snapshot_id", args->snapshot);
        return;
    }
    if (image == NULL)
        image = b->settings.blueprint;
    if (image != NULL)
        put_text(body, strncmp(image, "bpt_", 4) == 0 ? "blueprint_id" : "blueprint_name", image);
}

static sbx_status put_options(const struct sbx_create_args *args, struct sbx_call *call, struct buf *body)
{
    const char *mounts = option(args, "runloop.mounts"), *before = ",\"secrets\":{";
    if (option(args, "runloop.entrypoint") != NULL)
        put_text(body, "entrypoint", option(args, "runloop.entrypoint"));
    if (option(args, "runloop.tunnel") != NULL) {
        (void)buf_text(body, ",\"tunnel\":{\"auth_mode\":");
        json_put_text(body, option(args, "runloop.tunnel"));
        (void)buf_text(body, "}");
    }
    for (size_t i = 0; i < args->provider.count; i++)
        if (strncmp(args->provider.items[i].key, "runloop.secret.", 15) == 0) {
            put_name(body, before, args->provider.items[i].key + 15);
            json_put_text(body, args->provider.items[i].value);
            before = ",";
        }
    if (before[1] == '\0')
        (void)buf_text(body, "}");
    if (mounts == NULL)
        return SBX_OK;
    CLEANUP_JSON struct cJSON *json = NULL;
    if (json_parse(NULL, "", mounts, strlen(mounts), &json) != SBX_OK || mounts[0] != '[')
        return call_fail(call, SBX_E_INVALID, "create: runloop.mounts is no array of JSON");
    (void)buf_format(body, ",\"mounts\":%s", mounts);
    return SBX_OK;
}

static void put_metadata(const struct sbx_backend *b, const struct sbx_create_args *args, const char *token,
                         struct buf *body)
{
    (void)buf_text(body, "{\"metadata\":{\"" META_INSTANCE "\":");
    json_put_text(body, b->instance);
    put_text(body, META_TOKEN, token);
    if (args->workdir != NULL)
        put_text(body, META_WORKDIR, args->workdir);
    for (size_t i = 0; i < args->metadata.count; i++)
        put_text(body, args->metadata.items[i].key, args->metadata.items[i].value);
    (void)buf_text(body, "}");
}

sbx_status wish_body(const struct sbx_backend *b, const struct sbx_create_args *args, const char *token,
                     struct sbx_call *call, struct buf *body)
{
    buf_init(body, BODY_LIMIT);
    sbx_status status = check(args, call);
    if (status != SBX_OK)
        return status;
    put_metadata(b, args, token, body);
    if (args->name != NULL)
        put_text(body, "name", args->name);
    if (args->envs.count != 0)
        put_pairs(body, "environment_variables", &args->envs);
    put_image(b, args, body);
    status = put_launch(b, args, call, body);
    if (status == SBX_OK)
        status = put_options(args, call, body);
    (void)buf_text(body, "}");
    if (status != SBX_OK)
        return status;
    if (body->failed == EILSEQ)
        return call_fail(call, SBX_E_INVALID, "create: a name, label, variable or path is no UTF-8 text");
    if (body->failed == EFBIG)
        return call_fail(call, SBX_E_TOO_LARGE, "create: labels and variables take more than %d MiB", BODY_LIMIT >> 20);
    return body->failed == 0 ? SBX_OK : call_fail(call, SBX_E_NO_MEMORY, "create: no memory");
}
