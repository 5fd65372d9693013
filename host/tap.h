/* SPDX-License-Identifier: MIT
 *
 * tap.h - a provider behind `record`, `replay` or `fault`: it looks like any other to the rest of libsbx. Every slot
 * makes one tap_op, which knows what was asked, spoils it where a rule says so, and writes down or plays the answer.
 */
#ifndef SBX_HOST_TAP_H
#define SBX_HOST_TAP_H

#include "host/config.h"
#include "host/fault.h"
#include "host/loader.h"
#include "host/record.h"

/* Puts itself between the host and an open backend, which it owns on success. With `replay` there is neither: both are
 * NULL. *out is what the host uses from now on; close gives everything back. */
sbx_status tap_open(const struct config_instance *config, struct log *log, const struct loader_plugin *plugin,
                    struct sbx_backend *inner, const struct loader_plugin **out, struct sbx_backend **backend,
                    struct sbx_error *error);
/* 1 when the section asks for any of it. */
int tap_is_wanted(const struct config_instance *config);

/* --- for tap*.c alone ------------------------------------------------------------------------------------------- */

struct sbx_backend {
    struct loader_plugin plugin; /* what the host sees */
    const struct loader_plugin *theirs;
    struct sbx_backend *inner;
    struct log *log;
    struct record *record; /* each may be NULL */
    struct replay *replay;
    struct faults *faults;
};
struct sbx_handle {
    struct sbx_backend *b;
    struct sbx_handle *inner; /* NULL in a replay */
    char *supports;           /* in a replay: ids, each behind a blank */
    char id[SBX_ID_SIZE];
};

struct tap_op;
struct tap_stream {
    struct tap_op *op;
    int number;
    struct sbx_sink theirs, mine;
};
struct tap_op {
    struct sbx_backend *b;
    struct sbx_call *call;
    const char *operation;
    struct buf line;  /* OPERATION SANDBOX WORD... */
    struct buf lines; /* of the answer */
    int stream;       /* whose `out` line is open */
    struct fault fault;
    int64_t left; /* bytes until the cut */
    int is_cut;
    struct tap_stream streams[2];
    struct sbx_source source_theirs, source_mine;
    /* where an answer goes; those that the operation has */
    const struct sbx_sink *out[2];
    const struct sbx_source *in;
    const struct sbx_info_sink *infos;
    const struct sbx_entry_sink *entries;
    const struct sbx_job_sink *jobs;
    const struct sbx_snapshot_sink *snapshots;
    struct sbx_exec_result *result;
    struct sbx_job_info *job;
    struct sbx_file_stat *stat;
    uint64_t *next;
    /* of a new handle, in a replay */
    char box[SBX_ID_SIZE];
    char *supports;
};
void tap_begin(struct tap_op *op, struct sbx_backend *b, const struct sbx_handle *h, struct sbx_call *call,
               const char *operation);
/* Words of what is asked; NULL and 0 are left out. */
void tap_word(struct tap_op *op, const char *key, const char *text);
void tap_count(struct tap_op *op, const char *key, uint64_t number);
void tap_put_exec(struct tap_op *op, const struct sbx_exec_args *args);
/* Faults that come before the call. SBX_OK: go on. */
sbx_status tap_enter(struct tap_op *op);
/* Faults that come after it, and the record. Answers the status. */
sbx_status tap_leave(struct tap_op *op, sbx_status status);
/* What the provider is given in place of a sink or source; NULL stays NULL. */
const struct sbx_sink *tap_sink(struct tap_op *op, int number, const struct sbx_sink *theirs);
const struct sbx_source *tap_source(struct tap_op *op, const struct sbx_source *theirs);
struct sbx_info_sink tap_infos(struct tap_op *op, const struct sbx_info_sink *theirs);
/* A line of the answer, when there is a record: NULL otherwise. tap_line_end ends it. */
struct buf *tap_line(struct tap_op *op, const char *word);
void tap_line_end(struct tap_op *op);
/* tap_play.c: the recorded answer. */
sbx_status tap_play(struct tap_op *op);
/* tap_more.c: the table of a capability. */
const void *tap_table(const char *id);

/* Between tap_begin and the end of the slot; `answer` is the provider's expression. */
#define TAP_CALL(op, answer)                                                                                           \
    do {                                                                                                               \
        sbx_status entered_ = tap_enter(op);                                                                           \
        if (entered_ == SBX_OK)                                                                                        \
            entered_ = (op)->b->replay != NULL ? tap_play(op) : (answer);                                              \
        return tap_leave((op), entered_);                                                                              \
    } while (0)

/* The provider's table of a capability; it is there, since the host asked for ours. */
#define TAP_INNER(b, id, type) ((const struct type *)(b)->theirs->backend.get_extension((b)->inner, (id)))

#endif /* SBX_HOST_TAP_H */
