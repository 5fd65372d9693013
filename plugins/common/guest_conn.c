/* SPDX-License-Identifier: MIT
 *
 * guest_conn.c - one connection to the guest: bytes in, frames out. Nothing here blocks.
 */
#include "plugins/common/guest_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_LIMIT = WIRE_HEADER + WIRE_MAX_PAYLOAD + GUEST_SHARE_MAX * WIRE_HEADER };

/* --- a socket as a stream ------------------------------------------------------------------------------------- */
static int64_t socket_read(void *user, void *buf, size_t cap)
{
    const struct guest_conn *conn = user;
    for (;;) {
        ssize_t n = recv(conn->io.fd, buf, cap, MSG_DONTWAIT);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return errno == EAGAIN || errno == EWOULDBLOCK ? SBX_AGAIN : -1;
    }
}

static int64_t socket_write(void *user, const void *data, size_t len)
{
    const struct guest_conn *conn = user;
    for (;;) {
        ssize_t n = send(conn->io.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return errno == EAGAIN || errno == EWOULDBLOCK ? SBX_AGAIN : -1;
    }
}

static void socket_close(void *user)
{
    const struct guest_conn *conn = user;
    (void)close(conn->io.fd);
}

/* --- opening and closing -------------------------------------------------------------------------------------- */
struct guest_conn *guest_conn_open(const struct guest_stream *io, uint32_t share)
{
    struct guest_conn *conn = malloc(sizeof *conn);
    if (conn == NULL || pthread_mutex_init(&conn->lock, NULL) != 0) {
        if (io->read != NULL)
            io->close(io->user);
        else
            (void)close(io->fd);
        free(conn);
        return NULL;
    }
    conn->next = NULL;
    conn->io = *io;
    conn->share = share;
    conn->hides = io->read != NULL;
    conn->drained = !conn->hides;
    if (io->read == NULL)
        conn->io = (struct guest_stream){
            .fd = io->fd, .user = conn, .read = socket_read, .write = socket_write, .close = socket_close};
    conn->served = conn->choked = conn->deaf = conn->ended = 0;
    conn->lie = NULL;
    buf_init(&conn->line, LINE_LIMIT);
    conn->slots = NULL;
    conn->reader = NULL;
    conn->slot_count = conn->left_count = 0;
    conn->start = conn->end = 0;
    return conn;
}

void guest_conn_close(struct guest_conn *conn)
{
    if (conn == NULL)
        return;
    int saved = errno;
    conn->io.close(conn->io.user);
    buf_finish(&conn->line);
    (void)pthread_mutex_destroy(&conn->lock);
    free(conn);
    errno = saved;
}

void guest_conn_abandon(struct guest_conn *conn)
{
    if (conn == NULL)
        return;
    (void)close(conn->io.fd);
    buf_finish(&conn->line);
    if (!conn->hides)
        free(conn);
}

/* --- bytes ---------------------------------------------------------------------------------------------------- */
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
    size_t room = sizeof conn->rx - conn->end;
    int64_t n = conn->io.read(conn->io.user, conn->rx + conn->end, room);
    conn->drained = n == SBX_AGAIN || !conn->hides;
    if (n == SBX_AGAIN)
        return GUEST_INPUT_NONE;
    if (n <= 0 || (uint64_t)n > room)
        return GUEST_INPUT_END;
    conn->end += (size_t)n;
    return GUEST_INPUT_SOME;
}

int guest_conn_frame(struct guest_conn *conn, struct wire_head *head, const unsigned char **payload)
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

ssize_t guest_conn_write(struct guest_conn *conn, const void *data, size_t len)
{
    int64_t n = conn->io.write(conn->io.user, data, len);
    if (n == SBX_AGAIN)
        return 0;
    return n < 0 || (uint64_t)n > len ? -1 : (ssize_t)n;
}
