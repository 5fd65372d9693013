/* SPDX-License-Identifier: MIT
 *
 * script.h - the texts that the service's shell runs for us. The service knows nothing but a text to run: directory,
 * variables, user, arguments and the limit are kept by a wrapper of POSIX sh, which ends both outputs with a mark that
 * says how the command ended.
 */
#ifndef SBX_RUNLOOP_SCRIPT_H
#define SBX_RUNLOOP_SCRIPT_H

#include "plugins/runloop/runloop.h"

enum { SCRIPT_STDIN_NONE, SCRIPT_STDIN_FILE, SCRIPT_STDIN_OPEN };

struct script {
    const struct sbx_exec_args *args;
    const char *name; /* of the mark: "sbx-" and the token; also of files in the home directory, behind a dot */
    const char *workdir;
    uint32_t limit_ms;
    int input; /* SCRIPT_STDIN_*; the file is .NAME.in */
};
/* What is to be run. *is_secret: it holds variables, which must not stand in a command line. */
sbx_status script_write(const struct script *script, struct sbx_call *call, struct buf *text, int *is_secret);
/* What runs such a text from the file .NAME in the home directory, which it removes. */
void script_write_loader(const char *name, int in_shell, struct buf *text);
/* Ends every process that a wrapper of that name has started and that is still there. */
void script_write_sweep(const char *name, struct buf *text);

/* What a named shell is known by in a devbox: the variable SBX_SHELL of its commands, and the end of its note's name.
 */
#define SHELL_NOTE "/tmp/.sbx-shell-"
enum { SHELL_MARK = 16 };
void script_shell_mark(const char *shell, char mark[SHELL_MARK + 1]);

#endif /* SBX_RUNLOOP_SCRIPT_H */
