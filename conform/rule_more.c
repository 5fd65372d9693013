/* SPDX-License-Identifier: MIT
 *
 * rule_more.c - longer lives, suspension, waits, snapshots, keys and endpoints.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    LONGER_S = 1234,   /* no default of anybody's */
    CLOCKS_MS = 120000 /* what two clocks and a slow machine may differ */
};

/* Of a sandbox that has one: the lifetime counts from now, where the provider tells it. */
static void moves_the_end(struct run *run, const struct sbx_keepalive_ops *ops)
{
    const struct sbx_create_args args = {.size = sizeof args, .timeout_s = LONGER_S - 300};
    struct sbx_handle *h = NULL;
    struct report seen = {0};
    struct call c = {.run = run, .deadline_ms = 60000};
    sbx_status status = call_create(&c, run->b, &args, &h);
    if (status == SBX_E_UNSUPPORTED)
        return;
    call_want(&c, status, SBX_OK);
    call_begin(&c, "keep_alive");
    call_want(&c, call_end(&c, ops->keep_alive(h, c.lent, LONGER_S)), SBX_OK);
    call_want(&c, call_info(&c, h, &seen), SBX_OK);
    int64_t off = seen.expires_ms - ((int64_t)time(NULL) + LONGER_S) * 1000;
    EXPECT(run, seen.expires_ms == 0 || (off < CLOCKS_MS && off > -CLOCKS_MS),
           "after keep_alive of %d s the end is %lld ms off", LONGER_S, (long long)off);
    step_drop(run, h);
}

static void keepalive(struct run *run)
{
    struct sbx_keepalive_ops ops;
    struct report seen = {0};
    extension_take(run, SBX_EXT_KEEPALIVE, &ops, sizeof ops);
    struct call c = {.run = run, .deadline_ms = 20000};
    call_begin(&c, "keep_alive");
    call_want(&c, call_end(&c, ops.keep_alive(run->h, c.lent, 0)), SBX_OK);
    call_begin(&c, "keep_alive");
    sbx_status status = call_end(&c, ops.keep_alive(run->h, c.lent, LONGER_S));
    if (status == SBX_E_UNSUPPORTED)
        return;
    call_want(&c, status, SBX_OK);
    struct call ask = {.run = run, .deadline_ms = 20000};
    call_want(&ask, call_info(&ask, run->h, &seen), SBX_OK);
    EXPECT(run, seen.state == SBX_STATE_RUNNING, "after keep_alive the state is %d", seen.state);
    moves_the_end(run, &ops);
}

static sbx_status state_of(struct run *run, int32_t *state)
{
    struct report seen = {0};
    struct call c = {.run = run, .deadline_ms = 20000};
    sbx_status status = call_info(&c, run->h, &seen);
    *state = seen.state;
    return status;
}

static void suspends(struct run *run)
{
    struct sbx_suspend_ops ops;
    struct exec e = {.args = {.size = sizeof e.args, .command = "true"}};
    int32_t state = 0;
    extension_take(run, SBX_EXT_SUSPEND, &ops, sizeof ops);
    step_write(run, "kept", "abc", 3);
    struct call c = {.run = run, .deadline_ms = 60000};
    for (int i = 0; i < 2; i++) {
        call_begin(&c, "suspend");
        call_want(&c, call_end(&c, ops.suspend(run->h, c.lent)), SBX_OK);
    }
    EXPECT(run, state_of(run, &state) == SBX_OK && state == SBX_STATE_SUSPENDED, "after suspend the state is %d",
           state);
    struct call refused = {.run = run, .deadline_ms = 20000};
    call_want(&refused, call_exec(&refused, run->h, &e), SBX_E_STATE);
    for (int i = 0; i < 2; i++) {
        call_begin(&c, "resume");
        call_want(&c, call_end(&c, ops.resume(run->h, c.lent)), SBX_OK);
    }
    step_content(run, "kept", "abc", 3);
    EXPECT(run, step_shell(run, run->h, "exit 3", NULL) == 3, "after resume no command runs");
}

static void waits(struct run *run)
{
    struct sbx_wait_ops ops;
    struct report seen = {0};
    extension_take(run, SBX_EXT_WAIT, &ops, sizeof ops);
    struct call c = {.run = run, .deadline_ms = 20000};
    call_begin(&c, "wait_state");
    sbx_status status = ops.wait_state(run->h, c.lent, 1u << SBX_STATE_RUNNING, lend_info_sink(&c, &seen));
    call_want(&c, call_end(&c, status), SBX_OK);
    EXPECT(run, seen.count == 1 && seen.state == SBX_STATE_RUNNING, "wait_state reported %u times, state %d",
           seen.count, seen.state);
    struct call late = {.run = run, .deadline_ms = 500};
    call_begin(&late, "wait_state");
    status = ops.wait_state(run->h, late.lent, 1u << SBX_STATE_SUSPENDED, lend_info_sink(&late, &seen));
    call_want(&late, call_end(&late, status), SBX_E_TIMEOUT);
    step_in_time(&late, 500);
}

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

static int32_t take_snapshot(void *user, const struct sbx_snapshot *given)
{
    struct report *into = callback_enter(user);
    struct sbx_snapshot s;
    sbx_view(&s, sizeof s, given);
    size_t used = strlen(into->ids);
    (void)snprintf(into->id, sizeof into->id, "%s", s.id != NULL ? s.id : "");
    (void)snprintf(into->ids + used, sizeof into->ids - used, " %s", into->id);
    into->state = s.state;
    into->count++;
    callback_leave(user);
    return into->answer;
}

static const struct sbx_snapshot_sink *lend_snapshot_sink(struct call *c, struct report *into)
{
    struct sbx_snapshot_sink sink = {.size = sizeof sink, .user = lend_guard(c, into), .item = take_snapshot};
    return lend_copy(c, &sink, sizeof sink);
}

static sbx_status query(struct run *run, const struct sbx_snapshot_ops *ops, struct call *c, const char *id,
                        struct report *into)
{
    *c = (struct call){.run = run, .deadline_ms = 20000};
    call_begin(c, "query");
    const char *lent = lend_text(c, id);
    return call_end(c, ops->query(run->b, c->lent, lent, lend_snapshot_sink(c, into)));
}

static void drop_snapshot(struct run *run, const struct sbx_snapshot_ops *ops, const char *id)
{
    struct call c = {.run = run, .deadline_ms = 60000};
    call_begin(&c, "remove of a snapshot");
    call_want(&c, call_end(&c, ops->remove(run->b, c.lent, lend_text(&c, id))), SBX_OK);
}

static void snapshots(struct run *run)
{
    struct sbx_snapshot_ops ops;
    struct report made = {0};
    struct call c = {.run = run, .deadline_ms = 60000};
    extension_take(run, SBX_EXT_SNAPSHOT, &ops, sizeof ops);
    step_write(run, "kept", "abc", 3);
    call_begin(&c, "begin");
    struct sbx_snapshot_args args = {.size = sizeof args, .name = lend_text(&c, "conform")};
    const void *lent = lend_args(&c, &args, sizeof args);
    call_want(&c, call_end(&c, ops.begin(run->h, c.lent, lent, lend_snapshot_sink(&c, &made))), SBX_OK);
    EXPECT(run, made.count == 1 && made.id[0] != '\0', "begin reported %u snapshots", made.count);
    int64_t end = clock_ms() + 20000;
    struct call ask = {0};
    struct report seen = made;
    while (seen.state == SBX_SNAPSHOT_RUNNING && clock_ms() < end) {
        sleep_ms(100);
        call_want(&ask, query(run, &ops, &ask, made.id, &seen), SBX_OK);
    }
    EXPECT(run, seen.state == SBX_SNAPSHOT_DONE, "the snapshot's state is %d", seen.state);
    struct sbx_create_args again = {.size = sizeof again, .snapshot = made.id};
    struct call create = {.run = run, .deadline_ms = 60000};
    struct sbx_handle *first = run->h;
    call_want(&create, call_create(&create, run->b, &again, &run->h), SBX_OK);
    step_content(run, "kept", "abc", 3);
    step_drop(run, run->h);
    run->h = first;
    drop_snapshot(run, &ops, made.id);
    drop_snapshot(run, &ops, made.id);
    call_want(&ask, query(run, &ops, &ask, made.id, &seen), SBX_E_NOT_FOUND);
}

/* --- keys and endpoints ------------------------------------------------------------------------------------------- */

static int32_t take_key(void *user, const struct sbx_ssh_key *key)
{
    struct report *into = callback_enter(user);
    into->count++;
    (void)snprintf(into->text, sizeof into->text, "%s", key->private_key_pem != NULL ? key->private_key_pem : "");
    callback_leave(user);
    return 0;
}

static void keys(struct run *run)
{
    struct sbx_ssh_ops ops;
    struct report seen = {0};
    struct call c = {.run = run, .deadline_ms = 60000};
    extension_take(run, SBX_EXT_SSH, &ops, sizeof ops);
    call_begin(&c, "create_key");
    struct sbx_ssh_sink sink = {.size = sizeof sink, .user = lend_guard(&c, &seen), .item = take_key};
    call_want(&c, call_end(&c, ops.create_key(run->h, c.lent, lend_copy(&c, &sink, sizeof sink))), SBX_OK);
    EXPECT(run, seen.count == 1 && seen.text[0] != '\0', "create_key reported %u keys", seen.count);
    EXPECT(run, run->log.len == 0 || strstr(run->log.data, seen.text) == NULL, "the private key was logged");
}

static int32_t take_tunnel(void *user, const struct sbx_tunnel *given)
{
    struct report *into = callback_enter(user);
    struct sbx_tunnel t;
    sbx_view(&t, sizeof t, given);
    (void)snprintf(into->id, sizeof into->id, "%s", t.id != NULL ? t.id : "");
    (void)snprintf(into->text, sizeof into->text, "%s", t.url != NULL ? t.url : "");
    into->count++;
    callback_leave(user);
    return 0;
}

static void tunnels(struct run *run)
{
    struct sbx_tunnel_ops ops;
    struct report made = {0};
    struct report listed = {0};
    struct call c = {.run = run, .deadline_ms = 60000};
    extension_take(run, SBX_EXT_TUNNEL, &ops, sizeof ops);
    call_begin(&c, "create of an endpoint");
    struct sbx_tunnel_args args = {.size = sizeof args, .port = 8080};
    struct sbx_tunnel_sink sink = {.size = sizeof sink, .user = lend_guard(&c, &made), .item = take_tunnel};
    const void *lent = lend_args(&c, &args, sizeof args);
    call_want(&c, call_end(&c, ops.create(run->h, c.lent, lent, lend_copy(&c, &sink, sizeof sink))), SBX_OK);
    EXPECT(run, made.count == 1 && made.id[0] != '\0' && made.text[0] != '\0', "create reported %u endpoints",
           made.count);
    call_begin(&c, "list of endpoints");
    sink.user = lend_guard(&c, &listed);
    call_want(&c, call_end(&c, ops.list(run->h, c.lent, lend_copy(&c, &sink, sizeof sink))), SBX_OK);
    EXPECT(run, listed.count == 1 && strcmp(listed.id, made.id) == 0, "list shows %u endpoints", listed.count);
    for (int i = 0; i < 2; i++) {
        call_begin(&c, "remove of an endpoint");
        call_want(&c, call_end(&c, ops.remove(run->h, c.lent, lend_text(&c, made.id))), SBX_OK);
    }
}

static const struct rule table[] = {
    {751, NEEDS_BOX, "sbx.keepalive", "lifetime_is_extended",
     "keep_alive touches the idle timer, and extends the lifetime where it can", keepalive, SBX_EXT_KEEPALIVE},
    {752, NEEDS_BOX, "sbx.suspend", "suspension_keeps_files",
     "suspend and resume keep files, may come twice, and commands between are SBX_E_STATE", suspends, SBX_EXT_SUSPEND},
    {753, NEEDS_BOX, "sbx.wait C15", "wait_reports_the_state",
     "wait_state reports once when the state is there, and gives up in time", waits, SBX_EXT_WAIT},
    {754, NEEDS_BOX, "sbx.snapshot", "snapshot_becomes_a_sandbox",
     "a snapshot keeps files, becomes a sandbox, and may be removed twice", snapshots, SBX_EXT_SNAPSHOT},
    {755, NEEDS_BOX, "sbx.ssh P7", "key_is_given_once", "create_key reports one key and logs none", keys, SBX_EXT_SSH},
    {756, NEEDS_BOX, "sbx.tunnel", "endpoint_is_listed_and_removed",
     "an endpoint is reported, listed, and may be removed twice", tunnels, SBX_EXT_TUNNEL},
};
RULE_GROUP(rules_more, "further capabilities", table);
