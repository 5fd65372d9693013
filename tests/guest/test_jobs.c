/* SPDX-License-Identifier: MIT
 *
 * test_jobs.c - commands that belong to the sandbox: output from an offset, input in pieces, ends told many times.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/guest/client.h"

static const char *marker(void)
{
    static char text[64];
    static unsigned count;
    (void)snprintf(text, sizeof text, "97%07d.%03u", (int)getpid(), ++count);
    return text;
}

static uint32_t ask_start(struct client *c, const char *id, const char *line, const char *arg, uint64_t flags,
                          uint64_t kept)
{
    struct message m;
    message_init(&m, OP_JOB_START);
    message_argv(&m, (const char *const[]){"/bin/sh", "-c", line, "sh", arg == NULL ? "" : arg, NULL});
    if (id != NULL)
        message_text(&m, F_ID, id);
    message_number(&m, F_FLAGS, flags);
    if (kept > 0)
        message_number(&m, F_LIMIT, kept);
    return client_request(c, &m);
}

static void start(struct client *c, const char *id, const char *line, const char *arg, uint64_t flags)
{
    struct answer a;
    client_wait(c, ask_start(c, id, line, arg, flags, 0), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.replies, 1);
    assert_true(a.pid > 0);
    assert_string_equal(a.id, id);
    answer_finish(&a);
}

static uint32_t ask(struct client *c, uint64_t op, const char *id)
{
    struct message m;
    message_init(&m, op);
    if (id != NULL)
        message_text(&m, F_ID, id);
    return client_request(c, &m);
}

static int64_t tell(struct client *c, uint64_t op, const char *id)
{
    struct answer a;
    client_wait(c, ask(c, op, id), NULL, 0, &a);
    answer_finish(&a);
    return a.status;
}

static void expect_end(struct client *c, const char *id, uint64_t result, int64_t code)
{
    struct answer a;
    client_wait(c, ask(c, OP_JOB_WAIT, id), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.result, result);
    assert_int_equal(a.exit_code, code);
    answer_finish(&a);
}

static uint32_t ask_output(struct client *c, const char *id, uint64_t stream, uint64_t offset, uint64_t flags)
{
    struct message m;
    message_init(&m, OP_JOB_OUTPUT);
    message_text(&m, F_ID, id);
    message_number(&m, F_STREAM, stream);
    message_number(&m, F_OFFSET, offset);
    message_number(&m, F_FLAGS, flags);
    return client_request(c, &m);
}

static void output(struct client *c, const char *id, uint64_t stream, uint64_t offset, uint64_t flags, struct answer *a)
{
    client_wait(c, ask_output(c, id, stream, offset, flags), NULL, 0, a);
}

/* A file that says "go on", and making it. */
static const char *scratch_flag(void)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/flag", scratch());
    return path;
}

static void raise_flag(void)
{
    FILE *f = fopen(scratch_flag(), "we");
    assert_non_null(f);
    (void)fclose(f);
}

/* Asks until the output from that offset is `want`. */
static void await_output(struct client *c, const char *id, uint64_t offset, const char *want)
{
    for (int64_t until = now_ms() + 10000;; (void)usleep(10000)) {
        struct answer a;
        output(c, id, STREAM_OUT, offset, 0, &a);
        int there = a.out.len == strlen(want) && memcmp(a.out.data, want, a.out.len) == 0;
        answer_finish(&a);
        if (there)
            return;
        assert_true(now_ms() < until);
    }
}

static int64_t feed(struct client *c, const char *id, const char *data, size_t len, uint64_t flags)
{
    struct message m;
    struct answer a;
    message_init(&m, OP_JOB_FEED);
    message_text(&m, F_ID, id);
    message_number(&m, F_FLAGS, flags);
    client_wait(c, client_request(c, &m), data, len, &a);
    answer_finish(&a);
    return a.status;
}

static void a_job_tells_its_end_any_number_of_times(void **state)
{
    struct client *c = client_open(NULL);
    (void)state;
    start(c, "one", "sleep 0.1; exit 7", NULL, 0);
    for (int i = 0; i < 3; i++)
        expect_end(c, "one", SBX_EXITED, 7);
    start(c, "two", "kill -9 $$", NULL, 0);
    expect_end(c, "two", SBX_SIGNALLED, 137);
    assert_int_equal(tell(c, OP_JOB_WAIT, "three"), SBX_E_NOT_FOUND);
    client_close(c);
}

static void a_job_without_a_wanted_id_gets_one(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    char first[65];
    (void)state;
    client_wait(c, ask_start(c, NULL, "true", NULL, 0, 0), NULL, 0, &a);
    assert_true(a.id[0] != '\0');
    memcpy(first, a.id, sizeof first);
    answer_finish(&a);
    client_wait(c, ask_start(c, NULL, "true", NULL, 0, 0), NULL, 0, &a);
    assert_true(strcmp(first, a.id) != 0);
    answer_finish(&a);
    client_wait(c, ask_start(c, first, "true", NULL, 0, 0), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_EXISTS);
    answer_finish(&a);
    client_wait(c, ask_start(c, "a b", "true", NULL, 0, 0), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_INVALID);
    answer_finish(&a);
    client_close(c);
}

static void a_job_that_cannot_be_executed_ends_so(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_JOB_START);
    message_text(&m, F_ARG, "/no/such/program");
    message_text(&m, F_ID, "x");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.pid, 0);
    answer_finish(&a);
    expect_end(c, "x", SBX_EXITED | SBX_NOT_STARTED, 127);
    message_init(&m, OP_JOB_START);
    message_text(&m, F_ARG, "true");
    message_text(&m, F_ID, "y");
    message_text(&m, F_CWD, "/no/such/dir");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_NOT_FOUND);
    assert_string_equal(a.message, "no such directory '/no/such/dir'");
    answer_finish(&a);
    assert_int_equal(tell(c, OP_JOB_INFO, "y"), SBX_E_NOT_FOUND);
    client_close(c);
}

static void output_comes_from_any_offset_and_follows(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    start(c, "j", "printf 'a\\000b'; printf err >&2; sleep 0.3; printf cd", NULL, 0);
    output(c, "j", STREAM_OUT, 0, JOB_FOLLOW, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.out.len, 5);
    assert_memory_equal(a.out.data, "a\0bcd", 5);
    assert_int_equal(a.next, 5);
    answer_finish(&a);
    for (uint64_t at = 0; at <= 5; at++) {
        output(c, "j", STREAM_OUT, at, 0, &a);
        assert_int_equal(a.out.len, 5 - at);
        assert_int_equal(a.next, 5);
        answer_finish(&a);
    }
    output(c, "j", STREAM_ERR, 0, 0, &a);
    assert_string_equal(a.out.data, "err");
    answer_finish(&a);
    output(c, "j", STREAM_OUT, 6, 0, &a);
    assert_int_equal(a.status, SBX_E_INVALID);
    answer_finish(&a);
    output(c, "j", 3, 0, 0, &a);
    assert_int_equal(a.status, SBX_E_INVALID);
    answer_finish(&a);
    client_close(c);
}

static void nobody_reading_never_slows_a_job(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    client_wait(c, ask_start(c, "j", "head -c 3000000 /dev/zero | tr '\\0' x; printf end", NULL, 0, 100000), NULL, 0,
                &a);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    client_wait(c, ask(c, OP_JOB_WAIT, "j"), NULL, 0, &a);
    assert_int_equal(a.out_bytes, 3000003);
    answer_finish(&a);
    output(c, "j", STREAM_OUT, 0, 0, &a);
    assert_int_equal(a.status, SBX_E_TOO_LARGE);
    assert_int_equal(a.offset, 2900003);
    assert_int_equal(a.next, 0);
    answer_finish(&a);
    output(c, "j", STREAM_OUT, 2900003, JOB_FOLLOW, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.out.len, 100000);
    assert_memory_equal(a.out.data + 99996, "xend", 4);
    answer_finish(&a);
    client_close(c);
}

/* It gives no credit, so that it still has its first window and no more when the ring has gone on. */
static void a_slow_reader_is_told_what_it_missed(void **state)
{
    struct client *c = client_open(NULL);
    struct frame f;
    struct answer a;
    uint64_t got = 0;
    (void)state;
    client_wait(c, ask_start(c, "j", "read go; head -c 3000000 /dev/zero", NULL, EXEC_STDIN_OPEN, 65536), NULL, 0, &a);
    answer_finish(&a);
    uint32_t id = ask_output(c, "j", STREAM_OUT, 0, JOB_FOLLOW);
    struct message m;
    message_init(&m, OP_JOB_FEED);
    message_text(&m, F_ID, "j");
    client_data(c, client_request(c, &m), "\n", 1, 1);
    do {
        assert_int_equal(client_next(c, &f), 1);
        got += f.head.id == id ? f.head.len : 0;
    } while (f.head.id != id || f.head.type != FRAME_END);
    memset(&a, 0, sizeof a);
    take_fields(&f, &a);
    assert_int_equal(a.status, SBX_E_TOO_LARGE);
    assert_true(a.next <= WIRE_WINDOW);
    assert_true(a.offset > a.next && a.offset <= 3000000);
    assert_true(got >= a.next);
    client_close(c);
}

static void input_is_fed_in_pieces_and_ended_once(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    start(c, "j", "cat; echo done", NULL, EXEC_STDIN_OPEN);
    assert_int_equal(feed(c, "j", "a\0", 2, 0), SBX_OK);
    assert_int_equal(feed(c, "j", "", 0, 0), SBX_OK);
    assert_int_equal(feed(c, "j", "bc\n", 3, JOB_FEED_END), SBX_OK);
    assert_int_equal(feed(c, "j", "", 0, JOB_FEED_END), SBX_OK);
    assert_int_equal(feed(c, "j", "x", 1, JOB_FEED_END), SBX_E_STATE);
    expect_end(c, "j", SBX_EXITED, 0);
    assert_int_equal(feed(c, "j", "", 0, JOB_FEED_END), SBX_OK);
    assert_int_equal(feed(c, "j", "x", 1, 0), SBX_E_STATE);
    output(c, "j", STREAM_OUT, 0, 0, &a);
    assert_int_equal(a.out.len, 10);
    assert_memory_equal(a.out.data, "a\0bc\ndone\n", 10);
    answer_finish(&a);
    start(c, "k", "cat", NULL, 0);
    expect_end(c, "k", SBX_EXITED, 0);
    assert_int_equal(feed(c, "k", "x", 1, 0), SBX_E_STATE);
    assert_int_equal(feed(c, "k", "", 0, JOB_FEED_END), SBX_E_STATE);
    start(c, "l", "exec <&-; echo closed; exec sleep 20", NULL, EXEC_STDIN_OPEN);
    await_output(c, "l", 0, "closed\n");
    assert_int_equal(feed(c, "l", "x", 1, 0), SBX_E_STATE);
    client_close(c);
}

static void feeding_waits_for_the_job_to_read(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    size_t len = 20 << 20;
    char *data = malloc(len);
    (void)state;
    assert_non_null(data);
    memset(data, 'x', len);
    start(c, "j", "sleep 0.3; wc -c", NULL, EXEC_STDIN_OPEN);
    assert_int_equal(feed(c, "j", data, len, JOB_FEED_END), SBX_OK);
    expect_end(c, "j", SBX_EXITED, 0);
    output(c, "j", STREAM_OUT, 0, 0, &a);
    assert_int_equal(strtol(a.out.data, NULL, 10), (long)len);
    answer_finish(&a);
    start(c, "k", "sleep 0.3; exit 3", NULL, EXEC_STDIN_OPEN);
    assert_int_equal(feed(c, "k", data, len, 0), SBX_E_STATE);
    expect_end(c, "k", SBX_EXITED, 3);
    free(data);
    client_close(c);
}

static void kill_ends_the_whole_tree_and_is_silent_after_the_end(void **state)
{
    struct client *c = client_open(NULL);
    const char *mark = marker();
    (void)state;
    start(c, "j", "setsid sleep $1 & (trap '' TERM; sleep $1) & sleep $1", mark, 0);
    while (!process_exists(mark))
        (void)usleep(1000);
    uint32_t waiting = ask(c, OP_JOB_WAIT, "j");
    struct answer a;
    client_number(c, waiting, FRAME_CANCEL, 0);
    client_wait(c, waiting, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    assert_true(process_exists(mark));
    assert_int_equal(tell(c, OP_JOB_KILL, "j"), SBX_OK);
    assert_false(process_exists(mark));
    expect_end(c, "j", SBX_SIGNALLED, 137);
    assert_int_equal(tell(c, OP_JOB_KILL, "j"), SBX_OK);
    assert_int_equal(tell(c, OP_JOB_KILL, "none"), SBX_E_NOT_FOUND);
    client_close(c);
}

static void kill_reaches_what_an_ended_job_left_behind(void **state)
{
    struct client *c = client_open(NULL);
    const char *mark = marker();
    (void)state;
    start(c, "j", "setsid sleep $1 >/dev/null 2>&1 & exit 0", mark, 0);
    expect_end(c, "j", SBX_EXITED, 0);
    while (!process_exists(mark))
        (void)usleep(1000);
    assert_int_equal(tell(c, OP_JOB_KILL, "j"), SBX_OK);
    assert_false(process_exists(mark));
    expect_end(c, "j", SBX_EXITED, 0);
    client_close(c);
}

static void what_holds_the_output_does_not_hold_the_end(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    start(c, "j", "(while [ ! -e \"$1\" ]; do sleep 0.02; done; echo late) & echo soon", scratch_flag(), 0);
    expect_end(c, "j", SBX_EXITED | SBX_OUTPUT_INCOMPLETE, 0);
    output(c, "j", STREAM_OUT, 0, JOB_FOLLOW, &a);
    assert_string_equal(a.out.data, "soon\n");
    answer_finish(&a);
    raise_flag();
    await_output(c, "j", 5, "late\n");
    client_close(c);
}

static void a_signal_reaches_the_job(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    start(c, "j", "trap 'exit 5' USR1; echo up; while :; do sleep 0.01; done", NULL, 0);
    uint32_t id = ask_output(c, "j", STREAM_OUT, 0, JOB_FOLLOW);
    struct frame f;
    assert_int_equal(client_next(c, &f), 1);
    assert_int_equal(f.head.type, FRAME_DATA);
    message_init(&m, OP_JOB_SIGNAL);
    message_text(&m, F_ID, "j");
    message_number(&m, F_SIGNAL, SIGUSR1);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    client_wait(c, id, NULL, 0, &a);
    answer_finish(&a);
    client_wait(c, ask(c, OP_JOB_WAIT, "j"), NULL, 0, &a);
    assert_int_equal(a.result & (SBX_EXITED | SBX_SIGNALLED), SBX_EXITED);
    assert_int_equal(a.exit_code, 5);
    answer_finish(&a);
    message_init(&m, OP_JOB_SIGNAL);
    message_text(&m, F_ID, "j");
    message_number(&m, F_SIGNAL, SIGUSR1);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_STATE);
    answer_finish(&a);
    client_close(c);
}

static void a_job_over_its_limit_is_killed(void **state)
{
    struct client *c = client_open(NULL);
    const char *mark = marker();
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_JOB_START);
    message_argv(&m, (const char *const[]){"/bin/sh", "-c", "setsid sleep $1 & sleep $1", "sh", mark, NULL});
    message_text(&m, F_ID, "j");
    message_number(&m, F_TIMEOUT_MS, 200);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    answer_finish(&a);
    expect_end(c, "j", SBX_TIMED_OUT, 124);
    assert_false(process_exists(mark));
    client_close(c);
}

static void jobs_are_listed_until_they_are_forgotten(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    start(c, "a", "sleep 50", NULL, 0);
    start(c, "b", "printf 123; exit 3", NULL, 0);
    expect_end(c, "b", SBX_EXITED, 3);
    client_wait(c, ask(c, OP_JOB_LIST, NULL), NULL, 0, &a);
    assert_int_equal(a.replies, 2);
    assert_string_equal(a.id, "b");
    assert_int_equal(a.result, SBX_EXITED);
    assert_int_equal(a.exit_code, 3);
    assert_int_equal(a.out_bytes, 3);
    answer_finish(&a);
    client_wait(c, ask(c, OP_JOB_INFO, "a"), NULL, 0, &a);
    assert_int_equal(a.result, JOB_RUNS);
    assert_true(a.pid > 0);
    answer_finish(&a);
    assert_int_equal(tell(c, OP_JOB_FORGET, "a"), SBX_E_STATE);
    assert_int_equal(tell(c, OP_JOB_FORGET, "b"), SBX_OK);
    assert_int_equal(tell(c, OP_JOB_FORGET, "b"), SBX_E_NOT_FOUND);
    assert_int_equal(tell(c, OP_JOB_INFO, "b"), SBX_E_NOT_FOUND);
    assert_int_equal(tell(c, OP_JOB_KILL, "a"), SBX_OK);
    client_wait(c, ask(c, OP_JOB_LIST, NULL), NULL, 0, &a);
    assert_int_equal(a.replies, 1);
    answer_finish(&a);
    client_close(c);
}

static void the_guest_holds_no_more_than_256_jobs(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    for (int i = 0; i < 256; i++) {
        client_wait(c, ask_start(c, NULL, "exit 0", NULL, 0, 0), NULL, 0, &a);
        assert_int_equal(a.status, SBX_OK);
        answer_finish(&a);
        assert_int_equal(tell(c, OP_JOB_WAIT, a.id), SBX_OK);
    }
    client_wait(c, ask_start(c, NULL, "exit 0", NULL, 0, 0), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_QUOTA);
    answer_finish(&a);
    assert_int_equal(tell(c, OP_JOB_FORGET, "job-9"), SBX_OK);
    start(c, "j", "exit 0", NULL, 0);
    client_close(c);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        UNIT_TEST(a_job_tells_its_end_any_number_of_times),
        UNIT_TEST(a_job_without_a_wanted_id_gets_one),
        UNIT_TEST(a_job_that_cannot_be_executed_ends_so),
        UNIT_TEST(output_comes_from_any_offset_and_follows),
        UNIT_TEST(nobody_reading_never_slows_a_job),
        UNIT_TEST(a_slow_reader_is_told_what_it_missed),
        UNIT_TEST(input_is_fed_in_pieces_and_ended_once),
        UNIT_TEST(feeding_waits_for_the_job_to_read),
        UNIT_TEST(kill_ends_the_whole_tree_and_is_silent_after_the_end),
        UNIT_TEST(kill_reaches_what_an_ended_job_left_behind),
        UNIT_TEST(what_holds_the_output_does_not_hold_the_end),
        UNIT_TEST(a_signal_reaches_the_job),
        UNIT_TEST(a_job_over_its_limit_is_killed),
        UNIT_TEST(jobs_are_listed_until_they_are_forgotten),
        UNIT_TEST(the_guest_holds_no_more_than_256_jobs),
    };
    return RUN_TESTS("jobs", tests, argc, argv);
}
