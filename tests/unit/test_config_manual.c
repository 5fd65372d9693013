/* SPDX-License-Identifier: MIT
 *
 * test_config_manual.c - sbx.ini(5) and conf/ against the tables of the host's keys.
 */
#include "config_case.h"

#include <dirent.h>

static char *slurp(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("cannot open %s", path);
    char *text = calloc(1, 100000);
    assert_non_null(text);
    assert_true(read(fd, text, 99999) > 0);
    close(fd);
    return text;
}

/* The entry of a key in the text of its section: from its head up to the next one. NULL: none. */
static char *entry_of(const char *section, const char *key)
{
    char head[128];
    (void)snprintf(head, sizeof head, ".TP\n\\fB%s\\fR = ", key);
    const char *at = strstr(section, head);
    if (at == NULL)
        return NULL;
    const char *end = strstr(at + 3, ".TP");
    return end == NULL ? strdup(at) : strndup(at, (size_t)(end - at));
}

static size_t count_heads(const char *text)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, ".TP\n\\fB")) != NULL; at += 3)
        count++;
    return count;
}

static void compare_section(const char *manual, const char *title, const char *section)
{
    char head[64];
    (void)snprintf(head, sizeof head, ".SS [%s]\n", title);
    const char *begin = strstr(manual, head);
    assert_non_null(begin);
    begin += strlen(head);
    const char *next = strstr(begin, "\n.S");
    char *text = strndup(begin, (size_t)(next - begin));
    size_t count = 0;
    const struct sbx_config_key *keys = config_host_keys(section, &count);
    assert_non_null(keys);
    assert_int_equal(count_heads(text), count);
    for (size_t i = 0; i < count; i++) {
        char *entry = entry_of(text, keys[i].name);
        if (entry == NULL)
            fail_msg("sbx.ini(5) lacks %s in [%s]", keys[i].name, title);
        char value[64];
        (void)snprintf(value, sizeof value, "Default: \\fB%s\\fR", keys[i].fallback == NULL ? "" : keys[i].fallback);
        if (keys[i].fallback != NULL)
            unit_assert_contains(entry, value);
        assert_int_equal(strstr(entry, "Default:") != NULL, keys[i].fallback != NULL);
        assert_int_equal(strstr(entry, "May be repeated") != NULL, (keys[i].flags & SBX_KEY_REPEAT) != 0);
        assert_int_equal(strstr(entry, "Required.") != NULL, (keys[i].flags & SBX_KEY_REQUIRED) != 0);
        free(entry);
    }
    free(text);
}

static void manual_of_sbx_ini_lists_exactly_the_host_keys(void **state)
{
    (void)state;
    char *manual = slurp(SOURCE_DIR "/docs/man/sbx.ini.5");
    compare_section(manual, "sbx", "sbx");
    compare_section(manual, "provider NAME", "provider");
    compare_section(manual, "route NAME", "route");
    free(manual);
}

/* Every key that is only shown, as a comment, made real. */
static void uncomment(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        size_t line = strcspn(from, "\n");
        int is_shown = from[0] == '#' && ((from[1] >= 'a' && from[1] <= 'z') || from[1] == '[');
        from += is_shown;
        line -= (size_t)is_shown;
        memmove(to, from, line);
        to += line;
        from += line;
        if (*from == '\n')
            *to++ = *from++;
    }
    *to = '\0';
}

static void examples_load_as_they_are_and_with_what_they_show(void **state)
{
    (void)state;
    DIR *folder = opendir(SOURCE_DIR "/conf");
    assert_non_null(folder);
    size_t count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        char path[600];
        (void)snprintf(path, sizeof path, "%s/conf/%s", SOURCE_DIR, entry->d_name);
        char *text = slurp(path);
        for (int shown = 0; shown < 2; shown++) {
            struct config_case c;
            config_case_init(&c);
            config_case_write(&c, text, strlen(text), 0644);
            struct config *config = NULL;
            if (config_case_load(&c, &config) != SBX_OK)
                fail_msg("%s: %s", entry->d_name, c.error.message);
            config_destroy(config);
            config_case_finish(&c);
            uncomment(text);
        }
        free(text);
        count++;
    }
    (void)closedir(folder);
    assert_true(count >= 3);
}

static void example_shows_every_host_key_with_its_default(void **state)
{
    (void)state;
    char *text = slurp(SOURCE_DIR "/conf/sbx.ini.example");
    static const char *const sections[] = {"sbx", "provider", "route"};
    for (size_t s = 0; s < 3; s++) {
        size_t count = 0;
        const struct sbx_config_key *keys = config_host_keys(sections[s], &count);
        for (size_t i = 0; i < count; i++) {
            char line[128];
            (void)snprintf(line, sizeof line, "%s = %s", keys[i].name,
                           keys[i].fallback == NULL ? "" : keys[i].fallback);
            unit_assert_contains(text, line);
        }
    }
    free(text);
}

static const struct CMUnitTest tests[] = {
    UNIT(manual_of_sbx_ini_lists_exactly_the_host_keys),
    UNIT(examples_load_as_they_are_and_with_what_they_show),
    UNIT(example_shows_every_host_key_with_its_default),
};
UNIT_MAIN(tests)
