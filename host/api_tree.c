/* SPDX-License-Identifier: MIT
 *
 * api_tree.c - whole directories: as tar streams, or from and to this machine.
 */
#include "base/cleanup.h"
#include "host/api_transfer.h"
#include "host/emulate.h"
#include "host/error.h"
#include "host/loader.h"
#include "host/pack.h"
#include "host/tar.h"
#include "host/tree.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define EXTRACT_STACK (512u << 10)
#define PIPE_ROOM     (1 << 20)

static const struct tar_limits limits = {.entries = 1000000, .bytes = (uint64_t)64 << 30, .depth = 128};

static sbx_status put_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                          const struct sbx_source *source)
{
    return border_support(box, SBX_EXT_ARCHIVE) != SBX_SUPPORT_NONE ? border_put_tar(c, box, dir, source)
                                                                    : emulate_put_tar(c, box, dir, source);
}

static sbx_status get_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct sbx_sink *sink)
{
    return border_support(box, SBX_EXT_ARCHIVE) != SBX_SUPPORT_NONE ? border_get_tar(c, box, dir, sink)
                                                                    : emulate_get_tar(c, box, dir, sink);
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

static sbx_status run_put_tar(struct transfer *t)
{
    transfer_set_source(t);
    t->source.meter = &t->call.meter;
    return flow_verdict(&t->call, put_tar(&t->call, t->box, t->path, &t->source.source), NULL, &t->source);
}

static sbx_status run_get_tar(struct transfer *t)
{
    transfer_set_sink(t);
    t->sink.meter = &t->call.meter;
    return flow_verdict(&t->call, get_tar(&t->call, t->box, t->path, &t->sink.sink), &t->sink, NULL);
}

sbx_status sbx_put_tar(sbx_sandbox *box, const char *dir, const struct sbx_transfer_options *from,
                       const struct sbx_call_options *call, struct sbx_error *error)
{
    return transfer_inline(&(struct transfer_kind){.verb = "put", .run = run_put_tar, .flags = TRANSFER_TAR}, box, dir,
                           from, call, error);
}

sbx_status sbx_get_tar(sbx_sandbox *box, const char *dir, const struct sbx_transfer_options *to,
                       const struct sbx_call_options *call, struct sbx_error *error)
{
    return transfer_inline(
        &(struct transfer_kind){.verb = "get", .run = run_get_tar, .flags = TRANSFER_OUT | TRANSFER_TAR}, box, dir, to,
        call, error);
}

/* --- up --------------------------------------------------------------------------------------------------------- */

static sbx_status put_packed(struct border_call *c, struct sbx_sandbox *box, struct pack *pack, const char *dir)
{
    struct flow_source source;
    flow_source_of_callback(&source, pack_read, pack);
    source.meter = &c->meter;
    sbx_status status = put_tar(c, box, dir, &source.source);
    if (pack->error.code != SBX_OK) {
        c->error = pack->error;
        return pack->error.code;
    }
    if (status == SBX_OK && !pack->ended)
        return border_fail(c, SBX_E_PROTOCOL, "'%s': the provider did not take the whole tree", dir);
    return flow_verdict(c, status, NULL, &source);
}

sbx_status sbx_put_tree(sbx_sandbox *box, const char *host_dir, const char *dir, const struct sbx_call_options *call,
                        struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_check_path(box, "put", dir, error);
    if (status == SBX_OK && (host_dir == NULL || host_dir[0] == '\0'))
        status = error_set(error, SBX_E_INVALID, "put %s: no directory of this machine given", box->id);
    if (status != SBX_OK)
        return status;
    status = border_begin(&c, box->instance->context->log, "put", box->id, call);
    CLEANUP_FREE struct pack *pack = calloc(1, sizeof *pack);
    if (pack == NULL)
        return error_no_memory(error);
    if (status == SBX_OK)
        status = pack_init(pack, host_dir, &c.error);
    if (status == SBX_OK)
        status = put_packed(&c, box, pack, dir);
    pack_finish(pack);
    return border_end(&c, status, error);
}

/* --- down ------------------------------------------------------------------------------------------------------- */

/* The stream comes in on the caller's thread and is taken apart on a second one: libarchive pulls, plugins push. */
struct extractor {
    const struct tar_module *module;
    int read_fd;
    int root;
    sbx_status status;
    struct sbx_error error;
};

static void *extract_main(void *user)
{
    struct extractor *x = user;
    x->status = x->module->extract(x->read_fd, x->root, &limits, &x->error);
    /* A writer that is still at it learns that nobody reads any more. */
    (void)close(x->read_fd);
    return NULL;
}

static int start_extractor(struct extractor *x, pthread_t *thread)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t old;
    if (pthread_attr_init(&attr) != 0)
        return ENOMEM;
    (void)pthread_attr_setstacksize(&attr, EXTRACT_STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int cause = pthread_create(thread, &attr, extract_main, x);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return cause;
}

static sbx_status get_unpacked(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                               const struct tar_module *module, int root)
{
    int ends[2];
    pthread_t thread;
    struct flow_sink sink;
    struct extractor x = {.module = module, .root = root, .error = SBX_INIT(x.error)};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return border_fail(c, SBX_E_FAILED, "no descriptor left");
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_ROOM);
    x.read_fd = ends[0];
    int cause = start_extractor(&x, &thread);
    if (cause != 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return border_fail(c, SBX_E_FAILED, "no thread left");
    }
    flow_sink_init(&sink, &c->call);
    flow_sink_to_fd(&sink, ends[1]);
    sink.meter = &c->meter;
    sbx_status status = get_tar(c, box, dir, &sink.sink);
    (void)close(ends[1]);
    (void)pthread_join(thread, NULL);
    /* The extractor's reason counts where it was what ended the stream, or where the provider saw nothing wrong. */
    int extractor_first = status == SBX_OK || sink.os_errno == EPIPE;
    if (x.status != SBX_OK && extractor_first) {
        c->error = x.error;
        return x.status;
    }
    return flow_verdict(c, status, &sink, NULL);
}

sbx_status sbx_get_tree(sbx_sandbox *box, const char *dir, const char *host_dir, const struct sbx_call_options *call,
                        struct sbx_error *error)
{
    struct border_call c;
    struct tree_staging staging = {.parent = -1, .root = -1};
    void *module = NULL;
    sbx_status status = api_check_path(box, "get", dir, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(&c, box->instance->context->log, "get", box->id, call);
    if (status == SBX_OK)
        status = loader_module(TAR_MODULE_FILE, TAR_MODULE_SYMBOL, &module, &c.error);
    if (status == SBX_OK && ((const struct tar_module *)module)->size < sizeof(struct tar_module))
        status = border_fail(&c, SBX_E_CONFIG, "%s is of another version", TAR_MODULE_FILE);
    if (status == SBX_OK)
        status = tree_stage(&staging, host_dir, &c.error);
    if (status == SBX_OK)
        status = get_unpacked(&c, box, dir, module, staging.root);
    if (status == SBX_OK)
        status = tree_commit(&staging, &c.error);
    tree_finish(&staging);
    return border_end(&c, status, error);
}
