/* SPDX-License-Identifier: MIT
 *
 * rule_fs.c - stat, directories, batches, archives.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

static void shell_ok(struct run *run, const char *text)
{
    int code = step_shell(run, run->h, text, NULL);
    EXPECT(run, code == 0, "`%.100s` ended with code %d", text, code);
}

static sbx_status stat_path(struct run *run, struct call *c, const char *path, struct sbx_file_stat *st)
{
    struct sbx_stat_ops ops;
    extension_take(run, SBX_EXT_STAT, &ops, sizeof ops);
    *c = (struct call){.run = run, .deadline_ms = 20000};
    call_begin(c, "stat");
    const char *lent_path = lend_text(c, path);
    void *out = lend_out(c, sizeof *st);
    sbx_status status = ops.stat(run->h, c->lent, lent_path, out);
    lend_taken(c, st, out, sizeof *st);
    return call_end(c, status);
}

static void stats(struct run *run)
{
    struct sbx_file_stat st;
    struct call c;
    shell_ok(run, "printf abcd > f && chmod 640 f && mkdir d && ln -s f l");
    call_want(&c, stat_path(run, &c, "f", &st), SBX_OK);
    EXPECT(run, st.type == SBX_FILE_REGULAR, "a file has the type %u", st.type);
    EXPECT(run, (st.known & SBX_STAT_BYTES) == 0 || st.bytes == 4, "a file of 4 bytes has %llu",
           (unsigned long long)st.bytes);
    EXPECT(run, (st.known & SBX_STAT_MODE) == 0 || st.mode == 0640, "a file of mode 640 has %o", st.mode);
    EXPECT(run, (st.known & SBX_STAT_MTIME) == 0 || st.mtime_ms > INT64_C(1500000000000), "mtime_ms is %lld",
           (long long)st.mtime_ms);
    call_want(&c, stat_path(run, &c, "d", &st), SBX_OK);
    EXPECT(run, st.type == SBX_FILE_DIRECTORY, "a directory has the type %u", st.type);
    call_want(&c, stat_path(run, &c, "l", &st), SBX_OK);
    EXPECT(run, st.type == SBX_FILE_REGULAR, "a symlink was not followed: type %u", st.type);
    call_want(&c, stat_path(run, &c, "no-such", &st), SBX_E_NOT_FOUND);
}

/* --- directories -------------------------------------------------------------------------------------------------- */

static int32_t take_entry(void *user, const struct sbx_entry *entry)
{
    struct report *into = callback_enter(user);
    size_t used = strlen(into->ids);
    (void)snprintf(into->ids + used, sizeof into->ids - used, " %s:%u", entry->name,
                   entry->stat != NULL ? entry->stat->type : 99);
    into->count++;
    callback_leave(user);
    return into->answer;
}

static sbx_status list_dir(struct run *run, struct call *c, const struct sbx_fs_ops *ops, const char *dir,
                           struct report *into)
{
    *c = (struct call){.run = run, .deadline_ms = 20000};
    call_begin(c, "list of a directory");
    struct sbx_entry_sink sink = {.size = sizeof sink, .user = lend_guard(c, into), .item = take_entry};
    const char *lent_dir = lend_text(c, dir);
    return call_end(c, ops->list(run->h, c->lent, lent_dir, lend_copy(c, &sink, sizeof sink)));
}

static void entries(struct run *run)
{
    struct sbx_fs_ops ops;
    struct report seen = {0};
    struct call c;
    extension_take(run, SBX_EXT_FS, &ops, sizeof ops);
    shell_ok(run, "mkdir t t/d && echo > t/f && ln -s d t/l && echo > t/.h && mkdir e");
    call_want(&c, list_dir(run, &c, &ops, "t", &seen), SBX_OK);
    EXPECT(run,
           seen.count == 4 && strstr(seen.ids, " d:2") != NULL && strstr(seen.ids, " f:1") != NULL &&
               strstr(seen.ids, " l:3") != NULL && strstr(seen.ids, " .h:1") != NULL,
           "the entries (name:type) are%s", seen.ids);
    struct report none = {0};
    call_want(&c, list_dir(run, &c, &ops, "e", &none), SBX_OK);
    EXPECT(run, none.count == 0, "an empty directory has %u entries", none.count);
    call_want(&c, list_dir(run, &c, &ops, "t/f", &none), SBX_E_NOT_DIR);
    call_want(&c, list_dir(run, &c, &ops, "no-such", &none), SBX_E_NOT_FOUND);
    struct report one = {.answer = 1};
    call_want(&c, list_dir(run, &c, &ops, "t", &one), SBX_E_STOPPED);
    EXPECT(run, one.count == 1, "list went on after it was asked to stop");
}

static void change(struct run *run, sbx_status wanted, char what, const char *path, const char *to, uint32_t flags)
{
    struct sbx_fs_ops ops;
    struct call c = {.run = run, .deadline_ms = 20000};
    extension_take(run, SBX_EXT_FS, &ops, sizeof ops);
    call_begin(&c, what == 'm' ? "mkdir" : what == 'r' ? "remove of a file" : "rename");
    const char *first = lend_text(&c, path);
    const char *second = lend_text(&c, to);
    sbx_status status = what == 'm'   ? ops.mkdir(run->h, c.lent, first, 0, flags)
                        : what == 'r' ? ops.remove(run->h, c.lent, first, flags)
                                      : ops.rename(run->h, c.lent, first, second);
    call_want(&c, call_end(&c, status), wanted);
}

/* A directory has the mode asked for, and one with content stays, in whatever words that is told. */
static void modes_and_content(struct run *run)
{
    struct sbx_fs_ops ops;
    struct call c = {.run = run, .deadline_ms = 20000};
    extension_take(run, SBX_EXT_FS, &ops, sizeof ops);
    call_begin(&c, "mkdir");
    call_want(&c, call_end(&c, ops.mkdir(run->h, c.lent, lend_text(&c, "moded"), 0710, 0)), SBX_OK);
    change(run, SBX_OK, 'm', "plain", NULL, 0);
    step_says(run, run->h, "stat -c %a moded plain | tr '\\n' ' '", "710 755 ");
    shell_ok(run, "echo > moded/inside");
    call_begin(&c, "remove of a directory with content");
    sbx_status status = call_end(&c, ops.remove(run->h, c.lent, lend_text(&c, "moded"), 0));
    EXPECT(run, status < 0, "a directory with content was removed without SBX_FS_RECURSIVE");
    shell_ok(run, "test -f moded/inside && rm moded/inside");
    change(run, SBX_OK, 'r', "moded", NULL, 0);
    change(run, SBX_OK, 'r', "plain", NULL, 0);
}

static void changes(struct run *run)
{
    modes_and_content(run);
    change(run, SBX_OK, 'm', "new", NULL, 0);
    change(run, SBX_E_EXISTS, 'm', "new", NULL, 0);
    change(run, SBX_OK, 'm', "new/a/b", NULL, SBX_FS_PARENTS);
    change(run, SBX_OK, 'm', "new/a/b", NULL, SBX_FS_PARENTS);
    change(run, SBX_E_NOT_FOUND, 'm', "none/a", NULL, 0);
    change(run, SBX_E_UNSUPPORTED, 'm', "flagged", NULL, 1u << 30);
    shell_ok(run, "echo > file && ln -s no-such dangling");
    change(run, SBX_E_NOT_DIR, 'm', "file/x", NULL, SBX_FS_PARENTS);
    change(run, SBX_OK, 'n', "file", "new/file", 0);
    shell_ok(run, "test -f new/file");
    change(run, SBX_E_NOT_FOUND, 'n', "file", "other", 0);
    sbx_status refused = SBX_E_NOT_FOUND;
    change(run, refused, 'r', "no-such", NULL, 0);
    change(run, SBX_OK, 'r', "dangling", NULL, 0);
    change(run, SBX_OK, 'r', "new", NULL, SBX_FS_RECURSIVE);
    step_says(run, run->h, "ls -A | wc -l | tr -d ' '", "0");
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

enum { ITEMS = 4 };
struct tally {
    unsigned seen[ITEMS];
    sbx_status codes[ITEMS];
    unsigned wild;
};

static void take_item(void *user, size_t index, sbx_status code, const char *message)
{
    struct tally *into = callback_enter(user);
    (void)message;
    if (index < ITEMS) {
        into->seen[index]++;
        into->codes[index] = code;
    } else {
        into->wild++;
    }
    callback_leave(user);
}

static const struct sbx_batch_report *lend_report(struct call *c, struct tally *into)
{
    struct sbx_batch_report report = {.size = sizeof report, .user = lend_guard(c, into), .item = take_item};
    return lend_copy(c, &report, sizeof report);
}

static void check_tally(struct run *run, const struct tally *tally, const sbx_status *wanted)
{
    for (size_t i = 0; i < ITEMS; i++) {
        EXPECT(run, tally->seen[i] == 1, "item %zu was reported %u times", i, tally->seen[i]);
        EXPECT(run, tally->codes[i] == wanted[i], "item %zu was reported as %s where %s was due", i,
               status_name(tally->codes[i]), status_name(wanted[i]));
    }
    EXPECT(run, tally->wild == 0, "an item was reported that is not there");
}

static void batches(struct run *run)
{
    static const char *const put_paths[ITEMS] = {"one", "no/such/two", "three", "d"};
    static const char *const get_paths[ITEMS] = {"one", "no-such", "d", "three"};
    static const sbx_status put_codes[ITEMS] = {SBX_OK, SBX_E_NOT_FOUND, SBX_OK, SBX_E_IS_DIR};
    static const sbx_status get_codes[ITEMS] = {SBX_OK, SBX_E_NOT_FOUND, SBX_E_IS_DIR, SBX_OK};
    struct sbx_batch_ops ops;
    struct feed from[ITEMS];
    struct caught into[ITEMS];
    extension_take(run, SBX_EXT_BATCH, &ops, sizeof ops);
    shell_ok(run, "mkdir d");
    struct tally put = {0};
    struct call c = {.run = run, .deadline_ms = 20000};
    call_begin(&c, "put");
    const struct sbx_put_item **puts = lend_space(&c, ITEMS * sizeof *puts);
    for (size_t i = 0; i < ITEMS; i++) {
        from[i] = (struct feed){.data = put_paths[i], .len = strlen(put_paths[i])};
        struct sbx_put_item item = {
            .size = sizeof item, .path = lend_text(&c, put_paths[i]), .in = lend_source(&c, &from[i])};
        puts[i] = lend_copy(&c, &item, sizeof item);
    }
    call_want(&c, call_end(&c, ops.put(run->h, c.lent, puts, ITEMS, lend_report(&c, &put))), SBX_OK);
    check_tally(run, &put, put_codes);
    struct tally get = {0};
    call_begin(&c, "get");
    const struct sbx_get_item **gets = lend_space(&c, ITEMS * sizeof *gets);
    for (size_t i = 0; i < ITEMS; i++) {
        caught_init(&into[i]);
        struct sbx_get_item item = {
            .size = sizeof item, .path = lend_text(&c, get_paths[i]), .out = lend_sink(&c, &into[i])};
        gets[i] = lend_copy(&c, &item, sizeof item);
    }
    call_want(&c, call_end(&c, ops.get(run->h, c.lent, gets, ITEMS, lend_report(&c, &get))), SBX_OK);
    check_tally(run, &get, get_codes);
    EXPECT(run, into[0].data.len == 3 && into[3].data.len == 5, "the files of a batch have %zu and %zu bytes",
           into[0].data.len, into[3].data.len);
}

/* --- archives ----------------------------------------------------------------------------------------------------- */

static void archives(struct run *run)
{
    struct sbx_archive_ops ops;
    struct caught tar;
    extension_take(run, SBX_EXT_ARCHIVE, &ops, sizeof ops);
    shell_ok(run, "mkdir -p from/sub && printf abc > from/sub/f && ln -s sub/f from/l && chmod 750 from/sub");
    struct call c = {.run = run, .deadline_ms = 20000};
    caught_init(&tar);
    call_begin(&c, "get_tar");
    const char *dir = lend_text(&c, "from");
    call_want(&c, call_end(&c, ops.get_tar(run->h, c.lent, dir, lend_sink(&c, &tar))), SBX_OK);
    EXPECT(run, tar.data.len >= 1024 && tar.data.len % 512 == 0, "an archive has %zu bytes", tar.data.len);
    struct feed from = {.data = tar.data.data, .len = tar.data.len, .piece = 700};
    call_begin(&c, "put_tar");
    dir = lend_text(&c, "made/to");
    call_want(&c, call_end(&c, ops.put_tar(run->h, c.lent, dir, lend_source(&c, &from))), SBX_OK);
    step_says(run, run->h, "cat made/to/sub/f made/to/l; stat -c %a made/to/sub", "abcabc750");
    struct feed cut = {.data = tar.data.data, .len = 512};
    call_begin(&c, "put_tar");
    dir = lend_text(&c, "cut");
    call_want(&c, call_end(&c, ops.put_tar(run->h, c.lent, dir, lend_source(&c, &cut))), SBX_E_PROTOCOL);
    struct caught none;
    caught_init(&none);
    call_begin(&c, "get_tar");
    dir = lend_text(&c, "no-such");
    call_want(&c, call_end(&c, ops.get_tar(run->h, c.lent, dir, lend_sink(&c, &none))), SBX_E_NOT_FOUND);
    call_begin(&c, "get_tar");
    dir = lend_text(&c, "from/sub/f");
    call_want(&c, call_end(&c, ops.get_tar(run->h, c.lent, dir, lend_sink(&c, &none))), SBX_E_NOT_DIR);
}

static const struct rule table[] = {
    {651, NEEDS_BOX, "sbx.stat", "stat_tells", "type, size, mode and time of files and directories, behind symlinks",
     stats, SBX_EXT_STAT},
    {652, NEEDS_BOX, "sbx.fs", "directories_are_listed", "each entry once, hidden ones too, symlinks as such", entries,
     SBX_EXT_FS},
    {653, NEEDS_BOX, "sbx.fs P10", "entries_are_made_moved_and_removed",
     "mkdir, rename and remove do what they say and refuse what they must", changes, SBX_EXT_FS},
    {654, NEEDS_BOX, "sbx.batch", "batch_reports_each_item_once",
     "each item is reported once with write_file's or read_file's code", batches, SBX_EXT_BATCH},
    {655, NEEDS_BOX, "sbx.archive", "archives_go_both_ways",
     "a tree goes out and in as a tar; one that is cut is SBX_E_PROTOCOL", archives, SBX_EXT_ARCHIVE},
};
RULE_GROUP(rules_fs, "file capabilities", table);
