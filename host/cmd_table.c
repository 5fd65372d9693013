/* SPDX-License-Identifier: MIT
 *
 * cmd_table.c - the commands and options of sbxctl. Parsing, help and the check of the man page read these tables.
 */
#include "host/cmd.h"

#include <string.h>

static const struct cmd_command commands[] = {
    {.name = "run",
     .arguments = "[--] COMMAND [ARG...]",
     .summary = "make a sandbox, run one command in it, remove it",
     .details = "The sandbox is removed however the command, or sbxctl, ends. Options stand before COMMAND.",
     .groups = GROUP_CALL | GROUP_PICK | GROUP_CREATE | GROUP_PROCESS | GROUP_EXEC,
     .least = 1,
     .most = MANY_WORDS,
     .verbatim = 0,
     .run = cmd_run},
    {.name = "create",
     .arguments = "",
     .summary = "make a sandbox and print its id",
     .details = "The sandbox lives until it is removed or its lifetime is over.",
     .groups = GROUP_CALL | GROUP_PICK | GROUP_CREATE | GROUP_PROCESS,
     .least = 0,
     .most = 0,
     .verbatim = NO_VERBATIM,
     .run = cmd_create},
    {.name = "exec",
     .arguments = "ID [--] COMMAND [ARG...]",
     .summary = "run a command in a sandbox",
     .details = "Input, output and exit code are the command's own. Its input is closed unless -i is given or\n"
                "standard input is a pipe, a socket or a file. Options stand before COMMAND.",
     .groups = GROUP_CALL | GROUP_PROCESS | GROUP_EXEC,
     .least = 2,
     .most = MANY_WORDS,
     .verbatim = 1,
     .run = cmd_exec},
    {.name = "cp",
     .arguments = "SOURCE TARGET",
     .summary = "copy a file or a tree into or out of a sandbox",
     .details = "One of the two is ID:PATH, the other a local path (write ./NAME for one with a colon) or - for\n"
                "standard input or output; a tree on - is an uncompressed tar. A tree goes to TARGET when that\n"
                "is not there yet, else into it; SOURCE/. means the content alone.",
     .groups = GROUP_CALL | GROUP_COPY,
     .least = 2,
     .most = 2,
     .verbatim = NO_VERBATIM,
     .run = cmd_cp},
    {.name = "ls",
     .arguments = "",
     .summary = "list sandboxes",
     .groups = GROUP_CALL | GROUP_PICK | GROUP_LIST,
     .least = 0,
     .most = 0,
     .verbatim = NO_VERBATIM,
     .run = cmd_ls},
    {.name = "inspect",
     .arguments = "ID...",
     .summary = "show everything known of a sandbox",
     .groups = GROUP_CALL,
     .least = 1,
     .most = MANY_WORDS,
     .verbatim = NO_VERBATIM,
     .run = cmd_inspect},
    {.name = "rm",
     .arguments = "ID...",
     .summary = "end sandboxes and everything in them",
     .details = "One that is not there (any more) is no error.",
     .groups = GROUP_CALL | GROUP_REMOVE,
     .least = 1,
     .most = MANY_WORDS,
     .verbatim = NO_VERBATIM,
     .run = cmd_rm},
    {.name = "job",
     .arguments = "ACTION ID [ARG...]",
     .summary = "run commands that outlive this one",
     .details = "job start ID [--] COMMAND [ARG...]  start one and print its name\n"
                "job ls ID                           list them\n"
                "job info ID JOB                     show one\n"
                "job wait ID JOB                     wait for its end; its exit code\n"
                "job logs ID JOB                     print its output\n"
                "job kill ID JOB                     end it with everything that it started\n"
                "job signal ID JOB SIGNAL            send it a signal, by name or number\n"
                "job feed ID JOB                     pass standard input on to it\n"
                "job forget ID JOB                   drop one that ended, with its output",
     .actions = "start ls info wait logs kill signal feed forget",
     .groups = GROUP_CALL | GROUP_PROCESS | GROUP_JOB | GROUP_LOGS,
     .least = 2,
     .most = MANY_WORDS,
     .verbatim = 2,
     .verbatim_action = "start",
     .run = cmd_job},
    {.name = "logs",
     .arguments = "ID JOB",
     .summary = "print the output of a job",
     .details = "Its standard output goes to standard output and its standard error to standard error;\n"
                "with --stream that one goes to standard output.",
     .groups = GROUP_CALL | GROUP_LOGS,
     .least = 2,
     .most = 2,
     .verbatim = NO_VERBATIM,
     .run = cmd_logs},
    {.name = "wait",
     .arguments = "ID [JOB]",
     .summary = "wait for the end of a job, or for a state of a sandbox",
     .details = "The exit code is the job's. Without JOB, --state says what to wait for.",
     .groups = GROUP_CALL | GROUP_WAIT,
     .least = 1,
     .most = 2,
     .verbatim = NO_VERBATIM,
     .run = cmd_wait},
    {.name = "shell",
     .arguments = "ID [NAME [[--] COMMAND [ARG...]]]",
     .summary = "run commands in a shell that stays",
     .details = "The shell keeps directory, variables and functions; it begins with its first command.\n"
                "The words are one text for it. Without COMMAND, lines are read from the terminal; without\n"
                "NAME, the shell ends with them. With --close the shell ends.",
     .groups = GROUP_CALL | GROUP_PROCESS | GROUP_SHELL,
     .least = 1,
     .most = MANY_WORDS,
     .verbatim = 2,
     .run = cmd_shell},
    {.name = "files",
     .arguments = "ACTION ID [ARG...]",
     .summary = "look at and change files of a sandbox",
     .details = "files ls ID [DIRECTORY]            list a directory\n"
                "files cat ID PATH                  print a file, or some lines of it\n"
                "files write ID PATH                make standard input the content of a file\n"
                "files edit ID PATH                 replace a text in a file and print how often\n"
                "files grep ID TEXT [PATH]          print the lines that hold a text, which is no pattern\n"
                "files glob ID PATTERN [DIRECTORY]  print the paths of files that match",
     .actions = "ls cat write edit grep glob",
     .groups = GROUP_CALL | GROUP_FILES,
     .least = 2,
     .most = MANY_WORDS,
     .verbatim = NO_VERBATIM,
     .run = cmd_files},
    {.name = "snapshot",
     .arguments = "ACTION [ID...]",
     .summary = "keep a copy of a sandbox's files, to make sandboxes from",
     .details = "snapshot create ID       make one, wait until it is done, and print its id\n"
                "snapshot ls              list them\n"
                "snapshot info SNAPSHOT   show one\n"
                "snapshot rm SNAPSHOT...  remove them; one that is not there (any more) is no error\n"
                "A sandbox is made from one by create --snapshot or run --snapshot.",
     .actions = "create ls info rm",
     .groups = GROUP_CALL | GROUP_PICK | GROUP_SNAPSHOT,
     .least = 1,
     .most = MANY_WORDS,
     .verbatim = NO_VERBATIM,
     .run = cmd_snapshot},
    {.name = "suspend",
     .arguments = "ID",
     .summary = "put a sandbox to sleep",
     .groups = GROUP_CALL,
     .least = 1,
     .most = 1,
     .verbatim = NO_VERBATIM,
     .run = cmd_suspend},
    {.name = "resume",
     .arguments = "ID",
     .summary = "wake a sandbox that sleeps",
     .groups = GROUP_CALL,
     .least = 1,
     .most = 1,
     .verbatim = NO_VERBATIM,
     .run = cmd_resume},
    {.name = "keep-alive",
     .arguments = "ID",
     .summary = "let a sandbox live longer",
     .details = "Its idle time begins anew; with --for its lifetime is so long from now.",
     .groups = GROUP_CALL | GROUP_KEEP,
     .least = 1,
     .most = 1,
     .verbatim = NO_VERBATIM,
     .run = cmd_keep_alive},
    {.name = "tunnel",
     .arguments = "[ACTION] ID [ARG...]",
     .summary = "reach a port of a sandbox",
     .details =
         "tunnel ID PORT [LOCAL-PORT]  print an address here, on the loopback alone, that leads to a port of the\n"
         "                             sandbox's loopback, and serve it until sbxctl is interrupted\n"
         "tunnel create ID PORT        let the provider keep an address for a port, and print it and its token\n"
         "tunnel ls ID                 list those addresses\n"
         "tunnel rm ID [TUNNEL]        end one of them, or all",
     .actions = "create ls rm",
     .groups = GROUP_CALL | GROUP_TUNNEL,
     .least = 2,
     .most = 3,
     .verbatim = NO_VERBATIM,
     .run = cmd_tunnel},
    {.name = "ssh",
     .arguments = "ID [[--] COMMAND [ARG...]]",
     .summary = "log in to a sandbox with the ssh of this machine",
     .details =
         "The key is made by the provider for this one use, and kept in memory. The words of COMMAND are\n"
         "passed on as they are; its exit code is ssh's, 255 for a failure of ssh. Options stand before COMMAND.",
     .groups = GROUP_CALL | GROUP_SSH,
     .least = 1,
     .most = MANY_WORDS,
     .verbatim = 1,
     .run = cmd_ssh},
    {.name = "gc",
     .arguments = "",
     .summary = "remove sandboxes that nobody is left to remove",
     .details = "Those that expired, and those whose process is proven dead. Each one is printed with the reason.",
     .groups = GROUP_CALL | GROUP_PICK | GROUP_SWEEP,
     .least = 0,
     .most = 0,
     .verbatim = NO_VERBATIM,
     .run = cmd_gc},
    {.name = "providers",
     .arguments = "",
     .summary = "list the configured providers and what each can do",
     .groups = GROUP_CALL,
     .least = 0,
     .most = 0,
     .verbatim = NO_VERBATIM,
     .run = cmd_providers},
    {.name = "config",
     .arguments = "check|files|show",
     .summary = "check the configuration, or show where it comes from",
     .details = "check prints every problem with file and line; files prints what is read, in order; show prints\n"
                "the instances with the keys that each understands.",
     .actions = "check files show",
     .groups = GROUP_CALL,
     .least = 1,
     .most = 1,
     .verbatim = NO_VERBATIM,
     .run = cmd_config},
    {.name = "doctor",
     .arguments = "",
     .summary = "find out whether sandboxes work here, and how to mend it",
     .groups = GROUP_CALL | GROUP_PICK,
     .least = 0,
     .most = 0,
     .verbatim = NO_VERBATIM,
     .run = cmd_doctor},
    {.name = "version",
     .arguments = "",
     .summary = "print the version",
     .least = 0,
     .most = 0,
     .verbatim = NO_VERBATIM,
     .run = cmd_version},
    {.name = "completion",
     .arguments = "bash|zsh|fish",
     .summary = "print what lets a shell complete sbxctl's words",
     .actions = "bash zsh fish",
     .least = 1,
     .most = 1,
     .verbatim = NO_VERBATIM,
     .run = cmd_completion},
    {.name = "help",
     .arguments = "[COMMAND]",
     .summary = "explain sbxctl or one command",
     .least = 0,
     .most = 1,
     .verbatim = NO_VERBATIM,
     .run = cmd_help},
};

static const struct cmd_option options[] = {
    {.id = OPT_PROVIDER,
     .name = "provider",
     .argument = "INSTANCE",
     .help = "use this instance of the configuration",
     .groups = GROUP_PICK},
    {.id = OPT_IMAGE, .name = "image", .argument = "IMAGE", .help = "what to start from", .groups = GROUP_CREATE},
    {.id = OPT_BLUEPRINT,
     .name = "blueprint",
     .argument = "NAME",
     .help = "start from a blueprint of the provider's",
     .groups = GROUP_CREATE},
    {.id = OPT_SNAPSHOT, .name = "snapshot", .argument = "ID", .help = "start from a snapshot", .groups = GROUP_CREATE},
    {.id = OPT_NAME,
     .name = "name",
     .argument = "NAME",
     .help = "a name for it",
     .groups = GROUP_CREATE | GROUP_SNAPSHOT},
    {.id = OPT_COMMENT,
     .name = "comment",
     .argument = "TEXT",
     .help = "with create: what it is for",
     .groups = GROUP_SNAPSHOT},
    {.id = OPT_LABEL,
     .name = "label",
     .letter = 'l',
     .argument = "KEY[=VALUE]",
     .help = "a label to give, or to look for; may be repeated",
     .repeat = 1,
     .groups = GROUP_CREATE | GROUP_LIST | GROUP_SNAPSHOT},
    {.id = OPT_LIFETIME,
     .name = "lifetime",
     .argument = "DURATION",
     .help = "the sandbox ends after this long (default: 1h, or as configured)",
     .groups = GROUP_CREATE},
    {.id = OPT_IDLE_TIMEOUT,
     .name = "idle-timeout",
     .argument = "DURATION",
     .help = "the sandbox ends when it was not used for this long",
     .groups = GROUP_CREATE},
    {.id = OPT_MEMORY,
     .name = "memory",
     .letter = 'm',
     .argument = "SIZE",
     .help = "limit of memory",
     .groups = GROUP_CREATE},
    {.id = OPT_CPUS, .name = "cpus", .argument = "NUMBER", .help = "limit of processors", .groups = GROUP_CREATE},
    {.id = OPT_DISK, .name = "disk", .argument = "SIZE", .help = "limit of disk space", .groups = GROUP_CREATE},
    {.id = OPT_NETWORK,
     .name = "network",
     .argument = "none|full",
     .help = "network of the sandbox (default: as the provider is configured)",
     .groups = GROUP_CREATE},
    {.id = OPT_NETWORK_ALLOW,
     .name = "network-allow",
     .argument = "HOST",
     .help = "let the sandbox reach this host only; may be repeated",
     .repeat = 1,
     .groups = GROUP_CREATE},
    {.id = OPT_OPTION,
     .name = "option",
     .letter = 'o',
     .argument = "KEY=VALUE",
     .help = "an option of the provider's own; may be repeated",
     .repeat = 1,
     .groups = GROUP_CREATE},
    {.id = OPT_REQUIRE,
     .name = "require",
     .argument = "CAPABILITY",
     .help = "refuse a provider that cannot do this; may be repeated",
     .repeat = 1,
     .groups = GROUP_CREATE},
    {.id = OPT_ENV,
     .name = "env",
     .letter = 'e',
     .argument = "NAME[=VALUE]",
     .help = "an environment variable; NAME alone takes the value it has here; may be repeated",
     .repeat = 1,
     .groups = GROUP_PROCESS},
    {.id = OPT_ENV_FILE,
     .name = "env-file",
     .argument = "FILE",
     .help = "environment variables from a file, one NAME=VALUE a line; may be repeated",
     .repeat = 1,
     .groups = GROUP_PROCESS},
    {.id = OPT_CWD,
     .name = "cwd",
     .letter = 'w',
     .argument = "DIRECTORY",
     .help = "working directory in the sandbox",
     .groups = GROUP_PROCESS},
    {.id = OPT_USER,
     .name = "user",
     .letter = 'u',
     .argument = "USER",
     .help = "user in the sandbox, by name or number",
     .groups = GROUP_PROCESS},
    {.id = OPT_TIMEOUT,
     .name = "timeout",
     .argument = "DURATION",
     .help = "kill the command after this long; 0 means never (default: the provider's)",
     .groups = GROUP_EXEC | GROUP_JOB | GROUP_SHELL},
    {.id = OPT_INTERACTIVE,
     .name = "interactive",
     .letter = 'i',
     .help = "pass standard input on, whatever it is",
     .groups = GROUP_EXEC | GROUP_SHELL},
    {.id = OPT_TTY,
     .name = "tty",
     .letter = 't',
     .help = "give the command a terminal",
     .groups = GROUP_EXEC | GROUP_SSH},
    {.id = OPT_KEY,
     .name = "key",
     .argument = "FILE",
     .help = "keep the key in this new file, and print the words for ssh instead of running it",
     .groups = GROUP_SSH},
    {.id = OPT_PUBLIC, .name = "public", .help = "with create: for everybody, without a token", .groups = GROUP_TUNNEL},
    {.id = OPT_MAX_OUTPUT,
     .name = "max-output",
     .argument = "SIZE",
     .help = "with --json: bytes kept of each stream (default: 10M)",
     .groups = GROUP_EXEC | GROUP_SHELL},
    {.id = OPT_RECURSIVE,
     .name = "recursive",
     .letter = 'r',
     .help = "copy a tree; needed only where SOURCE is - and a tar is meant",
     .groups = GROUP_COPY},
    {.id = OPT_FORCE,
     .name = "force",
     .letter = 'f',
     .help = "accepted and ignored: rm never asks",
     .groups = GROUP_REMOVE},
    {.id = OPT_STATE,
     .name = "state",
     .argument = "STATE",
     .help = "sandboxes in this state; may be repeated",
     .repeat = 1,
     .groups = GROUP_LIST | GROUP_WAIT},
    {.id = OPT_FOLLOW,
     .name = "follow",
     .letter = 'f',
     .help = "with logs: go on until the job ends",
     .groups = GROUP_LOGS},
    {.id = OPT_FROM,
     .name = "from",
     .argument = "OFFSET",
     .help = "with logs: begin behind so many bytes of the stream; needs --stream",
     .groups = GROUP_LOGS},
    {.id = OPT_STREAM,
     .name = "stream",
     .argument = "stdout|stderr",
     .help = "with logs: this stream alone, on standard output",
     .groups = GROUP_LOGS},
    {.id = OPT_KEEP,
     .name = "keep",
     .argument = "SIZE",
     .help = "with start: bytes kept of each stream, the last ones (default: the provider's)",
     .groups = GROUP_JOB},
    {.id = OPT_KEEP_STDIN,
     .name = "keep-stdin",
     .help = "with start: leave the job's standard input open for feed",
     .groups = GROUP_JOB},
    {.id = OPT_EOF, .name = "eof", .help = "with feed: close the job's input afterwards", .groups = GROUP_JOB},
    {.id = OPT_CLOSE, .name = "close", .help = "end the shell", .groups = GROUP_SHELL},
    {.id = OPT_FOR,
     .name = "for",
     .argument = "DURATION",
     .help = "the sandbox ends after this long from now",
     .groups = GROUP_KEEP},
    {.id = OPT_ALL, .name = "all", .help = "every sandbox that sbx made, in use or not", .groups = GROUP_SWEEP},
    {.id = OPT_DRY_RUN, .name = "dry-run", .help = "print only what would be removed", .groups = GROUP_SWEEP},
    {.id = OPT_OFFSET,
     .name = "offset",
     .argument = "LINES",
     .help = "with cat: leave out so many lines at the beginning",
     .groups = GROUP_FILES},
    {.id = OPT_LIMIT,
     .name = "limit",
     .argument = "LINES",
     .help = "with cat: at most so many lines (default: all; with --json 2000)",
     .groups = GROUP_FILES},
    {.id = OPT_OLD, .name = "old", .argument = "TEXT", .help = "with edit: what to replace", .groups = GROUP_FILES},
    {.id = OPT_OLD_FILE,
     .name = "old-file",
     .argument = "FILE",
     .help = "with edit: a local file that holds it; - is standard input",
     .groups = GROUP_FILES},
    {.id = OPT_NEW,
     .name = "new",
     .argument = "TEXT",
     .help = "with edit: what stands there then",
     .groups = GROUP_FILES},
    {.id = OPT_NEW_FILE,
     .name = "new-file",
     .argument = "FILE",
     .help = "with edit: a local file that holds it; - is standard input",
     .groups = GROUP_FILES},
    {.id = OPT_EVERY,
     .name = "all",
     .help = "with edit: every occurrence, where else there has to be exactly one",
     .groups = GROUP_FILES},
    {.id = OPT_INCLUDE,
     .name = "include",
     .argument = "PATTERN",
     .help = "with grep: only files whose name, or path when it holds a slash, matches",
     .groups = GROUP_FILES},
    {.id = OPT_MAX_COUNT,
     .name = "max-count",
     .argument = "LINES",
     .help = "with grep: at most so many lines in all (default: 10000)",
     .groups = GROUP_FILES},
    {.id = OPT_DEADLINE,
     .name = "deadline",
     .argument = "DURATION",
     .help = "give up on the provider after this long",
     .groups = GROUP_CALL},
    {.id = OPT_CONFIG,
     .name = "config",
     .argument = "FILE",
     .help = "read this configuration file alone",
     .groups = GROUP_GLOBAL},
    {.id = OPT_JSON, .name = "json", .help = "print one JSON object on standard output", .groups = GROUP_GLOBAL},
    {.id = OPT_QUIET,
     .name = "quiet",
     .letter = 'q',
     .help = "no progress and no warnings; of lists the names alone",
     .groups = GROUP_GLOBAL},
    {.id = OPT_VERBOSE, .name = "verbose", .help = "log what is done on standard error", .groups = GROUP_GLOBAL},
    {.id = OPT_NO_INPUT, .name = "no-input", .help = "never ask anything", .groups = GROUP_GLOBAL},
    {.id = OPT_HELP, .name = "help", .letter = 'h', .help = "explain the command", .groups = GROUP_GLOBAL},
    {.id = OPT_VERSION, .name = "version", .help = "print the version", .groups = 0},
};

const struct cmd_command *cmd_command_at(size_t i)
{
    return i < sizeof commands / sizeof commands[0] ? &commands[i] : NULL;
}

const struct cmd_option *cmd_option_at(size_t i)
{
    return i < sizeof options / sizeof options[0] ? &options[i] : NULL;
}

const struct cmd_command *cmd_find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

enum { LONGEST_TYPED = 32 };

/* Edits (one letter more, less, other, or two swapped) that lead from a to b; a large number for long words. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST_TYPED + 1];
    size_t la = strlen(a), lb = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    if (la > LONGEST_TYPED || lb > LONGEST_TYPED)
        return LONGEST_TYPED;
    memset(rows, 0, sizeof rows);
    for (size_t j = 0; j <= lb; j++)
        last[j] = j;
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[lb];
}

/* Keeps the nearer one; a beginning of at least two letters counts as near. */
static void consider(const char *name, const char *typed, const char **nearest, size_t *best)
{
    size_t length = strlen(typed);
    size_t d = length >= 2 && strncmp(name, typed, length) == 0 ? 1 : distance(name, typed);
    if (d < *best) {
        *best = d;
        *nearest = name;
    }
}

const char *cmd_nearest(const struct cmd_command *command, const char *typed)
{
    const char *nearest = NULL;
    size_t best = strlen(typed) <= 3 ? 2 : 3;
    for (size_t i = 0; command == NULL && i < sizeof commands / sizeof commands[0]; i++)
        consider(commands[i].name, typed, &nearest, &best);
    for (size_t i = 0; command != NULL && i < sizeof options / sizeof options[0]; i++)
        if ((options[i].groups & (command->groups | GROUP_GLOBAL)) != 0)
            consider(options[i].name, typed, &nearest, &best);
    return nearest;
}
