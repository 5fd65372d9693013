/* SPDX-License-Identifier: MIT
 *
 * life.c - OP_INFO, OP_SHUTDOWN and OP_LIFETIME.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/tree.h"

/* The number behind "oom_kill " at the start of a line; 0: no such file or line. */
static uint64_t oom_kills_in(const char *path)
{
    static const char word[] = "oom_kill ";
    char text[1024];
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
        if (at == text || at[-1] == '\n')
            return strtoull(at + strlen(word), NULL, 10);
    return 0;
}

/* How often the kernel killed for memory here, where a cgroup of our own is to be seen (version 2, then 1). */
static uint64_t oom_kills(void)
{
    uint64_t kills = oom_kills_in("/sys/fs/cgroup/memory.events");
    return kills != 0 ? kills : oom_kills_in("/sys/fs/cgroup/memory/memory.oom_control");
}

static void info_start(struct request *r, const struct fields *f)
{
    const struct guest *g = r->c->g;
    int64_t left = g->deadline_ns == 0 ? 0 : (g->deadline_ns - clock_boot_ns() + 999999) / 1000000;
    (void)f;
    request_reply_begin(r);
    frame_number(r->c, F_PID, (uint64_t)getpid());
    frame_number(r->c, F_DEADLINE_MS, g->deadline_ns == 0 ? 0 : left > 0 ? (uint64_t)left : 1);
    frame_number(r->c, F_COUNT, tree_count());
    frame_number(r->c, F_OOM, oom_kills());
    request_reply_finish(r);
    request_end(r);
}

static void shutdown_start(struct request *r, const struct fields *f)
{
    (void)f;
    request_end(r);
    r->c->g->ending = 1;
}

static void lifetime_start(struct request *r, const struct fields *f)
{
    uint64_t ms = f->number[F_DEADLINE_MS];
    if (ms > UINT64_C(1) << 42) {
        request_fail(r, SBX_E_INVALID, 0, "lifetime: %llu ms is too long", (unsigned long long)ms);
        return;
    }
    r->c->g->deadline_ns = ms == 0 ? 0 : clock_boot_ns() + (int64_t)ms * 1000000;
    request_end(r);
}

const struct request_kind op_info = {.op = OP_INFO, .asleep = 1, .start = info_start};
const struct request_kind op_shutdown = {.op = OP_SHUTDOWN, .asleep = 1, .start = shutdown_start};
const struct request_kind op_lifetime = {
    .op = OP_LIFETIME,
    .takes = FIELD(F_DEADLINE_MS),
    .requires = FIELD(F_DEADLINE_MS),
    .asleep = 1,
    .start = lifetime_start,
};
