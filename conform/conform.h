/* SPDX-License-Identifier: MIT
 *
 * conform.h - inside of sbx-conform: a rule is a function that uses the plugin through the host below, in a process of
 * its own. The first failure ends that process, so a rule reads from top to bottom.
 */
#ifndef SBX_CONFORM_H
#define SBX_CONFORM_H

#include "sbx_plugin.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { VERDICT_PASS, VERDICT_FAIL, VERDICT_SKIP };
enum { TEXT_SIZE = 1024, GRACE_MS = 1000, SLACK_MS = 1000 };
/* How far the runner goes before it calls the rule. */
enum { NEEDS_FILE, NEEDS_OBJECT, NEEDS_BACKEND, NEEDS_BOX };

/* What is tested, the same for every rule. */
struct subject {
    const char *path;
    const char *instance; /* of the INI section; "conform" without one */
    struct sbx_kvs config;
    int configured;   /* there is a section: a backend that does not open is a failure */
    unsigned limit_s; /* of one rule */
    char *arena;      /* where what is lent lives; reserved before any process is forked */
};
enum { CHUNK_SIZE = 256 * 1024, CHUNK_COUNT = 4096 }; /* the arena: one chunk for each call, used once */

struct run;
struct rule {
    uint32_t number;
    int needs;
    const char *cites; /* rules of docs/rules.md, or the part of the contract in sbx_plugin(3) */
    const char *name;
    const char *text;
    void (*test)(struct run *run);
    const char *extension; /* skipped unless the sandbox offers it; NULL: for everybody */
};
struct rule_group {
    const char *name;
    const struct rule *rules;
    size_t count;
};
extern const struct rule_group *const rule_groups[];
extern const size_t rule_group_count;
/* The tables of one file each. */
extern const struct rule_group rules_load, rules_open, rules_process, rules_life, rules_exec, rules_stop, rules_file,
    rules_write, rules_job, rules_fs, rules_session, rules_more;
#define RULE_GROUP(variable, name_, table)                                                                             \
    const struct rule_group variable = {.name = (name_), .rules = (table), .count = sizeof(table) / sizeof(table)[0]}

/* One test in its own process. */
struct run {
    const struct subject *subject;
    const struct rule *rule;
    uint64_t random;
    int result_fd;
    char token[40]; /* label of every sandbox that this process makes */
    void *object;
    struct sbx_plugin plugin; /* full-size copies */
    struct sbx_backend_ops backend_ops;
    struct sbx_handle_ops handle_ops;
    struct sbx_backend *b;
    struct sbx_handle *h;
    atomic_uint chunks;       /* of the arena, used up */
    atomic_int open;          /* backends: nothing may be logged while there is none */
    pthread_mutex_t log_lock; /* over the next */
    struct buf log;
    struct sbx_host host;
};

/* --- verdicts (runner.c) ------------------------------------------------------------------------------------------ */

/* End the process of the test. From any thread. */
void run_fail(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void run_skip(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
#define EXPECT(run, condition, ...)                                                                                    \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            run_fail(run, __VA_ARGS__);                                                                                \
    } while (0)
/* Keeps the runner informed of what it has to sweep up if this process dies. */
void run_made(const struct run *run, const char *id);
void run_removed(const struct run *run, const char *id);
/* The next number of the seed's row. */
uint64_t run_random(struct run *run);

struct outcome {
    const struct rule *rule;
    const char *group;
    int verdict;
    uint64_t seed;
    unsigned elapsed_ms;
    char text[TEXT_SIZE];
    int swept; /* sandboxes that the test left and that were removed afterwards */
};
/* Runs the rule in a process of its own. 0, or -1 when none could be started. */
int runner_run(const struct subject *subject, const struct rule *rule, uint64_t seed, struct outcome *out);
/* The capabilities that the plugin's backend offers, or the names of its secret keys, a line each; nothing when it does
 * not open, or load. */
int runner_offers(const struct subject *subject, struct buf *out);
int runner_secrets(const struct subject *subject, struct buf *out);

/* --- the object (object.c) ---------------------------------------------------------------------------------------- */

/* Opens the object and takes full-size copies of its tables; fails the test. */
void object_open(struct run *run);
/* The table of a required size; what is missing is named. NULL: fine. */
const char *object_table_problem(const void *table, const char *const *slots, size_t count);
/* The slots' names of both mandatory tables. */
extern const char *const object_backend_slots[6], *const object_handle_slots[8];
/* Known capabilities, with the number of slots behind each; NULL behind the last. */
struct capability {
    const char *id;
    size_t slots;
    int parallel;
};
extern const struct capability object_capabilities[];
/* Names that the object exports, and those that neither it nor its libraries define, a line each. 0 or -1. */
int object_symbols(const char *path, void *object, struct buf *exported, struct buf *undefined);

/* --- the host (host.c, call.c, lend.c) ---------------------------------------------------------------------------- */

/* One call of the plugin. What it is given is lent: scribbled over and taken away when it returns. */
struct call {
    struct run *run;
    int64_t deadline_ms;  /* from now; 0: none; negative: over already */
    int64_t cancel_ms;    /* from now; 0: never; negative: cancelled already */
    int cancel_by_asking; /* only `cancelled` tells, no descriptor */
    int no_error;         /* the host gives no place for errors */
    uint32_t extra;       /* bytes behind the arguments' struct */
    unsigned char fill;   /* what is in them */
    uint32_t cut;         /* bytes missing at the end of the arguments' struct */
    uint32_t cut_out;     /* and of the out struct */
    struct sbx_error error;
    int64_t elapsed_ms;
    /* inside */
    const char *what;
    char *chunk;
    size_t used;
    struct sbx_call *lent;
    struct sbx_error *lent_error;
    int64_t started_ms;
    int cancel_fd;
    int quiet_fd; /* never readable, unless a source that ends late is lent */
};
void call_begin(struct call *c, const char *what);
/* Checks error and status, then takes back what was lent. Returns status. */
sbx_status call_end(struct call *c, sbx_status status);
/* Fails the test unless status is what is wanted. */
void call_want(const struct call *c, sbx_status status, sbx_status wanted);
const char *status_name(sbx_status status);
int64_t clock_ms(void);

void *lend_space(struct call *c, size_t size);
void *lend_copy(struct call *c, const void *data, size_t size);
const char *lend_text(struct call *c, const char *text);
struct sbx_kvs lend_kvs(struct call *c, struct sbx_kvs kvs);
const char *const *lend_list(struct call *c, const char *const *list);
/* A copy of an arguments' struct with the call's extra bytes, or cut. */
void *lend_args(struct call *c, const void *args, uint32_t size);
/* An out struct with a canary behind it; lend_taken checks that and copies. */
void *lend_out(struct call *c, uint32_t size);
void lend_taken(struct call *c, void *out, const void *lent, uint32_t size);

/* What a sink caught. */
struct caught {
    struct buf data;
    uint64_t stop_at; /* bytes after which it asks to stop; 0: never */
    uint64_t bytes;
    int64_t first_ms; /* when the first came; 0: not yet */
    unsigned pieces;
    unsigned ends; /* pieces of no bytes */
};
/* What a source gives. */
struct feed {
    const char *data;
    size_t len;
    size_t at;
    size_t piece;    /* at most so many bytes at once; 0: any */
    int fails;       /* asks to stop at the end instead of ending */
    int never_ready; /* there is a descriptor, and it never becomes readable */
    int64_t late_ms; /* there is a descriptor, and the end comes so long after the call began; 0: none */
    int64_t due_ms;  /* inside: when that is */
    unsigned reads;
};
struct report { /* what came through a sink of reports */
    unsigned count;
    int32_t answer;
    int32_t state;
    char id[SBX_ID_SIZE];
    char text[SBX_ID_SIZE]; /* a further text: provider_state, url, name */
    char ids[4096];         /* all ids, each between blanks */
    struct sbx_kvs want;    /* labels that each must carry */
    int64_t expires_ms;
};
const struct sbx_sink *lend_sink(struct call *c, struct caught *into);
const struct sbx_source *lend_source(struct call *c, struct feed *from);
const struct sbx_info_sink *lend_info_sink(struct call *c, struct report *into);
/* In any callback: on the calling thread, one at a time. `user` is what was lent. Answers what it stands for. */
void *callback_enter(void *user);
void callback_leave(void *user);
void *lend_guard(struct call *c, void *target);
void caught_init(struct caught *into);

/* --- the slots, each with everything lent ------------------------------------------------------------------------- */

sbx_status call_open(struct call *c, const struct sbx_host *host, const struct sbx_open_args *args,
                     struct sbx_backend **out);
void call_close(struct run *run, struct sbx_backend *b);
sbx_status call_create(struct call *c, struct sbx_backend *b, const struct sbx_create_args *args,
                       struct sbx_handle **out);
sbx_status call_attach(struct call *c, struct sbx_backend *b, const char *id, struct sbx_handle **out);
sbx_status call_list(struct call *c, struct sbx_backend *b, const struct sbx_list_args *args, struct report *into);
sbx_status call_remove(struct call *c, struct sbx_handle *h);
sbx_status call_info(struct call *c, struct sbx_handle *h, struct report *into);
struct exec {                  /* a command and what came of it */
    struct sbx_exec_args args; /* streams are set from the next three */
    struct feed *in;
    struct caught *out;
    struct caught *err;
    struct sbx_exec_result result;
};
sbx_status call_exec(struct call *c, struct sbx_handle *h, struct exec *e);
struct sbx_exec_args *lend_exec(struct call *c, const struct exec *e);
sbx_status call_read(struct call *c, struct sbx_handle *h, const char *path, const struct sbx_read_args *args,
                     struct caught *into);
sbx_status call_write(struct call *c, struct sbx_handle *h, const char *path, const struct sbx_write_args *args,
                      struct feed *from);
/* The table of a capability, cut or filled to its full size; the test is skipped when it is not offered. */
void extension_take(struct run *run, const char *id, void *table, uint32_t size);
int extension_offered(struct run *run, const char *id);

/* --- what most rules do (steps.c) --------------------------------------------------------------------------------- */

/* The host that is lent to the backend: it logs, and offers no service. */
struct sbx_host *step_host(struct run *run);
/* Opens a backend by the subject's configuration; skips the test when that is not there. */
struct sbx_backend *step_open(struct run *run, const struct sbx_host *host);
/* Makes a sandbox; it is removed by step_drop, or by the runner. */
struct sbx_handle *step_create(struct run *run, struct sbx_backend *b);
void step_drop(struct run *run, struct sbx_handle *h);
/* Runs shell text; output is in *out (may be NULL). Answers the exit code; any failure fails the test. */
int step_shell(struct run *run, struct sbx_handle *h, const char *text, struct caught *out);
/* The text's output without its final newline must be `wanted`. */
void step_says(struct run *run, struct sbx_handle *h, const char *text, const char *wanted);
void step_write(struct run *run, const char *path, const void *data, size_t len);
void step_content(struct run *run, const char *path, const void *data, size_t len);
void fill_random(struct run *run, char *data, size_t len);
/* The call came back within GRACE_MS of `due_ms`. */
void step_in_time(const struct call *c, int64_t due_ms);
/* Skips when the status says that this is not offered; fails unless it is OK. */
void step_offered(const struct call *c, sbx_status status);
void sleep_ms(int64_t ms);

/* --- the process (state.c) ---------------------------------------------------------------------------------------- */

struct state;
struct state *state_take(struct run *run);
/* NULL, or what differs now; text is the place for it. Waits a moment for what is on its way out. */
const char *state_difference(struct run *run, const struct state *before, char text[TEXT_SIZE]);
void state_drop(struct state *state);
/* NULL, or the first descriptor above those of `before` that a child would inherit. */
const char *state_inherited(const struct state *before, char text[TEXT_SIZE]);
/* NULL, or a thread beside the calling one that does not block all signals. */
const char *state_open_threads(char text[TEXT_SIZE]);

/* --- configuration and output ------------------------------------------------------------------------------------- */

/* The section `provider NAME` of a file; the host's own keys are left out. Prints what is wrong and answers -1. */
struct config {
    struct sbx_kv *items;
    size_t count;
    char *plugin; /* value of `plugin`; NULL: none */
    int found;
    int no_memory;
    const char *wanted;
};
int config_read(const char *file, const char *section, struct config *out);
/* NAME_file and NAME_env become NAME; `secrets` has the NAMEs, a line each. Prints what is wrong and answers -1. */
int config_resolve(struct config *config, const char *secrets);
void config_finish(struct config *config);

enum { FORMAT_TEXT, FORMAT_TAP, FORMAT_JSON };
struct report_total {
    unsigned passed, failed, skipped;
};
void report_begin(int format, const struct subject *subject, size_t planned, uint64_t seed);
void report_one(int format, const struct outcome *outcome, size_t index);
void report_end(int format, const struct subject *subject, const struct outcome *all, size_t count, const char *offers);
void report_card(const struct subject *subject, const struct outcome *all, size_t count, const char *offers);
void report_list(void);

#endif /* SBX_CONFORM_H */
