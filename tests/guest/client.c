/* SPDX-License-Identifier: MIT */
#include "tests/guest/client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PATIENCE_MS = 20000 };

int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- the guest -------------------------------------------------------------------------------------------------- */

static void run_guest(const char *const *first, const char *const *args) __attribute__((noreturn));
static void run_guest(const char *const *first, const char *const *args)
{
    const char *guest = getenv("SBX_TEST_GUEST");
    const char *argv[32] = {guest == NULL ? GUEST_NATIVE : guest, "serve"};
    size_t i = 2;
    while (*first != NULL && i < 16)
        argv[i++] = *first++;
    while (args != NULL && *args != NULL && i < 31)
        argv[i++] = *args++;
    (void)execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

struct client *client_open_raw(const char *const *args)
{
    int pair[2];
    struct client *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        (void)dup2(pair[1], 0);
        (void)dup2(pair[1], 1);
        run_guest((const char *const[]){"--stdio", "--any-peer", NULL}, args);
    }
    (void)close(pair[1]);
    c->fd = pair[0];
    buf_init(&c->in, 1 << 20);
    return c;
}

void client_greet(struct client *c)
{
    struct message m;
    struct frame f;
    buf_init(&m.fields, 4096);
    message_number(&m, F_VERSION, WIRE_VERSION);
    message_bytes(&m, F_NONCE, "0123456789abcdef", 16);
    client_send(c, (struct wire_head){.len = (uint32_t)m.fields.len, .type = FRAME_HELLO}, m.fields.data);
    buf_finish(&m.fields);
    assert_int_equal(client_next(c, &f), 1);
    assert_int_equal(f.head.type, FRAME_HELLO);
}

struct client *client_open(const char *const *args)
{
    struct client *c = client_open_raw(args);
    client_greet(c);
    return c;
}

static int wait_end(pid_t pid)
{
    int status = 0;
    int64_t until = now_ms() + PATIENCE_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now_ms() > until) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            fail_msg("the guest did not end");
        }
        (void)usleep(500);
    }
    return status;
}

void client_close(struct client *c)
{
    pid_t pid = c->pid;
    if (c->fd >= 0)
        (void)close(c->fd);
    buf_finish(&c->in);
    free(c);
    if (pid > 0)
        assert_int_equal(wait_end(pid), 0);
}

static void own_proc(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        _exit(126);
}

static void server_start(struct server *s, const char *const *args, int init)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(sa_family_t); /* the kernel finds an abstract name */
    int ready[2], lifeline[2];
    char byte = 0, fds[3][16];
    CLEANUP_FD int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(listener, 64), 0);
    size = sizeof name;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    buf_init(&s->name, sizeof name);
    assert_int_equal(buf_append(&s->name, &name, size), 0);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(lifeline), 0);
    (void)snprintf(fds[0], sizeof fds[0], "%d", listener);
    (void)snprintf(fds[1], sizeof fds[1], "%d", ready[1]);
    (void)snprintf(fds[2], sizeof fds[2], "%d", lifeline[0]);
    /* As a fork; unshare would leave this process without a namespace for children once that init is gone. */
    s->pid = init ? (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL) : fork();
    if (s->pid == 0) {
        (void)close(lifeline[1]);
        if (init)
            own_proc();
        run_guest((const char *const[]){"--listen-fd", fds[0], "--ready-fd", fds[1], "--lifeline-fd", fds[2], NULL},
                  args);
    }
    (void)close(ready[1]);
    (void)close(lifeline[0]);
    s->lifeline = lifeline[1];
    (void)fcntl(s->lifeline, F_SETFD, FD_CLOEXEC);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'r');
    assert_int_equal(read(ready[0], &byte, 1), 0);
    (void)close(ready[0]);
}

void server_open(struct server *s, const char *const *args)
{
    server_start(s, args, 0);
}

int server_open_init(struct server *s, const char *const *args)
{
    if (geteuid() != 0)
        return -1;
    server_start(s, args, 1);
    return 0;
}

struct client *server_connect(const struct server *s)
{
    struct client *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (const struct sockaddr *)(const void *)s->name.data, (socklen_t)s->name.len), 0);
    buf_init(&c->in, 1 << 20);
    return c;
}

void server_close(struct server *s)
{
    (void)kill(s->pid, SIGTERM);
    int status = wait_end(s->pid);
    if (s->lifeline >= 0)
        (void)close(s->lifeline);
    buf_finish(&s->name);
    assert_int_equal(status, 0);
}

/* --- saying ------------------------------------------------------------------------------------------------------- */

void message_bytes(struct message *m, unsigned tag, const void *data, size_t len)
{
    unsigned char head[8];
    wire_put16(head, tag);
    wire_put16(head + 2, 0);
    wire_put32(head + 4, (uint32_t)len);
    (void)buf_append(&m->fields, head, sizeof head);
    assert_int_equal(buf_append(&m->fields, data, len), 0);
}

void message_text(struct message *m, unsigned tag, const char *text)
{
    message_bytes(m, tag, text, strlen(text));
}

void message_number(struct message *m, unsigned tag, uint64_t value)
{
    unsigned char bytes[8];
    wire_put64(bytes, value);
    message_bytes(m, tag, bytes, sizeof bytes);
}

void message_init(struct message *m, uint64_t op)
{
    buf_init(&m->fields, 8 << 20);
    message_number(m, F_OP, op);
}

void message_argv(struct message *m, const char *const *argv)
{
    for (; *argv != NULL; argv++)
        message_text(m, F_ARG, *argv);
}

/* The peer may be gone: what comes of it is the test's to see. */
void client_write(struct client *c, const void *data, size_t len)
{
    const char *p = data;
    int64_t until = now_ms() + PATIENCE_MS;
    while (len > 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN && now_ms() < until) {
            struct pollfd w = {.fd = c->fd, .events = POLLOUT};
            (void)poll(&w, 1, 100);
            continue;
        }
        if (n < 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

void client_send(struct client *c, struct wire_head head, const void *payload)
{
    unsigned char bytes[WIRE_HEADER];
    wire_put_head(bytes, head);
    client_write(c, bytes, sizeof bytes);
    client_write(c, payload, head.len);
}

void client_data(struct client *c, uint32_t id, const void *data, size_t len, int eof)
{
    struct wire_head h = {
        .len = (uint32_t)len, .type = FRAME_DATA, .flags = eof ? (uint8_t)FLAG_EOF : 0, .stream = STREAM_IN, .id = id};
    client_send(c, h, data);
}

void client_number(struct client *c, uint32_t id, enum wire_frame type, uint32_t value)
{
    unsigned char bytes[4];
    wire_put32(bytes, value);
    client_send(c, (struct wire_head){.len = type == FRAME_CANCEL ? 0 : 4, .type = (uint8_t)type, .id = id}, bytes);
}

uint32_t client_request(struct client *c, struct message *m)
{
    uint32_t id = ++c->last_id;
    size_t at = 0;
    do {
        size_t n = m->fields.len - at < WIRE_MAX_PAYLOAD ? m->fields.len - at : WIRE_MAX_PAYLOAD;
        struct wire_head h = {.len = (uint32_t)n, .type = FRAME_REQUEST, .id = id};
        h.flags = at + n < m->fields.len ? FLAG_MORE : 0;
        client_send(c, h, m->fields.data + at);
        at += n;
    } while (at < m->fields.len);
    buf_finish(&m->fields);
    return id;
}

/* --- hearing ------------------------------------------------------------------------------------------------------ */

int client_next_within(struct client *c, struct frame *f, int ms)
{
    int64_t until = now_ms() + ms;
    for (;;) {
        if (c->in.len >= WIRE_HEADER) {
            assert_int_equal(wire_get_head((const unsigned char *)c->in.data, &f->head), 0);
            if (c->in.len - WIRE_HEADER >= f->head.len) {
                memcpy(f->payload, c->in.data + WIRE_HEADER, f->head.len);
                buf_consume(&c->in, WIRE_HEADER + f->head.len);
                return 1;
            }
        }
        char bytes[65536];
        struct pollfd w = {.fd = c->fd, .events = POLLIN};
        int64_t left = until - now_ms();
        if (left < 0 || poll(&w, 1, (int)left) == 0)
            return 0;
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return 0;
        assert_int_equal(buf_append(&c->in, bytes, (size_t)n), 0);
    }
}

int client_next(struct client *c, struct frame *f)
{
    int64_t began = now_ms();
    int got = client_next_within(c, f, PATIENCE_MS);
    if (!got && now_ms() - began >= PATIENCE_MS)
        fail_msg("the guest said nothing for %d ms", (int)PATIENCE_MS);
    return got;
}

static void copy(char *to, size_t size, const struct wire_field_view *v)
{
    size_t n = v->len < size ? v->len : size - 1;
    memcpy(to, v->data, n);
    to[n] = '\0';
}

/* Where a number goes; NULL for those that no test looks at. */
static uint64_t *number_of(struct answer *a, unsigned tag)
{
    switch (tag) {
    case F_RESULT:
        return &a->result;
    case F_OUT_BYTES:
        return &a->out_bytes;
    case F_COUNT:
        return &a->count;
    case F_NEXT:
        return &a->next;
    case F_OFFSET:
        return &a->offset;
    case F_TYPE:
        return &a->type;
    case F_MODE:
        return &a->mode;
    case F_SIZE:
        return &a->size;
    default:
        return NULL;
    }
}

static int64_t *signed_of(struct answer *a, unsigned tag)
{
    switch (tag) {
    case F_STATUS:
        return &a->status;
    case F_EXIT_CODE:
        return &a->exit_code;
    case F_TERM_SIGNAL:
        return &a->term_signal;
    case F_PID:
        return &a->pid;
    default:
        return NULL;
    }
}

void take_fields(const struct frame *f, struct answer *a)
{
    const unsigned char *p = f->payload;
    size_t left = f->head.len;
    struct wire_field_view v;
    int more, ok = 1;
    while ((more = wire_next_field(&p, &left, &v)) == 1) {
        uint64_t n = v.len == 8 ? wire_number(&v, &ok) : 0;
        if (number_of(a, v.tag) != NULL)
            *number_of(a, v.tag) = n;
        else if (signed_of(a, v.tag) != NULL)
            *signed_of(a, v.tag) = (int64_t)n;
        else if (v.tag == F_NAME)
            copy(a->name, sizeof a->name, &v);
        else if (v.tag == F_ID)
            copy(a->id, sizeof a->id, &v);
        else if (v.tag == F_MESSAGE)
            copy(a->message, sizeof a->message, &v);
    }
    assert_int_equal(more, 0);
}

uint32_t client_begin(struct client *c, const char *line, uint64_t flags)
{
    struct message m;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"/bin/sh", "-c", line, NULL});
    message_number(&m, F_FLAGS, flags);
    if ((flags & EXEC_TTY) != 0) {
        message_number(&m, F_ROWS, 24);
        message_number(&m, F_COLS, 80);
    }
    return client_request(c, &m);
}

/* 1: that was the end. */
static int take_frame(struct client *c, const struct frame *f, struct answer *a, uint64_t *credit)
{
    switch (f->head.type) {
    case FRAME_DATA:
        assert_true(f->head.stream == STREAM_OUT || f->head.stream == STREAM_ERR);
        assert_int_equal(buf_append(f->head.stream == STREAM_OUT ? &a->out : &a->err, f->payload, f->head.len), 0);
        if (f->head.len > 0) {
            unsigned char more[4];
            wire_put32(more, f->head.len);
            client_send(c,
                        (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = f->head.stream, .id = f->head.id},
                        more);
        }
        return 0;
    case FRAME_CREDIT:
        *credit += wire_get32(f->payload);
        return 0;
    case FRAME_REPLY:
        a->replies++;
        take_fields(f, a);
        client_send(c, (struct wire_head){.len = 4, .type = FRAME_CREDIT, .stream = STREAM_OUT, .id = f->head.id},
                    (unsigned char[]){(unsigned char)f->head.len, (unsigned char)(f->head.len >> 8), 0, 0});
        return 0;
    case FRAME_STARTED:
        take_fields(f, a);
        return 0;
    default:
        assert_int_equal(f->head.type, FRAME_END);
        a->status = INT64_MIN;
        take_fields(f, a);
        assert_true(a->status != INT64_MIN);
        return 1;
    }
}

void client_wait(struct client *c, uint32_t id, const void *input, size_t len, struct answer *a)
{
    const char *p = input;
    uint64_t credit = WIRE_WINDOW;
    int open = input != NULL;
    struct frame f;
    memset(a, 0, sizeof *a);
    buf_init(&a->out, 256 << 20);
    buf_init(&a->err, 256 << 20);
    for (;;) {
        while (open && (credit > 0 || len == 0)) {
            size_t n = len < WIRE_MAX_PAYLOAD ? len : WIRE_MAX_PAYLOAD;
            if (n > credit)
                n = (size_t)credit;
            open = n < len;
            client_data(c, id, p, n, !open);
            p += n;
            len -= n;
            credit -= n;
        }
        if (!client_next(c, &f))
            fail_msg("the connection ended before the answer");
        if (f.head.id == id && take_frame(c, &f, a, &credit))
            return;
    }
}

void answer_finish(struct answer *a)
{
    buf_finish(&a->out);
    buf_finish(&a->err);
}

void client_shell(struct client *c, const char *line, struct answer *a)
{
    struct message m;
    message_init(&m, OP_EXEC);
    message_argv(&m, (const char *const[]){"/bin/sh", "-c", line, NULL});
    message_number(&m, F_FLAGS, EXEC_NO_STDIN);
    client_wait(c, client_request(c, &m), NULL, 0, a);
}

void skip_test(const char *why)
{
    (void)printf("SKIP: %s\n", why);
    exit(77);
}

/* --- surroundings ------------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static char scratch_path[256];

int scratch_drop(void **state)
{
    (void)state;
    if (scratch_path[0] != '\0')
        (void)nftw(scratch_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    scratch_path[0] = '\0';
    return 0;
}

const char *scratch(void)
{
    const char *base = getenv("TMPDIR");
    if (scratch_path[0] != '\0')
        return scratch_path;
    (void)snprintf(scratch_path, sizeof scratch_path, "%s/sbx-guest-test-XXXXXX", base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(scratch_path));
    return scratch_path;
}

static int command_line_has(const char *pid, const char *marker)
{
    char path[300], text[8192];
    (void)snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    return n > 0 && memmem(text, (size_t)n, marker, strlen(marker)) != NULL;
}

int process_exists(const char *marker)
{
    CLEANUP_DIR DIR *dir = opendir("/proc");
    const struct dirent *e;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && command_line_has(e->d_name, marker))
            return 1;
    return 0;
}

int process_gone(const char *marker, int ms)
{
    for (int64_t until = now_ms() + ms; process_exists(marker); (void)usleep(5000))
        if (now_ms() > until)
            return 0;
    return 1;
}
