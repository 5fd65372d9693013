/* SPDX-License-Identifier: MIT
 *
 * spec.h - what a keeper is told to run, made from the fields of a request.
 */
#ifndef SBX_GUEST_SPEC_H
#define SBX_GUEST_SPEC_H

#include "guest/keeper.h"
#include "guest/request.h"

/* `argv` (to its NULL) is what the request says when it is NULL itself. The caller frees *out. On failure one line is
 * in message (GUEST_MESSAGE_MAX bytes). */
sbx_status spec_make(const struct fields *f, const char *const *argv, const struct identity *who, const char *cwd,
                     struct spec **out, char *message);
/* Where the environment begins in the texts; it is the rest of them. */
const char *spec_envs(const struct spec *s);

#endif /* SBX_GUEST_SPEC_H */
