/* SPDX-License-Identifier: MIT
 *
 * runner.c - each test is a process with a time limit; however that ends, it is a verdict. What it made and did not
 * remove is removed by a further process.
 *
 * The process tells by lines on a pipe: P, F text, S text, B id (made), R id (removed).
 */
#include "conform/conform.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { LINES_MAX = 1 << 20, SWEEP_S = 60, RESULT_FD = 3, OUTPUT_FD = 4, LINE_SIZE = TEXT_SIZE + 8 };

/* --- in the process of the test ---------------------------------------------------------------------------------- */

static void tell(const struct run *run, char what, const char *text)
{
    char line[LINE_SIZE];
    int len = snprintf(line, sizeof line, "%c %s", what, text);
    len = len >= (int)sizeof line - 1 ? (int)sizeof line - 2 : len;
    for (int i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = '?';
    line[len] = '\n';
    (void)!write(run->result_fd, line, (size_t)len + 1);
}

static void tell_verdict(const struct run *run, char what, const char *format, va_list args)
    __attribute__((format(printf, 3, 0), noreturn));
static void tell_verdict(const struct run *run, char what, const char *format, va_list args)
{
    char text[TEXT_SIZE];
    (void)vsnprintf(text, sizeof text, format, args);
    tell(run, what, text);
    _exit(0);
}

void run_fail(const struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell_verdict(run, 'F', format, args);
}

void run_skip(const struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell_verdict(run, 'S', format, args);
}

void run_made(const struct run *run, const char *id)
{
    tell(run, 'B', id);
}

void run_removed(const struct run *run, const char *id)
{
    tell(run, 'R', id);
}

uint64_t run_random(struct run *run)
{
    uint64_t z = run->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The address tells whether something lent was used after its time: the runner knows where that lives. */
static void on_fault(int signo, siginfo_t *info, void *context)
{
    char line[32] = "A 0000000000000000\n";
    uintptr_t address = (uintptr_t)info->si_addr;
    (void)context;
    for (int i = 17; i > 1; i--, address >>= 4)
        line[i] = "0123456789abcdef"[address & 15];
    (void)!write(RESULT_FD, line, 19);
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
}

static void watch_faults(void)
{
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    (void)sigaction(SIGSEGV, &act, NULL);
    (void)sigaction(SIGBUS, &act, NULL);
}

/* Descriptors 0 to 2 lead nowhere but to a file that the runner looks at, 3 is the pipe, nothing else is open. */
static int take_descriptors(int result_fd, int output_fd)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int high[3] = {fcntl(null_fd, F_DUPFD_CLOEXEC, 10), fcntl(output_fd, F_DUPFD_CLOEXEC, 10),
                   fcntl(result_fd, F_DUPFD_CLOEXEC, 10)};
    if (high[0] < 0 || high[1] < 0 || high[2] < 0)
        return -1;
    if (dup2(high[0], 0) < 0 || dup2(high[1], 1) < 0 || dup2(high[1], 2) < 0 || dup3(high[2], RESULT_FD, O_CLOEXEC) < 0)
        return -1;
    if (fcntl(high[1], F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    /* Those above among them. */
    for (int fd = RESULT_FD + 1; fd < 256; fd++)
        (void)close(fd);
    return 0;
}

static void prepare(struct run *run)
{
    const struct rule *rule = run->rule;
    if (rule->needs >= NEEDS_OBJECT)
        object_open(run);
    if (rule->needs >= NEEDS_BACKEND)
        run->b = step_open(run, step_host(run));
    if (rule->needs >= NEEDS_BACKEND && rule->extension != NULL && !extension_offered(run, rule->extension))
        run_skip(run, "%s is not offered", rule->extension);
    if (rule->needs >= NEEDS_BOX)
        run->h = step_create(run, run->b);
    if (rule->needs >= NEEDS_BOX && rule->extension != NULL && !extension_offered(run, rule->extension))
        run_skip(run, "%s is not offered by a plain sandbox", rule->extension);
}

static void run_child(const struct subject *subject, const struct rule *rule, uint64_t seed, int result_fd,
                      int output_fd)
{
    struct run run = {.subject = subject, .rule = rule, .random = seed ^ rule->number, .result_fd = RESULT_FD};
    if (take_descriptors(result_fd, output_fd) != 0)
        _exit(90);
    watch_faults();
    (void)pthread_mutex_init(&run.log_lock, NULL);
    buf_init(&run.log, LINES_MAX);
    (void)snprintf(run.token, sizeof run.token, "%d.%llx", (int)getpid(), (unsigned long long)run_random(&run));
    prepare(&run);
    rule->test(&run);
    if (run.h != NULL)
        step_drop(&run, run.h);
    if (run.b != NULL)
        call_close(&run, run.b);
    tell(&run, 'P', "");
    _exit(0);
}

/* --- in the runner ------------------------------------------------------------------------------------------------ */

struct child {
    pid_t pid;
    int result_fd;
    int output_fd;
    int status;
    int late; /* it was ended at its limit */
    struct buf lines;
};

static void child_finish(struct child *child)
{
    if (child->result_fd >= 0)
        (void)close(child->result_fd);
    if (child->output_fd >= 0)
        (void)close(child->output_fd);
    buf_finish(&child->lines);
}

static int start(struct child *child, const struct subject *subject, const struct rule *rule, uint64_t seed)
{
    int ends[2];
    buf_init(&child->lines, LINES_MAX);
    child->output_fd = memfd_create("output", MFD_CLOEXEC);
    child->result_fd = -1;
    if (child->output_fd < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    child->result_fd = ends[0];
    (void)fflush(NULL);
    child->pid = fork();
    if (child->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_child(subject, rule, seed, ends[1], child->output_fd);
    }
    (void)close(ends[1]);
    return child->pid < 0 ? -1 : 0;
}

/* Reads what there is; 0 at the end. */
static int take_lines(struct child *child)
{
    char *space = buf_space(&child->lines, 4096);
    ssize_t n = space != NULL ? read(child->result_fd, space, 4096) : -1;
    if (n > 0)
        child->lines.len += (size_t)n;
    return n > 0;
}

/* The pipe's end is the process's end, unless something inherited it: so its exit counts too. */
static void collect(struct child *child, int64_t limit_ms)
{
    int64_t end = clock_ms() + limit_ms;
    int open_end = 1;
    while (waitpid(child->pid, &child->status, WNOHANG) == 0) {
        struct pollfd lines = {.fd = open_end ? child->result_fd : -1, .events = POLLIN};
        if (poll(&lines, 1, open_end ? 50 : 1) > 0)
            open_end = take_lines(child);
        if (clock_ms() <= end)
            continue;
        child->late = 1;
        (void)kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, &child->status, 0);
        break;
    }
    for (struct pollfd rest = {.fd = child->result_fd, .events = POLLIN}; open_end && poll(&rest, 1, 0) > 0;)
        open_end = take_lines(child);
}

/* The last line of this kind into text; how many there are. */
static unsigned find_line(struct child *child, char what, char text[TEXT_SIZE])
{
    unsigned count = 0;
    (void)buf_append(&child->lines, "", 0);
    for (const char *at = child->lines.data; at != NULL && *at != '\0';) {
        const char *end = strchrnul(at, '\n');
        if (at[0] == what) {
            (void)snprintf(text, TEXT_SIZE, "%.*s", (int)(end - at) - 2, at + 2);
            count++;
        }
        at = *end == '\n' ? end + 1 : end;
    }
    return count;
}

/* A word on a crash: the first line that the process printed, such as a sanitizer's. */
static void add_output(struct child *child, char text[TEXT_SIZE])
{
    char said[300];
    ssize_t n = pread(child->output_fd, said, sizeof said - 1, 0);
    size_t used = strlen(text);
    if (n <= 0)
        return;
    said[n] = '\0';
    const char *start_at = said + strspn(said, "=\n");
    (void)snprintf(text + used, TEXT_SIZE - used, "; it printed: %.*s", (int)strcspn(start_at, "\n"), start_at);
}

static void judge_crash(struct child *child, const struct subject *subject, struct outcome *out)
{
    char address[TEXT_SIZE] = "";
    uintptr_t at = 0;
    if (find_line(child, 'A', address) > 0)
        at = (uintptr_t)strtoull(address, NULL, 16);
    int signo = WIFSIGNALED(child->status) ? WTERMSIG(child->status) : 0;
    if (child->late)
        (void)snprintf(out->text, sizeof out->text, "not over after %u s", subject->limit_s);
    else if (at >= (uintptr_t)subject->arena && at < (uintptr_t)subject->arena + (size_t)CHUNK_COUNT * CHUNK_SIZE)
        (void)snprintf(out->text, sizeof out->text,
                       "something that was lent for a call was used after the call had returned (P8, P9, C14)");
    else if (signo != 0)
        (void)snprintf(out->text, sizeof out->text, "the process was ended by signal %d (%s) (P2)", signo,
                       strsignal(signo));
    else
        (void)snprintf(out->text, sizeof out->text, "the process ended by itself with code %d (P2)",
                       WEXITSTATUS(child->status));
    if (!child->late)
        add_output(child, out->text);
}

static void judge(struct child *child, const struct subject *subject, struct outcome *out)
{
    out->verdict = VERDICT_FAIL;
    if (find_line(child, 'F', out->text) > 0)
        return;
    if (find_line(child, 'S', out->text) > 0)
        out->verdict = VERDICT_SKIP;
    else if (find_line(child, 'P', out->text) > 0 && !child->late && WIFEXITED(child->status) &&
             WEXITSTATUS(child->status) == 0)
        out->verdict = VERDICT_PASS;
    else
        judge_crash(child, subject, out);
}

/* --- what was left behind ----------------------------------------------------------------------------------------- */

static void sweep_test(struct run *run)
{
    /* The id is handed over in the rule's text. */
    struct sbx_handle *h = NULL;
    struct call attach = {.run = run};
    if (call_attach(&attach, run->b, run->rule->text, &h) != SBX_OK)
        return;
    struct call remove_call = {.run = run, .deadline_ms = 30000};
    (void)call_remove(&remove_call, h);
    run->handle_ops.release(h);
}

static void sweep(const struct subject *subject, const char *id)
{
    const struct rule rule = {.needs = NEEDS_BACKEND, .name = "sweep", .text = id, .test = sweep_test};
    struct child child = {.pid = -1};
    if (start(&child, subject, &rule, 0) == 0)
        collect(&child, SWEEP_S * 1000);
    child_finish(&child);
}

static int sweep_all(struct child *child, const struct subject *subject)
{
    int swept = 0;
    (void)buf_append(&child->lines, "", 0);
    for (char *at = child->lines.data; at != NULL && *at != '\0'; at = strchrnul(at, '\n') + 1) {
        char id[SBX_ID_SIZE + 2] = "";
        char removed[SBX_ID_SIZE + 8];
        if (at[0] == 'B')
            (void)snprintf(id, sizeof id, "%.*s", (int)(strcspn(at, "\n") - 2), at + 2);
        (void)snprintf(removed, sizeof removed, "\nR %s\n", id);
        if (id[0] != '\0' && strstr(at, removed) == NULL) {
            sweep(subject, id);
            swept++;
        }
        if (strchr(at, '\n') == NULL)
            break;
    }
    return swept;
}

int runner_run(const struct subject *subject, const struct rule *rule, uint64_t seed, struct outcome *out)
{
    struct child child = {.pid = -1};
    int64_t started = clock_ms();
    *out = (struct outcome){.rule = rule, .seed = seed};
    int failed = start(&child, subject, rule, seed);
    if (failed == 0) {
        collect(&child, (int64_t)subject->limit_s * 1000);
        judge(&child, subject, out);
        out->elapsed_ms = (unsigned)(clock_ms() - started);
        out->swept = sweep_all(&child, subject);
    }
    child_finish(&child);
    return failed;
}

/* --- what the plugin tells ---------------------------------------------------------------------------------------- */

static void offers_test(struct run *run)
{
    for (const struct capability *one = object_capabilities; one->id != NULL; one++)
        if (extension_offered(run, one->id))
            tell(run, 'O', one->id);
}

static void secrets_test(struct run *run)
{
    for (const struct sbx_config_key *const *key = run->plugin.config_keys; key != NULL && *key != NULL; key++)
        if (((*key)->flags & SBX_KEY_SECRET) != 0 && (*key)->name != NULL)
            tell(run, 'O', (*key)->name);
}

static int ask(const struct subject *subject, const struct rule *rule, struct buf *out)
{
    struct child child = {.pid = -1};
    int failed = start(&child, subject, rule, 0);
    if (failed == 0)
        collect(&child, (int64_t)subject->limit_s * 1000);
    (void)buf_append(&child.lines, "", 0);
    for (const char *at = child.lines.data; failed == 0 && at != NULL && *at != '\0';) {
        size_t len = strcspn(at, "\n");
        if (at[0] == 'O')
            failed = buf_format(out, "%.*s\n", (int)len - 2, at + 2);
        at += at[len] == '\n' ? len + 1 : len;
    }
    child_finish(&child);
    return failed;
}

int runner_offers(const struct subject *subject, struct buf *out)
{
    static const struct rule rule = {.needs = NEEDS_BACKEND, .name = "offers", .test = offers_test};
    return ask(subject, &rule, out);
}

int runner_secrets(const struct subject *subject, struct buf *out)
{
    static const struct rule rule = {.needs = NEEDS_OBJECT, .name = "secrets", .test = secrets_test};
    return ask(subject, &rule, out);
}
