/* SPDX-License-Identifier: MIT
 *
 * tap_play.c - an answer out of a recording, given as the provider gave it.
 */
#include "host/tap.h"

#include "base/cleanup.h"
#include "host/error.h"
#include "host/gate.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { STOPPED = 1, NONSENSE = -1, DRAIN_BYTES = 16384, DRAIN_GAP_MS = 250 };

/* Each takes the words of one line: 0, STOPPED, or NONSENSE. */
static int play_out(struct tap_op *op, struct tape_words *words)
{
    int64_t number = 0;
    char *data = NULL;
    size_t len = 0;
    if (tape_number(words, &number) != 0 || number < 1 || number > 2 || tape_data(words, &data, &len) != 0)
        return NONSENSE;
    if (op->out[number - 1] == NULL)
        return 0;
    const struct sbx_sink *sink = &op->streams[number - 1].mine;
    return sink->write != NULL && sink->write(sink->user, data, len) != 0 ? STOPPED : 0;
}

static int play_info(struct tap_op *op, struct tape_words *words)
{
    struct sbx_kv items[TAPE_KVS_MAX];
    struct sbx_info info;
    if (op->infos == NULL || tape_info(words, items, &info) != 0)
        return NONSENSE;
    return op->infos->item(op->infos->user, &info) != 0 ? STOPPED : 0;
}

static int play_entry(struct tap_op *op, struct tape_words *words)
{
    struct sbx_file_stat stat;
    struct sbx_entry entry = {.size = sizeof entry, .stat = &stat};
    if (op->entries == NULL || tape_text(words, &entry.name) != 0 || tape_stat(words, &stat) != 0)
        return NONSENSE;
    return op->entries->item(op->entries->user, &entry) != 0 ? STOPPED : 0;
}

static int play_listed_job(struct tap_op *op, struct tape_words *words)
{
    struct sbx_job_info job;
    if (op->jobs == NULL || tape_job(words, &job) != 0)
        return NONSENSE;
    return op->jobs->item(op->jobs->user, &job) != 0 ? STOPPED : 0;
}

static int play_snapshot(struct tap_op *op, struct tape_words *words)
{
    struct sbx_kv items[TAPE_KVS_MAX];
    struct sbx_snapshot snapshot;
    if (op->snapshots == NULL || tape_snapshot(words, items, &snapshot) != 0)
        return NONSENSE;
    return op->snapshots->item(op->snapshots->user, &snapshot) != 0 ? STOPPED : 0;
}

static int play_result(struct tap_op *op, struct tape_words *words)
{
    struct sbx_exec_result result;
    if (op->result == NULL || tape_result(words, &result) != 0)
        return NONSENSE;
    sbx_give(op->result, &result, sizeof result);
    return 0;
}

static int play_job(struct tap_op *op, struct tape_words *words)
{
    struct sbx_job_info job;
    if (op->job == NULL || tape_job(words, &job) != 0)
        return NONSENSE;
    sbx_give(op->job, &job, sizeof job);
    return 0;
}

static int play_stat(struct tap_op *op, struct tape_words *words)
{
    struct sbx_file_stat stat;
    if (op->stat == NULL || tape_stat(words, &stat) != 0)
        return NONSENSE;
    sbx_give(op->stat, &stat, sizeof stat);
    return 0;
}

static int play_next(struct tap_op *op, struct tape_words *words)
{
    int64_t next = 0;
    if (op->next == NULL || tape_number(words, &next) != 0)
        return NONSENSE;
    *op->next = (uint64_t)next;
    return 0;
}

static int play_box(struct tap_op *op, struct tape_words *words)
{
    const char *id = NULL;
    if (tape_text(words, &id) != 0 || id == NULL || strlen(id) >= sizeof op->box || op->supports != NULL)
        return NONSENSE;
    memcpy(op->box, id, strlen(id) + 1);
    return asprintf(&op->supports, " %s", words->at) < 0 ? NONSENSE : 0;
}

static int play_line(struct tap_op *op, char *line)
{
    static const struct {
        const char *word;
        int (*play)(struct tap_op *op, struct tape_words *words);
    } table[] = {
        {"out ", play_out},           {"info ", play_info},     {"entry ", play_entry}, {"listed ", play_listed_job},
        {"snapshot ", play_snapshot}, {"result ", play_result}, {"job ", play_job},     {"stat ", play_stat},
        {"next ", play_next},         {"box ", play_box}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t len = strlen(table[i].word);
        if (strncmp(line, table[i].word, len) == 0)
            return table[i].play(op, &(struct tape_words){line + len});
    }
    return NONSENSE;
}

/* Reads what the provider would have read. Nothing of it was kept, so nothing is compared. */
static sbx_status drain(struct tap_op *op)
{
    const struct sbx_source *in = &op->source_mine;
    char data[DRAIN_BYTES];
    while (op->in != NULL && in->read != NULL) {
        int64_t n = in->read(in->user, data, sizeof data);
        if (n == 0)
            break;
        if (n > 0)
            continue;
        if (n != SBX_AGAIN || (in->flags & SBX_SOURCE_HAS_FD) == 0)
            return error_set(op->call->error, SBX_E_STOPPED, "%s: stopped by the caller", op->operation);
        sbx_status status = gate_poll(op->call, in->ready_fd, POLLIN, 0);
        if (status != SBX_OK)
            return error_set(op->call->error, status, "%s: no end of what is to be read", op->operation);
    }
    return SBX_OK;
}

/* Those that only ask: the last answer holds from then on. */
static int only_asks(const char *operation)
{
    static const char *const list[] = {"attach",   "list",    "info",           "read",         "stat",
                                       "fs-list",  "get-tar", "job-info",       "job-wait",     "job-output",
                                       "job-list", "wait",    "snapshot-query", "snapshot-list"};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (strcmp(list[i], operation) == 0)
            return 1;
    return 0;
}

static sbx_status nonsense(struct tap_op *op)
{
    return error_set(op->call->error, SBX_E_PROTOCOL, "replay: the answer to '%.200s' makes no sense", op->line.data);
}

sbx_status tap_play(struct tap_op *op)
{
    struct sbx_error error = {.size = sizeof error};
    sbx_status status = SBX_OK;
    if (op->line.failed != 0)
        return error_no_memory(op->call->error);
    CLEANUP_FREE char *answer = replay_take(op->b->replay, op->line.data, only_asks(op->operation), op->call->error);
    if (answer == NULL)
        return op->call->error != NULL ? op->call->error->code : SBX_E_FAILED;
    /* A command's input may come from a person: that is left alone. */
    int may_wait = op->result != NULL && (op->source_mine.flags & SBX_SOURCE_HAS_FD) != 0;
    if (!may_wait && (status = drain(op)) != SBX_OK)
        return status;
    for (char *line = answer, *end; line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (strncmp(line, "end ", 4) == 0) {
            if (tape_error(&(struct tape_words){line + 4}, &status, &error) != 0)
                return nonsense(op);
            if (status != SBX_OK)
                sbx_give(op->call->error, &error, sizeof error);
            return status;
        }
        int played = play_line(op, line);
        if (played == STOPPED)
            return error_set(op->call->error, SBX_E_STOPPED, "%s: stopped by the caller", op->operation);
        if (played != 0)
            return nonsense(op);
    }
    return nonsense(op);
}
