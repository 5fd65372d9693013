/* SPDX-License-Identifier: MIT
 *
 * emulate_fs.c - directories through a POSIX shell in the sandbox.
 */
#include "host/emulate.h"

#include <stdio.h>
#include <string.h>

#define LISTING_MAX (64u << 20)

/* --- list ------------------------------------------------------------------------------------------------------- */

/* The answer: one `TYPE NAME NUL` for each entry, one more NUL, then a line of stat for each, where there is a stat. */
static const char list_script[] =
    EMULATE_PRELUDE "fix \"$1\"\n"
                    "[ -e \"$f\" ] || gone \"$f\"\n"
                    "[ -d \"$f\" ] || exit 94\n"
                    "[ -r \"$f\" ] && [ -x \"$f\" ] && cd \"$f\" || exit 95\n"
                    "set --\n"
                    "for n in * .*; do\n"
                    "case $n in .|..) continue ;; esac\n"
                    "if [ -L \"./$n\" ]; then t=3; elif [ -d \"./$n\" ]; then t=2; elif [ -f \"./$n\" ]; then t=1;\n"
                    "elif [ -e \"./$n\" ]; then t=4; else continue; fi\n"
                    "printf '%s%s\\000' \"$t\" \"$n\"\n"
                    "set -- \"$@\" \"./$n\"; done\n"
                    "printf '\\000'\n"
                    "[ $# -eq 0 ] || stat -c '%f %s %Y' \"$@\" 2>/dev/null\n"
                    "exit 0\n";

static size_t count_lines(const char *text, size_t len)
{
    size_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    return lines;
}

/* Gives the entries in `data`, which is followed by a NUL. */
static sbx_status give_entries(struct border_call *c, const char *dir, const char *data, size_t len,
                               const struct sbx_entry_sink *out)
{
    const char *end = data + len;
    const char *p = data;
    size_t count = 0;
    while (p < end && *p != '\0') {
        p += strlen(p) + 1;
        count++;
    }
    if (p >= end)
        return border_fail(c, SBX_E_PROTOCOL, "'%s': the sandbox's shell gave no usable answer", dir);
    const char *line = p + 1;
    /* An entry that went away in between leaves a line out: then none can be trusted. */
    int has_stat = count_lines(line, (size_t)(end - line)) == count;
    p = data;
    for (size_t i = 0; i < count; i++) {
        struct sbx_file_stat stat = {.size = sizeof stat, .type = (uint32_t)(*p - '0')};
        struct sbx_file_stat more;
        if (has_stat && emulate_parse_stat(line, &more) == 0 && more.type == stat.type)
            stat = more;
        const struct sbx_entry entry = {.size = sizeof entry, .name = p + 1, .stat = &stat};
        if (out->item(out->user, &entry) != 0)
            return border_fail(c, SBX_E_STOPPED, "%s", "");
        p += strlen(p) + 1;
        const char *next = has_stat ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        line = next != NULL ? next + 1 : line;
    }
    return SBX_OK;
}

sbx_status emulate_list(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                        const struct sbx_entry_sink *out)
{
    struct capture answer;
    capture_init(&answer, LISTING_MAX, 0);
    struct flow_sink sink;
    flow_sink_init(&sink, &c->call);
    sink.capture = &answer;
    sbx_status status =
        emulate_run(c, box, &(struct emulate_script){.text = list_script, .args = {dir}, .out = &sink.sink});
    status = flow_verdict(c, status, &sink, NULL);
    if (status == SBX_OK && answer.dropped)
        status = border_fail(c, SBX_E_TOO_LARGE, "'%s': the listing is over 64 MiB", dir);
    if (status == SBX_OK)
        status = give_entries(c, dir, answer.data.data != NULL ? answer.data.data : "", answer.data.len, out);
    capture_finish(&answer);
    return status;
}

/* --- change ----------------------------------------------------------------------------------------------------- */

sbx_status emulate_mkdir(struct border_call *c, struct sbx_sandbox *box, const char *dir, uint32_t mode, uint32_t flags)
{
    static const char text[] = EMULATE_PRELUDE
        "fix \"$1\"\n"
        "if [ -e \"$f\" ] || [ -L \"$f\" ]; then [ \"$2\" = 1 ] && [ -d \"$f\" ] && exit 0; exit 92; fi\n"
        "room \"$f\"\n"
        "umask 022\n"
        "if [ \"$2\" = 1 ]; then mkdir -p -m \"$3\" \"$f\" || exit 96; exit 0; fi\n"
        "p=${f%/*}; [ -n \"$p\" ] || p=/\n"
        "[ -d \"$p\" ] || exit 91\n"
        "mkdir -m \"$3\" \"$f\" || exit 96\n";
    char octal[16];
    (void)snprintf(octal, sizeof octal, "%o", mode != 0 ? mode & 07777u : 0755u);
    return emulate_run(
        c, box,
        &(struct emulate_script){.text = text, .args = {dir, (flags & SBX_FS_PARENTS) != 0 ? "1" : "0", octal}});
}

sbx_status emulate_remove(struct border_call *c, struct sbx_sandbox *box, const char *path, uint32_t flags)
{
    static const char text[] =
        EMULATE_PRELUDE "fix \"$1\"\n"
                        "case ${f##*/} in ''|.|..) exit 97 ;; esac\n"
                        "[ -e \"$f\" ] || [ -L \"$f\" ] || gone \"$f\"\n"
                        "p=${f%/*}; [ -n \"$p\" ] || p=/\n"
                        "[ -w \"$p\" ] && [ -x \"$p\" ] || exit 95\n"
                        "if [ -d \"$f\" ] && [ ! -L \"$f\" ]; then\n"
                        "if [ \"$2\" = 1 ]; then rm -rf \"$f\"; else rmdir \"$f\" 2>/dev/null || exit 92; fi\n"
                        "else rm -f \"$f\"; fi\n"
                        "if [ -e \"$f\" ] || [ -L \"$f\" ]; then exit 95; fi\n"
                        "exit 0\n";
    return emulate_run(
        c, box, &(struct emulate_script){.text = text, .args = {path, (flags & SBX_FS_RECURSIVE) != 0 ? "1" : "0"}});
}

sbx_status emulate_rename(struct border_call *c, struct sbx_sandbox *box, const char *from, const char *to)
{
    static const char text[] = EMULATE_PRELUDE
        "fix \"$1\"; a=$f; fix \"$2\"; b=$f\n"
        "[ -e \"$a\" ] || [ -L \"$a\" ] || gone \"$a\"\n"
        "p=${b%/*}; [ -n \"$p\" ] || p=/\n"
        "[ -d \"$p\" ] || exit 91\n"
        "[ -w \"$p\" ] && [ -x \"$p\" ] || exit 95\n"
        "if [ -d \"$b\" ] && [ ! -L \"$b\" ]; then\n"
        "if [ -d \"$a\" ] && [ ! -L \"$a\" ]; then rmdir \"$b\" 2>/dev/null || exit 92; else exit 93; fi\n"
        /* mv would go through a link to a directory */
        "elif [ -L \"$b\" ] && [ -d \"$b\" ]; then rm -f \"$b\" || exit 95; fi\n"
        "mv -f \"$a\" \"$b\" || exit 96\n";
    return emulate_run(c, box, &(struct emulate_script){.text = text, .args = {from, to}});
}
