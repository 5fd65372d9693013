/* SPDX-License-Identifier: MIT
 *
 * test_file.c - files through libsbx, one and many.
 */
#include "direct.h"

struct kept {
    const char *out;
    size_t out_len;
};

static void put(struct place *p, const char *path, const void *data, size_t len)
{
    const struct sbx_transfer_options options = {
        .size = sizeof options, .flags = SBX_WRITE_PARENTS, .data = data, .data_len = len};
    if (sbx_write_file(p->box, path, &options, NULL, &p->error) != SBX_OK)
        fail_msg("write %s: %s", path, p->error.message);
}

static int32_t collect(void *user, const void *data, size_t len)
{
    struct kept *k = user;
    char *more = realloc((void *)(uintptr_t)k->out, k->out_len + len + 1);
    if (more == NULL)
        return 1;
    memcpy(more + k->out_len, data, len);
    k->out = more;
    k->out_len += len;
    return 0;
}

struct progress {
    uint64_t bytes;
    int calls;
};

static void note_progress(void *user, uint64_t bytes)
{
    struct progress *p = user;
    assert_true(bytes > p->bytes);
    p->bytes = bytes;
    p->calls++;
}

static void transfers_tell_how_far_they_are(void **state)
{
    (void)state;
    static char data[300000];
    static const char *const plugins[] = {"direct", "direct-bare"};
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
        struct place p;
        struct progress far = {.bytes = 0};
        char dir[96];
        place_open(&p, plugins[i], NULL);
        const struct sbx_call_options call = {.size = sizeof call, .on_progress = note_progress, .user_data = &far};
        const struct sbx_transfer_options put_options = {
            .size = sizeof put_options, .flags = SBX_WRITE_PARENTS, .data = data, .data_len = sizeof data};
        assert_int_equal(sbx_write_file(p.box, "d/f", &put_options, &call, &p.error), SBX_OK);
        assert_int_equal(far.bytes, sizeof data);
        far = (struct progress){.bytes = 0};
        struct kept k = {.out = NULL};
        const struct sbx_transfer_options get_options = {
            .size = sizeof get_options, .user_data = &k, .on_data = collect};
        assert_int_equal(sbx_read_file(p.box, "d/f", &get_options, &call, &p.error), SBX_OK);
        assert_int_equal(far.bytes, sizeof data);
        free((void *)(uintptr_t)k.out);
        far = (struct progress){.bytes = 0};
        (void)snprintf(dir, sizeof dir, "%s/tree", p.top);
        assert_int_equal(sbx_get_tree(p.box, "d", dir, &call, &p.error), SBX_OK);
        assert_true(far.bytes > sizeof data && far.bytes < 2 * sizeof data && far.calls > 1);
        far = (struct progress){.bytes = 0};
        assert_int_equal(sbx_put_tree(p.box, dir, "again", &call, &p.error), SBX_OK);
        assert_true(far.bytes > sizeof data && far.bytes < 2 * sizeof data && far.calls > 1);
        place_close(&p);
    }
}

static void files_go_up_and_down_byte_for_byte(void **state)
{
    (void)state;
    struct place p;
    unsigned char all[256 * 300];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)(i % 251);
    place_open(&p, "direct", NULL);
    put(&p, "deep/er/all bytes", all, sizeof all);
    put(&p, "empty", NULL, 0);
    struct kept k = {.out = NULL};
    struct sbx_transfer_options read = {.size = sizeof read, .user_data = &k, .on_data = collect};
    assert_int_equal(sbx_read_file(p.box, "deep/er/all bytes", &read, NULL, &p.error), SBX_OK);
    assert_int_equal(k.out_len, sizeof all);
    assert_memory_equal(k.out, all, sizeof all);
    k.out_len = 0;
    read.offset = 10;
    read.limit = 5;
    assert_int_equal(sbx_read_file(p.box, "deep/er/all bytes", &read, NULL, &p.error), SBX_OK);
    assert_int_equal(k.out_len, 5);
    assert_memory_equal(k.out, all + 10, 5);
    k.out_len = 0;
    read.offset = read.limit = 0;
    assert_int_equal(sbx_read_file(p.box, "empty", &read, NULL, &p.error), SBX_OK);
    assert_int_equal(k.out_len, 0);
    free((void *)(uintptr_t)k.out);
    place_close(&p);
}

static void file_operations_capture(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    size_t len = 0;
    place_open(&p, "direct", NULL);
    const struct sbx_transfer_options write = {.size = sizeof write, .data = "kept", .data_len = 4};
    assert_int_equal(sbx_write_file_start(p.box, "f", &write, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    sbx_op_free(op);
    const struct sbx_transfer_options read = {.size = sizeof read, .flags = SBX_TRANSFER_CAPTURE};
    assert_int_equal(sbx_read_file_start(p.box, "f", &read, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_OK);
    assert_memory_equal(sbx_op_output(op, 0, &len), "kept", 4);
    assert_int_equal(len, 4);
    sbx_op_free(op);
    assert_int_equal(sbx_read_file_start(p.box, "none", &read, NULL, &op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_NOT_FOUND);
    unit_assert_contains(p.error.message, "'none'");
    sbx_op_free(op);
    place_close(&p);
}

static void read_over_its_limit_is_refused_before_the_transfer(void **state)
{
    (void)state;
    static const char *const plugins[] = {"direct", "direct-bare"};
    for (size_t i = 0; i < 2; i++) {
        struct place p;
        char path[128];
        sbx_op *op = NULL;
        struct kept k = {.out = NULL};
        place_open(&p, plugins[i], NULL);
        put(&p, "f", "0123456789", 10);
        struct sbx_transfer_options read = {.size = sizeof read, .max_size = 9, .user_data = &k, .on_data = collect};
        assert_int_equal(sbx_read_file(p.box, "f", &read, NULL, &p.error), SBX_E_TOO_LARGE);
        unit_assert_contains(p.error.message, "limit of 9 bytes");
        assert_int_equal(k.out_len, 0);
        read.max_size = 10;
        assert_int_equal(sbx_read_file(p.box, "f", &read, NULL, &p.error), SBX_OK);
        free((void *)(uintptr_t)k.out);
        (void)snprintf(path, sizeof path, "%s/box1/big", p.top);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(ftruncate(fd, (101 << 20)), 0);
        close(fd);
        const struct sbx_transfer_options kept = {.size = sizeof kept, .flags = SBX_TRANSFER_CAPTURE};
        assert_int_equal(sbx_read_file_start(p.box, "big", &kept, NULL, &op, &p.error), SBX_OK);
        assert_int_equal(sbx_op_finish(op, &p.error), SBX_E_TOO_LARGE);
        unit_assert_contains(p.error.message, "100 MiB");
        sbx_op_free(op);
        place_close(&p);
    }
}

static void bad_transfer_options_are_refused(void **state)
{
    (void)state;
    struct place p;
    const struct sbx_transfer_options reads[] = {{.flags = 0},
                                                 {.flags = SBX_TRANSFER_CAPTURE},
                                                 {.flags = SBX_TRANSFER_FD, .fd = -1},
                                                 {.flags = SBX_WRITE_APPEND, .on_data = collect},
                                                 {.data = "x", .on_data = collect}};
    const struct sbx_transfer_options writes[] = {{.data_len = 5},
                                                  {.flags = SBX_TRANSFER_CAPTURE},
                                                  {.flags = SBX_TRANSFER_FD, .fd = -1},
                                                  {.flags = SBX_TRANSFER_FD, .fd = 0, .data = "x"},
                                                  {.offset = 3, .data = "x", .data_len = 1},
                                                  {.on_data = collect},
                                                  {.mode = 0100000}};
    place_open(&p, "direct", NULL);
    put(&p, "f", "x", 1);
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        struct sbx_transfer_options o = reads[i];
        o.size = sizeof o;
        if (sbx_read_file(p.box, "f", &o, NULL, &p.error) == SBX_OK)
            fail_msg("read %zu", i);
    }
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        struct sbx_transfer_options o = writes[i];
        o.size = sizeof o;
        if (sbx_write_file(p.box, "f", &o, NULL, &p.error) == SBX_OK)
            fail_msg("write %zu", i);
    }
    const struct sbx_transfer_options fine = {.size = sizeof fine, .data = "x", .data_len = 1};
    assert_int_equal(sbx_write_file(p.box, "", &fine, NULL, &p.error), SBX_E_NOT_FOUND);
    assert_int_equal(sbx_write_file(p.box, NULL, &fine, NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

struct reports {
    sbx_status codes[8];
    size_t order[8];
    size_t count;
    char last[200];
};

static void take_report(void *user, size_t index, sbx_status code, const char *message)
{
    struct reports *r = user;
    r->order[r->count] = index;
    r->codes[r->count++] = code;
    if (code != SBX_OK)
        (void)snprintf(r->last, sizeof r->last, "%s", message);
}

static void batches_report_in_order_and_go_on_after_a_failure(void **state)
{
    (void)state;
    static const char *const plugins[] = {"direct", "direct-bare", "direct-serial"};
    for (size_t k = 0; k < 3; k++) {
        struct place p;
        struct reports up = {.count = 0};
        struct reports down = {.count = 0};
        place_open(&p, plugins[k], NULL);
        assert_int_equal(sbx_make_dir(p.box, "dir", 0, 0, NULL, &p.error), SBX_OK);
        const struct sbx_transfer_options data = {.size = sizeof data, .data = "one", .data_len = 3};
        const struct sbx_file_item items[] = {{.size = sizeof items[0], .path = "a", .how = &data},
                                              {.size = sizeof items[0], .path = "dir", .how = &data},
                                              {.size = sizeof items[0], .path = "", .how = &data},
                                              {.size = sizeof items[0], .path = "b", .how = &data}};
        const struct sbx_file_item *const list[] = {&items[0], &items[1], &items[2], &items[3]};
        assert_int_equal(sbx_write_files(p.box, list, 4, NULL, take_report, &up, &p.error), SBX_OK);
        static const sbx_status expected[] = {SBX_OK, SBX_E_IS_DIR, SBX_E_NOT_FOUND, SBX_OK};
        assert_int_equal(up.count, 4);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(up.order[i], i);
            assert_int_equal(up.codes[i], expected[i]);
        }
        struct kept kept[2] = {{.out = NULL}, {.out = NULL}};
        const struct sbx_transfer_options to[] = {{.size = sizeof to[0], .user_data = &kept[0], .on_data = collect},
                                                  {.size = sizeof to[0], .user_data = &kept[1], .on_data = collect}};
        const struct sbx_file_item reads[] = {{.size = sizeof reads[0], .path = "a", .how = &to[0]},
                                              {.size = sizeof reads[0], .path = "none", .how = &to[1]}};
        const struct sbx_file_item *const wanted[] = {&reads[0], &reads[1]};
        assert_int_equal(sbx_read_files(p.box, wanted, 2, NULL, take_report, &down, &p.error), SBX_OK);
        assert_int_equal(down.codes[0], SBX_OK);
        assert_int_equal(down.codes[1], SBX_E_NOT_FOUND);
        unit_assert_contains(down.last, "none");
        assert_int_equal(kept[0].out_len, 3);
        free((void *)(uintptr_t)kept[0].out);
        assert_int_equal(sbx_read_files(p.box, NULL, 0, NULL, take_report, &down, &p.error), SBX_OK);
        place_close(&p);
    }
}

static void batch_that_says_nothing_is_no_success(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "batch-silent");
    place_create(&p);
    const struct sbx_transfer_options data = {.size = sizeof data, .data = "one", .data_len = 3};
    const struct sbx_file_item item = {.size = sizeof item, .path = "a", .how = &data};
    const struct sbx_file_item *const list[] = {&item};
    assert_int_equal(sbx_write_files(p.box, list, 1, NULL, NULL, NULL, &p.error), SBX_E_PROTOCOL);
    place_close(&p);
}

/* A callback of list_dir and of list may use the library, since the provider's call is over by then. */
static void recurse(void *user, const char *name, const struct sbx_file_stat *stat)
{
    struct place *p = user;
    struct sbx_file_stat again = SBX_INIT(again);
    assert_int_equal(sbx_stat(p->box, name, NULL, &again, &p->error), SBX_OK);
    assert_int_equal(again.bytes, stat->bytes);
    p->log[0]++;
}

static void reports_may_call_the_library(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct-serial", NULL);
    put(&p, "a", "x", 1);
    put(&p, "b", "xy", 2);
    p.log[0] = 0;
    assert_int_equal(sbx_list_dir(p.box, ".", NULL, recurse, &p, &p.error), SBX_OK);
    assert_int_equal(p.log[0], 2);
    p.log[0] = 0;
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(files_go_up_and_down_byte_for_byte),
    UNIT(transfers_tell_how_far_they_are),
    UNIT(file_operations_capture),
    UNIT(read_over_its_limit_is_refused_before_the_transfer),
    UNIT(bad_transfer_options_are_refused),
    UNIT(batches_report_in_order_and_go_on_after_a_failure),
    UNIT(batch_that_says_nothing_is_no_success),
    UNIT(reports_may_call_the_library),
};
UNIT_MAIN(tests)
