/* SPDX-License-Identifier: MIT
 *
 * rule_process.c - what belongs to the process, and to which thread a callback comes.
 */
#include "conform/conform.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A bit of everything that a host does, failures included. */
static void scenario(struct run *run)
{
    struct sbx_handle *none = NULL;
    struct call attach = {.run = run, .deadline_ms = 20000};
    struct call late = {.run = run, .deadline_ms = 300};
    struct exec slow = {.args = {.size = sizeof slow.args, .command = "sleep 20"}};
    struct report reports = {0};
    struct call list = {.run = run, .deadline_ms = 20000};
    struct sbx_list_args args = {.size = sizeof args};
    run->h = step_create(run, run->b);
    step_says(run, run->h, "echo text", "text");
    step_write(run, "scenario", "abc", 3);
    step_content(run, "scenario", "abc", 3);
    (void)call_list(&list, run->b, &args, &reports);
    (void)call_attach(&attach, run->b, "no-such-sandbox", &none);
    (void)call_exec(&late, run->h, &slow);
    struct call cancelled = {.run = run, .cancel_ms = 200, .cancel_by_asking = 1};
    (void)call_exec(&cancelled, run->h, &slow);
    step_drop(run, run->h);
}

static void nothing_is_left(struct run *run)
{
    char text[TEXT_SIZE];
    (void)setlocale(LC_ALL, "C");
    /* Once for what is made once and kept, such as a library's own tables. */
    run->b = step_open(run, step_host(run));
    scenario(run);
    call_close(run, run->b);
    struct state *before = state_take(run);
    for (int i = 0; i < 2; i++) {
        run->b = step_open(run, step_host(run));
        scenario(run);
        call_close(run, run->b);
    }
    run->b = NULL;
    const char *problem = state_difference(run, before, text);
    EXPECT(run, problem == NULL, "after close: %s", problem);
    state_drop(before);
}

static void nothing_is_changed(struct run *run)
{
    char text[TEXT_SIZE];
    struct state *before = state_take(run);
    run->b = step_open(run, step_host(run));
    scenario(run);
    call_close(run, run->b);
    run->b = NULL;
    const char *problem = state_difference(run, before, text);
    EXPECT(run, problem == NULL || strstr(problem, "(P1)") == NULL, "%s", problem);
    state_drop(before);
}

static void descriptors_are_private(struct run *run)
{
    char text[TEXT_SIZE];
    struct state *before = state_take(run);
    run->b = step_open(run, step_host(run));
    run->h = step_create(run, run->b);
    EXPECT(run, step_shell(run, run->h, "exit 0", NULL) == 0, "a command failed");
    const char *problem = state_inherited(before, text);
    EXPECT(run, problem == NULL, "while a sandbox is held: %s", problem);
    state_drop(before);
}

static void threads_block_signals(struct run *run)
{
    char text[TEXT_SIZE];
    EXPECT(run, step_shell(run, run->h, "exit 0", NULL) == 0, "a command failed");
    const char *problem = state_open_threads(text);
    EXPECT(run, problem == NULL, "while a sandbox is held: %s", problem);
}

static void no_callback_afterwards(struct run *run)
{
    struct caught out;
    EXPECT(run, step_shell(run, run->h, "echo one; (sleep 0.3; echo two) &", &out) == 0, "a command failed");
    sleep_ms(500);
    unsigned pieces = out.pieces;
    step_drop(run, run->h);
    call_close(run, run->b);
    run->b = NULL;
    sleep_ms(200);
    EXPECT(run, pieces == out.pieces, "a callback came after its call had returned");
    buf_finish(&out.data);
}

/* Everything lent is unreadable when the call returns: each later use is a crash that the runner recognises. */
static void nothing_lent_is_kept(struct run *run)
{
    struct sbx_kv env = {"CONFORM", "kept"};
    struct sbx_create_args args = {.size = sizeof args, .envs = {&env, 1}, .client_token = run->token};
    struct call c = {.run = run, .deadline_ms = 60000};
    struct report info = {0};
    call_want(&c, call_create(&c, run->b, &args, &run->h), SBX_OK);
    step_says(run, run->h, "echo $CONFORM", "kept");
    step_write(run, "kept", "abc", 3);
    struct call ask = {.run = run, .deadline_ms = 20000};
    call_want(&ask, call_info(&ask, run->h, &info), SBX_OK);
    EXPECT(run, strcmp(info.id, run->handle_ops.id(run->h)) == 0, "info reports the id '%s' and id() says '%s'",
           info.id, run->handle_ops.id(run->h));
    step_content(run, "kept", "abc", 3);
    step_says(run, run->h, "echo $CONFORM", "kept");
}

static void errors_are_proper(struct run *run)
{
    struct sbx_handle *h = NULL;
    struct call c = {.run = run, .deadline_ms = 20000};
    call_want(&c, call_attach(&c, run->b, "no-such-sandbox", &h), SBX_E_NOT_FOUND);
    struct call blind = {.run = run, .deadline_ms = 20000, .no_error = 1};
    call_want(&blind, call_attach(&blind, run->b, "no-such-sandbox", &h), SBX_E_NOT_FOUND);
}

static const struct rule table[] = {
    {251, NEEDS_OBJECT, "P1 C15", "process_is_not_changed",
     "directory, umask, locale, environment, signals, limits and standard streams stay as they are", nothing_is_changed,
     NULL},
    {252, NEEDS_OBJECT, "P4 C15", "nothing_is_left_behind", "no descriptor, thread or child is left when close returns",
     nothing_is_left, NULL},
    {253, NEEDS_OBJECT, "P3", "descriptors_are_close_on_exec",
     "no descriptor of the plugin's would reach a child of the host's", descriptors_are_private, NULL},
    {254, NEEDS_BOX, "P4", "threads_block_signals", "the plugin's threads block all signals", threads_block_signals,
     NULL},
    {255, NEEDS_BOX, "P9", "no_callback_after_return",
     "callbacks come on the calling thread, one at a time, and never later", no_callback_afterwards, NULL},
    {256, NEEDS_BACKEND, "P8 C14", "nothing_lent_is_kept", "nothing that was lent for a call is used after it",
     nothing_lent_is_kept, NULL},
    {257, NEEDS_BACKEND, "P2", "errors_are_proper",
     "a failure fills the error with its code and one line; a host may give no place for it", errors_are_proper, NULL},
};
RULE_GROUP(rules_process, "process", table);
