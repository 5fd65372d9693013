/* SPDX-License-Identifier: MIT
 *
 * real_guest.c - starting and ending a real sbx-guest for tests; see real_guest.h.
 */
#include "tests/common/real_guest.h"

#include "tests/common/fake_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    abort();
}

static int address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(out->sun_path, sizeof out->sun_path, "%s", path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

sbx_status real_connect(void *user, struct sbx_call *call, int *fd)
{
    const struct real_guest *g = user;
    struct sockaddr_un to;
    int s = address(g->socket, &to);
    if (s < 0)
        return call_fail_errno(call, errno, "socket");
    if (connect(s, (const struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(s);
        return call_fail(call, SBX_E_GONE, "nobody listens at '%s'", g->socket);
    }
    *fd = s;
    return SBX_OK;
}

static int listen_at(const char *path)
{
    struct sockaddr_un at;
    int s = address(path, &at);
    if (s < 0 || bind(s, (const struct sockaddr *)&at, sizeof at) != 0 || listen(s, 64) != 0)
        die("listen");
    return s;
}

/* In the child: only async-signal-safe calls, since other threads may have been at work. */
static void become_guest(const struct real_guest *g, int listener, int lifeline, int ready)
{
    if (dup2(listener, 10) < 0 || dup2(lifeline, 11) < 0 || dup2(ready, 12) < 0)
        _exit(99);
    (void)execl(SBX_GUEST_PATH, SBX_GUEST_PATH, "serve", "--listen-fd", "10", "--lifeline-fd", "11", "--ready-fd", "12",
                "--any-peer", "--workdir", g->dir, (char *)NULL);
    _exit(98);
}

void real_start(struct real_guest *g)
{
    int lifeline[2], ready[2];
    char byte = 0;
    *g = (struct real_guest){.dir = "/tmp/sbx-client-XXXXXX"};
    if (mkdtemp(g->dir) == NULL || pipe2(lifeline, O_CLOEXEC) != 0 || pipe2(ready, O_CLOEXEC) != 0)
        die("setup");
    (void)snprintf(g->socket, sizeof g->socket, "%s.sock", g->dir);
    int listener = listen_at(g->socket);
    g->pid = fork();
    if (g->pid < 0)
        die("fork");
    if (g->pid == 0)
        become_guest(g, listener, lifeline[0], ready[1]);
    (void)close(listener);
    (void)close(lifeline[0]);
    (void)close(ready[1]);
    g->lifeline = lifeline[1];
    if (read(ready[0], &byte, 1) != 1 || byte != 'r')
        die("the guest did not become ready");
    (void)close(ready[0]);
    struct guest_link_options options = {
        .connect = real_connect, .user = g, .workdir = g->dir, .max_idle = 4, .share = fake_share()};
    g->link = guest_open(&options);
    if (g->link == NULL)
        die("guest_open");
}

static void reap(struct real_guest *g)
{
    if (g->pid > 0)
        (void)waitpid(g->pid, NULL, 0);
    g->pid = 0;
}

void real_kill(struct real_guest *g)
{
    (void)kill(g->pid, SIGKILL);
    reap(g);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    (void)remove(path);
    return 0;
}

void real_stop(struct real_guest *g)
{
    guest_close(g->link);
    (void)close(g->lifeline);
    reap(g);
    (void)unlink(g->socket);
    (void)nftw(g->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
