/* SPDX-License-Identifier: MIT
 *
 * test_files.c - file operations: what they do, whose rights they have, which code each failure has.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/guest/client.h"

/* `user` may be NULL. */
static struct message file_message(uint64_t op, const char *path, const char *user)
{
    struct message m;
    message_init(&m, op);
    message_text(&m, F_PATH, path);
    if (user != NULL)
        message_text(&m, F_USER, user);
    return m;
}

static void do_op(struct client *c, uint64_t op, const char *path, const char *user, uint64_t flags, struct answer *a)
{
    struct message m = file_message(op, path, user);
    if (flags != 0)
        message_number(&m, F_FLAGS, flags);
    client_wait(c, client_request(c, &m), NULL, 0, a);
}

static int64_t status_of_op(struct client *c, uint64_t op, const char *path, const char *user, uint64_t flags)
{
    struct answer a;
    do_op(c, op, path, user, flags, &a);
    int64_t status = a.status;
    if (status != SBX_OK)
        assert_true(a.message[0] != '\0');
    answer_finish(&a);
    return status;
}

static int64_t put(struct client *c, const char *path, const char *text, uint64_t flags, const char *user)
{
    struct answer a;
    struct message m = file_message(OP_WRITE, path, user);
    message_number(&m, F_FLAGS, flags);
    client_wait(c, client_request(c, &m), text, strlen(text), &a);
    int64_t status = a.status;
    answer_finish(&a);
    return status;
}

static void expect_content(struct client *c, const char *path, const char *text)
{
    struct answer a;
    do_op(c, OP_READ, path, NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.type, SBX_FILE_REGULAR);
    assert_int_equal(a.size, strlen(text));
    assert_int_equal(a.out.len, strlen(text));
    assert_memory_equal(a.out.len == 0 ? "" : a.out.data, text, strlen(text));
    answer_finish(&a);
}

static struct client *open_in(const char *dir)
{
    return client_open((const char *const[]){"--workdir", dir, "--home", "/tmp", NULL});
}

static const char *at(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *p = paths[next++ % 8];
    (void)snprintf(p, 512, "%s/%s", scratch(), name);
    return p;
}

static void make(const char *name, const char *text, mode_t mode)
{
    CLEANUP_FD int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static void written_bytes_are_read_back(void **state)
{
    struct client *c = open_in(scratch());
    size_t len = 10u << 20;
    char *data = malloc(len);
    struct answer a;
    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 7 + (i >> 8));
    struct message m = file_message(OP_WRITE, "big", NULL);
    message_number(&m, F_LENGTH, len);
    client_wait(c, client_request(c, &m), data, len, &a);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    do_op(c, OP_READ, at("big"), NULL, 0, &a);
    assert_int_equal(a.out.len, len);
    assert_memory_equal(a.out.data, data, len);
    answer_finish(&a);
    free(data);
    client_close(c);
}

static void an_empty_file_is_a_file(void **state)
{
    struct client *c = open_in(scratch());
    (void)state;
    assert_int_equal(put(c, "nothing", "", 0, NULL), SBX_OK);
    expect_content(c, "nothing", "");
    client_close(c);
}

static void parts_of_a_file_can_be_read(void **state)
{
    struct client *c = open_in(scratch());
    static const struct {
        uint64_t offset;
        uint64_t limit;
        const char *text;
    } cases[] = {{0, 3, "012"}, {4, 2, "45"}, {8, 100, "89"}, {10, 0, ""}, {99, 5, ""}, {2, 0, "23456789"}};
    (void)state;
    assert_int_equal(put(c, "digits", "0123456789", 0, NULL), SBX_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a;
        struct message m = file_message(OP_READ, "digits", NULL);
        message_number(&m, F_OFFSET, cases[i].offset);
        message_number(&m, F_LIMIT, cases[i].limit);
        client_wait(c, client_request(c, &m), NULL, 0, &a);
        assert_int_equal(a.status, SBX_OK);
        assert_int_equal(a.size, 10);
        assert_int_equal(a.out.len, strlen(cases[i].text));
        assert_memory_equal(a.out.len == 0 ? "" : a.out.data, cases[i].text, a.out.len);
        answer_finish(&a);
    }
    client_close(c);
}

static void a_size_limit_is_checked_before_any_byte(void **state)
{
    struct client *c = open_in(scratch());
    struct answer a;
    (void)state;
    assert_int_equal(put(c, "ten", "0123456789", 0, NULL), SBX_OK);
    struct message m = file_message(OP_READ, "ten", NULL);
    message_number(&m, F_MAX_SIZE, 9);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_TOO_LARGE);
    assert_int_equal(a.out.len, 0);
    assert_non_null(strstr(a.message, "9"));
    answer_finish(&a);
    client_close(c);
}

static void failures_of_reading_have_their_four_codes(void **state)
{
    struct client *c = open_in(scratch());
    (void)state;
    make("file", "x", 0644);
    assert_int_equal(mkdir(at("dir"), 0755), 0);
    assert_int_equal(symlink("dir", at("to-dir")), 0);
    assert_int_equal(symlink("file", at("to-file")), 0);
    assert_int_equal(symlink("loop", at("loop")), 0);
    assert_int_equal(mkfifo(at("fifo"), 0644), 0);
    static const struct {
        const char *path;
        int64_t status;
    } cases[] = {{"missing", SBX_E_NOT_FOUND},
                 {"file/x", SBX_E_NOT_FOUND},
                 {"https:/en.wikipedia.org/wiki/Bart%C5%82omiej", SBX_E_NOT_FOUND},
                 {"dir", SBX_E_IS_DIR},
                 {"dir/", SBX_E_IS_DIR},
                 {"dir/..", SBX_E_IS_DIR},
                 {".", SBX_E_IS_DIR},
                 {"/", SBX_E_IS_DIR},
                 {"to-dir", SBX_E_IS_DIR},
                 {"to-file", SBX_OK},
                 {".//file", SBX_OK},
                 {"loop", SBX_E_BAD_PATH},
                 {"fifo", SBX_E_BAD_PATH},
                 {"/dev/zero", SBX_E_BAD_PATH},
                 {"", SBX_E_BAD_PATH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(status_of_op(c, OP_READ, cases[i].path, NULL, 0), cases[i].status);
    client_close(c);
}

static void a_path_with_a_nul_byte_is_a_bad_path(void **state)
{
    struct client *c = open_in(scratch());
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_READ);
    message_bytes(&m, F_PATH, "a\0b", 3);
    client_wait(c, client_request(c, &m), NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_BAD_PATH);
    answer_finish(&a);
    client_close(c);
}

static void failures_of_writing_leave_everything_as_it_was(void **state)
{
    struct client *c = open_in(scratch());
    (void)state;
    make("file", "old", 0644);
    assert_int_equal(mkdir(at("dir"), 0755), 0);
    assert_int_equal(put(c, "dir", "x", 0, NULL), SBX_E_IS_DIR);
    assert_int_equal(put(c, "dir/", "x", 0, NULL), SBX_E_IS_DIR);
    assert_int_equal(put(c, "new/", "x", 0, NULL), SBX_E_IS_DIR);
    assert_int_equal(put(c, "dir/..", "x", 0, NULL), SBX_E_IS_DIR);
    assert_int_equal(put(c, "file/x", "x", 0, NULL), SBX_E_NOT_FOUND);
    assert_int_equal(put(c, "file/x", "x", SBX_WRITE_PARENTS, NULL), SBX_E_NOT_FOUND);
    assert_int_equal(put(c, "no/dir/x", "x", 0, NULL), SBX_E_NOT_FOUND);
    assert_int_equal(put(c, "file", "x", SBX_WRITE_EXCL, NULL), SBX_E_EXISTS);
    assert_int_equal(put(c, "/proc/self/oom_score_adj", "x", 0, NULL), SBX_E_PERMISSION);
    expect_content(c, "file", "old");
    struct message m = file_message(OP_WRITE, "file", NULL);
    struct answer a;
    message_number(&m, F_LENGTH, 5);
    client_wait(c, client_request(c, &m), "four", 4, &a);
    assert_int_equal(a.status, SBX_E_INVALID);
    answer_finish(&a);
    m = file_message(OP_WRITE, "file", NULL);
    message_number(&m, F_LENGTH, 5);
    client_wait(c, client_request(c, &m), "sixsix", 6, &a);
    assert_int_equal(a.status, SBX_E_INVALID);
    answer_finish(&a);
    expect_content(c, "file", "old");
    client_shell(c, "ls -A | grep sbx-tmp", &a);
    assert_int_equal(a.exit_code, 1);
    answer_finish(&a);
    client_close(c);
}

static void a_cut_off_write_leaves_the_old_file(void **state)
{
    (void)state;
    make("file", "old", 0644);
    struct client *c = open_in(scratch());
    struct message m = file_message(OP_WRITE, "file", NULL);
    uint32_t id = client_request(c, &m);
    client_data(c, id, "new", 3, 0);
    client_close(c);
    c = open_in(scratch());
    expect_content(c, "file", "old");
    m = file_message(OP_WRITE, "file", NULL);
    id = client_request(c, &m);
    client_data(c, id, "new", 3, 0);
    client_number(c, id, FRAME_CANCEL, 0);
    struct answer a;
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    expect_content(c, "file", "old");
    client_shell(c, "ls -A | grep sbx-tmp", &a);
    assert_int_equal(a.exit_code, 1);
    answer_finish(&a);
    client_close(c);
}

static void modes_and_owners_survive_a_write(void **state)
{
    struct stat st;
    struct client *c = open_in(scratch());
    (void)state;
    make("file", "a longer old content", 0640);
    assert_int_equal(put(c, "file", "new", 0, NULL), SBX_OK);
    expect_content(c, "file", "new");
    assert_int_equal(stat(at("file"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(put(c, "fresh", "new", 0, NULL), SBX_OK);
    assert_int_equal(stat(at("fresh"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    struct message m = file_message(OP_WRITE, "script", NULL);
    struct answer a;
    message_number(&m, F_MODE, 0755);
    client_wait(c, client_request(c, &m), "#!", 2, &a);
    answer_finish(&a);
    assert_int_equal(stat(at("script"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    client_close(c);
}

static void appending_and_parents(void **state)
{
    struct client *c = open_in(scratch());
    (void)state;
    assert_int_equal(put(c, "p/q/r/log", "one\n", SBX_WRITE_PARENTS | SBX_WRITE_APPEND, NULL), SBX_OK);
    assert_int_equal(put(c, "p//q/r/log", "two\n", SBX_WRITE_APPEND, NULL), SBX_OK);
    expect_content(c, "p/q/r/log", "one\ntwo\n");
    assert_int_equal(put(c, "p/q/r/only", "1", SBX_WRITE_EXCL, NULL), SBX_OK);
    expect_content(c, "p/q/r/only", "1");
    client_close(c);
}

static void a_link_is_followed_to_its_target(void **state)
{
    struct client *c = open_in(scratch());
    struct stat st;
    (void)state;
    assert_int_equal(mkdir(at("deep"), 0755), 0);
    make("deep/target", "old", 0644);
    assert_int_equal(symlink("deep/target", at("link")), 0);
    assert_int_equal(symlink("deep/dangling", at("dangling")), 0);
    assert_int_equal(put(c, "link", "new", 0, NULL), SBX_OK);
    assert_int_equal(lstat(at("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    expect_content(c, "deep/target", "new");
    assert_int_equal(put(c, "dangling", "made", 0, NULL), SBX_OK);
    expect_content(c, "deep/dangling", "made");
    client_close(c);
}

static void strange_names_are_names(void **state)
{
    static const char *const names[] = {"a b",    "quo'te\"s",          "new\nline", "[x]*?",    "-dash",
                                        "co:lon", "gr\xc3\xbc\xc3\x9f", "\xff\xfe",  "$HOME`x`", ".hidden"};
    struct client *c = open_in(scratch());
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(put(c, names[i], names[i], 0, NULL), SBX_OK);
        expect_content(c, names[i], names[i]);
    }
    client_close(c);
}

static void home_is_written_with_a_tilde(void **state)
{
    struct client *c = client_open((const char *const[]){"--home", scratch(), NULL});
    (void)state;
    assert_int_equal(put(c, "~/in-home", "x", 0, NULL), SBX_OK);
    expect_content(c, at("in-home"), "x");
    assert_int_equal(status_of_op(c, OP_LIST, "~", NULL, 0), SBX_OK);
    client_close(c);
}

static void rights_are_those_of_the_user(void **state)
{
    struct stat st;
    (void)state;
    if (geteuid() != 0)
        skip_test("acting as another user needs root");
    struct client *c = open_in(scratch());
    assert_int_equal(chmod(scratch(), 0755), 0);
    make("secret", "s", 0600);
    make("shown", "s", 0644);
    make("open", "a longer one", 0666);
    assert_int_equal(mkdir(at("theirs"), 0755), 0);
    assert_int_equal(chown(at("theirs"), 65534, 65534), 0);
    assert_int_equal(status_of_op(c, OP_READ, "secret", "nobody", 0), SBX_E_PERMISSION);
    assert_int_equal(put(c, "shown", "x", 0, "nobody"), SBX_E_PERMISSION);
    assert_int_equal(put(c, "new", "x", 0, "nobody"), SBX_E_PERMISSION);
    assert_int_equal(put(c, "sub/new", "x", SBX_WRITE_PARENTS, "nobody"), SBX_E_PERMISSION);
    assert_int_equal(status_of_op(c, OP_MKDIR, "sub", "nobody", 0), SBX_E_PERMISSION);
    assert_int_equal(status_of_op(c, OP_REMOVE, "shown", "nobody", 0), SBX_E_PERMISSION);
    /* A file that may be written in a directory that may not: the file stays the same one, and its owner's. */
    assert_int_equal(put(c, "open", "short", 0, "nobody"), SBX_OK);
    expect_content(c, "open", "short");
    assert_int_equal(stat(at("open"), &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(put(c, "theirs/a/b/file", "x", SBX_WRITE_PARENTS, "nobody"), SBX_OK);
    assert_int_equal(stat(at("theirs/a/b/file"), &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 65534);
    assert_int_equal(stat(at("theirs/a"), &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(status_of_op(c, OP_READ, "secret", NULL, 0), SBX_OK); /* and root is root again */
    client_close(c);
}

static void stat_tells_type_mode_and_size(void **state)
{
    struct client *c = open_in(scratch());
    struct answer a;
    (void)state;
    make("file", "12345", 0640);
    assert_int_equal(symlink("file", at("link")), 0);
    do_op(c, OP_STAT, "link", NULL, 0, &a);
    assert_int_equal(a.type, SBX_FILE_REGULAR);
    assert_int_equal(a.size, 5);
    assert_int_equal(a.mode, 0640);
    answer_finish(&a);
    do_op(c, OP_STAT, "link", NULL, FS_NOFOLLOW, &a);
    assert_int_equal(a.type, SBX_FILE_SYMLINK);
    answer_finish(&a);
    do_op(c, OP_STAT, "/dev/null", NULL, 0, &a);
    assert_int_equal(a.type, SBX_FILE_OTHER);
    answer_finish(&a);
    assert_int_equal(status_of_op(c, OP_STAT, "missing", NULL, 0), SBX_E_NOT_FOUND);
    assert_int_equal(status_of_op(c, OP_STAT, "file/x", NULL, 0), SBX_E_NOT_FOUND);
    client_close(c);
}

static void a_list_has_every_entry_once(void **state)
{
    struct client *c = open_in(scratch());
    struct answer a;
    (void)state;
    assert_int_equal(mkdir(at("many"), 0755), 0);
    for (int i = 0; i < 5000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "many/entry-with-a-longer-name-%d", i);
        make(name, "", 0644);
    }
    do_op(c, OP_LIST, "many", NULL, 0, &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.replies, 5000);
    answer_finish(&a);
    assert_int_equal(mkdir(at("none"), 0755), 0);
    do_op(c, OP_LIST, "none/", NULL, 0, &a);
    assert_int_equal(a.replies, 0);
    assert_int_equal(a.status, SBX_OK);
    answer_finish(&a);
    make("file", "", 0644);
    assert_int_equal(status_of_op(c, OP_LIST, "file", NULL, 0), SBX_E_NOT_DIR);
    assert_int_equal(status_of_op(c, OP_LIST, "missing", NULL, 0), SBX_E_NOT_FOUND);
    client_close(c);
}

static void directories_are_made_and_removed(void **state)
{
    struct client *c = open_in(scratch());
    (void)state;
    assert_int_equal(status_of_op(c, OP_MKDIR, "m", NULL, 0), SBX_OK);
    assert_int_equal(status_of_op(c, OP_MKDIR, "m", NULL, 0), SBX_E_EXISTS);
    assert_int_equal(status_of_op(c, OP_MKDIR, "m/", NULL, FS_PARENTS), SBX_OK);
    assert_int_equal(status_of_op(c, OP_MKDIR, "m/a/b/c", NULL, 0), SBX_E_NOT_FOUND);
    assert_int_equal(status_of_op(c, OP_MKDIR, "m/a/b/c", NULL, FS_PARENTS), SBX_OK);
    assert_int_equal(put(c, "m/a/file", "x", 0, NULL), SBX_OK);
    assert_int_equal(symlink("/etc", at("m/a/link")), 0);
    assert_int_equal(symlink("nowhere", at("m/dangling")), 0);
    assert_int_equal(status_of_op(c, OP_REMOVE, "m/dangling", NULL, 0), SBX_OK);
    assert_int_equal(status_of_op(c, OP_REMOVE, "m/dangling", NULL, 0), SBX_E_NOT_FOUND);
    assert_int_equal(status_of_op(c, OP_REMOVE, "m", NULL, 0), SBX_E_IS_DIR);
    assert_int_equal(status_of_op(c, OP_REMOVE, "m/..", NULL, FS_RECURSIVE), SBX_E_BAD_PATH);
    assert_int_equal(status_of_op(c, OP_REMOVE, "m/", NULL, FS_RECURSIVE), SBX_OK);
    assert_int_equal(status_of_op(c, OP_STAT, "m", NULL, 0), SBX_E_NOT_FOUND);
    assert_int_equal(status_of_op(c, OP_STAT, "/etc/passwd", NULL, 0), SBX_OK);
    client_close(c);
}

static void renames_replace_files(void **state)
{
    struct client *c = open_in(scratch());
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        int64_t status;
    } cases[] = {{"one", "two", SBX_OK},         {"one", "two", SBX_E_NOT_FOUND},
                 {"two", "dir/x", SBX_OK},       {"dir/x", "dir", SBX_E_IS_DIR},
                 {"dir", "file", SBX_E_NOT_DIR}, {"dir/x", "missing/x", SBX_E_NOT_FOUND}};
    make("one", "1", 0644);
    make("two", "2", 0644);
    make("file", "f", 0644);
    assert_int_equal(mkdir(at("dir"), 0755), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a;
        struct message m = file_message(OP_RENAME, cases[i].from, NULL);
        message_text(&m, F_TO, cases[i].to);
        client_wait(c, client_request(c, &m), NULL, 0, &a);
        assert_int_equal(a.status, cases[i].status);
        answer_finish(&a);
    }
    expect_content(c, "dir/x", "1");
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(written_bytes_are_read_back),
        UNIT_TEST(an_empty_file_is_a_file),
        UNIT_TEST(parts_of_a_file_can_be_read),
        UNIT_TEST(a_size_limit_is_checked_before_any_byte),
        UNIT_TEST(failures_of_reading_have_their_four_codes),
        UNIT_TEST(a_path_with_a_nul_byte_is_a_bad_path),
        UNIT_TEST(failures_of_writing_leave_everything_as_it_was),
        UNIT_TEST(a_cut_off_write_leaves_the_old_file),
        UNIT_TEST(modes_and_owners_survive_a_write),
        UNIT_TEST(appending_and_parents),
        UNIT_TEST(a_link_is_followed_to_its_target),
        UNIT_TEST(strange_names_are_names),
        UNIT_TEST(home_is_written_with_a_tilde),
        UNIT_TEST(rights_are_those_of_the_user),
        UNIT_TEST(stat_tells_type_mode_and_size),
        UNIT_TEST(a_list_has_every_entry_once),
        UNIT_TEST(directories_are_made_and_removed),
        UNIT_TEST(renames_replace_files),
    };
    return RUN_TESTS("guest files", tests, argc, argv);
}
