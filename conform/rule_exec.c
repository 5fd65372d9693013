/* SPDX-License-Identifier: MIT
 *
 * rule_exec.c - commands: arguments, streams, codes.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

enum { BIG = 500 * 1024, ARG_BYTES = 64 * 1024 };

/* Runs it and fails unless the call succeeded. */
static void exec_ok(struct run *run, struct exec *e)
{
    struct call c = {.run = run, .deadline_ms = 30000};
    if (e->out != NULL)
        caught_init(e->out);
    if (e->err != NULL)
        caught_init(e->err);
    e->args.size = sizeof e->args;
    call_want(&c, call_exec(&c, run->h, e), SBX_OK);
}

static void expect_bytes(struct run *run, const struct caught *got, const void *wanted, size_t len, const char *what)
{
    EXPECT(run, got->data.len == len && (len == 0 || memcmp(got->data.data, wanted, len) == 0),
           "%s: %zu bytes came where %zu were due, or others: '%.100s'", what, got->data.len, len,
           got->data.len > 0 ? got->data.data : "");
}

static void codes(struct run *run)
{
    const int fixed[] = {0, 1, 2, 77, 124, 125, 200, 255};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0] + 2; i++) {
        int code = i < sizeof fixed / sizeof fixed[0] ? fixed[i] : (int)(run_random(run) % 125);
        char text[32];
        (void)snprintf(text, sizeof text, "exit %d", code);
        struct exec e = {.args = {.command = text}};
        exec_ok(run, &e);
        EXPECT(run, e.result.exit_code == code && (e.result.flags & SBX_EXITED) != 0, "`%s` gave %d with flags 0x%x",
               text, e.result.exit_code, e.result.flags);
        EXPECT(run, (e.result.flags & SBX_TIMED_OUT) == 0, "`%s` is said to have timed out", text);
    }
}

static void argv_kept(struct run *run)
{
    static const char *const argv[] = {"printf", "[%s]", "a b", "", "$HOME", "'\"\\", "*", "\n", NULL};
    static const char wanted[] = "[a b][][$HOME]['\"\\][*][\n]";
    struct caught out;
    struct exec e = {.args = {.argv = argv}, .out = &out};
    exec_ok(run, &e);
    expect_bytes(run, &out, wanted, sizeof wanted - 1, "argv");
    buf_finish(&out.data);
}

static void shell_text(struct run *run)
{
    step_says(run, run->h, "x='a  b'; printf '%s|' \"$x\" $(echo c d) | cat; (exit 3); echo $?", "a  b|c|d|3");
    step_says(run, run->h, "cat <<'E'\n$x `y`\nE", "$x `y`");
    EXPECT(run, step_shell(run, run->h, "", NULL) == 0, "an empty text fails");
    EXPECT(run, step_shell(run, run->h, "# nothing", NULL) == 0, "a comment fails");
}

static void streams(struct run *run)
{
    struct caught out;
    struct caught err;
    struct exec e = {.args = {.command = "printf 'o\\n\\n'; printf ' e' >&2"}, .out = &out, .err = &err};
    exec_ok(run, &e);
    if ((e.result.flags & SBX_MERGED) != 0)
        run_skip(run, "the provider merges the streams");
    expect_bytes(run, &out, "o\n\n", 3, "stdout");
    expect_bytes(run, &err, " e", 2, "stderr");
    EXPECT(run, e.result.out_bytes == 3 && e.result.err_bytes == 2, "it counts %llu and %llu bytes",
           (unsigned long long)e.result.out_bytes, (unsigned long long)e.result.err_bytes);
    buf_finish(&out.data);
    buf_finish(&err.data);
}

static void bytes(struct run *run)
{
    static const char wanted[] = {0, '\xff', '\r', '\n', '\x80', 0, '\xc3', '\n'};
    struct caught out;
    struct exec e = {.args = {.command = "printf '\\000\\377\\r\\n\\200\\000\\303\\n'"}, .out = &out};
    exec_ok(run, &e);
    if ((e.result.flags & SBX_TEXT_ONLY) != 0)
        run_skip(run, "the provider carries text only");
    expect_bytes(run, &out, wanted, sizeof wanted, "stdout");
    buf_finish(&out.data);
}

static void missing_program(struct run *run)
{
    static const char *const argv[] = {"no-such-program-xyzzy", NULL};
    struct exec e = {.args = {.argv = argv}};
    exec_ok(run, &e);
    EXPECT(run, e.result.exit_code == 127, "a program that is not there gives %d", e.result.exit_code);
    static const char *const directory[] = {"/", NULL};
    e.args.argv = directory;
    exec_ok(run, &e);
    EXPECT(run, e.result.exit_code == 126, "a directory as the program gives %d", e.result.exit_code);
}

static void signals(struct run *run)
{
    static const int numbers[] = {15, 9, 6};
    for (size_t i = 0; i < 3; i++) {
        char text[48];
        (void)snprintf(text, sizeof text, "kill -%d $$; sleep 5", numbers[i]);
        const char *const argv[] = {"sh", "-c", text, NULL};
        struct exec e = {.args = {.argv = argv}};
        exec_ok(run, &e);
        EXPECT(run, e.result.exit_code == 128 + numbers[i], "death by signal %d gives %d", numbers[i],
               e.result.exit_code);
        EXPECT(run, (e.result.flags & SBX_SIGNALLED) == 0 || e.result.term_signal == numbers[i],
               "death by signal %d is told as signal %d", numbers[i], e.result.term_signal);
        EXPECT(run, (e.result.flags & SBX_TIMED_OUT) == 0, "death by a signal is told as a time-out");
    }
}

static void directories(struct run *run)
{
    struct caught out;
    EXPECT(run, step_shell(run, run->h, "mkdir -p sub && pwd > sub/here", NULL) == 0, "a command failed");
    struct exec e = {.args = {.command = "cat here", .cwd = "sub"}, .out = &out};
    exec_ok(run, &e);
    EXPECT(run, e.result.exit_code == 0 && out.bytes > 1, "a relative cwd is not below the working directory");
    buf_finish(&out.data);
    struct exec root = {.args = {.command = "pwd", .cwd = "/"}, .out = &out};
    exec_ok(run, &root);
    expect_bytes(run, &out, "/\n", 2, "pwd in /");
    buf_finish(&out.data);
    struct call c = {.run = run, .deadline_ms = 20000};
    struct exec none = {.args = {.size = sizeof none.args, .command = "true", .cwd = "/no/such/dir-xyzzy"}};
    call_want(&c, call_exec(&c, run->h, &none), SBX_E_NOT_FOUND);
    EXPECT(run, strstr(c.error.message, "dir-xyzzy") != NULL, "the message does not name the directory: %.300s",
           c.error.message);
}

static void environment(struct run *run)
{
    struct sbx_kv envs[] = {{"CONFORM_A", "1 2"}, {"CONFORM_B", "'\"\n=$x"}, {"CONFORM_C", ""}};
    static const char wanted[] = "1 2|'\"\n=$x||set";
    struct caught out;
    struct exec e = {.args = {.command = "printf '%s|%s|%s|%s' \"$CONFORM_A\" \"$CONFORM_B\" \"$CONFORM_C\" "
                                         "\"${CONFORM_C+set}\"",
                              .envs = {envs, 3}},
                     .out = &out};
    exec_ok(run, &e);
    expect_bytes(run, &out, wanted, sizeof wanted - 1, "the environment");
    buf_finish(&out.data);
    step_says(run, run->h, "echo ${CONFORM_A-none}", "none");
    step_says(run, run->h, "test -n \"$HOME\" && test -n \"$PATH\" && echo both", "both");
}

static void no_leak(struct run *run)
{
    (void)setenv("CONFORM_HOST_SECRET", "xyzzy", 1);
    run->b = step_open(run, step_host(run));
    run->h = step_create(run, run->b);
    step_says(run, run->h, "echo ${CONFORM_HOST_SECRET-none}", "none");
}

static void input(struct run *run)
{
    char data[20000];
    struct caught out;
    fill_random(run, data, sizeof data);
    struct feed from = {.data = data, .len = sizeof data, .piece = 1 + run_random(run) % 5000};
    struct exec e = {.args = {.command = "od -An -v -tx1 | tr -d ' \\n' | wc -c"}, .in = &from, .out = &out};
    exec_ok(run, &e);
    EXPECT(run, out.data.len > 0 && strtoull(out.data.data, NULL, 10) == 2 * sizeof data,
           "of 20000 bytes of input half of %.20s arrived", out.data.len > 0 ? out.data.data : "0");
    buf_finish(&out.data);
    struct feed again = {.data = data, .len = sizeof data};
    struct exec cat = {.args = {.command = "cat"}, .in = &again, .out = &out};
    exec_ok(run, &cat);
    if ((cat.result.flags & SBX_TEXT_ONLY) == 0)
        expect_bytes(run, &out, data, sizeof data, "input through cat");
    buf_finish(&out.data);
}

static void no_input(struct run *run)
{
    struct feed empty = {0};
    struct exec none = {.args = {.command = "wc -c | tr -d ' '"}};
    struct caught out;
    step_says(run, run->h, "wc -c | tr -d ' '", "0");
    none.in = &empty;
    none.out = &out;
    exec_ok(run, &none);
    expect_bytes(run, &out, "0\n", 2, "empty input");
    buf_finish(&out.data);
    /* More than a pipe holds, and nobody reads it. */
    CLEANUP_FREE char *much = calloc(1, BIG);
    struct feed unread = {.data = much, .len = BIG};
    struct exec deaf = {.args = {.command = "exit 9"}, .in = &unread};
    EXPECT(run, much != NULL, "the checker has no memory");
    exec_ok(run, &deaf);
    EXPECT(run, deaf.result.exit_code == 9, "a command that does not read its input gives %d", deaf.result.exit_code);
}

static void big_output(struct run *run)
{
    struct caught out;
    struct exec e = {.args = {.command = "head -c 512000 /dev/zero | tr '\\000' x"}, .out = &out};
    exec_ok(run, &e);
    EXPECT(run, out.bytes == BIG && e.result.out_bytes == BIG, "of %d bytes %llu came and %llu were counted", BIG,
           (unsigned long long)out.bytes, (unsigned long long)e.result.out_bytes);
    EXPECT(run, (e.result.flags & SBX_STDOUT_TRUNCATED) == 0, "whole output is said to be truncated");
    buf_finish(&out.data);
    struct exec unheard = {.args = {.command = "head -c 512000 /dev/zero | tr '\\000' x; echo y >&2; exit 5"}};
    exec_ok(run, &unheard);
    EXPECT(run, unheard.result.exit_code == 5 && unheard.result.out_bytes == BIG,
           "without sinks: code %d, %llu bytes counted", unheard.result.exit_code,
           (unsigned long long)unheard.result.out_bytes);
}

static void output_limit(struct run *run)
{
    struct caught out;
    struct exec e = {.args = {.command = "head -c 512000 /dev/zero | tr '\\000' x; exit 6", .max_output = 1000},
                     .out = &out};
    exec_ok(run, &e);
    EXPECT(run, out.bytes <= 1000, "over a limit of 1000 bytes %llu were delivered", (unsigned long long)out.bytes);
    EXPECT(run, (e.result.flags & SBX_STDOUT_TRUNCATED) != 0, "truncated output is not said to be");
    EXPECT(run, e.result.exit_code == 6, "the command was ended by the limit of its output: code %d",
           e.result.exit_code);
    EXPECT(run, e.result.out_bytes == BIG, "of %d bytes %llu were counted", BIG,
           (unsigned long long)e.result.out_bytes);
    buf_finish(&out.data);
}

static void merged(struct run *run)
{
    struct caught out;
    struct caught err;
    struct call c = {.run = run, .deadline_ms = 20000};
    struct exec e = {.args = {.size = sizeof e.args,
                              .flags = SBX_EXEC_MERGE_STDERR,
                              .command = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"},
                     .out = &out,
                     .err = &err};
    caught_init(&out);
    caught_init(&err);
    step_offered(&c, call_exec(&c, run->h, &e));
    expect_bytes(run, &out, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n", 30, "merged output");
    EXPECT(run, err.bytes == 0 && (e.result.flags & SBX_MERGED) != 0, "merged output is not said to be");
    buf_finish(&out.data);
    buf_finish(&err.data);
}

/* exec must refuse it with one of the two. */
static void refuse(struct run *run, struct call *c, struct exec *e, sbx_status wanted, const char *what)
{
    e->args.size = sizeof e->args;
    sbx_status status = call_exec(c, run->h, e);
    EXPECT(run, status == wanted || status == SBX_E_UNSUPPORTED, "exec with %s answered %s", what, status_name(status));
}

static void refusals(struct run *run)
{
    static const char *const argv[] = {"true", NULL};
    struct call c = {.run = run, .deadline_ms = 20000};
    struct exec unknown = {.args = {.command = "true", .flags = 1u << 30}};
    refuse(run, &c, &unknown, SBX_E_UNSUPPORTED, "an unknown flag");
    struct exec both = {.args = {.command = "true", .argv = argv}};
    refuse(run, &c, &both, SBX_E_INVALID, "both command and argv");
    struct exec neither = {.args = {.flags = 0}};
    refuse(run, &c, &neither, SBX_E_INVALID, "neither command nor argv");
    struct exec later = {.args = {.command = "true"}};
    struct call set = {.run = run, .deadline_ms = 20000, .extra = 64, .fill = 7};
    refuse(run, &set, &later, SBX_E_UNSUPPORTED, "a field of a later version");
    struct exec shell = {.args = {.command = "true", .shell = "one"}};
    if (!extension_offered(run, SBX_EXT_SHELL))
        refuse(run, &c, &shell, SBX_E_UNSUPPORTED, "a named shell, which it does not offer");
}

static void sizes(struct run *run)
{
    struct call zero = {.run = run, .deadline_ms = 20000, .extra = 64};
    struct exec e = {.args = {.size = sizeof e.args, .command = "exit 3"}};
    call_want(&zero, call_exec(&zero, run->h, &e), SBX_OK);
    EXPECT(run, e.result.exit_code == 3, "with a longer struct the code is %d", e.result.exit_code);
    struct call small = {
        .run = run, .deadline_ms = 20000, .cut = sizeof e.args - offsetof(struct sbx_exec_args, cwd), .cut_out = 16};
    call_want(&small, call_exec(&small, run->h, &e), SBX_OK);
}

static void unknown_user(struct run *run)
{
    struct call c = {.run = run, .deadline_ms = 20000};
    struct exec e = {.args = {.size = sizeof e.args, .command = "true", .user = "nosuchuser-xyzzy"}};
    sbx_status status = call_exec(&c, run->h, &e);
    if (status == SBX_E_UNSUPPORTED)
        return;
    call_want(&c, status, SBX_E_INVALID);
    EXPECT(run, strstr(c.error.message, "nosuchuser-xyzzy") != NULL, "the message does not name the user: %.300s",
           c.error.message);
}

static void long_argument(struct run *run)
{
    CLEANUP_FREE char *text = malloc(ARG_BYTES + 16);
    EXPECT(run, text != NULL, "the checker has no memory");
    memset(text, 'x', ARG_BYTES);
    text[ARG_BYTES] = '\0';
    const char *const argv[] = {"sh", "-c", "echo ${#1}", "sh", text, NULL};
    struct caught out;
    struct exec e = {.args = {.argv = argv}, .out = &out};
    exec_ok(run, &e);
    expect_bytes(run, &out, "65536\n", 6, "the length of an argument of 64 KiB");
    buf_finish(&out.data);
}

static void background(struct run *run)
{
    int64_t started = clock_ms();
    EXPECT(run, step_shell(run, run->h, "sleep 15 >/dev/null 2>&1 </dev/null & exit 4", NULL) == 4, "wrong exit code");
    EXPECT(run, clock_ms() - started < 10000, "exec waited for a background child with redirected output");
}

static const struct rule table[] = {
    {401, NEEDS_BOX, "exec", "exit_codes_pass_through", "exit codes 0 to 255 pass through with SBX_EXITED", codes,
     NULL},
    {402, NEEDS_BOX, "exec", "argv_is_passed_as_it_is", "no shell, no splitting, empty arguments kept", argv_kept,
     NULL},
    {403, NEEDS_BOX, "exec", "shell_text_is_one_argument", "quotes, pipes, here-documents and empty text work",
     shell_text, NULL},
    {404, NEEDS_BOX, "exec", "streams_are_apart", "stdout and stderr are apart, exact and counted", streams, NULL},
    {405, NEEDS_BOX, "exec", "output_is_bytes", "NUL, high bytes and carriage returns survive", bytes, NULL},
    {406, NEEDS_BOX, "exec", "missing_program_is_127",
     "a program that is not there is 127, one that cannot be executed 126", missing_program, NULL},
    {407, NEEDS_BOX, "exec", "death_by_signal_is_128_plus_n", "death by signal N is 128 + N", signals, NULL},
    {408, NEEDS_BOX, "exec", "directories_work",
     "cwd may be relative or absolute; a missing one is SBX_E_NOT_FOUND and named", directories, NULL},
    {409, NEEDS_BOX, "exec", "environment_is_exact",
     "environment values are exact and for that command only; HOME and PATH are set", environment, NULL},
    {410, NEEDS_OBJECT, "exec", "environment_of_the_host_stays_there", "nothing of the host's environment is seen",
     no_leak, NULL},
    {411, NEEDS_BOX, "exec", "input_arrives_verbatim", "input arrives verbatim, in whatever pieces it is given", input,
     NULL},
    {412, NEEDS_BOX, "exec", "input_may_be_absent_or_unread", "no input is an end of file; unread input is no failure",
     no_input, NULL},
    {413, NEEDS_BOX, "exec", "output_arrives_whole", "500 KiB arrive whole, or are drained and counted without a sink",
     big_output, NULL},
    {414, NEEDS_BOX, "exec", "output_limit_is_kept", "max_output ends delivery, not the command; the rest is counted",
     output_limit, NULL},
    {415, NEEDS_BOX, "exec", "merged_output_keeps_its_order",
     "with SBX_EXEC_MERGE_STDERR everything comes through out in order", merged, NULL},
    {416, NEEDS_BOX, "P10 C3", "exec_refuses_what_is_unknown",
     "unknown flags, contradictions, unknown set fields and absent capabilities are refused", refusals, NULL},
    {417, NEEDS_BOX, "C3 C4", "exec_takes_other_sizes",
     "longer and shorter structs work, and nothing is written behind a shorter result", sizes, NULL},
    {418, NEEDS_BOX, "exec", "unknown_user_is_named", "an unknown user is SBX_E_INVALID and named", unknown_user, NULL},
    {419, NEEDS_BOX, "exec", "long_argument_works", "an argument of 64 KiB works", long_argument, NULL},
    {420, NEEDS_BOX, "exec", "background_child_does_not_hold_exec",
     "exec returns while a redirected background child lives", background, NULL},
};
RULE_GROUP(rules_exec, "commands", table);
