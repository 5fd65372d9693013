/* SPDX-License-Identifier: MIT
 *
 * route.h - which instances a new sandbox may be made by: the one that was named, else those of the first route whose
 * conditions hold, else the default.
 */
#ifndef SBX_HOST_ROUTE_H
#define SBX_HOST_ROUTE_H

#include "host/context.h"

/* Names, in the order to try them. */
struct route_choice {
    const char *const *names; /* NULL-terminated, or */
    const char *single;       /* the only one */
};
sbx_status route_choose(const struct config *config, const struct sbx_create_options *options, struct route_choice *out,
                        struct sbx_error *error);
/* The i-th name, or NULL behind the last. */
const char *route_name(const struct route_choice *choice, size_t i);

#endif /* SBX_HOST_ROUTE_H */
