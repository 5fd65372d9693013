/* SPDX-License-Identifier: MIT
 *
 * local.h - the backend of the local provider, and the names of its parts' entry points.
 *
 * ids: which users; bwrap: what is inside; launch: how it is started; record, store: what is kept of it; sandbox: its
 * life; create: its birth; handle: what one can do with it.
 */
#ifndef SBX_LOCAL_H
#define SBX_LOCAL_H

#include "plugins/common/guest_slots.h"
#include "plugins/common/lifelines.h"
#include "plugins/local/record.h"
#include "plugins/local/store.h"

struct local_config {
    char *bwrap;
    char *guest;
    char *image;
    char **bind_ro; /* NULL-terminated */
    struct ids_options ids;
    uint32_t network; /* SBX_NET_NONE or SBX_NET_FULL */
    uint32_t timeout_ms;
    uint32_t max_sandboxes;
    uint32_t processes;
};

struct sbx_backend {
    const struct sbx_host *host;
    struct store store;
    struct local_config config;
    struct lifelines lifelines; /* of bound sandboxes */
};

struct sbx_handle {
    struct sbx_backend *backend;
    struct record record;
    struct guest_link *link;
};

/* create.c: the slot of that name. */
sbx_status create_sandbox(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                          struct sbx_handle **out);

/* handle.c */
extern const struct sbx_handle_ops handle_ops;
/* Takes the record over; reads create's environment from the sandbox's directory. */
sbx_status handle_make(struct sbx_backend *b, struct record *record, int entry_fd, struct sbx_call *call,
                       struct sbx_handle **out);
/* The table of an extension, or NULL. */
const void *handle_extension(const char *id);
/* handle_more.c: what the guest does not do by itself. */
const void *handle_more(const char *id);
/* SBX_STATE_* of a SANDBOX_* that lives. */
int32_t handle_state(int state);
/* What list and info say of a sandbox, in a SANDBOX_* that lives. */
sbx_status handle_report(const struct record *record, int state, const struct sbx_info_sink *out,
                         struct sbx_call *call);
/* info's slot. */
sbx_status handle_info(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out);

/* suspend.c and snapshot.c: tables. */
extern const struct sbx_suspend_ops suspend_ops;
extern const struct sbx_wait_ops wait_ops;
extern const struct sbx_snapshot_ops snapshot_ops;

#endif /* SBX_LOCAL_H */
