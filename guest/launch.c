/* SPDX-License-Identifier: MIT */
#include "guest/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/path.h"
#include "guest/spec.h"
#include "guest/user.h"

void launch_ends_close(const struct launch_ends *e)
{
    for (int i = 0; i < SPEC_FDS_MAX; i++) {
        int again = 0;
        for (int j = 0; j < i; j++)
            again |= e->fd[j] == e->fd[i];
        if (e->fd[i] >= 0 && !again)
            (void)close(e->fd[i]);
    }
}

void launch_init(struct launch *l)
{
    memset(l, 0, sizeof *l);
    l->in = l->out[0] = l->out[1] = -1;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void launch_finish(struct launch *l)
{
    if (l->command != NULL)
        command_release(l->command);
    l->command = NULL;
    close_one(&l->in);
    close_one(&l->out[0]);
    close_one(&l->out[1]);
}

/* --- start ------------------------------------------------------------------------------------------------------ */

int launch_pipe(const struct identity *who, int *ours, int *theirs, int we_write)
{
    int p[2];
    if (pipe2(p, O_CLOEXEC) != 0)
        return -1;
    *ours = p[we_write ? 1 : 0];
    *theirs = p[we_write ? 0 : 1];
    (void)!fchown(*theirs, who->uid, who->gid);
    return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int make_stdin(const struct guest *g, struct launch *l, const struct identity *who, int none,
                      struct launch_ends *ends)
{
    if (none && g->null_fd >= 0) {
        ends->fd[0] = fcntl(g->null_fd, F_DUPFD_CLOEXEC, 3);
        return ends->fd[0] < 0 ? -1 : 0;
    }
    if (launch_pipe(who, &l->in, &ends->fd[0], 1) != 0)
        return -1;
    if (none)
        close_one(&l->in);
    return 0;
}

int launch_pipes(const struct guest *g, struct launch *l, const struct identity *who, uint64_t flags,
                 struct launch_ends *ends)
{
    if (make_stdin(g, l, who, (flags & EXEC_NO_STDIN) != 0, ends) != 0 ||
        launch_pipe(who, &l->out[0], &ends->fd[1], 0) != 0)
        return -1;
    if ((flags & EXEC_MERGE) != 0) {
        ends->fd[2] = ends->fd[1];
        return 0;
    }
    return launch_pipe(who, &l->out[1], &ends->fd[2], 0);
}

/* What messages will name. */
static void remember(struct launch *l, const struct identity *who, const struct spec *s)
{
    const char *text = (const char *)(s + 1);
    const char *name = text + strlen(text) + 1;
    size_t len = strlen(name);
    memcpy(l->name, name, len < sizeof l->name ? len : sizeof l->name - 1);
    memcpy(l->user, who->name, sizeof l->user);
}

struct spec *launch_prepare(struct request *r, struct launch *l, const struct fields *f, const char *const *argv,
                            struct identity *who)
{
    char message[GUEST_MESSAGE_MAX];
    struct spec *spec = NULL;
    sbx_status status = user_of_request(r->c->g, f, who, message);
    if (status == SBX_OK && !fields_have(f, F_CWD)) {
        memcpy(l->cwd, r->c->g->workdir, strlen(r->c->g->workdir) + 1);
    } else if (status == SBX_OK && path_of(r->c->g, who, f, F_CWD, l->cwd) != SBX_OK) {
        request_fail(r, SBX_E_BAD_PATH, 0, "the directory's name is empty or too long");
        return NULL;
    }
    if (status == SBX_OK)
        status = spec_make(f, argv, who, l->cwd, &spec, message);
    if (status != SBX_OK) {
        request_fail(r, status, 0, "%s", message);
        return NULL;
    }
    remember(l, who, spec);
    return spec;
}

int launch_start(struct request *r, struct launch *l, const struct spec *spec, const struct launch_ends *ends)
{
    l->command = command_start(r->c->g, spec, ends->fd);
    if (l->command != NULL)
        return 0;
    request_fail(r, status_of(errno), errno, "no process: %s", strerror(errno));
    return -1;
}

/* --- end -------------------------------------------------------------------------------------------------------- */

static void fail(struct verdict *v, sbx_status status, int os_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void fail(struct verdict *v, sbx_status status, int os_errno, const char *format, ...)
{
    va_list args;
    v->status = status;
    v->os_errno = os_errno;
    va_start(args, format);
    (void)vsnprintf(v->message, sizeof v->message, format, args);
    va_end(args);
}

static void result(struct verdict *v, uint64_t bits, int code, int signo, const char *message)
{
    v->result = bits;
    v->code = code;
    v->signo = signo;
    (void)snprintf(v->message, sizeof v->message, "%s", message);
}

static void judge_exec(const struct launch *l, int error, struct verdict *v)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        result(v, SBX_EXITED | SBX_NOT_STARTED, 127, 0, "not found");
        return;
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case EISDIR:
    case ELIBBAD:
    case ETXTBSY:
    case EINVAL:
        result(v, SBX_EXITED | SBX_NOT_STARTED, 126, 0, error == ENOEXEC ? "not a program" : "permission denied");
        return;
    case E2BIG:
        fail(v, SBX_E_TOO_LARGE, error, "'%s': the arguments and variables are too long", l->name);
        return;
    default:
        fail(v, status_of(error), error, "'%s': %s", l->name, strerror(error));
    }
}

static void judge_refusal(const struct launch *l, struct verdict *v)
{
    int error = l->command->error;
    switch (l->command->stage) {
    case STAGE_EXEC:
        judge_exec(l, error, v);
        return;
    case STAGE_DIRECTORY:
        if (error == ENOENT || error == ENOTDIR)
            fail(v, SBX_E_NOT_FOUND, error, "no such directory '%.300s'", l->cwd);
        else
            fail(v, status_of(error), error, "directory '%.300s': %s", l->cwd, strerror(error));
        return;
    case STAGE_USER:
        fail(v, error == EAGAIN ? SBX_E_QUOTA : SBX_E_UNSUPPORTED, error, "user '%s': %s", l->user,
             error == EAGAIN ? "too many processes" : "this sandbox cannot run commands as that user");
        return;
    default:
        fail(v, status_of(error), error, "'%s': no process: %s", l->name, strerror(error));
    }
}

void launch_verdict(const struct launch *l, int timed_out, int cancelled, struct verdict *v)
{
    const struct command *c = l->command;
    memset(v, 0, sizeof *v);
    if (c->state == COMMAND_REFUSED)
        judge_refusal(l, v);
    else if (c->state == COMMAND_LOST)
        fail(v, SBX_E_UNKNOWN, 0, "'%s': its end is not known, since its keeper was killed", l->name);
    else if (c->state == COMMAND_KILLED && timed_out)
        result(v, SBX_TIMED_OUT, 124, 0, "");
    else if (c->state == COMMAND_KILLED && cancelled)
        fail(v, SBX_E_CANCELLED, 0, "'%s': cancelled", l->name);
    else if (WIFSIGNALED(c->status))
        result(v, SBX_SIGNALLED, 128 + WTERMSIG(c->status), WTERMSIG(c->status), "");
    else
        result(v, SBX_EXITED, WEXITSTATUS(c->status), 0, "");
}

void frame_verdict(struct conn *c, const struct verdict *v, uint64_t out_bytes, uint64_t err_bytes)
{
    frame_number(c, F_RESULT, v->result);
    frame_number(c, F_EXIT_CODE, (uint64_t)v->code);
    frame_number(c, F_TERM_SIGNAL, (uint64_t)v->signo);
    frame_number(c, F_OUT_BYTES, out_bytes);
    frame_number(c, F_ERR_BYTES, err_bytes);
    if (v->message[0] != '\0')
        frame_bytes(c, F_MESSAGE, v->message, strlen(v->message));
}

int launch_is_held(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0 || (p.revents & POLLIN) != 0;
}
