/* SPDX-License-Identifier: MIT */
#include "host/tape.h"

#include "base/parse.h"

#include <inttypes.h>
#include <string.h>

/* --- writing ---------------------------------------------------------------------------------------------------- */

static int is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '%';
}

void tape_put_more(struct buf *line, const void *data, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *bytes = data;
    char *to = buf_space(line, 3 * len);
    size_t n = 0;
    if (to == NULL)
        return;
    for (size_t i = 0; i < len; i++) {
        if (is_plain(bytes[i])) {
            to[n++] = (char)bytes[i];
            continue;
        }
        to[n++] = '%';
        to[n++] = digits[bytes[i] >> 4];
        to[n++] = digits[bytes[i] & 15];
    }
    line->len += n;
    to[n] = '\0';
}

void tape_put_data(struct buf *line, const void *data, size_t len)
{
    int is_dash = len == 1 && *(const char *)data == '-';
    (void)buf_text(line, len == 0 ? " %" : is_dash ? " %2D" : " ");
    if (len > 0 && !is_dash)
        tape_put_more(line, data, len);
}

void tape_put_text(struct buf *line, const char *text)
{
    if (text == NULL)
        (void)buf_text(line, " -");
    else
        tape_put_data(line, text, strlen(text));
}

void tape_put_number(struct buf *line, int64_t number)
{
    (void)buf_format(line, " %" PRId64, number);
}

void tape_put_labels(struct buf *line, const struct sbx_kvs *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->items[i].key == NULL || strncmp(labels->items[i].key, "sbx.", 4) == 0)
            continue;
        tape_put_text(line, labels->items[i].key);
        tape_put_text(line, labels->items[i].value);
    }
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* The next word, ended by a NUL; NULL at the line's end. */
static char *next(struct tape_words *words)
{
    char *word = words->at;
    if (*word == '\0')
        return NULL;
    words->at += strcspn(word, " ");
    if (*words->at == ' ')
        *words->at++ = '\0';
    return word;
}

static int decode(char *word, size_t *len)
{
    size_t n = 0;
    if (strcmp(word, "%") == 0)
        *word = '\0';
    for (const char *at = word; *at != '\0'; at++) {
        if (*at != '%') {
            word[n++] = *at;
            continue;
        }
        int high = digit(at[1]);
        int low = high < 0 ? -1 : digit(at[2]);
        if (low < 0)
            return -1;
        word[n++] = (char)(high << 4 | low);
        at += 2;
    }
    word[n] = '\0';
    *len = n;
    return 0;
}

int tape_data(struct tape_words *words, char **data, size_t *len)
{
    *data = next(words);
    return *data == NULL ? -1 : decode(*data, len);
}

int tape_text(struct tape_words *words, const char **text)
{
    char *word = next(words);
    size_t len = 0;
    if (word == NULL)
        return -1;
    *text = strcmp(word, "-") == 0 ? NULL : word;
    return *text == NULL || (decode(word, &len) == 0 && strlen(word) == len) ? 0 : -1;
}

int tape_number(struct tape_words *words, int64_t *number)
{
    const char *word = next(words);
    return word == NULL ? -1 : parse_int(word, number);
}

int tape_word32(struct tape_words *words, uint32_t *number)
{
    int64_t wide = 0;
    if (tape_number(words, &wide) != 0 || wide < INT32_MIN || wide > UINT32_MAX)
        return -1;
    *number = (uint32_t)wide;
    return 0;
}

int tape_labels(struct tape_words *words, struct sbx_kv items[TAPE_KVS_MAX], struct sbx_kvs *out)
{
    size_t count = 0;
    while (*words->at != '\0') {
        if (count == TAPE_KVS_MAX || tape_text(words, &items[count].key) != 0 ||
            tape_text(words, &items[count].value) != 0 || items[count].key == NULL || items[count].value == NULL)
            return -1;
        count++;
    }
    *out = (struct sbx_kvs){items, count};
    return 0;
}

int tape_has(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
        if (at > words && at[-1] == ' ' && (at[len] == ' ' || at[len] == '\0'))
            return 1;
    return 0;
}
