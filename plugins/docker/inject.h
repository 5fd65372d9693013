/* SPDX-License-Identifier: MIT
 *
 * inject.h - the guest in a container that was not made here: its program is put there once, and each handle runs it as
 * a command of the container, over one connection.
 */
#ifndef SBX_DOCKER_INJECT_H
#define SBX_DOCKER_INJECT_H

#include "plugins/docker/container.h"

/* Gives the handle of a running container a link to a guest; nothing is put there before the first use. Where no guest
 * may or can be had the handle uses the API alone. */
sbx_status inject_open(struct sbx_handle *h, const struct container *c, struct sbx_call *call);

#endif /* SBX_DOCKER_INJECT_H */
