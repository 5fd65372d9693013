/* SPDX-License-Identifier: MIT
 *
 * context.h - a configuration with the instances it names, each opened when it is first needed.
 */
#ifndef SBX_HOST_CONTEXT_H
#define SBX_HOST_CONTEXT_H

#include "host/config.h"
#include "host/gate.h"
#include "host/loader.h"
#include "host/log.h"
#include "host/turn.h"
#include "sbx_plugin.h"

#include <pthread.h>
#include <stdatomic.h>

/* Tables of capabilities that libsbx itself calls; each is a full-size copy, used only where its `size` is not 0. */
struct instance_tables {
    struct sbx_stat_ops stat;
    struct sbx_fs_ops fs;
    struct sbx_batch_ops batch;
    struct sbx_archive_ops archive;
    struct sbx_wait_ops wait;
    struct sbx_job_ops job;
    struct sbx_job_signal_ops job_signal;
    struct sbx_job_stdin_ops job_stdin;
    struct sbx_job_list_ops job_list;
    struct sbx_shell_close_ops shell_close;
    struct sbx_dial_ops dial;
    struct sbx_keepalive_ops keepalive;
    struct sbx_suspend_ops suspend;
    struct sbx_snapshot_ops snapshot;
    struct sbx_ssh_ops ssh;
    struct sbx_tunnel_ops tunnel;
};

struct instance {
    struct sbx_context *context;
    const struct config_instance *config;
    const char *name;
    pthread_mutex_t lock; /* held while the backend is opened */
    atomic_int is_open;   /* what follows is constant once this is 1 */
    const struct loader_plugin *plugin;
    struct sbx_backend *backend;
    struct sbx_host host;
    struct gate gate; /* for a serial plugin */
    int is_serial;
    struct instance_tables tables;
    atomic_int handles; /* given out and not yet released */
};

struct sbx_context {
    struct config *config;
    struct log *log;
    struct instance *instances;
    size_t instance_count;
    atomic_int ops; /* operations with a thread of their own */
};

struct sbx_sandbox {
    struct instance *instance;
    struct sbx_handle *handle;
    const char *native_id;   /* within id */
    struct turn_list shells; /* commands of named shells that were asked for and have not ended */
    char id[2 * SBX_ID_SIZE];
};

/* The caller's options (NULL: none are set), checked; `verb` begins messages. */
sbx_status context_take_options(const struct sbx_open_options *options, const char *verb, struct sbx_open_options *out,
                                struct sbx_error *error);
/* The instance of that name (len bytes), or NULL. */
struct instance *context_find(const struct sbx_context *ctx, const char *name, size_t len);
/* The default instance, or NULL when none is configured. */
struct instance *context_default(const struct sbx_context *ctx);
/* Splits INSTANCE/NATIVE or NATIVE; SBX_E_CONFIG for an unknown instance, SBX_E_INVALID for a malformed id. */
sbx_status context_locate(struct sbx_context *ctx, const char *id, struct instance **instance, const char **native,
                          struct sbx_error *error);
/* Loads and opens the instance's plugin once; any thread. `call` gives deadline and cancel token and takes the error.
 */
sbx_status context_open_instance(struct instance *instance, struct sbx_call *call);
/* Whether the backend offers a capability by itself. */
int context_offers(const struct instance *instance, const char *capability);

/* How loudly to tell who asks for all instances that this one failed: one that is merely installed, named by no file,
 * may well be of no use here. */
int32_t context_failure_level(const struct instance *instance, sbx_status status);

#endif /* SBX_HOST_CONTEXT_H */
