/* SPDX-License-Identifier: MIT
 *
 * error.c - struct sbx_error, and the words and the version that sbx.h gives out.
 */
#include "host/error.h"

#include "base/text.h"
#include "sbx_plugin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_ROOM = 2048 }; /* before it is cut to the error's own size */

static const char *const status_names[] = {
    [-SBX_OK] = "ok",
    [-SBX_E_FAILED] = "failed",
    [-SBX_E_UNSUPPORTED] = "unsupported",
    [-SBX_E_INVALID] = "invalid_argument",
    [-SBX_E_CONFIG] = "configuration",
    [-SBX_E_AUTH] = "not_authenticated",
    [-SBX_E_PERMISSION] = "permission_denied",
    [-SBX_E_NOT_FOUND] = "file_not_found",
    [-SBX_E_EXISTS] = "already_exists",
    [-SBX_E_IS_DIR] = "is_directory",
    [-SBX_E_NOT_DIR] = "not_a_directory",
    [-SBX_E_BAD_PATH] = "invalid_path",
    [-SBX_E_TOO_LARGE] = "too_large",
    [-SBX_E_QUOTA] = "no_space",
    [-SBX_E_BUSY] = "busy",
    [-SBX_E_STATE] = "wrong_state",
    [-SBX_E_GONE] = "gone",
    [-SBX_E_TIMEOUT] = "timed_out",
    [-SBX_E_CANCELLED] = "cancelled",
    [-SBX_E_STOPPED] = "stopped",
    [-SBX_E_UNAVAILABLE] = "unavailable",
    [-SBX_E_NO_MEMORY] = "no_memory",
    [-SBX_E_PROTOCOL] = "protocol_error",
    [-SBX_E_UNKNOWN] = "unknown",
};

const char *sbx_version(void)
{
    return SBX_VERSION;
}

const char *sbx_status_name(sbx_status code)
{
    static const int count = (int)(sizeof status_names / sizeof status_names[0]);
    if (code > 0 || code <= -count)
        return status_names[-SBX_E_FAILED];
    return status_names[-code];
}

void error_give(struct sbx_error *error, const struct sbx_error *full)
{
    if (error == NULL)
        return;
    sbx_give(error, full, sizeof *full);
    size_t at = offsetof(struct sbx_error, message);
    char *message = (char *)error + at;
    if (error->size > at && error->size < sizeof *error)
        (void)text_line(message, error->size - at, message, strnlen(message, error->size - at));
}

static void set(struct sbx_error *error, sbx_status code, int os_errno, const char *format, va_list args)
{
    struct sbx_error full = {.size = sizeof full, .code = code, .os_errno = os_errno};
    char text[MESSAGE_ROOM], reason[128];
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    size_t used = strlen(text);
    /* The GNU strerror_r: it may answer with a constant and leave the buffer alone. */
    if (os_errno != 0)
        (void)snprintf(text + used, sizeof text - used, ": %s", strerror_r(os_errno, reason, sizeof reason));
    (void)text_line(full.message, sizeof full.message, text, strlen(text));
    error_give(error, &full);
}

sbx_status error_set(struct sbx_error *error, sbx_status code, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    set(error, code, 0, format, args);
    va_end(args);
    return code;
}

sbx_status error_set_errno(struct sbx_error *error, sbx_status code, int os_errno, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    set(error, code, os_errno, format, args);
    va_end(args);
    return code;
}

sbx_status error_wrap(struct sbx_error *error, sbx_status code, const char *format, ...)
{
    if (error == NULL)
        return code;
    struct sbx_error full;
    sbx_view(&full, sizeof full, error);
    full.size = sizeof full;
    full.message[sizeof full.message - 1] = '\0';
    if (full.code == SBX_OK)
        full.code = code;
    char text[MESSAGE_ROOM];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0)
        text[0] = '\0';
    size_t used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, "%s%s", used > 0 && full.message[0] != '\0' ? ": " : "",
                   full.message);
    (void)text_line(full.message, sizeof full.message, text, strlen(text));
    error_give(error, &full);
    return full.code;
}

sbx_status error_no_memory(struct sbx_error *error)
{
    return error_set(error, SBX_E_NO_MEMORY, "out of memory");
}
