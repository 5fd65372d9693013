/* SPDX-License-Identifier: MIT
 *
 * exec.c - OP_EXEC: a command whose streams are the request's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/command.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/spec.h"
#include "guest/stream.h"
#include "guest/tty.h"
#include "guest/user.h"

static const int64_t MS = 1000000;

struct exec {
    struct command *command;
    struct stream_in in;
    struct stream_out out[2];
    int tty; /* a descriptor of the master of its own, or -1 */
    int merged;
    int announced;
    int timed_out;
    int cancelled;
    int capped; /* no more is read than lay there when that wait ended */
    int incomplete;
    int64_t limit_ns;
    int64_t drain_ns; /* when the wait for held output ends; 0: the command is not over yet */
    char user[64];
    char name[128]; /* of the program, for messages */
    char cwd[PATH_MAX];
};

/* --- start ------------------------------------------------------------------------------------------------------ */

/* The command's ends; closed by exec_start whatever happens. */
struct ends {
    int fd[SPEC_FDS];
};

static void ends_close(const struct ends *e)
{
    for (int i = 0; i < SPEC_FDS; i++)
        if (e->fd[i] >= 0 && (i < 1 || e->fd[i] != e->fd[i - 1]) && (i < 2 || e->fd[i] != e->fd[0]))
            (void)close(e->fd[i]);
}

/* A pipe whose `ours` end does not block. It belongs to the command's user, who may open it again by way of
 * /dev/stderr. */
static int make_pipe(const struct identity *who, int *ours, int *theirs, int we_write)
{
    int p[2];
    if (pipe2(p, O_CLOEXEC) != 0)
        return -1;
    *ours = p[we_write ? 1 : 0];
    *theirs = p[we_write ? 0 : 1];
    (void)!fchown(*theirs, who->uid, who->gid);
    return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int make_stdin(const struct guest *g, struct exec *e, const struct identity *who, int none, struct ends *ends)
{
    int ours = -1;
    if (none && g->null_fd >= 0) {
        ends->fd[0] = fcntl(g->null_fd, F_DUPFD_CLOEXEC, 3);
        return ends->fd[0] < 0 ? -1 : 0;
    }
    if (make_pipe(who, &ours, &ends->fd[0], 1) != 0)
        return -1;
    stream_in_init(&e->in, ours);
    if (none)
        stream_in_finish(&e->in);
    return 0;
}

static int make_pipes(const struct guest *g, struct exec *e, const struct identity *who, uint64_t flags,
                      struct ends *ends)
{
    int ours = -1;
    if (make_stdin(g, e, who, (flags & EXEC_NO_STDIN) != 0, ends) != 0 || make_pipe(who, &ours, &ends->fd[1], 0) != 0)
        return -1;
    stream_out_init(&e->out[0], ours, STREAM_OUT);
    if (e->merged) {
        ends->fd[2] = ends->fd[1];
        return 0;
    }
    if (make_pipe(who, &ours, &ends->fd[2], 0) != 0)
        return -1;
    stream_out_init(&e->out[1], ours, STREAM_ERR);
    return 0;
}

static int make_tty(struct exec *e, const struct identity *who, const struct fields *f, struct ends *ends)
{
    int master, slave;
    if (tty_open(who, (uint32_t)f->number[F_ROWS], (uint32_t)f->number[F_COLS], &master, &slave) != 0)
        return -1;
    ends->fd[0] = ends->fd[1] = ends->fd[2] = slave;
    stream_out_init(&e->out[0], master, STREAM_OUT);
    stream_in_init(&e->in, fcntl(master, F_DUPFD_CLOEXEC, 3));
    e->in.tty = 1;
    e->tty = fcntl(master, F_DUPFD_CLOEXEC, 3);
    return e->in.fd < 0 || e->tty < 0 ? -1 : 0;
}

static void exec_release(struct request *r)
{
    struct exec *e = r->state;
    if (e == NULL)
        return;
    if (e->command != NULL)
        command_release(e->command);
    stream_in_finish(&e->in);
    stream_out_finish(&e->out[0]);
    stream_out_finish(&e->out[1]);
    if (e->tty >= 0)
        (void)close(e->tty);
    free(e);
}

static struct exec *exec_new(struct request *r, const struct fields *f)
{
    struct exec *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    r->state = e;
    e->tty = e->in.fd = e->out[0].fd = e->out[1].fd = -1;
    e->merged = (f->number[F_FLAGS] & (EXEC_MERGE | EXEC_TTY)) != 0;
    uint64_t limit = f->number[F_TIMEOUT_MS];
    if (limit > 0)
        e->limit_ns = clock_now_ns() + (int64_t)(limit > UINT64_C(1) << 40 ? UINT64_C(1) << 40 : limit) * MS;
    return e;
}

/* What messages will name. */
static void remember(struct exec *e, const struct identity *who, const struct spec *s)
{
    const char *text = (const char *)(s + 1);
    const char *name = text + strlen(text) + 1;
    size_t len = strlen(name);
    memcpy(e->name, name, len < sizeof e->name ? len : sizeof e->name - 1);
    memcpy(e->user, who->name, sizeof e->user);
}

/* The user, the directory and the specification; NULL when the request was ended. */
static struct spec *prepare(struct request *r, struct exec *e, const struct fields *f, struct identity *who)
{
    char message[GUEST_MESSAGE_MAX];
    struct spec *spec = NULL;
    if (f->arg_count == 0) {
        request_fail(r, SBX_E_INVALID, 0, "exec: no command");
        return NULL;
    }
    sbx_status status = user_of_request(r->c->g, f, who, message);
    if (status == SBX_OK && !fields_have(f, F_CWD)) {
        memcpy(e->cwd, r->c->g->workdir, strlen(r->c->g->workdir) + 1);
    } else if (status == SBX_OK && path_of(r->c->g, who, f, F_CWD, e->cwd) != SBX_OK) {
        request_fail(r, SBX_E_BAD_PATH, 0, "exec: the directory's name is empty or too long");
        return NULL;
    }
    if (status == SBX_OK)
        status = spec_make(f, who, e->cwd, &spec, message);
    if (status != SBX_OK) {
        request_fail(r, status, 0, "exec: %s", message);
        return NULL;
    }
    spec->tty = (f->number[F_FLAGS] & EXEC_TTY) != 0;
    remember(e, who, spec);
    return spec;
}

static void exec_start(struct request *r, const struct fields *f)
{
    struct identity who;
    struct ends ends __attribute__((cleanup(ends_close))) = {{-1, -1, -1}};
    struct exec *e = exec_new(r, f);
    if (e == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "exec: no memory");
        return;
    }
    CLEANUP_FREE struct spec *spec = prepare(r, e, f, &who);
    if (spec == NULL)
        return;
    if (spec->tty && make_tty(e, &who, f, &ends) != 0) {
        request_fail(r, SBX_E_UNSUPPORTED, errno, "exec: no terminal in this sandbox: %s", strerror(errno));
        return;
    }
    if (!spec->tty && make_pipes(r->c->g, e, &who, f->number[F_FLAGS], &ends) != 0) {
        request_fail(r, status_of(errno), errno, "exec: no pipe: %s", strerror(errno));
        return;
    }
    e->command = command_start(r->c->g, spec, ends.fd);
    if (e->command == NULL)
        request_fail(r, status_of(errno), errno, "exec: no process: %s", strerror(errno));
}

/* --- end -------------------------------------------------------------------------------------------------------- */

static void end_with(struct request *r, uint64_t result, int code, int signo, const char *message)
{
    const struct exec *e = r->state;
    if (e->merged)
        result |= SBX_MERGED;
    if (e->incomplete)
        result |= SBX_OUTPUT_INCOMPLETE;
    request_end_begin(r, SBX_OK);
    frame_number(r->c, F_RESULT, result);
    frame_number(r->c, F_EXIT_CODE, (uint64_t)code);
    frame_number(r->c, F_TERM_SIGNAL, (uint64_t)signo);
    frame_number(r->c, F_OUT_BYTES, e->out[0].bytes);
    frame_number(r->c, F_ERR_BYTES, e->out[1].bytes);
    if (message != NULL)
        frame_bytes(r->c, F_MESSAGE, message, strlen(message));
    request_end_finish(r);
}

static void end_not_executed(struct request *r, int error)
{
    const struct exec *e = r->state;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        end_with(r, SBX_EXITED | SBX_NOT_STARTED, 127, 0, "not found");
        return;
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case EISDIR:
    case ELIBBAD:
    case ETXTBSY:
    case EINVAL:
        end_with(r, SBX_EXITED | SBX_NOT_STARTED, 126, 0, error == ENOEXEC ? "not a program" : "permission denied");
        return;
    case E2BIG:
        request_fail(r, SBX_E_TOO_LARGE, error, "exec: '%s': the arguments and variables are too long", e->name);
        return;
    default:
        request_fail(r, status_of(error), error, "exec: '%s': %s", e->name, strerror(error));
    }
}

static void end_refused(struct request *r)
{
    const struct exec *e = r->state;
    int error = e->command->error;
    switch (e->command->stage) {
    case STAGE_EXEC:
        end_not_executed(r, error);
        return;
    case STAGE_DIRECTORY:
        if (error == ENOENT || error == ENOTDIR)
            request_fail(r, SBX_E_NOT_FOUND, error, "exec: no such directory '%.300s'", e->cwd);
        else
            request_fail(r, status_of(error), error, "exec: directory '%.300s': %s", e->cwd, strerror(error));
        return;
    case STAGE_USER:
        request_fail(r, error == EAGAIN ? SBX_E_QUOTA : SBX_E_UNSUPPORTED, error, "exec: user '%s': %s", e->user,
                     error == EAGAIN ? "too many processes" : "this sandbox cannot run commands as that user");
        return;
    default:
        request_fail(r, status_of(error), error, "exec: '%s': no process: %s", e->name, strerror(error));
    }
}

static void end(struct request *r)
{
    const struct exec *e = r->state;
    const struct command *c = e->command;
    if (c->state == COMMAND_REFUSED)
        end_refused(r);
    else if (c->state == COMMAND_LOST)
        request_fail(r, SBX_E_UNKNOWN, 0, "exec: '%s': its end is not known, since its keeper was killed", e->name);
    else if (c->state == COMMAND_KILLED && e->timed_out)
        end_with(r, SBX_TIMED_OUT, 124, 0, NULL);
    else if (c->state == COMMAND_KILLED && e->cancelled)
        request_fail(r, SBX_E_CANCELLED, 0, "exec: '%s': cancelled", e->name);
    else if (WIFSIGNALED(c->status))
        end_with(r, SBX_SIGNALLED, 128 + WTERMSIG(c->status), WTERMSIG(c->status), NULL);
    else
        end_with(r, SBX_EXITED, WEXITSTATUS(c->status), 0, NULL);
}

/* --- in between ------------------------------------------------------------------------------------------------- */

static void exec_feed(struct request *r, const unsigned char *data, size_t len, int eof)
{
    struct exec *e = r->state;
    stream_in_feed(&e->in, r, data, len, eof);
}

static void exec_watch(struct request *r, struct watch *w)
{
    struct exec *e = r->state;
    stream_in_watch(&e->in, w);
    for (int i = 0; i < 2 && e->command->state != COMMAND_STARTING; i++) /* nothing goes before STARTED */
        stream_out_watch(&e->out[i], r, w);
    if (e->drain_ns != 0 && !e->capped)
        watch_until(w, e->drain_ns);
    else if (e->limit_ns != 0 && !e->timed_out && !command_is_over(e->command))
        watch_until(w, e->limit_ns);
}

/* Nothing is left in it, and yet somebody could still write. */
static int is_held(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0 || (p.revents & POLLIN) != 0;
}

/* What a descendant still holds is read for a short while, then up to what lies in the pipe. 1: all is read. */
static int drain(struct request *r)
{
    struct exec *e = r->state;
    for (int i = 0; i < 2; i++)
        (void)stream_out_pump(&e->out[i], r);
    if (e->drain_ns == 0)
        e->drain_ns = clock_now_ns() + GUEST_DRAIN_MS * MS;
    if (e->out[0].fd < 0 && e->out[1].fd < 0)
        return 1;
    if (!e->capped && clock_now_ns() < e->drain_ns)
        return 0;
    for (int i = 0; i < 2; i++) {
        struct stream_out *s = &e->out[i];
        int there = 0;
        if (s->fd >= 0 && !e->capped) {
            (void)ioctl(s->fd, FIONREAD, &there);
            s->cap = s->bytes + (uint64_t)there;
            (void)stream_out_pump(s, r);
        }
    }
    e->capped = 1;
    for (int i = 0; i < 2; i++)
        if (e->out[i].fd >= 0 && e->out[i].bytes < e->out[i].cap)
            return 0;
    for (int i = 0; i < 2; i++)
        e->incomplete |= e->out[i].fd >= 0 && is_held(e->out[i].fd);
    return 1;
}

static void exec_pump(struct request *r)
{
    struct exec *e = r->state;
    if (e->command->pid > 0 && !e->announced) {
        e->announced = 1;
        frame_begin(r->c, FRAME_STARTED, r->id);
        frame_number(r->c, F_PID, (uint64_t)e->command->pid);
        frame_finish(r->c);
    }
    stream_in_pump(&e->in, r);
    /* The first bytes may be here before the news of the start, which has to go first. */
    int may_tell = e->announced || command_is_over(e->command);
    for (int i = 0; i < 2; i++)
        if (e->out[i].got != 0 && may_tell)
            (void)stream_out_pump(&e->out[i], r);
    if (command_is_over(e->command)) {
        if (e->cancelled || drain(r))
            end(r);
        return;
    }
    if (e->limit_ns != 0 && !e->timed_out && clock_now_ns() >= e->limit_ns) {
        e->timed_out = 1;
        command_kill(e->command);
    }
}

static void exec_cancel(struct request *r)
{
    struct exec *e = r->state;
    e->cancelled = 1;
    command_kill(e->command);
    if (command_is_over(e->command)) {
        e->incomplete |= e->out[0].fd >= 0 || e->out[1].fd >= 0;
        end(r);
    }
}

static void exec_event(struct request *r, const struct wire_head *h, const unsigned char *payload)
{
    const struct exec *e = r->state;
    if (h->type == FRAME_RESIZE) {
        if (e->tty >= 0)
            tty_resize(e->tty, wire_get16(payload), wire_get16(payload + 2));
        return;
    }
    uint32_t signo = wire_get32(payload);
    if (signo < 1 || signo > 64)
        return;
    if (e->tty >= 0)
        tty_signal(e->tty, (int)signo);
    else
        command_signal(e->command, (int)signo);
}

const struct request_kind op_exec = {
    .op = OP_EXEC,
    .takes = FIELD(F_ARG) | FIELD(F_ENV) | FIELD(F_CWD) | FIELD(F_USER) | FIELD(F_TIMEOUT_MS) | FIELD(F_FLAGS) |
             FIELD(F_ROWS) | FIELD(F_COLS),
    .requires = FIELD(F_ARG),
    .flags = EXEC_MERGE | EXEC_TTY | EXEC_NO_STDIN,
    .input = 1,
    .start = exec_start,
    .feed = exec_feed,
    .watch = exec_watch,
    .pump = exec_pump,
    .cancel = exec_cancel,
    .event = exec_event,
    .release = exec_release,
};
