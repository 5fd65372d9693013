/* SPDX-License-Identifier: MIT
 *
 * runloop.h - the Runloop provider: what its files share.
 */
#ifndef SBX_RUNLOOP_H
#define SBX_RUNLOOP_H

#include "plugins/runloop/api.h"

/* Keys of a devbox's metadata that are the provider's own. */
#define META_INSTANCE "sbx-instance"
#define META_TOKEN    "sbx-token"
#define META_WORKDIR  "sbx-workdir"
#define META_PREFIX   "sbx-"

enum { ID_SIZE = 128, HOLD_S = 30, HOLD_MS = 45000 };

struct settings {
    char *base;
    char *ca;
    char *blueprint; /* of devboxes made without an image; NULL: the service's own */
    char *size;
    uint32_t timeout_ms;
    int force; /* removal does not wait for a snapshot */
};

struct sbx_backend {
    const struct sbx_host *host;
    char *instance;
    struct settings settings;
    struct api api;
};

struct sbx_handle {
    struct sbx_backend *backend;
    char *workdir; /* NULL: the user's home */
    char id[ID_SIZE];
};

/* settings.c. *key is the caller's, to be wiped. */
extern const struct sbx_config_key *const settings_keys[];
sbx_status settings_init(struct settings *settings, const struct sbx_open_args *args, struct sbx_call *call,
                         char **key);
void settings_finish(struct settings *settings);

/* An id may stand in a path: nothing but letters, digits and "_-". */
int id_is_valid(const char *id);

/* devbox.c */
int32_t devbox_state(const char *status);
/* GONE (a handle's) or NOT_FOUND (an id's) is the caller's to choose. */
sbx_status devbox_get(struct sbx_backend *b, struct sbx_call *call, const char *what, const char *id,
                      struct cJSON **json);
sbx_status devbox_report(const struct cJSON *view, const struct sbx_info_sink *out, struct sbx_call *call);
/* A handle to the devbox of this view. */
sbx_status devbox_handle(struct sbx_backend *b, const struct cJSON *view, struct sbx_call *call,
                         struct sbx_handle **out);
/* Until the devbox is in one of the states, named as JSON texts: "\"running\",\"failure\"". */
sbx_status devbox_await(struct sbx_backend *b, struct sbx_call *call, const char *what, const char *id,
                        const char *states, struct cJSON **view);
/* What a refusal (400, 404) by the service means for work in the devbox: SBX_E_STATE, GONE, or the one that is told. */
sbx_status devbox_excuse(struct sbx_handle *h, struct sbx_call *call, sbx_status status, const struct sbx_error *error);
sbx_status devbox_list(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                       const struct sbx_info_sink *out);
/* Ends it; SBX_OK also when it is gone. */
sbx_status devbox_shutdown(struct sbx_backend *b, struct sbx_call *call, const char *id, int force);
/* POST without an answer of interest to /v1/devboxes/ID/VERB. */
sbx_status devbox_post(struct sbx_handle *h, struct sbx_call *call, const char *what, const char *verb,
                       const char *body, int is_safe, struct cJSON **json);

/* create.c */
sbx_status create_devbox(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                         struct sbx_handle **out);

/* handle.c, and what it offers */
extern const struct sbx_handle_ops handle_ops;
const void *handle_extension(const char *id);

#endif /* SBX_RUNLOOP_H */
