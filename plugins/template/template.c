/* SPDX-License-Identifier: MIT
 *
 * template.c - a small and complete provider: copy it, then put your provider's calls where bubblewrap is.
 *
 * Each command gets namespaces of its own from bwrap, so whatever it started ends with it. Files are read and written
 * by commands, which is all that many providers offer. A sandbox is removed by renaming its folder: commands that run
 * see that and end.
 */
#include "template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- errors, time, cancelling ------------------------------------------------------------------------------------ */

sbx_status fail(struct sbx_call *call, sbx_status code, const char *format, ...)
{
    struct sbx_error error = {.code = code};
    va_list args;
    va_start(args, format);
    /* clang-tidy 14 forgets va_start when it reads a file a second time, for another object. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(error.message, sizeof error.message, format, args);
    va_end(args);
    for (char *c = error.message; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    sbx_give(call->error, &error, sizeof error);
    return code;
}

int64_t now_ns(int32_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

sbx_status check(struct sbx_call *call)
{
    struct pollfd token = {.fd = (call->flags & SBX_CALL_HAS_CANCEL_FD) != 0 ? call->cancel_fd : -1, .events = POLLIN};
    if (poll(&token, 1, 0) > 0 || (call->cancelled != NULL && call->cancelled(call->user) != 0))
        return fail(call, SBX_E_CANCELLED, "the call was cancelled");
    if (call->deadline_ns != 0 && now_ns(CLOCK_MONOTONIC) >= call->deadline_ns)
        return fail(call, SBX_E_TIMEOUT, "the call's deadline is over");
    return SBX_OK;
}

/* --- what create was told ----------------------------------------------------------------------------------------- */

static int facts_add(struct facts *f, const char *kind, const char *key, const char *value)
{
    const char *const texts[] = {kind, key, value};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(texts[i]) + 1;
        if (len > FACTS_MAX - f->len)
            return -1;
        memcpy(f->data + f->len, texts[i], len);
        f->len += len;
    }
    return 0;
}

int facts_read(struct facts *f, const char *folder)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/facts", folder);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    f->len = fread(f->data, 1, FACTS_MAX, file);
    memset(f->data + f->len, 0, 4);
    (void)fclose(file);
    return 0;
}

int facts_next(const struct facts *f, size_t *at, const char *kind, struct sbx_kv *out)
{
    while (*at < f->len) {
        const char *word = f->data + *at;
        out->key = word + strlen(word) + 1;
        out->value = out->key + strlen(out->key) + 1;
        *at = (size_t)(out->value - f->data) + strlen(out->value) + 1;
        if (strcmp(word, kind) == 0)
            return 1;
    }
    return 0;
}

static int facts_hold(const struct facts *f, const char *kind, const struct sbx_kv *wanted)
{
    struct sbx_kv one;
    size_t at = 0;
    while (facts_next(f, &at, kind, &one))
        if (strcmp(one.key, wanted->key) == 0 && strcmp(one.value, wanted->value) == 0)
            return 1;
    return 0;
}

/* --- the backend -------------------------------------------------------------------------------------------------- */

static const struct sbx_config_key key_root = {.size = sizeof key_root,
                                               .type = SBX_KEY_PATH,
                                               .name = "root",
                                               .help = "folder of the sandboxes; /tmp/sbx-template-UID by default"};
static const struct sbx_config_key *const keys[] = {&key_root, NULL};

static sbx_status take_config(struct sbx_backend *b, const struct sbx_open_args *args, struct sbx_call *call)
{
    (void)snprintf(b->root, sizeof b->root, "/tmp/sbx-template-%u", (unsigned)geteuid());
    for (size_t i = 0; i < args->config.count; i++) {
        const struct sbx_kv *pair = &args->config.items[i];
        if (strcmp(pair->key, "root") != 0)
            return fail(call, SBX_E_CONFIG, "unknown key '%.100s'", pair->key);
        if (pair->value[0] != '/' || strlen(pair->value) >= sizeof b->root)
            return fail(call, SBX_E_CONFIG, "root: '%.300s' is no absolute path", pair->value);
        (void)snprintf(b->root, sizeof b->root, "%s", pair->value);
    }
    struct stat st;
    if (mkdir(b->root, 0700) != 0 && errno != EEXIST)
        return fail(call, SBX_E_CONFIG, "root: '%.300s' cannot be made: errno %d", b->root, errno);
    if (lstat(b->root, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return fail(call, SBX_E_CONFIG, "root: '%.300s' is no folder of the caller's", b->root);
    if (access("/usr/bin/bwrap", X_OK) != 0)
        return fail(call, SBX_E_UNAVAILABLE, "there is no /usr/bin/bwrap; install bubblewrap");
    return SBX_OK;
}

static sbx_status backend_open(const struct sbx_host *host, struct sbx_call *call, const struct sbx_open_args *given,
                               struct sbx_backend **out)
{
    struct sbx_open_args args;
    (void)host; /* its log, and nothing else yet, would be kept for later */
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "open: arguments of a newer version");
    struct sbx_backend *b = calloc(1, sizeof *b);
    if (b == NULL)
        return fail(call, SBX_E_NO_MEMORY, "open: no memory");
    status = take_config(b, &args, call);
    if (status == SBX_OK)
        *out = b;
    else
        free(b);
    return status;
}

static void backend_close(struct sbx_backend *b)
{
    free(b);
}

static const void *backend_extension(struct sbx_backend *b, const char *id)
{
    (void)b, (void)id;
    return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    if (type == FTW_DNR)
        (void)chmod(path, 0700);
    (void)remove(path);
    return 0;
}

/* Commands that run notice the new name within a moment and end; then nobody holds the lock. */
static sbx_status destroy(struct sbx_backend *b, const char *id, struct sbx_call *call)
{
    char folder[PATH_MAX], gone[PATH_MAX], lock[PATH_MAX + 8];
    sbx_status status = SBX_OK;
    (void)snprintf(folder, sizeof folder, "%s/%s", b->root, id);
    (void)snprintf(gone, sizeof gone, "%s/.gone-%s", b->root, id);
    (void)snprintf(lock, sizeof lock, "%s/lock", gone);
    if (rename(folder, gone) != 0)
        return errno == ENOENT ? SBX_OK : fail(call, SBX_E_FAILED, "remove: '%.300s': errno %d", folder, errno);
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && status == SBX_OK && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)poll(NULL, 0, 20);
        status = check(call);
    }
    if (fd >= 0)
        (void)close(fd);
    (void)nftw(gone, remove_one, 16, FTW_PHYS | FTW_DEPTH);
    return status;
}

static int id_ok(const char *id)
{
    return strlen(id) == ID_LENGTH && strspn(id, "0123456789abcdef") == ID_LENGTH;
}

/* SBX_E_NOT_FOUND for one that is not there, or whose time is over. */
static sbx_status find(struct sbx_backend *b, const char *id, struct facts *facts, struct sbx_handle *h)
{
    struct sbx_kv end;
    size_t at = 0;
    struct sbx_call call = {.size = sizeof call};
    if (!id_ok(id))
        return SBX_E_NOT_FOUND;
    h->backend = b;
    (void)snprintf(h->id, sizeof h->id, "%s", id);
    (void)snprintf(h->folder, sizeof h->folder, "%s/%s", b->root, id);
    if (facts_read(facts, h->folder) != 0)
        return SBX_E_NOT_FOUND;
    h->expires_ms = facts_next(facts, &at, "x", &end) ? strtoll(end.key, NULL, 10) : 0;
    if (h->expires_ms == 0 || now_ns(CLOCK_REALTIME) / 1000000 < h->expires_ms)
        return SBX_OK;
    (void)destroy(b, id, &call);
    return SBX_E_NOT_FOUND;
}

static sbx_status make_handle(struct sbx_backend *b, const char *id, struct sbx_call *call, struct sbx_handle **out)
{
    struct facts *facts = calloc(1, sizeof *facts);
    struct sbx_handle *h = calloc(1, sizeof *h);
    sbx_status status = SBX_E_NO_MEMORY;
    if (facts != NULL && h != NULL)
        status = find(b, id, facts, h);
    free(facts);
    if (status == SBX_OK) {
        *out = h;
        return SBX_OK;
    }
    free(h);
    return fail(call, status, status == SBX_E_NOT_FOUND ? "no sandbox '%.100s'" : "no memory for '%.100s'", id);
}

/* What this provider cannot do is refused, never left out. */
static sbx_status check_create(struct sbx_call *call, const struct sbx_create_args *a)
{
    if ((a->flags & ~(uint32_t)SBX_CREATE_BOUND) != 0)
        return fail(call, SBX_E_UNSUPPORTED, "create: flags 0x%x are not known", a->flags);
    if (a->provider.count > 0)
        return fail(call, SBX_E_UNSUPPORTED, "create: unknown key '%.100s'", a->provider.items[0].key);
    if (a->image != NULL || a->blueprint != NULL || a->snapshot != NULL)
        return fail(call, SBX_E_UNSUPPORTED, "create: no images, blueprints or snapshots");
    if (a->name != NULL || a->workdir != NULL || a->user != NULL || a->idle_timeout_s != 0)
        return fail(call, SBX_E_UNSUPPORTED, "create: no names, directories, users or idle limits");
    if (a->cpu_millis != 0 || a->memory_mib != 0 || a->disk_mib != 0)
        return fail(call, SBX_E_UNSUPPORTED, "create: no limits of cpu, memory or disk");
    if (a->network != SBX_NET_DEFAULT && a->network != SBX_NET_NONE)
        return fail(call, SBX_E_UNSUPPORTED, "create: no network");
    return check(call);
}

static sbx_status fill_facts(struct facts *f, const struct sbx_create_args *a, struct sbx_call *call)
{
    char end[32];
    int full = 0;
    for (size_t i = 0; i < a->metadata.count; i++)
        full |= facts_add(f, "m", a->metadata.items[i].key, a->metadata.items[i].value);
    for (size_t i = 0; i < a->envs.count; i++)
        full |= facts_add(f, "e", a->envs.items[i].key, a->envs.items[i].value);
    if (a->client_token != NULL)
        full |= facts_add(f, "t", a->client_token, "");
    (void)snprintf(end, sizeof end, "%lld",
                   (long long)(now_ns(CLOCK_REALTIME) / 1000000 + (int64_t)a->timeout_s * 1000));
    if (a->timeout_s != 0)
        full |= facts_add(f, "x", end, "");
    return full == 0 ? SBX_OK : fail(call, SBX_E_TOO_LARGE, "create: more than %d bytes of labels", (int)FACTS_MAX);
}

/* Made under a hidden name, then renamed: what is there is whole. */
static int make_folder(const char *hidden, const char *folder, const struct facts *facts)
{
    static const char *const parts[] = {"/work", "/tmp"};
    char path[PATH_MAX];
    if (mkdir(hidden, 0700) != 0)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s%s", hidden, parts[i]);
        if (mkdir(path, 0755) != 0)
            return -1;
    }
    (void)snprintf(path, sizeof path, "%s/lock", hidden);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0)
        return -1;
    (void)snprintf(path, sizeof path, "%s/facts", hidden);
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return -1;
    size_t written = fwrite(facts->data, 1, facts->len, file);
    if (fclose(file) != 0 || written != facts->len)
        return -1;
    return rename(hidden, folder);
}

struct search { /* over all sandboxes */
    struct facts facts;
    struct sbx_handle h;
};
typedef sbx_status visit(struct search *s, void *user);

/* In the order of their ids, from the one behind `after`; a visit that is not SBX_OK ends it. */
static sbx_status each(struct sbx_backend *b, const char *after, visit *see, void *user)
{
    struct dirent **names = NULL;
    struct search *s = calloc(1, sizeof *s);
    int count = s != NULL ? scandir(b->root, &names, NULL, alphasort) : -1;
    sbx_status status = s != NULL ? SBX_OK : SBX_E_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        const char *id = names[i]->d_name;
        if (status == SBX_OK && (after == NULL || strcmp(id, after) > 0) && find(b, id, &s->facts, &s->h) == SBX_OK)
            status = see(s, user);
        free(names[i]);
    }
    free(names);
    free(s);
    return status;
}

struct twin {
    struct sbx_kv token;
    char id[ID_LENGTH + 1];
};

static sbx_status see_twin(struct search *s, void *user)
{
    struct twin *twin = user;
    if (facts_hold(&s->facts, "t", &twin->token))
        memcpy(twin->id, s->h.id, sizeof twin->id);
    return SBX_OK;
}

/* The id of the new sandbox, or of the one that this token has made already. */
static sbx_status make(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *a,
                       const struct facts *facts, char id[ID_LENGTH + 1])
{
    struct twin twin = {.token = {a->client_token, ""}};
    char folder[PATH_MAX - 256], hidden[PATH_MAX - 256];
    uint64_t random = 0;
    if (a->client_token != NULL)
        (void)each(b, NULL, see_twin, &twin);
    (void)snprintf(id, ID_LENGTH + 1, "%s", twin.id);
    if (id[0] != '\0')
        return SBX_OK;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return fail(call, SBX_E_FAILED, "create: no random number");
    (void)snprintf(id, ID_LENGTH + 1, "%016llx", (unsigned long long)random);
    (void)snprintf(folder, sizeof folder, "%s/%s", b->root, id);
    (void)snprintf(hidden, sizeof hidden, "%s/.new-%s", b->root, id);
    if (make_folder(hidden, folder, facts) == 0)
        return SBX_OK;
    (void)nftw(hidden, remove_one, 16, FTW_PHYS | FTW_DEPTH);
    return fail(call, SBX_E_QUOTA, "create: no folder in '%.300s'", b->root);
}

static sbx_status backend_create(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *given,
                                 struct sbx_handle **out)
{
    struct sbx_create_args args;
    char id[ID_LENGTH + 1];
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK)
        return fail(call, status, "create: arguments of a newer version");
    struct facts *facts = calloc(1, sizeof *facts);
    status = facts != NULL ? check_create(call, &args) : fail(call, SBX_E_NO_MEMORY, "create: no memory");
    if (status == SBX_OK)
        status = fill_facts(facts, &args, call);
    /* Two creators with one token take turns. */
    int fd = open(b->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX);
    if (status == SBX_OK)
        status = make(b, call, &args, facts, id);
    if (fd >= 0)
        (void)close(fd);
    free(facts);
    return status == SBX_OK ? make_handle(b, id, call, out) : status;
}

static sbx_status backend_attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    return make_handle(b, id, call, out);
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

static sbx_status report(struct search *s, const struct sbx_info_sink *out, struct sbx_call *call)
{
    struct sbx_kv labels[256];
    struct sbx_info info = {.size = sizeof info,
                            .state = SBX_STATE_RUNNING,
                            .id = s->h.id,
                            .expires_ms = s->h.expires_ms,
                            .metadata = {labels, 0}};
    size_t at = 0;
    while (info.metadata.count < 256 && facts_next(&s->facts, &at, "m", &labels[info.metadata.count]))
        info.metadata.count++;
    return out->item(out->user, &info) == 0 ? SBX_OK : fail(call, SBX_E_STOPPED, "list: the sink asked to stop");
}

struct listing {
    const struct sbx_list_args *args;
    const struct sbx_info_sink *out;
    struct sbx_call *call;
    uint32_t given;
};

static sbx_status see_listed(struct search *s, void *user)
{
    struct listing *l = user;
    if (l->args->state_mask != 0 && (l->args->state_mask & 1u << SBX_STATE_RUNNING) == 0)
        return SBX_OK;
    for (size_t i = 0; i < l->args->metadata.count; i++)
        if (!facts_hold(&s->facts, "m", &l->args->metadata.items[i]))
            return SBX_OK;
    if (l->args->limit != 0 && l->given == l->args->limit)
        return SBX_OK;
    l->given++;
    return report(s, l->out, l->call);
}

static sbx_status backend_list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *given,
                               const struct sbx_info_sink *out)
{
    struct sbx_list_args args;
    struct listing listing = {.args = &args, .out = out, .call = call};
    sbx_status status = sbx_take(&args, sizeof args, given);
    if (status != SBX_OK || args.flags != 0)
        return fail(call, status != SBX_OK ? status : SBX_E_UNSUPPORTED, "list: arguments of a newer version");
    status = check(call);
    return status == SBX_OK ? each(b, args.after, see_listed, &listing) : status;
}

/* --- the handle --------------------------------------------------------------------------------------------------- */

static const char *handle_id(struct sbx_handle *h)
{
    return h->id;
}

static void handle_release(struct sbx_handle *h)
{
    free(h);
}

static sbx_status handle_remove(struct sbx_handle *h, struct sbx_call *call)
{
    return destroy(h->backend, h->id, call);
}

static uint32_t handle_support(struct sbx_handle *h, const char *id)
{
    (void)h, (void)id;
    return SBX_SUPPORT_NONE;
}

static sbx_status handle_info(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out)
{
    struct search *s = calloc(1, sizeof *s);
    sbx_status status = s != NULL ? find(h->backend, h->id, &s->facts, &s->h) : SBX_E_NO_MEMORY;
    if (status == SBX_E_NOT_FOUND)
        status = fail(call, SBX_E_GONE, "info: no sandbox '%s'", h->id);
    else if (status != SBX_OK)
        status = fail(call, status, "info: no memory");
    if (status == SBX_OK)
        status = report(s, out, call);
    free(s);
    return status;
}

/* --- the descriptor ----------------------------------------------------------------------------------------------- */

static const char *const extensions[] = {NULL};
static const struct sbx_backend_ops backend_ops = {.size = sizeof backend_ops,
                                                   .open = backend_open,
                                                   .close = backend_close,
                                                   .get_extension = backend_extension,
                                                   .create = backend_create,
                                                   .attach = backend_attach,
                                                   .list = backend_list};
static const struct sbx_handle_ops handle_ops = {.size = sizeof handle_ops,
                                                 .id = handle_id,
                                                 .release = handle_release,
                                                 .remove = handle_remove,
                                                 .support = handle_support,
                                                 .info = handle_info,
                                                 .exec = command_exec,
                                                 .read_file = file_read,
                                                 .write_file = file_write};
const struct sbx_plugin sbx_plugin_v1 = {SBX_PLUGIN_HEAD(SBX_THREADS_PARALLEL),
                                         .id = "template",
                                         .name = "Template",
                                         .version = "1.0",
                                         .vendor = "you",
                                         .summary = "folders and bubblewrap: a provider to begin from",
                                         .config_keys = keys,
                                         .extensions = extensions,
                                         .backend = &backend_ops,
                                         .handle = &handle_ops};
