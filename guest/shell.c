/* SPDX-License-Identifier: MIT */
#include "guest/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/path.h"
#include "guest/tree.h"

enum { STRIKE_MS = 20, DROP_READS = 16, DROP_BYTES = 16 << 10, STATUS_READS = 4, STATUS_BYTES = 256 };
static const int64_t MS = 1000000;

struct shell *shell_find(const struct guest *g, const char *name)
{
    for (struct shell *s = g->shells; s != NULL; s = s->next)
        if (!s->closing && !command_is_over(s->l.command) && strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static int open_pipes(struct shell *s, const struct identity *who, struct launch_ends *ends)
{
    if (launch_pipe(who, &s->l.in, &ends->fd[0], 1) != 0 || launch_pipe(who, &s->out[0].fd, &ends->fd[1], 0) != 0 ||
        launch_pipe(who, &s->out[1].fd, &ends->fd[2], 0) != 0 || launch_pipe(who, &s->status_fd, &ends->fd[4], 0) != 0)
        return -1;
    if (s->g->null_fd >= 0) {
        ends->fd[3] = fcntl(s->g->null_fd, F_DUPFD_CLOEXEC, 3);
        return ends->fd[3] < 0 ? -1 : 0;
    }
    int closed = -1;
    if (launch_pipe(who, &closed, &ends->fd[3], 1) != 0)
        return -1;
    (void)close(closed);
    return 0;
}

static void shell_free(struct shell *s)
{
    launch_finish(&s->l);
    for (int i = 0; i < 2; i++)
        stream_out_finish(&s->out[i]);
    if (s->status_fd >= 0)
        (void)close(s->status_fd);
    free(s->spec);
    free(s->script);
    free(s->before);
    free(s);
}

struct shell *shell_open(struct request *r, const char *name, const struct identity *who, struct launch *l,
                         struct spec *spec)
{
    struct guest *g = r->c->g;
    LAUNCH_ENDS(ends);
    struct shell *s = calloc(1, sizeof *s);
    if (s == NULL) {
        free(spec);
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory");
        return NULL;
    }
    *s = (struct shell){.g = g, .users = 1, .l = *l, .spec = spec, .status_fd = -1};
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    stream_out_init(&s->out[0], -1, STREAM_OUT);
    stream_out_init(&s->out[1], -1, STREAM_ERR);
    spec->fd_count = SPEC_FDS_MAX;
    int opened = open_pipes(s, who, &ends) == 0;
    if (!opened)
        request_fail(r, status_of(errno), errno, "no pipe: %s", strerror(errno));
    if (!opened || launch_start(r, &s->l, spec, &ends) != 0) {
        shell_free(s);
        return NULL;
    }
    s->next = g->shells;
    g->shells = s;
    g->shell_count++;
    return s;
}

void shell_leave(struct shell *s)
{
    if (--s->users == 0)
        shell_free(s);
}

void shell_add(struct shell *s, struct shell_call *call)
{
    struct shell_call **at = &s->calls;
    while (*at != NULL)
        at = &(*at)->next;
    *at = call;
    call->shell = s;
    s->g->shell_text += call->len;
}

static void detach(struct shell_call *call)
{
    struct shell *s = call->shell;
    for (struct shell_call **at = &s->calls; *at != NULL; at = &(*at)->next) {
        if (*at == call) {
            *at = call->next;
            break;
        }
    }
    if (s->active == call)
        s->active = NULL;
    s->g->shell_text -= call->len;
    call->shell = NULL;
}

void shell_kill(struct shell *s)
{
    s->closing = 1;
    command_kill(s->l.command);
}

/* --- what runs below it ------------------------------------------------------------------------------------------- */

/* What the command started: what is below the shell's keeper now and was not before. */
static struct tree started(const struct shell *s)
{
    return (struct tree){.root = s->l.command->keeper.pid,
                         .except = s->l.command->pid,
                         .spare = s->before,
                         .spare_count = s->before_count};
}

static int can_reach(const struct shell *s)
{
    return s->l.command->state == COMMAND_RUNNING && s->l.command->keeper.pid > 0;
}

static void strike(struct shell *s)
{
    int64_t now = clock_now_ns();
    struct tree t = started(s);
    if (s->back_ns == 0)
        s->back_ns = now + GUEST_SHELL_BACK_MS * MS;
    s->strike_ns = now + STRIKE_MS * MS;
    if (can_reach(s))
        tree_strike(&t);
}

void shell_signal(const struct shell *s, int signo)
{
    struct tree t = started(s);
    if (can_reach(s) && tree_signal(&t, signo) == 0)
        (void)kill(s->l.command->pid, signo);
}

void shell_drop(struct shell_call *call)
{
    struct shell *s = call->shell;
    int ran = s->active == call;
    detach(call);
    if (ran && s->busy && !s->back)
        strike(s);
}

/* --- one command -------------------------------------------------------------------------------------------------- */

static char *append(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

/* The command as one word for eval, which a syntax error ends and not the shell; nothing of ours is inherited by it. */
static int write_script(struct shell *s, const struct shell_call *call)
{
    size_t quotes = 0;
    for (size_t i = 0; i < call->len; i++)
        quotes += call->text[i] == '\'';
    char *script = malloc(call->len + 3 * quotes + 128);
    if (script == NULL)
        return -1;
    char *at = append(script, "\\command \\eval '");
    for (size_t i = 0; i < call->len; i++) {
        if (call->text[i] == '\'')
            at = append(at, "'\\''");
        else
            *at++ = call->text[i];
    }
    at = append(at, "' 0<&8 8<&- 9>&-");
    at = append(at, call->merged ? " 2>&1\n" : "\n");
    at = append(at, "\\command \\echo \"$?\" >&9\n");
    s->script = script;
    s->script_at = 0;
    s->script_len = (size_t)(at - script);
    return 0;
}

/* What comes while no command runs is nobody's. */
static void drop_output(struct shell *s)
{
    char bytes[DROP_BYTES];
    for (int i = 0; i < 2; i++)
        for (int turn = 0; turn < DROP_READS && s->out[i].fd >= 0; turn++) {
            ssize_t n = read(s->out[i].fd, bytes, sizeof bytes);
            if (n == 0)
                stream_out_finish(&s->out[i]);
            if (n <= 0)
                break;
        }
}

static void begin(struct shell *s)
{
    struct shell_call *call = s->calls;
    struct request *r = call->r;
    drop_output(s);
    if (write_script(s, call) != 0) {
        detach(call);
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory for the command");
        return;
    }
    free(s->before);
    s->before = NULL;
    s->before_count = 0;
    struct tree t = started(s);
    if (tree_has_child(t.except, 0) || tree_has_child(t.root, t.except))
        s->before_count = tree_list(&t, &s->before);
    s->active = call;
    s->busy = 1;
    s->back = s->capped = s->timed_out = 0;
    s->digit_count = 0;
    s->back_ns = s->strike_ns = 0;
    s->limit_ns = call->limit_ms == 0 ? 0 : clock_now_ns() + (int64_t)call->limit_ms * MS;
    for (int i = 0; i < 2; i++) {
        s->out[i].bytes = 0;
        s->out[i].cap = UINT64_MAX;
    }
    frame_begin(r->c, FRAME_STARTED, r->id);
    frame_number(r->c, F_PID, (uint64_t)s->l.command->pid);
    frame_finish(r->c);
}

static void send_script(struct shell *s)
{
    while (s->script != NULL && s->script_at < s->script_len) {
        ssize_t n = write(s->l.in, s->script + s->script_at, s->script_len - s->script_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            break; /* nobody reads it any more; what became of the shell its keeper will tell */
        s->script_at += (size_t)n;
    }
    free(s->script);
    s->script = NULL;
}

static void take_digit(struct shell *s, char c)
{
    if (!s->busy || s->back || s->script != NULL)
        return;
    if (c == '\n') {
        s->digits[s->digit_count] = '\0';
        s->status = (int)strtol(s->digits, NULL, 10) & 0xff;
        s->back = 1;
    } else if (s->digit_count < sizeof s->digits - 1) {
        s->digits[s->digit_count++] = c;
    }
}

/* Nobody can say any more that the shell is back. It ends, or another program took its place, and then its script has
 * no reader either; else it closed that descriptor itself and is of no use. */
static void look_for_shell(struct shell *s)
{
    struct pollfd p = {.fd = s->l.in, .events = POLLOUT};
    s->lost_ns = 0;
    if (poll(&p, 1, 0) >= 0 && (p.revents & POLLERR) == 0)
        command_kill(s->l.command);
}

static void lose_status(struct shell *s)
{
    (void)close(s->status_fd);
    s->status_fd = -1;
    s->lost_ns = clock_now_ns() + GUEST_SHELL_BACK_MS * MS; /* not all descriptors are closed in one moment */
}

/* The line that says that the shell is back. Others may write there, too: no more is read than a fair share. */
static void take_status(struct shell *s)
{
    char bytes[STATUS_BYTES];
    for (int turn = 0; turn < STATUS_READS && s->status_fd >= 0; turn++) {
        ssize_t n = read(s->status_fd, bytes, sizeof bytes);
        for (ssize_t i = 0; i < n; i++)
            take_digit(s, bytes[i]);
        if (n == 0)
            lose_status(s);
        if (n < (ssize_t)sizeof bytes)
            return;
    }
}

/* What lay in the pipes when the command was over goes out, and no more. 1: it has. */
static int settle(struct shell *s)
{
    struct request *r = s->active->r;
    for (int i = 0; i < 2; i++) {
        struct stream_out *o = &s->out[i];
        int there = 0;
        if (o->fd >= 0 && !s->capped) {
            (void)ioctl(o->fd, FIONREAD, &there);
            o->cap = o->bytes + (uint64_t)there;
        }
        (void)stream_out_pump(o, r);
    }
    s->capped = 1;
    for (int i = 0; i < 2; i++)
        if (s->out[i].fd >= 0 && s->out[i].bytes < s->out[i].cap)
            return 0;
    return 1;
}

/* --- ends -----------------------------------------------------------------------------------------------------------
 */

static void end_active(struct shell *s, sbx_status status, const struct verdict *v)
{
    struct shell_call *call = s->active;
    struct request *r = call->r;
    struct verdict copy = *v;
    copy.result |= call->merged ? (uint64_t)SBX_MERGED : 0;
    detach(call);
    request_end_begin(r, status);
    frame_verdict(r->c, &copy, s->out[0].bytes, s->out[1].bytes);
    request_end_finish(r);
}

/* The command is over and the shell is there for the next one. */
static void end_command(struct shell *s)
{
    struct verdict v = {.result = SBX_EXITED, .code = s->status};
    if (s->active != NULL && !settle(s))
        return;
    if (s->timed_out)
        v = (struct verdict){.result = SBX_TIMED_OUT, .code = 124};
    if (s->active != NULL)
        end_active(s, SBX_OK, &v);
    s->busy = s->back = 0;
    s->back_ns = s->strike_ns = 0;
}

static void end_waiting(struct shell *s, sbx_status status, int os_errno, const char *message)
{
    while (s->calls != NULL) {
        struct request *r = s->calls->r;
        detach(s->calls);
        request_fail(r, status, os_errno, "%s", message);
    }
}

/* The shell itself ended, for whatever reason. */
static void end_shell(struct shell *s)
{
    struct verdict v;
    if (s->active != NULL && !settle(s))
        return;
    launch_verdict(&s->l, s->timed_out, 0, &v);
    if (s->l.command->state == COMMAND_REFUSED && v.status == SBX_OK) {
        v.status = SBX_E_UNSUPPORTED;
        (void)snprintf(v.message, sizeof v.message, "no shell '%s' in this sandbox", s->l.name);
    }
    if (s->active != NULL && s->timed_out && v.status == SBX_OK) {
        v = (struct verdict){.result = SBX_TIMED_OUT, .code = 124};
        (void)snprintf(v.message, sizeof v.message, "shell '%s' did not come back and was killed", s->name);
        end_active(s, SBX_OK, &v);
    } else if (s->active != NULL && v.status == SBX_OK) {
        (void)snprintf(v.message, sizeof v.message, s->closing ? "shell '%s' was closed" : "shell '%s' has ended",
                       s->name);
        end_active(s, SBX_E_STATE, &v);
    }
    if (v.status == SBX_OK) {
        v.status = SBX_E_STATE;
        (void)snprintf(v.message, sizeof v.message, "shell '%s' has ended before this command's turn", s->name);
    }
    end_waiting(s, v.status, v.os_errno, v.message);
    s->over = 1;
}

/* --- the loop's part ---------------------------------------------------------------------------------------------- */

static void keep_limits(struct shell *s)
{
    int64_t now = clock_now_ns();
    if (s->limit_ns != 0 && s->active != NULL && !s->timed_out && now >= s->limit_ns) {
        s->timed_out = 1;
        strike(s);
    } else if (s->strike_ns != 0 && now >= s->strike_ns) {
        strike(s);
    }
    if (s->back_ns != 0 && now >= s->back_ns)
        command_kill(s->l.command);
}

static void relay(struct shell *s)
{
    if (s->active == NULL) {
        drop_output(s);
        return;
    }
    for (int i = 0; i < 2; i++)
        (void)stream_out_pump(&s->out[i], s->active->r);
}

void shell_pump(struct shell *s)
{
    const struct command *c = s->l.command;
    if (s->over || c->state == COMMAND_STARTING)
        return;
    send_script(s);
    relay(s);
    take_status(s);
    if (command_is_over(c)) {
        end_shell(s);
        return;
    }
    if (s->lost_ns != 0 && clock_now_ns() >= s->lost_ns)
        look_for_shell(s);
    if (s->busy && !s->back)
        keep_limits(s);
    if (s->busy && s->back)
        end_command(s);
    if (!s->busy && s->calls != NULL && !s->closing) {
        begin(s);
        send_script(s);
    }
}

static void watch_times(const struct shell *s, struct watch *w)
{
    if (s->lost_ns != 0 && !command_is_over(s->l.command))
        watch_until(w, s->lost_ns);
    if (!s->busy || s->back)
        return;
    if (s->strike_ns != 0)
        watch_until(w, s->strike_ns);
    else if (s->limit_ns != 0 && s->active != NULL)
        watch_until(w, s->limit_ns);
}

static void watch(struct shell *s, struct watch *w)
{
    s->in_got = s->status_got = 0;
    if (s->over)
        watch_until(w, clock_now_ns()); /* it is to be taken off the list */
    if (s->over || s->l.command->state == COMMAND_STARTING)
        return;
    if (s->script != NULL && !command_is_over(s->l.command))
        watch_fd(w, s->l.in, POLLOUT, &s->in_got);
    if (s->status_fd >= 0 && !command_is_over(s->l.command))
        watch_fd(w, s->status_fd, POLLIN, &s->status_got);
    for (int i = 0; i < 2; i++) {
        s->out[i].got = 0;
        if (s->active != NULL)
            stream_out_watch(&s->out[i], s->active->r, w);
        else if (s->out[i].fd >= 0)
            watch_fd(w, s->out[i].fd, POLLIN, &s->out[i].got);
    }
    watch_times(s, w);
}

void shell_watch_all(struct guest *g, struct watch *w)
{
    for (struct shell *s = g->shells; s != NULL; s = s->next)
        watch(s, w);
}

void shell_pump_all(struct guest *g)
{
    struct shell **at = &g->shells;
    while (*at != NULL) {
        struct shell *s = *at;
        shell_pump(s);
        if (!s->over) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        g->shell_count--;
        shell_leave(s);
    }
}

/* When the guest ends; no connection is left. */
void shell_close_all(struct guest *g)
{
    while (g->shells != NULL) {
        struct shell *s = g->shells;
        g->shells = s->next;
        shell_leave(s);
    }
}
