/* SPDX-License-Identifier: MIT
 *
 * chore.h - work on trees that a provider has done by this program outside of any sandbox: `copy` and `unpack`.
 */
#ifndef SBX_GUEST_CHORE_H
#define SBX_GUEST_CHORE_H

/* argv[1] names one of them; the exit code. */
int chore_main(int argc, char **argv);
/* Whether a command is one. */
int chore_is(const char *command);

#endif /* SBX_GUEST_CHORE_H */
