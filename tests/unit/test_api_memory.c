/* SPDX-License-Identifier: MIT
 *
 * test_api_memory.c - every allocation of libsbx fails, once and from then on: the answer is a failure that says so or
 * a success that is one; nothing leaks and nothing hangs. The linker puts the functions below in the allocator's place;
 * the provider is an object of its own and has the real ones.
 */
#include "direct.h"

#include <stdatomic.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

/* Allocations that still succeed, on any thread; under 0: all. */
static atomic_long left = -1;
static atomic_int sticky;
static atomic_int failed;

static int fails(void)
{
    long now = atomic_load(&left);
    while (now > 0 && !atomic_compare_exchange_weak(&left, &now, now - 1))
        continue;
    if (now != 0)
        return 0;
    if (!atomic_load(&sticky))
        atomic_store(&left, -1);
    atomic_store(&failed, 1);
    return 1;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* --- scenes ----------------------------------------------------------------------------------------------------- */

static int32_t take_output(void *user, int stream, const void *data, size_t len)
{
    (void)stream, (void)data;
    *(size_t *)user += len;
    return 0;
}

static int64_t give_input(void *user, void *buf, size_t cap)
{
    (void)user, (void)buf, (void)cap;
    return 0;
}

static sbx_status scene_create(struct place *p, struct sbx_error *error)
{
    sbx_sandbox *box = NULL;
    static const struct sbx_kv label = {"a", "b"};
    const struct sbx_create_options options = {.size = sizeof options, .labels = {&label, 1}};
    sbx_status status = sbx_create(p->ctx, &options, NULL, &box, error);
    assert_true((status == SBX_OK) == (box != NULL));
    if (box != NULL)
        assert_int_equal(sbx_remove(box, NULL, error), SBX_OK);
    sbx_release(box);
    return status;
}

static sbx_status scene_create_start(struct place *p, struct sbx_error *error)
{
    sbx_op *op = NULL;
    sbx_status status = sbx_create_start(p->ctx, NULL, NULL, &op, error);
    if (status == SBX_OK)
        status = sbx_op_finish(op, error);
    sbx_op_free(op);
    return status;
}

static sbx_status scene_capture(struct place *p, struct sbx_error *error)
{
    sbx_op *op = NULL;
    size_t len = 0;
    const struct sbx_exec_options options = {.size = sizeof options, .command = "seq 1 2000", .max_output = 500};
    sbx_status status = sbx_exec_capture(p->box, &options, NULL, &op, error);
    if (status == SBX_OK) {
        (void)sbx_op_output(op, 1, &len);
        assert_int_equal(len, 500);
    }
    sbx_op_free(op);
    return status;
}

static sbx_status scene_operation(struct place *p, struct sbx_error *error)
{
    sbx_op *op = NULL;
    size_t seen = 0;
    static const struct sbx_kv variable = {"A", "b"};
    const struct sbx_exec_options options = {.size = sizeof options,
                                             .command = "seq 1 20000",
                                             .envs = {&variable, 1},
                                             .user_data = &seen,
                                             .in_read = give_input,
                                             .on_output = take_output};
    sbx_status status = sbx_exec_start(p->box, &options, NULL, &op, error);
    if (status == SBX_OK)
        status = sbx_op_finish(op, error);
    if (status == SBX_OK)
        assert_int_equal(seen, 108894);
    sbx_op_free(op);
    return status;
}

static sbx_status scene_batch(struct place *p, struct sbx_error *error)
{
    const struct sbx_transfer_options data = {.size = sizeof data, .data = "x", .data_len = 1};
    const struct sbx_file_item items[] = {{.size = sizeof items[0], .path = "a", .how = &data},
                                          {.size = sizeof items[0], .path = "b", .how = &data}};
    const struct sbx_file_item *const list[] = {&items[0], &items[1]};
    return sbx_write_files(p->box, list, 2, NULL, NULL, NULL, error);
}

static void count_info(void *user, const struct sbx_info *info)
{
    assert_non_null(info->id);
    ++*(int *)user;
}

static sbx_status scene_list(struct place *p, struct sbx_error *error)
{
    int count = 0;
    sbx_status status = sbx_list(p->ctx, NULL, NULL, count_info, &count, error);
    if (status == SBX_OK)
        assert_int_equal(count, 1);
    return status;
}

static void count_entry(void *user, const char *name, const struct sbx_file_stat *stat)
{
    assert_non_null(name);
    assert_int_equal(stat->type, SBX_FILE_REGULAR);
    ++*(int *)user;
}

static sbx_status scene_list_dir(struct place *p, struct sbx_error *error)
{
    int count = 0;
    sbx_status status = sbx_list_dir(p->box, "d", NULL, count_entry, &count, error);
    if (status == SBX_OK)
        assert_int_equal(count, 1);
    return status;
}

static sbx_status scene_stat(struct place *p, struct sbx_error *error)
{
    struct sbx_file_stat st = SBX_INIT(st);
    return sbx_stat(p->box, "d/f", NULL, &st, error);
}

static sbx_status scene_put_tree(struct place *p, struct sbx_error *error)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/src", p->top);
    sbx_status status = sbx_put_tree(p->box, path, "up", NULL, error);
    if (status == SBX_OK)
        assert_int_equal(place_shell(p, "diff -r src box1/up"), 0);
    return status;
}

static void count_provider(void *user, const struct sbx_provider *provider)
{
    (void)user;
    assert_non_null(provider->instance);
}

static sbx_status scene_providers(struct place *p, struct sbx_error *error)
{
    return sbx_providers(p->ctx, NULL, count_provider, NULL, error);
}

static sbx_status scene_open(struct place *p, struct sbx_error *error)
{
    sbx_context *ctx = NULL;
    sbx_sandbox *box = NULL;
    const struct sbx_open_options options = {.size = sizeof options, .config_path = p->ini};
    sbx_status status = sbx_open(&options, &ctx, error);
    if (status == SBX_OK)
        status = sbx_attach(ctx, "d/none", NULL, &box, error);
    assert_null(box);
    sbx_close(ctx);
    return status == SBX_E_NOT_FOUND ? SBX_OK : status;
}

/* --- the sweep -------------------------------------------------------------------------------------------------- */

typedef sbx_status scene(struct place *p, struct sbx_error *error);

/* Runs it with the k-th allocation failing, for every k that it reaches. */
static void sweep(const char *plugin, const char *name, scene *run, int keeps_failing)
{
    struct place p;
    place_open(&p, plugin, NULL);
    assert_int_equal(place_shell(&p, "mkdir -p box1/d src/a && echo x >box1/d/f && echo y >src/a/f && ln -s f src/a/l"),
                     0);
    long k = 0;
    for (int reached = 1; reached; k++) {
        struct sbx_error error = SBX_INIT(error);
        atomic_store(&failed, 0);
        atomic_store(&sticky, keeps_failing);
        atomic_store(&left, k);
        sbx_status status = run(&p, &error);
        atomic_store(&left, -1);
        reached = atomic_load(&failed);
        if (!reached && status != SBX_OK)
            fail_msg("%s: without a failure: %d: %s", name, status, error.message);
        if (status != SBX_OK && (status != SBX_E_NO_MEMORY || strstr(error.message, "memory") == NULL))
            fail_msg("%s: allocation %ld: status %d: %s", name, k, status, error.message);
        if (k > 2000)
            fail_msg("%s: no end", name);
    }
    assert_true(k > 1);
    place_close(&p);
}

static const struct {
    const char *name;
    scene *run;
} scenes[] = {{"create", scene_create},       {"create_start", scene_create_start},
              {"capture", scene_capture},     {"operation", scene_operation},
              {"batch", scene_batch},         {"list", scene_list},
              {"list_dir", scene_list_dir},   {"put_tree", scene_put_tree},
              {"providers", scene_providers}, {"open", scene_open}};

static void each_allocation_of_a_call_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        for (int keeps_failing = 0; keeps_failing < 2; keeps_failing++)
            sweep("direct", scenes[i].name, scenes[i].run, keeps_failing);
}

static void each_allocation_of_an_emulation_may_fail(void **state)
{
    (void)state;
    for (int keeps_failing = 0; keeps_failing < 2; keeps_failing++) {
        sweep("direct-bare", "list_dir", scene_list_dir, keeps_failing);
        sweep("direct-bare", "stat", scene_stat, keeps_failing);
        sweep("direct-bare", "batch", scene_batch, keeps_failing);
    }
}

static const struct CMUnitTest tests[] = {
    UNIT(each_allocation_of_a_call_may_fail),
    UNIT(each_allocation_of_an_emulation_may_fail),
};
UNIT_MAIN(tests)
