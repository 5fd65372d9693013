/* SPDX-License-Identifier: MIT
 *
 * tarball.c - see tarball.h.
 */
#include "plugins/docker/tarball.h"

#include <stdio.h>

enum { NAME = 0, MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, SUM = 148, TYPE = 156, MAGIC = 257 };

static uint32_t sum_of(const unsigned char *block)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < TARBALL_BLOCK; i++)
        sum += i >= SUM && i < SUM + 8 ? ' ' : block[i];
    return sum;
}

static void put_octal(unsigned char *at, int digits, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%0*llo", digits, (unsigned long long)value);
    memcpy(at, text, (size_t)digits);
}

void tarball_head(unsigned char block[TARBALL_BLOCK], const char *name, uint32_t mode, uint32_t uid, uint32_t gid,
                  uint64_t size)
{
    memset(block, 0, TARBALL_BLOCK);
    memcpy(block + NAME, name, strnlen(name, 99));
    put_octal(block + MODE, 7, mode & 07777);
    put_octal(block + UID, 7, uid & 07777777);
    put_octal(block + GID, 7, gid & 07777777);
    put_octal(block + SIZE, 11, size);
    put_octal(block + MTIME, 11, 0);
    block[TYPE] = '0';
    memcpy(block + MAGIC, "ustar\00000", 8);
    put_octal(block + SUM, 6, sum_of(block));
    block[SUM + 7] = ' ';
}

size_t tarball_tail(uint64_t size)
{
    return (size_t)((TARBALL_BLOCK - size % TARBALL_BLOCK) % TARBALL_BLOCK) + (size_t)2 * TARBALL_BLOCK;
}
