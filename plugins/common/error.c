/* SPDX-License-Identifier: MIT
 *
 * error.c - filling the call's error.
 */
#include "base/text.h"
#include "plugins/common/plugin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* One line that holds no control character, whatever foreign text went in. */
static void fill(struct sbx_call *call, sbx_status code, int os_errno, const char *text)
{
    if (call == NULL || call->error == NULL)
        return;
    struct sbx_error error = {.size = sizeof error, .code = code, .os_errno = os_errno};
    if (code == SBX_E_UNAVAILABLE || code == SBX_E_BUSY)
        error.flags = SBX_ERR_RETRYABLE;
    (void)text_line(error.message, sizeof error.message, text, strlen(text));
    sbx_give(call->error, &error, sizeof error);
}

sbx_status call_fail(struct sbx_call *call, sbx_status code, const char *format, ...)
{
    char text[1024] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fill(call, code, 0, text);
    return code;
}

sbx_status call_fail_errno(struct sbx_call *call, int os_errno, const char *format, ...)
{
    char text[1024] = "", reason[128] = "";
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text - sizeof reason, format, args);
    va_end(args);
    size_t used = len < 0                                     ? 0
                  : (size_t)len < sizeof text - sizeof reason ? (size_t)len
                                                              : sizeof text - sizeof reason - 1;
    (void)snprintf(text + used, sizeof text - used, ": %s", strerror_r(os_errno, reason, sizeof reason));
    sbx_status code = status_of_errno(os_errno);
    fill(call, code, os_errno, text);
    return code;
}

sbx_status status_of_errno(int os_errno)
{
    static const struct {
        int os_errno;
        sbx_status code;
    } table[] = {
        {ENOENT, SBX_E_NOT_FOUND},
        {ENOTDIR, SBX_E_NOT_DIR},
        {EISDIR, SBX_E_IS_DIR},
        {EEXIST, SBX_E_EXISTS},
        {EACCES, SBX_E_PERMISSION},
        {EPERM, SBX_E_PERMISSION},
        {EROFS, SBX_E_PERMISSION},
        {ELOOP, SBX_E_BAD_PATH},
        {ENAMETOOLONG, SBX_E_BAD_PATH},
        {ENXIO, SBX_E_BAD_PATH},
        {ENOSPC, SBX_E_QUOTA},
        {EDQUOT, SBX_E_QUOTA},
        {EMFILE, SBX_E_QUOTA},
        {ENFILE, SBX_E_QUOTA},
        {EFBIG, SBX_E_TOO_LARGE},
        {E2BIG, SBX_E_TOO_LARGE},
        {EBUSY, SBX_E_BUSY},
        {ETXTBSY, SBX_E_BUSY},
        {ENOMEM, SBX_E_NO_MEMORY},
        {EINVAL, SBX_E_INVALID},
        {EAGAIN, SBX_E_BUSY},
        {ENOSYS, SBX_E_UNSUPPORTED},
        {EOPNOTSUPP, SBX_E_UNSUPPORTED},
        {ECONNREFUSED, SBX_E_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].os_errno == os_errno)
            return table[i].code;
    return SBX_E_FAILED;
}

void call_maybe_applied(struct sbx_call *call, const char *resource_id)
{
    if (call == NULL || call->error == NULL)
        return;
    struct sbx_error error;
    sbx_view(&error, sizeof error, call->error);
    error.flags |= SBX_ERR_MAYBE_APPLIED;
    if (resource_id != NULL)
        (void)text_line(error.resource_id, sizeof error.resource_id, resource_id, strlen(resource_id));
    sbx_give(call->error, &error, sizeof error);
}

void call_os_errno(struct sbx_call *call, int os_errno)
{
    if (call == NULL || call->error == NULL)
        return;
    struct sbx_error error;
    sbx_view(&error, sizeof error, call->error);
    error.os_errno = os_errno;
    sbx_give(call->error, &error, sizeof error);
}

void call_provider_status(struct sbx_call *call, int provider_status)
{
    if (call == NULL || call->error == NULL)
        return;
    struct sbx_error error;
    sbx_view(&error, sizeof error, call->error);
    error.provider_status = provider_status;
    sbx_give(call->error, &error, sizeof error);
}

void call_shadow(struct sbx_call *inner, struct sbx_error *error, const struct sbx_call *call)
{
    *error = (struct sbx_error){.size = sizeof *error};
    sbx_view(inner, sizeof *inner, call);
    inner->size = sizeof *inner;
    inner->error = error;
}

void call_pass_error(struct sbx_call *call, const struct sbx_error *error)
{
    if (call != NULL)
        sbx_give(call->error, error, sizeof *error);
}

sbx_status call_check_pairs(struct sbx_call *call, const char *step, const struct sbx_kvs *pairs, const char *what,
                            const char *own_prefix)
{
    for (size_t i = 0; i < pairs->count; i++) {
        const char *key = pairs->items[i].key;
        if (key == NULL || pairs->items[i].value == NULL || key[0] == '\0' || strchr(key, '=') != NULL)
            return call_fail(call, SBX_E_INVALID, "%s: '%s' cannot be the name of %s", step, key == NULL ? "" : key,
                             what);
        if (own_prefix != NULL && strncmp(key, own_prefix, strlen(own_prefix)) == 0)
            return call_fail(call, SBX_E_INVALID, "%s: names that begin with '%s' are the provider's own: '%s'", step,
                             own_prefix, key);
    }
    return SBX_OK;
}
