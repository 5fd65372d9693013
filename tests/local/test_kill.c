/* SPDX-License-Identifier: MIT
 *
 * test_kill.c - a host process is killed (SIGKILL) at random moments while it makes and uses bound sandboxes: within
 * two seconds none of its processes lives, and the next list removes every file. SBX_TEST_ROUNDS: 60 unless set.
 */
#include "tests/local/lab.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 60, GRACE_MS = 2000, SPREAD_US = 40000, QUIET_LOOKS = 3 };

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How many processes carry the mark in their command line: the guest, bubblewrap, the host, the command. */
static int count_marked(const char *mark, int print)
{
    int count = 0;
    CLEANUP_DIR DIR *proc = opendir("/proc");
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        char path[300], text[4096];
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        CLEANUP_FILE FILE *file = entry->d_name[0] > '0' && entry->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        size_t n = file == NULL ? 0 : fread(text, 1, sizeof text, file);
        if (strtol(entry->d_name, NULL, 10) == getpid() || memmem(text, n, mark, strlen(mark)) == NULL)
            continue;
        count++;
        if (print)
            (void)fprintf(stderr, "still there: %s %s\n", entry->d_name, text);
    }
    return count;
}

static int play(const char *dir, const char *mark, const char *verb, unsigned delay_us)
{
    char key[128];
    (void)snprintf(key, sizeof key, "workdir=/workspace/%s", mark);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (dup2(null, 1) < 0)
            _exit(127);
        (void)execl(LOCAL_DRIVE, "drive", dir, key, verb, "sleep", "1000", (char *)NULL);
        _exit(127);
    }
    (void)usleep(delay_us);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    int64_t end = now_ms() + GRACE_MS;
    /* One look may miss a process that is just being started. */
    for (int empty = 0; empty < QUIET_LOOKS; (void)usleep(5000)) {
        empty = count_marked(mark, 0) == 0 ? empty + 1 : 0;
        if (empty == 0 && now_ms() >= end)
            return count_marked(mark, 1);
    }
    return 0;
}

int main(void)
{
    struct lab lab;
    char mark[64];
    const char *text = getenv("SBX_TEST_ROUNDS");
    long rounds = text != NULL ? strtol(text, NULL, 10) : ROUNDS, survivors = 0;
    if (!lab_works())
        return 77;
    if (lab_open(&lab, NULL, NULL, 0) != SBX_OK)
        return 1;
    srand48(getpid());
    for (long i = 0; i < rounds; i++) {
        (void)snprintf(mark, sizeof mark, "mark-%d-%ld-end", (int)getpid(), i);
        survivors += play(lab.dir, mark, i % 2 == 0 ? "run" : "hold", (unsigned)(drand48() * SPREAD_US)) > 0;
    }
    (void)usleep(GRACE_MS * 1000);
    (void)snprintf(mark, sizeof mark, "mark-%d-", (int)getpid());
    survivors += count_marked(mark, 1);
    int listed = lab_count(&lab), runtime = lab_entries(lab.runtime), state = lab_entries(lab.state);
    (void)printf("%ld rounds: %ld with survivors; then listed %d, records %d, trees %d\n", rounds, survivors, listed,
                 runtime, state);
    lab_close(&lab);
    return survivors == 0 && listed == 0 && runtime == 0 && state == 0 ? 0 : 1;
}
