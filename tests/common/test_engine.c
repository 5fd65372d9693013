/* SPDX-License-Identifier: MIT
 *
 * test_engine.c - agreeing on a version of the Engine API, and what its errors mean.
 */
#include "plugins/docker/engine.h"
#include "tests/common/runner.h"
#include "tests/common/service.h"

struct asking {
    struct service service;
    struct engine engine;
    struct sbx_error error;
    struct sbx_call call;
    char reply[1024];
};

static sbx_status open_with(struct asking *a, const char *reply)
{
    memset(a, 0, sizeof *a);
    a->error.size = sizeof a->error;
    a->call = (struct sbx_call){.size = sizeof a->call, .error = &a->error};
    (void)snprintf(a->reply, sizeof a->reply, "%s", reply);
    service_open(&a->service, a->reply, strlen(a->reply), 1);
    const struct http_options options = {.base = "http://docker", .unix_path = a->service.path};
    return engine_open(&a->engine, &options, &a->call);
}

static void close_both(struct asking *a)
{
    engine_close(&a->engine);
    service_close(&a->service);
}

static void the_newest_version_that_both_know_is_taken(void **state)
{
    static const struct {
        const char *theirs;
        sbx_status status;
        const char *agreed;
    } cases[] = {{"1.41", SBX_OK, "v1.41"},
                 {"1.47", SBX_OK, "v1.47"},
                 {"1.52", SBX_OK, "v1.52"},
                 {"1.60", SBX_OK, "v1.52"},
                 {"2.0", SBX_OK, "v1.52"},
                 {"1.40", SBX_E_UNSUPPORTED, ""},
                 {"1.5", SBX_E_UNSUPPORTED, ""},
                 {"0.9", SBX_E_PROTOCOL, ""},
                 {"1.41x", SBX_E_PROTOCOL, ""},
                 {"nonsense", SBX_E_PROTOCOL, ""},
                 {"1.99999999999", SBX_E_PROTOCOL, ""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asking a;
        char reply[256];
        (void)snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nApi-Version: %s\r\nContent-Length: 2\r\n\r\nOK",
                       cases[i].theirs);
        assert_int_equal(open_with(&a, reply), cases[i].status);
        assert_string_equal(a.engine.version, cases[i].agreed);
        if (cases[i].status == SBX_E_UNSUPPORTED)
            assert_non_null(strstr(a.error.message, "1.41 or newer is needed"));
        close_both(&a);
    }
}

static void what_is_no_docker_daemon_is_told(void **state)
{
    static const struct {
        const char *reply;
        sbx_status status;
    } cases[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", SBX_E_PROTOCOL},
                 {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", SBX_E_AUTH},
                 {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", SBX_E_UNAVAILABLE}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asking a;
        assert_int_equal(open_with(&a, cases[i].reply), cases[i].status);
        close_both(&a);
    }
}

static void the_daemons_own_words_are_passed_on_with_a_code(void **state)
{
    static const struct {
        const char *status;
        const char *body;
        sbx_status code;
        const char *words;
    } cases[] = {
        {"404 Not Found", "{\"message\":\"No such image: x.\"}", SBX_E_NOT_FOUND, "No such image: x (HTTP 404)"},
        {"409 Conflict", "{\"message\":\"is paused\"}", SBX_E_STATE, "is paused (HTTP 409)"},
        {"500 Error", "{\"cause\":\"x\",\"message\":\"container state improper\"}", SBX_E_STATE, "improper"},
        {"500 Error", "{\"message\":\"no space left on device\"}", SBX_E_QUOTA, "no space left"},
        {"500 Error", "<html>", SBX_E_FAILED, "no reason given (HTTP 500)"},
        {"400 Bad", "{\"message\":\"line\\nbreak\"}", SBX_E_INVALID, "line?break"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asking a;
        char refusal[512]; /* the service may be about to leave the send of the first reply */
        CLEANUP_JSON struct cJSON *json = NULL;
        assert_int_equal(open_with(&a, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n"), SBX_OK);
        (void)snprintf(refusal, sizeof refusal, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", cases[i].status,
                       strlen(cases[i].body), cases[i].body);
        a.service.reply = refusal;
        a.service.reply_len = strlen(refusal);
        assert_int_equal(engine_get(&a.engine, &a.call, "ask", &json, "/thing/%d", 7), cases[i].code);
        assert_non_null(strstr(a.error.message, cases[i].words));
        assert_true(a.error.provider_status >= 400);
        assert_memory_equal(a.service.last, "GET /v1.41/thing/7 ", 19);
        close_both(&a);
    }
}

static void references_lead_nowhere_else(void **state)
{
    static const char *const bad[] = {"", "..", "a/b", "a b", "-x", ".x", "a?b", "a%2e", "\xc3\xa9"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(engine_is_reference(bad[i]));
    assert_true(engine_is_reference("3f2a"));
    assert_true(engine_is_reference("my_box-1.2"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_version_that_both_know_is_taken),
        cmocka_unit_test(what_is_no_docker_daemon_is_told),
        cmocka_unit_test(the_daemons_own_words_are_passed_on_with_a_code),
        cmocka_unit_test(references_lead_nowhere_else),
    };
    return RUN_TESTS(tests, argc, argv);
}
