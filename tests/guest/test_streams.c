/* SPDX-License-Identifier: MIT
 *
 * test_streams.c - standard input and output at length, flow control, terminals.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/guest/client.h"

static unsigned char *pattern(size_t len)
{
    unsigned char *data = malloc(len);
    uint32_t x = 12345;
    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (unsigned char)(x >> 24);
    }
    return data;
}

static void fifty_mebibytes_go_through_a_command(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    size_t len = 50u << 20;
    unsigned char *data = pattern(len);
    (void)state;
    client_wait(c, client_begin(c, "cat", 0), data, len, &a);
    assert_int_equal(a.result, SBX_EXITED);
    assert_int_equal(a.out.len, len);
    assert_memory_equal(a.out.data, data, len);
    answer_finish(&a);
    free(data);
    client_close(c);
}

static void stdin_keeps_every_byte_value(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    unsigned char data[256];
    (void)state;
    for (int i = 0; i < 256; i++)
        data[i] = (unsigned char)i;
    client_wait(c, client_begin(c, "cat", 0), data, sizeof data, &a);
    assert_int_equal(a.out.len, sizeof data);
    assert_memory_equal(a.out.data, data, sizeof data);
    answer_finish(&a);
    client_wait(c, client_begin(c, "cat; echo end", 0), "", 0, &a);
    assert_string_equal(a.out.data, "end\n");
    answer_finish(&a);
    client_close(c);
}

static void a_command_that_does_not_read_its_stdin_ends(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    size_t len = 2u << 20;
    unsigned char *data = pattern(len);
    (void)state;
    client_wait(c, client_begin(c, "exit 5", 0), data, len, &a);
    assert_int_equal(a.exit_code, 5);
    answer_finish(&a);
    client_wait(c, client_begin(c, "exec <&-; sleep 0.1; exit 6", 0), data, len, &a);
    assert_int_equal(a.exit_code, 6);
    answer_finish(&a);
    client_wait(c, client_begin(c, "head -c 3 | wc -c", 0), data, len, &a);
    assert_int_equal(a.exit_code, 0);
    assert_string_equal(a.out.data, "3\n");
    answer_finish(&a);
    free(data);
    client_close(c);
}

/* Collects several requests at once. */
static void five_outputs_at_once_arrive_whole(void **state)
{
    struct client *c = client_open(NULL);
    size_t got[5] = {0};
    uint32_t first = 0;
    struct frame f;
    (void)state;
    for (int i = 0; i < 5; i++) {
        uint32_t id = client_begin(c, "head -c 512000 /dev/zero", EXEC_NO_STDIN);
        first = first == 0 ? id : first;
    }
    for (int ended = 0; ended < 5;) {
        assert_int_equal(client_next(c, &f), 1);
        ended += f.head.type == FRAME_END;
        if (f.head.type != FRAME_DATA)
            continue;
        got[f.head.id - first] += f.head.len;
        unsigned char more[4];
        wire_put32(more, f.head.len);
        client_send(c, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = f.head.stream, .id = f.head.id},
                    more);
    }
    for (int i = 0; i < 5; i++)
        assert_int_equal(got[i], 512000);
    client_close(c);
}

static void output_stops_at_the_window_without_credit(void **state)
{
    struct client *c = client_open(NULL);
    struct frame f;
    size_t got = 0;
    (void)state;
    uint32_t id = client_begin(c, "head -c 1000000 /dev/zero", EXEC_NO_STDIN);
    while (client_next_within(c, &f, 400))
        got += f.head.type == FRAME_DATA ? f.head.len : 0;
    assert_int_equal(got, WIRE_WINDOW);
    unsigned char more[4];
    wire_put32(more, 1u << 20);
    client_send(c, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = STREAM_OUT, .id = id}, more);
    struct answer a;
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(got + a.out.len, 1000000);
    assert_int_equal(a.out_bytes, 1000000);
    assert_int_equal(a.result, SBX_EXITED); /* late credit is no reason to call it incomplete */
    answer_finish(&a);
    client_close(c);
}

static void a_slow_reader_of_a_finished_command_gets_all(void **state)
{
    struct client *c = client_open(NULL);
    struct frame f;
    size_t got = 0;
    (void)state;
    uint32_t id = client_begin(c, "head -c 300000 /dev/zero", EXEC_NO_STDIN);
    while (client_next_within(c, &f, 600)) /* far longer than the wait for held output */
        got += f.head.type == FRAME_DATA ? f.head.len : 0;
    assert_int_equal(got, WIRE_WINDOW);
    unsigned char more[4];
    wire_put32(more, 1u << 20);
    client_send(c, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = STREAM_OUT, .id = id}, more);
    struct answer a;
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(got + a.out.len, 300000);
    assert_int_equal(a.result, SBX_EXITED);
    answer_finish(&a);
    client_close(c);
}

/* --- terminals ---------------------------------------------------------------------------------------------------- */

/* Reads terminal output until it holds `text`. */
static void until(struct client *c, struct buf *seen, const char *text)
{
    struct frame f;
    while (seen->len == 0 || memmem(seen->data, seen->len, text, strlen(text)) == NULL) {
        if (client_next_within(c, &f, 10000) == 0)
            fail_msg("no '%s' in '%s'", text, seen->len == 0 ? "" : seen->data);
        assert_int_not_equal(f.head.type, FRAME_END);
        if (f.head.type == FRAME_DATA)
            assert_int_equal(buf_append(seen, f.payload, f.head.len), 0);
    }
}

static void typed(struct client *c, uint32_t id, const char *text)
{
    client_data(c, id, text, strlen(text), 0);
}

static void a_terminal_has_its_size_and_its_changes(void **state)
{
    struct client *c = client_open(NULL);
    struct buf seen;
    struct answer a;
    (void)state;
    buf_init(&seen, 1 << 20);
    uint32_t id =
        client_begin(c,
                     "stty -echo; test -t 0 && test -t 1 && test -t 2 && stty size; trap 'stty size; exit 3' WINCH; "
                     "while :; do sleep 0.05; done",
                     EXEC_TTY);
    until(c, &seen, "24 80\r\n");
    (void)usleep(100000);
    client_number(c, id, FRAME_RESIZE, 33u | 99u << 16);
    client_wait(c, id, NULL, 0, &a);
    assert_string_equal(a.out.data, "33 99\r\n");
    assert_int_equal(a.result, SBX_EXITED | SBX_MERGED);
    assert_int_equal(a.exit_code, 3);
    answer_finish(&a);
    buf_finish(&seen);
    client_close(c);
}

static void control_c_reaches_the_foreground_and_the_shell_goes_on(void **state)
{
    struct client *c = client_open(NULL);
    struct buf seen;
    struct answer a;
    (void)state;
    buf_init(&seen, 1 << 20);
    struct message m;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"bash", "--norc", "--noprofile", "-i", NULL});
    message_text(&m, F_ENV, "PS1=ready>");
    message_number(&m, F_FLAGS, EXEC_TTY);
    uint32_t id = client_request(c, &m);
    until(c, &seen, "ready>");
    typed(c, id, "echo be$((1+1))gin; sleep 100\n");
    until(c, &seen, "be2gin");
    (void)usleep(100000);
    buf_finish(&seen);
    typed(c, id, "\003");
    until(c, &seen, "ready>"); /* what is typed earlier, the terminal may throw away with the interrupt */
    typed(c, id, "echo st$((2+2))ll\n");
    until(c, &seen, "st4ll\r\nready>");
    client_data(c, id, NULL, 0, 1); /* the end-of-file character, at an empty line that the shell reads */
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.result & SBX_EXITED, SBX_EXITED);
    answer_finish(&a);
    buf_finish(&seen);
    client_close(c);
}

static void end_of_input_is_typed_after_an_unfinished_line(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    client_wait(c, client_begin(c, "stty -echo; cat", EXEC_TTY), "half", 4, &a);
    assert_non_null(a.out.data);
    assert_non_null(strstr(a.out.data, "half"));
    assert_int_equal(a.exit_code, 0);
    answer_finish(&a);
    client_close(c);
}

static void signals_reach_the_command(void **state)
{
    struct client *c = client_open(NULL);
    static const uint64_t flags[] = {EXEC_NO_STDIN, EXEC_TTY};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct buf seen;
        struct answer a;
        buf_init(&seen, 1 << 20);
        uint32_t id =
            client_begin(c, "trap 'echo caught; exit 9' USR1; echo up; while :; do sleep 0.05; done", flags[i]);
        until(c, &seen, "up");
        client_number(c, id, FRAME_SIGNAL, 10);
        client_wait(c, id, NULL, 0, &a);
        assert_non_null(strstr(a.out.data, "caught"));
        assert_int_equal(a.exit_code, 9);
        answer_finish(&a);
        buf_finish(&seen);
    }
    client_close(c);
}

static void a_limit_ends_a_terminal_too(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    struct message m;
    (void)state;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"sh", "-c", "echo before; setsid sleep 50 & sleep 50", NULL});
    message_number(&m, F_FLAGS, EXEC_TTY);
    message_number(&m, F_TIMEOUT_MS, 300);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.result, SBX_TIMED_OUT | SBX_MERGED);
    assert_string_equal(a.out.data, "before\r\n");
    answer_finish(&a);
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_mebibytes_go_through_a_command),
        cmocka_unit_test(stdin_keeps_every_byte_value),
        cmocka_unit_test(a_command_that_does_not_read_its_stdin_ends),
        cmocka_unit_test(five_outputs_at_once_arrive_whole),
        cmocka_unit_test(output_stops_at_the_window_without_credit),
        cmocka_unit_test(a_slow_reader_of_a_finished_command_gets_all),
        cmocka_unit_test(a_terminal_has_its_size_and_its_changes),
        cmocka_unit_test(control_c_reaches_the_foreground_and_the_shell_goes_on),
        cmocka_unit_test(end_of_input_is_typed_after_an_unfinished_line),
        cmocka_unit_test(signals_reach_the_command),
        cmocka_unit_test(a_limit_ends_a_terminal_too),
    };
    return RUN_TESTS("guest streams", tests, argc, argv);
}
