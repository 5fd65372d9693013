/* SPDX-License-Identifier: MIT
 *
 * test_files.c - single files and directories, against a scripted guest.
 */
#include "tests/common/runner.h"

#include "tests/common/scripts.h"

/* --- read --------------------------------------------------------------------------------------------------- */
struct file {
    uint64_t type;
    uint64_t announced;
    size_t sent;
    int replies;
    int64_t status;
    char path[64];
    char user[64];
    uint64_t offset, limit;
};

static void read_script(struct fake_conn *c, void *user)
{
    struct file *file = user;
    char data[100];
    memset(data, 'd', sizeof data);
    while (fake_request(c) == 0) {
        fake_text(c, F_PATH, 0, file->path, sizeof file->path);
        fake_text(c, F_USER, 0, file->user, sizeof file->user);
        file->offset = fake_has(c, F_OFFSET) ? fake_number(c, F_OFFSET) : 0;
        file->limit = fake_has(c, F_LIMIT) ? fake_number(c, F_LIMIT) : 0;
        for (int i = 0; i < file->replies; i++)
            reply_stat(c, file->type, file->announced);
        if (file->sent > 0)
            fake_frame(c, FRAME_DATA, 0, STREAM_OUT, data, file->sent);
        fake_end(c, file->status);
    }
}

static sbx_status read_once(struct run *run, struct file *file, const struct sbx_read_args *args)
{
    struct fake_guest fake;
    struct guest_link_options options = {.default_user = "1000:1000", .workdir = "/workspace"};
    fake_start(&fake, read_script, file, &options);
    sbx_status status = guest_read_file(fake.link, &run->call, "a file", args, &run->out.sink);
    fake_stop(&fake);
    return status;
}

static void read_is_only_good_with_every_byte_announced(void **state)
{
    (void)state;
    static const struct {
        struct file file;
        uint64_t offset, limit;
        sbx_status status;
    } cases[] = {
        {{SBX_FILE_REGULAR, 10, 10, 1, 0, "", "", 0, 0}, 0, 0, SBX_OK},
        {{SBX_FILE_REGULAR, 0, 0, 1, 0, "", "", 0, 0}, 0, 0, SBX_OK},
        {{SBX_FILE_REGULAR, 100, 90, 1, 0, "", "", 0, 0}, 10, 0, SBX_OK},
        {{SBX_FILE_REGULAR, 100, 20, 1, 0, "", "", 0, 0}, 10, 20, SBX_OK},
        {{SBX_FILE_REGULAR, 100, 5, 1, 0, "", "", 0, 0}, 95, 20, SBX_OK},
        {{SBX_FILE_REGULAR, 100, 0, 1, 0, "", "", 0, 0}, 200, 0, SBX_OK},
        {{SBX_FILE_REGULAR, 10, 9, 1, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, 10, 0, 1, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, 10, 11, 1, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, 100, 21, 1, 0, "", "", 0, 0}, 10, 20, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, 10, 10, 0, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, 0, 0, 0, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, 10, 10, 2, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_DIRECTORY, 10, 10, 1, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_OTHER, 10, 10, 1, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, UINT64_MAX, 10, 1, 0, "", "", 0, 0}, 0, 0, SBX_E_PROTOCOL},
        {{SBX_FILE_REGULAR, 10, 10, 1, SBX_E_FAILED, "", "", 0, 0}, 0, 0, SBX_E_FAILED},
        {{SBX_FILE_REGULAR, 0, 0, 0, SBX_E_NOT_FOUND, "", "", 0, 0}, 0, 0, SBX_E_NOT_FOUND},
        {{SBX_FILE_REGULAR, 0, 0, 0, SBX_E_IS_DIR, "", "", 0, 0}, 0, 0, SBX_E_IS_DIR},
    };
    for
        EACH(i, cases)
        {
            struct file file = cases[i].file;
            struct sbx_read_args args = {.size = sizeof args, .offset = cases[i].offset, .limit = cases[i].limit};
            RUN run;
            run_init(&run);
            sbx_status status = read_once(&run, &file, &args);
            if (status != cases[i].status)
                fail_msg("case %zu: status %d, message '%s'", i, status, run.error.message);
            assert_string_equal(file.path, "/workspace/a file");
            assert_string_equal(file.user, "1000:1000");
            assert_int_equal(file.offset, args.offset);
            assert_int_equal(file.limit, args.limit);
            if (status == SBX_OK)
                assert_int_equal(run.out.data.len, file.sent);
            assert_int_equal(run.error.code, status);
        }
}

static void read_refuses_unknown_arguments(void **state)
{
    (void)state;
    struct file file = {.replies = 1};
    struct {
        struct sbx_read_args args;
        uint64_t future;
    } newer = {.args = {.size = sizeof newer}, .future = 1};
    RUN run;
    run_init(&run);
    assert_int_equal(read_once(&run, &file, &newer.args), SBX_E_UNSUPPORTED);
    struct sbx_read_args flagged = {.size = sizeof flagged, .flags = 1};
    assert_int_equal(read_once(&run, &file, &flagged), SBX_E_UNSUPPORTED);
}

/* --- write -------------------------------------------------------------------------------------------------- */
static sbx_status write_once(struct run *run, struct written *w, const struct sbx_write_args *args,
                             const struct sbx_source *in)
{
    struct fake_guest fake;
    fake_start(&fake, write_script, w, NULL);
    sbx_status status = guest_write_file(fake.link, &run->call, "/f", args, in);
    fake_stop(&fake);
    return status;
}

static void write_sends_mode_length_flags_and_all_bytes(void **state)
{
    (void)state;
    size_t len = (size_t)3 << 20;
    CLEANUP_FREE char *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 7 >> 3);
    struct given given;
    given_init(&given, data, len);
    given.piece = 10007;
    struct written w = {.eof = 0};
    buf_init(&w.data, len);
    struct sbx_write_args args = {.size = sizeof args, .mode = 0600, .length = len};
    args.flags = SBX_WRITE_PARENTS | SBX_WRITE_EXCL | SBX_WRITE_HAS_MODE | SBX_WRITE_HAS_LENGTH;
    RUN run;
    run_init(&run);
    assert_int_equal(write_once(&run, &w, &args, &given.source), SBX_OK);
    assert_int_equal(w.flags, SBX_WRITE_PARENTS | SBX_WRITE_EXCL);
    assert_int_equal(w.mode, 0600);
    assert_int_equal(w.length, len);
    assert_int_equal(w.data.len, len);
    assert_memory_equal(w.data.data, data, len);
    buf_finish(&w.data);
}

static void write_of_nothing_is_an_empty_file(void **state)
{
    (void)state;
    struct written w = {.eof = 0};
    RUN run;
    run_init(&run);
    assert_int_equal(write_once(&run, &w, NULL, NULL), SBX_OK);
    assert_int_equal(w.eof, 1);
    assert_int_equal(w.has_mode + w.has_length, 0);
    assert_int_equal(w.data.len, 0);
    buf_finish(&w.data);
}

static void write_of_another_length_than_announced_is_cancelled(void **state)
{
    (void)state;
    for (uint64_t length = 0; length < 7; length++) {
        struct given given;
        given_init(&given, "abc", 3);
        struct written w = {.eof = 0};
        buf_init(&w.data, 100);
        struct sbx_write_args args = {.size = sizeof args, .flags = SBX_WRITE_HAS_LENGTH, .length = length};
        RUN run;
        run_init(&run);
        assert_int_equal(write_once(&run, &w, &args, &given.source), length == 3 ? SBX_OK : SBX_E_INVALID);
        assert_int_equal(w.cancelled, length != 3);
        assert_int_equal(w.eof, length == 3);
        buf_finish(&w.data);
    }
}

static void write_from_a_source_that_fails_is_cancelled(void **state)
{
    (void)state;
    struct given given;
    given_init(&given, "abc", 3);
    given.stop = 1;
    struct written w = {.eof = 0};
    buf_init(&w.data, 100);
    RUN run;
    run_init(&run);
    assert_int_equal(write_once(&run, &w, NULL, &given.source), SBX_E_STOPPED);
    assert_int_equal(w.cancelled, 1);
    assert_int_equal(w.eof, 0);
    buf_finish(&w.data);
}

static void write_that_the_guest_ends_early_is_no_success(void **state)
{
    (void)state;
    size_t len = (size_t)2 << 20;
    CLEANUP_FREE char *data = calloc(1, len);
    struct given given;
    given_init(&given, data, len);
    struct written w = {.early = 1};
    RUN run;
    run_init(&run);
    assert_int_equal(write_once(&run, &w, NULL, &given.source), SBX_E_PROTOCOL);
    w.status = SBX_E_PERMISSION;
    given_init(&given, data, len);
    assert_int_equal(write_once(&run, &w, NULL, &given.source), SBX_E_PERMISSION);
}

static void write_refuses_a_mode_or_flag_that_is_none(void **state)
{
    (void)state;
    struct written w = {.eof = 0};
    RUN run;
    run_init(&run);
    struct sbx_write_args args = {.size = sizeof args, .flags = SBX_WRITE_HAS_MODE, .mode = 010000};
    assert_int_equal(write_once(&run, &w, &args, NULL), SBX_E_INVALID);
    args = (struct sbx_write_args){.size = sizeof args, .flags = 1u << 20};
    assert_int_equal(write_once(&run, &w, &args, NULL), SBX_E_UNSUPPORTED);
}

/* --- stat and list ------------------------------------------------------------------------------------------ */
static void stat_script(struct fake_conn *c, void *user)
{
    struct file *file = user;
    while (fake_request(c) == 0) {
        for (int i = 0; i < file->replies; i++)
            reply_stat(c, file->type, file->announced);
        fake_end(c, file->status);
    }
}

static void stat_is_read_with_care(void **state)
{
    (void)state;
    struct file file = {.type = SBX_FILE_SYMLINK, .announced = 5, .replies = 1};
    struct fake_guest fake;
    fake_start(&fake, stat_script, &file, NULL);
    RUN run;
    run_init(&run);
    struct sbx_file_stat stat = {.size = sizeof stat};
    assert_int_equal(guest_stat(fake.link, &run.call, "/x", &stat), SBX_OK);
    assert_int_equal(stat.type, SBX_FILE_SYMLINK);
    assert_int_equal(stat.mode, 0644);
    assert_int_equal(stat.bytes, 5);
    assert_true(stat.mtime_ms == 1700000000123);
    assert_int_equal(stat.known, SBX_STAT_MODE | SBX_STAT_BYTES | SBX_STAT_MTIME);
    file.type = 99;
    assert_int_equal(guest_stat(fake.link, &run.call, "/x", &stat), SBX_OK);
    assert_int_equal(stat.type, SBX_FILE_UNKNOWN);
    file.replies = 0;
    assert_int_equal(guest_stat(fake.link, &run.call, "/x", &stat), SBX_E_PROTOCOL);
    file.replies = 2;
    assert_int_equal(guest_stat(fake.link, &run.call, "/x", &stat), SBX_E_PROTOCOL);
    file.replies = 0;
    file.status = SBX_E_NOT_FOUND;
    assert_int_equal(guest_stat(fake.link, &run.call, "/x", &stat), SBX_E_NOT_FOUND);
    assert_int_equal(guest_stat(fake.link, &run.call, "", &stat), SBX_E_INVALID);
    fake_stop(&fake);
}

struct names {
    const char *names[4];
    size_t lens[4];
    int count;
};

static void list_script(struct fake_conn *c, void *user)
{
    const struct names *names = user;
    if (fake_request(c) != 0)
        return;
    for (int i = 0; i < names->count; i++) {
        CLEANUP_BUF struct buf b;
        buf_init(&b, 70000);
        fields_bytes(&b, F_NAME, names->names[i], names->lens[i]);
        fields_number(&b, F_TYPE, SBX_FILE_DIRECTORY);
        fake_frame(c, FRAME_REPLY, 0, 0, b.data, b.len);
    }
    fake_end(c, 0);
}

struct seen {
    int count;
    int stop_at;
    char text[200];
};

static int32_t seen_item(void *user, const struct sbx_entry *entry)
{
    struct seen *seen = user;
    size_t used = strlen(seen->text);
    (void)snprintf(seen->text + used, sizeof seen->text - used, "%s|%u,", entry->name, entry->stat->type);
    return ++seen->count == seen->stop_at;
}

static sbx_status list_once(struct run *run, struct names *names, struct seen *seen)
{
    struct fake_guest fake;
    fake_start(&fake, list_script, names, NULL);
    struct sbx_entry_sink sink = {.size = sizeof sink, .user = seen, .item = seen_item};
    sbx_status status = guest_list(fake.link, &run->call, "/d", &sink);
    fake_stop(&fake);
    return status;
}

static void list_gives_each_entry_once(void **state)
{
    (void)state;
    struct names names = {{".hidden", "a b", "\xff\n", "..."}, {7, 3, 2, 3}, 4};
    struct seen seen = {.count = 0};
    RUN run;
    run_init(&run);
    assert_int_equal(list_once(&run, &names, &seen), SBX_OK);
    assert_string_equal(seen.text, ".hidden|2,a b|2,\xff\n|2,...|2,");
    names.count = 0;
    memset(&seen, 0, sizeof seen);
    assert_int_equal(list_once(&run, &names, &seen), SBX_OK);
    assert_int_equal(seen.count, 0);
    names.count = 4;
    seen.stop_at = 2;
    assert_int_equal(list_once(&run, &names, &seen), SBX_E_STOPPED);
    assert_int_equal(seen.count, 2);
}

static void list_refuses_names_that_no_entry_has(void **state)
{
    (void)state;
    static char longest[4096];
    memset(longest, 'n', sizeof longest);
    const struct names cases[] = {
        {{"../etc"}, {6}, 1}, {{".."}, {2}, 1}, {{"."}, {1}, 1},    {{""}, {0}, 1},
        {{"a/b"}, {3}, 1},    {{"/"}, {1}, 1},  {{"a\0b"}, {3}, 1}, {{longest}, {sizeof longest}, 1},
    };
    for
        EACH(i, cases)
        {
            struct names names = cases[i];
            struct seen seen = {.count = 0};
            RUN run;
            run_init(&run);
            assert_int_equal(list_once(&run, &names, &seen), SBX_E_PROTOCOL);
            assert_int_equal(seen.count, 0);
        }
}

/* --- changes ------------------------------------------------------------------------------------------------ */
struct change {
    uint32_t op;
    char path[64], to[64];
    uint64_t flags, mode;
};

static void change_script(struct fake_conn *c, void *user)
{
    struct change *change = user;
    while (fake_request(c) == 0) {
        change->op = c->op;
        fake_text(c, F_PATH, 0, change->path, sizeof change->path);
        fake_text(c, F_TO, 0, change->to, sizeof change->to);
        change->flags = fake_has(c, F_FLAGS) ? fake_number(c, F_FLAGS) : 0;
        change->mode = fake_has(c, F_MODE) ? fake_number(c, F_MODE) : 0;
        fake_end(c, 0);
    }
}

static void mkdir_remove_and_rename_ask_for_what_was_said(void **state)
{
    (void)state;
    struct change change;
    struct guest_link_options options = {.workdir = "/w"};
    struct fake_guest fake;
    fake_start(&fake, change_script, &change, &options);
    RUN run;
    run_init(&run);
    assert_int_equal(guest_mkdir(fake.link, &run.call, "d", 0, SBX_FS_PARENTS), SBX_OK);
    assert_int_equal(change.op, OP_MKDIR);
    assert_string_equal(change.path, "/w/d");
    assert_int_equal(change.flags, FS_PARENTS);
    assert_int_equal(change.mode, 0755);
    assert_int_equal(guest_mkdir(fake.link, &run.call, "/d", 0700, 0), SBX_OK);
    assert_int_equal(change.flags, 0);
    assert_int_equal(change.mode, 0700);
    assert_int_equal(guest_remove(fake.link, &run.call, "/d", SBX_FS_RECURSIVE), SBX_OK);
    assert_int_equal(change.op, OP_REMOVE);
    assert_int_equal(change.flags, FS_RECURSIVE);
    assert_int_equal(guest_rename(fake.link, &run.call, "from", "/to"), SBX_OK);
    assert_int_equal(change.op, OP_RENAME);
    assert_string_equal(change.path, "/w/from");
    assert_string_equal(change.to, "/to");
    assert_int_equal(guest_mkdir(fake.link, &run.call, "/d", 0, 8), SBX_E_UNSUPPORTED);
    assert_int_equal(guest_mkdir(fake.link, &run.call, "/d", 010000, 0), SBX_E_INVALID);
    assert_int_equal(guest_remove(fake.link, &run.call, "/d", SBX_FS_PARENTS), SBX_E_UNSUPPORTED);
    assert_int_equal(guest_rename(fake.link, &run.call, "/a", NULL), SBX_E_INVALID);
    fake_stop(&fake);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_is_only_good_with_every_byte_announced),
        cmocka_unit_test(read_refuses_unknown_arguments),
        cmocka_unit_test(write_sends_mode_length_flags_and_all_bytes),
        cmocka_unit_test(write_of_nothing_is_an_empty_file),
        cmocka_unit_test(write_of_another_length_than_announced_is_cancelled),
        cmocka_unit_test(write_from_a_source_that_fails_is_cancelled),
        cmocka_unit_test(write_that_the_guest_ends_early_is_no_success),
        cmocka_unit_test(write_refuses_a_mode_or_flag_that_is_none),
        cmocka_unit_test(stat_is_read_with_care),
        cmocka_unit_test(list_gives_each_entry_once),
        cmocka_unit_test(list_refuses_names_that_no_entry_has),
        cmocka_unit_test(mkdir_remove_and_rename_ask_for_what_was_said),
    };
    return RUN_TESTS(tests, argc, argv);
}
