/* SPDX-License-Identifier: MIT
 *
 * fuzz_views.c - an answer of the Runloop service, with anything in it. The first byte says what was asked.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/runloop/mapping.h"

enum { SAID_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf said;
    if (size == 0)
        return 0;
    buf_init(&said, SAID_MAX);
    mapping_say((enum mapping_kind)(data[0] % MAPPING_STREAM), NULL, data + 1, size - 1, size, &said);
    /* Something is always said, except of a list without anything in it and of a devbox without a tunnel. */
    FUZZ_HOLDS(said.len > 0 || said.failed != 0 || data[0] % MAPPING_STREAM != MAPPING_DEVBOX);
    buf_finish(&said);
    return 0;
}
