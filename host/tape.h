/* SPDX-License-Identifier: MIT
 *
 * tape.h - the words of a recording: lines of text whose words stand apart by one blank each. Bytes that are no visible
 * ASCII, and '%', are written as %XX, no bytes as '%' and NULL as '-'.
 */
#ifndef SBX_HOST_TAPE_H
#define SBX_HOST_TAPE_H

#include "base/buf.h"
#include "sbx_plugin.h"

enum { TAPE_VERSION = 1, TAPE_MAX_BYTES = 64 << 20, TAPE_KVS_MAX = 256 };

/* A blank and the word; a buffer that fails stays failed. */
void tape_put_data(struct buf *line, const void *data, size_t len);
void tape_put_text(struct buf *line, const char *text);
/* Goes on with the word that stands at the end. */
void tape_put_more(struct buf *line, const void *data, size_t len);
void tape_put_number(struct buf *line, int64_t number);
/* Labels but those of the host's own, which begin with "sbx.". */
void tape_put_labels(struct buf *line, const struct sbx_kvs *labels);

/* What is left of a line; words are decoded in place. Each answers 0, or -1 when there is no such word. */
struct tape_words {
    char *at;
};
int tape_data(struct tape_words *words, char **data, size_t *len);
/* No NUL within; *text may become NULL. */
int tape_text(struct tape_words *words, const char **text);
int tape_number(struct tape_words *words, int64_t *number);
/* A number that fits into 32 bits. */
int tape_word32(struct tape_words *words, uint32_t *number);
/* Pairs up to the line's end, at most TAPE_KVS_MAX. */
int tape_labels(struct tape_words *words, struct sbx_kv items[TAPE_KVS_MAX], struct sbx_kvs *out);

/* Whether a word stands in a text in which each has a blank before it. */
int tape_has(const char *words, const char *word);

/* --- tape_struct.c: the ABI's structs, as the words behind a line's first one ------------------------------------- */
void tape_put_info(struct buf *line, const struct sbx_info *info);
void tape_put_stat(struct buf *line, const struct sbx_file_stat *stat);
void tape_put_result(struct buf *line, const struct sbx_exec_result *result);
void tape_put_job(struct buf *line, const struct sbx_job_info *job);
void tape_put_snapshot(struct buf *line, const struct sbx_snapshot *snapshot);
void tape_put_error(struct buf *line, sbx_status status, const struct sbx_error *error);
/* Texts point into the line, labels into items. */
int tape_info(struct tape_words *words, struct sbx_kv items[TAPE_KVS_MAX], struct sbx_info *out);
int tape_stat(struct tape_words *words, struct sbx_file_stat *out);
int tape_result(struct tape_words *words, struct sbx_exec_result *out);
int tape_job(struct tape_words *words, struct sbx_job_info *out);
int tape_snapshot(struct tape_words *words, struct sbx_kv items[TAPE_KVS_MAX], struct sbx_snapshot *out);
int tape_error(struct tape_words *words, sbx_status *status, struct sbx_error *out);

#endif /* SBX_HOST_TAPE_H */
