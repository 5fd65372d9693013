/* SPDX-License-Identifier: MIT
 *
 * cmd_files.h - what the files of sbxctl files share.
 */
#ifndef SBX_HOST_CMD_FILES_H
#define SBX_HOST_CMD_FILES_H

#include "host/cmd.h"
#include "host/json.h"

/* A verdict of libsbx about a path in the sandbox. */
int files_fail(struct cmd *c, const sbx_sandbox *box, const char *path, const struct sbx_error *error);
/* {"ok":true,"id":...,"path":...}, to which more may be added. */
void files_json(struct json *j, const sbx_sandbox *box, const char *path);
/* Bytes of the sandbox as they are; to a terminal without those that could steer it. */
void files_print(const char *text, size_t len);

/* cmd_files_text.c */
int files_cat(struct cmd *c, sbx_sandbox *box);
int files_cat_check(struct cmd *c);
int files_edit(struct cmd *c, sbx_sandbox *box);
int files_edit_check(struct cmd *c);

#endif /* SBX_HOST_CMD_FILES_H */
