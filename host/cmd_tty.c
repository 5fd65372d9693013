/* SPDX-License-Identifier: MIT
 *
 * cmd_tty.c - the caller's terminal while a command in a sandbox has one: raw mode here, so that every key (also ^C)
 * goes there; the size and its changes go along.
 */
#include "host/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

struct tty {
    int signal_fd;
    int size_fd; /* a terminal to ask for its size, or -1 */
    int raw_fd;  /* a terminal in raw mode, or -1 */
    int reserved0;
    struct termios before;
    struct sbx_terminal terminal;
};

/* 24 x 80 where nobody knows better. */
static void window(int fd, uint32_t *rows, uint32_t *cols)
{
    struct winsize size = {0};
    int known = fd >= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *rows = known ? size.ws_row : 24;
    *cols = known ? size.ws_col : 80;
}

static int set_mode(int fd, const struct termios *mode)
{
    int code;
    do
        code = tcsetattr(fd, TCSANOW, mode);
    while (code != 0 && errno == EINTR);
    return code;
}

static void set_raw(struct tty *t)
{
    struct termios raw = t->before;
    cfmakeraw(&raw);
    if (t->raw_fd >= 0)
        (void)set_mode(t->raw_fd, &raw);
}

/* After WINCH, or CONT (whoever had the terminal meanwhile may have changed its mode). */
static int32_t next(void *user, uint32_t *rows, uint32_t *cols, int32_t *signo)
{
    struct tty *t = user;
    struct signalfd_siginfo info;
    int seen = 0;
    while (read(t->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        seen = 1;
        if (info.ssi_signo == SIGCONT)
            set_raw(t);
    }
    *signo = 0;
    if (!seen)
        return 0;
    window(t->size_fd, rows, cols);
    return 1;
}

struct tty *tty_open(int raw)
{
    struct tty *t = calloc(1, sizeof *t);
    sigset_t set;
    if (t == NULL)
        return NULL;
    t->raw_fd = t->size_fd = -1;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGWINCH);
    (void)sigaddset(&set, SIGCONT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    for (int fd = 0; fd <= 2 && t->size_fd < 0; fd++)
        if (isatty(fd) == 1)
            t->size_fd = fd;
    if (raw && tcgetattr(0, &t->before) == 0) {
        t->raw_fd = 0;
        set_raw(t);
    }
    t->terminal = (struct sbx_terminal){
        .size = sizeof t->terminal, .user = t, .next = t->signal_fd < 0 ? NULL : next, .ready_fd = t->signal_fd};
    window(t->size_fd, &t->terminal.rows, &t->terminal.cols);
    return t;
}

void tty_close(struct tty *t)
{
    if (t == NULL)
        return;
    if (t->raw_fd >= 0)
        (void)set_mode(t->raw_fd, &t->before);
    if (t->signal_fd >= 0)
        (void)close(t->signal_fd);
    free(t);
}

const struct sbx_terminal *tty_terminal(const struct tty *t)
{
    return &t->terminal;
}
