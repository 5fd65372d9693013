/* SPDX-License-Identifier: MIT
 *
 * cmd_make.c - from the options of create and run to a sandbox.
 */
#include "host/cmd.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A list of an option's values, NULL-terminated; *out stays NULL when there is none. */
static int texts(struct cmd *c, enum cmd_id id, const char *what, const char ***out)
{
    size_t count = 0;
    if (!cmd_has(c, id))
        return 0;
    *out = calloc(c->repeated_count + 1, sizeof **out);
    if (*out == NULL)
        return cmd_no_memory(c);
    for (size_t i = 0; i < c->repeated_count; i++) {
        if (c->repeated[i].id != (uint32_t)id)
            continue;
        if (*c->repeated[i].value == 0)
            return cmd_usage(c, "--%s: an empty value", what);
        (*out)[count++] = c->repeated[i].value;
    }
    return 0;
}

static int make_network(struct cmd *c, struct make *m)
{
    const char *name = c->value[OPT_NETWORK];
    int code = texts(c, OPT_NETWORK_ALLOW, "network-allow", &m->network_allow);
    if (code != 0)
        return code;
    m->create.network_allow = m->network_allow;
    if (m->network_allow != NULL)
        m->create.network = SBX_NET_ALLOW_LIST;
    if (name == NULL)
        return 0;
    if (m->network_allow != NULL)
        return cmd_usage(c, "--network and --network-allow exclude each other; give one");
    if (strcmp(name, "none") == 0)
        m->create.network = SBX_NET_NONE;
    else if (strcmp(name, "full") == 0)
        m->create.network = SBX_NET_FULL;
    else
        return cmd_usage(c, "--network: '%s' is neither none nor full", name);
    return 0;
}

/* Whole seconds, more than none. */
static int seconds(struct cmd *c, enum cmd_id id, const char *name, uint32_t *out)
{
    int64_t ms = 0;
    int code = value_duration(c, id, &ms);
    if (code != 0 || !cmd_has(c, id))
        return code;
    if (ms == 0 || ms / 1000 >= UINT32_MAX)
        return cmd_usage(c, "--%s: '%s' is out of range; write a duration of at least 1s", name, c->value[id]);
    *out = (uint32_t)((ms + 999) / 1000);
    return 0;
}

static int mebibytes(struct cmd *c, enum cmd_id id, const char *name, uint32_t *out)
{
    uint64_t bytes = 0;
    int code = value_size(c, id, &bytes);
    if (code != 0 || !cmd_has(c, id))
        return code;
    if (bytes < 1048576 || bytes / 1048576 >= UINT32_MAX)
        return cmd_usage(c, "--%s: '%s' is out of range; a bare number is bytes, write such as 512M", name,
                         c->value[id]);
    *out = (uint32_t)((bytes + 1048575) / 1048576);
    return 0;
}

static int make_limits(struct cmd *c, struct make *m)
{
    int code = seconds(c, OPT_LIFETIME, "lifetime", &m->create.lifetime_s);
    if (code == 0)
        code = seconds(c, OPT_IDLE_TIMEOUT, "idle-timeout", &m->create.idle_timeout_s);
    if (code == 0)
        code = mebibytes(c, OPT_MEMORY, "memory", &m->create.memory_mib);
    if (code == 0)
        code = mebibytes(c, OPT_DISK, "disk", &m->create.disk_mib);
    return code == 0 ? value_cpus(c, OPT_CPUS, &m->create.cpu_millis) : code;
}

/* Texts that mean something only when they are not empty. */
static int make_texts(struct cmd *c, struct make *m)
{
    static const struct {
        enum cmd_id id;
        const char *name;
    } texts_to_check[] = {{OPT_PROVIDER, "provider"}, {OPT_IMAGE, "image"}, {OPT_BLUEPRINT, "blueprint"},
                          {OPT_SNAPSHOT, "snapshot"}, {OPT_NAME, "name"},   {OPT_CWD, "cwd"},
                          {OPT_USER, "user"}};
    int origins = cmd_has(c, OPT_IMAGE) + cmd_has(c, OPT_BLUEPRINT) + cmd_has(c, OPT_SNAPSHOT);
    for (size_t i = 0; i < sizeof texts_to_check / sizeof texts_to_check[0]; i++)
        if (cmd_has(c, texts_to_check[i].id) && *c->value[texts_to_check[i].id] == 0)
            return cmd_usage(c, "--%s: an empty value", texts_to_check[i].name);
    if (origins > 1)
        return cmd_usage(c, "--image, --blueprint and --snapshot exclude each other; give one");
    m->create.provider = c->value[OPT_PROVIDER];
    m->create.image = c->value[OPT_IMAGE];
    m->create.blueprint = c->value[OPT_BLUEPRINT];
    m->create.snapshot = c->value[OPT_SNAPSHOT];
    m->create.name = c->value[OPT_NAME];
    return 0;
}

int make_init(struct cmd *c, struct make *m)
{
    int code;
    *m = (struct make){.create = SBX_INIT(m->create)};
    code = make_texts(c, m);
    if (code == 0)
        code = make_limits(c, m);
    if (code == 0)
        code = make_network(c, m);
    if (code == 0)
        code = texts(c, OPT_REQUIRE, "require", &m->require);
    if (code == 0)
        code = value_pairs(c, OPT_LABEL, 1, &m->labels);
    if (code == 0)
        code = value_pairs(c, OPT_OPTION, 0, &m->options);
    m->create.require = m->require;
    m->create.labels = kv_view(&m->labels);
    m->create.provider_options = kv_view(&m->options);
    return code;
}

void make_finish(struct make *m)
{
    kv_finish(&m->envs);
    kv_finish(&m->labels);
    kv_finish(&m->options);
    free(m->network_allow);
    free(m->require);
    *m = (struct make){0};
}

static int64_t now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the operation and shows, after a second, for how long it has been going on. */
static sbx_status wait_shown(sbx_op *op, const char *what, struct sbx_error *error)
{
    int64_t start = now_ms();
    int shown = 0;
    while (sbx_op_dispatch(op) == 0) {
        struct pollfd p = {.fd = sbx_op_fd(op), .events = POLLIN};
        int64_t passed = now_ms() - start;
        if (poll(&p, 1, 1000 - (int)(passed % 1000)) == 0) {
            (void)fprintf(stderr, "\r%s ... %lld s", what, (long long)((now_ms() - start) / 1000));
            (void)fflush(stderr);
            shown = 1;
        }
    }
    if (shown) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
    return sbx_op_finish(op, error);
}

int make_sandbox(struct cmd *c, sbx_context *ctx, const struct sbx_create_options *create, sbx_sandbox **out)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_op *op = NULL;
    sbx_status code;
    if (cmd_has(c, OPT_QUIET) || cmd_has(c, OPT_JSON) || isatty(2) != 1) {
        code = sbx_create(ctx, create, &c->call, out, &error);
        return code == SBX_OK ? 0 : cmd_fail(c, NULL, &error);
    }
    code = sbx_create_start(ctx, create, &c->call, &op, &error);
    if (code == SBX_OK) {
        code = wait_shown(op, "making a sandbox", &error);
        *out = code == SBX_OK ? sbx_op_take_sandbox(op) : NULL;
        sbx_op_free(op);
    }
    return code == SBX_OK ? 0 : cmd_fail(c, NULL, &error);
}
