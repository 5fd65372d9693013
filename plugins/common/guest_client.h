/* SPDX-License-Identifier: MIT
 *
 * guest_client.h - talks to sbx-guest (docs/guest-protocol.md). The guest shares the sandbox with hostile code: every
 * byte from it is checked and nothing it says is trusted further than the request it answers.
 *
 * A guest_link keeps a few connections; calls from many threads run at once, each on a connection of its own or, where
 * one is dear to make, many on one (`share`). A connection that saw anything unexpected is dropped. Every function is
 * [call]: any thread, watches the call's deadline and cancel token; cancelling an exec kills its tree, since the guest
 * kills what was cancelled and what a lost connection left.
 */
#ifndef SBX_COMMON_GUEST_CLIENT_H
#define SBX_COMMON_GUEST_CLIENT_H

#include "plugins/common/plugin.h"

struct guest_link;

/* A byte stream to the guest that is more than a socket: framed by an engine, or encrypted. None of the functions
 * blocks, raises a signal, or is called while another one of the same stream runs. */
struct guest_stream {
    int fd; /* to poll(2) once read, or write, answered SBX_AGAIN */
    void *user;
    int64_t (*read)(void *user, void *buf, size_t cap); /* bytes, at least 1; 0: its end; SBX_AGAIN; -1: it broke */
    int64_t (*write)(void *user, const void *data, size_t len); /* bytes taken; SBX_AGAIN; -1: it broke */
    void (*close)(void *user); /* frees what `user` is, and closes fd where that is the stream's own; called once */
};

struct guest_link_options {
    /* Makes a connected, close-on-exec stream socket; SBX_E_GONE or SBX_E_UNAVAILABLE with the error filled when it
     * can't: GONE when nobody can listen there any more, which is what tells a dead sandbox from a slow one. */
    sbx_status (*connect)(void *user, struct sbx_call *call, int *fd);
    /* Instead of connect: makes a stream at whose other end a guest is. One at a time where connections are shared. */
    sbx_status (*open)(void *user, struct sbx_call *call, struct guest_stream *stream);
    /* Asked when a guest took a connection and never greets: an error that says why, or SBX_OK; NULL: nobody knows. */
    sbx_status (*why_silent)(void *user, struct sbx_call *call);
    void *user;
    /* Requests at once on one connection; the next ones wait for no other, but make a second connection. 0: 1; at most
     * 64. For streams that take long to make; a local socket is faster alone. */
    uint32_t share;
    const char *default_user; /* F_USER of every request without a user of its own; NULL: the guest's default; copied */
    const char *workdir;      /* base of relative paths and the default directory; copied; NULL: the guest's own */
    const struct sbx_kvs *envs; /* create's environment, under each exec's own; copied */
    uint32_t max_idle;          /* kept connections; 0: 4 */
};
/* NULL: no memory. */
struct guest_link *guest_open(const struct guest_link_options *options);
void guest_close(struct guest_link *link);

/* Sends a HELLO to a guest that is still starting, over a new link that nothing else uses yet; guest_hello then has
 * less to wait for. */
sbx_status guest_greet(struct guest_link *link, struct sbx_call *call);
/* SBX_OK once the guest answered HELLO; waits for it until the call's deadline. */
sbx_status guest_hello(struct guest_link *link, struct sbx_call *call);
/* The slots of sbx_plugin.h, over a link. An exec in a named shell is guest_shell_exec. `default_timeout_ms`: for
 * args->timeout_ms 0 without SBX_EXEC_NO_TIMEOUT; 0 none. */
sbx_status guest_exec(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                      uint32_t default_timeout_ms, struct sbx_exec_result *out);
sbx_status guest_read_file(struct guest_link *link, struct sbx_call *call, const char *path,
                           const struct sbx_read_args *args, const struct sbx_sink *out);
sbx_status guest_write_file(struct guest_link *link, struct sbx_call *call, const char *path,
                            const struct sbx_write_args *args, const struct sbx_source *in);
/* A checked copy of write_file's arguments. */
sbx_status guest_write_take(struct sbx_call *call, const struct sbx_write_args *args, struct sbx_write_args *mine);
sbx_status guest_stat(struct guest_link *link, struct sbx_call *call, const char *path, struct sbx_file_stat *out);
sbx_status guest_list(struct guest_link *link, struct sbx_call *call, const char *dir,
                      const struct sbx_entry_sink *out);
sbx_status guest_mkdir(struct guest_link *link, struct sbx_call *call, const char *dir, uint32_t mode, uint32_t flags);
sbx_status guest_remove(struct guest_link *link, struct sbx_call *call, const char *path, uint32_t flags);
sbx_status guest_rename(struct guest_link *link, struct sbx_call *call, const char *from, const char *to);
sbx_status guest_put_tar(struct guest_link *link, struct sbx_call *call, const char *dir, const struct sbx_source *tar);
sbx_status guest_get_tar(struct guest_link *link, struct sbx_call *call, const char *dir, const struct sbx_sink *tar);
sbx_status guest_put_files(struct guest_link *link, struct sbx_call *call, const struct sbx_put_item *const *items,
                           size_t count, const struct sbx_batch_report *report);
sbx_status guest_get_files(struct guest_link *link, struct sbx_call *call, const struct sbx_get_item *const *items,
                           size_t count, const struct sbx_batch_report *report);

/* Jobs. Waiting and reading survive a lost connection once, by going on over a new one; a sandbox that is gone is
 * SBX_E_GONE, never an end of the job. SBX_E_UNKNOWN of a wait: the job's end could not be learned. */
sbx_status guest_job_start(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                           struct sbx_job_info *out);
sbx_status guest_job_info(struct guest_link *link, struct sbx_call *call, const char *job, struct sbx_job_info *out);
sbx_status guest_job_wait(struct guest_link *link, struct sbx_call *call, const char *job, struct sbx_exec_result *out);
sbx_status guest_job_kill(struct guest_link *link, struct sbx_call *call, const char *job);
sbx_status guest_job_output(struct guest_link *link, struct sbx_call *call, const char *job,
                            const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next);
sbx_status guest_job_signal(struct guest_link *link, struct sbx_call *call, const char *job, int32_t signo);
sbx_status guest_job_feed(struct guest_link *link, struct sbx_call *call, const char *job, const void *data, size_t len,
                          uint32_t eof);
sbx_status guest_job_list(struct guest_link *link, struct sbx_call *call, const struct sbx_job_sink *out);
sbx_status guest_job_forget(struct guest_link *link, struct sbx_call *call, const char *job);

/* One command in the shell that args->shell names. `in` and `tty` are SBX_E_UNSUPPORTED; cwd, user and envs must be
 * those with which the shell was started, or be left out. SBX_E_STATE: the command ended the shell; `out` says how. */
sbx_status guest_shell_exec(struct guest_link *link, struct sbx_call *call, const struct sbx_exec_args *args,
                            uint32_t default_timeout_ms, struct sbx_exec_result *out);
sbx_status guest_shell_close(struct guest_link *link, struct sbx_call *call, const char *shell);

/* A connection to a port of the sandbox's loopback. `out` gets a write of no bytes when the other side has ended its
 * direction. */
sbx_status guest_dial(struct guest_link *link, struct sbx_call *call, uint32_t port, const struct sbx_source *in,
                      const struct sbx_sink *out);

struct guest_info {
    uint64_t deadline_ms; /* left; 0 none */
    uint64_t processes;
    uint64_t oom_kills; /* so far, where the sandbox has a memory limit of its own that the guest can see */
};
sbx_status guest_info(struct guest_link *link, struct sbx_call *call, struct guest_info *out);
/* Ends every process of the sandbox; SBX_OK also when it is gone already. */
sbx_status guest_shutdown(struct guest_link *link, struct sbx_call *call);
/* Ends the sandbox so many ms from now; 0: never. */
sbx_status guest_set_lifetime(struct guest_link *link, struct sbx_call *call, uint64_t ms);

/* Every process but the guest is stopped, or goes on; SBX_OK when that is so already. In between commands and file
 * operations are SBX_E_STATE. */
sbx_status guest_suspend(struct guest_link *link, struct sbx_call *call);
sbx_status guest_resume(struct guest_link *link, struct sbx_call *call);
/* Calls `work` while everything stands still, and answers what it answers; what others ask of the guest waits. SBX_OK
 * says that it stood still all the time. However this process ends, the sandbox goes on. */
sbx_status guest_hold(struct guest_link *link, struct sbx_call *call, const char *what,
                      sbx_status (*work)(void *user, struct sbx_call *call), void *user);

#endif /* SBX_COMMON_GUEST_CLIENT_H */
