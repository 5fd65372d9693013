/* SPDX-License-Identifier: MIT
 *
 * text.c - one line of printable UTF-8 out of any bytes; see text.h.
 */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* The length of the character at p and its number; 0 for what is no UTF-8 (overlong, surrogate, cut, beyond the end).
 */
static size_t decode(const unsigned char *p, size_t left, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *out = c;
    return n;
}

/* Controls move the cursor or colour the screen, the marks turn a line around or end it. */
static int is_printable(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return 0;
    if ((c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
        return 0;
    return c != 0xfeff;
}

size_t text_line(char *dst, size_t cap, const void *src, size_t len)
{
    const unsigned char *p = src;
    size_t done = 0;
    while (len > 0) {
        uint32_t c = 0;
        size_t n = decode(p, len, &c);
        int shown = n > 0 && is_printable(c);
        size_t out = shown ? n : 1;
        if (out >= cap - done)
            break;
        if (shown)
            memmove(dst + done, p, n);
        else
            dst[done] = '?';
        done += out;
        p += n > 0 ? n : 1;
        len -= n > 0 ? n : 1;
    }
    dst[done] = '\0';
    return done;
}
