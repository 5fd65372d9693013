/* SPDX-License-Identifier: MIT
 *
 * plan.c - what a create asks for, checked as a whole before anything is made.
 */
#include "plugins/local/fill.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static sbx_status check_unsupported(const struct sbx_create_args *args, struct sbx_call *call)
{
    if ((args->flags & ~(uint32_t)SBX_CREATE_BOUND) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: unknown flag bits 0x%x", args->flags);
    if (args->blueprint != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: local has no blueprints");
    if (args->snapshot != NULL && args->image != NULL)
        return call_fail(call, SBX_E_INVALID, "create: an image or a snapshot, not both");
    if (args->idle_timeout_s != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: local has no idle time-out; use a lifetime");
    if (args->provider.count != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "create: local has no option '%s'", args->provider.items[0].key);
    if (args->network == SBX_NET_ALLOW_LIST || args->network_allow != NULL)
        return call_fail(call, SBX_E_UNSUPPORTED,
                         "create: local cannot keep a list of allowed hosts; use network none "
                         "or full");
    if (args->network > SBX_NET_ALLOW_LIST)
        return call_fail(call, SBX_E_INVALID, "create: unknown network mode %u", args->network);
    return SBX_OK;
}

static int has_dots(const char *path)
{
    size_t len = strlen(path);
    return strstr(path, "/../") != NULL || strstr(path, "/./") != NULL ||
           (len > 2 && strcmp(path + len - 3, "/..") == 0) || (len > 1 && strcmp(path + len - 2, "/.") == 0);
}

static sbx_status check_workdir(const char *workdir, struct sbx_call *call)
{
    static const char *const kept[] = {"/proc", "/dev", "/sys", "/.sbx"};
    if (workdir[0] != '/' || has_dots(workdir) || strlen(workdir) >= CREATE_PATH / 4)
        return call_fail(call, SBX_E_INVALID, "create: working directory '%s' must be an absolute path without dots",
                         workdir);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (strncmp(workdir, kept[i], strlen(kept[i])) == 0 &&
            (workdir[strlen(kept[i])] == '\0' || workdir[strlen(kept[i])] == '/'))
            return call_fail(call, SBX_E_INVALID, "create: working directory '%s' is the kernel's", workdir);
    return SBX_OK;
}

static sbx_status check_image(const char *image, int *unpacks, struct sbx_call *call)
{
    struct stat st;
    if (image == NULL)
        return SBX_OK;
    if (image[0] != '/')
        return call_fail(call, SBX_E_INVALID,
                         "create: image '%s': local takes the absolute path of a root directory or a tar, not a name; "
                         "leave it out for the system's own",
                         image);
    if (stat(image, &st) != 0)
        return call_fail_errno(call, errno, "create: image '%s'", image);
    *unpacks = S_ISREG(st.st_mode);
    if (*unpacks)
        return fill_check_tar(image, call);
    if (!S_ISDIR(st.st_mode) || has_dots(image))
        return call_fail(call, SBX_E_INVALID, "create: image '%s' is no root directory", image);
    return SBX_OK;
}

static sbx_status check_programs(const struct local_config *config, struct sbx_call *call)
{
    if (access(config->bwrap, X_OK) != 0)
        return call_fail(call, SBX_E_UNAVAILABLE,
                         "create: bubblewrap is missing: '%s'; install it (apt install bubblewrap) or set the key "
                         "`bwrap`",
                         config->bwrap);
    if (access(config->guest, R_OK) != 0)
        return call_fail(call, SBX_E_UNAVAILABLE, "create: the guest is missing: '%s'; set the key `guest`",
                         config->guest);
    return SBX_OK;
}

static sbx_status check_name(const char *name, struct sbx_call *call)
{
    if (name != NULL && (name[0] == '\0' || strlen(name) >= SBX_ID_SIZE))
        return call_fail(call, SBX_E_INVALID, "create: a name has 1 to %d bytes", SBX_ID_SIZE - 1);
    if (name != NULL && record_is_id(name))
        return call_fail(call, SBX_E_INVALID, "create: name '%s' looks like an id", name);
    return SBX_OK;
}

static void fill_record(struct making *m)
{
    const struct sbx_create_args *args = &m->args;
    const struct local_config *config = &m->b->config;
    m->record = (struct record){
        .name = args->name,
        .token = args->client_token,
        .image = args->image != NULL ? args->image : config->image,
        .workdir = args->workdir != NULL ? args->workdir : "/workspace",
        .user = args->user,
        .metadata = args->metadata,
        .bound = (args->flags & SBX_CREATE_BOUND) != 0,
        .network = args->network == SBX_NET_DEFAULT ? config->network : args->network,
        .memory_mib = args->memory_mib,
        .cpu_millis = args->cpu_millis,
        .disk_mib = args->disk_mib,
        .created_ms = clock_wall_ms(),
    };
    if (args->timeout_s != 0)
        m->record.expires_ms = m->record.created_ms + (int64_t)args->timeout_s * 1000;
}

sbx_status plan_record(struct making *m)
{
    struct record *r = &m->record;
    fill_record(m);
    sbx_status status = check_unsupported(&m->args, m->call);
    if (status == SBX_OK && m->args.snapshot != NULL)
        status = fill_plan(m);
    if (status == SBX_OK)
        status = call_check_pairs(m->call, "create", &m->args.envs, "a variable", NULL);
    if (status == SBX_OK)
        status = call_check_pairs(m->call, "create", &m->args.metadata, "a label", NULL);
    if (status == SBX_OK)
        status = check_name(r->name, m->call);
    if (status == SBX_OK)
        status = check_workdir(r->workdir, m->call);
    if (status == SBX_OK)
        status = check_image(r->image, &m->unpacks, m->call);
    return status == SBX_OK ? check_programs(&m->b->config, m->call) : status;
}
