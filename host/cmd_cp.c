/* SPDX-License-Identifier: MIT
 *
 * cmd_cp.c - sbxctl cp: files and trees, both ways. A path of the host that the caller named is written, and nothing
 * else: a file arrives under a temporary name beside it and is renamed over it, and a symlink there is refused.
 */
#include "host/cmd.h"
#include "host/json.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_TEXT = 256 }; /* a name and its NUL */

struct copy {
    struct cmd *c;
    sbx_sandbox *box;
    const char *remote; /* the argument, ID:PATH, for messages */
    const char *path;   /* in the sandbox */
    const char *local;  /* on the host, or "-" */
    const char *kind;   /* of what was copied */
    int up;             /* into the sandbox */
    int reserved0;
    uint64_t bytes; /* of the file in the sandbox; 0: not known */
    struct progress progress;
    char id[SBX_ID_SIZE];
};

static int is_stream(const char *local)
{
    return strcmp(local, "-") == 0;
}

static int fail_local(struct copy *k, const char *path, const char *what)
{
    const char *code = errno == ENOENT   ? "file_not_found"
                       : errno == EACCES ? "permission_denied"
                       : errno == EISDIR ? "is_directory"
                                         : "local_file";
    return cmd_own(k->c, path, code, "%s%s%s", what, *what == 0 ? "" : ": ", strerror(errno));
}

/* --- which is which --- */

/* Local: begins with a slash or a dot, is -, or has no colon. */
static const char *colon_of(const char *argument)
{
    return *argument == '/' || *argument == '.' || is_stream(argument) ? NULL : strchr(argument, ':');
}

static int split(struct copy *k, const char *remote)
{
    const char *colon = strchr(remote, ':');
    if (colon == remote)
        return cmd_usage(k->c, "'%s' names no sandbox; write ID:PATH", remote);
    if (colon[1] == 0)
        return cmd_usage(k->c, "'%s' names no path; write ID:PATH", remote);
    if ((size_t)(colon - remote) >= sizeof k->id)
        return cmd_usage(k->c, "'%.40s...' is too long for an id", remote);
    memcpy(k->id, remote, (size_t)(colon - remote));
    k->remote = remote;
    k->path = colon + 1;
    return 0;
}

/* The last name of a path, "" for one that ends with . or .. or is a root: then the content itself is meant. */
static void last_name(const char *path, char *out, size_t size)
{
    size_t end = strlen(path), start;
    while (end > 0 && path[end - 1] == '/')
        end--;
    start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    (void)snprintf(out, size, "%.*s", (int)(end - start), path + start);
    if (end - start >= size || strcmp(out, ".") == 0 || strcmp(out, "..") == 0 || strcmp(out, "~") == 0)
        out[0] = 0;
}

/* "a/b", or "a" when there is no name. NULL: no memory; the caller frees. */
static char *join(const char *dir, const char *name)
{
    size_t length = strlen(dir);
    char *out = NULL;
    if (*name == 0)
        return strdup(dir);
    if (asprintf(&out, "%s%s%s", dir, length > 0 && dir[length - 1] == '/' ? "" : "/", name) < 0)
        return NULL;
    return out;
}

static int ends_with_slash(const char *path)
{
    return path[strlen(path) - 1] == '/';
}

/* The verdict of a transfer that may have shown how far it was. */
static int verdict(struct copy *k, sbx_status code, const struct sbx_error *error)
{
    progress_end(&k->progress);
    if (code == SBX_OK)
        return 0;
    if (code == SBX_E_STOPPED && is_stream(k->local))
        return EXIT_SIGNAL + 13;
    return cmd_fail(k->c, k->remote, error);
}

/* A copy to standard output shows its own bytes where that is a terminal. */
static void begin(struct copy *k, uint64_t total)
{
    if (k->up || !is_stream(k->local) || isatty(1) != 1)
        progress_begin(&k->progress, k->c, total);
}

/* --- into the sandbox --- */

/* Where it goes: a directory that is there takes the source under its own name. The caller frees *out. */
static int remote_target(struct copy *k, char **out)
{
    struct sbx_file_stat st = SBX_INIT(st);
    struct sbx_error error = SBX_INIT(error);
    char name[NAME_MAX_TEXT];
    last_name(k->local, name, sizeof name);
    sbx_status code = sbx_stat(k->box, k->path, &k->c->call, &st, &error);
    int inside = (code == SBX_OK && st.type == SBX_FILE_DIRECTORY) ||
                 (code == SBX_E_NOT_FOUND && ends_with_slash(k->path) && strcmp(k->kind, "file") == 0);
    if (code != SBX_OK && code != SBX_E_NOT_FOUND && code != SBX_E_UNSUPPORTED)
        return cmd_fail(k->c, k->remote, &error);
    *out = inside ? join(k->path, name) : strdup(k->path);
    return *out == NULL ? cmd_no_memory(k->c) : 0;
}

static int put_file(struct copy *k, int fd, const struct stat *st, const char *path)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_transfer_options how = {
        .size = sizeof how, .flags = SBX_WRITE_PARENTS | SBX_TRANSFER_FD, .mode = st->st_mode & 0777, .fd = fd};
    begin(k, st->st_size > 0 ? (uint64_t)st->st_size : 0);
    return verdict(k, sbx_write_file(k->box, path, &how, &k->c->call, &error), &error);
}

static int put_stream(struct copy *k)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_transfer_options how = {.size = sizeof how, .flags = SBX_TRANSFER_FD, .fd = 0};
    if (!cmd_has(k->c, OPT_RECURSIVE)) {
        const struct stat unknown = {0};
        k->kind = "file";
        return put_file(k, 0, &unknown, k->path);
    }
    k->kind = "tar";
    begin(k, 0);
    return verdict(k, sbx_put_tar(k->box, k->path, &how, &k->c->call, &error), &error);
}

static int put(struct copy *k)
{
    CLEANUP_FREE char *target = NULL;
    struct sbx_error error = SBX_INIT(error);
    struct stat st;
    int code;
    if (is_stream(k->local))
        return put_stream(k);
    CLEANUP_FD int fd = open(k->local, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_local(k, k->local, "");
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return cmd_own(k->c, k->local, "invalid_path", "neither a file nor a directory; use - for a stream");
    k->kind = S_ISDIR(st.st_mode) ? "tree" : "file";
    code = remote_target(k, &target);
    if (code != 0)
        return code;
    if (S_ISREG(st.st_mode))
        return put_file(k, fd, &st, target);
    begin(k, 0);
    return verdict(k, sbx_put_tree(k->box, k->local, target, &k->c->call, &error), &error);
}

/* --- out of the sandbox --- */

static int get_tar(struct copy *k)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_transfer_options how = {.size = sizeof how, .flags = SBX_TRANSFER_FD, .fd = 1};
    if (isatty(1) == 1)
        return cmd_usage(k->c, "a tar does not go to a terminal; redirect standard output");
    k->kind = "tar";
    begin(k, 0);
    return verdict(k, sbx_get_tar(k->box, k->path, &how, &k->c->call, &error), &error);
}

static int get_to(struct copy *k, int fd)
{
    struct sbx_error error = SBX_INIT(error);
    struct sbx_transfer_options how = {.size = sizeof how, .flags = SBX_TRANSFER_FD, .fd = fd};
    begin(k, k->bytes);
    return verdict(k, sbx_read_file(k->box, k->path, &how, &k->c->call, &error), &error);
}

/* A new name beside `path`; the caller frees. */
static char *temporary_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 0 : (int)(slash - path) + 1;
    unsigned long long number = 0;
    char *out = NULL;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number ||
        asprintf(&out, "%.*s.sbx-%016llx", length, path, number) < 0)
        return NULL;
    return out;
}

/* A whole file or nothing appears under the name. */
static int get_file(struct copy *k, const char *path, mode_t mode)
{
    CLEANUP_FREE char *temporary = temporary_name(path);
    struct stat old;
    int code;
    if (temporary == NULL)
        return cmd_no_memory(k->c);
    CLEANUP_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return fail_local(k, path, "");
    if (lstat(path, &old) == 0 && S_ISREG(old.st_mode))
        (void)fchmod(fd, old.st_mode & 0777);
    code = get_to(k, fd);
    if (code == 0 && close(steal_fd(&fd)) != 0)
        code = fail_local(k, path, "");
    if (code == 0 && rename(temporary, path) != 0)
        code = fail_local(k, path, "");
    if (code != 0)
        (void)unlink(temporary);
    return code;
}

static int refuse_link(struct copy *k, const char *path)
{
    return cmd_own(k->c, path, "invalid_path", "a symbolic link; name its target, or use - for a stream");
}

/* What is wrong with a target that is no directory. 0: nothing. */
static int check_target(struct copy *k, int tree, const struct stat *st)
{
    if (st != NULL && S_ISLNK(st->st_mode))
        return refuse_link(k, k->local);
    errno = st == NULL ? ENOENT : ENOTDIR;
    if (!tree && ends_with_slash(k->local))
        return fail_local(k, k->local, "");
    return st != NULL && tree ? fail_local(k, k->local, "") : 0;
}

/* Where a file or tree goes on the host. The caller frees *out. */
static int local_target(struct copy *k, int tree, char **out)
{
    char name[NAME_MAX_TEXT] = "";
    struct stat st, target;
    int there = lstat(k->local, &st) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR)
        return fail_local(k, k->local, "");
    if (there && stat(k->local, &target) == 0 && S_ISDIR(target.st_mode)) {
        last_name(k->path, name, sizeof name);
    } else {
        int code = check_target(k, tree, there ? &st : NULL);
        if (code != 0)
            return code;
    }
    *out = join(k->local, name);
    return *out == NULL ? cmd_no_memory(k->c) : 0;
}

/* Devices, pipes and the like that the caller named are written as they are. */
static int get_special(struct copy *k, const char *path)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? fail_local(k, path, "") : get_to(k, fd);
}

static int get_named(struct copy *k, const struct sbx_file_stat *remote)
{
    CLEANUP_FREE char *target = NULL;
    struct sbx_error error = SBX_INIT(error);
    struct stat st;
    int tree = remote->type == SBX_FILE_DIRECTORY;
    int code = local_target(k, tree, &target);
    if (code != 0)
        return code;
    k->kind = tree ? "tree" : "file";
    if (tree) {
        begin(k, 0);
        return verdict(k, sbx_get_tree(k->box, k->path, target, &k->c->call, &error), &error);
    }
    int there = lstat(target, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return fail_local(k, target, "");
    }
    if (there && S_ISLNK(st.st_mode))
        return refuse_link(k, target);
    if (there && !S_ISREG(st.st_mode))
        return get_special(k, target);
    return get_file(k, target, (remote->known & SBX_STAT_MODE) != 0 ? remote->mode & 0777 : 0666);
}

static int get(struct copy *k)
{
    struct sbx_file_stat st = SBX_INIT(st);
    struct sbx_error error = SBX_INIT(error);
    sbx_status code = sbx_stat(k->box, k->path, &k->c->call, &st, &error);
    if (code != SBX_OK && code != SBX_E_UNSUPPORTED)
        return verdict(k, code, &error);
    k->bytes = (st.known & SBX_STAT_BYTES) != 0 ? st.bytes : 0;
    if (code == SBX_E_UNSUPPORTED)
        st.type = cmd_has(k->c, OPT_RECURSIVE) ? SBX_FILE_DIRECTORY : SBX_FILE_REGULAR;
    if (!is_stream(k->local))
        return get_named(k, &st);
    if (st.type == SBX_FILE_DIRECTORY)
        return get_tar(k);
    k->kind = "file";
    return get_to(k, 1);
}

static int copy_print(struct copy *k)
{
    struct json j;
    if (!cmd_has(k->c, OPT_JSON))
        return EXIT_FINE;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(k->box));
    json_text(&j, j.root, "path", k->path);
    json_text(&j, j.root, "local", k->local);
    json_text(&j, j.root, "kind", k->kind);
    return json_print(k->c, &j, EXIT_FINE);
}

static int check(struct copy *k)
{
    struct cmd *c = k->c;
    int from = colon_of(c->args[0]) != NULL, to = colon_of(c->args[1]) != NULL;
    int code;
    if (from && to)
        return cmd_usage(c, "both '%s' and '%s' are in a sandbox; one of them has to be a local path or -", c->args[0],
                         c->args[1]);
    if (!from && !to)
        return cmd_usage(c, "neither '%s' nor '%s' is in a sandbox; write ID:PATH for one of them", c->args[0],
                         c->args[1]);
    k->up = to;
    k->local = c->args[to ? 0 : 1];
    code = split(k, c->args[to ? 1 : 0]);
    if (code == 0 && *k->local == 0)
        code = cmd_usage(c, "the local path is empty; write . for this directory");
    if (code == 0 && !k->up && is_stream(k->local) && cmd_has(c, OPT_JSON))
        code = cmd_usage(c, "--json and - both want standard output; give one");
    return code;
}

int cmd_cp(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    struct copy k = {.c = c, .kind = "file"};
    int code = check(&k);
    if (code == 0)
        code = cmd_open_box(c, k.id, &ctx, &box);
    k.box = box;
    if (code == 0)
        code = k.up ? put(&k) : get(&k);
    return code == 0 ? copy_print(&k) : code;
}
