/* SPDX-License-Identifier: MIT
 *
 * cmd_progress.c - how far a long transfer is: one line on a terminal, written again and again, and cleared at the end.
 */
#include "host/cmd.h"

#include <time.h>
#include <unistd.h>

enum { FIRST_MS = 1000, AGAIN_MS = 200 };

static int64_t now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* "12.3 MiB". */
static void size_text(double bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, size, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static void show(void *user, uint64_t bytes)
{
    struct progress *p = user;
    int64_t now = now_ms();
    char done[32], whole[48] = "", speed[32];
    if (now - p->begun_ms < FIRST_MS || (p->shown_ms != 0 && now - p->shown_ms < AGAIN_MS))
        return;
    p->shown_ms = now;
    size_text((double)bytes, done, sizeof done);
    size_text((double)bytes * 1000 / (double)(now - p->begun_ms), speed, sizeof speed);
    if (p->total >= bytes) {
        char total[32];
        size_text((double)p->total, total, sizeof total);
        (void)snprintf(whole, sizeof whole, " of %s, %d %%", total, (int)((double)bytes * 100 / (double)p->total));
    }
    (void)fprintf(stderr, "\rcopying ... %s%s, %s/s\033[K", done, whole, speed);
    (void)fflush(stderr);
}

void progress_begin(struct progress *p, struct cmd *c, uint64_t total)
{
    *p = (struct progress){.c = c, .total = total, .begun_ms = now_ms()};
    if (cmd_has(c, OPT_QUIET) || cmd_has(c, OPT_JSON) || isatty(2) != 1)
        return;
    c->call.on_progress = show;
    c->call.user_data = p;
}

void progress_end(struct progress *p)
{
    if (p->c == NULL)
        return;
    p->c->call.on_progress = NULL;
    p->c->call.user_data = NULL;
    if (p->shown_ms != 0)
        (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    p->c = NULL;
}
