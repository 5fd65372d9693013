/* SPDX-License-Identifier: MIT
 *
 * container.h - what the daemon says of one container, as an item of its list or as its inspection.
 */
#ifndef SBX_DOCKER_CONTAINER_H
#define SBX_DOCKER_CONTAINER_H

#include "plugins/docker/docker.h"

/* Labels of ours: its entry, the instance that made it and from where, the token it was made for. A caller's label may
 * not begin so. */
#define LABEL_PREFIX   "sbx-docker."
#define LABEL_KEY      LABEL_PREFIX "key"
#define LABEL_INSTANCE LABEL_PREFIX "instance"
#define LABEL_SCOPE    LABEL_PREFIX "scope"
#define LABEL_TOKEN    LABEL_PREFIX "token"
#define LABEL_WORKDIR  LABEL_PREFIX "workdir" /* what commands begin with; a snapshot has them too */
#define LABEL_USER     LABEL_PREFIX "user"
/* Of images that are snapshots. */
#define LABEL_SNAPSHOT LABEL_PREFIX "snapshot"
#define LABEL_NAME     LABEL_PREFIX "name"
#define LABEL_METADATA LABEL_PREFIX "metadata"

struct container {      /* texts are the JSON's */
    struct cJSON *json; /* an inspection's own; NULL for an item of a list */
    const char *id;
    const char *name;  /* without its slash; NULL: none */
    const char *state; /* the daemon's word */
    const char *image; /* as it was asked for */
    const char *key;   /* of its entry; NULL: not made by us */
    const struct cJSON *labels;
    int64_t created_ms;
    /* of an inspection alone */
    const struct cJSON *host; /* HostConfig */
    int64_t pid;
    int64_t exit_code;
};

/* By id, unambiguous prefix of it, or name. SBX_E_NOT_FOUND: there is none. */
sbx_status container_inspect(struct sbx_backend *b, struct sbx_call *call, const char *what, const char *reference,
                             struct container *out);
/* One item of a list, lent. SBX_E_PROTOCOL when it lacks what every item has. */
sbx_status container_of_item(const struct cJSON *item, struct sbx_call *call, struct container *out);
void container_finish(struct container *container);

/* The daemon's way to write a moment, in milliseconds since 1970; 0 for anything else. */
int64_t container_time(const char *text);
/* SBX_STATE_*; what the guest has suspended still runs for the daemon. */
int container_state(const struct sbx_backend *b, const struct container *container);
/* The value of a label, or NULL. */
const char *container_label(const struct container *container, const char *key);
/* Of an inspection. */
int container_has_memory_limit(const struct container *container);
/* Reports it, with when it ends where its entry knows. */
sbx_status container_report(struct sbx_backend *b, const struct container *container, const struct sbx_info_sink *out,
                            struct sbx_call *call);

#endif /* SBX_DOCKER_CONTAINER_H */
