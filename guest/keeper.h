/* SPDX-License-Identifier: MIT
 *
 * keeper.h - the keeper of a command: a child of the guest that is the command's parent and subreaper, so that nothing
 * the command starts can leave its tree. One command at a time; a keeper whose command left nothing behind takes the
 * next one, which saves its fork. SIGTERM makes it kill the whole tree; the end of its socket makes it go.
 */
#ifndef SBX_GUEST_KEEPER_H
#define SBX_GUEST_KEEPER_H

#include "guest/guest.h"

enum { KEEPER_INLINE = 60 << 10 }; /* a larger specification is inherited by a keeper of its own */

/* What to run: this head, then its texts, each with its NUL: the directory, arg_count arguments, env_count variables.
 */
struct spec {
    uint32_t size; /* head and texts */
    uint32_t arg_count;
    uint32_t env_count;
    uint32_t uid;
    uint32_t gid;
    uint32_t foreign;
    uint32_t keep_caps;
    uint32_t tty;  /* descriptor 0 becomes the controlling terminal */
    uint32_t stay; /* after the command's end its keeper stays with what it left behind, which SIGTERM still kills */
    uint32_t fd_count;
    uint32_t group_count;
    uint32_t groups[GUEST_MAX_GROUPS];
};
/* Sent along, spec.fd_count of them: standard input, output and error, then what becomes 8 and 9. */
enum { SPEC_FDS = 3, SPEC_FDS_MAX = 5, SPEC_FIRST_MORE = 8 };

enum keeper_report_kind {
    KEEPER_STARTED = 1, /* a: pid */
    KEEPER_REFUSED,     /* a: errno, b: enum keeper_stage; the keeper is free again */
    KEEPER_ENDED,       /* a: wait status, b: 1 when the keeper is free again, else it goes */
    KEEPER_KILLED       /* a: wait status, b: 1 when something is left alive; the keeper goes */
};
enum keeper_stage { STAGE_FORK = 1, STAGE_USER, STAGE_DIRECTORY, STAGE_EXEC };
struct keeper_report {
    int32_t kind;
    int32_t a;
    int32_t b;
};

/* The keeper's life, in a forked child of the guest; `inherited` is the specification when the message is one byte. */
void keeper_main(int sock, pid_t guest, const struct spec *inherited) __attribute__((noreturn));

/* Executes argv[0] by way of PATH in envp, as the child of a vfork; returns with errno only when that failed. */
void spawn_exec(char *const *argv, char *const *envp);

#endif /* SBX_GUEST_KEEPER_H */
