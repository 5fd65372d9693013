/* SPDX-License-Identifier: MIT
 *
 * cmd_signal.c - signals as a descriptor. INT, TERM, HUP and QUIT are blocked and read through a signalfd, which is the
 * cancel descriptor of every call: no handler, nothing shared, and nothing is lost between two calls.
 */
#include "host/cmd.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name;
} ending[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"}, {SIGQUIT, "SIGQUIT"}};
enum { ENDING_COUNT = sizeof ending / sizeof ending[0] };

const char *signal_text(int signo)
{
    for (size_t i = 0; i < ENDING_COUNT; i++)
        if (ending[i].number == signo)
            return ending[i].name;
    return "a signal";
}

/* What the caller ignores (nohup, a shell's background job) stays ignored. */
static int ignored(int signo)
{
    struct sigaction action;
    return sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int signals_open(struct cmd *c)
{
    sigset_t set;
    if (c->signal_fd >= 0)
        return 0;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < ENDING_COUNT; i++)
        if (!ignored(ending[i].number))
            (void)sigaddset(&set, ending[i].number);
    c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (c->signal_fd < 0)
        return cmd_own(c, NULL, "system", "signalfd: %s", strerror(errno));
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return cmd_own(c, NULL, "system", "sigprocmask: %s", strerror(errno));
    c->call.flags |= SBX_CALL_CANCEL_FD;
    c->call.cancel_fd = c->signal_fd;
    return 0;
}

void signals_before(const struct cmd *c, sigset_t *out)
{
    (void)sigemptyset(out);
    (void)sigprocmask(SIG_BLOCK, NULL, out);
    for (size_t i = 0; c->signal_fd >= 0 && i < ENDING_COUNT; i++)
        (void)sigdelset(out, ending[i].number);
}

void signals_take(struct cmd *c)
{
    struct signalfd_siginfo info;
    while (c->signal_fd >= 0 && read(c->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (c->signalled == 0)
            c->signalled = (int)info.ssi_signo;
}

void signals_close(struct cmd *c)
{
    if (c->signal_fd >= 0)
        (void)close(c->signal_fd);
    c->signal_fd = -1;
    c->call.flags &= ~(uint32_t)SBX_CALL_CANCEL_FD;
}
