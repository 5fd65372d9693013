/* SPDX-License-Identifier: MIT
 *
 * ops.h - the operations, each one table in the file of its name.
 */
#ifndef SBX_GUEST_OPS_H
#define SBX_GUEST_OPS_H

#include "guest/request.h"

extern const struct request_kind op_exec;
extern const struct request_kind op_read;
extern const struct request_kind op_write;
extern const struct request_kind op_stat;
extern const struct request_kind op_list;
extern const struct request_kind op_mkdir;
extern const struct request_kind op_remove;
extern const struct request_kind op_rename;
extern const struct request_kind op_tar_get;
extern const struct request_kind op_tar_put;
extern const struct request_kind op_info;
extern const struct request_kind op_shutdown;
extern const struct request_kind op_lifetime;
extern const struct request_kind op_suspend;
extern const struct request_kind op_resume;
extern const struct request_kind op_job_start;
extern const struct request_kind op_job_info;
extern const struct request_kind op_job_wait;
extern const struct request_kind op_job_kill;
extern const struct request_kind op_job_signal;
extern const struct request_kind op_job_output;
extern const struct request_kind op_job_feed;
extern const struct request_kind op_job_list;
extern const struct request_kind op_job_forget;
extern const struct request_kind op_shell_exec;
extern const struct request_kind op_shell_close;
extern const struct request_kind op_shell_list;
extern const struct request_kind op_dial;

#define FIELD(tag) (UINT64_C(1) << (tag))

#endif /* SBX_GUEST_OPS_H */
