/* SPDX-License-Identifier: MIT
 *
 * api.h - commands and files by the daemon's API alone, for containers without a guest.
 */
#ifndef SBX_DOCKER_API_H
#define SBX_DOCKER_API_H

#include "plugins/docker/container.h"

/* Slots of sbx_handle_ops for such a handle. */
sbx_status api_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                    struct sbx_exec_result *out);
sbx_status api_read_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                         const struct sbx_read_args *args, const struct sbx_sink *out);
sbx_status api_write_file(struct sbx_handle *h, struct sbx_call *call, const char *path,
                          const struct sbx_write_args *args, const struct sbx_source *in);

/* How one that a handle's user did not ask for is run. */
struct api_script {
    const char *what;
    const char *text; /* of /bin/sh, with `argv` as $1 and on */
    const char *argv[6];
    const char *user; /* NULL: the handle's */
    int is_killer;    /* what is left of it need not be killed */
    const struct sbx_source *in;
    const struct sbx_sink *out;
};
/* Its exit code; what it writes as errors begins with what the message should say. */
sbx_status api_run_script(struct sbx_handle *h, struct sbx_call *call, const struct api_script *script, int *code);

#endif /* SBX_DOCKER_API_H */
