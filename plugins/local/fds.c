/* SPDX-License-Identifier: MIT
 *
 * fds.c - see fds.h.
 */
#include "plugins/local/fds.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/mman.h>

int fds_high(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return high;
}

int fds_pipe(int fds[2])
{
    fds[0] = fds[1] = -1;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    fds[0] = fds_high(fds[0]);
    fds[1] = fds_high(fds[1]);
    return fds[0] >= 0 && fds[1] >= 0 ? 0 : -1;
}

int fds_memory(const char *name, const void *data, size_t len)
{
    CLEANUP_FD int fd = fds_high(memfd_create(name, MFD_CLOEXEC));
    for (size_t done = 0; fd >= 0 && done < len;) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return steal_fd(&fd);
}
