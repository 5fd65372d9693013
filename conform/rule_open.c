/* SPDX-License-Identifier: MIT
 *
 * rule_open.c - backends: configuration, capabilities, hosts that offer little, two at once.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

enum { PAIRS_MAX = 64 };

/* The subject's configuration with one more pair. */
static struct sbx_open_args with_pair(struct run *run, struct sbx_kv pairs[PAIRS_MAX], const char *key,
                                      const char *value)
{
    size_t count = run->subject->config.count;
    EXPECT(run, count + 1 < PAIRS_MAX, "the section has too many keys for the checker");
    for (size_t i = 0; i < count; i++)
        pairs[i] = run->subject->config.items[i];
    pairs[count] = (struct sbx_kv){key, value};
    return (struct sbx_open_args){
        .size = sizeof(struct sbx_open_args), .instance = run->subject->instance, .config = {pairs, count + 1}};
}

static struct sbx_open_args plain_args(const struct run *run)
{
    return (struct sbx_open_args){
        .size = sizeof(struct sbx_open_args), .instance = run->subject->instance, .config = run->subject->config};
}

static void opens(struct run *run)
{
    EXPECT(run, run->b != NULL, "there is no backend");
}

static void unknown_key(struct run *run)
{
    struct sbx_kv pairs[PAIRS_MAX];
    struct sbx_backend *b = NULL;
    struct call c = {.run = run, .deadline_ms = 20000};
    struct sbx_open_args args = with_pair(run, pairs, "no_such_key_xyzzy", "1");
    call_want(&c, call_open(&c, step_host(run), &args, &b), SBX_E_CONFIG);
    EXPECT(run, strstr(c.error.message, "no_such_key_xyzzy") != NULL, "the message does not name the key: %.300s",
           c.error.message);
}

static void wrong_value(struct run *run)
{
    const struct sbx_config_key *const *all = run->plugin.config_keys;
    for (size_t i = 0; all != NULL && all[i] != NULL; i++) {
        struct sbx_kv pairs[PAIRS_MAX];
        struct sbx_backend *b = NULL;
        struct call c = {.run = run, .deadline_ms = 20000};
        if (all[i]->type != SBX_KEY_INT && all[i]->type != SBX_KEY_BOOL && all[i]->type != SBX_KEY_SECONDS)
            continue;
        struct sbx_open_args args = with_pair(run, pairs, all[i]->name, "neither this nor that");
        call_want(&c, call_open(&c, step_host(run), &args, &b), SBX_E_CONFIG);
        EXPECT(run, strstr(c.error.message, all[i]->name) != NULL, "the message does not name the key '%s': %.300s",
               all[i]->name, c.error.message);
        return;
    }
    run_skip(run, "it has no key of a checked type");
}

static void open_flags(struct run *run)
{
    struct sbx_backend *b = NULL;
    struct call c = {.run = run, .deadline_ms = 20000};
    struct sbx_open_args args = plain_args(run);
    args.flags = 1u << 30;
    call_want(&c, call_open(&c, step_host(run), &args, &b), SBX_E_UNSUPPORTED);
}

static void open_larger(struct run *run)
{
    struct sbx_backend *b = NULL;
    struct call set = {.run = run, .deadline_ms = 20000, .extra = 64, .fill = 7};
    struct sbx_open_args args = plain_args(run);
    call_want(&set, call_open(&set, step_host(run), &args, &b), SBX_E_UNSUPPORTED);
    struct call zero = {.run = run, .deadline_ms = 20000, .extra = 64};
    call_want(&zero, call_open(&zero, step_host(run), &args, &b), SBX_OK);
    call_close(run, b);
}

static void poor_host(struct run *run)
{
    const struct sbx_host host = {.size = sizeof host};
    run->b = step_open(run, &host);
    run->h = step_create(run, run->b);
    EXPECT(run, step_shell(run, run->h, "exit 3", NULL) == 3, "a command does not give its exit code");
    step_drop(run, run->h);
    call_close(run, run->b);
    run->b = NULL;
}

/* Bigger than this header knows, with something in every new byte. */
static void rich_host(struct run *run)
{
    static const size_t more = 64;
    CLEANUP_FREE char *space = malloc(sizeof(struct sbx_host) + more);
    EXPECT(run, space != NULL, "the checker has no memory");
    memcpy(space, step_host(run), sizeof(struct sbx_host));
    memset(space + sizeof(struct sbx_host), 0x5a, more);
    uint32_t size = (uint32_t)(sizeof(struct sbx_host) + more);
    memcpy(space, &size, sizeof size);
    uint32_t minor = 99;
    memcpy(space + 4, &minor, sizeof minor);
    run->b = step_open(run, (const struct sbx_host *)(void *)space);
    run->h = step_create(run, run->b);
    EXPECT(run, step_shell(run, run->h, "exit 3", NULL) == 3, "a command does not give its exit code");
    step_drop(run, run->h);
    call_close(run, run->b);
    run->b = NULL;
}

static void two_backends(struct run *run)
{
    struct sbx_host other = *step_host(run);
    struct sbx_backend *second = step_open(run, &other);
    EXPECT(run, second != run->b, "both hosts were given the same backend");
    struct sbx_handle *one = step_create(run, run->b);
    struct sbx_handle *two = step_create(run, second);
    EXPECT(run, strcmp(run->handle_ops.id(one), run->handle_ops.id(two)) != 0, "two sandboxes have one id");
    EXPECT(run, step_shell(run, one, "exit 4", NULL) == 4, "the first backend's command failed");
    EXPECT(run, step_shell(run, two, "exit 5", NULL) == 5, "the second backend's command failed");
    step_drop(run, one);
    call_close(run, run->b);
    run->b = NULL;
    EXPECT(run, step_shell(run, two, "exit 6", NULL) == 6, "closing one backend broke the other");
    step_drop(run, two);
    call_close(run, second);
}

static void null_is_ignored(struct run *run)
{
    run->backend_ops.close(NULL);
    run->handle_ops.release(NULL);
}

static void unknown_ids(struct run *run)
{
    static const char *const ids[] = {
        "",          "sbx",         "sbx.job",      "sbx.job/", "sbx.job/0", "sbx.job/99", "com.example.gpu/1",
        "SBX.JOB/1", "sbx.stat/1 ", "sbx.stat/1/1", "\xff\xfe"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        EXPECT(run, run->backend_ops.get_extension(run->b, ids[i]) == NULL, "it answers to the id '%s'", ids[i]);
    for (const struct capability *one = object_capabilities; one->id != NULL; one++) {
        char id[64];
        (void)snprintf(id, sizeof id, "%sx", one->id);
        EXPECT(run, run->backend_ops.get_extension(run->b, id) == NULL, "it answers to the id '%s'", id);
    }
}

static int is_advertised(const struct run *run, const char *id)
{
    const char *const *all = run->plugin.extensions;
    for (size_t i = 0; all != NULL && all[i] != NULL; i++)
        if (strcmp(all[i], id) == 0)
            return 1;
    return 0;
}

static void constant_answers(struct run *run)
{
    for (const struct capability *one = object_capabilities; one->id != NULL; one++) {
        const void *first = run->backend_ops.get_extension(run->b, one->id);
        EXPECT(run, first == run->backend_ops.get_extension(run->b, one->id), "the answer for %s is not constant",
               one->id);
        EXPECT(run, first == NULL || is_advertised(run, one->id), "%s is answered and not advertised", one->id);
    }
}

static void capability_tables(struct run *run)
{
    for (const struct capability *one = object_capabilities; one->id != NULL; one++) {
        const void *given = run->backend_ops.get_extension(run->b, one->id);
        const char *problem = given != NULL && one->slots > 0 ? object_table_problem(given, NULL, one->slots) : NULL;
        EXPECT(run, problem == NULL, "the table of %s: %s", one->id, problem);
    }
}

static void secrets_stay(struct run *run)
{
    const struct sbx_config_key *const *all = run->plugin.config_keys;
    unsigned checked = 0;
    EXPECT(run, step_shell(run, run->h, "exit 0", NULL) == 0, "a command failed");
    struct sbx_handle *h = NULL;
    struct call c = {.run = run, .deadline_ms = 20000};
    (void)call_attach(&c, run->b, "no-such-sandbox", &h);
    for (size_t i = 0; i < run->subject->config.count; i++)
        for (size_t k = 0; all != NULL && all[k] != NULL; k++) {
            const struct sbx_kv *pair = &run->subject->config.items[i];
            if ((all[k]->flags & SBX_KEY_SECRET) == 0 || strcmp(all[k]->name, pair->key) != 0 || pair->value[0] == '\0')
                continue;
            checked++;
            EXPECT(run, run->log.len == 0 || strstr(run->log.data, pair->value) == NULL, "the secret '%s' was logged",
                   pair->key);
            EXPECT(run, strstr(c.error.message, pair->value) == NULL, "the secret '%s' is in a message", pair->key);
        }
    if (checked == 0)
        run_skip(run, "the section holds no secret");
}

static const struct rule table[] = {
    {201, NEEDS_BACKEND, "P9", "opens", "a backend opens by the section, or without one", opens, NULL},
    {202, NEEDS_OBJECT, "P10", "unknown_key_is_named", "an unknown key is SBX_E_CONFIG and named", unknown_key, NULL},
    {203, NEEDS_OBJECT, "P10", "wrong_value_is_named", "a value of the wrong type is SBX_E_CONFIG and its key named",
     wrong_value, NULL},
    {204, NEEDS_OBJECT, "P10", "open_refuses_unknown_flags", "unknown bits in open's flags are SBX_E_UNSUPPORTED",
     open_flags, NULL},
    {205, NEEDS_OBJECT, "C3", "open_takes_larger_arguments",
     "a longer struct passes when its tail is zero, and is SBX_E_UNSUPPORTED when not", open_larger, NULL},
    {206, NEEDS_OBJECT, "C13", "host_may_offer_nothing", "it works under a host whose every service is NULL", poor_host,
     NULL},
    {207, NEEDS_OBJECT, "C3", "host_may_be_newer", "it works under a host of a later minor, with a longer sbx_host",
     rich_host, NULL},
    {208, NEEDS_BACKEND, "P12 C13", "two_backends_side_by_side",
     "two backends of two hosts work, also after one is closed", two_backends, NULL},
    {209, NEEDS_OBJECT, "P2", "null_is_ignored", "close(NULL) and release(NULL) do nothing", null_is_ignored, NULL},
    {210, NEEDS_BACKEND, "C10", "unknown_capabilities_are_null", "ids that are unknown or garbage get NULL",
     unknown_ids, NULL},
    {211, NEEDS_BACKEND, "C10", "capabilities_are_constant",
     "answers are constant, and what is answered was advertised", constant_answers, NULL},
    {212, NEEDS_BACKEND, "C12", "capability_tables_are_complete", "each capability's table has every slot",
     capability_tables, NULL},
    {213, NEEDS_BOX, "P7", "secrets_stay_secret", "no secret of the section is in the log or in a message",
     secrets_stay, NULL},
};
RULE_GROUP(rules_open, "opening", table);
