/* SPDX-License-Identifier: MIT
 *
 * entry.c - see entry.h.
 */
#include "plugins/docker/entry.h"

#include "base/cleanup.h"
#include "base/parse.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

/* This machine's id, or what little is known of it. */
static char *make_scope(const char *path)
{
    char machine[16] = "", *scope = NULL;
    CLEANUP_FD int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, machine, 12);
    if (n < 12 || strspn(machine, "0123456789abcdef") != 12)
        (void)snprintf(machine, sizeof machine, "local");
    return asprintf(&scope, "%s:%s", machine, path) < 0 ? NULL : scope;
}

sbx_status entries_init(struct entries *entries, const char *runtime_dir, char *instance, struct sbx_call *call)
{
    if (!folder_is_plain_name(instance))
        return call_fail(call, SBX_E_INVALID, "open: '%s' cannot be the name of an instance of docker", instance);
    if (runtime_dir != NULL && runtime_dir[0] != '/')
        return call_fail(call, SBX_E_CONFIG, "runtime_dir: '%s' is no absolute path", runtime_dir);
    entries->instance = instance;
    entries->base = runtime_dir != NULL ? strdup(runtime_dir) : folder_runtime_base();
    if (entries->base == NULL || asprintf(&entries->path, "%s/sbx/docker/%s", entries->base, instance) < 0) {
        entries->path = NULL;
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    }
    entries->scope = make_scope(entries->path);
    return entries->scope != NULL ? SBX_OK : call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
}

void entries_finish(struct entries *entries)
{
    free(entries->base);
    free(entries->path);
    free(entries->scope);
    memset(entries, 0, sizeof *entries);
}

sbx_status entries_open(const struct entries *entries, int make, struct sbx_call *call, int *fd)
{
    const char *const steps[] = {"sbx", "docker", entries->instance};
    const struct folder folder = {.base = entries->base, .steps = steps, .count = 3, .path = entries->path};
    return folder_open(&folder, make, call, fd);
}

int entry_is_key(const char *text)
{
    return text != NULL && strlen(text) == ENTRY_KEY_LENGTH && strspn(text, "0123456789abcdef") == ENTRY_KEY_LENGTH;
}

static int open_directory(int folder_fd, const char *name)
{
    return openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int entry_try_lock(int entry_fd)
{
    struct stat st;
    return flock(entry_fd, LOCK_EX | LOCK_NB) == 0 && fstat(entry_fd, &st) == 0 && st.st_nlink > 0;
}

sbx_status entry_make(const struct entries *entries, struct sbx_call *call, char key[ENTRY_KEY_SIZE], int *fd)
{
    uint64_t number = 0;
    CLEANUP_FD int folder_fd = -1;
    sbx_status status = entries_open(entries, 1, call, &folder_fd);
    if (status != SBX_OK)
        return status;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return call_fail_errno(call, errno, "create: no random number");
    (void)snprintf(key, ENTRY_KEY_SIZE, "%016llx", (unsigned long long)number);
    if (mkdirat(folder_fd, key, 0700) != 0)
        return call_fail_errno(call, errno, "create: '%s/%s'", entries->path, key);
    CLEANUP_FD int entry_fd = open_directory(folder_fd, key);
    /* A daemon that maps users must still reach what is in the box; nobody else can, since the folders above are
     * closed. */
    if (entry_fd < 0 || !entry_try_lock(entry_fd) || mkdirat(entry_fd, "box", 0755) != 0 ||
        fchmodat(entry_fd, "box", 0755, 0) != 0)
        return call_fail_errno(call, errno, "create: '%s/%s'", entries->path, key);
    *fd = steal_fd(&entry_fd);
    return SBX_OK;
}

int entry_open(const struct entries *entries, const char *key)
{
    CLEANUP_FD int folder_fd = -1;
    if (!entry_is_key(key) || entries_open(entries, 0, NULL, &folder_fd) != SBX_OK) {
        errno = ENOENT;
        return -1;
    }
    return open_directory(folder_fd, key);
}

/* Every file of a directory that is ours alone; what is no file stays. */
static void empty(int parent_fd, const char *name)
{
    CLEANUP_FD int fd = open_directory(parent_fd, name);
    CLEANUP_DIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return;
    int dir_fd = steal_fd(&fd);
    for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir))
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
            (void)unlinkat(dir_fd, item->d_name, 0);
}

void entry_remove(const struct entries *entries, const char *key)
{
    CLEANUP_FD int folder_fd = -1;
    if (!entry_is_key(key) || entries_open(entries, 0, NULL, &folder_fd) != SBX_OK)
        return;
    CLEANUP_FD int entry_fd = open_directory(folder_fd, key);
    if (entry_fd < 0)
        return;
    empty(entry_fd, "box");
    (void)unlinkat(entry_fd, "box", AT_REMOVEDIR);
    empty(folder_fd, key);
    (void)unlinkat(folder_fd, key, AT_REMOVEDIR);
}

/* --- small files ------------------------------------------------------------------------------------------------- */

int entry_has(int entry_fd, const char *name)
{
    return faccessat(entry_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int entry_drop(int entry_fd, const char *name)
{
    return unlinkat(entry_fd, name, 0) == 0 || errno == ENOENT ? 0 : -1;
}

int64_t entry_number(int entry_fd, const char *name)
{
    int64_t number = 0;
    CLEANUP_BUF struct buf text;
    buf_init(&text, ENTRY_FILE_LIMIT);
    if (folder_read(entry_fd, name, &text) != 0 || buf_append(&text, "", 1) != 0 || parse_int(text.data, &number) != 0)
        return 0;
    return number;
}
