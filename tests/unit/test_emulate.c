/* SPDX-License-Identifier: MIT
 *
 * test_emulate.c - the same behaviour from a provider that has the capabilities and from one that has none.
 */
#include "direct.h"

static const char *const plugins[] = {"direct", "direct-bare", "direct-bare-serial"};
#define FOR_EACH_PLUGIN for (size_t plugin = 0; plugin < sizeof plugins / sizeof plugins[0]; plugin++)

/* Names that shells, globs, options and lines could trip over. */
static const char *const names[] = {"plain",       "two words",   "-rf",       "new\nline",   "quote'\"`$(x)",
                                    "*",           "[a]?",        ".hidden",   "\xc3\xa9",    "\xff\x01",
                                    "back\\slash", "semi;colon&", "trailing ", "%s%n",        "--",
                                    "a\tb",        "$HOME",       "~",         "tab\\0nul\\n"};
#define NAMES (sizeof names / sizeof names[0])

static void make(struct place *p, const char *path)
{
    const struct sbx_transfer_options options = {
        .size = sizeof options, .flags = SBX_WRITE_PARENTS, .data = "12345", .data_len = 5};
    if (sbx_write_file(p->box, path, &options, NULL, &p->error) != SBX_OK)
        fail_msg("write: %s", p->error.message);
}

static void expect(struct place *p, sbx_status status, sbx_status expected, const char *what)
{
    if (status != expected)
        fail_msg("%s: status %d, expected %d: %s", what, status, expected, p->error.message);
}

static void host_path(const struct place *p, const char *name, char out[160])
{
    (void)snprintf(out, 160, "%s/box1/%s", p->top, name);
}

static void support_says_who_does_it(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct-bare", NULL);
    assert_int_equal(sbx_support(p.box, "sbx.stat/1"), SBX_SUPPORT_EMULATED);
    assert_int_equal(sbx_support(p.box, "sbx.job/1"), SBX_SUPPORT_NONE);
    assert_int_equal(sbx_support(p.box, NULL), SBX_SUPPORT_NONE);
    place_close(&p);
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_support(p.box, "sbx.stat/1"), SBX_SUPPORT_NATIVE);
    assert_int_equal(sbx_support(p.box, "sbx.wait/1"), SBX_SUPPORT_EMULATED);
    place_close(&p);
    place_open(&p, "direct", "support-none");
    place_create(&p);
    assert_int_equal(sbx_support(p.box, "sbx.stat/1"), SBX_SUPPORT_EMULATED);
    place_close(&p);
}

static void stat_tells_the_same_everywhere(void **state)
{
    (void)state;
    FOR_EACH_PLUGIN
    {
        struct place p;
        char path[160];
        struct sbx_file_stat st = SBX_INIT(st);
        int exists = -1;
        place_open(&p, plugins[plugin], NULL);
        make(&p, "dir/file");
        host_path(&p, "dir/file", path);
        assert_int_equal(chmod(path, 0640), 0);
        host_path(&p, "link", path);
        assert_int_equal(symlink("dir", path), 0);
        host_path(&p, "dangling", path);
        assert_int_equal(symlink("nowhere", path), 0);
        host_path(&p, "fifo", path);
        assert_int_equal(mkfifo(path, 0600), 0);
        expect(&p, sbx_stat(p.box, "dir/file", NULL, &st, &p.error), SBX_OK, "file");
        assert_int_equal(st.type, SBX_FILE_REGULAR);
        assert_int_equal(st.bytes, 5);
        assert_int_equal(st.mode, 0640);
        assert_true(st.mtime_ms > 1000000000000);
        expect(&p, sbx_stat(p.box, "link", NULL, &st, &p.error), SBX_OK, "link");
        assert_int_equal(st.type, SBX_FILE_DIRECTORY);
        expect(&p, sbx_stat(p.box, "dir/", NULL, &st, &p.error), SBX_OK, "dir/");
        expect(&p, sbx_stat(p.box, "fifo", NULL, &st, &p.error), SBX_OK, "fifo");
        assert_int_equal(st.type, SBX_FILE_OTHER);
        expect(&p, sbx_stat(p.box, "none", NULL, &st, &p.error), SBX_E_NOT_FOUND, "none");
        unit_assert_contains(p.error.message, "'none'");
        expect(&p, sbx_stat(p.box, "dangling", NULL, &st, &p.error), SBX_E_NOT_FOUND, "dangling");
        expect(&p, sbx_stat(p.box, "dir/file/x", NULL, &st, &p.error), SBX_E_NOT_FOUND, "through a file");
        expect(&p, sbx_stat(p.box, "https:/en.x/%C5", NULL, &st, &p.error), SBX_E_NOT_FOUND, "odd");
        expect(&p, sbx_exists(p.box, "dir", NULL, &exists, &p.error), SBX_OK, "exists");
        assert_int_equal(exists, 1);
        expect(&p, sbx_exists(p.box, "none", NULL, &exists, &p.error), SBX_OK, "exists");
        assert_int_equal(exists, 0);
        place_close(&p);
    }
}

struct found {
    int seen[NAMES];
    int others;
    uint32_t type;
    uint64_t bytes;
    uint32_t known;
};

static void take_entry(void *user, const char *name, const struct sbx_file_stat *stat)
{
    struct found *f = user;
    f->type = stat->type;
    f->bytes = stat->bytes;
    f->known = stat->known;
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(names[i], name) == 0) {
            f->seen[i]++;
            assert_int_equal(stat->type, SBX_FILE_REGULAR);
            return;
        }
    f->others++;
}

static void odd_names_survive_everything(void **state)
{
    (void)state;
    FOR_EACH_PLUGIN
    {
        struct place p;
        struct found f = {.others = 0};
        place_open(&p, plugins[plugin], NULL);
        for (size_t i = 0; i < NAMES; i++) {
            char path[160];
            char to[160];
            struct sbx_file_stat st = SBX_INIT(st);
            (void)snprintf(path, sizeof path, "d/%s", names[i]);
            (void)snprintf(to, sizeof to, "d/moved %s", names[i]);
            make(&p, path);
            expect(&p, sbx_rename(p.box, path, to, NULL, &p.error), SBX_OK, names[i]);
            expect(&p, sbx_stat(p.box, path, NULL, &st, &p.error), SBX_E_NOT_FOUND, names[i]);
            expect(&p, sbx_stat(p.box, to, NULL, &st, &p.error), SBX_OK, names[i]);
            assert_int_equal(st.bytes, 5);
            expect(&p, sbx_delete(p.box, to, 0, NULL, &p.error), SBX_OK, names[i]);
            make(&p, path);
        }
        expect(&p, sbx_list_dir(p.box, "d", NULL, take_entry, &f, &p.error), SBX_OK, "list");
        for (size_t i = 0; i < NAMES; i++)
            if (f.seen[i] != 1)
                fail_msg("%s: '%s' came %d times", plugins[plugin], names[i], f.seen[i]);
        assert_int_equal(f.others, 0);
        assert_int_equal(f.bytes, 5);
        assert_true((f.known & SBX_STAT_BYTES) != 0);
        place_close(&p);
    }
}

static void lists_tell_empty_missing_and_files_apart(void **state)
{
    (void)state;
    FOR_EACH_PLUGIN
    {
        struct place p;
        char path[160];
        struct found f = {.others = 0};
        place_open(&p, plugins[plugin], NULL);
        expect(&p, sbx_make_dir(p.box, "empty", 0, 0, NULL, &p.error), SBX_OK, "mkdir");
        make(&p, "file");
        expect(&p, sbx_list_dir(p.box, "empty", NULL, take_entry, &f, &p.error), SBX_OK, "empty");
        assert_int_equal(f.others, 0);
        expect(&p, sbx_list_dir(p.box, "none", NULL, take_entry, &f, &p.error), SBX_E_NOT_FOUND, "none");
        expect(&p, sbx_list_dir(p.box, "file", NULL, take_entry, &f, &p.error), SBX_E_NOT_DIR, "file");
        host_path(&p, "empty/link", path);
        assert_int_equal(symlink(".", path), 0);
        expect(&p, sbx_list_dir(p.box, "empty", NULL, take_entry, &f, &p.error), SBX_OK, "link");
        assert_int_equal(f.others, 1);
        assert_int_equal(f.type, SBX_FILE_SYMLINK);
        place_close(&p);
    }
}

static void directories_are_made_and_removed(void **state)
{
    (void)state;
    FOR_EACH_PLUGIN
    {
        struct place p;
        struct sbx_file_stat st = SBX_INIT(st);
        char path[160];
        place_open(&p, plugins[plugin], NULL);
        expect(&p, sbx_make_dir(p.box, "a/b/c", 0, 0, NULL, &p.error), SBX_E_NOT_FOUND, "no parents");
        expect(&p, sbx_make_dir(p.box, "a/b/c", 0750, SBX_DIR_PARENTS, NULL, &p.error), SBX_OK, "parents");
        expect(&p, sbx_make_dir(p.box, "a/b/c", 0, SBX_DIR_PARENTS, NULL, &p.error), SBX_OK, "again");
        expect(&p, sbx_make_dir(p.box, "a/b/c", 0, 0, NULL, &p.error), SBX_E_EXISTS, "exists");
        expect(&p, sbx_stat(p.box, "a/b/c", NULL, &st, &p.error), SBX_OK, "stat");
        assert_int_equal(st.mode, 0750);
        make(&p, "a/b/c/file");
        expect(&p, sbx_delete(p.box, "a/b", 0, NULL, &p.error), SBX_E_EXISTS, "not empty");
        expect(&p, sbx_delete(p.box, "a/b", SBX_DIR_RECURSIVE, NULL, &p.error), SBX_OK, "recursive");
        expect(&p, sbx_delete(p.box, "a/b", SBX_DIR_RECURSIVE, NULL, &p.error), SBX_E_NOT_FOUND, "gone");
        host_path(&p, "dangling", path);
        assert_int_equal(symlink("nowhere", path), 0);
        expect(&p, sbx_delete(p.box, "dangling", 0, NULL, &p.error), SBX_OK, "dangling");
        make(&p, "kept/file");
        host_path(&p, "link", path);
        assert_int_equal(symlink("kept", path), 0);
        expect(&p, sbx_delete(p.box, "link", SBX_DIR_RECURSIVE, NULL, &p.error), SBX_OK, "link");
        expect(&p, sbx_stat(p.box, "kept/file", NULL, &st, &p.error), SBX_OK, "kept");
        expect(&p, sbx_delete(p.box, "kept", 0x40, NULL, &p.error), SBX_E_UNSUPPORTED, "flags");
        expect(&p, sbx_make_dir(p.box, "x", 0100000, 0, NULL, &p.error), SBX_E_INVALID, "mode");
        expect(&p, sbx_rename(p.box, "none", "x", NULL, &p.error), SBX_E_NOT_FOUND, "rename");
        place_close(&p);
    }
}

static void waiting_asks_until_the_state_is_there(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "slow-start");
    place_create(&p);
    expect(&p, sbx_wait(p.box, 1u << SBX_STATE_RUNNING, NULL, NULL, NULL, &p.error), SBX_OK, "wait");
    const struct sbx_call_options brief = {.size = sizeof brief, .deadline_ms = 100};
    expect(&p, sbx_wait(p.box, 1u << SBX_STATE_SUSPENDED, &brief, NULL, NULL, &p.error), SBX_E_TIMEOUT, "time");
    expect(&p, sbx_wait(p.box, 0, NULL, NULL, NULL, &p.error), SBX_E_INVALID, "nothing");
    place_close(&p);
    place_open(&p, "direct", "state-stopped");
    place_create(&p);
    expect(&p, sbx_wait(p.box, 1u << SBX_STATE_RUNNING, NULL, NULL, NULL, &p.error), SBX_E_STATE, "stopped");
    expect(&p, sbx_wait(p.box, 1u << SBX_STATE_STOPPED, NULL, NULL, NULL, &p.error), SBX_OK, "stopped");
    place_close(&p);
}

static void check_permissions(struct place *p)
{
    char path[160];
    struct sbx_file_stat st = SBX_INIT(st);
    make(p, "locked/file");
    host_path(p, "locked", path);
    assert_int_equal(chmod(path, 0), 0);
    expect(p, sbx_stat(p->box, "locked/file", NULL, &st, &p->error), SBX_E_PERMISSION, "stat");
    expect(p, sbx_list_dir(p->box, "locked", NULL, NULL, NULL, &p->error), SBX_E_PERMISSION, "list");
    expect(p, sbx_make_dir(p->box, "locked/x", 0, 0, NULL, &p->error), SBX_E_PERMISSION, "mkdir");
    expect(p, sbx_delete(p->box, "locked/file", 0, NULL, &p->error), SBX_E_PERMISSION, "delete");
    assert_int_equal(chmod(path, 0500), 0);
    expect(p, sbx_delete(p->box, "locked/file", 0, NULL, &p->error), SBX_E_PERMISSION, "delete");
    expect(p, sbx_rename(p->box, "locked/file", "locked/x", NULL, &p->error), SBX_E_PERMISSION, "rename");
    assert_int_equal(chmod(path, 0700), 0);
}

/* Root may do everything, so it becomes nobody for a while. */
static void permission_is_told_from_absence(void **state)
{
    (void)state;
    struct place p;
    int is_root = geteuid() == 0;
    if (is_root && setresuid(65534, 65534, 0) != 0)
        UNIT_SKIP("root cannot become nobody here");
    if (access(DIRECT_DIR "/direct-bare.so", R_OK) != 0) {
        assert_int_equal(is_root ? setresuid(0, 0, 0) : 0, 0);
        UNIT_SKIP("nobody may not read the build tree");
    }
    place_open(&p, "direct-bare", NULL);
    check_permissions(&p);
    place_close(&p);
    assert_int_equal(is_root ? setresuid(0, 0, 0) : 0, 0);
}

static const struct CMUnitTest tests[] = {
    UNIT(support_says_who_does_it),         UNIT(stat_tells_the_same_everywhere),
    UNIT(odd_names_survive_everything),     UNIT(lists_tell_empty_missing_and_files_apart),
    UNIT(directories_are_made_and_removed), UNIT(waiting_asks_until_the_state_is_there),
    UNIT(permission_is_told_from_absence),
};
UNIT_MAIN(tests)
