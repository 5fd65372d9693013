/* SPDX-License-Identifier: MIT
 *
 * json.c - see json.h. cJSON takes more than JSON allows; what matters is checked here: depth before it recurses, the
 * end of the text, and the case of names.
 */
#include "plugins/common/json.h"

#include <cjson/cJSON.h>

enum { DEPTH_MAX = 64 };

/* 0 when nothing nests deeper than DEPTH_MAX and no text holds a NUL, which would end it early. */
static int check_shape(const char *data, size_t len)
{
    int depth = 0, in_text = 0;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\0')
            return -1;
        if (in_text && data[i] == '\\') {
            if (len - i >= 6 && memcmp(data + i, "\\u0000", 6) == 0)
                return -1;
            i++;
        } else if (data[i] == '"') {
            in_text = !in_text;
        } else if (!in_text && (data[i] == '{' || data[i] == '[')) {
            if (++depth > DEPTH_MAX)
                return -1;
        } else if (!in_text && (data[i] == '}' || data[i] == ']')) {
            depth--;
        }
    }
    return 0;
}

static int is_blank(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != ' ' && data[i] != '\n' && data[i] != '\r' && data[i] != '\t')
            return 0;
    return 1;
}

sbx_status json_parse(struct sbx_call *call, const char *what, const char *data, size_t len, struct cJSON **out)
{
    const char *end = NULL;
    if (data == NULL || check_shape(data, len) != 0)
        return call_fail(call, SBX_E_PROTOCOL, "%s: the answer is no JSON that can be read", what);
    CLEANUP_JSON cJSON *json = cJSON_ParseWithLengthOpts(data, len, &end, 0);
    if (json == NULL || !is_blank(end, len - (size_t)(end - data)))
        return call_fail(call, SBX_E_PROTOCOL, "%s: the answer is no whole JSON", what);
    *out = STEAL(json);
    return SBX_OK;
}

void json_finish(struct cJSON **json)
{
    int saved = errno;
    cJSON_Delete(*json);
    *json = NULL;
    errno = saved;
}

const struct cJSON *json_member(const struct cJSON *at, const char *key)
{
    return cJSON_IsObject(at) ? cJSON_GetObjectItemCaseSensitive(at, key) : NULL;
}

const char *json_text(const struct cJSON *at, const char *key)
{
    return json_value(json_member(at, key));
}

void json_wipe_text(const char *text)
{
    if (text != NULL)
        explicit_bzero((char *)(uintptr_t)text, strlen(text));
}

int64_t json_integer(const struct cJSON *at, const char *key, int64_t fallback)
{
    const double most = 9007199254740992.0;
    const cJSON *item = json_member(at, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= -most && item->valuedouble <= most))
        return fallback;
    int64_t whole = (int64_t)item->valuedouble;
    return (double)whole < item->valuedouble || (double)whole > item->valuedouble ? fallback : whole;
}

int json_is_true(const struct cJSON *at, const char *key)
{
    return cJSON_IsTrue(json_member(at, key));
}

sbx_status json_need_text(struct sbx_call *call, const char *what, const struct cJSON *at, const char *key,
                          const char **out)
{
    *out = json_text(at, key);
    if (*out != NULL)
        return SBX_OK;
    return call_fail(call, SBX_E_PROTOCOL, "%s: the answer has no text '%s'", what, key);
}

const struct cJSON *json_first(const struct cJSON *at)
{
    return cJSON_IsArray(at) || cJSON_IsObject(at) ? at->child : NULL;
}

const struct cJSON *json_next(const struct cJSON *at)
{
    return at == NULL ? NULL : at->next;
}

size_t json_count(const struct cJSON *at)
{
    size_t count = 0;
    for (const cJSON *item = json_first(at); item != NULL; item = item->next)
        count++;
    return count;
}

int json_is_array(const struct cJSON *at)
{
    return cJSON_IsArray(at) != 0;
}

const char *json_key(const struct cJSON *at)
{
    return at == NULL ? NULL : at->string;
}

const char *json_value(const struct cJSON *at)
{
    return cJSON_IsString(at) ? at->valuestring : NULL;
}

/* The length of the UTF-8 character at p, which ends with a NUL; 0 when there is none. */
static size_t character(const unsigned char *p)
{
    static const struct { /* first byte, then the range of the second */
        unsigned char from, to, low, high;
        size_t len;
    } kinds[] = {{0x01, 0x7f, 0, 0xff, 1},    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    size_t i = 0;
    while (i < sizeof kinds / sizeof kinds[0] && (*p < kinds[i].from || *p > kinds[i].to))
        i++;
    if (i == sizeof kinds / sizeof kinds[0] || p[1] < kinds[i].low || p[1] > kinds[i].high)
        return 0;
    for (size_t k = 2; k < kinds[i].len; k++)
        if ((p[k] & 0xc0) != 0x80)
            return 0;
    return kinds[i].len;
}

void json_put_text(struct buf *to, const char *text)
{
    (void)buf_text(to, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';) {
        size_t len = character(p);
        if (len == 0) {
            if (to->failed == 0)
                to->failed = EILSEQ;
            return;
        }
        if (*p == '"' || *p == '\\')
            (void)buf_format(to, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            (void)buf_format(to, "\\u%04x", (unsigned)*p);
        else
            (void)buf_append(to, p, len);
        p += len;
    }
    (void)buf_text(to, "\"");
}
