/* SPDX-License-Identifier: MIT
 *
 * test_chunks.c - the service's streams: events in any pieces, texts with NUL, offsets of either kind, and the mark.
 */
#include "plugins/runloop/output.h"
#include "tests/common/runner.h"

struct seen {
    struct buf text;
    int events;
    int errors;
};

static int note(void *user, int is_error, const char *data, size_t len)
{
    struct seen *seen = user;
    seen->events++;
    seen->errors += is_error;
    (void)buf_append(&seen->text, data, len);
    return buf_text(&seen->text, "|");
}

static void read_events(const char *stream, size_t piece, struct seen *seen)
{
    struct sse sse;
    memset(seen, 0, sizeof *seen);
    buf_init(&seen->text, 4096);
    sse_init(&sse, note, seen);
    for (size_t at = 0, len = strlen(stream); at < len; at += piece)
        assert_int_equal(sse_feed(&sse, stream + at, len - at < piece ? len - at : piece), 0);
    sse_finish(&sse);
}

static void events_are_the_same_in_any_pieces(void **state)
{
    static const struct {
        const char *stream;
        const char *events;
        int errors;
    } cases[] = {{"data: a\n\ndata: b\n\n", "a|b|", 0},
                 {"data:a\r\n\r\ndata: b\r\n\r\n", "a|b|", 0},
                 {"data: a\r\rdata:  b\r\r", "a| b|", 0},
                 {": a comment\ndata: a\n:\ndata: b\n\n", "a\nb|", 0},
                 {"event: update\nid: 7\ndata: a\nretry: 5\n\n", "a|", 0},
                 {"event: error\ndata: a\n\ndata: b\n\n", "a|b|", 1},
                 {"data\n\n", "|", 0},
                 {"event: error\n\ndata: a\n\n", "a|", 0},
                 {"\n\n\ndata: a\n\ndata: half\n", "a|", 0},
                 {"database: a\n\n", "", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece < 12; piece++) {
            struct seen seen;
            read_events(cases[i].stream, piece, &seen);
            assert_string_equal(seen.text.data == NULL ? "" : seen.text.data, cases[i].events);
            assert_int_equal(seen.errors, cases[i].errors);
            buf_finish(&seen.text);
        }
}

static void an_event_of_any_length_is_bounded(void **state)
{
    struct sse sse;
    struct seen seen = {.events = 0};
    char *line = malloc(1 << 20);
    int status = 0;
    (void)state;
    assert_non_null(line);
    memset(line, 'x', 1 << 20);
    buf_init(&seen.text, 16);
    sse_init(&sse, note, &seen);
    for (int i = 0; i < 20 && status == 0; i++)
        status = sse_feed(&sse, line, 1 << 20);
    assert_int_equal(status, -1);
    sse_finish(&sse);
    free(line);
}

static void texts_of_chunks_are_exact(void **state)
{
    static const struct {
        const char *json;
        const char *text;
        size_t len;
        int64_t offset;
    } cases[] = {{"{\"output\":\"a\",\"offset\":5}", "a", 1, 5},
                 {"{\"output\":\"\"}", "", 0, -1},
                 {"{\"output\":\"a\\u0000b\"}", "a\0b", 3, -1},
                 {"{\"output\":\"a\\\\u0000b\"}", "a\\u0000b", 8, -1},
                 {"{\"output\":\"\\ud83d\\ude00\xc3\xa9\"}", "\xf0\x9f\x98\x80\xc3\xa9", 6, -1},
                 {"{\"output\":\"\\u0000\\u0000\",\"offset\":0}", "\0\0", 2, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chunk chunk;
        assert_int_equal(chunk_parse(&chunk, 0, cases[i].json, strlen(cases[i].json)), 0);
        assert_int_equal(chunk.text.len, cases[i].len);
        if (cases[i].len > 0)
            assert_memory_equal(chunk.text.data, cases[i].text, cases[i].len);
        assert_int_equal(chunk.offset, cases[i].offset);
        chunk_finish(&chunk);
    }
}

static void what_is_no_chunk_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "{",
                                      "[]",
                                      "{}",
                                      "{\"output\":7}",
                                      "{\"output\":null}",
                                      "{\"output\":\"a\"} x",
                                      "{\"output\":\"\xff\"}",
                                      "{\"output\":\"\xc0\x80\"}",
                                      "{\"output\":\"\xed\xa0\x80\"}",
                                      "{\"output\":\"\\ud83d\"}",
                                      "{\"output\":\"a"};
    struct chunk chunk;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chunk_parse(&chunk, 0, bad[i], strlen(bad[i])), -1);
        chunk_finish(&chunk);
    }
    assert_int_equal(chunk_parse(&chunk, 1, "{\"code\":\"408\"}", 14), 0);
    assert_int_equal(chunk.code, 408);
    chunk_finish(&chunk);
    assert_int_equal(chunk_parse(&chunk, 1, "boom", 4), 0);
    assert_int_equal(chunk.code, 0);
    chunk_finish(&chunk);
}

/* --- outputs ----------------------------------------------------------------------------------------------------- */

#define NAME "sbx-0123456789abcdef0123456789abcdef"

static int keep(void *user, const void *data, size_t len)
{
    return buf_append(user, data, len);
}

struct following {
    struct output output;
    struct buf text;
};

static void following_open(struct following *f)
{
    buf_init(&f->text, 1 << 16);
    output_init(&f->output, NULL, "", NAME, 0);
    f->output.take = keep;
    f->output.user = &f->text;
}

static void following_close(struct following *f)
{
    output_finish(&f->output);
    buf_finish(&f->text);
}

/* One event, or many; a connection begins anew with sse_restart. */
static int feed(struct following *f, const char *output, int64_t offset)
{
    char event[512];
    (void)snprintf(event, sizeof event, "data: {\"output\":\"%s\"}\n\n", output);
    if (offset >= 0)
        (void)snprintf(event, sizeof event, "data: {\"output\":\"%s\",\"offset\":%lld}\n\n", output, (long long)offset);
    return sse_feed(&f->output.sse, event, strlen(event));
}

static void offsets_of_either_kind_lose_and_repeat_nothing(void **state)
{
    (void)state;
    for (int is_end = 0; is_end < 2; is_end++) {
        struct following f;
        following_open(&f);
        assert_int_equal(feed(&f, "abc", is_end ? 3 : 0), 0);
        assert_int_equal(feed(&f, "de", is_end ? 5 : 3), 0);
        assert_int_equal(feed(&f, "de", is_end ? 5 : 3), 0);        /* once more */
        assert_int_equal(feed(&f, "cdefg", is_end ? 7 : 2), 0);     /* overlapping */
        assert_int_not_equal(feed(&f, "xyz", is_end ? 13 : 10), 0); /* a gap: to be asked for again */
        assert_true(f.output.needs_again);
        assert_int_equal(f.output.have, 7);
        assert_string_equal(f.text.data, "abcdefg");
        assert_false(f.output.is_inexact);
        following_close(&f);
    }
}

static void chunks_without_offsets_are_taken_as_they_come(void **state)
{
    struct following f;
    (void)state;
    following_open(&f);
    assert_int_equal(feed(&f, "ab", -1), 0);
    assert_int_equal(feed(&f, "ab", -1), 0);
    assert_string_equal(f.text.data, "abab");
    following_close(&f);
}

static void counts_that_differ_after_replaced_bytes_lose_nothing(void **state)
{
    struct following f;
    (void)state;
    following_open(&f);
    assert_int_equal(feed(&f, "\xef\xbf\xbd", 0), 0);
    assert_int_equal(feed(&f, "abc", 1), 0); /* the service counts the byte as it was */
    assert_string_equal(f.text.data, "\xef\xbf\xbd"
                                     "abc");
    assert_true(f.output.is_inexact);
    following_close(&f);
}

static void the_mark_is_found_in_any_pieces_and_nothing_else_is_one(void **state)
{
    static const char whole[] = "out\\u001eput\\u001e\\u001esbx-0123\\u001e" NAME " e42\\u001frest";
    static const char wanted[] = "out\036put\036\036sbx-0123";
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        struct following f;
        following_open(&f);
        for (size_t at = 0, n; at < sizeof whole - 1; at += n) {
            char part[64] = "";
            n = 0;
            while (n < piece && at + n < sizeof whole - 1) /* an escape stays whole */
                n += whole[at + n] == '\\' ? 6 : 1;
            (void)snprintf(part, sizeof part, "%.*s", (int)n, whole + at);
            assert_int_equal(feed(&f, part, -1), 0);
        }
        assert_string_equal(f.output.mark.word, "e42");
        assert_int_equal(output_flush(&f.output), 0);
        assert_string_equal(f.text.data, wanted);
        assert_int_equal(f.output.delivered, sizeof wanted - 1);
        following_close(&f);
    }
}

static void what_may_be_a_mark_is_given_when_it_is_none(void **state)
{
    struct following f;
    (void)state;
    following_open(&f);
    assert_int_equal(feed(&f, "x\\u001e" NAME " e4", -1), 0);
    assert_string_equal(f.text.data, "x");
    assert_int_equal(output_flush(&f.output), 0);
    assert_string_equal(f.text.data, "x\036" NAME " e4");
    following_close(&f);
    struct mark any = {.name = ""};
    static const char text[] = "a\036" NAME " time\037";
    size_t len = sizeof text - 1;
    assert_string_equal(mark_find(&any, text, &len), "time");
    assert_int_equal(len, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_in_any_pieces),
        cmocka_unit_test(an_event_of_any_length_is_bounded),
        cmocka_unit_test(texts_of_chunks_are_exact),
        cmocka_unit_test(what_is_no_chunk_is_refused),
        cmocka_unit_test(offsets_of_either_kind_lose_and_repeat_nothing),
        cmocka_unit_test(chunks_without_offsets_are_taken_as_they_come),
        cmocka_unit_test(counts_that_differ_after_replaced_bytes_lose_nothing),
        cmocka_unit_test(the_mark_is_found_in_any_pieces_and_nothing_else_is_one),
        cmocka_unit_test(what_may_be_a_mark_is_given_when_it_is_none),
    };
    return RUN_TESTS(tests, argc, argv);
}
