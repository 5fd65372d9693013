/* SPDX-License-Identifier: MIT
 *
 * cmd_logs.c - sbxctl logs: the output of a job, both streams at once.
 */
#include "host/cmd.h"
#include "host/json.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

enum { LOGS_JSON_MAX = 128 << 20 };

struct stream {
    struct sbx_job_output_options options; /* of the piece that is read now; `from` is made exact at its end */
    uint64_t next;
    uint64_t given; /* bytes of this piece, where they are counted */
    sbx_op *op;
    int is_json;
    struct buf bytes; /* with --json, of this piece alone */
};

int job_logs_check(struct cmd *c)
{
    uint64_t from = 0;
    const char *stream = c->value[OPT_STREAM];
    if (stream != NULL && strcmp(stream, "stdout") != 0 && strcmp(stream, "stderr") != 0)
        return cmd_usage(c, "--stream: '%s' is neither stdout nor stderr", stream);
    if (cmd_has(c, OPT_FROM) && stream == NULL)
        return cmd_usage(c, "--from needs --stream: each stream has bytes of its own");
    if (cmd_has(c, OPT_FOLLOW) && cmd_has(c, OPT_JSON))
        return cmd_usage(c, "--follow and --json exclude each other; give one");
    return value_number(c, OPT_FROM, "bytes", &from);
}

static int32_t take(void *user, const void *data, size_t len)
{
    struct stream *s = user;
    s->given += len;
    return s->is_json && buf_append(&s->bytes, data, len) != 0 ? 1 : 0;
}

static sbx_status begin(struct cmd *c, sbx_sandbox *box, const char *job, struct stream *s, struct sbx_error *error)
{
    sbx_op_free(s->op);
    s->op = NULL;
    return sbx_job_output_start(box, job, &s->options, &c->call, &s->op, error);
}

static void tell_gap(const struct cmd *c, const sbx_sandbox *box, const struct stream *s, uint64_t offset)
{
    cmd_note(c, sbx_id(box), "%s: bytes before %llu are no longer kept", s->options.stream == 1 ? "stdout" : "stderr",
             (unsigned long long)offset);
}

/* One more piece, from the oldest byte kept at `next` or behind: where that was is known when the piece is whole. What
 * was read before the gap is no part of it. */
static sbx_status resume(struct cmd *c, sbx_sandbox *box, const char *job, struct stream *s, struct sbx_error *error)
{
    s->given = 0;
    buf_consume(&s->bytes, s->bytes.len);
    s->options.from = s->next;
    s->options.flags |= SBX_JOB_OLDEST;
    s->options.on_data = take;
    s->options.user_data = s;
    sbx_status status = begin(c, box, job, s, error);
    if (status != SBX_OK)
        return status;
    status = sbx_op_finish(s->op, error);
    s->next = sbx_op_next(s->op);
    if (status == SBX_OK)
        s->options.from = s->next - s->given;
    return status;
}

/* To its end. Where the caller named no offset, what is no longer kept is skipped, and told: to who follows at once, as
 * far as it is known. */
static sbx_status complete(struct cmd *c, sbx_sandbox *box, const char *job, struct stream *s, struct sbx_error *error)
{
    uint64_t told = 0;
    sbx_status status = sbx_op_finish(s->op, error);
    s->next = sbx_op_next(s->op);
    if (status != SBX_E_TOO_LARGE || cmd_has(c, OPT_FROM))
        return status;
    while (status == SBX_E_TOO_LARGE && s->next > s->options.from) {
        if (cmd_has(c, OPT_FOLLOW))
            tell_gap(c, box, s, told = s->next);
        status = resume(c, box, job, s, error);
    }
    if (status == SBX_OK && s->options.from != told)
        tell_gap(c, box, s, s->options.from);
    return status;
}

static int print_streams(struct cmd *c, const sbx_sandbox *box, const char *job, struct stream *const *streams)
{
    struct json j;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "id", sbx_id(box));
    json_text(&j, j.root, "job", job);
    for (size_t i = 0; i < 2; i++) {
        const struct stream *s = streams[i];
        if (s->options.stream == 0)
            continue;
        json_bytes(&j, j.root, i == 0 ? "stdout" : "stderr", s->bytes.data, s->bytes.len);
        json_number(&j, j.root, i == 0 ? "stdout_from" : "stderr_from", (double)s->options.from);
        json_number(&j, j.root, i == 0 ? "stdout_next" : "stderr_next", (double)s->next);
    }
    return json_print(c, &j, EXIT_FINE);
}

static void prepare(const struct cmd *c, struct stream *s, uint32_t number)
{
    int single = cmd_has(c, OPT_STREAM);
    buf_init(&s->bytes, LOGS_JSON_MAX);
    s->options = (struct sbx_job_output_options){.size = sizeof s->options};
    if (single && strcmp(c->value[OPT_STREAM], number == 1 ? "stdout" : "stderr") != 0)
        return;
    s->options.stream = number;
    s->options.flags = cmd_has(c, OPT_FOLLOW) ? SBX_JOB_FOLLOW : 0;
    s->is_json = cmd_has(c, OPT_JSON);
    if (s->is_json) {
        s->options.on_data = take;
        s->options.user_data = s;
    } else {
        s->options.flags |= SBX_JOB_OUT_FD;
        s->options.fd = single ? 1 : (int32_t)number;
    }
}

/* Both begin before either is waited for. */
static sbx_status show(struct cmd *c, sbx_sandbox *box, const char *job, struct stream *const *streams,
                       struct sbx_error *error)
{
    sbx_status status = SBX_OK;
    for (size_t i = 0; status == SBX_OK && i < 2; i++)
        if (streams[i]->options.stream != 0)
            status = begin(c, box, job, streams[i], error);
    for (size_t i = 0; status == SBX_OK && i < 2; i++)
        if (streams[i]->options.stream != 0)
            status = complete(c, box, job, streams[i], error);
    return status;
}

int job_logs(struct cmd *c, sbx_sandbox *box, const char *job)
{
    struct sbx_error error = SBX_INIT(error);
    struct stream out = {0}, err = {0};
    struct stream *const streams[] = {&out, &err};
    int code;
    prepare(c, &out, 1);
    prepare(c, &err, 2);
    (void)value_number(c, OPT_FROM, "bytes", &out.options.from);
    err.options.from = out.options.from;
    if (show(c, box, job, streams, &error) == SBX_OK)
        code = cmd_has(c, OPT_JSON) ? print_streams(c, box, job, streams) : EXIT_FINE;
    else if (out.bytes.failed != 0 || err.bytes.failed != 0)
        code = cmd_own(c, sbx_id(box), sbx_status_name(SBX_E_TOO_LARGE),
                       "a stream of over 128 MiB is too large for one object; leave --json out");
    else
        code = cmd_fail_inside(c, box, &error);
    for (size_t i = 0; i < 2; i++) {
        sbx_op_free(streams[i]->op);
        buf_finish(&streams[i]->bytes);
    }
    return code;
}

int cmd_logs(struct cmd *c)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    int code = job_logs_check(c);
    if (code == 0)
        code = cmd_open_box(c, c->args[0], &ctx, &box);
    return code == 0 ? job_logs(c, box, c->args[1]) : code;
}
