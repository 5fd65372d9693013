/* SPDX-License-Identifier: MIT
 *
 * fuzz_reply.c - the client of the guest, answered by anything. The first byte chooses the call and whether connections
 * are shared; the greeting is a good one, and the input comes once the client has asked, so that it is looked at.
 */
#include "tests/fuzz/fuzz.h"

#include "guest/wire.h"
#include "plugins/common/guest_client.h"

#include <string.h>
#include <sys/random.h>

enum { NONCE = 16, MOST = 300000, CALL_MS = 2000, SHARED = 8 /* bit of the first byte */ };

/* Without random numbers the client's nonce is a constant, which the greeting here can echo. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    (void)buffer;
    (void)length;
    (void)flags;
    return -1;
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

/* The guest's end of the one connection that can be made. */
struct peer {
    int fd;   /* always ready; -1: none */
    int made; /* connections */
    int asked;
    const uint8_t *data;
    size_t left;
    uint8_t hello[128];
    size_t hello_left;
};

static int64_t peer_read(void *user, void *buf, size_t cap)
{
    struct peer *peer = user;
    int greets = peer->hello_left > 0;
    size_t *left = greets ? &peer->hello_left : &peer->left;
    size_t n = *left < cap ? *left : cap;
    if (!greets && !peer->asked)
        return SBX_AGAIN;
    if (n > 0)
        memcpy(buf, greets ? peer->hello : peer->data, n);
    if (greets)
        memmove(peer->hello, peer->hello + n, *left - n);
    else
        peer->data += n;
    *left -= n;
    return (int64_t)n;
}

static int64_t peer_write(void *user, const void *data, size_t len)
{
    struct peer *peer = user;
    FUZZ_HOLDS(data != NULL && len > 0);
    peer->asked |= peer->hello_left == 0;
    return (int64_t)len;
}

static void peer_close(void *user)
{
    const struct peer *peer = user;
    (void)close(peer->fd);
}

static sbx_status open_peer(void *user, struct sbx_call *call, struct guest_stream *stream)
{
    struct peer *peer = user;
    int ends[2];
    if (peer->made++ > 0)
        return call_fail(call, SBX_E_GONE, "gone");
    fuzz_pair(ends);
    (void)close(ends[1]);
    peer->fd = ends[0];
    *stream = (struct guest_stream){peer->fd, peer, peer_read, peer_write, peer_close};
    return SBX_OK;
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
    size_t total = 0;
    if (size == 0 || size > MOST)
        return 0;
    struct peer peer = {.fd = -1, .data = data + 1, .left = size - 1};
    peer.hello_left = greeting(peer.hello);
    const struct guest_link_options options = {
        .open = open_peer, .user = &peer, .share = (data[0] & SHARED) != 0 ? 4 : 1};
    struct guest_link *link = guest_open(&options);
    FUZZ_HOLDS(link != NULL);
    struct sbx_error error = {.size = sizeof error};
    struct sbx_call call = {.size = sizeof call, .error = &error};
    call.deadline_ns = clock_now_ns() + CALL_MS * INT64_C(1000000);
    sbx_status status = call_one(data[0], link, &call, &total);
    FUZZ_HOLDS((status == SBX_OK || error.code == status) && total <= size);
    FUZZ_HOLDS(peer.made > 0 && peer.asked); /* the greeting was taken, so the input was looked at */
    guest_close(link);
    return 0;
}
