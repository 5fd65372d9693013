/* SPDX-License-Identifier: MIT
 *
 * Library cases about the file tools.
 */
#include "include/sbx_tools.h"
#include "tests/contracts/contract_lib.h"

static void tool_ls(struct fixture *f)
{
    sbx_found *found = NULL;
    size_t count = 0;
    OK(f, sbx_tool_ls(f->box, "/tmp/d", NULL, &found, &f->error));
    const struct sbx_found_entry *e = sbx_found_entries(found, &count);
    CHECK(count == 8, "%zu entries", count);
    for (size_t i = 0; i < count; i++) {
        const char *name = strrchr(e[i].path, '/') + 1;
        uint32_t is_dir = strcmp(name, "empty") == 0 || strcmp(name, "shut") == 0 || strcmp(name, "sub") == 0;
        CHECK(e[i].is_dir == is_dir, "'%s' is told as %s", e[i].path, e[i].is_dir != 0 ? "a directory" : "a file");
        CHECK(e[i].mtime_ms > 1600000000000, "'%s' has no time", e[i].path);
    }
    sbx_found_free(found);
    OK(f, sbx_tool_ls(f->box, "/tmp/d/empty", NULL, &found, &f->error));
    (void)sbx_found_entries(found, &count);
    CHECK(count == 0, "%zu entries in an empty directory", count);
    sbx_found_free(found);
    WANT(f, sbx_tool_ls(f->box, "/tmp/none", NULL, &found, &f->error), SBX_E_NOT_FOUND);
    CHECK(strcmp(f->error.provider_code, "path_not_found") == 0, "'%s'", f->error.provider_code);
}

static int is_there(struct fixture *f, const char *path)
{
    int exists = -1;
    OK(f, sbx_exists(f->box, path, NULL, &exists, &f->error));
    return exists;
}

/* With the word "bare" in an image that has no shell. */
static void tool_delete(struct fixture *f)
{
    put_text(f, "/tmp/t/a/b/c", "deep");
    put_text(f, "/tmp/kept/f", "kept");
    if (f->argc == 0)
        shell(f, "ln -s nowhere /tmp/dangling; ln -s /tmp/kept /tmp/t/link; ln -s /tmp/kept /tmp/link; "
                 "mkdir /tmp/t/a/closed; chmod 500 /tmp/t/a/closed");
    sbx_status status = sbx_delete(f->box, "/tmp/t", 0, NULL, &f->error);
    CHECK(status != SBX_OK && is_there(f, "/tmp/t/a/b/c"), "a full directory went without being told to");
    OK(f, sbx_delete(f->box, "/tmp/t", SBX_DIR_RECURSIVE, NULL, &f->error));
    CHECK(!is_there(f, "/tmp/t"), "it is still there");
    CHECK(is_there(f, "/tmp/kept/f"), "a link was followed");
    WANT(f, sbx_delete(f->box, "/tmp/t", SBX_DIR_RECURSIVE, NULL, &f->error), SBX_E_NOT_FOUND);
    OK(f, sbx_delete(f->box, "/tmp/kept/f", SBX_DIR_RECURSIVE, NULL, &f->error));
    if (f->argc != 0)
        return;
    OK(f, sbx_delete(f->box, "/tmp/dangling", SBX_DIR_RECURSIVE, NULL, &f->error));
    WANT(f, sbx_delete(f->box, "/tmp/dangling", SBX_DIR_RECURSIVE, NULL, &f->error), SBX_E_NOT_FOUND);
    OK(f, sbx_delete(f->box, "/tmp/link", SBX_DIR_RECURSIVE, NULL, &f->error));
    CHECK(is_there(f, "/tmp/kept"), "the link's target went");
    shell(f, "mkdir -p /tmp/ro/sub; : >/tmp/ro/sub/f; chmod 500 /tmp/ro/sub");
    WANT(f, sbx_delete(f->box, "/tmp/ro/sub/f", 0, NULL, &f->error), SBX_E_PERMISSION);
}

static sbx_status read_lines(struct fixture *f, const char *path, int64_t offset, int64_t limit, sbx_found **found)
{
    const struct sbx_lines_options options = {.size = sizeof options, .offset = offset, .limit = limit};
    return sbx_tool_read(f->box, path, &options, NULL, found, &f->error);
}

/* The page is exactly that text, from line to line of so many, and the next begins there. */
static void want_page(struct fixture *f, const char *path, int64_t offset, int64_t limit, const char *text,
                      const int64_t numbers[4])
{
    sbx_found *found = NULL;
    OK(f, read_lines(f, path, offset, limit, &found));
    const struct sbx_found_lines *l = sbx_found_text(found);
    CHECK(l->content_len == strlen(text) && memcmp(l->content, text, l->content_len) == 0, "'%.*s' instead of '%s'",
          (int)l->content_len, l->content, text);
    CHECK(l->start_line == numbers[0] && l->end_line == numbers[1] && l->total_lines == numbers[2] &&
              l->next_offset == numbers[3],
          "%s: lines %lld to %lld of %lld, next %lld", path, (long long)l->start_line, (long long)l->end_line,
          (long long)l->total_lines, (long long)l->next_offset);
    CHECK(!l->binary, "'%s' is binary", path);
    sbx_found_free(found);
}

static void tool_read(struct fixture *f)
{
    sbx_found *found = NULL;
    put_text(f, "/tmp/r/f", "one\r\ntwo\n\nfour \xc5\xbc\nlast");
    want_page(f, "/tmp/r/f", 0, 2000, "one\ntwo\n\nfour \xc5\xbc\nlast", (const int64_t[]){1, 5, 5, -1});
    want_page(f, "/tmp/r/f", 1, 2, "two\n\n", (const int64_t[]){2, 3, 5, 3});
    want_page(f, "/tmp/r/f", 4, 1, "last", (const int64_t[]){5, 5, 5, -1});
    want_page(f, "/tmp/r/f", -3, 1, "one\n", (const int64_t[]){1, 1, 5, 1});
    want_page(f, "/tmp/r/f", 0, 0, "", (const int64_t[]){0, 0, 5, 0});
    put_text(f, "/tmp/r/empty", "");
    want_page(f, "/tmp/r/empty", 0, 100, "", (const int64_t[]){0, 0, 0, -1});
    put_text(f, "/tmp/r/newlines", "\n\n\n\n\n");
    want_page(f, "/tmp/r/newlines", 0, 100, "\n\n\n\n\n", (const int64_t[]){1, 5, 5, -1});
    WANT(f, read_lines(f, "/tmp/r/f", 5, 10, &found), SBX_E_INVALID);
    CHECK(strstr(f->error.message, "5 lines") != NULL, "'%s' has no line count", f->error.message);
    WANT(f, read_lines(f, "/tmp/r/f", 500, 10, &found), SBX_E_INVALID);
    WANT(f, read_lines(f, "/tmp/r/none", 0, 10, &found), SBX_E_NOT_FOUND);
    WANT(f, read_lines(f, "/tmp/r", 0, 10, &found), SBX_E_IS_DIR);
    put_text(f, "/tmp/r/picture.png", "\x89PNG");
    OK(f, read_lines(f, "/tmp/r/picture.png", 0, 10, &found));
    CHECK(sbx_found_text(found)->binary && sbx_found_text(found)->content_len == 4, "a picture is text");
    sbx_found_free(found);
}

static void tool_read_pages(struct fixture *f)
{
    sbx_found *found = NULL;
    size_t len = 0, have = 0;
    int64_t offset = 0;
    int pages = 0, cut = 0;
    /* Two- and three-byte characters, in lines of many lengths. */
    shell(f, "i=0; while [ $i -lt 4000 ]; do printf '%s %0*d\\n' 'zażółć gęślą jaźń €€€ 漢字' $((i % 300)) $i; "
             "i=$((i+1)); done >/tmp/big.txt");
    sbx_op *op = capture(f, "cat /tmp/big.txt", 0, 0);
    const char *want = sbx_op_output(op, 1, &len);
    CHECK(len > 700000, "only %zu bytes to read", len);
    while (offset >= 0) {
        OK(f, read_lines(f, "/tmp/big.txt", offset, 1000000, &found));
        const struct sbx_found_lines *l = sbx_found_text(found);
        CHECK(l->content_len <= 512000, "a page of %zu bytes", l->content_len);
        CHECK(have + l->content_len <= len && memcmp(want + have, l->content, l->content_len) == 0,
              "page %d begins elsewhere", pages);
        CHECK(have + l->content_len == len || ((unsigned char)want[have + l->content_len] & 0xc0) != 0x80,
              "page %d ends within a character", pages);
        size_t whole = l->content_len;
        while (l->cut != 0 && whole > 0 && l->content[whole - 1] != '\n')
            whole--;
        cut += l->cut != 0;
        have += whole;
        CHECK(l->next_offset == -1 || l->next_offset > offset, "the next page is the same one");
        offset = l->next_offset;
        pages++;
        sbx_found_free(found);
    }
    CHECK(have == len && pages >= 2 && cut >= 1, "%zu of %zu bytes in %d pages, %d cut", have, len, pages, cut);
    have = 0;
    for (offset = 0; offset >= 0; pages++) { /* as an agent does, 100 lines at a time */
        OK(f, read_lines(f, "/tmp/big.txt", offset, 100, &found));
        const struct sbx_found_lines *l = sbx_found_text(found);
        CHECK(have + l->content_len <= len && memcmp(want + have, l->content, l->content_len) == 0, "another page");
        have += l->content_len;
        offset = l->next_offset;
        sbx_found_free(found);
    }
    CHECK(have == len, "%zu of %zu bytes", have, len);
    sbx_op_free(op);
}

const struct lib_case lib_tool_cases[] = {{"tool_ls", tool_ls},
                                          {"tool_delete", tool_delete},
                                          {"tool_read", tool_read},
                                          {"tool_read_pages", tool_read_pages},
                                          {NULL, NULL}};
