/* SPDX-License-Identifier: MIT
 *
 * test_isolation.c - what a command in a sandbox can see and do, tried from inside. The same program is run by root, by
 * an ordinary user with subordinate ids and by one without.
 */
#include "tests/local/lab.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CANARY "canary-5f3c1e9a"

struct box {
    struct lab lab;
    struct sbx_handle *handle;
};

static int setup(void **state)
{
    struct box *box = calloc(1, sizeof *box);
    *state = box;
    if (box == NULL || setenv("SBX_TEST_SECRET", CANARY, 1) != 0)
        return -1;
    if (lab_open(&box->lab, NULL, NULL, 0) != SBX_OK || lab_create(&box->lab, NULL, &box->handle) != SBX_OK) {
        (void)fprintf(stderr, "%s\n", box->lab.error.message);
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    struct box *box = *state;
    int failed = box->handle != NULL && lab_remove(&box->lab, box->handle) != SBX_OK;
    lab_close(&box->lab);
    free(box);
    return failed;
}

/* What a shell line prints on both streams; the caller frees. */
static char *say(struct box *box, const char *line)
{
    struct lab_result result;
    sbx_status status = lab_shell(&box->lab, box->handle, line, &result);
    if (status != SBX_OK)
        fail_msg("%s: %d: %s", line, status, box->lab.error.message);
    (void)buf_append(&result.out, result.err.data, result.err.len);
    char *text = buf_steal(&result.out);
    lab_result_finish(&result);
    assert_non_null(text);
    return text;
}

struct source {
    FILE *file;
};

static int64_t read_file(void *user, void *buf, size_t cap)
{
    return (int64_t)fread(buf, 1, cap, ((struct source *)user)->file);
}

/* Puts the probe into the sandbox. */
static void put_probe(struct box *box)
{
    struct source source = {fopen(LOCAL_PROBE, "re")};
    assert_non_null(source.file);
    struct sbx_source in = {.size = sizeof in, .user = &source, .read = read_file};
    struct sbx_write_args args = {.size = sizeof args, .flags = SBX_WRITE_HAS_MODE, .mode = 0755};
    assert_int_equal(
        box->lab.plugin->handle->write_file(box->handle, lab_call(&box->lab, 30000), "/tmp/probe", &args, &in), SBX_OK);
    (void)fclose(source.file);
}

static void expect_line(const char *text, const char *line)
{
    char wanted[128];
    int n = snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(text, wanted) == NULL && strncmp(text, wanted + 1, (size_t)n - 1) != 0)
        fail_msg("no line '%s' in:\n%s", line, text);
}

static void no_descriptor_but_the_three_standard_ones(void **state)
{
    struct box *box = *state;
    put_probe(box);
    CLEANUP_FREE char *text = say(box, "/tmp/probe </dev/null 2>&1 | grep ^fd");
    assert_string_equal(text, "fd 0\nfd 1\nfd 2\n");
}

static void kernel_interfaces_are_refused(void **state)
{
    static const char *const refused[] = {"tiocsti EPERM",
                                          "tiocsti-high-bits EPERM",
                                          "tioclinux EPERM",
                                          "controlling-terminal ENXIO",
                                          "ptrace-attach EPERM",
                                          "guest-memory EACCES",
                                          "guest-environ EACCES",
                                          "guest-fds EACCES",
                                          "guest-root EACCES",
                                          "unshare-user ENOSPC",
                                          "unshare-mount EPERM",
                                          "mount EPERM",
                                          "chroot EPERM",
                                          "add-key EPERM",
                                          "keyctl EPERM",
                                          "bpf EPERM",
                                          "perf EPERM",
                                          "userfaultfd EPERM",
                                          "io-uring EPERM",
                                          "open-by-handle EPERM",
                                          "raw-socket EPERM",
                                          "setuid-root EPERM",
                                          "core 0",
                                          "pty ok"};
    struct box *box = *state;
    put_probe(box);
    CLEANUP_FREE char *text = say(box, "/tmp/probe </dev/null");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(refused[i], "setuid-root EPERM") != 0 || strstr(text, "setuid-root EINVAL\n") == NULL)
            expect_line(text, refused[i]);
    assert_null(strstr(text, "sysctl ok"));
    assert_null(strstr(text, "sysrq ok"));
    assert_null(strstr(text, "guest-overwrite ok"));
}

static int listen_at(const char *text, int abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path + (abstract ? 1 : 0), text, strlen(text));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(text));
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void host_sockets_are_out_of_reach(void **state)
{
    struct box *box = *state;
    char path[128], line[256], name[64];
    (void)snprintf(path, sizeof path, "%s/host.sock", box->lab.dir);
    (void)snprintf(name, sizeof name, "sbx-test-%d", (int)getpid());
    CLEANUP_FD int abstract = listen_at(name, 1);
    CLEANUP_FD int by_path = listen_at(path, 0);
    (void)abstract;
    (void)by_path;
    put_probe(box);
    (void)snprintf(line, sizeof line, "/tmp/probe %s %s", name, path);
    CLEANUP_FREE char *text = say(box, line);
    expect_line(text, "abstract-socket ECONNREFUSED");
    expect_line(text, "path-socket ENOENT");
    CLEANUP_FREE char *sockets = say(box, "find / -type s 2>/dev/null; awk 'NR > 1 && NF > 7' /proc/net/unix");
    assert_string_equal(sockets, ""); /* none with a name */
}

static void host_environment_and_secrets_do_not_show(void **state)
{
    struct box *box = *state;
    struct sbx_kv env = {"CREATE_SECRET", "create-" CANARY};
    struct sbx_create_args args = {.size = sizeof args, .envs = {&env, 1}};
    struct sbx_handle *other = NULL;
    CLEANUP_FREE char *text = say(box, "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'");
    assert_null(strstr(text, CANARY));
    assert_int_equal(lab_create(&box->lab, &args, &other), SBX_OK);
    struct box second = {box->lab, other};
    CLEANUP_FREE char *own = say(&second, "echo $CREATE_SECRET");
    assert_string_equal(own, "create-" CANARY "\n");
    CLEANUP_FREE char *init = say(&second, "cat /proc/1/environ /proc/1/cmdline /proc/2/cmdline | tr '\\0' '\\n'");
    assert_null(strstr(init, CANARY));
    assert_int_equal(lab_remove(&box->lab, other), SBX_OK);
}

static void nothing_is_writable_but_the_private_directories(void **state)
{
    struct box *box = *state;
    CLEANUP_FREE char *text =
        say(box, "find / \\( -path /proc -o -path /tmp -o -path /home/sandbox -o -path /workspace -o -path /dev/shm "
                 "-o -path /dev/pts \\) -prune -o ! -type l -writable -print 2>/dev/null | "
                 "grep -vxE '/dev/(null|zero|full|random|urandom|tty)'");
    assert_string_equal(text, "");
    CLEANUP_FREE char *made = say(box, "for d in / /usr /etc /dev /home /.sbx; do touch $d/x 2>/dev/null && echo $d; "
                                       "done; for d in /tmp /home/sandbox /workspace /dev/shm; do touch $d/x || "
                                       "echo no $d; done");
    assert_string_equal(made, "");
}

static void host_files_and_processes_are_not_there(void **state)
{
    struct box *box = *state;
    char line[256];
    CLEANUP_FREE char *text = say(box, "ls -d /run /root /mnt /media /opt /srv /boot /sys /etc/shadow /etc/ssh "
                                       "/var/lib 2>/dev/null");
    assert_string_equal(text, "");
    (void)snprintf(line, sizeof line, "ls %s 2>&1 | wc -l; ls /tmp | wc -l", box->lab.dir);
    CLEANUP_FREE char *tmp = say(box, line);
    assert_string_equal(tmp, "1\n0\n");
    CLEANUP_FREE char *processes = say(box, "cat /proc/[0-9]*/comm | grep -vxE 'cat|grep|guest|sh'");
    assert_string_equal(processes, "");
    (void)snprintf(line, sizeof line, "kill -0 %d 2>/dev/null && echo alive", (int)getpid());
    if (getpid() > 200) {
        CLEANUP_FREE char *killed = say(box, line);
        assert_string_equal(killed, "");
    }
}

static void network_is_loopback_alone_and_works(void **state)
{
    struct box *box = *state;
    CLEANUP_FREE char *text = say(box, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '");
    assert_string_equal(text, "lo\n");
    CLEANUP_FREE char *echoed = say(
        box, "python3 -c 'import socket,threading\n"
             "s=socket.socket();s.bind((\"127.0.0.1\",0));s.listen(1)\n"
             "c=socket.create_connection(s.getsockname());a,_=s.accept();c.send(b\"hi\");print(a.recv(2).decode())\n"
             "import errno\n"
             "try: socket.create_connection((\"192.0.2.1\",80),2)\n"
             "except OSError as e: print(errno.errorcode[e.errno])'");
    assert_string_equal(echoed, "hi\nENETUNREACH\n");
}

static void commands_run_as_the_sandbox_user_in_its_directory(void **state)
{
    struct box *box = *state;
    char users[32];
    CLEANUP_FREE char *text =
        say(box, "id -un; id -u; id -G; pwd; echo $HOME; umask; id -u >/tmp/f && stat -c %U /tmp/f");
    assert_string_equal(text, "sandbox\n1000\n1000\n/workspace\n/home/sandbox\n0022\nsandbox\n");
    const char *expected = getenv("SBX_TEST_USERS") != NULL ? getenv("SBX_TEST_USERS") : "mapped";
    assert_string_equal(lab_fact(&box->lab, box->handle, "provider.users", users, sizeof users), expected);
    if (strcmp(expected, "mapped") == 0) {
        CLEANUP_FREE char *owner = say(box, "stat -c %u /proc/1 /proc/self/");
        assert_string_equal(owner, "0\n1000\n");
    }
}

static void commands_cannot_end_or_stop_the_guest(void **state)
{
    struct box *box = *state;
    struct lab_result result;
    /* With one user for all it may end the process that waits for it: then its end is not known, and nothing else. */
    for (int i = 0; i < 20; i++) {
        (void)lab_shell(&box->lab, box->handle, "kill -9 1; kill -STOP 1; kill -TERM 1; kill -9 -1", &result);
        lab_result_finish(&result);
        CLEANUP_FREE char *text = say(box, "echo still here"); /* though what waits for commands was killed, too */
        assert_string_equal(text, "still here\n");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_descriptor_but_the_three_standard_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(kernel_interfaces_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(host_sockets_are_out_of_reach, setup, teardown),
        cmocka_unit_test_setup_teardown(host_environment_and_secrets_do_not_show, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_writable_but_the_private_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(host_files_and_processes_are_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(network_is_loopback_alone_and_works, setup, teardown),
        cmocka_unit_test_setup_teardown(commands_run_as_the_sandbox_user_in_its_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(commands_cannot_end_or_stop_the_guest, setup, teardown),
    };
    /* Descriptors that a careless host leaves open must not arrive inside. */
    int leaked = open("/", O_RDONLY | O_DIRECTORY);
    if (leaked < 0 || !lab_works())
        return 77;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)close(leaked);
    return failed;
}
