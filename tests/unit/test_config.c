/* SPDX-License-Identifier: MIT
 *
 * test_config.c - right configurations: values, the search path, defaults, what a set-uid program ignores.
 */
#include "config_case.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>

/* inih's, as any other part of a process may have set them. */
extern int ini_max_line, ini_initial_alloc;
extern bool ini_allow_multiline, ini_use_stack;
extern char *ini_start_comment_prefixes;

static struct config *load_text(struct config_case *c, const char *text, size_t len)
{
    config_case_init(c);
    config_case_write(c, text, len, 0644);
    struct config *config = NULL;
    if (config_case_load(c, &config) != SBX_OK)
        config_case_dump(c);
    assert_non_null(config);
    return config;
}

static void finish(struct config_case *c, struct config *config)
{
    config_destroy(config);
    config_case_finish(c);
}

static void config_reads_every_host_key(void **state)
{
    (void)state;
    static const char text[] = "; a comment\n# another\n\n[sbx]\nlifetime = 2h\nlog_level=debug\n"
                               "plugin_path = /opt/a\nplugin_path\t=\t/opt/b  \ndefault = second\ncapture_limit = 1M\n"
                               "x-note = anything = goes ; here\n[provider first]\nplugin = docker\nimage = a ; b # c\n"
                               "x-mine = 1\nimage = two\n[provider second]\nplugin = local\n"
                               "[route big]\nimage = debian:*\nlabel = size=big\nlabel = a=\nrequire = sbx.tty/1, "
                               "com.example.gpu/1\nuse = second first\n[x-editor]\nkey = value\n";
    struct config_case c;
    struct config *config = load_text(&c, text, sizeof text - 1);
    assert_int_equal(config->lifetime_s, 7200);
    assert_int_equal(config->log_level, SBX_LOG_DEBUG);
    assert_int_equal(config->capture_limit, 1 << 20);
    assert_string_equal(config->default_instance, "second");
    assert_string_equal(config->files[0], c.path);
    assert_null(config->files[1]);
    assert_string_equal(config->plugin_paths[0], "/opt/a");
    assert_string_equal(config->plugin_paths[1], "/opt/b");
    assert_string_equal(config->plugin_paths[2], SBX_PLUGIN_DIR);
    assert_null(config->plugin_paths[3]);
    assert_int_equal(config->instance_count, 2);
    const struct config_instance *first = &config->instances[0];
    assert_string_equal(first->plugin, "docker");
    assert_int_equal(first->line, 12);
    assert_int_equal(first->pair_count, 2);
    assert_string_equal(first->pairs[0].value, "a ; b # c");
    assert_int_equal(first->pairs[0].line, 14);
    assert_string_equal(first->pairs[1].value, "two");
    assert_int_equal(config->route_count, 1);
    const struct config_route *route = &config->routes[0];
    assert_string_equal(route->image, "debian:*");
    assert_string_equal(route->labels[1], "a=");
    assert_string_equal(route->require[0], "sbx.tty/1");
    assert_string_equal(route->require[1], "com.example.gpu/1");
    assert_string_equal(route->instances[0], "second");
    assert_string_equal(route->instances[1], "first");
    assert_null(route->instances[2]);
    finish(&c, config);
}

static void config_accepts_other_line_ends_marks_and_no_last_newline(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[sbx]\r\nlifetime = 5m\r\n",
        "\xef\xbb\xbf[sbx]\nlifetime = 5m\n",
        "[sbx]\nlifetime = 5m",
        "\n\n  \n[sbx]   \n\t; x\n  # y\nlifetime = 5m  \t",
        "\xef\xbb\xbf[sbx]\r\nlifetime = 5m",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config_case c;
        struct config *config = load_text(&c, texts[i], strlen(texts[i]));
        assert_int_equal(config->lifetime_s, 300);
        finish(&c, config);
    }
}

static void config_of_nothing_has_the_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "; only a comment", "[sbx]\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config_case c;
        struct config *config = load_text(&c, texts[i], strlen(texts[i]));
        assert_int_equal(config->lifetime_s, 3600);
        assert_int_equal(config->log_level, CONFIG_LOG_UNSET);
        assert_int_equal(config->capture_limit, 10 << 20);
        assert_non_null(config->default_instance);
        finish(&c, config);
    }
}

static void config_without_providers_takes_every_plugin_found(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    char folder[96], path[128];
    (void)snprintf(folder, sizeof folder, "%s/plugins", c.folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    static const char *const names[] = {"zeta.so", "local.so", "beta.so"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unit_write(path, "", 0, 0644);
    }
    static const char text[] = "[sbx]\nplugin_path = %D/plugins\n[route r]\nuse = zeta\n";
    config_case_write(&c, text, sizeof text - 1, 0644);
    struct config *config = NULL;
    assert_int_equal(config_case_load(&c, &config), SBX_OK);
    assert_true(config->instance_count >= 3);
    assert_string_equal(config->instances[0].name, "beta");
    assert_string_equal(config->instances[0].plugin, "beta");
    assert_null(config->instances[0].file);
    assert_string_equal(config->default_instance, "local");
    finish(&c, config);
}

static void config_default_is_the_only_provider(void **state)
{
    (void)state;
    static const char text[] = "[provider mine]\nplugin = docker\n";
    struct config_case c;
    struct config *config = load_text(&c, text, sizeof text - 1);
    assert_string_equal(config->default_instance, "mine");
    finish(&c, config);
}

static void config_unknown_instance_gets_the_nearest_or_the_reason(void **state)
{
    (void)state;
    static const char text[] = "[provider mine]\nplugin = docker\n";
    struct config_case c;
    struct config *config = load_text(&c, text, sizeof text - 1);
    assert_int_equal(config_no_instance(config, "mien", &c.error), SBX_E_CONFIG);
    assert_string_equal(c.error.message, "no provider 'mien' is configured; did you mean 'mine'?");
    finish(&c, config);
    config = load_text(&c, "[sbx]\nplugin_path = /nonexistent\n", 33);
    size_t installed = config->instance_count; /* on this machine */
    config->instance_count = 0;
    assert_int_equal(config_no_instance(config, "local", &c.error), SBX_E_CONFIG);
    unit_assert_contains(c.error.message, "no provider 'local': there is no plugin in " SBX_PLUGIN_DIR "; install one");
    config->instance_count = installed;
    finish(&c, config);
}

/* --- the search ------------------------------------------------------------------------------------------------- */

static void write_at(const char *folder, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    unit_write(path, text, strlen(text), 0644);
}

static uint32_t lifetime_by_search(const struct config_case *c, size_t files)
{
    struct config *config = NULL;
    struct sbx_error error = SBX_INIT(error);
    char etc[96];
    (void)snprintf(etc, sizeof etc, "%s/etc", c->folder);
    if (config_load_from(etc, NULL, NULL, NULL, &config, &error) != SBX_OK)
        fail_msg("%s", error.message);
    uint32_t lifetime = config->lifetime_s;
    size_t count = 0;
    while (config->files[count] != NULL)
        count++;
    assert_int_equal(count, files);
    config_destroy(config);
    return lifetime;
}

static void config_search_takes_the_first_place_alone(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    char path[128];
    static const char *const folders[] = {"etc",          "etc/conf.d",      "xdg", "xdg/sbx", "home",
                                          "home/.config", "home/.config/sbx"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", c.folder, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    assert_int_equal(unsetenv("SBX_CONFIG") | unsetenv("XDG_CONFIG_HOME") | unsetenv("HOME"), 0);
    assert_int_equal(lifetime_by_search(&c, 0), 3600);
    write_at(c.folder, "etc/conf.d/20.ini", "[provider b]\nplugin=good\n[sbx]\ndefault=b\n");
    write_at(c.folder, "etc/conf.d/10.ini", "[provider a]\nplugin=good\n[sbx]\nplugin_path = /opt/x\n");
    write_at(c.folder, "etc/conf.d/30.bak", "junk\n");
    write_at(c.folder, "etc/conf.d/.40.ini", "junk\n");
    assert_int_equal(lifetime_by_search(&c, 2), 3600);
    write_at(c.folder, "etc/sbx.ini", "[sbx]\nlifetime = 10\n");
    assert_int_equal(lifetime_by_search(&c, 3), 10);
    write_at(c.folder, "home/.config/sbx/sbx.ini", "[sbx]\nlifetime = 20\n");
    (void)snprintf(path, sizeof path, "%s/home", c.folder);
    assert_int_equal(setenv("HOME", path, 1), 0);
    assert_int_equal(lifetime_by_search(&c, 1), 20);
    write_at(c.folder, "xdg/sbx/sbx.ini", "[sbx]\nlifetime = 30\n");
    (void)snprintf(path, sizeof path, "%s/xdg", c.folder);
    assert_int_equal(setenv("XDG_CONFIG_HOME", path, 1), 0);
    assert_int_equal(lifetime_by_search(&c, 1), 30);
    write_at(c.folder, "named.ini", "[sbx]\nlifetime = 40\n");
    (void)snprintf(path, sizeof path, "%s/named.ini", c.folder);
    assert_int_equal(setenv("SBX_CONFIG", path, 1), 0);
    assert_int_equal(lifetime_by_search(&c, 1), 40);
    config_case_finish(&c);
}

static void config_search_never_looks_into_the_working_directory(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/sbx", c.folder);
    assert_int_equal(mkdir(path, 0755), 0);
    write_at(c.folder, "sbx.ini", "junk\n");
    write_at(c.folder, "sbx/sbx.ini", "junk\n");
    assert_int_equal(chdir(c.folder), 0);
    /* Relative values would follow it; empty ones mean nothing. */
    assert_int_equal(setenv("XDG_CONFIG_HOME", ".", 1) | setenv("HOME", ".", 1) | setenv("SBX_CONFIG", "", 1), 0);
    assert_int_equal(lifetime_by_search(&c, 0), 3600);
    assert_int_equal(chdir("/"), 0);
    config_case_finish(&c);
}

static void config_named_file_must_be_there(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct sbx_error error = SBX_INIT(error);
    assert_int_equal(setenv("SBX_CONFIG", "/nonexistent/x.ini", 1), 0);
    assert_int_equal(config_load(NULL, NULL, NULL, &config, &error), SBX_E_CONFIG);
    assert_string_equal(error.message, "/nonexistent/x.ini: no such file (named by $SBX_CONFIG)");
    /* No files wanted, none read. */
    struct sbx_open_options options = {.size = sizeof options, .flags = SBX_OPEN_NO_FILES};
    assert_int_equal(config_load(&options, NULL, NULL, &config, &error), SBX_OK);
    assert_null(config->files[0]);
    config_destroy(config);
    options = (struct sbx_open_options){.size = sizeof options, .config_path = ""};
    assert_int_equal(config_load(&options, NULL, NULL, &config, &error), SBX_E_CONFIG);
}

static void config_fragments_may_not_contradict_each_other(void **state)
{
    (void)state;
    struct config_case c;
    config_case_init(&c);
    char etc[96], path[128];
    (void)snprintf(etc, sizeof etc, "%s", c.folder);
    (void)snprintf(path, sizeof path, "%s/conf.d", c.folder);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(unsetenv("SBX_CONFIG") | unsetenv("XDG_CONFIG_HOME") | unsetenv("HOME"), 0);
    write_at(c.folder, "sbx.ini", "[sbx]\nlifetime = 10\n[provider a]\nplugin=good\n");
    write_at(c.folder, "conf.d/x.ini", "[sbx]\nlifetime = 20\n[provider a]\nplugin=good\n");
    struct config *config = NULL;
    assert_int_equal(config_load_from(etc, NULL, config_case_note, &c.found, &config, &c.error), SBX_E_CONFIG);
    assert_int_equal(c.found.count, 2);
    unit_assert_contains(c.found.items[0].file, "conf.d/x.ini");
    unit_assert_contains(c.found.items[0].message, "key 'lifetime' again; the first is at ");
    unit_assert_contains(c.found.items[0].message, "/sbx.ini:2");
    unit_assert_contains(c.found.items[1].message, "section [provider a] again");
    config_case_finish(&c);
}

/* --- the process ------------------------------------------------------------------------------------------------ */

static void config_puts_the_variables_of_inih_back(void **state)
{
    (void)state;
    ini_max_line = 321;
    ini_allow_multiline = true;
    ini_use_stack = true;
    ini_initial_alloc = 77;
    struct config_case c;
    ini_start_comment_prefixes = (char *)"!";
    struct config *config = load_text(&c, "# c = d\n[sbx]\nlifetime = 5m\n", 28);
    assert_int_equal(ini_max_line, 321);
    assert_int_equal(ini_initial_alloc, 77);
    assert_true(ini_allow_multiline);
    assert_true(ini_use_stack);
    finish(&c, config);
}

static void *load_often(void *path)
{
    struct sbx_open_options options = {.size = sizeof options, .config_path = path};
    for (int i = 0; i < 50; i++) {
        struct config *config = NULL;
        if (config_load(&options, NULL, NULL, &config, NULL) != SBX_OK || config->lifetime_s != 300)
            return path;
        config_destroy(config);
    }
    return NULL;
}

static void config_loads_in_many_threads_at_once(void **state)
{
    (void)state;
    struct config_case c;
    struct config *config = load_text(&c, "[sbx]\nlifetime = 5m\n", 20);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_often, c.path), 0);
    for (int i = 0; i < 8; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    finish(&c, config);
}

/* Runs as another user in a set-uid copy of this program: 0 when what the environment names was not heeded. */
static int as_set_uid_program(void)
{
    struct config *config = NULL;
    struct sbx_error error = SBX_INIT(error);
    if (config_load_from("/nonexistent", NULL, NULL, NULL, &config, &error) != SBX_OK)
        return 2;
    int heeded = config->files[0] != NULL;
    config_destroy(config);
    return heeded;
}

static int run_copy(const char *program, const char *named)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *const arguments[] = {(char *)program, (char *)"--set-uid", NULL};
        char setting[256];
        (void)snprintf(setting, sizeof setting, "SBX_CONFIG=%s", named);
        char *const environment[] = {setting, (char *)"HOME=/nonexistent", NULL};
        if (setgid(12345) == 0 && setuid(12345) == 0)
            (void)execve(program, arguments, environment);
        _exit(9);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 10;
}

static void config_set_uid_program_ignores_the_environment(void **state)
{
    (void)state;
#ifndef PLAIN_BUILD
    UNIT_SKIP("sanitizers do not run in set-uid programs");
#endif
    if (geteuid() != 0)
        UNIT_SKIP("only root can make a set-uid program");
    struct config_case c;
    config_case_init(&c);
    char program[128];
    (void)snprintf(program, sizeof program, "%s/program", c.folder);
    unit_copy("/proc/self/exe", program, 0755);
    assert_int_equal(chmod(c.folder, 0755), 0);
    config_case_write(&c, "[sbx]\n", 6, 0644);
    assert_int_equal(run_copy(program, c.path), 1);
    assert_int_equal(chmod(program, 04755), 0);
    int result = run_copy(program, c.path);
    if (result == 1)
        UNIT_SKIP("set-uid has no effect here");
    assert_int_equal(result, 0);
    config_case_finish(&c);
}

static const struct CMUnitTest tests[] = {
    UNIT(config_reads_every_host_key),
    UNIT(config_accepts_other_line_ends_marks_and_no_last_newline),
    UNIT(config_of_nothing_has_the_defaults),
    UNIT(config_without_providers_takes_every_plugin_found),
    UNIT(config_default_is_the_only_provider),
    UNIT(config_unknown_instance_gets_the_nearest_or_the_reason),
    UNIT(config_search_takes_the_first_place_alone),
    UNIT(config_search_never_looks_into_the_working_directory),
    UNIT(config_named_file_must_be_there),
    UNIT(config_fragments_may_not_contradict_each_other),
    UNIT(config_puts_the_variables_of_inih_back),
    UNIT(config_loads_in_many_threads_at_once),
    UNIT(config_set_uid_program_ignores_the_environment),
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--set-uid") == 0)
        return as_set_uid_program();
    return unit_main(tests, sizeof tests / sizeof tests[0], argc, argv);
}
