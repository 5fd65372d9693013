/* SPDX-License-Identifier: MIT
 *
 * fault.h - the rules of the key `fault`: which calls of a provider are late, fail or are cut off.
 *
 *   fault = OPERATION [nth=N] [chance=PERCENT] [seed=N] [delay=DURATION] [error=CODE] [cut=SIZE] [when=after]
 */
#ifndef SBX_HOST_FAULT_H
#define SBX_HOST_FAULT_H

#include "sbx_plugin.h"

#include <pthread.h>
#include <stddef.h>

enum { FAULT_RULES_MAX = 64 };

struct fault_rule {
    const char *operation; /* of fault_operations; NULL: any */
    int64_t nth;           /* of the calls that fit; 0: each */
    int64_t chance;        /* percent */
    uint64_t random;       /* state of the row that the seed began */
    int64_t delay_ms;
    sbx_status error; /* 0: none */
    int is_after;     /* the call is carried out and its answer lost */
    int64_t cut;      /* bytes that go through; -1: all */
    int64_t seen;     /* calls that fitted */
};
struct faults {
    pthread_mutex_t lock;
    struct fault_rule rules[FAULT_RULES_MAX];
    size_t count;
};
/* What is to happen to one call. */
struct fault {
    int64_t delay_ms;
    sbx_status error;
    int is_after;
    int64_t cut; /* -1: nothing is cut */
};

/* NULL, or what was expected in place of the text. */
const char *fault_parse(const char *text, struct fault_rule *out);
/* Decides about one call; counts it. */
struct fault fault_decide(struct faults *faults, const char *operation);
/* 1 when there is an operation of that name; *out is it, for good. */
int fault_operation_known(const char *name, const char **out);

#endif /* SBX_HOST_FAULT_H */
