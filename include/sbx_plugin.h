/* SPDX-License-Identifier: MIT
 *
 * sbx_plugin.h - the plugin ABI of sbx, version 1.0.
 *
 * A provider of sandboxes is one shared object that exports one const data symbol, sbx_plugin_v1. This header is all
 * that a plugin, or a host that loads one, needs. It stands alone: no function of any host is imported.
 *
 * The promise. A plugin built against any 1.x header runs under every later 1.y host, and the reverse: every growable
 * struct begins with its size, fields are only ever added at the end, and capability tables are found by revisioned id.
 * Sources written for 1.x compile against every later 1.y header.
 *
 * Conventions. Zero always means default, absent or unlimited. There is no implicit padding; `reservedN` fills a hole,
 * is zero and never gains a meaning. Whoever makes a struct zeroes it, then sets `size = sizeof`.
 *   strict  (sbx_take): every *_args and *_item. What the host asks for is understood or refused.
 *   lenient (sbx_view): what either side offers or reports: sbx_host, sbx_call, sinks, sources, info, results.
 * Unknown bits in any `flags` are refused (SBX_E_UNSUPPORTED): a new offer that must not be missed gets a flag bit.
 *
 * Ownership. (a) What the host passes in is lent for the call; the plugin copies what it keeps. Exceptions: sbx_host is
 * lent until close() returns; the text of id(h) is lent back until release(h). (b) What the plugin reports is lent
 * during the callback; the host copies. (c) Out structs belong to the caller and are written only on success, except
 * sbx_exec_result, which is filled on every return. (d) Backends and handles belong to the plugin and are given back
 * once, children first. Nobody frees what the other side allocated; there is no allocator in this ABI.
 *
 * Threads. [any] any thread, concurrent with everything, never blocks. [call] any thread; concurrency as the
 * descriptor's `threads` declares (this is the tag of every blocking slot). [last] nothing else is in flight on the
 * object or its children, and nothing comes after. [inside] a callback: only on the thread that is inside the plugin's
 * call, one at a time, never after the call returned; from it the host must not enter the same backend or its handles.
 *
 * Clocks, never mixed. The call's deadline (SBX_E_TIMEOUT; remote work may go on), the command's timeout_ms (the plugin
 * kills the command: SBX_OK and SBX_TIMED_OUT), the sandbox's timeout_s (the provider ends the sandbox). A plugin that
 * waits watches deadline and cancel token and returns within a second of either.
 *
 * The rules P1-P12 and H1-H10 named in messages and tests are listed in docs/rules.md; sbx_plugin(3) has the long form.
 */
#ifndef SBX_PLUGIN_H
#define SBX_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SBX_ABI_MAJOR 1u /* part of the symbol's name */
#define SBX_ABI_MINOR 0u /* for people and for min_host_minor; sizes do the work */
#define SBX_EXPORT    __attribute__((visibility("default")))

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

/* --- call: what travels with every operation that can block ------------------------------------------------- */
struct sbx_backend; /* the plugin's own */
struct sbx_handle;

enum { SBX_CALL_HAS_CANCEL_FD = 1u << 0 };
struct sbx_call {
    uint32_t size;
    uint32_t flags;
    int64_t deadline_ns; /* CLOCK_MONOTONIC; 0 = none */
    int32_t cancel_fd;   /* with its flag: readable = cancelled. The host's: polled, never read or closed */
    uint32_t reserved0;
    int32_t (*cancelled)(void *user); /* [inside] may be NULL; for hosts without a descriptor: asked every 250 ms */
    void *user;
    const char *trace_id;    /* may be NULL */
    struct sbx_error *error; /* may be NULL */
};

/* --- streams: always called on the thread that is inside the plugin ----------------------------------------- */
struct sbx_sink {
    uint32_t size;
    uint32_t flags;
    void *user;
    int32_t (*write)(void *user, const void *data, size_t len); /* [inside] takes all; non-zero: stop, SBX_E_STOPPED */
};
enum { SBX_SOURCE_HAS_FD = 1u << 0 };
#define SBX_AGAIN INT64_MIN /* read: nothing there yet; only with SBX_SOURCE_HAS_FD */
struct sbx_source {
    uint32_t size;
    uint32_t flags;
    void *user;
    int64_t (*read)(void *user, void *buf, size_t cap); /* [inside] bytes given, 0 at the end, other negative: stop */
    int32_t ready_fd;                                   /* with its flag: polled by the plugin, never read or closed */
    uint32_t reserved0;                                 /* without the flag read may block: not for interactive input */
};

/* --- host services: lent from open() until close() returns -------------------------------------------------- */
struct sbx_host {
    uint32_t size;
    uint32_t abi_minor;
    void *user;
    const char *name;
    const char *version;
    void (*log)(void *user, int32_t level, const char *where, const char *message); /* [any] may be NULL */
    const void *(*get_service)(void *user, const char *id);                         /* [any] may be NULL */
};

/* --- reports ------------------------------------------------------------------------------------------------ */
struct sbx_info_sink {
    uint32_t size;
    uint32_t flags;
    void *user;
    int32_t (*item)(void *user, const struct sbx_info *info); /* [inside] non-zero: stop, SBX_E_STOPPED */
};

/* --- arguments ---------------------------------------------------------------------------------------------- */
struct sbx_open_args {
    uint32_t size;
    uint32_t flags;
    const char *instance;  /* the INI section's name, for logs and ids */
    struct sbx_kvs config; /* in file order, repeats kept, host keys removed */
};
enum {
    SBX_CREATE_BOUND = 1u << 0
}; /* ends with the calling process, however that ends; where the provider has no such
      means it is kept by metadata alone and swept later */
struct sbx_create_args {
    uint32_t size;
    uint32_t flags;
    const char *image; /* at most one of image, blueprint and snapshot */
    const char *blueprint;
    const char *snapshot;
    const char *name;
    const char *client_token; /* idempotency: same token, same sandbox */
    const char *workdir;
    const char *user;
    struct sbx_kvs envs;     /* seen by every exec */
    struct sbx_kvs metadata; /* labels; keys beginning with "sbx." are the host's */
    struct sbx_kvs provider; /* "docker.x", "runloop.y"; an unknown key is SBX_E_UNSUPPORTED, named */
    uint32_t timeout_s;      /* lifetime; 0 = the provider's default */
    uint32_t idle_timeout_s;
    uint32_t cpu_millis;
    uint32_t memory_mib;
    uint32_t disk_mib;
    uint32_t network;                 /* SBX_NET_* */
    const char *const *network_allow; /* NULL-terminated, with SBX_NET_ALLOW_LIST */
};
struct sbx_list_args {
    uint32_t size;
    uint32_t flags;
    uint32_t state_mask;     /* bit 1u << SBX_STATE_*; 0 = all */
    uint32_t limit;          /* 0 = no limit */
    struct sbx_kvs metadata; /* all must match */
    const char *after;       /* id of the last one seen: the next page; NULL: the first */
};

enum {
    SBX_EXEC_MERGE_STDERR = 1u << 0,
    SBX_EXEC_NO_TIMEOUT = 1u << 1, /* timeout_ms 0 alone = the provider's default */
    SBX_EXEC_STDIN_OPEN = 1u << 2  /* start of a job: keep its stdin for feed */
};
enum { SBX_TTY_RESIZE = 1, SBX_TTY_SIGNAL = 2 };
struct sbx_tty_event {
    uint32_t size;
    uint32_t what; /* SBX_TTY_* */
    uint32_t rows;
    uint32_t cols;
    int32_t signo;
    uint32_t reserved0;
};
struct sbx_tty { /* needs SBX_EXT_TTY; events are pulled inside the call, so no second entry is needed */
    uint32_t size;
    uint32_t flags;
    uint32_t rows;
    uint32_t cols;
    void *user;
    int32_t (*next)(void *user, struct sbx_tty_event *out); /* [inside] 1: an event, 0: none now */
    int32_t ready_fd;                                       /* polled by the plugin; readable: ask next */
    uint32_t reserved0;
};
struct sbx_exec_args {
    uint32_t size;
    uint32_t flags;
    const char *command;     /* shell text for `sh -c`, or */
    const char *const *argv; /* no shell, NULL-terminated; exactly one of the two */
    const char *cwd;         /* relative: under the sandbox's working directory */
    const char *user;
    const char *shell;   /* a named shell; needs SBX_EXT_SHELL */
    struct sbx_kvs envs; /* for this command only; they win over create's */
    uint64_t max_output; /* bytes delivered per stream; the rest is drained and counted; 0 = all */
    uint32_t timeout_ms; /* the command's own limit */
    uint32_t reserved0;
    const struct sbx_source *in; /* NULL: end of file at once */
    const struct sbx_sink *out;  /* NULL: drained and counted */
    const struct sbx_sink *err;
    const struct sbx_tty *tty; /* NULL: no terminal */
};
struct sbx_read_args {
    uint32_t size;
    uint32_t flags;
    uint64_t offset;
    uint64_t limit; /* bytes; 0 = to the end */
};
enum { SBX_WRITE_HAS_MODE = 1u << 3, SBX_WRITE_HAS_LENGTH = 1u << 4 }; /* beside the SBX_WRITE_* above */
struct sbx_write_args {
    uint32_t size;
    uint32_t flags;
    uint32_t mode; /* permission bits; without its flag a new file gets 0644 and an old one keeps its own */
    uint32_t reserved0;
    uint64_t length; /* what the source will give; anything else fails and leaves the old file */
};

/* --- the two mandatory tables; order of arguments: self, call, what, how, where to -------------------------- */
struct sbx_backend_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Checks the configuration (unknown key: SBX_E_CONFIG, named) and makes a backend, which is the host's until close.
     * A missing credential (SBX_E_AUTH) or program (SBX_E_UNAVAILABLE) is found here and named; nothing is created at
     * the provider. `host` stays lent until close returns, `args` for the call alone. [any] there is no object yet. */
    sbx_status (*open)(const struct sbx_host *host, struct sbx_call *call, const struct sbx_open_args *args,
                       struct sbx_backend **out);
    /* Gives the backend back; every thread of the plugin's has ended when it returns. NULL is ignored. [last] */
    void (*close)(struct sbx_backend *b);
    /* The table of a capability, or NULL, also for an id never heard of. The answer for an id is constant for the
     * backend's life, and the table lives as long. [any] */
    const void *(*get_extension)(struct sbx_backend *b, const char *id);
    /* Makes a sandbox and returns when its first exec would work; the handle is the host's until release. On failure
     * nothing is left, or the error says SBX_ERR_MAYBE_APPLIED with the id or token to ask about. What the provider
     * cannot do is refused first (SBX_E_UNSUPPORTED); no room for one more is SBX_E_QUOTA. timeout_s and idle_timeout_s
     * count seconds from now. [call] */
    sbx_status (*create)(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                         struct sbx_handle **out);
    /* A handle to an existing sandbox, the host's until release; makes nothing, and any number of handles may name one
     * sandbox. SBX_E_NOT_FOUND when there is none of that id. [call] */
    sbx_status (*attach)(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out);
    /* Reports each sandbox of ours that fits once, in a stable order; what is reported is lent for that callback.
     * SBX_E_UNAVAILABLE when the provider cannot be asked: an empty list means that there are none. [call] */
    sbx_status (*list)(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                       const struct sbx_info_sink *out);
};
struct sbx_handle_ops {
    uint32_t size;
    uint32_t reserved0;
    /* The provider's own id of the sandbox; valid until release. [any] */
    const char *(*id)(struct sbx_handle *h);
    /* Forgets the handle; the sandbox lives on. NULL is ignored. [last] */
    void (*release)(struct sbx_handle *h);
    /* Ends the sandbox with every process in it and frees what it held; SBX_OK also when it is gone already, and
     * SBX_E_UNKNOWN when that could not be learned. The handle still needs its release. [call] */
    sbx_status (*remove)(struct sbx_handle *h, struct sbx_call *call);
    /* SBX_SUPPORT_*: what this one sandbox can do of a capability the backend offers; NONE for an unknown id. [any] */
    uint32_t (*support)(struct sbx_handle *h, const char *id);
    /* Reports the sandbox once, as it is now; lent for that callback. SBX_E_GONE when it no longer exists, or
     * SBX_STATE_STOPPED where the provider still knows what became of it. [call] */
    sbx_status (*info)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out);
    /* Runs a command to its end. timeout_ms is the command's own limit: over it, the whole process tree is killed and
     * the answer is SBX_OK with SBX_TIMED_OUT. `out` is filled on every return, so that what was counted is never lost;
     * out_bytes and err_bytes count what the command wrote. A command that fails is SBX_OK with its exit code.
     * SBX_E_NOT_FOUND: no such cwd. SBX_E_INVALID: no such user. SBX_E_GONE: the sandbox ended. Deadline and cancel
     * kill the command. SBX_E_UNKNOWN: it may have run, its end was not learned. [call] */
    sbx_status (*exec)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                       struct sbx_exec_result *out);
    /* Gives a regular file's bytes, limit of them from offset; symlinks are followed inside the sandbox, as its user.
     * SBX_E_NOT_FOUND, SBX_E_PERMISSION, SBX_E_IS_DIR, SBX_E_BAD_PATH (a fifo, socket or device, never opened). What
     * was delivered before a failure is for the host to drop; a file that shrank meanwhile fails. [call] */
    sbx_status (*read_file)(struct sbx_handle *h, struct sbx_call *call, const char *path,
                            const struct sbx_read_args *args, const struct sbx_sink *out);
    /* Replaces a file as a whole, as the sandbox's user: on any failure the old content is still there. A symlink is
     * followed. SBX_E_NOT_FOUND (a parent is missing), SBX_E_PERMISSION, SBX_E_IS_DIR, SBX_E_BAD_PATH, SBX_E_EXISTS
     * (with SBX_WRITE_EXCL), SBX_E_QUOTA, SBX_E_INVALID (another length than promised). [call] */
    sbx_status (*write_file)(struct sbx_handle *h, struct sbx_call *call, const char *path,
                             const struct sbx_write_args *args, const struct sbx_source *in);
};

/* --- the descriptor ----------------------------------------------------------------------------------------- */
enum { SBX_KEY_STRING, SBX_KEY_INT, SBX_KEY_BOOL, SBX_KEY_SECONDS, SBX_KEY_BYTES, SBX_KEY_PATH };
enum { SBX_KEY_REQUIRED = 1u << 0, SBX_KEY_SECRET = 1u << 1, SBX_KEY_REPEAT = 1u << 2 };
struct sbx_config_key {
    uint32_t size;
    uint32_t type;  /* SBX_KEY_*: SECONDS takes `500ms 30s 5m 1h` or a bare number, BYTES takes `512M 4G` or a number */
    uint32_t flags; /* SECRET: also as NAME_file and NAME_env; the host resolves both and passes NAME */
    uint32_t reserved0;
    const char *name;
    const char *fallback; /* text of the default; NULL: none */
    const char *help;     /* one line */
};
enum { SBX_THREADS_SERIAL, SBX_THREADS_PARALLEL }; /* one call at a time per backend and its handles; or no limit */
enum { SBX_PLUGIN_NO_UNLOAD = 1u << 0 };           /* this object must never be dlclosed */
struct sbx_plugin {
    uint32_t size;
    uint32_t abi_major;
    uint32_t abi_minor;      /* of the header it was built with */
    uint32_t min_host_minor; /* what it truly needs */
    uint32_t threads;        /* SBX_THREADS_*; offering job, tty, dial or wait requires PARALLEL */
    uint32_t flags;
    const char *id; /* [a-z0-9-]+: the file is ID.so, the INI says plugin = ID */
    const char *name;
    const char *version;
    const char *vendor;
    const char *summary;
    const struct sbx_config_key *const *config_keys; /* NULL-terminated array of pointers, like every array */
    const char *const *extensions;                   /* ids it may offer, for listing; get_extension decides */
    const struct sbx_backend_ops *backend;
    const struct sbx_handle_ops *handle;
};
extern SBX_EXPORT const struct sbx_plugin sbx_plugin_v1;

/* --- capability tables: from get_extension; every slot inside is required; every slot is [call] --------------- */
#define SBX_EXT_STAT "sbx.stat/1" /* absent: the host emulates it by exec */
struct sbx_stat_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Symlinks are followed. SBX_E_NOT_FOUND when nothing is there, SBX_E_PERMISSION when that may not be seen. [call]
     */
    sbx_status (*stat)(struct sbx_handle *h, struct sbx_call *call, const char *path, struct sbx_file_stat *out);
};

#define SBX_EXT_FS "sbx.fs/1" /* absent: the host emulates it by exec of a POSIX sh */
struct sbx_entry {
    uint32_t size;
    uint32_t reserved0;
    const char *name;                 /* the entry's own name, bytes as the file system has them */
    const struct sbx_file_stat *stat; /* of the entry itself: a symlink is a symlink */
};
struct sbx_entry_sink {
    uint32_t size;
    uint32_t flags;
    void *user;
    int32_t (*item)(void *user, const struct sbx_entry *entry); /* [inside] non-zero: stop, SBX_E_STOPPED */
};
enum { SBX_FS_PARENTS = 1u << 0, SBX_FS_RECURSIVE = 1u << 1 };
struct sbx_fs_ops {
    uint32_t size;
    uint32_t reserved0;
    /* The immediate entries of a directory, without . and .., in no order, each lent for its callback. SBX_E_NOT_DIR
     * for a file. [call] */
    sbx_status (*list)(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_entry_sink *out);
    /* flags: SBX_FS_PARENTS makes what is missing and accepts what exists; mode 0 = 0755. SBX_E_EXISTS without that
     * flag; SBX_E_NOT_DIR where a file is in the way. [call] */
    sbx_status (*mkdir)(struct sbx_handle *h, struct sbx_call *call, const char *dir, uint32_t mode, uint32_t flags);
    /* The entry itself, never a symlink's target; a directory with content is refused without SBX_FS_RECURSIVE.
     * SBX_E_NOT_FOUND when nothing is there. [call] */
    sbx_status (*remove)(struct sbx_handle *h, struct sbx_call *call, const char *path, uint32_t flags);
    /* As rename(2): replaces a file at `to`, never a directory with content. [call] */
    sbx_status (*rename)(struct sbx_handle *h, struct sbx_call *call, const char *from, const char *to);
};

#define SBX_EXT_BATCH "sbx.batch/1" /* absent: the host loops over read_file and write_file */
struct sbx_put_item {
    uint32_t size;
    uint32_t reserved0;
    const char *path;
    const struct sbx_write_args *how; /* may be NULL */
    const struct sbx_source *in;
};
struct sbx_get_item {
    uint32_t size;
    uint32_t reserved0;
    const char *path;
    const struct sbx_sink *out;
};
struct sbx_batch_report {
    uint32_t size;
    uint32_t flags;
    void *user;
    void (*item)(void *user, size_t index, sbx_status code, const char *message); /* [inside] each index exactly once */
};
struct sbx_batch_ops { /* SBX_OK = the batch ran; single items may have failed */
    uint32_t size;
    uint32_t reserved0;
    /* Each item as write_file does it; items do not depend on one another, and their sources are read one at a time, in
     * order. `report` is called for each index exactly once, with write_file's codes. [call] */
    sbx_status (*put)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_put_item *const *items,
                      size_t count, const struct sbx_batch_report *report);
    /* Each item as read_file does it, into its own sink; `report` as above, after the item's last byte. [call] */
    sbx_status (*get)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_get_item *const *items,
                      size_t count, const struct sbx_batch_report *report);
};

#define SBX_EXT_ARCHIVE                                                                                                \
    "sbx.archive/1" /* uncompressed POSIX tar of a directory's content; absent: emulated by exec tar */
struct sbx_archive_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Unpacks into `dir`, which is made if missing; files are replaced, nothing is written outside it. SBX_E_BAD_PATH
     * for a member that would leave it, SBX_E_UNSUPPORTED for one that is neither file, directory nor link, both named;
     * members before it stay. A tar without its end is SBX_E_PROTOCOL. [call] */
    sbx_status (*put_tar)(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_source *tar);
    /* Names are relative to `dir` and begin with "./"; success means that the end-of-archive blocks were delivered.
     * SBX_E_NOT_FOUND, SBX_E_NOT_DIR. [call] */
    sbx_status (*get_tar)(struct sbx_handle *h, struct sbx_call *call, const char *dir, const struct sbx_sink *tar);
};

#define SBX_EXT_JOB "sbx.job/1"      /* start: in, out, err and tty are NULL, else SBX_E_INVALID */
enum { SBX_JOB_RUNNING = 1u << 16 }; /* in info.flags, beside SBX_EXITED ... */
enum {
    SBX_OUTPUT_FOLLOW = 1u << 0, /* goes on until the job's stream ends */
    SBX_OUTPUT_OLDEST = 1u << 1  /* begins with the oldest byte kept where that lies behind `from` */
};
struct sbx_job_info {
    uint32_t size;
    uint32_t flags;
    int64_t pid; /* in the sandbox; 0 = the provider does not tell */
    int32_t exit_code;
    int32_t term_signal;
    char id[SBX_ID_SIZE];
};
struct sbx_output_args {
    uint32_t size;
    uint32_t flags;
    uint32_t stream; /* 1 stdout, 2 stderr */
    uint32_t reserved0;
    uint64_t from; /* byte offset; SBX_E_TOO_LARGE where those bytes are no longer kept */
};
struct sbx_job_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Starts a command that outlives this call and this process; out->id names it. SBX_E_INVALID with a stream or a
     * terminal; timeout_ms counts from its start. [call] */
    sbx_status (*start)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                        struct sbx_job_info *out);
    /* How it stands now, without waiting. SBX_E_NOT_FOUND: no such job. [call] */
    sbx_status (*info)(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_job_info *out);
    /* Until the job ends or the call's deadline is over (SBX_E_TIMEOUT: it runs on); the same answer any number of
     * times, from any number of waiters. [call] */
    sbx_status (*wait)(struct sbx_handle *h, struct sbx_call *call, const char *job, struct sbx_exec_result *out);
    /* The whole tree; SBX_OK also after its end. SBX_E_NOT_FOUND: no such job. [call] */
    sbx_status (*kill)(struct sbx_handle *h, struct sbx_call *call, const char *job);
    /* One stream's bytes from an offset; `next` is the offset behind the last byte given, on failure too.
     * SBX_E_TOO_LARGE: those bytes are no longer kept. [call] */
    sbx_status (*output)(struct sbx_handle *h, struct sbx_call *call, const char *job,
                         const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next);
};
#define SBX_EXT_JOB_SIGNAL "sbx.job.signal/1"
struct sbx_job_signal_ops {
    uint32_t size;
    uint32_t reserved0;
    /* To the job's first process. SBX_E_STATE after its end. [call] */
    sbx_status (*signal)(struct sbx_handle *h, struct sbx_call *call, const char *job, int32_t signo);
};
#define SBX_EXT_JOB_STDIN "sbx.job.stdin/1"
struct sbx_job_stdin_ops {
    uint32_t size;
    uint32_t reserved0;
    /* All of data, then end of file if eof is not 0. SBX_E_STATE after the end of the job or of its stdin. [call] */
    sbx_status (*feed)(struct sbx_handle *h, struct sbx_call *call, const char *job, const void *data, size_t len,
                       uint32_t eof);
};
#define SBX_EXT_JOB_LIST "sbx.job.list/1"
struct sbx_job_sink {
    uint32_t size;
    uint32_t flags;
    void *user;
    int32_t (*item)(void *user, const struct sbx_job_info *job); /* [inside] */
};
struct sbx_job_list_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Each job of the sandbox once, running or ended, lent for its callback. [call] */
    sbx_status (*list)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_job_sink *out);
    /* Drops an ended job with its output; SBX_E_STATE while it runs, SBX_E_NOT_FOUND for none of that id. [call] */
    sbx_status (*forget)(struct sbx_handle *h, struct sbx_call *call, const char *job);
};

#define SBX_EXT_TTY         "sbx.tty/1" /* no table behind it: exec_args.tty is accepted; get_extension gives any non-NULL */
#define SBX_EXT_SHELL       "sbx.shell/1" /* likewise: exec_args.shell is accepted */
#define SBX_EXT_SHELL_CLOSE "sbx.shell.close/1"
struct sbx_shell_close_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Ends a named shell with everything it started. SBX_E_NOT_FOUND: no shell of that name. [call] */
    sbx_status (*close)(struct sbx_handle *h, struct sbx_call *call, const char *shell);
};

#define SBX_EXT_DIAL "sbx.dial/1"
struct sbx_dial_ops {
    uint32_t size;
    uint32_t reserved0;
    /* One TCP connection to 127.0.0.1:port in the sandbox; returns when both directions have ended. A write of no bytes
     * to `out` says that the other side has ended its direction. SBX_E_UNAVAILABLE when nothing listens there. [call]
     */
    sbx_status (*dial)(struct sbx_handle *h, struct sbx_call *call, uint32_t port, const struct sbx_source *in,
                       const struct sbx_sink *out);
};

#define SBX_EXT_KEEPALIVE "sbx.keepalive/1"
struct sbx_keepalive_ops {
    uint32_t size;
    uint32_t reserved0;
    /* 0: touch the idle timer; >0: lifetime in seconds from now, SBX_E_UNSUPPORTED where it cannot be extended. [call]
     */
    sbx_status (*keep_alive)(struct sbx_handle *h, struct sbx_call *call, uint32_t ttl_s);
};
#define SBX_EXT_SUSPEND "sbx.suspend/1"
struct sbx_suspend_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Stops every process and keeps them and the files; returns when that is so. SBX_OK when it is suspended already.
     * Until resume every command and file operation is SBX_E_STATE. [call] */
    sbx_status (*suspend)(struct sbx_handle *h, struct sbx_call *call);
    /* Returns when the next exec would work. SBX_OK when it runs already. [call] */
    sbx_status (*resume)(struct sbx_handle *h, struct sbx_call *call);
};
#define SBX_EXT_WAIT "sbx.wait/1" /* long poll at the provider; absent: the host polls info */
struct sbx_wait_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Until the state is one of state_mask (1u << SBX_STATE_*), which is then reported once; SBX_E_STATE when it can no
     * longer get there, SBX_E_TIMEOUT at the call's deadline. [call] */
    sbx_status (*wait_state)(struct sbx_handle *h, struct sbx_call *call, uint32_t state_mask,
                             const struct sbx_info_sink *out);
};

#define SBX_EXT_SNAPSHOT "sbx.snapshot/1" /* synchronous = begin, then query until not running: the host does it */
enum { SBX_SNAPSHOT_UNKNOWN, SBX_SNAPSHOT_RUNNING, SBX_SNAPSHOT_DONE, SBX_SNAPSHOT_FAILED, SBX_SNAPSHOT_DELETED };
struct sbx_snapshot_args {
    uint32_t size;
    uint32_t flags;
    const char *name;
    const char *comment;
    struct sbx_kvs metadata;
};
struct sbx_snapshot {
    uint32_t size;
    int32_t state; /* SBX_SNAPSHOT_* */
    const char *id;
    const char *name;
    const char *failure;
    int64_t created_ms;
    struct sbx_kvs metadata;
};
struct sbx_snapshot_sink {
    uint32_t size;
    uint32_t flags;
    void *user;
    int32_t (*item)(void *user, const struct sbx_snapshot *s); /* [inside] */
};
struct sbx_snapshot_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Starts a snapshot of the sandbox's files and reports it once, in whatever state it is then. [call] */
    sbx_status (*begin)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_snapshot_args *args,
                        const struct sbx_snapshot_sink *out);
    /* Reports the snapshot once, as it is now. SBX_E_NOT_FOUND: none of that id. [call] */
    sbx_status (*query)(struct sbx_backend *b, struct sbx_call *call, const char *id,
                        const struct sbx_snapshot_sink *out);
    /* Each snapshot that fits once, in a stable order; state_mask is left at 0. [call] */
    sbx_status (*list)(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                       const struct sbx_snapshot_sink *out);
    /* SBX_OK also when it is gone already; sandboxes made from it live on. [call] */
    sbx_status (*remove)(struct sbx_backend *b, struct sbx_call *call, const char *id);
};

#define SBX_EXT_SSH "sbx.ssh/1"
struct sbx_ssh_key {
    uint32_t size;
    uint32_t port;
    const char *host;
    const char *user;
    const char *private_key_pem; /* the plugin wipes it after the callback */
    const char *proxy_command;
};
struct sbx_ssh_sink {
    uint32_t size;
    uint32_t flags;
    void *user;
    int32_t (*item)(void *user, const struct sbx_ssh_key *key); /* [inside] */
};
struct sbx_ssh_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Makes a key that may log in and reports it once, lent for that callback; the host copies and guards it. [call] */
    sbx_status (*create_key)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_ssh_sink *out);
};

/* Endpoints that the provider keeps; local listeners are the host's, over dial. */
#define SBX_EXT_TUNNEL "sbx.tunnel/1"
enum { SBX_TUNNEL_OPEN, SBX_TUNNEL_TOKEN };
struct sbx_tunnel_args {
    uint32_t size;
    uint32_t flags;
    uint32_t port;
    uint32_t auth; /* SBX_TUNNEL_* */
};
struct sbx_tunnel {
    uint32_t size;
    uint32_t port;
    const char *id;
    const char *url;
    const char *token;
};
struct sbx_tunnel_sink {
    uint32_t size;
    uint32_t flags;
    void *user;
    int32_t (*item)(void *user, const struct sbx_tunnel *t); /* [inside] */
};
struct sbx_tunnel_ops {
    uint32_t size;
    uint32_t reserved0;
    /* Makes an endpoint for a port of the sandbox and reports it once, with the port that was asked for; the one that
     * is there already when both fit. With SBX_TUNNEL_TOKEN it always comes with its token, a secret: one that is there
     * and whose token cannot be told again is SBX_E_STATE. [call] */
    sbx_status (*create)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_tunnel_args *args,
                         const struct sbx_tunnel_sink *out);
    /* Each endpoint of the sandbox once; the token only where the provider tells it again. Port 0: it serves any one,
     * and the URL has the word PORT in its place. [call] */
    sbx_status (*list)(struct sbx_handle *h, struct sbx_call *call, const struct sbx_tunnel_sink *out);
    /* SBX_OK also when it is gone already. [call] */
    sbx_status (*remove)(struct sbx_handle *h, struct sbx_call *call, const char *id);
};

/* --- the size rules, so that nobody writes them twice -------------------------------------------------------- */
#define SBX_PLUGIN_HEAD(threads_)                                                                                      \
    .size = sizeof(struct sbx_plugin), .abi_major = SBX_ABI_MAJOR, .abi_minor = SBX_ABI_MINOR, .threads = (threads_)
#define SBX_HAS(type, p, field) ((p)->size >= offsetof(struct type, field) + sizeof((p)->field))
#define SBX_SIZE_MAX            4096u

/* Lenient, for reports: the known prefix and a zeroed tail; what the other side added is ignored. src may be NULL. */
static inline void sbx_view(void *dst, uint32_t dst_size, const void *src)
{
    uint32_t n = 0;
    memset(dst, 0, dst_size);
    if (src == NULL)
        return;
    memcpy(&n, src, sizeof n);
    memcpy(dst, src, n < dst_size ? n : dst_size);
}

/* Strict, for arguments: as above, but a field that is not known here and is set is refused. */
static inline sbx_status sbx_take(void *dst, uint32_t dst_size, const void *src)
{
    const unsigned char *s = (const unsigned char *)src;
    uint32_t n = 0, i;
    if (src != NULL)
        memcpy(&n, src, sizeof n);
    if (src != NULL && (n < 8 || n > SBX_SIZE_MAX)) {
        memset(dst, 0, dst_size);
        return SBX_E_INVALID;
    }
    sbx_view(dst, dst_size, src);
    for (i = dst_size; i < n; i++)
        if (s[i] != 0)
            return SBX_E_UNSUPPORTED;
    return SBX_OK;
}

/* Out structs: fills what the caller has room for and keeps the caller's size. dst may be NULL. */
static inline void sbx_give(void *dst, const void *src, uint32_t src_size)
{
    uint32_t n = 0;
    if (dst == NULL)
        return;
    memcpy(&n, dst, sizeof n);
    if (n > src_size)
        n = src_size;
    if (n > sizeof n)
        memcpy((char *)dst + sizeof n, (const char *)src + sizeof n, n - sizeof n);
}

#ifdef __cplusplus
}
#endif
#endif /* SBX_PLUGIN_H */
