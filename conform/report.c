/* SPDX-License-Identifier: MIT
 *
 * report.c - verdicts as text, TAP and JSON, and the score card.
 */
#include "conform/conform.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {"pass", "FAIL", "skip"};

/* --- JSON --------------------------------------------------------------------------------------------------------- */

/* One line of printable UTF-8 as a JSON string. */
static void put_json(const char *text)
{
    char line[TEXT_SIZE];
    (void)text_line(line, sizeof line, text, strlen(text));
    (void)putchar('"');
    for (const char *c = line; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            (void)putchar('\\');
        (void)putchar(*c);
    }
    (void)putchar('"');
}

static void json_one(const struct outcome *one, size_t index)
{
    static const char *const verdicts[] = {"passed", "failed", "skipped"};
    (void)printf(
        "%s\n  {\"number\": %u, \"name\": \"%s\", \"section\": \"%s\", \"rules\": \"%s\", \"verdict\": \"%s\", "
        "\"ms\": %u, \"seed\": %llu, \"text\": ",
        index == 0 ? "" : ",", one->rule->number, one->rule->name, one->group, one->rule->cites, verdicts[one->verdict],
        one->elapsed_ms, (unsigned long long)one->seed);
    put_json(one->text);
    (void)printf("}");
}

static void json_end(const char *offers, const struct report_total *total)
{
    (void)printf("\n ],\n \"offers\": [");
    for (const char *at = offers; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        (void)printf("%s\"%.*s\"", at == offers ? "" : ", ", (int)len, at);
        at += at[len] == '\n' ? len + 1 : len;
    }
    (void)printf("],\n \"passed\": %u, \"failed\": %u, \"skipped\": %u\n}\n", total->passed, total->failed,
                 total->skipped);
}

/* --- each ----------------------------------------------------------------------------------------------------------
 */

void report_begin(int format, const struct subject *subject, size_t planned, uint64_t seed)
{
    if (format == FORMAT_TAP) {
        (void)printf("TAP version 13\n1..%zu\n", planned);
    } else if (format == FORMAT_JSON) {
        (void)printf("{\"plugin\": ");
        put_json(subject->path);
        (void)printf(", \"seed\": %llu, \"tests\": [", (unsigned long long)seed);
    }
}

static void text_one(const struct outcome *one)
{
    char line[TEXT_SIZE];
    (void)text_line(line, sizeof line, one->text, strlen(one->text));
    if (one->verdict == VERDICT_PASS)
        (void)printf("pass %u %s\n", one->rule->number, one->rule->name);
    else
        (void)printf("%s %u %s (%s): %s\n", words[one->verdict], one->rule->number, one->rule->name, one->rule->cites,
                     line);
    if (one->verdict == VERDICT_FAIL)
        (void)printf("     the rule: %s; again: --filter %u --seed %llu\n", one->rule->text, one->rule->number,
                     (unsigned long long)one->seed);
}

static void tap_one(const struct outcome *one, size_t index)
{
    char line[TEXT_SIZE];
    (void)text_line(line, sizeof line, one->text, strlen(one->text));
    (void)printf("%s %zu - %u %s%s%s\n", one->verdict == VERDICT_FAIL ? "not ok" : "ok", index + 1, one->rule->number,
                 one->rule->name, one->verdict == VERDICT_SKIP ? " # SKIP " : "",
                 one->verdict == VERDICT_SKIP ? line : "");
    if (one->verdict == VERDICT_FAIL)
        (void)printf("# %s: %s\n", one->rule->cites, line);
}

void report_one(int format, const struct outcome *outcome, size_t index)
{
    if (format == FORMAT_TEXT)
        text_one(outcome);
    else if (format == FORMAT_TAP)
        tap_one(outcome, index);
    else
        json_one(outcome, index);
    (void)fflush(stdout);
}

/* --- the end -------------------------------------------------------------------------------------------------------
 */

static void count(struct report_total *total, const struct outcome *one)
{
    total->passed += one->verdict == VERDICT_PASS;
    total->failed += one->verdict == VERDICT_FAIL;
    total->skipped += one->verdict == VERDICT_SKIP;
}

void report_end(int format, const struct subject *subject, const struct outcome *all, size_t count_of,
                const char *offers)
{
    struct report_total total = {0};
    (void)subject;
    for (size_t i = 0; i < count_of; i++)
        count(&total, &all[i]);
    if (format == FORMAT_TEXT)
        (void)printf("%u passed, %u failed, %u not offered or not possible here\n", total.passed, total.failed,
                     total.skipped);
    else if (format == FORMAT_JSON)
        json_end(offers, &total);
}

void report_card(const struct subject *subject, const struct outcome *all, size_t count_of, const char *offers)
{
    (void)printf("score card of %s\n\n  %-22s %7s %7s %12s\n", subject->path, "section", "passed", "failed",
                 "not offered");
    struct report_total sum = {0};
    for (size_t g = 0; g < rule_group_count; g++) {
        struct report_total total = {0};
        for (size_t i = 0; i < count_of; i++)
            if (strcmp(all[i].group, rule_groups[g]->name) == 0)
                count(&total, &all[i]);
        if (total.passed + total.failed + total.skipped > 0)
            (void)printf("  %-22s %7u %7u %12u\n", rule_groups[g]->name, total.passed, total.failed, total.skipped);
        sum.passed += total.passed;
        sum.failed += total.failed;
        sum.skipped += total.skipped;
    }
    (void)printf("  %-22s %7u %7u %12u\n\n  offers:", "all", sum.passed, sum.failed, sum.skipped);
    for (const char *at = offers; *at != '\0'; at++)
        (void)(at == offers || at[-1] == '\n' ? putchar(' ') : 0, *at != '\n' ? putchar(*at) : 0);
    (void)printf("%s\n", offers[0] == '\0' ? " no capability" : "");
}

void report_list(void)
{
    for (size_t g = 0; g < rule_group_count; g++)
        for (size_t i = 0; i < rule_groups[g]->count; i++) {
            const struct rule *rule = &rule_groups[g]->rules[i];
            (void)printf("%u %s (%s): %s\n", rule->number, rule->name, rule->cites, rule->text);
        }
}
