/* SPDX-License-Identifier: MIT
 *
 * command.c - one command: spawned in namespaces of its own, its streams carried, its clocks watched.
 */
#include "template.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGS_MAX = 512, TICK_MS = 50 };

static sbx_status check_exec(struct sbx_call *call, const struct sbx_exec_args *args)
{
    if ((args->flags & ~(uint32_t)(SBX_EXEC_MERGE_STDERR | SBX_EXEC_NO_TIMEOUT)) != 0)
        return fail(call, SBX_E_UNSUPPORTED, "exec: flags 0x%x are not known", args->flags);
    if (args->user != NULL || args->shell != NULL || args->tty != NULL)
        return fail(call, SBX_E_UNSUPPORTED, "exec: no users, named shells or terminals");
    if ((args->command == NULL) == (args->argv == NULL) || (args->argv != NULL && args->argv[0] == NULL))
        return fail(call, SBX_E_INVALID, "exec: one of command and argv is needed");
    return check(call);
}

struct words { /* bwrap's arguments */
    const char *all[ARGS_MAX];
    size_t count;
};

static void add_words(struct words *w, const char *const *words)
{
    for (; *words != NULL; words++)
        if (w->count < ARGS_MAX)
            w->all[w->count++] = *words;
}

static void add_envs(struct words *w, struct sbx_kvs envs)
{
    for (size_t i = 0; i < envs.count; i++)
        add_words(w, (const char *const[]){"--setenv", envs.items[i].key, envs.items[i].value, NULL});
}

/* clang-format off */
static const char *const isolation[] = {
    "bwrap", "--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--clearenv", "--info-fd", "4",
    "--ro-bind", "/usr", "/usr", "--ro-bind-try", "/bin", "/bin", "--ro-bind-try", "/sbin", "/sbin",
    "--ro-bind-try", "/lib", "/lib", "--ro-bind-try", "/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev",
    "--setenv", "HOME", "/workspace", "--setenv", "PATH", "/usr/bin:/bin:/usr/sbin:/sbin", NULL};
/* clang-format on */
/* Tells on descriptor 3 that it runs, and that the directory is there; then that descriptor is closed. */
static const char prelude[] =
    "printf a >&3; cd -- \"$1\" 2>/dev/null || exit; printf b >&3; exec 3>&-; shift; exec \"$@\"";

/* The command line that runs the command in the sandbox. */
static sbx_status make_words(struct words *w, struct sbx_handle *h, const struct facts *facts, struct sbx_call *call,
                             const struct sbx_exec_args *args, char paths[2][PATH_MAX])
{
    struct sbx_kv env;
    size_t at = 0;
    (void)snprintf(paths[0], PATH_MAX, "%s/work", h->folder);
    (void)snprintf(paths[1], PATH_MAX, "%s/tmp", h->folder);
    add_words(w, isolation);
    add_words(w, (const char *const[]){"--bind", paths[0], "/workspace", "--bind", paths[1], "/tmp", "--chdir",
                                       "/workspace", NULL});
    while (facts_next(facts, &at, "e", &env))
        add_envs(w, (struct sbx_kvs){&env, 1});
    add_envs(w, args->envs);
    add_words(w, (const char *const[]){"sh", "-c", prelude, "sh", args->cwd != NULL ? args->cwd : ".", NULL});
    if (args->command != NULL)
        add_words(w, (const char *const[]){"sh", "-c", args->command, NULL});
    else
        add_words(w, args->argv);
    if (w->count >= ARGS_MAX - 1)
        return fail(call, SBX_E_TOO_LARGE, "exec: more than %d words", (int)ARGS_MAX - 64);
    w->all[w->count] = NULL;
    return SBX_OK;
}

enum { FD_IN, FD_OUT, FD_ERR, FD_TOLD, FD_END, FD_SOURCE, FD_TOKEN, FD_COUNT };

struct running {
    struct sbx_handle *h;
    struct sbx_call *call;
    const struct sbx_exec_args *args;
    struct sbx_exec_result *result;
    struct pollfd fds[FD_COUNT]; /* -1: not there, or over */
    int lock_fd;
    size_t told;   /* bytes of the prelude's that came */
    pid_t pid;     /* bwrap */
    pid_t inside;  /* the sandbox's first process, whose end is the end of all; 0: not known, or killed */
    int info_fd;   /* where bwrap tells that one's number, before it lets it run */
    char in[4096]; /* from the source, not yet sent */
    size_t in_at, in_len;
    int64_t limit_ns; /* of the command; 0: none */
    sbx_status why;   /* the first failure */
};

static void close_fd(struct running *r, int which)
{
    if (r->fds[which].fd >= 0)
        (void)close(r->fds[which].fd);
    r->fds[which].fd = -1;
}

static void running_finish(struct running *r)
{
    for (int i = FD_IN; i <= FD_END; i++)
        close_fd(r, i);
    if (r->lock_fd >= 0)
        (void)close(r->lock_fd);
    if (r->info_fd >= 0)
        (void)close(r->info_fd);
}

/* Every descriptor is close-on-exec (rule P3); posix_spawn's own copies are the exception. Sockets, because a write to
 * one can be told not to raise SIGPIPE. */
static sbx_status spawn(struct running *r, const struct words *w)
{
    int in[2], out[2], err[2], told[2], info[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    static char *const no_environment[] = {NULL};
    int merge = (r->args->flags & SBX_EXEC_MERGE_STDERR) != 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0 || pipe2(out, O_CLOEXEC) != 0 ||
        pipe2(err, O_CLOEXEC) != 0 || pipe2(told, O_CLOEXEC) != 0 || pipe2(info, O_CLOEXEC | O_NONBLOCK) != 0)
        return fail(r->call, SBX_E_QUOTA, "exec: no further descriptors");
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in[1], 0);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, merge ? out[1] : err[1], 2);
    (void)posix_spawn_file_actions_adddup2(&actions, told[1], 3);
    (void)posix_spawn_file_actions_adddup2(&actions, info[1], 4);
    (void)posix_spawnattr_init(&attr);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error =
        posix_spawn(&r->pid, "/usr/bin/bwrap", &actions, &attr, (char *const *)(uintptr_t)w->all, no_environment);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(in[1]);
    (void)close(out[1]);
    (void)close(err[1]);
    (void)close(told[1]);
    (void)close(info[1]);
    r->info_fd = info[0];
    r->fds[FD_TOLD].fd = told[0];
    r->fds[FD_IN].fd = in[0];
    r->fds[FD_OUT].fd = out[0];
    r->fds[FD_ERR].fd = err[0];
    if (error != 0)
        return fail(r->call, SBX_E_UNAVAILABLE, "exec: bwrap does not start: errno %d", error);
    r->fds[FD_END].fd = pidfd_open(r->pid, 0);
    return SBX_OK;
}

/* The first failure ends the command; what it wrote is still counted. */
static void give_up(struct running *r, sbx_status why)
{
    if (r->why == SBX_OK)
        r->why = why;
}

/* The first process itself: one whose parent was killed may live on, since bwrap binds the two lives to one another
 * only after it began. Known once the prelude has spoken. */
static void end_command(struct running *r)
{
    if ((r->why == SBX_OK && (r->result->flags & SBX_TIMED_OUT) == 0) || r->inside == 0)
        return;
    (void)kill(r->inside, SIGKILL);
    r->inside = 0;
}

/* bwrap says {"child-pid": NUMBER}. */
static void read_info(struct running *r)
{
    char text[128];
    ssize_t n = read(r->info_fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    const char *colon = strchr(text, ':');
    long pid = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    r->inside = pid > 1 && pid <= INT_MAX ? (pid_t)pid : r->pid;
}

static void pump_told(struct running *r)
{
    char told[4];
    ssize_t n = read(r->fds[FD_TOLD].fd, told, sizeof told);
    if (n > 0 && r->told == 0)
        read_info(r);
    r->told += n > 0 ? (size_t)n : 0;
    if (n <= 0)
        close_fd(r, FD_TOLD);
}

static void pump_in(struct running *r)
{
    const struct sbx_source *in = r->args->in;
    if (r->in_at == r->in_len) {
        int64_t n = in != NULL ? in->read(in->user, r->in, sizeof r->in) : 0;
        if (n == SBX_AGAIN)
            return;
        /* Left open until the command is dead: it must not take a failure for the end of its input. */
        if (n < 0)
            give_up(r, fail(r->call, SBX_E_STOPPED, "exec: the source asked to stop"));
        if (n == 0)
            close_fd(r, FD_IN);
        if (n <= 0)
            return;
        r->in_at = 0;
        r->in_len = (size_t)n;
    }
    ssize_t sent = send(r->fds[FD_IN].fd, r->in + r->in_at, r->in_len - r->in_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        r->in_at += (size_t)sent;
    else if (errno != EAGAIN && errno != EINTR)
        close_fd(r, FD_IN); /* the command does not read it: no failure */
}

static void pump_out(struct running *r, int which)
{
    const struct sbx_sink *sink = which == FD_OUT ? r->args->out : r->args->err;
    uint64_t *count = which == FD_OUT ? &r->result->out_bytes : &r->result->err_bytes;
    char data[16384];
    ssize_t n = read(r->fds[which].fd, data, sizeof data);
    if (n <= 0) {
        close_fd(r, which);
        return;
    }
    size_t give = (size_t)n;
    if (r->args->max_output != 0 && *count + give > r->args->max_output) {
        give = *count < r->args->max_output ? (size_t)(r->args->max_output - *count) : 0;
        r->result->flags |= which == FD_OUT ? SBX_STDOUT_TRUNCATED : SBX_STDERR_TRUNCATED;
    }
    *count += (uint64_t)n;
    if (give > 0 && sink != NULL && r->why == SBX_OK && sink->write(sink->user, data, give) != 0)
        give_up(r, fail(r->call, SBX_E_STOPPED, "exec: the sink asked to stop"));
}

static void watch_clocks(struct running *r)
{
    if (r->why != SBX_OK || r->result->flags & SBX_TIMED_OUT)
        return;
    sbx_status status = check(r->call);
    if (status != SBX_OK)
        give_up(r, status);
    else if (access(r->h->folder, F_OK) != 0 ||
             (r->h->expires_ms != 0 && now_ns(CLOCK_REALTIME) / 1000000 >= r->h->expires_ms))
        give_up(r, fail(r->call, SBX_E_GONE, "exec: sandbox %s ended", r->h->id));
    else if (r->limit_ns != 0 && now_ns(CLOCK_MONOTONIC) >= r->limit_ns) {
        r->result->flags |= SBX_TIMED_OUT;
    }
}

static void pump(struct running *r, const struct pollfd *now)
{
    if (now[FD_OUT].revents != 0)
        pump_out(r, FD_OUT);
    if (now[FD_ERR].revents != 0)
        pump_out(r, FD_ERR);
    if (now[FD_IN].events == 0 && now[FD_IN].revents != 0)
        close_fd(r, FD_IN); /* nobody reads any more */
    else if (r->why == SBX_OK && (now[FD_IN].revents != 0 || now[FD_SOURCE].revents != 0) && r->fds[FD_IN].fd >= 0)
        pump_in(r);
    if (now[FD_TOLD].revents != 0)
        pump_told(r);
    if (now[FD_END].revents != 0)
        close_fd(r, FD_END);
}

/* One round: waits a moment at most, so that no clock is missed. */
static void turn(struct running *r)
{
    const struct sbx_source *in = r->args->in;
    int asks = in != NULL && (in->flags & SBX_SOURCE_HAS_FD) != 0 && r->in_at == r->in_len && r->fds[FD_IN].fd >= 0;
    struct pollfd now[FD_COUNT];
    memcpy(now, r->fds, sizeof now);
    now[FD_IN].events = asks ? 0 : POLLOUT;
    if (r->why != SBX_OK)
        now[FD_IN].fd = -1;
    now[FD_SOURCE] = (struct pollfd){.fd = asks ? in->ready_fd : -1, .events = POLLIN};
    now[FD_TOKEN] = (struct pollfd){.fd = -1, .events = POLLIN};
    if ((r->call->flags & SBX_CALL_HAS_CANCEL_FD) != 0 && r->why == SBX_OK)
        now[FD_TOKEN].fd = r->call->cancel_fd;
    if (poll(now, FD_COUNT, TICK_MS) > 0)
        pump(r, now);
    watch_clocks(r);
    end_command(r);
}

/* After the command's end its namespaces are gone, so both streams end. */
static sbx_status running_end(struct running *r)
{
    int how = 0;
    (void)waitpid(r->pid, &how, 0);
    int code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    int timed_out = (r->result->flags & SBX_TIMED_OUT) != 0;
    r->result->exit_code = timed_out ? 124 : code;
    if ((r->args->flags & SBX_EXEC_MERGE_STDERR) != 0)
        r->result->flags |= SBX_MERGED;
    if (r->why != SBX_OK)
        return r->why;
    if (!timed_out && r->told == 1 && r->args->cwd != NULL)
        return fail(r->call, SBX_E_NOT_FOUND, "exec: no such directory '%.300s'", r->args->cwd);
    if (!timed_out && r->told < 2)
        return fail(r->call, SBX_E_UNAVAILABLE, "exec: bwrap made no sandbox: code %d", code);
    r->result->flags |= timed_out ? 0u : (uint32_t)SBX_EXITED;
    return SBX_OK;
}

sbx_status command_run(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                       struct sbx_exec_result *result)
{
    struct running r = {.h = h, .call = call, .args = args, .result = result, .lock_fd = -1, .info_fd = -1};
    char paths[2][PATH_MAX];
    char lock[PATH_MAX];
    struct words *words = calloc(1, sizeof *words);
    struct facts *facts = calloc(1, sizeof *facts);
    for (int i = 0; i < FD_COUNT; i++)
        r.fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    (void)snprintf(lock, sizeof lock, "%s/lock", h->folder);
    r.lock_fd = open(lock, O_RDONLY | O_CLOEXEC);
    sbx_status status = SBX_OK;
    if (words == NULL || facts == NULL)
        status = fail(call, SBX_E_NO_MEMORY, "exec: no memory");
    else if (r.lock_fd < 0 || flock(r.lock_fd, LOCK_SH | LOCK_NB) != 0 || facts_read(facts, h->folder) != 0)
        status = fail(call, SBX_E_GONE, "exec: no sandbox %s", h->id);
    if (status == SBX_OK)
        status = make_words(words, h, facts, call, args, paths);
    if (status == SBX_OK)
        status = spawn(&r, words);
    if (status == SBX_OK) {
        if (args->timeout_ms != 0)
            r.limit_ns = now_ns(CLOCK_MONOTONIC) + (int64_t)args->timeout_ms * 1000000;
        while (r.fds[FD_OUT].fd >= 0 || r.fds[FD_ERR].fd >= 0 || r.fds[FD_TOLD].fd >= 0 || r.fds[FD_END].fd >= 0)
            turn(&r);
        status = running_end(&r);
    }
    running_finish(&r);
    free(words);
    free(facts);
    return status;
}

sbx_status command_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *given,
                        struct sbx_exec_result *out)
{
    struct sbx_exec_args args;
    struct sbx_exec_result result = {.size = sizeof result};
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK)
        status = fail(call, status, "exec: arguments of a newer version");
    if (status == SBX_OK)
        status = check_exec(call, &args);
    if (status == SBX_OK)
        status = command_run(h, call, &args, &result);
    sbx_give(out, &result, sizeof result); /* on every return: what was counted is never lost */
    return status;
}
