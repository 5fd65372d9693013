/* SPDX-License-Identifier: MIT
 *
 * test_life.c - how sandboxes are made, found, limited and ended, and that nothing of them stays.
 */
#include "tests/local/lab.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/stat.h>

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    *state = lab;
    return lab == NULL || lab_open(lab, NULL, NULL, 0) != SBX_OK;
}

static int teardown(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

static struct sbx_handle *create(struct lab *lab, const struct sbx_create_args *args)
{
    struct sbx_handle *h = NULL;
    sbx_status status = lab_create(lab, args, &h);
    if (status != SBX_OK)
        fail_msg("create: %d: %s", status, lab->error.message);
    return h;
}

static struct sbx_create_args plain(void)
{
    return (struct sbx_create_args){.size = sizeof(struct sbx_create_args)};
}

static void expect_output(struct lab *lab, struct sbx_handle *h, const char *line, const char *expected)
{
    struct lab_result result;
    sbx_status status = lab_shell(lab, h, line, &result);
    if (status != SBX_OK)
        fail_msg("%s: %d: %s", line, status, lab->error.message);
    assert_string_equal(result.out.data, expected);
    lab_result_finish(&result);
}

static void expect_nothing_left(struct lab *lab)
{
    assert_int_equal(lab_entries(lab->runtime), 0);
    assert_int_equal(lab_entries(lab->state), 0);
}

static int is_alive(long pid)
{
    char path[64], text[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    return file != NULL && fgets(text, sizeof text, file) != NULL && strstr(text, ") Z ") == NULL;
}

static long guest_pid(struct lab *lab, struct sbx_handle *h)
{
    char value[64];
    long pid = strtol(lab_fact(lab, h, "provider.pid", value, sizeof value), NULL, 10);
    assert_true(pid > 1);
    return pid;
}

static int wait_dead(long pid, int ms)
{
    for (; ms > 0 && is_alive(pid); ms -= 10)
        (void)usleep(10000);
    return !is_alive(pid);
}

static sbx_status attach(struct lab *lab, const char *id, struct sbx_handle **out)
{
    *out = NULL;
    return lab->plugin->backend->attach(lab->backend, lab_call(lab, 30000), id, out);
}

static void remove_leaves_nothing(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_count(lab), 0);
    struct sbx_handle *h = create(lab, NULL);
    long pid = guest_pid(lab, h);
    assert_int_equal(lab_count(lab), 1);
    expect_output(lab, h, "mkdir -p a/b; echo x >a/b/c; ln -s /etc/passwd a/link; (setsid sleep 1000 &) ; echo ok",
                  "ok\n");
    assert_int_equal(lab->plugin->handle->remove(h, lab_call(lab, 30000)), SBX_OK);
    assert_false(is_alive(pid));
    assert_int_equal(lab->plugin->handle->remove(h, lab_call(lab, 30000)), SBX_OK);
    lab->plugin->handle->release(h);
    assert_int_equal(lab_count(lab), 0);
    expect_nothing_left(lab);
}

static void hostile_trees_are_removed(void **state)
{
    struct lab *lab = *state;
    struct sbx_handle *h = create(lab, NULL);
    expect_output(lab, h,
                  "i=0; while [ $i -lt 2000 ]; do mkdir d && cd d || break; i=$((i+1)); done; echo $i; cd /workspace; "
                  "mkdir -p locked/in/side && chmod 000 locked/in locked; mkdir .sbx-0 .sbx-1; : >.sbx-2; "
                  "mkfifo pipe; ln -s / root; ln -s .. up; chmod 000 d; chmod 000 /workspace",
                  "2000\n");
    assert_int_equal(lab_remove(lab, h), SBX_OK);
    expect_nothing_left(lab);
}

static void attach_finds_by_id_and_by_name(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    struct sbx_handle *again = NULL;
    args.name = "builder";
    struct sbx_handle *h = create(lab, &args);
    expect_output(lab, h, "echo here >note; hostname", "builder\n");
    assert_int_equal(attach(lab, lab->plugin->handle->id(h), &again), SBX_OK);
    expect_output(lab, again, "cat note", "here\n");
    lab->plugin->handle->release(again);
    assert_int_equal(attach(lab, "builder", &again), SBX_OK);
    lab->plugin->handle->release(again);
    assert_int_equal(lab_create(lab, &args, &again), SBX_E_EXISTS);
    assert_int_equal(lab_count(lab), 1);
    assert_int_equal(attach(lab, "0123456789abcdef", &again), SBX_E_NOT_FOUND);
    assert_int_equal(attach(lab, "../builder", &again), SBX_E_NOT_FOUND);
    assert_int_equal(lab_count(lab), 1);
    assert_int_equal(lab_remove(lab, h), SBX_OK);
    assert_int_equal(attach(lab, "builder", &again), SBX_E_NOT_FOUND);
}

static void same_token_is_the_same_sandbox(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    args.client_token = "token-1";
    struct sbx_handle *first = create(lab, &args), *second = create(lab, &args);
    assert_string_equal(lab->plugin->handle->id(first), lab->plugin->handle->id(second));
    args.client_token = "token-2";
    struct sbx_handle *third = create(lab, &args);
    assert_string_not_equal(lab->plugin->handle->id(first), lab->plugin->handle->id(third));
    lab->plugin->handle->release(second);
    assert_int_equal(lab_remove(lab, first), SBX_OK);
    assert_int_equal(lab_remove(lab, third), SBX_OK);
    expect_nothing_left(lab);
}

static void a_dead_sandbox_is_gone(void **state)
{
    struct lab *lab = *state;
    struct sbx_handle *h = create(lab, NULL), *again = NULL;
    struct lab_result result;
    char id[64];
    (void)snprintf(id, sizeof id, "%s", lab->plugin->handle->id(h));
    long pid = guest_pid(lab, h);
    expect_output(lab, h, "echo x", "x\n");
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    assert_true(wait_dead(pid, 5000));
    assert_int_equal(lab_shell(lab, h, "true", &result), SBX_E_GONE);
    lab_result_finish(&result);
    assert_int_equal(attach(lab, id, &again), SBX_E_NOT_FOUND);
    assert_int_equal(lab_count(lab), 0);
    assert_int_equal(lab_remove(lab, h), SBX_OK);
    expect_nothing_left(lab);
}

static void lifetime_ends_it(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    args.timeout_s = 1;
    struct sbx_handle *h = create(lab, &args);
    long pid = guest_pid(lab, h);
    assert_false(wait_dead(pid, 300));
    assert_true(wait_dead(pid, 3000));
    assert_int_equal(lab_count(lab), 0);
    lab->plugin->handle->release(h);
    expect_nothing_left(lab);
}

static void bound_ends_with_the_backend_not_with_the_handle(void **state)
{
    struct lab *lab = *state;
    struct lab second;
    struct sbx_create_args args = plain();
    args.flags = SBX_CREATE_BOUND;
    assert_int_equal(lab_open(&second, lab->dir, NULL, 0), SBX_OK);
    struct sbx_handle *h = create(&second, &args), *free_one = create(&second, NULL), *again = NULL;
    char id[64], free_id[64];
    (void)snprintf(id, sizeof id, "%s", second.plugin->handle->id(h));
    (void)snprintf(free_id, sizeof free_id, "%s", second.plugin->handle->id(free_one));
    second.plugin->handle->release(h);
    second.plugin->handle->release(free_one);
    assert_int_equal(attach(lab, id, &again), SBX_OK);
    long pid = guest_pid(lab, again);
    expect_output(lab, again, "echo alive", "alive\n");
    lab->plugin->handle->release(again);
    lab_close(&second);
    assert_false(is_alive(pid));
    assert_int_equal(attach(lab, id, &again), SBX_E_NOT_FOUND);
    assert_int_equal(attach(lab, free_id, &again), SBX_OK);
    assert_int_equal(lab_remove(lab, again), SBX_OK);
    expect_nothing_left(lab);
}

static void what_cannot_be_kept_is_refused_first(void **state)
{
    struct lab *lab = *state;
    struct sbx_kv option = {"local.x", "1"}, bad_env = {"A=B", "1"};
    struct sbx_create_args asks[10];
    static const sbx_status expected[] = {SBX_E_UNSUPPORTED, SBX_E_NOT_FOUND,  SBX_E_UNSUPPORTED, SBX_E_UNSUPPORTED,
                                          SBX_E_UNSUPPORTED, SBX_E_INVALID,    SBX_E_INVALID,     SBX_E_NOT_FOUND,
                                          SBX_E_INVALID,     SBX_E_UNSUPPORTED};
    for (size_t i = 0; i < 10; i++)
        asks[i] = plain();
    asks[0].blueprint = "b";
    asks[1].snapshot = "s";
    asks[2].idle_timeout_s = 5;
    asks[3].network = SBX_NET_ALLOW_LIST;
    asks[4].provider = (struct sbx_kvs){&option, 1};
    asks[5].envs = (struct sbx_kvs){&bad_env, 1};
    asks[6].workdir = "relative";
    asks[7].image = "/nonexistent/root";
    asks[8].workdir = "/proc/x";
    asks[9].flags = 1u << 20;
    for (size_t i = 0; i < 10; i++) {
        struct sbx_handle *h = NULL;
        assert_int_equal(lab_create(lab, &asks[i], &h), expected[i]);
        assert_true(lab->error.message[0] != '\0');
        assert_int_equal(lab->error.code, expected[i]);
    }
    expect_nothing_left(lab);
}

static void a_failed_start_leaves_nothing(void **state)
{
    struct lab *lab = *state;
    static const struct sbx_kv bad[] = {{"bwrap", "/bin/false"}, {"guest", "/etc/passwd"}, {"bwrap", "/bin/sleep"}};
    for (size_t i = 0; i < 3; i++) {
        struct lab second;
        struct sbx_handle *h = NULL;
        assert_int_equal(lab_open(&second, lab->dir, &bad[i], 1), SBX_OK);
        assert_int_not_equal(lab_create(&second, NULL, &h), SBX_OK);
        assert_non_null(strstr(second.error.message, "create: "));
        lab_close(&second);
        expect_nothing_left(lab);
    }
}

static void what_is_missing_is_named_by_open(void **state)
{
    static const struct sbx_kv bad[] = {{"bwrap", "/nonexistent/bwrap"},
                                        {"guest", "/nonexistent/guest"},
                                        {"network", "some"},
                                        {"users", "many"},
                                        {"bind_ro", "relative"},
                                        {"max_sandboxes", "-1"},
                                        {"nonsense", "1"},
                                        {"bind_ro", "/tmp"},
                                        {"bind_ro", "/proc/self"},
                                        {"uid_base", "0"},
                                        {"uid_base", "65535"},
                                        {"uid_ranges", "0"},
                                        {"uid_ranges", "65535"},
                                        {"uid_base", "4294900000"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct lab lab;
        assert_int_equal(lab_open(&lab, NULL, &bad[i], 1), SBX_E_CONFIG);
        assert_non_null(strstr(lab.error.message, i < 2 ? bad[i].value : bad[i].key));
        lab_close(&lab);
    }
    (void)state;
}

static void sandboxes_can_be_counted(void **state)
{
    struct lab *lab = *state;
    struct lab second;
    struct sbx_kv key = {"max_sandboxes", "2"};
    struct sbx_handle *h = NULL;
    assert_int_equal(lab_open(&second, lab->dir, &key, 1), SBX_OK);
    struct sbx_handle *first = create(&second, NULL), *other = create(&second, NULL);
    assert_int_equal(lab_create(&second, NULL, &h), SBX_E_QUOTA);
    assert_int_equal(lab_remove(&second, first), SBX_OK);
    first = create(&second, NULL);
    assert_int_equal(lab_remove(&second, first), SBX_OK);
    assert_int_equal(lab_remove(&second, other), SBX_OK);
    lab_close(&second);
}

struct page {
    char last[64];
    int count;
};

static int32_t take_page(void *user, const struct sbx_info *info)
{
    struct page *page = user;
    assert_true(strcmp(info->id, page->last) > 0);
    (void)snprintf(page->last, sizeof page->last, "%s", info->id);
    page->count++;
    return 0;
}

static void list_filters_and_pages(void **state)
{
    struct lab *lab = *state;
    struct sbx_kv red = {"color", "red"}, blue = {"color", "blue"};
    struct sbx_handle *handles[5];
    for (int i = 0; i < 5; i++) {
        struct sbx_create_args args = plain();
        args.metadata = (struct sbx_kvs){i < 3 ? &red : &blue, 1};
        handles[i] = create(lab, &args);
    }
    char value[64];
    assert_string_equal(lab_fact(lab, handles[4], "color", value, sizeof value), "blue");
    struct sbx_list_args args = {.size = sizeof args, .limit = 2};
    struct page page = {"", 0};
    struct sbx_info_sink sink = {.size = sizeof sink, .user = &page, .item = take_page};
    for (int i = 0; i < 3; i++) {
        args.after = page.last[0] == '\0' ? NULL : page.last;
        assert_int_equal(lab->plugin->backend->list(lab->backend, lab_call(lab, 30000), &args, &sink), SBX_OK);
    }
    assert_int_equal(page.count, 5);
    struct page reds = {"", 0};
    sink.user = &reds;
    args = (struct sbx_list_args){.size = sizeof args, .metadata = {&red, 1}};
    assert_int_equal(lab->plugin->backend->list(lab->backend, lab_call(lab, 30000), &args, &sink), SBX_OK);
    assert_int_equal(reds.count, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(lab_remove(lab, handles[i]), SBX_OK);
}

static void working_directories_are_made(void **state)
{
    static const char *const dirs[] = {"/srv/app", "/workspace/a/b", "/tmp/x", "/usr/share", "/"};
    struct lab *lab = *state;
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        struct sbx_create_args args = plain();
        char expected[64];
        args.workdir = dirs[i];
        struct sbx_handle *h = create(lab, &args);
        (void)snprintf(expected, sizeof expected, "%s\n%s", dirs[i], i < 3 ? "made\n" : "");
        expect_output(lab, h, "pwd; touch f 2>/dev/null && echo made; true", expected);
        assert_int_equal(lab_remove(lab, h), SBX_OK);
    }
}

static void an_empty_image_works(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    struct lab_result result;
    char image[128];
    (void)snprintf(image, sizeof image, "%s/empty", lab->dir);
    assert_int_equal(mkdir(image, 0700), 0);
    args.image = image;
    struct sbx_handle *h = create(lab, &args);
    const char *const missing[] = {"sh", NULL}, *const guest[] = {"/.sbx/guest", "version", NULL};
    struct sbx_exec_args exec = {.argv = missing};
    assert_int_equal(lab_exec(lab, h, &exec, &result), SBX_OK);
    assert_int_equal(result.result.flags & (SBX_EXITED | SBX_NOT_STARTED), SBX_EXITED | SBX_NOT_STARTED);
    assert_int_equal(result.result.exit_code, 127);
    lab_result_finish(&result);
    exec.argv = guest;
    assert_int_equal(lab_exec(lab, h, &exec, &result), SBX_OK);
    assert_int_equal(result.result.exit_code, 0);
    assert_true(result.out.len > 0);
    lab_result_finish(&result);
    assert_int_equal(lab_remove(lab, h), SBX_OK);
    assert_int_equal(rmdir(image), 0); /* nothing was written into it */
}

static void an_image_is_only_read(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    char image[128], line[2048];
    (void)snprintf(image, sizeof image, "%s/image", lab->dir);
    (void)snprintf(line, sizeof line,
                   "mkdir -p %s/usr %s/home/other %s/data && chmod 777 %s/data && echo hello >%s/data/f && "
                   "ln -s usr/bin %s/bin && ln -s usr/lib %s/lib && ln -s usr/lib64 %s/lib64 && mkdir %s/proc",
                   image, image, image, image, image, image, image, image, image);
    assert_int_equal(lab_sh(line), 0);
    struct lab second;
    struct sbx_kv bind = {"bind_ro", "/usr"};
    assert_int_equal(lab_open(&second, lab->dir, &bind, 1), SBX_OK);
    args.image = image;
    struct sbx_handle *h = create(&second, &args);
    expect_output(&second, h, "cat /data/f; touch /data/g /x /home/other/y 2>/dev/null; ls /home; touch ~/z && echo ok",
                  "hello\nother\nsandbox\nok\n");
    assert_int_equal(lab_remove(&second, h), SBX_OK);
    lab_close(&second);
    (void)snprintf(line, sizeof line, "test ! -e %s/data/g && test ! -e %s/x && rm -r %s", image, image, image);
    assert_int_equal(lab_sh(line), 0);
}

static void a_working_directory_hides_no_shown_path(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    struct sbx_handle *h = NULL;
    struct lab second;
    char shown[128], line[512];
    /* Not below a directory that each sandbox has of its own. */
    (void)snprintf(shown, sizeof shown, "/var/tmp/sbx-shown-%d", (int)getpid());
    (void)snprintf(line, sizeof line, "mkdir -p %s/sub && echo hello >%s/f", shown, shown);
    assert_int_equal(lab_sh(line), 0);
    struct sbx_kv bind = {"bind_ro", shown};
    assert_int_equal(lab_open(&second, lab->dir, &bind, 1), SBX_OK);
    const char *const hiding[] = {"/var", "/var/tmp", shown};
    for (size_t i = 0; i < 3; i++) {
        args.workdir = hiding[i];
        assert_int_equal(lab_create(&second, &args, &h), SBX_E_INVALID);
        assert_non_null(strstr(second.error.message, shown));
        expect_nothing_left(lab);
    }
    args.workdir = "/var/other";
    h = create(&second, &args);
    (void)snprintf(line, sizeof line, "cat %s/f; touch %s/g 2>/dev/null || touch here && echo written", shown, shown);
    expect_output(&second, h, line, "hello\nwritten\n");
    assert_int_equal(lab_remove(&second, h), SBX_OK);
    lab_close(&second);
    (void)snprintf(line, sizeof line, "rm -r %s", shown);
    assert_int_equal(lab_sh(line), 0);
}

static void disk_limit_holds(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    char value[64];
    args.disk_mib = 8;
    struct sbx_handle *h = create(lab, &args);
    assert_string_equal(lab_fact(lab, h, "provider.limit.disk", value, sizeof value), "8 MiB (tmpfs)");
    expect_output(lab, h,
                  "head -c 4M /dev/zero >a && head -c 3M /dev/zero >/tmp/b && echo fits; "
                  "head -c 4M /dev/zero >~/c 2>/dev/null || echo full; pwd; stat -c %U . ~ a",
                  "fits\nfull\n/workspace\nsandbox\nsandbox\nsandbox\n");
    assert_int_equal(lab_remove(lab, h), SBX_OK);
    expect_nothing_left(lab);
}

static void process_limit_holds(void **state)
{
    struct lab *lab = *state;
    struct lab second;
    struct sbx_kv key = {"max_processes", "40"};
    char value[64];
    struct lab_result result;
    assert_int_equal(lab_open(&second, lab->dir, &key, 1), SBX_OK);
    struct sbx_handle *h = create(&second, NULL);
    assert_string_equal(lab_fact(&second, h, "provider.limit.processes", value, sizeof value), "40 (rlimit)");
    assert_int_equal(lab_shell(&second, h, "for i in $(seq 100); do sleep 1 & done; echo done", &result), SBX_OK);
    assert_non_null(strstr(result.err.data, "Cannot fork"));
    lab_result_finish(&result);
    (void)usleep(1500000);
    expect_output(&second, h, "sleep 0.1; echo other", "other\n");
    assert_int_equal(lab_remove(&second, h), SBX_OK);
    lab_close(&second);
}

static void memory_limit_holds_and_is_reported(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = plain();
    struct sbx_handle *h = NULL;
    struct lab_result result;
    args.memory_mib = 64;
    args.cpu_millis = 500;
    sbx_status status = lab_create(lab, &args, &h);
    if (status == SBX_E_UNSUPPORTED) {
        assert_non_null(strstr(lab->error.message, "cgroup"));
        expect_nothing_left(lab);
        return; /* no cgroup may be written here: that it says so is what can be seen */
    }
    assert_int_equal(status, SBX_OK);
    assert_int_equal(lab_shell(lab, h, "python3 -c 'b=bytearray(300<<20); print(len(b))'", &result), SBX_OK);
    assert_true((result.result.flags & SBX_OUT_OF_MEMORY) != 0);
    assert_int_equal(result.out.len, 0);
    lab_result_finish(&result);
    assert_int_equal(lab_shell(lab, h, "exit 137", &result), SBX_OK);
    assert_true((result.result.flags & SBX_OUT_OF_MEMORY) == 0);
    lab_result_finish(&result);
    expect_output(lab, h, "echo alive", "alive\n");
    char find[128];
    (void)snprintf(find, sizeof find, "find /sys/fs/cgroup -name 'sbx-%s' | wc -l | grep -qx 0",
                   lab->plugin->handle->id(h));
    assert_int_not_equal(lab_sh(find), 0);
    assert_int_equal(lab->plugin->handle->remove(h, lab_call(lab, 30000)), SBX_OK);
    assert_int_equal(lab_sh(find), 0);
    lab->plugin->handle->release(h);
}

static void create_environment_reaches_every_exec(void **state)
{
    struct lab *lab = *state;
    struct sbx_kv env = {"WHAT", "a b\n'c'=d"};
    struct sbx_create_args args = plain();
    struct sbx_handle *again = NULL;
    args.envs = (struct sbx_kvs){&env, 1};
    struct sbx_handle *h = create(lab, &args);
    expect_output(lab, h, "printf %s \"$WHAT\"", "a b\n'c'=d");
    assert_int_equal(attach(lab, lab->plugin->handle->id(h), &again), SBX_OK);
    expect_output(lab, again, "printf %s \"$WHAT\"", "a b\n'c'=d");
    lab->plugin->handle->release(again);
    assert_int_equal(lab_remove(lab, h), SBX_OK);
}

static void a_cancelled_or_late_create_leaves_nothing(void **state)
{
    struct lab *lab = *state;
    for (int64_t us = 0; us < 8000; us += 500) {
        struct sbx_create_args args = plain();
        struct sbx_handle *h = NULL;
        struct sbx_call *call = lab_call(lab, 0);
        call->deadline_ns += us * 1000;
        sbx_status status = lab->plugin->backend->create(lab->backend, call, &args, &h);
        if (status == SBX_OK)
            assert_int_equal(lab_remove(lab, h), SBX_OK);
        else
            assert_int_equal(status, SBX_E_TIMEOUT);
        assert_int_equal(lab_count(lab), 0);
        expect_nothing_left(lab);
    }
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(remove_leaves_nothing),
        TEST(hostile_trees_are_removed),
        TEST(attach_finds_by_id_and_by_name),
        TEST(same_token_is_the_same_sandbox),
        TEST(a_dead_sandbox_is_gone),
        TEST(lifetime_ends_it),
        TEST(bound_ends_with_the_backend_not_with_the_handle),
        TEST(what_cannot_be_kept_is_refused_first),
        TEST(a_failed_start_leaves_nothing),
        TEST(what_is_missing_is_named_by_open),
        TEST(sandboxes_can_be_counted),
        TEST(list_filters_and_pages),
        TEST(working_directories_are_made),
        TEST(an_empty_image_works),
        TEST(an_image_is_only_read),
        TEST(a_working_directory_hides_no_shown_path),
        TEST(disk_limit_holds),
        TEST(process_limit_holds),
        TEST(memory_limit_holds_and_is_reported),
        TEST(create_environment_reaches_every_exec),
        TEST(a_cancelled_or_late_create_leaves_nothing),
    };
    return lab_works() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
