/* SPDX-License-Identifier: MIT
 *
 * parse.h - numbers, yes/no, durations and sizes out of text. The whole text must be used up; white space, signs where
 * none belong, overflow and empty text are refused. The values are written only on success.
 */
#ifndef SBX_BASE_PARSE_H
#define SBX_BASE_PARSE_H

#include <stdint.h>

/* Each answers 0, or -1 for a text that is no such thing. */

/* Decimal, with an optional leading minus. */
int parse_int(const char *text, int64_t *out);
/* yes/no, true/false, on/off, 1/0, in any case; *out is 1 or 0. */
int parse_bool(const char *text, int *out);
/* `500ms 30s 5m 1h 2d`, or a bare number of seconds. */
int parse_duration_ms(const char *text, int64_t *out);
/* `512M 4G`, K M G T being powers of 1024, or a bare number of bytes. */
int parse_bytes(const char *text, int64_t *out);

#endif /* SBX_BASE_PARSE_H */
