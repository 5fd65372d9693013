/* SPDX-License-Identifier: MIT
 *
 * state.c - what belongs to the process and not to a plugin, taken before and compared after.
 */
#include "conform/conform.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

enum { FDS = 1024, SIGNALS = 65, SETTLE_MS = 1000, LINK_SIZE = 128 };

struct state {
    struct run *run;
    char cwd[4096];
    char locale[256];
    char status[3][64]; /* lines of /proc/self/status */
    uint64_t environment;
    struct sigaction actions[SIGNALS];
    sigset_t mask;
    char fds[FDS][LINK_SIZE];
    unsigned threads;
    char children[512];
    int subreaper;
    int dumpable;
    struct rlimit limits[RLIM_NLIMITS];
};

/* Reads a small file of /proc; its length. */
static size_t read_small(const char *path, char *text, size_t size)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = 1;
    while (fd >= 0 && len < size - 1 && n > 0) {
        n = read(fd, text + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    return len;
}

static void take_status(struct state *s)
{
    static const char *const lines[3] = {"\nUmask:", "\nUid:", "\nGid:"};
    char text[8192];
    (void)read_small("/proc/self/status", text, sizeof text);
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(text, lines[i]);
        (void)snprintf(s->status[i], sizeof s->status[i], "%.*s", at == NULL ? 0 : (int)strcspn(at + 1, "\n"),
                       at == NULL ? "" : at + 1);
    }
}

static void take_descriptors(struct state *s)
{
    for (int fd = 0; fd < FDS; fd++) {
        char path[64];
        s->fds[fd][0] = '\0';
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, s->fds[fd], LINK_SIZE - 1);
        s->fds[fd][len > 0 ? len : 0] = '\0';
        if (len <= 0)
            (void)snprintf(s->fds[fd], LINK_SIZE, "?");
    }
}

static void take_tasks(struct state *s)
{
    CLEANUP_DIR DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    s->threads = 0;
    s->children[0] = '\0';
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[300];
        size_t used = strlen(s->children);
        if (entry->d_name[0] == '.')
            continue;
        s->threads++;
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
        (void)read_small(path, s->children + used, sizeof s->children - used);
    }
}

static uint64_t environment_sum(void)
{
    uint64_t sum = 1469598103934665603u;
    for (size_t i = 0; environ != NULL && environ[i] != NULL; i++)
        for (const char *c = environ[i]; c == environ[i] || c[-1] != '\0'; c++)
            sum = (sum ^ (unsigned char)*c) * 1099511628211u;
    return sum;
}

static void take(struct state *s)
{
    if (getcwd(s->cwd, sizeof s->cwd) == NULL)
        s->cwd[0] = '\0';
    const char *locale = setlocale(LC_ALL, NULL);
    (void)snprintf(s->locale, sizeof s->locale, "%s", locale != NULL ? locale : "");
    take_status(s);
    s->environment = environment_sum();
    for (int i = 1; i < SIGNALS; i++)
        (void)sigaction(i, NULL, &s->actions[i]);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    take_tasks(s);
    take_descriptors(s);
    (void)prctl(PR_GET_CHILD_SUBREAPER, &s->subreaper);
    s->dumpable = prctl(PR_GET_DUMPABLE);
    for (int i = 0; i < (int)RLIM_NLIMITS; i++)
        (void)getrlimit((__rlimit_resource_t)i, &s->limits[i]);
}

struct state *state_take(struct run *run)
{
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL)
        run_fail(run, "the checker has no memory");
    s->run = run;
    take(s);
    return s;
}

void state_drop(struct state *state)
{
    free(state);
}

static const char *signal_difference(const struct state *a, const struct state *b, char text[TEXT_SIZE])
{
    for (int i = 1; i < SIGNALS; i++) {
        if (a->actions[i].sa_handler != b->actions[i].sa_handler || a->actions[i].sa_flags != b->actions[i].sa_flags)
            (void)snprintf(text, TEXT_SIZE, "the disposition of signal %d (%s) changed (P1)", i, strsignal(i));
        else if (sigismember(&a->mask, i) != sigismember(&b->mask, i))
            (void)snprintf(text, TEXT_SIZE, "the signal mask changed for signal %d (P1)", i);
        else
            continue;
        return text;
    }
    return NULL;
}

/* What a plugin may never change, not even for a moment. */
static const char *fixed_difference(const struct state *a, const struct state *b, char text[TEXT_SIZE])
{
    const char *what = NULL;
    struct stat output;
    if (strcmp(a->cwd, b->cwd) != 0)
        what = "the working directory";
    else if (strcmp(a->locale, b->locale) != 0)
        what = "the locale";
    else if (strcmp(a->status[0], b->status[0]) != 0)
        what = "the umask";
    else if (memcmp(a->status, b->status, sizeof a->status) != 0)
        what = "the user or group";
    else if (a->environment != b->environment)
        what = "the environment";
    else if (a->subreaper != b->subreaper || a->dumpable != b->dumpable)
        what = "whether the process is a subreaper or dumpable";
    else if (memcmp(a->limits, b->limits, sizeof a->limits) != 0)
        what = "a resource limit";
    else if (fstat(1, &output) == 0 && output.st_size != 0)
        what = "standard output or standard error";
    if (what == NULL)
        return signal_difference(a, b, text);
    (void)snprintf(text, TEXT_SIZE, "%s changed (P1)", what);
    return text;
}

static const char *kept_difference(const struct state *a, const struct state *b, char text[TEXT_SIZE])
{
    for (int fd = 0; fd < FDS; fd++)
        if (strcmp(a->fds[fd], b->fds[fd]) != 0) {
            (void)snprintf(text, TEXT_SIZE, "descriptor %d was '%s' and is '%s' (C15)", fd,
                           a->fds[fd][0] != '\0' ? a->fds[fd] : "closed",
                           b->fds[fd][0] != '\0' ? b->fds[fd] : "closed");
            return text;
        }
    if (a->threads != b->threads)
        (void)snprintf(text, TEXT_SIZE, "there were %u threads and there are %u (P4, C15)", a->threads, b->threads);
    else if (strcmp(a->children, b->children) != 0)
        (void)snprintf(text, TEXT_SIZE, "child processes were left: %s(C15)", b->children);
    else
        return NULL;
    return text;
}

const char *state_difference(struct run *run, const struct state *before, char text[TEXT_SIZE])
{
    struct state *now = state_take(run);
    const char *problem = fixed_difference(before, now, text);
    int64_t end = clock_ms() + SETTLE_MS;
    if (problem == NULL)
        problem = kept_difference(before, now, text);
    /* A joined thread, an ended process may be seen for a moment more. */
    while (problem != NULL && clock_ms() < end) {
        sleep_ms(20);
        take(now);
        problem = fixed_difference(before, now, text);
        problem = problem == NULL ? kept_difference(before, now, text) : problem;
    }
    state_drop(now);
    return problem;
}

const char *state_inherited(const struct state *before, char text[TEXT_SIZE])
{
    for (int fd = 0; fd < FDS; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || (flags & FD_CLOEXEC) != 0 || before->fds[fd][0] != '\0')
            continue;
        char path[64];
        char link[LINK_SIZE] = "";
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        (void)!readlink(path, link, sizeof link - 1);
        (void)snprintf(text, TEXT_SIZE, "descriptor %d, '%s', is not close-on-exec (P3)", fd, link);
        return text;
    }
    return NULL;
}

const char *state_open_threads(char text[TEXT_SIZE])
{
    CLEANUP_DIR DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    char own[32];
    (void)snprintf(own, sizeof own, "%d", (int)gettid());
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[300];
        char status[8192];
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, own) == 0)
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        (void)read_small(path, status, sizeof status);
        const char *mask = strstr(status, "\nSigBlk:\t");
        uint64_t blocked = mask != NULL ? strtoull(mask + 9, NULL, 16) : UINT64_MAX;
        /* The ordinary signals, without KILL and STOP. */
        const uint64_t all = UINT64_C(0x7fffffff) & ~(UINT64_C(1) << (SIGKILL - 1)) & ~(UINT64_C(1) << (SIGSTOP - 1));
        if ((blocked & all) == all)
            continue;
        (void)snprintf(text, TEXT_SIZE, "thread %s does not block all signals (P4)", entry->d_name);
        return text;
    }
    return NULL;
}
