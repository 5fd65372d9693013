/* SPDX-License-Identifier: MIT
 *
 * record.h - the file that `record = FILE` makes, and what `replay = FILE` reads: a session with a provider.
 *
 *   sbx-record 1
 *   plugin ID
 *   offers CAPABILITY...
 *   call OPERATION SANDBOX WORD...      one call: what was asked
 *   out STREAM DATA, info ..., ...      what was answered, in its order
 *   end STATUS ...                      how it ended
 */
#ifndef SBX_HOST_RECORD_H
#define SBX_HOST_RECORD_H

#include "host/log.h"
#include "host/tape.h"

/* --- record.c --------------------------------------------------------------------------------------------------- */
struct record; /* any thread */
/* Goes on with the file when it holds a session with the same plugin. The file is its owner's alone. `offers`: ids,
 * each behind a blank. */
sbx_status record_open(const char *path, const char *plugin, const char *offers, struct log *log, struct record **out,
                       struct sbx_error *error);
void record_close(struct record *record);
/* Appends the lines of one call, with every known secret masked. What does not fit, or cannot be written, is logged and
 * ends the recording. */
void record_add(struct record *record, struct buf *lines);

/* --- replay.c --------------------------------------------------------------------------------------------------- */
struct replay; /* any thread */
sbx_status replay_open(const char *path, struct replay **out, struct sbx_error *error);
void replay_close(struct replay *replay);
int replay_offers(const struct replay *replay, const char *capability);
/* The answer to a call, OPERATION and the rest of its line; the caller frees it. Each answer is given once, in the
 * order of the file; with may_repeat the last one again and again. NULL: there is none (*error names the call), or no
 * memory.
 */
char *replay_take(struct replay *replay, const char *line, int may_repeat, struct sbx_error *error);

#endif /* SBX_HOST_RECORD_H */
