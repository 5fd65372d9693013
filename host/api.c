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
