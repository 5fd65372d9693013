/* SPDX-License-Identifier: MIT
 *
 * script.c - see script.h. The words of a mark: eN the command ended with N; time its limit was over; n126, n127 it
 * could not be started; cwd, user, sudo, input what else is in the way.
 */
#include "plugins/runloop/script.h"

#include "plugins/runloop/quote.h"

#include <inttypes.h>

enum { TEXT_LIMIT = 32 << 20 };

/* Marks go through descriptors 5 and 6. */
static const char prelude[] =
    "exec 5>&1 6>&2\n"
    "m() { printf '\\036%s %s\\037' \"$t\" \"$1\" >&5; [ -n \"$j\" ] || printf '\\036%s %s\\037' \"$t\" \"$1\" >&6\n"
    "exit \"$2\"; }\n"
    "k() { for p in $($a grep -ls \"SBX_RUN=$t\" /proc/[0-9]*/environ 2>/dev/null); do p=${p%/environ}\n"
    "$a kill -9 \"${p#/proc/}\" 2>/dev/null; done; }\n";

/* In a shell of its own: whether $1 can be started with the PATH that holds here. */
static const char startable[] =
    "f() { case $1 in */*) [ -e \"$1\" ] || exit 127; [ -f \"$1\" ] && [ -x \"$1\" ] || exit 126\n"
    "exit 0 ;; esac\n"
    "IFS=:; s=127; for p in $PATH; do p=${p:-.}/$1; [ -f \"$p\" ] || continue\n"
    "if [ -x \"$p\" ]; then exit 0; fi; s=126; done; exit $s; }\n";

/* The command runs as $c; USR1 says that its time is over. The shell's own words about that are kept away. */
static const char watch[] =
    "c=$!\n"
    "exec 4<&- >/dev/null 2>&1\n"
    "[ \"$l\" = 0 ] || { (\n"
    "trap 'kill \"$z\"; exit' TERM; sleep \"$l\" & z=$!; wait \"$z\"; kill -USR1 $$\n"
    ") </dev/null 5>&- 6>&- & w=$!; }\n"
    "wait \"$c\"; s=$?\n"
    "if [ -n \"$o\" ]; then for i in 1 2 3; do k; done; kill -9 \"$c\"; wait \"$c\"; m time 124; fi\n"
    "[ -z \"$w\" ] || kill \"$w\"\n"
    "m \"e$s\" \"$s\"\n";

static void put_seconds(struct buf *text, uint32_t ms)
{
    if (ms % 1000 == 0)
        (void)buf_format(text, "%u", ms / 1000);
    else
        (void)buf_format(text, "%u.%03u", ms / 1000, ms % 1000);
}

static int is_identifier(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return len > 0 && name[len] == '\0' && (name[0] < '0' || name[0] > '9');
}

static sbx_status check_envs(const struct sbx_kvs *envs, struct sbx_call *call)
{
    for (size_t i = 0; i < envs->count; i++)
        if (envs->items[i].key == NULL || envs->items[i].value == NULL || !is_identifier(envs->items[i].key))
            return call_fail(call, SBX_E_INVALID, "exec: '%s' cannot be the name of a variable here",
                             envs->items[i].key == NULL ? "" : envs->items[i].key);
    return SBX_OK;
}

/* The words of the command, quoted. */
static void put_words(struct buf *text, const struct sbx_exec_args *args)
{
    if (args->command != NULL) {
        (void)buf_text(text, "sh -c ");
        quote_put(text, args->command);
        return;
    }
    for (size_t i = 0; args->argv[i] != NULL; i++) {
        (void)buf_text(text, i == 0 ? "" : " ");
        quote_put(text, args->argv[i]);
    }
}

/* $a is what acts as that user: nothing where it is the devbox's own. */
static void put_user(struct buf *text, const char *user)
{
    int is_number = user[strspn(user, "0123456789")] == '\0';
    (void)buf_text(text, "u=");
    quote_put(text, user);
    (void)buf_format(text,
                     "\nif [ \"$u\" != \"$(id -un)\" ] && [ \"$u\" != \"$(id -u)\" ]; then\n"
                     "%sa=\"sudo -n -H -u %s$u --\"; $a true 2>/dev/null || m sudo 126; fi\n",
                     is_number ? "" : "id -u -- \"$u\" >/dev/null 2>&1 || m user 126\n", is_number ? "#" : "");
}

static void put_command(struct buf *text, const struct script *script)
{
    const struct sbx_exec_args *args = script->args;
    (void)buf_text(text, "( exec 5>&- 6>&-; SBX_RUN=$t; export SBX_RUN; v\nif [ -n \"$a\" ]; then\n"
                         "exec $a env \"SBX_RUN=$t\"");
    for (size_t i = 0; i < args->envs.count; i++)
        (void)buf_format(text, " \"%s=$%s\"", args->envs.items[i].key, args->envs.items[i].key);
    (void)buf_text(text, " ");
    put_words(text, args);
    (void)buf_text(text, "\nelse exec ");
    put_words(text, args);
    (void)buf_text(text, "\nfi ) <&4 4<&- &\n");
}

/* The command in a process of its own. */
static sbx_status write_plain(const struct script *script, struct sbx_call *call, struct buf *text)
{
    const struct sbx_exec_args *args = script->args;
    const char *cwd = args->cwd != NULL ? args->cwd : script->workdir;
    sbx_status status = check_envs(&args->envs, call);
    (void)buf_format(text, "t=%s a= o= w= j=%s l=", script->name,
                     (args->flags & SBX_EXEC_MERGE_STDERR) != 0 ? "1" : "");
    put_seconds(text, script->limit_ms);
    (void)buf_format(text, "\n%s", prelude);
    if (args->user != NULL)
        put_user(text, args->user);
    (void)buf_text(text, "v() { :\n");
    for (size_t i = 0; i < args->envs.count; i++) {
        (void)buf_format(text, "%s=", args->envs.items[i].key);
        quote_put(text, args->envs.items[i].value);
        (void)buf_format(text, "; export %s\n", args->envs.items[i].key);
    }
    (void)buf_text(text, "}\n");
    if (script->input == SCRIPT_STDIN_FILE)
        (void)buf_format(text, "cd && exec 4<.%s.in && rm -f .%s.in || m input 126\n", script->name, script->name);
    else
        (void)buf_text(text, script->input == SCRIPT_STDIN_OPEN ? "exec 4<&0\n" : "exec 4</dev/null\n");
    if (script->workdir != NULL && cwd[0] != '/') {
        (void)buf_text(text, "cd -- ");
        quote_put(text, script->workdir);
        (void)buf_text(text, " 2>/dev/null || m cwd 126\n");
    }
    if (cwd != NULL) {
        (void)buf_text(text, "cd -- ");
        quote_put(text, cwd);
        (void)buf_text(text, " 2>/dev/null || m cwd 126\n");
    }
    if (args->argv != NULL) {
        (void)buf_format(text, "%s( v; f ", startable);
        quote_put(text, args->argv[0]);
        (void)buf_text(text, " ); s=$?; [ $s = 0 ] || m \"n$s\" \"$s\"\n");
    }
    (void)buf_text(text, "trap 'o=1' USR1\n");
    if ((args->flags & SBX_EXEC_MERGE_STDERR) != 0)
        (void)buf_text(text, "exec 2>&1\n");
    put_command(text, script);
    (void)buf_text(text, watch);
    return status;
}

/* Ends what the shell started, at first without the shell; a file says so to those who look. It is a program of its
 * own, so that it holds none of the shell's descriptors, and looks whether the shell is still the one that it was. */
static const char shell_watch[] =
    "__sbx_w=$(sh -c 'trap \"kill \\$z; exit\" TERM\n"
    "b() { cut -d\" \" -f22 /proc/$3/stat; }; i=$(b \"$@\"); sleep \"$1\" & z=$!; wait $z\n"
    "[ -n \"$i\" ] && [ \"$(b \"$@\")\" = \"$i\" ] || exit; : >\"$2\"\n"
    "k() ( for p in $(grep -ls \"^PPid:[[:space:]]*$1\\$\" /proc/[0-9]*/status); do p=${p%/status}\n"
    "p=${p#/proc/}; k $p; kill -9 $p; done )\n"
    "k $3; k $3; sleep 1; [ ! -e \"$2\" ] || { rm -f \"$2\"; kill -9 $3; }\n"
    "' sh \"$__sbx_l\" \"$__sbx_f\" $$ </dev/null >/dev/null 2>&1 & echo $!)\n";

/* FNV-1a of the name. */
void script_shell_mark(const char *shell, char mark[SHELL_MARK + 1])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *shell != '\0'; shell++)
        hash = (hash ^ (unsigned char)*shell) * UINT64_C(0x100000001b3);
    (void)snprintf(mark, SHELL_MARK + 1, "%016" PRIx64, hash);
}

/* A shell's first command notes which process it is, for those who want to close it, and where its home is: there the
 * files of later commands are, whatever HOME has become. */
static void put_note(struct buf *text, const char *shell)
{
    char mark[SHELL_MARK + 1];
    script_shell_mark(shell, mark);
    (void)buf_format(text,
                     "[ \"${__sbx_p-}\" = $$ ] || { __sbx_p=$$ __sbx_h=~; SBX_SHELL=%s; export SBX_SHELL\n"
                     "echo \"$$ $(cut -d' ' -f22 /proc/$$/stat)\" >%s%s; } 2>/dev/null\n",
                     mark, SHELL_NOTE, mark);
}

/* The command in the named shell itself, whose state it may change. */
static sbx_status write_shell(const struct script *script, struct sbx_call *call, struct buf *text)
{
    const struct sbx_exec_args *args = script->args;
    CLEANUP_BUF struct buf words;
    int merged = (args->flags & SBX_EXEC_MERGE_STDERR) != 0, has_file = script->input == SCRIPT_STDIN_FILE;
    buf_init(&words, TEXT_LIMIT);
    if (args->cwd != NULL || args->user != NULL || args->envs.count != 0)
        return call_fail(call, SBX_E_UNSUPPORTED,
                         "exec: a command of a named shell has the shell's own directory, user and variables");
    if (args->command != NULL)
        (void)buf_text(&words, args->command);
    else
        put_words(&words, args);
    if (script->workdir != NULL) {
        (void)buf_text(text, "[ -n \"$__sbx_d\" ] || { __sbx_d=1; cd -- ");
        quote_put(text, script->workdir);
        (void)buf_text(text, " 2>/dev/null; }\n");
    }
    put_note(text, args->shell);
    (void)buf_format(text, "__sbx_t=%s __sbx_w= __sbx_i= __sbx_f=/tmp/.%s __sbx_l=", script->name, script->name);
    put_seconds(text, script->limit_ms);
    (void)buf_format(text, "\n%s{ __sbx_i=1; ", script->limit_ms == 0 ? "" : shell_watch);
    if (has_file) /* the command may end the shell */
        (void)buf_format(text, "command -p rm -f \"$__sbx_h/.%s.in\"; ", script->name);
    (void)buf_text(text, "eval ");
    if (words.failed == 0)
        quote_put(text, words.len > 0 ? words.data : "");
    if (has_file)
        (void)buf_format(text, "\n} <\"$__sbx_h/.%s.in\"", script->name);
    else
        (void)buf_text(text, "\n} </dev/null");
    (void)buf_format(text,
                     "%s\n__sbx_s=$?; [ -z \"$__sbx_w\" ] || kill \"$__sbx_w\" 2>/dev/null\n"
                     "if [ -e \"$__sbx_f\" ]; then rm -f \"$__sbx_f\"; __sbx_w=time\n"
                     "elif [ -n \"$__sbx_i\" ]; then __sbx_w=e$__sbx_s; else __sbx_w=input; __sbx_s=126; fi\n"
                     "printf '\\036%%s %%s\\037' \"$__sbx_t\" \"$__sbx_w\"%s\n(exit \"$__sbx_s\")\n",
                     merged ? " 2>&1" : "", merged ? "" : "; printf '\\036%s %s\\037' \"$__sbx_t\" \"$__sbx_w\" >&2");
    return words.failed == 0 ? SBX_OK : call_fail(call, SBX_E_TOO_LARGE, "exec: the command is too long");
}

sbx_status script_write(const struct script *script, struct sbx_call *call, struct buf *text, int *is_secret)
{
    const struct sbx_exec_args *args = script->args;
    buf_init(text, TEXT_LIMIT);
    *is_secret = args->envs.count != 0;
    sbx_status status = args->shell != NULL ? write_shell(script, call, text) : write_plain(script, call, text);
    if (status != SBX_OK)
        return status;
    if (text->failed == EFBIG)
        return call_fail(call, SBX_E_TOO_LARGE, "exec: command and variables take more than %d MiB", TEXT_LIMIT >> 20);
    return text->failed == 0 ? SBX_OK : call_fail(call, SBX_E_NO_MEMORY, "exec: no memory");
}

void script_write_loader(const char *name, int in_shell, struct buf *text)
{
    buf_init(text, 1024);
    if (in_shell)
        (void)buf_format(text,
                         "__sbx_c=${__sbx_h:-~}/.%s\n"
                         "__sbx_c=$(command -p cat \"$__sbx_c\"; command -p rm -f \"$__sbx_c\"); eval \"$__sbx_c\"",
                         name);
    else
        (void)buf_format(text, "exec sh -c 'c=$(cat \"$1\"); rm -f \"$1\"; eval \"$c\"' sh ~/.%s", name);
}

void script_write_sweep(const char *name, struct buf *text)
{
    buf_init(text, 4096);
    (void)buf_format(text, "t=%s a= j=1\n%sk; k; rm -f ~/.\"$t\" ~/.\"$t\".in\n", name, prelude);
}
