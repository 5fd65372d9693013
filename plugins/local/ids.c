/* SPDX-License-Identifier: MIT
 *
 * ids.c - chooses the user mapping of a sandbox.
 */
#include "plugins/local/ids.h"

#include "base/cleanup.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether this process's user namespace has ids [first, first + IDS_COUNT). */
static int range_exists(const char *map_path, uint32_t first)
{
    CLEANUP_FILE FILE *map = fopen(map_path, "re");
    unsigned long inside = 0, outside = 0, count = 0;
    while (map != NULL && fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3)
        if (first >= inside && first + (unsigned long)IDS_COUNT <= inside + count)
            return 1;
    return 0;
}

/* The first range in /etc/subuid or /etc/subgid for the user, by name or number. 0 or -1. */
static int find_subids(const char *path, const char *user, uint32_t uid, uint32_t *first, uint32_t *count)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    char line[512], number[16];
    (void)snprintf(number, sizeof number, "%u", uid);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char name[256];
        unsigned long start = 0, length = 0;
        if (sscanf(line, "%255[^:]:%lu:%lu", name, &start, &length) != 3)
            continue;
        if (strcmp(name, number) != 0 && (user == NULL || strcmp(name, user) != 0))
            continue;
        if (start == 0 || start > 0xfffffffeul || length <= IDS_SANDBOX)
            continue;
        *first = (uint32_t)start;
        *count = length >= IDS_COUNT ? IDS_COUNT - 1 : (uint32_t)length;
        return 0;
    }
    return -1;
}

const char *ids_map_program(int gid)
{
    static const char *const programs[2][3] = {{"/usr/bin/newuidmap", "/bin/newuidmap", "/usr/local/bin/newuidmap"},
                                               {"/usr/bin/newgidmap", "/bin/newgidmap", "/usr/local/bin/newgidmap"}};
    for (size_t i = 0; i < 3; i++)
        if (access(programs[gid != 0][i], X_OK) == 0)
            return programs[gid != 0][i];
    return NULL;
}

/* The user's name, or NULL. Most are in the file; asking for the others loads libraries into this process and may ask a
 * server. */
static const char *name_of(uid_t uid, struct passwd *entry, char *text, size_t size)
{
    struct passwd *found = NULL;
    CLEANUP_FILE FILE *file = fopen("/etc/passwd", "re");
    while (file != NULL && fgetpwent_r(file, entry, text, size, &found) == 0)
        if (entry->pw_uid == uid)
            return entry->pw_name;
    return getpwuid_r(uid, entry, text, size, &found) == 0 && found != NULL ? entry->pw_name : NULL;
}

static int choose_subids(struct ids *ids)
{
    struct passwd entry;
    char text[4096];
    struct stat st;
    if (stat("/etc/subuid", &st) != 0 || st.st_size == 0 || ids_map_program(0) == NULL || ids_map_program(1) == NULL)
        return -1;
    const char *user = name_of(ids->uid, &entry, text, sizeof text);
    if (find_subids("/etc/subuid", user, ids->uid, &ids->uid_first, &ids->uid_count) != 0 ||
        find_subids("/etc/subgid", user, ids->uid, &ids->gid_first, &ids->gid_count) != 0)
        return -1;
    ids->kind = IDS_MAPPED_SUBIDS;
    return 0;
}

static int choose_root(const struct ids_options *options, uint64_t seed, struct ids *ids)
{
    uint32_t slot = (uint32_t)(seed % options->ranges);
    uint64_t first = options->base + (uint64_t)slot * IDS_COUNT;
    if (ids->uid != 0 || first + IDS_COUNT > IDS_END)
        return -1;
    if (!range_exists("/proc/self/uid_map", (uint32_t)first) || !range_exists("/proc/self/gid_map", (uint32_t)first))
        return -1;
    ids->kind = IDS_MAPPED_ROOT;
    ids->uid_first = ids->gid_first = (uint32_t)first;
    ids->uid_count = ids->gid_count = IDS_COUNT;
    return 0;
}

sbx_status ids_choose(const struct ids_options *options, uint64_t seed, struct sbx_call *call, struct ids *out)
{
    struct ids ids = {.kind = IDS_SINGLE, .uid = (uint32_t)geteuid(), .gid = (uint32_t)getegid()};
    if (options->want != IDS_WANT_SINGLE && choose_root(options, seed, &ids) != 0)
        (void)choose_subids(&ids);
    if (options->want == IDS_WANT_MAPPED && ids.kind == IDS_SINGLE)
        return call_fail(call, SBX_E_CONFIG,
                         "create: users = mapped, but this user has no subordinate ids; give it some in /etc/subuid "
                         "and /etc/subgid (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME) and "
                         "install newuidmap (package uidmap)");
    *out = ids;
    return SBX_OK;
}

const char *ids_name(const struct ids *ids)
{
    return ids->kind == IDS_SINGLE ? "single" : "mapped";
}
