/* SPDX-License-Identifier: MIT
 *
 * sbx.h - libsbx for programs: one interface to sandboxes of many providers.
 *
 *   sbx_context *ctx;  sbx_sandbox *box;  struct sbx_exec_result result = SBX_INIT(result);
 *   sbx_open(NULL, &ctx, &error);
 *   sbx_create(ctx, &(struct sbx_create_options){ .size = sizeof(struct sbx_create_options) }, NULL, &box, &error);
 *   sbx_exec(box, &(struct sbx_exec_options){ .size = ..., .command = "echo hi", ... }, NULL, &result, &error);
 *
 * Verdicts. Every call answers OK (0), FAILED (a negative code, with the reason in `error`) or SBX_E_UNKNOWN (with an
 * id in error.resource_id to recover by). A command's own failure is a result, never an error.
 *
 * Structs begin with `size`; zero them and set it (SBX_INIT). Zero means default. Texts that libsbx hands out belong to
 * the object they came from and live as long as it. Every destructor takes NULL. `error` may be NULL; it is left alone
 * on success.
 *
 * Threads. A context and its sandboxes may be used from any number of threads at once; freeing an object is the last
 * thing done to it. An operation belongs to one thread at a time, except sbx_op_cancel. libsbx changes nothing
 * process-wide.
 *
 * Blocking and not. Each long function has a twin `_start` that answers at once with an operation: wait until the
 * operation's descriptor is readable, call sbx_op_dispatch (callbacks run there, on the caller's thread), and when it
 * says 1 take the verdict with sbx_op_finish. The plain form is start + finish, without a second thread. What is given
 * to `_start` is copied, but for bytes to write, descriptors and user data, which are lent until the operation is over.
 */
#ifndef SBX_H
#define SBX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SBX_API __attribute__((visibility("default")))
#define SBX_INIT(object)                                                                                               \
    {                                                                                                                  \
        .size = sizeof(object)                                                                                         \
    }

/* --- vocabulary: this part is word for word the same in sbx.h and sbx_plugin.h ---------------------------------- */
#ifndef SBX_VOCABULARY_1
#define SBX_VOCABULARY_1
#define SBX_ID_SIZE 256 /* room for any id or name handed back in fixed storage, with its NUL */

typedef int32_t sbx_status; /* 0, or a negative code; an unknown negative code means SBX_E_FAILED */
enum {
    SBX_OK = 0,
    SBX_E_FAILED = -1,       /* anything that has no code of its own; read the message */
    SBX_E_UNSUPPORTED = -2,  /* this provider, or this sandbox, cannot do what was asked */
    SBX_E_INVALID = -3,      /* an argument that no provider could accept */
    SBX_E_CONFIG = -4,       /* the configuration, named by file, line and key */
    SBX_E_AUTH = -5,         /* credentials missing, or refused by the provider */
    SBX_E_PERMISSION = -6,   /* permission_denied: the sandbox's user may not */
    SBX_E_NOT_FOUND = -7,    /* file_not_found, or an id that names nothing */
    SBX_E_EXISTS = -8,       /* it is there already */
    SBX_E_IS_DIR = -9,       /* is_directory */
    SBX_E_NOT_DIR = -10,     /* a directory was needed */
    SBX_E_BAD_PATH = -11,    /* invalid_path, and what is neither file nor directory: fifo, socket, device */
    SBX_E_TOO_LARGE = -12,   /* over a limit that the message names */
    SBX_E_QUOTA = -13,       /* no space, or no more of a counted thing */
    SBX_E_BUSY = -14,        /* somebody else is at it; try later */
    SBX_E_STATE = -15,       /* the sandbox exists but is suspended, stopped, ... */
    SBX_E_GONE = -16,        /* the sandbox behind this handle no longer exists */
    SBX_E_TIMEOUT = -17,     /* the call's deadline; never the command's own limit */
    SBX_E_CANCELLED = -18,   /* the call's cancel token */
    SBX_E_STOPPED = -19,     /* a sink or a source asked to stop */
    SBX_E_UNAVAILABLE = -20, /* the provider cannot be reached; nothing was changed */
    SBX_E_NO_MEMORY = -21,
    SBX_E_PROTOCOL = -22, /* the other side spoke nonsense */
    SBX_E_UNKNOWN = -23   /* the outcome could not be learned; resource_id says what to ask about */
};

struct sbx_kv { /* frozen for ever */
    const char *key;
    const char *value;
};
struct sbx_kvs { /* frozen for ever */
    const struct sbx_kv *items;
    size_t count;
};

/* The caller allocates it, zeroes it and sets size; it is filled only on failure and left alone on success. */
enum {
    SBX_ERR_RETRYABLE = 1u << 0,    /* the same call may be made again */
    SBX_ERR_MAYBE_APPLIED = 1u << 1 /* something may exist (and cost money) */
};
struct sbx_error {
    uint32_t size;
    uint32_t flags;
    sbx_status code;
    int32_t os_errno;        /* 0 if none */
    int32_t provider_status; /* such as the HTTP status; 0 if none */
    uint32_t retry_after_ms;
    char provider_code[64];        /* such as a request id or the API's own code */
    char resource_id[SBX_ID_SIZE]; /* sandbox, job or client token to recover by; empty if none */
    char message[512];             /* UTF-8, one line, no secrets, no final full stop; names the thing */
};

enum {
    SBX_STATE_UNKNOWN,
    SBX_STATE_PENDING,
    SBX_STATE_RUNNING,
    SBX_STATE_SUSPENDING,
    SBX_STATE_SUSPENDED,
    SBX_STATE_RESUMING,
    SBX_STATE_STOPPED,
    SBX_STATE_FAILED
};
struct sbx_info {
    uint32_t size;
    int32_t state; /* SBX_STATE_*; unknown numbers mean SBX_STATE_UNKNOWN */
    const char *id;
    const char *name;           /* may be NULL, as may every text below */
    const char *provider_state; /* the provider's own word */
    const char *failure;        /* why, when state is SBX_STATE_FAILED */
    int64_t created_ms;         /* wall clock since 1970; 0 unknown */
    int64_t expires_ms;         /* likewise; 0 never, or unknown */
    struct sbx_kvs metadata;    /* the caller's labels, then facts of the provider's under "provider." */
};

enum { SBX_NET_DEFAULT, SBX_NET_NONE, SBX_NET_FULL, SBX_NET_ALLOW_LIST };

/* How a command ended. Success of an exec means EXITED, SIGNALLED or TIMED_OUT is set; anything less is SBX_E_UNKNOWN.
 */
enum {
    SBX_EXITED = 1u << 0,    /* exit_code is the command's */
    SBX_SIGNALLED = 1u << 1, /* term_signal ended it; exit_code is 128 + term_signal */
    SBX_TIMED_OUT = 1u << 2, /* its own limit was over and its whole process tree was killed; exit_code is 124 */
    SBX_STDOUT_TRUNCATED = 1u << 3,
    SBX_STDERR_TRUNCATED = 1u << 4,
    SBX_MERGED = 1u << 5, /* both streams came through `out`, in the order in which they were written */
    SBX_OUT_OF_MEMORY = 1u << 6,
    SBX_OUTPUT_INCOMPLETE = 1u << 7, /* a descendant still held the stream, or the transport cannot tell */
    SBX_TEXT_ONLY = 1u << 8,         /* the provider carries output as text: NUL and invalid UTF-8 are not exact */
    SBX_TAIL_KEPT = 1u << 9,         /* truncation dropped the beginning, not the end */
    SBX_NOT_STARTED = 1u << 10       /* with EXITED and 126 or 127: the program itself could not be executed or found */
};
struct sbx_exec_result {
    uint32_t size;
    uint32_t flags;
    int32_t exit_code;
    int32_t term_signal;
    uint64_t out_bytes; /* written by the command, delivered or not */
    uint64_t err_bytes;
};

enum { SBX_FILE_UNKNOWN, SBX_FILE_REGULAR, SBX_FILE_DIRECTORY, SBX_FILE_SYMLINK, SBX_FILE_OTHER };
enum { SBX_STAT_MODE = 1u << 0, SBX_STAT_BYTES = 1u << 1, SBX_STAT_MTIME = 1u << 2 };
struct sbx_file_stat {
    uint32_t size;
    uint32_t known; /* SBX_STAT_*: which of the fields below the provider could tell */
    uint32_t type;  /* SBX_FILE_* */
    uint32_t mode;  /* permission bits, 07777 */
    uint64_t bytes;
    int64_t mtime_ms; /* wall clock since 1970 */
};

enum { SBX_SUPPORT_NONE, SBX_SUPPORT_EMULATED, SBX_SUPPORT_NATIVE };

enum { SBX_LOG_DEBUG, SBX_LOG_INFO, SBX_LOG_WARN, SBX_LOG_ERROR };

/* How a file is written: its parents made, data added at the end, only if it does not exist yet, with these bits. */
enum { SBX_WRITE_PARENTS = 1u << 0, SBX_WRITE_APPEND = 1u << 1, SBX_WRITE_EXCL = 1u << 2 };
#endif /* SBX_VOCABULARY_1 */

/* --- objects ---------------------------------------------------------------------------------------------------- */
typedef struct sbx_context sbx_context; /* a configuration and the providers it names */
typedef struct sbx_sandbox sbx_sandbox; /* a handle to one sandbox */
typedef struct sbx_op sbx_op;           /* one long operation under way */

/* Version of the library, such as "0.1.0". */
SBX_API const char *sbx_version(void);
/* The fixed word for a status code: "ok", "timed_out", "file_not_found", ... Never NULL. */
SBX_API const char *sbx_status_name(sbx_status code);

/* What travels with every call that can block; NULL stands for all defaults. */
enum { SBX_CALL_CANCEL_FD = 1u << 0 };
struct sbx_call_options {
    uint32_t size;
    uint32_t flags;
    int64_t deadline_ms; /* from now; 0 = none. On expiry SBX_E_TIMEOUT; remote work may go on */
    int32_t cancel_fd;   /* with its flag: readable = cancelled; never read or closed by libsbx */
    uint32_t reserved0;
    const char *trace_id; /* appears in logs */
    /* Bytes so far of a file, tar or tree that travels; on the thread that carries them, which may be libsbx's own. */
    void (*on_progress)(void *user, uint64_t bytes);
    void *user_data;
};

/* --- context ---------------------------------------------------------------------------------------------------- */
enum { SBX_OPEN_NO_FILES = 1u << 0, SBX_OPEN_LOG_LEVEL = 1u << 1, SBX_OPEN_LOG_DEFAULT = 1u << 2 };
struct sbx_open_options {
    uint32_t size;
    uint32_t flags;          /* NO_FILES: read none, and every installed plugin is an instance of its name */
    const char *config_path; /* NULL: $SBX_CONFIG, the user's file, /etc/sbx/sbx.ini with /etc/sbx/conf.d */
    void (*log)(void *user, int32_t level, const char *where, const char *message); /* any thread; secrets are masked */
    void *user;
    int32_t log_level; /* LOG_LEVEL: whatever is configured, LOG_DEFAULT: where nothing is; else unused */
    uint32_t reserved0;
};
/* Reads and checks the configuration; loads no plugin yet. SBX_E_CONFIG names file, line, and what was expected. */
SBX_API sbx_status sbx_open(const struct sbx_open_options *options, sbx_context **out, struct sbx_error *error);
/* Every sandbox handle and operation of the context has been given back before. */
SBX_API void sbx_close(sbx_context *ctx);
struct sbx_finding {
    uint32_t size;
    uint32_t line;       /* 0: the file as a whole */
    const char *file;    /* NULL: no file */
    const char *message; /* what is wrong and what was expected */
    const char *nearest; /* the nearest known key or section, or NULL */
};
/* Reports every problem, of plugins' keys too, and opens no provider. SBX_E_CONFIG when there was one. */
SBX_API sbx_status sbx_config_check(const struct sbx_open_options *options,
                                    void (*report)(void *user, const struct sbx_finding *finding), void *user,
                                    struct sbx_error *error);
/* Reports each file that was read, in order (line, message and nearest are unset). */
SBX_API void sbx_config_files(sbx_context *ctx, void (*report)(void *user, const char *path), void *user);

struct sbx_route {
    uint32_t size;
    uint32_t line; /* of its section */
    const char *name;
    const char *file;
    const char *image;          /* pattern; NULL: any */
    const char *const *labels;  /* KEY=VALUE; never NULL; ends with NULL, as the next two */
    const char *const *require; /* capability ids */
    const char *const *use;     /* instances, in the order in which they are tried */
};
/* Reports each route, in the order in which they are asked. */
SBX_API void sbx_routes(sbx_context *ctx, void (*report)(void *user, const struct sbx_route *route), void *user);

struct sbx_key {
    uint32_t size;
    uint32_t type; /* as SBX_KEY_* of sbx_plugin.h */
    uint32_t flags;
    uint32_t reserved0;
    const char *name;
    const char *fallback;
    const char *help;
    const char *type_name; /* "text", "number", "yes/no", "duration", "size", "path" */
};
struct sbx_capability {
    const char *id;   /* such as "sbx.tty/1" */
    uint32_t support; /* SBX_SUPPORT_* */
    uint32_t reserved0;
};
struct sbx_provider {
    uint32_t size;
    uint32_t is_default;
    const char *instance;
    const char *plugin; /* its id */
    const char *path;   /* of the shared object */
    const char *version;
    const char *summary;
    const char *problem; /* NULL: usable; else why not, in one line */
    const struct sbx_key *keys;
    size_t key_count;
    const struct sbx_capability *capabilities; /* empty when there is a problem */
    size_t capability_count;
};
/* Reports every configured instance, loading and opening each. A broken one is reported with its problem. */
SBX_API sbx_status sbx_providers(sbx_context *ctx, const struct sbx_call_options *call,
                                 void (*report)(void *user, const struct sbx_provider *provider), void *user,
                                 struct sbx_error *error);

/* --- operations ------------------------------------------------------------------------------------------------- */
/* Readable when dispatch has something to do. Valid until sbx_op_free. */
SBX_API int sbx_op_fd(const sbx_op *op);
/* Runs the callbacks that are due; never blocks. 1: the operation is over, 0: not yet, or called in one of them. */
SBX_API int sbx_op_dispatch(sbx_op *op);
/* Asks the operation to end; it then finishes with SBX_E_CANCELLED unless it was over already. Any thread. */
SBX_API void sbx_op_cancel(sbx_op *op);
/* Dispatches until it is over and answers its verdict, the same each time. SBX_E_STATE in one of its own callbacks. */
SBX_API sbx_status sbx_op_finish(sbx_op *op, struct sbx_error *error);
/* Results, valid after the operation is over and until sbx_op_free. */
SBX_API const struct sbx_exec_result *sbx_op_exec_result(const sbx_op *op);
SBX_API const void *sbx_op_output(const sbx_op *op, int stream, size_t *len); /* 1, 2: captured; 0: a file's bytes */
SBX_API sbx_sandbox *sbx_op_take_sandbox(sbx_op *op);                         /* once: the caller releases it */
/* Cancels what is still under way, waits for it and frees; not in one of its own callbacks. */
SBX_API void sbx_op_free(sbx_op *op);

/* --- life of a sandbox ------------------------------------------------------------------------------------------ */
enum { SBX_CREATE_WITH_CALLER = 1u << 0 }; /* the sandbox ends when this process ends, however that happens */
struct sbx_create_options {                /* NULL stands for all defaults */
    uint32_t size;
    uint32_t flags;
    const char *provider; /* an instance; NULL: by the routes, else the default */
    const char *image;    /* at most one of image, blueprint and snapshot */
    const char *blueprint;
    const char *snapshot;
    const char *name;
    const char *client_token; /* NULL: one is made; same token, same sandbox */
    const char *workdir;
    const char *user;
    struct sbx_kvs envs;
    struct sbx_kvs labels; /* keys beginning with "sbx." are refused */
    struct sbx_kvs provider_options;
    uint32_t lifetime_s; /* 0: the configured `lifetime`, 1 h unless set */
    uint32_t idle_timeout_s;
    uint32_t cpu_millis;
    uint32_t memory_mib;
    uint32_t disk_mib;
    uint32_t network; /* SBX_NET_*; 0: as the instance is configured */
    const char *const *network_allow;
    const char *const *require; /* capability ids that the provider must offer; NULL-terminated */
};
/* Makes a sandbox whose first exec works. On failure nothing is left, or it is SBX_E_UNKNOWN with an id. */
SBX_API sbx_status sbx_create(sbx_context *ctx, const struct sbx_create_options *options,
                              const struct sbx_call_options *call, sbx_sandbox **out, struct sbx_error *error);
SBX_API sbx_status sbx_create_start(sbx_context *ctx, const struct sbx_create_options *options,
                                    const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error);
/* `id`: INSTANCE/NATIVE-ID as sbx_id gives it; NATIVE-ID: of the default instance. SBX_E_NOT_FOUND: there is none. */
SBX_API sbx_status sbx_attach(sbx_context *ctx, const char *id, const struct sbx_call_options *call, sbx_sandbox **out,
                              struct sbx_error *error);
/* INSTANCE/NATIVE-ID; valid until sbx_release. */
SBX_API const char *sbx_id(const sbx_sandbox *box);
/* Forgets the handle; the sandbox lives on. */
SBX_API void sbx_release(sbx_sandbox *box);
/* Ends the sandbox and everything in it. SBX_OK also when it is gone. The handle still needs sbx_release. */
SBX_API sbx_status sbx_remove(sbx_sandbox *box, const struct sbx_call_options *call, struct sbx_error *error);
/* As sbx_remove, by id; SBX_OK for an unknown one, SBX_E_CONFIG for an unknown instance. */
SBX_API sbx_status sbx_remove_id(sbx_context *ctx, const char *id, const struct sbx_call_options *call,
                                 struct sbx_error *error);
typedef void sbx_info_report(void *user, const struct sbx_info *info);
/* Reports the sandbox once; info.id is the full INSTANCE/NATIVE-ID. */
SBX_API sbx_status sbx_inspect(sbx_sandbox *box, const struct sbx_call_options *call, sbx_info_report *report,
                               void *user, struct sbx_error *error);
/* SBX_SUPPORT_*: what this sandbox can do of a capability, what libsbx emulates included. */
SBX_API uint32_t sbx_support(const sbx_sandbox *box, const char *capability);
/* Until its state is one of state_mask (1u << SBX_STATE_*). SBX_E_STATE when it can no longer get there. */
SBX_API sbx_status sbx_wait(sbx_sandbox *box, uint32_t state_mask, const struct sbx_call_options *call,
                            sbx_info_report *report, void *user, struct sbx_error *error);
struct sbx_list_options {
    uint32_t size;
    uint32_t flags;
    const char *provider; /* NULL: every instance; one that cannot be reached is reported through the log */
    uint32_t state_mask;
    uint32_t limit;
    struct sbx_kvs labels;
    const char *after; /* with provider: native id of the last one seen */
};
SBX_API sbx_status sbx_list(sbx_context *ctx, const struct sbx_list_options *options,
                            const struct sbx_call_options *call, sbx_info_report *report, void *user,
                            struct sbx_error *error);

/* --- commands --------------------------------------------------------------------------------------------------- */
enum {
    SBX_RUN_MERGE = 1u << 0,      /* stderr goes where stdout goes, in the order of writing */
    SBX_RUN_NO_TIMEOUT = 1u << 1, /* no limit, where timeout_ms 0 means the instance's default */
    SBX_RUN_IN_FD = 1u << 2,      /* stdin from in_fd */
    SBX_RUN_OUT_FD = 1u << 3,     /* stdout to out_fd, unbuffered */
    SBX_RUN_ERR_FD = 1u << 4,
    SBX_RUN_CAPTURE = 1u << 5,      /* keep both streams for sbx_op_output / sbx_output, up to max_output each */
    SBX_RUN_DISCARD_AFTER = 1u << 6 /* over max_output: drop the beginning and keep the tail, not the reverse */
};
/* A terminal: the caller's descriptor is put in raw mode by the caller, not by libsbx. */
struct sbx_terminal {
    uint32_t size;
    uint32_t flags;
    uint32_t rows;
    uint32_t cols;
    void *user;
    /* [caller's thread] 1: a change was written (0,0 = unchanged; signo 0 = none); 0: nothing now. */
    int32_t (*next)(void *user, uint32_t *rows, uint32_t *cols, int32_t *signo);
    int32_t ready_fd; /* readable: ask next */
    uint32_t reserved0;
};
struct sbx_exec_options {
    uint32_t size;
    uint32_t flags;
    const char *command;     /* for `sh -c`, or */
    const char *const *argv; /* no shell; exactly one of the two */
    const char *cwd;
    const char *user;
    const char *shell; /* a named shell; a handle's commands for it run in the order in which they were asked for */
    struct sbx_kvs envs;
    uint64_t max_output; /* bytes kept per stream when captured; 0: as configured, 10 MiB. Streams are not capped */
    int64_t timeout_ms;  /* the command's limit; 0: the instance's default, none with a terminal */
    const void *input;   /* stdin as bytes, or IN_FD, or in_read; none of them: end of file at once */
    size_t input_len;
    int32_t in_fd;
    int32_t out_fd;
    int32_t err_fd;
    uint32_t reserved0;
    void *user_data;
    int64_t (*in_read)(void *user, void *buf, size_t cap);                      /* bytes, 0 end, negative stop */
    int32_t (*on_output)(void *user, int stream, const void *data, size_t len); /* non-zero: stop */
    const struct sbx_terminal *terminal;
};
/* Runs a command to its end. With SBX_RUN_CAPTURE use the operation form, or sbx_exec_capture. */
SBX_API sbx_status sbx_exec(sbx_sandbox *box, const struct sbx_exec_options *options,
                            const struct sbx_call_options *call, struct sbx_exec_result *result,
                            struct sbx_error *error);
SBX_API sbx_status sbx_exec_start(sbx_sandbox *box, const struct sbx_exec_options *options,
                                  const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error);
/* As sbx_exec with SBX_RUN_CAPTURE: *out is an operation that is over, for sbx_op_output; free it. Also on failure. */
SBX_API sbx_status sbx_exec_capture(sbx_sandbox *box, const struct sbx_exec_options *options,
                                    const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error);

/* --- files ------------------------------------------------------------------------------------------------------ */
/* Paths: absolute; or relative to the sandbox's working directory; or beginning with ~/ for the user's home.
 * Errors: the four that agent frameworks know are file_not_found, permission_denied, is_directory, invalid_path. */
struct sbx_transfer_options {
    uint32_t size;
    uint32_t flags; /* SBX_WRITE_*; SBX_WRITE_HAS_MODE is not needed: mode 0 means default */
    uint32_t mode;
    uint32_t reserved0;
    uint64_t offset;   /* read: the first byte */
    uint64_t limit;    /* read: at most so many bytes; 0: all */
    uint64_t max_size; /* read: a larger file is refused before anything is sent; 0: 100 MiB when captured, else none */
    const void *data;  /* write: bytes; or fd; or in_read; none of them: an empty file */
    size_t data_len;
    int32_t fd; /* with SBX_TRANSFER_FD. Read: written to it; write: read from it to its end */
    uint32_t reserved1;
    void *user_data;
    int64_t (*in_read)(void *user, void *buf, size_t cap);
    int32_t (*on_data)(void *user, const void *data, size_t len);
};
enum { SBX_TRANSFER_FD = 1u << 8, SBX_TRANSFER_CAPTURE = 1u << 9 };
SBX_API sbx_status sbx_read_file(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                                 const struct sbx_call_options *call, struct sbx_error *error);
SBX_API sbx_status sbx_read_file_start(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                                       const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error);
SBX_API sbx_status sbx_write_file(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                                  const struct sbx_call_options *call, struct sbx_error *error);
SBX_API sbx_status sbx_write_file_start(sbx_sandbox *box, const char *path, const struct sbx_transfer_options *options,
                                        const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error);
SBX_API sbx_status sbx_stat(sbx_sandbox *box, const char *path, const struct sbx_call_options *call,
                            struct sbx_file_stat *out, struct sbx_error *error);
/* *exists is 1 or 0; a missing path is no error. */
SBX_API sbx_status sbx_exists(sbx_sandbox *box, const char *path, const struct sbx_call_options *call, int *exists,
                              struct sbx_error *error);
SBX_API sbx_status sbx_list_dir(sbx_sandbox *box, const char *dir, const struct sbx_call_options *call,
                                void (*report)(void *user, const char *name, const struct sbx_file_stat *stat),
                                void *user, struct sbx_error *error);
enum { SBX_DIR_PARENTS = 1u << 0, SBX_DIR_RECURSIVE = 1u << 1 };
SBX_API sbx_status sbx_make_dir(sbx_sandbox *box, const char *dir, uint32_t mode, uint32_t flags,
                                const struct sbx_call_options *call, struct sbx_error *error);
SBX_API sbx_status sbx_delete(sbx_sandbox *box, const char *path, uint32_t flags, const struct sbx_call_options *call,
                              struct sbx_error *error);
SBX_API sbx_status sbx_rename(sbx_sandbox *box, const char *from, const char *to, const struct sbx_call_options *call,
                              struct sbx_error *error);

/* Several files in one call: one report for each index, in any order; the call is SBX_OK when the batch ran. */
struct sbx_file_item {
    uint32_t size;
    uint32_t reserved0;
    const char *path;
    const struct sbx_transfer_options *how;
};
typedef void sbx_item_report(void *user, size_t index, sbx_status code, const char *message);
SBX_API sbx_status sbx_read_files(sbx_sandbox *box, const struct sbx_file_item *const *items, size_t count,
                                  const struct sbx_call_options *call, sbx_item_report *report, void *user,
                                  struct sbx_error *error);
SBX_API sbx_status sbx_write_files(sbx_sandbox *box, const struct sbx_file_item *const *items, size_t count,
                                   const struct sbx_call_options *call, sbx_item_report *report, void *user,
                                   struct sbx_error *error);

/* Trees. Nothing is ever written outside host_dir; special files, links that leave it, and archives over the caps
 * (entries, bytes, depth) are refused. The tar form carries uncompressed POSIX tar through data/fd/callbacks. */
SBX_API sbx_status sbx_put_tree(sbx_sandbox *box, const char *host_dir, const char *dir,
                                const struct sbx_call_options *call, struct sbx_error *error);
SBX_API sbx_status sbx_get_tree(sbx_sandbox *box, const char *dir, const char *host_dir,
                                const struct sbx_call_options *call, struct sbx_error *error);
SBX_API sbx_status sbx_put_tar(sbx_sandbox *box, const char *dir, const struct sbx_transfer_options *from,
                               const struct sbx_call_options *call, struct sbx_error *error);
SBX_API sbx_status sbx_get_tar(sbx_sandbox *box, const char *dir, const struct sbx_transfer_options *to,
                               const struct sbx_call_options *call, struct sbx_error *error);

/* --- jobs: commands that outlive the call, and the client (sbx.job/1) --------------------------------------------- */
enum { SBX_JOB_RUNS = 1u << 16 };
enum { SBX_RUN_KEEP_STDIN = 1u << 7 }; /* exec flag of a job: its stdin stays open for sbx_job_feed */
struct sbx_job {
    uint32_t size;
    uint32_t flags; /* SBX_JOB_RUNS, or how it ended: SBX_EXITED ... */
    int64_t pid;    /* in the sandbox; 0: the provider does not tell */
    int32_t exit_code;
    int32_t term_signal;
    char id[SBX_ID_SIZE];
};
/* Starts a command and answers at once. Of the options command, argv, cwd, user, shell, envs, timeout_ms (0: none),
 * max_output (kept of each stream) and KEEP_STDIN count; a stream or a terminal is SBX_E_INVALID. */
SBX_API sbx_status sbx_job_start(sbx_sandbox *box, const struct sbx_exec_options *options,
                                 const struct sbx_call_options *call, struct sbx_job *out, struct sbx_error *error);
SBX_API sbx_status sbx_job_info(sbx_sandbox *box, const char *job, const struct sbx_call_options *call,
                                struct sbx_job *out, struct sbx_error *error);
/* To the job's end, or SBX_E_TIMEOUT at the call's deadline; the same answer any number of times. */
SBX_API sbx_status sbx_job_wait(sbx_sandbox *box, const char *job, const struct sbx_call_options *call,
                                struct sbx_exec_result *result, struct sbx_error *error);
SBX_API sbx_status sbx_job_wait_start(sbx_sandbox *box, const char *job, const struct sbx_call_options *call,
                                      sbx_op **out, struct sbx_error *error);
/* The whole tree; SBX_OK also after its end. */
SBX_API sbx_status sbx_job_kill(sbx_sandbox *box, const char *job, const struct sbx_call_options *call,
                                struct sbx_error *error);
SBX_API sbx_status sbx_job_signal(sbx_sandbox *box, const char *job, int32_t signo, const struct sbx_call_options *call,
                                  struct sbx_error *error);
/* All of data, then end of file if eof is not 0. SBX_E_STATE: the job or its stdin ended; a second eof is OK. */
SBX_API sbx_status sbx_job_feed(sbx_sandbox *box, const char *job, const void *data, size_t len, uint32_t eof,
                                const struct sbx_call_options *call, struct sbx_error *error);
enum { SBX_JOB_FOLLOW = 1u << 0, SBX_JOB_OUT_FD = 1u << 1, SBX_JOB_OLDEST = 1u << 2 /* see `from` */ };
struct sbx_job_output_options {
    uint32_t size;
    uint32_t flags;
    uint32_t stream; /* 1 stdout, 2 stderr */
    int32_t fd;      /* with SBX_JOB_OUT_FD */
    uint64_t from;   /* byte offset; no longer kept: SBX_E_TOO_LARGE, or with SBX_JOB_OLDEST the oldest kept */
    void *user_data;
    int32_t (*on_data)(void *user, const void *data, size_t len);
};
/* *next is the offset behind the last byte given, also on failure; with SBX_E_TOO_LARGE the first one kept, if told. */
SBX_API sbx_status sbx_job_output(sbx_sandbox *box, const char *job, const struct sbx_job_output_options *options,
                                  const struct sbx_call_options *call, uint64_t *next, struct sbx_error *error);
SBX_API sbx_status sbx_job_output_start(sbx_sandbox *box, const char *job, const struct sbx_job_output_options *options,
                                        const struct sbx_call_options *call, sbx_op **out, struct sbx_error *error);
SBX_API uint64_t sbx_op_next(const sbx_op *op); /* of an output operation that is over */
SBX_API sbx_status sbx_job_list(sbx_sandbox *box, const struct sbx_call_options *call,
                                void (*report)(void *user, const struct sbx_job *job), void *user,
                                struct sbx_error *error);
/* Drops an ended job with its output; SBX_E_STATE while it runs. */
SBX_API sbx_status sbx_job_forget(sbx_sandbox *box, const char *job, const struct sbx_call_options *call,
                                  struct sbx_error *error);

/* --- named shells: exec with options.shell ------------------------------------------------------------------------ */
/* A fresh name for a shell, 24 characters. */
SBX_API void sbx_shell_name(char name[SBX_ID_SIZE]);
/* Unknown or closed: SBX_E_NOT_FOUND. */
SBX_API sbx_status sbx_shell_close(sbx_sandbox *box, const char *shell, const struct sbx_call_options *call,
                                   struct sbx_error *error);

/* --- life, continued ---------------------------------------------------------------------------------------------- */
SBX_API sbx_status sbx_suspend(sbx_sandbox *box, const struct sbx_call_options *call, struct sbx_error *error);
SBX_API sbx_status sbx_resume(sbx_sandbox *box, const struct sbx_call_options *call, struct sbx_error *error);
/* 0: touch the idle timer; >0: its lifetime is so many seconds from now. */
SBX_API sbx_status sbx_keep_alive(sbx_sandbox *box, uint32_t ttl_s, const struct sbx_call_options *call,
                                  struct sbx_error *error);
struct sbx_snapshot_options {
    uint32_t size;
    uint32_t flags;
    const char *name;
    const char *comment;
    struct sbx_kvs labels;
};
enum { SBX_SNAP_UNKNOWN, SBX_SNAP_RUNNING, SBX_SNAP_DONE, SBX_SNAP_FAILED, SBX_SNAP_DELETED };
struct sbx_snapshot_info {
    uint32_t size;
    int32_t state;  /* SBX_SNAP_* */
    const char *id; /* INSTANCE/NATIVE-ID, as create's `snapshot` takes it */
    const char *name;
    const char *failure;
    int64_t created_ms;
    struct sbx_kvs labels;
};
typedef void sbx_snapshot_report(void *user, const struct sbx_snapshot_info *snapshot);
/* Begins one and reports it, running or done. */
SBX_API sbx_status sbx_snapshot_begin(sbx_sandbox *box, const struct sbx_snapshot_options *options,
                                      const struct sbx_call_options *call, sbx_snapshot_report *report, void *user,
                                      struct sbx_error *error);
/* Begins one, waits until it is no longer running, and reports it; a failed one is SBX_E_FAILED with its reason. */
SBX_API sbx_status sbx_snapshot_create(sbx_sandbox *box, const struct sbx_snapshot_options *options,
                                       const struct sbx_call_options *call, sbx_snapshot_report *report, void *user,
                                       struct sbx_error *error);
SBX_API sbx_status sbx_snapshot_query(sbx_context *ctx, const char *id, const struct sbx_call_options *call,
                                      sbx_snapshot_report *report, void *user, struct sbx_error *error);
SBX_API sbx_status sbx_snapshot_list(sbx_context *ctx, const struct sbx_list_options *options,
                                     const struct sbx_call_options *call, sbx_snapshot_report *report, void *user,
                                     struct sbx_error *error);
SBX_API sbx_status sbx_snapshot_remove(sbx_context *ctx, const char *id, const struct sbx_call_options *call,
                                       struct sbx_error *error);

/* --- connections into the sandbox --------------------------------------------------------------------------------- */
/* One TCP connection to 127.0.0.1:port in the sandbox, carried by in_fd and out_fd until both directions have ended;
 * the sandbox's end shuts down out_fd's writing half when that is a socket. SBX_E_UNAVAILABLE: nobody listens. */
SBX_API sbx_status sbx_dial(sbx_sandbox *box, uint32_t port, int32_t in_fd, int32_t out_fd,
                            const struct sbx_call_options *call, struct sbx_error *error);
typedef struct sbx_tunnel_handle sbx_tunnel_handle;
/* Listens on 127.0.0.1:*local_port (0: any; set on return) and serves connections, at most 64 at once, until closed. */
SBX_API sbx_status sbx_tunnel_open(sbx_sandbox *box, uint32_t port, uint32_t *local_port, sbx_tunnel_handle **out,
                                   struct sbx_error *error);
/* Ends the listener and what it carries; before sbx_release. */
SBX_API void sbx_tunnel_close(sbx_tunnel_handle *tunnel);

/* --- sweeping ----------------------------------------------------------------------------------------------------- */
enum { SBX_GC_ALL = 1u << 0, SBX_GC_DRY_RUN = 1u << 1 };
struct sbx_gc_options {
    uint32_t size;
    uint32_t flags;
    const char *provider; /* NULL: every instance */
};
/* Removes what expired and what was bound to a process that is proven dead; GC_ALL: all that libsbx made. By label.
 * Each one is reported with the reason; `problem`: NULL, or why it could not be removed, which is the verdict, too. */
SBX_API sbx_status sbx_gc(sbx_context *ctx, const struct sbx_gc_options *options, const struct sbx_call_options *call,
                          void (*report)(void *user, const char *id, const char *reason, const char *problem),
                          void *user, struct sbx_error *error);

#ifdef __cplusplus
}
#endif
#endif /* SBX_H */
