/* SPDX-License-Identifier: MIT
 *
 * tape_struct.c - the structs of the plugin ABI as words of a recording, and back.
 */
#include "host/tape.h"

#include <stdio.h>
#include <string.h>

static void put_numbers(struct buf *line, const int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tape_put_number(line, numbers[i]);
}

static int take_numbers(struct tape_words *words, int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tape_number(words, &numbers[i]) != 0)
            return -1;
    return 0;
}

/* Copies a text that has to be there and to fit. */
static int take_copy(struct tape_words *words, char *out, size_t size)
{
    const char *text = NULL;
    if (tape_text(words, &text) != 0 || text == NULL || strlen(text) >= size)
        return -1;
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

void tape_put_info(struct buf *line, const struct sbx_info *info)
{
    tape_put_number(line, info->state);
    tape_put_text(line, info->id);
    tape_put_text(line, info->name);
    tape_put_text(line, info->provider_state);
    tape_put_text(line, info->failure);
    put_numbers(line, (const int64_t[]){info->created_ms, info->expires_ms}, 2);
    tape_put_labels(line, &info->metadata);
}

int tape_info(struct tape_words *words, struct sbx_kv items[TAPE_KVS_MAX], struct sbx_info *out)
{
    uint32_t state = 0;
    *out = (struct sbx_info){.size = sizeof *out};
    if (tape_word32(words, &state) != 0 || tape_text(words, &out->id) != 0 || tape_text(words, &out->name) != 0 ||
        tape_text(words, &out->provider_state) != 0 || tape_text(words, &out->failure) != 0 ||
        tape_number(words, &out->created_ms) != 0 || tape_number(words, &out->expires_ms) != 0)
        return -1;
    out->state = (int32_t)state;
    return tape_labels(words, items, &out->metadata);
}

void tape_put_stat(struct buf *line, const struct sbx_file_stat *stat)
{
    put_numbers(line, (const int64_t[]){stat->known, stat->type, stat->mode, (int64_t)stat->bytes, stat->mtime_ms}, 5);
}

int tape_stat(struct tape_words *words, struct sbx_file_stat *out)
{
    int64_t n[5];
    if (take_numbers(words, n, 5) != 0)
        return -1;
    *out = (struct sbx_file_stat){.size = sizeof *out,
                                  .known = (uint32_t)n[0],
                                  .type = (uint32_t)n[1],
                                  .mode = (uint32_t)n[2],
                                  .bytes = (uint64_t)n[3],
                                  .mtime_ms = n[4]};
    return 0;
}

void tape_put_result(struct buf *line, const struct sbx_exec_result *result)
{
    put_numbers(line,
                (const int64_t[]){result->flags, result->exit_code, result->term_signal, (int64_t)result->out_bytes,
                                  (int64_t)result->err_bytes},
                5);
}

int tape_result(struct tape_words *words, struct sbx_exec_result *out)
{
    int64_t n[5];
    if (take_numbers(words, n, 5) != 0)
        return -1;
    *out = (struct sbx_exec_result){.size = sizeof *out,
                                    .flags = (uint32_t)n[0],
                                    .exit_code = (int32_t)n[1],
                                    .term_signal = (int32_t)n[2],
                                    .out_bytes = (uint64_t)n[3],
                                    .err_bytes = (uint64_t)n[4]};
    return 0;
}

void tape_put_job(struct buf *line, const struct sbx_job_info *job)
{
    tape_put_data(line, job->id, strnlen(job->id, sizeof job->id));
    put_numbers(line, (const int64_t[]){job->flags, job->pid, job->exit_code, job->term_signal}, 4);
}

int tape_job(struct tape_words *words, struct sbx_job_info *out)
{
    int64_t n[4];
    *out = (struct sbx_job_info){.size = sizeof *out};
    if (take_copy(words, out->id, sizeof out->id) != 0 || take_numbers(words, n, 4) != 0)
        return -1;
    out->flags = (uint32_t)n[0];
    out->pid = n[1];
    out->exit_code = (int32_t)n[2];
    out->term_signal = (int32_t)n[3];
    return 0;
}

void tape_put_snapshot(struct buf *line, const struct sbx_snapshot *snapshot)
{
    tape_put_number(line, snapshot->state);
    tape_put_text(line, snapshot->id);
    tape_put_text(line, snapshot->name);
    tape_put_text(line, snapshot->failure);
    tape_put_number(line, snapshot->created_ms);
    tape_put_labels(line, &snapshot->metadata);
}

int tape_snapshot(struct tape_words *words, struct sbx_kv items[TAPE_KVS_MAX], struct sbx_snapshot *out)
{
    uint32_t state = 0;
    *out = (struct sbx_snapshot){.size = sizeof *out};
    if (tape_word32(words, &state) != 0 || tape_text(words, &out->id) != 0 || tape_text(words, &out->name) != 0 ||
        tape_text(words, &out->failure) != 0 || tape_number(words, &out->created_ms) != 0)
        return -1;
    out->state = (int32_t)state;
    return tape_labels(words, items, &out->metadata);
}

void tape_put_error(struct buf *line, sbx_status status, const struct sbx_error *error)
{
    static const struct sbx_error none = {.size = sizeof none};
    const struct sbx_error *e = status == SBX_OK || error == NULL ? &none : error;
    tape_put_number(line, status);
    put_numbers(line, (const int64_t[]){e->flags, e->os_errno, e->provider_status, e->retry_after_ms}, 4);
    tape_put_data(line, e->provider_code, strnlen(e->provider_code, sizeof e->provider_code));
    tape_put_data(line, e->resource_id, strnlen(e->resource_id, sizeof e->resource_id));
    tape_put_data(line, e->message, strnlen(e->message, sizeof e->message));
}

int tape_error(struct tape_words *words, sbx_status *status, struct sbx_error *out)
{
    int64_t n[5];
    *out = (struct sbx_error){.size = sizeof *out};
    if (take_numbers(words, n, 5) != 0 || n[0] > SBX_OK || n[0] < INT32_MIN ||
        take_copy(words, out->provider_code, sizeof out->provider_code) != 0 ||
        take_copy(words, out->resource_id, sizeof out->resource_id) != 0 ||
        take_copy(words, out->message, sizeof out->message) != 0)
        return -1;
    *status = (sbx_status)n[0];
    out->code = *status;
    out->flags = (uint32_t)n[1];
    out->os_errno = (int32_t)n[2];
    out->provider_status = (int32_t)n[3];
    out->retry_after_ms = (uint32_t)n[4];
    return 0;
}
