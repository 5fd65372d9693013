/* SPDX-License-Identifier: MIT
 *
 * guest_conn.c - one connection to the guest: bytes in, frames out. Nothing here blocks.
 */
#include "plugins/common/guest_link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void guest_conn_close(struct guest_conn *conn)
{
    if (conn == NULL)
        return;
    int saved = errno;
    (void)close(conn->fd);
    free(conn);
    errno = saved;
}

enum guest_input guest_conn_fill(struct guest_conn *conn)
{
    if (conn->start == conn->end)
        conn->start = conn->end = 0;
    /* A frame that began here must find room for its rest. */
    if (sizeof conn->rx - conn->start < WIRE_HEADER + WIRE_MAX_PAYLOAD) {
        memmove(conn->rx, conn->rx + conn->start, conn->end - conn->start);
        conn->end -= conn->start;
        conn->start = 0;
    }
    for (;;) {
        ssize_t n = recv(conn->fd, conn->rx + conn->end, sizeof conn->rx - conn->end, MSG_DONTWAIT);
        if (n > 0) {
            conn->end += (size_t)n;
            return GUEST_INPUT_SOME;
        }
        if (n == 0)
            return GUEST_INPUT_END;
        if (errno != EINTR)
            return errno == EAGAIN || errno == EWOULDBLOCK ? GUEST_INPUT_NONE : GUEST_INPUT_END;
    }
}

int guest_conn_next(struct guest_conn *conn, struct wire_head *head, const unsigned char **payload)
{
    size_t left = conn->end - conn->start;
    if (left < WIRE_HEADER)
        return 0;
    if (wire_get_head(conn->rx + conn->start, head) != 0)
        return -1;
    if (left < WIRE_HEADER + (size_t)head->len)
        return 0;
    *payload = conn->rx + conn->start + WIRE_HEADER;
    conn->start += WIRE_HEADER + (size_t)head->len;
    return 1;
}

ssize_t guest_conn_send(struct guest_conn *conn, const void *data, size_t len)
{
    for (;;) {
        ssize_t n = send(conn->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno == EINTR)
            continue;
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    }
}
