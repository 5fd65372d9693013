/* SPDX-License-Identifier: MIT
 *
 * stage.c - see stage.h.
 */
#include "plugins/local/stage.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { COPY_MAX = 16 << 20 };

/* Sources below the stage itself are there only later. */
static int is_late(const struct layout_op *op)
{
    return op->source != NULL && strncmp(op->source, LAYOUT_STAGE "/", sizeof LAYOUT_STAGE) == 0;
}

int stage_open(const struct layout *layout, int *fds)
{
    size_t count = 0;
    const struct layout_op *ops = layout_ops(layout, &count);
    for (size_t i = 0; i < count; i++) {
        int is_bind = ops[i].what == LAYOUT_BIND || ops[i].what == LAYOUT_BIND_RO;
        fds[i] = -1;
        if (is_late(&ops[i]) || ops[i].source == NULL || (!is_bind && ops[i].what != LAYOUT_FILE))
            continue;
        fds[i] = open(ops[i].source, (is_bind ? O_PATH : O_RDONLY | O_NONBLOCK) | O_CLOEXEC);
        if (fds[i] < 0)
            return errno;
    }
    return 0;
}

int stage_cover(uint64_t disk_mib)
{
    char options[64];
    if (mount("tmpfs", LAYOUT_STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") != 0)
        return errno;
    if (disk_mib == 0)
        return 0;
    (void)snprintf(options, sizeof options, "mode=0755,size=%lluM,nr_inodes=%llu", (unsigned long long)disk_mib,
                   (unsigned long long)disk_mib * 256 + 1024);
    if (mkdir(LAYOUT_TREE, 0755) != 0 || mount("tmpfs", LAYOUT_TREE, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
        return errno;
    return 0;
}

static int set_flags(const char *target, unsigned flags, uint64_t attributes)
{
    struct mount_attr attr = {.attr_set = attributes};
    return mount_setattr(AT_FDCWD, target, flags, &attr, sizeof attr) == 0 ? 0 : errno;
}

static int bind_fd(int fd, const char *target, uint64_t attributes)
{
    char source[64];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return errno;
    int made = S_ISDIR(st.st_mode) ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0);
    if (made != 0 && errno != EEXIST && errno != EROFS)
        return errno;
    (void)snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) != 0)
        return errno;
    return set_flags(target, AT_RECURSIVE, attributes);
}

static int bind_op(const struct layout_op *op, int early_fd)
{
    uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    CLEANUP_FD int late = is_late(op) ? open(op->source, O_PATH | O_CLOEXEC) : -1;
    if (op->what == LAYOUT_BIND_RO)
        attributes |= MOUNT_ATTR_RDONLY;
    return bind_fd(late >= 0 ? late : early_fd, op->target, attributes);
}

static int write_data(int fd, const char *data)
{
    for (size_t len = strlen(data); len > 0;) {
        ssize_t n = write(fd, data, len);
        if (n <= 0)
            return n < 0 ? errno : EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int make_file(const struct layout_op *op, int source_fd)
{
    CLEANUP_FD int fd = open(op->target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, op->mode);
    if (fd < 0)
        return errno;
    if (op->data != NULL)
        return write_data(fd, op->data);
    for (size_t done = 0; done < COPY_MAX;) {
        ssize_t n = sendfile(fd, source_fd, NULL, COPY_MAX - done);
        if (n <= 0)
            return n < 0 ? errno : 0;
        done += (size_t)n;
    }
    return 0;
}

static int mount_tmpfs(const struct layout_op *op)
{
    char options[64];
    (void)snprintf(options, sizeof options, "mode=%04o,size=%llu", (unsigned)op->mode, (unsigned long long)op->size);
    if (mkdir(op->target, 0755) != 0)
        return errno;
    return mount("tmpfs", op->target, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 ? 0 : errno;
}

#define DEV LAYOUT_ROOT "/dev"

/* The nodes are the host's, bound one by one: a user namespace can make none. */
static int make_devices(void)
{
    static const char *const nodes[][2] = {{"/dev/null", DEV "/null"},       {"/dev/zero", DEV "/zero"},
                                           {"/dev/full", DEV "/full"},       {"/dev/random", DEV "/random"},
                                           {"/dev/urandom", DEV "/urandom"}, {"/dev/tty", DEV "/tty"}};
    static const char *const links[][2] = {{"/proc/self/fd", DEV "/fd"},       {"/proc/self/fd/0", DEV "/stdin"},
                                           {"/proc/self/fd/1", DEV "/stdout"}, {"/proc/self/fd/2", DEV "/stderr"},
                                           {"/proc/kcore", DEV "/core"},       {"pts/ptmx", DEV "/ptmx"}};
    if (mkdir(DEV, 0755) != 0 || mount("tmpfs", DEV, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") != 0)
        return errno;
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        if (mknod(nodes[i][1], S_IFREG | 0644, 0) != 0 || mount(nodes[i][0], nodes[i][1], NULL, MS_BIND, NULL) != 0)
            return errno;
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        if (symlink(links[i][0], links[i][1]) != 0)
            return errno;
    if (mkdir(DEV "/pts", 0755) != 0 ||
        mount("devpts", DEV "/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620") != 0)
        return errno;
    return set_flags(DEV, AT_RECURSIVE, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

static int take_step(const struct layout_op *op, int fd)
{
    switch (op->what) {
    case LAYOUT_DIR:
        return mkdir(op->target, op->mode) == 0 || errno == EEXIST || errno == EROFS ? 0 : errno;
    case LAYOUT_SYMLINK:
        return symlink(op->source, op->target) == 0 ? 0 : errno;
    case LAYOUT_FILE:
        return make_file(op, fd);
    case LAYOUT_BIND:
    case LAYOUT_BIND_RO:
        return bind_op(op, fd);
    case LAYOUT_TMPFS:
        return mount_tmpfs(op);
    default:
        return make_devices();
    }
}

int stage_build(const struct layout *layout, const int *fds, const char **target)
{
    static const char options[] = "mode=0755,size=16M";
    size_t count = 0;
    const struct layout_op *ops = layout_ops(layout, &count);
    *target = LAYOUT_ROOT;
    if (mkdir(LAYOUT_ROOT, 0755) != 0 || mount("tmpfs", LAYOUT_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
        return errno;
    for (size_t i = 0; i < count; i++) {
        int error = take_step(&ops[i], fds[i]);
        *target = ops[i].target;
        if (error != 0)
            return error;
    }
    *target = DEV;
    int error = set_flags(DEV, 0, MOUNT_ATTR_RDONLY);
    return error != 0 ? error : set_flags(LAYOUT_ROOT, 0, MOUNT_ATTR_RDONLY);
}
