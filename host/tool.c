/* SPDX-License-Identifier: MIT
 *
 * tool.c - the file tools' common parts, ls and write.
 */
#include "host/tool.h"

#include "host/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 128
#define PATH_SIZE 4096 /* what kernels take, with the NUL */

/* --- results ---------------------------------------------------------------------------------------------------- */

void sbx_found_free(sbx_found *found)
{
    if (found == NULL)
        return;
    arena_finish(&found->arena);
    capture_finish(&found->content);
    buf_finish(&found->entries);
    buf_finish(&found->matches);
    free(found);
}

const struct sbx_found_entry *sbx_found_entries(const sbx_found *found, size_t *count)
{
    size_t have = found != NULL ? found->entries.len / sizeof(struct sbx_found_entry) : 0;
    if (count != NULL)
        *count = have;
    return have > 0 ? (const struct sbx_found_entry *)(const void *)found->entries.data : NULL;
}

const struct sbx_found_match *sbx_found_matches(const sbx_found *found, size_t *count)
{
    size_t have = found != NULL ? found->matches.len / sizeof(struct sbx_found_match) : 0;
    if (count != NULL)
        *count = have;
    return have > 0 ? (const struct sbx_found_match *)(const void *)found->matches.data : NULL;
}

const struct sbx_found_lines *sbx_found_text(const sbx_found *found)
{
    return found != NULL && found->lines.size != 0 ? &found->lines : NULL;
}

int sbx_found_truncated(const sbx_found *found)
{
    return found != NULL && found->truncated;
}

sbx_status tool_begin(struct border_call *c, struct sbx_sandbox *box, const char *verb, const char *path,
                      const struct sbx_call_options *call, struct sbx_found **out, struct sbx_error *error)
{
    if (out == NULL)
        return error_set(error, SBX_E_INVALID, "%s: no place for the result", verb);
    *out = NULL;
    sbx_status status = api_check_path(box, verb, path, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(c, box->instance->context->log, verb, box->id, call);
    if (status != SBX_OK)
        return border_end(c, status, error);
    struct sbx_found *found = calloc(1, sizeof *found);
    if (found == NULL)
        return border_end(c, border_fail(c, SBX_E_NO_MEMORY, "%s", ""), error);
    arena_init(&found->arena, TOOL_RESULT_MAX);
    buf_init(&found->entries, TOOL_RESULT_MAX);
    buf_init(&found->matches, TOOL_RESULT_MAX);
    *out = found;
    return SBX_OK;
}

sbx_status tool_end(struct border_call *c, sbx_status status, struct sbx_found **out, struct sbx_error *error)
{
    struct sbx_found *found = *out;
    if (status == SBX_OK && (found->arena.failed != 0 || found->entries.failed != 0 || found->matches.failed != 0))
        status = border_fail(c, SBX_E_NO_MEMORY, "more results than there is memory for");
    if (status != SBX_OK) {
        sbx_found_free(found);
        *out = NULL;
    }
    return border_end(c, status, error);
}

sbx_status tool_fail(struct border_call *c, sbx_status code, const char *word, const char *format, ...)
{
    char message[sizeof c->error.message];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    (void)border_fail(c, code, "%s", message);
    (void)snprintf(c->error.provider_code, sizeof c->error.provider_code, "%s", word);
    return code;
}

const char *tool_join(struct arena *a, const char *dir, const char *name)
{
    size_t head = strlen(dir);
    size_t tail = strlen(name);
    while (head > 0 && dir[head - 1] == '/')
        head--;
    if (head == 0 && dir[0] != '/')
        return arena_text(a, name);
    char *path = arena_alloc(a, head + tail + 2);
    if (path == NULL)
        return NULL;
    memcpy(path, dir, head);
    path[head] = '/';
    memcpy(path + head + 1, name, tail + 1);
    return path;
}

sbx_status tool_add_entry(struct border_call *c, struct sbx_found *found, const char *path,
                          const struct sbx_file_stat *stat)
{
    const struct sbx_found_entry entry = {.size = sizeof entry,
                                          .is_dir = stat->type == SBX_FILE_DIRECTORY,
                                          .path = path,
                                          .bytes = (stat->known & SBX_STAT_BYTES) != 0 ? stat->bytes : 0,
                                          .mtime_ms = (stat->known & SBX_STAT_MTIME) != 0 ? stat->mtime_ms : 0,
                                          .type = stat->type};
    if (path == NULL || buf_append(&found->entries, &entry, sizeof entry) != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "more results than there is memory for");
    return SBX_OK;
}

static int by_path(const void *a, const void *b)
{
    const struct sbx_found_entry *left = a;
    const struct sbx_found_entry *right = b;
    return strcmp(left->path, right->path);
}

void tool_sort_entries(struct sbx_found *found)
{
    size_t count = found->entries.len / sizeof(struct sbx_found_entry);
    if (count > 1)
        qsort(found->entries.data, count, sizeof(struct sbx_found_entry), by_path);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

sbx_status tool_read_all(struct border_call *c, struct sbx_sandbox *box, const char *path, struct capture *kept)
{
    const struct sbx_read_args args = {.size = sizeof args};
    struct flow_sink sink;
    flow_sink_init(&sink, &c->call);
    sink.capture = kept;
    sink.max = kept->max;
    sbx_status status = border_read(c, box, path, &args, &sink.sink);
    return flow_verdict(c, status, &sink, NULL);
}

/* Bytes of a character that begins so; 0: none does. */
static size_t utf8_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Bytes of the character at p, 0 when it is none. */
static size_t utf8_one(const unsigned char *p, size_t left)
{
    size_t len = utf8_length(p[0]);
    if (len == 0 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if (len < 3)
        return len;
    /* Too long for what they say, a half of a pair, or behind the last character. */
    unsigned head = (unsigned)p[0] << 8 | p[1];
    int is_odd =
        head < 0xe0a0 || (head >= 0xeda0 && head < 0xee00) || (head >= 0xf000 && head < 0xf090) || head >= 0xf490;
    return is_odd ? 0 : len;
}

size_t tool_utf8(const char *data, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)data;
    size_t at = 0;
    while (at < len) {
        size_t one = utf8_one(bytes + at, len - at);
        if (one == 0)
            return at;
        at += one;
    }
    return at;
}

int tool_is_text(const char *data, size_t len, int is_cut)
{
    size_t good = tool_utf8(data, len);
    if (good == len)
        return 1;
    if (!is_cut || len - good > 3)
        return 0;
    /* The rest must be the beginning of one character. */
    size_t wanted = utf8_length((unsigned char)data[good]);
    for (size_t i = good + 1; i < len; i++)
        if (((unsigned char)data[i] & 0xc0) != 0x80)
            return 0;
    return wanted > len - good;
}

/* --- walking ---------------------------------------------------------------------------------------------------- */

struct folder {
    struct folder *next;
    const char *path; /* relative to the root; "" is the root */
    int depth;
};
struct walker {
    struct arena arena;
    struct folder *todo;
};

static void push(struct walker *w, const char *path, int depth)
{
    struct folder *folder = arena_alloc(&w->arena, sizeof *folder);
    if (folder == NULL)
        return;
    *folder = (struct folder){.next = w->todo, .path = path, .depth = depth};
    w->todo = folder;
}

int tool_is_unreadable(const struct border_call *c, sbx_status status)
{
    static const int of_files[] = {EIO, ESRCH, ENODEV, EOVERFLOW, ESTALE, EOPNOTSUPP};
    static const sbx_status codes[] = {SBX_E_NOT_FOUND, SBX_E_PERMISSION, SBX_E_NOT_DIR, SBX_E_IS_DIR, SBX_E_BAD_PATH};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (status == codes[i])
            return 1;
    for (size_t i = 0; i < sizeof of_files / sizeof of_files[0]; i++)
        if (status != SBX_OK && c->error.os_errno == of_files[i])
            return 1;
    return 0;
}

/* A folder's name goes on the list. */
static void visit_folder(const struct tool_walk *walk, struct walker *w, const struct folder *at, const char *path)
{
    if (walk->enter != NULL && !walk->enter(walk->user, path))
        return;
    if (at->depth < DEPTH_MAX)
        push(w, path, at->depth + 1);
    else
        *walk->is_partial = 1;
}

/* What a provider does not tell in its listing is asked for; a link is never followed. */
static sbx_status visit(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct tool_walk *walk,
                        struct walker *w, const struct folder *at, struct entry_node *node)
{
    const char *path =
        at->path[0] != '\0' ? tool_join(&w->arena, at->path, node->name) : arena_text(&w->arena, node->name);
    if (path == NULL)
        return border_fail(c, SBX_E_NO_MEMORY, "'%s': too many entries for the memory there is", dir);
    if (strlen(dir) + 1 + strlen(path) >= PATH_SIZE) {
        *walk->is_partial = 1;
        return SBX_OK;
    }
    if (node->stat.type == SBX_FILE_UNKNOWN) {
        const char *full = tool_join(&w->arena, dir, path);
        sbx_status status = full != NULL ? entries_stat(c, box, full, &node->stat) : SBX_E_NO_MEMORY;
        if (status != SBX_OK)
            return tool_is_unreadable(c, status) ? SBX_OK : status;
    }
    if (node->stat.type == SBX_FILE_REGULAR)
        return walk->file(walk->user, path, &node->stat);
    if (node->stat.type == SBX_FILE_DIRECTORY)
        visit_folder(walk, w, at, path);
    return SBX_OK;
}

sbx_status tool_walk(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct tool_walk *walk)
{
    struct walker w = {.todo = NULL};
    sbx_status status = SBX_OK;
    arena_init(&w.arena, TOOL_RESULT_MAX);
    push(&w, "", 0);
    while (status == SBX_OK && w.todo != NULL) {
        const struct folder *at = w.todo;
        struct entry_list list;
        w.todo = at->next;
        const char *full = at->path[0] != '\0' ? tool_join(&w.arena, dir, at->path) : dir;
        if (full == NULL)
            break;
        status = entries_read(c, box, full, &list);
        if (at->depth > 0 && status == SBX_E_BAD_PATH)
            *walk->is_partial = 1; /* too long behind the sandbox's working directory */
        if (at->depth > 0 && tool_is_unreadable(c, status))
            status = SBX_OK;
        for (struct entry_node *node = list.first; status == SBX_OK && node != NULL; node = node->next)
            status = visit(c, box, dir, walk, &w, at, node);
        entries_finish(&list);
    }
    if (status == SBX_OK && w.arena.failed != 0)
        status = border_fail(c, SBX_E_NO_MEMORY, "'%s': too many entries for the memory there is", dir);
    arena_finish(&w.arena);
    return status;
}

/* --- ls and write ------------------------------------------------------------------------------------------------- */

sbx_status sbx_tool_ls(sbx_sandbox *box, const char *dir, const struct sbx_call_options *call, sbx_found **out,
                       struct sbx_error *error)
{
    struct border_call c;
    struct entry_list list;
    sbx_status status = tool_begin(&c, box, "ls", dir, call, out, error);
    if (status != SBX_OK)
        return status;
    status = entries_read(&c, box, dir, &list);
    if (status == SBX_E_NOT_FOUND)
        (void)snprintf(c.error.provider_code, sizeof c.error.provider_code, "path_not_found");
    for (const struct entry_node *node = list.first; status == SBX_OK && node != NULL; node = node->next)
        status = tool_add_entry(&c, *out, tool_join(&(*out)->arena, dir, node->name), &node->stat);
    entries_finish(&list);
    if (status == SBX_OK)
        tool_sort_entries(*out);
    return tool_end(&c, status, out, error);
}

sbx_status sbx_tool_write(sbx_sandbox *box, const char *path, const void *data, size_t len,
                          const struct sbx_call_options *call, struct sbx_error *error)
{
    const struct sbx_transfer_options options = {.size = sizeof options,
                                                 .flags = SBX_WRITE_PARENTS,
                                                 .data = data != NULL || len > 0 ? data : "",
                                                 .data_len = len};
    return sbx_write_file(box, path, &options, call, error);
}
