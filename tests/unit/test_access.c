/* SPDX-License-Identifier: MIT
 *
 * test_access.c - SSH keys and endpoints of a provider's through sbx_access.h.
 */
#include "direct.h"

#include "sbx_access.h"

static void look_login(void *user, const struct sbx_ssh_login *login)
{
    char *said = user;
    (void)snprintf(said, 200, "%s@%s:%u %s %s", login->user, login->host, login->port, login->proxy_command,
                   login->private_key);
}

static void ssh_key_is_copied_before_the_provider_takes_it_back(void **state)
{
    (void)state;
    struct place p;
    char said[200] = "";
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_support(p.box, "sbx.ssh/1"), SBX_SUPPORT_NATIVE);
    assert_int_equal(sbx_ssh_key_create(p.box, NULL, look_login, said, &p.error), SBX_OK);
    assert_string_equal(said, "somebody@box.invalid:2222 nc %h %p -----BEGIN KEY-----\nxyz\n");
    assert_int_equal(sbx_ssh_key_create(p.box, NULL, NULL, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_ssh_key_create(NULL, NULL, look_login, said, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static void ssh_answers_that_could_steer_a_program_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"ssh-host", "ssh-user", "ssh-proxy", "ssh-key", "ssh-none", "ssh-twice"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct place p;
        char said[200] = "";
        place_open(&p, "direct", bad[i]);
        place_create(&p);
        assert_int_equal(sbx_ssh_key_create(p.box, NULL, look_login, said, &p.error), SBX_E_PROTOCOL);
        assert_string_equal(said, "");
        place_close(&p);
    }
}

struct endpoints {
    int count;
    char said[200];
};

static void look_endpoint(void *user, const struct sbx_endpoint *endpoint)
{
    struct endpoints *seen = user;
    seen->count++;
    (void)snprintf(seen->said, sizeof seen->said, "%s %u %s %s", endpoint->id, endpoint->port, endpoint->url,
                   endpoint->token != NULL ? endpoint->token : "-");
}

static void endpoints_are_made_once_listed_and_ended(void **state)
{
    (void)state;
    struct place p;
    struct endpoints seen = {0};
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_endpoint_list(p.box, NULL, look_endpoint, &seen, &p.error), SBX_OK);
    assert_int_equal(seen.count, 0);
    assert_int_equal(sbx_endpoint_create(p.box, 80, SBX_ENDPOINT_TOKEN, NULL, look_endpoint, &seen, &p.error), SBX_OK);
    assert_string_equal(seen.said, "t1 80 https://80.box.invalid secret-7");
    assert_int_equal(sbx_endpoint_create(p.box, 81, SBX_ENDPOINT_OPEN, NULL, look_endpoint, &seen, &p.error),
                     SBX_E_STATE);
    assert_int_equal(sbx_endpoint_list(p.box, NULL, look_endpoint, &seen, &p.error), SBX_OK);
    assert_string_equal(seen.said, "t1 0 https://0.box.invalid secret-7");
    assert_int_equal(seen.count, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sbx_endpoint_remove(p.box, "t1", NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_endpoint_create(p.box, 81, SBX_ENDPOINT_OPEN, NULL, look_endpoint, &seen, &p.error), SBX_OK);
    assert_string_equal(seen.said, "t1 81 https://81.box.invalid -");
    assert_int_equal(sbx_endpoint_create(p.box, 0, 0, NULL, NULL, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_endpoint_create(p.box, 65536, 0, NULL, NULL, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_endpoint_create(p.box, 80, 2, NULL, NULL, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_endpoint_remove(p.box, NULL, NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static void endpoint_answers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"tunnel-id", "tunnel-url"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct place p;
        struct endpoints seen = {0};
        place_open(&p, "direct", bad[i]);
        place_create(&p);
        assert_int_equal(sbx_endpoint_create(p.box, 80, SBX_ENDPOINT_TOKEN, NULL, look_endpoint, &seen, &p.error),
                         SBX_E_PROTOCOL);
        assert_int_equal(seen.count, 0);
        place_close(&p);
    }
}

static void endpoint_that_is_not_what_was_asked_for_is_taken_back(void **state)
{
    (void)state;
    static const struct {
        const char *bad, *message;
        int left;
    } table[] = {{"tunnel-token", "the provider's endpoint 't1' has no token", 0},
                 {"tunnel-port", "the provider's endpoint 't1' is for port 22", 0},
                 {"tunnel-twice", "the provider reported 2 endpoints instead of one", 0},
                 {"tunnel-stays", "the provider's endpoint 't1' has no token; 't1' is still open", 1}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct place p;
        struct endpoints seen = {0};
        place_open(&p, "direct", table[i].bad);
        place_create(&p);
        assert_int_equal(sbx_endpoint_create(p.box, 80, SBX_ENDPOINT_TOKEN, NULL, look_endpoint, &seen, &p.error),
                         SBX_E_PROTOCOL);
        assert_string_equal(strstr(p.error.message, "the provider"), table[i].message);
        assert_int_equal(seen.count, 0);
        assert_int_equal(sbx_endpoint_list(p.box, NULL, look_endpoint, &seen, &p.error), SBX_OK);
        assert_int_equal(seen.count, table[i].left);
        place_close(&p);
    }
}

static void provider_without_ways_in_says_so(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct-bare", NULL);
    assert_int_equal(sbx_ssh_key_create(p.box, NULL, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    assert_non_null(strstr(p.error.message, "sbx.ssh/1"));
    assert_int_equal(sbx_endpoint_create(p.box, 80, 0, NULL, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    assert_int_equal(sbx_endpoint_list(p.box, NULL, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    assert_int_equal(sbx_endpoint_remove(p.box, "t1", NULL, &p.error), SBX_E_UNSUPPORTED);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(ssh_key_is_copied_before_the_provider_takes_it_back),
    UNIT(ssh_answers_that_could_steer_a_program_are_refused),
    UNIT(endpoints_are_made_once_listed_and_ended),
    UNIT(endpoint_answers_that_are_none_are_refused),
    UNIT(endpoint_that_is_not_what_was_asked_for_is_taken_back),
    UNIT(provider_without_ways_in_says_so),
};
UNIT_MAIN(tests)
