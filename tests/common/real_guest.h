/* SPDX-License-Identifier: MIT
 *
 * real_guest.h - the sbx-guest of this build, started without a sandbox around it, and a link to it. It works in a
 * directory of its own and ends with the test, however that ends: the lifeline is ours.
 */
#ifndef SBX_TESTS_COMMON_REAL_GUEST_H
#define SBX_TESTS_COMMON_REAL_GUEST_H

#include "plugins/common/guest_client.h"

#include <sys/types.h>

struct real_guest {
    char dir[64]; /* its working directory */
    char socket[80];
    pid_t pid;
    int lifeline;
    struct guest_link *link;
};

/* Fails the process when the guest does not start. */
void real_start(struct real_guest *g);
/* Ends it, waits for it and removes its directory. */
void real_stop(struct real_guest *g);
/* For another link to the same guest: `user` is the real_guest. */
sbx_status real_connect(void *user, struct sbx_call *call, int *fd);
/* SIGKILL, and waits. */
void real_kill(struct real_guest *g);

#endif /* SBX_TESTS_COMMON_REAL_GUEST_H */
