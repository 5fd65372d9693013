/* SPDX-License-Identifier: MIT
 *
 * lend.c - what a call is given: copies in a chunk of their own, which is scribbled over and made unreadable when the
 * call returns. A plugin that keeps a pointer, or calls back late, is ended by its next use of it, and the address of
 * the fault tells the runner why.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

enum { CANARY = 0x5c, CANARY_SIZE = 64, CATCH_MAX = 16 << 20 };

/* What `user` of a callback points to. */
struct guard {
    struct run *run;
    pthread_t owner;
    void *target;
    atomic_int busy;
};

int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
        continue;
}

void *lend_space(struct call *c, size_t size)
{
    size_t at = (c->used + 15) & ~(size_t)15;
    if (c->chunk == NULL || at + size > CHUNK_SIZE)
        run_fail(c->run, "%s: the checker has no room for the arguments", c->what);
    c->used = at + size;
    memset(c->chunk + at, 0, size);
    return c->chunk + at;
}

void *lend_copy(struct call *c, const void *data, size_t size)
{
    void *copy = lend_space(c, size);
    memcpy(copy, data, size);
    return copy;
}

const char *lend_text(struct call *c, const char *text)
{
    return text == NULL ? NULL : lend_copy(c, text, strlen(text) + 1);
}

struct sbx_kvs lend_kvs(struct call *c, struct sbx_kvs kvs)
{
    if (kvs.count == 0)
        return (struct sbx_kvs){NULL, 0};
    struct sbx_kv *copy = lend_space(c, kvs.count * sizeof *copy);
    for (size_t i = 0; i < kvs.count; i++)
        copy[i] = (struct sbx_kv){lend_text(c, kvs.items[i].key), lend_text(c, kvs.items[i].value)};
    return (struct sbx_kvs){copy, kvs.count};
}

const char *const *lend_list(struct call *c, const char *const *list)
{
    size_t count = 0;
    if (list == NULL)
        return NULL;
    while (list[count] != NULL)
        count++;
    const char **copy = lend_space(c, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = lend_text(c, list[i]);
    return copy;
}

void *lend_args(struct call *c, const void *args, uint32_t size)
{
    uint32_t told = size + c->extra - c->cut;
    char *copy = lend_space(c, (size_t)size + c->extra);
    memcpy(copy, args, size);
    memset(copy + size, c->fill, c->extra);
    memcpy(copy, &told, sizeof told);
    return copy;
}

void *lend_out(struct call *c, uint32_t size)
{
    uint32_t told = size - c->cut_out;
    char *out = lend_space(c, (size_t)size + CANARY_SIZE);
    memcpy(out, &told, sizeof told);
    memset(out + told, CANARY, size - told + CANARY_SIZE);
    return out;
}

void lend_taken(struct call *c, void *out, const void *lent, uint32_t size)
{
    const char *bytes = lent;
    uint32_t told = 0;
    memcpy(&told, bytes, sizeof told);
    EXPECT(c->run, told == size - c->cut_out, "%s changed the size of the out struct (C4)", c->what);
    for (uint32_t i = told; i < size + CANARY_SIZE; i++)
        EXPECT(c->run, bytes[i] == CANARY, "%s wrote behind the out struct, at byte %u of %u (C4)", c->what, i, told);
    memset(out, 0, size);
    memcpy(out, bytes, told);
}

/* --- callbacks --------------------------------------------------------------------------------------------------- */

void *lend_guard(struct call *c, void *target)
{
    struct guard *guard = lend_space(c, sizeof *guard);
    guard->run = c->run;
    guard->owner = pthread_self();
    guard->target = target;
    return guard;
}

void *callback_enter(void *user)
{
    struct guard *guard = user;
    EXPECT(guard->run, pthread_equal(guard->owner, pthread_self()), "a callback came on another thread (P9)");
    EXPECT(guard->run, atomic_exchange(&guard->busy, 1) == 0, "a callback came while another was running (P9)");
    return guard->target;
}

void callback_leave(void *user)
{
    struct guard *guard = user;
    atomic_store(&guard->busy, 0);
}

void caught_init(struct caught *into)
{
    memset(into, 0, sizeof *into);
    buf_init(&into->data, CATCH_MAX);
}

static int32_t sink_write(void *user, const void *data, size_t len)
{
    struct caught *into = callback_enter(user);
    const struct run *run = ((struct guard *)user)->run;
    EXPECT(run, len == 0 || data != NULL, "a sink was given NULL");
    if (into->pieces++ == 0)
        into->first_ms = clock_ms();
    into->bytes += len;
    into->ends += len == 0;
    if (into->data.len < CATCH_MAX - len)
        (void)buf_append(&into->data, data, len);
    int32_t stop = into->stop_at != 0 && into->bytes >= into->stop_at;
    callback_leave(user);
    return stop;
}

const struct sbx_sink *lend_sink(struct call *c, struct caught *into)
{
    if (into == NULL)
        return NULL;
    struct sbx_sink sink = {.size = sizeof sink, .user = lend_guard(c, into), .write = sink_write};
    return lend_copy(c, &sink, sizeof sink);
}

static int64_t source_read(void *user, void *buf, size_t cap)
{
    struct feed *from = callback_enter(user);
    const struct run *run = ((struct guard *)user)->run;
    size_t len = from->len - from->at;
    from->reads++;
    EXPECT(run, cap > 0 && buf != NULL, "a source was given no room to read into");
    if (from->piece != 0 && len > from->piece)
        len = from->piece;
    len = len > cap ? cap : len;
    memcpy(buf, from->data != NULL ? from->data + from->at : "", len);
    from->at += len;
    int64_t answer = (int64_t)len;
    if (len == 0 && (from->never_ready || clock_ms() < from->due_ms))
        answer = SBX_AGAIN;
    else if (len == 0 && from->fails)
        answer = -1;
    callback_leave(user);
    return answer;
}

const struct sbx_source *lend_source(struct call *c, struct feed *from)
{
    if (from == NULL)
        return NULL;
    struct sbx_source source = {
        .size = sizeof source, .user = lend_guard(c, from), .read = source_read, .ready_fd = -1};
    if (from->late_ms != 0) {
        const struct itimerspec when = {
            .it_value = {.tv_sec = from->late_ms / 1000, .tv_nsec = from->late_ms % 1000 * 1000000}};
        from->due_ms = clock_ms() + from->late_ms;
        (void)timerfd_settime(c->quiet_fd, 0, &when, NULL);
    }
    if (from->never_ready || from->late_ms != 0) {
        source.flags = SBX_SOURCE_HAS_FD;
        source.ready_fd = c->quiet_fd;
    }
    return lend_copy(c, &source, sizeof source);
}

static int carries(const struct sbx_info *info, const struct sbx_kv *label)
{
    for (size_t i = 0; i < info->metadata.count; i++)
        if (strcmp(info->metadata.items[i].key, label->key) == 0 &&
            strcmp(info->metadata.items[i].value, label->value) == 0)
            return 1;
    return 0;
}

static int32_t info_item(void *user, const struct sbx_info *given)
{
    struct report *into = callback_enter(user);
    const struct run *run = ((struct guard *)user)->run;
    struct sbx_info info;
    EXPECT(run, given != NULL && given->size >= 8 && given->size <= SBX_SIZE_MAX, "a report has no proper size");
    sbx_view(&info, sizeof info, given);
    EXPECT(run, info.id != NULL && info.id[0] != '\0', "a report has no id");
    for (size_t i = 0; i < into->want.count; i++)
        EXPECT(run, carries(&info, &into->want.items[i]), "the report of '%s' lacks the label %s=%s", info.id,
               into->want.items[i].key, into->want.items[i].value);
    into->count++;
    into->state = info.state;
    into->expires_ms = info.expires_ms;
    (void)snprintf(into->id, sizeof into->id, "%s", info.id);
    size_t used = strlen(into->ids);
    (void)snprintf(into->ids + used, sizeof into->ids - used, "%s%s ", used == 0 ? " " : "", info.id);
    callback_leave(user);
    return into->answer;
}

const struct sbx_info_sink *lend_info_sink(struct call *c, struct report *into)
{
    struct sbx_info_sink sink = {.size = sizeof sink, .user = lend_guard(c, into), .item = info_item};
    return lend_copy(c, &sink, sizeof sink);
}
