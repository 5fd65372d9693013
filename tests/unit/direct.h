/* SPDX-License-Identifier: MIT
 *
 * direct.h - a context over the fixture provider, in a private folder that goes away with it.
 */
#ifndef SBX_TESTS_DIRECT_H
#define SBX_TESTS_DIRECT_H

#include "sbx.h"

#include "unit.h"

#include <sys/wait.h>

struct place {
    char top[64];
    char ini[96];
    sbx_context *ctx;
    sbx_sandbox *box;
    struct sbx_error error;
    char log[16384]; /* what was logged, one line each */
};

static inline void place_log(void *user, int32_t level, const char *where, const char *message)
{
    struct place *p = user;
    size_t len = strlen(p->log);
    (void)snprintf(p->log + len, sizeof p->log - len, "%d %s %s\n", level, where, message);
}

/* `sections` is INI text in which every @ stands for the private folder. */
static inline void place_open_ini(struct place *p, const char *sections)
{
    memset(p, 0, sizeof *p);
    p->error.size = sizeof p->error;
    unit_make_folder(p->top);
    (void)snprintf(p->ini, sizeof p->ini, "%s/sbx.ini", p->top);
    FILE *file = fopen(p->ini, "we");
    assert_non_null(file);
    (void)fprintf(file, "[sbx]\nplugin_path = %s\nlog_level = info\n", DIRECT_DIR);
    for (const char *c = sections; *c != '\0'; c++)
        if (*c == '@')
            (void)fputs(p->top, file);
        else
            (void)fputc(*c, file);
    assert_int_equal(fclose(file), 0);
    const struct sbx_open_options options = {
        .size = sizeof options, .config_path = p->ini, .log = place_log, .user = p};
    if (sbx_open(&options, &p->ctx, &p->error) != SBX_OK)
        fail_msg("open: %s", p->error.message);
}

static inline void place_create(struct place *p)
{
    if (sbx_create(p->ctx, NULL, NULL, &p->box, &p->error) != SBX_OK)
        fail_msg("create: %s", p->error.message);
}

/* One instance `d` of a plugin, the key `bad` as given (NULL: none), and one sandbox when nothing is bad. */
static inline void place_open(struct place *p, const char *plugin, const char *bad)
{
    char ini[300];
    (void)snprintf(ini, sizeof ini, "default = d\n[provider d]\nplugin = %s\nroot = @\n%s%s\n", plugin,
                   bad != NULL ? "bad = " : "", bad != NULL ? bad : "");
    place_open_ini(p, ini);
    if (bad == NULL)
        place_create(p);
}

static inline void place_close(struct place *p)
{
    if (p->box != NULL)
        (void)sbx_remove(p->box, NULL, NULL);
    sbx_release(p->box);
    sbx_close(p->ctx);
    unit_remove_folder(p->top);
}

/* Runs a script in the private folder; its exit code. */
static inline int place_shell(const struct place *p, const char *script)
{
    int how = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(p->top) == 0)
            (void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    return WIFEXITED(how) ? WEXITSTATUS(how) : 128;
}

#endif /* SBX_TESTS_DIRECT_H */
