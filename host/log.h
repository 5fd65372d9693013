/* SPDX-License-Identifier: MIT
 *
 * log.h - where log lines go, with every known secret masked. One of the two files that may hold writable globals (it
 * holds none: a log belongs to its context). Any thread; log may be NULL everywhere.
 */
#ifndef SBX_HOST_LOG_H
#define SBX_HOST_LOG_H

#include "sbx.h"

struct log; /* opaque; one per context */

struct log *log_create(void (*write)(void *user, int32_t level, const char *where, const char *message), void *user,
                       int32_t least);
void log_destroy(struct log *log);
/* Lines below `least` are dropped from now on. */
void log_set_level(struct log *log, int32_t least);
/* From now on the text is replaced by *** in every line and by log_mask. Texts under 4 bytes are not masked. 0 or -1.
 */
int log_add_secret(struct log *log, const char *secret);
void log_line(struct log *log, int32_t level, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Masks in place, a secret that was cut at the end of the text included; control bytes and what is no UTF-8 become '?',
 * so that a line stays a line. */
void log_mask(struct log *log, char *text);
/* Each known secret, lent, under the log's lock. */
void log_each_secret(struct log *log, void (*each)(void *user, const char *secret, size_t len), void *user);

#endif /* SBX_HOST_LOG_H */
