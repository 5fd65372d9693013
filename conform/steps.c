/* SPDX-License-Identifier: MIT
 *
 * steps.c - what most rules do: open, make a sandbox, run a line of shell, write and compare a file.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

static void host_log(void *user, int32_t level, const char *where, const char *message)
{
    struct run *run = user;
    EXPECT(run, atomic_load(&run->open) > 0, "something was logged while no backend was open (P9)");
    EXPECT(run, message != NULL && where != NULL, "something was logged without a text");
    (void)pthread_mutex_lock(&run->log_lock);
    (void)buf_format(&run->log, "%d %s: %s\n", level, where, message);
    (void)pthread_mutex_unlock(&run->log_lock);
}

static const void *host_service(void *user, const char *id)
{
    (void)user, (void)id;
    return NULL;
}

struct sbx_host *step_host(struct run *run)
{
    run->host = (struct sbx_host){.size = sizeof run->host,
                                  .abi_minor = SBX_ABI_MINOR,
                                  .user = run,
                                  .name = "sbx-conform",
                                  .version = "1",
                                  .log = host_log,
                                  .get_service = host_service};
    return &run->host;
}

struct sbx_backend *step_open(struct run *run, const struct sbx_host *host)
{
    struct sbx_backend *b = NULL;
    struct call c = {.run = run, .deadline_ms = 20000};
    struct sbx_open_args args = {
        .size = sizeof args, .instance = run->subject->instance, .config = run->subject->config};
    sbx_status status = call_open(&c, host, &args, &b);
    if (!run->subject->configured && (status == SBX_E_CONFIG || status == SBX_E_AUTH || status == SBX_E_UNAVAILABLE))
        run_skip(run, "it does not open without a section: %.300s", c.error.message);
    call_want(&c, status, SBX_OK);
    return b;
}

struct sbx_handle *step_create(struct run *run, struct sbx_backend *b)
{
    struct sbx_handle *h = NULL;
    struct call c = {.run = run, .deadline_ms = 60000};
    struct sbx_create_args args = {.size = sizeof args};
    call_want(&c, call_create(&c, b, &args, &h), SBX_OK);
    return h;
}

void step_drop(struct run *run, struct sbx_handle *h)
{
    struct call c = {.run = run, .deadline_ms = 30000};
    call_want(&c, call_remove(&c, h), SBX_OK);
    run->handle_ops.release(h);
    if (run->h == h)
        run->h = NULL;
}

int step_shell(struct run *run, struct sbx_handle *h, const char *text, struct caught *out)
{
    struct call c = {.run = run, .deadline_ms = 20000};
    struct exec e = {.args = {.size = sizeof e.args, .command = text}, .out = out};
    if (out != NULL)
        caught_init(out);
    call_want(&c, call_exec(&c, h, &e), SBX_OK);
    EXPECT(run, (e.result.flags & SBX_TIMED_OUT) == 0, "`%.60s` timed out without a limit", text);
    return e.result.exit_code;
}

void step_says(struct run *run, struct sbx_handle *h, const char *text, const char *wanted)
{
    struct caught out;
    int code = step_shell(run, h, text, &out);
    size_t len = out.data.len;
    const char *said = len > 0 ? out.data.data : "";
    if (len > 0 && said[len - 1] == '\n')
        len--;
    EXPECT(run, code == 0, "`%.100s` ended with code %d", text, code);
    EXPECT(run, len == strlen(wanted) && memcmp(said, wanted, len) == 0, "`%.100s` said '%.*s' where '%.100s' was due",
           text, len > 200 ? 200 : (int)len, said, wanted);
    buf_finish(&out.data);
}

void step_write(struct run *run, const char *path, const void *data, size_t len)
{
    struct call c = {.run = run, .deadline_ms = 20000};
    struct feed from = {.data = data, .len = len};
    struct sbx_write_args args = {.size = sizeof args};
    call_want(&c, call_write(&c, run->h, path, &args, &from), SBX_OK);
}

void step_content(struct run *run, const char *path, const void *data, size_t len)
{
    struct call c = {.run = run, .deadline_ms = 20000};
    struct sbx_read_args args = {.size = sizeof args};
    struct caught got;
    caught_init(&got);
    call_want(&c, call_read(&c, run->h, path, &args, &got), SBX_OK);
    EXPECT(run, got.bytes == len, "'%s' has %llu bytes where %zu were due", path, (unsigned long long)got.bytes, len);
    EXPECT(run, len == 0 || memcmp(got.data.data, data, len) == 0, "'%s' has other bytes than were written", path);
    buf_finish(&got.data);
}

void fill_random(struct run *run, char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(unsigned char)(run_random(run) & 0xff);
}

void step_in_time(const struct call *c, int64_t due_ms)
{
    EXPECT(c->run, c->elapsed_ms <= due_ms + GRACE_MS + SLACK_MS,
           "%s came back after %lld ms where %lld ms and a second were allowed (C15)", c->what,
           (long long)c->elapsed_ms, (long long)due_ms);
}

void step_offered(const struct call *c, sbx_status status)
{
    if (status == SBX_E_UNSUPPORTED)
        run_skip(c->run, "not offered: %.300s", c->error.message);
    call_want(c, status, SBX_OK);
}
