/* SPDX-License-Identifier: MIT
 *
 * layout.c - the steps that make a sandbox's file system.
 */
#include "plugins/local/layout.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { PATH_LIMIT = 4096, OPS_LIMIT = 4096, SHM_BYTES = 256 << 20 };

const char *const layout_tree_names[LAYOUT_TREES] = {"tmp", "home", "workspace", "workdir"};
const char *const layout_tree_targets[LAYOUT_WORKDIR] = {"/tmp", "/home/sandbox", "/workspace"};

/* As they are on the host: directories are bound, symlinks (a merged /usr) repeated. */
static const char *const system_entries[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
static const char *const etc_dirs[] = {"/etc/alternatives", "/etc/ssl/certs", "/etc/java-11-openjdk",
                                       "/etc/java-17-openjdk", "/etc/java-21-openjdk"};
static const char *const etc_files[] = {"/etc/bash.bashrc", "/etc/debian_version", "/etc/ld.so.cache", "/etc/localtime",
                                        "/etc/mime.types",  "/etc/os-release",     "/etc/profile",     "/etc/protocols",
                                        "/etc/services",    "/etc/ssl/openssl.cnf"};

/* Never taken from an image: the sandbox has its own. */
static const char *const own_names[] = {"proc", "dev", "sys", "tmp", "workspace", ".sbx", "home"};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char *copy_text(struct layout *l, const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL)
        l->ops.failed = ENOMEM;
    return copy;
}

static void free_op(const struct layout_op *op)
{
    free((void *)(uintptr_t)op->source);
    free((void *)(uintptr_t)op->target);
    free((void *)(uintptr_t)op->data);
}

/* Texts are copied; `inside` gets its prefix. */
static void add(struct layout *l, struct layout_op op, const char *inside)
{
    char target[PATH_LIMIT + sizeof LAYOUT_ROOT];
    int n = snprintf(target, sizeof target, LAYOUT_ROOT "%s", inside);
    op.source = copy_text(l, op.source);
    op.data = copy_text(l, op.data);
    op.target = copy_text(l, target);
    if (n < 0 || (size_t)n >= sizeof target)
        l->ops.failed = ENAMETOOLONG;
    if (buf_append(&l->ops, &op, sizeof op) != 0)
        free_op(&op);
}

/* The directories above a target, open to all. */
static void add_parents(struct layout *l, const char *inside)
{
    char parent[PATH_LIMIT];
    for (const char *at = strchr(inside + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        (void)snprintf(parent, sizeof parent, "%.*s", (int)(at - inside), inside);
        add(l, (struct layout_op){.what = LAYOUT_DIR, .mode = 0755}, parent);
    }
}

static void add_text(struct layout *l, const char *inside, const char *text)
{
    add(l, (struct layout_op){.what = LAYOUT_FILE, .mode = 0644, .data = text}, inside);
}

static void add_bind(struct layout *l, int what, const char *source, const char *inside)
{
    add_parents(l, inside);
    add(l, (struct layout_op){.what = what, .source = source}, inside);
}

/* One entry of a root directory, at the same name inside. */
static void add_entry(struct layout *l, const char *source, const char *inside)
{
    struct stat st;
    char link[PATH_LIMIT];
    if (lstat(source, &st) != 0)
        return;
    if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) {
        add_bind(l, LAYOUT_BIND_RO, source, inside);
    } else if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(source, link, sizeof link - 1);
        if (n <= 0)
            return;
        link[n] = '\0';
        add(l, (struct layout_op){.what = LAYOUT_SYMLINK, .source = link}, inside);
    }
}

static void add_etc_file(struct layout *l, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return;
    if (S_ISLNK(st.st_mode)) {
        char link[PATH_LIMIT];
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n < 0 ? 0 : n] = '\0';
        if (strncmp(link, "/usr/", 5) == 0 || strncmp(link, "../usr/", 7) == 0)
            add(l, (struct layout_op){.what = LAYOUT_SYMLINK, .source = link}, path);
    } else if (S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0) {
        add(l, (struct layout_op){.what = LAYOUT_FILE, .mode = 0644, .source = path}, path);
    }
}

static void add_etc(struct layout *l, const char *hostname)
{
    char hosts[512], passwd[512];
    const char *shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
    add_parents(l, "/etc/ssl/");
    for (size_t i = 0; i < COUNT(etc_dirs); i++)
        if (access(etc_dirs[i], F_OK) == 0)
            add(l, (struct layout_op){.what = LAYOUT_BIND_RO, .source = etc_dirs[i]}, etc_dirs[i]);
    for (size_t i = 0; i < COUNT(etc_files); i++)
        add_etc_file(l, etc_files[i]);
    (void)snprintf(passwd, sizeof passwd,
                   "root:x:0:0:root:/:/bin/sh\nsandbox:x:1000:1000:sandbox:/home/sandbox:%s\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                   shell);
    (void)snprintf(hosts, sizeof hosts, "127.0.0.1 localhost %s\n::1 localhost ip6-localhost ip6-loopback\n", hostname);
    add_text(l, "/etc/passwd", passwd);
    add_text(l, "/etc/group", "root:x:0:\ntty:x:5:\nsandbox:x:1000:\nnogroup:x:65534:\n");
    add_text(l, "/etc/hosts", hosts);
    /* The host's own may name services that are not in the sandbox. */
    add_text(l, "/etc/nsswitch.conf",
             "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\n"
             "services: files\nethers: files\nrpc: files\n");
}

static void add_resolver(struct layout *l, const struct layout_options *options)
{
    static const char resolver[] = "/etc/resolv.conf";
    struct stat st;
    char path[PATH_LIMIT];
    if (options->network != SBX_NET_FULL || access(resolver, R_OK) != 0)
        return;
    if (options->image == NULL) {
        add(l, (struct layout_op){.what = LAYOUT_FILE, .mode = 0644, .source = resolver}, resolver);
        return;
    }
    (void)snprintf(path, sizeof path, "%s%s", options->image, resolver);
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) /* its etc is read-only: only an existing file can be covered */
        add(l, (struct layout_op){.what = LAYOUT_BIND_RO, .source = resolver}, resolver);
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
static sbx_status add_image_dir(struct layout *l, const char *image, const char *below, const char *const *skip,
                                size_t skip_count, struct sbx_call *call)
{
    char source[PATH_LIMIT], inside[PATH_LIMIT];
    (void)snprintf(source, sizeof source, "%s%s", image, below);
    CLEANUP_DIR DIR *dir = opendir(source);
    if (dir == NULL)
        return call_fail_errno(call, errno, "create: image '%s'", image);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || in_table(name, skip, skip_count))
            continue;
        int s = snprintf(source, sizeof source, "%s%s/%s", image, below, name);
        int i = snprintf(inside, sizeof inside, "%s/%s", below, name);
        if (s < 0 || i < 0 || (size_t)s >= sizeof source || (size_t)i >= sizeof inside)
            return call_fail(call, SBX_E_TOO_LARGE, "create: image '%s': path too long", image);
        add_entry(l, source, inside);
    }
    return SBX_OK;
}

static sbx_status add_image(struct layout *l, const char *image, struct sbx_call *call)
{
    static const char *const sandbox_home[] = {"sandbox"};
    struct stat st;
    char home[PATH_LIMIT];
    sbx_status status = add_image_dir(l, image, "", own_names, COUNT(own_names), call);
    (void)snprintf(home, sizeof home, "%s/home", image);
    if (status != SBX_OK || lstat(home, &st) != 0 || !S_ISDIR(st.st_mode))
        return status;
    return add_image_dir(l, image, "/home", sandbox_home, COUNT(sandbox_home), call);
}

static int is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

int layout_tree_of(const char *inside)
{
    for (int i = 0; i < (int)COUNT(layout_tree_targets); i++)
        if (is_below(inside, layout_tree_targets[i]))
            return i;
    return -1;
}

int layout_is_own(const char *inside)
{
    return layout_tree_of(inside) >= 0 || is_below(inside, "/proc") || is_below(inside, "/dev") ||
           is_below(inside, "/.sbx");
}

const char *layout_hidden(const struct layout_options *options)
{
    for (size_t i = 0; options->bind_ro != NULL && options->bind_ro[i] != NULL; i++)
        if (is_below(options->bind_ro[i], options->workdir) && layout_needs_workdir(options))
            return options->bind_ro[i];
    return NULL;
}

int layout_needs_workdir(const struct layout_options *options)
{
    struct stat st;
    char path[PATH_LIMIT];
    if (layout_tree_of(options->workdir) >= 0 || strcmp(options->workdir, "/") == 0)
        return 0;
    if (options->image != NULL) {
        (void)snprintf(path, sizeof path, "%s%s", options->image, options->workdir);
        return stat(path, &st) != 0 || !S_ISDIR(st.st_mode);
    }
    for (size_t i = 0; i < COUNT(system_entries); i++)
        if (is_below(options->workdir, system_entries[i]))
            return 0;
    return 1;
}

static void add_trees(struct layout *l, const struct layout_options *options)
{
    char source[PATH_LIMIT];
    for (size_t i = 0; i < LAYOUT_TREES; i++) {
        if (i == LAYOUT_WORKDIR && !layout_needs_workdir(options))
            continue;
        (void)snprintf(source, sizeof source, "%s/%s", options->tree, layout_tree_names[i]);
        add_bind(l, LAYOUT_BIND, source, i == LAYOUT_WORKDIR ? options->workdir : layout_tree_targets[i]);
    }
}

/* Bound, all sandboxes share its memory; copied, it works whatever rights the file has. */
static void add_guest(struct layout *l, const struct layout_options *options)
{
    struct stat st;
    int is_open = stat(options->guest, &st) == 0 && (st.st_mode & 05) == 05;
    add_parents(l, LAYOUT_GUEST);
    add(l,
        (struct layout_op){
            .what = options->staged && is_open ? LAYOUT_BIND_RO : LAYOUT_FILE, .mode = 0555, .source = options->guest},
        LAYOUT_GUEST);
}

sbx_status layout_build(const struct layout_options *options, struct sbx_call *call, struct layout *out)
{
    buf_init(&out->ops, OPS_LIMIT * sizeof(struct layout_op));
    sbx_status status = SBX_OK;
    if (options->image != NULL) {
        status = add_image(out, options->image, call);
    } else {
        for (size_t i = 0; i < COUNT(system_entries); i++)
            add_entry(out, system_entries[i], system_entries[i]);
        add_etc(out, options->hostname);
    }
    add_resolver(out, options);
    for (size_t i = 0; options->bind_ro != NULL && options->bind_ro[i] != NULL; i++)
        add_bind(out, LAYOUT_BIND_RO, options->bind_ro[i], options->bind_ro[i]);
    add(out, (struct layout_op){.what = LAYOUT_DIR, .mode = 0755}, "/proc");
    add(out, (struct layout_op){.what = LAYOUT_DEVICES}, "/dev");
    add(out, (struct layout_op){.what = LAYOUT_TMPFS, .mode = 01777, .size = SHM_BYTES}, "/dev/shm");
    add_trees(out, options);
    add_guest(out, options);
    if (status == SBX_OK && out->ops.failed != 0)
        status = call_fail_errno(call, out->ops.failed, "create: the sandbox's layout");
    return status;
}

const struct layout_op *layout_ops(const struct layout *layout, size_t *count)
{
    *count = layout->ops.len / sizeof(struct layout_op);
    return (const struct layout_op *)(const void *)layout->ops.data;
}

const char *layout_inside(const struct layout_op *op)
{
    return op->target + sizeof LAYOUT_ROOT - 1;
}

void layout_finish(struct layout *layout)
{
    size_t count = 0;
    const struct layout_op *ops = layout_ops(layout, &count);
    for (size_t i = 0; i < count; i++)
        free_op(&ops[i]);
    buf_finish(&layout->ops);
}
