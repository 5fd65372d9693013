/* SPDX-License-Identifier: MIT
 *
 * fake_guest.h - the other end of a link, played by a thread: each connection runs a script that says what the test
 * wants, true or not.
 */
#ifndef SBX_TESTS_COMMON_FAKE_GUEST_H
#define SBX_TESTS_COMMON_FAKE_GUEST_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "guest/wire.h"
#include "plugins/common/guest_client.h"

#include <pthread.h>

enum { FAKE_MAX = 64 };

struct fake_conn {
    struct fake_guest *fake;
    int fd;
    int number; /* 0 for the first connection */
    pthread_t thread;
    uint32_t id;        /* of the last request read */
    uint32_t op;        /* its operation */
    struct buf request; /* its joined fields */
};

struct fake_guest {
    void (*script)(struct fake_conn *c, void *user); /* from after the greeting; the end closes the connection */
    void *user;
    int no_greeting; /* the script does that, too */
    int narrow;      /* the client's socket takes little at once, so that it is soon stuck with what is not read */
    int max;         /* connections that can be made; the next is SBX_E_GONE. 0: FAKE_MAX */
    int made;
    pthread_mutex_t lock;
    struct fake_conn conns[FAKE_MAX];
    struct guest_link *link;
};

/* A link to a guest that runs `script` on each connection. `options` may be NULL. */
void fake_start(struct fake_guest *fake, void (*script)(struct fake_conn *c, void *user), void *user,
                const struct guest_link_options *options);
/* How many requests share a connection where a test leaves it open: SBX_TEST_SHARE. */
uint32_t fake_share(void);
/* Closes the link and waits for the threads. */
void fake_stop(struct fake_guest *fake);

/* For scripts. Reads one whole frame; 0, or -1 when the client is gone. */
int fake_read(struct fake_conn *c, struct wire_head *head, unsigned char *payload);
/* Reads a request, up to its last REQUEST frame; 0, or -1 when the client is gone. */
int fake_request(struct fake_conn *c);
/* Reads and drops frames until one of this type; 0, or -1. */
int fake_until(struct fake_conn *c, enum wire_frame type);
/* Writes whole frames of the last request. A client that is gone is none of the script's business. */
void fake_frame(struct fake_conn *c, enum wire_frame type, uint8_t flags, uint8_t stream, const void *data, size_t len);
void fake_bytes(struct fake_conn *c, const void *data, size_t len);
/* The number, or the text, in a field of the request; fails the process when it is not there. */
uint64_t fake_number(const struct fake_conn *c, enum wire_field tag);
int fake_has(const struct fake_conn *c, enum wire_field tag);
/* Copies the index-th field of this tag as a text; "(none)" when it is not there. */
void fake_text(const struct fake_conn *c, enum wire_field tag, int index, char *out, size_t cap);

/* Building payloads. */
void fields_number(struct buf *b, enum wire_field tag, uint64_t value);
void fields_bytes(struct buf *b, enum wire_field tag, const void *data, size_t len);
/* END with this status and nothing else; END of a command that exited. */
void fake_end(struct fake_conn *c, int64_t status);
void fake_exited(struct fake_conn *c, uint64_t code);

/* A sink that keeps what it gets. */
struct kept {
    struct sbx_sink sink;
    struct buf data;
    int stop_after; /* > 0: that write asks to stop */
    int writes;
};
void kept_init(struct kept *k);
void kept_finish(struct kept *k);

/* A source over memory; without a descriptor. */
struct given {
    struct sbx_source source;
    const char *data;
    size_t len;
    size_t piece; /* at most so many bytes a read; 0: any */
    int stop;     /* read answers -1 once the data is used up */
};
void given_init(struct given *g, const void *data, size_t len);

#endif /* SBX_TESTS_COMMON_FAKE_GUEST_H */
