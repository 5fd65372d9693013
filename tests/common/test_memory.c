/* SPDX-License-Identifier: MIT
 *
 * test_memory.c - every allocation of the client fails once: the answer is SBX_E_NO_MEMORY or a success that is one,
 * nothing leaks and nothing is left in the connection. The linker puts the functions below in the allocator's place.
 */
#include "tests/common/runner.h"

#include "tests/common/run.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

/* How many more allocations of this thread succeed; negative: all. */
static _Thread_local long left = -1;

static int fails(void)
{
    return left >= 0 && left-- == 0;
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

/* Takes any request with its input and answers well. */
static void willing_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    (void)user;
    while (fake_request(c) == 0) {
        struct wire_head head = {.type = FRAME_DATA};
        int input = c->op == OP_WRITE || c->op == OP_TAR_PUT || c->op == OP_EXEC;
        while (input && head.type != FRAME_CANCEL && (head.flags & FLAG_EOF) == 0)
            if (fake_read(c, &head, payload) != 0)
                return;
        if (head.type == FRAME_CANCEL)
            fake_end(c, SBX_E_CANCELLED);
        else if (c->op == OP_EXEC)
            fake_exited(c, 0);
        else
            fake_end(c, 0);
    }
}

static sbx_status some_work(struct guest_link *link, struct sbx_call *call)
{
    static const char *const argv[] = {"prog", "argument", NULL};
    static const struct sbx_kv own[] = {{"KEY", "value"}};
    static const char data[100000];
    struct given given;
    given_init(&given, data, sizeof data);
    struct sbx_exec_args args = {
        .size = sizeof args, .argv = argv, .envs = {own, 1}, .in = &given.source, .cwd = "relative"};
    struct sbx_exec_result result = {.size = sizeof result};
    sbx_status status = guest_exec(link, call, &args, 0, &result);
    if (status != SBX_OK)
        return status;
    assert_int_equal(result.flags, SBX_EXITED);
    given_init(&given, data, sizeof data);
    status = guest_write_file(link, call, "relative/file", NULL, &given.source);
    if (status != SBX_OK)
        return status;
    return guest_mkdir(link, call, "relative/dir", 0, 0);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    static const struct sbx_kv made[] = {{"A", "1"}, {"B", "2"}};
    struct sbx_kvs envs = {made, 2};
    struct guest_link_options options = {.default_user = "sandbox", .workdir = "/w", .envs = &envs};
    long n = 0;
    int failures = 0;
    for (sbx_status status = SBX_E_NO_MEMORY; status != SBX_OK; n++) {
        struct fake_guest fake;
        fake_start(&fake, willing_script, NULL, &options);
        struct sbx_error error = {.size = sizeof error};
        struct sbx_call call = {.size = sizeof call, .error = &error};
        call.deadline_ns = clock_now_ns() + INT64_C(20000000000);
        left = n;
        status = some_work(fake.link, &call);
        int unused = left >= 0;
        left = -1;
        assert_true(status == SBX_OK || status == SBX_E_NO_MEMORY);
        assert_int_equal(error.code, status);
        assert_true(unused || status != SBX_OK);
        failures += status != SBX_OK;
        assert_int_equal(some_work(fake.link, &call), SBX_OK);
        fake_stop(&fake);
    }
    assert_true(failures > 8);
}

static sbx_status no_connection(void *user, struct sbx_call *call, int *fd)
{
    (void)user;
    (void)fd;
    return call_fail(call, SBX_E_GONE, "nobody");
}

static void a_link_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct sbx_kv made[] = {{"A", "1"}, {"B", "2"}};
    struct sbx_kvs envs = {made, 2};
    struct guest_link_options options = {.connect = no_connection, .default_user = "u", .workdir = "/w", .envs = &envs};
    struct guest_link *link = NULL;
    long n = 0;
    for (; link == NULL; n++) {
        left = n;
        link = guest_open(&options);
        left = -1;
    }
    assert_int_equal(n, 7);
    guest_close(link);
    guest_close(NULL);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(a_link_is_made_whole_or_not_at_all),
    };
    return RUN_TESTS(tests, argc, argv);
}
