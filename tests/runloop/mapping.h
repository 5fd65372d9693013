/* SPDX-License-Identifier: MIT
 *
 * mapping.h - what the provider makes of the service's answers: one reply goes in, as the answer to whatever the
 * provider asks, and what comes out at the ABI is written down as text.
 */
#ifndef SBX_TESTS_RUNLOOP_MAPPING_H
#define SBX_TESTS_RUNLOOP_MAPPING_H

#include "base/buf.h"

enum mapping_kind {
    MAPPING_DEVBOX,
    MAPPING_DEVBOXES,
    MAPPING_EXECUTION,
    MAPPING_SNAPSHOT, /* its status */
    MAPPING_SNAPSHOTS,
    MAPPING_KEY,
    MAPPING_TUNNEL, /* of a devbox's view */
    MAPPING_STREAM, /* of output */
    MAPPING_KINDS
};

/* Appends lines to `said`, or one with the code of the failure. `id` is what was asked about; NULL: whatever the reply
 * says. A stream comes in pieces of that size. */
void mapping_say(enum mapping_kind kind, const char *id, const void *reply, size_t len, size_t piece, struct buf *said);

#endif /* SBX_TESTS_RUNLOOP_MAPPING_H */
