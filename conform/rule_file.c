/* SPDX-License-Identifier: MIT
 *
 * rule_file.c - reading files, and what paths may be.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

enum { BIG = 5 << 20 };

static sbx_status read_path(struct run *run, struct call *c, const char *path)
{
    struct sbx_read_args args = {.size = sizeof args};
    struct caught got;
    caught_init(&got);
    *c = (struct call){.run = run, .deadline_ms = 20000};
    sbx_status status = call_read(c, run->h, path, &args, &got);
    buf_finish(&got.data);
    return status;
}

static void shell_ok(struct run *run, const char *text)
{
    int code = step_shell(run, run->h, text, NULL);
    EXPECT(run, code == 0, "`%.100s` ended with code %d", text, code);
}

static void both_ways(struct run *run)
{
    char data[70000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(unsigned char)(i & 0xff);
    step_write(run, "all", data, sizeof data);
    step_content(run, "all", data, sizeof data);
    step_write(run, "all", "short", 5);
    step_content(run, "all", "short", 5);
    step_write(run, "empty", "", 0);
    step_content(run, "empty", "", 0);
}

static void big(struct run *run)
{
    CLEANUP_FREE char *data = malloc(BIG);
    EXPECT(run, data != NULL, "the checker has no memory");
    fill_random(run, data, BIG);
    struct feed from = {.data = data, .len = BIG, .piece = 1 + run_random(run) % 100000};
    struct sbx_write_args args = {.size = sizeof args};
    struct call c = {.run = run, .deadline_ms = 20000};
    call_want(&c, call_write(&c, run->h, "big", &args, &from), SBX_OK);
    step_content(run, "big", data, BIG);
}

static void missing(struct run *run)
{
    struct call c;
    call_want(&c, read_path(run, &c, "no/such/file-xyzzy"), SBX_E_NOT_FOUND);
    EXPECT(run, strstr(c.error.message, "file-xyzzy") != NULL, "the message does not name the file: %.300s",
           c.error.message);
    step_write(run, "plain", "abc", 3);
    sbx_status status = read_path(run, &c, "plain/below");
    EXPECT(run, status == SBX_E_NOT_FOUND || status == SBX_E_NOT_DIR, "a path through a file answered %s",
           status_name(status));
    call_want(&c, read_path(run, &c, "https://example.org/%C3"), SBX_E_NOT_FOUND);
}

static void directories(struct run *run)
{
    struct call c;
    shell_ok(run, "mkdir -p dir/sub && ln -s dir link");
    static const char *const paths[] = {"dir", "dir/", ".", "dir/sub/..", "link", "/"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        call_want(&c, read_path(run, &c, paths[i]), SBX_E_IS_DIR);
}

static void special(struct run *run)
{
    struct call c;
    shell_ok(run, "mkfifo fifo");
    call_want(&c, read_path(run, &c, "fifo"), SBX_E_BAD_PATH);
    step_in_time(&c, 2000);
    if (step_shell(run, run->h, "test -c /dev/zero", NULL) == 0)
        call_want(&c, read_path(run, &c, "/dev/zero"), SBX_E_BAD_PATH);
}

static void unreadable(struct run *run)
{
    struct call c;
    shell_ok(run, "echo x > secret && chmod 000 secret");
    if (step_shell(run, run->h, "cat secret >/dev/null 2>&1", NULL) == 0)
        run_skip(run, "the sandbox's user may read everything");
    call_want(&c, read_path(run, &c, "secret"), SBX_E_PERMISSION);
}

static void ranges(struct run *run)
{
    static const struct {
        uint64_t offset, limit;
        const char *wanted;
    } rows[] = {{0, 3, "012"}, {3, 0, "3456789"}, {4, 2, "45"}, {9, 100, "9"}, {10, 0, ""}, {5000, 5, ""}};
    step_write(run, "range", "0123456789", 10);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sbx_read_args args = {.size = sizeof args, .offset = rows[i].offset, .limit = rows[i].limit};
        struct call c = {.run = run, .deadline_ms = 20000};
        struct caught got;
        caught_init(&got);
        call_want(&c, call_read(&c, run->h, "range", &args, &got), SBX_OK);
        EXPECT(run,
               got.data.len == strlen(rows[i].wanted) &&
                   memcmp(got.data.len > 0 ? got.data.data : "", rows[i].wanted, got.data.len) == 0,
               "from %llu, %llu bytes at most: '%.20s'", (unsigned long long)rows[i].offset,
               (unsigned long long)rows[i].limit, got.data.len > 0 ? got.data.data : "");
        buf_finish(&got.data);
    }
}

static void odd_names(struct run *run)
{
    static const char *const names[] = {"a b", "'q'",   "\"dq\"",   "new\nline",   "[x]*?",  "-dash",
                                        "a:b", "$HOME", "\xc3\xa9", "back\\slash", "~tilde", "%s%n"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        step_write(run, names[i], names[i], strlen(names[i]));
        step_content(run, names[i], names[i], strlen(names[i]));
    }
    step_says(run, run->h, "set -- *; echo $#", "12");
}

static void same_base(struct run *run)
{
    struct caught out;
    char path[1100];
    step_write(run, "base", "abc", 3);
    step_says(run, run->h, "cat base", "abc");
    EXPECT(run, step_shell(run, run->h, "pwd", &out) == 0 && out.data.len > 1 && out.data.len < 1024, "no pwd");
    (void)snprintf(path, sizeof path, "%.*s//./base", (int)out.data.len - 1, out.data.data);
    step_content(run, path, "abc", 3);
    buf_finish(&out.data);
}

static void symlinks(struct run *run)
{
    shell_ok(run, "echo -n target > t && ln -s t l && ln -s no-such dangling");
    struct call c;
    step_content(run, "l", "target", 6);
    call_want(&c, read_path(run, &c, "dangling"), SBX_E_NOT_FOUND);
    step_write(run, "l", "new", 3);
    step_says(run, run->h, "cat t; test -L l && echo '|still'", "new|still");
}

static void sink_stops(struct run *run)
{
    struct caught got;
    struct sbx_read_args args = {.size = sizeof args};
    struct call c = {.run = run, .deadline_ms = 20000};
    shell_ok(run, "head -c 3000000 /dev/zero > zeros");
    caught_init(&got);
    got.stop_at = 1;
    call_want(&c, call_read(&c, run->h, "zeros", &args, &got), SBX_E_STOPPED);
    EXPECT(run, got.pieces == 1, "the sink was called again after it had asked to stop");
    buf_finish(&got.data);
    EXPECT(run, step_shell(run, run->h, "exit 3", NULL) == 3, "the sandbox is not usable afterwards");
}

static void read_refuses(struct run *run)
{
    struct caught got;
    struct sbx_read_args args = {.size = sizeof args, .flags = 1u << 30};
    struct call c = {.run = run, .deadline_ms = 20000};
    step_write(run, "refuse", "abc", 3);
    caught_init(&got);
    call_want(&c, call_read(&c, run->h, "refuse", &args, &got), SBX_E_UNSUPPORTED);
    args.flags = 0;
    struct call set = {.run = run, .deadline_ms = 20000, .extra = 32, .fill = 1};
    call_want(&set, call_read(&set, run->h, "refuse", &args, &got), SBX_E_UNSUPPORTED);
    struct call zero = {.run = run, .deadline_ms = 20000, .extra = 32};
    call_want(&zero, call_read(&zero, run->h, "refuse", &args, &got), SBX_OK);
    EXPECT(run, got.bytes == 3, "of three bytes %llu came", (unsigned long long)got.bytes);
    buf_finish(&got.data);
}

static void read_gives_up(struct run *run)
{
    struct caught got;
    struct sbx_read_args args = {.size = sizeof args};
    step_write(run, "late", "abc", 3);
    caught_init(&got);
    struct call late = {.run = run, .deadline_ms = -1};
    call_want(&late, call_read(&late, run->h, "late", &args, &got), SBX_E_TIMEOUT);
    struct call cancelled = {.run = run, .cancel_ms = -1};
    call_want(&cancelled, call_read(&cancelled, run->h, "late", &args, &got), SBX_E_CANCELLED);
    buf_finish(&got.data);
}

static const struct rule table[] = {
    {501, NEEDS_BOX, "read_file write_file", "bytes_go_both_ways",
     "all byte values, a shorter content and no content at all go both ways", both_ways, NULL},
    {502, NEEDS_BOX, "read_file write_file", "five_mib_go_both_ways",
     "5 MiB go both ways, in whatever pieces they are given", big, NULL},
    {503, NEEDS_BOX, "read_file", "missing_file_is_not_found",
     "a missing file is SBX_E_NOT_FOUND and named; a path through a file too", missing, NULL},
    {504, NEEDS_BOX, "read_file", "directory_is_a_directory", "a directory is SBX_E_IS_DIR, however it is named",
     directories, NULL},
    {505, NEEDS_BOX, "read_file", "special_files_are_refused", "a fifo or a device is SBX_E_BAD_PATH at once", special,
     NULL},
    {506, NEEDS_BOX, "read_file", "unreadable_file_is_refused",
     "a file that the sandbox's user may not read is SBX_E_PERMISSION", unreadable, NULL},
    {507, NEEDS_BOX, "read_file", "ranges_are_exact", "offset and limit are exact, also at and behind the end", ranges,
     NULL},
    {508, NEEDS_BOX, "read_file write_file", "odd_names_work",
     "blanks, quotes, newlines, globs, dashes and UTF-8 in names work", odd_names, NULL},
    {509, NEEDS_BOX, "read_file write_file", "paths_have_the_base_of_commands",
     "relative paths begin where commands do; runs of slashes are tolerated", same_base, NULL},
    {510, NEEDS_BOX, "read_file write_file", "symlinks_are_followed_inside",
     "symlinks are followed inside the sandbox, and kept by a write", symlinks, NULL},
    {511, NEEDS_BOX, "read_file", "sink_stops_read", "a sink that asks to stop ends read_file with SBX_E_STOPPED",
     sink_stops, NULL},
    {512, NEEDS_BOX, "P10 C3", "read_refuses_what_is_unknown",
     "unknown flags and set unknown fields are SBX_E_UNSUPPORTED", read_refuses, NULL},
    {513, NEEDS_BOX, "C15", "read_that_is_over_gives_nothing", "a call whose deadline is past or token set answers so",
     read_gives_up, NULL},
};
RULE_GROUP(rules_file, "reading files", table);
