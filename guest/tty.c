/* SPDX-License-Identifier: MIT */
#include "guest/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/user.h"

void tty_resize(int master, uint32_t rows, uint32_t cols)
{
    struct winsize size = {.ws_row = (unsigned short)(rows > 0xffff ? 0xffff : rows),
                           .ws_col = (unsigned short)(cols > 0xffff ? 0xffff : cols)};
    (void)ioctl(master, TIOCSWINSZ, &size);
}

void tty_signal(int master, int signo)
{
    pid_t group = 0;
    if (ioctl(master, TIOCGPGRP, &group) == 0 && group > 1)
        (void)kill(-group, signo);
}

int tty_open(const struct identity *who, uint32_t rows, uint32_t cols, int *master, int *slave)
{
    USER_SCOPE(as, who); /* the slave belongs to whoever opens the master */
    if (as.who == NULL) {
        errno = EPERM;
        return -1;
    }
    int locked = 0;
    CLEANUP_FD int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TIOCSPTLCK, &locked) != 0)
        return -1;
    *slave = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0)
        return -1;
    if (rows > 0 || cols > 0)
        tty_resize(fd, rows, cols);
    *master = steal_fd(&fd);
    return 0;
}
