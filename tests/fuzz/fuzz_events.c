/* SPDX-License-Identifier: MIT
 *
 * fuzz_events.c - a stream of output as the Runloop service sends it, with anything in it.
 */
#include "tests/fuzz/fuzz.h"

#include "plugins/runloop/output.h"

static int keep(void *user, const void *data, size_t len)
{
    size_t *given = user;
    (void)data;
    *given += len;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct output output;
    size_t given = 0;
    /* The first byte says in how large pieces it comes. */
    size_t piece = size > 0 ? data[0] + 1u : 1;
    output_init(&output, NULL, "", "", 0);
    output.take = keep;
    output.user = &given;
    for (size_t at = 1; at < size; at += piece)
        if (sse_feed(&output.sse, data + at, size - at < piece ? size - at : piece) != 0)
            break;
    FUZZ_HOLDS(output_flush(&output) == 0);
    FUZZ_HOLDS(given == output.delivered && output.delivered <= output.have);
    FUZZ_HOLDS(strlen(output.mark.word) < sizeof output.mark.word);
    output_finish(&output);
    return 0;
}
