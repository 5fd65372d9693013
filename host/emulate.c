/* SPDX-License-Identifier: MIT */
#include "host/emulate.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STDERR_KEPT     1024
#define WAIT_FIRST_MS   250
#define WAIT_LONGEST_MS 5000

int emulate_can(const char *capability)
{
    static const char *const can[] = {SBX_EXT_STAT, SBX_EXT_FS, SBX_EXT_BATCH, SBX_EXT_ARCHIVE, SBX_EXT_WAIT};
    for (size_t i = 0; i < sizeof can / sizeof can[0]; i++)
        if (strcmp(can[i], capability) == 0)
            return 1;
    return 0;
}

/* --- scripts ---------------------------------------------------------------------------------------------------- */

static const struct {
    int exit_code;
    sbx_status status;
    const char *message;
} script_ends[] = {{91, SBX_E_NOT_FOUND, "no such file or directory"},
                   {92, SBX_E_EXISTS, "it exists already"},
                   {93, SBX_E_IS_DIR, "it is a directory"},
                   {94, SBX_E_NOT_DIR, "it is not a directory"},
                   {95, SBX_E_PERMISSION, "permission denied"},
                   {97, SBX_E_BAD_PATH, "this path cannot be used here"},
                   {98, SBX_E_UNSUPPORTED, "there is no tar in the sandbox"}};

static sbx_status script_verdict(struct border_call *c, const struct emulate_script *script,
                                 const struct sbx_exec_result *result, const struct capture *err)
{
    const char *path = script->args[0];
    if ((result->flags & SBX_EXITED) == 0)
        return border_fail(c, SBX_E_FAILED, "'%s': the helping command ended by signal %d", path, result->term_signal);
    if ((result->flags & SBX_NOT_STARTED) != 0 || result->exit_code == 127 || result->exit_code == 126)
        return border_fail(c, SBX_E_UNSUPPORTED, "'%s': this needs a POSIX shell in the sandbox", path);
    if (result->exit_code != 0) {
        for (size_t i = 0; i < sizeof script_ends / sizeof script_ends[0]; i++)
            if (script_ends[i].exit_code == result->exit_code)
                return border_fail(c, script_ends[i].status, "'%s': %s", path, script_ends[i].message);
        int len = (int)strcspn(err->data.len > 0 ? err->data.data : "", "\n");
        return border_fail(c, SBX_E_FAILED, "'%s': %.*s", path, len > 0 ? len : 9,
                           len > 0 ? err->data.data : "no reason");
    }
    if (script->out != NULL && (result->flags & (SBX_STDOUT_TRUNCATED | SBX_OUTPUT_INCOMPLETE)) != 0)
        return border_fail(c, SBX_E_FAILED, "'%s': the answer is not complete", path);
    return SBX_OK;
}

sbx_status emulate_run(struct border_call *c, struct sbx_sandbox *box, const struct emulate_script *script)
{
    const char *argv[8] = {"sh", "-c", script->text, "sbx"};
    for (size_t i = 0; i < 3 && script->args[i] != NULL; i++)
        argv[4 + i] = script->args[i];
    struct capture err;
    capture_init(&err, STDERR_KEPT, 0);
    struct flow_sink err_sink;
    flow_sink_init(&err_sink, &c->call);
    err_sink.capture = &err;
    const struct sbx_exec_args args = {.size = sizeof args,
                                       .flags = SBX_EXEC_NO_TIMEOUT, /* the call's deadline is the limit */
                                       .argv = argv,
                                       .in = script->in,
                                       .out = script->out,
                                       .err = &err_sink.sink};
    struct sbx_exec_result result;
    sbx_status status = border_exec(c, box, &args, &result);
    status = flow_verdict(c, status, &err_sink, NULL);
    if (status == SBX_OK && script->out != NULL && (result.flags & SBX_TEXT_ONLY) != 0)
        status = border_fail(c, SBX_E_UNSUPPORTED, "'%s': this provider carries output as text only", script->args[0]);
    if (status == SBX_OK)
        status = script_verdict(c, script, &result, &err);
    capture_finish(&err);
    return status;
}

/* --- stat ------------------------------------------------------------------------------------------------------- */

int emulate_parse_stat(const char *line, struct sbx_file_stat *out)
{
    static const struct {
        unsigned long format;
        uint32_t type;
    } types[] = {{0100000, SBX_FILE_REGULAR}, {0040000, SBX_FILE_DIRECTORY}, {0120000, SBX_FILE_SYMLINK}};
    char *end;
    errno = 0;
    unsigned long mode = strtoul(line, &end, 16);
    if (end == line || *end != ' ')
        return -1;
    const char *at = end + 1;
    unsigned long long bytes = strtoull(at, &end, 10);
    if (end == at || *end != ' ')
        return -1;
    at = end + 1;
    long long mtime = strtoll(at, &end, 10);
    if (end == at || (*end != '\n' && *end != '\0') || errno != 0 || mtime > INT64_MAX / 1000 ||
        mtime < INT64_MIN / 1000)
        return -1;
    *out = (struct sbx_file_stat){.size = sizeof *out,
                                  .known = SBX_STAT_MODE | SBX_STAT_BYTES | SBX_STAT_MTIME,
                                  .type = SBX_FILE_OTHER,
                                  .mode = (uint32_t)(mode & 07777),
                                  .bytes = bytes,
                                  .mtime_ms = mtime * 1000};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if ((mode & 0170000) == types[i].format)
            out->type = types[i].type;
    return 0;
}

/* The bits of `-rw-r--r--`, at least ten letters long. */
static uint32_t parse_letters(const char *text)
{
    static const char letters[] = "rwxrwxrwx";
    uint32_t mode = 0;
    for (size_t i = 0; i < 9; i++) {
        char have = text[1 + i];
        if (have == letters[i] || have == 's' || have == 't')
            mode |= 0400u >> i;
        if (i % 3 == 2 && (have == 's' || have == 'S' || have == 't' || have == 'T'))
            mode |= 04000u >> (i / 3);
    }
    return mode;
}

/* `-rw-r--r--` and a size, as ls -n prints them. */
static void parse_ls(const char *text, uint32_t type, struct sbx_file_stat *out)
{
    *out = (struct sbx_file_stat){.size = sizeof *out, .type = type};
    if (strlen(text) < 11)
        return;
    out->mode = parse_letters(text);
    out->known = SBX_STAT_MODE;
    const char *at = strchr(text, ' ');
    char *end;
    errno = 0;
    unsigned long long bytes = at != NULL ? strtoull(at + 1, &end, 10) : 0;
    if (at == NULL || end == at + 1 || errno != 0 || type != SBX_FILE_REGULAR)
        return;
    out->bytes = bytes;
    out->known |= SBX_STAT_BYTES;
}

sbx_status emulate_stat(struct border_call *c, struct sbx_sandbox *box, const char *path, struct sbx_file_stat *out)
{
    static const char text[] =
        EMULATE_PRELUDE "fix \"$1\"\n"
                        "case $1 in */) [ ! -e \"$f\" ] || [ -d \"$f\" ] || exit 91 ;; esac\n"
                        "[ -e \"$f\" ] || gone \"$f\"\n"
                        "if [ -f \"$f\" ]; then t=1; elif [ -d \"$f\" ]; then t=2; else t=4; fi\n"
                        "printf '%s ' \"$t\"\n"
                        "stat -L -c '%f %s %Y' \"$f\" 2>/dev/null && exit 0\n"
                        "l=$(ls -ldnL \"$f\") || exit 95\n"
                        "set -f; set -- $l; printf 'ls %s %s\\n' \"$1\" \"$5\"\n";
    struct capture answer;
    capture_init(&answer, 4096, 0);
    struct flow_sink sink;
    flow_sink_init(&sink, &c->call);
    sink.capture = &answer;
    sbx_status status = emulate_run(c, box, &(struct emulate_script){.text = text, .args = {path}, .out = &sink.sink});
    status = flow_verdict(c, status, &sink, NULL);
    const char *said = answer.data.data != NULL ? answer.data.data : "";
    if (status == SBX_OK && (said[0] < '1' || said[0] > '4' || said[1] != ' '))
        status = border_fail(c, SBX_E_PROTOCOL, "'%s': the sandbox's shell gave no usable answer", path);
    else if (status == SBX_OK && strncmp(said + 2, "ls ", 3) == 0)
        parse_ls(said + 5, (uint32_t)(said[0] - '0'), out);
    else if (status == SBX_OK && emulate_parse_stat(said + 2, out) != 0)
        *out = (struct sbx_file_stat){.size = sizeof *out, .type = (uint32_t)(said[0] - '0')};
    capture_finish(&answer);
    return status;
}

/* --- archives --------------------------------------------------------------------------------------------------- */

sbx_status emulate_put_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir,
                           const struct sbx_source *tar)
{
    static const char text[] = EMULATE_PRELUDE "fix \"$1\"\n"
                                               "command -v tar >/dev/null 2>&1 || exit 98\n"
                                               "if [ ! -e \"$f\" ]; then room \"$f\"; mkdir -p \"$f\" || exit 95; fi\n"
                                               "[ -d \"$f\" ] || exit 94\n"
                                               "[ -w \"$f\" ] && cd \"$f\" || exit 95\n"
                                               "tar -xof - || exit 96\n";
    return emulate_run(c, box, &(struct emulate_script){.text = text, .args = {dir}, .in = tar});
}

sbx_status emulate_get_tar(struct border_call *c, struct sbx_sandbox *box, const char *dir, const struct sbx_sink *tar)
{
    static const char text[] = EMULATE_PRELUDE "fix \"$1\"\n"
                                               "[ -e \"$f\" ] || gone \"$f\"\n"
                                               "[ -d \"$f\" ] || exit 94\n"
                                               "command -v tar >/dev/null 2>&1 || exit 98\n"
                                               "[ -r \"$f\" ] && cd \"$f\" || exit 95\n"
                                               "tar -cf - . || exit 96\n";
    return emulate_run(c, box, &(struct emulate_script){.text = text, .args = {dir}, .out = tar});
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

/* Ends from which nothing leads on by itself. */
static int is_final(int32_t state)
{
    return state == SBX_STATE_STOPPED || state == SBX_STATE_FAILED;
}

sbx_status emulate_wait(struct border_call *c, struct sbx_sandbox *box, uint32_t state_mask, struct info_list *list)
{
    int64_t pause_ms = WAIT_FIRST_MS;
    for (;;) {
        const char *instance = list->instance;
        info_list_finish(list);
        info_list_init(list, instance);
        struct sbx_info_sink sink = info_list_sink(list);
        sbx_status status = border_info(c, box, &sink);
        if (status != SBX_OK || list->arena.failed != 0)
            return status;
        if (list->count != 1)
            return border_fail(c, SBX_E_PROTOCOL, "the provider did not report the sandbox once");
        const struct sbx_info *info = &list->first->info;
        if ((state_mask & (1u << info->state)) != 0)
            return SBX_OK;
        if (is_final(info->state))
            return border_fail(c, SBX_E_STATE, "it is %s%s%s and will not change",
                               info->state == SBX_STATE_STOPPED ? "stopped" : "failed",
                               info->failure != NULL ? ": " : "", info->failure != NULL ? info->failure : "");
        status = gate_poll(&c->call, -1, 0, gate_now_ns() + pause_ms * 1000000);
        if (status != SBX_E_BUSY)
            return border_fail(c, status, "%s", "");
        pause_ms = pause_ms * 3 / 2 < WAIT_LONGEST_MS ? pause_ms * 3 / 2 : WAIT_LONGEST_MS;
    }
}
