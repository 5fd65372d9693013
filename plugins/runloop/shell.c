/* SPDX-License-Identifier: MIT
 *
 * shell.c - closing a named shell. The service cannot, so a command beside it finds the shell by the note that our
 * commands leave, and ends it with all that it started.
 */
#include "plugins/runloop/tables.h"

enum { NO_SHELL = 3 };

/* $1: the note, which says process and start time; $2: what the environment of its commands has. The shell is stopped
 * first, so that it starts nothing more. The note goes last: who is stopped in between can begin again. A process that
 * is dead and not yet reaped is no shell any more. */
static const char closing[] =
    "b() { cut -d' ' -f22 \"/proc/$1/stat\" 2>/dev/null; }\n"
    "[ -e \"$1\" ] || exit 3\n"
    "read -r p s <\"$1\"\n"
    "[ -n \"$s\" ] && [ \"$(b \"$p\")\" = \"$s\" ] || { rm -f \"$1\"; exit 3; }\n"
    "k() ( for c in $(grep -ls \"^PPid:[[:space:]]*$1\\$\" /proc/[0-9]*/status); do c=${c%/status}\n"
    "c=${c#/proc/}; k \"$c\"; kill -9 \"$c\"; done )\n"
    "e() { for c in $(grep -ls \"SBX_SHELL=$1\" /proc/[0-9]*/environ); do c=${c%/environ}\n"
    "kill -9 \"${c#/proc/}\"; done; }\n"
    "exec 2>/dev/null\n"
    "kill -STOP \"$p\"; k \"$p\"; k \"$p\"; for i in 1 2 3; do e \"$2\"; done; kill -9 \"$p\"; rm -f \"$1\"\n"
    "i=0; while [ $i -lt 20 ] && [ \"$(b \"$p\")\" = \"$s\" ]; do sleep 0.1; i=$((i+1)); done\n"
    "exit 0\n";

static sbx_status shell_close(struct sbx_handle *h, struct sbx_call *call, const char *shell)
{
    CLEANUP_BUF struct buf said = {0};
    char mark[SHELL_MARK + 1], note[sizeof SHELL_NOTE + SHELL_MARK];
    int code = 0;
    if (shell == NULL || shell[0] == '\0')
        return call_fail(call, SBX_E_INVALID, "shell close: no shell is named");
    script_shell_mark(shell, mark);
    (void)snprintf(note, sizeof note, "%s%s", SHELL_NOTE, mark);
    const char *const argv[] = {"sh", "-c", closing, "sh", note, mark, NULL};
    sbx_status status = run_script(h, call, "shell close", argv, &said, &code);
    if (status != SBX_OK || code == 0)
        return status;
    if (code == NO_SHELL)
        return call_fail(call, SBX_E_NOT_FOUND, "shell close: no shell '%.128s' was begun here", shell);
    return call_fail(call, SBX_E_FAILED, "shell close: the devbox cannot do it (exit code %d)", code);
}

const struct sbx_shell_close_ops shell_close_ops = {.size = sizeof shell_close_ops, .close = shell_close};
