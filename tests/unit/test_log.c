/* SPDX-License-Identifier: MIT
 *
 * test_log.c - levels, masking of secrets, many threads.
 */
#include "host/log.h"

#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

struct seen {
    char last[20000];
    char where[64];
    int32_t level;
    int lines;
};

static void keep(void *user, int32_t level, const char *where, const char *message)
{
    struct seen *seen = user;
    (void)snprintf(seen->last, sizeof seen->last, "%s", message);
    (void)snprintf(seen->where, sizeof seen->where, "%s", where);
    seen->level = level;
    seen->lines++;
}

static void log_drops_lines_below_its_level(void **state)
{
    (void)state;
    struct seen seen = {.lines = 0};
    struct log *log = log_create(keep, &seen, SBX_LOG_WARN);
    log_line(log, SBX_LOG_INFO, "a", "no");
    assert_int_equal(seen.lines, 0);
    log_line(log, SBX_LOG_ERROR, "a", "yes %d", 1);
    assert_int_equal(seen.lines, 1);
    assert_string_equal(seen.last, "yes 1");
    assert_string_equal(seen.where, "a");
    assert_int_equal(seen.level, SBX_LOG_ERROR);
    log_set_level(log, SBX_LOG_DEBUG);
    log_line(log, SBX_LOG_DEBUG, NULL, "now");
    assert_string_equal(seen.where, "sbx");
    log_destroy(log);
    log_destroy(NULL);
    log_line(NULL, SBX_LOG_ERROR, "a", "nowhere");
}

static void log_masks_every_secret_everywhere(void **state)
{
    (void)state;
    struct seen seen = {.lines = 0};
    struct log *log = log_create(keep, &seen, SBX_LOG_DEBUG);
    assert_int_equal(log_add_secret(log, "hunter2"), 0);
    assert_int_equal(log_add_secret(log, "hunter2-long"), 0);
    assert_int_equal(log_add_secret(log, "hunter2"), 0);
    log_line(log, SBX_LOG_INFO, "x", "hunter2 hunter2-long;hunter2hunter2 hunter3");
    assert_string_equal(seen.last, "*** ***;****** hunter3");
    /* The same in the middle of a line that is longer than any fixed buffer. */
    char line[9000];
    memset(line, 'a', sizeof line);
    memcpy(line + 7000, "hunter2-long", 12);
    line[sizeof line - 1] = '\0';
    log_line(log, SBX_LOG_INFO, "x", "%s", line);
    assert_null(strstr(seen.last, "hunter2"));
    assert_int_equal(strlen(seen.last), sizeof line - 1 - 9);
    log_destroy(log);
}

static void log_masks_a_secret_that_was_cut(void **state)
{
    (void)state;
    struct log *log = log_create(NULL, NULL, SBX_LOG_DEBUG);
    assert_int_equal(log_add_secret(log, "sk-0123456789abcdef"), 0);
    char text[] = "key sk-0123456789abc";
    log_mask(log, text);
    assert_string_equal(text, "key ***");
    /* A few bytes that happen to be its beginning are nobody's secret. */
    char other[] = "key sk-0";
    log_mask(log, other);
    assert_string_equal(other, "key sk-0");
    log_destroy(log);
}

static void log_masks_no_text_of_under_four_bytes(void **state)
{
    (void)state;
    struct log *log = log_create(NULL, NULL, SBX_LOG_DEBUG);
    assert_int_equal(log_add_secret(log, "abc"), 0);
    assert_int_equal(log_add_secret(log, ""), 0);
    char text[] = "abcd";
    log_mask(log, text);
    assert_string_equal(text, "abcd");
    log_destroy(log);
}

static void log_line_stays_one_line(void **state)
{
    (void)state;
    struct seen seen = {.lines = 0};
    struct log *log = log_create(keep, &seen, SBX_LOG_DEBUG);
    log_line(log, SBX_LOG_INFO, "x", "a\nb\r\x1b[2Jc\x7f\xff");
    assert_string_equal(seen.last, "a?b??[2Jc??");
    char *huge = malloc(1 << 20);
    assert_non_null(huge);
    memset(huge, 'z', (1 << 20) - 1);
    huge[(1 << 20) - 1] = '\0';
    log_line(log, SBX_LOG_INFO, "x", "%s", huge);
    assert_int_equal(strlen(seen.last), 16383);
    free(huge);
    log_destroy(log);
}

struct crowd {
    struct log *log;
    int number;
};

static void count(void *user, int32_t level, const char *where, const char *message)
{
    (void)level, (void)where;
    assert_null(strstr(message, "open-secret"));
    atomic_fetch_add((atomic_int *)user, 1);
}

static void *talk(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < 200; i++) {
        char secret[32];
        (void)snprintf(secret, sizeof secret, "secret-%d-%d", crowd->number, i % 10);
        if (log_add_secret(crowd->log, secret) != 0)
            return arg;
        log_line(crowd->log, SBX_LOG_INFO, "x", "%s open-secret", secret);
        log_set_level(crowd->log, SBX_LOG_INFO);
    }
    return NULL;
}

static void log_takes_lines_and_secrets_from_many_threads(void **state)
{
    (void)state;
    atomic_int lines = 0;
    struct log *log = log_create(count, &lines, SBX_LOG_INFO);
    assert_int_equal(log_add_secret(log, "open-secret"), 0);
    pthread_t threads[8];
    struct crowd crowd[8];
    for (int i = 0; i < 8; i++) {
        crowd[i] = (struct crowd){log, i};
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &crowd[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(atomic_load(&lines), 1600);
    log_destroy(log);
}

static const struct CMUnitTest tests[] = {
    UNIT(log_drops_lines_below_its_level), UNIT(log_masks_every_secret_everywhere),
    UNIT(log_masks_a_secret_that_was_cut), UNIT(log_masks_no_text_of_under_four_bytes),
    UNIT(log_line_stays_one_line),         UNIT(log_takes_lines_and_secrets_from_many_threads),
};
UNIT_MAIN(tests)
