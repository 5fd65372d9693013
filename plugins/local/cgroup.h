/* SPDX-License-Identifier: MIT
 *
 * cgroup.h - memory and processor limits, by cgroup v2 where this process may make one, else by the v1 hierarchies.
 */
#ifndef SBX_LOCAL_CGROUP_H
#define SBX_LOCAL_CGROUP_H

#include "plugins/common/plugin.h"

enum { CGROUP_MAX = 2 };

struct cgroup {
    char *dirs[CGROUP_MAX];
    int procs_fds[CGROUP_MAX]; /* what a process is put in by */
    size_t count;
};

/* Makes the groups that the limits need: none for none. SBX_E_UNSUPPORTED, naming why and the cure, when one that is
 * asked for cannot be kept; nothing is left then. */
sbx_status cgroup_create(const char *id, uint32_t memory_mib, uint32_t cpu_millis, struct sbx_call *call,
                         struct cgroup *out);
/* Frees; the groups stay. */
void cgroup_finish(struct cgroup *group);
/* Removes a group once its processes are gone; waits for that for at most a second. Refuses a path that is not the
 * sandbox's own. */
void cgroup_remove(const char *dir, const char *id);
/* How many processes the kernel has killed in the group for lack of memory; 0 when it can't tell. */
uint64_t cgroup_oom_kills(const char *const *dirs, size_t count);

#endif /* SBX_LOCAL_CGROUP_H */
