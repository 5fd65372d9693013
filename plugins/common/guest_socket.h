/* SPDX-License-Identifier: MIT
 *
 * guest_socket.h - the guest's socket as a file below a directory of ours. Paths go through /proc/self/fd, so their
 * length never matters.
 */
#ifndef SBX_COMMON_GUEST_SOCKET_H
#define SBX_COMMON_GUEST_SOCKET_H

#include "plugins/common/plugin.h"

/* Gives a socket the name in the directory, and has it listen. -1 and errno. */
int guest_socket_bind(int fd, int dir_fd, const char *name);
/* Makes a listening, close-on-exec socket `name` in the directory. -1 and errno. */
int guest_socket_listen(int dir_fd, const char *name);
/* A connected, close-on-exec, non-blocking socket. SBX_E_GONE: nobody listens there any more. SBX_E_PERMISSION: who
 * listens is another user than we are. `id` names the sandbox in messages. */
sbx_status guest_socket_connect(int dir_fd, const char *name, const char *id, struct sbx_call *call, int *fd);

#endif /* SBX_COMMON_GUEST_SOCKET_H */
