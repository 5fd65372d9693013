/* SPDX-License-Identifier: MIT
 *
 * host_min.c - the smallest host that is not ours: host_min [--null] [--future] PLUGIN.so [KEY=VALUE...] [-- PLUGIN.so
 * KEY=VALUE...]. With a second plugin both are open at once. --null: every service of the host is NULL. --future, in a
 * build with the future header: a field that the plugin cannot know must be refused when it is set.
 */
#include <sbx_plugin.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAIRS_MAX = 16, PLUGINS_MAX = 2 };

struct loaded {
    const struct sbx_plugin *plugin;
    struct sbx_backend *b;
    struct sbx_handle *h;
};

#define CHECK(condition, what)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "host_min: %s: %s\n", what, error.message);                                          \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

struct text {
    char data[256];
    size_t len;
};

static int32_t take(void *user, const void *data, size_t len)
{
    struct text *into = user;
    if (len > sizeof into->data - into->len)
        return 1;
    memcpy(into->data + into->len, data, len);
    into->len += len;
    return 0;
}

static int64_t give(void *user, void *buf, size_t cap)
{
    struct text *from = user;
    size_t len = from->len < cap ? from->len : cap;
    memcpy(buf, from->data, len);
    from->len -= len;
    return (int64_t)len;
}

static void say(void *user, int32_t level, const char *where, const char *message)
{
    (void)user, (void)level, (void)where, (void)message;
}

static void open_plugin(struct loaded *p, const struct sbx_host *host, const char *path, char **pairs, size_t count)
{
    struct sbx_kv items[PAIRS_MAX];
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    struct sbx_open_args args = {.size = sizeof args, .instance = "foreign"};
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(object != NULL && count <= PAIRS_MAX, "it does not load");
    p->plugin = dlsym(object, "sbx_plugin_v1");
    CHECK(p->plugin != NULL && p->plugin->abi_major == SBX_ABI_MAJOR, "it has no descriptor of this major");
    for (size_t i = 0; i < count; i++) {
        char *equals = strchr(pairs[i], '=');
        CHECK(equals != NULL, "KEY=VALUE is needed");
        *equals = '\0';
        items[i] = (struct sbx_kv){pairs[i], equals + 1};
    }
    args.config = (struct sbx_kvs){items, count};
    CHECK(p->plugin->backend->open(host, &call, &args, &p->b) == SBX_OK, "open");
}

static void create(struct loaded *p)
{
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    struct sbx_create_args args = {.size = sizeof args};
    CHECK(p->plugin->backend->create(p->b, &call, &args, &p->h) == SBX_OK, "create");
#ifdef HOST_FUTURE
    struct sbx_handle *none = NULL;
    args.future_field = 1;
    CHECK(p->plugin->backend->create(p->b, &call, &args, &none) == SBX_E_UNSUPPORTED && none == NULL,
          "create with a field of the future (C3)");
#endif
}

static void use(struct loaded *p)
{
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    struct text out = {.len = 0};
    struct text in = {.data = "abc\n", .len = 4};
    struct sbx_sink sink = {.size = sizeof sink, .user = &out, .write = take};
    struct sbx_source source = {.size = sizeof source, .user = &in, .read = give};
    struct sbx_exec_args args = {.size = sizeof args, .command = "cat file; exit 3", .out = &sink};
    struct sbx_exec_result result = {.size = sizeof result};
    struct sbx_write_args how = {.size = sizeof how};
    struct sbx_read_args what = {.size = sizeof what};
    CHECK(p->plugin->handle->write_file(p->h, &call, "file", &how, &source) == SBX_OK, "write_file");
    CHECK(p->plugin->handle->exec(p->h, &call, &args, &result) == SBX_OK, "exec");
    CHECK(result.exit_code == 3 && out.len == 4 && memcmp(out.data, "abc\n", 4) == 0, "exec gave something else");
    out.len = 0;
    CHECK(p->plugin->handle->read_file(p->h, &call, "file", &what, &sink) == SBX_OK, "read_file");
    CHECK(out.len == 4 && memcmp(out.data, "abc\n", 4) == 0, "read_file gave something else");
#ifdef HOST_FUTURE
    args.future_field = 1;
    CHECK(p->plugin->handle->exec(p->h, &call, &args, &result) == SBX_E_UNSUPPORTED,
          "exec with a field of the future (C3)");
#endif
}

static void end(struct loaded *p)
{
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    CHECK(p->plugin->handle->remove(p->h, &call) == SBX_OK, "remove");
    p->plugin->handle->release(p->h);
    p->plugin->backend->close(p->b);
}

int main(int argc, char **argv)
{
    struct sbx_host hosts[PLUGINS_MAX] = {{.size = sizeof hosts[0], .name = "one", .version = "1", .log = say},
                                          {.size = sizeof hosts[0], .name = "two", .version = "1", .log = say}};
    struct loaded plugins[PLUGINS_MAX];
    size_t count = 0;
    int at = 1;
    if (at < argc && strcmp(argv[at], "--null") == 0) {
        memset(hosts, 0, sizeof hosts);
        hosts[0].size = hosts[1].size = sizeof hosts[0];
        at++;
    }
    while (at < argc && count < PLUGINS_MAX) {
        int pairs = at + 1;
        while (pairs < argc && strcmp(argv[pairs], "--") != 0)
            pairs++;
        open_plugin(&plugins[count], &hosts[count], argv[at], argv + at + 1, (size_t)(pairs - at - 1));
        count++;
        at = pairs + 1;
    }
    /* Interwoven, so that each is used while the other is open, and after the other is closed. */
    for (size_t i = 0; i < count; i++)
        create(&plugins[i]);
    for (size_t i = 0; i < count; i++)
        use(&plugins[i]);
    for (size_t i = 0; i < count; i++) {
        end(&plugins[i]);
        if (i + 1 < count)
            use(&plugins[i + 1]);
    }
    return count > 0 && puts("all well") >= 0 ? 0 : 2;
}
