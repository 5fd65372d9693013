/* SPDX-License-Identifier: MIT
 *
 * border_slot.h - what border.c and border_more.c share: the steps around one slot.
 */
#ifndef SBX_HOST_BORDER_SLOT_H
#define SBX_HOST_BORDER_SLOT_H

#include "host/border.h"

/* Refuses what is too late, and takes the lock of a plugin that is not parallel. */
sbx_status border_enter(struct border_call *c, struct instance *instance);
/* Gives the lock back and makes the answer one of the known codes. */
sbx_status border_leave(struct instance *instance, sbx_status status);
/* What an OK must have with it; anything less is an outcome that nobody knows. */
sbx_status border_check_result(struct border_call *c, struct sbx_exec_result *result);

/* Enter, call, leave; `answer` is the plugin's expression. */
#define BORDER_SLOT(instance_, answer)                                                                                 \
    do {                                                                                                               \
        sbx_status entered_ = border_enter(c, (instance_));                                                            \
        if (entered_ != SBX_OK)                                                                                        \
            return entered_;                                                                                           \
        return border_leave((instance_), (answer));                                                                    \
    } while (0)

#endif /* SBX_HOST_BORDER_SLOT_H */
