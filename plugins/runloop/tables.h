/* SPDX-License-Identifier: MIT
 *
 * tables.h - the capabilities that a devbox offers beside its handle.
 */
#ifndef SBX_RUNLOOP_TABLES_H
#define SBX_RUNLOOP_TABLES_H

#include "plugins/runloop/run.h"

extern const struct sbx_archive_ops archive_ops;
extern const struct sbx_job_ops job_ops;
extern const struct sbx_job_stdin_ops job_stdin_ops;
extern const struct sbx_snapshot_ops snapshot_ops;
extern const struct sbx_shell_close_ops shell_close_ops;
extern const struct sbx_ssh_ops ssh_ops;
extern const struct sbx_tunnel_ops tunnel_ops;

#endif /* SBX_RUNLOOP_TABLES_H */
