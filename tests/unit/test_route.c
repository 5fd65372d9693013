/* SPDX-License-Identifier: MIT
 *
 * test_route.c - which provider a sandbox is made by, and what create adds and refuses.
 */
#include "direct.h"

#define THREE                                                                                                          \
    "default = a\n[provider a]\nplugin = direct\nroot = @/a\n[provider b]\nplugin = direct\nroot = @/b\n"              \
    "[provider c]\nplugin = direct-bare\nroot = @/c\n"

static void make_folders(struct place *p)
{
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        char folder[96];
        (void)snprintf(folder, sizeof folder, "%s/%s", p->top, names[i]);
        (void)mkdir(folder, 0755);
    }
}

/* The id that create gives, or fails the test. */
static void made_by(const char *ini, const struct sbx_create_options *options, const char *instance)
{
    struct place p;
    char expected[64];
    place_open_ini(&p, ini);
    make_folders(&p);
    if (sbx_create(p.ctx, options, NULL, &p.box, &p.error) != SBX_OK)
        fail_msg("%s: %s", instance, p.error.message);
    (void)snprintf(expected, sizeof expected, "%s/box1", instance);
    assert_string_equal(sbx_id(p.box), expected);
    place_close(&p);
}

static void not_made(const char *ini, const struct sbx_create_options *options, sbx_status code, const char *part)
{
    struct place p;
    place_open_ini(&p, ini);
    make_folders(&p);
    assert_int_equal(sbx_create(p.ctx, options, NULL, &p.box, &p.error), code);
    assert_int_equal(p.error.code, code);
    assert_null(p.box);
    unit_assert_contains(p.error.message, part);
    place_close(&p);
}

static void create_takes_the_named_then_the_routed_then_the_default(void **state)
{
    (void)state;
    static const char ini[] = THREE "[route py]\nimage = python*\nuse = b\n[route tagged]\nlabel = team=x\nuse = c\n"
                                    "[route able]\nrequire = sbx.tty/1\nuse = b\n";
    static const struct sbx_kv team = {"team", "x"};
    static const char *const needs[] = {"sbx.tty/1", NULL};
    made_by(ini, NULL, "a");
    made_by(ini, &(struct sbx_create_options){.size = sizeof(struct sbx_create_options), .image = "python:3"}, "b");
    made_by(ini, &(struct sbx_create_options){.size = sizeof(struct sbx_create_options), .image = "alpine"}, "a");
    made_by(ini, &(struct sbx_create_options){.size = sizeof(struct sbx_create_options), .labels = {&team, 1}}, "c");
    made_by(ini, &(struct sbx_create_options){.size = sizeof(struct sbx_create_options), .require = needs}, "b");
    made_by(
        ini,
        &(struct sbx_create_options){.size = sizeof(struct sbx_create_options), .image = "python:3", .provider = "c"},
        "c");
}

static void take_route(void *user, const struct sbx_route *route)
{
    static const char *const names[] = {"py", "rest"};
    int *seen = user;
    assert_string_equal(route->name, names[*seen]);
    assert_non_null(route->file);
    assert_string_equal(route->use[0], *seen == 0 ? "b" : "a");
    if (*seen == 0) {
        assert_string_equal(route->image, "python*");
        assert_string_equal(route->labels[0], "k=v");
        assert_string_equal(route->require[0], "sbx.tty/1");
        assert_null(route->require[1]);
        assert_null(route->use[1]);
    } else {
        assert_null(route->image);
        assert_null(route->labels[0]);
        assert_null(route->require[0]);
        assert_string_equal(route->use[1], "c");
    }
    ++*seen;
}

static void routes_are_reported_in_their_order(void **state)
{
    (void)state;
    struct place p;
    int seen = 0;
    place_open_ini(&p, THREE "[route py]\nimage = python*\nlabel = k=v\nrequire = sbx.tty/1\nuse = b\n"
                             "[route rest]\nuse = a, c\n");
    sbx_routes(p.ctx, take_route, &seen);
    assert_int_equal(seen, 2);
    place_close(&p);
    place_open_ini(&p, THREE);
    sbx_routes(p.ctx, take_route, &seen);
    assert_int_equal(seen, 2);
    sbx_routes(NULL, take_route, &seen);
    place_close(&p);
}

static void create_tries_the_next_one_only_when_nothing_was_made(void **state)
{
    (void)state;
    made_by(THREE "[provider down]\nplugin = direct\nroot = @\nbad = create-unavailable\n"
                  "[route all]\nuse = down b\n",
            NULL, "b");
    made_by(THREE "[provider down]\nplugin = direct\nroot = @\nbad = open-fails\n[route all]\nuse = down b\n", NULL,
            "b");
    not_made(THREE "[provider down]\nplugin = direct\nroot = @\nbad = create-maybe\n[route all]\nuse = down b\n", NULL,
             SBX_E_UNAVAILABLE, "create down: ");
    not_made(THREE "[provider down]\nplugin = direct\nroot = @\nbad = create-unknown\n[route all]\nuse = down b\n",
             NULL, SBX_E_UNKNOWN, "create down: ");
    not_made("default = down\n[provider down]\nplugin = direct\nroot = @\nbad = open-fails\n", NULL, SBX_E_UNAVAILABLE,
             "create down: the engine does not answer");
}

static void unknown_create_gives_the_token_to_ask_about(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "create-unknown");
    assert_int_equal(sbx_create(p.ctx, NULL, NULL, &p.box, &p.error), SBX_E_UNKNOWN);
    assert_int_equal(strncmp(p.error.resource_id, "sbx-", 4), 0);
    assert_int_equal(strlen(p.error.resource_id), 36);
    place_close(&p);
}

static void create_refuses_what_the_provider_lacks(void **state)
{
    (void)state;
    static const char *const tty[] = {"sbx.tty/1", NULL};
    static const char *const emulated[] = {"sbx.fs/1", "sbx.wait/1", NULL};
    not_made(THREE,
             &(struct sbx_create_options){.size = sizeof(struct sbx_create_options), .provider = "c", .require = tty},
             SBX_E_UNSUPPORTED, "create c: the provider does not offer sbx.tty/1");
    made_by(
        THREE,
        &(struct sbx_create_options){.size = sizeof(struct sbx_create_options), .provider = "c", .require = emulated},
        "c");
}

static void create_refuses_bad_arguments(void **state)
{
    (void)state;
    static const struct sbx_kv reserved = {"sbx.owner", "me"};
    static const struct sbx_kv odd = {"A=B", "x"};
    static const struct sbx_kv empty = {"", "x"};
    static const struct sbx_kv half = {"x", NULL};
    static const char *const allow[] = {"example.org", NULL};
    const struct {
        struct sbx_create_options options;
        sbx_status code;
        const char *part;
    } table[] = {{{.labels = {&reserved, 1}}, SBX_E_INVALID, "sbx.owner"},
                 {{.envs = {&odd, 1}}, SBX_E_INVALID, "A=B"},
                 {{.envs = {&empty, 1}}, SBX_E_INVALID, "no name"},
                 {{.labels = {&half, 1}}, SBX_E_INVALID, "no value"},
                 {{.labels = {NULL, 1}}, SBX_E_INVALID, "without items"},
                 {{.image = "a", .snapshot = "b"}, SBX_E_INVALID, "at most one"},
                 {{.flags = 0x40}, SBX_E_UNSUPPORTED, "0x40"},
                 {{.network = 9}, SBX_E_INVALID, "network"},
                 {{.network_allow = allow}, SBX_E_INVALID, "allow list"},
                 {{.provider = "nobody"}, SBX_E_CONFIG, "'nobody'"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sbx_create_options options = table[i].options;
        options.size = sizeof options;
        not_made(THREE, &options, table[i].code, table[i].part);
    }
    not_made(THREE, &(struct sbx_create_options){.size = 0}, SBX_E_INVALID, "size");
}

struct found {
    char owner[256];
    char token[80];
    char mine[80];
    int managed;
    int count;
};

static void look(void *user, const struct sbx_info *info)
{
    struct found *f = user;
    f->count++;
    for (size_t i = 0; i < info->metadata.count; i++) {
        const struct sbx_kv *kv = &info->metadata.items[i];
        if (strcmp(kv->key, "sbx.owner") == 0)
            (void)snprintf(f->owner, sizeof f->owner, "%s", kv->value);
        if (strcmp(kv->key, "sbx.token") == 0)
            (void)snprintf(f->token, sizeof f->token, "%s", kv->value);
        if (strcmp(kv->key, "mine") == 0)
            (void)snprintf(f->mine, sizeof f->mine, "%s", kv->value);
        f->managed += strcmp(kv->key, "sbx.managed") == 0;
    }
}

static void create_labels_what_it_makes(void **state)
{
    (void)state;
    struct place p;
    struct found f = {.count = 0};
    char pid[32];
    static const struct sbx_kv mine = {"mine", "a b"};
    const struct sbx_create_options options = {
        .size = sizeof options, .flags = SBX_CREATE_WITH_CALLER, .labels = {&mine, 1}};
    place_open(&p, "direct", NULL);
    sbx_sandbox *box = NULL;
    assert_int_equal(sbx_create(p.ctx, &options, NULL, &box, &p.error), SBX_OK);
    assert_int_equal(sbx_inspect(box, NULL, look, &f, &p.error), SBX_OK);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.managed, 1);
    assert_string_equal(f.mine, "a b");
    assert_int_equal(strlen(f.token), 36);
    (void)snprintf(pid, sizeof pid, ":%ld:", (long)getpid());
    unit_assert_contains(f.owner, pid);
    sbx_release(box);
    place_close(&p);
}

static void same_token_is_the_same_sandbox(void **state)
{
    (void)state;
    struct place p;
    sbx_sandbox *first = NULL;
    sbx_sandbox *second = NULL;
    const struct sbx_create_options options = {.size = sizeof options, .client_token = "one"};
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_create(p.ctx, &options, NULL, &first, &p.error), SBX_OK);
    assert_int_equal(sbx_create(p.ctx, &options, NULL, &second, &p.error), SBX_OK);
    assert_string_equal(sbx_id(first), sbx_id(second));
    sbx_release(first);
    sbx_release(second);
    place_close(&p);
}

/* --- ids, list -------------------------------------------------------------------------------------------------- */

static void ids_name_instance_and_sandbox(void **state)
{
    (void)state;
    struct place p;
    sbx_sandbox *again = NULL;
    const struct {
        const char *id;
        sbx_status code;
    } table[] = {
        {"d/box1", SBX_OK},        {"box1", SBX_OK},         {"d/none", SBX_E_NOT_FOUND}, {"nobody/box1", SBX_E_CONFIG},
        {"d/", SBX_E_INVALID},     {"/box1", SBX_E_INVALID}, {"", SBX_E_INVALID},         {"a b", SBX_E_INVALID},
        {"d/x\ny", SBX_E_INVALID}, {NULL, SBX_E_INVALID}};
    place_open(&p, "direct", NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        sbx_status status = sbx_attach(p.ctx, table[i].id, NULL, &again, &p.error);
        if (status != table[i].code)
            fail_msg("'%s': %d: %s", table[i].id, status, p.error.message);
        sbx_release(again);
    }
    assert_int_equal(sbx_attach(p.ctx, "d/none", NULL, &again, &p.error), SBX_E_NOT_FOUND);
    assert_string_equal(p.error.message, "attach d/none: no such sandbox");
    place_close(&p);
}

static void removing_is_silent_for_what_is_gone(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_remove(p.box, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_remove(p.box, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_remove_id(p.ctx, "d/box1", NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_remove_id(p.ctx, "d/never", NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_remove_id(p.ctx, "nobody/x", NULL, &p.error), SBX_E_CONFIG);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "true"};
    assert_int_equal(sbx_exec(p.box, &options, NULL, NULL, &p.error), SBX_E_GONE);
    place_close(&p);
}

static void count(void *user, const struct sbx_info *info)
{
    assert_non_null(strchr(info->id, '/'));
    assert_string_equal(info->provider_state, "running");
    ++*(int *)user;
}

static void list_shows_every_instance_and_logs_who_is_away(void **state)
{
    (void)state;
    struct place p;
    sbx_sandbox *boxes[3] = {NULL};
    static const char *const names[] = {"a", "b", "c"};
    int seen = 0;
    place_open_ini(&p, THREE "[provider down]\nplugin = direct\nroot = @\nbad = list-fails\n");
    make_folders(&p);
    for (size_t i = 0; i < 3; i++) {
        const struct sbx_create_options options = {.size = sizeof options, .provider = names[i]};
        assert_int_equal(sbx_create(p.ctx, &options, NULL, &boxes[i], &p.error), SBX_OK);
    }
    assert_int_equal(sbx_list(p.ctx, NULL, NULL, count, &seen, &p.error), SBX_OK);
    assert_int_equal(seen, 3);
    unit_assert_contains(p.log, "list down: no engine");
    seen = 0;
    const struct sbx_list_options two = {.size = sizeof two, .limit = 2};
    assert_int_equal(sbx_list(p.ctx, &two, NULL, count, &seen, &p.error), SBX_OK);
    assert_int_equal(seen, 2);
    const struct sbx_list_options down = {.size = sizeof down, .provider = "down"};
    assert_int_equal(sbx_list(p.ctx, &down, NULL, count, &seen, &p.error), SBX_E_UNAVAILABLE);
    const struct sbx_list_options nobody = {.size = sizeof nobody, .provider = "nobody"};
    assert_int_equal(sbx_list(p.ctx, &nobody, NULL, count, &seen, &p.error), SBX_E_CONFIG);
    for (size_t i = 0; i < 3; i++)
        sbx_release(boxes[i]);
    place_close(&p);
}

static void list_filters_by_label_and_state(void **state)
{
    (void)state;
    struct place p;
    sbx_sandbox *box = NULL;
    static const struct sbx_kv mine = {"mine", "1"};
    int seen = 0;
    place_open(&p, "direct", NULL);
    const struct sbx_create_options options = {.size = sizeof options, .labels = {&mine, 1}};
    assert_int_equal(sbx_create(p.ctx, &options, NULL, &box, &p.error), SBX_OK);
    const struct sbx_list_options labelled = {.size = sizeof labelled, .labels = {&mine, 1}};
    assert_int_equal(sbx_list(p.ctx, &labelled, NULL, count, &seen, &p.error), SBX_OK);
    assert_int_equal(seen, 1);
    const struct sbx_list_options stopped = {.size = sizeof stopped, .state_mask = 1u << SBX_STATE_STOPPED};
    assert_int_equal(sbx_list(p.ctx, &stopped, NULL, count, &seen, &p.error), SBX_OK);
    assert_int_equal(seen, 1);
    sbx_release(box);
    place_close(&p);
}

static void list_fails_when_nobody_answers(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "list-fails");
    assert_int_equal(sbx_list(p.ctx, NULL, NULL, count, NULL, &p.error), SBX_E_UNAVAILABLE);
    place_close(&p);
}

static void take_state(void *user, const struct sbx_info *info)
{
    *(int *)user = info->state;
}

static void inspect_wants_exactly_one_report(void **state)
{
    (void)state;
    static const char *const wrong[] = {"info-silent", "info-twice"};
    for (size_t i = 0; i < 2; i++) {
        struct place p;
        place_open(&p, "direct", wrong[i]);
        place_create(&p);
        assert_int_equal(sbx_inspect(p.box, NULL, NULL, NULL, &p.error), SBX_E_PROTOCOL);
        place_close(&p);
    }
    struct place p;
    int seen = -1;
    place_open(&p, "direct", "state-99");
    place_create(&p);
    assert_int_equal(sbx_inspect(p.box, NULL, take_state, &seen, &p.error), SBX_OK);
    assert_int_equal(seen, SBX_STATE_UNKNOWN);
    place_close(&p);
}

/* --- providers -------------------------------------------------------------------------------------------------- */

struct table {
    int count;
    int broken;
    uint32_t stat_of_a;
    uint32_t stat_of_c;
    uint32_t job_of_a;
    int has_root_key;
};

static void take_provider(void *user, const struct sbx_provider *p)
{
    struct table *t = user;
    t->count++;
    t->broken += p->problem != NULL;
    for (size_t i = 0; i < p->capability_count; i++) {
        if (strcmp(p->capabilities[i].id, "sbx.stat/1") == 0)
            *(p->instance[0] == 'a' ? &t->stat_of_a : &t->stat_of_c) = p->capabilities[i].support;
        if (strcmp(p->capabilities[i].id, "sbx.job/1") == 0)
            t->job_of_a = p->capabilities[i].support;
    }
    for (size_t i = 0; i < p->key_count; i++)
        t->has_root_key |= strcmp(p->keys[i].name, "root") == 0 && strcmp(p->keys[i].type_name, "path") == 0;
}

static void providers_say_what_each_can_do(void **state)
{
    (void)state;
    struct place p;
    struct table t = {.count = 0};
    place_open_ini(&p, "default = a\n[provider a]\nplugin = direct\nroot = @\n[provider c]\nplugin = direct-bare\n"
                       "root = @\n[provider x]\nplugin = direct\nroot = @\nbad = open-fails\n");
    assert_int_equal(sbx_providers(p.ctx, NULL, take_provider, &t, &p.error), SBX_OK);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.broken, 1);
    assert_int_equal(t.stat_of_a, SBX_SUPPORT_NATIVE);
    assert_int_equal(t.stat_of_c, SBX_SUPPORT_EMULATED);
    assert_int_equal(t.job_of_a, SBX_SUPPORT_NONE);
    assert_true(t.has_root_key);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(create_takes_the_named_then_the_routed_then_the_default),
    UNIT(routes_are_reported_in_their_order),
    UNIT(create_tries_the_next_one_only_when_nothing_was_made),
    UNIT(unknown_create_gives_the_token_to_ask_about),
    UNIT(create_refuses_what_the_provider_lacks),
    UNIT(create_refuses_bad_arguments),
    UNIT(create_labels_what_it_makes),
    UNIT(same_token_is_the_same_sandbox),
    UNIT(ids_name_instance_and_sandbox),
    UNIT(removing_is_silent_for_what_is_gone),
    UNIT(list_shows_every_instance_and_logs_who_is_away),
    UNIT(list_filters_by_label_and_state),
    UNIT(list_fails_when_nobody_answers),
    UNIT(inspect_wants_exactly_one_report),
    UNIT(providers_say_what_each_can_do),
};
UNIT_MAIN(tests)
