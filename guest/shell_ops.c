/* SPDX-License-Identifier: MIT
 *
 * shell_ops.c - OP_SHELL_EXEC, OP_SHELL_CLOSE and OP_SHELL_LIST.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/shell.h"
#include "guest/spec.h"
#include "guest/user.h"

/* The user's own shell, if it is one whose ways we know. */
static const char *program(const struct identity *who)
{
    static const char *const known[] = {"sh", "bash", "dash", "ash"};
    const char *base = strrchr(who->shell, '/');
    for (size_t i = 0; base != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(base + 1, known[i]) == 0 && access(who->shell, X_OK) == 0)
            return who->shell;
    return "/bin/sh";
}

static int take_name(struct request *r, const struct fields *f, char *name)
{
    if (fields_text(f, F_NAME, name, SHELL_NAME_SIZE) == 0 && name[0] != '\0')
        return 0;
    request_fail(r, SBX_E_INVALID, 0, "the name of a shell has 1 to %d bytes", SHELL_NAME_SIZE - 1);
    return -1;
}

/* What the request insists on, compared with what the shell was started with. */
static const char *difference(const struct spec *old, const struct spec *new, uint64_t flags)
{
    const char *old_envs = spec_envs(old), *new_envs = spec_envs(new);
    size_t old_len = old->size - (size_t)(old_envs - (const char *)old);
    size_t new_len = new->size - (size_t)(new_envs - (const char *)new);
    if ((flags & SHELL_SAME_USER) != 0 && (old->uid != new->uid || old->gid != new->gid))
        return "user";
    if ((flags & SHELL_SAME_CWD) != 0 && strcmp((const char *)(old + 1), (const char *)(new + 1)) != 0)
        return "directory";
    if ((flags & SHELL_SAME_ENV) != 0 && (old_len != new_len || memcmp(old_envs, new_envs, old_len) != 0))
        return "environment";
    return NULL;
}

/* The shell of that name, started if need be; NULL when the request was ended. */
static struct shell *get_shell(struct request *r, const struct fields *f, const char *name)
{
    struct guest *g = r->c->g;
    struct identity who;
    struct launch l;
    char message[GUEST_MESSAGE_MAX];
    sbx_status status = user_of_request(g, f, &who, message);
    if (status != SBX_OK) {
        request_fail(r, status, 0, "%s", message);
        return NULL;
    }
    const char *const argv[] = {program(&who), "-s", NULL};
    launch_init(&l);
    CLEANUP_FREE struct spec *spec = launch_prepare(r, &l, f, argv, &who);
    if (spec == NULL)
        return NULL;
    struct shell *s = shell_find(g, name);
    if (s != NULL) {
        const char *what = difference(s->spec, spec, f->number[F_FLAGS]);
        if (what == NULL)
            return s;
        request_fail(r, SBX_E_INVALID, 0, "shell '%s' was started with another %s", name, what);
        return NULL;
    }
    if (g->shell_count >= GUEST_MAX_SHELLS) {
        request_fail(r, SBX_E_QUOTA, 0, "there are %d shells: close some", (int)GUEST_MAX_SHELLS);
        return NULL;
    }
    return shell_open(r, name, &who, &l, STEAL(spec));
}

static struct shell_call *make_call(struct request *r, const struct fields *f)
{
    const struct wire_field_view *text = &f->text[F_ARG];
    if (f->arg_count != 1 || text->len > GUEST_SHELL_TEXT) {
        request_fail(r, f->arg_count != 1 ? SBX_E_INVALID : SBX_E_TOO_LARGE, 0,
                     "a shell takes one command of at most %d bytes", (int)GUEST_SHELL_TEXT);
        return NULL;
    }
    if (r->c->g->shell_text + text->len > GUEST_SHELL_TEXTS) {
        request_fail(r, SBX_E_BUSY, 0, "too many commands wait for their shells");
        return NULL;
    }
    struct shell_call *call = calloc(1, sizeof *call);
    char *copy = malloc((size_t)text->len + 1);
    if (call == NULL || copy == NULL) {
        free(call);
        free(copy);
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "no memory for the command");
        return NULL;
    }
    if (text->len > 0)
        memcpy(copy, text->data, text->len);
    *call = (struct shell_call){.r = r, .text = copy, .len = text->len, .limit_ms = f->number[F_TIMEOUT_MS]};
    if (call->limit_ms > UINT64_C(1) << 40)
        call->limit_ms = UINT64_C(1) << 40;
    call->merged = (f->number[F_FLAGS] & EXEC_MERGE) != 0;
    return call;
}

static void exec_start(struct request *r, const struct fields *f)
{
    char name[SHELL_NAME_SIZE];
    if (take_name(r, f, name) != 0)
        return;
    struct shell_call *call = make_call(r, f);
    if (call == NULL)
        return;
    r->state = call;
    struct shell *s = get_shell(r, f, name);
    if (s != NULL)
        shell_add(s, call);
}

static void exec_pump(struct request *r)
{
    const struct shell_call *call = r->state;
    if (call->shell != NULL)
        shell_pump(call->shell);
}

/* It ends at once; the shell takes up to a second to come back, and the next command waits for that. */
static void exec_cancel(struct request *r)
{
    struct shell_call *call = r->state;
    if (call->shell != NULL)
        shell_drop(call);
    request_fail(r, SBX_E_CANCELLED, 0, "cancelled");
}

static void exec_event(struct request *r, const struct wire_head *h, const unsigned char *payload)
{
    const struct shell_call *call = r->state;
    uint32_t signo = wire_get32(payload);
    if (h->type == FRAME_SIGNAL && call->shell != NULL && call->shell->active == call && signo >= 1 && signo <= 64)
        shell_signal(call->shell, (int)signo);
}

static void exec_release(struct request *r)
{
    struct shell_call *call = r->state;
    if (call == NULL)
        return;
    if (call->shell != NULL)
        shell_drop(call);
    free(call->text);
    free(call);
}

/* --- close and list -------------------------------------------------------------------------------------------------
 */

static void close_start(struct request *r, const struct fields *f)
{
    char name[SHELL_NAME_SIZE];
    if (take_name(r, f, name) != 0)
        return;
    struct shell *s = shell_find(r->c->g, name);
    if (s == NULL) {
        request_fail(r, SBX_E_NOT_FOUND, 0, "no shell '%s'", name);
        return;
    }
    s->users++;
    r->state = s;
    shell_kill(s);
}

/* Its last output may still wait for whoever asked for it. */
static void close_pump(struct request *r)
{
    const struct shell *s = r->state;
    if (s->over || command_is_over(s->l.command))
        request_end(r);
}

static void close_release(struct request *r)
{
    if (r->state != NULL)
        shell_leave(r->state);
}

static void list_start(struct request *r, const struct fields *f)
{
    (void)f;
    for (const struct shell *s = r->c->g->shells; s != NULL; s = s->next) {
        if (shell_find(r->c->g, s->name) != s)
            continue;
        request_reply_begin(r);
        frame_bytes(r->c, F_NAME, s->name, strlen(s->name));
        frame_number(r->c, F_PID, s->l.command->pid <= 0 ? 0 : (uint64_t)s->l.command->pid);
        request_reply_finish(r);
    }
    request_end(r);
}

const struct request_kind op_shell_exec = {
    .op = OP_SHELL_EXEC,
    .takes = FIELD(F_NAME) | FIELD(F_ARG) | FIELD(F_ENV) | FIELD(F_CWD) | FIELD(F_USER) | FIELD(F_TIMEOUT_MS) |
             FIELD(F_FLAGS),
    .requires = FIELD(F_NAME) | FIELD(F_ARG),
    .flags = EXEC_MERGE | SHELL_SAME_ENV | SHELL_SAME_CWD | SHELL_SAME_USER,
    .start = exec_start,
    .pump = exec_pump,
    .cancel = exec_cancel,
    .event = exec_event,
    .release = exec_release,
};
const struct request_kind op_shell_close = {
    .op = OP_SHELL_CLOSE,
    .takes = FIELD(F_NAME),
    .requires = FIELD(F_NAME),
    .start = close_start,
    .pump = close_pump,
    .release = close_release,
};
const struct request_kind op_shell_list = {.op = OP_SHELL_LIST, .start = list_start};
