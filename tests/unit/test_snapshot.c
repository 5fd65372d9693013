/* SPDX-License-Identifier: MIT
 *
 * test_snapshot.c - snapshots, suspending and keeping alive through sbx.h.
 */
#include "direct.h"

struct seen {
    int count;
    int32_t state;
    char id[64];
    char name[64];
};

static void look(void *user, const struct sbx_snapshot_info *info)
{
    struct seen *seen = user;
    seen->count++;
    seen->state = info->state;
    (void)snprintf(seen->id, sizeof seen->id, "%s", info->id);
    (void)snprintf(seen->name, sizeof seen->name, "%s", info->name != NULL ? info->name : "");
}

static void snapshot_create_waits_until_it_is_done(void **state)
{
    (void)state;
    struct place p;
    struct seen seen = {0};
    const struct sbx_snapshot_options options = {.size = sizeof options, .name = "first"};
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_snapshot_begin(p.box, &options, NULL, look, &seen, &p.error), SBX_OK);
    assert_int_equal(seen.state, SBX_SNAP_RUNNING);
    assert_string_equal(seen.name, "first");
    seen.count = 0;
    assert_int_equal(sbx_snapshot_create(p.box, NULL, NULL, look, &seen, &p.error), SBX_OK);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.state, SBX_SNAP_DONE);
    assert_int_equal(strncmp(seen.id, "d/snap", 6), 0);
    place_close(&p);
}

static void snapshot_that_takes_too_long_is_named(void **state)
{
    (void)state;
    struct place p;
    const struct sbx_call_options soon = {.size = sizeof soon, .deadline_ms = 700};
    place_open(&p, "direct", "snap-slow");
    place_create(&p);
    assert_int_equal(sbx_snapshot_create(p.box, NULL, &soon, NULL, NULL, &p.error), SBX_E_TIMEOUT);
    assert_int_equal(strncmp(p.error.resource_id, "d/snap", 6), 0);
    place_close(&p);
}

static void snapshot_that_failed_is_a_failure_with_its_reason(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "snap-fails");
    place_create(&p);
    assert_int_equal(sbx_snapshot_create(p.box, NULL, NULL, NULL, NULL, &p.error), SBX_E_FAILED);
    assert_non_null(strstr(p.error.message, "the disk is full"));
    place_close(&p);
}

static void snapshots_are_queried_listed_and_removed(void **state)
{
    (void)state;
    struct place p;
    struct seen seen = {0};
    char id[64];
    place_open(&p, "direct", NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sbx_snapshot_begin(p.box, NULL, NULL, look, &seen, &p.error), SBX_OK);
    memcpy(id, seen.id, sizeof id);
    seen.count = 0;
    assert_int_equal(sbx_snapshot_query(p.ctx, id, NULL, look, &seen, &p.error), SBX_OK);
    assert_string_equal(seen.id, id);
    seen.count = 0;
    assert_int_equal(sbx_snapshot_list(p.ctx, NULL, NULL, look, &seen, &p.error), SBX_OK);
    assert_int_equal(seen.count, 3);
    seen.count = 0;
    const struct sbx_list_options two = {.size = sizeof two, .provider = "d", .limit = 2};
    assert_int_equal(sbx_snapshot_list(p.ctx, &two, NULL, look, &seen, &p.error), SBX_OK);
    assert_int_equal(seen.count, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sbx_snapshot_remove(p.ctx, id, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_snapshot_query(p.ctx, id, NULL, look, &seen, &p.error), SBX_E_NOT_FOUND);
    assert_int_equal(sbx_snapshot_query(p.ctx, "nowhere/x", NULL, look, &seen, &p.error), SBX_E_CONFIG);
    place_close(&p);
}

static void snapshot_of_another_provider_is_refused_at_create(void **state)
{
    (void)state;
    struct place p;
    sbx_sandbox *box = NULL;
    place_open_ini(&p, "default = d\n[provider d]\nplugin = direct\nroot = @\n"
                       "[provider e]\nplugin = direct\nroot = @\n");
    const struct sbx_create_options mixed = {.size = sizeof mixed, .provider = "d", .snapshot = "e/snap1"};
    assert_int_equal(sbx_create(p.ctx, &mixed, NULL, &box, &p.error), SBX_E_INVALID);
    const struct sbx_create_options own = {.size = sizeof own, .snapshot = "e/snap1"};
    assert_int_equal(sbx_create(p.ctx, &own, NULL, &p.box, &p.error), SBX_OK);
    assert_int_equal(strncmp(sbx_id(p.box), "e/", 2), 0);
    place_close(&p);
}

static void suspended_sandbox_says_so_until_it_is_resumed(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_suspend(p.box, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_wait(p.box, 1u << SBX_STATE_SUSPENDED, NULL, NULL, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_resume(p.box, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_wait(p.box, 1u << SBX_STATE_RUNNING, NULL, NULL, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_keep_alive(p.box, 60, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_keep_alive(NULL, 60, NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(snapshot_create_waits_until_it_is_done),
    UNIT(snapshot_that_takes_too_long_is_named),
    UNIT(snapshot_that_failed_is_a_failure_with_its_reason),
    UNIT(snapshots_are_queried_listed_and_removed),
    UNIT(snapshot_of_another_provider_is_refused_at_create),
    UNIT(suspended_sandbox_says_so_until_it_is_resumed),
};
UNIT_MAIN(tests)
