/* SPDX-License-Identifier: MIT
 *
 * guest_conn.h - inside of the guest client: one connection to the guest and the requests that use it.
 *
 * A connection serves one request at a time, or many that share it. No thread belongs to it: of the calls that wait on
 * a shared connection one is the reader at a time. It hands each frame to the request that it is for, wakes who has
 * got something, and passes the reading on before it does anything of its own. A request holds at most what it gave
 * credit for, so one that does not take its output never keeps the others from theirs.
 *
 * join, then in a loop send, watch, poll, attend, next; at last leave.
 */
#ifndef SBX_COMMON_GUEST_CONN_H
#define SBX_COMMON_GUEST_CONN_H

#include "base/buf.h"
#include "guest/wire.h"
#include "plugins/common/guest_client.h"

#include <pthread.h>
#include <sys/types.h>

enum {
    GUEST_RX_SIZE = 2 * (WIRE_HEADER + WIRE_MAX_PAYLOAD), /* what one connection buffers at most */
    GUEST_SHARE_MAX = WIRE_MAX_REQUESTS,                  /* requests on one connection, the abandoned included */
    GUEST_NONCE = 16
};

/* What came for one request on a shared connection. Its streams are kept apart: their order to each other, and to
 * STARTED, means nothing. */
struct guest_inbox {
    struct buf control; /* STARTED, REPLY and what makes no sense: whole frames */
    struct buf data[2]; /* OUT and ERR: bytes */
    int eof[2];
    struct buf end; /* END: the whole frame */
    uint32_t credit;
};

/* A request's place on a connection. */
struct guest_slot {
    struct guest_slot *next;
    uint32_t id;
    int reused;     /* the connection has served before, so the guest may have closed it since */
    int wants_line; /* written by its owner alone: it is to be told when more can be sent */
    int wake_fd;    /* an eventfd, made when it is first needed */
    int waiting;    /* the owner polls wake_fd */
    int woken;      /* wake_fd is readable */
    int ended;      /* END came */
    int starved;    /* there was no memory for what came */
    int eof[2];
    struct guest_inbox in;  /* filled by whoever reads */
    struct guest_inbox got; /* being taken by the owner, without the lock */
    size_t taken;           /* of got.control */
    unsigned char credit[4];
};

/* A request that was given up before its END. */
struct guest_left {
    uint32_t id;
    size_t budget; /* bytes that may still come for it */
};

struct guest_conn {
    struct guest_conn *next; /* the link's */
    struct guest_stream io;
    uint32_t share;       /* requests at a time; 1: it is not shared */
    pthread_mutex_t lock; /* guards what follows */
    int served;           /* a request has used it before */
    int hides;            /* bytes may be there that polling io.fd does not show */
    int drained;          /* the last read found nothing */
    int choked;           /* the last write came short; POLLOUT will tell */
    int deaf;             /* nothing can be sent any more; what was sent before may still be answered */
    int ended;            /* nothing more will come */
    const char *lie;      /* why: the guest sent this */
    struct buf line;      /* what goes first: the rest of a frame, CANCEL of those who left */
    struct guest_slot *slots;
    const struct guest_slot *reader; /* NULL: nobody waits */
    uint32_t slot_count;
    uint32_t left_count;
    struct guest_left left[GUEST_SHARE_MAX];
    size_t start; /* rx[start..end) is received and not yet taken */
    size_t end;
    unsigned char nonce[GUEST_NONCE]; /* of its greeting */
    unsigned char rx[GUEST_RX_SIZE];
};

/* Takes the stream over, also when it fails. `io->read` NULL: io->fd is a socket. NULL: no memory. */
struct guest_conn *guest_conn_open(const struct guest_stream *io, uint32_t share);
void guest_conn_close(struct guest_conn *conn);
/* In a forked copy of the process that opened it: the descriptor is closed, and nothing is said. What a stream other
 * than a socket holds besides stays: giving it back could take leave in the parent's name. NULL: nothing. */
void guest_conn_abandon(struct guest_conn *conn);

/* For who has the connection to himself. */
enum guest_input { GUEST_INPUT_SOME, GUEST_INPUT_NONE, GUEST_INPUT_END };
/* Receives what is there; never blocks. END: no more will come. */
enum guest_input guest_conn_fill(struct guest_conn *conn);
/* 1: the next whole frame; its payload stays until the next fill. 0: not there yet. -1: no frame of this protocol. */
int guest_conn_frame(struct guest_conn *conn, struct wire_head *head, const unsigned char **payload);
/* Sends what fits now; answers the bytes sent, or -1 when the other side is gone. Never blocks, raises no signal. */
ssize_t guest_conn_write(struct guest_conn *conn, const void *data, size_t len);

/* Storage you have. */
void guest_slot_init(struct guest_slot *slot, uint32_t id);
void guest_slot_finish(struct guest_slot *slot);
/* 0; -1 with errno. */
int guest_wake_open(int *fd);
void guest_wake(int fd);

/* 0, or -1 when the connection is full or of no further use. */
int guest_conn_join(struct guest_conn *conn, struct guest_slot *slot);
enum guest_leave {
    GUEST_LEAVE_ENDED, /* END came, or nothing was sent */
    GUEST_LEAVE_EARLY, /* what still comes for it is dropped, up to its END; it is cancelled */
    GUEST_LEAVE_BROKEN /* the guest cannot be trusted: nobody shall use the connection any more */
};
void guest_conn_leave(struct guest_conn *conn, struct guest_slot *slot, enum guest_leave how);
/* Sends of these whole frames what fits now, and answers how many bytes were taken: always whole frames. -1: nothing
 * can be sent any more. wants_line then says whether the line is choked. */
ssize_t guest_conn_send(struct guest_conn *conn, struct guest_slot *slot, const void *frames, size_t len);
/* What to poll for. 1: something can be done at once. -1: it cannot be waited for, with errno. */
int guest_conn_watch(struct guest_conn *conn, struct guest_slot *slot, struct pollfd *fd);
/* After each poll, with what it told (0: nothing). END: no frame will come behind those that are there. */
enum guest_input guest_conn_attend(struct guest_conn *conn, struct guest_slot *slot, short revents);
/* Before anything that may take long: somebody else reads. */
void guest_conn_yield(struct guest_conn *conn, const struct guest_slot *slot);
/* As guest_conn_frame, of frames for this request; the payload stays until the next call. -1: *lie says what the guest
 * sent; NULL: there was no memory for it. */
int guest_conn_next(struct guest_conn *conn, struct guest_slot *slot, struct wire_head *head,
                    const unsigned char **payload, const char **lie);

#endif /* SBX_COMMON_GUEST_CONN_H */
