/* SPDX-License-Identifier: MIT
 *
 * fuzz_request.c - the guest's side of a connection: frames, joined requests, fields, streams and their credit. The
 * operations here are ones that do nothing to the machine; the first byte says whether the peer has greeted already.
 */
#include "tests/fuzz/fuzz.h"

#include "guest/ops.h"

enum { MOST = 300000, PIECES = 12 };

/* Running until it is cancelled, or until it has sent three pieces. */
static void op_start(struct request *r, const struct fields *f)
{
    char path[256];
    if (fields_text(f, F_PATH, path, sizeof path) != 0)
        request_fail(r, SBX_E_BAD_PATH, 0, "request: %s: too long", r->given);
    else if ((f->number[F_FLAGS] & 1) != 0)
        request_end(r);
    else
        r->state = calloc(1, sizeof(unsigned));
}

static void op_feed(struct request *r, const unsigned char *data, size_t len, int eof)
{
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += data[i];
    request_consumed(r, sum % 2 == 0 ? len : 0);
    if (eof)
        request_end(r);
}

static void op_pump(struct request *r)
{
    unsigned *sent = r->state;
    size_t room = conn_room(r->c);
    if (sent == NULL || room == 0 || r->out_credit[STREAM_OUT] == 0)
        return;
    room = room < 8 ? room : 8;
    unsigned char *to = frame_data_begin(r->c, r->id, STREAM_OUT, room);
    for (size_t i = 0; to != NULL && i < room; i++)
        to[i] = 'x';
    frame_data_finish(r->c, to == NULL ? 0 : room);
    if (++*sent < 3)
        return;
    frame_end_of_stream(r->c, r->id, STREAM_OUT);
    request_end(r);
}

static void op_cancel(struct request *r)
{
    if (!r->done)
        request_end(r);
}

static void op_release(struct request *r)
{
    free(r->state);
}

#define OP(name, number_, input_)                                                                                      \
    const struct request_kind op_##name = {.op = (number_),                                                            \
                                           .takes = UINT64_MAX,                                                        \
                                           .requires = FIELD(F_OP),                                                    \
                                           .flags = UINT64_MAX,                                                        \
                                           .input = (input_),                                                          \
                                           .start = op_start,                                                          \
                                           .feed = op_feed,                                                            \
                                           .pump = op_pump,                                                            \
                                           .cancel = op_cancel,                                                        \
                                           .release = op_release}
OP(exec, OP_EXEC, 1);
OP(read, OP_READ, 0);
OP(write, OP_WRITE, 1);
OP(stat, OP_STAT, 0);
OP(list, OP_LIST, 0);
OP(mkdir, OP_MKDIR, 0);
OP(remove, OP_REMOVE, 0);
OP(rename, OP_RENAME, 0);
OP(tar_get, OP_TAR_GET, 0);
OP(tar_put, OP_TAR_PUT, 1);
OP(info, OP_INFO, 0);
OP(shutdown, OP_SHUTDOWN, 0);
OP(lifetime, OP_LIFETIME, 0);
OP(suspend, OP_SUSPEND, 0);
OP(resume, OP_RESUME, 0);
OP(job_start, OP_JOB_START, 0);
OP(job_info, OP_JOB_INFO, 0);
OP(job_wait, OP_JOB_WAIT, 0);
OP(job_kill, OP_JOB_KILL, 0);
OP(job_signal, OP_JOB_SIGNAL, 0);
OP(job_output, OP_JOB_OUTPUT, 0);
OP(job_feed, OP_JOB_FEED, 1);
OP(job_list, OP_JOB_LIST, 0);
OP(job_forget, OP_JOB_FORGET, 0);
OP(shell_exec, OP_SHELL_EXEC, 1);
OP(shell_close, OP_SHELL_CLOSE, 0);
OP(shell_list, OP_SHELL_LIST, 0);
OP(dial, OP_DIAL, 1);

/* The loop's, which is not here. */
void watch_fd(struct watch *w, int fd, short events, short *got)
{
    (void)w;
    (void)fd;
    (void)events;
    *got = 0;
}

static void drain(int fd)
{
    char block[65536];
    while (read(fd, block, sizeof block) > 0)
        continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest guest = {.listen_fd = -1};
    int ends[2];
    if (size == 0 || size > MOST)
        return 0;
    fuzz_pair(ends);
    struct conn *c = conn_open(&guest, ends[0], ends[0]);
    FUZZ_HOLDS(c != NULL);
    c->greeted = data[0] & 1;
    size_t piece = (size - 1) / PIECES + 1;
    for (size_t at = 1; at < size && !c->broken; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        FUZZ_HOLDS(write(ends[1], data + at, len) == (ssize_t)len);
        conn_read(c);
        request_pump_all(c);
        conn_flush(c);
        request_sweep(c);
        drain(ends[1]);
        FUZZ_HOLDS(c->in_len <= CONN_IN_SIZE && c->joined <= CONN_JOINED_LIMIT);
    }
    conn_close(c);
    FUZZ_HOLDS(guest.conns == NULL && guest.conn_count == 0);
    (void)close(ends[1]);
    return 0;
}
