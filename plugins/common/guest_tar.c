/* SPDX-License-Identifier: MIT
 *
 * guest_tar.c - whole directories through the guest, as uncompressed POSIX tar.
 */
#include "base/cleanup.h"
#include "plugins/common/guest_request.h"

enum { BLOCK = 512, END_OF_ARCHIVE = 2 * BLOCK };

/* Passes on and remembers how many zero bytes came last: a tar that was cut has no end-of-archive blocks. */
struct tail {
    struct sbx_sink sink;
    uint64_t total;
    uint64_t zeros;
};

static int32_t tail_write(void *user, const void *data, size_t len)
{
    struct tail *tail = user;
    const unsigned char *p = data;
    size_t zeros = 0;
    while (zeros < len && p[len - 1 - zeros] == 0)
        zeros++;
    tail->zeros = zeros == len ? tail->zeros + len : zeros;
    tail->total += len;
    return tail->sink.write(tail->sink.user, data, len);
}

sbx_status guest_get_tar(struct guest_link *link, struct sbx_call *call, const char *dir, const struct sbx_sink *tar)
{
    struct tail tail = {.total = 0};
    sbx_view(&tail.sink, sizeof tail.sink, tar);
    if (tail.sink.write == NULL)
        return call_fail(call, SBX_E_INVALID, "get tar: a sink that cannot be written");
    if (tail.sink.flags != 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "get tar: unknown flags in the sink");
    struct sbx_sink through = {.size = sizeof through, .user = &tail, .write = tail_write};
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "get tar", OP_TAR_GET);
    sbx_status status = guest_request_path(&r, F_PATH, dir);
    if (status == SBX_OK)
        status = guest_request_drain(&r, STREAM_OUT, &through);
    if (status != SBX_OK)
        return status;
    guest_request_user(&r, NULL);
    status = guest_request_run(&r);
    if (status == SBX_OK && (tail.zeros < END_OF_ARCHIVE || tail.total % BLOCK != 0))
        return call_fail(call, SBX_E_PROTOCOL, "get tar: '%s': the archive has no end", dir);
    return status;
}

sbx_status guest_put_tar(struct guest_link *link, struct sbx_call *call, const char *dir, const struct sbx_source *tar)
{
    if (tar == NULL)
        return call_fail(call, SBX_E_INVALID, "put tar: no source");
    CLEANUP_REQUEST struct guest_request r;
    guest_request_begin(&r, link, call, "put tar", OP_TAR_PUT);
    sbx_status status = guest_request_path(&r, F_PATH, dir);
    if (status == SBX_OK)
        status = guest_request_feed(&r, tar);
    if (status != SBX_OK)
        return status;
    r.in.eager = 1;
    guest_request_user(&r, NULL);
    status = guest_request_run(&r);
    if (status == SBX_OK && !r.in.eof)
        return call_fail(call, SBX_E_PROTOCOL, "put tar: '%s': the guest did not take all of it", dir);
    return status;
}
