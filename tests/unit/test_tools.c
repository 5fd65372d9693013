/* SPDX-License-Identifier: MIT
 *
 * test_tools.c - the file tools, with a provider that has every file capability and with one that has none.
 */
#include "direct.h"

#include "sbx_tools.h"

static const char *const plugins[] = {"direct", "direct-bare", "direct-serial"};
#define FOR_EACH_PLUGIN(p)                                                                                             \
    for (size_t k_ = 0; k_ < sizeof plugins / sizeof plugins[0]; k_++)                                                 \
        for (int once_ = (place_open(&(p), plugins[k_], NULL), 1); once_; once_ = (place_close(&(p)), 0))

/* Runs a script in the sandbox. */
static void in_box(struct place *p, const char *script)
{
    struct sbx_exec_result result = SBX_INIT(result);
    const struct sbx_exec_options options = {.size = sizeof options, .command = script};
    assert_int_equal(sbx_exec(p->box, &options, NULL, &result, &p->error), SBX_OK);
    assert_int_equal(result.exit_code, 0);
}

static void put(struct place *p, const char *path, const char *data, size_t len)
{
    if (sbx_tool_write(p->box, path, data, len, NULL, &p->error) != SBX_OK)
        fail_msg("write: %s", p->error.message);
}

#define PUT(p, path, text) put(p, path, text, sizeof(text) - 1)

static void must_hold(struct place *p, const char *path, const char *wanted)
{
    sbx_op *op = NULL;
    size_t len = 0;
    const struct sbx_transfer_options options = {.size = sizeof options, .flags = SBX_TRANSFER_CAPTURE};
    assert_int_equal(sbx_read_file_start(p->box, path, &options, NULL, &op, &p->error), SBX_OK);
    assert_int_equal(sbx_op_finish(op, &p->error), SBX_OK);
    const char *data = sbx_op_output(op, 0, &len);
    assert_int_equal(len, strlen(wanted));
    assert_memory_equal(data, wanted, len);
    sbx_op_free(op);
}

/* --- ls ----------------------------------------------------------------------------------------------------------- */

static void ls_gives_full_paths_sorted_with_hidden_ones_and_links_that_are_no_directories(void **state)
{
    (void)state;
    struct place p;
    FOR_EACH_PLUGIN(p)
    {
        sbx_found *found = NULL;
        size_t count = 0;
        in_box(&p, "mkdir -p d/sub e; : > d/.hidden; printf abc > \"d/a b'c\"; ln -s sub d/link");
        assert_int_equal(sbx_tool_ls(p.box, "d/", NULL, &found, &p.error), SBX_OK);
        const struct sbx_found_entry *e = sbx_found_entries(found, &count);
        static const char *const paths[] = {"d/.hidden", "d/a b'c", "d/link", "d/sub"};
        assert_int_equal(count, 4);
        for (size_t i = 0; i < count; i++) {
            assert_string_equal(e[i].path, paths[i]);
            assert_int_equal(e[i].is_dir, i == 3);
        }
        sbx_found_free(found);
        assert_int_equal(sbx_tool_ls(p.box, "e", NULL, &found, &p.error), SBX_OK);
        assert_null(sbx_found_entries(found, &count));
        assert_int_equal(count, 0);
        sbx_found_free(found);
        assert_int_equal(sbx_tool_ls(p.box, "none", NULL, &found, &p.error), SBX_E_NOT_FOUND);
        assert_string_equal(p.error.provider_code, "path_not_found");
        assert_null(found);
        assert_int_equal(sbx_tool_ls(p.box, "d/.hidden", NULL, &found, &p.error), SBX_E_NOT_DIR);
    }
}

/* --- read --------------------------------------------------------------------------------------------------------- */

static struct sbx_found_lines page(struct place *p, const char *path, int64_t offset, int64_t limit, char *text,
                                   size_t cap)
{
    sbx_found *found = NULL;
    const struct sbx_lines_options options = {.size = sizeof options, .offset = offset, .limit = limit};
    if (sbx_tool_read(p->box, path, &options, NULL, &found, &p->error) != SBX_OK)
        fail_msg("read: %s", p->error.message);
    struct sbx_found_lines lines = *sbx_found_text(found);
    assert_true(lines.content_len < cap);
    memcpy(text, lines.content, lines.content_len);
    text[lines.content_len] = '\0';
    sbx_found_free(found);
    return lines;
}

static sbx_status read_fails(struct place *p, const char *path, int64_t offset)
{
    sbx_found *found = NULL;
    const struct sbx_lines_options options = {.size = sizeof options, .offset = offset, .limit = 10};
    sbx_status status = sbx_tool_read(p->box, path, &options, NULL, &found, &p->error);
    assert_null(found);
    return status;
}

static void read_gives_a_window_of_lines_and_where_the_next_begins(void **state)
{
    (void)state;
    struct place p;
    char text[256];
    FOR_EACH_PLUGIN(p)
    {
        PUT(&p, "t.txt", "one\r\ntwo\nthr\ree\n\nlast");
        struct sbx_found_lines l = page(&p, "t.txt", 1, 2, text, sizeof text);
        assert_string_equal(text, "two\nthr\ree\n");
        assert_true(l.total_lines == 5 && l.start_line == 2 && l.end_line == 3 && l.next_offset == 3 && !l.binary);
        l = page(&p, "t.txt", 3, 100, text, sizeof text);
        assert_string_equal(text, "\nlast");
        assert_true(l.start_line == 4 && l.end_line == 5 && l.next_offset == -1);
        l = page(&p, "t.txt", -5, 1, text, sizeof text);
        assert_string_equal(text, "one\n");
        assert_true(l.start_line == 1 && l.end_line == 1 && l.next_offset == 1);
        l = page(&p, "t.txt", 0, 0, text, sizeof text);
        assert_true(l.no_lines_requested && l.content_len == 0 && l.total_lines == 5 && l.start_line == 0);
        assert_int_equal(read_fails(&p, "t.txt", 5), SBX_E_INVALID);
        assert_non_null(strstr(p.error.message, "5 lines"));
        PUT(&p, "empty", "");
        l = page(&p, "empty", 0, 10, text, sizeof text);
        assert_true(l.content_len == 0 && l.total_lines == 0 && l.next_offset == -1);
        PUT(&p, "five", "\n\n\n\n\n");
        l = page(&p, "five", 0, 10, text, sizeof text);
        assert_true(l.content_len == 5 && l.total_lines == 5);
        assert_int_equal(read_fails(&p, "none", 0), SBX_E_NOT_FOUND);
        assert_int_equal(read_fails(&p, ".", 0), SBX_E_IS_DIR);
    }
}

/* Reads it page by page as an agent does: a cut line is taken from the page that offers it again. */
static size_t read_in_pages(struct place *p, const char *path, char *text, char *whole, size_t cap)
{
    size_t have = 0;
    int64_t offset = 0;
    for (int pages = 0; offset >= 0; pages++) {
        struct sbx_found_lines l = page(p, path, offset, 1000000, text, 600000);
        size_t use = l.content_len;
        assert_true(pages < 10 && use <= 512000);
        if (l.cut) {
            assert_true(use > 511000 && l.next_offset == l.end_line - 1);
            assert_true((unsigned char)text[use - 1] == 0xac || text[use - 1] == '\n');
        }
        while (l.cut && use > 0 && text[use - 1] != '\n')
            use--;
        assert_true(have + use <= cap);
        memcpy(whole + have, text, use);
        have += use;
        offset = l.next_offset;
    }
    return have;
}

static void read_page_is_capped_and_offers_the_cut_line_again(void **state)
{
    (void)state;
    struct place p;
    char *data = malloc(1200000);
    char *text = malloc(600000);
    char *whole = malloc(1200000);
    assert_true(data != NULL && text != NULL && whole != NULL);
    size_t len = 0;
    /* Lines of three-byte characters, so that some page ends within one. */
    while (len < 1100000) {
        for (int i = 0; i < 33; i++, len += 3)
            memcpy(data + len, "\xe2\x82\xac", 3);
        data[len++] = '\n';
    }
    place_open(&p, "direct", NULL);
    put(&p, "/big.txt", data, len);
    assert_int_equal(read_in_pages(&p, "/big.txt", text, whole, len), len);
    assert_memory_equal(whole, data, len);
    struct sbx_found_lines l = page(&p, "/big.txt", 0, 10, text, 600000);
    assert_true(l.total_lines == -1 && l.next_offset == 10);
    memset(data, 'x', 600000);
    put(&p, "/line.txt", data, 600000);
    l = page(&p, "/line.txt", 0, 10, text, 600000);
    assert_true(l.cut && l.content_len == 512000 && l.next_offset == -1 && l.total_lines == 1);
    place_close(&p);
    free(data);
    free(text);
    free(whole);
}

static void read_tells_binary_files_by_name_and_by_content(void **state)
{
    (void)state;
    struct place p;
    char text[9000];
    place_open(&p, "direct", NULL);
    PUT(&p, "/x.PNG", "\x89PNG\0");
    struct sbx_found_lines l = page(&p, "/x.PNG", 0, 10, text, sizeof text);
    assert_true(l.binary && l.content_len == 5);
    PUT(&p, "/x.dat", "a\xff\0b");
    l = page(&p, "/x.dat", 0, 10, text, sizeof text);
    assert_true(l.binary && l.content_len == 4);
    memset(text, 'a', 8191);
    memcpy(text + 8191, "\xc3\xa4", 2);
    put(&p, "/cut.txt", text, 8193);
    l = page(&p, "/cut.txt", 0, 10, text, sizeof text);
    assert_true(!l.binary && l.content_len == 8193);
    in_box(&p, "head -c 512001 /dev/zero > big.png; head -c 512000 /dev/zero > fits.png");
    assert_int_equal(read_fails(&p, "/big.png", 0), SBX_E_TOO_LARGE);
    assert_string_equal(p.error.message, "File '/big.png': Binary file exceeds maximum preview size of 512000 bytes");
    sbx_found *found = NULL;
    const struct sbx_lines_options options = {.size = sizeof options, .limit = 1};
    assert_int_equal(sbx_tool_read(p.box, "/fits.png", &options, NULL, &found, &p.error), SBX_OK);
    sbx_found_free(found);
    place_close(&p);
}

/* --- edit --------------------------------------------------------------------------------------------------------- */

static sbx_status edit(struct place *p, const char *from, const char *to, uint32_t flags, uint64_t *count)
{
    p->error.provider_code[0] = '\0';
    return sbx_tool_edit(p->box, "e.txt", from, strlen(from), to, strlen(to), flags, NULL, count, &p->error);
}

static void edit_replaces_one_or_all_and_tells_failures_apart(void **state)
{
    (void)state;
    struct place p;
    FOR_EACH_PLUGIN(p)
    {
        uint64_t count = 0;
        PUT(&p, "e.txt", "a b a $x `y` \"z\"\n");
        assert_int_equal(edit(&p, "a", "c", 0, &count), SBX_E_INVALID);
        assert_string_equal(p.error.provider_code, "several_occurrences");
        assert_int_equal(count, 2);
        assert_int_equal(edit(&p, "nowhere", "c", 0, &count), SBX_E_INVALID);
        assert_string_equal(p.error.provider_code, "string_not_found");
        assert_int_equal(edit(&p, "a", "a", 0, &count), SBX_E_INVALID);
        assert_string_equal(p.error.provider_code, "same_text");
        assert_int_equal(edit(&p, "", "a", 0, &count), SBX_E_INVALID);
        must_hold(&p, "e.txt", "a b a $x `y` \"z\"\n");
        assert_int_equal(edit(&p, "a", "long", SBX_EDIT_ALL, &count), SBX_OK);
        assert_int_equal(count, 2);
        assert_int_equal(edit(&p, " $x `y`", "", 0, &count), SBX_OK);
        must_hold(&p, "e.txt", "long b long \"z\"\n");
        PUT(&p, "e.txt", "\xff\xfe");
        assert_int_equal(edit(&p, "a", "b", 0, &count), SBX_E_INVALID);
        assert_string_equal(p.error.provider_code, "not_text");
        assert_int_equal(sbx_tool_edit(p.box, "none", "a", 1, "b", 1, 0, NULL, NULL, &p.error), SBX_E_NOT_FOUND);
        assert_int_equal(sbx_tool_edit(p.box, ".", "a", 1, "b", 1, 0, NULL, NULL, &p.error), SBX_E_IS_DIR);
    }
}

static void edit_keeps_the_style_of_line_ends(void **state)
{
    (void)state;
    struct place p;
    uint64_t count = 0;
    place_open(&p, "direct", NULL);
    PUT(&p, "e.txt", "one\r\ntwo\r\nthree\r\n");
    assert_int_equal(edit(&p, "one\ntwo\n", "1\n2\n2b\n", 0, &count), SBX_OK);
    must_hold(&p, "e.txt", "1\r\n2\r\n2b\r\nthree\r\n");
    PUT(&p, "e.txt", "one\ntwo\nthree\n");
    assert_int_equal(edit(&p, "one\r\ntwo\r\n", "1\r\n2\r\n", 0, &count), SBX_OK);
    must_hold(&p, "e.txt", "1\n2\nthree\n");
    place_close(&p);
}

/* --- grep --------------------------------------------------------------------------------------------------------- */

/* "path:line:text" of each match. */
static int grep(struct place *p, const char *pattern, const char *include, uint64_t max, char *text, size_t cap)
{
    sbx_found *found = NULL;
    size_t count = 0;
    if (sbx_tool_grep(p->box, "g", pattern, include, max, NULL, &found, &p->error) != SBX_OK)
        fail_msg("grep: %s", p->error.message);
    const struct sbx_found_match *m = sbx_found_matches(found, &count);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, cap - len, "%s:%d:%.*s;", m[i].path, (int)m[i].line, (int)m[i].text_len,
                                m[i].text);
    int truncated = sbx_found_truncated(found);
    sbx_found_free(found);
    return truncated;
}

static void grep_is_literal_recursive_and_counts_lines_from_one(void **state)
{
    (void)state;
    struct place p;
    char text[2048];
    FOR_EACH_PLUGIN(p)
    {
        in_box(&p, "mkdir -p g/sub/.deep g/none; printf 'str | int\\nno\\nstr | int' > g/a.py;"
                   "printf 'STR | INT\\nx.y\\nxzy\\n' > g/sub/b.txt; printf 'a\\nstr | int\\r\\n' > g/sub/.deep/c.py;"
                   "printf 'str | int\\000' > g/bin; ln -s / g/link; ln -s a.py g/same.py; chmod 000 g/none");
        assert_int_equal(grep(&p, "str | int", NULL, 0, text, sizeof text), 0);
        assert_string_equal(text, "g/a.py:1:str | int;g/a.py:3:str | int;g/sub/.deep/c.py:2:str | int;");
        (void)grep(&p, "x.y", NULL, 0, text, sizeof text);
        assert_string_equal(text, "g/sub/b.txt:2:x.y;");
        (void)grep(&p, "nowhere", NULL, 0, text, sizeof text);
        assert_string_equal(text, "");
        assert_int_equal(grep(&p, "str | int", NULL, 3, text, sizeof text), 0);
        assert_int_equal(grep(&p, "str | int", NULL, 2, text, sizeof text), 1);
        assert_string_equal(text, "g/a.py:1:str | int;g/a.py:3:str | int;");
        (void)grep(&p, "|", "*.txt", 0, text, sizeof text);
        assert_string_equal(text, "g/sub/b.txt:1:STR | INT;");
        (void)grep(&p, "no", "**/*.py", 0, text, sizeof text);
        assert_string_equal(text, "g/a.py:2:no;");
        (void)grep(&p, "I", "sub/*.{txt,md}", 0, text, sizeof text);
        assert_string_equal(text, "g/sub/b.txt:1:STR | INT;");
        sbx_found *found = NULL;
        assert_int_equal(sbx_tool_grep(p.box, "none", "x", NULL, 0, NULL, &found, &p.error), SBX_E_NOT_FOUND);
        assert_int_equal(sbx_tool_grep(p.box, "g/a.py", "no", NULL, 0, NULL, &found, &p.error), SBX_OK);
        size_t count = 0;
        assert_string_equal(sbx_found_matches(found, &count)->path, "g/a.py");
        assert_int_equal(count, 1);
        sbx_found_free(found);
    }
}

static void grep_finds_in_many_files_and_in_long_lines(void **state)
{
    (void)state;
    struct place p;
    sbx_found *found = NULL;
    size_t count = 0;
    place_open(&p, "direct", NULL);
    in_box(&p, "mkdir g; i=0; while [ $i -lt 300 ]; do echo \"needle $i\" > g/f$i; i=$((i+1)); done;"
               "head -c 3000000 /dev/zero | tr '\\000' x > g/long; printf 'needle\\nmore\\nneedle' >> g/long");
    assert_int_equal(sbx_tool_grep(p.box, "g", "needle", NULL, 0, NULL, &found, &p.error), SBX_OK);
    const struct sbx_found_match *m = sbx_found_matches(found, &count);
    assert_int_equal(count, 302);
    assert_string_equal(m[300].path, "g/long");
    assert_true(m[300].line == 1 && m[301].line == 3 && m[300].text_len <= 65536);
    sbx_found_free(found);
    place_close(&p);
}

/* A line longer than is held at once: found where two parts meet, once, with the line's own beginning. */
static void grep_finds_what_lies_across_parts_of_a_long_line(void **state)
{
    (void)state;
    static const struct {
        size_t before;
        size_t between;
    } cases[] = {{(1u << 20) - 3, 10}, {(1u << 20) - 6, 2u << 20}, {(2u << 20) - 9, 1}, {3u << 20, 0}};
    struct place p;
    sbx_found *found = NULL;
    size_t count = 0;
    place_open(&p, "direct", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char script[256];
        (void)snprintf(
            script, sizeof script,
            "rm -rf g; mkdir g; { echo no; printf begin; head -c %zu /dev/zero | tr '\\000' x; printf needle;"
            "head -c %zu /dev/zero | tr '\\000' y; printf 'needle\\r\\nnee'; echo dle; } > g/long",
            cases[i].before - 5, cases[i].between);
        in_box(&p, script);
        assert_int_equal(sbx_tool_grep(p.box, "g", "needle", NULL, 0, NULL, &found, &p.error), SBX_OK);
        const struct sbx_found_match *m = sbx_found_matches(found, &count);
        assert_int_equal(count, 2);
        assert_true(m[0].line == 2 && m[1].line == 3 && m[1].text_len == 6);
        assert_true(m[0].text_len == 65536 && memcmp(m[0].text, "beginxxx", 8) == 0);
        sbx_found_free(found);
    }
    place_close(&p);
}

static void what_is_left_out_of_a_search_is_told(void **state)
{
    (void)state;
    struct place p;
    char text[2048];
    sbx_found *found = NULL;
    size_t count = 0;
    FOR_EACH_PLUGIN(p)
    {
        in_box(
            &p,
            "mkdir g; cd g; echo needle > near; d=d/d/d/d/d/d/d/d/d/d; mkdir -p $d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d;"
            "echo needle > $d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/deep");
        assert_int_equal(grep(&p, "needle", NULL, 0, text, sizeof text), 1);
        assert_string_equal(text, "g/near:1:needle;");
        assert_int_equal(sbx_tool_glob(p.box, "g", "*e*", NULL, &found, &p.error), SBX_OK);
        (void)sbx_found_entries(found, &count);
        assert_true(count == 1 && sbx_found_truncated(found));
        sbx_found_free(found);
        /* Folders that cannot match are left out of nothing. */
        assert_int_equal(sbx_tool_glob(p.box, "g", "/near", NULL, &found, &p.error), SBX_OK);
        assert_int_equal(sbx_found_truncated(found), 0);
        sbx_found_free(found);
        in_box(&p, "rm -r g/d");
        assert_int_equal(grep(&p, "needle", NULL, 0, text, sizeof text), 0);
        assert_int_equal(grep(&p, "needle", "{a,b}{,,,,,,,,,}{,,,,,,,,,}{,,,,,,,,,}", 0, text, sizeof text), 1);
    }
}

/* --- glob --------------------------------------------------------------------------------------------------------- */

static int glob(struct place *p, const char *pattern, char *text, size_t cap)
{
    sbx_found *found = NULL;
    size_t count = 0;
    if (sbx_tool_glob(p->box, "w", pattern, NULL, &found, &p->error) != SBX_OK)
        fail_msg("glob '%s': %s", pattern, p->error.message);
    const struct sbx_found_entry *e = sbx_found_entries(found, &count);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, cap - len, "%s ", e[i].path + 2);
    int truncated = sbx_found_truncated(found);
    sbx_found_free(found);
    return truncated;
}

static void glob_follows_its_rules_for_slashes_dots_sets_and_braces(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *wanted;
    } cases[] = {
        {"*.py", "a.py src/b.py src/deep/c.py "},
        {"/*.py", "a.py "},
        {"src/*.py", "src/b.py "},
        {"**/*.py", "a.py src/b.py src/deep/c.py "},
        {"src/**", "src/b.py src/deep/c.py src/deep/d.txt "},
        {"src/**/c.py", "src/deep/c.py "},
        {"./src//b.py", "src/b.py "},
        {".*", ".hidden "},
        {".git/*", ".git/config "},
        {"*", "a.py src/b.py src/deep/c.py src/deep/d.txt u\xc3\xa4.md "},
        {"?.py", "a.py src/b.py src/deep/c.py "},
        {"u?.md", "u\xc3\xa4.md "},
        {"[bc].py", "src/b.py src/deep/c.py "},
        {"[!ab].py", "src/deep/c.py "},
        {"[a-b].py", "a.py src/b.py "},
        {"*.{txt,md}", "src/deep/d.txt u\xc3\xa4.md "},
        {"{src/{b,x},a}.py", "a.py src/b.py "},
        {"{a}.py", ""},
        {"[", ""},
        {"deep", ""},
        {"link/*", ""},
        {"*.none", ""},
    };
    struct place p;
    char text[2048];
    FOR_EACH_PLUGIN(p)
    {
        in_box(&p, "mkdir -p w/src/deep w/.git; cd w; : > a.py; : > src/b.py; : > src/deep/c.py; : > src/deep/d.txt;"
                   ": > .hidden; : > .git/config; : > u\xc3\xa4.md; ln -s / link; ln -s a.py s.py; mkdir dir.py");
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            assert_int_equal(glob(&p, cases[i].pattern, text, sizeof text), 0);
            if (strcmp(text, cases[i].wanted) != 0)
                fail_msg("%s: '%s' gave '%s'", plugins[k_], cases[i].pattern, text);
        }
        sbx_found *found = NULL;
        assert_int_equal(sbx_tool_glob(p.box, "w", "../*", NULL, &found, &p.error), SBX_E_INVALID);
        assert_int_equal(sbx_tool_glob(p.box, "w", "", NULL, &found, &p.error), SBX_E_INVALID);
        assert_int_equal(sbx_tool_glob(p.box, "none", "*", NULL, &found, &p.error), SBX_E_NOT_FOUND);
    }
}

static void glob_is_bounded_in_alternatives_and_results(void **state)
{
    (void)state;
    struct place p;
    char text[2048];
    sbx_found *found = NULL;
    size_t count = 0;
    place_open(&p, "direct", NULL);
    in_box(&p, "mkdir w w2; : > w/a; cd w2; seq 10001 | xargs touch");
    assert_int_equal(glob(&p, "{a,b}{,,,,,,,,,}{,,,,,,,,,}{,,,,,,,,,}", text, sizeof text), 1);
    assert_int_equal(sbx_tool_glob(p.box, "w2", "*", NULL, &found, &p.error), SBX_OK);
    (void)sbx_found_entries(found, &count);
    assert_int_equal(count, 10000);
    assert_int_equal(sbx_found_truncated(found), 1);
    sbx_found_free(found);
    in_box(&p, "rm w2/1");
    assert_int_equal(sbx_tool_glob(p.box, "w2", "*", NULL, &found, &p.error), SBX_OK);
    assert_int_equal(sbx_found_truncated(found), 0);
    sbx_found_free(found);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(ls_gives_full_paths_sorted_with_hidden_ones_and_links_that_are_no_directories),
    UNIT(read_gives_a_window_of_lines_and_where_the_next_begins),
    UNIT(read_page_is_capped_and_offers_the_cut_line_again),
    UNIT(read_tells_binary_files_by_name_and_by_content),
    UNIT(edit_replaces_one_or_all_and_tells_failures_apart),
    UNIT(edit_keeps_the_style_of_line_ends),
    UNIT(grep_is_literal_recursive_and_counts_lines_from_one),
    UNIT(grep_finds_in_many_files_and_in_long_lines),
    UNIT(grep_finds_what_lies_across_parts_of_a_long_line),
    UNIT(what_is_left_out_of_a_search_is_told),
    UNIT(glob_follows_its_rules_for_slashes_dots_sets_and_braces),
    UNIT(glob_is_bounded_in_alternatives_and_results),
};
UNIT_MAIN(tests)
