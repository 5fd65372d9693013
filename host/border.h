/* SPDX-License-Identifier: MIT
 *
 * border.h - the one place where plugins' slots are called: the lock that the plugin's thread model asks for, the call
 * made of the caller's options, and every answer checked before anybody believes it.
 *
 * One border_call serves one function of sbx.h, through as many slots as that takes, all under one deadline:
 *   status = border_begin(&c, "exec", box->id, options);  then border_exec(...), ...;  return border_end(&c, status,
 * e).
 */
#ifndef SBX_HOST_BORDER_H
#define SBX_HOST_BORDER_H

#include "host/context.h"

/* Bytes of one transfer, and who wants to know. */
struct meter {
    void (*on_progress)(void *user, uint64_t bytes); /* may be NULL */
    void *user;
    uint64_t bytes;
};

struct border_call {
    struct sbx_call call;
    struct sbx_error error; /* what the last slot said, without names of provider and sandbox */
    struct log *log;
    const char *verb;
    const char *subject; /* INSTANCE or INSTANCE/ID; may be NULL */
    unsigned slots;      /* entered so far */
    struct meter meter;
};

/* SBX_E_INVALID or SBX_E_UNSUPPORTED for options that are not understood. Texts are lent until border_end. */
sbx_status border_begin(struct border_call *c, struct log *log, const char *verb, const char *subject,
                        const struct sbx_call_options *options);
/* Tells the caller: "VERB SUBJECT: MESSAGE" in *error (may be NULL) when status is not SBX_OK. Answers status. */
sbx_status border_end(struct border_call *c, sbx_status status, struct sbx_error *error);
/* Sets the error of the call; answers code. */
sbx_status border_fail(struct border_call *c, sbx_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

sbx_status border_open(struct border_call *c, struct instance *instance);
/* *out is complete and counted in its instance; give it back with border_release. */
sbx_status border_create(struct border_call *c, struct instance *instance, const struct sbx_create_args *args,
                         struct sbx_sandbox **out);
sbx_status border_attach(struct border_call *c, struct instance *instance, const char *native,
                         struct sbx_sandbox **out);
void border_release(struct sbx_sandbox *box);
sbx_status border_list(struct border_call *c, struct instance *instance, const struct sbx_list_args *args,
                       const struct sbx_info_sink *out);
sbx_status border_remove(struct border_call *c, struct sbx_sandbox *box);
sbx_status border_info(struct border_call *c, struct sbx_sandbox *box, const struct sbx_info_sink *out);
/* SBX_SUPPORT_NONE or SBX_SUPPORT_NATIVE. */
uint32_t border_support(const struct sbx_sandbox *box, const char *capability);
sbx_status border_exec(struct border_call *c, struct sbx_sandbox *box, const struct sbx_exec_args *args,
                       struct sbx_exec_result *out);
sbx_status border_read(struct border_call *c, struct sbx_sandbox *box, const char *path,
                       const struct sbx_read_args *args, const struct sbx_sink *out);
sbx_status border_write(struct border_call *c, struct sbx_sandbox *box, const char *path,
                        const struct sbx_write_args *args, const struct sbx_source *in);

/* For these the caller has asked border_support first. */
sbx_status border_stat(struct border_call *c, struct sbx_sandbox *box, const char *path, struct sbx_file_stat *out);
sbx_status border_fs_list(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                          const struct sbx_entry_sink *out);
sbx_status border_fs_mkdir(struct border_call *c, struct sbx_sandbox *box, const char *dir, uint32_t mode,
                           uint32_t flags);
sbx_status border_fs_remove(struct border_call *c, struct sbx_sandbox *box, const char *path, uint32_t flags);
sbx_status border_fs_rename(struct border_call *c, struct sbx_sandbox *box, const char *from, const char *to);
sbx_status border_batch_put(struct border_call *c, struct sbx_sandbox *box, const struct sbx_put_item *const *items,
                            size_t count, const struct sbx_batch_report *report);
sbx_status border_batch_get(struct border_call *c, struct sbx_sandbox *box, const struct sbx_get_item *const *items,
                            size_t count, const struct sbx_batch_report *report);
sbx_status border_put_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                          const struct sbx_source *tar);
sbx_status border_get_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct sbx_sink *tar);
sbx_status border_wait_state(struct border_call *c, struct sbx_sandbox *box, uint32_t state_mask,
                             const struct sbx_info_sink *out);

/* border_more.c. A job's answers are checked like a command's; its id is one that can be given back. */
sbx_status border_job_start(struct border_call *c, struct sbx_sandbox *box, const struct sbx_exec_args *args,
                            struct sbx_job_info *out);
sbx_status border_job_info(struct border_call *c, struct sbx_sandbox *box, const char *job, struct sbx_job_info *out);
sbx_status border_job_wait(struct border_call *c, struct sbx_sandbox *box, const char *job,
                           struct sbx_exec_result *out);
sbx_status border_job_kill(struct border_call *c, struct sbx_sandbox *box, const char *job);
sbx_status border_job_output(struct border_call *c, struct sbx_sandbox *box, const char *job,
                             const struct sbx_output_args *args, const struct sbx_sink *out, uint64_t *next);
sbx_status border_job_signal(struct border_call *c, struct sbx_sandbox *box, const char *job, int32_t signo);
sbx_status border_job_feed(struct border_call *c, struct sbx_sandbox *box, const char *job, const void *data,
                           size_t len, uint32_t eof);
sbx_status border_job_list(struct border_call *c, struct sbx_sandbox *box, const struct sbx_job_sink *out);
sbx_status border_job_forget(struct border_call *c, struct sbx_sandbox *box, const char *job);
sbx_status border_shell_close(struct border_call *c, struct sbx_sandbox *box, const char *shell);
sbx_status border_dial(struct border_call *c, struct sbx_sandbox *box, uint32_t port, const struct sbx_source *in,
                       const struct sbx_sink *out);
sbx_status border_keep_alive(struct border_call *c, struct sbx_sandbox *box, uint32_t ttl_s);
sbx_status border_suspend(struct border_call *c, struct sbx_sandbox *box);
sbx_status border_resume(struct border_call *c, struct sbx_sandbox *box);
sbx_status border_snapshot_begin(struct border_call *c, struct sbx_sandbox *box, const struct sbx_snapshot_args *args,
                                 const struct sbx_snapshot_sink *out);
sbx_status border_snapshot_query(struct border_call *c, struct instance *instance, const char *id,
                                 const struct sbx_snapshot_sink *out);
sbx_status border_snapshot_list(struct border_call *c, struct instance *instance, const struct sbx_list_args *args,
                                const struct sbx_snapshot_sink *out);
sbx_status border_snapshot_remove(struct border_call *c, struct instance *instance, const char *id);
sbx_status border_ssh_create_key(struct border_call *c, struct sbx_sandbox *box, const struct sbx_ssh_sink *out);
sbx_status border_tunnel_create(struct border_call *c, struct sbx_sandbox *box, const struct sbx_tunnel_args *args,
                                const struct sbx_tunnel_sink *out);
sbx_status border_tunnel_list(struct border_call *c, struct sbx_sandbox *box, const struct sbx_tunnel_sink *out);
sbx_status border_tunnel_remove(struct border_call *c, struct sbx_sandbox *box, const char *id);
/* SBX_OK when the sandbox offers the capability; else SBX_E_UNSUPPORTED, naming it. */
sbx_status border_needs(struct border_call *c, const struct sbx_sandbox *box, const char *capability);
/* Letters that can be seen, at least one and fewer than SBX_ID_SIZE. */
int border_id_is_sane(const char *id);

#endif /* SBX_HOST_BORDER_H */
