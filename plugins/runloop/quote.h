/* SPDX-License-Identifier: MIT
 *
 * quote.h - texts as words of a POSIX shell.
 */
#ifndef SBX_RUNLOOP_QUOTE_H
#define SBX_RUNLOOP_QUOTE_H

#include "base/buf.h"

#include <string.h>

/* Appends a text as one word, whatever is in it. */
static inline void quote_put(struct buf *to, const char *text)
{
    (void)buf_text(to, "'");
    for (const char *end; (end = strchr(text, '\'')) != NULL; text = end + 1) {
        (void)buf_append(to, text, (size_t)(end - text));
        (void)buf_text(to, "'\\''");
    }
    (void)buf_text(to, text);
    (void)buf_text(to, "'");
}

#endif /* SBX_RUNLOOP_QUOTE_H */
