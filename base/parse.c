/* SPDX-License-Identifier: MIT
 *
 * parse.c - numbers, yes/no, durations and sizes out of text; see parse.h.
 */
#include "base/parse.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The digits at *text, which is moved behind them; -1 when there are none or too many. */
static int digits(const char **text, int64_t *out)
{
    const char *p = *text;
    int64_t value = 0;
    if (*p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value))
            return -1;
    *text = p;
    *out = value;
    return 0;
}

int parse_int(const char *text, int64_t *out)
{
    const char *p = text;
    int64_t value = 0;
    int minus = *p == '-';
    p += minus;
    if (digits(&p, &value) != 0 || *p != '\0')
        return -1;
    *out = minus ? -value : value;
    return 0;
}

int parse_bool(const char *text, int *out)
{
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (int value = 0; value < 2; value++)
            if (strcasecmp(text, words[i][value]) == 0) {
                *out = value;
                return 0;
            }
    return -1;
}

struct unit {
    const char *suffix;
    int64_t factor;
};

static int with_unit(const char *text, const struct unit *units, size_t count, int64_t *out)
{
    const char *p = text;
    int64_t value = 0;
    if (digits(&p, &value) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (strcmp(p, units[i].suffix) == 0)
            return __builtin_mul_overflow(value, units[i].factor, out) ? -1 : 0;
    return -1;
}

int parse_duration_ms(const char *text, int64_t *out)
{
    static const struct unit units[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    int64_t value = 0;
    if (with_unit(text, units, sizeof units / sizeof units[0], &value) != 0)
        return -1;
    *out = value;
    return 0;
}

int parse_bytes(const char *text, int64_t *out)
{
    static const struct unit units[] = {
        {"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", (int64_t)1 << 40}};
    int64_t value = 0;
    if (with_unit(text, units, sizeof units / sizeof units[0], &value) != 0)
        return -1;
    *out = value;
    return 0;
}
