/* SPDX-License-Identifier: MIT
 *
 * fuzz.h - what the fuzz targets share. A target is one function; libFuzzer calls it with inputs that it invents,
 * driver.c with those that are committed.
 */
#ifndef SBX_TESTS_FUZZ_H
#define SBX_TESTS_FUZZ_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define FUZZ_HOLDS(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A private folder; it is in memory where TMPDIR is. */
static inline void fuzz_folder(char folder[64])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, 64, "%.40s/sbx-fuzz-XXXXXX", base != NULL ? base : "/tmp");
    FUZZ_HOLDS(mkdtemp(folder) != NULL);
}

static inline void fuzz_write(int dir_fd, const char *path, const uint8_t *data, size_t size)
{
    int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FUZZ_HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)close(fd);
}

/* Two ends of a stream that never blocks and holds at least 400,000 bytes. */
static inline void fuzz_pair(int ends[2])
{
    const int room = 1 << 20;
    FUZZ_HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

#endif /* SBX_TESTS_FUZZ_H */
