/* SPDX-License-Identifier: MIT
 *
 * tap.c - the two mandatory tables, and what every slot does around its call.
 */
#include "host/tap.h"

#include "base/cleanup.h"
#include "host/error.h"
#include "host/gate.h"

#include <inttypes.h>
#include <string.h>

/* What a session is made of that can be kept in a file, and what cannot. sbx.batch/1 is in neither: the host does it by
 * single files. */
static const char *const recorded[] = {SBX_EXT_STAT,        SBX_EXT_FS,        SBX_EXT_ARCHIVE,  SBX_EXT_JOB,
                                       SBX_EXT_JOB_SIGNAL,  SBX_EXT_JOB_STDIN, SBX_EXT_JOB_LIST, SBX_EXT_SHELL,
                                       SBX_EXT_SHELL_CLOSE, SBX_EXT_KEEPALIVE, SBX_EXT_SUSPEND,  SBX_EXT_WAIT,
                                       SBX_EXT_SNAPSHOT};
static const char *const live[] = {SBX_EXT_TTY, SBX_EXT_DIAL, SBX_EXT_SSH, SBX_EXT_TUNNEL};

static const char *const no_ids[] = {NULL};

static int is_among(const char *const *list, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], id) == 0)
            return 1;
    return 0;
}

/* --- one operation ---------------------------------------------------------------------------------------------- */

void tap_begin(struct tap_op *op, struct sbx_backend *b, const struct sbx_handle *h, struct sbx_call *call,
               const char *operation)
{
    memset(op, 0, sizeof *op);
    op->b = b;
    op->call = call;
    op->operation = operation;
    op->left = -1;
    buf_init(&op->line, TAPE_MAX_BYTES);
    buf_init(&op->lines, TAPE_MAX_BYTES);
    (void)buf_text(&op->line, operation);
    tape_put_text(&op->line, h != NULL ? h->id : NULL);
}

void tap_word(struct tap_op *op, const char *key, const char *text)
{
    if (text == NULL)
        return;
    (void)buf_format(&op->line, " %s=", key);
    tape_put_more(&op->line, text, strlen(text));
}

void tap_count(struct tap_op *op, const char *key, uint64_t number)
{
    if (number != 0)
        (void)buf_format(&op->line, " %s=%" PRIu64, key, number);
}

static sbx_status spoil(struct tap_op *op, sbx_status code, const char *how)
{
    sbx_status status = error_set(op->call->error, code, "%s: %s by the rule of a fault", op->operation, how);
    if (code == SBX_E_UNKNOWN && op->call->error != NULL)
        op->call->error->flags |= SBX_ERR_MAYBE_APPLIED;
    return status;
}

sbx_status tap_enter(struct tap_op *op)
{
    op->fault = fault_decide(op->b->faults, op->operation);
    op->left = op->fault.cut;
    if (op->fault.delay_ms > 0) {
        sbx_status status = gate_poll(op->call, -1, 0, gate_now_ns() + op->fault.delay_ms * 1000000);
        if (status != SBX_E_BUSY)
            return error_set(op->call->error, status, "%s: %s during the delay of a fault", op->operation,
                             status == SBX_E_TIMEOUT ? "timed out" : "cancelled");
    }
    if (op->fault.error != 0 && !op->fault.is_after)
        return spoil(op, op->fault.error, "failed");
    return SBX_OK;
}

/* What is written down is what the provider said; a fault comes on top of it. */
static void keep(struct tap_op *op, sbx_status status)
{
    struct buf *line;
    struct buf whole;
    if (op->result != NULL && (line = tap_line(op, "result")) != NULL)
        tape_put_result(line, op->result);
    if (status == SBX_OK && op->job != NULL && (line = tap_line(op, "job")) != NULL)
        tape_put_job(line, op->job);
    if (status == SBX_OK && op->stat != NULL && (line = tap_line(op, "stat")) != NULL)
        tape_put_stat(line, op->stat);
    if (op->next != NULL && (line = tap_line(op, "next")) != NULL)
        tape_put_number(line, (int64_t)*op->next);
    line = tap_line(op, "end");
    tape_put_error(line, status, op->call->error);
    tap_line_end(op);
    buf_init(&whole, TAPE_MAX_BYTES);
    (void)buf_text(&whole, "call ");
    (void)buf_append(&whole, op->line.data, op->line.len);
    (void)buf_text(&whole, "\n");
    (void)buf_append(&whole, op->lines.data, op->lines.len);
    (void)buf_text(&whole, "\n");
    if (op->line.failed != 0 || op->lines.failed != 0)
        whole.failed = EFBIG;
    record_add(op->b->record, &whole);
    buf_finish(&whole);
}

sbx_status tap_leave(struct tap_op *op, sbx_status status)
{
    if (op->b->record != NULL && op->fault.error == 0 && !op->is_cut)
        keep(op, status);
    buf_finish(&op->line);
    buf_finish(&op->lines);
    if (op->is_cut)
        return spoil(op, op->result != NULL ? SBX_E_UNKNOWN : SBX_E_UNAVAILABLE, "cut off");
    if (op->fault.is_after && op->fault.error != 0)
        return spoil(op, op->fault.error, "its answer was lost");
    return status;
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

void tap_line_end(struct tap_op *op)
{
    if (op->b->record != NULL && op->lines.len > 0 && op->lines.data[op->lines.len - 1] != '\n')
        (void)buf_text(&op->lines, "\n");
    op->stream = 0;
}

struct buf *tap_line(struct tap_op *op, const char *word)
{
    if (op->b->record == NULL)
        return NULL;
    tap_line_end(op);
    (void)buf_text(&op->lines, word);
    return &op->lines;
}

/* So many of len bytes go through. */
static size_t before_cut(struct tap_op *op, size_t len)
{
    if (op->left < 0)
        return len;
    if ((uint64_t)op->left < len) {
        len = (size_t)op->left;
        op->is_cut = 1;
    }
    op->left -= (int64_t)len;
    return len;
}

static int32_t sink_write(void *user, const void *data, size_t len)
{
    struct tap_stream *stream = user;
    struct tap_op *op = stream->op;
    size_t n = before_cut(op, len);
    if (op->b->record != NULL && n > 0) {
        if (op->stream != stream->number) {
            (void)buf_format(tap_line(op, "out"), " %d ", stream->number);
            op->stream = stream->number;
        }
        tape_put_more(&op->lines, data, n);
    }
    int32_t stop = n > 0 || len == 0 ? stream->theirs.write(stream->theirs.user, data, n) : 0;
    return op->is_cut ? 1 : stop;
}

/* A sink that cannot be used is passed on as it is: the provider says so. */
const struct sbx_sink *tap_sink(struct tap_op *op, int number, const struct sbx_sink *theirs)
{
    struct tap_stream *stream = &op->streams[number - 1];
    op->out[number - 1] = theirs;
    if (theirs == NULL)
        return NULL;
    sbx_view(&stream->theirs, sizeof stream->theirs, theirs);
    if (stream->theirs.write == NULL)
        return theirs;
    stream->op = op;
    stream->number = number;
    stream->mine = (struct sbx_sink){
        .size = sizeof stream->mine, .flags = stream->theirs.flags, .user = stream, .write = sink_write};
    return &stream->mine;
}

static int64_t source_read(void *user, void *buf, size_t cap)
{
    struct tap_op *op = user;
    if (op->is_cut)
        return -1;
    int64_t n = op->source_theirs.read(op->source_theirs.user, buf, cap);
    if (n > 0)
        n = (int64_t)before_cut(op, (size_t)n);
    return op->is_cut && n == 0 ? -1 : n;
}

const struct sbx_source *tap_source(struct tap_op *op, const struct sbx_source *theirs)
{
    op->in = theirs;
    if (theirs == NULL)
        return NULL;
    sbx_view(&op->source_theirs, sizeof op->source_theirs, theirs);
    if (op->source_theirs.read == NULL)
        return theirs;
    op->source_mine = op->source_theirs;
    op->source_mine.size = sizeof op->source_mine;
    op->source_mine.user = op;
    op->source_mine.read = source_read;
    return &op->source_mine;
}

/* --- the backend ------------------------------------------------------------------------------------------------ */

static void backend_close(struct sbx_backend *b)
{
    if (b == NULL)
        return;
    if (b->inner != NULL)
        b->theirs->backend.close(b->inner);
    record_close(b->record);
    replay_close(b->replay);
    if (b->faults != NULL)
        (void)pthread_mutex_destroy(&b->faults->lock);
    free(b->faults);
    free(b);
}

/* The provider's table is as long as ours, and no slot of it is missing. */
static int has_table(const struct sbx_backend *b, const char *id)
{
    const char *theirs = b->theirs->backend.get_extension(b->inner, id);
    uint32_t size = 0, least = 0;
    memcpy(&least, tap_table(id), sizeof least);
    if (theirs == NULL || least == 0)
        return theirs != NULL;
    memcpy(&size, theirs, sizeof size);
    for (size_t at = 2 * sizeof size; size >= least && at + sizeof(void *) <= least; at += sizeof(void *)) {
        void *slot = NULL;
        memcpy(&slot, theirs + at, sizeof slot);
        if (slot == NULL)
            return 0;
    }
    return size >= least;
}

static int offers(const struct sbx_backend *b, const char *id)
{
    int is_recorded = is_among(recorded, sizeof recorded / sizeof recorded[0], id);
    int is_live = b->record == NULL && b->replay == NULL && is_among(live, sizeof live / sizeof live[0], id);
    if (!is_recorded && !is_live)
        return 0;
    return b->replay != NULL ? replay_offers(b->replay, id) : has_table(b, id);
}

static const void *backend_get_extension(struct sbx_backend *b, const char *id)
{
    return id != NULL && offers(b, id) ? tap_table(id) : NULL;
}

/* A new sandbox as its record has it: the id, and what this one can do. */
static void put_box(struct tap_op *op, struct sbx_handle *theirs)
{
    const struct sbx_handle_ops *ops = &op->b->theirs->handle;
    struct buf *line = tap_line(op, "box");
    if (line == NULL)
        return;
    tape_put_text(line, ops->id(theirs));
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++)
        if (offers(op->b, recorded[i]) && ops->support(theirs, recorded[i]) != SBX_SUPPORT_NONE)
            tape_put_text(line, recorded[i]);
}

/* A handle of ours around theirs, or in a replay around nothing; NULL: no memory. */
static struct sbx_handle *wrap(struct tap_op *op, struct sbx_handle *theirs)
{
    struct sbx_handle *h = calloc(1, sizeof *h);
    const char *id = theirs != NULL ? op->b->theirs->handle.id(theirs) : op->box;
    if (h == NULL)
        return NULL;
    h->b = op->b;
    h->inner = theirs;
    h->supports = STEAL(op->supports);
    (void)snprintf(h->id, sizeof h->id, "%s", id != NULL ? id : "");
    return h;
}

static void handle_release(struct sbx_handle *h)
{
    if (h == NULL)
        return;
    if (h->inner != NULL)
        h->b->theirs->handle.release(h->inner);
    free(h->supports);
    free(h);
}

static void put_create(struct tap_op *op, const struct sbx_create_args *a)
{
    tap_count(op, "flags", a->flags);
    tap_word(op, "image", a->image);
    tap_word(op, "blueprint", a->blueprint);
    tap_word(op, "snapshot", a->snapshot);
    tap_word(op, "name", a->name);
    tap_word(op, "workdir", a->workdir);
    tap_word(op, "user", a->user);
    for (size_t i = 0; i < a->envs.count; i++)
        tap_word(op, "env", a->envs.items[i].key);
    tape_put_labels(&op->line, &a->metadata);
    for (size_t i = 0; i < a->provider.count; i++) {
        tap_word(op, "key", a->provider.items[i].key);
        tap_word(op, "value", a->provider.items[i].value);
    }
    tap_count(op, "timeout", a->timeout_s);
    tap_count(op, "idle", a->idle_timeout_s);
    tap_count(op, "cpu", a->cpu_millis);
    tap_count(op, "memory", a->memory_mib);
    tap_count(op, "disk", a->disk_mib);
    tap_count(op, "network", a->network);
    for (const char *const *one = a->network_allow; one != NULL && *one != NULL; one++)
        tap_word(op, "allow", *one);
}

static sbx_status ask_inner(struct tap_op *op, const struct sbx_create_args *args, const char *id,
                            struct sbx_handle **theirs)
{
    const struct sbx_backend_ops *ops = &op->b->theirs->backend;
    sbx_status status = args != NULL ? ops->create(op->b->inner, op->call, args, theirs)
                                     : ops->attach(op->b->inner, op->call, id, theirs);
    if (status == SBX_OK && *theirs == NULL)
        return error_set(op->call->error, SBX_E_PROTOCOL, "%s answered ok without a sandbox", op->operation);
    if (status == SBX_OK)
        put_box(op, *theirs);
    return status;
}

/* An answer that a fault has lost takes its handle with it, never the sandbox. */
static sbx_status new_handle(struct tap_op *op, const struct sbx_create_args *args, const char *id,
                             struct sbx_handle **out)
{
    struct sbx_handle *theirs = NULL, *made = NULL;
    sbx_status status = tap_enter(op);
    if (status == SBX_OK)
        status = op->b->replay != NULL ? tap_play(op) : ask_inner(op, args, id, &theirs);
    if (status == SBX_OK && (made = wrap(op, theirs)) == NULL) {
        if (theirs != NULL)
            op->b->theirs->handle.release(theirs);
        status = error_no_memory(op->call->error);
    }
    free(op->supports);
    status = tap_leave(op, status);
    if (status == SBX_OK)
        *out = made;
    else
        handle_release(made);
    return status;
}

static sbx_status backend_create(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                                 struct sbx_handle **out)
{
    struct tap_op op;
    tap_begin(&op, b, NULL, call, "create");
    put_create(&op, args);
    return new_handle(&op, args, NULL, out);
}

static sbx_status backend_attach(struct sbx_backend *b, struct sbx_call *call, const char *id, struct sbx_handle **out)
{
    struct tap_op op;
    tap_begin(&op, b, NULL, call, "attach");
    tap_word(&op, "id", id);
    return new_handle(&op, NULL, id, out);
}

static int32_t info_item(void *user, const struct sbx_info *theirs)
{
    struct tap_op *op = user;
    struct sbx_info info;
    struct buf *line = tap_line(op, "info");
    sbx_view(&info, sizeof info, theirs);
    if (line != NULL)
        tape_put_info(line, &info);
    return op->infos->item(op->infos->user, theirs);
}

struct sbx_info_sink tap_infos(struct tap_op *op, const struct sbx_info_sink *out)
{
    op->infos = out;
    return (struct sbx_info_sink){.size = sizeof(struct sbx_info_sink), .user = op, .item = info_item};
}

static sbx_status backend_list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                               const struct sbx_info_sink *out)
{
    struct tap_op op;
    tap_begin(&op, b, NULL, call, "list");
    const struct sbx_info_sink sink = tap_infos(&op, out);
    tap_count(&op, "states", args->state_mask);
    tap_count(&op, "limit", args->limit);
    tap_word(&op, "after", args->after);
    tape_put_labels(&op.line, &args->metadata);
    TAP_CALL(&op, b->theirs->backend.list(b->inner, call, args, &sink));
}

/* --- the handle ------------------------------------------------------------------------------------------------- */

static const char *handle_id(struct sbx_handle *h)
{
    return h->inner != NULL ? h->b->theirs->handle.id(h->inner) : h->id;
}

static sbx_status handle_remove(struct sbx_handle *h, struct sbx_call *call)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "remove");
    TAP_CALL(&op, h->b->theirs->handle.remove(h->inner, call));
}

static uint32_t handle_support(struct sbx_handle *h, const char *id)
{
    if (id == NULL || !offers(h->b, id))
        return SBX_SUPPORT_NONE;
    if (h->inner != NULL)
        return h->b->theirs->handle.support(h->inner, id);
    return h->supports != NULL && tape_has(h->supports, id) ? SBX_SUPPORT_NATIVE : SBX_SUPPORT_NONE;
}

static sbx_status handle_info(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "info");
    const struct sbx_info_sink sink = tap_infos(&op, out);
    TAP_CALL(&op, h->b->theirs->handle.info(h->inner, call, &sink));
}

void tap_put_exec(struct tap_op *op, const struct sbx_exec_args *a)
{
    tap_word(op, "command", a->command);
    for (const char *const *one = a->argv; one != NULL && *one != NULL; one++)
        tap_word(op, "arg", *one);
    tap_word(op, "cwd", a->cwd);
    tap_word(op, "user", a->user);
    tap_word(op, "shell", a->shell);
    for (size_t i = 0; i < a->envs.count; i++)
        tap_word(op, "env", a->envs.items[i].key);
    tap_count(op, "flags", a->flags);
    tap_count(op, "max", a->max_output);
    tap_count(op, "timeout", a->timeout_ms);
}

static sbx_status handle_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                              struct sbx_exec_result *out)
{
    struct tap_op op;
    struct sbx_exec_args mine = *args;
    if (args->tty != NULL && (h->b->record != NULL || h->b->replay != NULL))
        return error_set(call->error, SBX_E_UNSUPPORTED, "exec: a terminal is neither recorded nor replayed");
    tap_begin(&op, h->b, h, call, "exec");
    tap_put_exec(&op, args);
    mine.in = tap_source(&op, args->in);
    mine.out = tap_sink(&op, 1, args->out);
    mine.err = tap_sink(&op, 2, args->err);
    op.result = out;
    TAP_CALL(&op, h->b->theirs->handle.exec(h->inner, call, &mine, out));
}

static sbx_status handle_read(struct sbx_handle *h, struct sbx_call *call, const char *path,
                              const struct sbx_read_args *args, const struct sbx_sink *out)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "read");
    const struct sbx_sink *sink = tap_sink(&op, 1, out);
    tap_word(&op, "path", path);
    tap_count(&op, "from", args != NULL ? args->offset : 0);
    tap_count(&op, "limit", args != NULL ? args->limit : 0);
    TAP_CALL(&op, h->b->theirs->handle.read_file(h->inner, call, path, args, sink));
}

static sbx_status handle_write(struct sbx_handle *h, struct sbx_call *call, const char *path,
                               const struct sbx_write_args *args, const struct sbx_source *in)
{
    struct tap_op op;
    tap_begin(&op, h->b, h, call, "write");
    const struct sbx_source *source = tap_source(&op, in);
    tap_word(&op, "path", path);
    tap_count(&op, "flags", args != NULL ? args->flags : 0);
    tap_count(&op, "mode", args != NULL ? args->mode : 0);
    tap_count(&op, "length", args != NULL ? args->length : 0);
    TAP_CALL(&op, h->b->theirs->handle.write_file(h->inner, call, path, args, source));
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static const struct sbx_backend_ops backend_ops = {.size = sizeof backend_ops,
                                                   .close = backend_close,
                                                   .get_extension = backend_get_extension,
                                                   .create = backend_create,
                                                   .attach = backend_attach,
                                                   .list = backend_list};
static const struct sbx_handle_ops handle_ops = {.size = sizeof handle_ops,
                                                 .id = handle_id,
                                                 .release = handle_release,
                                                 .remove = handle_remove,
                                                 .support = handle_support,
                                                 .info = handle_info,
                                                 .exec = handle_exec,
                                                 .read_file = handle_read,
                                                 .write_file = handle_write};

int tap_is_wanted(const struct config_instance *config)
{
    return config->record != NULL || config->replay != NULL || config->fault_count > 0;
}

static sbx_status open_record(struct sbx_backend *b, const struct config_instance *config, struct sbx_error *error)
{
    CLEANUP_BUF struct buf ids;
    buf_init(&ids, 4096);
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++)
        if (offers(b, recorded[i]))
            (void)buf_format(&ids, " %s", recorded[i]);
    if (ids.failed != 0)
        return error_no_memory(error);
    return record_open(config->record, config->plugin, ids.len > 0 ? ids.data : "", b->log, &b->record, error);
}

static sbx_status take_faults(struct sbx_backend *b, const struct config_instance *config, struct sbx_error *error)
{
    b->faults = calloc(1, sizeof *b->faults);
    if (b->faults == NULL)
        return error_no_memory(error);
    (void)pthread_mutex_init(&b->faults->lock, NULL);
    for (size_t i = 0; i < config->fault_count; i++)
        b->faults->rules[i] = config->faults[i];
    b->faults->count = config->fault_count;
    return SBX_OK;
}

sbx_status tap_open(const struct config_instance *config, struct log *log, const struct loader_plugin *plugin,
                    struct sbx_backend *inner, const struct loader_plugin **out, struct sbx_backend **backend,
                    struct sbx_error *error)
{
    struct sbx_backend *b = calloc(1, sizeof *b);
    sbx_status status = SBX_OK;
    if (b == NULL)
        return error_no_memory(error);
    if (plugin != NULL)
        b->plugin = *plugin;
    else
        b->plugin.descriptor.threads = SBX_THREADS_PARALLEL;
    b->plugin.backend = backend_ops;
    b->plugin.handle = handle_ops;
    b->plugin.descriptor.extensions = no_ids;
    b->theirs = plugin;
    b->inner = inner;
    b->log = log;
    if (config->replay != NULL)
        status = replay_open(config->replay, &b->replay, error);
    else if (config->record != NULL)
        status = open_record(b, config, error);
    if (status == SBX_OK && config->fault_count > 0)
        status = take_faults(b, config, error);
    if (status != SBX_OK) {
        b->inner = NULL; /* still the caller's */
        backend_close(b);
        return status;
    }
    *out = &b->plugin;
    *backend = b;
    return SBX_OK;
}
