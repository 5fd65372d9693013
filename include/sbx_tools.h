/* SPDX-License-Identifier: MIT
 *
 * sbx_tools.h - the file tools that agent frameworks build on exec, once, for every provider: ls, read by lines, write,
 * edit, grep, glob. They work through the provider's file capabilities (in an image that holds nothing but the guest
 * too), else through a POSIX sh; nothing else is needed in the image. Semantics: the sandbox protocol of agent
 * frameworks (offsets count from 0, lines from 1). Paths as in sbx.h. Text results belong to the result object.
 */
#ifndef SBX_TOOLS_H
#define SBX_TOOLS_H

#include "sbx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a tool found; free it with sbx_found_free. */
typedef struct sbx_found sbx_found;
SBX_API void sbx_found_free(sbx_found *found);

/* --- ls ----------------------------------------------------------------------------------------------------------- */
struct sbx_found_entry {
    uint32_t size;
    uint32_t is_dir;  /* a symlink to a directory is not one */
    const char *path; /* `dir` as it was given, and the name */
    uint64_t bytes;
    int64_t mtime_ms;
    uint32_t type; /* SBX_FILE_* of the entry itself */
    uint32_t reserved0;
};
/* Immediate entries, hidden ones included, sorted. SBX_E_NOT_FOUND (path_not_found), SBX_E_NOT_DIR, SBX_E_PERMISSION.
 */
SBX_API sbx_status sbx_tool_ls(sbx_sandbox *box, const char *dir, const struct sbx_call_options *call, sbx_found **out,
                               struct sbx_error *error);
SBX_API const struct sbx_found_entry *sbx_found_entries(const sbx_found *found, size_t *count);

/* --- read by lines ------------------------------------------------------------------------------------------------ */
struct sbx_lines_options {
    uint32_t size;
    uint32_t flags;
    int64_t offset; /* first line, from 0; negative counts as 0 */
    int64_t limit;  /* lines; 0 or less: none requested */
};
struct sbx_found_lines {
    uint32_t size;
    uint32_t binary; /* 1: content is all of the file's bytes (not text in its first 8,192 bytes, or by extension) */
    const char *content; /* CRLF shown as LF; at most 512,000 bytes, never a cut character */
    size_t content_len;
    int64_t total_lines; /* -1: not known (larger than 1 MiB and not read to its end) */
    int64_t start_line;  /* from 1; 0: no line was given */
    int64_t end_line;
    int64_t next_offset; /* -1: nothing follows */
    uint32_t no_lines_requested;
    uint32_t cut; /* the page cap cut the last line: the next page offers it again, unless it fills a page alone */
};
/* An offset behind the end is SBX_E_INVALID and names the line count; a directory SBX_E_IS_DIR; a binary by extension
 * over 512,000 bytes SBX_E_TOO_LARGE. */
SBX_API sbx_status sbx_tool_read(sbx_sandbox *box, const char *path, const struct sbx_lines_options *options,
                                 const struct sbx_call_options *call, sbx_found **out, struct sbx_error *error);
SBX_API const struct sbx_found_lines *sbx_found_text(const sbx_found *found);

/* --- write and edit ----------------------------------------------------------------------------------------------- */
/* Makes parents, replaces what is there. */
SBX_API sbx_status sbx_tool_write(sbx_sandbox *box, const char *path, const void *data, size_t len,
                                  const struct sbx_call_options *call, struct sbx_error *error);
enum { SBX_EDIT_ALL = 1u << 0 };
/* Replaces old text by new: exactly one occurrence, or all of them. Tried as given, then with CRLF, then with LF; new
 * text takes the style that matched. SBX_E_NOT_FOUND: no such file; SBX_E_INVALID with provider_code
 * "string_not_found", "several_occurrences", "not_text" or "same_text"; SBX_E_IS_DIR, SBX_E_PERMISSION. On any error
 * the file is untouched. */
SBX_API sbx_status sbx_tool_edit(sbx_sandbox *box, const char *path, const void *old_text, size_t old_len,
                                 const void *new_text, size_t new_len, uint32_t flags,
                                 const struct sbx_call_options *call, uint64_t *occurrences, struct sbx_error *error);

/* --- grep and glob ------------------------------------------------------------------------------------------------ */
struct sbx_found_match {
    uint32_t size;
    uint32_t reserved0;
    const char *path;
    uint64_t line; /* from 1 */
    const char *text;
    size_t text_len;
};
/* Literal, case-sensitive, recursive, hidden files too, symlinks never followed; dir may be a file. Files with a NUL in
 * their first 8,192 bytes and what cannot be read are left out; of a line its first 64 KiB are given. `include`
 * filters by base name, or by path from `dir` when it holds a slash (NULL: all); max_count is a total over all files
 * (0: 10,000). Nothing found is an empty result. */
SBX_API sbx_status sbx_tool_grep(sbx_sandbox *box, const char *dir, const char *pattern, const char *include,
                                 uint64_t max_count, const struct sbx_call_options *call, sbx_found **out,
                                 struct sbx_error *error);
SBX_API const struct sbx_found_match *sbx_found_matches(const sbx_found *found, size_t *count);
/* * ? [..] {a,b} **; without a slash the base name at any depth, with one the path from `dir`; a leading slash anchors
 * to dir; dot names only where the pattern's segment begins with a dot; regular files only; entries are sorted, and
 * absolute where `dir` is. Never outside `dir`; at most 1,000 brace expansions, 10,000 results and 5 s, then truncated.
 */
SBX_API sbx_status sbx_tool_glob(sbx_sandbox *box, const char *dir, const char *pattern,
                                 const struct sbx_call_options *call, sbx_found **out, struct sbx_error *error);
/* 1: there may be more than the result holds; so also where a tree is more than 128 folders deep, or a path too long.
 */
SBX_API int sbx_found_truncated(const sbx_found *found);

#ifdef __cplusplus
}
#endif
#endif /* SBX_TOOLS_H */
