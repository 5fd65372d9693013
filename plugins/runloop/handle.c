/* SPDX-License-Identifier: MIT
 *
 * handle.c - one devbox, as its handle has it: reports, its life and its end, and what else is offered.
 */
#include "plugins/runloop/run.h"
#include "plugins/runloop/tables.h"

static const char *handle_id(struct sbx_handle *h)
{
    return h->id;
}

static void handle_release(struct sbx_handle *h)
{
    if (h == NULL)
        return;
    free(h->workdir);
    free(h);
}

static sbx_status handle_remove(struct sbx_handle *h, struct sbx_call *call)
{
    return devbox_shutdown(h->backend, call, h->id, h->backend->settings.force);
}

static sbx_status handle_info(struct sbx_handle *h, struct sbx_call *call, const struct sbx_info_sink *out)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = devbox_get(h->backend, &inner, "info", h->id, &view);
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    if (status == SBX_OK)
        return devbox_report(view, out, call);
    call_pass_error(call, &error);
    return status;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static sbx_status keep_alive(struct sbx_handle *h, struct sbx_call *call, uint32_t ttl_s)
{
    if (ttl_s != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "keep-alive: runloop extends no lifetime, it resets the idle time");
    return devbox_post(h, call, "keep-alive", "keep_alive", "{}", 1, NULL);
}

/* Asks for a change and waits until it is there; SBX_OK too where it was there before. */
static sbx_status change(struct sbx_handle *h, struct sbx_call *call, const char *verb, const char *states,
                         int32_t wanted)
{
    CLEANUP_JSON struct cJSON *view = NULL;
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = devbox_post(h, &inner, verb, verb, "{}", 1, NULL);
    if (status == SBX_E_GONE || (status != SBX_OK && status != SBX_E_STATE && status != SBX_E_INVALID)) {
        call_pass_error(call, &error);
        return status;
    }
    /* A refusal may mean that it is so already, or on the way. */
    if (status != SBX_OK) {
        CLEANUP_JSON struct cJSON *now = NULL;
        sbx_status asked = devbox_get(h->backend, call, verb, h->id, &now);
        if (asked != SBX_OK)
            return asked;
        int32_t state = devbox_state(json_text(now, "status"));
        int32_t before = wanted == SBX_STATE_RUNNING ? SBX_STATE_RESUMING : SBX_STATE_SUSPENDING;
        if (state != wanted && state != before) {
            call_pass_error(call, &error);
            return status;
        }
    }
    status = devbox_await(h->backend, call, verb, h->id, states, &view);
    if (status != SBX_OK || devbox_state(json_text(view, "status")) == wanted)
        return status;
    const char *why = json_text(view, "failure_reason");
    return call_fail(call, SBX_E_FAILED, "%s: devbox %s is %s%s%s", verb, h->id, json_text(view, "status"),
                     why != NULL ? ": " : "", why != NULL ? why : "");
}

static sbx_status suspend(struct sbx_handle *h, struct sbx_call *call)
{
    return change(h, call, "suspend", "\"suspended\",\"failure\",\"shutdown\"", SBX_STATE_SUSPENDED);
}

static sbx_status resume(struct sbx_handle *h, struct sbx_call *call)
{
    return change(h, call, "resume", "\"running\",\"failure\",\"shutdown\"", SBX_STATE_RUNNING);
}

/* The service's words for the states that are waited for, and for those from which nothing leads on. */
static sbx_status wait_state(struct sbx_handle *h, struct sbx_call *call, uint32_t state_mask,
                             const struct sbx_info_sink *out)
{
    static const char *const words[] = {"queued",    "provisioning", "initializing", "running", "suspending",
                                        "suspended", "resuming",     "failure",      "shutdown"};
    CLEANUP_JSON struct cJSON *view = NULL;
    CLEANUP_BUF struct buf states;
    struct sbx_error error;
    struct sbx_call inner;
    const uint32_t final = 1u << SBX_STATE_FAILED | 1u << SBX_STATE_STOPPED;
    buf_init(&states, 256);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (((state_mask | final) & 1u << devbox_state(words[i])) != 0)
            (void)buf_format(&states, "%s\"%s\"", states.len > 0 ? "," : "", words[i]);
    if (states.failed != 0)
        return call_fail(call, SBX_E_NO_MEMORY, "wait: no memory");
    call_shadow(&inner, &error, call);
    sbx_status status = devbox_await(h->backend, &inner, "wait", h->id, states.data, &view);
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_GONE, "sandbox %s no longer exists", h->id);
    if (status != SBX_OK) {
        call_pass_error(call, &error);
        return status;
    }
    if ((state_mask & 1u << devbox_state(json_text(view, "status"))) != 0)
        return devbox_report(view, out, call);
    const char *why = json_text(view, "failure_reason");
    return call_fail(call, SBX_E_STATE, "wait: it is %s%s%s and will not change", json_text(view, "status"),
                     why != NULL ? ": " : "", why != NULL ? why : "");
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

static const struct sbx_keepalive_ops keepalive_ops = {.size = sizeof keepalive_ops, .keep_alive = keep_alive};
static const struct sbx_suspend_ops suspend_ops = {.size = sizeof suspend_ops, .suspend = suspend, .resume = resume};
static const struct sbx_wait_ops wait_ops = {.size = sizeof wait_ops, .wait_state = wait_state};

const void *handle_extension(const char *id)
{
    static const uint32_t no_table = 1; /* named shells come with exec */
    static const struct {
        const char *id;
        const void *table;
    } extensions[] = {{SBX_EXT_KEEPALIVE, &keepalive_ops},
                      {SBX_EXT_SUSPEND, &suspend_ops},
                      {SBX_EXT_WAIT, &wait_ops},
                      {SBX_EXT_SHELL, &no_table},
                      {SBX_EXT_JOB, &job_ops},
                      {SBX_EXT_JOB_STDIN, &job_stdin_ops},
                      {SBX_EXT_ARCHIVE, &archive_ops},
                      {SBX_EXT_SNAPSHOT, &snapshot_ops},
                      {SBX_EXT_SSH, &ssh_ops},
                      {SBX_EXT_TUNNEL, &tunnel_ops},
                      {SBX_EXT_SHELL_CLOSE, &shell_close_ops}};
    for (size_t i = 0; id != NULL && i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcmp(id, extensions[i].id) == 0)
            return extensions[i].table;
    return NULL;
}

static uint32_t handle_support(struct sbx_handle *h, const char *id)
{
    (void)h;
    return handle_extension(id) != NULL ? SBX_SUPPORT_NATIVE : SBX_SUPPORT_NONE;
}

const struct sbx_handle_ops handle_ops = {
    .size = sizeof handle_ops,
    .id = handle_id,
    .release = handle_release,
    .remove = handle_remove,
    .support = handle_support,
    .info = handle_info,
    .exec = run_exec,
    .read_file = file_read,
    .write_file = file_write,
};
