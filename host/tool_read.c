/* SPDX-License-Identifier: MIT
 *
 * tool_read.c - a file by lines: a window of them, how many there are, and where the next window begins.
 */
#include "base/cleanup.h"
#include "host/error.h"
#include "host/tool.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SAMPLE_MAX 8192u               /* looked at to tell text from other things */
#define COUNT_MAX  ((uint64_t)1 << 20) /* larger files are not read to their end only to count */

struct scan {
    struct sbx_sink sink;
    int64_t first;  /* line of the window, from 0 */
    int64_t behind; /* the window's end */
    int64_t line;   /* the one that the next byte belongs to */
    struct buf page;
    struct buf sample;
    uint64_t bytes;
    int may_stop; /* need not count to the end */
    int has_cr;   /* a CR was held back: it may be half of a line's end */
    int in_line;  /* the last line has bytes and no end yet */
    int cut;      /* the page was full within line `cut_line` */
    int64_t cut_line;
    int follows; /* there are bytes behind the window */
    int stopped;
};

/* Bytes that belong to the present line. */
static void put(struct scan *s, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    if (s->line >= s->behind || s->cut) {
        s->follows = 1;
        return;
    }
    if (s->line < s->first)
        return;
    size_t room = TOOL_PREVIEW_MAX - s->page.len;
    size_t fits = len < room ? len : room;
    (void)buf_append(&s->page, bytes, fits);
    if (fits < len) {
        s->cut = 1;
        s->cut_line = s->line;
        s->follows = 1;
    }
}

/* One piece without a line's end in it, or the end itself. */
static void take_piece(struct scan *s, const char *bytes, size_t len, int ends)
{
    if (s->has_cr && !(ends && len == 0))
        put(s, "\r", 1);
    s->has_cr = 0;
    if (len > 0 && bytes[len - 1] == '\r') {
        s->has_cr = !ends; /* shown as LF alone where that follows */
        len--;
    }
    put(s, bytes, len);
    s->in_line = !ends;
    if (ends) {
        put(s, "\n", 1);
        s->line++;
    }
}

static int32_t scan_write(void *user, const void *data, size_t len)
{
    struct scan *s = user;
    const char *bytes = data;
    if (s->stopped)
        return 1;
    size_t room = SAMPLE_MAX - s->sample.len;
    (void)buf_append(&s->sample, bytes, len < room ? len : room);
    s->bytes += len;
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t piece = newline != NULL ? (size_t)(newline - bytes) : len;
        take_piece(s, bytes, piece, newline != NULL);
        piece += newline != NULL;
        bytes += piece;
        len -= piece;
    }
    s->stopped = s->may_stop && s->follows && s->sample.len == SAMPLE_MAX;
    return s->stopped || s->page.failed != 0 || s->sample.failed != 0;
}

/* --- binary files ------------------------------------------------------------------------------------------------- */

static int is_binary_name(const char *path)
{
    static const char *const names[] = {"png",  "jpg",  "jpeg", "gif",  "webp", "bmp", "tif",  "tiff", "ico",  "heic",
                                        "heif", "avif", "mp4",  "mov",  "avi",  "mkv", "webm", "flv",  "wmv",  "m4v",
                                        "mpg",  "mpeg", "3gp",  "3gpp", "mp3",  "wav", "ogg",  "oga",  "flac", "aac",
                                        "m4a",  "aif",  "aiff", "opus", "wma",  "pdf", "ppt",  "pptx"};
    const char *base = strrchr(path, '/');
    const char *dot = strrchr(base != NULL ? base : path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(dot + 1, names[i]) == 0)
            return 1;
    return 0;
}

static sbx_status read_binary(struct border_call *c, struct sbx_sandbox *box, const char *path, size_t max,
                              struct sbx_found *found)
{
    capture_init(&found->content, max, 0);
    sbx_status status = tool_read_all(c, box, path, &found->content);
    found->lines.binary = 1;
    found->lines.content = found->content.data.data != NULL ? found->content.data.data : "";
    found->lines.content_len = found->content.data.len;
    found->lines.total_lines = -1;
    found->lines.next_offset = -1;
    return status;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

/* A page that ends within a line ends between characters. */
static void trim_page(struct scan *s)
{
    size_t back = 0;
    while (back < 4 && back < s->page.len && ((unsigned char)s->page.data[s->page.len - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == 4 || back >= s->page.len)
        return; /* no UTF-8 at all */
    size_t start = s->page.len - 1 - back;
    if (tool_utf8(s->page.data + start, back + 1) != back + 1 && (unsigned char)s->page.data[start] >= 0xc0)
        s->page.len = start;
}

static void fill_lines(struct scan *s, struct sbx_found *found)
{
    struct sbx_found_lines *l = &found->lines;
    int64_t lines = s->line + (s->in_line || s->has_cr ? 1 : 0);
    int64_t behind = lines < s->behind ? lines : s->behind;
    if (s->has_cr)
        put(s, "\r", 1);
    if (s->cut)
        trim_page(s);
    l->total_lines = s->stopped ? -1 : lines;
    l->cut = s->cut != 0;
    l->next_offset = s->follows ? behind : -1;
    if (s->cut) {
        behind = s->cut_line + 1;
        /* Offered again, unless it fills a page alone: then nobody would ever come past it. */
        l->next_offset = s->cut_line > s->first ? s->cut_line : s->cut_line + 1;
        if (!s->stopped && l->next_offset >= lines)
            l->next_offset = -1;
    }
    l->start_line = behind > s->first ? s->first + 1 : 0;
    l->end_line = behind > s->first ? behind : 0;
    found->content.data = s->page;
    buf_init(&s->page, 0);
    l->content = found->content.data.data != NULL ? found->content.data.data : "";
    l->content_len = found->content.data.len;
}

static sbx_status read_text(struct border_call *c, struct sbx_sandbox *box, const char *path, struct scan *s,
                            const struct sbx_lines_options *o, struct sbx_found *found)
{
    const struct sbx_read_args args = {.size = sizeof args};
    sbx_status status = border_read(c, box, path, &args, &s->sink);
    if (s->page.failed != 0 || s->sample.failed != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "%s", "");
    if (status != SBX_OK && !(status == SBX_E_STOPPED && s->stopped))
        return status;
    if (!tool_is_text(s->sample.data != NULL ? s->sample.data : "", s->sample.len, s->sample.len == SAMPLE_MAX))
        return read_binary(c, box, path, TOOL_FILE_MAX, found);
    int64_t lines = s->line + (s->in_line || s->has_cr ? 1 : 0);
    if (o->limit > 0 && !s->stopped && lines > 0 && s->first >= lines)
        return border_fail(c, SBX_E_INVALID, "'%s': the offset %lld is behind the end, it has %lld line%s", path,
                           (long long)s->first, (long long)lines, lines == 1 ? "" : "s");
    fill_lines(s, found);
    return SBX_OK;
}

static sbx_status read_lines(struct border_call *c, struct sbx_sandbox *box, const char *path,
                             const struct sbx_lines_options *o, struct sbx_found *found)
{
    struct sbx_file_stat stat;
    sbx_status status = entries_stat(c, box, path, &stat);
    if (status != SBX_OK)
        return status;
    if (stat.type == SBX_FILE_DIRECTORY)
        return border_fail(c, SBX_E_IS_DIR, "'%s': it is a directory", path);
    int knows_size = (stat.known & SBX_STAT_BYTES) != 0;
    if (is_binary_name(path)) {
        if (knows_size && stat.bytes > TOOL_PREVIEW_MAX)
            return SBX_E_TOO_LARGE;
        return read_binary(c, box, path, TOOL_PREVIEW_MAX, found);
    }
    struct scan s = {.sink = {.size = sizeof s.sink, .user = &s, .write = scan_write}};
    s.first = o->offset > 0 ? o->offset : 0;
    s.behind = o->limit <= 0 ? s.first : o->limit > INT64_MAX - s.first ? INT64_MAX : s.first + o->limit;
    s.may_stop = !knows_size || stat.bytes > COUNT_MAX;
    buf_init(&s.page, TOOL_PREVIEW_MAX + 8);
    buf_init(&s.sample, SAMPLE_MAX + 8);
    found->lines.no_lines_requested = o->limit <= 0;
    status = read_text(c, box, path, &s, o, found);
    buf_finish(&s.page);
    buf_finish(&s.sample);
    return status;
}

sbx_status sbx_tool_read(sbx_sandbox *box, const char *path, const struct sbx_lines_options *options,
                         const struct sbx_call_options *call, sbx_found **out, struct sbx_error *error)
{
    struct border_call c;
    struct sbx_lines_options o;
    if (out != NULL)
        *out = NULL;
    sbx_status status = api_take(&o, sizeof o, options, "read", error);
    if (status == SBX_OK && o.flags != 0)
        status = error_set(error, SBX_E_UNSUPPORTED, "read: unknown flags 0x%x", o.flags);
    if (status == SBX_OK)
        status = tool_begin(&c, box, "read", path, call, out, error);
    if (status != SBX_OK)
        return status;
    (*out)->lines = (struct sbx_found_lines){.size = sizeof(*out)->lines, .content = "", .next_offset = -1};
    status = read_lines(&c, box, path, &o, *out);
    if (status == SBX_E_TOO_LARGE && is_binary_name(path)) {
        sbx_found_free(*out);
        *out = NULL;
        /* Word for word what agent frameworks look for. */
        return error_set(error, status, "File '%s': Binary file exceeds maximum preview size of %u bytes", path,
                         TOOL_PREVIEW_MAX);
    }
    return tool_end(&c, status, out, error);
}
