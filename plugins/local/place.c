/* SPDX-License-Identifier: MIT
 *
 * place.c - a new sandbox's id, record and directories.
 */
#include "plugins/local/create.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { TRIES = 64 };

/* --- its place -----------------------------------------------------------------------------------------------------
 */

struct census { /* of the sandboxes that live or are being made */
    size_t count;
    char same_name[RECORD_ID_LENGTH + 1];
};

static int same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static sbx_status count_others(struct making *m, struct census *census)
{
    CLEANUP(store_ids_finish) struct store_ids ids;
    sbx_status status = store_list(m->runtime_fd, m->call, &ids);
    for (size_t i = 0; status == SBX_OK && i < ids.count; i++) {
        CLEANUP(record_finish) struct record other = {0};
        CLEANUP_FD int fd = -1;
        if (sandbox_load(m->runtime_fd, ids.items[i], NULL, &other, &fd) != SBX_OK ||
            sandbox_state(m->b, &other) == SANDBOX_DEAD)
            continue;
        census->count++;
        if (same(other.name, m->record.name))
            memcpy(census->same_name, other.id, sizeof census->same_name);
    }
    return status;
}

/* A token leads to its id, so that it finds its sandbox without a look at any other; `turn` is for two tokens that lead
 * to one. FNV-1a, then a mixer, since its last bytes alone hardly change the first digits. */
static uint64_t hash_token(const char *token, uint64_t turn)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *token != '\0'; token++)
        hash = (hash ^ (unsigned char)*token) * UINT64_C(1099511628211);
    hash += turn * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 31;
}

enum { ENTRY_OTHER, ENTRY_TWIN, ENTRY_FREE };

/* What is at our token's id: waits for whoever is at it. */
static sbx_status look_at_entry(struct making *m, int *answer)
{
    CLEANUP(record_finish) struct record other = {0};
    CLEANUP_FD int fd = store_open_entry(m->runtime_fd, m->id);
    *answer = ENTRY_FREE;
    sbx_status status = fd < 0 ? SBX_E_NOT_FOUND : store_lock(fd, m->id, m->call);
    if (status != SBX_OK)
        return status == SBX_E_NOT_FOUND ? SBX_OK : status;
    int error = record_read(fd, &other);
    if (error == 0 && sandbox_state(m->b, &other) >= SANDBOX_RUNNING) {
        *answer = same(other.token, m->record.token) ? ENTRY_TWIN : ENTRY_OTHER;
        return SBX_OK;
    }
    (void)close(steal_fd(&fd)); /* a leftover: the lock is the cleaner's now */
    sandbox_clean(m->b, m->runtime_fd, m->id);
    return SBX_OK;
}

static sbx_status next_id(struct making *m, uint64_t turn)
{
    uint64_t number = 0;
    if (m->record.token != NULL)
        number = hash_token(m->record.token, turn);
    else if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return call_fail_errno(m->call, errno, "create: random numbers");
    (void)snprintf(m->id, sizeof m->id, "%016llx", (unsigned long long)number);
    return SBX_OK;
}

/* A locked directory of its own. twin_id is set instead when the token has its sandbox. */
static sbx_status make_entry(struct making *m, char twin_id[RECORD_ID_LENGTH + 1])
{
    uint64_t turn = 0;
    for (int tries = 0; tries < TRIES; tries++) {
        int answer = ENTRY_FREE;
        sbx_status status = next_id(m, turn);
        if (status != SBX_OK)
            return status;
        if (mkdirat(m->runtime_fd, m->id, 0700) == 0) {
            m->entry_fd = store_open_entry(m->runtime_fd, m->id);
            if (m->entry_fd >= 0 && store_try_lock(m->entry_fd)) {
                m->record.id = m->id;
                return SBX_OK;
            }
            create_close(&m->entry_fd, 1); /* a sweep was faster */
            continue;
        }
        if (errno != EEXIST)
            return call_fail_errno(m->call, errno, "create: '%s'", m->b->store.path[STORE_RUNTIME]);
        status = m->record.token == NULL ? SBX_OK : look_at_entry(m, &answer);
        if (status != SBX_OK)
            return status;
        if (answer == ENTRY_TWIN) {
            memcpy(twin_id, m->id, sizeof m->id);
            return SBX_OK;
        }
        turn += answer == ENTRY_OTHER;
    }
    return call_fail(m->call, SBX_E_BUSY, "create: no free id");
}

int place_record(struct making *m, int64_t pid)
{
    int error = sandbox_stamp(m->b, &m->record, pid);
    return error != 0 ? error : record_write(m->entry_fd, &m->record);
}

static int is_alone(const struct making *m)
{
    return m->record.name == NULL && m->b->config.max_sandboxes == 0;
}

static sbx_status take_ids(struct making *m)
{
    uint64_t seed = 0;
    const char *user = m->record.user;
    memcpy(&seed, m->id, sizeof seed);
    seed = seed * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    sbx_status status = ids_choose(&m->b->config.ids, seed, m->call, &m->record.ids);
    m->record.processes = m->b->config.processes;
    if (status != SBX_OK || m->record.ids.kind != IDS_SINGLE)
        return status;
    if (user == NULL || strcmp(user, "sandbox") == 0 || strcmp(user, "1000") == 0)
        return SBX_OK;
    return call_fail(m->call, SBX_E_UNSUPPORTED,
                     "create: user '%s': without subordinate ids a sandbox has the user sandbox (1000) alone; see "
                     "sbx-local(7)",
                     user);
}

static sbx_status claim(struct making *m, char twin_id[RECORD_ID_LENGTH + 1])
{
    sbx_status status = make_entry(m, twin_id);
    if (status != SBX_OK || twin_id[0] != '\0')
        return status;
    status = take_ids(m);
    if (status == SBX_OK)
        status = cgroup_create(m->id, m->args.memory_mib, m->args.cpu_millis, m->call, &m->cgroup);
    if (status != SBX_OK)
        return status;
    m->record.cgroup_count = m->cgroup.count;
    for (size_t i = 0; i < m->cgroup.count; i++)
        m->record.cgroups[i] = m->cgroup.dirs[i];
    /* Without a name, a number or a cgroup nobody needs to know of it before it runs. */
    int error = !is_alone(m) || m->cgroup.count != 0 ? place_record(m, 0) : 0;
    if (error != 0)
        return call_fail_errno(m->call, error, "create: writing the sandbox's record");
    error = record_write_envs(m->entry_fd, &m->args.envs);
    return error == 0 ? SBX_OK : call_fail_errno(m->call, error, "create: writing the sandbox's environment");
}

/* Under the folder's lock, where names or a number of sandboxes must agree. */
static sbx_status claim_if_alone(struct making *m, char twin_id[RECORD_ID_LENGTH + 1])
{
    struct census census = {.count = 0};
    CLEANUP_FD int lock_fd = openat(m->runtime_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t max = m->b->config.max_sandboxes;
    if (lock_fd < 0)
        return call_fail_errno(m->call, errno, "create: '%s'", m->b->store.path[STORE_RUNTIME]);
    sbx_status status = store_lock(lock_fd, "all", m->call);
    if (status == SBX_OK)
        status = count_others(m, &census);
    if (status != SBX_OK)
        return status;
    if (census.same_name[0] != '\0')
        return call_fail(m->call, SBX_E_EXISTS, "create: name '%s' is taken by sandbox %s", m->record.name,
                         census.same_name);
    if (max != 0 && census.count >= max)
        return call_fail(m->call, SBX_E_QUOTA, "create: there are %zu sandboxes; max_sandboxes is %u", census.count,
                         max);
    return claim(m, twin_id);
}

sbx_status place_reserve(struct making *m, char twin_id[RECORD_ID_LENGTH + 1])
{
    sbx_status status = SBX_OK;
    twin_id[0] = '\0';
    if (m->runtime_fd < 0)
        status = store_open(&m->b->store, STORE_RUNTIME, 1, m->call, &m->runtime_fd);
    if (status != SBX_OK)
        return status;
    return is_alone(m) ? claim(m, twin_id) : claim_if_alone(m, twin_id);
}

/* --- its directories ------------------------------------------------------------------------------------------------
 */

static void add_dir(struct dir_list *list, const char *root, const char *below, size_t len, uint32_t mode)
{
    char path[CREATE_PATH];
    int n = snprintf(path, sizeof path, "%s/%.*s", root, (int)len, below);
    char *copy = n > 0 && (size_t)n < sizeof path && list->count < CREATE_DIRS ? strdup(path) : NULL;
    if (copy == NULL)
        list->failed = 1;
    else
        list->dirs[list->count++] = (struct launch_dir){copy, mode};
}

void dir_list_finish(struct dir_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((void *)(uintptr_t)list->dirs[i].path);
    list->count = 0;
}

void place_list_dirs(const struct making *m, const char *root, int needs_workdir, struct dir_list *list)
{
    static const size_t inside_lengths[] = {sizeof "/tmp" - 1, sizeof "/home/sandbox" - 1, sizeof "/workspace" - 1};
    char below[CREATE_PATH];
    for (int i = 0; i < LAYOUT_WORKDIR + (needs_workdir != 0); i++)
        add_dir(list, root, layout_tree_names[i], strlen(layout_tree_names[i]), i == LAYOUT_TMP ? 01777 : 0755);
    int tree = layout_tree_of(m->record.workdir);
    if (tree < 0)
        return;
    (void)snprintf(below, sizeof below, "%s%s", layout_tree_names[tree], m->record.workdir + inside_lengths[tree]);
    for (const char *at = strchr(below, '/'); at != NULL; at = strchr(at + 1, '/')) {
        size_t len = at[1] == '\0' ? 0 : strcspn(at + 1, "/");
        if (len > 0)
            add_dir(list, root, below, (size_t)(at + 1 - below) + len, 0755);
    }
}

static int make_dir(const struct making *m, const struct launch_dir *dir)
{
    const struct ids *ids = &m->record.ids;
    uid_t uid = (uid_t)ids->uid_first + IDS_SANDBOX;
    gid_t gid = (gid_t)ids->gid_first + IDS_SANDBOX;
    if (mkdir(dir->path, 0700) != 0)
        return errno;
    if (ids->kind == IDS_MAPPED_ROOT && lchown(dir->path, uid, gid) != 0)
        return errno;
    return chmod(dir->path, dir->mode) == 0 ? 0 : errno;
}

sbx_status place_tree(struct making *m)
{
    const char *folder = m->b->store.path[STORE_STATE];
    int n = snprintf(m->tree, sizeof m->tree, "%s/%s", folder, m->id);
    if (n < 0 || (size_t)n >= sizeof m->tree - 64)
        return call_fail(m->call, SBX_E_TOO_LARGE, "create: '%s' is too long", folder);
    return SBX_OK;
}

sbx_status place_state(struct making *m)
{
    const char *folder = m->b->store.path[STORE_STATE];
    CLEANUP_FD int state_fd = -1;
    sbx_status status = store_open(&m->b->store, STORE_STATE, 1, m->call, &state_fd);
    if (status != SBX_OK)
        return status;
    if (mkdirat(state_fd, m->id, 0700) != 0)
        return call_fail_errno(m->call, errno, "create: a directory in '%s'", folder);
    return SBX_OK;
}

sbx_status place_dirs(struct making *m, const struct dir_list *list)
{
    if (list->failed)
        return call_fail(m->call, SBX_E_INVALID, "create: working directory '%s' is too deep", m->record.workdir);
    for (size_t i = 0; m->record.disk_mib == 0 && i < list->count; i++) {
        int error = make_dir(m, &list->dirs[i]);
        if (error != 0)
            return call_fail_errno(m->call, error, "create: '%s'", list->dirs[i].path);
    }
    return SBX_OK;
}
