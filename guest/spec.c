/* SPDX-License-Identifier: MIT
 *
 * spec.c - what a keeper is told to run, made from the fields of a request.
 */
#include "guest/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENV_MAX = 2048 };

/* One allocation that is filled in order; `at` beyond `size` means that it was counted too small. */
struct filler {
    char *data;
    size_t at;
    size_t size;
};

static void put(struct filler *f, const void *text, size_t len)
{
    if (f->at + len + 1 <= f->size) {
        memcpy(f->data + f->at, text, len);
        f->data[f->at + len] = '\0';
    }
    f->at += len + 1;
}

static size_t key_length(const struct wire_field_view *v)
{
    const unsigned char *sign = v->len == 0 ? NULL : memchr(v->data, '=', v->len);
    return sign == NULL ? 0 : (size_t)(sign - v->data);
}

static int same_key(const struct wire_field_view *v, const char *key, size_t len)
{
    return key_length(v) == len && memcmp(v->data, key, len) == 0;
}

/* Whether a variable of that name comes in the rest of the fields. */
static int comes_later(const unsigned char *p, size_t left, const char *key, size_t len)
{
    struct wire_field_view v;
    while (wire_next_field(&p, &left, &v) == 1)
        if (v.tag == F_ENV && same_key(&v, key, len))
            return 1;
    return 0;
}

static uint32_t put_args(struct filler *to, const struct fields *f)
{
    const unsigned char *p = f->payload;
    size_t left = f->payload_len;
    struct wire_field_view v;
    uint32_t count = 0;
    while (wire_next_field(&p, &left, &v) == 1) {
        if (v.tag != F_ARG)
            continue;
        put(to, v.data, v.len);
        count++;
    }
    return count;
}

/* The variables of the request, of two of one name the later; then what is missing of the usual ones. */
static uint32_t put_envs(struct filler *to, const struct fields *f, const struct identity *who)
{
    const struct {
        const char *key;
        const char *value;
    } usual[] = {
        {"HOME", who->home},
        {"USER", who->name},
        {"LOGNAME", who->name},
        {"SHELL", who->shell},
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    };
    const unsigned char *p = f->payload;
    size_t left = f->payload_len;
    struct wire_field_view v;
    uint32_t count = 0;
    while (wire_next_field(&p, &left, &v) == 1) {
        if (v.tag != F_ENV || comes_later(p, left, (const char *)v.data, key_length(&v)))
            continue;
        put(to, v.data, v.len);
        count++;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        char text[1200];
        if (comes_later(f->payload, f->payload_len, usual[i].key, strlen(usual[i].key)))
            continue;
        int len = snprintf(text, sizeof text, "%s=%s", usual[i].key, usual[i].value);
        put(to, text, (size_t)len);
        count++;
    }
    return count;
}

static sbx_status check_envs(const struct fields *f, char *message)
{
    const unsigned char *p = f->payload;
    size_t left = f->payload_len;
    struct wire_field_view v;
    if (f->env_count > ENV_MAX) {
        (void)snprintf(message, GUEST_MESSAGE_MAX, "more than %d environment variables", ENV_MAX);
        return SBX_E_TOO_LARGE;
    }
    while (wire_next_field(&p, &left, &v) == 1) {
        if (v.tag == F_ENV && key_length(&v) == 0) {
            (void)snprintf(message, GUEST_MESSAGE_MAX, "an environment variable without a name");
            return SBX_E_INVALID;
        }
    }
    return SBX_OK;
}

const char *spec_envs(const struct spec *s)
{
    const char *text = (const char *)(s + 1);
    for (uint32_t i = 0; i <= s->arg_count; i++) /* the directory, then the arguments */
        text += strlen(text) + 1;
    return text;
}

static uint32_t put_argv(struct filler *to, const char *const *argv)
{
    uint32_t count = 0;
    for (; argv[count] != NULL; count++)
        put(to, argv[count], strlen(argv[count]));
    return count;
}

sbx_status spec_make(const struct fields *f, const char *const *argv, const struct identity *who, const char *cwd,
                     struct spec **out, char *message)
{
    sbx_status status = check_envs(f, message);
    if (status != SBX_OK)
        return status;
    /* Every field loses its head of 8 bytes and gains a NUL, so the payload's length is more than enough. */
    size_t size = sizeof(struct spec) + f->payload_len + strlen(cwd) + 1 + 4096;
    struct spec *s = calloc(1, size);
    if (s == NULL) {
        (void)snprintf(message, GUEST_MESSAGE_MAX, "no memory for the command line");
        return SBX_E_NO_MEMORY;
    }
    struct filler to = {.data = (char *)s, .at = sizeof *s, .size = size};
    put(&to, cwd, strlen(cwd));
    s->arg_count = argv == NULL ? put_args(&to, f) : put_argv(&to, argv);
    s->env_count = put_envs(&to, f, who);
    s->size = (uint32_t)to.at;
    s->fd_count = SPEC_FDS;
    s->uid = who->uid;
    s->gid = who->gid;
    s->foreign = (uint32_t)who->foreign;
    s->keep_caps = (uint32_t)who->keep_caps;
    s->group_count = (uint32_t)who->group_count;
    for (int i = 0; i < who->group_count; i++)
        s->groups[i] = who->groups[i];
    *out = s;
    return SBX_OK;
}
