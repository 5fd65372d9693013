/* SPDX-License-Identifier: MIT
 *
 * api_transfer.h - one move of bytes between the caller and a sandbox, for files (api_file.c), batches (api_batch.c)
 * and archives (api_tree.c).
 */
#ifndef SBX_HOST_API_TRANSFER_H
#define SBX_HOST_API_TRANSFER_H

#include "host/api.h"
#include "host/op.h"

#define TRANSFER_CAPTURE_LIMIT ((uint64_t)100 << 20) /* of a file kept in memory, unless max_size says otherwise */

struct transfer {
    struct sbx_sandbox *box;
    const char *path;
    struct sbx_transfer_options options;
    struct border_call call;
    struct op_callbacks callbacks;
    struct flow_sink sink;
    struct flow_source source;
    const struct transfer_kind *kind;
    struct sbx_op *op; /* with a thread; or NULL */
};

/* Bytes come out of the sandbox; they may be kept; they are a tar, not a file. */
enum { TRANSFER_OUT = 1u << 16, TRANSFER_CAPTURE = 1u << 17, TRANSFER_TAR = 1u << 18 };
struct transfer_kind {
    const char *verb;
    sbx_status (*run)(struct transfer *t);
    uint32_t flags; /* TRANSFER_*, and the SBX_WRITE_* that may be asked for */
};

/* Checks the caller's options for this kind; `where` names the sandbox, and the item of a batch. */
sbx_status transfer_take(struct transfer *t, const struct transfer_kind *kind, struct sbx_sandbox *box,
                         const char *path, const struct sbx_transfer_options *options, struct sbx_error *error);
/* Sets up t->sink or t->source from the options. */
void transfer_set_sink(struct transfer *t);
void transfer_set_source(struct transfer *t);

/* How to write, from the options; after transfer_set_source. */
void transfer_write_args(const struct transfer *t, struct sbx_write_args *out);

/* The whole call on the caller's thread, or started as an operation. */
sbx_status transfer_inline(const struct transfer_kind *kind, struct sbx_sandbox *box, const char *path,
                           const struct sbx_transfer_options *options, const struct sbx_call_options *call,
                           struct sbx_error *error);
/* `kind` is copied. */
sbx_status transfer_start(const struct transfer_kind *kind, struct sbx_sandbox *box, const char *path,
                          const struct sbx_transfer_options *options, const struct sbx_call_options *call,
                          struct sbx_op **out, struct sbx_error *error);

/* The bodies of reading and writing one file; the call is begun and not ended. */
sbx_status transfer_read(struct transfer *t);
sbx_status transfer_write(struct transfer *t);

#endif /* SBX_HOST_API_TRANSFER_H */
