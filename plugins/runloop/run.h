/* SPDX-License-Identifier: MIT
 *
 * run.h - commands in a devbox: started, followed to their end, killed.
 */
#ifndef SBX_RUNLOOP_RUN_H
#define SBX_RUNLOOP_RUN_H

#include "plugins/runloop/output.h"
#include "plugins/runloop/runloop.h"
#include "plugins/runloop/script.h"

/* What is kept of a view, bytes: it has the last line of each stream, of a length that the service does not tell, and a
 * byte may take six there. */
enum { VIEW_LIMIT = 64 << 20 };

/* How a run ended. */
struct ending {
    int is_completed; /* by the service's word */
    int has_mark;     /* by our own: then `word` is what it says */
    char word[MARK_WORD];
    int64_t exit_status; /* the service's; -1: it says nothing */
};

struct run {
    struct sbx_handle *h;
    struct sbx_call *call;
    const char *what;
    char name[MARK_NAME + 1];
    char id[ID_SIZE];
    int is_merged;
    int64_t limit_ns; /* when we end it ourselves, should its own limit not do so; 0: never */
    int was_long;     /* and that we did so */
};

/* A name for a run's mark and files. */
void run_name(char name[MARK_NAME + 1]);
/* Starts a text; run->id names it. SBX_E_UNKNOWN: it may run. */
sbx_status run_start(struct run *run, const char *text, const char *shell, int with_stdin);
/* Where a run's streams and other places are: "/v1/devboxes/ID/executions/ID/VERB". */
void run_path(const struct run *run, const char *verb, char *path, size_t size);

struct follow {
    struct run *run;
    struct output out[2];
    char paths[2][512];
    size_t count; /* of outputs: 2, or 1 */
    int is_brief; /* what may be a mark stays back: it is read again */
    int is_held;  /* the command ended, but something holds its output */
    struct ending ending;
};
/* `which`: 1 stdout, 2 stderr, 3 both. */
void follow_init(struct follow *f, struct run *run, int which, uint64_t from, const char *name,
                 int (*take[2])(void *user, const void *data, size_t len), void *const user[2]);
void follow_finish(struct follow *f);
/* Until the end of the run's outputs. until_ns: no longer than that, and then SBX_OK with nothing known of the end.
 * SBX_E_UNAVAILABLE and others: they could not be followed any more. */
sbx_status follow_run(struct follow *f, int64_t until_ns);

/* Ends a run with all that it started, within a second. 0: the service has taken that. */
int run_kill(const struct run *run, const struct sbx_call *call);
/* What the end means: flags and codes of *out, or an error. */
sbx_status run_verdict(const struct run *run, const struct ending *ending, const struct sbx_exec_args *args,
                       struct sbx_exec_result *out);

/* exec.c: the slot, and what runs scripts of ours: their output in *text, their exit code in *code. */
sbx_status run_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                    struct sbx_exec_result *out);
sbx_status run_script(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *const *argv,
                      struct buf *text, int *code);
/* Checks arguments, writes the script, brings over what it needs and starts it. */
sbx_status run_begin(struct run *run, const struct sbx_exec_args *args, uint32_t limit_ms, int input);

/* file.c: a file in the home directory, by its name there. */
sbx_status file_upload(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *name,
                       const char *data, size_t len);
sbx_status file_read(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_read_args *args,
                     const struct sbx_sink *out);
sbx_status file_write(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_write_args *args,
                      const struct sbx_source *in);
/* All of a source, at most `limit` bytes. */
sbx_status file_drain_source(struct sbx_call *call, const char *what, const struct sbx_source *in, struct buf *data);

#endif /* SBX_RUNLOOP_RUN_H */
