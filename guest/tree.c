/* SPDX-License-Identifier: MIT */
#include "guest/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/guest.h"

struct process {
    pid_t pid;
    pid_t parent;
    uint64_t tick;
    int threads;
    char state;  /* of its first thread, which may be a zombie while others run */
    int below;   /* it descends from us and is not spared */
    int stopped; /* by the previous passes */
};
struct table {
    struct process *items;
    size_t count;
    size_t cap;
};

static pid_t pid_of_name(const char *name)
{
    long value = 0;
    for (; *name >= '0' && *name <= '9' && value < 100000000; name++)
        value = value * 10 + (*name - '0');
    return *name == '\0' ? (pid_t)value : 0;
}

/* pid (name) state ppid ... field 20 counts threads, field 22 is the start; the name may hold anything, so the last ')'
 * counts. 0, or -1 when it is gone. */
static int read_stat(const char *path, struct process *p)
{
    char text[1024];
    int parent;
    unsigned long long start;
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    const char *rest = strrchr(text, ')');
    if (rest == NULL ||
        sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu", &p->state,
               &parent, &p->threads, &start) != 4)
        return -1;
    p->parent = parent;
    p->tick = start;
    return 0;
}

static int read_process(pid_t pid, struct process *p)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    p->pid = pid;
    return read_stat(path, p);
}

static int is_over(const struct process *p)
{
    return (p->state == 'Z' || p->state == 'X') && p->threads <= 1;
}

uint64_t tree_start_tick(pid_t pid)
{
    struct process p;
    return read_process(pid, &p) != 0 ? 0 : p.tick;
}

pid_t tree_parent(pid_t pid)
{
    struct process p;
    return read_process(pid, &p) != 0 ? -1 : p.parent;
}

int tree_has_child(pid_t pid, pid_t but)
{
    char path[64], text[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return n < 0;
    text[n] = '\0';
    char *end;
    return strtol(text, &end, 10) != but || (*end == ' ' && end[1] != '\0');
}

uint64_t tree_count(void)
{
    CLEANUP_DIR DIR *dir = opendir("/proc");
    uint64_t count = 0;
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        count += pid_of_name(entry->d_name) > 0;
    return count;
}

/* /proc lists processes by ascending number. */
static struct process *find(const struct table *t, pid_t pid)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->items[middle].pid == pid)
            return &t->items[middle];
        if (t->items[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int add(struct table *t, struct process p)
{
    if (t->count == t->cap) {
        size_t cap = t->cap == 0 ? 64 : t->cap * 2;
        struct process *items = realloc(t->items, cap * sizeof *items);
        if (items == NULL)
            return -1;
        t->items = items;
        t->cap = cap;
    }
    t->items[t->count++] = p;
    return 0;
}

static int is_spared(const struct tree *t, pid_t pid)
{
    for (size_t i = 0; i < t->spare_count; i++)
        if (t->spare[i] == pid)
            return 1;
    return pid == t->except;
}

static int is_below(const struct tree *tree, const struct table *t, const struct process *p, pid_t root)
{
    if (is_spared(tree, p->pid))
        return 0;
    if (p->parent == root)
        return p->tick >= tree->since;
    const struct process *parent = find(t, p->parent);
    return parent != NULL && (parent->below || (parent->pid == tree->except && tree->except != 0));
}

/* Reads /proc and marks what is meant. -1 when /proc cannot be read. */
static int scan(const struct tree *tree, struct table *t)
{
    CLEANUP_DIR DIR *dir = opendir("/proc");
    const struct dirent *entry;
    pid_t self = getpid();
    if (dir == NULL)
        return -1;
    t->count = 0;
    while ((entry = readdir(dir)) != NULL) {
        struct process p = {.pid = pid_of_name(entry->d_name)};
        if (p.pid > 0 && p.pid != self && read_process(p.pid, &p) == 0 && !is_over(&p) && add(t, p) != 0)
            return -1;
    }
    for (int changed = 1; changed;) {
        changed = 0;
        for (size_t i = 0; i < t->count; i++) {
            struct process *p = &t->items[i];
            if (p->below)
                continue;
            p->below = is_below(tree, t, p, tree->root != 0 ? tree->root : self);
            changed |= p->below;
        }
    }
    return 0;
}

/* The signal goes only to the very process that was seen, not to a later one of the same number. */
static void send_signal(const struct process *p, int signo)
{
    struct process now;
    CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (read_process(p->pid, &now) != 0 || is_over(&now) || now.tick != p->tick)
        return;
    if (fd >= 0)
        (void)syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
    else
        (void)kill(p->pid, signo);
}

/* Stops every descendant, again and again until a pass finds no new one, so that none can fork away; then kills. */
void tree_strike(const struct tree *tree)
{
    struct table now = {0}, before = {0};
    for (int pass = 0; pass < 64; pass++) {
        int fresh = 0;
        if (scan(tree, &now) != 0)
            break;
        for (size_t i = 0; i < now.count; i++) {
            const struct process *old = find(&before, now.items[i].pid);
            if (!now.items[i].below || (old != NULL && old->stopped && old->tick == now.items[i].tick)) {
                now.items[i].stopped = now.items[i].below;
                continue;
            }
            send_signal(&now.items[i], SIGSTOP);
            now.items[i].stopped = fresh = 1;
        }
        struct table swap = before;
        before = now;
        now = swap;
        if (!fresh)
            break;
    }
    for (size_t i = 0; i < before.count; i++)
        if (before.items[i].below)
            send_signal(&before.items[i], SIGKILL);
    free(now.items);
    free(before.items);
}

size_t tree_signal(const struct tree *tree, int signo)
{
    struct table t = {0};
    size_t count = 0;
    if (scan(tree, &t) == 0) {
        for (size_t i = 0; i < t.count; i++) {
            if (!t.items[i].below)
                continue;
            send_signal(&t.items[i], signo);
            count++;
        }
    }
    free(t.items);
    return count;
}

size_t tree_list(const struct tree *tree, pid_t **pids)
{
    struct table t = {0};
    size_t count = 0;
    *pids = NULL;
    if (scan(tree, &t) == 0) {
        for (size_t i = 0; i < t.count; i++)
            if (t.items[i].below)
                t.items[count++].pid = t.items[i].pid;
        *pids = count == 0 ? NULL : malloc(count * sizeof **pids);
        for (size_t i = 0; *pids != NULL && i < count; i++)
            (*pids)[i] = t.items[i].pid;
    }
    free(t.items);
    return *pids == NULL ? 0 : count;
}

/* --- stopping and continuing ------------------------------------------------------------------------------------- */

/* T: stopped, t: by its tracer, Z and X: over. */
static int is_at_rest(char state)
{
    return strchr("TtZX", state) != NULL;
}

/* Whether any thread runs; *deep is set when one is in the kernel, where a stop waits for its way out. */
static int runs(const struct process *p, int *deep)
{
    char path[64];
    int running = 0;
    *deep = p->state == 'D';
    if (p->threads <= 1)
        return !is_at_rest(p->state);
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)p->pid);
    CLEANUP_DIR DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct process thread;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%.16s/stat", (int)p->pid, entry->d_name);
        if (pid_of_name(entry->d_name) == 0 || read_stat(path, &thread) != 0 || is_at_rest(thread.state))
            continue;
        *deep = thread.state == 'D' && (*deep || !running);
        running = 1;
    }
    return running;
}

static int is_among(const struct tree_process *list, size_t count, const struct process *p)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].pid == p->pid && (list[i].tick == p->tick || list[i].tick == 0))
            return 1;
    return 0;
}

int tree_stop(const struct tree *tree, const struct tree_process *but, size_t but_count, struct tree_rest *rest)
{
    struct table t = {0};
    int deep, answer = scan(tree, &t);
    *rest = (struct tree_rest){0};
    for (size_t i = 0; answer == 0 && i < t.count; i++) {
        if (!t.items[i].below || is_among(but, but_count, &t.items[i]) || !runs(&t.items[i], &deep))
            continue;
        send_signal(&t.items[i], SIGSTOP);
        rest->running += deep ? 0 : 1;
        rest->deep += deep ? 1 : 0;
    }
    free(t.items);
    return answer;
}

size_t tree_stopped(const struct tree *tree, struct tree_process **out)
{
    struct table t = {0};
    size_t count = 0;
    *out = NULL;
    if (scan(tree, &t) == 0 && t.count > 0)
        *out = malloc(t.count * sizeof **out);
    for (size_t i = 0; *out != NULL && i < t.count; i++)
        if (t.items[i].below && t.items[i].state == 'T')
            (*out)[count++] = (struct tree_process){t.items[i].pid, t.items[i].tick};
    free(t.items);
    return count;
}

/* Children first: a parent that looks after its jobs finds them running again. */
void tree_continue(const struct tree *tree, const struct tree_process *but, size_t but_count)
{
    struct table t = {0};
    int ok = scan(tree, &t) == 0;
    for (size_t i = t.count; ok && i > 0; i--)
        if (t.items[i - 1].below && !is_among(but, but_count, &t.items[i - 1]))
            send_signal(&t.items[i - 1], SIGCONT);
    free(t.items);
}

/* --- ending ------------------------------------------------------------------------------------------------------- */

/* 1: nothing is left to wait for; 0: something still runs. */
static int reap(struct tree *t)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return pid < 0;
        if (pid == t->main) {
            t->main_reaped = 1;
            t->main_status = status;
        }
    }
}

/* Nothing below us runs any more, though spared children may. */
static int is_empty(const struct tree *tree)
{
    struct table t = {0};
    int below = scan(tree, &t) != 0;
    for (size_t i = 0; i < t.count; i++)
        below |= t.items[i].below;
    free(t.items);
    return !below;
}

int tree_kill(struct tree *t, int limit_ms)
{
    int64_t until = clock_now_ns() + (int64_t)limit_ms * 1000000;
    sigset_t child;
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    for (;;) {
        tree_strike(t);
        if (t->main > 0 && !t->main_reaped)
            (void)kill(-t->main, SIGKILL); /* all that can be done where /proc is missing */
        if (reap(t) || ((t->spare_count > 0 || t->since > 0) && is_empty(t)))
            return 0;
        if (clock_now_ns() >= until)
            return -1;
        struct timespec wait = {.tv_nsec = 2000000};
        (void)sigtimedwait(&child, NULL, &wait);
        if (reap(t))
            return 0;
    }
}

void close_from(int first)
{
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0)
        return;
    struct rlimit limit;
    int end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1u << 20 ? (int)limit.rlim_cur : 1 << 20;
    for (int fd = first; fd < end; fd++)
        (void)close(fd);
}
