/* SPDX-License-Identifier: MIT
 *
 * tar_make.h - tar streams made entry by entry, right or wrong.
 */
#ifndef SBX_TESTS_TAR_MAKE_H
#define SBX_TESTS_TAR_MAKE_H

#include "unit.h"

struct tarball {
    unsigned char *data;
    size_t len;
};

static void add(struct tarball *t, const void *data, size_t len)
{
    t->data = realloc(t->data, t->len + len + 1);
    assert_non_null(t->data);
    memcpy(t->data + t->len, data, len);
    t->len += len;
}

static void pad(struct tarball *t)
{
    static const char zeros[512] = {0};
    if (t->len % 512 != 0)
        add(t, zeros, 512 - t->len % 512);
}

static void seal(unsigned char *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += header[i];
    (void)snprintf((char *)header + 148, 8, "%06o", sum);
}

/* One entry; `size` is what the header says, and all of data follows. Gives the header's place. */
static size_t entry(struct tarball *t, char type, const char *name, const char *link, unsigned long size,
                    const char *data)
{
    unsigned char h[512] = {0};
    size_t at = t->len;
    memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
    (void)snprintf((char *)h + 100, 8, "%07o", type == '5' ? 0755 : 0644);
    (void)snprintf((char *)h + 108, 8, "%07o", 0);
    (void)snprintf((char *)h + 116, 8, "%07o", 0);
    (void)snprintf((char *)h + 124, 12, "%011lo", size);
    (void)snprintf((char *)h + 136, 12, "%011o", 1000000000);
    h[156] = (unsigned char)type;
    memcpy(h + 157, link, strlen(link) < 100 ? strlen(link) : 100);
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    seal(h);
    add(t, h, sizeof h);
    add(t, data, strlen(data));
    pad(t);
    return at;
}

static void file(struct tarball *t, const char *name, const char *data)
{
    (void)entry(t, '0', name, "", strlen(data), data);
}

static void dir(struct tarball *t, const char *name)
{
    (void)entry(t, '5', name, "", 0, "");
}

static void link_to(struct tarball *t, const char *name, const char *target)
{
    (void)entry(t, '2', name, target, 0, "");
}

static void hard(struct tarball *t, const char *name, const char *target)
{
    (void)entry(t, '1', name, target, 0, "");
}

/* A pax record for what follows. */
static void pax(struct tarball *t, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3;
    size_t whole = rest + 1;
    char digits[24];
    while ((size_t)snprintf(digits, sizeof digits, "%zu", whole) + rest != whole)
        whole++;
    char *record = malloc(whole + 1);
    assert_non_null(record);
    (void)snprintf(record, whole + 1, "%zu %s=%s\n", whole, key, value);
    (void)entry(t, 'x', "pax", "", whole, record);
    free(record);
}

static void end(struct tarball *t)
{
    static const char zeros[1024] = {0};
    add(t, zeros, sizeof zeros);
}

#endif /* SBX_TESTS_TAR_MAKE_H */
