/* SPDX-License-Identifier: MIT
 *
 * contract_reap: kills a command with SIGKILL at a random moment of its life, many times, and looks for survivors.
 * It is a child subreaper, so that whatever the command leaves behind becomes its child and cannot hide.
 *
 *   contract_reap --rounds N --spread-ms S --grace-ms G -- COMMAND...
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void sleep_us(int64_t us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

static pid_t start(char *const argv[])
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execv(argv[0], argv);
    _exit(127);
}

/* Reaps what has ended; 1 while a child is left. A zombie's own children have come to us by then. */
static int children_left(void)
{
    for (;;) {
        pid_t got = waitpid(-1, NULL, WNOHANG);
        if (got < 0)
            return 0;
        if (got == 0)
            return 1;
    }
}

/* Says which children are left, kills them. */
static void report_children(void)
{
    char path[64], line[512];
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end != '\0' || pid <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%ld/stat", pid);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        char *text = fgets(line, sizeof line, file);
        fclose(file);
        const char *tail = text == NULL ? NULL : strrchr(text, ')');
        int parent = 0;
        if (tail == NULL || sscanf(tail, ") %*c %d", &parent) != 1 || parent != getpid())
            continue;
        fprintf(stderr, "survivor: %.200s\n", text);
        kill((pid_t)pid, SIGKILL);
    }
    if (proc != NULL)
        closedir(proc);
}

/* Kills one run after `delay` and waits for its last process. Microseconds that took, or -1 when grace was over. */
static int64_t one_round(char *const argv[], int64_t delay, int64_t grace)
{
    pid_t pid = start(argv);
    if (pid < 0)
        return -1;
    sleep_us(delay);
    kill(pid, SIGKILL);
    int64_t begin = now_us();
    while (children_left()) {
        if (now_us() - begin > grace) {
            report_children();
            return -1;
        }
        sleep_us(500);
    }
    return now_us() - begin;
}

static long number(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return strtol(argv[i + 1], NULL, 10);
    return 0;
}

int main(int argc, char **argv)
{
    long rounds = number(argc, argv, "--rounds"), spread = number(argc, argv, "--spread-ms");
    int64_t grace = number(argc, argv, "--grace-ms") * 1000, worst = 0;
    int first = 1, bad = 0;
    while (first < argc && strcmp(argv[first], "--") != 0)
        first++;
    if (first + 1 >= argc || rounds <= 0 || spread <= 0) {
        fprintf(stderr, "usage: contract_reap --rounds N --spread-ms S --grace-ms G -- COMMAND...\n");
        return 2;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    srandom((unsigned)now_us());
    for (long i = 0; i < rounds; i++) {
        int64_t delay = random() % (spread * 1000);
        int64_t took = one_round(argv + first + 1, delay, grace);
        if (took < 0) {
            fprintf(stderr, "round %ld, killed after %lld us: a process survived\n", i, (long long)delay);
            bad++;
        }
        worst = took > worst ? took : worst;
    }
    printf("%ld kills, %d with survivors, the slowest end took %lld ms\n", rounds, bad, (long long)(worst / 1000));
    return bad != 0;
}
