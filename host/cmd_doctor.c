/* SPDX-License-Identifier: MIT
 *
 * cmd_doctor.c - sbxctl doctor: does a sandbox work here? The machine, the configuration, every provider, and then the
 * proof: one is made, runs a command, and is removed.
 */
#include "host/cmd_doctor.h"
#include "host/cmd.h"
#include "host/json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct doctor {
    struct cmd *c;
    struct check *checks;
    size_t count;
    int failed;     /* no memory */
    unsigned files; /* of configuration */
    int local;      /* an instance of the local provider is configured */
};

static struct check *add(struct doctor *d, const char *name)
{
    struct check *more = realloc(d->checks, (d->count + 1) * sizeof *more);
    if (more == NULL) {
        d->failed = 1;
        return NULL;
    }
    d->checks = more;
    more[d->count] = (struct check){.name = name};
    return &more[d->count++];
}

static void look_at_machine(struct doctor *d)
{
    const char *name;
    check_function *run;
    for (size_t i = 0; (run = doctor_check_at(i, &name)) != NULL; i++) {
        struct check *check = add(d, name);
        if (check == NULL)
            return;
        check->local = 1;
        run(check);
    }
}

static void count_file(void *user, const char *path)
{
    (void)path;
    ++*(unsigned *)user;
}

static void report_provider(void *user, const struct sbx_provider *p)
{
    struct doctor *d = user;
    struct check *check = add(d, "provider");
    if (p->plugin != NULL && strcmp(p->plugin, "local") == 0)
        d->local = 1;
    if (check == NULL)
        return;
    if (p->problem == NULL) {
        check_say(check, CHECK_OK, "%s: %s %s%s", p->instance, p->plugin, p->version == NULL ? "" : p->version,
                  p->is_default ? ", the default" : "");
        return;
    }
    check_say(check, d->files == 0 && !p->is_default ? CHECK_NOTE : CHECK_PROBLEM, "%s: %s", p->instance, p->problem);
    check_mend(check, "see 'sbxctl config check' and the manual page of the provider");
}

static int64_t now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Create, run, remove; what goes wrong first is told. */
static void probe(struct doctor *d, sbx_context *ctx, struct check *check)
{
    CLEANUP_SANDBOX sbx_sandbox *box = NULL;
    static const char *const argv[] = {"/bin/sh", "-c", "exit 7", NULL};
    struct sbx_create_options create = {.size = sizeof create,
                                        .flags = SBX_CREATE_WITH_CALLER,
                                        .provider = d->c->value[OPT_PROVIDER],
                                        .lifetime_s = 60};
    struct sbx_exec_options exec = {.size = sizeof exec, .argv = argv, .timeout_ms = 20000};
    struct sbx_exec_result result = SBX_INIT(result);
    struct sbx_error error = SBX_INIT(error), late = SBX_INIT(late);
    int64_t start = now_ms();
    if (sbx_create(ctx, &create, &d->c->call, &box, &error) != SBX_OK) {
        check_say(check, CHECK_PROBLEM, "none could be made: %.350s", error.message);
        return;
    }
    sbx_status code = sbx_exec(box, &exec, &d->c->call, &result, &error);
    if (code != SBX_OK)
        check_say(check, CHECK_PROBLEM, "a command did not run: %.350s", error.message);
    else if ((result.flags & SBX_EXITED) == 0 || result.exit_code != 7)
        check_say(check, CHECK_PROBLEM, "a command that exits with 7 answered %d", result.exit_code);
    if (sbx_remove(box, NULL, &late) != SBX_OK && check->detail[0] == 0)
        check_say(check, CHECK_PROBLEM, "it could not be removed: %.350s", late.message);
    if (check->detail[0] == 0)
        check_say(check, CHECK_OK, "made, used and removed in %lld ms", (long long)(now_ms() - start));
}

static void look_at_providers(struct doctor *d)
{
    CLEANUP_CONTEXT sbx_context *ctx = NULL;
    struct sbx_open_options options;
    struct sbx_error error = SBX_INIT(error);
    struct check *check = add(d, "configuration");
    if (check == NULL || cmd_open_options(d->c, &options) != 0)
        return;
    if (sbx_open(&options, &ctx, &error) != SBX_OK) {
        check_say(check, CHECK_PROBLEM, "%s", error.message);
        check_mend(check, "'sbxctl config check' lists every problem");
        return;
    }
    sbx_config_files(ctx, count_file, &d->files);
    check_say(check, CHECK_OK, d->files == 0 ? "no file: installed plugins with their defaults" : "%u file%s", d->files,
              d->files == 1 ? "" : "s");
    if (sbx_providers(ctx, &d->c->call, report_provider, d, &error) != SBX_OK) {
        check = add(d, "provider");
        if (check != NULL)
            check_say(check, CHECK_PROBLEM, "%s", error.message);
        return;
    }
    check = add(d, "sandbox");
    if (check != NULL)
        probe(d, ctx, check);
}

/* What only the local provider needs is no problem where that is not configured, or where a sandbox was made anyway. */
static int judge(struct doctor *d)
{
    int problems = 0, proven = 0;
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->checks[i].name, "sandbox") == 0 && d->checks[i].state == CHECK_OK)
            proven = 1;
    for (size_t i = 0; i < d->count; i++) {
        if (d->checks[i].local && (proven || !d->local) && d->checks[i].state == CHECK_PROBLEM)
            d->checks[i].state = CHECK_NOTE;
        problems += d->checks[i].state == CHECK_PROBLEM;
    }
    return proven ? problems : problems + 1;
}

static const char *const state_words[] = {"ok", "note", "problem"};

static void print_checks(const struct doctor *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct check *check = &d->checks[i];
        (void)printf("%-8s %-16s ", state_words[check->state], check->name);
        print_safe(stdout, check->detail);
        (void)fputc('\n', stdout);
        if (check->mend[0] == 0 || check->state == CHECK_OK)
            continue;
        (void)printf("%-25s mend: ", "");
        print_safe(stdout, check->mend);
        (void)fputc('\n', stdout);
    }
}

static int doctor_json(const struct doctor *d, int code)
{
    struct json j;
    json_init(&j);
    json_flag(&j, j.root, "ok", code == EXIT_FINE);
    struct cJSON *list = json_array(&j, j.root, "checks");
    for (size_t i = 0; i < d->count; i++) {
        struct cJSON *item = json_push_object(&j, list);
        json_text(&j, item, "name", d->checks[i].name);
        json_text(&j, item, "state", state_words[d->checks[i].state]);
        json_text(&j, item, "detail", d->checks[i].detail);
        json_text(&j, item, "mend", d->checks[i].mend[0] == 0 ? NULL : d->checks[i].mend);
    }
    if (code != EXIT_FINE) {
        struct cJSON *e = json_object(&j, j.root, "error");
        json_text(&j, e, "code", "not_usable");
        json_text(&j, e, "message", "sandboxes do not work here");
        json_number(&j, e, "exit_code", code);
        json_text(&j, e, "command", d->c->command->name);
        json_null(&j, e, "subject");
    }
    return json_print(d->c, &j, code);
}

int cmd_doctor(struct cmd *c)
{
    struct doctor d = {.c = c};
    struct sbx_open_options options;
    int code = cmd_open_options(c, &options);
    if (code != 0)
        return code;
    look_at_machine(&d);
    look_at_providers(&d);
    code = judge(&d) == 0 ? EXIT_FINE : EXIT_FAILED;
    if (d.failed)
        code = cmd_no_memory(c);
    else if (cmd_has(c, OPT_JSON))
        code = doctor_json(&d, code);
    else
        print_checks(&d);
    if (code != EXIT_FINE && !d.failed)
        cmd_note_failure(c, NULL, "sandboxes do not work here; each problem says how to mend it");
    free(d.checks);
    return code;
}
