/* SPDX-License-Identifier: MIT
 *
 * spec.h - what a keeper is told to run, made from the fields of a request.
 */
#ifndef SBX_GUEST_SPEC_H
#define SBX_GUEST_SPEC_H

#include "guest/keeper.h"
#include "guest/request.h"

/* The caller frees *out. On failure one line is in message (GUEST_MESSAGE_MAX bytes). */
sbx_status spec_make(const struct fields *f, const struct identity *who, const char *cwd, struct spec **out,
                     char *message);

#endif /* SBX_GUEST_SPEC_H */
