/* SPDX-License-Identifier: MIT
 *
 * call.c - one call of the plugin, from what is lent to the check of its answer, and the slots of the mandatory tables.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

enum { SCRIBBLE = 0xa5 };

static const char *const status_names[] = {
    "SBX_OK",           "SBX_E_FAILED",    "SBX_E_UNSUPPORTED", "SBX_E_INVALID",   "SBX_E_CONFIG",   "SBX_E_AUTH",
    "SBX_E_PERMISSION", "SBX_E_NOT_FOUND", "SBX_E_EXISTS",      "SBX_E_IS_DIR",    "SBX_E_NOT_DIR",  "SBX_E_BAD_PATH",
    "SBX_E_TOO_LARGE",  "SBX_E_QUOTA",     "SBX_E_BUSY",        "SBX_E_STATE",     "SBX_E_GONE",     "SBX_E_TIMEOUT",
    "SBX_E_CANCELLED",  "SBX_E_STOPPED",   "SBX_E_UNAVAILABLE", "SBX_E_NO_MEMORY", "SBX_E_PROTOCOL", "SBX_E_UNKNOWN",
};

const char *status_name(sbx_status status)
{
    size_t index = (size_t)-status;
    return status <= 0 && index < sizeof status_names / sizeof status_names[0] ? status_names[index]
                                                                               : "an unknown code";
}

static int32_t ask_cancelled(void *user)
{
    const struct call *c = callback_enter(user);
    int32_t yes = c->cancel_ms < 0 || (c->cancel_ms > 0 && clock_ms() - c->started_ms >= c->cancel_ms);
    callback_leave(user);
    return yes;
}

/* Readable when the call is cancelled. */
static int cancel_timer(const struct call *c)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int64_t ms = c->cancel_ms < 0 ? 0 : c->cancel_ms;
    struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 + 1}};
    if (c->cancel_ms != 0)
        (void)timerfd_settime(fd, 0, &when, NULL);
    if (c->cancel_ms < 0)
        sleep_ms(2);
    return fd;
}

void call_begin(struct call *c, const char *what)
{
    unsigned index = atomic_fetch_add(&c->run->chunks, 1);
    c->what = what;
    EXPECT(c->run, index < CHUNK_COUNT, "%s: the checker made too many calls", what);
    c->chunk = c->run->subject->arena + (size_t)index * CHUNK_SIZE;
    EXPECT(c->run, mprotect(c->chunk, CHUNK_SIZE, PROT_READ | PROT_WRITE) == 0, "%s: the checker has no memory", what);
    c->used = 0;
    c->quiet_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    c->cancel_fd = -1;
    c->lent = lend_space(c, sizeof *c->lent);
    c->lent->size = sizeof *c->lent;
    c->lent->cancel_fd = -1;
    /* A host has a descriptor, or can only be asked; with nothing to cancel it may have neither. */
    if (c->cancel_by_asking) {
        c->lent->cancelled = ask_cancelled;
        c->lent->user = lend_guard(c, c);
    } else if (c->cancel_ms != 0 || index % 2 == 0) {
        c->cancel_fd = cancel_timer(c);
        c->lent->cancel_fd = c->cancel_fd;
        c->lent->flags = SBX_CALL_HAS_CANCEL_FD;
    }
    if (index % 3 == 0)
        c->lent->trace_id = lend_text(c, "conform");
    if (!c->no_error) {
        c->lent_error = lend_space(c, sizeof *c->lent_error);
        c->lent_error->size = sizeof *c->lent_error;
        c->lent->error = c->lent_error;
    }
    c->started_ms = clock_ms();
    if (c->deadline_ms != 0)
        c->lent->deadline_ns = (c->started_ms + c->deadline_ms) * 1000000;
}

/* What is wrong with the text of an error, or NULL. */
static const char *message_problem(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    if (len == size)
        return "its message does not end";
    if (len == 0)
        return "its message is empty";
    if (text[len - 1] == '.')
        return "its message ends with a full stop";
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return "its message is not one line of text";
    return NULL;
}

static void check_error(struct call *c, sbx_status status)
{
    static const struct sbx_error untouched = {.size = sizeof untouched};
    c->error = *c->lent_error;
    EXPECT(c->run, c->error.size == sizeof c->error, "%s changed the size of the error", c->what);
    if (status == SBX_OK) {
        EXPECT(c->run, memcmp(&c->error, &untouched, sizeof untouched) == 0,
               "%s succeeded and yet wrote into the error: '%.200s'", c->what, c->error.message);
        return;
    }
    const char *problem = message_problem(c->error.message, sizeof c->error.message);
    EXPECT(c->run, c->error.code == status, "%s answered %s and wrote the code %d into the error", c->what,
           status_name(status), c->error.code);
    EXPECT(c->run, problem == NULL, "%s answered %s: %s", c->what, status_name(status), problem);
    EXPECT(c->run, memchr(c->error.resource_id, 0, sizeof c->error.resource_id) != NULL,
           "%s: the error's resource_id does not end", c->what);
}

sbx_status call_end(struct call *c, sbx_status status)
{
    c->elapsed_ms = clock_ms() - c->started_ms;
    EXPECT(c->run, status <= 0, "%s answered %d: neither 0 nor negative", c->what, status);
    memset(&c->error, 0, sizeof c->error);
    if (c->lent_error != NULL)
        check_error(c, status);
    c->lent = NULL;
    c->lent_error = NULL;
    memset(c->chunk, SCRIBBLE, c->used);
    (void)mprotect(c->chunk, CHUNK_SIZE, PROT_NONE);
    c->chunk = NULL;
    if (c->cancel_fd >= 0)
        (void)close(c->cancel_fd);
    (void)close(c->quiet_fd);
    return status;
}

void call_want(const struct call *c, sbx_status status, sbx_status wanted)
{
    EXPECT(c->run, status == wanted, "%s answered %s where %s was due%s%.300s", c->what, status_name(status),
           status_name(wanted), c->error.message[0] != '\0' ? ": " : "", c->error.message);
}

/* --- the backend -------------------------------------------------------------------------------------------------- */

sbx_status call_open(struct call *c, const struct sbx_host *host, const struct sbx_open_args *args,
                     struct sbx_backend **out)
{
    call_begin(c, "open");
    struct sbx_open_args copy = *args;
    copy.instance = lend_text(c, args->instance);
    copy.config = lend_kvs(c, args->config);
    const void *lent = lend_args(c, &copy, sizeof copy);
    *out = NULL;
    atomic_fetch_add(&c->run->open, 1);
    sbx_status status = c->run->backend_ops.open(host, c->lent, lent, out);
    if (status != SBX_OK)
        atomic_fetch_sub(&c->run->open, 1);
    EXPECT(c->run, (status == SBX_OK) == (*out != NULL), "open answered %s and %s backend", status_name(status),
           *out != NULL ? "a" : "no");
    return call_end(c, status);
}

void call_close(struct run *run, struct sbx_backend *b)
{
    run->backend_ops.close(b);
    atomic_fetch_sub(&run->open, 1);
}

static sbx_status take_handle(struct call *c, sbx_status status, struct sbx_handle *h, struct sbx_handle **out)
{
    EXPECT(c->run, (status == SBX_OK) == (h != NULL), "%s answered %s and %s handle", c->what, status_name(status),
           h != NULL ? "a" : "no");
    *out = h;
    return call_end(c, status);
}

sbx_status call_create(struct call *c, struct sbx_backend *b, const struct sbx_create_args *args,
                       struct sbx_handle **out)
{
    struct sbx_handle *h = NULL;
    struct sbx_kv labels[16] = {{"conform.run", c->run->token}};
    size_t count = 1;
    call_begin(c, "create");
    struct sbx_create_args copy = *args;
    for (size_t i = 0; i < args->metadata.count && count < sizeof labels / sizeof labels[0]; i++)
        labels[count++] = args->metadata.items[i];
    copy.metadata = lend_kvs(c, (struct sbx_kvs){labels, count});
    copy.envs = lend_kvs(c, args->envs);
    copy.provider = lend_kvs(c, args->provider);
    const char **texts[] = {&copy.image,        &copy.blueprint, &copy.snapshot, &copy.name,
                            &copy.client_token, &copy.workdir,   &copy.user};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = lend_text(c, *texts[i]);
    copy.network_allow = lend_list(c, args->network_allow);
    sbx_status status = c->run->backend_ops.create(b, c->lent, lend_args(c, &copy, sizeof copy), &h);
    status = take_handle(c, status, h, out);
    if (status == SBX_OK) {
        const char *id = c->run->handle_ops.id(h);
        EXPECT(c->run, id != NULL && id[0] != '\0' && strlen(id) < SBX_ID_SIZE, "a sandbox has no proper id");
        run_made(c->run, id);
    }
    return status;
}

sbx_status call_attach(struct call *c, struct sbx_backend *b, const char *id, struct sbx_handle **out)
{
    struct sbx_handle *h = NULL;
    call_begin(c, "attach");
    sbx_status status = c->run->backend_ops.attach(b, c->lent, lend_text(c, id), &h);
    return take_handle(c, status, h, out);
}

sbx_status call_list(struct call *c, struct sbx_backend *b, const struct sbx_list_args *args, struct report *into)
{
    call_begin(c, "list");
    struct sbx_list_args copy = *args;
    copy.metadata = lend_kvs(c, args->metadata);
    copy.after = lend_text(c, args->after);
    const void *lent = lend_args(c, &copy, sizeof copy);
    return call_end(c, c->run->backend_ops.list(b, c->lent, lent, lend_info_sink(c, into)));
}

/* --- the handle --------------------------------------------------------------------------------------------------- */

sbx_status call_remove(struct call *c, struct sbx_handle *h)
{
    char id[SBX_ID_SIZE];
    (void)snprintf(id, sizeof id, "%s", c->run->handle_ops.id(h));
    call_begin(c, "remove");
    sbx_status status = call_end(c, c->run->handle_ops.remove(h, c->lent));
    if (status == SBX_OK)
        run_removed(c->run, id);
    return status;
}

sbx_status call_info(struct call *c, struct sbx_handle *h, struct report *into)
{
    call_begin(c, "info");
    return call_end(c, c->run->handle_ops.info(h, c->lent, lend_info_sink(c, into)));
}

struct sbx_exec_args *lend_exec(struct call *c, const struct exec *e)
{
    struct sbx_exec_args copy = e->args;
    copy.command = lend_text(c, e->args.command);
    copy.argv = lend_list(c, e->args.argv);
    copy.cwd = lend_text(c, e->args.cwd);
    copy.user = lend_text(c, e->args.user);
    copy.shell = lend_text(c, e->args.shell);
    copy.envs = lend_kvs(c, e->args.envs);
    copy.in = lend_source(c, e->in);
    copy.out = lend_sink(c, e->out);
    copy.err = lend_sink(c, e->err);
    return lend_args(c, &copy, sizeof copy);
}

sbx_status call_exec(struct call *c, struct sbx_handle *h, struct exec *e)
{
    const uint32_t ended = SBX_EXITED | SBX_SIGNALLED | SBX_TIMED_OUT;
    call_begin(c, "exec");
    struct sbx_exec_args *args = lend_exec(c, e);
    void *result = lend_out(c, sizeof e->result);
    sbx_status status = c->run->handle_ops.exec(h, c->lent, args, result);
    lend_taken(c, &e->result, result, sizeof e->result);
    status = call_end(c, status);
    EXPECT(c->run, status != SBX_OK || (e->result.flags & ended) != 0,
           "exec succeeded and does not say how the command ended");
    return status;
}

sbx_status call_read(struct call *c, struct sbx_handle *h, const char *path, const struct sbx_read_args *args,
                     struct caught *into)
{
    call_begin(c, "read_file");
    const void *lent = lend_args(c, args, sizeof *args);
    return call_end(c, c->run->handle_ops.read_file(h, c->lent, lend_text(c, path), lent, lend_sink(c, into)));
}

sbx_status call_write(struct call *c, struct sbx_handle *h, const char *path, const struct sbx_write_args *args,
                      struct feed *from)
{
    call_begin(c, "write_file");
    const void *lent = lend_args(c, args, sizeof *args);
    return call_end(c, c->run->handle_ops.write_file(h, c->lent, lend_text(c, path), lent, lend_source(c, from)));
}

/* --- capabilities ------------------------------------------------------------------------------------------------- */

int extension_offered(struct run *run, const char *id)
{
    if (run->backend_ops.get_extension(run->b, id) == NULL)
        return 0;
    return run->h == NULL || run->handle_ops.support(run->h, id) != SBX_SUPPORT_NONE;
}

void extension_take(struct run *run, const char *id, void *table, uint32_t size)
{
    const void *given = run->backend_ops.get_extension(run->b, id);
    uint32_t told = 0;
    if (given == NULL)
        run_skip(run, "%s is not offered", id);
    memcpy(&told, given, sizeof told);
    EXPECT(run, told >= size && told <= SBX_SIZE_MAX, "the table of %s says its size is %u", id, told);
    sbx_view(table, size, given);
}
