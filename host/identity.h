/* SPDX-License-Identifier: MIT
 *
 * identity.h - the names that libsbx gives: a token for one creation, and who this process is, for good.
 */
#ifndef SBX_HOST_IDENTITY_H
#define SBX_HOST_IDENTITY_H

#include <stddef.h>

#define IDENTITY_TOKEN_SIZE 37
#define IDENTITY_OWNER_SIZE 160

/* "sbx-" and 32 hexadecimal digits of random. 0 or -1 with errno. */
int identity_token(char out[IDENTITY_TOKEN_SIZE]);
/* MACHINE-ID:BOOT-ID:PID-NAMESPACE:PID:START-TIME, which no other process ever has; a part that cannot be learned is
 * "?". */
void identity_owner(char out[IDENTITY_OWNER_SIZE]);
/* What became of the process that such a text names. Dead only when it is proven: same machine, boot and pid namespace
 * as ours, and no process of that number, or one that started at another time. */
enum { IDENTITY_UNKNOWN, IDENTITY_ALIVE, IDENTITY_DEAD };
int identity_owner_state(const char *owner);

#endif /* SBX_HOST_IDENTITY_H */
