/* SPDX-License-Identifier: MIT
 *
 * fuzz_reply.c - the client of the guest, answered by anything. The first byte chooses the call; the greeting is a good
 * one, so that what comes after it is looked at.
 */
#include "tests/fuzz/fuzz.h"

#include "guest/wire.h"
#include "plugins/common/guest_client.h"

#include <string.h>
#include <sys/random.h>

enum { NONCE = 16, MOST = 300000, CALL_MS = 2000 };

/* Without random numbers the client's nonce is a constant, which the greeting here can echo. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    (void)buffer;
    (void)length;
    (void)flags;
    return -1;
}

struct peer {
    int fd; /* the client's end, until it is taken */
};

static sbx_status hand_over(void *user, struct sbx_call *call, int *fd)
{
    struct peer *peer = user;
    if (peer->fd < 0)
        return call_fail(call, SBX_E_GONE, "gone");
    *fd = peer->fd;
    peer->fd = -1;
    return SBX_OK;
}

static size_t greeting(uint8_t *to)
{
    uint8_t *p = to + WIRE_HEADER;
    wire_put16(p, F_VERSION);
    wire_put16(p + 2, 0);
    wire_put32(p + 4, 8);
    wire_put64(p + 8, WIRE_VERSION);
    p += 16;
    wire_put16(p, F_NONCE);
    wire_put16(p + 2, 0);
    wire_put32(p + 4, NONCE);
    memset(p + 8, 0x5a, NONCE);
    size_t len = (size_t)(p - to) + 8 + NONCE;
    wire_put_head(to, (struct wire_head){.len = (uint32_t)(len - WIRE_HEADER), .type = FRAME_HELLO});
    return len;
}

static int32_t take(void *user, const void *data, size_t len)
{
    size_t *total = user;
    FUZZ_HOLDS(len == 0 || data != NULL);
    *total += len;
    return 0;
}

static int32_t take_entry(void *user, const struct sbx_entry *entry)
{
    size_t *total = user;
    FUZZ_HOLDS(entry->name != NULL);
    *total += strlen(entry->name);
    return 0;
}

static sbx_status call_exec(struct guest_link *link, struct sbx_call *call, size_t *total)
{
    static const char *const argv[] = {"true", NULL};
    const struct sbx_sink out = {.size = sizeof out, .user = total, .write = take};
    struct sbx_exec_args args = {.size = sizeof args, .argv = argv, .out = &out, .err = &out};
    struct sbx_exec_result result = {.size = sizeof result};
    return guest_exec(link, call, &args, 0, &result);
}

static sbx_status call_job(struct guest_link *link, struct sbx_call *call, int waits)
{
    struct sbx_job_info info = {.size = sizeof info};
    struct sbx_exec_result result = {.size = sizeof result};
    return waits ? guest_job_wait(link, call, "1", &result) : guest_job_info(link, call, "1", &info);
}

static sbx_status call_one(unsigned which, struct guest_link *link, struct sbx_call *call, size_t *total)
{
    const struct sbx_sink out = {.size = sizeof out, .user = total, .write = take};
    const struct sbx_entry_sink entries = {.size = sizeof entries, .user = total, .item = take_entry};
    const struct sbx_read_args read_args = {.size = sizeof read_args};
    struct sbx_file_stat st = {.size = sizeof st};
    switch (which % 8) {
    case 0:
        return call_exec(link, call, total);
    case 1:
        return guest_read_file(link, call, "/x", &read_args, &out);
    case 2:
        return guest_stat(link, call, "/x", &st);
    case 3:
        return guest_list(link, call, "/x", &entries);
    case 4:
        return guest_get_tar(link, call, "/x", &out);
    case 5:
        return call_job(link, call, 0);
    case 6:
        return call_job(link, call, 1);
    default:
        return guest_mkdir(link, call, "/x", 0755, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t hello[128];
    int ends[2];
    size_t total = 0, len = greeting(hello);
    if (size == 0 || size > MOST)
        return 0;
    fuzz_pair(ends);
    FUZZ_HOLDS(write(ends[1], hello, len) == (ssize_t)len);
    FUZZ_HOLDS(write(ends[1], data + 1, size - 1) == (ssize_t)size - 1 && shutdown(ends[1], SHUT_WR) == 0);
    struct peer peer = {ends[0]};
    const struct guest_link_options options = {.connect = hand_over, .user = &peer};
    struct guest_link *link = guest_open(&options);
    FUZZ_HOLDS(link != NULL);
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    call.deadline_ns = clock_now_ns() + CALL_MS * INT64_C(1000000);
    sbx_status status = call_one(data[0], link, &call, &total);
    FUZZ_HOLDS((status == SBX_OK || error.code == status) && total <= size);
    guest_close(link);
    if (peer.fd >= 0)
        (void)close(peer.fd);
    (void)close(ends[1]);
    return 0;
}
