/* SPDX-License-Identifier: MIT
 *
 * guest_command.h - inside of the guest client: what exec, jobs and named shells have in common.
 */
#ifndef SBX_COMMON_GUEST_COMMAND_H
#define SBX_COMMON_GUEST_COMMAND_H

#include "plugins/common/guest_request.h"

enum { GUEST_GRACE_MS = 5000 }; /* for the guest to end a command at its limit and say so */

/* A checked copy of the arguments; `flags`: SBX_EXEC_STDIN_OPEN where that may be. */
sbx_status guest_command_take(struct sbx_call *call, const char *what, const struct sbx_exec_args *args, uint32_t flags,
                              struct sbx_exec_args *mine);
sbx_status guest_command_argv(struct guest_request *r, const struct sbx_exec_args *args);
/* create's variables first: of two the guest takes the later. */
sbx_status guest_command_envs(struct guest_request *r, const struct sbx_kvs *envs);
/* How the command ended, in the ABI's words. 0 when the guest's make no sense. */
int guest_command_translate(const struct guest_end *end, int limited, struct sbx_exec_result *result);
/* Counts what came and says how the command of this request, which was run with `status`, ended. */
sbx_status guest_command_finish(struct guest_request *r, sbx_status status, uint64_t max_output,
                                struct sbx_exec_result *result);

#endif /* SBX_COMMON_GUEST_COMMAND_H */
