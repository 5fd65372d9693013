/* SPDX-License-Identifier: MIT
 *
 * guest_slots.h - the capability tables of a provider whose sandboxes have a guest. The plugin that links them has
 * guest_slot_enter.
 */
#ifndef SBX_COMMON_GUEST_SLOTS_H
#define SBX_COMMON_GUEST_SLOTS_H

#include "plugins/common/guest_client.h"

/* The plugin's own: the link of a handle, or why there is none to be used now (the error is filled). */
sbx_status guest_slot_enter(struct sbx_handle *h, struct sbx_call *call, struct guest_link **link);

/* The table of a capability that the guest serves by itself, or NULL. */
const void *guest_slot_extension(const char *id);

/* Slots of sbx_handle_ops. */
sbx_status guest_slot_read_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                                const struct sbx_read_args *args, const struct sbx_sink *out);
sbx_status guest_slot_write_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                                 const struct sbx_write_args *args, const struct sbx_source *in);

/* The path of the guest's program: `configured`, or as seen from the folder of this plugin's own file (an installation,
 * or a build tree). The caller frees; NULL: no memory. */
char *guest_find(const char *configured);

#endif /* SBX_COMMON_GUEST_SLOTS_H */
