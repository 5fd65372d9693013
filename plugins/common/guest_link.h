/* SPDX-License-Identifier: MIT
 *
 * guest_link.h - inside of the guest client: the link's connections. guest_client.h is what plugins use.
 */
#ifndef SBX_COMMON_GUEST_LINK_H
#define SBX_COMMON_GUEST_LINK_H

#include "plugins/common/guest_conn.h"

#include <stdatomic.h>

/* A call that waits for another one to make a connection that both can use. */
struct guest_waiter {
    struct guest_waiter *next;
    int wake_fd;
    int done;
    sbx_status status; /* SBX_OK: look again */
    struct sbx_error error;
};

struct guest_link {
    sbx_status (*connect)(void *user, struct sbx_call *call, int *fd);
    sbx_status (*open)(void *user, struct sbx_call *call, struct guest_stream *stream);
    sbx_status (*why_silent)(void *user, struct sbx_call *call);
    void *user;
    char *default_user;
    char *workdir;
    char **envs; /* "KEY=VALUE" each */
    size_t env_count;
    uint32_t max_idle;
    uint32_t share;
    _Atomic uint32_t last_id;
    pid_t owner;             /* the process whose connections these are: a forked copy makes its own */
    pthread_mutex_t lock;    /* guards what follows; taken before a connection's own */
    struct guest_conn *idle; /* idle ones; where connections are shared those in use, too */
    uint32_t idle_count;     /* that nobody uses */
    int opening;             /* a call makes a connection to be shared */
    struct guest_waiter *waiters;
    struct guest_conn *greeted; /* the answer is still to come */
};

/* In a copy of the process: lets go of its parent's connections without a word on them. Call it with the link locked.
 */
void guest_link_claim(struct guest_link *link);
/* A connection of one's own or one to share, greeted and joined. */
sbx_status guest_link_borrow(struct guest_link *link, struct sbx_call *call, struct guest_slot *slot,
                             struct guest_conn **out);
/* Leaves the connection and keeps it for the next borrower, or closes it when nobody uses it: when enough are kept, or
 * something unexpected happened on it. */
void guest_link_give_back(struct guest_link *link, struct guest_conn *conn, struct guest_slot *slot,
                          enum guest_leave how);
/* A connection ended in the middle of a request: asks whether the guest is still there. Answers SBX_E_GONE when
 * connecting says so, else SBX_E_UNKNOWN; the error is filled. Takes at most a second. */
sbx_status guest_link_lost(struct guest_link *link, struct sbx_call *call, const char *what);
/* A request id that no request in flight on this link has. */
uint32_t guest_link_next_id(struct guest_link *link);

/* When a guest that says nothing is given up. */
struct guest_patience {
    int64_t until_ns; /* 0: at the call's deadline alone */
    int64_t greet_ns; /* > 0: so long after the connection was made, instead */
};
/* A new connection that has been greeted. */
sbx_status guest_link_connect(struct guest_link *link, struct sbx_call *call, const struct guest_patience *patience,
                              struct guest_conn **out);

#endif /* SBX_COMMON_GUEST_LINK_H */
