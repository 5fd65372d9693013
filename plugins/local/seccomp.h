/* SPDX-License-Identifier: MIT
 *
 * seccomp.h - the system call filter of a sandbox: what namespaces and dropped capabilities do not cover.
 */
#ifndef SBX_LOCAL_SECCOMP_H
#define SBX_LOCAL_SECCOMP_H

#include <stddef.h>

enum { SECCOMP_MAX = 64 };

/* Writes the program (struct sock_filter array, as bwrap --seccomp takes it) to `out` of at least SECCOMP_MAX
 * instructions; answers its bytes, or 0 on a machine that it does not know. */
size_t seccomp_build(void *out);

#endif /* SBX_LOCAL_SECCOMP_H */
