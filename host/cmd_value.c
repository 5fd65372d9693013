/* SPDX-License-Identifier: MIT
 *
 * cmd_value.c - durations, sizes, environments and other values of options, checked before anything is done.
 */
#include "host/cmd.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit durations[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct unit sizes[] = {
    {"", 1},          {"B", 1},          {"K", 1024},         {"KiB", 1024},       {"M", 1048576},
    {"MiB", 1048576}, {"G", 1073741824}, {"GiB", 1073741824}, {"T", 1099511627776}};
static const struct unit millis[] = {{"", 1000}};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* Digits into a number. The first other character, or NULL when it is too large. */
static const char *parse_whole(const char *s, uint64_t *out)
{
    for (*out = 0; is_digit(*s); s++)
        if (__builtin_mul_overflow(*out, 10u, out) || __builtin_add_overflow(*out, (uint64_t)(*s - '0'), out))
            return NULL;
    return s;
}

/* Digits behind the point, as parts of a million, rounded up. */
static const char *parse_fraction(const char *s, uint64_t *millionths)
{
    uint64_t scale = 1000000, part = 0, rest = 0;
    for (; is_digit(*s); s++) {
        uint64_t digit = (uint64_t)(*s - '0');
        rest |= scale < 10 ? digit : 0;
        part += scale < 10 ? 0 : digit * (scale / 10);
        scale = scale < 10 ? scale : scale / 10;
    }
    *millionths = part + (rest != 0);
    return s;
}

/* DIGITS[.DIGITS]UNIT into whole units, rounded up. 0 or -1. */
static int parse_scaled(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
    uint64_t whole = 0, millionths = 0, factor = 0, rest = 0;
    const char *s = is_digit(*text) ? parse_whole(text, &whole) : NULL;
    if (s == NULL || (*s == '.' && !is_digit(s[1])))
        return -1;
    if (*s == '.')
        s = parse_fraction(s + 1, &millionths);
    for (size_t i = 0; i < count; i++)
        if (strcmp(units[i].name, s) == 0)
            factor = units[i].factor;
    if (factor == 0 || __builtin_mul_overflow(whole, factor, &whole))
        return -1;
    rest = factor / 1000000 * millionths + (factor % 1000000 * millionths + 999999) / 1000000;
    return __builtin_add_overflow(whole, rest, out) || *out > INT64_MAX / 2 ? -1 : 0;
}

int parse_duration(const char *text, int64_t *ms)
{
    uint64_t value;
    if (parse_scaled(text, durations, COUNT(durations), &value) != 0)
        return -1;
    *ms = (int64_t)value;
    return 0;
}

int parse_size(const char *text, uint64_t *bytes)
{
    return parse_scaled(text, sizes, COUNT(sizes), bytes);
}

/* The option's name for messages. */
static const char *option_name(enum cmd_id id)
{
    const struct cmd_option *option;
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++)
        if (option->id == (uint32_t)id)
            return option->name;
    return "?";
}

int value_duration(struct cmd *c, enum cmd_id id, int64_t *ms)
{
    const char *text = c->value[id];
    if (text == NULL || parse_duration(text, ms) == 0)
        return 0;
    if (text[0] == '-' && text[1] >= '0' && text[1] <= '9')
        return cmd_usage(c, "--%s: '%s' is negative; give 0 or more", option_name(id), text);
    return cmd_usage(c, "--%s: '%s' is not a duration; write 30, 500ms, 1.5s, 5m, 1h or 2d", option_name(id), text);
}

int value_size(struct cmd *c, enum cmd_id id, uint64_t *bytes)
{
    const char *text = c->value[id];
    if (text == NULL || parse_size(text, bytes) == 0)
        return 0;
    return cmd_usage(c, "--%s: '%s' is not a size; write 1048576, 64K, 512M or 4G", option_name(id), text);
}

int value_cpus(struct cmd *c, enum cmd_id id, uint32_t *out)
{
    const char *text = c->value[id];
    uint64_t value = 0;
    if (text == NULL)
        return 0;
    if (parse_scaled(text, millis, COUNT(millis), &value) != 0 || value == 0 || value > UINT32_MAX)
        return cmd_usage(c, "--%s: '%s' is not a number of processors; write 0.5, 1 or 2", option_name(id), text);
    *out = (uint32_t)value;
    return 0;
}

int value_number(struct cmd *c, enum cmd_id id, const char *what, uint64_t *out)
{
    const char *text = c->value[id];
    uint64_t number = 0;
    const char *s = text;
    if (text == NULL)
        return 0;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*s - '0'), &number))
            break;
    if (*text == 0 || *s != 0)
        return cmd_usage(c, "--%s: '%s' is not a number of %s", option_name(id), text, what);
    *out = number;
    return 0;
}

void kv_finish(struct kv_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((void *)(uintptr_t)list->items[i].key);
        free((void *)(uintptr_t)list->items[i].value);
    }
    free(list->items);
    *list = (struct kv_list){0};
}

struct sbx_kvs kv_view(const struct kv_list *list)
{
    return (struct sbx_kvs){.items = list->items, .count = list->count};
}

/* Adds a copy; one of the same key is replaced. 0 or -1: no memory. */
static int kv_put(struct kv_list *list, const char *key, size_t key_len, const char *value)
{
    CLEANUP_FREE char *k = strndup(key, key_len);
    CLEANUP_FREE char *v = strdup(value);
    size_t at = 0;
    if (k == NULL || v == NULL)
        return -1;
    while (at < list->count && strcmp(list->items[at].key, k) != 0)
        at++;
    if (at == list->count) {
        struct sbx_kv *more = realloc(list->items, (list->count + 1) * sizeof *more);
        if (more == NULL)
            return -1;
        list->items = more;
        more[at] = (struct sbx_kv){.key = STEAL(k)};
        list->count++;
    }
    free((void *)(uintptr_t)list->items[at].value);
    list->items[at].value = STEAL(v);
    return 0;
}

/* NAME=VALUE, or NAME for the value it has here. `where` names the option, or file and line. */
static int put_env(struct cmd *c, struct kv_list *out, const char *where, const char *text)
{
    size_t length = strcspn(text, "=");
    const char *value = text + length + 1;
    if (length == 0)
        return cmd_usage(c, "%s: '%s' has no name; write NAME=VALUE", where, text);
    if (text[length] == 0) {
        value = getenv(text);
        if (value == NULL)
            return cmd_usage(c, "%s: '%s' is not set here; write %s=VALUE", where, text, text);
    }
    return kv_put(out, text, length, value) == 0 ? 0 : cmd_no_memory(c);
}

enum { ENV_FILE_LIMIT = 1 << 20 };

static int read_env_file(struct cmd *c, const char *path, struct buf *out)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char chunk[4096];
    ssize_t n;
    if (fd < 0)
        return cmd_usage(c, "--env-file: '%s': %s", path, strerror(errno));
    do {
        n = read(fd, chunk, sizeof chunk);
        if (n > 0 && buf_append(out, chunk, (size_t)n) != 0)
            return cmd_usage(c, "--env-file: '%s' is larger than 1 MiB", path);
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        return cmd_usage(c, "--env-file: '%s': %s", path, strerror(errno));
    if (out->len > 0 && memchr(out->data, 0, out->len) != NULL)
        return cmd_usage(c, "--env-file: '%s' holds a NUL byte; write text, one NAME=VALUE a line", path);
    return 0;
}

/* Blank lines and those that begin with # are skipped; a value is taken as it stands, quotes and all. */
static int put_env_file(struct cmd *c, struct kv_list *out, const char *path)
{
    __attribute__((cleanup(buf_finish))) struct buf text;
    char where[300];
    int code;
    unsigned line = 0;
    buf_init(&text, ENV_FILE_LIMIT);
    code = read_env_file(c, path, &text);
    char *s = text.data;
    if (code == 0 && s != NULL && strncmp(s, "\xef\xbb\xbf", 3) == 0)
        s += 3;
    while (code == 0 && s != NULL && *s != 0) {
        size_t length = strcspn(s, "\n");
        char *next = s + length + (s[length] == '\n');
        s[length] = 0;
        if (length > 0 && s[length - 1] == '\r')
            s[length - 1] = 0;
        line++;
        s += strspn(s, " \t");
        (void)snprintf(where, sizeof where, "--env-file: %.255s:%u", path, line);
        if (*s != 0 && *s != '#')
            code = s[strcspn(s, " \t=")] == ' ' || s[strcspn(s, " \t=")] == '\t'
                       ? cmd_usage(c, "%s: white space in a name; write NAME=VALUE", where)
                       : put_env(c, out, where, s);
        s = next;
    }
    return code;
}

int value_envs(struct cmd *c, struct kv_list *out)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < c->repeated_count; i++)
        if (c->repeated[i].id == OPT_ENV_FILE)
            code = put_env_file(c, out, c->repeated[i].value);
    for (size_t i = 0; code == 0 && i < c->repeated_count; i++)
        if (c->repeated[i].id == OPT_ENV)
            code = put_env(c, out, "--env", c->repeated[i].value);
    return code;
}

int value_term(struct cmd *c, struct kv_list *out)
{
    const char *term = getenv("TERM");
    return kv_put(out, "TERM", 4, term != NULL && *term != 0 ? term : "xterm") == 0 ? 0 : cmd_no_memory(c);
}

int value_pairs(struct cmd *c, enum cmd_id id, int bare, struct kv_list *out)
{
    for (size_t i = 0; i < c->repeated_count; i++) {
        const char *text = c->repeated[i].value;
        size_t length;
        if (c->repeated[i].id != (uint32_t)id)
            continue;
        length = strcspn(text, "=");
        if (length == 0)
            return cmd_usage(c, "--%s: '%s' has no key; write KEY=VALUE", option_name(id), text);
        if (text[length] == 0 && !bare)
            return cmd_usage(c, "--%s: '%s' has no value; write %s=VALUE", option_name(id), text, text);
        if (kv_put(out, text, length, text[length] == 0 ? "" : text + length + 1) != 0)
            return cmd_no_memory(c);
    }
    return 0;
}
