/* SPDX-License-Identifier: MIT
 *
 * cmd_report.c - how sbxctl tells what went wrong: one fixed line on stderr, with --json also one object on stdout, and
 * an exit code that never changes.
 */
#include "host/cmd.h"
#include "host/json.h"

#include "base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

/* A character that a terminal could take for an order: C0, DEL, and the C1 controls in UTF-8. */
static size_t steering(const unsigned char *s)
{
    if (s[0] < 0x20 || s[0] == 0x7f)
        return 1;
    return s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f ? 2 : 0;
}

void print_safe(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s != 0) {
        size_t bad = steering(s);
        (void)fputc(bad > 0 ? '?' : *s, out);
        s += bad > 0 ? bad : 1;
    }
}

static const char *command_name(const struct cmd *c)
{
    return c->command == NULL ? NULL : c->command->name;
}

/* "sbxctl: exec local/3f2a: message". */
static void print_line(const struct cmd *c, const char *subject, const char *word, const char *message)
{
    (void)fputs("sbxctl: ", stderr);
    if (command_name(c) != NULL)
        (void)fprintf(stderr, "%s%s", command_name(c), subject == NULL ? ": " : " ");
    if (subject != NULL) {
        print_safe(stderr, subject);
        (void)fputs(": ", stderr);
    }
    if (word != NULL)
        (void)fprintf(stderr, "%s%s", word, *message == 0 ? "" : ": ");
    print_safe(stderr, message);
    (void)fputc('\n', stderr);
}

struct told {
    const char *subject;
    const char *code;    /* for machines */
    const char *word;    /* fixed word in front of the message; may be NULL */
    const char *message; /* for people */
    const struct sbx_error *error;
    struct json *answer; /* that the failure is added to; NULL: none */
    int exit_code;
};

static int tell(struct cmd *c, const struct told *t)
{
    struct json j;
    print_line(c, t->subject, t->word, t->message);
    if (!cmd_has(c, OPT_JSON))
        return t->exit_code;
    if (t->answer != NULL) {
        j = *t->answer;
        *t->answer = (struct json){.root = NULL};
        json_replace_flag(&j, j.root, "ok", 0);
    } else {
        json_init(&j);
        json_flag(&j, j.root, "ok", 0);
    }
    struct cJSON *e = json_object(&j, j.root, "error");
    json_text(&j, e, "code", t->code);
    json_text(&j, e, "message", *t->message == 0 ? t->word : t->message);
    json_number(&j, e, "exit_code", t->exit_code);
    json_text(&j, e, "command", command_name(c));
    json_text(&j, e, "subject", t->subject);
    if (t->error != NULL) {
        json_flag(&j, e, "retryable", (t->error->flags & SBX_ERR_RETRYABLE) != 0);
        json_flag(&j, e, "maybe_applied", (t->error->flags & SBX_ERR_MAYBE_APPLIED) != 0);
        json_text(&j, e, "resource_id", t->error->resource_id[0] == 0 ? NULL : t->error->resource_id);
        json_text(&j, e, "provider_code", t->error->provider_code[0] == 0 ? NULL : t->error->provider_code);
        json_number(&j, e, "provider_status", t->error->provider_status);
    }
    return json_print(c, &j, t->exit_code);
}

int cmd_usage(struct cmd *c, const char *format, ...)
{
    char message[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(message, sizeof message, format, list);
    va_end(list);
    return tell(c, &(struct told){.code = "usage", .message = message, .exit_code = EXIT_FAILED});
}

int cmd_own(struct cmd *c, const char *subject, const char *code, const char *format, ...)
{
    char message[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(message, sizeof message, format, list);
    va_end(list);
    return tell(c, &(struct told){.subject = subject, .code = code, .message = message, .exit_code = EXIT_FAILED});
}

int cmd_no_memory(struct cmd *c)
{
    return cmd_own(c, NULL, sbx_status_name(SBX_E_NO_MEMORY), "no memory");
}

static void note(const struct cmd *c, const char *subject, const char *format, va_list list)
    __attribute__((format(printf, 3, 0)));
static void note(const struct cmd *c, const char *subject, const char *format, va_list list)
{
    char message[512];
    (void)vsnprintf(message, sizeof message, format, list);
    print_line(c, subject, NULL, message);
}

void cmd_note(const struct cmd *c, const char *subject, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (!cmd_has(c, OPT_QUIET))
        note(c, subject, format, list);
    va_end(list);
}

void cmd_note_failure(const struct cmd *c, const char *subject, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    note(c, subject, format, list);
    va_end(list);
}

/* The message without the library's own "VERB SUBJECT: ", which the line has already. */
static const char *without_prefix(const char *message, const char *subject)
{
    size_t verb = strspn(message, "abcdefghijklmnopqrstuvwxyz_-");
    size_t length = subject == NULL ? 0 : strlen(subject);
    if (length == 0 || verb == 0 || message[verb] != ' ' || strncmp(message + verb + 1, subject, length) != 0)
        return message;
    return strncmp(message + verb + 1 + length, ": ", 2) == 0 ? message + verb + 1 + length + 2 : message;
}

/* As above, for a message that names the sandbox where the subject is ID:PATH. */
static const char *bare_message(const struct sbx_error *error, const char *subject)
{
    char id[SBX_ID_SIZE];
    const char *colon = subject == NULL ? NULL : strchr(subject, ':');
    const char *message = without_prefix(error->message, subject);
    if (message != error->message || colon == NULL || (size_t)(colon - subject) >= sizeof id)
        return message;
    (void)snprintf(id, sizeof id, "%.*s", (int)(colon - subject), subject);
    return without_prefix(error->message, id);
}

static int is_file_code(sbx_status code)
{
    return code == SBX_E_NOT_FOUND || code == SBX_E_PERMISSION || code == SBX_E_IS_DIR || code == SBX_E_BAD_PATH;
}

static int fail_cancelled(struct cmd *c, const struct told *cancelled)
{
    struct told t = *cancelled;
    char message[64];
    signals_take(c);
    if (c->signalled != 0) {
        (void)snprintf(message, sizeof message, "interrupted by %s", signal_text(c->signalled));
        t.message = message;
        t.exit_code = EXIT_SIGNAL + c->signalled;
    }
    return tell(c, &t);
}

int cmd_fail(struct cmd *c, const char *subject, const struct sbx_error *error)
{
    return cmd_fail_beside(c, subject, error, NULL);
}

int cmd_fail_plainly(struct cmd *c, const char *subject, const struct sbx_error *error)
{
    return tell(c, &(struct told){.subject = subject,
                                  .code = sbx_status_name(error->code),
                                  .message = bare_message(error, subject),
                                  .error = error,
                                  .exit_code = EXIT_FAILED});
}

int cmd_fail_beside(struct cmd *c, const char *subject, const struct sbx_error *error, struct json *answer)
{
    char message[sizeof error->message + sizeof error->resource_id + 64];
    struct told t = {.subject = subject,
                     .code = sbx_status_name(error->code),
                     .message = bare_message(error, subject),
                     .error = error,
                     .answer = answer,
                     .exit_code = EXIT_FAILED};
    switch (error->code) {
    case SBX_E_TIMEOUT:
        t.message = "timed out";
        t.exit_code = EXIT_TIMED_OUT;
        break;
    case SBX_E_CANCELLED:
        return fail_cancelled(c, &t);
    case SBX_E_GONE:
        t.word = "no such sandbox";
        break;
    case SBX_E_STATE:
        t.word = "not running";
        break;
    case SBX_E_UNKNOWN:
        (void)snprintf(message, sizeof message, "%s; the outcome is unknown%s%s", t.message,
                       error->resource_id[0] == 0 ? "" : ", ask about ", error->resource_id);
        t.message = message;
        break;
    default:
        if (subject != NULL && strchr(subject, ':') != NULL && is_file_code(error->code))
            t.word = t.code;
        break;
    }
    if (t.word != NULL && strncmp(t.message, t.word, strlen(t.word)) == 0)
        t.word = NULL;
    return tell(c, &t);
}

int cmd_fail_sandbox(struct cmd *c, const char *subject, const struct sbx_error *error)
{
    struct told t = {.subject = subject,
                     .code = "no_such_sandbox",
                     .message = "no such sandbox",
                     .error = error,
                     .exit_code = EXIT_FAILED};
    return error->code == SBX_E_NOT_FOUND || error->code == SBX_E_GONE ? tell(c, &t) : cmd_fail(c, subject, error);
}

/* What reads our output went away; known also when the write that failed is long over. */
static int reader_is_gone(int os_errno)
{
    struct pollfd out = {.fd = 1, .events = POLLOUT};
    return os_errno == EPIPE || (poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0);
}

int cmd_close_output(struct cmd *c, int code)
{
    int bad = ferror(stdout);
    int saved = 0;
    errno = 0;
    if (fflush(stdout) != 0) {
        bad = 1;
        saved = errno;
    }
    if (!bad)
        return code;
    if (reader_is_gone(saved))
        return EXIT_SIGNAL + 13;
    clearerr(stdout);
    c->value[OPT_JSON] = NULL;
    return cmd_own(c, NULL, "output", "standard output: %s", saved == 0 ? "write error" : strerror(saved));
}

static const char *const states[] = {
    [SBX_STATE_UNKNOWN] = "unknown",       [SBX_STATE_PENDING] = "pending",     [SBX_STATE_RUNNING] = "running",
    [SBX_STATE_SUSPENDING] = "suspending", [SBX_STATE_SUSPENDED] = "suspended", [SBX_STATE_RESUMING] = "resuming",
    [SBX_STATE_STOPPED] = "stopped",       [SBX_STATE_FAILED] = "failed",
};
enum { STATE_COUNT = sizeof states / sizeof states[0] };

const char *state_name(int32_t state)
{
    return state >= 0 && state < STATE_COUNT ? states[state] : "unknown";
}

int state_number(const char *name)
{
    for (int i = 0; i < STATE_COUNT; i++)
        if (strcmp(states[i], name) == 0)
            return i;
    return -1;
}

void time_text(int64_t ms, char *out, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    out[0] = 0;
    if (ms != 0 && gmtime_r(&seconds, &parts) != NULL && strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        out[0] = 0;
}

int cmd_fail_one(struct cmd *c, const char *subject, const struct sbx_error *error, int code)
{
    if (code == EXIT_FINE)
        return cmd_fail(c, subject, error);
    cmd_note_failure(c, subject, "%s", error->message);
    return code;
}
