/* SPDX-License-Identifier: MIT
 *
 * probe.c - runs inside a sandbox and tries what must fail there. One line per attempt: "NAME RESULT", where RESULT is
 * ok or the errno's name.
 *   probe [ABSTRACT-SOCKET-NAME [SOCKET-PATH]]
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
    (void)printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(errno));
}

static void try_terminal(void)
{
    int master = -1, slave = -1;
    char byte = 'x', linux_call = 3;
    if (openpty(&master, &slave, NULL, NULL, NULL) != 0) {
        tell("pty", -1);
        return;
    }
    tell("pty", 0);
    tell("tiocsti", ioctl(slave, TIOCSTI, &byte));
    tell("tiocsti-high-bits", syscall(SYS_ioctl, slave, TIOCSTI | 1ul << 32, &byte));
    tell("tioclinux", ioctl(slave, TIOCLINUX, &linux_call));
    tell("controlling-terminal", open("/dev/tty", O_RDWR | O_CLOEXEC));
    (void)close(master);
    (void)close(slave);
}

static void try_socket(const char *name, const char *text, int abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(text);
    if (len + 1 >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path + (abstract ? 1 : 0), text, len);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tell(name, connect(fd, (const struct sockaddr *)&address, size));
    (void)close(fd);
}

static void try_guest(void)
{
    tell("ptrace-attach", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
    tell("guest-memory", open("/proc/1/mem", O_RDWR | O_CLOEXEC));
    tell("guest-environ", open("/proc/1/environ", O_RDONLY | O_CLOEXEC));
    tell("guest-fds", open("/proc/1/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    tell("guest-root", open("/proc/1/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    tell("guest-overwrite", open("/.sbx/guest", O_WRONLY | O_CLOEXEC));
}

static void try_kernel(void)
{
    unsigned char attr[128] = {0};
    tell("unshare-user", unshare(CLONE_NEWUSER));
    tell("unshare-mount", unshare(CLONE_NEWNS));
    tell("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    tell("chroot", chroot("/tmp"));
    tell("add-key", syscall(SYS_add_key, "user", "sbx", "x", 1, -1));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 1));
    tell("bpf", syscall(SYS_bpf, 0, attr, sizeof attr));
    tell("perf", syscall(SYS_perf_event_open, attr, 0, -1, -1, 0));
    tell("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
    tell("io-uring", syscall(425, 1, attr));
    tell("open-by-handle", syscall(SYS_open_by_handle_at, AT_FDCWD, attr, O_RDONLY));
    tell("kernel-log", syscall(SYS_syslog, 3, attr, sizeof attr));
    tell("sysctl", open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC));
    tell("sysrq", open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));
    tell("raw-socket", socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1));
    tell("setuid-root", setuid(0));
}

static void list_fds(void)
{
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            (void)printf("fd %d\n", fd);
}

int main(int argc, char **argv)
{
    struct rlimit core;
    list_fds();
    (void)getrlimit(RLIMIT_CORE, &core);
    (void)printf("core %llu\n", (unsigned long long)core.rlim_max);
    try_terminal();
    try_guest();
    if (argc > 1)
        try_socket("abstract-socket", argv[1], 1);
    if (argc > 2)
        try_socket("path-socket", argv[2], 0);
    try_kernel();
    return 0;
}
