/* SPDX-License-Identifier: MIT
 *
 * sandbox.c - finding, ending and cleaning up after sandboxes.
 */
#include "plugins/local/sandbox.h"

#include "base/cleanup.h"
#include "guest/wire.h"
#include "plugins/common/guest_socket.h"
#include "plugins/local/cgroup.h"
#include "plugins/local/fds.h"
#include "plugins/local/launch.h"
#include "plugins/local/snapshot.h"
#include "plugins/local/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { KILL_MS = 10000, SHUTDOWN_MS = 2000 };
enum { SIGNAL_GROUP = 4 }; /* PIDFD_SIGNAL_PROCESS_GROUP, since Linux 6.9 */

/* --- is it alive? ---------------------------------------------------------------------------------------------- */

static ssize_t read_text(const char *path, char *text, size_t cap)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);
    text[n < 0 ? 0 : n] = '\0';
    return n;
}

/* The start time of a process that is no zombie, and whether its name is that of a suspended sandbox's guest, which
 * nobody in the sandbox can give it. 0, or an errno. */
static int process_look(int64_t pid, uint64_t *start, int *suspended)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (read_text(path, text, sizeof text) <= 0)
        return ESRCH;
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    if (at == NULL || at[1] == '\0' || at[2] == 'Z' || at[2] == 'X')
        return ESRCH;
    static const char name[] = "(" WIRE_ASLEEP_NAME;
    const char *opening = strchr(text, '(');
    *suspended =
        opening != NULL && (size_t)(at - opening) == sizeof name - 1 && strncmp(opening, name, sizeof name - 1) == 0;
    at += 2;
    for (int field = 3; field < 22; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return EBADMSG;
        at++;
    }
    *start = strtoull(at, NULL, 10);
    return 0;
}

static int process_start(int64_t pid, uint64_t *start)
{
    int suspended = 0;
    return process_look(pid, start, &suspended);
}

int sandbox_stamp(const struct sbx_backend *b, struct record *record, int64_t pid)
{
    record->boot = b->store.boot;
    record->pid_space = b->store.pid_space;
    record->pid = 0;
    int error = pid == 0 ? 0 : process_start(pid, &record->start);
    if (error == 0)
        record->pid = pid;
    return error;
}

int sandbox_state(const struct sbx_backend *b, const struct record *record)
{
    uint64_t start = 0;
    int suspended = 0;
    if (record->boot == NULL || strcmp(record->boot, b->store.boot) != 0)
        return SANDBOX_DEAD;
    if (record->pid_space != b->store.pid_space)
        return SANDBOX_FOREIGN;
    if (record->pid == 0)
        return SANDBOX_STARTING;
    if (process_look(record->pid, &start, &suspended) != 0 || start != record->start)
        return SANDBOX_DEAD;
    return suspended ? SANDBOX_SUSPENDED : SANDBOX_RUNNING;
}

/* --- finding --------------------------------------------------------------------------------------------------- */

static sbx_status fail_missing(const char *id, struct sbx_call *call)
{
    return call_fail(call, SBX_E_NOT_FOUND, "no such sandbox: '%s'", id);
}

sbx_status sandbox_load(int runtime_fd, const char *id, struct sbx_call *call, struct record *record, int *entry_fd)
{
    CLEANUP_FD int fd = store_open_entry(runtime_fd, id);
    int error = fd < 0 ? errno : record_read(fd, record);
    if (error == ENOENT)
        return fail_missing(id, call);
    if (error == EBADMSG)
        return call_fail(call, SBX_E_FAILED, "sandbox %s: its record is damaged, or of a newer version", id);
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its record", id);
    if (strcmp(record->id, id) != 0) {
        record_finish(record);
        return call_fail(call, SBX_E_FAILED, "sandbox %s: its record is of another one", id);
    }
    *entry_fd = steal_fd(&fd);
    return SBX_OK;
}

static sbx_status find_by_name(struct sbx_backend *b, int runtime_fd, const char *name, struct sbx_call *call,
                               struct record *record, int *entry_fd)
{
    CLEANUP(store_ids_finish) struct store_ids ids;
    sbx_status status = store_list(runtime_fd, call, &ids);
    for (size_t i = 0; status == SBX_OK && i < ids.count; i++) {
        if (sandbox_load(runtime_fd, ids.items[i], NULL, record, entry_fd) != SBX_OK)
            continue;
        if (record->name != NULL && strcmp(record->name, name) == 0 && sandbox_lives(sandbox_state(b, record)))
            return SBX_OK;
        record_finish(record);
        (void)close(steal_fd(entry_fd));
    }
    return status != SBX_OK ? status : fail_missing(name, call);
}

sbx_status sandbox_find(struct sbx_backend *b, const char *id_or_name, struct sbx_call *call, struct record *record,
                        int *entry_fd)
{
    CLEANUP_FD int runtime_fd = -1;
    sbx_status status = store_open(&b->store, STORE_RUNTIME, 0, call, &runtime_fd);
    if (status == SBX_E_NOT_FOUND)
        return fail_missing(id_or_name, call);
    if (status != SBX_OK)
        return status;
    if (!record_is_id(id_or_name))
        return find_by_name(b, runtime_fd, id_or_name, call, record, entry_fd);
    status = sandbox_load(runtime_fd, id_or_name, call, record, entry_fd);
    if (status != SBX_OK || sandbox_lives(sandbox_state(b, record)))
        return status;
    int foreign = sandbox_state(b, record) == SANDBOX_FOREIGN;
    record_finish(record);
    (void)close(steal_fd(entry_fd));
    if (foreign)
        return call_fail(call, SBX_E_UNAVAILABLE, "sandbox %s belongs to another pid namespace of this machine",
                         id_or_name);
    sandbox_clean(b, runtime_fd, id_or_name);
    return fail_missing(id_or_name, call);
}

/* --- the socket ------------------------------------------------------------------------------------------------ */

int sandbox_listen(int fd, int entry_fd)
{
    return guest_socket_bind(fd, entry_fd, "sock");
}

sbx_status sandbox_connect(struct sbx_backend *b, const char *id, struct sbx_call *call, int *out)
{
    CLEANUP_FD int runtime_fd = -1;
    CLEANUP_FD int entry_fd = -1;
    if (store_open(&b->store, STORE_RUNTIME, 0, NULL, &runtime_fd) == SBX_OK)
        entry_fd = store_open_entry(runtime_fd, id);
    if (entry_fd < 0)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", id);
    return guest_socket_connect(entry_fd, "sock", id, call, out);
}

/* --- the end --------------------------------------------------------------------------------------------------- */

/* Ends the guest, and with it every process of its pid namespace. *pidfd: who to wait for, -1 when it is dead. */
static sbx_status kill_guest(const struct record *record, struct sbx_call *call, int *pidfd)
{
    CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, (pid_t)record->pid, 0);
    uint64_t start = 0;
    *pidfd = -1;
    if (fd < 0 && errno != ESRCH)
        return call_fail_errno(call, errno, "sandbox %s: its process", record->id);
    /* Asked after opening: the descriptor then is of the process whose start time this is. */
    if (fd < 0 || process_start(record->pid, &start) != 0 || start != record->start)
        return SBX_OK;
    /* Its group, where the kernel can: that ends the processes beside it at once, not after it. */
    if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, SIGNAL_GROUP) != 0 &&
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
        return call_fail_errno(call, errno, "sandbox %s: ending it", record->id);
    *pidfd = steal_fd(&fd);
    return SBX_OK;
}

/* SBX_OK once all of them are dead. */
static sbx_status wait_dead(int pidfd, const char *id, struct sbx_call *call)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    int ready = 0;
    sbx_status status = call_poll(call, &fd, 1, clock_now_ns() + KILL_MS * MS_NS, &ready);
    if (status == SBX_OK && ready == 0)
        status = call_fail(call, SBX_E_BUSY, "sandbox %s: its processes do not end", id);
    return status;
}

struct shutdown_target {
    struct sbx_backend *backend;
    const char *id;
};

static sbx_status connect_target(void *user, struct sbx_call *call, int *fd)
{
    struct shutdown_target *target = user;
    return sandbox_connect(target->backend, target->id, call, fd);
}

/* A guest whose creator died before it wrote down the guest's pid. */
static void shut_down_unrecorded(struct sbx_backend *b, const char *id)
{
    struct shutdown_target target = {b, id};
    struct guest_link_options options = {.connect = connect_target, .user = &target};
    struct sbx_call call = {.size = sizeof call, .deadline_ns = clock_now_ns() + SHUTDOWN_MS * MS_NS};
    struct guest_link *link = guest_open(&options);
    if (link != NULL)
        (void)guest_shutdown(link, &call);
    guest_close(link);
}

struct tree_job {
    int parent_fd;
    const char *name;
};

static int run_tree_remove(void *user)
{
    struct tree_job *job = user;
    return tree_remove(job->parent_fd, job->name) == 0 ? 0 : 1;
}

/* A user's subordinate ids own what is in a tree, so that user removes it from inside their mapping. */
sbx_status sandbox_remove_tree(int parent_fd, const char *name, const struct ids *ids, struct sbx_call *call)
{
    int map_failed = 0, error = tree_remove(parent_fd, name);
    if (error == 0)
        return SBX_OK;
    if (ids->kind != IDS_MAPPED_SUBIDS)
        return call_fail_errno(call, error, "sandbox %s: removing its files", name);
    struct tree_job job = {parent_fd, name};
    struct launch_plan plan = {.step = "remove", .ids = ids, .own_users = 1, .run = run_tree_remove, .user = &job};
    return launch_start(&plan, call, &map_failed);
}

static sbx_status remove_tree(struct sbx_backend *b, const char *id, const struct ids *ids, struct sbx_call *call)
{
    CLEANUP_FD int state_fd = -1;
    sbx_status status = store_open(&b->store, STORE_STATE, 0, call, &state_fd);
    if (status != SBX_OK)
        return status == SBX_E_NOT_FOUND ? SBX_OK : status;
    return sandbox_remove_tree(state_fd, id, ids, call);
}

/* What is empty of a dying sandbox's tree: nothing can be put into a directory that was removed, so this needs not wait
 * for its last process. */
static void prune_tree(struct sbx_backend *b, const char *id)
{
    CLEANUP_FD int state_fd = -1;
    if (store_open(&b->store, STORE_STATE, 0, NULL, &state_fd) != SBX_OK)
        return;
    CLEANUP_FD int tree_fd = store_open_entry(state_fd, id);
    for (size_t i = 0; tree_fd >= 0 && i < LAYOUT_TREES; i++)
        (void)unlinkat(tree_fd, layout_tree_names[i], AT_REMOVEDIR);
}

static sbx_status end_processes(struct sbx_backend *b, const struct record *record, struct sbx_call *call)
{
    CLEANUP_FD int pidfd = -1;
    if (record->pid == 0) {
        shut_down_unrecorded(b, record->id);
        return SBX_OK;
    }
    sbx_status status = kill_guest(record, call, &pidfd);
    if (status != SBX_OK || pidfd < 0)
        return status;
    prune_tree(b, record->id);
    return wait_dead(pidfd, record->id, call);
}

sbx_status sandbox_end(struct sbx_backend *b, int runtime_fd, int entry_fd, const struct record *record,
                       struct sbx_call *call)
{
    sbx_status status = end_processes(b, record, call);
    if (status != SBX_OK)
        return status;
    lifelines_drop(&b->lifelines, record->id);
    for (size_t i = 0; i < record->cgroup_count; i++)
        cgroup_remove(record->cgroups[i], record->id);
    status = remove_tree(b, record->id, &record->ids, call);
    if (status != SBX_OK)
        return status;
    int error = tree_empty(entry_fd);
    if (unlinkat(runtime_fd, record->id, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return call_fail_errno(call, error != 0 ? error : errno, "sandbox %s: removing its record", record->id);
    return SBX_OK;
}

sbx_status sandbox_destroy(struct sbx_backend *b, const char *id, struct sbx_call *call)
{
    CLEANUP_FD int runtime_fd = -1;
    CLEANUP_FD int entry_fd = -1;
    CLEANUP(record_finish) struct record record = {0};
    if (store_open(&b->store, STORE_RUNTIME, 0, NULL, &runtime_fd) != SBX_OK)
        return SBX_OK;
    entry_fd = store_open_entry(runtime_fd, id);
    if (entry_fd < 0)
        return SBX_OK;
    sbx_status status = store_lock(entry_fd, id, call);
    if (status != SBX_OK)
        return status == SBX_E_NOT_FOUND ? SBX_OK : status;
    int error = record_read(entry_fd, &record);
    if (error == ENOENT)
        return SBX_OK; /* a leftover: the sweep's */
    if (error != 0)
        return call_fail_errno(call, error, "sandbox %s: its record", id);
    if (sandbox_state(b, &record) == SANDBOX_FOREIGN)
        return call_fail(call, SBX_E_UNAVAILABLE, "sandbox %s belongs to another pid namespace of this machine", id);
    return sandbox_end(b, runtime_fd, entry_fd, &record, call);
}

/* --- leftovers --------------------------------------------------------------------------------------------------- */

void sandbox_clean(struct sbx_backend *b, int runtime_fd, const char *id)
{
    CLEANUP_FD int entry_fd = store_open_entry(runtime_fd, id);
    CLEANUP(record_finish) struct record record = {0};
    int error = entry_fd < 0 ? ENOENT : record_read(entry_fd, &record);
    int state = error == 0 ? sandbox_state(b, &record) : SANDBOX_STARTING;
    if (entry_fd < 0 || (error != 0 && error != ENOENT) || sandbox_lives(state) || state == SANDBOX_FOREIGN)
        return;
    if (!store_try_lock(entry_fd))
        return; /* being made, or being removed */
    record_finish(&record);
    error = record_read(entry_fd, &record);
    if (error == ENOENT) { /* its creator died before the guest's pid was known */
        record.id = id;
        if (ids_choose(&b->config.ids, 0, NULL, &record.ids) == SBX_OK)
            (void)sandbox_end(b, runtime_fd, entry_fd, &record, NULL);
        return;
    }
    state = error == 0 ? sandbox_state(b, &record) : SANDBOX_FOREIGN;
    if (state == SANDBOX_DEAD || state == SANDBOX_STARTING)
        (void)sandbox_end(b, runtime_fd, entry_fd, &record, NULL);
}

/* A tree without a runtime entry: left by a process that died while it removed. */
static void clean_orphan_tree(struct sbx_backend *b, int runtime_fd, const char *id)
{
    struct stat st;
    struct ids ids;
    if (fstatat(runtime_fd, id, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return;
    if (ids_choose(&b->config.ids, 0, NULL, &ids) == SBX_OK)
        (void)remove_tree(b, id, &ids, NULL);
}

/* Trees of earlier boots. */
static void clean_old_trees(struct sbx_backend *b, int state_fd)
{
    struct ids ids;
    CLEANUP_FD int parent_fd = fds_high(openat(state_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CLEANUP_FD int list_fd = parent_fd < 0 ? -1 : openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_DIR DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
    if (dir == NULL)
        return;
    (void)steal_fd(&list_fd);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (store_is_old_tag(&b->store, entry->d_name) && ids_choose(&b->config.ids, 0, NULL, &ids) == SBX_OK)
            (void)sandbox_remove_tree(parent_fd, entry->d_name, &ids, NULL);
}

static void sweep_folder(struct sbx_backend *b, int runtime_fd, int state_fd, size_t most)
{
    CLEANUP(store_ids_finish) struct store_ids ids;
    uint32_t first = 0;
    if (store_list(state_fd >= 0 ? state_fd : runtime_fd, NULL, &ids) != SBX_OK)
        return;
    (void)!getrandom(&first, sizeof first, GRND_NONBLOCK);
    for (size_t i = 0; i < ids.count && (most == 0 || i < most); i++) {
        const char *id = ids.items[(first + i) % ids.count];
        if (state_fd >= 0)
            clean_orphan_tree(b, runtime_fd, id);
        else
            sandbox_clean(b, runtime_fd, id);
    }
}

void sandbox_sweep(struct sbx_backend *b, size_t most)
{
    CLEANUP_FD int runtime_fd = -1;
    CLEANUP_FD int state_fd = -1;
    if (store_open(&b->store, STORE_RUNTIME, 0, NULL, &runtime_fd) != SBX_OK)
        return;
    sweep_folder(b, runtime_fd, -1, most);
    if (store_open(&b->store, STORE_STATE, 0, NULL, &state_fd) != SBX_OK)
        return;
    sweep_folder(b, runtime_fd, state_fd, most);
    if (most == 0) {
        clean_old_trees(b, state_fd);
        snapshot_sweep(b);
    }
}
