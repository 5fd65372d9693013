/* SPDX-License-Identifier: MIT
 *
 * test_host.c - the plugin inside a host process: nothing process-wide changes, threads are welcome, and what the
 * machine or its folders do not allow is said.
 */
#include "tests/local/lab.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { THREADS = 6, TURNS = 3 };

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

static void expect_output(struct lab *lab, struct sbx_handle *h, const char *line, const char *expected)
{
    struct lab_result result;
    sbx_status status = lab_shell(lab, h, line, &result);
    if (status != SBX_OK)
        fail_msg("%s: %d: %s", line, status, lab->error.message);
    assert_string_equal(result.out.data, expected);
    lab_result_finish(&result);
}

static int count_fds(void)
{
    int count = 0;
    CLEANUP_DIR DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL)
        count++;
    return count;
}

static atomic_int children_heard;

static void hear_child(int signo)
{
    (void)signo;
    atomic_fetch_add(&children_heard, 1);
}

static void process_wide_state_is_left_alone(void **state)
{
    struct lab *lab = *state;
    struct sigaction action = {.sa_handler = hear_child}, after;
    struct sbx_handle *h = NULL;
    sigset_t mask_before, mask_after;
    char cwd_before[256], cwd_after[256];
    int fds = count_fds();
    assert_int_equal(sigaction(SIGCHLD, &action, NULL), 0);
    (void)sigprocmask(SIG_SETMASK, NULL, &mask_before);
    assert_non_null(getcwd(cwd_before, sizeof cwd_before));
    mode_t before = umask(077);
    struct sbx_create_args args = {.size = sizeof args, .flags = SBX_CREATE_BOUND};
    assert_int_equal(lab_create(lab, &args, &h), SBX_OK);
    expect_output(lab, h, "umask; touch f; stat -c %a f", "0022\n644\n");
    assert_int_equal(lab_remove(lab, h), SBX_OK);
    assert_int_equal(umask(before), 077);
    (void)sigprocmask(SIG_SETMASK, NULL, &mask_after);
    for (int i = 1; i < SIGRTMAX; i++)
        assert_int_equal(sigismember(&mask_before, i), sigismember(&mask_after, i));
    assert_non_null(getcwd(cwd_after, sizeof cwd_after));
    assert_string_equal(cwd_before, cwd_after);
    assert_int_equal(sigaction(SIGCHLD, NULL, &after), 0);
    assert_ptr_equal(after.sa_handler, hear_child);
    assert_int_equal(atomic_load(&children_heard), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
    assert_int_equal(count_fds(), fds);
    (void)signal(SIGCHLD, SIG_DFL);
}

static void ignored_signals_do_not_reach_commands(void **state)
{
    struct lab *lab = *state;
    struct sbx_handle *h = NULL;
    (void)signal(SIGCHLD, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(lab_create(lab, NULL, &h), SBX_OK);
    expect_output(lab, h, "sh -c 'kill -PIPE $$'; echo $?; grep SigIgn /proc/self/status | cut -f2",
                  "141\n0000000000000000\n");
    assert_int_equal(lab_remove(lab, h), SBX_OK);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
}

static void standard_descriptors_may_be_closed(void **state)
{
    struct lab *lab = *state;
    pid_t pid = fork();
    if (pid == 0) {
        struct sbx_handle *h = NULL;
        struct lab_result result;
        for (int fd = 0; fd < 3; fd++)
            (void)close(fd);
        int good = lab_create(lab, NULL, &h) == SBX_OK && lab_shell(lab, h, "echo in; echo out >&2", &result) == SBX_OK;
        good = good && strcmp(result.out.data, "in\n") == 0 && strcmp(result.err.data, "out\n") == 0;
        _exit(good && lab_remove(lab, h) == SBX_OK ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

struct worker {
    pthread_t thread;
    struct lab lab;
    int failures;
};

static void *work(void *user)
{
    struct worker *worker = user;
    struct lab *lab = &worker->lab;
    for (int i = 0; i < TURNS; i++) {
        struct sbx_handle *h = NULL;
        struct lab_result result;
        if (lab_create(lab, NULL, &h) != SBX_OK) {
            worker->failures++;
            (void)fprintf(stderr, "%s\n", lab->error.message);
            continue;
        }
        worker->failures += lab_shell(lab, h, "echo x >f; cat f", &result) != SBX_OK || result.out.len != 2;
        lab_result_finish(&result);
        worker->failures += lab_remove(lab, h) != SBX_OK;
    }
    return NULL;
}

static void threads_make_sandboxes_at_once(void **state)
{
    struct lab *lab = *state;
    struct worker workers[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        workers[i].lab = *lab; /* one backend; call and error of its own */
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    int failures = 0;
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        failures += workers[i].failures;
    }
    assert_int_equal(failures, 0);
    assert_int_equal(lab_count(lab), 0);
    assert_int_equal(lab_entries(lab->runtime), 0);
    assert_int_equal(lab_entries(lab->state), 0);
}

static void *create_in_thread(void *user)
{
    struct lab lab = *(struct lab *)user;
    struct sbx_handle *h = NULL;
    struct sbx_create_args args = {.size = sizeof args, .flags = SBX_CREATE_BOUND};
    return lab_create(&lab, &args, &h) == SBX_OK ? h : NULL;
}

static void a_sandbox_outlives_the_thread_that_made_it(void **state)
{
    struct lab *lab = *state;
    pthread_t thread;
    void *h = NULL;
    assert_int_equal(pthread_create(&thread, NULL, create_in_thread, lab), 0);
    (void)pthread_join(thread, &h);
    assert_non_null(h);
    (void)usleep(50000);
    expect_output(lab, h, "echo alive", "alive\n");
    assert_int_equal(lab_remove(lab, h), SBX_OK);
}

static void make_dirs(const char *base, const char *below)
{
    char line[512];
    (void)snprintf(line, sizeof line, "umask 077; mkdir -p %s/sbx/local/lab/%s", base, below);
    assert_int_equal(lab_sh(line), 0);
}

static int exists(const char *base, const char *below)
{
    char path[512];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/sbx/local/lab/%s", base, below);
    return lstat(path, &st) == 0;
}

static void trees_of_earlier_boots_are_removed(void **state)
{
    struct lab *lab = *state;
    struct sbx_handle *h = NULL;
    char boot[64] = "", other_folder[64];
    CLEANUP_FILE FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    assert_non_null(fgets(boot, sizeof boot, file));
    (void)snprintf(other_folder, sizeof other_folder, "%.8s-00000001/0123456789abcdef", boot);
    assert_int_equal(lab_create(lab, NULL, &h), SBX_OK);
    make_dirs(lab->state, "00000000-12345678/0123456789abcdef/workspace/deep");
    make_dirs(lab->state, "not-a-tag/x");
    make_dirs(lab->state, other_folder);
    assert_int_equal(lab_count(lab), 1);
    assert_false(exists(lab->state, "00000000-12345678"));
    assert_true(exists(lab->state, "not-a-tag/x"));
    assert_true(exists(lab->state, other_folder)); /* perhaps alive under another runtime folder */
    expect_output(lab, h, "echo alive", "alive\n");
    assert_int_equal(lab_remove(lab, h), SBX_OK);
}

static void a_damaged_record_is_neither_listed_nor_removed(void **state)
{
    struct lab *lab = *state;
    char line[512];
    struct sbx_handle *h = NULL;
    assert_int_equal(lab_create(lab, NULL, &h), SBX_OK);
    const char *id = lab->plugin->handle->id(h);
    (void)snprintf(line, sizeof line,
                   "cd %s/sbx/local/lab/%s && cp record keep && printf 'sbx-local=1\\0new=1\\0' >record", lab->runtime,
                   id);
    assert_int_equal(lab_sh(line), 0);
    assert_int_equal(lab_count(lab), 0);
    assert_true(exists(lab->runtime, id));
    expect_output(lab, h, "echo alive", "alive\n");
    (void)snprintf(line, sizeof line, "cd %s/sbx/local/lab/%s && mv keep record && chmod 600 record", lab->runtime, id);
    assert_int_equal(lab_sh(line), 0);
    assert_int_equal(lab_remove(lab, h), SBX_OK);
}

static void folders_open_to_others_are_refused(void **state)
{
    struct lab *lab = *state;
    struct sbx_handle *h = NULL;
    char path[256];
    make_dirs(lab->runtime, ".");
    (void)snprintf(path, sizeof path, "%s/sbx", lab->runtime);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(lab_create(lab, NULL, &h), SBX_E_CONFIG);
    assert_non_null(strstr(lab->error.message, lab->runtime));
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(lab_create(lab, NULL, &h), SBX_OK);
    assert_int_equal(lab_remove(lab, h), SBX_OK);
}

static void full_network_is_the_hosts(void **state)
{
    struct lab *lab = *state;
    struct sbx_create_args args = {.size = sizeof args, .network = SBX_NET_FULL};
    struct sbx_handle *h = NULL;
    char value[64], host[64], expected[80];
    assert_int_equal(lab_create(lab, &args, &h), SBX_OK);
    assert_string_equal(lab_fact(lab, h, "provider.network", value, sizeof value), "full");
    ssize_t n = readlink("/proc/self/ns/net", host, sizeof host - 1);
    assert_true(n > 0);
    (void)snprintf(expected, sizeof expected, "%.*s\n", (int)n, host);
    expect_output(lab, h, "readlink /proc/self/ns/net", expected);
    if (access("/etc/resolv.conf", R_OK) == 0)
        expect_output(lab, h, "test -f /etc/resolv.conf && echo there", "there\n");
    assert_int_equal(lab_remove(lab, h), SBX_OK);
}

/* A sandbox of an instance with these keys that asks for nothing itself. */
static struct sbx_handle *open_with(struct lab *lab, const char *dir, const struct sbx_kv *keys, size_t count)
{
    const struct sbx_create_args args = {.size = sizeof args, .timeout_s = 300};
    struct sbx_handle *h = NULL;
    assert_int_equal(lab_open(lab, dir, keys, count), SBX_OK);
    if (lab_create(lab, &args, &h) != SBX_OK)
        fail_msg("%s = %s: %s", keys[0].key, keys[0].value, lab->error.message);
    return h;
}

static void keys_hold_for_sandboxes_that_ask_for_nothing(void **state)
{
    struct lab *first = *state, lab;
    char image[128], line[512], value[64];
    (void)snprintf(image, sizeof image, "%s/image", first->dir);
    (void)snprintf(line, sizeof line, "mkdir -p %s/data && echo hello >%s/data/f", image, image);
    assert_int_equal(lab_sh(line), 0);
    const struct sbx_kv wide[] = {{"network", "full"}, {"image", image}};
    struct sbx_handle *h = open_with(&lab, first->dir, wide, 2);
    assert_string_equal(lab_fact(&lab, h, "provider.network", value, sizeof value), "full");
    assert_string_equal(lab_fact(&lab, h, "provider.image", line, sizeof line), image);
    assert_int_equal(lab_remove(&lab, h), SBX_OK);
    lab_close(&lab);
    if (geteuid() == 0) {
        const struct sbx_kv range[] = {{"uid_base", "1900000000"}, {"uid_ranges", "1"}};
        h = open_with(&lab, first->dir, range, 2);
        if (strcmp(lab_fact(&lab, h, "provider.users", value, sizeof value), "mapped") == 0)
            expect_output(&lab, h, "awk '{print $2}' /proc/self/uid_map", "1900000000\n");
    } else {
        const struct sbx_kv users = {"users", "single"};
        h = open_with(&lab, first->dir, &users, 1);
        assert_string_equal(lab_fact(&lab, h, "provider.users", value, sizeof value), "single");
    }
    assert_int_equal(lab_remove(&lab, h), SBX_OK);
    lab_close(&lab);
}

static int write_text(const char *path, const char *text)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* In a user namespace of its own that allows no further one: 0 when create says so, 77 when it can't be tried. */
static int try_without_namespaces(struct lab *lab)
{
    struct sbx_handle *h = NULL;
    char map[64];
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)geteuid());
    if (unshare(CLONE_NEWUSER) != 0 || write_text("/proc/self/setgroups", "deny") != 0 ||
        write_text("/proc/self/uid_map", map) != 0 || write_text("/proc/sys/user/max_user_namespaces", "0") != 0)
        return 77;
    sbx_status status = lab_create(lab, NULL, &h);
    return status == SBX_E_UNAVAILABLE && strstr(lab->error.message, "user namespaces") != NULL ? 0 : 1;
}

static void a_machine_without_user_namespaces_is_told(void **state)
{
    struct lab *lab = *state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_without_namespaces(lab));
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
    assert_int_equal(lab_entries(lab->runtime), 0);
    assert_int_equal(lab_entries(lab->state), 0);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(process_wide_state_is_left_alone),
        TEST(ignored_signals_do_not_reach_commands),
        TEST(standard_descriptors_may_be_closed),
        TEST(threads_make_sandboxes_at_once),
        TEST(a_sandbox_outlives_the_thread_that_made_it),
        TEST(trees_of_earlier_boots_are_removed),
        TEST(a_damaged_record_is_neither_listed_nor_removed),
        TEST(folders_open_to_others_are_refused),
        TEST(full_network_is_the_hosts),
        TEST(keys_hold_for_sandboxes_that_ask_for_nothing),
        TEST(a_machine_without_user_namespaces_is_told),
    };
    return lab_works() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
