/* SPDX-License-Identifier: MIT
 *
 * folder.c - see folder.h.
 */
#include "plugins/common/folder.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { PATH_LIMIT = 4096 };

static char *join(const char *a, const char *b)
{
    struct buf text;
    buf_init(&text, PATH_LIMIT);
    (void)buf_format(&text, "%s%s", a, b);
    char *path = buf_steal(&text);
    buf_finish(&text);
    return path;
}

static const char *absolute(const char *path)
{
    return path != NULL && path[0] == '/' ? path : NULL;
}

/* $HOME, or the user's entry. */
static char *home_plus(const char *rest)
{
    struct passwd entry, *found = NULL;
    char text[4096];
    const char *home = absolute(secure_getenv("HOME"));
    if (home == NULL && getpwuid_r(geteuid(), &entry, text, sizeof text, &found) == 0 && found != NULL)
        home = absolute(found->pw_dir);
    return join(home == NULL ? "/nonexistent" : home, rest);
}

/* Root's session folder ends with the session, a sandbox does not: it counts as not set. */
char *folder_runtime_base(void)
{
    const char *path = absolute(secure_getenv("XDG_RUNTIME_DIR"));
    if (geteuid() == 0)
        return join(path == NULL || strcmp(path, "/run/user/0") == 0 ? "/run" : path, "");
    return path != NULL ? join(path, "") : home_plus("/.local/state/sbx-run");
}

char *folder_state_base(void)
{
    const char *path = absolute(secure_getenv("XDG_STATE_HOME"));
    if (path != NULL)
        return join(path, "");
    return geteuid() == 0 ? join("/var/lib", "") : home_plus("/.local/state");
}

int folder_is_plain_name(const char *name)
{
    return name[0] != '.' && name[0] != '\0' && strchr(name, '/') == NULL && strlen(name) < 200;
}

/* mkdir -p for a base such as ~/.local/state. */
static void make_base(const char *path)
{
    CLEANUP_FREE char *copy = join(path, "");
    for (char *at = copy == NULL ? NULL : strchr(copy + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(copy, 0700);
        *at = '/';
    }
    (void)mkdir(path, 0700);
}

static int is_ours(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

sbx_status folder_open(const struct folder *folder, int make, struct sbx_call *call, int *fd)
{
    const char *verb = make ? "create" : "attach";
    CLEANUP_FD int at = open(folder->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0 && make) {
        make_base(folder->base);
        at = open(folder->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    for (size_t i = 0; i < folder->count && at >= 0; i++) {
        if (make && mkdirat(at, folder->steps[i], 0700) != 0 && errno != EEXIST)
            return call_fail_errno(call, errno, "%s: cannot make '%s'", verb, folder->path);
        int next = openat(at, folder->steps[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int saved = errno;
        (void)close(steal_fd(&at));
        errno = saved;
        at = next;
        if (at >= 0 && !is_ours(at))
            return call_fail(call, SBX_E_CONFIG,
                             "%s: '%s' belongs to somebody else or is open to others; chmod 700 it "
                             "or remove it",
                             verb, folder->path);
    }
    if (at < 0)
        return call_fail_errno(call, errno, "%s: '%s'", verb, folder->path);
    *fd = steal_fd(&at);
    return SBX_OK;
}

/* --- small files ------------------------------------------------------------------------------------------------- */

int folder_write_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int folder_write(int dir_fd, const char *name, const void *data, size_t len)
{
    char fresh[64]; /* a name of its own, for another process may do the same */
    uint32_t number = 0;
    (void)!getrandom(&number, sizeof number, GRND_NONBLOCK);
    (void)snprintf(fresh, sizeof fresh, ".%s-%08" PRIx32, name, number);
    CLEANUP_FD int fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = folder_write_all(fd, data, len);
    if (error == 0 && renameat(dir_fd, fresh, dir_fd, name) != 0)
        error = errno;
    if (error != 0)
        (void)unlinkat(dir_fd, fresh, 0);
    return error;
}

int folder_read(int dir_fd, const char *name, struct buf *to)
{
    CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return EBADMSG;
    for (;;) {
        char *space = buf_space(to, 4096);
        if (space == NULL)
            return to->failed;
        ssize_t n = read(fd, space, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : 0;
        to->len += (size_t)n;
    }
}
