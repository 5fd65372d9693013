/* SPDX-License-Identifier: MIT
 *
 * api.h - what the files behind sbx.h share: checks of the caller's arguments.
 */
#ifndef SBX_HOST_API_H
#define SBX_HOST_API_H

#include "host/arena.h"
#include "host/border.h"

/* The caller's struct as this version knows it (out has room for out_size); `what` names it in the error. */
sbx_status api_take(void *out, uint32_t out_size, const void *theirs, const char *what, struct sbx_error *error);
/* Keys that are there and not empty, with values. */
sbx_status api_check_kvs(const struct sbx_kvs *kvs, const char *what, struct sbx_error *error);
/* SBX_E_INVALID for no sandbox. */
sbx_status api_check_box(const struct sbx_sandbox *box, const char *verb, struct sbx_error *error);
/* SBX_E_NOT_FOUND for an empty path, SBX_E_INVALID for none. */
sbx_status api_check_path(const struct sbx_sandbox *box, const char *verb, const char *path, struct sbx_error *error);
/* What any command's options must keep to, streams aside. */
sbx_status api_check_command(const char *verb, const char *id, const struct sbx_exec_options *o,
                             struct sbx_error *error);
/* The texts of a command, so that they outlive the caller's. */
void api_copy_command(struct arena *a, struct sbx_exec_options *o);
/* Begins a call that needs one capability of the sandbox's; on failure it is ended too. */
sbx_status api_begin(struct border_call *c, struct sbx_sandbox *box, const char *verb, const char *capability,
                     const struct sbx_call_options *call, struct sbx_error *error);

/* One call of the caller's that is made of several: its deadline holds for the whole. */
struct api_span {
    struct sbx_call_options call;
    int64_t end_ns; /* 0: none */
};
sbx_status api_span_begin(struct api_span *span, const struct sbx_call_options *call, const char *verb,
                          struct sbx_error *error);
/* The options of the next part, with the time that is left; valid until it is asked again. */
const struct sbx_call_options *api_span_next(struct api_span *span);

#endif /* SBX_HOST_API_H */
