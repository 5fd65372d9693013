/* SPDX-License-Identifier: MIT
 *
 * store.c - the folders of the sandboxes.
 */
#include "plugins/local/store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "plugins/common/folder.h"
#include "plugins/local/fds.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { PATH_LIMIT = 4096, IDS_LIMIT = 1 << 20, LOCK_POLL_MS = 5 };
static const int open_dir_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/* 32 bits of FNV-1a are enough to tell a user's few runtime folders apart. */
static uint32_t hash_text(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

static void identify(struct store *store)
{
    struct stat st;
    CLEANUP_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, store->boot, sizeof store->boot - 1);
    store->boot[n < 0 ? 0 : n] = '\0';
    store->boot[strcspn(store->boot, "\n")] = '\0';
    store->pid_space = stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
    (void)snprintf(store->tag, sizeof store->tag, "%.8s-%08x", store->boot, hash_text(store->path[STORE_RUNTIME]));
}

int store_is_old_tag(const struct store *store, const char *name)
{
    return strlen(name) == 17 && name[8] == '-' && strspn(name, "0123456789abcdef-") == 17 && strlen(store->boot) > 8 &&
           strncmp(name, store->boot, 8) != 0;
}

static int is_relative(const char *path)
{
    return path != NULL && path[0] != '/';
}

/* The last step to a folder; NULL: the instance's own is it. */
static const char *last_step(const struct store *store, int which)
{
    return which == STORE_STATE ? store->tag : which == STORE_SNAPSHOTS ? "snapshots" : NULL;
}

static char *join_path(const struct store *store, int which)
{
    struct buf text;
    buf_init(&text, PATH_LIMIT);
    if (store->base[which] != NULL && store->instance != NULL)
        (void)buf_format(&text, "%s/sbx/local/%s%s%s", store->base[which], store->instance,
                         last_step(store, which) != NULL ? "/" : "",
                         last_step(store, which) != NULL ? last_step(store, which) : "");
    char *path = text.len == 0 ? NULL : buf_steal(&text);
    buf_finish(&text);
    return path;
}

sbx_status store_init(struct store *store, const char *instance, const char *runtime, const char *state,
                      struct sbx_call *call)
{
    memset(store, 0, sizeof *store);
    if (instance == NULL || !folder_is_plain_name(instance))
        return call_fail(call, SBX_E_INVALID, "open: '%s' cannot be the name of an instance of local",
                         instance == NULL ? "" : instance);
    if (is_relative(runtime) || is_relative(state))
        return call_fail(call, SBX_E_CONFIG, "%s: '%s' is no absolute path",
                         is_relative(runtime) ? "runtime_dir" : "state_dir", is_relative(runtime) ? runtime : state);
    store->base[STORE_RUNTIME] = runtime != NULL ? strdup(runtime) : folder_runtime_base();
    store->base[STORE_STATE] = state != NULL ? strdup(state) : folder_state_base();
    store->base[STORE_SNAPSHOTS] = store->base[STORE_STATE] == NULL ? NULL : strdup(store->base[STORE_STATE]);
    store->instance = strdup(instance);
    store->path[STORE_RUNTIME] = join_path(store, STORE_RUNTIME);
    if (store->path[STORE_RUNTIME] != NULL)
        identify(store);
    store->path[STORE_STATE] = join_path(store, STORE_STATE);
    store->path[STORE_SNAPSHOTS] = join_path(store, STORE_SNAPSHOTS);
    if (store->path[STORE_RUNTIME] != NULL && store->path[STORE_STATE] != NULL && store->path[STORE_SNAPSHOTS] != NULL)
        return SBX_OK;
    store_finish(store);
    return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
}

void store_finish(struct store *store)
{
    for (int i = 0; i < STORE_FOLDERS; i++) {
        free(store->base[i]);
        free(store->path[i]);
    }
    free(store->instance);
    memset(store, 0, sizeof *store);
}

sbx_status store_open(const struct store *store, int which, int make, struct sbx_call *call, int *fd)
{
    const char *const steps[] = {"sbx", "local", store->instance, last_step(store, which)};
    size_t count = steps[3] != NULL ? 4 : 3;
    CLEANUP_FD int at = -1;
    const struct folder folder = {
        .base = store->base[which], .steps = steps, .count = count, .path = store->path[which]};
    sbx_status status = folder_open(&folder, make, call, &at);
    if (status != SBX_OK)
        return status;
    *fd = fds_high(steal_fd(&at));
    if (*fd < 0)
        return call_fail_errno(call, errno, "%s: '%s'", make ? "create" : "attach", store->path[which]);
    return SBX_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, RECORD_ID_LENGTH);
}

sbx_status store_list(int folder_fd, struct sbx_call *call, struct store_ids *out)
{
    memset(out, 0, sizeof *out);
    struct buf ids;
    buf_init(&ids, IDS_LIMIT * (RECORD_ID_LENGTH + 1));
    int fd = openat(folder_fd, ".", open_dir_flags);
    CLEANUP_DIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        call_fail_errno(call, errno, "list: the folder of the sandboxes");
        if (fd >= 0)
            (void)close(fd);
        return SBX_E_FAILED;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (record_is_id(entry->d_name) && buf_append(&ids, entry->d_name, RECORD_ID_LENGTH + 1) == 0)
            out->count++;
    int failed = ids.failed;
    out->items = (char(*)[RECORD_ID_LENGTH + 1])(void *)buf_steal(&ids);
    buf_finish(&ids);
    if (failed != 0 || out->items == NULL) {
        store_ids_finish(out);
        return call_fail(call, SBX_E_NO_MEMORY, "list: no memory");
    }
    qsort(out->items, out->count, RECORD_ID_LENGTH + 1, compare_ids);
    return SBX_OK;
}

void store_ids_finish(struct store_ids *ids)
{
    free(ids->items);
    memset(ids, 0, sizeof *ids);
}

int store_open_entry(int folder_fd, const char *id)
{
    return openat(folder_fd, id, open_dir_flags);
}

static int still_there(int entry_fd)
{
    struct stat st;
    return fstat(entry_fd, &st) == 0 && st.st_nlink > 0;
}

int store_try_lock(int entry_fd)
{
    return flock(entry_fd, LOCK_EX | LOCK_NB) == 0 && still_there(entry_fd);
}

sbx_status store_lock(int entry_fd, const char *id, struct sbx_call *call)
{
    while (flock(entry_fd, LOCK_EX | LOCK_NB) != 0) {
        int ready = 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return call_fail_errno(call, errno, "sandbox %s: lock", id);
        sbx_status status = call_poll(call, NULL, 0, clock_now_ns() + LOCK_POLL_MS * INT64_C(1000000), &ready);
        if (status != SBX_OK)
            return status;
    }
    return still_there(entry_fd) ? SBX_OK : call_fail(call, SBX_E_NOT_FOUND, "no such sandbox: %s", id);
}
