/* SPDX-License-Identifier: MIT
 *
 * cgroup.c - limits by control groups.
 */
#include "plugins/local/cgroup.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#define ROOT "/sys/fs/cgroup"

enum { PATH_LIMIT = 4096, PERIOD_US = 100000, REMOVE_MS = 1000 };

static int write_text(const char *dir, const char *file, const char *text)
{
    char path[PATH_LIMIT];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* This process's own path in a hierarchy: `controller` names a v1 one, "" v2. */
static void own_path(const char *controller, char *out, size_t cap)
{
    CLEANUP_FILE FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_LIMIT];
    out[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *names = strchr(line, ':');
        char *path = names == NULL ? NULL : strchr(names + 1, ':');
        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (strcmp(names + 1, controller) == 0 && strcmp(path, "/") != 0 && strlen(path) < cap)
            memcpy(out, path, strlen(path) + 1);
    }
}

static int add(struct cgroup *group, const char *parent, const char *id)
{
    char path[PATH_LIMIT], procs[PATH_LIMIT];
    int len = snprintf(path, sizeof path, "%s/sbx-%s", parent, id);
    if (len < 0 || (size_t)len >= sizeof path - 32 || mkdir(path, 0755) != 0)
        return -1;
    (void)snprintf(procs, sizeof procs, "%.*s/cgroup.procs", len, path);
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    char *copy = fd < 0 ? NULL : strdup(path);
    if (copy == NULL) {
        if (fd >= 0)
            (void)close(fd);
        (void)rmdir(path);
        return -1;
    }
    group->dirs[group->count] = copy;
    group->procs_fds[group->count++] = fd;
    return 0;
}

static int limit_memory(const char *dir, int v2, uint32_t mib)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, (uint64_t)mib << 20);
    if (write_text(dir, v2 ? "memory.max" : "memory.limit_in_bytes", text) != 0)
        return -1;
    /* No swap on top, where the kernel counts swap. */
    (void)write_text(dir, v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes", v2 ? "0" : text);
    return 0;
}

static int limit_cpu(const char *dir, int v2, uint32_t millis)
{
    char text[64];
    uint64_t quota = (uint64_t)millis * PERIOD_US / 1000;
    if (quota < 1000)
        quota = 1000; /* the kernel takes no less */
    if (v2) {
        (void)snprintf(text, sizeof text, "%" PRIu64 " %d", quota, (int)PERIOD_US);
        return write_text(dir, "cpu.max", text);
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, quota);
    return write_text(dir, "cpu.cfs_quota_us", text);
}

/* One v1 hierarchy, below this process's own group where that is visible. */
static int make_v1(struct cgroup *group, const char *controller, const char *id)
{
    char own[PATH_LIMIT / 2], path[PATH_LIMIT];
    own_path(controller, own, sizeof own);
    (void)snprintf(path, sizeof path, ROOT "/%s%s", controller, own);
    if (own[0] != '\0' && add(group, path, id) == 0)
        return 0;
    (void)snprintf(path, sizeof path, ROOT "/%s", controller);
    return add(group, path, id);
}

static int has_word(const char *dir, const char *file, const char *word)
{
    char path[PATH_LIMIT], text[64];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    CLEANUP_FILE FILE *in = fopen(path, "re");
    while (in != NULL && fscanf(in, "%63s", text) == 1)
        if (strcmp(text, word) == 0)
            return 1;
    return 0;
}

/* A v2 parent whose children have the controllers: root's own, or the group above this process's where it is ours. */
static int make_v2(struct cgroup *group, const char *id, int memory, int cpu)
{
    char own[PATH_LIMIT / 2], parent[PATH_LIMIT];
    own_path("", own, sizeof own);
    char *last = strrchr(own, '/');
    if (geteuid() == 0) {
        (void)snprintf(parent, sizeof parent, ROOT "/sbx");
        (void)write_text(ROOT, "cgroup.subtree_control", memory ? "+memory" : "+cpu");
        (void)write_text(ROOT, "cgroup.subtree_control", cpu ? "+cpu" : "+memory");
        (void)mkdir(parent, 0755);
    } else if (last != NULL) {
        (void)snprintf(parent, sizeof parent, ROOT "%.*s", (int)(last - own), own);
    } else {
        return -1;
    }
    (void)write_text(parent, "cgroup.subtree_control", memory ? "+memory" : "+cpu");
    (void)write_text(parent, "cgroup.subtree_control", cpu ? "+cpu" : "+memory");
    if ((memory && !has_word(parent, "cgroup.subtree_control", "memory")) ||
        (cpu && !has_word(parent, "cgroup.subtree_control", "cpu")))
        return -1;
    return add(group, parent, id);
}

static int make_limits(struct cgroup *group, const char *id, uint32_t memory_mib, uint32_t cpu_millis)
{
    if (access(ROOT "/cgroup.controllers", F_OK) == 0) {
        if (make_v2(group, id, memory_mib != 0, cpu_millis != 0) != 0)
            return -1;
        return (memory_mib == 0 || limit_memory(group->dirs[0], 1, memory_mib) == 0) &&
                       (cpu_millis == 0 || limit_cpu(group->dirs[0], 1, cpu_millis) == 0)
                   ? 0
                   : -1;
    }
    if (memory_mib != 0 && (make_v1(group, "memory", id) != 0 || limit_memory(group->dirs[0], 0, memory_mib) != 0))
        return -1;
    if (cpu_millis != 0 && (make_v1(group, "cpu", id) != 0 || limit_cpu(group->dirs[group->count - 1], 0, cpu_millis)))
        return -1;
    return 0;
}

sbx_status cgroup_create(const char *id, uint32_t memory_mib, uint32_t cpu_millis, struct sbx_call *call,
                         struct cgroup *out)
{
    memset(out, 0, sizeof *out);
    if ((memory_mib == 0 && cpu_millis == 0) || make_limits(out, id, memory_mib, cpu_millis) == 0)
        return SBX_OK;
    for (size_t i = 0; i < out->count; i++)
        (void)rmdir(out->dirs[i]);
    cgroup_finish(out);
    return call_fail(call, SBX_E_UNSUPPORTED,
                     "create: a %s limit needs a cgroup that this user may write; run as root, or as an ordinary user "
                     "below `systemd-run --user --scope -p Delegate=yes`",
                     memory_mib != 0 ? "memory" : "cpu");
}

void cgroup_finish(struct cgroup *group)
{
    for (size_t i = 0; i < group->count; i++) {
        free(group->dirs[i]);
        (void)close(group->procs_fds[i]);
    }
    memset(group, 0, sizeof *group);
}

static int is_own(const char *dir, const char *id)
{
    const char *last = strrchr(dir, '/');
    return strncmp(dir, ROOT "/", sizeof ROOT) == 0 && strstr(dir, "/../") == NULL && last != NULL &&
           strncmp(last, "/sbx-", 5) == 0 && strcmp(last + 5, id) == 0;
}

void cgroup_remove(const char *dir, const char *id)
{
    int64_t end = clock_now_ns() + REMOVE_MS * INT64_C(1000000);
    if (!is_own(dir, id))
        return;
    while (rmdir(dir) != 0 && errno == EBUSY && clock_now_ns() < end)
        (void)poll(NULL, 0, 1); /* bubblewrap's outer process is about to end */
}

uint64_t cgroup_oom_kills(const char *const *dirs, size_t count)
{
    static const char *const files[] = {"memory.oom_control", "memory.events"};
    uint64_t kills = 0;
    for (size_t i = 0; i < 2 * count; i++) {
        char path[PATH_LIMIT], line[256];
        (void)snprintf(path, sizeof path, "%s/%s", dirs[i / 2], files[i % 2]);
        CLEANUP_FILE FILE *in = fopen(path, "re");
        while (in != NULL && fgets(line, sizeof line, in) != NULL)
            if (strncmp(line, "oom_kill ", 9) == 0)
                kills += strtoull(line + 9, NULL, 10);
    }
    return kills;
}
