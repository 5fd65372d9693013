/* SPDX-License-Identifier: MIT
 *
 * create.h - the birth of a container: what is asked for, checked as a whole, then made.
 */
#ifndef SBX_DOCKER_CREATE_H
#define SBX_DOCKER_CREATE_H

#include "plugins/docker/container.h"

enum { NAME_SIZE = 256 };

struct making {
    struct sbx_backend *b;
    struct sbx_call *call;
    struct sbx_create_args args;
    /* the plan */
    const char *image;
    const char *workdir;
    uint32_t network;
    char name[NAME_SIZE]; /* chosen before anything is sent: by it a lost reply is found again */
    /* what the image says */
    struct cJSON *image_json;
    const char *user; /* whom commands act as; "" or NULL: root */
    /* what is made */
    char key[ENTRY_KEY_SIZE];
    int entry_fd;
    int listen_fd; /* the guest's */
    int meet_fd;   /* where it asks for that */
    int lifeline[2];
    int api;   /* without a guest */
    int relay; /* nothing of this machine can be bound into it */
    char id[CONTAINER_ID_SIZE];
    int is_lost; /* it was asked for, and whether it was made is not known */
};

/* plan.c: everything that can be refused without asking the daemon; chooses the name. */
sbx_status plan_check(struct making *m);
sbx_status plan_check_workdir(const struct making *m);
/* The body of the create request; SBX_E_INVALID for text that JSON cannot carry. */
sbx_status plan_body(struct making *m, struct buf *body);
/* The variables of every command, the image's first, each with its NUL. */
sbx_status plan_envs(struct making *m, struct buf *envs);

/* pull.c: has the daemon get an image. */
sbx_status pull_image(struct sbx_backend *b, struct sbx_call *call, const char *image);

#endif /* SBX_DOCKER_CREATE_H */
