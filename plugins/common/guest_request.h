/* SPDX-License-Identifier: MIT
 *
 * guest_request.h - inside of the guest client: one request, from its fields to its END. Every operation is this engine
 * with other fields, other streams and another reader of replies.
 *
 * begin, add fields, set the streams, run, look at `end` and the counts, finish.
 */
#ifndef SBX_COMMON_GUEST_REQUEST_H
#define SBX_COMMON_GUEST_REQUEST_H

#include "base/buf.h"
#include "plugins/common/guest_link.h"

/* What the guest is sent on stdin. */
struct guest_feed {
    struct sbx_source source;
    int wanted;      /* the request has an input at all */
    int eager;       /* the source is a file's: its first bytes may travel with the request */
    int eof;         /* the end has been sent, or put into tx */
    uint32_t credit; /* bytes the guest takes now */
    uint64_t sent;
    uint64_t length; /* what the source must give; UINT64_MAX: whatever it has */
};

/* What the guest sends on one stream. */
struct guest_flow {
    struct sbx_sink sink; /* write may be NULL: counted only */
    int wanted;           /* the request has this output at all */
    int eof;
    int tells_end;      /* the sink gets a write of no bytes at the stream's end */
    uint32_t credit;    /* bytes the guest may send now */
    uint32_t owed;      /* bytes passed on, not yet given back as credit */
    uint64_t max;       /* bytes for the sink; 0: all */
    uint64_t delivered; /* bytes the sink has had */
    uint64_t total;     /* bytes that came */
    uint64_t limit;     /* more than so many is a lie; UINT64_MAX: any number */
};

/* What the END frame said; all of it already in range. */
struct guest_end {
    sbx_status status;
    int unavailable; /* it said so: that is for an operation to believe that has a meaning for it */
    int32_t os_errno;
    uint32_t result; /* SBX_EXITED ... */
    int32_t exit_code;
    int32_t term_signal;
    int has_bytes; /* out_bytes and err_bytes were there */
    uint64_t out_bytes;
    uint64_t err_bytes;
    uint64_t first_kept; /* of a job's output, where it was asked for what is gone */
    char message[416];
};

struct guest_request {
    struct guest_link *link;
    struct sbx_call *call;
    const char *what; /* "exec": how messages begin */
    uint32_t id;
    struct guest_slot slot;
    struct buf tx; /* whole frames; tx.data[tx_off..tx.len) is still to be sent */
    size_t tx_off;
    size_t head;    /* where the open REQUEST frame begins in tx */
    size_t payload; /* bytes of fields so far */
    int sent;       /* a first byte is on its way */

    struct guest_feed in;
    struct guest_flow out[2]; /* stdout, stderr */
    struct sbx_tty tty;       /* next may be NULL: none */
    /* [inside] the fields of one REPLY; NULL: none is expected. Not SBX_OK, with the error filled, cancels. */
    sbx_status (*reply)(struct guest_request *r, const unsigned char *fields, size_t len);
    void *user;
    int can_start;           /* a STARTED may come */
    int patience_from_start; /* it counts from STARTED */
    int64_t patience_ns;     /* > 0: the guest itself ends the request within so long; then it is given up as unknown */

    int started;      /* STARTED has come */
    int answered;     /* a REPLY or DATA has come */
    int cancel_sent;  /* CANCEL is in tx, or was */
    sbx_status why;   /* why the request is cancelled, its error filled; SBX_OK: it is not */
    int64_t until_ns; /* when waiting ends: patience, or the grace after CANCEL; 0: never */
    int stale;        /* a connection that served before turned out to be closed; nothing was sent */
    int dead;         /* nothing more can be sent; what came before may still be read */
    int lost;         /* nothing more will come */
    int broken;       /* the guest cannot be trusted: the connection is of no further use */
    int over;         /* waiting is over without an END */
    int ended;        /* END came */
    struct guest_end end;
};

/* Storage you have. `what` and `call` are lent until finish. */
void guest_request_begin(struct guest_request *r, struct guest_link *link, struct sbx_call *call, const char *what,
                         enum wire_op op);
void guest_request_finish(struct guest_request *r);
#define CLEANUP_REQUEST CLEANUP(guest_request_finish)

/* Fields; what does not fit shows at run. */
void guest_request_number(struct guest_request *r, enum wire_field tag, uint64_t value);
void guest_request_bytes(struct guest_request *r, enum wire_field tag, const void *data, size_t len);
void guest_request_text(struct guest_request *r, enum wire_field tag, const char *text);
/* A path, under the link's working directory when it is relative. SBX_E_INVALID, error filled, when it is empty. */
sbx_status guest_request_path(struct guest_request *r, enum wire_field tag, const char *path);
/* `user`, or the link's default, if there is any. */
void guest_request_user(struct guest_request *r, const char *user);

/* The streams; NULL is allowed: input ends at once, output is counted. Not SBX_OK: unknown flags, or no function. */
sbx_status guest_request_feed(struct guest_request *r, const struct sbx_source *in);
sbx_status guest_request_drain(struct guest_request *r, int stream, const struct sbx_sink *out);

/* Sends, serves the streams and waits for END. SBX_OK: END said so. Else the error is filled; r->ended tells whether an
 * END came all the same. */
sbx_status guest_request_run(struct guest_request *r);
/* The guest broke the protocol: SBX_E_PROTOCOL, with the error filled; the connection is given up. */
sbx_status guest_request_nonsense(struct guest_request *r, const char *detail);
/* Cancels the request because of `why`, whose error is filled; the first reason stays. */
void guest_request_cancel(struct guest_request *r, sbx_status why);
/* Takes one frame of this connection into account; see guest_frame.c. */
void guest_frame_take(struct guest_request *r, const struct wire_head *head, const unsigned char *payload);
/* Time that passes in the host's callbacks is not the guest's: between enter and leave the patience stands still. */
int64_t guest_request_enter(const struct guest_request *r);
void guest_request_leave(struct guest_request *r, int64_t entered_ns);

#endif /* SBX_COMMON_GUEST_REQUEST_H */
