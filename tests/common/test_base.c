/* SPDX-License-Identifier: MIT
 *
 * test_base.c - base/: the growing buffer, numbers out of text, printable lines.
 */
#include "tests/common/runner.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"

#include <fcntl.h>

static void buf_grows_and_stays_terminated(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf_append(&b, "ab\0", 3), 0);
    assert_int_equal(b.len, 30000);
    assert_int_equal(b.data[b.len], 0);
    assert_memory_equal(b.data + 29997, "ab\0", 3);
    assert_int_equal(buf_format(&b, "%d-%s", 42, "x"), 0);
    assert_string_equal(b.data + 30000, "42-x");
}

static void buf_keeps_its_limit_and_stays_failed(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_append(&b, "0123456789", 10), 0);
    assert_int_equal(buf_append(&b, "x", 1), -1);
    assert_int_equal(b.failed, EFBIG);
    assert_int_equal(buf_append(&b, "", 0), -1);
    assert_int_equal(buf_text(&b, "y"), -1);
    assert_int_equal(buf_format(&b, "y"), -1);
    assert_null(buf_space(&b, 1));
    assert_null(buf_steal(&b));
    assert_int_equal(b.len, 10);
    assert_string_equal(b.data, "0123456789");
    buf_finish(&b);
    assert_int_equal(buf_append(&b, "again", 5), 0);
}

static void buf_refuses_a_length_that_overflows(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_append(&b, "x", 1), 0);
    assert_null(buf_space(&b, SIZE_MAX));
    assert_int_equal(b.failed, EFBIG);
}

static void buf_consume_drops_the_front(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 100);
    buf_consume(&b, 5);
    (void)buf_text(&b, "hello world");
    buf_consume(&b, 6);
    assert_string_equal(b.data, "world");
    buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
}

static void buf_space_is_counted_by_the_caller(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 100);
    char *space = buf_space(&b, 50);
    assert_non_null(space);
    memcpy(space, "abc", 3);
    assert_int_equal(b.len, 0);
    b.len += 3;
    assert_int_equal(buf_text(&b, "d"), 0);
    assert_string_equal(b.data, "abcd");
}

static void buf_steal_hands_over_and_empties(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 100);
    CLEANUP_FREE char *empty = buf_steal(&b);
    assert_string_equal(empty, "");
    (void)buf_text(&b, "mine");
    CLEANUP_FREE char *mine = buf_steal(&b);
    assert_string_equal(mine, "mine");
    assert_int_equal(b.len, 0);
    assert_null(b.data);
}

static void durations_take_units_or_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"500ms", 500}, {"30s", 30000},    {"5m", 300000}, {"1h", 3600000},
                {"7", 7000},    {"2d", 172800000}, {"0", 0},       {"0s", 0}};
    static const char *const bad[] = {
        "",     "s",   "-1s", "+1s", "1 s", " 1s", "1s ", "1.5s", "1S", "1hm", "ms", "1min", "9223372036854775807s",
        "0x10", "1e3", "inf", "1s\n"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -1;
        assert_int_equal(parse_duration_ms(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = -7;
        assert_int_equal(parse_duration_ms(bad[i], &ms), -1);
        assert_int_equal(ms, -7);
    }
}

static void sizes_take_units_or_bytes(void **state)
{
    (void)state;
    int64_t bytes = -7;
    assert_int_equal(parse_bytes("512M", &bytes), 0);
    assert_int_equal(bytes, 512 << 20);
    assert_int_equal(parse_bytes("4G", &bytes), 0);
    assert_int_equal(bytes, INT64_C(4) << 30);
    assert_int_equal(parse_bytes("1K", &bytes), 0);
    assert_int_equal(bytes, 1024);
    assert_int_equal(parse_bytes("2T", &bytes), 0);
    assert_int_equal(bytes, INT64_C(2) << 40);
    assert_int_equal(parse_bytes("123", &bytes), 0);
    assert_int_equal(bytes, 123);
    bytes = -7;
    static const char *const bad[] = {
        "", "M", "-1", "1m", "1MB", "1 M", "9223372036854775807K", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse_bytes(bad[i], &bytes), -1);
    assert_int_equal(bytes, -7);
}

static void whole_numbers_and_yes_or_no(void **state)
{
    (void)state;
    int64_t number = 0;
    assert_int_equal(parse_int("-12", &number), 0);
    assert_int_equal(number, -12);
    assert_int_equal(parse_int("9223372036854775807", &number), 0);
    assert_true(number == INT64_MAX);
    assert_int_equal(parse_int("9223372036854775808", &number), -1);
    assert_int_equal(parse_int("--1", &number), -1);
    assert_int_equal(parse_int("-", &number), -1);
    assert_int_equal(parse_int("", &number), -1);
    assert_int_equal(parse_int("1x", &number), -1);
    int truth = 9;
    assert_int_equal(parse_bool("Yes", &truth), 0);
    assert_int_equal(truth, 1);
    assert_int_equal(parse_bool("off", &truth), 0);
    assert_int_equal(truth, 0);
    assert_int_equal(parse_bool("maybe", &truth), -1);
    assert_int_equal(parse_bool("", &truth), -1);
}

static void assert_line(const char *in, size_t len, const char *want)
{
    char out[64];
    assert_int_equal(text_line(out, sizeof out, in, len), strlen(want));
    assert_string_equal(out, want);
}

static void foreign_text_becomes_one_printable_line(void **state)
{
    (void)state;
    assert_line("plain", 5, "plain");
    assert_line("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
    assert_line("\xf0\x9f\x99\x82", 4, "\xf0\x9f\x99\x82");
    assert_line("a\nb\r\tc\x1b[31m\x7f\0d", 14, "a?b??c?[31m??d");
    assert_line("\xff\xfe", 2, "??");
    assert_line("\xc0\xaf", 2, "??");
    assert_line("\xed\xa0\x80", 3, "???");
    assert_line("\xf4\x90\x80\x80", 4, "????");
    assert_line("x\xe2\x82", 3, "x??");
    assert_line("\xc2\x9b"
                "31m",
                5, "?31m");
    assert_line("a\xe2\x80\xae"
                "b\xe2\x80\xa8"
                "c",
                9, "a?b?c");
}

static void a_long_line_is_cut_between_characters(void **state)
{
    (void)state;
    char out[6];
    assert_int_equal(text_line(out, sizeof out, "\xc3\xbc\xc3\xbc\xc3\xbc", 6), 4);
    assert_string_equal(out, "\xc3\xbc\xc3\xbc");
    assert_int_equal(text_line(out, 1, "abc", 3), 0);
    assert_string_equal(out, "");
}

static void cleanup_closes_and_keeps_errno(void **state)
{
    (void)state;
    int kept = -1;
    {
        CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        kept = fd;
        errno = EXDEV;
    }
    assert_int_equal(errno, EXDEV);
    assert_int_equal(fcntl(kept, F_GETFD), -1);
    int fd = 5;
    assert_int_equal(steal_fd(&fd), 5);
    assert_int_equal(fd, -1);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_and_stays_terminated),
        cmocka_unit_test(buf_keeps_its_limit_and_stays_failed),
        cmocka_unit_test(buf_refuses_a_length_that_overflows),
        cmocka_unit_test(buf_consume_drops_the_front),
        cmocka_unit_test(buf_space_is_counted_by_the_caller),
        cmocka_unit_test(buf_steal_hands_over_and_empties),
        cmocka_unit_test(durations_take_units_or_seconds),
        cmocka_unit_test(sizes_take_units_or_bytes),
        cmocka_unit_test(whole_numbers_and_yes_or_no),
        cmocka_unit_test(foreign_text_becomes_one_printable_line),
        cmocka_unit_test(a_long_line_is_cut_between_characters),
        cmocka_unit_test(cleanup_closes_and_keeps_errno),
    };
    return RUN_TESTS(tests, argc, argv);
}
