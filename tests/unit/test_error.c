/* SPDX-License-Identifier: MIT
 *
 * test_error.c - struct sbx_error, status names, the version.
 */
#include "host/error.h"

#include "unit.h"

#include <errno.h>

static void error_message_is_one_line_of_utf8(void **state)
{
    (void)state;
    struct sbx_error error = SBX_INIT(error);
    assert_int_equal(error_set(&error, SBX_E_FAILED, "a%cb%sc\x80\xc3\xa4", '\n', "\x1b[31m"), SBX_E_FAILED);
    assert_string_equal(error.message, "a?b?[31mc?\xc3\xa4");
    assert_int_equal(error.code, SBX_E_FAILED);
}

static void error_cut_keeps_whole_characters(void **state)
{
    (void)state;
    struct sbx_error error = SBX_INIT(error);
    char text[1000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        text[i] = '\xc3';
        text[i + 1] = '\xa4';
        text[i + 2] = '\0';
    }
    (void)error_set(&error, SBX_E_FAILED, "%s", text);
    assert_int_equal(strlen(error.message), 510);
    assert_int_equal((unsigned char)error.message[509], 0xa4);
}

static void error_writes_nothing_past_a_short_struct(void **state)
{
    (void)state;
    union {
        struct sbx_error error;
        unsigned char bytes[sizeof(struct sbx_error)];
    } u;
    memset(&u, 0xee, sizeof u);
    u.error.size = offsetof(struct sbx_error, message) + 8;
    (void)error_set(&u.error, SBX_E_AUTH, "a long message");
    assert_int_equal(u.error.code, SBX_E_AUTH);
    assert_string_equal(u.error.message, "a long ");
    for (size_t i = u.error.size; i < sizeof u; i++)
        assert_int_equal(u.bytes[i], 0xee);
    assert_int_equal(u.error.size, offsetof(struct sbx_error, message) + 8);
}

static void error_without_a_struct_still_gives_its_code(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, SBX_E_BUSY, "x"), SBX_E_BUSY);
    assert_int_equal(error_wrap(NULL, SBX_E_GONE, "x"), SBX_E_GONE);
    assert_int_equal(error_no_memory(NULL), SBX_E_NO_MEMORY);
}

static void error_wrap_keeps_code_id_and_flags(void **state)
{
    (void)state;
    struct sbx_error error = SBX_INIT(error);
    (void)error_set_errno(&error, SBX_E_NOT_FOUND, ENOENT, "no such directory '%s'", "/x");
    error.flags = SBX_ERR_MAYBE_APPLIED;
    (void)snprintf(error.resource_id, sizeof error.resource_id, "abc");
    assert_int_equal(error_wrap(&error, SBX_E_FAILED, "exec %s", "local/3f2a"), SBX_E_NOT_FOUND);
    assert_string_equal(error.message, "exec local/3f2a: no such directory '/x': No such file or directory");
    assert_int_equal(error.flags, SBX_ERR_MAYBE_APPLIED);
    assert_int_equal(error.os_errno, ENOENT);
    assert_string_equal(error.resource_id, "abc");
}

static void status_names_are_fixed_words(void **state)
{
    (void)state;
    assert_string_equal(sbx_status_name(SBX_OK), "ok");
    assert_string_equal(sbx_status_name(SBX_E_NOT_FOUND), "file_not_found");
    assert_string_equal(sbx_status_name(SBX_E_PERMISSION), "permission_denied");
    assert_string_equal(sbx_status_name(SBX_E_IS_DIR), "is_directory");
    assert_string_equal(sbx_status_name(SBX_E_BAD_PATH), "invalid_path");
    assert_string_equal(sbx_status_name(SBX_E_TIMEOUT), "timed_out");
    assert_string_equal(sbx_status_name(SBX_E_UNKNOWN), "unknown");
    /* An unknown code means failed (rule H9), a positive one is none. */
    assert_string_equal(sbx_status_name(-24), "failed");
    assert_string_equal(sbx_status_name(INT32_MIN), "failed");
    assert_string_equal(sbx_status_name(7), "failed");
    for (sbx_status a = SBX_E_UNKNOWN; a <= 0; a++)
        for (sbx_status b = SBX_E_UNKNOWN; b < a; b++)
            assert_string_not_equal(sbx_status_name(a), sbx_status_name(b));
    assert_string_equal(sbx_version(), SBX_VERSION);
}

static const struct CMUnitTest tests[] = {
    UNIT(error_message_is_one_line_of_utf8),        UNIT(error_cut_keeps_whole_characters),
    UNIT(error_writes_nothing_past_a_short_struct), UNIT(error_without_a_struct_still_gives_its_code),
    UNIT(error_wrap_keeps_code_id_and_flags),       UNIT(status_names_are_fixed_words),
};
UNIT_MAIN(tests)
