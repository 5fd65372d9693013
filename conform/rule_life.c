/* SPDX-License-Identifier: MIT
 *
 * rule_life.c - the life of a sandbox: made, found, reported, removed.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

static const struct sbx_create_args plain = {.size = sizeof plain};

static void first_exec_works(struct run *run)
{
    step_says(run, run->h, "echo ready", "ready");
}

static void ids(struct run *run)
{
    char first[SBX_ID_SIZE];
    (void)snprintf(first, sizeof first, "%s", run->handle_ops.id(run->h));
    struct sbx_handle *other = step_create(run, run->b);
    EXPECT(run, strcmp(first, run->handle_ops.id(other)) != 0, "two sandboxes have the id '%s'", first);
    EXPECT(run, strpbrk(first, " \t\n/") == NULL, "the id '%s' has a blank or a slash", first);
    step_drop(run, other);
    EXPECT(run, strcmp(first, run->handle_ops.id(run->h)) == 0, "the id changed");
}

/* create must refuse these with `wanted`, or with SBX_E_UNSUPPORTED. */
static void refuse_create(struct run *run, struct call *c, const struct sbx_create_args *args, sbx_status wanted,
                          const char *what)
{
    struct sbx_handle *h = NULL;
    sbx_status status = call_create(c, run->b, args, &h);
    EXPECT(run, status == wanted || status == SBX_E_UNSUPPORTED, "create with %s answered %s%s%.200s", what,
           status_name(status), status != SBX_OK ? ": " : "", c->error.message);
    (void)h;
}

static void create_flags(struct run *run)
{
    struct call c = {.run = run, .deadline_ms = 60000};
    struct sbx_create_args args = plain;
    args.flags = 1u << 30;
    refuse_create(run, &c, &args, SBX_E_UNSUPPORTED, "an unknown flag");
}

static void create_contradiction(struct run *run)
{
    struct call c = {.run = run, .deadline_ms = 60000};
    struct sbx_create_args args = plain;
    args.image = "one-image";
    args.snapshot = "one-snapshot";
    refuse_create(run, &c, &args, SBX_E_INVALID, "an image and a snapshot");
    struct call net = {.run = run, .deadline_ms = 60000};
    struct sbx_create_args network = plain;
    network.network = 77;
    refuse_create(run, &net, &network, SBX_E_INVALID, "network 77");
}

static void create_provider_key(struct run *run)
{
    struct sbx_kv pair = {"conform.no_such_key_xyzzy", "1"};
    struct call c = {.run = run, .deadline_ms = 60000};
    struct sbx_create_args args = plain;
    args.provider = (struct sbx_kvs){&pair, 1};
    refuse_create(run, &c, &args, SBX_E_UNSUPPORTED, "an unknown provider key");
    EXPECT(run, strstr(c.error.message, "no_such_key_xyzzy") != NULL, "the message does not name the key: %.300s",
           c.error.message);
}

static void create_sizes(struct run *run)
{
    struct sbx_handle *h = NULL;
    struct call set = {.run = run, .deadline_ms = 60000, .extra = 64, .fill = 7};
    refuse_create(run, &set, &plain, SBX_E_UNSUPPORTED, "a field of a later version");
    struct call zero = {.run = run, .deadline_ms = 60000, .extra = 64};
    call_want(&zero, call_create(&zero, run->b, &plain, &h), SBX_OK);
    step_drop(run, h);
    struct call cut = {.run = run, .deadline_ms = 60000, .cut = sizeof plain - 8};
    call_want(&cut, call_create(&cut, run->b, &plain, &h), SBX_OK);
    step_drop(run, h);
}

static void labels(struct run *run)
{
    struct sbx_kv mine[] = {{"conform.odd", "a b=c 'd' \"e\""}, {"conform.two", "\xc3\xa9"}};
    struct sbx_kv want[] = {{"conform.run", run->token}, mine[0], mine[1]};
    struct report seen = {.want = {want, 3}};
    struct call c = {.run = run, .deadline_ms = 60000};
    struct sbx_create_args args = plain;
    args.metadata = (struct sbx_kvs){mine, 2};
    call_want(&c, call_create(&c, run->b, &args, &run->h), SBX_OK);
    struct call ask = {.run = run, .deadline_ms = 20000};
    call_want(&ask, call_info(&ask, run->h, &seen), SBX_OK);
    EXPECT(run, seen.count == 1, "info reported %u times", seen.count);
    struct report listed = {.want = {want, 3}};
    struct sbx_list_args filter = {.size = sizeof filter, .metadata = {want, 3}};
    struct call list = {.run = run, .deadline_ms = 20000};
    call_want(&list, call_list(&list, run->b, &filter, &listed), SBX_OK);
    EXPECT(run, listed.count == 1, "list by label reported %u sandboxes", listed.count);
    want[0].value = "somebody else's";
    struct report none = {0};
    struct call again = {.run = run, .deadline_ms = 20000};
    call_want(&again, call_list(&again, run->b, &filter, &none), SBX_OK);
    EXPECT(run, none.count == 0, "list by a label that nobody has reported %u sandboxes", none.count);
}

static void info_tells(struct run *run)
{
    struct report seen = {0};
    struct call c = {.run = run, .deadline_ms = 20000};
    call_want(&c, call_info(&c, run->h, &seen), SBX_OK);
    EXPECT(run, seen.count == 1, "info reported %u times", seen.count);
    EXPECT(run, seen.state == SBX_STATE_RUNNING, "a sandbox that runs has the state %d", seen.state);
    EXPECT(run, strcmp(seen.id, run->handle_ops.id(run->h)) == 0, "info says '%s' and id() '%s'", seen.id,
           run->handle_ops.id(run->h));
}

/* The ids of this test's own sandboxes. */
static void list_own(struct run *run, struct report *into, uint32_t limit, const char *after)
{
    struct sbx_kv own = {"conform.run", run->token};
    struct sbx_list_args args = {.size = sizeof args, .limit = limit, .after = after, .metadata = {&own, 1}};
    struct call c = {.run = run, .deadline_ms = 20000};
    memset(into, 0, sizeof *into);
    call_want(&c, call_list(&c, run->b, &args, into), SBX_OK);
}

static void list_shows(struct run *run)
{
    struct report seen;
    char id[SBX_ID_SIZE];
    (void)snprintf(id, sizeof id, "%s", run->handle_ops.id(run->h));
    list_own(run, &seen, 0, NULL);
    EXPECT(run, seen.count == 1 && strcmp(seen.id, id) == 0, "list shows %u of this test's sandboxes: %.200s",
           seen.count, seen.ids);
    step_drop(run, run->h);
    list_own(run, &seen, 0, NULL);
    EXPECT(run, seen.count == 0, "list shows what was removed:%.200s", seen.ids);
}

static void list_pages(struct run *run)
{
    struct sbx_handle *more[2] = {step_create(run, run->b), step_create(run, run->b)};
    struct report all;
    struct report page;
    char after[SBX_ID_SIZE] = "";
    char seen[4 * SBX_ID_SIZE] = " ";
    list_own(run, &all, 0, NULL);
    EXPECT(run, all.count == 3, "list shows %u of three sandboxes", all.count);
    for (int i = 0; i < 3; i++) {
        list_own(run, &page, 1, after[0] != '\0' ? after : NULL);
        EXPECT(run, page.count == 1, "page %d of one has %u sandboxes", i + 1, page.count);
        (void)snprintf(after, sizeof after, "%s", page.id);
        (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", page.id);
    }
    EXPECT(run, strcmp(seen, all.ids) == 0, "the pages show%s and the whole list%s", seen, all.ids);
    list_own(run, &page, 1, after);
    EXPECT(run, page.count == 0, "there is a page behind the last one");
    step_drop(run, more[0]);
    step_drop(run, more[1]);
}

static void list_stops(struct run *run)
{
    struct report seen = {.answer = 1};
    struct sbx_list_args args = {.size = sizeof args};
    struct call c = {.run = run, .deadline_ms = 20000};
    call_want(&c, call_list(&c, run->b, &args, &seen), SBX_E_STOPPED);
    EXPECT(run, seen.count == 1, "list went on after it was asked to stop");
}

static void list_refuses(struct run *run)
{
    struct report seen = {0};
    struct sbx_list_args args = {.size = sizeof args, .flags = 1u << 30};
    struct call c = {.run = run, .deadline_ms = 20000};
    call_want(&c, call_list(&c, run->b, &args, &seen), SBX_E_UNSUPPORTED);
    struct call set = {.run = run, .deadline_ms = 20000, .extra = 32, .fill = 1};
    args.flags = 0;
    call_want(&set, call_list(&set, run->b, &args, &seen), SBX_E_UNSUPPORTED);
}

static void attach_by_id(struct run *run)
{
    struct sbx_handle *again = NULL;
    struct report seen;
    struct call c = {.run = run, .deadline_ms = 20000};
    call_want(&c, call_attach(&c, run->b, run->handle_ops.id(run->h), &again), SBX_OK);
    EXPECT(run, strcmp(run->handle_ops.id(again), run->handle_ops.id(run->h)) == 0, "the second handle has another id");
    EXPECT(run, step_shell(run, again, "echo shared > attached", NULL) == 0, "a command failed");
    run->handle_ops.release(again);
    step_says(run, run->h, "cat attached", "shared");
    list_own(run, &seen, 0, NULL);
    EXPECT(run, seen.count == 1, "attach made a sandbox");
}

static void attach_unknown(struct run *run)
{
    static const char *const unknown[] = {"no-such-sandbox", "../x", "a b", "%s%n", "-rf"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        struct sbx_handle *h = NULL;
        struct call c = {.run = run, .deadline_ms = 20000};
        sbx_status status = call_attach(&c, run->b, unknown[i], &h);
        EXPECT(run, status == SBX_E_NOT_FOUND || (i > 0 && status == SBX_E_INVALID), "attach to '%s' answered %s",
               unknown[i], status_name(status));
    }
}

static void release_keeps(struct run *run)
{
    char id[SBX_ID_SIZE];
    struct call c = {.run = run, .deadline_ms = 20000};
    (void)snprintf(id, sizeof id, "%s", run->handle_ops.id(run->h));
    step_write(run, "released", "abc", 3);
    run->handle_ops.release(run->h);
    call_close(run, run->b);
    run->b = step_open(run, step_host(run));
    call_want(&c, call_attach(&c, run->b, id, &run->h), SBX_OK);
    step_content(run, "released", "abc", 3);
}

static void remove_twice(struct run *run)
{
    struct call first = {.run = run, .deadline_ms = 30000};
    struct call second = first;
    call_want(&first, call_remove(&first, run->h), SBX_OK);
    call_want(&second, call_remove(&second, run->h), SBX_OK);
    run->handle_ops.release(run->h);
    run->h = NULL;
}

static void gone(struct run *run)
{
    struct call drop = {.run = run, .deadline_ms = 30000};
    struct exec e = {.args = {.size = sizeof e.args, .command = "true"}};
    struct report seen = {0};
    call_want(&drop, call_remove(&drop, run->h), SBX_OK);
    struct call c = {.run = run, .deadline_ms = 20000};
    call_want(&c, call_exec(&c, run->h, &e), SBX_E_GONE);
    struct call ask = {.run = run, .deadline_ms = 20000};
    sbx_status status = call_info(&ask, run->h, &seen);
    if (status == SBX_OK) /* the provider remembers, and tells why it ended */
        EXPECT(run, seen.state == SBX_STATE_STOPPED, "info told state %d of a sandbox that was removed", seen.state);
    else
        call_want(&ask, status, SBX_E_GONE);
    EXPECT(run, status == SBX_OK || seen.count == 0, "info reported a sandbox that is gone");
    run->handle_ops.release(run->h);
    run->h = NULL;
}

static void same_token(struct run *run)
{
    struct sbx_handle *twin = NULL;
    struct sbx_create_args args = plain;
    args.client_token = run->token;
    struct call one = {.run = run, .deadline_ms = 60000};
    struct call two = one;
    call_want(&one, call_create(&one, run->b, &args, &run->h), SBX_OK);
    call_want(&two, call_create(&two, run->b, &args, &twin), SBX_OK);
    EXPECT(run, strcmp(run->handle_ops.id(run->h), run->handle_ops.id(twin)) == 0,
           "the same token gave '%s' and then another one", run->handle_ops.id(run->h));
    run->handle_ops.release(twin);
}

static void create_in_time(struct run *run, struct call *c, sbx_status wanted)
{
    struct sbx_handle *h = NULL;
    struct report seen;
    sbx_status status = call_create(c, run->b, &plain, &h);
    call_want(c, status, wanted);
    step_in_time(c, 0);
    if ((c->error.flags & SBX_ERR_MAYBE_APPLIED) != 0)
        return;
    list_own(run, &seen, 0, NULL);
    EXPECT(run, seen.count == 0, "a create that was given up left a sandbox and does not say so");
}

static void create_gives_up(struct run *run)
{
    struct call cancelled = {.run = run, .cancel_ms = -1};
    create_in_time(run, &cancelled, SBX_E_CANCELLED);
    struct call late = {.run = run, .deadline_ms = -1};
    create_in_time(run, &late, SBX_E_TIMEOUT);
}

static void support_tells(struct run *run)
{
    EXPECT(run, run->handle_ops.support(run->h, "sbx.no.such/1") == SBX_SUPPORT_NONE,
           "support answers to an id that nobody knows");
    for (const struct capability *one = object_capabilities; one->id != NULL; one++) {
        uint32_t answer = run->handle_ops.support(run->h, one->id);
        EXPECT(run, answer <= SBX_SUPPORT_NATIVE, "support(%s) answered %u", one->id, answer);
        EXPECT(run, answer == SBX_SUPPORT_NONE || run->backend_ops.get_extension(run->b, one->id) != NULL,
               "the sandbox supports %s and the backend does not offer it", one->id);
    }
}

static void environment(struct run *run)
{
    struct sbx_kv envs[] = {{"CONFORM_ONE", "a b"}, {"CONFORM_TWO", "x=y'z\"\n$HOME"}};
    struct sbx_create_args args = plain;
    args.envs = (struct sbx_kvs){envs, 2};
    struct call c = {.run = run, .deadline_ms = 60000};
    call_want(&c, call_create(&c, run->b, &args, &run->h), SBX_OK);
    step_says(run, run->h, "printf %s \"$CONFORM_ONE\"", envs[0].value);
    step_says(run, run->h, "printf %s \"$CONFORM_TWO\"", envs[1].value);
}

static void lifetime(struct run *run)
{
    struct sbx_create_args args = plain;
    struct report seen;
    args.timeout_s = 2;
    struct call c = {.run = run, .deadline_ms = 60000};
    step_offered(&c, call_create(&c, run->b, &args, &run->h));
    int64_t end = clock_ms() + 15000;
    do {
        sleep_ms(250);
        list_own(run, &seen, 0, NULL);
    } while (seen.count > 0 && clock_ms() < end);
    EXPECT(run, seen.count == 0, "a sandbox with a lifetime of 2 s is listed after 15 s");
}

static const struct rule table[] = {
    {301, NEEDS_BOX, "create", "first_exec_works", "create returns when the first exec would work", first_exec_works,
     NULL},
    {302, NEEDS_BOX, "id", "ids_are_unique", "ids are unique and stay the same", ids, NULL},
    {303, NEEDS_BACKEND, "P10", "create_refuses_unknown_flags", "unknown bits in create's flags are SBX_E_UNSUPPORTED",
     create_flags, NULL},
    {304, NEEDS_BACKEND, "P10", "create_refuses_contradictions",
     "two sources, an unknown network: SBX_E_INVALID or SBX_E_UNSUPPORTED", create_contradiction, NULL},
    {305, NEEDS_BACKEND, "P10", "create_names_unknown_provider_keys",
     "an unknown provider key is SBX_E_UNSUPPORTED and named", create_provider_key, NULL},
    {306, NEEDS_BACKEND, "C3 C4", "create_takes_other_sizes",
     "shorter and longer arguments work; a set field that is unknown is refused", create_sizes, NULL},
    {307, NEEDS_BACKEND, "create list", "labels_come_back",
     "labels come back as they were given, and list filters by them", labels, NULL},
    {308, NEEDS_BOX, "info", "info_tells_once", "info reports a running sandbox once", info_tells, NULL},
    {309, NEEDS_BOX, "list", "list_shows_what_is_there", "list shows what was made and not what was removed",
     list_shows, NULL},
    {310, NEEDS_BOX, "list", "list_pages", "list gives pages by limit and after, in a stable order", list_pages, NULL},
    {311, NEEDS_BOX, "list", "list_stops", "a sink that asks to stop ends list with SBX_E_STOPPED", list_stops, NULL},
    {312, NEEDS_BACKEND, "P10 C3", "list_refuses_what_is_unknown",
     "unknown flags and set unknown fields are SBX_E_UNSUPPORTED", list_refuses, NULL},
    {313, NEEDS_BOX, "attach", "attach_finds_by_id", "attach gives a second handle to the same sandbox and makes none",
     attach_by_id, NULL},
    {314, NEEDS_BACKEND, "attach", "attach_to_nothing_is_not_found", "an id that names nothing is SBX_E_NOT_FOUND",
     attach_unknown, NULL},
    {315, NEEDS_BOX, "release", "sandbox_outlives_its_handle", "a sandbox lives on after release and close",
     release_keeps, NULL},
    {316, NEEDS_BOX, "remove", "remove_may_come_twice", "remove is SBX_OK also when the sandbox is gone already",
     remove_twice, NULL},
    {317, NEEDS_BOX, "exec info", "removed_sandbox_is_gone",
     "after remove exec is SBX_E_GONE, and info too or SBX_STATE_STOPPED", gone, NULL},
    {318, NEEDS_BACKEND, "create", "same_token_same_sandbox", "the same client token gives the same sandbox",
     same_token, NULL},
    {319, NEEDS_BACKEND, "C15", "create_gives_up_in_time",
     "a create that is cancelled or too late returns within a second and leaves nothing", create_gives_up, NULL},
    {320, NEEDS_BOX, "support", "support_fits_the_backend",
     "support is NONE for unknown ids, and only what the backend offers is supported", support_tells, NULL},
    {321, NEEDS_BACKEND, "create", "environment_reaches_every_exec",
     "the environment of create is seen by exec, odd values too", environment, NULL},
    {322, NEEDS_BACKEND, "create", "lifetime_ends_the_sandbox", "timeout_s ends the sandbox", lifetime, NULL},
};
RULE_GROUP(rules_life, "life", table);
