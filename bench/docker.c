/* SPDX-License-Identifier: MIT
 *
 * docker.c - what bench/docker measures through libsbx: one line "NAME MICROSECONDS" for each task, the median of its
 * rounds; "memory KIB" says how much memory the transfers and the output took at most. What was moved is compared, byte
 * by byte, outside of what is timed. DOCKER_HOST and SBX_CONFIG are the caller's.
 */
#include "sbx.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 1000, BOXES = 16, EACH = 4, BIG = 256 << 20, BIG_ROUNDS = 3, MANY = 20, MAX_ROUNDS = 1000 };

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void must(sbx_status status, const struct sbx_error *error)
{
    if (status != SBX_OK)
        die(error->message);
}

/* --- times -------------------------------------------------------------------------------------------------------- */

struct times {
    double all[MAX_ROUNDS * MANY];
    int count;
};

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void add(struct times *times, double start)
{
    times->all[times->count++] = now_us() - start;
}

static void report(const char *name, struct times *times)
{
    qsort(times->all, (size_t)times->count, sizeof times->all[0], compare);
    (void)printf("%s %.1f\n", name, times->all[times->count / 2]);
    (void)fflush(stdout);
    times->count = 0;
}

/* --- sandboxes ---------------------------------------------------------------------------------------------------- */

static void run(sbx_sandbox *box, const char *const *argv)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    options.argv = argv;
    must(sbx_exec(box, &options, NULL, &result, &error), &error);
    if (result.exit_code != 0)
        die("a command failed");
}

static sbx_sandbox *make(sbx_context *ctx)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_sandbox *box = NULL;
    must(sbx_create(ctx, NULL, NULL, &box, &error), &error);
    return box;
}

static void drop(sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    must(sbx_remove(box, NULL, &error), &error);
    sbx_release(box);
}

static const char *const true_argv[] = {"true", NULL};
static const char *const shell_argv[] = {"/bin/busybox", "sh", "-c", "true", NULL};

/* Without any sandbox: what a command costs at least. */
static void run_bare(void)
{
    int pipe_fds[2], status = 0;
    char byte;
    pid_t pid = -1;
    posix_spawn_file_actions_t actions;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0 || posix_spawn_file_actions_init(&actions) != 0)
        die("no pipe");
    (void)posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
    if (posix_spawn(&pid, shell_argv[0], &actions, NULL, (char *const *)(uintptr_t)shell_argv, NULL) != 0)
        die("no /bin/busybox");
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(pipe_fds[1]);
    while (read(pipe_fds[0], &byte, 1) > 0)
        ;
    (void)close(pipe_fds[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("busybox failed");
}

static void measure_commands(sbx_context *ctx, sbx_sandbox *box, int rounds, struct times *t)
{
    run(box, true_argv);
    for (int i = 0; i < rounds * MANY; i++) {
        double start = now_us();
        run(box, true_argv);
        add(t, start);
    }
    report("exec", t);
    struct times *bare = calloc(1, sizeof *bare);
    if (bare == NULL)
        die("no memory");
    for (int i = 0; i < rounds * MANY; i++) {
        double start = now_us();
        run(box, shell_argv);
        add(t, start);
        start = now_us();
        run_bare();
        add(bare, start);
    }
    report("shell", t);
    report("bare", bare);
    free(bare);
    for (int i = 0; i < rounds; i++) {
        double start = now_us();
        sbx_sandbox *one = make(ctx);
        run(one, true_argv);
        drop(one);
        add(t, start);
    }
    report("create", t);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

struct check {
    uint64_t got;
    int fd; /* what it must be; -1: only counted */
};

static int32_t take(void *user, const void *data, size_t len)
{
    struct check *check = user;
    char want[1 << 16];
    for (size_t at = 0; check->fd >= 0 && at < len;) {
        size_t part = len - at < sizeof want ? len - at : sizeof want;
        if (pread(check->fd, want, part, (off_t)(check->got + at)) != (ssize_t)part ||
            memcmp(want, (const char *)data + at, part) != 0)
            die("other bytes came back");
        at += part;
    }
    check->got += len;
    return 0;
}

static void fetch(sbx_sandbox *box, const char *path, struct check *check, uint64_t size)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_transfer_options how = SBX_INIT(how);
    how.on_data = take;
    how.user_data = check;
    must(sbx_read_file(box, path, &how, NULL, &error), &error);
    if (check->got != size)
        die("a file came back shorter or longer than it is");
}

static void move(sbx_sandbox *box, const char *name, const char *host, int rounds, struct times *t)
{
    char text[32], path[64];
    struct stat st;
    struct sbx_error error = SBX_INIT(error);
    struct sbx_transfer_options how = SBX_INIT(how);
    how.flags = SBX_TRANSFER_FD;
    for (int i = 0; i < rounds; i++) {
        how.fd = open(host, O_RDONLY | O_CLOEXEC);
        (void)snprintf(path, sizeof path, "/tmp/up-%s-%d", name, i);
        double start = now_us();
        must(sbx_write_file(box, path, &how, NULL, &error), &error);
        add(t, start);
        (void)close(how.fd);
    }
    (void)snprintf(text, sizeof text, "up-%s", name);
    report(text, t);
    int fd = open(host, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        die("no file to compare with");
    for (int i = 0; i < rounds; i++) {
        struct check counted = {.fd = -1};
        double start = now_us();
        fetch(box, path, &counted, (uint64_t)st.st_size);
        add(t, start);
    }
    (void)snprintf(text, sizeof text, "down-%s", name);
    report(text, t);
    struct check compared = {.fd = fd};
    fetch(box, path, &compared, (uint64_t)st.st_size);
    (void)close(fd);
}

static void told(void *user, size_t index, sbx_status code, const char *message)
{
    (void)index;
    if (code != SBX_OK)
        die(message);
    ++*(int *)user;
}

static void measure_many_files(sbx_sandbox *box, const char *host, struct times *t)
{
    static struct sbx_file_item items[FILES];
    static const struct sbx_file_item *list[FILES];
    static char paths[FILES][32], content[1024];
    struct sbx_error error = SBX_INIT(error);
    struct sbx_transfer_options how = SBX_INIT(how);
    int fd = open(host, O_RDONLY | O_CLOEXEC), done = 0;
    if (fd < 0 || read(fd, content, sizeof content) != (ssize_t)sizeof content)
        die("no file of 1 KiB");
    how.data = content;
    how.data_len = sizeof content;
    for (int i = 0; i < FILES; i++) {
        items[i] = (struct sbx_file_item){.size = sizeof items[i], .path = paths[i], .how = &how};
        list[i] = &items[i];
    }
    for (int round = 0; round < BIG_ROUNDS; round++) {
        for (int i = 0; i < FILES; i++) /* new files each time */
            (void)snprintf(paths[i], sizeof paths[i], "/tmp/many-%d-%d", round, i);
        double start = now_us();
        must(sbx_write_files(box, list, FILES, NULL, told, &done, &error), &error);
        add(t, start);
    }
    if (done != FILES * BIG_ROUNDS)
        die("not every file was written");
    report("files", t);
    for (int i = 0; i < FILES; i += 100) {
        struct check compared = {.fd = fd};
        fetch(box, paths[i], &compared, sizeof content);
    }
    (void)close(fd);
}

static int32_t swallow(void *user, int stream, const void *data, size_t len)
{
    (void)stream;
    (void)data;
    *(uint64_t *)user += len;
    return 0;
}

static void measure_output(sbx_sandbox *box, struct times *t)
{
    static const char *const argv[] = {"sh", "-c", "dd if=/dev/zero bs=65536 count=4096 2>/dev/null", NULL};
    for (int i = 0; i < BIG_ROUNDS; i++) {
        uint64_t got = 0;
        struct sbx_error error = SBX_INIT(error);
        struct sbx_exec_options options = SBX_INIT(options);
        struct sbx_exec_result result = SBX_INIT(result);
        options.argv = argv;
        options.on_output = swallow;
        options.user_data = &got;
        double start = now_us();
        must(sbx_exec(box, &options, NULL, &result, &error), &error);
        add(t, start);
        if (got != BIG)
            die("the output is not whole");
    }
    report("stdout", t);
}

/* The most that this program had resident since it began. */
static void report_memory(void)
{
    char line[256];
    long peak = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            peak = strtol(line + 6, NULL, 10);
    if (file == NULL || peak == 0)
        die("no /proc/self/status");
    (void)fclose(file);
    (void)printf("memory %ld\n", peak);
}

/* --- many at once ------------------------------------------------------------------------------------------------- */

static void *run_each(void *user)
{
    run(user, true_argv);
    return NULL;
}

static void measure_crowd(sbx_context *ctx, struct times *t)
{
    sbx_sandbox *boxes[BOXES];
    pthread_t threads[BOXES * EACH];
    for (int i = 0; i < BOXES; i++)
        boxes[i] = make(ctx);
    for (int round = 0; round < BIG_ROUNDS; round++) {
        double start = now_us();
        for (int i = 0; i < BOXES * EACH; i++)
            if (pthread_create(&threads[i], NULL, run_each, boxes[i % BOXES]) != 0)
                die("no thread");
        for (int i = 0; i < BOXES * EACH; i++)
            (void)pthread_join(threads[i], NULL);
        add(t, start);
    }
    report("crowd", t);
    for (int i = 0; i < BOXES; i++)
        drop(boxes[i]);
}

int main(int argc, char **argv)
{
    struct sbx_error error = SBX_INIT(error);
    sbx_context *ctx = NULL;
    struct times *t = calloc(1, sizeof *t);
    long rounds = argc == 5 ? strtol(argv[1], NULL, 10) : 0;
    if (rounds < 1 || rounds > MAX_ROUNDS || t == NULL) {
        (void)fprintf(stderr, "usage: docker ROUNDS 1-KIB-FILE 1-MIB-FILE 256-MIB-FILE\n");
        return 2;
    }
    must(sbx_open(NULL, &ctx, &error), &error);
    sbx_sandbox *box = make(ctx);
    measure_commands(ctx, box, (int)rounds, t);
    move(box, "1k", argv[2], (int)rounds * MANY, t);
    move(box, "1m", argv[3], (int)rounds, t);
    move(box, "256m", argv[4], BIG_ROUNDS, t);
    measure_many_files(box, argv[2], t);
    measure_output(box, t);
    report_memory();
    drop(box);
    measure_crowd(ctx, t);
    sbx_close(ctx);
    free(t);
    return 0;
}
