/* SPDX-License-Identifier: MIT
 *
 * cmd_columns.h - aligned columns for people.
 */
#ifndef SBX_HOST_CMD_COLUMNS_H
#define SBX_HOST_CMD_COLUMNS_H

#include <stddef.h>
#include <stdio.h>

struct table {
    char **cells; /* row after row */
    size_t count;
    size_t columns;
    int failed;
};

void table_init(struct table *t, size_t columns);
void table_finish(struct table *t);
/* The next cell; NULL stands for an empty one. Control bytes become '?'. A failure is remembered until table_print. */
void table_cell(struct table *t, const char *text);
/* 0 or -1: no memory. */
int table_print(const struct table *t, FILE *out);

#define CLEANUP_TABLE __attribute__((cleanup(table_finish)))

#endif /* SBX_HOST_CMD_COLUMNS_H */
