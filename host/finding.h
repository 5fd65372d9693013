/* SPDX-License-Identifier: MIT
 *
 * finding.h - problems of a configuration: each goes to the caller's report, the first one into the error as well.
 */
#ifndef SBX_HOST_FINDING_H
#define SBX_HOST_FINDING_H

#include "host/config.h"

struct findings {
    config_report *report; /* may be NULL */
    void *user;
    struct sbx_error *error; /* may be NULL */
    size_t count;
    int no_memory;
};

/* `file` may be NULL, `line` 0, `nearest` NULL: no hint. After 100 findings the rest is only counted. */
void finding_add(struct findings *findings, const char *file, uint32_t line, const char *nearest, const char *format,
                 ...) __attribute__((format(printf, 5, 6)));
/* SBX_OK, SBX_E_CONFIG with the first finding in the error, or SBX_E_NO_MEMORY. */
sbx_status finding_verdict(struct findings *findings);

/* Looks for the known word that a wrong one was probably meant to be. */
struct nearest {
    const char *word;
    size_t distance;
    char best[96];
};
void nearest_init(struct nearest *nearest, const char *word);
void nearest_offer(struct nearest *nearest, const char *known);
/* The best of the offered words, or NULL when none is near enough. */
const char *nearest_best(const struct nearest *nearest);

#endif /* SBX_HOST_FINDING_H */
