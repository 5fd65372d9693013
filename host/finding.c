/* SPDX-License-Identifier: MIT
 *
 * finding.c - reporting problems of a configuration, and the word that was probably meant.
 */
#include "host/finding.h"

#include "base/text.h"
#include "host/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FINDINGS_MAX = 100, WORD_MAX = 64 };

static void report(struct findings *findings, const char *file, uint32_t line, const char *nearest, const char *message)
{
    if (findings->report == NULL)
        return;
    struct sbx_finding finding = {
        .size = sizeof finding, .line = line, .file = file, .message = message, .nearest = nearest};
    findings->report(findings->user, &finding);
}

void finding_add(struct findings *findings, const char *file, uint32_t line, const char *nearest, const char *format,
                 ...)
{
    findings->count++;
    if (findings->count == FINDINGS_MAX + 1)
        report(findings, file, 0, NULL, "more problems, which are not listed");
    if (findings->count > FINDINGS_MAX)
        return;
    char text[1024], message[512], where[512] = "";
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    (void)text_line(message, sizeof message, text, strlen(text));
    report(findings, file, line, nearest, message);
    if (findings->count != 1)
        return;
    if (file != NULL && line > 0)
        (void)snprintf(where, sizeof where, "%s:%u: ", file, line);
    else if (file != NULL)
        (void)snprintf(where, sizeof where, "%s: ", file);
    if (nearest != NULL)
        (void)error_set(findings->error, SBX_E_CONFIG, "%s%s; did you mean '%s'?", where, message, nearest);
    else
        (void)error_set(findings->error, SBX_E_CONFIG, "%s%s", where, message);
}

sbx_status finding_verdict(struct findings *findings)
{
    if (findings->no_memory)
        return error_no_memory(findings->error);
    return findings->count == 0 ? SBX_OK : SBX_E_CONFIG;
}

/* --- the nearest word ------------------------------------------------------------------------------------------- */

static int fold(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, exchanges and swaps of neighbours that make b of a; both at most WORD_MAX long. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t k = 0; k <= b_len; k++)
        above[k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            size_t cost = fold(a[i - 1]) != fold(b[k - 1]);
            row[k] = least(least(above[k], row[k - 1]) + 1, above[k - 1] + cost);
            if (i > 1 && k > 1 && fold(a[i - 1]) == fold(b[k - 2]) && fold(a[i - 2]) == fold(b[k - 1]))
                row[k] = least(row[k], before[k - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_len];
}

void nearest_init(struct nearest *nearest, const char *word)
{
    *nearest = (struct nearest){.word = word, .distance = SIZE_MAX};
}

void nearest_offer(struct nearest *nearest, const char *known)
{
    size_t word_len = strlen(nearest->word), known_len = strlen(known);
    if (word_len > WORD_MAX || known_len > WORD_MAX)
        return;
    size_t found = distance(nearest->word, word_len, known, known_len);
    if (found > 1 + word_len / 4 || found >= nearest->distance || found >= known_len)
        return;
    nearest->distance = found;
    (void)snprintf(nearest->best, sizeof nearest->best, "%s", known);
}

const char *nearest_best(const struct nearest *nearest)
{
    return nearest->distance == SIZE_MAX ? NULL : nearest->best;
}
