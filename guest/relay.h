/* SPDX-License-Identifier: MIT
 *
 * relay.h - `sbx-guest relay PATH`: a connection to the guest for who can start a command in the sandbox and reaches it
 * no other way.
 */
#ifndef SBX_GUEST_RELAY_H
#define SBX_GUEST_RELAY_H

/* Carries standard input to the guest that listens at `path`, and what that answers to standard output, until one of
 * them ends. The program's exit code. */
int relay_main(const char *path);

#endif /* SBX_GUEST_RELAY_H */
