/* SPDX-License-Identifier: MIT
 *
 * client.h - a client of the guest for its tests, which says exactly what it is told to, right or wrong. Failures of
 * the machinery are cmocka failures. Nothing waits longer than 20 s.
 */
#ifndef SBX_TESTS_GUEST_CLIENT_H
#define SBX_TESTS_GUEST_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/buf.h"
#include "guest/wire.h"
#include "sbx_plugin.h"

struct client {
    int fd;
    pid_t pid;
    uint32_t last_id;
    struct buf in;
};
struct message {
    struct buf fields;
};
struct frame {
    struct wire_head head;
    unsigned char payload[WIRE_MAX_PAYLOAD];
};
/* What a whole request came to. */
struct answer {
    int64_t status;
    uint64_t result;
    int64_t exit_code;
    int64_t term_signal;
    uint64_t out_bytes;
    uint64_t count;
    uint64_t next;
    uint64_t offset;
    int64_t pid; /* of STARTED; 0: none came */
    uint64_t type;
    uint64_t mode;
    uint64_t size;
    unsigned replies;
    char name[256]; /* of the last reply */
    char id[65];    /* likewise */
    char message[512];
    struct buf out;
    struct buf err;
};

/* The guest under test: SBX_TEST_GUEST, or the native build. `args` follow "serve --stdio --any-peer"; may be NULL. */
struct client *client_open(const char *const *args);
/* Without the greeting. */
struct client *client_open_raw(const char *const *args);
void client_greet(struct client *c);
/* Closes the connection and expects the guest to end with 0 and to leave no child. */
void client_close(struct client *c);

/* A guest with a listening socket, for many connections: `args` follow "serve --listen-fd N"; ready when it returns. */
struct server {
    pid_t pid;
    int lifeline; /* the write end, or -1 */
    struct buf name;
};
void server_open(struct server *s, const char *const *args);
/* The same as init of a pid namespace with a /proc of its own. -1: not possible here. */
int server_open_init(struct server *s, const char *const *args);
/* A new connection, without the greeting. Its client_close waits for nothing. */
struct client *server_connect(const struct server *s);
/* SIGTERM, and the guest's end as of client_close. */
void server_close(struct server *s);

void message_init(struct message *m, uint64_t op);
void message_text(struct message *m, unsigned tag, const char *text);
void message_bytes(struct message *m, unsigned tag, const void *data, size_t len);
void message_number(struct message *m, unsigned tag, uint64_t value);
/* Sends it as one request and forgets it; the id. */
uint32_t client_request(struct client *c, struct message *m);
/* argv to the NULL. */
void message_argv(struct message *m, const char *const *argv);

void client_send(struct client *c, struct wire_head head, const void *payload);
void client_data(struct client *c, uint32_t id, const void *data, size_t len, int eof);
void client_number(struct client *c, uint32_t id, enum wire_frame type, uint32_t value);
void client_write(struct client *c, const void *data, size_t len);
/* The next frame; 0 at the end of the connection. */
int client_next(struct client *c, struct frame *f);
/* As that, but 0 also when nothing came for ms. */
int client_next_within(struct client *c, struct frame *f, int ms);

/* Gives credit, feeds input (NULL: none) with its end of file, and collects until END. */
void client_wait(struct client *c, uint32_t id, const void *input, size_t len, struct answer *a);
/* Adds what the fields of a frame say. */
void take_fields(const struct frame *f, struct answer *a);
void answer_finish(struct answer *a);
/* Asks for a shell line with these flags of EXEC; a terminal has 24 rows of 80. The id. */
uint32_t client_begin(struct client *c, const char *line, uint64_t flags);
/* A shell line, without input. */
void client_shell(struct client *c, const char *line, struct answer *a);

#define UNIT_TEST(name) cmocka_unit_test_teardown(name, scratch_drop)
/* The group, or the one test that argv[1] names. */
#define RUN_TESTS(name, tests, argc, argv)                                                                             \
    ((argc) > 1 ? cmocka_set_test_filter((argv)[1]) : (void)0, cmocka_run_group_tests_name(name, tests, NULL, NULL))
/* Ends the program with ctest's code for it. */
void skip_test(const char *why) __attribute__((noreturn));

int64_t now_ms(void);
/* This test's directory below TMPDIR: made at the first call, gone with scratch_drop. */
const char *scratch(void);
int scratch_drop(void **state);
/* Whether any process of this machine has `marker` in its command line. */
int process_exists(const char *marker);
/* Waits up to ms for that to be false. */
int process_gone(const char *marker, int ms);

#endif /* SBX_TESTS_GUEST_CLIENT_H */
