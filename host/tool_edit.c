/* SPDX-License-Identifier: MIT
 *
 * tool_edit.c - one text for another in a file, in the file's own style of line ends.
 */
#include "base/cleanup.h"
#include "host/error.h"
#include "host/tool.h"

#include <string.h>

#define TEXT_MAX (200u << 20)

enum { AS_GIVEN, AS_CRLF, AS_LF, STYLES };

/* The text with its line ends in one style. */
static void restyle(struct buf *out, const char *text, size_t len, int style)
{
    size_t from = 0;
    for (size_t i = 0; style != AS_GIVEN && i < len; i++) {
        int lone_lf = text[i] == '\n' && (i == 0 || text[i - 1] != '\r');
        int crlf = text[i] == '\r' && i + 1 < len && text[i + 1] == '\n';
        if (style == AS_CRLF ? !lone_lf : !crlf)
            continue;
        (void)buf_append(out, text + from, i - from);
        from = i;
        if (style == AS_CRLF)
            (void)buf_append(out, "\r", 1);
        else
            from = i + 1;
    }
    (void)buf_append(out, text + from, len - from);
}

static uint64_t count_in(const struct buf *file, const struct buf *old)
{
    uint64_t count = 0;
    const char *at = file->data;
    const char *end = file->data + file->len;
    while (at != NULL && (at = memmem(at, (size_t)(end - at), old->data, old->len)) != NULL) {
        count++;
        at += old->len;
    }
    return count;
}

static void replace(struct buf *out, const struct buf *file, const struct buf *old, const struct buf *new)
{
    const char *at = file->data;
    const char *end = file->data + file->len;
    const char *hit;
    while ((hit = memmem(at, (size_t)(end - at), old->data, old->len)) != NULL) {
        (void)buf_append(out, at, (size_t)(hit - at));
        (void)buf_append(out, new->len > 0 ? new->data : "", new->len);
        at = hit + old->len;
    }
    (void)buf_append(out, at, (size_t)(end - at));
}

struct edit {
    struct border_call call;
    struct sbx_sandbox *box;
    const char *path;
    struct capture file;
    struct buf old_text;
    struct buf new_text;
    struct buf result;
    uint64_t count;
};

static void edit_init(struct edit *e, struct sbx_sandbox *box, const char *path)
{
    *e = (struct edit){.box = box, .path = path};
    capture_init(&e->file, TOOL_FILE_MAX, 0);
    buf_init(&e->old_text, TEXT_MAX);
    buf_init(&e->new_text, TEXT_MAX);
    buf_init(&e->result, TEXT_MAX);
}

static void edit_finish(struct edit *e)
{
    capture_finish(&e->file);
    buf_finish(&e->old_text);
    buf_finish(&e->new_text);
    buf_finish(&e->result);
}

/* The first style in which the old text is there; -1 when it is not. */
static int find_style(struct edit *e, const char *old_text, size_t len)
{
    for (int style = AS_GIVEN; style < STYLES; style++) {
        e->old_text.len = 0;
        restyle(&e->old_text, old_text, len, style);
        if (e->old_text.failed != 0)
            return -1;
        e->count = count_in(&e->file.data, &e->old_text);
        if (e->count > 0)
            return style;
    }
    return -1;
}

static sbx_status edit_text(struct edit *e, const char *old_text, size_t old_len, const char *new_text, size_t new_len,
                            uint32_t flags)
{
    struct border_call *c = &e->call;
    const struct buf *file = &e->file.data;
    if (tool_utf8(file->data != NULL ? file->data : "", file->len) != file->len)
        return tool_fail(c, SBX_E_INVALID, "not_text", "'%s': it is not text", e->path);
    int style = find_style(e, old_text, old_len);
    if (e->old_text.failed != 0)
        return border_fail(c, SBX_E_NO_MEMORY, "%s", "");
    if (style < 0)
        return tool_fail(c, SBX_E_INVALID, "string_not_found", "'%s': the text to replace is not there", e->path);
    if (e->count > 1 && (flags & SBX_EDIT_ALL) == 0)
        return tool_fail(c, SBX_E_INVALID, "several_occurrences", "'%s': the text to replace is there %llu times",
                         e->path, (unsigned long long)e->count);
    restyle(&e->new_text, new_text, new_len, style);
    if (e->new_text.failed == 0)
        replace(&e->result, file, &e->old_text, &e->new_text);
    if (e->new_text.failed != 0 || e->result.failed != 0)
        return border_fail(c, e->result.failed == EFBIG ? SBX_E_TOO_LARGE : SBX_E_NO_MEMORY,
                           "'%s': the edited file is larger than can be held", e->path);
    struct flow_source source;
    const struct sbx_write_args args = {.size = sizeof args, .flags = SBX_WRITE_HAS_LENGTH, .length = e->result.len};
    flow_source_of_memory(&source, e->result.data, e->result.len);
    return flow_verdict(c, border_write(c, e->box, e->path, &args, &source.source), NULL, &source);
}

static sbx_status edit_check(struct sbx_sandbox *box, const char *path, const void *old_text, size_t old_len,
                             const void *new_text, size_t new_len, uint32_t flags, struct sbx_error *error)
{
    sbx_status status = api_check_path(box, "edit", path, error);
    if (status != SBX_OK)
        return status;
    if ((flags & ~(uint32_t)SBX_EDIT_ALL) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "edit %s: unknown flags 0x%x", box->id, flags);
    if ((old_text == NULL && old_len > 0) || (new_text == NULL && new_len > 0))
        return error_set(error, SBX_E_INVALID, "edit %s: a length of text without text", box->id);
    return SBX_OK;
}

sbx_status sbx_tool_edit(sbx_sandbox *box, const char *path, const void *old_text, size_t old_len, const void *new_text,
                         size_t new_len, uint32_t flags, const struct sbx_call_options *call, uint64_t *occurrences,
                         struct sbx_error *error)
{
    struct edit e;
    sbx_status status = edit_check(box, path, old_text, old_len, new_text, new_len, flags, error);
    if (status != SBX_OK)
        return status;
    edit_init(&e, box, path);
    status = border_begin(&e.call, box->instance->context->log, "edit", box->id, call);
    if (status == SBX_OK)
        status = tool_read_all(&e.call, box, path, &e.file);
    if (status == SBX_OK && old_len == 0)
        status = tool_fail(&e.call, SBX_E_INVALID, "string_not_found", "'%s': the text to replace is empty", path);
    if (status == SBX_OK && old_len == new_len && memcmp(old_text, new_text, old_len) == 0)
        status = tool_fail(&e.call, SBX_E_INVALID, "same_text", "'%s': the new text is the old one", path);
    if (status == SBX_OK)
        status = edit_text(&e, old_text, old_len, new_len > 0 ? new_text : "", new_len, flags);
    if (occurrences != NULL)
        *occurrences = e.count;
    edit_finish(&e);
    return border_end(&e.call, status, error);
}
