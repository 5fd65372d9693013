/* SPDX-License-Identifier: MIT
 *
 * callers.h - calls in threads of their own on one link, and how a script and its test wait for each other.
 */
#ifndef SBX_TESTS_COMMON_CALLERS_H
#define SBX_TESTS_COMMON_CALLERS_H

#include "tests/common/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MS INT64_C(1000000)
enum { CALLS = 16, SHARE = 64 };

struct caller {
    struct run run;
    struct guest_link *link;
    const char *argv[3];
    char name[16];
    int times;
    sbx_status status;
    int64_t took_ns;
    pthread_t thread;
};

static inline void *call_it(void *user)
{
    struct caller *c = user;
    int64_t start = clock_now_ns();
    for (int i = 0; i < c->times && c->status == SBX_OK; i++)
        c->status = run_on(&c->run, c->link);
    c->took_ns = clock_now_ns() - start;
    return NULL;
}

static inline void caller_init(struct caller *c, struct guest_link *link, int number)
{
    memset(c, 0, sizeof *c);
    run_init(&c->run);
    (void)snprintf(c->name, sizeof c->name, "call-%d", number);
    c->argv[0] = c->name;
    c->run.args.argv = c->argv;
    c->link = link;
    c->times = 1;
}

static inline void caller_start(struct caller *c)
{
    assert_int_equal(pthread_create(&c->thread, NULL, call_it, c), 0);
}

static inline void caller_join(struct caller *c)
{
    assert_int_equal(pthread_join(c->thread, NULL), 0);
}

/* What a script and its test tell each other. */
struct stage {
    int in[2];  /* the script waits here for the test */
    int out[2]; /* and the test here for the script */
};

static inline void stage_open(struct stage *s)
{
    assert_int_equal(pipe2(s->in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(s->out, O_CLOEXEC), 0);
}

static inline void stage_close(struct stage *s)
{
    for (int i = 0; i < 2; i++) {
        (void)close(s->in[i]);
        (void)close(s->out[i]);
    }
}

static inline void tell(const int *pipe)
{
    (void)!write(pipe[1], "x", 1);
}

static inline void hear(const int *pipe)
{
    char byte;
    (void)!read(pipe[0], &byte, 1);
}

static inline void answer_as(struct fake_conn *c, uint32_t id, const char *text, uint64_t code)
{
    c->id = id;
    fake_frame(c, FRAME_DATA, 0, STREAM_OUT, text, strlen(text));
    fake_exited(c, code);
}

static const struct guest_link_options shared = {.share = SHARE};

#endif /* SBX_TESTS_COMMON_CALLERS_H */
