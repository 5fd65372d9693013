/* SPDX-License-Identifier: MIT
 *
 * test_gc.c - sweeping: what is proven to be over goes, every decoy stays.
 */
#include "direct.h"

#include "host/identity.h"

/* The owner text of a process that has ended. */
static void dead_owner(char out[IDENTITY_OWNER_SIZE])
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char own[IDENTITY_OWNER_SIZE] = "";
        identity_owner(own);
        _exit(write(fds[1], own, sizeof own) == (ssize_t)sizeof own ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(fds[0], out, IDENTITY_OWNER_SIZE), IDENTITY_OWNER_SIZE);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* The text with its part number `part` replaced. */
static void with_part(const char *owner, int part, const char *value, char out[IDENTITY_OWNER_SIZE])
{
    const char *from = owner;
    for (int i = 0; i < part; i++)
        from = strchr(from, ':') + 1;
    const char *to = strchr(from, ':');
    (void)snprintf(out, IDENTITY_OWNER_SIZE, "%.*s%s%s", (int)(from - owner), owner, value, to != NULL ? to : "");
}

static void make(struct place *p, uint32_t flags, const char *key, const char *value, char id[64])
{
    sbx_sandbox *box = NULL;
    const struct sbx_kv label = {key, value};
    const struct sbx_create_options options = {
        .size = sizeof options, .flags = flags, .labels = {&label, key != NULL ? 1u : 0u}};
    if (sbx_create(p->ctx, &options, NULL, &box, &p->error) != SBX_OK)
        fail_msg("create: %s", p->error.message);
    (void)snprintf(id, 64, "%s", sbx_id(box));
    sbx_release(box);
}

struct swept {
    int count;
    char ids[16][64];
    char reasons[16][64];
};

static void note(void *user, const char *id, const char *reason, const char *problem)
{
    struct swept *s = user;
    assert_null(problem);
    assert_true(s->count < 16);
    (void)snprintf(s->ids[s->count], 64, "%s", id);
    (void)snprintf(s->reasons[s->count++], 64, "%s", reason);
}

static void count_one(void *user, const struct sbx_info *info)
{
    (void)info;
    ++*(int *)user;
}

static int count_all(struct place *p)
{
    int count = 0;
    assert_int_equal(sbx_list(p->ctx, NULL, NULL, count_one, &count, &p->error), SBX_OK);
    return count;
}

static void owner_is_dead_only_when_it_is_proven(void **state)
{
    (void)state;
    char own[IDENTITY_OWNER_SIZE];
    char dead[IDENTITY_OWNER_SIZE] = "";
    char other[IDENTITY_OWNER_SIZE];
    identity_owner(own);
    dead_owner(dead);
    if (strchr(own, '?') != NULL)
        UNIT_SKIP("this machine has no machine id");
    assert_int_equal(identity_owner_state(own), IDENTITY_ALIVE);
    assert_int_equal(identity_owner_state(dead), IDENTITY_DEAD);
    for (int part = 0; part < 3; part++) {
        with_part(dead, part, "0123", other);
        assert_int_equal(identity_owner_state(other), IDENTITY_UNKNOWN);
        with_part(dead, part, "?", other);
        assert_int_equal(identity_owner_state(other), IDENTITY_UNKNOWN);
    }
    with_part(own, 4, "1", other); /* the number was given to another process */
    assert_int_equal(identity_owner_state(other), IDENTITY_DEAD);
    with_part(own, 4, "?", other);
    assert_int_equal(identity_owner_state(other), IDENTITY_UNKNOWN);
    static const char *const nonsense[] = {"", ":", "::::", "a:b:c:d:e", "?:?:?:1:1"};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        assert_int_equal(identity_owner_state(nonsense[i]), IDENTITY_UNKNOWN);
    with_part(dead, 3, "-1", other);
    assert_int_equal(identity_owner_state(other), IDENTITY_UNKNOWN);
    with_part(dead, 3, "0", other);
    assert_int_equal(identity_owner_state(other), IDENTITY_UNKNOWN);
}

static void gc_removes_what_is_over_and_spares_every_decoy(void **state)
{
    (void)state;
    struct place p;
    char dead[IDENTITY_OWNER_SIZE] = "";
    char elsewhere[IDENTITY_OWNER_SIZE];
    char gone[64], expired[64], id[64];
    dead_owner(dead);
    if (strchr(dead, '?') != NULL)
        UNIT_SKIP("this machine has no machine id");
    with_part(dead, 2, "4242", elsewhere);
    place_open_ini(&p, "default = d\n[provider d]\nplugin = direct\nroot = @\n");
    make(&p, SBX_CREATE_WITH_CALLER, "test.owner", dead, gone);
    make(&p, 0, "test.expires_ms", "1000", expired);
    make(&p, 0, NULL, NULL, id);                                   /* bound to nobody */
    make(&p, SBX_CREATE_WITH_CALLER, NULL, NULL, id);              /* ours, and we live */
    make(&p, SBX_CREATE_WITH_CALLER, "test.owner", elsewhere, id); /* of another pid namespace */
    make(&p, 0, "test.expires_ms", "32503680000000", id);          /* in the year 3000 */
    make(&p, 0, "owner", dead, id);                                /* a label of another name */
    make(&p, 0, "test.unmanaged", "1", id);                        /* not made by libsbx */
    const struct sbx_gc_options dry = {.size = sizeof dry, .flags = SBX_GC_DRY_RUN};
    struct swept swept = {.count = 0};
    assert_int_equal(sbx_gc(p.ctx, &dry, NULL, note, &swept, &p.error), SBX_OK);
    assert_int_equal(swept.count, 2);
    assert_int_equal(count_all(&p), 8);
    swept.count = 0;
    assert_int_equal(sbx_gc(p.ctx, NULL, NULL, note, &swept, &p.error), SBX_OK);
    assert_int_equal(swept.count, 2);
    assert_string_equal(swept.ids[0], gone);
    assert_string_equal(swept.reasons[0], "its owner is dead");
    assert_string_equal(swept.ids[1], expired);
    assert_string_equal(swept.reasons[1], "expired");
    assert_int_equal(count_all(&p), 6);
    const struct sbx_gc_options all = {.size = sizeof all, .flags = SBX_GC_ALL, .provider = "d"};
    swept.count = 0;
    assert_int_equal(sbx_gc(p.ctx, &all, NULL, note, &swept, &p.error), SBX_OK);
    assert_int_equal(swept.count, 5);
    assert_int_equal(count_all(&p), 1);
    place_close(&p);
}

static void gc_says_when_a_provider_cannot_be_asked(void **state)
{
    (void)state;
    struct place p;
    place_open_ini(&p, "default = d\n[provider d]\nplugin = direct\nroot = @\n"
                       "[provider e]\nplugin = direct\nroot = @\nbad = open-fails\n");
    const struct sbx_gc_options one = {.size = sizeof one, .provider = "e"};
    const struct sbx_gc_options none = {.size = sizeof none, .provider = "f"};
    const struct sbx_gc_options flags = {.size = sizeof flags, .flags = 1u << 9};
    assert_int_equal(sbx_gc(p.ctx, NULL, NULL, NULL, NULL, &p.error), SBX_OK);
    assert_int_equal(sbx_gc(p.ctx, &one, NULL, NULL, NULL, &p.error), SBX_E_UNAVAILABLE);
    assert_int_equal(sbx_gc(p.ctx, &none, NULL, NULL, NULL, &p.error), SBX_E_CONFIG);
    assert_int_equal(sbx_gc(p.ctx, &flags, NULL, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    assert_int_equal(sbx_gc(NULL, NULL, NULL, NULL, NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(owner_is_dead_only_when_it_is_proven),
    UNIT(gc_removes_what_is_over_and_spares_every_decoy),
    UNIT(gc_says_when_a_provider_cannot_be_asked),
};
UNIT_MAIN(tests)
