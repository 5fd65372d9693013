/* SPDX-License-Identifier: MIT
 *
 * unit.h - what the unit tests share: one cmocka test by name, skips with a reason, a private folder.
 */
#ifndef SBX_TESTS_UNIT_H
#define SBX_TESTS_UNIT_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int unit_skipped;

#define UNIT(test) cmocka_unit_test(test)
#define UNIT_SKIP(reason)                                                                                              \
    do {                                                                                                               \
        printf("SKIP: %s\n", reason);                                                                                  \
        unit_skipped = 1;                                                                                              \
        skip();                                                                                                        \
    } while (0)
/* All tests, or the one whose name is given. 0, 1 or 77. */
static inline int unit_main(const struct CMUnitTest *tests, size_t count, int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int failed = _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
    return failed != 0 ? 1 : unit_skipped ? 77 : 0;
}
#define UNIT_MAIN(tests)                                                                                               \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return unit_main(tests, sizeof(tests) / sizeof(tests)[0], argc, argv);                                         \
    }

static inline int unit_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* A fresh folder; gone again with unit_remove_folder. */
static inline void unit_make_folder(char path[64])
{
    (void)snprintf(path, 64, "/tmp/sbx-unit-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static inline void unit_remove_folder(const char *path)
{
    assert_int_equal(nftw(path, unit_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void unit_write(const char *path, const void *data, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline void unit_copy(const char *from, const char *to, mode_t mode)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    char *data = malloc((size_t)st.st_size);
    assert_non_null(data);
    assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
    close(fd);
    unit_write(to, data, (size_t)st.st_size, mode);
    free(data);
}

static inline void unit_assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("expected '%s' in '%s'", part, text);
}

#endif /* SBX_TESTS_UNIT_H */
