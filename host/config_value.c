/* SPDX-License-Identifier: MIT
 *
 * config_value.c - is a text of a key's type?
 */
#include "host/config.h"

#include "base/parse.h"
#include "sbx_plugin.h"

#include <string.h>

/* Absolute, and without a `..` that could lead elsewhere than it reads. */
static int path_ok(const char *text)
{
    if (text[0] != '/')
        return 0;
    for (const char *at = text; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return 0;
    return 1;
}

const char *config_value_expected(uint32_t type, const char *value)
{
    int64_t number = 0;
    int yes = 0;
    switch (type) {
    case SBX_KEY_INT:
        return parse_int(value, &number) == 0 ? NULL : "a whole number";
    case SBX_KEY_BOOL:
        return parse_bool(value, &yes) == 0 ? NULL : "yes or no";
    case SBX_KEY_SECONDS:
        return parse_duration_ms(value, &number) == 0 ? NULL : "a duration such as 500ms, 30s, 5m or 1h";
    case SBX_KEY_BYTES:
        return parse_bytes(value, &number) == 0 ? NULL : "a size such as 512M or 4G";
    case SBX_KEY_PATH:
        return path_ok(value) ? NULL : "an absolute path without '..'";
    default:
        return value[0] != '\0' ? NULL : "a text";
    }
}
