/* SPDX-License-Identifier: MIT
 *
 * test_sleep.c - suspending, waiting and snapshots, through the local plugin.
 */
#include "tests/local/lab.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { CALL_MS = 30000 };

struct box {
    struct lab lab;
    struct sbx_handle *h;
};

static int setup(void **state)
{
    struct box *box = calloc(1, sizeof *box);
    *state = box;
    if (box == NULL || lab_open(&box->lab, NULL, NULL, 0) != SBX_OK)
        return 1;
    return lab_create(&box->lab, NULL, &box->h) != SBX_OK;
}

static void remove_snapshots(struct box *box);

static int teardown(void **state)
{
    struct box *box = *state;
    (void)lab_remove(&box->lab, box->h);
    remove_snapshots(box);
    lab_close(&box->lab);
    free(box);
    return 0;
}

static const void *table(struct box *box, const char *id)
{
    const void *found = box->lab.plugin->backend->get_extension(box->lab.backend, id);
    assert_non_null(found);
    assert_int_equal(box->lab.plugin->handle->support(box->h, id), SBX_SUPPORT_NATIVE);
    return found;
}

static void expect_ok(const struct box *box, sbx_status status)
{
    if (status != SBX_OK)
        fail_msg("%d: %s", status, box->lab.error.message);
}

static void run(struct box *box, struct sbx_handle *h, const char *line, const char *want)
{
    struct lab_result result;
    expect_ok(box, lab_shell(&box->lab, h, line, &result));
    if (want != NULL)
        assert_string_equal(result.out.data == NULL ? "" : result.out.data, want);
    lab_result_finish(&result);
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

struct seen {
    int count;
    int32_t state;
    char id[64];
    char name[64];
    char label[64];   /* the value of "kind" */
    char comment[64]; /* and of provider.comment */
    int stop;
};

static int32_t see(void *user, const struct sbx_snapshot *s)
{
    struct seen *seen = user;
    seen->count++;
    seen->state = s->state;
    (void)snprintf(seen->id, sizeof seen->id, "%s", s->id);
    (void)snprintf(seen->name, sizeof seen->name, "%s", s->name == NULL ? "" : s->name);
    for (size_t i = 0; i < s->metadata.count; i++) {
        if (strcmp(s->metadata.items[i].key, "kind") == 0)
            (void)snprintf(seen->label, sizeof seen->label, "%s", s->metadata.items[i].value);
        if (strcmp(s->metadata.items[i].key, "provider.comment") == 0)
            (void)snprintf(seen->comment, sizeof seen->comment, "%s", s->metadata.items[i].value);
    }
    return seen->stop;
}

static sbx_status take(struct box *box, const struct sbx_snapshot_args *args, struct seen *seen)
{
    const struct sbx_snapshot_ops *ops = table(box, SBX_EXT_SNAPSHOT);
    const struct sbx_snapshot_args plain = {.size = sizeof plain};
    struct sbx_snapshot_sink sink = {.size = sizeof sink, .user = seen, .item = see};
    *seen = (struct seen){.count = 0};
    return ops->begin(box->h, lab_call(&box->lab, CALL_MS), args == NULL ? &plain : args, &sink);
}

static sbx_status query(struct box *box, const char *id, struct seen *seen)
{
    const struct sbx_snapshot_ops *ops = table(box, SBX_EXT_SNAPSHOT);
    struct sbx_snapshot_sink sink = {.size = sizeof sink, .user = seen, .item = see};
    *seen = (struct seen){.count = 0};
    return ops->query(box->lab.backend, lab_call(&box->lab, CALL_MS), id, &sink);
}

static sbx_status list(struct box *box, const struct sbx_list_args *args, struct seen *seen)
{
    const struct sbx_snapshot_ops *ops = table(box, SBX_EXT_SNAPSHOT);
    const struct sbx_list_args plain = {.size = sizeof plain};
    struct sbx_snapshot_sink sink = {.size = sizeof sink, .user = seen, .item = see};
    *seen = (struct seen){.stop = seen->stop};
    return ops->list(box->lab.backend, lab_call(&box->lab, CALL_MS), args == NULL ? &plain : args, &sink);
}

static sbx_status drop(struct box *box, const char *id)
{
    const struct sbx_snapshot_ops *ops = table(box, SBX_EXT_SNAPSHOT);
    return ops->remove(box->lab.backend, lab_call(&box->lab, CALL_MS), id);
}

static void remove_snapshots(struct box *box)
{
    struct seen seen = {.count = 0};
    while (list(box, NULL, &seen) == SBX_OK && seen.count > 0)
        if (drop(box, seen.id) != SBX_OK)
            return;
}

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

static void snapshot_is_done_named_and_asked_about(void **state)
{
    struct box *box = *state;
    const struct sbx_kv label = {"kind", "good"};
    const struct sbx_snapshot_args args = {
        .size = sizeof args, .name = "base", .comment = "why", .metadata = {&label, 1}};
    struct seen seen, again;
    expect_ok(box, take(box, &args, &seen));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.state, SBX_SNAPSHOT_DONE);
    assert_string_equal(seen.name, "base");
    assert_string_equal(seen.label, "good");
    assert_string_equal(seen.comment, "why");
    expect_ok(box, query(box, seen.id, &again));
    assert_int_equal(again.count, 1);
    assert_memory_equal(&seen, &again, sizeof seen);
    expect_ok(box, drop(box, seen.id));
    expect_ok(box, drop(box, seen.id));
    assert_int_equal(query(box, seen.id, &again), SBX_E_NOT_FOUND);
    assert_int_equal(again.count, 0);
}

static void ids_that_name_nothing_are_not_found(void **state)
{
    static const char *const ids[] = {"", "x", "../../etc", "0123456789abcdef", "0123456789abcdef.new", "."};
    struct box *box = *state;
    struct seen seen;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct sbx_create_args args = {.size = sizeof args, .snapshot = ids[i]};
        struct sbx_handle *h = NULL;
        assert_int_equal(query(box, ids[i], &seen), SBX_E_NOT_FOUND);
        expect_ok(box, drop(box, ids[i]));
        assert_int_equal(lab_create(&box->lab, &args, &h), SBX_E_NOT_FOUND);
    }
}

static void what_no_snapshot_can_have_is_refused_first(void **state)
{
    struct box *box = *state;
    const struct sbx_kv bad = {"a=b", "1"};
    char name[SBX_ID_SIZE + 1];
    struct seen seen;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct sbx_snapshot_args asks[] = {
        {.size = sizeof asks[0], .flags = 1},
        {.size = sizeof asks[0], .name = ""},
        {.size = sizeof asks[0], .name = name},
        {.size = sizeof asks[0], .metadata = {&bad, 1}},
    };
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++)
        assert_int_equal(take(box, &asks[i], &seen), i == 0 ? SBX_E_UNSUPPORTED : SBX_E_INVALID);
    expect_ok(box, list(box, NULL, &seen));
    assert_int_equal(seen.count, 0);
}

static void list_pages_and_filters_and_stops(void **state)
{
    struct box *box = *state;
    const struct sbx_kv red = {"kind", "red"}, blue = {"kind", "blue"};
    struct seen seen = {.count = 0};
    char last[64] = "";
    for (int i = 0; i < 5; i++) {
        const struct sbx_snapshot_args args = {.size = sizeof args, .metadata = {i < 3 ? &red : &blue, 1}};
        expect_ok(box, take(box, &args, &seen));
    }
    struct sbx_list_args args = {.size = sizeof args, .limit = 2};
    int total = 0;
    for (int page = 0; page < 3; page++) {
        args.after = page == 0 ? NULL : last;
        expect_ok(box, list(box, &args, &seen));
        assert_int_equal(seen.count, page < 2 ? 2 : 1);
        assert_true(strcmp(seen.id, last) > 0);
        (void)snprintf(last, sizeof last, "%s", seen.id);
        total += seen.count;
    }
    assert_int_equal(total, 5);
    args = (struct sbx_list_args){.size = sizeof args, .metadata = {&red, 1}};
    expect_ok(box, list(box, &args, &seen));
    assert_int_equal(seen.count, 3);
    args = (struct sbx_list_args){.size = sizeof args, .state_mask = 2};
    assert_int_equal(list(box, &args, &seen), SBX_E_UNSUPPORTED);
    seen.stop = 1;
    assert_int_equal(list(box, NULL, &seen), SBX_E_STOPPED);
    assert_int_equal(seen.count, 1);
    seen.stop = 0;
}

static void leftovers_are_swept_and_what_is_at_work_is_not(void **state)
{
    struct box *box = *state;
    struct seen seen;
    char line[1024], folder[512];
    expect_ok(box, take(box, NULL, &seen));
    (void)snprintf(folder, sizeof folder, "%s/sbx/local/lab/snapshots", box->lab.state);
    (void)snprintf(line, sizeof line,
                   "cd %s && mkdir -p 0123456789abcde0.new/tree/home 0123456789abcde1.old 0123456789abcde2.new decoy "
                   "0123456789abcde3.txt && touch 0123456789abcde0.new/tree/home/f",
                   folder);
    assert_int_equal(lab_sh(line), 0);
    (void)snprintf(line, sizeof line, "%s/0123456789abcde2.new", folder);
    CLEANUP_FD int fd = open(line, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    expect_ok(box, list(box, NULL, &seen));
    assert_int_equal(seen.count, 1);
    (void)snprintf(
        line, sizeof line,
        "cd %s && test ! -e 0123456789abcde0.new -a ! -e 0123456789abcde1.old -a -e 0123456789abcde2.new -a -e "
        "decoy -a -e 0123456789abcde3.txt",
        folder);
    assert_int_equal(lab_sh(line), 0);
}

static void snapshot_that_is_given_up_leaves_nothing_and_the_sandbox_goes_on(void **state)
{
    struct box *box = *state;
    const struct sbx_snapshot_ops *ops = table(box, SBX_EXT_SNAPSHOT);
    const struct sbx_snapshot_args args = {.size = sizeof args};
    struct seen seen = {.count = 0};
    struct sbx_snapshot_sink sink = {.size = sizeof sink, .user = &seen, .item = see};
    run(box, box->h, "i=0; while [ $i -lt 2000 ]; do echo $i >f$i; i=$((i + 1)); done; head -c 50M /dev/zero >big", "");
    int given_up = 0;
    for (int64_t ms = 1; ms < 30; ms += 3) {
        sbx_status status = ops->begin(box->h, lab_call(&box->lab, ms), &args, &sink);
        if (status == SBX_OK)
            break;
        assert_int_equal(status, SBX_E_TIMEOUT);
        given_up++;
        run(box, box->h, "echo on", "on\n");
    }
    assert_true(given_up > 0);
    char line[512];
    (void)snprintf(line, sizeof line, "! find %s/sbx/local/lab/snapshots -name '*.new' | grep -q .", box->lab.state);
    assert_int_equal(lab_sh(line), 0);
}

struct dropping {
    const char *dir;
    char id[64];
};

static void *drop_it(void *user)
{
    const struct dropping *d = user;
    struct lab other;
    if (lab_open(&other, d->dir, NULL, 0) == SBX_OK) {
        const struct sbx_snapshot_ops *ops = other.plugin->backend->get_extension(other.backend, SBX_EXT_SNAPSHOT);
        (void)ops->remove(other.backend, lab_call(&other, CALL_MS), d->id);
    }
    lab_close(&other);
    return NULL;
}

static void what_is_removed_while_it_is_read_is_whole_or_not_there(void **state)
{
    struct box *box = *state;
    run(box, box->h, "i=0; while [ $i -lt 500 ]; do echo $i >f$i; i=$((i + 1)); done", "");
    for (int round = 0; round < 8; round++) {
        struct seen seen;
        pthread_t thread;
        struct sbx_handle *h = NULL;
        expect_ok(box, take(box, NULL, &seen));
        struct sbx_create_args args = {.size = sizeof args, .snapshot = seen.id};
        struct dropping d = {.dir = box->lab.dir};
        (void)snprintf(d.id, sizeof d.id, "%s", seen.id);
        assert_int_equal(pthread_create(&thread, NULL, drop_it, &d), 0);
        (void)usleep((unsigned)round * 1500);
        sbx_status status = lab_create(&box->lab, &args, &h);
        (void)pthread_join(thread, NULL);
        assert_true(status == SBX_OK || status == SBX_E_NOT_FOUND);
        if (status == SBX_OK) {
            run(box, h, "ls | wc -l", "500\n");
            expect_ok(box, lab_remove(&box->lab, h));
        }
    }
}

static void image_and_snapshot_exclude_each_other(void **state)
{
    struct box *box = *state;
    struct seen seen;
    struct sbx_handle *h = NULL;
    expect_ok(box, take(box, NULL, &seen));
    struct sbx_create_args args = {.size = sizeof args, .snapshot = seen.id, .image = "/"};
    assert_int_equal(lab_create(&box->lab, &args, &h), SBX_E_INVALID);
}

static void snapshot_of_a_dead_sandbox_is_gone(void **state)
{
    struct box *box = *state;
    struct seen seen;
    assert_int_equal(box->lab.plugin->handle->remove(box->h, lab_call(&box->lab, CALL_MS)), SBX_OK);
    assert_int_equal(take(box, NULL, &seen), SBX_E_GONE);
    expect_ok(box, list(box, NULL, &seen));
    assert_int_equal(seen.count, 0);
}

/* --- sleep -------------------------------------------------------------------------------------------------------- */

static int32_t see_state(void *user, const struct sbx_info *info)
{
    *(int32_t *)user = info->state;
    return 0;
}

static int32_t state_of(struct box *box)
{
    int32_t state = -1;
    struct sbx_info_sink sink = {.size = sizeof sink, .user = &state, .item = see_state};
    expect_ok(box, box->lab.plugin->handle->info(box->h, lab_call(&box->lab, CALL_MS), &sink));
    return state;
}

static void *suspend_later(void *user)
{
    struct box *box = user;
    const struct sbx_suspend_ops *ops = box->lab.plugin->backend->get_extension(box->lab.backend, SBX_EXT_SUSPEND);
    struct sbx_call call = {.size = sizeof call};
    (void)usleep(200000);
    return ops->suspend(box->h, &call) == SBX_OK ? box : NULL;
}

static void waiting_sees_a_state_come(void **state)
{
    struct box *box = *state;
    const struct sbx_wait_ops *ops = table(box, SBX_EXT_WAIT);
    int32_t seen = -1;
    void *done = NULL;
    pthread_t thread;
    struct sbx_info_sink sink = {.size = sizeof sink, .user = &seen, .item = see_state};
    expect_ok(box, ops->wait_state(box->h, lab_call(&box->lab, CALL_MS), 1u << SBX_STATE_RUNNING, &sink));
    assert_int_equal(seen, SBX_STATE_RUNNING);
    assert_int_equal(ops->wait_state(box->h, lab_call(&box->lab, 150), 1u << SBX_STATE_SUSPENDED, &sink),
                     SBX_E_TIMEOUT);
    assert_int_equal(ops->wait_state(box->h, lab_call(&box->lab, 150), 0, &sink), SBX_E_INVALID);
    assert_int_equal(pthread_create(&thread, NULL, suspend_later, box), 0);
    expect_ok(box, ops->wait_state(box->h, lab_call(&box->lab, CALL_MS), 1u << SBX_STATE_SUSPENDED, &sink));
    assert_int_equal(seen, SBX_STATE_SUSPENDED);
    assert_int_equal(pthread_join(thread, &done), 0);
    assert_ptr_equal(done, box);
    assert_int_equal(state_of(box), SBX_STATE_SUSPENDED);
    assert_int_equal(box->lab.plugin->handle->remove(box->h, lab_call(&box->lab, CALL_MS)), SBX_OK);
    assert_int_equal(ops->wait_state(box->h, lab_call(&box->lab, CALL_MS), 1u << SBX_STATE_RUNNING, &sink), SBX_E_GONE);
}

static void asleep_every_operation_says_so(void **state)
{
    struct box *box = *state;
    const struct sbx_suspend_ops *sleep = table(box, SBX_EXT_SUSPEND);
    const struct sbx_stat_ops *stat_ops = table(box, SBX_EXT_STAT);
    const struct sbx_job_ops *jobs = table(box, SBX_EXT_JOB);
    const struct sbx_keepalive_ops *life = table(box, SBX_EXT_KEEPALIVE);
    struct sbx_file_stat st = {.size = sizeof st};
    struct sbx_job_info job = {.size = sizeof job};
    struct lab_result result;
    expect_ok(box, sleep->suspend(box->h, lab_call(&box->lab, CALL_MS)));
    expect_ok(box, sleep->suspend(box->h, lab_call(&box->lab, CALL_MS)));
    assert_int_equal(lab_shell(&box->lab, box->h, "true", &result), SBX_E_STATE);
    lab_result_finish(&result);
    assert_int_equal(stat_ops->stat(box->h, lab_call(&box->lab, CALL_MS), "/", &st), SBX_E_STATE);
    assert_int_equal(jobs->info(box->h, lab_call(&box->lab, CALL_MS), "x", &job), SBX_E_STATE);
    expect_ok(box, life->keep_alive(box->h, lab_call(&box->lab, CALL_MS), 600));
    assert_int_equal(state_of(box), SBX_STATE_SUSPENDED);
    expect_ok(box, sleep->resume(box->h, lab_call(&box->lab, CALL_MS)));
    expect_ok(box, sleep->resume(box->h, lab_call(&box->lab, CALL_MS)));
    assert_int_equal(state_of(box), SBX_STATE_RUNNING);
    run(box, box->h, "echo awake", "awake\n");
}

/* A name of the guest's own making is no state. */
static void a_process_in_the_sandbox_can_not_feign_a_state(void **state)
{
    struct box *box = *state;
    run(box, box->h, "printf sbx-suspended >/proc/1/comm 2>/dev/null; printf sbx-suspended >/proc/self/comm; true", "");
    assert_int_equal(state_of(box), SBX_STATE_RUNNING);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(snapshot_is_done_named_and_asked_about),
        TEST(ids_that_name_nothing_are_not_found),
        TEST(what_no_snapshot_can_have_is_refused_first),
        TEST(list_pages_and_filters_and_stops),
        TEST(leftovers_are_swept_and_what_is_at_work_is_not),
        TEST(snapshot_that_is_given_up_leaves_nothing_and_the_sandbox_goes_on),
        TEST(what_is_removed_while_it_is_read_is_whole_or_not_there),
        TEST(image_and_snapshot_exclude_each_other),
        TEST(snapshot_of_a_dead_sandbox_is_gone),
        TEST(waiting_sees_a_state_come),
        TEST(asleep_every_operation_says_so),
        TEST(a_process_in_the_sandbox_can_not_feign_a_state),
    };
    return lab_works() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
