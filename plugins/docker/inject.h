/* SPDX-License-Identifier: MIT
 *
 * inject.h - the guest in a container that was not made here: its program is put there once, and each handle runs it as
 * a command of the container, over one connection.
 */
#ifndef SBX_DOCKER_INJECT_H
#define SBX_DOCKER_INJECT_H

#include "plugins/docker/container.h"

/* Where a guest is that create put into a container which nothing of this machine can be bound into: a volume. */
#define INJECT_VOLUME  "/.sbx"
#define INJECT_PROGRAM INJECT_VOLUME "/guest"
#define INJECT_SOCKET  INJECT_VOLUME "/sock"

/* Gives the handle of a running container a link to a guest; nothing is put there before the first use. Where no guest
 * may or can be had the handle uses the API alone. */
sbx_status inject_open(struct sbx_handle *h, const struct container *c, struct sbx_call *call);

/* Podman's service fills no volume of a container that was not started: the guest is among the image's files there. */
int inject_has_volume(const struct sbx_backend *b);
/* Puts the program there; the container does not run yet. */
sbx_status inject_program(struct sbx_backend *b, const char *id, struct sbx_call *call);
/* Gives the handle a link to that guest. */
sbx_status inject_relay(struct sbx_handle *h, const struct sbx_kvs *envs, struct sbx_call *call);

#endif /* SBX_DOCKER_INJECT_H */
