/* SPDX-License-Identifier: MIT
 *
 * tar_corpus.h - tar streams made by hand: some whole, most of them lying, each with what has to become of it.
 */
#ifndef SBX_TESTS_TAR_CORPUS_H
#define SBX_TESTS_TAR_CORPUS_H

#include "tar_make.h"

/* --- the corpus ------------------------------------------------------------------------------------------------- */

enum { FINE, REFUSED };
struct hostile {
    const char *name;
    void (*make)(struct tarball *t);
    int verdict;
    const char *check; /* shell, in the folder that holds dest and canary */
};
#define CASE(name_, verdict_, check_, ...)                                                                             \
    {                                                                                                                  \
        .name = #name_, .make = make_##name_, .verdict = (verdict_), .check = (check_)                                 \
    }
#define MAKE(name_) static void make_##name_(struct tarball *t)

static char long_text[70000];
static const char *repeat(const char *part, size_t times)
{
    long_text[0] = '\0';
    size_t len = strlen(part);
    for (size_t i = 0; i < times; i++)
        memcpy(long_text + i * len, part, len + 1);
    return long_text;
}

MAKE(plain)
{
    dir(t, "./");
    dir(t, "./a/");
    file(t, "./a/f", "hi");
    file(t, "top", "");
    end(t);
}
MAKE(empty_archive)
{
    end(t);
}
MAKE(more_padding)
{
    file(t, "f", "x");
    for (int i = 0; i < 10; i++)
        end(t);
}
MAKE(missing_parents)
{
    file(t, "a/b/c", "x");
    end(t);
}
MAKE(slashes)
{
    dir(t, ".//a//");
    file(t, "./a/.//f", "x");
    end(t);
}
MAKE(long_pax_name)
{
    pax(t, "path", repeat("/long", 50) + 1);
    file(t, "x", "hi");
    end(t);
}
MAKE(long_gnu_name)
{
    const char *n = repeat("n", 200);
    (void)entry(t, 'L', "././@LongLink", "", strlen(n) + 1, n);
    file(t, "cut", "hi");
    end(t);
}
MAKE(utf8_pax_name)
{
    pax(t, "path", "\xc3\xa9\xe2\x82\xac");
    file(t, "x", "hi");
    end(t);
}
MAKE(odd_bytes)
{
    file(t, "\xff\xfe\n*", "x");
    end(t);
}
MAKE(link_inside)
{
    dir(t, "a");
    file(t, "a/f", "x");
    link_to(t, "a/l", "f");
    link_to(t, "l", "a/f");
    end(t);
}
MAKE(link_up_inside)
{
    dir(t, "a");
    link_to(t, "a/l", "../f");
    file(t, "f", "x");
    end(t);
}
MAKE(link_dangling)
{
    link_to(t, "l", "nowhere");
    end(t);
}
MAKE(hard_inside)
{
    file(t, "a", "x");
    hard(t, "b/c", "a");
    end(t);
}
MAKE(twice)
{
    file(t, "f", "old");
    file(t, "f", "new");
    end(t);
}
MAKE(link_then_file)
{
    file(t, "g", "safe");
    link_to(t, "f", "g");
    file(t, "f", "new");
    end(t);
}
MAKE(set_id_bits)
{
    size_t at = entry(t, '0', "f", "", 1, "x");
    memcpy(t->data + at + 100, "0006777", 8);
    seal(t->data + at);
    at = entry(t, '5', "d", "", 0, "");
    memcpy(t->data + at + 100, "0007777", 8);
    seal(t->data + at);
    end(t);
}
MAKE(closed_dir)
{
    size_t at = entry(t, '5', "d", "", 0, "");
    memcpy(t->data + at + 100, "0000000", 8);
    seal(t->data + at);
    file(t, "d/f", "x");
    end(t);
}
MAKE(foreign_owner)
{
    pax(t, "uid", "99999999");
    file(t, "f", "x");
    end(t);
}
MAKE(attributes)
{
    pax(t, "SCHILY.xattr.user.evil", "1");
    file(t, "f", "x");
    end(t);
}
MAKE(old_v7)
{
    size_t at = entry(t, '\0', "f", "", 1, "x");
    memset(t->data + at + 257, 0, 8);
    seal(t->data + at);
    end(t);
}

MAKE(absolute)
{
    file(t, "/tmp/sbx-evil", "x");
    end(t);
}
MAKE(dotdot)
{
    file(t, "../canary/f", "x");
    end(t);
}
MAKE(dotdot_middle)
{
    dir(t, "a");
    file(t, "a/../../canary/f", "x");
    end(t);
}
MAKE(dotdot_harmless)
{
    dir(t, "a");
    file(t, "a/../f", "x");
    end(t);
}
MAKE(dotdot_only)
{
    dir(t, "..");
    end(t);
}
MAKE(pax_absolute)
{
    pax(t, "path", "/tmp/sbx-evil");
    file(t, "f", "x");
    end(t);
}
MAKE(pax_dotdot)
{
    pax(t, "path", "../canary/f");
    file(t, "f", "x");
    end(t);
}
MAKE(gnu_dotdot)
{
    (void)entry(t, 'L', "././@LongLink", "", 12, "../canary/f");
    file(t, "f", "x");
    end(t);
}
MAKE(prefix_dotdot)
{
    size_t at = entry(t, '0', "canary/f", "", 1, "x");
    memcpy(t->data + at + 345, "..", 2);
    seal(t->data + at);
    end(t);
}
MAKE(link_absolute)
{
    link_to(t, "l", "/etc");
    end(t);
}
MAKE(link_out)
{
    link_to(t, "l", "../canary");
    end(t);
}
MAKE(link_out_deep)
{
    dir(t, "a");
    link_to(t, "a/l", "../../canary");
    end(t);
}
MAKE(link_climbs_late)
{
    dir(t, "a");
    link_to(t, "l", "a/../../canary");
    end(t);
}
MAKE(link_over_link)
{
    dir(t, "a");
    dir(t, "a/b");
    link_to(t, "a/b/s", "../../x");
    dir(t, "x");
    link_to(t, "t", "a/b/s/../../canary");
    end(t);
}
MAKE(link_empty)
{
    link_to(t, "l", "");
    end(t);
}
MAKE(pax_link_out)
{
    pax(t, "linkpath", "/etc/passwd");
    link_to(t, "l", "f");
    end(t);
}
MAKE(through_link)
{
    dir(t, "a");
    link_to(t, "l", "a");
    file(t, "l/f", "x");
    end(t);
}
MAKE(dir_becomes_link)
{
    dir(t, "a");
    link_to(t, "a", "b");
    file(t, "a/f", "x");
    end(t);
}
MAKE(link_becomes_dir)
{
    dir(t, "b");
    link_to(t, "a", "b");
    dir(t, "a");
    file(t, "a/f", "x");
    end(t);
}
MAKE(root_is_link)
{
    link_to(t, ".", "canary");
    end(t);
}
MAKE(root_is_file)
{
    file(t, ".", "x");
    end(t);
}
MAKE(hard_absolute)
{
    hard(t, "h", "/etc/passwd");
    end(t);
}
MAKE(hard_out)
{
    hard(t, "h", "../canary/f");
    end(t);
}
MAKE(hard_missing)
{
    hard(t, "h", "none");
    end(t);
}
MAKE(hard_to_link)
{
    link_to(t, "l", "x");
    hard(t, "h", "l");
    end(t);
}
MAKE(hard_to_dir)
{
    dir(t, "d");
    hard(t, "h", "d");
    end(t);
}
MAKE(hard_to_itself)
{
    file(t, "h", "x");
    hard(t, "h", "h");
    end(t);
}
MAKE(hard_with_body)
{
    file(t, "a", "x");
    (void)entry(t, '1', "h", "../canary/f", 4, "evil");
    end(t);
}
MAKE(pax_hard_out)
{
    pax(t, "linkpath", "../canary/f");
    hard(t, "h", "a");
    end(t);
}
MAKE(fifo)
{
    (void)entry(t, '6', "p", "", 0, "");
    end(t);
}
MAKE(char_device)
{
    (void)entry(t, '3', "c", "", 0, "");
    end(t);
}
MAKE(block_device)
{
    (void)entry(t, '4', "b", "", 0, "");
    end(t);
}
MAKE(file_over_dir)
{
    file(t, "d/f", "x");
    file(t, "d", "x");
    end(t);
}
MAKE(dir_over_file)
{
    file(t, "d", "x");
    dir(t, "d");
    end(t);
}
MAKE(below_a_file)
{
    file(t, "f", "x");
    file(t, "f/g", "x");
    end(t);
}
MAKE(cut_in_header)
{
    file(t, "f", "x");
    t->len = 300;
}
MAKE(cut_in_body)
{
    (void)entry(t, '0', "f", "", 5000, "short");
}
MAKE(cut_between_entries)
{
    file(t, "a", "x");
    file(t, "b", "x");
}
MAKE(one_zero_block)
{
    file(t, "a", "x");
    end(t);
    t->len -= 512;
}
MAKE(cut_zeros)
{
    file(t, "a", "x");
    end(t);
    t->len -= 1;
}
MAKE(zeros_in_file_then_cut)
{
    char *z = calloc(1, 2049);
    (void)entry(t, '0', "a", "", 2048, "");
    add(t, z, 2048);
    free(z);
}
MAKE(nothing)
{
    (void)t;
}
MAKE(garbage)
{
    for (int i = 0; i < 3000; i++)
        add(t, &(char){(char)(i * 7 + 1)}, 1);
}
MAKE(text)
{
    const char *s = repeat("hello world\n", 200);
    add(t, s, strlen(s));
}
MAKE(trailing_garbage)
{
    file(t, "a", "x");
    end(t);
    add(t, "evil", 4);
}
MAKE(second_archive)
{
    file(t, "a", "x");
    end(t);
    file(t, "../canary/f", "x");
    end(t);
}
MAKE(bad_checksum)
{
    size_t at = entry(t, '0', "a", "", 1, "x");
    t->data[at] = 'b';
    end(t);
}
MAKE(second_checksum_bad)
{
    file(t, "a", "x");
    size_t at = entry(t, '0', "b", "", 1, "x");
    t->data[at] = 'c';
    end(t);
}
MAKE(huge_size)
{
    size_t at = entry(t, '0', "a", "", 1, "x");
    memcpy(t->data + at + 124, "77777777777", 11);
    seal(t->data + at);
    end(t);
}
MAKE(tera_size)
{
    pax(t, "size", "1099511627776");
    file(t, "a", "x");
    end(t);
}
MAKE(size_overflow)
{
    pax(t, "size", "99999999999999999999");
    file(t, "a", "x");
    end(t);
}
MAKE(negative_size)
{
    size_t at = entry(t, '0', "a", "", 1, "x");
    memset(t->data + at + 124, 0xff, 12);
    seal(t->data + at);
    end(t);
}
MAKE(sparse_tera)
{
    pax(t, "GNU.sparse.major", "1");
    pax(t, "GNU.sparse.realsize", "1099511627776");
    file(t, "a", "x");
    end(t);
}
MAKE(endless_name)
{
    pax(t, "path", repeat("n/", 30000));
    file(t, "a", "x");
    end(t);
}
MAKE(long_part)
{
    pax(t, "path", repeat("n", 300));
    file(t, "a", "x");
    end(t);
}
MAKE(too_deep)
{
    pax(t, "path", repeat("d/", 200));
    file(t, "a", "x");
    end(t);
}
MAKE(long_link)
{
    pax(t, "linkpath", repeat("n/", 30000));
    link_to(t, "l", "x");
    end(t);
}
MAKE(pax_bad_record)
{
    (void)entry(t, 'x', "pax", "", 12, "99 path=evil");
    file(t, "a", "x");
    end(t);
}
MAKE(pax_cut)
{
    pax(t, "path", "abc");
}
MAKE(compressed)
{
    static const unsigned char gz[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xed, 0xc1};
    add(t, gz, sizeof gz);
    pad(t);
    end(t);
}
MAKE(cpio)
{
    const char *s = "070707000000000000000644000000000000000001000000000000000000000000000200000000001f";
    add(t, s, strlen(s));
    pad(t);
    end(t);
}

#define T(name, verdict, check) CASE(name, verdict, check)
/* clang-format off */
static const struct hostile corpus[] = {
    T(plain, FINE, "test \"$(cat dest/a/f)\" = hi && test -f dest/top"),
    T(empty_archive, FINE, "test -d dest && test -z \"$(ls -A dest)\""),
    T(more_padding, FINE, "test -f dest/f"),
    T(missing_parents, FINE, "test -f dest/a/b/c"),
    T(slashes, FINE, "test -f dest/a/f"),
    T(long_pax_name, FINE, "test \"$(find dest -type f | wc -l)\" = 1"),
    T(long_gnu_name, FINE, "test \"$(ls dest | head -c 200 | tr -d n | wc -c)\" = 0"),
    T(utf8_pax_name, FINE, "test -f \"dest/$(printf '\\303\\251\\342\\202\\254')\""),
    T(odd_bytes, FINE, "test \"$(ls -A dest | wc -c)\" -gt 3"),
    T(link_inside, FINE, "test \"$(cat dest/a/l dest/l)\" = xx"),
    T(link_up_inside, FINE, "test \"$(cat dest/a/l)\" = x"),
    T(link_dangling, FINE, "test -L dest/l"),
    T(hard_inside, FINE, "test \"$(cat dest/a dest/b/c)\" = xx"),
    T(twice, FINE, "test \"$(cat dest/f)\" = new"),
    T(link_then_file, FINE, "test \"$(cat dest/f dest/g)\" = newsafe && test ! -L dest/f"),
    T(set_id_bits, FINE, "test \"$(stat -c %a dest/f dest/d | tr '\\n' ' ')\" = '777 777 '"),
    T(closed_dir, FINE, "test -f dest/d/f"),
    T(foreign_owner, FINE, "test \"$(stat -c %u dest/f)\" = \"$(id -u)\""),
    T(attributes, FINE, "test -f dest/f"),
    T(old_v7, FINE, "test \"$(cat dest/f)\" = x"),
    T(absolute, REFUSED, "test ! -e /tmp/sbx-evil"), T(dotdot, REFUSED, ""), T(dotdot_middle, REFUSED, ""),
    T(dotdot_harmless, REFUSED, ""), T(dotdot_only, REFUSED, ""),
    T(pax_absolute, REFUSED, "test ! -e /tmp/sbx-evil"), T(pax_dotdot, REFUSED, ""), T(gnu_dotdot, REFUSED, ""),
    T(prefix_dotdot, REFUSED, ""), T(link_absolute, REFUSED, ""), T(link_out, REFUSED, ""),
    T(link_out_deep, REFUSED, ""), T(link_climbs_late, REFUSED, ""), T(link_over_link, REFUSED, ""),
    T(link_empty, REFUSED, ""), T(pax_link_out, REFUSED, ""), T(through_link, REFUSED, ""),
    T(dir_becomes_link, REFUSED, ""), T(link_becomes_dir, REFUSED, ""), T(root_is_link, REFUSED, ""),
    T(root_is_file, REFUSED, ""), T(hard_absolute, REFUSED, ""), T(hard_out, REFUSED, ""), T(hard_missing, REFUSED, ""),
    T(hard_to_link, REFUSED, ""), T(hard_to_dir, REFUSED, ""), T(hard_to_itself, REFUSED, ""),
    T(hard_with_body, REFUSED, ""), T(pax_hard_out, REFUSED, ""), T(fifo, REFUSED, ""), T(char_device, REFUSED, ""),
    T(block_device, REFUSED, ""), T(file_over_dir, REFUSED, ""), T(dir_over_file, REFUSED, ""),
    T(below_a_file, REFUSED, ""), T(cut_in_header, REFUSED, ""), T(cut_in_body, REFUSED, ""),
    T(cut_between_entries, REFUSED, ""), T(one_zero_block, REFUSED, ""), T(cut_zeros, REFUSED, ""),
    T(zeros_in_file_then_cut, REFUSED, ""), T(nothing, REFUSED, ""), T(garbage, REFUSED, ""), T(text, REFUSED, ""),
    T(trailing_garbage, REFUSED, ""), T(second_archive, REFUSED, ""), T(bad_checksum, REFUSED, ""),
    T(second_checksum_bad, REFUSED, ""), T(huge_size, REFUSED, ""), T(tera_size, REFUSED, ""),
    T(size_overflow, REFUSED, ""), T(negative_size, REFUSED, ""), T(sparse_tera, REFUSED, ""),
    T(endless_name, REFUSED, ""), T(long_part, REFUSED, ""), T(too_deep, REFUSED, ""), T(long_link, REFUSED, ""),
    T(pax_bad_record, REFUSED, ""), T(pax_cut, REFUSED, ""), T(compressed, REFUSED, ""), T(cpio, REFUSED, ""),
};
/* clang-format on */

#endif /* SBX_TESTS_TAR_CORPUS_H */
