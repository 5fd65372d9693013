/* SPDX-License-Identifier: MIT
 *
 * race.c - race ROUNDS ::: COMMAND... ::: COMMAND...: runs the commands in turn, ROUNDS times each, and prints each
 * one's median time as a whole process in microseconds, one a line. Taking turns makes the ratios hold on a machine
 * whose speed drifts. A command that fails ends the race.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { MOST_COMMANDS = 16, MOST_ROUNDS = 10000, WARM_UP = 3 };
extern char **environ;

static long long now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds from start to end of one run, or -1. */
static long long run_once(char **argv, const posix_spawn_file_actions_t *quiet)
{
    pid_t pid = 0;
    int status = 0;
    long long start = now_ns();
    if (posix_spawnp(&pid, argv[0], quiet, NULL, argv, environ) != 0)
        return -1;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return -1;
    return now_ns() - start;
}

static int by_value(const void *a, const void *b)
{
    const long long *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Cuts argv at each ":::"; the number of commands, 0 when there is none or there are too many. */
static size_t split(int argc, char **argv, char **commands[MOST_COMMANDS])
{
    size_t count = 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], ":::") != 0)
            continue;
        argv[i] = NULL;
        if (i + 1 >= argc || count == MOST_COMMANDS)
            return 0;
        commands[count++] = &argv[i + 1];
    }
    return count;
}

int main(int argc, char **argv)
{
    char **commands[MOST_COMMANDS];
    long rounds = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    size_t count = argc > 2 ? split(argc, argv, commands) : 0;
    if (rounds < 1 || rounds > MOST_ROUNDS || count == 0) {
        (void)fprintf(stderr, "usage: race ROUNDS ::: COMMAND... [::: COMMAND...]...\n");
        return 2;
    }
    posix_spawn_file_actions_t quiet;
    long long *times = calloc(count * (size_t)rounds, sizeof *times);
    if (times == NULL || posix_spawn_file_actions_init(&quiet) != 0 ||
        posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0) != 0 ||
        posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0) != 0)
        return 1;
    for (long round = -WARM_UP; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            long long took = run_once(commands[i], &quiet);
            if (took < 0) {
                (void)fprintf(stderr, "race: '%s' (command %zu) did not end with 0\n", commands[i][0], i + 1);
                return 1;
            }
            if (round >= 0)
                times[i * (size_t)rounds + (size_t)round] = took;
        }
    }
    for (size_t i = 0; i < count; i++) {
        long long *mine = times + i * (size_t)rounds;
        qsort(mine, (size_t)rounds, sizeof *mine, by_value);
        (void)printf("%lld\n", mine[rounds / 2] / 1000);
    }
    free(times);
    (void)posix_spawn_file_actions_destroy(&quiet);
    return 0;
}
