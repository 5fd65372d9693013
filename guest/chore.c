/* SPDX-License-Identifier: MIT
 *
 * chore.c - see chore.h. What came of it is told as the fields of an END on --report-fd; when --lifeline-fd is at its
 * end, nobody wants to know any more.
 */
#include "guest/chore.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/copy.h"
#include "guest/tar.h"
#include "guest/wire.h"

enum { PAIRS = 8, REPORT = 1024, NO_SETUID_FIXUP = 1 << 2 };

struct pair {
    int from;
    int to;
};
struct chore {
    int report_fd;
    int lifeline_fd;
    struct pair pairs[PAIRS]; /* copy: directories; unpack: one, from a tar */
    size_t pair_count;
    struct copy_owners owners;
};

static int usage(const char *what)
{
    (void)fprintf(stderr, "sbx-guest: bad argument '%s'\n", what);
    return 2;
}

/* "A:B" */
static int parse_two(const char *text, uint32_t *a, uint32_t *b)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return -1;
    unsigned long first = strtoul(text, &end, 10);
    if (*end != ':' || end[1] < '0' || end[1] > '9')
        return -1;
    unsigned long second = strtoul(end + 1, &end, 10);
    if (*end != '\0' || first > UINT32_MAX || second > UINT32_MAX)
        return -1;
    *a = (uint32_t)first;
    *b = (uint32_t)second;
    return 0;
}

static int parse_fd(const char *text, int *fd)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > 1u << 20 || fcntl((int)value, F_GETFD) < 0)
        return -1;
    *fd = (int)value;
    return 0;
}

static int take(struct chore *c, const char *name, const char *value)
{
    uint32_t from, to;
    if (strcmp(name, "--report-fd") == 0)
        return parse_fd(value, &c->report_fd);
    if (strcmp(name, "--lifeline-fd") == 0)
        return parse_fd(value, &c->lifeline_fd);
    if (strcmp(name, "--owners") == 0)
        return parse_two(value, &c->owners.from, &c->owners.to);
    if (strcmp(name, "--pair") != 0 || c->pair_count == PAIRS || parse_two(value, &from, &to) != 0 || from > 1u << 20 ||
        to > 1u << 20 || fcntl((int)from, F_GETFD) < 0 || fcntl((int)to, F_GETFD) < 0)
        return -1;
    c->pairs[c->pair_count++] = (struct pair){(int)from, (int)to};
    return 0;
}

/* The kernel itself ends us when the pipe's other end is closed: SIGIO does, unless it is caught. */
static int follow(int lifeline)
{
    struct pollfd p = {.fd = lifeline, .events = POLLIN};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGIO, SIG_DFL);
    if (fcntl(lifeline, F_SETOWN, getpid()) != 0 || fcntl(lifeline, F_SETFL, O_ASYNC | O_NONBLOCK) != 0)
        return -1;
    return poll(&p, 1, 0) == 0 ? 0 : -1;
}

/* What is made belongs to the new owners from the first moment on: a file system of theirs may know nobody else. All
 * other rights stay. */
static void become_owner(const struct copy_owners *owners)
{
    if (owners->to == 0)
        return;
    (void)prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0);
    (void)setfsgid(owners->to);
    (void)setfsuid(owners->to);
}

static size_t put(unsigned char *to, enum wire_field tag, const void *data, size_t len)
{
    wire_put16(to, tag);
    wire_put16(to + 2, 0);
    wire_put32(to + 4, (uint32_t)len);
    memcpy(to + 8, data, len);
    return 8 + len;
}

static size_t put_number(unsigned char *to, enum wire_field tag, uint64_t value)
{
    unsigned char bytes[8];
    wire_put64(bytes, value);
    return put(to, tag, bytes, sizeof bytes);
}

static int report(int fd, const struct worker_verdict *v)
{
    unsigned char text[REPORT];
    size_t len = put_number(text, F_STATUS, (uint64_t)(int64_t)v->status);
    len += put_number(text + len, F_ERRNO, (uint64_t)v->os_errno);
    len += put_number(text + len, F_COUNT, v->count);
    len += put(text + len, F_MESSAGE, v->message, strnlen(v->message, sizeof v->message));
    return write(fd, text, len) == (ssize_t)len ? 0 : 1;
}

/* The archive's own root directory is all there is, wherever that can be had. */
static void unpack(const struct pair *pair, struct worker_verdict *v)
{
    if (fchdir(pair->to) != 0) {
        (void)worker_fail(v, SBX_E_FAILED, errno, "tar: the directory for it: %s", strerror(errno));
        return;
    }
    (void)!chroot(".");
    tar_put(".", ".", pair->from, -1, v);
}

int chore_is(const char *command)
{
    return strcmp(command, "copy") == 0 || strcmp(command, "unpack") == 0;
}

int chore_main(int argc, char **argv)
{
    struct chore c = {.report_fd = -1, .lifeline_fd = -1};
    struct worker_verdict v;
    int copies = strcmp(argv[1], "copy") == 0;
    memset(&v, 0, sizeof v);
    for (int i = 2; i < argc; i += 2)
        if (i + 1 == argc || take(&c, argv[i], argv[i + 1]) != 0)
            return usage(argv[i]);
    if (c.report_fd < 0 || c.lifeline_fd < 0 || c.pair_count == 0 || (!copies && c.pair_count != 1))
        return usage(argv[1]);
    (void)umask(0);
    if (follow(c.lifeline_fd) != 0)
        return 1;
    become_owner(&c.owners);
    if (!copies)
        unpack(&c.pairs[0], &v);
    for (size_t i = 0; copies && i < c.pair_count; i++)
        if (copy_tree(c.pairs[i].from, c.pairs[i].to, &c.owners, &v) != 0)
            break;
    return report(c.report_fd, &v);
}
