/* SPDX-License-Identifier: MIT
 *
 * log.c - masking log lines and handing them to the program.
 */
#include "host/log.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 16384, /* longer lines are cut */
    SECRET_MIN = 4,         /* shorter ones would blank out half of every line */
    TAIL_MIN = 8            /* so much of a secret's beginning at the end of a text counts as a cut secret */
};

struct secret {
    char *text;
    size_t len;
};
struct log {
    void (*write)(void *user, int32_t level, const char *where, const char *message);
    void *user;
    _Atomic int32_t least;
    pthread_rwlock_t lock;  /* over the two below */
    struct secret *secrets; /* longest first, so that a secret inside another does not split it */
    size_t count;
};

struct log *log_create(void (*write)(void *user, int32_t level, const char *where, const char *message), void *user,
                       int32_t least)
{
    struct log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return NULL;
    log->write = write;
    log->user = user;
    atomic_init(&log->least, least);
    if (pthread_rwlock_init(&log->lock, NULL) != 0) {
        free(log);
        return NULL;
    }
    return log;
}

void log_destroy(struct log *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->count; i++) {
        explicit_bzero(log->secrets[i].text, log->secrets[i].len);
        free(log->secrets[i].text);
    }
    free(log->secrets);
    (void)pthread_rwlock_destroy(&log->lock);
    free(log);
}

void log_set_level(struct log *log, int32_t least)
{
    if (log != NULL)
        atomic_store_explicit(&log->least, least, memory_order_relaxed);
}

/* Under the write lock. */
static int add(struct log *log, const char *secret, size_t len)
{
    size_t at = 0;
    while (at < log->count && log->secrets[at].len >= len) {
        if (log->secrets[at].len == len && memcmp(log->secrets[at].text, secret, len) == 0)
            return 0;
        at++;
    }
    char *text = strdup(secret);
    if (text == NULL)
        return -1;
    struct secret *secrets = reallocarray(log->secrets, log->count + 1, sizeof *secrets);
    if (secrets == NULL) {
        explicit_bzero(text, len);
        free(text);
        return -1;
    }
    log->secrets = secrets;
    memmove(secrets + at + 1, secrets + at, (log->count - at) * sizeof *secrets);
    secrets[at] = (struct secret){text, len};
    log->count++;
    return 0;
}

int log_add_secret(struct log *log, const char *secret)
{
    size_t len = strlen(secret);
    if (log == NULL || len < SECRET_MIN)
        return 0;
    (void)pthread_rwlock_wrlock(&log->lock);
    int result = add(log, secret, len);
    (void)pthread_rwlock_unlock(&log->lock);
    return result;
}

static void mask_one(char *text, const struct secret *secret)
{
    size_t len = strlen(text);
    char *at = text;
    while ((at = strstr(at, secret->text)) != NULL) {
        size_t rest = len - (size_t)(at - text) - secret->len;
        memset(at, '*', 3);
        memmove(at + 3, at + secret->len, rest + 1);
        len -= secret->len - 3;
        at += 3;
    }
    /* A line that was cut may end in the beginning of the secret. */
    size_t part = secret->len - 1 < len ? secret->len - 1 : len;
    for (; part >= TAIL_MIN; part--) {
        char *tail = text + len - part;
        if (memcmp(tail, secret->text, part) != 0)
            continue;
        memset(tail, '*', 3);
        tail[3] = '\0';
        break;
    }
}

void log_mask(struct log *log, char *text)
{
    if (log != NULL) {
        (void)pthread_rwlock_rdlock(&log->lock);
        for (size_t i = 0; i < log->count; i++)
            mask_one(text, &log->secrets[i]);
        (void)pthread_rwlock_unlock(&log->lock);
    }
    size_t len = strlen(text);
    (void)text_line(text, len + 1, text, len);
}

void log_each_secret(struct log *log, void (*each)(void *user, const char *secret, size_t len), void *user)
{
    if (log == NULL)
        return;
    (void)pthread_rwlock_rdlock(&log->lock);
    for (size_t i = 0; i < log->count; i++)
        each(user, log->secrets[i].text, log->secrets[i].len);
    (void)pthread_rwlock_unlock(&log->lock);
}

void log_line(struct log *log, int32_t level, const char *where, const char *format, ...)
{
    if (log == NULL || log->write == NULL || level < atomic_load_explicit(&log->least, memory_order_relaxed))
        return;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char small[512];
    CLEANUP_FREE char *big = NULL;
    char *text = small;
    int length = vsnprintf(small, sizeof small, format, args);
    if (length >= (int)sizeof small) {
        size_t room = length < LINE_MAX_BYTES ? (size_t)length + 1 : LINE_MAX_BYTES;
        big = malloc(room);
        if (big != NULL) {
            (void)vsnprintf(big, room, format, again);
            text = big;
        }
    }
    va_end(again);
    va_end(args);
    if (length < 0)
        return;
    log_mask(log, text);
    log->write(log->user, level, where == NULL ? "sbx" : where, text);
}
