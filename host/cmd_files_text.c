/* SPDX-License-Identifier: MIT
 *
 * cmd_files_text.c - sbxctl files cat and edit: what is inside of files.
 */
#include "host/cmd_files.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "sbx_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_LINES = 2000, TEXT_MAX = 100 << 20, CHUNK = 65536 };

/* --- cat ---------------------------------------------------------------------------------------------------------- */

/* Lines of a file while its bytes go by. */
struct window {
    uint64_t first;  /* from 0 */
    uint64_t behind; /* the window's end */
    uint64_t line;   /* the one that the next byte belongs to */
    int in_line;     /* the last line has bytes and no end yet */
    int done;
};

static int window_init(struct cmd *c, struct window *w)
{
    uint64_t limit = UINT64_MAX;
    *w = (struct window){0};
    int code = value_number(c, OPT_OFFSET, "lines", &w->first);
    if (code == 0)
        code = value_number(c, OPT_LIMIT, "lines", &limit);
    if (__builtin_add_overflow(w->first, limit, &w->behind))
        w->behind = UINT64_MAX;
    return code;
}

int files_cat_check(struct cmd *c)
{
    struct window w;
    return window_init(c, &w);
}

static int32_t window_take(void *user, const void *data, size_t len)
{
    struct window *w = user;
    const char *bytes = data;
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t piece = newline != NULL ? (size_t)(newline - bytes) + 1 : len;
        w->done = w->line >= w->behind;
        if (w->done)
            return 1;
        if (w->line >= w->first && fwrite(bytes, 1, piece, stdout) != piece)
            return 1;
        w->line += newline != NULL;
        w->in_line = newline == NULL;
        bytes += piece;
        len -= piece;
    }
    return 0;
}

static int cat_lines(struct cmd *c, sbx_sandbox *box, const char *path)
{
    struct sbx_error error = SBX_INIT(error);
    struct window w;
    (void)window_init(c, &w);
    const struct sbx_transfer_options how = {.size = sizeof how, .on_data = window_take, .user_data = &w};
    sbx_status status = sbx_read_file(box, path, &how, &c->call, &error);
    if (ferror(stdout) != 0 || (status == SBX_E_STOPPED && w.done))
        return EXIT_FINE; /* what could not be written is told when the output is closed */
    uint64_t lines = w.line + (w.in_line != 0);
    if (status == SBX_OK && w.behind > w.first && lines > 0 && w.first >= lines) {
        error = (struct sbx_error){.size = sizeof error, .code = SBX_E_INVALID};
        (void)snprintf(error.message, sizeof error.message, "the offset %llu is behind the end, it has %llu line%s",
                       (unsigned long long)w.first, (unsigned long long)lines, lines == 1 ? "" : "s");
        status = SBX_E_INVALID;
    }
    return status == SBX_OK ? EXIT_FINE : files_fail(c, box, path, &error);
}

static void put_count(struct json *j, const char *key, int64_t number, int64_t none)
{
    if (number == none)
        json_null(j, j->root, key);
    else
        json_number(j, j->root, key, (double)number);
}

static int cat_json(struct cmd *c, sbx_sandbox *box, const char *path)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_found *found = NULL;
    struct json j;
    uint64_t offset = 0, limit = PAGE_LINES;
    (void)value_number(c, OPT_OFFSET, "lines", &offset);
    (void)value_number(c, OPT_LIMIT, "lines", &limit);
    const struct sbx_lines_options lines = {.size = sizeof lines,
                                            .offset = (int64_t)(offset < INT64_MAX ? offset : INT64_MAX),
                                            .limit = (int64_t)(limit < INT64_MAX ? limit : INT64_MAX)};
    if (sbx_tool_read(box, path, &lines, &c->call, &found, &error) != SBX_OK)
        return files_fail(c, box, path, &error);
    const struct sbx_found_lines *l = sbx_found_text(found);
    files_json(&j, box, path);
    json_bytes(&j, j.root, "content", l->content, l->content_len);
    json_flag(&j, j.root, "binary", l->binary != 0);
    put_count(&j, "total_lines", l->total_lines, -1);
    put_count(&j, "start_line", l->start_line, 0);
    put_count(&j, "end_line", l->end_line, 0);
    put_count(&j, "next_offset", l->next_offset, -1);
    json_flag(&j, j.root, "no_lines_requested", l->no_lines_requested != 0);
    json_flag(&j, j.root, "cut", l->cut != 0);
    sbx_found_free(found);
    return json_print(c, &j, EXIT_FINE);
}

int files_cat(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    const struct sbx_transfer_options how = {.size = sizeof how, .flags = SBX_TRANSFER_FD, .fd = 1};
    const char *path = c->args[2];
    if (cmd_has(c, OPT_JSON))
        return cat_json(c, box, path);
    if (cmd_has(c, OPT_OFFSET) || cmd_has(c, OPT_LIMIT))
        return cat_lines(c, box, path);
    return sbx_read_file(box, path, &how, &c->call, &error) == SBX_OK ? EXIT_FINE : files_fail(c, box, path, &error);
}

/* --- edit --------------------------------------------------------------------------------------------------------- */

/* One text, given as a word or as a file. */
static int check_text(struct cmd *c, enum cmd_id word, enum cmd_id file, const char *name)
{
    if (cmd_has(c, word) && cmd_has(c, file))
        return cmd_usage(c, "--%s and --%s-file exclude each other; give one", name, name);
    if (!cmd_has(c, word) && !cmd_has(c, file))
        return cmd_usage(c, "edit wants --%s TEXT or --%s-file FILE", name, name);
    if (cmd_has(c, file) && *c->value[file] == 0)
        return cmd_usage(c, "--%s-file: an empty value", name);
    return 0;
}

static int is_input(const struct cmd *c, enum cmd_id file)
{
    return cmd_has(c, file) && strcmp(c->value[file], "-") == 0;
}

int files_edit_check(struct cmd *c)
{
    int code = check_text(c, OPT_OLD, OPT_OLD_FILE, "old");
    if (code == 0)
        code = check_text(c, OPT_NEW, OPT_NEW_FILE, "new");
    if (code == 0 && is_input(c, OPT_OLD_FILE) && is_input(c, OPT_NEW_FILE))
        code = cmd_usage(c, "--old-file and --new-file both want standard input; give one");
    return code;
}

static int read_text(struct cmd *c, enum cmd_id file, struct buf *text)
{
    const char *name = c->value[file];
    CLEANUP_FD int own = is_input(c, file) ? -1 : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int fd = is_input(c, file) ? 0 : own;
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0) {
        char *room = buf_space(text, CHUNK);
        if (room == NULL)
            return text->failed == EFBIG ? cmd_own(c, name, sbx_status_name(SBX_E_TOO_LARGE), "over 100 MiB")
                                         : cmd_no_memory(c);
        n = read(fd, room, CHUNK);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            text->len += (size_t)n;
    }
    return n == 0 ? 0 : cmd_own(c, name, "local_file", "%s", strerror(errno));
}

static int take_text(struct cmd *c, enum cmd_id word, enum cmd_id file, struct buf *text)
{
    buf_init(text, TEXT_MAX);
    if (!cmd_has(c, word))
        return read_text(c, file, text);
    return buf_text(text, c->value[word]) == 0 ? 0 : cmd_no_memory(c);
}

int files_edit(struct cmd *c, sbx_sandbox *box)
{
    CLEANUP_BUF struct buf old_text = {0}, new_text = {0};
    struct sbx_error error = SBX_INIT(error);
    const char *path = c->args[2];
    uint64_t count = 0;
    struct json j;
    int code = take_text(c, OPT_OLD, OPT_OLD_FILE, &old_text);
    if (code == 0)
        code = take_text(c, OPT_NEW, OPT_NEW_FILE, &new_text);
    if (code != 0)
        return code;
    if (sbx_tool_edit(box, path, old_text.data, old_text.len, new_text.data, new_text.len,
                      cmd_has(c, OPT_EVERY) ? SBX_EDIT_ALL : 0, &c->call, &count, &error) != SBX_OK)
        return files_fail(c, box, path, &error);
    if (!cmd_has(c, OPT_JSON)) {
        (void)printf("%llu\n", (unsigned long long)count);
        return EXIT_FINE;
    }
    files_json(&j, box, path);
    json_number(&j, j.root, "occurrences", (double)count);
    return json_print(c, &j, EXIT_FINE);
}
