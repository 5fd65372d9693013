/* SPDX-License-Identifier: MIT
 *
 * test_tar.c - tar streams that lie: each is either unpacked exactly, or refused with nothing changed on this machine.
 */
#include "direct.h"
#include "tar_corpus.h"

/* --- running it ------------------------------------------------------------------------------------------------- */

static void open_with_tar(struct place *p)
{
    place_open_ini(p, "default = d\n[provider d]\nplugin = direct\nroot = @\ntar_file = @/hostile.tar\n");
    place_create(p);
    assert_int_equal(place_shell(p, "mkdir canary && echo alive >canary/f"), 0);
}

static sbx_status unpack(struct place *p, const struct tarball *t, size_t len)
{
    char path[96];
    char dest[96];
    (void)snprintf(path, sizeof path, "%s/hostile.tar", p->top);
    (void)snprintf(dest, sizeof dest, "%s/dest", p->top);
    unit_write(path, t->data != NULL ? (const void *)t->data : "", len, 0600);
    return sbx_get_tree(p->box, "any", dest, NULL, &p->error);
}

#define CANARY "test \"$(ls -A canary)\" = f && test \"$(cat canary/f)\" = alive && test \"$(stat -c %h canary/f)\" = 1"

static void hostile_archives_change_nothing(void **state)
{
    (void)state;
    size_t count = sizeof corpus / sizeof corpus[0];
    struct place p;
    open_with_tar(&p);
    for (size_t i = 0; i < count; i++) {
        const struct hostile *h = &corpus[i];
        struct tarball t = {.data = NULL};
        h->make(&t);
        sbx_status status = unpack(&p, &t, t.len);
        if ((status == SBX_OK) != (h->verdict == FINE))
            fail_msg("%s: status %d: %s", h->name, status, status != SBX_OK ? p.error.message : "taken");
        if (h->verdict == REFUSED && place_shell(&p, "test ! -e dest") != 0)
            fail_msg("%s: something was left", h->name);
        if (place_shell(&p, h->check) != 0)
            fail_msg("%s: %s", h->name, h->check);
        if (place_shell(&p, CANARY) != 0)
            fail_msg("%s: the canary", h->name);
        assert_int_equal(place_shell(&p, "rm -rf dest; test -z \"$(find . -name '.sbx-part-*')\""), 0);
        free(t.data);
    }
    assert_true(count >= 60);
    place_close(&p);
}

static void archive_cut_at_any_block_is_never_taken(void **state)
{
    (void)state;
    struct place p;
    struct tarball t = {.data = NULL};
    open_with_tar(&p);
    make_link_inside(&t);
    size_t whole = t.len;
    for (size_t len = 0; len < whole; len += 256) {
        if (unpack(&p, &t, len) == SBX_OK)
            fail_msg("%zu of %zu bytes were taken", len, whole);
        assert_int_equal(place_shell(&p, "test ! -e dest"), 0);
    }
    free(t.data);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(hostile_archives_change_nothing),
    UNIT(archive_cut_at_any_block_is_never_taken),
};
UNIT_MAIN(tests)
