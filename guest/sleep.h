/* SPDX-License-Identifier: MIT
 *
 * sleep.h - a sandbox in which nothing but the guest runs: suspended until it is resumed, or held still for as long as
 * a request lasts, so that somebody can look at its files. Lifetime, lifeline and the limits of commands go on.
 */
#ifndef SBX_GUEST_SLEEP_H
#define SBX_GUEST_SLEEP_H

#include "guest/guest.h"

void sleep_watch(const struct guest *g, struct watch *w);
/* Sees to it that nothing runs, and lets those go on that waited for the end of a hold. */
void sleep_pump(struct guest *g);

#endif /* SBX_GUEST_SLEEP_H */
