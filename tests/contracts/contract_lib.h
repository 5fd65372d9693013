/* SPDX-License-Identifier: MIT
 *
 * contract_lib.h: what the library cases of the behaviour suite share. A case is a function in a table; it ends with
 * CHECK's exit on the first thing that is not as it should be. The shell around it cleans sandboxes up.
 */
#ifndef CONTRACT_LIB_H
#define CONTRACT_LIB_H

#include "include/sbx.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    sbx_context *ctx;
    sbx_sandbox *box; /* made, or attached when the case was given an id */
    const char *provider;
    struct sbx_error error;
    int argc; /* words after the case's name and the id */
    char **argv;
};

struct lib_case {
    const char *name;
    void (*run)(struct fixture *f);
};
extern const struct lib_case lib_exec_cases[], lib_file_cases[], lib_job_cases[], lib_life_cases[],
    lib_parallel_cases[], lib_tool_cases[];

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The status has to be `want`. */
void want_status(const struct fixture *f, sbx_status got, sbx_status want, const char *what);
#define WANT(f, call, code) want_status((f), (call), (code), #call)
#define OK(f, call)         want_status((f), (call), SBX_OK, #call)

int64_t clock_ms(void);
void pause_ms(int ms);
/* A sandbox of the suite's provider, with the image that the environment names. */
sbx_sandbox *make_box(struct fixture *f);
/* Runs a shell line and captures; the operation is over and the caller frees it. */
sbx_op *capture(struct fixture *f, const char *line, uint32_t flags, uint64_t max_output);
/* Runs a shell line that has to exit with 0. */
void shell(struct fixture *f, const char *line);
/* Writes text to a file in the sandbox. */
void put_text(struct fixture *f, const char *path, const char *text);

#endif
