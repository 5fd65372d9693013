/* SPDX-License-Identifier: MIT
 *
 * json.c - see json.h.
 */
#include "host/json.h"

#include "base/cleanup.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void json_init(struct json *j)
{
    j->root = cJSON_CreateObject();
    j->failed = j->root == NULL;
}

int json_print(struct cmd *c, struct json *j, int code)
{
    char *text = j->failed ? NULL : cJSON_PrintUnformatted(j->root);
    cJSON_Delete(j->root);
    j->root = NULL;
    if (text == NULL) {
        (void)fprintf(stderr, "sbxctl: no memory for the answer\n");
        return EXIT_FAILED;
    }
    (void)fputs(text, stdout);
    (void)fputc('\n', stdout);
    cJSON_free(text);
    (void)c;
    return code;
}

void json_drop(struct json *j)
{
    cJSON_Delete(j->root);
    j->root = NULL;
}

/* Takes ownership of `item`. */
static cJSON *add(struct json *j, cJSON *at, const char *key, cJSON *item)
{
    if (item != NULL && at != NULL && cJSON_AddItemToObject(at, key, item))
        return item;
    cJSON_Delete(item);
    j->failed = 1;
    return NULL;
}

static cJSON *push(struct json *j, cJSON *array, cJSON *item)
{
    if (item != NULL && array != NULL && cJSON_AddItemToArray(array, item))
        return item;
    cJSON_Delete(item);
    j->failed = 1;
    return NULL;
}

/* Bytes of the UTF-8 character at `s`, 0 when there is none. NUL counts as none. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    uint32_t code = 0, least = 0;
    size_t length = 0;
    if (s[0] == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if ((s[0] & 0xe0u) == 0xc0u) {
        length = 2;
        code = s[0] & 0x1fu;
        least = 0x80;
    } else if ((s[0] & 0xf0u) == 0xe0u) {
        length = 3;
        code = s[0] & 0x0fu;
        least = 0x800;
    } else if ((s[0] & 0xf8u) == 0xf0u) {
        length = 4;
        code = s[0] & 0x07u;
        least = 0x10000;
    }
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0u) != 0x80u)
            return 0;
        code = (code << 6) | (s[i] & 0x3fu);
    }
    return code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : length;
}

/* A copy that is UTF-8 for sure; the caller frees. */
static char *clean(const char *text)
{
    size_t length = strlen(text), used = 0;
    if (length > SIZE_MAX / 3 - 1)
        return NULL;
    char *out = malloc(length * 3 + 1);
    for (size_t i = 0; out != NULL && i < length;) {
        size_t n = utf8_length((const unsigned char *)text + i, length - i);
        memcpy(out + used, n == 0 ? "\xef\xbf\xbd" : text + i, n == 0 ? 3 : n);
        used += n == 0 ? 3 : n;
        i += n == 0 ? 1 : n;
    }
    if (out != NULL)
        out[used] = 0;
    return out;
}

static cJSON *text_item(const char *text)
{
    CLEANUP_FREE char *copy = text == NULL ? NULL : clean(text);
    if (text == NULL)
        return cJSON_CreateNull();
    return copy == NULL ? NULL : cJSON_CreateString(copy);
}

void json_text(struct json *j, struct cJSON *at, const char *key, const char *text)
{
    (void)add(j, at, key, text_item(text));
}

void json_number(struct json *j, struct cJSON *at, const char *key, double number)
{
    (void)add(j, at, key, cJSON_CreateNumber(number));
}

void json_flag(struct json *j, struct cJSON *at, const char *key, int value)
{
    (void)add(j, at, key, cJSON_CreateBool(value != 0));
}

void json_replace_flag(struct json *j, struct cJSON *at, const char *key, int value)
{
    cJSON *item = cJSON_CreateBool(value != 0);
    if (item != NULL && at != NULL && cJSON_ReplaceItemInObjectCaseSensitive(at, key, item))
        return;
    cJSON_Delete(item);
    j->failed = 1;
}

void json_null(struct json *j, struct cJSON *at, const char *key)
{
    (void)add(j, at, key, cJSON_CreateNull());
}

struct cJSON *json_object(struct json *j, struct cJSON *at, const char *key)
{
    return add(j, at, key, cJSON_CreateObject());
}

struct cJSON *json_array(struct json *j, struct cJSON *at, const char *key)
{
    return add(j, at, key, cJSON_CreateArray());
}

struct cJSON *json_push_object(struct json *j, struct cJSON *array)
{
    return push(j, array, cJSON_CreateObject());
}

void json_push_text(struct json *j, struct cJSON *array, const char *text)
{
    (void)push(j, array, text_item(text));
}

static char *base64(const unsigned char *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t used = 0;
    char *out = len > SIZE_MAX / 2 ? NULL : malloc((len + 2) / 3 * 4 + 1);
    for (size_t i = 0; out != NULL && i < len; i += 3) {
        size_t n = len - i;
        uint32_t three = (uint32_t)data[i] << 16;
        three |= n > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        three |= n > 2 ? (uint32_t)data[i + 2] : 0;
        out[used++] = digits[three >> 18];
        out[used++] = digits[(three >> 12) & 63];
        out[used++] = n > 1 ? digits[(three >> 6) & 63] : '=';
        out[used++] = n > 2 ? digits[three & 63] : '=';
    }
    if (out != NULL)
        out[used] = 0;
    return out;
}

/* The bytes as a text, NULL when they are none; the caller frees. */
static char *as_text(const char *data, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_length((const unsigned char *)data + i, len - i);
        if (n == 0)
            return NULL;
    }
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = 0;
    return copy;
}

void json_bytes(struct json *j, struct cJSON *at, const char *key, const void *data, size_t len)
{
    CLEANUP_FREE char *encoded = base64(data, len);
    CLEANUP_FREE char *text = as_text(data, len);
    char name[64];
    (void)snprintf(name, sizeof name, "%s_base64", key);
    (void)add(j, at, key, text == NULL ? cJSON_CreateNull() : cJSON_CreateString(text));
    (void)add(j, at, name, encoded == NULL ? NULL : cJSON_CreateString(encoded));
}

void json_pairs(struct json *j, struct cJSON *at, const char *key, struct sbx_kvs pairs)
{
    struct cJSON *object = json_object(j, at, key);
    for (size_t i = 0; i < pairs.count; i++) {
        CLEANUP_FREE char *name = clean(pairs.items[i].key);
        if (name == NULL) {
            j->failed = 1;
            return;
        }
        json_text(j, object, name, pairs.items[i].value);
    }
}

void json_time(struct json *j, struct cJSON *at, const char *key, int64_t ms)
{
    char text[40], name[64];
    time_text(ms, text, sizeof text);
    (void)snprintf(name, sizeof name, "%s_ms", key);
    json_text(j, at, key, ms == 0 ? NULL : text);
    if (ms == 0)
        json_null(j, at, name);
    else
        json_number(j, at, name, (double)ms);
}
