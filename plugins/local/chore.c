/* SPDX-License-Identifier: MIT
 *
 * chore.c - see chore.h. The program tells what came of it over a pipe, and ends when our end of another one is closed.
 */
#include "plugins/local/chore.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "guest/wire.h"
#include "plugins/local/fds.h"
#include "plugins/local/launch.h"

#include <fcntl.h>
#include <stdio.h>

enum { REPORT = 1024, ARGS = 2 + 2 * (CHORE_PAIRS + 3) + 1, LEAVE_MS = 5000 };

struct run {
    int report[2];
    int lifeline[2];
    int program;
    int null_fd;
    char numbers[CHORE_PAIRS + 3][32];
    char *argv[ARGS];
    size_t argc;
    size_t used;
    int keep[2 * CHORE_PAIRS + 2];
    size_t kept;
    unsigned char said[REPORT];
    size_t said_len;
};

static void run_finish(struct run *r)
{
    int *const fds[] = {&r->report[0], &r->report[1], &r->lifeline[0], &r->lifeline[1], &r->program, &r->null_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (*fds[i] >= 0)
            (void)close(steal_fd(fds[i]));
}

static sbx_status run_open(struct run *r, const struct sbx_backend *b, const struct chore *chore, struct sbx_call *call)
{
    r->program = fds_high(open(b->config.guest, O_PATH | O_CLOEXEC));
    r->null_fd = fds_high(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (r->program < 0 || r->null_fd < 0 || fds_pipe(r->report) != 0 || fds_pipe(r->lifeline) != 0)
        return call_fail_errno(call, errno, "%s: '%s'", chore->step, b->config.guest);
    return SBX_OK;
}

static void add_arg(struct run *r, const char *text)
{
    r->argv[r->argc++] = (char *)(uintptr_t)text;
    r->argv[r->argc] = NULL;
}

/* "A", or "A:B" */
static void add_numbers(struct run *r, const char *option, uint32_t a, int64_t b)
{
    char *text = r->numbers[r->used++];
    if (b < 0)
        (void)snprintf(text, sizeof r->numbers[0], "%u", a);
    else
        (void)snprintf(text, sizeof r->numbers[0], "%u:%u", a, (uint32_t)b);
    add_arg(r, option);
    add_arg(r, text);
}

static void list_args(struct run *r, const struct chore *chore, const char *command)
{
    add_arg(r, "sbx-guest");
    add_arg(r, command);
    add_numbers(r, "--report-fd", (uint32_t)r->report[1], -1);
    add_numbers(r, "--lifeline-fd", (uint32_t)r->lifeline[0], -1);
    r->keep[r->kept++] = r->report[1];
    r->keep[r->kept++] = r->lifeline[0];
    if (chore->owner_to != 0)
        add_numbers(r, "--owners", chore->owner_from, chore->owner_to);
    for (size_t i = 0; i < chore->count; i++) {
        add_numbers(r, "--pair", (uint32_t)chore->pairs[i].from, chore->pairs[i].to);
        r->keep[r->kept++] = chore->pairs[i].from;
        r->keep[r->kept++] = chore->pairs[i].to;
    }
}

/* Everything that it says, up to its end. */
static sbx_status listen_to(struct run *r, int64_t until_ns, struct sbx_call *call)
{
    struct pollfd fd = {.fd = r->report[0], .events = POLLIN};
    for (;;) {
        int ready = 0;
        sbx_status status = call_poll(call, &fd, 1, until_ns, &ready);
        if (status != SBX_OK || ready == 0)
            return status;
        ssize_t n = read(r->report[0], r->said + r->said_len, sizeof r->said - r->said_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return SBX_OK;
        r->said_len += (size_t)n;
    }
}

static sbx_status judge(const struct run *r, const struct chore *chore, uint64_t *count, struct sbx_call *call)
{
    const unsigned char *at = r->said;
    size_t left = r->said_len;
    struct wire_field_view field;
    char message[512] = "";
    int64_t status = SBX_OK;
    uint64_t error = 0;
    int ok = r->said_len > 0, more = 0;
    while (ok && (more = wire_next_field(&at, &left, &field)) == 1) {
        if (field.tag == F_STATUS)
            status = (int64_t)wire_number(&field, &ok);
        else if (field.tag == F_ERRNO)
            error = wire_number(&field, &ok);
        else if (field.tag == F_COUNT)
            *count = wire_number(&field, &ok);
        else if (field.tag == F_MESSAGE)
            (void)text_line(message, sizeof message, field.data, field.len);
    }
    if (!ok || more != 0 || status > 0 || status < INT32_MIN)
        return call_fail(call, SBX_E_FAILED, "%s: the process that worked on the files was killed", chore->step);
    if (status == SBX_OK)
        return SBX_OK;
    (void)call_fail(call, (sbx_status)status, "%s: %s", chore->step, message);
    call_os_errno(call, (int)(error & 0xfff));
    return (sbx_status)status;
}

static sbx_status work(struct sbx_backend *b, const struct chore *chore, const char *command, int own_users,
                       uint64_t *count, int *map_failed, struct sbx_call *call)
{
    CLEANUP(run_finish)
    struct run r = {
        .report = {-1, -1}, .lifeline = {-1, -1}, .program = -1, .null_fd = -1, .argc = 0, .used = 0, .kept = 0};
    sbx_status status = run_open(&r, b, chore, call);
    if (status != SBX_OK)
        return status;
    list_args(&r, chore, command);
    struct launch_plan plan = {.step = chore->step,
                               .ids = chore->ids,
                               .own_users = own_users,
                               .program_fd = r.program,
                               .argv = r.argv,
                               .keep_fds = r.keep,
                               .keep_count = r.kept,
                               .err_fd = r.null_fd};
    status = launch_start(&plan, call, map_failed);
    if (status != SBX_OK)
        return status;
    (void)close(steal_fd(&r.report[1]));
    (void)close(steal_fd(&r.lifeline[0]));
    status = listen_to(&r, 0, call);
    if (status == SBX_OK)
        return judge(&r, chore, count, call);
    (void)close(steal_fd(&r.lifeline[1]));
    (void)listen_to(&r, clock_now_ns() + LEAVE_MS * MS_NS, NULL); /* so that it writes no more */
    return status;
}

/* One user's rights do without a namespace, though less well, where the machine refuses one. */
static sbx_status work_somehow(struct sbx_backend *b, const struct chore *chore, const char *command, int own_users,
                               uint64_t *count, int *map_failed, struct sbx_call *call)
{
    struct sbx_error error;
    struct sbx_call inner;
    call_shadow(&inner, &error, call);
    sbx_status status = work(b, chore, command, own_users, count, map_failed, &inner);
    if (status == SBX_E_UNAVAILABLE && own_users && chore->ids->kind == IDS_SINGLE)
        return work(b, chore, command, 0, count, map_failed, call);
    if (status != SBX_OK)
        call_pass_error(call, &error);
    return status;
}

sbx_status chore_copy(struct sbx_backend *b, const struct chore *chore, uint64_t *left_out, struct sbx_call *call)
{
    uint64_t count = 0;
    int map_failed = 0;
    sbx_status status = work_somehow(b, chore, "copy", chore->ids->kind != IDS_MAPPED_ROOT, &count, &map_failed, call);
    if (left_out != NULL)
        *left_out = count;
    return status;
}

sbx_status chore_unpack(struct sbx_backend *b, const struct chore *chore, int *map_failed, struct sbx_call *call)
{
    uint64_t count = 0;
    return work_somehow(b, chore, "unpack", 1, &count, map_failed, call);
}
