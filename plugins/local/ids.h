/* SPDX-License-Identifier: MIT
 *
 * ids.h - which host users stand behind a sandbox's users.
 *
 * Mapped: the sandbox has 65536 users of its own, so that its init, its root and its commands are apart. Root takes
 * them from a range that nobody else uses; an ordinary user from its subordinate ids, through newuidmap and newgidmap.
 * Single: the kernel lets an ordinary user map only itself, so everything in the sandbox is that one user.
 */
#ifndef SBX_LOCAL_IDS_H
#define SBX_LOCAL_IDS_H

#include "plugins/common/plugin.h"

enum { IDS_MAPPED_ROOT = 1, IDS_MAPPED_SUBIDS, IDS_SINGLE };
enum { IDS_AUTO, IDS_WANT_MAPPED, IDS_WANT_SINGLE };
enum { IDS_COUNT = 65536, IDS_SANDBOX = 1000 }; /* the default user inside */
#define IDS_END UINT64_C(0xfffffffe)            /* behind the last id that a range may have */

struct ids {
    uint32_t kind;
    uint32_t uid; /* the caller's, on the host */
    uint32_t gid;
    uint32_t uid_first; /* MAPPED_ROOT: of inside 0; MAPPED_SUBIDS: of inside 1 */
    uint32_t uid_count;
    uint32_t gid_first;
    uint32_t gid_count;
};

struct ids_options {
    uint32_t want; /* IDS_AUTO ... */
    uint32_t base; /* first id of root's ranges */
    uint32_t ranges;
};

/* Chooses the mapping for one more sandbox; `seed` spreads root's sandboxes over the ranges. */
sbx_status ids_choose(const struct ids_options *options, uint64_t seed, struct sbx_call *call, struct ids *out);
/* "mapped" or "single". */
const char *ids_name(const struct ids *ids);
/* The absolute path of newuidmap or newgidmap, or NULL. */
const char *ids_map_program(int gid);

#endif /* SBX_LOCAL_IDS_H */
