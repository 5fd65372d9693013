/* SPDX-License-Identifier: MIT
 *
 * test_tree.c - whole directories up and down: what arrives, what is refused, and that nothing is left half done.
 */
#include "direct.h"

static void run_shell(const struct place *p, const char *script)
{
    if (place_shell(p, script) != 0)
        fail_msg("shell: %s", script);
}

static void host(const struct place *p, const char *name, char out[160])
{
    (void)snprintf(out, 160, "%s/%s", p->top, name);
}

static sbx_status put(struct place *p, const char *from, const char *dir)
{
    char path[160];
    host(p, from, path);
    return sbx_put_tree(p->box, path, dir, NULL, &p->error);
}

static sbx_status get(struct place *p, const char *dir, const char *to)
{
    char path[160];
    host(p, to, path);
    return sbx_get_tree(p->box, dir, path, NULL, &p->error);
}

static void ok(struct place *p, sbx_status status)
{
    if (status != SBX_OK)
        fail_msg("%d: %s", status, p->error.message);
}

/* No staging directory may be left over. */
static void nothing_left(const struct place *p)
{
    run_shell(p, "test -z \"$(find . -name '.sbx-part-*')\"");
}

#define MAKE_SOURCE                                                                                                    \
    "mkdir -p src/a/b 'src/two words' src/empty && echo hi >src/a/b/f && head -c 300000 /dev/urandom >src/a/big && "   \
    ": >src/none && ln -s a/b/f src/link && ln -s /etc/passwd src/out && chmod 750 src/a && chmod 4755 src/none && "   \
    "touch -d @1000000000 src/a/b/f && printf x >\"src/$(printf 'new\\nline')\" && "                                   \
    "n=$(printf 'n%.0s' $(seq 1 120)); mkdir -p src/$n/$n/$n && echo deep >src/$n/$n/$n/$n && "                        \
    "ln -s $n/$n/$n/$n src/longlink"

static void tree_goes_up_as_it_is(void **state)
{
    (void)state;
    static const char *const plugins[] = {"direct", "direct-bare"};
    for (size_t i = 0; i < 2; i++) {
        struct place p;
        place_open(&p, plugins[i], NULL);
        run_shell(&p, MAKE_SOURCE);
        ok(&p, put(&p, "src", "up/there"));
        run_shell(&p, "diff -r --no-dereference src box1/up/there");
        run_shell(&p, "test \"$(stat -c %Y box1/up/there/a/b/f)\" = 1000000000");
        run_shell(&p, "test \"$(stat -c %a box1/up/there/none)\" = 755");
        run_shell(&p, "test -d box1/up/there/empty && test \"$(readlink box1/up/there/out)\" = /etc/passwd");
        place_close(&p);
    }
}

static void tree_comes_down_as_it_is(void **state)
{
    (void)state;
    static const char *const plugins[] = {"direct", "direct-bare"};
    for (size_t i = 0; i < 2; i++) {
        struct place p;
        place_open(&p, plugins[i], NULL);
        run_shell(&p, MAKE_SOURCE "; rm src/out; cp -a src box1/src");
        ok(&p, get(&p, "src", "down"));
        run_shell(&p, "diff -r --no-dereference src down && test \"$(stat -c %a down/a)\" = 750");
        run_shell(&p, "test \"$(stat -c %a down/none)\" = 755");
        nothing_left(&p);
        place_close(&p);
    }
}

static void tree_down_goes_over_what_is_there(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    run_shell(&p, "mkdir -p box1/t/a && echo new >box1/t/a/f && echo 2 >box1/t/a/g && ln -s g box1/t/a/l");
    run_shell(&p, "mkdir -p down/a && echo old >down/a/f && echo mine >down/a/mine && echo x >down/a/l");
    ok(&p, get(&p, "t", "down"));
    run_shell(&p, "test \"$(cat down/a/f down/a/mine down/a/g)\" = \"$(printf 'new\\nmine\\n2')\" && test -L down/a/l");
    nothing_left(&p);
    place_close(&p);
}

static void tree_down_changes_nothing_when_a_kind_differs(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    run_shell(&p, "mkdir -p box1/t/a box1/t/b && echo new >box1/t/a/f && echo new >box1/t/z");
    run_shell(&p, "mkdir -p down/z/keep && ln -s /etc down/l && echo old >down/other");
    assert_int_equal(get(&p, "t", "down"), SBX_E_IS_DIR);
    run_shell(&p, "test \"$(ls down | tr '\\n' ' ')\" = 'l other z '");
    run_shell(&p, "rm -r down/z; echo f >down/a");
    assert_int_equal(get(&p, "t", "down"), SBX_E_EXISTS);
    run_shell(&p, "rm down/a; ln -s /tmp down/a");
    assert_int_equal(get(&p, "t", "down"), SBX_E_EXISTS);
    run_shell(&p, "test -L down/a && test ! -e down/b");
    nothing_left(&p);
    place_close(&p);
}

static void tree_down_names_what_is_wrong_on_this_machine(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    run_shell(&p, "mkdir -p box1/t && echo x >file");
    assert_int_equal(get(&p, "t", "no/such/place"), SBX_E_NOT_FOUND);
    unit_assert_contains(p.error.message, "no/such");
    assert_int_equal(get(&p, "t", "file"), SBX_E_NOT_DIR);
    assert_int_equal(get(&p, "none", "down"), SBX_E_NOT_FOUND);
    assert_int_equal(sbx_get_tree(p.box, "t", "", NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_put_tree(p.box, "", "t", NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(put(&p, "none", "up"), SBX_E_NOT_FOUND);
    assert_int_equal(put(&p, "file", "up"), SBX_E_NOT_DIR);
    run_shell(&p, "test ! -e down && test ! -e no");
    nothing_left(&p);
    place_close(&p);
}

static void tree_up_refuses_special_files_by_name(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    run_shell(&p, "mkdir -p src/sub && mkfifo src/sub/pipe");
    assert_int_equal(put(&p, "src", "up"), SBX_E_BAD_PATH);
    unit_assert_contains(p.error.message, "sub/pipe");
    place_close(&p);
}

/* Files of /proc say that they are empty, and are not: that is what a file that grew looks like. */
static void file_that_changes_while_it_is_read_is_an_error(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    assert_int_equal(sbx_put_tree(p.box, "/proc/self/fdinfo", "up", NULL, &p.error), SBX_E_FAILED);
    unit_assert_contains(p.error.message, "changed while it was read");
    place_close(&p);
}

static void tar_streams_pass_through(void **state)
{
    (void)state;
    struct place p;
    char path[160];
    place_open(&p, "direct", NULL);
    run_shell(&p, "mkdir -p box1/t && echo x >box1/t/f");
    host(&p, "t.tar", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const struct sbx_transfer_options o = {.size = sizeof o, .flags = SBX_TRANSFER_FD, .fd = fd};
    ok(&p, sbx_get_tar(p.box, "t", &o, NULL, &p.error));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    ok(&p, sbx_put_tar(p.box, "again", &o, NULL, &p.error));
    run_shell(&p, "diff -r box1/t box1/again");
    close(fd);
    place_close(&p);
}

/* KiB */
static long memory_peak(void)
{
    char line[128];
    long value = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            value = strtol(line + 6, NULL, 10);
    if (status != NULL)
        (void)fclose(status);
    return value;
}

static void big_tree_travels_in_bounded_memory(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    run_shell(&p, "mkdir src && head -c 100000000 /dev/zero >src/big");
    long before = memory_peak();
    ok(&p, put(&p, "src", "up"));
    ok(&p, get(&p, "up", "down"));
    long peak = memory_peak();
    run_shell(&p, "cmp src/big down/big");
    assert_true(before > 0 && peak > 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(peak - before < 16 * 1024);
#endif
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(tree_goes_up_as_it_is),
    UNIT(tree_comes_down_as_it_is),
    UNIT(tree_down_goes_over_what_is_there),
    UNIT(tree_down_changes_nothing_when_a_kind_differs),
    UNIT(tree_down_names_what_is_wrong_on_this_machine),
    UNIT(tree_up_refuses_special_files_by_name),
    UNIT(file_that_changes_while_it_is_read_is_an_error),
    UNIT(tar_streams_pass_through),
    UNIT(big_tree_travels_in_bounded_memory),
};
UNIT_MAIN(tests)
