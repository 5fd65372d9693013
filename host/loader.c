/* SPDX-License-Identifier: MIT
 *
 * loader.c - finds, checks and opens plugins; the only user of dlfcn.
 */
#include "host/loader.h"

#include "base/cleanup.h"
#include "host/error.h"
#include "host/finding.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#ifndef SBX_PLUGIN_DIR
#define SBX_PLUGIN_DIR "/usr/local/lib/sbx"
#endif

/* What this process has loaded, for good. */
struct loaded {
    struct loaded *next;
    dev_t dev;
    ino_t ino;
    char *path;
    struct loader_plugin plugin;
};
static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
static struct loaded *loaded_list; /* under process_lock */

void loader_lock(void)
{
    (void)pthread_mutex_lock(&process_lock);
}

void loader_unlock(void)
{
    (void)pthread_mutex_unlock(&process_lock);
}

/* --- where libsbx itself is ------------------------------------------------------------------------------------- */

/* The path of the file that holds this code; the caller frees. NULL when it cannot be told. *is_program: it is the
 * program itself, with libsbx linked in. */
static char *own_file(int *is_program)
{
    static const char here;
    Dl_info mine, program;
    *is_program = 0;
    if (dladdr(&here, &mine) == 0 || mine.dli_fname == NULL)
        return realpath("/proc/self/exe", NULL);
    /* For the program itself dli_fname is argv[0], which anybody can choose. */
    unsigned long headers = getauxval(AT_PHDR);
    void *address = NULL;
    memcpy(&address, &headers, sizeof address);
    if (headers != 0 && dladdr(address, &program) != 0 && program.dli_fbase == mine.dli_fbase) {
        *is_program = 1;
        return realpath("/proc/self/exe", NULL);
    }
    return mine.dli_fname[0] == '/' ? realpath(mine.dli_fname, NULL) : NULL;
}

/* Cuts the last component; 0 or -1. */
static int cut(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return -1;
    *slash = '\0';
    return 0;
}

static char *beside_own_file(void)
{
    int is_program = 0;
    CLEANUP_FREE char *path = own_file(&is_program);
    if (path == NULL || cut(path) != 0)
        return NULL;
    if (is_program) {
        const char *slash = strrchr(path, '/');
        if (strcmp(slash == NULL ? path : slash, "/bin") != 0 || cut(path) != 0)
            return NULL;
    }
    char *folder = NULL;
    if (asprintf(&folder, is_program ? "%s/lib/sbx" : "%s/sbx", path) < 0)
        return NULL;
    struct stat st;
    if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode))
        return folder;
    free(folder);
    return NULL;
}

char *loader_installed_folder(void)
{
    char *folder = beside_own_file();
    return folder != NULL ? folder : strdup(SBX_PLUGIN_DIR);
}

/* Who owns libsbx: trusted with plugins too, since it could do the same harm by itself. Root when unknown. */
static uint32_t library_owner(void)
{
    int is_program = 0;
    CLEANUP_FREE char *path = own_file(&is_program);
    struct stat st;
    return path != NULL && stat(path, &st) == 0 ? st.st_uid : 0;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

/* Opens a checked file and makes sure that the object in memory is that file: its inode may have been exchanged between
 * the check and dlopen. Such an object stays loaded, but none of its functions is ever called. */
static sbx_status open_object(const char *path, const struct stat *checked, void **out, struct sbx_error *error)
{
    /* A handle is kept for ever, so the object is never unloaded (rule H10). */
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (object == NULL) {
        const char *why = dlerror();
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: cannot be loaded: %s", path,
                         why == NULL ? "no reason given" : why);
    }
    struct link_map *map = NULL;
    struct stat st;
    if (dlinfo(object, RTLD_DI_LINKMAP, &map) != 0 || map == NULL || map->l_name == NULL || map->l_name[0] != '/' ||
        stat(map->l_name, &st) != 0 || st.st_dev != checked->st_dev || st.st_ino != checked->st_ino)
        return error_set(error, SBX_E_CONFIG, "plugin %s: exchanged while it was loaded (rule H1)", path);
    *out = object;
    return SBX_OK;
}

/* The symbol, if this very object defines it: dlsym also looks into the libraries that it needs. */
static void *own_symbol(void *object, const char *name)
{
    struct link_map *map = NULL;
    Dl_info info;
    void *symbol = dlsym(object, name);
    if (symbol == NULL || dlinfo(object, RTLD_DI_LINKMAP, &map) != 0 || dladdr(symbol, &info) == 0)
        return NULL;
    return info.dli_fname != NULL && strcmp(info.dli_fname, map->l_name) == 0 ? symbol : NULL;
}

/* Under the lock. */
static struct loaded *find(const struct stat *st, const char *path, struct log *log)
{
    for (struct loaded *at = loaded_list; at != NULL; at = at->next) {
        if (at->dev == st->st_dev && at->ino == st->st_ino)
            return at;
        if (strcmp(at->path, path) == 0) {
            log_line(log, SBX_LOG_WARN, "loader", "plugin %s: replaced since it was loaded; the old one stays in use",
                     path);
            return at;
        }
    }
    return NULL;
}

/* Under the lock. */
static sbx_status load_file(const char *path, const struct stat *st, const char *id, struct loaded **out,
                            struct sbx_error *error)
{
    void *object = NULL;
    sbx_status status = open_object(path, st, &object, error);
    if (status != SBX_OK)
        return status;
    const struct sbx_plugin *raw = own_symbol(object, "sbx_plugin_v1");
    if (raw == NULL)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: does not define sbx_plugin_v1 (rule P11)", path);
    CLEANUP_FREE struct loaded *item = calloc(1, sizeof *item);
    CLEANUP_FREE char *kept = strdup(path);
    if (item == NULL || kept == NULL)
        return error_no_memory(error);
    status = loader_shape_check(raw, id, path, &item->plugin, error);
    if (status != SBX_OK)
        return status;
    item->dev = st->st_dev;
    item->ino = st->st_ino;
    item->path = STEAL(kept);
    item->plugin.path = item->path;
    item->next = loaded_list;
    loaded_list = item;
    *out = STEAL(item);
    return SBX_OK;
}

static sbx_status load_checked(int fd, const char *path, const char *id, struct log *log,
                               const struct loader_plugin **out, struct sbx_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(error, SBX_E_CONFIG, errno, "plugin %s", path);
    loader_lock();
    sbx_status status = SBX_OK;
    struct loaded *item = find(&st, path, log);
    if (item == NULL)
        status = load_file(path, &st, id, &item, error);
    loader_unlock();
    if (status != SBX_OK)
        return status;
    if (strcmp(item->plugin.descriptor.id, id) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "plugin %s: its id is '%s', not '%s' (rule H2)", path,
                         item->plugin.descriptor.id, id);
    *out = &item->plugin;
    return SBX_OK;
}

static void offer(void *user, const char *id, const char *path)
{
    (void)path;
    nearest_offer(user, id);
}

static sbx_status not_found(const char *const *folders, const char *id, struct sbx_error *error)
{
    if (folders[0] == NULL)
        return error_set(error, SBX_E_CONFIG, "plugin '%s': no plugin folder is known", id);
    struct nearest nearest;
    nearest_init(&nearest, id);
    loader_scan(folders, offer, &nearest);
    const char *best = nearest_best(&nearest);
    return error_set(error, SBX_E_CONFIG, "plugin '%s': no %s.so in %s%s%s%s%s", id, id, folders[0],
                     folders[1] == NULL ? "" : " or the other plugin folders", best == NULL ? "" : "; did you mean '",
                     best == NULL ? "" : best, best == NULL ? "" : "'?");
}

sbx_status loader_load(const char *const *folders, const char *id, struct log *log, const struct loader_plugin **out,
                       struct sbx_error *error)
{
    if (!loader_id_ok(id))
        return error_set(error, SBX_E_CONFIG, "plugin '%s': a plugin is named by its id, of [a-z0-9-] (rule H1)", id);
    char file[128];
    (void)snprintf(file, sizeof file, "%s.so", id);
    uint32_t owner = library_owner();
    for (size_t i = 0; folders[i] != NULL; i++) {
        CLEANUP_FD int fd = -1;
        CLEANUP_FREE char *path = NULL;
        sbx_status status = loader_path_open(folders[i], file, owner, &fd, &path, error);
        if (status != SBX_OK)
            return status;
        if (fd < 0)
            continue;
        status = load_checked(fd, path, id, log, out, error);
        if (status == SBX_OK)
            log_line(log, SBX_LOG_DEBUG, "loader", "plugin %s: %s %s", path, id, (*out)->descriptor.version);
        return status;
    }
    return not_found(folders, id, error);
}

sbx_status loader_module(const char *file, const char *symbol, void **out, struct sbx_error *error)
{
    CLEANUP_FREE char *folder = loader_installed_folder();
    if (folder == NULL)
        return error_no_memory(error);
    CLEANUP_FD int fd = -1;
    CLEANUP_FREE char *path = NULL;
    if (cut(folder) != 0)
        return error_set(error, SBX_E_CONFIG, "module %s: no folder to find it in", file);
    sbx_status status = loader_path_open(folder, file, library_owner(), &fd, &path, error);
    if (status != SBX_OK)
        return status;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_set(error, SBX_E_UNSUPPORTED, "module %s: not in %s; install it beside libsbx", file, folder);
    void *object = NULL;
    status = open_object(path, &st, &object, error);
    if (status != SBX_OK)
        return status;
    *out = own_symbol(object, symbol);
    if (*out == NULL)
        return error_set(error, SBX_E_UNSUPPORTED, "module %s: does not define %s", path, symbol);
    return SBX_OK;
}

/* --- scanning --------------------------------------------------------------------------------------------------- */

/* Answers the id in a name like ID.so, in the caller's buffer; 0 or -1. */
static int id_of(const char *name, char *id, size_t size)
{
    size_t len = strlen(name);
    if (len <= 3 || len - 3 >= size || strcmp(name + len - 3, ".so") != 0)
        return -1;
    memcpy(id, name, len - 3);
    id[len - 3] = '\0';
    return loader_id_ok(id) ? 0 : -1;
}

static int entry_wanted(const struct dirent *entry)
{
    char id[128];
    return id_of(entry->d_name, id, sizeof id) == 0;
}

/* Not alphasort: its order depends on the locale. */
static int entry_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int seen_before(const char *const *folders, size_t folder, const char *name)
{
    for (size_t i = 0; i < folder; i++) {
        char path[PATH_MAX];
        struct stat st;
        int length = snprintf(path, sizeof path, "%s/%s", folders[i], name);
        if (length > 0 && (size_t)length < sizeof path && lstat(path, &st) == 0)
            return 1;
    }
    return 0;
}

void loader_scan(const char *const *folders, void (*report)(void *user, const char *id, const char *path), void *user)
{
    for (size_t i = 0; folders[i] != NULL; i++) {
        struct dirent **entries = NULL;
        int count = scandir(folders[i], &entries, entry_wanted, entry_order);
        for (int k = 0; k < count; k++) {
            char id[128], path[PATH_MAX];
            int length = snprintf(path, sizeof path, "%s/%s", folders[i], entries[k]->d_name);
            if (length > 0 && (size_t)length < sizeof path && id_of(entries[k]->d_name, id, sizeof id) == 0 &&
                !seen_before(folders, i, entries[k]->d_name))
                report(user, id, path);
            free(entries[k]);
        }
        free(entries);
    }
}
