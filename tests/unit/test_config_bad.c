/* SPDX-License-Identifier: MIT
 *
 * test_config_bad.c - a corpus of bad configurations: each is refused at its file and line, with what was expected.
 */
#include "config_case.h"

#define S "[sbx]\nplugin_path = %P\n"
#define P S "[provider a]\nplugin = schema\nendpoint = e\n" /* its lines are 3, 4 and 5; the next is 6 */

/* `@` in the text stands for `pad` times the letter a. */
struct bad {
    const char *name;
    const char *text;
    size_t len; /* 0: strlen */
    size_t pad;
    uint32_t line;
    const char *message; /* a part of it */
    const char *nearest; /* "" none */
    size_t count;        /* of findings; 0: one */
};
#define T(text) text, sizeof(text) - 1, 0

/* What no section or plugin has to be known for. */
static const struct bad syntax[] = {
    {"no equals", T("[sbx]\nlifetime\n"), 2, "no '=' in this line; expected key = value", "", 0},
    {"colon for equals", T("[sbx]\nlifetime: 5\n"), 2, "no '=' in this line", "", 0},
    {"colon before equals", T("[sbx]\nlifetime: a=5\n"), 2, "bad key", "", 0},
    {"no key", T("[sbx]\n= 5\n"), 2, "no key before '='", "", 0},
    {"no value", T("[sbx]\nlifetime =\n"), 2, "no value after '='", "", 0},
    {"blank value", T("[sbx]\nlifetime =  \t \n"), 2, "no value after '='", "", 0},
    {"blank in key", T("[sbx]\nlife time = 5\n"), 2, "bad key", "", 0},
    {"key of other letters", T("[sbx]\nlifetim\xc3\xa9 = 5\n"), 2, "bad key", "", 0},
    {"key of 65 bytes", "[sbx]\n@ = 1\n", 0, 65, 2, "key longer than 64 bytes", "", 0},
    {"indented key", T("[sbx]\nlifetime = 5m\n other = 1\n"), 3, "indented line", "", 0},
    {"value that goes on", T("[sbx]\nplugin_path = /a\n\t/b=c\n"), 3, "indented line", "", 0},
    {"indented section", T(" [sbx]\n"), 1, "indented line", "", 0},
    {"double quotes", T("[sbx]\ndefault = \"local\"\n"), 2, "quotes around a value are not removed", "", 0},
    {"single quotes", T("[sbx]\ndefault = 'local'\n"), 2, "quotes around a value are not removed", "", 0},
    {"section without end", T("[sbx\n"), 1, "section without its ']'", "", 0},
    {"text after section", T("[sbx] lifetime = 5m\n"), 1, "text after a section's ']'", "", 0},
    {"comment after section", T("[sbx] ; host\n"), 1, "text after a section's ']'", "", 0},
    {"empty section", T("[]\n"), 1, "section without a name", "", 0},
    {"section in section", T("[sbx[x]\n"), 1, "'[' in a section's name", "", 0},
    {"section of 49 bytes", "[provider @]\nplugin = x\n", 0, 40, 1, "section name longer than 48 bytes", "", 0},
    {"section of 200 bytes", "[provider @]\nplugin = x\n", 0, 200, 1, "section name longer than 48 bytes", "", 0},
    {"NUL in a value", T("[sbx]\nlifetime = 5m\0 and more\n"), 2, "control byte 0x00", "", 0},
    {"NUL in a key", T("[sbx]\nlife\0time = 5m\n"), 2, "control byte 0x00", "", 0},
    {"NUL in a comment", T("# a\0b\n[sbx]\n"), 1, "control byte 0x00", "", 0},
    {"NUL in a section", T("[s\0bx]\n"), 1, "control byte 0x00", "", 0},
    {"only NULs", T("\0\0\0\0"), 1, "control byte 0x00", "", 0},
    {"escape in a value", T("[sbx]\ndefault = \033[31mlocal\n"), 2, "control byte 0x1b", "", 0},
    {"form feed in a value", T("[sbx]\ndefault = a\fb\n"), 2, "control byte 0x0c", "", 0},
    {"DEL in a value", T("[sbx]\ndefault = a\x7f\n"), 2, "control byte 0x7f", "", 0},
    {"old line ends", T("[sbx]\rlifetime = 5m\r"), 1, "control byte 0x0d", "", 0},
    {"UTF-16 little", T("\xff\xfe[\0s\0b\0x\0]\0"), 1, "is UTF-16; expected UTF-8", "", 0},
    {"UTF-16 big", T("\xfe\xff\0[\0s\0b\0x\0]"), 1, "is UTF-16; expected UTF-8", "", 0},
    {"mark in the middle", T("[sbx]\n\xef\xbb\xbflifetime = 5m\n"), 2, "bad key", "", 0},
    {"line of 70000", "[sbx]\ndefault = @\n", 0, 70000, 2, "line longer than 64 KiB", "", 0},
    {"file of 1 MiB and 1 byte", "@", 0, (1 << 20) + 1, 0, "is larger than 1 MiB", "", 0},
    {"key before a section", T("lifetime = 5m\n"), 1, "key 'lifetime' before any section", "", 0},
    {"a shell script", T("#!/bin/sh\nexec sbxctl run\n"), 2, "no '=' in this line", "", 0},
    {"JSON", T("{\"sbx\": {}}\n"), 1, "no '=' in this line", "", 0},
    {"YAML", T("sbx:\n  lifetime: 5m\n"), 1, "no '=' in this line", "", 2},
    {"TOML", T("[sbx]\ndefault = \"local\"\nx = [1]\n"), 2, "quotes around a value", "", 2},
};

/* Sections and the host's own keys. */
static const struct bad host[] = {
    {"unknown section", T("[docker]\nimage = x\n"), 1, "unknown section [docker]; expected [sbx], [provider NAME]", "",
     0},
    {"misspelt section", T("[sbxx]\n"), 1, "unknown section [sbxx]", "sbx", 0},
    {"misspelt provider", T("[providr a]\nplugin = schema\n"), 1, "unknown section [providr a]", "provider", 0},
    {"other case", T("[SBX]\n"), 1, "unknown section [SBX]", "sbx", 0},
    {"provider without name", T("[provider]\n"), 1, "[provider] has no name", "", 0},
    {"provider with slash", T("[provider a/b]\n"), 1, "[provider a/b] has a bad name", "", 0},
    {"provider of dots", T("[provider ..]\n"), 1, "[provider ..] has a bad name", "", 0},
    {"provider with blank", T("[provider a b]\n"), 1, "[provider a b] has a bad name", "", 0},
    {"provider by colon", T("[provider:a]\n"), 1, "unknown section [provider:a]", "provider", 0},
    {"route without name", T("[route]\n"), 1, "[route] has no name", "", 0},
    {"sbx twice", T("[sbx]\n[sbx]\n"), 2, "section [sbx] again; the first is at line 1", "", 0},
    {"provider twice", T(P "[provider a]\n"), 6, "section [provider a] again; the first is at ", "", 0},
    {"route twice", T(P "[route r]\nuse=a\n[route r]\nuse=a\n"), 8, "section [route r] again", "", 0},
    {"unknown key", T("[sbx]\nwhatever = 1\n"), 2, "unknown key 'whatever' in [sbx]", "", 0},
    {"misspelt key", T("[sbx]\nlifetme = 5m\n"), 2, "unknown key 'lifetme' in [sbx]", "lifetime", 0},
    {"dash for underscore", T("[sbx]\nlog-level = info\n"), 2, "unknown key 'log-level'", "log_level", 0},
    {"swapped letters", T("[sbx]\ndefualt = x\n"), 2, "unknown key 'defualt'", "default", 0},
    {"key twice", T("[sbx]\nlifetime = 5m\nlifetime = 6m\n"), 3, "key 'lifetime' again; the first is at ", "", 0},
    {"same key, same value", T("[sbx]\nlifetime = 5m\nlifetime = 5m\n"), 3, "key 'lifetime' again", "", 0},
    {"duration in words", T("[sbx]\nlifetime = forever\n"), 2, "lifetime is 'forever'; expected a duration", "", 0},
    {"negative duration", T("[sbx]\nlifetime = -5m\n"), 2, "lifetime is '-5m'; expected a duration", "", 0},
    {"comment after a value", T("[sbx]\nlifetime = 5m ; short\n"), 2, "expected a duration", "", 0},
    {"no lifetime", T("[sbx]\nlifetime = 0\n"), 2, "lifetime out of range", "", 0},
    {"half a second", T("[sbx]\nlifetime = 500ms\n"), 2, "lifetime out of range", "", 0},
    {"huge lifetime", T("[sbx]\nlifetime = 99999999999\n"), 2, "lifetime out of range", "", 0},
    {"endless lifetime", T("[sbx]\nlifetime = 99999999999999999999\n"), 2, "expected a duration", "", 0},
    {"bad size", T("[sbx]\ncapture_limit = 10 MB\n"), 2, "capture_limit is '10 MB'; expected a size", "", 0},
    {"no size", T("[sbx]\ncapture_limit = 0\n"), 2, "expected at least one byte", "", 0},
    {"log level", T("[sbx]\nlog_level = warning\n"), 2, "log_level is 'warning'; expected debug, info", "", 0},
    {"log level misspelt", T("[sbx]\nlog_level = debgu\n"), 2, "log_level is 'debgu'", "debug", 0},
    {"relative folder", T("[sbx]\nplugin_path = plugins\n"), 2, "plugin_path is 'plugins'; expected an absolute path",
     "", 0},
    {"home folder", T("[sbx]\nplugin_path = ~/plugins\n"), 2, "expected an absolute path", "", 0},
    {"folder with dots", T("[sbx]\nplugin_path = /usr/../tmp\n"), 2, "without '..'", "", 0},
    {"unknown default", T(P "[provider local]\nplugin=good\n[sbx]\n"), 8, "section [sbx] again", "", 0},
    {"default is no provider", T("[sbx]\ndefault = loca\nplugin_path = %P\n[provider local]\nplugin = good\n"), 2,
     "default names 'loca', which is no provider", "local", 0},
    {"several, no default", T("[sbx]\nplugin_path = %P\n[provider a]\nplugin=good\n[provider b]\nplugin=good\n"), 0,
     "several providers and none is called local; expected default = NAME", "", 0},
    {"no plugin", T("[provider a]\n"), 1, "[provider a] has no usable plugin; expected plugin = ID", "", 0},
    {"plugin is a path", T("[provider a]\nplugin = ./x.so\n"), 2, "plugin is './x.so'; expected a plugin's id", "", 2},
    {"plugin twice", T(S "[provider a]\nplugin = good\nplugin = good\n"), 5,
     "key 'plugin' again; the first is at line 4", "", 0},
    {"plugin not there", T(S "[provider a]\nplugin = absent\n"), 3, "[provider a]: plugin 'absent': no absent.so in ",
     "", 0},
    {"plugin misshapen", T(S "[provider a]\nplugin = major-2\n"), 3, "built for ABI 2, this host has ABI 1", "", 0},
    {"route without use", T(P "[route r]\nimage = debian:*\n"), 6, "[route r] has no usable 'use'", "", 0},
    {"route to nobody", T(P "[route r]\nuse = b\n"), 7, "use names 'b', which is no provider", "", 0},
    {"route twice to one", T(P "[route r]\nuse = a, a\n"), 7, "use names 'a' twice", "", 0},
    {"route of commas", T(P "[route r]\nuse = , ,\n"), 6, "[route r] has no usable 'use'", "", 0},
    {"label without value", T(P "[route r]\nuse = a\nlabel = big\n"), 8, "label is 'big'; expected KEY=VALUE", "", 0},
    {"unknown capability", T(P "[route r]\nuse = a\nrequire = sbx.ttty/1\n"), 8, "require names 'sbx.ttty/1'",
     "sbx.tty/1", 0},
    {"capability, later revision", T(P "[route r]\nuse = a\nrequire = sbx.tty/9\n"), 8, "require names 'sbx.tty/9'",
     "sbx.tty/1", 0},
    {"capability without revision", T(P "[route r]\nuse = a\nrequire = tty\n"), 8, "expected a capability such as", "",
     0},
    {"unknown key in a route", T(P "[route r]\nuse = a\nimages = x\n"), 8, "unknown key 'images' in [route]", "image",
     0},
    {"image twice", T(P "[route r]\nuse = a\nimage = x\nimage = y\n"), 9, "key 'image' again; the first is at ", "", 0},
};

/* What the plugin's schema says. */
static const struct bad schema[] = {
    {"unknown key", T(P "colour = red\n"), 6, "unknown key 'colour' in [provider a] (plugin schema)", "", 0},
    {"misspelt key", T(P "timout = 5m\n"), 6, "unknown key 'timout'", "timeout", 0},
    {"misspelt plugin", T(P "plugn = x\n"), 6, "unknown key 'plugn'", "plugin", 0},
    {"misspelt secret form", T(P "token_fil = /x\n"), 6, "unknown key 'token_fil'", "token_file", 0},
    {"env of no secret", T(P "timeout_env = X\n"), 6, "unknown key 'timeout_env'", "", 0},
    {"key twice", T(P "timeout = 5m\ntimeout = 6m\n"), 7, "key 'timeout' again; 'timeout' is at line 6 already", "", 0},
    {"number in words", T(P "retries = many\n"), 6, "retries is 'many'; expected a whole number", "", 0},
    {"number with unit", T(P "retries = 5s\n"), 6, "expected a whole number", "", 0},
    {"number too large", T(P "retries = 99999999999999999999\n"), 6, "expected a whole number", "", 0},
    {"perhaps", T(P "verify = perhaps\n"), 6, "verify is 'perhaps'; expected yes or no", "", 0},
    {"bad duration", T(P "timeout = 5 minutes\n"), 6, "timeout is '5 minutes'; expected a duration", "", 0},
    {"bad size", T(P "memory = 1.5G\n"), 6, "memory is '1.5G'; expected a size", "", 0},
    {"relative path", T(P "cert = cert.pem\n"), 6, "cert is 'cert.pem'; expected an absolute path", "", 0},
    {"missing key", T(S "[provider a]\nplugin = schema\n"), 3, "[provider a] lacks endpoint: what it is for", "", 0},
    {"missing secret", T(S "[provider a]\nplugin = needy\n"), 3, "lacks password_file or _env", "", 0},
    {"secret for all to read", T(P "token = hush-hush\n"), 6, "token: a secret in a file that others may read", "", 0},
    {"two secrets", T(P "token_env = HOME\ntoken_file = /x\n"), 7, "'token_file' besides 'token_env' at line 6", "", 0},
    {"secret and file", T(P "token = x\ntoken_file = /x\n"), 7, "'token_file' besides 'token' at line 6", "", 2},
    {"variable not set", T(P "token_env = SBX_TEST_NOT_SET\n"), 6, "variable SBX_TEST_NOT_SET is not set", "", 0},
    {"no variable's name", T(P "token_env = $HOME\n"), 6, "expected the name of an environment variable", "", 0},
    {"file not there", T(P "token_file = %D/nothing\n"), 6, "/nothing: No such file or directory", "", 0},
    {"relative file", T(P "token_file = secret\n"), 6, "token_file: expected an absolute path", "", 0},
    {"folder as file", T(P "token_file = %D\n"), 6, "is not a regular file", "", 0},
    {"open file", T(P "token_file = %D/open\n"), 6, "/open is open to others than its owner", "", 0},
    {"empty file", T(P "token_file = %D/empty\n"), 6, "/empty is empty", "", 0},
    {"file of two lines", T(P "token_file = %D/lines\n"), 6, "/lines has a control byte in it", "", 0},
    {"file with a NUL", T(P "token_file = %D/nul\n"), 6, "/nul has a control byte in it", "", 0},
    {"huge file", T(P "token_file = %D/huge\n"), 6, "/huge is larger than 64 KiB", "", 0},
    {"device", T(P "token_file = /dev/zero\n"), 6, "/dev/zero is not a regular file", "", 0},
    {"no keys known", T(S "[provider a]\nplugin = good\nanything = 1\n"), 5, "unknown key 'anything'", "", 0},
};

static char *padded(const struct bad *bad, size_t *len)
{
    size_t plain = bad->len == 0 ? strlen(bad->text) : bad->len;
    char *text = malloc(plain + bad->pad + 1);
    assert_non_null(text);
    *len = 0;
    for (size_t i = 0; i < plain; i++) {
        if (bad->pad == 0 || bad->text[i] != '@') {
            text[(*len)++] = bad->text[i];
            continue;
        }
        memset(text + *len, 'a', bad->pad);
        *len += bad->pad;
    }
    return text;
}

static void make_secrets(const struct config_case *c)
{
    static char huge[65537];
    memset(huge, 'x', sizeof huge);
    const struct {
        const char *name;
        const char *data;
        size_t len;
        mode_t mode;
    } files[] = {{"open", "secret\n", 7, 0640},
                 {"empty", "\n", 1, 0600},
                 {"lines", "a\nb\n", 4, 0600},
                 {"nul", "a\0b\n", 4, 0600},
                 {"huge", huge, sizeof huge, 0600}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", c->folder, files[i].name);
        unit_write(path, files[i].data, files[i].len, files[i].mode);
    }
}

/* What is wrong with the findings of a bad file; NULL: nothing. */
static const char *verdict(const struct config_case *c, const struct bad *bad, sbx_status status)
{
    char where[200];
    (void)snprintf(where, sizeof where, bad->line == 0 ? "%s: " : "%s:%u: ", c->path, bad->line);
    if (status != SBX_E_CONFIG || c->error.code != SBX_E_CONFIG)
        return "not refused as SBX_E_CONFIG";
    if (c->found.count != (bad->count == 0 ? 1 : bad->count))
        return "other number of findings";
    if (strcmp(c->found.items[0].file, c->path) != 0 && bad->count < 2)
        return "other file";
    for (size_t i = 0; i < c->found.count; i++)
        if (c->found.items[i].line == bad->line && strstr(c->found.items[i].message, bad->message) != NULL &&
            strcmp(c->found.items[i].nearest, bad->nearest) == 0)
            return i > 0 || strncmp(c->error.message, where, strlen(where)) == 0 ? NULL : "error does not say where";
    return "no such finding";
}

static void run(const struct bad *all, size_t count)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        struct config_case c;
        config_case_init(&c);
        make_secrets(&c);
        size_t len = 0;
        char *text = padded(&all[i], &len);
        config_case_write(&c, text, len, 0644);
        free(text);
        sbx_status status = config_case_check(&c);
        const char *wrong = verdict(&c, &all[i], status);
        if (wrong != NULL) {
            printf("%s: %s\n", all[i].name, wrong);
            config_case_dump(&c);
            failed++;
        }
        config_case_finish(&c);
    }
    assert_int_equal(failed, 0);
}

static void config_refuses_each_line_it_cannot_be_sure_of(void **state)
{
    (void)state;
    run(syntax, sizeof syntax / sizeof syntax[0]);
}

static void config_refuses_each_wrong_section_and_host_key(void **state)
{
    (void)state;
    run(host, sizeof host / sizeof host[0]);
}

static void config_refuses_each_key_that_the_schema_does_not_allow(void **state)
{
    (void)state;
    run(schema, sizeof schema / sizeof schema[0]);
}

/* The trap of inih: with its defaults a line of 199 bytes ends there and what follows on it is read as a new line. */
static void config_long_line_injects_no_section(void **state)
{
    (void)state;
    for (size_t before = 180; before < 220; before++) {
        struct config_case c;
        config_case_init(&c);
        char text[600], value[300];
        memset(value, 'v', sizeof value);
        (void)snprintf(text, sizeof text, "[sbx]\nx-long = %.*s[provider evil]\n", (int)before - 9, value);
        config_case_write(&c, text, strlen(text), 0644);
        struct config *config = NULL;
        if (config_case_load(&c, &config) != SBX_OK)
            config_case_dump(&c);
        assert_non_null(config);
        for (size_t i = 0; i < config->instance_count; i++)
            assert_string_not_equal(config->instances[i].name, "evil");
        config_destroy(config);
        config_case_finish(&c);
    }
}

static void config_keeps_a_value_of_60000_bytes_whole(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    const size_t len = 60000;
    char *text = malloc(len + 200);
    assert_non_null(text);
    static const char head[] = "[provider a]\nplugin = schema\nendpoint = ";
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'v', len);
    text[sizeof head - 1 + len] = '\n';
    config_case_write(&c, text, sizeof head + len, 0644);
    struct config *config = NULL;
    assert_int_equal(config_case_load(&c, &config), SBX_OK);
    assert_int_equal(config->instance_count, 1);
    assert_int_equal(config->instances[0].pair_count, 1);
    assert_int_equal(strlen(config->instances[0].pairs[0].value), len);
    config_destroy(config);
    free(text);
    config_case_finish(&c);
}

static void config_refuses_what_is_no_file(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    assert_int_equal(mkdir(c.path, 0755), 0);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    unit_assert_contains(c.error.message, "is a directory");
    assert_int_equal(rmdir(c.path), 0);
    assert_int_equal(mkfifo(c.path, 0600), 0);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    unit_assert_contains(c.error.message, "is not a regular file");
    assert_int_equal(unlink(c.path), 0);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    unit_assert_contains(c.error.message, "test.ini: no such file");
    assert_int_equal(symlink("test.ini", c.path), 0);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    unit_assert_contains(c.error.message, "cannot be read: Too many levels of symbolic links");
    assert_int_equal(unlink(c.path), 0);
    unit_write(c.path, "[sbx]\n", 6, 0646);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    unit_assert_contains(c.error.message, "may be written by everybody");
    config_case_finish(&c);
}

static void config_reports_every_problem_of_a_file(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    static const char text[] = "[sbx]\nlifetme = 1\nlog_level = loud\njunk\n[providr x]\nplugin = a\nb\n[provider y]\n"
                               "plugin = schema\nplugin_path = /x\n";
    config_case_write(&c, text, sizeof text - 1, 0644);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    static const uint32_t lines[] = {2, 3, 4, 5, 7, 8};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        int seen = 0;
        for (size_t k = 0; k < c.found.count; k++)
            seen |= c.found.items[k].line == lines[i];
        if (!seen)
            config_case_dump(&c);
        assert_true(seen);
    }
    config_case_finish(&c);
}

static void config_stops_listing_after_a_hundred_problems(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    char text[2000] = "";
    for (size_t i = 0; i < 500; i++)
        memcpy(text + i * 2, "x\n", 3);
    config_case_write(&c, text, 1000, 0644);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    assert_int_equal(c.found.count, 101);
    unit_assert_contains(c.found.items[100].message, "more problems");
    config_case_finish(&c);
}

/* No message may show what could be a secret: not the text of a bad line, not the value of a secret key. */
static void config_messages_show_no_secret(void **state)
{
    (void)state;
    static const char text[] = P "token = hunter-22\nhunter-22\n hunter-22 = 1\n[hunter]\nx = hunter-22\n"
                                 "[provider b]\nplugin = schema\nendpoint=e\ntoken_env = hunter-22\n";
    struct config_case c;
    config_case_init(&c);
    config_case_write(&c, text, sizeof text - 1, 0644);
    assert_int_equal(config_case_check(&c), SBX_E_CONFIG);
    assert_true(c.found.count >= 5);
    for (size_t i = 0; i < c.found.count; i++)
        assert_null(strstr(c.found.items[i].message, "hunter-22"));
    assert_null(strstr(c.error.message, "hunter-22"));
    config_case_finish(&c);
}

/* A few changed, lost, doubled or added bytes; the same ones in every run. */
static size_t spoil(char *text, size_t len, size_t room, uint32_t *seed)
{
    static const char bytes[] = "[]=;#\n\r\0 \t\"\\:\xff\xefx";
    for (uint32_t i = (*seed >> 8) % 4 + 1; i > 0 && len > 0; i--) {
        *seed = *seed * 1664525 + 1013904223;
        size_t at = (*seed >> 4) % len;
        char byte = bytes[(*seed >> 20) % (sizeof bytes - 1)];
        if ((*seed >> 28) % 4 == 0) {
            memmove(text + at, text + at + 1, len - at - 1);
            len--;
        } else if ((*seed >> 28) % 4 == 1 && len < room) {
            memmove(text + at + 1, text + at, len - at);
            text[at] = byte;
            len++;
        } else {
            text[at] = byte;
        }
    }
    return len;
}

static void config_survives_spoilt_files(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    uint32_t seed = 1;
    for (size_t round = 0; round < 6000; round++) {
        const struct bad *bad = round % 2 == 0 ? &host[round / 2 % (sizeof host / sizeof host[0])]
                                               : &schema[round / 2 % (sizeof schema / sizeof schema[0])];
        char text[1024];
        memcpy(text, bad->text, bad->len);
        size_t len = spoil(text, bad->len, sizeof text, &seed);
        config_case_write(&c, text, len, 0644);
        struct config *config = NULL;
        sbx_status status = config_case_load(&c, &config);
        assert_int_equal(status == SBX_OK, c.found.count == 0);
        assert_int_equal(status == SBX_OK, config != NULL);
        /* The check of lines and inih agree about every line. */
        for (size_t i = 0; i < c.found.count; i++)
            assert_null(strstr(c.found.items[i].message, "two ways"));
        config_destroy(config);
    }
    config_case_finish(&c);
}

static const struct CMUnitTest tests[] = {
    UNIT(config_refuses_each_line_it_cannot_be_sure_of),
    UNIT(config_refuses_each_wrong_section_and_host_key),
    UNIT(config_refuses_each_key_that_the_schema_does_not_allow),
    UNIT(config_long_line_injects_no_section),
    UNIT(config_keeps_a_value_of_60000_bytes_whole),
    UNIT(config_refuses_what_is_no_file),
    UNIT(config_reports_every_problem_of_a_file),
    UNIT(config_stops_listing_after_a_hundred_problems),
    UNIT(config_messages_show_no_secret),
    UNIT(config_survives_spoilt_files),
};
UNIT_MAIN(tests)
