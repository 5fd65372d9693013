/* SPDX-License-Identifier: MIT
 *
 * engine_cuts.c - engine_cuts SOCKET CASE: every reply of a daemon ends after 0, 1, 2... bytes. No call may say OK for
 * what it could not read, and nothing that was made is left behind or untold.
 */
#include "sbx.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLY_LIMIT = 1 << 20, PATIENCE_MS = 30000 };

static void fail(const char *what, int bytes, const char *detail)
{
    (void)fprintf(stderr, "FAIL: %s, cut after %d bytes: %s\n", what, bytes, detail);
    exit(1);
}

/* --- the double's control places ------------------------------------------------------------------------------ */
static int connect_double(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        fail("the double", 0, "cannot be reached");
    return fd;
}

/* What one request is answered with, without the head. */
static void ask(const char *path, const char *method, const char *place, const char *body, struct buf *reply)
{
    CLEANUP_FD int fd = connect_double(path);
    char text[1024], piece[4096];
    int len = snprintf(text, sizeof text, "%s /_double/%s HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s", method, place,
                       strlen(body), body);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len || shutdown(fd, SHUT_WR) != 0)
        fail(place, 0, "the double does not listen");
    for (ssize_t n = 0; (n = recv(fd, piece, sizeof piece, 0)) > 0;)
        (void)buf_append(reply, piece, (size_t)n);
    const char *end = reply->len > 0 ? strstr(reply->data, "\r\n\r\n") : NULL;
    if (reply->failed != 0 || end == NULL || strncmp(reply->data, "HTTP/1.1 200", 12) != 0)
        fail(place, 0, "the double refuses");
    buf_consume(reply, (size_t)(end - reply->data) + 4);
}

static void tell(const char *path, const char *method, const char *place, const char *body)
{
    CLEANUP_BUF struct buf reply;
    buf_init(&reply, REPLY_LIMIT);
    ask(path, method, place, body, &reply);
}

static int length_of(const char *path, const char *what)
{
    CLEANUP_BUF struct buf reply;
    char place[128];
    buf_init(&reply, REPLY_LIMIT);
    (void)snprintf(place, sizeof place, "length?of=%s", what);
    ask(path, "GET", place, "", &reply);
    return reply.len > 0 ? (int)strtol(reply.data, NULL, 10) : 0;
}

/* Containers that are ours. */
static int count_containers(const char *path)
{
    CLEANUP_BUF struct buf reply;
    int count = 0;
    buf_init(&reply, REPLY_LIMIT);
    ask(path, "GET", "containers", "", &reply);
    for (const char *at = reply.data; at != NULL && (at = strstr(at, "\"/sbx-")) != NULL; at++)
        count++;
    return count;
}

/* --- calls ---------------------------------------------------------------------------------------------------- */
static const struct sbx_call_options patience = {.size = sizeof patience, .deadline_ms = PATIENCE_MS};

static sbx_status run_in(sbx_sandbox *box, struct sbx_error *error)
{
    const struct sbx_exec_options options = {.size = sizeof options, .command = "echo hello"};
    sbx_op *op = NULL;
    size_t len = 0;
    sbx_status status = sbx_exec_capture(box, &options, &patience, &op, error);
    const char *out = status == SBX_OK ? sbx_op_output(op, 1, &len) : NULL;
    if (status == SBX_OK && (len != 6 || memcmp(out, "hello\n", 6) != 0))
        fail("exec", 0, "OK without its output");
    sbx_op_free(op);
    return status;
}

static sbx_status create(sbx_context *ctx, struct sbx_error *error)
{
    sbx_sandbox *box = NULL;
    sbx_status status = sbx_create(ctx, NULL, &patience, &box, error);
    if (status == SBX_OK && run_in(box, error) != SBX_OK)
        fail("create", 0, "OK, but nothing runs in it");
    if (status == SBX_OK && sbx_remove(box, &patience, error) != SBX_OK)
        fail("create", 0, "OK, but it cannot be removed");
    sbx_release(box);
    return status;
}

static sbx_status remove_one(sbx_context *ctx, struct sbx_error *error)
{
    sbx_sandbox *box = NULL;
    sbx_status status = sbx_create(ctx, NULL, &patience, &box, error);
    if (status != SBX_OK)
        fail("remove", 0, error->message);
    status = sbx_remove(box, &patience, error);
    sbx_release(box);
    return status;
}

static void count_it(void *user, const struct sbx_info *info)
{
    (void)info;
    ++*(int *)user;
}

/* The list has the one container that the driver made. */
static sbx_status list(sbx_context *ctx, struct sbx_error *error)
{
    const struct sbx_list_options options = {.size = sizeof options, .provider = "d"};
    int count = 0;
    sbx_status status = sbx_list(ctx, &options, &patience, count_it, &count, error);
    if (status == SBX_OK && count != 1)
        fail("list", 0, "OK, and not all of it");
    return status;
}

static sbx_status attach(sbx_context *ctx, struct sbx_error *error)
{
    sbx_sandbox *box = NULL;
    sbx_status status = sbx_attach(ctx, "d/theirs", &patience, &box, error);
    if (status == SBX_OK)
        status = run_in(box, error);
    sbx_release(box);
    return status;
}

/* --- cases ---------------------------------------------------------------------------------------------------- */
struct kind {
    const char *name;
    const char *method;
    const char *path;
    const char *length;                                            /* how the double calls that reply */
    sbx_status (*call)(sbx_context *ctx, struct sbx_error *error); /* makes such a request */
    int may_succeed;                                               /* the outcome can be learned in another way */
};
static const struct kind kinds[] = {
    {"ping", "GET", "/_ping", "GET+_ping", list, 0},
    {"image", "GET", "/images/*/json", "GET+images+json", create, 0},
    {"create", "POST", "/containers/create", "POST+containers", create, 1},
    {"start", "POST", "/containers/*/start", "POST+containers+start", create, 0},
    {"remove", "DELETE", "/containers/*", "DELETE+containers", remove_one, 0},
    {"list", "GET", "/containers/json", "GET+containers", list, 0},
    {"inspect", "GET", "/containers/theirs/json", "GET+containers+json", attach, 0},
    {"look", "HEAD", "/containers/*/archive", "HEAD+containers+archive", attach, 0},
    {"exec", "POST", "/containers/*/exec", "POST+containers+exec", attach, 0},
    {"stream", "POST", "/exec/*/start", "POST+exec+start", attach, 0},
};

static sbx_context *open_context(void)
{
    struct sbx_error error = {.size = sizeof error};
    sbx_context *ctx = NULL;
    if (sbx_open(NULL, &ctx, &error) != SBX_OK)
        fail("open", 0, error.message);
    return ctx;
}

/* One call whose reply is cut; 1: it said OK. */
static int cut(const char *path, const struct kind *kind, int bytes, int left)
{
    struct sbx_error error = {.size = sizeof error};
    char rule[256];
    (void)snprintf(rule, sizeof rule, "{\"do\":\"cut\",\"method\":\"%s\",\"path\":\"%s\",\"bytes\":%d,\"times\":0}",
                   kind->method, kind->path, bytes);
    sbx_context *ctx = open_context();
    tell(path, "POST", "faults", rule);
    sbx_status status = kind->call(ctx, &error);
    tell(path, "DELETE", "faults", "");
    if (status != SBX_OK && error.message[0] == '\0')
        fail(kind->name, bytes, "no word about why");
    if (status == SBX_E_TIMEOUT)
        fail(kind->name, bytes, "it waited");
    if (count_containers(path) > left && status != SBX_E_UNKNOWN && (error.flags & SBX_ERR_MAYBE_APPLIED) == 0)
        fail(kind->name, bytes, "a container is left, and nothing said so");
    if (list(ctx, &error) != SBX_OK || count_containers(path) != left)
        fail(kind->name, bytes, "what was left is not swept");
    sbx_close(ctx);
    return status == SBX_OK;
}

static int run(const char *path, const struct kind *kind)
{
    struct sbx_error error = {.size = sizeof error};
    sbx_context *ctx = open_context();
    sbx_sandbox *standing = NULL;
    if (sbx_create(ctx, NULL, &patience, &standing, &error) != SBX_OK || list(ctx, &error) != SBX_OK ||
        attach(ctx, &error) != SBX_OK || kind->call(ctx, &error) != SBX_OK)
        fail(kind->name, -1, error.message);
    int length = length_of(path, kind->length), fine = 0;
    if (length < 10)
        fail(kind->name, length, "that was no reply");
    for (int bytes = 0; bytes < length; bytes++) {
        int ok = cut(path, kind, bytes, 1);
        if (ok && !kind->may_succeed)
            fail(kind->name, bytes, "OK without a whole reply");
        fine += ok;
    }
    (void)printf("%s: %d replies cut, %d outcomes learned all the same\n", kind->name, length, fine);
    if (kind->may_succeed && fine == 0)
        fail(kind->name, length, "no lost outcome was found again");
    if (sbx_remove(standing, &patience, &error) != SBX_OK)
        fail(kind->name, -1, error.message);
    sbx_release(standing);
    sbx_close(ctx);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 3 && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, argv[2]) == 0)
            return run(argv[1], &kinds[i]);
    (void)fprintf(stderr, "usage: engine_cuts SOCKET CASE\n");
    return 2;
}
