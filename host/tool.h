/* SPDX-License-Identifier: MIT
 *
 * tool.h - what the file tools share: the result object, one call for the whole tool, reading a file, walking a tree.
 */
#ifndef SBX_HOST_TOOL_H
#define SBX_HOST_TOOL_H

#include "host/api.h"
#include "host/entries.h"
#include "host/flow.h"
#include "sbx_tools.h"

#define TOOL_RESULT_MAX  (256u << 20) /* bytes of results that one call may hold */
#define TOOL_PREVIEW_MAX 512000u      /* bytes of a page, and of a file that is binary by its name */
#define TOOL_FILE_MAX    (100u << 20) /* of a file that is kept as a whole */

struct sbx_found {
    struct arena arena;
    struct capture content; /* what lines.content points to */
    struct buf entries;     /* struct sbx_found_entry, one after the other */
    struct buf matches;     /* struct sbx_found_match */
    struct sbx_found_lines lines;
    int truncated;
};

/* Begins the tool's one call: checks box, path and `out`, and makes *out. On failure it is ended and *out is NULL. */
sbx_status tool_begin(struct border_call *c, struct sbx_sandbox *box, const char *verb, const char *path,
                      const struct sbx_call_options *call, struct sbx_found **out, struct sbx_error *error);
/* Ends it; on failure the result is freed. */
sbx_status tool_end(struct border_call *c, sbx_status status, struct sbx_found **out, struct sbx_error *error);
/* border_fail with a word for programs in provider_code. */
sbx_status tool_fail(struct border_call *c, sbx_status code, const char *word, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "dir/name" without doubled slashes; NULL when the arena failed. */
const char *tool_join(struct arena *a, const char *dir, const char *name);
sbx_status tool_add_entry(struct border_call *c, struct sbx_found *found, const char *path,
                          const struct sbx_file_stat *stat);
/* By path. */
void tool_sort_entries(struct sbx_found *found);
/* Everything of a file into `kept`; SBX_E_TOO_LARGE over its max. */
sbx_status tool_read_all(struct border_call *c, struct sbx_sandbox *box, const char *path, struct capture *kept);

/* Bytes of the longest beginning that is UTF-8; `len` when all of it is. */
size_t tool_utf8(const char *data, size_t len);
/* Text in the first bytes of a file: no more than one character is cut off at the end of what is there. */
int tool_is_text(const char *data, size_t len, int is_cut);

/* Whether a failure is about the one file or folder that was read and about nothing else: it went away meanwhile, is
 * closed to us, or is none that can be read, as some below /proc. */
int tool_is_unreadable(const struct border_call *c, sbx_status status);

/* Every regular file below dir, symlinks never followed, in no order. `enter` (may be NULL) says whether to look into a
 * folder; `file` answers 0 to go on. Names are relative to dir. What cannot be read below dir is left out; where that
 * is because it lies too deep, or its path is too long, *is_partial becomes 1. */
struct tool_walk {
    void *user;
    int *is_partial;
    int (*enter)(void *user, const char *path);
    sbx_status (*file)(void *user, const char *path, const struct sbx_file_stat *stat);
};
sbx_status tool_walk(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct tool_walk *walk);

/* --- patterns --------------------------------------------------------------------------------------------------- */

struct pattern_set {
    struct arena arena;
    const char ***patterns; /* NULL-terminated segments each */
    size_t count;
    int truncated; /* there were more alternatives than are held */
};
/* Reads * ? [..] {a,b} ** and slashes; without a slash it is any depth's base name. SBX_E_INVALID for what leaves the
 * root. pattern_finish on failure too. */
sbx_status pattern_read(struct border_call *c, struct pattern_set *set, const char *text);
void pattern_finish(struct pattern_set *set);
/* `hidden`: names that begin with a dot are like any other. */
int pattern_matches(const struct pattern_set *set, const char *path, int hidden);
/* Whether anything below this folder could match. */
int pattern_may_enter(const struct pattern_set *set, const char *dir);

#endif /* SBX_HOST_TOOL_H */
