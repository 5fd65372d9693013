/* SPDX-License-Identifier: MIT
 *
 * emulate.h - what libsbx does itself where a provider offers less: files and trees through a POSIX shell in the
 * sandbox, waiting by asking. Paths travel as arguments, never as shell text; failures are told by exit codes, never by
 * words.
 */
#ifndef SBX_HOST_EMULATE_H
#define SBX_HOST_EMULATE_H

#include "host/flow.h"
#include "host/info.h"

/* 1 when libsbx can emulate the capability. */
int emulate_can(const char *capability);

sbx_status emulate_stat(struct border_call *c, struct sbx_sandbox *box, const char *path, struct sbx_file_stat *out);
sbx_status emulate_list(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                        const struct sbx_entry_sink *out);
sbx_status emulate_mkdir(struct border_call *c, struct sbx_sandbox *box, const char *dir, uint32_t mode,
                         uint32_t flags);
sbx_status emulate_remove(struct border_call *c, struct sbx_sandbox *box, const char *path, uint32_t flags);
sbx_status emulate_rename(struct border_call *c, struct sbx_sandbox *box, const char *from, const char *to);
sbx_status emulate_put_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                           const struct sbx_source *tar);
sbx_status emulate_get_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct sbx_sink *tar);
/* Asks with growing pauses until the state is in the mask; SBX_E_STATE when it can no longer get there. */
sbx_status emulate_wait(struct border_call *c, struct sbx_sandbox *box, uint32_t state_mask, struct info_list *list);

/* --- how the scripts are run: for emulate.c and emulate_fs.c ---------------------------------------------------- */

/* Text before every script: fix PATH (sets $f: absolute or ./relative, ~/ resolved, no trailing slashes), above PATH
 * (sets $d: its deepest part that exists), gone PATH and room PATH (exit with why it is not there, or cannot be made).
 */
#define EMULATE_PRELUDE                                                                                                \
    "fix() { case $1 in '~') f=$HOME ;; '~/'*) f=$HOME/${1#??} ;; /*) f=$1 ;; *) f=./$1 ;; esac\n"                     \
    "while :; do case $f in ?*/) f=${f%/} ;; *) break ;; esac; done; }\n"                                              \
    "above() { d=$1; while :; do case $d in */*) d=${d%/*} ;; *) d=. ;; esac\n"                                        \
    "[ -n \"$d\" ] || d=/\n"                                                                                           \
    "if [ -e \"$d\" ] || [ \"$d\" = / ] || [ \"$d\" = . ]; then return; fi; done; }\n"                                 \
    "gone() { above \"$1\"; if [ -d \"$d\" ] && [ ! -x \"$d\" ]; then exit 95; fi; exit 91; }\n"                       \
    "room() { above \"$1\"; [ -d \"$d\" ] || exit 91; [ -w \"$d\" ] && [ -x \"$d\" ] || exit 95; }\n"

struct emulate_script {
    const char *text;
    const char *args[3]; /* $1 ...; the first one is the path that errors name */
    const struct sbx_source *in;
    const struct sbx_sink *out;
};
/* Runs it with sh; exit codes 91 to 98 become the status that they stand for. */
sbx_status emulate_run(struct border_call *c, struct sbx_sandbox *box, const struct emulate_script *script);
/* `FFFF SIZE MTIME` as stat -c '%f %s %Y' prints it. 0, or -1 when it is not that. */
int emulate_parse_stat(const char *line, struct sbx_file_stat *out);

#endif /* SBX_HOST_EMULATE_H */
