/* SPDX-License-Identifier: MIT
 *
 * test_batch.c - archives, batches of files and the guest's life, against a scripted guest.
 */
#include "tests/common/runner.h"

#include "tests/common/scripts.h"

/* --- archives ----------------------------------------------------------------------------------------------- */
static void tar_script(struct fake_conn *c, void *user)
{
    const struct given *tar = user;
    if (fake_request(c) != 0)
        return;
    fake_frame(c, FRAME_DATA, 0, STREAM_OUT, tar->data, tar->len);
    fake_end(c, 0);
}

static void get_tar_without_its_end_is_no_success(void **state)
{
    (void)state;
    static char tar[3072];
    memset(tar, 'x', 1024);
    static const struct {
        size_t len;
        sbx_status status;
    } cases[] = {{3072, SBX_OK},         {2048, SBX_OK},         {1024, SBX_E_PROTOCOL}, {1536, SBX_E_PROTOCOL},
                 {2047, SBX_E_PROTOCOL}, {2049, SBX_E_PROTOCOL}, {0, SBX_E_PROTOCOL}};
    for
        EACH(i, cases)
        {
            struct given given;
            given_init(&given, tar, cases[i].len);
            struct fake_guest fake;
            fake_start(&fake, tar_script, &given, NULL);
            RUN run;
            run_init(&run);
            assert_int_equal(guest_get_tar(fake.link, &run.call, "/d", &run.out.sink), cases[i].status);
            assert_int_equal(run.out.data.len, cases[i].len);
            fake_stop(&fake);
        }
}

static void put_tar_is_only_good_when_all_of_it_was_taken(void **state)
{
    (void)state;
    size_t len = (size_t)1 << 20;
    CLEANUP_FREE char *data = calloc(1, len);
    struct given given;
    given_init(&given, data, len);
    struct written w = {.early = 1};
    struct fake_guest fake;
    fake_start(&fake, write_script, &w, NULL);
    RUN run;
    run_init(&run);
    assert_int_equal(guest_put_tar(fake.link, &run.call, "/d", &given.source), SBX_E_PROTOCOL);
    fake_stop(&fake); /* only now nothing reads `w` any more */
    w.early = 0;
    buf_init(&w.data, len);
    fake_start(&fake, write_script, &w, NULL);
    given_init(&given, data, len);
    assert_int_equal(guest_put_tar(fake.link, &run.call, "/d", &given.source), SBX_OK);
    assert_int_equal(w.data.len, len);
    buf_finish(&w.data);
    assert_int_equal(guest_put_tar(fake.link, &run.call, "/d", NULL), SBX_E_INVALID);
    fake_stop(&fake);
}

/* --- batches ------------------------------------------------------------------------------------------------ */
struct reports {
    size_t count;
    sbx_status codes[8];
    char messages[8][128];
    int out_of_order;
};

static void reports_item(void *user, size_t index, sbx_status code, const char *message)
{
    struct reports *r = user;
    r->out_of_order |= index != r->count || index >= 8;
    r->codes[index & 7] = code;
    (void)snprintf(r->messages[index & 7], sizeof r->messages[0], "%s", message != NULL ? message : "");
    r->count++;
}

/* /ok has ten bytes, /die ends the guest, anything else is not there. */
static void batch_script(struct fake_conn *c, void *user)
{
    (void)user;
    char path[64];
    while (fake_request(c) == 0) {
        fake_text(c, F_PATH, 0, path, sizeof path);
        if (strcmp(path, "/die") == 0)
            return;
        if (strcmp(path, "/ok") != 0) {
            fake_end(c, SBX_E_NOT_FOUND);
            continue;
        }
        reply_stat(c, SBX_FILE_REGULAR, 10);
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "0123456789", 10);
        fake_end(c, 0);
    }
}

static sbx_status get_batch(struct run *run, const char *const *paths, size_t count, struct reports *reports)
{
    struct sbx_get_item items[8];
    const struct sbx_get_item *list[8];
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct sbx_get_item){.size = sizeof items[i], .path = paths[i], .out = &run->out.sink};
        list[i] = &items[i];
    }
    struct sbx_batch_report report = {.size = sizeof report, .user = reports, .item = reports_item};
    struct fake_guest fake;
    fake_start(&fake, batch_script, NULL, NULL);
    fake.max = 1;
    sbx_status status = guest_get_files(fake.link, &run->call, list, count, &report);
    fake_stop(&fake);
    return status;
}

static void a_batch_reports_each_item_once_and_in_order(void **state)
{
    (void)state;
    static const char *const paths[] = {"/ok", "/missing", "/ok", "", "/ok"};
    struct reports reports = {.count = 0};
    RUN run;
    run_init(&run);
    assert_int_equal(get_batch(&run, paths, 5, &reports), SBX_OK);
    assert_int_equal(reports.count, 5);
    assert_int_equal(reports.out_of_order, 0);
    assert_int_equal(reports.codes[0], SBX_OK);
    assert_string_equal(reports.messages[0], "");
    assert_int_equal(reports.codes[1], SBX_E_NOT_FOUND);
    assert_int_equal(reports.codes[2], SBX_OK);
    assert_int_equal(reports.codes[3], SBX_E_INVALID);
    assert_int_equal(reports.codes[4], SBX_OK);
    assert_int_equal(run.out.data.len, 30);
    assert_int_equal(run.error.code, 0);
    memset(&reports, 0, sizeof reports);
    assert_int_equal(get_batch(&run, paths, 0, &reports), SBX_OK);
    assert_int_equal(reports.count, 0);
}

static void a_batch_reports_each_item_when_the_sandbox_dies(void **state)
{
    (void)state;
    static const char *const paths[] = {"/ok", "/die", "/ok", "/ok"};
    struct reports reports = {.count = 0};
    RUN run;
    run_init(&run);
    assert_int_equal(get_batch(&run, paths, 4, &reports), SBX_E_GONE);
    assert_int_equal(reports.count, 4);
    assert_int_equal(reports.out_of_order, 0);
    assert_int_equal(reports.codes[0], SBX_OK);
    for (int i = 1; i < 4; i++)
        assert_int_equal(reports.codes[i], SBX_E_GONE);
    assert_int_equal(run.error.code, SBX_E_GONE);
}

static void a_batch_puts_files_with_their_own_ways(void **state)
{
    (void)state;
    struct given given;
    given_init(&given, "abc", 3);
    struct sbx_write_args how = {.size = sizeof how, .flags = SBX_WRITE_HAS_MODE, .mode = 0640};
    struct sbx_put_item good = {.size = sizeof good, .path = "/p", .how = &how, .in = &given.source};
    struct sbx_put_item bad = {.size = sizeof bad, .path = "/p"};
    const struct sbx_put_item *items[] = {&bad, &good};
    struct reports reports = {.count = 0};
    struct sbx_batch_report report = {.size = sizeof report, .user = &reports, .item = reports_item};
    struct written w = {.eof = 0};
    buf_init(&w.data, 100);
    struct fake_guest fake;
    fake_start(&fake, write_script, &w, NULL);
    RUN run;
    run_init(&run);
    assert_int_equal(guest_put_files(fake.link, &run.call, items, 2, &report), SBX_OK);
    assert_int_equal(reports.codes[0], SBX_E_INVALID);
    assert_int_equal(reports.codes[1], SBX_OK);
    assert_int_equal(w.mode, 0640);
    assert_int_equal(w.data.len, 3);
    fake_stop(&fake);
    buf_finish(&w.data);
}

/* --- the guest itself --------------------------------------------------------------------------------------- */
static void life_script(struct fake_conn *c, void *user)
{
    uint64_t *deadline = user;
    while (fake_request(c) == 0) {
        CLEANUP_BUF struct buf b;
        buf_init(&b, 4096);
        if (c->op == OP_INFO) {
            fields_number(&b, F_PID, 1);
            fields_number(&b, F_DEADLINE_MS, *deadline);
            fields_number(&b, F_COUNT, 3);
            fake_frame(c, FRAME_REPLY, 0, 0, b.data, b.len);
        }
        if (c->op == OP_LIFETIME)
            *deadline = fake_number(c, F_DEADLINE_MS);
        if (c->op == OP_SHUTDOWN && *deadline == 0)
            return;
        fake_end(c, 0);
    }
}

static void lifetime_info_and_shutdown(void **state)
{
    (void)state;
    uint64_t deadline = 0;
    struct fake_guest fake;
    fake_start(&fake, life_script, &deadline, NULL);
    fake.max = 1;
    RUN run;
    run_init(&run);
    struct guest_info info;
    assert_int_equal(guest_set_lifetime(fake.link, &run.call, 5000), SBX_OK);
    assert_int_equal(guest_info(fake.link, &run.call, &info), SBX_OK);
    assert_int_equal(info.deadline_ms, 5000);
    assert_int_equal(info.processes, 3);
    assert_int_equal(guest_shutdown(fake.link, &run.call), SBX_OK);
    assert_int_equal(guest_set_lifetime(fake.link, &run.call, 0), SBX_OK);
    assert_int_equal(guest_shutdown(fake.link, &run.call), SBX_OK);
    assert_int_equal(run.error.code, SBX_OK);
    assert_int_equal(guest_info(fake.link, &run.call, &info), SBX_E_GONE);
    assert_int_equal(guest_shutdown(fake.link, &run.call), SBX_OK);
    fake_stop(&fake);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_tar_without_its_end_is_no_success),
        cmocka_unit_test(put_tar_is_only_good_when_all_of_it_was_taken),
        cmocka_unit_test(a_batch_reports_each_item_once_and_in_order),
        cmocka_unit_test(a_batch_reports_each_item_when_the_sandbox_dies),
        cmocka_unit_test(a_batch_puts_files_with_their_own_ways),
        cmocka_unit_test(lifetime_info_and_shutdown),
    };
    return RUN_TESTS(tests, argc, argv);
}
