/* SPDX-License-Identifier: MIT
 *
 * guest_link.h - inside of the guest client: the link's connections. guest_client.h is what plugins use.
 */
#ifndef SBX_COMMON_GUEST_LINK_H
#define SBX_COMMON_GUEST_LINK_H

#include "guest/wire.h"
#include "plugins/common/guest_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
    GUEST_RX_SIZE = 2 * (WIRE_HEADER + WIRE_MAX_PAYLOAD), /* what one connection buffers at most */
    GUEST_HELLO_MS = 10000,                               /* a guest that says nothing for so long is unavailable */
    GUEST_NONCE = 16
};

/* A connection; borrowed by one thread at a time. */
struct guest_conn {
    struct guest_conn *next; /* in the link's idle list */
    int fd;
    int reused;   /* it has served before, so the guest may have closed it since */
    size_t start; /* rx[start..end) is received and not yet taken */
    size_t end;
    unsigned char nonce[GUEST_NONCE]; /* of its greeting */
    unsigned char rx[GUEST_RX_SIZE];
};

struct guest_link {
    sbx_status (*connect)(void *user, struct sbx_call *call, int *fd);
    void *user;
    char *default_user;
    char *workdir;
    char **envs; /* "KEY=VALUE" each */
    size_t env_count;
    uint32_t max_idle;
    _Atomic uint32_t last_id;
    pthread_mutex_t lock; /* guards those below */
    struct guest_conn *idle;
    uint32_t idle_count;
    struct guest_conn *greeted; /* the answer is still to come */
};

/* An idle connection or a new one that has been greeted. */
sbx_status guest_link_borrow(struct guest_link *link, struct sbx_call *call, struct guest_conn **out);
/* Keeps the connection for the next borrower, or closes it: when enough are kept, or it holds bytes nobody asked for.
 */
void guest_link_give_back(struct guest_link *link, struct guest_conn *conn);
/* A connection ended in the middle of a request: asks whether the guest is still there. Answers SBX_E_GONE when
 * connecting says so, else SBX_E_UNKNOWN; the error is filled. Takes at most a second. */
sbx_status guest_link_lost(struct guest_link *link, struct sbx_call *call, const char *what);
/* A request id that no request in flight on this link has. */
uint32_t guest_link_next_id(struct guest_link *link);

void guest_conn_close(struct guest_conn *conn);
enum guest_input { GUEST_INPUT_SOME, GUEST_INPUT_NONE, GUEST_INPUT_END };
/* Receives what is there; never blocks. END: no more will come. */
enum guest_input guest_conn_fill(struct guest_conn *conn);
/* 1: the next whole frame; its payload stays until the next fill. 0: not there yet. -1: no frame of this protocol. */
int guest_conn_next(struct guest_conn *conn, struct wire_head *head, const unsigned char **payload);
/* Sends what fits now; answers the bytes sent, or -1 when the other side is gone. Never blocks, raises no signal. */
ssize_t guest_conn_send(struct guest_conn *conn, const void *data, size_t len);

#endif /* SBX_COMMON_GUEST_LINK_H */
