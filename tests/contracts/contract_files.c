/* SPDX-License-Identifier: MIT
 *
 * Library cases about files: typed errors, limits, batches, what can be asked without reading.
 */
#include "tests/contracts/contract_lib.h"
#include <stddef.h>

static sbx_status read_into(struct fixture *f, const char *path, uint64_t max_size, sbx_op **op)
{
    struct sbx_transfer_options how = SBX_INIT(how);
    how.flags = SBX_TRANSFER_CAPTURE;
    how.max_size = max_size;
    *op = NULL;
    sbx_status status = sbx_read_file_start(f->box, path, &how, NULL, op, &f->error);
    return status != SBX_OK ? status : sbx_op_finish(*op, &f->error);
}

static void want_read(struct fixture *f, const char *path, sbx_status want)
{
    sbx_op *op;
    sbx_status got = read_into(f, path, 0, &op);
    CHECK(got == want, "reading '%s' gives %s instead of %s", path, sbx_status_name(got), sbx_status_name(want));
    if (want == SBX_E_NOT_FOUND)
        CHECK(strstr(f->error.message, path) != NULL || strchr(path, '\377') != NULL, "'%s' does not name '%s'",
              f->error.message, path);
    sbx_op_free(op);
}

static void read_limits(struct fixture *f)
{
    sbx_op *op;
    size_t len = 0;
    shell(f, "head -c 2048 /dev/zero >/tmp/two; truncate -s 104857601 /tmp/large 2>/dev/null || dd if=/dev/zero "
             "of=/tmp/large bs=1 count=1 seek=104857600 2>/dev/null");
    WANT(f, read_into(f, "/tmp/two", 1024, &op), SBX_E_TOO_LARGE);
    CHECK(strstr(f->error.message, "1024") != NULL || strstr(f->error.message, "1 KiB") != NULL,
          "'%s' does not name the limit", f->error.message);
    sbx_op_free(op);
    OK(f, read_into(f, "/tmp/two", 2048, &op));
    sbx_op_output(op, 0, &len);
    CHECK(len == 2048, "%zu bytes", len);
    sbx_op_free(op);
    int64_t begin = clock_ms();
    WANT(f, read_into(f, "/tmp/large", 0, &op), SBX_E_TOO_LARGE);
    CHECK(strstr(f->error.message, "100 MiB") != NULL || strstr(f->error.message, "104857600") != NULL,
          "'%s' does not name the limit", f->error.message);
    CHECK(clock_ms() - begin < 500, "the file was sent before the limit was checked");
    sbx_op_free(op);
}

static void nonsense_paths(struct fixture *f)
{
    char longest[5000];
    want_read(f, "https:/en.wikipedia.org/wiki/Bart%C5%82omiej_Kasprzykowski", SBX_E_NOT_FOUND);
    want_read(f, "https:/en.wikipedia.org/wiki/Bart\305\202omiej", SBX_E_NOT_FOUND);
    want_read(f, "/tmp/plain/x", SBX_E_NOT_FOUND);
    want_read(f, "/\377\376/x", SBX_E_NOT_FOUND);
    memset(longest, 'a', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    sbx_op *op;
    sbx_status status = read_into(f, "", 0, &op);
    CHECK(status == SBX_E_BAD_PATH || status == SBX_E_NOT_FOUND, "an empty path gives %s", sbx_status_name(status));
    sbx_op_free(op);
    status = read_into(f, longest, 0, &op);
    CHECK(status == SBX_E_BAD_PATH || status == SBX_E_NOT_FOUND, "%s", sbx_status_name(status));
    sbx_op_free(op);
    shell(f, "ln -s loop /tmp/loop");
    status = read_into(f, "/tmp/loop", 0, &op);
    CHECK(status == SBX_E_BAD_PATH || status == SBX_E_NOT_FOUND, "a loop gives %s", sbx_status_name(status));
    sbx_op_free(op);
}

static void directories(struct fixture *f)
{
    static const char *const paths[] = {"/tmp/dir", "/tmp/dir/", "/tmp/dir/..", "/tmp/dir/.",       ".",
                                        "/",        "/tmp/link", "/tmp/link/",  "/tmp/dir/../link", "~/"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        want_read(f, paths[i], SBX_E_IS_DIR);
}

static void put_on_directory(struct fixture *f)
{
    static const char *const paths[] = {"/tmp/dir", "/tmp/dir/", "/tmp/dir/sub/..", "/tmp"};
    struct sbx_transfer_options how = SBX_INIT(how);
    shell(f, "mkdir -p /tmp/dir/sub; rmdir /tmp/dir/sub; mkdir -p /tmp/dir2/sub");
    how.data = "x";
    how.data_len = 1;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (i == 2)
            continue;
        WANT(f, sbx_write_file(f->box, paths[i], &how, NULL, &f->error), SBX_E_IS_DIR);
    }
    WANT(f, sbx_write_file(f->box, "/tmp/dir2/sub/..", &how, NULL, &f->error), SBX_E_IS_DIR);
    shell(f, "ln -s dir2 /tmp/to-dir2");
    WANT(f, sbx_write_file(f->box, "/tmp/to-dir2", &how, NULL, &f->error), SBX_E_IS_DIR);
}

static void slashes(struct fixture *f)
{
    put_text(f, "/tmp/sl2//a///b", "x");
    want_read(f, "//tmp/sl2/a//b", SBX_OK);
    want_read(f, "/tmp/./sl2/../sl2/a/b", SBX_OK);
    struct sbx_file_stat st = SBX_INIT(st);
    OK(f, sbx_stat(f->box, "/tmp/sl2///", NULL, &st, &f->error));
    CHECK(st.type == SBX_FILE_DIRECTORY, "type %u", st.type);
}

struct batch_seen {
    sbx_status code[8];
    int times[8];
};

static void batch_item(void *user, size_t index, sbx_status code, const char *message)
{
    struct batch_seen *seen = user;
    CHECK(index < 8, "index %zu", index);
    CHECK(code == SBX_OK || message != NULL, "no message for item %zu", index);
    seen->code[index] = code;
    seen->times[index]++;
}

static int32_t batch_data(void *user, const void *data, size_t len)
{
    char *text = user;
    size_t have = strlen(text);
    CHECK(have + len < 64, "too many bytes");
    memcpy(text + have, data, len);
    return 0;
}

static void batch(struct fixture *f)
{
    static const char *const paths[6] = {"/tmp/b/one", "/tmp/b",    "/no/such/none",
                                         "/tmp/b/two", "/dev/zero", "/tmp/b/locked"};
    static const sbx_status get_want[6] = {SBX_OK, SBX_E_IS_DIR,   SBX_E_NOT_FOUND,
                                           SBX_OK, SBX_E_BAD_PATH, SBX_E_PERMISSION};
    struct sbx_file_item items[6];
    const struct sbx_file_item *list[6];
    struct sbx_transfer_options how[6];
    char text[6][64];
    struct batch_seen seen;
    memset(items, 0, sizeof items);
    memset(how, 0, sizeof how);
    memset(text, 0, sizeof text);
    shell(f, "mkdir -p /tmp/b/dir; echo one >/tmp/b/one; echo two >/tmp/b/two; echo x >/tmp/b/locked; chmod 0 "
             "/tmp/b/locked");
    for (size_t i = 0; i < 6; i++) {
        how[i] = (struct sbx_transfer_options){.size = sizeof how[i], .on_data = batch_data, .user_data = text[i]};
        items[i] = (struct sbx_file_item){.size = sizeof items[i], .path = paths[i], .how = &how[i]};
        list[i] = &items[i];
    }
    memset(&seen, 0, sizeof seen);
    OK(f, sbx_read_files(f->box, list, 6, NULL, batch_item, &seen, &f->error));
    for (size_t i = 0; i < 6; i++)
        CHECK(seen.times[i] == 1 && seen.code[i] == get_want[i], "item %zu: %d reports, %s", i, seen.times[i],
              sbx_status_name(seen.code[i]));
    CHECK(strcmp(text[0], "one\n") == 0 && strcmp(text[3], "two\n") == 0, "wrong bytes");
    static const sbx_status put_want[6] = {SBX_OK, SBX_E_IS_DIR, SBX_E_PERMISSION, SBX_OK, 0, SBX_E_PERMISSION};
    for (size_t i = 0; i < 6; i++)
        how[i] = (struct sbx_transfer_options){
            .size = sizeof how[i], .flags = SBX_WRITE_PARENTS, .data = "new", .data_len = 3};
    items[4].path = "/tmp/b/made/now";
    memset(&seen, 0, sizeof seen);
    OK(f, sbx_write_files(f->box, list, 6, NULL, batch_item, &seen, &f->error));
    for (size_t i = 0; i < 6; i++)
        CHECK(seen.times[i] == 1 && seen.code[i] == put_want[i], "put item %zu: %d reports, %s", i, seen.times[i],
              sbx_status_name(seen.code[i]));
    shell(f, "test \"$(cat /tmp/b/one /tmp/b/two /tmp/b/made/now)\" = newnewnew");
}

static void four_codes(struct fixture *f)
{
    CHECK(strcmp(sbx_status_name(SBX_E_NOT_FOUND), "file_not_found") == 0, "%s", sbx_status_name(SBX_E_NOT_FOUND));
    CHECK(strcmp(sbx_status_name(SBX_E_PERMISSION), "permission_denied") == 0, "%s", sbx_status_name(SBX_E_PERMISSION));
    CHECK(strcmp(sbx_status_name(SBX_E_IS_DIR), "is_directory") == 0, "%s", sbx_status_name(SBX_E_IS_DIR));
    CHECK(strcmp(sbx_status_name(SBX_E_BAD_PATH), "invalid_path") == 0, "%s", sbx_status_name(SBX_E_BAD_PATH));
    want_read(f, "/tmp/none", SBX_E_NOT_FOUND);
    want_read(f, "/tmp", SBX_E_IS_DIR);
    want_read(f, "/dev/null", SBX_E_BAD_PATH);
    OK(f, sbx_remove(f->box, NULL, &f->error));
    sbx_op *op;
    sbx_status status = read_into(f, "/tmp/none", 0, &op);
    sbx_op_free(op);
    CHECK(status == SBX_E_GONE || status == SBX_E_UNAVAILABLE, "a dead sandbox gives %s", sbx_status_name(status));
}

static void exists(struct fixture *f)
{
    static const struct {
        const char *path;
        int want;
    } table[] = {{"/tmp", 1},        {"/tmp/x/f", 1},  {"/tmp/x/f/below", 0}, {"/none", 0},
                 {"/tmp/x/link", 1}, {"/dev/null", 1}, {"x/../none", 0},      {"https:/a%C5", 0}};
    shell(f, "mkdir /tmp/x; echo >/tmp/x/f; ln -s f /tmp/x/link");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int found = -1;
        OK(f, sbx_exists(f->box, table[i].path, NULL, &found, &f->error));
        CHECK(found == table[i].want, "'%s': %d", table[i].path, found);
    }
}

static void stat_case(struct fixture *f)
{
    struct sbx_file_stat st = SBX_INIT(st);
    shell(f, "mkdir -p /tmp/s/d; printf 12345 >/tmp/s/f; chmod 640 /tmp/s/f; touch -d @1500000000 /tmp/s/f; ln -s f "
             "/tmp/s/l; mkfifo /tmp/s/p; chmod 751 /tmp/s/d; truncate -s 5G /tmp/s/big");
    OK(f, sbx_stat(f->box, "/tmp/s/f", NULL, &st, &f->error));
    CHECK(st.type == SBX_FILE_REGULAR && st.bytes == 5 && st.mode == 0640, "type %u, %llu bytes, mode %o", st.type,
          (unsigned long long)st.bytes, st.mode);
    CHECK(st.mtime_ms == 1500000000000, "mtime %lld", (long long)st.mtime_ms);
    CHECK((st.known & (SBX_STAT_MODE | SBX_STAT_BYTES | SBX_STAT_MTIME)) == 7, "known %u", st.known);
    OK(f, sbx_stat(f->box, "/tmp/s/l", NULL, &st, &f->error));
    CHECK(st.type == SBX_FILE_REGULAR && st.bytes == 5, "a symlink was not followed");
    OK(f, sbx_stat(f->box, "/tmp/s/d", NULL, &st, &f->error));
    CHECK(st.type == SBX_FILE_DIRECTORY && st.mode == 0751, "type %u, mode %o", st.type, st.mode);
    OK(f, sbx_stat(f->box, "/tmp/s/p", NULL, &st, &f->error));
    CHECK(st.type == SBX_FILE_OTHER, "a fifo is of type %u", st.type);
    OK(f, sbx_stat(f->box, "/tmp/s/big", NULL, &st, &f->error));
    CHECK(st.bytes == 5ull << 30, "%llu bytes", (unsigned long long)st.bytes);
    WANT(f, sbx_stat(f->box, "/tmp/s/none", NULL, &st, &f->error), SBX_E_NOT_FOUND);
    WANT(f, sbx_stat(f->box, "/tmp/s/f/x", NULL, &st, &f->error), SBX_E_NOT_FOUND);
}

static void stat_in_empty_image(struct fixture *f)
{
    struct sbx_file_stat st = SBX_INIT(st);
    OK(f, sbx_stat(f->box, "/tmp/a/f", NULL, &st, &f->error));
    CHECK(st.type == SBX_FILE_REGULAR && st.bytes == 100000, "%llu bytes", (unsigned long long)st.bytes);
    OK(f, sbx_make_dir(f->box, "/tmp/n/m", 0, SBX_DIR_PARENTS, NULL, &f->error));
    OK(f, sbx_rename(f->box, "/tmp/a/f", "/tmp/n/m/g", NULL, &f->error));
    OK(f, sbx_stat(f->box, "/tmp/n/m/g", NULL, &st, &f->error));
    OK(f, sbx_delete(f->box, "/tmp/n", SBX_DIR_RECURSIVE, NULL, &f->error));
    WANT(f, sbx_stat(f->box, "/tmp/n", NULL, &st, &f->error), SBX_E_NOT_FOUND);
}

static void tree_down(struct fixture *f)
{
    CHECK(f->argc == 2, "usage: tree_down ID DIR HOST-DIR");
    OK(f, sbx_get_tree(f->box, f->argv[0], f->argv[1], NULL, &f->error));
}

const struct lib_case lib_file_cases[] = {{"read_limits", read_limits}, {"nonsense_paths", nonsense_paths},
                                          {"directories", directories}, {"put_on_directory", put_on_directory},
                                          {"slashes", slashes},         {"batch", batch},
                                          {"four_codes", four_codes},   {"exists", exists},
                                          {"stat", stat_case},          {"stat_in_empty_image", stat_in_empty_image},
                                          {"tree_down", tree_down},     {NULL, NULL}};
