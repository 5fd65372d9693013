/* SPDX-License-Identifier: MIT
 *
 * test_copy.c - what sbx-guest does to trees outside of a sandbox: `copy` and `unpack`, run as the programs they are.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/guest/client.h"

static const char *guest_path(void)
{
    const char *guest = getenv("SBX_TEST_GUEST");
    return guest == NULL ? GUEST_NATIVE : guest;
}

static int sh(const char *line)
{
    char full[8192];
    (void)snprintf(full, sizeof full, "cd '%s' && { %s\n}", scratch(), line);
    int status = system(full); /* NOLINT(cert-env33-c) */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_path(const char *name, int flags)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", scratch(), name);
    int fd = open(path, flags | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

struct chore {
    int code;
    int64_t status;
    uint64_t count;
    char message[512];
};

struct started {
    pid_t pid;
    int report;
    int lifeline;
};

/* argv gets the descriptors as numbers. */
static struct started begin(const char *what, int from, int to, const char *more, const char *value)
{
    int report[2], lifeline[2];
    char numbers[3][32];
    struct started s;
    assert_int_equal(pipe(report), 0);
    assert_int_equal(pipe(lifeline), 0);
    (void)fcntl(report[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(lifeline[1], F_SETFD, FD_CLOEXEC);
    (void)snprintf(numbers[0], sizeof numbers[0], "%d", report[1]);
    (void)snprintf(numbers[1], sizeof numbers[1], "%d", lifeline[0]);
    (void)snprintf(numbers[2], sizeof numbers[2], "%d:%d", from, to);
    s.pid = fork();
    if (s.pid == 0) {
        (void)fcntl(from, F_SETFD, 0);
        (void)fcntl(to, F_SETFD, 0);
        (void)execl(guest_path(), "sbx-guest", what, "--report-fd", numbers[0], "--lifeline-fd", numbers[1], "--pair",
                    numbers[2], more, value, (char *)NULL);
        _exit(127);
    }
    (void)close(report[1]);
    (void)close(lifeline[0]);
    s.report = report[0];
    s.lifeline = lifeline[1];
    return s;
}

static void end(struct started *s, struct chore *c)
{
    unsigned char text[1024];
    size_t len = 0;
    ssize_t n;
    int wait_status = 0, ok = 1;
    struct wire_field_view f;
    while (len < sizeof text && (n = read(s->report, text + len, sizeof text - len)) > 0)
        len += (size_t)n;
    assert_int_equal(waitpid(s->pid, &wait_status, 0), s->pid);
    (void)close(s->report);
    (void)close(s->lifeline);
    *c = (struct chore){.code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status)};
    for (const unsigned char *p = text; wire_next_field(&p, &len, &f) == 1;) {
        if (f.tag == F_STATUS)
            c->status = (int64_t)wire_number(&f, &ok);
        if (f.tag == F_COUNT)
            c->count = wire_number(&f, &ok);
        if (f.tag == F_MESSAGE)
            (void)snprintf(c->message, sizeof c->message, "%.*s", (int)f.len, (const char *)f.data);
    }
    assert_true(ok);
}

static void copy(const char *from, const char *to, struct chore *c)
{
    CLEANUP_FD int first = open_path(from, O_PATH | O_DIRECTORY);
    CLEANUP_FD int second = open_path(to, O_PATH | O_DIRECTORY);
    struct started s = begin("copy", first, second, NULL, NULL);
    end(&s, c);
}

static void everything_that_a_tree_may_hold_is_copied(void **state)
{
    struct chore c;
    (void)state;
    assert_int_equal(
        sh("mkdir -p a/x/y/z b && echo one >a/x/f && ln a/x/f a/x/y/g && ln -s /etc/passwd a/l && mkfifo a/p && "
           "printf x >\"a/$(printf 'odd\\nname')\" && truncate -s 1M a/holes && echo end >>a/holes && "
           "chmod 4755 a/x/f && chmod 1777 a/x && touch -d '2001-02-03' a/x/y a/l a && echo half >a/.sbx-tmp-abc && "
           "head -c 3000000 /dev/urandom >a/bytes && echo more >>a/bytes"),
        0);
    copy("a", "b", &c);
    assert_int_equal(c.code, 0);
    assert_int_equal(c.status, SBX_OK);
    assert_int_equal(c.count, 0);
    assert_int_equal(
        sh("rm a/.sbx-tmp-abc; look() { cd $1 && find . ! -name . -printf '%p %y %m %U %s %l %n %T@\\n' | sort; find . "
           "-type f -exec cat {} + | md5sum; }; (look a) >one; (look b) >two; cmp one two && "
           "[ b/x/f -ef b/x/y/g ] && [ ! -e b/.sbx-tmp-links ] && [ $(stat -c %b b/holes) -lt 100 ]"),
        0);
}

static void sockets_are_left_out_and_counted(void **state)
{
    struct chore c;
    (void)state;
    if (sh("command -v python3 >/dev/null") != 0)
        skip_test("no python3 to make a socket with");
    assert_int_equal(
        sh("mkdir a b; echo x >a/f; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"a/s\")'"), 0);
    copy("a", "b", &c);
    assert_int_equal(c.status, SBX_OK);
    assert_int_equal(c.count, 1);
    assert_int_equal(sh("[ -f b/f ] && [ ! -e b/s ]"), 0);
}

static void too_deep_a_tree_is_refused_by_name(void **state)
{
    struct chore c;
    (void)state;
    assert_int_equal(sh("mkdir a b; p=$(printf 'd/%.0s' $(seq 800)); mkdir -p a/t0/$p; for k in 1 2 3 4 5; do mkdir -p "
                        "a/t$k/$p && mv a/t$((k - 1)) a/t$k/$p || exit 1; done"),
                     0);
    copy("a", "b", &c);
    assert_int_equal(c.code, 0);
    assert_int_equal(c.status, SBX_E_UNSUPPORTED);
    assert_non_null(strstr(c.message, "directories deep"));
    assert_int_equal(sh("rm -rf a b"), 0);
}

static void a_tree_that_changes_is_copied_or_refused_and_nothing_is_followed(void **state)
{
    struct chore c;
    (void)state;
    assert_int_equal(sh("mkdir a; for i in $(seq 40); do mkdir -p a/d$i/e; echo $i >a/d$i/e/f; done; "
                        "(end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do for i in $(seq 40); do "
                        "mv a/d$i/e a/d$i/g; ln -s /etc a/d$i/e; rm a/d$i/e; mv a/d$i/g a/d$i/e; done; done) "
                        ">/dev/null 2>&1 &"),
                     0);
    for (int round = 0; round < 30; round++) {
        assert_int_equal(sh("rm -rf b; mkdir b"), 0);
        copy("a", "b", &c);
        assert_int_equal(c.code, 0);
        /* A link may be copied as the link that it is; nothing may come from where it points to. */
        assert_int_equal(sh("! find b -name passwd | grep -q ."), 0);
    }
    assert_int_equal(sh("sleep 4; true"), 0);
}

static void owners_move_to_another_range(void **state)
{
    struct chore c;
    (void)state;
    if (geteuid() != 0)
        skip_test("only root may give files away");
    assert_int_equal(
        sh("mkdir a b; echo x >a/f; echo y >a/g; ln -s f a/l; chown -h 101000:101001 a/f a/l; chown 7 a/g"), 0);
    CLEANUP_FD int from = open_path("a", O_PATH | O_DIRECTORY);
    CLEANUP_FD int to = open_path("b", O_PATH | O_DIRECTORY);
    struct started s = begin("copy", from, to, "--owners", "100000:300000");
    end(&s, &c);
    assert_int_equal(c.status, SBX_OK);
    assert_int_equal(
        sh("[ \"$(stat -c %u:%g b/f b/l b/g | tr '\\n' ' ')\" = '301000:301001 301000:301001 365534:365534 ' ]"), 0);
}

static void a_chore_ends_when_nobody_waits_for_it(void **state)
{
    struct chore c;
    (void)state;
    assert_int_equal(sh("mkdir b; mkfifo tar"), 0);
    CLEANUP_FD int from = open_path("tar", O_RDWR); /* never at its end */
    CLEANUP_FD int to = open_path("b", O_PATH | O_DIRECTORY);
    struct started s = begin("unpack", from, to, NULL, NULL);
    (void)usleep(300000);
    int64_t before = now_ms();
    (void)close(s.lifeline);
    s.lifeline = open("/dev/null", O_RDONLY | O_CLOEXEC);
    end(&s, &c);
    assert_int_equal(c.code, 128 + SIGIO);
    assert_true(now_ms() - before < 2000);
}

static void a_tar_is_unpacked_and_a_bad_one_is_told(void **state)
{
    struct chore c;
    (void)state;
    assert_int_equal(sh("mkdir -p a/x b d; echo one >a/x/f; ln -s f a/x/l; tar -cf tar -C a .; head -c 1000 tar >cut"),
                     0);
    CLEANUP_FD int tar = open_path("tar", O_RDONLY);
    CLEANUP_FD int to = open_path("b", O_PATH | O_DIRECTORY);
    struct started s = begin("unpack", tar, to, NULL, NULL);
    end(&s, &c);
    assert_int_equal(c.status, SBX_OK);
    assert_int_equal(sh("cmp a/x/f b/x/f && [ $(readlink b/x/l) = f ]"), 0);
    CLEANUP_FD int cut = open_path("cut", O_RDONLY);
    CLEANUP_FD int other = open_path("d", O_PATH | O_DIRECTORY);
    s = begin("unpack", cut, other, NULL, NULL);
    end(&s, &c);
    assert_int_equal(c.status, SBX_E_PROTOCOL);
    assert_non_null(strstr(c.message, "tar: "));
}

static void bad_arguments_of_chores_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {"copy",
                                        "unpack",
                                        "copy --pair",
                                        "copy --pair 0:0",
                                        "copy --pair 0:0 --report-fd 1",
                                        "copy --pair 0:x --report-fd 1 --lifeline-fd 0",
                                        "copy --pair 0:0 --report-fd 99 --lifeline-fd 0",
                                        "unpack --pair 0:0 --pair 0:0 --report-fd 1 --lifeline-fd 0",
                                        "copy --owners 1 --pair 0:0 --report-fd 1 --lifeline-fd 0"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[512];
        (void)snprintf(line, sizeof line, "'%s' %s </dev/null >out 2>err; [ $? = 2 ] && [ $(wc -l <err) = 1 ]",
                       guest_path(), lines[i]);
        assert_int_equal(sh(line), 0);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        UNIT_TEST(everything_that_a_tree_may_hold_is_copied),
        UNIT_TEST(sockets_are_left_out_and_counted),
        UNIT_TEST(too_deep_a_tree_is_refused_by_name),
        UNIT_TEST(a_tree_that_changes_is_copied_or_refused_and_nothing_is_followed),
        UNIT_TEST(owners_move_to_another_range),
        UNIT_TEST(a_chore_ends_when_nobody_waits_for_it),
        UNIT_TEST(a_tar_is_unpacked_and_a_bad_one_is_told),
        UNIT_TEST(bad_arguments_of_chores_are_refused),
    };
    return RUN_TESTS("copy", tests, argc, argv);
}
