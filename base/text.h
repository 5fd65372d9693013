/* SPDX-License-Identifier: MIT
 *
 * text.h - foreign text made fit for a person's screen: one line of printable UTF-8.
 */
#ifndef SBX_BASE_TEXT_H
#define SBX_BASE_TEXT_H

#include <stddef.h>

/* Copies at most `len` bytes of src into dst (cap bytes with the NUL, cap > 0). Every control character, line or
 * direction mark and every byte that is no UTF-8 becomes one '?'; what does not fit is cut between characters. src may
 * be dst. Answers the length written. */
size_t text_line(char *dst, size_t cap, const void *src, size_t len);

#endif /* SBX_BASE_TEXT_H */
