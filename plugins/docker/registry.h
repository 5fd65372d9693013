/* SPDX-License-Identifier: MIT
 *
 * registry.h - the credentials for image registries that `docker login` keeps.
 */
#ifndef SBX_DOCKER_REGISTRY_H
#define SBX_DOCKER_REGISTRY_H

#include "base/buf.h"

struct registry_login {
    struct buf header; /* the line that a daemon wants with a pull; empty: none */
    char note[400];    /* what was found, behind the message of a pull that was denied: "; ..." */
};

/* Looks `image`'s registry up in config.json of `folder` (NULL: there is none). It never fails: many images are for
 * everybody. Programs that keep credentials elsewhere (credsStore, credHelpers) are not executed. */
void registry_find_login(const char *folder, const char *image, struct registry_login *out);
void registry_finish(struct registry_login *login);
#define CLEANUP_LOGIN CLEANUP(registry_finish)

#endif /* SBX_DOCKER_REGISTRY_H */
