/* SPDX-License-Identifier: MIT */
#include "host/identity.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

int identity_token(char out[IDENTITY_TOKEN_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    memcpy(out, "sbx-", 4);
    for (size_t i = 0; i < sizeof random; i++) {
        out[4 + 2 * i] = digits[random[i] >> 4];
        out[5 + 2 * i] = digits[random[i] & 15];
    }
    out[IDENTITY_TOKEN_SIZE - 1] = '\0';
    return 0;
}

/* The file's beginning as a text; "" when it cannot be read. */
static void read_text(const char *path, char *out, size_t size)
{
    out[0] = '\0';
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, out, size - 1);
    out[got > 0 ? got : 0] = '\0';
}

/* Keeps letters, digits and dashes; "?" when none is left. */
static void keep_word(char *text)
{
    size_t kept = 0;
    for (const char *p = text; *p != '\0' && *p != '\n'; p++)
        if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '-')
            text[kept++] = *p;
    if (kept == 0)
        text[kept++] = '?';
    text[kept] = '\0';
}

/* The 22nd field of a /proc/PID/stat; the second one, in brackets, may hold anything. */
static void read_start_time(const char *path, char *out, size_t size)
{
    char stat[1024];
    read_text(path, stat, sizeof stat);
    const char *p = strrchr(stat, ')');
    for (int field = 2; p != NULL && field < 22; field++) {
        p = strchr(p, ' ');
        p = p != NULL ? p + 1 : NULL;
    }
    size_t len = p != NULL ? strspn(p, "0123456789") : 0;
    if (len == 0 || len >= size) {
        memcpy(out, "?", 2);
        return;
    }
    memcpy(out, p, len);
    out[len] = '\0';
}

void identity_owner(char out[IDENTITY_OWNER_SIZE])
{
    char machine[48];
    char boot[48];
    char space[48];
    char started[24];
    read_text("/etc/machine-id", machine, sizeof machine);
    read_text("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    ssize_t len = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    space[len > 0 ? len : 0] = '\0';
    if (strncmp(space, "pid:[", 5) == 0)
        memmove(space, space + 5, strlen(space + 5) + 1);
    keep_word(machine);
    keep_word(boot);
    keep_word(space);
    read_start_time("/proc/self/stat", started, sizeof started);
    (void)snprintf(out, IDENTITY_OWNER_SIZE, "%.36s:%.40s:%.20s:%ld:%s", machine, boot, space, (long)getpid(), started);
}

/* Whether the first three parts are ours and known: then its number means the same process here. */
static int is_our_place(const char *owner)
{
    char own[IDENTITY_OWNER_SIZE];
    identity_owner(own);
    const char *end = own;
    for (int part = 0; part < 3; part++) {
        if (*end == '?')
            return 0;
        end = strchr(end, ':');
        if (end == NULL)
            return 0;
        end++;
    }
    return strncmp(owner, own, (size_t)(end - own)) == 0;
}

int identity_owner_state(const char *owner)
{
    char path[48];
    char started[24];
    char *end = NULL;
    if (!is_our_place(owner))
        return IDENTITY_UNKNOWN;
    const char *number = owner;
    for (int part = 0; part < 3; part++)
        number = strchr(number, ':') + 1;
    errno = 0;
    long pid = strtol(number, &end, 10);
    if (errno != 0 || end == number || *end != ':' || pid < 1 || pid > INT_MAX)
        return IDENTITY_UNKNOWN;
    /* A process that hides its /proc entry still answers here. */
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return IDENTITY_DEAD;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    read_start_time(path, started, sizeof started);
    if (started[0] == '?' || end[1] < '0' || end[1] > '9')
        return IDENTITY_UNKNOWN;
    return strcmp(started, end + 1) == 0 ? IDENTITY_ALIVE : IDENTITY_DEAD;
}
