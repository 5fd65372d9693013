/* SPDX-License-Identifier: MIT
 *
 * config_file.c - one INI file into sections and pairs; the only user of inih. inih cuts long lines, takes a directory
 * for an empty file and lets the rest of a line pass after a NUL or a section's name, so every line is checked here
 * first. Bad lines are reported and blanked, so that one run reports the problems of the others too.
 */
#include "host/config_parts.h"

#include "base/cleanup.h"
#include "host/loader.h"

#include <fcntl.h>
#include <ini.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILE_MAX = 1 << 20,
    LINE_MAX_BYTES = 65536,
    SECTION_MAX = 48, /* inih has room for 49 and says nothing when a name is longer */
    KEY_MAX = 64,
    BAD_SECTION = 1 /* the byte that a bad section line begins with after the check: no good line can */
};

struct text {
    char *data; /* NUL-terminated */
    size_t len;
    size_t longest; /* line */
    size_t pairs;
};

static void text_finish(struct text *text)
{
    if (text->data != NULL)
        explicit_bzero(text->data, text->len);
    free(text->data);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* What is wrong with the file as a whole, or NULL. */
static const char *stat_problem(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return "is a directory; expected a file";
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if ((st->st_mode & S_IWOTH) != 0)
        return "may be written by everybody; mend it with chmod o-w";
    if (st->st_size > FILE_MAX)
        return "is larger than 1 MiB";
    return NULL;
}

/* 0, or an errno. The file may grow while it is read: one byte over the limit tells. */
static int read_all(int fd, struct text *text)
{
    text->data = calloc(1, FILE_MAX + 2);
    if (text->data == NULL)
        return ENOMEM;
    while (text->len <= FILE_MAX) {
        ssize_t n = read(fd, text->data + text->len, FILE_MAX + 1 - text->len);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            text->len += (size_t)n;
    }
    return EFBIG;
}

/* 1: text is filled and *is_private set; 0: no such file; -1: a finding was added. */
static int file_open(const char *path, struct findings *findings, struct text *text, int *is_private)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        finding_add(findings, path, 0, NULL, "cannot be read: %s", strerrordesc_np(errno));
        return -1;
    }
    const char *problem = stat_problem(&st);
    int why = problem == NULL ? read_all(fd, text) : 0;
    if (why == ENOMEM)
        findings->no_memory = 1;
    else if (why == EFBIG)
        problem = "is larger than 1 MiB";
    else if (why != 0)
        problem = strerrordesc_np(why);
    if (problem != NULL)
        finding_add(findings, path, 0, NULL, "%s", problem);
    *is_private = (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    return problem == NULL && !findings->no_memory ? 1 : -1;
}

/* --- checking lines --------------------------------------------------------------------------------------------- */

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t trimmed(const char *line, size_t len)
{
    while (len > 0 && is_blank(line[len - 1]))
        len--;
    return len;
}

static int control_at(const char *line, size_t len, unsigned *byte)
{
    for (size_t i = 0; i < len; i++) {
        *byte = (unsigned char)line[i];
        if ((*byte < 0x20 && *byte != '\t') || *byte == 0x7f)
            return 1;
    }
    return 0;
}

static const char *section_problem(const char *line, size_t len)
{
    const char *end = memchr(line, ']', len);
    if (end == NULL)
        return "section without its ']'; expected [sbx], [provider NAME] or [route NAME]";
    if (end != line + len - 1)
        return "text after a section's ']'";
    if (len == 2)
        return "section without a name; expected [sbx], [provider NAME] or [route NAME]";
    if (len - 2 > SECTION_MAX)
        return "section name longer than 48 bytes";
    return memchr(line + 1, '[', len - 1) != NULL ? "'[' in a section's name" : NULL;
}

static const char *pair_problem(const char *line, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    const char *equals = memchr(line, '=', len);
    if (equals == NULL)
        return "no '=' in this line; expected key = value";
    size_t key_len = trimmed(line, (size_t)(equals - line));
    if (key_len == 0)
        return "no key before '='; expected key = value";
    if (key_len > KEY_MAX)
        return "key longer than 64 bytes";
    for (size_t i = 0; i < key_len; i++)
        if (strchr(allowed, line[i]) == NULL)
            return "bad key; expected letters, digits, '_', '-' and '.' before '='";
    const char *value = equals + 1;
    size_t value_len = len - (size_t)(value - line);
    while (value_len > 0 && is_blank(*value)) {
        value++;
        value_len--;
    }
    if (value_len == 0)
        return "no value after '='; leave the line out to get the default";
    if (value_len >= 2 && value[0] == value[value_len - 1] && (value[0] == '"' || value[0] == '\''))
        return "quotes around a value are not removed; write it without them";
    return NULL;
}

/* What is wrong with a line, or NULL; *is_pair: it is a good pair. */
static const char *line_problem(const char *line, size_t len, int *is_pair)
{
    if (len > LINE_MAX_BYTES)
        return "line longer than 64 KiB";
    len = trimmed(line, len);
    size_t indent = 0;
    while (indent < len && is_blank(line[indent]))
        indent++;
    if (indent == len || line[indent] == '#' || line[indent] == ';')
        return NULL;
    if (indent > 0)
        return "indented line; expected key = value at the line's beginning (values do not go on)";
    if (line[0] == '[')
        return section_problem(line, len);
    const char *problem = pair_problem(line, len);
    *is_pair = problem == NULL;
    return problem;
}

static void check_line(const char *path, uint32_t number, char *line, size_t len, struct text *text,
                       struct findings *findings)
{
    unsigned byte = 0;
    int is_pair = 0, is_section = len > 0 && line[0] == '[';
    if (len > 0 && line[len - 1] == '\r')
        line[--len] = ' ';
    const char *problem = line_problem(line, len, &is_pair);
    if (control_at(line, len, &byte)) {
        finding_add(findings, path, number, NULL, "control byte 0x%02x in the line; expected plain text", byte);
        problem = "";
        is_pair = 0;
    } else if (problem != NULL) {
        finding_add(findings, path, number, NULL, "%s", problem);
    }
    text->pairs += (size_t)is_pair;
    if (problem == NULL && (is_pair || is_section))
        return;
    /* Comments as well: what begins one is a variable of inih. */
    memset(line, ' ', len);
    if (is_section)
        line[0] = BAD_SECTION;
}

/* 0, or -1 when nothing in the file can be read as lines. */
static int check_lines(const char *path, struct text *text, struct findings *findings)
{
    if (text->len >= 2 && (memcmp(text->data, "\xff\xfe", 2) == 0 || memcmp(text->data, "\xfe\xff", 2) == 0)) {
        finding_add(findings, path, 1, NULL, "is UTF-16; expected UTF-8");
        return -1;
    }
    /* Some editors put a mark before UTF-8 text; it means nothing. */
    if (text->len >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0) {
        text->len -= 3;
        memmove(text->data, text->data + 3, text->len + 1);
    }
    uint32_t number = 0;
    for (size_t at = 0; at < text->len;) {
        char *line = text->data + at;
        const char *end = memchr(line, '\n', text->len - at);
        size_t len = end == NULL ? text->len - at : (size_t)(end - line);
        if (len > text->longest)
            text->longest = len;
        check_line(path, ++number, line, len, text, findings);
        at += len + 1;
    }
    return 0;
}

/* --- inih ------------------------------------------------------------------------------------------------------- */

struct reader {
    const char *path;
    const struct text *text;
    struct findings *findings;
    const struct config_sink *sink;
    size_t at;
    size_t pairs;
    uint32_t line;
    int skip; /* after a bad section line, of which inih saw nothing */
    char section[SECTION_MAX + 1];
};

static void begin_section(struct reader *reader, const char *line, size_t len)
{
    reader->skip = line[0] == BAD_SECTION;
    if (reader->skip) {
        reader->sink->section(reader->sink->user, NULL, reader->line);
        return;
    }
    len = trimmed(line, len);
    size_t name_len = len >= 2 && len - 2 <= SECTION_MAX ? len - 2 : 0;
    memcpy(reader->section, line + 1, name_len);
    reader->section[name_len] = '\0';
    reader->sink->section(reader->sink->user, reader->section, reader->line);
}

/* inih asks for a line at a time, in a buffer that has room for the longest; so the handler's line is known. */
static char *next_line(char *str, int num, void *stream)
{
    struct reader *reader = stream;
    size_t room = (size_t)num, left = reader->text->len - reader->at;
    if (left == 0) {
        explicit_bzero(str, room); /* it held secrets, and inih frees it as it is */
        return NULL;
    }
    const char *line = reader->text->data + reader->at;
    const char *end = memchr(line, '\n', left);
    size_t len = end == NULL ? left : (size_t)(end - line);
    reader->at += end == NULL ? len : len + 1;
    reader->line++;
    if (len >= room)
        len = 0;
    if (len > 0 && (line[0] == '[' || line[0] == BAD_SECTION))
        begin_section(reader, line, len);
    memcpy(str, line, len);
    if (len > 0 && str[0] == BAD_SECTION)
        str[0] = ' ';
    str[len] = '\0';
    return str;
}

static int handle(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    reader->pairs++;
    if (reader->skip)
        return 1;
    if (strcmp(section, reader->section) != 0)
        finding_add(reader->findings, reader->path, reader->line, NULL, "line that can be read in two ways");
    else
        reader->sink->pair(reader->sink->user, name, value, reader->line);
    return 1;
}

/* inih is tuned by exported variables, which are the whole process's: set and put back under the process's lock. */
static int parse(struct reader *reader)
{
    loader_lock();
    const bool stack = ini_use_stack, allow_realloc = ini_allow_realloc, stop = ini_stop_on_first_error;
    const bool comments = ini_allow_inline_comments, multiline = ini_allow_multiline, no_value = ini_allow_no_value;
    const int max_line = ini_max_line, initial = ini_initial_alloc;
    ini_use_stack = false;
    ini_allow_realloc = true;
    ini_stop_on_first_error = true;
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_allow_no_value = false;
    ini_max_line = FILE_MAX;
    /* Room for every line at once: a buffer that grows would leave unwiped copies. */
    ini_initial_alloc = (int)reader->text->longest + 8;
    int result = ini_parse_stream(next_line, reader, handle, reader);
    ini_use_stack = stack;
    ini_allow_realloc = allow_realloc;
    ini_stop_on_first_error = stop;
    ini_allow_inline_comments = comments;
    ini_allow_multiline = multiline;
    ini_allow_no_value = no_value;
    ini_max_line = max_line;
    ini_initial_alloc = initial;
    loader_unlock();
    return result;
}

int config_file_read(const char *path, struct findings *findings, const struct config_sink *sink)
{
    CLEANUP(text_finish) struct text text = {.data = NULL};
    int is_private = 0;
    int found = file_open(path, findings, &text, &is_private);
    if (found != 1)
        return found != 0;
    sink->begin(sink->user, is_private);
    if (check_lines(path, &text, findings) != 0)
        return 1;
    struct reader reader = {.path = path, .text = &text, .findings = findings, .sink = sink};
    int result = parse(&reader);
    if (result == -2)
        findings->no_memory = 1;
    else if (result != 0)
        finding_add(findings, path, (uint32_t)result, NULL, "expected key = value");
    else if (reader.pairs != text.pairs)
        finding_add(findings, path, 0, NULL, "has lines that can be read in two ways");
    return 1;
}
