/* SPDX-License-Identifier: MIT
 *
 * json.h - what sbxctl prints with --json; the only user of cJSON in the host. A failure (memory) is remembered and
 * told once, by json_print; so a document is built without a check at each line.
 */
#ifndef SBX_HOST_JSON_H
#define SBX_HOST_JSON_H

#include "host/cmd.h"

struct cJSON;
struct json {
    struct cJSON *root; /* an object */
    int failed;
};

/* Storage you have: an empty object. */
void json_init(struct json *j);
/* Prints the document as one line, frees it and answers `code`, or EXIT_FAILED when it could not. */
int json_print(struct cmd *c, struct json *j, int code);
/* Frees what was not printed. */
void json_drop(struct json *j);

/* Each adds KEY to `at`, which may be NULL after an earlier failure. A NULL text is null; what is not UTF-8 in it
 * becomes U+FFFD. */
void json_text(struct json *j, struct cJSON *at, const char *key, const char *text);
void json_number(struct json *j, struct cJSON *at, const char *key, double number);
void json_flag(struct json *j, struct cJSON *at, const char *key, int value);
/* For a verdict that is known only at the end. */
void json_replace_flag(struct json *j, struct cJSON *at, const char *key, int value);
void json_null(struct json *j, struct cJSON *at, const char *key);
/* KEY_base64 with the bytes as they are, and KEY as text, null when they are no UTF-8 text. */
void json_bytes(struct json *j, struct cJSON *at, const char *key, const void *data, size_t len);
struct cJSON *json_object(struct json *j, struct cJSON *at, const char *key);
struct cJSON *json_array(struct json *j, struct cJSON *at, const char *key);
struct cJSON *json_push_object(struct json *j, struct cJSON *array);
void json_push_text(struct json *j, struct cJSON *array, const char *text);
/* Labels and the like. */
void json_pairs(struct json *j, struct cJSON *at, const char *key, struct sbx_kvs pairs);
/* A moment: KEY as text and KEY_ms as number; both null for 0. */
void json_time(struct json *j, struct cJSON *at, const char *key, int64_t ms);

#endif /* SBX_HOST_JSON_H */
