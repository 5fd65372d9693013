/* SPDX-License-Identifier: MIT
 *
 * docker.h - the backend of the docker provider, and the names of its parts' entry points.
 *
 * docker: the descriptor and the backend's slots; settings: the configuration; engine: requests to the daemon;
 * container: what the daemon says of one; entry: what this machine keeps of one; create: its birth; handle: what one
 * can do with it.
 */
#ifndef SBX_DOCKER_H
#define SBX_DOCKER_H

#include "plugins/common/folder.h"
#include "plugins/common/guest_slots.h"
#include "plugins/common/lifelines.h"
#include "plugins/docker/engine.h"
#include "plugins/docker/entry.h"

enum { PULL_MISSING, PULL_NEVER, PULL_ALWAYS };
enum { GUEST_AUTO, GUEST_ALWAYS, GUEST_NEVER };

struct settings {
    char *socket; /* the daemon's unix socket; NULL: base is reached over TCP */
    char *base;   /* "http://..." or "https://..." */
    char *ca;
    char *cert;
    char *key;
    int no_verify;
    int is_private;      /* what is sent to the daemon, nobody else reads */
    char *client_folder; /* with the Docker client's config.json; or NULL */
    char *image;
    char *guest; /* the guest's program */
    uint32_t guest_use;
    char *workdir;
    char **bind_ro;     /* paths of the daemon's machine that sandboxes are shown */
    char *network_name; /* of sandboxes with a network */
    char *runtime_dir;
    char *runtime;    /* the OCI runtime; NULL: the daemon's own choice */
    uint32_t network; /* SBX_NET_NONE or SBX_NET_FULL */
    uint32_t pull;
    uint32_t timeout_ms;
    uint32_t processes;
    int read_only;
};

struct sbx_backend {
    const struct sbx_host *host;
    char *instance;
    struct settings settings;
    struct engine engine;
    struct entries entries;
    struct lifelines lifelines; /* of bound sandboxes */
};

struct sbx_handle {
    struct sbx_backend *backend;
    char id[CONTAINER_ID_SIZE];
    char key[ENTRY_KEY_SIZE]; /* "": no entry of ours */
    struct guest_link *link;  /* NULL: no guest can be had */
    int injected;             /* the link's guest ends with this handle */
    int api;                  /* no link: commands and files by the API alone */
    char *user;               /* of these two: the default user, or "", and directory */
    char *workdir;
    char *env; /* of the latter: create's variables, each with its NUL */
    size_t env_len;
    int has_memory_limit;
};

/* docker.c: whether this daemon can do what an extension is for. */
int docker_has(const struct sbx_backend *b, const char *id);

/* settings.c */
extern const struct sbx_config_key *const settings_keys[];
sbx_status settings_init(struct settings *settings, const struct sbx_open_args *args, const struct sbx_host *host,
                         struct sbx_call *call);
void settings_finish(struct settings *settings);

/* create.c: the slot of that name. */
sbx_status create_container(struct sbx_backend *b, struct sbx_call *call, const struct sbx_create_args *args,
                            struct sbx_handle **out);
/* list.c: the slot of that name; it also removes what creators that died have left. */
sbx_status list_containers(struct sbx_backend *b, struct sbx_call *call, const struct sbx_list_args *args,
                           const struct sbx_info_sink *out);

/* handle.c */
extern const struct sbx_handle_ops handle_ops;
const void *handle_extension(const char *id);
/* snapshot.c */
const void *snapshot_extension(const char *id);
/* Whether an image, as inspected, is a snapshot of this instance that was not removed. */
int snapshot_is_one(const struct sbx_backend *b, const struct cJSON *image);
/* A handle to the container `id`, whose entry is `key`. */
sbx_status handle_make(struct sbx_backend *b, const char *id, const char *key, int has_memory_limit,
                       struct sbx_call *call, struct sbx_handle **out);
/* Whether nobody serves a container's socket any more: its guest is dead, whatever the daemon still says. */
int handle_is_dead(const struct sbx_backend *b, const char *key);
/* Ends the container and drops its entry (key "" : none); SBX_OK also when it is gone. */
sbx_status handle_destroy(struct sbx_backend *b, const char *id, const char *key, struct sbx_call *call);

#endif /* SBX_DOCKER_H */
