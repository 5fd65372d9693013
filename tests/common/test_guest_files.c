/* SPDX-License-Identifier: MIT
 *
 * test_guest_files.c - the client and the real sbx-guest together: files, directories, archives, batches.
 */
#include "tests/common/runner.h"

#include "tests/common/real_guest.h"
#include "tests/common/run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int guest_setup(void **state)
{
    *state = calloc(1, sizeof(struct real_guest));
    if (*state == NULL)
        return -1;
    real_start(*state);
    return 0;
}

static int guest_teardown(void **state)
{
    real_stop(*state);
    free(*state);
    return 0;
}

static sbx_status put_file(struct real_guest *g, struct run *run, const char *path, const void *data, size_t len,
                           uint32_t flags)
{
    struct given given;
    given_init(&given, data, len);
    struct sbx_write_args args = {.size = sizeof args, .flags = flags | SBX_WRITE_HAS_LENGTH, .length = len};
    return guest_write_file(g->link, &run->call, path, &args, &given.source);
}

static sbx_status get_file(struct real_guest *g, struct run *run, const char *path)
{
    run->out.data.len = 0;
    return guest_read_file(g->link, &run->call, path, NULL, &run->out.sink);
}

static void at(const struct real_guest *g, const char *name, char *path)
{
    (void)snprintf(path, 128, "%s/%s", g->dir, name);
}

static void files_come_back_as_they_went(void **state)
{
    struct real_guest *g = *state;
    static const size_t lens[] = {0, 1, 65535, 65536, 65537, 262144, 262145, (size_t)10 << 20};
    CLEANUP_FREE unsigned char *data = malloc((size_t)10 << 20);
    assert_non_null(data);
    for (size_t i = 0; i < (size_t)10 << 20; i++)
        data[i] = (unsigned char)(i ^ i >> 8 ^ i >> 16);
    RUN run;
    run_init(&run);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        assert_int_equal(put_file(g, &run, "same", data, lens[i], 0), SBX_OK);
        assert_int_equal(get_file(g, &run, "same"), SBX_OK);
        assert_int_equal(run.out.data.len, lens[i]);
        if (lens[i] > 0)
            assert_memory_equal(run.out.data.data, data, lens[i]);
    }
}

static void parts_of_a_file_can_be_read(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    assert_int_equal(put_file(g, &run, "f", "0123456789", 10, 0), SBX_OK);
    static const struct {
        uint64_t offset, limit;
        const char *want;
    } cases[] = {{3, 4, "3456"}, {8, 0, "89"}, {8, 100, "89"}, {10, 0, ""}, {1000, 5, ""}, {0, 1, "0"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sbx_read_args args = {.size = sizeof args, .offset = cases[i].offset, .limit = cases[i].limit};
        run.out.data.len = 0;
        assert_int_equal(guest_read_file(g->link, &run.call, "f", &args, &run.out.sink), SBX_OK);
        assert_int_equal(run.out.data.len, strlen(cases[i].want));
        assert_true(run.out.data.len == 0 || memcmp(run.out.data.data, cases[i].want, run.out.data.len) == 0);
    }
}

static void writing_obeys_its_flags(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    assert_int_equal(put_file(g, &run, "a/b/c", "x", 1, 0), SBX_E_NOT_FOUND);
    assert_int_equal(put_file(g, &run, "a/b/c", "one", 3, SBX_WRITE_PARENTS), SBX_OK);
    assert_int_equal(put_file(g, &run, "a/b/c", "two", 3, SBX_WRITE_EXCL), SBX_E_EXISTS);
    assert_int_equal(put_file(g, &run, "a/b/c", "+", 1, SBX_WRITE_APPEND), SBX_OK);
    assert_int_equal(get_file(g, &run, "a/b/c"), SBX_OK);
    assert_int_equal(run.out.data.len, 4);
    assert_memory_equal(run.out.data.data, "one+", 4);
    assert_int_equal(put_file(g, &run, "a/b", "x", 1, 0), SBX_E_IS_DIR);
    char path[128];
    at(g, "a/b/c", path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(put_file(g, &run, "a//b/c", "new", 3, 0), SBX_OK);
    struct sbx_file_stat stat = {.size = sizeof stat};
    assert_int_equal(guest_stat(g->link, &run.call, "a/b/c", &stat), SBX_OK);
    assert_int_equal(stat.type, SBX_FILE_REGULAR);
    assert_int_equal(stat.mode, 0640);
    assert_int_equal(stat.bytes, 3);
}

static void a_source_that_fails_leaves_the_old_file(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    assert_int_equal(put_file(g, &run, "f", "old", 3, 0), SBX_OK);
    CLEANUP_FREE char *data = calloc(1, 300000);
    struct given given;
    given_init(&given, data, 300000);
    given.stop = 1;
    assert_int_equal(guest_write_file(g->link, &run.call, "f", NULL, &given.source), SBX_E_STOPPED);
    assert_int_equal(get_file(g, &run, "f"), SBX_OK);
    assert_int_equal(run.out.data.len, 3);
    assert_memory_equal(run.out.data.data, "old", 3);
}

static void what_is_no_file_is_refused_by_kind(void **state)
{
    struct real_guest *g = *state;
    char path[128];
    RUN run;
    run_init(&run);
    at(g, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    at(g, "link", path);
    assert_int_equal(symlink("target", path), 0);
    assert_int_equal(put_file(g, &run, "target", "t", 1, 0), SBX_OK);
    static const struct {
        const char *path;
        sbx_status status;
    } cases[] = {{"missing", SBX_E_NOT_FOUND},
                 {".", SBX_E_IS_DIR},
                 {"../sbx-nowhere", SBX_E_NOT_FOUND},
                 {"/", SBX_E_IS_DIR},
                 {"pipe", SBX_E_BAD_PATH},
                 {"/dev/null", SBX_E_BAD_PATH},
                 {"target/below", SBX_E_NOT_FOUND},
                 {"link", SBX_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sbx_status status = get_file(g, &run, cases[i].path);
        if (status != cases[i].status)
            fail_msg("'%s': status %d, message '%s'", cases[i].path, status, run.error.message);
        if (status != SBX_OK && strcmp(cases[i].path, ".") != 0)
            assert_non_null(strstr(run.error.message, cases[i].path));
    }
}

static int32_t count_entry(void *user, const struct sbx_entry *entry)
{
    int *counts = user;
    if (strcmp(entry->name, "dir") == 0)
        counts[0] += entry->stat->type == SBX_FILE_DIRECTORY;
    else if (strcmp(entry->name, "link") == 0)
        counts[1] += entry->stat->type == SBX_FILE_SYMLINK;
    else
        counts[2] += entry->stat->type == SBX_FILE_REGULAR;
    return 0;
}

/* Longer than what may come unasked: the receiver's pace is the guest's. */
static void a_long_list_comes_whole(void **state)
{
    struct real_guest *g = *state;
    char path[400];
    int counts[3] = {0};
    struct sbx_entry_sink sink = {.size = sizeof sink, .user = counts, .item = count_entry};
    RUN run;
    run_init(&run);
    for (int i = 0; i < 4000; i++) {
        (void)snprintf(path, sizeof path, "%s/%0200d", g->dir, i);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    assert_int_equal(guest_list(g->link, &run.call, ".", &sink), SBX_OK);
    assert_int_equal(counts[0] + counts[1] + counts[2], 4000);
}

static void directories_are_listed_made_moved_and_removed(void **state)
{
    struct real_guest *g = *state;
    char path[128];
    int counts[3] = {0};
    struct sbx_entry_sink sink = {.size = sizeof sink, .user = counts, .item = count_entry};
    RUN run;
    run_init(&run);
    assert_int_equal(guest_list(g->link, &run.call, ".", &sink), SBX_OK);
    assert_int_equal(counts[0] + counts[1] + counts[2], 0);
    at(g, "link", path);
    assert_int_equal(symlink("dir", path), 0);
    assert_int_equal(guest_mkdir(g->link, &run.call, "dir", 0, 0), SBX_OK);
    assert_int_equal(guest_mkdir(g->link, &run.call, "dir", 0, 0), SBX_E_EXISTS);
    assert_int_equal(guest_mkdir(g->link, &run.call, "dir", 0, SBX_FS_PARENTS), SBX_OK);
    static const char *const odd[] = {" a b ",    "quo'te\"", "new\nline", "-dash",
                                      "[glob]*?", "\xc3\xbc", ".hidden",   "a:b"};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(put_file(g, &run, odd[i], "x", 1, 0), SBX_OK);
    for (size_t i = 0; i < 500; i++) {
        (void)snprintf(path, sizeof path, "file-%zu", i);
        assert_int_equal(put_file(g, &run, path, "", 0, 0), SBX_OK);
    }
    assert_int_equal(guest_list(g->link, &run.call, ".", &sink), SBX_OK);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 508);
    assert_int_equal(guest_list(g->link, &run.call, "file-1", &sink), SBX_E_NOT_DIR);
    assert_int_equal(guest_list(g->link, &run.call, "missing", &sink), SBX_E_NOT_FOUND);
    assert_int_equal(guest_rename(g->link, &run.call, "file-1", "dir/moved"), SBX_OK);
    assert_int_equal(guest_remove(g->link, &run.call, "file-1", 0), SBX_E_NOT_FOUND);
    assert_true(guest_remove(g->link, &run.call, "dir", 0) != SBX_OK);
    assert_int_equal(guest_remove(g->link, &run.call, "dir", SBX_FS_RECURSIVE), SBX_OK);
    assert_int_equal(guest_remove(g->link, &run.call, "link", 0), SBX_OK);
}

static void an_archive_goes_out_and_back(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    CLEANUP_FREE char *big = calloc(1, 700000);
    assert_non_null(big);
    memset(big, 'b', 700000);
    assert_int_equal(put_file(g, &run, "from/deep/er/big", big, 700000, SBX_WRITE_PARENTS), SBX_OK);
    assert_int_equal(put_file(g, &run, "from/empty", "", 0, 0), SBX_OK);
    run.out.data.len = 0;
    assert_int_equal(guest_get_tar(g->link, &run.call, "from", &run.out.sink), SBX_OK);
    struct given given;
    given_init(&given, run.out.data.data, run.out.data.len);
    assert_int_equal(guest_put_tar(g->link, &run.call, "to", &given.source), SBX_OK);
    assert_int_equal(get_file(g, &run, "to/empty"), SBX_OK);
    assert_int_equal(run.out.data.len, 0);
    assert_int_equal(get_file(g, &run, "to/deep/er/big"), SBX_OK);
    assert_int_equal(run.out.data.len, 700000);
    assert_memory_equal(run.out.data.data, big, 700000);
    run.out.data.len = 0;
    assert_int_equal(guest_get_tar(g->link, &run.call, "missing", &run.out.sink), SBX_E_NOT_FOUND);
    assert_int_equal(run.out.data.len, 0);
}

/* Cut within a member: what is there may stay, but it is no success. */
static void half_an_archive_is_no_success(void **state)
{
    struct real_guest *g = *state;
    RUN run;
    run_init(&run);
    CLEANUP_FREE char *big = calloc(1, 400000);
    assert_int_equal(put_file(g, &run, "from/big", big, 400000, SBX_WRITE_PARENTS), SBX_OK);
    run.out.data.len = 0;
    assert_int_equal(guest_get_tar(g->link, &run.call, "from", &run.out.sink), SBX_OK);
    struct given given;
    given_init(&given, run.out.data.data, 200000);
    assert_true(guest_put_tar(g->link, &run.call, "to", &given.source) != SBX_OK);
    given_init(&given, "this is no archive at all", 25);
    assert_true(guest_put_tar(g->link, &run.call, "to", &given.source) != SBX_OK);
}

static void count_reports(void *user, size_t index, sbx_status code, const char *message)
{
    int *counts = user;
    counts[0] += index % 2 == 0 ? code == SBX_OK : code == SBX_E_NOT_FOUND;
    counts[1] += message != NULL;
}

static void a_batch_of_files_is_reported_item_by_item(void **state)
{
    struct real_guest *g = *state;
    enum { COUNT = 60 };
    struct sbx_get_item gets[COUNT];
    const struct sbx_get_item *list[COUNT];
    char names[COUNT][16];
    RUN run;
    run_init(&run);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%d", i);
        if (i % 2 == 0)
            assert_int_equal(put_file(g, &run, names[i], "data", 4, 0), SBX_OK);
        gets[i] = (struct sbx_get_item){.size = sizeof gets[i], .path = names[i], .out = &run.out.sink};
        list[i] = &gets[i];
    }
    int counts[2] = {0};
    struct sbx_batch_report report = {.size = sizeof report, .user = counts, .item = count_reports};
    assert_int_equal(guest_get_files(g->link, &run.call, list, COUNT, &report), SBX_OK);
    assert_int_equal(counts[0], COUNT);
    assert_int_equal(counts[1], COUNT / 2);
    assert_int_equal(run.out.data.len, COUNT / 2 * 4);
}

#define WITH_GUEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WITH_GUEST(files_come_back_as_they_went),
        WITH_GUEST(a_long_list_comes_whole),
        WITH_GUEST(parts_of_a_file_can_be_read),
        WITH_GUEST(writing_obeys_its_flags),
        WITH_GUEST(a_source_that_fails_leaves_the_old_file),
        WITH_GUEST(what_is_no_file_is_refused_by_kind),
        WITH_GUEST(directories_are_listed_made_moved_and_removed),
        WITH_GUEST(an_archive_goes_out_and_back),
        WITH_GUEST(half_an_archive_is_no_success),
        WITH_GUEST(a_batch_of_files_is_reported_item_by_item),
    };
    return RUN_TESTS(tests, argc, argv);
}
