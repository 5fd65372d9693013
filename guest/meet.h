/* SPDX-License-Identifier: MIT
 *
 * meet.h - what a guest without inherited descriptors does before it serves: a container engine starts it, so what it
 * needs is handed to it over a socket.
 */
#ifndef SBX_GUEST_MEET_H
#define SBX_GUEST_MEET_H

#include <sys/un.h>

#include "guest/guest.h"

/* Connects to the socket at `path` and takes from who listens there the listening socket and, where a second descriptor
 * comes, the lifeline. The connection stays open as ready_fd. 0, or -1 with errno. */
int meet_take(struct guest *g, const char *path);

/* Listens at `path`, which only root may connect to. 0, or -1 with errno. */
int meet_listen(struct guest *g, const char *path);
/* The address of the socket at `path`. 0, or -1 with errno. */
int meet_name(const char *path, struct sockaddr_un *name);

/* Makes the working directory, and what is missing above it, the default user's own where it was not there. 0, or -1
 * with errno. */
int meet_workdir(const struct guest *g);

#endif /* SBX_GUEST_MEET_H */
