/* SPDX-License-Identifier: MIT
 *
 * bwrap.c - says a sandbox to bubblewrap.
 */
#include "plugins/local/bwrap.h"

#include "base/cleanup.h"
#include "plugins/local/fds.h"

#include <fcntl.h>

enum { ARGS_LIMIT = 1 << 20 };

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void put(struct bwrap *b, const char *text)
{
    (void)buf_append(&b->args, text, strlen(text) + 1);
}

static void put2(struct bwrap *b, const char *first, const char *second)
{
    put(b, first);
    put(b, second);
}

static void put3(struct bwrap *b, const char *first, const char *second, const char *third)
{
    put2(b, first, second);
    put(b, third);
}

/* Takes `fd` over and puts its number. */
static void put_fd(struct bwrap *b, const char *option, int fd)
{
    char number[16];
    if (fd < 0 || b->fd_count == BWRAP_FDS) {
        if (fd >= 0)
            (void)close(fd);
        b->args.failed = fd < 0 && errno == ENOMEM ? ENOMEM : EMFILE; /* why there is none */
        return;
    }
    b->fds[b->fd_count++] = fd;
    (void)snprintf(number, sizeof number, "%d", fd);
    put2(b, option, number);
}

static void put_mode(struct bwrap *b, uint32_t mode)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%04o", (unsigned)mode);
    put2(b, "--perms", text);
}

static void put_op(struct bwrap *b, const struct layout_op *op)
{
    const char *inside = layout_inside(op);
    char size[32];
    switch (op->what) {
    case LAYOUT_DIR:
        put_mode(b, op->mode);
        put2(b, "--dir", inside);
        break;
    case LAYOUT_SYMLINK:
        put3(b, "--symlink", op->source, inside);
        break;
    case LAYOUT_FILE:
        put_mode(b, op->mode);
        put_fd(b, "--file",
               op->data != NULL ? fds_memory("sbx-file", op->data, strlen(op->data))
                                : fds_high(open(op->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK)));
        put(b, inside);
        break;
    case LAYOUT_BIND:
        put3(b, "--bind", op->source, inside);
        break;
    case LAYOUT_BIND_RO:
        put3(b, "--ro-bind", op->source, inside);
        break;
    case LAYOUT_TMPFS:
        (void)snprintf(size, sizeof size, "%llu", (unsigned long long)op->size);
        put_mode(b, op->mode);
        put2(b, "--size", size);
        put2(b, "--tmpfs", inside);
        break;
    default:
        put2(b, "--dev", inside);
    }
}

static void put_layout(struct bwrap *b, const struct bwrap_options *options)
{
    size_t count = 0;
    const struct layout_op *ops = layout_ops(options->layout, &count);
    if (options->staged) {
        put3(b, "--dev-bind", LAYOUT_ROOT, "/");
        put2(b, "--proc", "/proc");
        return;
    }
    for (size_t i = 0; i < count; i++)
        put_op(b, &ops[i]);
    put2(b, "--proc", "/proc");
    put2(b, "--remount-ro", "/dev");
    put2(b, "--remount-ro", "/");
}

static void put_namespaces(struct bwrap *b, const struct bwrap_options *options)
{
    static const char *const always[] = {"--unshare-pid",
                                         "--unshare-ipc",
                                         "--unshare-uts",
                                         "--unshare-cgroup-try",
                                         "--as-pid-1",
                                         "--cap-drop",
                                         "ALL",
                                         "--chdir",
                                         "/"};
    /* Its init gives files and terminals to the user of each command, becomes that user, and ends it. */
    static const char *const mapped[] = {"--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
                                         "--cap-add", "CAP_KILL",   "--cap-add", "CAP_CHOWN"};
    static const char *const single[] = {"--unshare-user", "--uid", "1000", "--gid", "1000"};
    int is_single = options->ids->kind == IDS_SINGLE;
    const char *const *table = is_single ? single : mapped;
    size_t count = is_single ? COUNT(single) : COUNT(mapped);
    for (size_t i = 0; i < COUNT(always); i++)
        put(b, always[i]);
    if (options->network != SBX_NET_FULL)
        put(b, "--unshare-net");
    for (size_t i = 0; i < count; i++)
        put(b, table[i]);
    if (is_single && !options->staged)
        put(b, "--disable-userns"); /* else the namespace around it keeps further ones away */
    put2(b, "--hostname", options->hostname);
    put_fd(b, "--seccomp", options->seccomp_fd);
    put_fd(b, "--info-fd", options->info_fd);
}

sbx_status bwrap_build(const struct bwrap_options *options, struct sbx_call *call, struct bwrap *out)
{
    memset(out, 0, sizeof *out);
    buf_init(&out->args, ARGS_LIMIT);
    out->args_fd = -1;
    put_namespaces(out, options);
    put_layout(out, options);
    if (out->args.failed != 0)
        return call_fail_errno(call, out->args.failed, "create: the sandbox's layout");
    out->args_fd = fds_memory("sbx-args", out->args.data, out->args.len);
    if (out->args_fd < 0)
        return call_fail_errno(call, errno, "create: the sandbox's layout");
    return SBX_OK;
}

void bwrap_finish(struct bwrap *bwrap)
{
    for (size_t i = 0; i < bwrap->fd_count; i++)
        (void)close(bwrap->fds[i]);
    if (bwrap->args_fd >= 0)
        (void)close(bwrap->args_fd);
    buf_finish(&bwrap->args);
    memset(bwrap, 0, sizeof *bwrap);
    bwrap->args_fd = -1;
}
