/* SPDX-License-Identifier: MIT */
#include "guest/tar_read.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const uint64_t SIZE_MAX_TAR = UINT64_C(1) << 50;

void tar_reader_init(struct tar_reader *t, int fd, struct worker_verdict *v)
{
    t->fd = fd;
    t->v = v;
    t->at = t->len = 0;
}

static int refuse(struct tar_reader *t, const char *why)
{
    return worker_fail(t->v, SBX_E_INVALID, 0, "tar: %s", why);
}

static int refuse_cut(struct tar_reader *t)
{
    return worker_fail(t->v, SBX_E_PROTOCOL, 0, "tar: the archive ends before its end-of-archive blocks");
}

/* Up to `max` bytes that are there, in place; 0 at the end of input. */
static size_t take(struct tar_reader *t, size_t max, const unsigned char **data)
{
    while (t->at == t->len) {
        ssize_t n = read(t->fd, t->data, sizeof t->data);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        t->at = 0;
        t->len = (size_t)n;
    }
    size_t n = t->len - t->at < max ? t->len - t->at : max;
    *data = t->data + t->at;
    t->at += n;
    return n;
}

static int take_all(struct tar_reader *t, void *to, size_t len)
{
    unsigned char *p = to;
    while (len > 0) {
        const unsigned char *data = NULL;
        size_t n = take(t, len, &data);
        if (n == 0)
            return refuse_cut(t);
        memcpy(p, data, n);
        p += n;
        len -= n;
    }
    return 0;
}

static int skip(struct tar_reader *t, uint64_t len)
{
    while (len > 0) {
        const unsigned char *data;
        size_t n = take(t, len > TAR_BLOCK ? TAR_BLOCK : (size_t)len, &data);
        if (n == 0)
            return refuse_cut(t);
        len -= n;
    }
    return 0;
}

/* Octal with blanks around it, or GNU's base 256; -1 for anything else. */
static int number(const char *field, size_t size, uint64_t *out)
{
    const unsigned char *p = (const unsigned char *)field, *end = p + size;
    uint64_t value = 0;
    if ((*p & 0x80u) != 0) {
        value = *p++ & 0x7fu;
        for (; p < end; p++) {
            if (value >> 55 != 0)
                return -1;
            value = value << 8 | *p;
        }
        *out = value;
        return 0;
    }
    while (p < end && *p == ' ')
        p++;
    for (; p < end && *p >= '0' && *p <= '7'; p++)
        value = value << 3 | (uint64_t)(*p - '0');
    for (; p < end; p++)
        if (*p != ' ' && *p != '\0')
            return -1;
    *out = value;
    return 0;
}

static size_t field_length(const char *field, size_t size)
{
    const char *nul = memchr(field, '\0', size);
    return nul == NULL ? size : (size_t)(nul - field);
}

static int set_text(struct tar_reader *t, char *to, const char *value, size_t len)
{
    if (len >= PATH_MAX)
        return refuse(t, "a name of more than 4095 bytes");
    if (memchr(value, '\0', len) != NULL)
        return refuse(t, "a name with a NUL byte");
    memcpy(to, value, len);
    to[len] = '\0';
    return 0;
}

/* What came before an entry and belongs to it. */
struct override {
    int has_name;
    int has_link;
    int has_size;
    uint64_t size;
};

static int pax_value(struct tar_reader *t, struct tar_entry *e, struct override *o, const char *key, size_t key_len,
                     const char *value, size_t len)
{
    if (key_len == 4 && memcmp(key, "path", 4) == 0) {
        o->has_name = 1;
        return set_text(t, e->name, value, len);
    }
    if (key_len == 8 && memcmp(key, "linkpath", 8) == 0) {
        o->has_link = 1;
        return set_text(t, e->link, value, len);
    }
    if (key_len >= 10 && memcmp(key, "GNU.sparse", 10) == 0)
        return refuse(t, "a sparse file");
    if (key_len != 4 || memcmp(key, "size", 4) != 0)
        return 0;
    o->size = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9' || o->size > SIZE_MAX_TAR)
            return refuse(t, "a size that is no number");
        o->size = o->size * 10 + (uint64_t)(value[i] - '0');
    }
    o->has_size = 1;
    return 0;
}

/* Records of "LENGTH key=value\n". */
static int pax(struct tar_reader *t, struct tar_entry *e, struct override *o, size_t left)
{
    const char *p = t->extra;
    while (left > 0) {
        size_t len = 0, digits = 0;
        while (digits < left && digits < 7 && p[digits] >= '0' && p[digits] <= '9')
            len = len * 10 + (size_t)(p[digits++] - '0');
        if (digits == 0 || len > left || len < digits + 3 || p[digits] != ' ' || p[len - 1] != '\n')
            return refuse(t, "malformed pax records");
        const char *key = p + digits + 1;
        size_t rest = len - digits - 2;
        const char *sign = memchr(key, '=', rest);
        if (sign == NULL)
            return refuse(t, "malformed pax records");
        size_t key_len = (size_t)(sign - key);
        if (pax_value(t, e, o, key, key_len, sign + 1, rest - key_len - 1) != 0)
            return -1;
        p += len;
        left -= len;
    }
    return 0;
}

/* One of the heads that only describe the next. */
static int take_extra(struct tar_reader *t, struct tar_entry *e, struct override *o, char type, uint64_t size)
{
    if (size > TAR_PAX_MAX)
        return refuse(t, "a description of more than 65536 bytes");
    if (take_all(t, t->extra, (size_t)size) != 0 || skip(t, tar_padding(size)) != 0)
        return -1;
    if (type == 'x')
        return pax(t, e, o, (size_t)size);
    if (type == 'L') {
        o->has_name = 1;
        return set_text(t, e->name, t->extra, field_length(t->extra, (size_t)size));
    }
    if (type == 'K') {
        o->has_link = 1;
        return set_text(t, e->link, t->extra, field_length(t->extra, (size_t)size));
    }
    return 0; /* global records say nothing that is used */
}

static int is_zero(const struct tar_head *h)
{
    const unsigned char *p = (const unsigned char *)h;
    for (size_t i = 0; i < sizeof *h; i++)
        if (p[i] != 0)
            return 0;
    return 1;
}

/* The names of an entry, unless something before it gave them. */
static int finish_names(struct tar_reader *t, struct tar_entry *e, const struct tar_head *h, const struct override *o)
{
    char name[sizeof h->prefix + sizeof h->name + 1];
    size_t len = 0;
    if (memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0] != '\0') {
        len = field_length(h->prefix, sizeof h->prefix);
        memcpy(name, h->prefix, len);
        name[len++] = '/';
    }
    memcpy(name + len, h->name, sizeof h->name);
    len += field_length(h->name, sizeof h->name);
    if (!o->has_name && set_text(t, e->name, name, len) != 0)
        return -1;
    return o->has_link ? 0 : set_text(t, e->link, h->link, field_length(h->link, sizeof h->link));
}

/* The oldest tars have no letter for files, and a slash for directories. */
static char type_of(char type, const char *name)
{
    size_t len = strlen(name);
    if (type != '\0' && type != '7' && type != '0')
        return type;
    return len > 0 && name[len - 1] == '/' ? '5' : '0';
}

/* A whole entry's own head. */
static int finish(struct tar_reader *t, struct tar_entry *e, const struct tar_head *h, const struct override *o)
{
    uint64_t mode, size, mtime;
    if (number(h->mode, sizeof h->mode, &mode) != 0 || number(h->size, sizeof h->size, &size) != 0)
        return refuse(t, "a head with a malformed number");
    if (number(h->mtime, sizeof h->mtime, &mtime) != 0 || mtime > UINT32_MAX)
        mtime = 0; /* before 1970, or nonsense */
    if (finish_names(t, e, h, o) != 0)
        return -1;
    e->type = type_of(h->type, e->name);
    e->mode = (mode_t)(mode & 07777u);
    e->mtime = (int64_t)mtime;
    e->size = o->has_size ? o->size : size;
    if (e->type == '5')
        e->size = 0;
    if (e->size > SIZE_MAX_TAR || (e->size > 0 && (e->type == '1' || e->type == '2')))
        return refuse(t, "an entry of an impossible size");
    return 1;
}

int tar_read_entry(struct tar_reader *t, struct tar_entry *e)
{
    struct override o = {0};
    for (;;) {
        struct tar_head h;
        uint64_t sum, size;
        if (take_all(t, &h, sizeof h) != 0)
            return -1;
        if (is_zero(&h)) {
            if (take_all(t, &h, sizeof h) != 0)
                return -1;
            return is_zero(&h) ? 0 : refuse(t, "a lone block of zeros");
        }
        if (number(h.checksum, sizeof h.checksum, &sum) != 0 || sum != tar_sum(&h))
            return refuse(t, "a head with a wrong checksum");
        if (h.type == '\0' || strchr("xgLK", h.type) == NULL)
            return finish(t, e, &h, &o);
        if (number(h.size, sizeof h.size, &size) != 0)
            return refuse(t, "a head with a malformed number");
        if (take_extra(t, e, &o, h.type, size) != 0)
            return -1;
    }
}

int tar_read_body(struct tar_reader *t, uint64_t size, int to)
{
    uint64_t left = size;
    while (left > 0) {
        const unsigned char *data;
        size_t n = take(t, left > sizeof t->data ? sizeof t->data : (size_t)left, &data);
        if (n == 0)
            return 1;
        left -= n;
        while (n > 0) {
            ssize_t m = write(to, data, n);
            if (m < 0 && errno != EINTR)
                return -1;
            data += m < 0 ? 0 : m;
            n -= m < 0 ? 0 : (size_t)m;
        }
    }
    for (size_t padding = tar_padding(size); padding > 0;) {
        const unsigned char *data;
        size_t n = take(t, padding, &data);
        if (n == 0)
            return 1;
        padding -= n;
    }
    return 0;
}

int tar_read_end(struct tar_reader *t)
{
    const unsigned char *data;
    size_t n;
    while ((n = take(t, sizeof t->data, &data)) > 0)
        for (size_t i = 0; i < n; i++)
            if (data[i] != 0)
                return refuse(t, "something follows the end of the archive");
    return 0;
}
