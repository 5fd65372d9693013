/* SPDX-License-Identifier: MIT
 *
 * test_relay.c - a guest that makes its socket itself, and the command that carries a connection to it.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/client.h"

struct place {
    char dir[64];
    char path[80];
    pid_t guest;
};

static const char *guest_path(void)
{
    const char *guest = getenv("SBX_TEST_GUEST");
    return guest == NULL ? GUEST_NATIVE : guest;
}

static void place_make(struct place *p)
{
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/sbx-relay-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof p->path, "%s/sock", p->dir);
}

static void place_serve(struct place *p, const char *option)
{
    p->guest = fork();
    assert_true(p->guest >= 0);
    if (p->guest == 0) {
        (void)execl(guest_path(), "sbx-guest", "serve", "--listen", p->path, option, (char *)NULL);
        _exit(127);
    }
}

static void place_end(struct place *p)
{
    int status = 0;
    (void)kill(p->guest, SIGTERM);
    assert_int_equal(waitpid(p->guest, &status, 0), p->guest);
    assert_int_equal(status, 0);
    (void)unlink(p->path);
    (void)rmdir(p->dir);
}

/* A connection through a relay; its client_close expects that to end with 0. */
static struct client *relay_to(const struct place *p)
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
        (void)execl(guest_path(), "sbx-guest", "relay", p->path, (char *)NULL);
        _exit(127);
    }
    (void)close(pair[1]);
    c->fd = pair[0];
    buf_init(&c->in, 1 << 20);
    return c;
}

static void a_relay_waits_for_the_guest_and_carries_everything(void **state)
{
    struct place p;
    struct answer a;
    struct stat st;
    (void)state;
    place_make(&p);
    struct client *early = relay_to(&p);
    place_serve(&p, "--any-peer");
    client_greet(early);
    assert_int_equal(stat(p.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    client_shell(early, "head -c 3000000 /dev/zero | tr '\\0' x", &a);
    assert_int_equal(a.exit_code, 0);
    assert_int_equal(a.out.len, 3000000);
    assert_int_equal(strspn(a.out.data, "x"), 3000000);
    answer_finish(&a);
    struct client *late = relay_to(&p);
    client_greet(late);
    client_shell(late, "echo ok", &a);
    assert_string_equal(a.out.data, "ok\n");
    answer_finish(&a);
    client_close(late);
    client_close(early);
    place_end(&p);
}

static void a_relay_ends_with_the_guest(void **state)
{
    struct place p;
    struct frame f;
    (void)state;
    place_make(&p);
    place_serve(&p, "--any-peer");
    struct client *c = relay_to(&p);
    client_greet(c);
    place_end(&p);
    assert_int_equal(client_next(c, &f), 0);
    client_close(c);
}

/* Its parent is in the guest's pid namespace, as that of every process of a sandbox is. */
static void a_relay_from_inside_is_served_nothing(void **state)
{
    struct place p;
    struct frame f;
    (void)state;
    place_make(&p);
    place_serve(&p, NULL);
    struct client *c = relay_to(&p);
    assert_int_equal(client_next(c, &f), 0);
    client_close(c);
    place_end(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_waits_for_the_guest_and_carries_everything),
        cmocka_unit_test(a_relay_ends_with_the_guest),
        cmocka_unit_test(a_relay_from_inside_is_served_nothing),
    };
    return RUN_TESTS("guest relay", tests, argc, argv);
}
