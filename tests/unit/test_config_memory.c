/* SPDX-License-Identifier: MIT
 *
 * test_config_memory.c - the n-th allocation fails, for every n: nothing leaks, nothing crashes, and the answer is
 * either right or SBX_E_NO_MEMORY.
 */
#include "config_case.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>

static long left = -1; /* allocations until one fails; -1: none does */
static long unused;    /* what was left of it at the end of the way */

static int fails(void)
{
    if (left < 0)
        return 0;
    if (left > 0) {
        left--;
        return 0;
    }
    errno = ENOMEM;
    return 1;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
char *__real_realpath(const char *path, char *out);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
char *__wrap_realpath(const char *path, char *out);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(old, count, size);
}
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t len)
{
    return fails() ? NULL : __real_strndup(text, len);
}
char *__wrap_realpath(const char *path, char *out)
{
    return fails() ? NULL : __real_realpath(path, out);
}
int __wrap_asprintf(char **out, const char *format, ...)
{
    if (fails())
        return -1;
    va_list args;
    va_start(args, format);
    int length = vasprintf(out, format, args);
    va_end(args);
    return length;
}

static const char text[] = "[sbx]\nplugin_path = %P\ndefault = a\nlifetime = 5m\n[provider a]\nplugin = schema\n"
                           "endpoint = e\ntoken_file = %D/secret\nbind = x\nbind = y\n[provider b]\nplugin = good\n"
                           "[route r]\nimage = x\nlabel = a=b\nrequire = sbx.tty/1\nuse = a b\n";

static void make(struct config_case *c)
{
    config_case_init(c);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/secret", c->folder);
    unit_write(path, "hunter22", 8, 0600);
    config_case_write(c, text, sizeof text - 1, 0644);
}

/* The whole way of an instance, with the n-th allocation failing. */
static sbx_status whole_way(struct config_case *c, long n)
{
    struct log *log = NULL;
    struct config *config = NULL;
    struct config_pair *pairs = NULL;
    size_t count = 0;
    const struct loader_plugin *plugin = NULL;
    left = n;
    log = log_create(NULL, NULL, SBX_LOG_WARN);
    sbx_status status = log == NULL ? SBX_E_NO_MEMORY : config_case_load(c, &config);
    if (status == SBX_OK)
        status = loader_load((const char *const *)config->plugin_paths, "schema", log, &plugin, &c->error);
    if (status == SBX_OK)
        status = config_resolve(&config->instances[0], &plugin->descriptor, log, NULL, NULL, &pairs, &count, &c->error);
    unused = left;
    left = -1;
    if (status == SBX_OK) {
        assert_int_equal(count, 4);
        assert_string_equal(pairs[1].value, "hunter22");
        assert_string_equal(config->default_instance, "a");
    }
    config_pairs_destroy(pairs, count);
    config_destroy(config);
    log_destroy(log);
    return status;
}

static void config_and_loader_survive_each_failed_allocation(void **state)
{
    (void)state;
    struct config_case c;
    make(&c);
    long n = 0;
    sbx_status status = SBX_E_NO_MEMORY;
    for (; n < 1000; n++) {
        c.error = (struct sbx_error){.size = sizeof c.error};
        status = whole_way(&c, n);
        /* A path that could not be made real is a refusal; a secret that could not be read is a finding. */
        if (status != SBX_OK && status != SBX_E_NO_MEMORY && status != SBX_E_CONFIG)
            fail_msg("%ld: %d %s", n, status, c.error.message);
        if (status == SBX_E_CONFIG && strstr(c.error.message, "memory") == NULL &&
            strstr(c.error.message, "cannot be read") == NULL)
            fail_msg("%ld: %s", n, c.error.message);
        if (unused > 0)
            break;
    }
    assert_int_equal(status, SBX_OK);
    config_case_finish(&c);
}

static const struct CMUnitTest tests[] = {
    UNIT(config_and_loader_survive_each_failed_allocation),
};
UNIT_MAIN(tests)
