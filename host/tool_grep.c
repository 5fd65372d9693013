/* SPDX-License-Identifier: MIT
 *
 * tool_grep.c - a text in the files of a tree. Small files travel in batches where the provider has those.
 */
#include "base/cleanup.h"
#include "host/error.h"
#include "host/tool.h"

#include <stdlib.h>
#include <string.h>

#define MATCHES_DEFAULT 10000u
#define SMALL_MAX       (1u << 20) /* larger files travel alone, and only as far as needed */
#define BATCH_MAX       64u
#define LINE_MAX_BYTES  (1u << 20) /* a longer line is looked at in parts of this size, which overlap */
#define TEXT_MAX_BYTES  65536u     /* of a line that is given */

struct file {
    const char *path; /* relative to the root; "" when the root is the file */
    int is_small;
};

struct grep {
    struct border_call *c;
    struct sbx_sandbox *box;
    const char *dir;
    const char *pattern;
    size_t pattern_len;
    const struct pattern_set *include; /* NULL: all */
    int by_path;                       /* include goes by path, not by base name */
    uint64_t max;
    int is_full; /* there were more matches than that */
    struct sbx_found *found;
    struct arena arena;
    struct buf files; /* struct file */
};

/* One file on its way through. */
struct search {
    struct sbx_sink sink;
    struct grep *grep;
    const struct file *file;
    struct buf rest;    /* of a line, what waits for its end */
    struct buf head;    /* the beginning of a line that is longer than `rest` may be */
    struct buf matches; /* struct sbx_found_match */
    uint64_t line;      /* ended so far */
    uint64_t seen;      /* bytes */
    int is_matched;     /* this line is */
    int is_binary;
    int may_stop;
    int stopped;
};

/* --- one file -------------------------------------------------------------------------------------------------------
 */

static void add_match(struct search *s, const char *line, size_t len)
{
    struct grep *g = s->grep;
    size_t keep = len;
    if (keep > TEXT_MAX_BYTES) {
        size_t good = tool_utf8(line, TEXT_MAX_BYTES);
        keep = TEXT_MAX_BYTES - good < 4 ? good : TEXT_MAX_BYTES;
    }
    char *text = arena_alloc(&g->found->arena, keep + 1);
    if (text == NULL)
        return;
    memcpy(text, line, keep);
    const struct sbx_found_match match = {.size = sizeof match, .line = s->line + 1, .text = text, .text_len = keep};
    (void)buf_append(&s->matches, &match, sizeof match);
}

/* A line, or a part of one that is too long. */
static void look_at(struct search *s, const char *part, size_t len)
{
    const struct grep *g = s->grep;
    if (s->is_matched || s->matches.len / sizeof(struct sbx_found_match) > g->max ||
        (g->pattern_len > 0 && memmem(part, len, g->pattern, g->pattern_len) == NULL))
        return;
    s->is_matched = 1;
    if (s->head.len > 0)
        add_match(s, s->head.data, s->head.len);
    else
        add_match(s, part, len);
}

static void end_line(struct search *s, const char *bytes, size_t len)
{
    if (s->rest.len > 0) {
        if (buf_append(&s->rest, bytes, len) != 0)
            return;
        bytes = s->rest.data;
        len = s->rest.len;
    }
    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    look_at(s, bytes, len);
    s->is_matched = 0;
    s->rest.len = s->head.len = 0;
}

/* The line goes on, and no more of it can be held. What lies across two parts is found, too. */
static void end_part(struct search *s)
{
    size_t overlap = s->grep->pattern_len > 0 ? s->grep->pattern_len - 1 : 0;
    look_at(s, s->rest.data, s->rest.len);
    if (s->head.len == 0)
        (void)buf_append(&s->head, s->rest.data, TEXT_MAX_BYTES + 1);
    if (overlap > LINE_MAX_BYTES / 2)
        overlap = LINE_MAX_BYTES / 2;
    buf_consume(&s->rest, s->rest.len - overlap);
}

/* Up to the end of a line, or as much as can be held of it; how much that was. */
static size_t take_piece(struct search *s, const char *bytes, size_t len)
{
    const char *newline = memchr(bytes, '\n', len);
    size_t piece = newline != NULL ? (size_t)(newline - bytes) : len;
    if (piece + s->rest.len > LINE_MAX_BYTES)
        piece = LINE_MAX_BYTES - s->rest.len;
    if (newline == bytes + piece) {
        end_line(s, bytes, piece);
        s->line++;
        return piece + 1;
    }
    if (buf_append(&s->rest, bytes, piece) == 0 && s->rest.len == LINE_MAX_BYTES)
        end_part(s);
    return piece;
}

static int is_failed(const struct search *s)
{
    return s->rest.failed != 0 || s->head.failed != 0 || s->matches.failed != 0;
}

static int32_t search_write(void *user, const void *data, size_t len)
{
    struct search *s = user;
    const char *bytes = data;
    if (s->stopped)
        return 1;
    if (s->seen < 8192 && memchr(bytes, '\0', len < 8192 - s->seen ? len : (size_t)(8192 - s->seen)) != NULL)
        s->is_binary = 1;
    s->seen += len;
    while (len > 0 && !s->is_binary && !is_failed(s)) {
        size_t piece = take_piece(s, bytes, len);
        bytes += piece;
        len -= piece;
    }
    int enough = s->is_binary || s->matches.len / sizeof(struct sbx_found_match) > s->grep->max;
    s->stopped = s->may_stop && enough;
    return s->stopped || is_failed(s);
}

static void search_init(struct search *s, struct grep *g, const struct file *file)
{
    *s = (struct search){.sink = {.size = sizeof s->sink, .user = s, .write = search_write}, .grep = g, .file = file};
    buf_init(&s->rest, 2 * LINE_MAX_BYTES);
    buf_init(&s->head, TEXT_MAX_BYTES + 1);
    buf_init(&s->matches, TOOL_RESULT_MAX);
}

static void search_finish(struct search *s)
{
    buf_finish(&s->rest);
    buf_finish(&s->head);
    buf_finish(&s->matches);
}

static void add_matches(struct search *s)
{
    struct grep *g = s->grep;
    size_t count = s->matches.len / sizeof(struct sbx_found_match);
    struct sbx_found_match *matches = (struct sbx_found_match *)(void *)s->matches.data;
    const char *path = g->dir;
    if (count > 0 && s->file->path[0] != '\0')
        path = tool_join(&g->found->arena, g->dir, s->file->path);
    else if (count > 0)
        path = arena_text(&g->found->arena, g->dir);
    for (size_t i = 0; i < count; i++) {
        if (g->found->matches.len / sizeof *matches >= g->max) {
            g->found->truncated = g->is_full = 1;
            return;
        }
        matches[i].path = path;
        (void)buf_append(&g->found->matches, &matches[i], sizeof matches[i]);
    }
}

/* Adds what was found in a file that could be read. */
static sbx_status search_take(struct search *s, sbx_status status)
{
    if (status == SBX_E_STOPPED && s->stopped)
        status = SBX_OK;
    if (status == SBX_OK && !s->is_binary && s->rest.len > 0)
        end_line(s, "", 0);
    if (is_failed(s) || s->grep->found->arena.failed != 0)
        return border_fail(s->grep->c, SBX_E_NO_MEMORY, "more results than there is memory for");
    if (tool_is_unreadable(s->grep->c, status))
        return SBX_OK;
    if (status == SBX_E_TOO_LARGE) { /* made up by the kernel, and longer than the provider reads of such a file */
        s->grep->found->truncated = 1;
        return SBX_OK;
    }
    if (status == SBX_OK && !s->is_binary)
        add_matches(s);
    return status;
}

/* --- many files
 * ------------------------------------------------------------------------------------------------------- */

static const char *full_path(struct grep *g, const struct file *file)
{
    return file->path[0] != '\0' ? tool_join(&g->arena, g->dir, file->path) : g->dir;
}

static sbx_status search_alone(struct grep *g, const struct file *file)
{
    const struct sbx_read_args args = {.size = sizeof args};
    struct search s;
    const char *path = full_path(g, file);
    if (path == NULL)
        return border_fail(g->c, SBX_E_NO_MEMORY, "%s", "");
    search_init(&s, g, file);
    s.may_stop = 1;
    sbx_status status = search_take(&s, border_read(g->c, g->box, path, &args, &s.sink));
    search_finish(&s);
    return status;
}

struct batch {
    struct search searches[BATCH_MAX];
    struct sbx_get_item items[BATCH_MAX];
    const struct sbx_get_item *pointers[BATCH_MAX];
    sbx_status codes[BATCH_MAX];
    size_t count;
};

static void take_report(void *user, size_t index, sbx_status code, const char *message)
{
    struct batch *b = user;
    (void)message;
    if (index < b->count)
        b->codes[index] = code;
}

static sbx_status search_batch(struct grep *g, const struct file *files, size_t count)
{
    CLEANUP_FREE struct batch *b = calloc(1, sizeof *b);
    if (b == NULL)
        return border_fail(g->c, SBX_E_NO_MEMORY, "%s", "");
    b->count = count;
    sbx_status status = SBX_OK;
    for (size_t i = 0; i < count; i++) {
        search_init(&b->searches[i], g, &files[i]);
        b->codes[i] = SBX_E_PROTOCOL; /* until it is reported */
        b->items[i] = (struct sbx_get_item){
            .size = sizeof b->items[i], .path = full_path(g, &files[i]), .out = &b->searches[i].sink};
        b->pointers[i] = &b->items[i];
        if (b->items[i].path == NULL)
            status = border_fail(g->c, SBX_E_NO_MEMORY, "%s", "");
    }
    const struct sbx_batch_report report = {.size = sizeof report, .user = b, .item = take_report};
    if (status == SBX_OK)
        status = border_batch_get(g->c, g->box, b->pointers, count, &report);
    for (size_t i = 0; i < count; i++) {
        if (status == SBX_OK && b->codes[i] == SBX_E_FAILED)
            status = search_alone(g, &files[i]); /* which tells what is the matter with it */
        else if (status == SBX_OK)
            status = search_take(&b->searches[i], b->codes[i]);
        search_finish(&b->searches[i]);
    }
    return status;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static sbx_status search_all(struct grep *g)
{
    struct file *files = (struct file *)(void *)g->files.data;
    size_t count = g->files.len / sizeof *files;
    int batches = border_support(g->box, SBX_EXT_BATCH) != SBX_SUPPORT_NONE;
    sbx_status status = SBX_OK;
    if (count > 1)
        qsort(files, count, sizeof *files, by_path);
    for (size_t i = 0; status == SBX_OK && i < count && !g->is_full;) {
        size_t run = 0;
        while (batches && run < BATCH_MAX && i + run < count && files[i + run].is_small)
            run++;
        status = run > 1 ? search_batch(g, &files[i], run) : search_alone(g, &files[i]);
        i += run > 1 ? run : 1;
    }
    return status;
}

static sbx_status collect(void *user, const char *path, const struct sbx_file_stat *stat)
{
    struct grep *g = user;
    const char *slash = strrchr(path, '/');
    const char *name = g->by_path || slash == NULL ? path : slash + 1;
    if (g->include != NULL && !pattern_matches(g->include, name, !g->by_path))
        return SBX_OK;
    const struct file file = {.path = arena_text(&g->arena, path),
                              .is_small = (stat->known & SBX_STAT_BYTES) != 0 && stat->bytes <= SMALL_MAX};
    if (file.path == NULL || buf_append(&g->files, &file, sizeof file) != 0)
        return border_fail(g->c, SBX_E_NO_MEMORY, "'%s': too many files for the memory there is", g->dir);
    return SBX_OK;
}

/* A folder, or one file. */
static sbx_status collect_all(struct grep *g)
{
    struct sbx_file_stat stat;
    const struct tool_walk walk = {.user = g, .is_partial = &g->found->truncated, .file = collect};
    sbx_status status = entries_stat(g->c, g->box, g->dir, &stat);
    if (status != SBX_OK)
        return status;
    if (stat.type == SBX_FILE_REGULAR) {
        const struct file file = {.path = ""};
        return buf_append(&g->files, &file, sizeof file) == 0 ? SBX_OK : border_fail(g->c, SBX_E_NO_MEMORY, "%s", "");
    }
    return tool_walk(g->c, g->box, g->dir, &walk);
}

sbx_status sbx_tool_grep(sbx_sandbox *box, const char *dir, const char *pattern, const char *include,
                         uint64_t max_count, const struct sbx_call_options *call, sbx_found **out,
                         struct sbx_error *error)
{
    struct border_call c;
    struct pattern_set set = {.count = 0};
    if (out != NULL)
        *out = NULL;
    if (pattern == NULL)
        return error_set(error, SBX_E_INVALID, "grep: no pattern given");
    sbx_status status = tool_begin(&c, box, "grep", dir, call, out, error);
    if (status != SBX_OK)
        return status;
    struct grep g = {.c = &c,
                     .box = box,
                     .dir = dir,
                     .pattern = pattern,
                     .pattern_len = strlen(pattern),
                     .by_path = include != NULL && strchr(include, '/') != NULL,
                     .max = max_count != 0 ? max_count : MATCHES_DEFAULT,
                     .found = *out};
    arena_init(&g.arena, TOOL_RESULT_MAX);
    buf_init(&g.files, TOOL_RESULT_MAX);
    if (include != NULL) {
        status = pattern_read(&c, &set, include);
        g.include = &set;
    }
    if (status == SBX_OK)
        status = collect_all(&g);
    if (status == SBX_OK)
        status = search_all(&g);
    (*out)->truncated |= set.truncated;
    buf_finish(&g.files);
    arena_finish(&g.arena);
    pattern_finish(&set);
    return tool_end(&c, status, out, error);
}
