/* SPDX-License-Identifier: MIT
 *
 * cmd_files.c - sbxctl files: the file tools of libsbx, which work in every image. What a sandbox holds is printed byte
 * for byte unless a terminal reads it.
 */
#include "host/cmd_files.h"
#include "host/cmd_columns.h"

#include "base/cleanup.h"
#include "sbx_tools.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define CLEANUP_FOUND CLEANUP(cleanup_found)

static void cleanup_found(sbx_found **found)
{
    sbx_found_free(*found);
}

int files_fail(struct cmd *c, const sbx_sandbox *box, const char *path, const struct sbx_error *error)
{
    CLEANUP_FREE char *subject = NULL;
    if (error->code == SBX_E_STOPPED)
        return EXIT_SIGNAL + SIGPIPE;
    if (asprintf(&subject, "%s:%s", sbx_id(box), path) < 0) {
        subject = NULL;
        return cmd_no_memory(c);
    }
    return cmd_fail(c, subject, error);
}

void files_json(struct json *j, const sbx_sandbox *box, const char *path)
{
    json_init(j);
    json_flag(j, j->root, "ok", 1);
    json_text(j, j->root, "id", sbx_id(box));
    json_text(j, j->root, "path", path);
}

void files_print(const char *text, size_t len)
{
    const char *end = text + len;
    if (isatty(1) != 1) {
        (void)fwrite(text, 1, len, stdout);
        return;
    }
    while (text < end) {
        size_t piece = strnlen(text, (size_t)(end - text));
        char part[256];
        if (piece >= sizeof part) /* the two bytes of a control character stay together */
            piece = sizeof part - (text[sizeof part - 2] == '\xc2' ? 2 : 1);
        (void)snprintf(part, sizeof part, "%.*s", (int)piece, text);
        print_safe(stdout, part);
        if (piece == 0)
            (void)fputc('?', stdout);
        text += piece == 0 ? 1 : strlen(part);
    }
}

/* The optional word behind the id, or the sandbox's working directory. */
static const char *directory_of(const struct cmd *c, size_t word)
{
    return c->arg_count > word ? c->args[word] : ".";
}

/* The word of a table, and that of JSON. */
static const char *type_word(uint32_t type, int is_long)
{
    static const char *const words[][2] = {[SBX_FILE_UNKNOWN] = {"?", "unknown"},
                                           [SBX_FILE_REGULAR] = {"file", "file"},
                                           [SBX_FILE_DIRECTORY] = {"dir", "directory"},
                                           [SBX_FILE_SYMLINK] = {"link", "symlink"},
                                           [SBX_FILE_OTHER] = {"other", "other"}};
    return words[type < sizeof words / sizeof words[0] ? type : SBX_FILE_UNKNOWN][is_long];
}

/* --- ls and glob -------------------------------------------------------------------------------------------------- */

static int print_entries_json(struct cmd *c, struct json *j, const sbx_found *found)
{
    size_t count = 0;
    const struct sbx_found_entry *entries = sbx_found_entries(found, &count);
    struct cJSON *items = json_array(j, j->root, "entries");
    for (size_t i = 0; i < count; i++) {
        struct cJSON *item = json_push_object(j, items);
        json_bytes(j, item, "path", entries[i].path, strlen(entries[i].path));
        json_flag(j, item, "is_dir", entries[i].is_dir != 0);
        json_text(j, item, "type", type_word(entries[i].type, 1));
        json_number(j, item, "bytes", (double)entries[i].bytes);
        json_time(j, item, "modified", entries[i].mtime_ms);
    }
    json_flag(j, j->root, "truncated", sbx_found_truncated(found) != 0);
    return json_print(c, j, EXIT_FINE);
}

static void print_paths(const sbx_found *found)
{
    size_t count = 0;
    const struct sbx_found_entry *entries = sbx_found_entries(found, &count);
    for (size_t i = 0; i < count; i++) {
        files_print(entries[i].path, strlen(entries[i].path));
        (void)fputc('\n', stdout);
    }
}

static int print_listing(struct cmd *c, const sbx_found *found)
{
    CLEANUP_TABLE struct table table;
    size_t count = 0;
    const struct sbx_found_entry *entries = sbx_found_entries(found, &count);
    table_init(&table, 4);
    for (size_t i = 0; i < count; i++) {
        char bytes[24];
        char time[32];
        (void)snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)entries[i].bytes);
        time_text(entries[i].mtime_ms, time, sizeof time);
        table_cell(&table, type_word(entries[i].type, 0));
        table_cell(&table, bytes);
        table_cell(&table, time);
        table_cell(&table, entries[i].path);
    }
    return table_print(&table, stdout) == 0 ? EXIT_FINE : cmd_no_memory(c);
}

static int files_ls(struct cmd *c, sbx_sandbox *box)
{
    CLEANUP_FOUND sbx_found *found = NULL;
    struct sbx_error error = SBX_INIT(error);
    const char *dir = directory_of(c, 2);
    struct json j;
    if (sbx_tool_ls(box, dir, &c->call, &found, &error) != SBX_OK)
        return files_fail(c, box, dir, &error);
    if (cmd_has(c, OPT_JSON)) {
        files_json(&j, box, dir);
        return print_entries_json(c, &j, found);
    }
    if (!cmd_has(c, OPT_QUIET))
        return print_listing(c, found);
    print_paths(found);
    return EXIT_FINE;
}

static void note_truncated(const struct cmd *c, const sbx_sandbox *box, const sbx_found *found)
{
    if (sbx_found_truncated(found) != 0)
        cmd_note(c, sbx_id(box), "there is more than what is shown");
}

static int files_glob(struct cmd *c, sbx_sandbox *box)
{
    CLEANUP_FOUND sbx_found *found = NULL;
    struct sbx_error error = SBX_INIT(error);
    const char *dir = directory_of(c, 3);
    struct json j;
    if (sbx_tool_glob(box, dir, c->args[2], &c->call, &found, &error) != SBX_OK)
        return files_fail(c, box, dir, &error);
    if (cmd_has(c, OPT_JSON)) {
        files_json(&j, box, dir);
        return print_entries_json(c, &j, found);
    }
    print_paths(found);
    note_truncated(c, box, found);
    return EXIT_FINE;
}

/* --- grep --------------------------------------------------------------------------------------------------------- */

static int files_grep_check(struct cmd *c)
{
    uint64_t count = 1;
    int code = value_number(c, OPT_MAX_COUNT, "lines", &count);
    return code == 0 && count == 0 ? cmd_usage(c, "--max-count: '0' finds nothing; write at least 1") : code;
}

static int print_matches_json(struct cmd *c, struct json *j, const sbx_found *found)
{
    size_t count = 0;
    const struct sbx_found_match *matches = sbx_found_matches(found, &count);
    struct cJSON *items = json_array(j, j->root, "matches");
    for (size_t i = 0; i < count; i++) {
        struct cJSON *item = json_push_object(j, items);
        json_bytes(j, item, "path", matches[i].path, strlen(matches[i].path));
        json_number(j, item, "line", (double)matches[i].line);
        json_bytes(j, item, "text", matches[i].text, matches[i].text_len);
    }
    json_flag(j, j->root, "truncated", sbx_found_truncated(found) != 0);
    return json_print(c, j, EXIT_FINE);
}

static int files_grep(struct cmd *c, sbx_sandbox *box)
{
    CLEANUP_FOUND sbx_found *found = NULL;
    struct sbx_error error = SBX_INIT(error);
    const char *dir = directory_of(c, 3);
    uint64_t most = 0;
    size_t count = 0;
    struct json j;
    (void)value_number(c, OPT_MAX_COUNT, "lines", &most);
    if (sbx_tool_grep(box, dir, c->args[2], c->value[OPT_INCLUDE], most, &c->call, &found, &error) != SBX_OK)
        return files_fail(c, box, dir, &error);
    if (cmd_has(c, OPT_JSON)) {
        files_json(&j, box, dir);
        return print_matches_json(c, &j, found);
    }
    const struct sbx_found_match *matches = sbx_found_matches(found, &count);
    for (size_t i = 0; i < count; i++) {
        files_print(matches[i].path, strlen(matches[i].path));
        (void)printf(":%llu:", (unsigned long long)matches[i].line);
        files_print(matches[i].text, matches[i].text_len);
        (void)fputc('\n', stdout);
    }
    note_truncated(c, box, found);
    return EXIT_FINE;
}

/* --- write -------------------------------------------------------------------------------------------------------- */

static int files_write(struct cmd *c, sbx_sandbox *box)
{
    struct sbx_error error = SBX_INIT(error);
    const struct sbx_transfer_options how = {.size = sizeof how, .flags = SBX_WRITE_PARENTS | SBX_TRANSFER_FD, .fd = 0};
    struct json j;
    if (sbx_write_file(box, c->args[2], &how, &c->call, &error) != SBX_OK)
        return files_fail(c, box, c->args[2], &error);
    if (!cmd_has(c, OPT_JSON))
        return EXIT_FINE;
    files_json(&j, box, c->args[2]);
    return json_print(c, &j, EXIT_FINE);
}

#define CAT_BITS (OPTION_BIT(OPT_OFFSET) | OPTION_BIT(OPT_LIMIT))
#define EDIT_BITS                                                                                                      \
    (OPTION_BIT(OPT_OLD) | OPTION_BIT(OPT_OLD_FILE) | OPTION_BIT(OPT_NEW) | OPTION_BIT(OPT_NEW_FILE) |                 \
     OPTION_BIT(OPT_EVERY))
#define GREP_BITS (OPTION_BIT(OPT_INCLUDE) | OPTION_BIT(OPT_MAX_COUNT))
static const struct cmd_action actions[] = {
    {"ls", "ID [DIRECTORY]", 2, 3, 0, NULL, files_ls},
    {"cat", "ID PATH", 3, 3, CAT_BITS, files_cat_check, files_cat},
    {"write", "ID PATH", 3, 3, 0, NULL, files_write},
    {"edit", "ID PATH", 3, 3, EDIT_BITS, files_edit_check, files_edit},
    {"grep", "ID TEXT [PATH]", 3, 4, GREP_BITS, files_grep_check, files_grep},
    {"glob", "ID PATTERN [DIRECTORY]", 3, 4, 0, NULL, files_glob},
};

int cmd_files(struct cmd *c)
{
    return action_run(c, actions, sizeof actions / sizeof actions[0], GROUP_FILES);
}
