/* SPDX-License-Identifier: MIT
 *
 * scripts.h - what a scripted guest does in more than one test program: answer a stat, take a file.
 */
#ifndef SBX_TESTS_COMMON_SCRIPTS_H
#define SBX_TESTS_COMMON_SCRIPTS_H

#include "tests/common/run.h"

#define EACH(i, cases) (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]); i++)

static inline void reply_stat(struct fake_conn *c, uint64_t type, uint64_t size)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_number(&b, F_TYPE, type);
    fields_number(&b, F_MODE, 0100644);
    fields_number(&b, F_SIZE, size);
    fields_number(&b, F_MTIME_MS, 1700000000123);
    fake_frame(c, FRAME_REPLY, 0, 0, b.data, b.len);
}

/* What a WRITE or TAR_PUT brought. */
struct written {
    struct buf data;
    uint64_t flags, mode, length;
    int has_mode, has_length, eof, cancelled;
    int early; /* END at once */
    int64_t status;
};

static inline void write_script(struct fake_conn *c, void *user)
{
    static _Thread_local unsigned char payload[WIRE_MAX_PAYLOAD];
    struct written *w = user;
    struct wire_head head;
    if (fake_request(c) != 0)
        return;
    w->flags = fake_has(c, F_FLAGS) ? fake_number(c, F_FLAGS) : 0;
    w->has_mode = fake_has(c, F_MODE);
    w->mode = w->has_mode ? fake_number(c, F_MODE) : 0;
    w->has_length = fake_has(c, F_LENGTH);
    w->length = w->has_length ? fake_number(c, F_LENGTH) : 0;
    while (!w->early && !w->eof && !w->cancelled && fake_read(c, &head, payload) == 0) {
        w->cancelled = head.type == FRAME_CANCEL;
        if (head.type != FRAME_DATA)
            continue;
        (void)buf_append(&w->data, payload, head.len);
        w->eof = (head.flags & FLAG_EOF) != 0;
        unsigned char bytes[4];
        wire_put32(bytes, head.len);
        if (head.len > 0)
            fake_frame(c, FRAME_CREDIT, 0, STREAM_IN, bytes, 4);
    }
    fake_end(c, w->cancelled ? SBX_E_CANCELLED : w->status);
}

#endif /* SBX_TESTS_COMMON_SCRIPTS_H */
