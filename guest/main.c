/* SPDX-License-Identifier: MIT
 *
 * main.c - sbx-guest: the init of a sandbox. docs/guest-protocol.md says what it speaks, sbx-guest(7) how it is
 * started.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/chore.h"
#include "guest/guest.h"
#include "guest/meet.h"
#include "guest/relay.h"
#include "guest/tree.h"
#include "guest/user.h"

struct arguments {
    struct guest g;
    const char *user;
    const char *user_name;
    const char *home;
    const char *meet;
    const char *listen;
    int64_t lifetime_ms;
    int make_workdir;
};

static int usage(const char *what, const char *which)
{
    (void)fprintf(stderr, "sbx-guest: %s '%s'\n", what, which);
    return 2;
}

static int parse_number(const char *text, int64_t max, int64_t *out)
{
    int64_t value = 0;
    if (text[0] == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > max / 10)
            return -1;
        value = value * 10 + (*text - '0');
    }
    *out = value;
    return value <= max ? 0 : -1;
}

static int parse_fd(const char *text, int *out)
{
    int64_t value;
    if (parse_number(text, INT_MAX, &value) != 0 || fcntl((int)value, F_GETFD) < 0)
        return -1;
    *out = (int)value;
    return 0;
}

/* An option with a value; 1: not one of these. */
static int take_value(struct arguments *a, const char *name, const char *value)
{
    if (strcmp(name, "--listen-fd") == 0)
        return parse_fd(value, &a->g.listen_fd);
    if (strcmp(name, "--ready-fd") == 0)
        return parse_fd(value, &a->g.ready_fd);
    if (strcmp(name, "--lifeline-fd") == 0)
        return parse_fd(value, &a->g.lifeline_fd);
    if (strcmp(name, "--lifetime-ms") == 0)
        return parse_number(value, INT64_MAX / 2000000, &a->lifetime_ms);
    if (strcmp(name, "--workdir") == 0) {
        a->g.workdir = value;
        return value[0] == '/' && strlen(value) < PATH_MAX ? 0 : -1;
    }
    const struct {
        const char *name;
        const char **to;
    } texts[] = {{"--user", &a->user},
                 {"--user-name", &a->user_name},
                 {"--home", &a->home},
                 {"--meet", &a->meet},
                 {"--listen", &a->listen}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].to = value;
            return 0;
        }
    }
    return 1;
}

/* An option without a value; 0: not one of these. */
static int take_flag(struct arguments *a, const char *name)
{
    const struct {
        const char *name;
        int *to;
    } flags[] = {{"--stdio", &a->g.stdio},
                 {"--any-peer", &a->g.any_peer},
                 {"--keep-caps", &a->g.keep_caps},
                 {"--make-workdir", &a->make_workdir}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(name, flags[i].name) == 0) {
            *flags[i].to = 1;
            return 1;
        }
    }
    return 0;
}

static int parse(int argc, char **argv, struct arguments *a)
{
    if (argc < 2 || strcmp(argv[1], "serve") != 0)
        return usage("unknown command", argc < 2 ? "" : argv[1]);
    for (int i = 2; i < argc; i++) {
        if (take_flag(a, argv[i]))
            continue;
        int known = take_value(a, argv[i], i + 1 < argc ? argv[i + 1] : "");
        if (known == 1)
            return usage("unknown option", argv[i]);
        if (known != 0 || i + 1 == argc)
            return usage("bad value of", argv[i]);
        i++;
    }
    if ((a->g.listen_fd >= 0) + (a->meet != NULL) + (a->listen != NULL) + a->g.stdio != 1)
        return usage("exactly one is needed of", "--listen-fd --meet --listen --stdio");
    a->g.put_in = a->listen != NULL;
    return 0;
}

/* A descriptor out of the way of those that have fixed places; the old one is closed by the caller's close_from. */
static int move_up(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 64);
}

/* --stdio: the connection's two ends to 3 and 4. */
static int settle_stdio(int in, int out)
{
    if (dup3(in, 3, O_CLOEXEC) < 0 || dup3(out, 4, O_CLOEXEC) < 0)
        return -1;
    (void)fcntl(3, F_SETFL, O_NONBLOCK);
    (void)fcntl(4, F_SETFL, O_NONBLOCK);
    return 0;
}

/* 0-2 stay taken, so that nothing else lands there; standard error stays what it is. */
static int occupy_standard(void)
{
    int nothing = open("/", O_PATH | O_CLOEXEC);
    if (nothing < 0)
        return -1;
    for (int fd = 0; fd < 3; fd++)
        if (fd != 2 || fcntl(2, F_GETFD) < 0)
            (void)dup3(nothing, fd, O_CLOEXEC);
    if (nothing > 2)
        (void)close(nothing);
    return 0;
}

/* Moves what is named to fixed places and closes everything else. */
static int settle_descriptors(struct guest *g)
{
    int *const named[] = {&g->listen_fd, &g->ready_fd, &g->lifeline_fd};
    int in = g->stdio ? move_up(0) : -1, out = g->stdio ? move_up(1) : -1;
    int high[3], next = g->stdio ? 5 : 3;
    for (int i = 0; i < 3; i++)
        high[i] = move_up(*named[i]);
    if (g->stdio && settle_stdio(in, out) != 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        if (*named[i] < 0)
            continue;
        if (high[i] < 0 || dup3(high[i], next, O_CLOEXEC) < 0)
            return -1;
        *named[i] = next++;
    }
    close_from(next);
    if (g->listen_fd >= 0)
        (void)fcntl(g->listen_fd, F_SETFL, O_NONBLOCK);
    return occupy_standard();
}

/* The image's /dev/null, if that is what it is. */
static int open_null(void)
{
    struct stat st;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* What children shall find as it is by default, and nothing to win for them by execve. */
static void settle_process(int keep_caps)
{
    sigset_t all;
    for (int signo = 1; signo <= 64; signo++)
        (void)signal(signo, SIG_DFL);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)umask(0);
    if (getpid() == 1)
        (void)setsid(); /* a group of its own: what ends it at once ends its keepers too */
    if (geteuid() == 0)
        (void)syscall(SYS_setgroups, (size_t)0, NULL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (keep_caps)
        return;
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            break;
}

static int fail(const char *what)
{
    (void)fprintf(stderr, "sbx-guest: %s: %s\n", what, strerror(errno));
    return 1;
}

static int serve(struct arguments *a)
{
    struct guest *g = &a->g;
    settle_process(g->keep_caps);
    if (user_default(g, a->user, a->user_name, a->home) != 0)
        return usage("bad value of", "--user");
    if (g->user.foreign && geteuid() != 0)
        return usage("this guest is not root and cannot serve user", a->user);
    if (a->make_workdir && meet_workdir(g) != 0)
        return fail(g->workdir);
    if (a->meet != NULL && meet_take(g, a->meet) != 0)
        return fail(a->meet);
    if (a->listen != NULL && meet_listen(g, a->listen) != 0)
        return fail(a->listen);
    if (settle_descriptors(g) != 0)
        return fail("descriptors");
    g->null_fd = open_null();
    g->is_init = getpid() == 1;
    if (a->lifetime_ms > 0)
        g->deadline_ns = clock_boot_ns() + a->lifetime_ms * 1000000;
    return loop_run(g) == 0 ? 0 : fail("cannot start");
}

int main(int argc, char **argv)
{
    struct arguments a = {.g = {.listen_fd = -1, .ready_fd = -1, .lifeline_fd = -1, .workdir = "/"}};
#ifndef SBX_GUEST_DUMPABLE
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    if (argc == 2 && strcmp(argv[1], "version") == 0)
        return printf("sbx-guest %s\n", SBX_VERSION) < 0;
    if (argc == 3 && strcmp(argv[1], "relay") == 0)
        return relay_main(argv[2]);
    if (argc >= 2 && chore_is(argv[1]))
        return chore_main(argc, argv);
    int bad = parse(argc, argv, &a);
    return bad != 0 ? bad : serve(&a);
}
