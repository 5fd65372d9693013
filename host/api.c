/* SPDX-License-Identifier: MIT */
#include "host/api.h"

#include "host/error.h"

#include <string.h>

sbx_status api_take(void *out, uint32_t out_size, const void *theirs, const char *what, struct sbx_error *error)
{
    sbx_status status = sbx_take(out, out_size, theirs);
    if (status == SBX_E_INVALID)
        return error_set(error, status, "%s: the options' size is not set", what);
    if (status != SBX_OK)
        return error_set(error, status, "%s: the options ask for what this version does not know", what);
    return SBX_OK;
}

sbx_status api_check_kvs(const struct sbx_kvs *kvs, const char *what, struct sbx_error *error)
{
    if (kvs->count > 0 && kvs->items == NULL)
        return error_set(error, SBX_E_INVALID, "%s: a count without items", what);
    for (size_t i = 0; i < kvs->count; i++) {
        const struct sbx_kv *kv = &kvs->items[i];
        if (kv->key == NULL || kv->key[0] == '\0')
            return error_set(error, SBX_E_INVALID, "%s: number %zu has no name", what, i + 1);
        if (kv->value == NULL)
            return error_set(error, SBX_E_INVALID, "%s: '%s' has no value", what, kv->key);
    }
    return SBX_OK;
}

sbx_status api_check_box(const struct sbx_sandbox *box, const char *verb, struct sbx_error *error)
{
    return box != NULL ? SBX_OK : error_set(error, SBX_E_INVALID, "%s: no sandbox given", verb);
}

sbx_status api_check_path(const struct sbx_sandbox *box, const char *verb, const char *path, struct sbx_error *error)
{
    sbx_status status = api_check_box(box, verb, error);
    if (status != SBX_OK)
        return status;
    if (path == NULL)
        return error_set(error, SBX_E_INVALID, "%s %s: no path given", verb, box->id);
    if (path[0] == '\0')
        return error_set(error, SBX_E_NOT_FOUND, "%s %s: '': no such file", verb, box->id);
    return SBX_OK;
}

sbx_status api_check_command(const char *verb, const char *id, const struct sbx_exec_options *o,
                             struct sbx_error *error)
{
    if ((o->command != NULL) == (o->argv != NULL))
        return error_set(error, SBX_E_INVALID, "%s %s: exactly one of command and argv is needed", verb, id);
    if (o->argv != NULL && o->argv[0] == NULL)
        return error_set(error, SBX_E_INVALID, "%s %s: no program given", verb, id);
    if (o->timeout_ms < 0)
        return error_set(error, SBX_E_INVALID, "%s %s: the time limit is negative", verb, id);
    if (o->timeout_ms > (int64_t)UINT32_MAX)
        return error_set(error, SBX_E_INVALID, "%s %s: the time limit is over %u ms; ask for none instead", verb, id,
                         UINT32_MAX);
    if (o->timeout_ms > 0 && (o->flags & SBX_RUN_NO_TIMEOUT) != 0)
        return error_set(error, SBX_E_INVALID, "%s %s: a time limit, and none at the same time", verb, id);
    if (o->user != NULL && o->user[0] == '\0')
        return error_set(error, SBX_E_INVALID, "%s %s: the user is empty", verb, id);
    if (o->shell != NULL && o->shell[0] == '\0')
        return error_set(error, SBX_E_INVALID, "%s %s: the shell's name is empty", verb, id);
    sbx_status status = api_check_kvs(&o->envs, "exec: environment", error);
    for (size_t i = 0; status == SBX_OK && i < o->envs.count; i++)
        if (strchr(o->envs.items[i].key, '=') != NULL)
            return error_set(error, SBX_E_INVALID, "%s %s: environment: the name '%s' has a '='", verb, id,
                             o->envs.items[i].key);
    return status;
}

void api_copy_command(struct arena *a, struct sbx_exec_options *o)
{
    const char **texts[] = {&o->command, &o->cwd, &o->user, &o->shell};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = arena_text(a, *texts[i]);
    o->argv = arena_texts(a, o->argv);
    o->envs = arena_kvs(a, &o->envs);
}

sbx_status api_begin(struct border_call *c, struct sbx_sandbox *box, const char *verb, const char *capability,
                     const struct sbx_call_options *call, struct sbx_error *error)
{
    sbx_status status = api_check_box(box, verb, error);
    if (status != SBX_OK)
        return status;
    status = border_begin(c, box->instance->context->log, verb, box->id, call);
    if (status == SBX_OK)
        status = border_needs(c, box, capability);
    return status == SBX_OK ? SBX_OK : border_end(c, status, error);
}

sbx_status api_span_begin(struct api_span *span, const struct sbx_call_options *call, const char *verb,
                          struct sbx_error *error)
{
    *span = (struct api_span){.call = SBX_INIT(span->call)};
    sbx_status status = call != NULL ? api_take(&span->call, sizeof span->call, call, verb, error) : SBX_OK;
    span->call.size = sizeof span->call;
    if (status == SBX_OK && span->call.deadline_ms > 0 && span->call.deadline_ms < INT64_MAX / 2000000)
        span->end_ns = gate_now_ns() + span->call.deadline_ms * 1000000;
    return status;
}

const struct sbx_call_options *api_span_next(struct api_span *span)
{
    if (span->end_ns == 0)
        return &span->call;
    int64_t left = (span->end_ns - gate_now_ns()) / 1000000;
    span->call.deadline_ms = left > 0 ? left : 1;
    return &span->call;
}
