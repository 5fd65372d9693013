/* SPDX-License-Identifier: MIT
 *
 * test_config_secret.c - what a plugin's open() is given: typed values, repeats in order, secrets from all three
 * places.
 */
#include "config_case.h"

#define HEAD "[sbx]\nplugin_path = %P\n[provider a]\nplugin = schema\nendpoint = e\n"

struct resolved {
    struct config_case c;
    struct config *config;
    struct config_pair *pairs;
    size_t count;
    struct log *log;
    char last[256];
};

static void keep(void *user, int32_t level, const char *where, const char *message)
{
    (void)level, (void)where;
    struct resolved *r = user;
    (void)snprintf(r->last, sizeof r->last, "%s", message);
}

static sbx_status resolve(struct resolved *r, const char *text, mode_t mode)
{
    config_case_write(&r->c, text, strlen(text), mode);
    const struct loader_plugin *plugin = NULL;
    sbx_status status = config_case_load(&r->c, &r->config);
    if (status == SBX_OK)
        status = loader_load((const char *const *)r->config->plugin_paths, "schema", NULL, &plugin, &r->c.error);
    if (status == SBX_OK)
        status = config_resolve(&r->config->instances[0], &plugin->descriptor, r->log, NULL, NULL, &r->pairs, &r->count,
                                &r->c.error);
    return status;
}

static void begin(struct resolved *r)
{
    memset(r, 0, sizeof *r);
    config_case_init(&r->c);
    r->log = log_create(keep, r, SBX_LOG_DEBUG);
    assert_non_null(r->log);
}

static void end(struct resolved *r)
{
    config_pairs_destroy(r->pairs, r->count);
    config_destroy(r->config);
    log_destroy(r->log);
    config_case_finish(&r->c);
}

static void secret_is(struct resolved *r, const char *text, mode_t mode, const char *secret)
{
    if (resolve(r, text, mode) != SBX_OK)
        fail_msg("%s", r->c.error.message);
    assert_int_equal(r->count, 2);
    assert_string_equal(r->pairs[1].key, "token");
    assert_string_equal(r->pairs[1].value, secret);
    assert_int_equal(r->pairs[1].secret, 1);
    assert_int_equal(r->pairs[0].secret, 0);
    log_line(r->log, SBX_LOG_INFO, "test", "it is %s.", secret);
    assert_string_equal(r->last, "it is ***.");
}

static void config_resolve_keeps_order_and_repeats(void **state)
{
    (void)state;
    struct resolved r;
    begin(&r);
    assert_int_equal(resolve(&r,
                             HEAD "bind = /a\nx-own = 1\nretries = -3\nbind = /b\nverify = off\ntimeout = 0\n"
                                  "memory = 4G\ncert = /c d/e\nbind = /a\n",
                             0644),
                     SBX_OK);
    static const char *const expected[][2] = {{"endpoint", "e"}, {"bind", "/a"},     {"retries", "-3"},
                                              {"bind", "/b"},    {"verify", "off"},  {"timeout", "0"},
                                              {"memory", "4G"},  {"cert", "/c d/e"}, {"bind", "/a"}};
    assert_int_equal(r.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < r.count; i++) {
        assert_string_equal(r.pairs[i].key, expected[i][0]);
        assert_string_equal(r.pairs[i].value, expected[i][1]);
    }
    end(&r);
}

static void config_secret_comes_from_a_private_file(void **state)
{
    (void)state;
    static const char *const contents[] = {"hunter22", "hunter22\n", "hunter22\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct resolved r;
        begin(&r);
        char path[128];
        (void)snprintf(path, sizeof path, "%s/secret", r.c.folder);
        unit_write(path, contents[i], strlen(contents[i]), i == 1 ? 0400 : 0600);
        secret_is(&r, HEAD "token_file = %D/secret\n", 0644, "hunter22");
        end(&r);
    }
}

static void config_secret_comes_from_the_environment(void **state)
{
    (void)state;
    struct resolved r;
    begin(&r);
    assert_int_equal(setenv("SBX_TEST_TOKEN", "hunter 22; \xc3\xa4", 1), 0);
    secret_is(&r, HEAD "token_env = SBX_TEST_TOKEN\n", 0644, "hunter 22; \xc3\xa4");
    end(&r);
    static const char *const bad[] = {"", "a\nb", "a\tb"};
    for (size_t i = 0; i < 3; i++) {
        begin(&r);
        assert_int_equal(setenv("SBX_TEST_TOKEN", bad[i], 1), 0);
        assert_int_equal(resolve(&r, HEAD "token_env = SBX_TEST_TOKEN\n", 0644), SBX_E_CONFIG);
        unit_assert_contains(r.c.error.message, ":6: token_env: SBX_TEST_TOKEN ");
        end(&r);
    }
}

static void config_secret_stands_inline_in_a_private_file_only(void **state)
{
    (void)state;
    struct resolved r;
    begin(&r);
    secret_is(&r, HEAD "token = ab ;cd = #1\n", 0600, "ab ;cd = #1");
    end(&r);
    static const mode_t modes[] = {0640, 0604, 0644, 0610};
    for (size_t i = 0; i < 4; i++) {
        begin(&r);
        assert_int_equal(resolve(&r, HEAD "token = hunter22\n", modes[i]), SBX_E_CONFIG);
        unit_assert_contains(r.c.error.message, "use token_file or token_env, or chmod 600");
        assert_null(r.pairs);
        end(&r);
    }
}

static void config_secret_file_of_a_stranger_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        UNIT_SKIP("only root can give files away");
    struct resolved r;
    begin(&r);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/secret", r.c.folder);
    unit_write(path, "hunter22", 8, 0600);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(resolve(&r, HEAD "token_file = %D/secret\n", 0644), SBX_E_CONFIG);
    unit_assert_contains(r.c.error.message, "belongs to another user");
    end(&r);
}

static const struct CMUnitTest tests[] = {
    UNIT(config_resolve_keeps_order_and_repeats),      UNIT(config_secret_comes_from_a_private_file),
    UNIT(config_secret_comes_from_the_environment),    UNIT(config_secret_stands_inline_in_a_private_file_only),
    UNIT(config_secret_file_of_a_stranger_is_refused),
};
UNIT_MAIN(tests)
