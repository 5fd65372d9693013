/* SPDX-License-Identifier: MIT
 *
 * tool_glob.c - patterns of paths, and the files that they name.
 */
#include "host/error.h"
#include "host/tool.h"

#include <string.h>

#define ALTERNATIVES_MAX 1000
#define SEGMENTS_MAX     128
#define RESULTS_MAX      10000
#define TIME_MAX_NS      5000000000

/* --- one name against one segment -----------------------------------------------------------------------------------
 */

/* Bytes of the character at p, bytes that are none being one each. */
static size_t step(const char *p)
{
    size_t len = 1;
    while (len < 4 && ((unsigned char)p[len] & 0xc0) == 0x80)
        len++;
    return (unsigned char)p[0] >= 0xc0 ? len : 1;
}

/* The number of the character at p, *len bytes long. */
static unsigned long rune(const char *p, size_t *len)
{
    *len = step(p);
    unsigned long value = (unsigned char)p[0];
    for (size_t i = 1; i < *len; i++)
        value = value << 8 | (unsigned char)p[i];
    return value;
}

/* The end of a set that begins at p, behind its ']'; NULL when it has none. */
static const char *set_end(const char *p)
{
    p++;
    if (*p == '!' || *p == '^')
        p++;
    if (*p == ']')
        p++;
    p = strchr(p, ']');
    return p != NULL ? p + 1 : NULL;
}

static int in_set(const char *p, const char *end, const char *name)
{
    size_t len;
    unsigned long wanted = rune(name, &len);
    int found = 0;
    p++;
    int negated = *p == '!' || *p == '^';
    p += negated;
    while (p < end - 1) {
        unsigned long low = rune(p, &len);
        unsigned long high = low;
        p += len;
        if (*p == '-' && p + 1 < end - 1) {
            high = rune(p + 1, &len);
            p += 1 + len;
        }
        found |= wanted >= low && wanted <= high;
    }
    return found != negated;
}

/* One pattern character at p against the name: how far both go, or 0. */
static size_t match_one(const char *p, const char *name, size_t *name_len)
{
    *name_len = step(name);
    if (*p == '?')
        return 1;
    const char *end = *p == '[' ? set_end(p) : NULL;
    if (end != NULL)
        return in_set(p, end, name) ? (size_t)(end - p) : 0;
    *name_len = 1;
    return *p == *name ? 1 : 0;
}

/* With one place to go back to, which is enough for stars: linear in memory, bounded in time. */
static int match_name(const char *p, const char *name, int hidden)
{
    const char *star = NULL;
    const char *star_name = NULL;
    if (!hidden && name[0] == '.' && p[0] != '.')
        return 0;
    while (*name != '\0') {
        size_t name_len;
        size_t len;
        if (*p == '*') {
            star = p++;
            star_name = name;
        } else if (*p != '\0' && (len = match_one(p, name, &name_len)) > 0) {
            p += len;
            name += name_len;
        } else if (star != NULL) {
            p = star + 1;
            star_name += step(star_name);
            name = star_name;
        } else {
            return 0;
        }
    }
    while (*p == '*')
        p++;
    return *p == '\0';
}

/* --- paths ----------------------------------------------------------------------------------------------------------
 */

/* A path cut at its slashes. */
struct names {
    char text[4096];
    const char *at[SEGMENTS_MAX + 2];
    size_t count;
};

static int names_read(struct names *names, const char *path)
{
    size_t len = strlen(path);
    names->count = 0;
    if (len >= sizeof names->text)
        return -1;
    memcpy(names->text, path, len + 1);
    for (char *p = names->text; p != NULL && *p != '\0';) {
        if (names->count > SEGMENTS_MAX)
            return -1;
        names->at[names->count++] = p;
        p = strchr(p, '/');
        if (p != NULL)
            *p++ = '\0';
    }
    return 0;
}

/* reach[i]: the first i segments can match the names so far. A ** may stand for no folder at all. */
static void skip_any(const char *const *segments, char *reach)
{
    for (size_t i = 0; segments[i] != NULL; i++)
        if (reach[i] && strcmp(segments[i], "**") == 0)
            reach[i + 1] = 1;
}

static void take_name(const char *const *segments, const char *name, int hidden, char *reach)
{
    char next[SEGMENTS_MAX + 3] = {0};
    for (size_t i = 0; segments[i] != NULL; i++) {
        if (!reach[i])
            continue;
        if (strcmp(segments[i], "**") != 0)
            next[i + 1] |= (char)match_name(segments[i], name, hidden);
        else if (hidden || name[0] != '.')
            next[i] = 1;
    }
    memcpy(reach, next, sizeof next);
}

/* `open` asks for folders: whether more names could match. */
static int match_path(const char *const *segments, const struct names *names, int hidden, int open)
{
    char reach[SEGMENTS_MAX + 3] = {1};
    size_t count = 0;
    for (size_t n = 0; n < names->count; n++) {
        skip_any(segments, reach);
        take_name(segments, names->at[n], hidden, reach);
    }
    skip_any(segments, reach);
    while (segments[count] != NULL)
        count++;
    if (!open)
        return reach[count];
    return memchr(reach, 1, count) != NULL;
}

static int any_matches(const struct pattern_set *set, const char *path, int hidden, int open)
{
    struct names names;
    if (names_read(&names, path) != 0)
        return 0;
    for (size_t i = 0; i < set->count; i++)
        if (match_path(set->patterns[i], &names, hidden, open))
            return 1;
    return 0;
}

int pattern_matches(const struct pattern_set *set, const char *path, int hidden)
{
    return any_matches(set, path, hidden, 0);
}

int pattern_may_enter(const struct pattern_set *set, const char *dir)
{
    return any_matches(set, dir, 0, 1);
}

/* --- reading
 * ---------------------------------------------------------------------------------------------------------- */

/* The end of the group that begins at p, at its '}'; NULL when it has none, or no comma. */
static const char *group_end(const char *p)
{
    int depth = 0;
    int has_comma = 0;
    for (; *p != '\0'; p++) {
        if (*p == '{')
            depth++;
        has_comma |= *p == ',' && depth == 1;
        if (*p == '}' && --depth == 0)
            return has_comma ? p : NULL;
    }
    return NULL;
}

/* One text without groups as segments. */
static void add_pattern(struct pattern_set *set, const char *text)
{
    struct names *names = arena_alloc(&set->arena, sizeof *names);
    if (names == NULL || set->count >= ALTERNATIVES_MAX) {
        set->truncated = 1;
        return;
    }
    int anywhere = strchr(text, '/') == NULL;
    if (names_read(names, text) != 0) {
        set->truncated = 1;
        return;
    }
    const char **segments = arena_alloc(&set->arena, (names->count + 2) * sizeof *segments);
    size_t count = 0;
    if (segments == NULL)
        return;
    if (anywhere)
        segments[count++] = "**";
    for (size_t i = 0; i < names->count; i++)
        if (names->at[i][0] != '\0' && strcmp(names->at[i], ".") != 0)
            segments[count++] = names->at[i];
    set->patterns[set->count++] = segments;
}

struct waiting {
    const char *texts[ALTERNATIVES_MAX];
    size_t count;
};

static void wait_for(struct pattern_set *set, struct waiting *waiting, const char *text)
{
    if (text == NULL || waiting->count >= ALTERNATIVES_MAX)
        set->truncated = 1;
    else
        waiting->texts[waiting->count++] = text;
}

/* The group's alternatives, each between what stands before and behind it. */
static void split_group(struct pattern_set *set, struct waiting *waiting, const char *text, const char *begin,
                        const char *end)
{
    const char *from = begin + 1;
    size_t head = (size_t)(begin - text);
    size_t tail = strlen(end + 1);
    int depth = 0;
    for (const char *p = from; p <= end; p++) {
        depth += (*p == '{') - (*p == '}' && p < end);
        if (depth > 0 || (*p != ',' && p != end))
            continue;
        size_t middle = (size_t)(p - from);
        char *whole = arena_alloc(&set->arena, head + middle + tail + 1);
        if (whole != NULL) {
            memcpy(whole, text, head);
            memcpy(whole + head, from, middle);
            memcpy(whole + head + middle, end + 1, tail + 1);
        }
        wait_for(set, waiting, whole);
        from = p + 1;
    }
}

/* Takes groups apart, one at a time, until no text has any. */
static void expand(struct pattern_set *set, const char *text)
{
    struct waiting waiting = {.count = 0};
    wait_for(set, &waiting, text);
    while (waiting.count > 0 && !set->truncated) {
        const char *now = waiting.texts[--waiting.count];
        const char *begin = strchr(now, '{');
        const char *end = NULL;
        while (begin != NULL && (end = group_end(begin)) == NULL)
            begin = strchr(begin + 1, '{');
        if (begin != NULL)
            split_group(set, &waiting, now, begin, end);
        else
            add_pattern(set, now);
    }
}

static int leaves_root(const struct pattern_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        for (const char *const *segment = set->patterns[i]; *segment != NULL; segment++)
            if (strcmp(*segment, "..") == 0)
                return 1;
    return 0;
}

sbx_status pattern_read(struct border_call *c, struct pattern_set *set, const char *text)
{
    *set = (struct pattern_set){.count = 0};
    arena_init(&set->arena, 64u << 20);
    set->patterns = arena_alloc(&set->arena, ALTERNATIVES_MAX * sizeof *set->patterns);
    if (set->patterns == NULL)
        return border_fail(c, SBX_E_NO_MEMORY, "%s", "");
    if (text == NULL || text[0] == '\0' || strlen(text) >= sizeof((struct names *)NULL)->text)
        return border_fail(c, SBX_E_INVALID, "a pattern of 1 to %zu bytes is needed",
                           sizeof((struct names *)NULL)->text - 1);
    expand(set, text);
    if (leaves_root(set))
        return border_fail(c, SBX_E_INVALID, "'%s': a pattern cannot leave the folder by '..'", text);
    return SBX_OK;
}

void pattern_finish(struct pattern_set *set)
{
    arena_finish(&set->arena);
}

/* --- glob
 * ------------------------------------------------------------------------------------------------------------- */

struct glob {
    struct border_call *c;
    const char *dir;
    const struct pattern_set *set;
    struct sbx_found *found;
    int full;
};

static int glob_enter(void *user, const char *path)
{
    const struct glob *g = user;
    return pattern_may_enter(g->set, path);
}

static sbx_status glob_file(void *user, const char *path, const struct sbx_file_stat *stat)
{
    struct glob *g = user;
    if (!pattern_matches(g->set, path, 0))
        return SBX_OK;
    if (g->found->entries.len / sizeof(struct sbx_found_entry) >= RESULTS_MAX) {
        g->full = 1;
        return SBX_E_STOPPED;
    }
    return tool_add_entry(g->c, g->found, tool_join(&g->found->arena, g->dir, path), stat);
}

sbx_status sbx_tool_glob(sbx_sandbox *box, const char *dir, const char *pattern, const struct sbx_call_options *call,
                         sbx_found **out, struct sbx_error *error)
{
    struct border_call c;
    struct pattern_set set;
    sbx_status status = tool_begin(&c, box, "glob", dir, call, out, error);
    if (status != SBX_OK)
        return status;
    struct glob g = {.c = &c, .dir = dir, .set = &set, .found = *out};
    const struct tool_walk walk = {
        .user = &g, .is_partial = &(*out)->truncated, .enter = glob_enter, .file = glob_file};
    int64_t deadline = c.call.deadline_ns;
    int64_t own = gate_now_ns() + TIME_MAX_NS;
    int is_own = deadline == 0 || own < deadline;
    status = pattern_read(&c, &set, pattern);
    if (is_own)
        c.call.deadline_ns = own;
    if (status == SBX_OK)
        status = tool_walk(&c, box, dir, &walk);
    c.call.deadline_ns = deadline;
    /* What was found in time is the answer. */
    int is_late = status == SBX_E_TIMEOUT && is_own;
    if (is_late || (status == SBX_E_STOPPED && g.full))
        status = SBX_OK;
    (*out)->truncated |= is_late || g.full || set.truncated;
    pattern_finish(&set);
    if (status == SBX_OK)
        tool_sort_entries(*out);
    return tool_end(&c, status, out, error);
}
