/* SPDX-License-Identifier: MIT
 *
 * cmd_routes.h - the configured routes, for the commands that show them.
 */
#ifndef SBX_HOST_CMD_ROUTES_H
#define SBX_HOST_CMD_ROUTES_H

#include "host/cmd_columns.h"
#include "host/json.h"

/* The list "routes" at the document's root. */
void routes_json(struct json *j, sbx_context *ctx);
/* A section for each, as in a file, after an empty line. */
void routes_show(sbx_context *ctx);
/* Rows for a table of ROUTES_COLUMNS, the first with the columns' names; none without routes. */
enum { ROUTES_COLUMNS = 3 };
void routes_rows(struct table *table, sbx_context *ctx);

#endif /* SBX_HOST_CMD_ROUTES_H */
