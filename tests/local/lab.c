/* SPDX-License-Identifier: MIT
 *
 * lab.c - see lab.h.
 */
#include "tests/local/lab.h"

#include "base/cleanup.h"

#include <dlfcn.h>
#include <ftw.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

enum { CAPTURE = 64 << 20, KEYS = 24, DEFAULT_MS = 60000, RECORD_TEXT = 64 };

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct sbx_call *lab_call(struct lab *lab, int64_t ms)
{
    memset(&lab->error, 0, sizeof lab->error);
    memset(&lab->call, 0, sizeof lab->call);
    lab->error.size = sizeof lab->error;
    lab->call.size = sizeof lab->call;
    lab->call.deadline_ns = now_ns() + ms * 1000000;
    lab->call.error = &lab->error;
    return &lab->call;
}

static void quiet_log(void *user, int32_t level, const char *where, const char *message)
{
    (void)user;
    if (level >= SBX_LOG_WARN)
        (void)fprintf(stderr, "%s: %s\n", where, message);
}

sbx_status lab_open(struct lab *lab, const char *dir, const struct sbx_kv *keys, size_t count)
{
    static const struct sbx_host host = {.size = sizeof host, .name = "lab", .version = "1", .log = quiet_log};
    struct sbx_kv all[KEYS];
    memset(lab, 0, sizeof *lab);
    void *object = dlopen(LOCAL_PLUGIN, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    lab->plugin = object == NULL ? NULL : dlsym(object, "sbx_plugin_v1");
    if (lab->plugin == NULL || count + 2 > KEYS)
        return SBX_E_FAILED;
    (void)snprintf(lab->dir, sizeof lab->dir, "%s", dir != NULL ? dir : "/tmp/sbx-lab-XXXXXX");
    lab->own_dir = dir == NULL;
    if (dir == NULL && mkdtemp(lab->dir) == NULL)
        return SBX_E_FAILED;
    (void)snprintf(lab->runtime, sizeof lab->runtime, "%s/run", lab->dir);
    (void)snprintf(lab->state, sizeof lab->state, "%s/state", lab->dir);
    all[0] = (struct sbx_kv){"runtime_dir", lab->runtime};
    all[1] = (struct sbx_kv){"state_dir", lab->state};
    for (size_t i = 0; i < count; i++)
        all[2 + i] = keys[i];
    struct sbx_open_args args = {.size = sizeof args, .instance = "lab", .config = {all, count + 2}};
    return lab->plugin->backend->open(&host, lab_call(lab, DEFAULT_MS), &args, &lab->backend);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

static int32_t note_id(void *user, const struct sbx_info *info)
{
    (void)snprintf(user, RECORD_TEXT, "%s", info->id);
    return 1;
}

/* What a failed test leaves behind. */
static void remove_all(struct lab *lab)
{
    char id[RECORD_TEXT];
    struct sbx_list_args args = {.size = sizeof args};
    struct sbx_info_sink sink = {.size = sizeof sink, .user = id, .item = note_id};
    for (;;) {
        struct sbx_handle *h = NULL;
        id[0] = '\0';
        (void)lab->plugin->backend->list(lab->backend, lab_call(lab, DEFAULT_MS), &args, &sink);
        if (id[0] == '\0' || lab->plugin->backend->attach(lab->backend, lab_call(lab, DEFAULT_MS), id, &h) != SBX_OK)
            return;
        (void)lab_remove(lab, h);
    }
}

void lab_close(struct lab *lab)
{
    if (lab->backend != NULL && lab->own_dir)
        remove_all(lab);
    if (lab->plugin != NULL)
        lab->plugin->backend->close(lab->backend);
    lab->backend = NULL;
    if (lab->own_dir)
        (void)nftw(lab->dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

sbx_status lab_create(struct lab *lab, const struct sbx_create_args *args, struct sbx_handle **out)
{
    struct sbx_create_args plain = {.size = sizeof plain};
    *out = NULL;
    return lab->plugin->backend->create(lab->backend, lab_call(lab, DEFAULT_MS), args == NULL ? &plain : args, out);
}

static int32_t collect(void *user, const void *data, size_t len)
{
    return buf_append(user, data, len) == 0 ? 0 : 1;
}

sbx_status lab_exec(struct lab *lab, struct sbx_handle *h, const struct sbx_exec_args *args, struct lab_result *result)
{
    memset(result, 0, sizeof *result);
    buf_init(&result->out, CAPTURE);
    buf_init(&result->err, CAPTURE);
    result->result.size = sizeof result->result;
    struct sbx_sink out = {.size = sizeof out, .user = &result->out, .write = collect};
    struct sbx_sink err = {.size = sizeof err, .user = &result->err, .write = collect};
    struct sbx_exec_args full = *args;
    full.size = sizeof full;
    full.out = &out;
    full.err = &err;
    sbx_status status = lab->plugin->handle->exec(h, lab_call(lab, DEFAULT_MS), &full, &result->result);
    (void)buf_append(&result->out, "", 0);
    (void)buf_append(&result->err, "", 0);
    return status;
}

sbx_status lab_shell(struct lab *lab, struct sbx_handle *h, const char *line, struct lab_result *result)
{
    struct sbx_exec_args args = {.command = line};
    return lab_exec(lab, h, &args, result);
}

void lab_result_finish(struct lab_result *result)
{
    buf_finish(&result->out);
    buf_finish(&result->err);
}

sbx_status lab_remove(struct lab *lab, struct sbx_handle *h)
{
    sbx_status status = lab->plugin->handle->remove(h, lab_call(lab, DEFAULT_MS));
    lab->plugin->handle->release(h);
    return status;
}

static int32_t count_item(void *user, const struct sbx_info *info)
{
    (void)info;
    ++*(int *)user;
    return 0;
}

int lab_count(struct lab *lab)
{
    int count = 0;
    struct sbx_list_args args = {.size = sizeof args};
    struct sbx_info_sink sink = {.size = sizeof sink, .user = &count, .item = count_item};
    sbx_status status = lab->plugin->backend->list(lab->backend, lab_call(lab, DEFAULT_MS), &args, &sink);
    return status == SBX_OK ? count : -1;
}

static int count_ids(const char *path, int depth)
{
    int count = 0;
    CLEANUP_DIR DIR *dir = opendir(path);
    for (struct dirent *entry = dir == NULL ? NULL : readdir(dir); entry != NULL; entry = readdir(dir)) {
        char below[1024];
        (void)snprintf(below, sizeof below, "%.700s/%s", path, entry->d_name);
        if (strlen(entry->d_name) == 16 && strspn(entry->d_name, "0123456789abcdef") == 16)
            count++;
        else if (entry->d_name[0] != '.' && depth > 0)
            count += count_ids(below, depth - 1);
    }
    return count;
}

int lab_entries(const char *base)
{
    return count_ids(base, 4);
}

struct wanted {
    const char *key;
    char *value;
    size_t cap;
};

static int32_t take_fact(void *user, const struct sbx_info *info)
{
    struct wanted *wanted = user;
    for (size_t i = 0; i < info->metadata.count; i++)
        if (strcmp(info->metadata.items[i].key, wanted->key) == 0)
            (void)snprintf(wanted->value, wanted->cap, "%s", info->metadata.items[i].value);
    return 0;
}

const char *lab_fact(struct lab *lab, struct sbx_handle *h, const char *key, char *value, size_t cap)
{
    struct wanted wanted = {key, value, cap};
    struct sbx_info_sink sink = {.size = sizeof sink, .user = &wanted, .item = take_fact};
    value[0] = '\0';
    (void)lab->plugin->handle->info(h, lab_call(lab, DEFAULT_MS), &sink);
    return value;
}

int lab_sh(const char *line)
{
    char sh[] = "sh", c[] = "-c";
    char *argv[] = {sh, c, (char *)(uintptr_t)line, NULL};
    pid_t pid = 0;
    int status = 0;
    if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int lab_works(void)
{
    struct lab lab;
    struct sbx_handle *h = NULL;
    int works = lab_open(&lab, NULL, NULL, 0) == SBX_OK && lab_create(&lab, NULL, &h) == SBX_OK;
    if (works)
        (void)lab_remove(&lab, h);
    else
        (void)printf("SKIP: no sandbox can be made here: %s\n", lab.error.message);
    lab_close(&lab);
    return works;
}
