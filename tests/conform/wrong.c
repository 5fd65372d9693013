/* SPDX-License-Identifier: MIT
 *
 * wrong.c - the template provider, wrong in one way that is chosen by a define; sbx-conform must find it by the rule
 * that CMakeLists.txt names beside it.
 */
#define sbx_plugin_v1 template_plugin
#include "plugins/template/template.c" /* NOLINT(bugprone-suspicious-include) */
#undef sbx_plugin_v1

#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

extern SBX_EXPORT const struct sbx_plugin sbx_plugin_v1;

#define EXEC_HEAD                                                                                                      \
    struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args, struct sbx_exec_result *out
#define OPEN_HEAD                                                                                                      \
    const struct sbx_host *host, struct sbx_call *call, const struct sbx_open_args *args, struct sbx_backend **out
#define CREATE_HEAD                                                                                                    \
    struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args, struct sbx_handle **out

/* --- loading --- */
#if defined(WRONG_CONSTRUCTOR)
static __attribute__((constructor)) void begin(void)
{
    (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
}
#elif defined(WRONG_EXPORTS)
SBX_EXPORT int another_symbol(void);
int another_symbol(void)
{
    return 0;
}
#elif defined(WRONG_UNDEFINED)
int ini_parse_string(const char *text, void *handler, void *user);
static sbx_status wrong_open(OPEN_HEAD)
{
    if (args == NULL)
        return ini_parse_string("", NULL, NULL);
    return backend_open(host, call, args, out);
}
#define WRONG_OPEN wrong_open

/* --- opening --- */
#elif defined(WRONG_IGNORES_KEYS)
static sbx_status wrong_open(OPEN_HEAD)
{
    struct sbx_open_args own = *args;
    own.config.count = 0;
    return backend_open(host, call, &own, out);
}
#define WRONG_OPEN wrong_open
#elif defined(WRONG_OPEN_FLAGS)
static sbx_status wrong_open(OPEN_HEAD)
{
    struct sbx_open_args own = *args;
    own.flags = 0;
    return backend_open(host, call, &own, out);
}
#define WRONG_OPEN wrong_open
#elif defined(WRONG_OPEN_TAIL)
static sbx_status wrong_open(OPEN_HEAD)
{
    struct sbx_open_args own;
    sbx_view(&own, sizeof own, args);
    own.size = sizeof own;
    return backend_open(host, call, &own, out);
}
#define WRONG_OPEN wrong_open
#elif defined(WRONG_NEEDS_LOG)
static sbx_status wrong_open(OPEN_HEAD)
{
    host->log(host->user, SBX_LOG_INFO, "open", "hello");
    return backend_open(host, call, args, out);
}
#define WRONG_OPEN wrong_open
#elif defined(WRONG_ONE_BACKEND)
static struct sbx_backend only;
static sbx_status wrong_open(OPEN_HEAD)
{
    struct sbx_backend *b = NULL;
    sbx_status status = backend_open(host, call, args, &b);
    if (status != SBX_OK)
        return status;
    only = *b;
    free(b);
    *out = &only;
    return SBX_OK;
}
static void wrong_close(struct sbx_backend *b)
{
    (void)b;
}
#define WRONG_OPEN  wrong_open
#define WRONG_CLOSE wrong_close
#elif defined(WRONG_CLOSE_NULL)
static void wrong_close(struct sbx_backend *b)
{
    *(volatile char *)b->root = '\0';
    free(b);
}
#define WRONG_CLOSE wrong_close
#elif defined(WRONG_LOGS_SECRET)
static const struct sbx_config_key key_token = {
    .size = sizeof key_token, .flags = SBX_KEY_SECRET, .name = "token", .help = "a secret"};
static const struct sbx_config_key *const wrong_keys[] = {&key_root, &key_token, NULL};
#define WRONG_KEYS wrong_keys
static sbx_status wrong_open(OPEN_HEAD)
{
    struct sbx_open_args own = *args;
    for (size_t i = 0; i < own.config.count; i++)
        host->log(host->user, SBX_LOG_INFO, own.config.items[i].key, own.config.items[i].value);
    own.config.count = 0;
    return backend_open(host, call, &own, out);
}
#define WRONG_OPEN wrong_open

/* --- capabilities --- */
#elif defined(WRONG_ANSWERS_PREFIX)
static const void *wrong_extension(struct sbx_backend *b, const char *id)
{
    (void)b;
    return strncmp(id, "sbx.shell/1", 11) == 0 ? "any" : NULL;
}
#define WRONG_EXTENSION wrong_extension
#elif defined(WRONG_NOT_ADVERTISED)
static const void *wrong_extension(struct sbx_backend *b, const char *id)
{
    (void)b;
    return strcmp(id, SBX_EXT_SHELL) == 0 ? "any" : NULL;
}
#define WRONG_EXTENSION wrong_extension
#elif defined(WRONG_HALF_TABLE)
static const struct sbx_stat_ops half = {.size = sizeof half};
static const char *const wrong_list[] = {SBX_EXT_STAT, NULL};
static const void *wrong_extension(struct sbx_backend *b, const char *id)
{
    (void)b;
    return strcmp(id, SBX_EXT_STAT) == 0 ? &half : NULL;
}
#define WRONG_EXTENSION  wrong_extension
#define WRONG_EXTENSIONS wrong_list
#elif defined(WRONG_SERIAL_JOB)
static const char *const wrong_list[] = {SBX_EXT_JOB, NULL};
#define WRONG_EXTENSIONS wrong_list
#define WRONG_THREADS    SBX_THREADS_SERIAL
#elif defined(WRONG_KEY)
static const struct sbx_config_key key_helpless = {.size = sizeof key_helpless, .name = "extra"};
static const struct sbx_config_key *const wrong_keys[] = {&key_root, &key_helpless, NULL};
#define WRONG_KEYS wrong_keys

/* --- the process --- */
#elif defined(WRONG_CHDIR) || defined(WRONG_UMASK) || defined(WRONG_SIGNAL) || defined(WRONG_LOCALE) ||                \
    defined(WRONG_PRINTS) || defined(WRONG_SETENV)
static sbx_status wrong_create(CREATE_HEAD)
{
#if defined(WRONG_CHDIR)
    (void)!chdir("/");
#elif defined(WRONG_UMASK)
    (void)umask(077);
#elif defined(WRONG_SIGNAL)
    (void)signal(SIGUSR1, SIG_IGN);
#elif defined(WRONG_LOCALE)
    (void)setlocale(LC_ALL, "C.UTF-8");
#elif defined(WRONG_SETENV)
    (void)setenv("LC_ALL", "C", 1);
#else
    (void)fprintf(stderr, "creating\n");
#endif
    return backend_create(b, call, args, out);
}
#define WRONG_CREATE wrong_create
#elif defined(WRONG_LEAKS_FD) || defined(WRONG_INHERITED)
static sbx_status wrong_create(CREATE_HEAD)
{
    int flags = O_RDONLY;
#if defined(WRONG_LEAKS_FD)
    flags |= O_CLOEXEC;
#endif
    (void)open("/dev/null", flags);
    return backend_create(b, call, args, out);
}
#define WRONG_CREATE wrong_create
#elif defined(WRONG_LEAKS_THREAD) || defined(WRONG_THREAD_SIGNALS)
static void *sleep_long(void *user)
{
    (void)sleep(30);
    return user;
}
static sbx_status wrong_create(CREATE_HEAD)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, sleep_long, NULL) == 0)
        (void)pthread_detach(thread);
    return backend_create(b, call, args, out);
}
#define WRONG_CREATE wrong_create
#elif defined(WRONG_LEAKS_CHILD)
static sbx_status wrong_create(CREATE_HEAD)
{
    if (fork() == 0)
        _exit(0);
    return backend_create(b, call, args, out);
}
#define WRONG_CREATE wrong_create
#elif defined(WRONG_OTHER_THREAD)
struct told {
    const struct sbx_sink *sink;
};
static void *tell(void *user)
{
    const struct told *told = user;
    (void)told->sink->write(told->sink->user, "x", 1);
    return NULL;
}
static sbx_status wrong_exec(EXEC_HEAD)
{
    struct told told = {args->out};
    pthread_t thread;
    if (args->out != NULL && pthread_create(&thread, NULL, tell, &told) == 0)
        (void)pthread_join(thread, NULL);
    return command_exec(h, call, args, out);
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_LATE_CALLBACK)
static void *tell_late(void *user)
{
    const struct sbx_sink *sink = user;
    (void)usleep(100000);
    (void)sink->write(sink->user, "late", 4);
    return NULL;
}
static sbx_status wrong_exec(EXEC_HEAD)
{
    pthread_t thread;
    if (args->out != NULL && pthread_create(&thread, NULL, tell_late, (void *)(uintptr_t)args->out) == 0)
        (void)pthread_detach(thread);
    return command_exec(h, call, args, out);
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_KEEPS_POINTER)
static const char *kept;
static sbx_status wrong_create(CREATE_HEAD)
{
    kept = args->client_token;
    return backend_create(b, call, args, out);
}
static sbx_status wrong_exec(EXEC_HEAD)
{
    if (kept != NULL && kept[0] == '#')
        return SBX_E_FAILED;
    return command_exec(h, call, args, out);
}
#define WRONG_CREATE wrong_create
#define WRONG_EXEC   wrong_exec
#elif defined(WRONG_SILENT_ERROR)
static sbx_status wrong_attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    struct sbx_error none = {.size = sizeof none};
    struct sbx_call own = *call;
    own.error = &none;
    return backend_attach(b, &own, id, out);
}
#define WRONG_ATTACH wrong_attach
#elif defined(WRONG_ERROR_ON_SUCCESS)
static sbx_status wrong_create(CREATE_HEAD)
{
    (void)fail(call, SBX_E_FAILED, "nothing is wrong");
    return backend_create(b, call, args, out);
}
#define WRONG_CREATE wrong_create
#elif defined(WRONG_EXITS)
static sbx_status wrong_exec(EXEC_HEAD)
{
    (void)h, (void)call, (void)args, (void)out;
    _exit(0);
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_CRASHES)
static sbx_status wrong_exec(EXEC_HEAD)
{
    (void)h, (void)call, (void)args, (void)out;
    abort();
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_HANGS)
static sbx_status wrong_exec(EXEC_HEAD)
{
    (void)h, (void)call, (void)args, (void)out;
    while (sleep(60) == 0)
        continue;
    return SBX_E_FAILED;
}
#define WRONG_EXEC wrong_exec

/* --- life --- */
#elif defined(WRONG_CREATE_FLAGS) || defined(WRONG_PROVIDER_KEY) || defined(WRONG_NO_LABELS) ||                        \
    defined(WRONG_NO_TOKEN) || defined(WRONG_CREATE_DEADLINE)
static sbx_status wrong_create(CREATE_HEAD)
{
    struct sbx_create_args own;
    struct sbx_call patient = *call;
    sbx_status status = sbx_take(&own, sizeof own, args);
    own.size = sizeof own;
#if defined(WRONG_CREATE_FLAGS)
    own.flags = 0;
#elif defined(WRONG_PROVIDER_KEY)
    own.provider.count = 0;
#elif defined(WRONG_NO_LABELS)
    own.metadata.count = own.metadata.count > 1 ? 1 : own.metadata.count;
#elif defined(WRONG_NO_TOKEN)
    own.client_token = NULL;
#else
    patient.deadline_ns = 0;
    patient.flags = 0;
#endif
    return backend_create(b, &patient, status == SBX_OK ? &own : args, out);
}
#define WRONG_CREATE wrong_create
#elif defined(WRONG_LIST_LIMIT)
static sbx_status wrong_list_sandboxes(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                                       const struct sbx_info_sink *out)
{
    struct sbx_list_args own = *args;
    own.limit = 0;
    return backend_list(b, call, args->size == sizeof own ? &own : args, out);
}
#define WRONG_LIST wrong_list_sandboxes
#elif defined(WRONG_ATTACH_ANY)
static sbx_status wrong_attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    struct sbx_handle *h = calloc(1, sizeof *h);
    (void)call;
    if (h == NULL)
        return SBX_E_NO_MEMORY;
    h->backend = b;
    (void)snprintf(h->id, sizeof h->id, "%.16s", id);
    *out = h;
    return SBX_OK;
}
#define WRONG_ATTACH wrong_attach
#elif defined(WRONG_REMOVE_TWICE)
static sbx_status wrong_remove(struct sbx_handle *h, struct sbx_call *call)
{
    if (access(h->folder, F_OK) != 0)
        return fail(call, SBX_E_NOT_FOUND, "remove: no sandbox '%s'", h->id);
    return handle_remove(h, call);
}
#define WRONG_REMOVE wrong_remove
#elif defined(WRONG_REMOVE_LIES)
static sbx_status wrong_remove(struct sbx_handle *h, struct sbx_call *call)
{
    (void)h, (void)call;
    return SBX_OK;
}
#define WRONG_REMOVE wrong_remove
#elif defined(WRONG_SUPPORT)
static uint32_t wrong_support(struct sbx_handle *h, const char *id)
{
    (void)h, (void)id;
    return SBX_SUPPORT_NATIVE;
}
#define WRONG_SUPPORT_SLOT wrong_support

/* --- commands --- */
#elif defined(WRONG_CODES)
static sbx_status wrong_exec(EXEC_HEAD)
{
    sbx_status status = command_exec(h, call, args, out);
    out->exit_code &= 0x7f;
    return status;
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_LIMIT_IS_ERROR)
static sbx_status wrong_exec(EXEC_HEAD)
{
    sbx_status status = command_exec(h, call, args, out);
    return (out->flags & SBX_TIMED_OUT) != 0 ? fail(call, SBX_E_TIMEOUT, "exec: over its limit") : status;
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_DEADLINE) || defined(WRONG_CANCEL_FD) || defined(WRONG_CANCELLED)
static sbx_status wrong_exec(EXEC_HEAD)
{
    struct sbx_call own = *call;
#if defined(WRONG_DEADLINE)
    own.deadline_ns = own.deadline_ns != 0 ? own.deadline_ns + 3000000000 : 0;
#elif defined(WRONG_CANCEL_FD)
    own.flags = 0;
#else
    own.cancelled = NULL;
#endif
    struct sbx_exec_args shorter = *args;
    if (shorter.timeout_ms == 0 && args->size == sizeof shorter)
        shorter.timeout_ms = 5000;
    return command_exec(h, &own, args->size == sizeof shorter ? &shorter : args, out);
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_TRUNCATES_SILENTLY)
static sbx_status wrong_exec(EXEC_HEAD)
{
    sbx_status status = command_exec(h, call, args, out);
    out->flags &= ~(uint32_t)SBX_STDOUT_TRUNCATED;
    return status;
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_RESULT_SIZE)
static sbx_status wrong_exec(EXEC_HEAD)
{
    struct sbx_exec_result own = {.size = sizeof own};
    sbx_status status = command_exec(h, call, args, &own);
    own.size = out->size;
    memcpy(out, &own, sizeof own);
    return status;
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_EXEC_FLAGS)
static sbx_status wrong_exec(EXEC_HEAD)
{
    struct sbx_exec_args own;
    sbx_status status = sbx_take(&own, sizeof own, args);
    own.size = sizeof own;
    own.flags &= SBX_EXEC_MERGE_STDERR;
    return command_exec(h, call, status == SBX_OK ? &own : args, out);
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_HOST_ENVIRONMENT)
static sbx_status wrong_exec(EXEC_HEAD)
{
    struct sbx_exec_args own;
    struct sbx_kv env = {"CONFORM_HOST_SECRET", getenv("CONFORM_HOST_SECRET")};
    sbx_status status = sbx_take(&own, sizeof own, args);
    own.size = sizeof own;
    if (env.value != NULL)
        own.envs = (struct sbx_kvs){&env, 1};
    return command_exec(h, call, status == SBX_OK ? &own : args, out);
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_WORDS)
static sbx_status wrong_exec(EXEC_HEAD)
{
    static const char *const joined[] = {"sh", "-c", "IFS=' '; $*", "sh", NULL};
    const char *all[64];
    size_t count = 0;
    struct sbx_exec_args own = *args;
    for (; joined[count] != NULL; count++)
        all[count] = joined[count];
    for (size_t i = 0; args->argv != NULL && args->argv[i] != NULL && count < 63; i++)
        all[count++] = args->argv[i];
    all[count] = NULL;
    own.argv = args->argv != NULL ? all : NULL;
    return command_exec(h, call, args->size == sizeof own ? &own : args, out);
}
#define WRONG_EXEC wrong_exec
#elif defined(WRONG_IGNORES_STOP)
struct deaf {
    const struct sbx_sink *sink;
};
static int32_t write_deaf(void *user, const void *data, size_t len)
{
    const struct deaf *deaf = user;
    (void)deaf->sink->write(deaf->sink->user, data, len);
    return 0;
}
static sbx_status wrong_exec(EXEC_HEAD)
{
    struct deaf deaf = {args->out};
    struct sbx_sink sink = {.size = sizeof sink, .user = &deaf, .write = write_deaf};
    struct sbx_exec_args own = *args;
    own.out = args->out != NULL ? &sink : NULL;
    own.timeout_ms = 1000;
    return command_exec(h, call, args->size == sizeof own ? &own : args, out);
}
#define WRONG_EXEC wrong_exec

/* --- files --- */
#elif defined(WRONG_OFFSET)
static sbx_status wrong_read(struct sbx_handle *h, struct sbx_call *call, const char *path,
                             const struct sbx_read_args *args, const struct sbx_sink *out)
{
    struct sbx_read_args own = *args;
    own.offset = 0;
    return file_read(h, call, path, args->size == sizeof own ? &own : args, out);
}
#define WRONG_READ wrong_read
#elif defined(WRONG_LENGTH) || defined(WRONG_EXCL) || defined(WRONG_NOT_WHOLE)
#if defined(WRONG_NOT_WHOLE)
static int64_t no_bytes(void *user, void *buf, size_t cap)
{
    (void)user, (void)buf, (void)cap;
    return 0;
}
#endif
static sbx_status wrong_write(struct sbx_handle *h, struct sbx_call *call, const char *path,
                              const struct sbx_write_args *args, const struct sbx_source *in)
{
    struct sbx_write_args own = *args;
#if defined(WRONG_LENGTH)
    own.flags &= ~(uint32_t)SBX_WRITE_HAS_LENGTH;
#elif defined(WRONG_EXCL)
    own.flags &= ~(uint32_t)SBX_WRITE_EXCL;
#else
    /* Truncated first, filled then. */
    struct sbx_source none = {.size = sizeof none, .read = no_bytes, .ready_fd = -1};
    struct sbx_write_args empty = {.size = sizeof empty};
    if (args->flags == 0 && args->size == sizeof own)
        (void)file_write(h, call, path, &empty, &none);
#endif
    return file_write(h, call, path, args->size == sizeof own ? &own : args, in);
}
#define WRONG_WRITE wrong_write
#endif

#include "tests/conform/wrong_stream.h"

/* --- the tables --------------------------------------------------------------------------------------------------- */
#ifndef WRONG_OPEN
#define WRONG_OPEN backend_open
#endif
#ifndef WRONG_CLOSE
#define WRONG_CLOSE backend_close
#endif
#ifndef WRONG_EXTENSION
#define WRONG_EXTENSION backend_extension
#endif
#ifndef WRONG_CREATE
#define WRONG_CREATE backend_create
#endif
#ifndef WRONG_ATTACH
#define WRONG_ATTACH backend_attach
#endif
#ifndef WRONG_LIST
#define WRONG_LIST backend_list
#endif
#ifndef WRONG_REMOVE
#define WRONG_REMOVE handle_remove
#endif
#ifndef WRONG_SUPPORT_SLOT
#define WRONG_SUPPORT_SLOT handle_support
#endif
#ifndef WRONG_EXEC
#define WRONG_EXEC command_exec
#endif
#ifndef WRONG_READ
#define WRONG_READ file_read
#endif
#ifndef WRONG_WRITE
#define WRONG_WRITE file_write
#endif
#ifndef WRONG_KEYS
#define WRONG_KEYS keys
#endif
#ifndef WRONG_EXTENSIONS
#define WRONG_EXTENSIONS extensions
#endif
#ifndef WRONG_THREADS
#define WRONG_THREADS SBX_THREADS_PARALLEL
#endif
#ifndef WRONG_MAJOR
#define WRONG_MAJOR SBX_ABI_MAJOR
#endif
#ifndef WRONG_ID
#define WRONG_ID VARIANT
#endif

static const struct sbx_backend_ops wrong_backend = {.size = sizeof wrong_backend,
                                                     .open = WRONG_OPEN,
                                                     .close = WRONG_CLOSE,
                                                     .get_extension = WRONG_EXTENSION,
                                                     .create = WRONG_CREATE,
                                                     .attach = WRONG_ATTACH,
                                                     .list = WRONG_LIST};
static const struct sbx_handle_ops wrong_handle = {.size = sizeof wrong_handle,
                                                   .id = handle_id,
                                                   .release = handle_release,
                                                   .remove = WRONG_REMOVE,
                                                   .support = WRONG_SUPPORT_SLOT,
                                                   .info = handle_info,
                                                   .exec = WRONG_EXEC,
                                                   .read_file = WRONG_READ,
                                                   .write_file = WRONG_WRITE};
#ifdef WRONG_NO_SYMBOL
#define sbx_plugin_v1 sbx_plugin_v0
extern const struct sbx_plugin sbx_plugin_v0;
#endif
const struct sbx_plugin sbx_plugin_v1 = {.size = sizeof(struct sbx_plugin),
                                         .abi_major = WRONG_MAJOR,
                                         .abi_minor = SBX_ABI_MINOR,
                                         .threads = WRONG_THREADS,
                                         .id = WRONG_ID,
                                         .name = "Wrong",
                                         .version = "1.0",
                                         .vendor = "the tests",
                                         .summary = "wrong in one way",
                                         .config_keys = WRONG_KEYS,
                                         .extensions = WRONG_EXTENSIONS,
                                         .backend = &wrong_backend,
                                         .handle = &wrong_handle};
