/* SPDX-License-Identifier: MIT
 *
 * tty.h - a terminal of the sandbox for one command.
 */
#ifndef SBX_GUEST_TTY_H
#define SBX_GUEST_TTY_H

#include <stdint.h>

#include "guest/guest.h"

/* Opens a pair that belongs to the user; both close-on-exec, the master non-blocking. -1 with errno. */
int tty_open(const struct identity *who, uint32_t rows, uint32_t cols, int *master, int *slave);
void tty_resize(int master, uint32_t rows, uint32_t cols);
/* To the foreground process group. */
void tty_signal(int master, int signo);

#endif /* SBX_GUEST_TTY_H */
