/* SPDX-License-Identifier: MIT
 *
 * runner.h - main of the cmocka programs here: `program NAME` runs the one test of that name, no argument runs all. A
 * name that no test has is a failure, so that a test registered with ctest cannot vanish unseen.
 */
#ifndef SBX_TESTS_COMMON_RUNNER_H
#define SBX_TESTS_COMMON_RUNNER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define RUN_TESTS(tests, argc, argv)                                                                                   \
    ((argc) > 1 && !runner_select((tests), sizeof(tests) / sizeof((tests)[0]), (argv)[1])                              \
         ? 2                                                                                                           \
         : cmocka_run_group_tests((tests), NULL, NULL))

static inline int runner_select(const struct CMUnitTest *tests, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tests[i].name, name) == 0) {
            cmocka_set_test_filter(name);
            return 1;
        }
    (void)fprintf(stderr, "no test '%s' in this program\n", name);
    return 0;
}

#endif /* SBX_TESTS_COMMON_RUNNER_H */
