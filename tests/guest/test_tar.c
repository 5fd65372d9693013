/* SPDX-License-Identifier: MIT
 *
 * test_tar.c - directories as tar: a round trip keeps everything, hostile archives change nothing outside.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/tar.h"
#include "tests/guest/client.h"

static const char *at(const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *p = paths[next++ % 8];
    (void)snprintf(p, 1024, "%s/%s", scratch(), name);
    return p;
}

static void make(const char *path, const char *text, mode_t mode)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static void get(struct client *c, const char *path, struct answer *a)
{
    struct message m;
    message_init(&m, OP_TAR_GET);
    message_text(&m, F_PATH, path);
    client_wait(c, client_request(c, &m), NULL, 0, a);
}

static int64_t put(struct client *c, const char *path, const void *data, size_t len)
{
    struct message m;
    struct answer a;
    message_init(&m, OP_TAR_PUT);
    message_text(&m, F_PATH, path);
    client_wait(c, client_request(c, &m), data, len, &a);
    int64_t status = a.status;
    if (status != SBX_OK)
        assert_non_null(strstr(a.message, "tar"));
    answer_finish(&a);
    return status;
}

/* --- archives made by hand ------------------------------------------------------------------------------------------
 */

static void octal(char *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7u));
}

static void add(struct buf *tar, const char *name, char type, const char *link, const char *body, uint32_t mode)
{
    struct tar_head h;
    size_t size = body == NULL ? 0 : strlen(body);
    static const char zeros[TAR_BLOCK];
    memset(&h, 0, sizeof h);
    memcpy(h.name, name, strnlen(name, sizeof h.name));
    memcpy(h.link, link, strnlen(link, sizeof h.link));
    octal(h.mode, sizeof h.mode, mode);
    octal(h.size, sizeof h.size, size);
    octal(h.mtime, sizeof h.mtime, 1000000000);
    h.type = type;
    memcpy(h.magic, "ustar", 6);
    octal(h.checksum, 7, tar_sum(&h));
    (void)buf_append(tar, &h, sizeof h);
    (void)buf_append(tar, body, size);
    assert_int_equal(buf_append(tar, zeros, tar_padding(size)), 0);
}

static void add_end(struct buf *tar)
{
    static const char zeros[2 * TAR_BLOCK];
    assert_int_equal(buf_append(tar, zeros, sizeof zeros), 0);
}

/* An archive of one entry. */
static int64_t put_one(struct client *c, const char *name, char type, const char *link, const char *body)
{
    struct buf tar;
    buf_init(&tar, 1 << 20);
    add(&tar, name, type, link, body, 0644);
    add_end(&tar);
    int64_t status = put(c, at("in"), tar.data, tar.len);
    buf_finish(&tar);
    return status;
}

static void a_directory_survives_the_round_trip(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    char text[1024], name[256];
    (void)state;
    (void)snprintf(
        text, sizeof text,
        "cd %s && mkdir -p from/sub/empty from/locked && cd from && head -c 3000000 /dev/urandom >big && : >none && "
        "echo x >\"$(printf 'n\\nl')\" && chmod 751 sub && chmod 4640 none && ln -s ../../outside link && "
        "ln -s /nowhere sub/dangling && echo y >locked/f && chmod 500 locked",
        scratch());
    client_shell(c, text, &a);
    assert_int_equal(a.exit_code, 0);
    answer_finish(&a);
    memset(name, 'n', 250);
    name[250] = '\0';
    (void)snprintf(text, sizeof text, "%s/from/sub/%s", scratch(), name);
    make(text, "long", 0600);
    get(c, at("from"), &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.count, 0);
    assert_int_equal(a.out.len % TAR_BLOCK, 0);
    assert_memory_equal(a.out.data, "./\0", 3);
    assert_int_equal(put(c, at("new/to"), a.out.data, a.out.len), SBX_OK);
    answer_finish(&a);
    (void)snprintf(
        text, sizeof text,
        "cd %s && diff -r --no-dereference from new/to && stat -c '%%a %%n' new/to/sub new/to/locked new/to/none && "
        "readlink new/to/link new/to/sub/dangling && test -d new/to/sub/empty",
        scratch());
    client_shell(c, text, &a);
    assert_string_equal(a.out.data, "751 new/to/sub\n500 new/to/locked\n640 new/to/none\n../../outside\n/nowhere\n");
    assert_int_equal(a.exit_code, 0);
    answer_finish(&a);
    (void)chmod(at("from/locked"), 0700);
    (void)chmod(at("new/to/locked"), 0700);
    client_close(c);
}

static void other_programs_read_and_write_what_we_do(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    char text[2048];
    (void)state;
    if (access("/bin/tar", X_OK) != 0)
        skip_test("there is no tar here");
    (void)snprintf(
        text, sizeof text,
        "cd %s && mkdir -p a/$(printf '%%060d/%%060d' 7 7) && cd a && echo 1 >one && ln one two && echo 3 >$(printf "
        "'%%060d/%%060d' 7 7)/three "
        "&& ln -s $(printf '%%0150d' 1) s && tar -cf ../gnu.tar . && tar --format=pax -cf ../pax.tar . && "
        "tar --format=ustar --exclude=s -cf ../ustar.tar .",
        scratch());
    client_shell(c, text, &a);
    assert_int_equal(a.exit_code, 0);
    answer_finish(&a);
    static const char *const names[] = {"gnu", "pax", "ustar"};
    for (size_t i = 0; i < 3; i++) {
        struct message m;
        char path[600];
        struct answer file;
        (void)snprintf(path, sizeof path, "%s/%s.tar", scratch(), names[i]);
        message_init(&m, OP_READ);
        message_text(&m, F_PATH, path);
        client_wait(c, client_request(c, &m), NULL, 0, &file);
        assert_int_equal(put(c, at(names[i]), file.out.data, file.out.len), SBX_OK);
        answer_finish(&file);
    }
    get(c, at("gnu"), &a);
    make(at("ours.tar"), "", 0600);
    CLEANUP_FD int fd = open(at("ours.tar"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, a.out.data, a.out.len), (ssize_t)a.out.len);
    answer_finish(&a);
    (void)snprintf(text, sizeof text,
                   "cd %s && mkdir ours && tar -xf ours.tar -C ours && for d in gnu pax ours; do diff -r "
                   "--no-dereference a $d || exit 1; done && "
                   "rm a/s && diff -r a ustar && test $(stat -c %%h gnu/one) = 2",
                   scratch());
    client_shell(c, text, &a);
    assert_int_equal(a.exit_code, 0);
    answer_finish(&a);
    client_close(c);
}

static void what_is_no_file_is_left_out_and_named(void **state)
{
    struct client *c = client_open(NULL);
    struct answer a;
    (void)state;
    assert_int_equal(mkdir(at("d"), 0755), 0);
    assert_int_equal(mkfifo(at("d/pipe"), 0644), 0);
    make(at("d/file"), "x", 0644);
    get(c, at("d"), &a);
    assert_int_equal(a.status, SBX_OK);
    assert_int_equal(a.count, 1);
    assert_non_null(strstr(a.message, "pipe"));
    assert_int_equal(a.out.len, TAR_BLOCK * 5); /* the directory, the file with its body, the end */
    answer_finish(&a);
    get(c, at("d/file"), &a);
    assert_int_equal(a.status, SBX_E_NOT_DIR);
    answer_finish(&a);
    get(c, at("missing"), &a);
    assert_int_equal(a.status, SBX_E_NOT_FOUND);
    answer_finish(&a);
    client_close(c);
}

static void hostile_names_change_nothing_outside(void **state)
{
    struct client *c = client_open(NULL);
    char outside[600];
    (void)state;
    make(at("victim"), "safe", 0644);
    assert_int_equal(mkdir(at("in"), 0755), 0);
    assert_int_equal(mkdir(at("in/dir"), 0755), 0);
    assert_int_equal(symlink(scratch(), at("in/out")), 0);
    (void)snprintf(outside, sizeof outside, "%s/victim", scratch());
    const struct {
        const char *name;
        char type;
        const char *link;
        const char *body;
        int64_t status;
    } cases[] = {{"../victim", '0', "", "evil", SBX_E_BAD_PATH},
                 {outside, '0', "", "evil", SBX_E_BAD_PATH},
                 {"dir/../../victim", '0', "", "evil", SBX_E_BAD_PATH},
                 {"..", '5', "", NULL, SBX_E_BAD_PATH},
                 {"out/victim", '0', "", "evil", SBX_E_BAD_PATH},
                 {"out/new/", '5', "", NULL, SBX_E_BAD_PATH},
                 {"hard", '1', "../victim", NULL, SBX_E_BAD_PATH},
                 {"hard", '1', outside, NULL, SBX_E_BAD_PATH},
                 {"hard", '1', "out/victim", NULL, SBX_E_BAD_PATH},
                 {"hard", '1', "missing", NULL, SBX_E_NOT_FOUND},
                 {"hard", '1', "dir", NULL, SBX_E_BAD_PATH},
                 {"hard", '1', "out", "evil", SBX_E_INVALID},
                 {"fifo", '6', "", NULL, SBX_E_BAD_PATH},
                 {"dev", '3', "", NULL, SBX_E_BAD_PATH},
                 {"what", 'Z', "", NULL, SBX_E_BAD_PATH},
                 {"", '0', "", "evil", SBX_E_BAD_PATH},
                 {".", '0', "", "evil", SBX_E_BAD_PATH},
                 {"dir", '0', "", "evil", SBX_E_IS_DIR},
                 {"out", '5', "", NULL, SBX_E_NOT_DIR},
                 {"sym", '2', "", NULL, SBX_E_BAD_PATH},
                 {"./out", '0', "", "replaced", SBX_OK},
                 {"a//b/./c", '0', "", "fine", SBX_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(put_one(c, cases[i].name, cases[i].type, cases[i].link, cases[i].body), cases[i].status);
    struct answer a;
    (void)snprintf(outside, sizeof outside, "cd %s && cat victim && ls && test ! -L in/out && cat in/out in/a/b/c",
                   scratch());
    client_shell(c, outside, &a);
    assert_string_equal(a.out.data, "safein\nvictim\nreplacedfine");
    answer_finish(&a);
    client_close(c);
}

static void a_link_in_the_archive_is_not_followed(void **state)
{
    struct client *c = client_open(NULL);
    struct buf tar;
    (void)state;
    buf_init(&tar, 1 << 20);
    add(&tar, "way", '2', scratch(), NULL, 0777);
    add(&tar, "way/evil", '0', "", "evil", 0644);
    add_end(&tar);
    assert_int_equal(put(c, at("in"), tar.data, tar.len), SBX_E_BAD_PATH);
    assert_int_not_equal(access(at("evil"), F_OK), 0);
    buf_finish(&tar);
    client_close(c);
}

static void every_cut_of_an_archive_is_an_error(void **state)
{
    struct client *c = client_open(NULL);
    struct buf tar;
    (void)state;
    buf_init(&tar, 1 << 20);
    add(&tar, "./", '5', "", NULL, 0755);
    add(&tar, "./PaxHeader", 'x', "", "20 path=./other-one\n", 0644);
    add(&tar, "one", '0', "", "body of one", 0644);
    add(&tar, "two", '2', "one", NULL, 0644);
    size_t body = tar.len;
    add_end(&tar);
    for (size_t len = 0; len < tar.len; len += len < body ? 97 : 511)
        assert_int_equal(put(c, at("in"), tar.data, len), SBX_E_PROTOCOL);
    assert_int_equal(put(c, at("in"), tar.data, tar.len), SBX_OK);
    assert_int_equal(access(at("in/other-one"), F_OK), 0);
    assert_int_equal(buf_append(&tar, "second archive", 14), 0);
    assert_int_equal(put(c, at("in"), tar.data, tar.len), SBX_E_INVALID);
    buf_finish(&tar);
    client_close(c);
}

/* Seeded; every flip must be answered, and a flip in a head noticed. */
static void damaged_archives_are_answered(void **state)
{
    struct client *c = client_open(NULL);
    struct buf tar;
    uint32_t x = 4711;
    (void)state;
    buf_init(&tar, 1 << 20);
    add(&tar, "./PaxHeader", 'x', "", "30 path=long/name/of/something\n", 0644);
    add(&tar, "one", '0', "", "body of one", 0644);
    add(&tar, "@LongLink", 'L', "", "a/longer/name", 0644);
    add(&tar, "short", '0', "", "2", 0644);
    add(&tar, "dir/", '5', "", NULL, 0755);
    add_end(&tar);
    for (int i = 0; i < 300; i++) {
        x = x * 1664525u + 1013904223u;
        size_t where = x % tar.len;
        char bit = (char)(1u << (x >> 29));
        tar.data[where] = (char)(tar.data[where] ^ bit);
        (void)put(c, at("in"), tar.data, tar.len);
        tar.data[where] = (char)(tar.data[where] ^ bit);
    }
    (void)put(c, at("in"), tar.data, tar.len);
    buf_finish(&tar);
    client_close(c);
    struct dirent **names;
    int count = scandir(scratch(), &names, NULL, NULL);
    assert_int_equal(count, 3); /* . .. in */
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static void a_user_unpacks_with_his_own_rights(void **state)
{
    struct message m;
    struct answer a;
    struct buf tar;
    struct stat st;
    (void)state;
    if (geteuid() != 0)
        skip_test("acting as another user needs root");
    struct client *c = client_open(NULL);
    assert_int_equal(chmod(scratch(), 0755), 0);
    buf_init(&tar, 1 << 20);
    add(&tar, "file", '0', "", "x", 06755);
    add_end(&tar);
    for (int i = 0; i < 2; i++) {
        message_init(&m, OP_TAR_PUT);
        message_text(&m, F_PATH, at("in"));
        message_text(&m, F_USER, "nobody");
        client_wait(c, client_request(c, &m), tar.data, tar.len, &a);
        assert_int_equal(a.status, i == 0 ? SBX_E_PERMISSION : SBX_OK);
        answer_finish(&a);
        (void)mkdir(at("in"), 0755);
        assert_int_equal(chown(at("in"), 65534, 65534), 0);
    }
    assert_int_equal(stat(at("in/file"), &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    buf_finish(&tar);
    client_close(c);
}

static void a_cancelled_transfer_ends(void **state)
{
    struct client *c = client_open(NULL);
    struct message m;
    struct answer a;
    (void)state;
    message_init(&m, OP_TAR_GET);
    message_text(&m, F_PATH, "/usr");
    uint32_t id = client_request(c, &m);
    client_number(c, id, FRAME_CANCEL, 0);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    message_init(&m, OP_TAR_PUT);
    message_text(&m, F_PATH, at("in"));
    id = client_request(c, &m);
    client_number(c, id, FRAME_CANCEL, 0);
    client_wait(c, id, NULL, 0, &a);
    assert_int_equal(a.status, SBX_E_CANCELLED);
    answer_finish(&a);
    client_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_directory_survives_the_round_trip),
        UNIT_TEST(other_programs_read_and_write_what_we_do),
        UNIT_TEST(what_is_no_file_is_left_out_and_named),
        UNIT_TEST(hostile_names_change_nothing_outside),
        UNIT_TEST(a_link_in_the_archive_is_not_followed),
        UNIT_TEST(every_cut_of_an_archive_is_an_error),
        UNIT_TEST(damaged_archives_are_answered),
        UNIT_TEST(a_user_unpacks_with_his_own_rights),
        UNIT_TEST(a_cancelled_transfer_ends),
    };
    return RUN_TESTS("guest tar", tests, argc, argv);
}
