/* SPDX-License-Identifier: MIT
 *
 * test_json.c - JSON of services, read strictly, and written so that they read the same.
 */
#include "plugins/common/json.h"
#include "tests/common/runner.h"

static sbx_status parse(const char *text, struct cJSON **out)
{
    json_finish(out);
    return json_parse(NULL, "test", text, strlen(text), out);
}

static void members_are_found_by_their_exact_name_and_type(void **state)
{
    const char *text = NULL;
    CLEANUP_JSON struct cJSON *json = NULL;
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    (void)state;
    assert_int_equal(parse("{\"ID\":\"a\",\"Id\":\"b\",\"n\":12,\"h\":1.5,\"t\":true,\"l\":[\"x\",\"y\"]}\n", &json),
                     SBX_OK);
    assert_string_equal(json_text(json, "Id"), "b");
    assert_null(json_text(json, "id"));
    assert_null(json_text(json, "n"));
    assert_int_equal(json_integer(json, "n", -1), 12);
    assert_int_equal(json_integer(json, "h", -1), -1);
    assert_int_equal(json_integer(json, "Id", -1), -1);
    assert_int_equal(json_is_true(json, "t"), 1);
    assert_int_equal(json_is_true(json, "n"), 0);
    const struct cJSON *list = json_member(json, "l");
    assert_int_equal(json_count(list), 2);
    assert_string_equal(json_value(json_next(json_first(list))), "y");
    assert_null(json_next(json_next(json_first(list))));
    assert_null(json_member(json_member(json, "none"), "deeper"));
    assert_int_equal(json_need_text(&call, "test", json, "Id", &text), SBX_OK);
    assert_int_equal(json_need_text(&call, "test", json, "n", &text), SBX_E_PROTOCOL);
    assert_string_equal(error.message, "test: the answer has no text 'n'");
}

static void what_is_no_whole_json_is_refused(void **state)
{
    static const char *const bad[] = {"",     "{",   "{}}",     "{} x",     "{\"a\":\"b\\u0000c\"}",
                                      "[1,2", "\"a", "{\"a\"}", "nonsense", "{\"a\":1,}"};
    char deep[300] = "";
    CLEANUP_JSON struct cJSON *json = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse(bad[i], &json), SBX_E_PROTOCOL);
    for (int depth = 64; depth <= 65; depth++) {
        memset(deep, '[', (size_t)depth);
        memset(deep + depth, ']', (size_t)depth);
        assert_int_equal(parse(deep, &json), depth == 64 ? SBX_OK : SBX_E_PROTOCOL);
    }
}

static void text_is_written_so_that_it_reads_the_same(void **state)
{
    static const char text[] = "a\"b\\c\n\t\x01\x7f / \xc3\xa9 \xf0\x9f\x98\x80";
    struct buf out;
    CLEANUP_JSON struct cJSON *json = NULL;
    (void)state;
    buf_init(&out, 1000);
    (void)buf_text(&out, "{\"k\":");
    json_put_text(&out, text);
    (void)buf_text(&out, "}");
    assert_int_equal(out.failed, 0);
    assert_int_equal(parse(out.data, &json), SBX_OK);
    assert_string_equal(json_text(json, "k"), text);
    buf_finish(&out);
}

static void text_that_is_no_utf_8_is_refused(void **state)
{
    static const char *const bad[] = {"\xff",  "\xc3",        "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "a\x80", "\xe0\x80\x80"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf out;
        buf_init(&out, 1000);
        json_put_text(&out, bad[i]);
        assert_int_equal(out.failed, EILSEQ);
        buf_finish(&out);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_by_their_exact_name_and_type),
        cmocka_unit_test(what_is_no_whole_json_is_refused),
        cmocka_unit_test(text_is_written_so_that_it_reads_the_same),
        cmocka_unit_test(text_that_is_no_utf_8_is_refused),
    };
    return RUN_TESTS(tests, argc, argv);
}
