/* SPDX-License-Identifier: MIT
 *
 * wish.h - what a create asks for, and how the service is told.
 */
#ifndef SBX_RUNLOOP_WISH_H
#define SBX_RUNLOOP_WISH_H

#include "plugins/runloop/runloop.h"

/* Refuses what the service cannot do, and makes the body of the request; `token` goes into the metadata. The caller
 * finishes the body in any case. */
sbx_status wish_body(const struct sbx_backend *b, const struct sbx_create_args *args, const char *token,
                     struct sbx_call *call, struct buf *body);

#endif /* SBX_RUNLOOP_WISH_H */
