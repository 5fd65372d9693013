/* SPDX-License-Identifier: MIT
 *
 * record.h - what one sandbox's files say about it. Written whole and atomically; read as hostile data. No secret
 * stands in it: create's environment is a file of its own.
 */
#ifndef SBX_LOCAL_RECORD_H
#define SBX_LOCAL_RECORD_H

#include "plugins/local/ids.h"

#include <sys/types.h>

enum { RECORD_ID_LENGTH = 16, RECORD_MAX = 1 << 20, RECORD_CGROUPS = 3 };

struct record {
    char *data;     /* what the texts below point into; NULL while they are lent */
    const char *id; /* may be NULL, as may every text below */
    const char *name;
    const char *token;
    const char *image;
    const char *workdir;
    const char *user;
    const char *comment;                 /* of a snapshot, as is the next one */
    const char *sandbox;                 /* which it was made of */
    const char *boot;                    /* boot id under which it was made */
    const char *cgroups[RECORD_CGROUPS]; /* absolute directories that are the sandbox's own */
    size_t cgroup_count;
    int64_t created_ms;
    int64_t expires_ms; /* 0 never */
    int64_t pid;        /* of the guest, on the host; 0 while it starts */
    uint64_t start;     /* that process's start time, so that a reused pid is not taken for it */
    uint64_t pid_space; /* inode of the pid namespace in which `pid` counts */
    uint64_t bound;
    uint64_t network;
    uint64_t memory_mib;
    uint64_t cpu_millis;
    uint64_t disk_mib;
    uint64_t processes;
    struct ids ids;
    struct sbx_kvs metadata;
};

/* Writes `record` into the sandbox's directory; one with a pid counts from then on, whatever was there. 0, or an errno.
 */
int record_write(int dir_fd, const struct record *record);
/* 0 and a record that owns its memory, or an errno: ENOENT when there is none, EBADMSG when it is damaged. */
int record_read(int dir_fd, struct record *record);
/* An owning copy. 0 or an errno. */
int record_copy(const struct record *from, struct record *to);
void record_finish(struct record *record);

/* create's environment, likewise. */
int record_write_envs(int dir_fd, const struct sbx_kvs *envs);
/* *data owns what *envs points into, as record.data does for metadata; the caller frees both. */
int record_read_envs(int dir_fd, char **data, struct sbx_kvs *envs);

/* Whether it has each of the wanted labels. */
int record_has_labels(const struct record *record, const struct sbx_kvs *wanted);
/* Whether the text has the form of an id. */
int record_is_id(const char *text);

#endif /* SBX_LOCAL_RECORD_H */
