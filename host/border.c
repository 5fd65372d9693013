/* SPDX-License-Identifier: MIT */
#include "host/border_slot.h"

#include "base/text.h"
#include "host/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_LAST     SBX_E_UNKNOWN /* the lowest code this version knows */
#define DEADLINE_MAX_MS ((int64_t)1 << 42)

/* --- the call around the slots ---------------------------------------------------------------------------------- */

static void reset_error(struct sbx_error *error)
{
    /* Texts are cut to nothing instead of zeroed as a whole: this runs before every slot. */
    error->flags = 0;
    error->code = 0;
    error->os_errno = 0;
    error->provider_status = 0;
    error->retry_after_ms = 0;
    error->provider_code[0] = '\0';
    error->resource_id[0] = '\0';
    error->message[0] = '\0';
}

sbx_status border_begin(struct border_call *c, struct log *log, const char *verb, const char *subject,
                        const struct sbx_call_options *options)
{
    c->call = (struct sbx_call){.size = sizeof c->call, .cancel_fd = -1, .error = &c->error};
    c->error.size = sizeof c->error;
    reset_error(&c->error);
    c->log = log;
    c->verb = verb;
    c->subject = subject;
    c->slots = 0;
    c->meter = (struct meter){.on_progress = NULL};
    if (options == NULL)
        return SBX_OK;
    struct sbx_call_options o;
    sbx_status status = sbx_take(&o, sizeof o, options);
    if (status != SBX_OK)
        return border_fail(c, status, "call options have no size, or parts this version does not know");
    if ((o.flags & ~(uint32_t)SBX_CALL_CANCEL_FD) != 0)
        return border_fail(c, SBX_E_UNSUPPORTED, "call options: unknown flags 0x%x", o.flags);
    if (o.deadline_ms < 0)
        return border_fail(c, SBX_E_INVALID, "call options: the deadline %lld ms is negative",
                           (long long)o.deadline_ms);
    if (o.deadline_ms > 0 && o.deadline_ms < DEADLINE_MAX_MS)
        c->call.deadline_ns = gate_now_ns() + o.deadline_ms * 1000000;
    if ((o.flags & SBX_CALL_CANCEL_FD) != 0) {
        if (o.cancel_fd < 0)
            return border_fail(c, SBX_E_INVALID, "call options: the cancel descriptor is %d", o.cancel_fd);
        c->call.flags = SBX_CALL_HAS_CANCEL_FD;
        c->call.cancel_fd = o.cancel_fd;
    }
    c->call.trace_id = o.trace_id;
    c->meter = (struct meter){.on_progress = o.on_progress, .user = o.user_data};
    return SBX_OK;
}

sbx_status border_fail(struct border_call *c, sbx_status code, const char *format, ...)
{
    va_list args;
    reset_error(&c->error);
    c->error.code = code;
    va_start(args, format);
    (void)vsnprintf(c->error.message, sizeof c->error.message, format, args);
    va_end(args);
    return code;
}

/* One line of printable text within `size`, secrets masked: what a plugin says may hold anything. */
static void sanitize(struct log *log, char *text, size_t size)
{
    text[size - 1] = '\0';
    size_t len = strlen(text);
    while (len > 0 && strchr("\r\n\t ", text[len - 1]) != NULL)
        len--;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n' || text[i] == '\t' || text[i] == '\r')
            text[i] = ' ';
    (void)text_line(text, size, text, len);
    if (log != NULL)
        log_mask(log, text);
}

static const char *message_for(sbx_status status)
{
    static const struct {
        sbx_status status;
        const char *message;
    } table[] = {{SBX_E_TIMEOUT, "timed out"},
                 {SBX_E_CANCELLED, "cancelled"},
                 {SBX_E_GONE, "no such sandbox"},
                 {SBX_E_NO_MEMORY, "out of memory"},
                 {SBX_E_STOPPED, "stopped by the caller"},
                 {SBX_E_UNKNOWN, "the outcome could not be learned"},
                 {SBX_E_UNSUPPORTED, "not supported by this provider"},
                 {SBX_E_UNAVAILABLE, "the provider cannot be reached"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].message;
    return "the provider gave no reason";
}

/* "exec: no such file" -> "no such file": the verb is said once. */
static const char *without_verb(const char *message, const char *verb)
{
    size_t len = strlen(verb);
    if (strncmp(message, verb, len) == 0 && message[len] == ':' && message[len + 1] == ' ')
        return message + len + 2;
    return message;
}

sbx_status border_end(struct border_call *c, sbx_status status, struct sbx_error *error)
{
    if (status == SBX_OK) {
        log_line(c->log, SBX_LOG_DEBUG, c->verb, "[%s] %s: ok", c->call.trace_id != NULL ? c->call.trace_id : "-",
                 c->subject != NULL ? c->subject : "");
        return SBX_OK;
    }
    struct sbx_error *e = &c->error;
    sanitize(c->log, e->message, sizeof e->message);
    sanitize(c->log, e->provider_code, sizeof e->provider_code);
    sanitize(NULL, e->resource_id, sizeof e->resource_id);
    if (e->message[0] == '\0')
        (void)snprintf(e->message, sizeof e->message, "%s", message_for(status));
    const char *native = c->subject != NULL ? strchr(c->subject, '/') : NULL;
    int is_subject = native != NULL && strcmp(native + 1, e->resource_id) == 0;
    if (is_subject || (status == SBX_E_UNKNOWN && e->resource_id[0] == '\0' && c->subject != NULL))
        (void)snprintf(e->resource_id, sizeof e->resource_id, "%s", c->subject);
    char whole[sizeof e->message];
    int written =
        c->subject != NULL
            ? snprintf(whole, sizeof whole, "%s %s: %s", c->verb, c->subject, without_verb(e->message, c->verb))
            : snprintf(whole, sizeof whole, "%s: %s", c->verb, without_verb(e->message, c->verb));
    memcpy(e->message, whole, sizeof whole);
    if (written >= (int)sizeof whole)
        sanitize(NULL, e->message, sizeof e->message); /* the cut may have split a character */
    e->code = status;
    log_line(c->log, SBX_LOG_DEBUG, c->verb, "[%s] %s", c->call.trace_id != NULL ? c->call.trace_id : "-", e->message);
    error_give(error, e);
    return status;
}

/* --- around one slot -------------------------------------------------------------------------------------------- */

sbx_status border_enter(struct border_call *c, struct instance *instance)
{
    reset_error(&c->error);
    /* The first slot comes right after the deadline was made. */
    if (c->slots++ != 0 && c->call.deadline_ns != 0 && gate_now_ns() >= c->call.deadline_ns)
        return border_fail(c, SBX_E_TIMEOUT, "timed out");
    if (!instance->is_serial)
        return SBX_OK;
    sbx_status status = gate_enter(&instance->gate, &c->call);
    if (status == SBX_OK)
        return SBX_OK;
    return border_fail(c, status, "%s while another call had the provider",
                       status == SBX_E_TIMEOUT ? "timed out" : "cancelled");
}

sbx_status border_leave(struct instance *instance, sbx_status status)
{
    if (instance->is_serial)
        gate_leave(&instance->gate);
    if (status > SBX_OK || status < STATUS_LAST)
        return SBX_E_FAILED;
    return status;
}

sbx_status border_open(struct border_call *c, struct instance *instance)
{
    reset_error(&c->error);
    sbx_status status = context_open_instance(instance, &c->call);
    return status > SBX_OK || status < STATUS_LAST ? SBX_E_FAILED : status;
}

int border_id_is_sane(const char *id)
{
    size_t len = 0;
    if (id == NULL)
        return 0;
    for (; id[len] != '\0'; len++)
        if (len >= SBX_ID_SIZE - 1 || (unsigned char)id[len] <= ' ' || (unsigned char)id[len] >= 0x7f)
            return 0;
    return len > 0;
}

/* Wraps a handle; on failure it is released. */
static sbx_status make_sandbox(struct border_call *c, struct instance *instance, struct sbx_handle *handle,
                               struct sbx_sandbox **out)
{
    const struct sbx_handle_ops *ops = &instance->plugin->handle;
    const char *id = ops->id(handle);
    sbx_status status = SBX_OK;
    struct sbx_sandbox *box = NULL;
    if (!border_id_is_sane(id))
        status = border_fail(c, SBX_E_PROTOCOL, "the provider gave a sandbox without a usable id");
    else if ((box = calloc(1, sizeof *box)) == NULL)
        status = border_fail(c, SBX_E_NO_MEMORY, "out of memory");
    else if (snprintf(box->id, sizeof box->id, "%s/%s", instance->name, id) >= (int)sizeof box->id)
        status = border_fail(c, SBX_E_PROTOCOL, "the provider gave a sandbox with too long an id");
    if (status != SBX_OK) {
        free(box);
        return status;
    }
    box->instance = instance;
    box->handle = handle;
    box->native_id = box->id + strlen(instance->name) + 1;
    turn_list_init(&box->shells);
    atomic_fetch_add(&instance->handles, 1);
    *out = box;
    return SBX_OK;
}

sbx_status border_create(struct border_call *c, struct instance *instance, const struct sbx_create_args *args,
                         struct sbx_sandbox **out)
{
    struct sbx_handle *handle = NULL;
    sbx_status status = border_enter(c, instance);
    if (status != SBX_OK)
        return status;
    status = border_leave(instance, instance->plugin->backend.create(instance->backend, &c->call, args, &handle));
    if (status != SBX_OK)
        return status;
    if (handle == NULL)
        return border_fail(c, SBX_E_PROTOCOL, "create answered ok without a sandbox");
    status = make_sandbox(c, instance, handle, out);
    if (status == SBX_OK)
        return SBX_OK;
    /* Nobody could name it, so nobody could remove it later. */
    struct sbx_call last = {.size = sizeof last, .cancel_fd = -1};
    if (instance->is_serial)
        (void)gate_enter(&instance->gate, NULL);
    (void)instance->plugin->handle.remove(handle, &last);
    instance->plugin->handle.release(handle);
    (void)border_leave(instance, SBX_OK);
    return status;
}

sbx_status border_attach(struct border_call *c, struct instance *instance, const char *native, struct sbx_sandbox **out)
{
    struct sbx_handle *handle = NULL;
    sbx_status status = border_enter(c, instance);
    if (status != SBX_OK)
        return status;
    status = border_leave(instance, instance->plugin->backend.attach(instance->backend, &c->call, native, &handle));
    if (status != SBX_OK)
        return status;
    if (handle == NULL)
        return border_fail(c, SBX_E_PROTOCOL, "attach answered ok without a sandbox");
    status = make_sandbox(c, instance, handle, out);
    if (status != SBX_OK) {
        if (instance->is_serial)
            (void)gate_enter(&instance->gate, NULL);
        instance->plugin->handle.release(handle);
        (void)border_leave(instance, SBX_OK);
    }
    return status;
}

void border_release(struct sbx_sandbox *box)
{
    if (box == NULL)
        return;
    struct instance *instance = box->instance;
    if (instance->is_serial)
        (void)gate_enter(&instance->gate, NULL);
    instance->plugin->handle.release(box->handle);
    (void)border_leave(instance, SBX_OK);
    atomic_fetch_sub(&instance->handles, 1);
    turn_list_finish(&box->shells);
    free(box);
}

sbx_status border_list(struct border_call *c, struct instance *instance, const struct sbx_list_args *args,
                       const struct sbx_info_sink *out)
{
    BORDER_SLOT(instance, instance->plugin->backend.list(instance->backend, &c->call, args, out));
}

sbx_status border_remove(struct border_call *c, struct sbx_sandbox *box)
{
    BORDER_SLOT(box->instance, box->instance->plugin->handle.remove(box->handle, &c->call));
}

sbx_status border_info(struct border_call *c, struct sbx_sandbox *box, const struct sbx_info_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->plugin->handle.info(box->handle, &c->call, out));
}

uint32_t border_support(const struct sbx_sandbox *box, const char *capability)
{
    if (!context_offers(box->instance, capability))
        return SBX_SUPPORT_NONE;
    uint32_t answer = box->instance->plugin->handle.support(box->handle, capability);
    return answer == SBX_SUPPORT_NATIVE || answer == SBX_SUPPORT_EMULATED ? answer : SBX_SUPPORT_NONE;
}

sbx_status border_check_result(struct border_call *c, struct sbx_exec_result *result)
{
    uint32_t how = result->flags & (SBX_EXITED | SBX_SIGNALLED | SBX_TIMED_OUT);
    if (how == 0)
        return border_fail(c, SBX_E_UNKNOWN, "the provider answered ok without saying how the command ended");
    if ((how & SBX_SIGNALLED) != 0 && (result->term_signal < 1 || result->term_signal > 64))
        return border_fail(c, SBX_E_UNKNOWN, "the provider named signal %d as the command's end", result->term_signal);
    if ((how & SBX_TIMED_OUT) != 0)
        result->exit_code = 124;
    else if ((how & SBX_SIGNALLED) != 0)
        result->exit_code = 128 + result->term_signal;
    if (result->exit_code < 0 || result->exit_code > 255)
        return border_fail(c, SBX_E_UNKNOWN, "the provider gave the exit code %d", result->exit_code);
    return SBX_OK;
}

sbx_status border_exec(struct border_call *c, struct sbx_sandbox *box, const struct sbx_exec_args *args,
                       struct sbx_exec_result *out)
{
    struct instance *instance = box->instance;
    *out = (struct sbx_exec_result){.size = sizeof *out};
    sbx_status status = border_enter(c, instance);
    if (status != SBX_OK)
        return status;
    status = border_leave(instance, instance->plugin->handle.exec(box->handle, &c->call, args, out));
    out->size = sizeof *out;
    return status == SBX_OK ? border_check_result(c, out) : status;
}

sbx_status border_read(struct border_call *c, struct sbx_sandbox *box, const char *path,
                       const struct sbx_read_args *args, const struct sbx_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->plugin->handle.read_file(box->handle, &c->call, path, args, out));
}

sbx_status border_write(struct border_call *c, struct sbx_sandbox *box, const char *path,
                        const struct sbx_write_args *args, const struct sbx_source *in)
{
    BORDER_SLOT(box->instance, box->instance->plugin->handle.write_file(box->handle, &c->call, path, args, in));
}

sbx_status border_stat(struct border_call *c, struct sbx_sandbox *box, const char *path, struct sbx_file_stat *out)
{
    *out = (struct sbx_file_stat){.size = sizeof *out};
    BORDER_SLOT(box->instance, box->instance->tables.stat.stat(box->handle, &c->call, path, out));
}

sbx_status border_fs_list(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                          const struct sbx_entry_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->tables.fs.list(box->handle, &c->call, dir, out));
}

sbx_status border_fs_mkdir(struct border_call *c, struct sbx_sandbox *box, const char *dir, uint32_t mode,
                           uint32_t flags)
{
    BORDER_SLOT(box->instance, box->instance->tables.fs.mkdir(box->handle, &c->call, dir, mode, flags));
}

sbx_status border_fs_remove(struct border_call *c, struct sbx_sandbox *box, const char *path, uint32_t flags)
{
    BORDER_SLOT(box->instance, box->instance->tables.fs.remove(box->handle, &c->call, path, flags));
}

sbx_status border_fs_rename(struct border_call *c, struct sbx_sandbox *box, const char *from, const char *to)
{
    BORDER_SLOT(box->instance, box->instance->tables.fs.rename(box->handle, &c->call, from, to));
}

sbx_status border_batch_put(struct border_call *c, struct sbx_sandbox *box, const struct sbx_put_item *const *items,
                            size_t count, const struct sbx_batch_report *report)
{
    BORDER_SLOT(box->instance, box->instance->tables.batch.put(box->handle, &c->call, items, count, report));
}

sbx_status border_batch_get(struct border_call *c, struct sbx_sandbox *box, const struct sbx_get_item *const *items,
                            size_t count, const struct sbx_batch_report *report)
{
    BORDER_SLOT(box->instance, box->instance->tables.batch.get(box->handle, &c->call, items, count, report));
}

sbx_status border_put_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct sbx_source *tar)
{
    BORDER_SLOT(box->instance, box->instance->tables.archive.put_tar(box->handle, &c->call, dir, tar));
}

sbx_status border_get_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct sbx_sink *tar)
{
    BORDER_SLOT(box->instance, box->instance->tables.archive.get_tar(box->handle, &c->call, dir, tar));
}

sbx_status border_wait_state(struct border_call *c, struct sbx_sandbox *box, uint32_t state_mask,
                             const struct sbx_info_sink *out)
{
    BORDER_SLOT(box->instance, box->instance->tables.wait.wait_state(box->handle, &c->call, state_mask, out));
}
