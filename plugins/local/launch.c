/* SPDX-License-Identifier: MIT
 *
 * launch.c - one copy of the host's process (clone without an exit signal, so that only we can wait for it) enters the
 * namespaces, waits until its ids are mapped from outside, prepares itself, and starts the program from a vfork; then
 * it ends, and the program belongs to the system's init.
 */
#include "plugins/local/launch.h"

#include "base/cleanup.h"
#include "plugins/local/fds.h"
#include "plugins/local/stage.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The copy has every lock as another thread held it at that moment, and may wait for none. ThreadSanitizer's run time
 * has locks, so it is told of the copy; and it makes a fork of a vfork, which takes those of the C library. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#endif
#ifdef THREAD_SANITIZER
void __sanitizer_syscall_pre_impl_fork(void);
void __sanitizer_syscall_post_impl_fork(long result);
#define BEFORE_FORK()   __sanitizer_syscall_pre_impl_fork()
#define AFTER_FORK(pid) __sanitizer_syscall_post_impl_fork(pid)
#define FORK_TO_EXEC()  ((pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL))
#else
#define BEFORE_FORK()   ((void)0)
#define AFTER_FORK(pid) ((void)0)
#define FORK_TO_EXEC()  vfork()
#endif

enum { SIGNALS = 64, OPEN_FILES = 65536, OPEN_FILES_SOFT = 8192 };
enum { INSIDE_ROOT = 0, RUN_FAILED = 126 };

struct failure { /* what the child tells */
    int step;
    int error;
    char path[256];
};
enum { STEP_NONE, STEP_IDS, STEP_MOUNT, STEP_SOURCE, STEP_DIRS, STEP_LAYOUT, STEP_FDS, STEP_EXEC };
static const char *const step_names[] = {"",
                                         "taking the sandbox's user ids",
                                         "mounting",
                                         "opening a directory for the sandbox",
                                         "preparing the sandbox's directories",
                                         "making the sandbox's file system",
                                         "preparing descriptors",
                                         "executing the program"};

/* --- in the child: nothing but system calls ------------------------------------------------------------------ */

/* The system call itself: sanitizers put their own judgement of the copy into what _exit answers. */
static void leave(int code) __attribute__((noreturn));
static void leave(int code)
{
    for (;;)
        (void)syscall(SYS_exit_group, code);
}

static void fail_child(int status_fd, int step, int error, const char *path) __attribute__((noreturn));
static void fail_child(int status_fd, int step, int error, const char *path)
{
    struct failure failure = {.step = step, .error = error};
    (void)snprintf(failure.path, sizeof failure.path, "%s", path);
    ssize_t n = write(status_fd, &failure, sizeof failure);
    leave(n == (ssize_t)sizeof failure ? 1 : 2);
}

static void write_proc(const char *path, const char *text)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        return; /* the probes of the tests tell whether it took */
}

/* 0 or an errno. */
static int become_inside_root(const struct launch_plan *plan)
{
    if (plan->ids->kind != IDS_SINGLE && syscall(SYS_setgroups, 0, NULL) != 0)
        return errno;
    if (syscall(SYS_setresgid, INSIDE_ROOT, INSIDE_ROOT, INSIDE_ROOT) != 0 ||
        syscall(SYS_setresuid, INSIDE_ROOT, INSIDE_ROOT, INSIDE_ROOT) != 0)
        return errno;
    return 0;
}

static int prepare_dirs(const struct launch_plan *plan, const char **path)
{
    uid_t owner = plan->ids->kind == IDS_SINGLE ? INSIDE_ROOT : IDS_SANDBOX;
    for (size_t i = 0; i < plan->dir_count; i++) {
        const struct launch_dir *dir = &plan->dirs[i];
        *path = dir->path;
        if (plan->make_dirs && mkdir(dir->path, 0700) != 0 && errno != EEXIST)
            return errno;
        if (lchown(dir->path, owner, (gid_t)owner) != 0 || chmod(dir->path, dir->mode) != 0)
            return errno;
    }
    return 0;
}

static void limit(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return;
    now.rlim_max = now.rlim_max < hard ? now.rlim_max : hard;
    now.rlim_cur = now.rlim_max < soft ? now.rlim_max : soft;
    (void)setrlimit((__rlimit_resource_t)resource, &now);
}

static void limit_namespaces(const struct launch_plan *plan)
{
    char most[16];
    (void)snprintf(most, sizeof most, "%d", plan->nested);
    write_proc("/proc/sys/user/max_user_namespaces", most);
    if (plan->processes > 0)
        limit(RLIMIT_NPROC, plan->processes, plan->processes);
}

/* The directories and the layout, in the namespaces that were entered. 0, or a step with *error and *path. */
static int make_inside(const struct launch_plan *plan, int *error, const char **path)
{
    *error = stage_open(plan->layout, plan->layout_fds);
    if (*error != 0)
        return STEP_SOURCE;
    *error = become_inside_root(plan);
    if (*error != 0)
        return STEP_IDS;
    *path = LAYOUT_STAGE;
    (void)umask(0);
    *error = stage_cover(plan->disk_mib);
    if (*error != 0)
        return STEP_MOUNT;
    *error = prepare_dirs(plan, path);
    if (*error != 0)
        return STEP_DIRS;
    *error = stage_build(plan->layout, plan->layout_fds, path);
    return *error != 0 ? STEP_LAYOUT : STEP_NONE;
}

/* Each function that a handler was set for is the host's: none may run here. Ignored signals would be inherited. */
static void reset_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int i = 1; i <= SIGNALS; i++)
        (void)sigaction(i, &action, NULL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void arrange_fds(const struct launch_plan *plan, int status_fd)
{
    if (dup2(plan->err_fd, 2) < 0)
        fail_child(status_fd, STEP_FDS, errno, "");
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        fail_child(status_fd, STEP_FDS, errno, "");
    for (size_t i = 0; i < plan->keep_count; i++)
        if (fcntl(plan->keep_fds[i], F_SETFD, 0) != 0)
            fail_child(status_fd, STEP_FDS, errno, "");
}

/* The program's pid; it runs when this returns. It takes its ids itself: those of this process are still the caller's,
 * with whose rights the layout's sources are opened. */
static pid_t spawn(const struct launch_plan *plan, int status_fd)
{
    static char *const empty[] = {NULL};
    arrange_fds(plan, status_fd);
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_NOFILE, OPEN_FILES_SOFT, OPEN_FILES);
    (void)setsid();
    (void)umask(022);
    if (chdir("/") != 0)
        fail_child(status_fd, STEP_FDS, errno, "");
    pid_t pid = FORK_TO_EXEC();
    if (pid == 0) {
        int error = plan->own_users ? become_inside_root(plan) : 0;
        if (error != 0)
            fail_child(status_fd, STEP_IDS, error, "");
        (void)syscall(SYS_execveat, plan->program_fd, "", plan->argv, empty, AT_EMPTY_PATH);
        fail_child(status_fd, STEP_EXEC, errno, "");
    }
    if (pid < 0)
        fail_child(status_fd, STEP_EXEC, errno, "");
    return pid;
}

/* The program starts while its directories and the layout are made, since loading it takes as long: it waits for its
 * arguments. They are one write to a pipe, so it gets all or none; with none it has no file system in which the guest
 * could be executed. */
static void start_beside_layout(const struct launch_plan *plan, int go_fd, int status_fd) __attribute__((noreturn));
static void start_beside_layout(const struct launch_plan *plan, int go_fd, int status_fd)
{
    const char *path = "";
    char byte;
    int error = 0, args[2];
    if (fds_pipe(args) != 0 || dup2(args[0], plan->args_fd) < 0)
        fail_child(status_fd, STEP_FDS, errno, "");
    pid_t pid = spawn(plan, status_fd);
    if (read(go_fd, &byte, 1) != 1) {
        (void)kill(pid, SIGKILL);
        leave(1); /* the host has told why, or ended */
    }
    int step = make_inside(plan, &error, &path);
    if (step == STEP_NONE && write(args[1], plan->args, plan->args_len) != (ssize_t)plan->args_len) {
        error = errno;
        step = STEP_FDS;
    }
    (void)close(args[1]); /* at once: the program reads to the end, and the end of this process takes a while */
    if (step == STEP_NONE)
        leave(0);
    (void)kill(pid, SIGKILL);
    fail_child(status_fd, step, error, path);
}

struct channel {
    int go[2];     /* bytes to the child: your ids are mapped; with a layout, another one: its sources are there */
    int status[2]; /* a failure from the child, or its end */
    int null_fd;
};

static void run_child(const struct launch_plan *plan, const struct channel *channel) __attribute__((noreturn));
static void run_child(const struct launch_plan *plan, const struct channel *channel)
{
    char byte;
    (void)close(channel->go[1]);
    for (int fd = 0; fd <= 2; fd++) /* so that nothing opened later lands there */
        if (dup2(channel->null_fd, fd) < 0)
            leave(1);
    reset_signals();
    if (read(channel->go[0], &byte, 1) != 1)
        leave(1); /* the host process ended */
    if (plan->own_users)
        limit_namespaces(plan);
    if (plan->run != NULL)
        leave(plan->own_users && become_inside_root(plan) != 0 ? RUN_FAILED : plan->run(plan->user));
    if (plan->layout != NULL)
        start_beside_layout(plan, channel->go[0], channel->status[1]);
    (void)spawn(plan, channel->status[1]);
    leave(0);
}

/* --- in the host ----------------------------------------------------------------------------------------------- */

static void finish_channel(struct channel *channel)
{
    int fds[] = {channel->go[0], channel->go[1], channel->status[0], channel->status[1], channel->null_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

/* A copy of this process without an exit signal: wait4 with __WALL alone finds it. Signals are blocked meanwhile, so
 * that no handler of the host's runs in the copy. */
static pid_t fork_quietly(unsigned long flags, const struct launch_plan *plan, const struct channel *channel)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    BEFORE_FORK();
    pid_t pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    AFTER_FORK(pid);
    if (pid == 0)
        run_child(plan, channel);
    int saved = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, __WALL) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int write_file(pid_t pid, const char *name, const char *text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : errno;
}

/* newuidmap, newgidmap PID 0 OWN 1 1 FIRST COUNT. */
struct map_job {
    int go_fd; /* the process whose ids they are is told of success at once */
    const char *programs[2];
    char numbers[2][4][16];
    char *argv[2][9];
};

static pid_t exec_map(struct map_job *job, int i)
{
    static char *const empty[] = {NULL};
    pid_t pid = FORK_TO_EXEC();
    if (pid == 0) {
        (void)execve(job->programs[i], job->argv[i], empty);
        leave(127);
    }
    return pid;
}

/* Both at once; the answer has bit 1 for newuidmap's failure and bit 2 for newgidmap's. Children of a child execute
 * them: executing gives a process its exit signal back, which would be the host's. */
static int exec_maps(void *user)
{
    struct map_job *job = user;
    int failed = 0;
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        return 3;
    pid_t pids[2] = {exec_map(job, 0), exec_map(job, 1)};
    for (int i = 0; i < 2; i++) {
        int status = 0;
        if (pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            failed |= 1 << i;
    }
    return failed == 0 && write(job->go_fd, "g", 1) != 1 ? 3 : failed;
}

static void fill_map(struct map_job *job, int i, pid_t pid, const uint32_t ids[3])
{
    static const char *const fixed[] = {"newidmap", NULL, "0", NULL, "1", "1", NULL, NULL, NULL};
    static const size_t places[] = {1, 3, 6, 7};
    const uint32_t values[] = {(uint32_t)pid, ids[0], ids[1], ids[2]};
    for (size_t k = 0; k < 9; k++)
        job->argv[i][k] = (char *)(uintptr_t)fixed[k];
    for (size_t k = 0; k < 4; k++) {
        (void)snprintf(job->numbers[i][k], sizeof job->numbers[i][k], "%u", values[k]);
        job->argv[i][places[k]] = job->numbers[i][k];
    }
    job->programs[i] = ids_map_program(i);
}

/* The helper's pid, or -1. `job` is lent to it until it ended. */
static pid_t begin_maps(pid_t pid, const struct ids *ids, const struct channel *channel, struct map_job *job)
{
    const uint32_t users[3] = {ids->uid, ids->uid_first, ids->uid_count};
    const uint32_t groups[3] = {ids->gid, ids->gid_first, ids->gid_count};
    job->go_fd = channel->go[1];
    fill_map(job, 0, pid, users);
    fill_map(job, 1, pid, groups);
    struct launch_plan plan = {.run = exec_maps, .user = job};
    struct channel ready = {{-1, -1}, {channel->status[0], channel->status[1]}, channel->null_fd};
    if (job->programs[0] == NULL || job->programs[1] == NULL || fds_pipe(ready.go) != 0)
        return -1;
    pid_t helper = fork_quietly(0, &plan, &ready);
    if (helper > 0 && write(ready.go[1], "g", 1) != 1) {
        (void)kill(helper, SIGKILL);
        (void)wait_for(helper);
        helper = -1;
    }
    (void)close(ready.go[0]);
    (void)close(ready.go[1]);
    return helper;
}

static int map_root(pid_t pid, const struct ids *ids)
{
    char text[64];
    (void)snprintf(text, sizeof text, "0 %u %u\n", ids->gid_first, ids->gid_count);
    int error = write_file(pid, "gid_map", text);
    (void)snprintf(text, sizeof text, "0 %u %u\n", ids->uid_first, ids->uid_count);
    return error != 0 ? error : write_file(pid, "uid_map", text);
}

static int map_single(pid_t pid, const struct ids *ids)
{
    char text[64];
    int error = write_file(pid, "setgroups", "deny");
    (void)snprintf(text, sizeof text, "0 %u 1\n", ids->gid);
    error = error != 0 ? error : write_file(pid, "gid_map", text);
    (void)snprintf(text, sizeof text, "0 %u 1\n", ids->uid);
    return error != 0 ? error : write_file(pid, "uid_map", text);
}

static const char blocked[] =
    "user namespaces are refused on this machine; allow them with `sysctl -w user.max_user_namespaces=15000`, where it "
    "exists also kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0; inside a "
    "container they need --security-opt seccomp=unconfined or --privileged";

static sbx_status map_ids(pid_t pid, const struct launch_plan *plan, struct sbx_call *call)
{
    int error = plan->ids->kind == IDS_SINGLE ? map_single(pid, plan->ids) : map_root(pid, plan->ids);
    if (error == 0)
        return SBX_OK;
    if (error == EMFILE || error == ENFILE || error == ENOMEM)
        return call_fail_errno(call, error, "%s: mapping user ids", plan->step);
    return call_fail(call, SBX_E_UNAVAILABLE, "%s: mapping user ids: %s; %s", plan->step, strerrordesc_np(error),
                     blocked);
}

static sbx_status map_end(const struct launch_plan *plan, pid_t helper, struct sbx_call *call, int *map_failed)
{
    int failed = helper > 0 ? wait_for(helper) : 3;
    if (failed == 0)
        return SBX_OK;
    *map_failed = 1;
    return call_fail(call, SBX_E_UNAVAILABLE,
                     "%s: %s refused the user's subordinate ids; compare /etc/subuid and /etc/subgid and see that "
                     "the program is setuid root, or set users = single",
                     plan->step, (failed & 1) != 0 ? "newuidmap" : "newgidmap");
}

static int join_cgroups(pid_t pid, const struct launch_plan *plan)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d\n", (int)pid);
    for (size_t i = 0; i < plan->cgroup_count; i++)
        if (write(plan->cgroup_fds[i], text, (size_t)len) != len)
            return errno;
    return 0;
}

static sbx_status tell(const struct launch_plan *plan, const struct channel *channel, struct sbx_call *call)
{
    return write(channel->go[1], "g", 1) == 1 ? SBX_OK : call_fail_errno(call, errno, "%s: start", plan->step);
}

static sbx_status prepare(const struct launch_plan *plan, struct sbx_call *call)
{
    return plan->prepare == NULL ? SBX_OK : plan->prepare(plan->user, call);
}

/* Our share of the work is done beside that of the programs that map the child's ids and then let it go. */
static sbx_status guide_subids(pid_t pid, const struct launch_plan *plan, const struct channel *channel,
                               struct sbx_call *call, int *map_failed)
{
    struct map_job job;
    pid_t helper = begin_maps(pid, plan->ids, channel, &job);
    sbx_status status = prepare(plan, call);
    if (status != SBX_OK) {
        if (helper > 0)
            (void)wait_for(helper);
        return status;
    }
    status = map_end(plan, helper, call, map_failed);
    return status == SBX_OK && plan->layout != NULL ? tell(plan, channel, call) : status;
}

/* ... or beside the child's, which starts the program meanwhile. */
static sbx_status guide(pid_t pid, const struct launch_plan *plan, const struct channel *channel, struct sbx_call *call)
{
    int is_beside = plan->layout != NULL;
    sbx_status status = plan->own_users ? map_ids(pid, plan, call) : SBX_OK;
    if (status == SBX_OK && is_beside)
        status = tell(plan, channel, call);
    if (status == SBX_OK)
        status = prepare(plan, call);
    return status == SBX_OK ? tell(plan, channel, call) : status;
}

/* The child's failure, or SBX_OK at its silent end. */
static sbx_status read_status(const struct launch_plan *plan, int fd, struct sbx_call *call)
{
    struct failure failure = {.step = STEP_NONE};
    ssize_t n = 0;
    do
        n = read(fd, &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return SBX_OK;
    if (n != (ssize_t)sizeof failure || failure.step <= STEP_NONE || failure.step > STEP_EXEC)
        return call_fail(call, SBX_E_FAILED, "%s: the starting process broke off", plan->step);
    failure.path[sizeof failure.path - 1] = '\0';
    if (failure.step == STEP_MOUNT && (failure.error == EPERM || failure.error == EACCES))
        return call_fail(call, SBX_E_UNAVAILABLE, "%s: mounting is refused; %s", plan->step, blocked);
    /* What lies below the stage is told as the sandbox would see it. */
    const char *path = strncmp(failure.path, LAYOUT_ROOT "/", sizeof LAYOUT_ROOT) == 0
                           ? failure.path + sizeof LAYOUT_ROOT - 1
                           : failure.path;
    return call_fail_errno(call, failure.error, "%s: %s%s%s", plan->step, step_names[failure.step],
                           path[0] == '\0' ? "" : ": ", path);
}

static sbx_status open_channel(struct channel *channel, const struct launch_plan *plan, struct sbx_call *call)
{
    channel->null_fd = fds_high(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (channel->null_fd < 0 || fds_pipe(channel->go) != 0 || fds_pipe(channel->status) != 0)
        return call_fail_errno(call, errno, "%s: descriptors", plan->step);
    return SBX_OK;
}

static sbx_status fail_fork(const struct launch_plan *plan, int error, struct sbx_call *call)
{
    if (plan->own_users && (error == EPERM || error == ENOSPC || error == EINVAL))
        return call_fail(call, SBX_E_UNAVAILABLE, "%s: %s", plan->step, blocked);
    return call_fail_errno(call, error, "%s: fork", plan->step);
}

sbx_status launch_start(const struct launch_plan *plan, struct sbx_call *call, int *map_failed)
{
    CLEANUP(finish_channel) struct channel channel = {{-1, -1}, {-1, -1}, -1};
    if (plan->layout != NULL && plan->args_len > PIPE_BUF)
        return call_fail(call, SBX_E_TOO_LARGE, "%s: the arguments are too long", plan->step);
    sbx_status status = open_channel(&channel, plan, call);
    if (status != SBX_OK)
        return status;
    pid_t pid = fork_quietly(plan->own_users ? CLONE_NEWUSER | CLONE_NEWNS : 0, plan, &channel);
    if (pid < 0)
        return fail_fork(plan, errno, call);
    int by_programs = plan->own_users && plan->ids->kind == IDS_MAPPED_SUBIDS;
    int error = join_cgroups(pid, plan);
    if (error != 0)
        status = call_fail_errno(call, error, "%s: entering the sandbox's cgroup", plan->step);
    else
        status = by_programs ? guide_subids(pid, plan, &channel, call, map_failed) : guide(pid, plan, &channel, call);
    (void)close(steal_fd(&channel.go[1]));
    (void)close(steal_fd(&channel.status[1]));
    sbx_status told = read_status(plan, channel.status[0], status == SBX_OK ? call : NULL);
    int code = wait_for(pid);
    if (status != SBX_OK || told != SBX_OK)
        return status != SBX_OK ? status : told;
    if (code != 0)
        return call_fail(call, SBX_E_FAILED, "%s: the starting process ended with %d", plan->step, code);
    return SBX_OK;
}
