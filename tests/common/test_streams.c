/* SPDX-License-Identifier: MIT
 *
 * test_streams.c - guest_exec while it runs: input and output against credit, terminals, stopping, cancelling, limits.
 */
#include "tests/common/runner.h"

#include "tests/common/run.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static void credit(struct fake_conn *c, uint32_t more)
{
    unsigned char bytes[4];
    wire_put32(bytes, more);
    fake_frame(c, FRAME_CREDIT, 0, STREAM_IN, bytes, sizeof bytes);
}

/* --- input -------------------------------------------------------------------------------------------------- */
/* What came on stdin, as an echo guest sees it. */
struct heard {
    struct buf data;
    int eof;
    int overrun;      /* more came than there was credit for */
    size_t stuck_at;  /* bytes that came before the first credit was given */
    int give_nothing; /* ends without giving credit */
};

static void hear_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct heard *heard = user;
    struct wire_head head;
    size_t window = WIRE_WINDOW;
    if (fake_request(c) != 0)
        return;
    while (!heard->eof && fake_read(c, &head, payload) == 0) {
        if (head.type != FRAME_DATA)
            continue;
        heard->overrun |= head.len > window;
        window -= head.len;
        (void)buf_append(&heard->data, payload, head.len);
        heard->eof = (head.flags & FLAG_EOF) != 0;
        if (window != 0 || heard->eof)
            continue;
        if (heard->stuck_at == 0) {
            struct pollfd fd = {.fd = c->fd, .events = POLLIN};
            heard->overrun |= poll(&fd, 1, 50) != 0;
            heard->stuck_at = heard->data.len;
        }
        if (heard->give_nothing)
            break;
        credit(c, 100000);
        window = 100000;
    }
    fake_exited(c, 0);
}

static void fill(char *data, size_t len)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (char)(x >> 24);
    }
}

static void stdin_waits_for_credit_and_arrives_verbatim(void **state)
{
    (void)state;
    size_t len = (size_t)5 << 20;
    CLEANUP_FREE char *data = malloc(len);
    assert_non_null(data);
    fill(data, len);
    struct heard heard = {.eof = 0};
    buf_init(&heard.data, len + 1);
    struct given given;
    given_init(&given, data, len);
    RUN run;
    run_init(&run);
    run.args.in = &given.source;
    assert_int_equal(run_once(&run, hear_script, &heard), SBX_OK);
    assert_int_equal(heard.overrun, 0);
    assert_int_equal(heard.stuck_at, WIRE_WINDOW);
    assert_int_equal(heard.eof, 1);
    assert_int_equal(heard.data.len, len);
    assert_memory_equal(heard.data.data, data, len);
    buf_finish(&heard.data);
}

static void a_command_that_ends_before_its_stdin_is_no_error(void **state)
{
    (void)state;
    size_t len = (size_t)5 << 20;
    CLEANUP_FREE char *data = calloc(1, len);
    assert_non_null(data);
    struct heard heard = {.give_nothing = 1};
    buf_init(&heard.data, len + 1);
    struct given given;
    given_init(&given, data, len);
    RUN run;
    run_init(&run);
    run.args.in = &given.source;
    assert_int_equal(run_once(&run, hear_script, &heard), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED);
    buf_finish(&heard.data);
}

static void empty_stdin_is_end_of_file_at_once(void **state)
{
    (void)state;
    struct heard heard = {.eof = 0};
    buf_init(&heard.data, 10);
    struct given given;
    given_init(&given, "", 0);
    RUN run;
    run_init(&run);
    run.args.in = &given.source;
    assert_int_equal(run_once(&run, hear_script, &heard), SBX_OK);
    assert_int_equal(heard.eof, 1);
    assert_int_equal(heard.data.len, 0);
    buf_finish(&heard.data);
}

/* A pipe as an interactive source: answers SBX_AGAIN when it is empty. */
struct piped {
    struct sbx_source source;
    int fds[2];
    int asked_in_vain;
};

static int64_t piped_read(void *user, void *data, size_t cap)
{
    struct piped *piped = user;
    ssize_t n = read(piped->fds[0], data, cap);
    if (n < 0) {
        piped->asked_in_vain++;
        return SBX_AGAIN;
    }
    return n;
}

static void piped_init(struct piped *piped)
{
    assert_int_equal(pipe2(piped->fds, O_CLOEXEC | O_NONBLOCK), 0);
    piped->asked_in_vain = 0;
    piped->source = (struct sbx_source){.size = sizeof piped->source,
                                        .flags = SBX_SOURCE_HAS_FD,
                                        .user = piped,
                                        .read = piped_read,
                                        .ready_fd = piped->fds[0]};
}

/* Answers each line of input with a line of output; so nobody can go on without the other. */
static void converse_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct piped *piped = user;
    struct wire_head head;
    if (fake_request(c) != 0)
        return;
    for (int i = 0; i < 20; i++) {
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "?", 1);
        (void)usleep(1000);
        if (write(piped->fds[1], "line\n", 5) != 5 || fake_read(c, &head, payload) != 0 || head.len != 5)
            return;
    }
    (void)close(piped->fds[1]);
    if (fake_read(c, &head, payload) == 0 && (head.flags & FLAG_EOF) != 0)
        fake_exited(c, 0);
}

static void an_interactive_source_is_read_when_it_is_ready(void **state)
{
    (void)state;
    struct piped piped;
    piped_init(&piped);
    RUN run;
    run_init(&run);
    run.args.in = &piped.source;
    assert_int_equal(run_once(&run, converse_script, &piped), SBX_OK);
    assert_int_equal(run.out.data.len, 20);
    assert_int_equal(piped.asked_in_vain, 0);
    (void)close(piped.fds[0]);
}

/* --- output ------------------------------------------------------------------------------------------------- */
/* Sends so many bytes, never more than there is credit for. */
static void flood_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    static const unsigned char block[50000];
    size_t left = *(size_t *)user, window = WIRE_WINDOW;
    struct wire_head head;
    if (fake_request(c) != 0)
        return;
    while (left > 0) {
        size_t n = left < sizeof block ? left : sizeof block;
        while (window < n) {
            if (fake_read(c, &head, payload) != 0)
                return;
            if (head.type == FRAME_CANCEL)
                left = n = 0;
            if (head.type == FRAME_CREDIT && head.stream == STREAM_OUT)
                window += wire_get32(payload);
        }
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, block, n);
        window -= n;
        left -= n;
    }
    fake_exited(c, 0);
}

static void output_gets_credit_as_it_is_passed_on(void **state)
{
    (void)state;
    size_t len = (size_t)20 << 20;
    RUN run;
    run_init(&run);
    assert_int_equal(run_once(&run, flood_script, &len), SBX_OK);
    assert_int_equal(run.out.data.len, len);
    assert_int_equal(run.result.out_bytes, len);
}

static void output_over_the_limit_does_not_stop_the_command(void **state)
{
    (void)state;
    size_t len = (size_t)20 << 20;
    RUN run;
    run_init(&run);
    run.args.max_output = 1000;
    assert_int_equal(run_once(&run, flood_script, &len), SBX_OK);
    assert_int_equal(run.out.data.len, 1000);
    assert_int_equal(run.result.out_bytes, len);
    assert_int_equal(run.result.flags, SBX_EXITED | SBX_STDOUT_TRUNCATED);
}

/* --- stopping ----------------------------------------------------------------------------------------------- */
static void a_sink_that_stops_cancels_the_command(void **state)
{
    (void)state;
    size_t len = (size_t)20 << 20;
    RUN run;
    run_init(&run);
    run.out.stop_after = 3;
    assert_int_equal(run_once(&run, flood_script, &len), SBX_E_STOPPED);
    assert_int_equal(run.out.writes, 3);
    /* What waits on a shared connection is handed over in one piece. */
    assert_true(run.out.data.len == 150000 || (fake_share() > 1 && run.out.data.len > 150000));
    assert_string_equal(run.error.message, "exec: stopped by the receiver");
}

struct cancelling {
    int count; /* CANCELs that came */
    int token; /* where to ask for one; -1: nowhere */
};

static void cancel_script(struct fake_conn *c, void *user)
{
    struct cancelling *cancelling = user;
    while (fake_request(c) == 0) {
        fake_frame(c, FRAME_STARTED, 0, 0, NULL, 0);
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "so far", 6);
        if (cancelling->token >= 0)
            (void)!write(cancelling->token, "x", 1);
        if (fake_until(c, FRAME_CANCEL) != 0)
            return;
        cancelling->count++;
        CLEANUP_BUF struct buf b;
        buf_init(&b, 4096);
        fields_number(&b, F_STATUS, 0);
        fields_number(&b, F_RESULT, SBX_SIGNALLED);
        fields_number(&b, F_TERM_SIGNAL, 9);
        fake_frame(c, FRAME_END, 0, 0, b.data, b.len);
    }
}

static void a_source_that_stops_cancels_the_command(void **state)
{
    (void)state;
    struct cancelling cancelling = {.token = -1};
    struct given given;
    given_init(&given, "abc", 3);
    given.stop = 1;
    RUN run;
    run_init(&run);
    run.args.in = &given.source;
    assert_int_equal(run_once(&run, cancel_script, &cancelling), SBX_E_STOPPED);
    assert_int_equal(cancelling.count, 1);
    assert_int_equal(run.result.flags, SBX_SIGNALLED);
}

static void cancelling_ends_the_command_and_tells_what_was(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct cancelling cancelling = {.token = fds[1]};
    struct fake_guest fake;
    fake_start(&fake, cancel_script, &cancelling, NULL);
    RUN run;
    run_init(&run);
    run.call.flags = SBX_CALL_HAS_CANCEL_FD;
    run.call.cancel_fd = fds[0];
    assert_int_equal(run_on(&run, fake.link), SBX_E_CANCELLED);
    assert_int_equal(cancelling.count, 1);
    assert_int_equal(run.result.flags, SBX_SIGNALLED);
    assert_int_equal(run.result.exit_code, 137);
    assert_string_equal(run.error.message, "exec: cancelled");
    assert_int_equal(run_on(&run, fake.link), SBX_E_CANCELLED);
    assert_int_equal(cancelling.count, 1);
    run.call.flags = 0;
    run.call.deadline_ns = clock_now_ns() + 50 * MS;
    assert_int_equal(run_on(&run, fake.link), SBX_E_TIMEOUT);
    assert_int_equal(cancelling.count, 2);
    assert_int_equal(run.out.data.len > 0, 1);
    assert_string_equal(run.error.message, "exec: the call's deadline is over");
    assert_int_equal(run.error.flags & SBX_ERR_MAYBE_APPLIED, SBX_ERR_MAYBE_APPLIED);
    fake_stop(&fake);
    assert_int_equal(fake.made, 1);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void silent_script(struct fake_conn *c, void *user)
{
    (void)user;
    (void)fake_request(c);
    (void)fake_until(c, FRAME_HELLO);
}

static void a_guest_that_ignores_cancel_is_left_within_a_second(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    int64_t start = clock_now_ns();
    run.call.deadline_ns = start + 100 * MS;
    assert_int_equal(run_once(&run, silent_script, NULL), SBX_E_TIMEOUT);
    assert_true(clock_now_ns() - start < 1200 * MS);
    assert_int_equal(run.result.flags, 0);
}

static void a_guest_that_does_not_read_is_left_within_a_second(void **state)
{
    (void)state;
    size_t len = (size_t)3 << 20;
    CLEANUP_FREE char *data = calloc(1, len);
    struct given given;
    given_init(&given, data, len);
    RUN run;
    run_init(&run);
    run.args.in = &given.source;
    int64_t start = clock_now_ns();
    run.call.deadline_ns = start + 100 * MS;
    assert_int_equal(run_once(&run, silent_script, NULL), SBX_E_TIMEOUT);
    assert_true(clock_now_ns() - start < 1200 * MS);
}

static void a_guest_that_forgets_the_limit_makes_the_outcome_unknown(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    run.args.timeout_ms = 100;
    int64_t start = clock_now_ns();
    assert_int_equal(run_once(&run, silent_script, NULL), SBX_E_UNKNOWN);
    assert_true(clock_now_ns() - start >= 5000 * MS);
    assert_true(clock_now_ns() - start < 6500 * MS);
    assert_int_equal(run.error.flags, SBX_ERR_MAYBE_APPLIED);
}

static int32_t slow_write(void *user, const void *data, size_t len)
{
    (void)user;
    (void)data;
    (void)len;
    (void)usleep(1400 * 1000);
    return 0;
}

static void a_slow_receiver_is_not_the_guests_fault(void **state)
{
    (void)state;
    size_t len = 200000;
    RUN run;
    run_init(&run);
    struct sbx_sink slow = {.size = sizeof slow, .write = slow_write};
    run.args.out = &slow;
    run.args.timeout_ms = 100;
    int64_t start = clock_now_ns();
    assert_int_equal(run_once(&run, flood_script, &len), SBX_OK);
    assert_true(clock_now_ns() - start >= (fake_share() > 1 ? 1300 : 5500) * MS);
    assert_int_equal(run.result.flags, SBX_EXITED);
}

/* --- a lost guest ------------------------------------------------------------------------------------------- */
static void vanish_script(struct fake_conn *c, void *user)
{
    (void)user;
    if (c->number > 0) {
        (void)fake_request(c);
        return;
    }
    if (fake_request(c) == 0) {
        fake_frame(c, FRAME_STARTED, 0, 0, NULL, 0);
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "half", 4);
    }
}

static void a_sandbox_that_dies_under_a_command_is_gone(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, vanish_script, NULL, NULL);
    fake.max = 1;
    RUN run;
    run_init(&run);
    assert_int_equal(run_on(&run, fake.link), SBX_E_GONE);
    assert_string_equal(run.error.message, "exec: the sandbox is gone");
    assert_int_equal(run.out.data.len, 4);
    assert_int_equal(run.result.out_bytes, 4);
    assert_int_equal(run.result.flags, 0);
    fake_stop(&fake);
}

static void a_lost_connection_to_a_living_guest_is_unknown(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    assert_int_equal(run_once(&run, vanish_script, NULL), SBX_E_UNKNOWN);
    assert_int_equal(run.error.flags, SBX_ERR_MAYBE_APPLIED);
    assert_int_equal(run.result.out_bytes, 4);
    assert_int_equal(run.result.flags, 0);
}

static void exec_after_the_end_of_the_sandbox_is_gone(void **state)
{
    (void)state;
    struct fake_guest fake;
    fake_start(&fake, vanish_script, NULL, NULL);
    fake.max = -1;
    RUN run;
    run_init(&run);
    assert_int_equal(run_on(&run, fake.link), SBX_E_GONE);
    assert_string_equal(run.error.message, "fake: nobody listens");
    fake_stop(&fake);
}

/* --- terminals ---------------------------------------------------------------------------------------------- */
struct events {
    struct sbx_tty tty;
    int fds[2];
    int next;
    uint16_t rows, cols;
    uint32_t signal;
    uint64_t asked_rows, asked_cols, flags;
    int eof;
};

static int32_t events_next(void *user, struct sbx_tty_event *out)
{
    struct events *e = user;
    char byte;
    if (read(e->fds[0], &byte, 1) != 1)
        return 0;
    if (byte == 'r')
        *out = (struct sbx_tty_event){.size = out->size, .what = SBX_TTY_RESIZE, .rows = 50, .cols = 132};
    else if (byte == 's')
        *out = (struct sbx_tty_event){.size = out->size, .what = SBX_TTY_SIGNAL, .signo = 2};
    else
        *out = (struct sbx_tty_event){.size = out->size, .what = 77};
    return 1;
}

static void tty_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct events *e = user;
    struct wire_head head;
    if (fake_request(c) != 0)
        return;
    e->asked_rows = fake_number(c, F_ROWS);
    e->asked_cols = fake_number(c, F_COLS);
    e->flags = fake_number(c, F_FLAGS);
    (void)!write(e->fds[1], "r", 1);
    while ((e->rows == 0 || e->signal == 0 || !e->eof) && fake_read(c, &head, payload) == 0) {
        if (head.type == FRAME_DATA)
            e->eof |= (head.flags & FLAG_EOF) != 0;
        if (head.type == FRAME_RESIZE && head.len == 4) {
            e->rows = (uint16_t)wire_get16(payload);
            e->cols = (uint16_t)wire_get16(payload + 2);
            (void)!write(e->fds[1], "s", 1);
        }
        if (head.type == FRAME_SIGNAL && head.len == 4)
            e->signal = wire_get32(payload);
        if (head.type == FRAME_CANCEL)
            break;
    }
    fake_exited(c, 0);
}

static void events_init(struct events *e)
{
    memset(e, 0, sizeof *e);
    assert_int_equal(pipe2(e->fds, O_CLOEXEC | O_NONBLOCK), 0);
    e->tty = (struct sbx_tty){
        .size = sizeof e->tty, .rows = 24, .cols = 80, .user = e, .next = events_next, .ready_fd = e->fds[0]};
}

static void a_terminal_has_its_size_and_its_changes(void **state)
{
    (void)state;
    struct events e;
    events_init(&e);
    RUN run;
    run_init(&run);
    run.args.tty = &e.tty;
    assert_int_equal(run_once(&run, tty_script, &e), SBX_OK);
    assert_int_equal(e.asked_rows, 24);
    assert_int_equal(e.asked_cols, 80);
    assert_int_equal(e.flags, EXEC_TTY | EXEC_MERGE);
    assert_int_equal(e.rows, 50);
    assert_int_equal(e.cols, 132);
    assert_int_equal(e.signal, 2);
    assert_int_equal(e.eof, 1);
    assert_int_equal(run.result.flags, SBX_EXITED | SBX_MERGED);
    (void)close(e.fds[0]);
    (void)close(e.fds[1]);
}

static void an_impossible_terminal_event_is_refused(void **state)
{
    (void)state;
    struct events e;
    events_init(&e);
    assert_int_equal(write(e.fds[1], "?", 1), 1);
    RUN run;
    run_init(&run);
    run.args.tty = &e.tty;
    assert_int_equal(run_once(&run, tty_script, &e), SBX_E_INVALID);
    (void)close(e.fds[0]);
    (void)close(e.fds[1]);
}

/* The host closes its end of the events; the command goes on. */
static void a_terminal_without_further_events_goes_on(void **state)
{
    (void)state;
    struct events e;
    events_init(&e);
    (void)close(e.fds[1]);
    struct cancelling cancelling = {.token = -1};
    RUN run;
    run_init(&run);
    run.args.tty = &e.tty;
    run.call.deadline_ns = clock_now_ns() + 1000 * MS;
    struct timespec before, after;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    assert_int_equal(run_once(&run, cancel_script, &cancelling), SBX_E_TIMEOUT);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    int64_t used = (int64_t)(after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
    assert_true(used < 500 * MS); /* a loop that does not wait takes all of it; valgrind alone took 100 */
    (void)close(e.fds[0]);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(stdin_waits_for_credit_and_arrives_verbatim),
        cmocka_unit_test(a_command_that_ends_before_its_stdin_is_no_error),
        cmocka_unit_test(empty_stdin_is_end_of_file_at_once),
        cmocka_unit_test(an_interactive_source_is_read_when_it_is_ready),
        cmocka_unit_test(output_gets_credit_as_it_is_passed_on),
        cmocka_unit_test(output_over_the_limit_does_not_stop_the_command),
        cmocka_unit_test(a_sink_that_stops_cancels_the_command),
        cmocka_unit_test(a_source_that_stops_cancels_the_command),
        cmocka_unit_test(cancelling_ends_the_command_and_tells_what_was),
        cmocka_unit_test(a_guest_that_ignores_cancel_is_left_within_a_second),
        cmocka_unit_test(a_guest_that_does_not_read_is_left_within_a_second),
        cmocka_unit_test(a_guest_that_forgets_the_limit_makes_the_outcome_unknown),
        cmocka_unit_test(a_slow_receiver_is_not_the_guests_fault),
        cmocka_unit_test(a_sandbox_that_dies_under_a_command_is_gone),
        cmocka_unit_test(a_lost_connection_to_a_living_guest_is_unknown),
        cmocka_unit_test(exec_after_the_end_of_the_sandbox_is_gone),
        cmocka_unit_test(a_terminal_has_its_size_and_its_changes),
        cmocka_unit_test(an_impossible_terminal_event_is_refused),
        cmocka_unit_test(a_terminal_without_further_events_goes_on),
    };
    return RUN_TESTS(tests, argc, argv);
}
