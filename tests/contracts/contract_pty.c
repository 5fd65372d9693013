/* SPDX-License-Identifier: MIT
 *
 * contract_pty: runs a command under a pseudo-terminal and holds the dialogue that standard input describes.
 *
 *   contract_pty SECONDS COMMAND...
 *
 * One step a line:
 *   expect TEXT    wait until TEXT comes, after what earlier steps consumed
 *   never TEXT     TEXT has not come anywhere so far; checked again at the end
 *   send TEXT      type it; \r \n \t \\ \xNN
 *   size R C       set the size before anything else
 *   resize R C     set the size and send SIGWINCH, as a terminal does
 *   mode raw|cooked   wait until the terminal is in that mode
 *   sleep MS       let time pass, reading
 *   kill NAME      send TERM, INT, HUP or KILL to the command
 *   hangup         close the terminal
 *   exit N|any     wait for the end; the exit status has to be N
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

enum { OUTPUT_MAX = 1 << 20, STEP_MAX = 1024, STEPS_MAX = 64 };

struct session {
    char *out; /* all that was printed, with a NUL */
    size_t len;
    size_t seen; /* consumed by expect */
    int master;
    int keep; /* the other end, so that its mode can be asked after the command's end */
    pid_t pid;
    int64_t end_ms;
    char never[STEP_MAX];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads for at most `ms`; 0 at the end of the output. */
static int pump(struct session *s, int ms)
{
    struct pollfd p = {.fd = s->master, .events = POLLIN};
    if (s->master < 0 || poll(&p, 1, ms) <= 0)
        return 1;
    char buf[4096];
    ssize_t n = read(s->master, buf, sizeof buf);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    size_t room = OUTPUT_MAX - 1 - s->len;
    size_t take = (size_t)n < room ? (size_t)n : room;
    memcpy(s->out + s->len, buf, take);
    for (size_t i = 0; i < take; i++)
        if (s->out[s->len + i] == '\0')
            s->out[s->len + i] = '.';
    s->len += take;
    s->out[s->len] = '\0';
    return 1;
}

static int complain(const struct session *s, const char *step, const char *why)
{
    size_t from = s->len > 1500 ? s->len - 1500 : 0;
    fprintf(stderr, "step '%s': %s\n--- the screen:\n%s\n---\n", step, why, s->out + from);
    return 1;
}

static int step_expect(struct session *s, const char *text)
{
    while (now_ms() < s->end_ms) {
        const char *hit = strstr(s->out + s->seen, text);
        if (hit != NULL) {
            s->seen = (size_t)(hit - s->out) + strlen(text);
            return 0;
        }
        if (!pump(s, 50))
            return strstr(s->out + s->seen, text) == NULL;
    }
    return 1;
}

static size_t unescape(const char *text, char *to)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        if (*text != '\\') {
            to[n++] = *text;
            continue;
        }
        text++;
        if (*text == 'x' && text[1] != '\0' && text[2] != '\0') {
            char hex[3] = {text[1], text[2], '\0'};
            to[n++] = (char)strtol(hex, NULL, 16);
            text += 2;
        } else if (*text == '\0') {
            break;
        } else {
            to[n++] = *text == 'r' ? '\r' : *text == 'n' ? '\n' : *text == 't' ? '\t' : *text;
        }
    }
    return n;
}

static int step_send(struct session *s, const char *text)
{
    char bytes[STEP_MAX];
    size_t n = unescape(text, bytes);
    return write(s->master, bytes, n) != (ssize_t)n;
}

static int step_size(struct session *s, const char *text)
{
    struct winsize size = {0};
    if (sscanf(text, "%hu %hu", &size.ws_row, &size.ws_col) != 2)
        return 1;
    return ioctl(s->master, TIOCSWINSZ, &size) != 0;
}

static int step_mode(struct session *s, const char *text)
{
    int want_raw = strcmp(text, "raw") == 0;
    while (now_ms() < s->end_ms) {
        struct termios mode;
        if (tcgetattr(s->keep, &mode) == 0 && ((mode.c_lflag & (tcflag_t)(ICANON | ECHO)) == 0) == want_raw)
            return 0;
        pump(s, 10);
    }
    return 1;
}

static int step_sleep(struct session *s, const char *text)
{
    int64_t end = now_ms() + strtol(text, NULL, 10);
    while (now_ms() < end)
        if (!pump(s, 10))
            usleep(10000);
    return 0;
}

static int step_kill(struct session *s, const char *text)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"HUP", SIGHUP}, {"KILL", SIGKILL}};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcmp(text, signals[i].name) == 0)
            return kill(s->pid, signals[i].number) != 0;
    return 1;
}

static int step_hangup(struct session *s, const char *text)
{
    (void)text;
    close(s->master);
    close(s->keep);
    s->master = -1;
    s->keep = -1;
    return 0;
}

static int step_exit(struct session *s, const char *text)
{
    int status, more = 1;
    while (now_ms() < s->end_ms) {
        more = more && pump(s, 20);
        pid_t got = waitpid(s->pid, &status, WNOHANG);
        if (got == s->pid) {
            for (int i = 0; i < 10 && pump(s, 5); i++)
                continue;
            s->pid = 0;
            int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            if (strcmp(text, "any") == 0 || code == strtol(text, NULL, 10))
                return 0;
            fprintf(stderr, "exit status %d\n", code);
            return 1;
        }
        if (!more || s->master < 0)
            usleep(10000);
    }
    return 1;
}

static int step_never(struct session *s, const char *text)
{
    snprintf(s->never, sizeof s->never, "%s", text);
    return strstr(s->out, text) != NULL;
}

static const struct {
    const char *name;
    int (*run)(struct session *s, const char *text);
} steps[] = {{"expect", step_expect}, {"send", step_send},   {"size", step_size}, {"resize", step_size},
             {"mode", step_mode},     {"sleep", step_sleep}, {"kill", step_kill}, {"hangup", step_hangup},
             {"exit", step_exit},     {"never", step_never}};

static int run_step(struct session *s, char *line)
{
    char *text = strchr(line, ' ');
    size_t name = text == NULL ? strlen(line) : (size_t)(text - line);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (strlen(steps[i].name) != name || strncmp(line, steps[i].name, name) != 0)
            continue;
        if (steps[i].run(s, text == NULL ? "" : text + 1) != 0)
            return complain(s, line, "did not happen");
        return 0;
    }
    return complain(s, line, "no such step");
}

static int start(struct session *s, char **argv, const struct winsize *size)
{
    if (openpty(&s->master, &s->keep, NULL, NULL, size) != 0)
        return 1;
    fcntl(s->master, F_SETFD, FD_CLOEXEC);
    fcntl(s->keep, F_SETFD, FD_CLOEXEC);
    s->pid = fork();
    if (s->pid == 0) {
        login_tty(s->keep);
        for (int number = 1; number < NSIG; number++)
            signal(number, SIG_DFL);
        execvp(argv[0], argv);
        _exit(127);
    }
    return s->pid < 0;
}

static int dialogue(struct session *s, char lines[][STEP_MAX], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (lines[i][0] != '\0' && run_step(s, lines[i]) != 0)
            return 1;
    if (s->never[0] != '\0' && strstr(s->out, s->never) != NULL)
        return complain(s, s->never, "came");
    return 0;
}

int main(int argc, char **argv)
{
    char lines[STEPS_MAX][STEP_MAX];
    struct session s = {.master = -1, .keep = -1};
    size_t count = 0, first = 0;
    if (argc < 3 || (s.out = calloc(1, OUTPUT_MAX)) == NULL)
        return 2;
    for (; count < STEPS_MAX && fgets(lines[count], STEP_MAX, stdin) != NULL; count++)
        lines[count][strcspn(lines[count], "\n")] = '\0';
    s.end_ms = now_ms() + strtol(argv[1], NULL, 10) * 1000;
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (count > 0 && sscanf(lines[0], "size %hu %hu", &size.ws_row, &size.ws_col) == 2)
        first = 1;
    if (start(&s, argv + 2, &size) != 0) {
        perror("contract_pty");
        return 2;
    }
    int bad = dialogue(&s, lines + first, count - first);
    if (s.pid > 0) {
        kill(s.pid, SIGKILL);
        waitpid(s.pid, NULL, 0);
    }
    free(s.out);
    return bad;
}
