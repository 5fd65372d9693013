/* SPDX-License-Identifier: MIT
 *
 * cmd_columns.c - see cmd_columns.h.
 */
#include "host/cmd_columns.h"

#include "host/cmd.h"

#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, size_t columns)
{
    *t = (struct table){.columns = columns};
}

void table_finish(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){.columns = t->columns};
}

void table_cell(struct table *t, const char *text)
{
    char *copy = strdup(text == NULL ? "" : text);
    char **more = copy == NULL ? NULL : realloc(t->cells, (t->count + 1) * sizeof *more);
    if (more == NULL) {
        free(copy);
        t->failed = 1;
        return;
    }
    t->cells = more;
    more[t->count++] = copy;
}

/* Characters, not bytes; one column each is near enough for names. */
static size_t width(const char *text)
{
    size_t count = 0;
    for (; *text != 0; text++)
        count += ((unsigned char)*text & 0xc0u) != 0x80u;
    return count;
}

int table_print(const struct table *t, FILE *out)
{
    for (size_t i = 0; i < t->count && !t->failed; i++) {
        size_t column = i % t->columns, widest = 0;
        print_safe(out, t->cells[i]);
        if (column == t->columns - 1) {
            (void)fputc('\n', out);
            continue;
        }
        for (size_t k = column; k < t->count; k += t->columns)
            if (width(t->cells[k]) > widest)
                widest = width(t->cells[k]);
        (void)fprintf(out, "%*s", (int)(widest - width(t->cells[i])) + 2, "");
    }
    return t->failed ? -1 : 0;
}
