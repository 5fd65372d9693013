/* SPDX-License-Identifier: MIT
 *
 * cmd.h - what the commands of sbxctl share. sbxctl is the first foreign program: it sees sbx.h and nothing else of
 * libsbx. A command lives in cmd_NAME.c and answers the exit code of the process.
 */
#ifndef SBX_HOST_CMD_H
#define SBX_HOST_CMD_H

#include "sbx.h"

#include <signal.h>
#include <stdio.h>

/* sbxctl's own exit codes; what a command in a sandbox answers is passed through unchanged. */
enum {
    EXIT_FINE = 0,
    EXIT_TIMED_OUT = 124,
    EXIT_FAILED = 125, /* sandbox, provider, configuration, usage */
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL = 128, /* plus the number of the signal */
};

enum cmd_id {
    OPT_NONE,
    OPT_HELP,
    OPT_VERSION,
    OPT_JSON,
    OPT_QUIET,
    OPT_VERBOSE,
    OPT_NO_INPUT,
    OPT_CONFIG,
    OPT_DEADLINE,
    OPT_PROVIDER,
    OPT_IMAGE,
    OPT_BLUEPRINT,
    OPT_SNAPSHOT,
    OPT_NAME,
    OPT_LABEL,
    OPT_LIFETIME,
    OPT_IDLE_TIMEOUT,
    OPT_MEMORY,
    OPT_CPUS,
    OPT_DISK,
    OPT_NETWORK,
    OPT_NETWORK_ALLOW,
    OPT_OPTION,
    OPT_REQUIRE,
    OPT_ENV,
    OPT_ENV_FILE,
    OPT_CWD,
    OPT_USER,
    OPT_TIMEOUT,
    OPT_INTERACTIVE,
    OPT_TTY,
    OPT_MAX_OUTPUT,
    OPT_RECURSIVE,
    OPT_FORCE,
    OPT_STATE,
    OPT_FOLLOW,
    OPT_FROM,
    OPT_STREAM,
    OPT_KEEP,
    OPT_KEEP_STDIN,
    OPT_EOF,
    OPT_CLOSE,
    OPT_FOR,
    OPT_ALL,
    OPT_DRY_RUN,
    OPT_OFFSET,
    OPT_LIMIT,
    OPT_OLD,
    OPT_OLD_FILE,
    OPT_NEW,
    OPT_NEW_FILE,
    OPT_EVERY,
    OPT_INCLUDE,
    OPT_MAX_COUNT,
    OPT_COMMENT,
    OPT_KEY,
    OPT_PUBLIC,
    OPT_COUNT
};

/* Which commands take an option: those that share one of its groups. */
enum {
    GROUP_GLOBAL = 1u << 0,
    GROUP_CALL = 1u << 1,    /* talks to a provider */
    GROUP_CREATE = 1u << 2,  /* makes a sandbox */
    GROUP_PROCESS = 1u << 3, /* says where, as whom and with which environment commands run */
    GROUP_EXEC = 1u << 4,    /* runs one command */
    GROUP_COPY = 1u << 5,
    GROUP_LIST = 1u << 6,
    GROUP_REMOVE = 1u << 7,
    GROUP_PICK = 1u << 8, /* takes one instance */
    GROUP_JOB = 1u << 9,
    GROUP_LOGS = 1u << 10, /* reads the output of a job */
    GROUP_WAIT = 1u << 11,
    GROUP_SHELL = 1u << 12,
    GROUP_KEEP = 1u << 13,
    GROUP_SWEEP = 1u << 14,
    GROUP_SNAPSHOT = 1u << 15,
    GROUP_FILES = 1u << 16,
    GROUP_SSH = 1u << 17,
    GROUP_TUNNEL = 1u << 18
};

struct cmd_option {
    const char *name;     /* without the dashes */
    const char *argument; /* its name in the help; NULL: a switch */
    const char *help;
    uint32_t id;
    uint32_t groups;
    char letter; /* 0: none */
    char repeat; /* may be given many times, each counts */
    char reserved[6];
};

struct cmd;
struct cmd_command {
    const char *name;
    const char *arguments; /* for the help */
    const char *summary;
    const char *details; /* more lines of help, or NULL */
    const char *actions; /* what its first argument may be, with blanks between, or NULL */
    uint32_t groups;
    uint32_t least; /* arguments */
    uint32_t most;
    uint32_t verbatim;           /* from this argument on every word is an argument; NO_VERBATIM: never */
    const char *verbatim_action; /* that only when this is the first argument; NULL: always */
    int (*run)(struct cmd *c);
};
#define NO_VERBATIM UINT32_MAX
#define MANY_WORDS  UINT32_MAX

struct cmd_word {
    uint32_t id;
    uint32_t reserved0;
    const char *value;
};

/* One invocation. */
struct cmd {
    const struct cmd_command *command; /* NULL until it is known */
    const char *value[OPT_COUNT];      /* the last value, "" for a switch, NULL when not given */
    struct cmd_word *repeated;         /* of the options that may be repeated, in order */
    size_t repeated_count;
    const char **args; /* NULL-terminated */
    size_t arg_count;
    struct sbx_call_options call; /* deadline and, after signals_open, the cancel descriptor */
    int signal_fd;                /* -1: signals end the process as usual */
    int signalled;                /* the signal that cancelled us; 0 */
};

/* --- tables and help (cmd_table.c, cmd_help.c) --- */
const struct cmd_command *cmd_find(const char *name);
/* The i-th command or option; NULL behind the last. */
const struct cmd_command *cmd_command_at(size_t i);
const struct cmd_option *cmd_option_at(size_t i);
/* The known name nearest to what was typed, or NULL. `command` NULL: a command is looked for, else one of its options.
 */
const char *cmd_nearest(const struct cmd_command *command, const char *typed);

/* --- parsing (cmd_parse.c) --- */
/* Fills *c; 0, or an exit code with the reason told. */
int cmd_parse(struct cmd *c, int argc, char **argv);
void cmd_finish(struct cmd *c);
static inline int cmd_has(const struct cmd *c, enum cmd_id id)
{
    return c->value[id] != NULL;
}

/* --- values (cmd_value.c) --- */
/* 0, or an exit code with the reason told; the result is left alone when the option is not there. */
int value_duration(struct cmd *c, enum cmd_id id, int64_t *ms);
int value_size(struct cmd *c, enum cmd_id id, uint64_t *bytes);
int value_cpus(struct cmd *c, enum cmd_id id, uint32_t *out);
/* A plain number; `what` says of which things. */
int value_number(struct cmd *c, enum cmd_id id, const char *what, uint64_t *out);
/* Plain forms: 0 or -1. Fractions are rounded up, so that more than nothing never becomes nothing. */
int parse_duration(const char *text, int64_t *ms);
int parse_size(const char *text, uint64_t *bytes);

struct kv_list {
    struct sbx_kv *items;
    size_t count;
};
void kv_finish(struct kv_list *list);
struct sbx_kvs kv_view(const struct kv_list *list);
/* --env-file then --env, later ones win. */
int value_envs(struct cmd *c, struct kv_list *out);
/* TERM, as it is here or xterm; before value_envs, which may say otherwise. */
int value_term(struct cmd *c, struct kv_list *out);
/* --label or --option. K alone is K= where `bare` is not 0, else it is refused. */
int value_pairs(struct cmd *c, enum cmd_id id, int bare, struct kv_list *out);

/* --- telling (cmd_report.c) --- */
/* A mistake in how sbxctl was called. Answers EXIT_FAILED. */
int cmd_usage(struct cmd *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A failure of our own, such as a local file: `code` is its machine-readable word. Answers EXIT_FAILED. */
int cmd_own(struct cmd *c, const char *subject, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A verdict of libsbx. `subject` is an id, ID:PATH or NULL. Answers the exit code that belongs to it. */
int cmd_fail(struct cmd *c, const char *subject, const struct sbx_error *error);
/* As cmd_fail beside an answer that is there: with --json the failure is added to it, and it is printed and freed. */
struct json;
int cmd_fail_beside(struct cmd *c, const char *subject, const struct sbx_error *error, struct json *answer);
/* As cmd_fail without a fixed word: SBX_E_STATE of something inside a sandbox is not that of the sandbox. */
int cmd_fail_plainly(struct cmd *c, const char *subject, const struct sbx_error *error);
/* As cmd_fail where SBX_E_NOT_FOUND means that the sandbox is not there. */
int cmd_fail_sandbox(struct cmd *c, const char *subject, const struct sbx_error *error);
/* One more line on stderr, without a verdict; not with -q. */
void cmd_note(const struct cmd *c, const char *subject, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As cmd_note, with -q as well: what failed beside the verdict. */
void cmd_note_failure(const struct cmd *c, const char *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Of several failures the first is the verdict, the others are told. `code` is the answer so far; the new one. */
int cmd_fail_one(struct cmd *c, const char *subject, const struct sbx_error *error, int code);
/* The text with every byte that could steer a terminal replaced. */
void print_safe(FILE *out, const char *text);
/* Out of memory: answers EXIT_FAILED. */
int cmd_no_memory(struct cmd *c);
/* What stands in the buffers goes out; EXIT_FAILED when it could not, else `code`. */
int cmd_close_output(struct cmd *c, int code);
const char *state_name(int32_t state);
int state_number(const char *name); /* -1: none */
/* "2026-01-31T12:00:00Z"; empty for 0. */
void time_text(int64_t ms, char *out, size_t size);

/* --- the library, opened by what the command line says (cmd_open.c) --- */
int cmd_open_options(struct cmd *c, struct sbx_open_options *out);
int cmd_open(struct cmd *c, sbx_context **out);
/* The handle of an id, or an exit code with the reason told. */
int cmd_attach(struct cmd *c, sbx_context *ctx, const char *id, sbx_sandbox **out);
/* Both, with signals as what cancels their calls. */
int cmd_open_box(struct cmd *c, const char *id, sbx_context **ctx, sbx_sandbox **box);
void cleanup_context(sbx_context **ctx);
void cleanup_sandbox(sbx_sandbox **box);
#define CLEANUP_CONTEXT __attribute__((cleanup(cleanup_context)))
#define CLEANUP_SANDBOX __attribute__((cleanup(cleanup_sandbox)))
#define CLEANUP_KV      __attribute__((cleanup(kv_finish)))

/* --- long transfers (cmd_progress.c) --- */
struct progress {
    struct cmd *c;
    uint64_t total; /* bytes; 0: not known */
    int64_t begun_ms;
    int64_t shown_ms; /* 0: nothing was shown yet */
};
/* From now on the calls of `c` show on stderr how far they are, when that takes long: not with -q or --json, and only
 * on a terminal. Storage you have; it stays until progress_end. */
void progress_begin(struct progress *p, struct cmd *c, uint64_t total);
/* Clears the line. */
void progress_end(struct progress *p);

/* --- signals (cmd_signal.c) --- */
/* From now on INT, TERM, HUP and QUIT cancel calls instead of ending the process. 0, or an exit code. */
int signals_open(struct cmd *c);
/* After a cancelled call: takes the signals that came, so that what has to be cleaned up is not cancelled too. */
void signals_take(struct cmd *c);
void signals_close(struct cmd *c);
/* The mask that a program of this machine is to begin with. */
void signals_before(const struct cmd *c, sigset_t *out);
const char *signal_text(int signo);

/* --- commands with actions (cmd_action.c) --- */
#define OPTION_BIT(id) (UINT64_C(1) << (id))
struct cmd_action {
    const char *name;
    const char *arguments; /* for messages */
    size_t least;          /* arguments, the action's own name included */
    size_t most;
    uint64_t options;            /* what it takes of those that not every action takes */
    int (*check)(struct cmd *c); /* before anything is done; NULL: nothing more to check */
    int (*run)(struct cmd *c, sbx_sandbox *box);
};
/* The action that the first argument names, its words and options checked; `groups` are those of the options that not
 * every action takes. 0, or an exit code with the reason told. */
int action_take(struct cmd *c, const struct cmd_action *actions, size_t count, uint32_t groups,
                const struct cmd_action **out);
/* Runs it for the sandbox that the second argument names. */
int action_run(struct cmd *c, const struct cmd_action *actions, size_t count, uint32_t groups);

/* --- making sandboxes and running commands (cmd_make.c, cmd_process.c) --- */
struct make {
    struct kv_list envs, labels, options;
    const char **network_allow;
    const char **require;
    struct sbx_create_options create;
};
#define CLEANUP_MAKE __attribute__((cleanup(make_finish)))
/* Options of a create from the command line. */
int make_init(struct cmd *c, struct make *m);
void make_finish(struct make *m);
/* Creates it, with a word on a terminal when that takes long. */
int make_sandbox(struct cmd *c, sbx_context *ctx, const struct sbx_create_options *create, sbx_sandbox **out);

/* What a command needs, checked before anything is made. */
struct process {
    struct kv_list envs;
    struct sbx_exec_options exec;
    struct json *answer; /* where the answer of --json goes, once there is one; NULL: it is printed */
};
#define CLEANUP_PROCESS __attribute__((cleanup(process_finish)))
int process_init(struct cmd *c, const char *const *argv, struct process *p);
void process_finish(struct process *p);
/* What the exit code alone does not say: one line, and the code. `program` may be NULL. */
int process_conclude(struct cmd *c, const char *id, const char *program, const struct sbx_exec_result *r);
/* "exited", "signalled", ... */
const char *process_cause(uint32_t flags, int32_t exit_code);
/* Runs it to its end; the exit code of the command or of our failure. With --json it prints the one object. */
int process_run(struct cmd *c, sbx_sandbox *box, struct process *p);

/* --- jobs (cmd_job.c, cmd_logs.c) --- */
/* A verdict of libsbx about something in a sandbox: that it is in the wrong state does not mean that the sandbox is. */
int cmd_fail_inside(struct cmd *c, sbx_sandbox *box, const struct sbx_error *error);
/* The output of a job, as the options say. */
int job_logs(struct cmd *c, sbx_sandbox *box, const char *job);
/* The options of it, checked before anything is done: 0, or an exit code. */
int job_logs_check(struct cmd *c);
/* To its end; its exit code. */
int job_wait(struct cmd *c, sbx_sandbox *box, const char *job);

/* --- the caller's terminal (cmd_tty.c) --- */
struct tty; /* opaque */
/* Raw mode where stdin is a terminal that the command is to read, and window sizes from whatever is one. NULL: no
 * memory. */
struct tty *tty_open(int raw);
/* Puts the terminal back as it was. */
void tty_close(struct tty *t);
const struct sbx_terminal *tty_terminal(const struct tty *t);

/* --- commands --- */
int cmd_run(struct cmd *c);
int cmd_create(struct cmd *c);
int cmd_exec(struct cmd *c);
int cmd_cp(struct cmd *c);
int cmd_ls(struct cmd *c);
int cmd_inspect(struct cmd *c);
int cmd_rm(struct cmd *c);
int cmd_job(struct cmd *c);
int cmd_logs(struct cmd *c);
int cmd_wait(struct cmd *c);
int cmd_shell(struct cmd *c);
int cmd_snapshot(struct cmd *c);
int cmd_suspend(struct cmd *c);
int cmd_resume(struct cmd *c);
int cmd_keep_alive(struct cmd *c);
int cmd_tunnel(struct cmd *c);
int cmd_ssh(struct cmd *c);
int cmd_gc(struct cmd *c);
int cmd_files(struct cmd *c);
int cmd_providers(struct cmd *c);
int cmd_config(struct cmd *c);
int cmd_doctor(struct cmd *c);
int cmd_version(struct cmd *c);
int cmd_completion(struct cmd *c);
int cmd_help(struct cmd *c);

#endif /* SBX_HOST_CMD_H */
