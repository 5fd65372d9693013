/* SPDX-License-Identifier: MIT
 *
 * test_meet.c - a guest as a container engine starts it: handed its socket over another one, with a user by name, a
 * working directory to make and capabilities to keep.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/guest/client.h"

struct meeting {
    char dir[64];
    char path[80];
    int at; /* where the guest asks */
    pid_t pid;
};

static const char *guest_path(void)
{
    const char *guest = getenv("SBX_TEST_GUEST");
    return guest == NULL ? GUEST_NATIVE : guest;
}

static int listen_at(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int connect_to(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static void meeting_open(struct meeting *m)
{
    (void)snprintf(m->dir, sizeof m->dir, "/tmp/sbx-meet-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    (void)snprintf(m->path, sizeof m->path, "%s/meet", m->dir);
    m->at = listen_at(m->path);
    m->pid = fork();
    if (m->pid == 0) {
        (void)execl(guest_path(), "sbx-guest", "serve", "--any-peer", "--meet", m->path, (char *)NULL);
        _exit(127);
    }
}

/* Hands over `count` descriptors. */
static void hand_over(int to, const int *fds, size_t count)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {.space = {0}};
    struct iovec text = {.iov_base = (char[]){'s'}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.head = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
        memcpy(CMSG_DATA(&control.head), fds, count * sizeof *fds);
    }
    assert_int_equal(sendmsg(to, &message, MSG_NOSIGNAL), 1);
}

static int meeting_end(struct meeting *m)
{
    int status = 0;
    char path[96];
    assert_int_equal(waitpid(m->pid, &status, 0), m->pid);
    (void)snprintf(path, sizeof path, "%s/sock", m->dir);
    (void)unlink(path);
    (void)unlink(m->path);
    (void)rmdir(m->dir);
    (void)close(m->at);
    return WEXITSTATUS(status);
}

static void a_guest_is_handed_its_socket_and_lifeline(void **state)
{
    struct meeting m;
    char sock[96], byte = 0;
    int lifeline[2];
    (void)state;
    meeting_open(&m);
    (void)snprintf(sock, sizeof sock, "%s/sock", m.dir);
    assert_int_equal(pipe2(lifeline, O_CLOEXEC), 0);
    int listener = listen_at(sock);
    int boot = accept4(m.at, NULL, NULL, SOCK_CLOEXEC);
    hand_over(boot, (const int[]){listener, lifeline[0]}, 2);
    (void)close(listener);
    (void)close(lifeline[0]);
    assert_int_equal(read(boot, &byte, 1), 1);
    assert_int_equal(byte, 'r');
    assert_int_equal(read(boot, &byte, 1), 0);
    (void)close(boot);
    int fd = connect_to(sock); /* somebody listens: the guest */
    (void)close(lifeline[1]);
    assert_int_equal(read(fd, &byte, 1), 0);
    (void)close(fd);
    assert_int_equal(meeting_end(&m), 0);
}

static void a_guest_that_is_handed_nothing_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct meeting m;
        meeting_open(&m);
        int boot = accept4(m.at, NULL, NULL, SOCK_CLOEXEC);
        if (i == 1)
            hand_over(boot, NULL, 0);
        (void)close(boot);
        assert_int_equal(meeting_end(&m), 1);
    }
}

static void root_keeps_capabilities_where_they_are_kept(void **state)
{
    struct answer a;
    struct message m;
    (void)state;
    if (geteuid() != 0)
        skip_test("only root has capabilities to keep");
    struct client *c = client_open((const char *const[]){"--keep-caps", NULL});
    client_shell(c, "grep -cE 'CapEff:.0000000000000000|NoNewPrivs:.1' /proc/self/status", &a);
    assert_string_equal(a.out.data, "0\n");
    answer_finish(&a);
    message_init(&m, OP_EXEC);
    message_argv(
        &m, (const char *const[]){"grep", "-cE", "Cap(Eff|Prm|Inh|Amb):.0000000000000000", "/proc/self/status", NULL});
    message_text(&m, F_USER, "65534:65534");
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_string_equal(a.out.data, "4\n");
    answer_finish(&a);
    client_close(c);
}

static void the_default_user_may_be_a_name_and_owns_the_working_directory(void **state)
{
    struct answer a;
    char dir[] = "/tmp/sbx-workdir-XXXXXX", path[64];
    (void)state;
    if (geteuid() != 0)
        skip_test("only root can serve another user");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/a/b", dir);
    struct client *c =
        client_open((const char *const[]){"--user", "nobody:root", "--workdir", path, "--make-workdir", NULL});
    client_shell(c, "id -un; id -g; pwd; echo x >own; stat -c %U .", &a);
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(strlen(path) - 4), path);
    char want[128];
    (void)snprintf(want, sizeof want, "nobody\n0\n%s\nnobody\n", path);
    assert_string_equal(a.out.data, want);
    answer_finish(&a);
    client_shell(c, "rm own", &a);
    answer_finish(&a);
    client_close(c);
    assert_int_equal(rmdir(path), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_is_handed_its_socket_and_lifeline),
        cmocka_unit_test(a_guest_that_is_handed_nothing_ends),
        cmocka_unit_test(root_keeps_capabilities_where_they_are_kept),
        cmocka_unit_test(the_default_user_may_be_a_name_and_owns_the_working_directory),
    };
    return RUN_TESTS("guest meeting", tests, argc, argv);
}
