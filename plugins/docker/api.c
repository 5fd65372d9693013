/* SPDX-License-Identifier: MIT
 *
 * api.c - commands by the daemon's API alone. The API cannot end a command, so each one carries a mark among its
 * variables, which every process below it inherits; who has the mark is killed when its time is over.
 */
#include "plugins/docker/api.h"

#include "plugins/common/guest_command.h"
#include "plugins/docker/stream.h"

#include <inttypes.h>
#include <sys/random.h>

enum {
    PIECE = 1 << 16,
    BODY_LIMIT = 4 << 20,
    HOLD = 4096,
    KILL_MS = 5000,
    GIVE_UP_MS = 800,
    END_MS = 5000,
    LOOKS = 6,
    LOOK_MS = 20,
    LAST_MS = 50,
    MARK = 48
};

struct run {
    struct sbx_handle *h;
    struct sbx_call *call;
    struct sbx_exec_args args;
    struct sbx_source in;
    struct sbx_sink out[2];
    uint64_t total[2];
    struct stream stream;
    int64_t limit_ns; /* 0: none */
    int timed_out;
    int is_killer;   /* nobody kills it */
    char mark[MARK]; /* NAME=VALUE */
    /* what the engine may have said in place of the command's output */
    char hold[HOLD];
    size_t held;
    int holds;
    /* input that was read and not yet taken */
    char *piece; /* PIECE bytes of input, as many for output */
    size_t at, len;
    int fed;     /* its end was passed on */
    int starved; /* the source had nothing: its descriptor tells when it has */
};

/* --- the request ------------------------------------------------------------------------------------------------- */

static void put_argv(const struct run *r, struct buf *body)
{
    const char *const line[] = {"/bin/sh", "-c", r->args.command, NULL};
    const char *const *argv = r->args.argv != NULL ? r->args.argv : line;
    const char *const merge[] = {"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh", NULL};
    const char *before = "";
    (void)buf_text(body, "\"Cmd\":[");
    for (size_t i = 0; (r->args.flags & SBX_EXEC_MERGE_STDERR) != 0 && merge[i] != NULL; i++, before = ",") {
        (void)buf_text(body, before);
        json_put_text(body, merge[i]);
    }
    for (size_t i = 0; argv[i] != NULL; i++, before = ",") {
        (void)buf_text(body, before);
        json_put_text(body, argv[i]);
    }
    (void)buf_text(body, "]");
}

static sbx_status put_envs(const struct run *r, struct buf *body)
{
    const struct sbx_kvs *envs = &r->args.envs;
    (void)buf_text(body, ",\"Env\":[");
    json_put_text(body, r->mark);
    for (size_t at = 0; at < r->h->env_len; at += strlen(r->h->env + at) + 1) {
        (void)buf_text(body, ",");
        json_put_text(body, r->h->env + at);
    }
    for (size_t i = 0; i < envs->count; i++) {
        const char *key = envs->items[i].key, *value = envs->items[i].value;
        CLEANUP_BUF struct buf text;
        buf_init(&text, BODY_LIMIT);
        if (key == NULL || key[0] == '\0' || strchr(key, '=') != NULL || value == NULL)
            return call_fail(r->call, SBX_E_INVALID, "exec: no environment variable can be called '%s'",
                             key != NULL ? key : "");
        (void)buf_format(&text, "%s=%s", key, value);
        (void)buf_text(body, ",");
        if (text.failed == 0)
            json_put_text(body, text.data);
    }
    (void)buf_text(body, "]");
    return SBX_OK;
}

static sbx_status put_directory(const struct run *r, struct buf *body)
{
    const char *cwd = r->args.cwd;
    CLEANUP_BUF struct buf path;
    buf_init(&path, 1 << 14);
    if (cwd == NULL || cwd[0] != '/')
        (void)buf_format(&path, "%s/%s", r->h->workdir, cwd != NULL ? cwd : "");
    else
        (void)buf_text(&path, cwd);
    if (path.failed != 0)
        return call_fail(r->call, SBX_E_INVALID, "exec: the directory's name is too long");
    if (strncmp(path.data, "/proc", 5) == 0)
        return call_fail(r->call, SBX_E_INVALID, "exec: no command can begin in '%s'", path.data);
    (void)buf_text(body, ",\"WorkingDir\":");
    json_put_text(body, path.data);
    return SBX_OK;
}

static sbx_status build(const struct run *r, struct buf *body)
{
    const char *user = r->args.user != NULL ? r->args.user : r->h->user;
    (void)buf_text(body, "{\"AttachStdout\":true,\"AttachStderr\":true,");
    put_argv(r, body);
    if (r->args.in != NULL)
        (void)buf_text(body, ",\"AttachStdin\":true");
    if (user[0] != '\0') {
        (void)buf_text(body, ",\"User\":");
        json_put_text(body, user);
    }
    sbx_status status = put_directory(r, body);
    if (status == SBX_OK)
        status = put_envs(r, body);
    (void)buf_text(body, "}");
    if (status == SBX_OK && body->failed == EILSEQ)
        status =
            call_fail(r->call, SBX_E_INVALID, "exec: the daemon takes arguments and variables of UTF-8 text alone");
    if (status == SBX_OK && body->failed != 0)
        status = call_fail(r->call, SBX_E_TOO_LARGE, "exec: the command is longer than %d MiB", BODY_LIMIT >> 20);
    return status;
}

/* --- the end of a tree -------------------------------------------------------------------------------------------- */

/* Kills whoever has the mark, again and again until nobody has; exits with 0 then. The mark is no variable of its own.
 */
static const char kill_script[] = "n=0; while f=$(grep -ls -- \"$1\" /proc/[0-9]*/environ); [ -n \"$f\" ]; do\n"
                                  "for p in $f; do p=${p#/proc/}; kill -9 ${p%/environ} 2>/dev/null; done\n"
                                  "n=$((n + 1)); [ $n -lt 500 ] || exit 1; done; command -v grep >/dev/null";

/* 1 when nothing of the command is left. */
static int kill_tree(const struct run *r, int64_t ms)
{
    int code = -1;
    if (r->is_killer)
        return 0;
    struct sbx_call call = {.size = sizeof call, .deadline_ns = clock_now_ns() + ms * MS_NS};
    const struct api_script script = {
        .what = "exec", .is_killer = 1, .text = kill_script, .argv = {r->mark}, .user = r->args.user};
    return api_run_script(r->h, &call, &script, &code) == SBX_OK && code == 0;
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

static sbx_status deliver(struct run *r, int i, const char *data, size_t len)
{
    uint64_t most = r->args.max_output, before = r->total[i];
    r->total[i] += len;
    if (most != 0 && before >= most)
        return SBX_OK;
    if (most != 0 && len > most - before)
        len = (size_t)(most - before);
    if (r->out[i].write != NULL && r->out[i].write(r->out[i].user, data, len) != 0)
        return call_fail(r->call, SBX_E_STOPPED, "exec: stopped by the caller");
    return SBX_OK;
}

static sbx_status release(struct run *r)
{
    size_t len = r->held;
    r->holds = 0;
    r->held = 0;
    return len == 0 ? SBX_OK : deliver(r, 0, r->hold, len);
}

/* The first output may be the engine's own words instead: it is kept back until that is known. */
static sbx_status take(struct run *r, int i, const char *data, size_t len)
{
    static const char *const words[] = {"OCI runtime", "unable to find", "no matching entries"};
    for (size_t w = 0; i == 0 && r->total[0] == 0 && r->held == 0 && w < sizeof words / sizeof words[0]; w++)
        r->holds |= len >= strlen(words[w]) && memcmp(data, words[w], strlen(words[w])) == 0;
    if (i != 0 || !r->holds)
        return deliver(r, i, data, len);
    if (len < HOLD - r->held) {
        memcpy(r->hold + r->held, data, len);
        r->held += len;
        return SBX_OK;
    }
    sbx_status status = release(r);
    return status == SBX_OK ? deliver(r, 0, data, len) : status;
}

static int is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) > 0;
}

/* 1: something was passed on; 0: nothing can be now; -1: the error is filled. *events is what to wait for. */
static int feed(struct run *r, short *events)
{
    if (r->fed || (r->starved && !is_readable(r->in.ready_fd)))
        return 0;
    r->starved = 0;
    if (r->at == r->len) {
        int64_t n = r->in.read(r->in.user, r->piece, PIECE);
        if (n == SBX_AGAIN && (r->in.flags & SBX_SOURCE_HAS_FD) != 0) {
            r->starved = 1;
            return 0;
        }
        if (n < 0 || n > PIECE) {
            (void)call_fail(r->call, SBX_E_STOPPED, "exec: stopped by the caller");
            return -1;
        }
        if (n == 0) {
            r->fed = 1;
            (void)http_tunnel_end_writes(r->stream.tunnel);
            return 1;
        }
        r->at = 0;
        r->len = (size_t)n;
    }
    int64_t n = http_tunnel_write(r->stream.tunnel, r->piece + r->at, r->len - r->at);
    if (n == SBX_AGAIN) {
        *events = POLLIN | POLLOUT;
        return 0;
    }
    if (n < 0) /* the command has closed its input, or ended: its output tells */
        r->fed = 1;
    r->at += n > 0 ? (size_t)n : 0;
    return 1;
}

static sbx_status wait_more(struct run *r, short events)
{
    struct pollfd fds[2] = {{.fd = http_tunnel_fd(r->stream.tunnel), .events = events},
                            {.fd = r->starved ? r->in.ready_fd : -1, .events = POLLIN}};
    int ready = 0;
    return call_poll(r->call, fds, 2, r->limit_ns, &ready);
}

/* Until the streams end, or the time is over. */
static sbx_status pump(struct run *r)
{
    for (;;) {
        short events = POLLIN;
        int which = 0;
        if (r->limit_ns != 0 && clock_now_ns() >= r->limit_ns) {
            r->timed_out = 1;
            return SBX_OK;
        }
        sbx_status status = call_check(r->call);
        int moved = status == SBX_OK ? feed(r, &events) : 0;
        if (status != SBX_OK || moved < 0)
            return status != SBX_OK ? status : SBX_E_STOPPED;
        int64_t n = stream_read(&r->stream, &which, r->piece + PIECE, PIECE);
        if (n == 0)
            return SBX_OK;
        if (n == -1)
            return call_fail(r->call, SBX_E_UNKNOWN, "exec: the daemon broke the command's streams off");
        if (n > 0)
            status = take(r, which == 2 ? 1 : 0, r->piece + PIECE, (size_t)n);
        else if (moved == 0)
            status = wait_more(r, events);
        if (status != SBX_OK)
            return status;
    }
}

/* --- results ------------------------------------------------------------------------------------------------------ */

static sbx_status gone(struct run *r)
{
    return call_fail(r->call, SBX_E_GONE, "exec: the sandbox %s ended", r->h->id);
}

enum runs { RUNS, RUNS_NOT, RUNS_PERHAPS };

/* PERHAPS: the daemon does not say so soon. */
static enum runs look_at(const struct run *r)
{
    CLEANUP(container_finish) struct container c = {0};
    struct sbx_call call = {.size = sizeof call, .deadline_ns = clock_now_ns() + GIVE_UP_MS * MS_NS};
    sbx_status status = container_inspect(r->h->backend, &call, "exec", r->h->id, &c);
    if (status != SBX_OK)
        return status == SBX_E_NOT_FOUND ? RUNS_NOT : RUNS_PERHAPS;
    return container_state(r->h->backend, &c) == SBX_STATE_RUNNING ? RUNS : RUNS_NOT;
}

/* Nothing of the command was ever executed: the engine says why. */
static sbx_status not_started(struct run *r, struct sbx_exec_result *result)
{
    r->hold[r->held] = '\0';
    const char *name = r->args.argv != NULL ? r->args.argv[0] : "/bin/sh";
    if (strstr(r->hold, "unable to find user") != NULL || strstr(r->hold, "no matching entries") != NULL)
        return call_fail(r->call, SBX_E_INVALID, "exec: no such user '%s'", r->args.user != NULL ? r->args.user : "");
    if (strstr(r->hold, "chdir") != NULL || strstr(r->hold, "Cwd") != NULL)
        return call_fail(r->call, SBX_E_NOT_FOUND, "exec: no such directory '%s'",
                         r->args.cwd != NULL ? r->args.cwd : r->h->workdir);
    result->flags |= SBX_EXITED | SBX_NOT_STARTED;
    result->exit_code = strstr(r->hold, "not found") != NULL || strstr(r->hold, "no such file") != NULL ? 127 : 126;
    if (result->exit_code == 126 && strstr(r->hold, "permission denied") == NULL &&
        strstr(r->hold, "exec format error") == NULL && strstr(r->hold, "is a directory") == NULL)
        return call_fail(r->call, SBX_E_FAILED, "exec: the daemon cannot start '%s': %s", name, r->hold);
    return SBX_OK;
}

/* The streams have ended; how the command did the daemon knows a moment later. */
static sbx_status wait_end(struct run *r, struct sbx_call *call, struct stream_state *state)
{
    int64_t end_ns = clock_now_ns() + END_MS * MS_NS;
    for (int ms = 1;; ms = ms < 50 ? ms * 2 : 50) {
        int ready = 0;
        sbx_status status = stream_inspect(&r->stream, call, state);
        if (status != SBX_OK || !state->running)
            return status;
        if (clock_now_ns() >= end_ns)
            return call_fail(call, SBX_E_UNKNOWN, "exec: the streams ended, but the command did not");
        status = call_poll(call, NULL, 0, clock_now_ns() + ms * MS_NS, &ready);
        if (status != SBX_OK)
            return status;
    }
}

/* A command that was killed with its sandbox is no result; the daemon tells of that a moment later. */
static int went_with_it(struct run *r)
{
    for (int look = 0; look < LOOKS; look++) {
        int ready = 0;
        enum runs runs = look_at(r);
        if (runs != RUNS)
            return runs == RUNS_NOT;
        if (call_poll(NULL, NULL, 0, clock_now_ns() + LOOK_MS * MS_NS, &ready) != SBX_OK)
            break;
    }
    return 0;
}

static sbx_status take_end(struct run *r, struct sbx_exec_result *result)
{
    struct stream_state state = {.running = 1};
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, r->call);
    sbx_status status = wait_end(r, &inner, &state);
    if (status == SBX_E_NOT_FOUND)
        return gone(r);
    if (status != SBX_OK) {
        call_pass_error(r->call, &error);
        return status;
    }
    if (state.pid == 0 && (state.exit_code == 126 || state.exit_code == 127) && r->total[0] == 0)
        return not_started(r, result);
    status = release(r);
    if (status == SBX_OK && state.exit_code == 137 && went_with_it(r))
        return gone(r);
    result->flags |= SBX_EXITED;
    result->exit_code = (int32_t)state.exit_code;
    return status;
}

/* Its time was over: SBX_OK says that nothing of it runs. */
static sbx_status take_time_out(struct run *r, struct sbx_exec_result *result)
{
    r->limit_ns = clock_now_ns() + LAST_MS * MS_NS;
    r->fed = 1;
    struct sbx_error error;
    struct sbx_call inner, *call = r->call;
    call_shadow(&inner, &error, call);
    r->call = &inner;
    sbx_status status = pump(r); /* what it wrote before */
    if (status == SBX_OK)
        status = release(r);
    r->call = call;
    stream_close(&r->stream); /* the daemon starts nothing beside a stream that it cannot get rid of */
    int clean = kill_tree(r, KILL_MS);
    result->flags |= SBX_TIMED_OUT;
    result->exit_code = 124;
    if (status == SBX_E_STOPPED)
        call_pass_error(call, &error);
    if (clean || status == SBX_E_STOPPED)
        return status == SBX_E_STOPPED ? status : SBX_OK;
    status = call_fail(r->call, SBX_E_UNKNOWN,
                       "exec: the time was over, but the API alone cannot end everything that the command started");
    call_maybe_applied(r->call, r->h->id);
    return status;
}

static void give_up(struct run *r)
{
    stream_close(&r->stream);
    if (!kill_tree(r, GIVE_UP_MS))
        call_maybe_applied(r->call, r->h->id);
}

static void count(const struct run *r, struct sbx_exec_result *result)
{
    result->out_bytes = r->total[0];
    result->err_bytes = r->total[1];
    if (r->args.max_output != 0 && r->total[0] > r->args.max_output)
        result->flags |= SBX_STDOUT_TRUNCATED;
    if (r->args.max_output != 0 && r->total[1] > r->args.max_output)
        result->flags |= SBX_STDERR_TRUNCATED;
    if ((r->args.flags & SBX_EXEC_MERGE_STDERR) != 0)
        result->flags |= SBX_MERGED;
}

/* --- together ----------------------------------------------------------------------------------------------------- */

static sbx_status take_args(struct run *r, const struct sbx_exec_args *args)
{
    uint64_t number[2];
    sbx_status status = guest_command_take(r->call, "exec", args, 0, &r->args);
    if (status != SBX_OK)
        return status;
    if (r->args.tty != NULL || r->args.shell != NULL)
        return call_fail(r->call, SBX_E_UNSUPPORTED, "exec: terminals and named shells need the guest");
    if (r->args.in != NULL && r->h->backend->settings.socket == NULL && r->h->backend->settings.ca != NULL)
        return call_fail(r->call, SBX_E_UNSUPPORTED, "exec: input over TLS needs the guest");
    if (getrandom(number, sizeof number, 0) != (ssize_t)sizeof number)
        return call_fail_errno(r->call, errno, "exec: no random number");
    (void)snprintf(r->mark, sizeof r->mark, "SBX_RUN=%016" PRIx64 "%016" PRIx64, number[0], number[1]);
    sbx_view(&r->in, sizeof r->in, r->args.in);
    sbx_view(&r->out[0], sizeof r->out[0], r->args.out);
    sbx_view(&r->out[1], sizeof r->out[1], r->args.err);
    r->fed = r->args.in == NULL;
    uint32_t ms = r->args.timeout_ms;
    if (ms == 0 && (r->args.flags & SBX_EXEC_NO_TIMEOUT) == 0)
        ms = r->h->backend->settings.timeout_ms;
    r->limit_ns = ms == 0 ? 0 : clock_now_ns() + ms * MS_NS;
    r->piece = malloc((size_t)2 * PIECE);
    return r->piece != NULL ? SBX_OK : call_fail(r->call, SBX_E_NO_MEMORY, "exec: no memory");
}

static sbx_status open_streams(struct run *r)
{
    struct sbx_error error;
    struct sbx_call inner;
    CLEANUP_BUF struct buf body;
    buf_init(&body, BODY_LIMIT);
    sbx_status status = build(r, &body);
    if (status != SBX_OK)
        return status;
    call_shadow(&inner, &error, r->call);
    status = stream_open(&r->stream, &r->h->backend->engine, &inner, r->h->id, body.data, 0);
    if (status == SBX_OK)
        return SBX_OK;
    if (status == SBX_E_NOT_FOUND)
        return gone(r);
    if (strstr(error.message, "unable to find user") != NULL || strstr(error.message, "no matching entries") != NULL)
        return call_fail(r->call, SBX_E_INVALID, "exec: no such user '%s'", r->args.user != NULL ? r->args.user : "");
    if (status == SBX_E_STATE && look_at(r) == RUNS_NOT)
        return call_fail(r->call, SBX_E_STATE, "exec: sandbox %s is not running", r->h->id);
    call_pass_error(r->call, &error);
    return status;
}

static sbx_status execute(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args, int is_killer,
                          struct sbx_exec_result *out)
{
    struct sbx_exec_result result = {.size = sizeof result};
    struct run *r = calloc(1, sizeof *r);
    if (r == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "exec: no memory");
    r->h = h;
    r->call = call;
    r->is_killer = is_killer;
    sbx_status status = take_args(r, args);
    if (status == SBX_OK)
        status = open_streams(r);
    if (status == SBX_OK) {
        status = pump(r);
        if (status == SBX_E_UNKNOWN && look_at(r) == RUNS_NOT)
            status = gone(r);
        else if (status != SBX_OK)
            give_up(r);
        else
            status = r->timed_out ? take_time_out(r, &result) : take_end(r, &result);
    }
    count(r, &result);
    stream_close(&r->stream);
    free(r->piece);
    free(r);
    sbx_give(out, &result, sizeof result);
    return status;
}

sbx_status api_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                    struct sbx_exec_result *out)
{
    return execute(h, call, args, 0, out);
}

sbx_status api_run_script(struct sbx_handle *h, struct sbx_call *call, const struct api_script *script, int *code)
{
    const char *argv[12] = {"/bin/sh", "-c", script->text, "sh"};
    struct sbx_exec_result result = {.size = sizeof result};
    for (size_t i = 0; i < 6 && script->argv[i] != NULL; i++)
        argv[4 + i] = script->argv[i];
    const struct sbx_exec_args args = {.size = sizeof args,
                                       .flags = SBX_EXEC_NO_TIMEOUT,
                                       .argv = argv,
                                       .cwd = "/",
                                       .user = script->user,
                                       .in = script->in,
                                       .out = script->out};
    sbx_status status = execute(h, call, &args, script->is_killer, &result);
    *code = result.exit_code;
    if (status == SBX_OK && (result.flags & SBX_NOT_STARTED) != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "%s: without the guest this needs a /bin/sh in the image",
                         script->what);
    return status;
}
