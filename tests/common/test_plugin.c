/* SPDX-License-Identifier: MIT
 *
 * test_plugin.c - plugins/common/plugin.h: errors, the call's clock and cancel token, configuration.
 */
#include "tests/common/runner.h"

#include "base/cleanup.h"
#include "plugins/common/plugin.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#define MS INT64_C(1000000)

static void an_error_is_one_clean_line(void **state)
{
    (void)state;
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    assert_int_equal(call_fail(&call, SBX_E_NOT_FOUND, "exec: no such directory '%s'", "/a\nb\x1b[0m\xff"),
                     SBX_E_NOT_FOUND);
    assert_string_equal(error.message, "exec: no such directory '/a?b?[0m?'");
    assert_int_equal(error.code, SBX_E_NOT_FOUND);
    assert_int_equal(error.size, sizeof error);
    assert_int_equal(error.flags, 0);
}

static void a_long_error_is_cut_not_overrun(void **state)
{
    (void)state;
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    char text[4000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(call_fail_errno(&call, ENOENT, "%s", text), SBX_E_NOT_FOUND);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_int_equal(error.os_errno, ENOENT);
}

static void errors_need_neither_call_nor_error(void **state)
{
    (void)state;
    struct sbx_call call = {.size = sizeof call};
    assert_int_equal(call_fail(NULL, SBX_E_BUSY, "x"), SBX_E_BUSY);
    assert_int_equal(call_fail(&call, SBX_E_BUSY, "x"), SBX_E_BUSY);
    call_maybe_applied(NULL, "id");
    call_maybe_applied(&call, "id");
    call_os_errno(NULL, 1);
    assert_int_equal(call_check(NULL), SBX_OK);
}

static void an_error_of_an_older_host_is_not_overrun(void **state)
{
    (void)state;
    struct {
        struct sbx_error error;
        char guard[8];
    } small;
    memset(&small, 'g', sizeof small);
    small.error.size = offsetof(struct sbx_error, message);
    struct sbx_call call = {.size = sizeof call, .error = &small.error};
    (void)call_fail(&call, SBX_E_BUSY, "some text");
    call_maybe_applied(&call, "box");
    assert_int_equal(small.error.size, offsetof(struct sbx_error, message));
    assert_int_equal(small.error.code, SBX_E_BUSY);
    assert_string_equal(small.error.resource_id, "box");
    for (size_t i = 0; i < sizeof small.error.message; i++)
        assert_int_equal(small.error.message[i], 'g');
}

static void flags_tell_what_may_be_repeated(void **state)
{
    (void)state;
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    (void)call_fail(&call, SBX_E_UNAVAILABLE, "x");
    assert_int_equal(error.flags, SBX_ERR_RETRYABLE);
    (void)call_fail(&call, SBX_E_UNKNOWN, "x");
    call_maybe_applied(&call, "box-1");
    assert_int_equal(error.flags, SBX_ERR_MAYBE_APPLIED);
    assert_string_equal(error.resource_id, "box-1");
    assert_string_equal(error.message, "x");
}

static void errno_has_its_code(void **state)
{
    (void)state;
    assert_int_equal(status_of_errno(ENOENT), SBX_E_NOT_FOUND);
    assert_int_equal(status_of_errno(EACCES), SBX_E_PERMISSION);
    assert_int_equal(status_of_errno(EISDIR), SBX_E_IS_DIR);
    assert_int_equal(status_of_errno(ENOTDIR), SBX_E_NOT_DIR);
    assert_int_equal(status_of_errno(ENOSPC), SBX_E_QUOTA);
    assert_int_equal(status_of_errno(EIO), SBX_E_FAILED);
    assert_int_equal(status_of_errno(0), SBX_E_FAILED);
}

static void a_wait_ends_at_the_deadline(void **state)
{
    (void)state;
    int64_t start = clock_now_ns();
    struct sbx_call call = {.size = sizeof call, .deadline_ns = start + 60 * MS};
    int ready = -1;
    assert_int_equal(call_poll(&call, NULL, 0, 0, &ready), SBX_E_TIMEOUT);
    int64_t took = clock_now_ns() - start;
    assert_true(took >= 60 * MS && took < 900 * MS);
    assert_int_equal(call_check(&call), SBX_E_TIMEOUT);
}

static void a_wait_ends_at_its_own_time(void **state)
{
    (void)state;
    int64_t start = clock_now_ns();
    struct sbx_call call = {.size = sizeof call, .deadline_ns = start + 5000 * MS};
    int ready = -1;
    assert_int_equal(call_poll(&call, NULL, 0, start + 30 * MS, &ready), SBX_OK);
    assert_int_equal(ready, 0);
    assert_true(clock_now_ns() - start >= 30 * MS);
}

static void what_is_ready_is_seen_after_its_time(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    struct pollfd fd = {.fd = fds[0], .events = POLLIN};
    int ready = 0;
    assert_int_equal(call_poll(NULL, &fd, 1, 1, &ready), SBX_OK);
    assert_int_equal(ready, 1);
    assert_int_equal(fd.revents, POLLIN);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void a_readable_token_cancels(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct sbx_call call = {.size = sizeof call, .flags = SBX_CALL_HAS_CANCEL_FD, .cancel_fd = fds[0]};
    assert_int_equal(call_check(&call), SBX_OK);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(call_check(&call), SBX_E_CANCELLED);
    int ready = 0;
    assert_int_equal(call_poll(&call, NULL, 0, 0, &ready), SBX_E_CANCELLED);
    call.flags = 0;
    assert_int_equal(call_check(&call), SBX_OK);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static int32_t third_time(void *user)
{
    int *asked = user;
    return ++*asked >= 3;
}

static void a_host_without_a_descriptor_is_asked(void **state)
{
    (void)state;
    int asked = 0, ready = 0;
    struct sbx_call call = {.size = sizeof call, .cancelled = third_time, .user = &asked};
    int64_t start = clock_now_ns();
    assert_int_equal(call_poll(&call, NULL, 0, 0, &ready), SBX_E_CANCELLED);
    assert_int_equal(asked, 3);
    assert_true(clock_now_ns() - start < 1000 * MS);
}

static void nothing_to_do(int signal_number)
{
    (void)signal_number;
}

static void *disturb(void *thread)
{
    for (int i = 0; i < 5; i++) {
        (void)usleep(10000);
        (void)pthread_kill(*(pthread_t *)thread, SIGUSR1);
    }
    return NULL;
}

static void signals_do_not_shorten_a_wait(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = nothing_to_do};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    pthread_t self = pthread_self(), other;
    assert_int_equal(pthread_create(&other, NULL, disturb, &self), 0);
    int64_t start = clock_now_ns();
    int ready = -1;
    assert_int_equal(call_poll(NULL, NULL, 0, start + 200 * MS, &ready), SBX_OK);
    assert_true(clock_now_ns() - start >= 200 * MS);
    assert_int_equal(pthread_join(other, NULL), 0);
}

static const struct sbx_config_key key_number = {.size = sizeof key_number, .type = SBX_KEY_INT, .name = "number"};
static const struct sbx_config_key key_truth = {.size = sizeof key_truth, .type = SBX_KEY_BOOL, .name = "truth"};
static const struct sbx_config_key key_time = {.size = sizeof key_time, .type = SBX_KEY_SECONDS, .name = "time"};
static const struct sbx_config_key key_room = {.size = sizeof key_room, .type = SBX_KEY_BYTES, .name = "room"};
static const struct sbx_config_key key_many = {
    .size = sizeof key_many, .type = SBX_KEY_STRING, .flags = SBX_KEY_REPEAT, .name = "many"};
static const struct sbx_config_key key_needed = {
    .size = sizeof key_needed, .type = SBX_KEY_STRING, .flags = SBX_KEY_REQUIRED, .name = "needed"};
static const struct sbx_config_key key_secret = {
    .size = sizeof key_secret, .type = SBX_KEY_INT, .flags = SBX_KEY_SECRET, .name = "secret"};
static const struct sbx_config_key *const keys[] = {&key_number, &key_truth,  &key_time,   &key_room,
                                                    &key_many,   &key_needed, &key_secret, NULL};

static sbx_status check(const struct sbx_kv *items, size_t count, char *message)
{
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    struct sbx_open_args args = {.size = sizeof args, .instance = "box", .config = {items, count}};
    sbx_status status = config_check(&args, keys, &call);
    memcpy(message, error.message, sizeof error.message);
    return status;
}

static void wrong_configuration_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct sbx_kv extra;
        const char *message;
    } cases[] = {
        {{"nmber", "1"}, "[box]: unknown key 'nmber'"},
        {{"number", "one"}, "[box]: key 'number' must be a whole number, not 'one'"},
        {{"truth", "2"}, "[box]: key 'truth' must be yes or no, not '2'"},
        {{"time", "5x"}, "[box]: key 'time' must be a duration such as 30s, 500ms or 5m, not '5x'"},
        {{"room", "5MB"}, "[box]: key 'room' must be a size such as 512M or 4G, not '5MB'"},
        {{"needed", "again"}, "[box]: key 'needed' is given twice"},
        {{"secret", "hush"}, "[box]: key 'secret' must be a whole number"},
        {{"number", NULL}, "[box]: key 'number' has no value"},
        {{NULL, "x"}, "[box]: a key without a name"},
    };
    char message[512];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sbx_kv items[] = {{"needed", "x"}, cases[i].extra};
        assert_int_equal(check(items, 2, message), SBX_E_CONFIG);
        assert_string_equal(message, cases[i].message);
    }
    assert_int_equal(check(NULL, 0, message), SBX_E_CONFIG);
    assert_string_equal(message, "[box]: key 'needed' is missing");
}

static void right_configuration_is_read_back(void **state)
{
    (void)state;
    char message[512];
    struct sbx_kv items[] = {{"needed", ""},  {"many", "a"},   {"many", "b"}, {"number", "-4"},
                             {"truth", "on"}, {"time", "90s"}, {"room", "2K"}};
    size_t count = sizeof items / sizeof items[0];
    assert_int_equal(check(items, count, message), SBX_OK);
    struct sbx_open_args args = {.size = sizeof args, .config = {items, count}};
    assert_string_equal(config_get(&args, "many"), "b");
    assert_null(config_get(&args, "absent"));
    assert_int_equal(config_get_int(&args, "number", 1), -4);
    assert_int_equal(config_get_int(&args, "absent", 1), 1);
    assert_int_equal(config_get_bool(&args, "truth", 0), 1);
    assert_int_equal(config_get_bool(&args, "absent", 1), 1);
    assert_int_equal(config_get_ms(&args, "time", 0), 90000);
    assert_int_equal(config_get_ms(&args, "absent", 5), 5);
    assert_int_equal(config_get_bytes(&args, "room", 0), 2048);
    assert_int_equal(config_get_bytes(&args, "absent", 6), 6);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_one_clean_line),
        cmocka_unit_test(a_long_error_is_cut_not_overrun),
        cmocka_unit_test(errors_need_neither_call_nor_error),
        cmocka_unit_test(an_error_of_an_older_host_is_not_overrun),
        cmocka_unit_test(flags_tell_what_may_be_repeated),
        cmocka_unit_test(errno_has_its_code),
        cmocka_unit_test(a_wait_ends_at_the_deadline),
        cmocka_unit_test(a_wait_ends_at_its_own_time),
        cmocka_unit_test(what_is_ready_is_seen_after_its_time),
        cmocka_unit_test(a_readable_token_cancels),
        cmocka_unit_test(a_host_without_a_descriptor_is_asked),
        cmocka_unit_test(signals_do_not_shorten_a_wait),
        cmocka_unit_test(wrong_configuration_is_refused_by_name),
        cmocka_unit_test(right_configuration_is_read_back),
    };
    return RUN_TESTS(tests, argc, argv);
}
