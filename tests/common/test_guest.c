/* SPDX-License-Identifier: MIT
 *
 * test_guest.c - the client and the real sbx-guest together: commands.
 */
#include "tests/common/runner.h"

#include "tests/common/real_guest.h"
#include "tests/common/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static int guest_setup(void **state)
{
    *state = calloc(1, sizeof(struct real_guest));
    if (*state == NULL)
        return -1;
    real_start(*state);
    return 0;
}

static int guest_teardown(void **state)
{
    real_stop(*state);
    free(*state);
    return 0;
}

static void shell(struct run *run, const char *line)
{
    run->args.argv = NULL;
    run->args.command = line;
    run->out.data.len = run->err.data.len = 0;
}

static const char *text(const struct kept *kept)
{
    return kept->data.data != NULL ? kept->data.data : "";
}

static void exit_codes_and_signals_come_through(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    char line[64];
    for (int code = 0; code < 256; code += 17) {
        (void)snprintf(line, sizeof line, "exit %d", code);
        shell(&run, line);
        assert_int_equal(run_on(&run, g->link), SBX_OK);
        assert_int_equal(run.result.flags, SBX_EXITED);
        assert_int_equal(run.result.exit_code, code);
    }
    shell(&run, "kill -TERM $$");
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.result.flags, SBX_SIGNALLED);
    assert_int_equal(run.result.exit_code, 143);
    assert_int_equal(run.result.term_signal, 15);
    shell(&run, "");
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.result.exit_code, 0);
}

static void a_missing_program_is_a_result(void **state)
{
    struct real_guest *g = *state;
    const char *const argv[] = {"/no/such/program", NULL};
    RUN run;
    run_init(&run);
    run.args.argv = argv;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED | SBX_NOT_STARTED);
    assert_int_equal(run.result.exit_code, 127);
    assert_int_equal(run.out.data.len + run.err.data.len, 0);
    const char *const passwd[] = {"/etc/passwd", NULL};
    run.args.argv = passwd;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED | SBX_NOT_STARTED);
    assert_int_equal(run.result.exit_code, 126);
}

static void arguments_directory_and_variables_arrive(void **state)
{
    struct real_guest *g = *state;
    const char *const argv[] = {"sh", "-c", "printf '%s|' \"$@\" \"$A\" \"$PWD\"", "x", "", "a  b", "\xff\n", NULL};
    struct sbx_kv envs[] = {{"A", "1\n=2"}};
    RUN run;
    run_init(&run);
    assert_int_equal(guest_mkdir(g->link, &run.call, "sub", 0, 0), SBX_OK);
    run.args.argv = argv;
    run.args.envs = (struct sbx_kvs){envs, 1};
    run.args.cwd = "sub";
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    char want[200];
    (void)snprintf(want, sizeof want, "|a  b|\xff\n|1\n=2|%s/sub|", g->dir);
    assert_int_equal(run.out.data.len, strlen(want));
    assert_string_equal(text(&run.out), want);
    run.args.cwd = "/no/such/dir";
    assert_int_equal(run_on(&run, g->link), SBX_E_NOT_FOUND);
    assert_string_equal(run.error.message, "exec: no such directory '/no/such/dir'");
}

static void an_unknown_user_is_named(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    run.args.user = "nobody-of-that-name";
    assert_true(run_on(&run, g->link) != SBX_OK);
    assert_non_null(strstr(run.error.message, "nobody-of-that-name"));
}

static void a_megabyte_of_arguments_arrives(void **state)
{
    struct real_guest *g = *state;
    enum { COUNT = 16, LEN = 65000 };
    CLEANUP_FREE char *big = malloc(LEN + 1);
    assert_non_null(big);
    memset(big, 'x', LEN);
    big[LEN] = '\0';
    const char *argv[COUNT + 5] = {"sh", "-c", "printf %s \"$@\" | wc -c", "x"};
    for (int i = 0; i < COUNT; i++)
        argv[4 + i] = big;
    RUN run;
    run_init(&run);
    run.args.argv = argv;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(strtol(text(&run.out), NULL, 10), COUNT * LEN);
}

static void fifty_megabytes_of_stdin_arrive(void **state)
{
    struct real_guest *g = *state;
    size_t len = (size_t)50 << 20;
    CLEANUP_FREE char *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 2654435761u >> 11);
    struct given given;
    given_init(&given, data, len);
    RUN run;
    run_init(&run);
    shell(&run, "cat");
    run.args.in = &given.source;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.out.data.len, len);
    assert_memory_equal(run.out.data.data, data, len);
    given_init(&given, data, len);
    shell(&run, "head -c 10");
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED);
    assert_int_equal(run.result.exit_code, 0);
    assert_memory_equal(run.out.data.data, data, 10);
    shell(&run, "cat");
    run.args.in = NULL;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.out.data.len, 0);
}

static void merged_output_keeps_its_order(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    shell(&run, "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done");
    run.args.flags = SBX_EXEC_MERGE_STDERR;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_string_equal(text(&run.out), "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
    assert_int_equal(run.result.flags, SBX_EXITED | SBX_MERGED);
}

/* Whether a process has this text in its command line. */
static int is_running(const char *marker)
{
    CLEANUP_DIR DIR *proc = opendir("/proc");
    assert_non_null(proc);
    const struct dirent *entry;
    while ((entry = readdir(proc)) != NULL) {
        char path[300], line[4096] = "";
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : 0;
        if (n > 0 && memmem(line, (size_t)n, marker, strlen(marker)) != NULL)
            return 1;
    }
    return 0;
}

static const char tree_line[] =
    "trap '' TERM; echo started; (setsid sh -c 'trap \"\" TERM; while :; do sleep %d.25; done' &)"
    "; sleep %d.25; sleep %d.25";

static void time_is_up_for_the_whole_tree(void **state)
{
    struct real_guest *g = *state;
    int mark = 100000 + (int)getpid();
    char line[256], marker[32];
    (void)snprintf(line, sizeof line, tree_line, mark, mark, mark);
    (void)snprintf(marker, sizeof marker, "%d.25", mark);
    RUN run;
    run_init(&run);
    shell(&run, line);
    run.args.timeout_ms = 400;
    int64_t start = clock_now_ns();
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_true(clock_now_ns() - start < 4000 * MS);
    assert_int_equal(run.result.flags & ~(uint32_t)SBX_OUTPUT_INCOMPLETE, SBX_TIMED_OUT);
    assert_int_equal(run.result.exit_code, 124);
    assert_string_equal(text(&run.out), "started\n");
    assert_false(is_running(marker));
    shell(&run, "exit 124");
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED);
}

static void cancelling_ends_the_whole_tree(void **state)
{
    struct real_guest *g = *state;
    int mark = 500000 + (int)getpid();
    char line[256], marker[32];
    (void)snprintf(line, sizeof line, tree_line, mark, mark, mark);
    (void)snprintf(marker, sizeof marker, "%d.25", mark);
    RUN run;
    run_init(&run);
    shell(&run, line);
    int64_t start = clock_now_ns();
    run.call.deadline_ns = start + 300 * MS;
    assert_int_equal(run_on(&run, g->link), SBX_E_TIMEOUT);
    assert_true(clock_now_ns() - start < 1400 * MS);
    assert_string_equal(text(&run.out), "started\n");
    for (int i = 0; i < 300 && is_running(marker); i++)
        (void)usleep(10000);
    assert_false(is_running(marker));
}

static void a_background_child_does_not_hold_exec(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    shell(&run, "sleep 9 & echo done");
    int64_t start = clock_now_ns();
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_true(clock_now_ns() - start < 3000 * MS);
    assert_string_equal(text(&run.out), "done\n");
    assert_int_equal(run.result.flags & SBX_EXITED, SBX_EXITED);
}

static void *kill_soon(void *guest)
{
    (void)usleep(200 * 1000);
    real_kill(guest);
    return NULL;
}

static void a_guest_killed_under_a_command_is_gone(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    shell(&run, "echo half; sleep 5");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, kill_soon, g), 0);
    assert_int_equal(run_on(&run, g->link), SBX_E_GONE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(text(&run.out), "half\n");
    assert_int_equal(run.result.out_bytes, 5);
    assert_int_equal(run.result.flags, 0);
    assert_int_equal(run_on(&run, g->link), SBX_E_GONE);
}

static void the_lifetime_ends_the_guest(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    struct guest_info info = {.deadline_ms = 0};
    assert_int_equal(guest_info(g->link, &run.call, &info), SBX_OK);
    assert_int_equal(info.deadline_ms, 0);
    assert_int_equal(guest_set_lifetime(g->link, &run.call, 60000), SBX_OK);
    assert_int_equal(guest_info(g->link, &run.call, &info), SBX_OK);
    assert_true(info.deadline_ms > 50000 && info.deadline_ms <= 60000);
    assert_int_equal(guest_set_lifetime(g->link, &run.call, 300), SBX_OK);
    shell(&run, "sleep 8");
    assert_int_equal(run_on(&run, g->link), SBX_E_GONE);
}

static void shutdown_ends_the_guest(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    assert_int_equal(guest_shutdown(g->link, &run.call), SBX_OK);
    for (int i = 0; i < 300 && run_on(&run, g->link) == SBX_OK; i++)
        (void)usleep(10000);
    assert_int_equal(run_on(&run, g->link), SBX_E_GONE);
    assert_int_equal(guest_shutdown(g->link, &run.call), SBX_OK);
}

static void a_terminal_is_one(void **state)
{
    struct real_guest *g = *state;
    struct sbx_tty tty = {.size = sizeof tty, .rows = 33, .cols = 99, .ready_fd = -1};
    RUN run;
    run_init(&run);
    shell(&run, "test -t 0 && test -t 1 && test -t 2 && stty size");
    run.args.tty = &tty;
    assert_int_equal(run_on(&run, g->link), SBX_OK);
    assert_int_equal(run.result.flags & (SBX_EXITED | SBX_MERGED), SBX_EXITED | SBX_MERGED);
    assert_non_null(strstr(text(&run.out), "33 99"));
}

/* --- many threads ------------------------------------------------------------------------------------------- */
enum { THREADS = 16, ROUNDS = 12 };

struct worker {
    struct guest_link *link;
    pthread_t thread;
    int number;
    int failures;
};

/* Each thread asks for output of its own and must get it and nothing else. */
static void *work(void *worker)
{
    struct worker *w = worker;
    for (int i = 0; i < ROUNDS; i++) {
        RUN run;
        run_init(&run);
        char line[100], want[100];
        (void)snprintf(line, sizeof line, "head -c 100000 /dev/zero; echo t%d r%d >&2; exit %d", w->number, i,
                       w->number);
        (void)snprintf(want, sizeof want, "t%d r%d\n", w->number, i);
        shell(&run, line);
        sbx_status status = run_on(&run, w->link);
        int failed = status != SBX_OK || run.result.exit_code != w->number || run.out.data.len != 100000 ||
                     strcmp(text(&run.err), want) != 0;
        if (failed)
            print_error("thread %d, round %d: status %d, message '%s'\n", w->number, i, status, run.error.message);
        w->failures += failed;
    }
    return NULL;
}

static void sixteen_threads_share_a_link(void **state)
{
    struct real_guest *g = *state;
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.link = g->link, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    int failures = 0;
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        failures += workers[i].failures;
    }
    assert_int_equal(failures, 0);
}

enum { CROWD = 160 };

/* Begins, tells so, and waits for the gate to be let go. */
static void *wait_at_gate(void *worker)
{
    struct worker *w = worker;
    RUN run;
    run_init(&run);
    run.call.deadline_ns += 20000 * MS;
    shell(&run, "exec <gate; echo >>begun; read line; exit 7");
    w->failures = run_on(&run, w->link) != SBX_OK || run.result.exit_code != 7;
    if (w->failures != 0)
        print_error("command %d: %s\n", w->number, run.error.message);
    return NULL;
}

static void a_crowd_of_commands_that_wait_all_run(void **state)
{
    struct real_guest *g = *state;
    struct worker *workers = calloc(CROWD, sizeof *workers);
    char gate[100], begun[100];
    struct stat st = {.st_size = 0};
    int failures = 0;
    (void)snprintf(gate, sizeof gate, "%s/gate", g->dir);
    (void)snprintf(begun, sizeof begun, "%s/begun", g->dir);
    assert_int_equal(mkfifo(gate, 0600), 0);
    int fd = open(gate, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && workers != NULL);
    for (int i = 0; i < CROWD; i++) {
        workers[i] = (struct worker){.link = g->link, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, wait_at_gate, &workers[i]), 0);
    }
    for (int i = 0; i < 3000 && (stat(begun, &st) != 0 || st.st_size < CROWD); i++)
        (void)usleep(10000);
    off_t count = st.st_size;
    (void)close(fd);
    for (int i = 0; i < CROWD; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        failures += workers[i].failures;
    }
    free(workers);
    assert_int_equal(count, CROWD);
    assert_int_equal(failures, 0);
}

/* How many of ROUNDS commands did not answer what they should. */
static int count_wrong(const struct real_guest *g, int code)
{
    char line[32];
    int wrong = 0;
    (void)snprintf(line, sizeof line, "exit %d", code);
    for (int i = 0; i < ROUNDS; i++) {
        RUN run;
        run_init(&run);
        shell(&run, line);
        wrong += run_on(&run, g->link) != SBX_OK || run.result.exit_code != code;
    }
    return wrong;
}

static void a_forked_process_and_its_parent_use_a_link_at_once(void **state)
{
    struct real_guest *g = *state;
    int status = -1;
    assert_int_equal(count_wrong(g, 1), 0); /* a connection is kept */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int wrong = count_wrong(g, 2);
        guest_close(g->link);
        _exit(wrong);
    }
    int wrong = count_wrong(g, 3);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(wrong, 0);
    assert_int_equal(count_wrong(g, 4), 0);
}

#define WITH_GUEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WITH_GUEST(exit_codes_and_signals_come_through),
        WITH_GUEST(a_missing_program_is_a_result),
        WITH_GUEST(arguments_directory_and_variables_arrive),
        WITH_GUEST(an_unknown_user_is_named),
        WITH_GUEST(a_megabyte_of_arguments_arrives),
        WITH_GUEST(fifty_megabytes_of_stdin_arrive),
        WITH_GUEST(merged_output_keeps_its_order),
        WITH_GUEST(time_is_up_for_the_whole_tree),
        WITH_GUEST(cancelling_ends_the_whole_tree),
        WITH_GUEST(a_background_child_does_not_hold_exec),
        WITH_GUEST(a_guest_killed_under_a_command_is_gone),
        WITH_GUEST(the_lifetime_ends_the_guest),
        WITH_GUEST(shutdown_ends_the_guest),
        WITH_GUEST(a_terminal_is_one),
        WITH_GUEST(sixteen_threads_share_a_link),
        WITH_GUEST(a_crowd_of_commands_that_wait_all_run),
        WITH_GUEST(a_forked_process_and_its_parent_use_a_link_at_once),
    };
    return RUN_TESTS(tests, argc, argv);
}
