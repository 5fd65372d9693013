/* SPDX-License-Identifier: MIT
 *
 * rule_write.c - writing files: what is asked for, and that a failure leaves the old file.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

/* Writes `text`; `how` has everything but its size. */
static sbx_status write_with(struct run *run, struct call *c, const char *path, struct sbx_write_args how,
                             const char *text)
{
    struct feed from = {.data = text, .len = strlen(text)};
    how.size = sizeof how;
    c->run = run;
    c->deadline_ms = c->deadline_ms != 0 ? c->deadline_ms : 20000;
    return call_write(c, run->h, path, &how, &from);
}

static void parents(struct run *run)
{
    struct call c = {0};
    call_want(&c, write_with(run, &c, "no/parent/file", (struct sbx_write_args){0}, "x"), SBX_E_NOT_FOUND);
    call_want(&c, write_with(run, &c, "no/parent/file", (struct sbx_write_args){.flags = SBX_WRITE_PARENTS}, "x"),
              SBX_OK);
    step_content(run, "no/parent/file", "x", 1);
    call_want(&c, write_with(run, &c, "no/parent/file", (struct sbx_write_args){.flags = SBX_WRITE_PARENTS}, "yy"),
              SBX_OK);
    step_content(run, "no/parent/file", "yy", 2);
}

static void append(struct run *run)
{
    struct call c = {0};
    const struct sbx_write_args how = {.flags = SBX_WRITE_APPEND};
    sbx_status status = write_with(run, &c, "appended", how, "one");
    step_offered(&c, status);
    call_want(&c, write_with(run, &c, "appended", how, "two"), SBX_OK);
    step_content(run, "appended", "onetwo", 6);
}

static void exclusive(struct run *run)
{
    struct call c = {0};
    const struct sbx_write_args how = {.flags = SBX_WRITE_EXCL};
    sbx_status status = write_with(run, &c, "only", how, "one");
    step_offered(&c, status);
    call_want(&c, write_with(run, &c, "only", how, "two"), SBX_E_EXISTS);
    step_content(run, "only", "one", 3);
}

static void modes(struct run *run)
{
    struct call c = {0};
    sbx_status status =
        write_with(run, &c, "mode", (struct sbx_write_args){.flags = SBX_WRITE_HAS_MODE, .mode = 0750}, "x");
    step_offered(&c, status);
    step_says(run, run->h, "stat -c %a mode", "750");
    call_want(&c, write_with(run, &c, "mode", (struct sbx_write_args){0}, "y"), SBX_OK);
    step_says(run, run->h, "stat -c %a mode", "750");
    call_want(&c, write_with(run, &c, "new", (struct sbx_write_args){0}, "y"), SBX_OK);
    step_says(run, run->h, "stat -c %a new", "644");
}

static void lengths(struct run *run)
{
    struct call c = {0};
    step_write(run, "length", "old", 3);
    const struct sbx_write_args right = {.flags = SBX_WRITE_HAS_LENGTH, .length = 5};
    const struct sbx_write_args more = {.flags = SBX_WRITE_HAS_LENGTH, .length = 6};
    const struct sbx_write_args less = {.flags = SBX_WRITE_HAS_LENGTH, .length = 4};
    call_want(&c, write_with(run, &c, "length", more, "12345"), SBX_E_INVALID);
    step_content(run, "length", "old", 3);
    call_want(&c, write_with(run, &c, "length", less, "12345"), SBX_E_INVALID);
    step_content(run, "length", "old", 3);
    call_want(&c, write_with(run, &c, "length", right, "12345"), SBX_OK);
    step_content(run, "length", "12345", 5);
}

static void source_stops(struct run *run)
{
    struct feed from = {.data = "half of it", .len = 10, .fails = 1};
    struct sbx_write_args how = {.size = sizeof how};
    struct call c = {.run = run, .deadline_ms = 20000};
    step_write(run, "stopped", "old", 3);
    call_want(&c, call_write(&c, run->h, "stopped", &how, &from), SBX_E_STOPPED);
    step_content(run, "stopped", "old", 3);
    step_says(run, run->h, "ls -A | grep -v '^stopped$' | wc -l | tr -d ' '", "0");
}

static void given_up(struct run *run)
{
    struct feed from = {.data = "half", .len = 4, .never_ready = 1};
    struct sbx_write_args how = {.size = sizeof how};
    struct call c = {.run = run, .deadline_ms = 700};
    step_write(run, "late", "old", 3);
    call_want(&c, call_write(&c, run->h, "late", &how, &from), SBX_E_TIMEOUT);
    step_in_time(&c, 700);
    struct feed again = {.data = "half", .len = 4, .never_ready = 1};
    struct call cancelled = {.run = run, .cancel_ms = 700, .cancel_by_asking = 1};
    call_want(&cancelled, call_write(&cancelled, run->h, "late", &how, &again), SBX_E_CANCELLED);
    step_in_time(&cancelled, 700);
    step_content(run, "late", "old", 3);
}

static void onto_others(struct run *run)
{
    struct call c = {0};
    EXPECT(run, step_shell(run, run->h, "mkdir -p d && echo x > d/kept && mkfifo f", NULL) == 0, "a command failed");
    call_want(&c, write_with(run, &c, "d", (struct sbx_write_args){0}, "x"), SBX_E_IS_DIR);
    step_says(run, run->h, "cat d/kept", "x");
    call_want(&c, write_with(run, &c, "f", (struct sbx_write_args){0}, "x"), SBX_E_BAD_PATH);
}

static void forbidden(struct run *run)
{
    struct call c = {0};
    EXPECT(run, step_shell(run, run->h, "mkdir -p closed && chmod 555 closed", NULL) == 0, "a command failed");
    if (step_shell(run, run->h, "echo x > closed/new 2>/dev/null", NULL) == 0)
        run_skip(run, "the sandbox's user may write everywhere");
    call_want(&c, write_with(run, &c, "closed/file", (struct sbx_write_args){0}, "x"), SBX_E_PERMISSION);
    (void)step_shell(run, run->h, "chmod 755 closed", NULL);
}

static void owner(struct run *run)
{
    step_write(run, "mine", "abc", 3);
    step_says(run, run->h, "chmod 600 mine && echo more >> mine && mv mine moved && rm moved && echo done", "done");
}

static void refusals(struct run *run)
{
    struct call c = {0};
    call_want(&c, write_with(run, &c, "refused", (struct sbx_write_args){.flags = 1u << 30}, "x"), SBX_E_UNSUPPORTED);
    struct call set = {.extra = 32, .fill = 1};
    call_want(&set, write_with(run, &set, "refused", (struct sbx_write_args){0}, "x"), SBX_E_UNSUPPORTED);
    struct call zero = {.extra = 32};
    call_want(&zero, write_with(run, &zero, "taken", (struct sbx_write_args){0}, "x"), SBX_OK);
    step_says(run, run->h, "ls", "taken");
}

static const struct rule table[] = {
    {551, NEEDS_BOX, "write_file", "parents_are_made_when_asked",
     "a missing parent is SBX_E_NOT_FOUND, or made with SBX_WRITE_PARENTS", parents, NULL},
    {552, NEEDS_BOX, "write_file", "append_adds", "SBX_WRITE_APPEND adds at the end", append, NULL},
    {553, NEEDS_BOX, "write_file", "exclusive_write_replaces_nothing", "SBX_WRITE_EXCL onto something is SBX_E_EXISTS",
     exclusive, NULL},
    {554, NEEDS_BOX, "write_file", "modes_are_kept",
     "the mode asked for; 0644 for a new file, an old one keeps its own", modes, NULL},
    {555, NEEDS_BOX, "write_file", "promised_length_is_checked",
     "another length than promised is SBX_E_INVALID and leaves the old file", lengths, NULL},
    {556, NEEDS_BOX, "write_file", "source_that_stops_leaves_the_old_file",
     "SBX_E_STOPPED, the old content, and no other file", source_stops, NULL},
    {557, NEEDS_BOX, "C15", "write_gives_up_in_time",
     "deadline and cancel end a write that waits for its source; the old content stays", given_up, NULL},
    {558, NEEDS_BOX, "write_file", "write_onto_a_directory_is_refused",
     "a directory is SBX_E_IS_DIR and untouched, a fifo SBX_E_BAD_PATH", onto_others, NULL},
    {559, NEEDS_BOX, "write_file", "forbidden_place_is_refused",
     "where the sandbox's user may not write it is SBX_E_PERMISSION", forbidden, NULL},
    {560, NEEDS_BOX, "write_file", "file_belongs_to_the_user",
     "the sandbox's user may change and remove what was written", owner, NULL},
    {561, NEEDS_BOX, "P10 C3", "write_refuses_what_is_unknown",
     "unknown flags and set unknown fields are SBX_E_UNSUPPORTED and write nothing", refusals, NULL},
};
RULE_GROUP(rules_write, "writing files", table);
