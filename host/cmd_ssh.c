/* SPDX-License-Identifier: MIT
 *
 * cmd_ssh.c - sbxctl ssh: the ssh of this machine, with a key that the provider makes for this one use. The key is kept
 * in memory and reaches ssh as /proc/PID/fd/N; a file holds it only when that is asked for.
 */
#include "host/cmd.h"
#include "host/json.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include "sbx_access.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { COMMAND_MAX = 1 << 20, WORD_MAX = 70000, WORDS = 24 };

struct session {
    struct cmd *c;
    int key_fd;
    int cause; /* errno of what went wrong here */
    uint32_t port;
    struct buf identity; /* IdentityFile="...": where ssh finds the key */
    struct buf proxy;    /* ProxyCommand=..., or empty */
    struct buf host;
    struct buf user;
    struct buf command; /* one text for the shell there, or empty */
};

static void session_init(struct session *s, struct cmd *c)
{
    *s = (struct session){.c = c, .key_fd = -1};
    buf_init(&s->identity, WORD_MAX);
    buf_init(&s->proxy, WORD_MAX);
    buf_init(&s->host, WORD_MAX);
    buf_init(&s->user, WORD_MAX);
    buf_init(&s->command, COMMAND_MAX);
}

static void session_finish(struct session *s)
{
    if (s->key_fd >= 0)
        (void)close(s->key_fd);
    buf_finish(&s->identity);
    buf_finish(&s->proxy);
    buf_finish(&s->host);
    buf_finish(&s->user);
    buf_finish(&s->command);
}

/* As one word of a POSIX shell. */
static void quote(struct buf *out, const char *word)
{
    (void)buf_text(out, "'");
    for (; *word != 0; word++)
        (void)buf_append(out, *word == '\'' ? "'\\''" : word, *word == '\'' ? 4 : 1);
    (void)buf_text(out, "'");
}

/* --- the key ------------------------------------------------------------------------------------------------------ */

/* The option, and not -i: what -i cannot find is dropped, and ssh then tries the user's own keys. An absolute name in
 * quotes means itself, but for what stands behind a %. */
static void name_key(struct session *s, const char *path)
{
    (void)buf_text(&s->identity, "IdentityFile=\"");
    for (; *path != 0; path++)
        (void)buf_append(&s->identity, *path == '%' ? "%%" : path, *path == '%' ? 2 : 1);
    (void)buf_text(&s->identity, "\"");
}

static int check_key(struct session *s)
{
    struct cmd *c = s->c;
    const char *path = c->value[OPT_KEY];
    CLEANUP_FREE char *here = *path == '/' ? strdup("") : getcwd(NULL, 0);
    CLEANUP_BUF struct buf whole;
    buf_init(&whole, WORD_MAX);
    if (*path == 0)
        return cmd_usage(c, "option '--key' names no file");
    if (here == NULL)
        return cmd_own(c, NULL, "system", "the directory: %s", strerror(errno));
    (void)buf_format(&whole, "%s%s%s", here, *path == '/' ? "" : "/", path);
    if (whole.failed != 0)
        return cmd_no_memory(c);
    for (const char *p = whole.data; *p != 0; p++)
        if (strchr("\"\\$", *p) != NULL || (unsigned char)*p < ' ')
            return cmd_usage(c, "--key: ssh takes no name with \", \\, $ or a control character in it: '%s'",
                             whole.data);
    name_key(s, whole.data);
    return s->identity.failed == 0 ? 0 : cmd_no_memory(c);
}

/* A place that nobody else reads, before there is anything to put there. */
static int open_key(struct session *s)
{
    struct cmd *c = s->c;
    const char *path = c->value[OPT_KEY];
    if (path != NULL) {
        s->key_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (s->key_fd < 0)
            return cmd_own(c, NULL, "file", "%s: %s", path, strerror(errno));
    } else {
        char name[64];
        s->key_fd = memfd_create("sbx-ssh-key", MFD_CLOEXEC);
        if (s->key_fd < 0 || fchmod(s->key_fd, 0600) != 0)
            return cmd_own(c, NULL, "system", "no place for the key: %s", strerror(errno));
        (void)snprintf(name, sizeof name, "/proc/%d/fd/%d", (int)getpid(), s->key_fd);
        name_key(s, name);
    }
    return s->identity.failed == 0 ? 0 : cmd_no_memory(c);
}

static int write_all(int fd, const char *text, size_t len)
{
    for (ssize_t n; len > 0; text += n, len -= (size_t)n) {
        n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return errno;
        n = n < 0 ? 0 : n;
    }
    return 0;
}

/* ssh reads no key whose last line has no end. */
static void take(void *user, const struct sbx_ssh_login *login)
{
    struct session *s = user;
    size_t len = strlen(login->private_key);
    s->cause = write_all(s->key_fd, login->private_key, len);
    if (s->cause == 0 && len > 0 && login->private_key[len - 1] != '\n')
        s->cause = write_all(s->key_fd, "\n", 1);
    s->port = login->port;
    (void)buf_text(&s->host, login->host);
    (void)buf_text(&s->user, login->user);
    if (login->proxy_command != NULL)
        (void)buf_format(&s->proxy, "ProxyCommand=%s", login->proxy_command);
}

static int make_key(struct session *s, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    if (sbx_ssh_key_create(box, &s->c->call, take, s, &error) != SBX_OK)
        return cmd_fail(s->c, sbx_id(box), &error);
    if (s->cause != 0)
        return cmd_own(s->c, sbx_id(box), "file", "the key: %s", strerror(s->cause));
    return s->host.failed + s->user.failed + s->proxy.failed == 0 ? 0 : cmd_no_memory(s->c);
}

/* --- ssh ---------------------------------------------------------------------------------------------------------- */

/* No configuration of the user's: it may hand an agent, a display or a port to whoever is in the sandbox. The host key
 * is the sandbox's own affair: it is taken when it is first seen, and must stay the same. */
static void words_of(const struct session *s, char port[16], const char *words[WORDS])
{
    static const char *const fixed[] = {"ssh",
                                        "-F",
                                        "none",
                                        "-o",
                                        "BatchMode=yes",
                                        "-o",
                                        "IdentitiesOnly=yes",
                                        "-o",
                                        "IdentityAgent=none",
                                        "-o",
                                        "StrictHostKeyChecking=accept-new"};
    size_t n = sizeof fixed / sizeof fixed[0];
    memcpy(words, fixed, sizeof fixed);
    (void)snprintf(port, 16, "%u", s->port);
    words[n++] = "-o";
    words[n++] = s->identity.data;
    if (s->proxy.len > 0) {
        words[n++] = "-o";
        words[n++] = s->proxy.data;
    }
    words[n++] = "-p";
    words[n++] = port;
    words[n++] = "-l";
    words[n++] = s->user.data;
    if (cmd_has(s->c, OPT_TTY))
        words[n++] = "-t";
    words[n++] = s->host.data;
    if (s->command.len > 0)
        words[n++] = s->command.data;
    words[n] = NULL;
}

/* Hands every signal of ours on until it has ended; the exit code. */
static int wait_ssh(const struct cmd *c, pid_t pid)
{
    CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = c->signal_fd, .events = POLLIN}};
    struct signalfd_siginfo info;
    int how = 0;
    while (fd >= 0 && fds[0].revents == 0) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents == 0 && read(c->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
            (void)kill(pid, (int)info.ssi_signo);
    }
    while (waitpid(pid, &how, 0) < 0)
        if (errno != EINTR)
            return EXIT_FAILED;
    return WIFSIGNALED(how) ? EXIT_SIGNAL + WTERMSIG(how) : WEXITSTATUS(how);
}

static int no_ssh(struct cmd *c)
{
    return cmd_own(c, NULL, "no_ssh", "there is no program ssh here; install the client of OpenSSH");
}

static int run_ssh(struct session *s)
{
    char port[16];
    const char *words[WORDS];
    posix_spawnattr_t attr;
    sigset_t mask, usual;
    pid_t pid = 0;
    words_of(s, port, words);
    signals_before(s->c, &mask);
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGPIPE);
    int cause = posix_spawnattr_init(&attr);
    if (cause == 0) {
        (void)posix_spawnattr_setsigmask(&attr, &mask);
        (void)posix_spawnattr_setsigdefault(&attr, &usual);
        (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        cause = posix_spawnp(&pid, words[0], NULL, &attr, (char *const *)(uintptr_t)words, environ);
        (void)posix_spawnattr_destroy(&attr);
    }
    if (cause == ENOENT)
        return no_ssh(s->c);
    if (cause != 0)
        return cmd_own(s->c, NULL, "system", "ssh: %s", strerror(cause));
    return wait_ssh(s->c, pid);
}

/* Where execvp would look. */
static int is_there(const char *program)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];
    for (const char *s = path == NULL ? "/bin:/usr/bin" : path;; s++) {
        size_t len = strcspn(s, ":");
        int n = snprintf(file, sizeof file, "%.*s%s%s", (int)len, s, len > 0 ? "/" : "", program);
        if (n > 0 && (size_t)n < sizeof file && access(file, X_OK) == 0)
            return 1;
        s += len;
        if (*s == 0)
            return 0;
    }
}

/* --- only the words ----------------------------------------------------------------------------------------------- */

static int print_ssh(struct session *s, const sbx_sandbox *box)
{
    CLEANUP_BUF struct buf line;
    char port[16];
    const char *words[WORDS];
    struct json j;
    buf_init(&line, 2 * COMMAND_MAX);
    words_of(s, port, words);
    for (size_t i = 0; words[i] != NULL; i++) {
        const char *end = words[i] + strspn(words[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                                      "-_=./:,@");
        (void)buf_text(&line, i == 0 ? "" : " ");
        if (*end == 0)
            (void)buf_text(&line, words[i]);
        else
            quote(&line, words[i]);
    }
    if (line.failed != 0)
        return cmd_no_memory(s->c);
    if (!cmd_has(s->c, OPT_JSON)) {
        (void)printf("%s\n", line.data);
        return EXIT_FINE;
    }
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    json_text(&j, j.root, "host", s->host.data);
    json_number(&j, j.root, "port", s->port);
    json_text(&j, j.root, "user", s->user.data);
    json_text(&j, j.root, "key", s->c->value[OPT_KEY]);
    json_text(&j, j.root, "proxy_command", s->proxy.len > 0 ? strchr(s->proxy.data, '=') + 1 : NULL);
    json_text(&j, j.root, "command", line.data);
    return json_print(s->c, &j, EXIT_FINE);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int check(struct session *s)
{
    struct cmd *c = s->c;
    int code = cmd_has(c, OPT_KEY) ? check_key(s) : 0;
    if (code != 0)
        return code;
    if (cmd_has(c, OPT_JSON) && !cmd_has(c, OPT_KEY))
        return cmd_usage(c, "a session has no JSON form; give --key FILE, or leave --json out");
    for (size_t i = 1; i < c->arg_count; i++) {
        (void)buf_text(&s->command, i == 1 ? "" : " ");
        quote(&s->command, c->args[i]);
    }
    return s->command.failed == 0 ? 0 : cmd_usage(c, "the command is over 1 MiB");
}

static int log_in(struct session *s, sbx_sandbox *box)
{
    /* Nobody takes a key back that was made for nothing. */
    if (!cmd_has(s->c, OPT_KEY) && !is_there("ssh"))
        return no_ssh(s->c);
    int code = open_key(s);
    if (code != 0)
        return code;
    code = make_key(s, box);
    if (code != 0 && cmd_has(s->c, OPT_KEY))
        (void)unlink(s->c->value[OPT_KEY]);
    if (code != 0)
        return code;
    return cmd_has(s->c, OPT_KEY) ? print_ssh(s, box) : run_ssh(s);
}

int cmd_ssh(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    CLEANUP(session_finish) struct session s;
    session_init(&s, c);
    int code = check(&s);
    if (code == 0)
        code = cmd_open_box(c, c->args[0], &ctx, &box);
    return code == 0 ? log_in(&s, box) : code;
}
