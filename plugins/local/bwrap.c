/* SPDX-License-Identifier: MIT
 *
 * bwrap.c - the layout of a sandbox. An allow-list: nothing of the host is there unless it is named here.
 */
#include "plugins/local/bwrap.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { ARGS_LIMIT = 1 << 20, PATH_LIMIT = 4096 };

const char *const bwrap_tree_names[BWRAP_TREES] = {"tmp", "home", "workspace", "workdir"};
static const char *const tree_targets[] = {"/tmp", "/home/sandbox", "/workspace"};

/* As they are on the host: directories are bound, symlinks (a merged /usr) repeated. */
static const char *const system_entries[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
static const char *const etc_dirs[] = {"/etc/alternatives",    "/etc/ssl/certs",       "/etc/perl",
                                       "/etc/java-11-openjdk", "/etc/java-17-openjdk", "/etc/java-21-openjdk"};
static const char *const etc_files[] = {
    "/etc/bash.bashrc", "/etc/debian_version", "/etc/gai.conf",       "/etc/host.conf",  "/etc/inputrc",
    "/etc/ld.so.cache", "/etc/localtime",      "/etc/magic",          "/etc/mime.types", "/etc/networks",
    "/etc/os-release",  "/etc/profile",        "/etc/protocols",      "/etc/rpc",        "/etc/services",
    "/etc/shells",      "/etc/timezone",       "/etc/ssl/openssl.cnf"};

/* Never taken from an image: the sandbox has its own. */
static const char *const own_names[] = {"proc", "dev", "sys", "tmp", "workspace", ".sbx", "home"};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int bwrap_high_fd(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return high;
}

int bwrap_memory(const char *name, const void *data, size_t len)
{
    CLEANUP_FD int fd = bwrap_high_fd(memfd_create(name, MFD_CLOEXEC));
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

/* The directories above a target, open to all: bubblewrap alone would close them to the sandbox's users. */
static void put_parents(struct bwrap *b, const char *target)
{
    char parent[PATH_LIMIT];
    for (const char *at = strchr(target + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        (void)snprintf(parent, sizeof parent, "%.*s", (int)(at - target), target);
        put2(b, "--perms", "0755");
        put2(b, "--dir", parent);
    }
}

/* Takes `fd` over and puts its number. */
static void put_fd(struct bwrap *b, const char *option, int fd)
{
    char number[16];
    if (fd < 0 || b->fd_count == BWRAP_FDS) {
        if (fd >= 0)
            (void)close(fd);
        b->args.failed = fd < 0 ? EBADF : EMFILE;
        return;
    }
    b->fds[b->fd_count++] = fd;
    (void)snprintf(number, sizeof number, "%d", fd);
    put2(b, option, number);
}

static void put_file(struct bwrap *b, const char *mode, int fd, const char *target)
{
    put2(b, "--perms", mode);
    put_fd(b, "--file", fd);
    put(b, target);
}

static void put_text(struct bwrap *b, const char *text, const char *target)
{
    put_file(b, "0644", bwrap_memory("sbx-etc", text, strlen(text)), target);
}

/* Binds a host path read-only; staged if the mapped ids might not reach it. */
static void put_source(struct bwrap *b, int stage, const char *source, const char *target)
{
    char seen[32];
    put_parents(b, target);
    if (!stage) {
        put3(b, "--ro-bind", source, target);
        return;
    }
    if (b->mount_count == BWRAP_MOUNTS) {
        b->args.failed = E2BIG;
        return;
    }
    (void)snprintf(seen, sizeof seen, LAUNCH_STAGE "/%zu", b->mount_count);
    struct launch_mount *mount = &b->mounts[b->mount_count++];
    mount->source = strdup(source);
    mount->target = strdup(seen);
    if (mount->source == NULL || mount->target == NULL)
        b->args.failed = ENOMEM;
    put3(b, "--ro-bind", seen, target);
}

/* One entry of a root directory, at the same name inside. */
static void put_entry(struct bwrap *b, int stage, const char *source, const char *target)
{
    struct stat st;
    char link[PATH_LIMIT];
    if (lstat(source, &st) != 0)
        return;
    if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) {
        put_source(b, stage, source, target);
    } else if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(source, link, sizeof link - 1);
        if (n <= 0)
            return;
        link[n] = '\0';
        put3(b, "--symlink", link, target);
    }
}

static void put_etc_file(struct bwrap *b, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return;
    if (S_ISLNK(st.st_mode)) {
        char link[PATH_LIMIT];
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n < 0 ? 0 : n] = '\0';
        if (strncmp(link, "/usr/", 5) == 0 || strncmp(link, "../usr/", 7) == 0)
            put3(b, "--symlink", link, path);
        return;
    }
    int fd = S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0
                 ? bwrap_high_fd(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK))
                 : -1;
    if (fd >= 0)
        put_file(b, "0644", fd, path);
}

static void put_etc(struct bwrap *b, const char *hostname)
{
    char hosts[512], passwd[512];
    const char *shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
    put_parents(b, "/etc/ssl/");
    for (size_t i = 0; i < COUNT(etc_dirs); i++)
        if (access(etc_dirs[i], F_OK) == 0)
            put3(b, "--ro-bind", etc_dirs[i], etc_dirs[i]);
    for (size_t i = 0; i < COUNT(etc_files); i++)
        put_etc_file(b, etc_files[i]);
    (void)snprintf(passwd, sizeof passwd,
                   "root:x:0:0:root:/:/bin/sh\nsandbox:x:1000:1000:sandbox:/home/sandbox:%s\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                   shell);
    (void)snprintf(hosts, sizeof hosts, "127.0.0.1 localhost %s\n::1 localhost ip6-localhost ip6-loopback\n", hostname);
    put_text(b, passwd, "/etc/passwd");
    put_text(b, "root:x:0:\ntty:x:5:\nsandbox:x:1000:\nnogroup:x:65534:\n", "/etc/group");
    put_text(b, hosts, "/etc/hosts");
    /* The host's own may name services that are not in the sandbox. */
    put_text(b,
             "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\n"
             "services: files\nethers: files\nrpc: files\n",
             "/etc/nsswitch.conf");
}

static void put_resolver(struct bwrap *b, const struct bwrap_layout *layout)
{
    struct stat st;
    char path[PATH_LIMIT];
    CLEANUP_FD int fd = bwrap_high_fd(open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (layout->network != SBX_NET_FULL || fd < 0)
        return;
    if (layout->image == NULL) {
        put_file(b, "0644", steal_fd(&fd), "/etc/resolv.conf");
        return;
    }
    (void)snprintf(path, sizeof path, "%s/etc/resolv.conf", layout->image);
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) { /* its etc is read-only: only an existing file can be covered */
        put_fd(b, "--ro-bind-data", steal_fd(&fd));
        put(b, "/etc/resolv.conf");
    }
}

static int in_table(const char *name, const char *const *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, table[i]) == 0)
            return 1;
    return 0;
}

/* Every entry of an image's directory but the sandbox's own, so that an empty image works and a full one is only read.
 */
static sbx_status put_image_dir(struct bwrap *b, const struct bwrap_layout *layout, const char *below,
                                const char *const *skip, size_t skip_count, struct sbx_call *call)
{
    char source[PATH_LIMIT], target[PATH_LIMIT];
    (void)snprintf(source, sizeof source, "%s%s", layout->image, below);
    CLEANUP_DIR DIR *dir = opendir(source);
    if (dir == NULL)
        return call_fail_errno(call, errno, "create: image '%s'", layout->image);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || in_table(name, skip, skip_count))
            continue;
        int s = snprintf(source, sizeof source, "%s%s/%s", layout->image, below, name);
        int t = snprintf(target, sizeof target, "%s/%s", below, name);
        if (s < 0 || t < 0 || (size_t)s >= sizeof source || (size_t)t >= sizeof target)
            return call_fail(call, SBX_E_TOO_LARGE, "create: image '%s': path too long", layout->image);
        put_entry(b, layout->stage, source, target);
    }
    return SBX_OK;
}

static sbx_status put_image(struct bwrap *b, const struct bwrap_layout *layout, struct sbx_call *call)
{
    static const char *const sandbox_home[] = {"sandbox"};
    struct stat st;
    char home[PATH_LIMIT];
    sbx_status status = put_image_dir(b, layout, "", own_names, COUNT(own_names), call);
    (void)snprintf(home, sizeof home, "%s/home", layout->image);
    if (status != SBX_OK || lstat(home, &st) != 0 || !S_ISDIR(st.st_mode))
        return status;
    return put_image_dir(b, layout, "/home", sandbox_home, COUNT(sandbox_home), call);
}

static int is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

int bwrap_tree_of(const char *inside)
{
    for (int i = 0; i < (int)COUNT(tree_targets); i++)
        if (is_below(inside, tree_targets[i]))
            return i;
    return -1;
}

int bwrap_needs_workdir(const struct bwrap_layout *layout)
{
    struct stat st;
    char path[PATH_LIMIT];
    if (bwrap_tree_of(layout->workdir) >= 0 || strcmp(layout->workdir, "/") == 0)
        return 0;
    if (layout->image != NULL) {
        (void)snprintf(path, sizeof path, "%s%s", layout->image, layout->workdir);
        return stat(path, &st) != 0 || !S_ISDIR(st.st_mode);
    }
    for (size_t i = 0; i < COUNT(system_entries); i++)
        if (is_below(layout->workdir, system_entries[i]))
            return 0;
    return 1;
}

static void put_trees(struct bwrap *b, const struct bwrap_layout *layout)
{
    char source[PATH_LIMIT];
    for (size_t i = 0; i < BWRAP_TREES; i++) {
        if (i == BWRAP_WORKDIR && !bwrap_needs_workdir(layout))
            continue;
        const char *target = i == BWRAP_WORKDIR ? layout->workdir : tree_targets[i];
        (void)snprintf(source, sizeof source, "%s/%s", layout->tree, bwrap_tree_names[i]);
        put_parents(b, target);
        put3(b, "--bind", source, target);
    }
}

static void put_namespaces(struct bwrap *b, const struct bwrap_layout *layout)
{
    static const char *const always[] = {
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--as-pid-1", "--cap-drop", "ALL"};
    /* Its init gives files and terminals to the user of each command, becomes that user, and ends it. */
    static const char *const mapped[] = {"--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
                                         "--cap-add", "CAP_KILL",   "--cap-add", "CAP_CHOWN"};
    static const char *const single[] = {"--unshare-user", "--uid", "1000", "--gid", "1000", "--disable-userns"};
    for (size_t i = 0; i < COUNT(always); i++)
        put(b, always[i]);
    if (layout->network != SBX_NET_FULL)
        put(b, "--unshare-net");
    int is_single = layout->ids->kind == IDS_SINGLE;
    const char *const *table = is_single ? single : mapped;
    size_t count = is_single ? COUNT(single) : COUNT(mapped);
    for (size_t i = 0; i < count; i++)
        put(b, table[i]);
    put2(b, "--hostname", layout->hostname);
    put_fd(b, "--seccomp", layout->seccomp_fd);
    put_fd(b, "--info-fd", layout->info_fd);
}

static void put_devices(struct bwrap *b)
{
    static const char *const devices[] = {"--proc", "/proc",     "--dev",   "/dev",     "--perms",      "1777",
                                          "--size", "268435456", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"};
    for (size_t i = 0; i < COUNT(devices); i++)
        put(b, devices[i]);
}

sbx_status bwrap_build(const struct bwrap_layout *layout, struct sbx_call *call, struct bwrap *out)
{
    memset(out, 0, sizeof *out);
    buf_init(&out->args, ARGS_LIMIT);
    out->args_fd = -1;
    put_namespaces(out, layout);
    sbx_status status = SBX_OK;
    if (layout->image != NULL) {
        status = put_image(out, layout, call);
    } else {
        for (size_t i = 0; i < COUNT(system_entries); i++)
            put_entry(out, 0, system_entries[i], system_entries[i]);
        put_etc(out, layout->hostname);
    }
    put_resolver(out, layout);
    for (size_t i = 0; layout->bind_ro != NULL && layout->bind_ro[i] != NULL; i++)
        put_source(out, layout->stage, layout->bind_ro[i], layout->bind_ro[i]);
    put_devices(out);
    put_trees(out, layout);
    put_file(out, "0555", layout->guest_fd, BWRAP_GUEST);
    put2(out, "--remount-ro", "/");
    put2(out, "--chdir", "/");
    if (status != SBX_OK)
        return status;
    if (out->args.failed != 0)
        return call_fail_errno(call, out->args.failed, "create: the sandbox's layout");
    out->args_fd = bwrap_memory("sbx-args", out->args.data, out->args.len);
    if (out->args_fd < 0)
        return call_fail_errno(call, errno, "create: the sandbox's layout");
    return SBX_OK;
}

void bwrap_finish(struct bwrap *bwrap)
{
    for (size_t i = 0; i < bwrap->fd_count; i++)
        (void)close(bwrap->fds[i]);
    for (size_t i = 0; i < bwrap->mount_count; i++) {
        free((void *)(uintptr_t)bwrap->mounts[i].source);
        free((void *)(uintptr_t)bwrap->mounts[i].target);
    }
    if (bwrap->args_fd >= 0)
        (void)close(bwrap->args_fd);
    buf_finish(&bwrap->args);
    memset(bwrap, 0, sizeof *bwrap);
    bwrap->args_fd = -1;
}
