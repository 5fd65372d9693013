/* SPDX-License-Identifier: MIT
 *
 * rule_load.c - what can be said of the object without opening a backend.
 */
#include "conform/conform.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { LOAD_LIMIT_MS = 100, LIST_MAX = 256, SHORT_TEXT = 64 };

static const struct sbx_plugin *raw_descriptor(struct run *run)
{
    run->object = dlopen(run->subject->path, RTLD_NOW | RTLD_LOCAL);
    if (run->object == NULL)
        run_fail(run, "it does not load: %.800s", dlerror());
    const struct sbx_plugin *raw = dlsym(run->object, "sbx_plugin_v1");
    EXPECT(run, raw != NULL, "there is no symbol sbx_plugin_v1");
    return raw;
}

static void loads(struct run *run)
{
    (void)raw_descriptor(run);
}

static void head(struct run *run)
{
    const struct sbx_plugin *raw = raw_descriptor(run);
    const uint32_t least = offsetof(struct sbx_plugin, handle) + sizeof raw->handle;
    EXPECT(run, raw->size >= least && raw->size <= SBX_SIZE_MAX, "the descriptor says its size is %u; at least %u",
           raw->size, least);
    EXPECT(run, raw->abi_major == SBX_ABI_MAJOR, "it says it is built for ABI %u; this is %u", raw->abi_major,
           SBX_ABI_MAJOR);
    EXPECT(run, raw->min_host_minor <= raw->abi_minor,
           "it needs a host of minor %u and was built with the header of minor %u", raw->min_host_minor,
           raw->abi_minor);
    EXPECT(run, raw->threads == SBX_THREADS_SERIAL || raw->threads == SBX_THREADS_PARALLEL, "unknown thread model %u",
           raw->threads);
    EXPECT(run, (raw->flags & ~(uint32_t)SBX_PLUGIN_NO_UNLOAD) == 0, "unknown flags 0x%x", raw->flags);
}

static void tables(struct run *run)
{
    const struct sbx_plugin *raw = raw_descriptor(run);
    const char *problem = object_table_problem(raw->backend, object_backend_slots, 6);
    EXPECT(run, problem == NULL, "the backend's table is not complete: %s", problem);
    problem = object_table_problem(raw->handle, object_handle_slots, 8);
    EXPECT(run, problem == NULL, "the handle's table is not complete: %s", problem);
}

static void texts(struct run *run)
{
    const char *id = run->plugin.id;
    const char *const given[] = {run->plugin.name, run->plugin.version, run->plugin.vendor, run->plugin.summary};
    static const char *const names[] = {"name", "version", "vendor", "summary"};
    EXPECT(run, id != NULL, "it has no id");
    size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");
    EXPECT(run, len > 0 && id[len] == '\0' && len <= SHORT_TEXT, "its id '%.80s' is not of [a-z0-9-]", id);
    const char *slash = strrchr(run->subject->path, '/');
    const char *file = slash != NULL ? slash + 1 : run->subject->path;
    EXPECT(run, strlen(file) == len + 3 && strncmp(file, id, len) == 0 && strcmp(file + len, ".so") == 0,
           "its id is '%s'; the file must be %s.so", id, id);
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        EXPECT(run, given[i] != NULL && given[i][0] != '\0', "it has no %s", names[i]);
}

static void check_key(struct run *run, const struct sbx_config_key *key)
{
    EXPECT(run, key->size >= offsetof(struct sbx_config_key, help) + sizeof key->help && key->size <= SBX_SIZE_MAX,
           "a configuration key says its size is %u", key->size);
    EXPECT(run, key->name != NULL && key->name[0] != '\0', "a configuration key has no name");
    EXPECT(run, strspn(key->name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key->name),
           "the key '%.80s' is not of [a-z0-9_]", key->name);
    EXPECT(run, strcmp(key->name, "plugin") != 0, "the key 'plugin' is the host's");
    EXPECT(run, key->type <= SBX_KEY_PATH, "the key '%s' has an unknown type", key->name);
    EXPECT(run, (key->flags & ~(uint32_t)(SBX_KEY_REQUIRED | SBX_KEY_SECRET | SBX_KEY_REPEAT)) == 0,
           "the key '%s' has unknown flags", key->name);
    EXPECT(run, key->help != NULL && key->help[0] != '\0', "the key '%s' has no help", key->name);
    EXPECT(run, (key->flags & SBX_KEY_SECRET) == 0 || key->fallback == NULL, "the secret key '%s' has a default",
           key->name);
    EXPECT(run, (key->flags & SBX_KEY_REQUIRED) == 0 || key->fallback == NULL, "the required key '%s' has a default",
           key->name);
}

static void keys(struct run *run)
{
    const struct sbx_config_key *const *all = run->plugin.config_keys;
    for (size_t i = 0; all != NULL && all[i] != NULL; i++) {
        EXPECT(run, i < LIST_MAX, "there is no end to the list of keys");
        check_key(run, all[i]);
        for (size_t k = 0; k < i; k++)
            EXPECT(run, strcmp(all[k]->name, all[i]->name) != 0, "the key '%s' is there twice", all[i]->name);
    }
}

static int needs_parallel(const char *id)
{
    for (const struct capability *one = object_capabilities; one->id != NULL; one++)
        if (one->parallel && strcmp(one->id, id) == 0)
            return 1;
    return 0;
}

static void extensions(struct run *run)
{
    const char *const *all = run->plugin.extensions;
    for (size_t i = 0; all != NULL && all[i] != NULL; i++) {
        EXPECT(run, i < LIST_MAX, "there is no end to the list of capabilities");
        const char *slash = strrchr(all[i], '/');
        EXPECT(run,
               strlen(all[i]) < SBX_ID_SIZE && slash != NULL && slash != all[i] && isdigit((unsigned char)slash[1]),
               "the capability '%.80s' is not NAME/REVISION", all[i]);
        EXPECT(run, run->plugin.threads == SBX_THREADS_PARALLEL || !needs_parallel(all[i]),
               "it offers %s and is not SBX_THREADS_PARALLEL", all[i]);
        for (size_t k = 0; k < i; k++)
            EXPECT(run, strcmp(all[k], all[i]) != 0, "the capability '%s' is there twice", all[i]);
    }
}

static void exports(struct run *run)
{
    CLEANUP_BUF struct buf exported;
    CLEANUP_BUF struct buf undefined;
    buf_init(&exported, 1 << 20);
    buf_init(&undefined, 1 << 20);
    EXPECT(run, object_symbols(run->subject->path, run->object, &exported, &undefined) == 0,
           "its symbols cannot be read");
    for (size_t i = 0; i < exported.len; i++)
        exported.data[i] = exported.data[i] == '\n' ? ' ' : exported.data[i];
    EXPECT(run, exported.len > 0 && strcmp(exported.data, "sbx_plugin_v1 ") == 0, "it exports: %.600s",
           exported.len > 0 ? exported.data : "nothing");
}

static void undefined(struct run *run)
{
    CLEANUP_BUF struct buf exported;
    CLEANUP_BUF struct buf missing;
    buf_init(&exported, 1 << 20);
    buf_init(&missing, 1 << 20);
    EXPECT(run, object_symbols(run->subject->path, run->object, &exported, &missing) == 0,
           "its symbols cannot be read");
    for (size_t i = 0; i < missing.len; i++)
        missing.data[i] = missing.data[i] == '\n' ? ' ' : missing.data[i];
    EXPECT(run, missing.len == 0, "neither it nor a library that it names defines: %.600s", missing.data);
}

static int64_t used_ms(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void loading_does_nothing(struct run *run)
{
    char text[TEXT_SIZE];
    struct state *before = state_take(run);
    int64_t used = used_ms();
    int64_t started = clock_ms();
    (void)raw_descriptor(run);
    /* A busy machine makes the clock run on: what counts is what the process did, and that it did not wait. */
    used = used_ms() - used;
    int64_t elapsed = clock_ms() - started;
    const char *problem = state_difference(run, before, text);
    EXPECT(run, problem == NULL, "loading it: %s", problem);
    EXPECT(run, used <= LOAD_LIMIT_MS && elapsed <= 20 * LOAD_LIMIT_MS, "loading it took %lld ms (%lld ms of work)",
           (long long)elapsed, (long long)used);
    state_drop(before);
}

static void loads_again(struct run *run)
{
    const struct sbx_plugin *raw = raw_descriptor(run);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    run_skip(run, "not under a sanitizer: nothing is unloaded there");
#endif
    if ((raw->flags & SBX_PLUGIN_NO_UNLOAD) != 0)
        run_skip(run, "it says that it must stay loaded");
    object_open(run);
    call_close(run, step_open(run, step_host(run)));
    (void)dlclose(run->object);
    (void)dlclose(run->object); /* both of the above */
    object_open(run);
    call_close(run, step_open(run, step_host(run)));
}

static const struct rule table[] = {
    {101, NEEDS_FILE, "C12 H1", "object_loads", "loads with RTLD_NOW and RTLD_LOCAL and has the symbol sbx_plugin_v1",
     loads, NULL},
    {102, NEEDS_FILE, "C12 H2", "descriptor_head",
     "size, major, min_host_minor, thread model and flags are what 1.x knows", head, NULL},
    {103, NEEDS_FILE, "C12 H2", "tables_are_complete", "both mandatory tables have every slot", tables, NULL},
    {104, NEEDS_OBJECT, "H2", "texts_are_there",
     "id, name, version, vendor and summary are there, and the file is ID.so", texts, NULL},
    {105, NEEDS_OBJECT, "P10", "keys_are_proper",
     "each configuration key has a name, a known type, flags that fit, and help", keys, NULL},
    {106, NEEDS_OBJECT, "C10 H6", "capabilities_are_proper",
     "each capability is NAME/REVISION, once; waiting ones only with SBX_THREADS_PARALLEL", extensions, NULL},
    {107, NEEDS_OBJECT, "P11 C11", "one_symbol_is_exported", "sbx_plugin_v1 is the only exported symbol", exports,
     NULL},
    {108, NEEDS_OBJECT, "P11 C11", "nothing_is_undefined",
     "the object and the libraries that it names define all it uses", undefined, NULL},
    {109, NEEDS_FILE, "P5", "loading_does_nothing",
     "loading takes under 100 ms of work and changes nothing of the process", loading_does_nothing, NULL},
    {110, NEEDS_FILE, "P6 H10", "unloads_and_loads_again", "it can be unloaded after close, and loaded again",
     loads_again, NULL},
};
RULE_GROUP(rules_load, "loading", table);
