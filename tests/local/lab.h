/* SPDX-License-Identifier: MIT
 *
 * lab.h - the local plugin as a host sees it, for tests: loaded, opened on folders of its own, with calls that collect
 * what comes back.
 */
#ifndef SBX_TESTS_LOCAL_LAB_H
#define SBX_TESTS_LOCAL_LAB_H

#include "base/buf.h"
#include "sbx_plugin.h"

struct lab {
    const struct sbx_plugin *plugin;
    struct sbx_backend *backend;
    struct sbx_error error;
    struct sbx_call call; /* 60 s from lab_call on */
    char dir[64];         /* removed by lab_close if this lab made it */
    char runtime[96];
    char state[96];
    int own_dir;
};

struct lab_result {
    struct sbx_exec_result result;
    struct buf out;
    struct buf err;
};

/* Opens the backend on `dir` (NULL: a fresh one), with further keys (may be NULL). Answers open's status. */
sbx_status lab_open(struct lab *lab, const char *dir, const struct sbx_kv *keys, size_t count);
void lab_close(struct lab *lab);
/* A fresh call with a deadline `ms` from now and the lab's error, cleared. */
struct sbx_call *lab_call(struct lab *lab, int64_t ms);

sbx_status lab_create(struct lab *lab, const struct sbx_create_args *args, struct sbx_handle **out);
/* Runs argv or a shell line; *result collects, to be given back with lab_result_finish. */
sbx_status lab_exec(struct lab *lab, struct sbx_handle *h, const struct sbx_exec_args *args, struct lab_result *result);
sbx_status lab_shell(struct lab *lab, struct sbx_handle *h, const char *line, struct lab_result *result);
void lab_result_finish(struct lab_result *result);
/* Removes and releases. */
sbx_status lab_remove(struct lab *lab, struct sbx_handle *h);
/* How many sandboxes list reports; -1 when it fails. */
int lab_count(struct lab *lab);
/* How many sandboxes' entries a folder of the lab has, at whatever depth; 0 when there is none. */
int lab_entries(const char *base);
/* The value of a fact or label that info reports; "" when there is none. Static until the next call. */
const char *lab_fact(struct lab *lab, struct sbx_handle *h, const char *key, char *value, size_t cap);
/* Runs a line of shell on the host; its exit code. */
int lab_sh(const char *line);
/* Whether sandboxes can be made on this machine at all; prints "SKIP: reason" when not. */
int lab_works(void);

#endif /* SBX_TESTS_LOCAL_LAB_H */
