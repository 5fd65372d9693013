/* SPDX-License-Identifier: MIT
 *
 * json.h - JSON from services, read strictly, and JSON to them, written into a buf. The only user of cJSON among
 * plugins.
 */
#ifndef SBX_COMMON_JSON_H
#define SBX_COMMON_JSON_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "plugins/common/plugin.h"

struct cJSON;

/* The whole text as one value, at most 64 levels deep; SBX_E_PROTOCOL otherwise, "WHAT: ...". The caller frees. */
sbx_status json_parse(struct sbx_call *call, const char *what, const char *data, size_t len, struct cJSON **out);
void json_finish(struct cJSON **json);
#define CLEANUP_JSON CLEANUP(json_finish)

/* The members of an object, by exact name. Each takes NULL, which has none. */
const struct cJSON *json_member(const struct cJSON *at, const char *key);
/* NULL: absent, or no text. */
const char *json_text(const struct cJSON *at, const char *key);
/* Overwrites a secret that json_text gave, which the object's end would leave in memory; NULL is ignored. */
void json_wipe_text(const char *text);
/* A whole number within ±2^53; `fallback`: absent, or no such thing. */
int64_t json_integer(const struct cJSON *at, const char *key, int64_t fallback);
/* 1 for true alone. */
int json_is_true(const struct cJSON *at, const char *key);
/* As json_text, but SBX_E_PROTOCOL names what is not there. */
sbx_status json_need_text(struct sbx_call *call, const char *what, const struct cJSON *at, const char *key,
                          const char **out);

/* Walking an array or an object; NULL at the end. */
const struct cJSON *json_first(const struct cJSON *at);
const struct cJSON *json_next(const struct cJSON *at);
size_t json_count(const struct cJSON *at);
int json_is_array(const struct cJSON *at);
const char *json_key(const struct cJSON *at);   /* NULL outside of an object */
const char *json_value(const struct cJSON *at); /* NULL: no text */

/* Appends a text as JSON writes it, quotes included. A text that is no UTF-8 fails the buffer with EILSEQ: a service
 * would change it silently. */
void json_put_text(struct buf *to, const char *text);

#endif /* SBX_COMMON_JSON_H */
