/* SPDX-License-Identifier: MIT
 *
 * guest_socket.c - see guest_socket.h.
 */
#include "plugins/common/guest_socket.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { PAUSE_MAX_MS = 64 };

static int address_below(struct sockaddr_un *address, int fd, const char *slash, const char *name)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int n = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%s%s", fd, slash, name);
    return n > 0 && (size_t)n < sizeof address->sun_path ? 0 : -1;
}

int guest_socket_bind(int fd, int dir_fd, const char *name)
{
    struct sockaddr_un address;
    if (address_below(&address, dir_fd, "/", name) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    return listen(fd, 128);
}

int guest_socket_listen(int dir_fd, const char *name)
{
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || guest_socket_bind(fd, dir_fd, name) != 0 ? -1 : steal_fd(&fd);
}

/* The socket's inode, which must be one: a descriptor that leads nowhere else. */
static int open_socket(int dir_fd, const char *name)
{
    struct stat st;
    CLEANUP_FD int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return -1;
    return steal_fd(&fd);
}

static int listener_is_ours(int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

sbx_status guest_socket_connect(int dir_fd, const char *name, const char *id, struct sbx_call *call, int *out)
{
    struct sockaddr_un address;
    CLEANUP_FD int target = open_socket(dir_fd, name);
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (target < 0)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", id);
    if (fd < 0 || address_below(&address, target, "", "") != 0)
        return call_fail_errno(call, errno, "sandbox %s: socket", id);
    for (int64_t pause_ms = 2; connect(fd, (const struct sockaddr *)&address, sizeof address) != 0;) {
        int ready = 0;
        if (errno == ECONNREFUSED || errno == ENOENT)
            return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", id);
        if (errno != EAGAIN && errno != EINTR)
            return call_fail_errno(call, errno, "sandbox %s: connect", id);
        /* Its queue of connections is full, and hundreds may wait: that must not take the processor from it. */
        sbx_status status = call_poll(call, NULL, 0, clock_now_ns() + pause_ms * MS_NS, &ready);
        if (status != SBX_OK)
            return status;
        pause_ms = pause_ms < PAUSE_MAX_MS ? 2 * pause_ms : pause_ms;
    }
    if (!listener_is_ours(fd))
        return call_fail(call, SBX_E_PERMISSION, "sandbox %s: somebody else listens on its socket", id);
    *out = steal_fd(&fd);
    return SBX_OK;
}
